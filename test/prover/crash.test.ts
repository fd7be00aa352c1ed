/**
 * Threads that really die, and processes that must end: each in a process of its own.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { nativeCore } from "../../src/field/native.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { verifyingKeyToJson } from "../../src/verifier/groth16.js";
import { parseMetrics } from "./support.js";

const SOURCE = `pragma circom 2.2.3;
template Square() {
    signal input x;
    signal output out;
    out <== x * x;
}
component main = Square();
`;

let circuit: CompiledCircuit;
let key: CircuitKey;
let directory: string;

beforeAll(async () => {
  circuit = await compileCircuit({ name: "square", source: SOURCE });
  key = await developmentKey(circuit);
  directory = await mkdtemp(join(tmpdir(), "anchorproof-crash-"));
});

afterAll(async () => {
  if (directory) await rm(directory, { recursive: true, force: true });
});

const moduleUrl = (...path: string[]) => pathToFileURL(join(PACKAGE_ROOT, ...path)).href;

/** Runs a script with a pool at hand. @returns what it printed, as JSON, once it ended by itself */
async function inChild(script: string, { evaluated = false } = {}): Promise<unknown> {
  const prelude = `
    import { writeFileSync } from "node:fs";
    import { ProverPool } from ${JSON.stringify(moduleUrl("dist", "prover", "pool.js"))};
    import { parseVerifyingKey } from ${JSON.stringify(moduleUrl("dist", "verifier", "groth16.js"))};
    const circuit = { wasmPath: ${JSON.stringify(circuit.wasmPath)} };
    const verifyingKey = parseVerifyingKey(${JSON.stringify(verifyingKeyToJson(key.verifyingKey))});
    const key = { zkeyPath: ${JSON.stringify(key.zkeyPath)}, verifyingKey };
    const outcome = (promise) => promise.then(() => "made", (error) => error.code);
  `;
  const file = join(directory, "script.mjs");
  await writeFile(file, prelude + script);
  const args = evaluated
    ? ["--input-type=module", "--eval", prelude + script]
    : ["--import", new URL("./killer.mjs", import.meta.url).href, file];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, KILL_ORDER: join(directory, "order") },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 100_000,
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const [exit, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on("close", (...end) => resolve(end));
  });
  expect([exit, signal]).toEqual([0, null]);
  return JSON.parse(text);
}

describe("a worker that dies", () => {
  it.each([
    ["witness", "exit"],
    ["witness", "throw"],
    ["witness", "heap"],
    ["waiting", "exit"],
    ["holding", "exit"],
    ["holding", "heap"],
  ])("while %s, by %s, fails its own job and nothing else", async (place, how) => {
    const { outcomes, metrics } = (await inChild(`
      writeFileSync(process.env.KILL_ORDER, "${place} ${how}");
      const pool = new ProverPool({ concurrency: 2, threads: 2, workerHeapMb: 128 });
      const jobs = Array.from({ length: 6 }, (_, i) => outcome(pool.prove(circuit, key, { x: BigInt(i) })));
      const outcomes = await Promise.all(jobs);
      console.log(JSON.stringify({ outcomes, metrics: pool.metrics() }));
      await pool.close();
    `)) as { outcomes: string[]; metrics: string };
    expect(outcomes.sort()).toEqual(["WORKER_CRASHED", "made", "made", "made", "made", "made"]);
    const families = parseMetrics(metrics);
    const value = (name: string) => families.get(`anchorproof_pool_${name}`)!.samples.get("");
    expect(["running", "queue_length", "cores_busy", "worker_deaths_total"].map(value)).toEqual([0, 0, 0, 1]);
  });

  it("as it starts is no end to the pool, and no endless row of new ones", async () => {
    const outcomes = await inChild(`
      // too little for the worker's own code
      const pool = new ProverPool({ concurrency: 1, workerHeapMb: 1 });
      const jobs = Array.from({ length: 3 }, () => outcome(pool.prove(circuit, key, { x: 3n })));
      console.log(JSON.stringify(await Promise.all(jobs)));
      await pool.close();
    `);
    expect(outcomes).toEqual(["WORKER_CRASHED", "WORKER_CRASHED", "WORKER_CRASHED"]);
  });
});

describe("a process with a pool", () => {
  it.each([[false], [true]])(
    "ends by itself with an idle pool that nobody closed (node --eval: %s)",
    async (evaluated) => {
      const script = `console.log(JSON.stringify(await outcome(new ProverPool().prove(circuit, key, { x: 3n }))));`;
      expect(await inChild(script, { evaluated })).toBe("made");
    },
  );

  // snarkjs' own heap is not ours to bound. The bench makes 1,000 proofs and looks at the resident memory, too.
  it.runIf(nativeCore())("does not grow with the proofs that it made (native core only)", async () => {
    const grown = (await inChild(`
      import { setFlagsFromString } from "node:v8";
      import { runInNewContext } from "node:vm";
      setFlagsFromString("--expose-gc");
      const gc = runInNewContext("gc");
      const pool = new ProverPool({ backend: "native", concurrency: 2, threads: 2 });
      const { signal } = new AbortController();
      const batch = async () => {
        const deadline = Date.now() + 600_000;
        const jobs = Array.from({ length: 150 }, (_, i) => pool.prove(circuit, key, { x: BigInt(i) }, { signal, deadline }));
        await Promise.all(jobs);
      };
      const used = async () => {
        let least = Infinity;
        // What finalizers free is free after the next turn, which may be long in coming.
        for (let i = 0; i < 10; i++) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 20));
          const { heapUsed, arrayBuffers } = process.memoryUsage();
          least = Math.min(least, heapUsed + arrayBuffers);
        }
        return least;
      };
      await batch();
      const before = await used();
      for (let i = 0; i < 4; i++) await batch();
      console.log(await used() - before);
      await pool.close();
    `)) as number;
    // A result alone is 2 KB, the job behind it more; what V8 keeps for itself settles at some 300 KB in all.
    expect(grown).toBeLessThan(600 * 1000);
  });

  it("ends after closing amid the work", async () => {
    const outcomes = (await inChild(`
      const pool = new ProverPool({ concurrency: 2 });
      const { signal } = new AbortController();
      process.on("warning", (warning) => console.log(warning));
      const jobs = Array.from({ length: 20 }, () => outcome(pool.prove(circuit, key, { x: 3n }, { signal })));
      await jobs[0];
      jobs.push(outcome(pool.prove(circuit, key, { x: 3n })));
      await pool.close();
      console.log(JSON.stringify(await Promise.all(jobs)));
    `)) as string[];
    expect([outcomes[0], outcomes.at(-1)]).toEqual(["made", "POOL_CLOSED"]);
  });

  it("does not end while a job is inside", async () => {
    const script = `
      const pool = new ProverPool({ concurrency: 1 });
      for (const x of [1n, 2n, 3n]) void pool.prove(circuit, key, { x }).then(() => x === 3n && console.log("[3]"));
    `;
    expect(await inChild(script)).toEqual([3]);
  });
});
