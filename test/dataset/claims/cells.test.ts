import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cellBounds,
  cellText,
  decimalText,
  type NumberColumn,
  parseCell,
  parseDecimal,
  parseEdge,
} from "../../../src/dataset/claims/cells.js";
import { encodeCell } from "../../../src/dataset/record.js";
import { code } from "../../support/errors.js";

const decimal = (digits: number): NumberColumn => ({ name: "d", type: "decimal", digits });
const FLOAT: NumberColumn = { name: "f", type: "float" };

describe("cells as text", () => {
  it.each([
    ["-3.50", 2, -350n],
    ["3.5", 2, 350n],
    ["3.500", 2, 350n],
    ["007", 0, 7n],
    ["-0", 3, 0n],
    ["0.001", 3, 1n],
    ["-0.01", 2, -1n],
  ])("reads %s with %i digits exactly", (text, digits, value) => {
    expect(parseDecimal(text, digits)).toBe(value);
  });

  it.each(["", "-", ".5", "5.", "1e3", "+1", "1,5", " 1", "0x1", "3.501", "NaN", "1_0", "٣", "1".repeat(41)])(
    "refuses %j as a decimal",
    (text) => {
      expect(() => parseDecimal(text, 2)).toThrow(code("CLAIM_INVALID"));
    },
  );

  it.each(["", "1,5", "NaN", "infinity", "1e", "1e400", "0x1", " 1", ".5"])("refuses %j as a float", (text) => {
    expect(() => parseCell(FLOAT, text)).toThrow(code("CLAIM_INVALID"));
  });

  it("refuses what is no text, or beyond 64 bits", () => {
    expect(() => parseCell(decimal(0), 3 as unknown as string)).toThrow(code("CLAIM_INVALID"));
    for (const text of ["9223372036854775808", "-9223372036854775809"]) {
      expect(() => parseCell(decimal(0), text)).toThrow(code("CLAIM_INVALID"));
    }
    expect(parseEdge(decimal(0), "9223372036854775808")).toBe(cellBounds(decimal(0)).to);
    expect(() => parseEdge(decimal(0), "9223372036854775809")).toThrow(code("CLAIM_INVALID"));
  });

  it("gives back every decimal", () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.nat(18), (value, digits) => {
        const column = decimal(digits);
        const encoded = encodeCell(column, value);
        expect(cellText(column, encoded)).toBe(decimalText(value, digits));
        expect(parseCell(column, cellText(column, encoded))).toBe(encoded);
      }),
    );
  });

  it("gives back every float, in its order", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
        const [x, y] = [a, b].map((value) => encodeCell(FLOAT, value)) as [bigint, bigint];
        expect(parseCell(FLOAT, cellText(FLOAT, x))).toBe(x);
        if (a < b) expect(x < y).toBe(true);
        const { from, to } = cellBounds(FLOAT);
        expect(from <= x && x < to).toBe(true);
      }),
    );
    expect(parseCell(FLOAT, "-0")).toBe(parseCell(FLOAT, "0") - 1n);
  });
});
