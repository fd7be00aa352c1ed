import type { Lanes, Synthesis } from "../../../circuit/synthesis/synthesis.js";
import { bitLength, type ValueBounds } from "../../bounds.js";
import type { ShareNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";
import { addBits, splitRest } from "./bits.js";

/** Twin of `circuits/inference/share.circom`. */
export const share: Gadget<ShareNode> = {
  ports: ["in"],
  instance({ node: { width, scale }, bounds }) {
    return {
      file: "inference/share.circom",
      template: "Share",
      parameters: [
        ["count", bounds.min.length / width],
        ["width", width],
        ["scale", scale],
        ["sumBits", sumBits(bounds)],
      ],
    };
  },
  synthesise({ s, node: { width, scale }, bounds, inputs, out }) {
    const from = inputs[0]!;
    for (let c = 0; c * width < out.wires.length; c++) {
      let value = 0;
      const total = s.combination();
      for (let i = c * width; i < (c + 1) * width; i++) {
        value += from.values[i]!;
        total.lane(1, from, i);
      }
      const sum = { value, wire: s.wire(value, "sum", c) };
      s.row(undefined, undefined, total.add(-1, sum.wire));
      const odd = s.bit(value % 2, "odd", c);
      for (let i = c * width; i < (c + 1) * width; i++) {
        s.enter("lane", i);
        out.wires[i] = shareLane(s, scale, sumBits(bounds), from, i, sum, odd, out.values[i]!);
        s.leave();
      }
    }
  },
};

/** Bits of a remainder: of any number below the largest sum. */
function sumBits({ sum }: ValueBounds): number {
  return Math.max(1, bitLength(sum!.max - 1));
}

/** Twin of `share_lane.circom`; the product's row is twice the template's, so that all coefficients are integers. */
function shareLane(
  s: Synthesis,
  scale: number,
  bits: number,
  from: Lanes,
  index: number,
  sum: { readonly value: number; readonly wire: number },
  odd: number,
  value: number,
): number {
  const remainder = s.valued ? from.values[index]! * scale + Math.floor(sum.value / 2) - value * sum.value : 0;
  const out = s.wire(value, "out");
  splitRest(s, value, s.combination().add(1, out), bitLength(scale), "shareBits");

  const first = s.bits(remainder, bits, "bits");
  const dividend = s
    .combination()
    .lane(2 * scale, from, index)
    .add(1, sum.wire)
    .add(-1, odd);
  s.row(s.combination().add(2, out), s.combination().add(1, sum.wire), addBits(s, dividend, first, bits, -2));

  const above = addBits(s, s.combination(-1).add(1, sum.wire), first, bits, -1);
  splitRest(s, s.valued ? sum.value - 1 - remainder : 0, above, bits, "aboveBits");
  return out;
}
