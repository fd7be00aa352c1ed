import { describe, expect, it } from "vitest";
import { lcg } from "../../model/fixtures.js";
import { forge } from "../lib/forge.js";
import { field, fieldElements, Gadget } from "./support.js";

const INT32 = 2n ** 31n - 1n;

describe("Mul", () => {
  it("is a row a product, exact at the ends of int32, and leaves no wire free", async () => {
    const gadget = await Gadget.template("inference/mul.circom", "Mul(4)");
    expect(gadget.rows).toBe(4);
    const a = [INT32, -INT32, 0n, -3n];
    const b = [INT32, INT32, 5n, -7n];
    const honest = await gadget.honest({ a, b });
    expect(a.map((_, i) => honest[gadget.wire(`out[${i}]`)])).toEqual(a.map((value, i) => field(value * b[i]!)));
    expect(gadget.looseWires(honest, fieldElements(41n))).toEqual([]);
  });
});

describe("MatMul", () => {
  it.each([
    [1, 1, 1, 1],
    [1, 2, 3, 2],
    [2, 2, 5, 3],
    [3, 1, 2, 1],
  ])("of %i groups, %i×%i by %i, takes a row a product and is exact", async (groups, rows, inner, cols) => {
    const gadget = await Gadget.template("inference/mat_mul.circom", `MatMul(${groups}, ${rows}, ${inner}, ${cols})`);
    expect(gadget.rows).toBe(groups * rows * cols * inner);
    const random = lcg(groups + rows + inner + cols);
    const draw = (count: number) =>
      Array.from({ length: count }, () => [INT32, -INT32, 0n, BigInt(random(255) - 127)][random(4)]!);
    const [a, b] = [draw(groups * rows * inner), draw(groups * cols * inner)];
    const honest = await gadget.honest({ a, b });
    for (let g = 0; g < groups; g++) {
      for (let m = 0; m < rows; m++) {
        for (let n = 0; n < cols; n++) {
          let sum = 0n;
          for (let k = 0; k < inner; k++) sum += a[(g * rows + m) * inner + k]! * b[(g * cols + n) * inner + k]!;
          expect(honest[gadget.wire(`out[${(g * rows + m) * cols + n}]`)]).toBe(field(sum));
        }
      }
    }
    expect(gadget.looseWires(honest, fieldElements(42n))).toEqual([]);
  });

  // zkVC's reference code folds the products of a row into one at s = 2. Matrices that differ by a multiple of the
  // polynomial's kernel then have the same folded product.
  it("zkVC: folding at a constant point. Products that agree when folded are told apart", async () => {
    const gadget = await Gadget.template("inference/mat_mul.circom", "MatMul(1, 1, 2, 2)");
    const [a, b] = [
      [3n, -5n],
      [7n, 2n, -4n, 9n],
    ];
    const honest = await gadget.honest({ a, b });
    const [y0, y1] = [gadget.wire("out[0]"), gadget.wire("out[1]")];
    const folded = (witness: readonly bigint[]) => field(witness[y0]! + 2n * witness[y1]!);
    const forged = gadget.with(honest, [
      [y0, honest[y0]! + 2n],
      [y1, honest[y1]! - 1n],
    ]);
    expect(folded(forged)).toBe(folded(honest)); // a verifier who folds accepts this
    expect(gadget.violation(forged)).not.toBe(-1);
    // Nor is there any other way to fill in the rest.
    const inputs = ["a[0]", "a[1]", "b[0]", "b[1]", "b[2]", "b[3]", "out[0]", "out[1]"];
    const fixed = new Map(inputs.map((name) => [gadget.wire(name), forged[gadget.wire(name)]!]));
    expect(forge(gadget.r1cs, fixed).violated).not.toEqual([]);
  });
});
