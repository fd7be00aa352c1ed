/**
 * The quantised integer graph, "ZQ8": what a model means once it is compiled.
 *
 * A graph is a chain of typed layers over integer vectors. The reference executor, the witness and the circuit
 * compute the same integers from it, and {@link modelDigest} names it. Floats are gone: where the integers came from
 * (scales, calibration) is the importer's report, not part of the model.
 *
 * Value types along the chain:
 *
 * - `activation`: integers in 0..127;
 * - `accumulator`: integers that fit 32 bits, as `bounds.ts` proves for the weights at hand;
 * - `class`: one index.
 *
 * A layer kind states the type that it takes and the type that it gives ({@link layerSignature}); the checks, the
 * bounds, the executor and the circuit writer each switch over the kinds, so that the compiler lists what a new kind
 * must bring.
 *
 * @module
 */

import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { AnchorError } from "../errors.js";

/** Activations are integers in `0..ACTIVATION_MAX`. */
export const ACTIVATION_MAX = 127;
export const ACTIVATION_BITS = 7;

/** Limits of a graph. They bound what a hostile file can make a reader allocate. */
export const GRAPH_LIMITS = {
  layers: 64,
  width: 65_536,
  weights: 4_194_304,
  shift: 30,
  /** Canonical bytes: about four characters a weight, and room for the rest. */
  bytes: 64 * 1024 * 1024,
} as const;

/** `out[o] = bias[o] + Σ weights[o][i] · in[i]`: activation → accumulator. */
export interface DenseLayer {
  readonly kind: "dense";
  readonly inputs: number;
  readonly outputs: number;
  /** `outputs` rows of `inputs` int8 values (-127..127). */
  readonly weights: readonly (readonly number[])[];
  /** `outputs` int32 values. */
  readonly bias: readonly number[];
}

/**
 * `out[o] = clamp((in[o] + half) >> s, 0, 127)` with `s = shifts[o]` and `half = 2^(s-1)`, or 0 when `s = 0`; the shift
 * rounds towards minus infinity: accumulator → activation. Rounding, ReLU and saturation in one.
 */
export interface RequantReluLayer {
  readonly kind: "requantRelu";
  readonly shifts: readonly number[];
}

/** Index of the largest value, the lowest one of equals: accumulator → class. */
export interface ArgMaxLayer {
  readonly kind: "argMax";
}

export type Layer = DenseLayer | RequantReluLayer | ArgMaxLayer;

export type ValueType = "activation" | "accumulator" | "class";

export interface ModelGraph {
  readonly input: {
    /** Number of features. */
    readonly size: number;
    /** Feature `q` stands for the real `q / 2^scaleLog2`: how a float input becomes this graph's. */
    readonly scaleLog2: number;
  };
  /** `dense (requantRelu dense)* argMax`, the only order that the value types allow. */
  readonly layers: readonly Layer[];
}

/** Hashed before a graph's canonical bytes, so that no other hash of the project can equal a model digest. */
export const MODEL_DIGEST_TAG = "anchorproof/model/1";

const FORMAT = "anchorproof/zq8";
const VERSION = 1;
const INT32_MAX = 2 ** 31 - 1;

/** What a layer takes and gives. */
export function layerSignature(layer: Layer): { takes: ValueType; gives: ValueType } {
  switch (layer.kind) {
    case "dense":
      return { takes: "activation", gives: "accumulator" };
    case "requantRelu":
      return { takes: "accumulator", gives: "activation" };
    case "argMax":
      return { takes: "accumulator", gives: "class" };
  }
}

/** Number of values that each layer gives, in order. The graph must have passed {@link checkGraph}. */
export function layerWidths(graph: ModelGraph): number[] {
  let width = graph.input.size;
  return graph.layers.map((layer) => {
    if (layer.kind === "dense") width = layer.outputs;
    else if (layer.kind === "argMax") width = 1;
    return width;
  });
}

/** Number of classes: the width of the last accumulator. */
export function classCount(graph: ModelGraph): number {
  return layerWidths(graph).at(-2)!;
}

/**
 * Checks everything that {@link ModelGraph} promises, and copies it: the result shares nothing with the argument and
 * has no other properties. Accumulator bounds are not checked here but in `proveBounds`.
 *
 * @throws AnchorError `MODEL_MALFORMED`, naming the first field that is wrong; `INPUT_TOO_LARGE` above
 *   {@link GRAPH_LIMITS}.
 */
export function checkGraph(value: unknown): ModelGraph {
  const root = record(value, "graph", ["input", "layers"]);
  const inputRecord = record(root["input"], "input", ["size", "scaleLog2"]);
  const input = {
    size: integer(inputRecord["size"], "input.size", 1, GRAPH_LIMITS.width),
    scaleLog2: integer(inputRecord["scaleLog2"], "input.scaleLog2", -64, 64),
  };

  const list = array(root["layers"], "layers", 2, GRAPH_LIMITS.layers);
  let type = "activation" as ValueType;
  let width = input.size;
  let weightCount = 0;
  const layers = list.map((each, index) => {
    const where = `layers[${index}]`;
    const layer = checkLayer(each, where, width, (count) => {
      weightCount += count;
      if (weightCount > GRAPH_LIMITS.weights) {
        throw new AnchorError("INPUT_TOO_LARGE", `the model has more than ${GRAPH_LIMITS.weights} weights`);
      }
    });
    const { takes, gives } = layerSignature(layer);
    if (takes !== type) fail(where, `a ${layer.kind} layer takes a value of type ${takes}, not ${type}`);
    if (layer.kind === "argMax" && width < 2) fail(where, "a classifier has two classes or more");
    type = gives;
    width = layer.kind === "dense" ? layer.outputs : width;
    return layer;
  });
  if (type !== "class") fail("layers", "the last layer must be argMax");
  return { input, layers };
}

/** Canonical bytes of a graph: UTF-8 JSON, keys in fixed order, integers in plain decimal, no white space. */
export function serialiseGraph(graph: ModelGraph): Uint8Array {
  const { input, layers } = checkGraph(graph);
  const ordered = {
    format: FORMAT,
    version: VERSION,
    input: { size: input.size, scaleLog2: input.scaleLog2 },
    layers: layers.map(orderKeys),
  };
  return utf8ToBytes(JSON.stringify(ordered));
}

/**
 * Reads canonical bytes. Whatever {@link serialiseGraph} would write differently (white space, key order, repeated or
 * unknown keys, `1.0`, `-0`, a byte order mark) is refused, so that a model has one file and one digest.
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
  const root = record(parsed, "model", ["format", "version", "input", "layers"]);
  if (root["format"] !== FORMAT || root["version"] !== VERSION) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `the model file must have format ${FORMAT}, version ${VERSION}`);
  }
  const graph = checkGraph({ input: root["input"], layers: root["layers"] });
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

function checkLayer(value: unknown, where: string, width: number, count: (weights: number) => void): Layer {
  const kind = typeof value === "object" && value !== null ? (value as { kind?: unknown }).kind : undefined;
  switch (kind) {
    case "dense": {
      const layer = record(value, where, ["kind", "inputs", "outputs", "weights", "bias"]);
      const inputs = integer(layer["inputs"], `${where}.inputs`, 1, GRAPH_LIMITS.width);
      const outputs = integer(layer["outputs"], `${where}.outputs`, 1, GRAPH_LIMITS.width);
      if (inputs !== width) fail(`${where}.inputs`, `must be ${width}, the width of the value before`);
      count(inputs * outputs);
      const rows = array(layer["weights"], `${where}.weights`, outputs, outputs);
      const weights = rows.map((row, o) => integers(row, `${where}.weights[${o}]`, inputs, -127, 127));
      const bias = integers(layer["bias"], `${where}.bias`, outputs, -INT32_MAX, INT32_MAX);
      return { kind, inputs, outputs, weights, bias };
    }
    case "requantRelu": {
      const layer = record(value, where, ["kind", "shifts"]);
      return { kind, shifts: integers(layer["shifts"], `${where}.shifts`, width, 0, GRAPH_LIMITS.shift) };
    }
    case "argMax":
      record(value, where, ["kind"]);
      return { kind };
    default:
      return fail(`${where}.kind`, "must be dense, requantRelu or argMax");
  }
}

/** A layer with its keys in canonical order. */
function orderKeys(layer: Layer): Layer {
  switch (layer.kind) {
    case "dense": {
      const { kind, inputs, outputs, weights, bias } = layer;
      return { kind, inputs, outputs, weights, bias };
    }
    case "requantRelu":
      return { kind: layer.kind, shifts: layer.shifts };
    case "argMax":
      return { kind: layer.kind };
  }
}

function fail(where: string, problem: string): never {
  throw new AnchorError("MODEL_MALFORMED", `${where}: ${problem}`, { details: { field: where } });
}

function record(value: unknown, where: string, keys: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(where, "must be an object");
  const own = Object.keys(value);
  const unknown = own.find((key) => !keys.includes(key));
  if (unknown !== undefined) fail(where, `has an unknown field ${JSON.stringify(unknown)}`);
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

function integers(value: unknown, where: string, length: number, min: number, max: number): number[] {
  return array(value, where, length, length).map((each, index) => integer(each, `${where}[${index}]`, min, max));
}

function integer(value: unknown, where: string, min: number, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || Object.is(value, -0) || value < min || value > max) {
    fail(where, `must be an integer in ${min}..${max}`);
  }
  return value;
}
