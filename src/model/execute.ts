/**
 * The reference executor: what a ZQ8 graph computes, bit for bit what the circuit constrains.
 *
 * Accumulators stay within int32 for every input (`proveBounds`, which {@link createExecutor} runs first), so plain
 * numbers are exact. The shift is a division and a floor, not `>>`: adding the rounding half may leave int32.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import { proveBounds } from "./bounds.js";
import { ACTIVATION_MAX, checkGraph, type DenseLayer, type ModelGraph, type RequantReluLayer } from "./graph.js";

export interface Execution {
  /** Every layer's values, in the graph's order; the last is the class alone. */
  readonly layers: readonly (readonly number[])[];
  /** Final accumulators, one a class, on one common scale. */
  readonly logits: readonly number[];
  /** Index of the largest logit, the lowest one of equals. */
  readonly classIndex: number;
}

/**
 * Prepares a graph for many inputs: its bounds are proven once.
 *
 * @returns a function from features (integers in 0..127, as many as `graph.input.size`) to the execution, which throws
 *   `INPUT_INVALID` for anything else.
 * @throws AnchorError `MODEL_MALFORMED`, `MODEL_UNBOUNDED`.
 */
export function createExecutor(graph: ModelGraph): (features: ArrayLike<number>) => Execution {
  const own = checkGraph(graph); // a copy: the proof below is of these integers, whatever the caller does to his
  proveBounds(own);
  return (features) => {
    let values = checkFeatures(own, features);
    const layers: (readonly number[])[] = [];
    for (const layer of own.layers) {
      switch (layer.kind) {
        case "dense":
          values = dense(layer, values);
          break;
        case "requantRelu":
          values = requant(layer, values);
          break;
        case "argMax":
          values = argMax(values);
          break;
      }
      layers.push(values);
    }
    return { layers, logits: layers.at(-2)!, classIndex: values[0]! };
  };
}

/** {@link createExecutor} for one input. */
export function execute(graph: ModelGraph, features: ArrayLike<number>): Execution {
  return createExecutor(graph)(features);
}

/**
 * Features as plain numbers.
 *
 * @throws AnchorError `INPUT_INVALID` unless there are `graph.input.size` integers in 0..127.
 */
export function checkFeatures(graph: ModelGraph, features: ArrayLike<number>): number[] {
  const { size } = graph.input;
  if (typeof features !== "object" || features === null || features.length !== size) {
    throw new AnchorError("INPUT_INVALID", `the model takes ${size} features`, { details: { expected: size } });
  }
  return Array.from({ length: size }, (_, index) => {
    const feature: unknown = features[index];
    if (typeof feature !== "number" || !Number.isInteger(feature) || feature < 0 || feature > ACTIVATION_MAX) {
      throw new AnchorError("INPUT_INVALID", `feature ${index} must be an integer in 0..${ACTIVATION_MAX}`, {
        details: { index },
      });
    }
    return feature + 0; // -0 becomes 0
  });
}

function dense(layer: DenseLayer, input: readonly number[]): number[] {
  return layer.weights.map((row, o) => {
    let sum = layer.bias[o]!;
    for (let i = 0; i < row.length; i++) sum += row[i]! * input[i]!;
    return sum;
  });
}

function requant(layer: RequantReluLayer, input: readonly number[]): number[] {
  return input.map((acc, o) => {
    const step = 1 << layer.shifts[o]!; // at most 2^30
    const quotient = Math.floor((acc + Math.floor(step / 2)) / step);
    return Math.min(ACTIVATION_MAX, Math.max(0, quotient));
  });
}

function argMax(input: readonly number[]): number[] {
  let best = 0;
  input.forEach((value, index) => {
    if (value > input[best]!) best = index;
  });
  return [best];
}
