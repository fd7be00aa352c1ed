/** A ceremony that snarkjs runs from the start, on powers of tau of its own, and contributions forged by hand. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { bn254 } from "@noble/curves/bn254.js";
import type { CompiledCircuit } from "../../src/circuit/compile.js";
import { type Contribution, contributionHash, nextChallenge, type Transcript } from "../../src/circuit/transcript.js";
import { type Hex, toHex } from "../../src/field/bytes.js";
import {
  affineG1,
  affineG2,
  G1_GENERATOR,
  type G1Affine,
  type G2Affine,
  g1Point,
  g2Point,
} from "../../src/verifier/curve.js";
import { ffjavascript, snarkjs } from "./vendor.js";

export interface SnarkjsCeremony {
  r1csPath: string;
  ptauPath: string;
  /** The initial key, one after each of three contributions, and one after a beacon. */
  keys: string[];
  /** What snarkjs says each step's hash is. */
  hashes: Hex[];
  circuitHash: Hex;
}

export const NAMES = ["alice", "bob, 2nd of her name", "čeněk ☂"];
export const BEACON = { name: "final beacon", hash: "0102030405060708090a0b0c0d0e0f10", iterationsExp: 10 };

/** Prepared powers of tau for up to 2^power rows, with one contribution and a beacon: a few seconds for a power of 5. */
export async function snarkjsPowers(folder: string, power: number): Promise<string> {
  const [zero, one, two, ready] = ["0", "1", "2", "ready"].map((name) => join(folder, `powers-${power}-${name}.ptau`));
  await snarkjs.powersOfTau.newAccumulator(await ffjavascript.buildBn128(), power, zero!);
  await snarkjs.powersOfTau.contribute(zero!, one!, "first", `entropy ${Math.random()}`);
  await snarkjs.powersOfTau.beacon(one!, two!, "beacon", BEACON.hash, 10);
  await snarkjs.powersOfTau.preparePhase2(two!, ready!);
  return ready!;
}

export async function snarkjsCeremony(
  circuit: Pick<CompiledCircuit, "r1csPath">,
  ptauPath: string,
  folder: string,
  prefix = "key",
): Promise<SnarkjsCeremony> {
  const { r1csPath } = circuit;
  const keys = Array.from({ length: NAMES.length + 2 }, (_, i) => join(folder, `${prefix}-${i}.zkey`));
  const circuitHash = toHex(await snarkjs.zKey.newZKey(r1csPath, ptauPath, keys[0]!));
  const hashes: Hex[] = [];
  for (const [i, name] of NAMES.entries()) {
    hashes.push(toHex(await snarkjs.zKey.contribute(keys[i]!, keys[i + 1]!, name, `entropy ${Math.random()}`)));
  }
  const { name, hash, iterationsExp } = BEACON;
  hashes.push(toHex(await snarkjs.zKey.beacon(keys[3]!, keys[4]!, name, hash, iterationsExp)));
  return { r1csPath, ptauPath, keys, hashes, circuitHash };
}

/** A binary file's sections, by id. */
export async function sectionsOf(path: string): Promise<Map<number, Uint8Array>> {
  const file = await readFile(path);
  const sections = new Map<number, Uint8Array>();
  for (let at = 12; at < file.length; at += 12 + Number(file.readBigUInt64LE(at + 4))) {
    const content = file.subarray(at + 12, at + 12 + Number(file.readBigUInt64LE(at + 4)));
    sections.set(file.readUInt32LE(at), new Uint8Array(content));
  }
  return sections;
}

export const timesG1 = (point: G1Affine, k: bigint): G1Affine => affineG1(g1Point(point).multiply(k));
export const timesG2 = (point: G2Affine, k: bigint): G2Affine => affineG2(g2Point(point).multiply(k));

export const lastDelta = ({ contributions }: Transcript): G1Affine => contributions.at(-1)?.deltaAfter ?? G1_GENERATOR;

/** What a step says of itself; an honest one is made of one secret. */
export interface Forgery {
  /** The secret that g1sx shows. */
  secret: bigint;
  /** The one in g2spx. */
  proven?: bigint;
  /** The one that delta is multiplied by. */
  applied?: bigint;
  deltaAfter?: G1Affine;
  g2spx?: G2Affine;
  transcript?: Uint8Array;
}

/** A record with one more step, whose hash chain is right unless told. */
export function append(
  record: Transcript,
  { secret, proven = secret, applied = secret, ...parts }: Forgery,
  labels: Pick<Contribution, "name" | "beacon"> = {},
  g1s: G1Affine = timesG1(G1_GENERATOR, 12345n),
): Transcript {
  const g1sx = timesG1(g1s, secret);
  const { transcript, g2sp } = nextChallenge(record, g1s, g1sx);
  const own = {
    deltaAfter: timesG1(lastDelta(record), applied),
    g1s,
    g1sx,
    g2spx: timesG2(g2sp, proven),
    transcript,
    ...parts,
  };
  const kind = labels.beacon === undefined ? "contribution" : "beacon";
  return {
    ...record,
    contributions: [...record.contributions, { ...own, kind, ...labels, hash: contributionHash(own) }],
  };
}

export const ORDER = bn254.fields.Fr.ORDER;
