import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openReader } from "../../../src/dataset/index.js";
import type { Column } from "../../../src/dataset/record.js";
import { utf8 } from "../../../src/field/bytes.js";
import { readAll, recordsOf, refuses, survives, textOf, write } from "./support.js";

const columnsOf = async (content: string, options = {}) => {
  const { columns } = await openReader(await write("columns.csv", content), options);
  return columns.map(({ name, type, digits }) => `${name} ${type}${digits === undefined ? "" : ` ${digits}`}`);
};
const cellsOf = async (content: string, options = {}) =>
  (await recordsOf("cells.csv", content, options)).map(({ cells }) => cells);
/** The type of a column with these cells. */
const typeOf = async (...cells: string[]) =>
  (await columnsOf(`x,y\n${cells.map((cell) => `${cell},1\n`).join("")}`))[0];

describe("CSV", () => {
  it("is a record a row, a cell a column", async () => {
    const table = '\ufeffid,price,score,city\r\n1,12.5,1e-3,Zürich\r\n-2,0.25,7,\r\n,,,"a ""b"",\r\nc"\r\n3,-0,0.5,""';
    const { all, columns } = await readAll(await write("a.csv", table));
    expect(columns).toEqual([
      { name: "id", type: "decimal", digits: 0 },
      { name: "price", type: "decimal", digits: 2 },
      { name: "score", type: "float" },
      { name: "city", type: "text" },
    ]);
    expect(all.map(({ record }) => record.cells)).toEqual([
      [1n, 1250n, 0.001, "Zürich"],
      [-2n, 25n, 7, null],
      [null, null, null, 'a "b",\r\nc'],
      [3n, 0n, 0.5, ""],
    ]);
    expect(all.map(({ source }) => source.line)).toEqual([2, 3, 4, 6]);
    expect({ ...all[0]!.record, cells: [] }).toEqual({
      dtype: "bytes",
      shape: [0],
      name: "",
      label: "",
      cells: [],
      data: new Uint8Array(),
    });
  });

  it("takes name, label and content out of the cells", async () => {
    const table = 'text,class,n,id\n"hé\nllo",spam,1,a\n,,2,\n';
    const options = { name: "id", label: "class", content: "text" };
    expect(await columnsOf(table, options)).toEqual(["n decimal 0"]);
    expect(await recordsOf("b.csv", table, options)).toEqual([
      { dtype: "text", shape: [7], name: "a", label: "spam", cells: [1n], data: utf8("hé\nllo") },
      { dtype: "text", shape: [0], name: "", label: "", cells: [2n], data: new Uint8Array() },
    ]);
    expect(await columnsOf("text\nwords\n", { content: "text" })).toEqual([]);
  });

  it("splits long contents, whose cells count once", async () => {
    const long = "a".repeat(2 ** 20 + 1);
    const records = await recordsOf("c.csv", `text,n\n${long},5\n`, { content: "text" });
    expect(records.map(({ part, parts, cells }) => [part, parts, cells])).toEqual([
      [0, 2, [5n]],
      [1, 2, [null]],
    ]);
  });

  it("finds types that lose nothing", async () => {
    expect(await typeOf()).toBe("x text");
    expect(await typeOf("", '""')).toBe("x text");
    expect(await typeOf("1", "", "-2")).toBe("x decimal 0");
    expect(await typeOf("1.50", "100")).toBe("x decimal 2");
    expect(await typeOf('"7"', "0.0")).toBe("x decimal 1");
    expect(await typeOf("999999999999999999")).toBe("x decimal 0");
    expect(await typeOf("1000000000000000000")).toBe("x text"); // names of things: a float has not their digits
    expect(await typeOf("1000000000000000000", "0.5")).toBe("x float");
    expect(await typeOf("0.123456789012345678")).toBe("x decimal 18");
    expect(await typeOf("0.123456789012345678", "10")).toBe("x float");
    expect(await typeOf("1e5", "2")).toBe("x float");
    expect(await typeOf("-1.5E-7")).toBe("x float");
    for (const text of [
      "007",
      "1.",
      ".5",
      "+1",
      "1e999",
      "NaN",
      "inf",
      "0x10",
      " 1",
      "1 000",
      "1e",
      "-",
      "--1",
      "１",
    ]) {
      expect(await typeOf("1", text)).toBe("x text");
    }
  });

  it("holds cells to columns that are given", async () => {
    const columns: Column[] = [
      { name: "a", type: "decimal", digits: 3 },
      { name: "b", type: "float" },
      { name: "c", type: "text" },
    ];
    expect(await cellsOf('a,b,c\n1.5,1,1\n-0,,""\n9223372036854775.807,-0,x\n', { columns })).toEqual([
      [1500n, 1, "1"],
      [0n, null, ""],
      [9223372036854775807n, -0, "x"],
    ]);
    const wrong = (row: string, says: RegExp) =>
      refuses("d.csv", `a,b,c\n1,1,1\n${row}\n`, "DATASET_MALFORMED", says, { columns });
    await wrong("1.0005,,", /line 3 has a cell "a" that has 4 digits after the point; the column has 3/);
    await wrong("x,,", /line 3 has a cell "a" that is not a decimal number/);
    await wrong("1e3,,", /is not a decimal number/);
    await wrong(`${"1".repeat(70)},,`, /is not a decimal number/);
    await wrong("9223372036854775.808,,", /needs more than 64 bits with 3 digits/);
    await wrong(",x,", /line 3 has a cell "b" that is not a number/);
    await wrong(",1e999,", /is not a number/);
    const names = /line 1 names the columns "a", "c"; "a", "b", "c" are expected/;
    await refuses("e.csv", "a,c\n", "DATASET_MALFORMED", names, { columns });
    await refuses("e.csv", "b,a,c\n", "DATASET_MALFORMED", /are expected/, { columns });
  });

  it.each<[string, string, RegExp]>([
    ["an empty file", "", /is empty/],
    ["a byte order mark alone", "\ufeff", /is empty/],
    ["a column without a name", "a,,c\n", /line 1 has no name for column 2/],
    ["a name that stands twice", "a,b,a\n", /line 1 names column "a" twice/],
    ["a row too short", "a,b\n1,2\n1\n", /line 3 has 1 fields; the first has 2/],
    ["a row too long", "a,b\n1,2,3\n", /line 2 has 3 fields/],
    ["a blank line", "a,b\n\n1,2\n", /line 2 has 1 fields/],
    ["quotes inside a field", 'a,b\n1,x"y"\n', /line 2 has quotes inside a field without quotes/],
    ["text after quotes", 'a,b\n1,"x" \n', /line 2 goes on after quotes/],
    ["quotes that stay open", 'a,b\n1,2\n"x,\n,y\n', /line 3 opens quotes that are not closed/],
    ["quotes that are doubled at the end", 'a,b\n1,"x""\n', /line 2 opens quotes that are not closed/],
    ["a carriage return alone", "a,b\n1\r,2\n", /line 2 has a carriage return outside of quotes/],
    ["a carriage return at the end", "a,b\n1,2\r", /line 2 has a carriage return outside of quotes/],
    ["a carriage return after quotes", 'a,b\n"\n",2\rx\n', /line 3 has a carriage return outside of quotes/],
  ])("refuses %s", async (_, content, says) => {
    await refuses("f.csv", content, "DATASET_MALFORMED", says);
    const columns: Column[] = ["a", "b"].map((name) => ({ name, type: "text" }));
    await refuses("f.csv", content, "DATASET_MALFORMED", says, { columns });
  });

  it("says which line is not UTF-8", async () => {
    const content = Buffer.concat([utf8('a,b\n"\n\n",é\n'), Buffer.from("1,\xff\n", "latin1")]);
    await refuses("g.csv", content, "DATASET_MALFORMED", /line 5 is not UTF-8 after 2 bytes/);
  });

  it("refuses names of columns that are not there", async () => {
    for (const field of ["name", "label", "content"]) {
      await refuses("h.csv", "a,b\n1,2\n", "DATASET_MALFORMED", /line 1 names no column "z"/, { [field]: "z" });
    }
  });

  it("refuses what is too large", async () => {
    const wide = (count: number) => `${Array.from({ length: count }, (_, i) => `c${i}`).join(",")}\n`;
    expect(await columnsOf(wide(80))).toHaveLength(80);
    await refuses("i.csv", wide(81), "INPUT_TOO_LARGE", /81 columns; a record has at most 80 cells/);
    await refuses("i.csv", wide(5000), "INPUT_TOO_LARGE", /line 1 has more than 4096 fields/);
    await refuses("i.csv", `"a",${wide(5000)}`, "INPUT_TOO_LARGE", /line 1 has more than 4096 fields/);
    await refuses(
      "i.csv",
      `a\n${"b".repeat(2 ** 20 + 1)}\n`,
      "INPUT_TOO_LARGE",
      /line 2, "a" is longer than 1048576 bytes/,
    );
    await refuses("i.csv", `a\nx\n${"b".repeat(2 ** 24 + 1)}\n`, "INPUT_TOO_LARGE", /line 3 is longer/);
    await refuses("i.csv", `a\nx\n"${"b\n".repeat(2 ** 23)}"\n`, "INPUT_TOO_LARGE", /line 3 is longer/);
    const label = `a,b\n1,${"b".repeat(1025)}\n`;
    await refuses("i.csv", label, "INPUT_TOO_LARGE", /line 2, "b" is a name or label of more than/, { label: "b" });
    await refuses("i.csv", `${"a".repeat(1025)}\n`, "INPUT_TOO_LARGE", /the name of column 1 is/);
  });

  it("survives any damage", async () => {
    const table = utf8('id,é\r\n1.5,"a""\n"\r\n-2,\r\n');
    expect(await survives("j.csv", table)).toEqual(new Set(["read", "DATASET_MALFORMED"]));
  });

  it("reads any table that is written by the rules, with either line end, wherever blocks end", async () => {
    const field = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 8 }),
      fc.constantFrom('"', '""', ",", "\n", "\r\n", "", "a"),
    );
    const table = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom("\n", "\r\n"), fc.boolean())
      .chain(([width, end, final]) =>
        fc.record({
          rows: fc.array(fc.array(fc.option(field), { minLength: width, maxLength: width }), { maxLength: 6 }),
          width: fc.constant(width),
          end: fc.constant(end),
          final: fc.constant(final),
          times: fc.constantFrom(1, 1, 1, 3000),
        }),
      );
    await fc.assert(
      fc.asyncProperty(table, async ({ rows, width, end, final, times }) => {
        const columns = Array.from({ length: width }, (_, i): Column => ({ name: `c${i}`, type: "text" }));
        const quoted = (text: string | null) => (text === null ? "" : `"${text.replaceAll('"', '""')}"`);
        const body = rows.map((row) => row.map(quoted).join(",") + end).join("");
        const content = columns.map(({ name }) => name).join(",") + end + body.repeat(times);
        const cells = await cellsOf(final ? content : content.slice(0, -end.length), { columns });
        const expected = Array.from({ length: times }, () => rows).flat();
        // A last row of one missing value is nothing, without its line end.
        const last = expected.at(-1);
        if (!final && width === 1 && last?.[0] === null) expected.pop();
        expect(JSON.stringify(cells)).toBe(JSON.stringify(expected));
      }),
      { numRuns: 40 },
    );
  }, 30_000);

  it("keeps text as it is", async () => {
    const [record] = await recordsOf("k.csv", "a,b\n\ufeff x ,\0\n", { content: "a" });
    expect([textOf(record!), record!.cells]).toEqual(["\ufeff x ", ["\0"]]);
  });
});
