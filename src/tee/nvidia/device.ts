/**
 * What a GPU or a switch says about itself: fields of its report that are read beyond their bytes, and its certificates.
 *
 * @module
 */
import { demand } from "../context.js";
import type { NvidiaEvidence } from "../evidence.js";
import { isZero } from "../read/bytes.js";
import { contextTag, Der, TAG } from "../read/der.js";
import { type Certificate, describe, parseCertificate } from "../x509.js";
import { OPAQUE, parseSpdmReport, type SpdmReport } from "./spdm.js";

/** TCG's DICE extension: CompositeDeviceID as Hopper and LS10 have it, or TcbInfo. */
const DICE_COMPOSITE = "2.23.133.5.4.1";
/** Where Blackwell has its TcbInfo. */
const DICE_TCB_INFO = "2.23.133.5.4.1.1";
const SHA384 = "2.16.840.1.101.3.4.2.2";
const FWID_BYTES = 48;

/** Bits of TcbInfo's operational flags (TCG DICE Attestation Architecture 1.1). The last one only fixes the width. */
const TCB_FLAGS = ["not configured", "not secure", "recovery", "debug"] as const;

export type DeviceKind = "GPU" | "NVSwitch";

export interface Identity {
  device: DeviceKind;
  /** `GH100`, `LS10`. */
  chip: string;
}

/**
 * The chip that a device's certificate is for, by its common name such as `GH100 A01 GSP FMC LF`; the one that is burnt in
 * (`GH100 A01 GSP BROM`) has to name the same.
 *
 * @throws CHAIN_CONSTRAINTS for a certificate of anything but a GPU or a switch
 */
export function readIdentity(leaf: Certificate, burntIn: Certificate): Identity {
  const chip = firstWord(leaf);
  const device = /^G[A-Z]\d{2,3}[A-Z]?$/.test(chip) ? "GPU" : /^LS\d{2}$/.test(chip) ? "NVSwitch" : undefined;
  demand(device !== undefined, "CHAIN_CONSTRAINTS", `${describe(leaf)} is of no GPU or switch`);
  const issuer = firstWord(burntIn);
  demand(issuer === chip, "CHAIN_CONSTRAINTS", `${describe(leaf)} is issued by a device of another kind: ${issuer}`);
  return { device, chip };
}

/** Certificates spell LS10 as `LS_10`. */
function firstWord({ subject }: Certificate): string {
  return (subject.commonName.split(" ", 1)[0] ?? "").replace("_", "");
}

export interface Dice {
  /** SHA-384 over the firmware that the certificate was issued to. */
  fwid: Uint8Array;
  /** Names of the operational flags that are set. */
  flags: string[];
}

/**
 * The DICE extension of a device's certificate, in either of its two shapes:
 *
 *     CompositeDeviceID ::= SEQUENCE { version INTEGER, deviceID SubjectPublicKeyInfo, fwid FWID }
 *     TcbInfo ::= SEQUENCE { … [6] IMPLICIT SEQUENCE OF FWID, [7] IMPLICIT OperationalFlags … }
 *     FWID ::= SEQUENCE { hashAlg OBJECT IDENTIFIER, digest OCTET STRING }
 *
 * Of several FWIDs the first is the firmware that signs reports.
 *
 * @returns undefined where the certificate has no such extension
 * @throws CERT_MALFORMED
 */
export function readDice(certificate: Certificate): Dice | undefined {
  const code = "CERT_MALFORMED";
  const extension = certificate.extensions.get(DICE_COMPOSITE) ?? certificate.extensions.get(DICE_TCB_INFO);
  if (!extension) return undefined;
  const outer = Der.parse(extension.value, code);
  const children = outer.sequence("the DICE extension");
  if (children[0]?.is(TAG.integer)) {
    const fields = outer.fields("the DICE extension");
    fields.next("a version").small("the version of the DICE extension");
    fields.next("a device identity").expect(TAG.sequence, "the device identity");
    const fwid = readFwid(fields.next("a firmware identity"));
    fields.end();
    return { fwid, flags: [] };
  }
  const tagged = new Map<number, Der>();
  for (const child of children) {
    const inOrder = (child.tag & 0x80) !== 0 && [...tagged.keys()].every((tag) => (tag & 0x1f) < (child.tag & 0x1f));
    demand(inOrder, code, "the fields of a DICE extension are not in their order");
    tagged.set(child.tag, child);
  }
  const first = tagged.get(contextTag(6, true))?.children()[0];
  demand(first !== undefined, code, "a DICE extension has no firmware identity");
  return { fwid: readFwid(first), flags: readFlags(tagged.get(contextTag(7, false))) };
}

function readFwid(element: Der): Uint8Array {
  const fields = element.fields("a firmware identity");
  const algorithm = fields.next("a hash").oid("the hash of a firmware identity");
  const fwid = fields.next("a digest").octets("a firmware identity");
  fields.end();
  demand(
    algorithm === SHA384 && fwid.length === FWID_BYTES,
    "CERT_MALFORMED",
    `a firmware identity is no SHA-384 but ${fwid.length} bytes of ${algorithm}`,
  );
  return fwid;
}

/** BIT STRING without its tag, which is implicit. */
function readFlags(element: Der | undefined): string[] {
  const [unused = 8, ...bytes] = element?.content ?? [0];
  demand(unused <= 7, "CERT_MALFORMED", "the flags of a DICE extension are no string of bits");
  return TCB_FLAGS.filter((_, bit) => (((bytes[0] ?? 0) >> (7 - bit)) & 1) === 1);
}

/** Devices have five certificates, root included. */
const MAX_CERTIFICATES = 10;

/** @throws CERT_MALFORMED; CHAIN_INCOMPLETE for more than any chain has */
export function readCertificates({ certificates }: NvidiaEvidence): Certificate[] {
  demand(
    certificates.length <= MAX_CERTIFICATES,
    "CHAIN_INCOMPLETE",
    `the chain of a GPU or switch has ${certificates.length} certificates; the most is ${MAX_CERTIFICATES}`,
  );
  return certificates.map((der) => parseCertificate(der));
}

/** Fields that are read; all others are reported as their bytes. */
export interface DeviceState {
  driver: string;
  vbios: string;
  /** Absent where the report has none: VBIOS of 2023, switches. */
  fwid?: Uint8Array;
  /** Whether measurement 36 holds nothing to compare, because the decoder that it measures is switched off. */
  nvdec0?: "enabled" | "disabled";
  /** Confidential computing over one GPU (`spt`), several (`mpt`), or with switches (`ppcie`); a new one as `flag 3`. */
  mode?: string;
  protectedPcie?: boolean;
  /** The identifier that linked devices know a switch by. */
  pdi?: Uint8Array;
  /** Identifiers of linked devices, each once, sorted; of switches on a GPU, of GPUs on a switch. */
  links?: Uint8Array[];
  /** The chips that one manifest is for, which newer reports name: `GB100`. */
  family: string;
  /** NVIDIA's names of the manifests for this state; absent where the report lacks a part of them. */
  rimIds: { driver?: string; vbios?: string };
}

const READ_ALWAYS: readonly number[] = Object.values(OPAQUE);
/** Versions of opaque data up to this one are known. */
const OPAQUE_VERSION = 1n;
/** A flag's two values; anything else is neither. */
const ON = 0xaa;
const OFF = 0x55;
const PDI_BYTES = 8;
/** Slots that a switch has for GPUs. */
const SWITCH_GPUS = 8;

/** @throws EVIDENCE_MALFORMED, UNSUPPORTED_REPORT_VERSION */
export function readState({ opaque }: SpdmReport, { device, chip }: Identity): DeviceState {
  const driver = text(opaque, OPAQUE.driverVersion, "the driver's version") ?? "";
  const fwid = opaque.get(OPAQUE.firmwareId);
  demand(
    fwid === undefined || fwid.length === FWID_BYTES,
    "EVIDENCE_MALFORMED",
    `the report's firmware identity has ${fwid?.length} bytes instead of ${FWID_BYTES}`,
  );
  return {
    driver,
    ...(fwid ? { fwid } : {}),
    ...(device === "GPU" ? gpuState(opaque, chip, driver) : switchState(opaque, chip)),
  };
}

function gpuState(opaque: Opaque, chip: string, driver: string): Omit<DeviceState, "driver" | "fwid"> {
  const version = integer(opaque, OPAQUE.opaqueVersion, "the version of the opaque data") ?? 0n;
  demand(
    version <= OPAQUE_VERSION,
    "UNSUPPORTED_REPORT_VERSION",
    `the opaque data of the report have version ${version}; known are those up to ${OPAQUE_VERSION}`,
  );
  const vbios = gpuVbios(opaque);
  const nvdec0 = flag(opaque, OPAQUE.nvdec0Status, "the status of NVDEC0");
  const protectedPcie = flag(opaque, OPAQUE.protectedPcie, "the status of protected PCIe");
  const mode = gpuMode(version, opaque);
  const links = opaque.get(OPAQUE.deviceIdentifiers);
  const project = text(opaque, OPAQUE.project, "the project");
  const projectSku = text(opaque, OPAQUE.projectSku, "the project's SKU");
  const chipSku = text(opaque, OPAQUE.chipSku, "the chip's SKU");
  const named = project !== undefined && projectSku !== undefined && chipSku !== undefined && vbios !== "";
  // Hopper's manifests are named after the chip; from Blackwell on, the report may name the family that they are for.
  const family = text(opaque, OPAQUE.chipInfo, "the chip") ?? (chip.startsWith("GB") ? "GB100" : chip);
  const prefix = chip.startsWith("GH") ? "NV_GPU_DRIVER" : "NV_GPU_CC_DRIVER";
  return {
    vbios,
    ...(nvdec0 === undefined ? {} : { nvdec0: nvdec0 ? ("enabled" as const) : ("disabled" as const) }),
    ...(mode === undefined ? {} : { mode }),
    ...(protectedPcie === undefined ? {} : { protectedPcie }),
    // A GPU spells the identifiers of its switches backwards.
    ...(links
      ? {
          links: identifiers(links)
            .map((each) => each.toReversed())
            .sort(byBytes),
        }
      : {}),
    family,
    rimIds: {
      ...(driver === "" ? {} : { driver: `${prefix}_${family}_${driver}` }),
      ...(named ? { vbios: `NV_GPU_VBIOS_${project}_${projectSku}_${chipSku}_${vbios.replaceAll(".", "")}` } : {}),
    },
  };
}

function switchState(opaque: Opaque, chip: string): Omit<DeviceState, "driver" | "fwid"> {
  const vbios = text(opaque, OPAQUE.vbiosVersion, "the BIOS's version") ?? "";
  const pdi = opaque.get(OPAQUE.deviceIdentifiers);
  demand(
    pdi === undefined || pdi.length === PDI_BYTES,
    "EVIDENCE_MALFORMED",
    `the switch's identifier has ${pdi?.length} bytes instead of ${PDI_BYTES}`,
  );
  const links = opaque.get(OPAQUE.linkedGpus);
  const end = SWITCH_GPUS * PDI_BYTES;
  demand(
    links === undefined || links.length >= end,
    "EVIDENCE_MALFORMED",
    `the list of linked GPUs has ${links?.length} bytes; ${end} are their identifiers`,
  );
  return {
    vbios,
    // GPUs spell the identifiers of switches in the reverse of a switch's own spelling.
    ...(pdi ? { pdi } : {}),
    ...(links ? { links: identifiers(links.subarray(0, end)) } : {}),
    family: chip,
    // All LS10 are of one project.
    rimIds: vbios === "" ? {} : { vbios: `NV_SWITCH_BIOS_5612_0002_890_${vbios.replaceAll(".", "").toUpperCase()}` },
  };
}

/**
 * What evidence says before anybody has checked it: for people who look at it, and to know what collateral it needs.
 *
 * @throws EVIDENCE_MALFORMED, TRAILING_DATA, UNSUPPORTED_REPORT_VERSION, CERT_MALFORMED, CHAIN_CONSTRAINTS, CHAIN_INCOMPLETE
 */
export function outlineDevice(evidence: NvidiaEvidence): {
  report: SpdmReport;
  certificates: Certificate[];
  identity: Identity;
  state: DeviceState;
  /** Names of the reference manifests that it needs, at NVIDIA's service. */
  rims: string[];
} {
  const parsed = parseSpdmReport(evidence.report);
  const chain = readCertificates(evidence);
  const [leaf, burntIn] = chain;
  demand(
    leaf !== undefined && burntIn !== undefined,
    "CHAIN_INCOMPLETE",
    "a device's evidence has less than two certificates",
  );
  const identity = readIdentity(leaf, burntIn);
  const state = readState(parsed, identity);
  return { report: parsed, certificates: chain, identity, state, rims: Object.values(state.rimIds) };
}

/** Fields that this release does not know. */
export function unknownFields(opaque: Opaque): [number, Uint8Array][] {
  return [...opaque].filter(([type]) => !READ_ALWAYS.includes(type));
}

type Opaque = ReadonlyMap<number, Uint8Array>;

/** Eight bytes such as `0074009620000000` are version 96.00.74.00.20. */
function gpuVbios(opaque: Opaque): string {
  const bytes = opaque.get(OPAQUE.vbiosVersion);
  if (bytes === undefined) return "";
  demand(bytes.length === 8, "EVIDENCE_MALFORMED", `the VBIOS's version has ${bytes.length} bytes instead of 8`);
  return [3, 2, 1, 0, 4].map((i) => bytes[i]!.toString(16).padStart(2, "0").toUpperCase()).join(".");
}

function gpuMode(version: bigint, opaque: Opaque): string | undefined {
  // Older opaque data have the flag's bytes without its meaning.
  if (version < 1n) return undefined;
  const value = integer(opaque, OPAQUE.featureFlag, "the feature flag");
  return value === undefined ? undefined : (["mpt", "spt", "ppcie"][Number(value)] ?? `flag ${value}`);
}

/** Characters up to the zeros that fill the field. */
function text(opaque: Opaque, type: number, what: string): string | undefined {
  const bytes = opaque.get(type);
  if (bytes === undefined) return undefined;
  const value = String.fromCharCode(...bytes.subarray(0, MAX_TEXT)).replace(/\0+$/, "");
  demand(bytes.length <= MAX_TEXT && /^[A-Za-z0-9._-]*$/.test(value), "EVIDENCE_MALFORMED", `${what} is no plain text`);
  return value;
}
const MAX_TEXT = 64;

function integer(opaque: Opaque, type: number, what: string): bigint | undefined {
  const bytes = opaque.get(type);
  if (bytes === undefined) return undefined;
  demand(bytes.length <= 8, "EVIDENCE_MALFORMED", `${what} has ${bytes.length} bytes`);
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function flag(opaque: Opaque, type: number, what: string): boolean | undefined {
  const bytes = opaque.get(type);
  if (bytes === undefined) return undefined;
  const [value] = bytes;
  demand(
    bytes.length === 1 && (value === ON || value === OFF),
    "EVIDENCE_MALFORMED",
    `${what} is neither 0x${ON.toString(16)} nor 0x${OFF.toString(16)}`,
  );
  return value === ON;
}

/** Each once, sorted; slots without a device are zero. */
function identifiers(bytes: Uint8Array): Uint8Array[] {
  demand(
    bytes.length % PDI_BYTES === 0,
    "EVIDENCE_MALFORMED",
    `a list of device identifiers has ${bytes.length} bytes, which are no multiple of ${PDI_BYTES}`,
  );
  const found = new Map<string, Uint8Array>();
  for (let at = 0; at < bytes.length; at += PDI_BYTES) {
    const each = bytes.subarray(at, at + PDI_BYTES);
    if (!isZero(each)) found.set(Buffer.from(each).toString("hex"), each);
  }
  return [...found.values()].sort(byBytes);
}

function byBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
