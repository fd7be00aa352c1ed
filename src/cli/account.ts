import { stat } from "node:fs/promises";
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { accountOf } from "../protocol/signature.js";
import { readBytes } from "./command.js";
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
  if (((await stat(path)).mode & 0o077) !== 0) {
    terminal.line(`warning: ${path} can be read by others on this machine: chmod 600 ${path}`);
  }
  return text;
}
