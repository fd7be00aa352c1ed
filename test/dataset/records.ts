/** Records of all kinds for tests of the commitment. */
import fc from "fast-check";
import type { DatasetReader, FileDigest } from "../../src/dataset/readers/index.js";
import { sha256OfList } from "../../src/dataset/readers/index.js";
import { type Column, type DatasetRecord, DTYPES, type Dtype } from "../../src/dataset/record.js";
import { utf8 } from "../../src/field/bytes.js";

export const SEED = Uint8Array.from({ length: 32 }, (_, i) => i);

export const COLUMNS: readonly Column[] = [
  { name: "price", type: "decimal", digits: 2 },
  { name: "score", type: "float" },
  { name: "note", type: "text" },
  { name: "d", type: "decimal", digits: 0 },
  { name: "e", type: "text" },
  { name: "f", type: "text" },
  { name: "g", type: "float" },
];

/** Records with every type, shapes of all ranks, texts that come again, and cells behind the fifth. */
export function mixedRecords(count: number): DatasetRecord[] {
  const dtypes = Object.keys(DTYPES) as Dtype[];
  return Array.from({ length: count }, (_, i): DatasetRecord => {
    const dtype = dtypes[i % dtypes.length]!;
    const { size } = DTYPES[dtype];
    const values = (7 * i) % 50;
    const plain = dtype === "bytes" || dtype === "text";
    const shape = plain || i % 3 === 0 ? [values] : i % 3 === 1 ? [values, 1] : [1, 1, values, 1, 1];
    const data = Uint8Array.from({ length: values * size }, (_, at) => {
      const byte = (i * 31 + at * 7) & 255;
      return dtype === "bool" ? byte & 1 : dtype === "text" ? byte & 127 : byte;
    });
    const cells = [
      i % 4 === 0 ? null : BigInt(i) - 50n,
      i - 0.5,
      `note ${i % 5}`,
      BigInt(i),
      i % 2 === 0 ? null : "",
      i % 3 === 0 ? null : `behind ${i % 2}`,
      -i,
    ];
    return { dtype, shape, name: i % 2 === 0 ? `record ${i}` : "", label: i % 3 === 0 ? "spam" : "ham", cells, data };
  });
}

export function textRecord(text: string, more: Partial<DatasetRecord> = {}): DatasetRecord {
  const data = utf8(text);
  return { dtype: "text", shape: [data.length], data, ...more };
}

/** A record of small bytes in several parts. */
export function partsOf(bytes: Uint8Array, name = ""): DatasetRecord[] {
  const parts = Math.ceil(bytes.length / 2 ** 20);
  return Array.from({ length: parts }, (_, part) => {
    const data = bytes.subarray(part * 2 ** 20, (part + 1) * 2 ** 20);
    return { dtype: "bytes", shape: [bytes.length], name, part, parts, data };
  });
}

/** Small records without cells, few enough kinds that near misses are common. */
export const smallRecord: fc.Arbitrary<DatasetRecord> = fc
  .record({
    dtype: fc.constantFrom<Dtype>("bytes", "text", "u8", "i8"),
    data: fc.array(fc.constantFrom(0, 1, 65), { maxLength: 4 }).map((bytes) => Uint8Array.from(bytes)),
    name: fc.constantFrom("", "a"),
    label: fc.constantFrom("", "a"),
  })
  .map((record) => ({ ...record, shape: [record.data.length] }));

/** Records as a reader gives them. */
export function readerOf(
  records: readonly DatasetRecord[],
  { columns = [], path = "file", group = 7 }: { columns?: readonly Column[]; path?: string; group?: number } = {},
): DatasetReader {
  const bytes = records.reduce((sum, { data }) => sum + data.length, 0);
  const digests: FileDigest[] = [{ path, bytes, sha256: `0x${"5a".repeat(32)}` }];
  async function* batches() {
    for (let at = 0; at < records.length; at += group) {
      yield records.slice(at, at + group).map((record) => ({ record, source: { path } }));
    }
  }
  async function* single() {
    for await (const batch of batches()) yield* batch;
  }
  return {
    columns,
    bytes,
    files: [{ path, bytes, format: "bytes" }],
    records: { [Symbol.asyncIterator]: single },
    batches: { [Symbol.asyncIterator]: batches },
    digests: () => digests,
    sha256: () => sha256OfList(digests),
  };
}
