/** Jobs of the pool whose witness comes from a model. */
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { nativeCore } from "../../src/field/native.js";
import { type InferenceRequest, publicSignals, writeR1cs } from "../../src/model/circuit/index.js";
import { checkGraph, type ModelGraph, serialiseGraph } from "../../src/model/graph.js";
import { ProverPool } from "../../src/prover/pool.js";
import { verifyGroth16 } from "../../src/verifier/groth16.js";
import { outcome } from "./support.js";

/** 4 → 3 → 2, all numbers shown. */
function model(bias: number): ModelGraph {
  const dense = (from: number, inner: number, outputs: number) => ({
    op: "linear",
    inputs: [from],
    groups: 1,
    positions: 1,
    inner,
    outputs,
    weights: Array.from({ length: inner * outputs }, (_, i) => ((i * 37 + 11) % 41) - 20),
    bias: Array.from({ length: outputs }, () => bias),
  });
  return checkGraph({
    nodes: [
      { op: "input", shape: [4], lo: -8, bits: 4, scaleLog2: 0 },
      dense(0, 4, 3),
      { op: "requant", inputs: [1], shifts: [3], lo: 0, bits: 7 },
      dense(2, 3, 2),
    ],
  });
}

const backends = (["native", "snarkjs"] as const).filter((name) => name === "snarkjs" || nativeCore() !== undefined);
const request = (context = 7n): InferenceRequest => ({
  inferences: [{ input: [-8, 7, 3, -1], salt: 5n }],
  context,
});

let directory: string;
let graph: ModelGraph;
let path: string;
let key: CircuitKey;
let batchKey: CircuitKey;

async function keyOf(name: string, of: ModelGraph, batch: number): Promise<CircuitKey> {
  const r1csPath = join(directory, `${name}.r1cs`);
  const { circuitDigest, constraints: rows, wires } = await writeR1cs(r1csPath, of, { batch });
  return developmentKey({ name, r1csPath, circuitDigest, rows, wires, publicSignals: 3 });
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-pool-model-"));
  graph = model(17);
  path = join(directory, "model.json");
  await writeFile(path, serialiseGraph(graph));
  key = await keyOf("one", graph, 1);
  batchKey = await keyOf("two", graph, 2);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe.each(backends)("the prover pool with %s and a model", (backend) => {
  let pool: ProverPool;
  beforeAll(() => {
    pool = new ProverPool({ backend, concurrency: 1, threads: 1 });
  });
  afterAll(() => pool.close());

  it("proves from the model's file, and makes its program once", async () => {
    const phases: string[] = [];
    const onProgress = ({ phase }: { phase: string }) => phases.push(phase);
    const first = await pool.prove({ model: path }, key, request(), { onProgress });
    expect(first.publicSignals).toEqual(publicSignals(graph, request()));
    expect(verifyGroth16(key.verifyingKey, first.publicSignals, first.proof)).toBe(true);
    expect(phases.slice(0, 3)).toEqual(["queued", "program", "witness"]);
    expect(first.timings.programMs).toBeGreaterThan(0);
    phases.length = 0;
    const second = await pool.prove({ model: path }, key, request(8n), { onProgress });
    expect(second.publicSignals.at(-1)).toBe(8n);
    expect(phases).not.toContain("program");
  });

  it("proves from its bytes, whatever the caller does to them then", async () => {
    const bytes = serialiseGraph(graph);
    const asked = { inferences: [{ input: [1, 2, 3, 4], salt: 1n }], context: 3n };
    const expected = publicSignals(graph, asked);
    const proof = pool.prove({ model: bytes }, key, asked);
    bytes.fill(0);
    asked.inferences[0]!.input.fill(0);
    expect((await proof).publicSignals).toEqual(expected);
  });

  it("proves batches under their own key", async () => {
    const batch = { inferences: [...request().inferences, { input: [0, 0, 0, 0], salt: 6n }], context: 7n };
    const { publicSignals: shown } = await pool.prove({ model: path, batch: 2 }, batchKey, batch);
    expect(shown).toEqual(publicSignals(graph, batch, { batch: 2 }));
    expect(await outcome(pool.prove({ model: path }, batchKey, batch))).toBe("INPUT_INVALID");
    expect(await outcome(pool.prove({ model: path, batch: 2 }, batchKey, request()))).toBe("INPUT_INVALID");
  });

  it.each<[string, unknown, string]>([
    ["no context", { inferences: request().inferences }, "INPUT_INVALID"],
    ["a context of zero", request(0n), "CONTEXT_ZERO"],
    ["an input out of range", { inferences: [{ input: [8, 0, 0, 0], salt: 1n }], context: 1n }, "INPUT_INVALID"],
    ["a short input", { inferences: [{ input: [0], salt: 1n }], context: 1n }, "INPUT_INVALID"],
    ["no salt", { inferences: [{ input: [0, 0, 0, 0] }], context: 1n }, "INPUT_INVALID"],
    ["nothing", {}, "INPUT_INVALID"],
    ["a hole", { inferences: [null], context: 1n }, "INPUT_INVALID"],
    ["an adapter", { ...request(), adapter: { weights: [1], salt: 1n } }, "INPUT_INVALID"],
  ])("refuses %s", async (_, wrong, code) => {
    expect(await outcome(pool.prove({ model: path }, key, wrong as InferenceRequest))).toBe(code);
  });

  it.each<[string, unknown, string]>([
    ["a path that is none", { model: 5 }, "INPUT_INVALID"],
    ["no model", { model: undefined }, "INPUT_INVALID"],
    ["a batch of none", { model: "model.json", batch: 0 }, "INPUT_INVALID"],
    ["a missing file", { model: "/nowhere/model.json" }, "FILE_NOT_FOUND"],
    ["a folder", { model: "/" }, "FILE_UNREADABLE"],
    ["bytes of something else", { model: Uint8Array.of(1, 2, 3) }, "MODEL_MALFORMED"],
    ["a model of another format", { model: Buffer.from('{"format":"x"}') }, "FORMAT_UNSUPPORTED"],
  ])("refuses %s", async (_, circuit, code) => {
    expect(await outcome(pool.prove(circuit as { model: string }, key, request()))).toBe(code);
  });

  it("lets nothing out of a model that is not the key's", async () => {
    const other = model(18); // of the same shape
    expect(await outcome(pool.prove({ model: serialiseGraph(other) }, key, request()))).toBe("PROVE_FAILED");
  });

  it("reads a model again when its file changes", async () => {
    const changing = join(directory, "changing.json");
    const write = async (content: Uint8Array, time: number) => {
      await writeFile(changing, content);
      await utimes(changing, time, time);
    };
    await write(serialiseGraph(graph), 1);
    expect(await outcome(pool.prove({ model: changing }, key, request()))).toBe("made");
    await write(serialiseGraph(model(18)), 2);
    expect(await outcome(pool.prove({ model: changing }, key, request()))).toBe("PROVE_FAILED");
    await write(Buffer.from("no longer a model"), 3);
    expect(await outcome(pool.prove({ model: changing }, key, request()))).toBe("MODEL_MALFORMED");
  });

  it("stops on request", async () => {
    const stop = new AbortController();
    const onProgress = ({ phase }: { phase: string }) => phase === "witness" && stop.abort();
    expect(await outcome(pool.prove({ model: path }, key, request(), { signal: stop.signal, onProgress }))).toBe(
      "ABORTED",
    );
    expect(await outcome(pool.prove({ model: path }, key, request()))).toBe("made");
  });
});

it("keeps the programs of a few models, the ones used last", async () => {
  const pool = new ProverPool({ concurrency: 1, threads: 1 });
  const made: string[] = [];
  const prove = async (name: number) => {
    const bytes = serialiseGraph(model(name));
    const onProgress = ({ phase }: { phase: string }) => phase === "program" && made.push(String(name));
    await outcome(pool.prove({ model: bytes }, key, request(), { onProgress }));
  };
  try {
    for (const name of [1, 2, 3, 4, 1, 5, 1, 3, 2]) await prove(name);
    expect(made).toEqual(["1", "2", "3", "4", "5", "2"]);
  } finally {
    await pool.close();
  }
});
