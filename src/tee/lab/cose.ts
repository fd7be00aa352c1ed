/**
 * COSE_Sign1 (RFC 9052) by a key of the laboratory's.
 *
 * @module
 */
import { type CborValue, encode, map, Raw, Tagged } from "./cbor.js";
import { type LabKey, signBytes } from "./certificates.js";

export interface Sign1Options {
  /** Of ECDSA, by the key's curve unless given: -7 for P-256, -35 for P-384. */
  algorithm?: number;
  /** Instead of the protected header with the algorithm alone: what its byte string holds. */
  protectedHeader?: Uint8Array;
  unprotected?: CborValue;
  /** Under tag 18. */
  tagged?: boolean;
}

export function sign1(payload: Uint8Array, key: LabKey, options: Sign1Options = {}): CborValue {
  const { algorithm = key.kind === "P-256" ? -7 : -35, unprotected = map(), tagged = false } = options;
  const header = options.protectedHeader ?? encode(map([1, algorithm]));
  const signature = signBytes(key, encode(["Signature1", header, new Uint8Array(), payload]), "ieee-p1363");
  const message = [header, unprotected, payload, signature];
  return new Raw(encode(tagged ? new Tagged(18, message) : message));
}
