import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isAnchorError } from "../../src/errors.js";
import { describeCircuit } from "../../src/model/circuit/index.js";
import { type Drift, measureDrift } from "../../src/model/drift.js";
import { evaluateModel } from "../../src/model/evaluate.js";
import type { FloatGraph } from "../../src/model/float.js";
import { type ModelGraph, modelDigest } from "../../src/model/graph.js";
import { importModel } from "../../src/model/import.js";
import type { Correspondence } from "../../src/model/quantise/index.js";
import { type ModelReport, modelReport, renderReport } from "../../src/model/report.js";
import type { FloatRuntime } from "../../src/model/runtime.js";
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
  { float: 0, value: 0, unit: Float64Array.of(1 / 4, 1 / 4), node: '"x" (Input)' },
  { float: 1, value: 1, unit: Float64Array.of(1 / 256, 1 / 256), node: '"fc" (Gemm)' },
  { float: 2, value: 2, unit: Float64Array.of(1 / 16, 1 / 16), node: '"relu" (Relu)' },
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

  it("has a unit for each integer, and leaves dead ones out", async () => {
    const pairs = [{ ...PAIRS[2]!, unit: Float64Array.of(1 / 16, 0) }];
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
    ["a float node that is not there", { float: 3 }],
    ["a node that is not there", { value: -1 }],
    ["too few units", { unit: Float64Array.of(1) }],
    ["a negative unit", { unit: Float64Array.of(1, -1) }],
    ["a unit that is no number", { unit: Float64Array.of(1, Number.NaN) }],
  ])("refuses %s", async (_, wrong) => {
    await expect(measureDrift(FLOAT, GRAPH, [{ ...PAIRS[0]!, ...wrong }], [[0, 0]])).rejects.toSatisfy((error) =>
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

describe("evaluateModel", () => {
  const runtime = (outputs: number[][]): FloatRuntime => {
    let i = 0;
    return { name: "a table", run: async () => Float64Array.from(outputs[i++]!), close: async () => {} };
  };
  /** Gives its inputs. */
  const copy = (size: number): ModelGraph => ({
    nodes: [
      { op: "input", shape: [size], lo: -128, bits: 8, scaleLog2: 0 },
      { op: "arrange", inputs: [0], index: Int32Array.from({ length: size }, (_, i) => i), constants: [] },
    ],
  });

  it("counts outputs that are the rounded float, and the others by their distance", async () => {
    // In halves: 2, 4, 0 (half a unit, up) against 2, 4, -1; 2, 2, 0 against 1, 2, 7.
    const floats = [
      [1, 2.2, -0.25],
      [1, 0.9, 0],
    ];
    const inputs = [
      [2, 4, -1],
      [1, 2, 7],
    ];
    const { elements } = await evaluateModel(runtime(floats), copy(3), { inputs }, { outputScale: 0.5 });
    expect(elements).toMatchObject({ count: 6, range: 2.45, equal: 3 / 6 });
    expect(elements!.distances).toEqual([
      { from: 0, to: 0, count: 3 },
      { from: 1, to: 1, count: 2 },
      { from: 2, to: 2, count: 0 },
      { from: 3, to: 4, count: 0 },
      { from: 5, to: 8, count: 1 },
    ]);
  });

  it("puts every distance into one bin", async () => {
    const inputs = [Array.from({ length: 256 }, (_, i) => i - 128)];
    const { elements } = await evaluateModel(
      runtime([new Array(256).fill(0)]),
      copy(256),
      { inputs },
      { outputScale: 1 },
    );
    for (const { from, to, count } of elements!.distances) {
      expect(count).toBe(inputs[0]!.filter((each) => Math.abs(each) >= from && Math.abs(each) <= to).length);
    }
    expect(elements!.distances.reduce((sum, { count }) => sum + count, 0)).toBe(256);
  });
});

const HOSTILE = `</title><script>alert(1)</script><img src=x onerror="a"> \u202egnp.\u0000\u001b[2J' \`&amp; ${"x".repeat(400)}`;

async function sample(name = "fc"): Promise<ModelReport> {
  const floatGraph: FloatGraph = {
    ...FLOAT,
    source: [
      { name, op: name },
      { name: "relu", op: "Relu" },
      { name: "p", op: "__proto__" },
    ],
  };
  const named = PAIRS.map((pair) => (pair.float === 1 ? { ...pair, node: name } : pair));
  return modelReport({
    onnx: Uint8Array.of(1, 2, 3),
    floatGraph,
    graph: GRAPH,
    descriptor: describeCircuit(GRAPH),
    circuitDigest: `0x${"ab".repeat(32)}`,
    quantisation: {
      samples: 12,
      [name]: "by error",
      layers: [
        { node: name, shifts: Uint8Array.of(1, 2), tried: { least: 1 } },
        { node: "b", error: 0.5 },
      ],
    } as unknown as ModelReport["quantisation"],
    evaluation: {
      runtime: `onnxruntime-node ${name}`,
      set: "evaluation",
      samples: 200,
      floatAccuracy: 0.75,
      integerAccuracy: 0.745,
      classAgreement: 0.99,
      elements: {
        count: 400,
        equal: 0.5,
        distances: [
          { from: 0, to: 0, count: 200 },
          { from: 1, to: 1, count: 199 },
          { from: 2, to: 2, count: 0 },
          { from: 3, to: 4, count: 1 },
        ],
        range: 10,
        within8Bits: 0.9999999,
        meanError: 0.001,
        maxError: 0.01,
      },
    },
    drift: { samples: 1, nodes: await measureDrift(floatGraph, GRAPH, named, [[1.4, 0.8]]) },
    stages: [{ stage: "read", ms: 12.5, peakBytes: 100 * 2 ** 20 }],
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
    expect(report.model.modelDigest).toBe(modelDigest(GRAPH));
    expect(report.model.nodes).toEqual([
      { op: "input", inputs: [], from: '"x" (Input)', width: 2, min: 0, max: 15, bits: 5, rows: expect.any(Number) },
      // -16·15 + 32 and 64·15 + 48·15 - 256
      { op: "linear", inputs: [0], from: "fc", width: 2, min: -256, max: 1424, bits: 12, rows: 2 },
      {
        op: "requant",
        inputs: [1],
        from: '"relu" (Relu)',
        width: 2,
        min: 0,
        max: 15,
        bits: 5,
        rows: expect.any(Number),
      },
    ]);
    expect(report.model.multiplications).toEqual({ constant: 4, private: 0 });
    const { rows, domainLog2 } = report.circuit;
    expect(report.model.parts.reduce((sum, part) => sum + part.rows, 0)).toBe(rows);
    // With 3 public signals and the constant wire.
    expect(2 ** domainLog2).toBeGreaterThanOrEqual(rows + 4);
    expect(2 ** (domainLog2 - 1)).toBeLessThan(rows + 4);
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
      "% of 2^10",
      "12 bits",
      "74.50 %",
      "−0.50 points",
      "&#62; 99.99 %",
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
      model: { ...small.model, nodes, parts },
      drift: { samples: 1, nodes: drift },
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
    const { floatAccuracy, integerAccuracy, classAgreement, elements, ...evaluation } = report.evaluation;
    const { unit, ...output } = report.model.output;
    const page = renderReport({
      ...report,
      evaluation,
      model: { ...report.model, parts: [], output },
      drift: { samples: 0, nodes: [] },
      quantisation: {} as ModelReport["quantisation"],
    });
    expect(page).not.toMatch(/NaN|undefined|right on/);
  });
});

describe("importModel", () => {
  it("leaves a report of everything, and its page", async () => {
    const home = await mkdtemp(join(tmpdir(), "anchorproof-report-"));
    try {
      const below = lcg(3);
      const inputs = Array.from({ length: 20 }, () => Array.from({ length: 16 }, () => below(64)));
      const onnx = new Uint8Array(readFileSync(new URL("../../bench/models/text-embedding.onnx", import.meta.url)));
      const out = join(home, "text");
      const seen = new Set<string>();
      const { report, circuit, graph } = await importModel({
        onnx,
        calibration: { inputs, labels: inputs.map(() => 0) },
        output: "logits",
        out,
        onProgress: ({ stage }) => seen.add(stage),
      });
      expect(JSON.parse(await readFile(join(out, "report.json"), "utf8"))).toEqual(JSON.parse(JSON.stringify(report)));
      expect(await readFile(join(out, "report.html"), "utf8")).toBe(renderReport(report));

      const stages = ["read", "quantise", "evaluate", "drift", "circuit"];
      expect(report.stages.map(({ stage }) => stage)).toEqual(stages);
      expect([...seen]).toEqual(stages);
      for (const { ms, peakBytes } of report.stages) {
        expect(ms).toBeGreaterThan(0);
        expect(peakBytes).toBeGreaterThan(10e6);
      }
      expect(report.circuit).toMatchObject({ circuitDigest: circuit.circuitDigest, rows: circuit.rows });
      expect(report.evaluation).toMatchObject({ samples: 20, set: "calibration" });
      expect(report.evaluation.elements!.count).toBe(20 * report.model.nodes.at(-1)!.width);
      // Tokens are integers on both sides; what follows is near, and the output has its layer.
      expect(report.drift.samples).toBe(20);
      expect(report.drift.nodes[0]).toMatchObject({ node: 0, op: "input", maxError: 0, snr: null, saturated: 0 });
      expect(report.drift.nodes.at(-1)!.node).toBe(graph.nodes.length - 1);
      for (const { snr } of report.drift.nodes.slice(1)) expect(snr).toBeGreaterThan(15);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
