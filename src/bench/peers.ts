/**
 * How many rows a model would take as circuits in the style of circomlib-ml (socathie/circomlib-ml at c82b307, what
 * keras2circom emits), where every weight is a signal.
 *
 * Costs of its templates, compiled here by circom at -O2, which leaves no linear row of them:
 *
 * - a product of a weight and a value, 1 (Dense, Conv2D, DepthwiseConv2D); 0 where the value is the zero of a padding;
 * - ReLU, 517: `Num2Bits(254)` 254, `Sign` 262 (`CompConstant`: 127 pairs of bits, then 135 bits of their sum), and the
 *   product. The decomposition into 254 bits is not strict, so that it is no proof of a sign;
 * - MaxPooling2D of n, 254 n - 1: `GreaterThan(252)` 253 and a switch for each, the first one against itself;
 * - ArgMax of n, 255 n - 3: two switches for each;
 * - AveragePooling2D, GlobalAveragePooling2D, and the division after a layer, 0: their remainders are no part of the
 *   circuit but an `assert`, and a prover may choose them;
 * - Zigmoid and Zanh, 2: polynomials of degree 3, near sigmoid and tanh around 0 only. They stand here for every
 *   function of one number.
 *
 * What has no template there (softmax, normalisation, embeddings) counts nothing and is named: such a count is a lower
 * bound. And none of those circuits commits to its input, as ours do.
 *
 * The formula gives the six counts that Guy1m0/ZKML-Benchmark measured for its networks exactly, without a single row
 * off (test/bench/peers.test.ts).
 *
 * @module
 */

import type { FloatGraph, FloatNode } from "../model/float.js";
import { sizeOf } from "../model/graph.js";

export interface PeerCount {
  rows: number;
  /** Of the products with weights, and of values with each other. */
  products: number;
  /** Kinds of nodes that there is no template for. */
  missing: string[];
}

const RELU = 517;
const POLYNOMIAL = 2;

export function circomlibMlRows(graph: FloatGraph): PeerCount {
  let [products, rest] = [0, 0];
  const missing = new Set<string>();
  /** Of each node: its lanes that are constants, such as paddings. */
  const constants: Uint8Array[] = [];
  for (const node of graph.nodes) {
    const taken = node.op === "input" || node.op === "adapter" ? [] : node.inputs.map((id) => constants[id]!);
    const first = taken[0] ?? new Uint8Array();
    let own: Uint8Array;
    switch (node.op) {
      case "input":
        own = new Uint8Array(sizeOf(node.shape));
        break;
      case "adapter":
        own = new Uint8Array(node.values.length);
        break;
      case "arrange": {
        const all = Uint8Array.from(taken.flatMap((each) => Array.from(each)));
        own = Uint8Array.from(node.index, (from) => (from < 0 ? 1 : all[from]!));
        break;
      }
      case "linear": {
        // One weight for all is a parameter of a template: the average of a pool, the scaling of an input.
        if (!node.weights.every((weight) => weight === node.weights[0])) {
          products += node.outputs * first.reduce((variable, constant) => variable + 1 - constant, 0);
        }
        own = new Uint8Array(node.groups * node.outputs * node.positions);
        break;
      }
      case "clip":
        rest +=
          RELU *
          (Number(node.min > Number.NEGATIVE_INFINITY) + Number(node.max < Number.POSITIVE_INFINITY)) *
          first.length;
        own = first;
        break;
      case "map":
        rest += POLYNOMIAL * first.length;
        own = first;
        break;
      case "max":
        rest += (254 * node.window - 1) * (first.length / node.window);
        own = new Uint8Array(first.length / node.window);
        break;
      case "argMax":
        rest += (255 * node.width - 3) * (first.length / node.width);
        own = new Uint8Array(first.length / node.width);
        break;
      case "mul":
        products += first.length;
        own = new Uint8Array(first.length);
        break;
      case "matMul":
        products += node.groups * node.rows * node.cols * node.inner;
        own = new Uint8Array(node.groups * node.rows * node.cols);
        break;
      case "lookup":
        missing.add(WORDS[node.op]!);
        own = new Uint8Array(first.length * node.width);
        break;
      case "softmax":
      case "normalise":
        missing.add(WORDS[node.op]!);
        own = new Uint8Array(first.length);
        break;
      case "add":
      case "grid":
        own = new Uint8Array(first.length);
        break;
    }
    constants.push(own);
  }
  return { rows: products + rest, products, missing: [...missing].sort() };
}

const WORDS: { readonly [Op in FloatNode["op"]]?: string } = {
  lookup: "embedding",
  normalise: "normalisation",
  softmax: "softmax",
};
