/**
 * The quantised integer graph, "ZQ8": what a model means once it is compiled.
 *
 * A graph is a list of nodes. Each takes values of nodes before it and gives one value: a flat vector of integers. The
 * reference executor, the witness and the circuit compute the same integers from it, and {@link modelDigest} names it.
 * Floats are gone: where the integers came from (scales, calibration) is the importer's report, not part of the model.
 *
 * Vectors have no shape; a node's own numbers say how it reads them. Everything that only moves values about (reshape,
 * transpose, slice, concatenation, padding, the windows of a convolution or of a pool) is one node, {@link ArrangeNode},
 * with an explicit map of indices, and everything linear with constant weights (dense, convolution with any groups,
 * strides and dilations, average pool, residual sum, mean, scaling of channels) is one node, {@link LinearNode}, after
 * it. So there is little that a circuit must get right, and no convention on axes, padding or broadcasting that two
 * readers of a graph could understand differently.
 *
 * Every integer of every value fits 32 bits signed, as `bounds.ts` proves for the weights at hand.
 *
 * @module
 */

import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { AnchorError } from "../errors.js";

/** Limits of a graph. They bound what a hostile file can make a reader allocate. */
export const GRAPH_LIMITS = {
  nodes: 4096,
  /** Integers of one value. */
  width: 4_194_304,
  /** Integers of all values together. */
  values: 33_554_432,
  /** Entries of all index maps together. */
  indices: 33_554_432,
  /** Multiplications by constants (an embedding's entries too, each by its index's mark), and by private values. */
  multiplications: 268_435_456,
  /** Weights, table entries and embedding rows together. */
  weights: 16_777_216,
  shift: 40,
  /** Canonical bytes. */
  bytes: 256 * 1024 * 1024,
} as const;

/** Weights of linear nodes and entries of embeddings are int16: int8 unless a wider one pays for its extra row. */
export const WEIGHT_MAX = 32_767;
/** Entries of tables. */
export const ENTRY_MAX = 2 ** 20;
const INT32_MAX = 2 ** 31 - 1;

/**
 * The input: `size` integers in `[lo, lo + 2^bits - 1]`. The circuit checks the range of each and commits to all of
 * them. Always node 0, and only there.
 */
export interface InputNode {
  readonly op: "input";
  /** Dimensions of the model's input without the batch, for people; `size` is their product. */
  readonly shape: readonly number[];
  readonly lo: number;
  /** 1..16 */
  readonly bits: number;
  /** Integer `q` stands for the real `q / 2^scaleLog2`: how a float input becomes this graph's. */
  readonly scaleLog2: number;
}

/**
 * Private weights (LoRA): integers in `[lo, lo + 2^bits - 1]` that the graph does not hold. The circuit checks the range
 * of each and commits to all of them under a salt. Node 1 or absent.
 */
export interface AdapterNode {
  readonly op: "adapter";
  /** The matrices, flattened one after the other in this order. */
  readonly parts: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly lo: number;
  readonly bits: number;
  /** LoRA's alpha as the file spells it, a plain decimal; its effect is in the graph's shifts and weights. */
  readonly alpha: string;
}

/**
 * `out[k] = concat(inputs)[index[k]]`, or `constants[-1 - index[k]]` where `index[k]` is negative. Costs no row.
 */
export interface ArrangeNode {
  readonly op: "arrange";
  readonly inputs: readonly number[];
  readonly index: Int32Array;
  readonly constants: readonly number[];
}

/**
 * `out[(g·O + o)·P + p] = bias[g·O + o] + Σ_k weights[(g·O + o)·K + k] · in[(g·P + p)·K + k]`, with G groups, P positions,
 * O outputs and K inner terms. One linear row an output, none where it is a copy or a constant.
 */
export interface LinearNode {
  readonly op: "linear";
  readonly inputs: readonly [number];
  readonly groups: number;
  readonly positions: number;
  readonly inner: number;
  readonly outputs: number;
  /** G·O rows of K, within ±{@link WEIGHT_MAX}. */
  readonly weights: Int16Array;
  /** G·O values. */
  readonly bias: Int32Array;
}

/**
 * `out[i] = clamp((in[i] + half) >> s, lo, lo + 2^bits - 1)`, `s = shifts[c]`, `half = 2^(s-1)` or 0 when `s = 0`; the
 * shift rounds towards minus infinity. Rounding, saturation, and ReLU (`lo = 0`) in one. Lane `i` of N belongs to
 * channel `c = floor(i · C / N)`, for C shifts; C divides N.
 */
export interface RequantNode {
  readonly op: "requant";
  readonly inputs: readonly [number];
  readonly shifts: Uint8Array;
  readonly lo: number;
  /** 1..16 */
  readonly bits: number;
}

/**
 * `out[i] = tables[c · 2^bits + in[i] - lo]`, channels as for {@link RequantNode}. The proven range of the input lies in
 * `[lo, lo + 2^bits - 1]`.
 */
export interface TableNode {
  readonly op: "table";
  readonly inputs: readonly [number];
  readonly lo: number;
  /** 1..8 */
  readonly bits: number;
  /** C tables of 2^bits entries within ±{@link ENTRY_MAX}. */
  readonly tables: Int32Array;
}

/** `out[m]` is the largest of `in[m·window] … in[m·window + window - 1]`. */
export interface MaxNode {
  readonly op: "max";
  readonly inputs: readonly [number];
  readonly window: number;
}

/** `out[i] = a[i] · b[i]`. */
export interface MulNode {
  readonly op: "mul";
  readonly inputs: readonly [number, number];
}

/** `out[(g·M + m)·N + n] = Σ_k a[(g·M + m)·K + k] · b[(g·N + n)·K + k]`: a row a product, both sides private. */
export interface MatMulNode {
  readonly op: "matMul";
  readonly inputs: readonly [number, number];
  readonly groups: number;
  readonly rows: number;
  readonly inner: number;
  readonly cols: number;
}

/**
 * For each run of `width` values with sum S: `out[i] = floor((2 · in[i] · scale + S) / (2 · S))`, the rounded share of
 * the sum in units of `1 / scale` (softmax after its exponentials). No input is negative, and S ≥ 1 is proven.
 */
export interface ShareNode {
  readonly op: "share";
  readonly inputs: readonly [number];
  readonly width: number;
  /** 1..32767 */
  readonly scale: number;
}

/**
 * For each run `c` of `width` values: `v = epsilon + Σ c[i]²`, `r` the largest integer with `r² · v ≤ 4^precision`,
 * `out[i] = c[i] · r`. So `out[i] ≈ 2^precision · c[i] / √v`, and `|out[i]| ≤ 2^precision` because `c[i]² ≤ v`
 * (LayerNorm, RMSNorm; the mean is subtracted before).
 */
export interface NormaliseNode {
  readonly op: "normalise";
  readonly inputs: readonly [number];
  readonly width: number;
  /** 1..2^40 */
  readonly epsilon: number;
  /** 1..30 */
  readonly precision: number;
}

/** `out[i·width + j] = entries[in[i]·width + j]` (embedding); no witness exists for an index of `rows` or more. */
export interface LookupNode {
  readonly op: "lookup";
  readonly inputs: readonly [number];
  readonly rows: number;
  readonly width: number;
  readonly entries: Int16Array;
}

/** For each run of `width` values, the index of the largest, the lowest one of equals. */
export interface ArgMaxNode {
  readonly op: "argMax";
  readonly inputs: readonly [number];
  readonly width: number;
}

export type GraphNode =
  | InputNode
  | AdapterNode
  | ArrangeNode
  | LinearNode
  | RequantNode
  | TableNode
  | MaxNode
  | MulNode
  | MatMulNode
  | ShareNode
  | NormaliseNode
  | LookupNode
  | ArgMaxNode;

export interface ModelGraph {
  /** In order of evaluation. The last node's value is the model's output. */
  readonly nodes: readonly GraphNode[];
}

/** Hashed before a graph's canonical bytes, so that no other hash of the project can equal a model digest. */
export const MODEL_DIGEST_TAG = "anchorproof/model/2";

const FORMAT = "anchorproof/zq8";
const VERSION = 2;

/** The input node of a checked graph. */
export function inputOf(graph: ModelGraph): InputNode {
  return graph.nodes[0] as InputNode;
}

/** The adapter node of a checked graph, where it has one: node 1. */
export function adapterOf(graph: ModelGraph): AdapterNode | undefined {
  const node = graph.nodes[1];
  return node?.op === "adapter" ? node : undefined;
}

/** Nodes whose values a node takes. */
export function inputsOf(node: GraphNode): readonly number[] {
  return node.op === "input" || node.op === "adapter" ? [] : node.inputs;
}

/** Number of integers that each node gives. The graph must have passed {@link checkGraph}. */
export function valueLengths(graph: ModelGraph): number[] {
  const lengths: number[] = [];
  for (const node of graph.nodes) lengths.push(lengthOf(node, lengths));
  return lengths;
}

/** Number of integers of the model's input. */
export function inputSize(graph: ModelGraph): number {
  return sizeOf(inputOf(graph).shape);
}

/** Number of private weights; 0 without an adapter. */
export function adapterSize(graph: ModelGraph): number {
  return adapterOf(graph)?.parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0) ?? 0;
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Which of the values that an arrange takes, by their lengths, an entry of its index names, and which element of it. */
export function locator(lengths: readonly number[]): (from: number) => [source: number, element: number] {
  const starts: number[] = [];
  let total = 0;
  for (const length of lengths) {
    starts.push(total);
    total += length;
  }
  return (from) => {
    let source = starts.length - 1;
    while (starts[source]! > from) source--;
    return [source, from - starts[source]!];
  };
}

/** Multiplications of one inference: by constants that are not 0, and of private values with each other. */
export function countMultiplications(graph: ModelGraph): { constant: number; private: number } {
  const lengths = valueLengths(graph);
  let constant = 0;
  let own = 0;
  graph.nodes.forEach((node, id) => {
    if (node.op === "linear") constant += node.positions * node.weights.reduce((n, w) => n + (w === 0 ? 0 : 1), 0);
    else if (node.op === "mul") own += lengths[id]!;
    else if (node.op === "matMul") own += lengths[id]! * node.inner;
    else if (node.op === "normalise") own += 2 * lengths[id]!;
  });
  return { constant, private: own };
}

/**
 * Checks everything that {@link ModelGraph} promises, and copies it: the result shares nothing with the argument and
 * has no other properties. Arrays of numbers may be given for typed arrays. Ranges of values are not checked here but
 * in `proveBounds`.
 *
 * @throws AnchorError `MODEL_MALFORMED`, naming the first field that is wrong; `INPUT_TOO_LARGE` above
 *   {@link GRAPH_LIMITS}.
 */
export function checkGraph(value: unknown): ModelGraph {
  const root = record(value, "graph", ["nodes"]);
  return { nodes: checkNodes(array(root["nodes"], "nodes", 2, GRAPH_LIMITS.nodes), (numbers) => numbers) };
}

/**
 * Canonical bytes of a graph: UTF-8 JSON, keys in fixed order, integers in plain decimal, no white space; typed arrays
 * as base64 (RFC 4648, padded) of their little-endian bytes.
 */
export function serialiseGraph(graph: ModelGraph): Uint8Array {
  const nodes = checkGraph(graph).nodes.map((node) => {
    const ordered: Record<string, unknown> = { op: node.op };
    for (const { key } of FIELDS[node.op]) {
      const field = (node as unknown as Record<string, unknown>)[key];
      ordered[key] = ArrayBuffer.isView(field) ? toBase64(field as NumberArray) : field;
    }
    return ordered;
  });
  return utf8ToBytes(JSON.stringify({ format: FORMAT, version: VERSION, nodes }));
}

/**
 * Reads canonical bytes. Whatever {@link serialiseGraph} would write differently (white space, key order, repeated or
 * unknown keys, `1.0`, `-0`, a byte order mark, stray base64 bits) is refused, so that a model has one file and one
 * digest.
 *
 * @throws AnchorError `MODEL_MALFORMED`, `FORMAT_UNSUPPORTED` for another version, `INPUT_TOO_LARGE`.
 */
export function parseGraph(bytes: Uint8Array): ModelGraph {
  if (!(bytes instanceof Uint8Array)) throw new AnchorError("INPUT_INVALID", "parseGraph takes a Uint8Array");
  if (bytes.length > GRAPH_LIMITS.bytes) {
    throw new AnchorError("INPUT_TOO_LARGE", `a model file is limited to ${GRAPH_LIMITS.bytes} bytes`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new AnchorError("MODEL_MALFORMED", "the model file is not JSON; import the ONNX file again", {
      cause: error,
    });
  }
  const format = typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  if (format["format"] !== FORMAT || format["version"] !== VERSION) {
    throw new AnchorError(
      "FORMAT_UNSUPPORTED",
      `the model file must have format ${FORMAT}, version ${VERSION}; import the ONNX file again`,
    );
  }
  const root = record(parsed, "model", ["format", "version", "nodes"]);
  const graph = { nodes: checkNodes(array(root["nodes"], "nodes", 2, GRAPH_LIMITS.nodes), fromBase64) };
  const canonical = serialiseGraph(graph);
  if (canonical.length !== bytes.length || canonical.some((byte, index) => byte !== bytes[index])) {
    fail("model", "the bytes are not the canonical form; write the model with serialiseGraph");
  }
  return graph;
}

/** `0x` and 64 hex digits: keccak256 of {@link MODEL_DIGEST_TAG}, a zero byte, and the canonical bytes. */
export function modelDigest(graph: ModelGraph): `0x${string}` {
  const preimage = concatBytes(utf8ToBytes(MODEL_DIGEST_TAG), Uint8Array.of(0), serialiseGraph(graph));
  return `0x${bytesToHex(keccak_256(preimage))}`;
}

type NumberArray = Int16Array | Int32Array | Uint8Array;
/** Turns what stands for a typed array into something that can be read by index. */
type Decode = (value: unknown, where: string, bytesEach: number) => unknown;
type Reader = (value: unknown, where: string, decode: Decode) => unknown;

const count =
  (min: number, max: number): Reader =>
  (value, where) =>
    integer(value, where, min, max);
const typed =
  <A extends NumberArray>(make: new (length: number) => A, min: number, max: number): Reader =>
  (value, where, decode) => {
    const source = decode(
      value,
      where,
      make === (Int32Array as unknown) ? 4 : make === (Int16Array as unknown) ? 2 : 1,
    );
    if (!Array.isArray(source) && !ArrayBuffer.isView(source)) fail(where, "must be an array of integers");
    const { length } = source as ArrayLike<unknown>;
    if (!Number.isInteger(length) || length > GRAPH_LIMITS.indices) tooLarge(`${where} has too many entries`);
    const result = new make(length);
    for (let i = 0; i < length; i++) result[i] = integer((source as ArrayLike<unknown>)[i], where, min, max, i);
    return result;
  };
const numbers =
  (min: number, max: number, least: number, most: number): Reader =>
  (value, where) =>
    array(value, where, least, most).map((each, i) => integer(each, where, min, max, i));
const ids = (least: number, most: number) => numbers(0, GRAPH_LIMITS.nodes - 1, least, most);
const dimension = count(1, GRAPH_LIMITS.width);
const shape = numbers(1, GRAPH_LIMITS.width, 0, 8);

/** Fields of each kind of node in canonical order, after `op`. */
const FIELDS: { readonly [Op in GraphNode["op"]]: readonly { readonly key: string; readonly read: Reader }[] } = {
  input: fields({ shape, lo: count(-32_768, 32_767), bits: count(1, 16), scaleLog2: count(-64, 64) }),
  adapter: fields({ parts: readParts, lo: count(-32_768, 0), bits: count(1, 16), alpha: readAlpha }),
  arrange: fields({
    inputs: ids(1, 64),
    index: typed(Int32Array, -65_536, GRAPH_LIMITS.values),
    constants: numbers(-INT32_MAX, INT32_MAX, 0, 65_536),
  }),
  linear: fields({
    inputs: ids(1, 1),
    groups: dimension,
    positions: dimension,
    inner: dimension,
    outputs: dimension,
    weights: typed(Int16Array, -WEIGHT_MAX, WEIGHT_MAX),
    bias: typed(Int32Array, -INT32_MAX, INT32_MAX),
  }),
  requant: fields({
    inputs: ids(1, 1),
    shifts: typed(Uint8Array, 0, GRAPH_LIMITS.shift),
    lo: count(-32_768, 32_767),
    bits: count(1, 16),
  }),
  table: fields({
    inputs: ids(1, 1),
    lo: count(-32_768, 32_767),
    bits: count(1, 8),
    tables: typed(Int32Array, -ENTRY_MAX, ENTRY_MAX),
  }),
  max: fields({ inputs: ids(1, 1), window: count(2, 65_536) }),
  mul: fields({ inputs: ids(2, 2) }),
  matMul: fields({ inputs: ids(2, 2), groups: dimension, rows: dimension, inner: dimension, cols: dimension }),
  share: fields({ inputs: ids(1, 1), width: count(2, 65_536), scale: count(1, 32_767) }),
  normalise: fields({
    inputs: ids(1, 1),
    width: count(2, 65_536),
    epsilon: count(1, 2 ** 40),
    precision: count(1, 30),
  }),
  lookup: fields({
    inputs: ids(1, 1),
    rows: count(2, 65_536),
    width: dimension,
    entries: typed(Int16Array, -WEIGHT_MAX, WEIGHT_MAX),
  }),
  argMax: fields({ inputs: ids(1, 1), width: count(2, 65_536) }),
};

function fields(readers: Record<string, Reader>): { key: string; read: Reader }[] {
  return Object.entries(readers).map(([key, read]) => ({ key, read }));
}

function checkNodes(list: readonly unknown[], decode: Decode): GraphNode[] {
  const nodes: GraphNode[] = [];
  const lengths: number[] = [];
  const used = { values: 0, indices: 0, multiplications: 0, weights: 0 };
  list.forEach((each, id) => {
    const where = `nodes[${id}]`;
    const op = typeof each === "object" && each !== null ? (each as { op?: unknown }).op : undefined;
    if (typeof op !== "string" || !Object.hasOwn(FIELDS, op)) {
      fail(`${where}.op`, `must be one of ${Object.keys(FIELDS).join(", ")}`);
    }
    const readers = FIELDS[op as GraphNode["op"]];
    const source = record(each, where, ["op", ...readers.map(({ key }) => key)]);
    const node: Record<string, unknown> = { op };
    for (const { key, read } of readers) node[key] = read(source[key], `${where}.${key}`, decode);
    const checked = node as unknown as GraphNode;
    checkNode(checked, id, lengths, where);
    nodes.push(checked);
    lengths.push(lengthOf(checked, lengths));

    const length = lengths[id]!;
    if (length > GRAPH_LIMITS.width) tooLarge(`${where} gives more than ${GRAPH_LIMITS.width} values`);
    used.values += length;
    if (checked.op === "arrange") used.indices += checked.index.length;
    if (checked.op === "linear") {
      used.weights += checked.weights.length;
      used.multiplications += checked.weights.length * checked.positions;
    }
    if (checked.op === "matMul") used.multiplications += length * checked.inner;
    if (checked.op === "table") used.weights += checked.tables.length;
    if (checked.op === "lookup") {
      used.weights += checked.entries.length;
      used.multiplications += checked.rows * length;
    }
    for (const [what, amount] of Object.entries(used)) {
      const limit = GRAPH_LIMITS[what as keyof typeof used];
      if (amount > limit) tooLarge(`the model has more than ${limit} ${what}`);
    }
  });
  return nodes;
}

/** What a node promises of its own numbers and of the lengths of what it takes. */
function checkNode(node: GraphNode, id: number, lengths: readonly number[], where: string): void {
  if ((node.op === "input") !== (id === 0)) fail(where, "node 0, and no other, is the input");
  if (node.op === "adapter" && id !== 1) fail(where, "an adapter is node 1");
  for (const input of inputsOf(node)) {
    if (input >= id) fail(`${where}.inputs`, "a node takes values of nodes before it");
  }
  const taken = inputsOf(node).map((input) => lengths[input]!);
  const first = taken[0] ?? 0;
  const need = (holds: boolean, field: string, problem: string) => {
    if (!holds) fail(`${where}.${field}`, problem);
  };
  const divides = (part: number, field: string, what: string) =>
    need(part > 0 && first % part === 0, field, `${what} must divide the ${first} values that the node takes`);
  switch (node.op) {
    case "input":
    case "adapter":
      need(node.lo + 2 ** node.bits - 1 <= 65_535, "lo", "the range ends above 65535");
      return;
    case "arrange": {
      const total = taken.reduce((a, b) => a + b, 0);
      need(node.index.length > 0, "index", "must have an entry");
      for (const [k, index] of node.index.entries()) {
        if (index >= total || -1 - index >= node.constants.length) {
          fail(`${where}.index[${k}]`, `points outside the ${total} values and ${node.constants.length} constants`);
        }
      }
      return;
    }
    case "linear": {
      const { groups, positions, inner, outputs, weights, bias } = node;
      need(groups * positions * inner === first, "inner", `groups · positions · inner must be ${first}`);
      need(weights.length === groups * outputs * inner, "weights", `must have ${groups * outputs * inner} entries`);
      need(bias.length === groups * outputs, "bias", `must have ${groups * outputs} entries`);
      return;
    }
    case "requant":
      divides(node.shifts.length, "shifts", "their number");
      return;
    case "table":
      need(node.tables.length > 0 && node.tables.length % 2 ** node.bits === 0, "tables", "must be whole tables");
      divides(node.tables.length / 2 ** node.bits, "tables", "their number");
      return;
    case "max":
      divides(node.window, "window", "it");
      return;
    case "mul":
      need(taken[0] === taken[1], "inputs", "both must have the same number of values");
      return;
    case "matMul": {
      const { groups, rows, inner, cols } = node;
      need(groups * rows * inner === taken[0], "inputs", `the first must have ${groups * rows * inner} values`);
      need(groups * cols * inner === taken[1], "inputs", `the second must have ${groups * cols * inner} values`);
      return;
    }
    case "share":
    case "normalise":
    case "argMax":
      divides(node.width, "width", "it");
      return;
    case "lookup":
      need(node.entries.length === node.rows * node.width, "entries", "must have rows · width entries");
      return;
  }
}

function lengthOf(node: GraphNode, lengths: readonly number[]): number {
  switch (node.op) {
    case "input":
      return sizeOf(node.shape);
    case "adapter":
      return node.parts.reduce((sum, part) => sum + sizeOf(part.shape), 0);
    case "arrange":
      return node.index.length;
    case "linear":
      return node.groups * node.outputs * node.positions;
    case "max":
      return lengths[node.inputs[0]]! / node.window;
    case "matMul":
      return node.groups * node.rows * node.cols;
    case "lookup":
      return lengths[node.inputs[0]]! * node.width;
    case "argMax":
      return lengths[node.inputs[0]]! / node.width;
    default:
      return lengths[node.inputs[0]]!;
  }
}

function readParts(value: unknown, where: string): AdapterNode["parts"] {
  return array(value, where, 1, 1024).map((each, index) => {
    const part = record(each, `${where}[${index}]`, ["name", "shape"]);
    const { name } = part;
    // Names come from a file and reach terminals and reports: plain, short.
    if (typeof name !== "string" || !/^[\x20-\x7e]{1,200}$/.test(name)) {
      fail(`${where}[${index}].name`, "must be 1 to 200 printable ASCII characters");
    }
    return { name, shape: shape(part["shape"], `${where}[${index}].shape`, (plain) => plain) as number[] };
  });
}

function readAlpha(value: unknown, where: string): string {
  if (typeof value !== "string" || !/^(?:0|[1-9]\d{0,9})(?:\.\d{0,9}[1-9])?$/.test(value)) {
    fail(where, "must be a plain decimal number");
  }
  return value;
}

function fail(where: string, problem: string): never {
  throw new AnchorError("MODEL_MALFORMED", `${where}: ${problem}`, { details: { field: where } });
}

function tooLarge(problem: string): never {
  throw new AnchorError("INPUT_TOO_LARGE", problem);
}

function record(value: unknown, where: string, keys: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(where, "must be an object");
  const own = Object.keys(value);
  const unknown = own.find((key) => !keys.includes(key));
  if (unknown !== undefined) fail(where, `has an unknown field ${JSON.stringify(unknown.slice(0, 40))}`);
  const missing = keys.find((key) => !own.includes(key));
  if (missing !== undefined) fail(where, `lacks the field ${missing}`);
  return value as Record<string, unknown>;
}

function array(value: unknown, where: string, min: number, max: number): unknown[] {
  if (!Array.isArray(value)) fail(where, "must be an array");
  if (value.length < min || value.length > max) fail(where, `must have ${min} to ${max} entries`);
  // Array.from turns holes into undefined, which the element checks then refuse.
  return Array.from(value as unknown[]);
}

function integer(value: unknown, where: string, min: number, max: number, index?: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || Object.is(value, -0) || value < min || value > max) {
    fail(index === undefined ? where : `${where}[${index}]`, `must be an integer in ${min}..${max}`);
  }
  return value;
}

/** Typed arrays are little-endian on every machine that Node runs on but s390x, which is told apart here. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function toBase64(values: NumberArray): string {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return (LITTLE_ENDIAN ? bytes : swapped(bytes, values.BYTES_PER_ELEMENT)).toString("base64");
}

function fromBase64(value: unknown, where: string, bytesEach: number): NumberArray {
  if (typeof value !== "string") fail(where, "must be base64");
  const bytes = Buffer.from(value, "base64"); // lenient; the canonical form is compared at the end
  if (bytes.length % bytesEach !== 0) fail(where, `must be whole numbers of ${bytesEach} bytes`);
  const copy = Uint8Array.from(LITTLE_ENDIAN ? bytes : swapped(bytes, bytesEach));
  if (bytesEach === 4) return new Int32Array(copy.buffer);
  return bytesEach === 2 ? new Int16Array(copy.buffer) : copy;
}

function swapped(bytes: Buffer, bytesEach: number): Buffer {
  const copy = Buffer.from(bytes);
  if (bytesEach === 4) copy.swap32();
  else if (bytesEach === 2) copy.swap16();
  return copy;
}
