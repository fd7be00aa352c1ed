/**
 * The laboratory's CBOR with maps as tests like to write them, and COSE_Sign1 that is wrong where it is asked to be.
 *
 * @module
 */
import { type KeyObject, sign } from "node:crypto";
import { type CborValue, encode, Indefinite, map, Raw, Tagged } from "../../src/tee/lab/cbor.js";

export { head } from "../../src/tee/lab/cbor.js";

export type Item = CborValue | readonly Item[] | ReadonlyMap<Item, Item>;

export function cbor(item: Item): Uint8Array {
  return encode(toValue(item));
}

function toValue(item: Item): CborValue {
  if (item instanceof Map) return members([...item]);
  return Array.isArray(item) ? item.map(toValue) : (item as CborValue);
}

function members(entries: readonly (readonly [Item, Item])[]) {
  return map(...entries.map(([key, value]) => [toValue(key), toValue(value)] as const));
}

/** Bytes that stand in the output as they are. */
export function raw(bytes: Uint8Array | string): Raw {
  return new Raw(typeof bytes === "string" ? new Uint8Array(Buffer.from(bytes, "hex")) : bytes);
}

export function tagged(tag: number, item: Item): Tagged {
  return new Tagged(tag, toValue(item));
}

/** A map in pairs, with a key as often as it is given, and without a length where asked. */
export function pairs(entries: readonly (readonly [Item, Item])[], indefinite = false): CborValue {
  return indefinite ? new Indefinite(members(entries)) : members(entries);
}

export interface Sign1Parts {
  payload: Uint8Array;
  key: KeyObject;
  /** `{1: -35}` unless given. */
  protectedHeader?: Item;
  unprotected?: Item;
  hash?: string;
  /** Instead of one by the key. */
  signature?: Uint8Array;
  tag?: number | undefined;
}

/** Signed by its key, whatever its header says. */
export function sign1(parts: Sign1Parts): Uint8Array {
  const { payload, key, protectedHeader = new Map([[1, -35]]), unprotected = new Map(), hash = "sha384", tag } = parts;
  const header = cbor(protectedHeader);
  const message = cbor(["Signature1", header, new Uint8Array(0), payload]);
  const signature = parts.signature ?? new Uint8Array(sign(hash, message, { key, dsaEncoding: "ieee-p1363" }));
  const items: Item = [header, unprotected, payload, signature];
  return cbor(tag === undefined ? items : tagged(tag, items));
}
