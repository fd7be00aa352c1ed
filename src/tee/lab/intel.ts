/**
 * Platforms of Intel's that never were: quotes of every version and body, and the collateral for them.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat, utf8 } from "../../field/bytes.js";
import type { IntelClaims, IntelStatus } from "../claims.js";
import type { IntelCollateral, SignedJson } from "../collateral.js";
import type { QuoteEvidence } from "../evidence.js";
import { type Bytes, filled, fixed, type Lab, littleEndian, place, toBytes } from "./bytes.js";
import {
  type CertificateOptions,
  type CrlOptions,
  DAY,
  LAB_NOW,
  type LabExtension,
  type LabKey,
  makeCertificate,
  makeCrl,
  makeKey,
  rawPoint,
  signBytes,
} from "./certificates.js";
import * as der from "./der.js";

export interface IntelOptions {
  /** What validity windows lie around. */
  now?: number;
  /** `td-1.0` unless given. */
  body?: IntelClaims["body"];
  /** 3 for SGX, 4 for TD 1.0, 5 for the others unless given. */
  version?: 3 | 4 | 5;

  /** The bit in the attributes of the enclave or TD. */
  debug?: boolean;
  reportData?: Bytes;
  /** By the names of the claims; each has bytes of its own unless given. */
  measurements?: Partial<Record<IntelMeasurement, Bytes>>;
  sgx?: SgxFields;
  tdx?: TdxFields;
  userData?: Bytes;

  fmspc?: Bytes;
  pceId?: Bytes;
  ppid?: Bytes;
  /** The 16 components. {@link LEVELS} has what they are held against. */
  cpuSvn?: Bytes;
  pceSvn?: number;
  /** A platform of several packages, whose PCK certificate the Platform CA issues; `false` for the Processor CA. */
  platform?: false | { instanceId?: Bytes; dynamicPlatform?: boolean; cachedKeys?: boolean; smtEnabled?: boolean };

  /** The quoting enclave's report. */
  qe?: QeFields;
  /** Of the newest level of each part. */
  statuses?: Partial<Record<"platform" | "module" | "qe", IntelStatus>>;
  advisories?: Partial<Record<"platform" | "module" | "qe", string[]>>;
  tcbInfo?: DocumentOptions & { levels?: readonly LabLevel[]; modules?: readonly LabModule[] };
  qeIdentity?: DocumentOptions;

  root?: Partial<CertificateOptions>;
  intermediate?: Partial<CertificateOptions>;
  pck?: Partial<CertificateOptions>;
  tcbSigner?: Partial<CertificateOptions>;
  rootCrl?: Partial<CrlOptions>;
  pckCrl?: Partial<CrlOptions>;
  /** Puts their serials on the lists of their issuers. */
  revoked?: readonly ("pck" | "intermediate" | "tcbSigner")[];
  /** To reuse those of another platform. */
  keys?: Partial<IntelKeys>;

  /** Whose key signs, where it is not the one that should. */
  signers?: { quote?: LabKey; qeReport?: LabKey };
  header?: { version?: number; attestationKeyType?: number; teeType?: number; qeVendorId?: Bytes };
  /** Of version 5. */
  bodyDescriptor?: { type?: number; size?: number };
  /** Type 5 and the PEM chain of the PCK certificate unless given. */
  certificationData?: { type?: number; data?: Uint8Array };
  /** Behind the quote. */
  padding?: Uint8Array;
}

export type IntelMeasurement =
  | "mrEnclave"
  | "mrSigner"
  | "mrTd"
  | "rtmr0"
  | "rtmr1"
  | "rtmr2"
  | "rtmr3"
  | "mrConfigId"
  | "mrOwner"
  | "mrOwnerConfig"
  | "mrSeam";

export interface SgxFields {
  isvProdId?: number;
  isvSvn?: number;
  /** 16 bytes; the debug bit is added where `debug` asks for it. */
  attributes?: Bytes;
  miscSelect?: Bytes;
  configId?: Bytes;
  configSvn?: number;
  isvExtProdId?: Bytes;
  isvFamilyId?: Bytes;
}

export interface TdxFields {
  teeTcbSvn?: Bytes;
  /** Of TD 1.5: what runs now, where `teeTcbSvn` is what the TD was launched on. The same unless given. */
  teeTcbSvn2?: Bytes;
  mrSignerSeam?: Bytes;
  seamAttributes?: Bytes;
  /** 8 bytes; the debug bit is added where `debug` asks for it. */
  tdAttributes?: Bytes;
  xfam?: Bytes;
  mrServiceTd?: Bytes;
  /** What TD 1.5-Ex adds, all of its 237 bytes. */
  extended?: Bytes;
}

export interface QeFields {
  attributes?: Bytes;
  miscSelect?: Bytes;
  mrSigner?: Bytes;
  isvProdId?: number;
  isvSvn?: number;
  /** 64 bytes, instead of the digest of attestation key and authentication data. */
  reportData?: Bytes;
  authenticationData?: Bytes;
}

export interface LabLevel {
  sgx: readonly number[];
  pceSvn: number;
  tdx?: readonly number[];
  tcbDate?: string;
  status: IntelStatus;
  advisories?: string[];
}

export interface LabModule {
  /** `TDX_01` */
  id: string;
  mrSigner?: Bytes;
  attributes?: Bytes;
  attributesMask?: Bytes;
  levels: readonly { isvSvn: number; tcbDate?: string; status: IntelStatus; advisories?: string[] }[];
}

export interface DocumentOptions {
  /** Unix seconds. */
  issueDate?: number;
  nextUpdate?: number;
  tcbEvaluationDataNumber?: number;
  /** Changes members, or adds them; `undefined` takes one out. */
  members?: Record<string, unknown>;
  /** Has the last word on the text that is signed. */
  text?: (json: string) => string;
  /** Has the last word on the text that is delivered, after it was signed. */
  delivered?: (json: string) => string;
  signer?: LabKey;
  /** Signer first, instead of the TCB signer's. */
  chain?: readonly Uint8Array[];
}

export interface IntelKeys {
  root: LabKey;
  intermediate: LabKey;
  pck: LabKey;
  tcbSigner: LabKey;
  attestation: LabKey;
}

export interface IntelLab extends Lab<QuoteEvidence> {
  quote: Uint8Array;
  /** The one entry of the collateral. */
  intel: IntelCollateral;
  keys: IntelKeys;
  certificates: { root: Uint8Array; intermediate: Uint8Array; pck: Uint8Array; tcbSigner: Uint8Array };
}

/** Component SVNs of the laboratory's platforms: what they have unless told otherwise, and the next lower level's. */
export const LEVELS = {
  newest: {
    sgx: [4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
    pceSvn: 13,
    tdx: [6, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  },
  older: {
    sgx: [2, 2, 2, 2, 3, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
    pceSvn: 11,
    tdx: [4, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  },
} as const;

/** Advisories that the older level of each part has. */
export const OLDER_ADVISORIES = {
  platform: ["INTEL-SA-00837", "INTEL-SA-01036"],
  module: ["INTEL-SA-01099"],
  qe: ["INTEL-SA-00615"],
} as const;

const INTEL = { O: "Intel Corporation", L: "Santa Clara", ST: "CA", C: "US" } as const;
const QE_VENDOR_ID = "0x939a7233f79c4ca9940a0db3957f0607";
const QE_MR_SIGNER = {
  sgx: "0x8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff",
  tdx: "0xdc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5",
} as const;
const QE_PRODUCT = { sgx: 1, tdx: 2 } as const;
const SGX_EXTENSION = "1.2.840.113741.1.13.1";
const BODY_TYPES = { sgx: 1, "td-1.0": 2, "td-1.5": 3, "td-1.5-ex": 4 } as const;

/** A platform, its quote, and the collateral that goes with it. */
export function intelPlatform(options: IntelOptions = {}): IntelLab {
  const { now = LAB_NOW, body: kind = "td-1.0", platform = {} } = options;
  const family = kind === "sgx" ? "sgx" : "tdx";
  const keys: IntelKeys = {
    root: options.keys?.root ?? makeKey("P-256"),
    intermediate: options.keys?.intermediate ?? makeKey("P-256"),
    pck: options.keys?.pck ?? makeKey("P-256"),
    tcbSigner: options.keys?.tcbSigner ?? makeKey("P-256"),
    attestation: options.keys?.attestation ?? makeKey("P-256"),
  };
  const window = { notBefore: now - 365 * DAY, notAfter: now + 7 * 365 * DAY };
  const root: CertificateOptions = {
    subject: { CN: "Intel SGX Root CA", ...INTEL },
    key: keys.root,
    serial: 1,
    ca: true,
    pathLength: 1,
    keyUsage: ["keyCertSign", "cRLSign"],
    ...window,
    ...options.root,
  };
  const intermediate: CertificateOptions = {
    subject: { CN: `Intel SGX PCK ${platform ? "Platform" : "Processor"} CA`, ...INTEL },
    issuer: root.subject,
    key: keys.intermediate,
    issuerKey: keys.root,
    serial: 2,
    ca: true,
    pathLength: 0,
    keyUsage: ["keyCertSign", "cRLSign"],
    ...window,
    ...options.intermediate,
  };
  const pck: CertificateOptions = {
    subject: { CN: "Intel SGX PCK Certificate", ...INTEL },
    issuer: intermediate.subject,
    key: keys.pck,
    issuerKey: keys.intermediate,
    serial: 3,
    ca: false,
    keyUsage: ["digitalSignature", "nonRepudiation"],
    extensions: [sgxExtension(options)],
    ...window,
    ...options.pck,
  };
  const tcbSigner: CertificateOptions = {
    subject: { CN: "Intel SGX TCB Signing", ...INTEL },
    issuer: root.subject,
    key: keys.tcbSigner,
    issuerKey: keys.root,
    serial: 4,
    ca: false,
    keyUsage: ["digitalSignature", "nonRepudiation"],
    ...window,
    ...options.tcbSigner,
  };
  const certificates = {
    root: makeCertificate(root),
    intermediate: makeCertificate(intermediate),
    pck: makeCertificate(pck),
    tcbSigner: makeCertificate(tcbSigner),
  };

  const listed = (...names: ("pck" | "intermediate" | "tcbSigner")[]) =>
    names
      .filter((each) => options.revoked?.includes(each))
      .map((each) => ({ pck, intermediate, tcbSigner })[each].serial!);
  const lists = { thisUpdate: now - DAY, nextUpdate: now + 29 * DAY };
  const rootCrl = makeCrl({
    issuer: root.subject,
    issuerKey: keys.root,
    revoked: listed("intermediate", "tcbSigner"),
    ...lists,
    ...options.rootCrl,
  });
  const pckCrl = makeCrl({
    issuer: intermediate.subject,
    issuerKey: keys.intermediate,
    revoked: listed("pck"),
    ...lists,
    ...options.pckCrl,
  });

  const signing = { now, key: keys.tcbSigner, chain: [certificates.tcbSigner, certificates.root] };
  const intel: IntelCollateral = {
    tcbInfo: signedJson(
      tcbInfoMembers(options, family),
      { id: family === "sgx" ? "SGX" : "TDX", version: 3 },
      options.tcbInfo,
      signing,
    ),
    qeIdentity: signedJson(
      qeIdentityMembers(options, family),
      { id: family === "sgx" ? "QE" : "TD_QE", version: 2 },
      options.qeIdentity,
      signing,
    ),
    rootCrl,
    pckCrl,
    pckCrlChain: [certificates.intermediate, certificates.root],
  };
  const quote = makeQuote(options, keys, [certificates.pck, certificates.intermediate, certificates.root]);
  return {
    now,
    roots: { intel: [certificates.root] },
    evidence: { kind: "intel", quote },
    collateral: { intel: [intel] },
    quote,
    intel,
    keys,
    certificates,
  };
}

/** The extension of PCK certificates that says which platform it is, and which TCB. */
export function sgxExtension(options: IntelOptions = {}): LabExtension {
  const { fmspc = DEFAULTS.fmspc, pceId = DEFAULTS.pceId, ppid = DEFAULTS.ppid, platform = {} } = options;
  const { cpuSvn = LEVELS.newest.sgx, pceSvn = LEVELS.newest.pceSvn } = options;
  const entry = (suffix: string, value: Uint8Array) => der.sequence(der.oid(`${SGX_EXTENSION}.${suffix}`), value);
  const components = [...fixed(cpuSvn, 16)].map((svn, i) => entry(`2.${i + 1}`, der.integer(svn)));
  const tcb = [...components, entry("2.17", der.integer(pceSvn)), entry("2.18", der.octetString(fixed(cpuSvn, 16)))];
  const entries = [
    entry("1", der.octetString(toBytes(ppid))),
    entry("2", der.sequence(...tcb)),
    entry("3", der.octetString(toBytes(pceId))),
    entry("4", der.octetString(toBytes(fmspc))),
    entry("5", der.enumerated(platform ? 1 : 0)),
  ];
  if (platform) {
    const { instanceId = filled(0x1d, 16), dynamicPlatform = true, cachedKeys = true, smtEnabled = true } = platform;
    const flags = [dynamicPlatform, cachedKeys, smtEnabled].map((flag, i) => entry(`7.${i + 1}`, der.boolean(flag)));
    entries.push(entry("6", der.octetString(toBytes(instanceId))), entry("7", der.sequence(...flags)));
  }
  return { oid: SGX_EXTENSION, value: der.sequence(...entries) };
}

const DEFAULTS = {
  fmspc: [0xb0, 0xc0, 0x6f, 0, 0, 0],
  pceId: [0, 0],
  ppid: filled(0x99, 16),
} as const;

function tcbInfoMembers(options: IntelOptions, family: "sgx" | "tdx"): Record<string, unknown> {
  const { fmspc = DEFAULTS.fmspc, pceId = DEFAULTS.pceId, statuses = {}, advisories = {} } = options;
  const levels = options.tcbInfo?.levels ?? [
    { ...LEVELS.newest, ...stated(statuses.platform, advisories.platform) },
    { ...LEVELS.older, status: "OutOfDate", advisories: [...OLDER_ADVISORIES.platform], tcbDate: OLDER },
  ];
  const modules = options.tcbInfo?.modules ?? [
    { id: "TDX_03", levels: [{ isvSvn: 3, status: "UpToDate" }] },
    {
      id: "TDX_01",
      levels: [
        { isvSvn: LEVELS.newest.tdx[0], ...stated(statuses.module, advisories.module) },
        { isvSvn: LEVELS.older.tdx[0], status: "OutOfDate", advisories: [...OLDER_ADVISORIES.module], tcbDate: OLDER },
      ],
    },
  ];
  const components = (svns: readonly number[]) => svns.map((svn) => ({ svn }));
  return {
    fmspc: upperHex(fmspc),
    pceId: upperHex(pceId),
    tcbType: 0,
    tcbEvaluationDataNumber: options.tcbInfo?.tcbEvaluationDataNumber ?? 18,
    ...(family === "sgx"
      ? {}
      : {
          tdxModule: moduleMembers({}),
          tdxModuleIdentities: modules.map(({ id, levels: each, ...identity }) => ({
            id,
            ...moduleMembers(identity),
            tcbLevels: each.map(({ isvSvn, ...level }) => ({ tcb: { isvsvn: isvSvn }, ...levelMembers(level) })),
          })),
        }),
    tcbLevels: levels.map(({ sgx, pceSvn, tdx = [], ...level }) => ({
      tcb: {
        sgxtcbcomponents: components(sgx),
        pcesvn: pceSvn,
        ...(family === "sgx" ? {} : { tdxtcbcomponents: components(tdx) }),
      },
      ...levelMembers(level),
    })),
  };
}

function qeIdentityMembers(options: IntelOptions, family: "sgx" | "tdx"): Record<string, unknown> {
  const { statuses = {}, advisories = {} } = options;
  const older = { status: "OutOfDate", advisories: [...OLDER_ADVISORIES.qe], tcbDate: OLDER } as const;
  return {
    tcbEvaluationDataNumber: options.qeIdentity?.tcbEvaluationDataNumber ?? 18,
    miscselect: "00000000",
    miscselectMask: "FFFFFFFF",
    attributes: "11000000000000000000000000000000",
    attributesMask: "FBFFFFFFFFFFFFFF0000000000000000",
    mrsigner: upperHex(QE_MR_SIGNER[family]),
    isvprodid: QE_PRODUCT[family],
    tcbLevels: [
      { tcb: { isvsvn: QE_SVN }, ...levelMembers(stated(statuses.qe, advisories.qe)) },
      { tcb: { isvsvn: QE_SVN - 2 }, ...levelMembers({ ...older, advisories: [...older.advisories] }) },
    ],
  };
}

/** What the laboratory's quoting enclave has; the older level of its identity is two lower. */
export const QE_SVN = 8;

const NEWEST = "2025-11-12T00:00:00Z";
const OLDER = "2024-03-13T00:00:00Z";

function stated(status: IntelStatus = "UpToDate", advisories?: string[]) {
  return { status, ...(advisories ? { advisories } : {}) };
}

function levelMembers({ tcbDate = NEWEST, status, advisories }: Pick<LabLevel, "tcbDate" | "status" | "advisories">) {
  return {
    tcbDate,
    tcbStatus: status,
    ...(advisories && advisories.length > 0 ? { advisoryIDs: advisories } : {}),
  };
}

function moduleMembers({ mrSigner, attributes, attributesMask = filled(0xff, 8) }: Partial<LabModule>) {
  return {
    mrsigner: upperHex(fixed(mrSigner, 48)),
    attributes: upperHex(fixed(attributes, 8)),
    attributesMask: upperHex(attributesMask),
  };
}

function signedJson(
  members: Record<string, unknown>,
  head: { id: string; version: number },
  options: DocumentOptions = {},
  { now, key, chain }: { now: number; key: LabKey; chain: readonly Uint8Array[] },
): SignedJson {
  const { issueDate = now - DAY, nextUpdate = now + 29 * DAY } = options;
  const dates = { issueDate: iso(issueDate), nextUpdate: iso(nextUpdate) };
  const written = JSON.stringify({ ...head, ...dates, ...members, ...options.members });
  const json = options.text?.(written) ?? written;
  return {
    json: options.delivered?.(json) ?? json,
    signature: signBytes(options.signer ?? key, utf8(json), "ieee-p1363"),
    chain: options.chain ?? chain,
  };
}

function makeQuote(options: IntelOptions, keys: IntelKeys, chain: readonly Uint8Array[]): Uint8Array {
  const { body: kind = "td-1.0", header = {}, bodyDescriptor = {}, signers = {}, certificationData = {} } = options;
  const version = options.version ?? (kind === "sgx" ? 3 : kind === "td-1.0" ? 4 : 5);
  const family = kind === "sgx" ? "sgx" : "tdx";
  const body = kind === "sgx" ? enclaveReport(options) : tdReport(options, kind);
  const head = concat(
    littleEndian(header.version ?? version, 2),
    littleEndian(header.attestationKeyType ?? 2, 2),
    littleEndian(header.teeType ?? (kind === "sgx" ? 0 : 0x81), 4),
    new Uint8Array(4),
    fixed(header.qeVendorId ?? QE_VENDOR_ID, 16),
    fixed(options.userData, 20),
  );
  const { type = BODY_TYPES[kind], size = body.length } = bodyDescriptor;
  const descriptor = version === 5 ? concat(littleEndian(type, 2), littleEndian(size, 4)) : new Uint8Array();
  const content = concat(head, descriptor, body);

  const { authenticationData = Array.from({ length: 32 }, (_, i) => i) } = options.qe ?? {};
  const auth = toBytes(authenticationData);
  const point = rawPoint(keys.attestation);
  const digest = createHash("sha256").update(point).update(auth).digest();
  const qeReport = qeReportOf(options, family, new Uint8Array(digest));
  const pem = utf8(`${chain.map((each) => der.pem(each)).join("")}\0`);
  const { type: dataType = 5, data = pem } = certificationData;
  const qeCertification = concat(
    qeReport,
    signBytes(signers.qeReport ?? keys.pck, qeReport, "ieee-p1363"),
    littleEndian(auth.length, 2),
    auth,
    littleEndian(dataType, 2),
    littleEndian(data.length, 4),
    data,
  );
  const authentication = concat(
    signBytes(signers.quote ?? keys.attestation, content, "ieee-p1363"),
    point,
    ...(version === 3 ? [] : [littleEndian(6, 2), littleEndian(qeCertification.length, 4)]),
    qeCertification,
  );
  return concat(content, littleEndian(authentication.length, 4), authentication, options.padding ?? new Uint8Array());
}

function enclaveReport({ sgx = {}, measurements = {}, reportData, debug, cpuSvn = LEVELS.newest.sgx }: IntelOptions) {
  const attributes = fixed(sgx.attributes ?? [0x05, 0, 0, 0, 0, 0, 0, 0, 0xe7], 16);
  if (debug) attributes[0]! |= 2;
  return place(384, [
    [0, fixed(cpuSvn, 16)],
    [16, fixed(sgx.miscSelect, 4)],
    [32, fixed(sgx.isvExtProdId, 16)],
    [48, attributes],
    [64, fixed(measurements.mrEnclave ?? filled(0xe1, 32), 32)],
    [128, fixed(measurements.mrSigner ?? filled(0xe2, 32), 32)],
    [192, fixed(sgx.configId, 64)],
    [256, littleEndian(sgx.isvProdId ?? 7, 2)],
    [258, littleEndian(sgx.isvSvn ?? 3, 2)],
    [260, littleEndian(sgx.configSvn ?? 0, 2)],
    [304, fixed(sgx.isvFamilyId, 16)],
    [320, fixed(reportData, 64)],
  ]);
}

function qeReportOf({ qe = {}, cpuSvn = LEVELS.newest.sgx }: IntelOptions, family: "sgx" | "tdx", digest: Uint8Array) {
  return place(384, [
    [0, fixed(cpuSvn, 16)],
    [16, fixed(qe.miscSelect, 4)],
    [48, fixed(qe.attributes ?? [family === "sgx" ? 0x11 : 0x15, 0, 0, 0, 0, 0, 0, 0, 0xe7], 16)],
    [64, filled(0x9e, 32)],
    [128, fixed(qe.mrSigner ?? QE_MR_SIGNER[family], 32)],
    [256, littleEndian(qe.isvProdId ?? QE_PRODUCT[family], 2)],
    [258, littleEndian(qe.isvSvn ?? QE_SVN, 2)],
    [320, fixed(qe.reportData ?? digest, 64)],
  ]);
}

function tdReport(options: IntelOptions, kind: "td-1.0" | "td-1.5" | "td-1.5-ex"): Uint8Array {
  const { tdx = {}, measurements = {}, reportData, debug } = options;
  const { teeTcbSvn = LEVELS.newest.tdx, teeTcbSvn2 = teeTcbSvn } = tdx;
  // SEPT_VE_DISABLE, which every guest of Linux sets.
  const attributes = fixed(tdx.tdAttributes ?? [0, 0, 0, 0x10], 8);
  if (debug) attributes[0]! |= 1;
  const registers = ["mrTd", "mrConfigId", "mrOwner", "mrOwnerConfig", "rtmr0", "rtmr1", "rtmr2", "rtmr3"] as const;
  const zero: readonly string[] = ["mrConfigId", "mrOwner", "mrOwnerConfig"];
  const first = concat(
    fixed(teeTcbSvn, 16),
    fixed(measurements.mrSeam ?? filled(0xd0, 48), 48),
    fixed(tdx.mrSignerSeam, 48),
    fixed(tdx.seamAttributes, 8),
    attributes,
    fixed(tdx.xfam ?? [0xe7, 0x02, 0x06], 8),
    ...registers.map((name, i) => fixed(measurements[name] ?? filled(zero.includes(name) ? 0 : 0xd1 + i, 48), 48)),
    fixed(reportData, 64),
  );
  if (kind === "td-1.0") return first;
  const second = concat(first, fixed(teeTcbSvn2, 16), fixed(tdx.mrServiceTd, 48));
  return kind === "td-1.5" ? second : concat(second, fixed(tdx.extended, 237));
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

function upperHex(bytes: Bytes): string {
  return Buffer.from(toBytes(bytes)).toString("hex").toUpperCase();
}
