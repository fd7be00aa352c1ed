/**
 * Azure's vTPM evidence: recorded guests, and guests of the laboratory of which one thing is wrong at a time.
 */
import { createHash, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, toHex } from "../../../src/field/bytes.js";
import { canonicalJson } from "../../../src/protocol/document.js";
import type { VtpmClaims } from "../../../src/tee/claims.js";
import type { Collateral } from "../../../src/tee/collateral.js";
import { type Verification, verifyWith } from "../../../src/tee/context.js";
import { sha384 } from "../../../src/tee/eventLog/events.js";
import { evidenceBytes, type VtpmEvidence } from "../../../src/tee/evidence.js";
import { qvlCollateral } from "../../../src/tee/import/qvl.js";
import { type AzureLab, type AzureOptions, azureGuest, LAB_PCRS } from "../../../src/tee/lab/azure.js";
import { filled } from "../../../src/tee/lab/bytes.js";
import { cachedKey, LAB_NOW, makeKey } from "../../../src/tee/lab/certificates.js";
import { isJsonObject, readJson } from "../../../src/tee/read/json.js";
import { verifyVtpm } from "../../../src/tee/vtpm/verify.js";
import { cases, VECTORS, vectorText } from "../vectors.js";

function run(
  evidence: VtpmEvidence,
  collateral: Collateral,
  options: Parameters<typeof verifyWith>[1],
): Verification<VtpmClaims> {
  return verifyWith(
    () => evidenceBytes(evidence),
    options,
    (context) => verifyVtpm(context, evidence, collateral),
  );
}

function verified({ evidence, collateral, roots, now }: AzureLab): Verification<VtpmClaims> {
  return run(evidence, collateral, { now, roots });
}

function outcome(lab: AzureLab): string {
  const result = verified(lab);
  return result.ok ? "accepted" : result.failure.code;
}

/** The id of the check that failed, to see that it was this one and no earlier one. */
function failed(lab: AzureLab): string {
  const result = verified(lab);
  return result.checks.find(({ outcome }) => outcome === "fail")?.id ?? "none";
}

describe("guests of the laboratory", () => {
  it("are accepted, and their claims are of guest and paravisor", () => {
    const result = verified(azureGuest({ userData: [1, 2, 3] }));
    if (!result.ok) throw new Error(result.failure.message);
    const { claims } = result;
    expect(claims).toMatchObject({
      family: "azure-snp",
      debug: false,
      nonce: toHex(filled(0x0c, 32)),
      reportData: toHex(concat(Uint8Array.of(1, 2, 3), new Uint8Array(61))),
      firmwareVersion: "0x2020031200120003",
      clock: { clock: "12345", resetCount: 2, restartCount: 0, safe: true },
      runtimeData: { "vm-configuration": { "secure-boot": true } },
      tee: { family: "snp", vmpl: 0 },
    });
    expect(claims.measurements).toMatchObject({ pcr0: toHex(LAB_PCRS[0]!), pcr23: toHex(LAB_PCRS[23]!) });
    expect(claims.measurements["measurement"]).toBe(claims.tee.measurements["measurement"]);
    expect(result.checks.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["azure.vmpl", "azure.runtime-data", "tpm.quote.signature", "tpm.quote.pcrs"]),
    );
    expect(() => canonicalJson(claims)).not.toThrow();
  });

  it("are accepted of both kinds, all hashes and both kinds of key", () => {
    for (const options of [
      { tee: "tdx" },
      { tee: "tdx", intel: { body: "td-1.5" } },
      { hash: "sha384" },
      { hash: "sha512" },
      { ak: cachedKey("P-256", "HCLAkPub") },
      { nonce: [] },
      { hcl: { padding: [] } },
    ] satisfies AzureOptions[]) {
      expect([options, outcome(azureGuest(options))]).toEqual([options, "accepted"]);
    }
  });

  it("hold as long as what vouches for them", () => {
    const lab = azureGuest();
    const result = verified(lab);
    if (!result.ok) throw new Error(result.failure.message);
    const at = (now: number) => {
      const late = run(lab.evidence, lab.collateral, { now, roots: lab.roots });
      return late.ok ? "accepted" : late.failure.code;
    };
    expect(at(result.validUntil)).toBe("accepted");
    expect(at(result.validUntil + 1)).toBe("EXPIRED");
    expect(at(result.validFrom)).toBe("accepted");
    expect(at(result.validFrom - 1)).toBe("NOT_YET_VALID");
  });

  it("claim only PCRs that the quote signs", () => {
    const lab = azureGuest({ selected: [0, 7, 11] });
    lab.evidence = {
      ...lab.evidence,
      pcrs: lab.evidence.pcrs.map((pcr, i) => ([0, 7, 11].includes(i) ? pcr : filled(0xee, 32))),
    };
    const result = verified(lab);
    if (!result.ok) throw new Error(result.failure.message);
    const pcrs = Object.keys(result.claims.measurements).filter((name) => name.startsWith("pcr"));
    expect(pcrs).toEqual(["pcr0", "pcr7", "pcr11"]);
    expect(result.notes.join()).toContain("PCRs 0, 7, 11 only");
  });

  it("say so when the clock is not safe, and have no nonce without qualifying data", () => {
    const result = verified(azureGuest({ nonce: [], tpm: { safe: 0 } }));
    if (!result.ok) throw new Error(result.failure.message);
    expect(result.claims.clock.safe).toBe(false);
    expect("nonce" in result.claims).toBe(false);
    expect(result.notes.join()).toContain("clock");
  });

  it("are of a debug guest where the hardware says so", () => {
    const lab = azureGuest({ snp: { debug: true } });
    expect(outcome(lab)).toBe("DEBUG_ENABLED");
    const shown = run(lab.evidence, lab.collateral, { now: lab.now, roots: lab.roots, allowDebug: true });
    expect(shown.ok && shown.claims.debug).toBe(true);
  });
});

describe("one thing wrong at a time", () => {
  const rejected: [string, AzureOptions, string, string][] = [
    ["a report of another VMPL", { snp: { vmpl: 1 } }, "BINDING_MISMATCH", "azure.vmpl"],
    ["a report of other runtime data", { reportData: filled(7, 32) }, "BINDING_MISMATCH", "azure.runtime-data"],
    [
      "a report of another quote",
      { tee: "tdx", editTdReport: (r) => r.fill(1, 128, 192) },
      "BINDING_MISMATCH",
      "azure.td-report",
    ],
    ["no quote of the TDREPORT", { tee: "tdx", noQuote: true }, "EVIDENCE_MALFORMED", "azure.td-quote"],
    [
      "a TDREPORT with another hash",
      { tee: "tdx", editTdReport: (r) => r.fill(1, 80, 128) },
      "EVIDENCE_MALFORMED",
      "azure.td-report",
    ],
    [
      "another TEE's TDREPORT",
      { tee: "tdx", editTdReport: (r) => r.fill(0, 0, 1) },
      "EVIDENCE_MALFORMED",
      "azure.td-report",
    ],
    [
      "a TDREPORT with reserved bytes",
      { tee: "tdx", editTdReport: (r) => r.fill(1, 192, 193) },
      "EVIDENCE_MALFORMED",
      "azure.td-report",
    ],
    [
      "a signature by another key",
      { signer: cachedKey("RSA-2048", "another") },
      "TPM_SIGNATURE",
      "tpm.quote.signature",
    ],
    [
      "a signature by a key of another kind",
      { signer: cachedKey("P-256", "another") },
      "TPM_SIGNATURE",
      "tpm.quote.signature",
    ],
    ["a digest of other PCRs", { tpm: { pcrDigest: filled(9, 32) } }, "TPM_MISMATCH", "tpm.quote.pcrs"],
    ["no PCR selected", { selected: [] }, "TPM_MISMATCH", "tpm.quote.layout"],
    [
      "a bank of SHA-1",
      { tpm: { selection: [0, 0, 0, 1, 0, 4, 3, 255, 255, 255] } },
      "TPM_MISMATCH",
      "tpm.quote.layout",
    ],
    [
      "two banks",
      { tpm: { selection: [0, 0, 0, 2, 0, 11, 3, 1, 0, 0, 0, 4, 3, 1, 0, 0] } },
      "TPM_MISMATCH",
      "tpm.quote.layout",
    ],
    ["PCR 24", { tpm: { selection: [0, 0, 0, 1, 0, 11, 4, 1, 0, 0, 1] } }, "TPM_MISMATCH", "tpm.quote.layout"],
    ["2^32-1 banks", { tpm: { selection: [255, 255, 255, 255] } }, "TPM_MISMATCH", "tpm.quote.layout"],
    [
      "a selection of 5 bytes",
      { tpm: { selection: [0, 0, 0, 1, 0, 11, 5, 1, 0, 0, 0, 0] } },
      "EVIDENCE_MALFORMED",
      "tpm.quote.layout",
    ],
    ["another magic", { tpm: { magic: 0xff544348 } }, "EVIDENCE_MALFORMED", "tpm.quote.layout"],
    ["an attestation of something else", { tpm: { type: 0x8017 } }, "EVIDENCE_MALFORMED", "tpm.quote.layout"],
    ["a clock neither safe nor not", { tpm: { safe: 2 } }, "EVIDENCE_MALFORMED", "tpm.quote.layout"],
    ["a digest of 20 bytes", { tpm: { pcrDigest: filled(1, 20) } }, "EVIDENCE_MALFORMED", "tpm.quote.layout"],
    ["bytes behind the quote", { tpm: { trailing: [0] } }, "EVIDENCE_MALFORMED", "tpm.quote.layout"],
    ["a name of 67 bytes", { tpm: { qualifiedSigner: filled(1, 67) } }, "EVIDENCE_MALFORMED", "tpm.quote.layout"],
    ["HCLA in lower case", { hcl: { magic: "hcla" } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["version 3", { hcl: { version: 3 } }, "UNSUPPORTED_REPORT_VERSION", "azure.hcl.layout"],
    ["another size", { hcl: { size: 1 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["another request", { hcl: { requestType: 1 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["another status", { hcl: { status: 1 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["reserved bytes", { hcl: { reserved: [1] } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["another size of the request", { hcl: { requestSize: 20 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["another version of the request", { hcl: { requestVersion: 2 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["another kind of report", { hcl: { reportType: 3 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["an unknown hash", { hcl: { hashType: 4 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["no hash", { hcl: { hashType: 0 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["runtime data of 4 GiB", { hcl: { runtimeSize: 0xffff_ffff } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["something behind the report", { hcl: { padding: [0, 0, 1] } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    [
      "a TDREPORT where SNP is said",
      { tee: "tdx", hcl: { reportType: 2 } },
      "UNSUPPORTED_REPORT_VERSION",
      "snp.report",
    ],
    ["another hash than was used", { hash: "sha256", hcl: { hashType: 2 } }, "BINDING_MISMATCH", "azure.runtime-data"],
    ["runtime data that is no JSON", { runtimeText: "{" }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["runtime data that is a list", { runtimeText: "[]" }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["a depth bomb", { runtimeText: "[".repeat(10_000) }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["a key twice", { runtimeText: '{"keys":[],"keys":[]}' }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["a fraction", { runtimeData: { "current-time": 1.5 } }, "EVIDENCE_MALFORMED", "azure.hcl.layout"],
    ["no keys", { runtimeData: { keys: {} } }, "EVIDENCE_MALFORMED", "azure.ak"],
    ["no key of this name", { jwk: { kid: "other" } }, "EVIDENCE_MALFORMED", "azure.ak"],
  ];
  it.each(rejected)("%s", (_, options, code, check) => {
    const lab = azureGuest(options);
    expect([outcome(lab), failed(lab)]).toEqual([code, check]);
  });

  it("a report whose data goes on behind the hash", () => {
    const { runtimeText } = azureGuest();
    const hash = new Uint8Array(createHash("sha256").update(runtimeText).digest());
    for (const at of [0, 31]) {
      const more = filled(0, 32);
      more[at] = 1;
      const lab = azureGuest({ runtimeText, reportData: concat(hash, more) });
      expect([outcome(lab), failed(lab)]).toEqual(["BINDING_MISMATCH", "azure.runtime-data"]);
    }
    expect(outcome(azureGuest({ runtimeText, reportData: hash }))).toBe("accepted");
  });

  it("keys that are no vTPM's", () => {
    const { n, e } = cachedKey("RSA-2048", "HCLAkPub").publicKey.export({ format: "jwk" });
    const key = { kid: "HCLAkPub", key_ops: ["sign"], kty: "RSA", n, e };
    const { n: short } = makeSmallKey();
    const wrong: [string, Record<string, unknown>][] = [
      ["an exponent of 3", { ...key, e: "Aw" }],
      ["a padded exponent", { ...key, e: "AAEAAQ" }],
      ["base64 instead of base64url", { ...key, n: `${n}=` }],
      [
        "a modulus that begins with zero",
        { ...key, n: Buffer.concat([Buffer.of(0), Buffer.from(n!, "base64url")]).toString("base64url") },
      ],
      ["1024 bits", { ...key, n: short }],
      ["a number for a modulus", { ...key, n: 5 }],
      ["for decryption", { ...key, key_ops: ["decrypt"] }],
      ["symmetric", { ...key, kty: "oct", k: "AAAA" }],
      ["off the curve", { kid: "HCLAkPub", kty: "EC", crv: "P-256", x: "AQ", y: "AQ" }],
      ["on another curve", { kid: "HCLAkPub", ...makeKey("P-384").publicKey.export({ format: "jwk" }) }],
    ];
    for (const [what, jwk] of wrong) {
      const lab = azureGuest({ jwk });
      expect([what, outcome(lab), failed(lab)]).toEqual([what, "EVIDENCE_MALFORMED", "azure.ak"]);
    }
    const twice = azureGuest({ runtimeData: { keys: [key, key] } });
    expect([outcome(twice), failed(twice)]).toEqual(["EVIDENCE_MALFORMED", "azure.ak"]);
  });

  it("each field of the TDREPORT that the quote has", () => {
    const fields = [264, 280, 328, 376, 512, 520, 528, 576, 624, 672, 720, 768, 816, 864];
    const newer = azureGuest({ tee: "tdx", intel: { body: "td-1.5" } });
    for (const offset of [...fields, ...fields.map((at) => at + 7), 384, 912]) {
      // With the report's own hashes right again, only the quote can tell.
      const hclReport = newer.evidence.hclReport.slice();
      rehash(hclReport.subarray(32, 32 + 1024), offset);
      const lab = { ...newer, evidence: { ...newer.evidence, hclReport } };
      expect([offset, outcome(lab), failed(lab)]).toEqual([offset, "BINDING_MISMATCH", "azure.td-report"]);
    }
  });

  it("PCRs that are not 24 of 32 bytes", () => {
    const lab = azureGuest({ selected: [0] });
    for (const pcrs of [[], LAB_PCRS.slice(1), [...LAB_PCRS, LAB_PCRS[0]!], LAB_PCRS.map((pcr) => pcr.subarray(1))]) {
      expect(outcome({ ...lab, evidence: { ...lab.evidence, pcrs } })).toBe("EVIDENCE_MALFORMED");
    }
  });

  it("what the inner report's own verification refuses", () => {
    expect(outcome(azureGuest({ snp: { signer: makeKey("P-384") } }))).toBe("REPORT_SIGNATURE");
    expect(outcome(azureGuest({ snp: { revoked: ["ask"] } }))).toBe("CERT_REVOKED");
    expect(outcome(azureGuest({ tee: "tdx", intel: { revoked: ["pck"] } }))).toBe("CERT_REVOKED");
    const lab = azureGuest({ tee: "tdx" });
    expect(outcome({ ...lab, collateral: {} })).toBe("COLLATERAL_MISSING");
  });

  it("swapped parts of two guests", () => {
    const one = azureGuest();
    const other = azureGuest({ ak: cachedKey("RSA-2048", "another"), nonce: filled(1, 32) });
    const { message, signature, hclReport } = other.evidence;
    expect(outcome({ ...one, evidence: { ...one.evidence, message } })).toBe("TPM_SIGNATURE");
    expect(outcome({ ...one, evidence: { ...one.evidence, message, signature } })).toBe("TPM_SIGNATURE");
    expect(outcome({ ...one, evidence: { ...one.evidence, hclReport } })).not.toBe("accepted");
  });
});

describe("truncated and flipped", () => {
  const labs = [azureGuest(), azureGuest({ tee: "tdx" })];

  it("every kind of truncation is a typed failure", () => {
    for (const lab of labs) {
      for (const name of ["hclReport", "message", "signature"] as const) {
        const whole = lab.evidence[name];
        const end = name === "hclReport" ? whole.length - 64 : whole.length;
        const step = name === "message" ? 1 : 67;
        for (let length = 0; length < end; length += step) {
          const cut = { ...lab, evidence: { ...lab.evidence, [name]: whole.subarray(0, length) } };
          expect([name, length, outcome(cut)]).not.toContain("accepted");
          expect([name, length, outcome(cut)]).not.toContain("INTERNAL");
        }
      }
    }
  }, 20_000);

  it("a flipped bit is refused, but for fields of a TDREPORT that no quote has", () => {
    for (const lab of labs) {
      const tdx = lab.evidence.quote !== undefined;
      for (const name of ["hclReport", "message", "signature"] as const) {
        const whole = lab.evidence[name];
        for (let bit = 0; bit < 8 * whole.length; bit += name === "hclReport" ? 401 : 71) {
          const bytes = whole.slice();
          bytes[bit >> 3]! ^= 1 << (bit & 7);
          const result = outcome({ ...lab, evidence: { ...lab.evidence, [name]: bytes } });
          expect(result).not.toBe("INTERNAL");
          const at = (bit >> 3) - 32;
          // Version, CPU SVN and MAC of the TDREPORT.
          const meaningless =
            tdx && name === "hclReport" && (at === 2 || (at >= 16 && at < 32) || (at >= 224 && at < 256));
          if (!meaningless) expect([name, bit, result]).not.toContain("accepted");
        }
      }
    }
  }, 20_000);

  it("a flipped bit of a PCR that is signed is refused", () => {
    const lab = labs[0]!;
    LAB_PCRS.forEach((pcr, i) => {
      const bytes = pcr.slice();
      bytes[i]! ^= 1;
      const pcrs = LAB_PCRS.map((each, j) => (i === j ? bytes : each));
      expect(outcome({ ...lab, evidence: { ...lab.evidence, pcrs } })).toBe("TPM_MISMATCH");
    });
  });
});

describe.skipIf(VECTORS === undefined)("recorded guests", () => {
  const base64 = (text: string) => new Uint8Array(Buffer.from(text, "base64url"));
  const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
  const recorded = (id: string): VtpmEvidence => {
    const { hcl_report, tpm_quote, vcek, td_quote } = JSON.parse(vectorText("azure-vtpm", id, "evidence.json"));
    return {
      kind: "azure-vtpm",
      hclReport: base64(hcl_report),
      message: hex(tpm_quote.message),
      signature: hex(tpm_quote.signature),
      pcrs: tpm_quote.pcrs.map(hex),
      ...(vcek ? { certificates: [base64(vcek)] } : {}),
      ...(td_quote ? { quote: base64(td_quote) } : {}),
    };
  };
  /** Of a guest of Azure's with the same FMSPC, of autumn 2025. */
  const azureCollateral = (): Collateral => {
    const json = readJson(vectorText("intel", "tdx-v4-azure2-00806f", "collateral.json"), {
      code: "COLLATERAL_MALFORMED",
      what: "it",
    });
    if (!isJsonObject(json)) throw new Error("no object");
    return { intel: [qvlCollateral(json)] };
  };
  const AUTUMN = 1_761_920_231;

  it("are all tried here", () => {
    expect(
      cases("azure-vtpm")
        .map(({ id }) => id)
        .sort(),
    ).toEqual(["az-snp-v1", "az-snp-v2", "az-tdx-v1"]);
  });

  it.each(["az-snp-v1", "az-snp-v2"])("%s is accepted while its VCEK is valid", (id) => {
    const evidence = recorded(id);
    const result = run(evidence, {}, { now: LAB_NOW });
    if (!result.ok) throw new Error(result.failure.message);
    expect(result.claims).toMatchObject({
      family: "azure-snp",
      debug: false,
      tee: { vmpl: 0, product: "Milan", reportVersion: 3 },
    });
    expect(Object.keys(result.claims.measurements).filter((name) => name.startsWith("pcr"))).toHaveLength(24);
    // Made in January 2025, for seven years.
    expect(new Date(1000 * result.validFrom).toISOString()).toContain("2025-01-28T16:");
    expect(new Date(1000 * result.validUntil).toISOString()).toContain("2032-01-28T16:");
    const code = (now: number) => {
      const other = run(evidence, {}, { now });
      return other.ok ? "accepted" : other.failure.code;
    };
    expect(code(result.validFrom - 1)).toBe("NOT_YET_VALID");
    expect(code(result.validFrom)).toBe("accepted");
    expect(code(result.validUntil)).toBe("accepted");
    expect(code(result.validUntil + 1)).toBe("EXPIRED");
  });

  it("have the nonces that they were asked with", () => {
    const nonce = (id: string) => {
      const result = run(recorded(id), {}, { now: LAB_NOW });
      return result.ok ? result.claims.nonce : result.failure.code;
    };
    expect(nonce("az-snp-v1")).toBe(toHex(new TextEncoder().encode("challenge")));
    expect(nonce("az-snp-v2")).toHaveLength(2 + 96);
  });

  it("az-tdx-v1 needs collateral, and is accepted with that of its FMSPC", () => {
    const evidence = recorded("az-tdx-v1");
    expect(run(evidence, {}, { now: AUTUMN })).toMatchObject({ ok: false, failure: { code: "COLLATERAL_MISSING" } });
    const result = run(evidence, azureCollateral(), { now: AUTUMN });
    if (!result.ok) throw new Error(`${result.failure.code}: ${result.failure.message}`);
    expect(result.claims).toMatchObject({
      family: "azure-tdx",
      debug: false,
      nonce: toHex(new TextEncoder().encode("challenge")),
      tee: { family: "tdx", fmspc: "0x00806f050000" },
    });
    expect(run(evidence, azureCollateral(), { now: LAB_NOW })).toMatchObject({
      ok: false,
      failure: { code: "EXPIRED" },
    });
  });

  it("a report is of one guest: parts of two do not fit", () => {
    const one = recorded("az-snp-v1");
    const two = recorded("az-snp-v2");
    for (const name of ["hclReport", "message", "signature", "pcrs", "certificates"] as const) {
      const mixed = { ...one, [name]: two[name] } as VtpmEvidence;
      const result = run(mixed, {}, { now: LAB_NOW });
      expect([name, result.ok]).toEqual([name, false]);
    }
  });
});

/** Flips a bit of a TDREPORT and makes the hashes over its parts anew. */
function rehash(report: Uint8Array, offset: number): void {
  report[offset]! ^= 1;
  report.set(sha384(report.subarray(256, 495)), 32);
  report.set(sha384(report.subarray(512, 1024)), 80);
}

function makeSmallKey() {
  return generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" });
}
