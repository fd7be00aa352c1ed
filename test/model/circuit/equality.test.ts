/** What we write ourselves is what circom makes of the text: rows, and witnesses wire by wire. */
import { describe, expect, it } from "vitest";
import { readR1cs } from "../../../src/circuit/r1cs.js";
import { requant } from "../../../src/model/bounds.js";
import {
  type CircuitOptions,
  circuitInputs,
  circuitText,
  createWitnessProgram,
  describeCircuit,
  emitNamedR1cs,
  type InferenceRequest,
  publicSignals,
} from "../../../src/model/circuit/index.js";
import type { GraphNode, ModelGraph } from "../../../src/model/graph.js";
import { buildInput, lcg } from "../graphs.js";
import { boundsOf, compile, expectSameSystem, expectSameWitness, expectTwin, witnessOf } from "./support.js";

describe("requant", () => {
  /** Lanes of one node: [least, largest accumulator, shift], low end and bits of the result, and the rows they cost. */
  const shapes: [string, [number, number, number][], number, number, number][] = [
    ["saturates on both sides: B + 4", [[-32_768, 32_700, 4]], 0, 7, 20],
    ["of 32 bits", [[-(2 ** 31), 2 ** 31 - 1, 13]], -128, 8, 36 + 1],
    ["to 16 bits around 0, from the middle", [[-(2 ** 24), 2 ** 24 - 5, 3]], -32_768, 16, 29],
    ["one bit above the result", [[-2048, 4000, 4]], 0, 7, 15],
    ["from the high end", [[-9, 2 ** 15 + 2148, 4]], 0, 8, 20],
    ["from the middle, one bit above the result", [[-30, 29, 2]], -4, 3, 8],
    ["from the high end, one bit above the result", [[-49, 77, 2]], -4, 3, 9],
    ["only above", [[5, 60_000, 4]], 0, 7, 18],
    ["only above, little", [[1, 140, 0]], 0, 7, 9],
    ["only below", [[-32_768, 2000, 4]], 0, 7, 17],
    ["only below, little", [[-100, 1000, 3]], 0, 7, 12],
    ["not at all", [[-100, 1000, 3]], -128, 8, 12],
    ["not at all, far from 0", [[100_000, 100_100, 2]], -32_768, 16, 8],
    ["without a shift", [[-5000, 5000, 0]], -128, 8, 18],
    ["a copy", [[-128, 127, 0]], -128, 8, 0],
    [
      "constants",
      [
        [-9, -1, 0],
        [600, 9000, 2],
        [3, 4, 9],
        [7, 7, 0],
      ],
      0,
      7,
      0,
    ],
    ["shifted to nothing but a sign", [[-(2 ** 31), 2 ** 31 - 1, 31]], -1, 1, 34],
    [
      "a mixture",
      [
        [-300, 300, 1],
        [0, 127, 0],
        [-9, -1, 3],
        [-70_000, 7, 2],
        [-40, 40, 2],
      ],
      0,
      7,
      12 + 0 + 0 + 19 + 8,
    ],
  ];

  it.each(shapes)("%s", async (_name, lanes, lo, bits, rows) => {
    const node: GraphNode = {
      op: "requant",
      inputs: [0],
      shifts: Uint8Array.from(lanes, ([, , shift]) => shift),
      lo,
      bits,
    };
    const through = (values: readonly number[]) => values.map((x, i) => requant(x, lanes[i]![2], lo, bits));
    const [min, max] = [lanes.map(([least]) => least), lanes.map(([, most]) => most)];
    const random = lcg(1);
    const cases = [min, max];
    for (let i = 0; i < 40; i++) {
      // Around every edge of the result, and anywhere.
      const near = (shift: number) => (lo + [0, 2 ** bits][i % 2]!) * 2 ** shift - 2 ** (shift - 1) + random(5) - 2;
      const value = ([least, most, shift]: [number, number, number]) =>
        i < 16 ? Math.round(near(shift)) : least + random(most - least + 1);
      cases.push(lanes.map((lane) => Math.min(lane[1], Math.max(lane[0], value(lane)))));
    }
    const facts = {
      node,
      bounds: boundsOf("requant", through(min), through(max)),
      inputBounds: [boundsOf("linear", min, max)],
    };
    const twin = await expectTwin(
      facts,
      cases.map((each) => [each]),
      through,
    );
    expect(twin.rows).toBe(rows);
  });
});

describe("argMax", () => {
  it.each([
    ["two values", 2, 1, [[-8, 7]]],
    [
      "five, of several runs",
      5,
      3,
      [
        [-100, 50],
        [0, 1],
        [-(2 ** 31), 2 ** 31 - 1],
      ],
    ],
  ] as [string, number, number, [number, number][]][])("%s", async (_name, width, runs, ranges) => {
    const min = Array.from({ length: width * runs }, (_, i) => ranges[Math.floor(i / width) % ranges.length]![0]);
    const max = Array.from({ length: width * runs }, (_, i) => ranges[Math.floor(i / width) % ranges.length]![1]);
    const node: GraphNode = { op: "argMax", inputs: [0], width };
    const random = lcg(2);
    const cases = [
      min,
      max,
      ...Array.from({ length: 20 }, (_, n) =>
        min.map((least, i) => {
          const span = max[i]! - least + 1;
          return n < 10 ? least + random(Math.min(3, span)) : least + random(span);
        }),
      ),
    ];
    const best = (values: readonly number[]) =>
      Array.from({ length: runs }, (_, run) => {
        const own = values.slice(run * width, (run + 1) * width);
        return own.indexOf(Math.max(...own));
      });
    const facts = {
      node,
      bounds: boundsOf("argMax", new Array(runs).fill(0), new Array(runs).fill(width - 1)),
      inputBounds: [boundsOf("linear", min, max)],
    };
    const twin = await expectTwin(
      facts,
      cases.map((each) => [each]),
      best,
    );
    const bits = ranges.map(([least, most]) => Math.max(2, Math.ceil(Math.log2(most - least + 1))));
    expect(twin.rows).toBe(bits.reduce((sum, each) => sum + width * (each + 2), 0));
  });
});

/** Requests of a graph's circuit. */
function requestOf(graph: ModelGraph, seed: number, batch: number): InferenceRequest {
  const { adapter } = buildInput(graph, seed);
  return {
    inferences: Array.from({ length: batch }, (_, k) => ({
      input: buildInput(graph, seed + k).input,
      salt: BigInt(seed + 1000 * k),
    })),
    ...(adapter ? { adapter: { weights: adapter, salt: 5n } } : {}),
    context: BigInt(seed) + 1n,
  };
}

async function expectSameCircuit(graph: ModelGraph, options: CircuitOptions = {}): Promise<void> {
  const circom = await compile("graph", circuitText(graph, options).source);
  const { r1cs, names } = emitNamedR1cs(graph, options);
  const own = { r1cs: readR1cs(r1cs), names };
  const ours = expectSameSystem(circom, own);
  expect(describeCircuit(graph, options).rows).toBe(own.r1cs.constraints);
  const program = createWitnessProgram(graph, options);
  for (const seed of [1, 2, 3]) {
    const request = requestOf(graph, seed, options.batch ?? 1);
    const witness = witnessOf(program(request));
    const signals = publicSignals(graph, request, options);
    expect(witness.slice(1, 1 + signals.length)).toEqual(signals);
    expectSameWitness(await circom.witness(circuitInputs(graph, request, options)), witness, ours, own.r1cs);
  }
}

describe("statements", () => {
  const input = (size: number, lo = 0): GraphNode => ({ op: "input", shape: [size], lo, bits: 8, scaleLog2: 0 });
  const arrange = (...index: number[]): GraphNode => ({
    op: "arrange",
    inputs: [0],
    index: Int32Array.from(index),
    constants: [7],
  });
  const wide = Array.from({ length: 34 }, (_, i) => i % 2); // two elements of 8 bits
  const adapter: GraphNode = {
    op: "adapter",
    parts: [{ name: "lora_A", shape: [2] }],
    lo: -8,
    bits: 4,
    alpha: "0.5",
  };

  // Circom takes seconds for each.
  it.each<[string, GraphNode[], number]>([
    ["whose output is a wire of the input", [input(3), arrange(1)], 1],
    ["whose output is a constant", [input(1), arrange(-1)], 1],
    [
      "whose output is a bit of a decomposition",
      [
        { ...input(1), bits: 3 } as GraphNode,
        { op: "table", inputs: [0], lo: 0, bits: 3, tables: Int32Array.of(0, 0, 1, 1, 0, 0, 1, 1) },
      ],
      1,
    ],
    ["with a digest for an output", [input(2, -128), arrange(...wide)], 1],
    [
      "of two inferences, digests of digests, and an adapter",
      [input(2), adapter, { ...arrange(...wide), inputs: [1] } as GraphNode],
      2,
    ],
    ["of three inferences whose outputs are the input's wires", [input(2), arrange(0)], 3],
  ])("%s", async (_name, nodes, batch) => {
    await expectSameCircuit({ nodes }, batch === 1 ? {} : { batch });
  });
});
