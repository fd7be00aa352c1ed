import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { AnchorError } from "../../src/errors.js";
import { ProverPool } from "../../src/prover/pool.js";
import { verifyGroth16 } from "../../src/verifier/groth16.js";
import { simulateKey } from "../chain/simulated.js";

/** out = a · b + c, with c public; small enough for proofs in a fraction of a second. */
const SOURCE = `pragma circom 2.2.3;
template Product() {
    signal input a;
    signal input b;
    signal input c;
    signal output out;
    signal ab <== a * b;
    out <== ab + c;
}
component main {public [c]} = Product();
`;

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "made",
    (error: unknown) => (error instanceof AnchorError ? error.code : String(error)),
  );

let circuit: CompiledCircuit;
let key: CircuitKey;
let pool: ProverPool;
let directory: string;

beforeAll(async () => {
  circuit = await compileCircuit({ name: "product", source: SOURCE });
  key = await developmentKey(circuit);
  pool = new ProverPool({ concurrency: 2 });
  directory = await mkdtemp(join(tmpdir(), "anchorproof-pool-"));
});

afterAll(async () => {
  await pool?.close();
  if (directory) await rm(directory, { recursive: true, force: true });
});

const inputs = { a: 3n, b: 4n, c: 5n };

describe("the prover pool", () => {
  it("makes proofs side by side, each verified and with its timings", async () => {
    const results = await Promise.all([1n, 2n, 3n, 4n, 5n].map((c) => pool.prove(circuit, key, { ...inputs, c })));
    for (const [i, { proof, publicSignals, timings }] of results.entries()) {
      expect(publicSignals).toEqual([13n + BigInt(i), 1n + BigInt(i)]);
      expect(verifyGroth16(key.verifyingKey, publicSignals, proof)).toBe(true);
      expect(Math.min(timings.witnessMs, timings.proveMs, timings.verifyMs)).toBeGreaterThan(0);
    }
  });

  it("makes another proof each time: proofs are randomised", async () => {
    const [one, two] = await Promise.all([pool.prove(circuit, key, inputs), pool.prove(circuit, key, inputs)]);
    expect(one.proof).not.toEqual(two.proof);
    expect(one.publicSignals).toEqual(two.publicSignals);
  });

  it.each([
    ["a missing input", { a: 1n, b: 2n }],
    ["an unknown input", { ...inputs, d: 1n }],
    ["too many values", { ...inputs, a: [1n, 2n] }],
    ["a value outside the field", { ...inputs, a: -1n }],
    ["a number", { ...inputs, a: 1 as never }],
  ])("refuses %s with WITNESS_INVALID, and lives on", async (_, wrong) => {
    expect(await code(pool.prove(circuit, key, wrong as never))).toBe("WITNESS_INVALID");
    expect(await code(pool.prove(circuit, key, inputs))).toBe("made");
  });

  it("lets nothing out that does not verify", async () => {
    const verifyingKey = simulateKey(2).vkey;
    expect(await code(pool.prove(circuit, { ...key, verifyingKey }, inputs))).toBe("PROVE_FAILED");
  });

  it("fails with a code for a missing, truncated or foreign key file", async () => {
    expect(await code(pool.prove(circuit, { ...key, zkeyPath: "/nowhere.zkey" }, inputs))).toBe("PROVE_FAILED");
    const bytes = await readFile(key.zkeyPath);
    for (const [name, content] of [
      ["truncated", bytes.subarray(0, bytes.length / 2)],
      ["foreign", Buffer.from("not a key at all")],
      ["empty", Buffer.alloc(0)],
    ] as const) {
      const zkeyPath = join(directory, name);
      await writeFile(zkeyPath, content);
      expect(await code(pool.prove(circuit, { ...key, zkeyPath }, inputs)), name).toBe("PROVE_FAILED");
    }
    expect(await code(pool.prove({ wasmPath: "/nowhere.wasm" }, key, inputs))).toBe("FILE_NOT_FOUND");
  });

  it("stops on request, before and during the work", async () => {
    expect(await code(pool.prove(circuit, key, inputs, { signal: AbortSignal.abort() }))).toBe("ABORTED");
    const stop = new AbortController();
    const running = code(pool.prove(circuit, key, inputs, { signal: stop.signal }));
    setImmediate(() => stop.abort());
    expect(await running).toBe("ABORTED");
    expect(await code(pool.prove(circuit, key, inputs))).toBe("made");
  });

  it("drops jobs past their deadline", async () => {
    expect(await code(pool.prove(circuit, key, inputs, { deadline: Date.now() - 1 }))).toBe("DEADLINE_PASSED");
    expect(await code(pool.prove(circuit, key, inputs, { deadline: Date.now() + 60_000 }))).toBe("made");
    // further away than a timer reaches
    expect(await code(pool.prove(circuit, key, inputs, { deadline: Date.now() + 2 ** 31 + 10_000 }))).toBe("made");
    for (const deadline of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await code(pool.prove(circuit, key, inputs, { deadline }))).toBe("INPUT_INVALID");
    }
  });

  it("has a bounded queue", async () => {
    const small = new ProverPool({ concurrency: 1, maxQueue: 1 });
    try {
      const codes = await Promise.all(Array.from({ length: 4 }, () => code(small.prove(circuit, key, inputs))));
      expect(codes).toContain("POOL_FULL");
      expect(codes).toContain("made");
      expect(new Set(codes).size).toBe(2);
    } finally {
      await small.close();
    }
  });

  it("takes nothing once closed, and says so to jobs inside", async () => {
    const closing = new ProverPool({ concurrency: 1 });
    const inside = code(closing.prove(circuit, key, inputs));
    await closing.close();
    expect(await inside).toBe("POOL_CLOSED");
    expect(await code(closing.prove(circuit, key, inputs))).toBe("POOL_CLOSED");
  });

  it.each([[{ concurrency: 0 }], [{ concurrency: 1.5 }], [{ maxQueue: -1 }]])("refuses the options %j", (options) => {
    expect(() => new ProverPool(options)).toThrow(expect.objectContaining({ code: "INPUT_INVALID" }));
  });
});
