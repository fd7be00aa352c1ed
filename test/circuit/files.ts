/** Files of a setup made by hand: constraint systems, and containers with sections changed. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { binFile, encodeG1, encodeG2, integer, littleEndian, uint32 } from "../../src/circuit/binfile.js";
import { newDevelopmentPtau } from "../../src/circuit/ptau.js";
import { AnchorError } from "../../src/errors.js";
import { concat } from "../../src/field/bytes.js";
import { Q, R } from "../../src/field/scalar.js";
import { G1_GENERATOR, G2_GENERATOR } from "../../src/verifier/curve.js";
import { sectionsOf, timesG1, timesG2 } from "./ceremony.js";

export type Term = readonly [wire: number, coefficient: bigint];
export type Row = readonly [a: readonly Term[], b: readonly Term[], c: readonly Term[]];

export interface System {
  wires: number;
  publicOutputs?: number;
  publicInputs?: number;
  rows: readonly Row[];
}

/** A `.r1cs`; coefficients may be negative, and what the system says need not make sense. */
export function r1csFile(system: System): Uint8Array {
  return binFile("r1cs", 1, r1csSections(system));
}

export function r1csSections({ wires, publicOutputs = 0, publicInputs = 0, rows }: System): [number, Uint8Array][] {
  const header = concat(
    uint32(32),
    littleEndian(R),
    ...[wires, publicOutputs, publicInputs, 0, wires, 0, rows.length].map(uint32),
  );
  const terms = rows.flatMap((row) =>
    row.flatMap((combination) => [
      uint32(combination.length),
      ...combination.flatMap(([wire, value]) => [uint32(wire), littleEndian(value < 0n ? value + R : value)]),
    ]),
  );
  return [
    [1, header],
    [2, new Uint8Array(Buffer.concat(terms))],
    [3, new Uint8Array(8 * wires)],
  ];
}

/** A `.ptau` for 2^power rows of secrets that are known; consistent in itself. */
export function ptauFile(power: number, { tau, alpha, beta }: Record<"tau" | "alpha" | "beta", bigint>): Uint8Array {
  const powers = Array.from({ length: 2 ** (power + 1) - 1 }, () => 1n);
  for (let i = 1; i < powers.length; i++) powers[i] = (powers[i - 1]! * tau) % R;
  const g1 = (factor: bigint, count: number) =>
    concat(...powers.slice(0, count).map((value) => encodeG1(timesG1(G1_GENERATOR, (factor * value) % R))));
  const g2 = (values: bigint[]) => concat(...values.map((value) => encodeG2(timesG2(G2_GENERATOR, value))));
  const rows = 2 ** power;
  return binFile("ptau", 1, [
    [1, concat(uint32(32), littleEndian(Q), uint32(power), uint32(power))],
    [2, g1(1n, powers.length)],
    [3, g2(powers.slice(0, rows))],
    [4, g1(alpha, rows)],
    [5, g1(beta, rows)],
    [6, g2([beta])],
    [7, uint32(0)],
  ]);
}

/** Changes of sections: new content, content made of the old, or `undefined` to leave one out. */
export type Changes = Record<number, Uint8Array | undefined | ((content: Uint8Array) => Uint8Array)>;

/** Copies a container with sections changed, at their places; those that it does not have go to its end. */
export async function changedFile(magic: string, from: string, to: string, changes: Changes): Promise<string> {
  const sections = await sectionsOf(from);
  for (const [key, change] of Object.entries(changes)) {
    const id = Number(key);
    const content = typeof change === "function" ? change(sections.get(id)!.slice()) : change;
    if (content === undefined) sections.delete(id);
    else sections.set(id, content);
  }
  await writeFile(to, binFile(magic, 1, [...sections]));
  return to;
}

/** Section content with bytes put somewhere else over it. */
export const patch = (at: number, bytes: Uint8Array) => (content: Uint8Array) => {
  content.set(bytes, at);
  return content;
};

/** With two pieces of `size` bytes exchanged. */
export const swapped = (size: number, i: number, j: number) => (content: Uint8Array) => {
  const [a, b] = [i, j].map((k) => content.slice(k * size, (k + 1) * size)) as [Uint8Array, Uint8Array];
  content.set(b, i * size);
  content.set(a, j * size);
  return content;
};

/** Offset, id and length of every section, in the file's order. */
export async function layoutOf(path: string): Promise<{ id: number; at: number; length: number }[]> {
  const file = await readFile(path);
  const found = [];
  for (let at = 12; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at + 4));
    found.push({ id: file.readUInt32LE(at), at, length });
    at += 12 + length;
  }
  return found;
}

/** Adds q to the first coordinate of piece `i`: the same point, in a spelling that no writer uses. */
export const respelled = (size: number, i: number) => (content: Uint8Array) => {
  const at = i * size;
  return patch(at, littleEndian(integer(content.subarray(at, at + 32)) + Q))(content);
};

/** A failure's code, with the fault of a contribution; or "accepted". Anything but an AnchorError is thrown on. */
export async function verdictOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
    return "accepted";
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    const { fault } = error.details;
    return fault === undefined ? error.code : `${error.code} ${fault}`;
  }
}

/** Development powers of tau, prepared, and the same without their Lagrange forms. */
export async function developmentPowers(
  folder: string,
  power: number,
  name = `powers-${power}`,
): Promise<{ prepared: string; raw: string }> {
  const [prepared, raw] = [join(folder, `${name}-prepared.ptau`), join(folder, `${name}-raw.ptau`)];
  await newDevelopmentPtau(power, prepared, { prepared: true });
  await changedFile("ptau", prepared, raw, { 12: undefined, 13: undefined, 14: undefined, 15: undefined });
  return { prepared, raw };
}
