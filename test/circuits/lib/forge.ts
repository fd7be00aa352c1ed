/**
 * Forged witnesses that are wrong in one place only.
 *
 * The witness generator refuses inputs that a constraint forbids, so it never shows which rows stop a prover. Here the
 * rows themselves are solved, one unknown at a time, and whatever the fixed wires contradict is left violated.
 */
import { type R1cs, rowHolds, rowsOfWires, type SparseMatrix } from "../../../src/circuit/r1cs.js";
import { invert, mod, R } from "../../../src/field/scalar.js";

export interface Forgery {
  witness: bigint[];
  /** Rows that it violates. */
  violated: number[];
}

/**
 * Solves all wires that are not `fixed` by propagation through rows with a single unknown in a linear place.
 *
 * @param fixed wires whose values stand: inputs and hints. Quadratic rows of one unknown (bits) are never solved
 * @throws when a wire cannot be determined: then `fixed` lacks a hint
 */
export function forge(r1cs: R1cs, fixed: ReadonlyMap<number, bigint>): Forgery {
  const witness: (bigint | undefined)[] = new Array(r1cs.wires).fill(undefined);
  witness[0] = 1n;
  for (const [wire, value] of fixed) witness[wire] = mod(value);
  const rowsOf = rowsOfWiresOnce(r1cs);
  const unknown: Set<number>[] = Array.from({ length: r1cs.constraints }, () => new Set());
  rowsOf.forEach((rows, wire) => {
    if (witness[wire] === undefined) for (const row of rows) unknown[row]!.add(wire);
  });
  const queue = unknown.flatMap((wires, row) => (wires.size === 1 ? [row] : []));
  for (let next = 0; next < queue.length; next++) {
    const row = queue[next]!;
    const [wire] = unknown[row]!;
    if (wire === undefined) continue;
    const [a, b, c] = [r1cs.a, r1cs.b, r1cs.c].map((matrix) => linear(matrix, row, wire, witness)) as [
      Form,
      Form,
      Form,
    ];
    if (a.slope * b.slope !== 0n) continue;
    const slope = mod(a.slope * b.rest + a.rest * b.slope - c.slope);
    if (slope === 0n) continue;
    witness[wire] = mod((c.rest - a.rest * b.rest) * invert(slope));
    for (const other of rowsOf[wire]!) {
      unknown[other]!.delete(wire);
      if (unknown[other]!.size === 1) queue.push(other);
    }
  }
  const open = witness.flatMap((value, wire) => (value === undefined && rowsOf[wire]!.length > 0 ? [wire] : []));
  if (open.length > 0) throw new Error(`wires ${open.slice(0, 8).join(", ")} are not determined: fix their hints`);
  const full = witness.map((value) => value ?? 0n);
  const violated: number[] = [];
  for (let row = 0; row < r1cs.constraints; row++) if (!rowHolds(r1cs, full, row)) violated.push(row);
  return { witness: full, violated };
}

const known = new WeakMap<R1cs, number[][]>();

function rowsOfWiresOnce(r1cs: R1cs): number[][] {
  let rows = known.get(r1cs);
  if (!rows) known.set(r1cs, (rows = rowsOfWires(r1cs)));
  return rows;
}

/** Whether a witness violates a row that mentions one of these wires: enough to reject what differs only in them. */
export function violatesNear(r1cs: R1cs, witness: readonly bigint[], wires: readonly number[]): boolean {
  const rowsOf = rowsOfWiresOnce(r1cs);
  return wires.some((wire) => rowsOf[wire]!.some((row) => !rowHolds(r1cs, witness, row)));
}

/** Wires that a row mentions. */
export function wiresOfRow({ a, b, c }: R1cs, row: number): number[] {
  return [a, b, c].flatMap(({ start, wire }) => [...wire.subarray(start[row]!, start[row + 1]!)]);
}

interface Form {
  slope: bigint;
  rest: bigint;
}

function linear(
  { start, wire, coefficient }: SparseMatrix,
  row: number,
  x: number,
  witness: (bigint | undefined)[],
): Form {
  let [slope, rest] = [0n, 0n];
  for (let i = start[row]!; i < start[row + 1]!; i++) {
    if (wire[i] === x) slope += coefficient[i]!;
    else rest += coefficient[i]! * witness[wire[i]!]!;
  }
  return { slope: slope % R, rest: rest % R };
}
