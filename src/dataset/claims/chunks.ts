/**
 * What segments read of a dataset.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { OpenDataset } from "../dataset.js";
import { CHUNK_RECORDS, type Description, MAX_TEXT_BYTES } from "../layout.js";

/** Records of one chunk, numbered from `first`. */
export interface ChunkOfRecords {
  readonly index: number;
  readonly first: number;
  readonly descriptions: readonly Description[];
}

/** The chunks of a dataset in order. @param records of a chunk, but for the last */
export function* chunksOf(dataset: OpenDataset, records = CHUNK_RECORDS): Generator<ChunkOfRecords> {
  const total = dataset.commitment.opening.totals.records;
  for (let index = 0, first = 0; first < total; index++, first += records) {
    yield { index, first, descriptions: dataset.descriptions(first, Math.min(records, total - first)) };
  }
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
