import { describe, expect, it } from "vitest";
import { PART_BYTES } from "../../../src/dataset/layout.js";
import { utf8 } from "../../../src/field/bytes.js";
import { outcome, readAll, recordsOf, refuses, survives, textOf, write } from "./support.js";

const LINE = 2 ** 24;

describe("bytes and text", () => {
  it("are a record a file", async () => {
    for (const [name, dtype] of [
      ["a.eml", "bytes"],
      ["a.txt", "text"],
      ["A.MD", "text"],
      ["plain", "bytes"],
    ] as const) {
      expect(await recordsOf(name, "hello\n")).toEqual([
        { dtype, shape: [6], name: "", label: "", cells: [], data: utf8("hello\n") },
      ]);
    }
    expect(await recordsOf("none.txt", "")).toEqual([
      { dtype: "text", shape: [0], name: "", label: "", cells: [], data: new Uint8Array() },
    ]);
  });

  it("come in parts of 1 MiB", async () => {
    const content = Uint8Array.from({ length: 2 * PART_BYTES + 5 }, (_, i) => (i * i) >> 7);
    const records = await recordsOf("long.bin", content);
    expect(records.map(({ part, parts, shape, data }) => [part, parts, shape, data.length])).toEqual([
      [0, 3, [content.length], PART_BYTES],
      [1, 3, [content.length], PART_BYTES],
      [2, 3, [content.length], 5],
    ]);
    expect(Buffer.concat(records.map(({ data }) => data)).equals(content)).toBe(true);
    const [one] = await recordsOf("whole.bin", content.subarray(0, PART_BYTES));
    expect({ ...one, data: one?.data.length }).toEqual({
      dtype: "bytes",
      shape: [PART_BYTES],
      name: "",
      label: "",
      cells: [],
      data: PART_BYTES,
    });
  });

  it("cut text inside a character, and still see what is no text", async () => {
    for (const character of ["é", "€", "😀"]) {
      const bytes = utf8(character);
      for (let before = 1; before < bytes.length; before++) {
        const text = new Uint8Array(PART_BYTES + 8).fill(0x61);
        const at = PART_BYTES - before;
        text.set(bytes, at);
        expect(await recordsOf("cut.txt", text)).toHaveLength(2);
        text[at + bytes.length - 1] = 0x61;
        const says = new RegExp(`not UTF-8 at byte ${at};`);
        await refuses("cut.txt", text, "DATASET_MALFORMED", says);
        await refuses("end.txt", text.subarray(0, at + bytes.length - 1), "DATASET_MALFORMED", says);
      }
    }
  });

  it("say where text is none", async () => {
    await refuses("latin.txt", Buffer.from("caf\xe9 au lait", "latin1"), "DATASET_MALFORMED", /not UTF-8 at byte 3;/);
    await refuses("overlong.txt", Buffer.from([0x61, 0xc0, 0x80]), "DATASET_MALFORMED", /at byte 1;/);
    await refuses("surrogate.txt", Buffer.from([0xed, 0xa0, 0x80]), "DATASET_MALFORMED", /at byte 0;/);
    await refuses("cut.txt", Buffer.from([0x61, 0x62, 0xf0, 0x9f, 0x98]), "DATASET_MALFORMED", /at byte 2;/);
    expect(await outcome("latin.eml", Buffer.from("caf\xe9", "latin1"))).toBe("read");
  });

  it("survive any damage", async () => {
    expect(await survives("some.txt", utf8("aé€😀\n"))).toEqual(new Set(["read", "DATASET_MALFORMED"]));
  });
});

describe("lines", () => {
  it("are a record each, without the line feed", async () => {
    const lines = async (content: string) => (await recordsOf("l.txt", content, { lines: true })).map(textOf);
    expect(await lines("")).toEqual([]);
    expect(await lines("\n")).toEqual([""]);
    expect(await lines("a\nb")).toEqual(["a", "b"]);
    expect(await lines("a\nb\n")).toEqual(["a", "b"]);
    expect(await lines("a\n\nb\r\n \n")).toEqual(["a", "", "b\r", " "]);
    expect(await recordsOf("l.log", "é\n", { lines: true })).toEqual([
      { dtype: "text", shape: [2], name: "", label: "", cells: [], data: utf8("é") },
    ]);
    const [latin] = await recordsOf("l.log", Buffer.from("\xe9\n", "latin1"), { lines: true, format: "bytes" });
    expect(latin).toMatchObject({ dtype: "bytes", shape: [1] });
  });

  it("say which they are", async () => {
    const { all } = await readAll(await write("n.txt", "a\n\nb"), { lines: true });
    expect(all.map(({ source }) => source.line)).toEqual([1, 2, 3]);
  });

  it("are the same wherever the file was cut into blocks", async () => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `${"é€😀a".repeat(i % 7)}${i}`);
    const records = await recordsOf("many.txt", lines.join("\n"), { lines: true });
    expect(records.map(textOf)).toEqual(lines);
  });

  it("come in parts when they are long, up to a limit", async () => {
    const long = "a".repeat(PART_BYTES + 1);
    const records = await recordsOf("long.txt", `x\n${long}\ny`, { lines: true });
    expect(records.map(({ shape, part = 0, parts = 1 }) => [shape, part, parts])).toEqual([
      [[1], 0, 1],
      [[PART_BYTES + 1], 0, 2],
      [[PART_BYTES + 1], 1, 2],
      [[1], 0, 1],
    ]);
    const most = Buffer.alloc(LINE + 2, 0x61);
    most[0] = 10;
    expect(await outcome("most.txt", most.subarray(0, LINE + 1), { lines: true })).toBe("read");
    await refuses("more.txt", most, "INPUT_TOO_LARGE", /line 2 is longer than 16777216 bytes/, { lines: true });
    most[LINE + 1] = 10;
    most[0] = 0x61;
    await refuses("more.txt", most, "INPUT_TOO_LARGE", /line 1 /, { lines: true });
  });

  it("say where they are no text", async () => {
    const content = Buffer.concat([utf8("é\n".repeat(100_000)), Buffer.from("ab\xff\n", "latin1")]);
    await refuses("l.txt", content, "DATASET_MALFORMED", /line 100001 is not UTF-8 after 2 bytes/, { lines: true });
    await refuses("l.txt", Buffer.from("a\nb\xe9", "latin1"), "DATASET_MALFORMED", /line 2 .* after 1 /, {
      lines: true,
    });
  });
});
