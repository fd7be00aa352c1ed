/**
 * Rows as bytes of an `.r1cs` file.
 *
 * @module
 */

import { R } from "../../field/scalar.js";
import { type Combination, type Lanes, ONE, type Synthesis } from "./synthesis.js";

/** Bytes that are handed on at a time. */
const CHUNK_BYTES = 2 ** 20;
/** 32-bit words of a term: wire and coefficient. */
const TERM_WORDS = 9;

/** Takes pieces of the section of rows, in order; they are not changed afterwards. */
export type Sink = (bytes: Uint8Array) => void;

/** Logical wires become those of the file here: where the output signal is a wire of a gadget, it takes that wire's place. */
export interface WireMap {
  /** The wire that is the output, and is numbered as such. */
  readonly alias: number | undefined;
  readonly output: number;
}

/** The file's number of a wire. */
export function placeOf(wire: number, { alias, output }: WireMap): number {
  if (alias === undefined || wire < alias) return wire;
  return wire === alias ? output : wire - 1;
}

class Terms implements Combination {
  readonly wires: number[] = [];
  readonly coefficients: (number | bigint)[] = [];

  add(coefficient: number | bigint, wire: number): this {
    this.wires.push(wire);
    this.coefficients.push(coefficient);
    return this;
  }

  lane(coefficient: number | bigint, lanes: Lanes, index: number): this {
    const wire = lanes.wires[index]!;
    return this.add(wire === ONE ? product(coefficient, lanes.values[index]!) : coefficient, wire);
  }

  plus(other: Combination, factor: number | bigint = 1): this {
    const { wires, coefficients } = other as Terms;
    for (let i = 0; i < wires.length; i++) this.add(product(factor, coefficients[i]!), wires[i]!);
    return this;
  }
}

/** Writes rows; values are dropped. Deterministic: wires in order within each combination, coefficients reduced. */
export class RowWriter implements Synthesis {
  readonly valued = false;
  readonly writing = true;
  wires = 1;
  rows = 0;
  /** Bytes of all rows so far. */
  bytes = 0;
  /** Names of wires, by the file's numbers, where they were asked for. */
  readonly names: Map<string, number> | undefined;

  readonly #sink: Sink;
  readonly #map: WireMap;
  readonly #scope: string[];
  #chunk = new Uint32Array(CHUNK_BYTES / 4);
  #at = 0;
  /** Where a wire stands in the combination that is being written: valid where the stamp is the current one. */
  readonly #stamp: Int32Array;
  readonly #slot: Int32Array;
  #turn = 0;
  readonly #sides = [new Side(), new Side(), new Side()] as const;

  /**
   * @param wires number of wires that there will be
   * @param scope name of the main component, where names are asked for
   */
  constructor(wires: number, map: WireMap, sink: Sink, scope?: string) {
    this.#sink = sink;
    this.#map = map;
    this.#stamp = new Int32Array(wires);
    this.#slot = new Int32Array(wires);
    this.#scope = scope === undefined ? [] : [scope];
    this.names = scope === undefined ? undefined : new Map();
  }

  wire(_value: number | bigint, name: string, index?: number): number {
    const wire = this.wires++;
    if (this.names) this.alias(wire, name, index);
    return wire;
  }

  inverse(value: number | bigint, name: string, index?: number): number {
    return this.wire(value, name, index);
  }

  bit(_value: number, name: string, index?: number): number {
    const wire = this.wires++;
    if (this.names) this.alias(wire, name, index);
    const place = placeOf(wire, this.#map);
    // w · (w - 1) = 0
    this.#word(1);
    this.#term(place, 1);
    this.#word(2);
    this.#term(ONE, -1);
    this.#term(place, 1);
    this.#word(0);
    this.rows++;
    return wire;
  }

  bits(_value: number | bigint, count: number, name: string): number {
    const first = this.wires;
    for (let i = 0; i < count; i++) this.bit(0, name, i);
    return first;
  }

  assign(): void {}

  combination(constant: number | bigint = 0): Combination {
    const terms = new Terms();
    return constant === 0 ? terms : terms.add(constant, ONE);
  }

  row(a: Combination | undefined, b: Combination | undefined, c: Combination): void {
    const [left, right, result] = this.#sides;
    this.#collect(left, a as Terms | undefined);
    this.#collect(right, b as Terms | undefined);
    // A product with a constant is no product.
    if (left.isConstant() || right.isConstant()) {
      const [factor, other] = left.isConstant() ? [left, b] : [right, a];
      const sum = new Terms().plus(c);
      if (factor.length > 0 && other !== undefined) sum.plus(other, negated(factor.coefficients[0]!));
      this.#collect(result, sum);
      left.length = 0;
      right.length = 0;
    } else this.#collect(result, c as Terms);
    for (const side of this.#sides) {
      this.#word(side.length);
      for (let i = 0; i < side.length; i++) this.#term(side.wires[i]!, side.coefficients[i]!);
    }
    this.rows++;
  }

  enter(name: string, index?: number): void {
    if (this.names) this.#scope.push(index === undefined ? name : `${name}[${index}]`);
  }

  leave(): void {
    if (this.names) this.#scope.pop();
  }

  alias(wire: number, name: string, index?: number): void {
    if (!this.names || wire === ONE) return;
    const own = index === undefined ? name : `${name}[${index}]`;
    this.names.set([...this.#scope, own].join("."), placeOf(wire, this.#map));
  }

  /** Hands on what is left. */
  end(): void {
    if (this.#at === 0) return;
    this.#sink(new Uint8Array(this.#chunk.buffer, 0, 4 * this.#at));
    this.#chunk = new Uint32Array(CHUNK_BYTES / 4); // not reused: the other one belongs to the sink now
    this.#at = 0;
  }

  /** One coefficient a wire, in order of wires, none of them 0. */
  #collect(side: Side, terms: Terms | undefined): void {
    side.length = 0;
    if (terms === undefined) return;
    const { wires, coefficients } = terms;
    const turn = ++this.#turn;
    let count = 0;
    let ordered = true;
    let zeros = false;
    for (let i = 0; i < wires.length; i++) {
      const place = placeOf(wires[i]!, this.#map);
      const coefficient = coefficients[i]!;
      if (this.#stamp[place] === turn) {
        const at = this.#slot[place]!;
        side.coefficients[at] = sum(side.coefficients[at]!, coefficient);
      } else {
        this.#stamp[place] = turn;
        this.#slot[place] = count;
        if (count > 0 && place < side.wires[count - 1]!) ordered = false;
        side.wires[count] = place;
        side.coefficients[count] = coefficient;
        count++;
      }
    }
    side.length = count;
    for (let i = 0; i < count && !zeros; i++) zeros = isZero(side.coefficients[i]!);
    if (!ordered || zeros) side.tidy();
  }

  #word(word: number): void {
    if (this.#at === this.#chunk.length) this.end();
    this.#chunk[this.#at++] = word;
    this.bytes += 4;
  }

  #term(wire: number, coefficient: number | bigint): void {
    if (this.#at + TERM_WORDS > this.#chunk.length) this.end();
    this.#chunk[this.#at] = wire;
    writeScalar(this.#chunk, this.#at + 1, coefficient);
    this.#at += TERM_WORDS;
    this.bytes += 4 * TERM_WORDS;
  }
}

/** One side of a row; arrays are kept from row to row. */
class Side {
  wires: number[] = [];
  coefficients: (number | bigint)[] = [];
  length = 0;

  isConstant(): boolean {
    return this.length === 0 || (this.length === 1 && this.wires[0] === ONE);
  }

  tidy(): void {
    const order = Array.from({ length: this.length }, (_, i) => i)
      .filter((i) => !isZero(this.coefficients[i]!))
      .sort((i, j) => this.wires[i]! - this.wires[j]!);
    this.wires = order.map((i) => this.wires[i]!);
    this.coefficients = order.map((i) => this.coefficients[i]!);
    this.length = order.length;
  }
}

const R_WORDS = Array.from({ length: 8 }, (_, i) => Number((R >> BigInt(32 * i)) & 0xffffffffn));
const [R_LOW, R_HIGH] = R_WORDS as [number, number];
const WORD = 2 ** 32;
const wide = new BigUint64Array(4);
const wideWords = new Uint32Array(wide.buffer);

/** A field element as eight words, lowest first, over zeros. Typed arrays are taken to be little-endian, as the format is. */
export function writeScalar(words: Uint32Array, at: number, value: number | bigint): void {
  if (typeof value === "number") {
    if (value >= 0) {
      words[at] = value;
      if (value >= WORD) words[at + 1] = Math.floor(value / WORD);
      return;
    }
    // r + value: |value| is below 2^53, and r's lowest 64 bits are above, so only two words change.
    const high = Math.floor(-value / WORD);
    const low = R_LOW - (-value - high * WORD);
    words[at] = low;
    words[at + 1] = R_HIGH - high - (low < 0 ? 1 : 0);
    for (let i = 2; i < 8; i++) words[at + i] = R_WORDS[i]!;
    return;
  }
  let rest = value >= 0n && value < R ? value : value % R;
  if (rest < 0n) rest += R;
  wide[0] = rest;
  wide[1] = rest >> 64n;
  wide[2] = rest >> 128n;
  wide[3] = rest >> 192n;
  words.set(wideWords, at);
}

function isZero(coefficient: number | bigint): boolean {
  return typeof coefficient === "number" ? coefficient === 0 : coefficient % R === 0n;
}

function negated(coefficient: number | bigint): number | bigint {
  return typeof coefficient === "number" ? -coefficient : -coefficient;
}

function sum(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === "number" && typeof b === "number") {
    const result = a + b;
    if (Number.isSafeInteger(result)) return result;
  }
  return BigInt(a) + BigInt(b);
}

function product(a: number | bigint, b: number | bigint): number | bigint {
  if (a === 1) return b;
  if (typeof a === "number" && typeof b === "number") {
    const result = a * b;
    if (Number.isSafeInteger(result)) return result;
  }
  return (BigInt(a) * BigInt(b)) % R;
}
