import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAnchorError } from "../../src/errors.js";
import { type Correspondence, type Drift, measureDrift, OutputMeter, toIntegers } from "../../src/model/drift.js";
import type { FloatGraph } from "../../src/model/float.js";
import { type ModelGraph, modelDigest } from "../../src/model/graph.js";
import { type ModelReport, modelReport, renderReport, StageClock } from "../../src/model/report.js";
import { lcg } from "./graphs.js";

/** `relu(x·W + b)` of two inputs and two channels, in floats and by hand in integers: W in 1/64, values in 1/16. */
const FLOAT: FloatGraph = {
  nodes: [
    { op: "input", node: '"x" (Input)', name: "x", shape: [2] },
    {
      op: "linear",
      node: '"fc" (Gemm)',
      inputs: [0],
      groups: 1,
      positions: 1,
      inner: 2,
      outputs: 2,
      weights: Float64Array.of(0.5, -0.25, 1, 0.75),
      bias: Float64Array.of(0.125, -1),
    },
    { op: "clip", node: '"relu" (Relu)', inputs: [1], min: 0, max: Number.POSITIVE_INFINITY },
  ],
  outputShape: [2],
  source: [
    { name: "fc", op: "Gemm" },
    { name: "relu", op: "Relu" },
  ],
  metadata: new Map(),
};

const GRAPH: ModelGraph = {
  nodes: [
    { op: "input", shape: [2], lo: 0, bits: 4, scaleLog2: 2 },
    {
      op: "linear",
      inputs: [0],
      groups: 1,
      positions: 1,
      inner: 2,
      outputs: 2,
      weights: Int16Array.of(32, -16, 64, 48),
      bias: Int32Array.of(32, -256),
    },
    { op: "requant", inputs: [1], shifts: Uint8Array.of(4), lo: 0, bits: 4 },
  ],
};

/** Values of the input are quarters, of the accumulator 1/256, of the output 1/16. */
const PAIRS: Correspondence[] = [
  { float: 0, node: 0, units: Float64Array.of(1 / 4) },
  { float: 1, node: 1, units: Float64Array.of(1 / 256) },
  { float: 2, node: 2, units: Float64Array.of(1 / 16) },
];

describe("measureDrift", () => {
  it("finds nothing where the integers are the floats", async () => {
    // The second channel is 0, the first 3/8 and 1/8: on every grid.
    const drift = await measureDrift(FLOAT, GRAPH, PAIRS, [
      [0.5, 0],
      [0, 0],
    ]);
    expect(drift.map(({ meanError, maxError, snr }) => ({ meanError, maxError, snr }))).toEqual(
      PAIRS.map(() => ({ meanError: 0, maxError: 0, snr: null })),
    );
    expect(drift.map(({ name, op, width }) => [name, op, width])).toEqual([
      ['"x" (Input)', "input", 2],
      ['"fc" (Gemm)', "linear", 2],
      ['"relu" (Relu)', "requant", 2],
    ]);
  });

  it("counts errors as reals and in units, signal against noise, and what the range cuts off", async () => {
    // x becomes 6/4 and 3/4. Floats: 0.125 + 0.7 - 0.2 = 0.625, -1 + 1.4 + 0.6 = 1. Integers: (32·6 - 16·3 + 32)/256 =
    // 0.6875, (64·6 + 48·3 - 256)/256 = 1.0625. Outputs: 11/16, and 17/16 is cut to 15/16.
    const [input, linear, output] = (await measureDrift(FLOAT, GRAPH, PAIRS, [[1.4, 0.8]])) as [Drift, Drift, Drift];
    expect(input.meanError).toBeCloseTo((0.1 + 0.05) / 2, 12);
    expect(input.maxError).toBeCloseTo(0.1, 12);
    expect(input.meanUnits).toBeCloseTo((0.1 + 0.05) * 2, 12);
    expect(input.snr).toBeCloseTo(10 * Math.log10((1.4 ** 2 + 0.8 ** 2) / (0.1 ** 2 + 0.05 ** 2)), 9);
    expect(linear.maxError).toBeCloseTo(0.0625, 12);
    expect(linear.meanUnits).toBeCloseTo(16, 9);
    expect(linear).not.toHaveProperty("saturated");
    expect(output.maxError).toBeCloseTo(0.0625, 12);
    expect(output.maxUnits).toBeCloseTo(1, 9);
    expect(input.saturated).toBe(0);
    // 1 is beyond 15/16 and half a unit.
    expect(output.saturated).toBe(0.5);
  });

  it("has units for each channel, and leaves dead channels out", async () => {
    const pairs = [{ float: 2, node: 2, units: Float64Array.of(1 / 16, 0) }];
    const [drift] = await measureDrift(FLOAT, GRAPH, pairs, [[1.4, 0.8]]);
    expect(drift).toMatchObject({ unit: { min: 1 / 16, max: 1 / 16 }, saturated: 0 });
    expect(drift!.meanError).toBeCloseTo(0.0625, 12);
  });

  it("takes samples as they come, and says how far it is", async () => {
    const done: number[] = [];
    async function* samples() {
      for (let i = 0; i < 3; i++) yield [i / 4, 0.25];
    }
    const streamed = await measureDrift(FLOAT, GRAPH, PAIRS, samples(), { onProgress: (n) => done.push(n) });
    expect(done).toEqual([1, 2, 3]);
    const listed = await measureDrift(
      FLOAT,
      GRAPH,
      PAIRS,
      [0, 1, 2].map((i) => [i / 4, 0.25]),
    );
    expect(streamed).toEqual(listed);
  });

  it("is stopped in the midst of endless samples", async () => {
    const controller = new AbortController();
    function* samples() {
      for (;;) yield [0, 0];
    }
    const run = measureDrift(FLOAT, GRAPH, PAIRS, samples(), {
      signal: controller.signal,
      onProgress: (done) => done === 5 && controller.abort(),
    });
    await expect(run).rejects.toSatisfy((error) => isAnchorError(error, "ABORTED"));
  });

  it.each([
    ["a float node that is not there", [{ float: 3, node: 2, units: Float64Array.of(1) }]],
    ["a node that is not there", [{ float: 0, node: -1, units: Float64Array.of(1) }]],
    ["units that do not divide the lanes", [{ float: 0, node: 0, units: Float64Array.of(1, 1, 1) }]],
    ["no units", [{ float: 0, node: 0, units: new Float64Array() }]],
    ["a negative unit", [{ float: 0, node: 0, units: Float64Array.of(-1) }]],
    ["a unit that is no number", [{ float: 0, node: 0, units: Float64Array.of(Number.NaN) }]],
  ])("refuses %s", async (_, pairs) => {
    await expect(measureDrift(FLOAT, GRAPH, pairs, [[0, 0]])).rejects.toSatisfy((error) =>
      isAnchorError(error, "INPUT_INVALID"),
    );
  });

  it("refuses no samples, and samples that the model does not take", async () => {
    for (const samples of [[], [[1]], [[1, Number.NaN]]]) {
      await expect(measureDrift(FLOAT, GRAPH, PAIRS, samples)).rejects.toSatisfy((error) =>
        isAnchorError(error, "INPUT_INVALID"),
      );
    }
  });
});

describe("toIntegers", () => {
  it("rounds halves up and saturates", () => {
    expect([...toIntegers(GRAPH, [0.125, 0.124, -3, 99, 3.7])]).toEqual([1, 0, 0, 15, 15]);
  });
});

describe("OutputMeter", () => {
  it("counts equal outputs, classes and errors", () => {
    const meter = new OutputMeter(Float64Array.of(0.5), false);
    meter.add([1, 2.2, -0.3], Int32Array.of(2, 4, -1), 1); // rounded: 2, 4, -1
    meter.add([1, 0.9, 0], Int32Array.of(1, 2, 7), 2); // 2, 2, 0: classes 0 and 2
    const { distances, ...result } = meter.result();
    expect(result).toMatchObject({ samples: 2, classAgreement: 0.5, floatAccuracy: 0.5, integerAccuracy: 1 });
    expect(result.elementAgreement).toBeCloseTo(4 / 6, 12);
    expect(result.maxError).toBe(3.5);
    expect(distances).toEqual([
      { from: 0, to: 0, outputs: 4 },
      { from: 1, to: 1, outputs: 1 },
      { from: 2, to: 2, outputs: 0 },
      { from: 3, to: 4, outputs: 0 },
      { from: 5, to: 8, outputs: 1 },
    ]);
  });

  it("gives ties to the lowest class on both sides, and compares channels in reals", () => {
    const meter = new OutputMeter(Float64Array.of(1, 3), false);
    meter.add([6, 6], Int32Array.of(6, 2));
    expect(meter.result()).toMatchObject({ classAgreement: 1, elementAgreement: 1 });
    expect(meter.result()).not.toHaveProperty("floatAccuracy");
  });

  it("compares class indices as such: how far apart they are means nothing", () => {
    const meter = new OutputMeter(Float64Array.of(1), true);
    meter.add([3], Int32Array.of(3), 3);
    meter.add([3], Int32Array.of(7), 7);
    expect(meter.result()).toEqual({
      samples: 2,
      elementAgreement: 0.5,
      classAgreement: 0.5,
      floatAccuracy: 0.5,
      integerAccuracy: 1,
    });
  });

  it("knows no class of a single output, and no accuracy of a set that is labelled in part", () => {
    const single = new OutputMeter(Float64Array.of(1), false);
    single.add([0.2], Int32Array.of(0), 0);
    expect(single.result()).not.toHaveProperty("classAgreement");
    const partly = new OutputMeter(Float64Array.of(1), false);
    partly.add([0, 1], Int32Array.of(0, 1), 1);
    partly.add([0, 1], Int32Array.of(0, 1));
    expect(partly.result()).toMatchObject({ classAgreement: 1 });
    expect(partly.result()).not.toHaveProperty("integerAccuracy");
  });

  it("refuses outputs of another size, and none at all", () => {
    const invalid = (error: unknown) => isAnchorError(error, "INPUT_INVALID");
    const meter = new OutputMeter(Float64Array.of(1), false);
    expect(() => meter.result()).toThrow(expect.toSatisfy(invalid));
    expect(() => meter.add([1, 2], Int32Array.of(1))).toThrow(expect.toSatisfy(invalid));
    expect(() => meter.add([Number.NaN], Int32Array.of(1))).toThrow(expect.toSatisfy(invalid));
    expect(() => new OutputMeter(Float64Array.of(0), false)).toThrow(expect.toSatisfy(invalid));
  });

  it("puts every distance into one bin", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: 1 }), (far) => {
        const meter = new OutputMeter(Float64Array.of(1), false);
        meter.add(far, new Int32Array(far.length));
        const { distances } = meter.result();
        for (const { from, to, outputs } of distances!) {
          expect(outputs).toBe(far.filter((each) => each >= from && each <= to).length);
        }
        expect(distances!.reduce((sum, { outputs }) => sum + outputs, 0)).toBe(far.length);
      }),
    );
  });
});

describe("StageClock", () => {
  it("lists what was done, with its time and the memory so far", async () => {
    const clock = new StageClock();
    expect(await clock.run("import", () => 7)).toBe(7);
    await expect(clock.run("emit", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await clock.run("evaluate", () => new Promise((resume) => setTimeout(resume, 5)));
    expect(clock.stages.map(({ name }) => name)).toEqual(["import", "evaluate"]);
    expect(clock.stages[1]!.ms).toBeGreaterThan(3);
    for (const { peakBytes } of clock.stages) expect(peakBytes).toBeGreaterThan(10e6);
  });

  it("begins no stage after a stop", async () => {
    const clock = new StageClock(AbortSignal.abort());
    await expect(clock.run("import", () => 1)).rejects.toSatisfy((error) => isAnchorError(error, "ABORTED"));
  });
});

const HOSTILE = `</title><script>alert(1)</script><img src=x onerror="a"> \u202egnp.\u0000\u001b[2J' \`&amp; ${"x".repeat(400)}`;

async function sample(name = "fc"): Promise<ModelReport> {
  const floatGraph: FloatGraph = {
    ...FLOAT,
    nodes: FLOAT.nodes.map((node) => (node.op === "linear" ? { ...node, node: name } : node)),
    source: [
      { name, op: name },
      { name: "relu", op: "Relu" },
      { name: "p", op: "__proto__" },
    ],
  };
  const meter = new OutputMeter(Float64Array.of(1 / 16), false);
  meter.add([0.625, 1], Int32Array.of(11, 15), 1);
  return modelReport({
    onnx: Uint8Array.of(1, 2, 3),
    floatGraph,
    graph: GRAPH,
    correspondence: PAIRS,
    circuit: {
      parts: [
        { part: "input", rows: 8 },
        { part: "node 1 linear", node: 1, rows: 2 },
        { part: "node 2 requant", node: 2, rows: 26 },
      ],
      rows: 36,
      wires: 40,
      publicSignals: ["output", "inputCommitment", "context"],
      digest: `0x${"ab".repeat(32)}`,
    },
    quantisation: {
      samples: 12,
      [name]: "by error",
      layers: [
        { node: name, shifts: Uint8Array.of(1, 2), tried: { least: 1 } },
        { node: "b", error: 0.5 },
      ],
    },
    evaluation: { ...meter.result(), set: "evaluation", runtime: `onnxruntime-node ${name}` },
    drift: { samples: 1, nodes: await measureDrift(floatGraph, GRAPH, PAIRS, [[1.4, 0.8]]) },
    stages: [{ name: "import", ms: 12.5, peakBytes: 100 * 2 ** 20 }],
  });
}

describe("modelReport", () => {
  it("says of every node what is proven of it, and what it costs", async () => {
    const report = await sample();
    expect(report).toMatchObject({ format: "anchorproof/model-report", version: 2 });
    expect(report.source).toMatchObject({
      sha256: "0x039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81",
      bytes: 3,
    });
    expect(Object.entries(report.source.operators)).toEqual([
      ["Relu", 1],
      ["__proto__", 1],
      ["fc", 1],
    ]);
    expect(report.model.digest).toBe(modelDigest(GRAPH));
    expect(report.model.nodes).toEqual([
      { op: "input", inputs: [], from: '"x" (Input)', width: 2, min: 0, max: 15, bits: 5, rows: 0 },
      // -16·15 + 32 and 64·15 + 48·15 - 256
      { op: "linear", inputs: [0], from: "fc", width: 2, min: -256, max: 1424, bits: 12, rows: 2 },
      { op: "requant", inputs: [1], from: '"relu" (Relu)', width: 2, min: 0, max: 15, bits: 5, rows: 26 },
    ]);
    expect(report.model.multiplications).toEqual({ constant: 4, private: 0 });
    // 36 rows, 3 public signals and the constant wire.
    expect(report.circuit.domainLog2).toBe(6);
    expect(report.model.output).toEqual({ shape: [2], unit: { min: 1 / 16, max: 1 / 16 } });
  });

  it("survives its own JSON", async () => {
    const report = await sample(HOSTILE);
    expect(renderReport(JSON.parse(JSON.stringify(report)) as ModelReport)).toContain("<h2>Nodes</h2>");
  });
});

describe("renderReport", () => {
  it("needs nothing from elsewhere and runs nothing, whatever the names", async () => {
    for (const name of ["fc", HOSTILE]) {
      const page = renderReport(await sample(name));
      expect(page).not.toMatch(
        /<script|<link|<img|<iframe|<object|@import|url\(|<[^>]*\s(?:src|href|on\w+)\s*=|https?:/i,
      );
      expect(page).toContain("default-src 'none'");
      // Control and direction characters are written out.
      expect(page).not.toMatch(/[\p{Cf}\p{Cs}]|(?!\n)\p{Cc}/u);
    }
    expect(renderReport(await sample(HOSTILE))).toContain("&#60;script&#62;alert(1)");
  });

  it("is the same for the same report, and holds no clock", async () => {
    expect(renderReport(await sample())).toBe(renderReport(await sample()));
    expect(renderReport(await sample())).not.toMatch(/\b20\d\d-\d\d/);
  });

  it("is well formed: every element is closed in order", async () => {
    const page = renderReport(await sample(HOSTILE));
    const open: string[] = [];
    for (const [, slash, tag, self] of page.matchAll(/<(\/?)([a-z]\w*)(?:\s[^>]*?)?(\/?)>/g)) {
      if (tag === "meta" || self === "/") continue;
      if (slash === "") open.push(tag!);
      else expect(open.pop()).toBe(tag);
    }
    expect(open).toEqual([]);
  });

  it("shows the numbers that matter, and every plot as a table too", async () => {
    const page = renderReport(await sample());
    for (const text of [
      "rows, 56 % of 2^6",
      "12 bits",
      "100.00 %",
      "50.00 %",
      "dB",
      "onnxruntime-node fc",
      "12.5 ms",
    ]) {
      expect(page).toContain(text);
    }
    expect(page.match(/<svg /g)).toHaveLength(5);
    expect(page.match(/<svg [^>]*role="img" aria-label="[^"]+"/g)).toHaveLength(5);
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  it("keeps every bar inside its frame, with one node or thousands", async () => {
    const small = await sample();
    const below = lcg(7);
    const nodes = Array.from({ length: 4000 }, (_, id) => ({
      ...small.model.nodes[1]!,
      from: `layer ${id}`,
      min: -(2 ** below(32)) + 1,
      max: 2 ** below(32) - 1,
      rows: below(5000),
    }));
    const drift = nodes.map((_, node) => ({ ...small.drift.nodes[1]!, node, snr: below(9) ? below(90) - 20 : null }));
    const parts = nodes.map(({ rows }, node) => ({ part: `node ${node}`, node, rows }));
    const large: ModelReport = {
      ...small,
      model: { ...small.model, nodes },
      drift: { samples: 1, nodes: drift },
      circuit: { ...small.circuit, parts, rows: parts.reduce((sum, { rows }) => sum + rows, 0) },
    };
    for (const report of [small, large]) {
      const page = renderReport(report);
      for (const [, plot] of page.matchAll(/(<svg .*?<\/svg>)/g)) {
        const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(plot!)!.map(Number);
        for (const [, ...box] of plot!.matchAll(
          /<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g,
        )) {
          const [x, y, w, h] = box.map(Number) as [number, number, number, number];
          expect(x + w).toBeLessThanOrEqual(width!);
          expect(y + h).toBeLessThanOrEqual(height!);
          expect(h).toBeGreaterThan(0);
        }
      }
      expect(page).not.toMatch(/NaN|undefined|Infinity/);
    }
    // What has no bar of its own is summed up.
    expect(renderReport(large)).toMatch(/\d+ smaller parts/);
  });

  it("does without what a model does not have", async () => {
    const report = await sample();
    const { floatAccuracy, integerAccuracy, classAgreement, meanError, maxError, distances, ...evaluation } =
      report.evaluation;
    const page = renderReport({
      ...report,
      evaluation,
      drift: { samples: 0, nodes: [] },
      circuit: { ...report.circuit, parts: [] },
      quantisation: {},
    });
    expect(page).not.toMatch(/NaN|undefined|right on/);
  });
});
