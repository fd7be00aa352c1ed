import { beforeAll, describe, expect, it } from "vitest";
import { singleMutations } from "../../../src/circuit/attack.js";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { measureProgram } from "../../../src/circuit/synthesis/program.js";
import { FOLLOWING, type OpeningRequest, openingProgram } from "../../../src/dataset/circuit/opening.js";
import { commitDataset } from "../../../src/dataset/commit.js";
import { DEPTHS, digestDescription, hashNode, hashRoot } from "../../../src/dataset/layout.js";
import { checkOpenedRecord, openingSignals, planOpening } from "../../../src/dataset/opening.js";
import { bytesRecord, type Column, type DatasetRecord, encodeRecord } from "../../../src/dataset/record.js";
import { R } from "../../../src/field/scalar.js";
import { fieldElements } from "../../circuits/inference/support.js";
import { Twin } from "./support.js";
import { table, tableOf } from "./tables.js";

const CONTEXT = 5n;
/** Chunks of four records, of which three have slots behind the one that is opened. */
const sizes = { bits: 2, following: [3] };
const dataset = table(
  Array.from({ length: 10 }, (_, i) => ({ label: `${i}` })),
  [],
  4,
);

const requestFor = (index: number, salt = 77n, of = dataset): OpeningRequest => ({
  ...planOpening(of, index, { salt, sizes }).request,
  context: CONTEXT,
});

function inputsOf(request: OpeningRequest) {
  const { root, index, record, context, previous, description, blind, salt, group, opening } = request;
  const { following, followingBlinds } = request;
  const spare = 3 - following.length;
  return {
    ...{ root, index, record, context, previous, blind, salt },
    description: [...description],
    real: Array.from({ length: 3 }, (_, i) => (i < following.length ? 1n : 0n)),
    following: [...following.flat(), ...new Array<bigint>(14 * spare).fill(0n)],
    followingBlind: [...followingBlinds, ...new Array<bigint>(spare).fill(0n)],
    group: group.flat(),
    opening: [...opening],
  };
}

describe("an opening", () => {
  let twin: Twin<OpeningRequest>;

  beforeAll(async () => {
    twin = await Twin.of(openingProgram({ bits: 2, following: 3, depth: 1 }));
  }, 120_000);

  it.each([0, 2, 3, 5, 8, 9])("has circom's witness for record %i", async (index) => {
    const given = requestFor(index);
    const witness = await twin.witness(given, inputsOf(given));
    const record = digestDescription(dataset.descriptions(index, 1)[0]!, 77n);
    expect(witness.slice(1, 5)).toEqual([dataset.commitment.root, BigInt(index), record, CONTEXT]);
    expect(witness.slice(1, 4)).toEqual(openingSignals(planOpening(dataset, index, { salt: 77n, sizes }).claim));
  });

  it("is determined by its inputs, and takes no wire for another", async () => {
    expect((await checkDeterminism(twin.r1cs)).left).toEqual([]);
    const witness = twin.made(requestFor(9));
    expect(await singleMutations(twin.r1cs, witness, { random: fieldElements(1n) })).toEqual([]);
    // Nor does a public signal pass for another one.
    for (const name of ["root", "index", "record", "context"]) {
      expect(twin.violated(witness, { [name]: witness[twin.wire(name)]! + 1n }), name).toBeGreaterThan(0);
    }
  });

  it("gives a record no other number", () => {
    // Record 6 as number 5, one place earlier in the chunk, with everything told accordingly: only that slots and records
    // are left over is in the way.
    const witness = twin.made(requestFor(6));
    const moved = { index: 5n, "tail.bits.out[0]": 1n, "tail.bits.out[1]": 0n };
    const slots = { "tail.slots.in": 1n, "tail.slots.bits[0]": 1n };
    const others = { "tail.others.in": 3n, "tail.others.bits[0]": 1n };
    const left = BigInt(10 - 1 - 6 - 1);
    expect(witness[twin.wire("tail.others.in")]).toBe(left);
    expect(twin.violated(witness, { ...moved, ...slots, ...others })).toBe(1);
  });

  it("gives a record no number in another chunk, and none beyond the dataset", () => {
    const witness = twin.made(requestFor(9));
    const others = { "tail.others.in": -4n };
    // As 13, with the digit of the chunk changed throughout: the path is another one, and 13 is beyond the records.
    const digit = { "tail.bits.out[2]": 1n, "tail.bits.out[3]": 1n, "tail.chunk": 3n, "top.path.digits.out[0]": 1n };
    expect(twin.violated(witness, { index: 13n, ...others, ...digit })).toBeGreaterThan(2);
    // As 10, in the last chunk's third place.
    const place = { "tail.bits.out[0]": 0n, "tail.bits.out[1]": 1n, "tail.slots.in": 1n };
    expect(twin.violated(witness, { index: 10n, ...place, "tail.others.in": -1n })).toBeGreaterThan(0);
    // r more is the same signal, and no verifier takes it.
    expect(twin.violated(witness, { index: 9n + R })).toBe(0);
    expect(() => openingSignals({ root: 1n + R, index: 9, record: 1n })).toThrow(/field element/);
    expect(() => openingSignals({ root: 1n, index: -1, record: 1n })).toThrow(/numbered from 0/);
  });

  it("takes no other salt, description, context of zero, or step", () => {
    const given = requestFor(4);
    const witness = twin.made(given);
    expect(twin.violated(witness, { salt: 78n })).toBeGreaterThan(0);
    expect(twin.violated(witness, { "description[4]": 1n })).toBeGreaterThan(0);
    expect(twin.violated(witness, { "real[2]": 0n })).toBeGreaterThan(0);
    expect(() => twin.made({ ...given, context: 0n })).toThrow(expect.objectContaining({ code: "CONTEXT_ZERO" }));
    expect(twin.refuses({ ...given, salt: 78n })).toBe(true);
    expect(twin.refuses({ ...given, root: 9n })).toBe(true);
    expect(twin.refuses({ ...given, previous: 9n })).toBe(true);
    expect(() => twin.made({ ...given, index: 5n })).toThrow(/rest of the chunk/);
    expect(twin.refuses({ ...given, description: requestFor(5).description })).toBe(true);
  });

  it("opens a chunk that was made too long in one way only", () => {
    // A root says 9 records where the last chunk's chain has two: the last one is number 8, and nothing is number 9.
    const { opening } = dataset.commitment;
    const totals = { ...opening.totals, records: 9 };
    const root = hashRoot({ ...opening, totals });
    const lying = { ...dataset, commitment: { ...dataset.commitment, root, opening: { ...opening, totals } } };
    expect(twin.refuses(requestFor(8, 0n, lying))).toBe(true);
    const { index: _, ...last } = requestFor(9);
    const totalsOf = [9n, ...requestFor(9).opening.slice(1)];
    const witness = twin.made({ ...last, root, index: 8n, opening: totalsOf });
    expect(twin.violated(witness)).toBe(0);
    expect(() => twin.made({ ...last, root, index: 9n, opening: totalsOf })).toThrow(/does not fit the dataset/);
  });

  it("fits 2^17 rows in all sizes", () => {
    for (const following of FOLLOWING) {
      for (const depth of DEPTHS) {
        expect(measureProgram(openingProgram({ following, depth })).rows).toBeLessThan(2 ** 17 - 16);
      }
    }
  });

  it("refuses sizes that the template does not have", () => {
    for (const following of [1, 128, 2.5])
      expect(() => openingProgram({ following, depth: 2 })).toThrow(/has 4 records or more/);
  });
});

describe("a planned opening", () => {
  it("takes the smallest circuit that has room for the rest of the chunk", () => {
    const of = tableOf(
      Array.from({ length: 131 }, (_, i) => new Array<bigint>(14).fill(BigInt(i))),
      [],
      128,
    );
    const following = (index: number) => planOpening(of, index).spec.following;
    expect([0, 95, 96, 119, 120, 127, 128, 130].map(following)).toEqual([127, 127, 31, 31, 7, 7, 7, 7]);
    expect(planOpening(of, 127).request.following).toEqual([]);
    expect(planOpening(of, 128).request.following).toHaveLength(2);
    for (const index of [-1, 131, 0.5]) {
      expect(() => planOpening(of, index)).toThrow(expect.objectContaining({ code: "DATASET_RECORD_UNKNOWN" }));
    }
    expect(() => planOpening(of, 1, { salt: R })).toThrow(expect.objectContaining({ code: "INPUT_INVALID" }));
  });
});

describe("a record that was shown", () => {
  const columns: Column[] = [
    { name: "price", type: "decimal", digits: 2 },
    { name: "note", type: "text" },
  ];
  const records: DatasetRecord[] = [
    { ...bytesRecord(Uint8Array.of(1, 2, 3), "a"), label: "ham", cells: [100n, "x"] },
    { ...bytesRecord(Uint8Array.of(4), "b"), label: "spam", cells: [null, "y"] },
  ];

  it("is the one that was opened, byte by byte", async () => {
    const own = await commitDataset(records, { columns });
    const { claim } = planOpening(own, 1);
    const bytes = encodeRecord(records[1]!);
    expect(checkOpenedRecord(claim, bytes, own.commitment)).toMatchObject({ label: "spam", cells: [null, "y"] });
    const mismatch = expect.objectContaining({ code: "DATASET_MISMATCH" });
    for (let i = 0; i < bytes.length; i++) {
      const changed = Uint8Array.from(bytes);
      changed[i]! ^= 1;
      expect(() => checkOpenedRecord(claim, changed, own.commitment), `byte ${i}`).toThrow(mismatch);
    }
    for (const other of [new Uint8Array(), bytes.subarray(1), encodeRecord(records[0]!)]) {
      expect(() => checkOpenedRecord(claim, other, own.commitment)).toThrow(mismatch);
    }
  });

  it("is checked under its own root, columns and number, and not behind a salt", async () => {
    const own = await commitDataset(records, { columns });
    const { claim } = planOpening(own, 1);
    const bytes = encodeRecord(records[1]!);
    const mismatch = expect.objectContaining({ code: "DATASET_MISMATCH" });
    const { commitment } = own;
    const other = { ...commitment, columns: [columns[0]!, { name: "note", type: "float" as const }] };
    expect(() => checkOpenedRecord(claim, bytes, other)).toThrow(/columns/);
    const foreign = { ...commitment, opening: { ...commitment.opening, top: hashNode(1, []) } };
    expect(() => checkOpenedRecord(claim, bytes, foreign)).toThrow(/not of this root/);
    expect(() => checkOpenedRecord({ ...claim, index: 2 }, bytes, commitment)).toThrow(/no record 2/);
    expect(() => checkOpenedRecord({ ...claim, index: 0.5 }, bytes, commitment)).toThrow(mismatch);
    const malformed = { ...commitment, columns: "price" as unknown as Column[] };
    expect(() => checkOpenedRecord(claim, bytes, malformed)).toThrow(mismatch);
    const salted = planOpening(own, 1, { salt: 3n }).claim;
    expect(() => checkOpenedRecord(salted, bytes, commitment)).toThrow(mismatch);
  });
});
