import { createHash, createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { datasetChunkCircuit } from "../../src/dataset/circuit.js";
import {
  CHUNK_BYTES,
  CHUNK_ELEMENTS,
  type CommitOptions,
  type CommittedDataset,
  chunkCount,
  chunkWitness,
  commitDataset,
  commitStream,
  reopenDataset,
  TAGS,
  treeDepth,
} from "../../src/dataset/commitment.js";
import { bytesRecord, type DatasetRecord, encodeRecord } from "../../src/dataset/record.js";
import { poseidon16 } from "../../src/field/poseidon.js";
import { R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

const text = (value: string) => new TextEncoder().encode(value);
const bytes = (length: number, salt = 0) => Uint8Array.from({ length }, (_, i) => (i * 131 + (i >> 8) + salt) & 255);
const SEED = Uint8Array.from({ length: 32 }, (_, i) => i);

const RECORDS: DatasetRecord[] = [
  { dtype: "i16", shape: [2, 1], scale: -7, label: "é", data: new Uint8Array([1, 2, 3, 4]) },
  bytesRecord(text("hello"), "greeting"),
  { dtype: "f64", shape: [0], data: new Uint8Array() },
];

/** The root by the layout that commitment.ts documents, written for reading. */
function reference(stream: Uint8Array, records: number, seed?: Uint8Array) {
  const elements: bigint[] = [];
  for (let at = 0; at < stream.length; at += 31) {
    elements.push(BigInt(`0x${Buffer.from(stream.subarray(at, at + 31)).toString("hex")}`));
  }
  const length = elements.length;
  const chunks = Math.ceil(length / 240);
  const tag = (name: string, number = 0) => BigInt(`0x${Buffer.from(name).toString("hex")}`) + (BigInt(number) << 64n);
  const blind = (leaf: number) => {
    if (!seed) return 0n;
    const index = Buffer.alloc(8);
    index.writeBigUInt64BE(BigInt(leaf));
    const hash = createHmac("sha512", seed).update("anchorproof/leaf-blind/1").update(index).digest("hex");
    return BigInt(`0x${hash}`) % R;
  };
  const chunkRoots = Array.from({ length: chunks }, (_, chunk) => {
    const own = elements.slice(240 * chunk, 240 * chunk + 240);
    const leaves = Array.from({ length: 16 }, (_, leaf) => {
      const filled = Array.from({ length: 15 }, (_, i) => own[15 * leaf + i] ?? 0n);
      return poseidon16(tag("ap_leaf"), [...filled, blind(16 * chunk + leaf)]);
    });
    return poseidon16(tag("ap_chunk", own.length), leaves);
  });
  let level = chunkRoots;
  let depth = 0;
  do {
    depth++;
    const above: bigint[] = [];
    for (let at = 0; at < level.length; at += 16) {
      above.push(
        poseidon16(
          tag("ap_node", depth),
          Array.from({ length: 16 }, (_, i) => level[at + i] ?? 0n),
        ),
      );
    }
    level = above;
  } while (level.length > 1);
  const header = [records, length, chunks, stream.length].map(BigInt);
  const root = poseidon16(tag("ap_root", depth), [level[0]!, ...header, ...new Array<bigint>(11).fill(0n)]);
  return { root, depth, chunkRoots };
}

describe("commitDataset", () => {
  it("gives the golden roots", async () => {
    const { commitment } = await commitDataset(RECORDS);
    expect(commitment).toEqual({
      root: 21691386805206603511033033798530616584118581171645857229674288816980510052995n,
      depth: 1,
      totals: { records: 3, elements: 5, chunks: 1, bytes: 155 },
      sha256: "0xbd562c63f142e71313ffd585376f9181c4efe46f5c8ffa27bedcbac4e6a1188d",
      blinded: false,
    });
    const blinded = await commitDataset(RECORDS, { seed: SEED });
    expect(blinded.commitment).toEqual({
      ...commitment,
      root: 14850094738770952977993410719116755730533786177348712017449112633025410754878n,
      blinded: true,
    });
  });

  it("has the tags that the circuit has", () => {
    expect(TAGS).toEqual({
      leaf: 0x61705f6c656166n,
      chunk: 0x61705f6368756e6bn,
      node: 0x61705f6e6f6465n,
      root: 0x61705f726f6f74n,
    });
  });

  it.each([
    ["one element", 31, undefined],
    ["a chunk but one element", CHUNK_BYTES - 31, SEED],
    ["exactly a chunk", CHUNK_BYTES, SEED],
    ["a chunk and one element", CHUNK_BYTES + 31, undefined],
    ["exactly sixteen chunks", 16 * CHUNK_BYTES, undefined],
    ["sixteen chunks and one element, a level more", 16 * CHUNK_BYTES + 31, SEED],
  ])("equals the documented hash for %s", async (_, length, seed) => {
    const stream = bytes(length);
    const { commitment, chunkRoots } = await commitStream(stream, 2, { seed });
    expect({ root: commitment.root, depth: commitment.depth, chunkRoots }).toEqual(reference(stream, 2, seed));
    expect(commitment.totals).toEqual({
      records: 2,
      elements: length / 31,
      chunks: Math.ceil(length / CHUNK_BYTES),
      bytes: length,
    });
    expect(commitment.sha256).toBe(`0x${createHash("sha256").update(stream).digest("hex")}`);
  });

  it("commits to the concatenation of the encoded records", async () => {
    const dataset = await commitDataset(RECORDS);
    expect(dataset.stream).toEqual(new Uint8Array(Buffer.concat(RECORDS.map(encodeRecord))));
    expect(await commitStream(dataset.stream, 3)).toEqual(dataset);
    function* generator() {
      yield* RECORDS;
    }
    expect((await commitDataset(generator())).commitment).toEqual(dataset.commitment);
  });

  it("gives other data another root: values, order, splits, labels, types, shapes, scales, empty records", async () => {
    const u8 = (data: number[], more: Partial<DatasetRecord> = {}): DatasetRecord => ({
      dtype: "u8",
      shape: [data.length],
      data: new Uint8Array(data),
      ...more,
    });
    const lists: DatasetRecord[][] = [
      [u8([1, 2])],
      [u8([2, 1])],
      [u8([1, 2, 0])],
      [u8([1]), u8([2])],
      [u8([2]), u8([1])],
      [u8([1, 2]), u8([])],
      [u8([]), u8([1, 2])],
      [u8([1, 2]), u8([1, 2])],
      [u8([1, 2], { shape: [2, 1] })],
      [u8([1, 2], { shape: [1, 2] })],
      [u8([1, 2], { label: "a" })],
      [u8([1, 2], { label: "\0" })],
      [u8([1, 2], { scale: 1 })],
      [u8([1, 2], { scale: -1 })],
      [u8([1, 2], { dtype: "i8" })],
      [u8([1, 2], { dtype: "bytes" })],
      [u8([1, 2], { dtype: "text" })],
      [u8([1, 2], { dtype: "i16", shape: [1] })],
      [u8([1, 2], { dtype: "f16", shape: [1] })],
      [u8([])],
      [u8([]), u8([])],
    ];
    const roots = await Promise.all(lists.map(async (list) => (await commitDataset(list)).commitment.root));
    expect(new Set(roots).size).toBe(lists.length);
  });

  it("commits to the number of records, and to zeros at the end, which no element shows", async () => {
    const roots = new Set<bigint>();
    for (const [length, records] of [
      [31, 1],
      [31, 2],
      [62, 1],
      [CHUNK_BYTES - 31, 1],
      [CHUNK_BYTES, 1],
      [CHUNK_BYTES + 31, 1],
      [2 * CHUNK_BYTES, 1],
    ] as const) {
      roots.add((await commitStream(new Uint8Array(length), records)).commitment.root);
    }
    expect(roots.size).toBe(7);
  });

  it("refuses nothing, truncation, and what is no number of records", async () => {
    await expect(commitDataset([])).rejects.toThrowError(code("DATASET_EMPTY"));
    await expect(commitStream(new Uint8Array(), 1)).rejects.toThrowError(code("DATASET_EMPTY"));
    await expect(commitStream(new Uint8Array(31), 0)).rejects.toThrowError(code("DATASET_EMPTY"));
    await expect(commitStream(new Uint8Array(30), 1)).rejects.toThrowError(code("DATASET_MISMATCH"));
    for (const records of [Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 53, "1" as unknown as number]) {
      await expect(commitStream(new Uint8Array(31), records)).rejects.toThrowError(code("INPUT_INVALID"));
    }
    await expect(commitDataset([{ ...RECORDS[0]!, shape: [9] }])).rejects.toThrowError(code("INPUT_INVALID"));
  });

  it("stops on request, before and between chunks, and reports each chunk", async () => {
    const stream = bytes(17 * CHUNK_BYTES);
    await expect(commitStream(stream, 1, { signal: AbortSignal.abort() })).rejects.toThrowError(code("ABORTED"));
    const stop = new AbortController();
    const seen: [number, number][] = [];
    const onProgress = (done: number, chunks: number) => {
      seen.push([done, chunks]);
      if (done === 2) stop.abort();
    };
    await expect(commitStream(stream, 1, { signal: stop.signal, onProgress })).rejects.toThrowError(code("ABORTED"));
    expect(seen.length).toBeLessThan(17);
    seen.length = 0;
    await commitStream(bytes(2 * CHUNK_BYTES), 1, { onProgress: (done, chunks) => seen.push([done, chunks]) });
    expect(seen).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });
});

describe("blinding", () => {
  const commit = (options?: CommitOptions) => commitStream(new Uint8Array(2 * CHUNK_BYTES), 1, options);

  it("hides that chunks are alike, and ties every root to the seed", async () => {
    const plain = await commit();
    expect(plain.chunkRoots[0]).toBe(plain.chunkRoots[1]);
    const other = SEED.slice();
    other[31]! ^= 1;
    const datasets = [plain, await commit({ seed: SEED }), await commit({ seed: other })];
    expect(new Set(datasets.map(({ commitment }) => commitment.root)).size).toBe(3);
    expect(new Set(datasets.flatMap(({ chunkRoots }) => chunkRoots)).size).toBe(5);
    expect(await commit({ seed: SEED })).toEqual(datasets[1]);
    expect(datasets.map(({ commitment }) => commitment.blinded)).toEqual([false, true, true]);
    // The published hash of the stream does not depend on the seed: for guessable data it gives the data away.
    expect(new Set(datasets.map(({ commitment }) => commitment.sha256)).size).toBe(1);
  });

  it("gives each leaf a value of its own", async () => {
    const dataset = await commit({ seed: SEED });
    const blinds = [0, 1].flatMap((index) => chunkWitness(dataset, index).blind);
    expect(new Set(blinds).size).toBe(32);
    expect(blinds.every((value) => value > 0n && value < R)).toBe(true);
    expect(chunkWitness(await commit(), 0).blind).toEqual(new Array(16).fill(0n));
  });

  it("takes 32 bytes and nothing else", async () => {
    for (const seed of [new Uint8Array(), new Uint8Array(31), new Uint8Array(33), "x".repeat(32), null]) {
      await expect(commit({ seed: seed as Uint8Array })).rejects.toThrowError(code("INPUT_INVALID"));
    }
  });
});

describe("reopenDataset", () => {
  it("gives the same dataset for the same data and seed", async () => {
    for (const seed of [undefined, SEED]) {
      const dataset = await commitDataset(RECORDS, { seed });
      expect(await reopenDataset(dataset.commitment, dataset.stream, { seed })).toEqual(dataset);
    }
  });

  it("refuses data, seeds and claims that are others", async () => {
    const { commitment, stream } = await commitDataset(RECORDS, { seed: SEED });
    const mismatch = async (
      change: Partial<CommittedDataset["commitment"]>,
      data = stream,
      seed: Uint8Array | undefined = SEED,
    ) =>
      expect(reopenDataset({ ...commitment, ...change }, data, { seed })).rejects.toThrowError(
        code("DATASET_MISMATCH"),
      );
    for (const at of [0, 40, stream.length - 1]) {
      await mismatch(
        {},
        stream.map((byte, i) => (i === at ? byte ^ 1 : byte)),
      );
    }
    await mismatch({}, stream.subarray(0, stream.length - 31));
    await mismatch({}, stream.subarray(0, stream.length - 1));
    await mismatch({}, new Uint8Array([...stream, ...new Uint8Array(31)]));
    await mismatch({}, stream, new Uint8Array(32));
    await expect(reopenDataset(commitment, stream)).rejects.toThrowError(code("DATASET_MISMATCH"));
    await mismatch({ root: commitment.root + 1n });
    await mismatch({ depth: 2 });
    for (const name of ["records", "elements", "chunks", "bytes"] as const) {
      await mismatch({ totals: { ...commitment.totals, [name]: commitment.totals[name] + 1 } });
    }
  });
});

describe("chunkWitness", () => {
  it("is refused outside the dataset", async () => {
    const dataset = await commitStream(bytes(CHUNK_BYTES + 31), 1);
    expect(chunkWitness(dataset, 1).index).toBe(1n);
    for (const index of [-1, 2, 16, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "0" as unknown as number]) {
      expect(() => chunkWitness(dataset, index)).toThrowError(code("DATASET_CHUNK_UNKNOWN"));
    }
  });

  it("pads elements, and gives each level's whole group with the path's node in its place", async () => {
    const dataset = await commitStream(bytes(16 * CHUNK_BYTES + 62), 5, { seed: SEED });
    const last = chunkWitness(dataset, 16);
    expect(last.count).toBe(2n);
    expect(last.element).toHaveLength(CHUNK_ELEMENTS);
    expect(last.element.slice(2).every((value) => value === 0n)).toBe(true);
    expect(last.header).toEqual([5n, 3842n, 17n, BigInt(dataset.stream.length)]);
    expect(last.group).toHaveLength(2);
    expect(last.group[0]).toEqual([dataset.chunkRoots[16], ...new Array(15).fill(0n)]);
    const first = chunkWitness(dataset, 0);
    expect(first.group[0]).toEqual(dataset.chunkRoots.slice(0, 16));
    const nodes = [first, last].map(({ group }) => poseidon16(TAGS.node + (1n << 64n), group[0]!));
    expect(last.group[1]).toEqual([...nodes, ...new Array(14).fill(0n)]);
    expect(first.group[1]).toEqual(last.group[1]);
  });
});

describe("sizes", () => {
  it("count elements of a chunk and levels of a tree", () => {
    const totals = { records: 1, elements: 250, chunks: 2, bytes: 7750 };
    expect([chunkCount(totals, 0), chunkCount(totals, 1)]).toEqual([240, 10]);
    expect([1, 2, 16, 17, 256, 257, 4096, 4097].map(treeDepth)).toEqual([1, 1, 1, 2, 2, 3, 3, 4]);
  });

  it("have a circuit for depths 1 to 6", () => {
    expect(datasetChunkCircuit(6).source).toContain("DatasetChunk(6)");
    for (const depth of [0, 7, 1.5, Number.NaN, -1, "1" as unknown as number]) {
      expect(() => datasetChunkCircuit(depth)).toThrowError(code("INPUT_INVALID"));
    }
  });
});
