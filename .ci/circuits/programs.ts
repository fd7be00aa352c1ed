/**
 * The programs that are inspected and counted: what ships, and every template of the library on its own.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { benchCircuit } from "../../src/bench/circuits.js";
import type { CircuitSource } from "../../src/circuit/compile.js";
import { calibrationMails, MODEL_FILE } from "../../src/cli/demo/anchoring.js";
import { datasetChunkCircuit } from "../../src/dataset/circuit.js";
import { emitInferenceCircuit } from "../../src/model/circuit.js";
import { loadCorpus, split } from "../../src/model/corpus.js";
import { extractFeatures, featuresToFloat } from "../../src/model/features.js";
import { readOnnx } from "../../src/model/onnx.js";
import { quantise } from "../../src/model/quantise.js";
import { PACKAGE_ROOT } from "../../src/paths.js";

export interface Program extends CircuitSource {
  /** Where its own text is from, for messages: a file of the repository, or a name for what is generated. */
  file: string;
}

/** The demonstration's dataset has a tree of height 3; the other heights are those of the tests. */
const DATASET_DEPTHS = [1, 2, 3];

/** Every template, at small sizes, and on both sides of an `if` on its parameters. */
const TEMPLATES: readonly (readonly [file: string, instance: string])[] = [
  ["lib/nonzero.circom", "NonZero()"],
  ["lib/num2bits.circom", "Num2Bits(8)"],
  ["lib/poseidon16.circom", "Poseidon16()"],
  ["lib/range_check.circom", "RangeCheck(8)"],
  ["lib/range_check.circom", "RangeCheck(253)"],
  ["lib/select16.circom", "Select16()"],
  ["lib/zero_from.circom", "ZeroFrom(4)"],
  ["dataset/merkle_path16.circom", "MerklePath16(1, 0x61705f6e6f6465)"],
  ["inference/argmax.circom", "ArgMax(2, 8)"],
  ["inference/argmax.circom", "ArgMax(5, 64)"],
  ["inference/committed_input.circom", "CommittedInput(40)"],
  ["inference/committed_input.circom", "CommittedInput(466)"],
  ["inference/dense.circom", "Dense(3, 2, [[1, -2, 3], [4, 5, -6]], [7, -8])"],
  ["inference/requant_relu.circom", "RequantRelu(2, [12, 8], [4, 4])"],
  ["inference/requant_relu_lane.circom", "RequantReluLane(12, 4)"],
  ["inference/requant_relu_lane.circom", "RequantReluLane(8, 4)"],
  ["inference/requant_relu_lane.circom", "RequantReluLane(9, 0)"],
];

export async function programs(): Promise<Program[]> {
  const alone = TEMPLATES.map(([file, instance]) => ({
    name: instance,
    file: instance,
    source: `pragma circom 2.2.3;\ninclude "${file}";\ncomponent main = ${instance};\n`,
  }));
  const chunks = DATASET_DEPTHS.map(datasetChunkCircuit).map((circuit) => ({ ...circuit, file: circuit.name }));
  const bench = await Promise.all(
    // The other kind has no template of its own.
    (["poseidon", "sha256"] as const).map(async (kind) => {
      const { circuit } = await benchCircuit(kind, 10);
      const file = { poseidon: "poseidon_chain", sha256: "sha256_steps" }[kind];
      return { ...circuit, file: `bench/circuits/${file}.circom` };
    }),
  );
  const { train } = split(await loadCorpus());
  const { graph } = await quantise(readOnnx(new Uint8Array(readFileSync(MODEL_FILE))), {
    calibration: calibrationMails(train).map((mail) => featuresToFloat(extractFeatures(mail.body))),
  });
  const spam = { name: "spam-classifier", file: "spam-classifier", source: emitInferenceCircuit(graph).source };
  return [...alone, ...chunks, spam, ...bench];
}

/** The files of `circuits/`, by their path in it. */
export function libraryFiles(): Map<string, string> {
  const root = join(PACKAGE_ROOT, "circuits");
  const names = readdirSync(root, { recursive: true, encoding: "utf8" }).map((name) => name.replaceAll("\\", "/"));
  return new Map(
    names
      .filter((name) => name.endsWith(".circom"))
      .sort()
      .map((name) => [name, readFileSync(join(root, name), "utf8")]),
  );
}
