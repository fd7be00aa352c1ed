/**
 * The attestation document of an AWS Nitro enclave: a map in CBOR, signed as COSE_Sign1.
 *
 * The format is AWS's "Nitro Enclaves Attestation Process", section 2.2. Where its text and its grammar differ, the text counts,
 * which is what the security module of an enclave keeps to: 512 bytes at most of user data and of nonce, not 1024.
 *
 * @module
 */
import { demand, END_OF_TIME } from "../context.js";
import { parseSign1, type Sign1 } from "../cose.js";
import { type Cbor, type CborMap, quoted, readCbor } from "../read/cbor.js";

const CODE = "EVIDENCE_MALFORMED";

/** Bytes of a SHA-384 digest, the only one that documents are made with. */
const PCR_BYTES = 48;
const MAX_PCR = 31;
const MAX_PAYLOAD = 16384;
const MAX_CERTIFICATE = 1024;
const MAX_PUBLIC_KEY = 1024;
const MAX_USER_DATA = 512;
/** Of the module's name, which is an instance and an enclave id: far more than it ever takes. */
const MAX_MODULE_ID = 1024;

/** PCRs that measure what was started: image, kernel and boot, application. Every document has them. */
export const BOOT_PCRS = [0, 1, 2] as const;

export interface NitroDocument {
  moduleId: string;
  /** Milliseconds since 1970. */
  timestamp: number;
  digest: "SHA384";
  /** By index, ascending. */
  pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER: the leaf. */
  certificate: Uint8Array;
  /** DER: the root first, then down to the issuer of the leaf. */
  cabundle: readonly Uint8Array[];
  publicKey?: Uint8Array;
  userData?: Uint8Array;
  nonce?: Uint8Array;
  /** Fields that the specification does not name, in their order. They are signed, and mean nothing here. */
  unknownFields: string[];
  message: Sign1;
}

const FIELDS = [
  "module_id",
  "timestamp",
  "digest",
  "pcrs",
  "certificate",
  "cabundle",
  "public_key",
  "user_data",
  "nonce",
];

/** Lays a document out; nothing in it is authentic yet. @throws EVIDENCE_MALFORMED, COSE_HEADER */
export function parseNitroDocument(bytes: Uint8Array): NitroDocument {
  const message = parseSign1(bytes, { what: "the document", algorithms: ["ES384"], maxPayload: MAX_PAYLOAD });
  // Since 2025 AWS writes the map without its length.
  const payload = readCbor(message.payload, { code: CODE, indefinite: true });
  demand(payload instanceof Map, CODE, "the payload of the document is no map");
  const fields: CborMap = payload;
  const names = [...fields.keys()];
  demand(
    names.every((name) => typeof name === "string"),
    CODE,
    "a field of the document has a number for its name",
  );
  const moduleId = fields.get("module_id");
  demand(typeof moduleId === "string", CODE, missing("module_id", "a text", moduleId));
  demand(
    moduleId.length > 0 && moduleId.length <= MAX_MODULE_ID,
    CODE,
    `module_id of the document has ${moduleId.length} characters instead of 1 to ${MAX_MODULE_ID}`,
  );
  const digest = fields.get("digest");
  demand(digest === "SHA384", CODE, missing("digest", '"SHA384"', digest));
  const timestamp = fields.get("timestamp");
  demand(
    typeof timestamp === "number" && timestamp > 0 && timestamp <= 1000 * END_OF_TIME,
    CODE,
    missing("timestamp", "a positive number of milliseconds before the year 10000", timestamp),
  );
  const cabundle = fields.get("cabundle");
  demand(Array.isArray(cabundle), CODE, missing("cabundle", "an array", cabundle));
  const publicKey = optional(fields, "public_key", 1, MAX_PUBLIC_KEY);
  const userData = optional(fields, "user_data", 0, MAX_USER_DATA);
  const nonce = optional(fields, "nonce", 0, MAX_USER_DATA);
  return {
    moduleId,
    timestamp,
    digest,
    pcrs: readPcrs(fields.get("pcrs")),
    certificate: sized(fields.get("certificate"), "certificate", 1, MAX_CERTIFICATE),
    cabundle: (cabundle as Cbor[]).map((item, i) => sized(item, `cabundle[${i}]`, 1, MAX_CERTIFICATE)),
    ...(publicKey ? { publicKey } : {}),
    ...(userData ? { userData } : {}),
    ...(nonce ? { nonce } : {}),
    unknownFields: (names as string[]).filter((name) => !FIELDS.includes(name)),
    message,
  };
}

function readPcrs(value: Cbor | undefined): Map<number, Uint8Array> {
  demand(value instanceof Map, CODE, missing("pcrs", "a map", value));
  const entries = [...(value as CborMap)].map(([index, pcr]): [number, Uint8Array] => {
    demand(
      typeof index === "number" && index >= 0 && index <= MAX_PCR,
      CODE,
      `a PCR has the index ${quoted(index)} instead of 0 to ${MAX_PCR}`,
    );
    return [index, sized(pcr, `PCR ${index}`, PCR_BYTES, PCR_BYTES)];
  });
  const pcrs = new Map(entries.sort(([a], [b]) => a - b));
  for (const index of BOOT_PCRS) demand(pcrs.has(index), CODE, `the document lacks PCR ${index}`);
  return pcrs;
}

/** A field that may be absent or null. */
function optional(fields: CborMap, name: string, least: number, most: number): Uint8Array | undefined {
  const value = fields.get(name) ?? null;
  return value === null ? undefined : sized(value, name, least, most);
}

function sized(value: Cbor | undefined, name: string, least: number, most: number): Uint8Array {
  demand(value instanceof Uint8Array, CODE, missing(name, "a byte string", value));
  demand(
    value.length >= least && value.length <= most,
    CODE,
    `${name} of the document has ${value.length} bytes instead of ${least === most ? least : `${least} to ${most}`}`,
  );
  return value;
}

function missing(name: string, wanted: string, value: Cbor | undefined): string {
  return value === undefined || value === null
    ? `the document lacks ${name}`
    : `${name} of the document is not ${wanted}`;
}
