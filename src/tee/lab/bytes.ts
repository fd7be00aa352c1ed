/**
 * Fields of fixed width, written from what is convenient to say in a test.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { fromHex, type Hex } from "../../field/bytes.js";
import type { Collateral } from "../collateral.js";
import type { Evidence } from "../evidence.js";
import type { Roots } from "../roots.js";

/** What every family's maker gives, beside its parts: `verify(evidence, collateral, { now, roots })` accepts it. */
export interface Lab<E extends Evidence> {
  now: number;
  roots: Partial<Roots>;
  evidence: E;
  collateral: Collateral;
}

/** Bytes, 0x-hex, or a list of numbers. */
export type Bytes = Uint8Array | Hex | readonly number[];

export function toBytes(value: Bytes): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return typeof value === "string" ? fromHex(value, "bytes") : Uint8Array.from(value);
}

/** Zeros behind what is shorter than the field. */
export function fixed(value: Bytes | undefined, length: number): Uint8Array {
  const bytes = toBytes(value ?? []);
  if (bytes.length > length) {
    throw new AnchorError("INPUT_INVALID", `${bytes.length} bytes for a field of ${length}`);
  }
  const field = new Uint8Array(length);
  field.set(bytes);
  return field;
}

/** `length` bytes of one value: a measurement that is easy to tell from others. */
export function filled(value: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

export function littleEndian(value: number | bigint, length: number): Uint8Array {
  return bigEndian(value, length).reverse();
}

export function bigEndian(value: number | bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = length - 1, rest = BigInt(value); i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** Overwrites fields of a structure at their offsets. */
export function place(length: number, fields: readonly (readonly [offset: number, bytes: Uint8Array])[]): Uint8Array {
  const whole = new Uint8Array(length);
  for (const [offset, bytes] of fields) whole.set(bytes, offset);
  return whole;
}

/** What verifiers of the laboratory's devices ask with unless told otherwise. */
export const LAB_NONCE = filled(0x4e, 32);
