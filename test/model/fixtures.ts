/** Small models in ONNX's own form, the demonstration model, and generators of graphs. */
import { readFileSync } from "node:fs";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  AttributeProto_AttributeType,
  type AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataType,
  type TensorProtoSchema,
} from "onnx-buf";
import { loadCorpus, type Mail, split } from "../../src/model/corpus.js";
import { extractFeatures, featuresToFloat } from "../../src/model/features.js";
import type { Layer, ModelGraph } from "../../src/model/graph.js";
import { readOnnx } from "../../src/model/onnx/index.js";
import { quantise } from "../../src/model/quantise.js";

type TensorInit = MessageInitShape<typeof TensorProtoSchema>;
type NodeInit = MessageInitShape<typeof NodeProtoSchema>;
type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;

export const SPAM_ONNX = new URL("../../bench/models/spam-classifier.onnx", import.meta.url);

export function tensor(name: string, dims: number[], values: number[]): TensorInit {
  const rawData = new Uint8Array(new Float32Array(values).buffer);
  return { name, dims: dims.map(BigInt), dataType: TensorProto_DataType.FLOAT, rawData };
}

export function shapeTensor(name: string, values: number[]): TensorInit {
  return { name, dims: [BigInt(values.length)], dataType: TensorProto_DataType.INT64, int64Data: values.map(BigInt) };
}

export function int(name: string, value: number): AttributeInit {
  return { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) };
}

export function float(name: string, value: number): AttributeInit {
  return { name, type: AttributeProto_AttributeType.FLOAT, f: value };
}

export function node(opType: string, input: string[], output: string, attribute: AttributeInit[] = []): NodeInit {
  return { name: output, opType, input, output: [output], attribute };
}

export interface OnnxParts {
  nodes: NodeInit[];
  tensors: TensorInit[];
  /** A string is a symbolic dimension. */
  shape?: (number | string)[];
  elemType?: TensorProto_DataType;
  output?: string;
  opset?: number;
  metadata?: Record<string, string>;
}

/** An ONNX file with the input `x`; the output is the last node's. */
export function onnx({ nodes, tensors, shape, elemType, output, opset, metadata }: OnnxParts): Uint8Array {
  const dim = (shape ?? [1, 2]).map((d) => ({
    value:
      typeof d === "number" ? { case: "dimValue" as const, value: BigInt(d) } : { case: "dimParam" as const, value: d },
  }));
  const type = (dims: typeof dim) => ({
    value: {
      case: "tensorType" as const,
      value: { elemType: elemType ?? TensorProto_DataType.FLOAT, shape: { dim: dims } },
    },
  });
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: BigInt(opset ?? 17) }],
    metadataProps: Object.entries(metadata ?? {}).map(([key, value]) => ({ key, value })),
    graph: {
      name: "test",
      node: nodes,
      initializer: tensors,
      input: [{ name: "x", type: type(dim) }],
      output: [{ name: output ?? nodes.at(-1)?.output?.[0] ?? "x" }],
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** 2 → 3 ReLU → 2 with weights that are easy to follow by hand. */
export const TINY: OnnxParts = {
  nodes: [
    node("Gemm", ["x", "w1", "b1"], "h", [int("transB", 1)]),
    node("Relu", ["h"], "a"),
    node("Gemm", ["a", "w2", "b2"], "y", [int("transB", 1)]),
  ],
  tensors: [
    tensor("w1", [3, 2], [1, -1, 0.5, 0.25, -0.75, 1]),
    tensor("b1", [3], [0, 0.125, -0.25]),
    tensor("w2", [2, 3], [1, 0.5, -0.5, -1, 0.25, 0.75]),
    tensor("b2", [2], [0.0625, -0.0625]),
  ],
};

export const TINY_INPUTS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
  [0.5, 0.25],
  [0.125, 0.875],
];

let spam: Promise<{ graph: ModelGraph; train: Mail[]; test: Mail[] }> | undefined;

/** The demonstration model as the demo makes it: calibrated on the whole train split. */
export function spamModel(): Promise<{ graph: ModelGraph; train: Mail[]; test: Mail[] }> {
  spam ??= (async () => {
    const { train, test } = split(await loadCorpus());
    const calibration = train.map((mail) => featuresToFloat(extractFeatures(mail.body)));
    const { graph } = await quantise(readOnnx(readFileSync(SPAM_ONNX)), { calibration });
    return { graph, train, test };
  })();
  return spam;
}

/** A dense layer of given rows. */
export function dense(weights: number[][], bias: number[]): Layer {
  return { kind: "dense", inputs: weights[0]!.length, outputs: weights.length, weights, bias };
}

export function chain(size: number, ...layers: Layer[]): ModelGraph {
  return { input: { size, scaleLog2: 7 }, layers: [...layers, { kind: "argMax" }] };
}

/** Graphs with one to three linear layers, and features for them. Shifts may be far too large or too small. */
export const graphAndFeatures: fc.Arbitrary<{ graph: ModelGraph; features: number[] }> = fc
  .array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 })
  .chain((hidden) => {
    const widths = [...hidden, 2 + (hidden[0]! % 4)];
    const layers = widths.slice(1).map((width, index) => {
      const before = widths[index]!;
      return fc.record({
        weights: fc.array(fc.array(fc.integer({ min: -127, max: 127 }), fixed(before)), fixed(width)),
        bias: fc.array(fc.integer({ min: -100_000, max: 100_000 }), fixed(width)),
        shifts: fc.array(fc.integer({ min: 0, max: 18 }), fixed(width)),
      });
    });
    const feature = fc.oneof(fc.constantFrom(0, 127), fc.integer({ min: 0, max: 127 }));
    return fc.tuple(fc.tuple(...layers), fc.array(feature, fixed(widths[0]!))).map(([parts, features]) => {
      const list = parts.flatMap(({ weights, bias, shifts }, index): Layer[] => [
        dense(weights, bias),
        ...(index < parts.length - 1 ? [{ kind: "requantRelu" as const, shifts }] : []),
      ]);
      return { graph: chain(widths[0]!, ...list), features };
    });
  });

function fixed(length: number): { minLength: number; maxLength: number } {
  return { minLength: length, maxLength: length };
}

/** A small deterministic generator for test data. */
export function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The features that drive one hidden channel to its upper or its lower end. */
export function extremeFeatures(graph: ModelGraph, channel: number, upper: boolean): number[] {
  const first = graph.layers[0]!;
  if (first.kind !== "dense") throw new Error("the first layer is dense");
  return first.weights[channel]!.map((weight) => (weight > 0 === upper ? 127 : 0));
}
