import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extractFeatures, featuresToFloat, integerSqrt, log2Fixed } from "../../src/model/features.js";

const text = (value: string) => new TextEncoder().encode(value);
const hash = (features: Uint8Array) => createHash("sha256").update(features).digest("hex");
const nonZero = (features: Uint8Array) => [...features].flatMap((q, i) => (q === 0 ? [] : [[i, q]]));

describe("extractFeatures", () => {
  // Golden values: a change here changes every proof's input, and needs a new model.
  it("gives known features for known texts", () => {
    expect(nonZero(extractFeatures(text("")))).toEqual([]);
    expect(nonZero(extractFeatures(text("a")))).toEqual([]); // too short for a token
    expect(nonZero(extractFeatures(text("free money, FREE money! $$$")))).toMatchInlineSnapshot(`
      [
        [
          33,
          127,
        ],
        [
          53,
          127,
        ],
        [
          78,
          127,
        ],
        [
          82,
          127,
        ],
        [
          179,
          127,
        ],
      ]
    `);
    expect(
      hash(extractFeatures(text("The quick brown fox jumps over the lazy dog.\n".repeat(9)))),
    ).toMatchInlineSnapshot(`"e5c403b1669e58b80cb6e897579d7638f2e9850b6fc90d5602224422ad2748e5"`);
    expect(hash(extractFeatures(Uint8Array.from({ length: 65_536 }, (_, i) => (i * i) >> 5)))).toMatchInlineSnapshot(
      `"6e92f83de3bfc69c0bad4f3bbf9dab88ddba6919bfec66be0030346b43c3168f"`,
    );
  });

  it("folds case and ignores white space", () => {
    expect(extractFeatures(text("Buy\t NOW\r\nplease"))).toEqual(extractFeatures(text("buy now please")));
  });

  it("drops tokens longer than 24 bytes and keeps those of 24", () => {
    expect(nonZero(extractFeatures(text("x".repeat(25))))).toEqual([]);
    expect(nonZero(extractFeatures(text("x".repeat(24))))).toHaveLength(1);
  });

  it("stays within 7 bits for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (body) => {
        const features = extractFeatures(body);
        expect(features).toHaveLength(256);
        expect(features.every((q) => q <= 127)).toBe(true);
      }),
    );
  });

  it("refuses what is not bytes", () => {
    expect(() => extractFeatures("text" as never)).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
  });

  it("maps to floats exactly", () => {
    expect([...featuresToFloat([0, 1, 64, 127])]).toEqual([0, 1 / 128, 0.5, 127 / 128]);
  });
});

describe("integer helpers", () => {
  it("integerSqrt is the floor of the root", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 }), (n) => {
        const root = BigInt(integerSqrt(n));
        expect(root * root <= BigInt(n) && (root + 1n) * (root + 1n) > BigInt(n)).toBe(true);
      }),
    );
    for (const n of [0, 1, 2, 3, 4, 15, 16, 17, 2 ** 32, 2 ** 53 - 1]) {
      const root = BigInt(integerSqrt(n));
      expect(root * root <= BigInt(n) && (root + 1n) * (root + 1n) > BigInt(n)).toBe(true);
    }
  });

  it("log2Fixed is within two units of the logarithm, monotone, and exact at powers of two", () => {
    let previous = -1;
    for (let n = 1; n < 65_536; n++) {
      const value = log2Fixed(n);
      expect(Math.abs(value - 256 * Math.log2(n))).toBeLessThan(2);
      expect(value).toBeGreaterThanOrEqual(previous);
      if (Number.isInteger(Math.log2(n))) expect(value).toBe(256 * Math.log2(n));
      previous = value;
    }
  });
});
