/**
 * Policies for the usual places, as functions of what has no default, and as JSON to be filled in.
 *
 * Each is the strictest that evidence from there can meet. What a caller knows to be different, it changes in the JSON.
 *
 * @module
 */
import type { SnpProductName } from "../claims.js";
import {
  type AcceptableStatus,
  type EventLogRules,
  type Families,
  POLICY_FORMAT,
  type Policy,
  policyFromJson,
  type SnpRules,
} from "./policy.js";

/** Hex with or without 0x; several are alternatives. */
export type HexText = string | readonly string[];

/** An accepted state by register. */
export type State<R extends string> = { name?: string } & { readonly [register in R]?: HexText };

type TdxRegister =
  | "mrTd"
  | "rtmr0"
  | "rtmr1"
  | "rtmr2"
  | "rtmr3"
  | "mrConfigId"
  | "mrOwner"
  | "mrOwnerConfig"
  | "mrSeam";
type SnpRegister = "measurement" | "hostData" | "idKeyDigest" | "authorKeyDigest";
type Pcr = `pcr${number}`;

interface Common {
  name?: string;
  binding?: Policy["binding"];
  /** A day or time: vendors' statements about TCBs must be at least so new. */
  minIssued?: string;
}

interface IntelOptions {
  /** `UpToDate` alone unless given. */
  statuses?: readonly AcceptableStatus[];
  advisories?: readonly string[];
  /** Processors in known places. */
  ppids?: readonly string[];
}

interface SnpOptions {
  minTcb?: SnpRules["minTcb"];
  chipIds?: readonly string[];
  /** Milan's reports can be forged by whoever has the seed that software can get at. */
  denyProducts?: readonly SnpProductName[];
  /** Whether AMD's revocation list must be among the collateral; it must, unless this is false. */
  requireCrl?: boolean;
}

export interface DstackOptions extends Common, IntelOptions {
  /** Of the dstack OS images: `mrTd`, `rtmr0` to `rtmr2`. Register 3 holds the app's events. */
  images: readonly State<TdxRegister>[];
  composeHashes: readonly string[];
  keyProviders?: EventLogRules["keyProviders"];
  appIds?: readonly string[];
}

/** An app of dstack or Phala Cloud: a TD of a known image, whose log names the app's compose file. */
export function dstackApp(options: DstackOptions): Policy {
  return policyFromJson(dstackJson(options));
}

export interface AzureOptions extends Common, IntelOptions, SnpOptions {
  /**
   * PCRs, and for a TEE claim what the paravisor is known by, `measurement` or `idKeyDigest` on SNP, `mrTd` on TDX; among the
   * PCRs 4 or 7, which say what was booted.
   */
  snp?: readonly State<SnpRegister | Pcr>[];
  tdx?: readonly State<TdxRegister | Pcr>[];
}

/** A confidential VM of Azure: the TPM's nonce is the request's, its PCRs are the guest's, and the report is the paravisor's. */
export function azureVm(options: AzureOptions): Policy {
  return policyFromJson(azureJson(options));
}

export interface GcpOptions extends Common, IntelOptions, SnpOptions {
  tdx?: readonly State<TdxRegister>[];
  snp?: readonly State<SnpRegister>[];
}

/** A confidential VM of Google Cloud. */
export function gcpVm(options: GcpOptions): Policy {
  return policyFromJson(gcpJson(options));
}

export interface NitroOptions extends Common {
  enclaves: readonly State<Pcr>[];
  /** An hour unless given; certificates live for three. */
  maxAgeSeconds?: number;
}

/** An enclave of AWS Nitro. */
export function awsNitro(options: NitroOptions): Policy {
  return policyFromJson(nitroJson(options));
}

export interface AwsSnpOptions extends Common, SnpOptions {
  guests: readonly State<SnpRegister>[];
}

/** An SEV-SNP instance of AWS, whose reports are signed by the cloud's key. */
export function awsSnp(options: AwsSnpOptions): Policy {
  return policyFromJson(awsSnpJson(options));
}

export interface GpuNodeOptions {
  name?: string;
  /** Of the machine without its devices: another preset's, for instance. */
  cpu: Policy;
  gpus: number;
  switches?: number;
  /** Such as `GH100`; any of NVIDIA's unless given. */
  chips?: readonly string[];
  minVersions?: Readonly<Record<string, { driver?: string; vbios?: string }>>;
  /** `task` unless given; machines of others bind their devices by nonce at best. */
  deviceBinding?: Policy["requireDeviceBinding"];
}

/** An inference node: a CPU's TEE and its GPUs, each with NVIDIA's reference manifests and tied to the CPU's report. */
export function gpuNode(options: GpuNodeOptions): Policy {
  return policyFromJson(gpuJson(options.cpu, options));
}

type Json = Record<string, unknown>;

function frame(name: string, binding: unknown, families: Json, minIssued?: string): Json {
  return {
    format: POLICY_FORMAT,
    name,
    binding,
    ...(minIssued === undefined ? {} : { collateral: { minIssued } }),
    families,
  };
}

function dstackJson({ images, composeHashes, keyProviders, appIds, ...options }: DstackOptions): Json {
  const tdx = {
    measurements: states(images),
    ...intelJson(options),
    eventLog: {
      composeHashes: { allow: composeHashes },
      ...(keyProviders === undefined ? {} : { keyProviders }),
      ...(appIds === undefined ? {} : { appIds: { allow: appIds } }),
    },
  };
  return frame(options.name ?? "dstack app", options.binding ?? "report-data", { tdx }, options.minIssued);
}

function azureJson({ snp, tdx, ...options }: AzureOptions): Json {
  const families = {
    ...(snp ? { "azure-snp": { measurements: states(snp), tee: { ...snpJson(options), vmpl: [0] } } } : {}),
    // The paravisor handles the faults that SEPT_VE_DISABLE is about, and Azure does not set it.
    ...(tdx
      ? { "azure-tdx": { measurements: states(tdx), tee: { ...intelJson(options), septVeDisable: false } } }
      : {}),
  };
  return frame(options.name ?? "Azure confidential VM", options.binding ?? "nonce", families, options.minIssued);
}

function gcpJson({ snp, tdx, ...options }: GcpOptions): Json {
  const families = {
    ...(snp ? { snp: { measurements: states(snp), ...snpJson(options), vmpl: [0, 1], signingKeys: ["VCEK"] } } : {}),
    ...(tdx ? { tdx: { measurements: states(tdx), ...intelJson(options) } } : {}),
  };
  return frame(
    options.name ?? "Google Cloud confidential VM",
    options.binding ?? "report-data",
    families,
    options.minIssued,
  );
}

function nitroJson({ enclaves, maxAgeSeconds = 3600, ...options }: NitroOptions): Json {
  const nitro = { measurements: states(enclaves), maxAgeSeconds };
  return frame(options.name ?? "AWS Nitro enclave", options.binding ?? "nonce", { nitro }, options.minIssued);
}

function awsSnpJson({ guests, ...options }: AwsSnpOptions): Json {
  const snp = { measurements: states(guests), ...snpJson(options), vmpl: [0, 1], signingKeys: ["VLEK"] };
  return frame(options.name ?? "AWS SEV-SNP instance", options.binding ?? "report-data", { snp }, options.minIssued);
}

function gpuJson(cpu: Policy | Json, options: Omit<GpuNodeOptions, "cpu" | "gpus"> & { gpus: unknown }): Json {
  const { name, gpus, switches, chips, minVersions, deviceBinding = "task" } = options;
  const nvidia = {
    rims: "match",
    revocation: ["good"],
    devices: { min: gpus, max: gpus },
    ...(switches === undefined ? {} : { switches: { min: switches, max: switches } }),
    ...(chips === undefined ? {} : { chips: { allow: chips } }),
    ...(minVersions === undefined ? {} : { minVersions }),
  };
  return {
    ...cpu,
    name: name ?? `${String(cpu.name)} with GPUs`,
    binding: deviceBinding === "task" ? "task" : cpu.binding,
    requireDeviceBinding: deviceBinding,
    families: { ...(cpu.families as Families), nvidia, nras: { claims: { secboot: true } } },
  };
}

function intelJson({ statuses, advisories, ppids }: IntelOptions): Json {
  return {
    ...(statuses === undefined ? {} : { statuses }),
    ...(advisories === undefined ? {} : { advisories }),
    ...(ppids === undefined ? {} : { ppid: { allow: ppids } }),
  };
}

function snpJson({ minTcb, chipIds, denyProducts, requireCrl }: SnpOptions): Json {
  return {
    ...(minTcb === undefined ? {} : { minTcb }),
    ...(chipIds === undefined ? {} : { chipIds: { allow: chipIds } }),
    ...(denyProducts === undefined ? {} : { products: { deny: denyProducts } }),
    ...(requireCrl === undefined ? {} : { requireCrl }),
  };
}

function states(given: readonly State<string>[]): Json[] {
  return given.map(({ name, ...values }) => ({ ...(name === undefined ? {} : { name }), values }));
}

const blank = (what: string, bytes: number) => `<${what}: ${bytes} bytes of hex>`;
const blanks = (names: readonly string[], bytes: number) =>
  Object.fromEntries(names.map((name) => [name, blank(name, bytes)]));

const DSTACK_TEMPLATE = dstackJson({
  name: "<name of the app>",
  images: [{ name: "<release of the OS image>", ...blanks(["mrTd", "rtmr0", "rtmr1", "rtmr2"], 48) }],
  composeHashes: [blank("SHA-256 of the app's compose file", 32)],
});

/** What `policyFromJson` refuses until every `<…>` is filled in. */
export const POLICY_TEMPLATES = {
  "dstack-app": DSTACK_TEMPLATE,
  "azure-snp": azureJson({
    snp: [
      {
        name: "<release of the image>",
        ...blanks(["idKeyDigest"], 48),
        ...blanks(["pcr4", "pcr9", "pcr11"], 32),
      },
    ],
  }),
  "azure-tdx": azureJson({
    tdx: [{ name: "<release of the image>", ...blanks(["mrTd"], 48), ...blanks(["pcr4", "pcr9", "pcr11"], 32) }],
  }),
  "gcp-tdx": gcpJson({ tdx: [{ name: "<release of the image>", ...blanks(["mrTd", "rtmr0", "rtmr1", "rtmr2"], 48) }] }),
  "gcp-snp": gcpJson({ snp: [{ name: "<release of the image>", ...blanks(["measurement"], 48) }] }),
  "aws-nitro": nitroJson({
    enclaves: [{ name: "<release of the image>", ...blanks(["pcr0", "pcr1", "pcr2"], 48) }],
  }),
  "aws-snp": awsSnpJson({ guests: [{ name: "<release of the image>", ...blanks(["measurement"], 48) }] }),
  "gpu-node": gpuJson(DSTACK_TEMPLATE, { name: "<name of the node>", gpus: "<number of GPUs>" }),
} as const satisfies Record<string, Json>;
