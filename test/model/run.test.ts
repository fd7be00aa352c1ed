import { describe, expect, it } from "vitest";
import type { FloatGraph, FloatNode } from "../../src/model/float.js";
import { createFloatExecutor, roundHalfEven } from "../../src/model/run.js";

type Part = FloatNode extends infer N ? (N extends FloatNode ? Omit<N, "node"> : never) : never;

/** The last value of a graph of an input and the given nodes. */
function run(input: number[], ...parts: Part[]): number[] {
  const nodes = [{ op: "input", name: "x", shape: [input.length] }, ...parts].map((part) => ({
    ...part,
    node: part.op,
  }));
  const graph = { nodes, outputShape: [], source: [], metadata: new Map() } as unknown as FloatGraph;
  return [...createFloatExecutor(graph)(input).at(-1)!];
}

const list = (...values: number[]) => Float64Array.from(values);

describe("the float executor", () => {
  it("moves values, and takes constants", () => {
    const index = Int32Array.from([2, -1, 0, 3, -2]);
    expect(run([1, 2], { op: "arrange", inputs: [0, 0], index, constants: [7, 8] })).toEqual([1, 7, 1, 2, 8]);
  });

  it("multiplies by groups, positions and rows as the layout says", () => {
    // Two groups of two positions of two terms; five outputs each, so that blocks of four and the rest are used.
    const input = [1, 2, 3, 4, 5, 6, 7, 8];
    const weights = Float64Array.from({ length: 20 }, (_, k) => k + 1);
    const bias = Float64Array.from({ length: 10 }, (_, k) => 100 * k);
    const expected: number[] = [];
    for (let g = 0; g < 2; g++) {
      for (let o = 0; o < 5; o++) {
        for (let p = 0; p < 2; p++) {
          const row = g * 5 + o;
          const from = (g * 2 + p) * 2;
          expected.push(bias[row]! + weights[2 * row]! * input[from]! + weights[2 * row + 1]! * input[from + 1]!);
        }
      }
    }
    const sizes = { groups: 2, positions: 2, inner: 2, outputs: 5 };
    expect(run(input, { op: "linear", inputs: [0], ...sizes, weights, bias })).toEqual(expected);
  });

  it("multiplies computed values, the second by rows of columns", () => {
    const sizes = { groups: 1, rows: 1, inner: 2, cols: 1 };
    expect(run([3, 4], { op: "matMul", inputs: [0, 0], ...sizes })).toEqual([25]);
    const wide = { groups: 1, rows: 2, inner: 2, cols: 2 };
    expect(run([1, 2, 3, 4], { op: "matMul", inputs: [0, 0], ...wide })).toEqual([5, 11, 11, 25]);
  });

  it("works place by place", () => {
    expect(run([-1, 0.5, 9], { op: "clip", inputs: [0], min: 0, max: 6 })).toEqual([0, 0.5, 6]);
    expect(run([-1, 2], { op: "map", inputs: [0], apply: (x) => x * x })).toEqual([1, 4]);
    expect(run([-1, 2], { op: "add", inputs: [0, 0] })).toEqual([-2, 4]);
    expect(run([-1, 2], { op: "mul", inputs: [0, 0] })).toEqual([1, 4]);
  });

  it("works by runs", () => {
    expect(run([1, 3, 2, -5, -4, -6], { op: "max", inputs: [0], window: 3 })).toEqual([3, -4]);
    expect(run([1, 3, 3, -5, -6, -5], { op: "argMax", inputs: [0], width: 3 })).toEqual([1, 0]);
    expect(run([0, 0, 1000, 0], { op: "softmax", inputs: [0], width: 2 })).toEqual([0.5, 0.5, 1, 0]);
    expect(run([1, 3], { op: "normalise", inputs: [0], width: 2, epsilon: 0, centred: true })).toEqual([-1, 1]);
    expect(run([3, -4], { op: "normalise", inputs: [0], width: 2, epsilon: 3.5, centred: false })).toEqual([0.75, -1]);
  });

  it("hides masked lanes from softmax", () => {
    const masked = { op: "arrange" as const, inputs: [0], index: Int32Array.from([0, -1, 1]), constants: [-Infinity] };
    expect(run([4, 4], masked, { op: "softmax", inputs: [1], width: 3 })).toEqual([0.5, 0, 0.5]);
  });

  it("looks up rows, and refuses others", () => {
    const table = { op: "lookup" as const, inputs: [0] as const, rows: 2, width: 2, entries: list(1, 2, 3, 4) };
    expect(run([1, 0], table)).toEqual([3, 4, 1, 2]);
    for (const wrong of [2, -1, 0.5]) {
      expect(() => run([wrong], table)).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
    }
  });

  it("puts values on a grid, ties to the even step, channels by lanes", () => {
    const grid = {
      op: "grid" as const,
      inputs: [0] as const,
      scale: list(0.5, 2),
      zeroPoint: Int32Array.of(1, 0),
      lo: -2,
      hi: 3,
    };
    expect(run([0.25, 0.75, -9, 9, 3, 1], grid)).toEqual([0, 1, -1.5, 6, 4, 0]);
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 2.51].map((x) => roundHalfEven(x) + 0)).toEqual([0, 2, 2, 0, -2, 0, 3]);
  });

  it("gives the adapter's values, one array of its own a call", () => {
    const adapter = { op: "adapter" as const, parts: [{ name: "a", shape: [2] }], values: list(5, 6), alpha: "1" };
    expect(run([1, 2], adapter, { op: "add", inputs: [0, 1] })).toEqual([6, 8]);
  });

  it("refuses inputs of the wrong size, or that are no numbers", () => {
    const node = { op: "add" as const, inputs: [0, 0] as const };
    const graph = {
      nodes: [
        { op: "input", node: "", name: "x", shape: [2] },
        { ...node, node: "" },
      ],
    } as unknown as FloatGraph;
    const execute = createFloatExecutor(graph);
    for (const wrong of [[], [1], [1, 2, 3], [1, Number.NaN], [Infinity, 1]]) {
      expect(() => execute(wrong)).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
    }
    const first = execute([1, 2]).at(-1)!;
    execute([3, 4]);
    expect([...first]).toEqual([2, 4]);
  });
});
