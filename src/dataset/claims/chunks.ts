/**
 * What segments read of a dataset.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { RecordSegmentRequest } from "../circuit/segment.js";
import type { SegmentSignals } from "../claims.js";
import type { OpenDataset } from "../dataset.js";
import { CHUNK_RECORDS, chunkBlinds, type Description, hashNode, MAX_TEXT_BYTES } from "../layout.js";

/** Records of one chunk, numbered from `first`. */
export interface ChunkOfRecords {
  readonly index: number;
  readonly first: number;
  readonly descriptions: readonly Description[];
}

/** The chunks of a dataset in order. @param records of a chunk, but for the last */
export function* chunksOf(dataset: OpenDataset, records = CHUNK_RECORDS): Generator<ChunkOfRecords> {
  const total = dataset.commitment.opening.totals.records;
  for (let index = 0; index * records < total; index++) yield chunkAt(dataset, index, records);
}

function chunkAt(dataset: OpenDataset, index: number, records: number): ChunkOfRecords {
  const first = index * records;
  const count = Math.min(records, dataset.commitment.opening.totals.records - first);
  return { index, first, descriptions: dataset.descriptions(first, count) };
}

/** A segment's own part of its request. */
export type OwnRequest = Omit<RecordSegmentRequest, Exclude<keyof SegmentSignals, "root">>;

/** {@link Segment.request} of a segment over one chunk. */
export function chunkRequest(
  dataset: OpenDataset,
  index: number,
  params: readonly bigint[],
  records = CHUNK_RECORDS,
): OwnRequest & Record<string, unknown> {
  const { root, opening } = dataset.commitment;
  const { descriptions } = chunkAt(dataset, index, records);
  const { totals, schema } = opening;
  return {
    root,
    params,
    descriptions,
    blinds: chunkBlinds(dataset.seed, index, descriptions.length),
    group: chunkGroup(dataset, index),
    opening: [...[totals.records, totals.blocks, totals.values].map(BigInt), schema],
  };
}

const levelsOf = new WeakMap<OpenDataset, bigint[][]>();

/** At each level from the lowest, the sixteen children among which a chunk's path goes on. */
function chunkGroup(dataset: OpenDataset, index: number): bigint[][] {
  const { depth } = dataset.commitment.opening;
  let levels = levelsOf.get(dataset);
  if (!levels) {
    levels = [[...dataset.chunkRoots]];
    for (let level = 1; level < depth; level++) {
      const below = levels.at(-1)!;
      levels.push(
        Array.from({ length: Math.ceil(below.length / 16) }, (_, i) =>
          hashNode(level, below.slice(16 * i, 16 * i + 16)),
        ),
      );
    }
    levelsOf.set(dataset, levels);
  }
  return levels.map((nodes, level) => {
    const from = 16 * Math.floor(index / 16 ** (level + 1));
    return Array.from({ length: 16 }, (_, i) => nodes[from + i] ?? 0n);
  });
}

/** @throws PROOF_SET_INVALID unless a last state has these fields, and is that of a run over all records */
export function checkLast(last: readonly bigint[], fields: number, records: number): void {
  const whole = Array.isArray(last) && last.length === fields && last.every((field) => typeof field === "bigint");
  // Chunks have at least one record each, and one that is not full is the last: whoever has all records has all chunks.
  if (!whole || last[1] !== BigInt(records)) {
    throw new AnchorError("PROOF_SET_INVALID", "the last state is not that of a run over all records");
  }
}

export function claimInvalid(problem: string): AnchorError {
  return new AnchorError("CLAIM_INVALID", problem);
}

export function claimFalse(problem: string, record?: number): AnchorError {
  if (record === undefined) return new AnchorError("CLAIM_FALSE", problem);
  return new AnchorError("CLAIM_FALSE", `record ${record}: ${problem}`, { details: { record } });
}

/** @throws CLAIM_INVALID unless it is a text that a label may be */
export function checkLabel(label: unknown): asserts label is string {
  if (typeof label !== "string" || /\p{Cs}/u.test(label) || Buffer.byteLength(label) > MAX_TEXT_BYTES) {
    throw claimInvalid(`a label is a text of at most ${MAX_TEXT_BYTES} bytes`);
  }
}
