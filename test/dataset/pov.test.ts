import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import {
  bytesRecord,
  commitDataset,
  type DatasetRecord,
  datasetPov,
  hashRoot,
  type OpenDataset,
  PART_BYTES,
} from "../../src/dataset/index.js";
import { utf8 } from "../../src/field/bytes.js";
import { decodePov, encodePov } from "../../src/protocol/pov.js";
import { code } from "../support/errors.js";
import { party } from "../support/parties.js";

const ABOUT = { creator: party("creator").account, dataTag: "user info", timestamp: 1_800_000_000n };

const text = (words: string, name?: string): DatasetRecord => {
  const data = utf8(words);
  return { dtype: "text", shape: [data.length], name, data };
};
const sound = (samples: number): DatasetRecord[] => {
  const data = Uint8Array.from({ length: 2 * samples }, (_, i) => i % 251);
  const parts = Math.ceil(data.length / PART_BYTES);
  const shape = [samples / 2, 2];
  return Array.from({ length: parts }, (_, part) => ({
    ...({ dtype: "i16", shape, name: "sound.wav", part, parts } as const),
    data: data.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
  }));
};
const sha256 = (...data: Uint8Array[]) => `0x${createHash("sha256").update(Buffer.concat(data)).digest("hex")}`;

describe("the submission of a dataset", () => {
  const wave = sound(600_000);
  let dataset: OpenDataset;

  beforeAll(async () => {
    dataset = await commitDataset([text("What is this?", "question"), ...wave, text("A sound.")], {
      seed: new Uint8Array(32),
    });
  });

  it("says what the root is the hash of, and is a valid message", async () => {
    const pov = await datasetPov(dataset, ABOUT);
    expect(decodePov(encodePov(pov))).toEqual(pov);
    expect(pov).toMatchObject({
      ...ABOUT,
      dataType: "mixed",
      records: 4n,
      dataSize: 1_200_021n,
      values: 600_021n,
      parts: [],
    });
    const totals = { records: Number(pov.records), blocks: Number(pov.blocks), values: Number(pov.values) };
    const opening = { depth: Number(pov.depth), top: BigInt(pov.top), totals, schema: BigInt(pov.schema) };
    expect(hashRoot(opening)).toBe(BigInt(pov.dataRoot));
    expect(BigInt(pov.dataRoot)).toBe(dataset.commitment.root);
    expect(pov.dataHash).toBe(dataset.commitment.sha256);
    expect(BigInt((await datasetPov(dataset, { ...ABOUT, dataHash: false })).dataHash)).toBe(0n);
  });

  it("names records: without their data, with a digest, or published", async () => {
    const parts = [{ record: 1, role: "voice", digest: true }, { record: 3 }, { record: 0, publish: true }];
    const pov = await datasetPov(dataset, { ...ABOUT, parts });
    const none = { digest: `0x${"00".repeat(32)}`, data: "0x" };
    const question = utf8("What is this?");
    expect(pov.parts).toEqual([
      {
        ...{ role: "prompt", name: "question", dtype: "text", shape: [13n], size: 13n, record: 0n },
        ...{ digest: sha256(question), data: `0x${Buffer.from(question).toString("hex")}` },
      },
      {
        ...{ role: "voice", name: "sound.wav", dtype: "i16", shape: [300_000n, 2n], size: 1_200_000n, record: 1n },
        ...{ digest: sha256(...wave.map(({ data }) => data)), data: "0x" },
      },
      { role: "text", name: "", dtype: "text", shape: [8n], size: 8n, record: 3n, ...none },
    ]);
  });

  it("refers to sets of proofs, in one order", async () => {
    const proofs = [2, 1].map((n) => ({ kind: "content", digest: `0x${`0${n}`.repeat(32)}` as const }));
    expect((await datasetPov(dataset, { ...ABOUT, proofs })).proofs).toEqual([proofs[1], proofs[0]]);
    await expect(datasetPov(dataset, { ...ABOUT, proofs: [proofs[0]!, proofs[0]!] })).rejects.toThrow(
      code("POV_INVALID"),
    );
  });

  it.each([
    ["a record in the middle of another", { record: 2 }, "INPUT_INVALID"],
    ["a record that there is not", { record: 4 }, "DATASET_RECORD_UNKNOWN"],
    ["more data than is published", { record: 1, publish: true }, "POV_INVALID"],
    ["a role of another type", { record: 0, role: "voice" }, "POV_INVALID"],
    ["a role that there is not", { record: 0, role: "smell" }, "POV_INVALID"],
  ])("refuses %s", async (_, part, expected) => {
    await expect(datasetPov(dataset, { ...ABOUT, parts: [part] })).rejects.toThrow(code(expected));
  });

  it("refuses a record twice, another tag, and an account that is none", async () => {
    await expect(datasetPov(dataset, { ...ABOUT, parts: [{ record: 0 }, { record: 0 }] })).rejects.toThrow(
      code("POV_INVALID"),
    );
    await expect(datasetPov(dataset, { ...ABOUT, dataTag: "x" })).rejects.toThrow(code("POV_INVALID"));
    await expect(datasetPov(dataset, { ...ABOUT, creator: "0x12" })).rejects.toThrow(code("POV_INVALID"));
  });

  it("stops on request", async () => {
    await expect(datasetPov(dataset, { ...ABOUT, signal: AbortSignal.abort() })).rejects.toThrow(code("ABORTED"));
  });

  it("has the type that all records have", async () => {
    const of = async (records: DatasetRecord[], columns = {}) =>
      (await datasetPov(await commitDataset(records, columns), ABOUT)).dataType;
    expect(await of([bytesRecord(utf8("a")), bytesRecord(utf8("b"))])).toBe("bytes");
    expect(await of([{ dtype: "f32", shape: [1], data: new Uint8Array(4) }])).toBe("f32");
    expect(await of([bytesRecord(utf8("a")), text("b")])).toBe("mixed");
    const columns = [{ name: "price", type: "decimal", digits: 2 }] as const;
    expect(await of([{ ...text("1.00"), cells: [100n] }], { columns })).toBe("table");
  });
});
