/**
 * How dstack names an app: by the SHA-256 of its compose file, in an event and in the register that the host sets.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { fromHex, type Hex, toHex, utf8 } from "../../field/bytes.js";

/** SHA-256 of the file's bytes as they were deployed; of the text, if text is given, in UTF-8. */
export function composeHash(appCompose: string | Uint8Array): Hex {
  const bytes = typeof appCompose === "string" ? utf8(appCompose) : appCompose;
  return toHex(new Uint8Array(createHash("sha256").update(bytes).digest()));
}

/** The MRCONFIGID (48 bytes) of a guest that is launched for an app: 1, its compose hash, zeros. */
export function composeConfigId(hash: Hex): Hex {
  const id = new Uint8Array(48);
  id[0] = 1;
  id.set(fromHex(hash, "compose hash", 32), 1);
  return toHex(id);
}
