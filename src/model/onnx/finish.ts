/**
 * From the draft to the float graph.
 *
 * - Whatever is computed of one value, place by place (`0.5·x·(1 + erf(x / √2))`, `x · sigmoid(x)`), becomes one `map`.
 *   A chain of clips and of scalings alone is left: the quantiser has better than a table for these.
 * - A scaling (BatchNorm, bias, scale) becomes part of the linear node before it where nothing else uses that. It is
 *   never folded into the linear node after it: between them may lie the zeros of a padding, which it does not scale.
 * - What nothing uses is dropped, and what is left is numbered anew.
 *
 * @module
 */

import type { FloatArrange, FloatLinear, FloatMap, FloatNode } from "../float.js";
import { GRAPH_LIMITS } from "../graph.js";
import { inputsOf } from "../run.js";
import { type Affine, composed, type Draft, type DraftNode, draftInputs, joinLabels } from "./draft.js";
import { malformed, tooLarge, unsupported } from "./errors.js";
import { isIdentity } from "./layout.js";
import { MOST_CONSTANTS, MOST_INPUTS, type Part, readThrough } from "./through.js";

/** The float graph's nodes that `output` needs, the last of them giving it. Nodes below `fixed` always stay. */
export function finish(draft: Draft, output: number, fixed: number): FloatNode[] {
  const { lengths } = draft;
  const drafted = needed(draft.nodes, output);
  // First of all scalings: what is part of a linear node is not part of a table after it.
  foldScalings(drafted, lengths, output);
  const nodes = fuse(drafted, output);
  foldScalings(nodes, lengths, output);
  const plain = nodes.map((node) => (node?.op === "affine" ? asLinear(node, lengths[node.inputs[0]]!) : node));
  const alias = compose(plain as (FloatNode | undefined)[], lengths);
  const result = renumber(plain as (FloatNode | undefined)[], alias, alias[output]!, fixed);
  if (alias[output]! < fixed) {
    // The last node gives the output: a model that only moves or keeps its input ends in a copy.
    const id = alias[output]!;
    const index = Int32Array.from({ length: lengths[id]! }, (_, k) => k);
    result.push({ op: "arrange", node: draft.nodes[id]!.node, inputs: [id], index, constants: [] });
  }
  if (result.length > GRAPH_LIMITS.nodes) throw tooLarge(`the model has more than ${GRAPH_LIMITS.nodes} nodes`);
  for (const node of result) checkFinite(node);
  checkMasks(result);
  return result;
}

/** Steps of all tables together: values along one long chain would each take all before it. */
const MOST_STEPS = 262_144;

/** Where a value comes from, place by place. */
interface Origin {
  readonly root: number;
  /** Whether it takes a table: more than scalings and clips. */
  readonly table: boolean;
}

/** The nodes that `output` needs; in the place of others nothing. */
function needed(nodes: readonly DraftNode[], output: number): (DraftNode | undefined)[] {
  const result = new Array<DraftNode | undefined>(nodes.length).fill(undefined);
  const open = [output];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (result[id] !== undefined) continue;
    result[id] = nodes[id]!;
    open.push(...draftInputs(nodes[id]!));
  }
  nodes.forEach((node, id) => {
    if (node.op === "input" || node.op === "adapter") result[id] = node;
  });
  return result;
}

/** Tables made one, and what then is needed. */
function fuse(nodes: readonly (DraftNode | undefined)[], output: number): (DraftNode | undefined)[] {
  const origins: Origin[] = [];
  nodes.forEach((node, id) => {
    origins.push(node === undefined ? { root: id, table: false } : originOf(node, id, origins));
  });
  const result = new Array<DraftNode | undefined>(nodes.length).fill(undefined);
  const wanted = new Uint8Array(nodes.length);
  wanted[output] = 1;
  let steps = 0;
  for (let id = nodes.length - 1; id >= 0; id--) {
    const node = nodes[id];
    if (node?.op === "input" || node?.op === "adapter") result[id] = node;
    if (wanted[id] === 0 || node === undefined) continue;
    const { root, table } = origins[id]!;
    if (table && root !== id) {
      const order = between(nodes, id, root);
      if ((steps += order.length) > MOST_STEPS) throw tooLarge(`node ${node.node}: tables of too many steps`);
      result[id] = tableOf(nodes, order, id, root);
      wanted[root] = 1;
      continue;
    }
    if (node.op === "pointwise") {
      throw unsupported(
        `node ${node.node}: ${node.refusal}; that is supported only where a single value is used, or in LayerNorm, RMSNorm and softmax`,
      );
    }
    result[id] = node;
    for (const input of draftInputs(node)) wanted[input] = 1;
  }
  return result;
}

function originOf(node: DraftNode, id: number, origins: readonly Origin[]): Origin {
  const own = { root: id, table: false };
  switch (node.op) {
    case "affine":
      return node.scale.length === 1 ? origins[node.inputs[0]]! : own;
    case "clip":
      return origins[node.inputs[0]]!;
    case "map":
      return { root: origins[node.inputs[0]]!.root, table: true };
    case "add":
    case "mul":
    case "pointwise": {
      const { root } = origins[node.inputs[0]!]!;
      return node.inputs.every((input) => origins[input]!.root === root) ? { root, table: true } : own;
    }
    default:
      return own;
  }
}

/** The nodes on the way from `root` to `id`, in order, without the root. */
function between(nodes: readonly (DraftNode | undefined)[], id: number, root: number): number[] {
  const found = new Set<number>();
  const open = [id];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === root || found.has(next)) continue;
    found.add(next);
    open.push(...draftInputs(nodes[next]!));
  }
  return [...found].sort((a, b) => a - b);
}

/** One `map` for all of that. */
function tableOf(
  nodes: readonly (DraftNode | undefined)[],
  order: readonly number[],
  id: number,
  root: number,
): FloatMap {
  const node = joinLabels(order.map((each) => nodes[each]!.node));
  const only = nodes[id]!;
  if (order.length === 1 && only.op === "map") return { ...only, node };
  const slots = new Map([[root, 0], ...order.map((each, k): [number, number] => [each, k + 1])]);
  // Scratch of this table alone: its steps are plain functions that never call back into it.
  const values = new Float64Array(order.length + 1);
  const steps = order.map((each, k) => {
    const [a = 0, b = 0] = draftInputs(nodes[each]!).map((input) => slots.get(input)!);
    return stepOf(nodes[each]!, values, k + 1, a, b, slots);
  });
  const last = order.length;
  const apply = (x: number): number => {
    values[0] = x;
    for (const step of steps) step();
    return values[last]!;
  };
  return { op: "map", node, inputs: [root], apply };
}

function stepOf(
  node: DraftNode,
  values: Float64Array,
  to: number,
  a: number,
  b: number,
  slots: ReadonlyMap<number, number>,
): () => void {
  switch (node.op) {
    case "affine": {
      const [scale, bias] = [node.scale[0]!, node.bias[0]!];
      return () => (values[to] = scale * values[a]! + bias);
    }
    case "clip":
      return () => (values[to] = Math.min(Math.max(values[a]!, node.min), node.max));
    case "map":
      return () => (values[to] = node.apply(values[a]!));
    case "add":
      return () => (values[to] = values[a]! + values[b]!);
    case "mul":
      return () => (values[to] = values[a]! * values[b]!);
    case "pointwise": {
      const from = node.inputs.map((input) => slots.get(input)!);
      return () => (values[to] = node.apply(...from.map((slot) => values[slot]!)));
    }
    default:
      throw malformed(`node ${node.node}: not of one value`);
  }
}

/** Scalings into the linear node before them, through movements that keep every value. */
function foldScalings(nodes: (DraftNode | undefined)[], lengths: readonly number[], output: number): void {
  const consumers = new Int32Array(nodes.length);
  consumers[output] = 1;
  for (const node of nodes) if (node !== undefined) for (const id of draftInputs(node)) consumers[id]!++;
  nodes.forEach((node, id) => {
    if (node?.op !== "affine") return;
    const before = node.inputs[0];
    const moved: Int32Array[] = [];
    let at = before;
    let source = nodes[at]!;
    if (consumers[at] === 1 && source.op === "affine") {
      nodes[id] = composed(node, source);
      nodes[at] = undefined;
      return;
    }
    while (consumers[at] === 1 && source.op === "arrange" && isPermutation(source, lengths)) {
      moved.push(source.index);
      at = source.inputs[0]!;
      source = nodes[at]!;
    }
    if (consumers[at] !== 1 || source.op !== "linear") return;
    const folded = scaled(source, node, moved, lengths[before]!);
    if (folded === undefined) return;
    nodes[at] = folded;
    // The movement is now the scaling's own value.
    if (at === before) {
      nodes[id] = folded;
      nodes[at] = undefined;
    } else {
      nodes[id] = nodes[before]!;
      nodes[before] = undefined;
    }
  });
}

/** The linear node with each row scaled, or nothing where a row's places are scaled differently. */
function scaled(
  linear: FloatLinear,
  affine: Affine,
  moved: readonly Int32Array[],
  length: number,
): FloatLinear | undefined {
  const rows = linear.groups * linear.outputs;
  const scale = new Float64Array(rows).fill(NaN);
  const bias = new Float64Array(rows).fill(NaN);
  const lanes = length / affine.scale.length;
  for (let i = 0; i < length; i++) {
    let from = i;
    for (const index of moved) from = index[from]!;
    const row = Math.floor(from / linear.positions);
    const channel = Math.floor(i / lanes);
    if (Number.isNaN(scale[row]!)) {
      scale[row] = affine.scale[channel]!;
      bias[row] = affine.bias[channel]!;
    } else if (scale[row] !== affine.scale[channel] || bias[row] !== affine.bias[channel]) return undefined;
  }
  return {
    ...linear,
    node: joinLabels([linear.node, affine.node]),
    weights: linear.weights.map((weight, k) => weight * scale[Math.floor(k / linear.inner)]!),
    bias: linear.bias.map((value, row) => value * scale[row]! + bias[row]!),
  };
}

function isPermutation({ inputs, index }: FloatArrange, lengths: readonly number[]): boolean {
  if (inputs.length !== 1 || index.length !== lengths[inputs[0]!]) return false;
  const seen = new Uint8Array(index.length);
  for (const from of index) {
    if (from < 0 || seen[from] === 1) return false;
    seen[from] = 1;
  }
  return true;
}

function asLinear({ node, inputs, scale, bias }: Affine, length: number): FloatLinear {
  const positions = length / scale.length;
  return {
    op: "linear",
    node,
    inputs,
    groups: scale.length,
    positions,
    inner: 1,
    outputs: 1,
    weights: scale,
    bias,
  };
}

/** Movements of movements again, now that what lay between them is gone. Gives what each id stands for. */
function compose(nodes: (FloatNode | undefined)[], lengths: readonly number[]): number[] {
  const alias = nodes.map((_, id) => id);
  nodes.forEach((node, id) => {
    if (node?.op !== "arrange") return;
    const labels = [node.node];
    const parts = node.inputs.map((input): Part => {
      const source = alias[input]!;
      const before = nodes[source]!;
      if (before.op !== "arrange") return { id: source, length: lengths[source]! };
      labels.unshift(before.node);
      return { ...before, lengths: before.inputs.map((each) => lengths[each]!) };
    });
    const lean = readThrough(parts, node.index, node.constants);
    const fits = lean.inputs.length <= MOST_INPUTS && lean.constants.length <= MOST_CONSTANTS;
    const arrange: FloatArrange = fits
      ? { op: "arrange", node: joinLabels(labels), ...lean }
      : { ...node, inputs: node.inputs.map((input) => alias[input]!) };
    nodes[id] = arrange;
    const [source] = arrange.inputs;
    if (arrange.inputs.length === 1 && lengths[source!] === arrange.index.length && isIdentity(arrange.index)) {
      alias[id] = source!;
    }
  });
  return alias;
}

function renumber(
  nodes: readonly (FloatNode | undefined)[],
  alias: readonly number[],
  output: number,
  fixed: number,
): FloatNode[] {
  const needed = new Uint8Array(nodes.length).fill(1, 0, fixed);
  needed[output] = 1;
  for (let id = output; id >= 0; id--) {
    if (needed[id] === 1) for (const input of inputsOf(nodes[id]!)) needed[alias[input]!] = 1;
  }
  const places = new Int32Array(nodes.length).fill(-1);
  const result: FloatNode[] = [];
  for (let id = 0; id <= Math.max(output, fixed - 1); id++) {
    if (needed[id] === 0) continue;
    places[id] = result.length;
    const node = nodes[id]!;
    const inputs = inputsOf(node).map((input) => places[alias[input]!]!);
    result.push(node.op === "input" || node.op === "adapter" ? node : ({ ...node, inputs } as unknown as FloatNode));
  }
  return result;
}

function checkFinite(node: FloatNode): void {
  const sound = (list: Float64Array) => list.every(Number.isFinite);
  const finite =
    node.op === "linear"
      ? sound(node.weights) && sound(node.bias)
      : node.op === "lookup"
        ? sound(node.entries)
        : node.op === "grid"
          ? sound(node.scale) && node.scale.every((scale) => scale > 0)
          : node.op === "normalise"
            ? Number.isFinite(node.epsilon) && node.epsilon >= 0
            : node.op === "adapter"
              ? sound(node.values)
              : true;
  if (!finite) throw malformed(`node ${node.node}: a weight is infinite or not a number`);
}

/** The one infinity that has a meaning is a lane that softmax must not see. */
function checkMasks(nodes: readonly FloatNode[]): void {
  nodes.forEach((node, id) => {
    for (const input of inputsOf(node)) {
      const from = nodes[input]!;
      if (from.op !== "arrange" || from.constants.every(Number.isFinite)) continue;
      if (node.op === "softmax" && from.constants.every((value) => value < Infinity)) {
        const open = from.index.map((at) => (at < 0 && from.constants[-1 - at] === -Infinity ? 0 : 1));
        const runs = Array.from({ length: open.length / node.width }, (_, run) => run * node.width);
        if (runs.every((start) => open.subarray(start, start + node.width).includes(1))) continue;
        throw malformed(`node ${node.node}: a mask hides all of a row`);
      }
      throw malformed(`node ${from.node}: an infinite constant is used as a number`);
    }
    if (id === nodes.length - 1 && node.op === "arrange" && !node.constants.every(Number.isFinite)) {
      throw malformed(`node ${node.node}: an infinite constant is used as a number`);
    }
  });
}
