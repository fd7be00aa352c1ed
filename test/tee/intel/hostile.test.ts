/** What an attacker might hand in, and what is legal and unusual: found by reading the code as both would. */
import { describe, expect, test } from "vitest";
import { concat, utf8 } from "../../../src/field/bytes.js";
import type { Collateral } from "../../../src/tee/collateral.js";
import type { VerifyOptions } from "../../../src/tee/context.js";
import type { Evidence } from "../../../src/tee/evidence.js";
import { importCollateral } from "../../../src/tee/import/index.js";
import { qvlCollateral } from "../../../src/tee/import/qvl.js";
import {
  type CertificateOptions,
  type CrlOptions,
  DAY,
  LAB_NOW,
  makeCertificate,
  makeCrl,
  makeKey,
} from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { type IntelLab, type IntelOptions, intelPlatform, sgxExtension } from "../../../src/tee/lab/intel.js";
import { verify } from "../../../src/tee/verify.js";
import { parseCrl } from "../../../src/tee/x509.js";
import { failedCheck, verdictOf, verifyLab, verifyQuote } from "./support.js";

const root = makeKey("P-256");
const tcbSigner = makeKey("P-256");
const other = makeKey("P-256");
const lab = intelPlatform({ keys: { root, tcbSigner } });

/** The other CA's platform, under the same root to the byte. */
function processorPlatform(): IntelLab {
  const made = intelPlatform({ platform: false, keys: { root, tcbSigner } });
  const { pck, intermediate } = made.certificates;
  const data = utf8([pck, intermediate, lab.certificates.root].map((each) => der.pem(each)).join(""));
  const { keys } = made;
  const { quote } = intelPlatform({ platform: false, keys, certificationData: { data } });
  return { ...made, quote, roots: lab.roots };
}

describe("several sets of collateral", () => {
  const processor = processorPlatform();
  const response = (name: string, { json, signature }: IntelLab["intel"]["tcbInfo"]) =>
    utf8(`{"${name}":${json},"signature":"${Buffer.from(signature).toString("hex")}"}`);
  const pieces = [
    response("tcbInfo", lab.intel.tcbInfo),
    response("enclaveIdentity", lab.intel.qeIdentity),
    lab.intel.rootCrl,
    lab.intel.pckCrl,
    processor.intel.pckCrl,
    lab.certificates.root,
    lab.certificates.tcbSigner,
    lab.certificates.intermediate,
    processor.certificates.intermediate,
  ];
  const { intel } = importCollateral(pieces.map((bytes, i) => ({ name: `${i}`, bytes })));

  test("of the two CAs of PCK certificates, the platform's own list is taken", () => {
    expect(intel).toHaveLength(2);
    for (const entries of [intel!, [...intel!].reverse()]) {
      expect(verdictOf(verifyQuote(lab.quote, entries, lab))).toBe("UpToDate");
      expect(verdictOf(verifyQuote(processor.quote, entries, lab))).toBe("UpToDate");
    }
  });

  test("a set all of which holds goes before a newer one that has expired in part", () => {
    const stale = makeCrl({
      issuer: { CN: "Intel SGX Root CA", O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" },
      issuerKey: root,
      thisUpdate: LAB_NOW - 60 * DAY,
      nextUpdate: LAB_NOW - 30 * DAY,
    });
    const entries = [{ ...lab.intel, rootCrl: stale }, lab.intel];
    expect(verdictOf(verifyQuote(lab.quote, entries, lab))).toBe("UpToDate");
    expect(verdictOf(verifyQuote(lab.quote, [entries[0]!, entries[0]!], lab))).toBe("EXPIRED");
  });

  test("of two sets with the same documents, the one with the later list says what is revoked", () => {
    const subject = { CN: "Intel SGX PCK Platform CA", O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" };
    const issuerKey = lab.keys.intermediate;
    const later = makeCrl({ issuer: subject, issuerKey, thisUpdate: LAB_NOW - 60, revoked: [3] });
    const fresh = { ...lab.intel, pckCrl: later };
    for (const order of [
      [lab.intel, fresh],
      [fresh, lab.intel],
    ]) {
      expect(verdictOf(verifyQuote(lab.quote, order, lab))).toBe("CERT_REVOKED");
    }
  });

  test("documents of other platforms that cannot be read do no harm", () => {
    const broken = { ...lab.intel, tcbInfo: { ...lab.intel.tcbInfo, json: "{" } };
    const noIdentity = { ...lab.intel, qeIdentity: { ...lab.intel.qeIdentity, json: "[" } };
    expect(verdictOf(verifyQuote(lab.quote, [broken, noIdentity, lab.intel], lab))).toBe("UpToDate");
    expect(verdictOf(verifyQuote(lab.quote, [broken, broken], lab))).toBe("COLLATERAL_MISSING");
    expect(verdictOf(verifyQuote(lab.quote, [noIdentity, noIdentity], lab))).toBe("QE_IDENTITY_SIGNATURE");
  });

  test("lists that are none do not keep the others from being taken", () => {
    const entries = [
      { ...lab.intel, rootCrl: new Uint8Array([0]) },
      { ...lab.intel, pckCrl: new Uint8Array() },
    ];
    expect(verdictOf(verifyQuote(lab.quote, [...entries, lab.intel], lab))).toBe("UpToDate");
    expect(verdictOf(verifyQuote(lab.quote, [entries[0]!, entries[0]!], lab))).toBe("CRL_MALFORMED");
    expect(verdictOf(verifyQuote(lab.quote, [entries[1]!, entries[1]!], lab))).toBe("CRL_MISSING");
  });
});

describe("chains", () => {
  const { certificates, keys } = lab;
  const pem = (...ders: Uint8Array[]) => utf8(ders.map((each) => der.pem(each)).join(""));
  const outcome = (options: IntelOptions, roots = lab.roots) => {
    const { quote } = intelPlatform({ keys, ...options });
    const verification = verifyQuote(quote, lab.intel, { now: lab.now, roots });
    return [verdictOf(verification), failedCheck(verification)];
  };
  const leaf = (changes: Partial<CertificateOptions>): Uint8Array =>
    makeCertificate({
      subject: { CN: "Intel SGX PCK Certificate", O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" },
      key: other,
      serial: 99,
      ca: false,
      keyUsage: ["digitalSignature"],
      extensions: [sgxExtension()],
      notBefore: LAB_NOW - DAY,
      notAfter: LAB_NOW + DAY,
      issuer: { CN: "Intel SGX PCK Certificate", O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" },
      issuerKey: keys.pck,
      ...changes,
    });

  test("a quote that leaves out the root is completed by the pinned one that issued, of several of its name", () => {
    const stranger = intelPlatform().certificates.root;
    const data = pem(certificates.pck, certificates.intermediate);
    for (const intel of [
      [certificates.root, stranger],
      [stranger, certificates.root],
    ]) {
      expect(outcome({ certificationData: { data } }, { intel })).toEqual(["UpToDate", undefined]);
    }
    expect(outcome({ certificationData: { data } }, { intel: [stranger] })[0]).toBe("CHAIN_SIGNATURE");
  });

  test("a root in memory that another one was in before", () => {
    const data = pem(certificates.pck, certificates.intermediate);
    const memory = new Uint8Array(certificates.root.length);
    const stranger = intelPlatform({ root: { serial: 1 } });
    for (let i = 0; stranger.certificates.root.length !== memory.length; i++) {
      if (i === 100) throw new Error("no root of the same length");
      Object.assign(stranger, intelPlatform());
    }
    memory.set(certificates.root);
    expect(outcome({ certificationData: { data } }, { intel: [memory] })[0]).toBe("UpToDate");
    memory.set(stranger.certificates.root);
    expect(outcome({ certificationData: { data } }, { intel: [memory] })[0]).toBe("CHAIN_SIGNATURE");
  });

  test("a PCK certificate issues none", () => {
    const { pck, intermediate, root: top } = certificates;
    const signers = { qeReport: other };
    const data = pem(leaf({}), pck, intermediate, top);
    expect(outcome({ signers, certificationData: { data } })).toEqual(["CHAIN_CONSTRAINTS", "intel.pck.chain"]);
  });

  test("nor does the signer of Intel's documents", () => {
    const issuer = { CN: "Intel SGX TCB Signing", O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" };
    const data = pem(leaf({ issuer, issuerKey: tcbSigner }), certificates.tcbSigner, certificates.root);
    expect(outcome({ signers: { qeReport: other }, certificationData: { data } })).toEqual([
      "CHAIN_CONSTRAINTS",
      "intel.pck.chain",
    ]);
  });

  test("a certificate twice, a loop, or something behind the root", () => {
    const { pck, intermediate, root: top } = certificates;
    for (const chain of [
      [pck, intermediate, intermediate, top],
      [pck, intermediate, top, top],
      [pck, intermediate, top, intermediate],
      [pck, intermediate, top, pck],
      [pck, top, intermediate],
    ]) {
      expect(outcome({ certificationData: { data: pem(...chain) } })[0]).toMatch(/^CHAIN_/);
    }
  });

  test("messages stay one line, whatever a certificate is called", () => {
    const verification = verifyLab(
      intelPlatform({ pck: { subject: { CN: `x\u001b[2K\nverified\u202e${"y".repeat(8000)}` } } }),
    );
    if (verification.ok) throw new Error("accepted");
    const texts = [verification.failure.message, ...verification.checks.map(({ claim, reason }) => claim + reason)];
    for (const text of texts) {
      expect(text).toMatch(/^[^\p{Cc}\p{Cf}]*$/u);
      expect(text.length).toBeLessThan(1200);
    }
    expect(verification.failure.message).toContain("x\\u{1b}[2K\\u{a}verified\\u{202e}yyy");
  });
});

describe("revocation lists", () => {
  const list = (options: Partial<CrlOptions>) => makeCrl({ issuer: { CN: "x" }, issuerKey: other, ...options });

  test("that are millions of nothing are refused at the first of it", () => {
    const element = (tag: number, content: Uint8Array) => concat(new Uint8Array([tag, 0x83]), size(content), content);
    const size = ({ length }: Uint8Array) => new Uint8Array([length >> 16, (length >> 8) & 255, length & 255]);
    const nothing = new Uint8Array(3_000_000).map((_, i) => (i % 2 === 0 ? 5 : 0));
    const algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"));
    const head = [der.integer(1), algorithm, der.name({ CN: "x" }), der.time(0), der.time(1)];
    const crl = (...tbs: Uint8Array[]) =>
      element(0x30, concat(element(0x30, concat(...tbs)), algorithm, der.bitString(new Uint8Array(8))));
    const made = {
      entries: crl(...head, element(0x30, nothing)),
      "an entry": crl(...head, element(0x30, element(0x30, nothing))),
      "a name": crl(head[0]!, head[1]!, element(0x30, nothing), head[3]!, head[4]!),
      "its content": crl(nothing),
      "the outermost": element(0x30, nothing),
    };
    const before = process.memoryUsage().heapUsed;
    for (const list of Object.values(made)) expect(() => parseCrl(list)).toThrow(/^(?:DER|a revocation list)/);
    // Each of them by itself would take hundreds of megabytes if its elements were held.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000);
  });

  test("of what changed, or of other issuers, are no whole lists, whether they say that it is critical or not", () => {
    const delta = { oid: "2.5.29.27", value: der.integer(1) };
    const issuer = { oid: "2.5.29.29", value: der.sequence() };
    for (const critical of [true, false]) {
      expect(() => parseCrl(list({ extensions: [{ ...delta, critical }] }))).toThrow("2.5.29.27");
      const revoked = [{ serial: 1, extensions: [{ ...issuer, critical }] }];
      expect(() => parseCrl(list({ revoked }))).toThrow("2.5.29.29");
    }
    expect(parseCrl(list({ extensions: [{ oid: "1.2.3", value: der.integer(1) }] })).revoked.size).toBe(0);
  });
});

describe("collateral out of a library in C", () => {
  test("has a zero behind every text", () => {
    const { tcbInfo, qeIdentity, rootCrl, pckCrl } = lab.intel;
    const { root: top, tcbSigner: signer, intermediate } = lab.certificates;
    const zero = (text: string) => `${text}\0`;
    const chain = (...ders: Uint8Array[]) => zero(ders.map((each) => der.pem(each)).join(""));
    const hex = (bytes: Uint8Array) => zero(Buffer.from(bytes).toString("hex"));
    const answer = (name: string, { json, signature }: typeof tcbInfo) =>
      zero(`{"${name}":${json},"signature":"${Buffer.from(signature).toString("hex")}"}`);
    const entry = qvlCollateral({
      tcb_info: answer("tcbInfo", tcbInfo),
      tcb_info_issuer_chain: chain(signer, top),
      qe_identity: answer("enclaveIdentity", qeIdentity),
      qe_identity_issuer_chain: chain(signer, top),
      root_ca_crl: hex(rootCrl),
      pck_crl: hex(pckCrl),
      pck_crl_issuer_chain: chain(intermediate, top),
    });
    expect(verdictOf(verifyQuote(lab.quote, entry, lab))).toBe("UpToDate");
  });
});

describe("calls that types would not allow", () => {
  const outcome = (evidence: unknown, collateral: unknown, options: unknown) => {
    const verification = verify(evidence as Evidence, collateral as Collateral, options as VerifyOptions);
    return verification.ok ? "accepted" : verification.failure.code;
  };
  const { evidence, collateral, now, roots } = lab;
  const detached = Uint8Array.from(lab.quote);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });

  test.each([
    ["no evidence", null, "EVIDENCE_UNKNOWN"],
    ["evidence that is no object", "quote", "EVIDENCE_UNKNOWN"],
    ["a kind of every object", { kind: "toString" }, "EVIDENCE_UNKNOWN"],
    ["no quote", { kind: "intel" }, "EVIDENCE_MALFORMED"],
    ["a quote in hex", { kind: "intel", quote: Buffer.from(lab.quote).toString("hex") }, "EVIDENCE_MALFORMED"],
    ["a list of numbers", { kind: "intel", quote: [...lab.quote] }, "EVIDENCE_MALFORMED"],
    ["a buffer", { kind: "intel", quote: lab.quote.buffer }, "EVIDENCE_MALFORMED"],
    ["a view", { kind: "intel", quote: new DataView(lab.quote.buffer) }, "EVIDENCE_MALFORMED"],
    ["words instead of bytes", { kind: "intel", quote: new Uint16Array(4096) }, "EVIDENCE_MALFORMED"],
    ["bytes that were given away", { kind: "intel", quote: detached }, "EVIDENCE_MALFORMED"],
    ["no bytes", { kind: "intel", quote: new Uint8Array() }, "EVIDENCE_MALFORMED"],
    ["a document in base64", { kind: "nitro", document: "hEOhASag" }, "EVIDENCE_MALFORMED"],
    ["no report", { kind: "snp" }, "EVIDENCE_MALFORMED"],
    [
      "certificates that are none",
      { kind: "snp", report: new Uint8Array(1184), certificates: [3] },
      "EVIDENCE_MALFORMED",
    ],
    ["no certificates", { kind: "nvidia", report: new Uint8Array(200) }, "EVIDENCE_MALFORMED"],
    ["no tokens", { kind: "nras", overall: "a.b.c", devices: ["a.b.c"] }, "EVIDENCE_MALFORMED"],
    [
      "no PCRs",
      { kind: "azure-vtpm", hclReport: lab.quote, message: lab.quote, signature: lab.quote },
      "EVIDENCE_MALFORMED",
    ],
    ["a token that is none", { kind: "cca", token: null }, "EVIDENCE_MALFORMED"],
    ["more than any evidence has", { kind: "intel", quote: new Uint8Array(4 * 1024 * 1024) }, "INPUT_TOO_LARGE"],
  ])("%s", (_, given, code) => {
    expect(outcome(given, collateral, { now, roots })).toBe(code);
  });

  test("a piece of a pool of bytes is evidence as good as any", () => {
    const pool = Buffer.concat([Buffer.alloc(77, 0xee), lab.quote, Buffer.alloc(99, 0xee)]);
    const quote = pool.subarray(77, 77 + lab.quote.length);
    expect(outcome({ kind: "intel", quote }, collateral, { now, roots })).toBe("accepted");
  });

  test.each([null, undefined, 3, "x", {}, { intel: null }, { intel: [] }])("no collateral: %j", (given) => {
    expect(outcome(evidence, given, { now, roots })).toBe("COLLATERAL_MISSING");
  });

  test.each([null, undefined, {}, { now: -1 }, { now: BigInt(now) }, { now: new Date(now) }, { now: String(now) }])(
    "no time: %#",
    (given) => {
      expect(outcome(evidence, collateral, given)).toBe("BAD_TIME");
    },
  );

  test.each([
    null,
    "x",
    { intel: undefined },
    { intel: null },
    { intel: "x" },
    { intel: ["x"] },
    { intel: lab.certificates.root },
    { amd: null },
  ])("roots that are none: %#", (given) => {
    expect(outcome(evidence, collateral, { now, roots: given })).toBe("INPUT_INVALID");
  });
});
