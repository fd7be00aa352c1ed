import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inverseRoot, proveBounds, requant, share } from "../../src/model/bounds.js";
import { createExecutor, execute } from "../../src/model/execute.js";
import type { GraphNode, ModelGraph } from "../../src/model/graph.js";
import { code } from "../support/errors.js";
import { buildGraph, graphCase } from "./graphs.js";

const big = (values: ArrayLike<number>) => Array.from(values, BigInt);
const floorDiv = (a: bigint, b: bigint) => (a - (((a % b) + b) % b)) / b;
const isqrt = (n: bigint) => {
  let [low, high] = [0n, n + 1n];
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle * middle <= n) low = middle;
    else high = middle;
  }
  return low;
};
// biome-ignore lint/complexity/useMathMinMax: of bigints
const largest = (run: bigint[]) => run.reduce((a, b) => (a > b ? a : b));
const runsOf = (values: bigint[], width: number) =>
  Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));

/** Another executor, from the definitions in graph.ts: exact integers of any size. */
function naive(graph: ModelGraph, input: number[], adapter: number[] = []): bigint[][] {
  const values: bigint[][] = [];
  for (const node of graph.nodes) values.push(evaluate(node, values, input, adapter));
  return values;
}

function evaluate(node: GraphNode, values: bigint[][], input: number[], adapter: number[]): bigint[] {
  if (node.op === "input") return big(input);
  if (node.op === "adapter") return big(adapter);
  const taken = node.inputs.map((id) => values[id]!);
  const x = taken[0]!;
  const channel = (i: number, channels: number) => Math.floor((i * channels) / x.length);
  switch (node.op) {
    case "arrange":
      return Array.from(node.index, (k) => (k < 0 ? BigInt(node.constants[-1 - k]!) : taken.flat()[k]!));
    case "linear": {
      const { groups, positions, inner, outputs, weights, bias } = node;
      const out = new Array<bigint>(groups * outputs * positions);
      for (let row = groups * outputs - 1; row >= 0; row--) {
        for (let p = positions - 1; p >= 0; p--) {
          const g = Math.floor(row / outputs);
          let sum = BigInt(bias[row]!);
          for (let k = inner - 1; k >= 0; k--) {
            sum += BigInt(weights[row * inner + k]!) * x[(g * positions + p) * inner + k]!;
          }
          out[row * positions + p] = sum;
        }
      }
      return out;
    }
    case "requant": {
      const [lo, hi] = [BigInt(node.lo), BigInt(node.lo) + 2n ** BigInt(node.bits) - 1n];
      return x.map((acc, i) => {
        // To the nearest multiple of the step, halves upwards.
        const step = 2n ** BigInt(node.shifts[channel(i, node.shifts.length)]!);
        const nearest = step === 1n ? acc : floorDiv(2n * acc + step, 2n * step);
        return nearest < lo ? lo : nearest > hi ? hi : nearest;
      });
    }
    case "table": {
      const size = 2 ** node.bits;
      return x.map((v, i) => BigInt(node.tables[channel(i, node.tables.length / size) * size + Number(v) - node.lo]!));
    }
    case "max":
      return runsOf(x, node.window).map((run) => largest(run));
    case "mul":
      return x.map((v, i) => v * taken[1]![i]!);
    case "matMul": {
      const left = runsOf(x, node.inner);
      const right = runsOf(taken[1]!, node.inner);
      return left.flatMap((row, i) => {
        const group = Math.floor(i / node.rows);
        return right
          .slice(group * node.cols, (group + 1) * node.cols)
          .map((col) => row.reduce((sum, v, k) => sum + v * col[k]!, 0n));
      });
    }
    case "share":
      return runsOf(x, node.width).flatMap((run) => {
        const sum = run.reduce((a, b) => a + b);
        return run.map((v) => (2n * v * BigInt(node.scale) + sum) / (2n * sum));
      });
    case "normalise":
      return runsOf(x, node.width).flatMap((run) => {
        const v = run.reduce((sum, c) => sum + c * c, BigInt(node.epsilon));
        const r = isqrt(4n ** BigInt(node.precision) / v);
        return run.map((c) => c * r);
      });
    case "lookup":
      return x.flatMap((row) => big(node.entries.slice(Number(row) * node.width, (Number(row) + 1) * node.width)));
    case "argMax":
      return runsOf(x, node.width).map((run) => BigInt(run.indexOf(largest(run))));
  }
}

describe("execute", () => {
  it("equals exact arithmetic on any graph and input, within the proven bounds", () => {
    fc.assert(
      fc.property(graphCase(), ({ graph, input, adapter }) => {
        const { values, output } = execute(graph, input, adapter);
        const expected = naive(graph, input, adapter);
        expect(values.map(big)).toEqual(expected);
        expect(big(output)).toEqual(expected.at(-1));
        proveBounds(graph).forEach(({ min, max, hull }, id) => {
          values[id]!.forEach((value, lane) => {
            expect(value >= min[lane]! && value <= max[lane]!, `node ${id}, lane ${lane}`).toBe(true);
            expect(min[lane]! >= hull.min && max[lane]! <= hull.max).toBe(true);
          });
        });
      }),
      { numRuns: 600 },
    );
  });

  it("refuses inputs that are not the model's", () => {
    const run = createExecutor(buildGraph({ seed: 1, steps: ["linear"], input: { size: 3, lo: 0, bits: 7 } }));
    for (const input of [
      [1, 2],
      [1, 2, 3, 4],
      [1, 2, 128],
      [1, 2, -1],
      [1, 2, 0.5],
      [1, 2, Number.NaN],
      [1, 2, "3"],
      null,
    ]) {
      expect(() => run(input as number[])).toThrow(code("INPUT_INVALID"));
    }
    expect(() => run([1, 2, 3], [1])).toThrow(code("INPUT_INVALID"));
    expect(() => run(new Array(3))).toThrow(code("INPUT_INVALID"));
    const adapted = createExecutor(buildGraph({ seed: 1, steps: [], adapter: 2 }));
    const size = adapted.length;
    expect(size).toBe(2);
    expect(() => adapted([0, 0, 0, 0, 0, 0])).toThrow(code("INPUT_INVALID"));
  });

  it("has no value for an index outside an embedding", () => {
    const run = createExecutor(buildGraph({ seed: 3, steps: [], rows: 5, input: { size: 1, lo: 0, bits: 3 } }));
    expect(() => run([5])).toThrow(code("INPUT_INVALID"));
    expect(run([4]).output).toHaveLength(run([0]).output.length);
  });

  it("works on a copy of the graph", () => {
    const graph = buildGraph({ seed: 5, steps: ["linear"], input: { size: 2, lo: 0, bits: 7 } });
    const run = createExecutor(graph);
    const before = [...run([1, 2]).output];
    const linear = graph.nodes.find((node) => node.op === "linear")!;
    linear.weights.fill(9);
    expect([...run([1, 2]).output]).toEqual(before);
  });
});

describe("arithmetic", () => {
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  it("requantises exactly, halves upwards", () => {
    expect([-3, -2, -1, 0, 1, 2, 3].map((acc) => requant(acc, 1, -128, 8))).toEqual([-1, -1, 0, 0, 1, 1, 2]);
    fc.assert(
      fc.property(int32, fc.integer({ min: 0, max: 40 }), (acc, shift) => {
        const half = shift === 0 ? 0n : 1n << BigInt(shift - 1);
        expect(BigInt(requant(acc, shift, -32768, 16))).toBe(
          [(BigInt(acc) + half) >> BigInt(shift)].map((q) => (q < -32768n ? -32768n : q > 32767n ? 32767n : q))[0],
        );
      }),
    );
  });

  it("shares and takes roots exactly", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 34 }), fc.integer({ min: 1, max: 2 ** 34 }), (value, sum) => {
        const [v, s, scale] = [BigInt(Math.min(value, sum)), BigInt(sum), 32_767n];
        expect(BigInt(share(Number(v), sum, 32_767))).toBe((2n * v * scale + s) / (2n * s));
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 50 }), fc.integer({ min: 1, max: 30 }), (v, precision) => {
        expect(BigInt(inverseRoot(v, precision))).toBe(isqrt(4n ** BigInt(precision) / BigInt(v)));
      }),
    );
  });
});

describe("proveBounds", () => {
  const linear = (weight: number, bias: number): ModelGraph => ({
    nodes: [
      { op: "input", shape: [1], lo: 0, bits: 16, scaleLog2: 0 },
      {
        op: "linear",
        inputs: [0],
        groups: 1,
        positions: 1,
        inner: 1,
        outputs: 1,
        weights: Int16Array.of(weight),
        bias: Int32Array.of(bias),
      },
    ],
  });

  it("takes what just fits int32, and names the node that does not", () => {
    const room = 2 ** 31 - 1 - 65_535 * 32_767;
    expect(proveBounds(linear(32_767, room))[1]).toMatchObject({ hull: { min: room, max: 2 ** 31 - 1 }, bits: 32 });
    expect(() => proveBounds(linear(32_767, room + 1))).toThrow("node 1 (linear) may need 33 bits");
    expect(() => proveBounds(linear(32_767, room + 1))).toThrow(code("MODEL_UNBOUNDED"));
  });

  it("refuses sums whose terms leave the safe integers, although others make up for them", () => {
    // As doubles, 2^57 and x make 2^57: both models would give a constant where the circuit's rows give x.
    const most = 2 ** 31 - 1;
    const input: GraphNode = { op: "input", shape: [1], lo: 0, bits: 2, scaleLog2: 0 };
    const cancelling = (terms: number): ModelGraph => ({
      nodes: [
        input,
        {
          op: "arrange",
          inputs: [0],
          index: Int32Array.from({ length: 2 * terms + 1 }, (_, i) => (i === terms ? 0 : -1)),
          constants: [most],
        },
        {
          op: "linear",
          inputs: [1],
          groups: 1,
          positions: 1,
          inner: 2 * terms + 1,
          outputs: 1,
          weights: Int16Array.from({ length: 2 * terms + 1 }, (_, i) => Math.sign(terms - i) * 32_767 + +(i === terms)),
          bias: Int32Array.of(0),
        },
      ],
    });
    expect(proveBounds(cancelling(60))[2]!.hull).toEqual({ min: 0, max: 3 });
    expect([0, 1, 2, 3].map((x) => execute(cancelling(60), [x]).output[0])).toEqual([0, 1, 2, 3]);
    expect(() => proveBounds(cancelling(65))).toThrow(code("MODEL_UNBOUNDED"));
    const product: ModelGraph = {
      nodes: [
        input,
        { op: "arrange", inputs: [0], index: Int32Array.of(-1, 0, -1), constants: [most] },
        { op: "arrange", inputs: [0], index: Int32Array.of(-1, -2, -3), constants: [most, 1, -most] },
        { op: "matMul", inputs: [1, 2], groups: 1, rows: 1, inner: 3, cols: 1 },
      ],
    };
    expect(() => proveBounds(product)).toThrow(code("MODEL_UNBOUNDED"));
  });

  it("counts private weights with their whole range", () => {
    const graph = buildGraph({ seed: 1, steps: [], adapter: 1, input: { size: 1, lo: 0, bits: 7 } });
    const product = graph.nodes.findIndex(({ op }) => op === "matMul");
    const { inner } = graph.nodes[product] as { inner: number };
    expect(proveBounds(graph)[product]!.hull).toEqual({ min: -128 * 127 * inner, max: 127 * 127 * inner });
  });

  it.each<[string, GraphNode[]]>([
    [
      "a table that does not cover its input",
      [{ op: "table", inputs: [0], lo: 0, bits: 7, tables: new Int32Array(128) }],
    ],
    ["shares of what may be negative", [{ op: "share", inputs: [0], width: 2, scale: 127 }]],
    [
      "shares of a sum that may be 0",
      [
        { op: "requant", inputs: [0], shifts: Uint8Array.of(0), lo: 0, bits: 7 },
        { op: "share", inputs: [1], width: 2, scale: 127 },
      ],
    ],
    ["an index that may be negative", [{ op: "lookup", inputs: [0], rows: 2, width: 1, entries: Int16Array.of(1, 2) }]],
    [
      "a product too wide",
      [
        { op: "mul", inputs: [0, 0] },
        { op: "mul", inputs: [1, 1] },
        { op: "mul", inputs: [2, 2] },
      ],
    ],
  ])("refuses %s", (_, nodes) => {
    const graph = { nodes: [{ op: "input" as const, shape: [2], lo: -128, bits: 8, scaleLog2: 0 }, ...nodes] };
    expect(() => proveBounds(graph)).toThrow(code("MODEL_UNBOUNDED"));
  });
});
