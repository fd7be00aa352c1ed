/**
 * What a proof's public signals say of a model's input, private weights and output: twin of the commitments in the
 * circuits.
 *
 * Integers of a range `[lo, lo + 2^bits - 1]` go into elements less `lo`: a byte each, 31 to an element, up to 8 bits,
 * two bytes each and 15 to an element above, the first in the lowest place. The elements go through the chain of
 * `src/field/chain.ts`.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import { chain, chainCapacity, type IntegerRange } from "../field/chain.js";
import { assertScalar, isScalar } from "../field/scalar.js";
import { type Interval, proveBounds } from "./bounds.js";
import { adapterOf, adapterSize, GRAPH_LIMITS, type ModelGraph, modelDigest } from "./graph.js";

export {
  BATCH_TAG,
  chainCapacity,
  commitBatch,
  type IntegerRange,
  MAX_BATCH,
} from "../field/chain.js";

/** "ap_input", 8 ASCII bytes as a big-endian integer. */
export const INPUT_TAG = 0x61705f696e707574n;
/** "ap_adapt" */
export const ADAPTER_TAG = 0x61705f6164617074n;
/** "ap_outpt" */
export const OUTPUT_TAG = 0x61705f6f75747074n;

/** Bits of the output's elements that carry lanes. */
export const OUTPUT_ELEMENT_BITS = 253;

/** Bits of one packed integer, and integers in one element. */
export function packing(bits: number): { readonly lane: number; readonly perElement: number } {
  return bits <= 8 ? { lane: 8, perElement: 31 } : { lane: 16, perElement: 15 };
}

/**
 * Commits to a model's input under a salt: the chain from the salt over the packed integers, tag {@link INPUT_TAG}.
 *
 * @param range  the graph's input node
 * @param values integers of that range
 * @param salt   uniform scalar, drawn anew for every commitment (`randomScalar`); who knows it can test guesses of the
 *   input
 * @throws AnchorError `INPUT_INVALID`
 */
export function commitInput(range: IntegerRange, values: ArrayLike<number>, salt: bigint): bigint {
  assertScalar(salt, "salt");
  const length = (values as ArrayLike<number> | undefined)?.length ?? 0;
  if (!Number.isInteger(length) || length < 1 || length > GRAPH_LIMITS.width) {
    throw new AnchorError("INPUT_INVALID", `a commitment is over 1 to ${GRAPH_LIMITS.width} integers`);
  }
  const elements = packIntegers(range, values, "input");
  return chain(chainCapacity(INPUT_TAG, length, range), salt, elements);
}

/**
 * Commits to an adapter's private weights under a salt: the chain from the salt over the graph's digest (its upper, then
 * its lower 128 bits) and the packed weights, tag {@link ADAPTER_TAG}. The digest covers the base model, the shapes of the
 * matrices and alpha, so that weights made for one base say nothing of another.
 *
 * @param weights as many as the graph's adapter has, in its order and range
 * @param salt    uniform scalar; one for all requests, or users could not see that they get the same adapter
 * @throws AnchorError `INPUT_INVALID`, also for a graph without an adapter
 */
export function commitAdapter(graph: ModelGraph, weights: ArrayLike<number>, salt: bigint): bigint {
  assertScalar(salt, "salt");
  const adapter = adapterOf(graph);
  if (adapter === undefined) throw new AnchorError("INPUT_INVALID", "the model has no adapter");
  const size = adapterSize(graph);
  if (weights?.length !== size) throw new AnchorError("INPUT_INVALID", `the adapter has ${size} weights`);
  const elements = [...digestElements(modelDigest(graph)), ...packIntegers(adapter, weights, "adapter weight")];
  return chain(chainCapacity(ADAPTER_TAG, size, adapter), salt, elements);
}

/** A digest as two field elements: its upper, then its lower 128 bits. */
export function digestElements(digest: `0x${string}`): [bigint, bigint] {
  const value = BigInt(digest);
  return [value >> 128n, value & ((1n << 128n) - 1n)];
}

/** How a model's output becomes one public signal. */
export interface OutputLayout {
  /** Number of the output's integers. */
  readonly count: number;
  /** Least and largest value that the output can have, by interval analysis. */
  readonly min: number;
  readonly max: number;
  /** Bits of one value, less `min`. */
  readonly lane: number;
  /** Values in one element, the first in the lowest place. */
  readonly perElement: number;
  /** Field elements; more than one go into a digest, and the signal alone does not give the output then. */
  readonly elements: number;
}

/**
 * The layout of a graph's output.
 *
 * @param bounds what `proveBounds` gives for this graph, where it is at hand
 * @throws AnchorError `MODEL_UNBOUNDED`
 */
export function outputLayout(
  graph: ModelGraph,
  bounds: readonly { readonly hull: Interval; readonly min: ArrayLike<number> }[] = proveBounds(graph),
): OutputLayout {
  const last = bounds[bounds.length - 1]!;
  const { min, max } = last.hull;
  const lane = Math.max(1, (max - min).toString(2).length);
  const perElement = Math.floor(OUTPUT_ELEMENT_BITS / lane);
  const count = last.min.length;
  return { count, min, max, lane, perElement, elements: Math.ceil(count / perElement) };
}

/**
 * The signal `output`: each value less the layout's `min` in a lane of its own; one element is the signal, more are
 * hashed by the chain from 0 under {@link OUTPUT_TAG}. A class index is its own signal.
 *
 * @throws AnchorError `INPUT_INVALID` for values that the model cannot give
 */
export function packOutput(layout: OutputLayout, values: ArrayLike<number>): bigint {
  const { count, min, max, lane, perElement } = layout;
  if (values?.length !== count) throw new AnchorError("INPUT_INVALID", `the model's output has ${count} values`);
  const elements = pack(values, perElement, lane, min, (value, i) => {
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new AnchorError("INPUT_INVALID", `output ${i} must be an integer in ${min}..${max}`);
    }
  });
  return elements.length === 1 ? elements[0]! : chain(chainCapacity(OUTPUT_TAG, count), 0n, elements);
}

/**
 * The values behind a signal `output`, or `undefined` where it is a digest, from which only {@link packOutput} of the
 * values leads back.
 *
 * @throws AnchorError `INPUT_INVALID` for a signal that no output of the model has
 */
export function unpackOutput(layout: OutputLayout, signal: bigint): number[] | undefined {
  const invalid = () => new AnchorError("INPUT_INVALID", "the signal is no output of this model");
  if (!isScalar(signal)) throw invalid();
  if (layout.elements > 1) return undefined;
  const { count, min, max, lane } = layout;
  const mask = (1n << BigInt(lane)) - 1n;
  const values = Array.from({ length: count }, (_, i) => min + Number((signal >> BigInt(lane * i)) & mask));
  if (signal >> BigInt(lane * count) !== 0n || values.some((value) => value > max)) throw invalid();
  return values;
}

function packIntegers(range: IntegerRange, values: ArrayLike<number>, name: string): bigint[] {
  const { lo, bits } = range;
  if (!Number.isInteger(lo) || lo < -32_768 || lo > 32_767 || !Number.isInteger(bits) || bits < 1 || bits > 16) {
    throw new AnchorError("INPUT_INVALID", "a range has lo in -32768..32767 and 1 to 16 bits");
  }
  const hi = lo + 2 ** bits - 1;
  const { lane, perElement } = packing(bits);
  return pack(values, perElement, lane, lo, (value, i) => {
    if (!Number.isInteger(value) || value < lo || value > hi) {
      throw new AnchorError("INPUT_INVALID", `${name} ${i} must be an integer in ${lo}..${hi}`, {
        details: { index: i },
      });
    }
  });
}

function pack(
  values: ArrayLike<number>,
  perElement: number,
  lane: number,
  offset: number,
  check: (value: number, index: number) => void,
): bigint[] {
  const elements: bigint[] = [];
  for (let from = 0; from < values.length; from += perElement) {
    let element = 0n;
    // Checked here, where each is read once: what is checked is what is packed.
    for (let i = from; i < Math.min(from + perElement, values.length); i++) {
      const value = values[i]!;
      check(value, i);
      element += BigInt(value - offset) << BigInt(lane * (i - from));
    }
    elements.push(element);
  }
  return elements;
}
