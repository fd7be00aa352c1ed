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
  const bytes = readSignature(signature);
  try {
    const recovered = Uint8Array.of(bytes[64]! - 27, ...bytes.subarray(0, 64));
    const publicKey = secp256k1.recoverPublicKey(recovered, fromHex(digest, "digest", 32), { prehash: false });
    return addressOf(secp256k1.Point.fromBytes(publicKey).toBytes(false));
  } catch {
    return malformed("no public key fits it");
  }
}

/**
 * The 64 bytes of ERC-2098 (r ‖ s, with v's parity in the bit that a low s leaves free), as contracts take them.
 *
 * @throws SIGNATURE_INVALID for anything but the one accepted spelling of a signature
 */
export function compactSignature(signature: unknown): Hex {
  const bytes = readSignature(signature);
  bytes[32]! |= (bytes[64]! - 27) << 7;
  return toHex(bytes.subarray(0, 64));
}

/** The 65 bytes again. @throws SIGNATURE_INVALID */
export function expandSignature(compact: unknown): Hex {
  try {
    assertHex(compact, "signature", 64);
  } catch {
    return malformed("64 bytes of lower-case 0x-hex are expected");
  }
  const bytes = fromHex(compact, "signature", 64);
  const v = 27 + (bytes[32]! >> 7);
  bytes[32]! &= 0x7f;
  const signature = toHex(Uint8Array.of(...bytes, v));
  readSignature(signature);
  return signature;
}

/** @throws SIGNATURE_INVALID unless `account` signed `digest` */
export function checkSigner(digest: Hex, signature: unknown, account: Hex, who: string): void {
  const signer = recoverSigner(digest, signature);
  if (signer !== account) {
    throw new AnchorError("SIGNATURE_INVALID", `the signature is not by the ${who}`, { details: { signer, account } });
  }
}

/** r ‖ s ‖ v in their one spelling; whether any key fits them is another question. */
function readSignature(signature: unknown): Uint8Array {
  try {
    assertHex(signature, "signature", 65);
  } catch {
    return malformed("65 bytes of lower-case 0x-hex are expected");
  }
  const bytes = fromHex(signature, "signature", 65);
  if (bytes[64] !== 27 && bytes[64] !== 28) malformed("v must be 27 or 28");
  if (BigInt(toHex(bytes.subarray(32, 64))) > HALF_ORDER) malformed("s is in the upper half");
  return bytes;
}

function malformed(reason: string): never {
  throw new AnchorError("SIGNATURE_INVALID", `the signature is malformed: ${reason}`);
}

function addressOf(uncompressed: Uint8Array): Hex {
  return toHex(keccak(uncompressed.subarray(1)).subarray(12));
}
