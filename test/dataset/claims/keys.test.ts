import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyBounds, keyText, parseKey } from "../../../src/dataset/claims/keys.js";
import { type Dtype, packing } from "../../../src/dataset/record.js";
import { AnchorError } from "../../../src/errors.js";

const NUMBERS: Dtype[] = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64"];

describe("numbers of tensors", () => {
  it("read back from their text as the same key, whatever the type", () => {
    const numbers = fc.constantFrom(...NUMBERS).chain((dtype) => {
      const [min, max] = keyBounds(dtype);
      return fc.tuple(fc.constant(dtype), fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(min, max)));
    });
    fc.assert(fc.property(numbers, ([dtype, key]) => parseKey(dtype, keyText(dtype, key)) === key));
  });

  it("have keys in the order of their values", () => {
    for (const dtype of ["f16", "bf16", "f32", "f64"] as const) {
      const texts = ["-inf", "-2", "-0.5", "-0", "0", "0.5", "2", "inf"];
      const keys = texts.map((text) => parseKey(dtype, text));
      expect(keys).toEqual([...keys].sort((a, b) => (a < b ? -1 : 1)));
      expect([keys[0], keys.at(-1)]).toEqual(keyBounds(dtype));
      expect(keys[4]).toBe(1n << BigInt(8 * packing(dtype).size - 1));
    }
  });

  it.each<[Dtype, string]>([
    ["u8", "256"],
    ["u8", "-1"],
    ["i8", "-129"],
    ["bool", "2"],
    ["u16", "1.5"],
    ["f16", "0.1"],
    ["f16", "65536"],
    ["bf16", "1.00390625"],
    ["f32", "0.1"],
    ["f64", "many"],
    ["f64", "NaN"],
  ])("%s refuses %s", (dtype, text) => {
    expect(() => parseKey(dtype, text)).toThrow(AnchorError);
    expect(() => parseKey(dtype, text)).toThrow(expect.objectContaining({ code: "CLAIM_INVALID" }));
  });
});
