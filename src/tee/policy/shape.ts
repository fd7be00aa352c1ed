/**
 * Shapes of plain JSON: each reads a value strictly and says the same as JSON Schema, so that the two cannot drift apart.
 *
 * A reader names the place, what is wrong there and what is allowed. What it returns is normalised: hex in lower case with
 * 0x, lists that mean sets sorted and without repetition, defaults filled in. So two spellings of one policy are one policy.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { clip, printable } from "../../text.js";

export type JsonSchema = { readonly [keyword: string]: unknown };

export interface Shape<T> {
  readonly schema: JsonSchema;
  /** @throws POLICY_INVALID */
  read(value: unknown, at: string): T;
}

/** One field of an object. `about` is the schema's description. */
export interface Field<
  T = unknown,
  P extends "required" | "optional" | "default" = "required" | "optional" | "default",
> {
  readonly shape: Shape<T>;
  readonly presence: P;
  readonly about: string;
  /** As it would stand in the file. */
  readonly fallback?: unknown;
}

export type Fields = Readonly<Record<string, Field>>;

type OptionalName<F extends Fields> = {
  [K in keyof F]: F[K]["presence"] extends "optional" ? K : never;
}[keyof F];

type ReadField<F> = F extends { shape: Shape<infer T> } ? T : never;

/** What an object of these fields reads as. */
export type ReadFields<F extends Fields> = { [K in Exclude<keyof F, OptionalName<F>>]: ReadField<F[K]> } & {
  [K in OptionalName<F>]?: ReadField<F[K]>;
};

/** What a shape reads as. */
export type Read<S> = S extends Shape<infer T> ? T : never;

export function required<T>(shape: Shape<T>, about: string): Field<T, "required"> {
  return { shape, presence: "required", about };
}

export function optional<T>(shape: Shape<T>, about: string): Field<T, "optional"> {
  return { shape, presence: "optional", about };
}

/** `fallback` is what the file might as well say. */
export function defaults<T>(shape: Shape<T>, fallback: unknown, about: string): Field<T, "default"> {
  return { shape, presence: "default", about, fallback };
}

/** An object of these fields and no others. */
export function object<F extends Fields>(fields: F, options: { minFields?: number } = {}): Shape<ReadFields<F>> {
  const names = Object.keys(fields);
  const needed = names.filter((name) => fields[name]!.presence === "required");
  const { minFields } = options;
  return {
    schema: {
      type: "object",
      properties: Object.fromEntries(
        names.map((name) => {
          const { shape, about, fallback } = fields[name]!;
          return [
            name,
            { ...shape.schema, description: about, ...(fallback === undefined ? {} : { default: fallback }) },
          ];
        }),
      ),
      ...(needed.length === 0 ? {} : { required: needed }),
      ...(minFields === undefined ? {} : { minProperties: minFields }),
      additionalProperties: false,
    },
    read(value, at) {
      const record = asRecord(value, at);
      for (const name of Object.keys(record)) {
        if (!Object.hasOwn(fields, name))
          refuse(`${at}.${shown(name)}`, `is not a field here; ${choices(name, names)}`);
      }
      if (minFields !== undefined && Object.keys(record).length < minFields) {
        refuse(at, `must name at least one of ${listed(names)}`);
      }
      const result: Record<string, unknown> = {};
      for (const name of names) {
        const { shape, presence, fallback, about } = fields[name]!;
        if (Object.hasOwn(record, name)) result[name] = shape.read(record[name], `${at}.${name}`);
        else if (presence === "default") result[name] = shape.read(fallback, `${at}.${name}`);
        else if (presence === "required") refuse(`${at}.${name}`, `is missing: ${about}`);
      }
      return result as ReadFields<F>;
    },
  };
}

/** An object whose keys the file chooses, but for some that are known and have defaults. */
export function record<T>(
  key: { pattern: string; what: string },
  item: Shape<T>,
  { min = 0, known = {} }: { min?: number; known?: Readonly<Record<string, Field<T, "default">>> } = {},
): Shape<Record<string, T>> {
  const MAX = 256;
  const pattern = new RegExp(key.pattern, "u");
  const properties = Object.entries(known).map(([name, { shape, about, fallback }]) => [
    name,
    { ...shape.schema, description: about, default: fallback },
  ]);
  return {
    schema: {
      type: "object",
      ...(properties.length === 0 ? {} : { properties: Object.fromEntries(properties) }),
      propertyNames: { pattern: key.pattern },
      additionalProperties: item.schema,
      ...(min === 0 ? {} : { minProperties: min }),
      maxProperties: MAX,
    },
    read(value, at) {
      const given = asRecord(value, at);
      const size = Object.keys(given).length;
      if (size < min || size > MAX) refuse(at, `must have ${min} to ${MAX} fields, not ${size}`);
      const missing = Object.entries(known).filter(([name]) => !Object.hasOwn(given, name));
      const entries = [...Object.entries(given), ...missing.map(([name, { fallback }]) => [name, fallback] as const)];
      return Object.fromEntries(
        entries
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, each]) => {
            if (!pattern.test(name)) refuse(`${at}.${shown(name)}`, `is not named as ${key.what} is`);
            const shape = Object.hasOwn(known, name) ? known[name]!.shape : item;
            return [name, shape.read(each, `${at}.${name}`)];
          }),
      );
    },
  };
}

interface ListOptions {
  min?: number;
  max?: number;
  /** `set`: order and repetition mean nothing. */
  as?: "list" | "set";
}

export function list<T>(item: Shape<T>, { min = 0, max = 4096, as = "set" }: ListOptions = {}): Shape<T[]> {
  return {
    schema: {
      type: "array",
      items: item.schema,
      ...(min === 0 ? {} : { minItems: min }),
      maxItems: max,
    },
    read(value, at) {
      if (!Array.isArray(value)) refuse(at, `must be a list, not ${describe(value)}`);
      if (value.length < min) refuse(at, min === 1 ? "must not be empty" : `must have at least ${min} entries`);
      if (value.length > max) refuse(at, `must have at most ${max} entries, not ${value.length}`);
      // Not map: it would skip the holes of a sparse array.
      const items = Array.from(value as unknown[], (each, i) => item.read(each, `${at}[${i}]`));
      return as === "list" ? items : [...new Set(items)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    },
  };
}

/** One value, or a list of alternatives; always read as a list. */
export function oneOrMore<T>(item: Shape<T>): Shape<T[]> {
  const many = list(item, { min: 1 });
  return {
    schema: { anyOf: [item.schema, many.schema] },
    read: (value, at) => (Array.isArray(value) ? many.read(value, at) : [item.read(value, at)]),
  };
}

export function boolean(): Shape<boolean> {
  return {
    schema: { type: "boolean" },
    read(value, at) {
      if (typeof value !== "boolean") refuse(at, `must be true or false, not ${describe(value)}`);
      return value;
    },
  };
}

export function integer(min: number, max: number, unit = ""): Shape<number> {
  return {
    schema: { type: "integer", minimum: min, maximum: max },
    read(value, at) {
      if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
        refuse(at, `must be a whole number${unit && ` of ${unit}`} from ${min} to ${max}, not ${describe(value)}`);
      }
      return value === 0 ? 0 : value;
    },
  };
}

/** One of these words. `never` says of some others why they are not among them. */
export function word<const W extends string>(
  words: readonly W[],
  never: Readonly<Record<string, string>> = {},
): Shape<W> {
  return {
    schema: words.length === 1 ? { const: words[0] } : { enum: words },
    read(value, at) {
      if (typeof value !== "string") refuse(at, `must be one of ${listed(words)}, not ${describe(value)}`);
      if (!(words as readonly string[]).includes(value)) {
        const reason = Object.hasOwn(never, value) ? never[value] : choices(value, words);
        refuse(at, `cannot be ${describe(value)}: ${reason}`);
      }
      return value as W;
    },
  };
}

interface TextOptions {
  /** Whole text; without anchors. */
  pattern: string;
  what: string;
  normalise?: (value: string) => string;
}

export function text({ pattern, what, normalise = (value) => value }: TextOptions): Shape<string> {
  const whole = `^(?:${pattern})$`;
  const expression = new RegExp(whole, "u");
  return {
    schema: { type: "string", pattern: whole },
    read(value, at) {
      if (typeof value !== "string") refuse(at, `must be ${what}, not ${describe(value)}`);
      if (isPlaceholder(value)) refuse(at, `is still the placeholder ${describe(value)}: put ${what} there`);
      if (!expression.test(value)) refuse(at, `must be ${what}, not ${describe(value)}`);
      return normalise(value);
    },
  };
}

interface HexOptions {
  /** Lengths that are allowed; any from `least` to `most` without. */
  bytes?: readonly number[];
  least?: number;
  most?: number;
  /** All zero says "nothing there", so that it identifies nothing. */
  notZero?: boolean;
}

/** Bytes, with or without 0x, in either case. */
export function hex({ bytes, least = 0, most = 4096, notZero = false }: HexOptions = {}): Shape<`0x${string}`> {
  const digits = bytes
    ? bytes.map((length) => `[0-9a-fA-F]{${2 * length}}`).join("|")
    : `(?:[0-9a-fA-F]{2}){${least},${most}}`;
  const size = bytes
    ? `${bytes.join(" or ")} bytes`
    : least === 0
      ? `at most ${most} bytes`
      : `${least} to ${most} bytes`;
  const shape = text({
    pattern: `${notZero ? "(?!(?:0[xX])?0*$)" : ""}(?:0[xX])?(?:${digits})`,
    what: `${size} of hex${notZero ? ", not all zero" : ""}`,
    normalise: (value) => `0x${value.replace(/^0[xX]/, "").toLowerCase()}`,
  });
  return shape as Shape<`0x${string}`>;
}

const LEAP_YEAR = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const DAY =
  "(?:\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))" +
  `|${LEAP_YEAR}-02-29)`;

/** A day or a second of UTC, such as `2025-08-13` or `2025-08-13T00:00:00Z`, read as the latter. */
export function instant(): Shape<string> {
  return text({
    pattern: `${DAY}(?:T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\dZ)?`,
    what: "a day or time of UTC, such as 2025-08-13 or 2025-08-13T00:00:00Z",
    normalise: (value) => (value.includes("T") ? value : `${value}T00:00:00Z`),
  });
}

/** Either of two; whichever fits, the reader goes by `isFirst`. */
export function either<A, B>(first: Shape<A>, second: Shape<B>, isFirst: (value: unknown) => boolean): Shape<A | B> {
  return {
    schema: { anyOf: [first.schema, second.schema] },
    read: (value, at) => (isFirst(value) ? first.read(value, at) : second.read(value, at)),
  };
}

/** What templates have where something is to be filled in. */
function isPlaceholder(value: string): boolean {
  return /^<[^<>]{0,200}>$/.test(value);
}

export function refuse(at: string, reason: string): never {
  throw new AnchorError("POLICY_INVALID", `${at} ${reason}`, { details: { path: at } });
}

function asRecord(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse(at, `must be an object, not ${describe(value)}`);
  }
  return value as Record<string, unknown>;
}

/** A value for a message: never long, never deep, never more than one line. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "string":
      return `"${shown(value)}"`;
    case "number":
    case "boolean":
      return String(value);
    case "object":
      return "an object";
    default:
      return typeof value;
  }
}

function shown(name: string): string {
  return printable(clip(name.slice(0, 200), 80)).replace(/\n/g, "\\n");
}

function listed(words: readonly string[]): string {
  return words.length === 1 ? words[0]! : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** "did you mean …?", or all that there is. */
function choices(given: string, words: readonly string[]): string {
  const near = nearest(given, words);
  return near === undefined ? `allowed is ${listed(words)}` : `did you mean ${near}?`;
}

/** The word that a typing error away, if there is one. */
export function nearest(given: string, words: readonly string[]): string | undefined {
  if (given.length > 64) return undefined;
  const plain = (word: string) => word.toLowerCase().replace(/[-_. ]/g, "");
  const wanted = plain(given);
  const scored = words
    .map((word) => ({ word, distance: distance(wanted, plain(word)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  return best && best.distance <= Math.min(2, Math.floor(wanted.length / 3)) ? best.word : undefined;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
