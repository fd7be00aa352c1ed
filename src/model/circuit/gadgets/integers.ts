/**
 * Twins of `circuits/lib/range_check.circom`, and of the packing of `circuits/inference/packed_integers.circom` and
 * `packed_output.circom`.
 *
 * @module
 */

import type { Element } from "../../../circuit/synthesis/elements.js";
import { type Lanes, ONE, type Synthesis } from "../../../circuit/synthesis/synthesis.js";

/** Forces `lo ≤ lane < lo + 2^bits`. */
export function rangeCheck(s: Synthesis, lanes: Lanes, index: number, lo: number, bits: number): void {
  const first = s.bits(lanes.values[index]! - lo, bits - 1, "bits");
  const rest = s.combination(-lo).lane(1, lanes, index);
  for (let i = 0; i < bits - 1; i++) rest.add(-(2 ** i), first + i);
  s.row(rest, s.combination(-(2 ** (bits - 1))).plus(rest), s.combination());
}

export interface Packing {
  /** What is subtracted from each integer. */
  readonly offset: number;
  /** Bits of one integer in its element. */
  readonly lane: number;
  readonly perElement: number;
}

/**
 * Elements of consecutive lanes, the first in the lowest place: a linear row each.
 *
 * @param out the wire of the only element, where there is one already
 */
export function packElements(
  s: Synthesis,
  lanes: Lanes,
  { offset, lane, perElement }: Packing,
  out?: number,
): Element[] {
  const { length } = lanes.wires;
  const elements: Element[] = [];
  for (let from = 0; from < length; from += perElement) {
    const count = Math.min(perElement, length - from);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << BigInt(lane)) + BigInt(lanes.values[from + i]! - offset);
    // One integer as it is: a copy.
    if (count === 1 && offset === 0 && (out === undefined || lanes.wires[from] !== ONE)) {
      elements.push({ wire: lanes.wires[from]!, value });
      continue;
    }
    let wire = out;
    if (wire === undefined) wire = s.wire(value, "element", elements.length);
    else s.assign(wire, value);
    const sum = s.combination();
    for (let i = 0; i < count; i++) {
      const place = 1n << BigInt(lane * i);
      sum.lane(place, lanes, from + i).add(-place * BigInt(offset), ONE);
    }
    s.row(undefined, undefined, sum.add(-1, wire));
    elements.push({ wire, value });
  }
  return elements;
}
