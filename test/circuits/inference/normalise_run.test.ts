import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { forge } from "../lib/forge.js";
import { bit, field, fieldElements, Gadget, invert, R } from "./support.js";

const bitLength = (value: bigint) => Math.max(1, value.toString(2).length);

function isqrt(n: bigint): bigint {
  let root = 0n;
  for (let step = 1n << BigInt((bitLength(n) / 2 + 1) | 0); step > 0n; step >>= 1n) {
    if ((root + step) ** 2n <= n) root += step;
  }
  return root;
}

interface Shape {
  width: number;
  epsilon: bigint;
  precision: number;
  /** Bound on the values' magnitude. */
  limit: bigint;
}

/** The widths that interval analysis gives: see the template's comment. */
function widths({ width, epsilon, precision, limit }: Shape) {
  const one = 1n << BigInt(2 * precision);
  const most = epsilon + BigInt(width) * limit * limit;
  const slack = 2n * isqrt(one * most) + most - 1n;
  return {
    root: bitLength(isqrt(one / epsilon)),
    below: bitLength(slack < one ? slack : one),
    above: bitLength(slack),
  };
}

async function normalise(shape: Shape): Promise<Gadget> {
  const { root, below, above } = widths(shape);
  const parameters = [shape.width, shape.epsilon, shape.precision, root, below, above];
  return Gadget.template("inference/normalise_run.circom", `NormaliseRun(${parameters.join(", ")})`);
}

/** The definition (src/model/graph.ts), by counting up from an estimate. */
function expected({ epsilon, precision }: Shape, values: readonly bigint[]): { root: bigint; out: bigint[] } {
  const v = values.reduce((sum, c) => sum + c * c, epsilon);
  const one = 1n << BigInt(2 * precision);
  let root = BigInt(Math.max(0, Math.floor(2 ** precision / Math.sqrt(Number(v))) - 2));
  while ((root + 1n) ** 2n * v <= one) root++;
  return { root, out: values.map((c) => c * root) };
}

interface Claim {
  root: bigint;
  below?: bigint | undefined;
  above?: bigint | undefined;
  rootBits?: bigint | undefined;
}

function claim(gadget: Gadget, shape: Shape, values: readonly bigint[], given: Claim) {
  const v = values.reduce((sum, c) => sum + c * c, shape.epsilon);
  const below = given.below ?? field((1n << BigInt(2 * shape.precision)) - given.root * given.root * v);
  const above = given.above ?? field(2n * given.root * v + v - 1n - below);
  const fixed = new Map<number, bigint>([[gadget.wire("root"), given.root]]);
  values.forEach((value, i) => {
    fixed.set(gadget.wire(`in[${i}]`), value);
  });
  for (const [name, value] of [
    ["rootBits", given.rootBits ?? given.root],
    ["belowBits", below],
    ["aboveBits", above],
  ] as const) {
    gadget.wiresLike(new RegExp(`^${name}\\[`)).forEach((wire, i) => {
      fixed.set(wire, bit(value, i));
    });
  }
  return forge(gadget.r1cs, fixed);
}

const SHAPES: Shape[] = [
  { width: 3, epsilon: 5n, precision: 12, limit: 127n },
  { width: 2, epsilon: 1n, precision: 1, limit: 3n }, // roots of 0
  { width: 1, epsilon: 4096n, precision: 20, limit: 32_767n },
  { width: 4, epsilon: 2n ** 40n, precision: 30, limit: 2n ** 31n - 1n },
];

function samples({ width, limit }: Shape): bigint[][] {
  return [
    new Array<bigint>(width).fill(0n),
    new Array<bigint>(width).fill(limit),
    Array.from({ length: width }, (_, i) => (i % 2 === 0 ? -limit : 1n)),
    Array.from({ length: width }, (_, i) => (BigInt(i) * 7919n) % limit),
  ];
}

describe.each(SHAPES)("NormaliseRun of $width, ε $epsilon, precision $precision", (shape) => {
  it("has the rows that its comment says, the values of the definition, and no wire that can be changed", async () => {
    const gadget = await normalise(shape);
    const { root, below, above } = widths(shape);
    expect(gadget.rows).toBe(2 * shape.width + root + below + above + 2);
    const random = fieldElements(71n);
    for (const values of samples(shape)) {
      const honest = await gadget.honest({ in: values });
      const wanted = expected(shape, values);
      expect(honest[gadget.wire("root")]).toBe(wanted.root);
      expect(values.map((_, i) => honest[gadget.wire(`out[${i}]`)])).toEqual(wanted.out.map(field));
      for (const out of wanted.out) expect(out ** 2n <= 4n ** BigInt(shape.precision)).toBe(true);
      expect(claim(gadget, shape, values, { root: wanted.root })).toEqual({ witness: honest, violated: [] });
      for (const bits of [/^rootBits\[/, /^belowBits\[/, /^aboveBits\[/]) {
        expect(gadget.looseCarries(honest, gadget.wiresLike(bits))).toEqual([]);
      }
      expect(gadget.looseWires(honest, random)).toEqual([]);
    }
  });

  it("accepts no other root", async () => {
    const gadget = await normalise(shape);
    const value = fc.oneof(fc.constantFrom(0n, shape.limit, -shape.limit), fc.bigInt(-shape.limit, shape.limit));
    const list = fc.array(value, { minLength: shape.width, maxLength: shape.width });
    const most = isqrt((1n << BigInt(2 * shape.precision)) / shape.epsilon);
    fc.assert(
      fc.property(list, fc.bigInt(0n, most + 1n), (values, other) => {
        const { root } = expected(shape, values);
        expect(claim(gadget, shape, values, { root }).violated).toEqual([]);
        for (const wrong of [root + 1n, root - 1n, other, 2n * root, root + R / 2n]) {
          if (field(wrong) === root) continue;
          expect(claim(gadget, shape, values, { root: wrong }).violated).not.toEqual([]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("has no witness for the second root, whatever bits are claimed for it", async () => {
    const gadget = await normalise(shape);
    for (const values of samples(shape)) {
      const { root } = expected(shape, values);
      if (root === 0n) continue;
      for (const rootBits of [-root, root, 0n]) {
        for (const above of [undefined, 0n]) {
          expect(claim(gadget, shape, values, { root: -root, rootBits, above }).violated).not.toEqual([]);
        }
      }
      // The next root with the slack of the true one, and with slacks of 0.
      expect(claim(gadget, shape, values, { root: root + 1n, below: 0n }).violated).not.toEqual([]);
      expect(claim(gadget, shape, values, { root: root - 1n, above: 0n }).violated).not.toEqual([]);
    }
  });
});

describe("NormaliseRun", () => {
  it("has no witness for a fraction whose square is right", async () => {
    // v = 9, and (64/3)² · 9 = 4^6 exactly: in the field 64/3 has a square for which nothing is left below. The root
    // is 21, with 4^6 - 21² · 9 = 127 left.
    const shape = { width: 2, epsilon: 4n, precision: 6, limit: 10n };
    const gadget = await normalise(shape);
    const values = [1n, 2n];
    expect(claim(gadget, shape, values, { root: 21n, below: 127n }).violated).toEqual([]);
    const fraction = field(64n * invert(3n));
    // Both slacks fit their bits: below is 0 and above is 2 · (64/3) · 9 + 9 - 1 = 392.
    const { violated } = claim(gadget, shape, values, { root: fraction, below: 0n, above: 392n });
    expect(violated).toHaveLength(1);
    for (const rootBits of [0n, 21n, 22n]) {
      expect(claim(gadget, shape, values, { root: fraction, below: 0n, above: 392n, rootBits }).violated).not.toEqual(
        [],
      );
    }
  });

  it("costs completeness, not soundness, where a width is too small", async () => {
    const gadget = await Gadget.template("inference/normalise_run.circom", "NormaliseRun(1, 1, 8, 8, 17, 5)");
    await expect(gadget.honest({ in: [100n] })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
    // Two bits for a root of 2^8: none of the four that fit is accepted.
    const narrow = await Gadget.template("inference/normalise_run.circom", "NormaliseRun(1, 1, 8, 2, 17, 40)");
    const shape = { width: 1, epsilon: 1n, precision: 8, limit: 1n };
    for (let root = 0n; root < 4n; root++) {
      expect(claim(narrow, shape, [0n], { root }).violated).not.toEqual([]);
    }
    expect(claim(narrow, shape, [0n], { root: 256n }).violated).not.toEqual([]);
  });

  it.each(["1, 0, 8, 8, 17, 20", "1, 1, 31, 8, 17, 20", "1, 1, 8, 32, 17, 20", "1, 1, 8, 8, 17, 161"])(
    "does not compile as (%s)",
    async (parameters) => {
      const instance = `NormaliseRun(${parameters})`;
      await expect(Gadget.template("inference/normalise_run.circom", instance)).rejects.toMatchObject({
        code: "CIRCUIT_COMPILE",
      });
    },
  );
});

describe("Normalise", () => {
  it("keeps the runs apart", async () => {
    const shape = { width: 2, epsilon: 3n, precision: 10, limit: 50n };
    const { root, below, above } = widths(shape);
    const parameters = [2, shape.width, shape.epsilon, shape.precision, root, below, above];
    const gadget = await Gadget.template("inference/normalise.circom", `Normalise(${parameters.join(", ")})`);
    const values = [3n, -4n, 50n, 0n];
    const honest = await gadget.honest({ in: values });
    const wanted = [...expected(shape, values.slice(0, 2)).out, ...expected(shape, values.slice(2)).out];
    expect(values.map((_, i) => honest[gadget.wire(`out[${i}]`)])).toEqual(wanted.map(field));
    expect(gadget.rows).toBe(2 * (4 + root + below + above + 2));
    expect(gadget.looseWires(honest, fieldElements(72n))).toEqual([]);
  });
});
