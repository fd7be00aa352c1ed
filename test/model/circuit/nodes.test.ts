/**
 * Kinds of nodes alone: a gadget's rows are those that circom makes of its template, and its witness is the one of circom's
 * own generator.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inverseRoot, proveBounds, share } from "../../../src/model/bounds.js";
import type { GraphNode } from "../../../src/model/graph.js";
import { buildGraph, buildInput, graphPlan, lcg } from "../graphs.js";
import { boundsOf, expectTwin, expectTwinGraph, LoneNode } from "./support.js";

type Range = readonly [min: number, max: number];

const boundsOfRanges = (ranges: readonly Range[]) =>
  boundsOf(
    "linear",
    ranges.map(([min]) => min),
    ranges.map(([, max]) => max),
  );

/** Values of lanes: all at their low ends, all at their high ends, and others. */
function draws(ranges: readonly Range[], count: number, seed: number): number[][] {
  const below = lcg(seed);
  const random = () =>
    ranges.map(([min, max]) => [min, max, min + below(max - min + 1), min + below(max - min + 1)][below(4)]!);
  return [ranges.map(([min]) => min), ranges.map(([, max]) => max), ...Array.from({ length: count }, random)];
}

/** A node of one input, its bounds the hull of what it gives. */
function twin(
  node: GraphNode,
  ranges: readonly Range[],
  evaluate: (values: readonly number[]) => number[],
  extras: { sum?: { min: number; max: number }; root?: { min: number; max: number } } = {},
) {
  const cases = draws(ranges, 12, 7);
  const length = evaluate(cases[0]!).length;
  const bounds = {
    ...boundsOf(node.op, new Array(length).fill(-(2 ** 31)), new Array(length).fill(2 ** 31 - 1)),
    ...extras,
  };
  const facts = { node, bounds, inputBounds: [boundsOfRanges(ranges)] };
  return expectTwin(
    facts,
    cases.map((values) => [values]),
    (values) => evaluate(values!),
  );
}

function runs(values: readonly number[], width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, c) => values.slice(c * width, (c + 1) * width));
}

describe("table", () => {
  const INT8: Range = [-128, 127];
  const node = (lo: number, bits: number, tables: readonly number[]): GraphNode => ({
    op: "table",
    inputs: [0],
    lo,
    bits,
    tables: Int32Array.from(tables),
  });
  const evaluate = (lo: number, size: number, tables: readonly number[]) => (values: readonly number[]) => {
    const lanes = values.length / (tables.length / size);
    return values.map((x, i) => tables[Math.floor(i / lanes) * size + x - lo]!);
  };

  it("of one channel, over every lane's own range", async () => {
    const below = lcg(3);
    const entries = Array.from({ length: 256 }, () => below(2 ** 21) - 2 ** 20);
    const ranges: Range[] = [INT8, [0, 127], [5, 5], [6, 7], [-3, 60], [-128, -126], [100, 103], INT8];
    const { rows } = await twin(node(-128, 8, entries), ranges, evaluate(-128, 256, entries));
    expect(rows).toBe(45 + 29 + 0 + 1 + 21 + 3 + 3 + 45);
  });

  it("of regular functions, which take fewer rows, or are wires that are there already", async () => {
    const kinds: [string, number, (x: number) => number][] = [
      ["a constant", 0, () => 9],
      ["the identity", 0, (x) => x - 3],
      ["a straight line", 1, (x) => 5 - 2 * x],
      ["the lowest bit, which is its wire", 6, (x) => x & 1],
      ["the highest bit", 7, (x) => x >> 5],
      ["another bit, scaled", 7, (x) => 3 * ((x >> 1) & 1) - 7],
      ["a product of bits, which is its wire", 7, (x) => ((x & 5) === 5 ? 1 : 0)],
      ["a product with the highest bit, which is its wire", 7, (x) => (x >= 48 ? 1 : 0)],
      ["a product of three bits", 9, (x) => ((x & 7) === 7 ? 12 : 0)],
      ["a function of the upper half", 11, (x) => [5, 1, 1, -8, 100, 7, 7, 0][x >> 3]!],
      ["a sum of functions of both halves", 13, (x) => (x ** 3 % 8) + [4, 0, 0, 1, 9, 9, 7, 1][x >> 3]!],
      ["two kinds of rows", 17, (x) => ((x >> 3) % 3 === 0 ? x ** 3 % 11 : (x & 7) ** 2)],
      ["LeakyReLU", 9, (x) => (x < 32 ? Math.floor((x - 32) / 8) : x - 32)],
    ];
    const full: Range = [-3, 60];
    const tables = kinds.map(([, , apply]) => Array.from({ length: 64 }, (_, x) => apply(x) + 0));
    const counted = kinds.map(([name], i) => {
      const bounds = boundsOf("table", [Math.min(...tables[i]!)], [Math.max(...tables[i]!)]);
      const facts = { node: node(-3, 6, tables[i]!), bounds, inputBounds: [boundsOfRanges([full])] };
      return [name, new LoneNode(facts).rows().r1cs.constraints];
    });
    expect(counted).toEqual(kinds.map(([name, rows]) => [name, rows]));
    const all = tables.flat();
    const { rows } = await twin(
      node(-3, 6, all),
      kinds.map(() => full),
      evaluate(-3, 64, all),
    );
    expect(rows).toBe(kinds.reduce((sum, kind) => sum + kind[1], 0));
  });

  it("of several channels", async () => {
    const below = lcg(4);
    const entries = Array.from({ length: 3 * 8 }, () => below(255) - 127);
    const ranges: Range[] = [
      [0, 7],
      [1, 7],
      [0, 7],
      [3, 5],
      [0, 6],
      [2, 2],
    ];
    await twin(node(0, 3, entries), ranges, evaluate(0, 8, entries));
  });
});

describe("max", () => {
  const INT8: Range = [-128, 127];
  const cases: [string, number, Range[], number][] = [
    ["2x2 windows of 8 bits", 4, [INT8, INT8, INT8, INT8], 27],
    [
      "padding and dominated values",
      3,
      [[-128, -128], INT8, [0, 5], [3, 3], [-9, 3], [3, 3], [1, 8], [0, 7], [0, 4]],
      9 + 0 + 10,
    ],
    [
      "int32",
      2,
      [
        [-(2 ** 31), 2 ** 31 - 1],
        [-(2 ** 31), 2 ** 31 - 1],
      ],
      33,
    ],
    [
      "windows that are copies",
      2,
      [
        [0, 5],
        [5, 9],
        [4, 4],
        [-1, 4],
      ],
      0,
    ],
  ];
  it.each(cases)("of %s", async (_, window, ranges, wanted) => {
    const node: GraphNode = { op: "max", inputs: [0], window };
    const { rows } = await twin(node, ranges, (values) => runs(values, window).map((run) => Math.max(...run)));
    expect(rows).toBe(wanted);
  });
});

describe("mul and matMul", () => {
  const two = (
    node: GraphNode,
    a: Range[],
    b: Range[],
    evaluate: (a: readonly number[], b: readonly number[]) => number[],
  ) => {
    const [left, right] = [draws(a, 8, 11), draws(b, 8, 12)];
    const length = evaluate(left[0]!, right[0]!).length;
    const bounds = boundsOf(node.op, new Array(length).fill(-(2 ** 31)), new Array(length).fill(2 ** 31 - 1));
    const facts = { node, bounds, inputBounds: [boundsOfRanges(a), boundsOfRanges(b)] };
    return expectTwin(
      facts,
      left.map((values, i) => [values, right[i]!]),
      (x, y) => evaluate(x!, y!),
    );
  };

  it("mul", async () => {
    const node: GraphNode = { op: "mul", inputs: [0, 1] };
    const wide: Range = [-46_340, 46_340];
    const { rows } = await two(node, [wide, [3, 3], wide], [wide, wide, [0, 1]], (a, b) =>
      a.map((x, i) => x * b[i]! + 0),
    );
    expect(rows).toBe(3);
  });

  it.each([
    [1, 1, 1, 1],
    [2, 2, 3, 1],
    [1, 3, 2, 2],
  ])("matMul of %i groups, %i×%i by %i", async (groups, rows, inner, cols) => {
    const node: GraphNode = { op: "matMul", inputs: [0, 1], groups, rows, inner, cols };
    const lanes = (count: number) => Array.from({ length: count }, (): Range => [-9000, 9000]);
    const result = await two(node, lanes(groups * rows * inner), lanes(groups * cols * inner), (a, b) =>
      Array.from({ length: groups * rows * cols }, (_, o) => {
        const [row, n] = [Math.floor(o / cols), o % cols];
        const g = Math.floor(row / rows);
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += a[row * inner + k]! * b[(g * cols + n) * inner + k]!;
        return sum;
      }),
    );
    expect(result.rows).toBe(groups * rows * cols * inner);
  });
});

describe("lookup", () => {
  const lookup = (rows: number, width: number, entries: readonly number[], ranges: readonly Range[]) =>
    twin(
      { op: "lookup", inputs: [0], rows, width, entries: Int16Array.from(entries) },
      ranges.map(([min, max]): Range => [min, Math.min(max, rows - 1)]),
      (values) => values.flatMap((row) => entries.slice(row * width, (row + 1) * width)),
    );

  it("of indices with their own ranges, and of columns that are constant, a mark, or zero", async () => {
    const entries = [1, 0, 5, 7, 2, 1, 5, -7, 3, 0, 5, 7, 4, 0, 6, 7, 9, 0, 6, 7];
    const { rows } = await lookup(5, 4, entries, [
      [0, 4],
      [1, 2],
      [3, 3],
      [0, 2],
      [3, 4],
      [2, 4],
    ]);
    // Marks, two sums, and a row for each column that is neither constant nor a mark.
    expect(rows).toBe(7 + 3 + (4 + 2) + 0 + (5 + 2) + (4 + 1) + (5 + 2));
  });

  it("of two rows, and of a range that goes on beyond the last", async () => {
    const node: GraphNode = { op: "lookup", inputs: [0], rows: 2, width: 1, entries: Int16Array.of(-3, 8) };
    const ranges: Range[] = [
      [0, 1],
      [0, 3],
      [1, 3],
    ];
    const facts = { node, bounds: boundsOf("lookup", [-3, -3, 8], [8, 8, 8]), inputBounds: [boundsOfRanges(ranges)] };
    const evaluate = (values?: readonly number[]) => values!.map((row) => [-3, 8][row]!);
    const cases = [
      [0, 0, 1],
      [1, 1, 1],
      [0, 1, 1],
    ].map((values) => [values]);
    expect((await expectTwin(facts, cases, evaluate)).rows).toBe(3 * 5);
  });
});

describe("share", () => {
  it.each<[number, number, Range[]]>([
    [
      2,
      1,
      [
        [0, 1],
        [1, 1],
      ],
    ],
    [
      3,
      127,
      [
        [0, 255],
        [0, 255],
        [1, 255],
        [0, 1000],
        [5, 5],
        [0, 3],
      ],
    ],
    [
      2,
      32_767,
      [
        [1, 2 ** 31 - 1],
        [0, 2 ** 31 - 1],
      ],
    ],
  ])("of runs of %i in units of 1/%i", async (width, scale, ranges) => {
    const totals = runs(
      ranges.map(([, max]) => max),
      width,
    ).map((run) => run.reduce((a, b) => a + b, 0));
    const sum = { min: 1, max: Math.max(...totals) };
    const evaluate = (values: readonly number[]) =>
      runs(values, width).flatMap((run) =>
        run.map((x) =>
          share(
            x,
            run.reduce((a, b) => a + b, 0),
            scale,
          ),
        ),
      );
    const { rows } = await twin({ op: "share", inputs: [0], width, scale }, ranges, evaluate, { sum });
    const bits = Math.max(1, (sum.max - 1).toString(2).length);
    expect(rows).toBe(2 * totals.length + ranges.length * (scale.toString(2).length + 2 * bits + 1));
  });
});

describe("normalise", () => {
  it.each<[number, number, number, Range[]]>([
    [
      2,
      1,
      1,
      [
        [-3, 3],
        [-3, 3],
      ],
    ],
    [
      3,
      5,
      12,
      [
        [-127, 127],
        [-128, 127],
        [0, 127],
        [-9, 9],
        [4, 4],
        [-1, 0],
      ],
    ],
    [
      2,
      2 ** 40,
      30,
      [
        [-(2 ** 24), 2 ** 24],
        [-(2 ** 24), 2 ** 24],
      ],
    ],
    [
      2,
      1,
      30,
      [
        [-1, 1],
        [0, 1],
      ],
    ],
  ])("of runs of %i, ε %i, precision %i", async (width, epsilon, precision, ranges) => {
    const squares = runs(
      ranges.map(([min, max]) => Math.max(-min, max) ** 2),
      width,
    );
    const sum = { min: epsilon, max: epsilon + Math.max(...squares.map((run) => run.reduce((a, b) => a + b, 0))) };
    const root = { min: inverseRoot(sum.max, precision), max: inverseRoot(sum.min, precision) };
    const evaluate = (values: readonly number[]) =>
      runs(values, width).flatMap((run) => {
        const r = inverseRoot(
          run.reduce((v, c) => v + c * c, epsilon),
          precision,
        );
        return run.map((c) => c * r + 0);
      });
    await twin({ op: "normalise", inputs: [0], width, epsilon, precision }, ranges, evaluate, { sum, root });
  });
});

describe("graphs of all kinds", () => {
  it("are circom's, row by row and wire by wire", async () => {
    for (const plan of fc.sample(graphPlan(), { numRuns: 10, seed: 3 })) {
      const graph = buildGraph(plan);
      try {
        await expectTwinGraph(
          graph,
          [1, 2, 3, 4].map((seed) => buildInput(graph, seed)),
        );
      } catch (error) {
        throw new Error(JSON.stringify(plan), { cause: error });
      }
    }
  });

  it("are circom's where lanes are constants", async () => {
    const nodes: GraphNode[] = [{ op: "input", shape: [2], lo: 0, bits: 2, scaleLog2: 0 }];
    const results: number[] = [];
    const add = (node: GraphNode) => nodes.push(node) - 1;
    const result = (node: GraphNode) => results.push(add(node));
    // Both, one and none of two factors constant; a constant 0, 1, and others.
    const a = add({
      op: "arrange",
      inputs: [0],
      index: Int32Array.of(-1, -2, -3, 0, -1, -2, 1, -3),
      constants: [0, 1, 3],
    });
    const b = add({
      op: "arrange",
      inputs: [0],
      index: Int32Array.of(-3, -2, -3, -3, 0, 1, 0, -1),
      constants: [0, 1, 3],
    });
    const all = add({ op: "arrange", inputs: [0], index: Int32Array.of(-1, -2, -3, -1), constants: [0, 1, 3] });
    result({ op: "mul", inputs: [a, b] });
    result({ op: "matMul", inputs: [a, b], groups: 1, rows: 2, inner: 4, cols: 2 });
    result({ op: "matMul", inputs: [all, all], groups: 2, rows: 1, inner: 2, cols: 1 });
    for (const from of [a, all]) {
      result({ op: "table", inputs: [from], lo: 0, bits: 2, tables: Int32Array.of(5, 5, 0, -9) });
      result({ op: "lookup", inputs: [from], rows: 4, width: 2, entries: Int16Array.of(1, 7, 0, 7, 0, 7, 0, 8) });
      result({ op: "max", inputs: [from], window: 2 });
      result({ op: "share", inputs: [from], width: 4, scale: 10 });
      result({ op: "normalise", inputs: [from], width: 2, epsilon: 3, precision: 6 });
    }
    const total = proveBounds({ nodes }).reduce((sum, { min }, id) => sum + (results.includes(id) ? min.length : 0), 0);
    add({ op: "arrange", inputs: results, index: Int32Array.from({ length: total }, (_, i) => i), constants: [] });
    await expectTwinGraph({ nodes }, [{ input: [0, 0] }, { input: [3, 1] }, { input: [2, 3] }]);
  });
});
