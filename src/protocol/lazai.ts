/**
 * What LazAI's deployed software signs: EIP-191 signatures over a node's `ProofData` and over a user's "digital check".
 *
 * UNSAFE, all of it. It is here to read, make and check what LazAI's contracts and SDKs exchange today, and binds far less
 * than its names say. Nothing in this package trusts it; the statements and receipts of this folder are what does.
 *
 * - A proof names a file id and a url, and the registry compares neither with the file that the proof is attached to.
 * - Nothing signed holds a chain id, a contract, a nonce of the signer or a deadline: what was signed once is good on every
 *   deployment, for ever. Score 0 can be redeemed again and again, and no score is too high.
 * - `proofUrl` is an address without a hash: what it leads to can be replaced after it was signed.
 * - A check lets its node name any price, as often as the user's balance lasts: the cost is not part of it, and its nonce
 *   is not used up.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { concat, fromHex, type Hex, keccak, toHex, utf8, word } from "../field/bytes.js";
import { checkSigner, recoverSigner, signDigest } from "./signature.js";

/** What a node says of a file. Its `score` becomes the number of tokens minted. */
export interface ProofData {
  /** The file's id in the registry, so it is said: see the module's own words. */
  id: bigint;
  score: bigint;
  fileUrl: string;
  proofUrl: string;
}

/** `keccak256(abi.encode(data))` of the Solidity struct: what the node's key signs, with the EIP-191 prefix. */
export function proofDataHash(data: ProofData): Hex {
  return toHex(keccak(encodeProofData(data)));
}

/** `abi.encode(data)`: a word for where the struct starts, its head of four words, and its two strings. */
export function encodeProofData({ id, score, fileUrl, proofUrl }: ProofData): Uint8Array {
  const first = stringTail(fileUrl, "fileUrl");
  const head = 4n * 32n;
  return concat(
    word(32n),
    uint256(id, "id"),
    uint256(score, "score"),
    word(head),
    word(head + BigInt(first.length)),
    first,
    stringTail(proofUrl, "proofUrl"),
  );
}

/** EIP-191, version 0x45, of a 32-byte hash: `toEthSignedMessageHash` in Solidity. */
export function personalDigest(hash: Hex): Hex {
  return toHex(keccak(utf8("\x19Ethereum Signed Message:\n32"), fromHex(hash, "hash", 32)));
}

/** UNSAFE: whoever has the signature mints with it, for any file, on any deployment. */
export function signProofData(secretKey: Hex, data: ProofData): Hex {
  return signDigest(secretKey, personalDigest(proofDataHash(data)));
}

/** The account that signed, whoever it is. @throws SIGNATURE_INVALID, INPUT_INVALID */
export function recoverProofSigner(data: ProofData, signature: unknown): Hex {
  return recoverSigner(personalDigest(proofDataHash(data)), signature);
}

/** What a registry's record says of the file that a proof is attached to. */
export interface LegacyFile {
  id: bigint;
  url: string;
}

/**
 * Checks what the deployed registry does not: that the proof is of this file. It is still not bound to a chain or a
 * registry, which its signature cannot show.
 *
 * @throws SIGNATURE_INVALID unless `node` signed `data`; STATEMENT_INVALID when the data is of another file, or scores 0
 */
export function checkProofData(data: ProofData, signature: unknown, node: Hex, file: LegacyFile): void {
  checkSigner(personalDigest(proofDataHash(data)), signature, node, "node");
  if (data.id !== file.id) invalid(`the proof is of file ${data.id}, not of ${file.id}`);
  if (data.fileUrl !== file.url) invalid("the proof is of another url than the file's");
  if (data.score === 0n) invalid("a proof with score 0 can be redeemed repeatedly");
}

/** A user's permission to a node to draw from the account between them. */
export interface DigitalCheck {
  nonce: bigint;
  user: Hex;
  node: Hex;
}

/** `keccak256(abi.encode(uint256 nonce, address user, address node))`. */
export function digitalCheckHash({ nonce, user, node }: DigitalCheck): Hex {
  return toHex(keccak(uint256(nonce, "nonce"), addressWord(user, "user"), addressWord(node, "node")));
}

/** UNSAFE: the node decides what it costs, and may use it until the account is empty. */
export function signDigitalCheck(secretKey: Hex, check: DigitalCheck): Hex {
  return signDigest(secretKey, personalDigest(digitalCheckHash(check)));
}

/** The account that signed, whoever it is. @throws SIGNATURE_INVALID, INPUT_INVALID */
export function recoverDigitalCheckSigner(check: DigitalCheck, signature: unknown): Hex {
  return recoverSigner(personalDigest(digitalCheckHash(check)), signature);
}

/** @throws SIGNATURE_INVALID unless the check's user signed it */
export function checkDigitalCheck(check: DigitalCheck, signature: unknown): void {
  checkSigner(personalDigest(digitalCheckHash(check)), signature, check.user, "user");
}

/** The HTTP headers that LazAI's SDKs send with a request to a node. */
export const LAZAI_HEADERS = {
  user: "X-LazAI-User",
  nonce: "X-LazAI-Nonce",
  signature: "X-LazAI-Signature",
  tokenId: "X-LazAI-Token-ID",
  fileId: "X-LazAI-File-ID",
} as const;

/** What the headers say. Token and file are NOT part of what the user signed. */
export interface LazaiRequest {
  user: Hex;
  nonce: bigint;
  signature: Hex;
  tokenId?: bigint;
  fileId?: bigint;
}

/** As the SDKs write them, but for an absent id, which is left out instead of empty. */
export function requestToHeaders(request: LazaiRequest): Record<string, string> {
  const headers: Record<string, string> = {
    [LAZAI_HEADERS.user]: toHex(fromHex(request.user, "user", 20)),
    [LAZAI_HEADERS.nonce]: decimal(request.nonce, "nonce"),
    [LAZAI_HEADERS.signature]: toHex(fromHex(request.signature, "signature", 65)),
  };
  if (request.tokenId !== undefined) headers[LAZAI_HEADERS.tokenId] = decimal(request.tokenId, "token id");
  if (request.fileId !== undefined) headers[LAZAI_HEADERS.fileId] = decimal(request.fileId, "file id");
  return headers;
}

/**
 * Reads the headers of a request. Header names count without regard to case, as HTTP has it, and each may stand once. Of
 * values the spellings that LazAI's SDKs write are taken: an address in lower case or with its EIP-55 checksum, a signature
 * with or without `0x`, and an empty file or token id for none.
 *
 * @throws INPUT_INVALID naming the header
 */
export function requestFromHeaders(headers: Readonly<Record<string, unknown>>): LazaiRequest {
  const values = new Map<string, string>();
  const known = new Map(Object.values(LAZAI_HEADERS).map((name) => [name.toLowerCase(), name as string]));
  for (const [key, value] of Object.entries(headers)) {
    const name = known.get(key.toLowerCase());
    if (name === undefined || value === undefined) continue;
    if (typeof value !== "string") malformed(name, "must stand once");
    if (values.has(name)) malformed(name, "must stand once");
    values.set(name, value as string);
  }
  const required = (name: string): string => values.get(name) ?? malformed(name, "is missing");
  const optional = (name: string): bigint | undefined => {
    const value = values.get(name);
    return value === undefined || value === "" ? undefined : parseDecimal(value, name);
  };
  const tokenId = optional(LAZAI_HEADERS.tokenId);
  const fileId = optional(LAZAI_HEADERS.fileId);
  return {
    user: parseAddress(required(LAZAI_HEADERS.user)),
    nonce: parseDecimal(required(LAZAI_HEADERS.nonce), LAZAI_HEADERS.nonce),
    signature: parseSignature(required(LAZAI_HEADERS.signature)),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(fileId === undefined ? {} : { fileId }),
  };
}

function parseAddress(value: string): Hex {
  const name = LAZAI_HEADERS.user;
  if (!/^0x[0-9a-fA-F]{40}$/.test(value)) malformed(name, "must be an address");
  const lower = value.toLowerCase() as Hex;
  if (value !== lower && value !== checksummed(lower)) malformed(name, "has a wrong checksum");
  return lower;
}

/** EIP-55. */
function checksummed(address: Hex): string {
  const digits = address.slice(2);
  const hash = toHex(keccak(utf8(digits))).slice(2);
  return `0x${[...digits].map((digit, i) => (Number.parseInt(hash[i]!, 16) > 7 ? digit.toUpperCase() : digit)).join("")}`;
}

function parseSignature(value: string): Hex {
  if (!/^(?:0x)?[0-9a-f]{130}$/.test(value)) malformed(LAZAI_HEADERS.signature, "must be 65 bytes of lower-case hex");
  return (value.startsWith("0x") ? value : `0x${value}`) as Hex;
}

function parseDecimal(value: string, name: string): bigint {
  if (!/^(?:0|[1-9]\d{0,77})$/.test(value)) malformed(name, "must be a decimal number");
  const integer = BigInt(value);
  if (integer >> 256n !== 0n) malformed(name, "must fit 256 bits");
  return integer;
}

function decimal(value: bigint, name: string): string {
  uint256(value, name);
  return value.toString();
}

function uint256(value: bigint, name: string): Uint8Array {
  if (typeof value !== "bigint" || value < 0n || value >> 256n !== 0n) {
    throw new AnchorError("INPUT_INVALID", `${name} must be an unsigned integer of 256 bits`);
  }
  return word(value);
}

function addressWord(value: Hex, name: string): Uint8Array {
  return concat(new Uint8Array(12), fromHex(value, name, 20));
}

/** A string as `abi.encode` has it: its length, and its bytes filled up to whole words. */
function stringTail(text: string, name: string): Uint8Array {
  // A lone surrogate has no UTF-8, and would be hashed as another character.
  if (typeof text !== "string" || /\p{Surrogate}/u.test(text)) {
    throw new AnchorError("INPUT_INVALID", `${name} must be well-formed text`);
  }
  const bytes = utf8(text);
  return concat(word(BigInt(bytes.length)), bytes, new Uint8Array((32 - (bytes.length % 32)) % 32));
}

function malformed(header: string, reason: string): never {
  throw new AnchorError("INPUT_INVALID", `header ${header} ${reason}`, { details: { header } });
}

function invalid(reason: string): never {
  throw new AnchorError("STATEMENT_INVALID", reason);
}
