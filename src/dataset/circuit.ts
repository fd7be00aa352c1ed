import type { CircuitSource } from "../circuit/compile.js";
import { AnchorError } from "../errors.js";

/** Deepest tree that a circuit is made for: 16^6 chunks are 125 GB. */
const MAX_DEPTH = 6;

/** The circuit that proves a chunk of any dataset whose tree has this height. Its rows: 13,4xx at height 3. */
export function datasetChunkCircuit(depth: number): CircuitSource {
  if (!Number.isInteger(depth) || depth < 1 || depth > MAX_DEPTH) {
    throw new AnchorError("INPUT_INVALID", `a dataset tree has a height from 1 to ${MAX_DEPTH}`);
  }
  return {
    name: `dataset-chunk-${depth}`,
    source: [
      "pragma circom 2.2.3;",
      'include "dataset/chunk.circom";',
      `component main {public [root, index, count, context]} = DatasetChunk(${depth});`,
      "",
    ].join("\n"),
  };
}
