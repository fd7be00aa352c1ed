/**
 * Azure's kind of confidential guest: a vTPM whose key the report of the paravisor beneath the guest vouches for.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat, utf8 } from "../../field/bytes.js";
import type { Collateral } from "../collateral.js";
import type { VtpmEvidence } from "../evidence.js";
import type { Roots } from "../roots.js";
import { type Bytes, bigEndian, filled, fixed, type Lab, littleEndian, place, toBytes } from "./bytes.js";
import { cachedKey, LAB_NOW, type LabKey, signBytes } from "./certificates.js";
import { type IntelOptions, intelPlatform } from "./intel.js";
import { type SnpOptions, snpProcessor } from "./snp.js";

export interface VtpmOptions {
  now?: number;
  /** `snp` unless given. */
  tee?: "snp" | "tdx";
  /** Of what the paravisor runs on. */
  snp?: Omit<SnpOptions, "now">;
  tdx?: Omit<IntelOptions, "now">;
  /** What the report is bound to, where it is not the runtime data. */
  reportData?: Bytes;

  nonce?: Bytes;
  /** SHA-256 registers by index; 24, each its own, unless given. */
  pcrs?: Record<number, Bytes>;
  /** Those that the TPM signs; all of them unless given. */
  selected?: readonly number[];
  /** Instead of the digest of the selected registers. */
  pcrDigest?: Bytes;
  /** Instead of PCRs that were quoted, beside the quote. */
  pcrsBeside?: Record<number, Bytes>;
  clock?: { clock?: bigint; resetCount?: number; restartCount?: number; safe?: boolean };
  firmwareVersion?: bigint;
  /** Of the quote's structure. */
  attest?: { magic?: number; type?: number; hash?: number };
  /** Behind the quote, and signed. */
  attestPadding?: Uint8Array;
  signer?: LabKey;

  userData?: Bytes;
  /** Members of the runtime data, to change or take out. */
  runtimeData?: Record<string, unknown>;
  /** Has the last word on the text of the runtime data, before its hash is taken. */
  runtimeText?: (json: string) => string;
  /** Of the attestation key in the runtime data. */
  jwk?: Record<string, unknown>;
  hash?: "sha256" | "sha384" | "sha512";
  hcl?: {
    magic?: string;
    version?: number;
    size?: number;
    requestType?: number;
    status?: number;
    requestSize?: number;
    requestVersion?: number;
    reportType?: number;
    hash?: number;
    runtimeSize?: number;
  };
  /** Zeros, or something else, behind the HCL report. */
  padding?: Uint8Array;
  /** Changes the TDREPORT so that it no longer is what was quoted. */
  editTdReport?: (report: Uint8Array) => void;
}

export interface VtpmLab extends Lab<VtpmEvidence> {
  key: LabKey;
  /** The runtime data's text, whose hash the report holds. */
  runtime: string;
}

const HASHES = { sha256: 1, sha384: 2, sha512: 3 } as const;
const REPORT_TYPES = { snp: 2, tdx: 4 } as const;
const PCRS = 24;

/** A guest, its paravisor's report, and its vTPM's quote. */
export function azureGuest(options: VtpmOptions = {}): VtpmLab {
  const { now = LAB_NOW, tee = "snp", hash = "sha256" } = options;
  const key = cachedKey("RSA-2048", "HCLAkPub");
  const runtime = runtimeOf(options, key);
  const bound = toBytes(options.reportData ?? new Uint8Array(createHash(hash).update(runtime).digest()));
  const inner = tee === "snp" ? snpOf(options, now, bound) : tdxOf(options, now, bound);

  const pcrs = registers(options.pcrs);
  const message = quoteOf(options, pcrs);
  const beside: Record<number, Bytes> = { ...Object.fromEntries(pcrs), ...options.pcrsBeside };
  return {
    now,
    roots: inner.roots,
    evidence: {
      kind: "azure-vtpm",
      hclReport: hclOf(options, inner.hardware, utf8(runtime)),
      message,
      signature: signBytes(options.signer ?? key, message, "der", "rsa-sha256"),
      pcrs: Array.from({ length: PCRS }, (_, i) => fixed(beside[i], 32)),
      ...inner.evidence,
    },
    collateral: inner.collateral,
    key,
    runtime,
  };
}

interface Inner {
  hardware: Uint8Array;
  roots: Partial<Roots>;
  collateral: Collateral;
  evidence: Pick<VtpmEvidence, "certificates" | "quote">;
}

function snpOf({ snp = {} }: VtpmOptions, now: number, reportData: Uint8Array): Inner {
  const { report, roots, collateral, evidence } = snpProcessor({ ...snp, now, reportData });
  const { certificates } = evidence;
  return { hardware: report, roots, collateral, evidence: certificates ? { certificates } : {} };
}

function tdxOf({ tdx = {}, editTdReport }: VtpmOptions, now: number, reportData: Uint8Array): Inner {
  const { quote, roots, collateral } = intelPlatform({ ...tdx, now, reportData });
  const report = tdReport(quote);
  editTdReport?.(report);
  return { hardware: fixed(report, 1184), roots, collateral, evidence: { quote } };
}

/** The TDREPORT that a quote was made of. Its MAC, which only the CPU could check, is none. */
function tdReport(quote: Uint8Array): Uint8Array {
  const v5 = quote[0] === 5;
  const body = quote.subarray(v5 ? 54 : 48);
  const at = (from: number, until: number) => body.slice(from, until);
  const tcbInfo = place(239, [
    [0, filled(0xff, 8)],
    [8, at(0, 16)],
    [24, at(16, 64)],
    [72, at(64, 112)],
    [120, at(112, 120)],
    [128, v5 && quote[48]! > 2 ? at(584, 600) : new Uint8Array()],
  ]);
  const tdInfo = place(512, [
    [0, at(120, 128)],
    [8, at(128, 136)],
    [16, at(136, 520)],
    [400, v5 && quote[48]! > 2 ? at(600, 648) : new Uint8Array()],
  ]);
  const sha384 = (bytes: Uint8Array) => new Uint8Array(createHash("sha384").update(bytes).digest());
  return place(1024, [
    [0, Uint8Array.of(0x81)],
    [16, filled(0x0c, 16)],
    [32, sha384(tcbInfo)],
    [80, sha384(tdInfo)],
    [128, at(520, 584)],
    [224, filled(0x3a, 32)],
    [256, tcbInfo],
    [512, tdInfo],
  ]);
}

function runtimeOf(options: VtpmOptions, key: LabKey): string {
  const { n, e } = key.publicKey.export({ format: "jwk" });
  const members = {
    keys: [{ kid: "HCLAkPub", key_ops: ["sign"], kty: "RSA", e, n, ...options.jwk }],
    "vm-configuration": {
      "root-cert-thumbprint": "",
      "console-enabled": true,
      "secure-boot": true,
      "tpm-enabled": true,
    },
    "user-data": Buffer.from(fixed(options.userData, 64)).toString("hex").toUpperCase(),
    ...options.runtimeData,
  };
  const json = JSON.stringify(members);
  return options.runtimeText?.(json) ?? json;
}

function hclOf(
  { hcl = {}, tee = "snp", hash = "sha256", padding }: VtpmOptions,
  hardware: Uint8Array,
  runtime: Uint8Array,
) {
  const requestSize = hcl.requestSize ?? 20 + runtime.length;
  return concat(
    utf8(hcl.magic ?? "HCLA"),
    littleEndian(hcl.version ?? 2, 4),
    littleEndian(hcl.size ?? 32 + hardware.length + requestSize, 4),
    littleEndian(hcl.requestType ?? 2, 4),
    littleEndian(hcl.status ?? 0, 4),
    new Uint8Array(12),
    hardware,
    littleEndian(requestSize, 4),
    littleEndian(hcl.requestVersion ?? 1, 4),
    littleEndian(hcl.reportType ?? REPORT_TYPES[tee], 4),
    littleEndian(hcl.hash ?? HASHES[hash], 4),
    littleEndian(hcl.runtimeSize ?? runtime.length, 4),
    runtime,
    padding ?? new Uint8Array(),
  );
}

function registers(given: Record<number, Bytes> = {}): Map<number, Uint8Array> {
  return new Map(Array.from({ length: PCRS }, (_, i) => [i, fixed(given[i] ?? filled(0x40 + i, 32), 32)]));
}

const MAGIC = 0xff544347;
const ATTEST_QUOTE = 0x8018;
const SHA256 = 0x000b;

/** TPMS_ATTEST of a quote. */
function quoteOf(options: VtpmOptions, pcrs: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const { selected = [...pcrs.keys()], attest = {}, clock = {} } = options;
  const bitmap = new Uint8Array(3);
  for (const index of selected) bitmap[index >> 3]! |= 1 << (index & 7);
  const inOrder = [...pcrs].filter(([index]) => selected.includes(index)).map(([, value]) => value);
  const digest =
    options.pcrDigest ??
    new Uint8Array(
      createHash("sha256")
        .update(concat(...inOrder))
        .digest(),
    );
  return concat(
    bigEndian(attest.magic ?? MAGIC, 4),
    bigEndian(attest.type ?? ATTEST_QUOTE, 2),
    sized(concat(bigEndian(SHA256, 2), filled(0x9a, 32))),
    sized(toBytes(options.nonce ?? [])),
    bigEndian(clock.clock ?? 123_456n, 8),
    bigEndian(clock.resetCount ?? 1, 4),
    bigEndian(clock.restartCount ?? 0, 4),
    Uint8Array.of(clock.safe === false ? 0 : 1),
    bigEndian(options.firmwareVersion ?? 0x20170619_00163636n, 8),
    bigEndian(1, 4),
    bigEndian(attest.hash ?? SHA256, 2),
    Uint8Array.of(bitmap.length),
    bitmap,
    sized(toBytes(digest)),
    options.attestPadding ?? new Uint8Array(),
  );
}

/** TPM2B. */
function sized(bytes: Uint8Array): Uint8Array {
  return concat(bigEndian(bytes.length, 2), bytes);
}
