/**
 * Twins of `circuits/dataset/content.circom` and `ranged_content.circom`, with `content_run.circom` and
 * `content_range.circom`: segments of the run over all contents and records of a dataset.
 *
 * What a step does is said twice here: by {@link advance}, on values, for planners and for the check of a request; and as
 * rows. The rows are what counts.
 *
 * @module
 */

import {
  addElement,
  aliasAll,
  constant,
  type Element,
  element,
  elements,
  equate,
  linear,
  only,
  product,
} from "../../circuit/synthesis/elements.js";
import { nonZero, rangeCheck } from "../../circuit/synthesis/gadgets.js";
import { poseidon } from "../../circuit/synthesis/poseidon.js";
import type { Program } from "../../circuit/synthesis/program.js";
import type { Combination, Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { ELEMENT_BYTES } from "../../field/bytes.js";
import { poseidon16 } from "../../field/poseidon.js";
import { assertScalar, mod } from "../../field/scalar.js";
import { CLAIM_CODES, claimSignal, type SegmentSignals } from "../claims.js";
import { AT, BLOCK_ELEMENTS, CHUNK_RECORDS, type Description, FIELDS, STARTS, TAGS } from "../layout.js";
import { checkContext } from "./records.js";
import { SEGMENT_SIGNALS, signalInputs } from "./segment.js";
import { aliasGroup, claimDigest, commitState, datasetRoot, groupInputs, mainComponent } from "./shared.js";

/** Fields of a state, in their order. */
export const CONTENT_STATE = ["chunks", "inChunk", "chunk", "content", "own", "records", "blocks", "values"] as const;
/** Those behind them, where numbers lie in a range. */
export const RANGE_STATE = ["elements", "tail", "left"] as const;

/** The first state of a run. */
export function initialState(ranged: boolean): bigint[] {
  const base = [0n, 0n, STARTS.chunk, STARTS.content, 0n, 0n, 0n, 0n];
  return ranged ? [...base, 0n, 0n, 0n] : base;
}

/** A step of the run. */
export type ContentStep =
  /** Fifteen elements of content; `numbers` is how many real numbers they hold, where those are in a range. */
  | { readonly type: "absorb"; readonly elements: readonly bigint[]; readonly numbers?: number | undefined }
  /** A record behind its content; with `close`, the end of its chunk. */
  | {
      readonly type: "record";
      readonly description: Description;
      readonly blind: bigint;
      readonly close: boolean;
    };

export interface ContentShape {
  readonly steps: number;
  readonly depth: number;
  /** Records of a chunk, a power of two; {@link CHUNK_RECORDS} in all that ships, fewer in tests. */
  readonly chunkRecords?: number | undefined;
}

/** How the numbers in a content are taken apart. */
export interface RangeShape {
  /** Bits of the range: it is at most `2^bits` wide. */
  readonly bits: number;
  /** Whether it is exactly so wide, which costs half. */
  readonly exact: boolean;
}

export interface RangedShape extends ContentShape, RangeShape {}

export interface NumbersShape extends RangedShape {
  /** Bytes of a number. */
  readonly width: 1 | 2 | 4 | 8;
}

export interface ContentRequest extends SegmentSignals {
  /** At most as many as the circuit has. */
  readonly steps: readonly ContentStep[];
  /** Root of the chunk that is open before, or of the last one where none is. */
  readonly chunkRoot: bigint;
  /** Children at each level of its path. */
  readonly group: readonly (readonly bigint[])[];
  /** Records, blocks, values, schema. */
  readonly opening: readonly bigint[];
}

export interface RangedRequest extends ContentRequest {
  readonly kind: bigint;
  readonly min: bigint;
  readonly max: bigint;
}

/** Numbers of an element. */
export function numbersPerElement(width: number): number {
  return Math.floor(ELEMENT_BYTES / width);
}

/**
 * The state after a step. Does not check that the step may be taken.
 *
 * @param perElement numbers of an element, for a state with their part
 */
export function advance(before: readonly bigint[], step: ContentStep, perElement = 0): bigint[] {
  const [chunks, inChunk, chunk, content, own, records, blocks, values, full] = before as [
    bigint,
    ...bigint[],
  ] as bigint[];
  const ranged = before.length > CONTENT_STATE.length;
  if (step.type === "absorb") {
    const next = poseidon16(TAGS.chain, [content!, ...step.elements]);
    const base = [chunks!, inChunk!, chunk!, next, own! + 1n, records!, blocks! + 1n, values!];
    if (!ranged) return base;
    const whole = wholeElements(step, perElement);
    const tail = step.elements[whole] ?? 0n;
    const left = whole === 0 ? 2n : whole < BLOCK_ELEMENTS ? 1n : 0n;
    return [...base, full! + BigInt(whole), tail, left];
  }
  const { description, blind, close } = step;
  const next = poseidon16(TAGS.chain, [chunk!, ...description, blind]);
  return [
    ...(close ? [chunks! + 1n, 0n, STARTS.chunk] : [chunks!, inChunk! + 1n, next]),
    STARTS.content,
    0n,
    records! + 1n,
    blocks!,
    values! + description[AT.length]!,
    ...(ranged ? [0n, 0n, 0n] : []),
  ];
}

function wholeElements({ numbers = 0 }: Extract<ContentStep, { type: "absorb" }>, perElement: number): number {
  return Math.min(BLOCK_ELEMENTS, Math.floor(numbers / perElement));
}

/** The wires of a step's inputs. */
interface StepInputs {
  readonly absorb: Element;
  readonly record: Element;
  readonly close: Element;
  /** Fifteen. */
  readonly in: readonly Element[];
}

interface RunInputs {
  readonly root: Element;
  readonly state: readonly Element[];
  readonly steps: readonly StepInputs[];
  readonly chunkRoot: Element;
  readonly group: readonly (readonly Element[])[];
  readonly opening: readonly Element[];
}

const NO_STEP = new Array<bigint>(BLOCK_ELEMENTS).fill(0n);

/** What the fifteen inputs of a step's permutation are, behind the chaining value. */
function inputsOf(step: ContentStep | undefined): readonly bigint[] {
  if (step === undefined) return NO_STEP;
  return step.type === "absorb" ? step.elements : [...step.description, step.blind];
}

function stepInputs(s: Synthesis, count: number, steps: readonly ContentStep[]): StepInputs[] {
  const flags = (name: string, is: (step: ContentStep) => boolean) =>
    elements(
      s,
      Array.from({ length: count }, (_, i) => (steps[i] !== undefined && is(steps[i]) ? 1n : 0n)),
      name,
    );
  const absorb = flags("absorb", ({ type }) => type === "absorb");
  const record = flags("record", ({ type }) => type === "record");
  const close = flags("close", (step) => step.type === "record" && step.close);
  return absorb.map((each, i) => ({
    absorb: each,
    record: record[i]!,
    close: close[i]!,
    in: elements(s, inputsOf(steps[i]), `in[${i}]`),
  }));
}

function pathInputs(s: Synthesis, depth: number, request: ContentRequest | undefined) {
  return {
    chunkRoot: element(s, request?.chunkRoot ?? 0n, "chunkRoot"),
    group: groupInputs(s, depth, request?.group),
    opening: elements(s, request?.opening ?? [0n, 0n, 0n, 0n], "opening"),
  };
}

/** The rows of a range check of a linear form: all of its bits but the highest are wires, and that is what they leave. */
function restInRange(s: Synthesis, name: string, rest: Combination, value: bigint, count: number): void {
  const first = s.bits(s.valued ? BigInt.asUintN(64, value) : 0n, count - 1, name);
  for (let i = 0; i < count - 1; i++) rest.add(-(1n << BigInt(i)), first + i);
  const highest = s.combination(-(1n << BigInt(count - 1))).plus(rest);
  s.row(rest, highest, s.combination());
}

/** `ContentRun`, as a component `run`. */
function contentRun(s: Synthesis, chunkBits: number, inputs: RunInputs): Element[] {
  const { root, state, steps, chunkRoot, group, opening } = inputs;
  s.enter("run");
  s.alias(root.wire, "root");
  aliasAll(s, state, "state");
  for (const name of ["absorb", "record", "close"] as const) {
    aliasAll(
      s,
      steps.map((step) => step[name]),
      name,
    );
  }
  for (const [i, step] of steps.entries()) aliasAll(s, step.in, `in[${i}]`);
  s.alias(chunkRoot.wire, "chunkRoot");
  aliasGroup(s, group);
  aliasAll(s, opening, "opening");

  const [, inChunk, , , , records] = state as [Element, Element, Element, Element, Element, Element];
  let [chunk, content, own] = [state[2]!, state[3]!, state[4]!];
  for (const [name, { wire }] of Object.entries({ chunk, content, own })) s.alias(wire, name, 0);
  const sums = {
    closes: sumOf(s),
    closing: sumOf(s),
    at: sumOf(s),
    records: sumOf(s),
    blocks: sumOf(s),
    values: sumOf(s),
  };
  for (const [i, { absorb, record, close, in: inner }] of steps.entries()) {
    const now = () => addElement(only(s, absorb), 1, record);
    const before = steps[i - 1];
    const changed =
      before === undefined ? now().add(-1, 0) : addElement(addElement(now(), -1, before.absorb), -1, before.record);
    s.row(now(), changed, s.combination());
    s.row(only(s, absorb), only(s, record), s.combination());
    s.row(only(s, close), addElement(only(s, record), -1, close), s.combination());

    const first = element(s, absorb.value === 1n ? content.value : chunk.value, "first", i);
    s.row(only(s, absorb), addElement(only(s, content), -1, chunk), addElement(only(s, first), -1, chunk));
    s.enter("step", i);
    const hashInputs = [first, ...inner];
    aliasAll(s, hashInputs, "in");
    const out = poseidon(s, TAGS.chain, hashInputs);
    s.leave();

    const closed = product(s, close, out, "closed", i);
    const isRecord = record.value === 1n;
    const nextChunk = element(
      s,
      close.value === 1n ? STARTS.chunk : isRecord ? out.value : chunk.value,
      "chunk",
      i + 1,
    );
    const moved = addElement(addElement(only(s, nextChunk), -1, chunk), 1, closed);
    s.row(only(s, record), addElement(only(s, out), -1, chunk), addElement(moved, -STARTS.chunk, close));

    s.row(only(s, record), addElement(only(s, inner[AT.content]!), -1, content), s.combination());
    const renewed = element(s, isRecord ? mod(STARTS.content - content.value) : 0n, "renewed", i);
    s.row(only(s, record), addElement(s.combination(STARTS.content), -1, content), only(s, renewed));
    const nextContent = element(
      s,
      absorb.value === 1n ? out.value : mod(content.value + renewed.value),
      "content",
      i + 1,
    );
    const taken = addElement(addElement(only(s, nextContent), -1, content), -1, renewed);
    s.row(only(s, absorb), addElement(only(s, out), -1, content), taken);

    s.row(only(s, record), addElement(only(s, inner[AT.blocks]!), -1, own), s.combination());
    const nextOwn = element(s, isRecord ? 0n : own.value + absorb.value, "own", i + 1);
    s.row(only(s, record), only(s, own), addElement(addElement(only(s, own), 1, absorb), -1, nextOwn));
    const length = product(s, record, inner[AT.length]!, "length", i);

    sums.records.add(record);
    const place = element(s, close.value * sums.records.value, "place", i);
    s.row(only(s, close), sums.records.form(), only(s, place));
    sums.closes.add(close);
    sums.closing.add(closed);
    sums.at.add(place);
    sums.blocks.add(absorb);
    sums.values.add(length);
    [chunk, content, own] = [nextChunk, nextContent, nextOwn];
  }
  const { closes, closing, at } = sums;
  s.row(closes.form(), closes.form().add(-1, 0), s.combination());
  s.row(closes.form(), closing.form(-1n).add(1, chunkRoot.wire), s.combination());

  const filled = element(s, closes.value * inChunk.value + at.value, "filled");
  s.row(closes.form(), only(s, inChunk), at.form(-1n).add(1, filled.wire));
  const behind = element(s, mod(closes.value * (opening[0]!.value - records.value) - at.value), "behind");
  s.row(closes.form(), addElement(only(s, opening[0]!), -1, records), at.form().add(1, behind.wire));
  s.row(closes.form(-(1n << BigInt(chunkBits))).add(1, filled.wire), only(s, behind), s.combination());
  s.enter("fits");
  const place = linear(s, closes.form(-1n).add(1, filled.wire), filled.value - closes.value, "in");
  s.leave();
  rangeCheck(s, "fits", undefined, place, chunkBits);

  const counted = (i: number, sum: Sum, less?: Element) => {
    const form = addElement(sum.form(), 1, state[i]!);
    if (less) addElement(form, -1, less);
    return linear(s, form, state[i]!.value + sum.value - (less?.value ?? 0n), "next", i);
  };
  const next = [
    counted(0, closes),
    counted(1, sums.records, filled),
    chunk,
    content,
    own,
    counted(5, sums.records),
    counted(6, sums.blocks),
    counted(7, sums.values),
  ];
  aliasAll(s, next, "next");
  rangeCheck(s, "room", undefined, next[1]!, chunkBits);

  datasetRoot(s, "top", { chunk: chunkRoot, index: state[0]!, group, opening }, root);
  s.leave();
  return next;
}

/** A sum of wires that grows from step to step. */
interface Sum {
  value: bigint;
  add(term: Element): void;
  /** So far, as a combination of its own. */
  form(factor?: bigint): Combination;
}

function sumOf(s: Synthesis): Sum {
  const terms: Element[] = [];
  return {
    value: 0n,
    add(term) {
      terms.push(term);
      this.value += term.value;
    },
    form(factor = 1n) {
      const form = s.combination();
      if (s.writing) for (const { wire } of terms) form.add(factor, wire);
      return form;
    },
  };
}

interface RangeInputs {
  readonly steps: readonly StepInputs[];
  /** Fifteen a step. */
  readonly full: readonly (readonly Element[])[];
  /** One less than an element's numbers, a step. */
  readonly some: readonly (readonly Element[])[];
  readonly kind: Element;
  readonly min: Element;
  readonly max: Element;
  readonly state: readonly Element[];
}

/** `ContentRange`, as a component `range`. */
function contentRange(s: Synthesis, width: number, { bits, exact }: RangeShape, inputs: RangeInputs): Element[] {
  const { steps, full, some, kind, min, max, state } = inputs;
  const perElement = numbersPerElement(width);
  const weights = Array.from({ length: perElement }, (_, j) => 1n << BigInt(8 * width * (perElement - 1 - j)));
  const ones = weights.reduce((sum, weight) => sum + weight);
  const mask = (1n << BigInt(8 * width)) - 1n;
  s.enter("range");
  for (const name of ["absorb", "record"] as const) {
    aliasAll(
      s,
      steps.map((step) => step[name]),
      name,
    );
  }
  for (const [i, step] of steps.entries()) aliasAll(s, step.in, `in[${i}]`);
  for (const [i, flags] of full.entries()) aliasAll(s, flags, `full[${i}]`);
  for (const [i, flags] of some.entries()) aliasAll(s, flags, `some[${i}]`);
  for (const [name, { wire }] of Object.entries({ kind, min, max })) s.alias(wire, name);
  aliasAll(s, state, "state");
  let [count, tail, left] = state as [Element, Element, Element];
  for (const [name, { wire }] of Object.entries({ elements: count, tail, left })) s.alias(wire, name, 0);

  if (exact) equate(s, addElement(only(s, max), -1, min).add(1n - (1n << BigInt(bits)), 0));
  for (const [i, { absorb, record, in: inner }] of steps.entries()) {
    const wholes = full[i]!;
    const reals = some[i]!;
    const more = sumOf(s);
    for (const [e, whole] of wholes.entries()) {
      const before = e === 0 ? absorb : wholes[e - 1]!;
      s.row(only(s, whole), addElement(only(s, whole), -1, before), s.combination());
      if (e > 0) s.row(addElement(only(s, absorb), -1, before), only(s, inner[e]!), s.combination());
      const behind = element(s, mod((absorb.value - whole.value) * inner[e]!.value), `behind[${i}]`, e);
      s.row(addElement(only(s, absorb), -1, whole), only(s, inner[e]!), only(s, behind));
      more.add(behind);
    }

    s.row(only(s, absorb), only(s, left), s.combination());
    const open = product(s, record, left, "open", i);
    const [first, last] = [wholes[0]!, wholes[BLOCK_ELEMENTS - 1]!];
    const leaves = addElement(addElement(only(s, left), -1, open), 2, absorb);
    const leftAfter = left.value - open.value + 2n * absorb.value - first.value - last.value;
    const nextLeft = linear(s, addElement(addElement(leaves, -1, first), -1, last), leftAfter, "left", i + 1);
    const spent = element(s, mod((absorb.value + record.value) * tail.value), "spent", i);
    s.row(addElement(only(s, absorb), 1, record), only(s, tail), only(s, spent));
    const kept = addElement(addElement(more.form(), 1, tail), -1, spent);
    const nextTail = linear(s, kept, tail.value - spent.value + more.value, "tail", i + 1);
    const unreal = () => addElement(only(s, open), -1, reals[0]!);
    s.row(unreal(), unreal().add(-1, 0), s.combination());
    const places = s.combination();
    let placed = 0n;
    for (const [j, real] of reals.entries()) {
      const before = j === 0 ? constant(1n) : reals[j - 1]!;
      s.row(only(s, real), addElement(only(s, real), -1, before), s.combination());
      places.add(weights[j]!, real.wire);
      placed += real.value * weights[j]!;
    }
    const low = element(s, mod(min.value * placed), "low", i);
    s.row(only(s, min), places, only(s, low));

    for (const [e, whole] of wholes.entries()) {
      const content = e === 0 ? whole.value * inner[e]!.value + spent.value : whole.value * inner[e]!.value;
      const sum = s.combination();
      for (const [j, weight] of weights.entries()) {
        const partly = e === 0 ? reals[j] : undefined;
        const isReal = whole.value + (partly?.value ?? 0n);
        const over = ((content >> BigInt(8 * width * (perElement - 1 - j))) & mask) - isReal * min.value;
        const first = s.bits(s.valued ? BigInt.asUintN(64, over) : 0n, bits, `bit[${i}][${e}][${j}]`);
        const number = (factor: bigint) => addBits(s, s.combination(), first, bits, factor);
        sum.plus(number(weight));
        if (e === 0) {
          const padding = only(s, record);
          if (partly) addElement(padding, -1, partly);
          s.row(padding, number(1n), s.combination());
        }
        if (exact) continue;
        const rest = addElement(addElement(number(-1n), 1, max), -1, min);
        restInRange(s, `above[${i}][${e}][${j}]`, rest, max.value - min.value - over, bits);
      }
      if (e === 0) addElement(addElement(sum, -1, spent), 1, low);
      s.row(only(s, whole), addElement(only(s, inner[e]!), -ones, min), sum);
    }

    s.row(only(s, record), addElement(only(s, inner[AT.kind]!), -1, kind), s.combination());
    const used = product(s, record, count, "used", i);
    const counted = addElement(addElement(s.combination(), 1, count), -1, used);
    let total = count.value - used.value;
    for (const whole of wholes) {
      addElement(counted, 1, whole);
      total += whole.value;
    }
    const nextCount = linear(s, counted, total, "elements", i + 1);
    const length = addElement(s.combination(), perElement, used);
    for (const real of reals) addElement(length, 1, real);
    s.row(only(s, record), only(s, inner[AT.length]!), length);
    [count, tail, left] = [nextCount, nextTail, nextLeft];
  }
  const next = [count, tail, left];
  aliasAll(s, next, "next");
  s.leave();
  return next;
}

function addBits(s: Synthesis, to: Combination, first: number, count: number, factor: bigint): Combination {
  if (s.writing) for (let b = 0; b < count; b++) to.add(factor << BigInt(b), first + b);
  return to;
}

/** The flags of numbers that are real: `full` of an absorbing step, `some` of a record's. */
function realNumbers(state: readonly bigint[], steps: readonly ContentStep[], perElement: number) {
  let elementsBefore = state[CONTENT_STATE.length]!;
  return steps.map((step) => {
    if (step.type === "absorb") {
      const whole = wholeElements(step, perElement);
      elementsBefore += BigInt(whole);
      return { whole, real: 0 };
    }
    const rest = step.description[AT.length]! - BigInt(perElement) * elementsBefore;
    elementsBefore = 0n;
    return { whole: 0, real: rest > 0n && rest < BigInt(perElement) ? Number(rest) : 0 };
  });
}

function flags(count: number, ones: number): bigint[] {
  return Array.from({ length: count }, (_, i) => (i < ones ? 1n : 0n));
}

function chunkBitsOf({ chunkRecords = CHUNK_RECORDS }: ContentShape): number {
  const bits = Math.log2(chunkRecords);
  if (!Number.isInteger(bits) || bits < 1) throw invalid("the records of a chunk are a power of two");
  return bits;
}

function invalid(message: string): AnchorError {
  return new AnchorError("INPUT_INVALID", message);
}

/** @throws INPUT_INVALID for a circuit that there is not */
function checkShape(shape: ContentShape): void {
  const { steps, depth } = shape;
  if (!Number.isInteger(steps) || steps < 1) throw invalid("a segment has at least one step");
  if (!Number.isInteger(depth) || depth < 1 || depth > 15) throw invalid("a tree has a height of 1 to 15");
  chunkBitsOf(shape);
}

/**
 * Checks that a request fits the circuit and that its steps lead from the one state to the other. That they may be taken is
 * what the rows say.
 *
 * @throws INPUT_INVALID, CONTEXT_ZERO
 */
function checkContent(shape: ContentShape, request: ContentRequest, perElement?: number): void {
  const { root, claim, before, after, beforeSalt, afterSalt, steps, chunkRoot, group, opening, context } = request;
  const fields = CONTENT_STATE.length + (perElement === undefined ? 0 : RANGE_STATE.length);
  const fits =
    before.length === fields &&
    after.length === fields &&
    steps.length <= shape.steps &&
    steps.every((step) =>
      step.type === "absorb" ? step.elements.length === BLOCK_ELEMENTS : step.description.length === FIELDS.length,
    ) &&
    group.length === shape.depth &&
    group.every((children) => children.length === 16) &&
    opening.length === 4;
  if (!fits) throw invalid("the segment is not of the circuit's size");
  const all = [root, claim, ...before, ...after, beforeSalt, afterSalt, chunkRoot, ...group.flat(), ...opening];
  for (const value of all) assertScalar(value, "an input of the segment");
  for (const step of steps) for (const value of inputsOf(step)) assertScalar(value, "an input of a step");
  checkContext(context);
  let state: readonly bigint[] = before;
  for (const step of steps) state = advance(state, step, perElement);
  if (state.some((value, i) => mod(value) !== after[i])) throw invalid("the steps do not lead to the state after them");
}

let signal: bigint | undefined;

/** The `claim` signal of `content`, which has no parameters. Not when this is loaded: hashing looks the native core up. */
export function integritySignal(): bigint {
  signal ??= claimSignal(CLAIM_CODES.content, [0n]);
  return signal;
}

/** Rows and values of {@link contentProgram} for any request of the circuit's size, also for one that makes no sense. */
export function synthesiseContent(s: Synthesis, shape: ContentShape, request: ContentRequest | undefined): void {
  const { root, claim, before, after, context } = signalInputs(s, request);
  const state = elements(s, request?.before ?? initialState(false), "state");
  const salt = elements(s, [request?.beforeSalt ?? 0n, request?.afterSalt ?? 0n], "salt");
  const steps = stepInputs(s, shape.steps, request?.steps ?? []);
  const path = pathInputs(s, shape.depth, request);

  nonZero(s, "bound", context);
  equate(s, s.combination(-integritySignal()).add(1, claim.wire));
  const next = contentRun(s, chunkBitsOf(shape), { root, state, steps, ...path });
  commitState(s, "from", state, salt[0]!, before);
  commitState(s, "to", next, salt[1]!, after);
}

/** "I know every element of every record": a segment. */
export function contentProgram(shape: ContentShape): Program<ContentRequest> {
  checkShape(shape);
  const { steps, depth, chunkRecords = CHUNK_RECORDS } = shape;
  const name = `dataset-content-${steps}-${depth}-${chunkRecords}`;
  return {
    name,
    circom: mainComponent(
      name,
      "content",
      SEGMENT_SIGNALS,
      `DatasetContent(${steps}, ${depth}, ${chunkBitsOf(shape)}, ${integritySignal()})`,
    ),
    publicSignals: SEGMENT_SIGNALS,
    privateInputs: CONTENT_STATE.length + 2 + steps * (3 + BLOCK_ELEMENTS) + 1 + 16 * depth + 4,
    synthesise(s, request) {
      if (request) checkContent(shape, request);
      synthesiseContent(s, shape, request);
    },
  };
}

/** As {@link synthesiseContent}, of {@link bytesProgram} and {@link numbersProgram}. */
export function synthesiseRanged(
  s: Synthesis,
  code: bigint,
  shape: NumbersShape,
  request: RangedRequest | undefined,
): void {
  const perElement = numbersPerElement(shape.width);
  const { root, claim, before, after, context } = signalInputs(s, request);
  const state = elements(s, request?.before ?? initialState(true), "state");
  const salt = elements(s, [request?.beforeSalt ?? 0n, request?.afterSalt ?? 0n], "salt");
  const kind = element(s, request?.kind ?? 0n, "kind");
  const min = element(s, request?.min ?? 0n, "min");
  const max = element(s, request?.max ?? 0n, "max");
  const steps = stepInputs(s, shape.steps, request?.steps ?? []);
  const reals = request ? realNumbers(request.before, request.steps, perElement) : [];
  const full = steps.map((_, i) => elements(s, flags(BLOCK_ELEMENTS, reals[i]?.whole ?? 0), `full[${i}]`));
  const some = steps.map((_, i) => elements(s, flags(perElement - 1, reals[i]?.real ?? 0), `some[${i}]`));
  const path = pathInputs(s, shape.depth, request);

  nonZero(s, "bound", context);
  claimDigest(s, "digest", Number(code), [kind, min, max, constant(BigInt(shape.width))], claim);
  const split = CONTENT_STATE.length;
  const run = contentRun(s, chunkBitsOf(shape), { root, state: state.slice(0, split), steps, ...path });
  const range = contentRange(s, shape.width, shape, { steps, full, some, kind, min, max, state: state.slice(split) });
  commitState(s, "from", state, salt[0]!, before);
  commitState(s, "to", [...run, ...range], salt[1]!, after);
}

/** "… and all records are of this kind, with all bytes of their data in a range": a segment. */
export function bytesProgram(shape: RangedShape): Program<RangedRequest> {
  return rangedProgram("bytes", CLAIM_CODES.bytes, { ...shape, width: 1 });
}

/** "… and all records are of this kind, with all numbers in a range of order-preserving keys": a segment. */
export function numbersProgram(shape: NumbersShape): Program<RangedRequest> {
  return rangedProgram("numbers", CLAIM_CODES.numbers, shape);
}

function rangedProgram(what: string, code: bigint, shape: NumbersShape): Program<RangedRequest> {
  checkShape(shape);
  const { steps, depth, chunkRecords = CHUNK_RECORDS, width, bits, exact } = shape;
  if (![1, 2, 4, 8].includes(width)) throw invalid("a number has 1, 2, 4 or 8 bytes");
  if (!Number.isInteger(bits) || bits < 1 || bits > 8 * width) throw invalid(`a range has 1 to ${8 * width} bits`);
  const perElement = numbersPerElement(width);
  const range = `${width}-${bits}${exact ? "x" : ""}`;
  const name = `dataset-${what}-${range}-${steps}-${depth}-${chunkRecords}`;
  const parameters = [steps, depth, chunkBitsOf(shape), code, width, bits, exact ? 1 : 0];
  return {
    name,
    circom: mainComponent(name, "ranged_content", SEGMENT_SIGNALS, `DatasetRangedContent(${parameters.join(", ")})`),
    publicSignals: SEGMENT_SIGNALS,
    privateInputs:
      CONTENT_STATE.length +
      RANGE_STATE.length +
      2 +
      3 +
      steps * (3 + 2 * BLOCK_ELEMENTS + perElement - 1) +
      1 +
      16 * depth +
      4,
    synthesise(s, request) {
      if (request) {
        checkContent(shape, request, perElement);
        for (const value of [request.kind, request.min, request.max]) assertScalar(value, "a parameter of the claim");
      }
      synthesiseRanged(s, code, shape, request);
    },
  };
}
