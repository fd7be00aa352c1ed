/** What an appraisal is asked for by a request, how long its answer holds, whole machines, and the verdict's bytes. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../../../src/paths.js";
import { deviceNonce, type TeeTask, taskLeaf, taskReportData } from "../../../src/tee/binding.js";
import type { Claims, NvidiaClaims } from "../../../src/tee/claims.js";
import type { CompositeVerification } from "../../../src/tee/composite.js";
import type { Authentic, Refused } from "../../../src/tee/context.js";
import { appraise, appraiseComposite } from "../../../src/tee/policy/appraise.js";
import type { Expected } from "../../../src/tee/policy/expected.js";
import { policyDigest } from "../../../src/tee/policy/policy.js";
import { type TeeVerdict, teeVerdictToJson } from "../../../src/tee/verdict.js";
import { outcomeOf } from "../../support/errors.js";
import {
  authentic,
  bytes,
  CLAIMS,
  COLLATERAL,
  DAY,
  eventLog,
  NONCE,
  NOW,
  nvidia,
  policy,
  rulesFor,
  zeros,
} from "./fixtures.js";

const failed = (verdict: TeeVerdict) => verdict.checks.filter(({ outcome }) => outcome === "fail");
const ids = (verdict: TeeVerdict) => failed(verdict).map(({ id }) => id);

type Family = Claims["family"];

/** Appraises a family's good claims, changed, under a policy that differs in its rules of binding. */
function bind(
  family: Family,
  changes: Record<string, unknown>,
  expected: Expected | undefined,
  change: Record<string, unknown> = {},
): TeeVerdict {
  const tee = family === "azure-tdx" ? { tee: {} } : {};
  const claims = { ...CLAIMS[family](), ...change } as Claims;
  return appraise(authentic(claims), policy({ [family]: rulesFor(family, tee) }, changes), expected);
}

const TASK: TeeTask = {
  chainId: 133718n,
  contract: bytes("gate", 20),
  taskId: bytes("task", 32),
  modelDigest: bytes("model", 32),
  inputCommitment: 7n,
  outputCommitment: 8n,
  enclaveKey: bytes("enclave key", 33),
  nonce: NONCE,
};

/** What claims of each family must hold to be bound to the task. */
const BOUND: Record<Family, Record<string, unknown>> = {
  sgx: { reportData: taskReportData(TASK, []) },
  tdx: { reportData: taskReportData(TASK, []) },
  snp: { reportData: taskReportData(TASK, []) },
  cca: { reportData: taskReportData(TASK, []) },
  nitro: { userData: taskLeaf(TASK, []), nonce: NONCE, publicKey: TASK.enclaveKey },
  "azure-snp": { nonce: taskLeaf(TASK, []) },
  "azure-tdx": { nonce: taskLeaf(TASK, []) },
  nvidia: { nonce: deviceNonce(TASK) },
  nras: { nonce: deviceNonce(TASK) },
};

const FAMILIES = Object.keys(BOUND) as Family[];

describe("binding", () => {
  it.each(FAMILIES)("%s: to a task, which must be named, and be the one", (family) => {
    const asks = { binding: "task" };
    expect(bind(family, asks, { task: TASK }, BOUND[family]).accepted).toBe(true);
    expect(ids(bind(family, asks, undefined, BOUND[family]))).toEqual(["policy.binding"]);
    // Other expectations are no task.
    const { nonce, reportData } = { ...CLAIMS[family](), ...BOUND[family] } as Claims;
    const other = { ...(nonce ? { nonce } : {}), ...(reportData ? { reportData } : {}) };
    expect(ids(bind(family, asks, other, BOUND[family]))).toContain("policy.binding");
    const wrong = bind(family, asks, { task: { ...TASK, outputCommitment: 9n } }, BOUND[family]);
    expect(failed(wrong)).toMatchObject([{ id: "policy.binding.task", code: "BINDING_MISMATCH" }]);
    // What the request expects counts under any policy.
    expect(ids(bind(family, { binding: "any" }, { task: TASK }))).toEqual(["policy.binding.task"]);
  });

  it.each(FAMILIES)("%s: to a nonce", (family) => {
    const asks = { binding: "nonce" };
    expect(bind(family, asks, { nonce: NONCE }).accepted).toBe(true);
    expect(ids(bind(family, asks, undefined))).toEqual(["policy.binding"]);
    expect(ids(bind(family, { binding: "any", requireNonce: true }, undefined))).toEqual(["policy.nonce"]);
    expect(bind(family, { binding: "any", requireNonce: true }, { nonce: NONCE }).accepted).toBe(true);
    const wrong = bind(family, { binding: "any" }, { nonce: bytes("another", 32) });
    expect(failed(wrong)).toMatchObject([{ id: "policy.binding.nonce", code: "NONCE_MISMATCH" }]);
    const none = bind(family, asks, { nonce: NONCE }, { nonce: undefined, reportData: undefined });
    expect(ids(none)).toEqual(["policy.binding.nonce"]);
  });

  it("a nonce is all of the report data but zeros, or its second half, and nothing else", () => {
    const half = NONCE.slice(2);
    const other = bytes("other", 32).slice(2);
    const judge = (reportData: string) => bind("snp", { binding: "nonce" }, { nonce: NONCE }, { reportData }).accepted;
    expect(judge(`0x${half}${"00".repeat(32)}`)).toBe(true);
    expect(judge(`0x${other}${half}`)).toBe(true);
    expect(judge(`0x${half}${other}`)).toBe(false);
    expect(judge(`0x${other.slice(0, 32)}${half}${other.slice(32)}`)).toBe(false);
    expect(judge(`0x${other}${other}`)).toBe(false);
    // A nonce of 16 bytes at the end could be somebody's hash: it counts only where it stands first and alone.
    const short = bytes("short", 16);
    const judgeShort = (reportData: string) =>
      bind("snp", { binding: "nonce" }, { nonce: short }, { reportData }).accepted;
    expect(judgeShort(`${short}${"00".repeat(48)}`)).toBe(true);
    expect(judgeShort(`0x${"00".repeat(48)}${short.slice(2)}`)).toBe(false);
  });

  it("devices answer to their own nonce, and to the request's where they have none", () => {
    const asks = { binding: "nonce" };
    const own = bytes("device nonce", 32);
    expect(bind("nvidia", asks, { nonce: NONCE, deviceNonce: own }, { nonce: own }).accepted).toBe(true);
    expect(ids(bind("nvidia", asks, { nonce: NONCE, deviceNonce: own }))).toEqual(["policy.binding.nonce"]);
    // Everything that is expected is looked at: a CPU alone has no devices that could answer.
    expect(ids(bind("tdx", asks, { nonce: NONCE, deviceNonce: own }))).toEqual(["policy.binding.device-nonce"]);
    const task = bind("nvidia", { binding: "task" }, { task: TASK, deviceNonce: own }, BOUND.nvidia);
    expect(failed(task)).toMatchObject([{ id: "policy.binding.task", code: "NONCE_MISMATCH" }]);
  });

  it("to report data that the request names, all of it or at least 16 bytes", () => {
    const asks = { binding: "report-data" };
    for (const family of ["sgx", "tdx", "snp", "cca", "nitro", "azure-snp", "nvidia"] as const) {
      const claims = CLAIMS[family]();
      const chosen =
        family === "azure-snp" || family === "nvidia"
          ? claims.nonce!
          : claims.family === "nitro"
            ? claims.userData!
            : claims.reportData!;
      expect(bind(family, asks, { reportData: chosen }).accepted, family).toBe(true);
      expect(ids(bind(family, asks, undefined)), family).toEqual(["policy.binding"]);
      expect(ids(bind(family, asks, { reportData: zeros(64) })), family).toEqual(["policy.binding.report-data"]);
      const prefix = chosen.slice(0, 34) as `0x${string}`;
      expect(bind(family, asks, { reportDataPrefix: prefix }).accepted, family).toBe(true);
      const tooShort = chosen.slice(0, 32) as `0x${string}`;
      expect(ids(bind(family, asks, { reportDataPrefix: tooShort })), family).toEqual(["policy.binding"]);
      const other = bytes("other", 20);
      expect(ids(bind(family, asks, { reportDataPrefix: other })), family).toEqual([
        "policy.binding.report-data-prefix",
      ]);
    }
  });

  it("to a key or user data of a Nitro document; other evidence has none", () => {
    const { publicKey, userData } = CLAIMS.nitro() as Extract<Claims, { family: "nitro" }>;
    const asks = { binding: "report-data" };
    const expected = { publicKey: publicKey!, userData: userData! };
    expect(bind("nitro", asks, expected).accepted).toBe(true);
    expect(ids(bind("nitro", asks, { publicKey: bytes("x", 65) }))).toEqual(["policy.binding.public-key"]);
    expect(ids(bind("nitro", asks, { userData: "0x" }))).toEqual(["policy.binding.user-data"]);
    expect(ids(bind("tdx", asks, expected))).toEqual(["policy.binding.public-key", "policy.binding.user-data"]);
  });

  it("to data that the policy lists", () => {
    const { reportData } = CLAIMS.tdx();
    expect(bind("tdx", { binding: { listed: [zeros(64), reportData!.toUpperCase().slice(2)] } }, {}).accepted).toBe(
      true,
    );
    expect(ids(bind("tdx", { binding: { listed: [zeros(64)] } }, {}))).toEqual(["policy.binding"]);
    expect(ids(bind("tdx", { binding: { listed: ["0x00"] } }, {}, { reportData: undefined }))).toEqual([
      "policy.binding",
    ]);
  });

  it("to nothing, and the verdict says what that means", () => {
    const verdict = bind("tdx", { binding: "any" }, undefined);
    expect(verdict.checks.find(({ id }) => id === "policy.binding")).toMatchObject({
      outcome: "unchecked",
      reason: expect.stringContaining("may be anybody's"),
    });
  });

  it.each<[string, unknown]>([
    ["a misspelt field, which would check nothing", { reportdata: zeros(64) }],
    ["upper case", { nonce: NONCE.toUpperCase() }],
    ["a nonce without 0x", { nonce: NONCE.slice(2) }],
    ["a short nonce", { nonce: zeros(15) }],
    ["a long nonce", { nonce: zeros(65) }],
    ["a nonce of zeros, which evidence without a nonce has", { nonce: zeros(32) }],
    ["devices that answer to zeros", { deviceNonce: zeros(32) }],
    ["devices without a task", { devices: [zeros(32)] }],
    ["an empty prefix", { reportDataPrefix: "0x" }],
    ["a list", []],
    ["nothing", null],
    ["text", "nonce"],
    ["a task that is none", { task: {} }],
    ["no task", { task: null }],
    ["devices that are no list", { devices: "0x" }],
    ["devices that are no digests", { devices: ["0x00"] }],
    ["a number", { userData: 1 }],
  ])("refuses to expect %s", (_, expected) => {
    const run = () => appraise(authentic(CLAIMS.tdx()), policy({ tdx: {} }), expected as Expected);
    expect(outcomeOf(run)).toBe("INPUT_INVALID");
  });

  it("a policy that is none is refused, not guessed at", () => {
    for (const each of [undefined, null, {}, { ...policy({ tdx: {} }), families: {} }]) {
      expect(outcomeOf(() => appraise(authentic(CLAIMS.tdx()), each as never))).toBe("POLICY_INVALID");
    }
  });
});

describe("how long a verdict holds", () => {
  /** The same evidence at another time. */
  const at = (family: Family, rules: Record<string, unknown>, changes: Record<string, unknown>, verifiedAt: number) =>
    appraise(authentic(CLAIMS[family](), { verifiedAt }), policy({ [family]: rulesFor(family, rules) }, changes));

  it.each<[string, Family, Record<string, unknown>, Record<string, unknown>, number]>([
    ["evidence and collateral", "tdx", {}, {}, NOW + 20 * DAY],
    ["age of collateral", "tdx", {}, { collateral: { maxAgeSeconds: 5 * DAY } }, NOW + DAY],
    ["age of a document", "nitro", { maxAgeSeconds: 3600 }, {}, NOW + 3500],
    ["age of a token", "nras", { maxAgeSeconds: 3600 }, {}, NOW + 3400],
  ])("%s: until the second at which its own policy refuses", (_, family, rules, changes, until) => {
    const verdict = at(family, rules, changes, NOW);
    expect(verdict).toMatchObject({ accepted: true, verifiedAt: NOW, validUntil: until });
    expect(at(family, rules, changes, until)).toMatchObject({ accepted: true, validUntil: until });
    if (until < NOW + 20 * DAY) expect(at(family, rules, changes, until + 1).accepted).toBe(false);
  });

  it.each<[string, Family, Record<string, unknown>, Record<string, unknown>, number, "from" | "until"]>([
    ["age of collateral", "tdx", {}, { collateral: { maxAgeSeconds: 3 * DAY } }, NOW - DAY + 1, "from"],
    ["age of a document", "nitro", { maxAgeSeconds: 50 }, {}, NOW - 49, "from"],
    ["age of a token", "nras", { maxAgeSeconds: 50 }, {}, NOW - 149, "from"],
    ["a document from the future", "nitro", { maxAheadSeconds: 0 }, {}, NOW - 101, "until"],
  ])("a refusal holds no longer than its reason: %s", (_, family, rules, changes, edge, end) => {
    const now = end === "from" ? NOW : NOW - 200;
    const verdict = at(family, rules, changes, now);
    expect(verdict).toMatchObject({ accepted: false, [end === "from" ? "validFrom" : "validUntil"]: edge });
    expect(at(family, rules, changes, edge).accepted).toBe(false);
    expect(at(family, rules, changes, end === "from" ? edge - 1 : edge + 1).accepted).toBe(true);
  });

  it("from the second at which its own policy accepts", () => {
    const verdict = at("nitro", { maxAheadSeconds: 60 }, {}, NOW);
    expect(verdict.validFrom).toBe(NOW - 160);
    expect(at("nitro", { maxAheadSeconds: 60 }, {}, NOW - 160).accepted).toBe(true);
    expect(at("nitro", { maxAheadSeconds: 60 }, {}, NOW - 161).accepted).toBe(false);
  });
});

describe("the verdict", () => {
  const refused: Refused = {
    ok: false,
    failure: { code: "EXPIRED", message: "the TCB info was valid until 2025-01-01T00:00:00Z" },
    evidenceDigest: bytes("evidence", 32),
    collateralDigest: bytes("collateral", 32),
    checks: [{ id: "intel.tcb-info", claim: "it is current", outcome: "fail", code: "EXPIRED", reason: "it was" }],
    collateral: [],
    verifiedAt: NOW,
    notes: ["some note"],
  };

  it("of a failed verification says so, claims nothing, and has no time at which it holds", () => {
    const verdict = appraise(refused, policy({ tdx: rulesFor("tdx") }));
    expect(verdict).toMatchObject({
      authentic: false,
      accepted: false,
      tee: false,
      failure: refused.failure,
      summary: "not authentic: EXPIRED: the TCB info was valid until 2025-01-01T00:00:00Z",
      checks: refused.checks,
      notes: refused.notes,
      assurance: { tier: "none", notes: [] },
    });
    for (const name of ["claims", "family", "validFrom", "validUntil"]) expect(verdict).not.toHaveProperty(name);
  });

  it("has digests of everything that it depends on, and a summary of one line", () => {
    const rules = policy({ tdx: rulesFor("tdx") });
    const verdict = appraise(authentic(CLAIMS.tdx()), rules, { nonce: NONCE });
    expect(verdict).toMatchObject({
      format: "anchorproof/tee-verdict@1",
      authentic: true,
      accepted: true,
      tee: true,
      family: "tdx",
      policyName: "test",
      policyDigest: policyDigest(rules),
      evidenceDigest: bytes("evidence of tdx", 32),
      verifiedAt: NOW,
      validUntil: NOW + 20 * DAY,
    });
    expect(verdict.expectedDigest).not.toBe(appraise(authentic(CLAIMS.tdx()), rules).expectedDigest);
    expect(verdict.summary).toMatch(
      /^tdx evidence, authentic at 2026-01-01T00:00:00Z, is accepted under "test" until .*Z: what runs is on its list$/,
    );
    const task = appraise(authentic(CLAIMS.tdx()), rules, { task: TASK });
    const otherTask = appraise(authentic(CLAIMS.tdx()), rules, { task: { ...TASK, chainId: 1n } });
    expect(task.expectedDigest).not.toBe(otherTask.expectedDigest);
  });

  it("counts how many rules failed, and tells the first", () => {
    const claims = { ...CLAIMS.tdx(), debug: true, status: "OutOfDate" } as Claims;
    const { summary } = appraise(authentic(claims), policy({ tdx: rulesFor("tdx") }));
    expect(summary).toMatch(/is refused under "test": policy\.debug: .*; and 1 more$/);
  });

  it("names what is known of attacks, and ranks hardware by it", () => {
    const tierOf = (family: Family, rules: Record<string, unknown>, change: Record<string, unknown> = {}) =>
      appraise(authentic({ ...CLAIMS[family](), ...change } as Claims), policy({ [family]: rulesFor(family, rules) }))
        .assurance;
    expect(tierOf("tdx", {})).toMatchObject({
      tier: "remote",
      notes: [expect.stringContaining("TEE.fail"), expect.stringContaining("no machines in known places")],
    });
    expect(tierOf("tdx", { ppid: { allow: [bytes("ppid", 16)] } })).toMatchObject({ tier: "known-machine" });
    expect(tierOf("tdx", { ppid: { deny: [bytes("other", 16)] } })).toMatchObject({ tier: "remote" });
    expect(tierOf("snp", {}, { product: "Milan" })).toMatchObject({
      tier: "broken",
      notes: [expect.stringContaining("2605.12990"), expect.stringContaining("Battering RAM"), expect.anything()],
    });
    expect(tierOf("sgx", {}).notes.join()).toMatch(/WireTap/);
    expect(tierOf("nvidia", {}).notes.join()).toMatch(/relayed from another machine/);
    expect(tierOf("azure-snp", {}).notes.join()).toMatch(/paravisor/);
    expect(tierOf("tdx", { measurements: "any" }).tier).toBe("none");
    expect(tierOf("tdx", {}, { status: "OutOfDate" }).tier).toBe("none");
  });

  it("keeps of an event log what it says, and names its events by digest", () => {
    const verdict = appraise(authentic(CLAIMS.tdx()), policy({ tdx: rulesFor("tdx") }), {}, { eventLog: eventLog() });
    expect(verdict.eventLog).toMatchObject({ composeHash: bytes("compose", 32), digest: bytes("log", 32) });
    expect(verdict.eventLog).not.toHaveProperty("events");
  });
});

describe("a whole machine", () => {
  const GPUS = { nvidia: { devices: { min: 2, max: 2 } } };
  const machine = (changes: Partial<CompositeVerification> = {}): CompositeVerification => ({
    ok: true,
    cpu: authentic(CLAIMS.tdx()),
    devices: [0, 1].map((i) => authentic(nvidia(i), { validUntil: NOW + DAY }) as Authentic<NvidiaClaims>),
    tokens: [],
    checks: [{ id: "composite.parts", claim: "every part is authentic", outcome: "pass" }],
    boundToTask: false,
    deviceBinding: "nonce",
    evidenceDigest: bytes("machine", 32),
    collateralDigest: bytes("collateral", 32),
    collateral: COLLATERAL,
    verifiedAt: NOW,
    validFrom: NOW - 10 * DAY,
    validUntil: NOW + DAY,
    notes: ["a note"],
    ...changes,
  });
  const rules = (changes: Record<string, unknown> = {}, families: Record<string, unknown> = GPUS) =>
    policy({ tdx: rulesFor("tdx"), ...families }, changes);

  it("is accepted as a whole, under the narrowest window", () => {
    const verdict = appraiseComposite(machine(), rules(), { nonce: NONCE });
    expect(failed(verdict)).toEqual([]);
    expect(verdict).toMatchObject({
      accepted: true,
      tee: true,
      family: "tdx",
      validUntil: NOW + DAY,
      deviceBinding: "nonce",
      evidenceDigest: bytes("machine", 32),
    });
    expect(verdict.devices).toHaveLength(2);
    expect(verdict.notes).toContain("a note");
    expect(verdict.checks.map(({ id }) => id)).toEqual(
      expect.arrayContaining([
        "composite.parts",
        "policy.measurements",
        "device 1: policy.nvidia.rims",
        "policy.devices",
      ]),
    );
  });

  it("every part counts: one device that fails a rule fails the machine", () => {
    const devices = machine().devices;
    (devices[1] as Authentic<NvidiaClaims>).claims.revocation = "unchecked";
    const verdict = appraiseComposite(machine({ devices }), rules());
    expect(ids(verdict)).toEqual(["device 1: policy.nvidia.revocation"]);
    expect(verdict).toMatchObject({ authentic: true, accepted: false, tee: false });
  });

  it("devices are counted, each once", () => {
    const [first] = machine().devices;
    expect(failed(appraiseComposite(machine({ devices: [first!] }), rules()))).toMatchObject([
      { id: "policy.devices", code: "DEVICE_COUNT", reason: "there are 1 GPUs, wanted is 2" },
    ]);
    expect(failed(appraiseComposite(machine({ devices: [first!, first!] }), rules()))).toMatchObject([
      { id: "policy.devices", code: "DUPLICATE_DEVICE" },
    ]);
    expect(ids(appraiseComposite(machine({ devices: [] }), rules()))).toEqual(["policy.devices"]);
  });

  it("its CPU alone does not meet a policy that wants devices, nor a device one that wants a CPU", () => {
    expect(ids(appraise(authentic(CLAIMS.tdx()), rules()))).toEqual(["policy.devices"]);
    const gpuAlone = appraise(authentic(nvidia()), rules({}, { nvidia: {} }));
    expect(ids(gpuAlone)).toEqual(["policy.cpu"]);
    expect(ids(appraise(authentic(CLAIMS.nras()), rules({}, { nras: {} })))).toEqual(["policy.cpu"]);
    const bound = policy({ nvidia: {} }, { requireDeviceBinding: "nonce" });
    expect(ids(appraise(authentic(nvidia()), bound))).toEqual(["policy.cpu"]);
  });

  it("devices that the policy has no rules for are not overlooked", () => {
    expect(ids(appraiseComposite(machine(), rules({}, {})))).toEqual([
      "device 0: policy.family",
      "device 1: policy.family",
    ]);
  });

  it("devices are tied to the CPU's report as strongly as the policy wants", () => {
    for (const [has, wants, ok] of [
      ["none", "any", true],
      ["none", "nonce", false],
      ["nonce", "nonce", true],
      ["nonce", "task", false],
      // The verdict would not say which.
      ["task", "task", false],
      ["task", "nonce", true],
    ] as const) {
      const verdict = appraiseComposite(machine({ deviceBinding: has }), rules({ requireDeviceBinding: wants }));
      expect(verdict.accepted, `${has}, ${wants}`).toBe(ok);
      if (!ok) expect(failed(verdict)).toMatchObject([{ id: "policy.device-binding", code: "BINDING_MISMATCH" }]);
    }
    const tokens = [authentic(CLAIMS.nras() as Extract<Claims, { family: "nras" }>)];
    const onlyTokens = machine({ devices: [], tokens, deviceBinding: "nonce" });
    expect(ids(appraiseComposite(onlyTokens, rules({ requireDeviceBinding: "nonce" }, { nras: {} })))).toEqual([
      "policy.device-binding",
    ]);
  });

  it("is bound to a task, with its devices named by the CPU's report", () => {
    const devices = [0, 1].map((i) =>
      authentic({ ...nvidia(i), nonce: deviceNonce(TASK) }, { evidenceDigest: bytes(`gpu ${i}`, 32) }),
    );
    const digests = devices.map(({ evidenceDigest }) => evidenceDigest);
    const cpu = authentic({ ...CLAIMS.tdx(), reportData: taskReportData(TASK, digests) } as Claims);
    const asks = rules({ binding: "task", requireDeviceBinding: "task" });
    const whole = machine({ cpu, devices, deviceBinding: "task", boundToTask: true });
    expect(failed(appraiseComposite(whole, asks, { task: TASK }))).toEqual([]);
    // The verdict has to name the task that it speaks of.
    expect(ids(appraiseComposite(whole, asks))).toEqual(["policy.binding", "policy.device-binding"]);
    expect(failed(appraiseComposite(whole, asks, { task: TASK, devices: [...digests].reverse() }))).toEqual([]);
    for (const named of [[], digests.slice(1), [digests[0]!, digests[0]!]]) {
      expect(ids(appraiseComposite(whole, asks, { task: TASK, devices: named }))).toEqual(["policy.binding.devices"]);
    }
    // Devices given by the caller do not stand in for those that are there.
    const bare = authentic({ ...CLAIMS.tdx(), reportData: taskReportData(TASK, []) } as Claims);
    expect(ids(appraiseComposite({ ...whole, cpu: bare }, asks, { task: TASK, devices: [] }))).toEqual([
      "policy.binding.task",
      "policy.binding.devices",
    ]);
    const foreign = [devices[0]!, authentic(nvidia(1), { evidenceDigest: digests[1]! })];
    expect(ids(appraiseComposite({ ...whole, devices: foreign }, asks, { task: TASK }))).toEqual([
      "device 1: policy.binding.task",
    ]);
  });

  it("that failed verification is not appraised", () => {
    const failure = { code: "DUPLICATE_DEVICE", message: "devices 0 and 1 are one and the same" } as const;
    const verdict = appraiseComposite(machine({ ok: false, failure }), rules());
    expect(verdict).toMatchObject({ authentic: false, accepted: false, tee: false, failure });
    expect(verdict).not.toHaveProperty("claims");
    expect(verdict).not.toHaveProperty("devices");
  });

  it("makes a TEE claim only if all of its parts do", () => {
    const verdict = appraiseComposite(machine(), rules({}, { nvidia: { rims: "any" } }));
    expect(verdict).toMatchObject({ accepted: true, tee: false });
  });

  it("has its event log appraised with its CPU", () => {
    const log = { eventLog: { composeHashes: { allow: [bytes("compose", 32)] } } };
    const asks = policy({ tdx: rulesFor("tdx", log), nvidia: {} });
    expect(ids(appraiseComposite(machine(), asks))).toEqual(["policy.event-log"]);
    expect(appraiseComposite(machine({ eventLog: eventLog() }), asks).accepted).toBe(true);
  });
});

describe("the verdict's bytes", () => {
  it("are canonical JSON, and read back as the verdict", () => {
    for (const family of FAMILIES) {
      const verdict = bind(family, { binding: "nonce" }, { nonce: NONCE });
      const json = teeVerdictToJson(verdict);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(verdict)));
      expect(json).not.toMatch(/undefined|NaN|Infinity/);
    }
  });

  it("are the same in two processes, whatever the order of keys and lists in what they were given", () => {
    const run = (order: string) =>
      execFileSync(
        process.execPath,
        ["--import", "tsx", join(PACKAGE_ROOT, "test/tee/policy/verdictProcess.ts"), order],
        {
          encoding: "utf8",
          cwd: PACKAGE_ROOT,
          env: {
            ...process.env,
            TZ: order === "forward" ? "UTC" : "Asia/Tokyo",
            LC_ALL: order === "forward" ? "C" : "tr_TR",
          },
        },
      );
    const [forward, backward] = [run("forward"), run("backward")];
    expect(backward).toBe(forward);
    const verdicts = forward.trim().split("\n");
    expect(verdicts.length).toBe(3);
    expect(JSON.parse(verdicts[0]!)).toMatchObject({ accepted: true, tee: true });
    expect(new Set(verdicts).size).toBe(3);
  }, 60_000);
});
