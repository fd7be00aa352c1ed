import { existsSync } from "node:fs";
import { findSecondWitness, type Mutation, type SecondWitness, singleMutations } from "../circuit/attack.js";
import { checkDeterminism, type DeterminismReport, type Explanation } from "../circuit/determinism.js";
import { checkWitness, circuitDigest, type R1cs, readR1cs } from "../circuit/r1cs.js";
import { decodeWtns } from "../circuit/witness.js";
import { AnchorError } from "../errors.js";
import { type Command, optional, pretty, readBytes, readJson } from "./command.js";
import { seconds, type Terminal } from "./terminal.js";

export const circuitCheckCommand: Command = {
  name: "circuit check",
  summary: "whether a circuit's inputs determine all its wires, from its rows alone",
  help: `
  FILE.r1cs          constraint system over BN254, of circom or anything else
  --witness FILE     an honest witness (.wtns): is attacked, by changing wires one at a time, and jointly with all that
                     depends on them
  --sym FILE         names of the wires, as circom writes them [FILE.sym, where there is one]
  --explained FILE   what somebody has shown by hand: {"circuit": "0x…", "explained": [{"wires": [7], "proof": "…"}]};
                     the digest is the one that this command prints
  --json             print the report as JSON

A wire that the inputs, public and private, do not determine is one that a prover may choose. The rows are searched for
reasons why each wire has one value at most; what is left over is listed with its rows, and need not be a hole, but has to
be explained. A second witness that an attack finds is a hole for certain.
Exits with 1 (CIRCUIT_UNDETERMINED) when something is left that nobody explained, or a second witness was found.
`,
  options: {
    witness: { type: "string" },
    sym: { type: "string" },
    explained: { type: "string" },
    json: { type: "boolean" },
  },
  positionals: ["FILE.r1cs"],
  async run({ values, positionals, terminal, signal }) {
    const [path] = positionals;
    if (path === undefined) throw new AnchorError("USAGE", "name the .r1cs file");
    const started = performance.now();
    const bytes = await readBytes(path);
    const r1cs = readR1cs(bytes);
    const digest = circuitDigest(bytes);
    const names = await readNames(optional(values, "sym"), path);
    const explained = await readExplanations(optional(values, "explained"), digest);
    const honest = await readWitness(optional(values, "witness"), r1cs);

    const progress = (label: string) => (values["json"] ? undefined : (done: number) => terminal.progress(label, done));
    const report = await checkDeterminism(r1cs, { explained, signal, onProgress: progress("reading rows") });
    const attack = honest && {
      loose: await singleMutations(r1cs, honest, { signal, onProgress: progress("changing wires") }),
      second: await findSecondWitness(r1cs, honest, { signal, onProgress: progress("searching a second witness") }),
    };
    if (values["json"]) terminal.line(pretty({ circuit: digest, ...report, ...attack }).trimEnd());
    else {
      terminal.line(`circuit ${digest}`);
      printReport(terminal, report, names);
      if (attack) printAttack(terminal, attack.loose, attack.second, honest, names);
      terminal.line(seconds(performance.now() - started));
    }
    if (attack?.second || (attack && attack.loose.length > 0)) {
      throw new AnchorError("CIRCUIT_UNDETERMINED", "the same inputs have a second witness: a prover can choose");
    }
    if (!report.deterministic) {
      const count = report.left.reduce((sum, { wires }) => sum + wires.length, 0);
      throw new AnchorError(
        "CIRCUIT_UNDETERMINED",
        `${count} of ${report.wires} wires are not shown to be determined by the inputs; bind them by rows, or explain them (--explained)`,
      );
    }
  },
};

type Names = ReadonlyMap<number, string>;

async function readNames(given: string | undefined, r1csPath: string): Promise<Names> {
  const beside = r1csPath.replace(/\.r1cs$/, ".sym");
  const path = given ?? (beside !== r1csPath && existsSync(beside) ? beside : undefined);
  const names = new Map<number, string>();
  if (path === undefined) return names;
  for (const line of new TextDecoder().decode(await readBytes(path)).split("\n")) {
    const match = /^\d+,(\d+),\d+,(\S+)$/.exec(line);
    // Several signals may be one wire; circom lists outer ones first.
    if (match && !names.has(Number(match[1]))) names.set(Number(match[1]), match[2]!);
  }
  return names;
}

async function readExplanations(path: string | undefined, digest: string): Promise<Explanation[]> {
  if (path === undefined) return [];
  const malformed = (what: string): never => {
    throw new AnchorError("INPUT_INVALID", `${path}: ${what} (see anchorproof circuit check --help)`);
  };
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
  const root = await readJson(path);
  if (!isObject(root) || !Array.isArray(root["explained"])) return malformed("it has no list of explanations");
  if (root["circuit"] !== digest) return malformed(`it is about another circuit than ${digest}`);
  return root["explained"].map((each: unknown) => {
    const { wires, proof } = isObject(each) ? each : malformed("an explanation has wires and a proof");
    if (!Array.isArray(wires) || !wires.every(Number.isInteger)) return malformed("wires are a list of numbers");
    return typeof proof === "string" ? { wires, proof } : malformed("a proof is text");
  });
}

async function readWitness(path: string | undefined, r1cs: R1cs): Promise<bigint[] | undefined> {
  if (path === undefined) return undefined;
  const witness = decodeWtns(await readBytes(path));
  const row = checkWitness(r1cs, witness);
  if (row !== -1)
    throw new AnchorError("WITNESS_INVALID", `the witness violates row ${row}; attacks begin with an honest one`);
  return witness;
}

/** Wires and rows that are printed of each group. */
const SHOWN = 6;

function printReport(terminal: Terminal, report: DeterminismReport, names: Names): void {
  const { wires, rows, determined, rules, left, explained, needless, unusedInputs } = report;
  terminal.line(`${rows} rows, ${wires} wires that are no inputs`);
  const by = Object.entries(rules).map(([rule, count]) => `${rule} ${count}`);
  terminal.line(`${determined} are determined by the inputs${by.length === 0 ? "" : `: ${by.join(", ")}`}`);
  for (const { wires: own, proof } of explained) terminal.line(`explained: ${list(own, names)}: ${proof}`);
  for (const { wires: own } of needless) terminal.line(`needs no explanation: ${list(own, names)}`);
  if (unusedInputs.length > 0) terminal.line(`no row mentions these inputs: ${list(unusedInputs, names)}`);
  for (const { wires: own, rows: theirs, outputs, reason } of left) {
    const count = `${own.length} ${own.length === 1 ? "wire" : "wires"}`;
    terminal.line(`left: ${count}${outputs.length > 0 ? `, public outputs among them` : ""}: ${reason}`);
    terminal.line(`  wires ${list(own, names)}`);
    terminal.line(`  rows ${theirs.length === 0 ? "none" : list(theirs, new Map())}`);
  }
}

function printAttack(
  terminal: Terminal,
  loose: readonly Mutation[],
  second: SecondWitness | undefined,
  honest: readonly bigint[],
  names: Names,
): void {
  for (const { wire, value } of loose.slice(0, SHOWN)) {
    terminal.line(`${name(wire, names)} may be ${value} instead of ${honest[wire]}, with nothing else changed`);
  }
  if (loose.length > SHOWN) terminal.line(`and ${loose.length - SHOWN} more such changes`);
  if (second) {
    terminal.line(`second witness, with ${second.changed.length} wires changed: ${list(second.changed, names)}`);
    for (const wire of second.changed.slice(0, SHOWN)) {
      terminal.line(`  ${name(wire, names)} = ${second.witness[wire]} instead of ${honest[wire]}`);
    }
  } else if (loose.length === 0) terminal.line("no attack found another witness for these inputs");
}

function list(numbers: readonly number[], names: Names): string {
  const shown = numbers.slice(0, SHOWN).map((each) => name(each, names));
  return numbers.length > SHOWN ? `${shown.join(", ")} and ${numbers.length - SHOWN} more` : shown.join(", ");
}

function name(wire: number, names: Names): string {
  const found = names.get(wire);
  return found === undefined ? String(wire) : `${wire} (${found})`;
}
