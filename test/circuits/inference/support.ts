/**
 * Attacks on a constraint system: wrong witnesses are built by hand and put before the rows, never before the witness
 * generator, whose own checks stop no prover.
 */
import { readFile } from "node:fs/promises";
import { compileCircuit } from "../../../src/circuit/compile.js";
import { checkWitness, type R1cs, readR1cs, rowHolds, rowsOfWires } from "../../../src/circuit/r1cs.js";
import { calculateWitness } from "../../../src/circuit/witness.js";
import { invert, mod, R } from "../../../src/field/scalar.js";

export class Gadget {
  readonly r1cs: R1cs;
  readonly rows: number;
  readonly #wasm: Uint8Array;
  /** Wire of every signal that has one, without the leading "main.". */
  readonly #wires: Map<string, number>;

  private constructor(r1cs: R1cs, wasm: Uint8Array, wires: Map<string, number>) {
    this.r1cs = r1cs;
    this.rows = r1cs.constraints;
    this.#wasm = wasm;
    this.#wires = wires;
  }

  static async compile(name: string, source: string): Promise<Gadget> {
    const { r1csPath, wasmPath, symPath } = await compileCircuit({ name, source, optimisation: 1 });
    const wires = new Map<string, number>();
    for (const line of (await readFile(symPath, "utf8")).trim().split("\n")) {
      const [, wire, , signal] = line.split(",");
      if (wire !== "-1") wires.set(signal!.replace(/^main\./, ""), Number(wire));
    }
    return new Gadget(readR1cs(await readFile(r1csPath)), await readFile(wasmPath), wires);
  }

  /** One template as main, its inputs private. */
  static template(file: string, instance: string): Promise<Gadget> {
    return Gadget.compile(instance, `pragma circom 2.2.3;\ninclude "${file}";\ncomponent main = ${instance};\n`);
  }

  /** The generator's witness. Inputs may be any integers; negative ones are taken modulo r. */
  honest(inputs: Record<string, bigint | readonly bigint[]>): Promise<bigint[]> {
    const reduced = Object.entries(inputs).map(([name, value]) => [
      name,
      typeof value === "bigint" ? mod(value) : value.map(mod),
    ]);
    return calculateWitness(this.#wasm, Object.fromEntries(reduced));
  }

  /** The first row that a witness violates, or -1. */
  violation(witness: readonly bigint[]): number {
    return checkWitness(this.r1cs, witness);
  }

  /** The only wire whose signal's name matches; a component's generated number may be left out with a pattern. */
  wire(name: string | RegExp): number {
    const found = typeof name === "string" ? this.#wires.get(name) : this.#match(name)[0]?.[1];
    if (found === undefined) throw new Error(`no wire for ${name}`);
    return found;
  }

  has(name: string): boolean {
    return this.#wires.has(name);
  }

  /** Wires of all matching signals, by name, indices in numeric order. */
  wiresLike(pattern: RegExp): number[] {
    return this.#match(pattern).map(([, wire]) => wire);
  }

  #match(pattern: RegExp): [string, number][] {
    const key = (name: string) => name.replace(/\d+/g, (digits) => digits.padStart(8, "0"));
    return [...this.#wires].filter(([name]) => pattern.test(name)).sort(([a], [b]) => (key(a) < key(b) ? -1 : 1));
  }

  /** A copy with wires replaced; any integer is taken modulo r. */
  with(witness: readonly bigint[], changes: Iterable<readonly [number, bigint]>): bigint[] {
    const copy = [...witness];
    for (const [wire, value] of changes) copy[wire] = mod(value);
    return copy;
  }

  /**
   * Carries the wrong way: of bits, the lowest first, takes 2 from each and gives 1 to the next, and the reverse. Their sum
   * stays, also where a derived bit follows the last; so only the rows that make them bits stand in the way.
   *
   * @returns names of the bits for which no row is violated
   */
  looseCarries(witness: readonly bigint[], bits: readonly number[]): string[] {
    const names = new Map([...this.#wires].map(([name, wire]) => [wire, name]));
    return bits.flatMap((wire, i) =>
      [2n, -2n].flatMap((change) => {
        const changes: [number, bigint][] = [[wire, witness[wire]! + change]];
        if (i + 1 < bits.length) changes.push([bits[i + 1]!, witness[bits[i + 1]!]! - change / 2n]);
        return this.violation(this.with(witness, changes)) === -1 ? [`${names.get(wire)} + ${change}`] : [];
      }),
    );
  }

  /**
   * Changes every wire that is not an input, one at a time: plus one, negated, and to a random value.
   *
   * @returns names of the wires that could be changed without violating a row; a circuit with a unique witness has
   *   none.
   */
  looseWires(witness: readonly bigint[], random: () => bigint): string[] {
    if (this.violation(witness) !== -1) throw new Error("the honest witness violates a row");
    const rows = rowsOfWires(this.r1cs);
    const { publicOutputs, publicInputs, privateInputs } = this.r1cs;
    const isInput = (wire: number) => wire > publicOutputs && wire <= publicOutputs + publicInputs + privateInputs;
    const names = new Map([...this.#wires].map(([name, wire]) => [wire, name]));
    const loose: string[] = [];
    const copy = [...witness];
    for (let wire = 1; wire < witness.length; wire++) {
      if (isInput(wire)) continue;
      const honest = witness[wire]!;
      for (const value of new Set([mod(honest + 1n), mod(-honest), random()])) {
        if (value === honest) continue;
        copy[wire] = value;
        if (rows[wire]!.every((row) => rowHolds(this.r1cs, copy, row))) loose.push(`${names.get(wire)} = ${value}`);
      }
      copy[wire] = honest;
    }
    return loose;
  }
}

/** Deterministic field elements. */
export function fieldElements(seed: bigint): () => bigint {
  let state = mod(seed);
  return () => {
    state = mod(
      state * 5_210_644_015_679_228_794_067_694_325_390_861_153_351_318_870_643_883_113_711n + 0x9e3779b97f4a7c15n,
    );
    return state;
  };
}

/** An integer as the field element it is in the circuit. */
export const field = mod;

/** Bit `i` of a field element's canonical representative. */
export function bit(value: bigint, i: number): bigint {
  return (mod(value) >> BigInt(i)) & 1n;
}

export { invert, R };
