import { describe, expect, it } from "vitest";
import {
  type ColumnTerms,
  columnClaim,
  columnExtremes,
  columnFamily,
  planColumn,
} from "../../../src/dataset/claims/column.js";
import type { ColumnClaim } from "../../../src/dataset/claims.js";
import { type Column, encodeCell } from "../../../src/dataset/record.js";
import { code } from "../../support/errors.js";
import { table } from "../circuit/tables.js";

const COLUMNS: Column[] = [
  { name: "price", type: "decimal", digits: 2 },
  { name: "weight", type: "float" },
  { name: "note", type: "text" },
];
const dataset = table(
  [
    { label: "a", cells: [350n, -0, "x"] },
    { label: "b", cells: [-50n, 2.5, "y"] },
    { label: "c", cells: [null, null, null] },
  ],
  COLUMNS,
  128,
);
const about = { ...dataset.commitment };

describe("a claim about a column", () => {
  it("is written in decimal texts", () => {
    expect(columnClaim(COLUMNS, { column: "price", min: "-3.50", max: "3.5", sum: true, attained: true })).toEqual({
      type: "column",
      column: 0,
      edges: [encodeCell(COLUMNS[0]!, -350n), encodeCell(COLUMNS[0]!, 350n) + 1n],
      histogram: false,
      sum: true,
      attained: true,
    });
    expect(columnClaim(COLUMNS, { column: "weight", bins: ["-Infinity", "0", "1.5"], label: "" })).toMatchObject({
      column: 1,
      edges: [-Infinity, 0, 1.5].map((edge) => encodeCell(COLUMNS[1]!, edge)),
      histogram: true,
      label: "",
    });
    expect(columnClaim(COLUMNS, { column: "price" }).edges).toEqual([1n, 2n ** 64n + 1n]);
  });

  it.each<[ColumnTerms]>([
    [{ column: "none" }],
    [{ column: "note" }],
    [{ column: "price", min: "1", bins: ["0", "1"] }],
    [{ column: "price", bins: ["0"] }],
    [{ column: "price", bins: [] }],
    [{ column: "price", bins: "0123" as unknown as string[] }],
    [{ column: "price", bins: ["1", "0"] }],
    [{ column: "price", bins: ["1", "1.00"] }],
    [{ column: "price", bins: Array.from({ length: 18 }, (_, i) => String(i)) }],
    [{ column: "price", min: "2", max: "1" }],
    [{ column: "price", min: "0.001" }],
    [{ column: "price", max: "92233720368547758.08" }],
    [{ column: "price", attained: true, min: "1" }],
    [{ column: "weight", sum: true }],
    [{ column: "weight", max: "1e999" }],
    [{ column: "price", order: "descending" as "strict" }],
    [{ column: "price", order: "strict", label: "a" }],
    [{ column: "price", label: "\udfff" }],
    [{ column: "price", sum: 1 as unknown as boolean }],
  ])("is refused where it makes no sense: %j", (terms) => {
    expect(() => columnClaim(COLUMNS, terms)).toThrow(code("CLAIM_INVALID"));
  });

  it("is checked by whoever verifies it", () => {
    const claim = columnClaim(COLUMNS, { column: "price", bins: ["0", "1"] });
    const { from, to } = { from: claim.edges[0]!, to: claim.edges[1]! };
    for (const edges of [[from], [to, from], [from, from], [0n, to], [from, 2n ** 64n + 2n], [from, 3]]) {
      const wrong = { ...claim, edges } as ColumnClaim;
      expect(() => columnFamily.signals(wrong, about), String(edges)).toThrow(code("CLAIM_INVALID"));
    }
    for (const column of [-1, 1.5, 3, Number.NaN, "price", "length", 2]) {
      const wrong = { ...claim, column } as ColumnClaim;
      expect(() => columnFamily.signals(wrong, about), String(column)).toThrow(code("CLAIM_INVALID"));
    }
    // Not a number has no place in the order of floats.
    const weights = { ...columnClaim(COLUMNS, { column: "weight" }) };
    const [least, most] = weights.edges as [bigint, bigint];
    for (const edges of [
      [least - 1n, most],
      [least, most + 1n],
    ]) {
      expect(() => columnFamily.signals({ ...weights, edges }, about)).toThrow(code("CLAIM_INVALID"));
    }
  });

  it("is about the columns of the root", () => {
    const columns: Column[] = [{ name: "price", type: "decimal", digits: 3 }, ...COLUMNS.slice(1)];
    const claim = columnClaim(columns, { column: "price" });
    expect(() => columnFamily.signals(claim, { ...about, columns })).toThrow(code("CLAIM_INVALID"));
  });

  it("has another signal with anything else in it", () => {
    const claim = columnClaim(COLUMNS, { column: "price", min: "0", max: "1" });
    const claims = [
      claim,
      { ...claim, column: 1 },
      { ...claim, label: "" },
      { ...claim, label: "a" },
      { ...claim, histogram: true },
      { ...claim, sum: true },
      { ...claim, attained: true },
      { ...claim, order: "ascending" as const },
      { ...claim, order: "strict" as const },
      { ...claim, edges: [claim.edges[0]!, claim.edges[1]! + 1n] },
      { ...claim, edges: [claim.edges[0]!, claim.edges[0]! + 1n, claim.edges[1]!] },
    ].map(
      (each): ColumnClaim =>
        each.column === 1 ? { ...each, edges: columnClaim(COLUMNS, { column: "weight" }).edges } : each,
    );
    const signals = claims.map((each) => columnFamily.signals(each, about).datasetColumn);
    expect(new Set(signals).size).toBe(claims.length);
  });

  it("can name the extremes that there are", () => {
    expect(columnExtremes(dataset, { column: "price" })).toEqual({ min: "-0.50", max: "3.50" });
    expect(columnExtremes(dataset, { column: "weight", label: "a" })).toEqual({ min: "-0", max: "-0" });
    expect(columnExtremes(dataset, { column: "price", label: "c" })).toBeUndefined();
    expect(() => columnExtremes(dataset, { column: "note" })).toThrow(code("CLAIM_INVALID"));
    const terms = { column: "price", ...columnExtremes(dataset, { column: "price" })!, attained: true };
    const claim = columnClaim(COLUMNS, terms);
    const last = [...planColumn(dataset, claim)].at(-1)!.after;
    expect(columnFamily.result(claim, last, dataset.commitment.opening)).toEqual({
      counted: 2,
      missing: 1,
      min: claim.edges[0],
      max: claim.edges[1]! - 1n,
    });
  });
});
