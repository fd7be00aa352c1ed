/**
 * Rewrites a float graph to one that means the same and costs less to prove.
 *
 * Movement is free in a circuit, so all of it is merged into as few `arrange` nodes as possible; what is linear is
 * multiplied together where that makes nothing larger (scales and shifts of channels into their neighbours, so that no
 * rounding comes between); what acts on single elements is done where there are fewest of them.
 *
 * Vertices point at each other here, which makes rewriting plain; {@link simplify} numbers them again at its end.
 *
 * @module
 */

import type { FloatArrange, FloatClip, FloatGraph, FloatGrid, FloatLinear, FloatNode } from "../float.js";
import { locator } from "../graph.js";
import { evaluate, inputsOf, lengthOf, roundHalfEven } from "../run.js";
import { prune } from "./prune.js";

/** A float graph whose nodes know which value of the graph before they stand for. */
export interface Traced {
  readonly nodes: readonly FloatNode[];
  /** Ids in the given graph. A node that stands for no value there has none. */
  readonly origin: readonly (number | undefined)[];
  /** Number of values of each node. */
  readonly lengths: readonly number[];
}

interface Vertex {
  /** Its `inputs` are out of date until the end; {@link Vertex.inputs} counts. */
  node: FloatNode;
  inputs: Vertex[];
  length: number;
  origin: number | undefined;
}

type Linear = Vertex & { node: FloatLinear };
type Arrange = Vertex & { node: FloatArrange };

/** Bits of a typical accumulator: where two orders of operations are compared by their rows. */
const TYPICAL_BITS = 24;
/** An integer graph's limit on the inputs of an arrange node. */
const ARRANGE_INPUTS = 64;
/** Weights of a pool that are kept apart for the sake of the scales that they take in. */
const SEPARATE_WEIGHTS = 65_536;
/** A logit that is moved by this is masked: `exp` of it is nothing. */
const MASKED = -9999;
const ROUNDS = 64;

export interface SimplifyOptions {
  /** The index of the largest output is wanted, not the outputs. */
  readonly classOnly: boolean;
  /** The input's grid, where its integers are on it already, or as near as they can be. */
  readonly withoutInputGrid?: FloatGrid;
}

/** The grid that everything takes the input from, if there is one. */
export function inputGrid({ nodes }: Traced): FloatGrid | undefined {
  const takers = nodes.filter((node) => inputsOf(node).includes(0));
  const [grid] = takers;
  return takers.length === 1 && grid?.op === "grid" && grid.scale.length === 1 ? grid : undefined;
}

/** The graph must be well formed: lengths fit, nodes refer to nodes before them. */
export function simplify(graph: FloatGraph, options: SimplifyOptions): Traced {
  const once = rewrite({ nodes: graph.nodes, origin: graph.nodes.map((_, id) => id) }, options);
  const pruned = prune(once);
  return pruned === once ? once : rewrite(pruned, options);
}

function rewrite(graph: Pick<Traced, "nodes" | "origin">, options: SimplifyOptions): Traced {
  const { classOnly, withoutInputGrid } = options;
  const vertices: Vertex[] = [];
  graph.nodes.forEach((node, id) => {
    const inputs = inputsOf(node).map((from) => vertices[from]!);
    const length = lengthOf(
      node,
      inputs.map((input) => input.length),
    );
    vertices.push({ node, inputs, length, origin: graph.origin[id] });
  });
  const editor = new Editor(vertices.at(-1)!, vertices[0]!, withoutInputGrid);
  if (classOnly) editor.classify();
  const passes = [
    editor.inputGrid,
    editor.arranges,
    editor.padding,
    editor.masks,
    editor.elementwise,
    editor.affineForwards,
    editor.affineBackwards,
    editor.products,
    editor.beforeArrange,
    editor.afterMax,
  ];
  for (let round = 0; round < ROUNDS; round++) {
    let changed = false;
    for (const pass of passes) changed = editor.run(pass) || changed;
    if (!changed) break;
  }
  return editor.numbered();
}

class Editor {
  #output: Vertex;
  readonly #input: Vertex;
  readonly #inputGrid: FloatGrid | undefined;
  #order: Vertex[] = [];
  #consumers = new Map<Vertex, Vertex[]>();

  constructor(output: Vertex, input: Vertex, inputGrid: FloatGrid | undefined) {
    this.#output = output;
    this.#input = input;
    this.#inputGrid = inputGrid;
  }

  /** Applies a pass to each vertex, in order of evaluation, until it changes nothing. */
  run(pass: (this: Editor, vertex: Vertex) => boolean): boolean {
    let changed = false;
    this.#survey();
    // A change may take away or add neighbours: the survey is made again before the next vertex is looked at.
    for (let at = 0; at < this.#order.length; at++) {
      if (!pass.call(this, this.#order[at]!)) continue;
      changed = true;
      const done = new Set(this.#order.slice(0, at + 1));
      this.#survey();
      at = -1;
      while (at + 1 < this.#order.length && done.has(this.#order[at + 1]!)) at++;
    }
    return changed;
  }

  /** The largest output is that of the values before a softmax or any common shift; then its index. */
  classify(): void {
    if (this.#output.node.op === "argMax") return;
    let source = this.#output;
    while (source.node.op === "softmax" && source.node.width === source.length) source = source.inputs[0]!;
    const node: FloatNode = { op: "argMax", node: this.#output.node.node, inputs: [0], width: source.length };
    this.#output = { node, inputs: [source], length: 1, origin: undefined };
  }

  numbered(): Traced {
    this.#survey();
    const ids = new Map(this.#order.map((vertex, id) => [vertex, id]));
    return {
      nodes: this.#order.map(({ node, inputs }) =>
        node.op === "input" || node.op === "adapter"
          ? node
          : ({ ...node, inputs: inputs.map((input) => ids.get(input)!) } as FloatNode),
      ),
      origin: this.#order.map(({ origin }) => origin),
      lengths: this.#order.map(({ length }) => length),
    };
  }

  /** Takes the input itself for what is its grid alone. */
  inputGrid(vertex: Vertex): boolean {
    const grid = this.#inputGrid;
    if (grid === undefined) return false;
    const at = vertex.inputs.findIndex(({ node, inputs }) => inputs[0] === this.#input && sameFunction(node, grid));
    if (at === -1) return false;
    vertex.inputs[at] = this.#input;
    return true;
  }

  /** Merges an arrange into the ones before it; drops one that moves nothing. */
  arranges(vertex: Vertex): boolean {
    for (const [i, input] of vertex.inputs.entries()) {
      if (isArrange(input) && isIdentity(input)) {
        vertex.inputs[i] = sourceOf(input);
        return true;
      }
    }
    if (!isArrange(vertex)) return false;
    if (vertex === this.#output && isIdentity(vertex)) {
      this.#output = sourceOf(vertex);
      return true;
    }
    const sources = vertex.inputs.flatMap((input) => (isArrange(input) ? input.inputs : [input]));
    const merges = vertex.inputs.some(isArrange) && new Set(sources).size <= ARRANGE_INPUTS;
    const used = usedInputs(vertex);
    const { index, constants } = vertex.node;
    const filled = new Set(index.filter((from) => from < 0)).size === constants.length;
    const lean = used.size === vertex.inputs.length && new Set(vertex.inputs).size === vertex.inputs.length;
    if (!merges && filled && (lean || vertex.inputs.length === 1)) return false;

    const origins: (Vertex | number)[] = []; // a source, or a constant
    const elements = new Int32Array(vertex.length);
    const locate = sourcesOf(vertex);
    for (let k = 0; k < vertex.length; k++) {
      let [source, element] = locate(index[k]!);
      if (merges && typeof source !== "number" && isArrange(source)) {
        [source, element] = sourcesOf(source)(source.node.index[element]!);
      }
      origins.push(source);
      elements[k] = element;
    }
    Object.assign(vertex, arrangement(vertex.node.node, origins, elements, vertex.inputs[0]!));
    return true;
  }

  /** A constant that no window of a max can give (padding by -Infinity, or below a clip) becomes a repeated element. */
  padding(vertex: Vertex): boolean {
    const { node } = vertex;
    if (node.op !== "max") return false;
    const arrange = vertex.inputs[0]!;
    if (!isArrange(arrange)) return false;
    const floor = arrange.inputs.reduce(
      (least, { node: source }) => Math.min(least, source.op === "clip" ? source.min : Number.NEGATIVE_INFINITY),
      Number.POSITIVE_INFINITY,
    );
    const { index, constants } = arrange.node;
    const next = index.slice();
    for (let start = 0; start < index.length; start += node.window) {
      const own = index.subarray(start, start + node.window).find((from) => from >= 0);
      if (own === undefined) continue;
      for (let k = start; k < start + node.window; k++) {
        if (index[k]! < 0 && constants[-1 - index[k]!]! <= floor) next[k] = own;
      }
    }
    if (next.every((from, k) => from === index[k])) return false;
    vertex.inputs = [{ ...arrange, node: { ...arrange.node, index: next }, origin: undefined }];
    return true;
  }

  /** What a constant mask takes out of a softmax is written as such: the constant -Infinity in its input. */
  masks(vertex: Vertex): boolean {
    if (vertex.node.op !== "softmax") return false;
    const below = vertex.inputs[0]!;
    const origins: (Vertex | number)[] = [];
    const elements = new Int32Array(below.length);
    const locate = isArrange(below) ? sourcesOf(below) : undefined;
    const masked = new Map<Vertex, Vertex>();
    for (let i = 0; i < below.length; i++) {
      const [source, element] = locate === undefined ? [below, i] : locate((below as Arrange).node.index[i]!);
      origins.push(source);
      elements[i] = element;
      if (typeof source === "number") continue;
      const affine = affineOf(source);
      if (affine === undefined || affine(element)[1] > MASKED) continue;
      origins[i] = Number.NEGATIVE_INFINITY;
      if (!masked.has(source)) masked.set(source, unmasked(source as Linear));
    }
    if (masked.size === 0) return false;
    const arrange = arrangement(
      vertex.node.node,
      origins.map((origin) => (typeof origin === "number" ? origin : (masked.get(origin) ?? origin))),
      elements,
      below,
    );
    vertex.inputs = [{ ...arrange, length: below.length, origin: undefined }];
    return true;
  }

  /** Functions of one number, one after the other, are one function: a clip, or a map. */
  elementwise(vertex: Vertex): boolean {
    const { node } = vertex;
    const before = vertex.inputs[0];
    if (before === undefined) return false;
    if (before.node.op === "clip" && before.node.min === -Infinity && before.node.max === Infinity) {
      vertex.inputs[0] = before.inputs[0]!;
      return true;
    }
    if (!this.#isOwn(before, vertex)) return false;
    if (node.op === "clip" && before.node.op === "clip") {
      const [a, b] = [before.node, node];
      if (a.min > b.max || b.min > a.max) return false; // constant; nobody writes that
      const merged = { ...b, node: joined(before, vertex), min: Math.max(a.min, b.min), max: Math.min(a.max, b.max) };
      Object.assign(vertex, { node: merged, inputs: before.inputs });
      return true;
    }
    const limited =
      node.op === "grid" && before.node.op === "clip"
        ? limitedGrid(node, before.node, false)
        : node.op === "clip" && before.node.op === "grid"
          ? limitedGrid(before.node, node, true)
          : undefined;
    if (limited !== undefined) {
      Object.assign(vertex, { node: { ...limited, node: joined(before, vertex) }, inputs: before.inputs });
      return true;
    }
    const [first, second] = [functionOf(before), functionOf(vertex)];
    if (first === undefined || second === undefined) return false;
    if (node.op !== "map" && before.node.op !== "map") return false;
    const apply = (x: number) => second(first(x));
    Object.assign(vertex, {
      node: { op: "map", node: joined(before, vertex), inputs: [0], apply },
      inputs: before.inputs,
    });
    return true;
  }

  /** Scales and shifts of elements go into the linear nodes that take them, where all that take them are linear. */
  affineForwards(vertex: Vertex): boolean {
    const affine = affineOf(vertex);
    if (affine === undefined || vertex === this.#output) return false;
    const folded: { linear: Linear; node: FloatLinear; input: Vertex }[] = [];
    for (const consumer of this.#consumers.get(vertex) ?? []) {
      const linears = isArrange(consumer) ? (this.#consumers.get(consumer) ?? []) : [consumer];
      if (isArrange(consumer) && consumer === this.#output) return false;
      for (const linear of linears) {
        if (!isLinear(linear) || linear === vertex) return false;
        const fold = foldInto(linear, isArrange(consumer) ? consumer : undefined, vertex, affine);
        if (fold === undefined) return false;
        folded.push({ linear, ...fold });
      }
    }
    if (folded.length === 0) return false;
    for (const { linear, node, input } of folded) {
      linear.node = node;
      linear.inputs = [input];
    }
    return true;
  }

  /** A scale and shift that is the same all over a linear node's row goes into that row. */
  affineBackwards(vertex: Vertex): boolean {
    const affine = affineOf(vertex);
    if (affine === undefined) return false;
    const between = vertex.inputs[0]!;
    const arrange = isArrange(between) && between.inputs.length === 1 ? between : undefined;
    const linear = arrange === undefined ? between : arrange.inputs[0]!;
    if (!isLinear(linear) || !this.#isOwn(between, vertex)) return false;
    if (arrange !== undefined && !this.#isOwn(linear, arrange)) return false;

    const { groups, outputs, positions, inner, weights, bias } = linear.node;
    const rows = groups * outputs;
    const scale = new Float64Array(rows);
    const shift = new Float64Array(rows);
    const seen = new Uint8Array(rows);
    for (let k = 0; k < vertex.length; k++) {
      const from = arrange === undefined ? k : arrange.node.index[k]!;
      if (from < 0) continue;
      const row = Math.floor(from / positions);
      const [s, b] = affine(k);
      if (seen[row] === 0) {
        seen[row] = 1;
        scale[row] = s;
        shift[row] = b;
      } else if (scale[row] !== s || shift[row] !== b) {
        return false;
      }
    }
    const scaled: FloatLinear = {
      ...linear.node,
      node: joined(linear, vertex),
      weights: weights.map((weight, i) => weight * scale[Math.floor(i / inner)]!),
      bias: bias.map((value, row) => value * scale[row]! + shift[row]!),
    };
    if (arrange === undefined) {
      Object.assign(vertex, { node: scaled, inputs: linear.inputs });
      return true;
    }
    const constants: number[] = [];
    const index = arrange.node.index.map((from, k) => {
      if (from >= 0) return from;
      const [s, b] = affine(k);
      constants.push(arrange.node.constants[-1 - from]! * s + b);
      return -constants.length;
    });
    const source = { node: scaled, inputs: linear.inputs, length: linear.length, origin: undefined };
    Object.assign(vertex, { node: { ...arrange.node, index, constants }, inputs: [source] });
    return true;
  }

  /** Two linear nodes, the same two at every position, are one where its weights are not more than theirs. */
  products(vertex: Vertex): boolean {
    if (!isLinear(vertex) || vertex.node.groups !== 1) return false;
    const between = vertex.inputs[0]!;
    const arrange = isArrange(between) && between.inputs.length === 1 ? between : undefined;
    const first = arrange === undefined ? between : arrange.inputs[0]!;
    if (!isLinear(first) || first.node.groups !== 1 || !this.#isOwn(between, vertex)) return false;
    if (arrange !== undefined && !this.#isOwn(first, arrange)) return false;
    const [a, b] = [first.node, vertex.node];
    if (b.outputs * a.inner > a.outputs * a.inner + b.outputs * b.inner) return false;

    // Which row of the first each inner term is, and at which position: the one must not depend on the other.
    const rows = new Int32Array(b.inner).fill(-1);
    const positions = new Int32Array(b.positions).fill(-1);
    for (let p = 0; p < b.positions; p++) {
      for (let k = 0; k < b.inner; k++) {
        const at = p * b.inner + k;
        const from = arrange === undefined ? at : arrange.node.index[at]!;
        if (from < 0) return false;
        const row = Math.floor(from / a.positions);
        const position = from % a.positions;
        if (rows[k] === -1) rows[k] = row;
        if (positions[p] === -1) positions[p] = position;
        if (rows[k] !== row || positions[p] !== position) return false;
      }
    }
    const weights = new Float64Array(b.outputs * a.inner);
    const bias = b.bias.slice();
    for (let o = 0; o < b.outputs; o++) {
      for (let k = 0; k < b.inner; k++) {
        const weight = b.weights[o * b.inner + k]!;
        bias[o]! += weight * a.bias[rows[k]!]!;
        for (let j = 0; j < a.inner; j++) {
          weights[o * a.inner + j]! += weight * a.weights[rows[k]! * a.inner + j]!;
        }
      }
    }
    const index = Int32Array.from(
      { length: b.positions * a.inner },
      (_, i) => positions[Math.floor(i / a.inner)]! * a.inner + (i % a.inner),
    );
    const name = joined(first, vertex);
    const input = {
      node: { op: "arrange" as const, node: name, inputs: [0], index, constants: [] },
      inputs: first.inputs,
      length: index.length,
      origin: undefined,
    };
    Object.assign(vertex, { node: { ...b, node: name, inner: a.inner, weights, bias }, inputs: [input] });
    return true;
  }

  /** A function of single elements goes before an arrange that has no fewer elements than what it takes. */
  beforeArrange(vertex: Vertex): boolean {
    const { node } = vertex;
    const arrange = vertex.inputs[0];
    if (node.op !== "clip" && node.op !== "map" && !(node.op === "grid" && node.scale.length === 1)) return false;
    if (arrange === undefined || !isArrange(arrange) || !this.#isOwn(arrange, vertex)) return false;
    const total = arrange.inputs.reduce((sum, { length }) => sum + length, 0);
    if (new Set(arrange.node.index.filter((from) => from >= 0)).size !== total || total === 0) return false;
    const constants = evaluate(node, [Float64Array.from(arrange.node.constants)]);
    const inputs = arrange.inputs.map((source) => ({
      ...vertex,
      inputs: [source],
      length: source.length,
      origin: undefined,
    }));
    Object.assign(vertex, { node: { ...arrange.node, constants: Array.from(constants) }, inputs });
    return true;
  }

  /**
   * A clip is monotone, so it may be done after the largest of a window is found as well as before. Windows that
   * overlap little have far fewer results than elements; the price is a comparison of accumulators.
   */
  afterMax(vertex: Vertex): boolean {
    const { node } = vertex;
    if (node.op !== "max") return false;
    const below = vertex.inputs[0]!;
    const arrange = isArrange(below) ? below : undefined;
    if (arrange !== undefined && !this.#isOwn(arrange, vertex)) return false;
    const clips = arrange === undefined ? [below] : arrange.inputs;
    const [first] = clips;
    const monotone = first?.node;
    if (
      monotone === undefined ||
      (monotone.op !== "clip" && !(monotone.op === "grid" && monotone.scale.length === 1))
    ) {
      return false;
    }
    const same = clips.every((clip) => this.#isOwn(clip, arrange ?? vertex) && sameFunction(clip.node, monotone));
    if (!same) return false;
    // A constant beside the clipped elements must be one that the clip would leave as it is.
    const constants = Float64Array.from(arrange?.node.constants ?? []);
    if (evaluate(monotone, [constants]).some((value, i) => value !== constants[i])) return false;

    const elements = clips.reduce((sum, { length }) => sum + length, 0);
    const taken = vertex.length * node.window;
    const clipFirst = elements * (TYPICAL_BITS + 5) + taken * 8;
    const maxFirst = taken * (TYPICAL_BITS + 1) + vertex.length * (TYPICAL_BITS + 5);
    if (maxFirst >= clipFirst) return false;

    const sources = clips.map((clip) => clip.inputs[0]!);
    const moved = arrange === undefined ? sources[0]! : { ...arrange, inputs: sources, origin: undefined };
    const largest = { ...vertex, inputs: [moved], origin: undefined };
    Object.assign(vertex, { node: { ...monotone, node: joined(first!, vertex) }, inputs: [largest] });
    return true;
  }

  /** Nothing but `consumer` takes this value. */
  #isOwn(vertex: Vertex, consumer: Vertex): boolean {
    const consumers = this.#consumers.get(vertex);
    return vertex !== this.#output && consumers?.length === 1 && consumers[0] === consumer;
  }

  /** Orders what the output needs, inputs first, and notes who takes what. */
  #survey(): void {
    const order: Vertex[] = [this.#input];
    const seen = new Set<Vertex>(order);
    const stack: { vertex: Vertex; next: Vertex[] }[] = [];
    const enter = (vertex: Vertex) => {
      if (seen.has(vertex)) return;
      seen.add(vertex);
      // Of a sum, what has weights to adapt to the other comes last.
      const next = [...new Set(vertex.inputs)];
      if (vertex.node.op === "add" && isLinear(skipArrange(next[0]!))) next.reverse();
      stack.push({ vertex, next });
    };
    enter(this.#output);
    while (stack.length > 0) {
      const { vertex, next } = stack.at(-1)!;
      const input = next.shift();
      if (input !== undefined) enter(input);
      else {
        stack.pop();
        order.push(vertex);
      }
    }
    const adapter = order.findIndex(({ node }) => node.op === "adapter");
    if (adapter > 1) order.splice(1, 0, ...order.splice(adapter, 1));
    this.#order = order;
    this.#consumers = new Map();
    for (const vertex of order) {
      for (const input of new Set(vertex.inputs)) {
        const consumers = this.#consumers.get(input);
        if (consumers === undefined) this.#consumers.set(input, [vertex]);
        else consumers.push(vertex);
      }
    }
  }
}

function isArrange(vertex: Vertex): vertex is Arrange {
  return vertex.node.op === "arrange";
}

function isLinear(vertex: Vertex): vertex is Linear {
  return vertex.node.op === "linear";
}

function skipArrange(vertex: Vertex): Vertex {
  return isArrange(vertex) && vertex.inputs.length > 0 ? vertex.inputs[0]! : vertex;
}

function joined(first: Vertex, second: Vertex): string {
  return [...new Set([...first.node.node.split(" + "), ...second.node.node.split(" + ")])].join(" + ");
}

function isIdentity(vertex: Arrange): boolean {
  const [source] = vertex.inputs;
  return (
    vertex.inputs.length === 1 && source!.length === vertex.length && vertex.node.index.every((from, k) => from === k)
  );
}

/** What an identity repeats; it stands for the same value from now on. */
function sourceOf(identity: Arrange): Vertex {
  const source = identity.inputs[0]!;
  source.origin ??= identity.origin;
  return source;
}

/** Turns an entry of an arrange's index into a source and its element, or a constant. */
function sourcesOf({ inputs, node }: Arrange): (from: number) => [Vertex | number, number] {
  const locate = locator(inputs.map(({ length }) => length));
  return (from) => {
    if (from < 0) return [node.constants[-1 - from]!, 0];
    const [source, element] = locate(from);
    return [inputs[source]!, element];
  };
}

function usedInputs(vertex: Arrange): Set<Vertex> {
  const locate = sourcesOf(vertex);
  const used = new Set<Vertex>();
  for (const from of vertex.node.index) {
    if (from < 0) continue;
    const [source] = locate(from);
    if (typeof source !== "number") used.add(source);
  }
  return used;
}

/** An arrange of elements of sources, and constants. One of constants alone keeps a source, for nodes have inputs. */
function arrangement(
  name: string,
  origins: readonly (Vertex | number)[],
  elements: Int32Array,
  fallback: Vertex,
): { node: FloatArrange; inputs: Vertex[] } {
  const starts = new Map<Vertex, number>();
  const places = new Map<number, number>();
  const inputs: Vertex[] = [];
  const constants: number[] = [];
  let total = 0;
  const index = new Int32Array(origins.length);
  origins.forEach((origin, k) => {
    if (typeof origin === "number") {
      let place = places.get(origin);
      if (place === undefined) {
        place = constants.push(origin);
        places.set(origin, place);
      }
      index[k] = -place;
      return;
    }
    let start = starts.get(origin);
    if (start === undefined) {
      start = total;
      starts.set(origin, start);
      inputs.push(origin);
      total += origin.length;
    }
    index[k] = start + elements[k]!;
  });
  if (inputs.length === 0) inputs.push(skipArrange(fallback));
  return { node: { op: "arrange", node: name, inputs: [], index, constants }, inputs };
}

/** Scale and shift of each element, of a linear node that does no more. */
function affineOf(vertex: Vertex): ((element: number) => [number, number]) | undefined {
  if (!isLinear(vertex)) return undefined;
  const { inner, outputs, positions, weights, bias } = vertex.node;
  if (inner !== 1 || outputs !== 1) return undefined;
  return (element) => {
    const group = Math.floor(element / positions);
    return [weights[group]!, bias[group]!];
  };
}

/** What a linear node becomes that takes an affine one's input for its output; undefined where its rows cannot hold that. */
function foldInto(
  linear: Linear,
  arrange: Arrange | undefined,
  affine: Vertex,
  parameters: (element: number) => [number, number],
): { node: FloatLinear; input: Vertex } | undefined {
  const { groups, positions, inner, outputs, weights, bias } = linear.node;
  const scale = new Float64Array(groups * inner).fill(1);
  const shift = new Float64Array(groups * inner);
  const seen = new Uint8Array(groups * inner);
  const locate = arrange === undefined ? undefined : sourcesOf(arrange);
  const length = groups * positions * inner;
  const term = (i: number) => Math.floor(i / (positions * inner)) * inner + (i % inner);
  const padding: number[] = [];
  for (let i = 0; i < length; i++) {
    let [s, b] = [1, 0];
    if (locate === undefined) {
      [s, b] = parameters(i);
    } else {
      const [source, element] = locate(arrange!.node.index[i]!);
      if (typeof source === "number") {
        padding.push(i);
        continue;
      }
      if (source === affine) [s, b] = parameters(element);
    }
    const t = term(i);
    if (s === 0) return undefined;
    if (seen[t] === 0) {
      seen[t] = 1;
      scale[t] = s;
      shift[t] = b;
    } else if (scale[t] !== s || shift[t] !== b) {
      // A mean or a pool may multiply at each position by weights of its own.
      const separate = separated(linear);
      return separate === undefined ? undefined : foldInto(separate, arrange, affine, parameters);
    }
  }
  const folded = {
    ...linear.node,
    node: joined(affine, linear),
    weights: new Float64Array(weights.length),
    bias: bias.slice(),
  };
  for (let row = 0; row < groups * outputs; row++) {
    const base = Math.floor(row / outputs) * inner;
    for (let k = 0; k < inner; k++) {
      const weight = weights[row * inner + k]!;
      folded.weights[row * inner + k] = weight * scale[base + k]!;
      folded.bias[row]! += weight * shift[base + k]!;
    }
  }
  if (arrange === undefined) return { node: folded, input: affine.inputs[0]! };
  const constants = new Map<number, number>();
  const index = arrange.node.index.slice();
  const list: number[] = [];
  for (const i of padding) {
    const t = term(i);
    // The constant that the affine node would turn into the one that stood here.
    const value = (arrange.node.constants[-1 - index[i]!]! - shift[t]!) / scale[t]!;
    let place = constants.get(value);
    if (place === undefined) {
      place = list.push(value);
      constants.set(value, place);
    }
    index[i] = -place;
  }
  const inputs = arrange.inputs.map((input) => (input === affine ? affine.inputs[0]! : input));
  return {
    node: folded,
    input: { node: { ...arrange.node, index, constants: list }, inputs, length, origin: undefined },
  };
}

/** A scale and shift without the shifts that only say that an element is not wanted. */
function unmasked(vertex: Linear): Linear {
  const bias = vertex.node.bias.map((value) => (value <= MASKED ? 0 : value));
  return { ...vertex, node: { ...vertex.node, bias }, origin: undefined };
}

/** A linear node of one output with a copy of its weights for each position, unless that makes too many. */
function separated(linear: Linear): Linear | undefined {
  const { groups, positions, inner, outputs, weights, bias } = linear.node;
  if (outputs !== 1 || positions === 1 || groups * positions * inner > SEPARATE_WEIGHTS) return undefined;
  const node: FloatLinear = {
    ...linear.node,
    groups: groups * positions,
    positions: 1,
    weights: Float64Array.from(
      { length: groups * positions * inner },
      (_, i) => weights[Math.floor(i / (positions * inner)) * inner + (i % inner)]!,
    ),
    bias: Float64Array.from({ length: groups * positions }, (_, i) => bias[Math.floor(i / positions)]!),
  };
  return { ...linear, node };
}

/** A clip, a map, or one scale and shift for all elements, as a function. */
function functionOf({ node }: Vertex): ((x: number) => number) | undefined {
  if (node.op === "map") return node.apply;
  if (node.op === "clip") {
    const { min, max } = node;
    return (x) => (x < min ? min : Math.min(x, max));
  }
  if (node.op !== "linear" || node.inner !== 1 || node.outputs !== 1) return undefined;
  const [weight, bias] = [node.weights[0]!, node.bias[0]!];
  if (node.weights.some((other) => other !== weight) || node.bias.some((other) => other !== bias)) return undefined;
  return (x) => x * weight + bias;
}

/**
 * A clip and a grid, in either order, as one grid; undefined where its ends would not be the same for all channels, or
 * where a clip after the grid ends between two of its steps.
 */
function limitedGrid(grid: FloatGrid, { min, max }: FloatClip, clipLast: boolean): FloatGrid | undefined {
  const ends = Array.from(grid.scale, (scale, c) => {
    const zero = grid.zeroPoint[c]!;
    return {
      lo: Math.max(grid.lo, min === -Infinity ? grid.lo : roundHalfEven(min / scale) + zero),
      hi: Math.min(grid.hi, max === Infinity ? grid.hi : roundHalfEven(max / scale) + zero),
      exact: [min, max].every((end) => !Number.isFinite(end) || Number.isInteger(end / scale)),
    };
  });
  const { lo, hi } = ends[0]!;
  if (lo >= hi || ends.some((each) => each.lo !== lo || each.hi !== hi || (clipLast && !each.exact))) return undefined;
  return { ...grid, lo, hi };
}

function sameFunction(a: FloatNode, b: FloatNode): boolean {
  if (a.op === "clip" && b.op === "clip") return a.min === b.min && a.max === b.max;
  if (a.op !== "grid" || b.op !== "grid") return false;
  const same = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    x.length === y.length && Array.from(x).every((value, i) => value === y[i]);
  return a.lo === b.lo && a.hi === b.hi && same(a.scale, b.scale) && same(a.zeroPoint, b.zeroPoint);
}
