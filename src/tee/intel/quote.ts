/**
 * Quotes of Intel's data centre attestation, versions 3 to 5: what stands where. Nothing here is believed yet.
 *
 *     header 48 ‖ (v5: body type u16 ‖ body size u32) ‖ body ‖ length u32 ‖ signature data
 *     signature data, v3:  signature 64 ‖ key 64 ‖ certification of the key
 *     signature data, v4+: signature 64 ‖ key 64 ‖ type 6 u16 ‖ length u32 ‖ certification of the key
 *     certification of the key: QE report 384 ‖ signature 64 ‖ length u16 ‖ QE's data ‖ type u16 ‖ length u32 ‖ data
 *
 * Every length has to fit exactly, but for bytes behind the whole: quotes travel in buffers that are larger than they.
 *
 * @module
 */
import { demand } from "../context.js";
import { ByteReader } from "../read/bytes.js";

export type QuoteVersion = 3 | 4 | 5;

/** The report of an enclave, an application's or the quoting enclave's. */
export interface EnclaveReport {
  bytes: Uint8Array;
  cpuSvn: Uint8Array;
  miscSelect: Uint8Array;
  isvExtProdId: Uint8Array;
  attributes: Uint8Array;
  mrEnclave: Uint8Array;
  mrSigner: Uint8Array;
  configId: Uint8Array;
  isvProdId: number;
  isvSvn: number;
  configSvn: number;
  isvFamilyId: Uint8Array;
  reportData: Uint8Array;
}

export interface TdReport {
  bytes: Uint8Array;
  /** Of the module that the TD was launched under: [0] its SVN, [1] its generation, the rest the platform's. */
  teeTcbSvn: Uint8Array;
  mrSeam: Uint8Array;
  mrSignerSeam: Uint8Array;
  seamAttributes: Uint8Array;
  tdAttributes: Uint8Array;
  xfam: Uint8Array;
  mrTd: Uint8Array;
  mrConfigId: Uint8Array;
  mrOwner: Uint8Array;
  mrOwnerConfig: Uint8Array;
  rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  reportData: Uint8Array;
  /** From TDX 1.5 on. */
  v15?: {
    /** Of the module that runs now: it can be replaced under a running TD. */
    teeTcbSvn2: Uint8Array;
    mrServiceTd: Uint8Array;
  };
  /** Of the extended report of TDX 1.5: devices, and the TD's history of migration. */
  extended?: {
    vmId: Uint8Array;
    tdId: Uint8Array;
    deviceInfo: Uint8Array;
    initServiceTdHash: Uint8Array;
    initServiceTdAttributes: Uint8Array;
    initCpuSvn: Uint8Array;
    initTeeTcbSvn: Uint8Array;
    initTeeFmspc: Uint8Array;
    serviceTdHash: Uint8Array;
    serviceTdAttributes: Uint8Array;
  };
}

export type QuoteBody =
  | { kind: "sgx"; report: EnclaveReport }
  | { kind: "td-1.0" | "td-1.5" | "td-1.5-ex"; report: TdReport };

export interface Quote {
  version: QuoteVersion;
  tee: "sgx" | "tdx";
  /** Version 3 only. */
  qeSvn?: number;
  pceSvn?: number;
  vendorId: Uint8Array;
  userData: Uint8Array;
  body: QuoteBody;
  /** What the quote's signature covers: all from its start to the end of its body. */
  signed: Uint8Array;
  /** r‖s. */
  signature: Uint8Array;
  /** x‖y of a point of P-256. */
  attestationKey: Uint8Array;
  qeReport: EnclaveReport;
  /** r‖s, by the PCK certificate's key. */
  qeReportSignature: Uint8Array;
  qeAuthData: Uint8Array;
  certification: { type: number; data: Uint8Array };
  /** What follows the quote. Nothing signs it. */
  trailing: Uint8Array;
}

/** `type` of {@link Quote.certification}. */
export const CERTIFICATION = { pckChain: 5, qeReport: 6 } as const;

const SGX = 0x00;
const TDX = 0x81;
const ECDSA_P256 = 2;
const BODIES = {
  sgx: { type: 1, size: 384 },
  "td-1.0": { type: 2, size: 584 },
  "td-1.5": { type: 3, size: 648 },
  "td-1.5-ex": { type: 4, size: 885 },
} as const;
type BodyKind = keyof typeof BODIES;

/** Real ones have five kilobytes. */
const MAX_SIGNATURE_DATA = 128 * 1024;
const MAX_TRAILING = 16 * 1024;

/** @throws EVIDENCE_MALFORMED, UNSUPPORTED_QUOTE_VERSION, UNSUPPORTED_ATT_KEY_TYPE, TRAILING_DATA */
export function parseQuote(bytes: Uint8Array): Quote {
  const reader = new ByteReader(bytes);
  const version = reader.u16le("the version");
  demand(
    version === 3 || version === 4 || version === 5,
    "UNSUPPORTED_QUOTE_VERSION",
    `a quote of version ${version}; versions 3, 4 and 5 are supported`,
  );
  const keyType = reader.u16le("the type of the attestation key");
  demand(
    keyType === ECDSA_P256,
    "UNSUPPORTED_ATT_KEY_TYPE",
    `a quote with an attestation key of type ${keyType}; ECDSA on P-256 is type ${ECDSA_P256}`,
  );
  const teeType = reader.u32le("the type of the TEE");
  const isKnown = teeType === SGX || (teeType === TDX && version > 3);
  demand(isKnown, "UNSUPPORTED_QUOTE_VERSION", `a quote of version ${version} for a TEE of type ${teeType}`);
  const tee = teeType === SGX ? "sgx" : "tdx";
  const svns = new ByteReader(reader.take(4, "the header"));
  const vendorId = reader.take(16, "the vendor's id");
  const userData = reader.take(20, "the header's user data");
  const kind = version === 5 ? readDescriptor(reader, tee) : tee === "sgx" ? "sgx" : "td-1.0";
  const body = readBody(kind, reader.take(BODIES[kind].size, "the report"));
  const signed = bytes.subarray(0, reader.offset);

  const length = reader.u32le("the length of the signature data");
  demand(length <= MAX_SIGNATURE_DATA, "EVIDENCE_MALFORMED", `a quote with ${length} bytes of signature data`);
  const data = reader.nested(length, "the signature data");
  const signature = data.take(64, "the quote's signature");
  const attestationKey = data.take(64, "the attestation key");
  const certified = version === 3 ? data : unwrapCertification(data);
  const qeReport = parseEnclaveReport(certified.take(BODIES.sgx.size, "the quoting enclave's report"));
  const qeReportSignature = certified.take(64, "the signature of the quoting enclave's report");
  const qeAuthData = certified.take(certified.u16le("a length"), "the quoting enclave's data");
  const type = certified.u16le("the type of the certification data");
  const certification = { type, data: certified.take(certified.u32le("a length"), "the certification data") };
  certified.end("the certification data");
  demand(
    type >= 1 && type <= CERTIFICATION.pckChain,
    "EVIDENCE_MALFORMED",
    `certification data of type ${type}; types 1 to 5 name a PCK certificate`,
  );

  const trailing = reader.rest();
  demand(
    trailing.length <= MAX_TRAILING,
    "TRAILING_DATA",
    `${trailing.length} bytes follow the quote; up to ${MAX_TRAILING} are taken for padding`,
  );
  return {
    version,
    tee,
    ...(version === 3 ? { qeSvn: svns.u16le("the QE's SVN"), pceSvn: svns.u16le("the PCE's SVN") } : {}),
    vendorId,
    userData,
    body,
    signed,
    signature,
    attestationKey,
    qeReport,
    qeReportSignature,
    qeAuthData,
    certification,
    trailing,
  };
}

function readDescriptor(reader: ByteReader, tee: "sgx" | "tdx"): BodyKind {
  const type = reader.u16le("the type of the body");
  const size = reader.u32le("the size of the body");
  const kind = (Object.keys(BODIES) as BodyKind[]).find((each) => BODIES[each].type === type);
  demand(
    kind !== undefined && (kind === "sgx") === (tee === "sgx"),
    "UNSUPPORTED_QUOTE_VERSION",
    `an ${tee.toUpperCase()} quote with a body of type ${type}`,
  );
  const expected = BODIES[kind].size;
  demand(size === expected, "EVIDENCE_MALFORMED", `a body of type ${type} has ${expected} bytes, this one ${size}`);
  return kind;
}

/** From version 4 on, what certifies the key is certification data itself. */
function unwrapCertification(data: ByteReader): ByteReader {
  const type = data.u16le("the type of the certification data");
  const inner = data.nested(data.u32le("a length"), "the certification data");
  data.end("the certification data");
  demand(
    type === CERTIFICATION.qeReport,
    "EVIDENCE_MALFORMED",
    `certification data of type ${type} instead of ${CERTIFICATION.qeReport}`,
  );
  return inner;
}

function readBody(kind: BodyKind, bytes: Uint8Array): QuoteBody {
  return kind === "sgx" ? { kind, report: parseEnclaveReport(bytes) } : { kind, report: readTdReport(kind, bytes) };
}

/** @param bytes exactly 384 */
export function parseEnclaveReport(bytes: Uint8Array): EnclaveReport {
  const reader = new ByteReader(bytes);
  const take = (length: number) => reader.take(length, "an enclave's report");
  const cpuSvn = take(16);
  const miscSelect = take(4);
  take(12);
  const isvExtProdId = take(16);
  const attributes = take(16);
  const mrEnclave = take(32);
  take(32);
  const mrSigner = take(32);
  take(32);
  const configId = take(64);
  const isvProdId = reader.u16le("ISVPRODID");
  const isvSvn = reader.u16le("ISVSVN");
  const configSvn = reader.u16le("CONFIGSVN");
  take(42);
  const isvFamilyId = take(16);
  const reportData = take(64);
  reader.end("an enclave's report");
  return {
    bytes,
    cpuSvn,
    miscSelect,
    isvExtProdId,
    attributes,
    mrEnclave,
    mrSigner,
    configId,
    isvProdId,
    isvSvn,
    configSvn,
    isvFamilyId,
    reportData,
  };
}

function readTdReport(kind: Exclude<BodyKind, "sgx">, bytes: Uint8Array): TdReport {
  const reader = new ByteReader(bytes);
  const take = (length: number) => reader.take(length, "a TD's report");
  const report: TdReport = {
    bytes,
    teeTcbSvn: take(16),
    mrSeam: take(48),
    mrSignerSeam: take(48),
    seamAttributes: take(8),
    tdAttributes: take(8),
    xfam: take(8),
    mrTd: take(48),
    mrConfigId: take(48),
    mrOwner: take(48),
    mrOwnerConfig: take(48),
    rtmrs: [take(48), take(48), take(48), take(48)],
    reportData: take(64),
  };
  if (kind !== "td-1.0") report.v15 = { teeTcbSvn2: take(16), mrServiceTd: take(48) };
  if (kind === "td-1.5-ex") {
    report.extended = {
      vmId: take(1),
      tdId: take(32),
      deviceInfo: take(48),
      initServiceTdHash: take(48),
      initServiceTdAttributes: take(8),
      initCpuSvn: take(16),
      initTeeTcbSvn: take(16),
      initTeeFmspc: take(12),
      serviceTdHash: take(48),
      serviceTdAttributes: take(8),
    };
  }
  reader.end("a TD's report");
  return report;
}

/** Bits of a TD's attributes (TDX module ABI, TD_ATTRIBUTES). */
const TD_ATTRIBUTES: Readonly<Record<number, string>> = {
  0: "DEBUG",
  4: "HGS_PLUS_PROF",
  5: "PERF_PROF",
  6: "PMT_PROF",
  16: "ICSSD",
  27: "LASS",
  28: "SEPT_VE_DISABLE",
  29: "MIGRATABLE",
  30: "PKS",
  31: "KL",
  62: "TPA",
  63: "PERFMON",
};

/** Names of the bits that are set, lowest first; unknown ones as `bit 17`. */
export function tdAttributeNames(attributes: Uint8Array): string[] {
  const names: string[] = [];
  for (let bit = 0; bit < 8 * attributes.length; bit++) {
    if ((attributes[bit >> 3]! >> (bit & 7)) & 1) names.push(TD_ATTRIBUTES[bit] ?? `bit ${bit}`);
  }
  return names;
}

/** `TDX_03`, or `TDX` for the first generation of the module. */
export function tdxModuleName(teeTcbSvn: Uint8Array): string {
  const generation = teeTcbSvn[1]!;
  return generation === 0 ? "TDX" : `TDX_${generation.toString(16).toUpperCase().padStart(2, "0")}`;
}

/**
 * Whether the environment can be read from outside. For a TD any bit of the first byte says so: debugging and profiling
 * stand there, and Intel calls a TD with a reserved one of them untrusted as well.
 */
export function isDebug(body: QuoteBody): boolean {
  return body.kind === "sgx" ? isDebugEnclave(body.report) : body.report.tdAttributes[0] !== 0;
}

export function isDebugEnclave({ attributes }: EnclaveReport): boolean {
  return (attributes[0]! & 0x02) !== 0;
}
