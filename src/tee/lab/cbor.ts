/**
 * A writer of CBOR (RFC 8949): shortest lengths and members in the order given, or whatever bytes are spliced in.
 *
 * @module
 */
import { concat, utf8 } from "../../field/bytes.js";
import { bigEndian } from "./bytes.js";

/** Written as it is: a bad encoding, or something encoded elsewhere. */
export class Raw {
  constructor(readonly bytes: Uint8Array) {}
}

export class Tagged {
  constructor(
    readonly tag: number,
    readonly value: CborValue,
  ) {}
}

/** A map or array of indefinite length. */
export class Indefinite {
  constructor(readonly value: CborMembers | readonly CborValue[]) {}
}

/** A map, in this order; a key may stand twice. */
export class CborMembers {
  constructor(readonly entries: readonly (readonly [CborValue, CborValue])[]) {}
}

export type CborValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly CborValue[]
  | CborMembers
  | Raw
  | Tagged
  | Indefinite;

export function map(...entries: (readonly [CborValue, CborValue])[]): CborMembers {
  return new CborMembers(entries);
}

export function encode(value: CborValue): Uint8Array {
  if (typeof value === "number" || typeof value === "bigint") {
    return value < 0 ? head(1, -1n - BigInt(value)) : head(0, BigInt(value));
  }
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === "string") return concat(head(3, utf8(value).length), utf8(value));
  if (value instanceof Uint8Array) return concat(head(2, value.length), value);
  if (value instanceof Raw) return value.bytes;
  if (value instanceof Tagged) return concat(head(6, value.tag), encode(value.value));
  if (value instanceof CborMembers) return concat(head(5, value.entries.length), ...items(value));
  if (value instanceof Indefinite) {
    const start = value.value instanceof CborMembers ? 0xbf : 0x9f;
    return concat(Uint8Array.of(start), ...items(value.value), Uint8Array.of(0xff));
  }
  return concat(head(4, value.length), ...items(value));
}

function items(value: CborMembers | readonly CborValue[]): Uint8Array[] {
  if (value instanceof CborMembers) return value.entries.flatMap(([key, item]) => [encode(key), encode(item)]);
  return value.map(encode);
}

/** Major type and argument, in the shortest form. */
export function head(major: number, argument: number | bigint): Uint8Array {
  const value = BigInt(argument);
  if (value < 24n) return Uint8Array.of((major << 5) | Number(value));
  const size = value < 0x100n ? 1 : value < 0x10000n ? 2 : value < 0x100000000n ? 4 : 8;
  return concat(Uint8Array.of((major << 5) | (24 + Math.log2(size))), bigEndian(value, size));
}
