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
const WIDE: Point = { lo: -(2 ** (WIDE_BITS - 1)), bits: WIDE_BITS };
const TABLE_BITS = 8;
/** Largest integer of what a table or an embedding gives, by default. */
export const NARROW_MAX = 127;
/** Magnitudes above this may fail to be proven within int32. */
const ACCUMULATOR_MAX = 2 ** 29;
/** A row's weights, scaled so that the largest is in 127..255, are this in the mean of the two. */
const TYPICAL_WEIGHT = 181;

export interface PlanOptions {
  readonly inputBits: number;
  /** Bits of signed activations; what cannot be negative has one less. */
  readonly activationBits: number;
}

/** Points that are put in, or stand for a clip. */
interface Forms {
  readonly narrow: Point;
  readonly relu: Point;
  /** What a table takes. */
  readonly table: Point;
}

/** An estimate of a value's integers. */
interface Size {
  readonly magnitude: number;
  /** Number of different integers. */
  readonly span: number;
}

/** A point after a value, and the nodes that take the point and not the value. */
interface Inserted {
  readonly point: Point;
  readonly takers: ReadonlySet<number>;
}

export function plan(simplified: Traced, options: PlanOptions): Plan {
  const graph = ownArranges(simplified);
  const consumers = consumersOf(graph.nodes);
  const forms = formsOf(options.activationBits);
  const factors = growths(graph, consumers, forms);
  const sizes: Size[] = [];
  const inserted = new Map<number, Inserted>();

  graph.nodes.forEach((node, id) => {
    const taken = inputsOf(node).map((source) => {
      const own = inserted.get(source);
      return own?.takers.has(id) ? sizeOfPoint(own.point) : sizes[source]!;
    });
    const size = sizeOf(node, taken, factors[id]!, forms, options);
    sizes.push(size);
    if (node.op === "arrange") return; // decided where its sources were
    const refusing: number[] = [];
    const willing: number[] = [];
    let point: Point | undefined;
    for (const { final, through } of takersOf(graph.nodes, consumers, id)) {
      const wants =
        final === undefined
          ? undefined
          : refusal(graph.nodes[final]!, {
              ...size,
              length: graph.lengths[id]!,
              results: graph.lengths[final]!,
              mixed: graph.nodes[through]!.op === "arrange" && inputsOf(graph.nodes[through]!).length > 1,
              growth: factors[final]!,
              forms,
            });
      if (wants === undefined) {
        willing.push(through);
      } else {
        refusing.push(through);
        if (point === undefined || wants.bits < point.bits) point = wants;
      }
    }
    if (point === undefined) return;
    // A linear node that could take the accumulator takes the point instead, now that there is one: fewer bits.
    const also = willing.filter((through) => {
      const final = graph.nodes[through]!.op === "arrange" ? consumers[through]![0] : through;
      return final !== undefined && graph.nodes[final]!.op === "linear";
    });
    inserted.set(id, { point, takers: new Set([...refusing, ...also]) });
  });
  return withPoints(graph, inserted, forms);
}

function formsOf(activationBits: number): Forms {
  const signed = (bits: number): Point => ({ lo: -(2 ** (bits - 1)), bits });
  return {
    narrow: signed(activationBits),
    relu: { lo: 0, bits: activationBits - 1 },
    table: signed(Math.min(activationBits, TABLE_BITS)),
  };
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

/** The point that a node asks for where it does not take integers like these. */
function refusal(
  node: FloatNode,
  given: Size & { length: number; results: number; mixed: boolean; growth: number; forms: Forms },
): Point | undefined {
  const { magnitude, span, length, results, mixed, growth, forms } = given;
  const { narrow, table } = forms;
  const rounding = length * (bitsOf(magnitude) + 5);
  switch (node.op) {
    case "map":
      return span > 2 ** table.bits ? table : undefined;
    case "mul":
    case "matMul":
      return magnitude > 8 * limitOf(narrow) ? narrow : undefined;
    case "normalise":
      return magnitude > limitOf(WIDE) ? WIDE : undefined;
    case "linear": {
      if (magnitude <= limitOf(narrow)) return undefined;
      if (magnitude * growth > ACCUMULATOR_MAX) return narrow;
      // Beside what is much coarser, the weights of an accumulator would be nothing.
      if (mixed && magnitude > 8 * limitOf(narrow)) return narrow;
      const extra = results * (bitsOf(magnitude) - narrow.bits);
      return extra > rounding ? narrow : undefined;
    }
    case "max": {
      if (magnitude <= limitOf(narrow)) return undefined;
      const early = rounding + results * node.window * narrow.bits;
      const late = results * (node.window * (bitsOf(magnitude) + 1) + bitsOf(magnitude) + 5);
      return early < late ? narrow : undefined;
    }
    case "add":
    case "softmax":
    case "argMax":
      return magnitude > ACCUMULATOR_MAX ? WIDE : undefined;
    default:
      return undefined;
  }
}

function sizeOf(node: FloatNode, taken: readonly Size[], growth: number, forms: Forms, options: PlanOptions): Size {
  const most = taken.reduce((a, b) => Math.max(a, b.magnitude), 0);
  switch (node.op) {
    case "input":
      return symmetric(2 ** options.inputBits - 1, 2 ** options.inputBits);
    case "linear":
      return symmetric(most * growth);
    case "clip":
    case "grid":
      return sizeOfPoint(pointOf(node, forms));
    case "adapter":
    case "map":
    case "lookup":
      return symmetric(NARROW_MAX);
    case "add":
      return symmetric(2 * most);
    case "mul":
      return symmetric(taken[0]!.magnitude * taken[1]!.magnitude);
    case "matMul":
      return symmetric(taken[0]!.magnitude * taken[1]!.magnitude * node.inner);
    case "softmax":
      return symmetric(255, 256);
    case "normalise":
      return symmetric(2 ** 23);
    case "argMax":
      return symmetric(node.width, node.width);
    default:
      return { magnitude: most, span: taken.reduce((a, b) => Math.max(a, b.span), 0) };
  }
}

function symmetric(magnitude: number, span = 2 * magnitude + 1): Size {
  return { magnitude, span };
}

function sizeOfPoint(point: Point): Size {
  return { magnitude: limitOf(point), span: 2 ** point.bits };
}

/** How much larger the integers of each linear node can be than what it takes; 1 for others. */
function growths(graph: Traced, consumers: readonly (readonly number[])[], forms: Forms): number[] {
  const points = new Map<number, Point>();
  graph.nodes.forEach((node, id) => {
    if (node.op === "clip" || node.op === "grid") points.set(id, pointOf(node, forms));
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
function pointOf(node: FloatNode, { narrow, relu }: Forms): Point {
  if (node.op === "clip") {
    if (node.min === 0) return relu;
    if (node.max === 0) return { lo: 1 - 2 ** relu.bits, bits: relu.bits };
    return narrow;
  }
  if (node.op === "grid") {
    const lo = node.zeroPoint.reduce((least, zero) => Math.min(least, node.lo - zero), Number.POSITIVE_INFINITY);
    const hi = node.zeroPoint.reduce((most, zero) => Math.max(most, node.hi - zero), Number.NEGATIVE_INFINITY);
    let bits = 1;
    while (lo + 2 ** bits - 1 < hi) bits++;
    return { lo, bits };
  }
  return narrow;
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

function withPoints(graph: Traced, inserted: ReadonlyMap<number, Inserted>, forms: Forms): Plan {
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
    if (node.op === "clip" || node.op === "grid") points.set(nodes.length, pointOf(node, forms));
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
