import { existsSync, readFileSync, statSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import type { SampleSet } from "../../src/model/data.js";
import { fashion, inputsFor, MODELS, orSkip, type TestModel, tokensOf, weightsOf } from "./models.js";

const proto = (model: TestModel) => fromBinary(ModelProtoSchema, readFileSync(model.file)).graph!;
const operators = (model: TestModel) => proto(model).node.map(({ opType }) => opType);

/** Runs a model in onnxruntime. */
async function session(model: TestModel): Promise<(input: ArrayLike<number>) => Promise<number[]>> {
  const runtime = await InferenceSession.create(model.file, { intraOpNumThreads: 1 });
  const shape = [1, ...model.shape];
  return async (input) => {
    const tensor =
      model === MODELS.text
        ? new Tensor("int64", BigInt64Array.from(Array.from(input, BigInt)), shape)
        : new Tensor("float32", Float32Array.from(input), shape);
    const results = await runtime.run({ [runtime.inputNames[0]!]: tensor });
    return Array.from(results[runtime.outputNames[0]!]!.data as Float32Array);
  };
}

async function accuracy(model: TestModel, { inputs, labels }: SampleSet): Promise<number> {
  const run = await session(model);
  let right = 0;
  for (const [index, input] of inputs.entries()) {
    const logits = await run(input);
    if (logits.indexOf(Math.max(...logits)) === labels![index]) right++;
  }
  return right / inputs.length;
}

describe("the committed models", () => {
  it.for([
    { model: MODELS.mlp, least: 0.88 },
    { model: MODELS.lenet5, least: 0.88 },
    { model: MODELS.grouped, least: 0.77 },
    { model: MODELS.transformer, least: 0.68 },
  ])("$model.name is as good as its script says", async ({ model, least }, context) => {
    const set = orSkip(context, await model.real(1000));
    expect(await accuracy(model, set)).toBeGreaterThan(least);
  });

  it("are tried on the images that everybody has", async (context) => {
    expect(orSkip(context, await fashion(4)).labels).toEqual([9, 2, 1, 1]);
    expect(orSkip(context, await fashion(4, "train")).labels).toEqual([9, 0, 0, 3]);
    const [upright, turned] = [await fashion(1), await MODELS.transformer.real(1)];
    expect(turned!.inputs[0]).toEqual(upright!.inputs[0]!.slice().reverse());
  });

  it("tell text from shuffled letters", async () => {
    const set = (await MODELS.text.real(1000))!;
    expect(await accuracy(MODELS.text, set)).toBeGreaterThan(0.87);
    expect(Array.from(tokensOf("Az _~é"))).toEqual([33, 58, 0, 63, 0, 0]);
  });

  it("need their adapter for images upside down", async (context) => {
    const set = orSkip(context, await MODELS.transformer.real(500));
    const bare = readFileSync(MODELS.transformer.file);
    const { values } = weightsOf(MODELS.transformer.file, "fc1.lora_B.weight");
    const bytes = Buffer.from(values.buffer);
    bare.fill(0, bare.indexOf(bytes), bare.indexOf(bytes) + bytes.length);
    const runtime = await InferenceSession.create(bare, { intraOpNumThreads: 1 });
    let right = 0;
    for (const [index, input] of set.inputs.entries()) {
      const { logits } = await runtime.run({ image: new Tensor("float32", Float32Array.from(input), [1, 1, 28, 28]) });
      const list = Array.from(logits!.data as Float32Array);
      if (list.indexOf(Math.max(...list)) === set.labels![index]) right++;
    }
    expect(right / set.inputs.length).toBeLessThan(0.4);
  });

  it("keep what the importer is to deal with", () => {
    const norms = proto(MODELS.grouped).node.filter(({ opType }) => opType === "BatchNormalization");
    // One output: the form of inference. Training's has more.
    expect(norms.map(({ input, output }) => [input.length, output.length])).toEqual([
      [5, 1],
      [5, 1],
      [5, 1],
    ]);
    expect(operators(MODELS.grouped)).toEqual(expect.arrayContaining(["Clip", "HardSigmoid", "MaxPool"]));
    expect(operators(MODELS.lenet5).filter((op) => op === "AveragePool")).toHaveLength(2);
    expect(operators(MODELS.transformer)).toEqual(expect.arrayContaining(["Softmax", "Erf", "ReduceMean", "Sqrt"]));
    expect(weightsOf(MODELS.transformer.file, "fc1.lora_A.weight").dims).toEqual([4, 16]);
    expect(weightsOf(MODELS.transformer.file, "fc1.lora_B.weight").dims).toEqual([32, 4]);
    expect(operators(MODELS.text)[0]).toBe("Gather");
    expect(operators(MODELS.deepa).at(-1)).toBe("Sigmoid");
    for (const { file } of Object.values(MODELS)) {
      expect(existsSync(file), file).toBe(true);
      expect(statSync(file).size).toBeLessThan(500_000);
    }
  });
});

describe("generated inputs", () => {
  it.each(Object.values(MODELS) as TestModel[])("of $name lie in its domain and are always the same", async (model) => {
    const { shape, domain } = model;
    const inputs = inputsFor(model, 300);
    const again = inputsFor(model, 300);
    expect(again).toEqual(inputs);
    expect(inputsFor(model, 300, 2).at(-1)).not.toEqual(inputs.at(-1));
    for (const input of inputs) {
      expect(input.length).toBe(shape.reduce((product, size) => product * size, 1));
      const inside = (value: number) =>
        value >= domain.min && value <= domain.max && (!domain.integers || Number.isInteger(value));
      expect(input.every(inside)).toBe(true);
    }
    const least = (list: number[]) => list.reduce((a, b) => Math.min(a, b));
    const most = (list: number[]) => list.reduce((a, b) => Math.max(a, b));
    expect(least(inputs.map((input) => least([...input])))).toBe(domain.min);
    expect(most(inputs.map((input) => most([...input])))).toBe(domain.max);
    // Not all one answer: a model that always says the same would make every comparison of answers idle.
    const run = await session(model);
    const answers = new Set<number>();
    for (const input of inputs.slice(-100)) {
      const output = await run(input);
      answers.add(output.length === 1 ? Math.round(10 * output[0]!) : output.indexOf(Math.max(...output)));
    }
    expect(answers.size).toBeGreaterThan(1);
  });
});
