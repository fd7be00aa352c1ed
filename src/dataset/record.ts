/**
 * Records, and the elements that describe them.
 *
 * @module
 */

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
  /** As many as the dataset has columns. */
  readonly cells?: readonly Cell[] | undefined;
  /** Number of this part, from 0; parts but the last hold ⌊2^20 / size⌋ values each. 0 of 1 unless told. */
  readonly part?: number | undefined;
  readonly parts?: number | undefined;
  /** Bytes, UTF-8, or numbers in little-endian order. */
  readonly data: Uint8Array;
}
