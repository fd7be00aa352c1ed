import { readFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { proveBounds } from "../../src/model/bounds.js";
import { MAIL_CLASSES } from "../../src/model/corpus.js";
import { createExecutor } from "../../src/model/execute.js";
import { extractFeatures, featuresToFloat } from "../../src/model/features.js";
import { modelDigest } from "../../src/model/graph.js";
import { INPUT_SCALE_KEY, readOnnx, runFloat } from "../../src/model/onnx.js";
import { quantise, quantiseInput } from "../../src/model/quantise.js";
import { code } from "../support/errors.js";
import { node, onnx, SPAM_ONNX, spamModel, TINY, TINY_INPUTS, tensor } from "./fixtures.js";

const tiny = () => readOnnx(onnx(TINY));

describe("quantise", () => {
  it("gives this graph for this model, every time", async () => {
    const { graph, report } = await quantise(tiny(), { calibration: TINY_INPUTS });
    expect({ graph, report }).toMatchInlineSnapshot(`
      {
        "graph": {
          "input": {
            "scaleLog2": 6,
            "size": 2,
          },
          "layers": [
            {
              "bias": [
                0,
                2032,
                -2032,
              ],
              "inputs": 2,
              "kind": "dense",
              "outputs": 3,
              "weights": [
                [
                  127,
                  -127,
                ],
                [
                  127,
                  64,
                ],
                [
                  -95,
                  127,
                ],
              ],
            },
            {
              "kind": "requantRelu",
              "shifts": [
                6,
                7,
                6,
              ],
            },
            {
              "bias": [
                1008,
                -1008,
              ],
              "inputs": 3,
              "kind": "dense",
              "outputs": 2,
              "weights": [
                [
                  127,
                  64,
                  -64,
                ],
                [
                  -127,
                  32,
                  95,
                ],
              ],
            },
            {
              "kind": "argMax",
            },
          ],
        },
        "report": {
          "calibrationSamples": 6,
          "hidden": [
            {
              "node": "node "h" (Gemm)",
              "saturated": 0.05555555555555555,
              "silentChannels": 0,
            },
          ],
          "logitScale": 0.000062000124000248,
          "saturatedInputs": 0,
        },
      }
    `);
    const again = await quantise(readOnnx(onnx(TINY)), {
      calibration: TINY_INPUTS.map((row) => Float64Array.from(row)),
    });
    expect(modelDigest(again.graph)).toBe(modelDigest(graph));
  });

  it("logits times their scale are the float model's, up to rounding", async () => {
    const model = tiny();
    const { graph, report } = await quantise(model, { calibration: TINY_INPUTS });
    const run = createExecutor(graph);
    for (const input of TINY_INPUTS) {
      const float = runFloat(model, input);
      run(quantiseInput(graph, input)).logits.forEach((logit, c) => {
        expect(Math.abs(logit * report.logitScale - float[c]!)).toBeLessThan(0.04);
      });
    }
  });

  it("takes the input scale from the option, then the file, then the calibration set", async () => {
    const scale = async (metadata: Record<string, string>, inputScaleLog2?: number) => {
      const model = readOnnx(onnx({ ...TINY, metadata }));
      const options = inputScaleLog2 === undefined ? {} : { inputScaleLog2 };
      return (await quantise(model, { calibration: TINY_INPUTS, ...options })).graph.input.scaleLog2;
    };
    expect(await scale({ [INPUT_SCALE_KEY]: "5" }, 4)).toBe(4);
    expect(await scale({ [INPUT_SCALE_KEY]: "5" })).toBe(5);
    expect(await scale({})).toBe(6); // 1.0 becomes 64; at 2^7 it would saturate
    await expect(scale({ [INPUT_SCALE_KEY]: "seven" })).rejects.toThrowError(code("MODEL_MALFORMED"));
    await expect(scale({}, 0.5)).rejects.toThrowError(code("INPUT_INVALID"));
  });

  it("handles channels that are constant, silent, or without weights", async () => {
    const model = readOnnx(
      onnx({
        nodes: TINY.nodes,
        tensors: [
          tensor("w1", [3, 2], [0, 0, 0, 0, -1, -1]),
          tensor("b1", [3], [0, 3.5, -1]),
          tensor("w2", [2, 3], [1, 1, 1, -1, 0.5, 2]),
          tensor("b2", [2], [0, 0]),
        ],
      }),
    );
    const { graph, report } = await quantise(model, { calibration: TINY_INPUTS });
    expect(report.hidden[0]!.silentChannels).toBe(2);
    const { layers, logits } = createExecutor(graph)([10, 20]);
    expect(layers[1]).toEqual([0, 127, 0]);
    expect(logits.map((logit) => Math.round(logit * report.logitScale * 100) / 100)).toEqual([3.5, 1.76]);
  });

  it.each([
    ["no sample", []],
    ["a sample too short", [[1]]],
    ["a negative value", [[1, -0.1]]],
    ["NaN", [[Number.NaN, 0]]],
    ["all zero", [[0, 0]]],
  ])("refuses a calibration set with %s", async (_, calibration) => {
    await expect(quantise(tiny(), { calibration })).rejects.toThrowError(code("INPUT_INVALID"));
  });

  it("refuses biases that do not fit, and constant models", async () => {
    const nodes = [node("Gemm", ["x", "w", "b"], "y")];
    const huge = onnx({ nodes, tensors: [tensor("w", [2, 2], [1e-6, 0, 0, 1e-6]), tensor("b", [2], [1e6, 0])] });
    await expect(quantise(readOnnx(huge), { calibration: [[1, 1]] })).rejects.toThrowError(code("MODEL_UNBOUNDED"));
    const flat = onnx({ nodes, tensors: [tensor("w", [2, 2], [0, 0, 0, 0]), tensor("b", [2], [1, 0])] });
    await expect(quantise(readOnnx(flat), { calibration: [[1, 1]] })).rejects.toThrowError(
      code("MODEL_OP_UNSUPPORTED"),
    );
  });

  it("reports progress to the end, and stops on request", async () => {
    const seen: number[] = [];
    await quantise(tiny(), { calibration: TINY_INPUTS, onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen.at(-1)).toBe(1);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
    await expect(quantise(tiny(), { calibration: TINY_INPUTS, signal: AbortSignal.abort() })).rejects.toThrowError(
      code("ABORTED"),
    );
  });
});

describe("the demonstration model", () => {
  it("keeps its digest, is accurate, and agrees with onnxruntime on held-out mails", async () => {
    const { graph, test } = await spamModel();
    expect(modelDigest(graph)).toMatchInlineSnapshot(
      `"0x7993daefe42941e3fe3a61dbd942ff328644896e61e887333713183d0835ff59"`,
    );
    expect(proveBounds(graph).every(({ bits }) => bits <= 24)).toBe(true);

    const session = await InferenceSession.create(new Uint8Array(readFileSync(SPAM_ONNX)));
    const run = createExecutor(graph);
    let same = 0;
    let right = 0;
    let reference = 0;
    for (const mail of test) {
      const features = extractFeatures(mail.body);
      const { logits } = await session.run({ features: new Tensor("float32", featuresToFloat(features), [1, 256]) });
      const [ham, spam] = logits!.data as Float32Array;
      const float = spam! > ham! ? 1 : 0;
      const { classIndex } = run(features);
      if (float === classIndex) same++;
      if (MAIL_CLASSES[classIndex] === mail.label) right++;
      if (MAIL_CLASSES[float] === mail.label) reference++;
    }
    expect(same / test.length).toBeGreaterThanOrEqual(0.99);
    expect(right / test.length).toBeGreaterThanOrEqual(0.97);
    expect(Math.abs(right - reference) / test.length).toBeLessThanOrEqual(0.002);
  });

  it("takes features as they are: its input scale is the features' own", async () => {
    const { graph, test } = await spamModel();
    const features = extractFeatures(test[0]!.body);
    expect(quantiseInput(graph, featuresToFloat(features))).toEqual([...features]);
    expect(() => quantiseInput(graph, [1])).toThrowError(code("INPUT_INVALID"));
  });
});
