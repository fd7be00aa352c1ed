import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { proveBounds } from "../../../src/model/bounds.js";
import { createExecutor } from "../../../src/model/execute.js";
import { type FloatGraph, type FloatNode, INPUT_SCALE_KEY } from "../../../src/model/float.js";
import { inputOf, modelDigest, parseGraph, serialiseGraph } from "../../../src/model/graph.js";
import {
  dequantiseOutput,
  type Quantised,
  type QuantiseOptions,
  quantise,
  quantiseAdapter,
  quantiseInput,
} from "../../../src/model/quantise/index.js";
import { createFloatExecutor } from "../../../src/model/run.js";
import { code } from "../../support/errors.js";
import { lcg } from "../graphs.js";
import { buildFloats, FLOAT_STEPS, type FloatPlan, floatInputs } from "./floats.js";

/** 2 → 3 ReLU → 2. */
const TINY_INPUTS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [0.5, 0.5],
  [0.25, 1],
  [1, 0.75],
];
const dense = (from: number, inner: number, weights: number[], bias: number[]): FloatNode => ({
  op: "linear",
  node: `"d${from}" (Gemm)`,
  inputs: [from],
  groups: 1,
  positions: 1,
  inner,
  outputs: bias.length,
  weights: Float64Array.from(weights),
  bias: Float64Array.from(bias),
});
const relu = (from: number): FloatNode => ({
  op: "clip",
  node: `"r${from}" (Relu)`,
  inputs: [from],
  min: 0,
  max: Number.POSITIVE_INFINITY,
});
const graphOf = (
  size: number,
  outputs: number,
  nodes: FloatNode[],
  metadata = new Map<string, string>(),
): FloatGraph => ({
  nodes: [{ op: "input", node: '"x" (input)', name: "x", shape: [size] }, ...nodes],
  outputShape: [outputs],
  source: [],
  metadata,
});
const tiny = (metadata?: Map<string, string>) =>
  graphOf(
    2,
    2,
    [
      dense(0, 2, [1, -1, 1, 0.5, -0.75, 1], [0, 0.25, -0.25]),
      relu(1),
      dense(2, 3, [1, 0.5, -0.5, -1, 0.25, 0.75], [0.125, -0.125]),
    ],
    metadata,
  );

/** Root mean square of what integers are off by, against that of the floats, for each value that has a counterpart. */
function errorsOf(model: FloatGraph, { graph, adapter, correspondence }: Quantised, inputs: readonly Float64Array[]) {
  const float = createFloatExecutor(model);
  const integer = createExecutor(graph);
  const sums = correspondence.map(() => ({ lost: 0, size: 0 }));
  for (const input of inputs) {
    const reals = float(input);
    const { values } = integer(quantiseInput(graph, input), adapter);
    correspondence.forEach((each, at) => {
      reals[each.float]!.forEach((real, i) => {
        if (Math.abs(real) > 1e6) return; // a masked logit
        sums[at]!.lost += (real - values[each.value]![i]! * each.unit[i]!) ** 2;
        sums[at]!.size += real ** 2;
      });
    });
  }
  return sums.map(({ lost, size }) => Math.sqrt(lost / (size || 1)));
}

/** On inputs that were not calibrated on, unless the plan's seed is given as `seed`. */
async function outputError(
  plan: FloatPlan,
  options: Partial<QuantiseOptions> = {},
  seed = plan.seed + 1,
): Promise<number> {
  const model = buildFloats(plan);
  const quantised = await quantise(model, { calibration: floatInputs(plan, 48), output: "logits", ...options });
  return errorsOf(model, quantised, floatInputs({ ...plan, seed }, 24)).at(-1)!;
}

describe("quantise", () => {
  it("gives this graph for this model, every time", async () => {
    const { graph, report, correspondence } = await quantise(tiny(), { calibration: TINY_INPUTS, output: "class" });
    expect({ graph, report, correspondence }).toMatchInlineSnapshot(`
      {
        "correspondence": [
          {
            "float": 0,
            "node": ""x" (input)",
            "unit": Float64Array [
              0.25,
              0.25,
            ],
            "value": 0,
          },
          {
            "float": 1,
            "node": ""d0" (Gemm)",
            "unit": Float64Array [
              0.0078125,
              0.0078125,
              0.00390625,
            ],
            "value": 1,
          },
          {
            "float": 2,
            "node": ""r1" (Relu)",
            "unit": Float64Array [
              0.015625,
              0.015625,
              0.0078125,
            ],
            "value": 2,
          },
          {
            "float": 3,
            "node": ""d2" (Gemm)",
            "unit": Float64Array [
              0.00006151574803149606,
              0.00006151574803149606,
            ],
            "value": 3,
          },
        ],
        "graph": {
          "nodes": [
            {
              "bits": 7,
              "lo": 0,
              "op": "input",
              "scaleLog2": 2,
              "shape": [
                2,
              ],
            },
            {
              "bias": Int32Array [
                0,
                32,
                -64,
              ],
              "groups": 1,
              "inner": 2,
              "inputs": [
                0,
              ],
              "op": "linear",
              "outputs": 3,
              "positions": 1,
              "weights": Int16Array [
                32,
                -32,
                32,
                16,
                -48,
                64,
              ],
            },
            {
              "bits": 7,
              "inputs": [
                1,
              ],
              "lo": 0,
              "op": "requant",
              "shifts": Uint8Array [
                1,
              ],
            },
            {
              "bias": Int32Array [
                2046,
                -2056,
              ],
              "groups": 1,
              "inner": 3,
              "inputs": [
                2,
              ],
              "op": "linear",
              "outputs": 2,
              "positions": 1,
              "weights": Int16Array [
                254,
                127,
                -64,
                -254,
                64,
                95,
              ],
            },
            {
              "inputs": [
                3,
              ],
              "op": "argMax",
              "width": 2,
            },
          ],
        },
        "report": {
          "adapterUnits": [],
          "calibrationSamples": 6,
          "coarseInputs": 0,
          "outputUnit": 1,
          "points": [
            {
              "bits": 7,
              "elements": 3,
              "lo": 0,
              "node": ""r1" (Relu)",
              "saturated": 0,
              "silent": 0,
            },
          ],
          "saturatedInputs": 0,
          "usedSamples": 6,
        },
      }
    `);
    const calibration = TINY_INPUTS.map((row) => Float64Array.from(row));
    const again = await quantise(tiny(), { calibration, output: "class" });
    expect(modelDigest(again.graph)).toBe(modelDigest(graph));
  });

  it("gives these digests on every machine", async () => {
    const digests: Record<string, string> = {};
    const plans: Record<string, FloatPlan> = {
      convolution: { seed: 1, steps: ["convolution", "relu", "pool", "dense"] },
      transformer: { seed: 2, steps: ["layerNorm", "attention", "residual", "tanh", "softmax"], tokens: 12 },
      adapted: { seed: 3, steps: ["dense", "sigmoid", "gate", "max"], adapter: true, signed: true },
    };
    for (const [name, plan] of Object.entries(plans)) {
      const { graph } = await quantise(buildFloats(plan), { calibration: floatInputs(plan, 16), output: "logits" });
      digests[name] = modelDigest(graph);
    }
    expect(digests).toMatchInlineSnapshot(`
      {
        "adapted": "0x2fe8d9a5539dc0f5536324435e4fbc48c2a577f56d332a7b5603358a5373dbc7",
        "convolution": "0xb80585f8232aafa092a148edb85853e81f7902b22aa7ccdd7e6954d5c0b83afb",
        "transformer": "0xe68d779db3a4c4d66ea9ac7a4c1947274c73a1edbef3b6e33d1c7d8c8b9a95da",
      }
    `);
  });

  it.each(FLOAT_STEPS)("integers times their units are the floats, up to rounding: %s", async (step) => {
    for (const seed of [1, 2]) {
      for (const more of [{}, { signed: true }, { tokens: 9 }, { adapter: true }]) {
        // Private weights are as large as anything here, and calibration does not see them.
        expect(await outputError({ seed, steps: [step], ...more })).toBeLessThan("adapter" in more ? 0.15 : 0.06);
      }
    }
  });

  it("integers times their units are the floats: random graphs", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record(
          {
            seed: fc.nat(),
            steps: fc.array(fc.constantFrom(...FLOAT_STEPS), { minLength: 2, maxLength: 6 }),
            adapter: fc.boolean(),
            tokens: fc.integer({ min: 2, max: 20 }),
            signed: fc.boolean(),
          },
          { requiredKeys: ["seed", "steps"] },
        ),
        async (plan) => {
          expect(await outputError(plan)).toBeLessThan(plan.adapter ? 0.6 : 0.3);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("compiles what is well formed, or says what has no bounds: weights out of all proportion, few samples", async () => {
    let [compiled, unbounded] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(),
          steps: fc.array(fc.constantFrom(...FLOAT_STEPS.filter((step) => step !== "grid")), {
            minLength: 2,
            maxLength: 8,
          }),
          adapter: fc.boolean(),
          signed: fc.boolean(),
        }),
        fc.record({
          weights: fc.constantFrom(1e-7, 1, 1e6),
          bias: fc.constantFrom(1, 1e4),
          samples: fc.constantFrom(1, 8),
          weightBits: fc.integer({ min: 4, max: 12 }),
          activationBits: fc.integer({ min: 4, max: 12 }),
          inputBits: fc.integer({ min: 1, max: 16 }),
        }),
        async (plan, { weights, bias, samples, ...bits }) => {
          const model = buildFloats({ ...plan, steps: ["dense", ...plan.steps] });
          const scaled = model.nodes.map((node) =>
            node.op !== "linear"
              ? node
              : { ...node, weights: node.weights.map((w) => w * weights), bias: node.bias.map((b) => b * bias) },
          );
          const calibration = floatInputs(plan, samples);
          try {
            const { graph, adapter } = await quantise({ ...model, nodes: scaled }, { calibration, ...bits });
            createExecutor(graph)(quantiseInput(graph, calibration[0]!), adapter);
            compiled++;
          } catch (error) {
            expect(error).toMatchObject({
              code: "MODEL_UNBOUNDED",
              details: { source: expect.stringContaining('"n') },
            });
            unbounded++;
          }
        },
      ),
      { numRuns: 40 },
    );
    expect(unbounded).toBeLessThan(compiled / 4);
  });

  it("more bits of activations come nearer", async () => {
    const plan: FloatPlan = { seed: 5, steps: ["convolution", "relu", "dense", "relu"] };
    const errors = [];
    for (const bits of [5, 7, 9, 11]) {
      errors.push(await outputError(plan, { activationBits: bits, weightBits: 11, inputBits: 12 }, plan.seed));
    }
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
    expect(errors[0]! / errors.at(-1)!).toBeGreaterThan(20);
  });

  it("more bits of weights and inputs come nearer", async () => {
    const plan: FloatPlan = { seed: 5, steps: ["dense"] };
    const errors = [];
    for (const bits of [4, 6, 8, 10, 12]) errors.push(await outputError(plan, { weightBits: bits, inputBits: bits }));
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
    expect(errors[0]! / errors.at(-1)!).toBeGreaterThan(50);
  });

  it("proves its bounds, and writes a graph that reads back", async () => {
    const plan: FloatPlan = { seed: 7, steps: ["convolution", "leaky", "attention", "layerNorm"] };
    const { graph } = await quantise(buildFloats(plan), { calibration: floatInputs(plan, 16) });
    expect(proveBounds(graph).every(({ bits }) => bits <= 32)).toBe(true);
    expect(parseGraph(serialiseGraph(graph))).toEqual(graph);
  });

  it("handles channels that are constant, silent, or without weights", async () => {
    const model = graphOf(2, 2, [
      dense(0, 2, [0, 0, 0, 0, -1, -1], [0, 3.5, -1]),
      relu(1),
      dense(2, 3, [1, 1, 1, -1, 0.5, 2], [0, 0]),
    ]);
    const { graph, report } = await quantise(model, { calibration: TINY_INPUTS, output: "logits" });
    expect(report.points[0]!.silent).toBe(2);
    const { output } = createExecutor(graph)([10, 20]);
    const logits = dequantiseOutput(output, report.outputUnit);
    expect(Array.from(logits, (logit) => Math.round(logit * 100) / 100)).toEqual([3.5, 1.75]);
  });

  it("keeps what is constant, although nothing else is there", async () => {
    const model = graphOf(2, 3, [dense(0, 2, [0, 0, 0, 0, 0, 0], [0, 7, -3.5])]);
    const { graph, report } = await quantise(model, { calibration: TINY_INPUTS, output: "logits" });
    const logits = dequantiseOutput(createExecutor(graph)([1, 0]).output, report.outputUnit);
    expect(Array.from(logits, (logit) => Math.round(logit * 10) / 10)).toEqual([0, 7, -3.5]);
  });

  it("keeps the resolution of a function with a pole", async () => {
    // 1 / x, of x from 0.5 to 1; beside 0 it is beyond all measure.
    const model = graphOf(1, 1, [
      { op: "map", node: "reciprocal", inputs: [0], apply: (x) => 1 / x },
      dense(1, 1, [1], [0]),
    ]);
    const calibration = Array.from({ length: 65 }, (_, i) => [0.5 + i / 128]);
    const { graph, report } = await quantise(model, { calibration, output: "logits" });
    const run = createExecutor(graph);
    for (const [x] of calibration) {
      const [y] = dequantiseOutput(run(quantiseInput(graph, [x!])).output, report.outputUnit);
      expect(Math.abs(y! - 1 / x!)).toBeLessThan(0.03);
    }
  });

  it("gives all positions of a channel one unit, and one table", async () => {
    const [channels, positions] = [2, 6];
    const length = channels * positions;
    const below = lcg(5);
    const model = graphOf(positions, length, [
      {
        op: "linear",
        node: "conv",
        inputs: [0],
        groups: 1,
        positions,
        inner: 1,
        outputs: channels,
        weights: Float64Array.of(1, -0.3),
        bias: new Float64Array(channels),
      },
      // Channels last, as other frameworks have them.
      {
        op: "arrange",
        node: "transpose",
        inputs: [1],
        index: Int32Array.from({ length }, (_, k) => (k % channels) * positions + Math.floor(k / channels)),
        constants: [],
      },
      { op: "map", node: "leaky", inputs: [2], apply: (x) => (x < 0 ? 0.2 * x : x) },
      dense(
        3,
        length,
        Array.from({ length: 2 * length }, () => below(256) / 128 - 1),
        [0, 0],
      ),
    ]);
    // Positions of very different sizes, on a few samples: no reason to trust any of them.
    const calibration = Array.from({ length: 4 }, () =>
      Array.from({ length: positions }, (_, p) => (below(256) / 128 - 1) / 2 ** p),
    );
    const { graph } = await quantise(model, { calibration, output: "logits" });
    const tables = graph.nodes.filter((node) => node.op === "table");
    expect(tables.map(({ tables: entries, bits }) => entries.length / 2 ** bits)).toEqual([channels]);
  });

  it("refuses a model that computes nothing", async () => {
    const model = graphOf(2, 2, []);
    await expect(quantise(model, { calibration: TINY_INPUTS, output: "logits" })).rejects.toThrowError(
      code("MODEL_OP_UNSUPPORTED"),
    );
  });

  it("saturates where a clip does", async () => {
    const model = graphOf(1, 2, [
      dense(0, 1, [1, -2], [0, 1]),
      { op: "clip", node: "relu6", inputs: [1], min: 0, max: 0.5 },
      dense(2, 2, [1, 0, 0, 1], [0, 0]),
    ]);
    const calibration = Array.from({ length: 65 }, (_, i) => [i / 64]);
    const { graph, report } = await quantise(model, { calibration, output: "logits" });
    const run = createExecutor(graph);
    for (const [x] of calibration) {
      const logits = dequantiseOutput(run(quantiseInput(graph, [x!])).output, report.outputUnit);
      expect(Math.abs(logits[0]! - Math.min(0.5, x!))).toBeLessThan(0.006);
      expect(Math.abs(logits[1]! - Math.min(0.5, Math.max(0, 1 - 2 * x!)))).toBeLessThan(0.006);
    }
  });

  it("agrees with the grids of a quantised file", async () => {
    // Two dense layers as a QDQ file has them: int8 weights by channel, uint8 activations, the second with a zero point.
    const below = lcg(17);
    const int8 = (count: number, scale: number) => Array.from({ length: count }, () => (below(255) - 127) * scale);
    const grid = (from: number, scale: number, zero: number): FloatNode => ({
      op: "grid",
      node: `q${from}`,
      inputs: [from],
      scale: Float64Array.of(scale),
      zeroPoint: Int32Array.of(zero),
      lo: 0,
      hi: 255,
    });
    const model = graphOf(16, 8, [
      grid(0, 2 ** -8, 0),
      dense(1, 16, int8(24 * 16, 0.0071), int8(24, 0.003)),
      relu(2),
      grid(3, 0.0173, 0),
      dense(4, 24, int8(8 * 24, 0.0037), int8(8, 0.011)),
      grid(5, 0.0613, 121),
    ]);
    const calibration = Array.from({ length: 100 }, () => Array.from({ length: 16 }, () => below(256) / 256));
    const quantised = await quantise(model, { calibration, output: "logits" });
    expect(inputOf(quantised.graph)).toMatchObject({ lo: 0, bits: 8, scaleLog2: 8 });
    expect(quantised.report.outputUnit).toBe(0.0613);
    const [float, integer] = [createFloatExecutor(model), createExecutor(quantised.graph)];
    for (const node of [4, 6]) {
      const { value, unit } = quantised.correspondence.findLast((each) => each.float === node)!;
      let [same, count] = [0, 0];
      for (const input of calibration) {
        const real = float(input)[node]!;
        const given = integer(quantiseInput(quantised.graph, input)).values[value]!;
        real.forEach((x, i) => {
          const off = Math.abs(x / unit[i]! - given[i]!);
          expect(off).toBeLessThan(1.01);
          if (off < 0.01) same++;
          count++;
        });
      }
      expect(same / count).toBeGreaterThan(0.97);
    }
  });

  it("gives nothing to what a constant mask takes out of a softmax", async () => {
    const model = graphOf(3, 3, [
      { ...dense(0, 1, [4, 4, 4], [0, -1e9, 0]), groups: 3, outputs: 1 } as FloatNode,
      { op: "softmax", node: "softmax", inputs: [1], width: 3 },
    ]);
    const calibration = [
      [0, 1, 0.5],
      [1, 1, 0],
      [0.25, 0, 1],
    ];
    const { graph, report } = await quantise(model, { calibration, output: "logits" });
    const run = createExecutor(graph);
    for (const input of calibration) {
      const shares = dequantiseOutput(run(quantiseInput(graph, input)).output, report.outputUnit);
      const real = createFloatExecutor(model)(input).at(-1)!;
      expect(shares[1]).toBe(0);
      shares.forEach((share, i) => {
        expect(Math.abs(share - real[i]!)).toBeLessThan(0.02);
      });
    }
  });

  it("returns private weights beside the graph, which holds none of them", async () => {
    const plan: FloatPlan = { seed: 11, steps: ["dense"], adapter: true };
    const model = buildFloats(plan);
    const { graph, adapter } = await quantise(model, { calibration: floatInputs(plan, 16), output: "logits" });
    const node = model.nodes[1]!;
    expect(graph.nodes[1]).toEqual({
      op: "adapter",
      parts: [
        { name: "lora_A", shape: [2, 4] },
        { name: "lora_B", shape: [4, 2] },
      ],
      lo: -128,
      bits: 8,
      alpha: "4",
    });
    if (node.op !== "adapter") throw new Error("node 1 of the plan is its adapter");
    for (const [start, end] of [
      [0, 8],
      [8, 16],
    ] as const) {
      // The unit is the least power of two by which all fit.
      const peak = Math.max(...Array.from(node.values.subarray(start, end), Math.abs));
      const unit = 2 ** Math.ceil(Math.log2(peak / 127));
      expect(Array.from(adapter!.subarray(start, end))).toEqual(
        Array.from(node.values.subarray(start, end), (value) => Math.round(value / unit) + 0),
      );
    }

    // Of the weights the graph tells their order of magnitude and nothing else: all adapters of a kind have one base.
    const withWeights = (change: (value: number, i: number) => number) => ({
      ...model,
      nodes: model.nodes.map((each) => (each === node ? { ...node, values: node.values.map(change) } : each)),
    });
    const options = { calibration: floatInputs(plan, 16), output: "logits" } as const;
    const digestOf = async (change: (value: number, i: number) => number) =>
      modelDigest((await quantise(withWeights(change), options)).graph);
    const digest = modelDigest(graph);
    expect(await digestOf((value) => -value)).toBe(digest);
    expect(await digestOf((_, i) => node.values[i < 8 ? 7 - i : 23 - i]!)).toBe(digest);
    expect(await digestOf((value) => 2 * value)).not.toBe(digest);
  });

  it("takes another adapter's weights for the same graph", async () => {
    const plan: FloatPlan = { seed: 11, steps: ["dense"], adapter: true };
    const model = buildFloats(plan);
    const { graph, adapter, report } = await quantise(model, { calibration: floatInputs(plan, 16), output: "logits" });
    const node = model.nodes[1]!;
    if (node.op !== "adapter") throw new Error("node 1 of the plan is its adapter");
    expect(report.adapterUnits).toHaveLength(2);
    expect(quantiseAdapter(graph, node.values, report.adapterUnits)).toEqual(adapter);
    const halved = node.values.map((value) => value / 2);
    const private_ = quantiseAdapter(graph, halved, report.adapterUnits);
    const other = { ...model, nodes: model.nodes.map((each, id) => (id === 1 ? { ...node, values: halved } : each)) };
    for (const input of floatInputs(plan, 8)) {
      const real = createFloatExecutor(other)(input).at(-1)!;
      const { output } = createExecutor(graph)(quantiseInput(graph, input), private_);
      const size = Math.sqrt(real.reduce((sum, x) => sum + x * x, 0) / real.length);
      dequantiseOutput(output, report.outputUnit).forEach((x, i) => {
        expect(Math.abs(x - real[i]!)).toBeLessThan(0.2 * size);
      });
    }
    for (const [weights, units] of [
      [halved.subarray(1), report.adapterUnits],
      [halved, [1]],
      [node.values.map((value) => 2 * value), report.adapterUnits],
      [node.values.map(() => Number.NaN), report.adapterUnits],
    ] as const) {
      expect(() => quantiseAdapter(graph, weights, units)).toThrowError(code("INPUT_INVALID"));
    }
  });

  it("says which integers stand for which floats", async () => {
    const plan: FloatPlan = { seed: 13, steps: ["convolution", "relu", "max", "softmax"] };
    const model = buildFloats(plan);
    const quantised = await quantise(model, { calibration: floatInputs(plan, 48), output: "logits" });
    const { correspondence, graph } = quantised;
    expect(correspondence.at(-1)!.float).toBe(model.nodes.length - 1);
    expect(correspondence.at(-1)!.value).toBe(graph.nodes.length - 1);
    for (const { float, node } of correspondence) expect(node).toContain(model.nodes[float]!.node);
    expect(Math.max(...errorsOf(model, quantised, floatInputs(plan, 24)))).toBeLessThan(0.05);
  });

  describe("input", () => {
    const formOf = async (calibration: number[][], options: Partial<QuantiseOptions> = {}, metadata?: string) => {
      const map = metadata === undefined ? undefined : new Map([[INPUT_SCALE_KEY, metadata]]);
      const { graph } = await quantise(tiny(map), { calibration, ...options });
      const { lo, bits, scaleLog2 } = inputOf(graph);
      return { lo, bits, scaleLog2 };
    };

    it("takes small integers as they are", async () => {
      expect(await formOf([[0, 255]])).toEqual({ lo: 0, bits: 8, scaleLog2: 0 });
      expect(await formOf([[3, 100]])).toEqual({ lo: 0, bits: 7, scaleLog2: 0 });
      expect(await formOf([[-128, 4]])).toEqual({ lo: -128, bits: 8, scaleLog2: 0 });
    });

    it("scales others by the power of two with the least error", async () => {
      expect(await formOf([[0.5, 0.996]])).toEqual({ lo: 0, bits: 8, scaleLog2: 8 });
      expect(await formOf([[-0.3, 0.7]])).toEqual({ lo: -128, bits: 8, scaleLog2: 7 });
      expect(await formOf([[1e-3, 1000.5]])).toEqual({ lo: 0, bits: 8, scaleLog2: -2 });
      expect(await formOf(TINY_INPUTS)).toEqual({ lo: 0, bits: 7, scaleLog2: 2 }); // quarters
      // 1000 times 0.7, once 1.1: the outlier may saturate
      const rare = [...Array.from({ length: 1000 }, (_, i) => [0.7 + i / 10_000, 0.3]), [1.1, 0.3]];
      expect(await formOf(rare)).toEqual({ lo: 0, bits: 8, scaleLog2: 8 });
    });

    it("obeys the options, then the file", async () => {
      expect(await formOf(TINY_INPUTS, { inputScaleLog2: 4 }, "5")).toEqual({ lo: 0, bits: 7, scaleLog2: 4 });
      expect(await formOf(TINY_INPUTS, {}, "5")).toEqual({ lo: 0, bits: 7, scaleLog2: 5 });
      expect(await formOf(TINY_INPUTS, { inputBits: 12 })).toEqual({ lo: 0, bits: 12, scaleLog2: 2 });
      await expect(formOf(TINY_INPUTS, {}, "seven")).rejects.toThrowError(code("MODEL_MALFORMED"));
    });

    it("counts what it saturates", async () => {
      const { report } = await quantise(tiny(), { calibration: TINY_INPUTS, inputScaleLog2: 8 });
      expect(report.saturatedInputs).toBe(4); // 256 is one too many
    });

    it("counts the numbers that its one scale is too coarse for", async () => {
      const coarse = async (calibration: number[][], inputBits?: number) =>
        (await quantise(tiny(), { calibration, inputBits })).report.coarseInputs;
      const sizes = [
        [0.001, 900],
        [0.003, 20],
        [0.002, 455.5],
      ];
      expect(await coarse(sizes)).toBe(1);
      expect(await coarse(sizes.map(([small, large]) => [1000 * small!, large!]))).toBe(1);
      expect(await coarse(sizes.map(([small, large]) => [1000 * small!, large! / 100]))).toBe(0);
      expect(await coarse(sizes.map(([_, large]) => [1, large!]))).toBe(0); // it does not move
      expect(
        await coarse([
          [0, 255],
          [1, 0],
        ]),
      ).toBe(0); // a flag
    });

    it("takes tokens as indices", async () => {
      const plan: FloatPlan = { seed: 1, steps: ["dense"], tokens: 9 };
      const model = buildFloats(plan);
      const { graph } = await quantise(model, { calibration: floatInputs(plan, 8) });
      expect(inputOf(graph)).toMatchObject({ lo: 0, bits: 4, scaleLog2: 0 });
      await expect(quantise(model, { calibration: [[0, 1, 2, 3, 4, 9]] })).rejects.toThrowError(code("INPUT_INVALID"));
    });
  });

  it.each([
    ["no sample", []],
    ["a sample too short", [[1]]],
    ["NaN", [[Number.NaN, 0]]],
    ["infinity", [[Number.POSITIVE_INFINITY, 0]]],
    ["all zero", [[0, 0]]],
    ["not a list", 7],
    ["a hole", [undefined]],
  ])("refuses a calibration set with %s", async (_, calibration) => {
    await expect(quantise(tiny(), { calibration: calibration as number[][] })).rejects.toThrowError(
      code("INPUT_INVALID"),
    );
  });

  it.each<[string, Partial<QuantiseOptions>]>([
    ["weightBits", { weightBits: 3 }],
    ["weightBits", { weightBits: 8.5 }],
    ["activationBits", { activationBits: 13 }],
    ["inputBits", { inputBits: 0 }],
    ["inputBits", { inputBits: 17 }],
    ["inputScaleLog2", { inputScaleLog2: 65 }],
    ["inputScaleLog2", { inputScaleLog2: 0.5 }],
    ["output", { output: "classes" as "class" }],
  ])("refuses a bad %s", async (_, options) => {
    await expect(quantise(tiny(), { calibration: TINY_INPUTS, ...options })).rejects.toThrowError(
      code("INPUT_INVALID"),
    );
  });

  it("refuses the class of a single output", async () => {
    const model = graphOf(2, 1, [dense(0, 2, [1, 2], [0])]);
    await expect(quantise(model, { calibration: TINY_INPUTS, output: "class" })).rejects.toThrowError(
      code("INPUT_INVALID"),
    );
    const { graph } = await quantise(model, { calibration: TINY_INPUTS });
    expect(graph.nodes.at(-1)!.op).toBe("linear");
  });

  it("narrows what is too wide for its sums, and names the node that cannot be", async () => {
    const size = 40_000;
    const calibration = [Array.from({ length: size }, (_, i) => (i % 2) * 60_000 + (i % 3))];
    const wide = (node: FloatNode) => quantise(graphOf(size, 1, [node]), { calibration, inputBits: 16 });
    const ones = new Array<number>(size).fill(1);
    const { graph, report } = await wide(dense(0, size, ones, [0])); // 65535 · 40000 is 32 bits
    const [sum] = dequantiseOutput(
      createExecutor(graph)(quantiseInput(graph, calibration[0]!)).output,
      report.outputUnit,
    );
    expect(sum! / calibration[0]!.reduce((a, b) => a + b)).toBeCloseTo(1, 3);
    await expect(
      wide({
        op: "normalise",
        node: '"norm" (LayerNormalization)',
        inputs: [0],
        width: size,
        epsilon: 1,
        centred: true,
      }),
    ).rejects.toThrowError(
      expect.objectContaining({ code: "MODEL_UNBOUNDED", message: expect.stringContaining('"norm"') }),
    );
  });

  it("refuses bad inputs of a graph", async () => {
    const { graph } = await quantise(tiny(), { calibration: TINY_INPUTS });
    expect(quantiseInput(graph, [0.5, 300])).toEqual(Int32Array.of(2, 127));
    expect(quantiseInput(graph, [-1, -0])).toEqual(Int32Array.of(0, 0));
    for (const bad of [[1], [1, Number.NaN], [1, "2"], null, undefined]) {
      expect(() => quantiseInput(graph, bad as number[])).toThrowError(code("INPUT_INVALID"));
    }
  });

  it("reports progress to the end, and stops on request", async () => {
    const seen: number[] = [];
    await quantise(tiny(), { calibration: TINY_INPUTS, onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
    const abort = new AbortController();
    const stopped = quantise(tiny(), {
      calibration: TINY_INPUTS,
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await expect(stopped).rejects.toThrowError(code("ABORTED"));
  });
});
