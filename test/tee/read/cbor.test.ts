import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Cbor, type CborOptions, CborTag, cborHead, readCbor } from "../../../src/tee/read/cbor.js";
import { outcomeOf } from "../../support/errors.js";
import { cbor, head, type Item } from "../cbor.js";

const read = (hex: string | Uint8Array, options: Partial<CborOptions> = {}) =>
  readCbor(typeof hex === "string" ? new Uint8Array(Buffer.from(hex, "hex")) : hex, {
    code: "EVIDENCE_MALFORMED",
    ...options,
  });
const refused = (hex: string | Uint8Array, options: Partial<CborOptions> = {}) =>
  outcomeOf(() => read(hex, options)) === "EVIDENCE_MALFORMED";

/** Values of maps and tags in a form that `toEqual` compares by type. */
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));

describe("values (RFC 8949, appendix A)", () => {
  it.each<[string, Cbor]>([
    ["00", 0],
    ["17", 23],
    ["1818", 24],
    ["1864", 100],
    ["1903e8", 1000],
    ["1a000f4240", 1000000],
    ["1b000000e8d4a51000", 1000000000000],
    ["1b001fffffffffffff", Number.MAX_SAFE_INTEGER],
    ["1b0020000000000000", 2n ** 53n],
    ["1bffffffffffffffff", 18446744073709551615n],
    ["20", -1],
    ["29", -10],
    ["3863", -100],
    ["3903e7", -1000],
    ["3b001ffffffffffffe", -Number.MAX_SAFE_INTEGER],
    ["3b001fffffffffffff", -(2n ** 53n)],
    ["3bffffffffffffffff", -18446744073709551616n],
    ["f4", false],
    ["f5", true],
    ["f6", null],
    ["40", bytes("")],
    ["4401020304", bytes("01020304")],
    ["60", ""],
    ["6161", "a"],
    ["6449455446", "IETF"],
    ["62c3bc", "ü"],
    ["64f0908591", "\ud800\udd51"],
    ["80", []],
    ["83010203", [1, 2, 3]],
    ["8301820203820405", [1, [2, 3], [4, 5]]],
    ["a0", new Map()],
    [
      "a201020304",
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
    [
      "a26161016162820203",
      new Map<string, Cbor>([
        ["a", 1],
        ["b", [2, 3]],
      ]),
    ],
    [
      "a2010161310a",
      new Map<number | string, Cbor>([
        [1, 1],
        ["1", 10],
      ]),
    ],
  ])("reads %s", (hex, value) => {
    expect(read(hex)).toEqual(value);
  });

  it("reads bytes and arrays as long as their lengths say, and no copy of them", () => {
    const given = cbor([new Uint8Array(300).fill(7), new Array(70000).fill(1)]);
    const [first, second] = read(given) as [Uint8Array, number[]];
    expect(first.buffer).toBe(given.buffer);
    expect([first.length, second.length]).toEqual([300, 70000]);
  });

  it("reads a tag that was asked for, and no other", () => {
    expect(read("d280", { tags: [18] })).toEqual(new CborTag(18, []));
    expect(read("d9018fa0", { tags: [18, 399] })).toEqual(new CborTag(399, new Map()));
    for (const hex of ["d280", "d86280", "c074323031332d30332d32315432303a30343a30305a", "c249010000000000000000"]) {
      expect(refused(hex)).toBe(true);
      expect(refused(hex, { tags: [17, 19] })).toBe(true);
    }
    expect(refused("dbffffffffffffffff00", { tags: [18] })).toBe(true);
    expect(refused("d2", { tags: [18] })).toBe(true);
  });
});

describe("strictness", () => {
  it.each([
    ["nothing", ""],
    ["a byte behind the item", "0000"],
    ["a second item", "80f6"],
    ["an integer of one byte that fits the initial one", "1817"],
    ["an integer of two bytes that fits one", "1900ff"],
    ["an integer of four bytes that fits two", "1a0000ffff"],
    ["an integer of eight bytes that fits four", "1b00000000ffffffff"],
    ["a negative integer that is not minimal", "3800"],
    ["a length of bytes that is not minimal", "580161"],
    ["a length of a text that is not minimal", "780161"],
    ["a length of an array that is not minimal", "980100"],
    ["a length of a map that is not minimal", "b8010000"],
    ["a half float", "f93c00"],
    ["a float", "fa47c35000"],
    ["a double", "fb3ff199999999999a"],
    ["undefined", "f7"],
    ["a simple value", "f0"],
    ["a simple value of two bytes", "f8ff"],
    ["a boolean in two bytes", "f814"],
    ["reserved information 28", "1c"],
    ["reserved information 29", "3d"],
    ["reserved information 30", "5e"],
    ["reserved simple 28", "fc"],
    ["reserved information with enough bytes behind it", "1cffffffffffffffffffffffffffffffff"],
    ["a break alone", "ff"],
    ["an indefinite integer", "1f"],
    ["an indefinite negative integer", "3f00"],
    ["an indefinite tag", "df00"],
    ["bytes in pieces", "5f42010243030405ff"],
    ["a text in pieces", "7f657374726561646d696e67ff"],
    ["a text that is not UTF-8", "61ff"],
    ["an overlong encoding of a text", "62c080"],
    ["a surrogate in a text", "63eda080"],
    ["half a character", "61c3"],
    ["a key twice", "a201010102"],
    ["a text key twice", "a2616101616102"],
    ["a negative key twice", "a220012002"],
    ["a large key twice", "a21bffffffffffffffff011bffffffffffffffff02"],
    ["a key that is bytes", "a1410101"],
    ["a key that is an array", "a18001"],
    ["a key that is null", "a1f601"],
    ["a key that is true", "a1f501"],
    ["a key without a value", "a101"],
    ["a break for a value", "bf01ff"],
    ["a break in an array of a length", "81ff"],
    ["a break in a map of a length", "a1ff00"],
    ["a break for a value in a map of a length", "a101ff"],
    ["a map of a length that a break ends, among others", "82a1ff00"],
    ["an array of a length that a break ends, among others", "8281ff00"],
  ])("refuses %s", (_, hex) => {
    expect(refused(hex)).toBe(true);
    expect(refused(hex, { indefinite: true })).toBe(true);
  });

  it("takes maps and arrays without a length only where they are allowed", () => {
    for (const [hex, value] of [
      ["9fff", []],
      ["9f018202039f0405ffff", [1, [2, 3], [4, 5]]],
      ["bfff", new Map()],
      [
        "bf61610161629f0203ffff",
        new Map<string, Cbor>([
          ["a", 1],
          ["b", [2, 3]],
        ]),
      ],
    ] as const) {
      expect(read(hex, { indefinite: true })).toEqual(value);
      expect(refused(hex)).toBe(true);
    }
    for (const hex of ["9f", "9f00", "bf", "bf00", "bf0000", "bf01010102ff", "bf00ff", "9fffff"]) {
      expect(refused(hex, { indefinite: true })).toBe(true);
    }
  });

  it("tells texts apart by their bytes: a byte order mark and forms of one letter are no other spelling", () => {
    const mark = read("a263efbbbf016001") as ReadonlyMap<string, number>;
    expect([...mark.keys()]).toEqual(["\ufeff", ""]);
    const forms = read("a262c3bc016375cc8802") as ReadonlyMap<string, number>;
    expect([...forms.values()]).toEqual([1, 2]);
  });

  it("fails with the code that its caller names, in one line that says where", () => {
    expect(outcomeOf(() => readCbor(new Uint8Array(0), { code: "COLLATERAL_MALFORMED" }))).toBe("COLLATERAL_MALFORMED");
    const twice = cbor("k\n".repeat(500));
    try {
      read(Buffer.concat([Uint8Array.of(0xa2), twice, Uint8Array.of(1), twice, Uint8Array.of(1)]));
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message).toMatch(/^CBOR: the key [^\n]{1,120} stands twice/);
    }
  });
});

describe("bounds", () => {
  it("refuses what is nested deeper than its bound, of every kind, and reads what is not", () => {
    const nest = (open: string, close: string, depth: number) => open.repeat(depth) + "00" + close.repeat(depth);
    for (const [open, close] of [
      ["81", ""],
      ["a100", ""],
      ["9f", "ff"],
      ["bf00", "ff"],
      ["d2", ""],
    ] as const) {
      const options = { indefinite: true, tags: [18] };
      expect(refused(nest(open, close, 16), options)).toBe(false);
      expect(refused(nest(open, close, 17), options)).toBe(true);
      expect(refused(nest(open, close, 3), { ...options, maxDepth: 2 })).toBe(true);
      expect(refused(nest(open, close, 200_000), options)).toBe(true);
      expect(refused(open.repeat(200_000), options)).toBe(true);
    }
  });

  it("refuses lengths beyond the end at once, up to 2^64", () => {
    for (const major of ["5", "7", "9", "b"]) {
      for (const length of [
        "8ff",
        "9ffff",
        "affffffff",
        "bffffffffffffffff",
        "b0020000000000000",
        "b0000000100000000",
      ]) {
        expect(refused(`${major}${length}`)).toBe(true);
        expect(refused(`${major}${length}${"00".repeat(64)}`)).toBe(true);
      }
    }
    // Every entry of a map takes two bytes.
    expect(refused("a3000001")).toBe(true);
  });

  it("says what does not fit without looking for it", () => {
    for (const [hex, message] of [
      [
        "9bffffffffffffffff00",
        "CBOR: an array of 18446744073709551615 entries is cut short: 1 bytes are left (at byte 9)",
      ],
      ["baffffffff0000", "CBOR: a map of 4294967295 entries is cut short: 2 bytes are left (at byte 5)"],
      ["5affffffff00", "CBOR: a byte string of 4294967295 bytes is cut short: 1 are left (at byte 5)"],
      ["fb3ff199999999999a", "CBOR: a floating-point number (at byte 1)"],
    ] as const) {
      expect(() => read(hex)).toThrow(message);
    }
  });

  it("refuses every proper prefix of an item", () => {
    const whole = cbor([1, -500, "text", new Uint8Array(30), new Map<Item, Item>([[1, [2n ** 60n, null]]])]);
    expect(refused(whole)).toBe(false);
    for (let length = 0; length < whole.length; length++) expect(refused(whole.subarray(0, length))).toBe(true);
  });

  it("answers any bytes with a value or its own error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (given, indefinite) => {
        expect(["accepted", "EVIDENCE_MALFORMED"]).toContain(
          outcomeOf(() => read(given, { indefinite, tags: [18, 399] })),
        );
      }),
      { numRuns: 2000 },
    );
  });
});

describe("against a writer", () => {
  const item = fc.letrec<{ item: Item }>((tie) => ({
    item: fc.oneof(
      { maxDepth: 4 },
      fc.bigInt(-(2n ** 64n), 2n ** 64n - 1n).map((n) => (Number.isSafeInteger(Number(n)) ? Number(n) : n)),
      fc.integer(),
      fc.string({ unit: "grapheme" }),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array(),
      fc.array(tie("item"), { maxLength: 5 }),
      fc
        .uniqueArray(fc.tuple(fc.oneof(fc.integer(), fc.string()), tie("item")), {
          maxLength: 5,
          selector: ([key]) => key,
        })
        .map((entries) => new Map<Item, Item>(entries)),
    ),
  })).item;

  it("reads back what was written, from the one encoding of it", () => {
    fc.assert(
      fc.property(item, (value) => {
        const written = cbor(value);
        const back = read(written);
        expect(back).toEqual(value);
        expect(cbor(back as Item)).toEqual(written);
      }),
      { numRuns: 300 },
    );
  });

  it("writes heads in the shortest form", () => {
    for (const value of [0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1]) {
      for (const major of [0, 2, 3, 4, 5]) expect(cborHead(major, value)).toEqual(head(major, value));
    }
  });
});
