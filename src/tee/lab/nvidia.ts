/**
 * GPUs and switches of NVIDIA's that never were: SPDM reports, the manifests of their firmware, and answers about their
 * certificates.
 *
 * @module
 */
import { concat, toHex, utf8 } from "../../field/bytes.js";
import type { NvidiaEvidence } from "../evidence.js";
import { type Bytes, filled, fixed, LAB_NONCE, type Lab, littleEndian, toBytes } from "./bytes.js";
import {
  type CertificateOptions,
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
import { makeOcsp, OCSP_RESPONDER, type OcspEntry } from "./ocsp.js";
import { makeRim, type RimOptions } from "./rim.js";

export interface NvidiaOptions {
  now?: number;
  device?: "GPU" | "NVSwitch";
  /** `GH100`, or `LS10` for a switch. */
  chip?: string;
  driver?: string;
  /** `96.00.74.00.20` */
  vbios?: string;
  /** The verifier's, 32 bytes, in the request. */
  nonce?: Bytes;
  /** The device's, in the answer. */
  responseNonce?: Bytes;
  /** By index from 1 on; 64 blocks of 48 bytes, each its own, unless given. */
  blocks?: Record<number, Bytes | undefined>;
  /** SHA-384 over the firmware, in report and certificate; `null` leaves it out of the report. */
  fwid?: Bytes | null;
  /** What the certificate has instead; `null` leaves the extension out. */
  certificateFwid?: Bytes | null;
  /** How the certificate has it: `composite` as Hopper's, unless given, or `tcb-info` as Blackwell's, with bits of its flags. */
  dice?: { form?: "composite" | "tcb-info"; flags?: readonly number[] };
  /** Opaque fields by type: to change, to add, or with `undefined` to take out. */
  opaque?: Record<number, Bytes | undefined>;
  /** Has the last word on request and answer as they are signed. */
  edit?: (report: Uint8Array) => Uint8Array;
  signer?: LabKey;
  /** Behind the report. */
  padding?: Uint8Array;

  /** Changes by place: 0 the leaf, 1 the one that is burnt in, then two CAs, 4 the root. */
  chain?: Readonly<Record<number, Partial<CertificateOptions>>>;
  /** Root and CAs of another device's, so that several are of one vendor; or all of them, for the same device twice. */
  keys?: Partial<NvidiaKeys>;

  /** Manifests that fit the report, or none. */
  rims?: { driver?: RimChanges | false; vbios?: RimChanges | false } | false;
  /** Of the manifests' signer: 0 the leaf, then two CAs, 3 the root. */
  rimChain?: Readonly<Record<number, Partial<CertificateOptions>>>;
  /** Answers about the certificates between leaf and root, by place 1 to 3; all are good unless given. `false` for none. */
  ocsp?: Answers | false;
  /** The same about the manifests' signer, by place 0 to 2. */
  rimOcsp?: Answers | false;
  /** The issuer itself answers, not somebody with a certificate for it. */
  ocspByIssuer?: boolean;
  /** Places of certificates that are on lists of their issuers; the lists are collateral if there are any. */
  revoked?: readonly number[];
}

/** What is answered about a certificate, by its place in the chain. */
export type Answers = Readonly<Record<number, Partial<OcspEntry> | OcspEntry["status"]>>;

/** Golden values by index, instead of those of the report. */
export type RimChanges = Partial<Omit<RimOptions, "golden">> & {
  golden?: Record<number, readonly Bytes[] | undefined>;
};

export interface NvidiaKeys {
  /** By place in the chain, leaf first. */
  chain: readonly LabKey[];
  /** By place in the chain of the manifests' signer, leaf first. */
  rim: readonly LabKey[];
}

export interface NvidiaLab extends Lab<NvidiaEvidence> {
  report: Uint8Array;
  keys: NvidiaKeys;
  /** Leaf first. */
  certificates: readonly Uint8Array[];
  rimCertificates: readonly Uint8Array[];
  rims: { driver?: string; vbios?: string };
  /** By index. */
  blocks: ReadonlyMap<number, Uint8Array>;
}

/** Indices that the laboratory's manifests have values for. The report's block is one higher. */
export const GOLDEN = { driver: [7, 17, 40], vbios: [0, 1, 2, 35] } as const;

const END = 253402300799;
const DICE = "2.23.133.5.4.1";
const DICE_TCB_INFO = "2.23.133.5.4.1.1";
const SHA384 = "2.16.840.1.101.3.4.2.2";
const NVIDIA = { O: "NVIDIA Corporation", C: "US" } as const;

/** A device, its report, and the collateral that goes with it. */
export function nvidiaDevice(options: NvidiaOptions = {}): NvidiaLab {
  const { now = LAB_NOW, device = "GPU", chip = device === "GPU" ? "GH100" : "LS10" } = options;
  const keys: NvidiaKeys = {
    chain: options.keys?.chain ?? Array.from({ length: 5 }, () => makeKey("P-384")),
    rim: options.keys?.rim ?? Array.from({ length: 4 }, () => makeKey("P-384")),
  };
  const fwid = options.fwid === undefined ? filled(0xf1, 48) : options.fwid;
  const chain = chainOf(
    deviceSubjects(chip),
    keys.chain,
    { notBefore: now - 4 * 365 * DAY, notAfter: END },
    {
      extensions: diceExtension(options, options.certificateFwid === undefined ? fwid : options.certificateFwid, keys),
    },
    options.chain,
  );
  const certificates = chain.map((each) => sameCertificate(each));
  const rimChain = chainOf(
    rimSubjects(chip),
    keys.rim,
    { notBefore: now - 365 * DAY, notAfter: now + 365 * DAY },
    {},
    options.rimChain,
  );
  const rimCertificates = rimChain.map((each) => sameCertificate(each));

  const blocks = blocksOf(options);
  const content = concat(request(options), answer(options, blocks, device, fwid));
  const signedPart = options.edit?.(content) ?? content;
  const signature = signBytes(options.signer ?? keys.chain[0]!, signedPart, "ieee-p1363");
  const report = concat(signedPart, signature, options.padding ?? new Uint8Array());

  const { rims = {} } = options;
  const manifest = (part: "driver" | "vbios") => {
    const changes = rims === false ? false : (rims[part] ?? {});
    // Switches have no driver of their own.
    if (changes === false || (device === "NVSwitch" && part === "driver")) return undefined;
    const usual = Object.fromEntries(GOLDEN[part].map((index) => [index, [blocks.get(index + 1) ?? filled(0, 48)]]));
    const rim: RimOptions = {
      product: chip,
      edition: device === "GPU" ? "GPU" : "SWITCH",
      version: part === "driver" ? driverOf(options) : vbiosOf(options),
      inactive: part === "driver" ? [62] : [63],
      key: keys.rim[0]!,
      chain: rimCertificates,
      ...changes,
      golden: present({ ...usual, ...changes.golden }),
    };
    return Object.keys(changes).length > 0 ? makeRim(rim) : sameRim(rim);
  };
  const driver = manifest("driver");
  const vbios = manifest("vbios");
  const made = { ...(driver === undefined ? {} : { driver }), ...(vbios === undefined ? {} : { vbios }) };
  return {
    now,
    roots: { nvidiaDevice: [certificates[4]!], nvidiaRim: [rimCertificates[3]!] },
    evidence: { kind: "nvidia", report, certificates },
    collateral: {
      nvidia: {
        rims: Object.values(made),
        ocsp: [
          ...answersOf(options, chain, [1, 2, 3], options.ocsp),
          ...(rims === false ? [] : answersOf(options, rimChain, [0, 1, 2], options.rimOcsp)),
        ],
        crls: listsOf(options, chain),
      },
    },
    report,
    keys,
    certificates,
    rimCertificates,
    rims: made,
    blocks,
  };
}

/** Several devices of one vendor, each with a key and serial number of its own. */
export function nvidiaDevices(each: readonly NvidiaOptions[]): readonly NvidiaLab[] {
  const cas = Array.from({ length: 3 }, () => makeKey("P-384"));
  const rim = Array.from({ length: 4 }, () => makeKey("P-384"));
  return each.map(({ chain = {}, keys, ...options }, i) =>
    nvidiaDevice({
      ...options,
      chain: {
        ...chain,
        0: { serial: 0x10_0000 + 2 * i, ...chain[0] },
        1: { serial: 0x10_0001 + 2 * i, ...chain[1] },
      },
      keys: { chain: [makeKey("P-384"), makeKey("P-384"), ...cas], rim, ...keys },
    }),
  );
}

/** Devices of one vendor bring the same CAs and are of the same manifests, to the byte: what is made of the same things is made once. */
const made = new WeakMap<LabKey, Map<string, unknown>>();

function sameCertificate(options: CertificateOptions): Uint8Array {
  const { key, issuerKey = key, ...rest } = options;
  return once(issuerKey, [key.spki, rest], () => makeCertificate(options));
}

function sameRim({ key, ...rest }: RimOptions): string {
  return once(key, rest, () => makeRim({ key, ...rest }));
}

function once<T>(key: LabKey, of: unknown, run: () => T): T {
  let all = made.get(key);
  if (!all) made.set(key, (all = new Map()));
  const name = JSON.stringify(of, (_, item) =>
    item instanceof Uint8Array ? toHex(item) : typeof item === "bigint" ? `${item}` : item,
  );
  if (!all.has(name)) all.set(name, run());
  return all.get(name) as T;
}

/** Leaf first; each issued by the next. */
function chainOf(
  subjects: readonly der.NameParts[],
  keys: readonly LabKey[],
  window: { notBefore: number; notAfter: number },
  leaf: Partial<CertificateOptions>,
  changes: Readonly<Record<number, Partial<CertificateOptions>>> = {},
): CertificateOptions[] {
  const last = subjects.length - 1;
  return subjects.map((subject, i) => ({
    subject,
    issuer: changes[Math.min(i + 1, last)]?.subject ?? subjects[Math.min(i + 1, last)]!,
    key: keys[i]!,
    issuerKey: keys[Math.min(i + 1, last)]!,
    serial: 0x1000 + i,
    ...(i === 0 ? { keyUsage: ["digitalSignature"] } : { ca: true, keyUsage: ["keyCertSign", "cRLSign"] }),
    ...window,
    ...(i === 0 ? leaf : {}),
    ...changes[i],
  }));
}

function deviceSubjects(chip: string): der.NameParts[] {
  const named = chip.startsWith("LS") ? chip.replace("LS", "LS_") : chip;
  return [
    { serialNumber: "592CA97DBE569CF105A2", ...NVIDIA, CN: `${named} A01 GSP FMC LF` },
    { serialNumber: "41E23D711E1C4FBFAC", ...NVIDIA, CN: `${named} A01 GSP BROM` },
    { CN: `NVIDIA ${chip} Provisioner ICA 1`, ...NVIDIA },
    { CN: `NVIDIA ${chip} Identity`, O: "NVIDIA Corporation" },
    { CN: "NVIDIA Device Identity CA", O: "NVIDIA" },
  ];
}

function rimSubjects(chip: string): der.NameParts[] {
  return [
    { ...NVIDIA, CN: "HCC RIM L4 Signer" },
    { CN: `NVIDIA Reference Value L3 ${chip} 001`, ...NVIDIA },
    { CN: `NVIDIA Reference Value ${chip} CA`, ...NVIDIA },
    { C: "US", O: "NVIDIA", CN: "NVIDIA CoRIM signing Root CA" },
  ];
}

/** The digest of the firmware that the leaf's key was made for, in one of two shapes. */
function diceExtension({ dice = {} }: NvidiaOptions, fwid: Bytes | null, keys: NvidiaKeys): LabExtension[] {
  if (fwid === null) return [];
  const { form = "composite", flags = [] } = dice;
  const identity = der.sequence(der.oid(SHA384), der.octetString(toBytes(fwid)));
  if (form === "composite") {
    return [{ oid: DICE, value: der.sequence(der.integer(1), keys.chain[0]!.spki, identity) }];
  }
  // The flags are a BIT STRING of four bits and more, without its tag.
  const bits = new Uint8Array(2);
  for (const flag of flags) bits[1]! |= 0x80 >> flag;
  bits[0] = 3;
  return [{ oid: DICE_TCB_INFO, value: der.sequence(der.explicit(6, identity), der.implicit(7, bits)) }];
}

function blocksOf({ blocks = {} }: NvidiaOptions): Map<number, Uint8Array> {
  const usual = Array.from({ length: 64 }, (_, i) => [i + 1, filled(i + 1, 48)] as const);
  const all = Object.entries(present<Bytes>({ ...Object.fromEntries(usual), ...blocks }));
  return new Map(all.map(([index, value]) => [Number(index), toBytes(value)]));
}

/** GET_MEASUREMENTS: all of them, signed. */
function request({ nonce }: NvidiaOptions): Uint8Array {
  return concat(Uint8Array.of(0x11, 0xe0, 0x01, 0xff), fixed(nonce ?? LAB_NONCE, 32), Uint8Array.of(0));
}

/** MEASUREMENTS, up to its signature. */
function answer(
  options: NvidiaOptions,
  blocks: ReadonlyMap<number, Uint8Array>,
  device: "GPU" | "NVSwitch",
  fwid: Bytes | null,
): Uint8Array {
  const record = concat(
    ...[...blocks].map(([index, value]) => {
      const measurement = concat(Uint8Array.of(1), littleEndian(value.length, 2), value);
      return concat(Uint8Array.of(index, 1), littleEndian(measurement.length, 2), measurement);
    }),
  );
  const fields = Object.entries(opaqueOf(options, device, fwid)).map(([type, given]) => {
    const value = toBytes(given);
    return concat(littleEndian(Number(type), 2), littleEndian(value.length, 2), value);
  });
  const opaque = concat(...fields);
  return concat(
    Uint8Array.of(0x11, 0x60, 0x00, 0x00, blocks.size),
    littleEndian(record.length, 3),
    record,
    fixed(options.responseNonce ?? filled(0x5e, 32), 32),
    littleEndian(opaque.length, 2),
    opaque,
  );
}

function opaqueOf(options: NvidiaOptions, device: "GPU" | "NVSwitch", fwid: Bytes | null): Record<number, Bytes> {
  const text = (value: string) => concat(utf8(value), Uint8Array.of(0));
  const firmware = fwid === null ? {} : { 20: fwid };
  const usual: Record<number, Bytes | undefined> =
    device === "GPU"
      ? {
          3: text(driverOf(options)),
          6: vbiosBytes(vbiosOf(options)),
          11: [0x55],
          15: text("862"),
          17: text("1010"),
          18: text("0205"),
          21: [0x55],
          34: [1, 0],
          36: [0, 0],
          ...firmware,
        }
      : { 6: text(vbiosOf(options)), 22: [1, 2, 3, 4, 5, 6, 7, 8], ...firmware };
  return present({ ...usual, ...options.opaque });
}

function driverOf({ driver = "580.95.05" }: NvidiaOptions): string {
  return driver;
}

function vbiosOf({ vbios = "96.00.74.00.20" }: NvidiaOptions): string {
  return vbios;
}

/** `96.00.74.00.20` is written as 00 74 00 96 20 and three zeros. */
function vbiosBytes(version: string): Uint8Array {
  const parts = version.split(".").map((part) => Number.parseInt(part, 16));
  return fixed([...parts.slice(0, 4).reverse(), parts[4]!], 8);
}

function answersOf(
  { now = LAB_NOW, ocspByIssuer = false }: NvidiaOptions,
  chain: readonly CertificateOptions[],
  places: readonly number[],
  answers: Answers | false = {},
): Uint8Array[] {
  if (answers === false) return [];
  return places.map((place) => {
    const { subject, key } = chain[place + 1]!;
    const given = answers[place];
    const entry: OcspEntry = {
      issuer: subject,
      issuerKey: key,
      serial: chain[place]!.serial!,
      thisUpdate: now - DAY,
      nextUpdate: now + 29 * DAY,
      ...(typeof given === "string" ? { status: given } : given),
    };
    const responder = {
      subject: { CN: "NVIDIA OCSP Responder", ...NVIDIA },
      key: cachedKey("P-384", "OCSP responder"),
    };
    const certificate = makeCertificate({
      ...responder,
      issuer: subject,
      issuerKey: key,
      serial: 0x2000 + place,
      notBefore: now - 30 * DAY,
      notAfter: now + 365 * DAY,
      ...OCSP_RESPONDER,
    });
    return makeOcsp({
      entries: [entry],
      producedAt: now - DAY,
      responder: ocspByIssuer ? { subject, key } : responder,
      certificates: ocspByIssuer ? [] : [certificate],
    });
  });
}

function listsOf({ revoked = [], now = LAB_NOW }: NvidiaOptions, chain: readonly CertificateOptions[]): Uint8Array[] {
  if (revoked.length === 0) return [];
  return chain.slice(1).map(({ subject, key }, i) =>
    makeCrl({
      issuer: subject,
      issuerKey: key,
      thisUpdate: now - DAY,
      nextUpdate: now + 29 * DAY,
      revoked: revoked.includes(i) ? [chain[i]!.serial!] : [],
    }),
  );
}

function present<T>(record: Record<number, T | undefined>): Record<number, T> {
  const entries = Object.entries(record).filter((entry): entry is [string, T & {}] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}
