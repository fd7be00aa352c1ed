import { scaled } from "../../../circuit/synthesis/synthesis.js";
import type { MatMulNode, MulNode } from "../../graph.js";
import type { Gadget } from "../gadget.js";

/** Twin of `circuits/inference/mul.circom`. */
export const mul: Gadget<MulNode> = {
  ports: ["a", "b"],
  instance({ inputBounds: [before] }) {
    return { file: "inference/mul.circom", template: "Mul", parameters: [["width", before!.min.length]] };
  },
  synthesise({ s, inputs: [a, b], out }) {
    for (let i = 0; i < out.wires.length; i++) {
      const wire = s.wire(out.values[i]!, "out", i);
      s.row(s.combination().lane(1, a!, i), s.combination().lane(1, b!, i), s.combination().add(1, wire));
      out.wires[i] = wire;
    }
  },
};

/** Twin of `circuits/inference/mat_mul.circom`. */
export const matMul: Gadget<MatMulNode> = {
  ports: ["a", "b"],
  instance({ node: { groups, rows, inner, cols } }) {
    return {
      file: "inference/mat_mul.circom",
      template: "MatMul",
      parameters: [
        ["groups", groups],
        ["rows", rows],
        ["inner", inner],
        ["cols", cols],
      ],
    };
  },
  synthesise({ s, node: { groups, rows, inner, cols }, inputs, out }) {
    const [a, b] = [inputs[0]!, inputs[1]!];
    for (let g = 0; g < groups; g++) {
      for (let m = 0; m < rows; m++) {
        for (let n = 0; n < cols; n++) {
          const o = (g * rows + m) * cols + n;
          const left = (g * rows + m) * inner;
          const right = (g * cols + n) * inner;
          const rest = s.combination();
          for (let k = 0; k < inner - 1; k++) {
            // A product alone may leave 2^53 where others make up for it.
            const value = scaled(a.values[left + k]!, b.values[right + k]!);
            const product = s.wire(value, "product", o * (inner - 1) + k);
            s.row(
              s.combination().lane(1, a, left + k),
              s.combination().lane(1, b, right + k),
              s.combination().add(1, product),
            );
            rest.add(-1, product);
          }
          const wire = s.wire(out.values[o]!, "out", o);
          const last = s.combination().lane(1, a, left + inner - 1);
          s.row(last, s.combination().lane(1, b, right + inner - 1), rest.add(1, wire));
          out.wires[o] = wire;
        }
      }
    }
  },
};
