import { describe, expect, it } from "vitest";
import { lcg } from "../../model/fixtures.js";
import { forge } from "../lib/forge.js";
import { field, fieldElements, Gadget, R } from "./support.js";

function entriesOf(rows: number, width: number): number[] {
  const random = lcg(rows * width);
  return Array.from({ length: rows * width }, () => random(65_535) - 32_767);
}

const lookup = (rows: number, width: number, entries: readonly number[], min = 0, max = rows) =>
  Gadget.template(
    "inference/lookup_row.circom",
    `LookupRow(${rows}, ${width}, [${entries.join(",")}], ${min}, ${max})`,
  );

const marksOf = (gadget: Gadget) => gadget.wiresLike(/^mark\[/);

const claim = (gadget: Gadget, index: bigint, marks: readonly bigint[]) =>
  forge(
    gadget.r1cs,
    new Map([[gadget.wire("index"), index], ...marksOf(gadget).map((wire, i) => [wire, marks[i]!] as const)]),
  );

describe("LookupRow", () => {
  it.each([
    [3, 1],
    [5, 4],
    [40, 3],
    [2, 2],
  ])("of %i rows of %i entries: rows + 2 and one an output, every row found, no wire free", async (rows, width) => {
    const entries = entriesOf(rows, width);
    const gadget = await lookup(rows, width, entries);
    expect(gadget.rows).toBe(rows + 2 + width);
    for (let index = 0; index < rows; index++) {
      const honest = await gadget.honest({ index: BigInt(index) });
      const out = Array.from({ length: width }, (_, j) => honest[gadget.wire(`out[${j}]`)]);
      expect(out).toEqual(entries.slice(index * width, (index + 1) * width).map((entry) => field(BigInt(entry))));
      if (index < 5) expect(gadget.looseWires(honest, fieldElements(51n))).toEqual([]);
    }
    // The outputs' rows and the sums are linear: the prover pays for the marks alone.
    expect(gadget.r1cs.b.wire.length).toBe(rows);
  });

  it("accepts, of all marks of 0, 1 and others, only the one at the index, and none for an index outside", async () => {
    const gadget = await lookup(4, 1, [10, -20, 30, -40]);
    const digits = [0n, 1n, 2n, R - 1n, (R + 1n) / 2n];
    for (const index of [0n, 1n, 3n, 4n, 6n, R - 1n, (R + 1n) / 2n]) {
      const accepted: bigint[][] = [];
      for (let code = 0; code < digits.length ** 4; code++) {
        const marks = [0, 1, 2, 3].map((i) => digits[Math.floor(code / digits.length ** i) % digits.length]!);
        if (claim(gadget, index, marks).violated.length === 0) accepted.push(marks);
      }
      expect(accepted).toEqual(index < 4n ? [[0n, 1n, 2n, 3n].map((i) => (i === index ? 1n : 0n))] : []);
    }
    for (const index of [4n, -1n]) {
      await expect(gadget.honest({ index })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
    }
  });

  it("has no witness for two marks whose numbers sum to the index, nor for fractions of two rows", async () => {
    const gadget = await lookup(6, 2, entriesOf(6, 2));
    const marks = (hot: Record<number, bigint>) => [0, 1, 2, 3, 4, 5].map((i) => hot[i] ?? 0n);
    expect(claim(gadget, 5n, marks({ 5: 1n })).violated).toEqual([]);
    expect(claim(gadget, 5n, marks({ 2: 1n, 3: 1n })).violated).not.toEqual([]);
    expect(claim(gadget, 3n, marks({ 0: 1n, 3: 1n })).violated).not.toEqual([]); // number 0 adds nothing
    expect(claim(gadget, 3n, marks({ 1: 1n, 2: 1n, 0: -1n })).violated).not.toEqual([]);
    const half = (R + 1n) / 2n;
    expect(claim(gadget, 3n, marks({ 1: half, 5: half })).violated).not.toEqual([]); // the mean of rows 1 and 5
    expect(claim(gadget, 0n, marks({})).violated).not.toEqual([]); // none at all
  });

  it.each<[string, number, number, number]>([
    ["a part in the middle", 1, 3, 3 + 2 + 1],
    ["the last one, of a range that goes on", 4, 9, 2 + 2 + 1],
    ["the first two", 0, 1, 2 + 2 + 1],
    ["one index, for which it takes none", 2, 2, 2], // but those of main outputs
  ])("takes rows only for what the proven range leaves: %s", async (_, min, max, rows) => {
    const entries = [1, 7, 3, 7, 5, 7, 9, 7, 0, 8]; // the second column is constant but for the last row
    const gadget = await lookup(5, 2, entries, min, max);
    expect(gadget.rows).toBeGreaterThanOrEqual(rows);
    expect(gadget.rows).toBeLessThanOrEqual(rows + 1);
    for (let index = min; index <= Math.min(max, 4); index++) {
      const honest = await gadget.honest({ index: BigInt(index) });
      expect([0, 1].map((j) => honest[gadget.wire(`out[${j}]`)])).toEqual(
        entries.slice(2 * index, 2 * index + 2).map(BigInt),
      );
      expect(gadget.looseWires(honest, fieldElements(52n))).toEqual([]);
    }
    if (max >= 5) await expect(gadget.honest({ index: 5n })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
  });

  it.each([
    [1, 0, 0],
    [3, -1, 2],
    [3, 2, 1],
  ])("does not compile for %i rows and indices from %i to %i", async (rows, min, max) => {
    const entries = entriesOf(rows, 1);
    await expect(lookup(rows, 1, entries, min, max)).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});

describe("Lookup", () => {
  it("keeps the indices apart", async () => {
    const gadget = await Gadget.template(
      "inference/lookup.circom",
      "Lookup(3, 3, 2, [1, 2, 3, 4, 5, 6], [0, 0, 0], [3, 2, 3])",
    );
    const honest = await gadget.honest({ in: [2n, 0n, 2n] });
    expect([0, 1, 2, 3, 4, 5].map((k) => honest[gadget.wire(`out[${k}]`)])).toEqual([5n, 6n, 1n, 2n, 5n, 6n]);
    expect(gadget.rows).toBe(3 * (3 + 2 + 2));
    expect(gadget.looseWires(honest, fieldElements(53n))).toEqual([]);
  });
});
