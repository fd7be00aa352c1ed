/** `anchorproof dataset commit`, `info`, `extend` and `seed` as processes. */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Command } from "../../src/cli/command.js";
import {
  datasetCommitCommand,
  datasetExtendCommand,
  datasetInfoCommand,
  datasetSeedBackupCommand,
  datasetSeedRestoreCommand,
} from "../../src/cli/dataset.js";
import { Terminal } from "../../src/cli/terminal.js";
import { commitDataset } from "../../src/dataset/commit.js";
import { openReader } from "../../src/dataset/readers/index.js";
import type { DatasetRecord } from "../../src/dataset/record.js";
import { AnchorError } from "../../src/errors.js";
import { toHex } from "../../src/field/bytes.js";
import { bigIntToBytes } from "../../src/field/scalar.js";
import { PACKAGE_ROOT } from "../../src/paths.js";

const MAIN = join(PACKAGE_ROOT, "dist", "cli", "main.js");
let directory: string;
let home: string;

interface Run {
  status: number;
  out: string;
  err: string;
}

function anchorproof(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: { ...process.env, ANCHORPROOF_DEBUG: "" }, maxBuffer: 1 << 26 };
    execFile(process.execPath, [MAIN, ...args], options, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

/** A command's failure, in this process: most of the time of a new one is its start. */
async function failure(
  command: Command,
  args: readonly string[],
): Promise<{ code?: string; message?: string; out: string }> {
  let out = "";
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      out += chunk.toString();
      done();
    },
  });
  const { values, positionals } = parseArgs({ args: [...args], options: command.options, allowPositionals: true });
  const { signal } = new AbortController();
  try {
    await command.run({ values, positionals, terminal: new Terminal(sink), signal });
    return { out };
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return { code: error.code, message: error.message, out };
  }
}

const sha256 = (text: string) => `0x${createHash("sha256").update(text).digest("hex")}`;
const jsonOf = ({ out }: Run) => JSON.parse(out) as Record<string, unknown>;

const TABLE = 'id,age,kind,note\n1,30,spam,hello\n2,41.5,ham,"x,y"\n3,,ham,\n';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-dataset-cli-"));
  await mkdir(join(directory, "mails", "spam"), { recursive: true });
  await mkdir(join(directory, "mails", "ham"));
  await writeFile(join(directory, "mails", "spam", "1.txt"), "buy\nnow");
  await writeFile(join(directory, "mails", "ham", "2.txt"), "hello");
  await writeFile(join(directory, "table.csv"), TABLE);
  home = process.cwd();
  process.chdir(directory);
});
afterAll(async () => {
  process.chdir(home);
  await rm(directory, { recursive: true, force: true });
});

/** The root of a file or folder in memory. */
async function rootOf(path: string, options: Parameters<typeof openReader>[1] = {}): Promise<string> {
  const reader = await openReader(join(directory, path), options);
  const records: DatasetRecord[] = [];
  for await (const { record } of reader.records) records.push(record);
  const { commitment } = await commitDataset(records, { columns: reader.columns });
  return toHex(bigIntToBytes(commitment.root, 32));
}

describe("dataset commit", () => {
  it("of a folder labels by its folders, and its SHA-256 is that of what sha256sum prints", async () => {
    const run = await anchorproof("dataset", "commit", "mails", "--label-from", "folder", "--no-blind", "--json");
    expect(run).toMatchObject({ status: 0, err: "" });
    expect(jsonOf(run)).toMatchObject({
      format: "anchorproof/dataset@2",
      root: await rootOf("mails", { labelFrom: "folder" }),
      records: 2,
      bytes: 12,
      blinded: false,
      sha256: sha256(`${sha256("hello").slice(2)}  ham/2.txt\n${sha256("buy\nnow").slice(2)}  spam/1.txt\n`),
      directory: "out/dataset",
      resumed: 0,
    });
    expect(await readdir(join(directory, "out", "dataset"))).not.toContain("seed.hex");
  });

  it("of a table takes columns as it finds them, or as it is told", async () => {
    const found = await anchorproof(
      "dataset",
      "commit",
      "table.csv",
      "--label-column",
      "kind",
      "--out",
      "found",
      "--no-blind",
      "--json",
    );
    expect(jsonOf(found)).toMatchObject({
      root: await rootOf("table.csv", { label: "kind" }),
      sha256: sha256(TABLE),
      columns: [
        { name: "id", type: "decimal", digits: 0 },
        { name: "age", type: "decimal", digits: 1 },
        { name: "note", type: "text" },
      ],
    });
    const args = [
      "--label-field",
      "kind",
      "--columns",
      "id:text,age:decimal3",
      "--columns",
      '[{"name":"note","type":"text"}]',
    ];
    const told = await anchorproof("dataset", "commit", "table.csv", ...args, "--out", "told", "--no-blind", "--json");
    expect(jsonOf(told)).toMatchObject({
      columns: [
        { name: "id", type: "text" },
        { name: "age", type: "decimal", digits: 3 },
        { name: "note", type: "text" },
      ],
    });
  });

  it("takes lines as records in two spellings, and blinds unless it is told not to", async () => {
    const one = await anchorproof(
      "dataset",
      "commit",
      "mails/spam/1.txt",
      "--lines",
      "--no-blind",
      "--json",
      "--out",
      "l1",
    );
    const two = await anchorproof(
      "dataset",
      "commit",
      "mails/spam/1.txt",
      "--format",
      "lines",
      "--no-blind",
      "--json",
      "--out",
      "l2",
    );
    expect(jsonOf(one)).toMatchObject({ records: 2, root: jsonOf(two)["root"] });
    const blinded = await anchorproof("dataset", "commit", "mails/spam/1.txt", "--lines", "--out", "l3");
    expect(blinded.out).not.toContain(jsonOf(one)["root"]);
    expect(blinded.out).toMatch(/^root {5}0x[0-9a-f]{64}\nsha-256 {2}0x[0-9a-f]{64} {2}\(not blinded: publishing it/);
    expect(blinded.out).toContain("keep l3/seed.hex secret");
    expect((await stat(join(directory, "l3", "seed.hex"))).mode & 0o77).toBe(0);
  });

  it("keeps what is there, unless it is told to replace it", async () => {
    const first = await anchorproof("dataset", "commit", "table.csv", "--out", "kept", "--json");
    const again = await anchorproof("dataset", "commit", "table.csv", "--out", "kept");
    expect(again).toMatchObject({
      status: 1,
      out: "",
      err: expect.stringMatching(/^error INPUT_INVALID: kept holds a commitment/),
    });
    const info = await anchorproof("dataset", "info", "kept", "--json");
    expect(jsonOf(info)["root"]).toBe(jsonOf(first)["root"]);
    expect((await anchorproof("dataset", "commit", "table.csv", "--out", "kept", "--force")).status).toBe(0);
    expect(jsonOf(await anchorproof("dataset", "info", "kept", "--json"))["root"]).not.toBe(jsonOf(first)["root"]);
  });

  it("goes on after Ctrl-C", async () => {
    const lines = Array.from({ length: 12_000 }, (_, i) => `line ${i}\n`).join("");
    await writeFile(join(directory, "long.txt"), lines);
    const args = ["dataset", "commit", "long.txt", "--lines", "--no-blind", "--out", "long"];
    // Without the native core, so that it is far from its end when the first records are safe.
    const env = { ...process.env, ANCHORPROOF_NATIVE: "off" };
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: directory, env, stdio: "ignore" });
    const ended = new Promise((resolve) => child.on("exit", (status) => resolve(status)));
    // Until there is something to go on from.
    const journal = join(directory, "long.part", "journal.txt");
    let running = true;
    void ended.then(() => (running = false));
    while (running && (await readFile(journal, "utf8").catch(() => "")).split("\n").length < 3) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    const again = await anchorproof(...args);
    expect(again.out).toMatch(/went on after [\d,]+ records of an interrupted commit/);
    expect((await anchorproof("dataset", "info", "long", "--check")).out).toContain(
      await rootOf("long.txt", { lines: true }),
    );
  });

  it.each<[string[], string, RegExp]>([
    [[], "USAGE", /name the file/],
    [["missing"], "FILE_NOT_FOUND", /missing/],
    [["table.csv", "--format", "xml"], "USAGE", /--format takes/],
    [["table.csv", "--columns", "id"], "USAGE", /NAME:TYPE/],
    [["table.csv", "--columns", "id:float2"], "USAGE", /NAME:TYPE/],
    [["table.csv", "--columns", "[1"], "USAGE", /--columns/],
    [["table.csv", "--columns", "[1]"], "INPUT_INVALID", /column 0/],
    [["table.csv", "--columns", "id:decimal19"], "INPUT_INVALID", /18 digits/],
    [["table.csv", "--label-field", "a", "--label-column", "b"], "USAGE", /the same/],
    [["table.csv", "--label-from", "name"], "USAGE", /--label-from/],
    [["table.csv", "--label-field", "none"], "DATASET_MALFORMED", /none/],
    [["mails", "--out", "mails"], "INPUT_INVALID", /lies in mails/],
    [["mails", "--out", "mails/new/deep"], "INPUT_INVALID", /lies in mails/],
    [[".", "--out", "new"], "INPUT_INVALID", /lies in/],
    [["table.csv", "--out", "mails"], "INPUT_INVALID", /holds other files/],
    [["table.csv", "--out", "mails", "--force"], "INPUT_INVALID", /holds other files/],
  ])("refuses %j", async (args, code, message) => {
    const out = args.includes("--out") ? [] : ["--out", "refused"];
    const failed = await failure(datasetCommitCommand, [...args, ...out]);
    expect(failed).toEqual({ code, message: expect.stringMatching(message), out: "" });
    expect((await readdir(directory)).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  it("follows links before it says what lies where", async () => {
    await symlink("mails", join(directory, "link"));
    const { err } = await anchorproof("dataset", "commit", "mails", "--out", "link/new");
    expect(err).toMatch(/^error INPUT_INVALID: link\/new lies in mails/);
    await rm(join(directory, "link"));
  });
});

describe("dataset info, extend and seed", () => {
  it("show, grow, check, and put a seed back", async () => {
    const commit = await anchorproof(
      "dataset",
      "commit",
      "table.csv",
      "--label-column",
      "kind",
      "--out",
      "d1",
      "--json",
    );
    const { root } = jsonOf(commit);
    await writeFile(join(directory, "more.csv"), "id,age,kind,note\n4,5,ham,z\n");
    // Its ages have no digits after the point: the dataset's columns count.
    const extend = await anchorproof(
      "dataset",
      "extend",
      "d1",
      "more.csv",
      "--label-column",
      "kind",
      "--out",
      "d2",
      "--json",
    );
    expect(extend).toMatchObject({ status: 0, err: "" });
    expect(jsonOf(extend)).toMatchObject({ records: 4, blinded: true, columns: jsonOf(commit)["columns"] });
    const info = await anchorproof("dataset", "info", "d2", "--check", "--json");
    expect(jsonOf(info)).toMatchObject({ root: jsonOf(extend)["root"], extends: [root], seed: true, checked: true });
    const plain = await anchorproof("dataset", "info", "d2");
    expect(plain.out).toContain(`extends  ${root} (3 records)`);
    expect(plain.out).toContain("column   age: decimal, 1 digit after the point");
    expect(plain.out).toMatch(/^file {5}[0-9a-f]{64} {2}more\.csv/m);

    const backup = await anchorproof("dataset", "seed", "backup", "d1", "--out", "seed.txt");
    expect(backup.out).toContain(root);
    expect((await stat(join(directory, "seed.txt"))).mode & 0o77).toBe(0);
    expect(await readFile(join(directory, "seed.txt"), "utf8")).toMatch(
      /^anchorproof-seed-1-[0-9a-f]{64}-[0-9a-f]{8}\n$/,
    );
    expect((await anchorproof("dataset", "seed", "backup", "d1", "--out", "seed.txt")).status).toBe(0);
    expect((await anchorproof("dataset", "seed", "backup", "d1", "--out", "more.csv")).err).toMatch(/more\.csv exists/);
    await rm(join(directory, "d1", "seed.hex"));
    expect((await anchorproof("dataset", "info", "d1")).out).toContain("seed     missing");
    expect((await anchorproof("dataset", "info", "d1", "--check")).err).toMatch(
      /^error FILE_NOT_FOUND: .*seed restore d1/,
    );
    expect((await anchorproof("dataset", "seed", "restore", "d1", "--from", "seed.txt")).status).toBe(0);
    expect((await anchorproof("dataset", "info", "d1", "--check")).out).toContain("checked  every record");

    await anchorproof("dataset", "commit", "mails", "--out", "d3");
    expect((await anchorproof("dataset", "seed", "restore", "d3", "--from", "seed.txt")).err).toMatch(
      /^error INPUT_INVALID: .*another root/,
    );
    expect((await anchorproof("dataset", "seed", "restore", "d3", "--from", "more.csv")).err).toMatch(
      /^error INPUT_INVALID: a seed is/,
    );
    expect((await anchorproof("dataset", "extend", "d3", "more.csv", "--out", "d4")).err).toMatch(
      /^error INPUT_INVALID: the columns are others/,
    );

    const path = join(directory, "d2", "data.bin");
    const data = await readFile(path);
    data[0]! ^= 1;
    await writeFile(path, data);
    expect((await anchorproof("dataset", "info", "d2")).status).toBe(0);
    expect(await anchorproof("dataset", "info", "d2", "--check", "--json")).toMatchObject({
      status: 1,
      out: "",
      err: expect.stringMatching(/^error DATASET_MISMATCH: .*data\.bin is damaged: record 0/),
    });
  });

  it.each<[Command, string[], string]>([
    [datasetInfoCommand, ["missing"], "FILE_NOT_FOUND"],
    [datasetExtendCommand, ["d"], "USAGE"],
    [datasetExtendCommand, ["d", "table.csv"], "USAGE"],
    [datasetExtendCommand, ["missing", "table.csv", "--out", "x"], "FILE_NOT_FOUND"],
    [datasetSeedBackupCommand, ["missing"], "USAGE"],
    [datasetSeedBackupCommand, ["missing", "--out", "x"], "FILE_NOT_FOUND"],
    [datasetSeedRestoreCommand, ["missing"], "USAGE"],
    [datasetSeedRestoreCommand, ["missing", "--from", "missing"], "FILE_NOT_FOUND"],
  ])("refuses, %# of these", async (command, args, code) => {
    expect(await failure(command, args)).toMatchObject({ code, out: "" });
  });
});
