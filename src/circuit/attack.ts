/**
 * Attacks on a constraint system: searches for a second witness beside an honest one, with the same inputs. Whoever
 * finds one can prove what nobody meant.
 *
 * The determinism pass shows that there is none, or what it cannot show; this looks for one. Neither replaces the other:
 * what is found here is a hole without doubt, and that nothing is found shows little.
 *
 * Two attacks. {@link singleMutations} changes one wire at a time. {@link findSecondWitness} changes one wire, or one
 * decomposition into bits, and then solves rows again that do not hold any more, each for the wire that it defines when
 * witnesses are computed, and where that is no way out, for any other wire or set of bits, with backtracking: the
 * quotient that is one less with the divisor more as remainder, the other root, the value plus the field's order.
 *
 * @module
 */
import { AnchorError, throwIfAborted } from "../errors.js";
import { R, randomScalar } from "../field/scalar.js";
import { inputWires } from "./determinism.js";
import { checkWitness, type R1cs, rowHolds, rowsOfWires, type SparseMatrix } from "./r1cs.js";
import { PrimeField, System } from "./system.js";

export interface Mutation {
  wire: number;
  value: bigint;
}

export interface AttackOptions {
  /** Wires that attacks begin with; all that are no inputs unless told. */
  wires?: readonly number[] | undefined;
  /** Where random values come from. */
  random?: (() => bigint) | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number) => void) | undefined;
}

export interface SearchOptions extends AttackOptions {
  /** Rows that one attack solves again before it is given up. */
  steps?: number | undefined;
  /** Choices that one attack makes before it is given up. */
  choices?: number | undefined;
}

export interface SecondWitness {
  witness: bigint[];
  /** Wires that differ from the honest witness. None of them is an input. */
  changed: number[];
  /** What the attack began with. */
  from: Mutation[];
}

const STEPS = 20_000;
const CHOICES = 64;
/** Ways out of one row that are tried. */
const WAYS = 24;
const YIELD_MS = 25;

/**
 * Changes every wire that is not an input, one at a time: plus and minus one, negated, zero, one, random, and the other
 * root of a row that is quadratic in it.
 *
 * @returns changes that violate no row; a circuit with a unique witness has none
 * @throws WITNESS_INVALID when the witness itself violates a row
 */
export async function singleMutations(
  r1cs: R1cs,
  witness: readonly bigint[],
  options: AttackOptions = {},
): Promise<Mutation[]> {
  requireHonest(r1cs, witness);
  const rows = rowsOfWires(r1cs);
  const wires = options.wires ?? attackable(r1cs);
  const loose: Mutation[] = [];
  const copy = [...witness];
  const pause = pauses(options, wires.length);
  for (const [i, wire] of wires.entries()) {
    await pause(i);
    for (const value of mutationsOf(r1cs, witness, wire, rows[wire]!, options.random)) {
      copy[wire] = value;
      if (rows[wire]!.every((row) => rowHolds(r1cs, copy, row))) loose.push({ wire, value });
    }
    copy[wire] = witness[wire]!;
  }
  return loose;
}

/**
 * Searches for another witness with the same inputs.
 *
 * @throws WITNESS_INVALID when the given one violates a row; ABORTED
 */
export async function findSecondWitness(
  r1cs: R1cs,
  witness: readonly bigint[],
  options: SearchOptions = {},
): Promise<SecondWitness | undefined> {
  requireHonest(r1cs, witness);
  const solver = new Solver(r1cs, witness, options.steps ?? STEPS, options.choices ?? CHOICES);
  const wires = options.wires ?? attackable(r1cs);
  const pause = pauses(options, wires.length);
  const attempt = (from: Mutation[]): SecondWitness | undefined => {
    const found = solver.attack(from);
    if (!found) return undefined;
    const changed = attackable(r1cs).filter((wire) => found[wire] !== witness[wire]);
    // What the solver is worth does not depend on its being right.
    if (changed.length === 0 || checkWitness(r1cs, found) !== -1) return undefined;
    return { witness: found, changed, from };
  };
  const seen = new Set<number>();
  for (const [i, wire] of wires.entries()) {
    await pause(i);
    for (const row of solver.rowsOf(wire)) {
      if (seen.has(row)) continue;
      seen.add(row);
      for (const from of solver.otherDigits(row)) {
        const found = attempt(from);
        if (found) return found;
      }
    }
    for (const value of mutationsOf(r1cs, witness, wire, solver.rowsOf(wire), options.random)) {
      const found = attempt([{ wire, value }]);
      if (found) return found;
    }
  }
  return undefined;
}

function attackable(r1cs: R1cs): number[] {
  const inputs = new Set(inputWires(r1cs));
  return Array.from({ length: r1cs.wires - 1 }, (_, i) => i + 1).filter((wire) => !inputs.has(wire));
}

function requireHonest(r1cs: R1cs, witness: readonly bigint[]): void {
  const row = checkWitness(r1cs, witness);
  if (row !== -1) throw new AnchorError("WITNESS_INVALID", `the witness that is attacked violates row ${row} itself`);
}

function mutationsOf(
  r1cs: R1cs,
  witness: readonly bigint[],
  wire: number,
  rows: readonly number[],
  random = randomScalar,
): Set<bigint> {
  const honest = witness[wire]!;
  const values = new Set([honest + 1n, honest - 1n, -honest, 0n, 1n, random()].map((value) => FIELD.mod(value)));
  for (const row of rows) {
    const { square, slope } = asPolynomial(r1cs, witness, row, wire);
    if (square !== 0n) values.add(FIELD.mod(-slope * FIELD.inverse(square) - honest));
    if (values.size > 16) break;
  }
  values.delete(honest);
  return values;
}

const FIELD = new PrimeField(R);

/** `A·B − C` of a row as a polynomial in one wire. */
function asPolynomial(
  { a, b, c }: R1cs,
  values: readonly bigint[],
  row: number,
  wire: number,
): { square: bigint; slope: bigint; rest: bigint } {
  const [fa, fb, fc] = [a, b, c].map((matrix) => split(matrix, values, row, wire)) as [Part, Part, Part];
  return {
    square: (fa.slope * fb.slope) % R,
    slope: FIELD.mod(fa.slope * fb.rest + fa.rest * fb.slope - fc.slope),
    rest: FIELD.mod(fa.rest * fb.rest - fc.rest),
  };
}

interface Part {
  slope: bigint;
  rest: bigint;
}

function split({ start, wire, coefficient }: SparseMatrix, values: readonly bigint[], row: number, own: number): Part {
  let [slope, rest] = [0n, 0n];
  for (let i = start[row]!; i < start[row + 1]!; i++) {
    if (wire[i] === own) slope += coefficient[i]!;
    else rest += coefficient[i]! * values[wire[i]!]!;
  }
  return { slope: slope % R, rest: rest % R };
}

/** Bits of a form whose coefficients are a unit times powers of two, lowest first: `places[i]` has 2^exponents[i]. */
interface Digits {
  unit: bigint;
  wires: number[];
  exponents: number[];
}

class Solver {
  readonly #r1cs: R1cs;
  readonly #honest: readonly bigint[];
  readonly #rows: number[][];
  readonly #isInput: Uint8Array;
  readonly #isBit: Uint8Array;
  /** When a wire is computed in making witnesses; a row is solved again after all wires before its last. */
  readonly #rank: Int32Array;
  /** The wire that a row is solved for in making witnesses, or −1. */
  readonly #defines: Int32Array;
  readonly #priority: Int32Array;
  readonly #digits = new Map<SparseMatrix, Map<number, Digits | undefined>>();
  readonly #maxSteps: number;
  readonly #maxChoices: number;
  // Of one attack.
  #values: bigint[];
  #decided = new Set<number>();
  #changes: { wire: number; value: bigint; decided: boolean }[] = [];
  #steps = 0;
  #choices = 0;

  constructor(r1cs: R1cs, witness: readonly bigint[], steps: number, choices: number) {
    this.#r1cs = r1cs;
    this.#honest = witness;
    this.#values = [...witness];
    this.#rows = rowsOfWires(r1cs);
    this.#maxSteps = steps;
    this.#maxChoices = choices;
    this.#isInput = new Uint8Array(r1cs.wires);
    this.#isInput[0] = 1;
    for (const wire of inputWires(r1cs)) this.#isInput[wire] = 1;
    this.#isBit = new Uint8Array(r1cs.wires);
    for (const [wire, { lo, hi }] of new System(r1cs).ranges) {
      if (wire < r1cs.wires && lo === 0n && hi === 1n) this.#isBit[wire] = 1;
    }
    const order = orderOfComputation(r1cs, this.#rows, this.#isInput, this.#isBit);
    this.#rank = order.rank;
    this.#defines = order.defines;
    this.#priority = order.priority;
  }

  rowsOf(wire: number): readonly number[] {
    return this.#rows[wire]!;
  }

  /** Other bits that give a form of a row the same value, modulo the field's order. */
  *otherDigits(row: number): Iterable<Mutation[]> {
    const { a, b, c } = this.#r1cs;
    for (const matrix of [a, b, c]) {
      const digits = this.#digitsOf(matrix, row);
      if (!digits) continue;
      let value = 0n;
      digits.wires.forEach((wire, i) => {
        value += this.#honest[wire]! << BigInt(digits.exponents[i]!);
      });
      for (const times of [1n, -1n, 2n, -2n]) {
        const bits = digitsOf(value + times * R, digits);
        if (bits) yield bits.filter(({ wire, value: bit }) => this.#honest[wire] !== bit);
      }
    }
  }

  /** A full witness that the rows accept, or undefined. */
  attack(from: readonly Mutation[]): bigint[] | undefined {
    this.#values = [...this.#honest];
    this.#decided = new Set();
    this.#changes = [];
    this.#steps = 0;
    this.#choices = 0;
    const pending = new Heap(this.#priority);
    for (const { wire, value } of from) this.#set(wire, value, true, pending);
    return this.#repair(pending) ? [...this.#values] : undefined;
  }

  #set(wire: number, value: bigint, decided: boolean, pending: Heap): void {
    this.#changes.push({ wire, value: this.#values[wire]!, decided: decided && !this.#decided.has(wire) });
    if (decided) this.#decided.add(wire);
    this.#values[wire] = value;
    for (const row of this.#rows[wire]!) pending.push(row);
  }

  #undo(to: number): void {
    while (this.#changes.length > to) {
      const { wire, value, decided } = this.#changes.pop()!;
      this.#values[wire] = value;
      if (decided) this.#decided.delete(wire);
    }
  }

  /** Makes all pending rows hold again, by changing what is not decided. */
  #repair(pending: Heap): boolean {
    for (;;) {
      const row = pending.pop();
      if (row === undefined) return true;
      if (++this.#steps > this.#maxSteps) return false;
      if (rowHolds(this.#r1cs, this.#values, row)) continue;
      const defined = this.#defines[row]!;
      if (defined >= 0 && !this.#decided.has(defined)) {
        const value = this.#solve(row, defined);
        if (value !== undefined) {
          this.#set(defined, value, false, pending);
          continue;
        }
      }
      const mark = this.#changes.length;
      for (const way of this.#waysOut(row)) {
        if (++this.#choices > this.#maxChoices) return false;
        const rest = pending.copy();
        for (const { wire, value } of way) this.#set(wire, value, true, rest);
        if (rowHolds(this.#r1cs, this.#values, row) && this.#repair(rest)) return true;
        this.#undo(mark);
      }
      return false;
    }
  }

  /** The only value of a wire for which a row holds. */
  #solve(row: number, wire: number): bigint | undefined {
    const { square, slope, rest } = asPolynomial(this.#r1cs, this.#values, row, wire);
    if (square !== 0n || slope === 0n) return undefined;
    const value = FIELD.mod(-rest * FIELD.inverse(slope));
    return this.#isBit[wire] && value > 1n ? undefined : value;
  }

  /** Changes that make a row hold: other bits of a form, then other values of single wires, those computed last first. */
  *#waysOut(row: number): Iterable<Mutation[]> {
    let ways = 0;
    const { a, b, c } = this.#r1cs;
    const [va, vb, vc] = [a, b, c].map((matrix) => dot(matrix, this.#values, row)) as [bigint, bigint, bigint];
    const targets: [SparseMatrix, bigint, bigint][] = [[c, vc, FIELD.mod(va * vb)]];
    if (vb !== 0n || vc === 0n) targets.push([a, va, vc === 0n ? 0n : FIELD.mod(vc * FIELD.inverse(vb))]);
    if (va !== 0n || vc === 0n) targets.push([b, vb, vc === 0n ? 0n : FIELD.mod(vc * FIELD.inverse(va))]);
    for (const [matrix, value, target] of targets) {
      const digits = this.#digitsOf(matrix, row);
      if (!digits || digits.wires.some((wire) => this.#decided.has(wire))) continue;
      let old = 0n;
      digits.wires.forEach((wire, i) => {
        old += this.#values[wire]! << BigInt(digits.exponents[i]!);
      });
      const wanted = FIELD.mod(old + (target - value) * FIELD.inverse(digits.unit));
      for (const whole of [wanted, wanted + R]) {
        const bits = digitsOf(whole, digits);
        if (bits) yield bits;
      }
    }
    const wires = new Set<number>();
    for (const matrix of [a, b, c]) {
      for (let i = matrix.start[row]!; i < matrix.start[row + 1]!; i++) wires.add(matrix.wire[i]!);
    }
    const open = [...wires].filter((wire) => !this.#isInput[wire] && !this.#decided.has(wire));
    for (const wire of open.sort((v, w) => this.#rank[w]! - this.#rank[v]!)) {
      for (const value of this.#valuesFor(row, wire)) {
        if (value === this.#values[wire] || (this.#isBit[wire] && value > 1n)) continue;
        yield [{ wire, value }];
        if (++ways >= WAYS) return;
      }
    }
  }

  #valuesFor(row: number, wire: number): bigint[] {
    const { square, slope, rest } = asPolynomial(this.#r1cs, this.#values, row, wire);
    if (square === 0n) return slope === 0n ? [] : [FIELD.mod(-rest * FIELD.inverse(slope))];
    // Where C is 0, the roots of A and of B.
    const { a, b, c } = this.#r1cs;
    if (split(c, this.#values, row, wire).slope !== 0n || dot(c, this.#values, row) !== 0n) return [];
    return [a, b].flatMap((matrix) => {
      const part = split(matrix, this.#values, row, wire);
      return part.slope === 0n ? [] : [FIELD.mod(-part.rest * FIELD.inverse(part.slope))];
    });
  }

  #digitsOf(matrix: SparseMatrix, row: number): Digits | undefined {
    let known = this.#digits.get(matrix);
    if (!known) this.#digits.set(matrix, (known = new Map()));
    if (known.has(row)) return known.get(row);
    const digits = this.#findDigits(matrix, row);
    known.set(row, digits);
    return digits;
  }

  /** Of the bits that a form mentions, as many as have powers of two to each other, one for each power. */
  #findDigits({ start, wire, coefficient }: SparseMatrix, row: number): Digits | undefined {
    const bits: { wire: number; coefficient: bigint }[] = [];
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      if (this.#isBit[wire[i]!] && !this.#isInput[wire[i]!])
        bits.push({ wire: wire[i]!, coefficient: coefficient[i]! });
    }
    if (bits.length < 2) return undefined;
    let best: Digits | undefined;
    const units = new Set([...bits.slice(0, 4), ...bits.slice(-2)].map((bit) => bit.coefficient));
    for (const unit of units) {
      const inverse = FIELD.inverse(unit);
      const places = new Map<number, number>();
      for (const bit of bits) {
        const exponent = POWERS.get(FIELD.mod(bit.coefficient * inverse));
        if (exponent === undefined) continue;
        const other = places.get(exponent);
        // A bit of a decomposition is mentioned by fewer rows than one that means something else as well.
        if (other === undefined || this.#rows[bit.wire]!.length < this.#rows[other]!.length) {
          places.set(exponent, bit.wire);
        }
      }
      if (places.size < 2 || places.size <= (best?.wires.length ?? 0)) continue;
      const sorted = [...places].sort(([v], [w]) => v - w);
      best = { unit, wires: sorted.map(([, each]) => each), exponents: sorted.map(([exponent]) => exponent) };
    }
    return best;
  }
}

/** The bits of a non-negative integer, where all that are 1 have a place. */
function digitsOf(value: bigint, { wires, exponents }: Digits): Mutation[] | undefined {
  if (value < 0n) return undefined;
  let left = value;
  const bits = wires.map((wire, i) => {
    const bit = (value >> BigInt(exponents[i]!)) & 1n;
    left -= bit << BigInt(exponents[i]!);
    return { wire, value: bit };
  });
  return left === 0n ? bits : undefined;
}

const POWERS: ReadonlyMap<bigint, number> = new Map(Array.from({ length: 254 }, (_, i) => [(1n << BigInt(i)) % R, i]));

function dot({ start, wire, coefficient }: SparseMatrix, values: readonly bigint[], row: number): bigint {
  let sum = 0n;
  for (let i = start[row]!; i < start[row + 1]!; i++) sum += coefficient[i]! * values[wire[i]!]!;
  return sum % R;
}

/**
 * An order in which wires can be computed from the inputs: each from a row in which all others are known, and where there
 * is none, a hint. Bits are hints before others are, and outputs last.
 */
function orderOfComputation(r1cs: R1cs, rows: readonly number[][], isInput: Uint8Array, isBit: Uint8Array) {
  const { a, b, c, constraints, wires } = r1cs;
  const reluctance = (wire: number) => (isBit[wire] ? 0 : wire <= r1cs.publicOutputs ? 2 : 1);
  const hints = Array.from({ length: wires }, (_, wire) => wire).sort((v, w) => reluctance(v) - reluctance(w) || v - w);
  const rank = new Int32Array(wires);
  const defines = new Int32Array(constraints).fill(-1);
  const unknown = new Int32Array(constraints);
  const sum = new Int32Array(constraints);
  const known = Uint8Array.from(isInput);
  rows.forEach((list, wire) => {
    if (known[wire]) return;
    for (const row of list) {
      unknown[row]!++;
      sum[row]! ^= wire;
    }
  });
  const ready: number[] = [];
  for (let row = 0; row < constraints; row++) if (unknown[row] === 1) ready.push(row);
  let next = 0;
  const learn = (wire: number) => {
    rank[wire] = ++next;
    known[wire] = 1;
    for (const row of rows[wire]!) {
      sum[row]! ^= wire;
      if (--unknown[row]! === 1) ready.push(row);
    }
  };
  const mentions = ({ start, wire }: SparseMatrix, row: number, own: number) => {
    for (let i = start[row]!; i < start[row + 1]!; i++) if (wire[i] === own) return true;
    return false;
  };
  let [hint, at] = [0, 0];
  for (;;) {
    const row = ready[at++];
    if (row === undefined) {
      at = ready.length;
      while (hint < wires && known[hints[hint]!]) hint++;
      if (hint === wires) break;
      learn(hints[hint]!);
      continue;
    }
    if (unknown[row] !== 1) continue;
    const wire = sum[row]!;
    // A row that is quadratic in it, such as a bit's, defines nothing.
    if (mentions(a, row, wire) && mentions(b, row, wire)) continue;
    defines[row] = wire;
    learn(wire);
  }
  const priority = new Int32Array(constraints);
  for (const matrix of [a, b, c]) {
    for (let row = 0; row < constraints; row++) {
      for (let i = matrix.start[row]!; i < matrix.start[row + 1]!; i++) {
        priority[row] = Math.max(priority[row]!, rank[matrix.wire[i]!]!);
      }
    }
  }
  return { rank, defines, priority };
}

/** Rows by priority, the lowest first, each once. */
class Heap {
  readonly #priority: Int32Array;
  readonly #inside: Set<number>;
  readonly #items: number[];

  constructor(priority: Int32Array, items: number[] = []) {
    this.#priority = priority;
    this.#items = items;
    this.#inside = new Set(items);
  }

  copy(): Heap {
    return new Heap(this.#priority, [...this.#items]);
  }

  push(row: number): void {
    if (this.#inside.has(row)) return;
    this.#inside.add(row);
    const items = this.#items;
    let at = items.push(row) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) break;
      [items[at], items[parent]] = [items[parent]!, items[at]!];
      at = parent;
    }
  }

  pop(): number | undefined {
    const items = this.#items;
    const [first] = items;
    if (first === undefined) return undefined;
    const last = items.pop()!;
    if (items.length > 0) {
      items[0] = last;
      for (let at = 0; ; ) {
        let least = at;
        for (const child of [2 * at + 1, 2 * at + 2]) {
          if (child < items.length && this.#before(child, least)) least = child;
        }
        if (least === at) break;
        [items[at], items[least]] = [items[least]!, items[at]!];
        at = least;
      }
    }
    this.#inside.delete(first);
    return first;
  }

  #before(i: number, j: number): boolean {
    const [v, w] = [this.#items[i]!, this.#items[j]!];
    return this.#priority[v]! - this.#priority[w]! < 0 || (this.#priority[v] === this.#priority[w] && v < w);
  }
}

function pauses({ signal, onProgress }: AttackOptions, count: number) {
  let last = performance.now();
  throwIfAborted(signal);
  return async (done: number) => {
    if (performance.now() - last < YIELD_MS) return;
    onProgress?.(done / count);
    await new Promise((resolve) => setImmediate(resolve));
    throwIfAborted(signal);
    last = performance.now();
  };
}
