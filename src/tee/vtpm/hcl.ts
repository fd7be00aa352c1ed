/**
 * Azure's HCL report: what the paravisor ("host compatibility layer") under a confidential guest hands out from its vTPM, at NV
 * index 0x01400001.
 *
 *     header         32     "HCLA", version, size of the report, type of request, status, 12 bytes reserved
 *     hardware     1184     SNP report, or TDREPORT (1024) and zeros
 *     request        20     size, version, type of the hardware report (2 SNP, 4 TDX), hash algorithm, size of the runtime data
 *     runtime data          JSON, whose hash is the hardware report's report data
 *     zeros                 to the size of the NV index
 *
 * All integers are little-endian. Nothing signs the header and the request's fields; each has one value that it can have.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { demand } from "../context.js";
import { ByteReader, equalBytes, isZero } from "../read/bytes.js";
import { isJsonObject, type Json, type JsonObject, readJsonObject } from "../read/json.js";

export interface HclReport {
  kind: "snp" | "tdx";
  version: number;
  /** An SNP report of 1184 bytes, or a TDREPORT of 1024. */
  hardware: Uint8Array;
  hash: "sha256" | "sha384" | "sha512";
  /** As hashed. */
  runtimeBytes: Uint8Array;
  runtimeData: JsonObject;
}

const REPORT = 1184;
const TDREPORT = 1024;
const HEADER = 32;
const REQUEST = 20;
/** Far above the 64 KiB that an NV index could hold. */
const MAX_HCL = 128 * 1024;
const HASHES = { 1: "sha256", 2: "sha384", 3: "sha512" } as const;

/** @throws EVIDENCE_MALFORMED; UNSUPPORTED_REPORT_VERSION */
export function parseHclReport(bytes: Uint8Array): HclReport {
  demand(bytes.length <= MAX_HCL, "EVIDENCE_MALFORMED", `an HCL report of ${bytes.length} bytes`);
  const reader = new ByteReader(bytes);
  const magic = Buffer.from(reader.take(4, "the magic of the HCL report")).toString("latin1");
  demand(magic === "HCLA", "EVIDENCE_MALFORMED", "the HCL report does not begin with HCLA");
  const version = reader.u32le("the version of the HCL report");
  if (version !== 1 && version !== 2) {
    throw new AnchorError("UNSUPPORTED_REPORT_VERSION", `an HCL report of version ${version}; 1 and 2 are supported`);
  }
  const size = reader.u32le("the size of the HCL report");
  expectField(reader.u32le("the type of the request"), 2, "the type of the HCL report's request");
  expectField(reader.u32le("the status of the request"), 0, "the status of the HCL report's request");
  demand(
    isZero(reader.take(12, "reserved bytes")),
    "EVIDENCE_MALFORMED",
    "reserved bytes of the HCL report's header are not zero",
  );
  const hardware = reader.take(REPORT, "the hardware report");
  const requestSize = reader.u32le("the size of the request data");
  expectField(reader.u32le("the version of the request data"), 1, "the version of the HCL report's request data");
  const type = reader.u32le("the type of the hardware report");
  const hash = HASHES[reader.u32le("the hash algorithm of the runtime data") as keyof typeof HASHES] as
    | HclReport["hash"]
    | undefined;
  demand(
    hash !== undefined,
    "EVIDENCE_MALFORMED",
    "the HCL report names a hash algorithm that is none of SHA-256, SHA-384 and SHA-512",
  );
  const length = reader.u32le("the size of the runtime data");
  expectField(requestSize, REQUEST + length, "the size of the HCL report's request data");
  expectField(size, HEADER + REPORT + requestSize, "the size that the HCL report has by its header");
  const runtimeBytes = reader.take(length, "the runtime data");
  demand(isZero(reader.rest()), "EVIDENCE_MALFORMED", "the HCL report is followed by something else than zeros");
  const kind = type === 2 ? "snp" : type === 4 ? "tdx" : undefined;
  demand(
    kind !== undefined,
    "EVIDENCE_MALFORMED",
    `the HCL report holds a hardware report of type ${type}, neither SNP (2) nor TDX (4)`,
  );
  if (kind === "tdx") {
    demand(
      isZero(hardware.subarray(TDREPORT)),
      "EVIDENCE_MALFORMED",
      "the TDREPORT is followed by something else than zeros",
    );
  }
  return {
    kind,
    version,
    hardware: kind === "tdx" ? hardware.subarray(0, TDREPORT) : hardware,
    hash,
    runtimeBytes,
    runtimeData: readRuntimeData(runtimeBytes),
  };
}

function expectField(value: number, expected: number, what: string): void {
  demand(value === expected, "EVIDENCE_MALFORMED", `${what} is ${value} instead of ${expected}`);
}

function readRuntimeData(bytes: Uint8Array): JsonObject {
  const options = { code: "EVIDENCE_MALFORMED", what: "the HCL report's runtime data", maxDepth: 8 } as const;
  const data = readJsonObject(bytes, options);
  requirePlain(data);
  return data;
}

/** Claims hold whole numbers only: others have more than one spelling. */
function requirePlain(value: Json): void {
  if (typeof value === "number") {
    demand(
      Number.isSafeInteger(value),
      "EVIDENCE_MALFORMED",
      `the HCL report's runtime data holds ${value}, which is no whole number`,
    );
  } else if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) requirePlain(item);
  }
}

/** Whether a report's 64 bytes of data are the hash of the runtime data, and nothing more. */
export function isHashOfRuntimeData({ hash, runtimeBytes }: HclReport, reportData: Uint8Array): boolean {
  const digest = new Uint8Array(createHash(hash).update(runtimeBytes).digest());
  return equalBytes(reportData.subarray(0, digest.length), digest) && isZero(reportData.subarray(digest.length));
}

/** Name of the vTPM's attestation key among the keys of the runtime data. */
const AK = "HCLAkPub";

/**
 * The vTPM's attestation key, a JWK of the runtime data: RSA of 2048 bits or more, or on P-256.
 *
 * @throws EVIDENCE_MALFORMED
 */
export function attestationKey({ keys }: JsonObject): KeyObject {
  const named = Array.isArray(keys) ? keys.filter(isJsonObject).filter(({ kid }) => kid === AK) : [];
  demand(named.length === 1, "EVIDENCE_MALFORMED", `the runtime data has ${named.length} keys ${AK} instead of one`);
  const { kty, crv, n, e, x, y, key_ops: uses } = named[0]!;
  demand(
    uses === undefined || (Array.isArray(uses) && uses.includes("sign")),
    "EVIDENCE_MALFORMED",
    `the key ${AK} is not for signing`,
  );
  if (kty === "RSA") {
    const modulus = base64url(n, "the modulus");
    const exponent = base64url(e, "the exponent");
    demand(modulus[0] !== 0, "EVIDENCE_MALFORMED", `the modulus of the key ${AK} begins with a zero`);
    const bits = 8 * modulus.length - Math.clz32(modulus[0]!) + 24;
    demand(
      bits >= 2048 && bits <= 8192,
      "EVIDENCE_MALFORMED",
      `the key ${AK} has ${bits} bits; 2048 to 8192 are supported`,
    );
    // TPMs make keys with 65537 and let nobody choose.
    demand(
      equalBytes(exponent, Uint8Array.of(1, 0, 1)),
      "EVIDENCE_MALFORMED",
      `the key ${AK} has another exponent than 65537`,
    );
    return importKey({ kty, n: n as string, e: e as string });
  }
  demand(kty === "EC" && crv === "P-256", "EVIDENCE_MALFORMED", `the key ${AK} is neither RSA nor on P-256`);
  base64url(x, "a coordinate");
  base64url(y, "a coordinate");
  return importKey({ kty, crv, x: x as string, y: y as string });
}

/** Unsigned, big-endian, of the shortest spelling (RFC 7518, 2). */
function base64url(value: Json | undefined, what: string): Uint8Array {
  const bytes = typeof value === "string" ? new Uint8Array(Buffer.from(value, "base64url")) : new Uint8Array();
  demand(
    bytes.length > 0 && Buffer.from(bytes).toString("base64url") === value,
    "EVIDENCE_MALFORMED",
    `${what} of the key ${AK} is not base64url`,
  );
  return bytes;
}

function importKey(jwk: { kty: string } & Record<string, string>): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: "jwk" });
  } catch (cause) {
    throw new AnchorError("EVIDENCE_MALFORMED", `the key ${AK} is no public key`, { cause });
  }
}
