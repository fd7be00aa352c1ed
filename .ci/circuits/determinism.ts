/**
 * Whether the inputs of each program determine all its wires, on the rows that circom writes. What a template requires of
 * its inputs, and what the pass cannot see, is listed in `reviewed.json`, and no longer than it is needed.
 *
 * @module
 */
import { checkDeterminism, type DeterminismReport } from "../../src/circuit/determinism.js";
import type { Program } from "./programs.js";
import { checkReason, type Problem } from "./review.js";
import type { Compiled } from "./tools.js";

export interface ReviewedProgram {
  program: string;
  /** Ranges that it requires of its inputs and does not enforce, by the name of a signal or an array. */
  requires?: Record<string, readonly [lo: string, hi: string]>;
  /** Signals, or arrays of them, that are unique for a reason that the pass does not see. */
  explained?: readonly string[];
  reason: string;
}

export async function checkProgram(
  program: Pick<Program, "name">,
  { r1cs, symbols }: Pick<Compiled, "r1cs" | "symbols">,
  reviewed: readonly ReviewedProgram[],
): Promise<Problem[]> {
  const signals = parseSymbols(symbols);
  const wiresOf = (name: string) =>
    [...signals].filter(([signal]) => signal === name || signal.startsWith(`${name}[`)).map(([, wire]) => wire);
  const problem = (code: string, message: string): Problem => ({ code, message: `${program.name}: ${message}` });

  const entries = reviewed.filter((entry) => entry.program === program.name);
  const ranges = entries.flatMap(({ requires = {} }) =>
    Object.entries(requires).flatMap(([name, [lo, hi]]) =>
      wiresOf(name).map((wire) => [wire, { lo: BigInt(lo), hi: BigInt(hi) }] as const),
    ),
  );
  const explained = entries.flatMap(({ explained: names = [], reason }) =>
    names.map((name) => ({ wires: wiresOf(name), proof: reason, name })),
  );
  const problems = entries.flatMap(({ reason }) => checkReason(reason, program.name));
  if (problems.length > 0) return problems;

  const report = await checkDeterminism(r1cs, { given: new Map(ranges), explained });
  for (const group of report.left) problems.push(problem("UNDETERMINED", describe(group, signals)));
  for (const { name, wires } of explained) {
    const needless = report.needless.some((each) => each.wires === wires);
    if (needless || wires.length === 0) problems.push(problem("DETERMINISM_STALE", `${name} needs no explanation`));
  }
  if (ranges.length > 0 && (await checkDeterminism(r1cs, { explained })).deterministic) {
    problems.push(problem("DETERMINISM_STALE", "it requires nothing of its inputs"));
  }
  return problems;
}

/** Entries about programs that there are not. */
export function checkEntries(programs: readonly Program[], reviewed: readonly ReviewedProgram[]): Problem[] {
  return reviewed
    .filter((entry) => !programs.some(({ name }) => name === entry.program))
    .map((entry) => ({ code: "DETERMINISM_STALE", message: `${entry.program}: no such program` }));
}

function describe(
  { wires, rows, reason }: DeterminismReport["left"][number],
  signals: ReadonlyMap<string, number>,
): string {
  const names = wires.map((wire) => [...signals].find(([, own]) => own === wire)?.[0] ?? `wire ${wire}`);
  const list = (items: readonly (string | number)[]) =>
    items.length > 6 ? `${items.slice(0, 6).join(", ")} and ${items.length - 6} more` : items.join(", ");
  return `its inputs are not shown to determine ${list(names)} (rows ${list(rows) || "none"}): ${reason}`;
}

/** Wires by the names of their signals, without "main.". */
function parseSymbols(text: string): Map<string, number> {
  const signals = new Map<string, number>();
  for (const line of text.trim().split("\n")) {
    const [, wire, , signal] = line.split(",");
    if (wire !== "-1" && signal !== undefined) signals.set(signal.replace(/^main\./, ""), Number(wire));
  }
  return signals;
}
