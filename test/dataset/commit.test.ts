import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Committer, chunkPath, commitDataset, treeLevels } from "../../src/dataset/commit.js";
import type { OpenDataset } from "../../src/dataset/dataset.js";
import {
  absorbRecord,
  CHUNK_RECORDS,
  chunkBlinds,
  hashNode,
  hashRoot,
  STARTS,
  treeDepth,
} from "../../src/dataset/layout.js";
import { type DatasetRecord, describeRecord, encodeRecord, schemaDigest } from "../../src/dataset/record.js";
import { toHex } from "../../src/field/bytes.js";
import { bigIntToBytes } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";
import { COLUMNS, mixedRecords, partsOf, SEED, smallRecord, textRecord } from "./records.js";

/** The root as layout.ts writes it down, one hash after another. */
function plainRoot(records: readonly DatasetRecord[], columns = COLUMNS, seed?: Uint8Array): bigint {
  const descriptions = records.map((record) => describeRecord(record, columns));
  let level: bigint[] = [];
  for (let from = 0; from < records.length; from += CHUNK_RECORDS) {
    const own = descriptions.slice(from, from + CHUNK_RECORDS);
    const blinds = chunkBlinds(seed, from / CHUNK_RECORDS, own.length);
    level.push(own.reduce<bigint>((chunk, each, i) => absorbRecord(chunk, each, blinds[i]!), STARTS.chunk));
  }
  const depth = treeDepth(level.length);
  for (let height = 1; height <= depth; height++) {
    const below = level;
    level = Array.from({ length: Math.ceil(below.length / 16) }, (_, i) =>
      hashNode(height, below.slice(16 * i, 16 * (i + 1))),
    );
  }
  const sum = (field: number) => descriptions.reduce((total, each) => total + Number(each[field]), 0);
  const totals = { records: records.length, blocks: sum(2), values: sum(1) };
  return hashRoot({ depth, top: level[0]!, totals, schema: schemaDigest(columns) });
}

const rootOf = async (records: readonly DatasetRecord[]) => (await commitDataset(records)).commitment.root;

/** Everything about a dataset that can be asked for. */
function contentOf(dataset: OpenDataset) {
  const { commitment, chunkRoots, seed } = dataset;
  const { records } = commitment.opening.totals;
  return {
    commitment,
    chunkRoots: [...chunkRoots],
    seed,
    descriptions: dataset.descriptions(0, records),
    records: Array.from({ length: records }, (_, i) => toHex(encodeRecord(dataset.record(i)))),
    contents: Array.from({ length: records }, (_, i) => dataset.content(i)),
  };
}

describe("commitDataset", () => {
  it.each([
    [1, undefined],
    [CHUNK_RECORDS, undefined],
    [CHUNK_RECORDS + 1, SEED],
    [300, SEED],
  ])("of %i records gives the root that the layout says", async (count, seed) => {
    const records = mixedRecords(count);
    const { commitment, chunkRoots } = await commitDataset(records, { columns: COLUMNS, seed });
    expect(commitment.root).toBe(plainRoot(records, COLUMNS, seed));
    expect(commitment).toMatchObject({ columns: COLUMNS, blinded: seed !== undefined });
    expect(commitment.bytes).toBe(records.reduce((sum, { data }) => sum + data.length, 0));
    expect(chunkRoots).toHaveLength(Math.ceil(count / CHUNK_RECORDS));
  });

  it("has roots that stay for ever", async () => {
    const root = async (...records: DatasetRecord[]) => toHex(bigIntToBytes(await rootOf(records), 32));
    expect(await root(textRecord("hello"))).toBe("0x1fa0e19058a86d9b705c541b4c58be7d7d6ca60cba100abce31c377370aa1f12");
    expect(
      await root(
        textRecord("hello", { label: "greeting" }),
        { dtype: "i16", shape: [2, 1], scale: { base: 10, exponent: -2 }, data: Uint8Array.of(1, 0, 255, 255) },
        textRecord("", { name: "nothing" }),
      ),
    ).toBe("0x19ad8243aa1358099e52bee1a5d7fdb560625f66b7b1781df6da41cc7947390d");
    const { commitment } = await commitDataset(mixedRecords(200), { columns: COLUMNS, seed: SEED });
    expect(toHex(bigIntToBytes(commitment.root, 32))).toBe(
      "0x1af1e67f32299c2d0f62107209301acd43c29e735ba31fab23a1b6691ab7fee9",
    );
  });

  it("takes a seed as it is, and gives it back", async () => {
    const records = [textRecord("a")];
    const blinded = await commitDataset(records, { seed: SEED });
    expect(blinded.seed).toEqual(SEED);
    const zeros = await commitDataset(records, { seed: new Uint8Array(32) });
    const roots = [blinded, zeros, await commitDataset(records)].map(({ commitment }) => commitment.root);
    expect(new Set(roots).size).toBe(3);
    // What blinds is the place, not the record.
    const twice = await commitDataset([...mixedRecords(128), ...mixedRecords(128)], { columns: COLUMNS, seed: SEED });
    expect(twice.chunkRoots[0]).not.toBe(twice.chunkRoots[1]);
    const open = await commitDataset([...mixedRecords(128), ...mixedRecords(128)], { columns: COLUMNS });
    expect(open.chunkRoots[0]).toBe(open.chunkRoots[1]);
  });

  it("gives the same for any size of batches, and for records that come one by one", async () => {
    const records = [...mixedRecords(270), ...partsOf(new Uint8Array(2 ** 20 + 5).fill(7), "long").map(withNulls)];
    const whole = contentOf(await commitDataset(records, { columns: COLUMNS, seed: SEED }));
    async function* slowly() {
      for (const record of records) yield record;
    }
    for (const batch of [
      { records: 1 },
      { records: 100, chunks: 1 },
      { bytes: 1000, chunks: 2 },
      { records: 10_000 },
    ]) {
      const dataset = await commitDataset(slowly(), { columns: COLUMNS, seed: SEED, batch });
      expect(contentOf(dataset)).toEqual(whole);
    }
  });

  it("has the SHA-256 of the data, or the one it is told", async () => {
    const { commitment } = await commitDataset([textRecord("ab"), textRecord("c")]);
    expect(commitment.sha256).toBe("0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const sha256 = `0x${"12".repeat(32)}` as const;
    expect((await commitDataset([textRecord("ab")], { sha256 })).commitment.sha256).toBe(sha256);
  });

  it("lets the event loop run, and tells how far it is", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const progress: number[] = [];
    const records = Array.from({ length: 3000 }, (_, i) => textRecord(`record ${i}`));
    const batch = { records: 1000 };
    await commitDataset(records, { batch, onProgress: ({ records: done }) => progress.push(done) });
    clearInterval(timer);
    expect(progress).toEqual([1000, 2000, 3000]);
    expect(ticks).toBeGreaterThan(3);
  });

  it("stops when it is told to", async () => {
    const stop = new AbortController();
    const records = mixedRecords(100);
    const onProgress = () => stop.abort();
    const running = commitDataset(records, {
      columns: COLUMNS,
      signal: stop.signal,
      batch: { records: 10 },
      onProgress,
    });
    await expect(running).rejects.toThrowError(code("ABORTED"));
    await expect(commitDataset(records, { columns: COLUMNS, signal: stop.signal })).rejects.toThrowError(
      code("ABORTED"),
    );
  });

  it.each<[string, unknown[], object, string, RegExp]>([
    ["no records", [], {}, "DATASET_EMPTY", /at least one record/],
    ["what is no record", [textRecord("a"), null], {}, "INPUT_INVALID", /record 1 is not an object/],
    ["a damaged record", [textRecord("a"), textRecord("b", { shape: [2] })], {}, "INPUT_INVALID", /^record 1: shape/],
    [
      "cells that are not the columns'",
      [textRecord("a", { cells: [1n] })],
      {},
      "INPUT_INVALID",
      /^record 0: .*0 columns/,
    ],
    ["a short seed", [textRecord("a")], { seed: new Uint8Array(31) }, "INPUT_INVALID", /32 bytes/],
    ["two columns of one name", [], { columns: [COLUMNS[0], COLUMNS[0]] }, "INPUT_INVALID", /price/],
    ["a SHA-256 that is none", [], { sha256: "0x12" }, "INPUT_INVALID", /sha256/],
    ["batches of nothing", [], { batch: { records: 0 } }, "INPUT_INVALID", /batch/],
  ])("refuses %s", async (_, records, options, wanted, message) => {
    const error = await commitDataset(records as DatasetRecord[], options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "AnchorError", code: wanted, message: expect.stringMatching(message) });
  });

  it("holds the parts of a record together", async () => {
    const [first, second, third] = partsOf(new Uint8Array(2 ** 21 + 1)) as [
      DatasetRecord,
      DatasetRecord,
      DatasetRecord,
    ];
    await expect(commitDataset([first, second, third])).resolves.toBeDefined();
    const other = { ...second, label: "other" };
    for (const wrong of [
      [second, third],
      [first, second],
      [first, third, second],
      [first, second, second, third],
      [first, other, third],
      [first, textRecord("between"), second, third],
    ]) {
      await expect(commitDataset(wrong)).rejects.toThrowError(code("INPUT_INVALID"));
    }
  });

  it("gives records, descriptions and contents by their numbers, and no others", async () => {
    const records = mixedRecords(10);
    const dataset = await commitDataset(records, { columns: COLUMNS });
    expect(dataset.descriptions(3, 2)).toEqual(records.slice(3, 5).map((record) => describeRecord(record, COLUMNS)));
    expect(dataset.descriptions(10, 0)).toEqual([]);
    expect(dataset.record(9)).toBe(records[9]);
    for (const [first, count] of [
      [0, 11],
      [-1, 1],
      [10, 1],
      [0.5, 1],
      [0, -1],
      [Number.NaN, 1],
    ] as const) {
      expect(() => dataset.descriptions(first, count)).toThrowError(code("DATASET_RECORD_UNKNOWN"));
    }
    for (const wrong of [10, -1, 0.5, Number.NaN]) {
      expect(() => dataset.record(wrong)).toThrowError(code("DATASET_RECORD_UNKNOWN"));
      expect(() => dataset.content(wrong)).toThrowError(code("DATASET_RECORD_UNKNOWN"));
    }
  });
});

function withNulls(record: DatasetRecord): DatasetRecord {
  return { ...record, cells: COLUMNS.map(() => null) };
}

describe("roots differ", () => {
  it("for all different lists of records", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(smallRecord, { minLength: 1, maxLength: 4 }),
        fc.array(smallRecord, { minLength: 1, maxLength: 4 }),
        async (a, b) => {
          const key = (records: readonly DatasetRecord[]) => records.map((each) => toHex(encodeRecord(each))).join();
          expect((await rootOf(a)) === (await rootOf(b))).toBe(key(a) === key(b));
        },
      ),
      { numRuns: 150 },
    );
  });

  it("where records are swapped, dropped, repeated, split, joined, relabelled or of another type", async () => {
    const records = [...mixedRecords(130).map(({ cells: _, ...rest }) => rest), textRecord("ab"), textRecord("cd")];
    const end = records.length;
    const [last] = records.slice(-1) as [DatasetRecord];
    const swapped = (i: number, j: number) => records.map((_, k) => records[k === i ? j : k === j ? i : k]!);
    const variants: DatasetRecord[][] = [
      records,
      swapped(0, 1),
      swapped(0, 129), // into another chunk
      swapped(end - 2, end - 1),
      records.slice(1),
      records.slice(0, -1),
      [...records, last],
      [...records.slice(0, -2), textRecord("abcd")],
      [...records.slice(0, -2), textRecord("a"), textRecord("bcd")],
      [...records.slice(0, -2), textRecord("abcd"), textRecord("")],
      [...records.slice(0, -1), { ...last, label: "l" }],
      [...records.slice(0, -1), { ...last, name: "l" }],
      [...records.slice(0, -1), { ...last, dtype: "bytes" }],
      [...records.slice(0, -1), { ...last, dtype: "u8" }],
      [...records.slice(0, -1), { ...last, dtype: "u8", shape: [2, 1] }],
      [...records.slice(0, -1), { ...last, dtype: "u8", shape: [1, 2] }],
      [...records.slice(0, -1), { ...last, dtype: "u8", scale: { base: 2, exponent: 0 } }],
      [...records.slice(0, -1), { ...last, dtype: "i16", shape: [1] }],
    ];
    const roots = await Promise.all(variants.map(rootOf));
    expect(new Set(roots).size).toBe(variants.length);
  });

  it("where columns are called or typed otherwise", async () => {
    const variants = [
      [],
      [{ name: "a", type: "text" }],
      [{ name: "b", type: "text" }],
      [{ name: "a", type: "float" }],
      [{ name: "a", type: "decimal", digits: 0 }],
      [{ name: "a", type: "decimal", digits: 1 }],
    ] as const;
    const roots = await Promise.all(
      variants.map(async (columns) => {
        const records = [textRecord("x", { cells: columns.map(() => null) })];
        return (await commitDataset(records, { columns })).commitment.root;
      }),
    );
    expect(new Set(roots).size).toBe(variants.length);
  });

  it("for each bit of the data", async () => {
    const data = Uint8Array.from({ length: 40 }, (_, i) => i);
    const roots = new Set<bigint>();
    for (let bit = 0; bit < 8 * data.length; bit += 3) {
      const changed = data.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      roots.add(await rootOf([{ dtype: "bytes", shape: [40], data: changed }]));
    }
    expect(roots.size).toBe(Math.ceil((8 * data.length) / 3));
  });
});

describe("the tree", () => {
  it.each([1, 15, 16, 17, 256, 257, 300])("of %i chunks: every path leads to the top", async (chunks) => {
    const chunkRoots = Array.from({ length: chunks }, (_, i) => BigInt(i + 1));
    const depth = treeDepth(chunks);
    const levels = treeLevels(chunkRoots);
    expect(levels).toHaveLength(depth + 1);
    expect(levels[depth]).toHaveLength(1);
    const dataset = { chunkRoots, commitment: { opening: { depth } } } as unknown as OpenDataset;
    for (const index of [0, 1, 15, 16, 17, 255, 256, chunks - 1].filter((each) => each < chunks)) {
      const { group } = chunkPath(dataset, index);
      let [at, value] = [index, chunkRoots[index]!];
      for (const [level, children] of group.entries()) {
        expect(children).toHaveLength(16);
        expect(children[at % 16]).toBe(value);
        value = hashNode(level + 1, children);
        at = Math.floor(at / 16);
      }
      expect(value).toBe(levels[depth]![0]);
    }
    for (const wrong of [-1, chunks, 0.5]) {
      expect(() => chunkPath(dataset, wrong)).toThrowError(code("DATASET_CHUNK_UNKNOWN"));
    }
  });
});

describe("Committer", () => {
  it("goes on where another one stopped", async () => {
    const records = mixedRecords(300);
    const whole = await commitDataset(records, { columns: COLUMNS, seed: SEED });
    const gone: { rows: Uint8Array[]; roots: Uint8Array[] } = { rows: [], roots: [] };
    const sink = {
      records: (_: readonly DatasetRecord[], rows: Uint8Array) => void gone.rows.push(rows),
      roots: (roots: Uint8Array) => void gone.roots.push(roots),
    };
    const options = { columns: COLUMNS, seed: SEED, batch: { records: 50, chunks: 1 } };
    const first = new Committer(options, sink);
    for (const record of records.slice(0, 200)) await first.push(record);
    expect(first.totals.records).toBe(200);
    const rows = Buffer.concat(gone.rows).subarray(448 * 128);
    const state = { totals: first.totals, bytes: first.bytes, chunks: 1, rows: new Uint8Array(rows), last: undefined };
    const second = new Committer(options, sink, state);
    for (const record of records.slice(200)) await second.push(record);
    const { totals, bytes } = await second.finish();
    expect({ totals, bytes }).toEqual({ totals: whole.commitment.opening.totals, bytes: whole.commitment.bytes });
    expect(Buffer.concat(gone.roots)).toHaveLength(3 * 32);
  });
});

describe("without the native core", () => {
  let portable: typeof import("../../src/dataset/commit.js");
  beforeAll(async () => {
    vi.resetModules();
    vi.stubEnv("ANCHORPROOF_NATIVE", "off");
    portable = await import("../../src/dataset/commit.js");
    // Looks the core up, which happens once.
    expect((await import("../../src/field/native.js")).nativeCore()).toBeUndefined();
    vi.unstubAllEnvs();
  });
  afterAll(() => vi.resetModules());

  it("everything is the same", async () => {
    const records = mixedRecords(140);
    const options = { columns: COLUMNS, seed: SEED };
    const native = await commitDataset(records, options);
    expect(contentOf(await portable.commitDataset(records, options))).toEqual(contentOf(native));
  });
});
