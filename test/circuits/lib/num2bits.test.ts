import { describe, expect, it } from "vitest";
import { bit, fieldElements, Gadget, R } from "../inference/support.js";

// The input is public, or circom would drop the single bit's wire.
const num2bits = (bits: number) =>
  Gadget.compile(
    `Num2Bits(${bits})`,
    `pragma circom 2.2.3;\ninclude "lib/num2bits.circom";\ncomponent main {public [in]} = Num2Bits(${bits});\n`,
  );

describe("Num2Bits", () => {
  it.each([1, 4, 8])("of %i bits: exactly the values in range have a witness, and one each", async (bits) => {
    const gadget = await num2bits(bits);
    expect(gadget.rows).toBe(bits + 1);
    const limit = 1n << BigInt(bits);
    const random = fieldElements(18n);
    for (const value of [0n, 1n, limit - 1n]) {
      const honest = await gadget.honest({ in: value });
      expect(gadget.wiresLike(/^out\[/).map((wire) => honest[wire])).toEqual(
        Array.from({ length: bits }, (_, i) => bit(value, i)),
      );
      expect(gadget.looseWires(honest, random)).toEqual([]);
    }
    const base = await gadget.honest({ in: 0n });
    const wires = gadget.wiresLike(/^out\[/);
    const values = [...Array(Math.min(20, Number(limit) + 2)).keys()]
      .map(BigInt)
      .concat(limit, limit + 1n, -1n, -limit, R / 2n, R - limit, (R + 1n) / 2n);
    for (const value of new Set(values)) {
      let accepted = 0;
      for (let assignment = 0n; assignment < limit; assignment++) {
        const forged = gadget.with(base, [
          [gadget.wire("in"), value],
          ...wires.map((wire, i) => [wire, bit(assignment, i)] as const),
        ]);
        if (gadget.violation(forged) === -1) accepted++;
      }
      expect(accepted).toBe(value >= 0n && value < limit ? 1 : 0);
    }
  });

  it("takes no other field elements as bits", async () => {
    const gadget = await num2bits(2);
    const base = await gadget.honest({ in: 0n });
    const [low, high] = gadget.wiresLike(/^out\[/) as [number, number];
    // low + 2·high = in holds for each of these, so only the rows that force bits stand in the way.
    for (const [value, b0, b1] of [
      [2n, 2n, 0n],
      [1n, -1n, 1n],
      [3n, 0n, 3n * ((R + 1n) / 2n)],
      [4n, 0n, 2n],
      [0n, -2n, 1n],
    ] as const) {
      const forged = gadget.with(base, [
        [gadget.wire("in"), value],
        [low, b0],
        [high, b1],
      ]);
      expect(gadget.violation(forged)).not.toBe(-1);
    }
  });

  it("of 253 bits, the widest, has no alias: value plus modulus does not fit", async () => {
    const gadget = await num2bits(253);
    expect(gadget.rows).toBe(254);
    const wires = gadget.wiresLike(/^out\[/);
    expect(wires).toHaveLength(253);
    const decompose = (value: bigint) => wires.map((wire, i) => [wire, (value >> BigInt(i)) & 1n] as const);
    for (const value of [0n, 5n, (1n << 253n) - 1n]) {
      const honest = await gadget.honest({ in: value });
      expect(gadget.violation(gadget.with(honest, decompose(value)))).toBe(-1);
      expect(gadget.violation(gadget.with(honest, decompose(value + R)))).not.toBe(-1);
    }
    const honest = await gadget.honest({ in: 0n });
    for (const value of [1n << 253n, R - 1n]) {
      const forged = gadget.with(honest, [[gadget.wire("in"), value], ...decompose(value)]);
      expect(gadget.violation(forged)).not.toBe(-1);
    }
  });

  it("does not compile with more bits, or none", async () => {
    for (const bits of [0, 254]) await expect(num2bits(bits)).rejects.toMatchObject({ code: "CIRCUIT_COMPILE" });
  });
});
