/**
 * A circuit that is written in TypeScript: its rows as a file, its witnesses as bytes, without Circom at run time.
 *
 * The Circom template that a program is the twin of stays the source of truth: tests hold both against each other, wire
 * by wire and row by row.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { open, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AnchorError, throwIfAborted } from "../../errors.js";
import { concat } from "../../field/bytes.js";
import type { CircuitSource, CompileOptions } from "../compile.js";
import { type CircuitRows, openRows, summariseRows } from "../r1cs.js";
import { defaultStore } from "../store.js";
import { ROWS_AT, type SystemLayout, systemHead, uint64, writeLabels } from "./file.js";
import { RowWriter, type Sink } from "./rows.js";
import { Counter, type Synthesis } from "./synthesis.js";
import { Inverses, ValueWriter } from "./values.js";

export interface Program<Request> {
  /** For messages and for the names of files. Says everything that the rows depend on, but for the code. */
  readonly name: string;
  /** The circuit in Circom: a main component whose public signals are all inputs. */
  readonly circom: CircuitSource;
  /** Names of the public inputs, in their order; the last one is `context`. */
  readonly publicSignals: readonly string[];
  /** Number of private inputs, elements of arrays each. */
  readonly privateInputs: number;
  /**
   * Allocates the public inputs, then the private ones, both in the order of the template's declarations, then everything
   * else, and states the rows. Without a request (while rows are counted or written) values are zeros.
   *
   * @throws what a bad request deserves, before any wire is allocated
   */
  synthesise(s: Synthesis, request: Request | undefined): void;
}

/** No wire of a program takes the place of an output: all public signals are inputs. */
const NO_OUTPUT = { alias: undefined, output: 0 } as const;

/** Rows and wires. */
export function measureProgram<Request>(program: Program<Request>): { rows: number; wires: number } {
  const counter = new Counter();
  program.synthesise(counter, undefined);
  return { rows: counter.rows, wires: counter.wires };
}

/** The bytes of the `.r1cs`, with the names that the Circom program gives to the wires, aliases included. */
export function emitNamedProgram<Request>(program: Program<Request>): {
  r1cs: Uint8Array;
  names: ReadonlyMap<string, number>;
} {
  const layout = layoutOf(program);
  const pieces: Uint8Array[] = [];
  const { bytes, names } = writeRows(program, layout, (piece) => pieces.push(piece), "main");
  return { r1cs: concat(systemHead(layout, bytes), ...pieces), names: names! };
}

/** The bytes of a `.wtns` file. @throws what {@link Program.synthesise} does */
export function programWitness<Request>(program: Program<Request>, wires: number, request: Request): Uint8Array {
  const writer = new ValueWriter(wires, NO_OUTPUT, new Inverses());
  program.synthesise(writer, request);
  if (writer.wires !== wires) throw new AnchorError("INTERNAL", "the witness has other wires than the circuit");
  return writer.file;
}

/**
 * The circuit's rows as a file of the store, as keys are made from; written when it is not there.
 *
 * @throws ABORTED, FILE_UNREADABLE
 */
export async function buildProgram<Request>(
  program: Program<Request>,
  { store = defaultStore(), signal }: CompileOptions = {},
): Promise<CircuitRows> {
  throwIfAborted(signal);
  const key = createHash("sha256")
    .update(`${program.name}\n${await codeDigest()}`)
    .digest("hex");
  const directory = await store.build(
    "circuit",
    key,
    async (workshop) => {
      await writeProgram(join(workshop, "main.r1cs"), program);
      await summariseRows(workshop, signal);
    },
    { signal, label: program.name },
  );
  return openRows(directory, program.name);
}

/** Code that rows come from, in the folder of the compiled modules or of their sources. */
const CODE = ["circuit/synthesis", "dataset", "dataset/circuit", "field"];

/** Other code may write other rows: an entry of the store is of the code that made it. */
async function codeDigest(): Promise<string> {
  codeHash ??= (async () => {
    const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
    const hash = createHash("sha256");
    for (const folder of CODE) {
      for (const name of (await readdir(join(root, folder))).filter((each) => /\.[jt]s$/.test(each)).sort()) {
        hash.update(`\n//// ${folder}/${name}\n`).update(await readFile(join(root, folder, name)));
      }
    }
    return hash.digest("hex");
  })();
  return await codeHash;
}

let codeHash: Promise<string> | undefined;

/** The file, piece by piece: the largest circuits' rows do not fit memory twice. */
async function writeProgram<Request>(path: string, program: Program<Request>): Promise<void> {
  const file = await open(path, "wx");
  try {
    const append: Sink = (bytes) => {
      for (let done = 0; done < bytes.length; ) done += writeSync(file.fd, bytes, done);
    };
    const layout = layoutOf(program);
    append(systemHead(layout, 0)); // the length of the rows comes when they are written
    const { bytes } = writeRows(program, layout, append);
    await file.write(uint64(bytes), 0, 8, ROWS_AT - 8);
  } finally {
    await file.close();
  }
}

function layoutOf<Request>(program: Program<Request>): SystemLayout {
  return {
    ...measureProgram(program),
    publicOutputs: 0,
    publicInputs: program.publicSignals.length,
    privateInputs: program.privateInputs,
  };
}

/** Hands on rows and labels. */
function writeRows<Request>(program: Program<Request>, { rows, wires }: SystemLayout, append: Sink, scope?: string) {
  const writer = new RowWriter(wires, NO_OUTPUT, append, scope);
  program.synthesise(writer, undefined);
  writer.end();
  if (writer.rows !== rows) throw new AnchorError("INTERNAL", "the circuit has other rows than were counted");
  writeLabels(wires, append);
  return writer;
}
