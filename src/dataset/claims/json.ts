/**
 * Claims as documents: one spelling each, integers as decimal strings.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { readInteger, readObject } from "../../protocol/eip712.js";
import type { Claim, ColumnClaim } from "../claims.js";
import { MAX_CELLS, MAX_TEXT_BYTES } from "../layout.js";

const CODE = "CLAIM_INVALID";
/** Most labels of a claim; see {@link Claim}. */
const MAX_LABELS = 16;
/** Most edges of a claim's bins. */
const MAX_EDGES = 17;

/** The claim, as documents hold it: sorted by nothing, written with the keys below and no others. */
export function claimToJson(claim: Claim): Record<string, unknown> {
  switch (claim.type) {
    case "integrity":
    case "distinct":
      return { type: claim.type };
    case "bytes":
    case "numbers": {
      const { type, kind, min, max } = claim;
      return { type, kind: String(kind), min: String(min), max: String(max) };
    }
    case "labels":
      return { type: claim.type, labels: [...claim.labels], counts: claim.counts };
    case "column": {
      const { type, column, label, edges, histogram, sum, attained, order } = claim;
      return {
        type,
        column: String(column),
        ...(label === undefined ? {} : { label }),
        edges: edges.map(String),
        histogram,
        sum,
        attained,
        ...(order === undefined ? {} : { order }),
      };
    }
  }
}

/** Reads the shape alone; whether the claim makes sense is for its family to say. @throws CLAIM_INVALID */
export function claimFromJson(json: unknown, path = "claim"): Claim {
  const type = typeof json === "object" && json !== null ? (json as { type?: unknown }).type : undefined;
  switch (type) {
    case "integrity":
    case "distinct":
      readObject(json, ["type"], CODE, path);
      return { type };
    case "bytes": {
      const record = readObject(json, ["type", "kind", "min", "max"], CODE, path);
      const [min, max] = [number(record["min"], 8, `${path}.min`), number(record["max"], 8, `${path}.max`)];
      return { type, kind: readInteger(record["kind"], 64, CODE, `${path}.kind`), min, max };
    }
    case "numbers": {
      const record = readObject(json, ["type", "kind", "min", "max"], CODE, path);
      const [kind, min, max] = ["kind", "min", "max"].map((name) =>
        readInteger(record[name], 64, CODE, `${path}.${name}`),
      ) as [bigint, bigint, bigint];
      return { type, kind, min, max };
    }
    case "labels": {
      const record = readObject(json, ["type", "labels", "counts"], CODE, path);
      const labels = list(record["labels"], MAX_LABELS, `${path}.labels`).map((label, i) =>
        text(label, `${path}.labels[${i}]`),
      );
      return { type, labels, counts: flag(record["counts"], `${path}.counts`) };
    }
    case "column":
      return readColumn(json, path);
    default:
      throw new AnchorError(CODE, `${path}.type is none of integrity, bytes, numbers, labels, column, distinct`);
  }
}

function readColumn(json: unknown, path: string): ColumnClaim {
  const fields = ["type", "column", "edges", "histogram", "sum", "attained"];
  const record = readObject(json, fields, CODE, path, ["label", "order"]);
  const { label, order } = record;
  if (Object.hasOwn(record, "order") && order !== "ascending" && order !== "strict") {
    throw new AnchorError(CODE, `${path}.order is ascending or strict`);
  }
  const column = number(record["column"], 16, `${path}.column`);
  if (column >= MAX_CELLS) throw new AnchorError(CODE, `${path}.column is the number of a column`);
  return {
    type: "column",
    column,
    ...(Object.hasOwn(record, "label") ? { label: text(label, `${path}.label`) } : {}),
    edges: list(record["edges"], MAX_EDGES, `${path}.edges`).map((edge, i) =>
      readInteger(edge, 66, CODE, `${path}.edges[${i}]`),
    ),
    histogram: flag(record["histogram"], `${path}.histogram`),
    sum: flag(record["sum"], `${path}.sum`),
    attained: flag(record["attained"], `${path}.attained`),
    ...(order === undefined ? {} : { order: order as "ascending" | "strict" }),
  };
}

function number(value: unknown, bits: number, path: string): number {
  return Number(readInteger(value, bits, CODE, path));
}

function flag(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw new AnchorError(CODE, `${path} is true or false`);
  return value;
}

function text(value: unknown, path: string): string {
  if (typeof value !== "string" || value.length > MAX_TEXT_BYTES) {
    throw new AnchorError(CODE, `${path} is a text of at most ${MAX_TEXT_BYTES} bytes`);
  }
  return value;
}

function list(value: unknown, most: number, path: string): unknown[] {
  if (!Array.isArray(value) || value.length > most) {
    throw new AnchorError(CODE, `${path} is a list of at most ${most} entries`);
  }
  return value;
}
