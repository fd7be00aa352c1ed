/**
 * The attestation report of SEV-SNP (AMD 56860, ATTESTATION_REPORT): bytes to fields, nothing believed yet.
 *
 * Versions 2 to 5 have one length and one signature; 3 adds the processor's CPUID, 4 brings no field of its own, 5 adds
 * the mitigation vectors. What is reserved and signed may get a meaning in later firmware and is reported; what is reserved
 * and not signed must be zero, because anybody could change it.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { bytesToBigInt } from "../../field/scalar.js";
import { demand } from "../context.js";
import { ByteReader, isZero } from "../read/bytes.js";

export const REPORT_BYTES = 0x4a0;

/** What the signature covers. */
const SIGNED_BYTES = 0x2a0;

/** r and s stand little-endian in fields of this length, of which P-384 needs 48 bytes. */
const SCALAR_BYTES = 72;

export const MIN_REPORT_VERSION = 2;
export const MAX_REPORT_VERSION = 5;

const ECDSA_P384_SHA384 = 1;

/** What a report has as its VMPL if the host asked for it and not the guest. */
const HOST_REQUESTED = 0xffffffff;

export interface FirmwareVersion {
  major: number;
  minor: number;
  build: number;
}

export interface SnpReport {
  version: number;
  guestSvn: number;
  policy: bigint;
  familyId: Uint8Array;
  imageId: Uint8Array;
  vmpl: number;
  platformInfo: bigint;
  flags: number;
  authorKeyEnabled: boolean;
  maskChipKey: boolean;
  /** 0 VCEK, 1 VLEK, 7 none. */
  signingKey: number;
  reportData: Uint8Array;
  measurement: Uint8Array;
  hostData: Uint8Array;
  idKeyDigest: Uint8Array;
  authorKeyDigest: Uint8Array;
  reportId: Uint8Array;
  reportIdMa: Uint8Array;
  /** Eight bytes each; `tcb.ts` reads them, for which the product has to be known. */
  tcb: { current: Uint8Array; reported: Uint8Array; committed: Uint8Array; launch: Uint8Array };
  /** From version 3 on. */
  cpuid?: { family: number; model: number; stepping: number };
  chipId: Uint8Array;
  currentVersion: FirmwareVersion;
  committedVersion: FirmwareVersion;
  /** From version 5 on: bits of mitigations that were verified to be active. */
  mitigations?: { launch: bigint; current: bigint };
  /** Offsets of signed bytes that are reserved in this version and not zero. */
  reserved: number[];
  /** What is signed. */
  signed: Uint8Array;
  /** Of the signature, as integers of any size. */
  r: bigint;
  s: bigint;
}

/** @throws EVIDENCE_MALFORMED, UNSUPPORTED_REPORT_VERSION */
export function parseSnpReport(bytes: Uint8Array): SnpReport {
  demand(
    bytes.length === REPORT_BYTES,
    "EVIDENCE_MALFORMED",
    `an SNP report has ${REPORT_BYTES} bytes, and this has ${bytes.length}`,
  );
  const reader = new ByteReader(bytes);
  const reserved: number[] = [];
  const skip = (length: number) => {
    const { offset } = reader;
    reader.take(length, "reserved bytes").forEach((byte, i) => {
      if (byte !== 0) reserved.push(offset + i);
    });
  };
  const version = reader.u32le("the version");
  if (version < MIN_REPORT_VERSION || version > MAX_REPORT_VERSION) {
    throw new AnchorError(
      "UNSUPPORTED_REPORT_VERSION",
      `SNP report version ${version}; supported are ${MIN_REPORT_VERSION} to ${MAX_REPORT_VERSION}`,
    );
  }
  const guestSvn = reader.u32le("the guest's SVN");
  const policy = reader.u64le("the guest's policy");
  const familyId = reader.take(16, "the family id");
  const imageId = reader.take(16, "the image id");
  const vmpl = reader.u32le("the VMPL");
  const algorithm = reader.u32le("the signature algorithm");
  demand(
    algorithm === ECDSA_P384_SHA384,
    "UNSUPPORTED_REPORT_VERSION",
    `signature algorithm ${algorithm}; supported is ${ECDSA_P384_SHA384}, ECDSA on P-384 with SHA-384`,
  );
  const current = reader.take(8, "the current TCB");
  const platformInfo = reader.u64le("the platform info");
  const flags = reader.u32le("the key flags");
  skip(4);
  const reportData = reader.take(64, "the report data");
  const measurement = reader.take(48, "the measurement");
  const hostData = reader.take(32, "the host data");
  const idKeyDigest = reader.take(48, "the digest of the id key");
  const authorKeyDigest = reader.take(48, "the digest of the author key");
  const reportId = reader.take(32, "the report id");
  const reportIdMa = reader.take(32, "the report id of the migration agent");
  const reported = reader.take(8, "the reported TCB");
  const cpuid =
    version >= 3
      ? {
          family: reader.u8("the CPU's family"),
          model: reader.u8("the CPU's model"),
          stepping: reader.u8("the CPU's stepping"),
        }
      : undefined;
  skip(0x1a0 - reader.offset);
  const chipId = reader.take(64, "the chip id");
  const committed = reader.take(8, "the committed TCB");
  const firmware = (): FirmwareVersion => {
    const [build, minor, major] = reader.take(3, "a firmware version") as unknown as [number, number, number];
    skip(1);
    return { major, minor, build };
  };
  const currentVersion = firmware();
  const committedVersion = firmware();
  const launch = reader.take(8, "the TCB at launch");
  const mitigations =
    version >= 5
      ? { launch: reader.u64le("mitigations at launch"), current: reader.u64le("current mitigations") }
      : undefined;
  skip(SIGNED_BYTES - reader.offset);
  const scalar = (what: string) => bytesToBigInt(reader.take(SCALAR_BYTES, what).slice().reverse());
  const r = scalar("r of the signature");
  const s = scalar("s of the signature");
  demand(isZero(reader.rest()), "EVIDENCE_MALFORMED", "the bytes behind the signature are not zero, and not signed");
  demand(
    vmpl <= 3,
    "EVIDENCE_MALFORMED",
    vmpl === HOST_REQUESTED
      ? "the report was requested by the host and not by the guest, whose data it does not hold"
      : `VMPL ${vmpl}; there are 0 to 3`,
  );
  demand(((policy >> 17n) & 1n) === 1n, "EVIDENCE_MALFORMED", "bit 17 of the guest's policy is 0, and has to be 1");
  return {
    version,
    guestSvn,
    policy,
    familyId,
    imageId,
    vmpl,
    platformInfo,
    flags,
    authorKeyEnabled: (flags & 1) !== 0,
    maskChipKey: (flags & 2) !== 0,
    signingKey: (flags >> 2) & 7,
    reportData,
    measurement,
    hostData,
    idKeyDigest,
    authorKeyDigest,
    reportId,
    reportIdMa,
    tcb: { current, reported, committed, launch },
    ...(cpuid ? { cpuid } : {}),
    chipId,
    currentVersion,
    committedVersion,
    ...(mitigations ? { mitigations } : {}),
    reserved,
    signed: bytes.subarray(0, SIGNED_BYTES),
    r,
    s,
  };
}

/** Bits of the guest's policy by number, beside the ABI version in 0 to 15; bit 17 is always 1. */
const POLICY_BITS = {
  smt: 16,
  migrateMa: 18,
  debug: 19,
  singleSocket: 20,
  cxlAllowed: 21,
  memAes256Xts: 22,
  raplDisabled: 23,
  ciphertextHiding: 24,
  pageSwapDisabled: 25,
} as const;

const PLATFORM_BITS = {
  smt: 0,
  tsme: 1,
  ecc: 2,
  raplDisabled: 3,
  ciphertextHiding: 4,
  aliasCheckComplete: 5,
  tio: 7,
} as const;

const FLAG_BITS = [0, 1, 2, 3, 4];

type Bits<T> = { -readonly [K in keyof T]: boolean };

export type SnpPolicy = Bits<typeof POLICY_BITS> & { abiMajor: number; abiMinor: number; unknownBits: number[] };

export function readPolicy(policy: bigint): SnpPolicy {
  const abi = Array.from({ length: 16 }, (_, i) => i);
  return {
    abiMajor: Number((policy >> 8n) & 0xffn),
    abiMinor: Number(policy & 0xffn),
    ...named(policy, POLICY_BITS),
    unknownBits: unknownBits(policy, [...abi, 17, ...Object.values(POLICY_BITS)]),
  };
}

export function readPlatformInfo(info: bigint): Bits<typeof PLATFORM_BITS> & { unknownBits: number[] } {
  return { ...named(info, PLATFORM_BITS), unknownBits: unknownBits(info, Object.values(PLATFORM_BITS)) };
}

export function unknownFlags(flags: number): number[] {
  return unknownBits(BigInt(flags), FLAG_BITS);
}

function named<T extends Record<string, number>>(value: bigint, bits: T): Bits<T> {
  return Object.fromEntries(
    Object.entries(bits).map(([name, bit]) => [name, ((value >> BigInt(bit)) & 1n) === 1n]),
  ) as Bits<T>;
}

function unknownBits(value: bigint, known: readonly number[]): number[] {
  return Array.from({ length: 64 }, (_, bit) => bit).filter(
    (bit) => ((value >> BigInt(bit)) & 1n) === 1n && !known.includes(bit),
  );
}
