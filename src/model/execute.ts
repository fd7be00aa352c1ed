/**
 * The reference executor: what a ZQ8 graph computes, bit for bit what the circuit constrains.
 *
 * Every value fits int32 for every input (`proveBounds`, which {@link createExecutor} runs first). Sums on the way are
 * exact as well, which is part of that proof.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import { arrange, inverseRoot, proveBounds, requant, share } from "./bounds.js";
import {
  adapterOf,
  adapterSize,
  checkGraph,
  type GraphNode,
  inputOf,
  inputSize,
  type LinearNode,
  type MatMulNode,
  type ModelGraph,
} from "./graph.js";

export interface Execution {
  /** Every node's value, in the graph's order. */
  readonly values: readonly Int32Array[];
  /** The last of them. */
  readonly output: Int32Array;
}

/** Integers in, integers out; private weights where the graph has an adapter. @throws AnchorError `INPUT_INVALID` */
export type Executor = (input: ArrayLike<number>, adapter?: ArrayLike<number>) => Execution;

/**
 * Prepares a graph for many inputs: its bounds are proven once.
 *
 * @throws AnchorError `MODEL_MALFORMED`, `MODEL_UNBOUNDED`.
 */
export function createExecutor(graph: ModelGraph): Executor {
  const own = checkGraph(graph); // a copy: the proof below is of these integers, whatever the caller does to his
  proveBounds(own);
  return (input, adapter) => {
    const values: Int32Array[] = [];
    for (const node of own.nodes) {
      if (node.op === "input") values.push(checkInput(own, input));
      else if (node.op === "adapter") values.push(checkAdapter(own, adapter));
      else values.push(evaluate(node, values));
    }
    if (adapter !== undefined) checkAdapter(own, adapter);
    return { values, output: values.at(-1)! };
  };
}

/** {@link createExecutor} for one input. */
export function execute(graph: ModelGraph, input: ArrayLike<number>, adapter?: ArrayLike<number>): Execution {
  return createExecutor(graph)(input, adapter);
}

/**
 * A copy of a model's input as integers.
 *
 * @throws AnchorError `INPUT_INVALID` unless there are as many integers as the model takes, in its range.
 */
export function checkInput(graph: ModelGraph, input: ArrayLike<number>): Int32Array {
  const { lo, bits } = inputOf(graph);
  return checkIntegers(input, inputSize(graph), lo, bits, "input", "the model takes");
}

/**
 * A copy of an adapter's weights as integers.
 *
 * @throws AnchorError `INPUT_INVALID` unless they are as many as the graph says, in its range, and it has an adapter.
 */
export function checkAdapter(graph: ModelGraph, weights: ArrayLike<number> | undefined): Int32Array {
  const node = adapterOf(graph);
  if (node === undefined)
    throw new AnchorError("INPUT_INVALID", "the model has no adapter; give it no private weights");
  if (weights === undefined) {
    throw new AnchorError("INPUT_INVALID", "the model has a private adapter; give its weights as well");
  }
  return checkIntegers(weights, adapterSize(graph), node.lo, node.bits, "private weight", "the adapter has");
}

function checkIntegers(
  values: ArrayLike<number>,
  size: number,
  lo: number,
  bits: number,
  what: string,
  has: string,
): Int32Array {
  if (typeof values !== "object" || values === null || values.length !== size) {
    throw new AnchorError("INPUT_INVALID", `${has} ${size} integers`, { details: { expected: size } });
  }
  const hi = lo + 2 ** bits - 1;
  const result = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    const value: unknown = values[i];
    if (typeof value !== "number" || !Number.isInteger(value) || value < lo || value > hi) {
      throw new AnchorError("INPUT_INVALID", `${what} ${i} must be an integer in ${lo}..${hi}`, {
        details: { index: i },
      });
    }
    result[i] = value;
  }
  return result;
}

/** The value of one node of a checked graph, from those of the nodes before it. */
export function evaluate(
  node: Exclude<GraphNode, { op: "input" | "adapter" }>,
  values: readonly Int32Array[],
): Int32Array {
  const first = values[node.inputs[0]!]!;
  switch (node.op) {
    case "arrange":
      return arrange(
        node,
        node.inputs.map((input) => values[input]!),
      );
    case "linear":
      return linear(node, first);
    case "requant": {
      const { shifts, lo, bits } = node;
      const lanes = first.length / shifts.length;
      const result = new Int32Array(first.length);
      for (let i = 0; i < result.length; i++) result[i] = requant(first[i]!, shifts[Math.floor(i / lanes)]!, lo, bits);
      return result;
    }
    case "table": {
      const size = 2 ** node.bits;
      const lanes = first.length / (node.tables.length / size);
      return first.map((x, i) => node.tables[Math.floor(i / lanes) * size + x - node.lo]!);
    }
    case "max":
      return overRuns(first, node.window, 1, (run, out) => {
        out[0] = run.reduce((a, b) => Math.max(a, b));
      });
    case "mul": {
      const second = values[node.inputs[1]]!;
      return first.map((x, i) => x * second[i]!);
    }
    case "matMul":
      return matMul(node, first, values[node.inputs[1]]!);
    case "share":
      return overRuns(first, node.width, node.width, (run, out) => {
        const sum = run.reduce((a, b) => a + b, 0);
        run.forEach((x, i) => {
          out[i] = share(x, sum, node.scale);
        });
      });
    case "normalise":
      return overRuns(first, node.width, node.width, (run, out) => {
        const r = inverseRoot(sumOfSquares(run, node.epsilon), node.precision);
        run.forEach((x, i) => {
          out[i] = x * r;
        });
      });
    case "lookup": {
      const { rows, width, entries } = node;
      const result = new Int32Array(first.length * width);
      first.forEach((row, i) => {
        if (row < 0 || row >= rows) {
          // Not which it is: messages reach logs, and inputs are private.
          throw new AnchorError("INPUT_INVALID", `index ${i} is outside the ${rows} rows of the embedding`, {
            details: { index: i },
          });
        }
        for (let j = 0; j < width; j++) result[i * width + j] = entries[row * width + j]!;
      });
      return result;
    }
    case "argMax":
      return overRuns(first, node.width, 1, (run, out) => {
        let best = 0;
        run.forEach((x, i) => {
          if (x > run[best]!) best = i;
        });
        out[0] = best;
      });
  }
}

/** `v` of a `normalise` node's run. */
export function sumOfSquares(run: Int32Array, epsilon: number): number {
  let sum = epsilon;
  for (let i = 0; i < run.length; i++) sum += run[i]! * run[i]!;
  return sum;
}

function linear(node: LinearNode, input: Int32Array): Int32Array {
  const { groups, positions, inner, outputs, weights, bias } = node;
  const result = new Int32Array(groups * outputs * positions);
  for (let g = 0; g < groups; g++) {
    for (let p = 0; p < positions; p++) {
      const from = (g * positions + p) * inner;
      for (let o = 0; o < outputs; o++) {
        const row = (g * outputs + o) * inner;
        let sum = bias[g * outputs + o]!;
        for (let k = 0; k < inner; k++) sum += weights[row + k]! * input[from + k]!;
        result[(g * outputs + o) * positions + p] = sum;
      }
    }
  }
  return result;
}

function matMul({ groups, rows, inner, cols }: MatMulNode, a: Int32Array, b: Int32Array): Int32Array {
  const result = new Int32Array(groups * rows * cols);
  for (let g = 0; g < groups; g++) {
    for (let m = 0; m < rows; m++) {
      const left = (g * rows + m) * inner;
      for (let n = 0; n < cols; n++) {
        const right = (g * cols + n) * inner;
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += a[left + k]! * b[right + k]!;
        result[(g * rows + m) * cols + n] = sum;
      }
    }
  }
  return result;
}

/** Applies a function to each run of `width` values, which gives `given` values. */
function overRuns(
  input: Int32Array,
  width: number,
  given: number,
  each: (run: Int32Array, out: Int32Array) => void,
): Int32Array {
  const result = new Int32Array((input.length / width) * given);
  for (let run = 0; run * width < input.length; run++) {
    each(input.subarray(run * width, (run + 1) * width), result.subarray(run * given, (run + 1) * given));
  }
  return result;
}
