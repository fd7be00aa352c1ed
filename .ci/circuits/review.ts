/**
 * Holds circuits and what the tools say of them against `reviewed.json`: every hint with the constraints that bind it,
 * every assertion, every bound on a decomposition's width, every message with the reason why it may stay.
 *
 * Both ways: what is not listed is a problem, and so is an entry that nothing needs any more.
 *
 * @module
 */
import type { ReviewedProgram } from "./determinism.js";
import {
  type CircomSource,
  type Definition,
  dependents,
  hinted,
  identifiers,
  isConstraint,
  isHint,
  normal,
  type Statement,
  signalsOf,
  splitTop,
} from "./source.js";

export interface Problem {
  code: string;
  message: string;
}

interface Place {
  file: string;
  template: string;
}

export interface ReviewedHint extends Place {
  /** The whole statement, up to its semicolon. */
  hint: string;
  /** Statements of the same template, quoted, that leave one value for it. */
  bound: string[];
  reason: string;
}

export interface ReviewedAssert extends Place {
  assert: string;
  reason: string;
}

export interface ReviewedWidth extends Place {
  /** A conjunct of an assertion: an expression of parameters, `<=`, and a number up to {@link MAX_WIDTH}. */
  bound: string;
  reason: string;
}

export interface Allowance extends Place {
  tool: Message["tool"];
  code: string;
  /** What the tool points at, and how many times. */
  where: Record<string, number>;
  reason: string;
}

export interface Reviewed {
  hints: ReviewedHint[];
  asserts: ReviewedAssert[];
  widths: ReviewedWidth[];
  allowed: Allowance[];
  /** What programs need to be shown deterministic. */
  determinism: ReviewedProgram[];
}

/** What a tool says of a circuit. */
export interface Message extends Place {
  tool: "circomspect" | "circom";
  code: string;
  /** The source text it points at, or the tool's words where it points at none. */
  where: string;
  line: number;
  text: string;
}

/** 2^253 < r < 2^254: up to here every decomposition is unique. */
export const MAX_WIDTH = 253;

const PRAGMA = "pragma circom 2.2.3;";
const REASON_WORDS = 6;

export function checkSources(sources: readonly CircomSource[], reviewed: Reviewed): Problem[] {
  const problems: Problem[] = [];
  for (const source of sources) problems.push(...checkFile(source));
  const templates = sources.flatMap((source) =>
    source.definitions.flatMap((definition) => (definition.kind === "template" ? [{ source, definition }] : [])),
  );
  problems.push(
    ...checkHints(templates, reviewed.hints),
    ...checkAsserts(sources, reviewed.asserts),
    ...checkWidths(templates, reviewed.widths),
  );
  return problems;
}

/** Every message has an entry, every entry its messages. */
export function checkMessages(messages: readonly Message[], allowed: readonly Allowance[]): Problem[] {
  const problems: Problem[] = [];
  const key = (entry: Omit<Message, "where" | "line" | "text">, where: string) =>
    JSON.stringify([entry.tool, entry.code, entry.file, entry.template, where]);
  const left = new Map<string, { count: number; name: string }>();
  for (const entry of allowed) {
    const name = `${entry.tool} ${entry.code}, ${placed(entry)}`;
    problems.push(...checkReason(entry.reason, name));
    for (const [where, count] of Object.entries(entry.where)) {
      if (left.has(key(entry, where))) problems.push({ code: "ALLOWANCE_TWICE", message: `${name}: ${where}` });
      if (!Number.isInteger(count) || count < 1) {
        problems.push({ code: "ALLOWANCE_MALFORMED", message: `${name}: ${where}: a count of ${count}` });
      }
      left.set(key(entry, where), { count, name: `${name}: ${where}` });
    }
    if (Object.keys(entry.where).length === 0) problems.push({ code: "ALLOWANCE_STALE", message: `${name}: empty` });
  }
  for (const message of messages) {
    const entry = left.get(key(message, message.where));
    if (entry && entry.count > 0) entry.count--;
    else {
      const at = message.line > 0 ? `, line ${message.line}` : "";
      problems.push({
        code: "MESSAGE_UNREVIEWED",
        message: `${message.tool} ${message.code}, ${placed(message)}${at}: ${message.where}\n    ${message.text}`,
      });
    }
  }
  for (const { count, name } of left.values()) {
    if (count > 0) problems.push({ code: "ALLOWANCE_STALE", message: `${name} (${count} too many)` });
  }
  return problems;
}

function checkFile({ path, code, uncommented, definitions }: CircomSource): Problem[] {
  const problems: Problem[] = [];
  const report = (kind: string, message: string) => problems.push({ code: kind, message: `${path}: ${message}` });
  const pragmas = normal((code.match(/\bpragma\b[^;]*;/g) ?? []).join(" "));
  if (pragmas !== PRAGMA) report("PRAGMA", `has "${pragmas}", not exactly "${PRAGMA}"`);
  for (const [include] of uncommented.matchAll(/\binclude\s+"[^"]*"/g)) {
    if (/circomlib/.test(include)) report("CIRCOMLIB", `circomlib is not to be used: ${include}`);
  }
  // A file of the benchmark is one program, and so is a generated one.
  const templates = definitions.filter(({ kind }) => kind === "template").length;
  const isLibrary = !/\bcomponent\s+main\b/.test(code);
  if (isLibrary && templates > 1) report("TEMPLATES", `${templates} templates, and one a file is the rule`);
  return problems;
}

interface Located {
  source: CircomSource;
  definition: Definition;
}

function checkHints(templates: readonly Located[], reviewed: readonly ReviewedHint[]): Problem[] {
  const problems: Problem[] = [];
  const open = [...reviewed];
  for (const { source, definition } of templates) {
    for (const statement of definition.statements.filter(isHint)) {
      const place = { file: source.path, template: definition.name };
      const name = `${placed(place)}, line ${statement.line}: ${statement.text}`;
      const follows = hinted(statement).map((signal) => dependents(definition.statements, [signal], false));
      const binds = ({ text }: Statement, names: ReadonlySet<string>) => identifiers(text).some((id) => names.has(id));
      for (const names of follows) {
        const others = definition.statements.filter((other) => isConstraint(other) && !isHint(other));
        if (!others.some((other) => binds(other, names))) {
          problems.push({ code: "HINT_UNCONSTRAINED", message: `${name}: no constraint of the template mentions it` });
        }
      }
      const at = open.findIndex(
        (entry) => entry.file === place.file && entry.template === place.template && entry.hint === statement.text,
      );
      if (at < 0) {
        problems.push({ code: "HINT_UNLISTED", message: `${name}: list it with the constraints that bind it` });
        continue;
      }
      const [entry] = open.splice(at, 1) as [ReviewedHint];
      problems.push(...checkReason(entry.reason, name));
      if (entry.bound.length === 0)
        problems.push({ code: "HINT_UNBOUND", message: `${name}: no constraint is quoted` });
      for (const quoted of entry.bound) {
        const constraint = definition.statements.filter((other) => other.text === quoted && isConstraint(other));
        if (constraint.length === 0) {
          problems.push({ code: "HINT_UNBOUND", message: `${name}: no constraint "${quoted}" in the template` });
        } else if (!follows.every((names) => constraint.some((other) => binds(other, names)))) {
          problems.push({ code: "HINT_UNBOUND", message: `${name}: "${quoted}" does not mention it` });
        } else if (!constraint.some((other) => other.conditions.every((c) => statement.conditions.includes(c)))) {
          problems.push({ code: "HINT_UNBOUND", message: `${name}: "${quoted}" stands under a condition of its own` });
        }
      }
    }
  }
  for (const entry of open) problems.push({ code: "HINT_STALE", message: `${placed(entry)}: ${entry.hint}` });
  return problems;
}

/** An assertion stops the honest witness generator and nobody else, so one about a signal is a constraint forgotten. */
function checkAsserts(sources: readonly CircomSource[], reviewed: readonly ReviewedAssert[]): Problem[] {
  const problems: Problem[] = [];
  const open = [...reviewed];
  for (const { path, definitions } of sources) {
    for (const definition of definitions) {
      // A function's arguments may be signals.
      const seeds = definition.kind === "template" ? signalsOf(definition) : definition.parameters;
      const values = dependents(definition.statements, seeds, true);
      for (const { text, line, conditions } of definition.statements.filter((s) => /^assert\b/.test(s.text))) {
        const name = `${placed({ file: path, template: definition.name })}, line ${line}: ${text}`;
        if ([text, ...conditions].flatMap(identifiers).some((id) => values.has(id))) {
          problems.push({ code: "ASSERT_ON_SIGNAL", message: `${name}: an assertion is no constraint` });
          continue;
        }
        const at = open.findIndex(
          (entry) => entry.file === path && entry.template === definition.name && entry.assert === text,
        );
        if (at < 0) problems.push({ code: "ASSERT_UNLISTED", message: `${name}: list it with its reason` });
        else problems.push(...checkReason(open.splice(at, 1)[0]!.reason, name));
      }
    }
  }
  for (const entry of open) problems.push({ code: "ASSERT_STALE", message: `${placed(entry)}: ${entry.assert}` });
  return problems;
}

/**
 * A template that splits a value into bits refuses, when it is compiled, a width at which a value has two splits. Then
 * no instance anywhere can be too wide, whatever its parameters are computed from.
 */
function checkWidths(templates: readonly Located[], reviewed: readonly ReviewedWidth[]): Problem[] {
  const problems: Problem[] = [];
  const open = [...reviewed];
  for (const { source, definition } of templates) {
    const place = { file: source.path, template: definition.name };
    const entries = open.filter((entry) => entry.file === place.file && entry.template === place.template);
    for (const entry of entries) open.splice(open.indexOf(entry), 1);
    const splits = definition.statements.some((statement) => isHint(statement) && statement.text.includes(">>"));
    if (splits && entries.length === 0) {
      problems.push({ code: "WIDTH_UNBOUNDED", message: `${placed(place)}: a decomposition without a listed bound` });
    }
    const asserted = definition.statements.flatMap(({ text, conditions }) => {
      const inner = /^assert\s*\((.*)\)$/.exec(text)?.[1];
      return inner !== undefined && conditions.length === 0 ? splitTop(inner, "&&") : [];
    });
    for (const { bound, reason } of entries) {
      const name = `${placed(place)}: ${bound}`;
      const [, expression, limit] = /^(.+) <= (\d+)$/.exec(bound) ?? [];
      if (expression === undefined || Number(limit) > MAX_WIDTH) {
        problems.push({ code: "WIDTH_UNBOUNDED", message: `${name}: no bound of at most ${MAX_WIDTH} bits` });
      } else if (!asserted.includes(bound)) {
        problems.push({ code: "WIDTH_UNBOUNDED", message: `${name}: is not asserted` });
      } else if (!identifiers(expression).every((id) => definition.parameters.includes(id))) {
        problems.push({ code: "WIDTH_UNBOUNDED", message: `${name}: is not about parameters alone` });
      }
      problems.push(...checkReason(reason, name));
    }
  }
  for (const entry of open) problems.push({ code: "WIDTH_STALE", message: `${placed(entry)}: ${entry.bound}` });
  return problems;
}

export function checkReason(reason: unknown, name: string): Problem[] {
  const words = typeof reason === "string" ? reason.trim().split(/\s+/).length : 0;
  return words < REASON_WORDS ? [{ code: "REASON", message: `${name}: no reason that says why` }] : [];
}

const placed = ({ file, template }: Place) => (template === "" ? file : `${file} ${template}`);
