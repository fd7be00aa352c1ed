/**
 * A strict reader for CBOR (RFC 8949): preferred lengths and integers, valid UTF-8, no duplicate keys, no byte left over,
 * bounded depth.
 *
 * One value has one encoding, but for what a format's own producers do otherwise and its caller allows: two encodings of one
 * value would let somebody change bytes that no signature covers and not their meaning. Floats, `undefined`, other simple
 * values, strings in pieces and tags that were not asked for are refused: nothing here is made of them. Work is linear
 * in the bytes, whatever lengths they claim.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../../errors.js";
import { clip } from "../../text.js";

/** An integer is a number where that is exact, else a bigint; bytes are views. */
export type Cbor = number | bigint | string | boolean | null | Uint8Array | readonly Cbor[] | CborMap | CborTag;

/** Keys are integers and texts, as in all of COSE and CWT; 1 and "1" are two. In the order of the bytes. */
export type CborKey = number | bigint | string;
export type CborMap = ReadonlyMap<CborKey, Cbor>;

export class CborTag {
  readonly tag: number;
  readonly value: Cbor;

  constructor(tag: number, value: Cbor) {
    this.tag = tag;
    this.value = value;
  }
}

export interface CborOptions {
  /** What every failure is. */
  code: ErrorCode;
  /** Of nested arrays, maps and tags. */
  maxDepth?: number;
  /** Tags that may stand; none unless given. */
  tags?: readonly number[];
  /** Whether arrays and maps may go without a length, up to a break: AWS writes them so since 2025. */
  indefinite?: boolean;
}

/** Far more than any token needs, far less than a stack. */
const MAX_DEPTH = 16;

const BREAK = Symbol("break");
const INDEFINITE = Symbol("indefinite");

/** A text is equal to another only if its bytes are, which a decoder that drops a byte order mark would break. */
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Exactly one item. @throws the code given */
export function readCbor(bytes: Uint8Array, options: CborOptions): Cbor {
  const reader = new Reader(bytes, options);
  const value = reader.item(0);
  reader.end();
  return value;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #code: ErrorCode;
  readonly #maxDepth: number;
  readonly #tags: readonly number[];
  readonly #indefinite: boolean;
  #offset = 0;

  constructor(bytes: Uint8Array, { code, maxDepth = MAX_DEPTH, tags = [], indefinite = false }: CborOptions) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#code = code;
    this.#maxDepth = maxDepth;
    this.#tags = tags;
    this.#indefinite = indefinite;
  }

  item(depth: number): Cbor {
    const item = this.#next(depth);
    return item === BREAK ? this.#fail("a break without anything to end") : item;
  }

  end(): void {
    const left = this.#bytes.length - this.#offset;
    if (left > 0) this.#fail(`${left} bytes follow the end of the item`);
  }

  #next(depth: number): Cbor | typeof BREAK {
    if (depth > this.#maxDepth) this.#fail(`items are nested more than ${this.#maxDepth} deep`);
    const initial = this.#bytes[this.#offset] ?? this.#fail("an item is missing");
    const major = initial >> 5;
    const info = initial & 31;
    if (major === 7) return this.#simple(info);
    const argument = this.#argument(info);
    if (argument === INDEFINITE) {
      if (major === 4 || major === 5) {
        if (!this.#indefinite) this.#fail("an array or map without a length");
        return major === 4 ? this.#array(Number.POSITIVE_INFINITY, depth) : this.#map(Number.POSITIVE_INFINITY, depth);
      }
      return this.#fail(major === 2 || major === 3 ? "a string in pieces" : "an item that cannot be without a length");
    }
    switch (major) {
      case 0:
        return argument;
      case 1:
        return typeof argument === "number" && argument < Number.MAX_SAFE_INTEGER
          ? -1 - argument
          : -1n - BigInt(argument);
      case 2:
        return this.#take(argument, "a byte string");
      case 3:
        return this.#text(this.#take(argument, "a text"));
      case 4:
        return this.#array(this.#count(argument, 1, "an array"), depth);
      case 5:
        return this.#map(this.#count(argument, 2, "a map"), depth);
      default: {
        const tag = this.#tags.find((known) => known === argument);
        if (tag === undefined) this.#fail(`tag ${argument} has no place here`);
        return new CborTag(tag, this.item(depth + 1));
      }
    }
  }

  /** The number in or behind the initial byte: a value, a length or a tag. */
  #argument(info: number): number | bigint | typeof INDEFINITE {
    const start = this.#offset + 1;
    if (info < 24) {
      this.#offset = start;
      return info;
    }
    if (info === 31) {
      this.#offset = start;
      return INDEFINITE;
    }
    if (info > 27) this.#fail(`additional information ${info} is reserved`);
    const size = 1 << (info - 24);
    if (size > this.#bytes.length - start) this.#fail("a number is cut short");
    this.#offset = start + size;
    const value =
      size === 1
        ? this.#view.getUint8(start)
        : size === 2
          ? this.#view.getUint16(start)
          : size === 4
            ? this.#view.getUint32(start)
            : this.#view.getBigUint64(start);
    const least = size === 1 ? 24 : size === 2 ? 0x100 : size === 4 ? 0x10000 : 0x100000000n;
    if (value < least) this.#fail(`the number ${value} is not in its shortest form`);
    return typeof value === "bigint" && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  #simple(info: number): boolean | null | typeof BREAK {
    this.#offset++;
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info === 31) return BREAK;
    if (info >= 25 && info <= 27) return this.#fail("a floating-point number");
    return this.#fail(info === 23 ? "an undefined value" : "a simple value that is not supported");
  }

  #take(length: number | bigint, what: string): Uint8Array {
    const left = this.#bytes.length - this.#offset;
    if (length > left) this.#fail(`${what} of ${length} bytes is cut short: ${left} are left`);
    const start = this.#offset;
    this.#offset += Number(length);
    return this.#bytes.subarray(start, this.#offset);
  }

  #text(bytes: Uint8Array): string {
    try {
      return TEXT.decode(bytes);
    } catch {
      return this.#fail("a text is not UTF-8");
    }
  }

  /** Every item has a byte at least: what cannot fit is refused before anything is read. */
  #count(count: number | bigint, each: number, what: string): number {
    const left = this.#bytes.length - this.#offset;
    if (count > left / each) this.#fail(`${what} of ${count} entries is cut short: ${left} bytes are left`);
    return Number(count);
  }

  #array(count: number, depth: number): Cbor[] {
    const items: Cbor[] = [];
    while (items.length < count) {
      const item = this.#next(depth + 1);
      if (item === BREAK) {
        if (count !== Number.POSITIVE_INFINITY) this.#fail("a break in an array that has a length");
        break;
      }
      items.push(item);
    }
    return items;
  }

  #map(count: number, depth: number): CborMap {
    const map = new Map<CborKey, Cbor>();
    while (map.size < count) {
      const key = this.#next(depth + 1);
      if (key === BREAK) {
        if (count !== Number.POSITIVE_INFINITY) this.#fail("a break in a map that has a length");
        break;
      }
      if (typeof key !== "number" && typeof key !== "bigint" && typeof key !== "string") {
        this.#fail("a key of a map is neither an integer nor a text");
      }
      // With one encoding for each value, equal values are equal encodings.
      if (map.has(key)) this.#fail(`the key ${quoted(key)} stands twice in a map`);
      map.set(key, this.item(depth + 1));
    }
    return map;
  }

  #fail(reason: string): never {
    throw new AnchorError(this.#code, `CBOR: ${reason} (at byte ${this.#offset})`);
  }
}

/** A key or a plain value for messages: on one line, and not too long. */
export function quoted(value: Cbor | undefined): string {
  const plain = typeof value === "number" || typeof value === "bigint" || typeof value === "string";
  return plain ? JSON.stringify(clip(String(value), 60)) : "of another type";
}

/**
 * The initial bytes of an item, in the shortest form.
 *
 * @param major 0 and 1 integers, 2 bytes, 3 text, 4 array, 5 map, 6 tag
 */
export function cborHead(major: number, argument: number): Uint8Array {
  const kind = major << 5;
  if (argument < 24) return Uint8Array.of(kind | argument);
  if (argument < 0x100) return Uint8Array.of(kind | 24, argument);
  if (argument < 0x10000) return Uint8Array.of(kind | 25, argument >> 8, argument & 0xff);
  const head = new Uint8Array(5);
  head[0] = kind | 26;
  new DataView(head.buffer).setUint32(1, argument);
  return head;
}
