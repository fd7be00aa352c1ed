import { beforeAll, describe, expect, it } from "vitest";
import { singleMutations } from "../../../src/circuit/attack.js";
import { checkDeterminism } from "../../../src/circuit/determinism.js";
import { measureProgram } from "../../../src/circuit/synthesis/program.js";
import { type GrowthRequest, growthProgram } from "../../../src/dataset/circuit/growth.js";
import { FOLLOWING } from "../../../src/dataset/circuit/opening.js";
import { treeLevels } from "../../../src/dataset/commit.js";
import type { OpenDataset } from "../../../src/dataset/dataset.js";
import { growthSignals, planGrowth } from "../../../src/dataset/growth.js";
import { DEPTHS, hashRoot, type Totals } from "../../../src/dataset/layout.js";
import { R } from "../../../src/field/scalar.js";
import { fieldElements } from "../../circuits/inference/support.js";
import { Twin } from "./support.js";
import { table } from "./tables.js";

const CONTEXT = 5n;
const sizes = { bits: 2, following: [3] };

/** A dataset with a root of its own: of another height, or with other totals or chunks. */
function withRoot(
  dataset: OpenDataset,
  {
    depth = 1,
    chunkRoots = dataset.chunkRoots,
    ...other
  }: { depth?: number; chunkRoots?: readonly bigint[] } & Partial<Totals>,
): OpenDataset {
  const totals = { ...dataset.commitment.opening.totals, ...other };
  const opening = { ...dataset.commitment.opening, depth, top: treeLevels(chunkRoots, depth).at(-1)![0]!, totals };
  return { ...dataset, chunkRoots, commitment: { ...dataset.commitment, opening, root: hashRoot(opening) } };
}

/** Records with these labels, four a chunk, under a tree of height 1. */
const of = (labels: string) =>
  table(
    [...labels].map((label) => ({ label })),
    [],
    4,
  );
/** The same under a tree of height 2. */
const higher = (labels: string) => withRoot(of(labels), { depth: 2 });

const requestFor = (old: OpenDataset, dataset: OpenDataset): GrowthRequest => ({
  ...planGrowth(old, dataset, { sizes }).request,
  context: CONTEXT,
});

function inputsOf({ following, followingBlinds, group, ...request }: GrowthRequest) {
  const spare = 3 - following.length;
  return {
    ...request,
    oldTotals: [...request.oldTotals],
    newTotals: [...request.newTotals],
    real: Array.from({ length: 3 }, (_, i) => (i < following.length ? 1n : 0n)),
    following: [...following.flat(), ...new Array<bigint>(14 * spare).fill(0n)],
    followingBlind: [...followingBlinds, ...new Array<bigint>(spare).fill(0n)],
    group: group.flat(),
  };
}

const claimFalse = expect.objectContaining({ code: "CLAIM_FALSE" });

describe("growth into a higher tree", () => {
  let twin: Twin<GrowthRequest>;

  beforeAll(async () => {
    twin = await Twin.of(growthProgram({ bits: 2, following: 3, oldDepth: 1, newDepth: 2 }));
  }, 120_000);

  it.each([
    ["within a chunk", "abcdef", "abcdefg"],
    ["beyond it", "abcdef", "abcdefghijklm"],
    ["behind a full one", "abcd", "abcdefg"],
    ["from one record", "a", "abcdef"],
    ["by nothing", "abcdef", "abcdef"],
  ])("has circom's witness for growth %s", async (_, before, after) => {
    const [old, dataset] = [of(before), higher(after)];
    const given = requestFor(old, dataset);
    const witness = await twin.witness(given, inputsOf(given));
    const roots = [old.commitment.root, dataset.commitment.root];
    expect(witness.slice(1, 6)).toEqual([...roots, BigInt(before.length), BigInt(after.length), CONTEXT]);
    expect(witness.slice(1, 5)).toEqual(growthSignals(planGrowth(old, dataset, { sizes }).claim));
  });

  it("is determined by its inputs, and takes no wire for another", async () => {
    expect((await checkDeterminism(twin.r1cs)).left).toEqual([]);
    const witness = twin.made(requestFor(of("abcdef"), higher("abcdefg")));
    expect(await singleMutations(twin.r1cs, witness, { random: fieldElements(1n) })).toEqual([]);
    for (const name of ["oldRoot", "newRoot", "oldRecords", "newRecords", "context"]) {
      expect(twin.violated(witness, { [name]: witness[twin.wire(name)]! + 1n }), name).toBeGreaterThan(0);
    }
  });

  it("takes no root that is another dataset's", () => {
    const given = requestFor(of("abcdef"), higher("abcdefg"));
    const other = of("abcdeF").commitment.root;
    expect(twin.refuses({ ...given, oldRoot: other })).toBe(true);
    expect(twin.refuses({ ...given, newRoot: higher("abcdef").commitment.root })).toBe(true);
    expect(twin.refuses({ ...given, schema: 1n })).toBe(true);
    expect(twin.refuses({ ...given, last: 1n })).toBe(true);
    expect(() => twin.made({ ...given, context: 0n })).toThrow(expect.objectContaining({ code: "CONTEXT_ZERO" }));
  });

  it("shows nothing of an old tree that goes on behind its last chunk", () => {
    // The old root has a chunk more than its number of records says.
    const long = of("abcdefghij");
    const old = withRoot(long, { records: 6, chunkRoots: long.chunkRoots });
    const given = requestFor(of("abcdef"), higher("abcdefghijk"));
    expect(twin.refuses({ ...given, oldRoot: old.commitment.root })).toBe(true);
    expect(() => requestFor(old, higher("abcdefghijk"))).toThrow(expect.objectContaining({ code: "DATASET_MISMATCH" }));
  });

  it("keeps every record where it was", () => {
    // The new chunk has the old one's records and one more than its root's number of records says: record 5 would be what was
    // number 4.
    const dataset = higher("abcdefgh");
    const short = withRoot(dataset, { depth: 2, records: 7 });
    const full = requestFor(of("abcdef"), dataset);
    const told = { ...full, newRoot: short.commitment.root, newRecords: 7n };
    expect(() => twin.made(told)).toThrow(/rest of the chunk/);
    const lessOne = { following: told.following.slice(0, 1), followingBlinds: told.followingBlinds.slice(0, 1) };
    expect(twin.refuses({ ...told, ...lessOne })).toBe(true);
    // Row by row: as many follow as in the witness, and the records left over are -1.
    const witness = twin.made(full);
    const changes = { newRecords: 7n, newRoot: short.commitment.root, "tail.others.in": -1n };
    expect(twin.violated(witness, changes)).toBeGreaterThan(1);
  });
});

describe("growth within a height", () => {
  const program = growthProgram({ bits: 2, following: 3, oldDepth: 2, newDepth: 2 });
  let twin: Twin<GrowthRequest>;

  beforeAll(async () => {
    twin = await Twin.of(program);
  }, 120_000);

  it("has circom's witness where the path's digits are not 0", async () => {
    const labels = String.fromCharCode(...Array.from({ length: 16 * 4 * 2 + 9 }, (_, i) => 0x4e00 + i));
    const given = requestFor(higher(labels), higher(`${labels}abcdefgh`));
    await twin.witness(given, inputsOf(given));
  });
});

describe("planned growth", () => {
  it("is that of the same records first, and no fewer", () => {
    const old = of("abcdef");
    expect(() => planGrowth(old, of("abcde"), { sizes })).toThrow(claimFalse);
    expect(() => planGrowth(old, of("abcdeXg"), { sizes })).toThrow(/records 4 to 5 are not all as they were/);
    expect(() => planGrowth(old, of("Abcdefg"), { sizes })).toThrow(/records 0 to 3 are not all as they were/);
    const columns = table([{ cells: [1n] }], [{ name: "n", type: "decimal", digits: 0 }], 4);
    expect(() => planGrowth(of("a"), columns, { sizes })).toThrow(/other columns/);
    const reseeded = { ...of("abcdefg"), seed: new Uint8Array(32).fill(8) };
    expect(() => planGrowth(old, reseeded, { sizes })).toThrow(/another seed/);
  });

  it("takes the old chunks for no other root", () => {
    const mismatch = expect.objectContaining({ code: "DATASET_MISMATCH" });
    const { commitment, chunkRoots } = of("abcdef");
    for (const roots of [chunkRoots.slice(1), [...chunkRoots, 1n], [...chunkRoots, 0n], chunkRoots.toReversed()]) {
      expect(() => planGrowth({ commitment, chunkRoots: roots }, of("abcdefg"), { sizes })).toThrow(mismatch);
    }
  });

  it("has signals that are numbers of records, and roots", () => {
    const fine = { oldRoot: 1n, newRoot: 2n, oldRecords: 3, newRecords: 3 };
    expect(growthSignals(fine)).toEqual([1n, 2n, 3n, 3n]);
    for (const wrong of [{ oldRecords: 4 }, { oldRecords: 0 }, { newRecords: 3.5 }, { oldRoot: R }, { newRoot: -1n }]) {
      expect(() => growthSignals({ ...fine, ...wrong })).toThrow(
        expect.objectContaining({ code: "STATEMENT_INVALID" }),
      );
    }
  });

  it("fits 2^17 rows in all sizes", () => {
    for (const following of FOLLOWING) {
      for (const oldDepth of DEPTHS) {
        for (const newDepth of DEPTHS.filter((depth) => depth >= oldDepth)) {
          expect(measureProgram(growthProgram({ following, oldDepth, newDepth })).rows).toBeLessThan(2 ** 17 - 16);
        }
      }
    }
  });
});
