/**
 * POV ("point of view"): a creator's submission of data to the protocol, as a typed message.
 *
 * LazAI documents the fields data_hash, data_tag, data_type, data_size, data, timestamp and proof, with the field
 * number 2 given twice. Here they are an EIP-712 struct, so numbers do not matter; the data itself stays off chain and
 * is replaced by its commitment.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { type Domain, structFromJson, structToJson, type TypeTable, typedDigest } from "./eip712.js";
import { checkSigner } from "./signature.js";

/** What LazAI's documentation lists for `data_tag`. */
export const DATA_TAGS = ["LLM weight", "dataset metadata", "user info", "inference prompt"] as const;

export interface PointOfView {
  creator: Hex;
  /** SHA-256 of the canonical stream: what LazAI's DataRegistry stores. Unproven: see `dataset/commitment`. */
  dataHash: Hex;
  dataTag: string;
  /** Element type, a dtype of `dataset/record`. */
  dataType: string;
  /** Bytes of the canonical stream. */
  dataSize: bigint;
  /** Unix seconds. */
  timestamp: bigint;
  /** Root of the dataset commitment. */
  dataRoot: Hex;
  records: bigint;
  elements: bigint;
}

export const POV_TYPES: TypeTable = {
  PointOfView: [
    { name: "creator", type: "address" },
    { name: "dataHash", type: "bytes32" },
    { name: "dataTag", type: "string" },
    { name: "dataType", type: "string" },
    { name: "dataSize", type: "uint64" },
    { name: "timestamp", type: "uint64" },
    { name: "dataRoot", type: "bytes32" },
    { name: "records", type: "uint64" },
    { name: "elements", type: "uint64" },
  ],
};

/** How far a submission's clock may be ahead of the verifier's, and how old it may be, in seconds. */
export const CLOCK_RULE = { ahead: 300n, age: 7n * 86_400n } as const;

const DTYPES = ["bytes", "text", "u8", "i8", "i16", "i32", "i64", "f16", "f32", "f64"];

export function povDigest(domain: Domain, pov: PointOfView): Hex {
  return typedDigest(domain, POV_TYPES, "PointOfView", pov);
}

/**
 * Checks a submission's rules and its creator's signature.
 *
 * @param now Unix seconds; without it the clock rule is not checked (old bundles stay valid)
 * @throws POV_INVALID, SIGNATURE_INVALID
 */
export function checkPov(domain: Domain, pov: PointOfView, signature: unknown, now?: bigint): { digest: Hex } {
  const fail = (reason: string): never => {
    throw new AnchorError("POV_INVALID", `the POV submission is refused: ${reason}`);
  };
  if (!(DATA_TAGS as readonly string[]).includes(pov.dataTag)) fail(`data tag is one of ${DATA_TAGS.join(", ")}`);
  if (!DTYPES.includes(pov.dataType)) fail(`data type is one of ${DTYPES.join(", ")}`);
  if (pov.records < 1n || pov.elements < pov.records) fail("it has at least one record, and one element a record");
  if (pov.dataSize !== 31n * pov.elements) fail("data size is 31 bytes an element");
  if (now !== undefined) {
    if (pov.timestamp > now + CLOCK_RULE.ahead) fail("its clock is ahead");
    if (pov.timestamp + CLOCK_RULE.age < now) fail("it is older than seven days");
  }
  const digest = povDigest(domain, pov);
  checkSigner(digest, signature, pov.creator, "creator");
  return { digest };
}

export function povToJson(pov: PointOfView): Record<string, unknown> {
  return structToJson(POV_TYPES, "PointOfView", pov);
}

/** @throws POV_INVALID */
export function povFromJson(json: unknown, path: string): PointOfView {
  return structFromJson<PointOfView>(POV_TYPES, "PointOfView", json, "POV_INVALID", path);
}
