/**
 * The small files of a dataset's directory (directory.ts): commitment, list of files, former roots, seed. What is read must
 * be what is written for what it says, but for white space and the order of fields.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { AnchorError, toAnchorError } from "../errors.js";
import { fromHex, type Hex, toHex, utf8, wordHex } from "../field/bytes.js";
import { isScalar } from "../field/scalar.js";
import { MAX_RECORDS } from "./commit.js";
import type { DatasetCommitment } from "./dataset.js";
import { checkSeed, chunkCount, DEPTHS, hashRoot, type RootOpening, SEED_BYTES, treeDepth } from "./layout.js";
import { type FileDigest, sha256OfList } from "./readers/index.js";
import { type Column, checkColumns, schemaDigest } from "./record.js";

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

export const FORMAT = "anchorproof/dataset@2";
const FILES_FORMAT = "anchorproof/dataset-files@1";
const PREVIOUS_FORMAT = "anchorproof/dataset-previous@1";
const MAX_JSON = 64 * 1024 * 1024;

/** What `commitment.json` holds. */
export type PublishedCommitment = Omit<DatasetCommitment, "sha256">;

const SEED_TEXT = /^anchorproof-seed-1-([0-9a-f]{64})-([0-9a-f]{8})$/;

/** A seed as a line to be kept somewhere safe, with a checksum against mistakes in copying. @throws INPUT_INVALID */
export function exportSeed(seed: Uint8Array): string {
  checkSeed(seed);
  return `anchorproof-seed-1-${toHex(seed).slice(2)}-${seedChecksum(seed)}`;
}

/** What {@link exportSeed} wrote, white space around it aside. @throws INPUT_INVALID */
export function importSeed(text: string): Uint8Array {
  const match = SEED_TEXT.exec(String(text).trim());
  if (!match) throw new AnchorError("INPUT_INVALID", "a seed is one line that begins with anchorproof-seed-1-");
  const seed = fromHex(`0x${match[1]}`, "seed", SEED_BYTES);
  if (seedChecksum(seed) !== match[2]) throw new AnchorError("INPUT_INVALID", "a character of the seed is wrong");
  return seed;
}

function seedChecksum(seed: Uint8Array): string {
  const hash = createHash("sha256").update(utf8("anchorproof/seed-backup/1")).update(seed);
  return hash.digest("hex").slice(0, 8);
}

export function seedFile(seed: Uint8Array): string {
  return `${toHex(seed)}\n`;
}

/** @throws DATASET_MALFORMED */
export function parseSeedFile(text: string, path: string): Uint8Array {
  try {
    return fromHex(text.replace(/\n$/, ""), "the seed", SEED_BYTES);
  } catch (error) {
    throw new AnchorError("DATASET_MALFORMED", `${path} is damaged: it is no seed of ${SEED_BYTES} bytes`, {
      details: { file: DATASET_FILES.seed },
      cause: error,
    });
  }
}

function openingToJson({ depth, top, totals, schema }: RootOpening): Record<string, unknown> {
  const { records, blocks, values } = totals;
  return { depth, top: wordHex(top), records, blocks, values, schema: wordHex(schema) };
}

export function commitmentToJson(commitment: PublishedCommitment): Record<string, unknown> {
  const { root, opening, columns, bytes, blinded } = commitment;
  return {
    format: FORMAT,
    root: wordHex(root),
    ...openingToJson(opening),
    columns: plainColumns(columns),
    bytes,
    blinded,
  };
}

/**
 * Reads `commitment.json`, wherever it comes from: the root is that of what stands beside it.
 *
 * @throws AnchorError FORMAT_UNSUPPORTED, DATASET_MALFORMED, DATASET_MISMATCH
 */
export function commitmentFromJson(json: unknown, path: string): PublishedCommitment {
  const fields = readFields(json, FORMAT, path);
  const { root, columns, bytes, blinded } = fields;
  const opening = readOpening(fields);
  let commitment: PublishedCommitment | undefined;
  try {
    checkColumns(columns);
    if (opening && isCount(bytes) && typeof blinded === "boolean") {
      commitment = {
        root: readScalar(root) ?? 0n,
        opening,
        columns: plainColumns(columns),
        bytes,
        blinded,
      };
    }
  } catch (error) {
    throw malformed(path, error instanceof Error ? error.message : String(error));
  }
  if (!commitment || !sameJson(json, commitmentToJson(commitment))) throw malformed(path, "it is no commitment");
  const { opening: shown } = commitment;
  if (shown.schema !== schemaDigest(commitment.columns)) throw disagrees(path, "the schema is not that of the columns");
  if (shown.depth !== treeDepth(chunkCount(shown.totals.records))) {
    throw disagrees(path, "the tree has not the height that these records need");
  }
  if (hashRoot(shown) !== commitment.root) throw disagrees(path, "the root is not that of the numbers beside it");
  return commitment;
}

function readOpening({
  depth,
  top,
  records,
  blocks,
  values,
  schema,
}: Record<string, unknown>): RootOpening | undefined {
  if (!DEPTHS.includes(depth as (typeof DEPTHS)[number])) return undefined;
  if (!isCount(records) || records < 1 || records > MAX_RECORDS || !isCount(blocks) || !isCount(values))
    return undefined;
  const [topValue, schemaValue] = [readScalar(top), readScalar(schema)];
  if (topValue === undefined || schemaValue === undefined) return undefined;
  return { depth: depth as number, top: topValue, totals: { records, blocks, values }, schema: schemaValue };
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function readScalar(value: unknown): bigint | undefined {
  const scalar = typeof value === "string" && /^0x[0-9a-f]{64}$/.test(value) ? BigInt(value) : undefined;
  return isScalar(scalar) ? scalar : undefined;
}

export interface Files {
  readonly files: readonly FileDigest[];
  readonly sha256: Hex;
}

/** Nothing else binds what stands there: so it has a checksum of its own. */
export function filesToJson({ files, sha256 }: Files): Record<string, unknown> {
  const content = { sha256, files: files.map((file) => ({ sha256: file.sha256, bytes: file.bytes, path: file.path })) };
  const check = toHex(createHash("sha256").update(JSON.stringify(content)).digest());
  return { format: FILES_FORMAT, ...content, check };
}

export function filesFromText(text: string, path: string): Files {
  const json = parseJson(text, path);
  const { files: list, sha256 } = readFields(json, FILES_FORMAT, path);
  const isHash = (value: unknown): value is Hex => typeof value === "string" && /^0x[0-9a-f]{64}$/.test(value);
  const isFile = (each: unknown): each is FileDigest => {
    const file = (each ?? {}) as Record<string, unknown>;
    return typeof file["path"] === "string" && isCount(file["bytes"]) && isHash(file["sha256"]);
  };
  if (!isHash(sha256) || !Array.isArray(list) || !list.every(isFile)) throw malformed(path, "it is no list of files");
  const content = {
    files: list.map(({ path: name, bytes, sha256: own }) => ({ path: name, bytes, sha256: own })),
    sha256,
  };
  if (!sameJson(json, filesToJson(content))) throw disagrees(path, "the list is not that of its checksum");
  if (!(list.length === 1 && list[0]!.sha256 === sha256) && sha256OfList(content.files) !== sha256) {
    throw disagrees(path, "the SHA-256 is not that of the files");
  }
  return content;
}

export function previousToJson(previous: readonly RootOpening[]): Record<string, unknown> {
  const openings = previous.map((opening) => ({ root: wordHex(hashRoot(opening)), ...openingToJson(opening) }));
  return { format: PREVIOUS_FORMAT, previous: openings };
}

export function previousFromText(text: string, path: string): RootOpening[] {
  const json = parseJson(text, path);
  const { previous: list } = readFields(json, PREVIOUS_FORMAT, path);
  if (!Array.isArray(list)) throw malformed(path, "it is no list of roots");
  const openings = list.map((each) => {
    const opening =
      typeof each === "object" && each !== null ? readOpening(each as Record<string, unknown>) : undefined;
    if (!opening) throw malformed(path, "it is no list of roots");
    return opening;
  });
  if (!sameJson(json, previousToJson(openings))) throw disagrees(path, "a root is not that of the numbers beside it");
  return openings;
}

function readFields(json: unknown, format: string, path: string): Record<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed(path, "it is no object");
  const fields = json as Record<string, unknown>;
  if (fields["format"] !== format) throw new AnchorError("FORMAT_UNSUPPORTED", `${path} is not of format ${format}`);
  return fields;
}

/** Equal, whatever the order of the fields at the top. What is nested too deeply to be written is not what we write. */
function sameJson(json: unknown, wanted: Record<string, unknown>): boolean {
  const fields = json as Record<string, unknown>;
  const names = Object.keys(wanted);
  try {
    return (
      Object.keys(fields).length === names.length &&
      names.every((name) => JSON.stringify(fields[name]) === JSON.stringify(wanted[name]))
    );
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

export function plainColumns(columns: readonly Column[]): Column[] {
  return columns.map(({ name, type, digits }) => ({ name, type, ...(digits !== undefined && { digits }) }));
}

export function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

export function malformed(path: string, problem: string): AnchorError {
  return new AnchorError("DATASET_MALFORMED", `${path} is damaged: ${problem}`, { details: { file: basename(path) } });
}

export function disagrees(path: string, problem: string): AnchorError {
  return new AnchorError("DATASET_MISMATCH", `${path} is damaged: ${problem}`, { details: { file: basename(path) } });
}

export function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(path, error instanceof Error ? error.message : String(error));
  }
}

/** @throws FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_TOO_LARGE */
export async function readText(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  try {
    if ((await stat(path)).size > MAX_JSON) throw new AnchorError("INPUT_TOO_LARGE", `${path} is larger than 64 MB`);
    return await readFile(path, "utf8");
  } catch (error) {
    throw unreadable(error, path);
  }
}

export function unreadable(error: unknown, path: string): AnchorError {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") {
    return new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file or folder`, { cause: error });
  }
  return toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
}
