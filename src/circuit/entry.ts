/**
 * One entry of the artefact store: a directory of plain files, and a manifest that says what they must be.
 *
 * The manifest gives size and SHA-256 of every file, for what place the entry was made, and a digest of itself. That
 * finds accidents: a bit flipped, a file cut short, missing or too many, an entry copied to another place. It does not
 * stop somebody who may write there, who can make a manifest that fits.
 *
 * Files are hashed piece by piece. A process hashes a file once, and again only when its identity has changed: device,
 * inode, size, and the times of the last change of content and of inode, to the nanosecond. Every write moves the last
 * of them, which no program can set back without setting the machine's clock. Three things escape: a write within the
 * clock's grain of the hashing, which is why a file is remembered only when its last change lay two seconds back by
 * then; a write through a memory mapping that was open before; and bits that rot on the disk, which no operating system
 * reports. For a process that lives long, a full check (`recheck`, as in `cache verify`) finds those. Nothing is
 * remembered from one process to the next.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, readdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { identityOf } from "../files.js";

export const MANIFEST = "manifest.json";
/** Raised with every change of manifest or of what the names of entries stand for. */
export const FORMAT = "anchorproof/artefact@2";
/** Every release's format begins so, and with it the manifest: what does not is not ours. */
const FORMATS = "anchorproof/artefact@";
const MAX_MANIFEST = 1 << 20;
const MAX_LABEL = 120;
const PIECE = 1 << 20;
/** No file system that matters keeps times more coarsely. */
const SETTLED_NS = 2_000_000_000n;
const MAX_REMEMBERED = 4096;

// A symlink is not followed, and a named pipe does not wait for a writer.
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface Manifest {
  format: typeof FORMAT;
  kind: string;
  /** Name of the entry's directory. */
  entry: string;
  label: string;
  /** ISO 8601. */
  created: string;
  files: { name: string; bytes: number; sha256: string }[];
}

export type Verdict =
  | { state: "missing" }
  | { state: "intact"; manifest: Manifest; used: Date }
  | {
      state: "damaged";
      problem: string;
      /** What the manifest calls its format, where it still says one of ours. */
      format: string | undefined;
      manifest?: Manifest;
      used?: Date;
    };

export interface CheckOptions {
  signal?: AbortSignal | undefined;
  /** Hashes also what this process has hashed before. */
  recheck?: boolean;
  /** Looks at names and sizes only. */
  glance?: boolean;
  /** Called with the bytes of each piece that was checked, the manifest's included. */
  onBytes?: ((bytes: number) => void) | undefined;
}

class Damage extends Error {}

/**
 * Compares an entry with its manifest.
 *
 * @throws ABORTED; FILE_UNREADABLE when there is no telling, as for want of a permission or of file handles
 */
export async function checkEntry(directory: string, options: CheckOptions = {}): Promise<Verdict> {
  let format: string | undefined;
  let known: { manifest: Manifest; used: Date } | undefined;
  try {
    if (!(await lstat(directory)).isDirectory()) throw new Damage("not a directory");
    const { text, modified } = await readManifest(join(directory, MANIFEST));
    format = declaredFormat(text);
    const manifest = parseManifest(text, directory);
    known = { manifest, used: modified };
    options.onBytes?.(Buffer.byteLength(text));
    const present = (await readdir(directory)).filter((name) => name !== MANIFEST);
    const foreign = present.find((name) => !manifest.files.some((file) => file.name === name));
    if (foreign !== undefined) throw new Damage(`${foreign} does not belong to it`);
    for (const file of manifest.files) {
      const path = join(directory, file.name);
      if (options.glance) await glance(path, file.bytes);
      else if ((await hashFile(path, file.bytes, options)) !== file.sha256)
        throw new Damage(`${file.name} has changed`);
    }
    return { state: "intact", ...known };
  } catch (error) {
    const problem = damageOf(error);
    if (problem === undefined) {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${directory} of the artefact store`);
    }
    if (!(await exists(directory))) return { state: "missing" };
    return { state: "damaged", problem, format, ...known };
  }
}

/**
 * Writes the manifest of a directory that holds the files of an entry-to-be.
 *
 * @throws INTERNAL when it holds anything but plain files; ABORTED; the file system's own errors
 */
export async function sealEntry(
  workshop: string,
  about: { kind: string; entry: string; label: string },
  signal: AbortSignal | undefined,
): Promise<void> {
  const files: Manifest["files"] = [];
  for (const entry of (await readdir(workshop, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    if (!entry.isFile() || name === MANIFEST) {
      throw new AnchorError("INTERNAL", `${about.kind}: ${name} cannot be kept in the artefact store`);
    }
    const path = join(workshop, name);
    const { size } = await lstat(path);
    files.push({ name, bytes: size, sha256: await hashFile(path, size, { signal }) });
  }
  const body: Manifest = {
    format: FORMAT,
    ...about,
    label: tidyLabel(about.label),
    created: new Date().toISOString(),
    files,
  };
  await writeFile(join(workshop, MANIFEST), JSON.stringify({ ...body, sha256: digestOf(body) }), { flag: "wx" });
}

/** One short line: labels are printed. */
function tidyLabel(label: string): string {
  const line = label.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, " ").trim();
  return line.length > MAX_LABEL ? `${line.slice(0, MAX_LABEL - 1).trimEnd()}…` : line;
}

/**
 * A file of an entry.
 *
 * @throws CACHE_DAMAGED when it is gone: somebody pruned the store since the entry was given out; FILE_UNREADABLE
 */
export async function readArtefact(directory: string, name: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(join(directory, name), READ);
    return await file.readFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      const message = `${join(directory, name)} is gone: was the cache pruned meanwhile? Run again to make it anew`;
      throw new AnchorError("CACHE_DAMAGED", message, { cause: error });
    }
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${join(directory, name)} of the artefact store`);
  } finally {
    await file?.close();
  }
}

async function readManifest(path: string): Promise<{ text: string; modified: Date }> {
  const file = await open(path, READ).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new Damage("no manifest") : error;
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > MAX_MANIFEST) throw new Damage("its manifest is no manifest");
    return { text: await file.readFile("utf8"), modified: stats.mtime };
  } finally {
    await file.close();
  }
}

/** A format of ours, also in a manifest that has been damaged further on. */
function declaredFormat(text: string): string | undefined {
  return /^\{"format":"([a-z/]+@\d{1,9})"/.exec(text)?.[1];
}

export function isOwnFormat(format: string | undefined): boolean {
  return format?.startsWith(FORMATS) ?? false;
}

export function versionOf(format: string): number {
  return Number(format.slice(FORMATS.length));
}

function parseManifest(text: string, directory: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Damage("its manifest is cut short or not JSON");
  }
  const format = isObject(value) ? value["format"] : undefined;
  if (typeof format === "string" && isOwnFormat(format) && format !== FORMAT) {
    throw new Damage(`of another release (${format})`);
  }
  if (!isManifest(value)) throw new Damage("its manifest is no manifest");
  const { sha256, ...body } = value;
  if (sha256 !== digestOf(body)) throw new Damage("its manifest has changed");
  if (body.entry !== basename(directory) || body.kind !== basename(dirname(directory))) {
    throw new Damage(`it was made to be ${body.kind}/${body.entry}`);
  }
  return body;
}

/** JSON keeps the order of keys, so that a manifest that was read gives the text that was written. */
function digestOf(body: Manifest): string {
  return createHash("sha256").update(JSON.stringify(body)).digest("hex");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isManifest(value: unknown): value is Manifest & { sha256: string } {
  if (!isObject(value)) return false;
  const { format, kind, entry, label, created, files } = value;
  return (
    format === FORMAT &&
    [kind, entry, label, created].every((text) => typeof text === "string") &&
    !Number.isNaN(Date.parse(created as string)) &&
    Array.isArray(files) &&
    files.every(
      (file) =>
        isObject(file) &&
        typeof file["name"] === "string" &&
        isPlainName(file["name"]) &&
        Number.isSafeInteger(file["bytes"]) &&
        typeof file["sha256"] === "string",
    ) &&
    new Set(files.map(({ name }) => name)).size === files.length
  );
}

function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && name !== MANIFEST && !/[/\\\0]/.test(name);
}

async function glance(path: string, bytes: number): Promise<void> {
  const stats = await lstat(path);
  if (!stats.isFile()) throw new Damage(`${basename(path)} is not a plain file`);
  if (stats.size !== bytes) throw new Damage(`${basename(path)} has ${stats.size} bytes instead of ${bytes}`);
}

/** Digests of files that this process has hashed, by their identity. */
const remembered = new Map<string, string>();

async function hashFile(path: string, bytes: number, { signal, recheck, onBytes }: CheckOptions): Promise<string> {
  throwIfAborted(signal);
  const name = basename(path);
  const file = await open(path, READ);
  try {
    const before = await file.stat({ bigint: true });
    if (!before.isFile()) throw new Damage(`${name} is not a plain file`);
    if (before.size !== BigInt(bytes)) throw new Damage(`${name} has ${before.size} bytes instead of ${bytes}`);
    const identity = identityOf(before);
    const known = recheck ? undefined : remembered.get(identity);
    if (known !== undefined) {
      onBytes?.(bytes);
      return known;
    }
    const settled = BigInt(Date.now()) * 1_000_000n - before.ctimeNs > SETTLED_NS;
    const hash = createHash("sha256");
    const piece = Buffer.allocUnsafe(Math.min(PIECE, Math.max(1, bytes)));
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, null);
      if (bytesRead === 0) break;
      hash.update(piece.subarray(0, bytesRead));
      onBytes?.(bytesRead);
      throwIfAborted(signal);
    }
    if (identityOf(await file.stat({ bigint: true })) !== identity)
      throw new Damage(`${name} changes while it is read`);
    const digest = hash.digest("hex");
    if (settled) remember(identity, digest);
    return digest;
  } finally {
    await file.close();
  }
}

function remember(identity: string, digest: string): void {
  if (remembered.size >= MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!);
  remembered.set(identity, digest);
}

/** What is wrong with the entry itself; `undefined` for a failure that says nothing about it. */
function damageOf(error: unknown): string | undefined {
  if (error instanceof Damage) return error.message;
  const { code, path } = error as NodeJS.ErrnoException;
  const name = path === undefined ? "a file" : basename(path);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return `${name} is missing`;
    case "ELOOP":
      return `${name} is a symbolic link`;
    case "ENXIO":
      return `${name} is not a plain file`;
    case "EIO":
      return `${name} cannot be read from the disk`;
    default:
      return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    return !["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
  }
}
