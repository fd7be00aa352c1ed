import { beforeAll, describe, expect, it } from "vitest";
import { bit, fieldElements, Gadget } from "../inference/support.js";
import { forge } from "./forge.js";

describe("Select16", () => {
  let gadget: Gadget;
  const random = fieldElements(17n);
  const values = Array.from({ length: 16 }, random);
  const bits = (digit: bigint) => [0, 1, 2, 3].map((i) => bit(digit, i));

  beforeAll(async () => {
    gadget = await Gadget.template("lib/select16.circom", "Select16()");
  });

  it("has 35 rows", () => {
    expect(gadget.rows).toBe(35);
  });

  it("picks in[digit] for every digit, and determines every wire", async () => {
    for (let digit = 0n; digit < 16n; digit++) {
      const witness = await gadget.honest({ bit: bits(digit), in: values });
      expect(witness[gadget.wire("out")]).toBe(values[Number(digit)]);
      expect(gadget.looseWires(witness, random)).toEqual([]);
    }
  });

  it("has no witness for another output, whatever the digit", async () => {
    for (let digit = 0n; digit < 16n; digit++) {
      const honest = await gadget.honest({ bit: bits(digit), in: values });
      const fixed = new Map(honest.slice(0, 1 + 1 + 4 + 16).map((value, wire) => [wire, value]));
      for (const other of [values[Number((digit + 1n) % 16n)]!, 0n]) {
        expect(forge(gadget.r1cs, fixed.set(gadget.wire("out"), other)).violated).not.toEqual([]);
      }
    }
  });

  it("does not check that the bits are bits: the caller must, as its comment says", async () => {
    // 2·in[1] − in[0] passes for digit bits (2, 0, 0, 0): the reason why MerklePath16 decomposes the index itself.
    const witness = await gadget.honest({ bit: [2n, 0n, 0n, 0n], in: values });
    expect(gadget.violation(witness)).toBe(-1);
    expect(witness[gadget.wire("out")]).toBe(gadget.with([0n], [[0, 2n * values[1]! - values[0]!]])[0]);
  });
});
