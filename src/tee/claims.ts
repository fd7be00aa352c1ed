/**
 * What verification found to be authentic: signed by hardware, or by the vendor about the hardware. Whether it is good
 * enough is for the policy to say (`policy/`).
 *
 * Everything here is plain data that canonical JSON can hold: bytes are 0x-hex, integers of 64 bits decimal strings, times Unix
 * seconds unless a name says that they are text.
 *
 * @module
 */
import type { Hex } from "../field/bytes.js";

interface CommonClaims {
  /** The environment can be read from outside. Appraisal rejects it whatever the policy says. */
  debug: boolean;
  /**
   * What policies compare measurements by: registers by name, in the vendor's order. SGX: `mrEnclave`, `mrSigner`; TDX: `mrTd`,
   * `rtmr0`…`rtmr3`, `mrConfigId`, `mrOwner`, `mrOwnerConfig`, `mrSeam`; SNP: `measurement`, `hostData`, `idKeyDigest`, `authorKeyDigest`; Nitro: `pcr0`… ;
   * Azure vTPM: those of the TEE, and `pcr0`…`pcr23`; NVIDIA: none (they are compared with reference manifests); CCA: `rim`, `rem0`…`rem3`.
   */
  measurements: Record<string, Hex>;
  /** The bytes that the guest chose: 64 for SGX, TDX, SNP and CCA (its challenge), any number for Nitro (its user data). */
  reportData?: Hex;
  /** The nonce where evidence has one beside the report data: Nitro, NVIDIA, NRAS, vTPM. */
  nonce?: Hex;
}

export const INTEL_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "RelaunchAdvised",
  "RelaunchAdvisedConfigurationNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;

export type IntelStatus = (typeof INTEL_STATUSES)[number];

/** One of the parts whose status is converged, and why it has it: which number is behind, and by how much. */
export interface TcbPart {
  part: "platform" | "module" | "quoting enclave" | "platform at launch" | "module at launch";
  status: IntelStatus;
  tcbDate: string;
  advisories: string[];
  /** What keeps it from the newest level; empty where nothing does. */
  behind: { component: string; has: number; needs: number }[];
}

export interface IntelClaims extends CommonClaims {
  family: "sgx" | "tdx";
  quoteVersion: 3 | 4 | 5;
  body: "sgx" | "td-1.0" | "td-1.5" | "td-1.5-ex";
  /** `Revoked` is authentic too; appraisal never accepts it. */
  status: IntelStatus;
  /** Security advisories of every level that was matched, sorted. */
  advisories: string[];
  /** The earliest of the parts', as Intel writes it. */
  tcbDate: string;
  /** The lower one of TCB info's and QE identity's. */
  tcbEvaluationDataNumber: number;
  parts: TcbPart[];
  fmspc: Hex;
  pceId: Hex;
  ppid: Hex;
  cpuSvn: Hex;
  pceSvn: number;
  /** Absent in certificates of processors of one package. */
  platform?: { instanceId?: Hex; dynamicPlatform?: boolean; cachedKeys?: boolean; smtEnabled?: boolean };
  qeIsvSvn: number;
  /** Intel's own 20 bytes of user data in the header. */
  userData: Hex;
  sgx?: {
    isvProdId: number;
    isvSvn: number;
    attributes: Hex;
    miscSelect: Hex;
    configId: Hex;
    configSvn: number;
    isvExtProdId: Hex;
    isvFamilyId: Hex;
  };
  tdx?: {
    teeTcbSvn: Hex;
    teeTcbSvn2?: Hex;
    mrSignerSeam: Hex;
    seamAttributes: Hex;
    tdAttributes: Hex;
    xfam: Hex;
    mrServiceTd?: Hex;
    /** Of the extended report of TDX 1.5, by the names of its fields. */
    extended?: {
      vmId: Hex;
      tdId: Hex;
      deviceInfo: Hex;
      initServiceTdHash: Hex;
      initServiceTdAttributes: Hex;
      initCpuSvn: Hex;
      initTeeTcbSvn: Hex;
      initTeeFmspc: Hex;
      serviceTdHash: Hex;
      serviceTdAttributes: Hex;
    };
    /** Names of the bits set in the TD's attributes, such as `SEPT_VE_DISABLE`; unknown ones as `bit 17`. */
    attributes: string[];
    /** `TDX_03`, or `TDX` for the first generation of the module. */
    module: string;
  };
}

export type SnpProductName = "Milan" | "Genoa" | "Turin";

/** Patch levels by component; `fmc` is Turin's. */
export interface SnpTcb {
  fmc?: number;
  bootloader: number;
  tee: number;
  snp: number;
  microcode: number;
}

export interface SnpClaims extends CommonClaims {
  family: "snp";
  reportVersion: number;
  product: SnpProductName;
  /** CPUID as `family/model/stepping`, from version 3 on. */
  cpuid?: { family: number; model: number; stepping: number };
  signingKey: "VCEK" | "VLEK";
  /** Of the VLEK: the cloud that it belongs to. */
  cspId?: string;
  /** Whether lists of AMD's root were looked at; `unchecked` where none is among the collateral. */
  revocation: "good" | "unchecked";
  vmpl: number;
  guestSvn: number;
  familyId: Hex;
  imageId: Hex;
  /** `raw`, here and below: eight bytes, the most significant first. */
  policy: {
    raw: Hex;
    abiMajor: number;
    abiMinor: number;
    smt: boolean;
    migrateMa: boolean;
    singleSocket: boolean;
    cxlAllowed: boolean;
    memAes256Xts: boolean;
    raplDisabled: boolean;
    ciphertextHiding: boolean;
    pageSwapDisabled: boolean;
    /** Bits that this release does not know, reported and not fatal. */
    unknownBits: number[];
  };
  platformInfo: {
    raw: Hex;
    smt: boolean;
    tsme: boolean;
    ecc: boolean;
    raplDisabled: boolean;
    ciphertextHiding: boolean;
    aliasCheckComplete: boolean;
    tio: boolean;
    unknownBits: number[];
  };
  tcb: { reported: SnpTcb; committed: SnpTcb; current: SnpTcb; launch: SnpTcb };
  /** All zero where the report hides it. */
  chipId: Hex;
  maskChipKey: boolean;
  authorKeyEnabled: boolean;
  reportId: Hex;
  reportIdMa: Hex;
  /** Of the firmware: `1.55.29`, the last being the build. */
  currentVersion: string;
  committedVersion: string;
  /** Version 5. */
  mitigations?: { launch: Hex; current: Hex };
}

export interface NitroClaims extends CommonClaims {
  family: "nitro";
  moduleId: string;
  /** Milliseconds since 1970, as the document has it: signed, and not a clock to trust. */
  timestamp: number;
  publicKey?: Hex;
  userData?: Hex;
  /** Beyond those that the specification names. */
  unknownFields: string[];
}

export interface NvidiaClaims extends CommonClaims {
  family: "nvidia";
  device: "GPU" | "NVSwitch";
  /** `GH100`, `GB100`, `LS10`, …, from the device's certificate. */
  chip: string;
  /** Device identity: keccak256 of the public key of the certificate that is burnt in, so that one device is counted once. */
  deviceId: Hex;
  /** Of the burnt-in certificate, hex. */
  serial: string;
  /** As NVIDIA's own verifiers and its tokens name the device: the serial number of the leaf, decimal. It changes with firmware. */
  ueid: string;
  /** Empty for a switch, which has none. */
  driver: string;
  vbios: string;
  /** Whether the certificate's firmware identity was compared: old VBIOS has none in the report. */
  fwid: "match" | "absent";
  /** What reference manifests say; `unchecked` without them. */
  rims: { driver: RimResult; vbios: RimResult };
  /** `unchecked` where neither an OCSP answer nor a list is among the collateral for one of the device's certificates. */
  revocation: RevocationResult;
  /** Confidential computing over one GPU (`spt`), several (`mpt`), with switches (`ppcie`), where the report says. */
  mode?: string;
  protectedPcie?: boolean;
  /** A switch's identifier, as it stands in the links of its GPUs. */
  pdi?: Hex;
  /** Identifiers of linked devices, sorted: switches of a GPU, GPUs of a switch. */
  links?: Hex[];
  /** Measurement blocks by index. */
  blocks: Record<string, Hex>;
  /** Opaque fields by type that this release does not know. */
  opaque: Record<string, Hex>;
}

export type RevocationResult = "good" | "hold" | "unchecked";

export interface RimResult {
  /** `none`: there is no such manifest for the kind of device, as of a driver for a switch. */
  status: "match" | "unchecked" | "none";
  /** NVIDIA's name of it. */
  id?: string;
  version?: string;
  /** Of its certificates. */
  revocation?: RevocationResult;
}

export interface NrasClaims extends CommonClaims {
  family: "nras";
  issuer: string;
  overallResult: boolean;
  issuedAt: number;
  expiresAt: number;
  devices: {
    name: string;
    /** Claims of the device's token as signed, sorted by name. */
    claims: Record<string, unknown>;
  }[];
}

/**
 * `reportData` is the guest's user data as the runtime data has it, `nonce` the qualifying data of the TPM quote. Freshness is
 * with the nonce: report and runtime data are made when the guest starts, or writes user data.
 */
export interface VtpmClaims extends CommonClaims {
  family: "azure-snp" | "azure-tdx";
  /** The claims of what the paravisor runs in, with VMPL 0: the report is the paravisor's, the PCRs are the guest's. */
  tee: SnpClaims | IntelClaims;
  firmwareVersion: string;
  /** The JSON that the report's data hashes, as signed. */
  runtimeData: Record<string, unknown>;
  clock: { clock: string; resetCount: number; restartCount: number; safe: boolean };
}

export interface CcaClaims extends CommonClaims {
  family: "cca";
  platform: {
    profile: string;
    implementationId: Hex;
    instanceId: Hex;
    config: Hex;
    lifecycle: number;
    lifecycleName: string;
    verificationService?: string;
    components: { type?: string; measurement: Hex; version?: string; signer: Hex; hash?: string }[];
  };
  realm: { personalisation: Hex; hashAlgorithm: string; publicKey: Hex; profile?: string };
}

export type Claims = IntelClaims | SnpClaims | NitroClaims | NvidiaClaims | NrasClaims | VtpmClaims | CcaClaims;

export type FamilyName = Claims["family"];

/** What a log of measurements says, as far as the registers of an authentic quote bear it out: text that no digest takes in is left out. */
export interface EventLogClaims {
  format: "dstack" | "ccel";
  /** keccak256 of the log as given. */
  digest: Hex;
  /** What it replays to, equal to the quote's: `rtmr0`…`rtmr3`, without those that the log does not speak of. */
  registers: Record<string, Hex>;
  events: MeasuredEvent[];
  /** Of dstack, from bound events before the app's start only: SHA-256 of the app's compose file, … */
  composeHash?: Hex;
  appId?: Hex;
  instanceId?: Hex;
  /** … who holds its keys, as the event has it, … */
  keyProvider?: string;
  /** … and the image that it runs on. */
  osImageHash?: Hex;
}

/** Its type is hashed into the digest for dstack's own events (0x08000001) only. */
export interface MeasuredEvent {
  /** 0 to 3. */
  register: number;
  type: number;
  digest: Hex;
  /** What it is called and what it carries, where that is hashed into the digest; names are for dstack's own events. */
  name?: string;
  payload?: Hex;
  /** Whether the digest is the hash of what is here, and not of something that the log only describes. */
  bound: boolean;
  /** Measured by dstack before the app's start. What comes later is the app's own word, under any name. */
  boot?: true;
}
