/**
 * The rule about marks: wires that are 0 or 1 and add up to 1, so that exactly one of them is 1. Which one it is, is what
 * has to be shown unique: for every two positions, that one assignment cannot have its mark at the one, and another
 * assignment with the same inputs at the other.
 *
 * @module
 */
import { Form, uniqueForm } from "./hypothesis.js";
import { add, type Propagation, times } from "./propagation.js";
import type { PrimeField, Range } from "./system.js";

/** The value of a wire as a function of where the mark is: `base + at(mark)`. */
interface Marked {
  base: Form;
  at: Map<number, Form>;
}

/** Marks of one group; its pairs are listed. */
const MAX_MARKS = 1100;
/** Marks of a group that a row tells apart by itself. */
const MAX_CODED_MARKS = 1 << 20;
const MAX_WIRES = 20_000;
const MAX_PARTNERS = 8_000_000;

/** The unknown wires of a linear row, where they are marks: 0 or 1, with a sum of 1. */
export function marksOf(state: Propagation, row: number): number[] | undefined {
  const { start, wire, coefficient } = state.system.linear;
  const { field } = state;
  const marks: number[] = [];
  let rest = 0n;
  let own = 0n;
  for (let i = start[row]!; i < start[row + 1]!; i++) {
    const constant = state.constantOf(wire[i]!);
    if (constant !== undefined) {
      rest += constant * coefficient[i]!;
      continue;
    }
    const range = state.ranges[wire[i]!];
    if (state.unique[wire[i]!] || range?.lo !== 0n || range.hi !== 1n) return undefined;
    if (marks.length > 0 && coefficient[i] !== own) return undefined;
    own = coefficient[i]!;
    marks.push(wire[i]!);
  }
  // own · (number of marks that are 1) = −rest; fewer marks than p, so that none of their sums is 1 + p.
  if (marks.length < 2 || marks.length > MAX_CODED_MARKS || BigInt(marks.length) >= field.p) return undefined;
  return field.mod(own + rest) === 0n ? marks : undefined;
}

/** Whether marks, of which exactly one is 1, are unique. `sum` is the row that says so. */
export function areDistinguished(state: Propagation, marks: readonly number[], sum: number): boolean {
  const known = explore(state, marks);
  const index = new Map(marks.map((mark, i) => [mark, i]));
  const rows = new Set<number>();
  for (const wire of known.keys()) for (const row of state.linearOf(wire)) rows.add(row);
  rows.delete(sum);

  const facts: { marked: Marked; range: Range }[] = [];
  for (const row of rows) {
    const fact = factOf(state, known, row);
    if (!fact) continue;
    if (fact.range.lo === fact.range.hi && tellsApart(fact.marked, marks, state.field)) return true;
    facts.push(fact);
  }
  if (marks.length > MAX_MARKS) return false;
  return pairsExcluded(state, marks.length, index, facts);
}

/** A row that is exact and has another constant for each mark: `Σ i · markᵢ = something unique`. */
function tellsApart({ at }: Marked, marks: readonly number[], field: PrimeField): boolean {
  const seen = new Set<bigint>();
  for (const mark of marks) {
    const constant = (at.get(mark) ?? Form.zero).constant();
    if (constant === undefined || seen.has(field.mod(constant))) return false;
    seen.add(field.mod(constant));
  }
  return true;
}

/** Wires that the marks determine: by linear rows, and by products with a factor that is unique. */
function explore(state: Propagation, marks: readonly number[]): Map<number, Marked> {
  const { field, system } = state;
  const known = new Map<number, Marked>(
    marks.map((mark) => [mark, { base: Form.zero, at: new Map([[mark, Form.of(0)]]) }]),
  );
  const markedOf = (wire: number) =>
    known.get(wire) ?? (state.unique[wire] ? { base: uniqueForm(state, wire), at: NONE } : undefined);
  const queue = [...marks];
  for (let next = 0; next < queue.length && known.size < MAX_WIRES; next++) {
    for (const row of state.productsOf(queue[next]!)) {
      const { x, cx, y, cy, z, m, cz } = system.products[row]!;
      if (z < 0 || state.unique[z] || known.has(z)) continue;
      const [a, b] = [markedOf(x), markedOf(y)];
      const product = a && b ? multiply(shifted(a, cx, field), shifted(b, cy, field), field) : undefined;
      if (!product) continue;
      known.set(z, shifted(scaled(product, m, field), cz, field));
      queue.push(z);
    }
    for (const row of state.linearOf(queue[next]!)) {
      // Few: rows with many of the marks are facts, and what they define is wide.
      if (state.unknown[row]! > 8) continue;
      const open = state.unknownsOf(row).filter((wire) => !known.has(wire));
      if (open.length !== 1) continue;
      const { marked, own } = sumOf(state, known, row, open[0]!);
      known.set(open[0]!, scaled(marked, -field.inverse(own), field));
      queue.push(open[0]!);
    }
  }
  return known;
}

function sumOf(
  state: Propagation,
  known: ReadonlyMap<number, Marked>,
  row: number,
  except: number,
): { marked: Marked; own: bigint } {
  const { start, wire, coefficient } = state.system.linear;
  const { field } = state;
  let own = 0n;
  const base = new Map<number, bigint>();
  const at = new Map<number, Map<number, bigint>>();
  const accumulate = (sums: Map<number, bigint>, form: Form, k: bigint) => {
    for (const [each, value] of form.terms) {
      const sum = field.mod((sums.get(each) ?? 0n) + k * value);
      if (sum === 0n) sums.delete(each);
      else sums.set(each, sum);
    }
  };
  for (let i = start[row]!; i < start[row + 1]!; i++) {
    const k = coefficient[i]!;
    const marked = known.get(wire[i]!);
    if (wire[i] === except) own = k;
    else if (marked) {
      accumulate(base, marked.base, k);
      for (const [mark, form] of marked.at) {
        let sums = at.get(mark);
        if (!sums) at.set(mark, (sums = new Map()));
        accumulate(sums, form, k);
      }
    } else if (state.unique[wire[i]!]) accumulate(base, uniqueForm(state, wire[i]!), k);
  }
  const marked = { base: new Form(base), at: new Map([...at].map(([mark, sums]) => [mark, new Form(sums)])) };
  return { marked, own };
}

/** What a row says: its known part is minus the rest, which has a range. */
function factOf(
  state: Propagation,
  known: ReadonlyMap<number, Marked>,
  row: number,
): { marked: Marked; range: Range } | undefined {
  const { start, wire, coefficient } = state.system.linear;
  let range: Range = { lo: 0n, hi: 0n, step: 0n };
  for (let i = start[row]!; i < start[row + 1]!; i++) {
    if (state.unique[wire[i]!] || known.has(wire[i]!)) continue;
    const own = state.ranges[wire[i]!];
    if (!own) return undefined;
    range = add(range, times(own, -coefficient[i]!));
  }
  if (range.hi - range.lo >= state.field.p) return undefined;
  const { marked } = sumOf(state, known, row, -1);
  return marked.at.size > 0 ? { marked, range } : undefined;
}

/**
 * Whether each two marks m, n contradict each other by two facts F and G: that F(m) + G(n) is a constant, whatever the
 * inputs, that the sum of their ranges does not have. For the position of the largest of some values, F and G are that
 * `x_m − x_n` and `x_n − x_m − 1` are not negative.
 */
function pairsExcluded(
  state: Propagation,
  count: number,
  index: ReadonlyMap<number, number>,
  facts: readonly { marked: Marked; range: Range }[],
): boolean {
  const { field } = state;
  interface Entry {
    mark: number;
    constant: bigint;
    range: Range;
  }
  // By the part that depends on inputs, which has to cancel: with the key of its negative.
  const entries = new Map<string, { list: Entry[]; negative: string }>();
  for (const { marked, range } of facts) {
    for (const [mark, i] of index) {
      const form = marked.base.plus(marked.at.get(mark) ?? Form.zero, 1n, field);
      const constant = form.terms.get(0) ?? 0n;
      const keys = [keyOf(form, 1n, field), keyOf(form, -1n, field)] as const;
      [1n, -1n].forEach((sign, s) => {
        const entry = { mark: i, constant: field.mod(sign * constant), range: times(range, sign) };
        const same = entries.get(keys[s]!);
        if (same) same.list.push(entry);
        else entries.set(keys[s]!, { list: [entry], negative: keys[1 - s]! });
      });
    }
  }
  const excluded = new Uint8Array(count * count);
  let left = (count * (count - 1)) / 2;
  // A bound on what an adversary's circuit may cost; entries of honest ones have a partner or two.
  let budget = MAX_PARTNERS;
  for (const { list, negative } of entries.values()) {
    for (const f of list) {
      for (const g of entries.get(negative)!.list) {
        if (--budget < 0) return false;
        const [m, n] = f.mark < g.mark ? [f.mark, g.mark] : [g.mark, f.mark];
        if (m === n || excluded[m * count + n]) continue;
        const sum = add(f.range, g.range);
        const value = sum.lo + field.mod(f.constant + g.constant - sum.lo);
        if (value <= sum.hi) continue;
        excluded[m * count + n] = 1;
        left--;
      }
    }
  }
  return left === 0;
}

/** The part of a form, or of its negative, that depends on wires. */
function keyOf(form: Form, sign: bigint, field: PrimeField): string {
  const terms = [...form.terms].filter(([wire]) => wire !== 0).sort(([a], [b]) => a - b);
  return terms.map(([wire, k]) => `${wire}:${field.mod(sign * k).toString(36)}`).join(" ");
}

const NONE: Map<number, Form> = new Map();

function shifted({ base, at }: Marked, constant: bigint, field: PrimeField): Marked {
  return constant === 0n ? { base, at } : { base: base.plus(Form.of(0), constant, field), at };
}

function scaled({ base, at }: Marked, k: bigint, field: PrimeField): Marked {
  return {
    base: base.times(k, field),
    at: new Map([...at].map(([mark, form]) => [mark, form.times(k, field)])),
  };
}

/** Undefined where a value would be no linear form. */
function multiply(a: Marked, b: Marked, field: PrimeField): Marked | undefined {
  const product = (f: Form, g: Form): Form | undefined => {
    const [fc, gc] = [f.constant(), g.constant()];
    return fc !== undefined ? g.times(fc, field) : gc !== undefined ? f.times(gc, field) : undefined;
  };
  const base = product(a.base, b.base);
  if (!base) return undefined;
  const at = new Map<number, Form>();
  for (const mark of new Set([...a.at.keys(), ...b.at.keys()])) {
    const f = a.base.plus(a.at.get(mark) ?? Form.zero, 1n, field);
    const g = b.base.plus(b.at.get(mark) ?? Form.zero, 1n, field);
    const value = product(f, g);
    if (!value) return undefined;
    at.set(mark, value.plus(base, -1n, field));
  }
  return { base, at };
}
