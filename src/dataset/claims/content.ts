/**
 * "I know every element of every record", alone or with all numbers in a range: the claims, their segments, and what they
 * say.
 *
 * A segment takes as many steps as its circuit has, wherever that ends: in the middle of a content, of a chunk. Only where it
 * would close a second chunk it ends early. So a byte costs what it costs, however long records are.
 *
 * @module
 */
import { measureProgram } from "../../circuit/synthesis/program.js";
import { AnchorError } from "../../errors.js";
import {
  advance,
  type ContentRequest,
  type ContentStep,
  INTEGRITY_SIGNAL,
  initialState,
  numbersPerElement,
  type RangeShape,
} from "../circuit/content.js";
import { type DatasetProgramSpec, datasetProgram } from "../circuit/index.js";
import {
  CLAIM_CODES,
  type Claim,
  type ClaimFamily,
  claimSignal,
  type Segment,
  type SegmentSignals,
} from "../claims.js";
import { chunkPath } from "../commit.js";
import type { OpenDataset } from "../dataset.js";
import {
  AT,
  BLOCK_ELEMENTS,
  CHUNK_RECORDS,
  chunkBlinds,
  chunkCount,
  type Description,
  MAX_RANK,
  type RootOpening,
} from "../layout.js";
import { type Column, DTYPES, type Dtype, packing, recordKind } from "../record.js";

export type IntegrityClaim = Extract<Claim, { type: "integrity" }>;
export type BytesClaim = Extract<Claim, { type: "bytes" }>;
export type NumbersClaim = Extract<Claim, { type: "numbers" }>;
export type ContentClaim = IntegrityClaim | BytesClaim | NumbersClaim;

export interface ContentResult {
  readonly records: number;
  /** Steps of all contents: 15 elements each. */
  readonly blocks: number;
  /**
   * Bytes or numbers. With a range, that many are shown to be there. Without, it is what the descriptions say, added up
   * modulo r.
   */
  readonly values: number;
}

/** Rows that circuits are filled up to: powers of two that keys are made for, less what setup and blinding take. */
const ROWS = [17, 16, 15, 14].map((log) => 2 ** log - 16);

/** Its kind, with what a range's circuits depend on. */
interface Range extends RangeShape {
  readonly kind: bigint;
  readonly dtype: Dtype;
  readonly width: 1 | 2 | 4 | 8;
  readonly min: bigint;
  readonly max: bigint;
}

/** A circuit without its size. */
type Unsized =
  | { readonly kind: "content" }
  | ({ readonly kind: "bytes" } & RangeShape)
  | ({ readonly kind: "numbers"; readonly width: 1 | 2 | 4 | 8 } & RangeShape);

export const contentFamily: ClaimFamily<IntegrityClaim, ContentResult> = {
  signals: () => ({ datasetContent: INTEGRITY_SIGNAL }),
  initial: () => initialState(false),
  result: (_, last, opening) => resultOf(last, opening, false),
};

export const bytesFamily: ClaimFamily<BytesClaim, ContentResult> = {
  signals: (claim, { columns }) => ({ datasetBytes: rangeSignal(CLAIM_CODES.bytes, rangeOf(claim, columns)) }),
  initial: () => initialState(true),
  result: (_, last, opening) => resultOf(last, opening, true),
};

export const numbersFamily: ClaimFamily<NumbersClaim, ContentResult> = {
  signals: (claim, { columns }) => ({ datasetNumbers: rangeSignal(CLAIM_CODES.numbers, rangeOf(claim, columns)) }),
  initial: () => initialState(true),
  result: (_, last, opening) => resultOf(last, opening, true),
};

function rangeSignal(code: bigint, { kind, min, max, width }: Range): bigint {
  return claimSignal(code, [kind, min, max, BigInt(width)]);
}

function resultOf(last: readonly bigint[], { totals }: RootOpening, ranged: boolean): ContentResult {
  const { records, blocks, values } = totals;
  // As in the beginning, but for the counts: nothing is open.
  const expected = initialState(ranged);
  expected[0] = BigInt(chunkCount(records));
  expected.splice(5, 3, BigInt(records), BigInt(blocks), BigInt(values));
  const whole =
    Array.isArray(last) && last.length === expected.length && expected.every((field, i) => field === last[i]);
  if (!whole) {
    throw new AnchorError("PROOF_SET_INVALID", "the last state is not that of a run over all records and contents");
  }
  return { records, blocks, values };
}

/** @throws CLAIM_INVALID */
function rangeOf(claim: BytesClaim | NumbersClaim, columns: readonly Column[]): Range {
  const { type, kind } = claim;
  const dtype = dtypeOf(kind, columns);
  const { mode, size } = packing(dtype);
  if (type === "bytes" && (size !== 1 || mode !== "unsigned")) {
    throw claimInvalid(`a claim about bytes is about bytes, text, u8 or bool, not ${dtype}`);
  }
  if (type === "numbers" && (dtype === "bytes" || dtype === "text")) {
    throw claimInvalid(`a claim about numbers is about tensors, not ${dtype}`);
  }
  const [min, max] = [claim.min, claim.max].map((bound) => {
    if (type === "bytes" ? !Number.isInteger(bound) : typeof bound !== "bigint") {
      throw claimInvalid(`the bounds of ${type} are ${type === "bytes" ? "integers" : "keys, as bigints"}`);
    }
    return BigInt(bound);
  }) as [bigint, bigint];
  const [lowest, highest] = keysOf(dtype);
  if (min > max || min < lowest || max > highest) {
    throw claimInvalid(`a range of ${dtype} lies in ${lowest} to ${highest}, the smaller bound first`);
  }
  const bits = Math.max(1, (max - min).toString(2).length);
  const exact = max - min === (1n << BigInt(bits)) - 1n;
  return { kind, dtype, width: size as Range["width"], min, max, bits, exact };
}

/** The first and the last key that is a number. Those of NaN lie outside. */
function keysOf(dtype: Dtype): [bigint, bigint] {
  const { size, mode } = packing(dtype);
  const all = (1n << BigInt(8 * size)) - 1n;
  if (mode !== "float") return [0n, all];
  const half = 1n << BigInt(8 * size - 1);
  const infinity = { f16: 0x7c00n, bf16: 0x7f80n, f32: 0x7f80_0000n, f64: 0x7ff0_0000_0000_0000n }[dtype as "f64"];
  return [half - 1n - infinity, half + infinity];
}

/** @throws CLAIM_INVALID for what is no kind of a record with these columns */
function dtypeOf(kind: bigint, columns: readonly Column[]): Dtype {
  if (typeof kind !== "bigint" || kind < 0n || kind >= 1n << 56n) throw claimInvalid("a kind has 56 bits");
  const field = (at: number, bits: number) => Number((kind >> BigInt(at)) & ((1n << BigInt(bits)) - 1n));
  const dtype = (Object.keys(DTYPES) as Dtype[]).find((each) => DTYPES[each].code === field(8, 8));
  const [rank, base, exponent, cells] = [field(16, 8), field(24, 8), field(32, 16) - 2 ** 15, field(48, 8)];
  if (dtype === undefined || rank > MAX_RANK || ![0, 2, 10].includes(base)) throw claimInvalid("there is no such kind");
  const shape = new Array<number>(rank).fill(0);
  const scale = base === 0 ? undefined : { base: base as 2 | 10, exponent };
  const same = recordKind({ dtype, shape, scale, cells: new Array<null>(cells).fill(null) });
  if (same !== kind) throw claimInvalid("there is no such kind");
  if (cells !== columns.length) {
    throw claimInvalid(`records have ${columns.length} cells, those of this kind ${cells}`);
  }
  return dtype;
}

function claimInvalid(problem: string): AnchorError {
  return new AnchorError("CLAIM_INVALID", problem);
}

const measured = new Map<string, { fixed: number; step: number }>();

/** Rows of a circuit: those that it has in any case, and those of a step. */
function rowsOf(unsized: Unsized, depth: number, chunkRecords: number | undefined): { fixed: number; step: number } {
  const rows = (steps: number) =>
    measureProgram(datasetProgram({ ...unsized, steps, depth, chunkRecords } as DatasetProgramSpec)).rows;
  const id = JSON.stringify([unsized, depth, chunkRecords]);
  let found = measured.get(id);
  if (!found) {
    const one = rows(1);
    const step = rows(2) - one;
    measured.set(id, (found = { fixed: one - step, step }));
  }
  return found;
}

function unsizedOf(claim: ContentClaim, range: Range | undefined): Unsized {
  if (!range) return { kind: "content" };
  const { bits, exact, width } = range;
  return claim.type === "bytes" ? { kind: "bytes", bits, exact } : { kind: "numbers", width, bits, exact };
}

/**
 * The circuits that a claim is shown by, by their number of steps, the largest first: as many as fit 2^17, 2^16, 2^15 and
 * 2^14 rows.
 *
 * @throws CLAIM_INVALID
 */
export function contentSizes(claim: ContentClaim, depth: number, columns: readonly Column[]): number[] {
  const range = claim.type === "integrity" ? undefined : rangeOf(claim, columns);
  return sizesOf(rowsOf(unsizedOf(claim, range), depth, undefined));
}

function sizesOf({ fixed, step }: { fixed: number; step: number }): number[] {
  const sizes = ROWS.map((rows) => Math.floor((rows - fixed) / step));
  return [...new Set(sizes)].filter((steps) => steps >= 1);
}

export interface ContentPlanOptions {
  /** Steps of the circuits that there are keys for; {@link contentSizes} unless told. */
  readonly sizes?: readonly number[] | undefined;
  /** Of the dataset's chunks: {@link CHUNK_RECORDS} in all that ships, fewer in tests. */
  readonly chunkRecords?: number | undefined;
}

/**
 * The segments that show the claim. Records are read as segments are taken, one after the other, and again for requests.
 *
 * @throws CLAIM_INVALID; CLAIM_FALSE, with the number of the record and, where it is one, of the byte or number in it;
 *   DATASET_MISMATCH where the dataset is not what its commitment says
 */
export function* planContent(
  dataset: OpenDataset,
  claim: ContentClaim,
  { sizes, chunkRecords = CHUNK_RECORDS }: ContentPlanOptions = {},
): Generator<Segment, void, undefined> {
  const { opening, columns } = dataset.commitment;
  const range = claim.type === "integrity" ? undefined : rangeOf(claim, columns);
  const own = chunkRecords === CHUNK_RECORDS ? undefined : chunkRecords;
  const unsized = unsizedOf(claim, range);
  const cost = rowsOf(unsized, opening.depth, own);
  const circuits = [...(sizes ?? sizesOf(cost))].sort((a, b) => b - a);
  if (circuits.length === 0 || circuits.some((steps) => !Number.isInteger(steps) || steps < 1)) {
    throw new AnchorError("INPUT_INVALID", "a circuit has at least one step");
  }
  const [circuitType, signal] =
    claim.type === "integrity"
      ? ["datasetContent", INTEGRITY_SIGNAL]
      : claim.type === "bytes"
        ? ["datasetBytes", rangeSignal(CLAIM_CODES.bytes, range!)]
        : ["datasetNumbers", rangeSignal(CLAIM_CODES.numbers, range!)];
  const perElement = range && numbersPerElement(range.width);
  const source: Source = { dataset, chunkRecords, perElement };

  const { records, blocks } = opening.totals;
  let left = records + blocks;
  const steps = stepsFrom(source, { record: 0, block: 0 });
  let next = steps.next();
  let state: readonly bigint[] = initialState(range !== undefined);
  while (!next.done) {
    const size = nextSize(circuits, cost, left);
    const [from, before] = [next.value.at, state];
    let [taken, closed] = [0, false];
    for (; taken < size && !next.done; taken++, next = steps.next()) {
      const { step, at } = next.value;
      const closes = step.type === "record" && step.close;
      if (closes && closed) break;
      if (range) checkRange(range, next.value);
      state = follow(source, state, step, at);
      closed ||= closes;
    }
    left -= taken;
    const chunkShape = own === undefined ? {} : { chunkRecords: own };
    yield {
      spec: { ...unsized, steps: size, depth: opening.depth, ...chunkShape } as DatasetProgramSpec,
      circuitType,
      claim: signal,
      before,
      after: state,
      request: () => requestOf(source, from, taken, before, range),
    };
  }
  // So that no set is made that its own verifier refuses.
  if (left !== 0 || state[7] !== BigInt(opening.totals.values)) throw mismatch("its totals are not those of its root");
}

/** The circuit's request, but for what the segment says. */
type OwnRequest = Omit<ContentRequest, keyof SegmentSignals>;

function requestOf(
  source: Source,
  from: Position,
  count: number,
  before: readonly bigint[],
  range: Range | undefined,
): OwnRequest & Record<string, unknown> {
  const { dataset } = source;
  const { totals, schema } = dataset.commitment.opening;
  const index = Number(before[0]);
  const steps: ContentStep[] = [];
  for (const { step } of stepsFrom(source, from)) {
    if (steps.push(step) === count) break;
  }
  return {
    steps,
    chunkRoot: dataset.chunkRoots[index]!,
    group: chunkPath(dataset, index).group,
    opening: [...[totals.records, totals.blocks, totals.values].map(BigInt), schema],
    ...(range ? { kind: range.kind, min: range.min, max: range.max } : {}),
  };
}

interface Source {
  readonly dataset: OpenDataset;
  readonly chunkRecords: number;
  /** Numbers of an element, where they are in a range. */
  readonly perElement: number | undefined;
}

interface Position {
  readonly record: number;
  /** Steps of its content before this one. */
  readonly block: number;
}

/** A step, and where it was read. */
interface Read {
  readonly step: ContentStep;
  readonly at: Position;
  readonly description: Description;
}

/** The steps of the run, from one of them on. Holds one content at a time, and the descriptions of one chunk. */
function* stepsFrom({ dataset, chunkRecords, perElement }: Source, from: Position): Generator<Read, void, undefined> {
  const { records } = dataset.commitment.opening.totals;
  let descriptions: readonly Description[] = [];
  let blinds: readonly bigint[] = [];
  let first = from.record; // of the descriptions
  for (let record = from.record; record < records; record++) {
    const chunk = Math.floor(record / chunkRecords);
    if (record === from.record || record % chunkRecords === 0) {
      first = record;
      const end = Math.min((chunk + 1) * chunkRecords, records);
      descriptions = dataset.descriptions(first, end - first);
      blinds = chunkBlinds(dataset.seed, chunk, end - chunk * chunkRecords);
    }
    const description = descriptions[record - first]!;
    const blocks = Number(description[AT.blocks]);
    let block = record === from.record ? from.block : 0;
    const content = block < blocks ? dataset.content(record) : [];
    for (; block < blocks; block++) {
      const start = block * BLOCK_ELEMENTS;
      const elements = Array.from({ length: BLOCK_ELEMENTS }, (_, i) => content[start + i] ?? 0n);
      const at = { record, block };
      if (perElement === undefined) yield { step: { type: "absorb", elements }, at, description };
      else {
        const rest = Number(description[AT.length]) - perElement * start;
        const numbers = Math.max(0, Math.min(rest, perElement * BLOCK_ELEMENTS));
        yield { step: { type: "absorb", elements, numbers }, at, description };
      }
    }
    const close = (record + 1) % chunkRecords === 0 || record + 1 === records;
    const blind = blinds[record - chunk * chunkRecords]!;
    yield { step: { type: "record", description, blind, close }, at: { record, block }, description };
  }
}

/** The state after a step, which must be one that the circuit takes. @throws DATASET_MISMATCH */
function follow(
  { dataset, perElement }: Source,
  state: readonly bigint[],
  step: ContentStep,
  { record }: Position,
): bigint[] {
  if (step.type === "absorb") return advance(state, step, perElement);
  if (step.description[AT.content] !== state[3] || step.description[AT.blocks] !== state[4]) {
    throw mismatch(`record ${record}: its data is not what its description says`, record);
  }
  const after = advance(state, step, perElement);
  if (!step.close) return after;
  const chunk = Number(state[0]);
  const open = advance(state, { ...step, close: false }, perElement);
  if (open[2] !== dataset.chunkRoots[chunk]) {
    throw mismatch(`chunk ${chunk}: its records are not those under its root`);
  }
  return after;
}

function mismatch(problem: string, record?: number): AnchorError {
  return new AnchorError("DATASET_MISMATCH", problem, record === undefined ? {} : { details: { record } });
}

/** @throws CLAIM_FALSE */
function checkRange({ kind, dtype, width, min, max }: Range, { step, at, description }: Read): void {
  const { record, block } = at;
  if (description[AT.kind] !== kind) {
    const problem = `record ${record}: it is of another kind than the claim's`;
    throw new AnchorError("CLAIM_FALSE", problem, { details: { record } });
  }
  if (step.type === "record") return;
  const perElement = numbersPerElement(width);
  const size = width * perElement;
  const keys = Buffer.from(
    step.elements.map((element) => element.toString(16).padStart(2 * size, "0")).join(""),
    "hex",
  );
  const [low, high] = [Number(min), Number(max)];
  for (let i = 0; i < step.numbers!; i++) {
    if (width === 8) {
      const key = keys.readBigUInt64BE(i * width);
      if (key >= min && key <= max) continue;
    } else {
      const key = keys.readUIntBE(i * width, width);
      if (key >= low && key <= high) continue;
    }
    const number = block * BLOCK_ELEMENTS * perElement + i;
    const what = dtype === "bytes" || dtype === "text" ? "byte" : "number";
    throw new AnchorError("CLAIM_FALSE", `record ${record}: ${what} ${number} lies outside the range`, {
      details: { record, number },
    });
  }
}

/** The circuit that the next steps go to, so that all that are left cost the fewest rows. */
function nextSize(sizes: readonly number[], { fixed, step }: { fixed: number; step: number }, left: number): number {
  const largest = sizes[0]!;
  if (left >= 2 * largest) return largest;
  // Of every number of steps, the fewest rows, and the circuit that comes first then.
  const rows = [0];
  const firsts = [largest];
  for (let steps = 1; steps <= left; steps++) {
    rows[steps] = Number.POSITIVE_INFINITY;
    for (const size of sizes) {
      const sum = fixed + step * size + rows[Math.max(0, steps - size)]!;
      if (sum < rows[steps]!) [rows[steps], firsts[steps]] = [sum, size];
    }
  }
  return firsts[left]!;
}
