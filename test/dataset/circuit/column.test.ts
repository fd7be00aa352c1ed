import { beforeAll, describe, expect, it } from "vitest";
import { type ColumnRequest, datasetProgram } from "../../../src/dataset/circuit/index.js";
import { columnClaim, columnFamily, planColumn } from "../../../src/dataset/claims/column.js";
import type { Column } from "../../../src/dataset/record.js";
import { Twin } from "./support.js";
import { inputsOf, requestOf, table } from "./tables.js";

const COLUMNS: Column[] = [
  { name: "id", type: "decimal", digits: 0 },
  { name: "price", type: "decimal", digits: 2 },
  { name: "weight", type: "float" },
  { name: "note", type: "text" },
];

describe("column", () => {
  let twin: Twin<ColumnRequest>;
  beforeAll(async () => {
    twin = (await Twin.of(datasetProgram({ kind: "column", records: 2, depth: 1, rest: 0 }))) as Twin<ColumnRequest>;
  }, 60_000);

  it("x", async () => {
    const dataset = table(
      [
        { label: "a", cells: [1n, 350n, 0.5, "x"] },
        { label: "b", cells: [2n, null, -0, "y"] },
        { label: "a", cells: [3n, -50n, null, null] },
      ],
      COLUMNS,
      2,
    );
    for (const claim of [
      columnClaim(COLUMNS, { column: "price", sum: true, min: "-0.50", max: "3.5", attained: true }),
      columnClaim(COLUMNS, { column: "price", label: "a", bins: ["-1", "0", "4"] }),
      columnClaim(COLUMNS, { column: "id", order: "strict" }),
      columnClaim(COLUMNS, { column: "weight" }),
    ]) {
      const segments = [...planColumn(dataset, claim, 2)];
      for (const segment of segments) {
        const request = requestOf(segment);
        await twin.witness(request, inputsOf(request, 2));
      }
      console.log(columnFamily.result(claim, segments.at(-1)!.after, dataset.commitment.opening));
    }
  });
});

it("rest", async () => {
  const columns: Column[] = Array.from({ length: 7 }, (_, i) => ({ name: `c${i}`, type: "decimal", digits: 0 }));
  const dataset = table(
    [1n, 2n, 3n].map((n) => ({ cells: columns.map((_, i) => n * BigInt(i)) })),
    columns,
    2,
  );
  const twin = (await Twin.of(
    datasetProgram({ kind: "column", records: 2, depth: 1, rest: 1 }),
  )) as Twin<ColumnRequest>;
  const claim = columnClaim(columns, {
    column: "c6",
    sum: true,
    order: "ascending",
    min: "6",
    max: "18",
    attained: true,
  });
  for (const segment of planColumn(dataset, claim, 2)) {
    const request = requestOf(segment);
    await twin.witness(request, inputsOf(request, 2, 1));
  }
}, 60_000);
