/**
 * ONNX files to float graphs.
 *
 * The file's nodes are read once, in order. A value is either known (it comes from constants alone, or is a shape) and
 * computed at once, or it depends on the input and becomes nodes of the draft; so shapes are all known, and there is no
 * pass over the file besides this one. Operators are in `operators/`; what has no exact meaning in the primitives of
 * the float graph is refused with `MODEL_OP_UNSUPPORTED`, naming the node: a model is never approximated in silence.
 *
 * The file is not run through a general ONNX checker; what this reader does not use, it does not validate.
 *
 * @module
 */

import { fromBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from "onnx-buf";
import { AnchorError, toAnchorError } from "../../errors.js";
import type { FloatGraph, FloatInput, FloatNode } from "../float.js";
import { GRAPH_LIMITS, sizeOf } from "../graph.js";
import { findAdapter, partName } from "./adapter.js";
import { Draft } from "./draft.js";
import { dims, label, malformed, quote, tooLarge, unsupported } from "./errors.js";
import { finish } from "./finish.js";
import { Lowering } from "./lowering.js";
import { operatorOf } from "./operators/index.js";
import { Site } from "./site.js";
import { dimension, FLOATS, INTEGERS, isConstant, type Operand, readTensor, Type, typeName } from "./tensor.js";

export interface ReadOnnxOptions {
  /** Make the matrices of LoRA pairs private weights (an `adapter` node) instead of constants. */
  readonly adapter?: boolean | undefined;
  /** Which output is the model's, where a file has several. */
  readonly output?: string | undefined;
  /** Take a first dimension above 1 as a plain one, instead of refusing it as a batch. */
  readonly keepBatch?: boolean | undefined;
}

/** Files above this are refused before they are decoded. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;
const OPSET_MIN = 1;
const OPSET_MAX = 25;
/** Nodes of a file, inlined branches included. */
const MAX_NODES = 65_536;
/** Branches within branches. */
const MAX_DEPTH = 16;
const MICROSOFT = "com.microsoft";

/**
 * Reads an ONNX file.
 *
 * @throws AnchorError `MODEL_MALFORMED` for damaged files, `MODEL_OP_UNSUPPORTED` for what cannot be compiled,
 *   `INPUT_TOO_LARGE`.
 */
export function readOnnx(bytes: Uint8Array, options: ReadOnnxOptions = {}): FloatGraph {
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
  if (model.functions.length > 0) {
    throw unsupported("the model defines local functions; inline them before exporting (onnx.inliner)");
  }
  return new Reader(model, graph, options).read();
}

/** A name's value: computed, or not yet read, or one that fails when it is taken. */
type Entry = { readonly operand: Operand } | { readonly tensor: TensorProto } | { readonly refusal: string };

class Scope {
  readonly #entries = new Map<string, Entry>();
  readonly #parent: Scope | undefined;
  readonly depth: number;

  constructor(parent?: Scope) {
    this.#parent = parent;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  find(name: string): Entry | undefined {
    return this.#entries.get(name) ?? this.#parent?.find(name);
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  /** ONNX is in single assignment form, branches included. */
  define(name: string, entry: Entry, where: string): void {
    if (this.has(name)) throw malformed(`${where}: the name ${quote(name)} is given twice`);
    this.#entries.set(name, entry);
  }

  /** Puts the value of a tensor that was read in its place. */
  replace(name: string, entry: Entry): void {
    if (this.#entries.has(name)) this.#entries.set(name, entry);
    else this.#parent?.replace(name, entry);
  }
}

class Reader {
  readonly #graph: GraphProto;
  readonly #options: ReadOnnxOptions;
  readonly #versions: ReadonlyMap<string, number>;
  readonly #metadata: ReadonlyMap<string, string>;
  readonly #draft = new Draft();
  readonly #lowering = new Lowering(this.#draft);
  #nodes = 0;

  constructor(model: ModelProto, graph: GraphProto, options: ReadOnnxOptions) {
    this.#graph = graph;
    this.#options = options;
    this.#versions = versionsOf(model);
    this.#metadata = new Map(model.metadataProps.map(({ key, value }) => [key, value]));
  }

  read(): FloatGraph {
    const graph = this.#graph;
    const scope = new Scope();
    this.#defineTensors(graph, scope);
    // Before IR version 4 initialisers were listed among the inputs.
    const inputs = graph.input.filter(({ name }) => !scope.has(name));
    const input = inputs[0];
    if (input === undefined || inputs.length > 1) {
      const names = inputs.slice(0, 6).map(({ name }) => quote(name));
      throw unsupported(
        `the model has ${inputs.length} inputs${names.length > 0 ? ` (${names.join(", ")})` : ""}; export it with exactly one, and the others as constants`,
      );
    }
    const outputs = graph.output.map(({ name }) => name);
    const name = this.#options.output ?? outputs[0];
    if (this.#options.output === undefined && outputs.length !== 1) {
      const names = outputs.slice(0, 6).map(quote).join(", ");
      throw unsupported(`the model has ${outputs.length} outputs (${names}); export it with one, or name one of them`);
    }
    if (name === undefined || !outputs.includes(name)) {
      throw new AnchorError("INPUT_INVALID", `the model has no output ${quote(name ?? "")}`);
    }
    const start = this.#defineInput(input, scope);
    const parts = this.#options.adapter === true ? this.#defineAdapter(scope) : 0;
    this.#run(graph, scope, [name]);
    if (!scope.has(name)) throw malformed(`no node gives the output ${quote(name)}`);
    this.#draft.at = `${quote(name)} (output)`;
    const output = this.#lowering.plain(this.#operand(name, scope, `output ${quote(name)}`));
    if (isConstant(output)) throw unsupported(`the output ${quote(name)} does not depend on the input`);
    const nodes = finish(this.#draft, output.id, parts > 0 ? 2 : 1);
    nodes[0] = withTokens(nodes, start);
    return {
      nodes,
      outputShape: output.shape.length > 1 && output.shape[0] === 1 ? output.shape.slice(1) : output.shape,
      source: graph.node.map((node, index) => ({ name: node.name || `#${index}`, op: node.opType })),
      metadata: this.#metadata,
    };
  }

  #defineTensors(graph: GraphProto, scope: Scope): void {
    if (graph.sparseInitializer.length > 0) {
      throw unsupported("the model has sparse initializers; export it with dense weights");
    }
    for (const tensor of graph.initializer) scope.define(tensor.name, { tensor }, "initializer");
  }

  #defineInput(input: ValueInfoProto, scope: Scope): { readonly type: Type } {
    const { shape, type } = inputOf(input, this.#options.keepBatch === true);
    const size = sizeOf(shape);
    if (size > GRAPH_LIMITS.width) {
      throw tooLarge(`the model's input has ${size} values; the limit is ${GRAPH_LIMITS.width}`);
    }
    const plain = shape.length > 1 && shape[0] === 1 ? shape.slice(1) : shape;
    const node: FloatInput = { op: "input", node: `${quote(input.name)} (input)`, name: input.name, shape: plain };
    this.#draft.at = node.node;
    scope.define(input.name, { operand: { id: this.#draft.push(node), shape, type } }, "input");
    return { type };
  }

  /** Gives the matrices of LoRA pairs as slices of a node. */
  #defineAdapter(scope: Scope): number {
    const { names, alpha } = findAdapter(this.#graph, this.#metadata);
    const tensors = names.map((name) => {
      const operand = this.#operand(name, scope, "the adapter");
      if (!isConstant(operand)) throw malformed(`${quote(name)} is no constant`);
      return operand;
    });
    this.#draft.at = "the adapter";
    const values = new Float64Array(tensors.reduce((sum, each) => sum + each.values.length, 0));
    const parts = names.map((name, k) => ({ name: partName(name), shape: tensors[k]!.shape }));
    const id = this.#draft.push({
      op: "adapter",
      node: `${names.map(quote).slice(0, 4).join(", ")} (LoRA)`,
      parts,
      values,
      alpha,
    });
    let offset = 0;
    tensors.forEach((tensor, k) => {
      values.set(tensor.values, offset);
      const { length } = tensor.values;
      const index = Int32Array.from({ length }, (_, i) => offset + i);
      this.#draft.spend("indices", length);
      const flat = this.#draft.arrange([id], index);
      scope.replace(names[k]!, { operand: this.#lowering.of(flat, tensor.shape, tensor.type) });
      offset += length;
    });
    return parts.length;
  }

  /** Reads the nodes that the named values need; what else a file holds is not part of the model. */
  #run(graph: GraphProto, scope: Scope, wanted: readonly string[]): void {
    const needed = neededNodes(graph, wanted);
    graph.node.forEach((node, index) => {
      if (needed.has(node)) this.#node(node, scope, label(node, index));
    });
  }

  #node(node: NodeProto, scope: Scope, name: string): void {
    const where = `node ${name}`;
    if (++this.#nodes > MAX_NODES) throw tooLarge(`the model has more than ${MAX_NODES} nodes`);
    if (node.output.every((output) => output === "")) throw malformed(`${where}: has no output`);
    this.#draft.at = name;
    const results =
      node.opType === "If" && isStandard(node.domain)
        ? this.#branch(node, scope, where)
        : this.#call(node, scope, where);
    node.output.forEach((output, i) => {
      if (output === "") return;
      const operand = results[i];
      const refusal = `${where}: its output ${quote(output)} is not supported`;
      scope.define(output, operand === undefined ? { refusal } : { operand }, where);
    });
  }

  #call(node: NodeProto, scope: Scope, where: string): readonly (Operand | undefined)[] {
    const domain = isStandard(node.domain) ? "" : node.domain;
    const version = this.#versions.get(domain);
    if (domain !== "" && domain !== MICROSOFT) {
      throw unsupported(`${where}: operators of the domain ${quote(node.domain)} are not supported`);
    }
    const operator = operatorOf(node.opType, domain, where);
    const operands = node.input.map((input) => (input === "" ? undefined : this.#operand(input, scope, where)));
    const site = new Site(node, version ?? 1, where, operands, this.#lowering);
    const result = operator(site, this.#lowering);
    site.checkAttributesRead();
    return Array.isArray(result) ? (result as readonly (Operand | undefined)[]) : [result as Operand];
  }

  /** A condition that is known chooses which branch is part of the model. */
  #branch(node: NodeProto, scope: Scope, where: string): readonly Operand[] {
    const condition = this.#operand(node.input[0] ?? "", scope, where);
    if (!isConstant(condition) || condition.values.length !== 1) {
      throw unsupported(`${where}: its condition depends on the input; export the model with one branch only`);
    }
    if (scope.depth >= MAX_DEPTH) throw tooLarge(`${where}: more than ${MAX_DEPTH} branches within branches`);
    const wanted = condition.values[0] !== 0 ? "then_branch" : "else_branch";
    const attribute = node.attribute.find(({ name }) => name === wanted);
    if (attribute?.type !== AttributeProto_AttributeType.GRAPH || attribute.g === undefined) {
      throw malformed(`${where}: has no ${wanted}`);
    }
    const inner = new Scope(scope);
    const graph = attribute.g;
    this.#defineTensors(graph, inner);
    const names = graph.output.map(({ name }) => name);
    this.#run(graph, inner, names);
    return names.map((name) => this.#operand(name, inner, where));
  }

  #operand(name: string, scope: Scope, where: string): Operand {
    const entry = scope.find(name);
    if (entry === undefined) throw malformed(`${where}: no node before it gives ${quote(name)}`);
    if ("refusal" in entry) throw unsupported(entry.refusal);
    if ("operand" in entry) return entry.operand;
    const operand = readTensor(entry.tensor, where);
    this.#draft.spend("constants", operand.values.length);
    scope.replace(name, { operand });
    return operand;
  }
}

function neededNodes(graph: GraphProto, wanted: readonly string[]): Set<NodeProto> {
  const makers = new Map<string, NodeProto>();
  for (const node of graph.node) {
    for (const name of node.output) {
      if (name === "") continue;
      if (makers.has(name)) throw malformed(`the name ${quote(name)} is given twice`);
      makers.set(name, node);
    }
  }
  const needed = new Set<NodeProto>();
  const open = [...wanted];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = makers.get(name);
    if (node === undefined || needed.has(node)) continue;
    needed.add(node);
    for (const used of namesIn(node)) open.push(used);
  }
  return needed;
}

/** What a node takes, its branches included: these see the values around them. */
function* namesIn(node: NodeProto): Generator<string> {
  yield* node.input;
  for (const { g } of node.attribute) {
    if (g === undefined) continue;
    for (const inner of g.node) yield* namesIn(inner);
    for (const { name } of g.output) yield name;
  }
}

function isStandard(domain: string): boolean {
  return domain === "" || domain === "ai.onnx";
}

function versionsOf({ opsetImport }: ModelProto): Map<string, number> {
  const versions = new Map<string, number>();
  for (const { domain, version } of opsetImport) versions.set(isStandard(domain) ? "" : domain, Number(version));
  const version = versions.get("");
  if (version === undefined) throw malformed("the file names no ONNX operator set");
  if (version < OPSET_MIN || version > OPSET_MAX) {
    throw unsupported(`operator set ${version} is not supported; export with ${OPSET_MIN} to ${OPSET_MAX}`);
  }
  return versions;
}

function inputOf(input: ValueInfoProto, keepBatch: boolean): { shape: number[]; type: Type } {
  const where = `input ${quote(input.name)}`;
  const tensor = input.type?.value;
  if (tensor?.case !== "tensorType") throw unsupported(`${where}: must be a tensor`);
  const type = tensor.value.elemType as Type;
  if (!FLOATS.has(type) && !INTEGERS.has(type) && type !== Type.BOOL) {
    throw unsupported(`${where}: must be of floats or integers, not ${typeName(type)}`);
  }
  if (tensor.value.shape === undefined) {
    throw unsupported(`${where}: has no shape; export with fixed shapes, as [1, n]`);
  }
  const shape = tensor.value.shape.dim.map(({ value }, axis) => {
    if (value.case === "dimValue") return dimension(value.value, input.name, 1n);
    if (axis === 0 && tensor.value.shape!.dim.length > 1) return 1;
    const named = value.case === "dimParam" ? ` ${quote(value.value)}` : "";
    throw unsupported(`${where}: its dimension ${axis}${named} is dynamic; export with fixed shapes`);
  });
  if (shape.length > 8) throw unsupported(`${where}: has ${shape.length} dimensions; the limit is 8`);
  if (shape.length > 1 && shape[0]! > 1 && !keepBatch) {
    throw unsupported(`${where}: has the shape ${dims(shape)}; export with a batch of 1`);
  }
  return { shape, type };
}

/** An input that only chooses rows of tables is of tokens. */
function withTokens(nodes: readonly FloatNode[], { type }: { readonly type: Type }): FloatInput {
  const input = nodes[0] as FloatInput;
  if (!INTEGERS.has(type)) return input;
  // Values that are tokens, moved about.
  const tokens = new Set([0]);
  let rows = Infinity;
  let other: string | undefined;
  nodes.forEach((node, id) => {
    if (node.op === "input" || node.op === "adapter" || !node.inputs.some((from) => tokens.has(from))) return;
    if (node.op === "lookup") rows = Math.min(rows, node.rows);
    else if (node.op === "arrange" && node.constants.length === 0 && node.inputs.every((from) => tokens.has(from))) {
      if (id < nodes.length - 1) tokens.add(id);
      else other = node.node;
    } else other = node.node;
  });
  if (rows === Infinity) return input;
  if (other !== undefined) {
    throw unsupported(`node ${other}: computes with the indices that the input holds, beside looking them up`);
  }
  return { ...input, tokens: rows };
}
