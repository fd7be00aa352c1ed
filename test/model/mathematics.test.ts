import { describe, expect, it } from "vitest";
import { atan, cos, erf, exp, expm1, log, log1p, pow, sigmoid, sin, tanh } from "../../src/model/mathematics.js";
import { lcg } from "./graphs.js";

/** Distance in units of the last place of `expected`. */
function ulps(value: number, expected: number): number {
  if (Object.is(value, expected) || value === expected) return 0;
  if (!Number.isFinite(value) || !Number.isFinite(expected)) return Infinity;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(expected));
  const exponent = Math.max((view.getUint16(0) >> 4) - 1075, -1074);
  return Math.abs(value - expected) / 2 ** exponent;
}

function samples(lo: number, hi: number, count = 20_000): number[] {
  const next = lcg(7);
  return Array.from({ length: count }, () => lo + ((hi - lo) * (next(2 ** 30) + next(2 ** 20) / 2 ** 20)) / 2 ** 30);
}

// The engine's own functions are within one unit of the truth.
describe("within a few units of the engine's own", () => {
  const cases: [string, (x: number) => number, (x: number) => number, [number, number][], number][] = [
    [
      "exp",
      exp,
      Math.exp,
      [
        [-1, 1],
        [-50, 50],
        [-740, 709],
        [-1e-9, 1e-9],
      ],
      2,
    ],
    [
      "expm1",
      expm1,
      Math.expm1,
      [
        [-1, 1],
        [-40, 40],
        [-1e-9, 1e-9],
      ],
      3,
    ],
    [
      "log",
      log,
      Math.log,
      [
        [0, 1],
        [0.9, 1.1],
        [0, 1e300],
        [1e-320, 1e-308],
      ],
      2,
    ],
    [
      "log1p",
      log1p,
      Math.log1p,
      [
        [-0.9, 1],
        [0, 1e9],
        [-1e-9, 1e-9],
      ],
      3,
    ],
    [
      "tanh",
      tanh,
      Math.tanh,
      [
        [-1, 1],
        [-30, 30],
        [-1e-9, 1e-9],
      ],
      3,
    ],
    [
      "sigmoid",
      sigmoid,
      (x) => 1 / (1 + Math.exp(-x)),
      [
        [-36, 700],
        [-1, 1],
      ],
      4,
    ],
    [
      "sin",
      sin,
      Math.sin,
      [
        [-1, 1],
        [-100, 100],
        [-9e5, 9e5],
        [-1e15, 1e15],
        [-1e300, 1e300],
      ],
      2,
    ],
    [
      "cos",
      cos,
      Math.cos,
      [
        [-1, 1],
        [-100, 100],
        [-9e5, 9e5],
        [-1e15, 1e15],
        [-1e300, 1e300],
      ],
      2,
    ],
    [
      "atan",
      atan,
      Math.atan,
      [
        [-1, 1],
        [-100, 100],
        [-1e300, 1e300],
      ],
      8,
    ],
    [
      "pow 0.75",
      (x) => pow(x, 0.75),
      (x) => x ** 0.75,
      [
        [0, 10],
        [0, 1e300],
      ],
      2,
    ],
    [
      "pow 37",
      (x) => pow(x, 37),
      (x) => x ** 37,
      [
        [-10, 10],
        [0.9, 1.1],
      ],
      2,
    ],
    [
      "pow -2.5",
      (x) => pow(x, -2.5),
      (x) => x ** -2.5,
      [
        [0, 10],
        [0, 1e100],
      ],
      2,
    ],
    ["power of e", (x) => pow(2.75, x), (x) => 2.75 ** x, [[-700, 700]], 2],
  ];
  it.each(cases)("%s", (_, ours, theirs, ranges, limit) => {
    for (const [lo, hi] of ranges) {
      let worst = { x: 0, ulps: 0 };
      for (const x of samples(lo, hi)) {
        const distance = ulps(ours(x), theirs(x));
        if (!(distance <= worst.ulps)) worst = { x, ulps: distance };
      }
      expect(worst.ulps, `at ${worst.x}`).toBeLessThanOrEqual(limit);
    }
  });
});

describe("known values", () => {
  // The doubles nearest to values of 20 digits.
  it("erf", () => {
    const known: [number, number][] = [
      [0.001, 0.0011283787909692365],
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [0.9, 0.7969082124228322],
      [1, 0.8427007929497149],
      [1.5, 0.9661051464753108],
      [2, 0.9953222650189527],
      [2.5, 0.999593047982555],
      [3, 0.9999779095030014],
      [4, 0.9999999845827421],
      [5.5, 0.9999999999999927],
    ];
    for (const [x, y] of known) {
      expect(ulps(erf(x), y), `erf(${x})`).toBeLessThanOrEqual(2);
      expect(erf(-x)).toBe(-erf(x));
    }
  });

  it("ends and exceptions", () => {
    expect([exp(0), exp(-Infinity), exp(Infinity), exp(-746), exp(710)]).toEqual([1, 0, Infinity, 0, Infinity]);
    expect([log(1), log(0), log(Infinity)]).toEqual([0, -Infinity, Infinity]);
    expect([log(-1), exp(NaN), erf(NaN), tanh(NaN), sigmoid(NaN), sin(Infinity), pow(-2, 0.5)]).toEqual(
      Array(7).fill(NaN),
    );
    expect([erf(0), erf(7), erf(-Infinity), tanh(0), tanh(30), tanh(-30)]).toEqual([0, 1, -1, 0, 1, -1]);
    expect([sigmoid(0), sigmoid(-800), sigmoid(800)]).toEqual([0.5, 0, 1]);
    for (const x of [0, 1, -1, 2, -2, 0.5, -0.5, Infinity, -Infinity]) {
      for (const y of [0, 1, -1, 2, 3, -3, 0.5, 1000, -1001, Infinity, -Infinity]) {
        if (Math.abs(x) === 1 && !Number.isFinite(y)) continue; // ECMAScript differs from IEEE 754 here
        expect(pow(x, y) + 0, `${x}^${y}`).toEqual(x ** y + 0);
      }
    }
    expect(log(5e-324)).toBeCloseTo(-744.4400719213812, 12);
  });
});
