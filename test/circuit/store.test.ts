import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ArtefactStore, defaultStore, defaultStoreRoot } from "../../src/circuit/store.js";
import { AnchorError } from "../../src/errors.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { code, entries, temporaryFolder, temporaryStore } from "./support.js";

const run = promisify(execFile);

let store: ArtefactStore;
let made: number;

beforeEach(async () => {
  store = await temporaryStore();
  made = 0;
});

const make =
  (content = "content") =>
  async (directory: string) => {
    made++;
    await writeFile(join(directory, "one.txt"), content);
    await writeFile(join(directory, "two.bin"), new Uint8Array([1, 2, 3]));
  };

describe("build", () => {
  it("makes an entry once and finds it again, also from another store object", async () => {
    expect(await store.find("kind", "key")).toBeUndefined();
    const directory = await store.build("kind", "key", make());
    expect((await readdir(directory)).sort()).toEqual(["manifest.json", "one.txt", "two.bin"]);
    expect(dirname(directory)).toBe(join(store.root, "kind"));
    const other = new ArtefactStore(store.root);
    expect(await other.build("kind", "key", make("never"))).toBe(directory);
    expect(await other.find("kind", "key")).toBe(directory);
    expect(await readFile(join(directory, "one.txt"), "utf8")).toBe("content");
    expect(made).toBe(1);
  });

  it("is for its owner's eyes: proving keys hold a model's weights", async () => {
    const directory = await store.build("kind", "key", make());
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
  });

  it("keeps keys and kinds apart", async () => {
    const places = new Set([
      await store.build("kind", "key", make("1")),
      await store.build("kind", "key2", make("2")),
      await store.build("other", "key", make("3")),
    ]);
    expect(places.size).toBe(3);
    expect(made).toBe(3);
  });

  it("lets callers of one moment share the work", async () => {
    const slow = async (directory: string) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await make()(directory);
    };
    const places = await Promise.all(Array.from({ length: 8 }, () => store.build("kind", "key", slow)));
    expect(new Set(places).size).toBe(1);
    expect(made).toBe(1);
    expect(await entries(store, "kind")).toEqual([basename(places[0]!)]);
  });

  it("lets several stores make it at once: one entry stays, and all get it", async () => {
    let inside = 0;
    const together = async (directory: string) => {
      inside++;
      await vi.waitUntil(() => inside === 4, { timeout: 10_000 });
      await make()(directory);
    };
    const stores = Array.from({ length: 4 }, () => new ArtefactStore(store.root));
    const places = await Promise.all(stores.map((each) => each.build("kind", "key", together)));
    expect(new Set(places).size).toBe(1);
    expect(await entries(store, "kind")).toEqual([basename(places[0]!)]);
    expect(await store.find("kind", "key")).toBe(places[0]);
  });

  it("lets the first to finish stay: an entry that somebody may already read is not replaced", async () => {
    let finished: (directory: string) => void = () => {};
    const first = new Promise<string>((resolve) => (finished = resolve));
    const second = new ArtefactStore(store.root).build("kind", "key", async (directory) => {
      await first;
      await make("second")(directory);
    });
    finished(await store.build("kind", "key", make("first")));
    expect(await second).toBe(await first);
    expect(await readFile(join(await first, "one.txt"), "utf8")).toBe("first");
    expect(await entries(store, "kind")).toEqual([basename(await first)]);
  });

  it("survives two processes that race", async () => {
    const meeting = await temporaryFolder();
    const script = `
      import { existsSync, readdirSync, writeFileSync } from "node:fs";
      import { join } from "node:path";
      import { ArtefactStore } from ${JSON.stringify(pathToFileURL(join(PACKAGE_ROOT, "dist/circuit/store.js")).href)};
      const [root, meeting, me] = process.argv.slice(1);
      const directory = await new ArtefactStore(root).build("kind", "key", async (directory) => {
        writeFileSync(join(meeting, me), "");
        while (readdirSync(meeting).length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
        writeFileSync(join(directory, "big"), Buffer.alloc(1 << 20, 7));
      });
      process.stdout.write(directory);`;
    const race = (me: string) => run(process.execPath, ["--input-type=module", "-e", script, store.root, meeting, me]);
    const [first, second] = await Promise.all([race("a"), race("b")]);
    expect(first.stdout).toBe(second.stdout);
    expect(first.stderr + second.stderr).toBe("");
    expect(await store.find("kind", "key")).toBe(first.stdout);
    expect(await entries(store, "kind")).toEqual([basename(first.stdout)]);
  });

  it("leaves nothing behind when make throws, passes its error on, and works the next time", async () => {
    const fail = async (directory: string) => {
      await make()(directory);
      throw new AnchorError("CIRCUIT_COMPILE", "refused");
    };
    await expect(store.build("kind", "key", fail)).rejects.toThrowError(code("CIRCUIT_COMPILE"));
    expect(await entries(store, "kind")).toEqual([]);
    expect(await store.find("kind", "key")).toBeUndefined();
    await store.build("kind", "key", make());
    expect(made).toBe(2);
  });
});

describe("damage", () => {
  const damages: Record<string, (directory: string) => Promise<void>> = {
    "a changed byte": (directory) => writeFile(join(directory, "one.txt"), "contenT"),
    "a truncated file": (directory) => writeFile(join(directory, "two.bin"), new Uint8Array([1, 2])),
    "a missing file": (directory) => rm(join(directory, "one.txt")),
    "a file too many": (directory) => writeFile(join(directory, "three"), ""),
    "a missing manifest": (directory) => rm(join(directory, "manifest.json")),
    "a truncated manifest": (directory) => writeFile(join(directory, "manifest.json"), '{"files":{'),
    "a manifest of another shape": (directory) => writeFile(join(directory, "manifest.json"), "null"),
    "an empty manifest": (directory) => writeFile(join(directory, "manifest.json"), '{"files":{}}'),
  };

  it.each(Object.keys(damages))("%s: the entry is not found, and is made again", async (name) => {
    const directory = await store.build("kind", "key", make());
    await damages[name]!(directory);
    expect(await store.find("kind", "key")).toBeUndefined();
    expect(await store.build("kind", "key", make("again"))).toBe(directory);
    expect(made).toBe(2);
    expect(await readFile(join(directory, "one.txt"), "utf8")).toBe("again");
    expect(await store.find("kind", "key")).toBe(directory);
    expect(await entries(store, "kind")).toEqual([basename(directory)]);
  });

  it("ignores the workshop of a process that died, and a half-written entry", async () => {
    const directory = await store.build("kind", "key", make());
    await rm(directory, { recursive: true });
    await mkdir(`${directory}.999999-deadbeef`);
    await writeFile(join(`${directory}.999999-deadbeef`, "one.txt"), "half");
    expect(await store.find("kind", "key")).toBeUndefined();
    await mkdir(directory);
    await writeFile(join(directory, "one.txt"), "half");
    expect(await store.find("kind", "key")).toBeUndefined();
    expect(await store.build("kind", "key", make())).toBe(directory);
    expect(await readFile(join(directory, "one.txt"), "utf8")).toBe("content");
  });
});

describe("abort", () => {
  it("before and during the work gives ABORTED and no entry", async () => {
    await expect(store.build("kind", "key", make(), { signal: AbortSignal.abort() })).rejects.toThrowError(
      code("ABORTED"),
    );
    expect(made).toBe(0);
    const stop = new AbortController();
    const stopped = async (directory: string) => {
      await make()(directory);
      stop.abort();
    };
    await expect(store.build("kind", "key", stopped, { signal: stop.signal })).rejects.toThrowError(code("ABORTED"));
    expect(await entries(store, "kind")).toEqual([]);
  });

  it("of one caller does not stop another who waits for the same entry", async () => {
    const stop = new AbortController();
    const stopped = async (directory: string) => {
      await make("first")(directory);
      stop.abort();
    };
    const first = store.build("kind", "key", stopped, { signal: stop.signal });
    const second = store.build("kind", "key", make("second"));
    await expect(first).rejects.toThrowError(code("ABORTED"));
    expect(await readFile(join(await second, "one.txt"), "utf8")).toBe("second");
  });
});

describe("joining a build", () => {
  it("can be given up without stopping the work", async () => {
    let finish: () => void = () => {};
    const gate = new Promise<void>((resolve) => (finish = resolve));
    const slow = async (directory: string) => {
      await gate;
      await make()(directory);
    };
    const first = store.build("kind", "key", slow);
    const stop = new AbortController();
    const second = store.build("kind", "key", make(), { signal: stop.signal });
    stop.abort();
    await expect(second).rejects.toThrowError(code("ABORTED"));
    await expect(store.build("kind", "key", make(), { signal: stop.signal })).rejects.toThrowError(code("ABORTED"));
    finish();
    expect(await readFile(join(await first, "one.txt"), "utf8")).toBe("content");
    expect(made).toBe(1);
  });
});

describe("place", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("that cannot be written gives FILE_UNREADABLE and says what to do", async () => {
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    const blocked = new ArtefactStore(join(file, "store"));
    await expect(blocked.build("kind", "key", make())).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(blocked.build("kind", "key", make())).rejects.toThrowError(/ANCHORPROOF_CACHE/);
    expect(await blocked.find("kind", "key")).toBeUndefined();
    expect(made).toBe(0);
  });

  it("comes from the environment, the more specific first", () => {
    vi.stubEnv("ANCHORPROOF_CACHE", "/somewhere");
    vi.stubEnv("XDG_CACHE_HOME", "/xdg");
    expect(defaultStoreRoot()).toBe("/somewhere");
    expect(defaultStore().root).toBe("/somewhere");
    vi.stubEnv("ANCHORPROOF_CACHE", "");
    expect(defaultStoreRoot()).toBe("/xdg/anchorproof");
    vi.stubEnv("XDG_CACHE_HOME", "");
    expect(defaultStoreRoot()).toMatch(/\/\.cache\/anchorproof$/);
  });
});
