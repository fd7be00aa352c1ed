import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { measureProgram } from "../../../src/circuit/synthesis/program.js";
import { type ColumnRequest, datasetProgram } from "../../../src/dataset/circuit/index.js";
import { type ColumnTerms, columnClaim, columnFamily, planColumn } from "../../../src/dataset/claims/column.js";
import { type ColumnClaim, commitState, type Segment } from "../../../src/dataset/claims.js";
import type { OpenDataset } from "../../../src/dataset/dataset.js";
import { AT } from "../../../src/dataset/layout.js";
import { type Cell, type Column, encodeCell } from "../../../src/dataset/record.js";
import { R } from "../../../src/field/scalar.js";
import { code } from "../../support/errors.js";
import { Twin } from "./support.js";
import { describedRow, inputsOf, type Row, Rows, requestOf, table, tableOf } from "./tables.js";

/** Records of a chunk. */
const SIZE = 2;
const SPEC = { kind: "column", records: SIZE, depth: 1, rest: 0 } as const;
const REST_SPEC = { ...SPEC, rest: 1 } as const;

const COLUMNS: Column[] = [
  { name: "id", type: "decimal", digits: 0 },
  { name: "price", type: "decimal", digits: 2 },
  { name: "weight", type: "float" },
  { name: "note", type: "text" },
];
const ROWS: Row[] = [
  { label: "a", cells: [1n, 350n, 0.5, "x"] },
  { label: "b", cells: [2n, null, -0, ""] },
  { label: "a", cells: [5n, -50n, null, null] },
];
const prices = (...cells: readonly Cell[]) =>
  table(
    cells.map((cell) => ({ cells: [0n, cell, null, null] })),
    COLUMNS,
    SIZE,
  );
const price = (terms: Omit<ColumnTerms, "column"> = {}) => columnClaim(COLUMNS, { column: "price", ...terms });
const plan = (dataset: OpenDataset, claim: ColumnClaim) => [...planColumn(dataset, claim, SIZE)];
const requestAt = (dataset: OpenDataset, claim: ColumnClaim, chunk: number) => requestOf(plan(dataset, claim)[chunk]!);
const resultOf = (dataset: OpenDataset, claim: ColumnClaim) =>
  columnFamily.result(claim, plan(dataset, claim).at(-1)!.after, dataset.commitment.opening);

/** A state with some of its fields changed. */
const withFields = (state: readonly bigint[], changes: Readonly<Record<number, bigint>>) =>
  state.map((field, i) => changes[i] ?? field);

describe("a column", () => {
  let twin: Twin<ColumnRequest>;
  let rows: Rows;

  beforeAll(async () => {
    twin = await Twin.of(datasetProgram(SPEC));
    rows = new Rows(SPEC);
  }, 120_000);

  const sameWitness = async (segment: Segment) => {
    const request = requestOf(segment);
    const witness = await twin.witness(request, inputsOf(request, SIZE));
    const commitments = [
      commitState(request.before, request.beforeSalt),
      commitState(request.after, request.afterSalt),
    ];
    expect(witness.slice(1, 6)).toEqual([request.root, segment.claim, ...commitments, request.context]);
  };

  it.each<[ColumnTerms]>([
    [{ column: "price", sum: true, min: "-0.50", max: "3.5", attained: true }],
    [{ column: "price", label: "a", bins: ["-1", "0", "4"] }],
    [{ column: "id", order: "strict", sum: true }],
    [{ column: "weight", min: "-0", max: "1e3", histogram: true }],
  ])("has circom's witnesses of %j", async (terms) => {
    for (const segment of plan(table(ROWS, COLUMNS, SIZE), columnClaim(COLUMNS, terms))) await sameWitness(segment);
  });

  it("fits the power of two that its cells need, with 128 records at every height", () => {
    for (const [rest, bits] of [17, 18, 19, 19, 19, 19].entries()) {
      const { rows } = measureProgram(datasetProgram({ kind: "column", depth: 6, rest }));
      expect(rows).toBeLessThan(2 ** bits - 16);
    }
  });

  it("says of any column what there is", () => {
    const cell = fc.option(fc.bigInt(-3n, 3n), { nil: null });
    const row = fc.record({ label: fc.constantFrom("", "a"), cell });
    const filter = fc.option(fc.constantFrom("", "a"), { nil: undefined });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), filter, fc.boolean(), (given, label, attained) => {
        const matching = given.filter((each) => label === undefined || each.label === label);
        const cells = matching.flatMap(({ cell }) => (cell === null ? [] : [cell]));
        const sorted = cells.toSorted((a, b) => Number(a - b));
        fc.pre(cells.length > 0);
        const dataset = table(
          given.map((each) => ({ label: each.label, cells: [null, each.cell, null, null] })),
          COLUMNS,
          SIZE,
        );
        const [min, max] = [sorted[0]!, sorted.at(-1)!];
        const edges = ["-0.03", "-0.01", "0.00", "0.01", "0.04"];
        const text = (value: bigint) => `${value < 0n ? "-" : ""}0.0${value < 0n ? -value : value}`;
        const common = { ...(label === undefined ? {} : { label }), sum: true };
        const claim = price(
          attained ? { ...common, min: text(min), max: text(max), attained } : { ...common, bins: edges },
        );
        for (const segment of plan(dataset, claim)) {
          expect(rows.accepts(rows.witness(requestOf(segment)))).toBe(true);
        }
        const sum = cells.reduce((total, each) => total + each, 0n);
        const counts = [0, 0, 0, 0];
        for (const each of cells) counts[each < -1n ? 0 : each < 0n ? 1 : each < 1n ? 2 : 3]!++;
        const encoded = (value: bigint) => encodeCell(COLUMNS[1]!, value);
        expect(resultOf(dataset, claim)).toEqual({
          counted: cells.length,
          missing: matching.length - cells.length,
          sum,
          mean: { numerator: sum, denominator: BigInt(cells.length) },
          ...(attained ? { min: encoded(min), max: encoded(max) } : { histogram: counts }),
        });
      }),
      { numRuns: 6 },
    );
  });

  it("takes the extremes of 64 bits, in any order", () => {
    const [least, largest] = [-(2n ** 63n), 2n ** 63n - 1n];
    const dataset = prices(least, largest, largest);
    for (const terms of [
      { order: "ascending" },
      { sum: true },
      { min: "-92233720368547758.08", attained: true },
    ] as const) {
      const claim = price({ ...terms, ...("attained" in terms ? { max: "92233720368547758.07" } : {}) });
      for (const segment of plan(dataset, claim)) expect(rows.accepts(rows.witness(requestOf(segment)))).toBe(true);
    }
    expect(resultOf(dataset, price({ sum: true })).sum).toBe(least + 2n * largest);
    const [only] = plan(prices(largest), price({ order: "ascending" }));
    expect(rows.accepts(rows.witness(requestOf(only!)))).toBe(true);
    const [first] = plan(prices(least), price({ order: "strict" }));
    expect(rows.accepts(rows.witness(requestOf(first!)))).toBe(true);
  });

  it("leaves nothing in the last state that is not claimed", () => {
    const dataset = prices(1n, 2n, 3n);
    for (const terms of [{}, { order: "strict" }] as const) {
      expect(plan(dataset, price(terms)).at(-1)!.after).toEqual([2n, 3n, 3n, 3n, ...new Array(20).fill(0n)]);
    }
    expect(plan(prices(1n, 2n), price({ order: "strict" })).at(-1)!.after[7]).toBe(0n);
  });

  it("is determined by its inputs, if the bins are", async () => {
    const wires = (...names: readonly string[]) => names.map((name) => rows.names.get(`main.${name}`)!);
    const bins = Array.from({ length: 16 }, (_, j) => [`bin[0][${j}]`, `bin[1][${j}]`]).flat();
    const { left } = await checkDeterminism(rows.r1cs, {
      explained: [
        { wires: wires(...bins), proof: "edges that verifiers accept are ascending, so bins do not overlap" },
      ],
    });
    expect(left).toEqual([]);
  });

  it.each<[string, OpenDataset, ColumnClaim]>([
    ["record 2: its cell lies outside the claim's range", prices(1n, 2n, 3n), price({ max: "0.02" })],
    ["record 0: its cell lies outside the claim's range", prices(1n), price({ min: "0.02" })],
    ["record 1: its cell is missing", prices(1n, null), price({ order: "ascending" })],
    ["record 2: its cell is less than that of the record before", prices(1n, 4n, 3n), price({ order: "ascending" })],
    ["record 2: its cell equals that of the record before", prices(1n, 4n, 4n), price({ order: "strict" })],
    ["no cell is the claimed minimum", prices(2n, null), price({ min: "0", max: "0.02", attained: true })],
    ["no cell is the claimed maximum", prices(2n, 1n), price({ min: "0.01", max: "0.03", attained: true })],
  ])("tells what is false: %s", (message, dataset, claim) => {
    expect(() => plan(dataset, claim)).toThrow(expect.objectContaining({ code: "CLAIM_FALSE", message }));
  });

  it("opens a last state only where the whole dataset was seen, and the extremes with it", () => {
    const { opening } = prices(1n, 2n, 3n).commitment;
    const claim = price({ min: "0.01", max: "0.03", attained: true });
    const last = plan(prices(1n, 2n, 3n), claim).at(-1)!.after;
    for (const wrong of [last.slice(1), withFields(last, { 1: 2n }), withFields(last, { 5: 0n }), []]) {
      expect(() => columnFamily.result(claim, wrong, opening)).toThrow(code("PROOF_SET_INVALID"));
    }
  });

  describe("forgeries", () => {
    /** A request whose states are what the circuit computes, so that nothing but the claim is wrong. */
    const forge = (request: ColumnRequest, changes: Readonly<Record<number, bigint>>) => ({
      ...request,
      after: withFields(request.after, changes),
    });
    /** The request for the records of one dataset under a claim that is true of another of its size. */
    const transplant = (records: OpenDataset, truth: OpenDataset, claim: ColumnClaim, chunk: number): ColumnRequest => {
      const { params } = requestAt(truth, claim, chunk);
      const honest = requestAt(records, price(), chunk);
      return { ...requestAt(truth, claim, chunk), ...pickRecords(honest), params };
    };
    const pickRecords = ({ root, descriptions, blinds, group, opening }: ColumnRequest) => ({
      root,
      descriptions,
      blinds,
      group,
      opening,
    });

    /** All that follows from the first record's being in a bin, as far as there are bits for it. */
    const forcedBin = (witness: readonly bigint[], bin: number) => {
      const at = (name: string) => witness[rows.names.get(`main.${name}`)!]!;
      const [from, to, value] = [at(`param[${8 + bin}]`), at(`param[${9 + bin}]`), at("value[0]")];
      const changes: Record<string, bigint> = {};
      for (let j = 0; j < 16; j++) {
        changes[`bin[0][${j}]`] = j === bin ? 1n : 0n;
        changes[`lower[0][${j}]`] = j === bin ? from : 0n;
        changes[`upper[0][${j}]`] = j === bin ? to : 0n;
      }
      for (const [name, difference] of [
        ["above", value - from],
        ["below", to - 1n - value],
      ] as const) {
        changes[`${name}[0].in`] = difference;
        const bits = ((difference % R) + R) % R;
        for (let k = 0; k < 63; k++) changes[`${name}[0].bits[${k}]`] = (bits >> BigInt(k)) & 1n;
      }
      return changes;
    };

    it("lets padding count, be a minimum, or lie in a bin", () => {
      const claim = price({ min: "0.01", max: "0.05", sum: true, attained: true, histogram: true });
      const dataset = prices(1n, 5n, 3n);
      const honest = requestAt(dataset, claim, 1);
      const padding = describedRow({ cells: [0n, 1n, null, null] }, COLUMNS);
      const request = { ...honest, descriptions: [...honest.descriptions, padding], blinds: [...honest.blinds, 9n] };
      const witness = rows.witness(request);
      expect(rows.accepts(witness)).toBe(true); // it has no influence
      for (const field of [1, 2, 3, 4, 8]) {
        const lie = forge(request, { [field]: request.after[field]! + 1n });
        expect(() => rows.witness(lie), String(field)).toThrow(code("WITNESS_INVALID"));
      }
      for (const name of ["segment.real[1]", "eligible[1]", "counted[1]", "bin[1][0]", "value[1]"]) {
        expect(rows.accepts(witness, { [name]: 1n }), name).toBe(false);
      }
      // A minimum that only the padding has.
      const other = prices(2n, 5n, 3n);
      const fake = {
        ...request,
        ...pickRecords(requestAt(other, price(), 1)),
        before: withFields(honest.before, { 5: 0n }),
      };
      const padded = { ...fake, descriptions: [...fake.descriptions, padding], blinds: [...fake.blinds, 9n] };
      expect(() => rows.witness(padded)).toThrow(code("WITNESS_INVALID")); // says that it is attained
      expect(rows.accepts(rows.witness(forge(padded, { 5: 0n })))).toBe(true);
    });

    it("sums a cell that wraps, or one beyond 64 bits", () => {
      for (const cell of [R - 5n, 2n ** 64n + 1n, 2n ** 65n]) {
        const description = describedRow({ cells: [0n, 1n, null, null] }, COLUMNS).with(AT.cell0 + 1, cell);
        const dataset = tableOf([description], COLUMNS, SIZE);
        const claim = price({ sum: true });
        expect(() => plan(dataset, claim)).toThrow(code("CLAIM_FALSE"));
        const honest = requestAt(prices(1n), claim, 0);
        const { root, opening } = dataset.commitment;
        const request = {
          ...honest,
          root,
          descriptions: [description],
          group: [[dataset.chunkRoots[0]!, ...new Array<bigint>(15).fill(0n)]],
          opening: [
            ...[opening.totals.records, opening.totals.blocks, opening.totals.values].map(BigInt),
            opening.schema,
          ],
          after: withFields(honest.after, { 4: cell }),
        };
        // In no bin, and in one: it is neither above the lower edge nor below the upper one.
        const witness = rows.witness(request);
        expect(rows.violations(witness)).toBeGreaterThan(0);
        expect(rows.violations(witness, forcedBin(witness, 0))).toBe(2);
      }
    });

    it("puts a cell into another bin", () => {
      const claim = price({ bins: ["0", "0.02", "0.04"], histogram: false });
      const witness = rows.witness(requestAt(prices(1n), claim, 0));
      expect(rows.violations(witness, forcedBin(witness, 0))).toBe(0);
      expect(rows.violations(witness, forcedBin(witness, 1))).toBe(1);
      // A place without a bin: its edges are both the last one.
      expect(rows.violations(witness, forcedBin(witness, 2))).toBe(1);
      const largest = rows.witness(requestAt(prices(3n), claim, 0));
      expect(rows.violations(largest, forcedBin(largest, 1))).toBe(0);
      expect(rows.violations(largest, forcedBin(largest, 0))).toBe(1);
      expect(rows.violations(largest, forcedBin(largest, 2))).toBe(1);
    });

    it("evades the filter", () => {
      const claim = price({ label: "a", max: "1" });
      const dataset = table(
        [
          { label: "a", cells: [0n, 1n, null, null] },
          { label: "b", cells: [0n, 2n, null, null] },
        ],
        COLUMNS,
        SIZE,
      );
      const request = requestAt(dataset, claim, 0);
      expect(request.after.slice(2, 4)).toEqual([1n, 1n]);
      for (const fields of [{ 2: 2n, 3: 2n }, { 2: 0n, 3: 0n }, { 3: 0n }]) {
        expect(() => rows.witness(forge(request, fields))).toThrow(code("WITNESS_INVALID"));
      }
      const witness = rows.witness(request);
      expect(rows.accepts(witness, { "labelled[1].out": 1n })).toBe(false);
      expect(rows.accepts(witness, { "labelled[0].out": 0n, "labelled[0].inverse": 1n })).toBe(false);
      // Cells that do not count may be anything.
      const free = table([{ label: "b", cells: [0n, 101n, null, null] }], COLUMNS, SIZE);
      expect(resultOf(free, claim)).toEqual({ counted: 0, missing: 0 });
    });

    it("counts a missing cell, as zero or in an order", () => {
      const dataset = prices(null, 2n);
      const request = requestAt(dataset, price({ sum: true }), 0);
      expect(() => rows.witness(forge(request, { 3: 2n }))).toThrow(code("WITNESS_INVALID"));
      const witness = rows.witness(request);
      expect(rows.accepts(witness, { "absent[0].out": 0n, "counted[0]": 1n })).toBe(false);
      const ordered = transplant(dataset, prices(1n, 2n), price({ order: "ascending" }), 0);
      // Not all records count, and 0 is less than the least cell.
      expect(rows.violations(rows.witness(forge(ordered, { 3: 1n })))).toBe(2);
    });

    it.each(["ascending", "strict"] as const)("breaks the order between two chunks: %s", (order) => {
      const claim = price({ order });
      const truth = prices(1n, 5n, 6n);
      const broken = prices(1n, 5n, order === "strict" ? 5n : 4n);
      const [first] = planColumn(broken, claim, SIZE);
      const request = transplant(broken, truth, claim, 1);
      const witness = rows.witness(request);
      const end = rows.witness(requestOf(first!))[4];
      expect(witness[3]).toBe(end);
      expect(rows.violations(witness)).toBe(1);
      // With another last cell it is true, but goes on from a state that the first chunk does not end with.
      const evasion = rows.witness({ ...request, before: withFields(request.before, { 7: 1n }) });
      expect(rows.accepts(evasion)).toBe(true);
      expect(evasion[3]).not.toBe(end);
    });

    it("breaks the order within a chunk", () => {
      const request = transplant(prices(5n, 4n), prices(1n, 2n), price({ order: "ascending" }), 0);
      expect(rows.accepts(rows.witness(request))).toBe(false);
    });

    it("claims another column", () => {
      const dataset = table(ROWS, COLUMNS, SIZE);
      const request = requestAt(dataset, columnClaim(COLUMNS, { column: "price" }), 0);
      const other = requestAt(dataset, columnClaim(COLUMNS, { column: "id" }), 0);
      expect(() => rows.witness({ ...request, params: other.params })).toThrow(code("WITNESS_INVALID"));
      const witness = rows.witness(request);
      expect(rows.accepts(witness, { "pick[0]": 1n, "pick[1]": 0n })).toBe(false);
    });

    it("changes some wires", async () => {
      const claim = price({ sum: true, min: "0.01", max: "0.05", attained: true, histogram: true, order: "strict" });
      await rows.expectFirm(rows.witness(requestAt(prices(1n, 2n, 5n), claim, 1)));
    }, 60_000);
  });
});

describe("a column behind `rest`", () => {
  const columns: Column[] = Array.from({ length: 7 }, (_, i) =>
    i === 5 ? { name: "text", type: "text" } : { name: `c${i}`, type: "decimal", digits: 0 },
  );
  const dataset = table(
    [1n, 2n, 3n].map((n) => ({ cells: columns.map((_, i) => (i === 5 ? `t${n}` : n * BigInt(i))) })),
    columns,
    SIZE,
  );
  const claim = columnClaim(columns, { column: "c6", sum: true, order: "strict", min: "6", max: "18", attained: true });

  it("has circom's witness, and cells that are those of the record", async () => {
    const twin: Twin<ColumnRequest> = await Twin.of(datasetProgram(REST_SPEC));
    const segments = plan(dataset, claim);
    const request = requestOf(segments[1]!, true);
    await twin.witness(request, inputsOf(request, SIZE, 1));
    expect(resultOf(dataset, claim)).toMatchObject({ counted: 3, sum: 36n });
    const rows = new Rows(REST_SPEC);
    for (const segment of segments) expect(rows.accepts(rows.witness(requestOf(segment)))).toBe(true);
    // Other cells than those committed to, with the state that they would give.
    const [first] = segments;
    const [cells, ...others] = requestOf(first!).cells;
    const cell = encodeCell(columns[6]!, 7n);
    const lie = { ...requestOf(first!), cells: [cells!.with(1, cell), ...others] };
    const after = withFields(lie.after, { 4: lie.after[4]! + 1n, 5: 0n });
    expect(rows.violations(rows.witness({ ...lie, after }))).toBe(1);
  }, 120_000);

  it("refuses cells that do not fit the circuit", () => {
    const request = requestOf(plan(dataset, claim)[0]!);
    const rows = new Rows(REST_SPEC);
    for (const cells of [[], request.cells.slice(1), [[], new Array<bigint>(16).fill(0n)], [[R], []]]) {
      expect(() => rows.witness({ ...request, cells } as ColumnRequest)).toThrow(code("INPUT_INVALID"));
    }
    expect(() => datasetProgram({ ...REST_SPEC, rest: 6 })).toThrow(code("INPUT_INVALID"));
  });
});
