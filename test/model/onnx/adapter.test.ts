import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { FloatAdapter, FloatGraph } from "../../../src/model/float.js";
import { readOnnx } from "../../../src/model/onnx/index.js";
import { createFloatExecutor } from "../../../src/model/run.js";
import { difference, type FileParts, file, floats, ints, noise, op } from "./files.js";

const transformer = new URL("../../../bench/models/fashion-transformer.onnx", import.meta.url);
const adapterOf = (graph: FloatGraph) => graph.nodes[1] as FloatAdapter;
const scalar = (name: string, value: number) => floats(name, [], [value]);

/** x·W + b + 4·(x·A)·B with rank 2, as exporters write it. */
function pair(a: string, b: string, more: Partial<FileParts> = {}): FileParts {
  return {
    nodes: [
      op("MatMul", ["x", "w"], "h"),
      op("Add", ["bias", "h"], "base"),
      op("MatMul", ["x", a], "down"),
      op("MatMul", ["down", b], "up"),
      op("Mul", ["up", "scale"], "scaled"),
      op("Add", ["base", "scaled"], "y"),
    ],
    tensors: [
      noise("w", [8, 6], 2),
      noise("bias", [6], 3),
      noise(a, [8, 2], 4),
      noise(b, [2, 6], 5),
      scalar("scale", 4),
    ],
    shape: [1, 3, 8],
    ...more,
  };
}

/** The same results with the matrices as private weights, and with others in their place. */
function agrees(parts: FileParts): FloatGraph {
  const bytes = file(parts);
  const [constant, graph] = [readOnnx(bytes), readOnnx(bytes, { adapter: true })];
  expect(constant.nodes[1]!.op).not.toBe("adapter");
  const input = Float64Array.from({ length: 24 }, (_, i) => Math.cos(i));
  expect(
    difference(createFloatExecutor(graph)(input).at(-1)!, createFloatExecutor(constant)(input).at(-1)!),
  ).toBeLessThan(1e-12);

  const adapter = adapterOf(graph);
  const zero = { ...adapter, values: new Float64Array(adapter.values.length) };
  const without = { ...graph, nodes: graph.nodes.map((node, id) => (id === 1 ? zero : node)) };
  const base = readOnnx(file({ ...parts, nodes: parts.nodes.slice(0, 2), outputs: ["base"] }));
  expect(
    difference(createFloatExecutor(without)(input).at(-1)!, createFloatExecutor(base)(input).at(-1)!),
  ).toBeLessThan(1e-12);
  return graph;
}

describe("LoRA pairs", () => {
  it("are known by their names", () => {
    const adapter = adapterOf(agrees(pair("layer.lora_A.default.weight", "layer.lora_B.default.weight")));
    expect(adapter).toMatchObject({
      op: "adapter",
      alpha: "8",
      parts: [
        { name: "layer.lora_A.default.weight", shape: [8, 2] },
        { name: "layer.lora_B.default.weight", shape: [2, 6] },
      ],
    });
    expect(adapter.values).toHaveLength(28);
  });

  it("are known by their form, with names that say nothing", () => {
    expect(adapterOf(agrees(pair("onnx::MatMul_7", "onnx::MatMul_8"))).alpha).toBe("8");
  });

  it("are not what only looks like one: two layers, or a bottleneck", () => {
    const bottleneck = pair("a", "b", {
      nodes: [op("MatMul", ["x", "a"], "down"), op("MatMul", ["down", "b"], "up"), op("Mul", ["up", "scale"], "y")],
    });
    expect(() => readOnnx(file(bottleneck), { adapter: true })).toThrowError(
      expect.objectContaining({ code: "MODEL_OP_UNSUPPORTED" }),
    );
  });

  it("are found behind Transpose, with the scale between the products or divided", () => {
    const parts = pair("lora_A", "lora_B", {
      nodes: [
        op("MatMul", ["x", "w"], "h"),
        op("Add", ["bias", "h"], "base"),
        op("Transpose", ["lora_A"], "at"),
        op("MatMul", ["x", "at"], "down"),
        op("Div", ["down", "scale"], "scaled"),
        op("Transpose", ["lora_B"], "bt"),
        op("MatMul", ["scaled", "bt"], "up"),
        op("Add", ["base", "up"], "y"),
      ],
      tensors: [
        noise("w", [8, 6], 2),
        noise("bias", [6], 3),
        noise("lora_A", [2, 8], 4),
        noise("lora_B", [6, 2], 5),
        scalar("scale", 4),
      ],
    });
    expect(adapterOf(agrees(parts)).alpha).toBe("0.5");
  });

  it("take alpha from the metadata where it is spelled there", () => {
    const graph = agrees(pair("lora_A", "lora_B", { metadata: { "anchorproof.lora_alpha": "16.5" } }));
    expect(adapterOf(graph).alpha).toBe("16.5");
    const bad = file(pair("lora_A", "lora_B", { metadata: { lora_alpha: "lots" } }));
    expect(() => readOnnx(bad, { adapter: true })).toThrowError(
      expect.objectContaining({ code: "MODEL_OP_UNSUPPORTED" }),
    );
  });

  it("leave matrix products of private weights, and no constant of them", () => {
    const graph = readOnnx(readFileSync(transformer), { adapter: true });
    expect(adapterOf(graph)).toMatchObject({
      alpha: "8",
      parts: [
        { name: "fc1.lora_A.weight", shape: [4, 16] },
        { name: "fc1.lora_B.weight", shape: [32, 4] },
      ],
    });
    const plain = readOnnx(readFileSync(transformer));
    const count = (each: FloatGraph) => each.nodes.filter(({ op: kind }) => kind === "matMul").length;
    expect(count(graph)).toBe(count(plain) + 2);
    const input = Array.from({ length: 784 }, (_, i) => (i * 31) % 256);
    expect(
      difference(createFloatExecutor(graph)(input).at(-1)!, createFloatExecutor(plain)(input).at(-1)!),
    ).toBeLessThan(1e-12);
  });

  it("stay in the graph where a file names them twice or passes them on", () => {
    const shared = pair("lora_A", "lora_B");
    shared.nodes.splice(2, 0, op("Identity", ["lora_A"], "again"));
    shared.nodes[3] = op("MatMul", ["x", "again"], "down");
    expect(adapterOf(agrees(shared)).parts).toHaveLength(2);
  });

  it("of different alphas need one in the metadata", () => {
    const two: FileParts = pair("lora_A", "lora_B");
    two.nodes.push(
      op("MatMul", ["y", "lora_A2"], "down2"),
      op("MatMul", ["down2", "lora_B2"], "up2"),
      op("Add", ["y", "up2"], "z"),
    );
    two.tensors!.push(noise("lora_A2", [6, 1], 6), noise("lora_B2", [1, 6], 7), ints("unused", [1]));
    expect(() => readOnnx(file(two), { adapter: true })).toThrowError(/different alphas \(8, 1\)/);
    two.metadata = { lora_alpha: "8" };
    expect(adapterOf(readOnnx(file(two), { adapter: true })).parts).toHaveLength(4);
  });
});
