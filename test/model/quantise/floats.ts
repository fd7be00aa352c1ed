/** Random float graphs of every kind of node, and inputs for them. */
import type { FloatGraph, FloatNode } from "../../../src/model/float.js";
import { exp, tanh } from "../../../src/model/mathematics.js";
import { inputsOf, lengthOf } from "../../../src/model/run.js";
import { lcg } from "../graphs.js";

/** What a step of {@link buildFloats} may add. */
export const FLOAT_STEPS = [
  "dense",
  "convolution",
  "channels",
  "pool",
  "relu",
  "relu6",
  "hardTanh",
  "leaky",
  "sigmoid",
  "tanh",
  "max",
  "residual",
  "gate",
  "softmax",
  "attention",
  "layerNorm",
  "rmsNorm",
  "concat",
  "transpose",
  "grid",
  "some",
] as const;
export type FloatStep = (typeof FLOAT_STEPS)[number];

export interface FloatPlan {
  readonly seed: number;
  readonly steps: readonly FloatStep[];
  /** The input is of indices into an embedding of so many rows. */
  readonly tokens?: number;
  /** Ends in a product with private weights. */
  readonly adapter?: boolean;
  /** Values of the input may be negative. */
  readonly signed?: boolean;
}

/** Values of every graph here: channels times positions, in this order. */
const CHANNELS = 4;
const POSITIONS = 6;
const SIZE = CHANNELS * POSITIONS;

/** A graph by a plan; the value between two steps is always of {@link SIZE} elements of the size of 1. */
export function buildFloats({ seed, steps, tokens, adapter }: FloatPlan): FloatGraph {
  const below = lcg(seed);
  const uniform = (size = 1) => (below(2 ** 20) / 2 ** 19 - 1) * size;
  const nodes: FloatNode[] = [];
  const lengths: number[] = [];
  let last = 0;
  type Bare = FloatNode extends infer N ? (N extends FloatNode ? Omit<N, "node"> : never) : never;
  const add = (node: Bare): number => {
    const named = { ...node, node: `"n${nodes.length}" (${node.op})` } as FloatNode;
    lengths.push(
      lengthOf(
        named,
        inputsOf(named).map((from) => lengths[from]!),
      ),
    );
    last = nodes.push(named) - 1;
    return last;
  };
  const linear = (from: number, shape: [number, number, number, number], size: number, bias = 0.2) => {
    const [groups, positions, inner, outputs] = shape;
    return add({
      op: "linear",
      inputs: [from],
      groups,
      positions,
      inner,
      outputs,
      weights: Float64Array.from({ length: groups * outputs * inner }, () => uniform(size)),
      bias: Float64Array.from({ length: groups * outputs }, () => uniform(bias)),
    });
  };
  const arrange = (from: readonly number[], index: number[], constants: number[] = []) =>
    add({ op: "arrange", inputs: from, index: Int32Array.from(index), constants });
  const map = (from: number, apply: (x: number) => number) => add({ op: "map", inputs: [from], apply });
  const each = (length: number, at: (i: number) => number) => Array.from({ length }, (_, i) => at(i));
  /** [channel][position] to [position][channel], and back. */
  const turned = (from: number, rows = CHANNELS, columns = POSITIONS) =>
    arrange(
      [from],
      each(SIZE, (i) => (i % rows) * columns + Math.floor(i / rows)),
    );
  const flat = turned;
  const unturned = (from: number) => turned(from, POSITIONS, CHANNELS);

  if (tokens === undefined) {
    add({ op: "input", name: "x", shape: [CHANNELS, POSITIONS] });
  } else {
    add({ op: "input", name: "tokens", shape: [POSITIONS], tokens });
  }
  let private_ = -1;
  if (adapter) {
    private_ = add({
      op: "adapter",
      parts: [
        { name: "lora_A", shape: [2, CHANNELS] },
        { name: "lora_B", shape: [CHANNELS, 2] },
      ],
      values: Float64Array.from({ length: 4 * CHANNELS }, () => uniform(0.8)),
      alpha: "4",
    });
    last = 0;
  }
  if (tokens !== undefined) {
    const entries = Float64Array.from({ length: tokens * CHANNELS }, () => uniform(1 + below(3)));
    unturned(add({ op: "lookup", inputs: [0], rows: tokens, width: CHANNELS, entries }));
  }
  for (const step of steps) {
    const before = last;
    switch (step) {
      case "dense":
        linear(before, [1, 1, SIZE, SIZE], 0.4);
        break;
      case "convolution": {
        // Kernel of 3 along the positions, padded by zeros.
        const index: number[] = [];
        for (let p = 0; p < POSITIONS; p++) {
          for (let c = 0; c < CHANNELS; c++) {
            for (const q of [p - 1, p, p + 1]) index.push(q < 0 || q >= POSITIONS ? -1 : c * POSITIONS + q);
          }
        }
        linear(arrange([before], index, [0]), [1, POSITIONS, 3 * CHANNELS, CHANNELS], 0.5);
        break;
      }
      case "channels": // BatchNorm: scale and shift of channels
        linear(before, [CHANNELS, POSITIONS, 1, 1], 1.5);
        break;
      case "pool": {
        // Means of neighbours, twice each.
        const index = each(2 * SIZE, (k) => {
          const i = Math.floor(k / 2);
          const start = i - (i % 2);
          return start + (k % 2);
        });
        const from = arrange([before], index);
        add({
          op: "linear",
          inputs: [from],
          groups: 1,
          positions: SIZE,
          inner: 2,
          outputs: 1,
          weights: Float64Array.of(0.5, 0.5),
          bias: Float64Array.of(0),
        });
        break;
      }
      case "relu":
        add({ op: "clip", inputs: [before], min: 0, max: Number.POSITIVE_INFINITY });
        break;
      case "relu6":
        add({ op: "clip", inputs: [before], min: 0, max: 0.6 });
        break;
      case "hardTanh":
        add({ op: "clip", inputs: [before], min: -0.7, max: 0.9 });
        break;
      case "leaky":
        map(before, (x) => (x < 0 ? x / 8 : x));
        break;
      case "sigmoid":
        map(before, (x) => 1 / (1 + exp(-x)));
        break;
      case "tanh":
        map(before, tanh);
        break;
      case "max": {
        const index = each(3 * SIZE, (k) => {
          const i = Math.floor(k / 3);
          const p = (i % POSITIONS) + (k % 3) - 1;
          return p < 0 || p >= POSITIONS ? -1 : i - (i % POSITIONS) + p;
        });
        add({ op: "max", inputs: [arrange([before], index, [Number.NEGATIVE_INFINITY])], window: 3 });
        break;
      }
      case "residual": {
        const inner = linear(before, [1, 1, SIZE, SIZE], 0.4);
        add({ op: "add", inputs: below(2) === 0 ? [before, inner] : [inner, before] });
        break;
      }
      case "gate": {
        const gate = map(linear(before, [1, 1, SIZE, SIZE], 0.4), (x) => 1 / (1 + exp(-x)));
        add({ op: "mul", inputs: [before, gate] });
        break;
      }
      case "softmax":
        linear(unturned(add({ op: "softmax", inputs: [flat(before)], width: CHANNELS })), [1, 1, SIZE, SIZE], 0.8);
        break;
      case "attention": {
        const rows = flat(before);
        const project = () => flat(linear(rows, [1, POSITIONS, CHANNELS, CHANNELS], 1));
        const scores = add({
          op: "matMul",
          inputs: [project(), project()],
          groups: 1,
          rows: POSITIONS,
          inner: CHANNELS,
          cols: POSITIONS,
        });
        // A causal mask, as a constant that is added.
        const causal = below(2) === 0;
        const masked = add({
          op: "linear",
          inputs: [scores],
          groups: POSITIONS * POSITIONS,
          positions: 1,
          inner: 1,
          outputs: 1,
          weights: new Float64Array(POSITIONS * POSITIONS).fill(0.5),
          bias: Float64Array.from({ length: POSITIONS * POSITIONS }, (_, i) =>
            causal && i % POSITIONS > Math.floor(i / POSITIONS) ? -1e9 : 0,
          ),
        });
        const shares = add({ op: "softmax", inputs: [masked], width: POSITIONS });
        const values = linear(rows, [1, POSITIONS, CHANNELS, CHANNELS], 1);
        unturned(
          add({ op: "matMul", inputs: [shares, values], groups: 1, rows: POSITIONS, inner: POSITIONS, cols: CHANNELS }),
        );
        break;
      }
      case "layerNorm":
      case "rmsNorm":
        unturned(
          add({
            op: "normalise",
            inputs: [flat(before)],
            width: CHANNELS,
            epsilon: 0.01,
            centred: step === "layerNorm",
          }),
        );
        break;
      case "concat": {
        const other = linear(before, [1, 1, SIZE, 2], 0.4);
        arrange([before, other], [...each(SIZE - 3, (i) => SIZE - 1 - i), SIZE, SIZE + 1, -1], [0.5]);
        break;
      }
      case "transpose":
        turned(before);
        break;
      case "some": // the rest is not needed
        arrange(
          [before],
          each(SIZE, (i) => (i % 3) * POSITIONS + (i % 2)),
        );
        break;
      case "grid":
        add({
          op: "grid",
          inputs: [before],
          scale: Float64Array.of(0.0117),
          zeroPoint: Int32Array.of(3),
          lo: -128,
          hi: 127,
        });
        break;
    }
  }
  if (adapter) {
    const rows = flat(last);
    const a = arrange(
      [private_],
      each(2 * CHANNELS, (i) => i),
    );
    const low = add({ op: "matMul", inputs: [rows, a], groups: 1, rows: POSITIONS, inner: CHANNELS, cols: 2 });
    const b = arrange(
      [private_],
      each(2 * CHANNELS, (i) => 2 * CHANNELS + i),
    );
    const wide = add({ op: "matMul", inputs: [low, b], groups: 1, rows: POSITIONS, inner: 2, cols: CHANNELS });
    const base = flat(linear(rows, [1, POSITIONS, CHANNELS, CHANNELS], 1));
    add({ op: "add", inputs: [base, wide] });
  }
  return {
    nodes,
    outputShape: [lengths[last]!],
    source: nodes.map(({ node, op }) => ({ name: node, op })),
    metadata: new Map(),
  };
}

/** Inputs of a graph by {@link buildFloats}. */
export function floatInputs({ seed, tokens, signed }: FloatPlan, count: number): Float64Array[] {
  const below = lcg(seed ^ 0x2545f491);
  return Array.from({ length: count }, () =>
    Float64Array.from({ length: tokens === undefined ? SIZE : POSITIONS }, () => {
      if (tokens !== undefined) return below(tokens);
      return (below(2 ** 16) / 2 ** 16) * (signed ? 2 : 1) - (signed ? 1 : 0);
    }),
  );
}
