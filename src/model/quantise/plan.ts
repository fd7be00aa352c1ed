/**
 * Decides where a graph rounds.
 *
 * Values of linear nodes, sums and products are accumulators of up to 31 bits; a *point* brings one down to a few bits
 * by a rounding shift. Clips and grids of the model are points as they stand; where a node cannot take an accumulator,
 * or where its own accumulators would cost more rows than the rounding does, a point is put in: a clip without limits.
 * Widths are estimates here, of magnitudes alone; what they lead to is proven later.
 *
 * @module
 */

import type { FloatClip, FloatNode } from "../float.js";
import { inputsOf } from "../run.js";
import type { Traced } from "./simplify.js";
import { Units } from "./units.js";

/** What a point's integers may be. */
export interface Point {
  readonly lo: number;
  /** Bits of the range that starts at `lo`. */
  readonly bits: number;
}

export interface Plan extends Traced {
  /** Of clips and grids. */
  readonly points: ReadonlyMap<number, Point>;
  /** Ids of the nodes that take a value, of every value. */
  readonly consumers: readonly (readonly number[])[];
}

/** Integers of a value that only sums and normalisations take: wider ones cost them nothing. */
export const WIDE_BITS = 12;
const NARROW: Point = { lo: -128, bits: 8 };
const WIDE: Point = { lo: -(2 ** (WIDE_BITS - 1)), bits: WIDE_BITS };
const RELU: Point = { lo: 0, bits: 7 };
/** Largest integer of what a table or an embedding gives, by default. */
export const NARROW_MAX = 127;
/** Magnitudes above this may fail to be proven within int32. */
const ACCUMULATOR_MAX = 2 ** 29;
/** A row's weights, scaled so that the largest is in 127..255, are this in the mean of the two. */
const TYPICAL_WEIGHT = 181;

export interface PlanOptions {
  readonly inputBits: number;
}

export function plan(simplified: Traced, { inputBits }: PlanOptions): Plan {
  const graph = ownArranges(simplified);
  const consumers = consumersOf(graph.nodes);
  const factors = growths(graph, consumers);
  const magnitudes: number[] = [];
  /** Value, and for each of its points the nodes that take the point and not the value. */
  const inserted = new Map<number, { point: Point; takers: Set<number> }>();
  const magnitudeFor = (source: number, taker: number) => {
    const own = inserted.get(source);
    return own?.takers.has(taker) ? limitOf(own.point) : magnitudes[source]!;
  };

  graph.nodes.forEach((node, id) => {
    const taken = inputsOf(node).map((source) => magnitudeFor(source, id));
    magnitudes.push(magnitudeOf(node, taken, inputBits, factors[id]!));
    if (node.op === "arrange") return; // decided where its sources were
    const magnitude = magnitudes[id]!;
    const refusing: number[] = [];
    const willing: number[] = [];
    let bits = 0;
    for (const taker of takersOf(graph.nodes, consumers, id)) {
      const { final, through } = taker;
      const mixed = inputsOf(graph.nodes[through]!).length > 1 && graph.nodes[through]!.op === "arrange";
      const wants =
        final === undefined ? undefined : refusal(graph, final, magnitude, graph.lengths[id]!, mixed, factors[final]!);
      if (wants === undefined) {
        willing.push(through);
      } else {
        refusing.push(through);
        bits = bits === 0 ? wants.bits : Math.min(bits, wants.bits);
      }
    }
    if (refusing.length === 0) return;
    // A linear node that could take the accumulator takes the point instead, now that there is one: fewer bits.
    const also = willing.filter((through) => {
      const final = graph.nodes[through]!.op === "arrange" ? consumers[through]![0] : through;
      return final !== undefined && graph.nodes[final]!.op === "linear";
    });
    inserted.set(id, { point: bits === WIDE.bits ? WIDE : NARROW, takers: new Set([...refusing, ...also]) });
  });
  return withPoints(graph, inserted);
}

/** Nodes that take a value in the end, and by which of its consumers: arranges only pass it on. */
function takersOf(
  nodes: readonly FloatNode[],
  consumers: readonly (readonly number[])[],
  id: number,
): { final: number | undefined; through: number }[] {
  return consumers[id]!.map((through) =>
    nodes[through]!.op === "arrange" ? { final: consumers[through]![0], through } : { final: through, through },
  );
}

/** The point that a node asks for where it does not take integers of this magnitude. */
function refusal(
  graph: Traced,
  taker: number,
  magnitude: number,
  length: number,
  mixed: boolean,
  growth: number,
): Point | undefined {
  const node = graph.nodes[taker]!;
  const rounding = length * (bitsOf(magnitude) + 5);
  switch (node.op) {
    case "map":
      return magnitude > 128 ? NARROW : undefined;
    case "mul":
    case "matMul":
      return magnitude > 1024 ? NARROW : undefined;
    case "normalise":
      return magnitude > limitOf(WIDE) ? WIDE : undefined;
    case "linear": {
      if (magnitude <= limitOf(NARROW)) return undefined;
      if (magnitude * growth > ACCUMULATOR_MAX) return NARROW;
      // Beside what is much coarser, the weights of an accumulator would be nothing.
      if (mixed && magnitude > 1024) return NARROW;
      const extra = graph.lengths[taker]! * (bitsOf(magnitude) - NARROW.bits);
      return extra > rounding ? NARROW : undefined;
    }
    case "max": {
      if (magnitude <= limitOf(NARROW)) return undefined;
      const results = graph.lengths[taker]!;
      const early = rounding + results * node.window * NARROW.bits;
      const late = results * (node.window * (bitsOf(magnitude) + 1) + bitsOf(magnitude) + 5);
      return early < late ? NARROW : undefined;
    }
    case "add":
    case "softmax":
    case "argMax":
      return magnitude > ACCUMULATOR_MAX ? WIDE : undefined;
    default:
      return undefined;
  }
}

function magnitudeOf(node: FloatNode, taken: readonly number[], inputBits: number, growth: number): number {
  const most = taken.reduce((a, b) => Math.max(a, b), 0);
  switch (node.op) {
    case "input":
      return 2 ** inputBits - 1;
    case "adapter":
      return NARROW_MAX;
    case "linear":
      return most * growth;
    case "clip":
    case "grid":
      return limitOf(pointOf(node));
    case "map":
    case "lookup":
      return NARROW_MAX;
    case "add":
      return 2 * most;
    case "mul":
      return taken[0]! * taken[1]!;
    case "matMul":
      return taken[0]! * taken[1]! * node.inner;
    case "softmax":
      return 255;
    case "normalise":
      return 2 ** 23;
    case "argMax":
      return node.width;
    default:
      return most;
  }
}

/** How much larger the integers of each linear node can be than what it takes; 1 for others. */
function growths(graph: Traced, consumers: readonly (readonly number[])[]): number[] {
  const points = new Map<number, Point>();
  graph.nodes.forEach((node, id) => {
    if (node.op === "clip" || node.op === "grid") points.set(id, pointOf(node));
  });
  // Points that are still to come only make more units free.
  const units = new Units({ ...graph, points, consumers });
  const rows = units.countRows(graph.nodes);
  return graph.nodes.map((node, id) => {
    if (node.op !== "linear") return 1;
    const { inner, positions, weights, bias } = node;
    let most = 1;
    for (let row = 0; row < bias.length; row++) {
      const own = weights.subarray(row * inner, (row + 1) * inner);
      const peak = own.reduce((largest, weight) => Math.max(largest, Math.abs(weight)), 0);
      if (peak === 0) continue;
      // A scale of a channel is a whole number where the unit after it is free to be anything.
      const free = inner > 1 || weights[row] === weights[0] || rows.get(units.familyOf(id, row * positions)) === 1;
      const scale = (free ? smallScale(own) : undefined) ?? TYPICAL_WEIGHT / peak;
      most = Math.max(most, own.reduce((sum, weight) => sum + Math.abs(weight), 0) * scale);
    }
    return most;
  });
}

/** Largest factor that {@link smallScale} may give the largest weight. */
const SMALL_WEIGHT = 8;

/** What makes a row's weights small integers (pools, sums, differences), where that can be. */
export function smallScale(row: ArrayLike<number>): number | undefined {
  let peak = 0;
  for (let k = 0; k < row.length; k++) peak = Math.max(peak, Math.abs(row[k]!));
  if (peak === 0) return undefined;
  for (let most = 1; most <= SMALL_WEIGHT; most++) {
    const scale = most / peak;
    let fits = true;
    for (let k = 0; fits && k < row.length; k++) {
      const value = Math.abs(row[k]!) * scale;
      fits = Math.abs(value - Math.round(value)) <= 1e-6;
    }
    if (fits) return scale;
  }
  return undefined;
}

/** Largest magnitude of a point's integers. */
function limitOf({ lo, bits }: Point): number {
  return Math.max(-lo, lo + 2 ** bits - 1);
}

function bitsOf(magnitude: number): number {
  let bits = 1;
  while (2 ** (bits - 1) <= magnitude) bits++;
  return bits;
}

/** Range of the integers of a clip or grid of the model. Where a clip's limits are not 0, its unit decides (`lower.ts`). */
function pointOf(node: FloatNode): Point {
  if (node.op === "clip") {
    if (node.min === 0) return RELU;
    if (node.max === 0) return { lo: -127, bits: 7 };
    return NARROW;
  }
  if (node.op === "grid") {
    const lo = node.zeroPoint.reduce((least, zero) => Math.min(least, node.lo - zero), Number.POSITIVE_INFINITY);
    const hi = node.zeroPoint.reduce((most, zero) => Math.max(most, node.hi - zero), Number.NEGATIVE_INFINITY);
    let bits = 1;
    while (lo + 2 ** bits - 1 < hi) bits++;
    return { lo, bits };
  }
  return NARROW;
}

/** Gives every taker of an arrange one of its own: they are free, and each may want another form of the values. */
function ownArranges({ nodes, origin, lengths }: Traced): Traced {
  const consumers = consumersOf(nodes);
  const result: { node: FloatNode; origin: number | undefined; length: number }[] = [];
  const ids: number[] = [];
  nodes.forEach((node, id) => {
    const inputs = inputsOf(node).map((source) => {
      const from = nodes[source]!;
      if (from.op !== "arrange" || consumers[source]!.length === 1) return ids[source]!;
      const copy = { ...from, inputs: from.inputs.map((each) => ids[each]!) };
      return result.push({ node: copy, origin: undefined, length: lengths[source]! }) - 1;
    });
    const shared = node.op === "arrange" && consumers[id]!.length > 1;
    // A shared one stays for its own value's sake alone: nothing takes it, and it has no effect.
    const numbered = inputs.length === 0 ? node : ({ ...node, inputs } as FloatNode);
    ids.push(result.length);
    if (!shared) result.push({ node: numbered, origin: origin[id], length: lengths[id]! });
  });
  return {
    nodes: result.map(({ node }) => node),
    origin: result.map((each) => each.origin),
    lengths: result.map(({ length }) => length),
  };
}

function withPoints(graph: Traced, inserted: ReadonlyMap<number, { point: Point; takers: Set<number> }>): Plan {
  const nodes: FloatNode[] = [];
  const origin: (number | undefined)[] = [];
  const lengths: number[] = [];
  const points = new Map<number, Point>();
  const ids: number[] = [];
  const pointIds = new Map<number, number>();
  graph.nodes.forEach((node, id) => {
    const inputs = inputsOf(node).map((source) =>
      inserted.get(source)?.takers.has(id) ? pointIds.get(source)! : ids[source]!,
    );
    ids.push(nodes.length);
    if (node.op === "clip" || node.op === "grid") points.set(nodes.length, pointOf(node));
    nodes.push(inputs.length === 0 ? node : ({ ...node, inputs } as FloatNode));
    origin.push(graph.origin[id]);
    lengths.push(graph.lengths[id]!);
    // An adapter is node 1, whatever becomes of the input.
    if (id === 0 && graph.nodes[1]?.op === "adapter") return;
    if (node.op === "adapter") addPoint(0);
    addPoint(id);
  });
  return { nodes, origin, lengths, points, consumers: consumersOf(nodes) };

  function addPoint(id: number): void {
    const own = inserted.get(id);
    if (own === undefined) return;
    const { node } = graph.nodes[id]!;
    const clip: FloatClip = { op: "clip", node, inputs: [ids[id]!], min: -Infinity, max: Infinity };
    points.set(nodes.length, own.point);
    pointIds.set(id, nodes.length);
    nodes.push(clip);
    origin.push(undefined);
    lengths.push(graph.lengths[id]!);
  }
}

function consumersOf(nodes: readonly FloatNode[]): number[][] {
  const consumers: number[][] = nodes.map(() => []);
  nodes.forEach((node, id) => {
    for (const source of new Set(inputsOf(node))) consumers[source]!.push(id);
  });
  return consumers;
}
