import { beforeAll, describe, expect, it } from "vitest";
import { poseidon16 } from "../../../src/field/poseidon.js";
import { R } from "../../../src/field/scalar.js";
import { fieldElements, Gadget } from "../inference/support.js";
import { forge } from "./forge.js";

describe("Poseidon16", () => {
  let gadget: Gadget;
  const random = fieldElements(16n);
  const draw = () => ({ capacity: random(), in: Array.from({ length: 16 }, random) });

  beforeAll(async () => {
    gadget = await Gadget.template("lib/poseidon16.circom", "Poseidon16()");
  });

  it("has 613 rows at -O1", () => {
    expect(gadget.rows).toBe(613);
  });

  it("equals its twin for every capacity", async () => {
    const cases = [
      draw(),
      draw(),
      { capacity: 0n, in: new Array<bigint>(16).fill(0n) },
      { capacity: R - 1n, in: new Array<bigint>(16).fill(R - 1n) },
      { capacity: 0x61705f6c656166n + (240n << 64n), in: Array.from({ length: 16 }, (_, i) => BigInt(i)) },
    ];
    for (const inputs of cases) {
      const witness = await gadget.honest(inputs);
      expect(gadget.violation(witness)).toBe(-1);
      expect(witness[gadget.wire("out")]).toBe(poseidon16(inputs.capacity, inputs.in));
    }
  });

  it("determines every wire", async () => {
    expect(gadget.looseWires(await gadget.honest(draw()), random)).toEqual([]);
  });

  it("binds the capacity and every input: none can change under an unchanged output", async () => {
    const inputs = draw();
    const honest = await gadget.honest(inputs);
    const wires = [gadget.wire("capacity"), ...gadget.wiresLike(/^in\[/)];
    expect(wires).toHaveLength(17);
    const values = wires.map((wire) => [wire, honest[wire]!] as const);
    // The solver finds the honest witness again, so what it finds below is wrong by the changed input alone.
    expect(forge(gadget.r1cs, new Map(values))).toEqual({ witness: honest, violated: [] });
    const out = gadget.wire("out");
    for (const [wire, value] of values) {
      const changed = new Map([...values, [wire, value + 1n] as const, [out, honest[out]!] as const]);
      expect(forge(gadget.r1cs, changed).violated).not.toEqual([]);
    }
  });
});
