import { describe, expect, it } from "vitest";
import { commitInput } from "../../../src/model/commitment.js";
import { lcg } from "../../model/fixtures.js";
import { fieldElements, Gadget, R } from "./support.js";

const committed = (size: number) => Gadget.template("inference/committed_input.circom", `CommittedInput(${size})`);

describe("CommittedInput", () => {
  it.each([1, 32, 40, 467])("of %i features equals its twin", async (size) => {
    const gadget = await committed(size);
    const random = lcg(size);
    const salts = fieldElements(7n);
    for (const features of [
      Array.from({ length: size }, () => random(128)),
      new Array<number>(size).fill(127),
      new Array<number>(size).fill(0),
    ]) {
      const salt = salts();
      const witness = await gadget.honest({ features: features.map(BigInt), salt });
      expect(gadget.violation(witness)).toBe(-1);
      expect(witness[gadget.wire("commitment")]).toBe(commitInput(features, salt));
    }
  });

  it("leaves no wire free", async () => {
    const gadget = await committed(40);
    const features = Array.from({ length: 40 }, (_, i) => BigInt((37 * i) % 128));
    expect(gadget.looseWires(await gadget.honest({ features, salt: 99n }), fieldElements(8n))).toEqual([]);
  });

  it("has no witness for features out of range, even where the packed element is the same", async () => {
    const gadget = await committed(2);
    const honest = await gadget.honest({ features: [5n, 1n], salt: 1n });
    const [f0, f1] = [gadget.wire("features[0]"), gadget.wire("features[1]")];
    // 5 + 256 * 1 = 261 + 256 * 0 = -251 + 256 * 2: the packing alone would not tell these apart.
    for (const [a, b] of [
      [261n, 0n],
      [-251n, 2n],
      [5n - 256n * 127n, 128n],
    ] as const) {
      const bits = [a, b].flatMap((value, feature) =>
        gadget
          .wiresLike(new RegExp(`RangeCheck_\\d+_\\d+\\[${feature}\\]\\.bits`))
          .map((wire, i) => [wire, (value >> BigInt(i)) & 1n] as const),
      );
      expect(bits).toHaveLength(12);
      expect(gadget.violation(gadget.with(honest, [[f0, a], [f1, b], ...bits]))).not.toBe(-1);
    }
    for (const bad of [128n, R - 1n]) {
      await expect(gadget.honest({ features: [bad, 0n], salt: 1n })).rejects.toMatchObject({ code: "WITNESS_INVALID" });
    }
  });
});

describe("Dense", () => {
  it("is one linear row an output, and exact", async () => {
    const gadget = await Gadget.template(
      "inference/dense.circom",
      "Dense(3, 2, [[1, -2, 127], [-127, 0, 3]], [-5, 2147483647])",
    );
    expect(gadget.rows).toBe(2);
    const witness = await gadget.honest({ in: [127n, 1n, 2n] });
    expect(witness[gadget.wire("out[0]")]).toBe(127n - 2n + 254n - 5n);
    expect(witness[gadget.wire("out[1]")]).toBe(-127n * 127n + 6n + 2147483647n);
    expect(gadget.looseWires(witness, fieldElements(9n))).toEqual([]);
    // Linear rows lie in C alone: they cost the prover no coefficient of A or B.
    expect(gadget.r1cs.a.wire.length + gadget.r1cs.b.wire.length).toBe(0);
  });
});
