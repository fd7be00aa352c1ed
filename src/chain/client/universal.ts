/**
 * The verifier of all keys, which are data in it.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { Hex } from "../../field/bytes.js";
import { keyDigest, keyFromWords, type Proof, proofWords, type VerifyingKey } from "../../verifier/groth16.js";
import { type UniversalKey, ZERO_DIGEST } from "../universal.js";
import { type Connection, ContractClient, lower, type Sent } from "./caller.js";

export class UniversalClient extends ContractClient {
  constructor(connection: Connection) {
    super("UniversalVerifier", connection);
  }

  /** Stores a key, for good; one that is there already stays as it is. */
  async store({ words, ceremony }: UniversalKey): Promise<Sent> {
    return this.send("store", words, ceremony);
  }

  /** Address of the contract that holds the key's data, or `undefined` when the key is not stored with this ceremony. */
  async blobOf(digest: Hex, ceremony: Hex = ZERO_DIGEST): Promise<Hex | undefined> {
    const blob = await this.read<string>("blobOf", digest, ceremony);
    return BigInt(blob) === 0n ? undefined : lower(blob);
  }

  /** The stored key, of which the digest is computed anew. */
  async keyOf(digest: Hex, ceremony: Hex = ZERO_DIGEST): Promise<VerifyingKey> {
    const key = keyFromWords([...(await this.read<Iterable<bigint>>("keyOf", digest, ceremony))]);
    if (keyDigest(key) !== digest) {
      throw new AnchorError("KEY_MALFORMED", "what the contract holds is not the key of this digest", {
        details: { expected: digest, found: keyDigest(key) },
      });
    }
    return key;
  }

  /** Returns when the proof holds. @throws CHAIN_REVERTED when it does not */
  async verify(digest: Hex, signals: readonly bigint[], proof: Proof, ceremony: Hex = ZERO_DIGEST): Promise<void> {
    await this.read("verify", digest, ceremony, proofWords(proof), signals);
  }
}
