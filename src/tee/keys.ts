/**
 * Public keys as certificates hold them, read by ourselves before anything else sees them: named curves and RSA, nothing else.
 *
 * OpenSSL takes more (explicit curve parameters, SM2, X25519, …), and Node 20 ends the process when it is asked for the details of some
 * of those: a hostile certificate must not get that far.
 *
 * @module
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import { AnchorError, type ErrorCode } from "../errors.js";
import { demand } from "./context.js";
import { Der, TAG } from "./read/der.js";

export type KeyKind = "P-256" | "P-384" | "P-521" | "RSA";

export interface PublicKey {
  key: KeyObject;
  kind: KeyKind;
  /** Of the modulus, or of the curve's field. */
  bits: number;
}

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
const RSA_ENCRYPTION = "1.2.840.113549.1.1.1";

const CURVES: Record<string, { kind: KeyKind; bits: number }> = {
  "1.2.840.10045.3.1.7": { kind: "P-256", bits: 256 },
  "1.3.132.0.34": { kind: "P-384", bits: 384 },
  "1.3.132.0.35": { kind: "P-521", bits: 521 },
};

/** Smaller ones are broken, and larger ones take long. */
const RSA_BITS = { least: 2048, most: 8192 };

/** @param spki SubjectPublicKeyInfo, DER @throws the code given */
export function readPublicKey(spki: Uint8Array, code: ErrorCode): PublicKey {
  const outer = Der.parse(spki, code).fields("a public key");
  const algorithm = outer.next("an algorithm").fields("the algorithm of a public key");
  const bits = outer.next("the key itself").bitOctets("a public key");
  outer.end();
  const oid = algorithm.next("an identifier").oid("the algorithm of a public key");
  const parameters = algorithm.next("parameters");
  algorithm.end();
  let found: { kind: KeyKind; bits: number };
  if (oid === EC_PUBLIC_KEY) {
    const curve = CURVES[parameters.oid("a curve")];
    demand(curve !== undefined, code, "a public key on a curve that is not supported");
    const length = 1 + 2 * Math.ceil(curve.bits / 8);
    demand(bits.length === length && bits[0] === 4, code, "a public key is no uncompressed point of its curve");
    found = curve;
  } else {
    demand(oid === RSA_ENCRYPTION, code, `a public key of the kind ${oid}, which is not supported`);
    parameters.expect(TAG.null, "the parameters of RSA");
    demand(parameters.content.length === 0, code, "the parameters of RSA are not empty");
    const fields = Der.parse(bits, code).fields("an RSA key");
    const modulus = fields.next("a modulus").expect(TAG.integer, "the modulus");
    const most = RSA_BITS.most / 8 + 1;
    demand(modulus.content.length <= most, code, `an RSA key has at most ${RSA_BITS.most} bits`);
    const n = modulus.integer("the modulus");
    const e = fields.next("an exponent").small("the exponent");
    fields.end();
    const size = n > 0n ? n.toString(2).length : 0;
    demand(size >= RSA_BITS.least && size <= RSA_BITS.most && n % 2n === 1n, code, "an RSA key whose modulus is none");
    demand(e >= 3 && e % 2 === 1, code, "an RSA key whose exponent is none");
    found = { kind: "RSA", bits: size };
  }
  try {
    return { key: createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }), ...found };
  } catch (cause) {
    throw new AnchorError(code, "a public key is no point of its curve", { cause });
  }
}
