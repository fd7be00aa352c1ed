/**
 * COSE_Sign1 (RFC 9052, 4.2) as attestation uses it: a header that names the algorithm and nothing else, a payload inside, one
 * signature by ECDSA.
 *
 * @module
 */
import type { KeyObject } from "node:crypto";
import { concat, utf8 } from "../field/bytes.js";
import { demand } from "./context.js";
import { type Cbor, type CborMap, CborTag, cborHead, quoted, readCbor } from "./read/cbor.js";
import { type Algorithm, verifySignature } from "./x509.js";

export interface Sign1 {
  /** Of the protected header, as signed. */
  protected: Uint8Array;
  payload: Uint8Array;
  /** r‖s. */
  signature: Uint8Array;
  algorithm: CoseAlgorithm;
}

export type CoseAlgorithm = "ES256" | "ES384" | "ES512";

/** RFC 9053, 2.1, each on the curve that its hash goes with. */
const ALGORITHMS: Record<CoseAlgorithm, { id: number; hash: Algorithm["hash"]; curve: string; length: number }> = {
  ES256: { id: -7, hash: "sha256", curve: "prime256v1", length: 64 },
  ES384: { id: -35, hash: "sha384", curve: "secp384r1", length: 96 },
  ES512: { id: -36, hash: "sha512", curve: "secp521r1", length: 132 },
};

/** The label of the algorithm in a header. */
const ALG = 1;
const TAG_SIGN1 = 18;

export interface Sign1Options {
  /** For messages: "the document". */
  what: string;
  algorithms: readonly CoseAlgorithm[];
  maxPayload: number;
  /** Whether tag 18 has to stand in front; else it may. */
  tagged?: boolean;
}

/** What the frame around a payload can take: tag, array, headers, lengths and the longest signature. */
const MAX_FRAME = 512;

/** @throws EVIDENCE_MALFORMED, COSE_HEADER */
export function parseSign1(bytes: Uint8Array, options: Sign1Options): Sign1 {
  const { what, algorithms, maxPayload, tagged = false } = options;
  const code = "EVIDENCE_MALFORMED";
  demand(
    bytes.length <= maxPayload + MAX_FRAME,
    code,
    `${what} has ${bytes.length} bytes, more than the ${maxPayload + MAX_FRAME} that it may have`,
  );
  const item = readCbor(bytes, { code, tags: [TAG_SIGN1] });
  demand(!tagged || item instanceof CborTag, code, `${what} lacks the tag of a COSE_Sign1`);
  const parts = item instanceof CborTag ? item.value : item;
  demand(Array.isArray(parts) && parts.length === 4, code, `${what} is no COSE_Sign1: not an array of four`);
  const [header, unprotected, payload, signature] = parts as Cbor[];
  demand(header instanceof Uint8Array, code, `the protected header of ${what} is no byte string`);
  demand(unprotected instanceof Map, code, `the unprotected header of ${what} is no map`);
  demand(payload instanceof Uint8Array, code, `${what} has no payload inside`);
  demand(
    payload.length > 0 && payload.length <= maxPayload,
    code,
    `the payload of ${what} has ${payload.length} bytes instead of 1 to ${maxPayload}`,
  );
  demand(signature instanceof Uint8Array, code, `the signature of ${what} is no byte string`);
  // Nothing signs what stands there, so nothing may stand there.
  demand(unprotected.size === 0, "COSE_HEADER", `${what} has ${unprotected.size} unprotected headers instead of none`);
  const algorithm = readHeader(header, what, algorithms);
  return { protected: header, payload, signature, algorithm };
}

function readHeader(bytes: Uint8Array, what: string, algorithms: readonly CoseAlgorithm[]): CoseAlgorithm {
  const code = "COSE_HEADER";
  const header = readCbor(bytes, { code: "EVIDENCE_MALFORMED", maxDepth: 2 });
  demand(header instanceof Map, code, `the protected header of ${what} is no map`);
  const map: CborMap = header;
  const other = [...map.keys()].find((label) => label !== ALG);
  demand(
    other === undefined,
    code,
    `the protected header of ${what} has the label ${quoted(other)}, beyond the algorithm`,
  );
  const id = map.get(ALG);
  const algorithm = algorithms.find((name) => ALGORITHMS[name].id === id);
  demand(
    algorithm !== undefined,
    code,
    `${what} names ${map.has(ALG) ? `the algorithm ${quoted(id)}` : "no algorithm"} instead of ${algorithms.map((name) => `${ALGORITHMS[name].id} (${name})`).join(" or ")}`,
  );
  return algorithm;
}

/** @throws COSE_SIGNATURE, for a key of another curve as well */
export function verifySign1(message: Sign1, key: KeyObject, what: string): void {
  const code = "COSE_SIGNATURE";
  const { hash, curve, length } = ALGORITHMS[message.algorithm];
  demand(
    key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === curve,
    code,
    `the key that ${what} is signed with is not on the curve of ${message.algorithm}`,
  );
  demand(
    message.signature.length === length,
    code,
    `the signature of ${what} has ${message.signature.length} bytes instead of ${length}`,
  );
  demand(
    verifySignature({ kind: "ecdsa", hash }, key, signedBytes(message), message.signature, "ieee-p1363"),
    code,
    `the signature of ${what} does not verify`,
  );
}

/** Sig_structure (RFC 9052, 4.4), without external data. */
export function signedBytes({ protected: header, payload }: Pick<Sign1, "protected" | "payload">): Uint8Array {
  const context = utf8("Signature1");
  const strings = [header, new Uint8Array(0), payload].flatMap((bytes) => [cborHead(2, bytes.length), bytes]);
  return concat(cborHead(4, 4), cborHead(3, context.length), context, ...strings);
}
