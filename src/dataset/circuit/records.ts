/**
 * Twins of `circuits/dataset/record_chunk.circom` and `chunk.circom`: the records of one chunk under a dataset's root.
 *
 * @module
 */

import {
  addElement,
  aliasAll,
  bit,
  constant,
  type Element,
  element,
  elements,
  equate,
  must,
  only,
} from "../../circuit/synthesis/elements.js";
import { nonZero, rangeCheck } from "../../circuit/synthesis/gadgets.js";
import { poseidon } from "../../circuit/synthesis/poseidon.js";
import type { Program } from "../../circuit/synthesis/program.js";
import type { Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { assertScalar, mod } from "../../field/scalar.js";
import { CHUNK_RECORDS, DEPTHS, type Description, FIELDS, STARTS, TAGS } from "../layout.js";
import { aliasGroup, datasetRoot, groupInputs, mainComponent, RECORD_BITS } from "./shared.js";

const MAX_DEPTH = Math.max(...DEPTHS);

/** Values of the inputs that all circuits about the records of a chunk have. */
export interface ChunkValues {
  readonly root: bigint;
  readonly index: bigint;
  /** Of the real records only: at least one. */
  readonly descriptions: readonly Description[];
  readonly blinds: readonly bigint[];
  /** Children at each level of the chunk's path. */
  readonly group: readonly (readonly bigint[])[];
  /** Records, blocks, values, schema. */
  readonly opening: readonly bigint[];
}

export interface ChunkRequest extends ChunkValues {
  readonly context: bigint;
}

export interface ChunkShape {
  /** Slots for records; {@link CHUNK_RECORDS} in all that ships, fewer in tests. */
  readonly records?: number | undefined;
  readonly depth: number;
}

/** The private inputs of a chunk, in the order of the template. */
export interface ChunkInputs {
  readonly root: Element;
  readonly index: Element;
  readonly descriptions: readonly (readonly Element[])[];
  readonly blinds: readonly Element[];
  readonly group: readonly (readonly Element[])[];
  readonly opening: readonly Element[];
}

/** Number of private inputs that {@link chunkInputs} allocates. */
export function chunkInputCount({ records = CHUNK_RECORDS, depth }: ChunkShape): number {
  return records * (FIELDS.length + 1) + 16 * depth + 4;
}

/** Allocates description, blind, group and opening. */
export function chunkInputs(
  s: Synthesis,
  { records = CHUNK_RECORDS, depth }: ChunkShape,
  publics: Pick<ChunkInputs, "root" | "index">,
  values: ChunkValues | undefined,
): ChunkInputs {
  const none = new Array<bigint>(FIELDS.length).fill(0n);
  const descriptions = Array.from({ length: records }, (_, i) =>
    elements(s, values?.descriptions[i] ?? none, `description[${i}]`),
  );
  const blinds = elements(
    s,
    Array.from({ length: records }, (_, i) => values?.blinds[i] ?? 0n),
    "blind",
  );
  const group = groupInputs(s, depth, values?.group);
  const opening = elements(s, values?.opening ?? [0n, 0n, 0n, 0n], "opening");
  return { ...publics, descriptions, blinds, group, opening };
}

/**
 * `RecordChunk`, as a component `name`.
 *
 * @param count the wire of the number of records, where there is one already
 * @returns a bit for each slot, 1 where there is a record, and their number
 */
export function recordChunk(
  s: Synthesis,
  name: string,
  inputs: ChunkInputs,
  count?: Element,
): { real: Element[]; count: Element } {
  const { root, index, descriptions, blinds, group, opening } = inputs;
  const size = descriptions.length;
  const records = opening[0]!;
  s.enter(name);
  s.alias(root.wire, "root");
  s.alias(index.wire, "index");
  for (const [i, description] of descriptions.entries()) aliasAll(s, description, `description[${i}]`);
  aliasAll(s, blinds, "blind");
  aliasGroup(s, group);
  aliasAll(s, opening, "opening");

  const real: Element[] = [constant(1n)];
  const total = s.combination(1);
  for (let i = 1; i < size; i++) {
    const value = BigInt(size) * index.value + BigInt(i) < records.value ? 1 : 0;
    const is = bit(s, value, "real", i);
    if (i > 1) s.row(only(s, is), addElement(s.combination(1), -1, real[i - 1]!), s.combination());
    total.add(1, is.wire);
    real.push(is);
  }
  const present = real.reduce((sum, { value }) => sum + value, 0n);
  const counted = count ?? element(s, present, "count");
  must(s, constant(present), count, "number of records");
  s.alias(counted.wire, "count");
  equate(s, addElement(total, -1, counted));
  s.enter("others");
  const others = element(s, mod(records.value - BigInt(size) * index.value - present), "in");
  s.leave();
  const beyond = addElement(addElement(addElement(s.combination(), 1, records), -size, index), -1, counted);
  equate(s, addElement(beyond, -1, others));
  rangeCheck(s, "others", undefined, others, RECORD_BITS);
  s.row(addElement(s.combination(size), -1, counted), only(s, others), s.combination());

  let at = constant(STARTS.chunk);
  for (let i = 0; i < size; i++) {
    s.enter("step", i);
    const out = poseidon(s, TAGS.chain, [at, ...descriptions[i]!, blinds[i]!]);
    s.leave();
    if (i === 0) {
      at = out;
      s.alias(at.wire, "at", 1);
      continue;
    }
    const next = element(s, real[i]!.value === 1n ? out.value : at.value, "at", i + 1);
    s.row(only(s, real[i]!), addElement(only(s, out), -1, at), addElement(only(s, next), -1, at));
    at = next;
  }
  datasetRoot(s, "top", { chunk: at, index, group, opening }, root);
  s.leave();
  return { real, count: counted };
}

/** @throws INPUT_INVALID for values that do not fit the circuit */
export function checkChunk({ records = CHUNK_RECORDS, depth }: ChunkShape, values: ChunkValues): void {
  const { descriptions, blinds, group, opening } = values;
  const fits =
    descriptions.length >= 1 &&
    descriptions.length <= records &&
    descriptions.every((description) => description.length === FIELDS.length) &&
    blinds.length === descriptions.length &&
    group.length === depth &&
    group.every((children) => children.length === 16) &&
    opening.length === 4;
  if (!fits) throw new AnchorError("INPUT_INVALID", "the chunk is not of the circuit's size");
  for (const value of [values.root, values.index, ...descriptions.flat(), ...blinds, ...group.flat(), ...opening]) {
    assertScalar(value, "an input of the chunk");
  }
}

/** @throws CONTEXT_ZERO, INPUT_INVALID */
export function checkContext(context: bigint): void {
  assertScalar(context, "context");
  if (context === 0n) throw new AnchorError("CONTEXT_ZERO", "the context is zero; derive it from the statement");
}

/** @throws INPUT_INVALID for sizes that no circuit has */
export function checkShape({ records = CHUNK_RECORDS, depth }: ChunkShape): void {
  if (!Number.isInteger(records) || records < 2 || records > CHUNK_RECORDS) {
    throw new AnchorError("INPUT_INVALID", `a circuit takes 2 to ${CHUNK_RECORDS} records`);
  }
  if (!Number.isInteger(depth) || depth < 1 || depth > MAX_DEPTH) {
    throw new AnchorError("INPUT_INVALID", `a dataset's tree has a height from 1 to ${MAX_DEPTH}`);
  }
}

const SIGNALS = ["root", "index", "count", "context"] as const;

/** "I know the descriptions of the records of this chunk." @throws INPUT_INVALID */
export function chunkProgram(shape: ChunkShape): Program<ChunkRequest> {
  checkShape(shape);
  const { records = CHUNK_RECORDS, depth } = shape;
  const name = `dataset-chunk-${records}-${depth}`;
  return {
    name,
    circom: mainComponent(name, "chunk", SIGNALS, `DatasetChunk(${records}, ${depth})`),
    publicSignals: SIGNALS,
    privateInputs: chunkInputCount(shape),
    synthesise(s, request) {
      if (request) {
        checkChunk(shape, request);
        checkContext(request.context);
      }
      const root = element(s, request?.root ?? 0n, "root");
      const index = element(s, request?.index ?? 0n, "index");
      const count = element(s, BigInt(request?.descriptions.length ?? 0), "count");
      const context = element(s, request?.context ?? 0n, "context");
      const inputs = chunkInputs(s, shape, { root, index }, request);
      nonZero(s, "bound", context);
      recordChunk(s, "chunk", inputs, count);
    },
  };
}
