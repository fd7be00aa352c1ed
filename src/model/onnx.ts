/**
 * ONNX files to a small typed float model.
 *
 * Read today: chains of fully connected layers on one sample, `Gemm` (alpha, beta, transA, transB) or `MatMul` with
 * an optional `Add`, `Relu` between them, `ArgMax` at the end, and the operators that change nothing on such a chain:
 * `Identity`, and `Flatten`, `Reshape`, that only rearrange one sample's shape. Weights are float or double, inside
 * the file. Everything else is refused with `MODEL_OP_UNSUPPORTED`, naming the node: a model is never approximated in
 * silence.
 *
 * The file is not run through a general ONNX checker; what this reader does not use, it does not validate.
 *
 * @module
 */

import { fromBinary } from "@bufbuild/protobuf";
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType,
  type ValueInfoProto,
} from "onnx-buf";
import { AnchorError, toAnchorError } from "../errors.js";
import { GRAPH_LIMITS } from "./graph.js";

export interface FloatDense {
  readonly kind: "dense";
  /** The ONNX node, for messages and reports. */
  readonly node: string;
  readonly inputs: number;
  readonly outputs: number;
  /** Row-major, `outputs` rows of `inputs`; alpha is already multiplied in. */
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

export interface FloatRelu {
  readonly kind: "relu";
  readonly node: string;
}

export type FloatLayer = FloatDense | FloatRelu;

/** `dense (relu dense)*`; a trailing ArgMax of the file is implied, whether it was there or not. */
export interface FloatModel {
  readonly input: { readonly name: string; readonly size: number };
  readonly layers: readonly FloatLayer[];
  /** Every node of the file in order, with its operator. */
  readonly nodes: readonly { readonly name: string; readonly op: string }[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Metadata key of an ONNX file for `log2` of the integer steps in one unit of its input. */
export const INPUT_SCALE_KEY = "anchorproof.input_scale_log2";

/** Files above this are refused before they are decoded. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;
const OPSET_MIN = 7; // before, Gemm and Add had a `broadcast` attribute
const OPSET_MAX = 25;

type Attributes = Map<string, AttributeProto>;

/** A constant of the file: an initializer, a Constant node's value, or an Identity of one. */
interface Constant {
  readonly dims: readonly number[];
  readonly tensor: TensorProto;
}

/**
 * Reads an ONNX file.
 *
 * @throws AnchorError `MODEL_MALFORMED` for damaged files, `MODEL_OP_UNSUPPORTED` for what is not compiled yet,
 *   `INPUT_TOO_LARGE`.
 */
export function readOnnx(bytes: Uint8Array): FloatModel {
  if (!(bytes instanceof Uint8Array)) throw new AnchorError("INPUT_INVALID", "readOnnx takes the file as a Uint8Array");
  if (bytes.length > MAX_FILE_BYTES) {
    throw new AnchorError("INPUT_TOO_LARGE", `an ONNX file is limited to ${MAX_FILE_BYTES} bytes`);
  }
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw toAnchorError(error, "MODEL_MALFORMED", "the file is not an ONNX model");
  }
  const { graph } = model;
  if (graph === undefined) throw malformed("the file has no graph; is it an ONNX model?");
  checkOpset(model);
  if (model.functions.length > 0) {
    throw unsupported("the model defines local functions; inline them before exporting (onnx.inliner)");
  }
  if (graph.sparseInitializer.length > 0) {
    throw unsupported("the model has sparse initializers; export it with dense weights");
  }
  return new ChainReader(graph).read(new Map(model.metadataProps.map(({ key, value }) => [key, value])));
}

/**
 * Evaluates a float model in double precision: the yardstick for quantisation reports. onnxruntime computes in single
 * precision and another order, so its logits differ in the last digits.
 *
 * @returns the logits.
 * @throws AnchorError `INPUT_INVALID` when the input has the wrong size.
 */
export function runFloat(model: FloatModel, input: ArrayLike<number>): Float64Array {
  if (input.length !== model.input.size) {
    throw new AnchorError("INPUT_INVALID", `the model takes ${model.input.size} values, not ${input.length}`);
  }
  let values = Float64Array.from(input);
  for (const layer of model.layers) {
    if (layer.kind === "relu") {
      values = values.map((value) => Math.max(0, value));
      continue;
    }
    const next = Float64Array.from(layer.bias);
    for (let o = 0; o < layer.outputs; o++) {
      const row = o * layer.inputs;
      for (let i = 0; i < layer.inputs; i++) next[o]! += layer.weights[row + i]! * values[i]!;
    }
    values = next;
  }
  return values;
}

/** Follows the one data path from the graph's input to its output. */
class ChainReader {
  readonly #graph: GraphProto;
  readonly #constants = new Map<string, Constant>();
  readonly #layers: FloatLayer[] = [];
  /** Name and shape of the value that the nodes so far give. */
  #current = "";
  #shape: readonly number[] = [];
  #ended = false;
  #weights = 0;

  constructor(graph: GraphProto) {
    this.#graph = graph;
  }

  read(metadata: ReadonlyMap<string, string>): FloatModel {
    const graph = this.#graph;
    for (const tensor of graph.initializer) this.#addConstant(tensor.name, tensor);
    // Before IR version 4 initializers were listed among the inputs.
    const inputs = graph.input.filter(({ name }) => !this.#constants.has(name));
    if (inputs.length !== 1) throw unsupported(`the model has ${inputs.length} inputs; export it with exactly one`);
    const input = inputs[0]!;
    this.#current = input.name;
    this.#shape = inputShape(input);
    const size = product(this.#shape);
    if (size > GRAPH_LIMITS.width) {
      throw new AnchorError(
        "INPUT_TOO_LARGE",
        `the model's input has ${size} values; the limit is ${GRAPH_LIMITS.width}`,
      );
    }

    graph.node.forEach((node, index) => {
      this.#node(node, describe(node, index));
    });

    if (graph.output.length !== 1) {
      throw unsupported(`the model has ${graph.output.length} outputs; export it with exactly one`);
    }
    if (graph.output[0]!.name !== this.#current) {
      throw malformed(`no node gives the output ${quote(graph.output[0]!.name)} from the input`);
    }
    const last = this.#layers.at(-1);
    if (last === undefined) throw unsupported("the model has no fully connected layer");
    if (last.kind !== "dense") {
      throw unsupported(`${last.node}: the model ends in Relu; export the logits of the last Gemm instead`);
    }
    const nodes = graph.node.map((node, index) => ({ name: node.name || `#${index}`, op: node.opType }));
    return { input: { name: input.name, size }, layers: this.#layers, nodes, metadata };
  }

  #node(node: NodeProto, where: string): void {
    if (node.domain !== "" && node.domain !== "ai.onnx") {
      throw unsupported(`${where}: operators of the domain ${quote(node.domain)} are not supported`);
    }
    if (node.output.length !== 1 || node.output[0] === "") throw malformed(`${where}: must have exactly one output`);
    const output = node.output[0]!;
    if (output === this.#current || this.#constants.has(output)) {
      throw malformed(`${where}: the name ${quote(output)} is given twice`);
    }
    const attributes = readAttributes(node, where);

    if (node.opType === "Constant") {
      const value = attributes.get("value");
      if (value?.t === undefined || attributes.size !== 1) {
        throw unsupported(`${where}: only Constant nodes with a tensor \`value\` are supported`);
      }
      this.#addConstant(output, value.t);
      return;
    }
    if (node.opType === "Identity" && this.#constants.has(node.input[0] ?? "")) {
      this.#constants.set(output, this.#constants.get(node.input[0]!)!);
      return;
    }
    if (this.#ended) throw unsupported(`${where}: nothing may follow ArgMax; remove it`);

    switch (node.opType) {
      case "Gemm":
        this.#gemm(node, where, attributes);
        break;
      case "MatMul":
        this.#matMul(node, where, attributes);
        break;
      case "Add":
        this.#add(node, where, attributes);
        break;
      case "Relu":
        allowAttributes(attributes, where, []);
        this.#data(node, where, 1);
        if (this.#layers.at(-1)?.kind !== "dense") throw unsupported(`${where}: Relu must follow a Gemm or MatMul`);
        this.#layers.push({ kind: "relu", node: where });
        break;
      case "Identity":
        allowAttributes(attributes, where, []);
        this.#data(node, where, 1);
        break;
      case "Flatten":
        this.#flatten(node, where, attributes);
        break;
      case "Reshape":
        this.#reshape(node, where, attributes);
        break;
      case "ArgMax":
        this.#argMax(node, where, attributes);
        break;
      case "Softmax":
      case "LogSoftmax":
        throw unsupported(`${where}: ${node.opType} does not change the class; export the logits before it`);
      default:
        throw unsupported(
          `${where}: the operator ${quote(node.opType)} is not supported; use Gemm, MatMul, Add, Relu, Flatten, Reshape, Identity, ArgMax`,
        );
    }
    this.#current = output;
  }

  #gemm(node: NodeProto, where: string, attributes: Attributes): void {
    allowAttributes(attributes, where, ["alpha", "beta", "transA", "transB"]);
    this.#data(node, where, 2, 3);
    const alpha = floatAttribute(attributes, where, "alpha", 1);
    const beta = floatAttribute(attributes, where, "beta", 1);
    const transA = intAttribute(attributes, where, "transA", 0n) !== 0n;
    const transB = intAttribute(attributes, where, "transB", 0n) !== 0n;
    const shape = transA ? [...this.#shape].reverse() : this.#shape;
    const { dims, values } = this.#tensor(node.input[1]!, where);
    const inputs = this.#sampleWidth(shape, where);
    if (dims.length !== 2 || dims[transB ? 1 : 0] !== inputs) {
      throw malformed(`${where}: weights of shape [${dims}] do not fit ${inputs} inputs`);
    }
    const outputs = dims[transB ? 0 : 1]!;
    const hasBias = node.input[2] !== undefined && node.input[2] !== "";
    const bias = hasBias ? this.#vector(node.input[2]!, outputs, where) : new Float64Array(outputs);
    this.#dense(
      where,
      inputs,
      outputs,
      transB ? values : transpose(values, inputs, outputs),
      alpha,
      bias.map((b) => b * beta),
    );
    this.#shape = [1, outputs];
  }

  #matMul(node: NodeProto, where: string, attributes: Attributes): void {
    allowAttributes(attributes, where, []);
    this.#data(node, where, 2);
    const { dims, values } = this.#tensor(node.input[1]!, where);
    const inputs = this.#sampleWidth(this.#shape, where);
    if (dims.length !== 2 || dims[0] !== inputs) {
      throw malformed(`${where}: weights of shape [${dims}] do not fit ${inputs} inputs`);
    }
    const outputs = dims[1]!;
    this.#dense(where, inputs, outputs, transpose(values, inputs, outputs), 1, new Float64Array(outputs));
    this.#shape = [1, outputs];
  }

  /** A constant added to a linear layer is bias; anywhere else it is not expressible in the graph. */
  #add(node: NodeProto, where: string, attributes: Attributes): void {
    allowAttributes(attributes, where, []);
    const other = node.input[0] === this.#current ? node.input[1] : node.input[0];
    if (node.input.length !== 2 || !node.input.includes(this.#current) || !this.#constants.has(other ?? "")) {
      throw unsupported(`${where}: Add is supported only for a constant bias after MatMul or Gemm`);
    }
    const last = this.#layers.at(-1);
    if (last?.kind !== "dense") throw unsupported(`${where}: Add must directly follow MatMul or Gemm`);
    const bias = this.#vector(other!, last.outputs, where);
    this.#layers[this.#layers.length - 1] = {
      ...last,
      bias: finite(
        last.bias.map((b, o) => b + bias[o]!),
        where,
      ),
    };
  }

  #flatten(node: NodeProto, where: string, attributes: Attributes): void {
    allowAttributes(attributes, where, ["axis"]);
    this.#data(node, where, 1);
    const rank = this.#shape.length;
    const axis = Number(intAttribute(attributes, where, "axis", 1n));
    if (axis < -rank || axis > rank) throw malformed(`${where}: axis ${axis} is out of range`);
    const at = axis < 0 ? axis + rank : axis;
    this.#shape = [product(this.#shape.slice(0, at)), product(this.#shape.slice(at))];
  }

  #reshape(node: NodeProto, where: string, attributes: Attributes): void {
    allowAttributes(attributes, where, ["allowzero"]);
    this.#data(node, where, 2);
    const allowZero = intAttribute(attributes, where, "allowzero", 0n) !== 0n;
    const constant = this.#constants.get(node.input[1]!);
    if (constant === undefined) throw unsupported(`${where}: the shape must be a constant`);
    const target = readInt64(constant, where);
    const size = product(this.#shape);
    const dims = target.map((dim, index) => {
      if (dim === 0 && !allowZero) return this.#shape[index] ?? -2;
      return dim;
    });
    const inferred = dims.indexOf(-1);
    if (inferred !== -1) dims[inferred] = size / product(dims.filter((_, index) => index !== inferred));
    if (!dims.every((dim) => Number.isInteger(dim) && dim >= 1) || product(dims) !== size) {
      throw malformed(`${where}: cannot reshape ${size} values to [${target}]`);
    }
    this.#shape = dims;
  }

  #argMax(node: NodeProto, where: string, attributes: Attributes): void {
    allowAttributes(attributes, where, ["axis", "keepdims", "select_last_index"]);
    this.#data(node, where, 1);
    const axis = intAttribute(attributes, where, "axis", 0n);
    const rank = BigInt(this.#shape.length);
    if ((axis < 0n ? axis + rank : axis) !== rank - 1n) {
      throw unsupported(`${where}: ArgMax must run over the last axis (the classes)`);
    }
    if (intAttribute(attributes, where, "select_last_index", 0n) !== 0n) {
      throw unsupported(`${where}: ArgMax with select_last_index is not supported; ties go to the lowest index`);
    }
    if (this.#layers.at(-1)?.kind !== "dense") throw unsupported(`${where}: ArgMax must follow a Gemm or MatMul`);
    this.#ended = true;
  }

  #dense(where: string, inputs: number, outputs: number, rows: Float64Array, alpha: number, bias: Float64Array): void {
    if (this.#layers.at(-1)?.kind === "dense") {
      throw unsupported(`${where}: two linear layers in a row; merge them, or put a Relu between them`);
    }
    const weights = finite(alpha === 1 ? rows : rows.map((weight) => weight * alpha), where);
    this.#layers.push({ kind: "dense", node: where, inputs, outputs, weights, bias: finite(bias, where) });
  }

  /** Checks that a node takes the chain's value first and constants after it. */
  #data(node: NodeProto, where: string, min: number, max = min): void {
    if (node.input.length < min || node.input.length > max) throw malformed(`${where}: wrong number of inputs`);
    if (node.input[0] !== this.#current) {
      throw unsupported(
        `${where}: its first input ${quote(node.input[0]!)} is not the value before it; only chains without branches are supported`,
      );
    }
  }

  #sampleWidth(shape: readonly number[], where: string): number {
    if (shape.length !== 2 || shape[0] !== 1) {
      throw unsupported(`${where}: takes a value of shape [${shape}]; only [1, n] is supported, flatten it first`);
    }
    return shape[1]!;
  }

  #addConstant(name: string, tensor: TensorProto): void {
    if (this.#constants.has(name)) throw malformed(`the constant ${quote(name)} is given twice`);
    this.#constants.set(name, { dims: tensor.dims.map((dim) => dimension(dim, name)), tensor });
  }

  #tensor(name: string, where: string): { dims: readonly number[]; values: Float64Array } {
    const constant = this.#constants.get(name);
    if (constant === undefined) {
      throw unsupported(`${where}: ${quote(name)} must be a constant of the file (weights cannot be computed)`);
    }
    this.#weights += product(constant.dims);
    if (this.#weights > GRAPH_LIMITS.weights) {
      throw new AnchorError("INPUT_TOO_LARGE", `the model has more than ${GRAPH_LIMITS.weights} weights`);
    }
    if (constant.dims.some((dim) => dim > GRAPH_LIMITS.width)) {
      throw new AnchorError("INPUT_TOO_LARGE", `${where}: a layer is limited to ${GRAPH_LIMITS.width} values`);
    }
    return { dims: constant.dims, values: readFloats(constant, where) };
  }

  /** A constant that broadcasts to [1, width]. */
  #vector(name: string, width: number, where: string): Float64Array {
    const { dims, values } = this.#tensor(name, where);
    const last = dims.at(-1) ?? 1;
    if (dims.length > 2 || (dims.length === 2 && dims[0] !== 1) || (last !== 1 && last !== width)) {
      throw unsupported(`${where}: a bias of shape [${dims}] does not broadcast to [1, ${width}]`);
    }
    return last === width ? values : new Float64Array(width).fill(values[0]!);
  }
}

function checkOpset({ opsetImport }: ModelProto): void {
  const opset = opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx");
  if (opset === undefined) throw malformed("the file names no ONNX operator set");
  if (opset.version < OPSET_MIN || opset.version > OPSET_MAX) {
    throw unsupported(`operator set ${opset.version} is not supported; export with ${OPSET_MIN} to ${OPSET_MAX}`);
  }
}

function inputShape(input: ValueInfoProto): number[] {
  const where = `input ${quote(input.name)}`;
  const type = input.type?.value;
  if (type?.case !== "tensorType") throw unsupported(`${where}: must be a tensor`);
  if (type.value.elemType !== TensorProto_DataType.FLOAT) {
    throw unsupported(`${where}: must have the type float, not ${dataTypeName(type.value.elemType)}`);
  }
  if (type.value.shape === undefined) throw unsupported(`${where}: has no shape; export with a fixed shape [1, n]`);
  const dims = type.value.shape.dim.map(({ value }) => {
    if (value.case !== "dimValue") {
      throw unsupported(`${where}: has a dynamic dimension; export with a fixed shape [1, n]`);
    }
    return dimension(value.value, input.name);
  });
  if (dims.length < 2) throw unsupported(`${where}: must have the shape [1, n], not [${dims}]`);
  return dims;
}

function dimension(value: bigint, name: string): number {
  if (value < 1n || value > 2n ** 31n) throw malformed(`${quote(name)}: dimension ${value} is out of range`);
  return Number(value);
}

function readFloats({ dims, tensor }: Constant, where: string): Float64Array {
  const count = product(dims);
  const { rawData } = tensor;
  checkLocal(tensor, where);
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  let values: Float64Array;
  if (tensor.dataType === TensorProto_DataType.FLOAT) {
    values =
      rawData.length > 0
        ? Float64Array.from({ length: rawCount(rawData, 4, count, where) }, (_, i) => view.getFloat32(4 * i, true))
        : Float64Array.from(tensor.floatData);
  } else if (tensor.dataType === TensorProto_DataType.DOUBLE) {
    values =
      rawData.length > 0
        ? Float64Array.from({ length: rawCount(rawData, 8, count, where) }, (_, i) => view.getFloat64(8 * i, true))
        : Float64Array.from(tensor.doubleData);
  } else {
    const type = dataTypeName(tensor.dataType);
    throw unsupported(`${where}: constants of type ${type} are not supported; export in float32`);
  }
  if (values.length !== count) {
    throw malformed(`${where}: ${quote(tensor.name)} holds ${values.length} values where its shape needs ${count}`);
  }
  return finite(values, where);
}

function readInt64({ dims, tensor }: Constant, where: string): number[] {
  checkLocal(tensor, where);
  const count = product(dims);
  if (tensor.dataType !== TensorProto_DataType.INT64 || dims.length !== 1 || count > 8) {
    throw unsupported(`${where}: the shape must be a vector of at most 8 int64 values`);
  }
  const { rawData } = tensor;
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  const values =
    rawData.length > 0
      ? Array.from({ length: rawCount(rawData, 8, count, where) }, (_, i) => view.getBigInt64(8 * i, true))
      : tensor.int64Data;
  if (values.length !== count) throw malformed(`${where}: the shape tensor is incomplete`);
  return values.map(Number);
}

function rawCount(raw: Uint8Array, size: number, count: number, where: string): number {
  if (raw.length !== size * count) {
    throw malformed(`${where}: a constant has ${raw.length} bytes where its shape needs ${size * count}`);
  }
  return count;
}

function checkLocal(tensor: TensorProto, where: string): void {
  if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL || tensor.externalData.length > 0) {
    throw unsupported(`${where}: weights lie in another file; save the model with its data inside`);
  }
  if (tensor.segment !== undefined) throw unsupported(`${where}: segmented tensors are not supported`);
}

function readAttributes(node: NodeProto, where: string): Attributes {
  const attributes: Attributes = new Map();
  for (const attribute of node.attribute) {
    if (attributes.has(attribute.name)) throw malformed(`${where}: attribute ${quote(attribute.name)} is given twice`);
    attributes.set(attribute.name, attribute);
  }
  return attributes;
}

function allowAttributes(attributes: Attributes, where: string, names: readonly string[]): void {
  for (const name of attributes.keys()) {
    if (!names.includes(name)) throw unsupported(`${where}: the attribute ${quote(name)} is not supported`);
  }
}

function intAttribute(attributes: Attributes, where: string, name: string, fallback: bigint): bigint {
  const attribute = attributes.get(name);
  if (attribute === undefined) return fallback;
  if (attribute.type !== AttributeProto_AttributeType.INT) throw malformed(`${where}: ${name} must be an integer`);
  return attribute.i;
}

function floatAttribute(attributes: Attributes, where: string, name: string, fallback: number): number {
  const attribute = attributes.get(name);
  if (attribute === undefined) return fallback;
  if (attribute.type !== AttributeProto_AttributeType.FLOAT) throw malformed(`${where}: ${name} must be a float`);
  return attribute.f;
}

/** Column-major weights [inputs, outputs] to rows of outputs. */
function transpose(values: Float64Array, inputs: number, outputs: number): Float64Array {
  const rows = new Float64Array(values.length);
  for (let i = 0; i < inputs; i++) {
    for (let o = 0; o < outputs; o++) rows[o * inputs + i] = values[i * outputs + o]!;
  }
  return rows;
}

function finite(values: Float64Array, where: string): Float64Array {
  if (!values.every(Number.isFinite)) throw malformed(`${where}: a weight is infinite or not a number`);
  return values;
}

function product(dims: readonly number[]): number {
  return dims.reduce((a, b) => a * b, 1);
}

function describe(node: NodeProto, index: number): string {
  return `node ${quote(node.name || `#${index}`)} (${clip(node.opType)})`;
}

function dataTypeName(type: number): string {
  return TensorProto_DataType[type] ?? `number ${type}`;
}

/** Names come from the file: they are shortened and escaped before they reach a terminal. */
function quote(text: string): string {
  return JSON.stringify(clip(text));
}

function clip(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return shown.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}

function malformed(message: string): AnchorError {
  return new AnchorError("MODEL_MALFORMED", message);
}

function unsupported(message: string): AnchorError {
  return new AnchorError("MODEL_OP_UNSUPPORTED", message);
}
