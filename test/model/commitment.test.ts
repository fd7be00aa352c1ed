import fc from "fast-check";
import { poseidon16 as permutation } from "poseidon-lite";
import { describe, expect, it } from "vitest";
import { poseidon16 } from "../../src/field/poseidon.js";
import { R } from "../../src/field/scalar.js";
import {
  ADAPTER_TAG,
  BATCH_TAG,
  commitAdapter,
  commitBatch,
  commitInput,
  INPUT_TAG,
  OUTPUT_TAG,
  type OutputLayout,
  outputLayout,
  packOutput,
  unpackOutput,
} from "../../src/model/commitment.js";
import { type AdapterNode, checkGraph, type ModelGraph, modelDigest } from "../../src/model/graph.js";
import { code } from "../support/errors.js";

const FEATURES = { lo: 0, bits: 7 };

/** The chain, written down once more. */
function chained(start: bigint, capacity: bigint, elements: bigint[]): bigint {
  let h = start;
  for (let from = 0; from < elements.length; from += 15) {
    const block = elements.slice(from, from + 15);
    h = poseidon16(capacity, [h, ...block, ...new Array(15 - block.length).fill(0n)]);
  }
  return h;
}

function packed(values: number[], each: number, radix: bigint): bigint[] {
  const parts: bigint[] = [];
  for (let i = 0; i < values.length; i += each) {
    parts.push(values.slice(i, i + each).reduceRight((sum, v) => radix * sum + BigInt(v), 0n));
  }
  return parts;
}

function withAdapter(change: Partial<AdapterNode> = {}): ModelGraph {
  const parts = [{ name: "a", shape: [2, 2] }];
  return checkGraph({
    nodes: [
      { op: "input", shape: [2], lo: 0, bits: 7, scaleLog2: 7 },
      { op: "adapter", parts, lo: -128, bits: 8, alpha: "16", ...change },
      { op: "matMul", inputs: [0, 1], groups: 1, rows: 1, inner: 2, cols: 2 },
    ],
  });
}

describe("tags", () => {
  it.each([
    ["ap_input", INPUT_TAG],
    ["ap_adapt", ADAPTER_TAG],
    ["ap_outpt", OUTPUT_TAG],
    ["ap_batch", BATCH_TAG],
  ])("%s is its ASCII bytes", (text, tag) => {
    expect(tag).toBe(BigInt(`0x${Buffer.from(text).toString("hex")}`));
  });
});

describe("commitInput", () => {
  it("packs 31 bytes an element, little-endian, and chains calls of fifteen elements", () => {
    const features = Array.from({ length: 31 * 16 + 2 }, (_, i) => (7 * i + 3) % 128);
    const capacity = INPUT_TAG + 2n ** 64n * BigInt(features.length) + 2n ** 96n * 32768n + 2n ** 112n * 7n;
    const wanted = chained(77n, capacity, packed(features, 31, 256n));
    expect(commitInput(FEATURES, features, 77n)).toBe(wanted);
  });

  it("packs 15 integers of two bytes above 8 bits, less the range's lower end", () => {
    const range = { lo: -300, bits: 10 };
    const values = Array.from({ length: 40 }, (_, i) => -300 + ((i * 97) % 1024));
    const capacity = INPUT_TAG + 2n ** 64n * 40n + 2n ** 96n * (32768n - 300n) + 2n ** 112n * 10n;
    const shifted = values.map((value) => value + 300);
    expect(commitInput(range, values, 5n)).toBe(chained(5n, capacity, packed(shifted, 15, 65536n)));
  });

  it("keeps its values", () => {
    expect(permutation(new Array(16).fill(1n))).toBe(poseidon16(0n, new Array(16).fill(1n)));
    expect(commitInput(FEATURES, [1, 2, 3], 4n)).toMatchInlineSnapshot(
      `13697545074872718836262643921695095832250858611426442533628703953419044975183n`,
    );
    expect(commitInput({ lo: -128, bits: 8 }, [-128, 127], 0n)).toMatchInlineSnapshot(
      `7164583645889268976518575989161463573572393806075355380049101012073282972319n`,
    );
    expect(commitInput({ lo: 0, bits: 16 }, [65535], R - 1n)).toMatchInlineSnapshot(
      `20851520521792106491786822284278195273124884399198033309284820105245339674374n`,
    );
  });

  it("separates lengths, salts, ranges and every value", () => {
    const commitments = [
      commitInput(FEATURES, [0], 1n),
      commitInput(FEATURES, [0, 0], 1n),
      commitInput(FEATURES, [0], 2n),
      commitInput(FEATURES, [1], 1n),
      commitInput(FEATURES, [0, 1], 1n),
      commitInput(FEATURES, [1, 0], 1n),
      // The same elements, of other integers or in another range.
      commitInput({ lo: -1, bits: 7 }, [-1], 1n),
      commitInput({ lo: 0, bits: 8 }, [0], 1n),
      commitInput({ lo: 0, bits: 9 }, [0], 1n),
    ];
    expect(new Set(commitments).size).toBe(commitments.length);
  });

  it.each([
    [FEATURES, [], 1n],
    [FEATURES, [128], 1n],
    [FEATURES, [-1], 1n],
    [FEATURES, [0.5], 1n],
    [FEATURES, ["1"], 1n],
    [FEATURES, [1n], 1n],
    [FEATURES, new Array(2), 1n],
    [FEATURES, [1], R],
    [FEATURES, [1], -1n],
    [FEATURES, [1], 1],
    [{ lo: -5, bits: 4 }, [11], 1n],
    [{ lo: -5, bits: 4 }, [-6], 1n],
    [{ lo: 0.5, bits: 4 }, [1], 1n],
    [{ lo: 0, bits: 17 }, [1], 1n],
    [{ lo: 0, bits: Number.NaN }, [1], 1n],
  ])("refuses %o with %o under %o", (range, values, salt) => {
    expect(() => commitInput(range, values as number[], salt as bigint)).toThrowError(code("INPUT_INVALID"));
  });
});

describe("commitAdapter", () => {
  it("is over the graph's digest and the weights", () => {
    const graph = withAdapter();
    const digest = BigInt(modelDigest(graph));
    const capacity = ADAPTER_TAG + 2n ** 64n * 4n + 2n ** 96n * (32768n - 128n) + 2n ** 112n * 8n;
    const elements = [digest >> 128n, digest % 2n ** 128n, ...packed([128, 0, 255, 129], 31, 256n)];
    expect(commitAdapter(graph, [0, -128, 127, 1], 9n)).toBe(chained(9n, capacity, elements));
  });

  it("separates models, alpha, shapes, ranges, weights and salts", () => {
    const weights = [1, 2, 3, 4];
    const commitments = [
      commitAdapter(withAdapter(), weights, 1n),
      commitAdapter(withAdapter(), weights, 2n),
      commitAdapter(withAdapter(), [2, 1, 3, 4], 1n),
      commitAdapter(withAdapter({ alpha: "8" }), weights, 1n),
      commitAdapter(withAdapter({ parts: [{ name: "a", shape: [4, 1] }] }), weights, 1n),
      commitAdapter(withAdapter({ lo: -127 }), weights, 1n),
      commitAdapter(withAdapter({ bits: 9 }), weights, 1n),
    ];
    expect(new Set(commitments).size).toBe(commitments.length);
  });

  it("refuses other numbers of weights, other ranges, and models without an adapter", () => {
    const graph = withAdapter();
    expect(() => commitAdapter(graph, [1, 2, 3], 1n)).toThrowError(code("INPUT_INVALID"));
    expect(() => commitAdapter(graph, [1, 2, 3, 128], 1n)).toThrowError(code("INPUT_INVALID"));
    expect(() => commitAdapter(graph, [1, 2, 3, 4], R)).toThrowError(code("INPUT_INVALID"));
    const plain = checkGraph({ nodes: [graph.nodes[0], { op: "argMax", inputs: [0], width: 2 }] });
    expect(() => commitAdapter(plain, [], 1n)).toThrowError(code("INPUT_INVALID"));
  });
});

/** A layout as {@link outputLayout} makes them. */
function layoutOf(count: number, min: number, max: number): OutputLayout {
  const bounds = [{ hull: { min, max }, min: new Int32Array(count) }];
  return outputLayout({ nodes: [] }, bounds);
}

describe("outputs", () => {
  it("have lanes of the hull's width", () => {
    expect(layoutOf(10, -100, 155)).toEqual({ count: 10, min: -100, max: 155, lane: 8, perElement: 31, elements: 1 });
    expect(layoutOf(10, -100, 156)).toMatchObject({ lane: 9, perElement: 28 });
    expect(layoutOf(3, 7, 7)).toMatchObject({ lane: 1, elements: 1 });
    expect(layoutOf(8, -(2 ** 31), 2 ** 31 - 1)).toMatchObject({ lane: 32, perElement: 7, elements: 2 });
    expect(layoutOf(1, 0, 9)).toMatchObject({ lane: 4 });
  });

  it("come from the bounds of a graph", () => {
    const graph = checkGraph({
      nodes: [
        { op: "input", shape: [3], lo: -8, bits: 4, scaleLog2: 0 },
        { op: "linear", inputs: [0], groups: 1, positions: 3, inner: 1, outputs: 1, weights: [3], bias: [1] },
      ],
    });
    expect(outputLayout(graph)).toMatchObject({ count: 3, min: -23, max: 22, lane: 6 });
  });

  it("of a class are the class", () => {
    expect(packOutput(layoutOf(1, 0, 9), [7])).toBe(7n);
  });

  it("pack and unpack", () => {
    const interval = fc.tuple(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.nat({ max: 2 ** 31 }));
    const cases = interval.chain(([min, width]) => {
      const max = Math.min(min + width, 2 ** 31 - 1);
      const values = fc.array(fc.oneof(fc.constantFrom(min, max), fc.integer({ min, max })), { minLength: 1 });
      return values.map((list) => ({ layout: layoutOf(list.length, min, max), list }));
    });
    fc.assert(
      fc.property(cases, ({ layout, list }) => {
        const signal = packOutput(layout, list);
        expect(unpackOutput(layout, signal)).toEqual(layout.elements === 1 ? list : undefined);
      }),
    );
  });

  it("of more than one element are the chain over them", () => {
    const layout = layoutOf(9, -1, 2 ** 30);
    const values = Array.from({ length: 9 }, (_, i) => i * 1000 - 1);
    const elements = packed(
      values.map((value) => value + 1),
      8,
      2n ** 31n,
    );
    const capacity = OUTPUT_TAG + 2n ** 64n * 9n;
    expect(elements).toHaveLength(2);
    expect(packOutput(layout, values)).toBe(chained(0n, capacity, elements));
  });

  it("are refused when the model cannot give them", () => {
    const layout = layoutOf(2, -3, 3);
    for (const values of [[0], [0, 4], [-4, 0], [0, 0.5], [0, 0, 0]]) {
      expect(() => packOutput(layout, values)).toThrowError(code("INPUT_INVALID"));
    }
    for (const signal of [7n, 7n << 3n, 1n << 6n, R, -1n]) {
      expect(() => unpackOutput(layout, signal)).toThrowError(code("INPUT_INVALID"));
    }
    expect(unpackOutput(layout, 6n)).toEqual([3, -3]);
  });
});

describe("commitBatch", () => {
  it("chains what several inferences say, and leaves one alone", () => {
    expect(commitBatch([42n])).toBe(42n);
    const signals = Array.from({ length: 17 }, (_, i) => BigInt(i + 1));
    expect(commitBatch(signals)).toBe(chained(0n, BATCH_TAG + 2n ** 64n * 17n, signals));
  });

  it("separates counts and orders, and refuses what is no scalar", () => {
    const batches = [[1n, 2n], [2n, 1n], [1n, 2n, 0n], [1n]];
    expect(new Set(batches.map(commitBatch)).size).toBe(batches.length);
    expect(() => commitBatch([])).toThrowError(code("INPUT_INVALID"));
    expect(() => commitBatch([1n, R])).toThrowError(code("INPUT_INVALID"));
    expect(() => commitBatch(new Array(1025).fill(0n))).toThrowError(code("INPUT_INVALID"));
  });
});
