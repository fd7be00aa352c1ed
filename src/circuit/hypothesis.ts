/**
 * Rules about one unknown at a time: what would follow if it were known. Wires that it determines are written as
 * polynomials in it, whose coefficients are linear forms of wires that are unique; what rows say of their ranges then
 * are inequalities about the unknown, of which some allow one value only.
 *
 * @module
 */
import { add, type Propagation, times } from "./propagation.js";
import { least, most, type PrimeField, type Range } from "./system.js";

/** A linear form: coefficients by wire, canonical, none 0; wire 0 carries the constant. */
export class Form {
  readonly terms: ReadonlyMap<number, bigint>;

  constructor(terms: ReadonlyMap<number, bigint> = new Map()) {
    this.terms = terms;
  }

  static readonly zero = new Form();

  static of(wire: number, coefficient = 1n): Form {
    return coefficient === 0n ? Form.zero : new Form(new Map([[wire, coefficient]]));
  }

  /** The value of a form without wires. */
  constant(): bigint | undefined {
    if (this.terms.size === 0) return 0n;
    return this.terms.size === 1 ? this.terms.get(0) : undefined;
  }

  /** `this + k · other`. */
  plus(other: Form, k: bigint, field: PrimeField): Form {
    if (k === 0n || other.terms.size === 0) return this;
    const terms = new Map(this.terms);
    for (const [wire, coefficient] of other.terms) {
      const sum = field.mod((terms.get(wire) ?? 0n) + k * coefficient);
      if (sum === 0n) terms.delete(wire);
      else terms.set(wire, sum);
    }
    return new Form(terms);
  }

  times(k: bigint, field: PrimeField): Form {
    return Form.zero.plus(this, k, field);
  }
}

/** A unique wire: its value where that is known, itself otherwise. */
export function uniqueForm(state: Propagation, wire: number): Form {
  const constant = state.constantOf(wire);
  return constant === undefined ? Form.of(wire) : Form.of(0, constant);
}

/** Coefficients of 1, q, q². */
type Polynomial = readonly Form[];

/** The polynomial is an integer of this range, modulo p. */
export interface Fact {
  polynomial: Polynomial;
  range: Range;
}

const MAX_WIRES = 128;
const MAX_ROWS = 400;
const MAX_FACTS = 256;
/** Terms of rows that one hypothesis looks at. */
const MAX_TERMS = 20_000;
/** How often one of two facts is taken for one of the other. */
const MAX_MULTIPLE = 1n << 20n;
/** Rows that share an open wire and may share all of them. */
const MAX_NEIGHBOURS = 16;
const MAX_FACTORS = 64;
const MAX_ALTERNATIVES = 1100;
/** Solutions whose pairs are looked at. */
const MAX_PAIRED = 12;

export class Hypothesis {
  readonly #state: Propagation;
  readonly #field: PrimeField;
  readonly #wire: number;
  readonly #known = new Map<number, Polynomial>();
  /** Linear rows that say what a wire is; they say nothing more. */
  readonly #definitions = new Set<number>();
  readonly #rows = new Set<number>();
  /** Products that define nothing. */
  readonly #products = new Set<number>();
  readonly #factor: number | undefined;
  readonly #scale: number;
  #budget: number;

  /**
   * @param scale how much more than usual may be looked at
   * @param factor of products of the unknown with unique wires, those with this one only
   */
  constructor(state: Propagation, wire: number, { scale = 1, factor }: { scale?: number; factor?: number } = {}) {
    this.#factor = factor;
    this.#scale = scale;
    this.#budget = scale * MAX_TERMS;
    this.#state = state;
    this.#field = state.field;
    this.#wire = wire;
    this.#known.set(wire, [Form.zero, Form.of(0)]);
    this.#explore();
  }

  polynomialOf(wire: number): Polynomial | undefined {
    return this.#known.get(wire) ?? (this.#state.unique[wire] ? [uniqueForm(this.#state, wire)] : undefined);
  }

  #explore(): void {
    // What has squares first: that is little, and what is linear may be the whole rest of a network.
    const [squares, queue]: [number[], number[]] = [[], [this.#wire]];
    const [wires, rows] = [this.#scale * MAX_WIRES, this.#scale * MAX_ROWS];
    for (let next = 0; this.#known.size < wires && this.#rows.size < rows; ) {
      const current = squares.pop() ?? queue[next++];
      if (current === undefined) return;
      const learn = (wire: number, polynomial: Polynomial | undefined) => {
        if (!polynomial || this.#known.has(wire) || polynomial.length > 3) return;
        this.#known.set(wire, polynomial);
        if (degree(polynomial) > 1) squares.push(wire);
        else queue.push(wire);
      };
      for (const row of this.#state.linearOf(current)) {
        if (this.#budget <= 0) return;
        this.#rows.add(row);
        const open = this.#open(row);
        const [wire] = open.keys();
        if (open.size !== 1) continue;
        this.#definitions.add(row);
        learn(wire!, scale(this.#sum(row), -this.#field.inverse(open.get(wire!)!), this.#field));
      }
      for (const row of this.#state.productsOf(current)) {
        const { x, cx, y, cy, z, m, cz } = this.#state.system.products[row]!;
        if (z < 0 || this.#state.unique[z]) this.#products.add(row);
        if (z < 0 || this.#state.unique[z] || this.#known.has(z)) continue;
        const other = x === current ? y : x;
        const isSought = this.#factor === undefined || other === this.#factor || !this.#state.unique[other];
        if (current === this.#wire && !isSought) continue;
        const [a, b] = [this.polynomialOf(x), this.polynomialOf(y)];
        if (!a || !b) continue;
        const product = multiply(plus(a, cx, this.#field), plus(b, cy, this.#field), this.#field);
        learn(z, product && plus(scale(product, m, this.#field), cz, this.#field));
      }
    }
  }

  /** What the known wires of a row add up to. */
  #sum(row: number): Polynomial {
    const { start, wire, coefficient } = this.#state.system.linear;
    const sums: Map<number, bigint>[] = [new Map()];
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      const polynomial = this.polynomialOf(wire[i]!);
      if (polynomial) accumulate(sums, polynomial, coefficient[i]!, this.#field);
    }
    return sums.map((terms) => new Form(terms));
  }

  /** What rows, and ranges of wires, say of polynomials in the unknown. */
  facts(): Fact[] {
    const facts: Fact[] = [];
    const push = (polynomial: Polynomial, range: Range) => {
      if (facts.length >= this.#scale * MAX_FACTS || degree(polynomial) === 0) return;
      facts.push({ polynomial, range });
    };
    for (const [wire, polynomial] of this.#known) {
      const range = this.#state.ranges[wire];
      if (range) push(polynomial, range);
    }
    for (const row of this.#products) {
      const { x, cx, y, cy, z, m, cz } = this.#state.system.products[row]!;
      const [a, b, c] = [this.polynomialOf(x), this.polynomialOf(y), z < 0 ? [Form.zero] : this.polynomialOf(z)];
      const product = a && b && c && multiply(plus(a, cx, this.#field), plus(b, cy, this.#field), this.#field);
      if (!product || product.length > 3) continue;
      const rest = plus(combine(scale(product, m, this.#field), c, -1n, this.#field), z < 0 ? -cz : cz, this.#field);
      push(rest, { lo: 0n, hi: 0n, step: 0n });
    }
    for (const row of this.#rows) {
      if (this.#budget <= 0) break;
      if (this.#definitions.has(row)) continue;
      this.#factOf(row, undefined, push);
      for (const other of this.#withTheSame(row)) this.#factOf(other, row, push);
    }
    return facts;
  }

  /** Rows that mention this one's open wires in the same proportions, so that a multiple of it cancels them. */
  #withTheSame(row: number): number[] {
    const open = this.#open(row);
    const [first] = open.keys();
    if (first === undefined || open.size < 2) return [];
    const neighbours = this.#state.linearOf(first);
    if (neighbours.length > MAX_NEIGHBOURS) return [];
    return [...neighbours].filter((other) => {
      if (other === row || this.#definitions.has(other)) return false;
      const theirs = this.#open(other);
      const ours = open.get(first)!;
      const their = theirs.get(first)!;
      return [...open].every(([wire, k]) => {
        const coefficient = theirs.get(wire);
        return coefficient !== undefined && this.#field.mod(coefficient * ours - k * their) === 0n;
      });
    });
  }

  /** Coefficients of a row's wires that are neither unique nor determined by the unknown. */
  #open(row: number): Map<number, bigint> {
    const { start, wire, coefficient } = this.#state.system.linear;
    const open = new Map<number, bigint>();
    this.#budget -= start[row + 1]! - start[row]!;
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      if (!this.#state.unique[wire[i]!] && !this.#known.has(wire[i]!)) open.set(wire[i]!, coefficient[i]!);
    }
    return open;
  }

  /** The row's known part is minus its open part, which has a range. `minus`: a row of which a multiple is subtracted. */
  #factOf(row: number, minus: number | undefined, push: (polynomial: Polynomial, range: Range) => void): void {
    const open = this.#open(row);
    let rest = this.#sum(row);
    if (minus !== undefined) {
      const subtracted = this.#open(minus);
      const [first] = subtracted.keys();
      const factor = this.#field.mod(open.get(first!)! * this.#field.inverse(subtracted.get(first!)!));
      rest = combine(rest, this.#sum(minus), -factor, this.#field);
      for (const wire of subtracted.keys()) open.delete(wire);
    }
    let range: Range = { lo: 0n, hi: 0n, step: 0n };
    for (const [wire, k] of open) {
      const own = this.#state.ranges[wire];
      if (!own) return;
      range = add(range, times(own, -k));
    }
    if (range.hi - range.lo < this.#field.p) push(rest, range);
  }
}

/**
 * A wire `q` in a range of integers, and a value `U(q) = u₁q + u₂q²` of it that does not decrease there: u₁ and u₂ are
 * unique and not negative. Of two facts, F₁ = c − U(q) and F₂ with F₁ + F₂ + κ = U(q+1) − U(q), the first says that U(q)
 * is not above c, and the second that U(q+1) is: two values q < q' would have U(q+1) ≤ U(q') ≤ c < U(q+1). So it is with a
 * quotient whose remainder is ranged on both sides (U = s·q), and with the root of a number (U = v·q²). κ is unique, and 1
 * in either, or what unique bits of the two ranges add to it.
 *
 * Where U(q) itself is unique, as where c − U(q) has one value only, nothing is needed but that U grows.
 *
 * As integers: |U(q) − U(q')| and the ranges of both facts are below p, so equations of field elements are such of
 * integers. U(q') − U(q) = f₁ − f₁' and U(q+1) − U(q) = f₁ + f₂ + κ, hence f₁' + f₂ + κ ≤ 0 for q < q', which the lower
 * ends of the ranges forbid.
 */
export function isBracketed(state: Propagation, wire: number): boolean {
  const q = state.ranges[wire];
  if (!q) return false;
  // A root multiplies a whole run of values besides the one that says what it is: one at a time.
  const factors = new Set<number>();
  for (const row of state.productsOf(wire)) {
    const { x, y } = state.system.products[row]!;
    if (x === wire || y === wire) factors.add(x === wire ? y : x);
    if (factors.size >= MAX_FACTORS) break;
  }
  for (const factor of factors) if (bracketedBy(state, wire, q, factor)) return true;
  return false;
}

function bracketedBy(state: Propagation, wire: number, q: Range, factor: number): boolean {
  const { field } = state;
  const { p } = field;
  const facts = new Hypothesis(state, wire, { factor }).facts();
  /** Whether U(q) is known, and grows with q. */
  const isKnown = ({ polynomial, range }: Fact, sign: bigint) => {
    if (range.lo !== range.hi || degree(polynomial) === 0) return false;
    const [u1, u2] = [1, 2].map((i) => (polynomial[i] ?? Form.zero).times(sign, field)) as [Form, Form];
    const [r1, r2] = [rangeOf(state, u1), rangeOf(state, u2)];
    if (!r1 || !r2 || r1.lo < 0n || r2.lo < 0n || r1.lo + r2.lo === 0n || (u2.terms.size > 0 && q.lo < 0n))
      return false;
    const end = most(q.lo < 0n ? -q.lo : q.lo, q.hi);
    return 2n * (r1.hi * end + r2.hi * end * end) < p;
  };
  for (const one of facts) {
    if (isKnown(one, 1n) || isKnown(one, -1n)) return true;
    for (const other of facts) {
      const pair = matched(one, other, field);
      if (!pair) continue;
      const [first, second] = pair;
      const [u1, u2] = [1, 2].map((i) => (first.polynomial[i] ?? Form.zero).times(-1n, field)) as [Form, Form];
      if (u2.terms.size > 0 && q.lo < 0n) continue;
      // U(q+1) − U(q) = u₁ + u₂ + 2u₂·q
      const growth: Polynomial = [u1.plus(u2, 1n, field), u2.times(2n, field)];
      const rest = combine(combine(growth, first.polynomial, -1n, field), second.polynomial, -1n, field);
      if (degree(rest) > 0) continue;
      const kappa = rangeOf(state, rest[0] ?? Form.zero);
      if (!kappa || first.range.lo + second.range.lo + kappa.lo <= 0n) continue;
      const [r1, r2] = [rangeOf(state, u1), rangeOf(state, u2)];
      if (!r1 || !r2 || r1.lo < 0n || r2.lo < 0n) continue;
      const size = (at: bigint) => r1.hi * (at < 0n ? -at : at) + r2.hi * at * at;
      const [low, high] = [size(q.lo), size(q.hi + 1n)];
      const reach = low + high + (first.range.hi - first.range.lo);
      const width = most(first.range.hi + second.range.hi + kappa.hi, low + high);
      if (reach < p && width < p) return true;
    }
  }
  return false;
}

/** Two facts as multiples of which the highest coefficients cancel; undefined where there are no small ones. */
function matched(first: Fact, second: Fact, field: PrimeField): [Fact, Fact] | undefined {
  const top = degree(first.polynomial);
  if (top === 0 || degree(second.polynomial) !== top) return undefined;
  const [f, g] = [first.polynomial[top]!, second.polynomial[top]!];
  const [wire] = f.terms.keys();
  const theirs = g.terms.get(wire!);
  if (theirs === undefined) return undefined;
  const ratio = -theirs * field.inverse(f.terms.get(wire!)!);
  for (let b = 1n; b <= MAX_MULTIPLE && b < field.p; b = b < 16n ? b + 1n : 2n * b) {
    const a = field.signed(ratio * b);
    if (a < 1n || a > MAX_MULTIPLE) continue;
    const multiple = ({ polynomial, range }: Fact, k: bigint) =>
      k === 1n ? { polynomial, range } : { polynomial: scale(polynomial, k, field), range: times(range, k) };
    return [multiple(first, a), multiple(second, b)];
  }
  return undefined;
}

/** Range of a linear form of wires as the sum of theirs. Its coefficients count as signed integers. */
function rangeOf(state: Propagation, form: Form): Range | undefined {
  let sum: Range = { lo: 0n, hi: 0n, step: 0n };
  for (const [wire, coefficient] of form.terms) {
    const range = state.ranges[wire];
    if (!range) return undefined;
    sum = add(sum, times(range, state.field.signed(coefficient)));
  }
  return sum.hi - sum.lo < state.field.p ? sum : undefined;
}

/**
 * The unknown wires that a product of 0 may be solved for, with their solutions: for `(m − x₁)(m − x₂)… = 0`, also where
 * the product is made of several rows, m is one of the xᵢ. Solutions are forms of unique wires.
 */
export function solutionsOf(state: Propagation, product: number): { wire: number; solutions: Form[] } | undefined {
  const { field, system } = state;
  const factors: { wire: number; c: bigint }[] = [];
  const visit = (row: number, depth: number): boolean => {
    const { x, cx, y, cy } = system.products[row]!;
    if (factors.length > MAX_FACTORS) return false;
    for (const [wire, c] of [
      [x, cx],
      [y, cy],
    ] as const) {
      // A factor that is itself a product is 0 where one of its factors is.
      const inner = [...state.productsOf(wire)].find((other) => {
        const { z, cz, x: ox, y: oy } = system.products[other]!;
        return z === wire && ox !== wire && oy !== wire && field.mod(cz + c) === 0n;
      });
      if (inner !== undefined && depth < 32 && !state.unique[wire]) {
        if (!visit(inner, depth + 1)) return false;
      } else factors.push({ wire, c });
    }
    return true;
  };
  if (!visit(product, 0)) return undefined;

  if (factors.some(({ wire }) => state.unique[wire])) return undefined;
  for (const wire of new Set(factors.flatMap((factor) => unknownsBehind(state, factor.wire)))) {
    const hypothesis = new Hypothesis(state, wire);
    const solutions: Form[] = [];
    for (const factor of factors) {
      const polynomial = hypothesis.polynomialOf(factor.wire);
      const slope = polynomial && degree(polynomial) === 1 ? polynomial[1]!.constant() : undefined;
      if (!slope) break;
      const rest = plus(polynomial!, factor.c, field)[0]!;
      solutions.push(rest.times(-field.inverse(slope), field));
    }
    if (solutions.length === factors.length) return { wire, solutions };
  }
  return undefined;
}

/** A range of what is one of these forms, where all of them have ranges. */
export function hullOf(state: Propagation, forms: readonly Form[]): Range | undefined {
  let hull: Range | undefined;
  for (const form of forms) {
    const range = rangeOf(state, form);
    if (!range) return undefined;
    hull = hull ? { lo: least(hull.lo, range.lo), hi: most(hull.hi, range.hi), step: 1n } : { ...range, step: 1n };
  }
  return hull && hull.hi - hull.lo < state.field.p ? hull : undefined;
}

/** The wire itself, and for a virtual one, what is unknown of its form. */
export function unknownsBehind(state: Propagation, wire: number): number[] {
  const { real } = state.system;
  if (wire < real) return [wire];
  return [...state.linearOf(wire)].flatMap((row) => state.unknownsOf(row).filter((each) => each < real));
}

/**
 * The same of several products: rows `(m − xᵢ) · fᵢ = 0` of which the fᵢ cannot all be 0, so that m is one of the xᵢ.
 */
export function alternativesOf(state: Propagation, wire: number): Form[] | undefined {
  const { field, system } = state;
  const solutions: Form[] = [];
  const others: [wire: number, value: bigint][] = [];
  const collect = (own: number, form: Form, slope: bigint) => {
    for (const row of state.productsOf(own)) {
      const { x, cx, y, cy, z, cz } = system.products[row]!;
      if (z >= 0 || cz !== 0n || x === y) continue;
      const [c, other, oc] = own === x ? [cx, y, cy] : [cy, x, cx];
      // form + slope · m + c = 0
      solutions.push(form.plus(Form.of(0), c, field).times(-field.inverse(slope), field));
      others.push([other, field.mod(-oc)]);
    }
  };
  collect(wire, Form.zero, 1n);
  const { start, wire: wires, coefficient } = system.linear;
  for (const row of state.linearOf(wire)) {
    if (state.unknown[row] !== 2) continue;
    const own = state.unknownsOf(row).find((each) => each !== wire)!;
    if (own < system.real || solutions.length > MAX_ALTERNATIVES) continue;
    // own · s + m · k + rest = 0
    let [s, k, rest] = [0n, 0n, Form.zero];
    for (let i = start[row]!; i < start[row + 1]!; i++) {
      if (wires[i] === own) s = coefficient[i]!;
      else if (wires[i] === wire) k = coefficient[i]!;
      else rest = rest.plus(uniqueForm(state, wires[i]!), coefficient[i]!, field);
    }
    const inverse = -field.inverse(s);
    collect(own, rest.times(inverse, field), field.mod(k * inverse));
  }
  return solutions.length >= 2 && state.excludes(others) ? solutions : undefined;
}

/**
 * A wire m that is one of several forms, and facts about it that are linear. Two assignments with m = X and m' = Y are
 * possible only if no two facts F(X), F'(Y) contradict each other: where F(X) + F'(Y) is below the sum of their lower ends,
 * whatever the inputs. Where it equals that sum, both facts are at their lower ends, which fixes m.
 *
 * So for the largest of some values: m − x and m' − x' are not negative for any of them, and their sum is 0 for x = m' and
 * x' = m.
 */
export function isExtreme(state: Propagation, wire: number, solutions: readonly Form[]): boolean {
  const { field } = state;
  // Both signs, so that upper ends are lower ones too.
  const facts = new Hypothesis(state, wire, { scale: 1 + (solutions.length >> 2) })
    .facts()
    .filter(({ polynomial }) => degree(polynomial) === 1 && polynomial[1]!.constant() !== undefined)
    .flatMap(({ polynomial, range }) => [
      { polynomial, range },
      { polynomial: scale(polynomial, -1n, field), range: times(range, -1n) },
    ]);
  const at = ({ polynomial }: Fact, value: Form) => polynomial[0]!.plus(value, polynomial[1]!.constant()!, field);
  const distinct = [...new Map(solutions.map((each) => [keyOf(each), each])).values()];
  /** Where the wire must be if a fact is at its lower end. */
  const end = ({ polynomial, range }: Fact) =>
    polynomial[0]!.plus(Form.of(0), -range.lo, field).times(-field.inverse(polynomial[1]!.constant()!), field);

  // Mostly, there is for each solution x the fact that m − x is not negative: then all pairs are excluded at once.
  const bySlope = new Map<bigint, Map<string, bigint>>();
  for (const fact of facts) {
    const slope = fact.polynomial[1]!.constant()!;
    let ends = bySlope.get(slope);
    if (!ends) bySlope.set(slope, (ends = new Map()));
    const key = keyOf(end(fact));
    const width = fact.range.hi - fact.range.lo;
    ends.set(key, least(ends.get(key) ?? width, width));
  }
  for (const ends of bySlope.values()) {
    if (distinct.every((x) => 2n * (ends.get(keyOf(x)) ?? field.p) < field.p)) return true;
  }
  if (distinct.length > MAX_PAIRED) return false;
  return distinct.every((x, i) =>
    distinct.slice(i + 1).every((y) =>
      facts.some((f) => {
        const atX = at(f, x);
        return facts.some((g) => {
          const sum = add(f.range, g.range);
          const value = rangeOf(state, atX.plus(at(g, y), 1n, field));
          // As integers, what the sum is and what its parts allow it to be.
          if (!value || value.hi > sum.lo || sum.hi - value.lo >= field.p) return false;
          return value.hi < sum.lo || f === g || keyOf(end(f)) === keyOf(y) || keyOf(end(g)) === keyOf(x);
        });
      }),
    ),
  );
}

function keyOf(form: Form): string {
  return [...form.terms]
    .sort(([v], [w]) => v - w)
    .map(([wire, k]) => `${wire}:${k.toString(36)}`)
    .join(" ");
}

function degree(polynomial: Polynomial): number {
  for (let i = polynomial.length - 1; i >= 0; i--) if (polynomial[i]!.terms.size > 0) return i;
  return 0;
}

function plus(polynomial: Polynomial, constant: bigint, field: PrimeField): Polynomial {
  return [(polynomial[0] ?? Form.zero).plus(Form.of(0), constant, field), ...polynomial.slice(1)];
}

function scale(polynomial: Polynomial, k: bigint, field: PrimeField): Polynomial {
  return polynomial.map((form) => form.times(k, field));
}

/** `a + k · b`. */
function combine(a: Polynomial, b: Polynomial, k: bigint, field: PrimeField): Polynomial {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) =>
    (a[i] ?? Form.zero).plus(b[i] ?? Form.zero, k, field),
  );
}

/** Adds `k · polynomial` to sums that nobody else holds yet. */
function accumulate(sums: Map<number, bigint>[], polynomial: Polynomial, k: bigint, field: PrimeField): void {
  polynomial.forEach((form, i) => {
    while (sums.length <= i) sums.push(new Map());
    const terms = sums[i]!;
    for (const [wire, coefficient] of form.terms) {
      const sum = field.mod((terms.get(wire) ?? 0n) + k * coefficient);
      if (sum === 0n) terms.delete(wire);
      else terms.set(wire, sum);
    }
  });
}

/** Undefined where a coefficient would be no linear form. */
function multiply(a: Polynomial, b: Polynomial, field: PrimeField): Polynomial | undefined {
  const product: Form[] = [];
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      const [f, g] = [a[i]!, b[j]!];
      if (f.terms.size === 0 || g.terms.size === 0) continue;
      const [fc, gc] = [f.constant(), g.constant()];
      const term = fc !== undefined ? g.times(fc, field) : gc !== undefined ? f.times(gc, field) : undefined;
      if (!term) return undefined;
      while (product.length <= i + j) product.push(Form.zero);
      product[i + j] = product[i + j]!.plus(term, 1n, field);
    }
  }
  return product;
}
