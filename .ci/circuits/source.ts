/**
 * Reads Circom as far as the lint needs: definitions, statements, and what flows where.
 *
 * Not a parser: circom itself compiles every file beforehand, so only text that it accepts has to be understood. What
 * is not understood must show as a problem, never as silence; see the canaries of `tools.ts`.
 *
 * @module
 */

export interface Statement {
  /** Without `for (…)` and `if (…)` before it, comments and the semicolon; white space is one blank. */
  text: string;
  /** Offsets of that text in the file. */
  start: number;
  end: number;
  line: number;
  /** Conditions under which it stands, outermost first: `if` and `else`, not loops. */
  conditions: string[];
  inLoop: boolean;
}

export interface Definition {
  kind: "template" | "function";
  name: string;
  parameters: string[];
  /** Offsets of the braces of its body. */
  open: number;
  close: number;
  statements: Statement[];
}

export interface CircomSource {
  path: string;
  /** The file with comments and the contents of strings blanked; every offset and line stays. */
  code: string;
  /** With comments blanked only. */
  uncommented: string;
  definitions: Definition[];
}

export function readCircom(path: string, text: string): CircomSource {
  const { uncommented, code } = blank(text);
  const definitions: Definition[] = [];
  const head = /\b(template|function)\s+(?:(?:custom|parallel)\s+)*(\w+)\s*\(([^)]*)\)[^{;]*\{/g;
  for (let match = head.exec(code); match; match = head.exec(code)) {
    const open = match.index + match[0].length - 1;
    const close = closing(code, open);
    definitions.push({
      kind: match[1] as Definition["kind"],
      name: match[2]!,
      parameters: match[3]!.split(",").flatMap((name) => name.trim() || []),
      open,
      close,
      statements: statementsOf(code, open + 1, close),
    });
    head.lastIndex = close;
  }
  return { path, code, uncommented, definitions };
}

export const normal = (text: string) => text.replace(/\s+/g, " ").trim();

export const lineAt = (text: string, offset: number) => text.slice(0, offset).split("\n").length;

/** `<--` and `-->`: assignments without a constraint. */
export const isHint = ({ text }: Statement) => /<--|-->/.test(text);

/** Adds rows: a constraint, or an anonymous component, whose inputs are constrained. */
export const isConstraint = ({ text }: Statement) =>
  /===|<==|==>/.test(text) || (/^\w+\s*\(.*\)\s*\(.*\)$/.test(text) && !/^(?:assert|log|return)\b/.test(text));

/** Names that a hint gives values to. */
export function hinted({ text }: Statement): string[] {
  const [left, right] = text.split(/<--|-->/) as [string, string];
  const target = text.includes("<--") ? left : right;
  return identifiers(withoutIndices(target)).filter((name) => !KEYWORDS.has(name));
}

/**
 * Names whose values depend on `seeds`, the seeds among them.
 *
 * @param control whether a value that is set under a condition depends on it
 */
export function dependents(statements: readonly Statement[], seeds: Iterable<string>, control: boolean): Set<string> {
  const reached = new Set(seeds);
  for (let before = -1; before !== reached.size; ) {
    before = reached.size;
    for (const { text, conditions } of statements) {
      const assigned = assignment(text);
      if (!assigned) continue;
      const sources = [...identifiers(assigned.value), ...(control ? conditions.flatMap(identifiers) : [])];
      if (sources.some((name) => reached.has(name))) for (const name of assigned.targets) reached.add(name);
    }
  }
  return reached;
}

/** Signals and components that a template declares. */
export function signalsOf({ statements }: Definition): string[] {
  return statements.flatMap(({ text }) => {
    const declared = /^(?:signal(?:\s+(?:input|output))?|component|input|output)\b(.*)$/.exec(text);
    if (!declared) return [];
    return splitTop(declared[1]!.split(/<==|<--|=/)[0]!, ",").flatMap((name) => identifiers(name).slice(0, 1));
  });
}

/** Input or output signals in the order of their declaration. */
export function portsOf({ statements }: Definition, direction: "input" | "output"): string[] {
  return statements.flatMap(({ text }) => {
    const declared = new RegExp(`^signal\\s+${direction}\\b(.*)$`).exec(text);
    if (!declared) return [];
    return splitTop(declared[1]!.split(/<==|<--/)[0]!, ",").flatMap((name) => identifiers(name).slice(0, 1));
  });
}

/** Every name in an expression; that of a component, not of its port. */
export function identifiers(expression: string): string[] {
  return expression.replace(/\.\s*\w+/g, "").match(/\b[A-Za-z_]\w*/g) ?? [];
}

/** Splits where a separator stands in no bracket. */
export function splitTop(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if ("([{".includes(text[i]!)) depth++;
    else if (")]}".includes(text[i]!)) depth--;
    else if (depth === 0 && text.startsWith(separator, i)) {
      parts.push(text.slice(start, i).trim());
      i += separator.length - 1;
      start = i + 1;
    }
  }
  const last = text.slice(start).trim();
  if (last !== "" || parts.length > 0) parts.push(last);
  return parts;
}

/** Offset of the bracket that closes the one at `open`. */
export function closing(code: string, open: number): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if ("([{".includes(code[i]!)) depth++;
    else if (")]}".includes(code[i]!) && --depth === 0) return i;
  }
  throw new Error(`a bracket at line ${lineAt(code, open)} is not closed`);
}

const KEYWORDS = new Set(["signal", "input", "output", "var", "component"]);

function blank(text: string): { uncommented: string; code: string } {
  const spaces = (part: string) => part.replace(/[^\n]/g, " ");
  const token = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"[^"\n]*"/g;
  const uncommented = text.replace(token, (part) => (part.startsWith('"') ? part : spaces(part)));
  const code = uncommented
    .replace(/"[^"\n]*"/g, (part) => `"${spaces(part.slice(1, -1))}"`)
    // Tags: `signal input {binary} x`. Their braces are no block.
    .replace(/(\bsignal(?:\s+(?:input|output))?\s*)(\{[^}]*\})/g, (_, before: string, tags: string) => {
      return before + spaces(tags);
    });
  return { uncommented, code };
}

interface Header {
  loop: boolean;
  text: string;
}

function statementsOf(code: string, from: number, to: number): Statement[] {
  const found: Statement[] = [];
  const blocks: Header[][] = [];
  let pending: Header[] = [];
  let last: Header[] = []; // what stood before the statement that has just ended: an `else` goes with it
  const add = (start: number, end: number, headers: Header[]) => {
    const text = normal(code.slice(start, end));
    if (text === "") return;
    const around = [...blocks.flat(), ...headers];
    found.push({
      text,
      start,
      end,
      line: lineAt(code, start),
      conditions: around.filter(({ loop }) => !loop).map((header) => header.text),
      inLoop: around.some(({ loop }) => loop),
    });
  };
  for (let at = from; at < to; ) {
    const rest = code.slice(at, to);
    const space = /^\s+/.exec(rest);
    const head = /^(for|while|if)\s*\(/.exec(rest);
    if (space) {
      at += space[0].length;
    } else if (head) {
      const open = at + head[0].length - 1;
      const close = closing(code, open);
      const inner = code.slice(open + 1, close);
      if (head[1] === "for") {
        const [init, , step] = inner.split(";") as [string, string, string];
        add(open + 1, open + 1 + init.length, pending);
        add(close - step.length, close, pending);
      }
      pending = [...pending, { loop: head[1] !== "if", text: normal(inner) }];
      at = close + 1;
    } else if (/^else\b/.test(rest)) {
      const negated = last.at(-1);
      if (!negated || negated.loop) throw new Error(`an else without an if at line ${lineAt(code, at)}`);
      pending = [...last.slice(0, -1), { loop: false, text: `!(${negated.text})` }];
      at += 4;
    } else if (rest[0] === "{") {
      blocks.push(pending);
      pending = [];
      at++;
    } else if (rest[0] === "}") {
      last = blocks.pop() ?? [];
      pending = [];
      at++;
    } else {
      let end = at;
      while (end < to && code[end] !== ";") end = "([{".includes(code[end]!) ? closing(code, end) + 1 : end + 1;
      add(at, end, pending);
      last = pending;
      pending = [];
      at = end + 1;
    }
  }
  return found;
}

function assignment(text: string): { targets: string[]; value: string } | undefined {
  const increment = /^(.*?)(?:\+\+|--)$/.exec(text);
  if (increment) return undefined; // depends on nothing new
  const match =
    /^(.*?)(?:<==|<--|(?:\*\*|>>|<<|[-+*/\\%&|^])?=(?!=))(.*)$/.exec(text) ?? /^()(.*?)(?:==>|-->)(.*)$/.exec(text);
  if (!match) return undefined;
  const [target, value] = match.length > 3 ? [match[3]!, match[2]!] : [match[1]!, match[2]!];
  if (/[=!<>]$/.test(target)) return undefined; // `===`, and comparisons
  return { targets: identifiers(withoutIndices(target)).filter((name) => !KEYWORDS.has(name)), value };
}

function withoutIndices(text: string): string {
  let plain = text;
  while (/\[[^[\]]*\]/.test(plain)) plain = plain.replace(/\[[^[\]]*\]/g, " ");
  return plain;
}
