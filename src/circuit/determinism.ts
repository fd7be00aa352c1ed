/**
 * Determinism of a constraint system: whether its inputs, public and private, determine every other wire.
 *
 * That is what soundness asks of a circuit beyond the statement that it is meant to make: with a wire that a prover may
 * choose, there is a choice that nobody meant. It is not all that soundness asks: rows that determine the wrong thing
 * are a matter of comparing witnesses with what they should be.
 *
 * The pass looks at the rows alone, not at the source that they were compiled from nor at how witnesses are computed. It
 * shows that wires are unique by rules (see propagation.ts, hypothesis.ts, oneHot.ts) until none applies any more, and
 * lists what is left, with the rows and what stands in the way. What is left may well be unique: then somebody has to
 * say why, by an {@link Explanation}, and the pass goes on from there.
 *
 * @module
 */
import { AnchorError, throwIfAborted } from "../errors.js";
import {
  alternativesOf,
  type Form,
  hullOf,
  isBracketed,
  isExtreme,
  solutionsOf,
  unknownsBehind,
} from "./hypothesis.js";
import { areDistinguished, marksOf } from "./oneHot.js";
import { Propagation, type Rule } from "./propagation.js";
import { inputWires, type R1cs } from "./r1cs.js";
import { type Range, System } from "./system.js";

/** What somebody has proven by hand: that these wires are unique where all that the pass shows is. */
export interface Explanation {
  wires: readonly number[];
  /** The proof, in words. */
  proof: string;
}

export interface DeterminismOptions {
  /**
   * Ranges of inputs, by wire: what a template requires and does not enforce. For a whole circuit there is nothing to
   * say here, since nobody but its own rows keeps a prover to a range.
   */
  given?: ReadonlyMap<number, { lo: bigint; hi: bigint }> | undefined;
  explained?: readonly Explanation[] | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number) => void) | undefined;
  /** Another prime than BN254's r, for tests that enumerate all assignments. */
  modulus?: bigint | undefined;
}

/** Wires that rows tie to each other, and that no rule shows to be unique. */
export interface Undetermined {
  wires: number[];
  /** Those of them that are public outputs: a proof could say something else of the same inputs. */
  outputs: number[];
  /** Rows that mention any of them. */
  rows: number[];
  /** What stands in the way of a rule, as far as that can be told. */
  reason: string;
}

export interface DeterminismReport {
  /** Whether nothing is left. */
  deterministic: boolean;
  /** Wires that are neither the constant nor an input. */
  wires: number;
  rows: number;
  /** Of those wires, the ones shown to be unique. */
  determined: number;
  /** How many of them by which rule. */
  rules: Partial<Record<Rule, number>>;
  left: Undetermined[];
  /** Explanations without which something would be left, and the wires that were taken from them. */
  explained: Explanation[];
  /** Explanations of wires that the pass shows to be unique by itself. */
  needless: Explanation[];
  /** Inputs that no row mentions: a proof says nothing about them. */
  unusedInputs: number[];
}

const YIELD_MS = 25;
const MIN_WORDS = 6;
const MAX_PROOF = 10_000;

/**
 * Which wires the inputs determine.
 *
 * @throws INPUT_INVALID for an explanation or a range of what is no wire of the circuit; ABORTED
 */
export async function checkDeterminism(r1cs: R1cs, options: DeterminismOptions = {}): Promise<DeterminismReport> {
  const { given = new Map(), explained = [], signal, onProgress } = options;
  const inputs = inputWires(r1cs);
  checkOptions(r1cs, given, explained);
  const ranges = new Map<number, Range>();
  for (const [wire, { lo, hi }] of given) ranges.set(wire, { lo, hi, step: lo === hi ? 0n : 1n });

  const system = new System(r1cs, options.modulus);
  const state = new Propagation(system, inputs, ranges);
  const pause = pauses(signal);
  const exhaust = async (work: Iterable<void>) => {
    for (const _ of work) {
      if (pause.due()) {
        onProgress?.(shareOf(state));
        await pause.wait();
      }
    }
  };
  await exhaust(deduce(state));
  const used: Explanation[] = [];
  const needless: Explanation[] = [];
  for (const { wires, proof } of explained) {
    const open = wires.filter((wire) => !state.unique[wire]);
    if (open.length === 0) {
      needless.push({ wires, proof });
      continue;
    }
    used.push({ wires: open, proof });
    for (const wire of open) state.determine(wire, "explained");
    await exhaust(deduce(state));
  }

  const isInput = new Set(inputs);
  const rules: DeterminismReport["rules"] = {};
  let determined = 0;
  for (let wire = 1; wire < system.real; wire++) {
    const rule = state.ruleOf.get(wire);
    if (isInput.has(wire) || rule === undefined) continue;
    rules[rule] = (rules[rule] ?? 0) + 1;
    determined++;
  }
  const left = undetermined(state, r1cs);
  onProgress?.(1);
  return {
    deterministic: left.length === 0,
    wires: system.real - 1 - inputs.length,
    rows: r1cs.constraints,
    determined,
    rules,
    left,
    explained: used,
    needless,
    unusedInputs: unmentioned(r1cs, inputs),
  };
}

function checkOptions(r1cs: R1cs, given: NonNullable<DeterminismOptions["given"]>, explained: readonly Explanation[]) {
  const isWire = (wire: number) => Number.isInteger(wire) && wire > 0 && wire < r1cs.wires;
  for (const [wire, { lo, hi }] of given) {
    if (!isWire(wire) || lo > hi) throw new AnchorError("INPUT_INVALID", `no range of wire ${wire}: ${lo} to ${hi}`);
  }
  for (const { wires, proof } of explained) {
    const wrong = wires.find((wire) => !isWire(wire));
    if (wrong !== undefined)
      throw new AnchorError("INPUT_INVALID", `an explanation is of wire ${wrong}, which is none`);
    const words = typeof proof === "string" && proof.length <= MAX_PROOF ? proof.trim().split(/\s+/).length : 0;
    if (words < MIN_WORDS) {
      throw new AnchorError("INPUT_INVALID", `an explanation is a proof in words, ${MIN_WORDS} at least`);
    }
  }
}

/** Applies all rules until none says anything new. */
function* deduce(state: Propagation): Generator<void> {
  yield* state.run();
  const { products, linear } = state.system;
  for (let news = true; news; ) {
    news = false;
    // Unknowns that were looked at since the rules began at the first row again.
    const tried = { largest: new Set<number>(), bracketed: new Set<number>() };
    for (let row = 0; row < linear.source.length; row++) {
      if (state.unknown[row]! < 2) continue;
      const marks = marksOf(state, row);
      if (!marks || !areDistinguished(state, marks, row)) continue;
      for (const mark of marks) if (state.determine(mark, "one-hot")) news = true;
      yield* state.run();
    }
    for (let row = 0; row < products.length; row++) {
      const found = unknownOfProduct(state, row, tried);
      if (!found) continue;
      if (state.determine(found.wire, found.rule)) news = true;
      if (found.range) state.restrict(found.wire, found.range);
      yield* state.run();
    }
    yield;
  }
}

/** Rules that take one unknown as known. */
function unknownOfProduct(
  state: Propagation,
  row: number,
  { largest: tried, bracketed }: { largest: Set<number>; bracketed: Set<number> },
): { wire: number; rule: Rule; range?: Range | undefined } | undefined {
  const { x, y, z, cz } = state.system.products[row]!;
  const open = [x, y].filter((wire) => !state.unique[wire]);
  if (open.length === 0) return undefined;
  const largest = (wire: number, solutions: readonly Form[]) =>
    isExtreme(state, wire, solutions) ? { wire, rule: "largest" as const, range: hullOf(state, solutions) } : undefined;
  if (z < 0 && cz === 0n) {
    const found = solutionsOf(state, row);
    const extreme = found && largest(found.wire, found.solutions);
    if (extreme) return extreme;
    for (const wire of open.flatMap((each) => unknownsBehind(state, each))) {
      if (tried.has(wire)) continue;
      tried.add(wire);
      const alternatives = alternativesOf(state, wire);
      const extreme = alternatives && largest(wire, alternatives);
      if (extreme) return extreme;
    }
  }
  for (const wire of new Set(open)) {
    const other = wire === x ? y : x;
    // A multiple or the square of what is asked for; other products come from one of these.
    if ((wire !== other && !state.unique[other]) || bracketed.has(wire)) continue;
    bracketed.add(wire);
    if (state.ranges[wire] && isBracketed(state, wire)) return { wire, rule: "bracket" };
  }
  return undefined;
}

/** What is left, by groups that rows tie together. */
function undetermined(state: Propagation, r1cs: R1cs): Undetermined[] {
  const { system } = state;
  const parent = Int32Array.from({ length: system.wires }, (_, wire) => wire);
  const find = (wire: number) => {
    let root = wire;
    while (parent[root] !== root) root = parent[root] = parent[parent[root]!]!;
    return root;
  };
  const join = (wires: readonly number[]) => {
    for (const wire of wires) parent[find(wire)] = find(wires[0]!);
  };
  const isOpen = (wire: number) => wire >= 0 && !state.unique[wire];
  for (let row = 0; row < state.unknown.length; row++) if (state.unknown[row]! > 1) join(state.unknownsOf(row));
  for (const { x, y, z } of system.products) join([x, y, z].filter(isOpen));

  const groups = new Map<number, number[]>();
  for (let wire = 1; wire < system.wires; wire++) {
    if (state.unique[wire]) continue;
    const root = find(wire);
    const group = groups.get(root);
    if (group) group.push(wire);
    else groups.set(root, [wire]);
  }
  const lacksInputs = inputWires(r1cs).length < r1cs.publicInputs + r1cs.privateInputs;
  return [...groups.values()].map((group) => {
    const wires = group.filter((wire) => wire < system.real);
    const outputs = wires.filter((wire) => wire <= r1cs.publicOutputs);
    const [linear, products] = [new Set<number>(), new Set<number>()];
    for (const wire of group) {
      for (const row of state.linearOf(wire)) linear.add(row);
      for (const row of state.productsOf(wire)) products.add(row);
    }
    const rows = new Set([
      ...[...linear].map((row) => system.linear.source[row]!),
      ...[...products].map((row) => system.products[row]!.source),
      ...group.flatMap((wire) => system.ownRows.get(wire) ?? []),
    ]);
    return {
      wires,
      outputs,
      rows: [...rows].sort((a, b) => a - b),
      reason: reasonOf(state, group, [...linear], [...products], outputs.length > 0 && lacksInputs),
    };
  });
}

function reasonOf(
  state: Propagation,
  group: readonly number[],
  linear: readonly number[],
  products: readonly number[],
  mayBeInput: boolean,
): string {
  const { system, field } = state;
  if (linear.length + products.length === 0) {
    if (state.ranges[group[0]!]) return "only its own row mentions it";
    // Then the compiler has not kept a row for `output <== input` either.
    return mayBeInput
      ? "no row mentions it, unless it is a private input that has no wire of its own"
      : "no row mentions it";
  }
  if (linear.length + products.length < group.length) {
    // Rows that say which two values a wire may have determine none of them.
    const bits = group.filter((wire) => state.ranges[wire]?.step === 1n).length;
    if (bits === 0) return "there are fewer rows than wires";
  }
  for (const row of linear) {
    if (state.unknown[row]! < 2) continue;
    let total = 0n;
    let bounded = true;
    for (let i = system.linear.start[row]!; i < system.linear.start[row + 1]!; i++) {
      const wire = system.linear.wire[i]!;
      if (state.unique[wire]) continue;
      const range = state.ranges[wire];
      const k = system.linear.coefficient[i]!;
      if (range) total += (k < 0n ? -k : k) * (range.hi - range.lo);
      else bounded = false;
    }
    const source = system.linear.source[row];
    if (bounded && 2n * total >= field.p) {
      return `row ${source} has integers that reach the field's order: there may be two decompositions`;
    }
    if (bounded)
      return `row ${source} may add up in several ways: its coefficients are no digits for the ranges of its wires`;
  }
  const unbounded = group.find((wire) => wire < system.real && !state.ranges[wire]);
  for (const row of products) {
    const { x, cx, y, cy, z, source } = system.products[row]!;
    for (const [known, c, other] of [
      [x, cx, y],
      [y, cy, x],
    ] as const) {
      if (state.unique[known] && !state.unique[other] && (z < 0 || state.unique[z]) && !state.isNonZero(known, c)) {
        return `row ${source} ties wire ${named(state, other)} down only where a factor is not 0`;
      }
    }
  }
  if (unbounded !== undefined) return `no row gives wire ${unbounded} a range, and no rule does without`;
  return "no rule applies";
}

function named(state: Propagation, wire: number): string {
  return wire < state.system.real ? String(wire) : "of a linear form";
}

function shareOf(state: Propagation): number {
  return Math.min(0.99, state.ruleOf.size / state.system.wires);
}

function unmentioned(r1cs: R1cs, inputs: readonly number[]): number[] {
  const mentioned = new Uint8Array(r1cs.wires);
  for (const { wire } of [r1cs.a, r1cs.b, r1cs.c]) for (const each of wire) mentioned[each] = 1;
  return inputs.filter((wire) => !mentioned[wire]);
}

/** Lets other work of the process run now and then, and the caller stop this one. */
function pauses(signal: AbortSignal | undefined) {
  let last = performance.now();
  throwIfAborted(signal);
  return {
    due: () => performance.now() - last > YIELD_MS,
    async wait() {
      await new Promise((resolve) => setImmediate(resolve));
      throwIfAborted(signal);
      last = performance.now();
    },
  };
}
