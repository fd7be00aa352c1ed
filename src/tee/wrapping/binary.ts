/**
 * Evidence by its first bytes. Only enough is read to tell the kind: whether the rest is as it should be is for the
 * family's parser, which says better what is wrong.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { Evidence } from "../evidence.js";
import { isZero } from "../read/bytes.js";
import { isCertificate, isDerSequence } from "./encoding.js";
import { noParts, type Parts } from "./parts.js";

const INTEL_QE_VENDOR = "939a7233f79c4ca9940a0db3957f0607";
const SNP_REPORT = 1184;
/** GUIDs of the certificates that a host hands to SNP guests, bytes as the table has them. */
const SNP_TABLE_GUIDS: readonly string[] = [
  "c0b406a4a803495297433fb6014cd0ae",
  "4ab7b379bbac4fe4a02f05aef327c782",
  "63da758de6644564adc5f4b93be8accd",
  "a8074bc2a25a483eaae639c045a0b8a1",
  "92f81bc358114d3d97ffd19f88dc67ea",
];

/** `undefined` where the first bytes are those of no kind of evidence. @throws EVIDENCE_UNKNOWN for half of one */
export function partsOfBytes(bytes: Uint8Array): Parts | undefined {
  const parts = noParts();
  if (isQuote(bytes)) {
    const version = view(bytes).getUint16(0, true);
    const tee = view(bytes).getUint32(4, true) === 0x81 ? "TDX" : "SGX";
    return { ...parts, cpu: { kind: "intel", quote: bytes }, how: [`${tee} quote, version ${version}`] };
  }
  if (isSnpReport(bytes)) return snp(parts, bytes);
  // What the guest's device answers with: status 0, the report's size, 24 bytes of nothing.
  if (bytes.length >= 32 + SNP_REPORT && view(bytes).getUint32(4, true) === SNP_REPORT) {
    const report = bytes.subarray(32, 32 + SNP_REPORT);
    if (view(bytes).getUint32(0, true) === 0 && isZero(bytes.subarray(8, 32)) && isSnpReport(report)) {
      const rest = bytes.subarray(32 + SNP_REPORT);
      if (isZero(rest)) return snp({ ...parts, how: ["answer of /dev/sev-guest"] }, report);
    }
  }
  const table = snpTable(bytes);
  if (table) return { ...parts, certificates: table, how: ["SNP certificate table"] };
  if (isCoseSign1(bytes)) {
    return { ...parts, cpu: { kind: "nitro", document: bytes }, how: ["COSE_Sign1, taken for a Nitro document"] };
  }
  if (bytes.length > 39 && bytes[0] === 0x11 && bytes[1] === 0xe0 && bytes[37] === 0x11 && bytes[38] === 0x60) {
    return {
      ...parts,
      devices: [{ kind: "nvidia", report: bytes, certificates: [] }],
      how: ["SPDM request and measurements of an NVIDIA device"],
    };
  }
  const tag = bytes[0] === 0xd9 && bytes.length > 3 ? view(bytes).getUint16(1) : 0;
  if (tag === 399 || tag === 907) {
    return { ...parts, cpu: { kind: "cca", token: bytes }, how: [`CCA token (CBOR tag ${tag})`] };
  }
  if (isCcel(bytes)) {
    return { ...parts, eventLog: { format: "ccel", log: bytes }, how: ["TCG event log, as a CCEL table points to"] };
  }
  if (startsWith(bytes, "HCLA")) return hcl(parts, bytes);
  if (isCertificate(bytes)) return { ...parts, certificates: [bytes], how: ["DER certificate"] };
  return undefined;
}

/** By the vendor's number, or by version and kind of TEE, so that a fault in either still gets a precise message. */
function isQuote(bytes: Uint8Array): boolean {
  if (bytes.length < 48) return false;
  const version = view(bytes).getUint16(0, true);
  const tee = view(bytes).getUint32(4, true);
  if (Buffer.from(bytes.subarray(12, 28)).toString("hex") === INTEL_QE_VENDOR) return version > 0 && version < 256;
  const keyType = view(bytes).getUint16(2, true);
  return version >= 3 && version <= 5 && (keyType === 2 || keyType === 3) && (tee === 0 || tee === 0x81);
}

function isSnpReport(bytes: Uint8Array): boolean {
  if (bytes.length < 0x38) return false;
  const version = view(bytes).getUint32(0, true);
  const algorithm = view(bytes).getUint32(0x34, true);
  if (version < 1 || version > 15) return false;
  return algorithm === 1 || (bytes.length === SNP_REPORT && version >= 2 && version <= 5);
}

/** A report alone, or an extended one: with the host's table of certificates behind it. */
function snp(parts: Parts, bytes: Uint8Array): Parts {
  const version = view(bytes).getUint32(0, true);
  const certificates = bytes.length > SNP_REPORT ? snpTable(bytes.subarray(SNP_REPORT)) : undefined;
  const report = certificates ? bytes.subarray(0, SNP_REPORT) : bytes;
  const how = `SNP report, version ${version}${certificates ? `, with a table of ${certificates.length} certificates` : ""}`;
  const cpu: Evidence = { kind: "snp", report, ...(certificates?.length ? { certificates } : {}) };
  return { ...parts, cpu, how: [...parts.how, how] };
}

/**
 * Certificates of the table that hosts hand out (GHCB, 4.1.8.1): entries of GUID, offset and length, up to one of zeros.
 * Only what is DER counts; a table holds at most as many entries as fit in front of the first certificate.
 */
function snpTable(bytes: Uint8Array): Uint8Array[] | undefined {
  const entry = 24;
  if (bytes.length < 2 * entry) return undefined;
  const certificates: Uint8Array[] = [];
  for (let at = 0; at + entry <= bytes.length && at < 16 * entry; at += entry) {
    const guid = bytes.subarray(at, at + 16);
    if (isZero(guid)) return at === 0 ? undefined : certificates;
    if (at === 0 && !SNP_TABLE_GUIDS.some((known) => known === hex(guid) || known === hex(mixedEndian(guid)))) {
      return undefined;
    }
    const offset = view(bytes).getUint32(at + 16, true);
    const length = view(bytes).getUint32(at + 20, true);
    if (offset + length > bytes.length) return undefined;
    const der = bytes.subarray(offset, offset + length);
    if (isDerSequence(der)) certificates.push(der);
  }
  return undefined;
}

/** The order in which UEFI writes a GUID's first three fields. */
function mixedEndian(guid: Uint8Array): Uint8Array {
  return Uint8Array.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15], (i) => guid[i]!);
}

/** An array of four whose first item is a byte string, with tag 18 or without. */
function isCoseSign1(bytes: Uint8Array): boolean {
  const at = bytes[0] === 0xd2 ? 1 : 0;
  const array = bytes[at] === 0x84 || bytes[at] === 0x9f;
  const header = bytes[at + 1] ?? 0;
  return array && bytes.length > 64 && header >= 0x40 && header <= 0x5b;
}

/** The first event has the old format with SHA-1: register, EV_NO_ACTION, 20 bytes of zeros, and this signature. */
function isCcel(bytes: Uint8Array): boolean {
  return bytes.length > 48 && view(bytes).getUint32(4, true) === 3 && startsWith(bytes.subarray(32), "Spec ID Event03");
}

/** A paravisor's report without the TPM quote that speaks for the guest. */
function hcl(parts: Parts, bytes: Uint8Array): Parts {
  const report = bytes.subarray(32, 32 + SNP_REPORT);
  if (report.length < SNP_REPORT || !isSnpReport(report)) {
    throw new AnchorError(
      "EVIDENCE_UNKNOWN",
      "an HCL report of a TD holds no signature: give the JSON with the TPM quote and the TD quote that belong to it",
    );
  }
  const how = [
    "HCL report",
    "the SNP report in it: the paravisor's, since no TPM quote is there that would speak for the guest",
  ];
  return { ...parts, cpu: { kind: "snp", report }, how };
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return bytes.length >= text.length && [...text].every((character, i) => bytes[i] === character.charCodeAt(0));
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
