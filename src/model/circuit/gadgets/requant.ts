import { type Combination, type Lanes, ONE, type Synthesis, scaled } from "../../../circuit/synthesis/synthesis.js";
import { bitLength, type ValueBounds } from "../../bounds.js";
import type { RequantNode } from "../../graph.js";
import { type Gadget, isFixed } from "../gadget.js";

/** Twin of `circuits/inference/requant.circom`. */
export const requant: Gadget<RequantNode> = {
  ports: ["in"],
  instance({ node, inputBounds: [before] }) {
    return {
      file: "inference/requant.circom",
      template: "Requant",
      parameters: [
        ["count", before!.min.length],
        ["channels", node.shifts.length],
        ["shifts", node.shifts],
        ["lo", node.lo],
        ["bits", node.bits],
        ["min", before!.min],
        ["max", before!.max],
      ],
    };
  },
  synthesise({ s, node, bounds, inputBounds: [before], inputs, out }) {
    const shapes = shapesOf(node, bounds, before!);
    for (let i = 0; i < out.wires.length; i++) {
      const shape = shapes[i];
      if (shape === undefined) continue;
      s.enter("lane", i);
      out.wires[i] = requantLane(s, shape, inputs[0]!, i, out.values[i]!);
      s.leave();
    }
  },
};

/** By the node's own bounds, which belong to one analysis of one graph: a witness a millisecond leaves no time for more. */
const known = new WeakMap<ValueBounds, readonly (Shape | undefined)[]>();

/** Of each lane that is not fixed. */
function shapesOf(node: RequantNode, bounds: ValueBounds, before: ValueBounds): readonly (Shape | undefined)[] {
  const found = known.get(bounds);
  if (found) return found;
  const lanes = bounds.min.length / node.shifts.length;
  // Most lanes of a channel have the same range.
  const distinct = new Map<string, Shape>();
  const shapes = Array.from(bounds.min, (_, i) => {
    if (isFixed(bounds, i)) return undefined;
    const [min, max, shift] = [before.min[i]!, before.max[i]!, node.shifts[Math.floor(i / lanes)]!];
    const key = `${min} ${max} ${shift}`;
    let shape = distinct.get(key);
    if (!shape) distinct.set(key, (shape = shapeOf(min, max, shift, node)));
    return shape;
  });
  known.set(bounds, shapes);
  return shapes;
}

interface Shape {
  readonly shift: number;
  readonly lo: number;
  readonly span: number;
  readonly below: boolean;
  readonly above: boolean;
  readonly anchor: "low" | "middle" | "high" | "least";
  /** What is added to the lane before it is split into bits. */
  readonly offset: number;
  /** Bits below the highest one; -1 for a copy. */
  readonly width: number;
  /** Bits that are dropped, and those of the result. */
  readonly block: number;
}

/** The template's decisions, from a lane's proven range. Integers here stay below 2^50: a lane with a wider one is fixed. */
function shapeOf(min: number, max: number, shift: number, { lo, bits }: RequantNode): Shape {
  const step = 2 ** shift;
  const half = Math.floor(step / 2);
  const span = 2 ** bits;
  const least = Math.floor((min + half) / step);
  const below = least < lo;
  const above = Math.floor((max + half) / step) >= lo + span;
  const own = { shift, lo, span, below, above, block: shift + bits };
  if (!below && !above) {
    const offset = half - least * step;
    return { ...own, anchor: "least", offset, width: shift === 0 ? -1 : bitLength(max + offset) - 1 };
  }
  const at = (anchor: "low" | "middle" | "high"): Shape => {
    const value = { low: lo, middle: lo + span / 2, high: lo + span }[anchor];
    const offset = half - value * step;
    const width = Math.max(bitLength(-(min + offset) - 1), bitLength(max + offset));
    const block = anchor === "middle" ? own.block - 1 : own.block;
    return { ...own, anchor, offset: offset + 2 ** width, width, block };
  };
  if (!above) return at("low");
  if (!below) return at("high");
  const candidates = bits > 1 ? [at("low"), at("middle"), at("high")] : [at("low")];
  return candidates.reduce((best, each) => (each.width < best.width ? each : best));
}

/** Twin of `requant_lane.circom`; rows are those of the template times powers of two, so that all numbers are integers. */
function requantLane(s: Synthesis, shape: Shape, from: Lanes, index: number, value: number): number {
  const { shift, lo, span, below, above, anchor, offset, width, block } = shape;
  if (width < 0) return from.wires[index]!;
  const v = from.values[index]! + offset;
  const first = s.bits(v, width, "bits");
  const top = 2 ** width;

  const rest = splitOff(s, shape, from, index, first, width); // top · highest
  s.row(rest, s.combination(-top).plus(rest), s.combination());

  if (!below && !above) {
    const out = s.wire(value, "out");
    const least = -Math.floor(offset / 2 ** shift); // the lowest quotient
    const quotient = splitOff(s, shape, from, index, first, shift).add(scaled(least, 2 ** shift), ONE);
    s.row(undefined, undefined, quotient.add(-(2 ** shift), out));
    return out;
  }

  const low = s.combination();
  if (s.writing) for (let i = shift; i < Math.min(block, width); i++) low.add(2 ** (i - shift), first + i);
  if (!above) {
    const out = s.wire(value, "out");
    s.row(rest, low, s.combination(scaled(-lo, top)).add(top, out));
    return out;
  }
  if (!below) {
    const out = s.wire(value, "out");
    const short = width < block ? span - 2 ** (width - shift) : 0;
    s.row(low.add(short, ONE), s.combination(top).plus(rest, -1), result(s, shape, rest, out));
    return out;
  }

  const over = Math.floor(v / 2 ** block) - 2 ** (width - block);
  const isWithin = anchor === "low" ? over === 0 : anchor === "high" ? over === -1 : over === 0 || over === -1;
  let within: number;
  if (width === block + 1) {
    within = s.wire(isWithin ? 1 : 0, "within");
    const next = first + width - 1;
    const product = s.combination().add(top, within);
    if (anchor === "low") s.row(rest, s.combination(1).add(-1, next), product);
    else if (anchor === "high") s.row(s.combination(top).plus(rest, -1), s.combination().add(1, next), product);
    // 2 · rest · next = rest + top · next - top · within
    else s.row(rest, s.combination().add(2, next), s.combination().add(-top, within).plus(rest).add(top, next));
  } else {
    const positive = over >= 0 ? 1 : 0;
    const distance = anchor === "low" ? over : anchor === "high" ? over + 1 : over + 1 - positive;
    const inverse = s.inverse(distance, "inverse");
    within = s.wire(isWithin ? 1 : 0, "within");
    // distance times `unit`
    let unit = 2 ** block;
    const high = splitOff(s, shape, from, index, first, block).add(-top, ONE);
    if (anchor === "high") high.add(unit, ONE);
    let far = high;
    if (anchor === "middle") {
      const blocks = 2 ** (width - block);
      far = s.combination(top).plus(high, blocks).plus(rest, -1);
      unit = top;
    }
    s.row(far, s.combination().add(1, inverse), s.combination(unit).add(-unit, within));
    s.row(far, s.combination().add(1, within), s.combination());
    s.row(s.combination().add(1, inverse), s.combination().add(1, within), s.combination());
  }
  const out = s.wire(value, "out");
  if (anchor === "middle") {
    const lower = 1 - span / 2; // where the highest bit is set
    const kept = s.combination().plus(low, top).plus(rest, lower);
    s.row(kept, s.combination().add(1, within), result(s, shape, rest, out));
  } else {
    const row = result(s, shape, rest, out);
    if (anchor === "low") row.add(scaled(span - 1, top), within);
    s.row(low, s.combination().add(top, within), row);
  }
  return out;
}

/** What is split into bits, less those below `end`. */
function splitOff(
  s: Synthesis,
  { offset }: Shape,
  from: Lanes,
  index: number,
  first: number,
  end: number,
): Combination {
  const rest = s.combination(offset).lane(1, from, index);
  if (s.writing) for (let i = 0; i < end; i++) rest.add(-(2 ** i), first + i);
  return rest;
}

/** top · (out - lo) - (hi - lo) · rest */
function result(s: Synthesis, { lo, span, width }: Shape, rest: Combination, out: number): Combination {
  const top = 2 ** width;
  const above = 1 - span;
  return s.combination(scaled(-lo, top)).add(top, out).plus(rest, above);
}
