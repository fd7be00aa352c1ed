/**
 * Interval analysis: proven bounds of every value of a graph, from its real weights.
 *
 * The circuit's bit widths come from here, so this is part of its soundness argument. By induction along the nodes:
 * inputs and private weights are range-checked in the circuit, a linear node's accumulator lies between the sums of its
 * extreme terms, and every other node confines what it gives by constraints of its own. Private weights count with
 * their whole range, never with the values at hand.
 *
 * Doubles are exact here: bounds of values fit 32 bits, or the analysis fails. Sums on the way are exact as well, in any
 * order: one whose terms together may leave the safe integers counts as endless, even where others would make up for
 * them. The executor's sums of the same terms are exact for the same reason.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import {
  type ArrangeNode,
  checkGraph,
  type GraphNode,
  type LinearNode,
  type MatMulNode,
  type ModelGraph,
  type NormaliseNode,
  type ShareNode,
  sizeOf,
} from "./graph.js";

/** Closed interval of integers. */
export interface Interval {
  readonly min: number;
  readonly max: number;
}

export interface ValueBounds {
  readonly op: GraphNode["op"];
  /** Least and largest value of each lane. */
  readonly min: Int32Array;
  readonly max: Int32Array;
  /** Hull of all lanes. */
  readonly hull: Interval;
  /** Bits of the two's complement form that holds the hull. */
  readonly bits: number;
  /** Of a `share` node: a run's sum. Of a `normalise` node: `v`. Hull over the runs; at most 2^50. */
  readonly sum?: Interval;
  /** Of a `normalise` node: `r`. */
  readonly root?: Interval;
}

/** Values are int32: widths above this have no place in a ZQ8 model, whatever the field would hold. */
export const ACCUMULATOR_BITS = 32;
/** Largest `v` of a `normalise` node, and largest sum of a `share` node times its scale: exact as doubles. */
const SUM_MAX = 2 ** 50;

interface Lanes {
  min: Float64Array;
  max: Float64Array;
}

/**
 * Bounds of every node's value for all inputs, and all private weights, in their ranges.
 *
 * @throws AnchorError `MODEL_UNBOUNDED` naming the node whose value may leave int32, a table's or its own domain;
 *   `MODEL_MALFORMED` for a bad graph.
 */
export function proveBounds(graph: ModelGraph): ValueBounds[] {
  const known: ValueBounds[] = [];
  for (const node of checkGraph(graph).nodes) known.push(proveNode(node, known.length, known));
  return known;
}

/** {@link proveBounds} for the node `id` alone, from the bounds of the nodes before it; the node is not checked. */
export function proveNode(node: GraphNode, id: number, known: readonly ValueBounds[]): ValueBounds {
  const { lanes, sum, root } = boundsOf(node, id, known);
  const hull = hullOf(lanes);
  const bits = signedBits(hull);
  if (bits > ACCUMULATOR_BITS) {
    throw unbounded(
      node,
      id,
      `may need ${bits === Number.POSITIVE_INFINITY ? "endless" : bits} bits where ${ACCUMULATOR_BITS} are allowed; reduce its width, weights or bias`,
      { min: hull.min, max: hull.max, bits },
    );
  }
  return {
    op: node.op,
    min: Int32Array.from(lanes.min),
    max: Int32Array.from(lanes.max),
    hull,
    bits,
    ...(sum === undefined ? {} : { sum }),
    ...(root === undefined ? {} : { root }),
  };
}

/** `clamp((acc + 2^(s-1)) >> s, lo, lo + 2^bits - 1)`; for `s = 0` nothing is added. Exact for int32 `acc`. */
export function requant(acc: number, shift: number, lo: number, bits: number): number {
  const step = 2 ** shift; // exact, at most 2^40; `>>` would wrap where acc + half leaves int32
  const quotient = Math.floor((acc + (shift === 0 ? 0 : step / 2)) / step);
  const hi = lo + 2 ** bits - 1;
  return Math.max(lo, Math.min(hi, quotient)) + 0; // never -0
}

/** `floor((2 · value · scale + sum) / (2 · sum))`. Exact while `value · scale` stays below 2^50. */
export function share(value: number, sum: number, scale: number): number {
  const numerator = 2 * value * scale + sum;
  let quotient = Math.floor(numerator / (2 * sum)); // a double division may round up to the next integer
  while (quotient * 2 * sum > numerator) quotient--;
  return quotient;
}

/** The largest integer `r` with `r² · v ≤ 4^precision`, for an integer `v` in 1..2^50. */
export function inverseRoot(v: number, precision: number): number {
  const limit = 1n << BigInt(2 * precision);
  const wide = BigInt(v);
  let r = BigInt(Math.floor(2 ** precision / Math.sqrt(v))); // off by one at most
  while (r * r * wide > limit) r--;
  while ((r + 1n) * (r + 1n) * wide <= limit) r++;
  return Number(r);
}

/** What an `arrange` node makes of the values that it takes. */
export function arrange({ index, constants }: ArrangeNode, values: readonly Int32Array[]): Int32Array {
  let all = values[0]!;
  if (values.length > 1) {
    all = new Int32Array(values.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const value of values) {
      all.set(value, at);
      at += value.length;
    }
  }
  const result = new Int32Array(index.length);
  for (let k = 0; k < index.length; k++) {
    const from = index[k]!;
    result[k] = from < 0 ? constants[-1 - from]! : all[from]!;
  }
  return result;
}

/** Bits of an unsigned integer; 0 has none. */
export function bitLength(value: number): number {
  let bits = 0;
  while (value >= 2 ** bits) bits++; // doubles: exact up to 2^53, and never endless but for Infinity
  return bits;
}

function boundsOf(
  node: GraphNode,
  id: number,
  known: readonly ValueBounds[],
): { lanes: Lanes; sum?: Interval; root?: Interval } {
  switch (node.op) {
    case "input":
      return { lanes: constantLanes(sizeOf(node.shape), rangeOf(node.lo, node.bits)) };
    case "adapter": {
      const size = node.parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      return { lanes: constantLanes(size, rangeOf(node.lo, node.bits)) };
    }
    case "arrange": {
      const sources = node.inputs.map((input) => known[input]!);
      const pick = (sides: Int32Array[]) => Float64Array.from(arrange(node, sides));
      return { lanes: { min: pick(sources.map(({ min }) => min)), max: pick(sources.map(({ max }) => max)) } };
    }
    case "linear":
      return { lanes: linearLanes(node, known[node.inputs[0]]!) };
    case "requant": {
      const { min, max } = known[node.inputs[0]]!;
      const lanes = min.length / node.shifts.length;
      // Monotone in its argument, so the ends map to the ends.
      const through = (side: Int32Array) =>
        Float64Array.from(side, (acc, i) => requant(acc, node.shifts[Math.floor(i / lanes)]!, node.lo, node.bits));
      return { lanes: { min: through(min), max: through(max) } };
    }
    case "table": {
      const before = known[node.inputs[0]]!;
      const { lo, bits, tables } = node;
      const domain = rangeOf(lo, bits);
      if (before.hull.min < domain.min || before.hull.max > domain.max) {
        const { min, max } = before.hull;
        throw unbounded(node, id, `looks up values in ${min}..${max}, its table covers ${domain.min}..${domain.max}`);
      }
      const size = 2 ** bits;
      const lanes = before.min.length / (tables.length / size);
      const result = emptyLanes(before.min.length);
      for (let i = 0; i < before.min.length; i++) {
        const base = Math.floor(i / lanes) * size - lo;
        // Most lanes are like the one before.
        if (i % lanes > 0 && before.min[i] === before.min[i - 1] && before.max[i] === before.max[i - 1]) {
          result.min[i] = result.min[i - 1]!;
          result.max[i] = result.max[i - 1]!;
          continue;
        }
        let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
        for (let x = before.min[i]!; x <= before.max[i]!; x++) {
          min = Math.min(min, tables[base + x]!);
          max = Math.max(max, tables[base + x]!);
        }
        result.min[i] = min;
        result.max[i] = max;
      }
      return { lanes: result };
    }
    case "max": {
      const { min, max } = known[node.inputs[0]]!;
      const result = emptyLanes(min.length / node.window);
      for (let m = 0; m < result.min.length; m++) {
        const from = m * node.window;
        result.min[m] = min.subarray(from, from + node.window).reduce((a, b) => Math.max(a, b));
        result.max[m] = max.subarray(from, from + node.window).reduce((a, b) => Math.max(a, b));
      }
      return { lanes: result };
    }
    case "mul": {
      const [a, b] = [known[node.inputs[0]]!, known[node.inputs[1]]!];
      const square = node.inputs[0] === node.inputs[1];
      const result = emptyLanes(a.min.length);
      for (let i = 0; i < a.min.length; i++) {
        const { min, max } = productOf(a.min[i]!, a.max[i]!, b.min[i]!, b.max[i]!);
        result.min[i] = square && a.min[i]! <= 0 && a.max[i]! >= 0 ? 0 : square ? Math.max(0, min) : min;
        result.max[i] = max;
      }
      return { lanes: result };
    }
    case "matMul":
      return { lanes: matMulLanes(node, known[node.inputs[0]]!, known[node.inputs[1]]!) };
    case "share":
      return shareLanes(node, id, known[node.inputs[0]]!);
    case "normalise":
      return normaliseLanes(node, id, known[node.inputs[0]]!);
    case "lookup": {
      const before = known[node.inputs[0]]!;
      if (before.hull.min < 0) throw unbounded(node, id, `takes an index that may be ${before.hull.min}`);
      const result = emptyLanes(before.min.length * node.width);
      for (let i = 0; i < before.min.length; i++) {
        // Only indices below `rows` have a witness; where none is left, no input has.
        const last = Math.min(before.max[i]!, node.rows - 1);
        for (let j = 0; j < node.width; j++) {
          let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
          for (let row = Math.min(before.min[i]!, last); row <= last; row++) {
            const entry = node.entries[row * node.width + j]!;
            min = Math.min(min, entry);
            max = Math.max(max, entry);
          }
          result.min[i * node.width + j] = min;
          result.max[i * node.width + j] = max;
        }
      }
      return { lanes: result };
    }
    case "argMax": {
      const runs = known[node.inputs[0]]!.min.length / node.width;
      return { lanes: constantLanes(runs, { min: 0, max: node.width - 1 }) };
    }
  }
}

function linearLanes(node: LinearNode, { min, max }: ValueBounds): Lanes {
  const { groups, positions, inner, outputs, weights, bias } = node;
  const lanes = emptyLanes(groups * outputs * positions);
  for (let g = 0; g < groups; g++) {
    for (let o = 0; o < outputs; o++) {
      const row = (g * outputs + o) * inner;
      for (let p = 0; p < positions; p++) {
        const from = (g * positions + p) * inner;
        let least = bias[g * outputs + o]!;
        let most = least;
        let size = Math.abs(least);
        for (let k = 0; k < inner; k++) {
          const weight = weights[row + k]!;
          const low = weight * min[from + k]!;
          const high = weight * max[from + k]!;
          least += weight < 0 ? high : low;
          most += weight < 0 ? low : high;
          size += Math.max(Math.abs(low), Math.abs(high));
        }
        setSum(lanes, (g * outputs + o) * positions + p, least, most, size);
      }
    }
  }
  return lanes;
}

function matMulLanes(node: MatMulNode, a: ValueBounds, b: ValueBounds): Lanes {
  const { groups, rows, inner, cols } = node;
  const lanes = emptyLanes(groups * rows * cols);
  for (let g = 0; g < groups; g++) {
    for (let m = 0; m < rows; m++) {
      for (let n = 0; n < cols; n++) {
        let least = 0;
        let most = 0;
        let size = 0;
        for (let k = 0; k < inner; k++) {
          const i = (g * rows + m) * inner + k;
          const j = (g * cols + n) * inner + k;
          const { min, max } = productOf(a.min[i]!, a.max[i]!, b.min[j]!, b.max[j]!);
          least += min;
          most += max;
          size += Math.max(Math.abs(min), Math.abs(max));
        }
        setSum(lanes, (g * rows + m) * cols + n, least, most, size);
      }
    }
  }
  return lanes;
}

/** @param size sum of what the terms may be without their signs: rounded where it is no safe integer, but not to one */
function setSum(lanes: Lanes, lane: number, least: number, most: number, size: number): void {
  const exact = size <= Number.MAX_SAFE_INTEGER;
  lanes.min[lane] = exact ? least : Number.NEGATIVE_INFINITY;
  lanes.max[lane] = exact ? most : Number.POSITIVE_INFINITY;
}

function shareLanes(node: ShareNode, id: number, before: ValueBounds): { lanes: Lanes; sum: Interval } {
  if (before.hull.min < 0) throw unbounded(node, id, `shares out values that may be ${before.hull.min}`);
  const { min, max } = runSums(before, node.width);
  if (min < 1) throw unbounded(node, id, "divides by a sum that may be 0; give its inputs a positive minimum");
  if (max * node.scale > SUM_MAX) throw unbounded(node, id, "has sums that are too large for its scale");
  return { lanes: constantLanes(before.min.length, { min: 0, max: node.scale }), sum: { min, max } };
}

function normaliseLanes(
  node: NormaliseNode,
  id: number,
  before: ValueBounds,
): { lanes: Lanes; sum: Interval; root: Interval } {
  const { width, epsilon, precision } = node;
  let most = 0;
  for (let from = 0; from < before.min.length; from += width) {
    let sum = 0;
    for (let i = from; i < from + width; i++) sum += Math.max(-before.min[i]!, before.max[i]!) ** 2;
    most = Math.max(most, sum);
  }
  const sum = { min: epsilon, max: epsilon + most };
  if (sum.max > SUM_MAX) throw unbounded(node, id, "has sums of squares above 2^50; shift its inputs down first");
  const largest = 2 ** precision;
  const lanes = emptyLanes(before.min.length);
  for (let i = 0; i < lanes.min.length; i++) {
    lanes.min[i] = before.min[i]! < 0 ? -largest : 0;
    lanes.max[i] = before.max[i]! > 0 ? largest : 0;
  }
  return {
    lanes,
    sum,
    root: { min: inverseRoot(sum.max, precision), max: inverseRoot(sum.min, precision) },
  };
}

/** Hull of the sums over runs of `width` lanes. */
function runSums({ min, max }: ValueBounds, width: number): Interval {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let from = 0; from < min.length; from += width) {
    let [low, high] = [0, 0];
    for (let i = from; i < from + width; i++) {
      low += min[i]!;
      high += max[i]!;
    }
    least = Math.min(least, low);
    most = Math.max(most, high);
  }
  return { min: least, max: most };
}

function productOf(aMin: number, aMax: number, bMin: number, bMax: number): Interval {
  const ends = [aMin * bMin, aMin * bMax, aMax * bMin, aMax * bMax];
  return { min: Math.min(...ends), max: Math.max(...ends) };
}

function rangeOf(lo: number, bits: number): Interval {
  return { min: lo, max: lo + 2 ** bits - 1 };
}

function constantLanes(length: number, { min, max }: Interval): Lanes {
  return { min: new Float64Array(length).fill(min), max: new Float64Array(length).fill(max) };
}

function emptyLanes(length: number): Lanes {
  return { min: new Float64Array(length), max: new Float64Array(length) };
}

function hullOf({ min, max }: Lanes): Interval {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < min.length; i++) {
    if (min[i]! < least) least = min[i]!;
    if (max[i]! > most) most = max[i]!;
  }
  return { min: least + 0, max: most + 0 };
}

function signedBits({ min, max }: Interval): number {
  if (!Number.isFinite(min) || !Number.isFinite(max)) return Number.POSITIVE_INFINITY;
  return Math.max(bitLength(max < 0 ? 0 : max), bitLength(min < 0 ? -min - 1 : 0)) + 1;
}

function unbounded(node: GraphNode, id: number, problem: string, details: Record<string, unknown> = {}): AnchorError {
  return new AnchorError("MODEL_UNBOUNDED", `node ${id} (${node.op}) ${problem}`, {
    details: { node: id, op: node.op, ...details },
  });
}
