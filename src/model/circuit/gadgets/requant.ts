import { bitLength } from "../../bounds.js";
import type { RequantNode } from "../../graph.js";
import { type Gadget, isFixed } from "../gadget.js";
import { type Lanes, ONE, type Synthesis, scaled } from "../synthesis.js";

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
    const lanes = out.wires.length / node.shifts.length;
    for (let i = 0; i < out.wires.length; i++) {
      if (isFixed(bounds, i)) continue;
      s.enter("lane", i);
      const shape = shapeOf(before!.min[i]!, before!.max[i]!, node.shifts[Math.floor(i / lanes)]!, node);
      out.wires[i] = requantLane(s, shape, inputs[0]!, i, out.values[i]!);
      s.leave();
    }
  },
};

interface Shape {
  readonly shift: number;
  readonly lo: number;
  readonly bits: number;
  readonly below: boolean;
  readonly above: boolean;
  /** What is added to the lane: it starts at the low end then, or at 2^width above it. */
  readonly offset: number;
  /** The lowest value of the result where it cannot saturate, else `lo`. */
  readonly base: number;
  /** Bits below the highest one; -1 for a copy. */
  readonly width: number;
}

/** The template's decisions, from a lane's proven range. Integers here stay below 2^50: a lane with a wider one is fixed. */
function shapeOf(min: number, max: number, shift: number, { lo, bits }: RequantNode): Shape {
  const step = 2 ** shift;
  const half = Math.floor(step / 2);
  const least = Math.floor((min + half) / step);
  const most = Math.floor((max + half) / step);
  const below = least < lo;
  const above = most > lo + 2 ** bits - 1;
  const base = below || above ? lo : least;
  const offset = half - base * step;
  const own = { shift, lo, bits, below, above, base };
  if (shift === 0 && !below && !above) return { ...own, offset, width: -1 };
  if (!below) return { ...own, offset, width: bitLength(max + offset) - 1 };
  const width = Math.max(bitLength(-(min + offset) - 1), bitLength(max + offset));
  return { ...own, offset: offset + 2 ** width, width };
}

/** Twin of `requant_lane.circom`; rows are those of the template times powers of two, so that all numbers are integers. */
function requantLane(s: Synthesis, shape: Shape, from: Lanes, index: number, value: number): number {
  const { shift, lo, bits, below, above, base, offset, width } = shape;
  if (width < 0) return from.wires[index]!;
  const v = from.values[index]! + offset;
  const first = s.bits(v, width, "bits");
  const top = 2 ** width;
  const hi = lo + 2 ** bits - 1;
  const kept = shift + bits;

  // top · highest
  const rest = s.combination(offset).lane(1, from, index);
  const low = s.combination();
  if (s.writing) {
    for (let i = 0; i < width; i++) {
      rest.add(-(2 ** i), first + i);
      if (i >= shift && i < kept) low.add(2 ** (i - shift), first + i);
    }
  }
  s.row(rest, s.combination(-top).plus(rest), s.combination());

  if (!below && !above) {
    const out = s.wire(value, "out");
    const sum = s.combination(offset + base * 2 ** shift).lane(1, from, index);
    for (let i = 0; i < shift; i++) sum.add(-(2 ** i), first + i);
    s.row(undefined, undefined, sum.add(-(2 ** shift), out));
    return out;
  }
  if (!above) {
    const out = s.wire(value, "out");
    s.row(rest, low, s.combination(scaled(-lo, top)).add(top, out));
    return out;
  }
  if (!below && width === kept) {
    const out = s.wire(value, "out");
    // (top - rest) · low = top · (out - lo) - (hi - lo) · rest
    const result = s
      .combination(scaled(-lo, top))
      .add(top, out)
      .plus(rest, lo - hi);
    s.row(s.combination(top).plus(rest, -1), low, result);
    return out;
  }

  const beyond = Math.floor(v / 2 ** kept) - (below ? 2 ** (width - kept) : 0);
  let within: number;
  if (below && width === kept + 1) {
    within = s.wire(beyond === 0 ? 1 : 0, "within");
    s.row(rest, s.combination(1).add(-1, first + width - 1), s.combination().add(top, within));
  } else {
    const inverse = s.inverse(beyond, "inverse");
    within = s.wire(beyond === 0 ? 1 : 0, "within");
    // 2^kept · high
    const unit = 2 ** kept;
    const high = s.combination(below ? offset - top : offset).lane(1, from, index);
    for (let i = 0; i < kept; i++) high.add(-(2 ** i), first + i);
    s.row(high, s.combination().add(1, inverse), s.combination(unit).add(-unit, within));
    s.row(high, s.combination().add(1, within), s.combination());
    s.row(s.combination().add(1, inverse), s.combination().add(1, within), s.combination());
  }
  const out = s.wire(value, "out");
  // top · within · low = top · (out - lo) - (hi - lo) · top · ([highest or 1] - within)
  const result = s
    .combination(scaled(-lo, top))
    .add(top, out)
    .add(scaled(hi - lo, top), within);
  if (below) result.plus(rest, lo - hi);
  else result.add(scaled(lo - hi, top), ONE);
  s.row(low, s.combination().add(top, within), result);
  return out;
}
