import { describe, expect, it } from "vitest";
import { fieldElements, Gadget, R } from "../inference/support.js";
import { forge } from "./forge.js";

const zeroFrom = (size: number) => Gadget.template("lib/zero_from.circom", `ZeroFrom(${size})`);
const filled = (size: number, count: number) =>
  Array.from({ length: size }, (_, i) => (i < count ? BigInt(i + 7) : 0n));

describe("ZeroFrom", () => {
  it.each([1, 3, 240])("of %i slots takes every count up to it, and determines every wire", async (size) => {
    const gadget = await zeroFrom(size);
    expect(gadget.rows).toBe(2 * size + 2);
    const random = fieldElements(19n);
    for (const count of size > 3 ? [0, 1, 100, size - 1, size] : [...Array(size + 1).keys()]) {
      const witness = await gadget.honest({ count: BigInt(count), slot: filled(size, count) });
      expect(gadget.looseWires(witness, random)).toEqual([]);
    }
    // A zero below the count is a value like any other.
    const zeros = await gadget.honest({ count: BigInt(size), slot: filled(size, 0) });
    expect(gadget.violation(zeros)).toBe(-1);
  });

  it("has no witness for a count out of range, whatever the hints", async () => {
    const size = 3;
    const gadget = await zeroFrom(size);
    const base = await gadget.honest({ count: 0n, slot: filled(size, 0) });
    const hints = gadget.wiresLike(/^here\[/);
    expect(hints).toHaveLength(size + 1);
    const choices = [0n, 1n, 2n, R - 1n, (R + 1n) / 2n, 123456789n];
    for (const count of [0n, 3n, 4n, 5n, R - 1n, R - 4n, (R + 1n) / 2n]) {
      let accepted = 0;
      for (let code = 0; code < choices.length ** hints.length; code++) {
        const forged = gadget.with(base, [
          [gadget.wire("count"), count],
          ...hints.map((wire, i) => [wire, choices[Math.floor(code / choices.length ** i) % choices.length]!] as const),
        ]);
        if (gadget.violation(forged) === -1) accepted++;
      }
      expect(accepted).toBe(count <= BigInt(size) ? 1 : 0);
    }
  });

  it("has no witness for a value in the padding, whatever the hints", async () => {
    const size = 4;
    const gadget = await zeroFrom(size);
    const base = await gadget.honest({ count: 0n, slot: filled(size, 0) });
    const [slots, hints] = [gadget.wiresLike(/^slot\[/), gadget.wiresLike(/^here\[/)];
    for (let count = 0; count <= size; count++) {
      for (let at = 0; at < size; at++) {
        for (const value of [1n, R - 1n]) {
          let accepted = 0;
          for (let assignment = 0; assignment < 2 ** hints.length; assignment++) {
            const forged = gadget.with(base, [
              [gadget.wire("count"), BigInt(count)],
              ...filled(size, count).map((slot, i) => [slots[i]!, i === at ? value : slot] as const),
              ...hints.map((wire, i) => [wire, BigInt((assignment >> i) & 1)] as const),
            ]);
            if (gadget.violation(forged) === -1) accepted++;
          }
          expect(accepted).toBe(at < count ? 1 : 0);
        }
      }
    }
  });

  it("leaves no other way than the one hot hint: the rows alone determine the hints but the hot one, and it is 1", async () => {
    const gadget = await zeroFrom(6);
    const honest = await gadget.honest({ count: 2n, slot: filled(6, 2) });
    const inputs = new Map([gadget.wire("count"), ...gadget.wiresLike(/^slot\[/)].map((wire) => [wire, honest[wire]!]));
    expect(forge(gadget.r1cs, inputs)).toEqual({ witness: honest, violated: [] });
  });
});
