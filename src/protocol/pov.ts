/**
 * POV ("point of view"): a creator's submission of data to the protocol, as a typed message.
 *
 * LazAI documents the fields data_hash, data_tag, data_type, data_size, data, timestamp and proof, with the field
 * number 2 given twice, which no reader of protocol buffers accepts. Ours are numbered one after another, and the data
 * itself stays off chain: in its place are the root that commits to it, what the root is the hash of, and those parts
 * that the creator wants to name.
 *
 *     message POV {
 *       bytes  data_hash = 1;        // SHA-256, 32 bytes; zeros where it is not told
 *       string data_tag  = 2;        // one of DATA_TAGS
 *       string data_type = 3;        // of all records: a dtype, "table", or "mixed"
 *       uint64 data_size = 4;        // bytes of all records
 *       repeated Part parts = 5;
 *       uint64 timestamp = 6;        // Unix seconds
 *       repeated Proof proofs = 7;
 *       bytes  creator   = 8;        // 20 bytes
 *       bytes  data_root = 9;        // 32 bytes, as the next but one; then what it is the hash of
 *       uint32 depth = 10; bytes top = 11; uint64 records = 12; uint64 blocks = 13; uint64 values = 14; bytes schema = 15;
 *     }
 *     message Part {
 *       string role = 1; string name = 2; string dtype = 3; repeated uint64 shape = 4; uint64 size = 5;
 *       uint64 record = 6; bytes digest = 7; bytes data = 8;
 *     }
 *     message Proof { string kind = 1; bytes digest = 2; }
 *
 * The same fields in the same order are the EIP-712 struct that is signed, and the JSON of a bundle. What a submission
 * says is its creator's word, but for what the root binds (`bundle` checks that it is the hash of these numbers) and what
 * proofs show.
 *
 * @module
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { AnchorError } from "../errors.js";
import { assertHex, fromHex, type Hex, toHex, utf8 } from "../field/bytes.js";
import { R } from "../field/scalar.js";
import {
  type Domain,
  type Fault,
  readObject,
  structFromJson,
  structToJson,
  type TypeTable,
  typedDigest,
} from "./eip712.js";
import { checkSigner } from "./signature.js";
import { structFromBytes, structToBytes } from "./wire.js";

/** What LazAI's documentation lists for `data_tag`. */
export const DATA_TAGS = ["LLM weight", "dataset metadata", "user info", "inference prompt"] as const;

/** Element types and their bytes, as in `dataset/record`. */
const DTYPES: Readonly<Record<string, bigint>> = {
  bytes: 1n,
  text: 1n,
  bool: 1n,
  u8: 1n,
  i8: 1n,
  u16: 2n,
  i16: 2n,
  f16: 2n,
  bf16: 2n,
  u32: 4n,
  i32: 4n,
  f32: 4n,
  u64: 8n,
  i64: 8n,
  f64: 8n,
};

/** `data_type` of rows with columns, and of records of several types. */
export const DATA_TYPES: readonly string[] = [...Object.keys(DTYPES), "table", "mixed"];

/** Kinds of parts: which element types and numbers of dimensions each has. */
const ROLES: Readonly<Record<string, { dtypes: readonly string[]; ranks: readonly [number, number] }>> = {
  text: { dtypes: ["text"], ranks: [1, 1] },
  /** A text that everybody may read: its data stands in the message. */
  prompt: { dtypes: ["text"], ranks: [1, 1] },
  /** Samples, or samples and channels. */
  voice: { dtypes: ["u8", "i8", "i16", "i32", "f16", "bf16", "f32", "f64"], ranks: [1, 2] },
  /** Height and width, with channels, with a batch. */
  image: { dtypes: ["bool", "u8", "u16", "f16", "bf16", "f32", "f64"], ranks: [2, 4] },
  /** As images, frames first. */
  video: { dtypes: ["bool", "u8", "u16", "f16", "bf16", "f32", "f64"], ranks: [3, 5] },
  tensor: { dtypes: Object.keys(DTYPES).filter((dtype) => dtype !== "bytes" && dtype !== "text"), ranks: [0, 8] },
  file: { dtypes: ["bytes"], ranks: [1, 1] },
};

export const PART_ROLES: readonly string[] = Object.keys(ROLES);

/** What a set of proofs shows; see `CIRCUIT_TYPES`. */
export const PROOF_KINDS = [
  "chunk",
  "content",
  "bytes",
  "numbers",
  "labels",
  "column",
  "distinct",
  "sorted",
  "opening",
  "growth",
  "sha256",
] as const;

/** Most parts, and most proofs, of a submission. */
export const MAX_POV_PARTS = 64;
export const MAX_POV_PROOFS = 64;
/** Most bytes of data that a submission publishes, all parts together. */
export const MAX_POV_DATA = 65_536;
/** Most bytes of a whole submission as bytes. */
export const MAX_POV_BYTES = 2 ** 18;
/** Most bytes of a part's name. */
const MAX_NAME_BYTES = 1024;
/** Most records of a dataset, and most values: records of at most 2^20 bytes. As in `dataset/layout`. */
const MAX_RECORDS = 2n ** 31n;
const RECORD_BYTES = 2n ** 20n;
const MAX_VALUES = MAX_RECORDS * RECORD_BYTES;
/** Bytes of data in an element of a content's chain, and elements in a step of it. As in `dataset/layout`. */
const ELEMENT_BYTES = 31n;
const BLOCK_ELEMENTS = 15n;

/** One object of the data, which is a record under the root, or several where it is longer than a record can be. */
export interface PovPart {
  /** One of {@link PART_ROLES}. */
  role: string;
  /** May be empty. */
  name: string;
  dtype: string;
  /** Dimensions, the slowest first; `[bytes]` of text and bytes. */
  shape: bigint[];
  /** Bytes. */
  size: bigint;
  /** Number of its (first) record under the root. Unproven: an opening shows it. */
  record: bigint;
  /** SHA-256 of its bytes, which lets anyone test a guess at them; zeros where it is not told. */
  digest: Hex;
  /** All of its bytes where they are public, else `0x`. */
  data: Hex;
}

/** A set of proofs that the creator offers beside the submission. */
export interface PovProof {
  /** One of {@link PROOF_KINDS}. */
  kind: string;
  /** SHA-256 of the set's file. */
  digest: Hex;
}

export interface PointOfView {
  /**
   * SHA-256 of the file, or of the list of the files': what LazAI's DataRegistry stores. Unproven, and not blinded: zeros
   * where it is not told.
   */
  dataHash: Hex;
  /** One of {@link DATA_TAGS}. */
  dataTag: string;
  /** One of {@link DATA_TYPES}. */
  dataType: string;
  /** Bytes of all records. */
  dataSize: bigint;
  /** In ascending order of their records. */
  parts: PovPart[];
  /** Unix seconds. */
  timestamp: bigint;
  /** In ascending order of their digests. */
  proofs: PovProof[];
  creator: Hex;
  /** Root of the dataset commitment. */
  dataRoot: Hex;
  /** What the root is the hash of: height of the tree, its top node, totals, digest of the columns. */
  depth: bigint;
  top: Hex;
  records: bigint;
  blocks: bigint;
  values: bigint;
  schema: Hex;
}

/** A field's number is its place: types grow at their end. */
export const POV_TYPES: TypeTable = {
  PointOfView: [
    { name: "dataHash", type: "bytes32" },
    { name: "dataTag", type: "string" },
    { name: "dataType", type: "string" },
    { name: "dataSize", type: "uint64" },
    { name: "parts", type: "Part[]" },
    { name: "timestamp", type: "uint64" },
    { name: "proofs", type: "Proof[]" },
    { name: "creator", type: "address" },
    { name: "dataRoot", type: "bytes32" },
    { name: "depth", type: "uint32" },
    { name: "top", type: "bytes32" },
    { name: "records", type: "uint64" },
    { name: "blocks", type: "uint64" },
    { name: "values", type: "uint64" },
    { name: "schema", type: "bytes32" },
  ],
  Part: [
    { name: "role", type: "string" },
    { name: "name", type: "string" },
    { name: "dtype", type: "string" },
    { name: "shape", type: "uint64[]" },
    { name: "size", type: "uint64" },
    { name: "record", type: "uint64" },
    { name: "digest", type: "bytes32" },
    { name: "data", type: "bytes" },
  ],
  Proof: [
    { name: "kind", type: "string" },
    { name: "digest", type: "bytes32" },
  ],
};

/** What is wrong with a submission; in the `details` of the error, beside the path. */
export type PovFault = Fault | "order" | "size" | "data" | "clock";

const CODE = "POV_INVALID";

export function povDigest(domain: Domain, pov: PointOfView): Hex {
  return typedDigest(domain, POV_TYPES, "PointOfView", pov);
}

/** How far a submission's clock may be ahead of the verifier's, and how old it may be, in seconds. */
export const CLOCK_RULE = { ahead: 300n, age: 7n * 86_400n } as const;

/** "early" and "late" are beyond the rule's limits, by this many seconds. */
export type PovClock = { outcome: "accepted" } | { outcome: "early" | "late"; seconds: bigint };

/**
 * The clock rule: a submission is neither from the future nor old.
 *
 * @param now Unix seconds, of a block that the verifier trusts
 * @throws INPUT_INVALID for a time that is none
 */
export function povClock({ timestamp }: Pick<PointOfView, "timestamp">, now: bigint): PovClock {
  if (typeof now !== "bigint" || now < 0n) {
    throw new AnchorError("INPUT_INVALID", "the time of review is a bigint of Unix seconds");
  }
  const { ahead, age } = CLOCK_RULE;
  if (timestamp > now + ahead) return { outcome: "early", seconds: timestamp - now - ahead };
  if (timestamp + age < now) return { outcome: "late", seconds: now - timestamp - age };
  return { outcome: "accepted" };
}

/**
 * Checks a submission's contents, its clock and its creator's signature.
 *
 * @param now Unix seconds; without it the clock rule is not checked (old bundles stay valid)
 * @throws POV_INVALID (see {@link PovFault} in its details), SIGNATURE_INVALID
 */
export function checkPov(domain: Domain, message: PointOfView, signature: unknown, now?: bigint): { digest: Hex } {
  const pov = povFromJson(povToJson(message), "pov");
  if (now !== undefined) {
    const clock = povClock(pov, now);
    if (clock.outcome !== "accepted") {
      const { outcome, seconds } = clock;
      const reason = outcome === "early" ? "is ahead of the clock" : "is older than seven days";
      fail("pov.timestamp", reason, "clock", { outcome, seconds: String(seconds) });
    }
  }
  const digest = povDigest(domain, pov);
  checkSigner(digest, signature, pov.creator, "creator");
  return { digest };
}

/** The message as bytes: protocol buffers, see `protocol/wire`. @throws POV_INVALID for a message that is none */
export function encodePov(pov: PointOfView): Uint8Array {
  return structToBytes(POV_TYPES, "PointOfView", povFromJson(povToJson(pov), "pov"));
}

/** Reads what {@link encodePov} wrote; no other bytes give a message. @throws POV_INVALID */
export function decodePov(bytes: Uint8Array): PointOfView {
  if (!(bytes instanceof Uint8Array)) throw new AnchorError(CODE, "pov must be bytes", { details: { fault: "type" } });
  if (bytes.length > MAX_POV_BYTES) fail("pov", `has ${bytes.length} bytes, more than ${MAX_POV_BYTES}`, "limit");
  const limit = Math.max(MAX_POV_PARTS, MAX_POV_PROOFS);
  const pov = structFromBytes<PointOfView>(POV_TYPES, "PointOfView", bytes, { code: CODE, path: "pov", limit });
  checkContents(pov, "pov");
  return pov;
}

export function povToJson(pov: PointOfView): Record<string, unknown> {
  return structToJson(POV_TYPES, "PointOfView", pov);
}

/** @throws POV_INVALID */
export function povFromJson(json: unknown, path: string): PointOfView {
  const pov = structFromJson<PointOfView>(POV_TYPES, "PointOfView", json, CODE, path);
  checkContents(pov, path);
  return pov;
}

/** A message with its creator's signature, in a file of its own. */
export interface Submission {
  pov: PointOfView;
  signature: Hex;
}

const FORMAT = "anchorproof/pov@1";

export function submissionToJson({ pov, signature }: Submission): Record<string, unknown> {
  return { format: FORMAT, pov: povToJson(pov), signature };
}

/** @throws POV_INVALID, FORMAT_UNSUPPORTED; whose signature it is says {@link checkPov} */
export function submissionFromJson(json: unknown, path: string): Submission {
  const record = readObject(json, ["format", "pov", "signature"], CODE, path);
  if (record["format"] !== FORMAT) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `${path} is not a submission of format ${FORMAT}`);
  }
  const { signature } = record;
  try {
    assertHex(signature, "signature", 65);
  } catch {
    return fail(`${path}.signature`, "must be 65 bytes of lower-case 0x-hex", "type");
  }
  return { pov: povFromJson(record["pov"], `${path}.pov`), signature };
}

/** Everything that can be said of a message without a clock and without its signature. */
function checkContents(pov: PointOfView, path: string): void {
  const { dataTag, dataType, dataSize, parts, proofs, records, blocks, values } = pov;
  oneOf(dataTag, DATA_TAGS, `${path}.dataTag`);
  oneOf(dataType, DATA_TYPES, `${path}.dataType`);
  for (const name of ["dataRoot", "top", "schema"] as const) {
    if (BigInt(pov[name]) >= R) fail(`${path}.${name}`, "is no element of BN254's scalar field", "value");
  }
  if (BigInt(pov.dataRoot) === 0n) fail(`${path}.dataRoot`, "is zero", "value");
  if (records < 1n) fail(`${path}.records`, "is 0: a dataset has at least one record", "value");
  if (records > MAX_RECORDS) fail(`${path}.records`, "is more than 2^31", "limit");
  if (values > MAX_VALUES || values > records * RECORD_BYTES) {
    fail(`${path}.values`, "is more than 2^20 for each record", "limit");
  }
  // A type of its own has one size; tables and mixtures have values of 1 to 8 bytes.
  const size = DTYPES[dataType];
  if (dataSize < values * (size ?? 1n) || dataSize > values * (size ?? 8n)) {
    fail(`${path}.dataSize`, `is not that of ${values} values of type ${dataType}`, "size");
  }
  // A step of a content has at least a value, and at most as many as fit.
  if (blocks > values || values > blocks * BLOCK_ELEMENTS * (ELEMENT_BYTES / (size ?? 1n))) {
    fail(`${path}.blocks`, `is not the number of steps that ${values} values of type ${dataType} take`, "size");
  }
  if (parts.length > MAX_POV_PARTS) fail(`${path}.parts`, `has more than ${MAX_POV_PARTS} entries`, "limit");
  if (proofs.length > MAX_POV_PROOFS) fail(`${path}.proofs`, `has more than ${MAX_POV_PROOFS} entries`, "limit");
  checkParts(pov, path);
  for (const [i, { kind, digest }] of proofs.entries()) {
    oneOf(kind, PROOF_KINDS, `${path}.proofs[${i}].kind`);
    ascending(i === 0 ? undefined : proofs[i - 1]!.digest, digest, `${path}.proofs[${i}].digest`);
  }
}

function checkParts({ parts, records, dataSize, dataType }: PointOfView, path: string): void {
  let [published, told, next] = [0, 0n, 0n];
  for (const [i, part] of parts.entries()) {
    const at = `${path}.parts[${i}]`;
    checkPart(part, at);
    if (DTYPES[dataType] !== undefined && part.dtype !== dataType) {
      fail(`${at}.dtype`, `is not ${dataType}, the data's`, "value");
    }
    if (i > 0) ascending(parts[i - 1]!.record, part.record, `${at}.record`);
    if (part.record < next) fail(`${at}.record`, "is a record of the part before it", "duplicate");
    next = part.record + recordsOf(part);
    if (next > records) fail(`${at}.record`, `ends behind the last of ${records} records`, "value");
    told += part.size;
    if (told > dataSize) fail(`${at}.size`, "makes the parts larger than the data", "size");
    published += (part.data.length - 2) / 2;
    if (published > MAX_POV_DATA) fail(`${at}.data`, `makes the public data more than ${MAX_POV_DATA} bytes`, "limit");
  }
}

function checkPart({ role, name, dtype, shape, size, digest, data }: PovPart, at: string): void {
  oneOf(role, PART_ROLES, `${at}.role`);
  const { dtypes, ranks } = ROLES[role]!;
  oneOf(dtype, dtypes, `${at}.dtype`);
  // Not well-formed strings have the bytes, and so the digest, of others.
  if (name !== new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8(name))) {
    fail(`${at}.name`, "has half a surrogate pair", "value");
  }
  if (utf8(name).length > MAX_NAME_BYTES) fail(`${at}.name`, `has more than ${MAX_NAME_BYTES} bytes`, "limit");
  if (shape.length < ranks[0] || shape.length > ranks[1]) {
    fail(
      `${at}.shape`,
      `has ${shape.length} dimensions: a part of role ${role} has ${ranks[0]} to ${ranks[1]}`,
      "value",
    );
  }
  if (shape.reduce((product, n) => product * n, DTYPES[dtype]!) !== size) {
    fail(`${at}.size`, "is not the product of the dimensions and the type's size", "size");
  }
  if (data === "0x") {
    if (role === "prompt") fail(`${at}.data`, "is empty: a prompt is public, and its text stands there", "data");
    return;
  }
  const bytes = fromHex(data, "data");
  if (BigInt(bytes.length) !== size) fail(`${at}.data`, `has ${bytes.length} bytes, not ${size}`, "size");
  if (toHex(sha256(bytes)) !== digest) fail(`${at}.digest`, "is not the SHA-256 of the data", "data");
  if (dtype === "text") {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      fail(`${at}.data`, "is not UTF-8", "data");
    }
  }
  if (dtype === "bool" && bytes.some((byte) => byte > 1))
    fail(`${at}.data`, "has a bool that is neither 0 nor 1", "data");
}

/** Records that a part is committed in: what is longer than a record can be takes several. */
function recordsOf({ dtype, size }: PovPart): bigint {
  const whole = RECORD_BYTES / DTYPES[dtype]!;
  const values = size / DTYPES[dtype]!;
  return values === 0n ? 1n : (values + whole - 1n) / whole;
}

function oneOf(value: string, allowed: readonly string[], path: string): void {
  if (!allowed.includes(value)) fail(path, `must be one of ${allowed.join(", ")}`, "value");
}

/** Lists have one order, so that each list has one spelling. */
function ascending<T extends bigint | string>(before: T | undefined, value: T, path: string): void {
  if (before === undefined || before < value) return;
  if (before === value) fail(path, "is that of the entry before it", "duplicate");
  fail(path, "does not ascend", "order");
}

function fail(path: string, reason: string, fault: PovFault, details: Record<string, unknown> = {}): never {
  throw new AnchorError(CODE, `${path} ${reason}`, { details: { path, fault, ...details } });
}
