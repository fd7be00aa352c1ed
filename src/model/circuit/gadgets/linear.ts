import type { LinearNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";

/** Twin of `circuits/inference/linear.circom`. */
export const linear: Gadget<LinearNode> = {
  ports: ["in"],
  instance({ node }) {
    const { groups, positions, inner, outputs, weights, bias } = node;
    return {
      file: "inference/linear.circom",
      template: "Linear",
      parameters: [
        ["groups", groups],
        ["positions", positions],
        ["inner", inner],
        ["outputs", outputs],
        ["weights", weights],
        ["bias", bias],
      ],
    };
  },
  synthesise({ s, node, inputs, out }) {
    const { groups, positions, inner, outputs, weights, bias } = node;
    const from = inputs[0]!;
    for (let channel = 0; channel < groups * outputs; channel++) {
      const row = channel * inner;
      const alias = aliasOf(weights, row, inner, bias[channel]!);
      for (let p = 0; p < positions; p++) {
        const lane = channel * positions + p;
        const first = (Math.floor(channel / outputs) * positions + p) * inner;
        if (alias !== undefined) {
          if (alias >= 0) out.wires[lane] = from.wires[first + alias]!;
          continue;
        }
        const wire = s.wire(out.values[lane]!, "out", lane);
        const sum = s.combination(bias[channel]!);
        if (s.writing) {
          for (let k = 0; k < inner; k++) {
            if (weights[row + k] !== 0) sum.lane(weights[row + k]!, from, first + k);
          }
        }
        s.row(undefined, undefined, sum.add(-1, wire));
        out.wires[lane] = wire;
      }
    }
  },
};

/** Of an output that is a copy: which of the inner terms; -1 for a constant; `undefined` where it needs a row. */
function aliasOf(weights: Int16Array, row: number, inner: number, bias: number): number | undefined {
  let found = -1;
  for (let k = 0; k < inner; k++) {
    if (weights[row + k] === 0) continue;
    if (found >= 0 || weights[row + k] !== 1 || bias !== 0) return undefined;
    found = k;
  }
  return found;
}
