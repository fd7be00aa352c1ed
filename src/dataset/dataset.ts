/**
 * A dataset that somebody has committed to, and holds.
 *
 * @module
 */
import type { Hex } from "../field/bytes.js";
import type { Description, RootOpening } from "./layout.js";
import type { Column, DatasetRecord } from "./record.js";

/** What a creator publishes, but for `sha256`, which is a choice: it lets anyone test a guess at the data. */
export interface DatasetCommitment {
  readonly root: bigint;
  /** What the root is the hash of. */
  readonly opening: RootOpening;
  readonly columns: readonly Column[];
  /** Bytes of data of all records. Not bound by the root. */
  readonly bytes: number;
  /** For LazAI's DataRegistry: of the file, or of the list of the files' (as `sha256sum` prints it). Unproven. */
  readonly sha256: Hex;
  readonly blinded: boolean;
}

/** Everything that proofs are made from, in memory or on disk. Reading is synchronous. */
export interface OpenDataset {
  readonly commitment: DatasetCommitment;
  readonly chunkRoots: readonly bigint[];
  /** The secret that the blinding values come from; none for a dataset that is not blinded. */
  readonly seed: Uint8Array | undefined;
  /** Descriptions of `count` records from the one numbered `first`. @throws DATASET_RECORD_UNKNOWN */
  descriptions(first: number, count: number): Description[];
  /** @throws DATASET_RECORD_UNKNOWN */
  record(index: number): DatasetRecord;
  /** The elements of a record's data, without the zeros of its last block. @throws DATASET_RECORD_UNKNOWN */
  content(index: number): bigint[];
  close(): void;
}
