import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Results, Settings } from "../../src/bench/contest.js";
import { inferenceLadder } from "../../src/bench/inference.js";
import { BENCH_MODELS } from "../../src/bench/models.js";
import type { InferenceSummary, Preparation, Row } from "../../src/bench/report.js";
import { isAnchorError } from "../../src/errors.js";
import { nativeStatus } from "../../src/field/native.js";
import { readOnnx } from "../../src/model/onnx/index.js";
import { createFloatExecutor } from "../../src/model/run.js";

const never = new AbortController().signal;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "anchorproof-inference-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function bench(changes: Partial<Settings> = {}) {
  const rows: Row[] = [];
  const preparations: Preparation[] = [];
  const notes: string[] = [];
  const summaries: InferenceSummary[] = [];
  const settings: Settings = {
    sizes: undefined,
    kinds: undefined,
    threads: 2,
    runs: 2,
    proofs: 1,
    concurrency: 1,
    models: ["text"],
    externals: [],
    snarkjsSize: 0,
    peers: true,
    native: nativeStatus().available,
    folder,
    signal: never,
    onStep: () => {},
    ...changes,
  };
  const results: Results = {
    rows: (more) => rows.push(...more),
    preparation: (one) => preparations.push(one),
    inference: (list) => summaries.push(...list),
    gas: () => {},
    note: (note) => notes.push(note),
  };
  await inferenceLadder(settings, results);
  return { rows, preparations, notes, summaries };
}

describe("inferenceLadder", () => {
  it("takes a model from its file to verified proofs, and cleans up", async () => {
    const { rows, preparations, notes, summaries } = await bench();
    expect(notes).toEqual([]);
    const [summary] = summaries;
    expect(summaries).toHaveLength(1);
    expect(summary).toMatchObject({ model: "text", peerMissing: ["embedding"] });
    expect(summary).not.toHaveProperty("peerRatio");
    expect(2 ** summary!.size).toBeGreaterThan(summary!.rows);
    for (const ms of [summary!.importMs, summary!.witnessMs, summary!.verifyMs]) expect(ms).toBeGreaterThan(0);
    expect(summary!.zkeyBytes).toBeGreaterThan(1e5);
    expect(preparations).toMatchObject([{ circuit: "text", rows: summary!.rows, wires: summary!.wires }]);

    const provers = nativeStatus().available ? ["native"] : ["snarkjs"];
    const verifiers = [...(nativeStatus().available ? ["native"] : []), "javascript", "snarkjs"];
    expect(rows.map(({ bench: of, implementation }) => [of, implementation])).toEqual([
      ["witness", "anchorproof"],
      ...provers.map((name) => ["prove", name]),
      ...verifiers.map((name) => ["verify", name]),
    ]);
    for (const { circuit, size, samples } of rows) {
      expect({ circuit, size }).toEqual({ circuit: "text", size: summary!.size });
      expect(samples).toHaveLength(2);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it("stops when told to", async () => {
    const stopped = bench({ signal: AbortSignal.abort() });
    await expect(stopped).rejects.toSatisfy((error) => isAnchorError(error, "ABORTED"));
  });
});

describe("BENCH_MODELS", () => {
  it.each(BENCH_MODELS.map((model) => [model.name, model] as const))("%s takes its samples", async (_, model) => {
    const onnx = await model.onnx();
    const run = createFloatExecutor(readOnnx(onnx));
    const { inputs, origin } = await model.samples(8, never);
    expect(inputs).toHaveLength(8);
    expect(origin).toMatch(/\b8\b/);
    for (const input of inputs) expect(run(input).at(-1)!.every(Number.isFinite)).toBe(true);
    // Not one sample eight times.
    expect(new Set(inputs.map(String)).size).toBeGreaterThan(1);
  });

  it("says where the images come from", async () => {
    const { origin } = await BENCH_MODELS.find(({ name }) => name === "lenet5")!.samples(1, never);
    expect(origin).toMatch(existsSync("/usr/share/datasets/fashion-mnist") ? /^Fashion-MNIST/ : /^noise/);
  });
});
