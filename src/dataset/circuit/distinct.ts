/**
 * Twins of `circuits/dataset/distinct_list.circom`, `fingerprint.circom` and `distinct_records.circom`: no two records are
 * the same.
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
  linear,
  only,
  product,
} from "../../circuit/synthesis/elements.js";
import { nonZero, rangeCheck } from "../../circuit/synthesis/gadgets.js";
import { hashChain } from "../../circuit/synthesis/poseidon.js";
import type { Program } from "../../circuit/synthesis/program.js";
import type { Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { assertScalar, invert, mod, R } from "../../field/scalar.js";
import { CLAIM_CODES, type SegmentSignals } from "../claims.js";
import { AT, CHUNK_RECORDS, type Description, TAGS } from "../layout.js";
import {
  type ChunkShape,
  type ChunkValues,
  checkChunk,
  checkContext,
  checkShape,
  chunkInputCount,
  chunkInputs,
  recordChunk,
} from "./records.js";
import { SEGMENT_SIGNALS, signalInputs } from "./segment.js";
import { claimDigest, commitState, mainComponent } from "./shared.js";

/** Fields of the state, in order. */
export const DISTINCT_STATE = ["chunks", "records", "listed", "list", "last", "sum"] as const;

/** Fields of a description that make a record what it is, whatever its name, label and part. */
export const IDENTITY = [
  AT.kind,
  AT.length,
  AT.blocks,
  AT.shape,
  AT.content,
  AT.rest,
  AT.cell0,
  AT.cell1,
  AT.cell2,
  AT.cell3,
  AT.cell4,
] as const;

/** Entries that one step of the list's chain takes in, beside a blinding value. */
export const LIST_STEP = 14;
/** Steps of a segment of the list in all that ships: the most that 2^17 rows have room for. */
export const LIST_STEPS = 30;
export const LOW_BITS = 128;
export const GAP_BITS = 126;
/** High parts of entries are below this. */
export const HIGH_END = R >> BigInt(LOW_BITS);

/** The public parameters: what fingerprints and fractions are evaluated at. */
export interface DistinctChallenges {
  readonly rho: bigint;
  readonly gamma: bigint;
}

export interface DistinctListShape {
  /** {@link LIST_STEPS} in all that ships. */
  readonly steps?: number | undefined;
}

export interface DistinctListRequest extends SegmentSignals {
  readonly challenges: DistinctChallenges;
  /** Of each entry, how far its high part is beyond that of the one before, less 1. */
  readonly gaps: readonly bigint[];
  readonly lows: readonly bigint[];
  /** One for each step. */
  readonly blinds: readonly bigint[];
}

export interface DistinctRecordsRequest extends ChunkValues, SegmentSignals {
  readonly challenges: DistinctChallenges;
}

/** The fingerprint of a record: its identity as a polynomial at rho. */
export function fingerprint(description: Description, rho: bigint): bigint {
  return horner(description, rho)[0]!;
}

/** The polynomial's values from each of its coefficients on. */
function horner(description: Description, rho: bigint): bigint[] {
  const values: bigint[] = [];
  let value = 0n;
  for (let j = IDENTITY.length - 1; j >= 0; j--) values[j] = value = (rho * (description[IDENTITY[j]!]! + value)) % R;
  return values;
}

const MAX_LIST_STEPS = 1024;

/** "The list goes on with these entries, each more than the one before." @throws INPUT_INVALID */
export function distinctListProgram({ steps = LIST_STEPS }: DistinctListShape): Program<DistinctListRequest> {
  if (!Number.isInteger(steps) || steps < 1 || steps > MAX_LIST_STEPS) {
    throw new AnchorError("INPUT_INVALID", `a sorted list takes 1 to ${MAX_LIST_STEPS} steps`);
  }
  const name = `dataset-distinct-list-${steps}`;
  const slots = LIST_STEP * steps;
  return {
    name,
    circom: mainComponent(name, "distinct_list", SEGMENT_SIGNALS, `DatasetDistinctList(${steps})`),
    publicSignals: SEGMENT_SIGNALS,
    privateInputs: 2 + 4 + 2 + 3 * slots + steps,
    synthesise(s, request) {
      if (request) checkList(steps, request);
      const signals = signalInputs(s, request);
      const [rho, gamma] = challengeInputs(s, request);
      const input = (name: (typeof DISTINCT_STATE)[number]) =>
        element(s, request?.before[DISTINCT_STATE.indexOf(name)] ?? 0n, name);
      const listed = input("listed");
      const list = input("list");
      const last = input("last");
      const sum = input("sum");
      const beforeSalt = element(s, request?.beforeSalt ?? 0n, "beforeSalt");
      const afterSalt = element(s, request?.afterSalt ?? 0n, "afterSalt");
      const entries = request?.gaps.length ?? 0;
      const padded = (values: readonly bigint[] | undefined) =>
        Array.from({ length: slots }, (_, i) => values?.[i] ?? 0n);
      const real = elements(s, padded(new Array<bigint>(entries).fill(1n)), "real");
      const gap = elements(s, padded(request?.gaps), "gap");
      const low = elements(s, padded(request?.lows), "low");
      const blind = elements(s, request?.blinds ?? new Array<bigint>(steps).fill(0n), "blind");

      nonZero(s, "bound", signals.context);
      nonZero(s, "named", signals.root);
      claimDigest(s, "digest", Number(CLAIM_CODES.distinctList), [rho, gamma], signals.claim);
      const zero = constant(0n);
      commitState(s, "first", [zero, zero, listed, list, last, sum], beforeSalt, signals.before);

      const present = s.combination();
      const total = s.combination();
      const values: Element[] = [];
      let high = last;
      let sumAfter = sum.value;
      s.alias(high.wire, "high", 0);
      for (let i = 0; i < slots; i++) {
        const is = real[i]!;
        s.row(only(s, is), addElement(s.combination(-1), 1, is), s.combination());
        if (i > 0) s.row(only(s, is), addElement(s.combination(1), -1, real[i - 1]!), s.combination());
        present.add(1, is.wire);
        rangeCheck(s, "gaps", i, gap[i]!, GAP_BITS);
        rangeCheck(s, "lows", i, low[i]!, LOW_BITS);
        s.row(
          s.combination(1).add(-1, is.wire),
          s.combination().add(1, gap[i]!.wire).add(1, low[i]!.wire),
          s.combination(),
        );
        const risen = s.combination().add(1, high.wire).add(1, gap[i]!.wire).add(1, is.wire);
        high = linear(s, risen, high.value + gap[i]!.value + is.value, "high", i + 1);
        const whole = mod(is.value * ((high.value << BigInt(LOW_BITS)) + low[i]!.value));
        const value = element(s, whole, "value", i);
        s.row(
          only(s, is),
          s
            .combination()
            .add(1n << BigInt(LOW_BITS), high.wire)
            .add(1, low[i]!.wire),
          only(s, value),
        );
        values.push(value);
        const term = fraction(s, i, gamma, value, is);
        total.add(1, term.wire);
        sumAfter += term.value;
      }
      s.enter("room");
      const room = linear(s, s.combination(HIGH_END - 1n).add(-1, high.wire), HIGH_END - 1n - high.value, "in");
      s.leave();
      rangeCheck(s, "room", undefined, room, GAP_BITS);

      s.enter("chain");
      const taken = blind.flatMap((each, i) => [...values.slice(LIST_STEP * i, LIST_STEP * (i + 1)), each]);
      const chained = hashChain(s, TAGS.chain, list, taken);
      s.leave();

      s.enter("next");
      const listedAfter = linear(s, present.add(1, listed.wire), listed.value + BigInt(entries), "field", 2);
      const summed = linear(s, total.add(1, sum.wire), sumAfter, "field", 5);
      s.leave();
      commitState(s, "next", [zero, zero, listedAfter, chained, high, summed], afterSalt, signals.after);
    },
  };
}

/** "The next chunk's records are taken off the sum." */
export function distinctRecordsProgram(shape: ChunkShape): Program<DistinctRecordsRequest> {
  checkShape(shape);
  const { records = CHUNK_RECORDS, depth } = shape;
  const name = `dataset-distinct-records-${records}-${depth}`;
  return {
    name,
    circom: mainComponent(name, "distinct_records", SEGMENT_SIGNALS, `DatasetDistinctRecords(${records}, ${depth})`),
    publicSignals: SEGMENT_SIGNALS,
    privateInputs: chunkInputCount(shape) + 1 + 2 + DISTINCT_STATE.length + 2,
    synthesise(s, request) {
      if (request) checkRecords(shape, request);
      const signals = signalInputs(s, request);
      const index: Element = { wire: 0, value: 0n };
      const inputs = chunkInputs(s, shape, { root: signals.root, index }, request);
      const count = element(s, BigInt(request?.descriptions.length ?? 0), "count");
      const [rho, gamma] = challengeInputs(s, request);
      const field = elements(s, request?.before ?? DISTINCT_STATE.map(() => 0n), "field");
      const [chunks, counted, listed, list, , sum] = field as [Element, Element, Element, Element, Element, Element];
      const beforeSalt = element(s, request?.beforeSalt ?? 0n, "beforeSalt");
      const afterSalt = element(s, request?.afterSalt ?? 0n, "afterSalt");

      nonZero(s, "bound", signals.context);
      claimDigest(s, "digest", Number(CLAIM_CODES.distinctRecords), [rho, gamma], signals.claim);
      commitState(s, "first", field, beforeSalt, signals.before);
      const { real } = recordChunk(s, "chunk", { ...inputs, index: chunks }, count);

      const total = s.combination();
      let sumAfter = sum.value;
      for (let i = 0; i < records; i++) {
        const term = fraction(s, i, gamma, fingerprintOf(s, i, inputs.descriptions[i]!, rho), real[i]!);
        total.add(-1, term.wire);
        sumAfter -= term.value;
      }

      s.enter("next");
      const chunksAfter = linear(s, s.combination(1).add(1, chunks.wire), chunks.value + 1n, "field", 0);
      const both = s.combination().add(1, counted.wire).add(1, count.wire);
      const countedAfter = linear(s, both, counted.value + count.value, "field", 1);
      const summed = linear(s, total.add(1, sum.wire), sumAfter, "field", 5);
      s.leave();
      const after = [chunksAfter, countedAfter, listed, list, constant(0n), summed];
      commitState(s, "next", after, afterSalt, signals.after);
    },
  };
}

function challengeInputs(s: Synthesis, request: { challenges: DistinctChallenges } | undefined): [Element, Element] {
  const { rho, gamma } = request?.challenges ?? { rho: 0n, gamma: 0n };
  return [element(s, rho, "challenge", 0), element(s, gamma, "challenge", 1)];
}

/** `Fingerprint`, as a component of `fingerprint`. */
function fingerprintOf(s: Synthesis, index: number, description: readonly Element[], rho: Element): Element {
  s.enter("fingerprint", index);
  aliasAll(s, description, "description");
  s.alias(rho.wire, "rho");
  const values = horner(
    description.map(({ value }) => value),
    rho.value,
  );
  let at = constant(0n);
  for (let j = IDENTITY.length - 1; j >= 0; j--) {
    const next = element(s, values[j]!, "value", j);
    s.row(only(s, rho), addElement(only(s, description[IDENTITY[j]!]!), 1, at), only(s, next));
    at = next;
  }
  s.alias(at.wire, "out");
  s.leave();
  return at;
}

/** `real / (gamma - value)`. Where the divisor is 0, no row holds. */
function fraction(s: Synthesis, index: number, gamma: Element, value: Element, real: Element): Element {
  const divisor = mod(gamma.value - value.value);
  const inverse = element(s, divisor === 0n ? 0n : invert(divisor), "inverse", index);
  s.row(addElement(only(s, gamma), -1, value), only(s, inverse), s.combination(1));
  return product(s, real, inverse, "term", index);
}

function checkSignals(request: SegmentSignals & { challenges: DistinctChallenges }): void {
  const { root, claim, before, after, beforeSalt, afterSalt, context, challenges } = request;
  if (before.length !== DISTINCT_STATE.length || after.length !== DISTINCT_STATE.length) {
    throw new AnchorError("INPUT_INVALID", `a state has ${DISTINCT_STATE.length} fields`);
  }
  const { rho, gamma } = challenges;
  for (const value of [root, claim, ...before, ...after, beforeSalt, afterSalt, rho, gamma]) {
    assertScalar(value, "an input of the segment");
  }
  checkContext(context);
}

function checkList(steps: number, request: DistinctListRequest): void {
  checkSignals(request);
  const { gaps, lows, blinds, before } = request;
  if (gaps.length > LIST_STEP * steps || lows.length !== gaps.length || blinds.length !== steps) {
    throw new AnchorError("INPUT_INVALID", "the segment of the list is not of the circuit's size");
  }
  for (const value of [...gaps, ...lows, ...blinds]) assertScalar(value, "an input of the list");
  if (before[DISTINCT_STATE.indexOf("chunks")] !== 0n || before[DISTINCT_STATE.indexOf("records")] !== 0n) {
    throw new AnchorError("INPUT_INVALID", "no entry of the list follows a record");
  }
}

function checkRecords(shape: ChunkShape, request: DistinctRecordsRequest): void {
  checkSignals(request);
  checkChunk(shape, request);
  if (request.index !== request.before[DISTINCT_STATE.indexOf("chunks")]) {
    throw new AnchorError("INPUT_INVALID", "the chunk is not the state's next one");
  }
}
