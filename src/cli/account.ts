import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { accountOf } from "../protocol/signature.js";
import { optional, readBytes, type Values } from "./command.js";
import type { Terminal } from "./terminal.js";

/** A secret that is on no command line, where every user of the machine could read it. */
export async function readAccount(path: string, terminal: Terminal): Promise<Hex> {
  const text = new TextDecoder().decode(await readBytes(path)).trim();
  try {
    assertHex(text, "account", 32);
    accountOf(text);
  } catch {
    // Not the cause: it might hold the secret.
    throw new AnchorError("INPUT_INVALID", `${path} must hold a secp256k1 secret: 32 bytes of lower-case 0x-hex`);
  }
  await warnOfReaders(path, terminal);
  return text;
}

async function warnOfReaders(path: string, terminal: Terminal): Promise<void> {
  if (((await stat(path)).mode & 0o077) !== 0) {
    terminal.line(`warning: ${path} can be read by others on this machine: chmod 600 ${path}`);
  }
}

/** Options of commands that sign transactions. */
export const SIGNER_OPTIONS = {
  account: { type: "string" },
  keystore: { type: "string" },
  "password-file": { type: "string" },
} as const;

export const SIGNER_HELP = `  --account FILE     the account's secp256k1 secret, 0x-hex, in a file that only you can read; or
  --keystore FILE    the account, encrypted (Web3 Secret Storage, as geth and ethers write it). Its password is asked for, or
                     in --password-file FILE, or in $ANCHORPROOF_PASSWORD`;

const PASSWORD = "ANCHORPROOF_PASSWORD";
/** Larger than any keystore. */
const MAX_KEYSTORE = 1024 * 1024;

/** The secret of `--account` or `--keystore`. @throws USAGE when none or both are given; INPUT_INVALID, FILE_NOT_FOUND */
export async function readSigner(values: Values, terminal: Terminal): Promise<Hex> {
  const [account, keystore] = [optional(values, "account"), optional(values, "keystore")];
  if ((account === undefined) === (keystore === undefined)) {
    throw new AnchorError("USAGE", "name one: --account FILE, or --keystore FILE");
  }
  if (keystore !== undefined) return readKeystore(keystore, values, terminal);
  if (values["password-file"] !== undefined) throw new AnchorError("USAGE", "--password-file goes with --keystore");
  return readAccount(account!, terminal);
}

async function readKeystore(path: string, values: Values, terminal: Terminal): Promise<Hex> {
  const text = new TextDecoder().decode(await readBytes(path, MAX_KEYSTORE));
  // Only here: commands without a keystore need no ethers.
  const { decryptKeystoreJson, isKeystoreJson } = await import("ethers");
  if (!isKeystoreJson(text)) {
    throw new AnchorError("INPUT_INVALID", `${path} is no keystore (Web3 Secret Storage, version 3)`);
  }
  const password = await readPassword(path, values, terminal);
  try {
    const { privateKey } = await decryptKeystoreJson(text, password, (done) =>
      terminal.progress("opening the keystore", done),
    );
    return privateKey as Hex;
  } catch {
    // Not the cause: it might hold the password.
    throw new AnchorError("INPUT_INVALID", `${path} cannot be opened: the password is wrong, or the file is damaged`);
  }
}

async function readPassword(path: string, values: Values, terminal: Terminal): Promise<string> {
  const file = optional(values, "password-file");
  if (file !== undefined) {
    await warnOfReaders(file, terminal);
    // Editors end a file with a line break; a password does not.
    return new TextDecoder().decode(await readBytes(file, MAX_KEYSTORE)).replace(/\r?\n$/, "");
  }
  const given = process.env[PASSWORD];
  if (given !== undefined) return given;
  if (!process.stdin.isTTY) {
    throw new AnchorError(
      "USAGE",
      `the keystore's password: --password-file FILE, $${PASSWORD}, or a terminal to type it`,
    );
  }
  process.stderr.write(`password of ${path}: `);
  // Reads a line and shows nothing of it.
  const silent = new Writable({ write: (_, __, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await new Promise((resolve, reject) => {
      lines.once("line", resolve);
      lines.once("SIGINT", () => reject(new AnchorError("ABORTED", "stopped on request")));
      lines.once("close", () => reject(new AnchorError("ABORTED", "no password was typed")));
    });
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
