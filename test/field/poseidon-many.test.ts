/** Batches of Poseidon, by the native core (where it is built) and by JavaScript. */
import fc from "fast-check";
import { poseidon16 as circomlibPoseidon } from "poseidon-lite";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { decodeScalars, encodeScalars, poseidon16, poseidon16Many } from "../../src/field/poseidon.js";
import { R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

const scalar = fc.oneof(fc.bigInt({ min: 0n, max: R - 1n }), fc.constantFrom(0n, 1n, R - 1n));
const row = fc.array(scalar, { minLength: 16, maxLength: 16 });

/** The same modules in a process that has no core. */
let javascript: typeof import("../../src/field/poseidon.js");

beforeAll(async () => {
  vi.resetModules();
  vi.stubEnv("ANCHORPROOF_NATIVE", "off");
  javascript = await import("../../src/field/poseidon.js");
  // Looks the core up, which happens once.
  expect((await import("../../src/field/native.js")).nativeCore()).toBeUndefined();
  vi.unstubAllEnvs();
});

afterAll(() => vi.resetModules());

describe("encodeScalars", () => {
  it("is little-endian, and its own reverse", () => {
    expect(encodeScalars([0x0102n])).toEqual(new Uint8Array([2, 1, ...new Array(30).fill(0)]));
    fc.assert(
      fc.property(fc.array(scalar), (values) => {
        expect(decodeScalars(encodeScalars(values))).toEqual(values);
      }),
    );
  });

  it("refuses what is no scalar instead of cutting it", () => {
    for (const bad of [-1n, R, 1n << 256n, 1 as unknown as bigint]) {
      expect(() => encodeScalars([0n, bad])).toThrowError(code("INPUT_INVALID"));
    }
  });

  it("reads views that start anywhere", () => {
    const bytes = new Uint8Array(65);
    bytes.set(encodeScalars([R - 1n, 5n]), 1);
    expect(decodeScalars(bytes.subarray(1))).toEqual([R - 1n, 5n]);
  });
});

describe.each([
  ["as it runs here", () => ({ poseidon16, poseidon16Many })],
  ["in JavaScript", () => javascript],
])("poseidon16Many %s", (_, implementation) => {
  it("is one hash after another, for any number of them, and any capacities", () => {
    const { poseidon16Many } = implementation();
    fc.assert(
      fc.property(fc.array(fc.tuple(scalar, row), { maxLength: 18 }), (hashes) => {
        const capacities = encodeScalars(hashes.map(([capacity]) => capacity));
        const inputs = encodeScalars(hashes.flatMap(([, values]) => values));
        const expected = hashes.map(([capacity, values]) => javascript.poseidon16(capacity, values));
        expect(decodeScalars(poseidon16Many(capacities, inputs))).toEqual(expected);
      }),
      { numRuns: 8 },
    );
  });

  it("takes one capacity for all", () => {
    const { poseidon16Many } = implementation();
    fc.assert(
      fc.property(scalar, fc.array(row, { minLength: 1, maxLength: 10 }), (capacity, rows) => {
        const all = poseidon16Many(encodeScalars([capacity]), encodeScalars(rows.flat()));
        const each = poseidon16Many(encodeScalars(rows.map(() => capacity)), encodeScalars(rows.flat()));
        expect(all).toEqual(each);
      }),
      { numRuns: 8 },
    );
  });

  it("is circomlib's Poseidon(16) with capacity 0, one by one and on threads", () => {
    const { poseidon16, poseidon16Many } = implementation();
    const rows = Array.from({ length: 70 }, (_, i) =>
      Array.from({ length: 16 }, (_, j) => (BigInt(i * 16 + j) << 230n) % R),
    );
    const expected = rows.map((values) => circomlibPoseidon(values));
    expect(rows.slice(0, 9).map((values) => poseidon16(0n, values))).toEqual(expected.slice(0, 9));
    expect(decodeScalars(poseidon16Many(encodeScalars([0n]), encodeScalars(rows.flat()), 3))).toEqual(expected);
  });

  it("gives nothing for nothing, whatever the capacities", () => {
    const { poseidon16Many } = implementation();
    expect(poseidon16Many(new Uint8Array(32), new Uint8Array())).toEqual(new Uint8Array());
    expect(poseidon16Many(new Uint8Array(), new Uint8Array())).toEqual(new Uint8Array());
  });

  it("refuses lengths that do not fit", () => {
    const { poseidon16Many } = implementation();
    for (const [capacityBytes, inputBytes] of [
      [32, 1],
      [32, 511],
      [32, 15 * 32],
      [0, 512],
      [31, 512],
      [33, 512],
      [64, 512],
      [64, 3 * 512],
      [64, 0],
    ] as const) {
      const call = () => poseidon16Many(new Uint8Array(capacityBytes), new Uint8Array(inputBytes));
      expect(call, `${capacityBytes}, ${inputBytes}`).toThrowError(code("INPUT_INVALID"));
    }
  });

  it("refuses values outside the field, wherever they stand", () => {
    const { poseidon16Many } = implementation();
    // encodeScalars refuses r: count up from r − 1
    const bad = encodeScalars([R - 1n]);
    bad[0]! += 1;
    for (const count of [1, 9]) {
      for (const at of [0, 15, count * 16 - 1]) {
        for (const value of [bad, new Uint8Array(32).fill(255)]) {
          const inputs = new Uint8Array(count * 512);
          inputs.set(value, at * 32);
          expect(() => poseidon16Many(new Uint8Array(32), inputs)).toThrowError(code("INPUT_INVALID"));
        }
      }
      const capacities = new Uint8Array(count * 32);
      capacities.set(bad, (count - 1) * 32);
      expect(() => poseidon16Many(capacities, new Uint8Array(count * 512))).toThrowError(code("INPUT_INVALID"));
      expect(() => poseidon16Many(bad, new Uint8Array(count * 512))).toThrowError(code("INPUT_INVALID"));
    }
  });

  it("takes bytes and whole numbers of threads, and nothing like them", () => {
    const { poseidon16Many } = implementation();
    const call = (...args: unknown[]) => poseidon16Many(...(args as Parameters<typeof poseidon16Many>));
    const [capacity, inputs] = [new Uint8Array(32), new Uint8Array(512)];
    for (const threads of [0, -1, 1.5, Number.NaN, 257, "2", null]) {
      expect(() => call(capacity, inputs, threads), String(threads)).toThrowError(code("INPUT_INVALID"));
    }
    const likes = (length: number) => [
      new Uint8ClampedArray(length),
      new Int8Array(length),
      new Uint16Array(length),
      new Array(length).fill(0),
      new DataView(new ArrayBuffer(length)),
      new ArrayBuffer(length),
      "x".repeat(length),
      { length },
      Object.create(Uint8Array.prototype),
      new Proxy(new Uint8Array(length), {}),
      null,
      undefined,
    ];
    for (const like of likes(32)) expect(() => call(like, inputs)).toThrowError(code("INPUT_INVALID"));
    for (const like of likes(512)) expect(() => call(capacity, like)).toThrowError(code("INPUT_INVALID"));
    const expected = call(capacity, inputs);
    const shared = (bytes: Uint8Array) => new Uint8Array(new SharedArrayBuffer(bytes.length));
    for (const [a, b] of [
      [Buffer.alloc(32), Buffer.alloc(512)],
      [shared(capacity), shared(inputs)],
    ]) {
      expect(call(a, b, undefined)).toEqual(expected);
    }
  });

  it("one hash takes an array of 16, and reads each input once", () => {
    const { poseidon16 } = implementation();
    for (const inputs of [null, undefined, { length: 16 }, "0".repeat(16), new Array(16), new Array(15).fill(0n)]) {
      expect(() => poseidon16(0n, inputs as never)).toThrowError(code("INPUT_INVALID"));
    }
    const values = new Array<bigint>(16).fill(1n);
    let reads = 0;
    const changing = new Proxy(values, {
      get: (target, name) => (name === "3" ? (reads++ === 0 ? 1n : 1n + R) : Reflect.get(target, name)),
    });
    expect(poseidon16(0n, changing)).toBe(poseidon16(0n, values));
    expect(reads).toBe(1);
  });

  it("leaves its inputs alone", () => {
    const { poseidon16Many } = implementation();
    const capacities = encodeScalars([3n]);
    const inputs = encodeScalars(new Array<bigint>(32).fill(R - 1n));
    poseidon16Many(capacities, inputs);
    expect(decodeScalars(capacities)).toEqual([3n]);
    expect(decodeScalars(inputs)).toEqual(new Array(32).fill(R - 1n));
  });
});
