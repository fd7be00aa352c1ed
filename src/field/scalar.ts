/**
 * Scalars of BN254: the field of every signal, hash and public input of a circuit.
 *
 * Values are plain `bigint`s in `[0, r)`. Nothing here is constant-time; blinding values and salts are handled by
 * the caller for as short a time as it needs them.
 *
 * @module
 */
import { randomBytes } from "@noble/hashes/utils.js";
import { AnchorError } from "../errors.js";

/** Order r of BN254's groups, and the modulus of circuit signals (EIP-196). */
export const R = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;

/** Modulus q of BN254's base field, where point coordinates live (EIP-196). */
export const Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

export function isScalar(value: unknown): value is bigint {
  return typeof value === "bigint" && value >= 0n && value < R;
}

/** Checks a scalar at a boundary. @throws INPUT_INVALID */
export function assertScalar(value: unknown, name: string): asserts value is bigint {
  if (!isScalar(value)) {
    throw new AnchorError("INPUT_INVALID", `${name} must be an integer in [0, r) of BN254`, { details: { name } });
  }
}

/** Reduces any integer into `[0, r)`. */
export function mod(value: bigint): bigint {
  const rest = value % R;
  return rest < 0n ? rest + R : rest;
}

/** `base ** exponent` in the field. */
export function pow(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % R;
    square = (square * square) % R;
  }
  return result;
}

/** Inverse in the field; zero has none. @throws INPUT_INVALID */
export function invert(value: bigint): bigint {
  let a = mod(value);
  if (a === 0n) throw new AnchorError("INPUT_INVALID", "zero has no inverse");
  let b = R;
  let x = 1n;
  let y = 0n;
  while (a !== 1n) {
    const quotient = b / a;
    [b, a] = [a, b - quotient * a];
    [y, x] = [x, y - quotient * x];
  }
  return mod(x);
}

/** Inverts many values with one inversion (Montgomery's trick). No value may be zero. */
export function invertMany(values: readonly bigint[]): bigint[] {
  const prefix: bigint[] = new Array(values.length);
  let product = 1n;
  for (let i = 0; i < values.length; i++) {
    prefix[i] = product;
    product = (product * values[i]!) % R;
  }
  let inverse = invert(product);
  const result: bigint[] = new Array(values.length);
  for (let i = values.length - 1; i >= 0; i--) {
    result[i] = (inverse * prefix[i]!) % R;
    inverse = (inverse * values[i]!) % R;
  }
  return result;
}

/** A uniform scalar from the operating system's generator, by rejection (no modulo bias). */
export function randomScalar(): bigint {
  for (;;) {
    const bytes = randomBytes(32);
    bytes[0]! &= 0x3f; // r has 254 bits: about three quarters of the draws are accepted
    const value = bytesToBigInt(bytes);
    if (value < R) return value;
  }
}

/** Big-endian bytes to an integer. */
export function bytesToBigInt(bytes: Uint8Array): bigint {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex === "" ? 0n : BigInt(`0x${hex}`);
}

/** An integer to `length` big-endian bytes. @throws INPUT_INVALID when it does not fit */
export function bigIntToBytes(value: bigint, length: number): Uint8Array {
  if (value < 0n || value >> BigInt(8 * length) !== 0n) {
    throw new AnchorError("INPUT_INVALID", `an integer does not fit ${length} bytes`);
  }
  const hex = value.toString(16).padStart(2 * length, "0");
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
