/**
 * The fuzzer itself: a numbered list of cases for each phase, so that a run can be split, stopped and taken up again; and the
 * verdict on each case.
 *
 * A case fails if verification throws, calls itself defective (`INTERNAL`), takes longer than {@link ALARM_MS}, or accepts
 * what was changed, unless the claims are those of the original and an excuse names why the changed bytes carry no meaning.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { toHex } from "../../../src/field/bytes.js";
import { canonicalJson } from "../../../src/protocol/document.js";
import { equalBytes } from "../../../src/tee/read/bytes.js";
import { VECTORS } from "../vectors.js";
import { MAX_BYTES, mutateBytes } from "./bytes.js";
import { mutateCbor } from "./cbor.js";
import { mutateDer } from "./der.js";
import type { Base, Bytes, Family, Named, Part } from "./family.js";
import { Random } from "./random.js";
import { mutateJson, mutateJws, mutateXml } from "./text.js";

export const ALARM_MS = 2000;

export const PHASES = ["truncations", "flips", "named", "random"] as const;
export type Phase = (typeof PHASES)[number];

export interface Plan {
  seed: string;
  /** Cases whose number is `index` modulo `of`. */
  shard: { index: number; of: number };
  /** Random changes. */
  runs: number;
  /** One of so many truncations and flips of evidence; all of them for 1. */
  stride: number;
}

export interface Failure {
  phase: Phase;
  index: number;
  base: string;
  what: string;
  reason: string;
  /** The parts as they were given, hex by name. */
  parts: Record<string, string | null>;
}

export interface Tally {
  cases: Record<Phase, number>;
  /** By code. */
  refused: Record<string, number>;
  /** By reason. */
  excused: Record<string, number>;
  /** Changes that changed nothing. */
  idle: number;
  slowest: { ms: number; phase: Phase; index: number };
  failures: Failure[];
}

export function emptyTally(): Tally {
  return {
    cases: { truncations: 0, flips: 0, named: 0, random: 0 },
    refused: {},
    excused: {},
    idle: 0,
    slowest: { ms: 0, phase: "truncations", index: 0 },
    failures: [],
  };
}

/** Of collateral, so many truncations and bits a part are tried. */
const COLLATERAL_SAMPLE = { truncations: 64, flips: 512 };

interface Case {
  base: Base;
  what: string;
  parts: Bytes[];
}

export class Fuzzer {
  readonly family: Family;
  readonly tally: Tally;
  readonly #plan: Plan;
  readonly #bases: Base[];
  readonly #named: Named[];
  readonly #truths = new Map<Base, object>();
  readonly #pool: Record<Part["format"], Uint8Array[]> = { bytes: [], der: [], cbor: [], json: [], jws: [], xml: [] };
  readonly #truncations: Span[];
  readonly #flips: Span[];

  /** @throws unless every base is accepted, and every entry of `mutations.json` is spoken for */
  constructor(family: Family, plan: Plan, tally: Tally = emptyTally()) {
    this.family = family;
    this.tally = tally;
    this.#plan = plan;
    this.#bases = family.bases();
    for (const base of this.#bases) {
      const parts = base.parts.map(({ bytes }) => bytes);
      const verification = base.verify(parts);
      if (!verification.ok) throw new Error(`${base.name} is refused: ${verification.failure.message}`);
      this.#truths.set(base, verification.claims);
      for (const { format, bytes } of base.parts) this.#pool[format].push(bytes);
    }
    this.#named = namedCases(family, this.#bases);
    const { stride, seed } = plan;
    const whole = this.#bases.filter(({ exhaustive }) => exhaustive);
    this.#truncations = spans(whole, ({ bytes }) => bytes.length, stride, COLLATERAL_SAMPLE.truncations, seed);
    this.#flips = spans(whole, ({ bytes }) => 8 * bytes.length, stride, COLLATERAL_SAMPLE.flips, seed);
  }

  /** How many cases a phase has, those of other shards included. */
  size(phase: Phase): number {
    if (phase === "random") return this.#plan.runs;
    if (phase === "named") return this.#named.length;
    return count(phase === "truncations" ? this.#truncations : this.#flips);
  }

  mine(index: number): boolean {
    const { index: shard, of } = this.#plan.shard;
    return index % of === shard;
  }

  /** Runs one case, and adds what came of it to the tally. */
  run(phase: Phase, index: number): void {
    this.tally.cases[phase]++;
    if (phase === "named") {
      this.#runNamed(index);
      return;
    }
    const { base, what, parts } = phase === "random" ? this.#random(index) : this.#single(phase, index);
    if (isUnchanged(base, parts)) {
      this.tally.idle++;
      return;
    }
    const fail = (reason: string) => this.#fail(phase, index, base, what, reason, parts);
    const answer = this.#timed(phase, index, () => base.verify(parts), fail);
    if (!answer) return;
    if (!answer.ok) {
      const { code, message } = answer.failure;
      add(this.tally.refused, code);
      if (code === "INTERNAL") fail(`INTERNAL: ${message}`);
      return;
    }
    const problem = this.#judge(base, parts, answer.claims);
    if (problem) fail(problem);
  }

  /** What is wrong with accepting this. */
  #judge(base: Base, parts: readonly Bytes[], claims: object): string | undefined {
    const { origin, bytes, truth } = this.#original(base, parts);
    const changed = origin.parts.flatMap((part, i) => {
      const [given, original] = [parts[i], bytes[i] ?? part.bytes];
      const isUnchanged = given !== undefined && equalBytes(given, original);
      return isUnchanged ? [] : [{ part: { ...part, bytes: original }, given }];
    });
    const excuses = changed.map(({ part, given }) =>
      this.family.excuses.find((each) => each.covers(part, given, claims, parts)),
    );
    const forgiven = excuses.flatMap((each) => each?.claims ?? []);
    const { isSame = isEqual } = this.family;
    if (!isSame(truth, forgive(truth, claims, forgiven))) return "accepted, with other claims";
    if (excuses.includes(undefined)) {
      const names = changed.filter((_, i) => excuses[i] === undefined).map(({ part }) => part.name);
      return `accepted, and nothing says that these bytes carry no meaning (${names.join(", ")})`;
    }
    for (const reason of new Set(excuses.map((each) => each!.reason))) add(this.tally.excused, reason);
    return undefined;
  }

  /** What was changed: parts of other originals can come together again, and then it is their claims that have to be found. */
  #original(base: Base, parts: readonly Bytes[]): { origin: Base; bytes: readonly Bytes[]; truth: object } {
    const isSame = (part: Part, given: Bytes) =>
      given !== undefined &&
      (equalBytes(given, part.bytes) || this.family.excuses.some((each) => each.covers(part, given, {}, parts)));
    const origin = [base, ...this.#bases].find((each) => isEvidenceOf(each, base, parts, isSame)) ?? base;
    const own = { origin, bytes: origin.parts.map(({ bytes }) => bytes), truth: this.#truths.get(origin)! };
    if (origin === base) return own;
    // Genuine evidence of another machine, with this one's collateral and time: of one kind of platform that is as good.
    const bytes = base.parts.map((part, i) => (part.role === "collateral" ? part.bytes : own.bytes[i]));
    const answer = base.verify(bytes);
    return answer.ok ? { origin: base, bytes, truth: answer.claims } : own;
  }

  #runNamed(index: number): void {
    const { what, expect, run, entry } = this.#named[index]!;
    const fail = (reason: string) => this.#fail("named", index, undefined, `${entry}: ${what}`, reason, []);
    const answer = this.#timed("named", index, run, fail);
    if (!answer) return;
    const outcome = answer.ok ? "ok" : answer.failure.code;
    if (!answer.ok) add(this.tally.refused, outcome);
    if (!expect.includes(outcome)) fail(`${outcome} instead of ${expect.join(" or ")}`);
  }

  /** A machine that is busy with other work is given two more tries. */
  #timed<T>(phase: Phase, index: number, run: () => T, fail: (reason: string) => void): T | undefined {
    let answer: T | undefined;
    let best = Number.POSITIVE_INFINITY;
    try {
      for (let i = 0; i < 3 && best > ALARM_MS; i++) {
        const start = performance.now();
        answer = run();
        best = Math.min(best, performance.now() - start);
      }
    } catch (error) {
      fail(`thrown: ${error instanceof Error ? (error.stack ?? error.message).slice(0, 600) : String(error)}`);
      return undefined;
    }
    if (best > this.tally.slowest.ms) this.tally.slowest = { ms: best, phase, index };
    if (best > ALARM_MS) fail(`took ${Math.round(best)} ms`);
    return answer;
  }

  #fail(
    phase: Phase,
    index: number,
    base: Base | undefined,
    what: string,
    reason: string,
    parts: readonly Bytes[],
  ): void {
    const given = (base?.parts ?? []).map(({ name }, i) => [name, parts[i] ? toHex(parts[i]!) : null] as const);
    this.tally.failures.push({
      phase,
      index,
      base: base?.name ?? "",
      what,
      reason,
      parts: Object.fromEntries(given),
    });
  }

  #single(phase: "truncations" | "flips", index: number): Case {
    const { base, part, value } = find(phase === "truncations" ? this.#truncations : this.#flips, index);
    const { name, bytes } = base.parts[part]!;
    const changed = phase === "truncations" ? bytes.subarray(0, value) : bytes.slice();
    if (phase === "flips") changed[value >> 3]! ^= 1 << (value & 7);
    const parts: Bytes[] = base.parts.map((each) => each.bytes);
    parts[part] = changed;
    return { base, what: `${name} ${phase === "truncations" ? "cut to" : "with another bit"} ${value}`, parts };
  }

  #random(index: number): Case {
    const random = new Random(this.#plan.seed, this.family.name, index);
    const base = random.pick(this.#bases);
    const parts: Bytes[] = base.parts.map(({ bytes }) => bytes);
    const what: string[] = [];
    do {
      const ofEvidence = base.parts.map((_, i) => i).filter((i) => base.parts[i]!.role === "evidence");
      const i = random.chance(0.5) ? random.pick(ofEvidence) : random.below(base.parts.length);
      what.push(base.parts[i]!.name);
      parts[i] = this.#mutate(base, parts, i, random);
    } while (random.chance(0.25));
    return { base, what: `changes of ${what.join(", ")}`, parts };
  }

  #mutate(base: Base, parts: readonly Bytes[], i: number, random: Random): Bytes {
    const { format, role, name } = base.parts[i]!;
    const bytes = parts[i] ?? base.parts[i]!.bytes;
    if (random.chance(0.04)) {
      // The whole part: left out, another part's, or the same part of other evidence.
      const other = random.pick(this.#bases).parts.find((each) => each.name === name)?.bytes;
      const choices = [...(role === "collateral" ? [undefined] : []), random.pick(parts), other ?? new Uint8Array()];
      return random.pick(choices);
    }
    const others = this.#pool[format];
    const changed = {
      bytes: mutateBytes,
      der: mutateDer,
      cbor: mutateCbor,
      json: mutateJson,
      jws: mutateJws,
      xml: mutateXml,
    }[random.chance(0.2) ? "bytes" : format](bytes, random, others);
    return changed.length > MAX_BYTES ? changed.slice(0, MAX_BYTES) : changed;
  }
}

/** Consecutive cases of one part: every `step`th value from `first` on. */
interface Span {
  base: Base;
  part: number;
  count: number;
  first: number;
  step: number;
}

function spans(
  bases: readonly Base[],
  size: (part: Part) => number,
  stride: number,
  sample: number,
  seed: string,
): Span[] {
  return bases.flatMap((base) =>
    base.parts.map((part, i) => {
      const all = size(part);
      const step = part.role === "evidence" ? stride : Math.max(1, Math.floor(all / sample)) * stride;
      const first = new Random(seed, base.name, part.name).below(Math.min(step, all));
      return { base, part: i, step, first, count: all === 0 ? 0 : Math.ceil((all - first) / step) };
    }),
  );
}

function count(list: readonly Span[]): number {
  return list.reduce((sum, each) => sum + each.count, 0);
}

function find(list: readonly Span[], index: number): { base: Base; part: number; value: number } {
  let left = index;
  for (const { base, part, count: length, first, step } of list) {
    if (left < length) return { base, part, value: first + left * step };
    left -= length;
  }
  throw new Error(`there is no case ${index}`);
}

function isUnchanged({ parts: original }: Base, parts: readonly Bytes[]): boolean {
  return original.every(({ bytes }, i) => parts[i] !== undefined && equalBytes(parts[i]!, bytes));
}

/** Whether the parts that are evidence are those of another base of the same shape. */
function isEvidenceOf(
  other: Base,
  base: Base,
  parts: readonly Bytes[],
  isSame: (part: Part, given: Bytes) => boolean,
): boolean {
  return (
    other.parts.length === base.parts.length &&
    other.parts.every(
      (part, i) => part.name === base.parts[i]!.name && (part.role === "collateral" || isSame(part, parts[i])),
    )
  );
}

function isEqual(truth: object, claims: object): boolean {
  return canonicalJson(truth) === canonicalJson(claims);
}

/** Takes the original's word for claims that say of themselves that they were not checked. */
function forgive(truth: object, claims: object, names: readonly string[]): object {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [
      name,
      names.includes(name) ? unlessUnchecked((truth as Record<string, unknown>)[name], value) : value,
    ]),
  );
}

function unlessUnchecked(truth: unknown, value: unknown): unknown {
  if (value === "unchecked") return truth;
  if (typeof value !== "object" || value === null || typeof truth !== "object" || truth === null) return value;
  if (Array.isArray(value)) return value;
  if ((value as { status?: unknown }).status === "unchecked") return truth;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, unlessUnchecked((truth as Record<string, unknown>)[key], each)]),
  );
}

function namedCases({ name, mutations }: Family, bases: readonly Base[]): Named[] {
  if (!mutations || VECTORS === undefined) return [];
  const all = JSON.parse(readFileSync(join(VECTORS, "mutations.json"), "utf8")) as Record<string, unknown[]>;
  const named = mutations.named(bases);
  all[mutations.section]?.forEach((entry, i) => {
    if (named.some((each) => each.entry === i) || i in mutations.elsewhere) return;
    throw new Error(`${name}: nothing is made of entry ${i} of mutations.json: ${JSON.stringify(entry)}`);
  });
  return named;
}

function add(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
