/**
 * Machines of a CPU and devices, with the log of what was measured: a composite, bound to a task or not.
 *
 * @module
 */
import { type Hex, keccak, toHex } from "../../field/bytes.js";
import { deviceNonce, type TeeTask, taskReportData } from "../binding.js";
import type { Collateral } from "../collateral.js";
import { type Composite, type Evidence, evidenceBytes, type NrasEvidence, type NvidiaEvidence } from "../evidence.js";
import { PINNED_ROOTS, type Roots } from "../roots.js";
import type { Lab } from "./bytes.js";
import { LAB_NOW } from "./certificates.js";
import { dstackLog, type LabLog } from "./eventLog.js";
import { intelPlatform } from "./intel.js";
import { type NrasOptions, nrasAnswer } from "./nras.js";
import { type NvidiaOptions, nvidiaDevices } from "./nvidia.js";

/** What the CPU's evidence has to say. */
export interface CpuRequest {
  now: number;
  /** 64 bytes that bind task and devices; zero without a task. */
  reportData: Hex;
  /** The registers that the event log replays to; none without a log. */
  measurements: Partial<LabLog["registers"]>;
}

export interface MachineOptions {
  now?: number;
  /** Makes the CPU's evidence; that of a TD unless given. */
  cpu?: (request: CpuRequest) => Lab<Evidence>;
  /** One GPU unless given. */
  devices?: readonly NvidiaOptions[];
  tokens?: readonly NrasOptions[];
  /** A dstack guest's unless given; `false` for none. */
  eventLog?: LabLog | false;
  /** What all of it is bound to. */
  task?: TeeTask;
}

export interface Machine {
  now: number;
  roots: Partial<Roots>;
  composite: Composite;
  collateral: Collateral;
  cpu: Lab<Evidence>;
  devices: readonly Lab<NvidiaEvidence>[];
  tokens: readonly Lab<NrasEvidence>[];
}

/** `verifyComposite(composite, collateral, { now, roots, task })` accepts it. */
export function labMachine(options: MachineOptions = {}): Machine {
  const { now = LAB_NOW, cpu: make = (request: CpuRequest) => intelPlatform(request), task } = options;
  const nonce = task ? { nonce: deviceNonce(task) } : {};
  const devices = nvidiaDevices((options.devices ?? [{}]).map((each) => ({ now, ...nonce, ...each })));
  const tokens = (options.tokens ?? []).map((each) => nrasAnswer({ now, ...nonce, ...each }));
  const { eventLog = dstackLog() } = options;
  const digests = devices.map(({ evidence }) => toHex(keccak(evidenceBytes(evidence))));
  const cpu = make({
    now,
    reportData: task ? taskReportData(task, digests) : `0x${"00".repeat(64)}`,
    measurements: eventLog ? eventLog.registers : {},
  });
  const composite: Composite = {
    cpu: cpu.evidence,
    devices: devices.map(({ evidence }) => evidence),
    tokens: tokens.map(({ evidence }) => evidence),
    ...(eventLog ? { eventLog: eventLog.eventLog } : {}),
  };
  return { now, composite, cpu, devices, tokens, ...together([cpu, ...devices, ...tokens]) };
}

/** Roots and collateral of several, as one verification takes them. */
export function together(labs: readonly Lab<Evidence>[]): { roots: Partial<Roots>; collateral: Collateral } {
  const roots: { -readonly [family in keyof Roots]?: Roots[family] } = {};
  for (const { roots: own } of labs) {
    for (const family of LISTS) if (own[family]) roots[family] = [...(roots[family] ?? []), ...own[family]];
    if (own.amd) roots.amd = mergeAmd(roots.amd ?? PINNED_ROOTS.amd, own.amd);
  }
  const all = <T>(of: (collateral: Collateral) => readonly T[] | undefined): T[] =>
    labs.flatMap(({ collateral }) => of(collateral) ?? []);
  return {
    roots,
    collateral: {
      intel: all(({ intel }) => intel),
      amd: { certificates: all(({ amd }) => amd?.certificates), crls: all(({ amd }) => amd?.crls) },
      nitro: { crls: all(({ nitro }) => nitro?.crls) },
      nvidia: {
        rims: [...new Set(all(({ nvidia }) => nvidia?.rims))],
        ocsp: all(({ nvidia }) => nvidia?.ocsp),
        crls: all(({ nvidia }) => nvidia?.crls),
      },
      nras: { jwks: all(({ nras }) => nras?.jwks) },
      cca: { keys: all(({ cca }) => cca?.keys) },
    },
  };
}

const LISTS = ["intel", "nitro", "nvidiaDevice", "nvidiaRim", "nvidiaNras", "ccaPlatform"] as const;

/** A laboratory's product in place of the pinned one, whichever of the two has it. */
function mergeAmd(a: Roots["amd"], b: Roots["amd"]): Roots["amd"] {
  const chosen = (product: keyof Roots["amd"]) => (b[product] === PINNED_ROOTS.amd[product] ? a[product] : b[product]);
  return { Milan: chosen("Milan"), Genoa: chosen("Genoa"), Turin: chosen("Turin") };
}
