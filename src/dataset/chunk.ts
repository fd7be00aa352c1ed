/**
 * What the circuits about the records of a chunk are given, read from a dataset.
 *
 * @module
 */
import type { ChunkValues } from "./circuit/records.js";
import { chunkPath } from "./commit.js";
import type { OpenDataset } from "./dataset.js";
import { CHUNK_RECORDS, chunkBlinds, openingElements } from "./layout.js";

/**
 * The request for a proof about a chunk, but for its context.
 *
 * @param size records of a full chunk
 * @throws DATASET_CHUNK_UNKNOWN
 */
export function chunkRequest(dataset: OpenDataset, index: number, size = CHUNK_RECORDS): ChunkValues {
  const { root, opening } = dataset.commitment;
  const { group } = chunkPath(dataset, index);
  const { records } = opening.totals;
  const first = index * size;
  const count = Math.min(size, records - first);
  return {
    root,
    index: BigInt(index),
    descriptions: dataset.descriptions(first, count),
    blinds: chunkBlinds(dataset.seed, index, count),
    group,
    opening: openingElements(opening),
  };
}
