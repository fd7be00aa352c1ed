/**
 * Processors of AMD's that never were: SEV-SNP reports of every version, the keys that sign them, and their lists.
 *
 * @module
 */
import type { SnpClaims, SnpProductName, SnpTcb } from "../claims.js";
import type { SnpEvidence } from "../evidence.js";
import { PINNED_ROOTS } from "../roots.js";
import { type Bytes, filled, fixed, type Lab, littleEndian, place, toBytes } from "./bytes.js";
import {
  type CertificateOptions,
  type CrlOptions,
  cachedKey,
  DAY,
  LAB_NOW,
  type LabExtension,
  type LabKey,
  makeCertificate,
  makeCrl,
  makeKey,
  signBytes,
} from "./certificates.js";
import * as der from "./der.js";

export interface SnpOptions {
  now?: number;
  /** Milan unless given. */
  product?: SnpProductName;
  signingKey?: "VCEK" | "VLEK";
  /** 3 unless given, 5 for Turin. */
  reportVersion?: number;
  /** CPUID from version 3 on; the product's unless given. */
  cpuid?: { family: number; model: number; stepping: number };

  vmpl?: number;
  guestSvn?: number;
  familyId?: Bytes;
  imageId?: Bytes;
  debug?: boolean;
  policy?: Partial<Omit<SnpClaims["policy"], "raw">>;
  /** Instead of all that. */
  policyRaw?: bigint;
  platformInfo?: Partial<Omit<SnpClaims["platformInfo"], "raw">>;
  /** The same for all four unless given one by one. */
  tcb?: Partial<Record<keyof SnpClaims["tcb"] | "all", Partial<SnpTcb>>>;
  chipId?: Bytes;
  maskChipKey?: boolean;
  authorKeyEnabled?: boolean;
  /** Instead of author key, mask and signing key. */
  flags?: number;
  reportData?: Bytes;
  measurements?: Partial<Record<"measurement" | "hostData" | "idKeyDigest" | "authorKeyDigest", Bytes>>;
  reportId?: Bytes;
  reportIdMa?: Bytes;
  /** `1.55.29` */
  currentVersion?: string;
  committedVersion?: string;
  /** Of version 5. */
  mitigations?: { launch?: bigint; current?: bigint };
  signatureAlgorithm?: number;
  /** Has the last word on the report that is signed. */
  edit?: (report: Uint8Array) => void;
  signer?: LabKey;

  ark?: Partial<CertificateOptions>;
  ask?: Partial<CertificateOptions>;
  asvk?: Partial<CertificateOptions>;
  /** VCEK or VLEK. */
  leaf?: Partial<CertificateOptions>;
  /** What the leaf's extensions say, where it is not what the report says; `null` leaves one out. */
  leafSays?: { tcb?: Partial<SnpTcb>; hwId?: Bytes | null; productName?: string | null; cspId?: string | null };
  /** In place of the list that the ARK makes; `false` for no list. */
  crl?: Partial<CrlOptions> | false;
  revoked?: readonly ("ask" | "asvk" | "leaf")[];
  /** Certificates are collateral instead of coming with the report. */
  apart?: boolean;
  /** Of ARK, ASK and ASVK. 4096 bits, as AMD's, unless given: made once in a process, for all products. */
  rsa?: "RSA-2048" | "RSA-4096";
}

export interface SnpLab extends Lab<SnpEvidence> {
  report: Uint8Array;
  keys: { ark: LabKey; ask: LabKey; asvk: LabKey; leaf: LabKey };
  certificates: { ark: Uint8Array; ask: Uint8Array; asvk: Uint8Array; leaf: Uint8Array };
}

/** What the laboratory's processors have unless told otherwise. */
export const LAB_TCB: Record<SnpProductName, SnpTcb> = {
  Milan: { bootloader: 4, tee: 0, snp: 24, microcode: 219 },
  Genoa: { bootloader: 10, tee: 0, snp: 27, microcode: 84 },
  Turin: { fmc: 1, bootloader: 1, tee: 1, snp: 4, microcode: 81 },
};

const CPUID: Record<SnpProductName, { family: number; model: number; stepping: number }> = {
  Milan: { family: 0x19, model: 0x01, stepping: 1 },
  Genoa: { family: 0x19, model: 0x11, stepping: 1 },
  Turin: { family: 0x1a, model: 0x02, stepping: 1 },
};

const NAMES: Record<SnpProductName, string> = { Milan: "Milan-B1", Genoa: "Genoa-B1", Turin: "Turin" };
const SERIALS: Record<SnpProductName, number> = { Milan: 0x10000, Genoa: 0x20000, Turin: 0x30000 };
const AMD = { OU: "Engineering", C: "US", L: "Santa Clara", ST: "CA", O: "Advanced Micro Devices" } as const;
const EXTENSION = "1.3.6.1.4.1.3704.1";

/** A processor's report, and the keys of its product. */
export function snpProcessor(options: SnpOptions = {}): SnpLab {
  const { now = LAB_NOW, product = "Milan", signingKey = "VCEK", rsa = "RSA-4096" } = options;
  const keys = {
    ark: cachedKey(rsa, "ARK"),
    ask: cachedKey(rsa, "ASK"),
    asvk: cachedKey(rsa, "ASVK"),
    leaf: makeKey("P-384"),
  };
  const window = { notBefore: now - 5 * 365 * DAY, notAfter: now + 20 * 365 * DAY };
  const ark: CertificateOptions = {
    subject: { ...AMD, CN: `ARK-${product}` },
    key: keys.ark,
    serial: SERIALS[product],
    ca: true,
    keyUsage: ["keyCertSign", "cRLSign"],
    ...window,
    ...options.ark,
  };
  const issuing = {
    issuer: ark.subject,
    issuerKey: keys.ark,
    ca: true,
    pathLength: 0,
    keyUsage: ["keyCertSign"],
    ...window,
  } satisfies Partial<CertificateOptions>;
  const ask: CertificateOptions = {
    subject: { ...AMD, CN: `SEV-${product}` },
    key: keys.ask,
    serial: SERIALS[product] + 1,
    ...issuing,
    ...options.ask,
  };
  const asvk: CertificateOptions = {
    subject: { ...AMD, CN: `SEV-VLEK-${product}` },
    key: keys.asvk,
    serial: SERIALS[product] + 0x101,
    ...issuing,
    ...options.asvk,
  };
  const issuer = signingKey === "VLEK" ? asvk : ask;
  const leaf: CertificateOptions = {
    subject: { ...AMD, CN: `SEV-${signingKey}` },
    issuer: issuer.subject,
    key: keys.leaf,
    issuerKey: issuer.key,
    serial: 0,
    extensions: leafExtensions(options),
    notBefore: now - 30 * DAY,
    notAfter: now + (signingKey === "VLEK" ? 335 : 7 * 365) * DAY,
    ...options.leaf,
  };
  const certificates = {
    ark: makeCertificate(ark),
    ask: makeCertificate(ask),
    asvk: makeCertificate(asvk),
    leaf: makeCertificate(leaf),
  };
  const report = makeReport(options);
  report.set(signature(options.signer ?? keys.leaf, report.subarray(0, 0x2a0)), 0x2a0);

  const { revoked = [], apart = false, crl = {} } = options;
  const serials = revoked.map((each) => ({ ask, asvk, leaf })[each].serial!);
  const lists = crl
    ? [
        makeCrl({
          issuer: ark.subject,
          issuerKey: keys.ark,
          thisUpdate: now - DAY,
          nextUpdate: now + 364 * DAY,
          revoked: serials,
          ...crl,
        }),
      ]
    : [];
  const chain = [certificates.leaf, signingKey === "VLEK" ? certificates.asvk : certificates.ask, certificates.ark];
  const own = { ark: certificates.ark, ask: certificates.ask, asvk: certificates.asvk };
  return {
    now,
    roots: { amd: { ...PINNED_ROOTS.amd, [product]: own } },
    evidence: { kind: "snp", report, ...(apart ? {} : { certificates: chain }) },
    collateral: { amd: { certificates: apart ? chain : [], crls: lists } },
    report,
    keys,
    certificates,
  };
}

function makeReport(options: SnpOptions): Uint8Array {
  const { product = "Milan", signingKey = "VCEK", measurements = {}, mitigations = {} } = options;
  const version = options.reportVersion ?? (product === "Turin" ? 5 : 3);
  const cpuid = options.cpuid ?? CPUID[product];
  const { authorKeyEnabled = false, maskChipKey = false } = options;
  const flags =
    options.flags ?? (authorKeyEnabled ? 1 : 0) | (maskChipKey ? 2 : 0) | (signingKey === "VLEK" ? 1 << 2 : 0);
  const report = place(1184, [
    [0x00, littleEndian(version, 4)],
    [0x04, littleEndian(options.guestSvn ?? 0, 4)],
    [0x08, littleEndian(options.policyRaw ?? policyBits(options), 8)],
    [0x10, fixed(options.familyId, 16)],
    [0x20, fixed(options.imageId, 16)],
    [0x30, littleEndian(options.vmpl ?? 0, 4)],
    [0x34, littleEndian(options.signatureAlgorithm ?? 1, 4)],
    [0x38, tcbBytes(options, "current")],
    [0x40, littleEndian(platformBits(options), 8)],
    [0x48, littleEndian(flags, 4)],
    [0x50, fixed(options.reportData, 64)],
    [0x90, fixed(measurements.measurement ?? filled(0xb1, 48), 48)],
    [0xc0, fixed(measurements.hostData, 32)],
    [0xe0, fixed(measurements.idKeyDigest, 48)],
    [0x110, fixed(measurements.authorKeyDigest, 48)],
    [0x140, fixed(options.reportId ?? filled(0xb2, 32), 32)],
    [0x160, fixed(options.reportIdMa ?? filled(0xff, 32), 32)],
    [0x180, tcbBytes(options, "reported")],
    [0x188, version < 3 ? new Uint8Array() : Uint8Array.of(cpuid.family, cpuid.model, cpuid.stepping)],
    [0x1a0, chipIdOf(options)],
    [0x1e0, tcbBytes(options, "committed")],
    [0x1e8, versionBytes(options.currentVersion ?? "1.55.29")],
    [0x1ec, versionBytes(options.committedVersion ?? "1.55.29")],
    [0x1f0, tcbBytes(options, "launch")],
    [0x1f8, littleEndian(version < 5 ? 0n : (mitigations.launch ?? 3n), 8)],
    [0x200, littleEndian(version < 5 ? 0n : (mitigations.current ?? 3n), 8)],
  ]);
  options.edit?.(report);
  return report;
}

/** A VLEK's report may hide the chip; Turin's identity has 8 bytes. */
function chipIdOf({ product = "Milan", signingKey = "VCEK", chipId, maskChipKey = false }: SnpOptions): Uint8Array {
  const usual = signingKey === "VLEK" || maskChipKey ? [] : filled(0xc1, product === "Turin" ? 8 : 64);
  return fixed(chipId ?? usual, 64);
}

function tcbOf({ product = "Milan", tcb = {} }: SnpOptions, which: keyof SnpClaims["tcb"]): SnpTcb {
  return { ...LAB_TCB[product], ...tcb.all, ...tcb[which] };
}

function tcbBytes(options: SnpOptions, which: keyof SnpClaims["tcb"]): Uint8Array {
  const { fmc = 0, bootloader, tee, snp, microcode } = tcbOf(options, which);
  if (options.product === "Turin") return Uint8Array.of(fmc, bootloader, tee, snp, 0, 0, 0, microcode);
  return Uint8Array.of(bootloader, tee, 0, 0, 0, 0, snp, microcode);
}

function policyBits({ policy = {}, debug = false }: SnpOptions): bigint {
  const { abiMajor = 0, abiMinor = 31, smt = true, unknownBits = [] } = policy;
  const flags: (readonly [boolean | undefined, number])[] = [
    [smt, 16],
    [true, 17],
    [policy.migrateMa, 18],
    [debug, 19],
    [policy.singleSocket, 20],
    [policy.cxlAllowed, 21],
    [policy.memAes256Xts, 22],
    [policy.raplDisabled, 23],
    [policy.ciphertextHiding, 24],
    [policy.pageSwapDisabled, 25],
  ];
  return (BigInt(abiMajor) << 8n) | BigInt(abiMinor) | bits(flags, unknownBits);
}

function platformBits({ platformInfo = {} }: SnpOptions): bigint {
  const { smt = true, aliasCheckComplete = true, unknownBits = [] } = platformInfo;
  const flags: (readonly [boolean | undefined, number])[] = [
    [smt, 0],
    [platformInfo.tsme, 1],
    [platformInfo.ecc, 2],
    [platformInfo.raplDisabled, 3],
    [platformInfo.ciphertextHiding, 4],
    [aliasCheckComplete, 5],
    [platformInfo.tio, 7],
  ];
  return bits(flags, unknownBits);
}

function bits(flags: readonly (readonly [boolean | undefined, number])[], unknown: readonly number[]): bigint {
  const known = flags.filter(([set]) => set).map(([, bit]) => bit);
  return [...known, ...unknown].reduce((value, bit) => value | (1n << BigInt(bit)), 0n);
}

/** `major.minor.build`, which the report has the other way round. */
function versionBytes(version: string): Uint8Array {
  return Uint8Array.from(version.split(".").map(Number).reverse());
}

/** What AMD writes into VCEKs and VLEKs. */
function leafExtensions(options: SnpOptions): LabExtension[] {
  const { product = "Milan", signingKey = "VCEK", leafSays = {} } = options;
  const tcb = { ...tcbOf(options, "reported"), ...leafSays.tcb };
  const number = (suffix: string, value: number) => ({ oid: `${EXTENSION}.${suffix}`, value: der.integer(value) });
  const text = (suffix: string, value: string) => ({ oid: `${EXTENSION}.${suffix}`, value: ia5String(value) });
  const { productName = NAMES[product], cspId = signingKey === "VLEK" ? "CN=lab.example" : null } = leafSays;
  const { hwId = signingKey === "VCEK" ? chipOf(options) : null } = leafSays;
  return [
    number("1", 1),
    ...(productName === null ? [] : [text("2", productName)]),
    ...(tcb.fmc === undefined ? [] : [number("3.9", tcb.fmc)]),
    number("3.1", tcb.bootloader),
    number("3.2", tcb.tee),
    number("3.3", tcb.snp),
    ...["3.4", "3.5", "3.6", "3.7"].slice(tcb.fmc === undefined ? 0 : 1).map((suffix) => number(suffix, 0)),
    number("3.8", tcb.microcode),
    // The bare bytes, without a string around them, as AMD has it.
    ...(hwId === null ? [] : [{ oid: `${EXTENSION}.4`, value: toBytes(hwId) }]),
    ...(cspId === null ? [] : [text("5", cspId)]),
  ];
}

/** The chip's identity as its VCEK has it, whether the report hides it or not. */
function chipOf({ product = "Milan", chipId }: SnpOptions): Uint8Array {
  const length = product === "Turin" ? 8 : 64;
  return fixed(chipId ?? filled(0xc1, length), 64).slice(0, length);
}

function ia5String(text: string): Uint8Array {
  return der.element(0x16, new TextEncoder().encode(text));
}

/** r and s, little-endian, in fields of 72 bytes. */
function signature(key: LabKey, message: Uint8Array): Uint8Array {
  const signed = signBytes(key, message, "ieee-p1363");
  const half = signed.length / 2;
  return place(512, [
    [0, signed.slice(0, half).reverse()],
    [72, signed.slice(half).reverse()],
  ]);
}
