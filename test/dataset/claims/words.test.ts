/** What claims are said to show: no more than their circuits do. */
import { describe, expect, it } from "vitest";
import { type ClaimResult, claimFamily, describeClaim } from "../../../src/dataset/claims/families.js";
import type { Claim } from "../../../src/dataset/claims.js";
import type { RootOpening } from "../../../src/dataset/layout.js";
import { type Column, encodeCell, recordKind } from "../../../src/dataset/record.js";
import { code } from "../../support/errors.js";

const OPENING: RootOpening = { depth: 2, top: 5n, totals: { records: 2, blocks: 4, values: 6 }, schema: 0n };
const words = (claim: Claim, result: ClaimResult, columns: readonly Column[] = []) =>
  describeClaim(claim, result, { opening: OPENING, columns });

describe("the words of a claim", () => {
  it("name the scale of integers", () => {
    const scaled = recordKind({ dtype: "i16", shape: [3], scale: { base: 10, exponent: -2 } });
    const half = 2n ** 15n;
    const claim = { type: "numbers", kind: scaled, min: half - 5n, max: half + 500n } as const;
    expect(words(claim, OPENING.totals).proven).toEqual([
      "all 2 records: i16, and its data is known",
      "all 6 numbers: -5 to 500, each times 10^-2",
    ]);
    const plain = { ...claim, kind: recordKind({ dtype: "i16", shape: [3] }) };
    expect(words(plain, OPENING.totals).proven[1]).toBe("all 6 numbers: -5 to 500");
  });

  it("do not say that the same bytes stand in a dataset once", () => {
    const { proven, notProven } = words({ type: "distinct" }, { records: 2 });
    expect(proven).toEqual(["no two of all 2 records have the same type, shape, data and cells"]);
    expect(notProven.join()).toContain("the same bytes do not stand there as another type or shape");
  });

  it("do not take lengths in descriptions for those of data", () => {
    const { proven, notProven } = words({ type: "integrity" }, OPENING.totals);
    expect(proven.join()).toContain("the lengths in their descriptions add up to 6");
    expect(notProven.join()).toContain("as many as those lengths");
  });

  it("tell the order of floats, in which there are two zeros", () => {
    const column = { name: "x", type: "float" } as const;
    const edges = [encodeCell(column, -0), encodeCell(column, 0) + 1n];
    const flags = { histogram: false, sum: false, attained: false, order: "strict" } as const;
    const { proven } = words({ type: "column", column: 0, edges, ...flags }, { counted: 2, missing: 0 }, [column]);
    expect(proven).toContain('records are sorted by "x", each more than the one before, -0 below 0');
  });

  it("are none for claims that there are not", () => {
    for (const type of ["beautiful", "constructor", "__proto__"]) {
      expect(() => claimFamily({ type } as never)).toThrow(code("CLAIM_INVALID"));
    }
  });
});
