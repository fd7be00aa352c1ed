/**
 * What a float graph means, in double precision: the yardstick of quantisation, and what calibrates it.
 *
 * Sums run in one order, from the bias on, and the elementary functions are those of `mathematics.ts`, so that scales
 * which are chosen from these values are the same on every machine. onnxruntime computes in single precision and in
 * another order; its results differ in the last digits.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import type { FloatGraph, FloatLinear, FloatMatMul, FloatNode } from "./float.js";
import { sizeOf } from "./graph.js";
import { exp } from "./mathematics.js";

/** Gives all values of a graph for an input, one array a node; they are the caller's own. */
export type FloatExecutor = (input: ArrayLike<number>) => Float64Array[];

/**
 * @throws AnchorError from the executor: `INPUT_INVALID` for an input of the wrong size, one that is not finite, or an
 *   index without a row.
 */
export function createFloatExecutor(graph: FloatGraph): FloatExecutor {
  const [first] = graph.nodes;
  if (first?.op !== "input") throw new AnchorError("INPUT_INVALID", "node 0 of a float graph is its input");
  const size = sizeOf(first.shape);
  return (input) => {
    if (input.length !== size) {
      throw new AnchorError("INPUT_INVALID", `the model takes ${size} values, not ${input.length}`);
    }
    const start = Float64Array.from(input);
    const wrong = start.findIndex((value) => !Number.isFinite(value));
    if (wrong !== -1) throw new AnchorError("INPUT_INVALID", `value ${wrong} of the input is not a finite number`);
    const values: Float64Array[] = [start];
    for (let id = 1; id < graph.nodes.length; id++) {
      const node = graph.nodes[id]!;
      values.push(
        evaluate(
          node,
          inputsOf(node).map((from) => values[from]!),
        ),
      );
    }
    return values;
  };
}

/** Ids of the values that a node takes. */
export function inputsOf(node: FloatNode): readonly number[] {
  return node.op === "input" || node.op === "adapter" ? [] : node.inputs;
}

/** Number of values that a node gives, from those of its inputs. */
export function lengthOf(node: FloatNode, inputs: readonly number[]): number {
  switch (node.op) {
    case "input":
      return sizeOf(node.shape);
    case "adapter":
      return node.values.length;
    case "arrange":
      return node.index.length;
    case "linear":
      return node.groups * node.outputs * node.positions;
    case "max":
      return inputs[0]! / node.window;
    case "matMul":
      return node.groups * node.rows * node.cols;
    case "lookup":
      return inputs[0]! * node.width;
    case "argMax":
      return inputs[0]! / node.width;
    default:
      return inputs[0]!;
  }
}

/** The value of one node, in a new array. The input itself has none. */
export function evaluate(node: FloatNode, inputs: readonly Float64Array[]): Float64Array {
  const x = inputs[0] ?? new Float64Array();
  switch (node.op) {
    case "input":
      throw new AnchorError("INTERNAL", "an input is given, not evaluated");
    case "adapter":
      return node.values.slice();
    case "arrange":
      return arrange(node.index, node.constants, inputs);
    case "linear":
      return linear(node, x);
    case "clip": {
      const { min, max } = node;
      const out = new Float64Array(x.length);
      for (let i = 0; i < out.length; i++) {
        const value = x[i]!;
        out[i] = value < min ? min : Math.min(value, max);
      }
      return out;
    }
    case "map": {
      const { apply } = node;
      const out = new Float64Array(x.length);
      for (let i = 0; i < out.length; i++) out[i] = apply(x[i]!);
      return out;
    }
    case "max": {
      const { window } = node;
      const out = new Float64Array(x.length / window);
      for (let m = 0; m < out.length; m++) {
        let best = x[m * window]!;
        for (let k = 1; k < window; k++) if (x[m * window + k]! > best) best = x[m * window + k]!;
        out[m] = best;
      }
      return out;
    }
    case "add": {
      const y = inputs[1]!;
      const out = new Float64Array(x.length);
      for (let i = 0; i < out.length; i++) out[i] = x[i]! + y[i]!;
      return out;
    }
    case "mul": {
      const y = inputs[1]!;
      const out = new Float64Array(x.length);
      for (let i = 0; i < out.length; i++) out[i] = x[i]! * y[i]!;
      return out;
    }
    case "matMul":
      return matMul(node, x, inputs[1]!);
    case "softmax": {
      const out = new Float64Array(x.length);
      for (let start = 0; start < x.length; start += node.width) softmax(x, out, start, node.width);
      return out;
    }
    case "normalise": {
      const out = new Float64Array(x.length);
      for (let start = 0; start < x.length; start += node.width) {
        normalise(x, out, start, node.width, node.epsilon, node.centred);
      }
      return out;
    }
    case "lookup": {
      const { rows, width, entries } = node;
      const out = new Float64Array(x.length * width);
      x.forEach((row, i) => {
        if (!Number.isInteger(row) || row < 0 || row >= rows) {
          throw new AnchorError(
            "INPUT_INVALID",
            `${node.node}: there is no row ${row}; indices run from 0 to ${rows - 1}`,
          );
        }
        out.set(entries.subarray(row * width, (row + 1) * width), i * width);
      });
      return out;
    }
    case "grid": {
      const { scale, zeroPoint, lo, hi } = node;
      const lanes = x.length / scale.length;
      return x.map((value, i) => {
        const channel = Math.floor(i / lanes);
        const step = roundHalfEven(value / scale[channel]!) + zeroPoint[channel]!;
        return scale[channel]! * (Math.min(Math.max(step, lo), hi) - zeroPoint[channel]!);
      });
    }
    case "argMax": {
      const { width } = node;
      const out = new Float64Array(x.length / width);
      for (let m = 0; m < out.length; m++) {
        let best = 0;
        for (let k = 1; k < width; k++) if (x[m * width + k]! > x[m * width + best]!) best = k;
        out[m] = best;
      }
      return out;
    }
  }
}

/** To the nearest integer, of two the even one. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function arrange(index: Int32Array, constants: readonly number[], inputs: readonly Float64Array[]): Float64Array {
  let all = inputs[0] ?? new Float64Array();
  if (inputs.length > 1) {
    all = new Float64Array(inputs.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const input of inputs) {
      all.set(input, offset);
      offset += input.length;
    }
  }
  const out = new Float64Array(index.length);
  for (let k = 0; k < out.length; k++) {
    const from = index[k]!;
    out[k] = from < 0 ? constants[-1 - from]! : all[from]!;
  }
  return out;
}

function linear({ groups, positions, inner, outputs, weights, bias }: FloatLinear, x: Float64Array): Float64Array {
  const out = new Float64Array(groups * outputs * positions);
  for (let g = 0; g < groups; g++) {
    for (let p = 0; p < positions; p++) {
      const from = (g * positions + p) * inner;
      let o = 0;
      // Four sums side by side keep the processor busy; each has its own order, which this does not change.
      for (; o + 4 <= outputs; o += 4) {
        const row = g * outputs + o;
        let w = row * inner;
        let a = bias[row]!;
        let b = bias[row + 1]!;
        let c = bias[row + 2]!;
        let d = bias[row + 3]!;
        for (let k = from; k < from + inner; k++, w++) {
          const value = x[k]!;
          a += weights[w]! * value;
          b += weights[w + inner]! * value;
          c += weights[w + 2 * inner]! * value;
          d += weights[w + 3 * inner]! * value;
        }
        const to = row * positions + p;
        out[to] = a;
        out[to + positions] = b;
        out[to + 2 * positions] = c;
        out[to + 3 * positions] = d;
      }
      for (; o < outputs; o++) {
        const row = g * outputs + o;
        let w = row * inner;
        let sum = bias[row]!;
        for (let k = from; k < from + inner; k++, w++) sum += weights[w]! * x[k]!;
        out[row * positions + p] = sum;
      }
    }
  }
  return out;
}

function matMul({ groups, rows, inner, cols }: FloatMatMul, a: Float64Array, b: Float64Array): Float64Array {
  const out = new Float64Array(groups * rows * cols);
  let to = 0;
  for (let g = 0; g < groups; g++) {
    for (let m = 0; m < rows; m++) {
      const left = (g * rows + m) * inner;
      for (let n = 0; n < cols; n++) {
        const right = (g * cols + n) * inner;
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += a[left + k]! * b[right + k]!;
        out[to++] = sum;
      }
    }
  }
  return out;
}

function softmax(x: Float64Array, out: Float64Array, start: number, width: number): void {
  let most = -Infinity;
  for (let i = start; i < start + width; i++) if (x[i]! > most) most = x[i]!;
  let sum = 0;
  for (let i = start; i < start + width; i++) sum += out[i] = exp(x[i]! - most);
  for (let i = start; i < start + width; i++) out[i] = out[i]! / sum;
}

function normalise(
  x: Float64Array,
  out: Float64Array,
  start: number,
  width: number,
  epsilon: number,
  centred: boolean,
): void {
  let mean = 0;
  if (centred) {
    for (let i = start; i < start + width; i++) mean += x[i]!;
    mean /= width;
  }
  let variance = 0;
  for (let i = start; i < start + width; i++) variance += (x[i]! - mean) * (x[i]! - mean);
  const deviation = Math.sqrt(variance / width + epsilon);
  for (let i = start; i < start + width; i++) out[i] = (x[i]! - mean) / deviation;
}
