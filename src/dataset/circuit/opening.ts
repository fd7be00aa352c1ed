/**
 * Twins of `circuits/dataset/chunk_tail.circom` and `opening.circom`: one record, by its number.
 *
 * @module
 */

import {
  addElement,
  aliasAll,
  type Element,
  element,
  elements,
  linear,
  must,
  only,
} from "../../circuit/synthesis/elements.js";
import { nonZero, num2Bits, rangeCheck } from "../../circuit/synthesis/gadgets.js";
import { poseidon } from "../../circuit/synthesis/poseidon.js";
import type { Program } from "../../circuit/synthesis/program.js";
import type { Combination, Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { assertScalar } from "../../field/scalar.js";
import { CHUNK_RECORDS, type Description, FIELDS, TAGS } from "../layout.js";
import { checkContext } from "./records.js";
import { datasetRoot, groupInputs, mainComponent, RECORD_BITS } from "./shared.js";

/** Slots for records that follow one in its chunk. The smallest that is enough is the one to take. */
export const FOLLOWING = [7, 31, CHUNK_RECORDS - 1] as const;

/** How the chunk goes on after a record. */
export interface TailShape {
  /** Records of a chunk, as a power of two: 7 in all that ships, fewer in tests. */
  readonly bits?: number | undefined;
  /** Slots for records, one of {@link FOLLOWING} in all that ships. */
  readonly following: number;
}

export interface TailValues {
  /** Descriptions of those that follow, and their blinding values. */
  readonly following: readonly Description[];
  readonly followingBlinds: readonly bigint[];
}

export interface OpeningShape extends TailShape {
  readonly depth: number;
}

export interface OpeningRequest extends TailValues {
  readonly root: bigint;
  /** Number of the record. */
  readonly index: bigint;
  /** Digest of its description, under the salt. */
  readonly record: bigint;
  readonly context: bigint;
  /** The chunk's chain before the record. */
  readonly previous: bigint;
  readonly description: Description;
  readonly blind: bigint;
  /** 0 where the record is shown. */
  readonly salt: bigint;
  /** Children at each level of the chunk's path. */
  readonly group: readonly (readonly bigint[])[];
  /** Records, blocks, values, schema. */
  readonly opening: readonly bigint[];
}

/** Bits of a record's place in its chunk. @throws INPUT_INVALID for a shape that the template does not have */
export function placeBits({ bits = Math.log2(CHUNK_RECORDS), following }: TailShape): number {
  if (!Number.isInteger(bits) || bits < 2 || !Number.isInteger(following) || following < 2 || following >= 2 ** bits) {
    throw new AnchorError("INPUT_INVALID", "a chunk has 4 records or more, of which 2 or more follow one");
  }
  return bits;
}

/** Allocates real, following and followingBlind, which are {@link tailInputCount} private inputs. */
export function tailInputs(s: Synthesis, { following }: TailShape, values: TailValues | undefined) {
  const none = new Array<bigint>(FIELDS.length).fill(0n);
  const given = values?.following.length ?? 0;
  const real = elements(
    s,
    Array.from({ length: following }, (_, i) => (i < given ? 1n : 0n)),
    "real",
  );
  const descriptions = Array.from({ length: following }, (_, i) =>
    elements(s, values?.following[i] ?? none, `following[${i}]`),
  );
  const blinds = elements(
    s,
    Array.from({ length: following }, (_, i) => values?.followingBlinds[i] ?? 0n),
    "followingBlind",
  );
  return { real, descriptions, blinds };
}

export function tailInputCount({ following }: TailShape): number {
  return following * (FIELDS.length + 2);
}

export interface TailInputs {
  readonly after: Element;
  /** Without a wire of its own, the combination that it is. */
  readonly index: Element | { readonly value: bigint; readonly form: Combination };
  readonly records: Element;
  readonly real: readonly Element[];
  readonly descriptions: readonly (readonly Element[])[];
  readonly blinds: readonly Element[];
}

/** `ChunkTail`, as a component `tail`: the chunk's number, its bits, and its root. */
export function chunkTail(
  s: Synthesis,
  bits: number,
  depth: number,
  { after, index: given, records, real, descriptions, blinds }: TailInputs,
): { chunk: Element; digit: Element[]; root: Element } {
  s.enter("tail");
  let index: Element;
  if ("wire" in given) {
    index = given;
    s.alias(index.wire, "index");
  } else {
    index = linear(s, s.combination().plus(given.form), given.value, "index");
  }
  s.alias(after.wire, "after");
  s.alias(records.wire, "records");
  aliasAll(s, real, "real");
  for (const [i, description] of descriptions.entries()) aliasAll(s, description, `description[${i}]`);
  aliasAll(s, blinds, "blind");

  const all = num2Bits(s, "bits", undefined, index, bits + 4 * depth);
  const digit = all.slice(bits);
  aliasAll(s, digit, "digit");
  const chunk = linear(s, weighted(s, digit), index.value >> BigInt(bits), "chunk");

  const total = s.combination();
  for (const [i, is] of real.entries()) {
    s.row(only(s, is), addElement(s.combination(-1), 1, is), s.combination());
    if (i > 0) s.row(only(s, is), addElement(s.combination(1), -1, real[i - 1]!), s.combination());
    total.add(1, is.wire);
  }
  const count = real.reduce((sum, { value }) => sum + value, 0n);

  const place = index.value & ((1n << BigInt(bits)) - 1n);
  const last = (1n << BigInt(bits)) - 1n;
  const spare = s
    .combination(last)
    .plus(weighted(s, all.slice(0, bits)), -1)
    .plus(total, -1);
  const slots = range(s, "slots", last - place - count, spare, bits);
  const beyond = addElement(addElement(s.combination(-1), 1, records), -1, index).plus(total, -1);
  const others = range(s, "others", records.value - 1n - index.value - count, beyond, RECORD_BITS);
  s.row(only(s, slots), only(s, others), s.combination());

  let at = after;
  s.alias(at.wire, "at", 0);
  for (let i = 0; i < descriptions.length; i++) {
    s.enter("step", i);
    const out = poseidon(s, TAGS.chain, [at, ...descriptions[i]!, blinds[i]!]);
    s.leave();
    const next = element(s, real[i]!.value === 1n ? out.value : at.value, "at", i + 1);
    s.row(only(s, real[i]!), addElement(only(s, out), -1, at), addElement(only(s, next), -1, at));
    at = next;
  }
  s.alias(at.wire, "root");
  s.leave();
  return { chunk, digit, root: at };
}

/** The sum of bits, lowest first. */
function weighted(s: Synthesis, bits: readonly Element[]): Combination {
  const sum = s.combination();
  for (const [i, { wire }] of bits.entries()) sum.add(1n << BigInt(i), wire);
  return sum;
}

/** `RangeCheck(0, bits)` of what is no wire yet. */
function range(s: Synthesis, name: string, value: bigint, form: Combination, bits: number): Element {
  s.enter(name);
  const input = linear(s, form, value, "in");
  s.leave();
  rangeCheck(s, name, undefined, input, bits);
  return input;
}

/** @throws INPUT_INVALID for values that do not fit the circuit */
export function checkTail(
  shape: TailShape,
  depth: number,
  { following, followingBlinds }: TailValues,
  index: bigint,
  records: bigint,
): void {
  const bits = BigInt(placeBits(shape));
  if (index < 0n || index >= records || records > 1n << BigInt(RECORD_BITS) || index >> bits >= 16n ** BigInt(depth)) {
    throw new AnchorError("INPUT_INVALID", "the record's number does not fit the dataset");
  }
  const slots = (1n << bits) - 1n - (index & ((1n << bits) - 1n));
  const others = records - 1n - index;
  const count = slots < others ? slots : others;
  const fits =
    BigInt(following.length) === count &&
    following.length <= shape.following &&
    following.every((description) => description.length === FIELDS.length) &&
    followingBlinds.length === following.length;
  if (!fits) throw new AnchorError("INPUT_INVALID", "what follows is not the rest of the chunk, or does not fit");
}

const SIGNALS = ["root", "index", "record", "context"] as const;

/** "The record of this number has the description behind `record`." */
export function openingProgram(shape: OpeningShape): Program<OpeningRequest> {
  const { following, depth } = shape;
  const bits = placeBits(shape);
  const name = `dataset-opening-${bits}-${following}-${depth}`;
  return {
    name,
    circom: mainComponent(name, "opening", SIGNALS, `DatasetOpening(${bits}, ${following}, ${depth})`),
    publicSignals: SIGNALS,
    privateInputs: 1 + FIELDS.length + 2 + tailInputCount(shape) + 16 * depth + 4,
    synthesise(s, request) {
      if (request) checkOpening(shape, request);
      const none = new Array<bigint>(FIELDS.length).fill(0n);
      const root = element(s, request?.root ?? 0n, "root");
      const index = element(s, request?.index ?? 0n, "index");
      const record = element(s, request?.record ?? 0n, "record");
      const context = element(s, request?.context ?? 0n, "context");
      const previous = element(s, request?.previous ?? 0n, "previous");
      const description = elements(s, request?.description ?? none, "description");
      const blind = element(s, request?.blind ?? 0n, "blind");
      const salt = element(s, request?.salt ?? 0n, "salt");
      const tail = tailInputs(s, shape, request);
      const group = groupInputs(s, depth, request?.group);
      const opening = elements(s, request?.opening ?? [0n, 0n, 0n, 0n], "opening");

      nonZero(s, "bound", context);
      s.enter("digest");
      const zero = { wire: 0, value: 0n };
      aliasAll(s, [salt, ...description], "in");
      must(s, poseidon(s, TAGS.record, [salt, ...description, zero], record.wire), record, "record");
      s.alias(record.wire, "out");
      s.leave();
      s.enter("step");
      aliasAll(s, [previous, ...description, blind], "in");
      const after = poseidon(s, TAGS.chain, [previous, ...description, blind]);
      s.leave();
      const { chunk, root: end } = chunkTail(s, bits, depth, { after, index, records: opening[0]!, ...tail });
      datasetRoot(s, "top", { chunk: end, index: chunk, group, opening }, root);
    },
  };
}

function checkOpening(shape: OpeningShape, request: OpeningRequest): void {
  const {
    root,
    index,
    record,
    context,
    previous,
    description,
    blind,
    salt,
    following,
    followingBlinds,
    group,
    opening,
  } = request;
  const fits =
    description.length === FIELDS.length &&
    group.length === shape.depth &&
    group.every((children) => children.length === 16) &&
    opening.length === 4;
  if (!fits) throw new AnchorError("INPUT_INVALID", "the opening is not of the circuit's size");
  const scalars = [root, index, record, previous, blind, salt, ...description, ...following.flat(), ...followingBlinds];
  for (const value of [...scalars, ...group.flat(), ...opening]) assertScalar(value, "an input of the opening");
  checkTail(shape, shape.depth, request, index, opening[0]!);
  checkContext(context);
}
