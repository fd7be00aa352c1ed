/** Small ONNX files, and onnxruntime's results for them. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type AttributeProtoSchema,
  type GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  type NodeProtoSchema,
  type TensorProtoSchema,
  TensorProto_DataType as Type,
} from "onnx-buf";
import { InferenceSession, Tensor } from "onnxruntime-node";

export { Type };
export type TensorInit = MessageInitShape<typeof TensorProtoSchema>;
/** Not a message but what makes one, so that it can be changed. */
export type NodeInit = Exclude<MessageInitShape<typeof NodeProtoSchema>, { $typeName: string }>;
export type AttributeInit = MessageInitShape<typeof AttributeProtoSchema>;
export type GraphInit = MessageInitShape<typeof GraphProtoSchema>;

export function floats(name: string, dims: number[], values: ArrayLike<number>): TensorInit {
  const rawData = new Uint8Array(Float32Array.from(values).buffer);
  return { name, dims: dims.map(BigInt), dataType: Type.FLOAT, rawData };
}

/** Floats between -1 and 1 that depend on the seed. */
export function noise(name: string, dims: number[], seed = 1): TensorInit {
  const size = dims.reduce((a, b) => a * b, 1);
  return floats(
    name,
    dims,
    Array.from({ length: size }, (_, i) => Math.sin(12.9898 * (i + 1) * seed + seed)),
  );
}

export function ints(name: string, values: number[], dims = [values.length]): TensorInit {
  return { name, dims: dims.map(BigInt), dataType: Type.INT64, int64Data: values.map(BigInt) };
}

export function small(name: string, dims: number[], dataType: Type, values: number[]): TensorInit {
  return { name, dims: dims.map(BigInt), dataType, int32Data: values };
}

/** Attributes from plain values: integers by bigint, and lists of them. */
export function attributes(
  values: Record<string, number | bigint | string | number[] | bigint[] | GraphInit>,
): AttributeInit[] {
  return Object.entries(values).map(([name, value]): AttributeInit => {
    if (typeof value === "number") return { name, type: Kind.FLOAT, f: value };
    if (typeof value === "bigint") return { name, type: Kind.INT, i: value };
    if (typeof value === "string") return { name, type: Kind.STRING, s: new TextEncoder().encode(value) };
    if (!Array.isArray(value)) return { name, type: Kind.GRAPH, g: value };
    if (typeof value[0] === "bigint") return { name, type: Kind.INTS, ints: value as bigint[] };
    return { name, type: Kind.FLOATS, floats: value as number[] };
  });
}

/** A node named after its first output. */
export function op(
  opType: string,
  input: string[],
  output: string | string[],
  values: Parameters<typeof attributes>[0] = {},
  domain = "",
): NodeInit {
  const outputs = typeof output === "string" ? [output] : output;
  return { name: outputs[0]!, opType, input, output: outputs, attribute: attributes(values), domain };
}

export interface FileParts {
  nodes: NodeInit[];
  tensors?: TensorInit[];
  /** A string is a symbolic dimension. */
  shape?: (number | string)[];
  type?: Type;
  /** The last node's first output otherwise. */
  outputs?: string[];
  outputType?: Type;
  opset?: number;
  metadata?: Record<string, string>;
}

/** A file with the input `x`. */
export function file(parts: FileParts): Uint8Array {
  const { nodes, tensors = [], shape = [1, 2], type = Type.FLOAT, opset = 17, metadata = {} } = parts;
  const dim = shape.map((d) => ({
    value:
      typeof d === "number" ? { case: "dimValue" as const, value: BigInt(d) } : { case: "dimParam" as const, value: d },
  }));
  const outputs = parts.outputs ?? [nodes.at(-1)?.output?.[0] ?? "x"];
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [
        { domain: "", version: BigInt(opset) },
        { domain: "com.microsoft", version: 1n },
      ],
      metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
      graph: {
        name: "test",
        node: nodes,
        initializer: tensors,
        input: [{ name: "x", type: { value: { case: "tensorType", value: { elemType: type, shape: { dim } } } } }],
        output: outputs.map((name) => ({
          name,
          type: { value: { case: "tensorType" as const, value: { elemType: parts.outputType ?? Type.FLOAT } } },
        })),
      },
    }),
  );
}

/** onnxruntime's first output, as numbers. */
export async function runtime(
  bytes: Uint8Array,
  inputs: readonly ArrayLike<number>[],
  shape: readonly number[],
  type: Type = Type.FLOAT,
): Promise<number[][]> {
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 4,
  });
  const results: number[][] = [];
  for (const input of inputs) {
    const outputs = await session.run({ [session.inputNames[0]!]: asTensor(input, shape, type) });
    const { data } = outputs[session.outputNames[0]!]!;
    results.push(Array.from(data as ArrayLike<number | bigint>, Number));
  }
  await session.release();
  return results;
}

function asTensor(input: ArrayLike<number>, shape: readonly number[], type: Type): Tensor {
  switch (type) {
    case Type.INT64:
      return new Tensor("int64", BigInt64Array.from(Array.from(input, BigInt)), shape);
    case Type.INT32:
      return new Tensor("int32", Int32Array.from(input), shape);
    case Type.UINT8:
      return new Tensor("uint8", Uint8Array.from(input), shape);
    case Type.INT8:
      return new Tensor("int8", Int8Array.from(input), shape);
    default:
      return new Tensor("float32", Float32Array.from(input), shape);
  }
}

/** The greatest difference, relative to 1 + |expected|. */
export function difference(ours: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (ours.length !== expected.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < ours.length; i++) {
    const each = ours[i] === expected[i] ? 0 : Math.abs(ours[i]! - expected[i]!) / (1 + Math.abs(expected[i]!));
    if (!(each <= worst)) worst = each;
  }
  return worst;
}
