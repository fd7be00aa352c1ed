import { describe, expect, it } from "vitest";
import { lcg } from "../../model/fixtures.js";
import { forge } from "../lib/forge.js";
import { bit, field, fieldElements, Gadget, R } from "./support.js";

const lane = (min: number, table: readonly number[]) =>
  Gadget.template("inference/table_lane.circom", `TableLane(${table.length}, ${min}, [${table.join(",")}])`);

/** Entries that no regularity makes cheaper. */
function irregular(count: number, seed: number): number[] {
  const random = lcg(seed);
  return Array.from({ length: count }, () => random(2_000_001) - 1_000_000);
}

/** A full witness from any bits but the highest, which the rows want to follow from the input. */
function claim(gadget: Gadget, input: bigint, bits: bigint) {
  const wires = gadget.wiresLike(/^bits\[/);
  return forge(
    gadget.r1cs,
    new Map([[gadget.wire("in"), input], ...wires.map((wire, i) => [wire, bit(bits, i)] as const)]),
  );
}

describe("TableLane", () => {
  it.each([
    [4, 3],
    [8, 5],
    [16, 9],
    [64, 21],
    [256, 45],
    // Its last entry is repeated up to the next power of two.
    [3, 3],
    [20, 13],
    [100, 29],
  ])("of %i irregular entries takes %i rows and gives every one of them", async (count, rows) => {
    const [min, table] = [-Math.floor(count / 2), irregular(count, count)];
    const gadget = await lane(min, table);
    expect(gadget.rows).toBe(rows);
    const random = fieldElements(21n);
    for (const [i, entry] of table.entries()) {
      const { witness, violated } = claim(gadget, BigInt(min + i), BigInt(i));
      expect(violated).toEqual([]);
      expect(witness[gadget.wire("out")]).toBe(field(BigInt(entry)));
      if (i % Math.ceil(count / 4) === 0 || i === count - 1) {
        const honest = await gadget.honest({ in: BigInt(min + i) });
        expect(honest).toEqual(witness);
        expect(gadget.looseWires(honest, random)).toEqual([]);
      }
    }
  });

  it.each<[string, number, number[]]>([
    ["a constant", 1, [7]],
    ["a constant of many entries", 1, new Array<number>(200).fill(-3)],
    ["two entries", 1, [5, -100]],
    ["the identity", 1, Array.from({ length: 256 }, (_, i) => i - 2)],
    ["a straight line", 1, Array.from({ length: 100 }, (_, i) => 40 - 3 * i)],
  ])("is linear where the table is: %s", async (_, rows, table) => {
    // One row for the constant and the identity as well: the output of a main component is a wire of its own. In a
    // circuit, they are none.
    const gadget = await lane(-2, table);
    expect(gadget.rows).toBeLessThanOrEqual(rows);
    expect(gadget.r1cs.a.wire.length + gadget.r1cs.b.wire.length).toBe(0);
    for (const [i, entry] of table.entries()) {
      const honest = await gadget.honest({ in: BigInt(i - 2) });
      expect(honest[gadget.wire("out")]).toBe(field(BigInt(entry)));
    }
  });

  const clamp = (x: number, lo: number, hi: number) => Math.min(hi, Math.max(lo, x));
  it.each<[string, number, (x: number) => number]>([
    // 8 rows for the bits, and then what the comment of the template counts.
    ["a step", 9, (x) => (x < 0 ? -5 : 120)],
    ["LeakyReLU, slope 1/16", 12, (x) => (x < 0 ? Math.floor(x / 16) : x)],
    ["LeakyReLU, slope 1/10", 35, (x) => (x < 0 ? Math.round(x / 10) : x)],
    ["a parabola", 40, (x) => x * x],
    ["HardSwish", 37, (x) => Math.round((x * clamp(x + 48, 0, 96)) / 96)],
    ["a sigmoid with flat ends", 39, (x) => Math.round(127 * clamp(0.5 + x / 120 - (x / 150) ** 3, 0, 1))],
  ])("costs less for a regular table: %s, %i rows", async (_, rows, apply) => {
    const table = Array.from({ length: 256 }, (__, i) => apply(i - 128) + 0);
    const gadget = await lane(-128, table);
    for (const [i, entry] of table.entries()) {
      const { witness, violated } = claim(gadget, BigInt(i - 128), BigInt(i));
      expect(violated).toEqual([]);
      expect(witness[gadget.wire("out")]).toBe(field(BigInt(entry)));
    }
    expect(gadget.looseWires(await gadget.honest({ in: -37n }), fieldElements(22n))).toEqual([]);
    expect(gadget.rows).toBe(rows);
  });

  it.each([2, 3, 5, 7])(
    "(%i bits): of all assignments of the bits, one is accepted inside the domain and none outside",
    async (bits) => {
      const limit = 2 ** bits;
      const [lo, table] = [-3, irregular(limit, 30 + bits)];
      const gadget = await lane(lo, table);
      const inside = [lo, lo + 1, lo + limit / 2, lo + limit - 1].map(BigInt);
      const outside = [BigInt(lo - 1), BigInt(lo + limit), BigInt(-limit), R / 2n, (R + 1n) / 2n, R / 3n];
      for (const input of [...inside, ...outside]) {
        const accepted: bigint[] = [];
        for (let assignment = 0n; assignment < limit / 2; assignment++) {
          const { witness, violated } = claim(gadget, input, assignment);
          if (violated.length === 0) accepted.push(witness[gadget.wire("out")]!);
        }
        expect(accepted).toEqual(inside.includes(input) ? [field(BigInt(table[Number(input) - lo]!))] : []);
      }
      await expect(gadget.honest({ in: BigInt(lo + limit) })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
      await expect(gadget.honest({ in: BigInt(lo - 1) })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
    },
  );

  it("has no witness for another entry, whatever stands in the bits", async () => {
    const table = irregular(256, 8);
    const gadget = await lane(-128, table);
    const bits = gadget.wiresLike(/^bits\[/);
    for (const input of [-128, -1, 0, 77]) {
      for (const other of [-128, -2, 1, 127].filter((each) => each !== input)) {
        // The other entry's own witness under this input, and this input's under the other entry.
        const theirs = await gadget.honest({ in: BigInt(other) });
        expect(gadget.violation(gadget.with(theirs, [[gadget.wire("in"), BigInt(input)]]))).not.toBe(-1);
        const fixed = [...bits, gadget.wire("out")].map((wire) => [wire, theirs[wire]!] as const);
        expect(forge(gadget.r1cs, new Map([[gadget.wire("in"), BigInt(input)], ...fixed])).violated).not.toEqual([]);
      }
      // Bits that are no bits, with the sum that they should have: 2 + 0 · 2 for 0 + 1 · 2, and a half for one.
      const honest = await gadget.honest({ in: BigInt(input) });
      const half = (R + 1n) / 2n;
      for (const [low, high] of [
        [2n, -1n],
        [-2n, 1n],
        [1n, -half],
        [-1n, half],
      ]) {
        const [b0, b1] = [honest[bits[0]!]! + low!, honest[bits[1]!]! + high!];
        const fixed = bits.map((wire, i) => [wire, i === 0 ? b0 : i === 1 ? b1 : honest[wire]!] as const);
        expect(forge(gadget.r1cs, new Map([[gadget.wire("in"), BigInt(input)], ...fixed])).violated).not.toEqual([]);
      }
    }
  });

  it.each([0, 257])("does not compile with %i entries", async (count) => {
    const instance = `TableLane(${count}, 0, [${new Array(257).fill(1).join(",")}])`;
    await expect(Gadget.template("inference/table_lane.circom", instance)).rejects.toMatchObject({
      code: "CIRCUIT_COMPILE",
    });
  });
});

describe("Table", () => {
  it("gives each lane its channel's table, over its own range", async () => {
    const tables = irregular(8, 5);
    const lanes = "[-1, -1, 0, -1, 1, 2], [2, 1, 2, 2, 1, 2]"; // the last two have one value
    const gadget = await Gadget.template(
      "inference/table.circom",
      `Table(6, 2, 2, -1, [${tables.join(",")}], ${lanes})`,
    );
    const honest = await gadget.honest({ in: [2n, 0n, 2n, -1n, 1n, 2n] });
    const out = [0, 1, 2, 3, 4, 5].map((i) => honest[gadget.wire(`out[${i}]`)]);
    expect(out).toEqual([3, 1, 3, 4, 6, 7].map((k) => field(BigInt(tables[k]!))));
    expect(gadget.rows).toBe(4 * 3 + 2);
    expect(gadget.looseWires(honest, fieldElements(23n))).toEqual([]);
  });
});
