import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isAnchorError } from "../../../src/errors.js";
import { foldVector, haveVectors, type Outcome, runVector, vectorNames } from "./vectors.js";

/**
 * What becomes of each vector: with its first input computed, and with all inputs known when the file is read. Written
 * anew by UPDATE_VECTORS=1.
 */
const TABLE = new URL("./vectors.txt", import.meta.url);

/** Vectors that differ from the reader by more than rounding, and why. */
const DIFFERENT: readonly [RegExp, string][] = [
  [/cast.*FLOAT16/, "a cast to half precision rounds; here computed values stay as they are"],
  [
    /resize_downsample_scales_(cubic|linear)_align_corners/,
    "the vector divides by a fractional length; onnxruntime does as we do",
  ],
  [/dynamicquantizelinear_expanded/, "single precision rounds a tie to the other side"],
];

/** Vectors that are refused for another reason than an operator. */
const REFUSED: readonly [RegExp, string][] = [
  [/isinf|isnan|cast.*BFLOAT16|operator_(sqrt|pow)/, "NaN or infinite among the constants or results"],
  [/adagrad|adam|momentum/, "training; the file names no standard operator set"],
  [/zero_size|tril_zero|triu_zero|allowzero_reordered/, "an input of no values"],
  [/onehot_negative_indices/, "indices of computed values run from 0"],
  [/stride_padding_dilation|operator_conv/, "the batch makes more windows than a value may have"],
];

function outcomeOf(name: string, run: (name: string) => Outcome): string {
  try {
    const { differences } = run(name);
    return Math.max(0, ...differences) < 1e-4 ? "pass" : "different";
  } catch (error) {
    // Whatever else is thrown is a defect.
    if (!isAnchorError(error)) throw new Error(`${name} fails without a code`, { cause: error });
    return error.code;
  }
}

describe.skipIf(!haveVectors())("the operator vectors of ONNX (skipped without libonnx-testdata)", () => {
  it("pass, or are refused as the table says", { timeout: 60_000 }, () => {
    const known = new Map<string, string>();
    if (existsSync(TABLE)) {
      for (const line of readFileSync(TABLE, "utf8").trim().split("\n")) {
        const [name, ...outcome] = line.split(" ");
        known.set(name!, outcome.join(" "));
      }
    }
    const lines: string[] = [];
    const wrong: string[] = [];
    const passed = { computed: 0, folded: 0 };
    for (const name of vectorNames()) {
      const computed = outcomeOf(name, runVector);
      const folded = outcomeOf(name, foldVector);
      if (computed === "pass") passed.computed++;
      if (folded === "pass") passed.folded++;
      for (const outcome of [computed, folded]) {
        if (outcome === "pass" || outcome === "MODEL_OP_UNSUPPORTED") continue;
        const reasons = outcome === "different" ? DIFFERENT : REFUSED;
        if (!reasons.some(([pattern]) => pattern.test(name))) wrong.push(`${name}: ${outcome} without a reason`);
      }
      lines.push(`${name} ${computed} ${folded}`);
      // Other versions of the vectors may have more of them.
      const before = known.get(name);
      if (before !== undefined && before !== `${computed} ${folded}`) {
        wrong.push(`${name}: ${computed} ${folded}, not ${before}`);
      }
    }
    if (process.env["UPDATE_VECTORS"] === "1") writeFileSync(TABLE, `${lines.join("\n")}\n`);
    else expect(wrong).toEqual([]);
    expect(passed.computed).toBeGreaterThan(650);
    expect(passed.folded).toBeGreaterThan(700);
  });
});
