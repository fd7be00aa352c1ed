/**
 * Interval analysis: proven bounds of every value of a graph, from its real weights.
 *
 * The circuit's bit widths come from here, so this is part of its soundness argument. By induction along the chain:
 * features are range-checked to 7 bits in the circuit, a linear layer's accumulator lies between the sums of its
 * extreme terms, and a requantisation's range check confines its output. Arithmetic is on `bigint`, exact.
 *
 * An accumulator's interval also holds every partial sum that starts from the bias, in any order of the terms,
 * because each term's interval contains 0. That is what lets the executor use plain numbers.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import { ACTIVATION_MAX, checkGraph, type DenseLayer, type ModelGraph } from "./graph.js";

/** Closed interval of integers. */
export interface Interval {
  readonly min: bigint;
  readonly max: bigint;
}

export interface LayerBounds {
  readonly kind: ModelGraph["layers"][number]["kind"];
  /** One interval for each value that the layer gives. */
  readonly values: readonly Interval[];
  /** Hull of {@link LayerBounds.values}. */
  readonly hull: Interval;
  /** Bits of the two's complement form that holds the hull. */
  readonly bits: number;
}

/** Accumulators are int32: widths above this have no place in a ZQ8 model, whatever the field would hold. */
export const ACCUMULATOR_BITS = 32;

/**
 * Bounds of every layer's values for all inputs in 0..127.
 *
 * @throws AnchorError `MODEL_UNBOUNDED` when an accumulator may leave int32; `MODEL_MALFORMED` for a bad graph.
 */
export function proveBounds(graph: ModelGraph): LayerBounds[] {
  const { input, layers } = checkGraph(graph);
  let values: Interval[] = Array.from({ length: input.size }, () => ({ min: 0n, max: BigInt(ACTIVATION_MAX) }));
  return layers.map((layer, index) => {
    switch (layer.kind) {
      case "dense":
        values = denseIntervals(layer, values);
        break;
      case "requantRelu":
        // Monotone in its argument, so the ends map to the ends.
        values = values.map(({ min, max }, o) => ({
          min: requantRelu(min, layer.shifts[o]!),
          max: requantRelu(max, layer.shifts[o]!),
        }));
        break;
      case "argMax":
        values = [{ min: 0n, max: BigInt(values.length - 1) }];
        break;
    }
    const hull = hullOf(values);
    const bits = signedBits(hull);
    if (bits > ACCUMULATOR_BITS) {
      throw new AnchorError(
        "MODEL_UNBOUNDED",
        `layer ${index} (${layer.kind}) may need ${bits} bits where ${ACCUMULATOR_BITS} are allowed; reduce its width, weights or bias`,
        { details: { layer: index, kind: layer.kind, min: hull.min.toString(), max: hull.max.toString(), bits } },
      );
    }
    return { kind: layer.kind, values, hull, bits };
  });
}

/** `clamp((acc + 2^(s-1)) >> s, 0, 127)` on exact integers; for `s = 0` nothing is added. */
export function requantRelu(acc: bigint, shift: number): bigint {
  const half = shift === 0 ? 0n : 1n << BigInt(shift - 1);
  const quotient = (acc + half) >> BigInt(shift);
  if (quotient < 0n) return 0n;
  return quotient > BigInt(ACTIVATION_MAX) ? BigInt(ACTIVATION_MAX) : quotient;
}

/** Bits of an unsigned integer; 0 has none. */
export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

function denseIntervals(layer: DenseLayer, input: readonly Interval[]): Interval[] {
  return layer.weights.map((row, o) => {
    let min = BigInt(layer.bias[o]!);
    let max = min;
    row.forEach((weight, i) => {
      // Inputs are not negative; 0 is kept in the interval for the statement on partial sums above.
      const extreme = BigInt(weight) * input[i]!.max;
      if (extreme < 0n) min += extreme;
      else max += extreme;
    });
    return { min, max };
  });
}

function hullOf(values: readonly Interval[]): Interval {
  let { min, max } = values[0]!;
  for (const value of values) {
    if (value.min < min) min = value.min;
    if (value.max > max) max = value.max;
  }
  return { min, max };
}

function signedBits({ min, max }: Interval): number {
  const positive = bitLength(max < 0n ? 0n : max);
  const negative = bitLength(min < 0n ? -min - 1n : 0n);
  return 1 + Math.max(positive, negative);
}
