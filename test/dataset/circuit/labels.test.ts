import { beforeAll, describe, expect, it } from "vitest";
import { type ColumnRequest, datasetProgram } from "../../../src/dataset/circuit/index.js";
import { type LabelsClaim, labelsFamily, planLabels } from "../../../src/dataset/claims/labels.js";
import { Twin } from "./support.js";
import { CONTEXT, inputsOf, requestOf, table } from "./tables.js";

describe("labels", () => {
  let twin: Twin<ColumnRequest>;
  beforeAll(async () => {
    twin = (await Twin.of(datasetProgram({ kind: "labels", records: 2, depth: 1 }))) as Twin<ColumnRequest>;
  }, 60_000);

  it("x", async () => {
    const dataset = table([{ label: "a" }, { label: "b" }, { label: "" }], [], 2);
    const claim: LabelsClaim = { type: "labels", labels: ["b", "", "a"], counts: true };
    const segments = [...planLabels(dataset, claim, 2)];
    for (const segment of segments) {
      const request = requestOf(segment);
      await twin.witness(request, inputsOf(request, 2));
    }
    expect(labelsFamily.result(claim, segments.at(-1)!.after, dataset.commitment.opening)).toEqual({
      records: 3,
      counts: [1, 1, 1],
    });
    expect(CONTEXT).toBe(5n);
  });
});
