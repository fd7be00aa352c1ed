/**
 * Phase 2 of a Groth16 setup, on the native core: from a circuit's rows and powers of tau to a proving key that nobody
 * knows the trapdoor of, as long as one contributor forgot theirs. Files are snarkjs', byte for byte.
 *
 * @module
 */
import { buildBn128 } from "ffjavascript";
import { AnchorError, isAnchorError } from "../errors.js";
import { concat, type Hex, toHex, utf8 } from "../field/bytes.js";
import { G1_GENERATOR, type G1Affine, G2_GENERATOR, g1Point, g2Point, pairingIsOne } from "../verifier/curve.js";
import type { VerifyingKey } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { littleEndian } from "./binfile.js";
import { type LongWork, runNative } from "./nativeTask.js";
import { bytesAfterPowers, ptauBasis, readPtauHeader } from "./ptau.js";
import { describeForSetup, describeR1cs } from "./r1cs.js";
import type { ArtefactStore } from "./store.js";
import {
  type Beacon,
  beaconKey,
  type Contribution,
  type ContributionFault,
  contributionInvalid,
  isName,
  type Transcript,
  verifyTranscript,
} from "./transcript.js";
import { readZkeyHeader, type ZkeyHeader } from "./zkey.js";

export type { LongWork } from "./nativeTask.js";

/** From this many rows on snarkjs hashes one point of H too many. */
const HASHED_TOO_FAR = 15;

/**
 * The initial key of a circuit, with γ = δ = 1: **anybody can forge with it** until somebody contributes.
 *
 * What the powers become for circuits of this size is kept in the store; making it from a file that is not prepared takes
 * most of the time.
 *
 * @param zkeyPath must not exist
 * @returns snarkjs' hash of the circuit, 64 bytes
 * @throws CIRCUIT_MALFORMED, INPUT_TOO_LARGE for too many rows or public signals, PTAU_INVALID, KEY_FORGEABLE for powers
 * without a contribution, FILE_NOT_FOUND, FILE_UNREADABLE, NATIVE_UNAVAILABLE, ABORTED
 */
export async function newPhase2Key({
  r1csPath,
  ptauPath,
  zkeyPath,
  store,
  onProgress,
  ...work
}: {
  r1csPath: string;
  ptauPath: string;
  zkeyPath: string;
  store?: ArtefactStore | undefined;
} & LongWork): Promise<{ circuitHash: Hex }> {
  const { power } = await describeForSetup(r1csPath, work.signal);
  const basisPath = await ptauBasis(ptauPath, power, {
    ...work,
    store,
    onProgress: (done) => onProgress?.(0.6 * done),
  });
  const tail = power >= HASHED_TOO_FAR ? await snarkjsTail(ptauPath, power) : new Uint8Array();
  const hash = await runNative(
    "newPhase2",
    { r1csPath, basisPath, zkeyPath, tail },
    { ...work, onProgress: (done) => onProgress?.(0.6 + 0.4 * done) },
  );
  return { circuitHash: toHex(hash) };
}

/**
 * Contributes: draws a secret from the operating system's randomness and what the caller adds, multiplies δ by it, and
 * forgets it.
 *
 * @param options.to   must not exist
 * @param options.name up to 64 characters, for people; nothing binds it
 * @throws INPUT_INVALID, KEY_MALFORMED, CONTRIBUTION_INVALID for a record at `from` that cannot be read, KEY_DEVELOPMENT
 * for a key with somebody's trapdoor in it, FILE_NOT_FOUND, FILE_UNREADABLE, NATIVE_UNAVAILABLE, ABORTED
 */
export async function contribute({
  from,
  to,
  name,
  entropy = "",
  ...work
}: {
  from: string;
  to: string;
  name?: string | undefined;
  entropy?: string | Uint8Array | undefined;
} & LongWork): Promise<Contribution> {
  checkName(name);
  if (typeof entropy !== "string" && !(entropy instanceof Uint8Array)) {
    throw new AnchorError("INPUT_INVALID", "entropy must be a text or bytes");
  }
  const { transcript, delta1 } = await readUnfinished(from);
  const bytes = typeof entropy === "string" ? utf8(entropy) : Uint8Array.from(entropy);
  try {
    return await runNative("contribute", { from, to, transcript, delta1, name, entropy: bytes }, work);
  } finally {
    bytes.fill(0);
  }
}

/**
 * The last step of a ceremony: a contribution whose secret everybody can compute, from a value that nobody could foresee.
 *
 * @param options.hash from 1 to 255 bytes
 * @param options.iterationsExp SHA-256 is iterated 2^this times; from 10 to 63
 * @throws as {@link contribute}; INPUT_TOO_LARGE
 */
export async function applyBeacon({
  from,
  to,
  name,
  hash,
  iterationsExp,
  onProgress,
  ...work
}: { from: string; to: string; name?: string | undefined } & Beacon & LongWork): Promise<Contribution> {
  checkName(name);
  const { transcript, delta1 } = await readUnfinished(from);
  const { secret, g1s } = await beaconKey(hash, iterationsExp, {
    signal: work.signal,
    onProgress: (done) => onProgress?.(0.5 * done),
  });
  const beacon = { hash, iterationsExp };
  return runNative(
    "beacon",
    { from, to, transcript, delta1, name, beacon, secret, g1s },
    { ...work, onProgress: (done) => onProgress?.(0.5 + 0.5 * done) },
  );
}

/**
 * Checks that `next` is `previous` and exactly one valid contribution: the record of contributions is the same but for
 * the last, which holds; C and H are over the new δ; everything else is the same, byte by byte. Needs neither circuit
 * nor powers of tau.
 *
 * @returns the new contribution
 * @throws CONTRIBUTION_INVALID with `details.fault`; KEY_MALFORMED, FILE_NOT_FOUND, FILE_UNREADABLE, NATIVE_UNAVAILABLE,
 * ABORTED
 */
export async function verifyContribution({
  previous,
  next,
  ...work
}: { previous: string; next: string } & LongWork): Promise<Contribution> {
  const [before, after] = [await readZkeyHeader(previous), await readZkeyHeader(next)];
  const [old, added] = [before.transcript.contributions, after.transcript.contributions];
  if (after.transcript.circuitHash !== before.transcript.circuitHash) {
    throw contributionInvalid("transcript", "the key is of another circuit: its hash differs");
  }
  if (added.length !== old.length + 1) {
    throw contributionInvalid("count", `the key must have ${old.length + 1} contributions, and has ${added.length}`);
  }
  const changed = old.findIndex((contribution, i) => !sameContribution(contribution, added[i]!));
  if (changed !== -1)
    throw contributionInvalid("transcript", `contribution ${changed + 1} is not the one that was there`, {
      contribution: changed + 1,
    });
  await verifyRecord(after, work);
  await checkStep(runNative("verifyStep", { previous, next }, work));
  return added.at(-1)!;
}

/**
 * Checks a key completely: every section against rows and powers of tau (A, B, C, H and IC by random linear combinations,
 * an error passing with probability 2⁻¹²⁸; a component of a point of B outside its group with 1/10069, which would spoil
 * proofs and not their soundness), and every contribution. It checks neither the powers, see `importPtau`, nor the record's
 * circuit hash, which is what {@link newPhase2Key} gives.
 *
 * @throws KEY_MALFORMED, KEY_FORGEABLE for a key, or powers of tau, that nobody contributed to, or a key of beacons alone;
 * CONTRIBUTION_INVALID, CIRCUIT_MALFORMED, PTAU_INVALID, FILE_NOT_FOUND, FILE_UNREADABLE, NATIVE_UNAVAILABLE, ABORTED
 */
export async function verifyPhase2({
  r1csPath,
  ptauPath,
  zkeyPath,
  ...work
}: { r1csPath: string; ptauPath: string; zkeyPath: string } & LongWork): Promise<{
  verifyingKey: VerifyingKey;
  transcript: Transcript;
  circuitDigest: Hex;
}> {
  const { circuitDigest } = await describeR1cs(r1csPath, work.signal);
  await readPtauHeader(ptauPath);
  const header = await readZkeyHeader(zkeyPath);
  if (header.stamp?.development) {
    throw new AnchorError(
      "KEY_DEVELOPMENT",
      "this key was made by one party, without powers of tau: nothing can be checked",
    );
  }
  await verifyRecord(header, work);
  lintVerifyingKey(header.verifyingKey);
  requireContributor(header.transcript);
  await runNative("verifyPhase2", { r1csPath, ptauPath, zkeyPath }, work);
  return { verifyingKey: header.verifyingKey, transcript: header.transcript, circuitDigest };
}

/**
 * Checks a verifying key and the record of its contributions without the proving key, which may be gigabytes: α, β and IC
 * against rows and powers of tau, δ against the record.
 *
 * What it cannot show: what contributors were given. Whoever is handed a key with a point of another's choice among C or H
 * divides it by δ, and with IC there, that is all that forging takes; the proving key afterwards would show it. So soundness
 * rests on one contributor who forgot their secret *and* checked the proving key that they made, by {@link verifyPhase2},
 * before they handed it on.
 *
 * @throws as {@link verifyPhase2}
 */
export async function verifyPhase2VerifyingKey({
  r1csPath,
  ptauPath,
  verifyingKey,
  transcript,
  ...work
}: { r1csPath: string; ptauPath: string; verifyingKey: VerifyingKey; transcript: Transcript } & LongWork): Promise<{
  circuitDigest: Hex;
}> {
  const { circuitDigest } = await describeR1cs(r1csPath, work.signal);
  await readPtauHeader(ptauPath);
  lintVerifyingKey(verifyingKey);
  const { delta } = await verifyTranscript(transcript, { signal: work.signal });
  checkDelta(delta, verifyingKey);
  requireContributor(transcript);
  const { alpha, beta, gamma, delta: delta2, ic } = verifyingKey;
  const bytes = concat(...[alpha, beta, gamma, delta2, ...ic].flat(2).map(littleEndian));
  await runNative("verifyPhase2", { r1csPath, ptauPath, verifyingKey: bytes }, work);
  return { circuitDigest };
}

/** A key that can still be contributed to. */
async function readUnfinished(path: string): Promise<ZkeyHeader> {
  const header = await readZkeyHeader(path);
  if (header.stamp?.development) {
    throw new AnchorError(
      "KEY_DEVELOPMENT",
      "this key has its maker's trapdoor in it, which no contribution takes out",
    );
  }
  return header;
}

function checkName(name: unknown): void {
  if (name !== undefined && !isName(name)) {
    throw new AnchorError("INPUT_INVALID", "a contribution's name must be a text of 1 to 64 characters");
  }
}

/** A beacon's secret is public: where all are beacons, everybody knows δ. */
function requireContributor({ contributions }: Transcript): void {
  if (contributions.every(({ kind }) => kind === "beacon")) {
    throw new AnchorError(
      "KEY_FORGEABLE",
      "this key lets anyone forge proofs: nobody contributed to it but beacons, whose secrets are public",
    );
  }
}

/** The record holds, and ends with the key's δ. */
async function verifyRecord({ transcript, delta1 }: ZkeyHeader, { signal }: LongWork): Promise<void> {
  const { delta } = await verifyTranscript(transcript, { signal });
  if (delta[0] !== delta1[0] || delta[1] !== delta1[1]) {
    throw contributionInvalid("delta", "the key's delta is not what its contributions come to");
  }
}

/** e(δ·G1, G2) = e(G1, δ·G2) */
function checkDelta([x, y]: G1Affine, { delta }: VerifyingKey): void {
  const pairs = [
    { g1: g1Point([x, y]), g2: g2Point(G2_GENERATOR) },
    { g1: g1Point(G1_GENERATOR).negate(), g2: g2Point(delta) },
  ];
  if (!pairingIsOne(pairs)) throw contributionInvalid("delta", "the key's delta is not what its contributions come to");
}

function sameContribution(a: Contribution, b: Contribution): boolean {
  const words = ({ hash, kind, name, beacon }: Contribution) =>
    JSON.stringify([hash, kind, name, beacon && [toHex(beacon.hash), beacon.iterationsExp]]);
  return words(a) === words(b);
}

/** The core says which fault it is in front of its message. */
async function checkStep(step: Promise<void>): Promise<void> {
  try {
    await step;
  } catch (error) {
    if (!isAnchorError(error, "CONTRIBUTION_INVALID")) throw error;
    const [, fault, reason] = /^([a-z]+): (.*)$/s.exec(error.message)!;
    throw contributionInvalid(fault as ContributionFault, reason!);
  }
}

/**
 * What snarkjs hashes for τ^(2n−1) − τ^(n−1), which lies beyond the end of powers of 2^power rows: its arithmetic on
 * whatever bytes follow in the file. They are no point, so that its own code must say what comes out.
 */
async function snarkjsTail(ptauPath: string, power: number): Promise<Uint8Array> {
  const { last, after, continued } = await bytesAfterPowers(ptauPath, power);
  if (continued) return new Uint8Array(); // a point like any other
  const { tm } = await buildBn128(true);
  const memory = new WebAssembly.Memory({ initial: 64 });
  const { exports } = (await WebAssembly.instantiate(tm.code, { env: { memory } })).instance;
  const call = (name: string, ...args: number[]) => (exports[name] as (...args: number[]) => void)(...args);
  // Word 0 is where the module's own allocator goes on.
  const [first, second, jacobian, affine, out] = [0, 64, 128, 224, 288].map((at) => at + 2 ** 20) as [
    number,
    number,
    number,
    number,
    number,
  ];
  new Uint32Array(memory.buffer, 0, 1)[0] = 2 ** 21;
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(after, first);
  bytes.set(last, second);
  call("g1m_subAffine", first, second, jacobian);
  call("g1m_batchToAffine", jacobian, 1, affine);
  call("g1m_batchLEMtoU", affine, 1, out);
  return bytes.slice(out, out + 64);
}
