import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bit, field, fieldElements, Gadget, R } from "./support.js";

const argMax = (width: number, bits: number) => Gadget.template("inference/argmax.circom", `ArgMax(${width}, ${bits})`);

const winner = (values: readonly bigint[]) => values.reduce((best, v, i) => (v > values[best]! ? i : best), 0);

/**
 * A witness from any marks: products, maximum, differences with their low bits, and the index follow as the rows want
 * them.
 */
function forge(
  gadget: Gadget,
  base: bigint[],
  bits: number,
  values: readonly bigint[],
  marks: readonly bigint[],
): bigint[] {
  const n = values.length;
  const max = values.reduce((sum, v, i) => sum + marks[i]! * v, 0n);
  const changes: [number, bigint][] = [];
  const set = (name: string | RegExp, value: bigint) => {
    changes.push([gadget.wire(name), value]);
  };
  let after = 1n;
  for (let i = 0; i < n; i++) {
    after -= marks[i]!;
    const difference = max - values[i]! - after;
    set(`in[${i}]`, values[i]!);
    // Of two values, the second mark is the output's own wire, which is set below.
    if (n > 2 || i === 0) set(`mark[${i}]`, marks[i]!);
    set(`picked[${i}]`, marks[i]! * values[i]!);
    set(new RegExp(`^RangeCheck_\\d+_\\d+\\[${i}\\]\\.in$`), difference);
    for (let k = 0; k < bits - 1; k++) {
      set(new RegExp(`^RangeCheck_\\d+_\\d+\\[${i}\\]\\.bits\\[${k}\\]$`), bit(difference, k));
    }
  }
  set(
    "out",
    marks.reduce((sum, mark, i) => sum + mark * BigInt(i), 0n),
  );
  return gadget.with(base, changes);
}

const oneHot = (n: number, index: number) => Array.from({ length: n }, (_, i) => (i === index ? 1n : 0n));

describe("ArgMax", () => {
  it.each([
    [2, 4],
    [3, 4],
    [5, 17],
  ])("of %i values: the row count, and no wire that can be changed", async (width, bits) => {
    const gadget = await argMax(width, bits);
    expect(gadget.rows).toBe(width + 1 + width + width * (bits + 1) + (width > 2 ? 1 : 0));
    const random = fieldElements(6n);
    const limit = 1n << BigInt(bits - 1);
    const rows = [
      Array.from({ length: width }, (_, i) => BigInt(i)),
      Array.from({ length: width }, (_, i) => -BigInt(i)),
      Array.from({ length: width }, () => 0n),
      Array.from({ length: width }, (_, i) => (i % 2 === 0 ? limit - 1n : -limit)),
    ];
    for (const values of rows) {
      const honest = await gadget.honest({ in: values });
      expect(honest[gadget.wire("out")]).toBe(BigInt(winner(values)));
      expect(gadget.looseWires(honest, random)).toEqual([]);
    }
  });

  it("accepts, of all marks of 0, 1 and others, only the true ones: every triple of a small interval", async () => {
    const bits = 3;
    const gadget = await argMax(3, bits);
    const base = await gadget.honest({ in: [0n, 0n, 0n] });
    const interval = [-4n, -1n, 0n, 2n, 3n]; // 3 - (-4) = 7, the widest difference of 3 bits
    const digits = [0n, 1n, -1n, 2n];
    const candidates = digits.flatMap((a) => digits.flatMap((b) => digits.map((c) => [a, b, c])));
    for (const a of interval) {
      for (const b of interval) {
        for (const c of interval) {
          const values = [a, b, c];
          const accepted = candidates.filter(
            (marks) => gadget.violation(forge(gadget, base, bits, values, marks)) === -1,
          );
          expect(accepted).toEqual([oneHot(3, winner(values))]);
        }
      }
    }
  });

  it("rejects a smaller logit and a tie at a higher index, at full width", async () => {
    const bits = 33;
    const gadget = await argMax(4, bits);
    const base = await gadget.honest({ in: [0n, 0n, 0n, 0n] });
    const low = -(2n ** 31n);
    const high = 2n ** 31n - 1n;
    const value = fc.oneof(fc.constantFrom(low, high, 0n, 1n, -1n), fc.bigInt(low, high), fc.bigInt(-3n, 3n));
    fc.assert(
      fc.property(fc.array(value, { minLength: 4, maxLength: 4 }), (values) => {
        for (let index = 0; index < 4; index++) {
          const accepted = gadget.violation(forge(gadget, base, bits, values, oneHot(4, index))) === -1;
          expect(accepted).toBe(index === winner(values));
        }
      }),
      { numRuns: 150 },
    );
  });

  it("rejects differences that are decomposed modulo the field's order, and fractional marks", async () => {
    const gadget = await argMax(2, 64);
    const base = await gadget.honest({ in: [0n, 0n] });
    // in[1] - in[0] is negative; its alias r - 1 has 254 bits and cannot be said in 64.
    const wrong = forge(gadget, base, 64, [1n, 0n], [0n, 1n]);
    expect(gadget.violation(wrong)).not.toBe(-1);
    const half = field((R + 1n) / 2n);
    expect(gadget.violation(forge(gadget, base, 64, [2n, 2n], [half, half]))).not.toBe(-1);
  });

  it.each([
    [1, 4],
    [2, 0],
    [2, 65],
  ])("does not compile as (%i, %i)", async (width, bits) => {
    await expect(argMax(width, bits)).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});
