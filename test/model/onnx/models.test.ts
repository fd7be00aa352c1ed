import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { FloatInput } from "../../../src/model/float.js";
import { type ReadOnnxOptions, readOnnx } from "../../../src/model/onnx/index.js";
import { createFloatExecutor } from "../../../src/model/run.js";
import { inputsFor, MODELS } from "../models.js";
import { difference, runtime, Type } from "./files.js";

const dependency = (name: string) => new URL(`../../../node_modules/openwakeword-js/models/${name}`, import.meta.url);
const spam = new URL("../../../bench/models/spam-classifier.onnx", import.meta.url);

describe("whole models agree with onnxruntime", () => {
  const cases: [string, keyof typeof MODELS, string, ReadOnnxOptions?][] = [
    ["MLP", "mlp", "linear linear clip linear"],
    [
      "LeNet-5",
      "lenet5",
      "linear arrange linear clip arrange linear arrange linear clip arrange linear linear clip linear clip linear",
    ],
    [
      "grouped convolutions, BatchNorm, HardSwish",
      "grouped",
      "linear arrange linear clip arrange linear map arrange linear clip arrange max linear linear",
    ],
    ["text with an embedding", "text", "lookup linear clip linear"],
    ["wake word with LayerNorm", "deepa", "linear normalise linear clip linear normalise linear clip linear map"],
    ["transformer", "transformer", ""],
    ["transformer with its adapter private", "transformer", "", { adapter: true }],
  ];
  it.each(cases)("%s", async (_, name, ops, options) => {
    const model = MODELS[name];
    const bytes = readFileSync(model.file);
    const graph = readOnnx(bytes, options);
    expect((graph.nodes[0] as FloatInput).shape).toEqual(model.shape);
    if (ops !== "")
      expect(
        graph.nodes
          .slice(1)
          .map(({ op }) => op)
          .join(" "),
      ).toBe(ops);
    const run = createFloatExecutor(graph);
    const inputs = inputsFor(model, 40);
    const expected = await runtime(bytes, inputs, [1, ...model.shape], name === "text" ? Type.INT64 : Type.FLOAT);
    inputs.forEach((input, i) => {
      expect(difference(run(input).at(-1)!, expected[i]!), `input ${i}`).toBeLessThan(2e-4);
    });
  });

  it.each(["hello_deepa_old.onnx", "namaste_deepa.onnx"])("%s", async (name) => {
    const bytes = readFileSync(dependency(name));
    const graph = readOnnx(bytes);
    const shape = (graph.nodes[0] as FloatInput).shape;
    const input = Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => 20 * Math.sin(i * i));
    const [expected] = await runtime(bytes, [input], [1, ...shape]);
    expect(difference(createFloatExecutor(graph)(input).at(-1)!, expected!)).toBeLessThan(1e-5);
  });

  it("the spam classifier, with what its file says of itself", async () => {
    const bytes = readFileSync(spam);
    const graph = readOnnx(bytes);
    expect(graph.nodes.map(({ op, node }) => `${op} ${node}`)).toEqual([
      'input "features" (input)',
      'linear "hidden" (Gemm)',
      'clip "relu" (Relu)',
      'linear "logits" (Gemm)',
    ]);
    expect(graph.metadata.get("anchorproof.input_scale_log2")).toBe("7");
    expect(graph.source.map(({ op }) => op)).toEqual(["Gemm", "Relu", "Gemm"]);
    const input = Float32Array.from({ length: 256 }, (_, i) => ((i * 37) % 128) / 128);
    const [expected] = await runtime(bytes, [input], [1, 256]);
    expect(difference(createFloatExecutor(graph)(input).at(-1)!, expected!)).toBeLessThan(1e-5);
  });

  it("and give the same graph every time", () => {
    for (const { file } of Object.values(MODELS)) {
      const text = () => JSON.stringify(readOnnx(readFileSync(file)).nodes);
      expect(text()).toBe(text());
    }
  });
});
