/**
 * A strict reader for JSON documents (RFC 8259) that somebody signed: no key stands twice, nothing follows the value, text is
 * well-formed Unicode, depth and length are bounded. Time is linear in the length.
 *
 * Parsers differ on which of two equal keys counts and on what to do with a lone surrogate; a signature over such a text
 * would be one over several documents. Unlike `parseDocument`, it takes the spelling that a vendor chose.
 *
 * @module
 */
import { AnchorError, type ErrorCode } from "../../errors.js";

/** A plain value. Objects are ordinary ones; a key `__proto__` is an own property like every other. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [name: string]: Json;
}

export interface JsonOptions {
  /** What every failure is. */
  code: ErrorCode;
  /** For messages: "the TCB info". */
  what: string;
  /** In characters; bytes have at least as many. */
  maxLength?: number;
  maxDepth?: number;
}

const MAX_LENGTH = 4 * 1024 * 1024;
const MAX_DEPTH = 32;
/** Of all kinds and on all levels: many times what the largest recorded answer has, and read within a second. */
const MAX_VALUES = 1_000_000;
/** Longer than every number that a double can tell apart from its neighbours. */
const MAX_NUMBER = 64;

/**
 * One value, with nothing but white space around it.
 *
 * Numbers come as doubles: a reader that wants an integer asks for a safe one, and then no digit was lost.
 *
 * @param source text, or bytes of UTF-8 without a byte order mark
 * @throws the code given
 */
export function readJson(source: string | Uint8Array, options: JsonOptions): Json {
  return new Parser(source, options).document();
}

/** As {@link readJson}, for a document that is an object. */
export function readJsonObject(source: string | Uint8Array, options: JsonOptions): JsonObject {
  const value = readJson(source, options);
  if (!isJsonObject(value)) throw new AnchorError(options.code, `${options.what} is not a JSON object`);
  return value;
}

/**
 * The source of a member of the document's object, exactly as it stands there: what is signed in a response like
 * `{"tcbInfo":{…},"signature":"…"}`. The whole document is read as strictly as by {@link readJson}.
 *
 * @throws the code given, also where there is no such member
 */
export function rawMember(source: string, name: string, options: JsonOptions): string {
  const members = new Map<string, string>();
  const value = new Parser(source, options, members).document();
  const raw = isJsonObject(value) ? members.get(name) : undefined;
  if (raw === undefined) throw new AnchorError(options.code, `${options.what} has no member "${name}"`);
  return raw;
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const WHITE = /[\t\n\r ]*/y;
/** Characters of a string up to its end, an escape, or what may not stand there. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be refused
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const HEX4 = /[0-9a-fA-F]{4}/y;
const SURROGATE = /\p{Surrogate}/u;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Parser {
  readonly #text: string;
  readonly #code: ErrorCode;
  readonly #what: string;
  readonly #maxDepth: number;
  /** Filled with the sources of the outermost object's members. */
  readonly #members: Map<string, string> | undefined;
  #at = 0;
  #values = 0;

  constructor(source: string | Uint8Array, options: JsonOptions, members?: Map<string, string>) {
    const { code, what, maxLength = MAX_LENGTH, maxDepth = MAX_DEPTH } = options;
    this.#code = code;
    this.#what = what;
    this.#maxDepth = maxDepth;
    this.#members = members;
    if (source.length > maxLength) this.#fail(`is longer than ${maxLength} characters`);
    this.#text = typeof source === "string" ? source : this.#decode(source);
    if (SURROGATE.test(this.#text)) this.#fail("has half of a surrogate pair");
  }

  document(): Json {
    const value = this.#value(0);
    this.#match(WHITE);
    if (this.#at < this.#text.length) this.#fail(`goes on after its end, at character ${this.#at}`);
    return value;
  }

  #decode(bytes: Uint8Array): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return this.#fail("is not UTF-8");
    }
  }

  #value(depth: number): Json {
    if (++this.#values > MAX_VALUES) this.#fail(`has more than ${MAX_VALUES} values`);
    this.#match(WHITE);
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(this.#enter(depth));
      case "[":
        return this.#array(this.#enter(depth));
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #enter(depth: number): number {
    if (depth >= this.#maxDepth) this.#fail(`is nested more than ${this.#maxDepth} deep`);
    this.#at++;
    return depth + 1;
  }

  #object(depth: number): JsonObject {
    const object: JsonObject = {};
    if (this.#skip("}")) return object;
    do {
      this.#match(WHITE);
      if (this.#text[this.#at] !== '"') this.#unexpected("a key");
      const key = this.#string();
      if (Object.hasOwn(object, key)) this.#fail(`has the key ${JSON.stringify(key.slice(0, 64))} twice in one object`);
      if (!this.#skip(":")) this.#unexpected("a colon");
      this.#match(WHITE);
      const start = this.#at;
      const value = this.#value(depth);
      if (depth === 1) this.#members?.set(key, this.#text.slice(start, this.#at));
      if (key === "__proto__") {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
      } else object[key] = value;
    } while (this.#skip(","));
    if (!this.#skip("}")) this.#unexpected("a comma or the end of an object");
    return object;
  }

  #array(depth: number): Json[] {
    const array: Json[] = [];
    if (this.#skip("]")) return array;
    do array.push(this.#value(depth));
    while (this.#skip(","));
    if (!this.#skip("]")) this.#unexpected("a comma or the end of an array");
    return array;
  }

  #string(): string {
    this.#at++;
    let text = this.#match(PLAIN);
    if (this.#text[this.#at] === '"') {
      this.#at++;
      return text;
    }
    while (this.#text[this.#at] === "\\") {
      text += this.#escape();
      text += this.#match(PLAIN);
    }
    if (this.#text[this.#at] !== '"') this.#unexpected("a character of a string or its end");
    this.#at++;
    // A pair may be made of two escapes, or of an escape and nothing.
    if (SURROGATE.test(text)) this.#fail("has half of a surrogate pair in a string");
    return text;
  }

  #escape(): string {
    const letter = this.#text[this.#at + 1] ?? "";
    this.#at += 2;
    if (letter === "u") {
      const digits = this.#match(HEX4);
      if (digits === "") this.#unexpected("four hex digits");
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const character = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
    return character ?? this.#fail(`has an unknown escape at character ${this.#at - 2}`);
  }

  #number(): number {
    const literal = this.#match(NUMBER);
    if (literal === "") this.#unexpected("a value");
    const value = literal.length <= MAX_NUMBER ? Number(literal) : Number.NaN;
    if (!Number.isFinite(value)) this.#fail(`has a number that is out of range: ${literal.slice(0, MAX_NUMBER)}`);
    return value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#unexpected("a value");
    this.#at += word.length;
    return value;
  }

  /** Whether the next character but for white space is this one; it is passed if so. */
  #skip(character: string): boolean {
    this.#match(WHITE);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found = ""] = pattern.exec(this.#text) ?? [];
    this.#at += found.length;
    return found;
  }

  #unexpected(expected: string): never {
    const found = this.#at < this.#text.length ? `character ${this.#at}` : "its end";
    return this.#fail(`is no JSON: ${expected} is missing at ${found}`);
  }

  #fail(reason: string): never {
    throw new AnchorError(this.#code, `${this.#what} ${reason}`);
  }
}
