/**
 * LoRA pairs: which constants of a file are the private matrices A and B of `x·W + scale·(x·A)·B`.
 *
 * They are known by the names that PEFT gives them (`…lora_A…`, `…lora_B…`), or, where an exporter has renamed its
 * constants, by their form: two products in a row with constants of a small rank, added to a product of the same value
 * with a constant of full rank.
 *
 * @module
 */

import type { AttributeProto, GraphProto, NodeProto, TensorProto } from "onnx-buf";
import { quote, unsupported } from "./errors.js";

export interface AdapterParts {
  /** Names of initialisers, each A before its B. */
  readonly names: readonly string[];
  /** A plain decimal. */
  readonly alpha: string;
}

/** Metadata keys under which a file may spell alpha. */
const ALPHA_KEYS = ["anchorproof.lora_alpha", "lora_alpha"];

const PRODUCTS = new Set(["MatMul", "Gemm"]);
/** Operators through which a constant is still the same matrix, or its transpose. */
const THROUGH = new Set(["Identity", "Transpose", "Cast"]);

/**
 * Finds the matrices of an adapter.
 *
 * @throws AnchorError `MODEL_OP_UNSUPPORTED` where there are none, or alpha is not clear.
 */
export function findAdapter(graph: GraphProto, metadata: ReadonlyMap<string, string>): AdapterParts {
  const finder = new Finder(graph);
  const pairs = finder.pairs();
  if (pairs.length === 0) {
    throw unsupported(
      "no LoRA pair was found; export the model with its adapter unmerged, constants named lora_A and lora_B",
    );
  }
  const names = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))];
  const spelled = ALPHA_KEYS.map((key) => metadata.get(key)).find((value) => value !== undefined);
  return { names, alpha: spelled === undefined ? alphaOf(pairs) : decimal(Number(spelled)) };
}

interface Pair {
  readonly a: string;
  readonly b: string;
  readonly rank: number;
  /** Factor of the product of both, alpha / rank. */
  readonly scale: number;
}

/** One alpha for all pairs: a commitment names one. */
function alphaOf(pairs: readonly Pair[]): string {
  const alphas = new Set(pairs.map(({ scale, rank }) => decimal(scale * rank)));
  if (alphas.size > 1) {
    throw unsupported(
      `the LoRA pairs have different alphas (${[...alphas].slice(0, 4).join(", ")}); state one as ${ALPHA_KEYS[0]} in the file's metadata`,
    );
  }
  return [...alphas][0]!;
}

/** As the adapter's commitment takes it; scales come from float32, so that six digits tell them apart. */
function decimal(value: number): string {
  if (!(value >= 0 && value < 1e9)) throw unsupported(`LoRA's alpha is ${value}; it must be a number from 0`);
  const text = value.toFixed(6);
  return text.replace(/\.?0+$/, "");
}

class Finder {
  readonly #tensors: ReadonlyMap<string, TensorProto>;
  readonly #makers = new Map<string, NodeProto>();
  readonly #takers = new Map<string, NodeProto[]>();

  constructor(graph: GraphProto) {
    this.#tensors = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
    for (const node of graph.node) {
      for (const name of node.output) this.#makers.set(name, node);
      for (const name of new Set(node.input)) {
        const list = this.#takers.get(name);
        if (list === undefined) this.#takers.set(name, [node]);
        else list.push(node);
      }
    }
  }

  pairs(): Pair[] {
    const pairs: Pair[] = [];
    for (const first of this.#makers.values()) {
      const a = this.#factor(first);
      if (a === undefined) continue;
      const found = this.#second(first.output[0]!, 1);
      if (found === undefined) continue;
      const b = this.#factor(found.node);
      if (b === undefined || a.name === b.name || a.cols !== b.rows) continue;
      const named = /lora_?a/i.test(a.name) && /lora_?b/i.test(b.name);
      const { scale, residual } = this.#after(found.node.output[0]!, found.scale);
      const small = a.cols < a.rows && b.rows < b.cols;
      if (!named && !(small && residual !== undefined && this.#isProductOf(residual, first.input[0]!))) continue;
      pairs.push({ a: a.name, b: b.name, rank: a.cols, scale });
    }
    return pairs;
  }

  /** The constant matrix on the right of a product, as it is multiplied. */
  #factor(node: NodeProto): { name: string; rows: number; cols: number } | undefined {
    if (!PRODUCTS.has(node.opType) || node.input.length < 2) return undefined;
    if (node.opType === "Gemm" && (node.input[2] ?? "") !== "") return undefined;
    let turned = node.opType === "Gemm" && int(attribute(node, "transB")) !== 0;
    let name = node.input[1]!;
    for (let steps = 0; steps < 8 && !this.#tensors.has(name); steps++) {
      const maker = this.#makers.get(name);
      if (maker === undefined || !THROUGH.has(maker.opType)) return undefined;
      if (maker.opType === "Transpose") turned = !turned;
      name = maker.input[0] ?? "";
    }
    const tensor = this.#tensors.get(name);
    if (tensor === undefined || tensor.dims.length !== 2) return undefined;
    const [rows, cols] = tensor.dims.map(Number) as [number, number];
    return turned ? { name, rows: cols, cols: rows } : { name, rows, cols };
  }

  /** The one product that takes a value, with factors on the way. */
  #second(name: string, scale: number): { node: NodeProto; scale: number } | undefined {
    const takers = this.#takers.get(name) ?? [];
    const [node] = takers;
    if (takers.length !== 1 || node === undefined) return undefined;
    if (PRODUCTS.has(node.opType)) return node.input[0] === name ? { node, scale: scale * gemmScale(node) } : undefined;
    const factor = this.#scalar(node, name);
    return factor === undefined ? undefined : this.#through(node, scale * factor);
  }

  #through(node: NodeProto, scale: number): { node: NodeProto; scale: number } | undefined {
    const takers = this.#takers.get(node.output[0]!) ?? [];
    const [next] = takers;
    if (takers.length !== 1 || next === undefined || !PRODUCTS.has(next.opType)) return undefined;
    return { node: next, scale: scale * gemmScale(next) };
  }

  /** Factors behind the second product, and what is added to it. */
  #after(name: string, scale: number): { scale: number; residual: string | undefined } {
    let at = name;
    let factor = scale;
    for (let steps = 0; steps < 4; steps++) {
      const takers = this.#takers.get(at) ?? [];
      const [node] = takers;
      if (takers.length !== 1 || node === undefined) break;
      if (node.opType === "Add") return { scale: factor, residual: node.input.find((input) => input !== at) };
      const own = node.opType === "Identity" ? 1 : this.#scalar(node, at);
      if (own === undefined) break;
      factor *= own;
      at = node.output[0]!;
    }
    return { scale: factor, residual: undefined };
  }

  /** The constant by which a node multiplies or divides a value. */
  #scalar(node: NodeProto, name: string): number | undefined {
    if (node.opType !== "Mul" && node.opType !== "Div") return undefined;
    const other = node.input[0] === name ? node.input[1] : node.input[0];
    const tensor = this.#constant(other ?? "");
    if (tensor === undefined || tensor.dims.some((dim) => dim !== 1n)) return undefined;
    const value = floatOf(tensor);
    if (value === undefined) return undefined;
    return node.opType === "Mul" ? value : 1 / value;
  }

  #constant(name: string): TensorProto | undefined {
    const tensor = this.#tensors.get(name);
    if (tensor !== undefined) return tensor;
    const maker = this.#makers.get(name);
    return maker?.opType === "Constant" ? attribute(maker, "value")?.t : undefined;
  }

  /** Whether a value is a product of `x` with a constant, apart from a bias. */
  #isProductOf(name: string, x: string): boolean {
    let at = name;
    for (let steps = 0; steps < 3; steps++) {
      const node = this.#makers.get(at);
      if (node === undefined) return false;
      if (PRODUCTS.has(node.opType)) return node.input[0] === x;
      if (node.opType !== "Add") return false;
      at = node.input.find((input) => this.#constant(input) === undefined) ?? "";
    }
    return false;
  }
}

function attribute(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((each) => each.name === name);
}

function int(found: AttributeProto | undefined): number {
  return Number(found?.i ?? 0n);
}

function gemmScale(node: NodeProto): number {
  return node.opType === "Gemm" ? (attribute(node, "alpha")?.f ?? 1) : 1;
}

/** A single float. */
function floatOf(tensor: TensorProto): number | undefined {
  if (tensor.floatData.length === 1) return tensor.floatData[0];
  if (tensor.doubleData.length === 1) return tensor.doubleData[0];
  const raw = tensor.rawData;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return raw.length === 4 ? view.getFloat32(0, true) : raw.length === 8 ? view.getFloat64(0, true) : undefined;
}

/** What a part is called in the graph: plain, short. */
export function partName(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
  return plain === "" ? quote(name) : plain;
}
