import { describe, expect, it } from "vitest";
import { requant } from "../../../src/model/bounds.js";
import { forge } from "../lib/forge.js";
import { bit, field, fieldElements, Gadget, invert, R } from "./support.js";

type Anchor = "least" | "low" | "middle" | "high";

/** A lane: proven range, shift, low end and bits of the result; what its template makes of them. */
interface Lane {
  readonly min: number;
  readonly max: number;
  readonly shift: number;
  readonly lo: number;
  readonly bits: number;
  readonly anchor: Anchor;
  readonly width: number;
  readonly rows: number;
}

const lane = (
  [min, max, shift, lo, bits]: [number, number, number, number, number],
  anchor: Anchor,
  width: number,
  rows: number,
): Lane => ({ min, max, shift, lo, bits, anchor, width, rows });

const LANES: [string, Lane][] = [
  ["saturates on both sides, from the low end", lane([-60, 60, 2, 0, 2], "low", 6, 11)],
  ["saturates on both sides, from the middle", lane([-60, 60, 1, -4, 3], "middle", 6, 11)],
  ["saturates on both sides, from the high end", lane([-20, 70, 1, 0, 2], "high", 6, 11)],
  ["one bit above the result, from the low end", lane([-16, 15, 1, 0, 3], "low", 5, 8)],
  ["one bit above the result, from the middle", lane([-30, 29, 2, -4, 3], "middle", 5, 8)],
  ["one bit above the result, from the high end", lane([-49, 77, 2, -4, 3], "high", 6, 9)],
  ["to one bit", lane([-40, 40, 1, -1, 1], "low", 6, 11)],
  ["without a shift", lane([-9, 9, 0, 0, 2], "low", 4, 9)],
  ["only below", lane([-60, 20, 2, 0, 4], "low", 6, 8)],
  ["only below, more than the result has bits", lane([-120, 5, 2, 0, 1], "low", 7, 9)],
  ["only above", lane([3, 90, 2, 0, 3], "high", 6, 8)],
  ["only above, less than the result has bits", lane([100, 140, 0, 0, 7], "high", 5, 7)],
  ["not at all", lane([-30, 40, 2, -16, 5], "least", 6, 8)],
];

const template = ({ min, max, shift, lo, bits }: Pick<Lane, "min" | "max" | "shift" | "lo" | "bits">) =>
  Gadget.template("inference/requant_lane.circom", `RequantLane(${[min, max, shift, lo, bits].join(", ")})`);

/** What is split into bits: the lane from its anchor on. */
function offsetOf({ min, shift, lo, bits, anchor, width }: Lane): bigint {
  const half = shift === 0 ? 0 : 2 ** (shift - 1);
  const start = {
    low: lo,
    middle: lo + 2 ** bits / 2,
    high: lo + 2 ** bits,
    least: Math.floor((min + half) / 2 ** shift),
  };
  return BigInt(half - start[anchor] * 2 ** shift + (anchor === "least" ? 0 : 2 ** width));
}

/** A full witness from a prover's choices: bits below the highest one, and an inverse; the rest follows. */
function claim(gadget: Gadget, input: bigint, bits: bigint, inverse: bigint, width: number) {
  const fixed = new Map([[gadget.wire("in"), input]]);
  for (let i = 0; i < width; i++) if (gadget.has(`bits[${i}]`)) fixed.set(gadget.wire(`bits[${i}]`), bit(bits, i));
  if (gadget.has("inverse")) fixed.set(gadget.wire("inverse"), inverse);
  return forge(gadget.r1cs, fixed);
}

/** How far the bits above the result are from those within the range, for a highest bit that follows from the others. */
function distance({ shift, bits: kept, anchor, width }: Lane, v: bigint, bits: bigint): bigint {
  const block = BigInt(shift + kept - (anchor === "middle" ? 1 : 0));
  const highest = (v - bits) * invert(1n << BigInt(width));
  const over = (bits >> block) + (highest - 1n) * (1n << (BigInt(width) - block));
  return field(anchor === "low" ? over : anchor === "high" ? over + 1n : over + 1n - highest);
}

describe("RequantLane", () => {
  it.each(LANES)(
    "that %s: its rows, the executor's result on its whole range, and no wire that can be changed",
    async (_, own) => {
      const gadget = await template(own);
      expect(gadget.rows).toBe(own.rows);
      const random = fieldElements(3n);
      const edges = new Set([own.min, own.max]);
      for (let input = own.min; input <= own.max; input++) {
        const result = requant(input, own.shift, own.lo, own.bits);
        if (result !== requant(input - 1, own.shift, own.lo, own.bits))
          edges.add(input - 1 < own.min ? input : input - 1).add(input);
      }
      for (const input of edges) {
        const honest = await gadget.honest({ in: BigInt(input) });
        expect(honest[gadget.wire("out")]).toBe(field(BigInt(requant(input, own.shift, own.lo, own.bits))));
        expect(gadget.looseWires(honest, random)).toEqual([]);
      }
    },
  );

  it.each(LANES)("that %s: of all bits, and inverses, one assignment is accepted, and none outside", async (_, own) => {
    const gadget = await template(own);
    const { width } = own;
    const limit = 1n << BigInt(width);
    const offset = offsetOf(own);
    const outside = [-offset - 1n, 2n * limit - offset, 5n * limit, R / 2n, (R - 1n) / 2n - limit];
    const step = Math.max(1, Math.floor((own.max - own.min) / 12));
    const inside: bigint[] = [BigInt(own.max)];
    for (let input = own.min; input < own.max; input += step) inside.push(BigInt(input));
    for (const input of [...inside, ...outside]) {
      const accepted: bigint[] = [];
      for (let bits = 0n; bits < limit; bits++) {
        const far = distance(own, input + offset, bits);
        const inverses = gadget.has("inverse") ? new Set([0n, 1n, far === 0n ? 5n : invert(far)]) : [0n];
        for (const inverse of inverses) {
          const { witness, violated } = claim(gadget, input, bits, inverse, width);
          if (violated.length === 0) accepted.push(witness[gadget.wire("out")]!);
        }
      }
      const result = BigInt(requant(Number(input), own.shift, own.lo, own.bits));
      expect(accepted).toEqual(outside.includes(input) ? [] : [field(result)]);
    }
  });

  it("does not accept a remainder of quotient minus one, whatever the other bits", async () => {
    // The hole of peers who check remainders by an assertion only: quotient - 1 with remainder + divisor.
    const gadget = await template({ min: -60, max: 60, shift: 2, lo: -16, bits: 5 });
    const honest = await gadget.honest({ in: 21n });
    const out = gadget.wire("out");
    const changed = gadget.with(honest, [[out, honest[out]! - 1n]]);
    expect(gadget.violation(changed)).not.toBe(-1);
    // Bit 2 cleared and four more among the dropped ones: no bits are 4 + 3.
    const bits = gadget.wiresLike(/^bits\[/);
    const carried = gadget.with(changed, [
      [bits[2]!, 0n],
      [bits[0]!, honest[bits[0]!]! + 4n],
    ]);
    expect(gadget.violation(carried)).not.toBe(-1);
  });

  it("at 32 bits, its widest, has no alias by the modulus", async () => {
    const own = lane([-(2 ** 31), 2 ** 31 - 1, 13, 0, 7], "low", 32, 37);
    const gadget = await template(own);
    expect(gadget.rows).toBe(own.rows);
    const offset = offsetOf(own);
    const limit = 1n << 32n;
    for (const input of [0n, 12_345n << 10n, -5n, -(2n ** 31n), 2n ** 31n - 1n]) {
      const v = input + offset;
      const far = distance(own, v, v & (limit - 1n));
      const inverse = far === 0n ? 0n : invert(far);
      expect(claim(gadget, input, v & (limit - 1n), inverse, 32).violated).toEqual([]);
      // v + r as the bits' source.
      const alias = (v + R) & (limit - 1n);
      const other = distance(own, v, alias);
      expect(claim(gadget, input, alias, other === 0n ? 0n : invert(other), 32).violated).not.toEqual([]);
    }
  });

  it("is a copy without a shift and saturation, and a constant where one value is possible", async () => {
    const copy = await template({ min: -128, max: 127, shift: 0, lo: -128, bits: 8 });
    expect(copy.rows).toBe(0);
    for (const [min, max, shift, value] of [
      [-90, -1, 1, 0],
      [600, 9000, 2, 127],
      [48, 49, 4, 3],
    ] as const) {
      const fixed = await template({ min, max, shift, lo: 0, bits: 7 });
      expect(fixed.rows).toBe(1); // which names the constant: here it is a public output
      const honest = await fixed.honest({ in: BigInt(max) });
      expect(honest[fixed.wire("out")]).toBe(BigInt(value));
      expect(fixed.looseWires(honest, fieldElements(4n))).toEqual([]);
    }
  });

  it.each([
    ["a shift above 40", { min: 0, max: 1, shift: 41, lo: 0, bits: 7 }],
    ["a result of 17 bits", { min: 0, max: 1, shift: 1, lo: 0, bits: 17 }],
    ["an empty range", { min: 1, max: 0, shift: 1, lo: 0, bits: 7 }],
    ["more than int32", { min: 0, max: 2 ** 31, shift: 1, lo: 0, bits: 7 }],
  ])("does not compile with %s", async (_, own) => {
    await expect(template(own)).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});

describe("Requant", () => {
  it("keeps lanes and channels apart", async () => {
    const gadget = await Gadget.template(
      "inference/requant.circom",
      "Requant(4, 2, [2, 0], 0, 7, [-20, 0, -900, 3], [40, 900, 900, 290])",
    );
    const honest = await gadget.honest({ in: [-3n, 301n, 99n, 4n] });
    expect([0, 1, 2, 3].map((o) => honest[gadget.wire(`out[${o}]`)])).toEqual([0n, 75n, 99n, 4n]);
    expect(gadget.looseWires(honest, fieldElements(5n))).toEqual([]);
  });
});
