import { describe, expect, it } from "vitest";
import { parseSnpReport } from "../../../src/tee/snp/report.js";
import { outcomeOf } from "../../support/errors.js";
import { type Case, cases, VECTORS, vector } from "../vectors.js";
import { AMD, flip, outcome, real, verify } from "./fixture.js";

const whole = cases("snp").filter(({ files }) => files.includes("vek.der"));
const accepted = whole.filter(({ id }) => !id.startsWith("neg-"));
const one = (id: string) => real(whole.find((each) => each.id === id)!);
/** The reported TCB as the file of cases writes it. */
const reportedTcb = (report: Uint8Array) => Buffer.from(report.subarray(0x180, 0x188)).toString("hex");
const REGISTERS = ["measurement", "hostData", "idKeyDigest", "authorKeyDigest"];

describe.skipIf(VECTORS === undefined)("real reports", () => {
  it.each(accepted)("$id is accepted with the claims that are expected", (each: Case) => {
    const { evidence, report, from, until } = real(each);
    const verification = verify(evidence, { now: from + 1 });
    if (!verification.ok) throw new Error(verification.failure.message);
    const { claims } = verification;
    expect(claims.product.toLowerCase()).toBe(each["product"]);
    expect(claims.reportVersion).toBe(each["reportVersion"]);
    expect(claims.signingKey).toBe(each["signingKey"]);
    expect(claims.vmpl).toBe(each["vmpl"]);
    expect(BigInt(claims.policy.raw)).toBe(BigInt(String(each["policy"])));
    expect(reportedTcb(report)).toBe(each["reportedTcb"]);
    expect(Object.keys(claims.measurements)).toEqual(REGISTERS);
    expect(claims).toMatchObject({ family: "snp", debug: false, revocation: "unchecked" });
    expect(claims.cpuid === undefined).toBe(claims.reportVersion < 3);
    expect(claims.mitigations === undefined).toBe(claims.reportVersion < 5);
    // The VEK's own window, which lies inside those of AMD's CAs.
    expect([verification.validFrom, verification.validUntil]).toEqual([from, until]);
    expect(verification.checks.filter(({ outcome }) => outcome !== "pass").map(({ id }) => id)).toEqual([
      claims.signingKey === "VCEK" ? "snp.ask.revocation" : "snp.asvk.revocation",
    ]);
    expect(verification.collateral.map(({ kind }) => kind)).toEqual(
      claims.signingKey === "VCEK" ? ["amd.ask", "amd.vcek"] : ["amd.asvk", "amd.vlek"],
    );
  });

  it("reads TCB versions by the layout of the product", () => {
    const tcb = (id: string) => {
      const { evidence, from } = one(id);
      const verification = verify(evidence, { now: from });
      return verification.ok ? verification.claims.tcb : verification.failure;
    };
    expect(tcb("vcek-turin-v5-ms")).toMatchObject({
      reported: { fmc: 1, bootloader: 1, tee: 1, snp: 4, microcode: 0x51 },
    });
    expect(tcb("vlek-milan-aws-v3-vmpl1")).toEqual({
      reported: { bootloader: 4, tee: 0, snp: 0x18, microcode: 0xd9 },
      committed: { bootloader: 4, tee: 0, snp: 0x18, microcode: 0xdb },
      current: { bootloader: 4, tee: 0, snp: 0x18, microcode: 0xdc },
      launch: { bootloader: 4, tee: 0, snp: 0x18, microcode: 0xdb },
    });
  });

  it("names the cloud of a VLEK, and reports platform bits that it does not know", () => {
    const aws = one("vlek-milan-aws-v3-vmpl1");
    expect(verify(aws.evidence, { now: aws.from })).toMatchObject({
      claims: { cspId: "CN=cc-us-east-2.amazonaws.com" },
      notes: [],
    });
    const turin = one("vcek-turin-v5-ms");
    expect(verify(turin.evidence, { now: turin.from })).toMatchObject({
      claims: { platformInfo: { raw: "0x0000000000000065", smt: true, aliasCheckComplete: true, unknownBits: [6] } },
      notes: ["bits of the platform info that this release does not know: 6"],
    });
  });

  it.each(accepted)("$id holds to the second at both ends of its certificate's validity", (each: Case) => {
    const { evidence, from, until } = real(each);
    const at = (now: number) => outcome(verify(evidence, { now }));
    expect([at(from - 1), at(from), at(until), at(until + 1)]).toEqual(["NOT_YET_VALID", "ok", "ok", "EXPIRED"]);
  });

  it("refuses what has to be refused", () => {
    const debug = one("neg-debug-milan-v2");
    expect(outcome(verify(debug.evidence, { now: debug.from }))).toBe("DEBUG_ENABLED");
    expect(verify(debug.evidence, { now: debug.from, allowDebug: true })).toMatchObject({ claims: { debug: true } });
    const chip = one("neg-vcek-wrong-chip-legacy");
    expect(outcome(verify(chip.evidence, { now: chip.from }))).toBe("CHIP_ID_MISMATCH");
    for (const id of ["neg-lit-bad-signature", "neg-lit-corrupt"]) {
      const report = vector("snp", id, "report.bin");
      expect(outcome(verify({ kind: "snp", report }, { now: debug.from })), id).toBe("EVIDENCE_MALFORMED");
    }
  });

  it("needs nothing but the key's certificate, from the evidence or from the collateral", () => {
    const { report, vek, chain, from } = one("vcek-genoa-v5-live");
    const now = from;
    expect(outcome(verify({ kind: "snp", report, certificates: [vek] }, { now }))).toBe("ok");
    const amd = (certificates: Uint8Array[]) => ({ amd: { certificates, crls: [] } });
    expect(outcome(verify({ kind: "snp", report }, { now }, amd([vek])))).toBe("ok");
    expect(outcome(verify({ kind: "snp", report, certificates: chain }, { now }, amd([vek])))).toBe("ok");
    expect(outcome(verify({ kind: "snp", report }, { now }, amd([])))).toBe("COLLATERAL_MISSING");
    expect(outcome(verify({ kind: "snp", report, certificates: chain }, { now }))).toBe("COLLATERAL_MISSING");
  });

  it("finds the certificate among those of a fleet, in any order", () => {
    const fleet = accepted.map((each) => real(each));
    const all = [
      ...fleet.flatMap(({ vek }) => vek),
      ...Object.values(AMD).flatMap(({ ark, ask, asvk }) => [ark, ask, asvk]),
    ];
    for (const certificates of [all, [...all].reverse()]) {
      for (const { report, from } of fleet) {
        expect(outcome(verify({ kind: "snp", report }, { now: from }, { amd: { certificates, crls: [] } }))).toBe("ok");
      }
    }
  });
});

describe.skipIf(VECTORS === undefined)("reports that were changed", () => {
  const milan = VECTORS === undefined ? undefined! : one("vcek-milan-v3-ms");
  const genoa = VECTORS === undefined ? undefined! : one("vcek-genoa-v5-live");
  const turin = VECTORS === undefined ? undefined! : one("vcek-turin-v5-ms");
  const aws = VECTORS === undefined ? undefined! : one("vlek-milan-aws-v3-vmpl1");
  const now = milan?.from + 30 * 86_400;
  const changed = (change: (view: DataView, report: Uint8Array) => void) => {
    const report = milan.report.slice();
    change(new DataView(report.buffer), report);
    return outcome(verify({ ...milan.evidence, report }, { now }));
  };

  it("are refused with the code of what is wrong", () => {
    for (const at of [8, 80, 672, 0x90, 0x140, 0x40, 4, 0x2a0 + 72]) {
      expect(
        changed((_, report) => (report[at]! ^= 1)),
        `byte ${at}`,
      ).toBe("REPORT_SIGNATURE");
    }
    for (const version of [0, 1, 6, 0xffffffff]) {
      expect(changed((view) => view.setUint32(0, version, true))).toBe("UNSUPPORTED_REPORT_VERSION");
    }
    expect(changed((view) => view.setUint32(0x34, 0, true))).toBe("UNSUPPORTED_REPORT_VERSION");
    expect(changed((view) => view.setUint32(0x34, 2, true))).toBe("UNSUPPORTED_REPORT_VERSION");
    expect(changed((_, report) => (report[0x1a0]! ^= 1))).toBe("CHIP_ID_MISMATCH");
    expect(changed((_, report) => report.fill(0, 0x1a0, 0x1e0))).toBe("CHIP_ID_MISMATCH");
    expect(changed((_, report) => (report[0x187]! ^= 1))).toBe("TCB_EXT_MISMATCH");
    // Reserved bytes of the TCB are a part of it.
    expect(changed((_, report) => (report[0x183]! ^= 1))).toBe("TCB_EXT_MISMATCH");
    expect(changed((_, report) => (report[0x189] = 0x11))).toBe("PRODUCT_MISMATCH");
    expect(changed((_, report) => (report[0x188] = 0x17))).toBe("PRODUCT_MISMATCH");
    // Bit 17 of the policy, and privilege levels that do not exist.
    expect(changed((_, report) => (report[8 + 2]! ^= 2))).toBe("EVIDENCE_MALFORMED");
    expect(changed((view) => view.setUint32(0x30, 4, true))).toBe("EVIDENCE_MALFORMED");
    expect(changed((view) => view.setUint32(0x30, 0xffffffff, true))).toBe("EVIDENCE_MALFORMED");
  });

  it("name another signing key than their certificate's", () => {
    const flags = (value: number) => changed((view) => view.setUint32(0x48, value, true));
    for (const key of [1, 2, 3, 4, 5, 6, 7]) expect(flags(key << 2), `key ${key}`).toBe("SIGNING_KEY_MISMATCH");
    // A chip's key that is masked signs nothing.
    expect(flags(2)).toBe("SIGNING_KEY_MISMATCH");
    // The author key's flag is another field.
    expect(flags(1)).toBe("REPORT_SIGNATURE");
  });

  it("have signatures out of range", () => {
    const order = "73 29 c5 cc 6a 19 ec ec 7a a7 b0 48 b2 0d 1a 58 df 2d 37 f4 81 4d 63 c7".split(" ");
    const n = Uint8Array.from([...order.map((byte) => Number.parseInt(byte, 16)), ...Array(24).fill(0xff)]);
    for (const at of [0x2a0, 0x2e8]) {
      const scalar = (bytes: Uint8Array) => changed((_, report) => report.fill(0, at, at + 72).set(bytes, at));
      expect(scalar(new Uint8Array())).toBe("REPORT_SIGNATURE");
      expect(scalar(n)).toBe("REPORT_SIGNATURE");
      expect(scalar(new Uint8Array(72).fill(0xff))).toBe("REPORT_SIGNATURE");
      // The same scalar with a bit above its 48 bytes.
      expect(changed((_, report) => (report[at + 48] = 1))).toBe("REPORT_SIGNATURE");
    }
    // ECDSA accepts n − s where it accepts s, here as everywhere: the digest of evidence is no name for it.
    const malleable = milan.report.slice();
    const s = BigInt(`0x${Buffer.from(malleable.slice(0x2e8, 0x2e8 + 48).reverse()).toString("hex")}`);
    const order384 = BigInt(`0x${Buffer.from(n.slice().reverse()).toString("hex")}`);
    const other = (order384 - s).toString(16).padStart(96, "0");
    malleable.set(Buffer.from(other, "hex").reverse(), 0x2e8);
    expect(outcome(verify({ ...milan.evidence, report: malleable }, { now }))).toBe("ok");
  });

  it("have one length, and nothing behind the signature", () => {
    for (let length = 0; length < milan.report.length; length += 1) {
      expect(outcomeOf(() => parseSnpReport(milan.report.subarray(0, length)))).toBe("EVIDENCE_MALFORMED");
    }
    const longer = new Uint8Array([...milan.report, 0]);
    expect(outcomeOf(() => parseSnpReport(longer))).toBe("EVIDENCE_MALFORMED");
    for (const at of [0x330, 0x400, 0x49f]) {
      expect(changed((_, report) => (report[at] = 1))).toBe("EVIDENCE_MALFORMED");
    }
  });

  it("accept no flipped bit, whichever the report", () => {
    for (const { report, vek, from } of [milan, genoa, turin, aws]) {
      // Another stride for every report; the fuzz command takes every bit.
      for (let bit = report[0x90]! % 23; bit < 8 * report.length; bit += 23) {
        const evidence = { kind: "snp", report: flip(report, bit), certificates: [vek] } as const;
        expect(outcome(verify(evidence, { now: from + 1 })), `bit ${bit}`).not.toBe("ok");
      }
    }
  });

  it("accept no flipped bit of a key's certificate", () => {
    for (const { report, vek, from } of [milan, turin, aws]) {
      for (let bit = report[0x91]! % 41; bit < 8 * vek.length; bit += 41) {
        const evidence = { kind: "snp", report, certificates: [flip(vek, bit)] } as const;
        expect(outcome(verify(evidence, { now: from + 1 })), `bit ${bit}`).not.toBe("ok");
      }
    }
  });

  it("have certificates of other kinds, chips, products and roots", () => {
    const use = (report: Uint8Array, ...certificates: Uint8Array[]) =>
      outcome(verify({ kind: "snp", report, certificates }, { now: aws.from }));
    const at = (report: Uint8Array, ...certificates: Uint8Array[]) =>
      outcome(verify({ kind: "snp", report, certificates }, { now }));
    // microsoft/TEE-Attestation-Verification #142: a VLEK taken for a VCEK left the chip unbound.
    expect(at(milan.report, aws.vek)).toBe("SIGNING_KEY_MISMATCH");
    expect(use(aws.report, milan.vek)).toBe("SIGNING_KEY_MISMATCH");
    expect(at(milan.report, genoa.vek)).toBe("PRODUCT_MISMATCH");
    // Certificates of the same product for another chip.
    const other = one("vcek-milan-v2");
    expect(at(milan.report, other.vek)).toBe("CHIP_ID_MISMATCH");
    const { Milan, Genoa } = AMD;
    // The evidence's own chain is held to, though a pinned one would do.
    expect(at(milan.report, milan.vek, Milan.asvk, Milan.ark)).toBe("CHAIN_ISSUER");
    expect(use(aws.report, aws.vek, Milan.ask, Milan.ark)).toBe("CHAIN_ISSUER");
    expect(at(milan.report, milan.vek, Milan.ask, Genoa.ark)).toBe("CHAIN_UNTRUSTED");
    expect(at(milan.report, milan.vek, Genoa.ask, Genoa.ark)).toBe("CHAIN_UNTRUSTED");
    expect(at(milan.report, milan.vek, Genoa.ask)).toBe("CHAIN_ISSUER");
    expect(at(milan.report, milan.vek, flip(Milan.ask, 8 * (Milan.ask.length - 20)))).toBe("CHAIN_SIGNATURE");
    expect(at(milan.report, milan.vek, Milan.ark)).toBe("ok");
    expect(at(milan.report, milan.vek, Uint8Array.of(0x30, 0))).toBe("CERT_MALFORMED");
    // Roots of other products do not vouch for this one.
    const roots = { amd: { ...AMD, Milan: Genoa } };
    expect(outcome(verify(milan.evidence, { now, roots }))).toBe("CHAIN_UNTRUSTED");
  });

  it("are too many certificates to look at", () => {
    const certificates = Array<Uint8Array>(17).fill(milan.vek);
    expect(outcome(verify({ ...milan.evidence, certificates }, { now }))).toBe("EVIDENCE_MALFORMED");
    const amd = { certificates: Array<Uint8Array>(1025).fill(milan.vek), crls: [] };
    expect(outcome(verify(milan.evidence, { now }, { amd }))).toBe("COLLATERAL_MALFORMED");
    const crls = Array<Uint8Array>(65).fill(new Uint8Array());
    expect(outcome(verify(milan.evidence, { now }, { amd: { certificates: [], crls } }))).toBe("COLLATERAL_MALFORMED");
  });
});
