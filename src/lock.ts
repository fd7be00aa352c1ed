/**
 * Who works on what in a folder that several processes share: names of owners, and lock files.
 *
 * A lock here saves work, it does not guard data: two processes that both believe to hold one make the same thing twice,
 * and the first to rename its result into place wins. So a lock that looks abandoned may be broken on weak evidence: at
 * once when its process is gone from this machine, else when its holder has given no sign for a while.
 *
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { type FileHandle, link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { AnchorError, throwIfAborted } from "./errors.js";

/** How often a holder shows that it lives. */
const HEARTBEAT_MS = 10_000;
/** Silence after which a lock is broken whose process may live on another machine, or in another container. */
const SILENCE_MS = 60_000;
/** The same for a process that lives here: its event loop may be busy, but not for so long; a thread may have ended. */
const LONG_SILENCE_MS = 600_000;
const POLL_MS = [20, 50, 100, 200] as const;

const OWNER = /^([0-9a-f]{8})-([1-9]\d{0,8})-(\d{1,20})$/;

let self: string | undefined;

/**
 * This process, as no other one was or will be called: `<host>-<pid>-<start>`. The host stands for one boot of one
 * machine and one namespace of process ids, as containers have their own; the start tells a pid from its reuse.
 */
export function thisOwner(): string {
  self ??= `${host()}-${process.pid}-${processState(process.pid)?.start ?? "0"}`;
  return self;
}

/** Whether an owner lives; "unknown" for one of another machine or container, and for what is no owner's name. */
export function ownerState(owner: string): "alive" | "gone" | "unknown" {
  const match = OWNER.exec(owner);
  if (!match || match[1] !== host()) return "unknown";
  const pid = Number(match[2]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "gone";
    // EPERM: it lives, and is somebody else's
  }
  const state = processState(pid);
  if (state === undefined || match[3] === "0") return "alive";
  return state.start === match[3] && !state.dead ? "alive" : "gone";
}

let hostName: string | undefined;

function host(): string {
  const read = (get: () => string): string => {
    try {
      return get().trim();
    } catch {
      return ""; // not Linux
    }
  };
  hostName ??= createHash("sha256")
    .update(
      [
        hostname(),
        read(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")),
        read(() => readlinkSync("/proc/self/ns/pid")),
      ].join("\n"),
    )
    .digest("hex")
    .slice(0, 8);
  return hostName;
}

/** Start of a process in clock ticks since the boot, and whether it only waits to be reaped; `undefined` if untold. */
function processState(pid: number): { start: string; dead: boolean } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in brackets and may hold anything; the third is the state, the 22nd the start.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return /^\d+$/.test(fields[19] ?? "") ? { start: fields[19]!, dead: "ZX".includes(fields[0]!) } : undefined;
  } catch {
    return undefined;
  }
}

export interface Lock {
  /** Calls `touch` from time to time, beside showing that the holder lives; until {@link Lock.release}. */
  alsoTouch(touch: () => Promise<unknown>): void;
  release(): Promise<void>;
}

/**
 * Takes the lock, or says that somebody has it. The file system's own errors pass through.
 *
 * @param path  the lock file; its folder exists
 */
export async function tryLock(path: string): Promise<Lock | undefined> {
  for (;;) {
    let file: FileHandle;
    try {
      file = await open(path, "wx", 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (!(await breakLock(path))) return undefined;
      continue;
    }
    return holdLock(path, file);
  }
}

/** Takes the lock, when it is free. @throws ABORTED; the file system's own errors */
export async function waitForLock(path: string, signal: AbortSignal | undefined): Promise<Lock> {
  for (let attempt = 0; ; attempt++) {
    throwIfAborted(signal);
    const lock = await tryLock(path);
    if (lock) return lock;
    await sleep(POLL_MS[Math.min(attempt, POLL_MS.length - 1)], undefined, { signal }).catch((error: unknown) => {
      throw new AnchorError("ABORTED", "stopped on request", { cause: error });
    });
  }
}

/** Whether a lock's holder has given it up without releasing it. False for one that is not there. */
export async function isAbandoned(path: string): Promise<boolean> {
  return (await abandonedContent(path)) !== undefined;
}

async function abandonedContent(path: string): Promise<string | undefined> {
  try {
    const [content, { mtimeMs }] = [await readFile(path, "utf8"), await stat(path)];
    // Clocks of two machines differ: a sign from the future is as good as none.
    const silence = Math.abs(Date.now() - mtimeMs);
    // A holder that has not yet written its name is unknown.
    const state = ownerState(content.split(" ", 1)[0]!);
    const limit = { gone: -1, alive: LONG_SILENCE_MS, unknown: SILENCE_MS }[state];
    return silence > limit ? content : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes a lock that is abandoned. True when there may be none now. */
export async function breakLock(path: string): Promise<boolean> {
  const content = await abandonedContent(path);
  if (content === undefined) return !(await exists(path));
  const aside = `${path.slice(0, -".lock".length)}.${thisOwner()}-${randomBytes(4).toString("hex")}`;
  try {
    await rename(path, aside);
    // Another process may have broken it first and holds a new one: that is put back.
    if ((await readFile(aside, "utf8")) !== content) await link(aside, path).catch(() => {});
    await rm(aside, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return true;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function holdLock(path: string, file: FileHandle): Promise<Lock> {
  const content = `${thisOwner()} ${randomBytes(8).toString("hex")}\n`;
  const touches = [() => file.utimes(new Date(), new Date())];
  const release = async () => {
    clearInterval(timer);
    await Promise.allSettled(beats);
    // One that was broken meanwhile is somebody else's now.
    const present = await readFile(path, "utf8").catch(() => undefined);
    if (present === content) await rm(path, { force: true }).catch(() => {});
    await file.close();
  };
  const beats = new Set<Promise<unknown>>();
  const timer = setInterval(() => {
    for (const touch of touches) {
      // What cannot be touched looks abandoned to others at worst, and is made twice.
      const beat = touch()
        .catch(() => {})
        .finally(() => beats.delete(beat));
      beats.add(beat);
    }
  }, HEARTBEAT_MS).unref();
  try {
    await file.write(content);
  } catch (error) {
    clearInterval(timer);
    await rm(path, { force: true });
    await file.close();
    throw error;
  }
  return { alsoTouch: (touch) => void touches.push(touch as () => Promise<void>), release };
}
