import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { importModel, parseCalibration, readModelDirectory } from "../../src/model/directory.js";
import { parseGraph } from "../../src/model/graph.js";
import { code } from "../support/errors.js";
import { node, onnx, TINY, TINY_INPUTS, tensor } from "./fixtures.js";

const calibration = { inputs: TINY_INPUTS, labels: [0, 0, 1, 0, 0, 1] };

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "anchorproof-model-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe("importModel", () => {
  it("writes the graph, the circuit and the report, and reads them back", async () => {
    const steps = new Set<string>();
    const out = join(home, "deep", "tiny");
    const made = await importModel({ onnx: onnx(TINY), calibration, out, onProgress: ({ step }) => steps.add(step) });
    expect([...steps]).toEqual(["quantise", "evaluate", "write"]);
    expect((await readdir(out)).sort()).toEqual(["circuit.circom", "model.json", "report.json"]);
    expect(await readdir(join(home, "deep"))).toEqual(["tiny"]); // nothing left beside
    expect(parseGraph(new Uint8Array(await readFile(join(out, "model.json"))))).toEqual(made.graph);

    const report = JSON.parse(await readFile(join(out, "report.json"), "utf8"));
    expect(report).toEqual(JSON.parse(JSON.stringify(made.report)));
    expect(report.evaluation).toEqual({
      samples: 6,
      agreement: 1,
      floatAccuracy: 1,
      integerAccuracy: 1,
      set: "calibration",
    });
    expect(report.source.nodes.map(({ op }: { op: string }) => op)).toEqual(["Gemm", "Relu", "Gemm"]);

    const read = await readModelDirectory(out);
    expect(read).toEqual({ path: made.path, graph: made.graph, descriptor: made.descriptor, circuit: made.circuit });
  });

  it("compares on another set when there is one, without labels too", async () => {
    const evaluation = { inputs: [[0.3, 0.3]] };
    const { report } = await importModel({ onnx: onnx(TINY), calibration, evaluation, out: join(home, "evaluated") });
    expect(report.evaluation).toEqual({ samples: 1, agreement: 1, set: "evaluation" });
  });

  it("replaces a model directory only when asked, and nothing else ever", async () => {
    const out = join(home, "again");
    await importModel({ onnx: onnx(TINY), calibration, out });
    await writeFile(join(out, "note.txt"), "old");
    await expect(importModel({ onnx: onnx(TINY), calibration, out })).rejects.toThrowError(code("INPUT_INVALID"));
    expect(await readdir(out)).toContain("note.txt");
    await importModel({ onnx: onnx(TINY), calibration, out, overwrite: true });
    expect(await readdir(out)).toHaveLength(3);
    const other = join(home, "photos");
    await mkdir(other);
    await writeFile(join(other, "cat.png"), "cat");
    await expect(importModel({ onnx: onnx(TINY), calibration, out: other, overwrite: true })).rejects.toThrowError(
      code("INPUT_INVALID"),
    );
    expect(await readdir(other)).toEqual(["cat.png"]);
  });

  it("leaves nothing behind when it fails or is stopped", async () => {
    const out = join(home, "failed");
    const bad = onnx({ nodes: [node("Conv", ["x", "w"], "y")], tensors: [tensor("w", [2, 2], [1, 2, 3, 4])] });
    await expect(importModel({ onnx: bad, calibration, out })).rejects.toThrowError(code("MODEL_OP_UNSUPPORTED"));
    await expect(importModel({ onnx: onnx(TINY), calibration, out, signal: AbortSignal.abort() })).rejects.toThrowError(
      code("ABORTED"),
    );
    const stop = new AbortController();
    const stopLate = importModel({
      onnx: onnx(TINY),
      calibration,
      out,
      signal: stop.signal,
      onProgress: ({ step }) => step === "evaluate" && stop.abort(),
    });
    await expect(stopLate).rejects.toThrowError(code("ABORTED"));
    expect((await readdir(home)).filter((name) => name.includes("failed"))).toEqual([]);
    await writeFile(join(home, "file"), "");
    await expect(importModel({ onnx: onnx(TINY), calibration, out: join(home, "file", "x") })).rejects.toThrowError(
      code("FILE_UNREADABLE"),
    );
  });
});

describe("readModelDirectory", () => {
  it("refuses a missing or changed model, and a circuit that is not the model's", async () => {
    await expect(readModelDirectory(join(home, "nowhere"))).rejects.toThrowError(code("FILE_NOT_FOUND"));
    const out = join(home, "changed");
    await importModel({ onnx: onnx(TINY), calibration, out });
    const circuit = await readFile(join(out, "circuit.circom"), "utf8");
    await writeFile(join(out, "circuit.circom"), circuit.replace("127", "126"));
    await expect(readModelDirectory(out)).rejects.toThrowError(code("MODEL_MALFORMED"));
    await rm(join(out, "circuit.circom"));
    await expect(readModelDirectory(out)).resolves.toMatchObject({ circuit: { source: circuit } });
    const model = await readFile(join(out, "model.json"), "utf8");
    await writeFile(join(out, "model.json"), `${model}\n`);
    await expect(readModelDirectory(out)).rejects.toThrowError(code("MODEL_MALFORMED"));
  });
});

describe("parseCalibration", () => {
  it("reads inputs and labels", () => {
    expect(parseCalibration('{"inputs":[[1,2.5]],"labels":[1]}')).toEqual({ inputs: [[1, 2.5]], labels: [1] });
    expect(parseCalibration('{"inputs":[[1]]}')).toEqual({ inputs: [[1]] });
  });

  it.each([
    ["{", "JSON_MALFORMED"],
    ["[]", "INPUT_INVALID"],
    ["null", "INPUT_INVALID"],
    ['{"inputs":[]}', "INPUT_INVALID"],
    ['{"inputs":[1]}', "INPUT_INVALID"],
    ['{"inputs":[["1"]]}', "INPUT_INVALID"],
    ['{"inputs":[[null]]}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"labels":[]}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"labels":[-1]}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"label":[1]}', "INPUT_INVALID"],
  ])("refuses %s", (text, wanted) => {
    expect(() => parseCalibration(text)).toThrowError(code(wanted));
  });
});
