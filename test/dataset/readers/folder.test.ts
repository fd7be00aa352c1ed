import { createHash } from "node:crypto";
import { appendFile, rename, symlink, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { openReader, type ReaderOptions, type ReaderProgress } from "../../../src/dataset/index.js";
import { utf8 } from "../../../src/field/bytes.js";
import { code } from "../../support/errors.js";
import { readAll, textOf, write } from "./support.js";

const sha256 = (content: string) => createHash("sha256").update(content).digest("hex");

/** Reads from a reader until its end. */
async function drain(reader: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of reader) count++;
  return count;
}

/** A clock's tick later, so that a file that is written again has another time. */
const tick = () => sleep(20);

describe("a folder", () => {
  it("is its files in the order of their paths, each by its own format", async () => {
    const files = {
      "spam/2.txt": "two",
      "spam-/1.txt": "dash", // "-" is before "/"
      "spam/1.eml": "one",
      "ham/deep/er/x": "deep",
      "Z.txt": "upper",
      "a.jsonl": "1\n2\n",
      "é.txt": "accent",
    };
    let path = "";
    for (const [name, content] of Object.entries(files)) path = await write(`one/${name}`, content);
    const reader = await readAll(dirname(path), { labelFrom: "folder" });
    expect(reader.all.map(({ record }) => [record.name, record.label, record.dtype, textOf(record)])).toEqual([
      ["Z.txt", "", "text", "upper"],
      ["a.jsonl", "", "text", "1"],
      ["a.jsonl", "", "text", "2"],
      ["ham/deep/er/x", "ham", "bytes", "deep"],
      ["spam-/1.txt", "spam-", "text", "dash"],
      ["spam/1.eml", "spam", "bytes", "one"],
      ["spam/2.txt", "spam", "text", "two"],
      ["é.txt", "", "text", "accent"],
    ]);
    expect(reader.files[1]).toEqual({ path: "a.jsonl", bytes: 4, format: "jsonl" });
    expect(reader.bytes).toBe(29);
    const sorted = reader.files.map((file) => file.path);
    expect(reader.digests()).toEqual(
      sorted.map((name) => {
        const content = files[name as keyof typeof files];
        return { path: name, bytes: utf8(content).length, sha256: `0x${sha256(content)}` };
      }),
    );
    const list = sorted.map((name) => `${sha256(files[name as keyof typeof files])}  ${name}\n`).join("");
    expect(reader.sha256()).toBe(`0x${sha256(list)}`);
    const forced = await readAll(dirname(path), { format: "bytes" });
    expect(forced.all.map(({ record }) => record.dtype)).toEqual(new Array(7).fill("bytes"));
  });

  it("has one set of columns for all its tables, null where a file is none", async () => {
    await write("two/a.csv", "n,kind\n1,x\n");
    await write("two/b.csv", "n,kind\n2.5,y\n");
    await write("two/c.txt", "text");
    const wav = Buffer.alloc(44);
    wav.write("RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data", "latin1");
    const path = await write("two/d.wav", wav);
    const reader = await readAll(dirname(path), { label: "kind" });
    expect(reader.columns).toEqual([
      { name: "n", type: "decimal", digits: 1 },
      { name: "sample_rate", type: "decimal", digits: 0 },
    ]);
    expect(reader.all.map(({ record }) => [record.name, record.label, record.cells])).toEqual([
      ["a.csv", "x", [10n, null]],
      ["b.csv", "y", [25n, null]],
      ["c.txt", "", [null, null]],
      ["d.wav", "", [null, 8000n]],
    ]);
    await write("two/e.csv", "kind,n\nx,1\n");
    await expect(openReader(dirname(path), { label: "kind" })).rejects.toThrow(code("DATASET_MALFORMED"));
  });

  it("gives tensors the path of their file", async () => {
    const header = '{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
    const content = Buffer.concat([Buffer.alloc(8), Buffer.from(`${header}\x05`)]);
    content.writeUInt8(header.length, 0);
    const { all } = await readAll(dirname(await write("three/m.safetensors", content)));
    expect(all.map(({ record }) => record.name)).toEqual(["m.safetensors/t"]);
  });

  it("refuses links, and paths that are too long", async () => {
    const path = dirname(await write("four/a.txt", "a"));
    await symlink("a.txt", join(path, "b.txt"));
    await expect(openReader(path)).rejects.toThrow(code("INPUT_INVALID"));
    const long = Array.from({ length: 6 }, () => "d".repeat(200)).join("/");
    await write(`five/${long}`, "a");
    await expect(openReader(join(dirname(path), "five"))).rejects.toThrow(code("INPUT_TOO_LARGE"));
  });

  it("may be empty", async () => {
    const path = dirname(dirname(await write("six/inner/a", "a")));
    await rename(join(path, "inner"), join(dirname(path), "elsewhere"));
    expect((await readAll(path)).all).toEqual([]);
  });
});

describe("openReader", () => {
  it("refuses what it cannot read", async () => {
    const path = await write("some.txt", "text");
    await expect(openReader(`${path}.not`)).rejects.toThrow(code("FILE_NOT_FOUND"));
    await expect(openReader("/dev/null")).rejects.toThrow(code("INPUT_INVALID"));
    for (const options of [
      { format: "xml" },
      { format: "toString" },
      { labelFrom: "file" },
      { label: 5 },
      { label: "a", name: "a" },
      { columns: [{ name: "a", type: "date" }] },
    ]) {
      await expect(openReader(path, options as ReaderOptions)).rejects.toThrow(code("INPUT_INVALID"));
    }
  });

  it("reads again from the start, and knows digests when all was read", async () => {
    const reader = await openReader(await write("again.txt", "a\nb\n"), { lines: true });
    expect(() => reader.digests()).toThrow(code("INPUT_INVALID"));
    for await (const _ of reader.records) break;
    expect(() => reader.sha256()).toThrow(code("INPUT_INVALID"));
    expect(await drain(reader.records)).toBe(2);
    expect(await drain(reader.batches)).toBe(1);
    expect(reader.sha256()).toBe(`0x${sha256("a\nb\n")}`);
  });

  it("prints names as sha256sum does", async () => {
    const path = dirname(await write("sums/a\\b\nc", "x"));
    const { sha256: digest } = await readAll(path);
    expect(digest()).toBe(`0x${sha256(`\\${sha256("x")}  a\\\\b\\nc\n`)}`);
  });

  it("tells progress, and stops on request", async () => {
    const content = `n\n${"12345\n".repeat(200_000)}`;
    const path = await write("progress.csv", content);
    const seen: ReaderProgress[] = [];
    const abort = new AbortController();
    const options = { signal: abort.signal, onProgress: (progress: ReaderProgress) => seen.push(progress) };
    const reader = await openReader(path, options);
    await drain(reader.batches);
    for (const phase of ["columns", "records"]) {
      const of = seen.filter((each) => each.phase === phase);
      expect(of.length).toBeGreaterThan(3);
      expect(of.at(-1)).toEqual({ phase, done: content.length, total: content.length });
    }
    const stopped = async () => {
      for await (const _ of reader.batches) abort.abort();
    };
    await expect(stopped()).rejects.toThrow(code("ABORTED"));
    await expect(openReader(path, options)).rejects.toThrow(code("ABORTED"));
  });

  it("refuses a file that changes", async () => {
    const content = "12345\n".repeat(200_000);
    const changes: [string, (path: string) => Promise<unknown>][] = [
      ["longer", (path) => appendFile(path, "more\n")],
      ["shorter", (path) => truncate(path, content.length - 6)],
      ["other", (path) => writeFile(path, content.replace("5", "6"))],
      ["replaced", async (path) => rename(await write("changed/beside", content), path)],
    ];
    for (const [name, change] of changes) {
      const path = await write(`changed/${name}`, content);
      const before = await openReader(path, { lines: true });
      await tick();
      await change(path);
      await expect(drain(before.records)).rejects.toThrow(code("FILE_UNREADABLE"));
      if (name === "replaced") continue; // what is open stays what it was
      await write(`changed/${name}`, content);
      const during = await openReader(path, { lines: true });
      await tick();
      const reading = async () => {
        let first = true;
        for await (const _ of during.batches) {
          if (first) await change(path);
          first = false;
        }
      };
      await expect(reading()).rejects.toThrow(code("FILE_UNREADABLE"));
    }
    await expect(drain((await openReader("/proc/self/status")).records)).rejects.toThrow(code("FILE_UNREADABLE"));
  });

  it("closes its files when nobody wants the rest", async () => {
    const reader = await openReader(await write("rest.txt", "a\n".repeat(300_000)), { lines: true });
    const open = async () => (await import("node:fs/promises")).readdir("/proc/self/fd").then((each) => each.length);
    const before = await open();
    for (let i = 0; i < 20; i++) for await (const _ of reader.records) break;
    expect(await open()).toBeLessThan(before + 10);
  });
});
