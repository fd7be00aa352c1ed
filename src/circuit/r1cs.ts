/**
 * Reads circom's binary constraint systems.
 *
 * Format: iden3's "R1CS binary format for rank-1 constraint system", version 1. Everything is bounds-checked; a
 * truncated or foreign file gives `CIRCUIT_MALFORMED`, and so does one with custom templates, which no row would bind.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AnchorError } from "../errors.js";
import { R } from "../field/scalar.js";
import { Container } from "./binfile.js";
import { readArtefact } from "./entry.js";

export interface R1csHeader {
  wires: number;
  publicOutputs: number;
  publicInputs: number;
  privateInputs: number;
  constraints: number;
}

/** One of the matrices A, B, C, by rows: entries `start[i] … start[i + 1]` of `wire` and `coefficient` are row i. */
export interface SparseMatrix {
  start: Uint32Array;
  wire: Uint32Array;
  coefficient: bigint[];
}

/** `(A · w) ∘ (B · w) = C · w`; w[0] = 1, then the public outputs, the public inputs, and the rest. */
export interface R1cs extends R1csHeader {
  a: SparseMatrix;
  b: SparseMatrix;
  c: SparseMatrix;
  /**
   * The signal that each wire stands for, as the compiler counts them: main's outputs, its public inputs, its private
   * ones, then everything else. Undefined where the file does not say.
   */
  labels?: Float64Array | undefined;
}

/** A circuit as keys are made for it: the file of its rows, and what is in it. */
export interface CircuitRows {
  /** For messages, and for people who look into the cache. */
  name: string;
  r1csPath: string;
  /** SHA-256 over the R1CS, 0x-hex; see {@link circuitDigest}. */
  circuitDigest: `0x${string}`;
  /** All rows of the `.r1cs`, linear ones included. */
  rows: number;
  wires: number;
  /** Public outputs and inputs together. */
  publicSignals: number;
}

const HEADER_SECTION = 1;
const CONSTRAINT_SECTION = 2;
const LABEL_SECTION = 3;
/** Custom templates and their uses, which only other proof systems than Groth16 enforce. */
const CUSTOM_SECTIONS = [4, 5];
/** An empty row: three counts. */
const MIN_ROW_BYTES = 12;
const HEADER_BYTES = 64;

export function readR1csHeader(bytes: Uint8Array): R1csHeader {
  const header = parseHeader(section(bytes, HEADER_SECTION));
  if (CUSTOM_SECTIONS.some((id) => find(bytes, id))) refuseCustom();
  // A label a wire: a count that the file cannot hold must not be believed, since arrays are made from it.
  if (section(bytes, LABEL_SECTION).length !== 8 * header.wires) malformed("it has other wires than labels");
  return header;
}

/** @throws CIRCUIT_MALFORMED */
export function readR1cs(bytes: Uint8Array): R1cs {
  const header = readR1csHeader(bytes);
  const rows = section(bytes, CONSTRAINT_SECTION);
  if (header.constraints > rows.length / MIN_ROW_BYTES) malformed("it is truncated"); // before memory is taken for them
  const reader = new Reader(rows);
  const builders = [new MatrixBuilder(header), new MatrixBuilder(header), new MatrixBuilder(header)];
  for (let row = 0; row < header.constraints; row++) {
    for (const builder of builders) builder.readRow(reader, row);
  }
  reader.end();
  const [a, b, c] = builders.map((builder) => builder.matrix()) as [SparseMatrix, SparseMatrix, SparseMatrix];
  return { ...header, a, b, c, labels: readLabels(section(bytes, LABEL_SECTION)) };
}

/** Labels that rise from 0, as circom's do; others mean something else, or nothing. */
function readLabels(content: Uint8Array): Float64Array | undefined {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const labels = new Float64Array(content.length / 8);
  for (let wire = 0; wire < labels.length; wire++) {
    labels[wire] = Number(view.getBigUint64(8 * wire, true));
    if (wire === 0 ? labels[0] !== 0 : labels[wire]! <= labels[wire - 1]!) return undefined;
  }
  return labels;
}

/**
 * Wires of public and private inputs. The header counts a private input that the compiler has found to be equal to another
 * signal, and that has no wire of its own any more; the labels tell.
 */
export function inputWires({ publicOutputs, publicInputs, privateInputs, wires, labels }: R1cs): number[] {
  const publics = publicOutputs + publicInputs;
  const inputs: number[] = [];
  for (let wire = publicOutputs + 1; wire < wires; wire++) {
    // Public signals always have their wires, which keys take by their place.
    const place = wire <= publics ? wire : (labels?.[wire] ?? wire);
    if (place > publics + privateInputs) break;
    inputs.push(wire);
  }
  return inputs;
}

/**
 * Names a circuit: SHA-256 over a tag and the header and constraint sections, so not over the labels, which say
 * nothing about what is proven. Compiling the same source again gives the same digest.
 */
export function circuitDigest(r1cs: Uint8Array): `0x${string}` {
  const hash = createHash("sha256").update("anchorproof/r1cs/1");
  for (const id of [HEADER_SECTION, CONSTRAINT_SECTION]) {
    const content = section(r1cs, id);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(content.length));
    hash.update(length).update(content);
  }
  return `0x${hash.digest("hex")}`;
}

/**
 * Header and {@link circuitDigest} of a file, which may be larger than memory.
 *
 * @throws CIRCUIT_MALFORMED, FILE_NOT_FOUND, FILE_UNREADABLE, ABORTED
 */
export function describeR1cs(path: string, signal?: AbortSignal): Promise<R1csDescription> {
  return describe(path, signal);
}

type R1csDescription = R1csHeader & { circuitDigest: `0x${string}` };

/** @param accept throws for a header that is not wanted, before the file is read */
async function describe(
  path: string,
  signal: AbortSignal | undefined,
  accept?: (header: R1csHeader) => void,
): Promise<R1csDescription> {
  const file = await Container.open(path, "r1cs", malformed);
  try {
    // Before memory is taken for it.
    if (file.section(HEADER_SECTION).length !== HEADER_BYTES) malformed("its header has the wrong length");
    const header = parseHeader(await file.content(HEADER_SECTION));
    if (CUSTOM_SECTIONS.some((id) => file.sections.has(id))) refuseCustom();
    if (file.section(LABEL_SECTION).length !== 8 * header.wires) malformed("it has other wires than labels");
    accept?.(header);
    const hash = createHash("sha256").update("anchorproof/r1cs/1");
    for (const id of [HEADER_SECTION, CONSTRAINT_SECTION]) {
      const { offset, length } = file.section(id);
      const size = new Uint8Array(8);
      new DataView(size.buffer).setBigUint64(0, BigInt(length));
      hash.update(size);
      for await (const piece of file.pieces(offset, length, signal)) hash.update(piece);
    }
    return { ...header, circuitDigest: `0x${hash.digest("hex")}` };
  } finally {
    await file.close();
  }
}

/** What keys can be made of: up to 2^27 rows (beyond, snarkjs' keys take another form), and 1024 public signals. */
export const MAX_CIRCUIT_POWER = 27;
export const MAX_PUBLICS = 1024;

/**
 * As {@link describeR1cs}, of a circuit that keys can be made of: said before hours of work, and not after.
 *
 * @throws INPUT_TOO_LARGE, and as {@link describeR1cs}
 */
export async function describeForSetup(
  path: string,
  signal?: AbortSignal,
): Promise<R1csDescription & { power: number }> {
  const circuit = await describe(path, signal, (header) => {
    const tooLarge = (what: string) => new AnchorError("INPUT_TOO_LARGE", `the circuit has more than ${what}`);
    if (domainPower(header) > MAX_CIRCUIT_POWER) throw tooLarge(`2^${MAX_CIRCUIT_POWER} rows`);
    if (header.publicOutputs + header.publicInputs > MAX_PUBLICS) throw tooLarge(`${MAX_PUBLICS} public signals`);
  });
  return { ...circuit, power: domainPower(circuit) };
}

/** log2 of the evaluation domain: a row for each constraint, each public signal, and the constant wire. */
export function domainPower({ constraints, publicOutputs, publicInputs }: R1csHeader): number {
  return Math.max(1, Math.ceil(Math.log2(constraints + publicOutputs + publicInputs + 1)));
}

/**
 * The first row that a witness violates, or −1.
 *
 * @param witness one scalar a wire, `witness[0] = 1`
 */
export function checkWitness(r1cs: R1cs, witness: readonly bigint[]): number {
  if (witness.length !== r1cs.wires || witness[0] !== 1n) {
    throw new AnchorError("WITNESS_INVALID", `a witness of this circuit has ${r1cs.wires} values, the first of them 1`);
  }
  for (let row = 0; row < r1cs.constraints; row++) {
    if (!rowHolds(r1cs, witness, row)) return row;
  }
  return -1;
}

/** Whether one row holds; with {@link rowsOfWires}, a way to re-check only what a changed wire touches. */
export function rowHolds(r1cs: R1cs, witness: readonly bigint[], row: number): boolean {
  const { a, b, c } = r1cs;
  return (dot(a, witness, row) * dot(b, witness, row) - dot(c, witness, row)) % R === 0n;
}

/** For every wire, the rows that mention it. */
export function rowsOfWires(r1cs: R1cs): number[][] {
  const rows: Set<number>[] = Array.from({ length: r1cs.wires }, () => new Set());
  for (const { start, wire } of [r1cs.a, r1cs.b, r1cs.c]) {
    for (let row = 0; row < r1cs.constraints; row++) {
      for (let i = start[row]!; i < start[row + 1]!; i++) rows[wire[i]!]!.add(row);
    }
  }
  return rows.map((set) => [...set]);
}

function dot({ start, wire, coefficient }: SparseMatrix, witness: readonly bigint[], row: number): bigint {
  let sum = 0n;
  for (let i = start[row]!; i < start[row + 1]!; i++) sum += coefficient[i]! * witness[wire[i]!]!;
  return sum % R;
}

/** Nothing in a Groth16 key would bind what a custom template computes: a prover could set it at will. */
function refuseCustom(): never {
  malformed("it has custom templates, which Groth16 does not enforce");
}

function section(bytes: Uint8Array, wanted: number): Uint8Array {
  return find(bytes, wanted) ?? malformed(`section ${wanted} is missing`);
}

function find(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  const reader = new Reader(bytes);
  if (reader.uint32() !== 0x73633172 /* "r1cs" */ || reader.uint32() !== 1) malformed("not an r1cs file of version 1");
  const count = reader.uint32();
  let found: Uint8Array | undefined;
  for (let i = 0; i < count; i++) {
    const id = reader.uint32();
    const content = reader.take(reader.uint64());
    if (id !== wanted) continue;
    if (found) malformed(`section ${wanted} stands twice`);
    found = content;
  }
  reader.end();
  return found;
}

function parseHeader(content: Uint8Array): R1csHeader {
  const reader = new Reader(content);
  if (reader.uint32() !== 32 || reader.scalar(true) !== R) malformed("its field is not BN254's");
  const header = {
    wires: reader.uint32(),
    publicOutputs: reader.uint32(),
    publicInputs: reader.uint32(),
    privateInputs: reader.uint32(),
    constraints: 0,
  };
  reader.take(8); // how many labels: nothing hangs on it
  header.constraints = reader.uint32();
  reader.end();
  // Private inputs are not counted here: circom drops one from the wires, not from the header, where it equals an output.
  if (1 + header.publicOutputs + header.publicInputs > header.wires) malformed("too few wires");
  return header;
}

class MatrixBuilder {
  readonly #header: R1csHeader;
  readonly #start: Uint32Array;
  readonly #wire: number[] = [];
  readonly #coefficient: bigint[] = [];

  constructor(header: R1csHeader) {
    this.#header = header;
    this.#start = new Uint32Array(header.constraints + 1);
  }

  readRow(reader: Reader, row: number): void {
    const entries = reader.uint32();
    for (let i = 0; i < entries; i++) {
      const wire = reader.uint32();
      if (wire >= this.#header.wires) malformed(`row ${row} names wire ${wire} of ${this.#header.wires}`);
      this.#wire.push(wire);
      this.#coefficient.push(reader.scalar());
    }
    this.#start[row + 1] = this.#wire.length;
  }

  matrix(): SparseMatrix {
    return { start: this.#start, wire: Uint32Array.from(this.#wire), coefficient: this.#coefficient };
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#offset) malformed("it is truncated");
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  uint32(): number {
    this.take(4);
    return this.#view.getUint32(this.#offset - 4, true);
  }

  uint64(): number {
    this.take(8);
    const value = this.#view.getBigUint64(this.#offset - 8, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) malformed("a length is out of range");
    return Number(value);
  }

  /** 32 bytes, little-endian; below r unless `modulus` says that r itself is expected. */
  scalar(modulus = false): bigint {
    this.take(32);
    let value = 0n;
    for (let i = 1; i <= 4; i++) value = (value << 64n) | this.#view.getBigUint64(this.#offset - 8 * i, true);
    if (!modulus && value >= R) malformed("a coefficient is not reduced");
    return value;
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) malformed("bytes are left over");
  }
}

function malformed(reason: string): never {
  throw new AnchorError("CIRCUIT_MALFORMED", `the constraint system cannot be read: ${reason}`);
}

/** Names of what an entry of the store holds of a circuit's rows. */
const ROWS_FILE = "main.r1cs";
const SUMMARY_FILE = "circuit.json";

/** Writes beside the `main.r1cs` of an entry-to-be what {@link openRows} reads. @throws as {@link describeR1cs} */
export async function summariseRows(workshop: string, signal?: AbortSignal): Promise<void> {
  const header = await describeR1cs(join(workshop, ROWS_FILE), signal);
  const summary: RowsSummary = {
    circuitDigest: header.circuitDigest,
    rows: header.constraints,
    wires: header.wires,
    publicSignals: header.publicOutputs + header.publicInputs,
  };
  await writeFile(join(workshop, SUMMARY_FILE), JSON.stringify(summary));
}

/** The rows of an entry of the store. @throws CACHE_DAMAGED, FILE_UNREADABLE */
export async function openRows(directory: string, name: string): Promise<CircuitRows> {
  const summary = JSON.parse((await readArtefact(directory, SUMMARY_FILE)).toString()) as RowsSummary;
  return { name, r1csPath: join(directory, ROWS_FILE), ...summary };
}

type RowsSummary = Omit<CircuitRows, "name" | "r1csPath">;
