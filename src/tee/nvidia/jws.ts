/**
 * Tokens as NVIDIA's attestation service makes them: JSON Web Signatures in compact form (RFC 7515), with ES384 and nothing else.
 *
 * Verification is synchronous, which no JOSE package is; the tests hold this reader against `jose`.
 *
 * @module
 */
import { type KeyObject, verify } from "node:crypto";
import { demand } from "../context.js";
import { type JsonObject, readJsonObject } from "../read/json.js";

export interface Jws {
  /** Names the key; the header is signed as well. */
  kid: string;
  payload: JsonObject;
  /** What is signed: the first two parts and the dot between them. */
  signed: string;
  /** r‖s. */
  signature: Uint8Array;
}

const MAX_TOKEN = 256 * 1024;
const SIGNATURE_BYTES = 96;
/** Whatever else a header says would have to be understood: `crit`, `b64`, `jku`, a key of its own. */
const HEADER = ["alg", "kid", "typ"];

/** @throws TOKEN_MALFORMED */
export function parseJws(token: string, what: string): Jws {
  demand(typeof token === "string" && token.length <= MAX_TOKEN, "TOKEN_MALFORMED", `${what} is no token, or too long`);
  const parts = token.split(".", 4);
  demand(parts.length === 3, "TOKEN_MALFORMED", `${what} does not have three parts`);
  const [head, body, signature] = parts as [string, string, string];
  const header = readJsonObject(decode(head, what), { code: "TOKEN_MALFORMED", what: `the header of ${what}` });
  const { alg, kid, typ } = header;
  demand(alg === "ES384", "TOKEN_MALFORMED", `${what} is signed with ${JSON.stringify(alg)} instead of ES384`);
  const surplus = Object.keys(header).find((name) => !HEADER.includes(name));
  demand(surplus === undefined, "TOKEN_MALFORMED", `the header of ${what} has "${surplus}", which is not supported`);
  demand(
    typ === undefined || (typeof typ === "string" && typ.toUpperCase() === "JWT"),
    "TOKEN_MALFORMED",
    `${what} is of type ${JSON.stringify(typ)} instead of JWT`,
  );
  demand(typeof kid === "string" && kid !== "", "TOKEN_MALFORMED", `${what} names no key`);
  const raw = decode(signature, what);
  demand(
    raw.length === SIGNATURE_BYTES,
    "TOKEN_MALFORMED",
    `the signature of ${what} has ${raw.length} bytes instead of ${SIGNATURE_BYTES}`,
  );
  return {
    kid,
    payload: readJsonObject(decode(body, what), { code: "TOKEN_MALFORMED", what: `the payload of ${what}` }),
    signed: `${head}.${body}`,
    signature: raw,
  };
}

/** @throws TOKEN_SIGNATURE */
export function verifyJws({ signed, signature, kid }: Jws, key: KeyObject, what: string): void {
  const options = { key, dsaEncoding: "ieee-p1363" } as const;
  demand(
    verify("sha384", Buffer.from(signed, "latin1"), options, signature),
    "TOKEN_SIGNATURE",
    `${what} is not signed by the key ${kid}`,
  );
}

/** Base64url in its one canonical spelling, so that no token has two. */
function decode(part: string, what: string): Uint8Array {
  const bytes = Buffer.from(part, "base64url");
  demand(
    part !== "" && bytes.toString("base64url") === part,
    "TOKEN_MALFORMED",
    `a part of ${what} is not canonical base64url`,
  );
  return new Uint8Array(bytes);
}
