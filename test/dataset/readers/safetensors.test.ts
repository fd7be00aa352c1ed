import { describe, expect, it } from "vitest";
import { PART_BYTES } from "../../../src/dataset/layout.js";
import { readAll, recordsOf, refuses, survives, write } from "./support.js";

const file = (header: object | string, data: Uint8Array): Buffer => {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
};
const tensor = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const data = Uint8Array.from({ length: 12 }, (_, i) => i);

describe(".safetensors", () => {
  it("is a record a tensor, in the order of their bytes", async () => {
    const header = {
      __metadata__: { format: "pt" },
      "z.weight": tensor("F32", [1, 2], 4, 12),
      "b é": tensor("BF16", [2], 0, 4),
      none: tensor("I64", [0, 3], 4, 4),
      also: tensor("U8", [0], 4, 4),
    };
    const content = file(header, data);
    const { all } = await readAll(await write("a.safetensors", content));
    const start = content.length - 12;
    expect(all.map(({ record, source }) => [record, source.offset])).toEqual([
      [{ dtype: "bf16", shape: [2], name: "b é", label: "", cells: [], data: data.slice(0, 4) }, start],
      [{ dtype: "u8", shape: [0], name: "also", label: "", cells: [], data: new Uint8Array() }, start + 4],
      [{ dtype: "i64", shape: [0, 3], name: "none", label: "", cells: [], data: new Uint8Array() }, start + 4],
      [{ dtype: "f32", shape: [1, 2], name: "z.weight", label: "", cells: [], data: data.slice(4) }, start + 4],
    ]);
    expect(await recordsOf("b.safetensors", file("{}   ", new Uint8Array()))).toEqual([]);
  });

  it.each(
    Object.entries({
      BOOL: "bool",
      U8: "u8",
      I8: "i8",
      U16: "u16",
      I16: "i16",
      U32: "u32",
      I32: "i32",
      U64: "u64",
      I64: "i64",
      F16: "f16",
      BF16: "bf16",
      F32: "f32",
      F64: "f64",
    }),
  )("has %s for %s", async (type, dtype) => {
    const size = Number(/\d+/.exec(type)?.[0] ?? 8) / 8;
    const content = file({ t: tensor(type, [], 0, size) }, new Uint8Array(size).fill(1));
    expect(await recordsOf("t.safetensors", content)).toMatchObject([
      { dtype, shape: [], data: new Uint8Array(size).fill(1) },
    ]);
  });

  it("splits long tensors", async () => {
    const long = new Uint8Array(PART_BYTES + 4).map((_, i) => (i * 13) >> 4);
    const content = file({ t: tensor("F32", [PART_BYTES / 4 + 1], 0, PART_BYTES + 4) }, long);
    const records = await recordsOf("l.safetensors", content);
    expect(records.map(({ part, parts }) => [part, parts])).toEqual([
      [0, 2],
      [1, 2],
    ]);
    expect(Buffer.concat(records.map((each) => each.data)).equals(long)).toBe(true);
  });

  const twelve = tensor("U8", [12], 0, 12);
  it.each<[string, Buffer, string, RegExp]>([
    ["nothing", Buffer.alloc(0), "DATASET_MALFORMED", /ends after 0 bytes, in the header's length/],
    [
      "a header longer than the file",
      file("{}", data).fill(255, 0, 2),
      "DATASET_MALFORMED",
      /has a header of 65535 bytes/,
    ],
    [
      "a length of 2^63",
      file("{}", data).fill(255, 0, 8),
      "DATASET_MALFORMED",
      /has a header of 18446744073709551615 bytes/,
    ],
    ["a header that is too long", file(" ".repeat(2 ** 22 + 1), data), "INPUT_TOO_LARGE", /4194304 are read at most/],
    ["a header that is not UTF-8", file("{\xff}", data).fill(255, 9, 10), "DATASET_MALFORMED", /not UTF-8/],
    ["a header that is a list", file("[]", data), "DATASET_MALFORMED", /does not start with {/],
    ["a header with white space before it", file(" {}", data), "DATASET_MALFORMED", /does not start with {/],
    ["a header that is not JSON", file("{,}", data), "DATASET_MALFORMED", /that is not JSON/],
    [
      "a tensor that is twice there",
      file(`{"a":${JSON.stringify(twelve)},"\\u0061":${JSON.stringify(twelve)}}`, data),
      "DATASET_MALFORMED",
      /has "a" twice/,
    ],
    [
      "a field that is twice there",
      file('{"a":{"dtype":"U8","dtype":"I8","shape":[12],"data_offsets":[0,12]}}', data),
      "DATASET_MALFORMED",
      /"a" is not \{ dtype/,
    ],
    ["another field", file({ a: { ...twelve, more: 1 } }, data), "DATASET_MALFORMED", /"a" is not \{ dtype/],
    ["a field too few", file({ a: { dtype: "U8", shape: [12] } }, data), "DATASET_MALFORMED", /"a" is not \{ dtype/],
    ["a number for a tensor", file({ a: 5 }, data), "DATASET_MALFORMED", /"a" is not \{ dtype/],
    [
      "a type that is a number",
      file('{"a":{"dtype":5,"shape":[12],"data_offsets":[0,12]}}', data),
      "DATASET_MALFORMED",
      /"a" is not \{ dtype/,
    ],
    [
      "a negative dimension",
      file({ a: tensor("U8", [-3, -4], 0, 12) }, data),
      "DATASET_MALFORMED",
      /"a" is not \{ dtype/,
    ],
    ["a fraction", file({ a: tensor("U8", [12], 0.5, 12.5) }, data), "DATASET_MALFORMED", /"a" is not \{ dtype/],
    [
      "three offsets",
      file('{"a":{"dtype":"U8","shape":[12],"data_offsets":[0,12,12]}}', data),
      "DATASET_MALFORMED",
      /"a" is not \{ dtype/,
    ],
    [
      "offsets that do not fit the shape",
      file({ a: tensor("U8", [11], 0, 12) }, data),
      "DATASET_MALFORMED",
      /"a" has 12 bytes for shape \[11\]/,
    ],
    [
      "offsets in the wrong order",
      file({ a: tensor("U8", [12], 12, 0) }, data),
      "DATASET_MALFORMED",
      /"a" has -12 bytes/,
    ],
    [
      "a gap",
      file({ a: tensor("U8", [4], 0, 4), b: tensor("U8", [7], 5, 12) }, data),
      "DATASET_MALFORMED",
      /"b" starts at byte 5, not at 4/,
    ],
    [
      "an overlap",
      file({ a: tensor("U8", [4], 0, 4), b: tensor("U8", [9], 3, 12) }, data),
      "DATASET_MALFORMED",
      /"b" starts at byte 3, not at 4/,
    ],
    [
      "two tensors in one place",
      file({ a: twelve, b: twelve }, data),
      "DATASET_MALFORMED",
      /"b" starts at byte 0, not at 12/,
    ],
    [
      "data before the first",
      file({ a: tensor("U8", [11], 1, 12) }, data),
      "DATASET_MALFORMED",
      /"a" starts at byte 1, not at 0/,
    ],
    [
      "data after the last",
      file({ a: tensor("U8", [11], 0, 11) }, data),
      "DATASET_MALFORMED",
      /tensors have 11 bytes; 12 bytes follow/,
    ],
    [
      "data that ends early",
      file({ a: twelve }, data.subarray(1)),
      "DATASET_MALFORMED",
      /tensors have 12 bytes; 11 bytes follow/,
    ],
    [
      "a truth value of 5",
      file({ a: tensor("BOOL", [12], 0, 12) }, data),
      "DATASET_MALFORMED",
      /has 2 for a truth value/,
    ],
    ["a name of half a pair", file('{"\\ud800":{}}', data), "DATASET_MALFORMED", /half a surrogate pair/],
    ["floats of 8 bits", file({ a: tensor("F8_E4M3", [12], 0, 12) }, data), "FORMAT_UNSUPPORTED", /type "F8_E4M3"/],
    [
      "nine dimensions",
      file({ a: tensor("U8", [1, 1, 1, 1, 1, 1, 1, 1, 12], 0, 12) }, data),
      "FORMAT_UNSUPPORTED",
      /9 dimensions/,
    ],
    ["a name too long", file({ ["a".repeat(1025)]: twelve }, data), "INPUT_TOO_LARGE", /a name or label of more than/],
  ])("refuses %s", async (_, content, code, says) => {
    await refuses("r.safetensors", content, code, says);
  });

  it("survives any damage", async () => {
    const content = file({ a: tensor("F16", [1], 0, 2), b: tensor("BOOL", [1], 2, 3) }, Uint8Array.of(1, 2, 1));
    const seen = await survives("s.safetensors", content);
    expect(seen).toEqual(new Set(["read", "DATASET_MALFORMED", "FORMAT_UNSUPPORTED"]));
  });
});
