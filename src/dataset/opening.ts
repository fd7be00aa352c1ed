/**
 * Openings: "the record of this number is under the root", shown without any other record.
 *
 * An opening tells the digest of the record's description. With salt 0, whoever gets the record's bytes as well can check
 * them against it, by {@link checkOpenedRecord}; with a random salt it names a record that other proofs are about and that
 * nobody sees.
 *
 * @module
 */
import { AnchorError, isAnchorError } from "../errors.js";
import { assertScalar, isScalar } from "../field/scalar.js";
import { FOLLOWING, type OpeningRequest, type OpeningShape, placeBits } from "./circuit/opening.js";
import { chunkPath } from "./commit.js";
import type { DatasetCommitment, OpenDataset } from "./dataset.js";
import {
  absorbRecord,
  chunkBlinds,
  digestDescription,
  hashRoot,
  openingElements,
  type RootOpening,
  STARTS,
} from "./layout.js";
import { type DatasetRecord, decodeRecord, describeRecord, schemaDigest } from "./record.js";

/** What a verifier knows of an opening. */
export interface RecordOpening {
  readonly root: bigint;
  /** Number of the record. */
  readonly index: number;
  /** Digest of its description. */
  readonly record: bigint;
}

/** The public signals of an opening, but for the context. @throws STATEMENT_INVALID */
export function openingSignals({ root, index, record }: RecordOpening): bigint[] {
  if (!Number.isSafeInteger(index) || index < 0) {
    throw new AnchorError("STATEMENT_INVALID", "records are numbered from 0");
  }
  const signals = [root, BigInt(index), record];
  if (!signals.every(isScalar)) throw new AnchorError("STATEMENT_INVALID", "a root, or a digest, is a field element");
  return signals;
}

export interface OpeningOptions {
  /** Hides the record; 0 where it is shown. [0] */
  readonly salt?: bigint | undefined;
  /** Records of a chunk as a power of two, and slots for those that follow: for tests. */
  readonly sizes?: { readonly bits: number; readonly following: readonly number[] } | undefined;
}

/**
 * The request for one record of a dataset, and the smallest circuit that takes it.
 *
 * @throws DATASET_RECORD_UNKNOWN, INPUT_INVALID
 */
export function planOpening(
  dataset: OpenDataset,
  index: number,
  { salt = 0n, sizes }: OpeningOptions = {},
): { spec: { kind: "opening" } & OpeningShape; claim: RecordOpening; request: Omit<OpeningRequest, "context"> } {
  assertScalar(salt, "the salt of an opening");
  const { root, opening } = dataset.commitment;
  const { records } = opening.totals;
  if (!Number.isInteger(index) || index < 0 || index >= records) {
    throw new AnchorError("DATASET_RECORD_UNKNOWN", `records are numbered 0 to ${records - 1}, not ${index}`);
  }
  const { shape, chunk, first, count } = tailOf(index, records, sizes);
  const descriptions = dataset.descriptions(first, count);
  const blinds = chunkBlinds(dataset.seed, chunk, count);
  const place = index - first;
  const previous = descriptions
    .slice(0, place)
    .reduce((at, each, i) => absorbRecord(at, each, blinds[i]!), STARTS.chunk);
  const description = descriptions[place]!;
  const record = digestDescription(description, salt);
  return {
    spec: { kind: "opening", ...shape, depth: opening.depth },
    claim: { root, index, record },
    request: {
      root,
      index: BigInt(index),
      record,
      previous,
      description,
      blind: blinds[place]!,
      salt,
      following: descriptions.slice(place + 1),
      followingBlinds: blinds.slice(place + 1),
      group: chunkPath(dataset, chunk).group,
      opening: openingElements(opening),
    },
  };
}

/** Where a record stands, and the smallest circuit that has room for what follows it in its chunk. */
export function tailOf(index: number, records: number, sizes?: OpeningOptions["sizes"]) {
  const following = sizes?.following ?? FOLLOWING;
  const bits = sizes?.bits ?? placeBits({ following: following[0]! });
  const size = 2 ** bits;
  const chunk = Math.floor(index / size);
  const first = chunk * size;
  const count = Math.min(size, records - first);
  const rest = first + count - 1 - index;
  const shape = { ...(sizes ? { bits } : {}), following: following.find((slots) => slots >= rest)! };
  return { shape, size, chunk, first, count };
}

/**
 * A record that was shown, as its opening has it.
 *
 * @param bytes   the record as {@link encodeRecord} has it
 * @param dataset what its creator publishes: says which columns the cells are of
 * @throws DATASET_MISMATCH where the bytes are none of a record, or of another one, or the columns or the root's opening are
 *   those of another dataset
 */
export function checkOpenedRecord(
  { root, index, record }: RecordOpening,
  bytes: Uint8Array,
  { opening, columns }: Pick<DatasetCommitment, "columns"> & { readonly opening: RootOpening },
): DatasetRecord {
  const mismatch = (problem: string, cause?: unknown) =>
    new AnchorError("DATASET_MISMATCH", problem, { details: { index }, cause });
  const known = (() => {
    try {
      return { root: hashRoot(opening), schema: schemaDigest(columns) };
    } catch (error) {
      throw mismatch("the root's opening or the columns are malformed", error);
    }
  })();
  if (known.root !== root) throw mismatch("the opening is not of this root");
  if (known.schema !== opening.schema) throw mismatch("the columns are not those that the root commits to");
  if (!Number.isInteger(index) || index < 0 || index >= opening.totals.records)
    throw mismatch(`the dataset has no record ${index}`);
  let shown: DatasetRecord;
  let digest: bigint;
  try {
    shown = decodeRecord(bytes);
    digest = digestDescription(describeRecord(shown, columns), 0n);
  } catch (error) {
    if (!isAnchorError(error)) throw error;
    throw mismatch(`the bytes are not those of a record of this dataset: ${error.message}`, error);
  }
  if (digest !== record) throw mismatch(`the bytes are not those of record ${index}`);
  return shown;
}
