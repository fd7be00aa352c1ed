import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { proveBounds, requantRelu } from "../../src/model/bounds.js";
import { createExecutor, execute } from "../../src/model/execute.js";
import type { ModelGraph } from "../../src/model/graph.js";
import { chain, dense, extremeFeatures, graphAndFeatures, lcg, spamModel } from "./fixtures.js";

/** Another executor, from the definition of the layers: exact integers, no shifts, ties by a stable sort. */
function naive(graph: ModelGraph, features: readonly number[]): bigint[][] {
  let values = features.map(BigInt);
  return graph.layers.map((layer) => {
    const input = values;
    if (layer.kind === "dense") {
      values = layer.bias.map((b, o) =>
        layer.weights[o]!.reduceRight((sum, w, i) => sum + BigInt(w) * input[i]!, BigInt(b)),
      );
    } else if (layer.kind === "requantRelu") {
      values = input.map((acc, o) => {
        // Nearest multiple of the step, halves upwards, found by remainder instead of by shift.
        const step = 2n ** BigInt(layer.shifts[o]!);
        const rest = ((acc % step) + step) % step;
        const below = (acc - rest) / step;
        const rounded = 2n * rest >= step ? below + 1n : below;
        const nearest = step === 1n ? acc : rounded;
        return nearest < 0n ? 0n : nearest > 127n ? 127n : nearest;
      });
    } else {
      const order = input
        .map((value, index) => ({ value, index }))
        .sort((a, b) => (a.value === b.value ? a.index - b.index : a.value > b.value ? -1 : 1));
      values = [BigInt(order[0]!.index)];
    }
    return values;
  });
}

describe("execute", () => {
  it("equals exact arithmetic on any graph and input, within the proven bounds", () => {
    fc.assert(
      fc.property(graphAndFeatures, ({ graph, features }) => {
        const { layers, logits, classIndex } = execute(graph, features);
        const expected = naive(graph, features);
        expect(layers.map((values) => values.map(BigInt))).toEqual(expected);
        expect(logits.map(BigInt)).toEqual(expected.at(-2));
        expect(BigInt(classIndex)).toBe(expected.at(-1)![0]);
        proveBounds(graph).forEach(({ values, hull }, index) => {
          values.forEach(({ min, max }, o) => {
            expect(expected[index]![o]! >= min && expected[index]![o]! <= max).toBe(true);
            expect(min >= hull.min && max <= hull.max).toBe(true);
          });
        });
      }),
      { numRuns: 500 },
    );
  });

  it("rounds halves towards plus infinity and saturates", () => {
    const graph = (shift: number) =>
      chain(1, dense([[1]], [-64]), { kind: "requantRelu", shifts: [shift] }, dense([[1], [0]], [0, 0]));
    const run = (shift: number, feature: number) => execute(graph(shift), [feature]).layers[1]![0];
    expect([62, 63, 64, 65, 66].map((f) => run(0, f))).toEqual([0, 0, 0, 1, 2]);
    expect([62, 63, 64, 65, 66, 67].map((f) => run(1, f))).toEqual([0, 0, 0, 1, 1, 2]);
    expect([65, 66, 67, 69, 70].map((f) => run(2, f))).toEqual([0, 1, 1, 1, 2]);
    const large = chain(1, dense([[127]], [0]), { kind: "requantRelu", shifts: [3] }, dense([[1], [0]], [0, 0]));
    expect([7, 8, 9, 127].map((f) => execute(large, [f]).layers[1]![0])).toEqual([111, 127, 127, 127]);
  });

  it("gives ties to the lowest index", () => {
    const graph = chain(1, dense([[0], [1], [1], [1]], [5, 0, 0, -1]));
    expect(execute(graph, [4]).classIndex).toBe(0);
    expect(execute(graph, [5]).classIndex).toBe(0);
    expect(execute(graph, [6]).classIndex).toBe(1);
  });

  it.each([
    ["too few", [1]],
    ["too many", [1, 2, 3]],
    ["128", [128, 0]],
    ["negative", [-1, 0]],
    ["a fraction", [0.5, 0]],
    ["NaN", [Number.NaN, 0]],
    ["a hole", new Array(2)],
    ["a string", ["1", "2"]],
    ["null", null],
  ])("refuses features: %s", (_, features) => {
    const graph = chain(
      2,
      dense(
        [
          [1, 0],
          [0, 1],
        ],
        [0, 0],
      ),
    );
    expect(() => execute(graph, features as never)).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
  });

  it("keeps to the graph that it was made for", () => {
    const rows = [
      [1, 0],
      [0, 1],
    ];
    const run = createExecutor(chain(2, dense(rows, [0, 0])));
    rows[0]![0] = -100;
    expect(run([5, 0]).logits).toEqual([5, 0]);
  });
});

describe("proveBounds", () => {
  it("is reached exactly by the inputs that drive a channel to its ends, and holds for the rest", async () => {
    const { graph } = await spamModel();
    const bounds = proveBounds(graph);
    const run = createExecutor(graph);
    const random = lcg(1);
    const inputs = [
      new Array(256).fill(0),
      new Array(256).fill(127),
      ...Array.from({ length: 200 }, () => Array.from({ length: 256 }, () => random(128))),
    ];
    for (let channel = 0; channel < 32; channel++) {
      const low = extremeFeatures(graph, channel, false);
      const high = extremeFeatures(graph, channel, true);
      expect(BigInt(run(low).layers[0]![channel]!)).toBe(bounds[0]!.values[channel]!.min);
      expect(BigInt(run(high).layers[0]![channel]!)).toBe(bounds[0]!.values[channel]!.max);
      inputs.push(low, high);
    }
    for (const features of inputs) {
      run(features).layers.forEach((values, index) => {
        values.forEach((value, o) => {
          const { min, max } = bounds[index]!.values[o]!;
          expect(BigInt(value) >= min && BigInt(value) <= max).toBe(true);
        });
      });
    }
  });

  it("counts the bits of two's complement", () => {
    const bits = (bias: number) => proveBounds(chain(1, dense([[0], [0]], [bias, bias])))[0]!.bits;
    expect([0, 1, 127, 128, -1, -128, -129].map(bits)).toEqual([1, 2, 8, 9, 1, 8, 9]);
  });

  it("refuses accumulators that may leave 32 bits", () => {
    const widest = (bias: number) => chain(1, dense([[127], [0]], [bias, 0]));
    const top = 2 ** 31 - 1 - 127 * 127;
    expect(proveBounds(widest(top))[0]!.bits).toBe(32);
    expect(() => proveBounds(widest(top + 1))).toThrowError(
      expect.objectContaining({ code: "MODEL_UNBOUNDED", details: expect.objectContaining({ layer: 0 }) }),
    );
    expect(() => execute(widest(top + 1), [0])).toThrowError(expect.objectContaining({ code: "MODEL_UNBOUNDED" }));
  });
});

describe("requantRelu", () => {
  it("is monotone, which the intervals rely on", () => {
    fc.assert(
      fc.property(
        fc.bigInt(-(2n ** 31n), 2n ** 31n),
        fc.nat(100_000),
        fc.integer({ min: 0, max: 30 }),
        (acc, more, shift) => {
          expect(requantRelu(acc + BigInt(more), shift) >= requantRelu(acc, shift)).toBe(true);
        },
      ),
    );
  });
});
