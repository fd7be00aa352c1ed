import { describe, expect, it } from "vitest";
import { concat } from "../../../src/field/bytes.js";
import type { Collateral } from "../../../src/tee/collateral.js";
import {
  type CertificateOptions,
  cachedKey,
  DAY,
  makeCertificate,
  makeCrl,
} from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { type SnpLab, type SnpOptions, snpProcessor } from "../../../src/tee/lab/snp.js";
import { parseCertificate } from "../../../src/tee/x509.js";
import { outcome, verify } from "./fixture.js";

const NAME = { OU: "Engineering", C: "US", L: "Santa Clara", ST: "CA", O: "Advanced Micro Devices" };

const check = (lab: SnpLab, collateral: Collateral = lab.collateral, now = lab.now) =>
  verify(lab.evidence, { now, roots: lab.roots }, collateral);
const run = (options: SnpOptions = {}) => outcome(check(snpProcessor(options)));

/** The processor's report with other certificates beside it. */
function beside(lab: SnpLab, ...certificates: Uint8Array[]): string {
  return outcome(check({ ...lab, evidence: { ...lab.evidence, certificates } }));
}

describe("a laboratory's processors", () => {
  const milan = snpProcessor();
  const aws = snpProcessor({ signingKey: "VLEK" });

  it("are accepted, whatever the product, the version and the key", () => {
    for (const product of ["Milan", "Genoa", "Turin"] as const) {
      for (const reportVersion of [2, 3, 4, 5]) {
        for (const signingKey of ["VCEK", "VLEK"] as const) {
          const verification = check(snpProcessor({ product, reportVersion, signingKey }));
          expect(verification, `${product} ${reportVersion} ${signingKey}`).toMatchObject({
            claims: { product, reportVersion, signingKey, revocation: "good" },
          });
          expect(verification.checks.filter((each) => each.outcome !== "pass")).toEqual([]);
        }
      }
    }
    expect(run({ apart: true })).toBe("ok");
  });

  it("say what their reports hold", () => {
    const tcb = { bootloader: 1, tee: 2, snp: 3, microcode: 4 };
    const verification = check(
      snpProcessor({
        product: "Turin",
        vmpl: 2,
        guestSvn: 7,
        familyId: [1, 2],
        imageId: [3],
        policy: { abiMajor: 1, abiMinor: 2, smt: false, migrateMa: true, singleSocket: true, unknownBits: [26, 63] },
        platformInfo: { smt: false, tio: true, unknownBits: [6, 40] },
        tcb: { all: { fmc: 9, ...tcb }, current: { microcode: 6 }, committed: { microcode: 5 } },
        authorKeyEnabled: true,
        currentVersion: "1.58.3",
        committedVersion: "1.57.2",
        mitigations: { launch: 0x8000000000000001n, current: 2n },
        edit: (report) => {
          report[0x19f] = 1;
          report[0x4b] = 1;
        },
      }),
    );
    expect(verification).toMatchObject({
      claims: {
        vmpl: 2,
        guestSvn: 7,
        familyId: `0x0102${"00".repeat(14)}`,
        imageId: `0x03${"00".repeat(15)}`,
        policy: {
          raw: "0x8000000004160102",
          abiMajor: 1,
          abiMinor: 2,
          smt: false,
          migrateMa: true,
          singleSocket: true,
        },
        platformInfo: { raw: "0x00000100000000e0", aliasCheckComplete: true, tio: true, unknownBits: [6, 40] },
        tcb: {
          reported: { fmc: 9, ...tcb },
          committed: { fmc: 9, ...tcb, microcode: 5 },
          current: { fmc: 9, ...tcb, microcode: 6 },
          launch: { fmc: 9, ...tcb },
        },
        authorKeyEnabled: true,
        currentVersion: "1.58.3",
        committedVersion: "1.57.2",
        mitigations: { launch: "0x8000000000000001", current: "0x0000000000000002" },
      },
      notes: [
        "bits of the guest's policy that this release does not know: 26, 63",
        "bits of the platform info that this release does not know: 6, 40",
        "bits of the key flags that this release does not know: 24",
        "reserved bytes of the report are not zero, at 0x19f: firmware is newer than this release",
      ],
    });
  });

  it("run in debug mode", () => {
    expect(run({ debug: true })).toBe("DEBUG_ENABLED");
  });

  it("sign with another key than their certificate's", () => {
    expect(run({ signer: cachedKey("P-384", "stranger") })).toBe("REPORT_SIGNATURE");
    expect(run({ leaf: { key: cachedKey("P-256", "small") } })).toBe("CHAIN_CONSTRAINTS");
  });

  it("have reports that contradict themselves", () => {
    const tcb = (changes: SnpOptions["tcb"]) => run({ tcb: changes! });
    for (const component of ["bootloader", "tee", "snp", "microcode"] as const) {
      expect(tcb({ reported: { [component]: 220 } })).toBe("TCB_INCONSISTENT");
      expect(tcb({ committed: { [component]: 220 } })).toBe("TCB_INCONSISTENT");
      expect(tcb({ launch: { [component]: 220 } })).toBe("TCB_INCONSISTENT");
      expect(tcb({ current: { [component]: 220 } })).toBe("ok");
    }
    // Above in one component and below in another is above.
    expect(tcb({ committed: { snp: 25, microcode: 1 } })).toBe("TCB_INCONSISTENT");
    const turin = (changes: SnpOptions["tcb"]) => run({ product: "Turin", tcb: changes! });
    expect(turin({ reported: { fmc: 2 } })).toBe("TCB_INCONSISTENT");
    expect(turin({ reported: { fmc: 0 } })).toBe("ok");
    // Signed, and so by firmware that breaks its own specification.
    expect(run({ policyRaw: 0x1001fn })).toBe("EVIDENCE_MALFORMED");
    expect(run({ vmpl: 4 })).toBe("EVIDENCE_MALFORMED");
    expect(run({ vmpl: 0xffffffff })).toBe("EVIDENCE_MALFORMED");
    expect(run({ signatureAlgorithm: 2 })).toBe("UNSUPPORTED_REPORT_VERSION");
    expect(run({ flags: 7 << 2 })).toBe("SIGNING_KEY_MISMATCH");
    expect(run({ flags: 2 << 2 })).toBe("SIGNING_KEY_MISMATCH");
  });

  it("are of another product than their certificate, in every pair", () => {
    const cpuid = (family: number, model: number, product: SnpOptions["product"] = "Milan") =>
      run({ product: product!, cpuid: { family, model, stepping: 0 } });
    for (const model of [0x00, 0x01, 0x0f]) expect(cpuid(0x19, model)).toBe("ok");
    for (const model of [0x10, 0x11, 0x1f, 0xa0, 0xa1, 0xaf]) {
      expect(cpuid(0x19, model)).toBe("PRODUCT_MISMATCH");
      expect(cpuid(0x19, model, "Genoa")).toBe("ok");
    }
    for (const model of [0x00, 0x02, 0x11]) {
      expect(cpuid(0x1a, model)).toBe("PRODUCT_MISMATCH");
      expect(cpuid(0x1a, model, "Turin")).toBe("ok");
    }
    for (const product of ["Milan", "Genoa", "Turin"] as const) {
      for (const [family, model] of [
        [0, 0],
        [0x17, 1],
        [0x19, 0x20],
        [0x19, 0xb0],
        [0x1a, 0x50],
        [0x1b, 0],
      ] as const) {
        expect(cpuid(family, model, product)).toBe("PRODUCT_MISMATCH");
      }
    }
    expect(run({ leafSays: { productName: "Genoa-B1" } })).toBe("PRODUCT_MISMATCH");
    expect(run({ leafSays: { productName: "Milano" } })).toBe("PRODUCT_MISMATCH");
    expect(run({ leafSays: { productName: "Milan" } })).toBe("ok");
    for (const productName of ["Genoa", "Genoa-A0", "Genoa-B2", "Bergamo", "Bergamo-A1", "Siena-A1"]) {
      expect(run({ product: "Genoa", leafSays: { productName } }), productName).toBe("ok");
      expect(run({ leafSays: { productName } }), productName).toBe("PRODUCT_MISMATCH");
      expect(run({ product: "Turin", leafSays: { productName } }), productName).toBe("PRODUCT_MISMATCH");
    }
    expect(run({ leafSays: { productName: null } })).toBe("CERT_MALFORMED");
  });

  it("have a certificate for another TCB", () => {
    for (const component of ["bootloader", "tee", "snp", "microcode"] as const) {
      expect(run({ leafSays: { tcb: { [component]: 3 } } }), component).toBe("TCB_EXT_MISMATCH");
    }
    expect(run({ product: "Turin", leafSays: { tcb: { fmc: 2 } } })).toBe("TCB_EXT_MISMATCH");
    // One of Turin's components in a certificate of Milan, and above a byte.
    expect(run({ leafSays: { tcb: { fmc: 1 } } })).toBe("TCB_EXT_MISMATCH");
    expect(run({ leafSays: { tcb: { microcode: 256 + 219 } } })).toBe("CERT_MALFORMED");
    // Reserved bytes are compared too.
    expect(run({ edit: (report) => report.fill(1, 0x182, 0x183) })).toBe("TCB_EXT_MISMATCH");
  });

  it("have a certificate of another chip, or of none", () => {
    expect(run({ leafSays: { hwId: new Uint8Array(64).fill(1) } })).toBe("CHIP_ID_MISMATCH");
    expect(run({ leafSays: { hwId: null } })).toBe("CHIP_ID_MISMATCH");
    expect(run({ leafSays: { hwId: new Uint8Array(63).fill(0xc1) } })).toBe("CERT_MALFORMED");
    expect(run({ leafSays: { hwId: der.octetString(new Uint8Array(63).fill(0xc1)) } })).toBe("CERT_MALFORMED");
    expect(run({ leafSays: { hwId: der.octetString(new Uint8Array(64).fill(0xc1)) } })).toBe("ok");
    // Turin's chips have 8 bytes, and 8 bytes of 64 are another chip's.
    expect(run({ product: "Turin", leafSays: { hwId: new Uint8Array(64).fill(0xc1) } })).toBe("CERT_MALFORMED");
    expect(run({ product: "Turin", chipId: new Uint8Array(64).fill(0xc1) })).toBe("CHIP_ID_MISMATCH");
    expect(run({ leafSays: { hwId: new Uint8Array(8).fill(0xc1) } })).toBe("CERT_MALFORMED");
    // A report that hides its chip says nothing about whose it is, and masked keys sign nothing.
    const hidden = new Uint8Array(64);
    expect(run({ chipId: hidden, leafSays: { hwId: hidden } })).toBe("CHIP_ID_MISMATCH");
    expect(run({ chipId: hidden, leafSays: { hwId: new Uint8Array(64).fill(0xc1) } })).toBe("CHIP_ID_MISMATCH");
    expect(run({ flags: 2 })).toBe("SIGNING_KEY_MISMATCH");
    // A VLEK vouches for a cloud, whether the report names the chip or not.
    expect(run({ signingKey: "VLEK", chipId: new Uint8Array(64).fill(0xc1) })).toBe("ok");
    expect(run({ signingKey: "VLEK", flags: (1 << 2) | 2 })).toBe("ok");
  });

  it("have a VLEK where the report names a VCEK, and the reverse", () => {
    // The key signs the report, so that only its kind is wrong: microsoft/TEE-Attestation-Verification #142.
    expect(run({ signingKey: "VLEK", flags: 0 })).toBe("SIGNING_KEY_MISMATCH");
    expect(run({ flags: 1 << 2 })).toBe("SIGNING_KEY_MISMATCH");
    // Each sign of the kind alone.
    const subject = (CN: string) => ({ subject: { ...NAME, CN } });
    expect(run({ leaf: subject("SEV-VLEK") })).toBe("SIGNING_KEY_MISMATCH");
    expect(run({ leaf: subject("SEV-VCEK ") })).toBe("SIGNING_KEY_MISMATCH");
    expect(run({ leafSays: { cspId: "CN=cloud" } })).toBe("SIGNING_KEY_MISMATCH");
    const vlek = (options: SnpOptions) => run({ signingKey: "VLEK", ...options });
    expect(vlek({ leaf: subject("SEV-VCEK") })).toBe("SIGNING_KEY_MISMATCH");
    expect(vlek({ leafSays: { hwId: new Uint8Array(64).fill(0xc1) } })).toBe("SIGNING_KEY_MISMATCH");
    expect(vlek({ leafSays: { cspId: null } })).toBe("SIGNING_KEY_MISMATCH");
    expect(vlek({ leafSays: { cspId: "" } })).toBe("SIGNING_KEY_MISMATCH");
    // By the other intermediate, with a signature and names that chain.
    const { asvk, ask } = snpProcessor().keys;
    const issuedBy = (CN: string, issuerKey: CertificateOptions["issuerKey"]) => ({
      leaf: { issuer: { ...NAME, CN }, issuerKey: issuerKey! },
    });
    expect(run(issuedBy("SEV-VLEK-Milan", asvk))).toBe("SIGNING_KEY_MISMATCH");
    expect(vlek(issuedBy("SEV-Milan", ask))).toBe("SIGNING_KEY_MISMATCH");
  });

  it("have chains that break a rule", () => {
    const { ark, ask, leaf } = milan.certificates;
    const stranger = cachedKey("RSA-4096", "stranger");
    expect(run({ leaf: { issuerKey: stranger } })).toBe("CHAIN_SIGNATURE");
    expect(run({ ask: { issuerKey: stranger } })).toBe("CHAIN_SIGNATURE");
    const plain = makeCertificate({
      subject: { ...NAME, CN: "SEV-Milan" },
      issuer: { ...NAME, CN: "ARK-Milan" },
      key: milan.keys.ask,
      issuerKey: milan.keys.ark,
    });
    expect(beside(milan, leaf, plain)).toBe("CHAIN_CONSTRAINTS");
    expect(run({ ask: { keyUsage: ["digitalSignature"] } })).toBe("CHAIN_CONSTRAINTS");
    expect(run({ ask: { key: cachedKey("RSA-2048", "short") } })).toBe("CHAIN_CONSTRAINTS");
    expect(run({ ask: { algorithm: "rsa-sha384" } })).toBe("CHAIN_CONSTRAINTS");
    expect(run({ leaf: { algorithm: "rsa-pss-sha256" } })).toBe("CHAIN_CONSTRAINTS");
    expect(run({ leaf: { keyUsage: ["keyCertSign"] } })).toBe("CHAIN_CONSTRAINTS");
    expect(run({ leaf: { ca: true } })).toBe("COLLATERAL_MISSING");
    const said = [...parseCertificate(leaf).extensions].map(([oid, { value }]) => ({ oid, value, critical: true }));
    const extended = (...more: typeof said) => run({ leaf: { extensions: [...said, ...more] } });
    expect(extended()).toBe("ok");
    expect(extended({ oid: "1.2.3", value: der.nothing(), critical: true })).toBe("CHAIN_CONSTRAINTS");
    expect(extended({ oid: "1.2.3", value: der.nothing(), critical: false })).toBe("ok");
    // The specification of another chip behind the first: a reader of the last one would see another certificate.
    expect(extended({ ...said.at(-1)!, value: new Uint8Array(64) })).toBe("CERT_MALFORMED");
    const version = { oid: said[0]!.oid, critical: false };
    const others = said.slice(1);
    const structured = (...first: typeof said) => run({ leaf: { extensions: [...first, ...others] } });
    expect(structured({ ...version, value: der.integer(0) })).toBe("ok");
    expect(structured({ ...version, value: der.integer(2) })).toBe("CERT_MALFORMED");
    expect(structured()).toBe("CERT_MALFORMED");
    for (const { oid } of said.filter((each) => /\.3\.[1238]$/.test(each.oid))) {
      expect(run({ leaf: { extensions: said.filter((each) => each.oid !== oid) } }), oid).toBe("TCB_EXT_MISMATCH");
    }
    // Reserved components count as zero where they are left out.
    expect(run({ leaf: { extensions: said.filter((each) => !/\.3\.[4567]$/.test(each.oid)) } })).toBe("ok");
    // Another root of the same name, with everything below it.
    const own = makeCertificate({ subject: { ...NAME, CN: "ARK-Milan" }, key: stranger, ca: true });
    const below = makeCertificate({
      subject: { ...NAME, CN: "SEV-Milan" },
      issuer: { ...NAME, CN: "ARK-Milan" },
      key: milan.keys.ask,
      issuerKey: stranger,
      ca: true,
    });
    expect(beside(milan, leaf, below, own)).toBe("CHAIN_UNTRUSTED");
    expect(beside(milan, leaf, below)).toBe("CHAIN_SIGNATURE");
    expect(beside(milan, leaf, ask, ark, milan.certificates.asvk)).toBe("ok");
  });

  it("take the intermediate that signed, of several with one name", () => {
    const { leaf, ask } = milan.certificates;
    const decoy = (serial: number) =>
      makeCertificate({
        subject: { ...NAME, CN: "SEV-Milan" },
        issuer: { ...NAME, CN: "ARK-Milan" },
        key: cachedKey("RSA-4096", "stranger"),
        issuerKey: milan.keys.ark,
        serial,
        ca: true,
      });
    expect(beside(milan, decoy(5), leaf, ask)).toBe("ok");
    expect(beside(milan, decoy(5), leaf)).toBe("CHAIN_SIGNATURE");
    const amd = { certificates: [decoy(5)], crls: [] };
    expect(outcome(check({ ...milan, evidence: { ...milan.evidence, certificates: [leaf] } }, { amd }))).toBe("ok");
    const many = Array.from({ length: 9 }, (_, i) => decoy(100 + i));
    expect(beside(milan, leaf, ...many)).toBe("CHAIN_INCOMPLETE");
  });

  it("take the certificate that is valid, of several for one key", () => {
    const old = snpProcessor({ leaf: { key: milan.keys.leaf, notAfter: milan.now - 1 } }).certificates.leaf;
    const { leaf } = milan.certificates;
    for (const certificates of [
      [old, leaf],
      [leaf, old],
    ])
      expect(beside(milan, ...certificates)).toBe("ok");
    expect(beside(milan, old)).toBe("EXPIRED");
    // Certificates of other chips and kinds are passed over; the first one's failure is told if none is left.
    expect(beside(milan, aws.certificates.leaf, snpProcessor().certificates.leaf, leaf)).toBe("ok");
    expect(beside(milan, aws.certificates.leaf, snpProcessor().certificates.leaf)).toBe("REPORT_SIGNATURE");
  });
});

describe("AMD's revocation lists", () => {
  const lab = snpProcessor();
  const vlek = snpProcessor({ signingKey: "VLEK" });
  const issuer = { ...NAME, CN: "ARK-Milan" };
  const window = { thisUpdate: lab.now - DAY, nextUpdate: lab.now + DAY };
  const list = (options: Partial<Parameters<typeof makeCrl>[0]> = {}) =>
    makeCrl({ issuer, issuerKey: lab.keys.ark, ...window, ...options });
  const against = (processor: SnpLab, ...crls: Uint8Array[]) =>
    outcome(check(processor, { amd: { certificates: [], crls } }));

  it("are looked at where there are any", () => {
    const without = check(lab, {});
    expect(without).toMatchObject({ ok: true, claims: { revocation: "unchecked" } });
    expect(without.checks.at(-1)).toMatchObject({ id: "snp.ask.revocation", outcome: "unchecked" });
    const verification = check(lab, { amd: { certificates: [], crls: [list()] } });
    expect(verification).toMatchObject({ ok: true, claims: { revocation: "good" }, validUntil: lab.now + DAY });
    expect(verification.collateral.find(({ kind }) => kind === "amd.crl")).toMatchObject({ issued: lab.now - DAY });
  });

  it("revoke what they name", () => {
    expect(run({ revoked: ["ask"] })).toBe("CERT_REVOKED");
    expect(run({ revoked: ["asvk"] })).toBe("ok");
    expect(run({ signingKey: "VLEK", revoked: ["asvk"] })).toBe("CERT_REVOKED");
    expect(run({ signingKey: "VLEK", revoked: ["ask"] })).toBe("ok");
    expect(run({ signingKey: "VLEK", revoked: ["leaf"] })).toBe("CERT_REVOKED");
    expect(against(lab, list({ revoked: [0x10000] }))).toBe("CERT_REVOKED");
    // One of two lists is enough.
    expect(against(lab, list(), list({ revoked: [0x10001], number: 2 }))).toBe("CERT_REVOKED");
  });

  it("count only in their window", () => {
    const at = (now: number) => outcome(check(lab, { amd: { certificates: [], crls: [list()] } }, now));
    const { thisUpdate, nextUpdate } = window;
    expect(at(thisUpdate - 1)).toBe("NOT_YET_VALID");
    expect([at(thisUpdate), at(nextUpdate)]).toEqual(["ok", "ok"]);
    expect(at(nextUpdate + 1)).toBe("EXPIRED");
  });

  it("are AMD's own, whole and signed", () => {
    const stranger = cachedKey("RSA-4096", "stranger");
    expect(against(lab, list({ issuerKey: stranger }))).toBe("CRL_SIGNATURE");
    expect(against(lab, list({ issuer: { ...NAME, CN: "ARK-Naples" } }))).toBe("CRL_ISSUER_MISMATCH");
    expect(against(lab, list().subarray(1))).toBe("CRL_MALFORMED");
    expect(against(lab, Uint8Array.of(0))).toBe("CRL_MALFORMED");
    expect(against(lab, new Uint8Array())).toBe("CRL_MALFORMED");
    expect(against(lab, concat(list(), Uint8Array.of(0)))).toBe("CRL_MALFORMED");
    // The ASK may not sign lists, and one that may speaks for what it issued.
    const ask = { issuer: { ...NAME, CN: "SEV-Milan" }, issuerKey: lab.keys.ask };
    expect(against(lab, list(ask))).toBe("CHAIN_CONSTRAINTS");
    const signing = snpProcessor({ ask: { keyUsage: ["keyCertSign", "cRLSign"] }, leaf: { serial: 77 } });
    expect(against(signing, list(ask))).toBe("ok");
    expect(against(signing, list({ ...ask, revoked: [77] }))).toBe("CERT_REVOKED");
  });

  it("of other products say nothing", () => {
    const genoa = snpProcessor({ product: "Genoa" });
    const roots = { amd: { ...lab.roots.amd!, Genoa: genoa.roots.amd!.Genoa } };
    const [other] = genoa.collateral.amd!.crls;
    const verification = check({ ...lab, roots }, { amd: { certificates: [], crls: [other!] } });
    expect(verification).toMatchObject({ ok: true, claims: { revocation: "unchecked" } });
    expect(against(vlek, list({ revoked: [0x10001] }))).toBe("ok");
  });
});
