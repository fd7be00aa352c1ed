/**
 * What each program compiles to, in numbers, kept in `constraints.json`. A row more or less is then seen in review, and
 * the digest shows that another machine compiles the same.
 *
 * @module
 */
import type { SparseMatrix } from "../../src/circuit/r1cs.js";
import type { Problem } from "./review.js";
import type { Compiled } from "./tools.js";

export interface Counts {
  rows: number;
  /** Rows whose A or B is zero or a constant: they multiply nothing. */
  linearRows: number;
  nonLinearRows: number;
  wires: number;
  publicSignals: number;
  /** Entries of the matrices. */
  nonzeros: { a: number; b: number; c: number };
  circuitDigest: string;
}

export type Snapshot = Record<string, Counts>;

export function countProgram({ r1cs, circuitDigest }: Compiled): Counts {
  const { a, b, c } = r1cs;
  const isConstant = ({ start, wire }: SparseMatrix, row: number) =>
    wire.subarray(start[row]!, start[row + 1]!).every((index) => index === 0);
  let linearRows = 0;
  for (let row = 0; row < r1cs.constraints; row++) if (isConstant(a, row) || isConstant(b, row)) linearRows++;
  return {
    rows: r1cs.constraints,
    linearRows,
    nonLinearRows: r1cs.constraints - linearRows,
    wires: r1cs.wires,
    publicSignals: r1cs.publicOutputs + r1cs.publicInputs,
    nonzeros: { a: a.wire.length, b: b.wire.length, c: c.wire.length },
    circuitDigest,
  };
}

/** Differences, each with the old and the new value. */
export function compareSnapshots(expected: Snapshot, actual: Snapshot): Problem[] {
  const problems: Problem[] = [];
  for (const name of Object.keys(expected)) {
    if (!Object.hasOwn(actual, name)) problems.push({ code: "SNAPSHOT_STALE", message: `${name}: no such program` });
  }
  for (const [name, counts] of Object.entries(actual)) {
    if (!Object.hasOwn(expected, name)) {
      problems.push({ code: "SNAPSHOT_NEW", message: `${name}: ${counts.rows} rows, not in the snapshot` });
      continue;
    }
    const before = flatten(expected[name]!);
    const after = flatten(counts);
    const changes = [...new Set([...before.keys(), ...after.keys()])]
      .filter((field) => before.get(field) !== after.get(field))
      .map((field) => `${field} ${before.get(field) ?? "none"} → ${after.get(field) ?? "none"}`);
    if (changes.length > 0) problems.push({ code: "SNAPSHOT_CHANGED", message: `${name}: ${changes.join(", ")}` });
  }
  return problems;
}

function flatten({ nonzeros, ...counts }: Counts): Map<string, string> {
  const entries = Object.entries({
    ...counts,
    nonzerosA: nonzeros?.a,
    nonzerosB: nonzeros?.b,
    nonzerosC: nonzeros?.c,
  });
  return new Map(entries.map(([field, value]) => [field, String(value)]));
}
