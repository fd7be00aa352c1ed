import { describe, expect, it } from "vitest";
import { PART_BYTES } from "../../../src/dataset/layout.js";
import { readAll, recordsOf, refuses, survives, write } from "./support.js";

interface Format {
  code?: number;
  channels?: number;
  rate?: number;
  bits?: number;
  frame?: number;
  byteRate?: number;
  /** What follows the 16 bytes. */
  more?: Buffer;
}

/** Of KSDATAFORMAT_SUBTYPE_…, XXXX0000-0000-1000-8000-00aa00389b71, after the first two bytes. */
const GUID = "0000 0000 1000 8000 00aa 0038 9b71".replaceAll(" ", "");

function format({ code = 1, channels = 1, rate = 8000, bits = 16, frame, byteRate, more }: Format = {}): Buffer {
  const align = frame ?? (channels * bits) / 8;
  const plain = Buffer.alloc(16);
  plain.writeUInt16LE(code, 0);
  plain.writeUInt16LE(channels, 2);
  plain.writeUInt32LE(rate, 4);
  plain.writeUInt32LE(byteRate ?? rate * align, 8);
  plain.writeUInt16LE(align, 12);
  plain.writeUInt16LE(bits, 14);
  return Buffer.concat([plain, more ?? Buffer.alloc(0)]);
}

/** What the extensible form adds. */
function extension(code: number, valid: number, guid = GUID): Buffer {
  const more = Buffer.alloc(24);
  more.writeUInt16LE(22, 0);
  more.writeUInt16LE(valid, 2);
  more.writeUInt16LE(code, 8);
  Buffer.from(guid, "hex").copy(more, 10);
  return more;
}

const chunk = (id: string, content: Uint8Array, fill = true) => {
  const header = Buffer.alloc(8);
  header.write(id, "latin1");
  header.writeUInt32LE(content.length, 4);
  return Buffer.concat([header, content, Buffer.alloc(fill ? content.length % 2 : 0)]);
};
const riff = (...chunks: Buffer[]) => chunk("RIFF", Buffer.concat([Buffer.from("WAVE"), ...chunks]), false);
const wav = (data: Uint8Array, options: Format = {}) => riff(chunk("fmt ", format(options)), chunk("data", data));
const bytes = (...values: number[]) => Uint8Array.from(values);
const scaled = (exponent: number) => ({ scale: { base: 2, exponent } });

describe(".wav", () => {
  it("is a record of frames and channels, its sample rate a cell", async () => {
    const content = wav(bytes(1, 2, 3, 4, 5, 6, 7, 8), { channels: 2, rate: 44_100 });
    const { all, columns } = await readAll(await write("a.wav", content));
    expect(columns).toEqual([{ name: "sample_rate", type: "decimal", digits: 0 }]);
    expect(all).toEqual([
      {
        record: {
          dtype: "i16",
          shape: [2, 2],
          ...scaled(-15),
          name: "",
          label: "",
          cells: [44_100n],
          data: bytes(1, 2, 3, 4, 5, 6, 7, 8),
        },
        source: { path: expect.stringMatching(/a\.wav$/), offset: 44 },
      },
    ]);
    expect(await recordsOf("none.wav", wav(bytes()))).toMatchObject([{ shape: [0, 1], data: bytes() }]);
  });

  it("has integers and floats of many widths", async () => {
    const read = async (options: Format, ...data: number[]) =>
      (await recordsOf("b.wav", wav(bytes(...data), options)))[0];
    expect(await read({ bits: 8 }, 0, 128, 255)).toMatchObject({
      dtype: "i8",
      ...scaled(-7),
      data: bytes(0x80, 0, 0x7f),
    });
    expect(await read({ bits: 24 }, 1, 2, 3, 0, 0, 0x80)).toMatchObject({
      dtype: "i32",
      shape: [2, 1],
      ...scaled(-23),
      data: bytes(1, 2, 3, 0, 0, 0, 0x80, 0xff),
    });
    expect(await read({ bits: 32 }, 1, 2, 3, 4)).toMatchObject({
      dtype: "i32",
      ...scaled(-31),
      data: bytes(1, 2, 3, 4),
    });
    const float = await read({ code: 3, bits: 32 }, 0, 0, 128, 63);
    expect(float).toMatchObject({ dtype: "f32", data: bytes(0, 0, 128, 63) });
    expect(float).not.toHaveProperty("scale");
    expect(await read({ code: 3, bits: 64 }, ...new Array(8).fill(0))).toMatchObject({ dtype: "f64" });
    expect(await read({ code: 0xfffe, more: extension(1, 12) }, 1, 2)).toMatchObject({ dtype: "i16", ...scaled(-15) });
    expect(await read({ code: 0xfffe, bits: 32, more: extension(3, 32) }, 0, 0, 128, 63)).toMatchObject({
      dtype: "f32",
    });
  });

  it("passes over chunks of other kinds", async () => {
    const content = riff(
      chunk("LIST", bytes(1, 2, 3)),
      chunk("fmt ", format({ bits: 8, more: Buffer.alloc(2) })),
      chunk("fact", bytes(1, 0, 0, 0)),
      chunk("data", bytes(128)),
      chunk("id3 ", new Uint8Array(3 * 2 ** 19).fill(7)),
    );
    expect(await recordsOf("c.wav", content)).toMatchObject([{ shape: [1, 1], data: bytes(0) }]);
    const unfilled = riff(chunk("fmt ", format({ bits: 8 })), chunk("data", bytes(128), false));
    expect(await recordsOf("c.wav", unfilled)).toMatchObject([{ shape: [1, 1], data: bytes(0) }]);
  });

  it("splits long recordings at whole numbers", async () => {
    const samples = PART_BYTES / 4 + 2;
    const records = await recordsOf("d.wav", wav(new Uint8Array(3 * samples).fill(0xff), { bits: 24, channels: 2 }));
    expect(records.map(({ shape, part, parts, cells, data }) => [shape, part, parts, cells, data.length])).toEqual([
      [[samples / 2, 2], 0, 2, [8000n], PART_BYTES],
      [[samples / 2, 2], 1, 2, [null], 8],
    ]);
    for (const { data } of records) expect(data.every((byte) => byte === 0xff)).toBe(true);
  });

  const two = bytes(1, 2);
  const [fmt, samples] = [chunk("fmt ", format()), chunk("data", two)];
  it.each<[string, Buffer, string, RegExp]>([
    ["nothing", Buffer.alloc(0), "DATASET_MALFORMED", /ends after 0 bytes, in the RIFF header/],
    ["another file", Buffer.from("hello world!"), "DATASET_MALFORMED", /is not a WAV/],
    ["another RIFF", wav(two).fill("AVI ", 8, 12), "DATASET_MALFORMED", /is not a WAV/],
    ["a file that ends early", wav(two).subarray(0, 45), "DATASET_MALFORMED", /has 45 bytes; its header says 46/],
    ["a file that goes on", Buffer.concat([wav(two), two]), "DATASET_MALFORMED", /has 48 bytes; its header says 46/],
    [
      "a chunk that is cut off",
      wav(two).fill(255, 40, 41),
      "DATASET_MALFORMED",
      /ends inside chunk "data" of 255 bytes/,
    ],
    ["no data", riff(fmt), "DATASET_MALFORMED", /has no data/],
    ["data twice", riff(fmt, samples, samples), "DATASET_MALFORMED", /has data twice/],
    ["data before its format", riff(samples, fmt), "DATASET_MALFORMED", /its data before its format/],
    ["two formats", riff(fmt, fmt, samples), "DATASET_MALFORMED", /has two formats/],
    [
      "a short format",
      riff(chunk("fmt ", format().subarray(0, 14)), samples),
      "DATASET_MALFORMED",
      /a format of 14 bytes/,
    ],
    ["a long format", riff(chunk("fmt ", Buffer.alloc(66)), samples), "DATASET_MALFORMED", /a format of 66 bytes/],
    ["half a frame", wav(bytes(1, 2, 3)), "DATASET_MALFORMED", /3 bytes of data, which are no whole frames of 2/],
    ["no channels", wav(two, { channels: 0 }), "DATASET_MALFORMED", /has 0 channels/],
    ["frames that do not fit", wav(two, { frame: 4 }), "DATASET_MALFORMED", /in frames of 4 bytes/],
    ["a rate that does not fit", wav(two, { byteRate: 1 }), "DATASET_MALFORMED", /1 a second/],
    ["an extension cut off", wav(two, { code: 0xfffe }), "DATASET_MALFORMED", /extensible format that is cut off/],
    [
      "too many valid bits",
      wav(two, { code: 0xfffe, more: extension(1, 17) }),
      "DATASET_MALFORMED",
      /17 valid bits of 16/,
    ],
    [
      "another extension",
      wav(two, { code: 0xfffe, more: extension(1, 16, "ff".repeat(14)) }),
      "FORMAT_UNSUPPORTED",
      /unknown format/,
    ],
    ["compressed samples", wav(two, { code: 85 }), "FORMAT_UNSUPPORTED", /samples of format 85/],
    ["12 bits", wav(two, { bits: 12, frame: 2 }), "FORMAT_UNSUPPORTED", /integers of 12 bits/],
    ["floats of 16 bits", wav(two, { code: 3 }), "FORMAT_UNSUPPORTED", /floats of 16 bits/],
    ["the 64-bit form", wav(two).fill("RF64", 0, 4), "FORMAT_UNSUPPORTED", /form RF64/],
  ])("refuses %s", async (_, content, code, says) => {
    await refuses("r.wav", content, code, says);
  });

  it("survives any damage", async () => {
    const seen = await survives("s.wav", wav(bytes(1, 2, 3), { bits: 24 }));
    expect(seen).toEqual(new Set(["read", "DATASET_MALFORMED", "FORMAT_UNSUPPORTED"]));
  });
});
