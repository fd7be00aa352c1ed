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
import { wordHex } from "../field/bytes.js";
import { decodeScalars } from "../field/poseidon.js";
import { isScalar } from "../field/scalar.js";
import { ensureDirectory, isOwn, syncFolder, writeDurably, writeWhole } from "../files.js";
import { tryLock } from "../lock.js";
import { SCALAR_BYTES } from "./chains.js";
import { type BatchSize, type CommitState, Committer, checkRange, hashChunks, openingOf } from "./commit.js";
import type { DatasetCommitment, OpenDataset } from "./dataset.js";
import { ROW_BYTES, readRow } from "./describe.js";
import {
  commitmentFromJson,
  commitmentToJson,
  DATASET_FILES,
  FORMAT,
  filesFromText,
  filesToJson,
  type PublishedCommitment,
  parseJson,
  parseSeedFile,
  plainColumns,
  pretty,
  previousFromText,
  previousToJson,
  readText,
  seedFile,
  unreadable,
} from "./directoryFiles.js";
import {
  CHUNK_RECORDS,
  checkSeed,
  chunkCount,
  FIELDS,
  hashRoot,
  type RootOpening,
  SEED_BYTES,
  type Totals,
} from "./layout.js";
import { type DatasetReader, type FileDigest, type SourcedRecord, sha256OfList } from "./readers/index.js";
import {
  type Column,
  checkColumns,
  contentElements,
  type DatasetRecord,
  decodeRecord,
  encodeRecord,
  schemaDigest,
} from "./record.js";

const JOURNAL = "journal.txt";

const INDEX_BYTES = 8;
/** Bytes that are read, copied or written at once. */
const PIECE = 2 ** 20;
/** At least so long between two lines of the journal: each waits for the disk. */
const JOURNAL_MS = 1000;
const PRIVATE = 0o600;

/** Where records come from, from the start each time: a {@link DatasetReader}. */
export type CommitSource = Pick<DatasetReader, "columns" | "bytes" | "files" | "batches" | "digests" | "sha256">;

export interface DirectoryProgress {
  /** `compare`: with what an interrupted commit left. */
  readonly phase: "compare" | "commit" | "verify";
  readonly records: number;
  /** Of data. */
  readonly bytes: number;
  /** Of the files; of the data when it is verified. */
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
  readonly files: readonly FileDigest[];
  /** Records that an interrupted commit had left. */
  readonly resumed: number;
}

/** {@link OpenDataset} on disk. `chunkRoots` are read when they are first asked for. */
export interface DatasetDirectory extends OpenDataset {
  readonly path: string;
  readonly files: readonly FileDigest[];
  /** Of the datasets that this one extends, oldest first. */
  readonly previous: readonly RootOpening[];
}

/**
 * Commits to the records of a source, in a new directory.
 *
 * @throws AnchorError INPUT_INVALID for a target that cannot be had; DATASET_EMPTY,
 *   INPUT_TOO_LARGE, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED; what the source throws
 */
export function commitToDirectory(
  source: CommitSource,
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
  source: CommitSource,
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
  source: CommitSource,
  out: string,
  options: CommitToDirectoryOptions,
  old?: DatasetDirectory,
): Promise<CommittedDirectory> {
  const { seed, noBlind = false, force = false } = options;
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
      const work = { source, old, options, target };
      const made = await fillPart(work, false).catch((error: unknown) => {
        if (!(error instanceof LeftoverDiffers)) throw error;
        return fillPart(work, true);
      });
      await finishPart(work, made);
      const { files } = made;
      const { commitment, resumed } = made;
      return { path: target, commitment, files, resumed };
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${out}`);
  }
}

/** Whether what is done so far is of use: not where the source gives what cannot be committed to. */
function isWorthKeeping(error: unknown): boolean {
  const { code } = toAnchorError(error, "FILE_UNREADABLE", "");
  return code === "ABORTED" || code === "FILE_UNREADABLE" || code === "OUT_OF_MEMORY";
}

/** A seed that is overwritten is gone: only a dataset directory is replaced, and only on request. */
export async function checkTarget(out: string, force: boolean): Promise<void> {
  const present = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
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
  readonly source: CommitSource;
  readonly old: DatasetDirectory | undefined;
  readonly options: CommitToDirectoryOptions;
  readonly target: string;
}

interface Made {
  readonly commitment: DatasetCommitment;
  /** Of the old directory, and of the source. */
  readonly files: readonly FileDigest[];
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
  const { source, old, options, target } = work;
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
  let useless = false;
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
    const inherited = old?.commitment.opening.totals.records ?? 0;
    const resumed = mark.totals.records - inherited;
    const before = old?.commitment.bytes ?? 0;
    const totalBytes = source.bytes;
    const report = (phase: "compare" | "commit", records: number, bytes: number) =>
      onProgress?.({ phase, records, bytes, totalBytes });

    const records = new Records(source);
    try {
      const last = await compare(bulk, mark, resumed, records, (n, bytes) => report("compare", n, bytes), signal);
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
            end = await append(bulk, group, rows, committer.totals.records - group.length, end);
            report("commit", committer.totals.records - inherited, committer.bytes - before);
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
      for (let next = await records.next(); next; next = await records.next()) await committer.push(next);
      const { totals, bytes, schema } = await committer.finish();
      if (totals.records === inherited) throw new AnchorError("DATASET_EMPTY", "there are no records to append");
      await bulk.sync();
      const opening = await openingOf(totals, schema, (first, count) =>
        readPiece(bulk.chunks, first * SCALAR_BYTES, count * SCALAR_BYTES),
      );
      const files = [...(old?.files ?? []), ...source.digests()];
      const commitment: DatasetCommitment = {
        root: hashRoot(opening),
        opening,
        columns: plainColumns(source.columns),
        bytes,
        sha256: old ? sha256OfList(files) : source.sha256(),
        blinded: seed !== undefined,
      };
      return { commitment, files, resumed };
    } finally {
      await records.close();
    }
  } catch (error) {
    useless = !isWorthKeeping(error);
    throw error;
  } finally {
    await journal.close();
    await bulk.close();
    if (useless) await rm(folder, { recursive: true, force: true });
  }
}

/** The records of a source one by one. */
class Records {
  readonly #batches: AsyncIterator<readonly SourcedRecord[]>;
  #batch: readonly SourcedRecord[] = [];
  #at = 0;

  constructor({ batches }: CommitSource) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  async next(): Promise<DatasetRecord | undefined> {
    while (this.#at === this.#batch.length) {
      const next = await this.#batches.next();
      if (next.done) return undefined;
      this.#batch = next.value;
      this.#at = 0;
    }
    return this.#batch[this.#at++]!.record;
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
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
    if (end - at >= PIECE || waiting.length >= 512) await flush();
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
  records: Records,
  report: (records: number, bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<DatasetRecord | undefined> {
  let last: DatasetRecord | undefined;
  const first = mark.totals.records - count;
  const start = first === 0 ? 0 : await endOf(bulk, first - 1);
  const stream = new Sequence(bulk.data, start, mark.end, signal);
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    last = await records.next();
    if (!last) throw new LeftoverDiffers();
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

/** What a commit is of, as the journal's first line says it; the records themselves are compared. */
function headerOf({ source, old, options }: Work): string {
  const columns = plainColumns(source.columns);
  const files = source.files.map(({ path, bytes }) => ({ path, bytes }));
  const previous = old ? wordHex(old.commitment.root) : null;
  return sealed(JSON.stringify({ format: FORMAT, columns, files, previous, blinded: !options.noBlind }));
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
  if (text === undefined || !text.startsWith(header) || !(await isOwn(folder))) return undefined;
  const lines: JournalLine[] = [];
  for (const line of text.slice(header.length).split("\n").slice(0, -1)) {
    const content = unsealed(line);
    if (content === undefined) break;
    const { digest, ...mark } = JSON.parse(content) as Mark & { digest: string };
    lines.push({ mark, digest });
  }
  const blinded = (JSON.parse(unsealed(header.slice(0, -1))!) as { blinded: boolean }).blinded;
  try {
    const seed = blinded ? parseSeedFile(await readFile(join(folder, DATASET_FILES.seed), "utf8"), folder) : undefined;
    if (wantedSeed && !(seed && timingSafeEqual(seed, wantedSeed))) return undefined;
    for (const name of ["data", "index", "records", "chunks"] as const) await stat(join(folder, DATASET_FILES[name]));
    return { lines, seed };
  } catch {
    return undefined; // killed before it had begun
  }
}

/** An empty part directory, with its seed and the journal's header. */
async function beginPart(folder: string, header: string, seed: Uint8Array | undefined): Promise<void> {
  const present = await readdir(folder).catch(() => [] as string[]);
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
async function finishPart({ old, options, target }: Work, { commitment, files }: Made): Promise<void> {
  const folder = `${target}.part`;
  const put = async (name: string, content: string, mode = PRIVATE) => {
    await rm(join(folder, name), { force: true }); // of a commit that was killed just here
    await writeDurably(join(folder, name), content, mode);
  };
  await put(DATASET_FILES.files, pretty(filesToJson({ files, sha256: commitment.sha256 })));
  await put(DATASET_FILES.sha256, `${commitment.sha256}\n`);
  if (old) await put(DATASET_FILES.previous, pretty(previousToJson([...old.previous, old.commitment.opening])));
  await put(DATASET_FILES.commitment, pretty(commitmentToJson(commitment)), 0o644);
  await syncFolder(folder);
  const aside = `${target}.${randomBytes(6).toString("hex")}.old`;
  if (options.force && (await readdir(target).catch(() => [])).length > 0) await rename(target, aside);
  await rename(folder, target);
  await syncFolder(dirname(target));
  // Last: who is killed before the new name leaves what the next commit knows as ours, and finishes.
  await rm(join(target, JOURNAL));
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
  const { commitment, files, previous, fds } = await openFiles(path);
  try {
    let seed: Uint8Array | undefined;
    if (commitment.blinded) {
      const text = await readText(fds.path, DATASET_FILES.seed).catch((error: unknown) => {
        if (!isAnchorError(error, "FILE_NOT_FOUND")) throw error;
        if (withoutSeed) return undefined;
        const advice = `restore it with "anchorproof dataset seed restore ${path} --from FILE"`;
        throw new AnchorError("FILE_NOT_FOUND", `${join(path, DATASET_FILES.seed)} is missing: ${advice}`);
      });
      seed = text === undefined ? undefined : parseSeedFile(text, join(fds.path, DATASET_FILES.seed));
    }
    if ((seed || !commitment.blinded) && !(await isFirstChunk(fds, commitment, seed))) {
      const suspect = seed ? `${DATASET_FILES.seed} or ${DATASET_FILES.records}` : DATASET_FILES.records;
      throw mismatch(fds.path, suspect, "the first records do not give the first chunk's root");
    }
    return new OpenDirectory(commitment, files, previous, seed, fds);
  } catch (error) {
    fds.close();
    throw error;
  }
}

interface OpenFiles {
  readonly commitment: DatasetCommitment;
  readonly files: readonly FileDigest[];
  readonly previous: readonly RootOpening[];
  readonly fds: Fds;
}

/** All but the seed. */
async function openFiles(path: string): Promise<OpenFiles> {
  const at = resolve(path);
  const published = await readCommitment(at);
  const { files, sha256 } = filesFromText(await readText(at, DATASET_FILES.files), join(at, DATASET_FILES.files));
  const previousText = await readText(at, DATASET_FILES.previous).catch((error: unknown) => {
    if (isAnchorError(error, "FILE_NOT_FOUND")) return undefined;
    throw error;
  });
  const previous = previousText === undefined ? [] : previousFromText(previousText, join(at, DATASET_FILES.previous));
  if ((await readText(at, DATASET_FILES.sha256)) !== `${sha256}\n`) {
    throw mismatch(at, DATASET_FILES.sha256, `it is not the SHA-256 of ${DATASET_FILES.files}`);
  }
  const commitment: DatasetCommitment = { ...published, sha256 };
  const { totals } = commitment.opening;
  const fds = new Fds(at);
  try {
    const chunks = chunkCount(totals.records);
    fds.expectSize("records", totals.records * ROW_BYTES);
    fds.expectSize("index", totals.records * INDEX_BYTES);
    fds.expectSize("chunks", chunks * SCALAR_BYTES);
    const [size, end] = [fds.size("data"), fds.end(totals.records - 1)];
    if (size !== end) {
      const message = `${at}: ${DATASET_FILES.data} has ${size} bytes, and ends at ${end} by ${DATASET_FILES.index}`;
      throw new AnchorError("DATASET_MISMATCH", message, { details: { file: DATASET_FILES.data } });
    }
    const read = async (first: number, count: number) => {
      const roots = fds.read("chunks", first * SCALAR_BYTES, count * SCALAR_BYTES);
      if (decodeScalars(roots).every(isScalar)) return roots;
      throw mismatch(at, DATASET_FILES.chunks, "it holds a value that is no scalar");
    };
    const { top } = await openingOf(totals, 0n, read);
    if (top !== commitment.opening.top) {
      throw mismatch(at, DATASET_FILES.chunks, `the root in ${DATASET_FILES.commitment} is not that of these chunks`);
    }
    return { commitment, files, previous, fds };
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

async function isFirstChunk(
  fds: Fds,
  { opening }: PublishedCommitment,
  seed: Uint8Array | undefined,
): Promise<boolean> {
  const rows = fds.read("records", 0, Math.min(CHUNK_RECORDS, opening.totals.records) * ROW_BYTES);
  const root = await hashRows(rows, 0, seed);
  return root !== undefined && Buffer.compare(root, fds.read("chunks", 0, SCALAR_BYTES)) === 0;
}

/** {@link hashChunks}, or nothing for rows that hold other things than scalars. */
async function hashRows(
  rows: Uint8Array,
  first: number,
  seed: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  return decodeScalars(rows).every(isScalar) ? hashChunks(rows, first, seed) : undefined;
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
    for (const name of BULK) {
      const file = join(path, DATASET_FILES[name]);
      try {
        this.#fds.set(name, openSync(file, "r"));
      } catch (error) {
        this.close();
        throw unreadable(error, file);
      }
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
  readonly files: readonly FileDigest[];
  readonly previous: readonly RootOpening[];
  readonly seed: Uint8Array | undefined;
  readonly #fds: Fds;
  #roots: bigint[] | undefined;

  constructor(
    commitment: DatasetCommitment,
    files: readonly FileDigest[],
    previous: readonly RootOpening[],
    seed: Uint8Array | undefined,
    fds: Fds,
  ) {
    this.path = fds.path;
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
      const field = fieldThatDiffers(rows, own.read("records", index * ROW_BYTES, ROW_BYTES));
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
        throw indexFault(own, index, from) ?? error;
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

/**
 * The first record that no longer decodes may be whole, and its end wrong: then the bytes at its beginning say how long it
 * is, and another end gives a record.
 */
function indexFault(fds: Fds, index: number, from: number): AnchorError | undefined {
  const size = fds.size("data");
  const length = encodedLength((at, count) => fds.read("data", Math.min(from + at, size - count), count), size - from);
  if (length === undefined || from + length === fds.end(index)) return undefined;
  try {
    decodeRecord(fds.read("data", from, length));
  } catch {
    return undefined;
  }
  const reason = `record ${index} ends at byte ${from + length} of ${DATASET_FILES.data}`;
  return mismatch(fds.path, DATASET_FILES.index, reason, { record: index });
}

/** That an old root is one of the first records, with the same blinding values. @throws DATASET_MISMATCH */
async function checkPrevious(
  fds: Fds,
  old: RootOpening,
  commitment: DatasetCommitment,
  seed: Uint8Array | undefined,
): Promise<void> {
  const { records } = old.totals;
  const wrong = (reason: string) => mismatch(fds.path, DATASET_FILES.previous, reason);
  if (records >= commitment.opening.totals.records) throw wrong("it names a dataset that is not smaller");
  const whole = Math.floor(records / CHUNK_RECORDS);
  const tail = records - whole * CHUNK_RECORDS;
  const rows = fds.read("records", whole * CHUNK_RECORDS * ROW_BYTES, tail * ROW_BYTES);
  const last = tail === 0 ? new Uint8Array() : await hashChunks(rows, whole, seed);
  const { top } = await openingOf(old.totals, old.schema, async (first, count) => {
    const stored = fds.read("chunks", first * SCALAR_BYTES, (Math.min(first + count, whole) - first) * SCALAR_BYTES);
    return first + count > whole ? Buffer.concat([stored, last]) : stored;
  });
  if (top !== old.top || old.schema !== commitment.opening.schema) {
    throw wrong(`its root of ${records} records is not of the first records here`);
  }
}

/** The first field in which a description is another. */
function fieldThatDiffers(row: Uint8Array, stored: Uint8Array): string {
  const [ours, theirs] = [readRow(row), readRow(stored)];
  return `its ${FIELDS[ours.findIndex((value, i) => value !== theirs[i])]}`;
}

// Seeds.

/** Puts a seed back into a directory. @throws INPUT_INVALID for another dataset's; as {@link openDatasetDirectory} */
export async function restoreSeed(directory: string, seed: Uint8Array): Promise<void> {
  checkSeed(seed);
  const { commitment, fds } = await openFiles(directory);
  try {
    if (!commitment.blinded) throw new AnchorError("INPUT_INVALID", `${directory} is not blinded: it has no seed`);
    if (!(await isFirstChunk(fds, commitment, seed))) {
      throw new AnchorError("INPUT_INVALID", `this is not the seed of ${directory}: it gives another root`);
    }
  } finally {
    fds.close();
  }
  await writeWhole(join(directory, DATASET_FILES.seed), seedFile(seed), PRIVATE);
}

// Files by position.

/** What lies between two places; the memory is used again. */
async function* pieces(
  handle: FileHandle,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const buffer = new Uint8Array(Math.min(PIECE, to - from));
  for (let at = from; at < to; ) {
    throwIfAborted(signal);
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, to - at), at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function readPiece(handle: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) throw new AnchorError("FILE_UNREADABLE", "a file of the dataset was cut off meanwhile");
    done += bytesRead;
  }
  return bytes;
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}

/** How long an encoded record is, by its header; none where it is none. */
function encodedLength(read: (at: number, count: number) => Uint8Array, size: number): number | undefined {
  let at = 0;
  const integer = (bytes: number): number => {
    if (at + bytes > size) throw new RangeError();
    let value = 0;
    for (const byte of read(at, bytes)) value = 256 * value + byte;
    at += bytes;
    return value;
  };
  const skip = (bytes: number): void => {
    at += bytes;
  };
  try {
    skip(2);
    skip(8 * integer(1) + 3);
    skip(integer(2));
    skip(integer(2));
    for (let cells = integer(1); cells > 0; cells--) {
      const type = integer(1);
      if (type === 3) skip(integer(4));
      else if (type !== 0) skip(8);
    }
    skip(8);
    skip(integer(8));
    return at <= size ? at : undefined;
  } catch {
    return undefined;
  }
}
