/** `anchorproof cache` as its users meet it, on a store with real entries, damage and other people's files. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { compileCircuit } from "../../src/circuit/compile.js";
import { ArtefactStore, type StoreItem } from "../../src/circuit/store.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { TINY, temporaryFolder } from "../circuit/support.js";

interface Run {
  status: number;
  out: string;
  err: string;
}

let root: string;
let store: ArtefactStore;

beforeEach(async () => {
  root = join(await temporaryFolder(), "cache");
  store = new ArtefactStore(root);
});

function cache(...args: string[]): Promise<Run> {
  const env = { ...process.env, ANCHORPROOF_CACHE: root, ANCHORPROOF_DEBUG: "" };
  return new Promise((resolve) => {
    const main = join(PACKAGE_ROOT, "dist", "cli", "main.js");
    execFile(process.execPath, [main, "cache", ...args], { env }, (error, out, err) => {
      resolve({ status: error ? Number(error.code) : 0, out, err });
    });
  });
}

async function json(...args: string[]): Promise<{ root: string; dryRun?: boolean; items: StoreItem[] }> {
  const { out, err } = await cache(...args, "--json");
  expect(err).toMatch(/^(error CACHE_DAMAGED: [^\n]+\n)?$/);
  const parsed = JSON.parse(out);
  expect(parsed.root).toBe(root);
  return parsed;
}

/** An entry of 1500 bytes and its manifest. */
function entry(kind: string, label: string, age = 0): Promise<string> {
  return store
    .build(kind, label, (directory) => writeFile(join(directory, "data"), "x".repeat(1500)), { label })
    .then(async (directory) => {
      const time = new Date(Date.now() - age * 86_400_000);
      await utimes(join(directory, "manifest.json"), time, time);
      return directory;
    });
}

const flipBit = async (directory: string) => {
  const bytes = await readFile(join(directory, "data"));
  bytes[700]! ^= 1;
  await writeFile(join(directory, "data"), bytes);
};

describe("cache list", () => {
  it("shows what there is, under the names that people know", async () => {
    expect(await cache("list")).toEqual({ status: 0, out: `nothing is kept in ${root}\n`, err: "" });
    await compileCircuit(TINY, { store });
    const key = await entry("development-key", "tiny\u001b[2J\nintact");
    const { status, out, err } = await cache("list");
    expect([status, err]).toEqual([0, ""]);
    const [place, blank, heading, circuit, second, ...rest] = out.split("\n");
    expect([place, blank]).toEqual([root, ""]);
    expect(heading).toMatch(/^kind +what +size +made +used +state$/);
    const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d`;
    expect(circuit).toMatch(new RegExp(`^circuit +tiny +\\d+\\.\\d kB  ${time}  ${time}  intact$`));
    expect(second).toMatch(new RegExp(`^development-key  tiny \\[2J intact +\\d\\.\\d kB  ${time}  ${time}  intact$`));
    expect(rest[1]).toMatch(/^2 items, \d+\.\d kB$/);

    const { items } = await json("list");
    expect(items.map(({ kind, label, state }) => [kind, label, state])).toEqual([
      ["circuit", "tiny", "intact"],
      ["development-key", "tiny [2J intact", "intact"],
    ]);
    expect(items[1]).toMatchObject({ type: "entry", path: key, name: basename(key), removed: false });
    expect(items[1]!.bytes).toBe(1500 + (await stat(join(key, "manifest.json"))).size);
  });

  it("shows damage that can be seen without reading everything", async () => {
    const directory = await entry("circuit", "cut");
    await writeFile(join(directory, "data"), "x");
    const { status, out } = await cache("list");
    expect(status).toBe(0);
    expect(out).toMatch(/^circuit +cut .* damaged$/m);
    expect(out).toMatch(/^damaged: circuit\/[0-9a-f]{40} \(cut, .*\): data has 1 bytes instead of 1500$/m);
  });
});

describe("cache verify", () => {
  it("is content with a sound store, and with none", async () => {
    expect(await cache("verify")).toEqual({ status: 0, out: `0 entries intact, 0 B, in ${root}\n`, err: "" });
    await entry("circuit", "one");
    const { status, out, err } = await cache("verify");
    expect([status, err]).toEqual([0, ""]);
    expect(out).toMatch(/^1 entry intact, 1\.\d kB, in /);
  });

  it("finds a flipped bit, fails until it is removed, and says what to do", async () => {
    const good = await entry("circuit", "good");
    const bad = await entry("circuit", "bad");
    await flipBit(bad);
    expect((await json("list")).items.map(({ state }) => state)).toEqual(["intact", "intact"]);

    const { status, out, err } = await cache("verify");
    expect(status).toBe(1);
    expect(err).toMatch(
      /^error CACHE_DAMAGED: 1 entry is damaged; .*anchorproof cache verify --remove deletes them\)\n$/,
    );
    expect(out).toMatch(new RegExp(`^damaged: circuit/${basename(bad)} \\(bad, 1\\.\\d kB\\): data has changed$`, "m"));
    expect((await cache("verify", "--json")).status).toBe(1);
    expect((await json("verify")).items.find(({ path }) => path === bad)).toMatchObject({
      state: "damaged",
      problem: "data has changed",
      removed: false,
    });
    expect(existsSync(bad)).toBe(true);

    const removal = await cache("verify", "--remove");
    expect([removal.status, removal.err]).toEqual([0, ""]);
    expect(removal.out).toMatch(/^damaged, deleted: circuit\/.*data has changed\n1 entry intact, /);
    expect([existsSync(bad), existsSync(good)]).toEqual([false, true]);
    expect((await cache("verify")).status).toBe(0);
  });
});

describe("cache prune", () => {
  it("unasked deletes what is damaged or left behind, and a dry run nothing", async () => {
    const good = await entry("circuit", "good", 400);
    const bad = await entry("development-key", "bad");
    await flipBit(bad);
    const left = await killedWorkshop();

    const dry = await cache("prune", "--dry-run");
    expect([dry.status, dry.err]).toEqual([0, ""]);
    expect(dry.out.match(/^would delete /gm)).toHaveLength(3);
    expect(dry.out).toMatch(/^3 items would be deleted, 1\.\d kB; 1 item kept, in /m);
    expect((await json("prune", "--dry-run")).items.filter(({ removed }) => removed)).toHaveLength(3);
    for (const path of [good, bad, left, `${left.split(".")[0]}.lock`]) expect(existsSync(path), path).toBe(true);

    const { status, out, err } = await cache("prune");
    expect([status, err]).toEqual([0, ""]);
    expect(out).toContain(`deleted development-key/${basename(bad)} (bad, `);
    expect(out).toContain(`deleted kind/${basename(left)} (4 B)\n`);
    expect(out).toMatch(/^3 items deleted, 1\.\d kB; 1 item kept, in /m);
    for (const path of [bad, left, `${left.split(".")[0]}.lock`]) expect(existsSync(path), path).toBe(false);
    expect(await store.find("circuit", "good")).toBe(good);
  });

  it("by age and kind, and all", async () => {
    const old = await entry("circuit", "old", 40);
    const oldKey = await entry("development-key", "old", 40);
    const fresh = await entry("circuit", "fresh");
    const left = async () => (await store.list()).map(({ path }) => path).sort();

    expect((await cache("prune", "--kind", "circuit")).out).toMatch(/^0 items deleted, 0 B; 2 items kept, in /);
    expect((await cache("prune", "--older", "41")).out).toMatch(/^0 items deleted, 0 B; 3 items kept, in /);
    expect((await cache("prune", "--older", "39", "--kind", "circuit")).out).toMatch(
      /^1 item deleted, .*; 1 item kept, in /m,
    );
    expect(await left()).toEqual([fresh, oldKey].sort());
    expect(existsSync(old)).toBe(false);
    const { dryRun, items } = await json("prune", "--all", "--kind", "development-key", "--dry-run");
    expect(dryRun).toBe(true);
    expect(items.map(({ path, removed }) => [path, removed])).toEqual([[oldKey, true]]);
    expect(await left()).toEqual([fresh, oldKey].sort());
    expect((await json("prune", "--all")).items.every(({ removed }) => removed)).toBe(true);
    expect(await left()).toEqual([]);
  });

  it("leaves a folder alone that is no store, also when told to delete everything", async () => {
    const commit = "0123456789abcdef0123456789abcdef01234567";
    await mkdir(join(root, "objects", commit), { recursive: true });
    await writeFile(join(root, "objects", commit, "blob"), "mine");
    await writeFile(join(root, "letter.txt"), "mine");
    const { status, out } = await cache("prune", "--all");
    expect(status).toBe(0);
    expect(out).toMatch(
      /^foreign, left alone: objects\/.*: no manifest, and the folder is not known to be anchorproof's alone$/m,
    );
    expect(out).toMatch(/^0 items deleted, 0 B; 1 item kept, in /m);
    expect(await readFile(join(root, "objects", commit, "blob"), "utf8")).toBe("mine");
    expect(await readFile(join(root, "letter.txt"), "utf8")).toBe("mine");

    await rm(root, { recursive: true });
    await writeFile(root, "mine");
    const file = await cache("prune", "--all");
    expect(file.status).toBe(1);
    expect(file.err).toMatch(/^error FILE_UNREADABLE: cannot read the artefact store [^\n]+\n$/);
    expect(await readFile(root, "utf8")).toBe("mine");
  });
});

/** What a process leaves that is killed while it makes an entry of kind "kind". */
async function killedWorkshop(): Promise<string> {
  const url = pathToFileURL(join(PACKAGE_ROOT, "dist/circuit/store.js")).href;
  const program = `
    import { writeFileSync } from "node:fs";
    import { join } from "node:path";
    import { ArtefactStore } from ${JSON.stringify(url)};
    await new ArtefactStore(process.argv[1]).build("kind", "key", async (directory) => {
      writeFileSync(join(directory, "data"), "half");
      console.log(directory);
      await new Promise((resolve) => setTimeout(resolve, 1_000_000));
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, root], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output] = (await once(child.stdout, "data")) as [Buffer];
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  return output.toString().trim();
}
