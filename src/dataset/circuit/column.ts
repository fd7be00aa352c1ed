/**
 * Twin of `circuits/dataset/column.circom`.
 *
 * @module
 */

import {
  addElement,
  bit,
  constant,
  type Element,
  element,
  elements,
  equate,
  linear,
  only,
  product,
} from "../../circuit/synthesis/elements.js";
import { isZero, rangeCheck } from "../../circuit/synthesis/gadgets.js";
import { hashChain } from "../../circuit/synthesis/poseidon.js";
import type { Program } from "../../circuit/synthesis/program.js";
import type { Combination, Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { assertScalar, mod } from "../../field/scalar.js";
import { CLAIM_CODES } from "../claims.js";
import { AT, BLOCK_ELEMENTS, CHUNK_RECORDS, INLINE_CELLS, MAX_CELLS, STARTS, TAGS } from "../layout.js";
import { type ChunkShape, checkShape } from "./records.js";
import {
  checkSegment,
  commitAfter,
  oneHot,
  type RecordSegmentRequest,
  recordSegment,
  SEGMENT_SIGNALS,
  type SegmentFamily,
  segmentInputCount,
  segmentInputs,
} from "./segment.js";
import { mainComponent } from "./shared.js";

export const MAX_BINS = 16;

/** Places of parameters. */
export const COLUMN_PARAMS = {
  column: 0,
  labelled: 1,
  label: 2,
  histogram: 3,
  sum: 4,
  attained: 5,
  order: 6,
  strict: 7,
  edges: 8,
} as const;
/** Places of a state's fields. */
export const COLUMN_STATE = {
  chunks: 0,
  records: 1,
  eligible: 2,
  counted: 3,
  sum: 4,
  first: 5,
  last: 6,
  previous: 7,
  bins: 8,
} as const;
export const COLUMN_PARAM_COUNT = COLUMN_PARAMS.edges + MAX_BINS + 1;
export const COLUMN_FIELD_COUNT = COLUMN_STATE.bins + MAX_BINS;

/** Bits of the difference of two cells, which are 1 to 2^64. */
const DIFFERENCE_BITS = 64;

export interface ColumnShape extends ChunkShape {
  /** 0 for a column among the first five, else the steps of the chain of the cells from the sixth on. */
  readonly rest: number;
}

export interface ColumnRequest extends RecordSegmentRequest {
  /** Of each record, the cells from the sixth on; none where the column is among the first five. */
  readonly cells: readonly (readonly bigint[])[];
}

/** Steps of the chain that the cells from the sixth on make, where there are so many columns. */
export function restSteps(columns: number): number {
  return Math.ceil(Math.max(0, columns - INLINE_CELLS) / BLOCK_ELEMENTS);
}

/** "Each cell of the column lies in one of these bins", and what the claim says beside it. */
export function columnProgram(shape: ColumnShape): Program<ColumnRequest> {
  checkShape(shape);
  const { records = CHUNK_RECORDS, depth, rest } = shape;
  if (!Number.isInteger(rest) || rest < 0 || rest > restSteps(MAX_CELLS)) {
    throw new AnchorError("INPUT_INVALID", `no table has ${String(rest)} steps of cells`);
  }
  const name = `dataset-column-${records}-${depth}-${rest}`;
  const family: SegmentFamily = {
    ...shape,
    code: CLAIM_CODES.column,
    params: COLUMN_PARAM_COUNT,
    fields: COLUMN_FIELD_COUNT,
  };
  const extra = BLOCK_ELEMENTS * rest;
  return {
    name,
    circom: mainComponent(name, "column", SEGMENT_SIGNALS, `DatasetColumn(${records}, ${depth}, ${rest})`),
    publicSignals: SEGMENT_SIGNALS,
    privateInputs: segmentInputCount(family) + records * extra,
    synthesise(s, request) {
      if (request) {
        checkSegment(family, request);
        checkCells(extra, request);
      }
      const inputs = segmentInputs(s, family, request);
      const cells = inputs.chunk.descriptions.map((_, i) =>
        elements(
          s,
          Array.from({ length: extra }, (_, k) => request?.cells[i]?.[k] ?? 0n),
          `cell[${i}]`,
        ),
      );
      synthesiseColumn(s, family, inputs, cells);
    },
  };
}

function checkCells(extra: number, { cells, descriptions }: ColumnRequest): void {
  const fits =
    extra === 0
      ? cells.every((each) => each.length === 0)
      : cells.length === descriptions.length && cells.every((each) => each.length <= extra);
  if (!fits) throw new AnchorError("INPUT_INVALID", "the cells are not those of the circuit's columns");
  for (const each of cells.flat()) assertScalar(each, "a cell");
}

function synthesiseColumn(
  s: Synthesis,
  family: SegmentFamily,
  inputs: ReturnType<typeof segmentInputs>,
  cells: readonly (readonly Element[])[],
): void {
  const { params, state, chunk } = inputs;
  const { descriptions, opening } = chunk;
  const { real, count } = recordSegment(s, family, inputs);
  const size = descriptions.length;
  const isRest = cells[0]!.length > 0;
  const param = (name: Exclude<keyof typeof COLUMN_PARAMS, "edges">) => params[COLUMN_PARAMS[name]]!;
  const field = (name: Exclude<keyof typeof COLUMN_STATE, "bins">) => state[COLUMN_STATE[name]]!;
  const edges = params.slice(COLUMN_PARAMS.edges);

  for (const name of ["histogram", "sum", "attained", "order", "strict", "labelled"] as const) {
    const flag = param(name);
    s.row(only(s, flag), s.combination(-1).add(1, flag.wire), s.combination());
  }
  const pick = oneHot(s, "pick", param("column"), isRest ? INLINE_CELLS : 0, isRest ? cells[0]!.length : INLINE_CELLS);

  const total = (): Total => ({ value: 0n, sum: s.combination() });
  const [eligibles, counts, sum] = [total(), total(), total()];
  const inBin = Array.from({ length: MAX_BINS }, total);
  let previous = field("previous");
  let fromFirst = constant(0n);
  let fromLast = constant(0n);
  for (const [i, description] of descriptions.entries()) {
    if (isRest) {
      s.enter("rest", i);
      const chain = hashChain(s, TAGS.chain, constant(STARTS.cells), cells[i]!);
      s.leave();
      s.row(only(s, real[i]!), only(s, chain).add(-1, description[AT.rest]!.wire), s.combination());
    }
    const candidates = isRest ? cells[i]! : description.slice(AT.cell0);
    const own = total();
    for (const [k, candidate] of candidates.entries()) tally(own, product(s, pick[k]!, candidate, `picked[${i}]`, k));
    const cell = linear(s, own.sum, own.value, `absent[${i}].in`);
    const absent = isZero(s, "absent", i, cell);

    const label = description[AT.label]!;
    const other = mod(label.value - param("label").value);
    const distance = linear(s, only(s, label).add(-1, param("label").wire), other, `labelled[${i}].in`);
    const labelled = isZero(s, "labelled", i, distance);
    const ignored = element(s, mod(param("labelled").value * (1n - labelled.value)), "ignored", i);
    s.row(only(s, param("labelled")), s.combination(1).add(-1, labelled.wire), only(s, ignored));
    const eligible = element(s, mod(real[i]!.value * (1n - ignored.value)), "eligible", i);
    s.row(only(s, real[i]!), s.combination(1).add(-1, ignored.wire), only(s, eligible));
    const counted = element(s, mod(eligible.value * (1n - absent.value)), "counted", i);
    s.row(only(s, eligible), s.combination(1).add(-1, absent.wire), only(s, counted));
    const value = product(s, counted, cell, "value", i);
    tally(eligibles, eligible);
    tally(counts, counted);
    tally(sum, value);

    const bins = s.combination();
    const [lowerEdge, upperEdge] = [total(), total()];
    for (const [j, bin] of inBin.entries()) {
      const [from, to] = [edges[j]!, edges[j + 1]!];
      const inside = counted.value === 1n && value.value >= from.value && value.value < to.value ? 1 : 0;
      const mark = bit(s, inside, `bin[${i}]`, j);
      tally(lowerEdge, product(s, mark, from, `lower[${i}]`, j));
      tally(upperEdge, product(s, mark, to, `upper[${i}]`, j));
      bins.add(1, mark.wire);
      tally(bin, mark);
    }
    equate(s, bins.add(-1, counted.wire));
    const above = linear(s, only(s, value).plus(lowerEdge.sum, -1), value.value - lowerEdge.value, `above[${i}].in`);
    rangeCheck(s, "above", i, above, DIFFERENCE_BITS);
    const below = linear(
      s,
      upperEdge.sum.add(-1, counted.wire).add(-1, value.wire),
      upperEdge.value - counted.value - value.value,
      `below[${i}].in`,
    );
    rangeCheck(s, "below", i, below, DIFFERENCE_BITS);

    fromFirst = distances(s, "fromFirst", i, fromFirst, value, edges[0]!, 0n);
    fromLast = distances(s, "fromLast", i, fromLast, value, edges[MAX_BINS]!, 1n);

    const ordered = product(s, param("order"), real[i]!, "ordered", i);
    const strict = param("strict");
    const rise = element(s, mod(ordered.value * (value.value - previous.value - strict.value)), `rise[${i}].in`);
    s.row(only(s, ordered), only(s, value).add(-1, previous.wire).add(-1, strict.wire), only(s, rise));
    rangeCheck(s, "rise", i, rise, DIFFERENCE_BITS);
    previous = value;
  }
  s.row(only(s, param("order")), only(s, count).plus(counts.sum, -1), s.combination());

  const firstHit = isZero(s, "firstHit", undefined, fromFirst);
  const lastHit = isZero(s, "lastHit", undefined, fromLast);
  const unless = (seen: Element, hit: Element, name: string) => {
    const out = element(s, mod((1n - seen.value) * hit.value), name);
    s.row(s.combination(1).add(-1, seen.wire), only(s, hit), only(s, out));
    return out;
  };
  const newFirst = unless(field("first"), firstHit, "newFirst");
  const newLast = unless(field("last"), lastHit, "newLast");

  const left = linear(
    s,
    addElement(addElement(addElement(s.combination(), size, field("chunks")), 1, count), -1, opening[0]!),
    BigInt(size) * field("chunks").value + count.value - opening[0]!.value,
    "done.in",
  );
  const kept = unless(isZero(s, "done", undefined, left), previous, "kept");

  const plus = (place: number, { value, sum }: Total) =>
    linear(s, only(s, state[place]!).plus(sum), state[place]!.value + value, "to.field", place);
  /** The field before, and where the flag is set, what is added to it. */
  const plusIf = (place: number, flag: Element, { value, sum }: Total) => {
    const old = state[place]!;
    const out = element(s, mod(old.value + flag.value * value), "to.field", place);
    s.row(only(s, flag), sum, only(s, out).add(-1, old.wire));
    return out;
  };
  const alone = (one: Element): Total => ({ value: one.value, sum: only(s, one) });
  commitAfter(
    s,
    [
      plus(COLUMN_STATE.chunks, alone(constant(1n))),
      plus(COLUMN_STATE.records, alone(count)),
      plus(COLUMN_STATE.eligible, eligibles),
      plus(COLUMN_STATE.counted, counts),
      plusIf(COLUMN_STATE.sum, param("sum"), sum),
      plusIf(COLUMN_STATE.first, param("attained"), alone(newFirst)),
      plusIf(COLUMN_STATE.last, param("attained"), alone(newLast)),
      product(s, param("order"), kept, "to.field", COLUMN_STATE.previous),
      ...inBin.map((bin, j) => plusIf(COLUMN_STATE.bins + j, param("histogram"), bin)),
    ],
    inputs,
  );
}

/** A sum with its value. */
interface Total {
  value: bigint;
  readonly sum: Combination;
}

function tally(total: Total, { wire, value }: Element): void {
  total.value += value;
  total.sum.add(1, wire);
}

/** The product so far of how far values lie from `edge - less`. */
function distances(
  s: Synthesis,
  name: string,
  i: number,
  before: Element,
  value: Element,
  edge: Element,
  less: bigint,
): Element {
  const distance = mod(value.value - edge.value + less);
  const form = s.combination(less).add(1, value.wire).add(-1, edge.wire);
  if (i === 0) return linear(s, form, distance, name, 0);
  const out = element(s, mod(before.value * distance), name, i);
  s.row(only(s, before), form, only(s, out));
  return out;
}
