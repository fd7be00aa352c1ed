import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesRecord, type DatasetRecord, DTYPES, type Dtype, encodeRecord } from "../../src/dataset/record.js";
import { toHex } from "../../src/field/bytes.js";
import { code } from "../support/errors.js";

const dtypes = Object.keys(DTYPES) as Dtype[];

/** Any record that is allowed, small. */
const record = fc
  .record({
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.nat(3), { maxLength: 8 }),
    scale: fc.integer({ min: -1024, max: 1024 }),
    label: fc.oneof(fc.string({ maxLength: 12, unit: "grapheme" }), fc.constantFrom("", "\0", "\ufeff", "a\0")),
  })
  .filter(({ shape }) => shape.reduce((size, n) => size * n, 1) <= 64)
  .chain(({ dtype, shape, scale, label }) => {
    const length = shape.reduce((size, n) => size * n, DTYPES[dtype].size);
    return fc.uint8Array({ minLength: length, maxLength: length }).map((data): DatasetRecord => {
      return { dtype, shape, scale: /^[ui]/.test(dtype) ? scale : 0, label, data };
    });
  });

function streamOf(records: readonly DatasetRecord[]): Uint8Array {
  return new Uint8Array(Buffer.concat(records.map(encodeRecord)));
}

/** Reads a stream back by the layout in record.ts: that this is possible is what makes the encoding injective. */
function decode(stream: Uint8Array): Required<DatasetRecord>[] {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const records: Required<DatasetRecord>[] = [];
  let offset = 0;
  while (offset < stream.length) {
    expect(stream[offset]).toBe(1);
    const dtype = dtypes.find((name) => DTYPES[name].code === stream[offset + 1])!;
    const rank = stream[offset + 2]!;
    offset += 3;
    const shape: number[] = [];
    for (let i = 0; i < rank; i++, offset += 8) shape.push(Number(view.getBigUint64(offset)));
    const scale = view.getInt32(offset);
    const labelLength = view.getUint16(offset + 4);
    offset += 6;
    const label = Buffer.from(stream.subarray(offset, offset + labelLength)).toString("utf8");
    offset += labelLength;
    const length = Number(view.getBigUint64(offset));
    const data = stream.slice(offset + 8, offset + 8 + length);
    offset += 8 + length;
    while (offset % 31 !== 0) expect(stream[offset++]).toBe(0);
    records.push({ dtype, shape, scale, label, data });
  }
  return records;
}

describe("encodeRecord", () => {
  it("writes the documented bytes", () => {
    const pad = (hex: string, elements: number) => `0x${hex.replaceAll(" ", "").padEnd(62 * elements, "0")}`;
    const tensor = { dtype: "i16", shape: [2, 1], scale: -7, label: "é", data: new Uint8Array([1, 2, 3, 4]) } as const;
    expect(toHex(encodeRecord(tensor))).toBe(
      pad("01 04 02 0000000000000002 0000000000000001 fffffff9 0002 c3a9 0000000000000004 01020304", 2),
    );
    expect(toHex(encodeRecord(bytesRecord(new TextEncoder().encode("hello"), "greeting")))).toBe(
      pad("01 00 01 0000000000000005 00000000 0008 6772656574696e67 0000000000000005 68656c6c6f", 2),
    );
    expect(toHex(encodeRecord({ dtype: "f64", shape: [0], data: new Uint8Array() }))).toBe(
      pad("01 09 01 0000000000000000 00000000 0000 0000000000000000", 1),
    );
    // A scalar has rank 0 and one element.
    expect(toHex(encodeRecord({ dtype: "u8", shape: [], scale: 1024, data: new Uint8Array([9]) }))).toBe(
      pad("01 02 00 00000400 0000 0000000000000001 09", 1),
    );
  });

  it("keeps its codes for ever", () => {
    expect(Object.entries(DTYPES).map(([name, { code, size }]) => [name, code, size])).toEqual([
      ["bytes", 0, 1],
      ["text", 1, 1],
      ["u8", 2, 1],
      ["i8", 3, 1],
      ["i16", 4, 2],
      ["i32", 5, 4],
      ["i64", 6, 8],
      ["f16", 7, 2],
      ["f32", 8, 4],
      ["f64", 9, 8],
    ]);
  });

  it("fills whole elements, and adds none when nothing is missing", () => {
    for (let length = 0; length < 70; length++) {
      const encoded = encodeRecord(bytesRecord(new Uint8Array(length).fill(255)));
      expect(encoded.length).toBe(Math.ceil((25 + length) / 31) * 31);
      expect(encoded.subarray(25 + length).every((byte) => byte === 0)).toBe(true);
    }
  });

  it("takes labels up to 1,024 bytes and shapes up to rank 8", () => {
    expect(encodeRecord(bytesRecord(new Uint8Array(), "é".repeat(512)))).toHaveLength(34 * 31);
    expect(() => encodeRecord(bytesRecord(new Uint8Array(), `${"é".repeat(512)}a`))).toThrowError(
      code("INPUT_INVALID"),
    );
    expect(() => encodeRecord(bytesRecord(new Uint8Array(), "\ufeffname"))).not.toThrow();
    const data = new Uint8Array(1);
    expect(() => encodeRecord({ dtype: "u8", shape: new Array(8).fill(1), data })).not.toThrow();
    expect(() => encodeRecord({ dtype: "u8", shape: new Array(9).fill(1), data })).toThrowError(code("INPUT_INVALID"));
  });

  it.each<[string, object]>([
    ["an unknown dtype", { dtype: "u16" }],
    ["a dtype that every object has", { dtype: "constructor" }],
    ["no dtype", { dtype: undefined }],
    ["less data than the shape says", { shape: [3] }],
    ["more data than the shape says", { shape: [1] }],
    ["bytes counted as elements", { dtype: "i16" }],
    ["a negative dimension", { shape: [-1, -2] }],
    ["a fraction", { shape: [0.5, 4] }],
    ["a dimension that is no number", { shape: ["2"] }],
    ["NaN", { shape: [Number.NaN] }],
    ["infinity times zero", { shape: [Number.POSITIVE_INFINITY, 0], data: new Uint8Array() }],
    ["an integer too large to be exact", { shape: [2 ** 53, 0], data: new Uint8Array() }],
    ["a scaled float", { dtype: "f16", shape: [1], scale: 1 }],
    ["scaled text", { dtype: "text", scale: -1 }],
    ["scaled bytes", { dtype: "bytes", scale: 1 }],
    ["a scale too large", { scale: 1025 }],
    ["a scale too small", { scale: -1025 }],
    ["a fractional scale", { scale: 0.5 }],
    ["a scale that is no number", { scale: Number.NaN }],
    ["a label with half a surrogate pair", { label: "\ud800" }],
    ["a label that is no text", { label: 5 }],
    ["data that is no Uint8Array", { data: new Uint16Array([300, 1]) }],
    ["data in a plain array", { data: [300, 1] }],
    ["no data", { data: undefined }],
  ])("refuses %s", (_, change) => {
    const good = { dtype: "u8", shape: [2], data: new Uint8Array(2) };
    expect(() => encodeRecord(good as DatasetRecord)).not.toThrow();
    expect(() => encodeRecord({ ...good, ...change } as DatasetRecord)).toThrowError(code("INPUT_INVALID"));
  });

  it("is injective over lists of records: the list can be read back from the stream", () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (records) => {
        expect(decode(streamOf(records))).toEqual(records);
      }),
      { numRuns: 300 },
    );
  });

  it("gives every list of up to two out of many near-alike records a stream of its own", () => {
    const variants: DatasetRecord[] = [];
    for (const dtype of ["bytes", "text", "u8", "i16", "f16"] as const) {
      for (const shape of [[], [0], [1], [2], [1, 1], [1, 2], [2, 1], [4], [0, 0], [31]]) {
        const length = shape.reduce((size, n) => size * n, DTYPES[dtype].size);
        for (const label of ["", "\0", "\0\0", "a"]) {
          for (const fill of [0, 1]) {
            if (length > 0 || fill === 0)
              variants.push({ dtype, shape, label, data: new Uint8Array(length).fill(fill) });
          }
        }
      }
    }
    variants.push(...variants.filter(({ dtype }) => /^[ui]/.test(dtype)).map((each) => ({ ...each, scale: 1 })));
    const encoded = variants.map((each) => Buffer.from(encodeRecord(each)).toString("latin1"));
    const streams = new Set(["", ...encoded, ...encoded.flatMap((first) => encoded.map((second) => first + second))]);
    expect(variants.length).toBeGreaterThan(400);
    expect(streams.size).toBe(1 + encoded.length + encoded.length ** 2);
  });
});
