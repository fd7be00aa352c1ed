/**
 * A link to SHA-256: "the data of the record behind this digest has this SHA-256".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { AnchorError } from "../errors.js";
import { bytesToBigInt } from "../field/scalar.js";
import { SHA256_BLOCKS, type Sha256Request, type Sha256Shape, sha256Capacity } from "./circuit/sha256.js";
import type { OpenDataset } from "./dataset.js";
import { type Description, digestDescription } from "./layout.js";
import { DTYPES } from "./record.js";

/** What a verifier knows of a link. */
export interface Sha256Claim {
  /** Digest of the record's description, as in its opening. */
  readonly record: bigint;
  readonly sha256: Uint8Array;
  /** Bytes. */
  readonly length: number;
}

/**
 * The public signals of a link, but for the context.
 *
 * @throws STATEMENT_INVALID
 */
export function sha256Signals({ record, sha256, length }: Sha256Claim): bigint[] {
  if (sha256.length !== 32 || !Number.isSafeInteger(length) || length < 0) {
    throw new AnchorError("STATEMENT_INVALID", "a SHA-256 has 32 bytes, and a length is a number of bytes");
  }
  return [record, bytesToBigInt(sha256.subarray(0, 16)), bytesToBigInt(sha256.subarray(16)), BigInt(length)];
}

/**
 * The request for one record of a dataset, and the smallest circuit that takes it.
 *
 * @param salt of the record's digest; the same as in its opening
 * @throws DATASET_RECORD_UNKNOWN, CLAIM_INVALID for a record that is no whole object of bytes, INPUT_TOO_LARGE
 */
export function planSha256(
  dataset: OpenDataset,
  index: number,
  salt: bigint,
): { spec: { kind: "sha256" } & Sha256Shape; claim: Sha256Claim; request: Omit<Sha256Request, "context"> } {
  const [description] = dataset.descriptions(index, 1) as [Description];
  const { data, dtype, parts = 1 } = dataset.record(index);
  if (!BYTE_TYPES.has(DTYPES[dtype].code) || parts !== 1) {
    const message =
      "a link to SHA-256 is of bytes, text or u8, in one part: the digest of numbers is that of their file";
    throw new AnchorError("CLAIM_INVALID", message);
  }
  const blocks = SHA256_BLOCKS.find((size) => sha256Capacity(size) >= data.length);
  if (blocks === undefined) {
    const most = sha256Capacity(SHA256_BLOCKS.at(-1)!);
    throw new AnchorError("INPUT_TOO_LARGE", `a link to SHA-256 is for at most ${most} bytes, not ${data.length}`);
  }
  const record = digestDescription(description, salt);
  const sha256 = new Uint8Array(createHash("sha256").update(data).digest());
  return {
    spec: { kind: "sha256", blocks },
    claim: { record, sha256, length: data.length },
    request: { record, description, salt, data },
  };
}

const BYTE_TYPES = new Set<number>([DTYPES.bytes.code, DTYPES.text.code, DTYPES.u8.code]);
