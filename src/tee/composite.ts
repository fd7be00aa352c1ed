/**
 * One machine's evidence as a whole: its CPU's quote or report, that of its GPUs and switches, tokens about them, and the
 * log of what was measured at run time; each verified by itself, then held against each other.
 *
 * @module
 */
import { AnchorError, type ErrorCode, toAnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { documentDigest } from "../protocol/document.js";
import { oneLine } from "../text.js";
import { checkTaskBinding, deviceNonce, type TeeTask } from "./binding.js";
import type { Claims, EventLogClaims, NrasClaims, NvidiaClaims } from "./claims.js";
import type { Collateral } from "./collateral.js";
import {
  type Check,
  collateralDigest,
  demand,
  Shared,
  type Used,
  type Verification,
  type VerifyOptions,
} from "./context.js";
import { verifyEventLog } from "./eventLog/verify.js";
import type { Composite, Evidence } from "./evidence.js";
import { verifyPart } from "./verify.js";

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

/** Most devices, and most tokens: far more than a machine has, and each costs a chain of signatures. */
const MAX_PARTS = 256;

/** Verifies each part, then that they belong together. No input makes it throw. */
export function verifyComposite(
  composite: Composite,
  collateral: Collateral,
  options: CompositeOptions,
): CompositeVerification {
  const shared = new Shared();
  const isWhole = Array.isArray(composite?.devices) && Array.isArray(composite.tokens);
  const given: Composite = isWhole ? composite : { cpu: composite?.cpu, devices: [], tokens: [] };
  const cpu = verifyPart(given.cpu, collateral, options, shared);
  const most = Math.max(given.devices.length, given.tokens.length);
  const isBounded = most <= MAX_PARTS;
  const all = <C extends Claims>(evidence: readonly Evidence[]) =>
    isBounded ? evidence.map((each) => verifyPart(each, collateral, options, shared) as Verification<C>) : [];
  const devices = all<NvidiaClaims>(given.devices);
  const tokens = all<NrasClaims>(given.tokens);
  const parts: Verification[] = [cpu, ...devices, ...tokens];
  const checks: Check[] = [];
  const notes: string[] = [];
  const check = <T>(id: string, claim: string, run: () => T): T | undefined => {
    const entry: Check = { id, claim: oneLine(claim), outcome: "pass" };
    checks.push(entry);
    try {
      return run();
    } catch (error) {
      const { code, message } = toAnchorError(error, "INTERNAL", "the check failed unexpectedly");
      Object.assign(entry, { outcome: "fail", code, reason: oneLine(message) });
      return undefined;
    }
  };

  if (!isWhole) {
    check("composite.form", "a machine's evidence has lists of devices and of tokens", () => {
      throw new AnchorError("EVIDENCE_MALFORMED", "a machine's evidence must have lists of devices and of tokens");
    });
  }
  if (!isBounded) {
    check("composite.size", "there are no more devices and tokens than a machine can have", () => {
      throw new AnchorError("DEVICE_COUNT", `${most} devices or tokens of one machine; ${MAX_PARTS} are the most`);
    });
  }
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
    given.eventLog &&
    check("composite.event-log", "the event log replays to the registers of the CPU's quote", () => {
      demand(cpu.ok, "EVENT_LOG_MISMATCH", "there is no authentic quote to hold the event log against");
      return verifyEventLog(given.eventLog!, cpu.claims);
    });

  const found = devices.flatMap((device) => (device.ok ? [device.claims] : []));
  const tokenClaims = tokens.flatMap((token) => (token.ok ? [token.claims] : []));
  check("composite.kinds", "what stands for a device is of a device, and what stands for a token a token", () => {
    for (const [what, wanted, parts] of [
      ["device", "nvidia", devices],
      ["token", "nras", tokens],
    ] as const) {
      (parts as readonly Verification[]).forEach((part, i) => {
        demand(
          !part.ok || part.claims.family === wanted,
          "BINDING_MISMATCH",
          `${what} ${i} is evidence of family ${part.ok ? part.claims.family : ""}`,
        );
      });
    }
  });
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
  if (found.some(isProtected)) {
    check("composite.topology", "GPUs and switches are those that are linked to each other", () => requireLinks(found));
  }
  const nonces = [...found, ...tokenClaims].map(({ nonce }) => nonce);
  const { task, deviceNonce: wanted }: Partial<CompositeOptions> = options ?? {};
  const expected = task ? () => deviceNonce(task) : wanted === undefined ? undefined : () => wanted;
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
  const unique = [...new Map(used.map((each) => [`${each.kind} ${each.digest}`, each])).values()];
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

function isProtected({ device, protectedPcie, mode }: NvidiaClaims): boolean {
  return device === "GPU" && (protectedPcie === true || mode === "ppcie");
}

/**
 * GPUs with protected PCIe name the switches that they are linked to, in their signed reports: those of one machine name the same,
 * and a switch that none of them names is another machine's. Switches name GPUs too, by identifiers that GPUs do not report.
 */
function requireLinks(devices: readonly NvidiaClaims[]): void {
  const gpus = devices.filter(isProtected);
  const switches = devices.filter(({ device }) => device === "NVSwitch");
  const [first, ...others] = gpus;
  const list = (links: readonly Hex[] = []) => links.join(", ") || "none";
  for (const { links, serial } of others) {
    demand(
      list(links) === list(first!.links),
      "BINDING_MISMATCH",
      `the GPU ${serial} is linked to other switches than the GPU ${first!.serial}: ${list(links)} instead of ${list(first!.links)}`,
    );
  }
  for (const { pdi, serial } of switches) {
    demand(
      pdi !== undefined && first?.links?.includes(pdi) === true,
      "BINDING_MISMATCH",
      `no GPU is linked to the switch ${serial} (${pdi ?? "without an identifier"}), but to ${list(first?.links)}`,
    );
  }
}
