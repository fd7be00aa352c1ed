/**
 * A strict reader for DER (X.690): definite minimal lengths, one-byte tags, no byte left over, bounded depth.
 *
 * It reads what certificates, revocation lists and OCSP answers are made of. What BER allows and DER forbids is refused:
 * two encodings of one value would let somebody change the bytes of a list or certificate and not its meaning.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../../errors.js";

/** Tags as they stand in the identifier octet. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A context-specific tag: `[n]`, primitive or constructed. */
export function contextTag(number: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

/** Far more than any certificate needs, far less than a stack. */
const MAX_DEPTH = 32;

/** Of an element that is read as a whole; a list that may have more is read by {@link Der.elements}. */
const MAX_CHILDREN = 1024;

/** Reading an arc takes quadratic time; identifiers that mean something have a dozen bytes. */
const MAX_OID = 128;

export class Der {
  /** Tag, length and content. */
  readonly bytes: Uint8Array;
  readonly tag: number;
  readonly content: Uint8Array;
  readonly #code: ErrorCode;
  readonly #depth: number;

  private constructor(bytes: Uint8Array, header: number, code: ErrorCode, depth: number) {
    this.bytes = bytes;
    this.tag = bytes[0]!;
    this.content = bytes.subarray(header);
    this.#code = code;
    this.#depth = depth;
  }

  /**
   * Exactly one element. Its children are read when they are asked for, with the same strictness.
   *
   * @param code of every failure, here and below
   */
  static parse(bytes: Uint8Array, code: ErrorCode): Der {
    const element = Der.#read(bytes, 0, code, 0);
    if (element.bytes.length !== bytes.length) {
      throw new AnchorError(code, `${bytes.length - element.bytes.length} bytes follow the end of the DER element`);
    }
    return element;
  }

  static #read(bytes: Uint8Array, offset: number, code: ErrorCode, depth: number): Der {
    const fail = (reason: string): never => {
      throw new AnchorError(code, `DER: ${reason}`);
    };
    const at = (index: number): number => bytes[index] ?? fail("an element is cut short");
    if (depth > MAX_DEPTH) fail(`elements are nested more than ${MAX_DEPTH} deep`);
    const tag = at(offset);
    if ((tag & 0x1f) === 0x1f) fail("a tag has more than one byte");
    if (tag === 0) fail("an end-of-contents tag");
    let length = at(offset + 1);
    let header = 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0) fail("an indefinite length");
      if (count > 4) fail("a length of more than four bytes");
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + at(offset + 2 + i);
      header += count;
      if (length < 0x80 || length < 256 ** (count - 1)) fail("a length that is not minimal");
    }
    const end = offset + header + length;
    if (end > bytes.length) fail(`an element of ${length} bytes is cut short`);
    return new Der(bytes.subarray(offset, end), header, code, depth);
  }

  /** The elements inside, in order. */
  children(): Der[] {
    const children: Der[] = [];
    for (const child of this.elements()) {
      if (children.length === MAX_CHILDREN) this.fail(`an element has more than ${MAX_CHILDREN} inside`);
      children.push(child);
    }
    return children;
  }

  /** As {@link children}, one by one: the first that is wrong ends it, before memory goes to millions of others. */
  *elements(): Generator<Der> {
    for (let offset = 0; ; ) {
      const child = this.elementAt(offset);
      if (!child) return;
      yield child;
      offset += child.bytes.length;
    }
  }

  /** The element that begins there in the content, `undefined` at its end. */
  elementAt(offset: number): Der | undefined {
    if ((this.tag & 0x20) === 0) this.fail("a primitive element was read as a constructed one");
    return offset < this.content.length ? Der.#read(this.content, offset, this.#code, this.#depth + 1) : undefined;
  }

  is(tag: number): boolean {
    return this.tag === tag;
  }

  expect(tag: number, what: string): this {
    if (this.tag !== tag) this.fail(`${what} has tag 0x${this.tag.toString(16)} instead of 0x${tag.toString(16)}`);
    return this;
  }

  /** Children of a SEQUENCE. */
  sequence(what: string): Der[] {
    return this.expect(TAG.sequence, what).children();
  }

  /** A SEQUENCE's children one by one, in the order of the specification; {@link Fields.end} refuses a surplus. */
  fields(what: string): Fields {
    return new Fields(this.expect(TAG.sequence, what), what);
  }

  /** The one element that an OCTET STRING holds, as extensions do. */
  inside(): Der {
    const inner = Der.#read(this.content, 0, this.#code, this.#depth + 1);
    if (inner.bytes.length !== this.content.length) this.fail("bytes follow the element inside an element");
    return inner;
  }

  boolean(what: string): boolean {
    const [value, ...more] = this.expect(TAG.boolean, what).content;
    if (more.length > 0 || (value !== 0 && value !== 0xff)) this.fail(`${what} is not a boolean`);
    return value === 0xff;
  }

  /** Two's complement, minimal, as bytes: serial numbers. */
  integerBytes(what: string): Uint8Array {
    this.expect(TAG.integer, what).#checkInteger(what);
    return this.content;
  }

  integer(what: string): bigint {
    const content = this.integerBytes(what);
    // By way of hex, which takes linear time: a list's number may be as long as the list.
    return BigInt.asIntN(8 * content.length, BigInt(`0x${Buffer.from(content).toString("hex")}`));
  }

  /** A number that fits 31 bits and is not negative: versions, path lengths, reason codes. */
  small(what: string): number {
    const { content } = this;
    if (this.tag !== TAG.integer && this.tag !== TAG.enumerated) this.fail(`${what} is not a number`);
    this.#checkInteger(what);
    if (content.length > 4 || content[0]! >= 0x80) this.fail(`${what} is out of range`);
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  #checkInteger(what: string): void {
    const { content } = this;
    if (content.length === 0) this.fail(`${what} is empty`);
    const padded = content[0] === 0 ? content[1]! < 0x80 : content[0] === 0xff && content[1]! >= 0x80;
    if (content.length > 1 && padded) this.fail(`${what} is an integer that is not minimal`);
  }

  octets(what: string): Uint8Array {
    return this.expect(TAG.octetString, what).content;
  }

  /** A BIT STRING of whole bytes: keys and signatures. */
  bitOctets(what: string): Uint8Array {
    const { content } = this.expect(TAG.bitString, what);
    if (content.length === 0 || content[0] !== 0) this.fail(`${what} is not a string of whole bytes`);
    return content.subarray(1);
  }

  /** A BIT STRING of named bits, bit 0 first: key usage. DER asks to leave trailing zeros out; AMD's own ASK does not. */
  bits(what: string): boolean[] {
    const { content } = this.expect(TAG.bitString, what);
    const unused = content[0] ?? 8;
    const last = content[content.length - 1] ?? 0;
    if (unused > 7 || (content.length === 1 && unused > 0) || (content.length > 1 && last % 2 ** unused !== 0)) {
      this.fail(`${what} is not a string of named bits`);
    }
    return Array.from(
      { length: 8 * (content.length - 1) - unused },
      (_, i) => ((content[1 + (i >> 3)]! >> (7 - (i & 7))) & 1) === 1,
    );
  }

  /** In dotted form. */
  oid(what: string): string {
    const { content } = this.expect(TAG.oid, what);
    if (content.length === 0 || content[content.length - 1]! >= 0x80) this.fail(`${what} is not a whole identifier`);
    if (content.length > MAX_OID) this.fail(`${what} has ${content.length} bytes`);
    const arcs: bigint[] = [];
    let arc = 0n;
    let fresh = true;
    for (const byte of content) {
      if (fresh && byte === 0x80) this.fail(`${what} has an arc that is not minimal`);
      arc = (arc << 7n) | BigInt(byte & 0x7f);
      fresh = byte < 0x80;
      if (!fresh) continue;
      arcs.push(arc);
      arc = 0n;
    }
    const first = arcs[0]!;
    const root = first < 40n ? 0n : first < 80n ? 1n : 2n;
    return [root, first - 40n * root, ...arcs.slice(1)].join(".");
  }

  /** Any of the string types that names are made of. */
  text(what: string): string {
    const { content, tag } = this;
    if (tag === TAG.utf8String) {
      try {
        return new TextDecoder("utf-8", { fatal: true }).decode(content);
      } catch {
        return this.fail(`${what} is not UTF-8`);
      }
    }
    if (tag === TAG.printableString || tag === TAG.ia5String || tag === TAG.teletexString) {
      if (tag !== TAG.teletexString && content.some((byte) => byte >= 0x80)) this.fail(`${what} is not ASCII`);
      return Buffer.from(content).toString("latin1");
    }
    if (tag === TAG.bmpString && content.length % 2 === 0) {
      return Array.from({ length: content.length / 2 }, (_, i) =>
        String.fromCharCode(content[2 * i]! * 256 + content[2 * i + 1]!),
      ).join("");
    }
    return this.fail(`${what} is not a string`);
  }

  /** UTCTime or GeneralizedTime in the one form that RFC 5280 allows (seconds, Z), as Unix seconds. */
  time(what: string): number {
    const { content, tag } = this;
    const text = String.fromCharCode(...content.subarray(0, 16));
    const utc = tag === TAG.utcTime;
    const match = (utc ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text);
    if ((!utc && tag !== TAG.generalizedTime) || content.length > 15 || !match) {
      return this.fail(`${what} is not a time in UTC with seconds`);
    }
    const year = utc ? Number(match[1]) + (Number(match[1]) < 50 ? 2000 : 1900) : Number(match[1]);
    const [month, day, hour, minute, second] = match[2]!.match(/\d\d/g)!.map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const date = new Date(0);
    date.setUTCFullYear(year, month - 1, day);
    date.setUTCHours(hour, minute, second);
    const exists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && date.getUTCHours() === hour;
    if (!exists || date.getUTCMinutes() !== minute || second > 59) this.fail(`${what} is no time that exists`);
    return date.getTime() / 1000;
  }

  fail(reason: string): never {
    throw new AnchorError(this.#code, `DER: ${reason}`);
  }
}

export class Fields {
  readonly #parent: Der;
  readonly #what: string;
  #offset = 0;
  /** Read, and not taken. */
  #ahead: Der | undefined;

  constructor(parent: Der, what: string) {
    this.#parent = parent;
    this.#what = what;
  }

  next(what: string): Der {
    return this.#take(this.#peek()) ?? this.#parent.fail(`${this.#what} lacks ${what}`);
  }

  /** The next element if it has one of these tags. */
  optional(...tags: readonly number[]): Der | undefined {
    const child = this.#peek();
    return child && tags.includes(child.tag) ? this.#take(child) : undefined;
  }

  end(): void {
    if (this.#peek()) this.#parent.fail(`${this.#what} has a field too many`);
  }

  #peek(): Der | undefined {
    this.#ahead ??= this.#parent.elementAt(this.#offset);
    return this.#ahead;
  }

  #take(child: Der | undefined): Der | undefined {
    this.#ahead = undefined;
    this.#offset += child?.bytes.length ?? 0;
    return child;
  }
}
