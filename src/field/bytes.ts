/**
 * Bytes, hex and field elements.
 *
 * @module
 */
import { keccak_256 } from "@noble/hashes/sha3.js";
import { AnchorError } from "../errors.js";
import { bigIntToBytes, bytesToBigInt } from "./scalar.js";

/** Lower-case 0x-hex of whole bytes. Other spellings of the same bytes are refused everywhere. */
export type Hex = `0x${string}`;

/** Bytes that fit one field element: 248 bits, so that every element stays far below r. */
export const ELEMENT_BYTES = 31;

export function toHex(bytes: Uint8Array): Hex {
  let hex = "0x";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex as Hex;
}

/** @throws INPUT_INVALID unless `value` is lower-case 0x-hex of exactly `length` bytes (any whole number if absent) */
export function fromHex(value: unknown, name: string, length?: number): Uint8Array {
  assertHex(value, name, length);
  const bytes = new Uint8Array((value.length - 2) / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(value.slice(2 + 2 * i, 4 + 2 * i), 16);
  return bytes;
}

/** @throws INPUT_INVALID */
export function assertHex(value: unknown, name: string, length?: number): asserts value is Hex {
  if (typeof value !== "string" || !/^0x(?:[0-9a-f]{2})*$/.test(value)) {
    throw new AnchorError("INPUT_INVALID", `${name} must be lower-case 0x-hex`, { details: { name } });
  }
  if (length !== undefined && value.length !== 2 + 2 * length) {
    throw new AnchorError("INPUT_INVALID", `${name} must have ${length} bytes`, { details: { name } });
  }
}

/** A 32-byte word, big-endian: how the EVM sees an integer. */
export function word(value: bigint): Uint8Array {
  return bigIntToBytes(value, 32);
}

/** The word as hex. */
export function wordHex(value: bigint): Hex {
  return toHex(word(value));
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function keccak(...parts: readonly Uint8Array[]): Uint8Array {
  return keccak_256(concat(...parts));
}

/** `keccak256(text)`: how domain tags of contracts and statements are made. */
export function tag(text: string): Uint8Array {
  return keccak_256(utf8(text));
}

/** An ASCII tag of at most 8 characters as an integer, for the capacity of Poseidon. Lengths go above bit 64. */
export function capacityTag(text: string): bigint {
  if (!/^[\x20-\x7e]{1,8}$/.test(text)) throw new AnchorError("INTERNAL", "a capacity tag is 1 to 8 ASCII characters");
  return bytesToBigInt(utf8(text));
}

/**
 * Packs bytes into field elements, 31 a piece, big-endian within an element; the last is filled with zeros on the
 * right. Injective only together with the length, which the caller commits to.
 */
export function packElements(bytes: Uint8Array): bigint[] {
  const elements: bigint[] = [];
  for (let offset = 0; offset < bytes.length; offset += ELEMENT_BYTES) {
    const piece = new Uint8Array(ELEMENT_BYTES);
    piece.set(bytes.subarray(offset, offset + ELEMENT_BYTES));
    elements.push(bytesToBigInt(piece));
  }
  return elements;
}
