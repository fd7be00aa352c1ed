import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commitAdapter } from "../../src/model/commitment.js";
import { readAdapter, readModelDirectory } from "../../src/model/directory.js";
import { evaluateModel } from "../../src/model/evaluate.js";
import { adapterOf, parseGraph } from "../../src/model/graph.js";
import { type ImportModelOptions, importModel, readReport } from "../../src/model/import.js";
import { createInference } from "../../src/model/inference.js";
import { readOnnx } from "../../src/model/onnx/index.js";
import { quantise } from "../../src/model/quantise/index.js";
import { openFloatRuntime } from "../../src/model/runtime.js";
import { code } from "../support/errors.js";
import { int, node, onnx, TINY, TINY_INPUTS, tensor } from "./fixtures.js";

const calibration = { inputs: TINY_INPUTS, labels: [0, 0, 1, 0, 0, 1] };
const tiny = onnx(TINY);
/** As {@link TINY}, its class at the end. */
const classifier = onnx({ ...TINY, nodes: [...TINY.nodes, node("ArgMax", ["y"], "class", [int("axis", 1)])] });

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "anchorproof-import-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const imported = (name: string, options: Partial<ImportModelOptions> = {}) =>
  importModel({ onnx: tiny, calibration, out: join(home, name), ...options });

describe("importModel", () => {
  it("writes the graph, the circuit and the report, and reads them back", async () => {
    const stages = new Map<string, number>();
    const made = await imported("deep/tiny", { onProgress: ({ stage, done }) => stages.set(stage, done) });
    expect([...stages]).toEqual(
      ["read", "quantise", "evaluate", "drift", "circuit"].map((stage) => [stage, stage === "read" ? 0 : 1]),
    );
    const names = ["circuit.circom", "circuit.json", "circuit.r1cs", "model.json", "report.html", "report.json"];
    expect((await readdir(made.path)).sort()).toEqual(names);
    expect(await readdir(join(home, "deep"))).toEqual(["tiny"]); // nothing left beside
    expect(parseGraph(new Uint8Array(await readFile(join(made.path, "model.json"))))).toEqual(made.graph);
    const { path, graph, descriptor, circuit } = made;
    expect(await readModelDirectory(path)).toEqual({ path, graph, descriptor, circuit });

    const report = JSON.parse(await readFile(join(path, "report.json"), "utf8"));
    expect(report).toEqual(JSON.parse(JSON.stringify(made.report)));
    expect(await readReport(path)).toEqual(report);
    expect(report.evaluation).toMatchObject({
      samples: 6,
      classAgreement: 1,
      floatAccuracy: 1,
      integerAccuracy: 1,
      set: "calibration",
    });
    expect(report.source.nodes.map(({ op }: { op: string }) => op)).toEqual(["Gemm", "Relu", "Gemm"]);
    expect(report.circuit).toMatchObject({ circuitDigest: circuit.circuitDigest, rows: circuit.rows });
    expect(report.stages.map(({ stage }: { stage: string }) => stage)).toEqual([...stages.keys()]);
    expect(report.drift.samples).toBe(6);
  });

  it("gives the same model and circuit every time, whatever is measured on the way", async () => {
    const [one, two, three] = await Promise.all([
      imported("one"),
      imported("two", { evaluation: { inputs: [[0.3, 0.3]] } }),
      imported("three", { weightBits: 5 }),
    ]);
    const digests = ({ descriptor, circuit }: typeof one) => [descriptor.modelDigest, circuit.circuitDigest];
    expect(digests(two)).toEqual(digests(one));
    expect(digests(three)).not.toEqual(digests(one));
    expect(two.report.evaluation).toMatchObject({ samples: 1, classAgreement: 1, set: "evaluation" });
    expect(two.report.evaluation.floatAccuracy).toBeUndefined();
  });

  it("shows numbers or the class, for one inference or several", async () => {
    const numbers = await imported("numbers", { output: "logits", batch: 3 });
    expect(numbers.graph.nodes.at(-1)!.op).toBe("linear");
    expect(numbers.circuit.batch).toBe(3);
    expect(numbers.report.evaluation.elements?.count).toBe(12);
    expect(numbers.report.evaluation.elements?.within8Bits).toBeGreaterThan(0.5);
    const ends = await imported("ends", { onnx: classifier });
    expect(ends.graph.nodes.at(-1)!.op).toBe("argMax");
    expect(ends.report.evaluation).toMatchObject({ classAgreement: 1, floatAccuracy: 1 });
    const asked = await imported("asked", { output: "class" });
    expect(asked.descriptor.modelDigest).toBe(ends.descriptor.modelDigest);
  });

  it("keeps the weights of an adapter apart, under a salt of their own", async () => {
    const lora = onnx({
      nodes: [
        node("MatMul", ["x", "w"], "base"),
        node("MatMul", ["x", "lora_A"], "low"),
        node("MatMul", ["low", "lora_B"], "update"),
        node("Add", ["base", "update"], "y"),
      ],
      tensors: [
        tensor("w", [2, 3], [1, -1, 0.5, 0.25, -0.75, 1]),
        tensor("lora_A", [2, 1], [0.5, -0.25]),
        tensor("lora_B", [1, 3], [0.125, 0.5, -1]),
      ],
    });
    const [made, again] = [
      await imported("lora", { onnx: lora, adapter: true }),
      await imported("lora-again", { onnx: lora, adapter: true }),
    ];
    expect(adapterOf(made.graph)?.parts.map(({ shape }) => shape)).toEqual([
      [2, 1],
      [1, 3],
    ]);
    const adapter = (await readAdapter(made))!;
    expect(Array.from(adapter.weights)).toEqual(Array.from(made.adapter!.weights));
    expect(again.descriptor.modelDigest).toBe(made.descriptor.modelDigest);
    expect(again.adapter!.salt).not.toBe(made.adapter!.salt);
    const { adapterCommitment } = createInference(made.graph).answer({
      inferences: [{ input: new Int8Array(2), salt: 1n }],
      adapter,
    });
    expect(adapterCommitment).toBe(commitAdapter(made.graph, adapter.weights, adapter.salt));
    const merged = await imported("lora-merged", { onnx: lora });
    expect(adapterOf(merged.graph)).toBeUndefined();
    expect(merged.adapter).toBeUndefined();
  });

  it("replaces a model directory only when asked, and nothing else ever", async () => {
    const { path } = await imported("again");
    await writeFile(join(path, "note.txt"), "old");
    await expect(imported("again")).rejects.toThrowError(code("INPUT_INVALID"));
    expect(await readdir(path)).toContain("note.txt");
    await imported("again", { overwrite: true });
    expect(await readdir(path)).not.toContain("note.txt");
    const photos = join(home, "photos");
    await mkdir(photos);
    await writeFile(join(photos, "cat.png"), "cat");
    await expect(imported("photos", { overwrite: true })).rejects.toThrowError(code("INPUT_INVALID"));
    expect(await readdir(photos)).toEqual(["cat.png"]);
  });

  it("leaves nothing behind when it fails or is stopped", async () => {
    const bad = onnx({ nodes: [node("NonZero", ["x"], "y")], tensors: [] });
    await expect(imported("failed", { onnx: bad })).rejects.toThrowError(code("MODEL_OP_UNSUPPORTED"));
    await expect(imported("failed", { signal: AbortSignal.abort() })).rejects.toThrowError(code("ABORTED"));
    for (const at of ["quantise", "evaluate", "drift", "circuit"]) {
      const stop = new AbortController();
      const stopped = imported("failed", {
        signal: stop.signal,
        onProgress: ({ stage }) => stage === at && stop.abort(),
      });
      await expect(stopped, at).rejects.toThrowError(code("ABORTED"));
    }
    expect((await readdir(home)).filter((name) => name.includes("failed"))).toEqual([]);
  });

  it.each<[string, Partial<ImportModelOptions>, string]>([
    ["no samples", { calibration: { inputs: [] } }, "INPUT_INVALID"],
    ["samples of another size", { calibration: { inputs: [[1]] } }, "INPUT_INVALID"],
    ["an evaluation set of another size", { evaluation: { inputs: [[1, 2, 3]] } }, "INPUT_INVALID"],
    ["a batch of none", { batch: 0 }, "INPUT_INVALID"],
    ["weights of one bit", { weightBits: 1 }, "INPUT_INVALID"],
    ["inputs of 40 bits", { inputBits: 40 }, "INPUT_INVALID"],
    ["an output of no such kind", { output: "both" as "class" }, "INPUT_INVALID"],
    ["an output of no such name", { outputName: "z" }, "INPUT_INVALID"],
    ["an adapter where there is none", { adapter: true }, "MODEL_OP_UNSUPPORTED"],
    ["no ONNX file", { onnx: Uint8Array.of(1, 2, 3) }, "MODEL_MALFORMED"],
  ])("refuses %s", async (_, options, wanted) => {
    await expect(imported("refused", options)).rejects.toThrowError(code(wanted));
    expect(await readdir(home)).not.toContain("refused");
  });
});

describe("readReport", () => {
  it("refuses what is no report, and finds none where there is none", async () => {
    const { path } = await imported("reported");
    const file = join(path, "report.json");
    for (const [content, wanted] of [
      ["{", "JSON_MALFORMED"],
      ["null", "FORMAT_UNSUPPORTED"],
      ['{"format":"anchorproof/model-report","version":1}', "FORMAT_UNSUPPORTED"],
    ] as const) {
      await writeFile(file, content);
      await expect(readReport(path)).rejects.toThrowError(code(wanted));
    }
    await rm(file);
    expect(await readReport(path)).toBeUndefined();
    await mkdir(file);
    await expect(readReport(path)).rejects.toThrowError(code("FILE_UNREADABLE"));
  });
});

describe("openFloatRuntime", () => {
  it("is onnxruntime, or our own executor, which agree", async () => {
    const model = readOnnx(tiny);
    const [theirs, own] = [await openFloatRuntime(tiny, model), await openFloatRuntime(tiny, model, { own: true })];
    expect(theirs.name).toMatch(/^onnxruntime-node \d+\.\d+/);
    expect(own.name).toBe("anchorproof's float executor");
    for (const input of TINY_INPUTS) {
      const [a, b] = [await theirs.run(input), await own.run(input)];
      expect(a).toHaveLength(2);
      for (const [i, value] of b.entries()) expect(a[i]).toBeCloseTo(value, 5);
    }
    for (const runtime of [theirs, own]) {
      await expect(runtime.run([1])).rejects.toThrowError(code("INPUT_INVALID"));
      await runtime.close();
    }
  });

  it("falls back to our own for a file that onnxruntime does not run", async () => {
    const unknown = await openFloatRuntime(Uint8Array.of(1, 2, 3), readOnnx(tiny));
    expect(unknown.name).toBe("anchorproof's float executor");
    const nameless = await openFloatRuntime(tiny, readOnnx(tiny), { output: "nothing" });
    await expect(nameless.run([0, 0])).rejects.toThrowError(code("INPUT_INVALID"));
  });
});

describe("evaluateModel", () => {
  it("counts what agrees, by hand", async () => {
    const { graph, report } = await quantise(readOnnx(tiny), { calibration: TINY_INPUTS, output: "logits" });
    // A float model that is off where the test says so.
    let call = 0;
    const runtime = {
      name: "by hand",
      run: async () => [Float64Array.of(1, 0), Float64Array.of(0, 1), Float64Array.of(3, 3)][call++]!,
      close: async () => {},
    };
    const set = { inputs: [TINY_INPUTS[1]!, TINY_INPUTS[1]!, TINY_INPUTS[1]!], labels: [0, 0, 1] };
    const evaluation = await evaluateModel(runtime, graph, set, { outputScale: report.outputUnit });
    expect(evaluation).toMatchObject({
      runtime: "by hand",
      samples: 3,
      classAgreement: 2 / 3, // the third float output is a tie, of which the first counts
      floatAccuracy: 1 / 3,
      integerAccuracy: 2 / 3,
    });
    expect(evaluation.elements).toMatchObject({ count: 6, range: 3 });
    expect(evaluation.elements!.maxError).toBeGreaterThan(evaluation.elements!.meanError);
  });

  it("refuses a float model of another size, and stops on request", async () => {
    const { graph } = await quantise(readOnnx(tiny), { calibration: TINY_INPUTS, output: "logits" });
    const runtime = { name: "x", run: async () => new Float64Array(3), close: async () => {} };
    const set = { inputs: [TINY_INPUTS[0]!] };
    await expect(evaluateModel(runtime, graph, set, { outputScale: 1 })).rejects.toThrowError(code("INPUT_INVALID"));
    const signal = AbortSignal.abort();
    await expect(evaluateModel(runtime, graph, set, { signal })).rejects.toThrowError(code("ABORTED"));
  });
});
