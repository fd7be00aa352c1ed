import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { forge } from "../lib/forge.js";
import { bit, field, fieldElements, Gadget, R } from "./support.js";

const argMax = (width: number, bits: number) =>
  Gadget.template("inference/argmax_run.circom", `ArgMaxRun(${width}, ${bits})`);

const winner = (values: readonly bigint[]) => values.reduce((best, v, i) => (v > values[best]! ? i : best), 0);

/** What an index says of each position but the last: whether it is at most that. */
const upTo = (width: number, index: number) => Array.from({ length: width - 1 }, (_, i) => (index <= i ? 1n : 0n));

/** A witness from a largest value and any marks; differences with their low bits, and the index, follow. */
function claim(gadget: Gadget, bits: number, values: readonly bigint[], max: bigint, marks: readonly bigint[]) {
  const fixed = new Map([[gadget.wire("max"), max]]);
  values.forEach((value, i) => {
    fixed.set(gadget.wire(`in[${i}]`), value);
    const difference = max - value - 1n + (marks[i] ?? 1n);
    for (let j = 0; j < bits - 1; j++) fixed.set(gadget.wire(`bits[${i * (bits - 1) + j}]`), bit(difference, j));
  });
  marks.forEach((mark, i) => {
    fixed.set(gadget.wire(`upTo[${i}]`), mark);
  });
  return forge(gadget.r1cs, fixed);
}

describe("ArgMaxRun", () => {
  it.each([
    [2, 4],
    [3, 4],
    [5, 17],
  ])("of %i values: the row count, and no wire that can be changed", async (width, bits) => {
    const gadget = await argMax(width, bits);
    expect(gadget.rows).toBe(width * (bits + 2));
    const random = fieldElements(6n);
    const limit = 1n << BigInt(bits - 1);
    for (const values of [
      Array.from({ length: width }, (_, i) => BigInt(i)),
      Array.from({ length: width }, (_, i) => -BigInt(i)),
      Array.from({ length: width }, () => 0n),
      Array.from({ length: width }, (_, i) => (i % 2 === 0 ? limit - 1n : -limit)),
    ]) {
      const honest = await gadget.honest({ in: values });
      expect(honest[gadget.wire("out")]).toBe(BigInt(winner(values)));
      expect(gadget.looseWires(honest, random)).toEqual([]);
      const best = winner(values);
      expect(claim(gadget, bits, values, values[best]!, upTo(width, best))).toEqual({ witness: honest, violated: [] });
    }
  });

  it("accepts, of all largest values and marks of 0, 1 and others, only the true ones: every triple of a small interval", async () => {
    const bits = 3;
    const gadget = await argMax(3, bits);
    const interval = [-4n, -1n, 0n, 2n, 3n]; // 3 - (-4) = 7, the widest difference of 3 bits
    const digits = [0n, 1n, -1n, 2n];
    for (const a of interval) {
      for (const b of interval) {
        for (const c of interval) {
          const values = [a, b, c];
          const accepted: unknown[] = [];
          for (const max of [...interval, 4n, a + 1n]) {
            for (const first of digits) {
              for (const second of digits) {
                const { violated, witness } = claim(gadget, bits, values, max, [first, second]);
                if (violated.length === 0) accepted.push([field(max), first, second, witness[gadget.wire("out")]]);
              }
            }
          }
          const best = winner(values);
          const honest = [field(values[best]!), ...upTo(3, best), BigInt(best)];
          expect([...new Set(accepted.map((each) => String(each)))]).toEqual([String(honest)]);
        }
      }
    }
  });

  it("rejects a smaller value and a tie at a higher index, at full width", async () => {
    const bits = 33;
    const gadget = await argMax(4, bits);
    const low = -(2n ** 31n);
    const high = 2n ** 31n - 1n;
    const value = fc.oneof(fc.constantFrom(low, high, 0n, 1n, -1n), fc.bigInt(low, high), fc.bigInt(-3n, 3n));
    fc.assert(
      fc.property(fc.array(value, { minLength: 4, maxLength: 4 }), (values) => {
        const best = winner(values);
        for (let index = 0; index < 4; index++) {
          for (const max of new Set([values[index]!, values[best]!])) {
            const accepted = claim(gadget, bits, values, max, upTo(4, index)).violated.length === 0;
            expect(accepted).toBe(index === best && max === values[best]);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("rejects marks that go back, where all values are equal", async () => {
    const gadget = await argMax(4, 8);
    const equal = [5n, 5n, 5n, 5n];
    for (let pattern = 0; pattern < 8; pattern++) {
      const marks = [0, 1, 2].map((i) => BigInt((pattern >> i) & 1));
      expect(claim(gadget, 8, equal, 5n, marks).violated.length === 0).toBe(pattern === 7);
    }
  });

  it("rejects differences that are decomposed modulo the field's order, and fractional marks", async () => {
    const gadget = await argMax(2, 64);
    // in[1] - in[0] is negative; its alias r - 1 has 254 bits and cannot be said in 64.
    expect(claim(gadget, 64, [1n, 0n], 0n, [0n]).violated).not.toEqual([]);
    const half = field((R + 1n) / 2n);
    expect(claim(gadget, 64, [2n, 2n], 2n, [half]).violated).not.toEqual([]);
  });

  it.each([
    [1, 4],
    [2, 1],
    [2, 65],
  ])("does not compile as (%i, %i)", async (width, bits) => {
    await expect(argMax(width, bits)).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});

describe("ArgMax", () => {
  it("keeps runs apart", async () => {
    const gadget = await Gadget.template("inference/argmax.circom", "ArgMax(2, 3, [5, 8])");
    const honest = await gadget.honest({ in: [3n, 9n, 9n, 200n, -1n, 7n] });
    expect([0, 1].map((run) => honest[gadget.wire(`out[${run}]`)])).toEqual([1n, 0n]);
    expect(gadget.looseWires(honest, fieldElements(7n))).toEqual([]);
  });
});
