/**
 * The programs that are inspected and counted: what ships, and every template of the library on its own.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { benchCircuit } from "../../src/bench/circuits.js";
import type { CircuitSource } from "../../src/circuit/compile.js";
import { calibrationMails, MODEL_FILE, SPAM_OPTIONS } from "../../src/cli/demo/anchoring.js";
import { type DatasetProgramSpec, datasetProgram } from "../../src/dataset/circuit/index.js";
import { circuitText } from "../../src/model/circuit/index.js";
import { loadCorpus, split } from "../../src/model/corpus.js";
import { extractFeatures, featuresToFloat } from "../../src/model/features.js";
import { readOnnx } from "../../src/model/onnx/index.js";
import { quantise } from "../../src/model/quantise/index.js";
import { PACKAGE_ROOT } from "../../src/paths.js";

export interface Program extends CircuitSource {
  /** Where its own text is from, for messages: a file of the repository, or a name for what is generated. */
  file: string;
}

/** Circuits of datasets at small sizes: circom takes half a second a hash. */
const DATASETS: readonly DatasetProgramSpec[] = [
  { kind: "chunk", records: 3, depth: 2 },
  { kind: "opening", bits: 2, following: 2, depth: 1 },
  { kind: "growth", bits: 2, following: 2, oldDepth: 1, newDepth: 2 },
  { kind: "content", steps: 2, depth: 1, chunkRecords: 2 },
  { kind: "bytes", steps: 1, depth: 1, bits: 2, exact: true },
  { kind: "numbers", steps: 2, depth: 1, chunkRecords: 2, width: 8, bits: 3, exact: false },
  { kind: "labels", records: 2, depth: 1 },
  { kind: "column", records: 2, depth: 1, rest: 0 },
  { kind: "column", records: 2, depth: 1, rest: 1 },
  { kind: "distinct", records: 2, depth: 1 },
  { kind: "sorted", steps: 1 },
  { kind: "sha256", blocks: 1 },
];

/** Every template, at small sizes, and on both sides of an `if` on its parameters. */
const TEMPLATES: readonly (readonly [file: string, instance: string])[] = [
  ["lib/nonzero.circom", "NonZero()"],
  ["lib/num2bits.circom", "Num2Bits(8)"],
  ["lib/poseidon16.circom", "Poseidon16()"],
  ["lib/range_check.circom", "RangeCheck(-8, 4)"],
  ["lib/range_check.circom", "RangeCheck(0, 253)"],
  ["lib/select16.circom", "Select16()"],
  ["lib/is_zero.circom", "IsZero()"],
  ["lib/hash_chain.circom", "HashChain(1, 16)"],
  ["lib/sha256_sigma.circom", "Sha256Sigma(7, 18, 3, 1)"],
  ["lib/sha256_sigma.circom", "Sha256Sigma(6, 11, 25, 0)"],
  ["lib/sha256_choose.circom", "Sha256Choose()"],
  ["lib/sha256_majority.circom", "Sha256Majority()"],
  ["lib/sha256_sum.circom", "Sha256Sum(3)"],
  ["lib/sha256_block.circom", "Sha256Block()"],
  ["dataset/chunk_tail.circom", "ChunkTail(2, 2, 1)"],
  ["dataset/claim_digest.circom", "ClaimDigest(4, 2)"],
  ["dataset/commit_state.circom", "CommitState(2)"],
  ["dataset/content_range.circom", "ContentRange(2, 1, 8, 1)"],
  ["dataset/content_range.circom", "ContentRange(2, 2, 9, 0)"],
  ["dataset/content_range.circom", "ContentRange(2, 4, 3, 1)"],
  ["dataset/content_range.circom", "ContentRange(1, 8, 1, 0)"],
  ["dataset/content_run.circom", "ContentRun(2, 1, 1)"],
  ["dataset/dataset_root.circom", "DatasetRoot(1)"],
  ["dataset/fingerprint.circom", "Fingerprint()"],
  ["dataset/merkle_path16.circom", "MerklePath16(1, 0x61705f6e6f6465)"],
  ["dataset/prefix_children.circom", "PrefixChildren()"],
  ["dataset/record_chunk.circom", "RecordChunk(2, 1)"],
  ["dataset/record_segment.circom", "RecordSegment(4, 2, 3, 2, 1)"],
  ["inference/argmax_run.circom", "ArgMaxRun(2, 8)"],
  ["inference/argmax_run.circom", "ArgMaxRun(5, 64)"],
  ["inference/argmax.circom", "ArgMax(2, 4, [20, 9])"],
  ["inference/arrange.circom", "Arrange(3, 4, [2, -1, 0, -2], [7, -7])"],
  ["inference/batch_digest.circom", "BatchDigest(3)"],
  ["inference/committed_adapter.circom", "CommittedAdapter(40, -128, 8, 1, 2)"],
  ["inference/committed_input.circom", "CommittedInput(40, 0, 7)"],
  ["inference/committed_input.circom", "CommittedInput(226, -300, 10)"],
  ["inference/linear.circom", "Linear(1, 2, 3, 2, [1, -2, 3, 4, 5, -6], [7, -8])"],
  ["inference/lookup_row.circom", "LookupRow(3, 2, [1, -2, 3, 4, 5, 6], 0, 9)"],
  ["inference/lookup_row.circom", "LookupRow(3, 2, [1, -2, 3, 4, 5, 6], 1, 1)"],
  ["inference/lookup.circom", "Lookup(2, 3, 1, [1, -2, 3], [0, 0], [2, 9])"],
  ["inference/mat_mul.circom", "MatMul(2, 2, 3, 2)"],
  ["inference/max_pair.circom", "MaxPair(8)"],
  ["inference/max.circom", "Max(2, 3, [0, 0, 0, 0, 0, -9], [127, 127, 127, 127, 127, 127])"],
  ["inference/mul.circom", "Mul(2)"],
  ["inference/normalise_run.circom", "NormaliseRun(4, 3, 12, 12, 24, 30)"],
  ["inference/normalise.circom", "Normalise(2, 4, 3, 12, 12, 24, 30)"],
  ["inference/packed_integers.circom", "PackedIntegers(40, -128, 8)"],
  ["inference/packed_output.circom", "PackedOutput(1, 0, 4)"],
  ["inference/packed_output.circom", "PackedOutput(10, -100, 8)"],
  ["inference/packed_output.circom", "PackedOutput(9, -1, 31)"],
  ["inference/requant_lane.circom", "RequantLane(-200000, 150000, 4, 0, 7)"],
  ["inference/requant_lane.circom", "RequantLane(-131070, 131060, 4, -128, 8)"],
  ["inference/requant_lane.circom", "RequantLane(-20, 70, 1, 0, 2)"],
  ["inference/requant_lane.circom", "RequantLane(-16, 15, 1, 0, 3)"],
  ["inference/requant_lane.circom", "RequantLane(-30, 29, 2, -4, 3)"],
  ["inference/requant_lane.circom", "RequantLane(-49, 77, 2, -4, 3)"],
  ["inference/requant_lane.circom", "RequantLane(0, 150000, 4, 0, 7)"],
  ["inference/requant_lane.circom", "RequantLane(-200000, 2000, 4, 0, 7)"],
  ["inference/requant_lane.circom", "RequantLane(-500, 500, 3, -128, 8)"],
  ["inference/requant_lane.circom", "RequantLane(-100, 100, 0, -128, 8)"],
  ["inference/requant_lane.circom", "RequantLane(-100, -1, 0, 0, 7)"],
  ["inference/requant.circom", "Requant(2, 1, [4], 0, 7, [-9999, -99], [9999, 99])"],
  ["inference/share_lane.circom", "ShareLane(255, 16)"],
  ["inference/share.circom", "Share(2, 3, 255, 16)"],
  ["inference/table_lane.circom", "TableLane(16, -8, [9, 3, 7, 1, 4, 4, 2, 8, 0, 5, 6, 1, 1, 3, 2, 9])"],
  ["inference/table_lane.circom", "TableLane(5, 0, [0, 0, 1, 3, 9])"],
  ["inference/table_lane.circom", "TableLane(4, 0, [1, 3, 5, 7])"],
  ["inference/table.circom", "Table(2, 2, 2, 0, [1, 2, 4, 8, 0, 0, 5, 5], [0, 0], [3, 3])"],
];

export async function programs(): Promise<Program[]> {
  const alone = TEMPLATES.map(([file, instance]) => ({
    name: instance,
    file: instance,
    source: `pragma circom 2.2.3;\ninclude "${file}";\ncomponent main = ${instance};\n`,
  }));
  const datasets = DATASETS.map((spec) => datasetProgram(spec).circom).map((each) => ({ ...each, file: each.name }));
  const bench = await Promise.all(
    // The other kind has no template of its own.
    (["poseidon", "sha256"] as const).map(async (kind) => {
      const source = await benchCircuit(kind, 10);
      if (source.type !== "circom") throw new Error(`${kind} is no circuit by circom`);
      const { circuit } = source;
      const file = { poseidon: "poseidon_chain", sha256: "sha256_steps" }[kind];
      return { ...circuit, file: `bench/circuits/${file}.circom` };
    }),
  );
  const { train } = split(await loadCorpus());
  const { graph } = await quantise(readOnnx(new Uint8Array(readFileSync(MODEL_FILE))), {
    calibration: calibrationMails(train).map((mail) => featuresToFloat(extractFeatures(mail.body))),
    ...SPAM_OPTIONS,
  });
  const spam = { name: "spam-classifier", file: "spam-classifier", source: circuitText(graph).source };
  return [...alone, ...datasets, spam, ...bench];
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
