/**
 * A content-addressed cache of artefacts that take long to make: compiled circuits, keys, powers of tau, contracts.
 *
 *     <root>/CACHEDIR.TAG                      says to backup programs, and to `prune`, whose folder this is
 *     <root>/<kind>/<name>                     an entry: files and manifest, see `entry.ts`
 *     <root>/<kind>/<name>.<owner>-<random>    a workshop, where its owner makes an entry or deletes one
 *     <root>/<kind>/<name>.lock                says who makes it, see `lock.ts`
 *
 * A name is a digest of everything that determines the content. An entry appears by one `rename` and disappears by one,
 * so that any number of processes can use one store, and may be killed at any point; while one of them makes an entry,
 * the others that need it wait. It is checked against its manifest on every use; a damaged one is put away and made
 * again. Nothing here waits for the disk: what a power failure leaves half-written is found by the check.
 *
 * The store deletes on its own only what is damaged or left behind. What it gave out may be pruned by somebody else at
 * any time: open files stay readable, and {@link readArtefact} says what has happened to the others.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { lstat, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { AnchorError, isAnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { ensureDirectory } from "../files.js";
import { breakLock, isAbandoned, type Lock, ownerState, thisOwner, tryLock, waitForLock } from "../lock.js";
import {
  type CheckOptions,
  checkEntry,
  FORMAT,
  isOwnFormat,
  MANIFEST,
  sealEntry,
  type Verdict,
  versionOf,
} from "./entry.js";

const DAY_MS = 86_400_000;
/** Use is noted to the hour, so that it costs a write now and then only. */
const STAMP_MS = 3_600_000;

const KIND = /^[a-z0-9][a-z0-9-]{0,63}$/;
const ENTRY = /^[0-9a-f]{40}$/;
/** Also those of the first release, `<entry>.<pid>-<random>`, which do not say on what machine the process runs. */
const WORKSHOP = /^[0-9a-f]{40}\.(?:([0-9a-f]{8}-\d+-\d+)|\d+)-[0-9a-f]{8}$/;
const LOCK = /^[0-9a-f]{40}\.lock$/;

const TAG = "CACHEDIR.TAG";
/** The signature is that of https://bford.info/cachedir/; the second line makes the folder ours. */
const TAG_HEAD = "Signature: 8a477f597d28d172789f06886806bc55\n# anchorproof ";
const TAG_TEXT = `${TAG_HEAD}keeps artefacts here. All of them can be made again, and \`anchorproof cache prune\` deletes them.\n`;

export interface BuildOptions {
  signal?: AbortSignal | undefined;
  /** For people who list the store, such as the circuit's name; one short line. */
  label?: string | undefined;
}

export interface StoreItem {
  kind: string;
  type: "entry" | "workshop" | "lock";
  /** Its name in the kind's folder. */
  name: string;
  path: string;
  /**
   * - `intact`: files are as the manifest says. A listing looks at names and sizes only
   * - `damaged`: never used, and made again when it is needed
   * - `stale`: left behind by a process that ended, or made by an earlier release; never used
   * - `working`: a process is making or deleting an entry
   * - `foreign`: not known to be ours, of a later release, or not readable; never touched
   */
  state: "intact" | "damaged" | "stale" | "working" | "foreign";
  /** What is wrong with one that is not intact. */
  problem?: string;
  label?: string;
  created?: Date;
  /** To the hour. */
  used?: Date;
  bytes: number;
  /** By the call that returns it; of a dry run, that it would be. */
  removed: boolean;
}

export interface StoreWork {
  signal?: AbortSignal | undefined;
  /** Called with the share of the work that is done, from 0 to 1. */
  onProgress?: ((done: number) => void) | undefined;
}

export interface PruneOptions extends StoreWork {
  /** Looks at this kind alone. */
  kind?: string | undefined;
  /** Removes also intact entries that nobody has used for so many days. */
  unusedDays?: number | undefined;
  /** Removes all entries. */
  all?: boolean;
  /** Tells what would be removed, and leaves it. */
  dryRun?: boolean;
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
   * Gives the directory of an entry, making it first where it is missing or damaged. While another process makes it,
   * this one waits.
   *
   * @param kind  what it is ("circuit", "development-key", …); a folder of the store
   * @param key   everything that determines the content; it is hashed
   * @param make  writes the files, without subfolders, into the directory it is given
   * @throws what `make` throws; `FILE_UNREADABLE` when the store cannot be read or written; `ABORTED`
   */
  async build(
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

  /** The directory of an intact entry, or `undefined`. @throws FILE_UNREADABLE, ABORTED */
  async find(kind: string, key: string, options: Pick<BuildOptions, "signal"> = {}): Promise<string | undefined> {
    const directory = this.#place(kind, key);
    const { verdict } = await this.#use(directory, options.signal);
    return verdict.state === "intact" ? directory : undefined;
  }

  /**
   * Everything in the store, by kind and name; entries are looked at, not hashed.
   *
   * @throws FILE_UNREADABLE when the root is not a readable folder; ABORTED
   */
  list(options: Pick<StoreWork, "signal"> = {}): Promise<StoreItem[]> {
    return this.#survey(undefined, options.signal);
  }

  /** As {@link list}, with every file hashed, also those that this process has hashed before. */
  async verify({ signal, onProgress }: StoreWork = {}): Promise<StoreItem[]> {
    const found = await this.list({ signal });
    const progress = byteProgress(found, onProgress);
    const items: StoreItem[] = [];
    for (const item of found) {
      const now = isPromising(item) ? await this.#inspect(item, { signal, recheck: true, onBytes: progress }) : item;
      if (now) items.push(now); // else it was removed meanwhile
    }
    return items;
  }

  /**
   * Removes damaged entries, those of earlier releases, and what processes that ended have left behind; and of the intact
   * entries those that the options name. What a process works on stays, and so does everything that is not ours.
   *
   * @returns everything that was looked at; `removed` says what has gone
   * @throws INPUT_INVALID, FILE_UNREADABLE, ABORTED; what was removed until then has gone
   */
  async prune(options: PruneOptions = {}): Promise<StoreItem[]> {
    const { signal, kind, all = false, unusedDays, dryRun = false } = options;
    if (unusedDays !== undefined && !(unusedDays >= 0)) {
      throw new AnchorError("INPUT_INVALID", "unusedDays must be a number of days");
    }
    const before = unusedDays === undefined ? Number.NEGATIVE_INFINITY : Date.now() - unusedDays * DAY_MS;
    const isChosen = ({ state, used }: StoreItem) => state === "intact" && (all || used!.getTime() < before);
    const found = await this.#survey(kind, signal);
    const progress = byteProgress(found, options.onProgress);
    const items: StoreItem[] = [];
    for (const item of found) {
      throwIfAborted(signal);
      const check: CheckOptions = { signal, recheck: true, onBytes: progress };
      // What goes anyway need not be hashed.
      const now = isPromising(item) && !isChosen(item) ? await this.#inspect(item, check) : item;
      if (!now) continue;
      const isDoomed = (one: StoreItem) => one.state === "damaged" || one.state === "stale" || isChosen(one);
      if (!isDoomed(now)) items.push(now);
      else if (dryRun) items.push({ ...now, removed: true });
      else items.push(await this.#remove(now, isDoomed));
    }
    return items;
  }

  /** Formats that differ never meet in one place, so that two releases can share a store. @throws INPUT_INVALID */
  #place(kind: string, key: string): string {
    if (!KIND.test(kind)) throw new AnchorError("INPUT_INVALID", `"${kind}" is not a kind of artefacts`);
    const name = createHash("sha256").update(`${FORMAT}\n${kind}\n${key}`).digest("hex").slice(0, 40);
    return join(this.root, kind, name);
  }

  /** A path of this process beside an entry; when the process ends, others may delete what is there. */
  #workshop(directory: string): string {
    return `${directory}.${thisOwner()}-${randomBytes(4).toString("hex")}`;
  }

  /** Checks an entry that somebody wants, and notes the use. */
  async #use(directory: string, signal: AbortSignal | undefined): Promise<Judgement> {
    const judgement = await judge(directory, { signal });
    const { verdict } = judgement;
    if (verdict.state === "intact" && Date.now() - verdict.used.getTime() > STAMP_MS) {
      const now = new Date();
      await utimes(join(directory, MANIFEST), now, now).catch(() => {}); // a store that is read only serves as well
    }
    return judgement;
  }

  async #build(
    directory: string,
    make: (directory: string) => Promise<void>,
    { signal, label = "" }: BuildOptions,
  ): Promise<string> {
    throwIfAborted(signal);
    if ((await this.#use(directory, signal)).verdict.state === "intact") return directory;
    const lock = await this.#lock(directory, signal);
    try {
      // Whoever held the lock before may have made it.
      const { verdict, identity } = await this.#use(directory, signal);
      if (verdict.state === "intact") return directory;
      if (verdict.state === "damaged") await this.#discard(directory, identity!);
      await this.#make(directory, make, lock, signal, label);
      return directory;
    } catch (error) {
      // `make` may fail on the disk without a code of ours.
      const isFiles = error instanceof Error && "syscall" in error;
      throw isFiles ? toAnchorError(error, "FILE_UNREADABLE", `cannot make ${label || basename(directory)}`) : error;
    } finally {
      await lock.release();
    }
  }

  async #make(
    directory: string,
    make: (directory: string) => Promise<void>,
    lock: Lock,
    signal: AbortSignal | undefined,
    label: string,
  ): Promise<void> {
    const workshop = this.#workshop(directory);
    try {
      // Proving keys hold a model's weights: nobody else on the machine is to read them.
      await ensureDirectory(workshop, 0o700);
      // To other machines, whose only evidence is its age.
      lock.alsoTouch(() => utimes(workshop, new Date(), new Date()));
      await make(workshop);
      throwIfAborted(signal);
      await sealEntry(workshop, { kind: basename(dirname(directory)), entry: basename(directory), label }, signal);
      await this.#install(workshop, directory);
    } finally {
      // What is left here goes with the next `prune`; the first error is the one to tell.
      await rm(workshop, { recursive: true, force: true }).catch(() => {});
    }
  }

  async #lock(directory: string, signal: AbortSignal | undefined): Promise<Lock> {
    try {
      await this.#prepareRoot();
      await ensureDirectory(dirname(directory), 0o700);
      return await waitForLock(`${directory}.lock`, signal);
    } catch (error) {
      throw toAnchorError(
        error,
        "FILE_UNREADABLE",
        `cannot write the artefact store ${this.root} (set ANCHORPROOF_CACHE to a writable folder)`,
      );
    }
  }

  /** Makes the root. The tag is for a folder that holds nothing else: a user's own is not ours to mark. */
  async #prepareRoot(): Promise<void> {
    await ensureDirectory(this.root, 0o700);
    if ((await readdir(this.root)).length > 0) return;
    await writeFile(join(this.root, TAG), TAG_TEXT, { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }

  /** Renames into place. Only where a lock was broken can another process have come first: what it made stays. */
  async #install(workshop: string, directory: string): Promise<void> {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await rename(workshop, directory);
        return;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? "";
        if (!["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(code)) throw error;
        const { verdict, identity } = await judge(directory);
        if (verdict.state === "intact") return;
        if (verdict.state === "damaged") await this.#discard(directory, identity!);
      }
    }
    throw new AnchorError("CACHE_DAMAGED", `cannot replace the damaged entry ${directory}: remove it by hand`);
  }

  /**
   * Takes something out of its place in one step, then deletes it. False when it was gone, or was not what has been
   * judged: another process has put a new one there.
   */
  async #discard(path: string, judged: Identity): Promise<boolean> {
    const aside = this.#workshop(path.replace(/\.[^./]*$/, ""));
    try {
      await rename(path, aside);
      const isJudged = sameIdentity(await lstat(aside), judged);
      // If a third has come meanwhile, this one is in the way and goes.
      if (!isJudged) await rename(aside, path).catch(() => {});
      await rm(aside, { recursive: true, force: true });
      return isJudged;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot remove ${path} from the artefact store`);
    }
  }

  /** Removes an item that still deserves it when nobody else works on it. */
  async #remove(item: StoreItem, isDoomed: (item: StoreItem) => boolean): Promise<StoreItem> {
    try {
      if (item.type === "lock") return { ...item, removed: await breakLock(item.path) };
      if (item.type === "workshop") return { ...item, removed: await this.#discard(item.path, await lstat(item.path)) };
      const lock = await tryLock(`${item.path}.lock`);
      if (!lock) return { ...item, state: "working", problem: "a process is about to replace it" };
      try {
        const identity = await lstat(item.path);
        // It may have been used or replaced since.
        const now = await this.#inspect(item, item.state === "damaged" ? { recheck: true } : { glance: true });
        if (now && !isDoomed(now)) return now;
        return { ...item, removed: await this.#discard(item.path, identity) };
      } finally {
        await lock.release();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return item; // gone by another hand
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot remove ${item.path} from the artefact store`);
    }
  }

  /** What lies in the store. Names that are none of ours are passed over. */
  async #survey(only: string | undefined, signal: AbortSignal | undefined): Promise<StoreItem[]> {
    throwIfAborted(signal);
    const items: StoreItem[] = [];
    for (const kind of await readFolder(this.root)) {
      const folder = join(this.root, kind);
      if (!KIND.test(kind) || (only ?? kind) !== kind || !(await isDirectory(folder))) continue;
      for (const name of await readFolder(folder)) {
        throwIfAborted(signal);
        const type = typeOf(name);
        const item = type && (await this.#inspect({ kind, type, name, path: join(folder, name) }, { glance: true }));
        if (item) items.push(item);
      }
    }
    return items;
  }

  /** Looks at one item; `undefined` when it is gone, or is a lock that somebody holds. */
  async #inspect(
    { kind, type, name, path }: Pick<StoreItem, "kind" | "type" | "name" | "path">,
    options: CheckOptions,
  ): Promise<StoreItem | undefined> {
    const item = { kind, type, name, path, bytes: await sizeOf(path), removed: false };
    try {
      if (type === "lock") {
        if (!(await isAbandoned(path))) return undefined;
        return { ...item, state: "stale", problem: "its process has ended" };
      }
      if (type === "workshop") return await this.#inspectWorkshop(item);
      const { verdict } = await judge(path, options);
      if (verdict.state === "missing") return undefined;
      return { ...item, ...(await this.#classify(verdict)) };
    } catch (error) {
      if (isAnchorError(error, "ABORTED")) throw error;
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return undefined;
      return { ...item, state: "foreign", problem: "it cannot be read" };
    }
  }

  async #inspectWorkshop(item: Omit<StoreItem, "state">): Promise<StoreItem> {
    const owner = WORKSHOP.exec(item.name)![1];
    const state = owner === undefined ? "unknown" : ownerState(owner);
    if (state === "alive") return { ...item, state: "working" };
    if (state === "gone") return { ...item, state: "stale", problem: "its process has ended" };
    // Of another machine or container, or of the first release.
    const { mtimeMs } = await lstat(item.path);
    if (Date.now() - mtimeMs > DAY_MS) return { ...item, state: "stale", problem: "untouched for a day" };
    return { ...item, state: "working" };
  }

  async #classify(
    verdict: Exclude<Verdict, { state: "missing" }>,
  ): Promise<Pick<StoreItem, "state" | "problem" | "label" | "created" | "used">> {
    const { manifest, used } = verdict;
    const about = manifest && { label: manifest.label, created: new Date(manifest.created), used: used! };
    if (verdict.state === "intact") return { state: "intact", ...about };
    const { problem, format } = verdict;
    if (isOwnFormat(format)) {
      const age = versionOf(format!) - versionOf(FORMAT);
      if (age < 0) return { state: "stale", problem: `made by an earlier release (${format})` };
      if (age > 0) return { state: "foreign", problem: `made by a later release (${format})` };
      return { state: "damaged", problem, ...about };
    }
    // The manifest does not say whose it is. In a folder that we made, nobody else has names like this.
    if (await this.#isTagged()) return { state: "damaged", problem };
    return { state: "foreign", problem: `${problem}, and the folder is not known to be anchorproof's alone` };
  }

  async #isTagged(): Promise<boolean> {
    return (await readFile(join(this.root, TAG), "utf8").catch(() => "")).startsWith(TAG_HEAD);
  }
}

interface Identity {
  dev: number;
  ino: number;
}

interface Judgement {
  verdict: Verdict;
  /** Of the directory that was judged; `undefined` for none. */
  identity: Identity | undefined;
}

function typeOf(name: string): StoreItem["type"] | undefined {
  if (ENTRY.test(name)) return "entry";
  if (WORKSHOP.test(name)) return "workshop";
  return LOCK.test(name) ? "lock" : undefined;
}

function sameIdentity(a: Identity, b: Identity): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/** Checks an entry, and tells which one was checked: another process may replace it at any time. */
async function judge(directory: string, options: CheckOptions = {}): Promise<Judgement> {
  const identify = () => lstat(directory).catch(() => undefined);
  for (let attempt = 1; ; attempt++) {
    const identity = await identify();
    const verdict = await checkEntry(directory, options);
    if (verdict.state !== "damaged") return { verdict, identity };
    const after = await identify();
    // Two halves of different entries do not fit together.
    const isSame = identity !== undefined && after !== undefined && sameIdentity(identity, after);
    if (isSame || attempt === 5) return { verdict: after ? verdict : { state: "missing" }, identity: after };
  }
}

/** Worth hashing: it passed for intact at a glance. */
function isPromising({ type, state }: StoreItem): boolean {
  return type === "entry" && state === "intact";
}

function byteProgress(items: readonly StoreItem[], onProgress: StoreWork["onProgress"]): (bytes: number) => void {
  const total = items.filter(isPromising).reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  return (bytes) => onProgress?.(total === 0 ? 1 : Math.min(1, (done += bytes) / total));
}

/** Names in a folder; none for a folder that is not there. @throws FILE_UNREADABLE */
async function readFolder(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read the artefact store ${path}`);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isDirectory() ?? false;
}

/** Bytes of a file, or of all files below a folder; what vanishes meanwhile counts nothing. Symlinks are not followed. */
async function sizeOf(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats?.isDirectory()) return stats?.isFile() ? stats.size : 0;
  let sum = 0;
  for (const name of await readdir(path).catch(() => [])) sum += await sizeOf(join(path, name));
  return sum;
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new AnchorError("ABORTED", "stopped on request"));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
