/**
 * Groth16 over BN254: strict parsing of snarkjs' JSON, and verification. Whether a key is forgeable is for `lint.ts`.
 *
 * Source: J. Groth, "On the Size of Pairing-based Non-interactive Arguments", EUROCRYPT 2016, section 3.2, in the
 * form that snarkjs uses (γ, δ in G2; one IC point a public signal, and one for the constant).
 *
 * Verification takes the public signals from the caller, who rebuilds them from the statement it expects
 * (`protocol`), never from whoever made the proof.
 *
 * @module
 */
import { AnchorError, toAnchorError } from "../errors.js";
import { type Hex, keccak, tag, toHex, word } from "../field/bytes.js";
import { type NativeCore, nativeCore } from "../field/native.js";
import { isScalar, Q, R } from "../field/scalar.js";
import {
  checkedG1,
  checkedG2,
  type Fail,
  type G1Affine,
  type G2Affine,
  pairingIsOne,
  readG1,
  readG2,
} from "./curve.js";

export type { G1Affine, G2Affine } from "./curve.js";

export interface VerifyingKey {
  nPublic: number;
  alpha: G1Affine;
  beta: G2Affine;
  gamma: G2Affine;
  delta: G2Affine;
  /** `nPublic + 1` points. */
  ic: readonly G1Affine[];
}

export interface Proof {
  a: G1Affine;
  b: G2Affine;
  c: G1Affine;
}

/** snarkjs' `proof.json`. */
export interface SnarkjsProof {
  pi_a: string[];
  pi_b: string[][];
  pi_c: string[];
  protocol: string;
  curve: string;
}

/** snarkjs' `verification_key.json`; `vk_alphabeta_12` is derived and never read. */
export interface SnarkjsVerifyingKey {
  protocol: string;
  curve: string;
  nPublic: number;
  vk_alpha_1: string[];
  vk_beta_2: string[][];
  vk_gamma_2: string[][];
  vk_delta_2: string[][];
  vk_alphabeta_12?: unknown;
  IC: string[][];
}

const KEY_TAG = tag("anchorproof/groth16-bn254-key/1");
const EVIDENCE_TAG = tag("anchorproof/groth16-evidence/1");
const MAX_PUBLIC_SIGNALS = 1024;
/** The number of signals, alpha, beta, gamma and delta. */
const KEY_FIXED_WORDS = 15;
const MAX_OPEN_KEYS = 32;
const MAX_THREADS = 256;
const G1_BYTES = 64;
const G2_BYTES = 128;
const PROOF_BYTES = 2 * G1_BYTES + G2_BYTES;

/**
 * Reads snarkjs' `verification_key.json`: shapes, canonical coordinates, points on the curve and in the group of
 * order r, none at infinity. It does not lint: see `lintVerifyingKey`.
 *
 * @throws KEY_MALFORMED
 */
export function parseVerifyingKey(json: unknown): VerifyingKey {
  const fail: Fail = malformed("KEY_MALFORMED", "the verifying key");
  const record = object(json, fail);
  checkSystem(record, fail);
  const nPublic = record["nPublic"];
  if (typeof nPublic !== "number" || !Number.isInteger(nPublic) || nPublic < 0 || nPublic > MAX_PUBLIC_SIGNALS) {
    fail(`nPublic must be an integer from 0 to ${MAX_PUBLIC_SIGNALS}`);
  }
  const points = record["IC"];
  if (!Array.isArray(points) || points.length !== nPublic + 1) fail("IC must have nPublic + 1 points");
  const key: VerifyingKey = {
    nPublic,
    alpha: g1(record["vk_alpha_1"], "vk_alpha_1", fail),
    beta: g2(record["vk_beta_2"], "vk_beta_2", fail),
    gamma: g2(record["vk_gamma_2"], "vk_gamma_2", fail),
    delta: g2(record["vk_delta_2"], "vk_delta_2", fail),
    ic: Array.from({ length: nPublic + 1 }, (_, i) => g1(points[i], `IC[${i}]`, fail)),
  };
  return key;
}

/**
 * Names a key: keccak256 over a tag and its canonical words. The same digest is computed on chain.
 *
 * Words, 32 bytes each, big-endian: nPublic, α, β, γ, δ, IC…; a G2 coordinate's imaginary part first.
 */
export function keyDigest(key: VerifyingKey): Hex {
  return toHex(keccak(KEY_TAG, ...keyWords(key).map(word)));
}

/** A key's canonical words, as {@link keyDigest} hashes them and the universal verifier takes them. */
export function keyWords(key: VerifyingKey): bigint[] {
  const words = [BigInt(key.nPublic), ...key.alpha, ...g2Words(key.beta), ...g2Words(key.gamma), ...g2Words(key.delta)];
  for (const point of key.ic) words.push(...point);
  return words;
}

/**
 * The key that has these words.
 *
 * @throws KEY_MALFORMED as {@link parseVerifyingKey}
 */
export function keyFromWords(words: readonly bigint[]): VerifyingKey {
  const fail: Fail = malformed("KEY_MALFORMED", "the verifying key");
  const own = Array.from({ length: words.length }, (_, i) => words[i]);
  if (!own.every((value) => typeof value === "bigint")) fail("a word is no bigint");
  const nPublic = Number(own[0] ?? -1n);
  if (own.length !== KEY_FIXED_WORDS + 2 * (nPublic + 1)) fail("the number of words is not that of a key");
  const at = (i: number) => String(own[i]);
  const first = (i: number) => [at(i), at(i + 1), "1"];
  const second = (i: number) => [
    [at(i + 1), at(i)],
    [at(i + 3), at(i + 2)],
    ["1", "0"],
  ];
  return parseVerifyingKey({
    protocol: "groth16",
    curve: "bn128",
    nPublic,
    vk_alpha_1: first(1),
    vk_beta_2: second(3),
    vk_gamma_2: second(7),
    vk_delta_2: second(11),
    IC: Array.from({ length: nPublic + 1 }, (_, i) => first(KEY_FIXED_WORDS + 2 * i)),
  });
}

/** Back to snarkjs' JSON, without the derived `vk_alphabeta_12` (snarkjs' own verifier does not read it either). */
export function verifyingKeyToJson(key: VerifyingKey): SnarkjsVerifyingKey {
  return {
    protocol: "groth16",
    curve: "bn128",
    nPublic: key.nPublic,
    vk_alpha_1: g1Json(key.alpha),
    vk_beta_2: g2Json(key.beta),
    vk_gamma_2: g2Json(key.gamma),
    vk_delta_2: g2Json(key.delta),
    IC: key.ic.map(g1Json),
  };
}

/**
 * Reads snarkjs' `proof.json`: three points with canonical coordinates, on the curve, B in the group of order r, none
 * at infinity (an honest prover meets infinity with probability 2⁻²⁵⁴).
 *
 * @throws PROOF_MALFORMED
 */
export function parseProof(json: unknown): Proof {
  const fail: Fail = malformed("PROOF_MALFORMED", "the proof");
  const record = object(json, fail);
  checkSystem(record, fail);
  return {
    a: g1(record["pi_a"], "pi_a", fail),
    b: g2(record["pi_b"], "pi_b", fail),
    c: g1(record["pi_c"], "pi_c", fail),
  };
}

export function proofToJson(proof: Proof): SnarkjsProof {
  return { pi_a: g1Json(proof.a), pi_b: g2Json(proof.b), pi_c: g1Json(proof.c), protocol: "groth16", curve: "bn128" };
}

/** The proof as the contracts take it: A, B with imaginary parts first, C. */
export function proofWords(proof: Proof): bigint[] {
  return [...proof.a, ...g2Words(proof.b), ...proof.c];
}

/** Reads snarkjs' `public.json`: canonical decimals in [0, r). @throws INPUT_INVALID */
export function parsePublicSignals(json: unknown): bigint[] {
  if (!Array.isArray(json) || json.length > MAX_PUBLIC_SIGNALS) {
    throw new AnchorError("INPUT_INVALID", "public signals must be an array of decimal strings");
  }
  // Not map, which skips the holes of an array.
  return Array.from({ length: json.length }, (_, i) => {
    const signal = decimal(json[i]);
    if (signal === undefined || signal >= R) {
      throw new AnchorError("INPUT_INVALID", `public signal ${i} is not a canonical decimal below r`);
    }
    return signal;
  });
}

/**
 * Verifies one proof: e(A, B) = e(α, β) · e(Σ xᵢ ICᵢ, γ) · e(C, δ). The native core does it when it is there, noble
 * otherwise; both check the key and the proof as {@link parseVerifyingKey} and {@link parseProof} do, so that objects
 * built by hand are safe too. Every value is read once: what was checked is what is used.
 *
 * @param publicSignals `nPublic` scalars, rebuilt by the caller from the statement it expects
 * @returns whether the equation holds
 * @throws INPUT_INVALID for a wrong number of signals or one outside [0, r) (aliases of a value are never accepted);
 * KEY_MALFORMED, PROOF_MALFORMED for a point that is not canonical, off its curve or group, or at infinity
 */
export function verifyGroth16(key: VerifyingKey, publicSignals: readonly bigint[], proof: Proof): boolean {
  const ownKey = readKey(key);
  const signals = readSignals(ownKey, () => publicSignals);
  const ownProof = readProof(() => proof);
  return openKey(ownKey).verify(signals, ownProof);
}

/** A proof, and the public signals that its verifier expects. */
export interface Groth16Item {
  publicSignals: readonly bigint[];
  proof: Proof;
}

/**
 * Verifies many proofs of one key. The native core checks one random linear combination of all equations, with fresh
 * coefficients of 128 bits that also depend on every input, and looks for the bad proofs by bisection when it does not
 * hold: a bad proof passes with probability 2⁻¹²⁸. Without the core each proof is verified by itself.
 *
 * @param options.threads of the native core, from 1 to 256 [1]
 * @returns a verdict for each item: false for a proof that does not verify or is malformed, which spoils no other
 * @throws INPUT_INVALID, for any item's signals as {@link verifyGroth16}; KEY_MALFORMED
 */
export function verifyGroth16Batch(
  key: VerifyingKey,
  items: readonly Groth16Item[],
  options: { threads?: number } = {},
): boolean[] {
  if (typeof options !== "object" || options === null) {
    throw new AnchorError("INPUT_INVALID", "options must be an object");
  }
  const { threads = 1 } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new AnchorError("INPUT_INVALID", `threads must be an integer from 1 to ${MAX_THREADS}`);
  }
  if (!Array.isArray(items)) throw new AnchorError("INPUT_INVALID", "items must be an array");
  const ownKey = readKey(key);
  const ownItems = Array.from({ length: items.length }, (_, i) => {
    const item = items[i] as Groth16Item;
    return { publicSignals: readSignals(ownKey, () => item.publicSignals), proof: readProof(() => item.proof) };
  });
  return openKey(ownKey).verifyBatch(ownItems, threads);
}

/**
 * Names one piece of evidence: keccak256 over a tag, the key digest, the public signals and the proof's words.
 *
 * Two proofs of one statement have different digests (Groth16 proofs can be re-randomised), so this names evidence
 * and must never serve as a nullifier.
 */
export function evidenceDigest(key: Hex, publicSignals: readonly bigint[], proof: Proof): Hex {
  const words = [BigInt(publicSignals.length), ...publicSignals, ...proofWords(proof)];
  return toHex(keccak(EVIDENCE_TAG, word(BigInt(key)), ...words.map(word)));
}

/** What was read of a {@link Groth16Item}: arrays of our own. */
interface OwnItem {
  publicSignals: readonly bigint[];
  /** `undefined` for what is not three affine points. */
  proof: Proof | undefined;
}

/** A key whose points were checked. Signals are checked before; of a proof only the shape is. */
interface OpenKey {
  verify(publicSignals: readonly bigint[], proof: Proof | undefined): boolean;
  verifyBatch(items: readonly OwnItem[], threads: number): boolean[];
}

/**
 * By the key's bytes, the least recently used first: checking a key and preparing its pairings costs more than a
 * verification. Not by the object, which its holder could change.
 */
const openKeys = new Map<string, OpenKey>();

function openKey(key: VerifyingKey): OpenKey {
  const bytes = keyBytes(key);
  const name = Buffer.from(bytes.buffer).toString("latin1");
  let open = openKeys.get(name);
  openKeys.delete(name);
  if (open === undefined) {
    const core = nativeCore();
    open = core === undefined ? openPortable(key) : openNative(core, bytes);
    const [oldest] = openKeys.keys();
    if (openKeys.size >= MAX_OPEN_KEYS) openKeys.delete(oldest!);
  }
  openKeys.set(name, open);
  return open;
}

function openNative(core: NativeCore, bytes: Uint8Array): OpenKey {
  const handle = core.openVerifyingKey(bytes);
  return {
    verify(publicSignals, proof) {
      return core.verify(handle, encode(publicSignals), proofBytes(proof ?? notAffine()));
    },
    verifyBatch(items, threads) {
      const proofs = new Uint8Array(items.length * PROOF_BYTES);
      items.forEach(({ proof }, i) => {
        // What has no encoding must be malformed to the core as well: 2²⁵⁶ − 1 is above q.
        if (proof === undefined) proofs.fill(0xff, i * PROOF_BYTES, (i + 1) * PROOF_BYTES);
        else proofs.set(proofBytes(proof), i * PROOF_BYTES);
      });
      const publics = encode(items.flatMap(({ publicSignals }) => publicSignals));
      return Array.from(core.verifyBatch(handle, publics, proofs, items.length, threads), (verdict) => verdict === 1);
    },
  };
}

function openPortable(key: VerifyingKey): OpenKey {
  const fail = malformed("KEY_MALFORMED", "the verifying key");
  const ic = key.ic.map((point, i) => checkedG1(point, `IC[${i}]`, fail));
  const minusAlpha = checkedG1(key.alpha, "alpha", fail).negate();
  const beta = checkedG2(key.beta, "beta", fail);
  const gamma = checkedG2(key.gamma, "gamma", fail);
  const delta = checkedG2(key.delta, "delta", fail);
  const verify = (publicSignals: readonly bigint[], proof: Proof = notAffine()): boolean => {
    const bad = malformed("PROOF_MALFORMED", "the proof");
    const a = checkedG1(proof.a, "A", bad);
    const b = checkedG2(proof.b, "B", bad);
    const c = checkedG1(proof.c, "C", bad);
    let input = ic[0]!;
    publicSignals.forEach((signal, i) => {
      if (signal !== 0n) input = input.add(ic[i + 1]!.multiplyUnsafe(signal));
    });
    return pairingIsOne([
      { g1: a, g2: b },
      { g1: minusAlpha, g2: beta },
      { g1: input.negate(), g2: gamma },
      { g1: c.negate(), g2: delta },
    ]);
  };
  return {
    verify,
    verifyBatch: (items) =>
      items.map(({ publicSignals, proof }) => {
        try {
          return verify(publicSignals, proof);
        } catch (error) {
          if (error instanceof AnchorError && error.code === "PROOF_MALFORMED") return false;
          throw error;
        }
      }),
  };
}

/**
 * A key's values in arrays of our own, each read once: between two readings a getter, a proxy or an array with methods
 * of its own could change what it says.
 *
 * @throws KEY_MALFORMED
 * @internal
 */
export function readKey(key: VerifyingKey): VerifyingKey {
  const fail: Fail = malformed("KEY_MALFORMED", "the verifying key");
  const first = (point: unknown) => readG1(point) ?? fail("alpha or a point of IC is not an affine G1 point");
  const second = (point: unknown) => readG2(point) ?? fail("beta, gamma or delta is not an affine G2 point");
  try {
    const { nPublic, alpha, beta, gamma, delta, ic } = key;
    if (!Number.isInteger(nPublic) || nPublic < 0 || nPublic > MAX_PUBLIC_SIGNALS) {
      fail(`nPublic must be an integer from 0 to ${MAX_PUBLIC_SIGNALS}`);
    }
    if (!Array.isArray(ic) || ic.length !== nPublic + 1) fail("IC must have nPublic + 1 points");
    return {
      nPublic,
      alpha: first(alpha),
      beta: second(beta),
      gamma: second(gamma),
      delta: second(delta),
      ic: Array.from({ length: nPublic + 1 }, (_, i) => first(ic[i])),
    };
  } catch (error) {
    throw toAnchorError(error, "KEY_MALFORMED", "the verifying key cannot be read");
  }
}

/** As {@link readKey}; what `read` gives may have getters, and be one. @throws INPUT_INVALID */
function readSignals({ nPublic }: VerifyingKey, read: () => unknown): bigint[] {
  try {
    const signals = read();
    if (!Array.isArray(signals) || signals.length !== nPublic) {
      throw new AnchorError("INPUT_INVALID", `this key takes an array of ${nPublic} public signals`);
    }
    return Array.from({ length: nPublic }, (_, i) => {
      const signal: unknown = signals[i];
      if (!isScalar(signal)) throw new AnchorError("INPUT_INVALID", `public signal ${i} is outside the field`);
      return signal;
    });
  } catch (error) {
    throw toAnchorError(error, "INPUT_INVALID", "the public signals cannot be read");
  }
}

/** As {@link readSignals}. @returns `undefined` for what is not three affine points */
function readProof(read: () => Proof): Proof | undefined {
  try {
    const proof = read();
    const [a, b, c] = [readG1(proof.a), readG2(proof.b), readG1(proof.c)];
    return a && b && c ? { a, b, c } : undefined;
  } catch {
    return undefined;
  }
}

function notAffine(): never {
  return malformed("PROOF_MALFORMED", "the proof")("A, B and C must be affine points");
}

/** The native core's encoding: integers in 32 bytes, little-endian; α‖β‖γ‖δ‖IC. */
function keyBytes({ alpha, beta, gamma, delta, ic }: VerifyingKey): Uint8Array<ArrayBuffer> {
  return encode([alpha, beta, gamma, delta, ...ic].flat(2));
}

/** A‖B‖C as the native core takes it. */
function proofBytes({ a, b, c }: Proof): Uint8Array {
  return encode([a, b, c].flat(2));
}

function encode(values: readonly bigint[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(values.length * 32));
  values.forEach((value, i) => {
    // All were checked by now; an alias of a value must not come of cutting one.
    if (value >> 256n !== 0n) throw new AnchorError("INTERNAL", "a value does not fit 32 bytes");
    for (let word = 0; word < 4; word++) view.setBigUint64(32 * i + 8 * word, value >> BigInt(64 * word), true);
  });
  return new Uint8Array(view.buffer);
}

function malformed(code: "KEY_MALFORMED" | "PROOF_MALFORMED", what: string): Fail {
  return (reason) => {
    throw new AnchorError(code, `${what} is malformed: ${reason}`, { details: { reason } });
  };
}

function object(value: unknown, fail: Fail): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail("it is not a JSON object");
  return value as Record<string, unknown>;
}

function checkSystem(record: Record<string, unknown>, fail: Fail): void {
  if (record["protocol"] !== "groth16") fail("protocol must be groth16");
  if (record["curve"] !== "bn128" && record["curve"] !== "bn254") fail("curve must be bn128");
}

/** A canonical decimal: no sign, no leading zero, at most 78 digits. */
function decimal(value: unknown): bigint | undefined {
  return typeof value === "string" && /^(?:0|[1-9]\d{0,77})$/.test(value) ? BigInt(value) : undefined;
}

function coordinate(value: unknown, name: string, fail: Fail): bigint {
  const result = decimal(value);
  if (result === undefined || result >= Q) fail(`${name} is not a canonical decimal below q`);
  return result;
}

function g1(value: unknown, name: string, fail: Fail): G1Affine {
  if (!Array.isArray(value) || value.length !== 3 || value[2] !== "1") fail(`${name} is not an affine G1 point`);
  const point: G1Affine = [coordinate(value[0], name, fail), coordinate(value[1], name, fail)];
  checkedG1(point, name, fail);
  return point;
}

function g2(value: unknown, name: string, fail: Fail): G2Affine {
  if (!Array.isArray(value) || value.length !== 3) fail(`${name} is not an affine G2 point`);
  // Not map, which skips the holes of an array.
  const [x, y, z] = Array.from(value, (pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2) fail(`${name} is not an affine G2 point`);
    return [coordinate(pair[0], name, fail), coordinate(pair[1], name, fail)] as const;
  }) as [G2Affine[0], G2Affine[1], G2Affine[0]];
  if (z[0] !== 1n || z[1] !== 0n) fail(`${name} is not an affine G2 point`);
  const point: G2Affine = [x, y];
  checkedG2(point, name, fail);
  return point;
}

function g2Words([x, y]: G2Affine): [bigint, bigint, bigint, bigint] {
  return [x[1], x[0], y[1], y[0]];
}

function g1Json([x, y]: G1Affine): string[] {
  return [x.toString(), y.toString(), "1"];
}

function g2Json([x, y]: G2Affine): string[][] {
  return [
    [x[0].toString(), x[1].toString()],
    [y[0].toString(), y[1].toString()],
    ["1", "0"],
  ];
}
