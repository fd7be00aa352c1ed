import { scaled } from "../../../circuit/synthesis/synthesis.js";
import { bitLength, inverseRoot, type ValueBounds } from "../../bounds.js";
import { sumOfSquares } from "../../execute.js";
import type { NormaliseNode } from "../../graph.js";
import type { Gadget, NodeContext } from "../gadget.js";
import { addBits, splitRest } from "./bits.js";

/** Twin of `circuits/inference/normalise.circom`. */
export const normalise: Gadget<NormaliseNode> = {
  ports: ["in"],
  instance({ node, bounds }) {
    const { root, below, above } = widthsOf(node, bounds);
    return {
      file: "inference/normalise.circom",
      template: "Normalise",
      parameters: [
        ["count", bounds.min.length / node.width],
        ["width", node.width],
        ["epsilon", node.epsilon],
        ["precision", node.precision],
        ["rootBits", root],
        ["belowBits", below],
        ["aboveBits", above],
      ],
    };
  },
  synthesise(context) {
    const { s, node, bounds, out } = context;
    const widths = widthsOf(node, bounds);
    for (let c = 0; c * node.width < out.wires.length; c++) {
      s.enter("run", c);
      normaliseRun(context, widths, c * node.width);
      s.leave();
    }
  },
};

interface Widths {
  readonly root: number;
  readonly below: number;
  readonly above: number;
}

/**
 * Bits of `r`, of what `r² · v` is below `4^precision`, and of what `(r + 1)² · v` is above it, less 1.
 *
 * Those two sum to `(2r + 1) · v - 1`, and `(r · v)² ≤ 4^precision · v`, which is largest with v.
 */
function widthsOf({ precision }: NormaliseNode, { sum, root }: ValueBounds): Widths {
  const one = 1n << BigInt(2 * precision);
  const v = BigInt(sum!.max);
  const most = 2n * squareRoot(one * v) + v - 1n;
  return {
    root: Math.max(1, bitLength(root!.max)),
    below: wideBitLength(most < one ? most : one),
    above: wideBitLength(most),
  };
}

/** Twin of `normalise_run.circom`. */
function normaliseRun(
  { s, node: { width, epsilon, precision }, inputs, out }: NodeContext<NormaliseNode>,
  widths: Widths,
  first: number,
): void {
  const from = inputs[0]!;
  const v = s.valued ? sumOfSquares(from.values.subarray(first, first + width), epsilon) : 1;
  const r = s.valued ? inverseRoot(v, precision) : 0;
  const one = 1n << BigInt(2 * precision);

  const rest = s.combination(-epsilon);
  for (let i = first; i < first + width - 1; i++) {
    const value = from.values[i]!;
    const square = s.wire(scaled(value, value), "square", i - first);
    const lane = s.combination().lane(1, from, i);
    s.row(lane, lane, s.combination().add(1, square));
    rest.add(-1, square);
  }
  const sum = s.wire(v, "v");
  const last = s.combination().lane(1, from, first + width - 1);
  s.row(last, last, rest.add(1, sum));

  const root = s.wire(r, "root");
  splitRest(s, r, s.combination().add(1, root), widths.root, "rootBits");

  const times = BigInt(r) * BigInt(v);
  const product = s.wire(times, "scaled");
  s.row(s.combination().add(1, root), s.combination().add(1, sum), s.combination().add(1, product));
  const below = s.valued ? one - BigInt(r) * times : 0n;
  const bits = s.bits(below, widths.below, "belowBits");
  const left = addBits(s, s.combination(one), bits, widths.below, -1);
  s.row(s.combination().add(1, root), s.combination().add(1, product), left);

  const above = s.combination(-1).add(2, product).add(1, sum);
  addBits(s, above, bits, widths.below, -1);
  splitRest(s, s.valued ? 2n * times + BigInt(v) - 1n - below : 0n, above, widths.above, "aboveBits");

  for (let i = first; i < first + width; i++) {
    const wire = s.wire(out.values[i]!, "out", i - first);
    s.row(s.combination().lane(1, from, i), s.combination().add(1, root), s.combination().add(1, wire));
    out.wires[i] = wire;
  }
}

/** The largest integer whose square is not above. */
function squareRoot(square: bigint): bigint {
  let root = 0n;
  for (let step = 1n << BigInt(Math.ceil(wideBitLength(square) / 2)); step > 0n; step >>= 1n) {
    if ((root + step) * (root + step) <= square) root += step;
  }
  return root;
}

/** Of an integer, 1 at least. */
function wideBitLength(value: bigint): number {
  return value.toString(2).length;
}
