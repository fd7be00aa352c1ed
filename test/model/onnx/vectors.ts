/**
 * The operator vectors of the ONNX project (Debian's libonnx-testdata): models of one or a few nodes, with inputs and
 * outputs that were computed by numpy or PyTorch.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  TypeProtoSchema,
} from "onnx-buf";
import { AnchorError } from "../../../src/errors.js";
import type { FloatGraph } from "../../../src/model/float.js";
import { readOnnx } from "../../../src/model/onnx/index.js";
import { readTensor } from "../../../src/model/onnx/tensor.js";
import { createFloatExecutor } from "../../../src/model/run.js";
import { op } from "./files.js";

export const VECTORS = "/usr/share/libonnx-testdata/data";
export const FAMILIES = ["node", "pytorch-operator", "pytorch-converted", "simple"] as const;

export interface Outcome {
  readonly graph: FloatGraph;
  /** For each output that is not refused: the greatest difference, relative to 1 + |expected|. */
  readonly differences: readonly number[];
}

export function haveVectors(): boolean {
  return existsSync(join(VECTORS, "node"));
}

/** `family/directory` of every vector. */
export function vectorNames(): string[] {
  return FAMILIES.flatMap((family) =>
    readdirSync(join(VECTORS, family))
      .filter((name) => existsSync(join(VECTORS, family, name, "test_data_set_0")))
      .sort()
      .map((name) => `${family}/${name}`),
  );
}

/**
 * Runs one vector. The reader takes one input, and these files often have several: all but one become initialisers.
 * Which one stays is tried in the order of the file; the first that the reader takes decides.
 *
 * @throws what the reader throws for the first input.
 */
export function runVector(name: string): Outcome {
  const vector = load(name);
  if ("bytes" in vector) return { graph: readOnnx(vector.bytes, { keepBatch: true }), differences: [] };
  let first: unknown;
  for (let chosen = 0; chosen < vector.inputs.length; chosen++) {
    try {
      return run(vector, chosen);
    } catch (error) {
      first ??= error;
    }
  }
  throw first ?? new AnchorError("MODEL_OP_UNSUPPORTED", "a model without inputs");
}

/** Runs one vector with every input known when the file is read; a new input adds zeros to the result. */
export function foldVector(name: string): Outcome {
  const vector = load(name);
  if ("bytes" in vector) return { graph: readOnnx(vector.bytes, { keepBatch: true }), differences: [] };
  const { model, inputs, output } = vector;
  const graph = model.graph!;
  const differences: number[] = [];
  let first: FloatGraph | undefined;
  graph.output.forEach(({ name: result }, i) => {
    const scalar = create(TypeProtoSchema, {
      value: { case: "tensorType", value: { elemType: TensorProto_DataType.FLOAT, shape: { dim: [] } } },
    });
    const added = create(GraphProtoSchema, {
      node: [
        ...graph.node,
        op("Cast", [result], "folded float", { to: BigInt(TensorProto_DataType.FLOAT) }),
        op("Add", ["folded float", "folded zero"], "folded"),
      ],
      input: [{ name: "folded zero", type: scalar }],
      output: [{ name: "folded" }],
      initializer: [...graph.initializer, ...inputs],
    });
    let read: FloatGraph;
    try {
      read = readOnnx(toBinary(ModelProtoSchema, { ...model, graph: added }));
    } catch (error) {
      if (i === 0) throw error;
      return;
    }
    first ??= read;
    differences.push(difference(createFloatExecutor(read)([0]).at(-1)!, output(i)));
  });
  return { graph: first!, differences };
}

interface Vector {
  readonly model: ModelProto;
  readonly inputs: readonly TensorProto[];
  readonly output: (i: number) => Float64Array;
}

/** A vector, or its file alone where it takes or gives what is no tensor. */
function load(name: string): Vector | { readonly bytes: Uint8Array } {
  const folder = join(VECTORS, name);
  const bytes = readFileSync(join(folder, "model.onnx"));
  const model = fromBinary(ModelProtoSchema, bytes);
  const graph = model.graph!;
  const data = (kind: string, i: number) =>
    fromBinary(TensorProtoSchema, readFileSync(join(folder, "test_data_set_0", `${kind}_${i}.pb`)));
  const given = graph.input.filter((input) => !graph.initializer.some((tensor) => tensor.name === input.name));
  const tensors = [...given, ...graph.output].every(({ type }) => type?.value.case === "tensorType");
  if (!tensors) return { bytes };
  return {
    model,
    inputs: given.map((input, i) => ({ ...data("input", i), name: input.name })),
    output: (i) => readTensor(data("output", i), "the output").values,
  };
}

function run({ model, inputs, output }: Vector, chosen: number): Outcome {
  const kept = inputs[chosen]!;
  const graph = {
    ...model.graph!,
    input: model.graph!.input.filter(({ name }) => name === kept.name),
    initializer: [...model.graph!.initializer, ...inputs.filter((_, i) => i !== chosen)],
  };
  const bytes = toBinary(ModelProtoSchema, { ...model, graph });
  const values = readTensor(kept, "the input").values;
  let first: FloatGraph | undefined;
  const differences: number[] = [];
  graph.output.forEach(({ name }, i) => {
    let read: FloatGraph;
    try {
      read = readOnnx(bytes, { output: name, keepBatch: true });
    } catch (error) {
      // Second outputs (a mask, indices) may be refused.
      if (i === 0) throw error;
      return;
    }
    first ??= read;
    differences.push(difference(createFloatExecutor(read)(values).at(-1)!, output(i)));
  });
  return { graph: first!, differences };
}

/** The greatest, relative to 1 + |expected|. */
function difference(ours: Float64Array, expected: Float64Array): number {
  if (ours.length !== expected.length) throw new Error(`${ours.length} values instead of ${expected.length}`);
  let worst = 0;
  expected.forEach((value, k) => {
    const each = value === ours[k] ? 0 : Math.abs(value - ours[k]!) / (1 + Math.abs(value));
    if (!(each <= worst)) worst = each;
  });
  return worst;
}
