/**
 * Keys on cards. The stand-in's cards (stand-in.cpp) fail in every way that card.h leaves them: each ends with a code. The
 * emulated card makes the processor's proofs, sums and transforms, byte for byte.
 */
import { once as onceEmitted } from "node:events";
import { copyFile, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { bn254 } from "@noble/curves/bn254.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { calculateWitness, encodeWtns } from "../../src/circuit/witness.js";
import { AnchorError } from "../../src/errors.js";
import {
  type CardChoice,
  CUDA_LIBRARY,
  type CudaStatus,
  type NativeCore,
  nativeCore,
  type ProvingKeyHandle,
} from "../../src/field/native.js";
import { R } from "../../src/field/scalar.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { workerFile } from "../../src/workers.js";
import { TINY, TINY_INPUTS, temporaryFolder } from "../circuit/support.js";
import { code, outcomeOf } from "../support/errors.js";
import { EMULATED_TIMEOUT, emulatedLibrary } from "./emulated.js";
import { buildStandIn } from "./standIn.js";
import { describeEngines, integers, little, MIXED, MIXED_INPUTS, numbers } from "./support.js";

const EMULATED = join(PACKAGE_ROOT, "native", "build", "cuda", "anchorproof-cuda-emulated.so");
const { x, y } = bn254.G2.Point.BASE;
const G2 = little(x.c0, x.c1, y.c0, y.c1);
const BLINDING = little(11n, R - 12n);
const off = process.env["ANCHORPROOF_NATIVE"] === "off";

/** What the stand-in's cards do, in their order. */
const DOES = [
  "Serves",
  "Unreduced",
  "ManySets",
  "WideShift",
  "NoMemory",
  "IsLost",
  "NoKey",
  "UnknownCode",
  "WaitsForAbort",
] as const;
type Does = (typeof DOES)[number];

let folder: string;
let standIn: string;
let circuit: CompiledCircuit;
let key: CircuitKey;
let witness: bigint[];
let wtns: Uint8Array;

beforeAll(async () => {
  if (off) return;
  folder = await temporaryFolder();
  standIn = buildStandIn(folder);
  circuit = await compileCircuit(MIXED);
  key = await developmentKey(circuit);
  witness = await calculateWitness(circuit.wasmPath, MIXED_INPUTS);
  wtns = encodeWtns(witness);
});

const card = (does: Does): CardChoice => ({ library: standIn, device: DOES.indexOf(does) });

/** The error of a call that must fail. */
function failure(call: () => unknown): AnchorError {
  try {
    call();
  } catch (error) {
    if (error instanceof AnchorError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const flags = (value: number) => {
  const control = new Int32Array(new SharedArrayBuffer(4));
  control[0] = value;
  return control;
};

describe.skipIf(off)("the library", () => {
  const cards = (library: string) => nativeCore()!.cards(library);
  const expectNone = (library: string, kind: string, reason: RegExp) => {
    const error = failure(() => cards(library));
    expect(error).toMatchObject({ code: "CUDA_UNAVAILABLE", details: { kind } });
    expect(error.message).toMatch(reason);
    expect(error.message).not.toContain("\n");
  };

  it("tells its cards", () => {
    const found = cards(standIn);
    expect(found).toMatchObject({ emulated: true, build: "stand-in" });
    expect(found.cards).toHaveLength(DOES.length);
    expect(found.cards[3]).toEqual({
      name: "N".repeat(127),
      memoryBytes: 80 * 2 ** 30,
      computeCapability: "9.0",
      multiprocessors: 103,
      clockKhz: 0,
      memoryClockKhz: 0,
      memoryBusBits: 0,
      cacheBytes: 0,
      driver: "13.0",
      runtime: "12.8",
    });
  });

  it("that is not there, none, of another release or without a card says so in one line", async () => {
    expectNone(join(folder, "none.so"), "missing", /not built \(npm run build:cuda\): there is no .*none\.so/);
    expectNone(join(standIn, "below"), "broken", /does not load: .*below: Not a directory/);
    expectNone(folder, "broken", /is not a file/);
    expectNone("/dev/zero", "broken", /is not a file/);
    await writeFile(join(folder, "text.so"), "no library");
    expectNone(join(folder, "text.so"), "broken", /does not load: .*text\.so/);
    const half = (await readFile(standIn)).subarray(0, 5000);
    await writeFile(join(folder, "half.so"), half);
    expectNone(join(folder, "half.so"), "broken", /does not load/);
    const addon = join(PACKAGE_ROOT, "native", "build", "Release", "anchorproof.node");
    expectNone(addon, "broken", /is not anchorproof's GPU library/);
    expectNone(buildStandIn(folder, { VERSION: 99 }), "broken", /from another release \(npm run build:cuda\)/);
    expectNone(buildStandIn(folder, { CARDS: 0 }), "none", /^the driver is too old for CUDA 13\.0: it serves 12\.2$/);
  });

  it("is found where it did not serve before, and stays the one that served", async () => {
    const library = join(folder, "later.so");
    const put = async (from: string) => {
      await copyFile(from, `${library}.tmp`);
      await rename(`${library}.tmp`, library);
    };
    expectNone(library, "missing", /./);
    await put(buildStandIn(folder, { VERSION: 0 }));
    expectNone(library, "broken", /another release/);
    await put(buildStandIn(folder, { CARDS: 2 }));
    expect(cards(library).cards).toHaveLength(2);
    await put(standIn);
    expect(cards(library).cards).toHaveLength(2);
  });
});

describe.skipIf(off)("what ANCHORPROOF_CUDA names", () => {
  /** What a thread with this environment finds. */
  async function statusWith(env: NodeJS.ProcessEnv): Promise<{ library?: string; status: CudaStatus }> {
    const source = `
      import(${JSON.stringify(`file://${workerFile("field/native")}`)}).then(({ cudaLibrary, cudaStatus }) => {
        require("node:worker_threads").parentPort.postMessage({ library: cudaLibrary(), status: cudaStatus() });
      });`;
    const thread = new Worker(source, { eval: true, env: { ...process.env, ...env } });
    const [answer] = await onceEmitted(thread, "message");
    return answer;
  }

  it("serves, or says why it does not", async () => {
    expect(await statusWith({ ANCHORPROOF_CUDA: standIn })).toEqual({
      library: standIn,
      status: { available: true, library: standIn, ...nativeCore()!.cards(standIn) },
    });
    expect(await statusWith({ ANCHORPROOF_CUDA: "off" })).toEqual({
      library: undefined,
      status: { available: false, kind: "off", reason: "ANCHORPROOF_CUDA is off" },
    });
    const gone = join(folder, "gone.so");
    for (const [library, kind] of [
      [gone, "missing"],
      [folder, "broken"],
      [buildStandIn(folder, { CARDS: 0 }), "none"],
    ] as const) {
      const { status } = await statusWith({ ANCHORPROOF_CUDA: library });
      expect(status).toEqual({ available: false, kind, reason: expect.stringMatching(/^[^\n]+$/) });
    }
    expect((await statusWith({ ANCHORPROOF_CUDA: "" })).library).toBe(CUDA_LIBRARY);
  });

  it("is not looked at where there is no core", async () => {
    const { status } = await statusWith({ ANCHORPROOF_CUDA: standIn, ANCHORPROOF_NATIVE: "off" });
    expect(status).toEqual({ available: false, kind: "off", reason: "ANCHORPROOF_NATIVE is off" });
  });
});

describeEngines("cards that fail", (core, engine) => {
  const open = (does: Does, more: object = {}) =>
    core.openProvingKey(key.zkeyPath, { engine, cuda: { ...card(does), ...more } });

  /** Opens, proves and closes. */
  const prove = (does: Does, options: Parameters<NativeCore["prove"]>[2] = {}, bytes = wtns) => {
    const handle = open(does);
    try {
      return core.prove(handle, bytes, { blinding: BLINDING, ...options });
    } finally {
      core.closeProvingKey(handle);
    }
  };

  it("are handed the key as the file has it, whatever the engine's form", () => {
    const [mine, portable] = [engine, "portable" as const].map((each) => {
      const handle = core.openProvingKey(key.zkeyPath, { engine: each, cuda: card("Serves"), threads: 2 });
      const about = core.provingKeyInfo(handle);
      core.closeProvingKey(handle);
      return about;
    });
    expect(mine!.memoryBytes).toBe(portable!.memoryBytes);
    expect(mine).toMatchObject({ variables: witness.length, publics: 3, prepared: false });
  });

  it("tell phases, and times when they are asked for", () => {
    const seen: string[] = [];
    const made = prove("Serves", { onPhase: (phase) => seen.push(phase), timed: true });
    expect(seen).toEqual(["witness", "card", "assemble"]);
    expect(made.phases.map(({ name }) => name)).toEqual(seen);
    expect(integers(made.publics)).toEqual(witness.slice(1, 4));
    // The first bytes of the first two wires: the card reads the values themselves.
    expect(made.cardTimes).toEqual([
      { name: "a name of 24 characters!", ms: 1.5, bytes: 1, operations: Number(witness[1]! & 255n) },
    ]);
    expect(prove("Serves").cardTimes).toBeUndefined();
  });

  const sum = (does: Does) => core.cardMsm(engine, card(does), 1, little(1n, 2n, 1n, 2n), little(1n, 1n));
  const sum2 = (does: Does) => core.cardMsm(engine, card(does), 2, G2, little(1n));

  it.each(["Unreduced", "ManySets", "WideShift"] as const)("end with a code: %s", (does) => {
    for (const call of [prove, sum, sum2]) {
      const expected = { code: "PROVE_FAILED", message: "the card returned a sum that is none" };
      expect(
        failure(() => call(does)),
        call.name,
      ).toMatchObject(expected);
    }
  });

  it.each([
    ["NoMemory", "OUT_OF_MEMORY", "the card has too little memory", {}],
    ["IsLost", "CUDA_FAILED", `${"x".repeat(50)}; the card serves this process no more`, { lost: true }],
    ["UnknownCode", "CUDA_FAILED", "the card gave no reason", {}],
  ] as const)("end with a code: %s", (does, expected, message, details) => {
    const transform = () => core.cardNtt(engine, card(does), little(1n));
    for (const call of [prove, sum, sum2, transform]) {
      const error = failure(() => call(does));
      expect(error, call.name).toMatchObject({ code: expected, message });
      expect(error.details, call.name).toEqual(details);
    }
  });

  it("make no key", () => {
    expect(failure(() => open("NoKey"))).toMatchObject({ code: "CUDA_FAILED", message: "the card made no key" });
    expect(failure(() => open("Serves", { device: 9 }))).toMatchObject({
      code: "INPUT_INVALID",
      message: "there is no card 9: there are cards 0 to 8",
    });
    expect(() => open("Serves", { library: join(folder, "none.so") })).toThrow(code("CUDA_UNAVAILABLE"));
  });

  it("stop when the flag is set while they work", () => {
    const control = flags(0);
    const onPhase = (phase: string) => {
      if (phase === "card") control[0] = 1;
    };
    expect(() => prove("WaitsForAbort", { control, onPhase })).toThrow(code("ABORTED"));
    expect(() => prove("WaitsForAbort", { control: flags(1) })).toThrow(code("ABORTED"));
  });

  it("refuse witnesses of another shape before the card sees them", () => {
    const alter = (at: number) => wtns.map((byte, i) => (i === at ? byte ^ 1 : byte));
    for (const bytes of [
      encodeWtns(witness.slice(1)),
      encodeWtns([...witness, 0n]),
      encodeWtns([2n, ...witness.slice(1)]),
      new Uint8Array(0),
      wtns.slice(0, -1),
      new Uint8Array([...wtns, 0]),
      alter(0),
      alter(30),
    ]) {
      expect(() => prove("IsLost", {}, bytes)).toThrow(code("WITNESS_INVALID"));
    }
    expect(() => prove("Serves", { blinding: little(R, 1n) })).toThrow(code("INPUT_INVALID"));
  });

  it("put sums together, and are told what to do", () => {
    const multiple = (k: bigint) => core.msm(engine, 1, little(1n, 2n), little(k));
    const points = Buffer.concat([multiple(5n), multiple(7n), multiple(3n)]);
    const options = { repeat: 17 };
    // The stand-in's answer: the first point, and eight times the second.
    const made = core.cardMsm(engine, { ...card("Serves"), window: 13 }, 1, points, little(1n, 2n, 3n), options);
    expect(made).toEqual({
      sum: multiple(5n + 8n * 7n),
      times: [{ name: "msm", ms: 1.5, bytes: 17, operations: 13 }],
    });
    expect(core.cardMsm(engine, card("Serves"), 1, points.subarray(0, 64), little(9n)).sum).toEqual(multiple(5n));
    expect(core.cardMsm(engine, card("Serves"), 1, little(), little()).sum).toEqual(new Uint8Array(64));
    const infinity = Buffer.concat([multiple(5n), new Uint8Array(64)]);
    expect(() => core.cardMsm(engine, card("Serves"), 1, infinity, little(1n, 1n))).toThrow(code("PROVE_FAILED"));
    for (const [inverse, coset, first] of [
      [false, false, 0n],
      [true, false, 16n],
      [false, true, 1n],
    ] as const) {
      const { values, times } = core.cardNtt(engine, card("Serves"), little(9n, 8n), { inverse, coset, repeat: 2 });
      expect(integers(values)).toEqual([first, 8n]);
      expect(times[0]).toEqual({ name: "ntt", ms: 1.5, bytes: 2, operations: 2 });
      expect(times).toHaveLength(24);
    }
    expect(() => core.cardMsm(engine, card("Serves"), 1, little(1n, 3n), little(1n))).toThrow(code("INPUT_INVALID"));
    expect(() => core.cardMsm(engine, card("Serves"), 1, little(1n, 2n), little(R))).toThrow(code("INPUT_INVALID"));
    expect(() => core.cardNtt(engine, card("Serves"), little(1n, R))).toThrow(code("INPUT_INVALID"));
  });

  it("share a key for one choice, and no other", () => {
    const handles: ProvingKeyHandle[] = [];
    const loadMs = (does: Does, more: object = {}) => {
      handles.push(open(does, more));
      return core.provingKeyInfo(handles.at(-1)!).loadMs;
    };
    const first = loadMs("Serves");
    expect(loadMs("Serves")).toBe(first);
    expect(loadMs("Serves", { library: join(folder, "..", folder.split("/").at(-1)!, "stand-in.so") })).toBe(first);
    for (const more of [{ device: 1 }, { window: 9 }, { multiples: 2 }, { memoryLimit: 1 }, { coordinates: 1 }]) {
      expect(loadMs("Serves", more), JSON.stringify(more)).not.toBe(first);
    }
    handles.push(core.openProvingKey(key.zkeyPath, { engine }));
    expect(core.provingKeyInfo(handles.at(-1)!).memoryBytes).not.toBe(core.provingKeyInfo(handles[0]!).memoryBytes);
    for (const handle of handles) core.closeProvingKey(handle);
  });

  it("refuse damaged keys as the processor does", async () => {
    const path = join(folder, `short-${engine}.zkey`);
    await writeFile(path, (await readFile(key.zkeyPath)).subarray(0, -1));
    expect(() => core.openProvingKey(path, { engine, cuda: card("Serves") })).toThrow(code("KEY_MALFORMED"));
  });
});

describeEngines("the emulated card", (core, engine) => {
  // What the card does is the same for all engines.
  const once = it.runIf(engine === core.defaultEngine());

  const cuda: CardChoice = { library: EMULATED, device: 0 };
  let onCard: ProvingKeyHandle;
  let onHost: ProvingKeyHandle;
  beforeAll(async () => {
    expect(await emulatedLibrary()).toBe(EMULATED);
    onCard = core.openProvingKey(key.zkeyPath, { engine, cuda });
    onHost = core.openProvingKey(key.zkeyPath, { engine });
  }, EMULATED_TIMEOUT);
  afterAll(() => {
    core.closeProvingKey(onCard);
    core.closeProvingKey(onHost);
  });

  it("is one", () => {
    expect(core.cards(EMULATED)).toMatchObject({ emulated: true });
    expect(core.provingKeyInfo(onCard).memoryBytes).toBeGreaterThan(0);
  });

  it("makes the processor's proof from the same blinding", () => {
    const expected = core.prove(onHost, wtns, { blinding: BLINDING });
    const made = core.prove(onCard, wtns, { blinding: BLINDING, timed: true });
    expect(made.proof).toEqual(expected.proof);
    expect(made.publics).toEqual(expected.publics);
    expect(made.cardTimes!.length).toBeGreaterThan(3);
    for (const { ms, name } of made.cardTimes!) {
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(name).toMatch(/^\w/);
    }
  });

  once("makes it for a circuit of few rows", async () => {
    const tiny = await compileCircuit(TINY);
    const { zkeyPath } = await developmentKey(tiny);
    const values = encodeWtns(await calculateWitness(tiny.wasmPath, TINY_INPUTS));
    const [a, b] = [core.openProvingKey(zkeyPath, { engine, cuda }), core.openProvingKey(zkeyPath, { engine })];
    for (const blinding of [little(0n, 0n), little(R - 1n, 1n)]) {
      expect(core.prove(a, values, { blinding }).proof).toEqual(core.prove(b, values, { blinding }).proof);
    }
    core.closeProvingKey(a);
    core.closeProvingKey(b);
  });

  once("makes it from a witness that breaks rows, too, and whatever way the key is kept", () => {
    const next = numbers(6, R);
    const forged = encodeWtns([1n, ...witness.slice(1).map((value, i) => (i % 3 === 0 ? next() : value))]);
    const expected = core.prove(onHost, forged, { blinding: BLINDING }).proof;
    for (const how of [{}, { multiples: 1 }, { window: 5 }, { window: 7, multiples: 3 }, { coordinates: 1 as const }]) {
      const handle = core.openProvingKey(key.zkeyPath, { engine, cuda: { ...cuda, ...how } });
      expect(core.prove(handle, forged, { blinding: BLINDING }).proof, JSON.stringify(how)).toEqual(expected);
      core.closeProvingKey(handle);
    }
  });

  once("makes several at a time", async () => {
    const body = `
      const { parentPort, workerData: data } = require("node:worker_threads");
      import(data.module).then(({ nativeCore }) => {
        const core = nativeCore();
        const key = core.openProvingKey(data.path, { engine: data.engine, cuda: data.cuda });
        for (let i = 0; i < 2; i++) parentPort.postMessage(core.prove(key, data.wtns, { blinding: data.blinding }).proof);
      });`;
    const module = `file://${workerFile("field/native")}`;
    const workerData = { module, path: key.zkeyPath, engine, cuda, wtns, blinding: BLINDING };
    const expected = core.prove(onHost, wtns, { blinding: BLINDING }).proof;
    const threads = [0, 1, 2].map(() => new Worker(body, { eval: true, workerData }));
    await Promise.all(
      threads.map(async (thread) => {
        const proofs: Uint8Array[] = [];
        thread.on("message", (proof) => proofs.push(proof));
        await onceEmitted(thread, "exit");
        expect(proofs).toEqual([expected, expected]);
      }),
    );
  });

  once("refuses witnesses with the processor's codes", () => {
    const at = (wire: number) => wtns.length - witness.length * 32 + 32 * wire;
    for (const [wire, value] of [
      [1, R],
      [5, witness[5]! + R],
      [witness.length - 1, (1n << 256n) - 1n],
    ] as const) {
      const alias = wtns.slice();
      alias.set(little(value), at(wire));
      for (const handle of [onHost, onCard]) {
        expect(
          outcomeOf(() => core.prove(handle, alias)),
          `${wire}: ${value}`,
        ).toBe("WITNESS_INVALID");
      }
    }
    expect(core.prove(onCard, wtns, { blinding: BLINDING }).proof).toEqual(
      core.prove(onHost, wtns, { blinding: BLINDING }).proof,
    );
  });

  once("stops when the flag is set", () => {
    const control = flags(0);
    const onPhase = (phase: string) => {
      if (phase === "card") control[0] = 1;
    };
    expect(() => core.prove(onCard, wtns, { control, onPhase })).toThrow(code("ABORTED"));
    const other = { ...cuda, window: 6 };
    expect(() => core.openProvingKey(key.zkeyPath, { engine, cuda: other, control: flags(1) })).toThrow(
      code("ABORTED"),
    );
    expect(core.prove(onCard, wtns).proof).toHaveLength(256);
  });

  once.each([0, 1, 2, 33, 300])("adds %i points as the processor does", (n) => {
    const next = numbers(n + 1, R);
    for (const group of [1, 2] as const) {
      const size = 64 * group;
      const generator = group === 1 ? little(1n, 2n) : G2;
      const points = new Uint8Array(n * size);
      for (let i = 0; i < n; i++) {
        // Infinity, equal and opposite neighbours.
        const factor = i % 7 === 3 ? 0n : i % 5 === 1 ? R - BigInt(i - 1 || 1) : BigInt(i || 1);
        points.set(core.msm(engine, group, generator, little(factor)), i * size);
      }
      const scalars = little(...Array.from({ length: n }, (_, i) => [next(), 0n, 1n, R - 1n, next() % 9n][i % 5]!));
      const { sum } = core.cardMsm(engine, cuda, group, points, scalars, { repeat: 2 });
      expect(sum, `group ${group}`).toEqual(core.msm(engine, group, points, scalars));
    }
  });

  once.each([0, 1, 2, 5, 8, 11])("transforms 2^%i values as the processor does", (log) => {
    const next = numbers(log + 1, R);
    const values = little(...Array.from({ length: 2 ** log }, (_, i) => (i % 4 === 0 ? R - 1n : next())));
    for (const inverse of [false, true]) {
      for (const coset of [false, true]) {
        const made = core.cardNtt(engine, cuda, values, { inverse, coset, repeat: 2 });
        expect(made.values, `${inverse} ${coset}`).toEqual(core.ntt(engine, values, { inverse, coset }));
      }
    }
  });
});
