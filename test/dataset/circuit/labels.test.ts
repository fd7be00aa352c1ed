import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { measureProgram } from "../../../src/circuit/synthesis/program.js";
import { datasetProgram, type RecordSegmentRequest } from "../../../src/dataset/circuit/index.js";
import { type LabelsClaim, labelsFamily, planLabels } from "../../../src/dataset/claims/labels.js";
import { commitState } from "../../../src/dataset/claims.js";
import { code } from "../../support/errors.js";
import { Twin } from "./support.js";
import { describedRow, inputsOf, Rows, requestOf, table } from "./tables.js";

/** Records of a chunk. */
const SIZE = 2;
const SPEC = { kind: "labels", records: SIZE, depth: 1 } as const;

const labelled = (...labels: readonly string[]) =>
  table(
    labels.map((label) => ({ label })),
    [],
    SIZE,
  );
const claimOf = (labels: readonly string[], counts = true): LabelsClaim => ({ type: "labels", labels, counts });
const plan = (labels: readonly string[], claim: LabelsClaim) => [...planLabels(labelled(...labels), claim, SIZE)];

describe("labels", () => {
  let twin: Twin<RecordSegmentRequest>;
  let rows: Rows;

  beforeAll(async () => {
    twin = await Twin.of(datasetProgram(SPEC));
    rows = new Rows(SPEC);
  }, 120_000);

  it.each([
    [["ham", "spam", "ham"], claimOf(["spam", "ham"])],
    [["", "spam"], claimOf(["spam", ""], false)],
    [["9", "", "15"], claimOf(Array.from({ length: 16 }, (_, i) => (i === 3 ? "" : String(i))))],
  ])("has circom's witnesses of %j", async (labels, claim) => {
    for (const segment of plan(labels, claim)) {
      const request = requestOf(segment);
      const witness = await twin.witness(request, inputsOf(request, SIZE));
      const commitments = [
        commitState(request.before, request.beforeSalt),
        commitState(request.after, request.afterSalt),
      ];
      expect(witness.slice(1, 6)).toEqual([request.root, segment.claim, ...commitments, request.context]);
    }
  });

  it("fits 2^17 rows with 128 records at every height", () => {
    for (const depth of [2, 4, 6]) {
      expect(measureProgram(datasetProgram({ kind: "labels", depth })).rows).toBeLessThan(2 ** 17 - 16);
    }
  });

  it("counts the labels of any dataset", () => {
    const names = ["", "a", "b", "c"];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (labels, counts) => {
          const dataset = labelled(...labels);
          const claim = claimOf(names, counts);
          const segments = [...planLabels(dataset, claim, SIZE)];
          let state = labelsFamily.initial(claim);
          for (const segment of segments) {
            expect(segment.before).toEqual(state);
            state = [...segment.after];
            expect(rows.accepts(rows.witness(requestOf(segment)))).toBe(true);
          }
          const { opening } = dataset.commitment;
          expect(labelsFamily.result(claim, state, opening)).toEqual({
            records: labels.length,
            ...(counts ? { counts: names.map((name) => labels.filter((label) => label === name).length) } : {}),
          });
          if (!counts) expect(state.slice(2)).toEqual(new Array(16).fill(0n));
        },
      ),
      { numRuns: 6 },
    );
  });

  it("is determined by its inputs", async () => {
    expect((await checkDeterminism(rows.r1cs)).left).toEqual([]);
  });

  it("tells which record has another label", () => {
    expect(() => plan(["a", "a", "b"], claimOf(["a"]))).toThrow(
      expect.objectContaining({ code: "CLAIM_FALSE", message: "record 2: its label is none of the claim's" }),
    );
    expect(() => plan(["a", ""], claimOf(["a"]))).toThrow(code("CLAIM_FALSE"));
  });

  it.each([
    [[], true],
    [["a", "a"], true],
    [Array.from({ length: 17 }, (_, i) => String(i)), true],
    [["a".repeat(1025)], true],
    [["\ud800"], true],
    [[3], true],
    ["ab", true],
    [["a"], 1],
  ])("refuses the claim of labels %j, counts %j", (labels, counts) => {
    const claim = { type: "labels", labels, counts } as unknown as LabelsClaim;
    expect(() => plan(["a"], claim)).toThrow(code("CLAIM_INVALID"));
  });

  describe("forgeries", () => {
    it("has a label of its own", () => {
      // Everything but the label is as it should be, the states too.
      const [segment] = plan(["a", "b"], claimOf(["a", "b"]));
      const [other] = plan(["a", "a"], claimOf(["a"], false));
      const params = (other!.request() as unknown as RecordSegmentRequest).params;
      const request = { ...requestOf(segment!), params, claim: other!.claim, after: other!.after };
      expect(rows.violations(rows.witness(request))).toBe(1);
    });

    it("has the element that stands in an unused place as its label", () => {
      // Records without a label have 0 as well.
      const [segment] = plan(["a", ""], claimOf(["a", ""], false));
      const [other] = plan(["a"], claimOf(["a"], false));
      const params = (other!.request() as unknown as RecordSegmentRequest).params;
      expect(params.slice(3)).toEqual(new Array(15).fill(0n));
      const request = { ...requestOf(segment!), params, claim: other!.claim };
      expect(rows.violations(rows.witness(request))).toBe(1);
    });

    it("counts padding", () => {
      const claim = claimOf(["a", "b"]);
      const [segment] = plan(["a"], claim);
      const padding = { descriptions: [...requestOf(segment!).descriptions, describedRow({ label: "b" })] };
      const request = { ...requestOf(segment!), ...padding, blinds: [...requestOf(segment!).blinds, 3n] };
      const witness = rows.witness(request);
      expect(rows.accepts(witness)).toBe(true); // it has no influence
      const after = segment!.after.map((field, i) => (i === 1 || i === 3 ? field + 1n : field));
      expect(() => rows.witness({ ...request, after })).toThrow(code("WITNESS_INVALID"));
      expect(rows.accepts(witness, { "segment.real[1]": 1n })).toBe(false);
      expect(rows.accepts(witness, { "hit[1][1]": 1n })).toBe(false);
    });

    it("goes on from another state, or leaves a chunk out", () => {
      const claim = claimOf(["a", "b"]);
      const segments = plan(["a", "b", "a", "a", "b"], claim);
      const [first, second, third] = segments.map((segment) => requestOf(segment));
      const signal = (request: RecordSegmentRequest, at: number) => rows.witness(request)[at];
      expect(signal(second!, 3)).toBe(signal(first!, 4));
      expect(signal(third!, 3)).not.toBe(signal(first!, 4));
      // The second chunk's records under the third's number.
      const { descriptions, blinds, group } = second!;
      const moved = { ...third!, descriptions, blinds, group };
      expect(() => rows.witness(moved)).toThrow(code("WITNESS_INVALID"));
      const last = segments[1]!.after;
      const { opening } = labelled("a", "b", "a", "a", "b").commitment;
      expect(() => labelsFamily.result(claim, last, opening)).toThrow(code("PROOF_SET_INVALID"));
    });

    it("changes some wires", async () => {
      const [, segment] = plan(["a", "b", "b"], claimOf(["a", "b"]));
      await rows.expectFirm(rows.witness(requestOf(segment!)));
    });
  });
});
