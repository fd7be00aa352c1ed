/**
 * The pool with GPUs, on cards that the host plays: what they prove, what the CPU proves in their place and why, and what a
 * fault costs. The emulator reads its environment once, so every case is a process of its own.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { Cards } from "../../src/prover/cards.js";
import { parseProof, type SnarkjsProof, verifyGroth16, verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { simulateKey } from "../chain/simulated.js";
import { EMULATED_TIMEOUT, emulatedLibrary, hasCore } from "../native/emulated.js";
import { buildStandIn } from "../native/standIn.js";
import { parseMetrics } from "./support.js";

/** out = x^8 + c in steps, with c public: a few rows, as emulated kernels are slow. */
const SOURCE = `pragma circom 2.2.3;
template Steps() {
    signal input x;
    signal input c;
    signal output out;
    signal s[3];
    s[0] <== x * x;
    s[1] <== s[0] * s[0];
    s[2] <== s[1] * s[1];
    out <== s[2] + c;
}
component main {public [c]} = Steps();
`;

let circuit: CompiledCircuit;
let key: CircuitKey;
let directory: string;
let library: string;

const moduleUrl = (...path: string[]) => pathToFileURL(join(PACKAGE_ROOT, ...path)).href;

interface Outcome {
  /** "cuda", "native" or "snarkjs", with "again" behind it for one that was redone; or a code. */
  by: string;
  proof?: SnarkjsProof;
  publicSignals?: string[];
  threads?: number;
}

interface Report {
  outcomes: Outcome[];
  notices: string[];
  /** What the pool says that serves, at the end. */
  backend: string;
  metrics: string;
  /** Whatever else the script tells. */
  more: unknown;
}

/**
 * Runs a script with a pool of `options`, which ends by itself. It may call `make(c)`, which gives an {@link Outcome} and
 * never fails, `arm(fault)`, which has the emulator count from now, and `tell(more)`.
 */
async function inChild(script: string, env: Record<string, string> = {}, options: object = {}): Promise<Report> {
  const settings = { backend: "cuda", threads: 2, ...options };
  const file = join(directory, `${Math.random()}.mjs`);
  await writeFile(
    file,
    `
    import { copyFileSync } from "node:fs";
    import { ProverPool } from ${JSON.stringify(moduleUrl("dist", "prover", "pool.js"))};
    import { nativeCore } from ${JSON.stringify(moduleUrl("dist", "field", "native.js"))};
    import { parseVerifyingKey, proofToJson } from ${JSON.stringify(moduleUrl("dist", "verifier", "groth16.js"))};
    const circuit = { wasmPath: ${JSON.stringify(circuit.wasmPath)} };
    const verifyingKey = parseVerifyingKey(${JSON.stringify(verifyingKeyToJson(key.verifyingKey))});
    const key = { zkeyPath: ${JSON.stringify(key.zkeyPath)}, verifyingKey };
    const library = process.env.ANCHORPROOF_CUDA;
    const notices = [];
    const outcomes = [];
    let more;
    const tell = (value) => (more = value);
    const pool = new ProverPool({ ...${JSON.stringify(settings)}, onNotice: (notice) => notices.push(notice) });
    const make = async (c, { with: own = key, ...options } = {}) => {
      const outcome = await pool.prove(circuit, own, { x: 3n, c: BigInt(c) }, options).then(
        ({ proof, publicSignals, backend, redone, threads }) => ({
          by: redone ? backend + " again" : backend,
          proof: proofToJson(proof),
          publicSignals: publicSignals.map(String),
          threads,
        }),
        (error) => ({ by: error.code ?? String(error) }),
      );
      outcomes.push(outcome);
      return outcome;
    };
    const arm = (fault) => {
      process.env.AP_EMULATOR_FAULT = fault;
      nativeCore().cards(library);
    };
    ${script}
    await pool.drain();
    const { backend } = pool;
    console.log(JSON.stringify({ outcomes, notices, backend, metrics: pool.metrics(), more }));
  `,
  );
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, ANCHORPROOF_CUDA: library, AP_EMULATOR_SEED: "7", ...env },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 100_000,
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const end = await new Promise((resolve) => child.on("close", (...how) => resolve(how)));
  expect(end).toEqual([0, null]); // the process lives to its end, whatever its cards do
  const report = JSON.parse(text) as Report;
  for (const { proof, publicSignals } of report.outcomes) {
    if (!proof) continue;
    const signals = publicSignals!.map(BigInt);
    expect(signals[0]).toBe(6561n + signals[1]!);
    expect(verifyGroth16(key.verifyingKey, signals, parseProof(proof))).toBe(true);
  }
  const { proofs, fallbacks } = counted(report.metrics);
  const redone = report.outcomes.filter(({ by }) => by.endsWith(" again")).length;
  // Every proof that is not a card's has its reason.
  const byCpu = (proofs["native"] ?? 0) + (proofs["snarkjs"] ?? 0);
  if (settings.backend === "cuda") {
    expect(Object.values(fallbacks).reduce((sum, count) => sum + count, redone)).toBe(byCpu);
  }
  return report;
}

function counted(metrics: string) {
  const families = parseMetrics(metrics);
  const byLabel = (name: string) =>
    Object.fromEntries(
      [...families.get(`anchorproof_pool_${name}`)!.samples].map(([labels, count]) => [
        /"(.*)"/.exec(labels)![1]!,
        count,
      ]),
    );
  for (const name of ["running", "queue_length", "cores_busy", "worker_deaths_total"]) {
    expect(families.get(`anchorproof_pool_${name}`)!.samples.get(""), name).toBe(0);
  }
  return {
    proofs: byLabel("proofs_total"),
    fallbacks: byLabel("fallbacks_total"),
    jobs: byLabel("jobs_total"),
    redone: families.get("anchorproof_pool_proofs_redone_total")!.samples.get("")!,
  };
}

/** A library whose cards answer with these codes. */
const standIn = (macros: Record<string, string | number>) => buildStandIn(directory, macros);

const by = ({ outcomes }: Report) => outcomes.map((outcome) => outcome.by);

describe.skipIf(!hasCore())("the prover pool with emulated cards", () => {
  beforeAll(async () => {
    library = await emulatedLibrary();
    circuit = await compileCircuit({ name: "steps", source: SOURCE });
    key = await developmentKey(circuit);
    directory = await mkdtemp(join(tmpdir(), "anchorproof-cuda-"));
  }, EMULATED_TIMEOUT);

  afterAll(async () => {
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  it("makes proofs that verify, several at a time, each on one core", async () => {
    const report = await inChild(`
      const first = await make(1);
      await Promise.all([2, 3, 4, 5, 6].map((c) => make(c)));
      tell([pool.backend, pool.concurrency, first.proof.pi_a[0] === (await make(1)).proof.pi_a[0]]);
    `);
    expect(by(report)).toEqual(Array(7).fill("cuda"));
    expect(report.outcomes.map(({ threads }) => threads)).toEqual(Array(7).fill(1));
    expect([report.notices, report.backend]).toEqual([[], "cuda"]);
    expect(report.more).toEqual(["cuda", 2, false]); // two a card; proofs are randomised
    const { proofs, redone, fallbacks } = counted(report.metrics);
    expect([proofs, redone]).toEqual([{ cuda: 7, native: 0 }, 0]);
    expect(fallbacks).toEqual({ OUT_OF_MEMORY: 0, CUDA_UNAVAILABLE: 0, CUDA_FAILED: 0 });
  });

  it("spreads its proofs over all cards, or those that are named", async () => {
    const two = { AP_EMULATOR_DEVICES: "2" };
    // A card that breaks shows who worked on which: the other one's proofs are made.
    const script = `
      arm("launch:1+");
      await Promise.all([1, 2].map((c) => make(c)));
      await make(3);
      tell(pool.concurrency);
    `;
    const all = await inChild(script, two, { proofsPerDevice: 1 });
    expect(by(all)).toEqual(["CUDA_FAILED", "CUDA_FAILED", "native"]);
    expect(all.notices).toHaveLength(2);
    expect(all.notices[0]).toMatch(/^card [01] \(.+\): .+; the other card goes on$/);
    expect(all.notices[1]).toMatch(/^card [01] \(.+\): .+; the CPU proves$/);
    expect(all.more).toBe(2);
    const one = await inChild(script, two, { devices: [1], proofsPerDevice: 1 });
    expect(by(one)).toEqual(["CUDA_FAILED", "native", "native"]);
    expect(one.notices).toEqual([expect.stringMatching(/^card 1 \(.+\): .+; the CPU proves$/)]);
  });

  it("refuses cards that are not there, and options that say nothing", async () => {
    const report = await inChild(
      `
      const refused = (options) => {
        try {
          new ProverPool({ backend: "cuda", ...options });
          return "made";
        } catch (error) {
          return error.code;
        }
      };
      tell([[2], [0, 0], [], [-1], [0.5], 0, [1]].map((devices) => refused({ devices })).concat(
        [0, 257, "2"].map((proofsPerDevice) => refused({ proofsPerDevice })),
        [0, -1, 2 ** 51].map((deviceMemory) => refused({ deviceMemory })),
        refused({ onNotice: "print" }),
      ));
    `,
      { AP_EMULATOR_DEVICES: "2" },
    );
    const invalid = Array(6).fill("INPUT_INVALID");
    expect(report.more).toEqual([...invalid, "made", ...Array(7).fill("INPUT_INVALID")]);
  });

  it("has the CPU prove with a key that no card has room for, and says so once", async () => {
    const report = await inChild("await Promise.all([1, 2, 3].map((c) => make(c))); await make(4);", {
      AP_EMULATOR_MEMORY: "64K",
    });
    expect(by(report)).toEqual(Array(4).fill("native"));
    expect(report.notices).toEqual([expect.stringMatching(/^card 0 \(.+\): .+; the CPU proves with .+\.zkey$/)]);
    expect(report.backend).toBe("cuda"); // for smaller keys
    expect(counted(report.metrics).fallbacks).toMatchObject({ OUT_OF_MEMORY: 4, CUDA_FAILED: 0 });
  });

  it("has idle threads give back their keys when another has no room", async () => {
    const report = await inChild(
      `
      await Promise.all([1, 2].map((c) => make(c))); // two threads with the key
      const other = { ...key, zkeyPath: ${JSON.stringify(join(directory, "other.zkey"))} };
      copyFileSync(key.zkeyPath, other.zkeyPath);
      await make(3, { with: other });
    `,
      { ANCHORPROOF_CUDA: standIn({ CARDS: 1, KEYS: 1 }) },
    );
    // The card was asked for a proof each time, though its proofs are none.
    expect(by(report)).toEqual(Array(3).fill("native again"));
    expect(counted(report.metrics).fallbacks).toMatchObject({ OUT_OF_MEMORY: 0 });
  });

  it("gives keys no more of a card than it is told", async () => {
    const script = "await make(1);";
    for (const [deviceMemory, expected] of [
      [1000, "native"],
      [2 ** 28, "cuda"],
    ] as const) {
      const report = await inChild(script, {}, { deviceMemory });
      expect(by(report)).toEqual([expected]);
    }
  });

  it("fails the job whose card breaks, has the CPU prove the next ones, and lives", async () => {
    const report = await inChild(`await make(1); arm("launch:1"); await make(2); await make(3); await make(4);`);
    expect(by(report)).toEqual(["cuda", "CUDA_FAILED", "native", "native"]);
    expect(report.notices).toEqual([expect.stringMatching(/^card 0 \(.+\): .+; the CPU proves$/)]);
    expect(report.backend).toBe("native");
    const { jobs, fallbacks } = counted(report.metrics);
    expect(jobs).toMatchObject({ proved: 3, CUDA_FAILED: 1 });
    expect(fallbacks).toMatchObject({ CUDA_FAILED: 2, OUT_OF_MEMORY: 0 });
  });

  it("goes on with the other card when one breaks", async () => {
    const report = await inChild(`await make(1); arm("launch:1"); await make(2); await make(3); await make(4);`, {
      AP_EMULATOR_DEVICES: "2",
    });
    expect(by(report)).toEqual(["cuda", "CUDA_FAILED", "cuda", "cuda"]);
    expect(report.notices).toEqual([expect.stringMatching(/^card 0 \(.+\): .+; the other card goes on$/)]);
    expect(report.backend).toBe("cuda");
  });

  it("keeps a card that failed once and answers still", async () => {
    const report = await inChild(`await make(1); arm("call:40"); await make(2); await make(3);`);
    expect(by(report)).toEqual(["cuda", "CUDA_FAILED", "cuda"]);
    expect(report.notices).toEqual([]);
  });

  it.each([
    ["breaks off", { PROVE: "CARD_FAILED" }, "CUDA_FAILED", "the card gave no reason"],
    ["finds no memory for", { PROVE: "CARD_OUT_OF_MEMORY" }, "OUT_OF_MEMORY", "the card gave no reason"],
    ["gets wrong", {}, "native again", "it did not verify"],
  ])("leaves a card alone that %s three proofs in a row", async (_, macros, outcome, why) => {
    const library = standIn({ CARDS: 1, ...macros });
    const report = await inChild("for (let c = 1; c < 6; c++) await make(c);", { ANCHORPROOF_CUDA: library });
    expect(by(report)).toEqual([outcome, outcome, outcome, "native", "native"]);
    expect(report.notices.at(-1)).toMatch(
      /^card 0 \(.+\): 3 proofs in a row failed, the last one: .+; the CPU proves$/,
    );
    expect(report.notices.at(-1)).toContain(why);
    expect(report.notices).toHaveLength(outcome === "native again" ? 2 : 1);
    expect(report.backend).toBe("native");
    expect(counted(report.metrics).fallbacks).toMatchObject({ CUDA_FAILED: 2 });
  });

  it("keeps a card whose failures have good proofs between, and one that wrong keys were proved with", async () => {
    const report = await inChild(`
      const another = parseVerifyingKey(${JSON.stringify(verifyingKeyToJson(simulateKey(2).vkey))});
      for (let i = 0; i < 3; i++) await make(1, { with: { ...key, verifyingKey: another } });
      for (let i = 0; i < 4; i++) {
        arm("flip:1");
        await make(2);
        arm(""); // its count begins anew
        await make(3);
      }
    `);
    const pairs = Array(4).fill(["native again", "cuda"]).flat();
    expect(by(report)).toEqual([...Array(3).fill("PROVE_FAILED"), ...pairs]);
    expect(report.backend).toBe("cuda");
  });

  it("asks a card again that cannot be used for now", async () => {
    const library = standIn({ CARDS: 1, OPEN: "CARD_UNAVAILABLE" });
    const script = `
      await make(1);
      await make(2);
      const now = performance.now.bind(performance);
      performance.now = () => now() + 60_000;
      tell(pool.backend);
      await make(3);
    `;
    const report = await inChild(script, { ANCHORPROOF_CUDA: library });
    expect([by(report), report.more]).toEqual([Array(3).fill("native"), "cuda"]);
    expect(report.notices).toEqual([expect.stringMatching(/^card 0 \(.+\): .+; the CPU proves for now$/)]);
    expect(counted(report.metrics).fallbacks).toMatchObject({ CUDA_UNAVAILABLE: 3 });
  });

  it("makes a proof again on the CPU that a card got wrong, and counts it", async () => {
    const report = await inChild(`await make(1); arm("flip:1"); await make(2); await make(3);`);
    expect(by(report)).toEqual(["cuda", "native again", "cuda"]);
    expect(report.notices).toEqual([
      expect.stringMatching(/^a proof by card 0 \(.+\) did not verify, and the CPU made it again$/),
    ]);
    const { proofs, redone, jobs, fallbacks } = counted(report.metrics);
    expect([proofs, redone, jobs]).toEqual([{ cuda: 2, native: 1 }, 1, { proved: 3 }]);
    expect(fallbacks).toEqual({ OUT_OF_MEMORY: 0, CUDA_UNAVAILABLE: 0, CUDA_FAILED: 0 });
  });

  it("blames the key, and not the card, when the CPU's proof does not verify either", async () => {
    const report = await inChild(`
      const another = parseVerifyingKey(${JSON.stringify(verifyingKeyToJson(simulateKey(2).vkey))});
      const wrong = { ...key, verifyingKey: another };
      const phases = [];
      await make(1, { with: wrong, onProgress: ({ phase }) => phases.push(phase) });
      tell(phases.filter((phase) => ["key", "verify"].includes(phase)));
      await make(2);
    `);
    expect(by(report)).toEqual(["PROVE_FAILED", "cuda"]);
    expect(report.more).toEqual(["key", "verify", "key", "verify"]);
    expect(report.notices).toEqual([]);
    expect(counted(report.metrics).redone).toBe(1);
  });

  it("counts a proof that did not verify also when its job is stopped", async () => {
    const report = await inChild(`
      await make(1);
      arm("flip:1");
      const stop = new AbortController();
      let proven = false;
      await make(2, {
        signal: stop.signal,
        onProgress: ({ phase }) => {
          if (phase === "key" && proven) stop.abort();
          proven ||= phase === "verify";
        },
      });
    `);
    expect(by(report)).toEqual(["cuda", "ABORTED"]);
    expect(counted(report.metrics).redone).toBe(1);
  });

  it.each(["CARD_WITNESS_INVALID", "CARD_INPUT_INVALID", "CARD_ABORTED", "CARD_OK"])(
    "does not believe a card that answers with %s",
    async (code) => {
      const report = await inChild("await make(1);", { ANCHORPROOF_CUDA: standIn({ CARDS: 1, PROVE: code }) });
      expect(by(report)).toEqual(["native again"]);
      expect(counted(report.metrics).redone).toBe(1);
    },
  );

  it("has the CPU prove with a key that a card finds fault with", async () => {
    const library = standIn({ CARDS: 1, OPEN: "CARD_INPUT_INVALID" });
    const report = await inChild("await make(1); await make(2);", { ANCHORPROOF_CUDA: library });
    expect(by(report)).toEqual(["native", "native"]);
    expect(report.notices).toEqual([expect.stringMatching(/^card 0 \(.+\): .+; the CPU proves with .+\.zkey$/)]);
    expect(counted(report.metrics).fallbacks).toMatchObject({ CUDA_FAILED: 2 });
  });

  it.each([
    ["with no library", { ANCHORPROOF_CUDA: "/nowhere/cards.so" }, /there is no \/nowhere\/cards\.so; the CPU proves$/],
    ["switched off", { ANCHORPROOF_CUDA: "off" }, /^ANCHORPROOF_CUDA is off; the CPU proves$/],
    ["with a file that is none", { ANCHORPROOF_CUDA: process.execPath }, /; the CPU proves$/],
    ["with no card", { AP_EMULATOR_FAULT: "none" }, /; the CPU proves$/],
    ["with no driver", { AP_EMULATOR_FAULT: "driver" }, /there is no NVIDIA driver; the CPU proves$/],
    ["with an old driver", { AP_EMULATOR_FAULT: "old" }, /driver is for CUDA 12\.4, and .* 13\.0: .*; the CPU proves$/],
    ["with a broken driver", { AP_EMULATOR_FAULT: "unknown" }, /counting the cards: .*; the CPU proves$/],
  ])("%s, serves by the CPU: aloud when cards were asked for by name, or are there", async (_, env, reason) => {
    const named = await inChild("tell(pool.backend); await Promise.all([make(1), make(2)]);", env);
    expect([by(named), named.more]).toEqual([["native", "native"], "native"]);
    expect(named.notices).toEqual([expect.stringMatching(reason)]);
    expect(counted(named.metrics).fallbacks).toMatchObject({ CUDA_UNAVAILABLE: 2 });
    const auto = await inChild("await make(1);", env, { backend: "auto" });
    const silent = ["/nowhere/cards.so", "off"].includes((env as NodeJS.ProcessEnv)["ANCHORPROOF_CUDA"] ?? "");
    expect([by(auto), auto.notices]).toEqual([["native"], silent ? [] : [expect.stringMatching(reason)]]);
    expect(counted(auto.metrics).fallbacks).toMatchObject({ CUDA_UNAVAILABLE: 0 });
  });

  it("does not mind what the caller's notice callback throws", async () => {
    const report = await inChild(
      `
      for (const onNotice of [() => { throw new Error("no"); }, async () => { throw new Error("no"); }]) {
        const another = new ProverPool({ backend: "cuda", onNotice });
        await new Promise(setImmediate);
        await another.close();
      }
    `,
      { ANCHORPROOF_CUDA: "/nowhere/cards.so" },
    );
    expect(report.notices).toHaveLength(1);
  });

  it("finds a library by a relative path also from another directory", async () => {
    const script = `process.chdir("/"); await make(1);`;
    const report = await inChild(script, { ANCHORPROOF_CUDA: relative(process.cwd(), library) });
    expect([by(report), report.notices]).toEqual([["cuda"], []]);
  });

  it("takes cards by itself where there are some", async () => {
    const report = await inChild("await make(1);", {}, { backend: "auto" });
    expect([by(report), report.backend]).toEqual([["cuda"], "cuda"]);
  });

  it("stops on request and at deadlines amid a card's proof, and goes on", async () => {
    const report = await inChild(`
      await make(1);
      const phases = new Set();
      await make(2, { onProgress: ({ phase }) => phases.add(phase) });
      for (const at of phases) {
        if (!at.startsWith("prove:")) continue;
        const stop = new AbortController();
        await make(3, { signal: stop.signal, onProgress: ({ phase }) => phase === at && stop.abort() });
        const deadline = Date.now() + 1000;
        await make(4, { deadline, onProgress: ({ phase }) => { while (phase === at && Date.now() < deadline); } });
      }
      await make(5);
    `);
    expect(by(report).slice(0, 2)).toEqual(["cuda", "cuda"]);
    expect(by(report).at(-1)).toBe("cuda");
    expect(by(report).length).toBeGreaterThan(4);
    for (const [i, how] of by(report).slice(2, -1).entries()) {
      expect(how).toBe(i % 2 === 0 ? "ABORTED" : "DEADLINE_PASSED");
    }
  });

  it("closes amid a card's proof", async () => {
    const report = await inChild(`
      const jobs = [1, 2, 3].map((c) => make(c, { onProgress: ({ phase }) => phase.startsWith("prove:") && void pool.close() }));
      await Promise.all(jobs);
      await pool.close();
    `);
    expect(by(report)).toEqual(Array(3).fill("POOL_CLOSED"));
  });
});

it("takes an error that nobody knows for one of ours, and not of the card", async () => {
  vi.doMock("../../src/field/native.js", () => ({
    nativeCore: () => ({
      openProvingKey: () => ({}),
      prove: () => {
        throw new RangeError("out of bounds");
      },
    }),
  }));
  vi.resetModules();
  try {
    const { openBackend } = await import("../../src/prover/backend.js");
    const cards = [{ index: 0, memoryBytes: 2 ** 30 }];
    const backend = openBackend("cuda", { maxKeys: 1, cuda: { library: "", cards, deviceMemory: undefined } });
    const options = { threads: 1, control: new Int32Array(1), onPhase: () => {}, device: 0 };
    const proof = backend.prove({ path: "", id: "" }, new Uint8Array(), options);
    const { AnchorError } = await import("../../src/errors.js");
    await expect(proof).rejects.toBeInstanceOf(AnchorError);
    await expect(proof).rejects.toMatchObject({ code: "INTERNAL" });
  } finally {
    vi.doUnmock("../../src/field/native.js");
    vi.resetModules();
  }
});

describe("what is remembered of cards", () => {
  const none = new Map<number, number>();
  const open = () => {
    let now = 1e6;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const pair = [0, 1].map((index) => ({ index, name: "a card", memoryBytes: 2 ** 30 }));
    const cards = new Cards(pair, 2, { reason: "CUDA_UNAVAILABLE", message: "no card" });
    return { cards, pass: (ms: number) => (now += ms) };
  };
  const noRoom = { reason: "OUT_OF_MEMORY", message: "no room" } as const;
  const faulty = { reason: "CUDA_FAILED", message: "no key" } as const;
  afterEach(() => void vi.restoreAllMocks());

  it("is forgotten after a minute", () => {
    const { cards, pass } = open();
    cards.pause(0, faulty);
    cards.refuse(1, "key", noRoom);
    expect(cards.choose("key", none)).toMatchObject({ reason: "OUT_OF_MEMORY", ofKey: true });
    expect([cards.choose("other", none), cards.usable, cards.count]).toEqual([1, 1, 2]);
    pass(59_999);
    expect(cards.choose("key", none)).toMatchObject({ reason: "OUT_OF_MEMORY", message: "card 1 (a card): no room" });
    pass(1);
    expect([cards.choose("key", none), cards.usable]).toEqual([0, 2]);
  });

  it("is forgotten when keys are given back, as far as it was for room", () => {
    const { cards } = open();
    for (const index of [0, 1]) cards.refuse(index, "large", noRoom);
    cards.refuse(0, "faulty", faulty);
    cards.freed(1);
    expect([cards.choose("large", none), cards.choose("faulty", none)]).toEqual([1, 1]);
    cards.freed();
    expect([cards.choose("large", none), cards.choose("faulty", none)]).toEqual([0, 1]);
  });

  it("are failures in a row, of each card by itself", () => {
    const { cards } = open();
    expect([0, 0, 1, 1].map((index) => cards.failed(index))).toEqual(Array(4).fill(false));
    cards.proved(0, "key");
    expect([0, 1, 0, 0].map((index) => cards.failed(index))).toEqual([false, true, false, true]);
  });
});

it("an emulated card is nobody's choice but by name", async () => {
  const cards = [{ name: "a card", memoryBytes: 2 ** 30 }];
  vi.doMock("../../src/field/native.js", async (original) => ({
    ...(await original<object>()),
    cudaStatus: () => ({ available: true, library: "/nowhere/cards.so", emulated: true, cards }),
  }));
  vi.resetModules();
  const { ProverPool } = await import("../../src/prover/pool.js");
  try {
    for (const [library, backend, expected] of [
      ["", "auto", /native|snarkjs/],
      ["/nowhere/cards.so", "auto", /cuda/],
      ["", "cuda", /cuda/],
    ] as const) {
      vi.stubEnv("ANCHORPROOF_CUDA", library);
      const pool = new ProverPool({ backend });
      expect(pool.backend).toMatch(expected);
      await pool.close();
    }
  } finally {
    vi.unstubAllEnvs();
    vi.doUnmock("../../src/field/native.js");
    vi.resetModules();
  }
});
