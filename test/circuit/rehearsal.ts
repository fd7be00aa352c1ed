/** A ceremony of four members on a tiny circuit, for tests that cheat at it. */
import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ceremonyToJson } from "../../src/circuit/ceremony.js";
import { CeremonyState, type CreateOptions } from "../../src/circuit/ceremonyState.js";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { contributeToFile, type MemberOptions } from "../../src/circuit/contributor.js";
import type { Hex } from "../../src/field/bytes.js";
import { type Party, party } from "../support/parties.js";
import { snarkjsPowers } from "./ceremony.js";
import { TINY, temporaryFolder } from "./support.js";

/** In the order in which they contribute, which is not that of their accounts. */
export const [ALICE, BOB, CAROL, DAVE] = ["alice", "bob", "carol", "dave"].map(party) as [Party, Party, Party, Party];
export const ALL = [ALICE, BOB, CAROL, DAVE].map(({ account }) => account);
export const MALLORY = party("mallory");
export const ANNOUNCED = { source: "drand quicknet, round 1234567, randomness", iterationsExp: 10 };
export const BEACON_VALUE: Hex = "0x00112233445566778899aabbccddeeff";

export interface Basis {
  folder: string;
  circuit: CompiledCircuit;
  r1csPath: string;
  ptauPath: string;
}

export async function basis(): Promise<Basis> {
  const folder = await temporaryFolder();
  const circuit = await compileCircuit(TINY);
  return { folder, circuit, r1csPath: circuit.r1csPath, ptauPath: await snarkjsPowers(folder, 4) };
}

let count = 0;

export function begin({ folder, r1csPath, ptauPath }: Basis, options: Partial<CreateOptions> = {}) {
  const directory = join(folder, `state-${count++}`);
  return CeremonyState.create({ directory, name: "rehearsal", r1csPath, ptauPath, members: ALL, ...options });
}

/** A member's contribution to the current key, as files. */
export async function prepare(state: CeremonyState, member: Party, options: Partial<MemberOptions> = {}) {
  const { ceremony } = await state.read();
  const to = await state.incoming();
  const from = await state.keyPath();
  const { secretKey } = member;
  const unchecked = options.r1csPath === undefined;
  const manifest = ceremonyToJson(ceremony);
  const given = await contributeToFile({ manifest, secretKey, from, to, unchecked, ...options });
  return { given, file: to };
}

export async function takePart(state: CeremonyState, member: Party, options: Partial<MemberOptions> = {}) {
  const { given, file } = await prepare(state, member, options);
  await state.accept(given, file);
  return given;
}

/** Flips a bit of one section of a `.zkey`, counted from its end where `at` is negative. */
export async function spoil(path: string, section: number, at: number): Promise<void> {
  const bytes = await readFile(path);
  for (let offset = 12; offset < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(offset + 4));
    if (bytes.readUInt32LE(offset) === section) bytes[offset + 12 + (at < 0 ? length + at : at)]! ^= 1;
    offset += 12 + length;
  }
  await rm(path);
  await writeFile(path, bytes);
}

export async function duplicate(path: string): Promise<string> {
  const copy = `${path}.${count++}`;
  await copyFile(path, copy);
  return copy;
}
