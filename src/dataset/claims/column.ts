/**
 * Claims about a column of numbers: what they say, how they are written, and their segments.
 *
 * @module
 */

import { AnchorError } from "../../errors.js";
import { chunkRequest } from "../chunk.js";
import {
  COLUMN_FIELD_COUNT,
  COLUMN_PARAM_COUNT,
  COLUMN_PARAMS,
  COLUMN_STATE,
  MAX_BINS,
  restSteps,
} from "../circuit/column.js";
import { CLAIM_CODES, type ClaimFamily, type ColumnClaim, claimSignal, type Segment } from "../claims.js";
import type { OpenDataset } from "../dataset.js";
import { AT, CHUNK_RECORDS, type Description, digestName, INLINE_CELLS } from "../layout.js";
import { type Column, encodeCell, schemaDigest } from "../record.js";
import { cellBounds, cellText, DECIMAL_OFFSET, numberColumn, parseCell, parseEdge } from "./cells.js";
import { checkLabel, checkLast, chunksOf, claimFalse, claimInvalid } from "./chunks.js";

/** About the cells that are there of the records that have the claim's label, if it names one. */
export interface ColumnResult {
  readonly counted: number;
  /** Records with the label whose cell is missing; of a record in parts, all parts but the first have none. */
  readonly missing: number;
  /** Exact, in units of the column's last digit. */
  readonly sum?: bigint | undefined;
  /** Exact, in units of the column's last digit; of no cells there is none. */
  readonly mean?: { readonly numerator: bigint; readonly denominator: bigint } | undefined;
  readonly histogram?: readonly number[] | undefined;
  /** Encoded, as edges are: `cellText` writes them. */
  readonly min?: bigint | undefined;
  readonly max?: bigint | undefined;
}

function columnParams(claim: ColumnClaim): bigint[] {
  const { column, label, edges, histogram, sum, attained, order } = claim;
  const bit = (flag: boolean) => (flag ? 1n : 0n);
  const params = new Array<bigint>(COLUMN_PARAM_COUNT).fill(edges.at(-1)!);
  params[COLUMN_PARAMS.column] = BigInt(column);
  params[COLUMN_PARAMS.labelled] = bit(label !== undefined);
  params[COLUMN_PARAMS.label] = digestName(label ?? "");
  params[COLUMN_PARAMS.histogram] = bit(histogram);
  params[COLUMN_PARAMS.sum] = bit(sum);
  params[COLUMN_PARAMS.attained] = bit(attained);
  params[COLUMN_PARAMS.order] = bit(order !== undefined);
  params[COLUMN_PARAMS.strict] = bit(order === "strict");
  for (const [j, edge] of edges.entries()) params[COLUMN_PARAMS.edges + j] = edge;
  return params;
}

/** What the circuit leaves to verifiers, and what makes sense of columns. @throws CLAIM_INVALID */
function checkColumnClaim(claim: ColumnClaim, columns: readonly Column[]): void {
  const { label, edges, histogram, sum, attained, order } = claim;
  const column = numberColumn(columns, claim.column);
  if (label !== undefined) checkLabel(label);
  if (!Array.isArray(edges) || edges.length < 2 || edges.length > MAX_BINS + 1) {
    throw claimInvalid(`bins have 2 to ${MAX_BINS + 1} edges`);
  }
  const { from, to } = cellBounds(column);
  for (let j = 0; j < edges.length; j++) {
    const edge: unknown = edges[j];
    if (typeof edge !== "bigint" || edge < from || edge > to) throw claimInvalid("an edge is no cell of the column");
    if (j > 0 && edge <= edges[j - 1]!) throw claimInvalid("the edges of bins are not ascending");
  }
  if ([histogram, sum, attained].some((flag) => typeof flag !== "boolean")) {
    throw claimInvalid("a claim about a column says whether it is about histogram, sum and extremes");
  }
  if (sum && column.type !== "decimal") throw claimInvalid("the sum of floats depends on rounding, so none is claimed");
  if (order !== undefined && order !== "ascending" && order !== "strict") {
    throw claimInvalid("the order of a column is ascending or strict");
  }
  if (order !== undefined && label !== undefined) {
    throw claimInvalid("the order of a column is that of all records, whatever their label");
  }
}

export const columnFamily: ClaimFamily<ColumnClaim, ColumnResult> = {
  signals(claim, { opening, columns }) {
    checkColumnClaim(claim, columns);
    // What a cell means hangs on its column: nothing may rest on the caller's having looked.
    if (schemaDigest(columns) !== opening.schema) throw claimInvalid("the columns are not those of the root");
    return { datasetColumn: claimSignal(CLAIM_CODES.column, columnParams(claim)) };
  },
  initial({ order }) {
    const state = new Array<bigint>(COLUMN_FIELD_COUNT).fill(0n);
    // The least that any cell is: differences to it fit 64 bits, also that of the largest cell.
    if (order === "ascending") state[COLUMN_STATE.previous] = 1n;
    return state;
  },
  result({ edges, histogram, sum, attained }, last, { totals }) {
    checkLast(last, COLUMN_FIELD_COUNT, totals.records);
    const field = (name: keyof typeof COLUMN_STATE) => last[COLUMN_STATE[name]]!;
    if (attained && (field("first") !== 1n || field("last") !== 1n)) {
      throw new AnchorError("PROOF_SET_INVALID", "no cell is the claimed minimum, or none the claimed maximum");
    }
    const counted = field("counted");
    const total = field("sum") - counted * (DECIMAL_OFFSET + 1n);
    const bins = last.slice(COLUMN_STATE.bins, COLUMN_STATE.bins + edges.length - 1);
    return {
      counted: Number(counted),
      missing: Number(field("eligible") - counted),
      ...(sum ? { sum: total } : {}),
      ...(sum && counted > 0n ? { mean: { numerator: total, denominator: counted } } : {}),
      ...(histogram ? { histogram: bins.map(Number) } : {}),
      ...(attained ? { min: edges[0]!, max: edges.at(-1)! - 1n } : {}),
    };
  },
};

/** The claim in people's terms. Numbers are texts, exact: "-3.50". */
export interface ColumnTerms {
  /** The column's name. */
  readonly column: string;
  /** Only records with this label count. */
  readonly label?: string | undefined;
  /** Smallest and largest cell that may be; any unless told. */
  readonly min?: string | undefined;
  readonly max?: string | undefined;
  /** Instead of a range: ascending edges of bins, of which the lower one belongs to its bin and the upper one does not. */
  readonly bins?: readonly string[] | undefined;
  /** How many cells lie in each bin. Unless told, where there are bins. */
  readonly histogram?: boolean | undefined;
  readonly sum?: boolean | undefined;
  /** Some cell is `min`, and some cell is `max`. */
  readonly attained?: boolean | undefined;
  readonly order?: "ascending" | "strict" | undefined;
}

/** @throws CLAIM_INVALID */
export function columnClaim(columns: readonly Column[], terms: ColumnTerms): ColumnClaim {
  const { label, min, max, bins, sum = false, attained = false, order } = terms;
  const index = columns.findIndex(({ name }) => name === terms.column);
  if (index < 0) throw claimInvalid(`the dataset has no column called ${JSON.stringify(terms.column)}`);
  const column = numberColumn(columns, index);
  if (bins !== undefined && (min !== undefined || max !== undefined)) {
    throw claimInvalid("a claim names a range or bins, not both");
  }
  if (bins !== undefined && !Array.isArray(bins)) throw claimInvalid("bins are a list of their edges");
  if (attained && (min === undefined || max === undefined)) {
    throw claimInvalid("a claim about the smallest and the largest cell names both");
  }
  const { from, to } = cellBounds(column);
  const edges = bins?.map((edge) => parseEdge(column, edge)) ?? [
    min === undefined ? from : parseCell(column, min),
    max === undefined ? to : parseCell(column, max) + 1n,
  ];
  const claim: ColumnClaim = {
    type: "column",
    column: index,
    ...(label === undefined ? {} : { label }),
    edges,
    histogram: terms.histogram ?? bins !== undefined,
    sum,
    attained,
    ...(order === undefined ? {} : { order }),
  };
  checkColumnClaim(claim, columns);
  return claim;
}

/** Smallest and largest cell of a column, as a claim names them; none where no cell counts. @throws CLAIM_INVALID */
export function columnExtremes(
  dataset: OpenDataset,
  { column: name, label }: Pick<ColumnTerms, "column" | "label">,
): { min: string; max: string } | undefined {
  const { columns } = dataset.commitment;
  const index = columns.findIndex((each) => each.name === name);
  if (index < 0) throw claimInvalid(`the dataset has no column called ${JSON.stringify(name)}`);
  const column = numberColumn(columns, index);
  const wanted = label === undefined ? undefined : digestName(label);
  let [min, max] = [0n, 0n];
  for (const { first, descriptions } of chunksOf(dataset)) {
    for (const [i, description] of descriptions.entries()) {
      if (wanted !== undefined && description[AT.label] !== wanted) continue;
      const cell = cellOf(dataset, index, description, first + i);
      if (cell === 0n) continue;
      if (min === 0n || cell < min) min = cell;
      if (cell > max) max = cell;
    }
  }
  return max === 0n ? undefined : { min: cellText(column, min), max: cellText(column, max) };
}

/** The cell as it stands in the commitment; behind `rest` it takes reading the record. */
function cellOf(dataset: OpenDataset, column: number, description: Description, record: number): bigint {
  if (column < INLINE_CELLS) return description[AT.cell0 + column]!;
  return encodeCell(dataset.commitment.columns[column]!, dataset.record(record).cells?.[column] ?? null);
}

/** The cells of a record from the sixth on. */
function restOf(dataset: OpenDataset, record: number): bigint[] {
  const { columns } = dataset.commitment;
  const { cells } = dataset.record(record);
  return columns.slice(INLINE_CELLS).map((column, k) => encodeCell(column, cells?.[INLINE_CELLS + k] ?? null));
}

/**
 * The segments that show the claim, one a chunk. Records are read as segments are taken.
 *
 * @param records of a chunk, but for the last
 * @throws CLAIM_INVALID, CLAIM_FALSE
 */
export function* planColumn(
  dataset: OpenDataset,
  claim: ColumnClaim,
  records = CHUNK_RECORDS,
): Generator<Segment, void, undefined> {
  const { root, opening, columns } = dataset.commitment;
  const { datasetColumn: signal } = columnFamily.signals(claim, { root, opening, columns });
  const params = columnParams(claim);
  const rest = claim.column < INLINE_CELLS ? 0 : restSteps(columns.length);
  const take = automaton(claim);
  let before = columnFamily.initial(claim);
  for (const { index, first, descriptions } of chunksOf(dataset, records)) {
    const after = [...before];
    after[COLUMN_STATE.chunks]! += 1n;
    for (const [i, description] of descriptions.entries()) {
      take(after, description, cellOf(dataset, claim.column, description, first + i), first + i);
    }
    if (first + descriptions.length === opening.totals.records) {
      after[COLUMN_STATE.previous] = 0n;
      if (claim.attained && after[COLUMN_STATE.first] === 0n) throw claimFalse("no cell is the claimed minimum");
      if (claim.attained && after[COLUMN_STATE.last] === 0n) throw claimFalse("no cell is the claimed maximum");
    }
    yield {
      spec: { kind: "column", ...(records === CHUNK_RECORDS ? {} : { records }), depth: opening.depth, rest },
      circuitType: "datasetColumn",
      claim: signal!,
      before,
      after,
      request: () => ({
        ...chunkRequest(dataset, index, records),
        params,
        cells: rest === 0 ? [] : descriptions.map((_, i) => restOf(dataset, first + i)),
      }),
    };
    before = after;
  }
}

/** Takes one record into a state, as the circuit does. */
function automaton({ label, edges, histogram, sum, attained, order }: ColumnClaim) {
  const wanted = label === undefined ? undefined : digestName(label);
  return (state: bigint[], description: Description, cell: bigint, record: number): void => {
    state[COLUMN_STATE.records]! += 1n;
    if (wanted !== undefined && description[AT.label] !== wanted) return;
    state[COLUMN_STATE.eligible]! += 1n;
    if (cell === 0n) {
      if (order !== undefined) throw claimFalse("its cell is missing", record);
      return;
    }
    state[COLUMN_STATE.counted]! += 1n;
    const bin = edges.findLastIndex((edge) => cell >= edge);
    if (bin < 0 || bin === edges.length - 1) throw claimFalse("its cell lies outside the claim's range", record);
    if (histogram) state[COLUMN_STATE.bins + bin]! += 1n;
    if (sum) state[COLUMN_STATE.sum]! += cell;
    if (attained && cell === edges[0]) state[COLUMN_STATE.first] = 1n;
    if (attained && cell === edges.at(-1)! - 1n) state[COLUMN_STATE.last] = 1n;
    if (order === undefined) return;
    const previous = state[COLUMN_STATE.previous]!;
    if (cell < previous) throw claimFalse("its cell is less than that of the record before", record);
    if (order === "strict" && cell === previous) throw claimFalse("its cell equals that of the record before", record);
    state[COLUMN_STATE.previous] = cell;
  };
}
