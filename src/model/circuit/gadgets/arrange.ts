import type { ArrangeNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";

/** Twin of `circuits/inference/arrange.circom`: no wire, no row. */
export const arrange: Gadget<ArrangeNode> = {
  ports: ["in"],
  instance({ node, inputBounds }) {
    const taken = inputBounds.reduce((sum, { min }) => sum + min.length, 0);
    return {
      file: "inference/arrange.circom",
      template: "Arrange",
      parameters: [
        ["taken", taken],
        ["count", node.index.length],
        ["index", node.index],
        ["constants", node.constants.length > 0 ? node.constants : [0]],
      ],
    };
  },
  synthesise({ node: { index }, inputs, out }) {
    let all = inputs[0]!.wires;
    if (inputs.length > 1) {
      all = new Int32Array(inputs.reduce((sum, { wires }) => sum + wires.length, 0));
      let at = 0;
      for (const { wires } of inputs) {
        all.set(wires, at);
        at += wires.length;
      }
    }
    for (let k = 0; k < index.length; k++) {
      // A constant has no wire, and its value is there.
      if (index[k]! >= 0) out.wires[k] = all[index[k]!]!;
    }
  },
};
