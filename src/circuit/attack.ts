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
import { checkWitness, inputWires, type R1cs, rowHolds, rowsOfWires, type SparseMatrix } from "./r1cs.js";
import { PrimeField, System } from "./system.js";

export interface Mutation {
  wire: number;
  value: bigint;
}

export interface AttackOptions {
  /**
   * Wires that attacks begin with. Unless told, single changes are made to all that are no inputs, and joint ones begin at
   * outputs and hints: at what the rows do not define by what was known before.
   */
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
/** Values that one wire is changed to. */
const MUTATIONS = 32;
/** Ways out of one row that are tried, by single wires. */
const WAYS = 24;
/** Bits of a row of which two are changed at once. */
const PAIRED_BITS = 64;
const YIELD_MS = 25;

/**
 * Changes every wire that is not an input, one at a time: plus and minus one, negated, zero, one, random, the other root
 * of a row that is quadratic in it, and what makes a factor of a row 0.
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
  const wires = options.wires ?? solver.hints;
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
  const { a, b, c } = r1cs;
  for (const row of rows) {
    if (values.size > MUTATIONS) break;
    const [fa, fb, fc] = [a, b, c].map((matrix) => split(matrix, witness, row, wire)) as [Part, Part, Part];
    const square = (fa.slope * fb.slope) % R;
    const slope = fa.slope * fb.rest + fa.rest * fb.slope - fc.slope;
    if (square !== 0n) values.add(FIELD.mod(-slope * FIELD.inverse(square) - honest));
    for (const factor of [fa, fb]) {
      if (factor.slope !== 0n) values.add(FIELD.mod(-factor.rest * FIELD.inverse(factor.slope)));
    }
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

interface Slope {
  wire: number;
  /** Its coefficients in A, B and C. */
  inA: bigint;
  inB: bigint;
  inC: bigint;
  /** Of A·B − C as a polynomial in what the wire changes by. */
  square: bigint;
  slope: bigint;
}

/** Bits of a form whose coefficients are a unit times powers of two, lowest first: `wires[i]` stands for 2^exponents[i]. */
interface Digits {
  unit: bigint;
  wires: number[];
  exponents: number[];
}

class Solver {
  readonly #r1cs: R1cs;
  readonly #honest: readonly bigint[];
  readonly #rows: number[][];
  /** Wires that every second witness differs in, one of them at least; and outputs, which are what it is about. */
  readonly hints: readonly number[];
  /** Inputs, and what rows compute from them alone. */
  readonly #isFixed: Uint8Array;
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
    this.#isBit = new Uint8Array(r1cs.wires);
    for (const [wire, { lo, hi }] of new System(r1cs).ranges) {
      if (wire < r1cs.wires && lo === 0n && hi === 1n) this.#isBit[wire] = 1;
    }
    const order = orderOfComputation(r1cs, this.#rows, this.#isBit);
    this.#isFixed = order.isFixed;
    const outputs = Array.from({ length: r1cs.publicOutputs }, (_, i) => i + 1).filter((wire) => !order.isFixed[wire]);
    this.hints = [...new Set([...outputs, ...order.hints])];
    this.#rank = order.rank;
    this.#defines = order.defines;
    this.#priority = order.priority;
  }

  rowsOf(wire: number): readonly number[] {
    return this.#rows[wire]!;
  }

  /**
   * Other bits that give a form of a row the same value, modulo the field's order; or, where it is a factor of a product
   * that is 0, the value 0.
   */
  *otherDigits(row: number): Iterable<Mutation[]> {
    const { a, b, c } = this.#r1cs;
    const isZero = dot(c, this.#honest, row) === 0n;
    for (const matrix of [a, b, c]) {
      const digits = this.#digitsOf(matrix, row);
      if (!digits) continue;
      let value = 0n;
      digits.wires.forEach((wire, i) => {
        value += this.#honest[wire]! << BigInt(digits.exponents[i]!);
      });
      const wholes = [value + R, value - R];
      const factor = matrix === c ? 0n : dot(matrix, this.#honest, row);
      if (isZero && factor !== 0n) {
        const zero = FIELD.mod(value - factor * FIELD.inverse(digits.unit));
        wholes.push(zero, zero + R);
      }
      for (const whole of wholes) {
        const bits = digitsOf(whole, digits);
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
    const open = this.#slopesOf(row, va, vb);
    const excess = FIELD.mod(va * vb - vc);
    for (const { wire, ...own } of open) {
      for (const value of this.#valuesFor(wire, own, [va, vb, vc], excess)) {
        yield [{ wire, value }];
        if (++ways >= WAYS) return;
      }
    }
    // Two bits, as when marks move.
    const flips = new Map<bigint, number>();
    for (const { wire, square, slope } of open.filter((each) => this.#isBit[each.wire]).slice(0, PAIRED_BITS)) {
      if (square !== 0n) continue;
      const now = this.#values[wire]!;
      const change = FIELD.mod(slope * (1n - 2n * now));
      const other = flips.get(FIELD.mod(-excess - change));
      flips.set(change, wire);
      if (other === undefined) continue;
      yield [
        { wire, value: 1n - now },
        { wire: other, value: 1n - this.#values[other]! },
      ];
    }
  }

  /** Of each wire of a row that may change, what A·B − C does as it changes; those computed last first. */
  #slopesOf(row: number, va: bigint, vb: bigint): Slope[] {
    const { a, b, c } = this.#r1cs;
    const slopes = new Map<number, [a: bigint, b: bigint, c: bigint]>();
    for (const [index, { start, wire, coefficient }] of [a, b, c].entries()) {
      for (let i = start[row]!; i < start[row + 1]!; i++) {
        if (this.#isFixed[wire[i]!] || this.#decided.has(wire[i]!)) continue;
        let own = slopes.get(wire[i]!);
        if (!own) slopes.set(wire[i]!, (own = [0n, 0n, 0n]));
        own[index] = FIELD.mod(own[index]! + coefficient[i]!);
      }
    }
    return [...slopes]
      .map(([wire, [inA, inB, inC]]) => ({
        wire,
        inA,
        inB,
        inC,
        square: (inA * inB) % R,
        slope: FIELD.mod(inA * vb + inB * va - inC),
      }))
      .sort((v, w) => this.#rank[w.wire]! - this.#rank[v.wire]!);
  }

  /** Other values of a wire for which a row holds: of `excess + slope · d + square · d²`, the roots that are easily told. */
  #valuesFor(
    wire: number,
    { inA, inB, inC, square, slope }: Omit<Slope, "wire">,
    [va, vb, vc]: readonly [bigint, bigint, bigint],
    excess: bigint,
  ): bigint[] {
    const now = this.#values[wire]!;
    if (this.#isBit[wire]) {
      const d = 1n - 2n * now;
      return (excess + slope * d + square) % R === 0n ? [1n - now] : [];
    }
    if (square === 0n) return slope === 0n ? [] : [FIELD.mod(now - excess * FIELD.inverse(slope))];
    // Where C is 0, the roots of A and of B.
    if (inC !== 0n || vc !== 0n) return [];
    return [FIELD.mod(now - va * FIELD.inverse(inA)), FIELD.mod(now - vb * FIELD.inverse(inB))];
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
      if (!this.#isBit[wire[i]!] || this.#isFixed[wire[i]!] || coefficient[i]! % R === 0n) continue;
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
 * is none, a hint. Bits are hints before others are, and outputs last. A wire that a row gives only where a factor is not
 * 0 counts as a hint as well.
 */
function orderOfComputation(r1cs: R1cs, rows: readonly number[][], isBit: Uint8Array) {
  const { a, b, c, constraints, wires } = r1cs;
  const reluctance = (wire: number) => (isBit[wire] ? 0 : wire <= r1cs.publicOutputs ? 2 : 1);
  const candidates = Array.from({ length: wires }, (_, wire) => wire).sort(
    (v, w) => reluctance(v) - reluctance(w) || v - w,
  );
  const rank = new Int32Array(wires);
  const defines = new Int32Array(constraints).fill(-1);
  const unknown = new Int32Array(constraints);
  const sum = new Int32Array(constraints);
  const known = new Uint8Array(wires);
  known[0] = 1;
  for (const wire of inputWires(r1cs)) known[wire] = 1;
  rows.forEach((list, wire) => {
    if (known[wire]) return;
    for (const row of list) {
      unknown[row]!++;
      sum[row]! ^= wire;
    }
  });
  const ready: number[] = [];
  /** Rows that would give a wire by a division. */
  const divisions: number[] = [];
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
  /** Whether a form is a constant that is not 0. */
  const isConstant = ({ start, wire, coefficient }: SparseMatrix, row: number) => {
    let value = 0n;
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      if (wire[i] !== 0) return false;
      value += coefficient[i]!;
    }
    return value % R !== 0n;
  };
  const hints: number[] = [];
  let isFixed: Uint8Array | undefined;
  for (let [at, division, hint] = [0, 0, 0]; ; ) {
    const row = ready[at++];
    if (row !== undefined) {
      if (unknown[row] !== 1) continue;
      const wire = sum[row]!;
      const [inA, inB] = [mentions(a, row, wire), mentions(b, row, wire)];
      // A row that is quadratic in a wire, such as a bit's, defines nothing.
      if (inA && inB) continue;
      if ((inA && !isConstant(b, row)) || (inB && !isConstant(a, row))) {
        divisions.push(row);
        continue;
      }
      defines[row] = wire;
      learn(wire);
      continue;
    }
    at = ready.length;
    // All that follows from the inputs alone.
    isFixed ??= known.slice();
    const divided = divisions[division++];
    if (divided !== undefined) {
      if (unknown[divided] !== 1) continue;
      defines[divided] = sum[divided]!;
      hints.push(sum[divided]!);
      learn(sum[divided]!);
      continue;
    }
    division = divisions.length;
    while (hint < wires && known[candidates[hint]!]) hint++;
    if (hint === wires) break;
    hints.push(candidates[hint]!);
    learn(candidates[hint]!);
  }
  const priority = new Int32Array(constraints);
  for (const matrix of [a, b, c]) {
    for (let row = 0; row < constraints; row++) {
      for (let i = matrix.start[row]!; i < matrix.start[row + 1]!; i++) {
        priority[row] = Math.max(priority[row]!, rank[matrix.wire[i]!]!);
      }
    }
  }
  return { rank, defines, priority, hints, isFixed };
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
