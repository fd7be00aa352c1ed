import { describe, expect, it } from "vitest";
import { circomlibMlRows } from "../../src/bench/peers.js";
import type { FloatGraph, FloatNode } from "../../src/model/float.js";

/** Builds the networks of Guy1m0/ZKML-Benchmark, and what else has a price. */
class Net {
  readonly #nodes: FloatNode[] = [];
  #length: number;
  #shape: [channels: number, side: number];

  constructor(channels: number, side: number) {
    this.#shape = [channels, side];
    this.#length = channels * side * side;
    this.#nodes.push({ op: "input", node: "", name: "x", shape: [channels, side, side] });
  }

  #last(): [number] {
    return [this.#nodes.length - 1];
  }

  add(node: FloatNode, length: number): this {
    this.#nodes.push(node);
    this.#length = length;
    return this;
  }

  #linear(groups: number, positions: number, inner: number, outputs: number, weight = (i: number) => i % 7): this {
    const weights = Float64Array.from({ length: groups * outputs * inner }, (_, i) => weight(i));
    const bias = new Float64Array(groups * outputs);
    const node = { op: "linear", node: "", inputs: this.#last(), groups, positions, inner, outputs, weights, bias };
    return this.add(node as FloatNode, groups * outputs * positions);
  }

  dense(outputs: number): this {
    return this.#linear(1, 1, this.#length, outputs);
  }

  /** Windows of `size`² over each channel, zeros around; channels innermost where they are summed. */
  #windows(size: number, stride: number, pad: number, grouped: boolean): number {
    const [channels, side] = this.#shape;
    const out = Math.floor((side + 2 * pad - size) / stride) + 1;
    const index: number[] = [];
    const tap = (c: number, y: number, x: number) =>
      y < 0 || x < 0 || y >= side || x >= side ? -1 : (c * side + y) * side + x;
    const window = (c: number, oy: number, ox: number) => {
      for (let i = 0; i < size * size; i++) {
        index.push(tap(c, oy * stride - pad + Math.floor(i / size), ox * stride - pad + (i % size)));
      }
    };
    const positions = Array.from({ length: out * out }, (_, p) => [Math.floor(p / out), p % out] as const);
    const all = Array.from({ length: channels }, (_, c) => c);
    if (grouped) for (const c of all) for (const [y, x] of positions) window(c, y, x);
    else for (const [y, x] of positions) for (const c of all) window(c, y, x);
    const node = { op: "arrange", node: "", inputs: this.#last(), index: Int32Array.from(index), constants: [0] };
    this.add(node as FloatNode, index.length);
    return out;
  }

  conv(filters: number, size: number, { stride = 1, pad = 0 } = {}): this {
    const channels = this.#shape[0];
    const out = this.#windows(size, stride, pad, false);
    this.#shape = [filters, out];
    return this.#linear(1, out * out, channels * size * size, filters);
  }

  depthwise(size: number): this {
    const [channels] = this.#shape;
    const out = this.#windows(size, 1, 0, true);
    this.#shape = [channels, out];
    return this.#linear(channels, out * out, size * size, 1);
  }

  average(size: number): this {
    const [channels] = this.#shape;
    const out = this.#windows(size, size, 0, true);
    this.#shape = [channels, out];
    return this.#linear(channels, out * out, size * size, 1, () => 1 / size ** 2);
  }

  max(size: number): this {
    const [channels] = this.#shape;
    const out = this.#windows(size, size, 0, true);
    this.#shape = [channels, out];
    const length = channels * out * out;
    return this.add({ op: "max", node: "", inputs: this.#last(), window: size * size }, length);
  }

  relu(min = 0, max = Number.POSITIVE_INFINITY): this {
    return this.add({ op: "clip", node: "", inputs: this.#last(), min, max }, this.#length);
  }

  graph(): FloatGraph {
    return { nodes: this.#nodes, outputShape: [], source: [], metadata: new Map() };
  }
}

describe("circomlibMlRows", () => {
  // Guy1m0/ZKML-Benchmark, frameworks/circomlib-ml: non-linear constraints as circom printed them.
  it.each([
    ["196-25-10", () => new Net(1, 14).dense(25).relu().dense(10), 18_075],
    ["784-56-10", () => new Net(1, 28).dense(56).relu().dense(10), 73_416],
    ["196-24-14-10", () => new Net(1, 14).dense(24).relu().dense(14).relu().dense(10), 24_826],
    [
      "14 5-11-80-10 k3",
      () => new Net(1, 14).conv(5, 3).relu().average(2).conv(11, 3).relu().average(2).dense(80).relu().dense(10),
      523_312,
    ],
    [
      "28 6-16-10 k5",
      () => new Net(1, 28).conv(6, 5).relu().average(2).conv(16, 5).relu().average(2).dense(10),
      2_558_720,
    ],
    [
      "LeNet 6-16-120-84-10 k5",
      () =>
        new Net(1, 28)
          .conv(6, 5)
          .relu()
          .average(2)
          .conv(16, 5)
          .relu()
          .average(2)
          .dense(120)
          .relu()
          .dense(84)
          .relu()
          .dense(10),
      2_703_268,
    ],
  ])("gives what was measured for %s", (_, net, measured) => {
    expect(circomlibMlRows(net().graph())).toMatchObject({ rows: measured, missing: [] });
  });

  // Single templates, compiled by circom 2.2.3 at -O2 in the course of this work.
  it.each([
    ["Conv2Dsame(6, 6, 2, 3, 3, 1): nothing for products with the padding", new Net(2, 6).conv(3, 3, { pad: 1 }), 1536],
    ["MaxPooling2D of 2 x 2", new Net(1, 2).max(2), 1015],
    ["DepthwiseConv2D of 3 x 3, one position", new Net(2, 3).depthwise(3), 18],
    ["a ReLU with an upper end: two of them", new Net(1, 1).relu(0, 6), 2 * 517],
  ])("prices %s", (_, net, rows) => {
    expect(circomlibMlRows(net.graph()).rows).toBe(rows);
  });

  it("prices products of values, arg-max and polynomials, and names what has no template", () => {
    const net = new Net(1, 2);
    net.add({ op: "matMul", node: "", inputs: [0, 0], groups: 1, rows: 2, inner: 2, cols: 2 }, 4);
    net.add({ op: "mul", node: "", inputs: [1, 1] }, 4);
    net.add({ op: "add", node: "", inputs: [2, 1] }, 4);
    net.add({ op: "map", node: "", inputs: [3], apply: (x) => x }, 4);
    net.add({ op: "softmax", node: "", inputs: [4], width: 2 }, 4);
    net.add({ op: "normalise", node: "", inputs: [5], width: 4, epsilon: 1, centred: true }, 4);
    net.add({ op: "argMax", node: "", inputs: [6], width: 4 }, 1);
    expect(circomlibMlRows(net.graph())).toEqual({
      rows: 8 + 4 + 2 * 4 + 255 * 4 - 3,
      products: 12,
      missing: ["normalisation", "softmax"],
    });
  });
});
