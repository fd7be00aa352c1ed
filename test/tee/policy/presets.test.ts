import { describe, expect, it } from "vitest";
import type { Claims, IntelClaims, SnpClaims, VtpmClaims } from "../../../src/tee/claims.js";
import { appraise } from "../../../src/tee/policy/appraise.js";
import { type Policy, policyFromJson } from "../../../src/tee/policy/policy.js";
import {
  awsNitro,
  awsSnp,
  azureVm,
  dstackApp,
  gcpVm,
  gpuNode,
  POLICY_TEMPLATES,
} from "../../../src/tee/policy/presets.js";
import { POLICY_SCHEMA } from "../../../src/tee/policy/schema.js";
import { code, outcomeOf } from "../../support/errors.js";
import { authentic, bytes, CLAIMS, eventLog, NONCE, zeros } from "./fixtures.js";
import { accepts } from "./schemaChecker.js";

const tdx = CLAIMS.tdx() as IntelClaims;
const image = (claims: Claims, ...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, claims.measurements[name]!]));

const failed = (claims: Claims, policy: Policy, expected = {}, also = {}) =>
  appraise(authentic(claims), policy, expected, also)
    .checks.filter(({ outcome }) => outcome === "fail")
    .map(({ id }) => id);

const dstack = (changes = {}) =>
  dstackApp({
    images: [{ name: "0.5.6", ...image(tdx, "mrTd", "rtmr0", "rtmr1", "rtmr2") }],
    composeHashes: [bytes("compose", 32)],
    ...changes,
  });

const reportData = { reportData: tdx.reportData! };

describe("ready-made policies", () => {
  it("a dstack app is a known image with a known compose file", () => {
    const verdict = appraise(authentic(tdx), dstack(), reportData, { eventLog: eventLog() });
    expect(verdict).toMatchObject({ accepted: true, tee: true });
    expect(failed(tdx, dstack(), reportData)).toEqual(["policy.event-log"]);
    expect(failed(tdx, dstack(), {}, { eventLog: eventLog() })).toEqual(["policy.binding"]);
    const other = { ...eventLog(), composeHash: bytes("other", 32) };
    expect(failed(tdx, dstack(), reportData, { eventLog: other })).toEqual(["policy.event-log.compose-hash"]);
    const keys = dstack({
      keyProviders: [{ name: "local" }],
      appIds: [bytes("other app", 20)],
      ppids: [bytes("x", 16)],
    });
    expect(failed(tdx, keys, reportData, { eventLog: eventLog() }).sort()).toEqual([
      "policy.event-log.app",
      "policy.event-log.key-provider",
      "policy.intel.ppid",
    ]);
    const dated = dstack({ minIssued: "2025-12-31", statuses: ["UpToDate", "OutOfDate"], advisories: [] });
    expect(failed(tdx, dated, reportData, { eventLog: eventLog() })).toEqual(["policy.collateral"]);
  });

  it("a VM of Azure is its paravisor and its PCRs, and answers to the request's nonce", () => {
    for (const family of ["azure-snp", "azure-tdx"] as const) {
      const claims = CLAIMS[family]() as VtpmClaims;
      if (claims.tee.family === "tdx") claims.tee.tdx!.tdAttributes = "0x0000000000000000";
      const anchor = family === "azure-snp" ? "measurement" : "mrTd";
      const states = [image(claims, anchor, "pcr4", "pcr11")];
      const policy = azureVm(family === "azure-snp" ? { snp: states } : { tdx: states });
      expect(appraise(authentic(claims), policy, { nonce: NONCE })).toMatchObject({ accepted: true, tee: true });
      expect(failed(claims, policy)).toEqual(["policy.binding"]);
      const without = azureVm(
        family === "azure-snp" ? { snp: [image(claims, "pcr4")] } : { tdx: [image(claims, "pcr4")] },
      );
      expect(appraise(authentic(claims), without, { nonce: NONCE })).toMatchObject({ accepted: true, tee: false });
      claims.measurements["pcr11"] = zeros(32);
      expect(failed(claims, policy, { nonce: NONCE })).toEqual(["policy.measurements"]);
    }
    const snp = CLAIMS["azure-snp"]() as VtpmClaims;
    (snp.tee as SnpClaims).vmpl = 1;
    expect(failed(snp, azureVm({ snp: [image(snp, "measurement")] }), { nonce: NONCE })).toEqual(["policy.snp.vmpl"]);
  });

  it("a VM of Google Cloud", () => {
    const snp = CLAIMS.snp() as SnpClaims;
    const policy = gcpVm({ tdx: [image(tdx, "mrTd", "rtmr0")], snp: [image(snp, "measurement")] });
    expect(appraise(authentic(tdx), policy, reportData)).toMatchObject({ accepted: true, tee: true });
    expect(appraise(authentic({ ...snp, vmpl: 1 }), policy, reportData)).toMatchObject({ accepted: true, tee: true });
    expect(failed({ ...snp, vmpl: 2 }, policy, reportData)).toEqual(["policy.snp.vmpl"]);
    expect(failed({ ...snp, signingKey: "VLEK" }, policy, reportData)).toEqual(["policy.snp.signing-key"]);
    expect(outcomeOf(() => gcpVm({}))).toBe("POLICY_INVALID");
  });

  it("an enclave of AWS Nitro, at most an hour old unless said otherwise", () => {
    const nitro = CLAIMS.nitro();
    const enclaves = [image(nitro, "pcr0", "pcr1", "pcr2")];
    expect(appraise(authentic(nitro), awsNitro({ enclaves }), { nonce: NONCE })).toMatchObject({ tee: true });
    expect(failed(nitro, awsNitro({ enclaves, maxAgeSeconds: 99 }), { nonce: NONCE })).toEqual(["policy.nitro.age"]);
    expect(awsNitro({ enclaves }).families.nitro!.maxAgeSeconds).toBe(3600);
  });

  it("an SEV-SNP instance of AWS, by the cloud's key", () => {
    const snp = {
      ...(CLAIMS.snp() as SnpClaims),
      signingKey: "VLEK",
      vmpl: 1,
      product: "Milan",
      chipId: zeros(64),
    } as const;
    const guests = [image(snp, "measurement")];
    const verdict = appraise(authentic(snp), awsSnp({ guests }), reportData);
    expect(verdict).toMatchObject({ accepted: true, tee: true, assurance: { tier: "broken" } });
    expect(failed(snp, awsSnp({ guests, denyProducts: ["Milan"] }), reportData)).toEqual(["policy.snp.product"]);
    expect(failed(CLAIMS.snp(), awsSnp({ guests }), reportData)).toEqual(["policy.snp.signing-key"]);
    const strict = awsSnp({
      guests,
      minTcb: { Milan: { reported: { microcode: 255 } } },
      chipIds: [bytes("chip", 64)],
    });
    expect(failed(snp, strict, reportData)).toEqual(["policy.snp.chip", "policy.snp.min-tcb"]);
    const unlisted = { ...snp, revocation: "unchecked" } as const;
    expect(failed(unlisted, awsSnp({ guests }), reportData)).toEqual(["policy.snp.crl"]);
    expect(failed(unlisted, awsSnp({ guests, requireCrl: false }), reportData)).toEqual([]);
  });

  it("an inference node has its CPU's rules, and its GPUs counted, known and bound to the task", () => {
    const policy = gpuNode({
      cpu: dstack(),
      gpus: 8,
      switches: 4,
      chips: ["GH100"],
      minVersions: { GH100: { driver: "570" } },
    });
    expect(policy).toMatchObject({ name: "dstack app with GPUs", binding: "task", requireDeviceBinding: "task" });
    expect(policy.families.tdx).toEqual(dstack().families.tdx);
    expect(policy.families.nvidia).toMatchObject({
      rims: "match",
      revocation: ["good"],
      devices: { min: 8, max: 8 },
      switches: { min: 4, max: 4 },
      chips: { allow: ["GH100"] },
    });
    expect(policy.families.nras!.claims).toMatchObject({
      secboot: [true],
      dbgstat: ["disabled"],
      measres: ["success"],
    });
    // The CPU's evidence alone is not enough.
    expect(failed(tdx, policy, reportData, { eventLog: eventLog() })).toEqual([
      "policy.binding",
      "policy.devices",
      "policy.switches",
    ]);
    const loose = gpuNode({ name: "node", cpu: dstack({ binding: "nonce" }), gpus: 1, deviceBinding: "nonce" });
    expect(loose).toMatchObject({ name: "node", binding: "nonce", requireDeviceBinding: "nonce" });
  });
});

describe("templates", () => {
  const names = Object.keys(POLICY_TEMPLATES) as (keyof typeof POLICY_TEMPLATES)[];

  /** Puts something fitting in the place of each `<…>` but the one that is `left`. */
  function fill(value: unknown, left?: number, count = { blanks: 0 }): unknown {
    if (typeof value === "string" && /^<.*>$/.test(value)) {
      if (count.blanks++ === left) return value;
      if (/number/.test(value)) return 8;
      const size = /: (\d+) bytes/.exec(value)?.[1];
      return size === undefined ? "filled in" : bytes(value, Number(size));
    }
    if (Array.isArray(value)) return value.map((each) => fill(each, left, count));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fill(each, left, count)]));
  }

  it.each(names)("%s: is refused as it is, and while any one place is not filled in", (name) => {
    const template: unknown = JSON.parse(JSON.stringify(POLICY_TEMPLATES[name]));
    expect(() => policyFromJson(template)).toThrow(code("POLICY_INVALID"));
    const count = { blanks: 0 };
    const filled = fill(template, undefined, count);
    expect(count.blanks).toBeGreaterThan(1);
    expect(outcomeOf(() => policyFromJson(filled))).toBe("accepted");
    expect(accepts(POLICY_SCHEMA, filled)).toBe(true);
    for (let i = 0; i < count.blanks; i++) {
      const partly = fill(template, i);
      expect(() => policyFromJson(partly), String(i)).toThrow(
        /placeholder "<|whole number from 0 to 256, not "<number/,
      );
      expect(accepts(POLICY_SCHEMA, partly), String(i)).toBe(false);
    }
  });

  it.each(names)("%s: lists what a TEE claim needs", (name) => {
    const policy = policyFromJson(fill(POLICY_TEMPLATES[name]));
    for (const [family, rules] of Object.entries(policy.families)) {
      if (family === "nvidia" || family === "nras") continue;
      const { measurements } = rules as { measurements: { values: Record<string, string[]> }[] };
      const claims = CLAIMS[family as Claims["family"]]();
      for (const [register, [value]] of Object.entries(measurements[0]!.values)) {
        claims.measurements[register] = value as `0x${string}`;
      }
      const verdict = appraise(authentic(claims), policy);
      expect(verdict.checks.find(({ id }) => id === "policy.measurements")?.outcome).toBe("pass");
      expect(verdict.notes.join()).not.toMatch(/the listed state has no value/);
    }
  });
});
