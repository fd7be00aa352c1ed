/**
 * Keys as the universal verifier takes them: words, digest and ceremony, after the checks that a generated contract goes
 * through.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { keyDigest, keyWords, readKey } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { type GenerateVerifierOptions, MAX_PUBLIC_SIGNALS, requireCeremony } from "./generate.js";

/** As for a generated contract. */
export type UniversalKeyOptions = Pick<GenerateVerifierOptions, "vkey" | "circuitDigest" | "development" | "ceremony">;

export interface UniversalKey {
  keyDigest: Hex;
  /** Id of the ceremony; zero for a development key, which is answered for on chain 31337 only. */
  ceremony: Hex;
  /** In the order that {@link keyDigest} hashes them in. */
  words: bigint[];
}

/** Stands in contracts for a ceremony or a model where there is none. */
export const ZERO_DIGEST: Hex = `0x${"00".repeat(32)}`;

/**
 * A key, checked, ready to be stored.
 *
 * @throws KEY_DEVELOPMENT when asked for a production key without its verified ceremony; KEY_MALFORMED for a key that is
 *         not canonical, KEY_FORGEABLE for one that admits forged proofs, INPUT_INVALID
 */
export function encodeUniversalKey(options: UniversalKeyOptions): UniversalKey {
  // Each read once: what is checked is what is used.
  const { circuitDigest, development, ceremony } = options;
  const vkey = readKey(options.vkey);
  lintVerifyingKey(vkey);
  assertHex(circuitDigest, "circuitDigest", 32);
  if (typeof development !== "boolean") {
    throw new AnchorError("INPUT_INVALID", "development must be true or false: say whether a ceremony was verified");
  }
  if (vkey.nPublic > MAX_PUBLIC_SIGNALS) {
    throw new AnchorError(
      "INPUT_INVALID",
      `the universal verifier takes at most ${MAX_PUBLIC_SIGNALS} public signals`,
      {
        details: { nPublic: vkey.nPublic, limit: MAX_PUBLIC_SIGNALS },
      },
    );
  }
  const key = { keyDigest: keyDigest(vkey), words: keyWords(vkey) };
  if (development) {
    if (ceremony !== undefined) throw new AnchorError("INPUT_INVALID", "a ceremony goes with development: false");
    return { ...key, ceremony: ZERO_DIGEST };
  }
  requireCeremony(ceremony, vkey, circuitDigest);
  return { ...key, ceremony: ceremony.id };
}
