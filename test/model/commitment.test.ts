import { poseidon16 as permutation } from "poseidon-lite";
import { describe, expect, it } from "vitest";
import { poseidon16 } from "../../src/field/poseidon.js";
import { R } from "../../src/field/scalar.js";
import { commitInput, INPUT_TAG } from "../../src/model/commitment.js";
import { code } from "../support/errors.js";

describe("commitInput", () => {
  it("uses the tag's ASCII bytes", () => {
    expect(INPUT_TAG).toBe(BigInt(`0x${Buffer.from("ap_input").toString("hex")}`));
    expect(permutation(new Array(16).fill(1n))).toBe(poseidon16(0n, new Array(16).fill(1n)));
  });

  it("packs 31 features an element, little-endian, and chains calls of fifteen elements", () => {
    const features = Array.from({ length: 31 * 16 + 2 }, (_, i) => (7 * i + 3) % 128);
    const pack = (part: number[]) => part.reduceRight((sum, f) => 256n * sum + BigInt(f), 0n);
    const elements = Array.from({ length: 17 }, (_, k) => pack(features.slice(31 * k, 31 * k + 31)));
    const capacity = INPUT_TAG + 2n ** 64n * BigInt(features.length);
    const first = poseidon16(capacity, [77n, ...elements.slice(0, 15)]);
    const second = poseidon16(capacity, [first, ...elements.slice(15), ...new Array(13).fill(0n)]);
    expect(commitInput(features, 77n)).toBe(second);
  });

  it("separates lengths, salts and every feature", () => {
    const seen = new Set([
      commitInput([0], 1n),
      commitInput([0, 0], 1n),
      commitInput([0], 2n),
      commitInput([1], 1n),
      commitInput([0, 1], 1n),
      commitInput([1, 0], 1n),
    ]);
    expect(seen.size).toBe(6);
  });

  it("refuses what is out of range", () => {
    expect(() => commitInput([], 1n)).toThrowError(code("INPUT_INVALID"));
    expect(() => commitInput([128], 1n)).toThrowError(code("INPUT_INVALID"));
    expect(() => commitInput([0.5], 1n)).toThrowError(code("INPUT_INVALID"));
    expect(() => commitInput([1], R)).toThrowError(code("INPUT_INVALID"));
    expect(() => commitInput([1], -1n)).toThrowError(code("INPUT_INVALID"));
  });
});
