/**
 * Step two of two: is authentic evidence good enough? Pure, synchronous, offline.
 *
 * All rules are looked at, and all of them have to hold. Whatever the policy says, debug mode and a revoked platform are refused;
 * whatever it leaves out, is refused too.
 *
 * @module
 */
import type { ErrorCode } from "../../errors.js";
import type { Claims, EventLogClaims, NrasClaims, NvidiaClaims, VtpmClaims } from "../claims.js";
import type { CompositeVerification } from "../composite.js";
import { type Authentic, type Check, time, type Verification } from "../context.js";
import { assuranceOf, type TeeVerdict, VERDICT_FORMAT } from "../verdict.js";
import { Appraisal, need, some } from "./appraisal.js";
import { appraiseBinding, appraiseCollateral, isDevice } from "./binding.js";
import { appraiseCca } from "./cca.js";
import { appraiseDevices, appraiseNras, appraiseNvidia, appraiseTokens } from "./devices.js";
import { appraiseEventLog } from "./eventLog.js";
import { checkExpected, type Expected, expectedDigest } from "./expected.js";
import { appraiseSgx, appraiseTdx } from "./intel.js";
import { appraiseMeasurements, isMeasured } from "./measurements.js";
import { appraiseNitro } from "./nitro.js";
import { type Policy, policyDigest, policyFromJson } from "./policy.js";
import { appraiseSnp } from "./snp.js";

/** What goes with a single piece of evidence. */
export interface Alongside {
  /** Replayed against these very claims by `verifyEventLog`. */
  eventLog?: EventLogClaims;
}

/**
 * Appraises one piece of evidence.
 *
 * @param verification of it; one that failed gives a verdict that says so
 * @param policy       from {@link policyFromJson}, or the JSON that it reads
 * @param expected     what the request expects, beside the policy
 * @throws POLICY_INVALID, INPUT_INVALID for what is expected; never for evidence
 */
export function appraise(
  verification: Verification,
  policy: Policy,
  expected: Expected = {},
  { eventLog }: Alongside = {},
): TeeVerdict {
  // Read again: a deny-list in another spelling would deny nothing.
  const rules = policyFromJson(policy);
  checkExpected(expected);
  if (!verification.ok) return conclude(rules, expected, verification, []);
  const part = appraisePart(verification, rules, expected, { eventLog, isPart: false });
  const { claims } = verification;
  const { appraisal } = part;
  if (isDevice(claims)) {
    const { families, requireDeviceBinding } = rules;
    // A device's firmware is NVIDIA's on every device alike: no program is known by it.
    part.appraisal.measured = false;
    appraisal.note(
      "this is evidence of devices alone: it does not say what program uses them, so no TEE claim is made",
    );
    appraisal.holds(
      "cpu",
      "there is evidence of all that the policy is about",
      Object.keys(families).every((family) => DEVICE_FAMILIES.includes(family)) && requireDeviceBinding === "any",
      "the policy is about a machine with a CPU, and this is evidence of devices alone",
      "BINDING_MISMATCH",
    );
  }
  appraiseWhole(appraisal, rules, claims.family === "nvidia" ? [claims] : [], claims.family === "nras" ? [claims] : []);
  return conclude(rules, expected, verification, [part], eventLog && { eventLog });
}

/**
 * Appraises a whole machine: its CPU's evidence, its devices', tokens about those, and its event log. Parameters and errors as for
 * {@link appraise}. A policy that asks for binding to a task wants it among what is expected here as well, so that the verdict names it.
 */
export function appraiseComposite(
  composite: CompositeVerification,
  policy: Policy,
  expected: Expected = {},
): TeeVerdict {
  const rules = policyFromJson(policy);
  checkExpected(expected);
  const { cpu, devices, tokens, eventLog, deviceBinding } = composite;
  const parts = [cpu, ...devices, ...tokens];
  const names = ["", ...devices.map((_, i) => `device ${i}: `), ...tokens.map((_, i) => `token ${i}: `)];
  const claimed = {
    devices: devices.flatMap((each) => (each.ok ? [each.claims] : [])),
    tokens: tokens.flatMap((each) => (each.ok ? [each.claims] : [])),
  };
  const source: Source = {
    ...composite,
    checks: [...parts.flatMap(({ checks }, i) => prefixed(checks, names[i]!)), ...composite.checks],
    notes: [...parts.flatMap(({ notes }, i) => notes.map((note) => `${names[i]}${note}`)), ...composite.notes],
  };
  if (!composite.ok || !cpu.ok) {
    return conclude(rules, expected, { ...source, ok: false }, []);
  }
  const { deviceNonce, nonce, task } = expected;
  const { deviceNonce: _, ...forCpu } = expected;
  const forDevices: Expected = {
    ...(task === undefined ? {} : { task }),
    ...(nonce === undefined ? {} : { nonce }),
    ...(deviceNonce === undefined ? {} : { deviceNonce }),
  };
  const digests = devices.map(({ evidenceDigest }) => evidenceDigest);
  const named = expected.devices;
  const appraised = parts.flatMap((part, i) => {
    if (!part.ok) return [];
    return i === 0
      ? [appraisePart(part, rules, { ...forCpu, devices: digests }, { eventLog, isPart: false })]
      : [{ ...appraisePart(part, rules, forDevices, { eventLog: undefined, isPart: true }), name: names[i]! }];
  });
  const { appraisal } = appraised[0]!;
  appraiseWhole(appraisal, rules, claimed.devices, claimed.tokens);
  if (named) {
    appraisal.holds(
      "binding.devices",
      "the devices are those that the request expects",
      [...named].sort().join() === [...digests].sort().join(),
      `the evidence of devices is ${some(digests)}, expected ${some(named)}`,
      "BINDING_MISMATCH",
    );
  }
  if (deviceNonce !== undefined && devices.length + tokens.length === 0) {
    appraisal.holds("binding.device-nonce", "devices answer to the nonce that they were asked with", false, NO_DEVICES);
  }
  const { requireDeviceBinding } = rules;
  if (requireDeviceBinding !== "any" && devices.length + tokens.length > 0) {
    const strength = { none: 0, nonce: 1, task: 2 } as const;
    appraisal.holds(
      "device-binding",
      "devices are tied to the CPU's report as the policy wants",
      devices.length > 0 &&
        strength[deviceBinding] >= strength[requireDeviceBinding] &&
        (requireDeviceBinding !== "task" || task !== undefined),
      devices.length === 0
        ? "there are only tokens about devices, which nothing ties to the CPU's report"
        : requireDeviceBinding === "task" && task === undefined
          ? "the policy wants devices bound to a task: say which one is expected"
          : `devices are tied to the CPU's report by ${deviceBinding === "none" ? "nothing" : `the same ${deviceBinding}`}, wanted is ${requireDeviceBinding}`,
      "BINDING_MISMATCH",
    );
  }
  return conclude(rules, expected, { ...source, ok: true, claims: cpu.claims }, appraised, {
    ...(eventLog ? { eventLog } : {}),
    ...claimed,
    deviceBinding,
  });
}

const NO_DEVICES = "a nonce of devices is expected, and there is no evidence of any";

const DEVICE_FAMILIES: readonly string[] = ["nvidia", "nras"];

interface Part {
  claims: Claims;
  appraisal: Appraisal;
  /** Before the ids of its checks. */
  name?: string;
}

function appraisePart(
  verification: Authentic,
  policy: Policy,
  expected: Expected,
  { eventLog, isPart }: { eventLog: EventLogClaims | undefined; isPart: boolean },
): Part {
  const { claims, collateral, verifiedAt } = verification;
  const { family } = claims;
  const appraisal = new Appraisal(verifiedAt, verification);
  const { families } = policy;
  appraisal.check("family", "the policy accepts evidence of this family", () => {
    need(
      families[family] !== undefined,
      `the policy has no rules for ${family}, only for ${Object.keys(families).join(", ")}`,
    );
    return family;
  });
  appraisal.check("debug", "the environment is not in debug mode, which no policy accepts", () => {
    const inner = "tee" in claims ? claims.tee.debug : false;
    need(
      claims.debug === false && inner === false,
      "the environment runs in debug mode: its memory can be read from outside",
      "DEBUG_ENABLED",
    );
    return undefined;
  });
  appraiseBinding(appraisal, claims, policy, expected, isPart);
  appraiseCollateral(appraisal, family, collateral, policy.collateral);
  appraiseFamily(appraisal, claims, policy, eventLog);
  return { claims, appraisal };
}

function appraiseFamily(
  appraisal: Appraisal,
  claims: Claims,
  { families }: Policy,
  eventLog: EventLogClaims | undefined,
): void {
  const { family, measurements } = claims;
  const rules = families[family];
  if (!rules) return;
  if (isMeasured(family)) appraiseMeasurements(appraisal, family, measurements, families[family] ?? {});
  appraiseEventLog(appraisal, measurements, eventLog, "eventLog" in rules ? rules.eventLog : undefined);
  switch (claims.family) {
    case "sgx":
      appraiseSgx(appraisal, claims, families.sgx!);
      break;
    case "tdx":
      appraiseTdx(appraisal, claims, families.tdx!);
      break;
    case "snp":
      appraiseSnp(appraisal, claims, families.snp!);
      break;
    case "nitro":
      appraiseNitro(appraisal, claims, families.nitro!);
      break;
    case "nvidia":
      appraiseNvidia(appraisal, claims, families.nvidia!);
      break;
    case "nras":
      appraiseNras(appraisal, claims, families.nras!);
      break;
    case "azure-snp":
    case "azure-tdx":
      appraiseVtpm(appraisal, claims, families);
      break;
    case "cca":
      appraiseCca(appraisal, claims, families.cca!);
      break;
  }
}

function appraiseVtpm(appraisal: Appraisal, { family, tee, clock }: VtpmClaims, families: Policy["families"]): void {
  if (families[family]!.requireSafeClock) {
    appraisal.holds(
      "vtpm.clock",
      "the TPM's clock is marked as safe",
      clock.safe,
      "the TPM's clock is not marked as safe: it may have gone back",
    );
  }
  if (family === "azure-snp" && tee.family === "snp") appraiseSnp(appraisal, tee, families[family]!.tee);
  else if (family === "azure-tdx" && tee.family === "tdx") appraiseTdx(appraisal, tee, families[family]!.tee);
  else {
    appraisal.holds(
      "vtpm.tee",
      "the TPM belongs to a TEE of its own family",
      false,
      `a TPM of ${family} belongs to ${tee.family}`,
    );
  }
}

/** Rules about how many there are: a CPU's evidence alone does not meet a policy that wants devices. */
function appraiseWhole(
  appraisal: Appraisal,
  { families }: Policy,
  devices: readonly NvidiaClaims[],
  tokens: readonly NrasClaims[],
): void {
  if (families.nvidia) appraiseDevices(appraisal, devices, families.nvidia);
  if (families.nras) appraiseTokens(appraisal, tokens, families.nras);
}

/** What both kinds of verification have. */
type Source = Pick<
  Verification,
  "evidenceDigest" | "collateralDigest" | "checks" | "collateral" | "notes" | "verifiedAt"
> &
  Partial<Pick<Authentic, "claims">> & { ok: boolean; failure?: { code: ErrorCode; message: string } };

function conclude(
  policy: Policy,
  expected: Expected,
  source: Source,
  parts: readonly Part[],
  also: {
    eventLog?: EventLogClaims;
    devices?: NvidiaClaims[];
    tokens?: NrasClaims[];
    deviceBinding?: CompositeVerification["deviceBinding"];
  } = {},
): TeeVerdict {
  const authentic = source.ok && parts.length > 0;
  const appraised = parts.flatMap(({ appraisal, name = "" }) => prefixed(appraisal.checks, name));
  const accepted = authentic && parts.every(({ appraisal }) => appraisal.passed);
  const tee = accepted && parts.every(({ appraisal }) => appraisal.measured);
  const located = parts.some(({ appraisal }, i) => i === 0 && appraisal.located);
  const windows = parts.map(({ appraisal }) => appraisal.window);
  const window = {
    validFrom: Math.max(...windows.map(({ validFrom }) => validFrom)),
    validUntil: Math.min(...windows.map(({ validUntil }) => validUntil)),
  };
  const { eventLog, ...rest } = also;
  const failed = appraised.filter(({ outcome }) => outcome === "fail");
  const notes = [
    ...source.notes,
    ...parts.flatMap(({ appraisal, name = "" }) => appraisal.notes.map((note) => `${name}${note}`)),
  ];
  if (accepted && !tee) {
    notes.push(
      "the evidence is accepted, but no TEE claim is made: what runs was not held against a list of known states",
    );
  }
  return {
    format: VERDICT_FORMAT,
    authentic,
    accepted,
    tee,
    summary: summarise(policy, source, { authentic, accepted, tee, failed, until: window.validUntil }),
    ...(authentic && source.claims ? { family: source.claims.family } : {}),
    ...(source.failure ? { failure: source.failure } : {}),
    evidenceDigest: source.evidenceDigest,
    collateralDigest: source.collateralDigest,
    policyName: policy.name,
    policyDigest: policyDigest(policy),
    expectedDigest: expectedDigest(expected),
    checks: [...source.checks, ...appraised],
    ...(authentic && source.claims ? { claims: source.claims, ...rest } : {}),
    ...(authentic && eventLog ? { eventLog: withoutEvents(eventLog) } : {}),
    collateral: [...source.collateral],
    assurance: assuranceOf(
      parts.map(({ claims }) => claims),
      { tee, located },
    ),
    notes,
    verifiedAt: source.verifiedAt,
    ...(authentic ? window : {}),
  };
}

function summarise(
  { name }: Policy,
  { failure, verifiedAt, claims }: Source,
  verdict: { authentic: boolean; accepted: boolean; tee: boolean; failed: readonly Check[]; until: number },
): string {
  const { authentic, accepted, tee, failed, until } = verdict;
  if (!authentic) return `not authentic: ${failure ? `${failure.code}: ${failure.message}` : "nothing was verified"}`;
  const what = `${claims?.family} evidence, authentic at ${time(verifiedAt)},`;
  if (!accepted) {
    const { id, reason } = failed[0]!;
    const more = failed.length > 1 ? `; and ${failed.length - 1} more` : "";
    return `${what} is refused under "${name}": ${id}: ${reason}${more}`;
  }
  const claim = tee ? "what runs is on its list" : "no TEE claim, for what runs was not held against a list";
  return `${what} is accepted under "${name}" until ${time(until)}: ${claim}`;
}

function prefixed(checks: readonly Check[], name: string): Check[] {
  return name === "" ? [...checks] : checks.map((each) => ({ ...each, id: `${name}${each.id}` }));
}

function withoutEvents({ events: _, ...rest }: EventLogClaims): Omit<EventLogClaims, "events"> {
  return rest;
}
