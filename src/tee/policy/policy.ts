/**
 * The policy: what authentic evidence has to be like to be accepted. Plain JSON; everything that it does not allow is refused.
 *
 * A family is accepted only if it has an entry under `families`, and makes a TEE claim only if that entry lists measurements.
 * Debug mode and a revoked platform are refused whatever a policy says; it has no words to allow them.
 *
 * Reading fills in every default, so that a read policy shows all that it asks for, and its digest covers that.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import { documentDigest } from "../../protocol/document.js";
import { INTEL_STATUSES, type IntelStatus } from "../claims.js";
import {
  boolean,
  defaults,
  either,
  hex,
  instant,
  integer,
  list,
  object,
  oneOrMore,
  optional,
  type Read,
  type ReadFields,
  record,
  required,
  type Shape,
  text,
  word,
} from "./shape.js";

export const POLICY_FORMAT = "anchorproof/tee-policy@1";

/** Ten thousand days: no rule of age is longer. */
const MAX_SECONDS = 864_000_000;

const label = text({
  pattern: "(?!<[^<>]*>$)[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]{1,200}",
  what: "text of 1 to 200 printable characters on one line",
});

const seconds = integer(1, MAX_SECONDS, "seconds");
const byte = integer(0, 255);

/** Lists that a value is held against: `allow` must name it, `deny` must not. */
export interface Listing<T> {
  allow?: T[];
  deny?: T[];
}

function listing<T>(item: Shape<T>): Shape<Listing<T>> {
  return object(
    {
      allow: optional(list(item, { min: 1 }), "accepted values; any others are refused"),
      deny: optional(list(item, { min: 1 }), "refused values, even if they are accepted elsewhere"),
    },
    { minFields: 1 },
  );
}

const range = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);
const sized = (bytes: readonly number[], names: readonly string[]) => names.map((name) => [name, bytes] as const);
const SNP_REGISTERS = [...sized([48], ["measurement", "idKeyDigest", "authorKeyDigest"]), ...sized([32], ["hostData"])];
const TDX_REGISTERS = sized([48], ["mrTd", ...range("rtmr", 4), "mrConfigId", "mrOwner", "mrOwnerConfig", "mrSeam"]);
const VTPM_REGISTERS = sized([32], range("pcr", 24));

/** Registers that measurements are compared by, with their lengths in bytes. */
export const REGISTERS = {
  sgx: new Map(sized([32], ["mrEnclave", "mrSigner"])),
  tdx: new Map(TDX_REGISTERS),
  snp: new Map(SNP_REGISTERS),
  nitro: new Map(sized([32, 48, 64], range("pcr", 32))),
  "azure-snp": new Map([...SNP_REGISTERS, ...VTPM_REGISTERS]),
  "azure-tdx": new Map([...TDX_REGISTERS, ...VTPM_REGISTERS]),
  cca: new Map(sized([32, 48, 64], ["rim", ...range("rem", 4)])),
} satisfies Record<string, ReadonlyMap<string, readonly number[]>>;

export type MeasuredFamily = keyof typeof REGISTERS;

/** One accepted state: every register named has one of its values. */
export interface Alternative {
  name?: string;
  values: Record<string, Hex[]>;
}

export type AllowedMeasurements = "any" | Alternative[];

function registers<T>(family: MeasuredFamily, of: (bytes: readonly number[]) => Shape<T>) {
  return object(
    Object.fromEntries([...REGISTERS[family]].map(([name, bytes]) => [name, optional(of(bytes), `register ${name}`)])),
    { minFields: 1 },
  ) as Shape<Record<string, T>>;
}

function measured(family: MeasuredFamily) {
  const alternative = object({
    name: optional(label, "what this state is called in verdicts, such as a release"),
    values: required(
      registers(family, (bytes) => oneOrMore(hex({ bytes }))),
      "registers; each must have the value, or one of the values",
    ),
  }) as Shape<Alternative>;
  const allowed: Shape<AllowedMeasurements> = either(
    word<"any">(["any"]),
    list(alternative, { min: 1, max: 1024, as: "list" }),
    (value) => typeof value === "string",
  );
  return {
    measurements: optional(
      allowed,
      'states that are accepted, one of them is enough; "any" accepts every one and makes no TEE claim; without it nothing is accepted',
    ),
    denyMeasurements: optional(
      registers(family, (bytes) => list(hex({ bytes }), { min: 1 })),
      "values that are refused, by register",
    ),
  };
}

const version = text({ pattern: "\\d{1,9}(?:\\.\\d{1,9}){0,5}", what: "a version such as 1.55.21" });
const vbios = text({
  pattern: "[0-9a-fA-F]{1,4}(?:\\.[0-9a-fA-F]{1,4}){1,7}",
  what: "a VBIOS version such as 96.00.D0.00.03",
  normalise: (value) => value.toUpperCase(),
});

// Intel

/** Revoked is not among them. */
export type AcceptableStatus = Exclude<IntelStatus, "Revoked">;

const ACCEPTABLE_STATUSES = INTEL_STATUSES.filter((status): status is AcceptableStatus => status !== "Revoked");

const advisory = text({
  pattern: "INTEL-[A-Z]{2,4}-\\d{5}",
  what: "an advisory such as INTEL-SA-00615",
});

const intel = {
  statuses: defaults(
    list(word(ACCEPTABLE_STATUSES, { Revoked: "a revoked platform can never be accepted" }), { min: 1 }),
    ["UpToDate"],
    "accepted statuses of the platform's TCB",
  ),
  advisories: optional(
    list(advisory),
    "accepted security advisories: a status other than UpToDate may have these and no others; without the list, any",
  ),
  denyAdvisories: optional(list(advisory, { min: 1 }), "security advisories that are refused at any status"),
  minTcbDate: optional(instant(), "the platform's TCB must be of this date or later"),
  minTcbEvaluationDataNumber: optional(
    integer(1, 0xffffffff),
    "TCB info must be of this number of Intel's evaluations or later",
  ),
  fmspc: optional(listing(hex({ bytes: [6] })), "platform types"),
  ppid: optional(listing(hex({ bytes: [16], notZero: true })), "processors: a list of machines in known places"),
  instanceIds: optional(listing(hex({ bytes: [16], notZero: true })), "platform instances"),
  platform: optional(
    object(
      {
        dynamicPlatform: optional(boolean(), "whether packages can be added to the platform"),
        cachedKeys: optional(boolean(), "whether Intel keeps the platform's root keys"),
        smtEnabled: optional(boolean(), "whether hyperthreading is on"),
      },
      { minFields: 1 },
    ),
    "flags of the PCK certificate that must be there with these values",
  ),
};

const masked = (bytes: number) =>
  object({
    mask: required(hex({ bytes: [bytes] }), "bits that are looked at, bytes in the report's order"),
    value: required(hex({ bytes: [bytes] }), "what they must be"),
  });

const sgx = object({
  ...measured("sgx"),
  ...intel,
  signers: optional(listing(hex({ bytes: [32] })), "MRSIGNER values"),
  isvProdIds: optional(list(integer(0, 0xffff), { min: 1 }), "accepted product numbers of the signer"),
  minIsvSvn: optional(integer(0, 0xffff), "lowest accepted security version of the enclave"),
  attributes: optional(masked(16), "required bits of the enclave's attributes"),
  miscSelect: optional(masked(4), "required bits of MISCSELECT"),
  configIds: optional(list(hex({ bytes: [64] }), { min: 1 }), "accepted CONFIGID values"),
  minConfigSvn: optional(integer(0, 0xffff), "lowest accepted CONFIGSVN"),
});

/** Bits of a TD's attributes. DEBUG is refused anyway. */
export const TD_ATTRIBUTES = {
  HGS_PLUS_PROF: 4,
  PERF_PROF: 5,
  PMT_PROF: 6,
  ICSSD: 16,
  LASS: 27,
  SEPT_VE_DISABLE: 28,
  MIGRATABLE: 29,
  PKS: 30,
  KL: 31,
  TPA: 62,
  PERFMON: 63,
} as const;

export type TdAttribute = keyof typeof TD_ATTRIBUTES;

const TD_ATTRIBUTE_NAMES = Object.keys(TD_ATTRIBUTES) as TdAttribute[];

const tdxRules = {
  ...intel,
  seamSigners: optional(listing(hex({ bytes: [48] })), "MRSIGNERSEAM values; Intel's own modules have zero"),
  septVeDisable: defaults(
    boolean(),
    true,
    "whether SEPT_VE_DISABLE must be set: without it the host can inject faults into the guest. Azure does not set it",
  ),
  requireAttributes: defaults(list(word(TD_ATTRIBUTE_NAMES)), [], "attributes that the TD must have"),
  forbidAttributes: defaults(
    list(word(TD_ATTRIBUTE_NAMES)),
    ["HGS_PLUS_PROF", "PERF_PROF", "PMT_PROF", "MIGRATABLE", "PERFMON"],
    "attributes that the TD must not have; the default forbids profiling from outside, and migration",
  ),
  allowUnknownAttributes: defaults(
    boolean(),
    false,
    "whether the TD may have attributes that this release has no name for",
  ),
  xfam: optional(
    hex({ bytes: [8] }),
    "extended features that the TD may have, as a mask in the quote's order of bytes",
  ),
  serviceTds: defaults(
    list(hex({ bytes: [48], notZero: true })),
    [],
    "accepted MRSERVICETD values; without any, no service TD may be bound to the TD: it could migrate it",
  ),
};

// AMD

const tcb = object(
  {
    fmc: optional(byte, "Turin's FMC"),
    bootloader: optional(byte, "boot loader"),
    tee: optional(byte, "TEE"),
    snp: optional(byte, "SNP firmware"),
    microcode: optional(byte, "microcode"),
  },
  { minFields: 1 },
);

const minTcb = object(
  {
    reported: optional(tcb, "that the key is derived for"),
    committed: optional(tcb, "that the machine cannot go back behind"),
    launch: optional(tcb, "that the guest was launched under"),
    current: optional(tcb, "that is running"),
  },
  { minFields: 1 },
);

export const SNP_PRODUCTS = ["Milan", "Genoa", "Turin"] as const;

const PLATFORM_BITS = ["smt", "tsme", "ecc", "raplDisabled", "ciphertextHiding", "aliasCheckComplete", "tio"] as const;
const POLICY_BITS = ["memAes256Xts", "raplDisabled", "ciphertextHiding", "pageSwapDisabled"] as const;

const snpRules = {
  products: optional(listing(word(SNP_PRODUCTS)), "product lines"),
  minReportVersion: optional(integer(2, 255), "lowest accepted version of the report"),
  minTcb: optional(
    object(
      Object.fromEntries(SNP_PRODUCTS.map((product) => [product, optional(minTcb, `for ${product}`)])) as Record<
        (typeof SNP_PRODUCTS)[number],
        ReturnType<typeof optional<Read<typeof minTcb>>>
      >,
      { minFields: 1 },
    ),
    "lowest accepted patch levels by product; products that are not named are refused",
  ),
  minFirmware: optional(
    object(
      {
        current: optional(version, "that is running"),
        committed: optional(version, "that the machine cannot go back behind"),
      },
      { minFields: 1 },
    ),
    "lowest accepted versions of the SNP firmware, as major.minor.build",
  ),
  requireCommitted: defaults(
    boolean(),
    false,
    "whether firmware and patch levels that are running must be committed: what is not, the machine can go back behind",
  ),
  mitigations: optional(
    object(
      {
        launch: optional(hex({ bytes: [8] }), "at launch"),
        current: optional(hex({ bytes: [8] }), "now"),
      },
      { minFields: 1 },
    ),
    "mitigations that must be on, as masks of eight bytes, the most significant first (report version 5)",
  ),
  vmpl: defaults(
    list(integer(0, 3), { min: 1 }),
    [0],
    "accepted privilege levels of whoever asked for the report. AWS and GCP guests may have 1: then what runs at 0 is measured too",
  ),
  minGuestSvn: optional(integer(0, 0xffffffff), "lowest accepted security version of the guest"),
  minAbi: optional(
    object({ major: required(byte, "major"), minor: required(byte, "minor") }),
    "lowest firmware interface that the guest's own policy must ask for",
  ),
  allowSmt: defaults(boolean(), true, "whether the guest's policy may let it run with hyperthreading on"),
  allowMigrateMa: defaults(boolean(), false, "whether a migration agent may be bound to the guest: it can move it"),
  allowCxl: defaults(boolean(), false, "whether the guest's policy may let it use CXL memory"),
  requireSingleSocket: defaults(boolean(), false, "whether the guest's policy must keep it on one socket"),
  requirePolicy: defaults(list(word(POLICY_BITS)), [], "further things that the guest's policy must ask for"),
  platformInfo: optional(
    object(
      {
        require: optional(list(word(PLATFORM_BITS), { min: 1 }), "must be so"),
        forbid: optional(list(word(PLATFORM_BITS), { min: 1 }), "must not be so"),
      },
      { minFields: 1 },
    ),
    "how the machine must be set up; aliasCheckComplete tells that memory was checked for BadRAM",
  ),
  familyIds: optional(list(hex({ bytes: [16] }), { min: 1 }), "accepted family ids of the guest"),
  imageIds: optional(list(hex({ bytes: [16] }), { min: 1 }), "accepted image ids of the guest"),
  idKeys: optional(listing(hex({ bytes: [48] })), "digests of the key that signed the guest's identity"),
  authorKeys: optional(listing(hex({ bytes: [48] })), "digests of the key that vouches for the identity key"),
  signingKeys: defaults(
    list(word(["VCEK", "VLEK"]), { min: 1 }),
    ["VCEK", "VLEK"],
    "accepted kinds of key that reports are signed with: a chip's own, or a cloud's",
  ),
  cspIds: optional(list(label, { min: 1 }), "clouds whose VLEK is accepted, as the certificate names them"),
  chipIds: optional(
    listing(hex({ bytes: [64], notZero: true })),
    "chips: a list of machines in known places; a report that hides its chip is refused",
  ),
  requireCrl: defaults(boolean(), true, "whether AMD's revocation list must have been among the collateral"),
};

// AWS

const nitro = object({
  ...measured("nitro"),
  maxAgeSeconds: optional(seconds, "how old the document may be, by the time that it has in it"),
  maxAheadSeconds: defaults(
    integer(0, 86_400, "seconds"),
    60,
    "how far the document's time may lie ahead of the time to verify at",
  ),
  requirePublicKey: defaults(boolean(), false, "whether the document must hold a public key"),
  requireUserData: defaults(boolean(), false, "whether the document must hold user data"),
  moduleIds: optional(listing(label), "enclaves by module id, which names the instance that they run in"),
});

// NVIDIA

const count = object(
  { min: optional(integer(0, 256), "at least"), max: optional(integer(0, 256), "at most") },
  { minFields: 1 },
);
const upper = (value: string) => value.toUpperCase();
const chip = text({ pattern: "[A-Za-z0-9_-]{2,32}", what: "a chip's name such as GH100", normalise: upper });
const serial = text({
  pattern: "(?:0[xX])?[0-9a-fA-F]{1,64}",
  what: "a serial number in hex",
  normalise: (value) =>
    value
      .replace(/^0[xX]/, "")
      .replace(/^0+(?=.)/, "")
      .toLowerCase(),
});
const chipKey = { pattern: "^[A-Za-z0-9_-]{2,32}$", what: "a chip, such as GH100," };

const deviceVersions = record(
  chipKey,
  object({ driver: optional(version, "driver"), vbios: optional(vbios, "VBIOS") }, { minFields: 1 }),
  { min: 1 },
);

const nvidia = object({
  rims: defaults(
    word(["match", "any"]),
    "match",
    'whether every measurement must equal NVIDIA\'s reference manifests; "any" makes no TEE claim',
  ),
  revocation: defaults(
    list(word(["good", "hold", "unchecked"], { revoked: "a revoked certificate can never be accepted" }), { min: 1 }),
    ["good"],
    "accepted answers to whether the device's certificates are revoked",
  ),
  rimRevocation: defaults(
    list(word(["good", "hold", "unchecked"], { revoked: "a revoked certificate can never be accepted" }), { min: 1 }),
    ["good"],
    "accepted answers to whether the certificates of the manifests' signers are revoked",
  ),
  modes: optional(
    list(word(["spt", "mpt", "ppcie"]), { min: 1 }),
    "accepted modes of confidential computing: over one GPU, over several, with protected PCIe",
  ),
  fwid: defaults(
    list(word(["match", "absent"]), { min: 1 }),
    ["match"],
    "whether the certificate's firmware identity was compared; VBIOS of 2023 has none",
  ),
  devices: optional(count, "how many GPUs the machine must have, each counted once"),
  switches: optional(count, "how many NVSwitches the machine must have, each counted once"),
  chips: optional(listing(chip), "chips"),
  serials: optional(listing(serial), "devices by the serial number of the certificate that is burnt in, in hex"),
  deviceIds: optional(listing(hex({ bytes: [32] })), "devices by the digest of their identity key"),
  minVersions: optional(deviceVersions, "lowest accepted versions by chip; chips that are not named are refused"),
});

export const NRAS_ISSUER = "https://nras.attestation.nvidia.com";

const claimValue = either(
  boolean(),
  text({ pattern: "[\\x20-\\x7e]{0,200}", what: "true, false, or text" }),
  (value) => typeof value === "boolean",
);

type ClaimValue = boolean | string;
const claimValues: Shape<ClaimValue[]> = oneOrMore(claimValue);

const nras = object({
  issuers: defaults(list(label, { min: 1 }), [NRAS_ISSUER], "accepted issuers of tokens"),
  claims: defaults(
    record({ pattern: "^[A-Za-z][A-Za-z0-9_.-]{0,99}$", what: "a claim" }, claimValues, {
      known: {
        measres: defaults(claimValues, "success", "other values than success make no TEE claim"),
        secboot: defaults(claimValues, true, "whether the device booted securely"),
        dbgstat: defaults<ClaimValue[]>(
          oneOrMore(word(["disabled"], { enabled: "debug mode can never be accepted" })),
          "disabled",
          "debug mode can never be accepted",
        ),
      },
    }),
    {},
    "what the token of every device must say: one of the values",
  ),
  devices: optional(count, "how many devices the tokens must be about"),
  chips: optional(listing(chip), "chips, by the claim hwmodel"),
  minVersions: optional(deviceVersions, "lowest accepted versions by chip; chips that are not named are refused"),
  maxAgeSeconds: optional(seconds, "how long ago the token may have been issued"),
});

// Arm

/** States of a platform that a policy can accept; in the others it can be debugged, or is not set up. */
export const CCA_LIFECYCLES = ["secured", "non-cca-platform-debug"] as const;

// event logs

const keyProvider = object(
  { name: optional(label, "such as kms or local-sgx"), id: optional(hex({ least: 1 }), "its public key") },
  { minFields: 1 },
);

const eventLog = object({
  composeHashes: optional(listing(hex({ bytes: [32] })), "SHA-256 digests of the app's compose file"),
  keyProviders: optional(list(keyProvider, { min: 1, max: 256, as: "list" }), "who may hold the app's keys"),
  osImageHashes: optional(listing(hex({ bytes: [32] })), "images that the app runs on"),
  appIds: optional(listing(hex({ least: 1, most: 64 })), "apps"),
  instanceIds: optional(listing(hex({ least: 1, most: 64 })), "instances of the app"),
  events: optional(
    list(
      object({
        name: required(label, "what the event is called"),
        register: defaults(integer(0, 3), 3, "the runtime register that it is measured into"),
        payloads: optional(list(hex({ most: 65_536 }), { min: 1 }), "accepted contents; any without"),
      }),
      { min: 1, max: 256, as: "list" },
    ),
    "events that must be in the log, each bound to its register, and each time with an accepted content",
  ),
});

const logged = {
  eventLog: optional(eventLog, "rules for the log of what was measured at run time, which must be there"),
};

const vtpm = {
  requireSafeClock: defaults(boolean(), false, "whether the TPM's clock must be marked as safe"),
};

export const FAMILY_SHAPES = {
  sgx,
  tdx: object({ ...measured("tdx"), ...tdxRules, ...logged }),
  snp: object({ ...measured("snp"), ...snpRules }),
  nitro,
  nvidia,
  nras,
  "azure-snp": object({
    ...measured("azure-snp"),
    ...vtpm,
    tee: defaults(object(snpRules), {}, "rules for the report of the paravisor that the TPM belongs to"),
  }),
  "azure-tdx": object({
    ...measured("azure-tdx"),
    ...vtpm,
    tee: defaults(object(tdxRules), {}, "rules for the quote of the paravisor that the TPM belongs to"),
    ...logged,
  }),
  cca: object({
    ...measured("cca"),
    lifecycles: defaults(list(word(CCA_LIFECYCLES), { min: 1 }), ["secured"], "accepted states of the platform"),
    implementationIds: optional(listing(hex({ bytes: [32] })), "platform types"),
    instanceIds: optional(listing(hex({ bytes: [33] })), "platforms: a list of machines in known places"),
    componentSigners: optional(
      listing(hex({ bytes: [32, 48, 64] })),
      "signers of the platform's firmware components; every component's must be accepted",
    ),
    componentMeasurements: optional(
      listing(hex({ bytes: [32, 48, 64] })),
      "measurements of the platform's firmware components; every component's must be accepted",
    ),
    personalisations: optional(list(hex({ bytes: [64] }), { min: 1 }), "accepted personalisation values of the realm"),
  }),
};

const BINDINGS = ["task", "report-data", "nonce", "any"] as const;

const binding = either(
  word(BINDINGS),
  object({
    listed: required(list(hex({ least: 1, most: 1024 }), { min: 1 }), "accepted report data (Nitro: user data)"),
  }),
  (value) => typeof value !== "object",
);

const policy = object({
  format: required(word([POLICY_FORMAT]), `always ${POLICY_FORMAT}`),
  name: required(label, "what the policy is called in verdicts"),
  description: optional(
    text({
      pattern: "(?!<[^<>]*>$)[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]{0,2000}",
      what: "text of at most 2000 printable characters",
    }),
    "what it is for",
  ),
  binding: required(
    binding,
    'what evidence must be bound to: "task": the task that is asked about; "report-data": what the request expects; "nonce": its ' +
      'nonce; {"listed": […]}: one of these; "any": nothing, so that it may be anybody\'s and of any time',
  ),
  requireNonce: defaults(boolean(), false, "whether evidence must answer to the request's nonce, beside the binding"),
  requireDeviceBinding: defaults(
    word(["task", "nonce", "any"]),
    "any",
    "how strongly devices of a machine must be tied to its CPU's report",
  ),
  collateral: optional(
    object(
      {
        minIssued: optional(instant(), "the vendors' statements must have been issued then or later"),
        maxAgeSeconds: optional(seconds, "how long ago the vendors' statements may have been issued"),
        kinds: defaults(
          list(text({ pattern: "[a-z][a-z0-9.-]{1,63}", what: "a kind of collateral such as intel.tcb-info" }), {
            min: 1,
          }),
          ["intel.tcb-info", "intel.qe-identity", "amd.crl"],
          "which collateral the two rules are about, such as intel.pck-crl, nitro.crl or nvidia.ocsp besides",
        ),
      },
      { minFields: 1 },
    ),
    "how recent the vendors' statements must be: old ones are signed too, and do not know what was found since",
  ),
  families: required(
    object(
      Object.fromEntries(
        Object.entries(FAMILY_SHAPES).map(([name, shape]) => [
          name,
          optional(shape as Shape<unknown>, `rules for ${name}`),
        ]),
      ) as { [F in keyof typeof FAMILY_SHAPES]: ReturnType<typeof optional<Read<(typeof FAMILY_SHAPES)[F]>>> },
      { minFields: 1 },
    ),
    "families that are accepted, and under which rules",
  ),
});

export type Policy = Read<typeof policy>;
export type Families = Policy["families"];
export type SgxRules = Read<typeof sgx>;
export type IntelRules = ReadFields<typeof intel>;
export type TdxRules = ReadFields<typeof tdxRules>;
export type SnpRules = ReadFields<typeof snpRules>;
export type NitroRules = Read<typeof nitro>;
export type NvidiaRules = Read<typeof nvidia>;
export type NrasRules = Read<typeof nras>;
export type CcaRules = Read<(typeof FAMILY_SHAPES)["cca"]>;
export type EventLogRules = Read<typeof eventLog>;
export type CountRule = Read<typeof count>;

/** How a policy is read, and what its schema is. */
export const POLICY_SHAPE: Shape<Policy> = policy;

/** Policies that were read here, which nobody can have changed since, with their digests where somebody asked. */
const read = new WeakMap<object, { digest?: Hex }>();

/**
 * Reads a policy strictly, and freezes it. What it returns, it takes as it is.
 *
 * @throws POLICY_INVALID with the place, what is wrong there and what is allowed
 */
export function policyFromJson(json: unknown): Policy {
  if (typeof json === "object" && json !== null && read.has(json)) return json as Policy;
  const value = POLICY_SHAPE.read(json, "policy");
  deepFreeze(value);
  read.set(value, {});
  return value;
}

/** As a file has it, with every default. */
export function policyToJson(value: Policy): Record<string, unknown> {
  return structuredClone(policyFromJson(value)) as Record<string, unknown>;
}

/** keccak256 over the canonical form of the policy as read: however it was spelt. */
export function policyDigest(value: Policy): Hex {
  const policy = policyFromJson(value);
  const known = read.get(policy)!;
  known.digest ??= documentDigest(policy);
  return known.digest;
}

function deepFreeze(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  Object.values(value).forEach(deepFreeze);
  Object.freeze(value);
}
