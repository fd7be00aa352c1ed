import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FloatGraph, FloatNode } from "../../../src/model/float.js";
import { simplify } from "../../../src/model/quantise/simplify.js";
import { createFloatExecutor } from "../../../src/model/run.js";
import { buildFloats, FLOAT_STEPS, floatInputs } from "./floats.js";

const plan = fc.record(
  {
    seed: fc.nat(),
    steps: fc.array(fc.constantFrom(...FLOAT_STEPS), { minLength: 1, maxLength: 7 }),
    adapter: fc.boolean(),
    tokens: fc.integer({ min: 2, max: 9 }),
  },
  { requiredKeys: ["seed", "steps"] },
);

const graphOf = (...nodes: FloatNode[]): FloatGraph => ({
  nodes,
  outputShape: [],
  source: [],
  metadata: new Map(),
});
const input = (size: number): FloatNode => ({ op: "input", node: "x", name: "x", shape: [size] });
const linear = (from: number, shape: readonly number[], weights: number[], bias: number[]): FloatNode => ({
  op: "linear",
  node: `l${from}`,
  inputs: [from],
  groups: shape[0]!,
  positions: shape[1]!,
  inner: shape[2]!,
  outputs: shape[3]!,
  weights: Float64Array.from(weights),
  bias: Float64Array.from(bias),
});
const arrange = (inputs: number[], index: number[], constants: number[] = []): FloatNode => ({
  op: "arrange",
  node: `a${inputs}`,
  inputs,
  index: Int32Array.from(index),
  constants,
});
const clip = (from: number, min = 0, max = Number.POSITIVE_INFINITY): FloatNode => ({
  op: "clip",
  node: `c${from}`,
  inputs: [from],
  min,
  max,
});
const max = (from: number, window: number): FloatNode => ({ op: "max", node: `m${from}`, inputs: [from], window });
const kinds = (graph: FloatGraph) => simplify(graph, { classOnly: false }).nodes.map(({ op }) => op);

describe("simplify", () => {
  it("changes no value that a node still stands for", () => {
    fc.assert(
      fc.property(plan, (given) => {
        const graph = buildFloats(given);
        const { nodes, origin } = simplify(graph, { classOnly: false });
        const before = createFloatExecutor(graph);
        const after = createFloatExecutor({ ...graph, nodes });
        expect(origin.at(-1)).toBeDefined();
        for (const sample of floatInputs(given, 3)) {
          const [was, is] = [before(sample), after(sample)];
          let worst = 0;
          origin.forEach((from, id) => {
            if (from === undefined) return;
            if (is[id]!.length !== was[from]!.length) worst = Number.POSITIVE_INFINITY;
            is[id]!.forEach((value, i) => {
              worst = Math.max(worst, Math.abs(value - was[from]![i]!) / (1 + Math.abs(value)));
            });
          });
          expect(worst).toBeLessThan(1e-9);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("leaves fewer nodes of a simplified graph, or none less", () => {
    fc.assert(
      fc.property(plan, (given) => {
        const graph = buildFloats(given);
        const once = simplify(graph, { classOnly: false });
        const again = simplify({ ...graph, nodes: once.nodes }, { classOnly: false });
        expect(again.nodes.length).toBe(once.nodes.length);
      }),
      { numRuns: 50 },
    );
  });

  it("multiplies scales into linear nodes before and after, padding and all", () => {
    // (x - 3) / 2, padded by 0, convolved by (1, 2), each channel scaled.
    const graph = graphOf(
      input(3),
      linear(0, [1, 3, 1, 1], [0.5], [-1.5]),
      arrange([1], [-1, 0, 0, 1, 1, 2], [0]),
      linear(2, [1, 3, 2, 2], [1, 2, -1, 4], [0.5, 0]),
      linear(3, [2, 3, 1, 1], [2, -1], [0, 1]),
    );
    const { nodes } = simplify(graph, { classOnly: false });
    expect(nodes).toMatchObject([
      { op: "input" },
      { op: "arrange", index: Int32Array.of(-1, 0, 0, 1, 1, 2), constants: [3] },
      { op: "linear", weights: Float64Array.of(1, 2, 0.5, -2), bias: Float64Array.of(1 - 3 - 6, 1 - 1.5 + 6) },
    ]);
  });

  it("gives a mean weights of its own for each channel where scales differ", () => {
    const graph = graphOf(
      input(4),
      clip(0, 0, 6),
      linear(1, [4, 1, 1, 1], [1, 1, 3, 3], [0, 0, 0, 1]),
      linear(2, [1, 2, 2, 1], [0.5, 0.5], [0]),
    );
    expect(simplify(graph, { classOnly: false }).nodes.at(-1)).toMatchObject({
      groups: 2,
      positions: 1,
      weights: Float64Array.of(0.5, 0.5, 1.5, 1.5),
      bias: Float64Array.of(0, 0.5),
    });
  });

  it("makes two linear nodes one where that has no more weights, and keeps a bottleneck", () => {
    const ones = (count: number) => new Array<number>(count).fill(1);
    const pair = (wide: number) =>
      graphOf(
        input(8),
        linear(0, [1, 1, 8, wide], ones(8 * wide), ones(wide)),
        linear(1, [1, 1, wide, 4], ones(wide * 4), ones(4)),
      );
    expect(kinds(pair(6))).toEqual(["input", "linear"]);
    expect(kinds(pair(2))).toEqual(["input", "linear", "linear"]);
  });

  it("clips after the largest of a window is found where windows are apart, and before where they overlap", () => {
    const windows = (index: number[], size: number) => graphOf(input(8), clip(0), arrange([1], index), max(2, size));
    expect(kinds(windows([0, 1, 2, 3, 4, 5, 6, 7], 4))).toEqual(["input", "max", "clip"]);
    const overlapping = [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6, 5, 6, 7];
    expect(kinds(windows(overlapping, 3))).toEqual(["input", "clip", "arrange", "max"]);
  });

  it("pads a max by elements of its windows, not by infinity", () => {
    const graph = graphOf(input(2), arrange([0], [-1, 0, 1, 1, -1, 0], [Number.NEGATIVE_INFINITY]), max(1, 3));
    expect(simplify(graph, { classOnly: false }).nodes[1]).toMatchObject({
      index: Int32Array.of(0, 0, 1, 1, 1, 0),
      constants: [],
    });
  });

  it("drops a softmax where the class alone is wanted, and what nothing uses", () => {
    const graph = graphOf(input(3), linear(0, [1, 1, 3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 0, 0]), clip(0), {
      op: "softmax",
      node: "s",
      inputs: [1],
      width: 3,
    });
    expect(simplify(graph, { classOnly: true }).nodes.map(({ op }) => op)).toEqual(["input", "linear", "argMax"]);
    expect(kinds(graph)).toEqual(["input", "linear", "softmax"]);
  });

  it("leaves out what no output depends on, through every kind of node", () => {
    // Two blocks of attention over 6 tokens, of which the output takes one: the second block is for that one alone.
    const plan = { seed: 4, steps: ["layerNorm", "attention", "attention", "leaky", "some"] as const };
    const graph = buildFloats(plan);
    const all = buildFloats({ ...plan, steps: plan.steps.slice(0, -1) });
    const sizes = (each: FloatGraph) => simplify(each, { classOnly: false }).lengths.reduce((a, b) => a + b);
    expect(sizes(graph)).toBeLessThan(0.85 * sizes(all));
  });

  it("leaves out channels whose weights onward are 0", () => {
    const graph = graphOf(
      input(2),
      linear(0, [1, 1, 2, 3], [1, 2, 3, 4, 5, 6], [1, 2, 3]),
      clip(1),
      linear(2, [1, 1, 3, 2], [1, 0, 2, 3, 0, 4], [0, 0]),
    );
    const { nodes, lengths } = simplify(graph, { classOnly: false });
    expect(lengths).toEqual([2, 2, 2, 3, 2]);
    expect(nodes[1]).toMatchObject({ outputs: 2, weights: Float64Array.of(1, 2, 5, 6), bias: Float64Array.of(1, 3) });
  });
});
