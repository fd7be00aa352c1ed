import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  assertScalar,
  bigIntToBytes,
  bytesToBigInt,
  invert,
  invertMany,
  isScalar,
  mod,
  pow,
  Q,
  R,
  randomScalar,
} from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

const scalar = fc.oneof(
  fc.bigInt({ min: 0n, max: R - 1n }),
  fc.constantFrom(0n, 1n, 2n, R - 1n, R - 2n, (R - 1n) / 2n, 2n ** 253n),
);
const nonZero = scalar.filter((value) => value !== 0n);
const anyInteger = fc.bigInt({ min: -(2n ** 600n), max: 2n ** 600n });

describe("constants", () => {
  it("are those of EIP-196", () => {
    expect(R.toString(16)).toBe("30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001");
    expect(Q.toString(16)).toBe("30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47");
  });
});

describe("mod", () => {
  it("gives the one representative in [0, r)", () => {
    fc.assert(
      fc.property(anyInteger, (value) => {
        const reduced = mod(value);
        expect(reduced >= 0n && reduced < R).toBe(true);
        expect((value - reduced) % R).toBe(0n);
      }),
    );
    expect(mod(-1n)).toBe(R - 1n);
    expect(mod(R)).toBe(0n);
    expect(mod(-R)).toBe(0n);
  });
});

describe("pow", () => {
  it("equals repeated multiplication", () => {
    fc.assert(
      fc.property(anyInteger, fc.integer({ min: 0, max: 40 }), (base, exponent) => {
        let naive = 1n;
        for (let i = 0; i < exponent; i++) naive = mod(naive * base);
        expect(pow(base, BigInt(exponent))).toBe(naive);
      }),
    );
  });

  it("knows that the group has order r - 1, and its 2-adicity", () => {
    fc.assert(
      fc.property(nonZero, (base) => {
        expect(pow(base, R - 1n)).toBe(1n);
      }),
      { numRuns: 20 },
    );
    expect(pow(5n, (R - 1n) / 2n)).toBe(R - 1n); // 5 generates the multiplicative group
    expect(pow(0n, 0n)).toBe(1n);
    expect(pow(0n, 3n)).toBe(0n);
  });
});

describe("invert", () => {
  it("is the inverse, by multiplication and by Fermat", () => {
    fc.assert(
      fc.property(nonZero, (value) => {
        const inverse = invert(value);
        expect(isScalar(inverse)).toBe(true);
        expect(mod(inverse * value)).toBe(1n);
        expect(inverse).toBe(pow(value, R - 2n));
        expect(invert(value - R)).toBe(inverse);
      }),
    );
  });

  it.each([0n, R, -R, 3n * R])("has none for %d", (zero) => {
    expect(() => invert(zero)).toThrowError(code("INPUT_INVALID"));
  });
});

describe("invertMany", () => {
  it("equals inverting one by one", () => {
    fc.assert(
      fc.property(fc.array(nonZero, { maxLength: 20 }), (values) => {
        expect(invertMany(values)).toEqual(values.map(invert));
      }),
    );
    expect(invertMany([])).toEqual([]);
  });

  it("refuses a zero anywhere, rather than spoil the others", () => {
    for (const values of [[0n], [3n, 0n], [0n, 3n], [2n, 0n, 5n]]) {
      expect(() => invertMany(values)).toThrowError(code("INPUT_INVALID"));
    }
  });
});

describe("assertScalar", () => {
  it("takes exactly bigints in [0, r)", () => {
    for (const good of [0n, 1n, R - 1n]) {
      expect(isScalar(good)).toBe(true);
      expect(() => assertScalar(good, "x")).not.toThrow();
    }
    for (const bad of [-1n, R, R + 1n, 1, 0, "1", "0x1", null, undefined, Number.NaN, {}, [1n], true]) {
      expect(isScalar(bad)).toBe(false);
      expect(() => assertScalar(bad, "salt")).toThrowError(code("INPUT_INVALID"));
      expect(() => assertScalar(bad, "salt")).toThrowError(/^salt must/);
    }
  });
});

describe("randomScalar", () => {
  it("draws from the whole range, without repeats", () => {
    const draws = Array.from({ length: 600 }, randomScalar);
    expect(draws.every(isScalar)).toBe(true);
    expect(new Set(draws).size).toBe(draws.length);
    // Each sixteenth of the range is missed with probability (15/16)^600 < 2^-55; what rejection by a mask that is a
    // bit too narrow or by reduction of too few bytes gives never reaches the last ones.
    const parts = new Set(draws.map((value) => (16n * value) / R));
    expect(parts.size).toBe(16);
    // The low bits are random as well.
    expect(new Set(draws.map((value) => value % 16n)).size).toBe(16);
  });
});

describe("bytes", () => {
  it("are big-endian, both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const value = bytesToBigInt(bytes);
        expect(value).toBe(bytes.reduce((sum, byte) => 256n * sum + BigInt(byte), 0n));
        expect(bigIntToBytes(value, bytes.length)).toEqual(bytes);
        expect(bigIntToBytes(value, bytes.length + 3)).toEqual(new Uint8Array([0, 0, 0, ...bytes]));
      }),
    );
    expect(bigIntToBytes(0x0102n, 2)).toEqual(new Uint8Array([1, 2]));
    expect(bigIntToBytes(0n, 0)).toEqual(new Uint8Array());
  });

  it("refuse what does not fit", () => {
    for (const [value, length] of [
      [256n, 1],
      [-1n, 1],
      [1n, 0],
      [2n ** 256n, 32],
    ] as const) {
      expect(() => bigIntToBytes(value, length)).toThrowError(code("INPUT_INVALID"));
    }
    expect(bigIntToBytes(2n ** 256n - 1n, 32)).toEqual(new Uint8Array(32).fill(255));
  });
});
