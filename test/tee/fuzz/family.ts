/**
 * What the fuzzer has to know of a family: evidence that is accepted, how it is made of parts, and which of their bytes carry
 * no meaning.
 *
 * @module
 */
import type { Claims } from "../../../src/tee/claims.js";
import type { Verification } from "../../../src/tee/context.js";

export interface Part {
  name: string;
  format: "bytes" | "der" | "cbor" | "json" | "jws" | "xml";
  bytes: Uint8Array;
  /** Every truncation and every bit is tried of evidence; of collateral, a sample. */
  role: "evidence" | "collateral";
}

/** A part of a case; `undefined` where it is left out. */
export type Bytes = Uint8Array | undefined;

export interface Base {
  name: string;
  parts: readonly Part[];
  /** With these bytes in place of the parts', and everything else the same. */
  verify(parts: readonly Bytes[]): Verification<Claims>;
  /** Whether every truncation and bit is tried; otherwise random changes only. */
  exhaustive: boolean;
}

/** Why a change of a part may be accepted: the bytes that it changes are in nobody's claims. */
export interface Excuse {
  reason: string;
  /** Claims that may differ, because they say what is left out. */
  claims?: readonly string[];
  /** @param changed is not equal to `part.bytes` */
  covers(part: Part, changed: Bytes): boolean;
}

/** One change that is described in `mutations.json`, and the code that it must fail with. */
export interface Named {
  /** The entry of the file, by its place. */
  entry: number;
  what: string;
  /** `ok` for changes that have to be accepted. */
  expect: readonly string[];
  run(): Verification<Claims>;
}

export interface Family {
  name: string;
  /** The first is the one that everything is tried on. */
  bases(): Base[];
  excuses: readonly Excuse[];
  /** The section of `mutations.json`, and what it comes to here. Entries that a test room covers say so. */
  mutations?: { section: string; named(bases: readonly Base[]): Named[]; elsewhere: Readonly<Record<number, string>> };
}

export function evidence(name: string, format: Part["format"], bytes: Uint8Array): Part {
  return { name, format, bytes, role: "evidence" };
}

export function collateral(name: string, format: Part["format"], bytes: Uint8Array): Part {
  return { name, format, bytes, role: "collateral" };
}

/** The bytes of parts with some of them changed. */
export function withChanges(base: Base, changes: Readonly<Record<string, Bytes>>): Bytes[] {
  return base.parts.map(({ name, bytes }) => (name in changes ? changes[name] : bytes));
}

export function change(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= mask;
  return copy;
}
