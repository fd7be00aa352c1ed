/**
 * Scalars and points drawn from a seed, bit for bit as snarkjs draws them (ffjavascript 0.3, `chacha.js`, `fromRng`).
 *
 * Everyone who checks a ceremony must come to the same points: the second generator of each proof of knowledge, and
 * the secret of a beacon. The generator is ChaCha with 20 rounds and a counter of 128 bits; field elements are drawn by
 * rejection and taken as they are for the *Montgomery form* of the value.
 *
 * @module
 */
import { bn254 } from "@noble/curves/bn254.js";
import { Q, R } from "../field/scalar.js";
import { affineG2, type G1Affine, type G2Affine, type G2Point } from "../verifier/curve.js";
import { fromMontgomery } from "./binfile.js";

const { G2, fields } = bn254;
const { Fp, Fp2 } = fields;

const FIELD_MASK = 2n ** 254n - 1n;
/** The twist has r·(2q − r) points (EIP-197's curve; Barreto and Naehrig, "Pairing-friendly elliptic curves"). */
const G2_COFACTOR = 2n * Q - R;

export class ChaCha {
  readonly #state: Uint32Array;
  readonly #block = new Uint32Array(16);
  #used = 16;

  /** @param seed at least 32 bytes; the first 32 count, as eight words, big-endian */
  constructor(seed: Uint8Array) {
    const view = new DataView(seed.buffer, seed.byteOffset, 32);
    const words = Array.from({ length: 8 }, (_, i) => view.getUint32(4 * i));
    this.#state = Uint32Array.from([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...words, 0, 0, 0, 0]);
  }

  word(): number {
    if (this.#used === 16) this.#next();
    return this.#block[this.#used++]!;
  }

  element(field: "fq" | "fr"): bigint {
    const modulus = field === "fq" ? Q : R;
    for (;;) {
      let drawn = 0n;
      for (let i = 0; i < 4; i++) {
        const high = BigInt(this.word());
        drawn |= ((high << 32n) | BigInt(this.word())) << BigInt(64 * i);
      }
      drawn &= FIELD_MASK;
      if (drawn < modulus) return fromMontgomery(drawn, field);
    }
  }

  #next(): void {
    const block = this.#block;
    block.set(this.#state);
    for (let round = 0; round < 20; round += 2) {
      for (let i = 0; i < 4; i++) quarter(block, i, 4 + i, 8 + i, 12 + i);
      for (let i = 0; i < 4; i++) quarter(block, i, 4 + ((i + 1) % 4), 8 + ((i + 2) % 4), 12 + ((i + 3) % 4));
    }
    for (let i = 0; i < 16; i++) block[i] = block[i]! + this.#state[i]!;
    for (let i = 12; i < 16; i++) {
      this.#state[i]! += 1;
      if (this.#state[i] !== 0) break;
    }
    this.#used = 0;
  }
}

function quarter(block: Uint32Array, a: number, b: number, c: number, d: number): void {
  const mix = (to: number, from: number, into: number, bits: number) => {
    block[to] = block[to]! + block[from]!;
    const x = block[into]! ^ block[to]!;
    block[into] = (x << bits) | (x >>> (32 - bits));
  };
  mix(a, b, d, 16);
  mix(c, d, b, 12);
  mix(a, b, d, 8);
  mix(c, d, b, 7);
}

export function drawScalar(rng: ChaCha): bigint {
  return rng.element("fr");
}

/** A point of G1 whose discrete logarithm nobody knows. */
export function drawG1(rng: ChaCha): G1Affine {
  for (;;) {
    const x = rng.element("fq");
    const greater = (rng.word() & 1) === 1;
    const y = root(Fp, Fp.add(Fp.mul(Fp.sqr(x), x), 3n));
    if (y !== undefined) return [x, isGreater(y) === greater ? y : Fp.neg(y)];
  }
}

/** A point of G2 whose discrete logarithm nobody knows. */
export function drawG2(rng: ChaCha): G2Affine {
  for (;;) {
    const c0 = rng.element("fq");
    const x = Fp2.fromBigTuple([c0, rng.element("fq")]);
    const greater = (rng.word() & 1) === 1;
    const y = root(Fp2, Fp2.add(Fp2.mul(Fp2.sqr(x), x), G2.Point.CURVE().b));
    if (y === undefined) continue;
    const isGreatest = y.c1 === 0n ? isGreater(y.c0) : isGreater(y.c1);
    return affineG2(clearCofactor(G2.Point.fromAffine({ x, y: isGreatest === greater ? y : Fp2.neg(y) })));
  }
}

/** Of y and −y, the one above (q − 1)/2 is the greater. */
function isGreater(y: bigint): boolean {
  return y > (Q - 1n) / 2n;
}

function root<T>(field: { sqrt(value: T): T }, square: T): T | undefined {
  try {
    return field.sqrt(square);
  } catch {
    return undefined; // half of all values have no root
  }
}

/** By doubling and adding: noble multiplies by scalars below r only, and this point is not in the group of order r yet. */
function clearCofactor(point: G2Point): G2Point {
  let result = G2.Point.ZERO;
  for (const bit of G2_COFACTOR.toString(2)) {
    result = result.double();
    if (bit === "1") result = result.add(point);
  }
  return result;
}
