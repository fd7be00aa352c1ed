/**
 * The determinism pass, held against the truth twice: small systems over small primes, of which all assignments are
 * enumerated, and systems over BN254's field beside broken ones, for which a second witness is found.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findSecondWitness, singleMutations } from "../../src/circuit/attack.js";
import { checkDeterminism } from "../../src/circuit/determinism.js";
import { Propagation } from "../../src/circuit/propagation.js";
import { checkWitness } from "../../src/circuit/r1cs.js";
import { System } from "../../src/circuit/system.js";
import { invert, R } from "../../src/field/scalar.js";
import { code } from "./support.js";
import { enumerate, form, type Linear, ONE, Rows, sum } from "./systems.js";

/** How many times as many systems as usual; more for a long search. */
const RUNS = Number(process.env["ANCHORPROOF_TEST_RUNS"] ?? 1);

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
    "sums that may wrap around",
    (c) => {
      const rows = new Rows(1, c.pick([5n, 7n, 11n, 13n]));
      const digits = Array.from({ length: 1 + c.int(3) }, () => {
        const wire = rows.wire();
        rows.either([[wire, 1]], c.pick([1, 1, 2, 3]));
        return wire;
      });
      const mixed = () => {
        const terms = digits.filter(() => !c.once(3)).map((wire) => [wire, c.int(9) - 4] as const);
        return [...terms, ...(c.once(3) ? [[1, c.pick([1, 2])] as const] : []), [0, c.int(25) - 12] as const];
      };
      for (let i = c.int(2); i >= 0; i--) {
        const wire = rows.wire();
        // One range from each of several rows.
        for (let row = c.int(2); row >= 0; row--) rows.zero([...mixed(), [wire, c.pick([1, 1, 2])]]);
        digits.push(wire);
      }
      if (c.once(3)) rows.product(mixed(), mixed(), mixed());
      if (c.once(2)) {
        const wire = rows.wire();
        const factor = () => form(c.pick(digits), { plus: c.int(5) - 2 });
        rows.product(factor(), factor(), form([wire, c.pick([1, 1, -1, 2])]));
        digits.push(wire);
      }
      if (!c.once(3)) rows.zero(mixed());
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
    "differences that may be zero",
    (c) => {
      const rows = new Rows(2, c.pick([5n, 7n, 11n]));
      const hints = Array.from({ length: 1 + c.int(2) }, () => (c.once(2) ? rows.bit() : rows.wire()));
      const hint = () => form([c.pick(hints), c.pick([1, 1, -1, 2])], { plus: c.int(3) - 1 });
      for (let i = c.int(2); i >= 0; i--) rows.product(form(1, [2, -1]), c.once(3) ? sum(hint(), hint()) : hint());
      for (let i = c.int(2); i >= 0; i--) {
        const difference = c.once(3)
          ? form([1, c.int(3) - 1], [2, c.int(3) - 1])
          : form([1, c.pick([1, -1, 2])], [2, c.pick([1, -1, -2])]);
        rows.range(sum(difference, hint()), c.pick([1, 1, 2]));
      }
      return rows;
    },
    1500,
  ],
  [
    "selectors and marks",
    (c) => {
      const rows = new Rows(1, c.pick([5n, 7n, 11n]));
      const marks = Array.from({ length: 2 + c.int(3) }, () => rows.wire());
      const bits = c.once(2);
      for (const [i, mark] of marks.entries()) {
        if (bits) rows.either([[mark, 1]], c.once(10) ? 2 : 1);
        else rows.product(form(1, { plus: -(c.once(8) ? 0 : i) }), form([mark, c.pick([1, 2])]));
      }
      const total = marks.map((mark) => [mark, c.once(8) ? 2 : 1] as const);
      rows.zero([...total, [0, c.pick([-1, -1, -1, -2, 0])]]);
      const number = (i: number) => (c.once(8) ? 1 : c.pick([i, i, c.int(5)]));
      if (bits) rows.zero([...marks.map((mark, i) => [mark, number(i)] as const), [1, -1]]);
      return rows;
    },
    1200,
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
      if (c.once(2)) {
        // Values in ranges of their own, and a division by the largest.
        for (const input of [1, 2]) rows.either(form(input, { plus: -c.int(3) }), c.pick([1, 2]));
        rows.product(form(max), form(rows.wire()), form(1));
      }
      return rows;
    },
    350,
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
      if (c.once(5)) {
        rows.zero(form(product, [n, -1]));
        return rows;
      }
      const rest = form(n, [product, -1]);
      if (!c.once(5)) rows.range(rest, 2);
      if (!c.once(5)) rows.range(sum(form(s, { plus: c.pick([-1, -1, -1, 0, -2]) }), rest, -1), 2);
      return rows;
    },
    80,
  ],
  [
    "quotients whose remainders are bits",
    (c) => {
      const rows = new Rows(2, c.pick([23n, 29n, 31n]));
      const [n, s] = [1, 2];
      const q = rows.wire();
      rows.range(form(q), c.pick([1, 2]));
      const bits = [rows.bit(), rows.bit()];
      const weighted = (): Linear => bits.map((bit, i) => [bit, c.once(10) ? 1 : 2 ** i] as const);
      rows.product(form(q), form(s), sum(form(n), weighted(), -1));
      rows.range(sum(form(s, { plus: c.pick([-1, -1, -1, 0, -2]) }), weighted(), -1), 2);
      return rows;
    },
    150,
  ],
  [
    "roots",
    (c) => {
      const rows = new Rows(1, c.pick([23n, 31n, 61n]));
      const root = rows.wire();
      const square = rows.wire();
      rows.product(form(root), form(root), form(square));
      if (!c.once(6)) rows.range(form(root, { plus: c.pick([0, 0, 0, 1, 2, 3]) }), c.pick([1, 2, 2]));
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
  const rules = new Set<string>();

  it.each(SHAPES)("%s", async (_, make, runs) => {
    let [shown, unique] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat()), async (stream) => {
        const c = chooser(stream);
        const rows = make(c);
        if (c.once(2)) damage(rows, c);
        const r1cs = rows.r1cs();
        const report = await checkDeterminism(r1cs, { modulus: rows.p });
        const truth = enumerate(rows);
        // Of no assignment at all, everything is true.
        if (truth.solutions === 0) return;
        const left = new Set(report.left.flatMap(({ wires }) => wires));
        for (let wire = 1 + rows.inputs; wire < rows.wires; wire++) {
          if (truth.unique.has(wire)) unique++;
          if (left.has(wire)) continue;
          shown++;
          expect(truth.unique.has(wire), `wire ${wire} of ${rows}`).toBe(true);
        }
        for (const rule of Object.keys(report.rules)) rules.add(rule);
      }),
      { numRuns: runs * RUNS },
    );
    // A pass that shows nothing would be no less sound.
    expect(shown).toBeGreaterThan(unique / 6);
  });

  it("and every rule took part", () => {
    expect([...rules].sort()).toEqual([
      "bracket",
      "cases",
      "constant",
      "digits",
      "division",
      "largest",
      "linear",
      "one-hot",
      "product",
      "root",
      "selector",
    ]);
  });
});

/** Systems with an honest witness: a sound one, and changes of it that leave a choice. */
interface Example {
  build(broken?: string): Rows;
  broken: readonly string[];
}

const bits = (rows: Rows, value: bigint, count: number) =>
  Array.from({ length: count }, (_, i) => rows.bit((value >> BigInt(i)) & 1n));
const weighted = (wires: readonly number[], weight: (i: number) => bigint = (i) => 2n ** BigInt(i)): Linear =>
  wires.map((wire, i) => [wire, weight(i)] as const);

const EXAMPLES: Record<string, Example> = {
  "a decomposition into bits": {
    broken: ["254 bits", "no row for a bit", "a power twice", "a bit that may be 2"],
    build(broken) {
      const rows = new Rows([5n]);
      const wires = bits(rows, 5n, broken === "254 bits" ? 254 : 253);
      if (broken === "no row for a bit") rows.rows.splice(100, 1);
      const twice = broken === "a power twice";
      rows.zero(
        sum(
          weighted(wires, (i) => 2n ** BigInt(twice && i > 2 ? i - 1 : i)),
          form(1),
          -1,
        ),
      );
      // 5 is 4 + 1 as well as 2 · 2 + 1.
      if (broken === "a bit that may be 2") rows.rows[1] = [form(wires[1]!), form(wires[1]!, { plus: -2 }), []];
      return rows;
    },
  },
  "a decomposition whose highest bit is what the others leave, scaled by anything": {
    broken: ["254 bits", "no row for the rest"],
    build(broken) {
      const rows = new Rows([12n]);
      const count = broken === "254 bits" ? 254 : 253;
      const wires = bits(rows, 12n, count - 1);
      const rest = sum(form(1), weighted(wires), -1).map(([wire, k]) => [wire, BigInt(k) * 123456789n] as const);
      if (broken !== "no row for the rest") rows.either(rest, rows.mod(123456789n * 2n ** BigInt(count - 1)));
      return rows;
    },
  },
  "digits of another base, with a sign": {
    broken: ["a base that is too small"],
    build(broken) {
      const rows = new Rows([-3n * 16n + 9n]);
      const [low, high] = [rows.wire(9n), rows.wire(3n)];
      rows.range(form(low), 4);
      rows.range(form(high), 4);
      rows.zero(form(low, [high, -16], [1, -1]));
      if (broken) rows.rows[rows.rows.length - 1] = [[], [], form(low, [high, -8], [1, -1], { plus: -24 })];
      return rows;
    },
  },
  "whether a value is zero": {
    broken: ["no third row", "no second row", "no first row"],
    build(broken) {
      const rows = new Rows([0n, 7n]);
      for (const input of [1, 2]) {
        const from = rows.rows.length;
        rows.isZero(form(input));
        const row = ["no first row", "no second row", "no third row"].indexOf(broken ?? "");
        if (row >= 0) rows.rows.splice(from + row, 1);
      }
      return rows;
    },
  },
  "a square root": {
    broken: ["no range", "a range that has both roots"],
    build(broken) {
      const rows = new Rows([49n]);
      const root = rows.wire(7n);
      rows.product(form(root), form(root), form(1));
      if (broken !== "no range") rows.range(form(root, { plus: broken ? 100 : 0 }), 8);
      return rows;
    },
  },
  "an inverse": {
    broken: ["of what may be 0"],
    build(broken) {
      const rows = new Rows([broken ? 0n : 5n]);
      const inverse = rows.wire(broken ? 9n : invert(5n));
      if (broken) rows.product(form(1), form(inverse));
      else rows.product(form(1), form(inverse), ONE);
      return rows;
    },
  },
  "marks by differences": {
    broken: ["two for one value", "no sum"],
    build(broken) {
      const rows = new Rows([2n]);
      const marks = [0, 1, 2, 3].map((i) => rows.wire(i === 2 ? 1n : 0n));
      for (const [i, mark] of marks.entries()) {
        rows.product(form(1, { plus: -(broken === "two for one value" && i === 3 ? 2 : i) }), form(mark));
      }
      if (broken !== "no sum") rows.zero(form(...marks, { plus: -1 }));
      return rows;
    },
  },
  "marks that are counted": {
    broken: ["equal numbers", "no sum of 1", "a mark that is no bit"],
    build(broken) {
      const rows = new Rows([2n]);
      const marks = [0, 1, 2, 3].map((i) => rows.bit(i === 2 ? 1n : 0n));
      if (broken !== "no sum of 1") rows.zero(form(...marks, { plus: -1 }));
      const number = (i: number) => (broken === "equal numbers" && i === 3 ? 2n : BigInt(i));
      rows.zero(sum(weighted(marks, number), form(1), -1));
      if (broken === "a mark that is no bit") rows.rows.splice(0, 2);
      return rows;
    },
  },
  "the largest of three": {
    broken: ["not of all three", "one that is not compared", "differences that wrap around"],
    build(broken) {
      // So far apart that a difference and its negative have 253 bits both.
      const far = 3n * 2n ** 251n;
      const inputs = broken === "differences that wrap around" ? [0n, far, 0n] : [-5n, 11n, 7n];
      const rows = new Rows(inputs);
      const max = rows.wire(inputs[1]!);
      const differences = [1, 2, 3].map((input) => form(max, [input, -1]));
      const [a, b, c] = differences as [Linear, Linear, Linear];
      const product = rows.times(a, b);
      if (broken !== "not of all three") rows.product(form(product), c);
      for (const [i, each] of differences.entries()) {
        if (broken === "one that is not compared" && i === 1) continue;
        rows.range(each, broken === "differences that wrap around" ? 253 : 6);
      }
      return rows;
    },
  },
  "a quotient and a remainder": {
    broken: ["no upper end", "no lower end", "no range of the quotient", "an upper end that is one too high"],
    build(broken) {
      const rows = new Rows([48n, 8n]);
      rows.range(form(2), 4);
      const q = rows.wire(6n);
      const product = rows.times(form(q), form(2));
      const rest = form(1, [product, -1]);
      if (broken !== "no range of the quotient") rows.range(form(q), 6);
      if (broken !== "no lower end") rows.range(rest, 4);
      const slack = broken === "an upper end that is one too high" ? 0 : -1;
      if (broken !== "no upper end") rows.range(sum(form(2, { plus: slack }), rest, -1), 4);
      return rows;
    },
  },
  "the root of a quotient, from both sides": {
    broken: ["no upper end", "no lower end"],
    build(broken) {
      const rows = new Rows([3n]);
      rows.range(form(1), 4);
      const root = rows.wire(5n); // 25 · 3 <= 100 < 36 · 3
      rows.range(form(root), 4);
      const scaled = rows.times(form(root), form(1));
      const product = rows.times(form(root), form(scaled));
      const below = sum([[0, 100]], form(product), -1);
      if (broken !== "no lower end") rows.range(below, 8);
      if (broken !== "no upper end") rows.range(sum(form([scaled, 2], 1, { plus: -1 }), below, -1), 8);
      return rows;
    },
  },
};

describe("over BN254's field", () => {
  it.each(Object.entries(EXAMPLES))("%s", async (_, { build }) => {
    const rows = build();
    const r1cs = rows.r1cs();
    expect(checkWitness(r1cs, rows.witness)).toBe(-1);
    expect((await checkDeterminism(r1cs)).left).toEqual([]);
    expect(await singleMutations(r1cs, rows.witness)).toEqual([]);
    expect(await findSecondWitness(r1cs, rows.witness)).toBeUndefined();
  });

  it.each(
    Object.entries(EXAMPLES).flatMap(([name, { build, broken }]) => broken.map((how) => [name, how, build] as const)),
  )("%s, with %s", async (_, how, build) => {
    const rows = build(how);
    const r1cs = rows.r1cs();
    expect(checkWitness(r1cs, rows.witness)).toBe(-1);
    const { left } = await checkDeterminism(r1cs);
    const second = await findSecondWitness(r1cs, rows.witness);
    expect(second).toBeDefined();
    const undetermined = new Set(left.flatMap(({ wires }) => wires));
    for (const wire of second!.changed) expect(undetermined.has(wire)).toBe(true);
  });

  it("a product that reaches the field's order may be another one", async () => {
    // q · 3 + rest = n with q of 253 bits: n + r is as good as n.
    const build = (width: number) => {
      const rows = new Rows([7n]);
      const [q, rest] = [rows.wire(2n), rows.wire(1n)];
      rows.range(form(q), width);
      rows.either(form(rest), 1);
      rows.zero(form([q, 3], rest, [1, -1]));
      return rows;
    };
    expect((await checkDeterminism(build(251).r1cs())).left).toEqual([]);
    expect((await checkDeterminism(build(253).r1cs())).left).toHaveLength(1);
  });
});

describe("ranges", () => {
  const wire = 1;
  const state = () => new Propagation(new System(new Rows(1, 7n).r1cs(), 7n), []);

  it("are of the same integers only where none of them differ by the order", () => {
    // 1 is in the first, and as 8 in the second.
    const apart = state();
    apart.restrict(wire, { lo: 0n, hi: 5n, step: 1n });
    apart.restrict(wire, { lo: 5n, hi: 8n, step: 1n });
    expect(apart.contains(wire, 1n)).toBe(true);
    const together = state();
    together.restrict(wire, { lo: 0n, hi: 5n, step: 1n });
    together.restrict(wire, { lo: 2n, hi: 6n, step: 2n });
    expect(together.ranges[wire]).toEqual({ lo: 2n, hi: 4n, step: 2n });
    expect([0n, 1n, 2n, 3n, 4n, 5n, 6n].filter((value) => together.contains(wire, value))).toEqual([2n, 4n]);
  });

  it("that hold everything say nothing, and empty ones neither", () => {
    const one = state();
    one.restrict(wire, { lo: -3n, hi: 4n, step: 1n });
    expect(one.ranges[wire]).toBeUndefined();
    one.restrict(wire, { lo: 1n, hi: 2n, step: 1n });
    one.restrict(wire, { lo: 4n, hi: 5n, step: 1n });
    expect(one.ranges[wire]).toEqual({ lo: 1n, hi: 2n, step: 1n });
    expect(one.isNonZero(wire, 0n)).toBe(true);
    expect(one.isNonZero(wire, -2n)).toBe(false);
    expect(one.isNonZero(wire, 5n)).toBe(false); // 2 + 5 is the order
    one.restrict(wire, { lo: 2n, hi: 8n, step: 6n }); // 2 and 1 as well, but far apart
    expect(one.ranges[wire]).toEqual({ lo: 1n, hi: 2n, step: 1n });
  });
});

describe("the report", () => {
  /** Two groups that are not determined, one of them with the output; an input that nothing mentions; a lone wire. */
  function twoGroups() {
    const rows = new Rows([3n, 4n]);
    const out = rows.wire();
    const [a, b, c] = [rows.wire(), rows.wire(), rows.wire()];
    rows.zero(form(out, [a, 2], [1, -1]));
    rows.product(form(b), form(c), form(1));
    rows.wire();
    const r1cs = rows.r1cs();
    return { rows, r1cs, out, a, b, c };
  }

  it("groups what is left, with its rows and a reason", async () => {
    const { r1cs, out, a, b, c } = twoGroups();
    const report = await checkDeterminism(r1cs);
    expect(report).toMatchObject({ deterministic: false, wires: 5, rows: 2, determined: 0, unusedInputs: [2] });
    expect(report.left.map(({ wires, rows }) => [wires, rows])).toEqual([
      [[out, a], [0]],
      [[b, c], [1]],
      [[7], []],
    ]);
    expect(report.left[0]!.reason).toBe("there are fewer rows than wires");
    expect(report.left[2]!.reason).toBe("no row mentions it");
  });

  it("names public outputs", async () => {
    // Wires as in twoGroups, but with outputs first, as files have them.
    const rows = new Rows(0);
    const out = rows.wire();
    rows.zero(form(out, [2, -2], [3, 1]));
    rows.wire();
    rows.wire();
    const r1cs = { ...rows.r1cs(), publicOutputs: 1, publicInputs: 1, privateInputs: 0 };
    const { left } = await checkDeterminism(r1cs);
    expect(left).toMatchObject([{ wires: [1, 3], outputs: [1] }]);
  });

  it("takes explanations, goes on from them, and says which ones were needless", async () => {
    const { r1cs, out, a, b, c } = twoGroups();
    const proof = "By the argument of the paper that this test does not have.";
    const report = await checkDeterminism(r1cs, { explained: [{ wires: [a, c, 7], proof }] });
    expect(report.explained).toEqual([{ wires: [a, c, 7], proof }]);
    expect(report.rules).toEqual({ explained: 3, linear: 1 });
    // c may be 0, for all that was said.
    expect(report.left.map(({ wires }) => wires)).toEqual([[b]]);
    expect(report.left[0]!.reason).toBe(`row 1 ties wire ${b} down only where a factor is not 0`);
    const more = await checkDeterminism(r1cs, {
      explained: [
        { wires: [a, b, c, 7], proof },
        { wires: [out], proof },
      ],
    });
    expect(more).toMatchObject({ deterministic: true, determined: 5, needless: [{ wires: [out] }] });
  });

  it("refuses explanations that are none, and ranges of what is no wire", async () => {
    const { r1cs } = twoGroups();
    const proof = "A proof in words, which takes some of them to be one.";
    for (const explained of [
      [{ wires: [0], proof }],
      [{ wires: [8], proof }],
      [{ wires: [1.5], proof }],
      [{ wires: [3], proof: "obvious" }],
      [{ wires: [3], proof: " ".repeat(50) }],
    ]) {
      await expect(checkDeterminism(r1cs, { explained })).rejects.toThrow(code("INPUT_INVALID"));
    }
    for (const given of [new Map([[8, { lo: 0n, hi: 1n }]]), new Map([[1, { lo: 1n, hi: 0n }]])]) {
      await expect(checkDeterminism(r1cs, { given })).rejects.toThrow(code("INPUT_INVALID"));
    }
  });

  it("takes ranges of inputs that a template requires, and needs them", async () => {
    const rows = new Rows([50n, 6n]);
    const q = rows.wire(8n);
    rows.range(form(q), 6);
    const rest = form(1, [rows.times(form(q), form(2)), -1]);
    rows.range(rest, 4);
    rows.range(sum(form(2, { plus: -1 }), rest, -1), 4);
    const r1cs = rows.r1cs();
    expect((await checkDeterminism(r1cs)).deterministic).toBe(false);
    expect((await checkDeterminism(r1cs, { given: new Map([[2, { lo: 0n, hi: 15n }]]) })).deterministic).toBe(true);
    // A divisor that may be negative or that reaches the field's order is no bound.
    for (const range of [
      { lo: -1n, hi: 15n },
      { lo: 0n, hi: R / 2n },
    ]) {
      expect((await checkDeterminism(r1cs, { given: new Map([[2, range]]) })).deterministic).toBe(false);
    }
  });

  it("does not mind how a row is written", async () => {
    // A wire twice, out of order, with coefficients that cancel: w2 is free, and w3 is the input.
    const rows = new Rows([5n]);
    const [free, bound] = [rows.wire(), rows.wire()];
    rows.zero(form(bound, free, [1, -1], [free, -1]));
    rows.product(form([free, 1], [free, -1], { plus: 2 }), form([bound, 1]), form([1, 2]));
    expect((await checkDeterminism(rows.r1cs())).left.map(({ wires }) => wires)).toEqual([[free]]);
  });

  it("does not run in circles", async () => {
    const rows = new Rows([5n]);
    const [p, q, m] = [rows.wire(), rows.wire(), rows.wire()];
    rows.product(form(q), form(m, { plus: 1 }), form(p));
    rows.product(form(p), form(m, { plus: 2 }), form(q));
    rows.product(form(p), form(q));
    rows.product(form(m), form(m, [1, -1]), form(m));
    expect((await checkDeterminism(rows.r1cs())).left.map(({ wires }) => wires)).toEqual([[p, q, m]]);
  });

  it("is stopped, and shows how far it is", async () => {
    const rows = new Rows([0n]);
    for (let i = 0, last = 1; i < 200_000; i++) last = rows.times(form(last), form(last, { plus: i }));
    const r1cs = rows.r1cs();
    const seen: number[] = [];
    const stop = new AbortController();
    const work = checkDeterminism(r1cs, {
      signal: stop.signal,
      onProgress: (done) => {
        seen.push(done);
        stop.abort();
      },
    });
    await expect(work).rejects.toThrow(code("ABORTED"));
    expect(seen.every((done) => done >= 0 && done <= 1)).toBe(true);
    expect((await checkDeterminism(r1cs)).rules).toEqual({ product: 200_000 });
  });
});
