/**
 * One machine's evidence as a whole: its CPU's quote or report, that of its GPUs and switches, tokens about them, and the
 * log of what was measured at run time; each verified by itself, then held against each other.
 *
 * @module
 */
import { AnchorError, type ErrorCode, toAnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { documentDigest } from "../protocol/document.js";
import { checkTaskBinding, deviceNonce, type TeeTask } from "./binding.js";
import type { Claims, EventLogClaims, NrasClaims, NvidiaClaims } from "./claims.js";
import type { Collateral } from "./collateral.js";
import { type Check, collateralDigest, demand, type Used, type Verification, type VerifyOptions } from "./context.js";
import { verifyEventLog } from "./eventLog/verify.js";
import type { Composite } from "./evidence.js";
import { verify } from "./verify.js";

export interface CompositeOptions extends VerifyOptions {
  /** What all of it has to be bound to, in anchorproof's own order. */
  task?: TeeTask;
  /** Without a task: what the devices must have been asked with. */
  deviceNonce?: Hex;
}

/** How strongly devices are tied to the CPU's report. */
export type DeviceBinding =
  /** The CPU's report names the devices' evidence, and they the task. */
  | "task"
  /** Both hold the same nonce: made for one request, by anybody who knew it. */
  | "nonce"
  | "none";

export interface CompositeVerification {
  /** Every part is authentic, and everything that was asked of their relation holds. */
  ok: boolean;
  failure?: { code: ErrorCode; message: string };
  cpu: Verification;
  devices: Verification<NvidiaClaims>[];
  tokens: Verification<NrasClaims>[];
  eventLog?: EventLogClaims;
  /** Of the whole: how the parts belong together. Those of a part are with the part. */
  checks: Check[];
  /** Whether a task was asked for and found. */
  boundToTask: boolean;
  deviceBinding: DeviceBinding;
  evidenceDigest: Hex;
  collateralDigest: Hex;
  collateral: Used[];
  verifiedAt: number;
  validFrom: number;
  validUntil: number;
  notes: string[];
}

/** Verifies each part, then that they belong together. No input makes it throw. */
export function verifyComposite(
  composite: Composite,
  collateral: Collateral,
  options: CompositeOptions,
): CompositeVerification {
  const cpu = verify(composite.cpu, collateral, options);
  const devices = composite.devices.map((each) => verify(each, collateral, options) as Verification<NvidiaClaims>);
  const tokens = composite.tokens.map((each) => verify(each, collateral, options) as Verification<NrasClaims>);
  const parts: Verification[] = [cpu, ...devices, ...tokens];
  const checks: Check[] = [];
  const notes: string[] = [];
  const check = <T>(id: string, claim: string, run: () => T): T | undefined => {
    const entry: Check = { id, claim, outcome: "pass" };
    checks.push(entry);
    try {
      return run();
    } catch (error) {
      const { code, message } = toAnchorError(error, "INTERNAL", "the check failed unexpectedly");
      Object.assign(entry, { outcome: "fail", code, reason: message });
      return undefined;
    }
  };

  check("composite.parts", "every part is authentic by itself", () => {
    const names = ["CPU", ...devices.map((_, i) => `device ${i}`), ...tokens.map((_, i) => `token ${i}`)];
    parts.forEach((part, i) => {
      if (!part.ok) throw new AnchorError(part.failure.code, `${names[i]}: ${part.failure.message}`);
    });
  });
  if (cpu.ok) {
    check("composite.cpu", "the first part is a CPU's", () => {
      const { family } = cpu.claims;
      demand(
        family !== "nvidia" && family !== "nras",
        "BINDING_MISMATCH",
        "there is no CPU's evidence among the parts",
      );
    });
  }
  const eventLog =
    composite.eventLog &&
    check("composite.event-log", "the event log replays to the registers of the CPU's quote", () => {
      demand(cpu.ok, "EVENT_LOG_MISMATCH", "there is no authentic quote to hold the event log against");
      return verifyEventLog(composite.eventLog!, cpu.claims);
    });

  const found = devices.flatMap((device) => (device.ok ? [device.claims] : []));
  const tokenClaims = tokens.flatMap((token) => (token.ok ? [token.claims] : []));
  if (devices.length > 1) {
    check("composite.distinct", `the ${devices.length} devices are as many different ones`, () => {
      const seen = new Map<Hex, number>();
      found.forEach(({ deviceId, serial }, i) => {
        const first = seen.get(deviceId);
        demand(
          first === undefined,
          "DUPLICATE_DEVICE",
          `devices ${first} and ${i} are one and the same (serial ${serial})`,
        );
        seen.set(deviceId, i);
      });
    });
  }
  const nonces = [...found, ...tokenClaims].map(({ nonce }) => nonce);
  const expected = nonceOf(options);
  if (nonces.length > 0) {
    const claim = "all devices answer to one nonce";
    check("composite.device-nonce", expected ? `${claim}, the one expected` : claim, () => {
      const nonce = expected?.() ?? nonces[0];
      nonces.forEach((has, i) => {
        demand(
          has === nonce,
          "NONCE_MISMATCH",
          `device or token ${i} answers to nonce ${has ?? "none"}, not to ${nonce}`,
        );
      });
    });
  }

  const { task } = options;
  let boundToTask = false;
  if (task && cpu.ok) {
    const digests = devices.map(({ evidenceDigest }) => evidenceDigest);
    check("composite.task", "the CPU's report names this task and the devices' evidence", () => {
      checkTaskBinding(cpu.claims, task, digests);
      boundToTask = true;
    });
  }
  const deviceBinding = bindingOf(cpu, found, boundToTask);
  if (found.length > 0) {
    if (deviceBinding === "none") notes.push("nothing ties the devices to this CPU's report: they may be anybody's");
    if (deviceBinding === "nonce") {
      notes.push("devices and CPU answer to one nonce: whoever knew it may have asked devices of another machine");
    }
    if (deviceBinding === "task")
      notes.push("that the devices sit in the CPU's machine is not shown: a GPU can be relayed");
  }
  if (devices.length === 0 && tokens.length > 0) {
    notes.push("of the devices there are only tokens: they say what NVIDIA's service saw, not what this verifier saw");
  }

  const failed = checks.find(({ outcome }) => outcome === "fail");
  const used = parts.flatMap((part) => part.collateral);
  const unique = used.filter((each, i) => used.findIndex((other) => sameUsed(each, other)) === i);
  const windows = parts.flatMap((part) => (part.ok ? [part] : []));
  return {
    ok: failed === undefined,
    ...(failed ? { failure: { code: failed.code!, message: failed.reason! } } : {}),
    cpu,
    devices,
    tokens,
    ...(eventLog ? { eventLog } : {}),
    checks,
    boundToTask,
    deviceBinding,
    evidenceDigest: documentDigest({
      cpu: cpu.evidenceDigest,
      devices: devices.map(({ evidenceDigest }) => evidenceDigest),
      tokens: tokens.map(({ evidenceDigest }) => evidenceDigest),
      eventLog: eventLog?.digest ?? "",
    }),
    collateralDigest: collateralDigest(unique),
    collateral: unique,
    verifiedAt: cpu.verifiedAt,
    validFrom: Math.max(0, ...windows.map(({ validFrom }) => validFrom)),
    validUntil: windows.length === 0 ? 0 : Math.min(...windows.map(({ validUntil }) => validUntil)),
    notes,
  };
}

function nonceOf({ task, deviceNonce: nonce }: CompositeOptions): (() => Hex) | undefined {
  if (task) return () => deviceNonce(task);
  return nonce === undefined ? undefined : () => nonce;
}

/** The second half of the report data, or Nitro's and the vTPM's own nonce, is where others put a request's nonce. */
function bindingOf(cpu: Verification, devices: readonly NvidiaClaims[], boundToTask: boolean): DeviceBinding {
  if (!cpu.ok || devices.length === 0) return "none";
  if (boundToTask) return "task";
  const { reportData, nonce } = cpu.claims as Claims;
  const half: Hex | undefined = reportData?.length === 130 ? `0x${reportData.slice(66)}` : undefined;
  // A half of zeros is what evidence that answers to no nonce has.
  const isShared = (own: Hex | undefined) =>
    own !== undefined && /[1-9a-f]/.test(own.slice(2)) && (own === half || own === nonce);
  return devices.every((device) => isShared(device.nonce)) ? "nonce" : "none";
}

function sameUsed(a: Used, b: Used): boolean {
  return a.kind === b.kind && a.digest === b.digest;
}
