/**
 * Which family shows which claim, and what its proofs say in plain words.
 *
 * @module
 */
import { counted, formatCount } from "../text.js";
import { cellText, decimalText, numberColumn } from "./claims/cells.js";
import { type ColumnResult, columnFamily } from "./claims/column.js";
import { type LabelsResult, labelsFamily } from "./claims/labels.js";
import type { Claim, ClaimFamily, ColumnClaim } from "./claims.js";
import type { RootOpening } from "./layout.js";
import type { Column } from "./record.js";

type ClaimOf<T extends Claim["type"]> = Extract<Claim, { type: T }>;

interface Results {
  labels: LabelsResult;
  column: ColumnResult;
}

/** What a set of proofs says beyond its claim; see the families. */
export type ClaimResult = Results[keyof Results];

const FAMILIES: { [T in keyof Results]: ClaimFamily<ClaimOf<T>, Results[T]> } = {
  labels: labelsFamily,
  column: columnFamily,
};

export function claimFamily(claim: Claim): ClaimFamily<Claim, ClaimResult> {
  return FAMILIES[claim.type as keyof Results] as unknown as ClaimFamily<Claim, ClaimResult>;
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

const NO_BYTES = "that anybody knows the data behind the digests in the records: see the claim of integrity";

export function describeClaim(claim: Claim, result: ClaimResult, about: About): ClaimWords {
  const { records } = about.opening.totals;
  switch (claim.type) {
    case "labels":
      return describeLabels(claim, result as LabelsResult, records);
    case "column":
      return describeColumn(claim, result as ColumnResult, about);
  }
  return { proven: [], notProven: [] };
}

function describeLabels({ labels }: ClaimOf<"labels">, { counts }: LabelsResult, records: number): ClaimWords {
  const quoted = labels.map((label) => (label === "" ? "no label" : JSON.stringify(label)));
  return {
    proven: [
      `all ${counted(records, "record")}: the label is ${labels.length === 1 ? quoted[0] : `one of ${quoted.join(", ")}`}`,
      ...(counts ?? []).map((count, i) => `${quoted[i]}: ${counted(count, "record")}`),
    ],
    notProven: ["that a label fits what it is the label of", NO_BYTES],
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
    `all ${counted(opening.totals.records, "record")}: ${of}${formatCount(result.counted)} have a value in ${name}, ${formatCount(result.missing)} have none`,
  ];
  if (result.counted > 0) proven.push(`${name}${whose} is ${cell(edges[0]!)} to ${cell(edges.at(-1)! - 1n)}`);
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
    proven.push(
      `records are sorted by ${name}, ${claim.order === "strict" ? "each more than" : "none less than"} the one before`,
    );
  }
  return { proven, notProven: ["that the values are true of what they are about", NO_BYTES] };
}

/** Rounded towards zero, six digits beyond those of the column. */
function meanText({ numerator, denominator }: { numerator: bigint; denominator: bigint }, digits: number): string {
  const exact = (numerator * 10n ** 6n) % denominator === 0n;
  return `${exact ? "" : "about "}${decimalText((numerator * 10n ** 6n) / denominator, digits + 6)}`;
}
