/**
 * Datasets on disk: what committing to one leaves there.
 *
 * - `commitment.json`: the root and what it is the hash of, to publish;
 * - `data.bin`: the canonical bytes of the records (see `encodeRecord`), one after another;
 * - `index.bin`: where each record ends in `data.bin`, 8 bytes little-endian a record;
 * - `records.bin`: descriptions, 14 scalars of 32 bytes little-endian a record;
 * - `chunks.bin`: chunk roots, 32 bytes little-endian each;
 * - `seed.hex`: the secret that blinds the records, where the dataset is blinded. Keep it secret, and keep a copy
 *   ({@link exportSeed}): without it nothing can be proven any more;
 * - `files.json`: SHA-256, size and name of each file that the records came from;
 * - `sha256.txt`: what LazAI's DataRegistry takes: of one file its SHA-256, of several that of the text which `sha256sum`
 *   prints for them in this order. It is not blinded: publishing it lets anyone test a guess at the data;
 * - `previous.json`: what the roots of the datasets that this one extends are the hashes of, oldest first.
 *
 * All but `commitment.json` are for their owner alone.
 *
 * A directory appears whole or not at all: it is made beside as `NAME.part`, with a journal. Each line of the journal says
 * how far everything is on the disk for good. Committing again to the same files in the same way goes on from the last
 * line, after comparing what is there with what the files give.
 *
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { copyFile, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { AnchorError, isAnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { type Hex, toHex, utf8 } from "../field/bytes.js";
import { decodeScalars } from "../field/poseidon.js";
import { bigIntToBytes, isScalar } from "../field/scalar.js";
import { ensureDirectory, identityOf, syncFolder, writeDurably, writeWhole } from "../files.js";
import { tryLock } from "../lock.js";
import { printable } from "../text.js";
import { SCALAR_BYTES } from "./chains.js";
import {
  type BatchSize,
  type CommitState,
  Committer,
  checkRange,
  hashChunks,
  MAX_RECORDS,
  openingOf,
} from "./commit.js";
import type { DatasetCommitment, OpenDataset } from "./dataset.js";
import { describeRecords, ROW_BYTES, readRow } from "./describe.js";
import {
  AT,
  CHUNK_RECORDS,
  checkSeed,
  chunkCount,
  DEPTHS,
  hashRoot,
  type RootOpening,
  SEED_BYTES,
  type Totals,
  treeDepth,
} from "./layout.js";
import {
  type Column,
  checkColumns,
  contentElements,
  type DatasetRecord,
  decodeRecord,
  encodeRecord,
  schemaDigest,
} from "./record.js";

export const DATASET_FILES = {
  commitment: "commitment.json",
  data: "data.bin",
  index: "index.bin",
  records: "records.bin",
  chunks: "chunks.bin",
  seed: "seed.hex",
  files: "files.json",
  sha256: "sha256.txt",
  previous: "previous.json",
} as const;

const JOURNAL = "journal.txt";
const FORMAT = "anchorproof/dataset@2";
const FILES_FORMAT = "anchorproof/dataset-files@1";
const PREVIOUS_FORMAT = "anchorproof/dataset-previous@1";

const INDEX_BYTES = 8;
const MAX_JSON = 64 * 1024 * 1024;
/** Bytes that are read, copied or written at once. */
const PIECE = 2 ** 20;
/** At least so long between two lines of the journal: each waits for the disk. */
const JOURNAL_MS = 1000;
const PRIVATE = 0o600;

/** What `commitment.json` holds. */
export type PublishedCommitment = Omit<DatasetCommitment, "sha256">;

/** A file that records came from. */
export interface SourceFile {
  /** As `sha256sum` is to be told: relative to the folder, with `/`. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: Hex;
}

/** Where records come from. Reading again gives the same records as long as the files are the same. */
export interface RecordSource {
  readonly columns: readonly Column[];
  readonly files: readonly { readonly path: string; readonly name: string }[];
  /** How the files are read, in one spelling: two sources with the same files and options give the same records. */
  readonly options: string;
  records(options: { signal?: AbortSignal | undefined }): AsyncIterable<DatasetRecord>;
}

export interface DirectoryProgress {
  /** `hash`: SHA-256 of the files; `compare`: what an interrupted commit left; `commit`; `verify`. */
  readonly phase: "hash" | "compare" | "commit" | "verify";
  readonly records: number;
  /** Of the files while they are hashed, of data otherwise. */
  readonly bytes: number;
  /** Of all files, or of all data. */
  readonly totalBytes: number;
}

export interface DirectoryOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DirectoryProgress) => void) | undefined;
}

export interface CommitToDirectoryOptions extends DirectoryOptions {
  /** Drawn unless told. */
  readonly seed?: Uint8Array | undefined;
  /** The root then depends on the data alone, and guessable data can be guessed. */
  readonly noBlind?: boolean | undefined;
  /** Replaces `out` when it is a dataset directory. Its seed is lost, and with it every later proof. */
  readonly force?: boolean | undefined;
  readonly batch?: Partial<BatchSize> | undefined;
  /** Least milliseconds between two lines of the journal [1000]. */
  readonly journalMs?: number | undefined;
}

export interface CommittedDirectory {
  readonly path: string;
  readonly commitment: DatasetCommitment;
  readonly files: readonly SourceFile[];
  /** Records that an interrupted commit had left. */
  readonly resumed: number;
}

/** {@link OpenDataset} on disk. `chunkRoots` are read when they are first asked for. */
export interface DatasetDirectory extends OpenDataset {
  readonly path: string;
  readonly files: readonly SourceFile[];
  /** Of the datasets that this one extends, oldest first. */
  readonly previous: readonly RootOpening[];
}

/**
 * Commits to the records of a source, in a new directory.
 *
 * @throws AnchorError INPUT_INVALID for a target that cannot be had, or a file that changes meanwhile; DATASET_EMPTY,
 *   INPUT_TOO_LARGE, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED; what the source throws
 */
export function commitToDirectory(
  source: RecordSource,
  out: string,
  options: CommitToDirectoryOptions = {},
): Promise<CommittedDirectory> {
  return makeDirectory(source, out, options);
}

/**
 * A new directory with the records of another one, and those of a source after them. The old records keep their blinding
 * values, so that it can be proven that the new root extends the old one.
 *
 * The old directory's files are copied as they are; {@link verifyDirectory} tells whether they are whole.
 *
 * @throws AnchorError INPUT_INVALID where the columns differ; what {@link commitToDirectory} and
 *   {@link openDatasetDirectory} throw
 */
export async function extendDirectory(
  directory: string,
  source: RecordSource,
  out: string,
  options: Omit<CommitToDirectoryOptions, "seed" | "noBlind"> = {},
): Promise<CommittedDirectory> {
  if (resolve(directory) === resolve(out)) {
    throw new AnchorError("INPUT_INVALID", "an extended dataset goes into a new directory");
  }
  const old = await openDatasetDirectory(directory);
  try {
    if (schemaDigest(old.commitment.columns) !== schemaDigest(source.columns)) {
      const names = (columns: readonly Column[]) => columns.map(({ name, type }) => `${name} (${type})`).join(", ");
      throw new AnchorError(
        "INPUT_INVALID",
        `the columns are others: ${names(source.columns) || "none"} instead of ${names(old.commitment.columns) || "none"}`,
      );
    }
    return await makeDirectory(source, out, { ...options, seed: old.seed, noBlind: old.seed === undefined }, old);
  } finally {
    old.close();
  }
}

async function makeDirectory(
  source: RecordSource,
  out: string,
  options: CommitToDirectoryOptions,
  old?: DatasetDirectory,
): Promise<CommittedDirectory> {
  const { seed, noBlind = false, force = false, signal, onProgress } = options;
  checkSeed(seed);
  checkColumns(source.columns);
  if (noBlind && seed) throw new AnchorError("INPUT_INVALID", "a seed is for blinding: leave it out, or noBlind");
  const target = resolve(out);
  await checkTarget(target, force);
  try {
    await ensureDirectory(dirname(target));
    const lock = await tryLock(`${target}.lock`);
    if (!lock) throw new AnchorError("INPUT_INVALID", `another process is committing to ${out}`);
    try {
      const read = await hashFiles(source.files, signal, onProgress);
      const files = [...(old?.files ?? []), ...read.files];
      const work = { source, files, old, options, target };
      let made: Made | undefined;
      try {
        made = await fillPart(work, false);
      } catch (error) {
        if (!(error instanceof LeftoverDiffers)) throw error;
        made = await fillPart(work, true);
      }
      await read.check();
      await finishPart(work, made);
      const { commitment, resumed } = made;
      return { path: target, commitment, files, resumed };
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${out}`);
  }
}

/** A seed that is overwritten is gone: only a dataset directory is replaced, and only on request. */
export async function checkTarget(out: string, force: boolean): Promise<void> {
  const present = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${out}`);
  });
  if (present.length === 0) return;
  if (!present.includes(DATASET_FILES.commitment)) {
    throw new AnchorError("INPUT_INVALID", `${out} holds other files: name another --out`);
  }
  if (!force) {
    throw new AnchorError(
      "INPUT_INVALID",
      `${out} holds a commitment already, and perhaps its only seed: name another --out, or --force`,
    );
  }
}

/** SHA-256 of files, and a check to be made later that they are still the same. */
async function hashFiles(
  files: RecordSource["files"],
  signal: AbortSignal | undefined,
  onProgress: DirectoryOptions["onProgress"],
): Promise<{ files: SourceFile[]; check(): Promise<void> }> {
  const identity = async (path: string) => {
    const found = await stat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
      const missing = error.code === "ENOENT";
      if (missing) throw new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file`, { cause: error });
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
    });
    return { id: identityOf(found), bytes: Number(found.size) };
  };
  const before = await Promise.all(files.map(({ path }) => identity(path)));
  const totalBytes = before.reduce((sum, { bytes }) => sum + bytes, 0);
  const hashed: SourceFile[] = [];
  const piece = new Uint8Array(PIECE);
  let bytes = 0;
  for (const { path, name } of files) {
    const hash = createHash("sha256");
    let size = 0;
    try {
      const file = await open(path, "r");
      try {
        for (;;) {
          throwIfAborted(signal);
          const { bytesRead } = await file.read(piece, 0, PIECE, size);
          if (bytesRead === 0) break;
          hash.update(piece.subarray(0, bytesRead));
          size += bytesRead;
          bytes += bytesRead;
          onProgress?.({ phase: "hash", records: 0, bytes, totalBytes });
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
    }
    hashed.push({ name, bytes: size, sha256: toHex(hash.digest()) });
  }
  return {
    files: hashed,
    async check() {
      for (const [i, { path }] of files.entries()) {
        if ((await identity(path)).id !== before[i]!.id) {
          throw new AnchorError("INPUT_INVALID", `${path} changed while it was committed to: commit again`);
        }
      }
    },
  };
}

/** What LazAI's DataRegistry takes; see `sha256.txt` above. */
export function sha256OfFiles(files: readonly Pick<SourceFile, "name" | "sha256">[]): Hex {
  if (files.length === 1) return files[0]!.sha256;
  const lines = files.map(({ name, sha256 }) => {
    // As coreutils write a name that would break the line.
    const escaped = name.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
    return `${escaped === name ? "" : "\\"}${sha256.slice(2)}  ${escaped}\n`;
  });
  return toHex(createHash("sha256").update(lines.join("")).digest());
}

// The part directory and its journal.

/** How far everything is on the disk. */
interface Mark {
  readonly totals: Totals;
  /** Of data. */
  readonly bytes: number;
  /** Size of `data.bin`. */
  readonly end: number;
  readonly chunks: number;
}

const START: Mark = { totals: { records: 0, blocks: 0, values: 0 }, bytes: 0, end: 0, chunks: 0 };

interface Work {
  readonly source: RecordSource;
  /** Of the old directory, and of the source. */
  readonly files: readonly SourceFile[];
  readonly old: DatasetDirectory | undefined;
  readonly options: CommitToDirectoryOptions;
  readonly target: string;
}

interface Made {
  readonly commitment: DatasetCommitment;
  readonly seed: Uint8Array | undefined;
  readonly resumed: number;
}

/** What is left of an interrupted commit is not what the source gives: it is begun anew. */
class LeftoverDiffers extends Error {}

/** The files of bulk, which grow together. */
class Bulk {
  readonly data: FileHandle;
  readonly index: FileHandle;
  readonly records: FileHandle;
  readonly chunks: FileHandle;

  private constructor([data, index, records, chunks]: FileHandle[]) {
    this.data = data!;
    this.index = index!;
    this.records = records!;
    this.chunks = chunks!;
  }

  static async open(folder: string, create: boolean): Promise<Bulk> {
    const handles: FileHandle[] = [];
    try {
      for (const name of ["data", "index", "records", "chunks"] as const) {
        handles.push(await open(join(folder, DATASET_FILES[name]), create ? "wx+" : "r+", PRIVATE));
      }
    } catch (error) {
      await Promise.all(handles.map((handle) => handle.close()));
      throw error;
    }
    return new Bulk(handles);
  }

  get #all(): FileHandle[] {
    return [this.data, this.index, this.records, this.chunks];
  }

  async truncate({ totals, end, chunks }: Mark): Promise<void> {
    await this.data.truncate(end);
    await this.index.truncate(totals.records * INDEX_BYTES);
    await this.records.truncate(totals.records * ROW_BYTES);
    await this.chunks.truncate(chunks * SCALAR_BYTES);
  }

  async sync(): Promise<void> {
    for (const handle of this.#all) await handle.datasync();
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((handle) => handle.close()));
  }

  /** SHA-256 of what is between two marks, but for the data, which is compared with the source. */
  async digest(from: Mark, to: Mark, signal: AbortSignal | undefined): Promise<string> {
    const hash = createHash("sha256");
    const add = async (handle: FileHandle, start: number, end: number) => {
      for await (const piece of pieces(handle, start, end, signal)) hash.update(piece);
    };
    await add(this.index, from.totals.records * INDEX_BYTES, to.totals.records * INDEX_BYTES);
    await add(this.records, from.totals.records * ROW_BYTES, to.totals.records * ROW_BYTES);
    await add(this.chunks, from.chunks * SCALAR_BYTES, to.chunks * SCALAR_BYTES);
    return hash.digest("hex");
  }
}

/** Fills the part directory, from its journal's last line on. */
async function fillPart(work: Work, anew: boolean): Promise<Made> {
  const { source, files, old, options, target } = work;
  const { signal, onProgress, batch, journalMs = JOURNAL_MS } = options;
  const folder = `${target}.part`;
  const header = headerOf(work);
  const left = anew ? undefined : await leftover(folder, header, options.seed);
  const seed = left
    ? left.seed
    : options.noBlind
      ? undefined
      : (options.seed ?? new Uint8Array(randomBytes(SEED_BYTES)));
  if (!left) await beginPart(folder, header, seed);
  const bulk = await Bulk.open(folder, !left);
  const journal = await open(join(folder, JOURNAL), "a", PRIVATE);
  try {
    let mark = START;
    for (const line of left?.lines ?? []) {
      if ((await bulk.digest(mark, line.mark, signal)) !== line.digest) break;
      mark = line.mark;
    }
    await bulk.truncate(mark);
    const write = async (next: Mark) => {
      await bulk.sync();
      await journal.appendFile(journalLine({ mark: next, digest: await bulk.digest(mark, next, signal) }));
      await journal.datasync();
      mark = next;
    };
    if (left) {
      // Lines that no longer hold must not be read another time.
      const held = left.lines.filter((line) => line.mark.totals.records <= mark.totals.records);
      await journal.truncate(0);
      await journal.appendFile([header, ...held.map(journalLine)].join(""));
      await journal.datasync();
    }
    if (old && mark.totals.records < old.commitment.opening.totals.records) {
      await bulk.truncate(START);
      mark = START;
      await write(await copyOld(old, folder, bulk, signal));
    }
    const resumed = mark.totals.records - (old?.commitment.opening.totals.records ?? 0);

    const totalBytes = source.files.length === 0 ? 0 : sumOfBytes(files.slice(-source.files.length));
    const before = old?.commitment.bytes ?? 0;
    const report = (phase: "compare" | "commit", records: number, bytes: number) =>
      onProgress?.({ phase, records, bytes: bytes - before, totalBytes });
    const records = source.records({ signal })[Symbol.asyncIterator]();
    try {
      const last = await compare(
        bulk,
        mark,
        resumed,
        records,
        (n, bytes) => report("compare", n, bytes + before),
        signal,
      );
      let { end, chunks } = mark;
      let written = performance.now();
      const pending = mark.totals.records - mark.chunks * CHUNK_RECORDS;
      const state: CommitState = {
        totals: mark.totals,
        bytes: mark.bytes,
        chunks,
        rows: await readPiece(bulk.records, mark.chunks * CHUNK_RECORDS * ROW_BYTES, pending * ROW_BYTES),
        last,
      };
      const committer: Committer = new Committer(
        { columns: source.columns, seed, signal, batch },
        {
          async records(group, rows) {
            const first = committer.totals.records - group.length;
            end = await append(bulk, group, rows, first, end);
            report("commit", committer.totals.records, committer.bytes);
            if (performance.now() - written < journalMs) return;
            await write({ totals: committer.totals, bytes: committer.bytes, end, chunks });
            written = performance.now();
          },
          async roots(roots) {
            await writeAt(bulk.chunks, roots, chunks * SCALAR_BYTES);
            chunks += roots.length / SCALAR_BYTES;
          },
        },
        state,
      );
      for (let next = await records.next(); !next.done; next = await records.next()) await committer.push(next.value);
      if (committer.totals.records === 0) throwIfAborted(signal);
      const { totals, bytes, schema } = await committer.finish();
      await bulk.sync();
      const opening = await openingOf(totals, schema, (first, count) =>
        readPiece(bulk.chunks, first * SCALAR_BYTES, count * SCALAR_BYTES),
      );
      const commitment: DatasetCommitment = {
        root: hashRoot(opening),
        opening,
        columns: source.columns.map((column) => ({ ...column })),
        bytes,
        sha256: sha256OfFiles(files),
        blinded: seed !== undefined,
      };
      return { commitment, seed, resumed };
    } finally {
      await records.return?.();
    }
  } finally {
    await journal.close();
    await bulk.close();
  }
}

function sumOfBytes(files: readonly SourceFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Writes records and their rows. @returns where `data.bin` ends now */
async function append(
  bulk: Bulk,
  group: readonly DatasetRecord[],
  rows: Uint8Array,
  first: number,
  from: number,
): Promise<number> {
  const ends = new BigUint64Array(group.length);
  let [at, end] = [from, from];
  let waiting: Uint8Array[] = [];
  const flush = async () => {
    await writeAt(bulk.data, waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting), at);
    at = end;
    waiting = [];
  };
  for (const [i, record] of group.entries()) {
    const bytes = encodeRecord(record);
    waiting.push(bytes);
    end += bytes.length;
    ends[i] = BigInt(end);
    if (end - at >= PIECE) await flush();
  }
  await flush();
  await writeAt(bulk.index, littleEndian(ends), first * INDEX_BYTES);
  await writeAt(bulk.records, rows, first * ROW_BYTES);
  return end;
}

function littleEndian(values: BigUint64Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setBigUint64(8 * i, values[i]!, true);
  return bytes;
}

/**
 * Takes from the source what an interrupted commit has already, and compares.
 *
 * @returns the last record of them
 */
async function compare(
  bulk: Bulk,
  mark: Mark,
  count: number,
  records: AsyncIterator<DatasetRecord>,
  report: (records: number, bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<DatasetRecord | undefined> {
  let last: DatasetRecord | undefined;
  const first = mark.totals.records - count;
  const start = first === 0 ? 0 : await endOf(bulk, first - 1);
  const stream = new Sequence(bulk.data, start, mark.end, signal);
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    const next = await records.next();
    if (next.done) throw new LeftoverDiffers();
    last = next.value;
    const encoded = encodeRecord(last);
    if (!(await stream.startsWith(encoded))) throw new LeftoverDiffers();
    bytes += last.data.length;
    if (i % 64 === 63) {
      throwIfAborted(signal);
      report(i + 1, bytes);
      await new Promise(setImmediate);
    }
  }
  if (stream.left !== 0) throw new LeftoverDiffers();
  return last;
}

async function endOf(bulk: Bulk, record: number): Promise<number> {
  const bytes = await readPiece(bulk.index, record * INDEX_BYTES, INDEX_BYTES);
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
}

/** A file read from front to back. */
class Sequence {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();
  left: number;

  constructor(handle: FileHandle, from: number, to: number, signal: AbortSignal | undefined) {
    this.#pieces = pieces(handle, from, to, signal)[Symbol.asyncIterator]();
    this.left = to - from;
  }

  /** The next `count` bytes, or fewer where the file ends. They hold until the next call. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let wanted = Math.min(count, this.left);
    while (wanted > 0) {
      if (this.#piece.length === 0) {
        const next = await this.#pieces.next();
        if (next.done) break;
        this.#piece = next.value;
      }
      const part = this.#piece.subarray(0, wanted);
      // The buffer of a piece is used again.
      parts.push(part.length === wanted && parts.length === 0 ? part : Uint8Array.from(part));
      this.#piece = this.#piece.subarray(part.length);
      wanted -= part.length;
      this.left -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async startsWith(bytes: Uint8Array): Promise<boolean> {
    const there = await this.take(bytes.length);
    return Buffer.compare(there, bytes) === 0;
  }
}

/** The old directory's records. @throws DATASET_MISMATCH when the records after its last full chunk are not its own */
async function copyOld(
  old: DatasetDirectory,
  folder: string,
  bulk: Bulk,
  signal: AbortSignal | undefined,
): Promise<Mark> {
  for (const name of ["data", "index", "records", "chunks"] as const) {
    throwIfAborted(signal);
    // Into the file that is open already, so that its handle stays good.
    await copyFile(join(old.path, DATASET_FILES[name]), join(folder, DATASET_FILES[name]));
  }
  const { opening, bytes } = old.commitment;
  const { records } = opening.totals;
  const chunks = Math.floor(records / CHUNK_RECORDS);
  const tail = records - chunks * CHUNK_RECORDS;
  if (tail > 0) {
    const rows = await readPiece(bulk.records, chunks * CHUNK_RECORDS * ROW_BYTES, tail * ROW_BYTES);
    const root = await hashChunks(rows, chunks, old.seed, signal);
    if (Buffer.compare(root, await readPiece(bulk.chunks, chunks * SCALAR_BYTES, SCALAR_BYTES)) !== 0) {
      throw mismatch(old.path, DATASET_FILES.records, "its last records are not those of the root");
    }
  }
  const mark = { totals: opening.totals, bytes, end: await endOf(bulk, records - 1), chunks };
  await bulk.truncate(mark);
  return mark;
}

/** What a commit is of, as the journal's first line says it. */
function headerOf({ source, files, old, options }: Work): string {
  const { columns, options: reading } = source;
  const previous = old ? toHex(bigIntToBytes(old.commitment.root, 32)) : null;
  const text = JSON.stringify({ format: FORMAT, reading, columns, files, previous, blinded: !options.noBlind });
  return sealed(text);
}

/** A line that tells whether it was written whole. */
function sealed(text: string): string {
  return `${createHash("sha256").update(text).digest("hex").slice(0, 16)} ${text}\n`;
}

function unsealed(line: string): string | undefined {
  const text = line.slice(17);
  return sealed(text) === `${line}\n` ? text : undefined;
}

interface JournalLine {
  readonly mark: Mark;
  readonly digest: string;
}

function journalLine({ mark, digest }: JournalLine): string {
  return sealed(JSON.stringify({ ...mark, digest }));
}

/** What an interrupted commit of the same thing left. */
async function leftover(
  folder: string,
  header: string,
  wantedSeed: Uint8Array | undefined,
): Promise<{ lines: JournalLine[]; seed: Uint8Array | undefined } | undefined> {
  const text = await readFile(join(folder, JOURNAL), "utf8").catch(() => undefined);
  if (text === undefined || !text.startsWith(header)) return undefined;
  const lines: JournalLine[] = [];
  for (const line of text.slice(header.length).split("\n").slice(0, -1)) {
    const content = unsealed(line);
    if (content === undefined) break;
    const { digest, ...mark } = JSON.parse(content) as Mark & { digest: string };
    lines.push({ mark, digest });
  }
  const blinded = (JSON.parse(unsealed(header.slice(0, -1))!) as { blinded: boolean }).blinded;
  try {
    const seed = blinded ? parseSeedFile(await readFile(join(folder, DATASET_FILES.seed), "utf8")) : undefined;
    if (wantedSeed && !(seed && timingSafeEqual(seed, wantedSeed))) return undefined;
    for (const name of ["data", "index", "records", "chunks"] as const) await stat(join(folder, DATASET_FILES[name]));
    return { lines, seed };
  } catch {
    return undefined; // killed before it had begun
  }
}

/** An empty part directory, with its seed and the journal's header. */
async function beginPart(folder: string, header: string, seed: Uint8Array | undefined): Promise<void> {
  const present = await readdir(folder).catch(() => []);
  if (present.length > 0 && !present.includes(JOURNAL)) {
    throw new AnchorError("INPUT_INVALID", `${folder} is in the way, and not from an interrupted commit: move it away`);
  }
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  // First of all: who is killed after it leaves a directory that is known as ours.
  await writeDurably(join(folder, JOURNAL), header, PRIVATE);
  if (seed) await writeDurably(join(folder, DATASET_FILES.seed), seedFile(seed), PRIVATE);
}

/** Writes the small files, and gives the directory its name. */
async function finishPart({ files, old, options, target }: Work, { commitment }: Made): Promise<void> {
  const folder = `${target}.part`;
  const put = async (name: string, content: string, mode = PRIVATE) => {
    await rm(join(folder, name), { force: true }); // of a commit that was killed just here
    await writeDurably(join(folder, name), content, mode);
  };
  await put(DATASET_FILES.files, filesToText(files));
  await put(DATASET_FILES.sha256, `${commitment.sha256}\n`);
  if (old) await put(DATASET_FILES.previous, previousToText([...old.previous, old.commitment.opening]));
  await put(DATASET_FILES.commitment, `${JSON.stringify(commitmentToJson(commitment), null, 2)}\n`, 0o644);
  await rm(join(folder, JOURNAL));
  await syncFolder(folder);
  const aside = `${target}.${randomBytes(6).toString("hex")}.old`;
  if (options.force && (await readdir(target).catch(() => [])).length > 0) await rename(target, aside);
  await rename(folder, target);
  await syncFolder(dirname(target));
  await rm(aside, { recursive: true, force: true });
}

// Reading.

/**
 * Opens a directory. Reading from it is by position, whatever its size.
 *
 * @param options.withoutSeed take a blinded dataset whose seed is not there, from which nothing can be proven
 * @throws AnchorError FILE_NOT_FOUND, FILE_UNREADABLE, FORMAT_UNSUPPORTED, DATASET_MALFORMED; DATASET_MISMATCH when sizes do
 *   not fit, the root does not follow from `chunks.bin`, or the seed is not this dataset's
 */
export async function openDatasetDirectory(
  path: string,
  { withoutSeed = false }: { withoutSeed?: boolean } = {},
): Promise<DatasetDirectory> {
  const at = resolve(path);
  const published = await readCommitment(at);
  const files = filesFromText(await readText(at, DATASET_FILES.files), join(at, DATASET_FILES.files));
  const previousText = await readText(at, DATASET_FILES.previous).catch((error: unknown) => {
    if (isAnchorError(error, "FILE_NOT_FOUND")) return undefined;
    throw error;
  });
  const previous = previousText === undefined ? [] : previousFromText(previousText, join(at, DATASET_FILES.previous));
  const sha256 = (await readText(at, DATASET_FILES.sha256)).trimEnd() as Hex;
  if (sha256 !== sha256OfFiles(files)) {
    throw mismatch(at, DATASET_FILES.sha256, `it is not the SHA-256 that ${DATASET_FILES.files} gives`);
  }
  const commitment: DatasetCommitment = { ...published, sha256 };
  const { totals } = commitment.opening;
  const fds = new Fds(at);
  try {
    const chunks = chunkCount(totals.records);
    fds.expectSize("records", totals.records * ROW_BYTES);
    fds.expectSize("index", totals.records * INDEX_BYTES);
    fds.expectSize("chunks", chunks * SCALAR_BYTES);
    fds.expectSize("data", fds.end(totals.records - 1));
    const readRoots = (first: number, count: number) => fds.read("chunks", first * SCALAR_BYTES, count * SCALAR_BYTES);
    const { top } = await openingOf(totals, 0n, async (first, count) => checkScalars(readRoots(first, count), at));
    if (top !== commitment.opening.top) {
      throw mismatch(at, DATASET_FILES.chunks, `the root of ${DATASET_FILES.commitment} is not that of these chunks`);
    }
    let seed: Uint8Array | undefined;
    if (commitment.blinded) {
      const text = await readText(at, DATASET_FILES.seed).catch((error: unknown) => {
        if (!isAnchorError(error, "FILE_NOT_FOUND")) throw error;
        if (withoutSeed) return undefined;
        const advice = `restore it with "anchorproof dataset seed restore ${path} --from FILE"`;
        throw new AnchorError("FILE_NOT_FOUND", `${join(path, DATASET_FILES.seed)} is missing: ${advice}`);
      });
      seed = text === undefined ? undefined : parseSeedFile(text);
    }
    if (seed || !commitment.blinded) await checkFirstChunk(fds, totals.records, seed);
    return new OpenDirectory(at, commitment, files, previous, seed, fds);
  } catch (error) {
    fds.close();
    throw error;
  }
}

/** What `dataset commit` published. @throws as {@link openDatasetDirectory} */
export async function readCommitment(directory: string): Promise<PublishedCommitment> {
  const path = join(directory, DATASET_FILES.commitment);
  return commitmentFromJson(parseJson(await readText(directory, DATASET_FILES.commitment), path), path);
}

async function checkFirstChunk(fds: Fds, records: number, seed: Uint8Array | undefined): Promise<void> {
  const rows = fds.read("records", 0, Math.min(CHUNK_RECORDS, records) * ROW_BYTES);
  const root = await hashRows(rows, 0, seed);
  if (root && Buffer.compare(root, fds.read("chunks", 0, SCALAR_BYTES)) === 0) return;
  const suspect = seed ? `${DATASET_FILES.seed} or ${DATASET_FILES.records}` : DATASET_FILES.records;
  throw mismatch(fds.path, suspect, "the first records and the seed do not give the first chunk's root");
}

/** {@link hashChunks}, or nothing for rows that hold other things than scalars. */
async function hashRows(
  rows: Uint8Array,
  first: number,
  seed: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  return decodeScalars(rows).every(isScalar) ? hashChunks(rows, first, seed) : undefined;
}

function checkScalars(bytes: Uint8Array, path: string): Uint8Array {
  if (decodeScalars(bytes).every(isScalar)) return bytes;
  throw mismatch(path, DATASET_FILES.chunks, "it holds a value that is no scalar");
}

function mismatch(path: string, file: string, reason: string, details: Record<string, unknown> = {}): AnchorError {
  const message = `${join(path, file)} is damaged: ${reason}`;
  return new AnchorError("DATASET_MISMATCH", message, { details: { file, ...details } });
}

const BULK = ["data", "index", "records", "chunks"] as const;
type BulkName = (typeof BULK)[number];

/** The files of bulk of a directory, open for reading by position. */
class Fds {
  readonly path: string;
  readonly #fds = new Map<BulkName, number>();

  constructor(path: string) {
    this.path = path;
    try {
      for (const name of BULK) this.#fds.set(name, openSync(join(path, DATASET_FILES[name]), "r"));
    } catch (error) {
      this.close();
      throw unreadable(error, path);
    }
  }

  size(name: BulkName): number {
    return fstatSync(this.#fd(name)).size;
  }

  /** @throws DATASET_MISMATCH */
  expectSize(name: BulkName, size: number): void {
    const found = this.size(name);
    if (found !== size) throw mismatch(this.path, DATASET_FILES[name], `it has ${found} bytes, not ${size}`);
  }

  /** @throws FILE_UNREADABLE, DATASET_MISMATCH where the file ends before */
  read(name: BulkName, at: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    try {
      while (done < length) {
        const count = readSync(this.#fd(name), bytes, done, length - done, at + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw unreadable(error, join(this.path, DATASET_FILES[name]));
    }
    if (done < length) throw mismatch(this.path, DATASET_FILES[name], "it ends too soon");
    return bytes;
  }

  /** Where a record ends in `data.bin`. */
  end(record: number): number {
    const bytes = this.read("index", record * INDEX_BYTES, INDEX_BYTES);
    return Number(new DataView(bytes.buffer).getBigUint64(0, true));
  }

  close(): void {
    for (const fd of this.#fds.values()) closeSync(fd);
    this.#fds.clear();
  }

  #fd(name: BulkName): number {
    const fd = this.#fds.get(name);
    if (fd === undefined) throw new AnchorError("INPUT_INVALID", "the dataset has been closed");
    return fd;
  }
}

class OpenDirectory implements DatasetDirectory {
  readonly path: string;
  readonly commitment: DatasetCommitment;
  readonly files: readonly SourceFile[];
  readonly previous: readonly RootOpening[];
  readonly seed: Uint8Array | undefined;
  readonly #fds: Fds;
  #roots: bigint[] | undefined;

  constructor(
    path: string,
    commitment: DatasetCommitment,
    files: readonly SourceFile[],
    previous: readonly RootOpening[],
    seed: Uint8Array | undefined,
    fds: Fds,
  ) {
    this.path = path;
    this.commitment = commitment;
    this.files = files;
    this.previous = previous;
    this.seed = seed;
    this.#fds = fds;
  }

  get chunkRoots(): readonly bigint[] {
    this.#roots ??= decodeScalars(this.#fds.read("chunks", 0, chunkCount(this.#records) * SCALAR_BYTES));
    return this.#roots;
  }

  descriptions(first: number, count: number) {
    checkRange(first, count, this.#records);
    const rows = this.#fds.read("records", first * ROW_BYTES, count * ROW_BYTES);
    return Array.from({ length: count }, (_, i) => readRow(rows, i));
  }

  record(index: number): DatasetRecord {
    checkRange(index, 1, this.#records);
    const from = index === 0 ? 0 : this.#fds.end(index - 1);
    const to = this.#fds.end(index);
    if (!(from < to && to <= this.#fds.size("data"))) {
      throw mismatch(this.path, DATASET_FILES.index, `record ${index} has no bytes`, { record: index });
    }
    return decodeOwn(this.path, this.#fds.read("data", from, to - from), index);
  }

  content(index: number): bigint[] {
    return contentElements(this.record(index));
  }

  close(): void {
    this.#fds.close();
  }

  get #records(): number {
    return this.commitment.opening.totals.records;
  }
}

function decodeOwn(path: string, bytes: Uint8Array, index: number): DatasetRecord {
  try {
    return decodeRecord(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw mismatch(path, DATASET_FILES.data, `record ${index}: ${reason}`, { record: index });
  }
}

/**
 * Works out everything again from `data.bin` and the seed.
 *
 * @throws AnchorError DATASET_MISMATCH with the file that is damaged, and the first record that differs, in `details`; what
 *   {@link openDatasetDirectory} throws; ABORTED
 */
export async function verifyDirectory(path: string, { signal, onProgress }: DirectoryOptions = {}): Promise<void> {
  const dataset = await openDatasetDirectory(path);
  const { commitment, seed, previous } = dataset;
  const { totals } = commitment.opening;
  const at = dataset.path;
  let fds: Fds | undefined;
  try {
    fds = new Fds(at);
    const own = fds;
    let first = 0;
    let from = 0;
    let chunks = 0;
    const size = own.size("data");
    /** The first record whose row is another, once it is known which file says so. */
    const differs = async (index: number, rows: Uint8Array) => {
      const chunk = Math.floor(index / CHUNK_RECORDS);
      const begin = chunk * CHUNK_RECORDS;
      const count = Math.min(CHUNK_RECORDS, totals.records - begin);
      const stored = await hashRows(own.read("records", begin * ROW_BYTES, count * ROW_BYTES), chunk, seed);
      const right = stored && Buffer.compare(stored, own.read("chunks", chunk * SCALAR_BYTES, SCALAR_BYTES)) === 0;
      const field = FIELD_OF(rows, own.read("records", index * ROW_BYTES, ROW_BYTES));
      return right
        ? mismatch(at, DATASET_FILES.data, `record ${index} is not the one that was committed to (${field})`, {
            record: index,
          })
        : mismatch(at, DATASET_FILES.records, `the description of record ${index} is another (${field})`, {
            record: index,
          });
    };
    const committer: Committer = new Committer(
      { columns: commitment.columns, seed, signal },
      {
        async records(group, rows) {
          const stored = own.read("records", first * ROW_BYTES, rows.length);
          for (let i = 0; i < group.length; i++) {
            const row = rows.subarray(i * ROW_BYTES, (i + 1) * ROW_BYTES);
            if (Buffer.compare(row, stored.subarray(i * ROW_BYTES, (i + 1) * ROW_BYTES)) !== 0) {
              throw await differs(first + i, row);
            }
          }
          first += group.length;
          onProgress?.({ phase: "verify", records: first, bytes: committer.bytes, totalBytes: commitment.bytes });
        },
        roots(roots) {
          const stored = own.read("chunks", chunks * SCALAR_BYTES, roots.length);
          for (let i = 0; i < roots.length; i += SCALAR_BYTES, chunks++) {
            if (Buffer.compare(roots.subarray(i, i + SCALAR_BYTES), stored.subarray(i, i + SCALAR_BYTES)) === 0)
              continue;
            // The chunks give the published root, and the records their descriptions: what is between them is the seed.
            throw mismatch(at, seed ? DATASET_FILES.seed : DATASET_FILES.chunks, `chunk ${chunks} has another root`);
          }
        },
      },
    );
    for (let index = 0; index < totals.records; index++) {
      const to = own.end(index);
      if (!(from < to && to <= size)) {
        throw mismatch(at, DATASET_FILES.index, `record ${index} has no bytes`, { record: index });
      }
      let record: DatasetRecord;
      try {
        record = decodeOwn(at, own.read("data", from, to - from), index);
      } catch (error) {
        throw (await isIndexDamaged(own, index, from, to)) ?? error;
      }
      await committer.push(record).catch((error: unknown) => {
        if (isAnchorError(error, "INPUT_INVALID")) {
          throw mismatch(at, DATASET_FILES.data, error.message, error.details);
        }
        throw error;
      });
      from = to;
    }
    const { bytes, totals: found } = await committer.finish();
    if (bytes !== commitment.bytes) {
      throw mismatch(at, DATASET_FILES.commitment, `the records have ${bytes} bytes of data, not ${commitment.bytes}`);
    }
    for (const name of ["records", "blocks", "values"] as const) {
      if (found[name] === totals[name]) continue;
      throw mismatch(at, DATASET_FILES.commitment, `the dataset has ${found[name]} ${name}, not ${totals[name]}`);
    }
    for (const opening of previous) await checkPrevious(own, opening, commitment, seed);
  } finally {
    fds?.close();
    dataset.close();
  }
}
