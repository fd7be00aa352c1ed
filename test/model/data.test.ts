import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AnchorError } from "../../src/errors.js";
import { checkSet, parseCalibration, readSamples, type SampleSet } from "../../src/model/data.js";
import { code } from "../support/errors.js";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "anchorproof-data-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

let files = 0;
/** Writes a file with a name of its own. */
async function file(content: Uint8Array | string, name = `file-${files++}`): Promise<string> {
  const path = join(home, name);
  await writeFile(path, content);
  return path;
}
const read = async (content: Uint8Array | string, options = {}) => readSamples(await file(content), options);
const refuses = async (content: Uint8Array | string, message: RegExp, wanted = "INPUT_INVALID", options = {}) => {
  const failed = expect(read(content, options)).rejects;
  await failed.toThrowError(code(wanted));
  await expect(read(content, options)).rejects.toThrowError(message);
};
const plain = ({ inputs, labels }: SampleSet) => ({ inputs: inputs.map((input) => Array.from(input)), labels });

interface Npy {
  descr?: string;
  shape?: string;
  order?: string;
  version?: number;
  header?: string;
  data?: Uint8Array;
}

/** A `.npy` file as NumPy writes it, or with one part replaced. */
function npy({ descr = "<f4", shape = "(2, 3)", order = "False", version = 1, header, data }: Npy = {}): Buffer {
  const text = header ?? `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const width = version === 1 ? 2 : 4;
  const padded = text.padEnd(Math.ceil((8 + width + text.length + 1) / 64) * 64 - 9 - width) + "\n";
  const length = Buffer.alloc(width);
  length.writeUIntLE(padded.length, 0, width);
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  return Buffer.concat([head, length, Buffer.from(padded, "latin1"), data ?? floats([1, -2, 3.5, 0, 0.25, 6])]);
}

/** The bytes of numbers, as this machine, a little-endian one, has them. */
const bytesOf = (numbers: NodeJS.TypedArray) => Buffer.from(numbers.buffer as ArrayBuffer);
const floats = (values: number[]) => bytesOf(Float32Array.from(values));

function idx(shape: number[], data: Uint8Array, kind = 0x08): Buffer {
  const sizes = bytesOf(Uint32Array.from(shape)).swap32();
  return Buffer.concat([Buffer.from([0, 0, kind, shape.length]), sizes, data]);
}

const IMAGES = idx(
  [3, 2, 2],
  Uint8Array.from({ length: 12 }, (_, i) => 21 * i),
);
const ROWS = [
  [0, 21, 42, 63],
  [84, 105, 126, 147],
  [168, 189, 210, 231],
];

describe("JSON", () => {
  it("reads inputs and labels", async () => {
    expect(await read('{"inputs":[[1,2.5]],"labels":[1]}')).toEqual({ inputs: [[1, 2.5]], labels: [1] });
    expect(await read(' \n {"inputs":[[1]]}')).toEqual({ inputs: [[1]] });
    expect(await read('\ufeff{"inputs":[[1]]}')).toEqual({ inputs: [[1]] });
    expect(await read(gzipSync('{"inputs":[[1],[2],[3]],"labels":[4,5,6]}'), { limit: 2 })).toEqual({
      inputs: [[1], [2]],
      labels: [4, 5],
    });
    expect(parseCalibration('{"inputs":[[1,2.5]],"labels":[1]}')).toEqual({ inputs: [[1, 2.5]], labels: [1] });
  });

  it.each([
    ["{", "JSON_MALFORMED"],
    ["[]", "INPUT_INVALID"],
    ["{}", "INPUT_INVALID"],
    ['{"inputs":[]}', "INPUT_INVALID"],
    ['{"inputs":[1]}', "INPUT_INVALID"],
    ['{"inputs":[["1"]]}', "INPUT_INVALID"],
    ['{"inputs":[[null]]}', "INPUT_INVALID"],
    ['{"inputs":[[1e999]]}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"labels":[]}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"labels":[-1]}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"labels":[0.5]}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"labels":{}}', "INPUT_INVALID"],
    ['{"inputs":[[1]],"label":[1]}', "INPUT_INVALID"],
    [`{"inputs":${"[".repeat(100_000)}`, "JSON_MALFORMED"],
  ])("refuses %.40s", async (text, wanted) => {
    await expect(read(text)).rejects.toThrowError(code(wanted));
    expect(() => parseCalibration(text)).toThrowError(code(wanted));
  });

  it("says where a number is wrong", async () => {
    await refuses('{"inputs":[[1,2],[3,null]]}', /inputs\[1\]\[1\]/);
    await refuses(Buffer.from('{"inputs":[[1]],"\xff":1}', "latin1"), /not UTF-8/, "JSON_MALFORMED");
  });

  it("checks a caller's set, holes included", () => {
    const holes = [1, 2];
    delete holes[0];
    expect(() => checkSet({ inputs: [holes] }, "the set")).toThrowError(code("INPUT_INVALID"));
    expect(() => checkSet({ inputs: [[1]], labels: new Array(1) }, "the set")).toThrowError(code("INPUT_INVALID"));
    expect(() => checkSet({ inputs: [new Uint8Array(1)] }, "the set")).toThrowError(code("INPUT_INVALID"));
    expect(() => checkSet({ inputs: new Array(1_000_001).fill([]) }, "the set")).toThrowError(code("INPUT_TOO_LARGE"));
    checkSet({ inputs: [Float32Array.of(1), [2], Float64Array.of(3)] }, "the set");
  });
});

describe(".npy", () => {
  it("reads versions 1 to 3, packed or not", async () => {
    const wanted = {
      inputs: [
        [1, -2, 3.5],
        [0, 0.25, 6],
      ],
      labels: undefined,
    };
    for (const version of [1, 2, 3]) expect(plain(await read(npy({ version })))).toEqual(wanted);
    expect(plain(await read(gzipSync(npy())))).toEqual(wanted);
    expect(plain(await read(npy(), { limit: 1 }))).toEqual({ inputs: [[1, -2, 3.5]], labels: undefined });
    expect(plain(await read(npy(), { limit: 9 }))).toEqual(wanted);
    // Flattened over all dimensions but the first, whatever the order and spacing of the header's fields.
    const header = "{'shape':(1,3,2),'descr':'<f4','fortran_order':False}";
    expect(plain(await read(npy({ header })))).toEqual({ inputs: [wanted.inputs.flat()], labels: undefined });
  });

  const int64 = bytesOf(BigInt64Array.of(0n, 9_007_199_254_740_991n, -5n, 2n));
  const doubles = bytesOf(Float64Array.of(0.1, -1e300, 5e-324, 4)).swap64();
  const words = bytesOf(Int16Array.of(1, -2, 300, -32_768)).swap16();
  const wide = bytesOf(Uint32Array.of(1, 16_777_217, 4_294_967_295, 0));
  it.each([
    ["|u1", Buffer.from([1, 2, 254, 255]), [1, 2, 254, 255]],
    ["|i1", Buffer.from([1, 2, 254, 128]), [1, 2, -2, -128]],
    [">i2", words, [1, -2, 300, -32_768]],
    ["<u4", wide, [1, 16_777_217, 4_294_967_295, 0]],
    ["<i8", int64, [0, 9_007_199_254_740_991, -5, 2]],
    [">f8", doubles, [0.1, -1e300, 5e-324, 4]],
  ])("keeps the value of %s", async (descr, data, values) => {
    const { inputs } = plain(await read(npy({ descr, shape: "(2, 2)", data })));
    expect(inputs).toEqual([values.slice(0, 2), values.slice(2)]);
  });

  it.each<[string, Npy, RegExp]>([
    ["Fortran order", { order: "True" }, /Fortran/],
    ["a half", { descr: "<f2" }, /type '<f2'/],
    ["a bool", { descr: "|b1" }, /type '\|b1'/],
    ["text", { descr: "<U8" }, /type '<U8'/],
    ["an object", { descr: "|O" }, /type '\|O'/],
    ["a name of Object.prototype", { descr: "<constructor1" }, /type/],
    ["no byte order", { descr: "|f4" }, /type '\|f4'/],
    ["the machine's byte order", { descr: "=f4" }, /type '=f4'/],
    ["a structure", { header: "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }" }, /header/],
    [
      "a field twice",
      { header: "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}" },
      /header/,
    ],
    ["a field too few", { header: "{'descr': '<f4', 'shape': (2, 3), }" }, /header/],
    ["a field too many", { header: "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}" }, /header/],
    ["no comma", { header: "{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3), }" }, /header/],
    ["a text for the shape", { shape: "'(2, 3)'" }, /header/],
    ["a number for the shape", { shape: "(6)" }, /header/],
    ["a negative dimension", { shape: "(-2, 3)" }, /header/],
    ["an expression", { shape: "(2, 3 * 1)" }, /header/],
    ["code", { header: "__import__('os').system('id')" }, /header/],
    ["one dimension", { shape: "(6,)" }, /one dimension/],
    ["no dimension", { shape: "()" }, /0 dimensions/],
    ["nine dimensions", { shape: "(2, 3, 1, 1, 1, 1, 1, 1, 1)" }, /9 dimensions/],
    ["no sample", { shape: "(0, 3)" }, /no sample/],
    ["empty samples", { shape: "(2, 0)" }, /no sample/],
    ["a dimension beyond all numbers", { shape: `(0, 1${"0".repeat(400)}, 0)` }, /cannot have the shape/],
    ["one row more than there is", { shape: "(3, 3)" }, /ends after \d+ bytes, in sample/],
    ["one row less than there is", { shape: "(1, 3)" }, /goes on after/],
    ["not a number", { data: floats([1, 2, 3, 4, Number.NaN, 6]) }, /sample 1, number 1 is NaN/],
    ["infinity", { data: floats([1, 2, Number.NEGATIVE_INFINITY, 4, 5, 6]) }, /sample 0, number 2 is -Infinity/],
    ["an int64 beyond 2^53", { descr: "<i8", shape: "(1, 1)", data: Buffer.alloc(8, 0x7f) }, /beyond 2\^53/],
    ["version 4", { version: 4 }, /version 4\.0/],
  ])("refuses %s", async (_, parts, message) => {
    await refuses(npy(parts), message);
  });

  it("does not believe a header's sizes", async () => {
    const large = { shape: "(1000000, 1000000)" };
    await refuses(npy(large), /at most/, "INPUT_TOO_LARGE", {});
    await refuses(npy({ shape: "(1000001, 3)" }), /1000000 samples/, "INPUT_TOO_LARGE");
    await refuses(npy({ shape: "(1000000, 135)" }), /at most/, "INPUT_TOO_LARGE");
    await refuses(npy({ shape: "(9007199254740991, 3)" }), /at most/, "INPUT_TOO_LARGE");
    // Within the limits, nothing is allocated for what is not there.
    const before = process.memoryUsage().arrayBuffers;
    await refuses(gzipSync(npy({ shape: "(1000000, 134)" })), /ends after/);
    await refuses(npy({ shape: "(32, 4194304)" }), /ends after/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100e6);
    const header = npy();
    header.writeUInt16LE(0xffff, 8);
    await refuses(header, /header of 65535 bytes/);
    // With a limit, what lies behind it may be of any number.
    expect((await read(npy({ shape: "(1000001, 3)" }), { limit: 2 })).inputs).toHaveLength(2);
  });

  it("is not slowed down by a hostile header", async () => {
    // Whoever goes back in them for every place does not come to an end in this test's time.
    for (const shape of [
      `(${" ".repeat(9000)}`,
      `(${"1,".repeat(4500)}`,
      `(${"1 ".repeat(4500)})`,
      "(1, 1)".repeat(1500),
    ]) {
      await refuses(npy({ shape }), /header|dimensions/);
    }
  });
});

describe("IDX", () => {
  it("reads images, and their labels beside them", async () => {
    const folder = join(home, "mnist");
    await mkdir(folder);
    const at = (name: string) => join("mnist", name);
    const images = await file(IMAGES, at("train-images-idx3-ubyte"));
    expect(plain(await readSamples(images))).toEqual({ inputs: ROWS, labels: undefined });
    await file(gzipSync(idx([3], Uint8Array.of(9, 0, 3))), at("train-labels-idx1-ubyte.gz"));
    expect(plain(await readSamples(images))).toEqual({ inputs: ROWS, labels: [9, 0, 3] });
    expect(plain(await readSamples(images, { limit: 2 }))).toEqual({ inputs: ROWS.slice(0, 2), labels: [9, 0] });

    const packed = await file(gzipSync(IMAGES), at("t10k-images-idx3-ubyte.gz"));
    await file(idx([3], Uint8Array.of(1, 2, 3)), at("t10k-labels-idx1-ubyte"));
    expect(plain(await readSamples(packed)).labels).toEqual([1, 2, 3]);
    // Without `images` in its name a file has no labels beside it, not even itself.
    expect(plain(await readSamples(await file(IMAGES, at("t10k-idx3-ubyte"))))).toEqual({
      inputs: ROWS,
      labels: undefined,
    });
    // Labels of another set are noticed, also where a limit would hide it.
    const other = await file(idx([4], Uint8Array.of(1, 2, 3, 4)), at("other"));
    await expect(readSamples(packed, { labels: other, limit: 1 })).rejects.toThrowError(/4 labels, but .* 3 samples/);
  });

  it("takes labels from any file", async () => {
    const images = await file(IMAGES);
    const classes = bytesOf(BigInt64Array.of(5n, 6n, 7n));
    const lists = ["[5,6,7]", npy({ descr: "<i8", shape: "(3,)", data: classes }), idx([3], Uint8Array.of(5, 6, 7))];
    for (const list of lists) {
      const { labels } = await readSamples(images, { labels: await file(list) });
      expect(labels).toEqual([5, 6, 7]);
    }
    const json = await file('{"inputs":[[1],[2],[3]]}');
    expect((await readSamples(json, { labels: await file("[5,6,7]"), limit: 2 })).labels).toEqual([5, 6]);
    const labelled = await file('{"inputs":[[1]],"labels":[0]}');
    await expect(readSamples(labelled, { labels: await file("[5]") })).rejects.toThrowError(/labels of its own/);
  });

  it.each<[string, Uint8Array | string, RegExp]>([
    ["a negative label", "[1,2,-3]", /class indices/],
    ["an object", '{"labels":[1,2,3]}', /class indices/],
    ["too few", "[1,2]", /2 labels/],
    ["images", IMAGES, /one dimension/],
    ["floats", npy({ shape: "(6,)" }), /integers/],
    ["negative int8", npy({ descr: "|i1", shape: "(3,)", data: Buffer.from([1, 255, 3]) }), /label 1 is negative/],
    ["a list cut off", idx([3], Uint8Array.of(1, 2)), /ends after 10 bytes, in label 0/],
    ["a list that goes on", idx([3], Uint8Array.of(1, 2, 3, 4)), /goes on/],
  ])("refuses %s for labels", async (_, list, message) => {
    const labels = await file(list);
    await expect(read(IMAGES, { labels })).rejects.toThrowError(code("INPUT_INVALID"));
    await expect(read(IMAGES, { labels })).rejects.toThrowError(message);
  });

  it.each<[string, number, Buffer, number[]]>([
    ["int8", 0x09, Buffer.from([1, 255]), [1, -1]],
    ["int16", 0x0b, Buffer.from([1, 0, 255, 255]), [256, -1]],
    ["int32", 0x0c, Buffer.from([1, 0, 0, 1, 255, 255, 255, 255]), [16_777_217, -1]],
    ["float32", 0x0d, Buffer.from([0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]), [1, -2]],
    ["float64", 0x0e, Buffer.from("3ff00000000000003fb999999999999a", "hex"), [1, 0.1]],
  ])("reads %s", async (_, kind, data, values) => {
    expect(plain(await read(idx([2, 1], data, kind))).inputs).toEqual(values.map((value) => [value]));
  });

  it("refuses other headers", async () => {
    await refuses(idx([2, 1], Buffer.alloc(2), 0x0a), /0x0a names no type/);
    await refuses(idx([], Buffer.alloc(2)), /0 dimensions/);
    await refuses(idx([1, 1, 1, 1, 1, 1, 1, 1, 1], Buffer.alloc(1)), /9 dimensions/);
    await refuses(idx([3], Buffer.alloc(3)), /one dimension/);
    await refuses(idx([0, 28, 28], Buffer.alloc(0)), /no sample/);
    await refuses(idx([4_294_967_295, 1], Buffer.alloc(1)), /at most/, "INPUT_TOO_LARGE");
    await refuses(idx([1, 65_536, 65_536], Buffer.alloc(1)), /a sample of 4294967296 numbers/, "INPUT_TOO_LARGE");
    await refuses(Buffer.concat([IMAGES, Buffer.alloc(1)]), /goes on after the 28 bytes/);
  });
});

describe("files", () => {
  it("refuses every truncation of every format, with a code", async () => {
    const whole: [string, Uint8Array][] = [
      ["npy", npy()],
      ["idx", IMAGES],
      ["npy.gz", gzipSync(npy())],
      ["idx.gz", gzipSync(IMAGES)],
      ["json", Buffer.from('{"inputs":[[1,2],[3,4]],"labels":[0,1]}')],
      ["json.gz", gzipSync('{"inputs":[[1,2],[3,4]],"labels":[0,1]}')],
    ];
    for (const [name, bytes] of whole) {
      expect((await read(bytes)).inputs.length, name).toBeGreaterThan(1);
      for (let length = 0; length < bytes.length; length++) {
        const failed = await read(bytes.subarray(0, length)).then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(failed, `${name} cut to ${length}`).toBeInstanceOf(AnchorError);
        expect((failed as AnchorError).code, `${name} cut to ${length}`).toMatch(/^(INPUT_INVALID|JSON_MALFORMED)$/);
      }
    }
  });

  it("gives a set or a code for whatever bytes it meets", async () => {
    const seeds = [npy(), IMAGES, gzipSync(IMAGES), Buffer.from('{"inputs":[[1,2]],"labels":[0]}')];
    const path = join(home, "mutated");
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...seeds), fc.nat(), fc.nat(255), fc.nat(200), async (seed, at, byte, cut) => {
        const bytes = Buffer.from(seed);
        bytes[at % bytes.length] = byte;
        await writeFile(path, cut < bytes.length && cut % 3 === 0 ? bytes.subarray(0, cut) : bytes);
        const result = await readSamples(path).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toBeInstanceOf(AnchorError);
        else checkSet(result, "the set");
      }),
      { numRuns: 400 },
    );
  });

  it("stops inflating what is larger than it may be", async () => {
    const bomb = gzipSync(Buffer.alloc(40_000_000));
    // The images' header asks for 12 bytes; the zeros behind them are not read.
    await refuses(Buffer.concat([gzipSync(IMAGES), bomb]), /goes on/);
    await refuses(bomb, /names no type/);
    await refuses(gzipSync(gzipSync(IMAGES)), /neither/);
    await refuses(Buffer.concat([gzipSync(IMAGES).subarray(0, -8), Buffer.alloc(8)]), /damaged or cut off/);
  });

  it("names what it cannot read", async () => {
    await expect(readSamples(join(home, "nowhere"))).rejects.toThrowError(code("FILE_NOT_FOUND"));
    await expect(readSamples(home)).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(readSamples("a\0b")).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(read(IMAGES, { labels: join(home, "nowhere") })).rejects.toThrowError(code("FILE_NOT_FOUND"));
    await refuses("", /is empty/);
    await refuses("PK\x03\x04 an archive", /neither JSON/);
    await refuses("hello", /neither JSON/);
    for (const limit of [0, -1, 1.5, Number.NaN, "1"]) await refuses(IMAGES, /limit/, "INPUT_INVALID", { limit });
  });

  it("tells progress, stops on request, and passes a caller's own error on", async () => {
    const path = await file(gzipSync(idx([2000, 400], Buffer.alloc(800_000, 7))));
    const seen: number[] = [];
    const { inputs } = await readSamples(path, { onProgress: ({ done }) => seen.push(done) });
    expect(inputs).toHaveLength(2000);
    expect(inputs.every((input) => input.length === 400 && input.every((value) => value === 7))).toBe(true);
    expect(seen.length).toBeGreaterThan(2);
    expect(seen.at(-1)).toBe(2000);
    await expect(readSamples(path, { signal: AbortSignal.abort() })).rejects.toThrowError(code("ABORTED"));
    const stop = new AbortController();
    const stopped = readSamples(path, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toThrowError(code("ABORTED"));
    const own = new Error("mine");
    const failed = readSamples(path, {
      onProgress: () => {
        throw own;
      },
    });
    await expect(failed).rejects.toBe(own);
  });
});
