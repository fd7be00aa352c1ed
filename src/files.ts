import { randomBytes } from "node:crypto";
import { type BigIntStats, readFileSync } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toAnchorError } from "./errors.js";
import { PACKAGE_ROOT } from "./paths.js";

/**
 * Makes a directory and those above it. Node's own recursive `mkdir` never returns on file systems that answer ENOENT
 * although the parent exists, such as /proc; this one tries each level once.
 */
export async function ensureDirectory(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return; // a file in the way shows when something is written below it
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await ensureDirectory(dirname(path), mode);
    await mkdir(path, { mode }).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== "EEXIST") throw again;
    });
  }
}

/**
 * Whether a folder is this process's user's. In a place where others may write, one of theirs could lie where we look for
 * what we left: a secret in it would be one that they know.
 */
export async function isOwn(folder: string): Promise<boolean> {
  const user = process.getuid?.(); // none on Windows
  return user === undefined || (await stat(folder)).uid === user;
}

/** Writes beside the target, then renames: a file is there whole or not at all. @throws FILE_UNREADABLE */
export async function writeWhole(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const beside = `${path}.${randomBytes(6).toString("hex")}.part`;
  try {
    await ensureDirectory(dirname(path));
    await writeDurably(beside, content, mode);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${path}`);
  }
}

/** Writes a new file and waits until it is on the disk, so that a rename never leaves an empty one after a power cut. */
export async function writeDurably(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const file = await open(path, "wx", mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Puts a finished file in its place, on the disk for good, and as of now. */
export async function settle(from: string, to: string): Promise<void> {
  const file = await open(from, "r+");
  try {
    const now = new Date();
    await file.utimes(now, now);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(from, to);
  await syncFolder(dirname(to));
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** What is another when a file was written to or replaced: ctime, too, as the others can be put back after a change. */
export function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}

/** The package's version, such as `1.2.3`. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }).version;
}
