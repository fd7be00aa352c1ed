/**
 * The segments that show claims about contents.
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
  initialState,
  numbersPerElement,
  type RangeShape,
} from "../circuit/content.js";
import { type DatasetProgramSpec, datasetProgram } from "../circuit/index.js";
import type { Segment, SegmentSignals } from "../claims.js";
import { chunkPath } from "../commit.js";
import type { OpenDataset } from "../dataset.js";
import { AT, BLOCK_ELEMENTS, CHUNK_RECORDS, chunkBlinds, type Description, openingElements } from "../layout.js";
import type { Column } from "../record.js";
import { type ContentClaim, type ContentRange, contentSignals, rangeOf } from "./content.js";

/** Rows that circuits are filled up to: powers of two that keys are made for, less what setup and blinding take. */
const ROWS = [17, 16, 15, 14].map((log) => 2 ** log - 16);

/** A circuit without its size. */
type Unsized =
  | { readonly kind: "content" }
  | ({ readonly kind: "bytes" } & RangeShape)
  | ({ readonly kind: "numbers"; readonly width: 1 | 2 | 4 | 8 } & RangeShape);

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

function unsizedOf(claim: ContentClaim, range: ContentRange | undefined): Unsized {
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
  const [[circuitType, signal]] = Object.entries(contentSignals(claim, columns)) as [[string, bigint]];
  const perElement = range && numbersPerElement(range.width);
  const source: Source = { dataset, chunkRecords, perElement };

  const { records, blocks } = opening.totals;
  let left = records + blocks;
  const steps = stepsFrom(source, { record: 0, block: 0 });
  let next = steps.next();
  let state: readonly bigint[] = initialState(range !== undefined);
  while (!next.done) {
    const size = nextSize(circuits, cost, Math.max(1, left));
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
  range: ContentRange | undefined,
): OwnRequest & Record<string, unknown> {
  const { dataset } = source;
  const index = Number(before[0]);
  const steps: ContentStep[] = [];
  for (const { step } of stepsFrom(source, from)) {
    if (steps.push(step) === count) break;
  }
  return {
    steps,
    chunkRoot: dataset.chunkRoots[index]!,
    group: chunkPath(dataset, index).group,
    opening: openingElements(dataset.commitment.opening),
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
function checkRange({ kind, dtype, width, min, max }: ContentRange, { step, at, description }: Read): void {
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
