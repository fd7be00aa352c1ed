/**
 * The frame of every command: options, help text, files in and out.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { ParseArgsConfig } from "node:util";
import { AnchorError, toAnchorError } from "../errors.js";
import { parseDocument } from "../protocol/document.js";
import type { Terminal } from "./terminal.js";

export { writeWhole } from "../files.js";

export type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;

export interface Context {
  values: Values;
  positionals: string[];
  terminal: Terminal;
  /** Fires on Ctrl-C. */
  signal: AbortSignal;
}

export interface Command {
  /** Words that call it, such as `dataset commit`. */
  name: string;
  summary: string;
  /** Shown by `--help`, after the summary. */
  help: string;
  options: NonNullable<ParseArgsConfig["options"]>;
  /** Names of its arguments, such as `FILE`; the last may end in `…`. */
  positionals: readonly string[];
  run(context: Context): Promise<void>;
}

/** A text option that must be given. @throws USAGE */
export function required(values: Values, name: string): string {
  const value = values[name];
  if (typeof value !== "string" || value === "") throw new AnchorError("USAGE", `--${name} is needed`);
  return value;
}

export function optional(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** A whole number in a range. @throws USAGE */
export function integer(values: Values, name: string, min: number, max: number, fallback: number): number {
  const value = values[name];
  if (value === undefined) return fallback;
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max))
    throw new AnchorError("USAGE", `--${name} takes a number from ${min} to ${max}`);
  return number;
}

/** `--at`: Unix seconds, or an ISO time with its zone. @throws USAGE */
export function instant(text: string): number {
  // Milliseconds pass here, so that whoever looks at the time can say what is wrong with them.
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const [, date] = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.exec(text) ?? [];
  const milliseconds = date === undefined ? Number.NaN : Date.parse(text);
  // Date.parse takes 30 February for 2 March.
  const day = Date.parse(date ?? "");
  if (Number.isNaN(milliseconds) || Number.isNaN(day) || new Date(day).toISOString().slice(0, 10) !== date) {
    throw new AnchorError("USAGE", "--at takes Unix seconds, or a time such as 2026-06-10T01:49:05Z");
  }
  return Math.floor(milliseconds / 1000);
}

/**
 * @param limit in bytes: of a file that is larger, or has no end as a device may, no more than that is read
 * @throws FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_TOO_LARGE
 */
export async function readBytes(path: string, limit = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
  try {
    if (limit === Number.POSITIVE_INFINITY) return await readFile(path);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of createReadStream(path)) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) throw new AnchorError("INPUT_TOO_LARGE", `${path} is larger than ${limit >> 20} MB`);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file`, { cause: error });
    if (code === "EISDIR")
      throw new AnchorError("FILE_UNREADABLE", `cannot read ${path}: it is a folder`, { cause: error });
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
}

/** Largest JSON file that is read: evidence is far smaller. */
const MAX_JSON = 64 * 1024 * 1024;

/** Reads JSON as people write it. @throws FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_TOO_LARGE, JSON_MALFORMED */
export function readJson(path: string): Promise<unknown> {
  return parseFile(path, JSON.parse);
}

/** Reads evidence and trust: JSON with one spelling, see `parseDocument`. Errors as for {@link readJson}. */
export function readDocument(path: string): Promise<unknown> {
  return parseFile(path, parseDocument);
}

async function parseFile(path: string, parse: (text: string) => unknown): Promise<unknown> {
  const bytes = await readBytes(path, MAX_JSON);
  try {
    return parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AnchorError("JSON_MALFORMED", `${path}: ${reason}`, { cause: error });
  }
}

/** JSON as files hold it. */
export function pretty(value: unknown): string {
  return `${JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item), 2)}\n`;
}
