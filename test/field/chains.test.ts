/** Many chains and contents at once, by the native core (where it is built) and by JavaScript. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { STARTS, TAGS } from "../../src/dataset/layout.js";
import { contentElements, DTYPES, type Dtype, packing } from "../../src/dataset/record.js";
import { chain } from "../../src/field/chain.js";
import * as here from "../../src/field/chains.js";
import { decodeScalars, encodeScalars } from "../../src/field/poseidon.js";
import { R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

const scalar = fc.oneof(fc.bigInt({ min: 0n, max: R - 1n }), fc.constantFrom(0n, 1n, R - 1n));
const CAPACITY = encodeScalars([TAGS.chain]);
const START = encodeScalars([STARTS.content]);
/** r itself, which encodeScalars refuses. */
const BAD = encodeScalars([R - 1n]);
BAD[0]! += 1;

/** The same module in a process that has no core. */
let javascript: typeof here;

beforeAll(async () => {
  vi.resetModules();
  vi.stubEnv("ANCHORPROOF_NATIVE", "off");
  javascript = await import("../../src/field/chains.js");
  // Looks the core up, which happens once.
  expect((await import("../../src/field/native.js")).nativeCore()).toBeUndefined();
  vi.unstubAllEnvs();
});

afterAll(() => vi.resetModules());

/** Contents one after another, with what contentDigests takes beside them. */
function contents(records: readonly { dtype: Dtype; data: Uint8Array }[]) {
  const offsets = new Float64Array(records.length + 1);
  const packings = new Uint8Array(2 * records.length);
  records.forEach(({ dtype, data }, i) => {
    offsets[i + 1] = offsets[i]! + data.length;
    const { size, mode } = packing(dtype);
    packings.set([size, here.PACKING_MODES[mode]], 2 * i);
  });
  return { data: Buffer.concat(records.map(({ data }) => data)), offsets, packings };
}

const record = fc.constantFrom(...(Object.keys(DTYPES) as Dtype[])).chain((dtype) => {
  const { size } = DTYPES[dtype];
  return fc
    .uint8Array({ maxLength: 100 })
    .map((bytes) => ({ dtype, data: bytes.slice(0, bytes.length - (bytes.length % size)) }));
});

/** Two zeros, infinities, NaN of both signs, the smallest and largest numbers. */
const FLOATS = {
  f16: [0x0000, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7fff, 0xffff, 0x0001, 0x8001, 0x7bff, 0xfbff].map(BigInt),
  bf16: [0x0000, 0x8000, 0x7f80, 0xff80, 0x7fc0, 0xffc0, 0x7fff, 0xffff, 0x0001, 0x8001, 0x7f7f, 0xff7f].map(BigInt),
  f32: [0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7fffffff, 0xffffffff, 1, 0x80000001].map(
    BigInt,
  ),
  f64: [
    0n,
    1n << 63n,
    0x7ffn << 52n,
    0xfffn << 52n,
    0x7ff8n << 48n,
    0xfff8n << 48n,
    (1n << 63n) - 1n,
    (1n << 64n) - 1n,
  ],
} as const;

function littleEndian(values: readonly bigint[], size: number): Uint8Array {
  return Uint8Array.from({ length: values.length * size }, (_, i) =>
    Number((values[Math.floor(i / size)]! >> BigInt(8 * (i % size))) & 255n),
  );
}

describe.each([
  ["as they run here", () => here],
  ["in JavaScript", () => javascript],
])("chains %s", (_, implementation) => {
  it("are one chain after another, for any number of them and any lengths", () => {
    const { chains } = implementation();
    const lengths = fc.oneof(
      fc.constantFrom<number[]>([], [0], [1, 0], [2], new Array<number>(9).fill(1), [3, 0, 1, 0, 2, 1]),
      fc.array(fc.nat(3), { maxLength: 6 }),
    );
    fc.assert(
      fc.property(scalar, lengths, fc.infiniteStream(scalar), fc.boolean(), (capacity, steps, values, oneStart) => {
        const take = (n: number) => Array.from({ length: n }, () => values.next().value as bigint);
        const starts = take(oneStart ? 1 : steps.length);
        const elements = steps.map((n) => take(15 * n));
        const expected = elements.map((own, i) => chain(capacity, starts[oneStart ? 0 : i]!, own));
        const all = [capacity, starts, elements.flat()].map((part) => encodeScalars([part].flat()));
        const ends = chains(all[0]!, all[1]!, all[2]!, Uint32Array.from(steps), 2);
        expect(decodeScalars(ends)).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });

  it("of contents are those of the records' elements", () => {
    const { contentDigests } = implementation();
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), (records) => {
        const { data, offsets, packings } = contents(records);
        const expected = records.map((each) => chain(TAGS.chain, STARTS.content, contentElements(each)));
        expect(decodeScalars(contentDigests(CAPACITY, START, data, offsets, packings))).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });

  it("of numbers of every kind keep their order, whatever their signs", () => {
    const { contentDigests } = implementation();
    const records = (Object.keys(DTYPES) as Dtype[]).map((dtype) => {
      const { size } = DTYPES[dtype];
      const bits = BigInt(8 * size);
      const top = 1n << (bits - 1n);
      const values =
        dtype in FLOATS
          ? FLOATS[dtype as keyof typeof FLOATS]
          : [0n, 1n, top - 1n, top, top + 1n, 2n * top - 1n, 2n * top - 2n];
      return { dtype, data: littleEndian(values, size) };
    });
    const { data, offsets, packings } = contents(records);
    const expected = records.map((each) => chain(TAGS.chain, STARTS.content, contentElements(each)));
    expect(decodeScalars(contentDigests(CAPACITY, START, data, offsets, packings, 3))).toEqual(expected);
  });

  it("of contents may lie anywhere in the data, and be empty", () => {
    const { contentDigests } = implementation();
    const data = Uint8Array.from({ length: 100 }, (_, i) => i);
    const offsets = Float64Array.of(3, 3, 40, 90);
    const packings = Uint8Array.of(8, 2, 1, 0, 2, 1);
    const elements = [
      contentElements({ dtype: "u8", data: data.subarray(3, 40) }),
      contentElements({ dtype: "i16", data: data.subarray(40, 90) }),
    ];
    const expected = [STARTS.content, ...elements.map((each) => chain(TAGS.chain, STARTS.content, each))];
    expect(decodeScalars(contentDigests(CAPACITY, START, data, offsets, packings))).toEqual(expected);
    expect(contentDigests(CAPACITY, START, data, Float64Array.of(7), new Uint8Array())).toEqual(new Uint8Array());
  });

  it("take lengths that fit, and nothing else", () => {
    const { chains } = implementation();
    const block = new Uint8Array(480);
    const one = Uint32Array.of(1);
    for (const [what, args] of Object.entries({
      "short capacity": [CAPACITY.subarray(1), START, block, one],
      "two capacities": [new Uint8Array(64), START, block, one],
      "no start": [CAPACITY, new Uint8Array(), block, one],
      "two starts": [CAPACITY, new Uint8Array(64), block, one],
      "starts of none": [CAPACITY, new Uint8Array(64), new Uint8Array(), new Uint32Array()],
      "short block": [CAPACITY, START, block.subarray(1), one],
      "no block": [CAPACITY, START, new Uint8Array(), one],
      "block too many": [CAPACITY, START, new Uint8Array(960), one],
      "too many steps": [CAPACITY, START, block, new Uint32Array(9).fill(2 ** 32 - 1)],
      "other steps": [CAPACITY, START, block, Int32Array.of(1)],
      "an array": [CAPACITY, START, block, [1]],
      "no bytes": [CAPACITY, START, new DataView(block.buffer), one],
      threads: [CAPACITY, START, block, one, 0],
      "many threads": [CAPACITY, START, block, one, 257],
      "threads as text": [CAPACITY, START, block, one, "1"],
    })) {
      expect(() => chains(...(args as Parameters<typeof chains>)), what).toThrowError(code("INPUT_INVALID"));
    }
    expect(chains(CAPACITY, START, new Uint8Array(), new Uint32Array(2))).toEqual(Uint8Array.of(...START, ...START));
  });

  it("refuse values outside the field, wherever they stand", () => {
    const { chains, contentDigests } = implementation();
    const steps = Uint32Array.of(0, 1, 2);
    const good = [CAPACITY, new Uint8Array(96), new Uint8Array(3 * 480)] as const;
    for (const [part, places] of [
      [0, [0]],
      [1, [0, 1, 2]],
      [2, [0, 14, 15, 44]],
    ] as const) {
      for (const at of places) {
        const args = good.map((bytes) => bytes.slice()) as [Uint8Array, Uint8Array, Uint8Array];
        args[part]!.set(BAD, 32 * at);
        expect(() => chains(...args, steps), `${part}, ${at}`).toThrowError(code("INPUT_INVALID"));
      }
    }
    for (const none of [new Uint32Array(), new Uint32Array(1)]) {
      expect(() => chains(BAD, START, new Uint8Array(), none)).toThrowError(code("INPUT_INVALID"));
      expect(() => chains(CAPACITY, BAD, new Uint8Array(), none)).toThrowError(code("INPUT_INVALID"));
    }
    const nothing = [new Uint8Array(), Float64Array.of(0), new Uint8Array()] as const;
    expect(() => contentDigests(BAD, START, ...nothing)).toThrowError(code("INPUT_INVALID"));
    expect(() => contentDigests(CAPACITY, BAD, ...nothing)).toThrowError(code("INPUT_INVALID"));
  });

  it("of contents refuse parts of numbers, unknown packings and offsets that do not fit", () => {
    const { contentDigests } = implementation();
    const data = new Uint8Array(16);
    const pair = (size: number, mode: number) => Uint8Array.of(size, mode);
    const whole = Float64Array.of(0, 16);
    const call = (...args: unknown[]) => contentDigests(...(args as Parameters<typeof contentDigests>));
    for (const [what, args] of Object.entries({
      "size 0": [data, whole, pair(0, 0)],
      "size 3": [data, whole, pair(3, 0)],
      "size 16": [data, whole, pair(16, 0)],
      "mode 3": [data, whole, pair(8, 3)],
      "a float of one byte": [data, whole, pair(1, 2)],
      "half a number": [data, Float64Array.of(0, 15), pair(2, 0)],
      "part of a number": [data, Float64Array.of(1, 16), pair(8, 2)],
      "beyond the data": [data, Float64Array.of(0, 17), pair(1, 0)],
      "far beyond the data": [data, Float64Array.of(0, 2 ** 64), pair(1, 0)],
      negative: [data, Float64Array.of(-1, 16), pair(1, 0)],
      "out of order": [data, Float64Array.of(8, 0), pair(1, 0)],
      "between bytes": [data, Float64Array.of(0, 1.5), pair(1, 0)],
      "not a number": [data, Float64Array.of(0, Number.NaN), pair(1, 0)],
      infinite: [data, Float64Array.of(0, Number.POSITIVE_INFINITY), pair(1, 0)],
      "too few offsets": [data, Float64Array.of(0), pair(1, 0)],
      "too many offsets": [data, Float64Array.of(0, 8, 16), pair(1, 0)],
      "no offsets": [data, new Float64Array(), new Uint8Array()],
      "half a packing": [data, whole, Uint8Array.of(1)],
      "an array of offsets": [data, [0, 16], pair(1, 0)],
      "other offsets": [data, Uint32Array.of(0, 16), pair(1, 0)],
      "an array of data": [[1, 2], Float64Array.of(0, 2), pair(1, 0)],
      threads: [data, whole, pair(1, 0), 1.5],
    })) {
      expect(() => call(CAPACITY, START, ...args), what).toThrowError(code("INPUT_INVALID"));
    }
    expect(() => call(CAPACITY, new Uint8Array(64), data, whole, pair(1, 0))).toThrowError(code("INPUT_INVALID"));
    expect(() => call(new Uint8Array(31), START, data, whole, pair(1, 0))).toThrowError(code("INPUT_INVALID"));
  });
});
