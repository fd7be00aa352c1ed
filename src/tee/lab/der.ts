/**
 * A writer of DER (X.690), for certificates, lists and answers that nobody else would issue.
 *
 * It writes what it is told to: that makes it as good at breaking the rules as at keeping them.
 *
 * @module
 */
import { concat, utf8 } from "../../field/bytes.js";
import { contextTag, TAG } from "../read/der.js";

/** Tag, minimal length, content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  return concat(Uint8Array.of(tag), derLength(body.length), body);
}

function derLength(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const bytes = bigEndian(BigInt(length));
  return concat(Uint8Array.of(0x80 | bytes.length), bytes);
}

/** Minimal two's complement; bytes are taken as they are, minimal or not. */
export function integer(value: bigint | number | Uint8Array): Uint8Array {
  return element(TAG.integer, value instanceof Uint8Array ? value : twosComplement(BigInt(value)));
}

export function enumerated(value: number): Uint8Array {
  return element(TAG.enumerated, twosComplement(BigInt(value)));
}

export function boolean(value: boolean): Uint8Array {
  return element(TAG.boolean, Uint8Array.of(value ? 0xff : 0));
}

export function nothing(): Uint8Array {
  return element(TAG.null);
}

/** From dotted form. */
export function oid(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split(".").map(BigInt) as [bigint, bigint, ...bigint[]];
  return element(TAG.oid, ...[40n * first + second, ...rest].map(base128));
}

export function sequence(...content: readonly Uint8Array[]): Uint8Array {
  return element(TAG.sequence, ...content);
}

/** A SET OF has its elements in ascending order of their encodings. */
export function set(...content: readonly Uint8Array[]): Uint8Array {
  return element(TAG.set, ...[...content].sort((a, b) => Buffer.compare(a, b)));
}

export function octetString(...content: readonly Uint8Array[]): Uint8Array {
  return element(TAG.octetString, ...content);
}

/** Of whole bytes, or with `unused` bits at its end. */
export function bitString(content: Uint8Array, unused = 0): Uint8Array {
  return element(TAG.bitString, Uint8Array.of(unused), content);
}

/** A BIT STRING of named bits, trailing zeros left out. */
export function namedBits(bits: readonly number[]): Uint8Array {
  if (bits.length === 0) return bitString(new Uint8Array());
  const last = Math.max(...bits);
  const bytes = new Uint8Array((last >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3]! |= 0x80 >> (bit & 7);
  return bitString(bytes, 7 - (last & 7));
}

export function utf8String(text: string): Uint8Array {
  return element(TAG.utf8String, utf8(text));
}

export function printableString(text: string): Uint8Array {
  return element(TAG.printableString, utf8(text));
}

/** As RFC 5280 writes times: UTCTime before 2050, GeneralizedTime from then on. */
export function time(seconds: number): Uint8Array {
  const text = digits(seconds);
  const year = Number(text.slice(0, 4));
  if (year < 1950 || year >= 2050) return generalizedTime(seconds);
  return element(TAG.utcTime, utf8(`${text.slice(2)}Z`));
}

/** As OCSP writes times. */
export function generalizedTime(seconds: number): Uint8Array {
  return element(TAG.generalizedTime, utf8(`${digits(seconds)}Z`));
}

/** `[n] EXPLICIT`. */
export function explicit(number: number, ...content: readonly Uint8Array[]): Uint8Array {
  return element(contextTag(number, true), ...content);
}

/** `[n] IMPLICIT`, of a primitive type. */
export function implicit(number: number, content: Uint8Array): Uint8Array {
  return element(contextTag(number, false), content);
}

/** Parts of a distinguished name, in the order that they are written in. */
export type NameParts = Readonly<Partial<Record<keyof typeof NAME_OIDS, string>>>;

const NAME_OIDS = {
  CN: "2.5.4.3",
  serialNumber: "2.5.4.5",
  C: "2.5.4.6",
  L: "2.5.4.7",
  ST: "2.5.4.8",
  O: "2.5.4.10",
  OU: "2.5.4.11",
} as const;

export function name(parts: NameParts): Uint8Array {
  const attributes = Object.entries(parts).map(([type, text]) => {
    const value = type === "C" ? printableString(text) : utf8String(text);
    return element(TAG.set, sequence(oid(NAME_OIDS[type as keyof NameParts]), value));
  });
  return sequence(...attributes);
}

/** `-----BEGIN …` with lines of 64 characters. */
export function pem(der: Uint8Array, label = "CERTIFICATE"): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function digits(seconds: number): string {
  return new Date(seconds * 1000)
    .toISOString()
    .replace(/\.\d+Z$/, "")
    .replace(/[-:T]/g, "");
}

function base128(arc: bigint): Uint8Array {
  const bytes = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.from(bytes);
}

function bigEndian(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return new Uint8Array(Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex"));
}

function twosComplement(value: bigint): Uint8Array {
  let bits = 8;
  while (BigInt.asIntN(bits, value) !== value) bits += 8;
  return new Uint8Array(
    Buffer.from(
      BigInt.asUintN(bits, value)
        .toString(16)
        .padStart(bits / 4, "0"),
      "hex",
    ),
  );
}
