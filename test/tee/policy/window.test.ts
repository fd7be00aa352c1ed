/**
 * How long a verdict holds is a promise: until its last second the same inputs are accepted, and a second later, or before its
 * first, they are not. Of every family, over real verification, under rules of age and without.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifyComposite } from "../../../src/tee/composite.js";
import { END_OF_TIME } from "../../../src/tee/context.js";
import type { Evidence } from "../../../src/tee/evidence.js";
import { azureGuest } from "../../../src/tee/lab/azure.js";
import type { Lab } from "../../../src/tee/lab/bytes.js";
import { ccaRealm } from "../../../src/tee/lab/cca.js";
import { DAY } from "../../../src/tee/lab/certificates.js";
import { intelPlatform } from "../../../src/tee/lab/intel.js";
import { labMachine } from "../../../src/tee/lab/machine.js";
import { nitroEnclave } from "../../../src/tee/lab/nitro.js";
import { nrasAnswer } from "../../../src/tee/lab/nras.js";
import { nvidiaDevice } from "../../../src/tee/lab/nvidia.js";
import { snpProcessor } from "../../../src/tee/lab/snp.js";
import { appraise, appraiseComposite } from "../../../src/tee/policy/appraise.js";
import { policyFromJson } from "../../../src/tee/policy/policy.js";
import type { TeeVerdict } from "../../../src/tee/verdict.js";
import { verify } from "../../../src/tee/verify.js";

type Judge = (now: number) => TeeVerdict;

/** The promise, at its edges and in between. */
function holds(judge: Judge, now: number): void {
  const verdict = judge(now);
  expect(verdict.checks.filter(({ outcome }) => outcome === "fail")).toEqual([]);
  expect(verdict.accepted).toBe(true);
  const { validFrom, validUntil } = verdict as { validFrom: number; validUntil: number };
  expect(validFrom).toBeLessThanOrEqual(now);
  expect(validUntil).toBeGreaterThanOrEqual(now);
  for (const each of [validFrom, validUntil]) {
    expect(judge(each)).toMatchObject({ accepted: true, validFrom, validUntil });
  }
  expect(judge(validUntil + 1).accepted).toBe(false);
  if (validFrom > 0) expect(judge(validFrom - 1).accepted).toBe(false);
  fc.assert(
    fc.property(fc.integer({ min: validFrom, max: validUntil }), (at) => {
      expect(judge(at)).toMatchObject({ accepted: true, tee: verdict.tee, validFrom, validUntil });
    }),
    { numRuns: 4 },
  );
}

const MEASURED = { measurements: "any" };
const LABS: [string, () => Lab<Evidence>, Record<string, unknown>, Record<string, unknown>?][] = [
  ["sgx", () => intelPlatform({ body: "sgx" }), { sgx: MEASURED }],
  ["tdx", () => intelPlatform({}), { tdx: MEASURED }],
  ["tdx, fresh collateral", () => intelPlatform({}), { tdx: MEASURED }, { maxAgeSeconds: 3 * DAY }],
  [
    "tdx, fresh lists",
    () => intelPlatform({ body: "td-1.5" }),
    { tdx: MEASURED },
    { maxAgeSeconds: 20 * DAY, kinds: ["intel.tcb-info", "intel.pck-crl", "intel.root-crl"] },
  ],
  ["snp", () => snpProcessor({}), { snp: MEASURED }],
  ["snp, VLEK", () => snpProcessor({ signingKey: "VLEK", product: "Genoa" }), { snp: MEASURED }],
  ["snp, fresh list", () => snpProcessor({ product: "Turin" }), { snp: MEASURED }, { maxAgeSeconds: 2 * DAY }],
  ["nitro", () => nitroEnclave({}), { nitro: { ...MEASURED, maxAheadSeconds: 0 } }],
  ["nitro, fresh", () => nitroEnclave({ crls: true }), { nitro: { ...MEASURED, maxAgeSeconds: 600 } }],
  ["nvidia", () => nvidiaDevice({}), { nvidia: {} }],
  ["nvidia, fresh answers", () => nvidiaDevice({}), { nvidia: {} }, { maxAgeSeconds: DAY, kinds: ["nvidia.ocsp"] }],
  ["nras", () => nrasAnswer({}), { nras: {} }],
  ["nras, fresh", () => nrasAnswer({}), { nras: { maxAgeSeconds: 120 } }],
  ["azure-snp", () => azureGuest({}), { "azure-snp": MEASURED }],
  ["azure-tdx", () => azureGuest({ tee: "tdx" }), { "azure-tdx": { ...MEASURED, tee: { septVeDisable: false } } }],
  ["cca", () => ccaRealm({}), { cca: MEASURED }],
];

describe("how long a verdict holds", () => {
  it.each(LABS)("%s", (_, make, families, collateral) => {
    const lab = make();
    const policy = policyFromJson({
      format: "anchorproof/tee-policy@1",
      name: "test",
      binding: "any",
      families,
      ...(collateral ? { collateral } : {}),
    });
    holds((now) => appraise(verify(lab.evidence, lab.collateral, { now, roots: lab.roots }), policy), lab.now);
  });

  it("a whole machine", () => {
    const { composite, collateral, now: made, roots } = labMachine({ devices: [{}, {}], tokens: [{}] });
    for (const rules of [{}, { collateral: { maxAgeSeconds: 3 * DAY } }]) {
      const policy = policyFromJson({
        format: "anchorproof/tee-policy@1",
        name: "test",
        binding: "any",
        families: { tdx: MEASURED, nvidia: {}, nras: {} },
        ...rules,
      });
      holds((now) => appraiseComposite(verifyComposite(composite, collateral, { now, roots }), policy), made);
    }
  });

  it("never beyond the last time that can be written", () => {
    const lab = ccaRealm({});
    const policy = policyFromJson({
      format: "anchorproof/tee-policy@1",
      name: "test",
      binding: "any",
      families: { cca: MEASURED },
    });
    const verdict = appraise(verify(lab.evidence, lab.collateral, { now: lab.now, roots: lab.roots }), policy);
    expect(verdict).toMatchObject({ validFrom: 0, validUntil: END_OF_TIME });
  });
});
