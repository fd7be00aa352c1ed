/**
 * The report of an NVIDIA GPU or switch: an SPDM 1.1 GET_MEASUREMENTS request and the MEASUREMENTS answer to it, signed as
 * one by the device.
 *
 * The nonce that counts is the request's, bytes 4 to 36: the device signed it. A nonce that travels in JSON beside a report
 * is whatever somebody wrote there, and the nonce of the answer is the device's own.
 *
 * Nothing may follow the signature. Some tools write 97 bytes where 96 belong; such a report is refused, for the byte is
 * signed by nobody.
 *
 * @module
 */
import { demand } from "../context.js";
import { ByteReader } from "../read/bytes.js";

const SIGNATURE_BYTES = 96;
/** Real ones have 2 to 4 KiB. */
const MAX_REPORT = 256 * 1024;

const SPDM_VERSION = 0x11;
const GET_MEASUREMENTS = 0xe0;
const MEASUREMENTS = 0x60;
/** Attribute: the answer shall be signed. */
const SIGNATURE_REQUESTED = 0x01;
/** Operation: all measurements there are. */
const ALL_MEASUREMENTS = 0xff;
/** The only measurement specification there is. */
const DMTF = 1;

export interface SpdmReport {
  nonce: Uint8Array;
  /** The device's certificate slot. */
  slot: number;
  /** By index, which counts from 1. */
  blocks: ReadonlyMap<number, Uint8Array>;
  responseNonce: Uint8Array;
  /** What the device says about itself, by {@link OPAQUE} type. */
  opaque: ReadonlyMap<number, Uint8Array>;
  /** Everything before the signature. */
  signed: Uint8Array;
  /** r‖s, big-endian. */
  signature: Uint8Array;
}

/** Types of opaque data, from NVIDIA's attestation SDK. Some mean one thing on a GPU and another on a switch. */
export const OPAQUE = {
  driverVersion: 3,
  gpuInfo: 4,
  vbiosVersion: 6,
  nvdec0Status: 11,
  measurementCounts: 12,
  cprInfo: 13,
  boardId: 14,
  chipSku: 15,
  chipSkuMod: 16,
  project: 17,
  projectSku: 18,
  projectSkuMod: 19,
  firmwareId: 20,
  protectedPcie: 21,
  /** GPU: the switches that it is linked to; switch: its own identifier. */
  deviceIdentifiers: 22,
  disabledPorts: 23,
  position: 24,
  lockStatus: 25,
  /** Switch: the GPUs that it is linked to, then their ports. */
  linkedGpus: 26,
  gpuLinks: 32,
  systemEnableStatus: 33,
  opaqueVersion: 34,
  chipInfo: 35,
  featureFlag: 36,
} as const;

/**
 * Reads a report completely: every length is consumed exactly.
 *
 * @throws EVIDENCE_MALFORMED, TRAILING_DATA, UNSUPPORTED_REPORT_VERSION
 */
export function parseSpdmReport(report: Uint8Array): SpdmReport {
  demand(report.length <= MAX_REPORT, "EVIDENCE_MALFORMED", `an SPDM report of ${report.length} bytes`);
  const reader = new ByteReader(report);

  requireMessage(reader, GET_MEASUREMENTS, "request");
  const attributes = reader.u8("the request's attributes");
  demand(
    attributes === SIGNATURE_REQUESTED,
    "EVIDENCE_MALFORMED",
    `the SPDM request has attributes ${attributes} instead of ${SIGNATURE_REQUESTED}, which asks for a signature`,
  );
  const operation = reader.u8("the request's operation");
  demand(
    operation === ALL_MEASUREMENTS,
    "EVIDENCE_MALFORMED",
    `the SPDM request asks for measurement ${operation} instead of all (${ALL_MEASUREMENTS})`,
  );
  const nonce = reader.take(32, "the request's nonce");
  const slot = reader.u8("the request's slot");

  requireMessage(reader, MEASUREMENTS, "answer");
  reader.skip(1, "the answer's first parameter");
  const answeredSlot = reader.u8("the answer's slot") & 0x0f;
  demand(answeredSlot === slot, "EVIDENCE_MALFORMED", `the SPDM answer is for slot ${answeredSlot}, not ${slot}`);
  const count = reader.u8("the number of measurements");
  const record = reader.nested(reader.u24le("the length of the measurements"), "the measurements");
  const blocks = readBlocks(record, count);
  const responseNonce = reader.take(32, "the answer's nonce");
  const opaque = readOpaque(reader.nested(reader.u16le("the length of the opaque data"), "the opaque data"));

  const signed = report.subarray(0, reader.offset);
  const signature = reader.take(SIGNATURE_BYTES, "the signature");
  reader.end("the signature of the SPDM report", "TRAILING_DATA");
  return { nonce, slot, blocks, responseNonce, opaque, signed, signature };
}

function requireMessage(reader: ByteReader, code: number, what: string): void {
  const version = reader.u8(`the ${what}'s version`);
  demand(
    version === SPDM_VERSION,
    "UNSUPPORTED_REPORT_VERSION",
    `the SPDM ${what} has version 0x${version.toString(16)} instead of 0x${SPDM_VERSION.toString(16)}`,
  );
  const has = reader.u8(`the ${what}'s code`);
  demand(
    has === code,
    "EVIDENCE_MALFORMED",
    `the SPDM ${what} has code 0x${has.toString(16)} instead of 0x${code.toString(16)}`,
  );
}

function readBlocks(reader: ByteReader, count: number): Map<number, Uint8Array> {
  const blocks = new Map<number, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const index = reader.u8("a measurement's index");
    const specification = reader.u8("a measurement's specification");
    demand(index > 0, "EVIDENCE_MALFORMED", "a measurement has index 0; they count from 1");
    demand(!blocks.has(index), "EVIDENCE_MALFORMED", `measurement ${index} stands twice`);
    demand(
      specification === DMTF,
      "EVIDENCE_MALFORMED",
      `measurement ${index} has specification ${specification} instead of ${DMTF}`,
    );
    const block = reader.nested(reader.u16le("a measurement's size"), `measurement ${index}`);
    block.skip(1, "a measurement's type");
    blocks.set(
      index,
      block.take(block.u16le("the size of a measurement's value"), `the value of measurement ${index}`),
    );
    block.end(`measurement ${index}`);
  }
  reader.end(`the record of ${count} measurements`);
  return blocks;
}

function readOpaque(reader: ByteReader): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  while (reader.remaining > 0) {
    const type = reader.u16le("the type of an opaque field");
    demand(!fields.has(type), "EVIDENCE_MALFORMED", `the opaque field ${type} stands twice`);
    fields.set(type, reader.take(reader.u16le("the size of an opaque field"), `the opaque field ${type}`));
  }
  return fields;
}
