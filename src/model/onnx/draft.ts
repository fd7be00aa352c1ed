/**
 * The graph while it grows: the nodes of a float graph, and two kinds that end with the reading.
 *
 * - `affine` scales and shifts every value on its own. It becomes part of the linear node before it, of a table, or a
 *   linear node.
 * - `pointwise` is a function of several values at one place. It is legal only where all of them come from one value,
 *   and becomes a table.
 *
 * Every method takes ids of nodes or arrays of constants. Of constants alone it gives constants, computed by the same
 * rules as the executor's: so constants are folded through every operator that the reader knows. Movements of movements
 * are one movement. Nodes that nothing uses in the end are dropped (`finish.ts`), so
 * that patterns can be recognised late.
 *
 * @module
 */

import type { FloatNode } from "../float.js";
import { GRAPH_LIMITS } from "../graph.js";
import { evaluate, inputsOf, lengthOf } from "../run.js";
import { malformed, tooLarge } from "./errors.js";
import { isIdentity } from "./layout.js";
import { type Lean, MOST_CONSTANTS, MOST_INPUTS, type Part, readThrough } from "./through.js";

/** `out[i] = scale[c] · in[i] + bias[c]`, lane i of N being of channel `floor(i · C / N)`. */
export interface Affine {
  readonly op: "affine";
  readonly node: string;
  readonly inputs: readonly [number];
  readonly scale: Float64Array;
  readonly bias: Float64Array;
}

export interface Pointwise {
  readonly op: "pointwise";
  readonly node: string;
  readonly inputs: readonly number[];
  readonly apply: (...values: number[]) => number;
  /** What to say where the inputs do not come from one value. */
  readonly refusal: string;
}

export type DraftNode = FloatNode | Affine | Pointwise;

/** An id, or constants. */
export type Flat = number | Float64Array;

type Without<T> = T extends unknown ? Omit<T, "node" | "inputs"> : never;
/** Nodes of one input, without what the draft adds. */
type Unary = Without<Extract<FloatNode, { readonly inputs: readonly [number] }>>;

export class Draft {
  readonly nodes: DraftNode[] = [];
  readonly lengths: number[] = [];
  /** Label of the file's node that nodes to come stand for. */
  at = "";
  readonly #spent = { values: 0, indices: 0, multiplications: 0, constants: 0 };

  push(node: DraftNode): number {
    const inputs = draftInputs(node).map((id) => this.lengths[id]!);
    const length = node.op === "affine" || node.op === "pointwise" ? inputs[0]! : lengthOf(node, inputs);
    if (length > GRAPH_LIMITS.width) {
      throw tooLarge(`node ${this.at}: gives ${length} values; the limit is ${GRAPH_LIMITS.width}`);
    }
    this.spend("values", length);
    this.nodes.push(node);
    this.lengths.push(length);
    return this.nodes.length - 1;
  }

  /**
   * Counts work before it is done, what is dropped later included: a file of a few bytes must not make the reader
   * allocate or compute without end.
   */
  spend(what: "values" | "indices" | "multiplications" | "constants", amount: number): void {
    if (what === "indices" && amount > GRAPH_LIMITS.weights) {
      throw tooLarge(`node ${this.at}: moves ${amount} values; the limit is ${GRAPH_LIMITS.weights}`);
    }
    const limit = 2 * (what === "constants" ? GRAPH_LIMITS.weights : GRAPH_LIMITS[what]);
    if (!((this.#spent[what] += amount) <= limit)) {
      throw tooLarge(`node ${this.at}: the model needs more than ${limit} ${what}`);
    }
  }

  length(flat: Flat): number {
    return typeof flat === "number" ? this.lengths[flat]! : flat.length;
  }

  /** `out[k] = concat(inputs)[index[k]]`, or `constants[-1 - index[k]]`. The caller has spent the indices. */
  arrange(inputs: readonly Flat[], index: Int32Array, constants: readonly number[] = []): Flat {
    const [first] = inputs;
    if (inputs.length === 1 && index.length === this.length(first!) && isIdentity(index)) return first!;
    if (inputs.every((input) => typeof input !== "number")) {
      this.spend("constants", index.length);
      return evaluate({ op: "arrange", node: this.at, inputs: [], index, constants }, inputs as Float64Array[]);
    }
    const direct = (input: Flat): Part =>
      typeof input === "number" ? { id: input, length: this.lengths[input]! } : { values: input };
    const deep = (input: Flat): Part => {
      const node = typeof input === "number" ? this.nodes[input] : undefined;
      return node?.op === "arrange" ? { ...node, lengths: node.inputs.map((id) => this.lengths[id]!) } : direct(input);
    };
    let lean = readThrough(inputs.map(deep), index, constants);
    if (lean.inputs.length > MOST_INPUTS) lean = readThrough(inputs.map(direct), index, constants);
    if (lean.inputs.length === 0) {
      this.spend("constants", index.length);
      return lean.index.length === 0
        ? new Float64Array()
        : Float64Array.from(lean.index, (from) => lean.constants[-1 - from]!);
    }
    if (lean.constants.length > MOST_CONSTANTS) {
      throw tooLarge(`node ${this.at}: more than ${MOST_CONSTANTS} constants stand among computed values`);
    }
    const [only] = lean.inputs;
    if (lean.inputs.length === 1 && this.lengths[only!] === lean.index.length && isIdentity(lean.index)) return only!;
    if (lean.inputs.length > MOST_INPUTS) return this.#arrangeMany(lean);
    return this.push({ op: "arrange", node: this.at, ...lean });
  }

  /** More inputs than a node may have: whole inputs are joined first. */
  #arrangeMany(lean: Lean): Flat {
    const joined: number[] = [];
    for (let start = 0; start < lean.inputs.length; start += MOST_INPUTS) {
      const inputs = lean.inputs.slice(start, start + MOST_INPUTS);
      const length = inputs.reduce((sum, id) => sum + this.lengths[id]!, 0);
      this.spend("indices", length);
      const index = Int32Array.from({ length }, (_, k) => k);
      joined.push(this.push({ op: "arrange", node: this.at, inputs, index, constants: [] }));
    }
    if (joined.length > MOST_INPUTS) throw tooLarge(`node ${this.at}: joins more than ${MOST_INPUTS ** 2} values`);
    return this.push({ op: "arrange", node: this.at, ...lean, inputs: joined });
  }

  /** A node of one input. */
  unary(input: Flat, node: Unary): Flat {
    const whole = { ...node, node: this.at, inputs: [typeof input === "number" ? input : 0] } as unknown as FloatNode;
    if (whole.op === "linear") this.spend("multiplications", whole.weights.length * whole.positions);
    if (typeof input !== "number") {
      this.spend("constants", lengthOf(whole, [input.length]));
      return evaluate(whole, [input]);
    }
    if (whole.op === "clip") {
      const before = this.nodes[input]!;
      if (before.op === "clip") {
        const { min, max } = whole;
        const inner = { min: clamp(before.min, min, max), max: clamp(before.max, min, max) };
        return this.push({ ...whole, ...inner, inputs: before.inputs, node: joinLabels([before.node, this.at]) });
      }
    }
    return this.push(whole);
  }

  map(input: Flat, apply: (x: number) => number): Flat {
    return this.unary(input, { op: "map", apply });
  }

  affine(input: Flat, scale: Float64Array, bias: Float64Array): Flat {
    const channels = commonMultiple(scale.length, bias.length);
    if (typeof input !== "number") {
      this.spend("constants", input.length);
      const lanes = input.length / channels;
      return input.map((value, i) => {
        const channel = Math.floor(i / lanes);
        return at(scale, channel, channels) * value + at(bias, channel, channels);
      });
    }
    if (scale.every((s) => s === 1) && bias.every((b) => b === 0)) return input;
    this.spend("constants", 2 * channels);
    return this.push({
      op: "affine",
      node: this.at,
      inputs: [input],
      scale: Float64Array.from({ length: channels }, (_, c) => at(scale, c, channels)),
      bias: Float64Array.from({ length: channels }, (_, c) => at(bias, c, channels)),
    });
  }

  /** Of two computed values of one length, or of constants. */
  add(a: number, b: number): Flat {
    if (a === b) return this.affine(a, Float64Array.of(2), Float64Array.of(0));
    return this.push({ op: "add", node: this.at, inputs: [a, b] });
  }

  mul(a: number, b: number): Flat {
    return this.push({ op: "mul", node: this.at, inputs: [a, b] });
  }

  pointwise(inputs: readonly number[], apply: (...values: number[]) => number, refusal: string): Flat {
    return this.push({ op: "pointwise", node: this.at, inputs, apply, refusal });
  }

  matMul(a: Flat, b: Flat, sizes: { groups: number; rows: number; inner: number; cols: number }): Flat {
    this.spend("multiplications", sizes.groups * sizes.rows * sizes.inner * sizes.cols);
    const node = { op: "matMul" as const, node: this.at, ...sizes };
    if (typeof a === "number" && typeof b === "number") return this.push({ ...node, inputs: [a, b] });
    if (typeof a === "number" || typeof b === "number") throw malformed(`node ${this.at}: a constant factor is linear`);
    this.spend("constants", sizes.groups * sizes.rows * sizes.cols);
    return evaluate({ ...node, inputs: [0, 1] }, [a, b]);
  }
}

export function draftInputs(node: DraftNode): readonly number[] {
  return node.op === "affine" || node.op === "pointwise" ? node.inputs : inputsOf(node);
}

const MOST_LABELS = 24;

/** `"a" (Conv) + "b" (Relu)`, each once, and not without end. */
export function joinLabels(labels: readonly string[]): string {
  const all = [...new Set(labels.flatMap((each) => each.split(" + ")).filter((each) => each !== ""))];
  return all.length > MOST_LABELS ? [...all.slice(0, MOST_LABELS), "…"].join(" + ") : all.join(" + ");
}

/** `outer` of `inner`, as one. */
export function composed(outer: Affine, inner: Affine): Affine {
  const channels = commonMultiple(outer.scale.length, inner.scale.length);
  const scale = new Float64Array(channels);
  const bias = new Float64Array(channels);
  for (let c = 0; c < channels; c++) {
    const factor = at(outer.scale, c, channels);
    scale[c] = factor * at(inner.scale, c, channels);
    bias[c] = factor * at(inner.bias, c, channels) + at(outer.bias, c, channels);
  }
  return { op: "affine", node: joinLabels([inner.node, outer.node]), inputs: inner.inputs, scale, bias };
}

/** The entry for channel `c` of `channels`. */
function at(values: Float64Array, c: number, channels: number): number {
  return values[Math.floor((c * values.length) / channels)]!;
}

function commonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a / x) * b;
}

function clamp(x: number, min: number, max: number): number {
  return Math.min(Math.max(x, min), max);
}
