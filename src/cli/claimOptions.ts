/**
 * Claims as commands spell them.
 *
 * Values of cells and numbers are written as people write them. Where a claim says what a minimum or maximum is, it is
 * read off the dataset.
 *
 * @module
 */

import { columnClaim, columnExtremes } from "../dataset/claims/column.js";
import { parseKey } from "../dataset/claims/keys.js";
import type { Claim, ColumnClaim } from "../dataset/claims.js";
import type { OpenDataset } from "../dataset/dataset.js";
import { AT } from "../dataset/layout.js";
import { type Column, dtypeOfKind } from "../dataset/record.js";
import { AnchorError } from "../errors.js";
import { optional, type Values } from "./command.js";

export const CLAIM_OPTIONS = {
  labels: { type: "string" },
  counts: { type: "boolean" },
  column: { type: "string" },
  label: { type: "string" },
  range: { type: "string" },
  bins: { type: "string" },
  sum: { type: "boolean" },
  mean: { type: "boolean" },
  min: { type: "boolean" },
  max: { type: "boolean" },
  sorted: { type: "boolean" },
  strict: { type: "boolean" },
  ascii: { type: "boolean" },
  "utf8-safe": { type: "boolean" },
} as const;

export const CLAIM_HELP = `  CLAIM          one of:

  integrity      all data is known, and the totals in the root are those of the descriptions; as \`dataset prove\`
  count          how many records there are: the same, by another name
  distinct       no two records have the same type, shape, data and cells, whatever their names and labels
  labels         every record has one of up to 16 labels
    --labels A,B       which ones; an empty one stands for records without a label
    --counts           and how often each occurs
  column         about the cells of a numeric column that are there; how many those are is told
    --column NAME      which one, by its name
    --label L          only cells of records with this label
    --range A..B       each is in this range, ends included
    --bins A,B,C       how many are in [A, B), in [B, C), and none elsewhere; up to 16 bins
    --sum, --mean      the sum of a decimal column, or what gives the mean
    --min, --max       the smallest and the largest, both told
    --sorted           no cell is missing, and none is less than the one before; with --strict, each is more
  bytes          records are all of one kind, and so is each byte of their data
    --ascii            below 0x80
    --utf8-safe        none that UTF-8 never has: at most 0xf4
    --range A..B       in this range, ends included
  numbers        records are tensors of one type, and so is each number in them
    --range A..B       in this range, ends included; as stored, scales left aside`;

/** Which options each claim takes. */
const TAKES: Record<string, readonly (keyof typeof CLAIM_OPTIONS)[]> = {
  integrity: [],
  count: [],
  distinct: [],
  labels: ["labels", "counts"],
  column: ["column", "label", "range", "bins", "sum", "mean", "min", "max", "sorted", "strict"],
  bytes: ["ascii", "utf8-safe", "range"],
  numbers: ["range"],
};

/** @throws USAGE, CLAIM_INVALID, and CLAIM_FALSE for a minimum of no cells */
export function claimOf(name: string, values: Values, dataset: OpenDataset): Claim {
  const takes = Object.hasOwn(TAKES, name) ? TAKES[name] : undefined;
  if (!takes)
    throw new AnchorError("USAGE", `there is no claim "${name}"; there are: ${Object.keys(TAKES).join(", ")}`);
  for (const option of Object.keys(CLAIM_OPTIONS) as (keyof typeof CLAIM_OPTIONS)[]) {
    if (values[option] !== undefined && !takes.includes(option)) {
      throw new AnchorError("USAGE", `--${option} is no part of the claim ${name}`);
    }
  }
  switch (name) {
    case "labels": {
      const labels = optional(values, "labels");
      if (labels === undefined) throw new AnchorError("USAGE", "--labels names the labels that records may have");
      return { type: "labels", labels: labels.split(","), counts: values["counts"] === true };
    }
    case "column":
      return columnOf(values, dataset);
    case "bytes": {
      const [min, max] = byteRange(values);
      return { type: "bytes", kind: firstKind(dataset), min, max };
    }
    case "numbers":
      return numbersClaim(values, dataset);
    case "distinct":
      return { type: "distinct" };
    default:
      return { type: "integrity" };
  }
}

/** A name for the file that a claim's proofs go to. */
export function claimTitle(claim: Claim, columns: readonly Column[]): string {
  if (claim.type !== "column") return claim.type;
  const name = columns[claim.column]?.name ?? "";
  return /^[\w-]{1,64}$/.test(name) ? `column-${name}` : `column-${claim.column}`;
}

function columnOf(values: Values, dataset: OpenDataset): ColumnClaim {
  const column = optional(values, "column");
  if (column === undefined) throw new AnchorError("USAGE", "--column names the column");
  const label = optional(values, "label");
  const flag = (option: string) => values[option] === true;
  const attained = flag("min") || flag("max");
  if (flag("strict") && !flag("sorted")) throw new AnchorError("USAGE", "--strict goes with --sorted");
  const [range, bins] = [optional(values, "range"), optional(values, "bins")];
  if ([range !== undefined, bins !== undefined, attained].filter(Boolean).length > 1) {
    throw new AnchorError("USAGE", "--range, --bins and --min or --max are claims of their own: one at a time");
  }
  const extremes = attained ? columnExtremes(dataset, { column, label }) : undefined;
  if (attained && extremes === undefined) {
    throw new AnchorError("CLAIM_FALSE", `no record that counts has a value in ${JSON.stringify(column)}`);
  }
  const [min, max] = range === undefined ? [extremes?.min, extremes?.max] : ends(range);
  return columnClaim(dataset.commitment.columns, {
    column,
    label,
    min,
    max,
    bins: bins?.split(","),
    sum: flag("sum") || flag("mean"),
    attained,
    order: flag("sorted") ? (flag("strict") ? "strict" : "ascending") : undefined,
  });
}

function byteRange(values: Values): [number, number] {
  const range = optional(values, "range");
  const given = [values["ascii"] === true, values["utf8-safe"] === true, range !== undefined];
  if (given.filter(Boolean).length !== 1)
    throw new AnchorError("USAGE", "the claim takes one of --ascii, --utf8-safe, --range");
  if (values["ascii"] === true) return [0, 0x7f];
  if (values["utf8-safe"] === true) return [0, 0xf4];
  const [min, max] = ends(range!).map((text) => {
    const value = /^(?:\d{1,3}|0x[0-9a-fA-F]{1,2})$/.test(text) ? Number(text) : Number.NaN;
    if (!(value <= 255)) throw new AnchorError("USAGE", `${text} is no byte: 0 to 255, or 0x00 to 0xff`);
    return value;
  });
  return [min!, max!];
}

function numbersClaim(values: Values, dataset: OpenDataset): Claim {
  const range = optional(values, "range");
  if (range === undefined) throw new AnchorError("USAGE", "the claim numbers takes --range");
  const kind = firstKind(dataset);
  const dtype = dtypeOfKind(kind)!;
  if (dtype === "bytes" || dtype === "text") {
    throw new AnchorError(
      "CLAIM_INVALID",
      `the records are ${dtype}, which have bytes and no numbers: see the claim bytes`,
    );
  }
  const [min, max] = ends(range).map((text) => parseKey(dtype, text));
  return { type: "numbers", kind, min: min!, max: max! };
}

/** What all records must have in common, for a claim about their data. */
function firstKind(dataset: OpenDataset): bigint {
  return dataset.descriptions(0, 1)[0]![AT.kind]!;
}

function ends(range: string): [string, string] {
  const at = range.indexOf("..");
  if (at <= 0 || at + 2 >= range.length) throw new AnchorError("USAGE", "--range takes A..B");
  return [range.slice(0, at), range.slice(at + 2)];
}
