/**
 * Parts of one machine, and parts that are not of one: whatever is mixed, repeated, left out or asked for another task is refused,
 * each for its own reason.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { type Hex, toHex } from "../../src/field/bytes.js";
import { deviceNonce, type TeeTask, taskLeaf } from "../../src/tee/binding.js";
import type { Collateral } from "../../src/tee/collateral.js";
import { type CompositeOptions, type CompositeVerification, verifyComposite } from "../../src/tee/composite.js";
import type { Composite, Evidence, NvidiaEvidence } from "../../src/tee/evidence.js";
import { azureGuest } from "../../src/tee/lab/azure.js";
import { filled, type Lab } from "../../src/tee/lab/bytes.js";
import { ccaRealm } from "../../src/tee/lab/cca.js";
import { bootEvents, dstackLog } from "../../src/tee/lab/eventLog.js";
import { intelPlatform } from "../../src/tee/lab/intel.js";
import { labMachine, type Machine, type MachineOptions, together } from "../../src/tee/lab/machine.js";
import { nitroEnclave } from "../../src/tee/lab/nitro.js";
import { nrasAnswer } from "../../src/tee/lab/nras.js";
import { nvidiaDevice, nvidiaDevices } from "../../src/tee/lab/nvidia.js";
import { snpProcessor } from "../../src/tee/lab/snp.js";
import { appraiseComposite } from "../../src/tee/policy/appraise.js";
import type { Expected } from "../../src/tee/policy/expected.js";
import { type Policy, policyFromJson } from "../../src/tee/policy/policy.js";
import type { Roots } from "../../src/tee/roots.js";
import { type TeeVerdict, teeVerdictToJson } from "../../src/tee/verdict.js";

const word = (value: number): Hex => `0x${value.toString(16).padStart(64, "0")}`;

const TASK: TeeTask = {
  chainId: 133718n,
  contract: `0x${"11".repeat(20)}`,
  taskId: word(1),
  modelDigest: word(2),
  inputCommitment: 3n,
  outputCommitment: 4n,
  enclaveKey: `0x02${"05".repeat(32)}`,
  nonce: word(6),
};

/** Every field of the task, changed. */
const OTHER_TASKS: [keyof TeeTask, TeeTask][] = (
  [
    ["chainId", 1n],
    ["contract", `0x${"12".repeat(20)}`],
    ["taskId", word(7)],
    ["modelDigest", word(7)],
    ["inputCommitment", 7n],
    ["outputCommitment", 7n],
    ["enclaveKey", "0x"],
    ["nonce", word(7)],
  ] as [keyof TeeTask, unknown][]
).map(([field, value]) => [field, { ...TASK, [field]: value } as TeeTask]);

interface Given {
  now: number;
  roots: Partial<Roots>;
  composite: Composite;
  collateral: Collateral;
}

const run = ({ composite, collateral, now, roots }: Given, asked: Partial<CompositeOptions> = { task: TASK }) =>
  verifyComposite(composite, collateral, { now, roots, ...asked });

/** `ok`, or the failed check and its code. */
const outcome = (verification: CompositeVerification) => {
  const failed = verification.checks.filter((each) => each.outcome === "fail");
  expect(verification.ok).toBe(failed.length === 0);
  expect(verification.failure).toEqual(failed[0] && { code: failed[0].code, message: failed[0].reason });
  return verification.ok ? "ok" : failed.map(({ id, code }) => `${id} ${code}`).join("; ");
};

/** A machine of two GPUs, a switch, a token and a log, bound to the task. */
let whole: Machine;
/** Its devices, for the same task, but without the GPU that comes last. */
let stranger: Lab<NvidiaEvidence>;

beforeAll(() => {
  whole = labMachine({ task: TASK, devices: [{}, {}, { device: "NVSwitch" }], tokens: [{}] });
  stranger = nvidiaDevice({ nonce: deviceNonce(TASK) });
});

/** The machine with parts replaced, and roots and collateral for those that are new. */
function changed(parts: Partial<Composite>, ...more: Lab<Evidence>[]): Given {
  const all = together([whole.cpu, ...whole.devices, ...whole.tokens, ...more]);
  return { now: whole.now, composite: { ...whole.composite, ...parts }, ...all };
}

describe("a machine", () => {
  it("is one, bound to the task: the order of its devices means nothing", () => {
    const verification = run(whole);
    expect(outcome(verification)).toBe("ok");
    expect(verification).toMatchObject({ boundToTask: true, deviceBinding: "task" });
    expect(verification.validUntil).toBe(
      Math.min(
        ...[verification.cpu, ...verification.devices, ...verification.tokens].map((part) =>
          part.ok ? part.validUntil : 0,
        ),
      ),
    );
    const reversed = run(changed({ devices: [...whole.composite.devices].reverse() }));
    expect(outcome(reversed)).toBe("ok");
    expect(reversed.evidenceDigest).not.toBe(verification.evidenceDigest);
  });

  it.each(OTHER_TASKS)("of another task, by its %s alone, is refused", (_, task) => {
    expect(outcome(run(whole, { task }))).toMatch(
      /^composite\.device-nonce NONCE_MISMATCH; composite\.task BINDING_MISMATCH$/,
    );
    const { eventLog: __, ...alone } = { ...whole.composite, devices: [], tokens: [] };
    expect(outcome(run({ ...whole, composite: alone }, { task }))).toBe("composite.task BINDING_MISMATCH");
  });

  it("does not take a device in, leave one out, or count one twice", () => {
    const { devices } = whole.composite;
    const [first, second, third] = devices;
    expect(outcome(run(changed({ devices: [...devices, stranger.evidence] }, stranger)))).toBe(
      "composite.task BINDING_MISMATCH",
    );
    expect(outcome(run(changed({ devices: [first!, stranger.evidence, third!] }, stranger)))).toBe(
      "composite.task BINDING_MISMATCH",
    );
    expect(outcome(run(changed({ devices: [first!, third!] })))).toBe("composite.task BINDING_MISMATCH");
    expect(outcome(run(changed({ devices: [] })))).toBe("composite.task BINDING_MISMATCH");
    expect(outcome(run(changed({ devices: [...devices, second!] })))).toBe(
      "composite.distinct DUPLICATE_DEVICE; composite.task BINDING_MISMATCH",
    );
    // Other bytes of the same evidence: the root left out of its chain.
    const shorter = { ...first!, certificates: first!.certificates.slice(0, -1) };
    expect(outcome(run(changed({ devices: [shorter, second!, third!] })))).toBe("composite.task BINDING_MISMATCH");
  });

  it("does not take another machine's CPU, nor a quote that names no devices", () => {
    const { eventLog: _, ...rest } = whole.composite;
    const other = labMachine({ task: TASK, devices: [], eventLog: false });
    for (const cpu of [other.cpu, intelPlatform()]) {
      const given = { now: whole.now, ...together([cpu, ...whole.devices, ...whole.tokens]) };
      expect(outcome(run({ ...given, composite: { ...rest, cpu: cpu.evidence } }))).toBe(
        "composite.task BINDING_MISMATCH",
      );
    }
  });

  it("has tokens of this request only", () => {
    for (const [token, found] of [
      [nrasAnswer({ nonce: filled(9, 32) }), "composite.device-nonce NONCE_MISMATCH"],
      [nrasAnswer({ nonce: deviceNonce(TASK) }), "ok"],
    ] as const) {
      const given = { now: whole.now, ...together([whole.cpu, ...whole.devices, token]) };
      expect(outcome(run({ ...given, composite: { ...whole.composite, tokens: [token.evidence] } }))).toBe(found);
    }
  });

  it("has the log of its own quote, unabridged", () => {
    const { eventLog } = whole.composite;
    const other = dstackLog(bootEvents(filled(7, 32))).eventLog;
    const text = JSON.parse(Buffer.from(eventLog!.log).toString("utf8")) as unknown[];
    const cut = { format: "dstack" as const, log: new Uint8Array(Buffer.from(JSON.stringify(text.slice(0, -1)))) };
    for (const log of [cut, other]) {
      expect(outcome(run(changed({ eventLog: log })))).toBe("composite.event-log EVENT_LOG_MISMATCH");
    }
    const empty = { format: "dstack" as const, log: new Uint8Array(Buffer.from("[]")) };
    expect(outcome(run(changed({ eventLog: empty })))).toMatch(/^composite\.event-log EVENT_LOG_/);
    const snp = labMachine({ task: TASK, eventLog: false, cpu: ({ reportData }) => snpProcessor({ reportData }) });
    const given = { ...snp, composite: { ...snp.composite, eventLog: eventLog! } };
    expect(outcome(run(given))).toBe("composite.event-log EVENT_LOG_MISMATCH");
  });

  it("has a CPU where a CPU belongs, and devices where devices do", () => {
    const device = whole.composite.devices[0]!;
    const { eventLog: _, ...rest } = whole.composite;
    const composite = { ...rest, cpu: device, devices: rest.devices.slice(1) } as Composite;
    expect(outcome(run({ ...changed({}), composite }))).toContain("composite.cpu BINDING_MISMATCH");
    const token = { ...rest, cpu: rest.tokens[0]!, tokens: [] } as Composite;
    expect(outcome(run({ ...changed({}), composite: token }))).toContain("composite.cpu BINDING_MISMATCH");
    // Types are not there at run time.
    const asDevice = changed({ devices: [whole.composite.cpu as never] });
    expect(outcome(run(asDevice, {}))).toContain("composite.kinds BINDING_MISMATCH");
    const asToken = changed({ tokens: [device as never] });
    expect(outcome(run(asToken, {}))).toContain("composite.kinds BINDING_MISMATCH");
  });

  it("fails with its first part that does, whichever it is", () => {
    const spoilt = { ...whole.composite.devices[1]!, report: whole.composite.devices[1]!.report.slice(0, -1) };
    const [first, , third] = whole.composite.devices;
    const verification = run(changed({ devices: [first!, spoilt, third!] }));
    expect(outcome(verification)).toMatch(/^composite\.parts EVIDENCE_MALFORMED/);
    expect(verification.failure?.message).toMatch(/^device 1: /);
    for (const now of [Number.NaN, undefined, 1.5, -1]) {
      const late = run(whole, { task: TASK, now: now as number });
      expect(late).toMatchObject({ ok: false, failure: { code: "BAD_TIME" } });
    }
    expect(run(whole, { task: TASK, now: whole.now + 200 * 365 * 86_400 })).toMatchObject({
      ok: false,
      failure: { code: "EXPIRED" },
    });
  });

  it("has no more devices than a machine can have: work is bounded", () => {
    const many = Array.from({ length: 257 }, () => whole.composite.devices[0]!);
    expect(outcome(run(changed({ devices: many })))).toMatch(/^composite\.size DEVICE_COUNT/);
    expect(outcome(run(changed({ tokens: many.map(() => whole.composite.tokens[0]!) })))).toMatch(
      /^composite\.size DEVICE_COUNT/,
    );
  });
});

describe("devices without a task", () => {
  const made = (nonce: Hex | undefined, reportData: Hex, devices: MachineOptions["devices"] = [{}]) =>
    labMachine({
      eventLog: false,
      devices: devices.map((each) => ({ ...(nonce ? { nonce } : {}), ...each })),
      cpu: () => intelPlatform({ reportData }),
    });
  const NONCE = word(0xabc);

  it("are tied by the nonce of one request, which has to be one", () => {
    const shared = made(NONCE, `0x${"77".repeat(32)}${NONCE.slice(2)}`);
    expect(run(shared, {})).toMatchObject({ ok: true, boundToTask: false, deviceBinding: "nonce" });
    expect(run(shared, { deviceNonce: NONCE })).toMatchObject({ ok: true });
    expect(outcome(run(shared, { deviceNonce: word(1) }))).toBe("composite.device-nonce NONCE_MISMATCH");
    expect(run(made(NONCE, `0x${NONCE.slice(2)}${"77".repeat(32)}`), {})).toMatchObject({ deviceBinding: "none" });
    const two = made(undefined, `0x${"77".repeat(32)}${NONCE.slice(2)}`, [{ nonce: NONCE }, { nonce: word(9) }]);
    expect(outcome(run(two, {}))).toBe("composite.device-nonce NONCE_MISMATCH");
    expect(run(two, {}).deviceBinding).toBe("none");
  });

  it("are tied by nothing where the nonce is zero, as report data without a nonce is", () => {
    const zero = word(0);
    const verification = run(made(zero, `0x${"00".repeat(64)}`), {});
    expect(verification).toMatchObject({ ok: true, deviceBinding: "none" });
    expect(verification.notes.join()).toMatch(/nothing ties the devices/);
  });

  it("of which there are tokens alone are tied by nothing", () => {
    const tokens = labMachine({
      eventLog: false,
      devices: [],
      tokens: [{ nonce: NONCE }],
      cpu: () => intelPlatform({ reportData: `0x${"77".repeat(32)}${NONCE.slice(2)}` }),
    });
    const verification = run(tokens, {});
    expect(verification).toMatchObject({ ok: true, deviceBinding: "none" });
    expect(verification.notes.join()).toMatch(/only tokens/);
  });
});

describe("GPUs with protected PCIe", () => {
  const SWITCHES = [filled(1, 8), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)];
  const listed = (ids: readonly Uint8Array[]) => new Uint8Array(ids.flatMap((id) => [...id.toReversed()]));
  const gpu = (ids: readonly Uint8Array[]) => ({ opaque: { 22: listed(ids), 34: [1, 0, 0, 0], 36: [2] } });
  const nvSwitch = (id: Uint8Array) => ({ device: "NVSwitch" as const, opaque: { 22: id } });
  const of = (...devices: NonNullable<MachineOptions["devices"]>) =>
    outcome(run(labMachine({ task: TASK, eventLog: false, devices })));

  it("name the switches of their machine, and all of them the same", () => {
    const [a, b] = SWITCHES as [Uint8Array, Uint8Array];
    expect(of(gpu([a, b]), gpu([b, a]), nvSwitch(a), nvSwitch(b))).toBe("ok");
    expect(of(gpu([a, b]), nvSwitch(filled(9, 8)))).toBe("composite.topology BINDING_MISMATCH");
    expect(of(gpu([a, b]), nvSwitch(a), nvSwitch(filled(9, 8)))).toBe("composite.topology BINDING_MISMATCH");
    expect(of(gpu([a, b]), gpu([a, filled(9, 8)]))).toBe("composite.topology BINDING_MISMATCH");
    expect(of(gpu([a, b]), gpu([]))).toBe("composite.topology BINDING_MISMATCH");
    expect(of(gpu([]), nvSwitch(a))).toBe("composite.topology BINDING_MISMATCH");
  });

  it("in other modes links mean nothing", () => {
    const spt = { opaque: { 22: listed([SWITCHES[0]!]), 34: [1, 0, 0, 0], 36: [1] } };
    expect(of(spt, {})).toBe("ok");
  });
});

describe("other CPUs", () => {
  /** Makers of evidence that is bound to the task and one GPU. */
  const CPUS: [string, (reportData: Hex) => Lab<Evidence>][] = [
    ["sgx", (reportData) => intelPlatform({ body: "sgx", reportData })],
    ["snp", (reportData) => snpProcessor({ reportData })],
    ["cca", (reportData) => ccaRealm({ challenge: reportData })],
    ["azure-snp", (reportData) => azureGuest({ nonce: reportData.slice(0, 66) as Hex })],
    ["azure-tdx", (reportData) => azureGuest({ tee: "tdx", nonce: reportData.slice(0, 66) as Hex })],
    [
      "nitro",
      (reportData) =>
        nitroEnclave({ userData: reportData.slice(0, 66) as Hex, nonce: TASK.nonce, publicKey: TASK.enclaveKey }),
    ],
  ];

  it.each(CPUS)("%s: bound to the task and its devices, and to no others", (family, make) => {
    const machine = labMachine({ task: TASK, eventLog: false, cpu: ({ reportData }) => make(reportData) });
    const verification = run(machine);
    expect(outcome(verification)).toBe("ok");
    expect(verification).toMatchObject({ deviceBinding: "task", cpu: { claims: { family } } });
    expect(outcome(run({ ...machine, composite: { ...machine.composite, devices: [] } }))).toBe(
      "composite.task BINDING_MISMATCH",
    );
    for (const [, task] of OTHER_TASKS) {
      expect(outcome(run({ ...machine, composite: { ...machine.composite, devices: [] } }, { task }))).toBe(
        "composite.task BINDING_MISMATCH",
      );
    }
  });

  it("have each of a Nitro document's three fields, and none in another's place", () => {
    const leaf = taskLeaf(TASK, []);
    const good = { userData: leaf, nonce: TASK.nonce, publicKey: TASK.enclaveKey };
    const of = (fields: Parameters<typeof nitroEnclave>[0]) =>
      outcome(run(labMachine({ devices: [], eventLog: false, cpu: () => nitroEnclave(fields) })));
    expect(of(good)).toBe("ok");
    for (const fields of [
      { ...good, userData: TASK.nonce, nonce: leaf },
      { ...good, userData: null, nonce: leaf },
      { ...good, nonce: null },
      { ...good, publicKey: null },
      { ...good, publicKey: leaf },
      { ...good, userData: `${leaf}00` as Hex },
    ]) {
      expect(of(fields)).toBe("composite.task BINDING_MISMATCH");
    }
  });

  it("of Azure are bound by the TPM quote, not by user data that is older", () => {
    const guest = azureGuest({ userData: `${taskLeaf(TASK, [])}${TASK.nonce.slice(2)}`, nonce: filled(3, 32) });
    const machine = labMachine({ devices: [], eventLog: false, cpu: () => guest });
    expect(outcome(run(machine))).toBe("composite.task BINDING_MISMATCH");
  });
});

describe("the verdict over a machine", () => {
  const policyFor = (changes: Record<string, unknown> = {}): Policy => {
    const { cpu } = run(whole);
    if (!cpu.ok) throw new Error(cpu.failure.message);
    const { mrTd, rtmr1, rtmr2 } = cpu.claims.measurements;
    return policyFromJson({
      format: "anchorproof/tee-policy@1",
      name: "test",
      binding: "task",
      requireDeviceBinding: "task",
      families: {
        tdx: { measurements: [{ values: { mrTd, rtmr1, rtmr2 } }] },
        nvidia: { devices: { min: 2, max: 2 }, switches: { min: 1, max: 1 }, fwid: ["match", "absent"] },
        nras: { devices: { min: 1 } },
      },
      ...changes,
    });
  };
  const verdict = (given: Given = whole, expected: Expected = { task: TASK }, policy = policyFor()): TeeVerdict =>
    appraiseComposite(run(given), policy, expected);
  const failed = ({ checks }: TeeVerdict) => checks.filter(({ outcome: each }) => each === "fail").map(({ id }) => id);

  it("accepts it, with all of its parts named", () => {
    const found = verdict();
    expect(failed(found)).toEqual([]);
    expect(found).toMatchObject({ authentic: true, accepted: true, tee: true, deviceBinding: "task" });
    expect(found.devices).toHaveLength(3);
  });

  it("is the same bytes whatever the order of the collateral", () => {
    const { intel = [], amd, nitro, nvidia, nras, cca } = whole.collateral;
    const collateral: Collateral = {
      cca: cca!,
      nras: nras!,
      nvidia: {
        rims: [...nvidia!.rims].reverse(),
        ocsp: [...nvidia!.ocsp].reverse(),
        crls: [...nvidia!.crls].reverse(),
      },
      nitro: nitro!,
      amd: amd!,
      intel: [...intel].reverse(),
    };
    const [a, b] = [verdict(), verdict({ ...whole, collateral })].map(teeVerdictToJson);
    expect(b).toBe(a);
  });

  it("claims nothing of a task that it does not name", () => {
    expect(failed(verdict(whole, {}))).toEqual(["policy.binding", "policy.device-binding"]);
    expect(failed(verdict(whole, {}, policyFor({ binding: "any" })))).toEqual(["policy.device-binding"]);
    const other = { ...TASK, taskId: word(9) };
    expect(failed(verdict(whole, { task: other }))).toContain("policy.binding.task");
  });

  it("counts devices by their own evidence: tokens do not stand in for them", () => {
    const machine = labMachine({ task: TASK, devices: [], tokens: [{}] });
    const found = appraiseComposite(run(machine), policyFor(), { task: TASK });
    expect(found.accepted).toBe(false);
    expect(failed(found)).toEqual(
      expect.arrayContaining(["policy.devices", "policy.switches", "policy.device-binding"]),
    );
  });

  it("refuses devices that are expected and not there", () => {
    const machine = labMachine({ task: TASK, devices: [] });
    const policy = policyFor({ families: { tdx: policyFor().families.tdx }, requireDeviceBinding: "any" });
    expect(failed(appraiseComposite(run(machine), policy, { task: TASK }))).toEqual([]);
    expect(failed(appraiseComposite(run(machine), policy, { task: TASK, deviceNonce: deviceNonce(TASK) }))).toEqual([
      "policy.binding.device-nonce",
    ]);
    expect(failed(appraiseComposite(run(machine), policy, { task: TASK, devices: [word(1)] }))).toEqual([
      "policy.binding.devices",
    ]);
  });
});

describe("the laboratory's devices", () => {
  it("answer to the nonce that they are asked with, so that these tests are about it", () => {
    const [device] = nvidiaDevices([{ nonce: word(5) }]);
    expect(toHex(device!.evidence.report.subarray(4, 36))).toBe(word(5));
  });
});
