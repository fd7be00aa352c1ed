/**
 * Which family shows which claim, and what its proofs say in plain words.
 *
 * @module
 */

import { counted, formatCount } from "../../text.js";
import type { Claim, ClaimFamily, ColumnClaim } from "../claims.js";
import type { RootOpening } from "../layout.js";
import { type Column, dtypeOfKind } from "../record.js";
import { cellBounds, cellText, decimalText, numberColumn } from "./cells.js";
import { claimInvalid } from "./chunks.js";
import { type ColumnResult, columnFamily } from "./column.js";
import { bytesFamily, type ContentResult, contentFamily, numbersFamily } from "./content.js";
import { type DistinctResult, distinctFamily } from "./distinct.js";
import { keyText } from "./keys.js";
import { type LabelsResult, labelsFamily } from "./labels.js";

type ClaimOf<T extends Claim["type"]> = Extract<Claim, { type: T }>;

interface Results {
  integrity: ContentResult;
  bytes: ContentResult;
  numbers: ContentResult;
  labels: LabelsResult;
  column: ColumnResult;
  distinct: DistinctResult;
}

/** What a set of proofs says beyond its claim; see the families. */
export type ClaimResult = Results[Claim["type"]];

const FAMILIES: { [T in Claim["type"]]: ClaimFamily<ClaimOf<T>, Results[T]> } = {
  integrity: contentFamily,
  bytes: bytesFamily,
  numbers: numbersFamily,
  labels: labelsFamily,
  column: columnFamily,
  distinct: distinctFamily,
};

/** @throws CLAIM_INVALID */
export function claimFamily(claim: Claim): ClaimFamily<Claim, ClaimResult> {
  if (!Object.hasOwn(FAMILIES, claim.type)) throw claimInvalid(`there is no claim of type ${String(claim.type)}`);
  return FAMILIES[claim.type] as unknown as ClaimFamily<Claim, ClaimResult>;
}

/** Whether a claim means something only together with the dataset's columns. */
export function needsColumns({ type }: Claim): boolean {
  return type === "column" || type === "bytes" || type === "numbers";
}

/** What proofs are about. */
interface About {
  readonly opening: RootOpening;
  readonly columns: readonly Column[];
}

/** A verified claim in words: what is proven, and what somebody could take for proven that is not. */
export interface ClaimWords {
  readonly proven: string[];
  readonly notProven: string[];
}

/** The result as documents have it: cells and sums as texts, in the column's own numbers. */
export function resultToJson(claim: Claim, result: ClaimResult, columns: readonly Column[]): Record<string, unknown> {
  if (claim.type !== "column") return { ...result };
  const column = numberColumn(columns, claim.column);
  const digits = column.digits ?? 0;
  const { counted: known, missing, histogram, sum, mean, min, max } = result as ColumnResult;
  const cell = (encoded: bigint) => cellText(column, encoded);
  return {
    counted: known,
    missing,
    ...(histogram === undefined ? {} : { histogram }),
    ...(sum === undefined ? {} : { sum: decimalText(sum, digits) }),
    ...(mean === undefined ? {} : { mean: meanText(mean, digits) }),
    ...(min === undefined ? {} : { min: cell(min) }),
    ...(max === undefined ? {} : { max: cell(max) }),
  };
}

const NO_DATA = "that anybody knows the data behind the digests in the records: that is the claim of integrity";
const NO_TRUTH = "that the data is good, or true of anything";

export function describeClaim(claim: Claim, result: ClaimResult, about: About): ClaimWords {
  const { records } = about.opening.totals;
  switch (claim.type) {
    case "integrity":
      return describeContent(result as ContentResult);
    case "bytes":
    case "numbers":
      return describeRange(claim, result as ContentResult);
    case "labels":
      return describeLabels(claim, result as LabelsResult, records);
    case "column":
      return describeColumn(claim, result as ColumnResult, about);
    case "distinct":
      return {
        proven: [`no two of ${every(records, "record")} have the same type, shape, data and cells`],
        notProven: [
          "that the same bytes do not stand there as another type or shape, or that other data is not much alike",
          "that a digest is that of data as we pack it: a claim about bytes or numbers shows that",
          NO_DATA,
        ],
      };
  }
}

/** "all 300 records", "the one record". */
function every(count: number, thing: string): string {
  return count === 1 ? `the one ${thing}` : `all ${counted(count, thing)}`;
}

function describeContent({ records, blocks, values }: ContentResult): ClaimWords {
  return {
    proven: [
      `the data of ${every(records, "record")} is known: ${counted(blocks, "block")} of 15 elements`,
      `the lengths in their descriptions add up to ${formatCount(values)}, as the root says`,
    ],
    notProven: [
      "that elements are packed bytes or numbers, as many as those lengths: a claim about bytes or numbers shows that",
      "that names, labels, texts in cells, and cells from the sixth on are known: records hold digests of those",
      NO_TRUTH,
    ],
  };
}

function describeRange(claim: ClaimOf<"bytes" | "numbers">, { records, values }: ContentResult): ClaimWords {
  const dtype = dtypeOfKind(claim.kind)!; // the claim has been checked
  const [min, max] = [claim.min, claim.max].map((bound) => keyText(dtype, BigInt(bound)));
  const thing = claim.type === "bytes" ? "byte" : "number";
  return {
    proven: [
      `${every(records, "record")}: ${dtype}, and its data is known`,
      `${every(values, thing)}: ${min} to ${max}${scaleText(claim.kind)}`,
    ],
    notProven: [NO_TRUTH],
  };
}

function describeLabels({ labels }: ClaimOf<"labels">, { counts }: LabelsResult, records: number): ClaimWords {
  const quoted = labels.map((label) => (label === "" ? "no label" : JSON.stringify(label)));
  return {
    proven: [
      `${every(records, "record")}: the label is ${labels.length === 1 ? quoted[0] : `one of ${quoted.join(", ")}`}`,
      ...(counts ?? []).map((count, i) => `${quoted[i]}: ${counted(count, "record")}`),
    ],
    notProven: ["that labels fit what they are the labels of", NO_DATA],
  };
}

function describeColumn(claim: ColumnClaim, result: ColumnResult, { opening, columns }: About): ClaimWords {
  const column = numberColumn(columns, claim.column);
  const cell = (encoded: bigint) => cellText(column, encoded);
  const name = JSON.stringify(column.name);
  const whose = claim.label === undefined ? "" : ` of records labelled ${JSON.stringify(claim.label)}`;
  const { edges } = claim;
  const of = claim.label === undefined ? "" : `of those labelled ${JSON.stringify(claim.label)}, `;
  const proven = [
    `${every(opening.totals.records, "record")}: ${of}${formatCount(result.counted)} have a value in ${name}, ${formatCount(result.missing)} have none`,
  ];
  const { from, to } = cellBounds(column);
  const ranged = edges[0] !== from || edges.at(-1) !== to;
  if (result.counted > 0 && ranged && result.min === undefined)
    proven.push(`${name}${whose} is ${cell(edges[0]!)} to ${cell(edges.at(-1)! - 1n)}`);
  if (result.min !== undefined && result.max !== undefined) {
    proven.push(`the smallest ${name}${whose} is ${cell(result.min)}, the largest ${cell(result.max)}`);
  }
  for (const [i, count] of (result.histogram ?? []).entries()) {
    proven.push(`${name}${whose} from ${cell(edges[i]!)} to ${cell(edges[i + 1]! - 1n)}: ${formatCount(count)}`);
  }
  if (result.sum !== undefined) {
    const digits = column.digits ?? 0;
    proven.push(`the sum of ${name}${whose} is ${decimalText(result.sum, digits)}`);
    if (result.mean) proven.push(`its mean is ${meanText(result.mean, digits)}`);
  }
  if (claim.order !== undefined) {
    const more = claim.order === "strict" ? "each more than" : "none less than";
    // Floats have a total order, in which the two zeros are two.
    const zeros = column.type === "float" ? ", -0 below 0" : "";
    proven.push(`records are sorted by ${name}, ${more} the one before${zeros}`);
  }
  return { proven, notProven: ["that the values are true of what they are about", NO_DATA] };
}

/** Rounded towards zero, six digits beyond those of the column. */
function meanText({ numerator, denominator }: { numerator: bigint; denominator: bigint }, digits: number): string {
  const exact = (numerator * 10n ** 6n) % denominator === 0n;
  return `${exact ? "" : "about "}${decimalText((numerator * 10n ** 6n) / denominator, digits + 6)}`;
}

/** What the integers of a kind are multiplied by, if by anything. */
function scaleText(kind: bigint): string {
  const base = (kind >> 24n) & 0xffn;
  const exponent = ((kind >> 32n) & 0xffffn) - 2n ** 15n;
  return base === 0n ? "" : `, each times ${base}^${exponent}`;
}
