/**
 * dstack's own encoding of an attestation, in both versions: SCALE (version 0) and MessagePack (version 1).
 *
 *     version 0: 00 ‖ kind ‖ kind's fields ‖ runtime events ‖ report data (64) ‖ configuration
 *     kinds: 0 TDX (quote, event log) · 1 TDX on Google Cloud (the same, a TPM quote) · 2 Nitro (document)
 *            3 SNP (report, certificates, configuration) · 4 NitroTPM (document)
 *
 * Lengths are SCALE's compact integers. In the form that is sent around, the log is stripped: events of register 3 have
 * their payload and no digest, which follows from it.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { toHex, utf8 } from "../../field/bytes.js";
import { ByteReader } from "../read/bytes.js";
import { bytesOf, certificatesOf, textOf } from "./encoding.js";
import { noParts, type Parts } from "./parts.js";

const CODE = "EVIDENCE_MALFORMED";
/** Far more than a machine logs; each takes 11 bytes at least. */
const MAX_EVENTS = 65536;

/** Whether bytes begin as version 0 does. Version 0 of SCALE has no mark of its own, so the quote's is looked at too. */
export function isDstackScale(bytes: Uint8Array): boolean {
  if (bytes.length < 80 || bytes[0] !== 0 || bytes[1]! > 4) return false;
  try {
    const reader = new ByteReader(bytes.subarray(2));
    const length = compact(reader);
    if (length < 48 || length > reader.remaining) return false;
    const first = reader.take(2, "the first bytes");
    if (bytes[1]! <= 1) return first[0]! >= 3 && first[0]! <= 5 && first[1] === 0;
    return bytes[1] === 3
      ? first[0]! >= 2 && first[0]! <= 15 && first[1] === 0
      : first[0] === 0x84 || first[0] === 0xd2;
  } catch {
    return false;
  }
}

/** @throws EVIDENCE_MALFORMED, TRAILING_DATA */
export function readDstackScale(bytes: Uint8Array): Parts {
  const reader = new ByteReader(bytes, CODE);
  reader.skip(1, "the version");
  const kind = reader.u8("the kind of an attestation");
  const parts = noParts();
  if (kind === 0 || kind === 1) {
    parts.cpu = { kind: "intel", quote: vector(reader, "the quote") };
    const events = list(reader, "the event log", (each) => ({
      imr: each.u32le("a register"),
      event_type: each.u32le("an event's type"),
      digest: hexText(vector(each, "an event's digest")),
      event: text(each, "an event's name"),
      event_payload: hexText(vector(each, "an event's payload")),
    }));
    parts.eventLog = { format: "dstack", log: utf8(JSON.stringify(events)) };
    parts.how.push(`dstack attestation, version 0, of a TD: quote and ${events.length} events`);
    if (kind === 1) {
      parts.how.push("the TPM quote of the Google Cloud machine behind it is not looked at");
      return parts;
    }
  } else if (kind === 2 || kind === 4) {
    const document = vector(reader, "the document");
    parts.cpu = { kind: "nitro", document: kind === 2 ? nsmDocument(document) : document };
    parts.how.push(`dstack attestation, version 0, of a ${kind === 2 ? "Nitro enclave" : "NitroTPM"}`);
  } else if (kind === 3) {
    const report = vector(reader, "the report");
    const chain = list(reader, "the certificates", (each) => vector(each, "a certificate"));
    const certificates = chain.flatMap((each) => certificatesOf(each));
    parts.cpu = { kind: "snp", report, ...(certificates.length > 0 ? { certificates } : {}) };
    parts.hints.fields["mr_config"] = text(reader, "the configuration of the measurement");
    parts.how.push("dstack attestation, version 0, of an SNP guest");
  } else throw new AnchorError(CODE, `a dstack attestation is of kind ${kind}, and only 0 to 4 are known`);
  list(reader, "the runtime events", (each) => [vector(each, "an event's name"), vector(each, "its payload")]);
  parts.hints.reportData = toHex(reader.take(64, "the report data"));
  parts.hints.fields["vm_config"] = text(reader, "the configuration");
  reader.end("a dstack attestation", "TRAILING_DATA");
  return parts;
}

/** Some releases wrap the document once more: a SCALE vector in it. */
function nsmDocument(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x84 || bytes[0] === 0xd2) return bytes;
  const reader = new ByteReader(bytes, CODE);
  const inner = vector(reader, "the document");
  reader.end("the document", "TRAILING_DATA");
  return inner;
}

/** SCALE: two low bits of the first byte say how many bytes a number has. */
function compact(reader: ByteReader): number {
  const first = reader.u8("a length");
  if ((first & 3) === 0) return first >> 2;
  if ((first & 3) === 1) return (first | (reader.u8("a length") << 8)) >> 2;
  if ((first & 3) === 3) throw new AnchorError(CODE, "a length of a dstack attestation is beyond 2^30");
  return (first + reader.u8("a length") * 2 ** 8 + reader.u16le("a length") * 2 ** 16 - (first & 3)) / 4;
}

function vector(reader: ByteReader, what: string): Uint8Array {
  return reader.take(compact(reader), what);
}

function text(reader: ByteReader, what: string): string {
  const found = textOf(vector(reader, what));
  if (found === undefined) throw new AnchorError(CODE, `${what} is not UTF-8 text`);
  return found;
}

function list<T>(reader: ByteReader, what: string, read: (reader: ByteReader) => T): T[] {
  const count = compact(reader);
  if (count > Math.min(MAX_EVENTS, reader.remaining)) {
    throw new AnchorError(CODE, `${what} has ${count} entries, where ${reader.remaining} bytes are left`);
  }
  return Array.from({ length: count }, () => read(reader));
}

function hexText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** A map of three whose first key is `version`. */
export function isDstackMessagePack(bytes: Uint8Array): boolean {
  return bytes.length > 16 && bytes[0] === 0x83 && bytes[1] === 0xa7 && textOf(bytes.subarray(2, 9)) === "version";
}

/** @throws EVIDENCE_MALFORMED, TRAILING_DATA */
export function readDstackMessagePack(bytes: Uint8Array): Parts {
  const reader = new ByteReader(bytes, CODE);
  const root = record(messagePack(reader, 0), "a dstack attestation");
  reader.end("a dstack attestation", "TRAILING_DATA");
  if (root["version"] !== 1) {
    throw new AnchorError(
      CODE,
      `a dstack attestation has version ${String(root["version"])}, and only 0 and 1 are known`,
    );
  }
  const platform = record(root["platform"], "the platform");
  const data = record(platform["data"], "the platform's data");
  const parts = noParts();
  const bytesAt = (name: string): Uint8Array => {
    const found = bytesOf(data[name]);
    if (!found) throw new AnchorError(CODE, `a dstack attestation of ${String(platform["kind"])} lacks ${name}`);
    return found;
  };
  const kind = platform["kind"];
  parts.how.push(`dstack attestation, version 1, of ${String(kind)}`);
  if (kind === "tdx" || kind === "gcp-tdx") {
    parts.cpu = { kind: "intel", quote: bytesAt("quote") };
    const events = (Array.isArray(data["event_log"]) ? data["event_log"] : []).map((event) => hexed(event, 0));
    parts.eventLog = { format: "dstack", log: utf8(JSON.stringify(events)) };
    if (kind === "gcp-tdx") parts.how.push("the TPM quote of the Google Cloud machine is not looked at");
  } else if (kind === "nitro-enclave") parts.cpu = { kind: "nitro", document: nsmDocument(bytesAt("nsm_quote")) };
  else if (kind === "aws-nitro-tpm") parts.cpu = { kind: "nitro", document: bytesAt("attestation_doc") };
  else if (kind === "sev-snp") {
    const certificates = certificatesOf(data["cert_chain"]);
    parts.cpu = { kind: "snp", report: bytesAt("report"), ...(certificates.length > 0 ? { certificates } : {}) };
    if (typeof data["mr_config"] === "string") parts.hints.fields["mr_config"] = data["mr_config"];
  } else throw new AnchorError(CODE, `a dstack attestation is of the unknown kind "${String(kind)}"`);
  const stack = record(record(root["stack"], "the stack")["data"], "the stack's data");
  const reportData = bytesOf(stack["report_data"]);
  if (reportData?.length === 64) parts.hints.reportData = toHex(reportData);
  if (typeof stack["config"] === "string") parts.hints.fields["vm_config"] = stack["config"];
  if (typeof stack["report_data_payload"] === "string") {
    parts.hints.fields["report_data_payload"] = stack["report_data_payload"];
  }
  return parts;
}

type Packed = null | boolean | number | string | Uint8Array | Packed[] | { [name: string]: Packed };

const MAX_DEPTH = 16;

/** MessagePack as Rust's serde writes it: no floats, no extensions, text keys, none twice. */
function messagePack(reader: ByteReader, depth: number): Packed {
  const fail = (reason: string): never => {
    throw new AnchorError(CODE, `MessagePack: ${reason}`);
  };
  if (depth > MAX_DEPTH) fail(`nested more than ${MAX_DEPTH} deep`);
  const first = reader.u8("a MessagePack value");
  const utf8Text = (length: number) => textOf(reader.take(length, "a text")) ?? fail("a text is not UTF-8");
  const items = (count: number): Packed[] => {
    if (count > reader.remaining) fail(`an array of ${count} values where ${reader.remaining} bytes are left`);
    return Array.from({ length: count }, () => messagePack(reader, depth + 1));
  };
  const entries = (count: number): Packed => {
    if (2 * count > reader.remaining) fail(`a map of ${count} entries where ${reader.remaining} bytes are left`);
    const map: Record<string, Packed> = Object.create(null);
    for (let i = 0; i < count; i++) {
      const key = messagePack(reader, depth + 1);
      if (typeof key !== "string") return fail("a key is no text");
      if (key in map) fail(`the key "${key.slice(0, 64)}" stands twice`);
      map[key] = messagePack(reader, depth + 1);
    }
    return map;
  };
  if (first < 0x80) return first;
  if (first < 0x90) return entries(first & 0xf);
  if (first < 0xa0) return items(first & 0xf);
  if (first < 0xc0) return utf8Text(first & 0x1f);
  switch (first) {
    case 0xc0:
      return null;
    case 0xc2:
    case 0xc3:
      return first === 0xc3;
    case 0xc4:
      return reader.take(reader.u8("a length"), "bytes");
    case 0xc5:
      return reader.take(reader.u16be("a length"), "bytes");
    case 0xc6:
      return reader.take(reader.u32be("a length"), "bytes");
    case 0xcc:
      return reader.u8("a number");
    case 0xcd:
      return reader.u16be("a number");
    case 0xce:
      return reader.u32be("a number");
    case 0xcf: {
      const value = reader.u64be("a number");
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : fail("a number beyond 2^53");
    }
    case 0xd9:
      return utf8Text(reader.u8("a length"));
    case 0xda:
      return utf8Text(reader.u16be("a length"));
    case 0xdb:
      return utf8Text(reader.u32be("a length"));
    case 0xdc:
      return items(reader.u16be("a length"));
    case 0xdd:
      return items(reader.u32be("a length"));
    case 0xde:
      return entries(reader.u16be("a length"));
    case 0xdf:
      return entries(reader.u32be("a length"));
    default:
      return fail(`a value of type 0x${first.toString(16)}`);
  }
}

function record(value: Packed | undefined, what: string): Record<string, Packed> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw new AnchorError(CODE, `${what} is not a map`);
  }
  return value;
}

/** Bytes of an event as the hex texts that logs in JSON have, whether they came as bytes or as an array of numbers. */
function hexed(value: Packed, depth: number): Packed {
  if (value instanceof Uint8Array) return hexText(value);
  if (Array.isArray(value)) return value.length === 0 ? "" : hexText(bytesOf(value) ?? new Uint8Array());
  if (typeof value !== "object" || value === null || depth > 1) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, hexed(item, depth + 1)]));
}
