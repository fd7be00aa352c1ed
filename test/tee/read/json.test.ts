import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAnchorError } from "../../../src/errors.js";
import { rawMember, readJson, readJsonObject } from "../../../src/tee/read/json.js";

const options = { code: "COLLATERAL_MALFORMED", what: "the document" } as const;

function refused(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isAnchorError(error, "COLLATERAL_MALFORMED")) return error.message;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("strict JSON", () => {
  test("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(0, 1, "\t"), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), null, indent);
        expect(readJson(spaced, options)).toEqual(JSON.parse(spaced));
        expect(readJson(new TextEncoder().encode(spaced), options)).toEqual(JSON.parse(spaced));
      }),
      { numRuns: 300 },
    );
  });

  test("refuses every text that JSON.parse refuses", () => {
    const alphabet = fc.constantFrom(...'{}[]",:\\u0123456789abcdefE+-. \n\ttrulns\u0001\ud83d\ude00'.split(""));
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 24 }), (text) => {
        let value: unknown;
        try {
          value = JSON.parse(text);
        } catch {
          refused(() => readJson(text, options));
          return;
        }
        let mine: unknown;
        try {
          mine = readJson(text, options);
        } catch (error) {
          // Only for what it is stricter about.
          expect(String(error)).toMatch(/twice in one object|surrogate|out of range/);
          return;
        }
        expect(mine).toEqual(value);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["a key twice", '{"a":1,"a":2}', /the key "a" twice/],
    ["a key twice, one of them escaped", '{"a":1,"\\u0061":2}', /the key "a" twice/],
    ["a key twice deep inside", '[{"b":{"a":1,"a":1}}]', /twice/],
    ["__proto__ twice", '{"__proto__":1,"__proto__":2}', /twice/],
    ["something behind it", '{"a":1} x', /goes on after its end, at character 8/],
    ["two values", "1 2", /goes on/],
    ["a comma too many", '{"a":1,}', /a key is missing/],
    ["an empty text", "", /a value is missing at its end/],
    ["a lone surrogate", '"\ud800"', /surrogate/],
    ["a lone surrogate by escape", '"\\ud800"', /surrogate/],
    ["surrogates in the wrong order", '"\\udc00\\ud800"', /surrogate/],
    ["a control character", '"\u0001"', /a character of a string/],
    ["an unknown escape", '"\\x41"', /unknown escape/],
    ["an escape that Object knows", '"\\constructor"', /unknown escape/],
    ["a string without an end", '"abc', /at its end/],
    ["a leading zero", "01", /goes on/],
    ["a number beyond doubles", "1e999", /out of range/],
    ["a number of a million digits", "1".repeat(1_000_000), /out of range/],
    ["NaN", "NaN", /a value is missing/],
    ["a byte order mark", "\ufeff{}", /a value is missing/],
  ])("refuses %s", (_, text, message) => {
    expect(refused(() => readJson(text, options))).toMatch(message);
  });

  test("refuses bytes that are not UTF-8, and a byte order mark", () => {
    expect(refused(() => readJson(Uint8Array.of(0x22, 0xff, 0x22), options))).toMatch(/not UTF-8/);
    expect(refused(() => readJson(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), options))).toMatch(/not UTF-8/);
    expect(refused(() => readJson(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31), options))).toMatch(/a value is missing/);
  });

  test("has bounds of depth and length", () => {
    expect(refused(() => readJson("[".repeat(1_000_000), options))).toMatch(/nested more than 32 deep/);
    expect(refused(() => readJson('{"a":'.repeat(100_000), options))).toMatch(/nested/);
    expect(readJson(`${"[".repeat(32)}${"]".repeat(32)}`, options)).toBeDefined();
    expect(refused(() => readJson(`${"[".repeat(33)}${"]".repeat(33)}`, options))).toMatch(/nested/);
    expect(refused(() => readJson(`"${"a".repeat(20)}"`, { ...options, maxLength: 20 }))).toMatch(/longer than 20/);
  });

  test("a prototype stays what it is", () => {
    const value = readJsonObject('{"__proto__":{"polluted":true},"constructor":1}', options);
    expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect("polluted" in value).toBe(false);
  });

  test("integers that lose digits are not safe ones", () => {
    expect(Number.isSafeInteger(readJson("9007199254740993", options))).toBe(false);
  });

  test("an array is no object", () => {
    expect(refused(() => readJsonObject("[]", options))).toMatch(/not a JSON object/);
  });
});

describe("the source of a member", () => {
  const response = '{ "signature" : "00" , "tcbInfo":  { "b" : [1, 2] ,"a":"\\u0041" }\n}';

  test("is exactly what stands there", () => {
    expect(rawMember(response, "tcbInfo", options)).toBe('{ "b" : [1, 2] ,"a":"\\u0041" }');
    expect(rawMember(response, "signature", options)).toBe('"00"');
    expect(rawMember('{"\\u0061":1}', "a", options)).toBe("1");
  });

  test("members inside of members do not count", () => {
    expect(refused(() => rawMember(response, "b", options))).toMatch(/no member "b"/);
    expect(refused(() => rawMember('[{"a":1}]', "a", options))).toMatch(/no member "a"/);
    expect(refused(() => rawMember("{}", "__proto__", options))).toMatch(/no member/);
  });

  test("a member that stands twice is refused", () => {
    expect(refused(() => rawMember('{"tcbInfo":{},"tcbInfo":{"a":1}}', "tcbInfo", options))).toMatch(/twice/);
  });
});
