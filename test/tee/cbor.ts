/**
 * A writer of CBOR and COSE_Sign1 for tests, as good at breaking the rules as at keeping them.
 *
 * @module
 */
import type { KeyObject } from "node:crypto";
import { sign } from "node:crypto";
import { concat, utf8 } from "../../src/field/bytes.js";

/** Bytes that stand in the output as they are. */
export class Raw {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array | string) {
    this.bytes = typeof bytes === "string" ? new Uint8Array(Buffer.from(bytes, "hex")) : bytes;
  }
}

export type Item = number | bigint | string | boolean | null | Uint8Array | readonly Item[] | ItemMap | Raw;
/** A map, or pairs where a key may stand twice. */
export type ItemMap = ReadonlyMap<Item, Item>;

export function head(major: number, argument: number | bigint): Uint8Array {
  const value = BigInt(argument);
  if (value < 24n) return Uint8Array.of((major << 5) | Number(value));
  const size = value < 0x100n ? 1 : value < 0x10000n ? 2 : value < 0x100000000n ? 4 : 8;
  const bytes = new Uint8Array(1 + size);
  bytes[0] = (major << 5) | (24 + Math.log2(size));
  for (let i = 0; i < size; i++) bytes[size - i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return bytes;
}

export function cbor(item: Item): Uint8Array {
  if (item instanceof Raw) return item.bytes;
  if (item === null) return Uint8Array.of(0xf6);
  if (typeof item === "boolean") return Uint8Array.of(item ? 0xf5 : 0xf4);
  if (typeof item === "number" || typeof item === "bigint") {
    const value = BigInt(item);
    return value < 0n ? head(1, -1n - value) : head(0, value);
  }
  if (typeof item === "string") return concat(head(3, utf8(item).length), utf8(item));
  if (item instanceof Uint8Array) return concat(head(2, item.length), item);
  if (item instanceof Map) {
    return concat(head(5, item.size), ...[...item].flatMap(([key, value]) => [cbor(key), cbor(value)]));
  }
  const items = item as readonly Item[];
  return concat(head(4, items.length), ...items.map(cbor));
}

export function tagged(tag: number, item: Item): Raw {
  return new Raw(concat(head(6, tag), cbor(item)));
}

/** A map in pairs, with a key as often as it is given, and without a length where asked. */
export function pairs(entries: readonly (readonly [Item, Item])[], indefinite = false): Raw {
  const items = entries.flatMap(([key, value]) => [cbor(key), cbor(value)]);
  return new Raw(
    indefinite ? concat(Uint8Array.of(0xbf), ...items, Uint8Array.of(0xff)) : concat(head(5, entries.length), ...items),
  );
}

export interface Sign1Parts {
  payload: Uint8Array;
  key: KeyObject;
  /** `{1: -35}` unless given. */
  protectedHeader?: Item;
  unprotected?: Item;
  hash?: string;
  /** Replaces what would be signed with nothing but zeros. */
  signature?: Uint8Array;
  tag?: number | undefined;
}

/** A COSE_Sign1 that its key signed, whatever its header says. */
export function sign1(parts: Sign1Parts): Uint8Array {
  const { payload, key, protectedHeader = new Map([[1, -35]]), unprotected = new Map(), hash = "sha384", tag } = parts;
  const header = cbor(protectedHeader);
  const message = cbor(["Signature1", header, new Uint8Array(0), payload]);
  const signature = parts.signature ?? new Uint8Array(sign(hash, message, { key, dsaEncoding: "ieee-p1363" }));
  const items: Item = [header, unprotected, payload, signature];
  return cbor(tag === undefined ? items : tagged(tag, items));
}
