/** Platforms of the laboratory: what no recorded quote shows, each check failing alone. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { concat, toHex, utf8 } from "../../../src/field/bytes.js";
import { parseQuote } from "../../../src/tee/intel/quote.js";
import { DAY, LAB_NOW, makeCrl, makeKey } from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { type IntelKeys, type IntelLab, type IntelOptions, intelPlatform, LEVELS } from "../../../src/tee/lab/intel.js";
import { failedCheck, verdictOf, verifyLab, verifyQuote } from "./support.js";

const keys: IntelKeys = {
  root: makeKey("P-256"),
  intermediate: makeKey("P-256"),
  pck: makeKey("P-256"),
  tcbSigner: makeKey("P-256"),
  attestation: makeKey("P-256"),
};
const other = makeKey("P-256");
const make = (options: IntelOptions = {}) => intelPlatform({ keys, ...options });
const outcome = (options: IntelOptions): [string, string | undefined] => {
  const verification = verifyLab(make(options));
  return [verdictOf(verification), failedCheck(verification)];
};
const claimsOf = (lab: IntelLab) => {
  const verification = verifyLab(lab);
  if (!verification.ok) throw new Error(verification.failure.message);
  return verification.claims;
};

describe("every version and body verifies", () => {
  test.each([
    [3, { body: "sgx" }],
    [4, { body: "sgx", version: 4 }],
    [5, { body: "sgx", version: 5 }],
    [4, {}],
    [5, { version: 5 }],
    [5, { body: "td-1.5" }],
    [5, { body: "td-1.5-ex", tdx: { extended: new Uint8Array(237).fill(7), mrServiceTd: new Uint8Array(48).fill(8) } }],
  ] as [number, IntelOptions][])("version %i, %o", (quoteVersion, options) => {
    const claims = claimsOf(make({ ...options, userData: new Uint8Array(20).fill(3) }));
    const body = options.body ?? "td-1.0";
    expect(claims).toMatchObject({
      quoteVersion,
      body,
      family: body === "sgx" ? "sgx" : "tdx",
      status: "UpToDate",
      advisories: [],
      debug: false,
      fmspc: "0xb0c06f000000",
      userData: `0x${"03".repeat(20)}`,
      platform: { dynamicPlatform: true, cachedKeys: true, smtEnabled: true },
    });
    expect(claims.parts.every(({ behind }) => behind.length === 0)).toBe(true);
    expect(claims.sgx === undefined).toBe(body !== "sgx");
    expect(claims.tdx?.teeTcbSvn2 === undefined).toBe(!body.startsWith("td-1.5"));
    if (body === "td-1.5-ex") {
      expect(claims.tdx).toMatchObject({ mrServiceTd: `0x${"08".repeat(48)}`, extended: { vmId: "0x07" } });
    }
  });

  test("a platform of one package", () => {
    const claims = claimsOf(make({ platform: false }));
    expect("platform" in claims).toBe(false);
  });
});

describe("certificates", () => {
  const subject = (CN: string) => ({ subject: { CN, O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" } });
  const window = { notBefore: LAB_NOW - 10 * DAY, notAfter: LAB_NOW + 10 * DAY };

  test.each([
    ["the PCK certificate is revoked", { revoked: ["pck"] }, "CERT_REVOKED", "intel.pck.revocation"],
    ["the intermediate is revoked", { revoked: ["intermediate"] }, "CERT_REVOKED", "intel.pck-ca.revocation"],
    ["the TCB signer is revoked", { revoked: ["tcbSigner"] }, "CERT_REVOKED", "intel.tcb-info.revocation"],
    ["the PCK certificate's name", { pck: subject("Intel SGX PCK") }, "CHAIN_CONSTRAINTS", "intel.pck.names"],
    ["the CA's name", { intermediate: subject("Intel SGX CA") }, "CHAIN_CONSTRAINTS", "intel.pck.names"],
    ["the root's name", { root: subject("Intel SGX Root") }, "CHAIN_CONSTRAINTS", "intel.pck.names"],
    [
      "the TCB signer's name",
      { tcbSigner: subject("Intel SGX PCK Certificate") },
      "TCB_SIGNER_CN",
      "intel.tcb-info.signer",
    ],
    ["an intermediate that may sign no certificates", { intermediate: { keyUsage: ["cRLSign"] } }, "CHAIN_CONSTRAINTS"],
    ["an intermediate that may sign no lists", { intermediate: { keyUsage: ["keyCertSign"] } }, "CHAIN_CONSTRAINTS"],
    ["a path length that is exceeded", { root: { pathLength: 0 } }, "CHAIN_CONSTRAINTS", "intel.pck.chain"],
    ["a PCK certificate that is a CA", { pck: { ca: true } }, "CHAIN_CONSTRAINTS", "intel.pck.chain"],
    ["a PCK certificate for other uses", { pck: { keyUsage: ["keyAgreement"] } }, "CHAIN_CONSTRAINTS"],
    ["another issuer's name", { pck: { issuer: { CN: "Intel SGX PCK Processor CA" } } }, "CHAIN_ISSUER"],
    ["another issuer's key", { pck: { issuerKey: other } }, "CHAIN_SIGNATURE", "intel.pck.chain"],
    ["an intermediate by another root", { intermediate: { issuerKey: other } }, "CHAIN_SIGNATURE"],
    ["a TCB signer by another root", { tcbSigner: { issuerKey: other } }, "CHAIN_SIGNATURE", "intel.tcb-info.chain"],
    ["a CA on another curve", { keys: { ...keys, intermediate: makeKey("P-384") } }, "CHAIN_CONSTRAINTS"],
    ["a TCB signer on another curve", { keys: { ...keys, tcbSigner: makeKey("P-384") } }, "CHAIN_CONSTRAINTS"],
    ["a PCK certificate without the extension", { pck: { extensions: [] } }, "CERT_MALFORMED", "intel.pck.extension"],
    [
      "a critical extension that nobody knows",
      { pck: { extensions: [{ oid: "1.2.3", critical: true, value: der.nothing() }] } },
      "CHAIN_CONSTRAINTS",
    ],
    ["a root list by another key", { rootCrl: { issuerKey: other } }, "CRL_SIGNATURE", "intel.root.crl"],
    ["a PCK list by another key", { pckCrl: { issuerKey: other } }, "CRL_SIGNATURE", "intel.pck.crl"],
    ["a root list by another name", { rootCrl: { issuer: { CN: "Intel" } } }, "CRL_ISSUER_MISMATCH", "intel.root.crl"],
    [
      "a PCK list of the other CA",
      { pckCrl: { issuer: { ...subject("Intel SGX PCK Processor CA").subject } } },
      "CRL_ISSUER_MISMATCH",
      "intel.pck.crl",
    ],
    [
      "a list of what changed since another one",
      { pckCrl: { extensions: [{ oid: "2.5.29.27", critical: true, value: der.integer(1) }] } },
      "CRL_MALFORMED",
      "intel.pck.crl.format",
    ],
  ] as [string, IntelOptions, string, string?][])("%s", (_, options, code, check) => {
    const [found, failed] = outcome(options);
    expect(found).toBe(code);
    if (check) expect(failed).toBe(check);
  });

  test("an intermediate that is no CA", () => {
    const intermediate = { ca: false, pathLength: undefined } as unknown as NonNullable<IntelOptions["intermediate"]>;
    expect(outcome({ intermediate })).toEqual(["CHAIN_CONSTRAINTS", "intel.pck.chain"]);
    const bare = { ca: undefined } as unknown as NonNullable<IntelOptions["intermediate"]>;
    expect(outcome({ intermediate: bare })).toEqual(["CHAIN_CONSTRAINTS", "intel.pck.chain"]);
  });

  test("a root of nobody's, by the name of Intel's", () => {
    const lab = make();
    expect(verdictOf(verifyQuote(lab.quote, lab.intel, { now: lab.now }))).toBe("CHAIN_UNTRUSTED");
  });

  test("documents signed by a PCK certificate, or by an intermediate", () => {
    const { certificates } = make();
    const chains = [
      [keys.pck, [certificates.pck, certificates.intermediate, certificates.root]],
      [keys.intermediate, [certificates.intermediate, certificates.root]],
      [keys.root, [certificates.root]],
    ] as const;
    for (const [signer, chain] of chains) {
      expect(outcome({ tcbInfo: { signer, chain } })).toEqual(["TCB_SIGNER_CN", "intel.tcb-info.signer"]);
      expect(outcome({ qeIdentity: { signer, chain } })).toEqual(["TCB_SIGNER_CN", "intel.qe-identity.signer"]);
    }
  });

  test("documents of another root, even where that one is trusted too", () => {
    const one = make();
    const two = intelPlatform();
    const roots = { intel: [...one.roots.intel!, ...two.roots.intel!] };
    const entry = { ...one.intel, tcbInfo: two.intel.tcbInfo };
    const verification = verifyQuote(one.quote, entry, { now: one.now, roots });
    expect([verdictOf(verification), failedCheck(verification)]).toEqual(["CHAIN_UNTRUSTED", "intel.tcb-info.root"]);
    expect(verdictOf(verifyQuote(one.quote, one.intel, { now: one.now, roots }))).toBe("UpToDate");
    expect(verdictOf(verifyQuote(two.quote, two.intel, { now: one.now, roots }))).toBe("UpToDate");
  });

  test("a list revokes what it names, and nothing else", () => {
    expect(outcome({ pckCrl: { revoked: [1, 2, 4, 5, 30] } })[0]).toBe("UpToDate");
    expect(outcome({ pckCrl: { revoked: [1, 2, 3, 4] } })[0]).toBe("CERT_REVOKED");
    expect(outcome({ rootCrl: { revoked: [1, 3, 5] } })[0]).toBe("UpToDate");
    const delivered = make();
    const crl = makeCrl({ issuer: { CN: "x" }, issuerKey: keys.intermediate });
    expect(verdictOf(verifyQuote(delivered.quote, { ...delivered.intel, pckCrl: crl }, delivered))).toBe(
      "CRL_ISSUER_MISMATCH",
    );
  });

  const dated = { issueDate: window.notBefore, nextUpdate: window.notAfter };
  const listed = { thisUpdate: window.notBefore, nextUpdate: window.notAfter };
  const wide = { thisUpdate: LAB_NOW - 100 * DAY, nextUpdate: LAB_NOW + 100 * DAY };
  const everything: IntelOptions = {
    rootCrl: wide,
    pckCrl: wide,
    tcbInfo: { issueDate: wide.thisUpdate, nextUpdate: wide.nextUpdate },
    qeIdentity: { issueDate: wide.thisUpdate, nextUpdate: wide.nextUpdate },
  };
  test.each([
    ["the root", { root: window }],
    ["the intermediate", { intermediate: window }],
    ["the PCK certificate", { pck: window }],
    ["the TCB signer", { tcbSigner: window }],
    ["the root's list", { rootCrl: listed }],
    ["the list of PCK certificates", { pckCrl: listed }],
    ["TCB info", { tcbInfo: dated }],
    ["the QE identity", { qeIdentity: dated }],
  ] as [string, IntelOptions][])("the window of %s holds at both ends, and not beyond", (_, options) => {
    const lab = make({ ...everything, ...options });
    const at = (now: number) => verifyLab(lab, { now });
    const inside = at(LAB_NOW);
    expect(inside).toMatchObject({ ok: true, validFrom: window.notBefore, validUntil: window.notAfter });
    expect(verdictOf(at(window.notBefore - 1))).toBe("NOT_YET_VALID");
    expect(verdictOf(at(window.notBefore))).toBe("UpToDate");
    expect(verdictOf(at(window.notAfter))).toBe("UpToDate");
    expect(verdictOf(at(window.notAfter + 1))).toBe("EXPIRED");
  });
});

describe("documents", () => {
  const tcbInfo = (members: Record<string, unknown>): IntelOptions => ({ tcbInfo: { members } });
  const qeIdentity = (members: Record<string, unknown>): IntelOptions => ({ qeIdentity: { members } });
  const twice = (json: string) => json.replace('"version"', '"version":3,"version"');

  test.each([
    ["TCB info by another key", { tcbInfo: { signer: other } }, "TCB_INFO_SIGNATURE"],
    ["a QE identity by another key", { qeIdentity: { signer: other } }, "QE_IDENTITY_SIGNATURE"],
    ["TCB info changed after it was signed", { tcbInfo: { delivered: (json) => `${json} ` } }, "TCB_INFO_SIGNATURE"],
    ["TCB info for SGX", tcbInfo({ id: "SGX" }), "TCB_INFO_MISMATCH"],
    ["TCB info of another FMSPC", tcbInfo({ fmspc: "B0C06F000001" }), "TCB_INFO_MISMATCH"],
    ["TCB info of another PCE", tcbInfo({ pceId: "0001" }), "TCB_INFO_MISMATCH"],
    ["the QE identity of SGX", qeIdentity({ id: "QE" }), "QE_IDENTITY_MISMATCH"],
    ["the identity of another enclave", qeIdentity({ id: "QVE" }), "QE_IDENTITY_MISMATCH"],
    ["TCB info of version 2", tcbInfo({ version: 2 }), "COLLATERAL_MALFORMED"],
    ["TCB info of type 1", tcbInfo({ tcbType: 1 }), "COLLATERAL_MALFORMED"],
    ["a QE identity of version 1", qeIdentity({ version: 1 }), "COLLATERAL_MALFORMED"],
    ["a key that stands twice, signed", { tcbInfo: { text: twice } }, "COLLATERAL_MALFORMED"],
    ["text behind the document, signed", { tcbInfo: { text: (json) => `${json}{}` } }, "COLLATERAL_MALFORMED"],
    ["another MRSIGNER", qeIdentity({ mrsigner: "00".repeat(32) }), "QE_IDENTITY_MISMATCH"],
    ["another ISVPRODID", qeIdentity({ isvprodid: 3 }), "QE_IDENTITY_MISMATCH"],
    ["another MISCSELECT", qeIdentity({ miscselect: "01000000" }), "QE_IDENTITY_MISMATCH"],
    ["other attributes", qeIdentity({ attributes: `31${"00".repeat(15)}` }), "QE_IDENTITY_MISMATCH"],
  ] as [string, IntelOptions, string][])("%s", (_, options, code) => {
    expect(outcome(options)[0]).toBe(code);
  });

  test("unknown members do no harm", () => {
    expect(outcome({ ...tcbInfo({ new: [1, { a: null }] }), ...qeIdentity({ new: 1.5 }) })[0]).toBe("UpToDate");
  });

  test("the lower number of evaluation counts", () => {
    const numbers = (tcb: number, qe: number) =>
      claimsOf(make({ tcbInfo: { tcbEvaluationDataNumber: tcb }, qeIdentity: { tcbEvaluationDataNumber: qe } }))
        .tcbEvaluationDataNumber;
    expect([numbers(19, 17), numbers(17, 19)]).toEqual([17, 17]);
  });
});

describe("the quoting enclave and the quote", () => {
  const qe = (fields: NonNullable<IntelOptions["qe"]>): IntelOptions => ({ qe: fields });
  const unmasked = {
    members: { miscselectMask: "00000000", attributes: "00".repeat(16), attributesMask: "00".repeat(16) },
  };

  test.each([
    ["a report by another key", { signers: { qeReport: other } }, "QE_REPORT_SIGNATURE"],
    ["a quote by another key", { signers: { quote: other } }, "QUOTE_SIGNATURE"],
    ["a report that vouches for nothing", qe({ reportData: [] }), "QE_REPORT_DATA"],
    ["another MRSIGNER", qe({ mrSigner: [1] }), "QE_IDENTITY_MISMATCH"],
    ["another ISVPRODID", qe({ isvProdId: 9 }), "QE_IDENTITY_MISMATCH"],
    ["another MISCSELECT", qe({ miscSelect: [1] }), "QE_IDENTITY_MISMATCH"],
    ["debug mode", qe({ attributes: [0x17] }), "QE_IDENTITY_MISMATCH"],
    [
      "debug mode where the identity does not mask it",
      { ...qe({ attributes: [0x17] }), qeIdentity: unmasked },
      "QE_IDENTITY_MISMATCH",
    ],
    ["another vendor", { header: { qeVendorId: [1, 2, 3] } }, "QE_VENDOR_ID"],
  ] as [string, IntelOptions, string][])("%s", (_, options, code) => {
    expect(outcome(options)[0]).toBe(code);
  });

  test("masks hide what they leave out", () => {
    const options = { ...qe({ miscSelect: [0, 0, 0, 9], attributes: [0x01, 0, 0, 0, 0, 0, 0, 0, 0xff] }) };
    expect(outcome(options)[0]).toBe("QE_IDENTITY_MISMATCH");
    expect(outcome({ ...options, qeIdentity: { members: { ...unmasked.members, miscselect: "00000000" } } })[0]).toBe(
      "UpToDate",
    );
  });

  test("the second half of the QE's report data is zero", () => {
    const reportData = parseQuote(make().quote).qeReport.reportData;
    expect(outcome(qe({ reportData }))[0]).toBe("UpToDate");
    expect(outcome(qe({ reportData: concat(reportData.subarray(0, 63), Uint8Array.of(1)) }))[0]).toBe("QE_REPORT_DATA");
  });

  test("QE's data of any length", () => {
    expect(outcome(qe({ authenticationData: [] }))[0]).toBe("UpToDate");
    expect(outcome(qe({ authenticationData: new Uint8Array(5000) }))[0]).toBe("UpToDate");
  });

  test("an attestation key that is no point, vouched for", () => {
    const auth = Uint8Array.from({ length: 32 }, (_, i) => i);
    const point = new Uint8Array(64).fill(1);
    const digest = createHash("sha256").update(point).update(auth).digest();
    const lab = make(qe({ reportData: new Uint8Array(digest) }));
    const quote = Uint8Array.from(lab.quote);
    quote.set(point, parseQuote(quote).attestationKey.byteOffset);
    expect(verdictOf(verifyQuote(quote, lab.intel, lab))).toBe("EVIDENCE_MALFORMED");
  });

  test("debug mode is a claim for who asks for it, and a failure otherwise", () => {
    for (const body of ["sgx", "td-1.0", "td-1.5"] as const) {
      const lab = make({ body, debug: true });
      expect(verdictOf(verifyLab(lab))).toBe("DEBUG_ENABLED");
      expect(verifyLab(lab, { allowDebug: true })).toMatchObject({ ok: true, claims: { debug: true } });
    }
  });
});

describe("PCK certificates that a quote only names", () => {
  const ppid = new Uint8Array(404);
  const named = (type: number, body: "sgx" | "td-1.0" = "sgx") =>
    make({ body, certificationData: { type, data: ppid } });

  test.each([1, 2, 3, 4])("certification data of type %i", (type) => {
    const lab = named(type);
    const { pck, intermediate, root } = lab.certificates;
    const verdict = (pckChain: Uint8Array[]) => verdictOf(verifyQuote(lab.quote, { ...lab.intel, pckChain }, lab));
    expect(verdictOf(verifyLab(lab))).toBe("COLLATERAL_MISSING");
    expect(verdict([])).toBe("COLLATERAL_MISSING");
    expect(verdict([pck, intermediate, root])).toBe("UpToDate");
    expect(verdict([pck, intermediate])).toBe("UpToDate");
    // The issuer comes with the revocation list.
    expect(verdict([pck])).toBe("UpToDate");
    expect(verdict([intermediate, root])).toBe("CHAIN_CONSTRAINTS");
    const used = verifyQuote(lab.quote, { ...lab.intel, pckChain: [pck] }, lab).collateral;
    expect(used.map(({ kind }) => kind)).toContain("intel.pck-certificate");
  });

  test("another platform's certificate did not sign the quoting enclave's report", () => {
    const lab = named(3);
    const stranger = intelPlatform({ keys: { ...keys, pck: other }, body: "sgx" });
    const pckChain = [stranger.certificates.pck];
    expect(verdictOf(verifyQuote(lab.quote, { ...lab.intel, pckChain }, lab))).toBe("QE_REPORT_SIGNATURE");
    const entries = [
      { ...lab.intel, pckChain },
      { ...lab.intel, pckChain: [lab.certificates.pck] },
    ];
    expect(verdictOf(verifyQuote(lab.quote, entries, lab))).toBe("UpToDate");
    expect(verdictOf(verifyQuote(lab.quote, [entries[0]!, entries[0]!], lab))).toBe("COLLATERAL_MISSING");
  });

  test("of several sets that fit, one that holds now is taken, else the latest", () => {
    const lab = make();
    const chain = [lab.certificates.tcbSigner, lab.certificates.root];
    const of = (from: number, to: number) => {
      const dated = { issueDate: LAB_NOW + from * DAY, nextUpdate: LAB_NOW + to * DAY, chain };
      return { ...lab.intel, tcbInfo: make({ tcbInfo: dated }).intel.tcbInfo };
    };
    const [old, now, later, future] = [of(-90, -60), of(-20, 5), of(-10, 20), of(1, 60)];
    const verdict = (...entries: (typeof old)[]) => verdictOf(verifyQuote(lab.quote, entries, lab));
    expect(verdict(old, now, future)).toBe("UpToDate");
    expect(verdict(future, now, old)).toBe("UpToDate");
    expect(verdict(old, future)).toBe("NOT_YET_VALID");
    expect(verdict(old, old)).toBe("EXPIRED");
    const taken = verifyQuote(lab.quote, [now, later, now], lab).collateral.find(
      ({ kind }) => kind === "intel.tcb-info",
    );
    expect(taken!.issued).toBe(LAB_NOW - 10 * DAY);
  });

  test("certificates of a quote stand alone in their text", () => {
    const lab = make();
    const { pck, intermediate, root } = lab.certificates;
    const text = (between: string) => utf8([pck, intermediate, root].map((each) => der.pem(each)).join(between));
    const verdict = (data: Uint8Array) => {
      const { quote } = make({ certificationData: { data } });
      return verdictOf(verifyQuote(quote, lab.intel, { now: lab.now, roots: lab.roots }));
    };
    expect(verdict(text(""))).toBe("UpToDate");
    expect(verdict(text("\r\n\n"))).toBe("UpToDate");
    expect(verdict(text("a comment\n"))).toBe("CERT_MALFORMED");
    expect(verdict(text("-----BEGIN "))).toBe("CERT_MALFORMED");
    expect(verdict(utf8(""))).toBe("CERT_MALFORMED");
    expect(verdict(utf8(der.pem(pck).repeat(11)))).toBe("CHAIN_INCOMPLETE");
    expect(verdict(utf8(der.pem(intermediate)))).toBe("CHAIN_CONSTRAINTS");
    expect(verdict(pck)).toBe("CERT_MALFORMED");
  });
});

describe("TCB levels", () => {
  const tdx = (svns: readonly number[], rest: IntelOptions = {}): IntelOptions => ({
    ...rest,
    tdx: { teeTcbSvn: svns },
  });

  test.each([
    ["what the newest level needs", {}, "UpToDate"],
    ["a level below", { cpuSvn: LEVELS.older.sgx, pceSvn: 11 }, "OutOfDate"],
    ["PCE's SVN alone below", { pceSvn: 12 }, "OutOfDate"],
    ["one SGX component below", { cpuSvn: [4, 4, 2, 2, 3, 1, 0, 5] }, "OutOfDate"],
    ["one TDX component below", tdx([6, 1, 3]), "OutOfDate"],
    ["the module alone below", tdx([5, 1, 4]), "OutOfDate"],
    ["below every level", { cpuSvn: [1] }, "TCB_NOT_SUPPORTED"],
    ["PCE's SVN below every level", { pceSvn: 10 }, "TCB_NOT_SUPPORTED"],
    ["a TDX component below every level", tdx([6, 1, 1]), "TCB_NOT_SUPPORTED"],
    ["the module below every level", tdx([3, 1, 4]), "TCB_NOT_SUPPORTED"],
    ["the QE below every level", { qe: { isvSvn: 5 } }, "TCB_NOT_SUPPORTED"],
    ["the QE a level below", { qe: { isvSvn: 7 } }, "OutOfDate"],
    ["a module of a generation that nobody knows", tdx([6, 2, 4]), "TDX_MODULE_MISMATCH"],
    ["a revoked level is a status", { statuses: { platform: "Revoked" } }, "Revoked"],
    ["a revoked module is a status", { statuses: { module: "Revoked" } }, "Revoked"],
    ["a revoked QE is a status", { statuses: { qe: "Revoked" } }, "Revoked"],
    [
      "configuration needed, and the module below",
      tdx([4, 1, 4], { statuses: { platform: "ConfigurationNeeded" } }),
      "OutOfDateConfigurationNeeded",
    ],
  ] as [string, IntelOptions, string][])("%s", (_, options, verdict) => {
    expect(outcome(options)[0]).toBe(verdict);
  });

  test("a module of the first generation is judged by the platform's levels alone", () => {
    const levels = [{ ...LEVELS.newest, tdx: [6, 0, 4, ...Array<number>(13).fill(0)], status: "UpToDate" as const }];
    expect(outcome({ ...tdx([6, 0, 4]), tcbInfo: { levels } })[0]).toBe("UpToDate");
    expect(outcome({ ...tdx([5, 0, 4]), tcbInfo: { levels } })[0]).toBe("TCB_NOT_SUPPORTED");
  });

  test("Phala's library compares all 16 SVNs: from the second generation on, two belong to the module", () => {
    const levels = [{ ...LEVELS.newest, tdx: [99, 9, 4, ...Array<number>(13).fill(0)], status: "UpToDate" as const }];
    expect(outcome({ tcbInfo: { levels } })[0]).toBe("UpToDate");
  });

  test("the module is Intel's: signer and attributes, of its own generation", () => {
    const signed = (fields: NonNullable<IntelOptions["tdx"]>) => outcome({ tdx: fields })[0];
    expect(signed({ mrSignerSeam: [1] })).toBe("TDX_MODULE_MISMATCH");
    expect(signed({ seamAttributes: [1] })).toBe("TDX_MODULE_MISMATCH");
    const modules = (identity: { mrSigner?: number[]; attributes?: number[] }) => ({
      tcbInfo: { modules: [{ id: "tdx_01", ...identity, levels: [{ isvSvn: 6, status: "UpToDate" as const }] }] },
    });
    expect(outcome(modules({}))[0]).toBe("UpToDate");
    expect(outcome(modules({ mrSigner: [1] }))[0]).toBe("TDX_MODULE_MISMATCH");
    expect(outcome({ ...modules({ mrSigner: [1] }), tdx: { mrSignerSeam: [1] } })[0]).toBe("UpToDate");
    // Attributes are equal, and zero all the same.
    expect(outcome({ ...modules({ attributes: [1] }), tdx: { seamAttributes: [1] } })[0]).toBe("TDX_MODULE_MISMATCH");
    expect(outcome({ tcbInfo: { members: { tdxModuleIdentities: undefined } } })[0]).toBe("TDX_MODULE_MISMATCH");
  });
});

describe("a TD that outlives an update of the module", () => {
  const at = (launch: readonly number[], now: readonly number[], rest: IntelOptions = {}) =>
    make({ body: "td-1.5", tdx: { teeTcbSvn: launch, teeTcbSvn2: now }, ...rest });

  test("is advised to launch again", () => {
    const claims = claimsOf(at([4, 1, 4], [6, 1, 4]));
    expect(claims.status).toBe("RelaunchAdvised");
    expect(claims.parts.map(({ part, status }) => `${part}: ${status}`)).toEqual([
      "platform: UpToDate",
      "module: UpToDate",
      "quoting enclave: UpToDate",
      "platform at launch: UpToDate",
      "module at launch: OutOfDate",
    ]);
    expect(claims.advisories).toEqual(["INTEL-SA-01099"]);
    expect(claims.tcbDate).toBe("2024-03-13T00:00:00Z");
    expect(claims.tdx).toMatchObject({
      teeTcbSvn: toHex(Uint8Array.from([4, 1, 4, ...Array(13).fill(0)])),
      module: "TDX_01",
    });
  });

  test.each([
    [
      "and to configure it",
      at([4, 1, 4], [6, 1, 4], { statuses: { platform: "ConfigurationNeeded" } }),
      "RelaunchAdvisedConfigurationNeeded",
    ],
    ["not if it is still out of date", at([4, 1, 4], [5, 1, 4]), "OutOfDate"],
    ["not if the platform is out of date anyway", at([4, 1, 4], [6, 1, 4], { pceSvn: 12 }), "OutOfDate"],
    ["not if nothing was wrong at launch", at([6, 1, 4], [7, 1, 4]), "UpToDate"],
    ["revoked stays revoked", at([4, 1, 4], [6, 1, 4], { statuses: { platform: "Revoked" } }), "Revoked"],
    ["what runs now counts too", at([6, 1, 4], [4, 1, 4]), "OutOfDate"],
    ["a generation that nobody knows", at([6, 1, 4], [6, 2, 4]), "TCB_NOT_SUPPORTED"],
    ["launched below every level", at([3, 1, 4], [6, 1, 4]), "TCB_NOT_SUPPORTED"],
    ["another generation since", at([4, 1, 4], [3, 3, 4]), "RelaunchAdvised"],
  ] as [string, IntelLab, string][])("%s", (_, lab, verdict) => {
    expect(verdictOf(verifyLab(lab))).toBe(verdict);
  });
});
