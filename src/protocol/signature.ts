/**
 * ECDSA signatures of externally owned accounts over EIP-712 digests: 65 bytes r ‖ s ‖ v, v 27 or 28, s in the lower
 * half (EIP-2), as OpenZeppelin's `ECDSA` accepts them.
 *
 * @module
 */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { AnchorError } from "../errors.js";
import { assertHex, fromHex, type Hex, keccak, toHex } from "../field/bytes.js";

const HALF_ORDER = secp256k1.Point.Fn.ORDER >> 1n;

/** The account of a 32-byte secret key. @throws INPUT_INVALID */
export function accountOf(secretKey: Hex): Hex {
  const secret = fromHex(secretKey, "secret key", 32);
  if (!secp256k1.utils.isValidSecretKey(secret)) throw new AnchorError("INPUT_INVALID", "not a secp256k1 secret key");
  return addressOf(secp256k1.getPublicKey(secret, false));
}

export function signDigest(secretKey: Hex, digest: Hex): Hex {
  const message = fromHex(digest, "digest", 32);
  const bytes = secp256k1.sign(message, fromHex(secretKey, "secret key", 32), { prehash: false, format: "recovered" });
  // noble puts the recovery bit first; Ethereum wants it last, plus 27
  return toHex(Uint8Array.of(...bytes.subarray(1), bytes[0]! + 27));
}

/**
 * The account that signed a digest.
 *
 * @throws SIGNATURE_INVALID for anything but the one accepted spelling of a signature
 */
export function recoverSigner(digest: Hex, signature: unknown): Hex {
  const invalid = (reason: string): never => {
    throw new AnchorError("SIGNATURE_INVALID", `the signature is malformed: ${reason}`);
  };
  try {
    assertHex(signature, "signature", 65);
  } catch {
    return invalid("65 bytes of lower-case 0x-hex are expected");
  }
  const bytes = fromHex(signature, "signature", 65);
  const v = bytes[64]!;
  if (v !== 27 && v !== 28) invalid("v must be 27 or 28");
  const s = BigInt(toHex(bytes.subarray(32, 64)));
  if (s > HALF_ORDER) invalid("s is in the upper half");
  try {
    const recovered = Uint8Array.of(v - 27, ...bytes.subarray(0, 64));
    const publicKey = secp256k1.recoverPublicKey(recovered, fromHex(digest, "digest", 32), { prehash: false });
    return addressOf(secp256k1.Point.fromBytes(publicKey).toBytes(false));
  } catch {
    return invalid("no public key fits it");
  }
}

/** @throws SIGNATURE_INVALID unless `account` signed `digest` */
export function checkSigner(digest: Hex, signature: unknown, account: Hex, who: string): void {
  const signer = recoverSigner(digest, signature);
  if (signer !== account) {
    throw new AnchorError("SIGNATURE_INVALID", `the signature is not by the ${who}`, { details: { signer, account } });
  }
}

function addressOf(uncompressed: Uint8Array): Hex {
  return toHex(keccak(uncompressed.subarray(1)).subarray(12));
}
