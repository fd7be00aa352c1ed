/**
 * Typed structs as bytes: protocol buffers (proto3) with one spelling of each value.
 *
 * A field's number is its place in its type, from 1, so types grow at their end only. Fields stand in the order of their
 * numbers. Numbers are varints of as few bytes as they take; what is 0 or empty is left out, as proto3 does; numbers of an
 * array are packed. Addresses and words of 32 bytes always stand there. Any reader of protocol buffers reads this; what
 * it writes is read here only where it is the same bytes.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../errors.js";
import { concat, fromHex, type Hex, toHex, utf8 } from "../field/bytes.js";
import type { Fault, Field, TypeTable } from "./eip712.js";

const VARINT = 0;
const DELIMITED = 2;
/** Bytes of the longest varint: 64 bits, 7 a byte. */
const MAX_VARINT = 10;

export function structToBytes(types: TypeTable, name: string, value: unknown): Uint8Array {
  const record = value as Record<string, unknown>;
  return concat(...types[name]!.flatMap((field, i) => fieldToBytes(types, field.type, i + 1, record[field.name])));
}

function fieldToBytes(types: TypeTable, type: string, number: number, value: unknown): Uint8Array[] {
  const delimited = (bytes: Uint8Array) => [
    varint(BigInt(8 * number + DELIMITED)),
    varint(BigInt(bytes.length)),
    bytes,
  ];
  if (type.endsWith("[]")) {
    const [item, values] = [type.slice(0, -2), value as unknown[]];
    if (isNumber(item)) return values.length === 0 ? [] : delimited(concat(...(values as bigint[]).map(varint)));
    return values.flatMap((each) => delimited(contentOf(types, item, each)));
  }
  if (isNumber(type)) return value === 0n ? [] : [varint(BigInt(8 * number + VARINT)), varint(value as bigint)];
  const content = contentOf(types, type, value);
  return content.length === 0 && !types[type] ? [] : delimited(content);
}

function contentOf(types: TypeTable, type: string, value: unknown): Uint8Array {
  if (types[type]) return structToBytes(types, type, value);
  return type === "string" ? utf8(value as string) : fromHex(value, type);
}

/**
 * Reads what {@link structToBytes} wrote, and nothing else.
 *
 * @param code the error's code
 * @param path what is read, for the message
 * @param limit most entries of an array
 */
export function structFromBytes<T>(
  types: TypeTable,
  name: string,
  bytes: Uint8Array,
  { code, path, limit }: { code: ErrorCode; path: string; limit: number },
): T {
  const readStruct = (struct: string, content: Uint8Array, at: string): Record<string, unknown> => {
    const fields = types[struct]!;
    const cursor = new Cursor(content, at, code);
    const record = Object.fromEntries(fields.map((field) => [field.name, defaultOf(field)]));
    let before = 0;
    while (!cursor.ended) {
      const key = cursor.varint();
      const number = Number(key >> 3n);
      const field = fields[number - 1];
      if (!field) return fail(code, at, `has no field number ${key >> 3n}`, "unknown");
      const inside = `${at}.${field.name}`;
      const [item, repeated] = [field.type.replace(/\[\]$/, ""), field.type.endsWith("[]")];
      const packed = repeated && isNumber(item);
      if (number < before) fail(code, inside, "does not stand in the order of numbers");
      if (number === before && (packed || !repeated)) fail(code, inside, "stands twice", "duplicate");
      before = number;
      const wanted = isNumber(item) && !repeated ? VARINT : DELIMITED;
      if (Number(key & 7n) !== wanted) fail(code, inside, `has wire type ${key & 7n}, not ${wanted}`);
      if (wanted === VARINT) {
        record[field.name] = readNumber(item, cursor, inside);
        if (record[field.name] === 0n) fail(code, inside, "is 0, which is left out");
      } else if (packed) {
        const numbers = new Cursor(cursor.take(), inside, code);
        const list: bigint[] = [];
        while (!numbers.ended) push(list, readNumber(item, numbers, inside), inside);
        if (list.length === 0) fail(code, inside, "is empty, which is left out");
        record[field.name] = list;
      } else if (repeated) {
        const list = record[field.name] as unknown[];
        push(list, readContent(item, cursor.take(), `${inside}[${list.length}]`), inside);
      } else {
        const value = cursor.take();
        if (value.length === 0 && !types[item]) fail(code, inside, "is empty, which is left out");
        record[field.name] = readContent(item, value, inside);
      }
    }
    for (const field of fields) {
      if (record[field.name] === undefined) fail(code, `${at}.${field.name}`, "is missing", "missing");
    }
    return record;
  };
  const push = (list: unknown[], item: unknown, at: string): void => {
    if (list.length === limit) fail(code, at, `has more than ${limit} entries`, "limit");
    list.push(item);
  };
  const readContent = (type: string, content: Uint8Array, at: string): unknown => {
    if (types[type]) return readStruct(type, content, at);
    if (type === "string") return readText(content, at);
    const wanted = FIXED[type];
    if (wanted !== undefined && content.length !== wanted) fail(code, at, `has ${content.length} bytes, not ${wanted}`);
    return toHex(content) satisfies Hex;
  };
  const readNumber = (type: string, cursor: Cursor, at: string): bigint => {
    const value = cursor.varint();
    const bits = bitsOf(type);
    if (value >> BigInt(bits) !== 0n) fail(code, at, `must fit ${bits} bits`, "limit");
    return value;
  };
  const readText = (content: Uint8Array, at: string): string => {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    } catch {
      return fail(code, at, "is not UTF-8");
    }
  };
  return readStruct(name, bytes, path) as T;
}

/** Types of bytes that always have as many. */
const FIXED: Record<string, number> = { address: 20, bytes32: 32 };

function isNumber(type: string): boolean {
  return /^uint\d+$/.test(type);
}

function bitsOf(type: string): number {
  return Number(type.slice("uint".length));
}

/** What a field is that does not stand there; `undefined` where it must. */
function defaultOf({ type }: Field): unknown {
  if (type.endsWith("[]")) return [];
  if (isNumber(type)) return 0n;
  return type === "string" ? "" : type === "bytes" ? "0x" : undefined;
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 128n) return Uint8Array.of(...bytes, Number(rest));
    bytes.push(Number(rest & 127n) + 128);
  }
}

class Cursor {
  #at = 0;

  constructor(
    readonly bytes: Uint8Array,
    readonly path: string,
    readonly code: ErrorCode,
  ) {}

  get ended(): boolean {
    return this.#at === this.bytes.length;
  }

  /** At most 64 bits, in as few bytes as they take. */
  varint(): bigint {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT; i++) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) return fail(this.code, this.path, "ends within a number");
      value += BigInt(byte & 127) << BigInt(7 * i);
      if (byte < 128) {
        if (i > 0 && byte === 0) fail(this.code, this.path, "has a number that takes more bytes than it needs");
        if (value >> 64n !== 0n) break;
        return value;
      }
    }
    return fail(this.code, this.path, "has a number of more than 64 bits", "limit");
  }

  /** A length, and as many bytes. */
  take(): Uint8Array {
    const length = this.varint();
    const left = this.bytes.length - this.#at;
    if (length > BigInt(left))
      fail(this.code, this.path, `ends within a field: ${length} bytes, of which ${left} are there`);
    const start = this.#at;
    this.#at += Number(length);
    return this.bytes.subarray(start, this.#at);
  }
}

function fail(code: ErrorCode, path: string, reason: string, fault: Fault = "type"): never {
  throw new AnchorError(code, `${path} ${reason}`, { details: { path, fault } });
}
