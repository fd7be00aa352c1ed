/** Constraint systems made by hand, over any prime, and the truth about them by enumeration. */
import type { R1cs, SparseMatrix } from "../../src/circuit/r1cs.js";
import { invert, R } from "../../src/field/scalar.js";

/** Coefficients by wire; 0 is the constant. */
export type Linear = readonly (readonly [wire: number, coefficient: number | bigint])[];
export type Row = readonly [a: Linear, b: Linear, c: Linear];

export const ONE: Linear = [[0, 1]];

/** Linear forms: `form(wire, [other, 2], -3)` is wire + 2·other − 3. */
export function form(
  ...terms: (number | readonly [wire: number, coefficient: number | bigint] | { plus: number | bigint })[]
): Linear {
  return terms.map((term) =>
    typeof term === "number" ? ([term, 1] as const) : "plus" in term ? ([0, term.plus] as const) : term,
  );
}

/** `a + k · b`. */
export function sum(a: Linear, b: Linear, k: number | bigint = 1): Linear {
  return [...a, ...b.map(([wire, value]) => [wire, BigInt(value) * BigInt(k)] as const)];
}

/**
 * Rows under construction, with an honest witness where it is given. Inputs come first, then everything else.
 */
export class Rows {
  readonly p: bigint;
  readonly inputs: number;
  readonly rows: Row[] = [];
  readonly witness: bigint[];

  /** @param inputs how many there are, or their values */
  constructor(inputs: number | readonly bigint[], p = R) {
    this.p = p;
    this.witness = [
      1n,
      ...(typeof inputs === "number" ? new Array<bigint>(inputs).fill(0n) : inputs.map((value) => this.mod(value))),
    ];
    this.inputs = this.witness.length - 1;
  }

  get wires(): number {
    return this.witness.length;
  }

  mod(value: bigint): bigint {
    return ((value % this.p) + this.p) % this.p;
  }

  wire(value = 0n): number {
    return this.witness.push(this.mod(value)) - 1;
  }

  value(a: Linear): bigint {
    return this.mod(a.reduce((total, [wire, k]) => total + this.witness[wire]! * BigInt(k), 0n));
  }

  /** `a · b = c`. */
  product(a: Linear, b: Linear, c: Linear = []): void {
    this.rows.push([a, b, c]);
  }

  /** A wire that is a product. */
  times(a: Linear, b: Linear): number {
    const wire = this.wire(this.value(a) * this.value(b));
    this.product(a, b, form(wire));
    return wire;
  }

  /** `a = 0`, as circom writes it. */
  zero(a: Linear): void {
    this.rows.push([[], [], a]);
  }

  /** `a` is 0 or `value`. */
  either(a: Linear, value: number | bigint = 1): void {
    this.product(a, sum(a, ONE, -BigInt(value)));
  }

  bit(value = 0n): number {
    const wire = this.wire(value);
    this.either([[wire, 1]]);
    return wire;
  }

  /** Splits a form into bits, the highest being what the others leave. */
  range(a: Linear, bits: number): number[] {
    const value = this.value(a);
    const wires = Array.from({ length: bits - 1 }, (_, i) => this.bit((value >> BigInt(i)) & 1n));
    const rest = wires.reduce((left, wire, i) => sum(left, [[wire, -(2n ** BigInt(i))]]), a);
    this.either(rest, 2n ** BigInt(bits - 1));
    return wires;
  }

  /** `d = 0`, with the inverse that is 0 for d = 0. */
  isZero(d: Linear): { equal: number; inverse: number } {
    const value = this.value(d);
    const equal = this.wire(value === 0n ? 1n : 0n);
    const inverse = this.wire(value === 0n || this.p !== R ? 0n : invert(value));
    this.product(d, [[inverse, 1]], [...ONE, [equal, -1]]);
    this.product(d, [[equal, 1]]);
    this.product([[equal, 1]], [[inverse, 1]]);
    return { equal, inverse };
  }

  r1cs(): R1cs {
    const matrix = (index: 0 | 1 | 2): SparseMatrix => {
      const start = [0];
      const wire: number[] = [];
      const coefficient: bigint[] = [];
      for (const row of this.rows) {
        for (const [each, value] of row[index]) {
          wire.push(each);
          coefficient.push(((BigInt(value) % this.p) + this.p) % this.p);
        }
        start.push(wire.length);
      }
      return { start: Uint32Array.from(start), wire: Uint32Array.from(wire), coefficient };
    };
    return {
      wires: this.wires,
      publicOutputs: 0,
      publicInputs: 0,
      privateInputs: this.inputs,
      constraints: this.rows.length,
      a: matrix(0),
      b: matrix(1),
      c: matrix(2),
    };
  }

  toString(): string {
    const text = (linear: Linear) =>
      linear.map(([wire, k]) => `${k}${wire === 0 ? "" : `·w${wire}`}`).join(" + ") || "0";
    return `p = ${this.p}, ${this.inputs} inputs: ${this.rows.map(([a, b, c]) => `(${text(a)})(${text(b)}) = ${text(c)}`).join("; ")}`;
  }
}

/** All assignments of a system over a small prime: their number, and the wires on which those of equal inputs agree. */
export function enumerate(rows: Rows): { solutions: number; unique: Set<number> } {
  const p = Number(rows.p);
  const reduced = rows.rows.map((row) =>
    row.map((linear) => linear.map(([wire, k]) => [wire, Number(((BigInt(k) % rows.p) + rows.p) % rows.p)] as const)),
  );
  // Wires with a row of their own first: two values each, and with them most rows are about one wire more.
  const own = new Set(
    reduced.flatMap((row) =>
      single(
        new Set(
          row
            .flat()
            .map(([wire]) => wire)
            .filter((wire) => wire > 0),
        ),
      ),
    ),
  );
  const others = Array.from({ length: rows.wires - 1 }, (_, i) => i + 1).filter((wire) => !own.has(wire));
  const order = [...own, ...others];
  const place = new Map(order.map((wire, i) => [wire, i + 1]));
  const due: (typeof reduced)[] = Array.from({ length: rows.wires }, () => []);
  for (const row of reduced) due[Math.max(0, ...row.flat().map(([wire]) => place.get(wire) ?? 0))]!.push(row);

  const values = new Array<number>(rows.wires).fill(0);
  values[0] = 1;
  const dot = (linear: readonly (readonly [number, number])[]) => {
    let total = 0;
    for (const [wire, k] of linear) total += k * values[wire]!;
    return total % p;
  };
  const holds = (at: number) => due[at]!.every(([a, b, c]) => (dot(a!) * dot(b!) - dot(c!)) % p === 0);
  const inverses = Array.from({ length: p }, (_, a) =>
    Array.from({ length: p }, (_, b) => b).find((b) => (a * b) % p === 1),
  );
  /** The only value that a wire may have where one of its rows is linear in it, and all otherwise. */
  const candidates = (at: number): Iterable<number> => {
    const wire = order[at - 1]!;
    for (const [a, b, c] of due[at]!) {
      const [zero, one, minus] = [0, 1, p - 1].map((value) => {
        values[wire] = value;
        return (((dot(a!) * dot(b!) - dot(c!)) % p) + p) % p;
      }) as [number, number, number];
      const slope = (one - zero + p) % p;
      if ((one + minus - 2 * zero) % p === 0 && slope !== 0) return [((p - zero) * inverses[slope]!) % p];
    }
    return all;
  };
  const all = Array.from({ length: p }, (_, value) => value);
  const groups = new Map<string, number[]>();
  const unique = new Set(order);
  let solutions = 0;
  const visit = (at: number) => {
    if (at === rows.wires) {
      solutions++;
      const key = values.slice(1, 1 + rows.inputs).join();
      const first = groups.get(key);
      if (!first) groups.set(key, [...values]);
      else for (const wire of [...unique]) if (first[wire] !== values[wire]) unique.delete(wire);
      return;
    }
    for (const value of candidates(at)) {
      values[order[at - 1]!] = value;
      if (holds(at)) visit(at + 1);
    }
  };
  if (holds(0)) visit(1);
  return { solutions, unique };
}

function single(wires: ReadonlySet<number>): number[] {
  return wires.size === 1 ? [...wires] : [];
}
