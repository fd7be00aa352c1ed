/**
 * The determinism pass, held against the truth: small systems over small primes, of which all assignments are enumerated.
 * What it calls unique has to be; what it finds is counted, so that a pass that finds nothing fails as well.
 */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { checkDeterminism, inputWires } from "../../src/circuit/determinism.js";
import { enumerate, form, type Linear, ONE, Rows, sum } from "./systems.js";

interface Chooser {
  /** An integer from 0 to below n. */
  int(n: number): number;
  pick<T>(items: readonly T[]): T;
  /** True once in n times. */
  once(n: number): boolean;
}

function chooser(stream: Iterator<number>): Chooser {
  const int = (n: number) => (stream.next().value as number) % n;
  return { int, pick: (items) => items[int(items.length)]!, once: (n) => int(n) === 0 };
}

/** A form of a few wires with small coefficients, the constant among them. */
function anyForm(c: Chooser, wires: number, terms: number): Linear {
  return Array.from({ length: c.int(terms + 1) }, () => [c.int(wires), c.int(9) - 4] as const);
}

/** A bit or a form of known bits, as gadgets take them. */
const SHAPES: [name: string, make: (c: Chooser) => Rows, runs: number][] = [
  [
    "rows of any kind",
    (c) => {
      const rows = new Rows(c.int(3), c.pick([3n, 5n, 7n]));
      const wires = rows.wires + 1 + c.int(3);
      while (rows.wires < wires) rows.wire();
      for (let i = c.int(7); i >= 0; i--) {
        const a = anyForm(c, wires, 2);
        switch (c.int(5)) {
          case 0:
            rows.zero(anyForm(c, wires, 4));
            break;
          case 1:
            rows.either(a, c.int(5) - 2);
            break;
          case 2:
            rows.product(a, anyForm(c, wires, 2));
            break;
          case 3:
            rows.product(a, a, anyForm(c, wires, 2));
            break;
          default:
            rows.product(a, anyForm(c, wires, 2), anyForm(c, wires, 3));
        }
      }
      return rows;
    },
    1500,
  ],
  [
    "decompositions",
    (c) => {
      const rows = new Rows(1, c.pick([7n, 11n, 13n, 17n, 31n]));
      const base = c.pick([1, 2, 2, 2, 3]);
      const digits = Array.from({ length: 1 + c.int(4) }, () => rows.wire());
      for (const digit of digits) if (!c.once(8)) rows.either([[digit, 1]], c.pick([1, 1, 1, 1, 2, 3]));
      const weighted = digits.map((digit, i) => [digit, base ** i * c.pick([1, 1, 1, -1])] as const);
      if (c.once(2)) rows.zero([...weighted, [1, c.pick([1, -1, 2])]]);
      else rows.either([...weighted, [1, 1], [0, c.int(3)]], c.pick([base ** digits.length, 2 ** digits.length, 1]));
      return rows;
    },
    1500,
  ],
  [
    "zero or not",
    (c) => {
      const rows = new Rows(2, c.pick([3n, 5n, 7n]));
      const d = sum(form(1), anyForm(c, 3, 1));
      const { equal, inverse } = rows.isZero(d);
      const out = rows.wire();
      rows.product(form(equal), anyForm(c, rows.wires, 2), form(out, ...(c.once(3) ? [inverse] : [])));
      if (c.once(3)) rows.either([[rows.wire(), 1]]);
      return rows;
    },
    600,
  ],
  [
    "selectors and marks",
    (c) => {
      const rows = new Rows(1, c.pick([5n, 7n, 11n]));
      const marks = Array.from({ length: 2 + c.int(3) }, () => rows.wire());
      const bits = c.once(2);
      for (const [i, mark] of marks.entries()) {
        if (bits) rows.either([[mark, 1]]);
        else rows.product(form(1, { plus: -(c.once(8) ? 0 : i) }), form([mark, c.pick([1, 2])]));
      }
      const total = marks.map((mark) => [mark, c.once(8) ? 2 : 1] as const);
      rows.zero([...total, [0, -1]]);
      if (bits) rows.zero([...marks.map((mark, i) => [mark, c.once(8) ? 1 : i] as const), [1, -1]]);
      return rows;
    },
    900,
  ],
  [
    "the largest of some values",
    (c) => {
      const rows = new Rows(2, c.pick([11n, 13n, 17n]));
      const max = rows.wire();
      const bits = c.pick([1, 2, 2, 3]);
      const differences = [1, 2].map((input) => form(max, [input, -1]));
      rows.product(differences[0]!, differences[1]!);
      if (c.once(2)) rows.range(sum(differences[0]!, differences[1]!), bits);
      else for (const each of differences) if (!c.once(6)) rows.range(each, bits);
      return rows;
    },
    250,
  ],
  [
    "the position of the largest",
    (c) => {
      const rows = new Rows(2, c.pick([11n, 13n, 17n]));
      const marks = [rows.bit(), rows.bit()];
      rows.zero([...marks.map((mark) => [mark, 1] as const), [0, -1]]);
      const picked = marks.map((mark, i) => {
        const wire = rows.wire();
        rows.product(form(mark), form(i + 1), form(wire));
        return wire;
      });
      let after: Linear = ONE;
      for (const [i, mark] of marks.entries()) {
        after = sum(after, form(mark), -1);
        const lead = sum(form(...picked), form(i + 1), -1);
        if (!c.once(5)) rows.range(c.once(5) ? lead : sum(lead, after, -1), c.pick([1, 2, 2, 3]));
      }
      return rows;
    },
    150,
  ],
  [
    "the position of the largest, by where it is reached",
    (c) => {
      const count = 2 + c.int(2);
      const rows = new Rows(count, c.pick([7n, 11n, 13n]));
      const max = rows.wire();
      const upTo = Array.from({ length: count - 1 }, () => (c.once(12) ? rows.wire() : rows.bit()));
      let before: Linear = [];
      for (let i = 0; i < count; i++) {
        const now = i < upTo.length ? form(upTo[i]!) : ONE;
        if (!c.once(8)) rows.product(form(max, [1 + i, -1]), sum(now, before, -1));
        const lead = sum(sum(form(max, [1 + i, -1]), ONE, -1), now, c.once(8) ? 0 : 1);
        if (!c.once(8)) rows.range(lead, c.pick([1, 1, 2]));
        before = now;
      }
      return rows;
    },
    250,
  ],
  [
    "quotients",
    (c) => {
      const rows = new Rows(2, c.pick([23n, 29n, 31n, 37n]));
      const [n, s] = [1, 2];
      // Divisors have a range of their own, as sums of ranged values do.
      const low = rows.bit();
      const high = rows.bit();
      rows.zero(form([low, 1], [high, 2], [s, -1]));
      const q = rows.wire();
      const product = rows.wire();
      rows.product(form(q), form(s), form(product));
      rows.range(form(q), c.pick([1, 2, 2, 3]));
      const rest = form(n, [product, -1]);
      if (!c.once(5)) rows.range(rest, 2);
      if (!c.once(5)) rows.range(sum(form(s, { plus: c.pick([-1, -1, -1, 0, -2]) }), rest, -1), 2);
      return rows;
    },
    60,
  ],
  [
    "roots",
    (c) => {
      const rows = new Rows(1, c.pick([23n, 31n, 61n]));
      const root = rows.wire();
      const square = rows.wire();
      rows.product(form(root), form(root), form(square));
      if (!c.once(6)) rows.range(form(root), c.pick([1, 2, 2]));
      if (c.once(2)) rows.zero(form(square, [1, -1]));
      else {
        if (!c.once(5)) rows.range(form(1, [square, -1]), c.pick([2, 3]));
        if (!c.once(5))
          rows.range(form(square, [root, 2], [1, -1], { plus: c.pick([0, 0, 0, 1, -1]) }), c.pick([2, 3]));
      }
      return rows;
    },
    60,
  ],
];

/** Takes a row away, or changes a coefficient: what was unique often is not any more. */
function damage(rows: Rows, c: Chooser): void {
  const at = c.int(rows.rows.length);
  if (c.once(2)) {
    rows.rows.splice(at, 1);
    return;
  }
  const row = [...rows.rows[at]!] as [Linear, Linear, Linear];
  const index = c.int(3);
  if (row[index]!.length === 0) row[index] = [[c.int(rows.wires), 1]];
  else {
    const term = c.int(row[index]!.length);
    row[index] = row[index]!.map(([wire, k], i) => [wire, i === term ? BigInt(k) + BigInt(c.int(5) - 2) : k]);
  }
  rows.rows[at] = row;
}

describe("what the pass calls unique is unique, in all assignments of small systems", () => {
  const counts = new Map<string, number>();

  it.each(SHAPES)("%s", { timeout: 6000_000 }, async (_, make, runs) => {
    let [shown, unique] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat()), async (stream) => {
        const c = chooser(stream);
        const rows = make(c);
        if (c.once(2)) damage(rows, c);
        const r1cs = rows.r1cs();
        const report = await checkDeterminism(r1cs, { modulus: rows.p });
        const left = new Set(report.left.flatMap(({ wires }) => wires));
        const truth = enumerate(rows);
        if (truth.solutions === 0) return;
        const inputs = new Set(inputWires(r1cs));
        for (let wire = 1; wire < r1cs.wires; wire++) {
          if (inputs.has(wire)) continue;
          if (truth.unique.has(wire)) unique++;
          if (left.has(wire)) continue;
          shown++;
          expect(truth.unique.has(wire), `wire ${wire} of ${rows}`).toBe(true);
        }
        for (const rule of Object.keys(report.rules)) counts.set(rule, (counts.get(rule) ?? 0) + 1);
      }),
      { numRuns: runs * Number(process.env["FUZZ"] ?? 1) },
    );
    console.log(_, shown, unique);
    expect(shown).toBeGreaterThan(unique / 3);
  });

  afterAll(() => console.log(counts));
});
