/** Small models in ONNX's own form. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  type AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataType,
  type TensorProtoSchema,
} from "onnx-buf";

type TensorInit = MessageInitShape<typeof TensorProtoSchema>;
type NodeInit = MessageInitShape<typeof NodeProtoSchema>;
type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;

export function tensor(name: string, dims: number[], values: number[]): TensorInit {
  const rawData = new Uint8Array(new Float32Array(values).buffer);
  return { name, dims: dims.map(BigInt), dataType: TensorProto_DataType.FLOAT, rawData };
}

export function int(name: string, value: number): AttributeInit {
  return { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) };
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

/** A small deterministic generator for test data. */
export function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
