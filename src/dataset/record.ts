/**
 * Records, their canonical bytes, and the elements that describe them.
 *
 * Canonical bytes, version 2; integers are big-endian:
 *
 *     u8  version = 2
 *     u8  dtype                      code of {@link DTYPES}
 *     u8  rank                       0 to 8
 *     u64 dimension, `rank` times    of the whole record
 *     u8  base, i16 exponent         of the scale; 0 and 0 for none
 *     u16 name length, name          UTF-8, at most 1,024 bytes
 *     u16 label length, label        likewise
 *     u8  cells, each of them:       u8 type; null 0, decimal 1: i64, float 2: f64, text 3: u32 length, UTF-8
 *     u32 part, u32 parts
 *     u64 data length, data          of the part; numbers are little-endian
 *
 * Every part is fixed in size or preceded by its length, and what can be spelt in two ways is refused, so that records
 * and their bytes are one to one.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";
import { isUint8Array } from "node:util/types";
import { AnchorError } from "../errors.js";
import { ELEMENT_BYTES, utf8 } from "../field/bytes.js";
import {
  BLOCK_ELEMENTS,
  type Description,
  digestCells,
  digestContent,
  digestName,
  digestText,
  encodeShape,
  INLINE_CELLS,
  MAX_CELLS,
  MAX_RANK,
  MAX_TEXT_BYTES,
  PART_BYTES,
} from "./layout.js";
import { unfinished } from "./utf8.js";

/** Codes of element types, and their size in bytes. Codes are never reused. */
export const DTYPES = {
  bytes: { code: 0, size: 1 },
  text: { code: 1, size: 1 },
  u8: { code: 2, size: 1 },
  i8: { code: 3, size: 1 },
  i16: { code: 4, size: 2 },
  i32: { code: 5, size: 4 },
  i64: { code: 6, size: 8 },
  f16: { code: 7, size: 2 },
  f32: { code: 8, size: 4 },
  f64: { code: 9, size: 8 },
  u16: { code: 10, size: 2 },
  u32: { code: 11, size: 4 },
  u64: { code: 12, size: 8 },
  bool: { code: 13, size: 1 },
  bf16: { code: 14, size: 2 },
} as const;

export type Dtype = keyof typeof DTYPES;

/** A column of a table. Cells of a decimal column are integers, `value · 10^digits`; of a float column, float64s. */
export interface Column {
  readonly name: string;
  readonly type: "decimal" | "float" | "text";
  /** Of a decimal column, 0 to 18. */
  readonly digits?: number;
}

/** A bigint in a decimal column, a number in a float column, a string in a text column; null for a missing value. */
export type Cell = bigint | number | string | null;

/** An integer tensor's numbers stand for `integer · base^exponent`. */
export interface Scale {
  readonly base: 2 | 10;
  /** -1024 to 1024 */
  readonly exponent: number;
}

export interface DatasetRecord {
  readonly dtype: Dtype;
  /** Of the whole record, also where this is a part of it; `[length]` for bytes and text. */
  readonly shape: readonly number[];
  readonly scale?: Scale | undefined;
  /** What the record is called: a file's path, a tensor's name. Empty unless told. */
  readonly name?: string | undefined;
  /** Its class: "spam". Empty unless told. */
  readonly label?: string | undefined;
  /** As many as the dataset has columns. Those of parts after the first are null, so that no sum counts a row twice. */
  readonly cells?: readonly Cell[] | undefined;
  /** Number of this part, from 0; parts but the last hold ⌊2^20 / size⌋ values each. 0 of 1 unless told. */
  readonly part?: number | undefined;
  readonly parts?: number | undefined;
  /** Bytes, UTF-8, or numbers in little-endian order. */
  readonly data: Uint8Array;
}

const VERSION = 2;
/** Most bytes of a cell of text. */
export const MAX_CELL_BYTES = 2 ** 20;

const INT64 = 2n ** 63n;
const CELL_CODES = { null: 0, decimal: 1, float: 2, text: 3 } as const;

/** A record of plain bytes, of at most 1 MiB. */
export function bytesRecord(data: Uint8Array, name?: string): DatasetRecord {
  return { dtype: "bytes", shape: [data.length], name, data };
}

/** How numbers of a type are packed into elements: order-preserving keys, none split between two elements. */
export interface Packing {
  /** Bytes of a number. */
  readonly size: number;
  readonly mode: "unsigned" | "signed" | "float";
  readonly perElement: number;
}

export function packing(dtype: Dtype): Packing {
  const { size } = DTYPES[dtype];
  const mode = /^i\d/.test(dtype) ? "signed" : /^b?f\d/.test(dtype) ? "float" : "unsigned";
  return { size, mode, perElement: Math.floor(ELEMENT_BYTES / size) };
}

/** The type with this code, as {@link encodeRecord} writes it. */
export function dtypeOfCode(code: number): Dtype | undefined {
  return (Object.keys(DTYPES) as Dtype[]).find((dtype) => DTYPES[dtype].code === code);
}

/** The type that a record's kind names; see {@link recordKind}. */
export function dtypeOfKind(kind: bigint): Dtype | undefined {
  return dtypeOfCode(Number((kind >> 8n) & 0xffn));
}

/** Values that each part of a record holds, but for the last. */
export function partValues(dtype: Dtype): number {
  return Math.floor(PART_BYTES / DTYPES[dtype].size);
}

/** Parts that a record of so many values is committed in. */
export function partCount(dtype: Dtype, values: number): number {
  return Math.max(1, Math.ceil(values / partValues(dtype)));
}

/** The part of a record with this number. The cells of the first stand for the whole. */
export function partOf(
  whole: Omit<DatasetRecord, "data">,
  part: number,
  parts: number,
  data: Uint8Array,
): DatasetRecord {
  if (parts === 1) return { ...whole, data };
  const cells = part === 0 ? whole.cells : whole.cells?.map(() => null);
  return { ...whole, cells, part, parts, data };
}

/** The parts that a record is committed in, however long it is: itself where it is short. They share its memory. */
export function splitRecord(whole: DatasetRecord): DatasetRecord[] {
  if (whole.data.length <= PART_BYTES) return [whole];
  const each = partValues(whole.dtype) * DTYPES[whole.dtype].size;
  const parts = Math.ceil(whole.data.length / each);
  return Array.from({ length: parts }, (_, part) =>
    partOf(whole, part, parts, whole.data.subarray(part * each, (part + 1) * each)),
  );
}

/**
 * Checks everything about a record that its type does not say; with `columns`, also that its cells are theirs.
 *
 * @throws INPUT_INVALID
 */
export function checkRecord(record: unknown, columns?: readonly Column[]): asserts record is DatasetRecord {
  if (typeof record !== "object" || record === null) throw invalid("a record is an object");
  const {
    dtype,
    shape,
    scale,
    name = "",
    label = "",
    cells,
    part = 0,
    parts = 1,
    data,
  } = record as Record<string, unknown>;
  if (!isDtype(dtype)) throw invalid(`unknown dtype ${String(dtype)}`);
  if (!isUint8Array(data)) throw invalid("a record's data is a Uint8Array");
  const values = valuesOf(shape);
  if ((dtype === "bytes" || dtype === "text") && (shape as unknown[]).length !== 1) {
    throw invalid(`the shape of ${dtype} is [length]`);
  }
  if (scale !== undefined) checkScale(scale, dtype);
  checkText(name, "a record's name", MAX_TEXT_BYTES);
  checkText(label, "a record's label", MAX_TEXT_BYTES);
  if (cells !== undefined || columns !== undefined) checkCells(cells === undefined ? [] : cells, columns);

  const expected = partCount(dtype, values);
  if (parts !== expected || expected > 0xffff_ffff) {
    throw invalid(
      `${values} values of ${dtype} are ${expected} part${expected === 1 ? "" : "s"}, not ${String(parts)}`,
    );
  }
  if (!Number.isInteger(part) || (part as number) < 0 || (part as number) >= expected) {
    throw invalid(`a record of ${expected} parts has no part ${String(part)}`);
  }
  const each = partValues(dtype);
  const bytes = DTYPES[dtype].size * Math.min(each, values - each * (part as number));
  if (data.length !== bytes) {
    const of = expected === 1 ? "" : `part ${part} of `;
    throw invalid(`${of}shape [${(shape as number[]).join(", ")}] of ${dtype} is ${bytes} bytes, not ${data.length}`);
  }
  if (part !== 0 && (cells as Cell[] | undefined)?.some((cell) => cell !== null)) {
    throw invalid("cells stand in the first part of a record");
  }
  if (dtype === "bool") {
    const at = data.findIndex((byte) => byte > 1);
    if (at >= 0) throw invalid(`bool ${at} is ${data[at]}: neither 0 nor 1`);
  }
  if (dtype === "text" && !isUtf8(wholeCharacters(data, part !== 0, (part as number) < expected - 1))) {
    throw invalid("the data of a text is UTF-8");
  }
}

/** Checks the columns of a dataset. @throws INPUT_INVALID */
export function checkColumns(columns: unknown): asserts columns is readonly Column[] {
  if (!Array.isArray(columns) || columns.length > MAX_CELLS)
    throw invalid(`a dataset has at most ${MAX_CELLS} columns`);
  const names = new Set<string>();
  for (let i = 0; i < columns.length; i++) {
    const column: unknown = columns[i];
    if (typeof column !== "object" || column === null) throw invalid(`column ${i} is not an object`);
    const { name, type, digits } = column as Record<string, unknown>;
    checkText(name, `the name of column ${i}`, MAX_TEXT_BYTES);
    if (name === "") throw invalid(`column ${i} has no name`);
    if (names.has(name)) throw invalid(`two columns are called ${JSON.stringify(name)}`);
    names.add(name);
    if (type !== "decimal" && type !== "float" && type !== "text") {
      throw invalid(`column ${JSON.stringify(name)}: a type is decimal, float or text`);
    }
    const right = type === "decimal" ? Number.isInteger(digits) && (digits as number) >= 0 : digits === undefined;
    if (!right || (digits as number) > 18) {
      throw invalid(`column ${JSON.stringify(name)}: a decimal column has 0 to 18 digits, others have none`);
    }
  }
}

/** Digest of the columns' text, 0 where there are none. @throws INPUT_INVALID */
export function schemaDigest(columns: readonly Column[]): bigint {
  checkColumns(columns);
  if (columns.length === 0) return 0n;
  // Written out: the order of a caller's fields must not matter, nor fields that are not ours.
  const plain = columns.map(({ name, type, digits }) => (type === "decimal" ? { name, type, digits } : { name, type }));
  return digestText(utf8(JSON.stringify(plain)));
}

/** @throws INPUT_INVALID */
export function encodeRecord(record: DatasetRecord): Uint8Array {
  checkRecord(record);
  const { shape, scale, name = "", label = "", cells = [], part = 0, parts = 1, data } = record;
  const nameBytes = utf8(name);
  const labelBytes = utf8(label);
  const encodedCells = cells.map(cellBytes);
  const length =
    3 +
    8 * shape.length +
    3 +
    2 +
    nameBytes.length +
    2 +
    labelBytes.length +
    1 +
    sizeOf(encodedCells) +
    16 +
    data.length;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set([VERSION, DTYPES[record.dtype].code, shape.length]);
  let at = 3;
  for (const dimension of shape) {
    view.setBigUint64(at, BigInt(dimension));
    at += 8;
  }
  view.setUint8(at, scale?.base ?? 0);
  view.setInt16(at + 1, scale?.exponent ?? 0);
  at += 3;
  for (const text of [nameBytes, labelBytes]) {
    view.setUint16(at, text.length);
    bytes.set(text, at + 2);
    at += 2 + text.length;
  }
  bytes[at++] = cells.length;
  for (const cell of encodedCells) {
    bytes.set(cell, at);
    at += cell.length;
  }
  view.setUint32(at, part);
  view.setUint32(at + 4, parts);
  view.setBigUint64(at + 8, BigInt(data.length));
  bytes.set(data, at + 16);
  return bytes;
}

/** What {@link encodeRecord} made, with every field but an absent scale. @throws INPUT_INVALID for any other bytes */
export function decodeRecord(bytes: Uint8Array): DatasetRecord {
  if (!isUint8Array(bytes)) throw invalid("an encoded record is a Uint8Array");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const skip = (count: number): number => {
    if (count > bytes.length - at) throw invalid(`an encoded record ends after ${bytes.length} bytes, inside a field`);
    at += count;
    return at - count;
  };
  const u8 = () => view.getUint8(skip(1));
  const u16 = () => view.getUint16(skip(2));
  const u32 = () => view.getUint32(skip(4));
  const u64 = () => {
    const value = view.getBigUint64(skip(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`an encoded record has a length of ${value}`);
    return Number(value);
  };
  const text = (length: number) => {
    const from = skip(length);
    const piece = bytes.subarray(from, from + length);
    if (!isUtf8(piece)) throw invalid(`an encoded record has a text that is not UTF-8, at byte ${from}`);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(piece);
  };
  const version = u8();
  if (version !== VERSION) throw invalid(`an encoded record has version ${VERSION}, not ${version}`);
  const dtypeCode = u8();
  const dtype = dtypeOfCode(dtypeCode);
  if (dtype === undefined) throw invalid(`no dtype has the code ${dtypeCode}`);
  const rank = u8();
  if (rank > MAX_RANK) throw invalid(`a shape has at most ${MAX_RANK} dimensions, not ${rank}`);
  const shape = Array.from({ length: rank }, u64);
  const base = u8();
  const exponent = view.getInt16(skip(2));
  if (base === 0 && exponent !== 0) throw invalid("an exponent needs a base");
  const name = text(u16());
  const label = text(u16());
  const cells = Array.from({ length: u8() }, (): Cell => {
    const type = u8();
    if (type === CELL_CODES.null) return null;
    if (type === CELL_CODES.decimal) return view.getBigInt64(skip(8));
    if (type === CELL_CODES.float) return view.getFloat64(skip(8));
    if (type === CELL_CODES.text) return text(u32());
    throw invalid(`no cell has the type ${type}`);
  });
  const part = u32();
  const parts = u32();
  const length = u64();
  const from = skip(length);
  if (at !== bytes.length) throw invalid(`an encoded record ends ${bytes.length - at} bytes before its last byte`);
  const scale = base === 0 ? {} : { scale: { base: base as 2 | 10, exponent } };
  const data = Uint8Array.from(bytes.subarray(from, from + length)); // not `slice`, which of a Buffer is no copy
  const record = { dtype, shape, ...scale, name, label, cells, part, parts, data };
  checkRecord(record);
  return record;
}

/** The elements of a record's data: keys packed as {@link packing} says, zeros after the last. */
export function contentElements({ dtype, data }: Pick<DatasetRecord, "dtype" | "data">): bigint[] {
  const { size, perElement } = packing(dtype);
  const width = size * perElement;
  const count = Math.ceil(data.length / width);
  const keys = Buffer.alloc(count * width);
  writeKeys(keys, dtype, data);
  const hex = keys.toString("hex");
  return Array.from({ length: count }, (_, i) => BigInt(`0x${hex.slice(2 * width * i, 2 * width * (i + 1))}`));
}

/** Numbers to keys: from little-endian to big-endian, then the sign. */
function writeKeys(keys: Buffer, dtype: Dtype, data: Uint8Array): void {
  const { size, mode } = packing(dtype);
  keys.set(data);
  const used = keys.subarray(0, data.length);
  if (size === 2) used.swap16();
  else if (size === 4) used.swap32();
  else if (size === 8) used.swap64();
  if (mode === "unsigned") return;
  for (let at = 0; at < used.length; at += size) {
    const negative = used[at]! >= 0x80;
    used[at] = used[at]! ^ 0x80;
    if (mode === "signed" || !negative) continue;
    used[at] = used[at]! ^ 0x7f;
    for (let i = 1; i < size; i++) used[at + i] = used[at + i]! ^ 0xff;
  }
}

const float = new DataView(new ArrayBuffer(8));

/**
 * A cell as an element: 0 for null; decimals and floats in their order, from 1 to 2^64; a text's digest.
 *
 * @throws INPUT_INVALID for a cell of another type
 */
export function encodeCell({ type, name }: Column, cell: Cell): bigint {
  checkCell(cell, name, type);
  if (cell === null) return 0n;
  if (typeof cell === "bigint") return cell + INT64 + 1n;
  if (typeof cell === "string") return digestText(utf8(cell));
  float.setFloat64(0, cell);
  const bits = float.getBigUint64(0);
  return (bits >= INT64 ? 2n * INT64 - 1n - bits : bits + INT64) + 1n;
}

/** What records of one kind have in common: field `kind` of their descriptions. */
export function recordKind({ dtype, shape, scale, cells }: Omit<DatasetRecord, "data">): bigint {
  return (
    BigInt(VERSION) +
    (BigInt(DTYPES[dtype].code) << 8n) +
    (BigInt(shape.length) << 16n) +
    (BigInt(scale?.base ?? 0) << 24n) +
    (BigInt((scale?.exponent ?? 0) + 2 ** 15) << 32n) +
    (BigInt(cells?.length ?? 0) << 48n)
  );
}

/**
 * The elements that describe a record in its chunk. `content`, its content's digest, saves hashing again what has been
 * hashed already.
 *
 * @throws INPUT_INVALID
 */
export function describeRecord(record: DatasetRecord, columns: readonly Column[], content?: bigint): Description {
  checkRecord(record, columns);
  const { dtype, shape, name = "", label = "", cells = [], part = 0, parts = 1, data } = record;
  const { size, perElement } = packing(dtype);
  const elements = Math.ceil(data.length / (size * perElement));
  const encoded = cells.map((cell, i) => encodeCell(columns[i]!, cell));
  return [
    recordKind(record),
    BigInt(data.length / size),
    BigInt(Math.ceil(elements / BLOCK_ELEMENTS)),
    encodeShape(shape),
    digestName(name),
    digestName(label),
    content ?? digestContent(contentElements(record)),
    digestCells(encoded.slice(INLINE_CELLS)),
    BigInt(part) + (BigInt(parts) << 32n),
    ...Array.from({ length: INLINE_CELLS }, (_, i) => encoded[i] ?? 0n),
  ];
}

function invalid(problem: string): AnchorError {
  return new AnchorError("INPUT_INVALID", problem);
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(DTYPES, value);
}

/** The product of a shape's dimensions. @throws INPUT_INVALID */
function valuesOf(shape: unknown): number {
  if (!Array.isArray(shape) || shape.length > MAX_RANK) throw invalid(`a shape has at most ${MAX_RANK} dimensions`);
  let values = 1;
  for (let i = 0; i < shape.length; i++) {
    if (!Number.isSafeInteger(shape[i]) || shape[i] < 0 || Object.is(shape[i], -0)) {
      throw invalid("the dimensions of a shape are non-negative integers");
    }
    values *= shape[i];
  }
  // A product of integers above 2^53 stays above it, unless a zero follows, which makes it exact again.
  if (!Number.isSafeInteger(values)) throw invalid(`shape [${shape.join(", ")}] has more values than can be counted`);
  return values;
}

function checkScale(scale: unknown, dtype: Dtype): void {
  const { base, exponent } = (scale ?? {}) as Record<string, unknown>;
  if (!/^[ui]\d/.test(dtype)) throw invalid(`a scale is for integers, not for ${dtype}`);
  if ((base !== 2 && base !== 10) || !Number.isInteger(exponent) || Math.abs(exponent as number) > 1024) {
    throw invalid("a scale has base 2 or 10 and an exponent from -1024 to 1024");
  }
}

function checkText(text: unknown, what: string, limit: number): asserts text is string {
  if (typeof text !== "string" || text.length > limit || (3 * text.length > limit && utf8Length(text) > limit)) {
    throw invalid(`${what} is a text of at most ${limit} bytes`);
  }
  if (/\p{Cs}/u.test(text)) throw invalid(`${what} has half a surrogate pair`);
}

function utf8Length(text: string): number {
  return Buffer.byteLength(text, "utf8");
}

function checkCells(cells: unknown, columns: readonly Column[] | undefined): void {
  if (!Array.isArray(cells) || cells.length > MAX_CELLS) throw invalid(`a record has at most ${MAX_CELLS} cells`);
  if (columns !== undefined && cells.length !== columns.length) {
    throw invalid(`a record of ${cells.length} cells does not fit ${columns.length} columns`);
  }
  for (let i = 0; i < cells.length; i++) checkCell(cells[i], columns?.[i]?.name ?? i, columns?.[i]?.type);
}

function checkCell(cell: unknown, column: string | number, wanted?: Column["type"]): asserts cell is Cell {
  if (cell === null) return;
  const type = cellType(cell);
  if (type === undefined || (wanted !== undefined && type !== wanted)) {
    throw invalid(`cell ${JSON.stringify(column)} is not ${wanted ?? "a bigint, a number, a string or null"}`);
  }
  if (typeof cell === "bigint" && (cell < -INT64 || cell >= INT64)) {
    throw invalid(`cell ${JSON.stringify(column)} is ${cell}, which needs more than 64 bits`);
  }
  if (Number.isNaN(cell)) throw invalid(`cell ${JSON.stringify(column)} is NaN; null is for a missing value`);
  if (type === "text") checkText(cell, `cell ${JSON.stringify(column)}`, MAX_CELL_BYTES);
}

function cellType(cell: unknown): Column["type"] | undefined {
  if (typeof cell === "bigint") return "decimal";
  if (typeof cell === "number") return "float";
  return typeof cell === "string" ? "text" : undefined;
}

function cellBytes(cell: Cell): Uint8Array {
  if (cell === null) return Uint8Array.of(CELL_CODES.null);
  const text = typeof cell === "string" ? utf8(cell) : undefined;
  const bytes = new Uint8Array(text === undefined ? 9 : 5 + text.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = CELL_CODES[cellType(cell)!];
  if (typeof cell === "bigint") view.setBigInt64(1, cell);
  else if (typeof cell === "number") view.setFloat64(1, cell);
  else {
    view.setUint32(1, text!.length);
    bytes.set(text!, 5);
  }
  return bytes;
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((size, piece) => size + piece.length, 0);
}

/** A part of a text without the rest of the character that the part before it cut, and without one that it cuts itself. */
function wholeCharacters(text: Uint8Array, cutBefore: boolean, cutAfter: boolean): Uint8Array {
  let from = 0;
  if (cutBefore) while (from < 3 && (text[from]! & 0xc0) === 0x80) from++;
  const whole = text.subarray(from);
  return cutAfter ? whole.subarray(0, whole.length - unfinished(whole)) : whole;
}
