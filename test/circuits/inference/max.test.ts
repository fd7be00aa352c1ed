import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { forge } from "../lib/forge.js";
import { bit, field, fieldElements, Gadget, R } from "./support.js";

const maxPair = (bits: number) => Gadget.template("inference/max_pair.circom", `MaxPair(${bits})`);
const max = (window: number, ranges: readonly (readonly [min: number, max: number])[]) => {
  const [min, most] = [ranges.map((range) => range[0]), ranges.map((range) => range[1])];
  const parameters = [ranges.length / window, window, `[${min.join(", ")}]`, `[${most.join(", ")}]`];
  return Gadget.template("inference/max.circom", `Max(${parameters.join(", ")})`);
};
const INT8 = [-128, 127] as const;

// biome-ignore lint/complexity/useMathMinMax: bigints
const largest = (values: readonly bigint[]) => values.reduce((best, v) => (v > best ? v : best));

/** A full witness for a claimed maximum; the bits are those of the lead, or of what is given for it. */
function claim(gadget: Gadget, a: bigint, b: bigint, out: bigint, lead = 2n * out - a - b) {
  const fixed = new Map([
    [gadget.wire("a"), a],
    [gadget.wire("b"), b],
    [gadget.wire("out"), out],
  ]);
  gadget.wiresLike(/^bits\[/).forEach((wire, i) => {
    fixed.set(wire, bit(lead, i));
  });
  return forge(gadget.r1cs, fixed);
}

describe("MaxPair", () => {
  it.each([1, 2, 8, 33, 64])("of %i bits: the row count, and no wire that can be changed", async (bits) => {
    const gadget = await maxPair(bits);
    expect(gadget.rows).toBe(bits + 1);
    const random = fieldElements(31n);
    const range = 1n << BigInt(bits);
    for (const [a, b] of [
      [-range / 2n, range / 2n - 1n],
      [range / 2n - 1n, -range / 2n],
      [0n, 0n],
      [-1n, 0n],
      [5n, 5n],
    ] as const) {
      const honest = await gadget.honest({ a, b });
      expect(honest[gadget.wire("out")]).toBe(field(largest([a, b])));
      expect(gadget.looseWires(honest, random)).toEqual([]);
      expect(claim(gadget, a, b, largest([a, b]))).toEqual({ witness: honest, violated: [] });
      expect(gadget.looseCarries(honest, gadget.wiresLike(/^bits\[/))).toEqual([]);
    }
  });

  it("accepts no other maximum, whatever the bits: every pair of 3 bits", async () => {
    const gadget = await maxPair(3);
    const interval = [-4n, -3n, -1n, 0n, 2n, 3n];
    const half = (R + 1n) / 2n;
    for (const a of interval) {
      for (const b of interval) {
        const accepted = new Set<bigint>();
        // The members, bounds that are no members, and the mean, which leads by nothing.
        for (const out of [...interval, 4n, -a, a + b, (a + b) * half]) {
          for (let bits = 0n; bits < 4n; bits++) {
            if (claim(gadget, a, b, out, bits).violated.length === 0) accepted.add(field(out));
          }
        }
        expect([...accepted]).toEqual([field(largest([a, b]))]);
      }
    }
  });

  it("has no witness for the smaller, a larger value or the mean, at full width", async () => {
    const gadget = await maxPair(33);
    const [lo, hi] = [-(2n ** 31n), 2n ** 31n - 1n];
    const value = fc.oneof(fc.constantFrom(lo, hi, 0n, 1n, -1n), fc.bigInt(lo, hi), fc.bigInt(-3n, 3n));
    fc.assert(
      fc.property(value, value, fc.bigInt(lo, 2n * hi), (a, b, other) => {
        const top = largest([a, b]);
        expect(claim(gadget, a, b, top).violated).toEqual([]);
        for (const out of [a, b, top + 1n, other, (a + b) * ((R + 1n) / 2n)]) {
          if (field(out) === field(top)) continue;
          expect(claim(gadget, a, b, out).violated).not.toEqual([]);
          expect(claim(gadget, a, b, out, a + b - 2n * out).violated).not.toEqual([]); // the lead's opposite
        }
      }),
      { numRuns: 150 },
    );
  });

  // The two holes of comparators: inputs that nobody ranges, and a sign from 254 bits, which x and x + r share.
  it("unranged comparator input: has no alias by the modulus, and no witness for values that are too far apart", async () => {
    const wide = await maxPair(64);
    expect(claim(wide, 0n, 1n, 1n).violated).toEqual([]);
    // The smaller: its lead is -1, in the field r - 1, which has 254 bits.
    for (const lead of [-1n, R - 1n, 1n, 2n ** 64n - 1n]) {
      expect(claim(wide, 0n, 1n, 0n, lead).violated).not.toEqual([]);
    }
    const narrow = await maxPair(3);
    for (const [a, b] of [
      [0n, 8n],
      [-5n, 3n],
      [3n, -5n],
      [R / 2n, 0n],
    ] as const) {
      for (const out of [a, b]) {
        for (let bits = 0n; bits < 4n; bits++) expect(claim(narrow, a, b, out, bits).violated).not.toEqual([]);
      }
      await expect(narrow.honest({ a, b })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
    }
  });

  it.each([0, 65])("does not compile with %i bits", async (bits) => {
    await expect(maxPair(bits)).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});

describe("Max", () => {
  it("takes 27 rows for 2x2 values of 8 bits, and finds the largest wherever it stands", async () => {
    const gadget = await max(4, [INT8, INT8, INT8, INT8]);
    expect(gadget.rows).toBe(27);
    const random = fieldElements(32n);
    for (const values of [
      [-128n, 127n, 0n, 5n],
      [127n, -128n, -128n, -128n],
      [3n, 3n, 3n, 3n],
      [-4n, -3n, -2n, -1n],
      [-1n, -2n, 9n, -4n],
    ]) {
      const honest = await gadget.honest({ in: values });
      expect(honest[gadget.wire("out[0]")]).toBe(field(largest(values)));
      expect(gadget.looseWires(honest, random)).toEqual([]);
    }
  });

  it("keeps the windows apart, each as wide as its ranges", async () => {
    const bit: [number, number] = [6, 7];
    const three: [number, number] = [-1, 6];
    const gadget = await max(3, [bit, bit, bit, three, three, three, [-300, 5], [0, 211], [-1, 0]]);
    // The last value cannot be the largest, and the first may lie 511 below the second.
    expect(gadget.rows).toBe(2 * 2 + 2 * 4 + 10);
    const honest = await gadget.honest({ in: [7n, 6n, 7n, -1n, 6n, 2n, -300n, 5n, 0n] });
    expect([0, 1, 2].map((m) => honest[gadget.wire(`out[${m}]`)])).toEqual([7n, 6n, 5n]);
    expect(gadget.looseWires(honest, fieldElements(33n))).toEqual([]);
  });

  it("leaves out what cannot be the largest: padding, and values below the others' ranges", async () => {
    const pad: [number, number] = [-128, -128];
    const gadget = await max(4, [pad, [0, 5], pad, [-128, 7], [3, 3], [-9, 3], [3, 3], [-1, 2]]);
    // One pair of 8 bits: 7 + 128 does not fit 7. The second window is a copy of its first 3.
    expect(gadget.rows).toBe(9);
    for (const [a, b] of [
      [0n, -128n],
      [5n, 7n],
      [3n, 3n],
    ] as const) {
      const honest = await gadget.honest({ in: [-128n, a, -128n, b, 3n, -9n, 3n, 2n] });
      expect([0, 1].map((m) => honest[gadget.wire(`out[${m}]`)])).toEqual([largest([a, b]), 3n]);
      const loose = gadget.looseWires(honest, fieldElements(34n));
      expect(loose.filter((wire) => !wire.startsWith("out[1]"))).toEqual([]); // out[1] is in[4], an input
    }
  });

  it("has no witness for a maximum that is none of the values, though it bounds all of them", async () => {
    const gadget = await max(3, [INT8, INT8, INT8]);
    const values = [4n, -7n, 2n];
    const honest = await gadget.honest({ in: values });
    const steps = [gadget.wire("pair[0].out"), gadget.wire("out[0]")];
    // Every pair of claims for the two steps, with all bits solved for them.
    const candidates = [4n, -7n, 2n, 5n, 100n, 3n, -1n];
    const accepted: bigint[][] = [];
    for (const first of candidates) {
      for (const second of candidates) {
        const fixed = new Map([
          ...values.map((value, i) => [gadget.wire(`in[${i}]`), value] as const),
          ...steps.map((wire, i) => [wire, [first, second][i]!] as const),
        ]);
        for (const [step, lead] of [2n * first - 4n + 7n, 2n * second - first - 2n].entries()) {
          gadget.wiresLike(new RegExp(`^pair\\[${step}\\]\\.bits`)).forEach((wire, i) => {
            fixed.set(wire, bit(lead, i));
          });
        }
        const { witness, violated } = forge(gadget.r1cs, fixed);
        if (violated.length > 0) continue;
        expect(witness).toEqual(honest);
        accepted.push([first, second]);
      }
    }
    expect(accepted).toEqual([[4n, 4n]]);
  });

  it("does not compile for windows of one value", async () => {
    await expect(max(1, [INT8])).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});
