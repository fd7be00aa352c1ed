/**
 * Verifying keys with a known trapdoor, and proofs made with it: valid Groth16 proofs of nothing, in milliseconds and
 * without a circuit. Everything is derived from a seed, so that compiled verifiers can be cached.
 */
import { bn254 } from "@noble/curves/bn254.js";
import { keccak, utf8 } from "../field/bytes.js";
import { bytesToBigInt, R } from "../field/scalar.js";
import type { G1Affine, G2Affine, Proof, VerifyingKey } from "../verifier/groth16.js";

const { G1, G2, fields } = bn254;

export interface Trapdoor {
  alpha: bigint;
  beta: bigint;
  gamma: bigint;
  delta: bigint;
  ic: bigint[];
}

export interface SimulatedKey {
  vkey: VerifyingKey;
  trapdoor: Trapdoor;
}

export function mod(value: bigint): bigint {
  return ((value % R) + R) % R;
}

function invert(value: bigint): bigint {
  let result = 1n;
  let base = mod(value);
  for (let e = R - 2n; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * base) % R;
    base = (base * base) % R;
  }
  return result;
}

/** A scalar in [1, r) from a label. */
export function scalar(label: string): bigint {
  return (bytesToBigInt(keccak(utf8(label))) % (R - 1n)) + 1n;
}

/** Infinity is (0, 0), as the precompiles have it. */
export function g1(k: bigint): G1Affine {
  if (mod(k) === 0n) return [0n, 0n];
  const { x, y } = G1.Point.BASE.multiply(mod(k)).toAffine();
  return [x, y];
}

function g2(k: bigint): G2Affine {
  if (mod(k) === 0n) {
    return [
      [0n, 0n],
      [0n, 0n],
    ];
  }
  const { x, y } = G2.Point.BASE.multiply(mod(k)).toAffine();
  return [
    [x.c0, x.c1],
    [y.c0, y.c1],
  ];
}

/** A key for `n` public signals. `overrides` replaces parts of the trapdoor, to make bad keys. */
export function simulateKey(n: number, seed = "key", overrides: Partial<Trapdoor> = {}): SimulatedKey {
  const trapdoor: Trapdoor = {
    alpha: scalar(`${seed}/${n}/alpha`),
    beta: scalar(`${seed}/${n}/beta`),
    gamma: scalar(`${seed}/${n}/gamma`),
    delta: scalar(`${seed}/${n}/delta`),
    ic: Array.from({ length: n + 1 }, (_, i) => scalar(`${seed}/${n}/ic/${i}`)),
    ...overrides,
  };
  const vkey: VerifyingKey = {
    nPublic: n,
    alpha: g1(trapdoor.alpha),
    beta: g2(trapdoor.beta),
    gamma: g2(trapdoor.gamma),
    delta: g2(trapdoor.delta),
    ic: trapdoor.ic.map(g1),
  };
  return { vkey, trapdoor };
}

/** The scalar of vk_x = IC[0] + Σ signal[i] · IC[i + 1]. */
export function inputScalar(trapdoor: Trapdoor, signals: readonly bigint[]): bigint {
  return mod(signals.reduce((sum, signal, i) => sum + signal * trapdoor.ic[i + 1]!, trapdoor.ic[0]!));
}

/** Discrete logarithms of a proof's points. */
export interface ProofScalars {
  a: bigint;
  b: bigint;
  c: bigint;
}

/** A valid proof for any signals: A and B at will, and C = (a·b - α·β - vk_x·γ) / δ. */
export function simulateScalars(key: SimulatedKey, signals: readonly bigint[], seed: string): ProofScalars {
  return closeProof(key, signals, scalar(`${seed}/a`), scalar(`${seed}/b`));
}

/** As {@link simulateScalars} for A and B that are given: with one of them zero, a proof of which only infinity is wrong. */
export function closeProof({ trapdoor }: SimulatedKey, signals: readonly bigint[], a: bigint, b: bigint): ProofScalars {
  const { alpha, beta, gamma, delta } = trapdoor;
  const c = mod((a * b - alpha * beta - inputScalar(trapdoor, signals) * gamma) * invert(delta));
  return { a, b, c };
}

/** Another one, with C at infinity: A·B is all there is to prove. */
export function proofWithoutC({ trapdoor }: SimulatedKey, signals: readonly bigint[], seed: string): ProofScalars {
  const b = scalar(`${seed}/b`);
  const { alpha, beta, gamma } = trapdoor;
  return { a: mod((alpha * beta + inputScalar(trapdoor, signals) * gamma) * invert(b)), b, c: 0n };
}

export function proofOf({ a, b, c }: ProofScalars): Proof {
  return { a: g1(a), b: g2(b), c: g1(c) };
}

/** As {@link simulateScalars}, in points. */
export function simulateProof(key: SimulatedKey, signals: readonly bigint[], seed = "proof"): Proof {
  return proofOf(simulateScalars(key, signals, seed));
}

/** Another valid proof of the same statement, made without any secret: (k·A, k⁻¹·B, C). */
export function rerandomise(proof: Proof, k = scalar("rerandomise")): Proof {
  const { Fp2 } = fields;
  const a = G1.Point.fromAffine({ x: proof.a[0], y: proof.a[1] }).multiply(k).toAffine();
  const [bx, by] = proof.b;
  const b = G2.Point.fromAffine({ x: Fp2.fromBigTuple([bx[0], bx[1]]), y: Fp2.fromBigTuple([by[0], by[1]]) })
    .multiply(invert(k))
    .toAffine();
  return {
    a: [a.x, a.y],
    b: [
      [b.x.c0, b.x.c1],
      [b.y.c0, b.y.c1],
    ],
    c: proof.c,
  };
}

/** On the twist's curve, outside the subgroup of order r. */
export function wrongSubgroupG2(): G2Affine {
  const { Fp2 } = fields;
  for (let i = 1n; ; i++) {
    const x = Fp2.fromBigTuple([i, 1n]);
    const square = Fp2.add(Fp2.mul(Fp2.sqr(x), x), G2.Point.CURVE().b);
    let y: ReturnType<typeof Fp2.sqrt>;
    try {
      y = Fp2.sqrt(square);
    } catch {
      continue; // not a square: no point with this x
    }
    if (G2.Point.fromAffine({ x, y }).isTorsionFree()) continue;
    return [
      [x.c0, x.c1],
      [y.c0, y.c1],
    ];
  }
}
