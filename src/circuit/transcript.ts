/**
 * The record of a key's contributions: section 10 of a `.zkey`, as snarkjs writes and checks it.
 *
 * Phase 2 of a Groth16 setup starts from δ = 1, which everybody knows, and each contributor multiplies δ by a secret.
 * One of them forgetting theirs is enough for nobody to know δ. The record shows that each step was made by someone who
 * knew the secret of that step, and that the steps were made in this order on this circuit:
 *
 * - `transcript` = BLAKE2b(circuit hash ‖ all earlier contributions ‖ g1s ‖ g1sx) chains them;
 * - g1sx = secret·g1s, and g2spx = secret·g2sp, where g2sp is drawn from the transcript (Bowe, Gabizon and Miers,
 *   "Scalable Multi-party Computation for zk-SNARK Parameters in the Random Beacon Model", 2017, section 3);
 * - deltaAfter = secret·delta of the step before.
 *
 * What it cannot show: that the secrets were forgotten, or that different people made the steps. Names, and whether a
 * step claims to be a beacon, are not in any hash of the format: whoever hands on a key can change them. A ceremony's
 * manifest binds them by signatures.
 *
 * @module
 */
import { hash, randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { bn254 } from "@noble/curves/bn254.js";
import { blake2b } from "@noble/hashes/blake2.js";
import { AnchorError, throwIfAborted } from "../errors.js";
import { concat, type Hex, toHex, utf8, word } from "../field/bytes.js";
import { bytesToBigInt } from "../field/scalar.js";
import {
  affineG1,
  checkedG1,
  checkedG2,
  G1_GENERATOR,
  type G1Affine,
  type G1Point,
  type G2Affine,
  type G2Point,
  g1Point,
  g2Point,
  pairingIsOne,
  readG1,
  readG2,
} from "../verifier/curve.js";
import { decodeG1, decodeG2, encodeG1, encodeG2, uint32 } from "./binfile.js";
import { ChaCha, drawG1, drawG2, drawScalar } from "./seeded.js";

const { fields, pairingBatch } = bn254;

/** One step: δ times a secret, and the proof that whoever made it knew the secret. */
export interface Contribution {
  deltaAfter: G1Affine;
  g1s: G1Affine;
  g1sx: G1Affine;
  g2spx: G2Affine;
  /** 64 bytes. */
  transcript: Uint8Array;
  /** A beacon's secret is public by design: it follows from a value that nobody could foresee. */
  kind: "contribution" | "beacon";
  /** From 1 to 64 UTF-16 units, as snarkjs cuts it. Not bound by anything. */
  name?: string;
  beacon?: Beacon;
  /** BLAKE2b-512 of all of the above but kind, name and beacon: what snarkjs prints as "contribution hash". */
  hash: Hex;
}

export interface Beacon {
  /** From 1 to 255 bytes. */
  hash: Uint8Array;
  /** SHA-256 is iterated 2^iterationsExp times; from 10 to 63. */
  iterationsExp: number;
}

export interface Transcript {
  /** Names the circuit and the powers of tau that the key was made from; 64 bytes. */
  circuitHash: Hex;
  contributions: Contribution[];
}

/** What is wrong with a contribution: `details.fault` of CONTRIBUTION_INVALID. */
export type ContributionFault =
  | "truncated"
  | "malformed"
  /** The hash chain is broken: reordered, repeated, foreign or changed. */
  | "transcript"
  /** No knowledge of a secret is shown, or the secret is ±1. */
  | "knowledge"
  | "delta"
  | "beacon"
  /** A part of the key that no contribution may touch has changed. */
  | "sections"
  /** C or H were not divided by the secret. */
  | "scaling"
  | "count";

export interface TranscriptOptions {
  signal?: AbortSignal | undefined;
  /** Called with the share of the work that is done, from 0 to 1. */
  onProgress?: ((done: number) => void) | undefined;
  /** Beacons of more than 2^this hashes are refused: a key that is handed over must not cost days to check. [32] */
  maxIterationsExp?: number | undefined;
}

const HASH_BYTES = 64;
const MAX_NAME = 64;
/** Parameters of a contribution, which stand in this order. */
const NAME = 1;
const ITERATIONS = 2;
const BEACON_HASH = 3;
const MIN_ITERATIONS = 10;
const MAX_ITERATIONS = 63;
const MAX_ITERATIONS_BY_DEFAULT = 32;
/** About 10 ms, as is half a contribution: what progress counts by. */
const HASHES_AT_ONCE = 2 ** 14;
/** Some 3 ms each: the points of a contribution. */
const CHECKS_AT_ONCE = 8;
const CONTRIBUTION_COST = 2 * HASHES_AT_ONCE;

/**
 * Records whose points and pairings held, by the digest of their hash chain, the least recently used first. A ceremony's
 * record is checked anew with each contribution, and only that one is new.
 */
const held = new Set<string>();
const MAX_HELD = 256;

export function contributionInvalid(
  fault: ContributionFault,
  reason: string,
  details: Record<string, unknown> = {},
): AnchorError {
  return new AnchorError("CONTRIBUTION_INVALID", reason, { details: { fault, ...details } });
}

/** The bytes of section 10. @throws CONTRIBUTION_INVALID for values that the format has no room for */
export function encodeTranscript(transcript: Transcript): Uint8Array {
  const { circuitHash, contributions } = readTranscript(transcript);
  return concat(circuitHash, uint32(contributions.length), ...contributions.map(encodeContribution));
}

function encodeContribution({ name, beacon, ...own }: Contribution): Uint8Array {
  const parameters: Uint8Array[] = [];
  if (name !== undefined) {
    const text = utf8(name);
    parameters.push(Uint8Array.of(NAME, text.length), text);
  }
  if (beacon !== undefined) {
    parameters.push(Uint8Array.of(ITERATIONS, beacon.iterationsExp, BEACON_HASH, beacon.hash.length), beacon.hash);
  }
  const tail = concat(...parameters);
  return concat(
    encodeG1(own.deltaAfter),
    encodeG1(own.g1s),
    encodeG1(own.g1sx),
    encodeG2(own.g2spx),
    own.transcript,
    uint32(beacon === undefined ? 0 : 1),
    uint32(tail.length),
    tail,
  );
}

/**
 * Reads section 10. Each value has one spelling: {@link encodeTranscript} gives the same bytes back. Whether it holds is
 * {@link verifyTranscript}'s to say.
 *
 * @throws CONTRIBUTION_INVALID (truncated, malformed)
 */
export function decodeTranscript(bytes: Uint8Array): Transcript {
  let at = 0;
  let what = "the record of contributions";
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw contributionInvalid("truncated", `${what} ends too early`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  const count = (): number => new DataView(take(4).slice().buffer).getUint32(0, true);
  const malformed = (reason: string): never => {
    throw contributionInvalid("malformed", `${what} is malformed: ${reason}`);
  };
  const g1 = () => decodeG1(take(64)) ?? malformed("a coordinate is not below q");
  const g2 = () => decodeG2(take(128)) ?? malformed("a coordinate is not below q");

  const circuitHash = toHex(take(HASH_BYTES));
  const contributions: Contribution[] = [];
  const length = count();
  for (let i = 1; i <= length; i++) {
    what = `contribution ${i}`;
    const points = { deltaAfter: g1(), g1s: g1(), g1sx: g1(), g2spx: g2(), transcript: take(HASH_BYTES).slice() };
    const type = count();
    const end = count() + at;
    if (type > 1) malformed(`its type ${type} is unknown`);
    let name: string | undefined;
    const beacon: Partial<Beacon> = {};
    for (let last = 0; at < end; ) {
      const [parameter] = take(1) as unknown as [number];
      if (parameter <= last) malformed("its parameters are out of order");
      last = parameter;
      if (parameter === NAME) name = decodeName(take(take(1)[0]!)) ?? malformed("its name is not UTF-8");
      else if (parameter === ITERATIONS) beacon.iterationsExp = take(1)[0]!;
      else if (parameter === BEACON_HASH) beacon.hash = take(take(1)[0]!).slice();
      else malformed(`its parameter ${parameter} is unknown`);
    }
    if (at !== end) malformed("its parameters have another length than it says");
    const kind = type === 1 ? "beacon" : "contribution";
    const own = {
      ...points,
      kind,
      ...(name === undefined ? {} : { name }),
      ...(beacon.hash === undefined && beacon.iterationsExp === undefined ? {} : { beacon: beacon as Beacon }),
    } as const;
    contributions.push(readContribution({ ...own, hash: contributionHash(own) }, i));
  }
  what = "the record of contributions";
  if (at !== bytes.length) malformed("it has bytes after the last contribution");
  return { circuitHash, contributions };
}

function decodeName(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** {@link Contribution.hash} of a contribution. */
export function contributionHash(contribution: Pick<Contribution, keyof PublicKey>): Hex {
  return toHex(blake2b(publicKeyBytes(contribution), { dkLen: HASH_BYTES }));
}

type PublicKey = Pick<Contribution, "deltaAfter" | "g1s" | "g1sx" | "g2spx" | "transcript">;

/** What hashes take of a contribution: points uncompressed, big-endian, the imaginary part first. */
function publicKeyBytes({ deltaAfter, g1s, g1sx, g2spx, transcript }: PublicKey): Uint8Array {
  const [x, y] = g2spx;
  return concat(...[...deltaAfter, ...g1s, ...g1sx, x[1], x[0], y[1], y[0]].map(word), transcript);
}

/**
 * What the next contribution must put into its proof of knowledge.
 *
 * @throws CONTRIBUTION_INVALID for a record that is not well-formed; it is not verified here
 */
export function nextChallenge(
  transcript: Transcript,
  g1s: G1Affine,
  g1sx: G1Affine,
): { transcript: Uint8Array; g2sp: G2Affine } {
  const { circuitHash, contributions } = readTranscript(transcript);
  const chain = blake2b.create({ dkLen: HASH_BYTES }).update(circuitHash);
  for (const contribution of contributions) chain.update(publicKeyBytes(contribution));
  const digest = chain.update(concat(...[...g1s, ...g1sx].map(word))).digest();
  return { transcript: digest, g2sp: challengePoint(digest) };
}

/** g2sp: drawn from the transcript, so that its discrete logarithm is nobody's choice. */
function challengePoint(transcript: Uint8Array): G2Affine {
  return drawG2(new ChaCha(transcript));
}

/**
 * The public secret of a beacon, as snarkjs derives it: SHA-256 iterated 2^iterationsExp times, then two draws.
 *
 * @throws INPUT_INVALID; INPUT_TOO_LARGE for more hashes than the limit; ABORTED
 */
export async function beaconKey(
  beaconHash: Uint8Array,
  iterationsExp: number,
  { signal, onProgress, maxIterationsExp = MAX_ITERATIONS_BY_DEFAULT }: TranscriptOptions = {},
): Promise<{ secret: bigint; g1s: G1Affine }> {
  if (!isBeaconHash(beaconHash)) {
    throw new AnchorError("INPUT_INVALID", "a beacon's hash must have from 1 to 255 bytes");
  }
  if (!isIterationsExp(iterationsExp)) {
    throw new AnchorError(
      "INPUT_INVALID",
      `a beacon takes 2^n hashes, n from ${MIN_ITERATIONS} to ${MAX_ITERATIONS}; got ${iterationsExp}`,
    );
  }
  if (iterationsExp > maxIterationsExp) {
    throw new AnchorError(
      "INPUT_TOO_LARGE",
      `this beacon takes 2^${iterationsExp} hashes in a row, more than the limit of 2^${maxIterationsExp}`,
      { details: { iterationsExp, limit: maxIterationsExp } },
    );
  }
  const total = 2 ** iterationsExp;
  let digest: Uint8Array = beaconHash.slice();
  for (let done = 0; done < total; ) {
    throwIfAborted(signal);
    const until = Math.min(total, done + HASHES_AT_ONCE);
    for (; done < until; done++) digest = hash("sha256", digest, "buffer");
    onProgress?.(done / total);
    await setImmediate();
  }
  const rng = new ChaCha(digest);
  return { secret: drawScalar(rng), g1s: drawG1(rng) };
}

/**
 * Checks every contribution: hash chain, points, proof of knowledge, and that δ follows, from the generator of G1; then
 * the beacons' secrets. The pairings of all contributions are checked in one random linear combination with fresh
 * coefficients of 128 bits; when it does not hold, one by one, so that the error names the culprit. The first
 * contributions of a record that were checked in this process before are not checked again, but for their place in the chain.
 *
 * That there is any contribution is not checked here, nor that one of them is more than a beacon: see `key lint`.
 *
 * @returns δ·G1 after the last contribution
 * @throws CONTRIBUTION_INVALID, whose `details.contribution` counts from 1; INPUT_TOO_LARGE as {@link beaconKey}; ABORTED
 */
export async function verifyTranscript(
  transcript: Transcript,
  { signal, onProgress, maxIterationsExp }: TranscriptOptions = {},
): Promise<{ delta: G1Affine }> {
  const { circuitHash, contributions } = readTranscript(transcript);

  const chain = blake2b.create({ dkLen: HASH_BYTES }).update(circuitHash);
  const expected: Buffer[] = [];
  /** Of the circuit's hash and all contributions up to each. */
  const digests: string[] = [];
  for (const [i, contribution] of contributions.entries()) {
    if (i % CHECKS_AT_ONCE === 0) await setImmediate();
    throwIfAborted(signal);
    const { g1s, g1sx } = contribution;
    expected.push(
      Buffer.from(
        chain
          .clone()
          .update(concat(...[...g1s, ...g1sx].map(word)))
          .digest(),
      ),
    );
    digests.push(Buffer.from(chain.update(publicKeyBytes(contribution)).clone().digest()).toString("latin1"));
  }
  const known = digests.findLastIndex((digest) => held.has(digest)) + 1;
  const points: Omit<Step, "g2sp">[] = [];
  for (const [i, contribution] of contributions.entries()) {
    if (i % CHECKS_AT_ONCE === 0) await setImmediate();
    throwIfAborted(signal);
    if (!expected[i]!.equals(contribution.transcript)) {
      throw invalid("transcript", contribution, i, "does not follow those before it (changed, moved or foreign)");
    }
    if (i >= known) points.push(checkPoints(contributions, i));
  }

  const beacons = contributions.flatMap(({ beacon }) => (beacon === undefined ? [] : [2 ** beacon.iterationsExp]));
  const total = beacons.reduce((sum, cost) => sum + cost, CONTRIBUTION_COST * contributions.length);
  let done = CONTRIBUTION_COST * known;
  const progress = (cost: number) => onProgress?.((done += cost) / total);
  if (known > 0) progress(0);

  const steps: Step[] = [];
  let product = fields.Fp12.ONE;
  for (const [i, own] of points.entries()) {
    await setImmediate();
    throwIfAborted(signal);
    const step = { ...own, g2sp: g2Point(challengePoint(contributions[known + i]!.transcript)) };
    steps.push(step);
    const combined = combine(step, randomCoefficient(), randomCoefficient());
    product = fields.Fp12.mul(product, pairingBatch(combined, false));
    progress(CONTRIBUTION_COST);
  }
  if (steps.length > 0 && !fields.Fp12.eql(fields.Fp12.finalExponentiate(product), fields.Fp12.ONE)) {
    for (const [at, step] of steps.entries()) {
      await setImmediate();
      throwIfAborted(signal);
      const i = known + at;
      if (!pairingIsOne(combine(step, 1n, 0n))) {
        throw invalid("knowledge", contributions[i]!, i, "shows no knowledge of its secret: it is forged");
      }
      if (!pairingIsOne(combine(step, 0n, 1n))) {
        throw invalid("delta", contributions[i]!, i, "does not multiply delta by its secret");
      }
    }
    throw new AnchorError("INTERNAL", "contributions fail together but not one by one");
  }
  // What a beacon says of itself is in no hash of the chain: its secret is computed each time.
  if (digests.length > 0) remember(digests.at(-1)!);

  for (const [i, { kind, beacon, g1s, g1sx }] of contributions.entries()) {
    if (kind !== "beacon") continue;
    const cost = 2 ** beacon!.iterationsExp;
    const key = await beaconKey(beacon!.hash, beacon!.iterationsExp, {
      signal,
      onProgress: (share) => onProgress?.((done + share * cost) / total),
      maxIterationsExp,
    });
    progress(cost);
    // The pairings tie g2spx and delta to g1sx.
    const expected = [...key.g1s, ...affineG1(g1Point(key.g1s).multiplyUnsafe(key.secret))];
    if (![...g1s, ...g1sx].every((coordinate, at) => coordinate === expected[at])) {
      throw invalid("beacon", contributions[i]!, i, "is not what its beacon gives");
    }
  }
  return { delta: contributions.at(-1)?.deltaAfter ?? G1_GENERATOR };
}

function remember(digest: string): void {
  held.delete(digest);
  const [oldest] = held;
  if (held.size >= MAX_HELD) held.delete(oldest!);
  held.add(digest);
}

interface Step {
  deltaBefore: G1Point;
  deltaAfter: G1Point;
  g1s: G1Point;
  g1sx: G1Point;
  g2sp: G2Point;
  g2spx: G2Point;
}

function checkPoints(contributions: readonly Contribution[], i: number): Omit<Step, "g2sp"> {
  const contribution = contributions[i]!;
  const fail = (reason: string): never => {
    throw invalid("malformed", contribution, i, `is malformed: ${reason}`);
  };
  const { deltaAfter, g1s, g1sx, g2spx } = contribution;
  const deltaBefore = i === 0 ? G1_GENERATOR : contributions[i - 1]!.deltaAfter;
  const step = {
    deltaBefore: g1Point(deltaBefore),
    deltaAfter: checkedG1(deltaAfter, "deltaAfter", fail),
    g1s: checkedG1(g1s, "g1s", fail),
    g1sx: checkedG1(g1sx, "g1sx", fail),
    g2spx: checkedG2(g2spx, "g2spx", fail),
  };
  // P and ±P have one x: such a step leaves delta where it was for everybody who knew it.
  if (deltaAfter[0] === deltaBefore[0] || g1s[0] === g1sx[0]) {
    throw invalid("knowledge", contribution, i, "has the secret 1 or -1: it contributes nothing");
  }
  return step;
}

/**
 * The equations e(g1s, g2spx) = e(g1sx, g2sp) and e(deltaBefore, g2spx) = e(deltaAfter, g2sp), combined: the product of
 * these pairings is 1.
 */
function combine(
  { deltaBefore, deltaAfter, g1s, g1sx, g2sp, g2spx }: Step,
  knowledge: bigint,
  delta: bigint,
): { g1: G1Point; g2: G2Point }[] {
  const sum = (first: G1Point, second: G1Point) => first.multiplyUnsafe(knowledge).add(second.multiplyUnsafe(delta));
  return [
    { g1: sum(g1s, deltaBefore), g2: g2spx },
    { g1: sum(g1sx, deltaAfter).negate(), g2: g2sp },
  ].filter(({ g1 }) => !g1.is0());
}

function randomCoefficient(): bigint {
  return bytesToBigInt(randomBytes(16));
}

function invalid(fault: ContributionFault, contribution: Contribution, index: number, reason: string): AnchorError {
  const { name } = contribution;
  const label = `contribution ${index + 1}${name === undefined ? "" : ` (${JSON.stringify(name)})`}`;
  return contributionInvalid(fault, `${label} ${reason}`, {
    contribution: index + 1,
    ...(name === undefined ? {} : { name }),
  });
}

/** A record's values in objects of our own, each read once and of the right form. @throws CONTRIBUTION_INVALID */
function readTranscript(transcript: Transcript): { circuitHash: Uint8Array; contributions: Contribution[] } {
  const { circuitHash, contributions } = (transcript ?? {}) as Partial<Transcript>;
  if (typeof circuitHash !== "string" || !/^0x[0-9a-f]{128}$/.test(circuitHash) || !Array.isArray(contributions)) {
    throw contributionInvalid("malformed", "a record needs a circuit hash of 64 bytes and a list of contributions");
  }
  return {
    circuitHash: new Uint8Array(Buffer.from(circuitHash.slice(2), "hex")),
    contributions: Array.from({ length: contributions.length }, (_, i) => readContribution(contributions[i], i + 1)),
  };
}

function readContribution(value: Contribution | undefined, count: number): Contribution {
  const fail = (reason: string): never => {
    throw contributionInvalid("malformed", `contribution ${count} is malformed: ${reason}`, { contribution: count });
  };
  const { kind, name, beacon, hash: named, ...rest } = (value ?? {}) as Partial<Contribution>;
  const g1 = (point: unknown) => readG1(point) ?? fail("a point is not a pair of coordinates below q");
  const own = {
    deltaAfter: g1(rest.deltaAfter),
    g1s: g1(rest.g1s),
    g1sx: g1(rest.g1sx),
    g2spx: readG2(rest.g2spx) ?? fail("a point is not a pair of coordinates below q"),
    transcript: rest.transcript instanceof Uint8Array ? rest.transcript.slice() : fail("its transcript is not bytes"),
  };
  if (own.transcript.length !== HASH_BYTES) fail("its transcript must have 64 bytes");
  if (kind !== "contribution" && kind !== "beacon") fail("it is neither a contribution nor a beacon");
  if (name !== undefined && !isName(name)) fail(`its name must have from 1 to ${MAX_NAME} characters`);
  if ((kind === "beacon") !== (beacon !== undefined)) fail("a beacon, and nothing else, has a beacon's parameters");
  if (beacon !== undefined && !(isBeaconHash(beacon.hash) && isIterationsExp(beacon.iterationsExp))) {
    fail(`a beacon has a hash of 1 to 255 bytes, and 2^${MIN_ITERATIONS} to 2^${MAX_ITERATIONS} iterations`);
  }
  const digest = contributionHash(own);
  if (named !== digest) fail("its hash is another one's");
  return {
    ...own,
    kind: kind as Contribution["kind"],
    ...(name === undefined ? {} : { name }),
    ...(beacon === undefined ? {} : { beacon: { hash: beacon.hash.slice(), iterationsExp: beacon.iterationsExp } }),
    hash: digest,
  };
}

/** What fits where the format has a name. */
export function isName(name: unknown): boolean {
  // A surrogate without its half has no bytes of its own.
  return typeof name === "string" && name !== "" && name.length <= MAX_NAME && decodeName(utf8(name)) === name;
}

function isBeaconHash(bytes: unknown): bytes is Uint8Array {
  return bytes instanceof Uint8Array && bytes.length >= 1 && bytes.length <= 255;
}

function isIterationsExp(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= MIN_ITERATIONS && Number(value) <= MAX_ITERATIONS;
}
