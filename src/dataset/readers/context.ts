/**
 * What the readers of all formats share.
 *
 * @module
 */
import { MAX_TEXT_BYTES } from "../layout.js";
import { type Cell, type Column, type DatasetRecord, DTYPES, partCount, partOf, partValues } from "../record.js";
import type { RecordSource, Source, SourcedRecord } from "./source.js";

/** What a reader is told beside the file. */
export interface Context {
  /** Name and label that records of this file have unless they have their own, and a null cell for each column. */
  readonly fields: { readonly name: string; readonly label: string; readonly cells: readonly Cell[] };
  /** Of tables. */
  readonly columns: readonly Column[];
  /** Null cells of the columns after those. */
  readonly extra: readonly Cell[];
  readonly options: FormatOptions;
}

/** Fields of a JSON object, or columns of a table, that are no cells. */
export interface FormatOptions {
  readonly name?: string | undefined;
  readonly label?: string | undefined;
  readonly content?: string | undefined;
  readonly whole?: boolean | undefined;
}

/** A format: batches of records, in order. Reads the file to its end. */
export type Format = (source: Source, context: Context) => AsyncGenerator<SourcedRecord[]>;

export function emit(
  { path }: Source,
  records: readonly DatasetRecord[],
  where: Omit<RecordSource, "path">,
): SourcedRecord[] {
  return records.map((record) => ({ record, source: { path, ...where } }));
}

/** Numbers in a file, if they are not written as a record's are. */
export interface Conversion {
  /** Bytes of a number in the file, if other than in the record. */
  readonly size?: number;
  /** In place, or into memory of its own. */
  convert(data: Buffer, at: number): Uint8Array;
}

/** Reads the next `values` numbers of the file as the parts of one record. Never holds more than one. */
export async function* streamParts(
  source: Source,
  whole: Omit<DatasetRecord, "data">,
  values: number,
  conversion?: Conversion,
): AsyncGenerator<DatasetRecord> {
  const { dtype } = whole;
  const size = conversion?.size ?? DTYPES[dtype].size;
  const each = partValues(dtype);
  const parts = partCount(dtype, values);
  for (let part = 0; part < parts; part++) {
    const offset = source.offset;
    const data = await source.take(size * Math.min(each, values - part * each), "its data");
    yield partOf(whole, part, parts, plain(conversion?.convert(data, offset) ?? data));
  }
}

/** Not a Buffer, whose `slice` is another. */
export function plain(data: Uint8Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.length);
}

/** What is wrong with a name or label. */
export function tooLong(text: string): string | undefined {
  if (3 * text.length <= MAX_TEXT_BYTES || Buffer.byteLength(text) <= MAX_TEXT_BYTES) return undefined;
  return `a name or label of more than ${MAX_TEXT_BYTES} bytes`;
}

/** @throws DATASET_MALFORMED for a truth value that is neither 0 nor 1 */
export function checkBools(source: Source, data: Uint8Array, at: number): void {
  const wrong = data.findIndex((byte) => byte > 1);
  if (wrong < 0) return;
  const offset = at + wrong;
  throw source.malformed(`has ${data[wrong]} for a truth value, at byte ${offset}`, { offset });
}

/** Numbers of the other byte order, in place. */
export function swapBytes(data: Buffer, size: number): Buffer {
  if (size === 2) data.swap16();
  else if (size === 4) data.swap32();
  else if (size === 8) data.swap64();
  return data;
}
