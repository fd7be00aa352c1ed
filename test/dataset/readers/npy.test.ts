import { describe, expect, it } from "vitest";
import { PART_BYTES } from "../../../src/dataset/layout.js";
import { outcome, readAll, recordsOf, refuses, survives, write } from "./support.js";

interface Header {
  descr?: string;
  fortran?: string;
  shape?: string;
  version?: number;
}

function npy(
  data: Uint8Array,
  { descr = "<f4", fortran = "False", shape = "(2, 3)", version = 1 }: Header = {},
): Buffer {
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
  const header = Buffer.from(`${text}${" ".repeat(63 - ((text.length + 12) % 64))}\n`);
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUIntLE(header.length, 0, length.length);
  return Buffer.concat([Buffer.from(`\x93NUMPY${String.fromCharCode(version, 0)}`, "latin1"), length, header, data]);
}

const BOOLS: Header = { descr: "|b1", shape: "(2,)" };
const bytes = (...values: number[]) => Uint8Array.from(values);
const six = new Uint8Array(new Float32Array([1, 2, 3, 4, 5, 6]).buffer);

describe(".npy", () => {
  it("is a record a row", async () => {
    const { all } = await readAll(await write("a.npy", npy(six)));
    const start = npy(bytes()).length;
    expect(all).toEqual(
      [0, 1].map((row) => ({
        record: { dtype: "f32", shape: [3], name: "", label: "", cells: [], data: six.slice(12 * row, 12 * row + 12) },
        source: { path: expect.stringMatching(/a\.npy$/), offset: start + 12 * row },
      })),
    );
  });

  it("is one record when asked, or without dimensions", async () => {
    expect(await recordsOf("a.npy", npy(six), { whole: true })).toMatchObject([{ shape: [2, 3], data: six }]);
    for (const whole of [true, false]) {
      const [record, ...more] = await recordsOf("b.npy", npy(six.subarray(0, 4), { shape: "()" }), { whole });
      expect([record, more]).toMatchObject([{ shape: [], data: six.slice(0, 4) }, []]);
    }
    expect(await recordsOf("c.npy", npy(six, { shape: "(6,)", fortran: "True" }))).toHaveLength(6);
    expect(await recordsOf("d.npy", npy(bytes(), { shape: "(0, 7)" }))).toEqual([]);
    expect(await recordsOf("d.npy", npy(bytes(), { shape: "(0, 7)" }), { whole: true })).toMatchObject([
      { shape: [0, 7] },
    ]);
  });

  it.each<[string, string, number]>([
    ["b1", "bool", 1],
    ["i1", "i8", 1],
    ["u1", "u8", 1],
    ["i2", "i16", 2],
    ["u2", "u16", 2],
    ["f2", "f16", 2],
    ["i4", "i32", 4],
    ["u4", "u32", 4],
    ["f4", "f32", 4],
    ["i8", "i64", 8],
    ["u8", "u64", 8],
    ["f8", "f64", 8],
  ])("of %s is %s, in either byte order", async (kind, dtype, size) => {
    const data = Uint8Array.from({ length: 2 * size }, (_, i) => (kind === "b1" ? i % 2 : i + 1));
    const swapped = Buffer.concat([data.slice(0, size).reverse(), data.slice(size).reverse()]);
    for (const version of [1, 2, 3]) {
      for (const [order, content] of [["<", data], [">", swapped], ...(size === 1 ? [["|", data]] : [])] as const) {
        const file = npy(content as Uint8Array, { descr: `${order}${kind}`, shape: "(1, 2)", version });
        expect(await recordsOf("t.npy", file)).toEqual([{ dtype, shape: [2], name: "", label: "", cells: [], data }]);
      }
    }
  });

  it("splits long rows at whole numbers", async () => {
    const long = new Uint8Array(2 * (PART_BYTES + 16)).map((_, i) => (i * 7) >> 3);
    const shape = `(2, ${(PART_BYTES + 16) / 8})`;
    const records = await recordsOf("l.npy", npy(long, { descr: "<f8", shape }));
    expect(records.map(({ part, parts, data }) => [part, parts, data.length])).toEqual([
      [0, 2, PART_BYTES],
      [1, 2, 16],
      [0, 2, PART_BYTES],
      [1, 2, 16],
    ]);
    expect(Buffer.concat(records.map(({ data }) => data)).equals(long)).toBe(true);
  });

  it("reads many small rows in order", async () => {
    const many = new Uint8Array(600_000).map((_, i) => i % 251);
    const records = await recordsOf("m.npy", npy(many, { descr: "|u1", shape: "(20000, 30)" }));
    expect(records).toHaveLength(20_000);
    expect(Buffer.concat(records.map(({ data }) => data)).equals(many)).toBe(true);
  });

  it.each<[string, Buffer, string, RegExp]>([
    ["nothing", Buffer.alloc(0), "DATASET_MALFORMED", /ends after 0 bytes, in the .npy header/],
    ["another file", Buffer.from("hello world, hello world"), "DATASET_MALFORMED", /is not an .npy file/],
    ["version 4", npy(six, { version: 4 }), "DATASET_MALFORMED", /version 4.0; 1 to 3 are read/],
    [
      "data that ends early",
      npy(six.subarray(1)),
      "DATASET_MALFORMED",
      /has 23 bytes of data after the header; .* needs 24/,
    ],
    ["data that goes on", npy(Buffer.concat([six, six])), "DATASET_MALFORMED", /has 48 bytes of data/],
    [
      "a shape of more than there is",
      npy(six, { shape: "(1000000000000, 3)" }),
      "DATASET_MALFORMED",
      /needs 12000000000000/,
    ],
    [
      "a shape beyond counting",
      npy(six, { shape: "(99999999, 99999999999)" }),
      "DATASET_MALFORMED",
      /cannot have the shape/,
    ],
    ["rows of nothing", npy(bytes(), { shape: "(1000000000000, 0)" }), "DATASET_MALFORMED", /rows without a value/],
    ["objects", npy(six, { descr: "|O" }), "FORMAT_UNSUPPORTED", /values of type "\|O"/],
    ["complex numbers", npy(six, { descr: "<c8" }), "FORMAT_UNSUPPORTED", /type "<c8"/],
    ["strings", npy(six, { descr: "<U3" }), "FORMAT_UNSUPPORTED", /type "<U3"/],
    ["long numbers without an order", npy(six, { descr: "|f4" }), "FORMAT_UNSUPPORTED", /type "\|f4"/],
    ["Fortran order", npy(six, { fortran: "True" }), "FORMAT_UNSUPPORTED", /Fortran order/],
    ["nine dimensions", npy(six, { shape: "(1,1,1,1,1,1,1,2,3)" }), "FORMAT_UNSUPPORTED", /9 dimensions/],
    ["a header of another kind", npy(six, { shape: "[2, 3]" }), "DATASET_MALFORMED", /not one of a plain array/],
    [
      "a truth value of 2",
      npy(bytes(1, 2), BOOLS),
      "DATASET_MALFORMED",
      new RegExp(`has 2 for a truth value, at byte ${npy(bytes(), BOOLS).length + 1}$`),
    ],
  ])("refuses %s", async (_, content, code, says) => {
    await refuses("r.npy", content, code, says);
  });

  it("refuses a header that is too long", async () => {
    const content = npy(six);
    content.writeUInt16LE(10_001, 8);
    await refuses("h.npy", content, "INPUT_TOO_LARGE", /header of 10001 bytes/);
  });

  it("survives any damage", async () => {
    const seen = await survives("s.npy", npy(bytes(0, 1), BOOLS));
    expect(seen).toEqual(new Set(["read", "DATASET_MALFORMED", "FORMAT_UNSUPPORTED", "INPUT_TOO_LARGE"]));
    expect(await outcome("s.npy", npy(bytes(0, 1), BOOLS))).toBe("read");
  });
});
