/**
 * Key lint: refuses verifying keys that an unfinished setup leaves forgeable, or that no sound setup makes.
 *
 * Every forgery below needs no secret. With A·B = α·β + vk_x·γ + C·δ in the exponents, vk_x = IC₀ + Σ xᵢ ICᵢ:
 *
 * | flaw         | proof that verifies, for any signals                                             |
 * |--------------|----------------------------------------------------------------------------------|
 * | γ = ±δ       | A = α, B = β, C = ∓vk_x (Veil Cash and FoomCash, 2026)                           |
 * | β = ±δ       | A = vk_x, B = γ, C = ∓α                                                          |
 * | β = ±γ       | A = C = α ± vk_x, B = β + δ                                                      |
 * | α = ±IC₀     | A = C = α, B = β ± γ + δ, all signals zero                                       |
 * | IC₀ = ±ICᵢ   | A = C = α, B = β + δ, xᵢ = ∓1, the other signals zero                            |
 *
 * α, β or δ at a generator are what powers of tau and phase 2 start from: nobody contributed. Forging then takes the
 * public powers of tau as well, or the knowledge that τ = 1; nothing can be run here, and the key is refused.
 *
 * A key that passes is not thereby trustworthy: whoever knows its trapdoor can still forge, and no verifying key shows
 * whether somebody does. That needs the ceremony's record.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { Q, R } from "../field/scalar.js";
import {
  affineG1,
  affineG2,
  G1_GENERATOR,
  type G1Affine,
  G2_GENERATOR,
  type G2Affine,
  g1Point,
  g2Point,
  sameUpToSign,
} from "./curve.js";
import { keyDigest, type Proof, readKey, type VerifyingKey, verifyGroth16, verifyGroth16Batch } from "./groth16.js";

export interface KeyCheck {
  /** A stable word. */
  id: string;
  outcome: "ok" | "forgeable" | "malformed";
  /** One line: what holds, or what is wrong. */
  reason: string;
}

/** Verdicts, by digest, the least recently used first: a lint costs two verifications, and a prover lints every job. */
const verdicts = new Map<Hex, readonly KeyCheck[]>();
const MAX_VERDICTS = 64;

/**
 * Throws what the first failed check says.
 *
 * @throws KEY_FORGEABLE, KEY_MALFORMED
 */
export function lintVerifyingKey(key: VerifyingKey): void {
  for (const check of inspectVerifyingKey(key)) {
    const failure = failureOf(check);
    if (failure) throw failure;
  }
}

/** What a failed check is thrown as. */
export function failureOf({ id, outcome, reason }: KeyCheck): AnchorError | undefined {
  if (outcome === "ok") return undefined;
  const [code, what] =
    outcome === "forgeable"
      ? (["KEY_FORGEABLE", "this key lets anyone forge proofs"] as const)
      : (["KEY_MALFORMED", "the key is malformed"] as const);
  return new AnchorError(code, `${what}: ${reason}`, { details: { check: id, reason } });
}

/**
 * All checks of a verifying key, failed or not; the ones after `points` only for a key whose points are sound.
 *
 * @throws KEY_MALFORMED for what is no verifying key at all
 */
export function inspectVerifyingKey(key: VerifyingKey): readonly KeyCheck[] {
  const own = readKey(key);
  const digest = keyDigest(own);
  const known = verdicts.get(digest);
  verdicts.delete(digest);
  const checks = known ?? inspect(own);
  const [oldest] = verdicts.keys();
  if (verdicts.size >= MAX_VERDICTS) verdicts.delete(oldest!);
  verdicts.set(digest, checks);
  return checks.map((check) => ({ ...check }));
}

function inspect(key: VerifyingKey): KeyCheck[] {
  try {
    verifyGroth16Batch(key, []); // checks every point
  } catch (error) {
    if (!(error instanceof AnchorError) || error.code !== "KEY_MALFORMED") throw error;
    return [{ id: "points", outcome: "malformed", reason: String(error.details["reason"] ?? error.message) }];
  }
  const n = key.ic.length;
  return [
    ok(
      "points",
      `alpha, beta, gamma, delta and ${n} points of IC for ${n - 1} signals: canonical, of their groups, not infinity`,
    ),
    checkGammaDelta(key),
    checkGenerators(key),
    checkBeta(key),
    checkInputs(key),
    runForgery(key),
  ];
}

function checkGammaDelta(key: VerifyingKey): KeyCheck {
  const id = "gamma-delta";
  if (!sameUpToSign(key.gamma, key.delta)) return ok(id, "gamma and delta differ, also in sign");
  return forgeable(id, "gamma equals delta up to sign (setup without a contribution)", key, setupForgeries(key));
}

function checkGenerators({ alpha, beta, delta }: VerifyingKey): KeyCheck {
  const id = "generators";
  const found = (reason: string): KeyCheck => ({ id, outcome: "forgeable", reason });
  if (sameUpToSign(delta, G2_GENERATOR)) return found("delta is the generator (setup without a contribution)");
  if (sameUpToSign(beta, G2_GENERATOR)) return found("beta is the generator (powers of tau without a contribution)");
  if (alpha[0] === G1_GENERATOR[0]) return found("alpha is the generator (powers of tau without a contribution)");
  return ok(id, "neither alpha nor beta nor delta is a generator, also in sign");
}

function checkBeta(key: VerifyingKey): KeyCheck {
  const id = "beta";
  const { alpha, beta, gamma, delta, ic } = key;
  const signals = zeros(key);
  if (sameUpToSign(beta, delta)) {
    const proofs = signs(alpha).map((c) => ({ signals, proof: { a: ic[0]!, b: gamma, c } }));
    return forgeable(id, "beta equals delta up to sign", key, proofs);
  }
  if (sameUpToSign(beta, gamma)) {
    const proofs = signs(ic[0]!).map((vkx) => ({ signals, proof: shifted(addG1(alpha, vkx), beta, delta) }));
    return forgeable(id, "beta equals gamma up to sign", key, proofs);
  }
  return ok(id, "beta is neither gamma nor delta, also in sign");
}

/** Infinity among the IC points, which would leave a signal unbound, is not in {@link G1Affine}. */
function checkInputs(key: VerifyingKey): KeyCheck {
  const id = "inputs";
  const { alpha, beta, gamma, delta, ic } = key;
  const [constant, ...inputs] = ic as [G1Affine, ...G1Affine[]];
  if (constant[0] === alpha[0]) {
    const proofs = signsG2(gamma).map((g) => ({ signals: zeros(key), proof: shifted(alpha, addG2(beta, g), delta) }));
    return forgeable(id, "the constant's IC point equals alpha up to sign", key, proofs);
  }
  const alike = inputs.findIndex(([x]) => x === constant[0]);
  if (alike >= 0) {
    const proofs = [1n, R - 1n].map((value) => ({
      signals: zeros(key).map((zero, i) => (i === alike ? value : zero)),
      proof: shifted(alpha, beta, delta),
    }));
    return forgeable(id, `IC[${alike + 1}] equals IC[0] up to sign`, key, proofs);
  }
  const bad = (reason: string): KeyCheck => ({ id, outcome: "malformed", reason });
  const seen = new Map<bigint, number>();
  for (const [i, [x]] of ic.entries()) {
    const other = seen.get(x);
    if (other !== undefined) {
      return bad(`IC[${other}] and IC[${i}] are equal up to sign: a proof for some signals holds for others`);
    }
    seen.set(x, i);
    if (x === G1_GENERATOR[0]) return bad(`IC[${i}] is the generator up to sign, which no setup gives`);
    if (x === alpha[0]) return bad(`IC[${i}] equals alpha up to sign, which no setup gives`);
  }
  return ok(id, "the IC points are distinct, also in sign, and none is alpha or the generator");
}

/**
 * Runs the forgery of an unfinished setup. It rests on the pairing alone and so catches what a comparison of
 * coordinates might miss.
 */
function runForgery(key: VerifyingKey): KeyCheck {
  const id = "forgery";
  return accepted(key, setupForgeries(key))
    ? { id, outcome: "forgeable", reason: "a proof forged without any secret verifies under this key" }
    : ok(id, "the forgery that an unfinished setup allows (A = alpha, B = beta, C = ±vk_x) was run and fails");
}

interface Forgery {
  signals: bigint[];
  proof: Proof;
}

/** What γ = ±δ allows, for signals that are all zero: vk_x is IC₀. */
function setupForgeries(key: VerifyingKey): Forgery[] {
  const { alpha, beta, ic } = key;
  return signs(ic[0]!).map((c) => ({ signals: zeros(key), proof: { a: alpha, b: beta, c } }));
}

/** From A·B = …  with C at infinity, which is no proof, one with C = A: A·(B + δ) = … + A·δ. */
function shifted(a: G1Affine | undefined, b: G2Affine | undefined, delta: G2Affine): Proof | undefined {
  const sum = b === undefined ? undefined : addG2(b, delta);
  return a === undefined || sum === undefined ? undefined : { a, b: sum, c: a };
}

/** A flaw that is seen in the key's coordinates, with the forgery that it allows run. */
function forgeable(
  id: string,
  flaw: string,
  key: VerifyingKey,
  forgeries: readonly { signals: bigint[]; proof: Proof | undefined }[],
): KeyCheck {
  const shown = accepted(key, forgeries) ? "; a proof made without any secret verifies" : "";
  return { id, outcome: "forgeable", reason: flaw + shown };
}

function accepted(key: VerifyingKey, forgeries: readonly { signals: bigint[]; proof: Proof | undefined }[]): boolean {
  return forgeries.some(({ signals, proof }) => proof !== undefined && verifyGroth16(key, signals, proof));
}

function ok(id: string, reason: string): KeyCheck {
  return { id, outcome: "ok", reason };
}

function zeros({ nPublic }: VerifyingKey): bigint[] {
  return new Array<bigint>(nPublic).fill(0n);
}

function signs([x, y]: G1Affine): G1Affine[] {
  return [
    [x, y],
    [x, Q - y], // no point of G1 has y = 0: its order is odd
  ];
}

function signsG2(point: G2Affine): G2Affine[] {
  return [point, affineG2(g2Point(point).negate())];
}

/** `undefined` for infinity. */
function addG1(p: G1Affine, q: G1Affine): G1Affine | undefined {
  const sum = g1Point(p).add(g1Point(q));
  return sum.is0() ? undefined : affineG1(sum);
}

function addG2(p: G2Affine, q: G2Affine): G2Affine | undefined {
  const sum = g2Point(p).add(g2Point(q));
  return sum.is0() ? undefined : affineG2(sum);
}
