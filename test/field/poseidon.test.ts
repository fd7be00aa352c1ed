import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import fc from "fast-check";
import { poseidon16 as circomlibPoseidon } from "poseidon-lite";
import { beforeAll, describe, expect, it } from "vitest";
import { poseidon16, poseidonParameters } from "../../src/field/poseidon.js";
import { mod, R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

const scalar = fc.oneof(fc.bigInt({ min: 0n, max: R - 1n }), fc.constantFrom(0n, 1n, R - 1n));
const inputs = fc.array(scalar, { minLength: 16, maxLength: 16 });

/** The permutation as the paper states it: dense matrices, every constant where it stands. */
function plain(capacity: bigint, input: readonly bigint[]): bigint {
  const { constants, mds } = poseidonParameters();
  let state = [capacity, ...input];
  constants.forEach((row, round) => {
    const full = round < 4 || round >= 72;
    state = state.map((value, lane) => {
      const shifted = mod(value + row[lane]!);
      return full || lane === 0 ? mod(shifted ** 5n) : shifted;
    });
    state = mds.map((line) => mod(line.reduce((sum, entry, lane) => sum + entry * state[lane]!, 0n)));
  });
  return state[0]!;
}

describe("poseidon16", () => {
  it("is circomlib's Poseidon(16) when the capacity is 0", () => {
    fc.assert(
      fc.property(inputs, (values) => {
        expect(poseidon16(0n, values)).toBe(circomlibPoseidon(values));
      }),
      { numRuns: 40 },
    );
  });

  it("is the paper's plain permutation for every capacity: the sparse form changes nothing", () => {
    fc.assert(
      fc.property(scalar, inputs, (capacity, values) => {
        expect(poseidon16(capacity, values)).toBe(plain(capacity, values));
      }),
      { numRuns: 15 },
    );
  });

  it("keeps capacities, positions and values apart", () => {
    const base = Array.from({ length: 16 }, (_, i) => BigInt(i));
    const digests = [
      poseidon16(0n, base),
      poseidon16(1n, base),
      poseidon16(1n << 64n, base),
      poseidon16(0n, [...base].reverse()),
    ];
    for (let i = 0; i < 16; i++)
      digests.push(
        poseidon16(
          0n,
          base.map((value, j) => (i === j ? value + 1n : value)),
        ),
      );
    expect(new Set(digests).size).toBe(digests.length);
  });

  it("leaves its inputs alone", () => {
    const values = Object.freeze(new Array<bigint>(16).fill(3n));
    expect(poseidon16(5n, values)).toBe(poseidon16(5n, values));
    expect(values).toEqual(new Array(16).fill(3n));
  });

  it("refuses what is no scalar, and another number of inputs", () => {
    const good = new Array<bigint>(16).fill(1n);
    expect(() => poseidon16(0n, good.slice(1))).toThrowError(code("INPUT_INVALID"));
    expect(() => poseidon16(0n, [...good, 1n])).toThrowError(code("INPUT_INVALID"));
    for (const bad of [-1n, R, 1 as unknown as bigint, undefined as unknown as bigint]) {
      expect(() => poseidon16(bad, good)).toThrowError(code("INPUT_INVALID"));
      for (const at of [0, 15]) {
        expect(() =>
          poseidon16(
            0n,
            good.map((value, i) => (i === at ? bad : value)),
          ),
        ).toThrowError(code("INPUT_INVALID"));
      }
    }
    expect(() => poseidon16(0n, new Array(16) as bigint[])).toThrowError(code("INPUT_INVALID"));
  });
});

describe("poseidonParameters", () => {
  let published: string;

  beforeAll(async () => {
    const require = createRequire(import.meta.url);
    published = await readFile(require.resolve("circomlib/circuits/poseidon_constants_old.circom"), "utf8");
  });

  /** The t = 17 branch of one of the file's functions, as numbers in order. */
  function branch(name: string): bigint[] {
    const body = published.slice(published.indexOf(`function ${name}(t)`));
    const start = body.indexOf("t == 17");
    return [...body.slice(start, body.indexOf("}", start)).matchAll(/0x[0-9a-f]+/g)].map(([hex]) => BigInt(hex));
  }

  it("equal circomlib's published ones, all of them", () => {
    const { constants, mds } = poseidonParameters();
    expect(constants.map((row) => row.length)).toEqual(new Array(76).fill(17));
    expect(branch("POSEIDON_C")).toEqual(constants.flat());
    expect(branch("POSEIDON_M")).toEqual(mds.flat());
  });
});
