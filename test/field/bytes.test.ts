import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  assertHex,
  capacityTag,
  concat,
  fromHex,
  keccak,
  packElements,
  tag,
  toHex,
  utf8,
  word,
} from "../../src/field/bytes.js";
import { R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

describe("hex", () => {
  it("has one spelling, which goes both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        expect(toHex(bytes)).toBe(`0x${Buffer.from(bytes).toString("hex")}`);
        expect(fromHex(toHex(bytes), "x", bytes.length)).toEqual(bytes);
        expect(fromHex(toHex(bytes), "x")).toEqual(bytes);
      }),
    );
    expect(fromHex("0x", "x")).toEqual(new Uint8Array());
    expect(fromHex("0x00ff", "x")).toEqual(new Uint8Array([0, 255]));
  });

  it.each([
    "0xAB",
    "0xaB",
    "0X00",
    "0x0",
    "0xabc",
    "00",
    "",
    "0x0g",
    "0x 0",
    "0x00 ",
    " 0x00",
    "0x00\n",
    "0x00\n0x00",
    "0x-1",
    "0x０0",
  ])("refuses %j", (text) => {
    expect(() => fromHex(text, "digest")).toThrowError(code("INPUT_INVALID"));
    expect(() => assertHex(text, "digest")).toThrowError(/^digest must/);
  });

  it("refuses what is no string", () => {
    for (const value of [undefined, null, 0, 0n, ["0x00"], { toString: () => "0x00" }, new Uint8Array(2)]) {
      expect(() => fromHex(value, "x")).toThrowError(code("INPUT_INVALID"));
    }
  });

  it("refuses another length than the one asked for", () => {
    const digest = `0x${"11".repeat(32)}`;
    expect(fromHex(digest, "digest", 32)).toHaveLength(32);
    for (const length of [0, 31, 33, 64]) {
      expect(() => fromHex(digest, "digest", length)).toThrowError(code("INPUT_INVALID"));
    }
    expect(() => fromHex("0x", "digest", 32)).toThrowError(code("INPUT_INVALID"));
  });
});

describe("word", () => {
  it("is 32 bytes, big-endian", () => {
    expect(toHex(word(0x0102n))).toBe(`0x${"00".repeat(30)}0102`);
    expect(() => word(-1n)).toThrowError(code("INPUT_INVALID"));
    expect(() => word(2n ** 256n)).toThrowError(code("INPUT_INVALID"));
  });
});

describe("keccak", () => {
  it("is Ethereum's, over the concatenation of its parts", () => {
    expect(toHex(keccak())).toBe("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    expect(toHex(tag("Transfer(address,address,uint256)"))).toBe(
      "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
    );
    expect(keccak(utf8("ab"), utf8(""), utf8("c"))).toEqual(keccak(concat(utf8("abc"))));
  });
});

describe("capacityTag", () => {
  it("is the ASCII bytes, below 2^64 so that lengths fit above", () => {
    expect(capacityTag("ap_leaf")).toBe(0x61705f6c656166n);
    expect(capacityTag("ap_chunk")).toBe(0x61705f6368756e6bn);
    expect(capacityTag("~".repeat(8)) < 1n << 64n).toBe(true);
  });

  it.each(["", "ap_chunks", "ap_né", "a\u007f", "a\n", "a\0"])("refuses %j", (text) => {
    expect(() => capacityTag(text)).toThrowError(code("INTERNAL"));
  });
});

describe("packElements", () => {
  it("puts 31 bytes in an element, big-endian, and fills the last with zeros on the right", () => {
    expect(packElements(new Uint8Array())).toEqual([]);
    expect(packElements(new Uint8Array([1]))).toEqual([1n << 240n]);
    expect(packElements(new Uint8Array(31).fill(255))).toEqual([(1n << 248n) - 1n]);
    const bytes = Uint8Array.from({ length: 33 }, (_, i) => i);
    expect(packElements(bytes)).toEqual([
      BigInt(`0x${Buffer.from(bytes.subarray(0, 31)).toString("hex")}`),
      0x1f20n << (29n * 8n),
    ]);
  });

  it("gives scalars from which, with the length, the bytes come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const elements = packElements(bytes);
        expect(elements).toHaveLength(Math.ceil(bytes.length / 31));
        expect(elements.every((element) => element >= 0n && element < 1n << 248n && element < R)).toBe(true);
        const hex = elements.map((element) => element.toString(16).padStart(62, "0")).join("");
        expect(new Uint8Array(Buffer.from(hex, "hex").subarray(0, bytes.length))).toEqual(bytes);
      }),
    );
  });

  it("reads a view from its own offset", () => {
    const buffer = Uint8Array.from({ length: 64 }, (_, i) => i + 1);
    expect(packElements(buffer.subarray(2, 40))).toEqual(packElements(buffer.slice(2, 40)));
  });
});
