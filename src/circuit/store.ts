/**
 * A content-addressed cache of artefacts that take long to make: compiled circuits, development keys, contracts.
 *
 * An entry is a directory, named by the SHA-256 of everything that determines its content, with a manifest that lists
 * the SHA-256 of every file. It is made beside its place and renamed into it, so that several processes can use one
 * store; it is checked on every use, and a damaged one is thrown away and made again.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { AnchorError, isAnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { ensureDirectory } from "../files.js";

const MANIFEST = "manifest.json";

export interface BuildOptions {
  signal?: AbortSignal | undefined;
}

const stores = new Map<string, ArtefactStore>();

/** Where artefacts are kept: `$ANCHORPROOF_CACHE`, else `$XDG_CACHE_HOME/anchorproof`, else `~/.cache/anchorproof`. */
export function defaultStoreRoot(): string {
  const { ANCHORPROOF_CACHE, XDG_CACHE_HOME } = process.env;
  if (ANCHORPROOF_CACHE) return ANCHORPROOF_CACHE;
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "anchorproof");
}

/** One store a process and root, so that concurrent callers share running builds. */
export function defaultStore(): ArtefactStore {
  const root = defaultStoreRoot();
  let store = stores.get(root);
  if (!store) stores.set(root, (store = new ArtefactStore(root)));
  return store;
}

export class ArtefactStore {
  readonly root: string;
  readonly #running = new Map<string, Promise<string>>();

  constructor(root: string) {
    this.root = root;
  }

  /**
   * Gives the directory of an entry, making it first where it is missing or damaged.
   *
   * @param kind  what it is ("circuit", "key", …); a folder of the store
   * @param key   everything that determines the content; it is hashed
   * @param make  writes the files, without subfolders, into the directory it is given
   * @throws what `make` throws; `FILE_UNREADABLE` when the store cannot be written
   */
  build(
    kind: string,
    key: string,
    make: (directory: string) => Promise<void>,
    options: BuildOptions = {},
  ): Promise<string> {
    const directory = this.#place(kind, key);
    const running = this.#running.get(directory);
    if (running) {
      // Somebody else's abort is no reason to give up here: start over. One's own ends the waiting, not the work.
      const joined = running.catch((error: unknown) => {
        if (!isAnchorError(error, "ABORTED") || options.signal?.aborted) throw error;
        return this.build(kind, key, make, options);
      });
      return options.signal ? untilAborted(joined, options.signal) : joined;
    }
    const promise = this.#build(directory, make, options).finally(() => this.#running.delete(directory));
    this.#running.set(directory, promise);
    return promise;
  }

  /** The directory of an intact entry, or `undefined`. */
  async find(kind: string, key: string): Promise<string | undefined> {
    const directory = this.#place(kind, key);
    return (await isIntact(directory)) ? directory : undefined;
  }

  #place(kind: string, key: string): string {
    return join(this.root, kind, createHash("sha256").update(key).digest("hex").slice(0, 40));
  }

  async #build(
    directory: string,
    make: (directory: string) => Promise<void>,
    { signal }: BuildOptions,
  ): Promise<string> {
    throwIfAborted(signal);
    if (await isIntact(directory)) return directory;
    const workshop = `${directory}.${process.pid}-${randomBytes(4).toString("hex")}`;
    try {
      // Proving keys hold a model's weights: nobody else on the machine is to read them.
      await ensureDirectory(workshop, 0o700);
    } catch (error) {
      throw toAnchorError(
        error,
        "FILE_UNREADABLE",
        `cannot write the artefact store ${this.root} (set ANCHORPROOF_CACHE to a writable folder)`,
      );
    }
    try {
      await make(workshop);
      throwIfAborted(signal);
      const files: Record<string, string> = {};
      for (const name of (await readdir(workshop)).sort()) files[name] = await digest(join(workshop, name));
      await writeFile(join(workshop, MANIFEST), JSON.stringify({ format: "anchorproof/artefact@1", files }));
      await this.#install(workshop, directory);
      return directory;
    } finally {
      await rm(workshop, { recursive: true, force: true });
    }
  }

  /** Renames into place; another process may have come first, or a damaged entry may stand in the way. */
  async #install(workshop: string, directory: string): Promise<void> {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await rename(workshop, directory);
        return;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code !== "ENOTEMPTY" && code !== "EEXIST") throw toAnchorError(error, "FILE_UNREADABLE", "artefact store");
        if (await isIntact(directory)) return;
        await rm(directory, { recursive: true, force: true });
      }
    }
    throw new AnchorError("CACHE_DAMAGED", `cannot replace the damaged entry ${directory}: remove it by hand`);
  }
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new AnchorError("ABORTED", "stopped on request"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

async function isIntact(directory: string): Promise<boolean> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, MANIFEST), "utf8")) as { files: Record<string, string> };
    const present = (await readdir(directory)).filter((name) => name !== MANIFEST).sort();
    if (present.join("\n") !== Object.keys(manifest.files).sort().join("\n")) return false;
    for (const name of present) {
      if ((await digest(join(directory, name))) !== manifest.files[name]) return false;
    }
    return true;
  } catch {
    return false; // missing, half-written or unreadable: all the same, it is made again
  }
}

async function digest(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
