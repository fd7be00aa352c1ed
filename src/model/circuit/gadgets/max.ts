import type { Lanes, Synthesis } from "../../../circuit/synthesis/synthesis.js";
import { bitLength, type ValueBounds } from "../../bounds.js";
import type { MaxNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";
import { splitRest } from "./bits.js";

/** Twin of `circuits/inference/max.circom`. */
export const max: Gadget<MaxNode> = {
  ports: ["in"],
  instance({ node: { window }, inputBounds: [before] }) {
    return {
      file: "inference/max.circom",
      template: "Max",
      parameters: [
        ["count", before!.min.length / window],
        ["window", window],
        ["min", before!.min],
        ["max", before!.max],
      ],
    };
  },
  synthesise({ s, node: { window }, inputBounds: [before], inputs, out }) {
    const from = inputs[0]!;
    let pair = 0;
    for (let m = 0; m < out.wires.length; m++) {
      const anchor = anchorOf(before!, m * window, window);
      const floor = before!.min[anchor]!;
      let most = before!.max[anchor]!;
      let best = { wires: from.wires.subarray(anchor, anchor + 1), values: from.values.subarray(anchor, anchor + 1) };
      for (let i = m * window; i < (m + 1) * window; i++) {
        if (i === anchor || before!.max[i]! <= floor) continue;
        const widest = Math.max(before!.max[i]! - floor, most - before!.min[i]!);
        s.enter("pair", pair++);
        best = maxPair(s, Math.max(1, bitLength(widest)), best, from, i);
        s.leave();
        most = Math.max(most, before!.max[i]!);
      }
      out.wires[m] = best.wires[0]!;
    }
  },
};

/** Of a window, the first value with the largest lower end. */
function anchorOf({ min }: ValueBounds, first: number, window: number): number {
  let anchor = first;
  for (let i = first; i < first + window; i++) if (min[i]! > min[anchor]!) anchor = i;
  return anchor;
}

/** Twin of `max_pair.circom`; the first value is `best`'s only lane. */
function maxPair(s: Synthesis, bits: number, best: Lanes, from: Lanes, index: number): Lanes {
  const [a, b] = [best.values[0]!, from.values[index]!];
  const value = Math.max(a, b);
  const out = s.wire(value, "out");
  const above = s.combination().add(1, out).lane(-1, best, 0);
  const other = s.combination().add(1, out).lane(-1, from, index);
  s.row(above, other, s.combination());
  splitRest(s, 2 * value - a - b, s.combination().plus(above).plus(other), bits, "bits");
  return { wires: Int32Array.of(out), values: Int32Array.of(value) };
}
