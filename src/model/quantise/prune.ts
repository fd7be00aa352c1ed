/**
 * Leaves out what no output depends on: positions that only a later slice would drop (all tokens but the first, of the
 * last block of a classifier), channels whose weights onward are 0.
 *
 * @module
 */

import type { FloatLinear, FloatNode } from "../float.js";
import { locator } from "../graph.js";
import { inputsOf } from "../run.js";
import type { Traced } from "./simplify.js";

/** The same outputs from fewer elements; the graph itself where it has none to spare. */
export function prune(graph: Traced): Traced {
  const { nodes, lengths } = graph;
  const live = livenessOf(graph);
  // Arranges and the input cost nothing, whatever of them is used.
  const spare = nodes.some(
    ({ op }, id) => op !== "input" && op !== "adapter" && op !== "arrange" && live[id]!.some((each) => each === 0),
  );
  if (!spare) return graph;

  const result: { node: FloatNode; origin: number | undefined; length: number }[] = [];
  const ids: number[] = [];
  /** Where the elements that are left of each node are now; -1 for the others. */
  const places: Int32Array[] = [];
  const add = (node: FloatNode, origin: number | undefined, length: number) =>
    result.push({ node, origin, length }) - 1;
  /** The listed elements of a value, in this order; 0 for one that has no weight. */
  const taken = (source: number, elements: Int32Array, name: string): number => {
    const index = elements.map((element) => places[source]![element]!);
    const from = index.every((at) => at === -1) ? 0 : ids[source]!;
    if (index.length === result[from]!.length && index.every((at, k) => at === k)) return from;
    return add({ op: "arrange", node: name, inputs: [from], index, constants: [0] }, undefined, index.length);
  };
  nodes.forEach((node, id) => {
    // What nothing depends on stays as it is, of zeros, until it is dropped altogether.
    const kept: Kept = live[id]!.includes(1) ? keep(node, live[id]!) : { whole: true };
    const elements = "elements" in kept ? kept.elements : everything(lengths[id]!);
    const place = new Int32Array(lengths[id]!).fill(-1);
    elements.forEach((element, k) => {
      place[element] = k;
    });
    places.push(place);
    const origin = elements.length === lengths[id] && !("whole" in kept) ? graph.origin[id] : undefined;
    if (inputsOf(node).length === 0) {
      ids.push(add(node, graph.origin[id], lengths[id]!));
      return;
    }
    if (node.op === "arrange") {
      // Sources may have lost elements that this one does not name.
      const locate = locator(node.inputs.map((input) => lengths[input]!));
      const news: number[] = [];
      let total = 0;
      for (const input of node.inputs) {
        news.push(total);
        total += result[ids[input]!]!.length;
      }
      const index = elements.map((k) => {
        const from = node.index[k]!;
        if (from < 0) return from;
        const [source, element] = locate(from);
        const at = places[node.inputs[source]!]![element]!;
        return at === -1 ? -1 - node.constants.length : news[source]! + at;
      });
      const inputs = node.inputs.map((input) => ids[input]!);
      ids.push(add({ ...node, inputs, index, constants: [...node.constants, 0] }, origin, index.length));
      return;
    }
    const inputs = inputsOf(node).map((source, i) =>
      taken(source, "inputs" in kept ? kept.inputs[i]! : everything(lengths[source]!), node.node),
    );
    ids.push(add({ ...node, ...("change" in kept ? kept.change : {}), inputs } as FloatNode, origin, elements.length));
  });
  return {
    nodes: result.map(({ node }) => node),
    origin: result.map(({ origin }) => origin),
    lengths: result.map(({ length }) => length),
  };
}

/** Elements that a node still gives, in their old order, those that it takes for them, and what of it changes. */
type Kept =
  | { readonly elements: Int32Array; readonly inputs: readonly Int32Array[]; readonly change: Partial<FloatNode> }
  | { readonly elements: Int32Array; readonly inputs: readonly Int32Array[] }
  | { readonly elements: Int32Array }
  | { readonly whole: true };

function keep(node: FloatNode, live: Uint8Array): Kept {
  switch (node.op) {
    case "arrange":
      return { elements: set(live) };
    case "clip":
    case "map":
    case "add":
    case "mul": {
      const elements = set(live);
      return { elements, inputs: inputsOf(node).map(() => elements) };
    }
    case "grid": {
      if (node.scale.length > 1) return { whole: true };
      const elements = set(live);
      return { elements, inputs: [elements] };
    }
    case "linear": {
      const { groups, positions, inner, outputs, weights, bias } = node;
      const seen = { g: new Uint8Array(groups), o: new Uint8Array(outputs), p: new Uint8Array(positions) };
      live.forEach((each, i) => {
        if (each === 0) return;
        const row = Math.floor(i / positions);
        seen.g[Math.floor(row / outputs)] = 1;
        seen.o[row % outputs] = 1;
        seen.p[i % positions] = 1;
      });
      const [g, p] = [set(seen.g), set(seen.p)];
      // Every group has as many outputs: of several groups, none is left out.
      const o = groups > 1 ? everything(outputs) : set(seen.o);
      const rows = product(g, o, (a, b) => a * outputs + b);
      return {
        elements: product(rows, p, (row, position) => row * positions + position),
        inputs: [
          product(
            product(g, p, (a, b) => a * positions + b),
            everything(inner),
            (at, k) => at * inner + k,
          ),
        ],
        change: {
          groups: g.length,
          positions: p.length,
          outputs: o.length,
          weights: Float64Array.from(
            product(rows, everything(inner), (row, k) => row * inner + k),
            (at) => weights[at]!,
          ),
          bias: Float64Array.from(rows, (row) => bias[row]!),
        },
      };
    }
    case "matMul": {
      const { groups, rows, inner, cols } = node;
      const seen = { g: new Uint8Array(groups), m: new Uint8Array(rows), n: new Uint8Array(cols) };
      live.forEach((each, i) => {
        if (each === 0) return;
        const row = Math.floor(i / cols);
        seen.g[Math.floor(row / rows)] = 1;
        seen.m[row % rows] = 1;
        seen.n[i % cols] = 1;
      });
      const [g, m, n] = [set(seen.g), set(seen.m), set(seen.n)];
      const side = (count: number, left: Int32Array) =>
        product(
          product(g, left, (a, b) => a * count + b),
          everything(inner),
          (at, k) => at * inner + k,
        );
      const left = product(g, m, (a, b) => a * rows + b);
      return {
        elements: product(left, n, (row, column) => row * cols + column),
        inputs: [side(rows, m), side(cols, n)],
        change: { groups: g.length, rows: m.length, cols: n.length },
      };
    }
    case "softmax":
    case "normalise": {
      const { width } = node;
      const runs = set(Uint8Array.from({ length: live.length / width }, (_, run) => hasRun(live, run, width)));
      const elements = product(runs, everything(width), (run, k) => run * width + k);
      return { elements, inputs: [elements] };
    }
    case "max":
    case "argMax": {
      const width = node.op === "max" ? node.window : node.width;
      const elements = set(live);
      return { elements, inputs: [product(elements, everything(width), (run, k) => run * width + k)] };
    }
    case "lookup": {
      const { width } = node;
      const runs = set(Uint8Array.from({ length: live.length / width }, (_, run) => hasRun(live, run, width)));
      return { elements: product(runs, everything(width), (run, k) => run * width + k), inputs: [runs] };
    }
    default:
      return { whole: true };
  }
}

/** Which elements of each node some output depends on. */
function livenessOf({ nodes, lengths }: Traced): Uint8Array[] {
  const live = lengths.map((length) => new Uint8Array(length));
  live.at(-1)!.fill(1);
  for (let id = nodes.length - 1; id > 0; id--) {
    const node = nodes[id]!;
    if (!live[id]!.includes(1) || inputsOf(node).length === 0) continue;
    if (node.op === "arrange") {
      const locate = locator(node.inputs.map((input) => lengths[input]!));
      node.index.forEach((from, k) => {
        if (from < 0 || live[id]![k] === 0) return;
        const [source, element] = locate(from);
        live[node.inputs[source]!]![element] = 1;
      });
      continue;
    }
    const kept = keep(node, live[id]!);
    inputsOf(node).forEach((source, i) => {
      const own = "inputs" in kept ? kept.inputs[i]! : everything(lengths[source]!);
      own.forEach((element, k) => {
        if (node.op === "linear" && "change" in kept && !hasWeight(kept.change as FloatLinear, k)) return;
        live[source]![element] = 1;
      });
    });
  }
  return live;
}

/** Whether any row of what is left of a linear node multiplies an input by more than 0. */
function hasWeight({ groups, positions, outputs, weights }: FloatLinear, input: number): boolean {
  const inner = weights.length / (groups * outputs);
  const start = Math.floor(input / (positions * inner)) * outputs * inner + (input % inner);
  for (let o = 0; o < outputs; o++) if (weights[start + o * inner] !== 0) return true;
  return false;
}

function hasRun(live: Uint8Array, run: number, width: number): number {
  return live.subarray(run * width, (run + 1) * width).includes(1) ? 1 : 0;
}

/** Indices that are not 0. */
function set(flags: Uint8Array): Int32Array {
  const list: number[] = [];
  flags.forEach((flag, i) => {
    if (flag !== 0) list.push(i);
  });
  return Int32Array.from(list);
}

function everything(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}

function product(left: Int32Array, right: Int32Array, at: (a: number, b: number) => number): Int32Array {
  const result = new Int32Array(left.length * right.length);
  let k = 0;
  for (const a of left) for (const b of right) result[k++] = at(a, b);
  return result;
}
