/**
 * Committing to records, in batches: records → descriptions → chunk roots → tree → root (see layout.ts).
 *
 * {@link commitDataset} keeps everything in memory; directory.ts writes the same to disk.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { AnchorError, throwIfAborted } from "../errors.js";
import { assertHex, type Hex, toHex } from "../field/bytes.js";
import { decodeScalars, encodeScalars, poseidon16Many } from "../field/poseidon.js";
import { hashChains, hashThreads, SCALAR_BYTES, STEP_BYTES } from "./chains.js";
import type { DatasetCommitment, OpenDataset } from "./dataset.js";
import { describeRecords, elementsJob, ROW_BYTES, readRow, rowNumber } from "./describe.js";
import {
  AT,
  CHUNK_RECORDS,
  checkSeed,
  chunkBlinds,
  chunkCount,
  DEPTHS,
  hashRoot,
  type RootOpening,
  STARTS,
  TAGS,
  type Totals,
  treeDepth,
} from "./layout.js";
import { type Column, contentElements, type DatasetRecord, schemaDigest } from "./record.js";

/** Most records of a dataset: 2^31. */
export const MAX_RECORDS = CHUNK_RECORDS * 16 ** DEPTHS.at(-1)!;
/** Children that are hashed between two looks at the clock. */
const NODES_AT_ONCE = 4096;

/** How much is hashed together. Changes nothing of what comes out. */
export interface BatchSize {
  /** Bytes of data and texts; one record more than that is always taken. */
  readonly bytes: number;
  readonly records: number;
  /** Chunks whose roots are hashed together. */
  readonly chunks: number;
}

/** Enough parts of long records for eight lanes a thread, without filling the memory of a machine with many cores. */
export function defaultBatch(): BatchSize {
  return { bytes: 2 ** 20 * Math.min(64, Math.max(16, 8 * hashThreads())), records: 4096, chunks: 32 };
}

export interface CommitProgress {
  readonly records: number;
  /** Of data. */
  readonly bytes: number;
}

export interface CommitOptions {
  /** What the records' cells are: none where records have no cells. */
  readonly columns?: readonly Column[] | undefined;
  /** 32 secret bytes that blind the records; without it the root depends on the data alone, and guessable data can be guessed. */
  readonly seed?: Uint8Array | undefined;
  /** Of the file that the records come from. Unless told, of all records' data, which of a file as one text is the same. */
  readonly sha256?: Hex | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CommitProgress) => void) | undefined;
  readonly batch?: Partial<BatchSize> | undefined;
}

/** What a {@link Committer} makes, in order. */
export interface CommitSink {
  /** Records, and a row (see describe.ts) for each. */
  records(records: readonly DatasetRecord[], rows: Uint8Array): Promise<void> | void;
  /** Roots of whole chunks, and at the end of the last, 32 bytes each, little-endian. */
  roots(roots: Uint8Array): Promise<void> | void;
}

/** Where a {@link Committer} goes on. */
export interface CommitState {
  readonly totals: Totals;
  readonly bytes: number;
  /** Chunks whose roots are known. */
  readonly chunks: number;
  /** Rows of the records after those. */
  readonly rows: Uint8Array;
  readonly last: DatasetRecord | undefined;
}

/** Takes records one by one, and gives what the commitment is made of to a sink. Memory is that of a batch. */
export class Committer {
  readonly #columns: readonly Column[];
  readonly #seed: Uint8Array | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #batch: BatchSize;
  readonly #sink: CommitSink;
  #records: DatasetRecord[] = [];
  #recordBytes = 0;
  /** Rows that are in no chunk root. */
  #rows: Uint8Array[] = [];
  #rowCount = 0;
  #chunks = 0;
  #last: DatasetRecord | undefined;
  #totals: Totals = { records: 0, blocks: 0, values: 0 };
  #bytes = 0;

  /** @throws INPUT_INVALID */
  constructor(
    { columns = [], seed, signal, batch }: Pick<CommitOptions, "columns" | "seed" | "signal" | "batch">,
    sink: CommitSink,
    from?: CommitState,
  ) {
    checkSeed(seed);
    schemaDigest(columns); // refuses columns that are none
    this.#columns = columns;
    this.#seed = seed;
    this.#signal = signal;
    this.#batch = { ...defaultBatch(), ...batch };
    for (const size of Object.values(this.#batch)) {
      if (!Number.isSafeInteger(size) || size < 1) throw new AnchorError("INPUT_INVALID", "a batch has at least one");
    }
    this.#sink = sink;
    if (from) {
      this.#totals = { ...from.totals };
      this.#bytes = from.bytes;
      this.#chunks = from.chunks;
      this.#rows = from.rows.length > 0 ? [from.rows] : [];
      this.#rowCount = from.rows.length / ROW_BYTES;
      this.#last = from.last;
    }
  }

  /** Of the records that the sink has. */
  get totals(): Totals {
    return { ...this.#totals };
  }

  /** Bytes of data of the records that the sink has. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws INPUT_INVALID, INPUT_TOO_LARGE, ABORTED; what the sink throws */
  async push(record: DatasetRecord): Promise<void> {
    const index = this.#totals.records + this.#records.length;
    if (index >= MAX_RECORDS) throw new AnchorError("INPUT_TOO_LARGE", "a dataset has at most 2^31 records");
    checkFollows(this.#last, record, index);
    this.#last = withoutData(record);
    this.#records.push(record);
    this.#recordBytes += sizeOf(record);
    if (this.#recordBytes >= this.#batch.bytes || this.#records.length >= this.#batch.records) await this.#flush();
  }

  /** @throws DATASET_EMPTY, INPUT_INVALID, ABORTED; what the sink throws */
  async finish(): Promise<{ totals: Totals; bytes: number; schema: bigint }> {
    checkComplete(this.#last);
    await this.#flush();
    await this.#hashChunks(this.#rowCount);
    if (this.#totals.records === 0) throw new AnchorError("DATASET_EMPTY", "a dataset has at least one record");
    return { totals: this.totals, bytes: this.#bytes, schema: schemaDigest(this.#columns) };
  }

  async #flush(): Promise<void> {
    throwIfAborted(this.#signal);
    const records = this.#records;
    if (records.length === 0) return;
    this.#records = [];
    this.#recordBytes = 0;
    const rows = await describeRecords(records, this.#columns, { signal: this.#signal }).catch((error: unknown) => {
      throw nameRecord(error, this.#totals.records);
    });
    for (let i = 0; i < records.length; i++) {
      this.#totals.blocks += rowNumber(rows, i, AT.blocks);
      this.#totals.values += rowNumber(rows, i, AT.length);
      this.#bytes += records[i]!.data.length;
    }
    this.#totals.records += records.length;
    this.#rows.push(rows);
    this.#rowCount += records.length;
    await this.#sink.records(records, rows);
    if (this.#rowCount >= this.#batch.chunks * CHUNK_RECORDS) {
      await this.#hashChunks(this.#rowCount - (this.#rowCount % CHUNK_RECORDS));
    }
  }

  async #hashChunks(records: number): Promise<void> {
    if (records === 0) return;
    const rows = new Uint8Array(Buffer.concat(this.#rows));
    const roots = await hashChunks(rows.subarray(0, records * ROW_BYTES), this.#chunks, this.#seed, this.#signal);
    this.#rows = [rows.subarray(records * ROW_BYTES)];
    this.#rowCount -= records;
    this.#chunks += chunkCount(records);
    await this.#sink.roots(roots);
  }
}

/**
 * Commits to records, in their order, and keeps them.
 *
 * @throws DATASET_EMPTY, INPUT_INVALID, INPUT_TOO_LARGE, ABORTED
 */
export async function commitDataset(
  records: Iterable<DatasetRecord> | AsyncIterable<DatasetRecord>,
  options: CommitOptions = {},
): Promise<OpenDataset> {
  const { columns = [], seed, sha256, onProgress } = options;
  if (sha256 !== undefined) assertHex(sha256, "sha256", 32);
  const kept: DatasetRecord[] = [];
  const rows: Uint8Array[] = [];
  const roots: Uint8Array[] = [];
  const hash = createHash("sha256");
  const committer = new Committer(options, {
    records(batch, batchRows) {
      for (const record of batch) {
        kept.push(record);
        hash.update(record.data);
      }
      rows.push(batchRows);
      onProgress?.({ records: committer.totals.records, bytes: committer.bytes });
    },
    roots: (batch) => void roots.push(batch),
  });
  for await (const record of records) await committer.push(record);
  const { totals, bytes, schema } = await committer.finish();
  const rootBytes = Buffer.concat(roots);
  const opening = await openingOf(totals, schema, async (first, count) =>
    rootBytes.subarray(first * SCALAR_BYTES, (first + count) * SCALAR_BYTES),
  );
  const commitment: DatasetCommitment = {
    root: hashRoot(opening),
    opening,
    columns: columns.map((column) => ({ ...column })),
    bytes,
    sha256: sha256 ?? toHex(hash.digest()),
    blinded: seed !== undefined,
  };
  const all = Buffer.concat(rows);
  return {
    commitment,
    chunkRoots: decodeScalars(rootBytes),
    seed: seed && Uint8Array.from(seed),
    descriptions: (first, count) => {
      checkRange(first, count, kept.length);
      return Array.from({ length: count }, (_, i) => readRow(all, first + i));
    },
    record: (index) => {
      checkRange(index, 1, kept.length);
      return kept[index]!;
    },
    content: (index) => {
      checkRange(index, 1, kept.length);
      return contentElements(kept[index]!);
    },
    close: () => {},
  };
}

/** @throws DATASET_RECORD_UNKNOWN */
export function checkRange(first: number, count: number, records: number): void {
  const whole = Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 0;
  if (whole && first + count <= records) return;
  const asked = count === 1 ? `${first}` : `${first} to ${first + count - 1}`;
  throw new AnchorError("DATASET_RECORD_UNKNOWN", `records are numbered 0 to ${records - 1}, not ${asked}`);
}

/**
 * Roots of the chunks of rows, of which only the last may be short; `first` is the first one's number.
 *
 * @throws ABORTED
 */
export function hashChunks(
  rows: Uint8Array,
  first: number,
  seed: Uint8Array | undefined,
  signal?: AbortSignal | undefined,
): Promise<Uint8Array> {
  const records = rows.length / ROW_BYTES;
  const jobs = Array.from({ length: chunkCount(records) }, (_, chunk) => {
    const from = chunk * CHUNK_RECORDS;
    const count = Math.min(CHUNK_RECORDS, records - from);
    const elements = new Uint8Array(count * STEP_BYTES);
    const blinds = encodeScalars(chunkBlinds(seed, first + chunk, count));
    for (let i = 0; i < count; i++) {
      elements.set(rows.subarray((from + i) * ROW_BYTES, (from + i + 1) * ROW_BYTES), i * STEP_BYTES);
      elements.set(blinds.subarray(i * SCALAR_BYTES, (i + 1) * SCALAR_BYTES), i * STEP_BYTES + ROW_BYTES);
    }
    return elementsJob(STARTS.chunk, elements);
  });
  return hashChains(jobs, { signal });
}

/**
 * What the root is the hash of.
 *
 * @param read the roots of `count` chunks from the one numbered `first`
 */
export async function openingOf(
  totals: Totals,
  schema: bigint,
  read: (first: number, count: number) => Promise<Uint8Array>,
): Promise<RootOpening> {
  const chunks = chunkCount(totals.records);
  const depth = treeDepth(chunks);
  const lowest: Uint8Array[] = [];
  for (let first = 0; first < chunks; first += NODES_AT_ONCE) {
    lowest.push(hashNodes(1, await read(first, Math.min(NODES_AT_ONCE, chunks - first))));
    await new Promise(setImmediate);
  }
  let nodes: Uint8Array = Buffer.concat(lowest);
  for (let level = 2; level <= depth; level++) nodes = hashNodes(level, nodes);
  return { depth, top: decodeScalars(nodes)[0]!, totals, schema };
}

/** Levels from the chunk roots (0) to the single top node (`depth`), without the missing nodes. */
export function treeLevels(chunkRoots: readonly bigint[], depth = treeDepth(chunkRoots.length)): bigint[][] {
  const levels: bigint[][] = [[...chunkRoots]];
  let nodes = encodeScalars(chunkRoots);
  for (let level = 1; level <= depth; level++) {
    nodes = hashNodes(level, nodes);
    levels.push(decodeScalars(nodes));
  }
  return levels;
}

/** How a chunk's root is found in the tree, for circuits. */
export interface ChunkPath {
  readonly index: number;
  /** At each level from the lowest, the sixteen children among which the path goes on; missing ones are 0. */
  readonly group: readonly (readonly bigint[])[];
}

const levelsOf = new WeakMap<OpenDataset, bigint[][]>();

/** @throws DATASET_CHUNK_UNKNOWN */
export function chunkPath(dataset: OpenDataset, index: number): ChunkPath {
  const { chunkRoots, commitment } = dataset;
  if (!Number.isInteger(index) || index < 0 || index >= chunkRoots.length) {
    throw new AnchorError("DATASET_CHUNK_UNKNOWN", `chunks are numbered 0 to ${chunkRoots.length - 1}, not ${index}`);
  }
  const { depth } = commitment.opening;
  let levels = levelsOf.get(dataset);
  if (!levels) levelsOf.set(dataset, (levels = treeLevels(chunkRoots, depth)));
  const group = Array.from({ length: depth }, (_, level) => {
    const first = Math.floor(index / 16 ** (level + 1)) * 16;
    return Array.from({ length: 16 }, (_, i) => levels[level]![first + i] ?? 0n);
  });
  return { index, group };
}

/** The nodes above these, which fill up to a multiple of 16 with zeros. */
function hashNodes(level: number, below: Uint8Array): Uint8Array {
  const inputs = new Uint8Array(Math.ceil(below.length / (16 * SCALAR_BYTES)) * 16 * SCALAR_BYTES);
  inputs.set(below);
  return poseidon16Many(encodeScalars([TAGS.node + (BigInt(level) << 64n)]), inputs, hashThreads());
}

/** Bytes of what a record holds in memory. */
function sizeOf({ data, name, label, cells }: DatasetRecord): number {
  let size = (data?.length ?? 0) + (name?.length ?? 0) + (label?.length ?? 0);
  if (Array.isArray(cells)) for (const cell of cells) size += typeof cell === "string" ? cell.length : 8;
  return size;
}

function withoutData(record: DatasetRecord): DatasetRecord {
  return (record.parts ?? 1) === 1 ? NO_PARTS : { ...record, data: new Uint8Array() };
}

/** Stands for any record that is whole. */
const NO_PARTS: DatasetRecord = { dtype: "bytes", shape: [0], data: new Uint8Array() };

/**
 * Parts of a record come one after another, all of them.
 *
 * @throws INPUT_INVALID
 */
function checkFollows(last: DatasetRecord | undefined, record: DatasetRecord, index: number): void {
  if (typeof record !== "object" || record === null) {
    throw new AnchorError("INPUT_INVALID", `record ${index} is not an object`);
  }
  const { part = 0, parts = 1 } = record;
  const [lastPart, lastParts] = [last?.part ?? 0, last?.parts ?? 1];
  const next = lastPart + 1 < lastParts ? lastPart + 1 : 0;
  if (part !== next) {
    throw new AnchorError("INPUT_INVALID", `record ${index} is part ${part} of ${parts}: part ${next} comes first`);
  }
  if (part === 0) return;
  const same = (of: DatasetRecord) =>
    JSON.stringify([of.dtype, of.shape, of.scale?.base, of.scale?.exponent, of.name ?? "", of.label ?? "", of.parts]);
  if (same(last!) !== same(record)) {
    throw new AnchorError("INPUT_INVALID", `record ${index} is not a part of the same record as the one before it`);
  }
}

/** @throws INPUT_INVALID */
function checkComplete(last: DatasetRecord | undefined): void {
  const [part, parts] = [last?.part ?? 0, last?.parts ?? 1];
  if (part + 1 < parts) throw new AnchorError("INPUT_INVALID", `the last record ends after part ${part} of ${parts}`);
}

/** Says which record it was, as near as the batch tells. */
function nameRecord(error: unknown, first: number): unknown {
  if (!(error instanceof AnchorError) || error.code !== "INPUT_INVALID") return error;
  const offset = error.details["record"];
  if (typeof offset !== "number") return error;
  const record = first + offset;
  return new AnchorError("INPUT_INVALID", `record ${record}: ${error.message}`, { details: { record }, cause: error });
}
