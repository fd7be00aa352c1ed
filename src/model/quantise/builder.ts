/**
 * An integer graph in the making: nodes come with their proven bounds and, on the calibration samples, their values.
 *
 * @module
 */

import { throwIfAborted } from "../../errors.js";
import { proveNode, type ValueBounds } from "../bounds.js";
import { evaluate } from "../execute.js";
import { type ArrangeNode, checkGraph, type GraphNode, inputsOf, locator, type ModelGraph } from "../graph.js";
import { nextTurn } from "./numbers.js";

type Computed = Exclude<GraphNode, { op: "input" | "adapter" }>;

/** Samples between two looks at the abort signal. */
const BATCH = 32;

export class Builder {
  readonly nodes: GraphNode[] = [];
  readonly bounds: ValueBounds[] = [];
  readonly sampleCount: number;
  /** Values of each node, an array a sample; arranges are evaluated when they are read. */
  readonly #values: (Int32Array[] | undefined)[] = [];
  readonly #signal: AbortSignal | undefined;

  constructor(sampleCount: number, signal: AbortSignal | undefined) {
    this.sampleCount = sampleCount;
    this.#signal = signal;
  }

  /** An input or an adapter, with its values on the samples. */
  start(node: GraphNode, values: Int32Array[]): number {
    this.bounds.push(proveNode(node, this.nodes.length, this.bounds));
    this.#values.push(values);
    return this.nodes.push(node) - 1;
  }

  /**
   * Adds a node; `values` are its values on the samples where they are known already.
   *
   * @throws AnchorError `MODEL_UNBOUNDED`; the graph is then as before.
   */
  async push(node: Computed, values?: Int32Array[]): Promise<number> {
    const id = this.nodes.length;
    this.bounds.push(proveNode(node, id, this.bounds));
    this.nodes.push(node);
    this.#values.push(node.op === "arrange" ? undefined : (values ?? (await this.evaluate(node))));
    return id;
  }

  /** Adds an arrange, merged into those that it takes; where nothing moves, there is nothing to add. */
  async arrange(inputs: readonly number[], index: Int32Array, constants: readonly number[]): Promise<number> {
    const sources = new Map<number, number>();
    const list: number[] = [];
    const places = new Map<number, number>();
    const origins = new Int32Array(index.length); // source, or -1
    const elements = new Int32Array(index.length);
    const locate = locator(inputs.map((input) => this.lengthOf(input)));
    const merging = new Set(inputs.flatMap((input) => this.#sourcesOf(input))).size <= 64;
    for (let k = 0; k < index.length; k++) {
      let from = index[k]!;
      let constant = from < 0 ? constants[-1 - from]! : 0;
      let source = -1;
      if (from >= 0) {
        const [taken, element] = locate(from);
        source = inputs[taken]!;
        from = element;
        const below = this.nodes[source]!;
        if (merging && below.op === "arrange") {
          from = below.index[from]!;
          if (from < 0) {
            constant = below.constants[-1 - from]!;
            source = -1;
          } else {
            let j = 0;
            while (from >= this.lengthOf(below.inputs[j]!)) from -= this.lengthOf(below.inputs[j++]!);
            source = below.inputs[j]!;
          }
        }
      }
      origins[k] = source;
      if (source === -1) {
        if (!places.has(constant)) places.set(constant, list.push(constant));
        elements[k] = -places.get(constant)!;
      } else {
        if (!sources.has(source)) sources.set(source, 0);
        elements[k] = from;
      }
    }
    if (sources.size === 0) sources.set(inputs[0]!, 0);
    let total = 0;
    for (const source of sources.keys()) {
      sources.set(source, total);
      total += this.lengthOf(source);
    }
    const [only] = sources.keys();
    const merged = elements.map((element, k) => (origins[k] === -1 ? element : element + sources.get(origins[k]!)!));
    if (sources.size === 1 && merged.length === total && merged.every((from, k) => from === k)) return only!;
    return this.push({ op: "arrange", inputs: [...sources.keys()], index: merged, constants: list });
  }

  lengthOf(id: number): number {
    return this.bounds[id]!.min.length;
  }

  /** A node's values on the samples, without adding it. */
  async evaluate(node: Computed): Promise<Int32Array[]> {
    const results: Int32Array[] = [];
    for (let sample = 0; sample < this.sampleCount; sample++) {
      if (sample % BATCH === 0) {
        throwIfAborted(this.#signal);
        await nextTurn();
      }
      const values: Int32Array[] = [];
      for (const input of node.inputs) values[input] = this.valueOf(input, sample);
      results.push(evaluate(node, values));
    }
    return results;
  }

  valueOf(id: number, sample: number): Int32Array {
    const known = this.#values[id];
    if (known !== undefined) return known[sample]!;
    const node = this.nodes[id] as ArrangeNode;
    const values: Int32Array[] = [];
    for (const input of node.inputs) values[input] = this.valueOf(input, sample);
    return evaluate(node, values);
  }

  /** Forgets the values of all nodes but those that are needed for the given ones. */
  keep(ids: Iterable<number>): void {
    const needed = new Set<number>();
    for (const id of ids) for (const source of this.#sourcesOf(id)) needed.add(source);
    for (let id = 0; id < this.#values.length; id++) {
      if (!needed.has(id) && this.nodes[id]!.op !== "arrange") this.#values[id] = [];
    }
  }

  /** The checked graph of what `output` needs, and the new ids. */
  finish(output: number): { graph: ModelGraph; ids: (number | undefined)[] } {
    const needed = new Uint8Array(this.nodes.length);
    needed[output] = 1;
    needed[0] = 1;
    if (this.nodes[1]?.op === "adapter") needed[1] = 1;
    for (let id = output; id >= 0; id--) {
      if (needed[id] === 1) for (const input of inputsOf(this.nodes[id]!)) needed[input] = 1;
    }
    const ids: (number | undefined)[] = [];
    const nodes: GraphNode[] = [];
    this.nodes.forEach((node, id) => {
      ids.push(needed[id] === 1 ? nodes.length : undefined);
      if (needed[id] === 0) return;
      if (node.op === "input" || node.op === "adapter") nodes.push(node);
      else nodes.push({ ...node, inputs: node.inputs.map((input) => ids[input]!) } as GraphNode);
    });
    return { graph: checkGraph({ nodes }), ids };
  }

  /** What an arrange's values come from; itself for any other node. */
  #sourcesOf(id: number): readonly number[] {
    const node = this.nodes[id]!;
    return node.op === "arrange" ? node.inputs.flatMap((input) => this.#sourcesOf(input)) : [id];
  }
}
