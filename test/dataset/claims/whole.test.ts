import { expect, it } from "vitest";
import { measureProgram, type Program, programWitness } from "../../../src/circuit/synthesis/program.js";
import { datasetProgram, type RecordSegmentRequest } from "../../../src/dataset/circuit/index.js";
import { columnClaim, columnExtremes, columnFamily, planColumn } from "../../../src/dataset/claims/column.js";
import { type LabelsClaim, labelsFamily, planLabels } from "../../../src/dataset/claims/labels.js";
import type { Segment } from "../../../src/dataset/claims.js";
import { commitDataset } from "../../../src/dataset/commit.js";
import { bytesRecord, type Column } from "../../../src/dataset/record.js";
import { requestOf } from "../circuit/tables.js";

const COLUMNS: Column[] = Array.from({ length: 7 }, (_, k) => ({ name: `c${k}`, type: "decimal", digits: 2 }));

/** Witnesses of the circuits that ship: they refuse a request for another root, claim or state than it computes. */
function lastState(segments: Iterable<Segment>): readonly bigint[] {
  let last: readonly bigint[] = [];
  for (const segment of segments) {
    const program = datasetProgram(segment.spec) as Program<RecordSegmentRequest>;
    programWitness(program, measureProgram(program).wires, requestOf(segment));
    last = segment.after;
  }
  return last;
}

it("claims about a dataset of two chunks have witnesses in the circuits that ship", async () => {
  const records = Array.from({ length: 130 }, (_, i) => ({
    ...bytesRecord(Uint8Array.of(i)),
    label: i % 3 === 0 ? "b" : "a",
    cells: COLUMNS.map((_, k) => BigInt(i * k)),
  }));
  const dataset = await commitDataset(records, { columns: COLUMNS, seed: new Uint8Array(32).fill(3) });
  const { opening } = dataset.commitment;

  const labels: LabelsClaim = { type: "labels", labels: ["a", "b"], counts: true };
  const counted = labelsFamily.result(labels, lastState(planLabels(dataset, labels)), opening);
  expect(counted).toEqual({ records: 130, counts: [86, 44] });

  const extremes = columnExtremes(dataset, { column: "c6" })!;
  expect(extremes).toEqual({ min: "0.00", max: "7.74" });
  const column = columnClaim(COLUMNS, { column: "c6", ...extremes, attained: true, sum: true, order: "strict" });
  expect(columnFamily.result(column, lastState(planColumn(dataset, column)), opening)).toMatchObject({
    counted: 130,
    missing: 0,
    sum: 50310n,
  });
});
