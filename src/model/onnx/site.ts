/**
 * One node of the file as an operator sees it: its operands, its attributes, and how to complain of them.
 *
 * @module
 */

import { type AttributeProto, AttributeProto_AttributeType as Kind, type NodeProto, type TensorProto } from "onnx-buf";
import { malformed, quote, unsupported } from "./errors.js";
import type { Lowering } from "./lowering.js";
import { type Constant, isConstant, type Operand } from "./tensor.js";

/** Gives the node's outputs in order; undefined for one that only fails if something takes it. */
export type Operator = (site: Site, t: Lowering) => Operand | readonly (Operand | undefined)[];

export class Site {
  readonly op: string;
  /** `node "name" (Op)` */
  readonly where: string;
  /** Version of the operator set of the node's domain. */
  readonly version: number;
  /** Number of outputs that have a name. */
  readonly outputs: number;
  readonly #operands: readonly (Operand | undefined)[];
  readonly #attributes = new Map<string, AttributeProto>();
  readonly #unread = new Set<string>();
  readonly #lowering: Lowering;

  constructor(
    node: NodeProto,
    version: number,
    where: string,
    operands: readonly (Operand | undefined)[],
    lowering: Lowering,
  ) {
    this.op = node.opType;
    this.where = where;
    this.version = version;
    this.outputs = node.output.length;
    this.#operands = operands;
    this.#lowering = lowering;
    for (const attribute of node.attribute) {
      if (this.#attributes.has(attribute.name)) {
        throw malformed(`${where}: attribute ${quote(attribute.name)} is given twice`);
      }
      this.#attributes.set(attribute.name, attribute);
      this.#unread.add(attribute.name);
    }
  }

  /** An attribute that no operator read would change the meaning in silence. */
  checkAttributesRead(): void {
    for (const name of this.#unread) throw unsupported(`${this.where}: the attribute ${quote(name)} is not supported`);
  }

  /** Number of inputs, left-out ones at the end not counted. */
  get count(): number {
    let count = this.#operands.length;
    while (count > 0 && this.#operands[count - 1] === undefined) count--;
    return count;
  }

  has(i: number): boolean {
    return this.#operands[i] !== undefined;
  }

  /** An input as it is: possibly on a grid. */
  raw(i: number): Operand {
    const operand = this.#operands[i];
    if (operand === undefined) throw malformed(`${this.where}: input ${i} is missing`);
    return operand;
  }

  input(i: number): Operand {
    return this.#lowering.plain(this.raw(i));
  }

  optional(i: number): Operand | undefined {
    return this.has(i) ? this.input(i) : undefined;
  }

  constant(i: number, what: string): Constant {
    const operand = this.raw(i);
    if (!isConstant(operand)) {
      throw unsupported(`${this.where}: ${what} must be a constant, known when the file is read`);
    }
    return operand;
  }

  /** A constant of integers: axes, shapes, indices. */
  integers(i: number, what: string): number[] {
    const values = [...this.constant(i, what).values];
    if (!values.every(Number.isInteger)) throw malformed(`${this.where}: ${what} must be integers`);
    return values;
  }

  number(i: number, what: string): number {
    const { values } = this.constant(i, what);
    if (values.length !== 1) throw malformed(`${this.where}: ${what} must be one number`);
    return values[0]!;
  }

  #attribute(name: string, kind: Kind, what: string): AttributeProto | undefined {
    this.#unread.delete(name);
    const attribute = this.#attributes.get(name);
    if (attribute !== undefined && attribute.type !== kind) {
      throw malformed(`${this.where}: ${name} must be ${what}`);
    }
    return attribute;
  }

  int(name: string, fallback: number): number {
    const attribute = this.#attribute(name, Kind.INT, "an integer");
    return attribute === undefined ? fallback : Number(attribute.i);
  }

  flag(name: string, fallback: boolean): boolean {
    return this.int(name, fallback ? 1 : 0) !== 0;
  }

  float(name: string, fallback: number): number {
    const attribute = this.#attribute(name, Kind.FLOAT, "a float");
    if (attribute !== undefined && Number.isNaN(attribute.f)) throw malformed(`${this.where}: ${name} is not a number`);
    return attribute?.f ?? fallback;
  }

  string(name: string, fallback: string): string {
    const attribute = this.#attribute(name, Kind.STRING, "a string");
    return attribute === undefined ? fallback : new TextDecoder().decode(attribute.s);
  }

  /** One of some words. */
  choice<Word extends string>(name: string, words: readonly Word[], fallback: Word): Word {
    const word = this.string(name, fallback);
    const known = words.find((each) => each === word);
    if (known === undefined) {
      throw unsupported(`${this.where}: ${name} ${quote(word)} is not supported; use ${words.join(", ")}`);
    }
    return known;
  }

  ints(name: string): number[] | undefined {
    return this.#attribute(name, Kind.INTS, "a list of integers")?.ints.map(Number);
  }

  floats(name: string): number[] | undefined {
    return this.#attribute(name, Kind.FLOATS, "a list of floats")?.floats;
  }

  tensor(name: string): TensorProto | undefined {
    return this.#attribute(name, Kind.TENSOR, "a tensor")?.t;
  }

  defined(name: string): boolean {
    return this.#attributes.has(name);
  }

  /** Attributes that say nothing about an inference. */
  ignore(...names: string[]): void {
    for (const name of names) this.#unread.delete(name);
  }

  /** An axis from 0, of `rank` of them. */
  axis(value: number, rank: number): number {
    if (!Number.isInteger(value) || value < -rank || value >= rank) {
      throw malformed(`${this.where}: axis ${value} is out of range for ${rank} dimensions`);
    }
    return value < 0 ? value + rank : value;
  }

  axes(values: readonly number[], rank: number): number[] {
    const axes = values.map((value) => this.axis(value, rank)).sort((a, b) => a - b);
    if (axes.some((axis, i) => axis === axes[i - 1])) throw malformed(`${this.where}: an axis is named twice`);
    return axes;
  }

  malformed(problem: string): Error {
    return malformed(`${this.where}: ${problem}`);
  }

  unsupported(problem: string): Error {
    return unsupported(`${this.where}: ${problem}`);
  }
}
