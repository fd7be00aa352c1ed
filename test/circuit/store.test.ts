import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readArtefact } from "../../src/circuit/entry.js";
import { ArtefactStore, defaultStore, defaultStoreRoot, type StoreItem } from "../../src/circuit/store.js";
import { AnchorError } from "../../src/errors.js";
import { ownerState, thisOwner, tryLock } from "../../src/lock.js";
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

/** The lock of the entry that a workshop is for. */
const lockOf = (workshop: string) => workshop.replace(/\.[^./]*$/, ".lock");

interface ManifestJson {
  files: { name: string; bytes: number; sha256: string }[];
  sha256: string;
  [key: string]: unknown;
}

async function edit(directory: string, change: (manifest: ManifestJson) => object): Promise<void> {
  const path = join(directory, "manifest.json");
  const { mtime } = await stat(path);
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, "utf8")))));
  await utimes(path, mtime, mtime);
}

/** A manifest with a digest of itself that fits, as somebody makes it who means harm. */
function resealed(body: object): object {
  return { ...body, sha256: createHash("sha256").update(JSON.stringify(body)).digest("hex") };
}

/** Arguments for node: a program that has the built store. */
function nodeProgram(text: string): string[] {
  const url = pathToFileURL(join(PACKAGE_ROOT, "dist/circuit/store.js")).href;
  const program = `import { ArtefactStore } from ${JSON.stringify(url)};\n${text}`;
  return ["--input-type=module", "-e", program];
}

/** A program that builds one entry in the store of its first argument and prints its directory. */
function builder(make: string): string[] {
  return nodeProgram(`
    import { appendFileSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
    import { join } from "node:path";
    const directory = await new ArtefactStore(process.argv[1]).build("kind", "key", async (directory) => {${make}});
    process.stdout.write(directory);`);
}

/** A process that writes half an entry, says so in the folder `meeting`, and waits there for the word to finish. */
function startBuilder(root: string, meeting: string): ChildProcess {
  const script = builder(`
    writeFileSync(join(directory, "one.txt"), "half");
    writeFileSync(join(process.argv[2], "working"), "");
    while (!existsSync(join(process.argv[2], "finish"))) await new Promise((resolve) => setTimeout(resolve, 10));`);
  return spawn(process.execPath, [...script, root, meeting], { stdio: ["ignore", "pipe", "inherit"] });
}

function text(child: ChildProcess): Promise<string> {
  let output = "";
  child.stdout!.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.once("close", () => resolve(output)));
}

/** However long it takes: what never comes ends with the test's time. */
async function until(there: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await there())) await sleep(20);
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

async function killedBuilder(root: string): Promise<{ killed: string; left: string[] }> {
  const meeting = await temporaryFolder();
  const child = startBuilder(root, meeting);
  await until(() => existsSync(join(meeting, "working")));
  await kill(child);
  const left = await readdir(join(root, "kind"));
  return { killed: left[0]!.slice(0, 40), left };
}

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

  it("has one of several stores make it, while the others wait", async () => {
    let inside = 0;
    const alone = async (directory: string) => {
      expect(++inside).toBe(1);
      await sleep(100);
      await make()(directory);
      inside--;
    };
    const stores = Array.from({ length: 4 }, () => new ArtefactStore(store.root));
    const places = await Promise.all(stores.map((each) => each.build("kind", "key", alone)));
    expect(new Set(places).size).toBe(1);
    expect(made).toBe(1);
    expect(await entries(store, "kind")).toEqual([basename(places[0]!)]);
  });

  it("lets several stores make it at once where the lock fails: one entry stays, and all get it", async () => {
    let inside = 0;
    const together = async (directory: string) => {
      await rm(lockOf(directory));
      inside++;
      await until(() => inside === 4);
      await make()(directory);
    };
    const stores = Array.from({ length: 4 }, () => new ArtefactStore(store.root));
    const places = await Promise.all(stores.map((each) => each.build("kind", "key", together)));
    expect(new Set(places).size).toBe(1);
    expect(await entries(store, "kind")).toEqual([basename(places[0]!)]);
    expect(await store.find("kind", "key")).toBe(places[0]);
  });

  it("lets the first to finish stay: an entry that somebody may already read is not replaced", async () => {
    let enter: () => void = () => {};
    const entered = new Promise<void>((resolve) => (enter = resolve));
    let finish: (directory: string) => void = () => {};
    const first = new Promise<string>((resolve) => (finish = resolve));
    const second = new ArtefactStore(store.root).build("kind", "key", async (directory) => {
      await rm(lockOf(directory));
      enter();
      await first;
      await make("second")(directory);
    });
    await entered;
    finish(await store.build("kind", "key", make("first")));
    expect(await second).toBe(await first);
    expect(await readFile(join(await first, "one.txt"), "utf8")).toBe("first");
    expect(await entries(store, "kind")).toEqual([basename(await first)]);
  });

  it("replaces a damaged entry that appeared while it worked", async () => {
    const directory = await store.build("kind", "key", async (workshop) => {
      const place = lockOf(workshop).slice(0, -".lock".length);
      await mkdir(place);
      await writeFile(join(place, "one.txt"), "half");
      await make()(workshop);
    });
    expect(await store.find("kind", "key")).toBe(directory);
    expect(await entries(store, "kind")).toEqual([basename(directory)]);
  });

  it("says what failed on the disk, and what cannot be kept", async () => {
    const unread = (directory: string) => readFile(join(directory, "missing")).then(() => {});
    await expect(store.build("kind", "key", unread, { label: "tiny" })).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(store.build("kind", "key", unread, { label: "tiny" })).rejects.toThrowError(
      /cannot make tiny: ENOENT/,
    );
    for (const spoil of [
      (directory: string) => mkdir(join(directory, "sub")).then(() => {}),
      (directory: string) => symlink("/etc/hostname", join(directory, "link")),
      (directory: string) => writeFile(join(directory, "manifest.json"), "{}"),
    ]) {
      await expect(store.build("kind", "key", spoil)).rejects.toThrowError(code("INTERNAL"));
    }
    expect(await entries(store, "kind")).toEqual([]);
    for (const kind of ["", "..", "Kind", "a/b", "-", "k".repeat(65)]) {
      await expect(store.build(kind, "key", make())).rejects.toThrowError(code("INPUT_INVALID"));
      await expect(store.find(kind, "key")).rejects.toThrowError(code("INPUT_INVALID"));
    }
    expect(made).toBe(0);
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
    "a manifest without files": (directory) => edit(directory, (manifest) => ({ ...manifest, files: [] })),
    "a manifest with another digest": (directory) =>
      edit(directory, (manifest) => {
        manifest.files[0]!.sha256 = manifest.files[1]!.sha256;
        return manifest;
      }),
    "a manifest with another label": (directory) => edit(directory, (manifest) => ({ ...manifest, label: "other" })),
    "a manifest without its digest": (directory) => edit(directory, ({ sha256: _, ...manifest }) => manifest),
    "a manifest that names a file twice": (directory) =>
      edit(directory, ({ sha256: _, ...manifest }) =>
        resealed({ ...manifest, files: [...manifest.files, manifest.files[0]] }),
      ),
    "a manifest that leads out of the entry": async (directory) => {
      await rename(join(directory, "one.txt"), join(directory, "..", "one.txt"));
      await edit(directory, ({ sha256: _, ...manifest }) => {
        manifest.files[0]!.name = "../one.txt";
        return resealed(manifest);
      });
      await rm(join(directory, "..", "one.txt"));
    },
    "a manifest of the first release": async (directory) => {
      const files = Object.fromEntries(
        JSON.parse(await readFile(join(directory, "manifest.json"), "utf8")).files.map(
          ({ name, sha256 }: { name: string; sha256: string }) => [name, sha256],
        ),
      );
      await writeFile(join(directory, "manifest.json"), JSON.stringify({ format: "anchorproof/artefact@1", files }));
    },
    "a manifest that is no file": async (directory) => {
      await rm(join(directory, "manifest.json"));
      await mkdir(join(directory, "manifest.json"));
    },
    "a flipped bit": async (directory) => {
      const bytes = await readFile(join(directory, "two.bin"));
      bytes[1]! ^= 0x10;
      await writeFile(join(directory, "two.bin"), bytes);
    },
    "a file that grew": (directory) => writeFile(join(directory, "one.txt"), "\n", { flag: "a" }),
    "a folder too many": (directory) => mkdir(join(directory, "three")).then(() => {}),
    "a symlink to the very content": async (directory) => {
      const elsewhere = join(await temporaryFolder(), "one.txt");
      await rename(join(directory, "one.txt"), elsewhere);
      await symlink(elsewhere, join(directory, "one.txt"));
    },
    "a symlinked entry": async (directory) => {
      const elsewhere = join(await temporaryFolder(), "entry");
      await rename(directory, elsewhere);
      await symlink(elsewhere, directory);
    },
    "a symlinked manifest": async (directory) => {
      const elsewhere = join(await temporaryFolder(), "manifest.json");
      await rename(join(directory, "manifest.json"), elsewhere);
      await symlink(elsewhere, join(directory, "manifest.json"));
    },
    "a named pipe, which would wait for ever": async (directory) => {
      await rm(join(directory, "one.txt"));
      await run("mkfifo", [join(directory, "one.txt")]);
    },
    "an entry copied from another place": async (directory) => {
      const other = await new ArtefactStore(store.root).build("kind", "other", async (workshop) => {
        await writeFile(join(workshop, "one.txt"), "other");
      });
      await rm(directory, { recursive: true });
      await rename(other, directory);
    },
    "an entry of another kind": async (directory) => {
      const manifest = JSON.parse(await readFile(join(directory, "manifest.json"), "utf8"));
      const { sha256: _, ...body } = manifest;
      await writeFile(join(directory, "manifest.json"), JSON.stringify(resealed({ ...body, kind: "other" })));
    },
    "a file in its place": async (directory) => {
      await rm(directory, { recursive: true });
      await writeFile(directory, "");
    },
  };

  it.each(Object.keys(damages))("%s: the entry is not found, and is made again", async (name) => {
    const directory = await store.build("kind", "key", make());
    await damages[name]!(directory);
    expect(await store.find("kind", "key")).toBeUndefined();
    const again = async (workshop: string) => {
      // It has made room before the work begins: keys are large.
      await expect(lstat(directory)).rejects.toThrowError(/ENOENT/);
      await make("again")(workshop);
    };
    expect(await store.build("kind", "key", again)).toBe(directory);
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

describe("hashing", () => {
  it("is repeated only for files whose identity has changed, and on demand", async () => {
    const directory = await store.build("kind", "key", make());
    const file = await open(join(directory, "one.txt"));
    const reads = vi.spyOn(Object.getPrototypeOf(file), "read");
    await file.close();
    const readsOf = async (work: () => Promise<unknown>) => {
      reads.mockClear();
      await work();
      return reads.mock.calls.length;
    };
    try {
      const find = () => store.find("kind", "key");
      // Whole seconds, so that the very same time can be set again below.
      await utimes(join(directory, "one.txt"), 1_700_000_000, 1_700_000_000);
      // Too fresh to be remembered: a write within the clock's grain would leave the same times.
      expect(await readsOf(find)).toBeGreaterThan(0);
      expect(await readsOf(find)).toBeGreaterThan(0);
      await sleep(2_100);
      expect(await readsOf(find)).toBeGreaterThan(0);
      expect(await readsOf(find)).toBe(0);
      expect(await readsOf(() => store.verify())).toBeGreaterThan(0);

      await writeFile(join(directory, "one.txt"), "contenT");
      await utimes(join(directory, "one.txt"), 1_700_000_000, 1_700_000_000);
      expect(await find()).toBeUndefined();
    } finally {
      reads.mockRestore();
    }
  });

  it("goes piece by piece, tells its progress, and can be stopped midway", async () => {
    const size = 2 ** 26 + 5;
    const directory = await store.build("kind", "key", async (workshop) => {
      await writeFile(join(workshop, "key.zkey"), "");
      await truncate(join(workshop, "key.zkey"), size);
    });
    const file = await open(join(directory, "key.zkey"), "r+");
    await file.write(Buffer.from([1]), 0, 1, size - 1);
    const { read } = Object.getPrototypeOf(file);
    const reads = vi.spyOn(Object.getPrototypeOf(file), "read");
    const whole = vi.spyOn(Object.getPrototypeOf(file), "readFile");
    await file.close();
    try {
      const shares: number[] = [];
      const [item] = await store.verify({ onProgress: (done) => shares.push(done) });
      expect(item).toMatchObject({ state: "damaged", problem: "key.zkey has changed" });
      expect(shares.at(-1)).toBe(1);
      expect([...shares].sort((a, b) => a - b)).toEqual(shares);
      const lengths = reads.mock.calls.map((args) => args[2] as number);
      expect(lengths.length).toBeGreaterThan(60);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(1 << 20);
      expect(whole.mock.calls.length).toBe(2); // the manifest, at a glance and in earnest

      for (const work of [
        (signal: AbortSignal) => store.find("kind", "key", { signal }),
        (signal: AbortSignal) => store.build("kind", "key", make(), { signal }),
        (signal: AbortSignal) => store.verify({ signal }),
        (signal: AbortSignal) => store.prune({ signal }),
      ]) {
        const stop = new AbortController();
        reads.mockClear();
        reads.mockImplementationOnce(function (this: unknown, ...args: unknown[]) {
          stop.abort();
          return Reflect.apply(read, this, args);
        });
        await expect(work(stop.signal)).rejects.toThrowError(code("ABORTED"));
        expect(reads.mock.calls.length).toBeLessThan(5);
      }
    } finally {
      reads.mockRestore();
      whole.mockRestore();
    }
    expect(made).toBe(0);
    expect(existsSync(directory)).toBe(true);
  });

  it("that cannot be done is no damage: the entry stays", async () => {
    const directory = await store.build("kind", "key", make());
    const starving = `
      import { openSync } from "node:fs";
      const store = new ArtefactStore(process.argv[1]);
      try { for (;;) openSync("/dev/null", "r"); } catch {}
      const failures = [store.find("kind", "key"), store.build("kind", "key", () => { throw new Error("made") })];
      process.stdout.write((await Promise.allSettled(failures)).map(({ reason }) => reason.code).join());`;
    const { stdout } = await run("sh", [
      "-c",
      'ulimit -n 64; exec "$@"',
      "sh",
      process.execPath,
      ...nodeProgram(starving),
      store.root,
    ]);
    expect(stdout).toBe("FILE_UNREADABLE,FILE_UNREADABLE");
    expect(await store.find("kind", "key")).toBe(directory);
    expect(made).toBe(1);
  });

  it("notes the use, to the hour, without harm to the check", async () => {
    const directory = await store.build("kind", "key", make());
    const manifest = join(directory, "manifest.json");
    const used = async () => (await stat(manifest)).mtimeMs;
    const recent = Date.now() - 1_800_000;
    await utimes(manifest, recent / 1000, recent / 1000);
    expect(await store.find("kind", "key")).toBe(directory);
    expect(await used()).toBeCloseTo(recent, -2);
    await utimes(manifest, 1_000_000_000, 1_000_000_000);
    expect((await store.list())[0]!.used).toEqual(new Date(1e12));
    expect(await used()).toBe(1e12);
    expect(await store.build("kind", "key", make())).toBe(directory);
    expect(await used()).toBeGreaterThan(recent);
    expect(await store.find("kind", "key")).toBe(directory);
  });
});

describe("several processes", () => {
  it("one makes it, the others wait for it", async () => {
    const meeting = await temporaryFolder();
    const script = builder(`
      appendFileSync(join(process.argv[2], "made"), "x");
      await new Promise((resolve) => setTimeout(resolve, 300));
      writeFileSync(join(directory, "big"), Buffer.alloc(1 << 20, 7));`);
    const runs = await Promise.all(
      Array.from({ length: 3 }, () => run(process.execPath, [...script, store.root, meeting])),
    );
    expect(new Set(runs.map(({ stdout }) => stdout)).size).toBe(1);
    expect(runs.map(({ stderr }) => stderr).join("")).toBe("");
    expect(await readFile(join(meeting, "made"), "utf8")).toBe("x");
    expect(await store.find("kind", "key")).toBe(runs[0]!.stdout);
    expect(await entries(store, "kind")).toEqual([basename(runs[0]!.stdout)]);
  });

  it("two that race, as the lock failed: one entry stays, and both get it", async () => {
    const meeting = await temporaryFolder();
    const script = builder(`
      rmSync(directory.replace(/\\.[^./]*$/, ".lock"));
      writeFileSync(join(process.argv[2], String(process.pid)), "");
      while (readdirSync(process.argv[2]).length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      writeFileSync(join(directory, "big"), Buffer.alloc(1 << 20, 7));`);
    const race = () => run(process.execPath, [...script, store.root, meeting]);
    const [first, second] = await Promise.all([race(), race()]);
    expect(first.stdout).toBe(second.stdout);
    expect(first.stderr + second.stderr).toBe("");
    expect(await store.find("kind", "key")).toBe(first.stdout);
    expect(await entries(store, "kind")).toEqual([basename(first.stdout)]);
  });

  it("one that is killed midway blocks nobody: who waits makes it, and prune clears up", async () => {
    const { killed, left } = await killedBuilder(store.root);
    expect(left.sort()).toEqual([
      expect.stringMatching(/^[0-9a-f]{40}\.[0-9a-f]{8}-\d+-\d+-[0-9a-f]{8}$/),
      expect.stringMatching(/^[0-9a-f]{40}\.lock$/),
    ]);
    const listed = await store.list();
    expect(listed.map(({ type, state, problem }) => [type, state, problem])).toEqual([
      ["workshop", "stale", "its process has ended"],
      ["lock", "stale", "its process has ended"],
    ]);
    expect(listed[0]!.bytes).toBe(4);
    expect(await store.find("kind", "key")).toBeUndefined();

    const directory = await store.build("kind", "key", make());
    expect(basename(directory)).toBe(killed);
    expect((await store.prune()).map(({ type, state, removed }) => [type, state, removed])).toEqual([
      ["entry", "intact", false],
      ["workshop", "stale", true],
    ]);
    expect(await entries(store, "kind")).toEqual([killed]);
    expect(await store.find("kind", "key")).toBe(directory);
  });

  it("who waits for one that is killed goes on at once", async () => {
    const meeting = await temporaryFolder();
    const child = startBuilder(store.root, meeting);
    await until(() => existsSync(join(meeting, "working")));
    const waiting = store.build("kind", "key", make());
    await sleep(300);
    expect(made).toBe(0);
    await kill(child);
    expect(await readFile(join(await waiting, "one.txt"), "utf8")).toBe("content");
    expect(made).toBe(1);
  });

  it("prune does not touch what a running one makes, and waiting for it can be given up", async () => {
    const meeting = await temporaryFolder();
    const child = startBuilder(store.root, meeting);
    const output = text(child);
    await until(() => existsSync(join(meeting, "working")));
    await expect(store.build("kind", "key", make(), { signal: AbortSignal.timeout(200) })).rejects.toThrowError(
      code("ABORTED"),
    );
    for (const item of await store.prune({ all: true })) {
      expect(item).toMatchObject({ type: "workshop", state: "working", removed: false });
    }
    await writeFile(join(meeting, "finish"), "");
    expect(await output).toBe(await store.find("kind", "key"));
    expect((await store.verify()).map(({ type, state }) => [type, state])).toEqual([["entry", "intact"]]);
    expect(made).toBe(0);
  });

  it("makers, readers and pruners at once: nobody sees half an entry, and nothing is left behind", async () => {
    const script = nodeProgram(`
      import { existsSync, writeFileSync } from "node:fs";
      import { join } from "node:path";
      import { readArtefact } from ${JSON.stringify(pathToFileURL(join(PACKAGE_ROOT, "dist/circuit/entry.js")).href)};
      const store = new ArtefactStore(process.argv[1]);
      const until = Date.now() + 2500;
      const count = { made: 0, read: 0, gone: 0 };
      while (Date.now() < until || count.read === 0 || !existsSync(process.argv[2])) {
        const key = String(Math.floor(Math.random() * 3));
        const directory = await store.build("kind", key, async (workshop) => {
          count.made++;
          for (const name of ["a", "b"]) writeFileSync(join(workshop, name), key.repeat(100_000));
        });
        try {
          const [a, b] = [await readArtefact(directory, "a"), await readArtefact(directory, "b")];
          if (!a.equals(b) || a.toString() !== key.repeat(100_000)) throw new Error("half an entry");
          count.read++;
        } catch (error) {
          if (error.code !== "CACHE_DAMAGED") throw error;
          count.gone++;
        }
      }
      process.stdout.write(JSON.stringify(count));`);
    let over = false;
    // They go on until it has pruned something.
    const enough = join(await temporaryFolder(), "enough");
    const runs = Promise.all(
      Array.from({ length: 3 }, () => run(process.execPath, [...script, store.root, enough])),
    ).finally(() => (over = true));
    let removed = 0;
    while (!over) {
      const items = await store.prune({ all: true });
      removed += items.filter((item) => item.removed).length;
      for (const { state } of items) expect(["intact", "working"]).toContain(state);
      if (removed > 3) await writeFile(enough, "");
      await sleep(20);
    }
    const counts = (await runs).map(({ stdout }) => JSON.parse(stdout) as { made: number; read: number });
    expect(removed).toBeGreaterThan(3);
    expect(counts.reduce((sum, count) => sum + count.made, 0)).toBeGreaterThan(3);
    for (const { read } of counts) expect(read).toBeGreaterThan(0);
    for (const { type, state } of await store.verify()) expect([type, state]).toEqual(["entry", "intact"]);
    await store.prune({ all: true });
    expect(await entries(store, "kind")).toEqual([]);
  });
});

describe("locks", () => {
  const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);
  const [host, pid, start] = thisOwner().split("-") as [string, string, string];
  const foreignHost = host === "00000000" ? "11111111" : "00000000";

  it.each([
    ["of a living process", thisOwner(), 0, false],
    ["of a living process that is busy", thisOwner(), 5, false],
    ["of a living process whose thread has ended", thisOwner(), 11, true],
    ["of a process whose pid another one has now", `${host}-${pid}-${Number(start) + 1}`, 0, true],
    ["of a process that has ended", `${host}-999999999-5`, 0, true],
    ["of another machine", `${foreignHost}-1-5`, 0, false],
    ["of another machine that is silent", `${foreignHost}-1-5`, 2, true],
    ["of another machine, silent by its clock", `${foreignHost}-1-5`, -2, true],
    ["that is not written yet", "", 0, false],
    ["that was never written", "", 2, true],
    ["of nobody", "somebody else", 2, true],
  ])("%s: broken or not", async (_, owner, age, broken) => {
    const directory = await store.build("kind", "key", make());
    await rm(directory, { recursive: true });
    await writeFile(`${directory}.lock`, owner === "" ? "" : `${owner} 0123456789abcdef\n`);
    await utimes(`${directory}.lock`, minutesAgo(age), minutesAgo(age));
    const listed = (await store.list()).map(({ type, state }) => [type, state]);
    expect(listed).toEqual(broken ? [["lock", "stale"]] : []);
    const building = store.build("kind", "key", make(), { signal: AbortSignal.timeout(400) });
    if (broken) {
      expect(await building).toBe(directory);
      expect(await entries(store, "kind")).toEqual([basename(directory)]);
    } else {
      await expect(building).rejects.toThrowError(code("ABORTED"));
      expect(await entries(store, "kind")).toEqual([`${basename(directory)}.lock`]);
    }
  });

  it("that was broken while its holder lived is not released by it", async () => {
    const path = join(await temporaryFolder(), `${"0".repeat(40)}.lock`);
    const first = await tryLock(path);
    expect(await tryLock(path)).toBeUndefined();
    await utimes(path, minutesAgo(11), minutesAgo(11));
    const second = await tryLock(path);
    expect(second).toBeDefined();
    await first!.release();
    expect(await tryLock(path)).toBeUndefined();
    await second!.release();
    expect(existsSync(path)).toBe(false);
  });

  it("shows that its holder lives, and that what it works on does", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      const folder = await temporaryFolder();
      const path = join(folder, `${"0".repeat(40)}.lock`);
      const lock = await tryLock(path);
      let touched = 0;
      lock!.alsoTouch(async () => {
        touched++;
        throw new Error("gone"); // no reason to stop
      });
      for (const round of [1, 2]) {
        await utimes(path, minutesAgo(20), minutesAgo(20));
        vi.advanceTimersByTime(10_000);
        await until(async () => (await stat(path)).mtimeMs > minutesAgo(19).getTime());
        expect(touched).toBe(round);
      }
      await lock!.release();
      vi.advanceTimersByTime(60_000);
      expect(touched).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it("is taken by one of many who break it", async () => {
    for (let round = 0; round < 20; round++) {
      const folder = await temporaryFolder();
      const path = join(folder, `${"0".repeat(40)}.lock`);
      await writeFile(path, `${host}-999999999-5 0123456789abcdef\n`);
      const locks = await Promise.all(Array.from({ length: 8 }, () => tryLock(path)));
      expect(locks.filter(Boolean).length).toBeGreaterThan(0);
      for (const lock of locks) await lock?.release();
      expect(await readdir(folder)).toEqual([]);
    }
  });

  it("names of owners: living, gone, and none of ours", () => {
    expect(ownerState(thisOwner())).toBe("alive");
    expect(ownerState(`${host}-${process.ppid}-0`)).toBe("alive");
    expect(ownerState(`${host}-1-0`)).toBe("alive");
    expect(ownerState(`${host}-999999999-0`)).toBe("gone");
    for (const text of ["", "x", `${foreignHost}-${pid}-${start}`, `${host}-0-1`, `${host}--1-1`, `${host}-1`, "123"]) {
      expect(ownerState(text)).toBe("unknown");
    }
  });
});

describe("prune", () => {
  const states = (items: StoreItem[]) => items.map(({ state, removed }) => [state, removed]);

  it("unasked removes what is damaged, and nothing that is intact", async () => {
    const good = await store.build("kind", "good", make(), { label: "good" });
    const cut = await store.build("kind", "cut", make());
    await writeFile(join(cut, "one.txt"), "");
    const flipped = await store.build("other", "flipped", make());
    await writeFile(join(flipped, "one.txt"), "contenT");
    const empty = await store.build("other", "empty", make());
    await writeFile(join(empty, "manifest.json"), "");

    const dry = await store.prune({ dryRun: true });
    for (const { path, state, removed } of dry) {
      expect([path, state, removed]).toEqual([path, path === good ? "intact" : "damaged", path !== good]);
      expect(existsSync(path)).toBe(true);
    }
    const items = await store.prune();
    expect(items).toEqual(dry);
    expect(items.length).toBe(4);
    for (const { path } of items) expect(existsSync(path)).toBe(path === good);
    expect(await store.find("kind", "good")).toBe(good);
    expect(await entries(store, "other")).toEqual([]);
  });

  it("by age, by kind, and all of it", async () => {
    const ago = (days: number) => new Date(Date.now() - days * 86_400_000);
    const old = await store.build("kind", "old", make());
    const revived = await store.build("kind", "revived", make());
    const other = await store.build("other", "old", make());
    for (const directory of [old, revived, other]) await utimes(join(directory, "manifest.json"), ago(40), ago(40));
    const fresh = await store.build("kind", "fresh", make());
    await store.find("kind", "revived");

    expect(states(await store.prune({ unusedDays: 41 }))).toEqual(Array(4).fill(["intact", false]));
    const items = await store.prune({ unusedDays: 30, kind: "kind" });
    expect(items.filter(({ removed }) => removed).map(({ path }) => path)).toEqual([old]);
    expect(items.length).toBe(3);
    for (const directory of [revived, other, fresh]) expect(existsSync(directory)).toBe(true);
    expect(await store.prune({ kind: "nonsense", all: true })).toEqual([]);
    expect(states(await store.prune({ all: true, dryRun: true }))).toEqual(Array(3).fill(["intact", true]));
    expect(existsSync(fresh)).toBe(true);
    expect(states(await store.prune({ all: true }))).toEqual(Array(3).fill(["intact", true]));
    expect(await store.list()).toEqual([]);
    for (const unusedDays of [-1, Number.NaN]) {
      await expect(store.prune({ unusedDays })).rejects.toThrowError(code("INPUT_INVALID"));
    }
    await expect(store.prune({ signal: AbortSignal.abort() })).rejects.toThrowError(code("ABORTED"));
  });

  it("leaves an entry that somebody is replacing, or has used or replaced since it was judged", async () => {
    const directory = await store.build("kind", "key", make());
    await writeFile(join(directory, "one.txt"), "contenT");
    const lock = await tryLock(`${directory}.lock`);
    expect(states(await store.prune({ all: true }))).toEqual([["working", false]]);
    await lock!.release();
    expect(existsSync(directory)).toBe(true);

    // While it is read, somebody makes the entry again.
    for (const look of ["verify", "prune"] as const) {
      await writeFile(join(directory, "one.txt"), "contenT");
      const elsewhere = new ArtefactStore(await temporaryFolder());
      const again = await elsewhere.build("kind", "key", make("CONTENT"));
      let swapped = false;
      const items = await store[look]({
        onProgress: () => {
          if (swapped) return;
          swapped = true;
          rmSync(directory, { recursive: true });
          renameSync(again, directory);
        },
      });
      expect(swapped).toBe(true);
      expect(states(items)).toEqual([["intact", false]]);
      expect(await readFile(join(directory, "one.txt"), "utf8")).toBe("CONTENT");
      expect(await store.find("kind", "key")).toBe(directory);
    }
  });

  it("of workshops: those of other machines and of the first release go by age", async () => {
    const directory = await store.build("kind", "key", make());
    const foreign = `${directory}.00000000-1-1-deadbeef`;
    const first = `${directory}.${process.pid}-deadbeef`;
    const mine = `${directory}.${thisOwner()}-deadbeef`;
    const past = new Date(Date.now() - 2 * 86_400_000);
    for (const workshop of [foreign, first, mine]) {
      await mkdir(join(workshop, "stage"), { recursive: true });
      await writeFile(join(workshop, "stage", "half"), "half");
    }
    for (const item of await store.prune()) expect(item.removed).toBe(false);
    for (const workshop of [foreign, first, mine]) await utimes(workshop, past, past);
    const items = await store.prune();
    expect(items.filter(({ removed }) => removed).map(({ path, bytes }) => [path, bytes])).toEqual([
      [foreign, 4],
      [first, 4],
    ]);
    expect((await entries(store, "kind")).sort()).toEqual([basename(directory), basename(mine)].sort());
  });

  it("removes entries of an earlier release, and leaves those of a later one", async () => {
    const place = (digit: string) => join(store.root, "kind", digit.repeat(40));
    await store.build("kind", "key", make());
    for (const [digit, version] of [
      ["0", 1],
      ["1", 3],
    ] as const) {
      await mkdir(place(digit));
      await writeFile(join(place(digit), "manifest.json"), `{"format":"anchorproof/artefact@${version}","files":{}}`);
    }
    const items = await store.prune({ all: true });
    expect(
      items.map(({ path, state, removed }) => [path, state, removed]).filter(([, state]) => state !== "intact"),
    ).toEqual([
      [place("0"), "stale", true],
      [place("1"), "foreign", false],
    ]);
    expect(await entries(store, "kind")).toEqual(["1".repeat(40)]);
  });

  it("never loses a file that is not the store's", async () => {
    const home = await temporaryFolder();
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const theirs = [
      "letter.txt",
      "CACHEDIR.TAG",
      `objects/${commit}/blob`,
      `objects/${commit}.tar`,
      `objects/${commit}.lock.txt`,
      `models/${commit}/manifest.json`,
      `kind/${commit}/manifest.json`,
      `kind/${commit}/weights.bin`,
      "kind/notes.txt",
      `.git/${commit}/x`,
      `deep/kind/${commit}/manifest.json`,
    ];
    for (const name of theirs) {
      await mkdir(dirname(join(home, name)), { recursive: true });
      const content = name.endsWith("manifest.json") ? '{"format":"docker/image@1","files":{}}' : name;
      await writeFile(join(home, name), content);
    }
    await symlink(join(home, "deep"), join(home, "kind", "f".repeat(40)));
    const shared = new ArtefactStore(home);
    const ours = await shared.build("kind", "key", make());
    const broken = await shared.build("kind", "broken", make());
    await writeFile(join(broken, "one.txt"), "contenT");
    const items = await shared.prune({ all: true });
    expect(
      items
        .filter(({ removed }) => removed)
        .map(({ path }) => path)
        .sort(),
    ).toEqual([ours, broken].sort());
    expect(items.filter(({ state }) => state === "foreign").length).toBe(4);
    for (const name of theirs) expect((await stat(join(home, name))).isFile(), name).toBe(true);
    expect(await readFile(join(home, "CACHEDIR.TAG"), "utf8")).toBe("CACHEDIR.TAG");
    expect((await lstat(join(home, "kind", "f".repeat(40)))).isSymbolicLink()).toBe(true);
  });

  it("removes a symlink in an entry's place, never what it leads to", async () => {
    const precious = join(await temporaryFolder(), "precious");
    await mkdir(precious);
    await writeFile(join(precious, "file"), "precious");
    const directory = await store.build("kind", "key", make());
    await symlink(precious, join(directory, "link"));
    await symlink(precious, join(store.root, "kind", "a".repeat(40)));
    expect((await store.prune()).map(({ removed }) => removed)).toEqual([true, true]);
    expect(await entries(store, "kind")).toEqual([]);
    expect(await readFile(join(precious, "file"), "utf8")).toBe("precious");
  });
});

describe("list", () => {
  it("tells kind, label, size and times", async () => {
    const directory = await store.build("kind", "key", make(), { label: "  spam\nclassifier\u001b[2J" });
    const [item, ...others] = await store.list();
    expect(others).toEqual([]);
    const manifest = await stat(join(directory, "manifest.json"));
    expect(item).toEqual({
      kind: "kind",
      type: "entry",
      name: basename(directory),
      path: directory,
      state: "intact",
      label: "spam classifier [2J",
      created: expect.any(Date),
      used: manifest.mtime,
      bytes: 7 + 3 + manifest.size,
      removed: false,
    });
    expect(Math.abs(Date.now() - item!.created!.getTime())).toBeLessThan(60_000);
    const long = await store.build("kind", "long", make(), { label: "x".repeat(500) });
    expect((await store.list()).find(({ path }) => path === long)!.label).toHaveLength(120);
  });

  it("of no folder is empty, of a file is FILE_UNREADABLE", async () => {
    expect(await store.list()).toEqual([]);
    expect(await store.verify()).toEqual([]);
    expect(await store.prune({ all: true })).toEqual([]);
    const file = join(await temporaryFolder(), "file");
    await writeFile(file, "");
    await expect(new ArtefactStore(file).list()).rejects.toThrowError(code("FILE_UNREADABLE"));
    await expect(new ArtefactStore(file).prune({ all: true })).rejects.toThrowError(code("FILE_UNREADABLE"));
    expect(existsSync(file)).toBe(true);
  });

  it("marks the folder for backup programs, unless others use it", async () => {
    await store.build("kind", "key", make());
    const tag = await readFile(join(store.root, "CACHEDIR.TAG"), "utf8");
    expect(tag.startsWith("Signature: 8a477f597d28d172789f06886806bc55\n")).toBe(true);
    const home = await temporaryFolder();
    await writeFile(join(home, "letter.txt"), "");
    await new ArtefactStore(home).build("kind", "key", make());
    expect((await readdir(home)).sort()).toEqual(["kind", "letter.txt"]);
  });
});

describe("readArtefact", () => {
  it("says that a file was pruned, and follows no symlink", async () => {
    const directory = await store.build("kind", "key", make());
    expect((await readArtefact(directory, "one.txt")).toString()).toBe("content");
    await symlink("/etc/hostname", join(directory, "link"));
    await expect(readArtefact(directory, "link")).rejects.toThrowError(code("FILE_UNREADABLE"));
    await store.prune({ all: true });
    await expect(readArtefact(directory, "one.txt")).rejects.toThrowError(code("CACHE_DAMAGED"));
    await expect(readArtefact(directory, "one.txt")).rejects.toThrowError(/pruned meanwhile\? Run again/);
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
