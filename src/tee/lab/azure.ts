/**
 * Confidential guests of Azure's that never were: a paravisor's report of either kind, the runtime data that it vouches for, and a
 * TPM quote by the key in there.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat, utf8 } from "../../field/bytes.js";
import type { VtpmEvidence } from "../evidence.js";
import { type Bytes, bigEndian, filled, fixed, type Lab, littleEndian, place, toBytes } from "./bytes.js";
import { cachedKey, type LabKey, signBytes } from "./certificates.js";
import { type IntelOptions, intelPlatform } from "./intel.js";
import { type SnpOptions, snpProcessor } from "./snp.js";

export interface AzureOptions {
  /** `snp` unless given. */
  tee?: "snp" | "tdx";
  /** The processor that makes the report, but for its report data. */
  snp?: SnpOptions;
  intel?: IntelOptions;

  /** The vTPM's key: RSA of 2048 bits unless given. */
  ak?: LabKey;
  /** Whose key signs the TPM quote, where it is not that one. */
  signer?: LabKey;
  /** Instead of the JWK of the key. */
  jwk?: Record<string, unknown>;
  /** Beside the keys. */
  runtimeData?: Record<string, unknown>;
  /** Instead of all that: the text whose hash is reported. */
  runtimeText?: string;
  userData?: Bytes;
  hash?: "sha256" | "sha384" | "sha512";
  /** Instead of the hash of the runtime data. */
  reportData?: Bytes;
  hcl?: HclFields;
  /** Has the last word on the TDREPORT. */
  editTdReport?: (report: Uint8Array) => void;
  /** Leaves the quote out that was made of it. */
  noQuote?: boolean;

  nonce?: Bytes;
  pcrs?: readonly Uint8Array[];
  /** All unless given. */
  selected?: readonly number[];
  tpm?: TpmFields;
}

/** Fields of the HCL report's headers that nothing signs. */
export interface HclFields {
  magic?: string;
  version?: number;
  size?: number;
  requestType?: number;
  status?: number;
  reserved?: Bytes;
  requestSize?: number;
  requestVersion?: number;
  reportType?: number;
  hashType?: number;
  runtimeSize?: number;
  /** Behind the report, to the size of the NV index; 64 zeros unless given. */
  padding?: Bytes;
}

/** Of TPMS_ATTEST. */
export interface TpmFields {
  magic?: number;
  type?: number;
  qualifiedSigner?: Bytes;
  clock?: bigint;
  resetCount?: number;
  restartCount?: number;
  safe?: number;
  firmwareVersion?: bigint;
  /** TPML_PCR_SELECTION, whole. */
  selection?: Bytes;
  pcrDigest?: Bytes;
  trailing?: Bytes;
}

export interface AzureLab extends Lab<VtpmEvidence> {
  runtimeText: string;
  ak: LabKey;
}

const HASH_TYPES = { sha256: 1, sha384: 2, sha512: 3 } as const;

/** What the laboratory's guests have in their PCRs. */
export const LAB_PCRS: readonly Uint8Array[] = Array.from({ length: 24 }, (_, i) => filled(0x40 + i, 32));

export function azureGuest(options: AzureOptions = {}): AzureLab {
  const { tee = "snp", hash = "sha256", ak = cachedKey("RSA-2048", "HCLAkPub"), pcrs = LAB_PCRS } = options;
  const runtimeText = options.runtimeText ?? makeRuntimeData(options, ak);
  const digest = new Uint8Array(createHash(hash).update(runtimeText).digest());
  const reportData = fixed(options.reportData ?? digest, 64);
  const inner =
    tee === "snp" ? snpProcessor({ ...options.snp, reportData }) : intelPlatform({ ...options.intel, reportData });
  const hardware = inner.evidence.kind === "snp" ? inner.evidence.report : makeTdReport(inner.evidence.quote, options);
  const message = makeTpmQuote(options, pcrs);
  const { kind } = options.signer ?? ak;
  const signature = signBytes(
    options.signer ?? ak,
    message,
    "ieee-p1363",
    kind.startsWith("RSA") ? "rsa-sha256" : "ecdsa-sha256",
  );
  return {
    now: inner.now,
    roots: inner.roots,
    evidence: {
      kind: "azure-vtpm",
      hclReport: makeHclReport(options, hardware, utf8(runtimeText), hash),
      message,
      signature,
      pcrs,
      ...(inner.evidence.kind === "snp"
        ? { certificates: inner.evidence.certificates ?? [] }
        : options.noQuote
          ? {}
          : { quote: inner.evidence.quote }),
    },
    collateral: inner.collateral,
    runtimeText,
    ak,
  };
}

function makeRuntimeData(options: AzureOptions, ak: LabKey): string {
  const { n, e, x, y, crv, kty } = ak.publicKey.export({ format: "jwk" });
  const jwk = { kid: "HCLAkPub", key_ops: ["sign"], kty, e, n, crv, x, y };
  return JSON.stringify({
    keys: [options.jwk ?? jwk, { ...jwk, kid: "HCLEkPub", key_ops: ["encrypt"] }],
    "vm-configuration": { "console-enabled": true, "secure-boot": true, "tpm-enabled": true, vmUniqueId: "26F8BC30" },
    "user-data": Buffer.from(fixed(options.userData ?? [], 64))
      .toString("hex")
      .toUpperCase(),
    ...options.runtimeData,
  });
}

function makeHclReport(
  options: AzureOptions,
  hardware: Uint8Array,
  runtime: Uint8Array,
  hash: keyof typeof HASH_TYPES,
): Uint8Array {
  const { tee = "snp", hcl = {} } = options;
  const requestSize = hcl.requestSize ?? 20 + runtime.length;
  const u32 = (value: number) => littleEndian(value, 4);
  return concat(
    utf8(hcl.magic ?? "HCLA"),
    u32(hcl.version ?? (tee === "snp" ? 1 : 2)),
    u32(hcl.size ?? 32 + 1184 + 20 + runtime.length),
    u32(hcl.requestType ?? 2),
    u32(hcl.status ?? 0),
    fixed(hcl.reserved ?? [], 12),
    fixed(hardware, 1184),
    u32(requestSize),
    u32(hcl.requestVersion ?? 1),
    u32(hcl.reportType ?? (tee === "snp" ? 2 : 4)),
    u32(hcl.hashType ?? HASH_TYPES[hash]),
    u32(hcl.runtimeSize ?? runtime.length),
    runtime,
    toBytes(hcl.padding ?? filled(0, 64)),
  );
}

/** The report that a quote would be made of; of a TD 1.0 or 1.5, whose fields stand in the quote in the same order. */
function makeTdReport(quote: Uint8Array, { intel = {}, editTdReport }: AzureOptions): Uint8Array {
  const newer = intel.body === "td-1.5";
  const body = quote.subarray(newer || intel.version === 5 ? 54 : 48);
  const tcbInfo = place(239, [
    [0, Uint8Array.of(0xff, 1, newer ? 3 : 1)],
    [8, body.subarray(0, 120)],
    ...(newer ? ([[128, body.subarray(584, 600)]] as const) : []),
  ]);
  const tdInfo = place(512, [
    [0, body.subarray(120, 520)],
    ...(newer ? ([[400, body.subarray(600, 648)]] as const) : []),
  ]);
  const sha384 = (data: Uint8Array) => new Uint8Array(createHash("sha384").update(data).digest());
  const report = place(1024, [
    [0, Uint8Array.of(0x81)],
    [16, filled(0x06, 16)],
    [32, sha384(tcbInfo)],
    [80, sha384(tdInfo)],
    [128, body.subarray(520, 584)],
    [224, filled(0x3c, 32)],
    [256, tcbInfo],
    [512, tdInfo],
  ]);
  editTdReport?.(report);
  return report;
}

function makeTpmQuote(options: AzureOptions, pcrs: readonly Uint8Array[]): Uint8Array {
  const { tpm = {}, selected = pcrs.map((_, i) => i), nonce = filled(0x0c, 32) } = options;
  const map = new Uint8Array(3);
  for (const index of selected) map[index >> 3]! |= 1 << (index & 7);
  const digest = createHash("sha256");
  for (const index of selected) digest.update(pcrs[index]!);
  const sized = (value: Bytes) => concat(bigEndian(toBytes(value).length, 2), toBytes(value));
  return concat(
    bigEndian(tpm.magic ?? 0xff54_4347, 4),
    bigEndian(tpm.type ?? 0x8018, 2),
    sized(tpm.qualifiedSigner ?? concat(Uint8Array.of(0, 0x0b), filled(0x51, 32))),
    sized(nonce),
    bigEndian(tpm.clock ?? 12_345n, 8),
    bigEndian(tpm.resetCount ?? 2, 4),
    bigEndian(tpm.restartCount ?? 0, 4),
    Uint8Array.of(tpm.safe ?? 1),
    bigEndian(tpm.firmwareVersion ?? 0x2020_0312_0012_0003n, 8),
    toBytes(tpm.selection ?? concat(Uint8Array.of(0, 0, 0, 1, 0, 0x0b, 3), map)),
    sized(tpm.pcrDigest ?? new Uint8Array(digest.digest())),
    toBytes(tpm.trailing ?? []),
  );
}
