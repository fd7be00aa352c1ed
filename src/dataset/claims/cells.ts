/**
 * Cells in people's terms, and as the elements that circuits compare.
 *
 * @module
 */

import { type Column, encodeCell } from "../record.js";
import { claimInvalid } from "./chunks.js";
import { keyText } from "./keys.js";

/** Added to decimals; all cells are encoded one higher, as 0 is for none. */
export const DECIMAL_OFFSET = 2n ** 63n;

/** A column whose cells have an order. */
export type NumberColumn = Column & { readonly type: "decimal" | "float" };

/** @throws CLAIM_INVALID for a column of texts, and where there is no such column */
export function numberColumn(columns: readonly Column[], index: number): NumberColumn {
  const column = Number.isInteger(index) ? columns[index] : undefined;
  if (!column) throw claimInvalid(`the dataset has ${columns.length} columns and none is number ${String(index)}`);
  if (column.type === "text") throw claimInvalid(`column ${JSON.stringify(column.name)} has texts, not numbers`);
  return column as NumberColumn;
}

/** The least encoded cell of a column, and one more than the largest: all decimals, or from -Infinity to Infinity. */
export function cellBounds(column: NumberColumn): { from: bigint; to: bigint } {
  if (column.type === "decimal") return { from: 1n, to: 2n ** 64n + 1n };
  return { from: encodeCell(column, -Infinity), to: encodeCell(column, Infinity) + 1n };
}

/** `value · 10^digits` of a decimal text, exactly: "-3.50". @throws CLAIM_INVALID */
export function parseDecimal(text: string, digits: number): bigint {
  const [, sign, whole, fraction = ""] = /^(-?)(\d{1,40})(?:\.(\d{1,40}))?$/.exec(text) ?? [];
  if (whole === undefined) throw claimInvalid(`${JSON.stringify(text)} is not a decimal number`);
  if (/[^0]/.test(fraction.slice(digits))) {
    throw claimInvalid(`${text} has more than the column's ${digits} digits after the point`);
  }
  const value = BigInt(whole + fraction.slice(0, digits).padEnd(digits, "0"));
  return sign === "-" ? -value : value;
}

/** The decimal text of `value / 10^digits`, with all its digits: "-3.50". */
export function decimalText(value: bigint, digits: number): string {
  const text = (value < 0n ? -value : value).toString().padStart(digits + 1, "0");
  const [whole, fraction] = [text.slice(0, text.length - digits), text.slice(text.length - digits)];
  return `${value < 0n ? "-" : ""}${whole}${digits > 0 ? `.${fraction}` : ""}`;
}

/**
 * A text as an encoded cell: a decimal exactly by the column's digits, a float as the nearest one ("-0" lies below "0").
 *
 * @throws CLAIM_INVALID
 */
export function parseCell(column: NumberColumn, text: string): bigint {
  const encoded = parseEdge(column, text);
  if (encoded >= cellBounds(column).to) throw claimInvalid(`${text} needs more than 64 bits`);
  return encoded;
}

/** As {@link parseCell}, and of a decimal column also one more than the largest cell, which a bin may end with. */
export function parseEdge(column: NumberColumn, text: string): bigint {
  if (typeof text !== "string") throw claimInvalid("cells are given as text");
  if (column.type === "decimal") {
    const value = parseDecimal(text, column.digits ?? 0);
    if (value < -DECIMAL_OFFSET || value > DECIMAL_OFFSET) throw claimInvalid(`${text} needs more than 64 bits`);
    return value + DECIMAL_OFFSET + 1n;
  }
  const isInfinite = /^-?Infinity$/.test(text);
  const value = /^-?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,4})?$/.test(text) || isInfinite ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw claimInvalid(`${JSON.stringify(text)} is not a number`);
  if (!Number.isFinite(value) && !isInfinite) throw claimInvalid(`${text} is beyond the largest float`);
  return encodeCell(column, value);
}

/** The text of an encoded cell that is not missing; {@link parseCell} reads it back. */
export function cellText(column: NumberColumn, encoded: bigint): string {
  if (column.type === "decimal") return decimalText(encoded - 1n - DECIMAL_OFFSET, column.digits ?? 0);
  return keyText("f64", encoded - 1n);
}
