/**
 * The rows of a constraint system in the form that its analysis works on.
 *
 * A row of an R1CS is a product of two linear forms that equals a third. Here every form of more than one wire is given
 * a wire of its own, a *virtual* one, with a linear row that says what it is; equal and proportional forms share it. What
 * is left are linear rows, products of single wires plus constants, and wires that can take two values only, which is
 * what a row `L · (L − 1) = 0` says of a form L, be it a wire or not. So a decomposition whose highest bit is no wire but
 * "what the others leave, divided by 2^k" is one linear row, as if that bit were a wire.
 *
 * Forms are scaled so that their coefficients are small integers where they can be: reasoning about ranges is about
 * integers, and `x/2 − y/2` says as much as `x − y` does.
 *
 * @module
 */
import { R } from "../field/scalar.js";
import type { R1cs, SparseMatrix } from "./r1cs.js";

/** Linear rows: row i says that the sum of `coefficient · wire` over entries `start[i] … start[i + 1]` is 0 mod p. */
export interface LinearRows {
  start: number[];
  wire: number[];
  /** Signed, at most p/2 in magnitude, never 0; wire 0 carries the constant. No wire stands twice in a row. */
  coefficient: bigint[];
  /** The row of the R1CS that it is from. */
  source: number[];
}

/** `z = m · (x + cx) · (y + cy) + cz`; where `z` is −1, `(x + cx) · (y + cy) = cz`. Constants are signed, m is not 0. */
export interface Product {
  x: number;
  cx: bigint;
  y: number;
  cy: bigint;
  z: number;
  m: bigint;
  cz: bigint;
  source: number;
}

/** All integers `lo, lo + step, … hi`, with `hi − lo < p`; a single one has step 0. */
export interface Range {
  lo: bigint;
  hi: bigint;
  step: bigint;
}

/** `k · wire + c`; a constant has k = 0. */
interface Affine {
  k: bigint;
  wire: number;
  c: bigint;
}

/** A form without its constant. */
interface Form {
  wires: number[];
  coefficients: bigint[];
}

/** Arithmetic modulo a prime, which is BN254's group order except in tests that enumerate all assignments. */
export class PrimeField {
  readonly p: bigint;
  readonly #half: bigint;
  readonly #inverses = new Map<bigint, bigint>();

  constructor(p: bigint) {
    this.p = p;
    this.#half = p >> 1n;
  }

  /** The representative in `[0, p)`. */
  mod(value: bigint): bigint {
    if (value >= 0n && value < this.p) return value;
    const rest = value % this.p;
    return rest < 0n ? rest + this.p : rest;
  }

  /** The representative of least magnitude. */
  signed(value: bigint): bigint {
    const rest = this.mod(value);
    return rest > this.#half ? rest - this.p : rest;
  }

  /** Of an element that is not 0. */
  inverse(value: bigint): bigint {
    const element = this.mod(value);
    if (element === 1n) return 1n;
    const known = this.#inverses.get(element);
    if (known !== undefined) return known;
    let [a, b, x, y] = [element, this.p, 1n, 0n];
    while (a !== 1n) {
      const quotient = b / a;
      [b, a] = [a, b - quotient * a];
      [y, x] = [x, y - quotient * x];
    }
    const inverse = this.mod(x);
    if (this.#inverses.size < 4096) this.#inverses.set(element, inverse);
    return inverse;
  }
}

export class System {
  readonly field: PrimeField;
  /** Wires of the R1CS; those from here on are virtual. */
  readonly real: number;
  wires: number;
  readonly linear: LinearRows = { start: [0], wire: [], coefficient: [], source: [] };
  readonly products: Product[] = [];
  /** What rows in a single wire or form say of it. */
  readonly ranges = new Map<number, Range>();
  /** Rows that were turned into these ranges, by wire. */
  readonly ownRows = new Map<number, number>();
  readonly #forms: (Form & { source: number })[] = [];
  readonly #formsByHash = new Map<number, number[]>();
  readonly #powers: ReadonlyMap<bigint, bigint>;

  /** @param p another modulus than BN254's, in tests */
  constructor(r1cs: R1cs, p = R) {
    this.field = new PrimeField(p);
    this.real = r1cs.wires;
    this.#powers = powersOfHalf(this.field);

    const rows: [Affine, Affine, Affine, number][] = [];
    for (let row = 0; row < r1cs.constraints; row++) {
      const forms = [r1cs.a, r1cs.b, r1cs.c].map((matrix) => this.#read(matrix, row)) as [Read, Read, Read];
      const [a, b, c] = forms;
      if (a.form.wires.length === 0) this.#addLinear(b, a.constant, c, row);
      else if (b.form.wires.length === 0) this.#addLinear(a, b.constant, c, row);
      else rows.push([this.#affine(a, row), this.#affine(b, row), this.#affine(c, row), row]);
    }
    this.wires = this.real + this.#forms.length;

    // Rows in a single wire or form first: they say how the form's wire is best scaled.
    const roots = new Map<number, [bigint, bigint]>();
    const others = rows.filter(([a, b, c, row]) => {
      if (a.wire !== b.wire || (c.k !== 0n && c.wire !== a.wire) || roots.has(a.wire)) return true;
      const pair = this.#roots(a, b, c);
      if (!pair) return true;
      roots.set(a.wire, pair);
      this.ownRows.set(a.wire, row);
      return false;
    });
    this.#forms.forEach((form, i) => {
      this.#define(form, this.real + i, roots.get(this.real + i));
    });
    for (const [wire, [low, high]] of roots) {
      const bit = wire >= this.real && low !== high;
      this.ranges.set(wire, bit ? { lo: 0n, hi: 1n, step: 1n } : { lo: low, hi: high, step: high - low });
    }
    for (const [a, b, c, source] of others) {
      const [x, y, z] = [a, b, c].map((affine) => substitute(affine, this.real, roots)) as [Affine, Affine, Affine];
      this.#addProduct(x, y, z, source);
    }
  }

  #read(matrix: SparseMatrix, row: number): Read {
    const [from, to] = [matrix.start[row]!, matrix.start[row + 1]!];
    const form: Form = { wires: [], coefficients: [] };
    let constant = 0n;
    let last = 0;
    for (let i = from; i < to; i++) {
      const wire = matrix.wire[i]!;
      const coefficient = this.field.mod(matrix.coefficient[i]!);
      // Nothing says that a row's entries are in order, single, or not zero.
      if (wire < last || (wire === last && i > from)) return this.#readUnordered(matrix, from, to);
      last = wire;
      if (coefficient === 0n) continue;
      if (wire === 0) constant = coefficient;
      else {
        form.wires.push(wire);
        form.coefficients.push(coefficient);
      }
    }
    return { form, constant };
  }

  #readUnordered(matrix: SparseMatrix, from: number, to: number): Read {
    const sums = new Map<number, bigint>();
    for (let i = from; i < to; i++) {
      const wire = matrix.wire[i]!;
      sums.set(wire, this.field.mod((sums.get(wire) ?? 0n) + matrix.coefficient[i]!));
    }
    const entries = [...sums].filter(([wire, sum]) => wire !== 0 && sum !== 0n).sort(([v], [w]) => v - w);
    const form = { wires: entries.map(([wire]) => wire), coefficients: entries.map(([, sum]) => sum) };
    return { form, constant: sums.get(0) ?? 0n };
  }

  /** `factor · b − c = 0`. */
  #addLinear(b: Read, factor: bigint, c: Read, source: number): void {
    const sums = new Map<number, bigint>();
    const add = ({ form, constant }: Read, times: bigint) => {
      if (times === 0n) return;
      const entry = (wire: number, value: bigint) =>
        sums.set(wire, this.field.mod((sums.get(wire) ?? 0n) + times * value));
      if (constant !== 0n) entry(0, constant);
      for (let i = 0; i < form.wires.length; i++) entry(form.wires[i]!, form.coefficients[i]!);
    };
    add(b, factor);
    add(c, -1n);
    const entries = [...sums].filter(([, value]) => value !== 0n);
    if (entries.length === 0) return;
    const { scaled } = this.#integral(entries.map(([, value]) => value));
    this.#pushLinear(
      entries.map(([wire]) => wire),
      scaled,
      source,
    );
  }

  #pushLinear(wires: readonly number[], coefficients: readonly bigint[], source: number): void {
    const { linear } = this;
    for (let i = 0; i < wires.length; i++) {
      linear.wire.push(wires[i]!);
      linear.coefficient.push(coefficients[i]!);
    }
    linear.start.push(linear.wire.length);
    linear.source.push(source);
  }

  #affine({ form, constant }: Read, source: number): Affine {
    const { wires, coefficients } = form;
    if (wires.length === 0) return { k: 0n, wire: -1, c: constant };
    if (wires.length === 1) return { k: coefficients[0]!, wire: wires[0]!, c: constant };
    let hash = wires.length;
    for (const wire of wires) hash = (Math.imul(hash, 0x01000193) ^ wire) | 0;
    let bucket = this.#formsByHash.get(hash);
    if (!bucket) this.#formsByHash.set(hash, (bucket = []));
    for (const index of bucket) {
      const k = this.#ratio(form, this.#forms[index]!);
      if (k !== undefined) return { k, wire: this.real + index, c: constant };
    }
    const { scaled, factor } = this.#integral(coefficients);
    bucket.push(this.#forms.length);
    this.#forms.push({ wires, coefficients: scaled, source });
    return { k: this.field.inverse(factor), wire: this.real + this.#forms.length - 1, c: constant };
  }

  /** `a / b` where a is a multiple of b. */
  #ratio(a: Form, b: Form): bigint | undefined {
    if (a.wires.length !== b.wires.length) return undefined;
    const { mod, p } = { mod: (value: bigint) => this.field.mod(value), p: this.field.p };
    const [a0, b0] = [a.coefficients[0]!, b.coefficients[0]!];
    for (let i = 0; i < a.wires.length; i++) {
      if (a.wires[i] !== b.wires[i]) return undefined;
      if ((a.coefficients[i]! * b0 - b.coefficients[i]! * a0) % p !== 0n) return undefined;
    }
    return mod(a0 * this.field.inverse(b0));
  }

  /** Values that the row leaves to its only wire, the one of least magnitude first; undefined where none are easily told. */
  #roots(a: Affine, b: Affine, c: Affine): [bigint, bigint] | undefined {
    const { field } = this;
    const square = field.mod(a.k * b.k);
    const slope = field.mod(a.k * b.c + b.k * a.c - c.k);
    const rest = field.mod(a.c * b.c - c.c);
    let pair: [bigint, bigint];
    if (rest === 0n) pair = [0n, field.signed(-slope * field.inverse(square))];
    else if (c.k === 0n && c.c === 0n) {
      pair = [field.signed(-a.c * field.inverse(a.k)), field.signed(-b.c * field.inverse(b.k))];
    } else return undefined;
    return pair[0] <= pair[1] ? pair : [pair[1], pair[0]];
  }

  /** The linear row of a form's own wire, which is the form itself, or the bit that says which of two values it has. */
  #define({ wires, coefficients, source }: Form & { source: number }, own: number, roots?: [bigint, bigint]): void {
    if (!roots || roots[0] === roots[1]) {
      this.#pushLinear([...wires, own], [...coefficients, -1n], source);
      return;
    }
    const [low, high] = roots;
    const all = [...wires, own];
    const values = [...coefficients, this.field.signed(low - high)];
    if (low !== 0n) {
      all.push(0);
      values.push(-low);
    }
    const divisor = commonDivisor(values);
    this.#pushLinear(
      all,
      values.map((value) => value / divisor),
      source,
    );
  }

  #addProduct(a: Affine, b: Affine, c: Affine, source: number): void {
    const { field } = this;
    const factor = field.mod(a.k * b.k);
    const inverse = c.k === 0n ? field.inverse(factor) : field.inverse(c.k);
    this.products.push({
      x: a.wire,
      cx: field.signed(a.c * field.inverse(a.k)),
      y: b.wire,
      cy: field.signed(b.c * field.inverse(b.k)),
      z: c.k === 0n ? -1 : c.wire,
      m: c.k === 0n ? 1n : field.signed(factor * inverse),
      cz: c.k === 0n ? field.signed(c.c * inverse) : field.signed(-c.c * inverse),
      source,
    });
  }

  /** The multiple of a form whose coefficients are the smallest integers that were found. */
  #integral(coefficients: readonly bigint[]): { scaled: bigint[]; factor: bigint } {
    const { field } = this;
    const plain = coefficients.map((value) => field.signed(value));
    let best = { scaled: plain, factor: 1n, size: sizeOf(plain) };
    if (best.size > field.p >> 150n) {
      const candidates: bigint[] = [];
      let power = 1n;
      for (const value of coefficients) {
        const inverse = this.#powers.get(value);
        if (inverse !== undefined && inverse > power) power = inverse;
      }
      if (power > 1n) candidates.push(power);
      else for (const value of [coefficients[0]!, coefficients.at(-1)!]) candidates.push(field.inverse(value));
      for (const factor of candidates) {
        const scaled: bigint[] = [];
        let size = 0n;
        for (const value of coefficients) {
          const term = field.signed(value * factor);
          const magnitude = term < 0n ? -term : term;
          if (magnitude > size) size = magnitude;
          if (size >= best.size) break;
          scaled.push(term);
        }
        if (size < best.size) best = { scaled, factor, size };
      }
    }
    const divisor = commonDivisor(best.scaled);
    if (divisor === 1n) return best;
    return {
      scaled: best.scaled.map((value) => value / divisor),
      factor: field.mod(best.factor * field.inverse(divisor)),
    };
  }
}

interface Read {
  form: Form;
  constant: bigint;
}

/** With a two-valued form's wire replaced by `low + (high − low) · bit`. */
function substitute(affine: Affine, real: number, roots: ReadonlyMap<number, [bigint, bigint]>): Affine {
  const pair = affine.wire >= real ? roots.get(affine.wire) : undefined;
  if (!pair || pair[0] === pair[1]) return affine;
  return { k: affine.k * (pair[1] - pair[0]), wire: affine.wire, c: affine.c + affine.k * pair[0] };
}

/** What undoes a division by a power of two: keys are ±2^-i mod p, values 2^i. */
function powersOfHalf(field: PrimeField): Map<bigint, bigint> {
  const powers = new Map<bigint, bigint>();
  const half = field.p === 2n ? 1n : field.inverse(2n);
  let value = half;
  for (let power = 2n; power < field.p; power *= 2n) {
    if (!powers.has(value)) powers.set(value, power);
    if (!powers.has(field.p - value)) powers.set(field.p - value, power);
    value = field.mod(value * half);
  }
  return powers;
}

function sizeOf(values: readonly bigint[]): bigint {
  let size = 0n;
  for (const value of values) {
    const magnitude = value < 0n ? -value : value;
    if (magnitude > size) size = magnitude;
  }
  return size;
}

export function least(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

export function most(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

export function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

/** Of values that are not all 0. */
function commonDivisor(values: readonly bigint[]): bigint {
  let divisor = 0n;
  for (const value of values) {
    divisor = gcd(divisor, value);
    if (divisor === 1n) break;
  }
  return divisor;
}
