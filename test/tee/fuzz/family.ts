/**
 * What the fuzzer has to know of a family: evidence that is accepted, how it is made of parts, and which of their bytes carry
 * no meaning.
 *
 * @module
 */
import type { ErrorCode } from "../../../src/errors.js";

export interface Part {
  name: string;
  format: "bytes" | "der" | "cbor" | "json" | "jws" | "xml";
  bytes: Uint8Array;
  /** Every truncation and every bit is tried of evidence; of collateral, a sample. */
  role: "evidence" | "collateral";
}

/** A part of a case; `undefined` where it is left out. */
export type Bytes = Uint8Array | undefined;

/** Of a `Verification`, what the fuzzer looks at; readers that throw answer by {@link answer}. */
export type Answer = { ok: true; claims: object } | { ok: false; failure: { code: ErrorCode; message: string } };

export interface Base {
  name: string;
  parts: readonly Part[];
  /** With these bytes in place of the parts', and everything else the same. */
  verify(parts: readonly Bytes[]): Answer;
  /** Whether every truncation and bit is tried; otherwise random changes only. */
  exhaustive: boolean;
}

/** Why a change of a part may be accepted: the bytes that it changes are in nobody's claims. */
export interface Excuse {
  reason: string;
  /** Claims that may say "unchecked" instead, because something is left out. */
  claims?: readonly string[];
  /**
   * @param changed is not equal to `part.bytes`
   * @param claims  of what was accepted
   * @param given   all parts as they were given
   */
  covers(part: Part, changed: Bytes, claims: object, given: readonly Bytes[]): boolean;
}

/** One change that is described in `mutations.json`, and the codes that it may fail with. */
export interface Named {
  /** The entry of the file, by its place. */
  entry: number;
  what: string;
  /** `ok` for changes that have to be accepted. */
  expect: readonly (ErrorCode | "ok")[];
  run(): Answer;
}

export interface Family {
  name: string;
  bases(): Base[];
  excuses: readonly Excuse[];
  /** Whether claims say no more than the original's; unless given, whether they are equal. */
  isSame?(truth: object, claims: object): boolean;
  /** The section of `mutations.json`, and what it comes to here. Entries that a test room covers say so. */
  mutations?: { section: string; named(bases: readonly Base[]): Named[]; elsewhere: Readonly<Record<number, string>> };
}

/** A base with some of its parts changed, by their names. @throws for a name that it has not */
export function withChanges(base: Base, changes: Readonly<Record<string, Bytes>>): Answer {
  const unknown = Object.keys(changes).find((name) => base.parts.every((part) => part.name !== name));
  if (unknown !== undefined) throw new Error(`${base.name} has no part ${unknown}`);
  return base.verify(base.parts.map(({ name, bytes }) => (name in changes ? changes[name] : bytes)));
}

export function partOf(base: Base, name: string): Uint8Array {
  const part = base.parts.find((each) => each.name === name);
  if (!part) throw new Error(`${base.name} has no part ${name}`);
  return part.bytes;
}

export function flip(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= mask;
  return copy;
}
