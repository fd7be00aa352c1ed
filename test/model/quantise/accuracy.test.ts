import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { SampleSet } from "../../../src/model/data.js";
import { createExecutor } from "../../../src/model/execute.js";
import { readOnnx } from "../../../src/model/onnx/index.js";
import { quantise, quantiseInput } from "../../../src/model/quantise/index.js";
import { createFloatExecutor } from "../../../src/model/run.js";
import { MODELS, orSkip, type TestModel } from "../models.js";

/** Correct classes of the float model and of the integers, and where they are the same, as fractions. */
async function compare(model: TestModel, calibration: SampleSet, set: SampleSet, adapter = false) {
  const float = readOnnx(readFileSync(model.file), { adapter });
  const { graph, adapter: weights } = await quantise(float, { calibration: calibration.inputs, output: "class" });
  const real = createFloatExecutor(float);
  const integer = createExecutor(graph);
  const right = { float: 0, integer: 0, same: 0 };
  set.inputs.forEach((input, i) => {
    const logits = real(input).at(-1)!;
    const wanted = logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
    const [given] = integer(quantiseInput(graph, input), weights).output;
    if (wanted === set.labels![i]) right.float++;
    if (given === set.labels![i]) right.integer++;
    if (given === wanted) right.same++;
  });
  const count = set.inputs.length;
  return { float: right.float / count, integer: right.integer / count, same: right.same / count };
}

const CASES = {
  mlp: { count: 10_000, points: 0.003, agreement: 0.995 },
  lenet5: { count: 1000, points: 0.003, agreement: 0.99 },
  grouped: { count: 2000, points: 0.005, agreement: 0.975 },
  transformer: { count: 1000, points: 0.01, agreement: 0.965 },
  text: { count: 2000, points: 0.005, agreement: 0.99 },
} as const;

describe("integers are as accurate as the floats that they come from", () => {
  it.for([
    { name: "mlp" as const, adapter: false },
    { name: "lenet5" as const, adapter: false },
    { name: "grouped" as const, adapter: false },
    { name: "transformer" as const, adapter: false },
    { name: "transformer" as const, adapter: true },
    { name: "text" as const, adapter: false },
  ])("$name, private adapter: $adapter", async ({ name, adapter }, context) => {
    const { count, points, agreement } = CASES[name];
    const model: TestModel = MODELS[name];
    const calibration = orSkip(context, await model.calibration(300));
    const set = orSkip(context, await model.real(count));
    const { float, integer, same } = await compare(model, calibration, set, adapter);
    expect(integer).toBeGreaterThan(float - points);
    // Scales are not chosen by private weights, which costs some agreement.
    expect(same).toBeGreaterThan(adapter ? agreement - 0.02 : agreement);
  });
});
