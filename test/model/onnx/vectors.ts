/**
 * The operator vectors of the ONNX project (Debian's libonnx-testdata): models of one or a few nodes, with inputs and
 * outputs that were computed by numpy or PyTorch.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ModelProto, ModelProtoSchema, type TensorProto, TensorProtoSchema } from "onnx-buf";
import type { FloatGraph } from "../../../src/model/float.js";
import { readOnnx } from "../../../src/model/onnx/index.js";
import { readTensor } from "../../../src/model/onnx/tensor.js";
import { createFloatExecutor } from "../../../src/model/run.js";

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
  const folder = join(VECTORS, name);
  const model = fromBinary(ModelProtoSchema, readFileSync(join(folder, "model.onnx")));
  const data = (kind: string, i: number) =>
    fromBinary(TensorProtoSchema, readFileSync(join(folder, "test_data_set_0", `${kind}_${i}.pb`)));
  const given = model.graph!.input.filter(
    ({ name: input }) => !model.graph!.initializer.some((tensor) => tensor.name === input),
  );
  const tensors = given.length > 0 && [...given, ...model.graph!.output].every(({ type }) => type?.value.case === "tensorType");
  if (!tensors) return { graph: readOnnx(toBinary(ModelProtoSchema, model), { keepBatch: true }), differences: [] };
  const inputs = given.map((input, i): TensorProto => ({ ...data("input", i), name: input.name }));
  let first: unknown;
  for (let chosen = 0; chosen < inputs.length; chosen++) {
    try {
      return run(model, inputs, chosen, (i) => data("output", i));
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

function run(model: ModelProto, inputs: TensorProto[], chosen: number, output: (i: number) => TensorProto): Outcome {
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
    const ours = createFloatExecutor(read)(values).at(-1)!;
    const expected = readTensor(output(i), "the output").values;
    if (ours.length !== expected.length) throw new Error(`${ours.length} values instead of ${expected.length}`);
    let worst = 0;
    expected.forEach((value, k) => {
      const difference = value === ours[k] ? 0 : Math.abs(value - ours[k]!) / (1 + Math.abs(value));
      if (!(difference <= worst)) worst = difference;
    });
    differences.push(worst);
  });
  return { graph: first!, differences };
}
