/**
 * Cells from text, and the types of columns from the cells that stand in them.
 *
 * @module
 */
import { type Cell, type Column, MAX_CELL_BYTES } from "../record.js";

/** One spelling a number, but for zeros after the point: "007" is a code, not a number. */
const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;
/** Digits that a decimal column has room for. */
const MAX_DIGITS = 18;
const INT64 = 2n ** 63n;
const POWERS = Array.from({ length: MAX_DIGITS + 1 }, (_, i) => 10n ** BigInt(i));

/** A cell of a column, or what is wrong with the text. */
export function numberCell({ type, digits = 0 }: Column, text: string): Cell | { wrong: string } {
  if (type === "float") {
    const value = NUMBER.test(text) ? Number(text) : Number.NaN;
    return Number.isFinite(value) ? value : { wrong: "is not a number of a float column" };
  }
  if (text.length > 64 || !DECIMAL.test(text)) return { wrong: "is not a decimal number" };
  const point = text.indexOf(".");
  const after = point < 0 ? 0 : text.length - point - 1;
  if (after > digits) return { wrong: `has ${after} digits after the point; the column has ${digits}` };
  const whole = point < 0 ? text : text.slice(0, point) + text.slice(point + 1);
  // Small ones by way of a double, which is faster.
  const value = (whole.length < 16 ? BigInt(Number(whole)) : BigInt(whole)) * POWERS[digits - after]!;
  return value >= -INT64 && value < INT64 ? value : { wrong: `needs more than 64 bits with ${digits} digits` };
}

/** What is wrong with a cell of text, if anything is. */
export function textProblem(text: string): string | undefined {
  if (3 * text.length > MAX_CELL_BYTES && Buffer.byteLength(text) > MAX_CELL_BYTES) {
    return `is longer than ${MAX_CELL_BYTES} bytes`;
  }
  return undefined;
}

/** Finds the type of a column: decimal where that loses nothing, else float where all are numbers, else text. */
export class TypeGuess {
  /** Most digits before the point, and after it. */
  #before = 0;
  #after = 0;
  #numbers = 0;
  #decimal = true;
  #fractions = false;
  #text = false;

  /** Takes in a cell that is not empty. */
  add(text: string): void {
    if (this.#text) return;
    this.#numbers++;
    if (text.length <= 64 && DECIMAL.test(text)) {
      const sign = text.charCodeAt(0) === 45 ? 1 : 0;
      const point = text.indexOf(".");
      const before = (point < 0 ? text.length : point) - sign;
      const leading = text.charCodeAt(sign) === 48 ? 0 : before;
      if (leading > this.#before) this.#before = leading;
      if (point >= 0) {
        this.#fractions = true;
        const after = text.length - point - 1;
        if (after > this.#after) this.#after = after;
      }
      return;
    }
    this.#decimal = false;
    if (/[.eE]/.test(text)) this.#fractions = true;
    this.#text = !(NUMBER.test(text) && Number.isFinite(Number(text)));
  }

  type(): Omit<Column, "name"> {
    if (this.#text || this.#numbers === 0) return { type: "text" };
    if (this.#decimal && this.#before + this.#after <= MAX_DIGITS) return { type: "decimal", digits: this.#after };
    // Long integers are names of things: as floats, different ones would become one.
    return { type: this.#fractions ? "float" : "text" };
  }
}
