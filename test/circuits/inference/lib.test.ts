import { describe, expect, it } from "vitest";
import { bit, fieldElements, Gadget, R } from "./support.js";

describe("NonZero", () => {
  it("has one row, a unique witness, and none for zero", async () => {
    const gadget = await Gadget.compile(
      "NonZero",
      'pragma circom 2.2.3;\ninclude "lib/nonzero.circom";\ncomponent main {public [in]} = NonZero();\n',
    );
    expect(gadget.rows).toBe(1);
    const random = fieldElements(1n);
    for (const value of [1n, 2n, R - 1n, random()]) {
      expect(gadget.looseWires(await gadget.honest({ in: value }), random)).toEqual([]);
    }
    const zero = gadget.with(await gadget.honest({ in: 1n }), [[gadget.wire("in"), 0n]]);
    for (const inverse of [0n, 1n, R - 1n, random()]) {
      expect(gadget.violation(gadget.with(zero, [[gadget.wire("inverse"), inverse]]))).not.toBe(-1);
    }
    await expect(gadget.honest({ in: 0n })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
  });
});

describe("RangeCheck", () => {
  it.each([
    [0, 1],
    [-1, 2],
    [0, 7],
    [-128, 8],
    [1000, 3],
  ])("from %i, %i bits: exactly the values in range have a witness, and one each", async (from, bits) => {
    const gadget = await Gadget.template("lib/range_check.circom", `RangeCheck(${from}, ${bits})`);
    expect(gadget.rows).toBe(bits);
    const lo = BigInt(from);
    const base = await gadget.honest({ in: lo });
    const limit = 1n << BigInt(bits);
    const random = fieldElements(2n);
    for (const value of [0n, 1n, limit / 2n, limit - 1n]) {
      const honest = await gadget.honest({ in: lo + value });
      expect(gadget.looseWires(honest, random)).toEqual([]);
    }
    // Every assignment of the bits against every interesting value.
    const wires = gadget.wiresLike(/^bits\[/);
    const values = [...Array(Number(limit) + 2).keys()]
      .map(BigInt)
      .concat(-1n, -limit, R / 2n, R - limit, (R + 1n) / 2n);
    for (const value of values) {
      let accepted = 0;
      for (let assignment = 0n; assignment < limit / 2n; assignment++) {
        const witness = gadget.with(base, [
          [gadget.wire("in"), lo + value],
          ...wires.map((wire, i) => [wire, bit(assignment, i)] as const),
        ]);
        if (gadget.violation(witness) === -1) accepted++;
      }
      expect(accepted).toBe(value >= 0n && value < limit ? 1 : 0);
    }
  });

  it("of 253 bits, the widest, has no alias: value plus modulus does not fit", async () => {
    const gadget = await Gadget.template("lib/range_check.circom", "RangeCheck(0, 253)");
    const wires = gadget.wiresLike(/^bits\[/);
    const decompose = (value: bigint) => wires.map((wire, i) => [wire, (value >> BigInt(i)) & 1n] as const);
    for (const value of [0n, 5n, (1n << 253n) - 1n]) {
      const honest = await gadget.honest({ in: value });
      expect(gadget.violation(gadget.with(honest, decompose(value)))).toBe(-1);
      expect(gadget.violation(gadget.with(honest, decompose(value + R)))).not.toBe(-1);
    }
    await expect(gadget.honest({ in: 1n << 253n })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
  });

  it("does not compile with more bits, or none", async () => {
    for (const bits of [0, 254]) {
      await expect(Gadget.template("lib/range_check.circom", `RangeCheck(0, ${bits})`)).rejects.toMatchObject({
        code: "CIRCUIT_COMPILE",
      });
    }
  });
});
