import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { membersOf } from "../../../src/dataset/readers/json.js";
import type { Column } from "../../../src/dataset/record.js";
import { utf8 } from "../../../src/field/bytes.js";
import { readAll, recordsOf, refuses, survives, textOf, write } from "./support.js";

const COLUMNS: Column[] = [
  { name: "price", type: "decimal", digits: 2 },
  { name: "score", type: "float" },
  { name: "city", type: "text" },
];
const OPTIONS = { name: "id", label: "class", content: "text", columns: COLUMNS };

describe("JSON Lines", () => {
  it("are the lines as they are written", async () => {
    const lines = ['{"a": 1.0}', "[1, 2]", '"é"', " null\t\r", "5"];
    const records = await recordsOf("a.jsonl", `\ufeff${lines.join("\n")}\n`);
    expect(records.map(textOf)).toEqual(lines);
    expect(records[2]).toEqual({ dtype: "text", shape: [4], name: "", label: "", cells: [], data: utf8('"é"') });
  });

  it("give fields as name, label, content and cells", async () => {
    const lines = [
      '{"text": "a \\"b\\" \\u00e9", "id": "x/1", "class": "spam", "price": -12.5, "score": 1e-3, "city": "Zürich", "z": {}}',
      '{"city":"","class":3,"id":null,"text":"","price":12345678901234567.89,"score":7}',
      ' { "te\\u0078t" : "t" , "class" : true , "nested" : {"text": "no", "q": ["}", "\\\\"]} } ',
    ];
    const { all, columns } = await readAll(await write("b.ndjson", lines.join("\n")), OPTIONS);
    expect(columns).toEqual(COLUMNS);
    expect(all.map(({ record }) => ({ ...record, data: textOf(record) }))).toEqual([
      { dtype: "text", shape: [8], name: "x/1", label: "spam", cells: [-1250n, 0.001, "Zürich"], data: 'a "b" é' },
      { dtype: "text", shape: [0], name: "", label: "3", cells: [1234567890123456789n, 7, ""], data: "" },
      { dtype: "text", shape: [1], name: "", label: "true", cells: [null, null, null], data: "t" },
    ]);
    expect(all.map(({ source }) => source.line)).toEqual([1, 2, 3]);
  });

  it.each<[string, RegExp]>([
    ["{", /line 2 is not JSON: /],
    ["", /line 2 is not JSON: /],
    ["{} {}", /line 2 is not JSON: /],
    ["NaN", /line 2 is not JSON: /],
    ["[".repeat(100_000), /line 2 is not JSON: /],
    ["[1]", /line 2 is not a JSON object/],
    ['{"text":"a","text":"a"}', /line 2 has "text" twice/],
    ['{"text":"a","te\\u0078t":"a"}', /line 2 has "text" twice/],
    ["{}", /line 2 has no field "text"/],
    ['{"text":1}', /line 2 has a field "text" that is not a string/],
    ['{"text":"\\ud800"}', /line 2 has a field "text" that has half a surrogate pair/],
    ['{"text":"a","id":["b"]}', /line 2 has a field "id" that is a list or an object/],
    ['{"text":"a","class":"\\udc00"}', /line 2 has a field "class" that has half/],
    ['{"text":"a","price":"1"}', /line 2 has a field "price" that is not a decimal number/],
    ['{"text":"a","price":1e2}', /line 2 has a field "price" that is not a decimal number/],
    ['{"text":"a","price":0.001}', /has 3 digits after the point; the column has 2/],
    ['{"text":"a","price":92233720368547758.08}', /needs more than 64 bits/],
    ['{"text":"a","score":1e999}', /"score" that is not a number/],
    ['{"text":"a","score":true}', /"score" that is not a number/],
    ['{"text":"a","city":1}', /"city" that is not a string/],
  ])("refuses %.40s", async (line, says) => {
    await refuses("c.jsonl", `{"text":"good"}\n${line}\n{"text":"good"}`, "DATASET_MALFORMED", says, OPTIONS);
  });

  it("refuses what is too long", async () => {
    const long = (field: string, length: number) => `{"text":"","${field}":"${"a".repeat(length)}"}`;
    for (const [line, says] of [
      [long("id", 1025), /line 1, "id" is a name or label of more than 1024 bytes/],
      [long("class", 1025), /line 1, "class" is a name or label/],
      [long("city", 2 ** 20 + 1), /line 1, "city" is longer than 1048576 bytes/],
      [long("other", 2 ** 22), /line 1 is longer than 4194304 bytes/],
      [long("other", 2 ** 24), /line 1 is longer than 16777216 bytes/],
    ] as const) {
      await refuses("d.jsonl", line, "INPUT_TOO_LARGE", says, OPTIONS);
    }
    expect(await recordsOf("d.jsonl", `${long("id", 1024)}\n${long("city", 2 ** 20)}`, OPTIONS)).toHaveLength(2);
  });

  it("survive any damage", async () => {
    const line = '{"text":"aé","id":"\\u00e9","price":1.25,"score":-0e1}\n';
    expect(await survives("e.jsonl", utf8(line), OPTIONS)).toEqual(new Set(["read", "DATASET_MALFORMED"]));
  });

  it("have members as JSON.parse sees them", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(2), (object, indent) => {
        const members = membersOf(JSON.stringify(object, null, indent)) as Map<string, string>;
        const plain = Object.entries(object).map(([key, value]) => [key, JSON.parse(JSON.stringify(value))]);
        expect([...members].map(([key, raw]) => [key, JSON.parse(raw)])).toEqual(plain);
      }),
    );
  });
});
