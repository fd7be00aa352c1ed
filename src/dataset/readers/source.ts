/**
 * A file that is read once, from start to end, through SHA-256, and that must not change meanwhile.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, stat } from "node:fs/promises";
import { AnchorError, throwIfAborted, toAnchorError } from "../../errors.js";
import { type Hex, toHex } from "../../field/bytes.js";
import { identityOf } from "../../files.js";
import type { DatasetRecord } from "../record.js";

/** Most bytes of a line, or of a row of a table: these are held in memory. */
export const MAX_LINE_BYTES = 2 ** 24;
/** Most bytes of a JSON text, which takes up to forty times as much when it is parsed. */
export const MAX_JSON_BYTES = 2 ** 22;
/** Bytes that are read at once. */
const BLOCK_BYTES = 2 ** 18;
/** Records that are handed on at once. */
export const BATCH_RECORDS = 1024;

/** A file of the dataset. */
export interface FileEntry {
  /** What it is called in the dataset: its path below the folder, with `/`. Of a file alone, its path as given. */
  readonly path: string;
  /** Where it lies. */
  readonly location: string;
  readonly bytes: number;
  /** Changes when the file does. */
  readonly identity: string;
}

/** Where a record stands: for people, and to find it again. */
export interface RecordSource {
  /** Of the file, as in the reader's list. */
  readonly path: string;
  /** Of lines and tables: the line that the record starts in, from 1. */
  readonly line?: number;
  /** Of other formats: the byte that its data starts at. */
  readonly offset?: number;
}

export interface SourcedRecord {
  readonly record: DatasetRecord;
  readonly source: RecordSource;
}

export interface SourceOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes were read. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/** @throws FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_INVALID for what is not a file */
export async function fileEntry(location: string, path: string): Promise<FileEntry> {
  try {
    const info = await stat(location, { bigint: true });
    if (!info.isFile()) throw new AnchorError("INPUT_INVALID", `${location} is not a file; copy what it stands for`);
    if (info.size > BigInt(Number.MAX_SAFE_INTEGER))
      throw new AnchorError("INPUT_TOO_LARGE", `${location} is too large`);
    return { path, location, bytes: Number(info.size), identity: identityOf(info) };
  } catch (error) {
    throw readError(error, location);
  }
}

export class Source {
  readonly path: string;
  readonly size: number;
  /** Bytes taken so far. */
  offset = 0;
  readonly #file: FileEntry;
  readonly #handle: FileHandle;
  readonly #options: SourceOptions;
  readonly #hash: Hash = createHash("sha256");
  /** Read, not taken. */
  #pending: Buffer = Buffer.alloc(0);
  #read = 0;

  private constructor(file: FileEntry, handle: FileHandle, options: SourceOptions) {
    this.path = file.path;
    this.size = file.bytes;
    this.#file = file;
    this.#handle = handle;
    this.#options = options;
  }

  static async open(file: FileEntry, options: SourceOptions = {}): Promise<Source> {
    throwIfAborted(options.signal);
    let handle: FileHandle;
    try {
      handle = await open(file.location, "r");
    } catch (error) {
      throw readError(error, file.location);
    }
    const source = new Source(file, handle, options);
    try {
      await source.#checkUnchanged();
    } catch (error) {
      await handle.close();
      throw error;
    }
    return source;
  }

  /** The next bytes, whatever is at hand; none at the end. The memory is the caller's. */
  async block(): Promise<Buffer | undefined> {
    const block = this.#pending.length > 0 ? this.#pending : await this.#readBlock();
    this.#pending = Buffer.alloc(0);
    this.offset += block.length;
    return block.length > 0 ? block : undefined;
  }

  /** The next `count` bytes; the memory is the caller's. @throws DATASET_MALFORMED where the file ends before */
  async take(count: number, what: string): Promise<Buffer> {
    if (count > this.size - this.offset) {
      throw this.malformed(`ends after ${this.size} bytes, in ${what} (byte ${this.offset}, ${count} bytes)`);
    }
    if (this.#pending.length < count) {
      const pieces = [this.#pending];
      let missing = count - this.#pending.length;
      while (missing > 0) {
        const piece = await this.#readBlock();
        pieces.push(piece);
        missing -= piece.length;
      }
      this.#pending = Buffer.concat(pieces);
    }
    const taken = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(count);
    this.offset += count;
    return taken;
  }

  /** Passes over bytes, which are hashed all the same. */
  async skip(count: number, what: string): Promise<void> {
    for (let left = count; left > 0; ) {
      const piece = await this.take(Math.min(left, Math.max(1, this.#pending.length || BLOCK_BYTES)), what);
      left -= piece.length;
    }
  }

  /** The SHA-256 of the file, all of which has been taken. @throws FILE_UNREADABLE for a file that changed */
  async finish(): Promise<Hex> {
    if (this.offset !== this.size) throw this.malformed(`goes on after byte ${this.offset}, where its data ends`);
    // Some files of the system say that they are empty, and are not.
    if ((await this.#readInto(Buffer.alloc(1), 0, 1)) > 0) throw this.#changed();
    await this.#checkUnchanged();
    return toHex(this.#hash.digest());
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  malformed(problem: string, details: Record<string, unknown> = { offset: this.offset }): AnchorError {
    return new AnchorError("DATASET_MALFORMED", `${this.path}: ${problem}`, {
      details: { file: this.path, ...details },
    });
  }

  malformedLine(line: number, problem: string): AnchorError {
    return this.malformed(`line ${line} ${problem}`, { line });
  }

  tooLarge(problem: string, details: Record<string, unknown> = { offset: this.offset }): AnchorError {
    return new AnchorError("INPUT_TOO_LARGE", `${this.path}: ${problem}`, { details: { file: this.path, ...details } });
  }

  unsupported(problem: string): AnchorError {
    return new AnchorError("FORMAT_UNSUPPORTED", `${this.path}: ${problem}`, { details: { file: this.path } });
  }

  async #readBlock(): Promise<Buffer> {
    throwIfAborted(this.#options.signal);
    const wanted = Math.min(BLOCK_BYTES, this.size - this.#read);
    if (wanted === 0) return Buffer.alloc(0);
    const block = Buffer.allocUnsafeSlow(wanted);
    let filled = 0;
    while (filled < wanted) {
      const count = await this.#readInto(block, filled, wanted - filled);
      if (count === 0) throw this.#changed();
      filled += count;
    }
    this.#read += wanted;
    this.#hash.update(block);
    this.#options.onBytes?.(wanted);
    return block;
  }

  async #readInto(block: Buffer, at: number, count: number): Promise<number> {
    try {
      return (await this.#handle.read(block, at, count, null)).bytesRead;
    } catch (error) {
      throw readError(error, this.#file.location);
    }
  }

  async #checkUnchanged(): Promise<void> {
    let identity: string;
    try {
      identity = identityOf(await this.#handle.stat({ bigint: true }));
    } catch (error) {
      throw readError(error, this.#file.location);
    }
    if (identity !== this.#file.identity) throw this.#changed();
  }

  #changed(): AnchorError {
    return new AnchorError("FILE_UNREADABLE", `${this.path} changed while it was read; start again when it is at rest`);
  }
}

/** Errors of the system, with the file's name. */
export function readError(error: unknown, path: string): AnchorError {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") {
    return new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file or folder`, { cause: error });
  }
  return toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
}
