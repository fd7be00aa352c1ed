/**
 * Propagates through a {@link System} what is known of its wires: that a wire is *unique*, which is to say that any two
 * assignments that satisfy all rows and agree on the inputs agree on it, and in which range of integers its value lies
 * in any satisfying assignment.
 *
 * Two assignments that agree on the inputs are compared through the differences of their wires. A unique wire has
 * difference 0; the difference of one with a range is an integer of at most its width. Where the differences of a linear
 * row cannot add up to the field's order in magnitude, the row is an equation of integers, which says more than one of
 * field elements: that is what makes a decomposition into bits unique, and what fails at 254 of them.
 *
 * Nothing here is a proof by pattern: every rule is about what rows say, whatever gadget they came from. What no rule
 * shows stays undetermined, so that a defect of a rule's reach costs completeness and never soundness.
 *
 * @module
 */
import { gcd, least, most, type PrimeField, type Product, type Range, type System } from "./system.js";

/** What showed that a wire is unique. */
export type Rule =
  | "constant"
  | "linear"
  | "product"
  | "division"
  | "root"
  | "digits"
  | "cases"
  | "selector"
  | "bracket"
  | "largest"
  | "one-hot"
  | "explained";

/** Tightenings of one wire's range. */
const MAX_TIGHTENINGS = 12;
/** Terms of a linear row that is searched for tighter ranges. */
const MAX_TIGHTENED_TERMS = 64;
/** Unknowns of a linear row that are looked at again whenever there is one less. */
const MAX_DIGITS = 600;
const MAX_EVALUATIONS = 8;
/** Of one wire: a value may be split anew wherever it goes. */
const MAX_DECOMPOSITIONS = 16;
/** Terms and products that one case of a split may look at. */
const CASE_BUDGET = 20_000;
/** The same of many values at once, which is tried seldom. */
const EXCLUSION_BUDGET = 4_000_000;
/** Terms of a linear row that a case looks at for what their ranges leave. */
const MAX_CASE_TERMS = 300;
const YIELD_EVERY = 1000;

export class Propagation {
  readonly system: System;
  readonly field: PrimeField;
  readonly unique: Uint8Array;
  /** By wire; undefined where nothing is known. */
  readonly ranges: (Range | undefined)[];
  /** By wire, values that it never has; canonical. */
  readonly #excluded = new Map<number, Set<bigint>>();
  readonly ruleOf = new Map<number, Rule>();
  /** The row that determined a wire: a linear one, or −1 − a product. */
  readonly definition: Int32Array;
  /** By linear row, the wires that are not unique: their number, and their exclusive or. */
  readonly unknown: Int32Array;
  readonly #unknownXor: Int32Array;
  /** The same of those without a range. */
  readonly #unbounded: Int32Array;
  readonly #unboundedXor: Int32Array;
  readonly #evaluations: Uint8Array;
  readonly #tightenings: Uint8Array;
  /** By wire, linear rows that split it into wires of two values each. */
  readonly #decompositions: ReadonlyMap<number, number[]>;
  /** Number of unknowns that the digits rule has looked at in vain. */
  readonly #tried: Int32Array;
  readonly #linearOf: Index;
  readonly #productsOf: Index;
  readonly #linearQueue: Queue;
  readonly #productQueue: Queue;
  readonly #caseQueue: Queue;
  /** Wires that are 0 but for one value of a unique wire, which they are listed with. */
  readonly #selected = new Map<number, { by: number; at: bigint }[]>();
  readonly #selectedQueue: number[] = [];

  constructor(system: System, inputs: Iterable<number>, given: ReadonlyMap<number, Range> = new Map()) {
    const { wires, linear, products } = system;
    const rows = linear.source.length;
    this.system = system;
    this.field = system.field;
    this.unique = new Uint8Array(wires);
    this.ranges = new Array<Range | undefined>(wires).fill(undefined);
    this.definition = new Int32Array(wires);
    this.unknown = new Int32Array(rows);
    this.#unknownXor = new Int32Array(rows);
    this.#unbounded = new Int32Array(rows);
    this.#unboundedXor = new Int32Array(rows);
    this.#evaluations = new Uint8Array(rows);
    this.#tightenings = new Uint8Array(wires);
    this.#tried = new Int32Array(rows);
    this.#linearQueue = new Queue(rows);
    this.#productQueue = new Queue(products.length);
    this.#caseQueue = new Queue(products.length);
    this.#decompositions = decompositions(system);
    this.#linearOf = new Index(wires, (add) => {
      for (let row = 0; row < rows; row++) {
        for (let i = linear.start[row]!; i < linear.start[row + 1]!; i++) add(linear.wire[i]!, row);
      }
    });
    this.#productsOf = new Index(wires, (add) => {
      products.forEach(({ x, y, z }, row) => {
        add(x, row);
        if (y !== x) add(y, row);
        if (z >= 0 && z !== x && z !== y) add(z, row);
      });
    });
    for (let row = 0; row < rows; row++) {
      for (let i = linear.start[row]!; i < linear.start[row + 1]!; i++) {
        this.unknown[row]!++;
        this.#unknownXor[row]! ^= linear.wire[i]!;
      }
      this.#unbounded[row] = this.unknown[row]!;
      this.#unboundedXor[row] = this.#unknownXor[row]!;
      this.#linearQueue.push(row);
    }
    products.forEach(({ x, cx, y, cy, z, cz }, row) => {
      if (z < 0 && cz !== 0n) {
        this.#exclude(x, -cx);
        this.#exclude(y, -cy);
      }
      this.#productQueue.push(row);
    });
    this.restrict(0, { lo: 1n, hi: 1n, step: 0n });
    for (const wire of inputs) this.determine(wire, "linear");
    for (const [wire, range] of [...system.ranges, ...given]) this.restrict(wire, range);
  }

  /** Linear rows that mention a wire. */
  linearOf(wire: number): Int32Array {
    return this.#linearOf.of(wire);
  }

  /** Products that mention a wire. */
  productsOf(wire: number): Int32Array {
    return this.#productsOf.of(wire);
  }

  /** Wires of a linear row that are not unique. */
  unknownsOf(row: number): number[] {
    const { start, wire } = this.system.linear;
    const found: number[] = [];
    for (let i = start[row]!; i < start[row + 1]!; i++) if (!this.unique[wire[i]!]) found.push(wire[i]!);
    return found;
  }

  /** @returns whether it is news */
  determine(wire: number, rule: Rule, definition = 0): boolean {
    if (this.unique[wire]) return false;
    this.unique[wire] = 1;
    this.definition[wire] = definition;
    this.ruleOf.set(wire, rule);
    for (const row of this.linearOf(wire)) {
      this.unknown[row]!--;
      this.#unknownXor[row]! ^= wire;
      this.#linearQueue.push(row);
    }
    for (const row of this.productsOf(wire)) this.#productQueue.push(row);
    return true;
  }

  /** Takes in that a wire's value is among these integers, modulo p. */
  restrict(wire: number, range: Range): void {
    const { p } = this.field;
    const old = this.ranges[wire];
    let news = range;
    if (news.hi - news.lo >= p) return;
    if (old) {
      if (old.lo === old.hi || this.#tightenings[wire]! >= MAX_TIGHTENINGS) return;
      const hull = most(old.hi, news.hi) - least(old.lo, news.lo);
      // Two ranges speak of the same integer only where integers that differ by p are not in both.
      if (hull < p) news = intersect(old, news);
      // No integer left: no assignment satisfies the rows, and whatever was concluded holds for all of none.
      const [width, before] = [news.hi - news.lo, old.hi - old.lo];
      if (width < 0n || width > before || (width === before && news.step <= old.step)) return;
      this.#tightenings[wire]!++;
    }
    if (news.lo === news.hi) news = { lo: news.lo, hi: news.lo, step: 0n };
    this.ranges[wire] = news;
    for (const row of this.linearOf(wire)) {
      if (!old) {
        this.#unbounded[row]!--;
        this.#unboundedXor[row]! ^= wire;
      }
      this.#tried[row] = 0;
      this.#linearQueue.push(row);
    }
    for (const row of this.productsOf(wire)) this.#productQueue.push(row);
    if (news.lo === news.hi) this.determine(wire, "constant");
  }

  #exclude(wire: number, value: bigint): void {
    let set = this.#excluded.get(wire);
    if (!set) this.#excluded.set(wire, (set = new Set()));
    set.add(this.field.mod(value));
  }

  /** Whether `wire + c` is never 0. */
  isNonZero(wire: number, c: bigint): boolean {
    if (this.#excluded.get(wire)?.has(this.field.mod(-c))) return true;
    const range = this.ranges[wire];
    return range !== undefined && !this.#contains(range, -c);
  }

  /** Whether a range has an integer that is `value` modulo p. */
  #contains({ lo, hi, step }: Range, value: bigint): boolean {
    const first = lo + this.field.mod(value - lo); // the least one from lo on
    return first <= hi && (step === 0n || (first - lo) % step === 0n);
  }

  /** The value of a wire that has only one, canonical. */
  constantOf(wire: number): bigint | undefined {
    const range = this.ranges[wire];
    return range && range.lo === range.hi ? this.field.mod(range.lo) : undefined;
  }

  /** Applies the rules that look at one row, or a few rows about one wire, until they say no more. Yields now and then. */
  *run(): Generator<void> {
    for (let steps = 1; ; steps++) {
      if (steps % YIELD_EVERY === 0) yield;
      const linear = this.#linearQueue.pop();
      if (linear !== undefined) {
        this.#visitLinear(linear);
        continue;
      }
      const product = this.#productQueue.pop();
      if (product !== undefined) {
        this.#visitProduct(product);
        continue;
      }
      const selected = this.#selectedQueue.pop();
      if (selected !== undefined) {
        this.#visitSelected(selected);
        continue;
      }
      const split = this.#caseQueue.pop();
      if (split === undefined) return;
      this.#visitCases(split);
    }
  }

  #visitLinear(row: number): void {
    const { start } = this.system.linear;
    const unknown = this.unknown[row]!;
    // The coefficient is not 0, so the others' values leave one for the last.
    if (unknown === 1) this.determine(this.#unknownXor[row]!, "linear", row);
    if (this.#unbounded[row]! <= 1 && this.#evaluations[row]! < MAX_EVALUATIONS) this.#evaluate(row);
    if (this.unknown[row]! >= 2) this.#separateDigits(row);
    // A case that left a difference of two wires open may not do so any more.
    if (this.unknown[row] === 2 && start[row + 1]! - start[row]! <= 4) {
      for (const wire of this.unknownsOf(row)) for (const each of this.productsOf(wire)) this.#productQueue.push(each);
    }
  }

  /** Ranges of a row's wires from each other's. */
  #evaluate(row: number): void {
    const { start, wire, coefficient } = this.system.linear;
    const [from, to] = [start[row]!, start[row + 1]!];
    const open = this.#unbounded[row] === 1 ? this.#unboundedXor[row]! : -1;
    if (open < 0 && to - from > MAX_TIGHTENED_TERMS) return;
    this.#evaluations[row]!++;
    const { p } = this.field;
    if (open >= 0) {
      let own = 0n;
      for (let i = from; i < to; i++) if (wire[i] === open) own = coefficient[i]!;
      for (const sum of this.#sumsWithout(row, open)) {
        // own · value = −sum: an integer where own divides all that −sum can be, and otherwise a fraction, anywhere.
        if (sum.hi - sum.lo < p && sum.lo % own === 0n && sum.step % own === 0n) {
          this.restrict(open, divide(times(sum, -1n), own));
        }
      }
      return;
    }
    let sum = ZERO;
    for (let i = from; i < to; i++) sum = add(sum, times(this.ranges[wire[i]!]!, coefficient[i]!));
    // The sum is a multiple of p; where its range has just one, all is known of it.
    const multiple = -floorDivide(-sum.lo, p);
    if (multiple !== floorDivide(sum.hi, p)) return;
    for (let i = from; i < to; i++) {
      const k = coefficient[i]!;
      const range = this.ranges[wire[i]!]!;
      if (range.lo === range.hi) continue;
      const term = times(range, k);
      // k · value = multiple · p − others
      const lo = multiple * p - (sum.hi - term.hi);
      const hi = multiple * p - (sum.lo - term.lo);
      const first = k > 0n ? -floorDivide(-lo, k) : -floorDivide(-hi, k);
      const last = k > 0n ? floorDivide(hi, k) : floorDivide(lo, k);
      if (first > range.lo || last < range.hi) this.restrict(wire[i]!, { lo: first, hi: last, step: 1n });
    }
  }

  /**
   * Ranges of a row's sum without one of its wires: as it stands, and with each wire that another row splits into bits
   * replaced by them where this row mentions them too. So what is left of a value when bits are taken off it is seen to be
   * a multiple, and small.
   */
  #sumsWithout(row: number, except: number): Range[] {
    const { start, wire, coefficient } = this.system.linear;
    const [from, to] = [start[row]!, start[row + 1]!];
    let sum: Range = ZERO;
    let isSplit = false;
    for (let i = from; i < to; i++) {
      const own = wire[i]!;
      if (own === except) continue;
      isSplit ||= this.#decompositions.has(own);
      sum = add(sum, times(this.ranges[own]!, coefficient[i]!));
    }
    if (!isSplit || to - from > MAX_TIGHTENED_TERMS) return [sum];

    const terms = new Map<number, bigint>();
    for (let i = from; i < to; i++) if (wire[i] !== except) terms.set(wire[i]!, coefficient[i]!);
    for (const own of [...terms.keys()]) {
      const decomposition = this.#decompositions.get(own)?.find((each) => {
        if (each === row) return false;
        const bits = wire.slice(start[each]!, start[each + 1]!);
        return bits.some((bit) => bit !== 0 && bit !== own && terms.has(bit));
      });
      if (decomposition === undefined) continue;
      let theirs = 0n; // 1 or −1
      for (let i = start[decomposition]!; i < start[decomposition + 1]!; i++) {
        if (wire[i] === own) theirs = coefficient[i]!;
      }
      const factor = terms.get(own)! * theirs;
      for (let i = start[decomposition]!; i < start[decomposition + 1]!; i++) {
        terms.set(wire[i]!, (terms.get(wire[i]!) ?? 0n) - factor * coefficient[i]!);
      }
    }
    let other: Range = ZERO;
    for (const [own, k] of terms) {
      if (k === 0n) continue;
      const range = own === except ? undefined : this.ranges[own];
      if (!range) return [sum];
      other = add(other, times(range, k));
    }
    return [sum, other];
  }

  /**
   * The difference of two assignments is, in this row, a sum of `k · d` over the unknown wires, each d an integer of at
   * most the wire's width, and 0 modulo p. Where the sum stays below p in magnitude it is 0 itself. Then d = 0 for a wire
   * whose k is larger than all others together can make up for (the highest digit), and for one whose width is too small
   * to reach a multiple of what divides all others (the lowest).
   */
  #separateDigits(row: number): void {
    const { start, wire, coefficient } = this.system.linear;
    const tried = this.#tried[row]!;
    // Not again for the same unknowns; of very many, not for each that is found elsewhere.
    if (tried > 0 && this.unknown[row]! >= (tried > MAX_DIGITS ? tried / 2 : tried)) return;
    const digits: { wire: number; k: bigint; reach: bigint }[] = [];
    let total = 0n;
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      if (this.unique[wire[i]!]) continue;
      const range = this.ranges[wire[i]!];
      if (!range) return;
      const magnitude = coefficient[i]! < 0n ? -coefficient[i]! : coefficient[i]!;
      const reach = magnitude * (range.hi - range.lo);
      total += reach;
      digits.push({ wire: wire[i]!, k: magnitude * range.step, reach });
    }
    this.#tried[row] = digits.length;
    if (total >= this.field.p) return;
    digits.sort((a, b) => (a.k < b.k ? -1 : a.k > b.k ? 1 : a.wire - b.wire));
    const found: number[] = [];
    let [low, high] = [0, digits.length];
    // The greatest common divisors of all digits from i on; those that are found at the top only made them smaller.
    let rests: bigint[] | undefined;
    while (low < high) {
      const top = digits[high - 1]!;
      if (total - top.reach < top.k) {
        found.push(top.wire);
        total -= top.reach;
        high--;
        rests = undefined;
        continue;
      }
      rests ??= commonDivisors(digits, high);
      const bottom = digits[low]!;
      const rest = rests[low + 1]!;
      if (rest !== 0n && bottom.reach >= leastCommonMultiple(bottom.k, rest)) break;
      found.push(bottom.wire);
      total -= bottom.reach;
      low++;
    }
    for (const each of found) this.determine(each, "digits", row);
  }

  #visitProduct(row: number): void {
    const product = this.system.products[row]!;
    const { x, cx, y, cy, z, m, cz } = product;
    const [rx, ry] = [this.ranges[x], this.ranges[y]];
    if (z >= 0 && rx && ry) {
      const range = productRange(product, rx, ry);
      this.restrict(z, add(times(range, m), { lo: cz, hi: cz, step: 0n }));
    }
    const [ux, uy, uz] = [this.unique[x]!, this.unique[y]!, z < 0 ? 1 : this.unique[z]!];
    if (ux && uy) {
      if (z >= 0) this.determine(z, "product", -1 - row);
      return;
    }
    if (uz && x === y) {
      // (x + cx)(x + cy) is the same for two values of x only if they add up to −cx − cy.
      if (rx && !this.#contains({ lo: 2n * rx.lo + rx.step, hi: 2n * rx.hi - rx.step, step: 1n }, -cx - cy)) {
        this.determine(x, "root");
      }
      return;
    }
    if (uz) {
      const nonZero = z < 0 ? cz !== 0n : this.isNonZero(z, -cz);
      for (const [known, c, other] of [
        [x, cx, y],
        [y, cy, x],
      ] as const) {
        if (!this.unique[known] || this.unique[other]) continue;
        if (nonZero || this.isNonZero(known, c)) this.determine(other, "division", -1 - row);
        else {
          if (z < 0 && cz === 0n) this.#select(other, known, c);
          this.#caseQueue.push(row);
        }
      }
      return;
    }
    // x = m (x + cx)(y + cy) + cz, that is x (1 − m (y + cy)) = …: unique where the factor is not 0
    for (const [own, known, c] of [
      [x, y, cy],
      [y, x, cx],
    ] as const) {
      if (own !== z || own === known || !this.unique[known]) continue;
      if (this.isNonZero(known, c - this.field.inverse(m))) this.determine(own, "division", -1 - row);
    }
  }

  /** `(by + c) · (wire + …) = 0`: where the unique wire `by` is not −c, `wire` is fixed. */
  #select(wire: number, by: number, c: bigint): void {
    let list = this.#selected.get(wire);
    if (!list) this.#selected.set(wire, (list = []));
    const at = this.field.mod(-c);
    if (list.length >= 8 || list.some((entry) => entry.by === by)) return;
    list.push({ by, at });
    this.#selectedQueue.push(wire);
  }

  /**
   * A linear row whose unknown wires are all fixed but where one unique wire has a value, another one for each: whatever
   * that wire's value is, one unknown at most is left, and the row gives it.
   */
  #visitSelected(selected: number): void {
    for (const row of this.linearOf(selected)) {
      for (const { by } of this.#selected.get(selected)!) {
        if (this.unknown[row]! < 2) break;
        const seen = new Set<bigint>();
        const unknowns = this.unknownsOf(row);
        const distinct = unknowns.every((wire) => {
          const at = this.#selected.get(wire)?.find((entry) => entry.by === by)?.at;
          if (at === undefined || seen.has(at)) return false;
          seen.add(at);
          return true;
        });
        if (distinct) for (const wire of unknowns) this.determine(wire, "selector");
      }
    }
  }

  /**
   * A product with a factor `u` that is unique, and may be 0: what is unique if it is 0 and if it is not is unique. In
   * each case rows are simpler, since a product is gone or a division possible.
   */
  #visitCases(row: number): void {
    const { x, cx, y, cy, z } = this.system.products[row]!;
    if (z >= 0 && !this.unique[z]) return;
    for (const [known, c, other] of [
      [x, cx, y],
      [y, cy, x],
    ] as const) {
      if (!this.unique[known] || this.unique[other]) continue;
      const range = this.ranges[known];
      const cases =
        range && range.hi - range.lo === range.step
          ? [range.lo, range.hi].map((value) => new Case(this, [[known, this.field.mod(value)]]))
          : [new Case(this, [[known, this.field.mod(-c)]]), new Case(this, [], [known, this.field.mod(-c)])];
      const possible = cases.filter((each) => each.explore());
      const [first, ...rest] = possible;
      if (!first) continue; // no assignment at all
      for (const wire of first.found()) {
        if (this.unique[wire] || !rest.every((each) => each.isUnique(wire))) continue;
        const values = possible.map((each) => each.valueOf(wire));
        this.determine(wire, "cases");
        if (values.every((value) => value !== undefined)) this.#restrictTo(wire, values as bigint[]);
      }
    }
  }

  /** Whether these wires cannot have these values all at once. */
  excludes(values: readonly (readonly [wire: number, value: bigint])[]): boolean {
    return !new Case(this, values, undefined, EXCLUSION_BUDGET).explore();
  }

  #restrictTo(wire: number, values: readonly bigint[]): void {
    const sorted = values.map((value) => this.field.signed(value)).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const [lo, hi] = [sorted[0]!, sorted.at(-1)!];
    if (values.length <= 2) this.restrict(wire, { lo, hi, step: hi - lo });
  }

  contains(wire: number, value: bigint): boolean {
    const range = this.ranges[wire];
    return range === undefined || this.#contains(range, value);
  }
}

/**
 * One case of a split: everything that holds if unique wires have certain values, or one has it not. Both assignments that
 * are compared are in the same case, because the wires are unique; what follows for values holds of each by itself.
 */
class Case {
  readonly #outer: Propagation;
  readonly #values = new Map<number, bigint>();
  readonly #unique = new Set<number>();
  readonly #isNot: readonly [wire: number, value: bigint] | undefined;
  readonly #queue: number[] = [];
  #possible = true;
  #budget: number;

  constructor(
    outer: Propagation,
    is: readonly (readonly [wire: number, value: bigint])[],
    isNot?: readonly [wire: number, value: bigint],
    budget = CASE_BUDGET,
  ) {
    this.#budget = budget;
    this.#outer = outer;
    this.#isNot = isNot;
    for (const [wire, value] of is) this.#set(wire, value);
    for (const [wire, value] of is) this.#substitute(wire, value);
    if (!isNot) return;
    if (outer.constantOf(isNot[0]) === isNot[1]) this.#possible = false;
    this.#queue.push(isNot[0]);
  }

  /** @returns whether the case is possible, as far as was looked */
  explore(): boolean {
    while (this.#possible && this.#budget > 0) {
      const wire = this.#queue.pop();
      if (wire === undefined) break;
      for (const row of this.#outer.productsOf(wire)) this.#visitProduct(row);
      for (const row of this.#outer.linearOf(wire)) this.#visitLinear(row);
    }
    return this.#possible;
  }

  *found(): Iterable<number> {
    yield* this.#values.keys();
    yield* this.#unique;
  }

  isUnique(wire: number): boolean {
    return this.#outer.unique[wire] === 1 || this.#unique.has(wire) || this.#values.has(wire);
  }

  valueOf(wire: number): bigint | undefined {
    return this.#values.get(wire) ?? this.#outer.constantOf(wire);
  }

  #set(wire: number, value: bigint): void {
    const old = this.valueOf(wire);
    if (old !== undefined ? old !== value : !this.#outer.contains(wire, value)) this.#possible = false;
    if (this.#isNot?.[0] === wire && this.#isNot[1] === value) this.#possible = false;
    if (old !== undefined) return;
    this.#values.set(wire, value);
    this.#queue.push(wire);
  }

  #determine(wire: number): void {
    if (this.isUnique(wire)) return;
    this.#unique.add(wire);
    this.#queue.push(wire);
  }

  #isNonZero(wire: number, c: bigint): boolean {
    const { field } = this.#outer;
    const value = this.valueOf(wire);
    if (value !== undefined) return field.mod(value + c) !== 0n;
    return (this.#isNot?.[0] === wire && this.#isNot[1] === field.mod(-c)) || this.#outer.isNonZero(wire, c);
  }

  #visitProduct(row: number): void {
    this.#budget--;
    const { field, system } = this.#outer;
    const { x, cx, y, cy, z, m, cz } = system.products[row]!;
    const { unique } = this.#outer;
    if (unique[x] && unique[y] && (z < 0 || unique[z])) return;
    const [a, b] = [this.#sum(x, cx), this.#sum(y, cy)];
    const result = z < 0 ? field.mod(cz) : this.valueOf(z);
    // Of `m · a · b`.
    const product = result === undefined ? undefined : z < 0 ? result : field.mod(result - cz);
    if (a === 0n || b === 0n || (a !== undefined && b !== undefined)) {
      const value = a === 0n || b === 0n ? 0n : field.mod(a! * b!);
      if (z >= 0) this.#set(z, field.mod(m * value + cz));
      else if (product !== value) this.#possible = false;
      return;
    }
    if (x === y) {
      if (z >= 0 && this.isUnique(x)) this.#determine(z);
      return;
    }
    for (const [known, kc, value, other, oc] of [
      [x, cx, a, y, cy],
      [y, cy, b, x, cx],
    ] as const) {
      if (!this.isUnique(known) || !this.#isNonZero(known, kc)) continue;
      if (product === 0n) this.#set(other, field.mod(-oc));
      else if (product !== undefined && value !== undefined) {
        const factor = z < 0 ? value : m * value;
        this.#set(other, field.mod(product * field.inverse(factor) - oc));
      } else if (z < 0 || this.isUnique(z)) this.#determine(other);
    }
    if (z >= 0 && this.isUnique(x) && this.isUnique(y)) this.#determine(z);
  }

  #sum(wire: number, c: bigint): bigint | undefined {
    const value = this.valueOf(wire);
    return value === undefined ? undefined : this.#outer.field.mod(value + c);
  }

  #visitLinear(row: number): void {
    const { field, system, unique } = this.#outer;
    const { start, wire, coefficient } = system.linear;
    if (this.#outer.unknown[row] === 0) return;
    let [unknown, first] = [-1, -1];
    let sum = 0n;
    let constants = true;
    const open: Term[] = [];
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      if (--this.#budget < 0) return;
      const [own, k] = [wire[i]!, coefficient[i]!];
      const value = this.valueOf(own);
      if (value !== undefined) {
        sum += k * value;
        continue;
      }
      if (first >= 0 || unique[own]) constants = false;
      if (first < 0) first = i;
      open.push([own, k]);
      if (this.isUnique(own)) continue;
      // Of many unknowns nothing follows but by their ranges.
      if (unknown >= 0 && (open.length > MAX_CASE_TERMS || !this.#outer.ranges[own])) return;
      unknown = unknown < 0 ? i : wire.length;
    }
    if (first < 0) {
      if (field.mod(sum) !== 0n) this.#possible = false;
    } else if (open.length === 1 && constants)
      this.#set(wire[first]!, field.mod(-sum * field.inverse(coefficient[first]!)));
    else if (unknown >= 0 && unknown < wire.length) this.#determine(wire[unknown]!);
    else this.#bound(open, sum);
  }

  /**
   * A unique wire that is a linear form of unique wires, such as a difference, has a value here: so has that form wherever
   * a linear row mentions it.
   */
  #substitute(known: number, value: bigint): void {
    const { field, system, unknown, unique } = this.#outer;
    const { start, wire, coefficient } = system.linear;
    const definition = [...this.#outer.linearOf(known)].find(
      (row) => unknown[row] === 0 && start[row + 1]! - start[row]! <= MAX_CASE_TERMS,
    );
    if (definition === undefined || known < system.real) return;
    const form = new Map<number, bigint>();
    let rest = 0n; // form + rest = 0
    for (let i = start[definition]!; i < start[definition + 1]!; i++) {
      const constant = wire[i] === known ? value : this.#outer.constantOf(wire[i]!);
      if (constant !== undefined) rest += coefficient[i]! * constant;
      else form.set(wire[i]!, coefficient[i]!);
    }
    const rowsOf = (each: number) => this.#outer.linearOf(each);
    const [rarest] = [...form.keys()].sort((v, w) => rowsOf(v).length - rowsOf(w).length);
    if (rarest === undefined) return;
    for (const row of rowsOf(rarest)) {
      if (unknown[row] === 0 || this.#budget < 0) continue;
      let [sum, matched] = [0n, 0];
      let factor: bigint | undefined;
      const open: Term[] = [];
      for (let i = start[row]!; i < start[row + 1]!; i++) {
        this.#budget--;
        const [own, k] = [wire[i]!, coefficient[i]!];
        const inForm = form.get(own);
        const constant = this.valueOf(own);
        if (inForm !== undefined) {
          const ratio = field.mod(k * field.inverse(inForm));
          if (ratio !== (factor ??= ratio)) break;
          matched++;
        } else if (constant !== undefined) sum += k * constant;
        else if (unique[own] || !this.#outer.ranges[own]) break;
        else open.push([own, k]);
        if (i + 1 === start[row + 1] && matched === form.size) this.#bound(open, sum - factor! * rest);
      }
    }
  }

  /** Values of wires that have ranges, where their sum with a constant, which is 0, leaves one only. */
  #bound(open: readonly Term[], constant: bigint): void {
    const { field, ranges } = this.#outer;
    let total: Range = { lo: 0n, hi: 0n, step: 0n };
    for (const [wire, k] of open) {
      const range = ranges[wire];
      if (!range) return;
      total = add(total, times(range, k));
    }
    const sum = total.lo + field.mod(-constant - total.lo); // the least integer that the sum may be
    if (sum > total.hi) this.#possible = false;
    if (!this.#possible || sum + field.p <= total.hi) return;
    for (const [wire, k] of open) {
      const range = ranges[wire]!;
      const own = times(range, k);
      // What the others leave for k · value.
      const lo = most(sum - (total.hi - own.hi), own.lo);
      const hi = least(sum - (total.lo - own.lo), own.hi);
      const first = k > 0n ? -floorDivide(-lo, k) : -floorDivide(-hi, k);
      const last = k > 0n ? floorDivide(hi, k) : floorDivide(lo, k);
      if (first > last) this.#possible = false;
      else if (first === last) this.#set(wire, field.mod(first));
    }
  }
}

type Term = readonly [wire: number, coefficient: bigint];

/** Rows in which one wire, with coefficient 1 or −1, is all that may have more than two values. */
function decompositions({ linear, ranges }: System): Map<number, number[]> {
  const found = new Map<number, number[]>();
  const { start, wire, coefficient, source } = linear;
  for (let row = 0; row < source.length; row++) {
    if (start[row + 1]! - start[row]! <= 2) continue;
    const units: number[] = [];
    const others: number[] = [];
    for (let i = start[row]!; i < start[row + 1]! && others.length < 2; i++) {
      if (wire[i] === 0) continue;
      if (coefficient[i] === 1n || coefficient[i] === -1n) units.push(wire[i]!);
      if (!ranges.has(wire[i]!)) others.push(wire[i]!);
    }
    // Of bits alone, it may be any.
    const split = others.length > 1 ? [] : others.length === 1 ? others.filter((each) => units.includes(each)) : units;
    for (const each of split.slice(0, MAX_DECOMPOSITIONS)) {
      const list = found.get(each);
      if (!list) found.set(each, [row]);
      else if (list.length < MAX_DECOMPOSITIONS) list.push(row);
    }
  }
  return found;
}

const ZERO: Range = { lo: 0n, hi: 0n, step: 0n };

/** Rows or products by wire, in two flat arrays. */
class Index {
  readonly #start: Int32Array;
  readonly #items: Int32Array;

  constructor(wires: number, visit: (add: (wire: number, item: number) => void) => void) {
    this.#start = new Int32Array(wires + 1);
    visit((wire) => {
      this.#start[wire + 1]!++;
    });
    for (let wire = 0; wire < wires; wire++) this.#start[wire + 1]! += this.#start[wire]!;
    this.#items = new Int32Array(this.#start[wires]!);
    const next = this.#start.slice();
    visit((wire, item) => {
      this.#items[next[wire]!++] = item;
    });
  }

  of(wire: number): Int32Array {
    return this.#items.subarray(this.#start[wire]!, this.#start[wire + 1]!);
  }
}

/** Each item once, first in, first out. */
class Queue {
  readonly #inside: Uint8Array;
  #items: number[] = [];
  #next = 0;

  constructor(size: number) {
    this.#inside = new Uint8Array(size);
  }

  push(item: number): void {
    if (this.#inside[item]) return;
    this.#inside[item] = 1;
    this.#items.push(item);
  }

  pop(): number | undefined {
    const item = this.#items[this.#next];
    if (item === undefined) return undefined;
    this.#next++;
    if (this.#next > 4096 && 2 * this.#next > this.#items.length) {
      this.#items = this.#items.slice(this.#next);
      this.#next = 0;
    }
    this.#inside[item] = 0;
    return item;
  }
}

export function add(a: Range, b: Range): Range {
  return { lo: a.lo + b.lo, hi: a.hi + b.hi, step: a.step === 1n ? 1n : gcd(a.step, b.step) };
}

export function times({ lo, hi, step }: Range, k: bigint): Range {
  return k >= 0n ? { lo: lo * k, hi: hi * k, step: step * k } : { lo: hi * k, hi: lo * k, step: step * -k };
}

/** By an integer that divides all of them. */
function divide(range: Range, k: bigint): Range {
  const [lo, hi] = [range.lo / k, range.hi / k];
  const step = range.step / k;
  return { lo: least(lo, hi), hi: most(lo, hi), step: step < 0n ? -step : step };
}

/** `(x + cx)(y + cy)`. */
function productRange({ x, cx, y, cy }: Product, rx: Range, ry: Range): Range {
  const [a, b] = [rx.lo + cx, rx.hi + cx];
  const [c, d] = [ry.lo + cy, ry.hi + cy];
  const ends = [a * c, a * d, b * c, b * d];
  // With (a + i·s)(c + j·t) = ac + i·sc + j·ta + ij·st, all steps are multiples of what divides these three.
  const step = gcd(gcd(rx.step * c, ry.step * a), rx.step * ry.step);
  let [lo, hi] = [ends[0]!, ends[0]!];
  for (const end of ends) {
    if (end < lo) lo = end;
    if (end > hi) hi = end;
  }
  if (x === y && cx === cy && lo < 0n) {
    // A square. It is not negative, and the least multiple of the step from there on follows.
    const hi = most(a * a, b * b);
    const rest = step === 0n ? 0n : hi % step;
    return { lo: rest, hi, step };
  }
  return { lo, hi, step };
}

/** Integers that are in both, or a superset of them: of two steps, the larger one is kept. */
function intersect(a: Range, b: Range): Range {
  const finer = a.step >= b.step ? a : b;
  let lo = most(a.lo, b.lo);
  let hi = least(a.hi, b.hi);
  const { step } = finer;
  if (a.lo === a.hi || b.lo === b.hi || step === 0n) return { lo, hi, step };
  lo = finer.lo - floorDivide(finer.lo - lo, step) * step;
  hi = finer.lo + floorDivide(hi - finer.lo, step) * step;
  return { lo, hi, step };
}

export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

/** At i, what divides the k of all digits from i up to `high`. */
function commonDivisors(digits: readonly { k: bigint }[], high: number): bigint[] {
  const divisors = new Array<bigint>(high + 1).fill(0n);
  for (let i = high - 1; i >= 0; i--) divisors[i] = gcd(divisors[i + 1]!, digits[i]!.k);
  return divisors;
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  return a === 0n || b === 0n ? 0n : (a / gcd(a, b)) * b;
}
