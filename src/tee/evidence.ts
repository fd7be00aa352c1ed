/**
 * Evidence of every family, as verification takes it. Files and messages that hold it in one of many wrappings are read
 * by `recognise.ts`.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { type Hex, toHex, utf8 } from "../field/bytes.js";
import { canonicalJson } from "../protocol/document.js";

/** An SGX or TDX quote, with or without padding behind it. */
export interface QuoteEvidence {
  kind: "intel";
  quote: Uint8Array;
}

export interface SnpEvidence {
  kind: "snp";
  report: Uint8Array;
  /** DER certificates that came along, as in an extended report: VCEK or VLEK, and what signs it. In any order. */
  certificates?: readonly Uint8Array[];
}

export interface NitroEvidence {
  kind: "nitro";
  /** COSE_Sign1. */
  document: Uint8Array;
}

/** A GPU's or a switch's. */
export interface NvidiaEvidence {
  kind: "nvidia";
  /** SPDM request and response as one. */
  report: Uint8Array;
  /** DER, leaf first. */
  certificates: readonly Uint8Array[];
}

/** An answer of NVIDIA's remote attestation service. */
export interface NrasEvidence {
  kind: "nras";
  /** Compact JWS over all devices. */
  overall: string;
  /** Compact JWS by device, such as `GPU-0`. */
  devices: Readonly<Record<string, string>>;
}

/** Azure's: a TPM quote by a key that the paravisor's SNP report or TD quote vouches for. */
export interface VtpmEvidence {
  kind: "azure-vtpm";
  /** `HCLA`, header, report and runtime data. */
  hclReport: Uint8Array;
  /** TPMS_ATTEST. */
  message: Uint8Array;
  /** RSASSA-PKCS1-v1_5, the bare signature. */
  signature: Uint8Array;
  /** SHA-256 PCRs 0 to 23. */
  pcrs: readonly Uint8Array[];
  /** DER: VCEK and what signs it, for SNP. */
  certificates?: readonly Uint8Array[];
  /** For TDX: the quote that the host made of the TDREPORT. */
  quote?: Uint8Array;
}

/** CBOR tag 399: platform and realm token. */
export interface CcaEvidence {
  kind: "cca";
  token: Uint8Array;
}

export type Evidence =
  | QuoteEvidence
  | SnpEvidence
  | NitroEvidence
  | NvidiaEvidence
  | NrasEvidence
  | VtpmEvidence
  | CcaEvidence;

export type EvidenceKind = Evidence["kind"];

/** What was measured into the runtime registers, in order; it is believed only as far as it replays to them. */
export interface EventLog {
  /** `dstack`: JSON, events of register 3 carry their payload. `ccel`: the TCG's binary log in a CCEL table. */
  format: "dstack" | "ccel";
  /** UTF-8 of the JSON array, or the table's data. */
  log: Uint8Array;
}

/** One machine's evidence: its CPU's, that of the devices on it, and what was measured at run time. */
export interface Composite {
  cpu: Evidence;
  devices: readonly NvidiaEvidence[];
  /** Tokens of a service about the devices, beside or instead of their own evidence. */
  tokens: readonly NrasEvidence[];
  eventLog?: EventLog;
}

type Shape = "bytes" | "list" | "text" | "texts" | "bytes?" | "list?";

/** What each kind has, for callers without types. Empty bytes are none. */
const SHAPES: Record<EvidenceKind, Record<string, Shape>> = {
  intel: { quote: "bytes" },
  snp: { report: "bytes", certificates: "list?" },
  nitro: { document: "bytes" },
  nvidia: { report: "bytes", certificates: "list" },
  nras: { overall: "text", devices: "texts" },
  "azure-vtpm": {
    hclReport: "bytes",
    message: "bytes",
    signature: "bytes",
    pcrs: "list",
    certificates: "list?",
    quote: "bytes?",
  },
  cca: { token: "bytes" },
};

const isBytes = (value: unknown) => value instanceof Uint8Array && value.length > 0;
const isText = (value: unknown) => typeof value === "string";
const FITS: Record<"bytes" | "list" | "text" | "texts", (value: unknown) => boolean> = {
  bytes: isBytes,
  list: (value) => Array.isArray(value) && value.every(isBytes),
  text: isText,
  texts: (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isText),
};

function requireShape(evidence: unknown): void {
  const kind = typeof evidence === "object" && evidence !== null && "kind" in evidence ? evidence.kind : undefined;
  if (typeof kind !== "string" || !Object.hasOwn(SHAPES, kind)) {
    throw new AnchorError("EVIDENCE_UNKNOWN", "this is no evidence of a family that is known here");
  }
  for (const [name, shape] of Object.entries(SHAPES[kind as EvidenceKind])) {
    const value = (evidence as Record<string, unknown>)[name];
    if (value === undefined && shape.endsWith("?")) continue;
    const expected = shape.replace("?", "") as keyof typeof FITS;
    if (!FITS[expected](value)) {
      const words = { bytes: "bytes", list: "a list of bytes", text: "a text", texts: "texts by name" }[expected];
      throw new AnchorError("EVIDENCE_MALFORMED", `${name} of the evidence must be ${words}, and not empty`);
    }
  }
}

/**
 * What the digest of evidence is taken over: the vendor's own bytes where it is one piece, else canonical JSON of its parts.
 *
 * @throws EVIDENCE_UNKNOWN, EVIDENCE_MALFORMED for what a caller without types might pass
 */
export function evidenceBytes(evidence: Evidence): Uint8Array {
  requireShape(evidence);
  switch (evidence.kind) {
    case "intel":
      return evidence.quote;
    case "nitro":
      return evidence.document;
    case "cca":
      return evidence.token;
    case "snp":
      // Certificates beside a report are collateral that happens to travel along.
      return evidence.report;
    default:
      return utf8(canonicalJson(hexed(evidence)));
  }
}

/** Bytes as 0x-hex, all the way down. */
function hexed(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value) satisfies Hex;
  if (Array.isArray(value)) return value.map(hexed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, hexed(item)]));
}
