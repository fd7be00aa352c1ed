import { type ChildProcess, spawn } from "node:child_process";
import { chown, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chunkPath, commitDataset } from "../../src/dataset/commit.js";
import type { OpenDataset } from "../../src/dataset/dataset.js";
import {
  type CommitToDirectoryOptions,
  commitToDirectory,
  extendDirectory,
  openDatasetDirectory,
  readCommitment,
  restoreSeed,
  verifyDirectory,
} from "../../src/dataset/directory.js";
import { commitmentFromJson, commitmentToJson, exportSeed, importSeed } from "../../src/dataset/directoryFiles.js";
import { hashRoot } from "../../src/dataset/layout.js";
import { type DatasetRecord, encodeRecord } from "../../src/dataset/record.js";
import { toHex } from "../../src/field/bytes.js";
import { code, outcomeOf } from "../support/errors.js";
import { COLUMNS, mixedRecords, partsOf, readerOf, SEED, textRecord } from "./records.js";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "anchorproof-dataset-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

let made = 0;
const fresh = () => join(home, `dataset-${made++}`);

const SMALL = { batch: { records: 30, chunks: 1 }, journalMs: 0 } as const;

async function commit(records: readonly DatasetRecord[], options: CommitToDirectoryOptions = {}, out = fresh()) {
  const columns = records[0]?.cells === undefined ? [] : COLUMNS;
  return commitToDirectory(readerOf(records, { columns }), out, { ...SMALL, ...options });
}

const rootOf = async (records: readonly DatasetRecord[], seed?: Uint8Array) => {
  const columns = records[0]?.cells === undefined ? [] : COLUMNS;
  return (await commitDataset(records, { columns, seed })).commitment.root;
};

/** Everything that can be asked for, but the SHA-256. */
function contentOf(dataset: OpenDataset) {
  const { commitment, chunkRoots, seed } = dataset;
  const { records } = commitment.opening.totals;
  return {
    commitment: { ...commitment, sha256: undefined },
    chunkRoots: [...chunkRoots],
    seed,
    descriptions: dataset.descriptions(0, records),
    records: Array.from({ length: records }, (_, i) => toHex(encodeRecord(dataset.record(i)))),
    contents: Array.from({ length: records }, (_, i) => dataset.content(i)),
    path: chunkPath(dataset, chunkRoots.length - 1),
  };
}

const texts = (count: number, from = 0) => Array.from({ length: count }, (_, i) => textRecord(`record ${from + i}`));

describe("commitToDirectory", () => {
  it.each([undefined, SEED])("gives on disk what commitDataset gives in memory", async (seed) => {
    const records = mixedRecords(300);
    const { path, commitment, resumed } = await commit(records, seed ? { seed } : { noBlind: true });
    const memory = await commitDataset(records, { columns: COLUMNS, seed });
    expect(resumed).toBe(0);
    expect(commitment.root).toBe(memory.commitment.root);
    const dataset = await openDatasetDirectory(path);
    expect(contentOf(dataset)).toEqual(contentOf(memory));
    expect(dataset.files).toEqual([{ path: "file", bytes: commitment.bytes, sha256: `0x${"5a".repeat(32)}` }]);
    dataset.close();
    await verifyDirectory(path);
  });

  it("gives the same for any size of batches and of reads", async () => {
    const records = [
      ...mixedRecords(150),
      ...partsOf(new Uint8Array(2 ** 20 + 9)).map((each) => ({ ...each, cells: COLUMNS.map(() => null) })),
    ];
    const root = await rootOf(records, SEED);
    for (const batch of [{ records: 1 }, { records: 1000 }, { bytes: 100, chunks: 3 }]) {
      const { path, commitment } = await commit(records, { seed: SEED, batch });
      expect(commitment.root).toBe(root);
      await verifyDirectory(path);
    }
  });

  it("draws a seed of its own, unless it is told not to blind", async () => {
    const [first, second] = [await commit(texts(3)), await commit(texts(3))];
    expect(first.commitment.root).not.toBe(second.commitment.root);
    expect(first.commitment.blinded).toBe(true);
    const open = await commit(texts(3), { noBlind: true });
    expect(open.commitment).toMatchObject({ root: await rootOf(texts(3)), blinded: false });
    expect(await readdir(open.path)).not.toContain("seed.hex");
    await expect(commit(texts(3), { noBlind: true, seed: SEED })).rejects.toThrowError(code("INPUT_INVALID"));
    await expect(commit(texts(3), { seed: SEED.subarray(1) })).rejects.toThrowError(code("INPUT_INVALID"));
  });

  it("keeps what it writes for its owner, and leaves nothing beside", async () => {
    const folder = fresh();
    const { path } = await commit(texts(3), {}, join(folder, "deep", "dataset"));
    expect(await readdir(join(folder, "deep"))).toEqual(["dataset"]);
    expect((await stat(path)).mode & 0o77).toBe(0);
    for (const name of await readdir(path)) {
      if (name !== "commitment.json") expect((await stat(join(path, name))).mode & 0o77).toBe(0);
    }
    expect((await readdir(path)).sort()).toEqual([
      "chunks.bin",
      "commitment.json",
      "data.bin",
      "files.json",
      "index.bin",
      "records.bin",
      "seed.hex",
      "sha256.txt",
    ]);
  });

  it("replaces a dataset only when it is told to, and nothing else ever", async () => {
    const { path, commitment } = await commit(texts(3));
    await expect(commit(texts(4), {}, path)).rejects.toThrowError(code("INPUT_INVALID"));
    expect((await readCommitment(path)).root).toBe(commitment.root);
    const again = await commit(texts(4), { force: true }, path);
    expect((await readCommitment(path)).root).toBe(again.commitment.root);
    expect((await readdir(home)).filter((name) => /\.(part|old|lock)$/.test(name))).toEqual([]);

    const other = fresh();
    await mkdir(other);
    await expect(commit(texts(3), {}, other)).resolves.toBeDefined(); // an empty folder is no obstacle
    const busy = fresh();
    await mkdir(busy);
    await writeFile(join(busy, "thesis.txt"), "years of work");
    await expect(commit(texts(3), { force: true }, busy)).rejects.toThrowError(code("INPUT_INVALID"));
    const part = fresh();
    await mkdir(`${part}.part`);
    await writeFile(join(`${part}.part`, "thesis.txt"), "years of work");
    await expect(commit(texts(3), {}, part)).rejects.toThrowError(code("INPUT_INVALID"));
    expect(await readFile(join(`${part}.part`, "thesis.txt"), "utf8")).toBe("years of work");
    await rm(`${part}.part`, { recursive: true });
  });

  it("leaves the old dataset alone when the new one fails", async () => {
    const { path, commitment } = await commit(texts(3));
    await expect(commit([], { force: true }, path)).rejects.toThrowError(code("DATASET_EMPTY"));
    await expect(commit([textRecord("a", { shape: [9] })], { force: true }, path)).rejects.toThrowError(
      code("INPUT_INVALID"),
    );
    expect((await readCommitment(path)).root).toBe(commitment.root);
    expect((await readdir(home)).filter((name) => /\.(part|old|lock)$/.test(name)).sort()).toEqual([]);
  });
});

describe("an interrupted commit", () => {
  const records = texts(300);

  /** Stops a commit when it has `at` records, and gives where it was to be. */
  async function interrupted(options: CommitToDirectoryOptions = {}, at = 240): Promise<string> {
    const out = fresh();
    const stop = new AbortController();
    const onProgress = ({ records: done }: { records: number }) => void (done >= at && stop.abort());
    const running = commit(records, { ...options, signal: stop.signal, onProgress }, out);
    await expect(running).rejects.toThrowError(code("ABORTED"));
    expect(await readdir(out).catch(() => "nothing")).toBe("nothing");
    return out;
  }

  it("goes on, and gives the same as one that was not", async () => {
    const out = await interrupted({ seed: SEED });
    const { commitment, resumed } = await commit(records, {}, out);
    expect(resumed).toBe(210);
    expect(commitment.root).toBe(await rootOf(records, SEED));
    await verifyDirectory(out);
  });

  it("goes on more than once", async () => {
    const out = await interrupted({ seed: SEED }, 90);
    const stop = new AbortController();
    const onProgress = ({ records: done }: { records: number }) => void (done >= 270 && stop.abort());
    await expect(commit(records, { signal: stop.signal, onProgress }, out)).rejects.toThrowError(code("ABORTED"));
    const { commitment, resumed } = await commit(records, {}, out);
    expect(resumed).toBe(240);
    expect(commitment.root).toBe(await rootOf(records, SEED));
    await verifyDirectory(out);
  });

  it("goes on between the parts of a record", async () => {
    const parts = partsOf(Uint8Array.from({ length: 3 * 2 ** 20 + 1 }, (_, i) => i >> 8));
    const stop = new AbortController();
    const out = fresh();
    const options = { batch: { records: 1 }, journalMs: 0, seed: SEED };
    const onProgress = ({ records: done }: { records: number }) => void (done >= 2 && stop.abort());
    const running = commit(parts, { ...options, signal: stop.signal, onProgress }, out);
    await expect(running).rejects.toThrowError(code("ABORTED"));
    const { commitment, resumed } = await commit(parts, options, out);
    expect(resumed).toBeGreaterThan(0);
    expect(commitment.root).toBe(await rootOf(parts, SEED));
  });

  it.each<[string, (part: string) => Promise<void>]>([
    ["a journal whose last line was not written whole", (part) => chop(join(part, "journal.txt"), 5)],
    [
      "more in the files than in the journal",
      async (part) => {
        for (const name of ["data.bin", "index.bin", "records.bin", "chunks.bin"]) {
          await writeFile(join(part, name), "rest of a write that was cut off", { flag: "a" });
        }
      },
    ],
    ["a description that is another", (part) => flip(join(part, "records.bin"), 448 * 150 + 5)],
    ["a chunk root that is another", (part) => flip(join(part, "chunks.bin"), 5)],
    ["an end that is another", (part) => flip(join(part, "index.bin"), 8 * 40)],
    ["data that are others", (part) => flip(join(part, "data.bin"), 2000)],
    ["data that are too short", (part) => truncate(join(part, "data.bin"), 2000)],
    ["no data", (part) => rm(join(part, "data.bin"))],
    ["no descriptions", (part) => truncate(join(part, "records.bin"), 0)],
    [
      "no journal but its header",
      async (part) => {
        const text = await readFile(join(part, "journal.txt"), "utf8");
        await writeFile(join(part, "journal.txt"), text.slice(0, text.indexOf("\n") + 1));
      },
    ],
    ["no seed", (part) => rm(join(part, "seed.hex"))],
    ["a damaged seed", (part) => chop(join(part, "seed.hex"), 5)],
  ])("is right after all with %s", async (_, damage) => {
    const out = await interrupted();
    await damage(`${out}.part`);
    const { commitment } = await commit(records, {}, out);
    const dataset = await openDatasetDirectory(out);
    dataset.close();
    expect(commitment.root).toBe(await rootOf(records, dataset.seed));
    await verifyDirectory(out);
  });

  it.skipIf(process.getuid?.() !== 0)("takes no seed that another user has left there", async () => {
    const out = await interrupted({ seed: SEED });
    await chown(`${out}.part`, 65_534, 65_534);
    const { resumed } = await commit(records, {}, out);
    const dataset = await openDatasetDirectory(out);
    dataset.close();
    expect(resumed).toBe(0);
    expect(dataset.seed).not.toEqual(SEED);
  });

  it("finishes what was killed when all was written but the name", async () => {
    const out = fresh();
    let journal = "";
    const onProgress = async () => void (journal ||= await readFile(join(`${out}.part`, "journal.txt"), "utf8"));
    const { commitment } = await commit(records, { onProgress: () => void onProgress() }, out);
    expect(await readdir(out)).not.toContain("journal.txt");
    await rename(out, `${out}.part`);
    await writeFile(join(`${out}.part`, "journal.txt"), journal);
    expect((await commit(records, {}, out)).commitment).toEqual(commitment);
    await verifyDirectory(out);
  });

  it("begins anew for other records, columns or blinding, and with another seed", async () => {
    const changed = [...records.slice(0, 10), textRecord("RECORD 10"), ...records.slice(11)];
    let out = await interrupted({ seed: SEED });
    let again = await commit(changed, { seed: SEED }, out);
    expect(again).toMatchObject({ resumed: 0, commitment: { root: await rootOf(changed, SEED) } });

    out = await interrupted({ seed: SEED });
    again = await commit(records.slice(0, 200), { seed: SEED }, out); // fewer than are there
    expect(again).toMatchObject({ resumed: 0, commitment: { root: await rootOf(records.slice(0, 200), SEED) } });

    out = await interrupted({ seed: SEED });
    again = await commit(records, { noBlind: true }, out);
    expect(again).toMatchObject({ resumed: 0, commitment: { root: await rootOf(records) } });

    out = await interrupted({ seed: SEED });
    const other = new Uint8Array(32);
    again = await commit(records, { seed: other }, out);
    expect(again).toMatchObject({ resumed: 0, commitment: { root: await rootOf(records, other) } });
  });

  it("keeps a second process away meanwhile", async () => {
    const out = fresh();
    let second: unknown;
    const onProgress = () => {
      second ??= commit(records, {}, out).catch((error: unknown) => error);
    };
    await commit(records, { onProgress }, out);
    expect(await second).toMatchObject({ code: "INPUT_INVALID", message: expect.stringContaining("another process") });
  });

  describe("by kill -9", () => {
    const COMMITTER = fileURLToPath(new URL("committer.mjs", import.meta.url));
    const start = (...args: string[]) =>
      spawn(process.execPath, [COMMITTER, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = (child: ChildProcess) =>
      new Promise((resolve) => child.on("exit", (status, by) => resolve(by ?? status)));
    const says = (child: ChildProcess) =>
      new Promise<string>((resolve) => child.stdout!.once("data", (data: Buffer) => resolve(data.toString())));

    it("goes on in another process", async () => {
      const out = fresh();
      const child = start(out, "500", "300");
      expect(await says(child)).toBe("stopped\n");
      const end = ended(child);
      child.kill("SIGKILL");
      expect(await end).toBe("SIGKILL");
      const second = start(out, "500");
      const [, resumed] = /^done (\d+)\n$/.exec(await says(second)) ?? [];
      expect(Number(resumed)).toBeGreaterThanOrEqual(260);
      expect(await ended(second)).toBe(0);
      await verifyDirectory(out);
      const dataset = await openDatasetDirectory(out);
      expect(dataset.commitment.root).toBe(await rootOf(texts(500), dataset.seed));
      dataset.close();
    });

    it("at any moment, again and again", async () => {
      const out = fresh();
      for (let round = 0; round < 4; round++) {
        const child = start(out, "2000");
        const end = ended(child);
        // From before it begins until long after: what is killed differs each time.
        await new Promise((resolve) => setTimeout(resolve, 150 + 200 * round));
        child.kill("SIGKILL");
        await end;
      }
      const last = start(out, "2000");
      // It may have been done already, and is not replaced then.
      expect([0, 1]).toContain(await ended(last));
      await verifyDirectory(out);
      const dataset = await openDatasetDirectory(out);
      expect(dataset.commitment.opening.totals.records).toBe(2000);
      expect(dataset.commitment.root).toBe(await rootOf(texts(2000), dataset.seed));
      dataset.close();
      expect((await readdir(home)).filter((name) => name.includes(".part"))).toEqual([]);
    });
  });
});

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at]! ^= 1;
  await writeFile(path, bytes);
}

async function chop(path: string, bytes: number): Promise<void> {
  await truncate(path, (await stat(path)).size - bytes);
}

describe("damage", () => {
  const count = 300;
  let good: string;
  beforeAll(async () => {
    const old = await commit(mixedRecords(count - 40), { seed: SEED });
    const source = readerOf(mixedRecords(count).slice(count - 40), { columns: COLUMNS, path: "more" });
    good = (await extendDirectory(old.path, source, fresh(), SMALL)).path;
    await verifyDirectory(good);
  });

  async function damaged(change: (path: string) => Promise<void>): Promise<unknown> {
    const path = fresh();
    await cp(good, path, { recursive: true });
    await change(path);
    return verifyDirectory(path).then(
      () => "not found",
      (error: unknown) => error,
    );
  }

  const names = async () => (await readdir(good)).sort();

  it("of a byte anywhere in any file is found, and the file named", async () => {
    for (const name of await names()) {
      const { size } = await stat(join(good, name));
      // Ends and a few places between; a prime, so that they differ in their place within records.
      const places = [0, size - 1, ...Array.from({ length: 6 }, (_, i) => Math.floor((size * (i + 1)) / 7.3))];
      for (const at of places) {
        const error = await damaged((path) => flip(join(path, name), at));
        expect(error, `${name} at ${at}`).toMatchObject({
          name: "AnchorError",
          code: expect.stringMatching(/^(DATASET_MISMATCH|DATASET_MALFORMED|FORMAT_UNSUPPORTED)$/),
          message: expect.stringContaining(name),
        });
      }
    }
  });

  it("of a file's end is found, and the file named", async () => {
    for (const name of await names()) {
      for (const change of [
        (path: string) => truncate(join(path, name), 0),
        (path: string) => chop(join(path, name), 3), // a line feed at the end says nothing
        (path: string) => writeFile(join(path, name), "more", { flag: "a" }),
      ]) {
        const error = await damaged(change);
        expect(error, name).toMatchObject({ name: "AnchorError", message: expect.stringContaining(name) });
      }
    }
  });

  it("of a file that is not there is found, and the file named", async () => {
    for (const name of await names()) {
      if (name === "previous.json") continue; // a dataset that extends none has none
      const error = await damaged((path) => rm(join(path, name)));
      expect(error).toMatchObject({ code: "FILE_NOT_FOUND", message: expect.stringContaining(name) });
    }
    await expect(openDatasetDirectory(join(home, "missing"))).rejects.toThrowError(code("FILE_NOT_FOUND"));
  });

  it("names the first record that differs", async () => {
    const { index } = await openAt(good);
    for (const record of [0, 5, 127, 128, 299]) {
      const end = index(record) - 1; // of its data, or of its header
      const error = await damaged((path) => flip(join(path, "data.bin"), end));
      expect(error).toMatchObject({ code: "DATASET_MISMATCH", details: { record, file: "data.bin" } });
      const row = await damaged((path) => flip(join(path, "records.bin"), 448 * record + 33));
      expect(row).toMatchObject({ code: "DATASET_MISMATCH" });
      if (record >= 128) expect(row).toMatchObject({ details: { record, file: "records.bin" } });
      const place = await damaged((path) => flip(join(path, "index.bin"), 8 * record));
      expect(place).toMatchObject({ code: "DATASET_MISMATCH" });
      if (record < 299) expect(place).toMatchObject({ details: { record, file: "index.bin" } });
    }
  });

  it("that fits together is found: another dataset's files, in part or but for the root", async () => {
    const other = await commit(mixedRecords(count).reverse(), { seed: SEED });
    for (const files of [
      ["data.bin", "index.bin"],
      ["records.bin"],
      ["chunks.bin"],
      ["data.bin", "index.bin", "records.bin", "chunks.bin"],
    ]) {
      const error = await damaged(async (path) => {
        for (const name of files) await cp(join(other.path, name), join(path, name));
      });
      expect(error).toMatchObject({ code: "DATASET_MISMATCH" });
    }
    const error = await damaged((path) => writeFile(join(path, "seed.hex"), `0x${"00".repeat(32)}\n`));
    expect(error).toMatchObject({ code: "DATASET_MISMATCH", message: expect.stringContaining("seed.hex") });
  });

  it("of a record shows when it is read", async () => {
    const path = fresh();
    await cp(good, path, { recursive: true });
    const { index } = await openAt(good);
    await flip(join(path, "data.bin"), index(150)); // the version of record 151
    const dataset = await openDatasetDirectory(path);
    expect(dataset.record(150)).toBeDefined();
    expect(outcomeOf(() => dataset.record(151))).toBe("DATASET_MISMATCH");
    expect(outcomeOf(() => dataset.content(151))).toBe("DATASET_MISMATCH");
    dataset.close();
    dataset.close();
    expect(outcomeOf(() => dataset.record(150))).toBe("INPUT_INVALID");
  });

  /** Ends of records in data.bin. */
  async function openAt(path: string) {
    const bytes = await readFile(join(path, "index.bin"));
    return { index: (record: number) => Number(bytes.readBigUInt64LE(8 * record)) };
  }
});

describe("commitment.json", () => {
  it("is read whatever its spaces and order, and strictly otherwise", async () => {
    const { commitment, path } = await commit(mixedRecords(3));
    const json = JSON.parse(await readFile(join(path, "commitment.json"), "utf8")) as Record<string, unknown>;
    const { sha256: _, ...published } = commitment;
    expect(commitmentFromJson(json, "c")).toEqual(published);
    expect(commitmentFromJson(Object.fromEntries(Object.entries(json).reverse()), "c")).toEqual(published);
    expect(json).toEqual(commitmentToJson(commitment));
    for (const key of Object.keys(json)) {
      const { [key]: _, ...without } = json;
      expect(
        outcomeOf(() => commitmentFromJson(without, "c")),
        key,
      ).toMatch(/^(DATASET_MALFORMED|FORMAT_UNSUPPORTED)$/);
    }
    for (const change of [
      { extra: 1 },
      { root: "0x12" },
      { root: `0x${"f".repeat(64)}` },
      { depth: 3 },
      { records: 0 },
      { records: "3" },
      { records: 2 ** 31 + 1 },
      { bytes: -1 },
      { blinded: 1 },
      { columns: "none" },
      { columns: [{ name: "a", type: "number" }] },
      { columns: [{ name: "a", type: "text", more: 1 }] },
    ]) {
      expect(
        outcomeOf(() => commitmentFromJson({ ...json, ...change }, "c")),
        JSON.stringify(change),
      ).toBe("DATASET_MALFORMED");
    }
    // Nested until a recursion overflows.
    const more = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`) as unknown;
    const columns = [{ name: "a", type: "text", more }];
    expect(outcomeOf(() => commitmentFromJson({ ...json, columns }, "c"))).toBe("DATASET_MALFORMED");
    for (const change of [
      { records: 4 },
      { values: 1 },
      { blocks: 1 },
      { depth: 4 },
      { columns: [] },
      { top: json["root"] },
    ]) {
      expect(
        outcomeOf(() => commitmentFromJson({ ...json, ...change }, "c")),
        JSON.stringify(change),
      ).toBe("DATASET_MISMATCH");
    }
    for (const wrong of [null, [], "text", 5]) {
      expect(outcomeOf(() => commitmentFromJson(wrong, "c"))).toBe("DATASET_MALFORMED");
    }
  });
});

describe("seeds", () => {
  it("are one line with a checksum", () => {
    const text = exportSeed(SEED);
    expect(text).toBe("anchorproof-seed-1-000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f-6ec996b9");
    expect(importSeed(`  ${text}\n`)).toEqual(SEED);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "1" ? "2" : "1";
      expect(outcomeOf(() => importSeed(text.slice(0, at) + other + text.slice(at + 1)))).toBe("INPUT_INVALID");
    }
    for (const wrong of ["", text.slice(1), `${text}0`, text.toUpperCase(), toHex(SEED)]) {
      expect(outcomeOf(() => importSeed(wrong))).toBe("INPUT_INVALID");
    }
    expect(outcomeOf(() => exportSeed(SEED.subarray(1)))).toBe("INPUT_INVALID");
  });

  it("come back when they give the root, and else not", async () => {
    const { path, commitment } = await commit(texts(200));
    const dataset = await openDatasetDirectory(path);
    dataset.close();
    const backup = exportSeed(dataset.seed!);
    await rm(join(path, "seed.hex"));
    await expect(openDatasetDirectory(path)).rejects.toThrowError(code("FILE_NOT_FOUND"));
    const without = await openDatasetDirectory(path, { withoutSeed: true });
    expect(without).toMatchObject({ seed: undefined, commitment });
    without.close();
    await expect(restoreSeed(path, SEED)).rejects.toThrowError(code("INPUT_INVALID"));
    await restoreSeed(path, importSeed(backup));
    expect((await stat(join(path, "seed.hex"))).mode & 0o77).toBe(0);
    await verifyDirectory(path);
    // Also over one that is damaged.
    await writeFile(join(path, "seed.hex"), "0x12\n");
    await expect(openDatasetDirectory(path)).rejects.toThrowError(code("DATASET_MALFORMED"));
    await restoreSeed(path, importSeed(backup));
    await verifyDirectory(path);
    const open = await commit(texts(3), { noBlind: true });
    await expect(restoreSeed(open.path, SEED)).rejects.toThrowError(code("INPUT_INVALID"));
  });
});

describe("extendDirectory", () => {
  it.each([
    [128, 5],
    [100, 300],
    [1, 1],
    [255, 1],
  ])("%i records and %i more are as all at once", async (before, more) => {
    const records = mixedRecords(before + more);
    const old = await commit(records.slice(0, before), { seed: SEED });
    const source = readerOf(records.slice(before), { columns: COLUMNS, path: "more" });
    const grown = await extendDirectory(old.path, source, fresh(), SMALL);
    expect(grown.commitment.root).toBe(await rootOf(records, SEED));
    expect(grown.files.map(({ path }) => path)).toEqual(["file", "more"]);
    await verifyDirectory(grown.path);
    const dataset = await openDatasetDirectory(grown.path);
    expect(dataset.previous).toEqual([old.commitment.opening]);
    expect(contentOf(dataset)).toEqual(contentOf(await commitDataset(records, { columns: COLUMNS, seed: SEED })));
    dataset.close();
    expect((await readCommitment(old.path)).root).toBe(old.commitment.root);
  });

  it("remembers every root, and holds them to its records", async () => {
    const first = await commit(texts(10), { noBlind: true });
    const second = await extendDirectory(first.path, readerOf(texts(5, 10)), fresh(), SMALL);
    const third = await extendDirectory(second.path, readerOf(texts(200, 15)), fresh(), SMALL);
    expect(third.commitment).toMatchObject({ root: await rootOf(texts(215)), blinded: false });
    const dataset = await openDatasetDirectory(third.path);
    dataset.close();
    expect(dataset.previous.map(hashRoot)).toEqual([first, second].map(({ commitment }) => commitment.root));
    const foreign = await extendDirectory((await commit(texts(10, 1))).path, readerOf(texts(5, 11)), fresh(), SMALL);
    await cp(join(foreign.path, "previous.json"), join(third.path, "previous.json"));
    await expect(verifyDirectory(third.path)).rejects.toMatchObject({
      code: "DATASET_MISMATCH",
      details: { file: "previous.json" },
    });
  });

  it("goes on when it is interrupted", async () => {
    const old = await commit(texts(150), { seed: SEED });
    const [out, stop] = [fresh(), new AbortController()];
    const onProgress = ({ records }: { records: number }) => void (records >= 200 && stop.abort());
    const source = readerOf(texts(300, 150));
    const running = extendDirectory(old.path, source, out, { ...SMALL, signal: stop.signal, onProgress });
    await expect(running).rejects.toThrowError(code("ABORTED"));
    const { commitment, resumed } = await extendDirectory(old.path, source, out, SMALL);
    expect(resumed).toBeGreaterThan(100);
    expect(commitment.root).toBe(await rootOf(texts(450), SEED));
    await verifyDirectory(out);
  });

  it("refuses other columns, no records, itself, and a damaged end", async () => {
    const old = await commit(texts(130), { seed: SEED });
    // A child that was killed elsewhere may have left the lock that it held.
    const before = await readdir(home);
    const extend = (records: readonly DatasetRecord[], columns = [] as typeof COLUMNS, out = fresh()) =>
      extendDirectory(old.path, readerOf(records, { columns }), out, SMALL);
    await expect(extend(mixedRecords(1), COLUMNS)).rejects.toThrowError(code("INPUT_INVALID"));
    await expect(extend([])).rejects.toThrowError(code("DATASET_EMPTY"));
    await expect(extend(texts(1), [], old.path)).rejects.toThrowError(code("INPUT_INVALID"));
    await flip(join(old.path, "records.bin"), 448 * 129);
    await expect(extend(texts(1))).rejects.toMatchObject({
      code: "DATASET_MISMATCH",
      details: { file: "records.bin" },
    });
    const left = (await readdir(home)).filter((name) => !before.includes(name));
    expect(left.filter((name) => /\.(part|old|lock)$/.test(name))).toEqual([]);
  });
});

describe("verifyDirectory", () => {
  it("tells how far it is, and stops when it is told to", async () => {
    const { path } = await commit(texts(50));
    const seen: number[] = [];
    await verifyDirectory(path, { onProgress: ({ bytes, totalBytes }) => seen.push(bytes / totalBytes) });
    expect(seen.at(-1)).toBe(1);
    const stop = AbortSignal.abort();
    await expect(verifyDirectory(path, { signal: stop })).rejects.toThrowError(code("ABORTED"));
  });
});
