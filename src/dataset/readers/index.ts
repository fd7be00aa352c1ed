/**
 * Readers: files of many formats as records, in a stream. Memory stays flat however large the files are: of a record
 * longer than 1 MiB one part is held, of a line or row at most 16 MiB, of JSON 4 MiB.
 *
 * The same bytes give the same records on every machine. Every byte of every file goes through SHA-256 on its way, and a
 * file that changes meanwhile is refused.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { type Hex, toHex } from "../../field/bytes.js";
import { type Column, checkColumns } from "../record.js";
import type { Context, Format, FormatOptions } from "./context.js";
import { ColumnGuess, readTable } from "./csv.js";
import { listFiles } from "./folder.js";
import { readJsonLines } from "./jsonLines.js";
import { readLines } from "./lines.js";
import { readNpy } from "./npy.js";
import { readBytes, readText } from "./plain.js";
import { readSafetensors } from "./safetensors.js";
import { type FileEntry, Source, type SourcedRecord } from "./source.js";
import { readWav, SAMPLE_RATE } from "./wav.js";

export type { RecordSource, SourcedRecord } from "./source.js";

const FORMATS = {
  bytes: readBytes,
  text: readText,
  jsonl: readJsonLines,
  csv: readTable,
  npy: readNpy,
  safetensors: readSafetensors,
  wav: readWav,
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof FORMATS;
export const FORMAT_NAMES = Object.keys(FORMATS) as FormatName[];

/** By the end of a file's name, whatever its case; all other files are bytes. */
const EXTENSIONS = new Map<string, FormatName>([
  ["txt", "text"],
  ["md", "text"],
  ["jsonl", "jsonl"],
  ["ndjson", "jsonl"],
  ["csv", "csv"],
  ["npy", "npy"],
  ["safetensors", "safetensors"],
  ["wav", "wav"],
]);

export interface ReaderOptions {
  /** Of all files; `auto`, the default, goes by their names. */
  readonly format?: FormatName | "auto" | undefined;
  /** Text and bytes: a record a line. Files of no known format are then text. */
  readonly lines?: boolean | undefined;
  /** `.npy`: a record a file, not a row. */
  readonly whole?: boolean | undefined;
  /** JSON Lines and CSV: the field, or column, that a record's name, label and content are in. */
  readonly name?: string | undefined;
  readonly label?: string | undefined;
  readonly content?: string | undefined;
  /** `folder`: the label of a record is the first folder of its file's path. */
  readonly labelFrom?: "folder" | undefined;
  /**
   * The columns of tables: of CSV, all of them but those above, in order, found by a pass over the files unless told; of
   * JSON Lines, the fields that become cells, none unless told.
   */
  readonly columns?: readonly Column[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told now and then how many bytes of the files have been read, while columns are looked for and then again. */
  readonly onProgress?: ((progress: ReaderProgress) => void) | undefined;
}

export interface ReaderProgress {
  readonly phase: "columns" | "records";
  readonly done: number;
  readonly total: number;
}

export interface FileDigest {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: Hex;
}

/** Files that can be read as records, from the start as often as wanted. */
export interface DatasetReader {
  /** Of every record's cells. Records of files that are no tables have null cells. */
  readonly columns: readonly Column[];
  /** Of all files together. */
  readonly bytes: number;
  /** In the order in which they are read. */
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly format: FormatName }[];
  /** @throws DATASET_MALFORMED, INPUT_TOO_LARGE, FORMAT_UNSUPPORTED, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED */
  readonly records: AsyncIterable<SourcedRecord>;
  /** The same, many at once, which is faster. None is empty. */
  readonly batches: AsyncIterable<readonly SourcedRecord[]>;
  /** Of the files, as they were when all records were read last. @throws INPUT_INVALID before */
  digests(): readonly FileDigest[];
  /** Of the file, or of a folder's list of files as `sha256sum` prints it. @throws INPUT_INVALID before */
  sha256(): Hex;
}

/**
 * Opens a file, or a folder with the files in it.
 *
 * @throws FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_INVALID; those of reading where columns have to be found
 */
export async function openReader(path: string, options: ReaderOptions = {}): Promise<DatasetReader> {
  checkOptions(options);
  const { files, folder } = await listFiles(path, options.signal);
  const formats = files.map((file) => formatOf(file, options));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const formatOptions: FormatOptions = options;
  const table = options.columns ?? (await guessColumns(files, formats, options));
  const columns = formats.includes("wav") ? [...table, SAMPLE_RATE] : table;
  checkColumns(columns);
  const cells = columns.map(() => null);
  let digests: FileDigest[] | undefined;

  async function* batches(): AsyncGenerator<readonly SourcedRecord[]> {
    const found: FileDigest[] = [];
    let done = 0;
    const onBytes = (count: number) => {
      done += count;
      options.onProgress?.({ phase: "records", done, total: bytes });
    };
    for (const [i, file] of files.entries()) {
      const label = options.labelFrom === "folder" && folder ? folderOf(file.path) : "";
      const context: Context = {
        fields: { name: folder ? file.path : "", label, cells },
        columns: table,
        extra: cells.slice(table.length),
        options: formatOptions,
      };
      const source = await Source.open(file, { signal: options.signal, onBytes });
      try {
        const read = options.lines && isPlain(formats[i]!) ? readLines(formats[i]) : FORMATS[formats[i]!];
        yield* read(source, context);
        found.push({ path: file.path, bytes: file.bytes, sha256: await source.finish() });
      } finally {
        await source.close();
      }
    }
    digests = found;
  }
  async function* records(): AsyncGenerator<SourcedRecord> {
    for await (const batch of batches()) yield* batch;
  }
  const finished = (): FileDigest[] => {
    if (digests === undefined) throw new AnchorError("INPUT_INVALID", "digests are known when all records were read");
    return digests;
  };
  return {
    columns,
    bytes,
    files: files.map((file, i) => ({ path: file.path, bytes: file.bytes, format: formats[i]! })),
    records: { [Symbol.asyncIterator]: records },
    batches: { [Symbol.asyncIterator]: batches },
    digests: finished,
    sha256() {
      const [first] = finished();
      if (!folder && first !== undefined) return first.sha256;
      return sha256OfList(finished());
    },
  };
}

/** SHA-256 of what `sha256sum` prints for files in this order. */
export function sha256OfList(files: readonly Pick<FileDigest, "path" | "sha256">[]): Hex {
  const list = createHash("sha256");
  for (const each of files) list.update(sumLine(each));
  return toHex(list.digest());
}

/** A line of `sha256sum`, which marks a name with a line feed, carriage return or backslash and writes them out. */
function sumLine({ path, sha256 }: Pick<FileDigest, "path" | "sha256">): string {
  const escaped = path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `${escaped === path ? "" : "\\"}${sha256.slice(2)}  ${escaped}\n`;
}

function folderOf(path: string): string {
  const slash = path.indexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

function formatOf({ path }: FileEntry, { format = "auto", lines }: ReaderOptions): FormatName {
  if (format !== "auto") return format;
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  return EXTENSIONS.get(extension) ?? (lines ? "text" : "bytes");
}

function isPlain(format: FormatName): format is "bytes" | "text" {
  return format === "bytes" || format === "text";
}

async function guessColumns(
  files: readonly FileEntry[],
  formats: readonly FormatName[],
  options: ReaderOptions,
): Promise<readonly Column[]> {
  const tables = files.filter((_, i) => formats[i] === "csv");
  const total = tables.reduce((sum, { bytes }) => sum + bytes, 0);
  const guess = new ColumnGuess();
  let done = 0;
  const onBytes = (count: number) => {
    done += count;
    options.onProgress?.({ phase: "columns", done, total });
  };
  for (const table of tables) {
    const source = await Source.open(table, { signal: options.signal, onBytes });
    try {
      await guess.add(source, options);
    } finally {
      await source.close();
    }
  }
  return guess.columns();
}

function checkOptions(options: ReaderOptions): void {
  const { format = "auto", labelFrom, columns, label, name, content } = options;
  const wrong = (problem: string) => new AnchorError("INPUT_INVALID", problem);
  if (format !== "auto" && !FORMAT_NAMES.includes(format)) {
    throw wrong(`a format is auto or one of ${FORMAT_NAMES.join(", ")}, not ${String(format)}`);
  }
  if (labelFrom !== undefined && labelFrom !== "folder") throw wrong("labels come from fields, or from the folder");
  if (columns !== undefined) checkColumns(columns);
  const taken = [label, name, content].filter((each) => each !== undefined);
  if (!taken.every((each) => typeof each === "string")) throw wrong("name, label and content name a field each");
  if (new Set(taken).size !== taken.length) throw wrong("name, label and content are fields of their own");
}
