/** Claims made by hand, one set a family, each of which the policy beside it accepts; and a policy that uses every field. */
import { type Hex, keccak, toHex, utf8 } from "../../../src/field/bytes.js";
import type {
  CcaClaims,
  Claims,
  EventLogClaims,
  IntelClaims,
  NitroClaims,
  NrasClaims,
  NvidiaClaims,
  SnpClaims,
  VtpmClaims,
} from "../../../src/tee/claims.js";
import { type Authentic, collateralDigest, type Used } from "../../../src/tee/context.js";
import { POLICY_FORMAT, type Policy, policyFromJson } from "../../../src/tee/policy/policy.js";

/** 2026-01-01T00:00:00Z. */
export const NOW = 1_767_225_600;
export const DAY = 86_400;

/** Bytes that only this label has. */
export function bytes(label: string, length: number): Hex {
  const seed = toHex(keccak(utf8(label))).slice(2);
  return `0x${seed.repeat(Math.ceil(length / 32)).slice(0, 2 * length)}`;
}

export const zeros = (length: number): Hex => `0x${"00".repeat(length)}`;

export const NONCE = bytes("nonce", 32);

const registers = (names: readonly string[], length: number) =>
  Object.fromEntries(names.map((name) => [name, bytes(name, length)]));

const PCRS = Array.from({ length: 24 }, (_, i) => `pcr${i}`);

export function intel(family: "sgx" | "tdx"): IntelClaims {
  return {
    family,
    debug: false,
    measurements:
      family === "sgx"
        ? registers(["mrEnclave", "mrSigner"], 32)
        : registers(
            ["mrTd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrConfigId", "mrOwner", "mrOwnerConfig", "mrSeam"],
            48,
          ),
    reportData: `0x${bytes("leaf", 32).slice(2)}${NONCE.slice(2)}`,
    quoteVersion: 4,
    body: family === "sgx" ? "sgx" : "td-1.5",
    status: "UpToDate",
    advisories: [],
    tcbDate: "2025-05-14T00:00:00Z",
    tcbEvaluationDataNumber: 18,
    parts: [
      { part: "platform", status: "UpToDate", tcbDate: "2025-05-14T00:00:00Z", advisories: [], behind: [] },
      { part: "quoting enclave", status: "UpToDate", tcbDate: "2025-05-14T00:00:00Z", advisories: [], behind: [] },
    ],
    fmspc: "0xb0c06f000000",
    pceId: "0x0000",
    ppid: bytes("ppid", 16),
    cpuSvn: bytes("cpu svn", 16),
    pceSvn: 13,
    platform: { instanceId: bytes("instance", 16), dynamicPlatform: true, cachedKeys: true, smtEnabled: true },
    qeIsvSvn: 8,
    userData: zeros(20),
    ...(family === "sgx"
      ? {
          sgx: {
            isvProdId: 7,
            isvSvn: 3,
            attributes: "0x0500000000000000e700000000000000" as Hex,
            miscSelect: "0x00000000" as Hex,
            configId: zeros(64),
            configSvn: 2,
            isvExtProdId: zeros(16),
            isvFamilyId: zeros(16),
          },
        }
      : {
          tdx: {
            teeTcbSvn: bytes("tee tcb", 16),
            mrSignerSeam: zeros(48),
            seamAttributes: zeros(8),
            // SEPT_VE_DISABLE: bit 28.
            tdAttributes: "0x0000001000000000" as Hex,
            xfam: "0xe702060000000000" as Hex,
            mrServiceTd: zeros(48),
            attributes: ["SEPT_VE_DISABLE"],
            module: "TDX_03",
          },
        }),
  };
}

export function snp(): SnpClaims {
  const level = { bootloader: 9, tee: 0, snp: 23, microcode: 72 };
  return {
    family: "snp",
    debug: false,
    measurements: {
      ...registers(["measurement", "idKeyDigest", "authorKeyDigest"], 48),
      ...registers(["hostData"], 32),
    },
    reportData: `0x${bytes("leaf", 32).slice(2)}${NONCE.slice(2)}`,
    reportVersion: 5,
    product: "Genoa",
    cpuid: { family: 0x19, model: 0x11, stepping: 1 },
    signingKey: "VCEK",
    vmpl: 0,
    guestSvn: 4,
    familyId: bytes("family", 16),
    imageId: bytes("image", 16),
    policy: {
      raw: "0x0000000000030000",
      abiMajor: 1,
      abiMinor: 51,
      smt: false,
      migrateMa: false,
      singleSocket: true,
      cxlAllowed: false,
      memAes256Xts: true,
      raplDisabled: true,
      ciphertextHiding: true,
      pageSwapDisabled: true,
      unknownBits: [],
    },
    platformInfo: {
      raw: "0x0000000000000025",
      smt: true,
      tsme: false,
      ecc: true,
      raplDisabled: true,
      ciphertextHiding: true,
      aliasCheckComplete: true,
      tio: false,
      unknownBits: [],
    },
    tcb: { reported: level, committed: level, current: level, launch: level },
    revocation: "good",
    chipId: bytes("chip", 64),
    maskChipKey: false,
    authorKeyEnabled: true,
    reportId: bytes("report id", 32),
    reportIdMa: zeros(32),
    currentVersion: "1.55.39",
    committedVersion: "1.55.39",
    mitigations: { launch: "0x0000000000000007", current: "0x0000000000000007" },
  };
}

export function nitro(): NitroClaims {
  const userData = bytes("user data", 32);
  return {
    family: "nitro",
    debug: false,
    measurements: registers(["pcr0", "pcr1", "pcr2", "pcr8"], 48),
    reportData: userData,
    nonce: NONCE,
    moduleId: "i-0abc-enc0123",
    timestamp: (NOW - 100) * 1000 + 250,
    publicKey: bytes("key", 65),
    userData,
    unknownFields: [],
  };
}

export function nvidia(index = 0): NvidiaClaims {
  return {
    family: "nvidia",
    debug: false,
    measurements: {},
    nonce: NONCE,
    device: "GPU",
    chip: "GH100",
    deviceId: bytes(`device ${index}`, 32),
    serial: `165342${index}`,
    ueid: `48287325917887676442864421941786554694070971206${index}`,
    driver: "570.172.08",
    vbios: "96.00.D0.00.03",
    fwid: "match",
    rims: {
      driver: { status: "match", version: "570.172.08", revocation: "good" },
      vbios: { status: "match", revocation: "good" },
    },
    revocation: "good",
    mode: "spt",
    blocks: {},
    opaque: {},
  };
}

export function nras(): NrasClaims {
  return {
    family: "nras",
    debug: false,
    measurements: {},
    nonce: NONCE,
    issuer: "https://nras.attestation.nvidia.com",
    overallResult: true,
    issuedAt: NOW - 200,
    expiresAt: NOW + 3400,
    devices: [0, 1].map((i) => ({
      name: `GPU-${i}`,
      claims: {
        dbgstat: "disabled",
        hwmodel: "GH100",
        measres: "success",
        secboot: true,
        ueid: `48287325917887676442864421941786554694070971206${i}`,
        "x-nvidia-gpu-driver-version": "570.172.08",
        "x-nvidia-gpu-vbios-version": "96.00.D0.00.03",
      },
    })),
  };
}

export function azure(kind: "snp" | "tdx"): VtpmClaims {
  const tee = kind === "snp" ? snp() : intel("tdx");
  return {
    family: kind === "snp" ? "azure-snp" : "azure-tdx",
    debug: false,
    measurements: { ...tee.measurements, ...registers(PCRS, 32) },
    nonce: NONCE,
    tee,
    firmwareVersion: "0x0",
    runtimeData: {},
    clock: { clock: "1", resetCount: 1, restartCount: 0, safe: true },
  };
}

export function cca(): CcaClaims {
  return {
    family: "cca",
    debug: false,
    measurements: registers(["rim", "rem0", "rem1", "rem2", "rem3"], 32),
    reportData: `0x${NONCE.slice(2)}${"00".repeat(32)}`,
    platform: {
      profile: "tag:arm.com,2023:cca_platform#1.0.0",
      implementationId: bytes("implementation", 32),
      instanceId: bytes("platform instance", 33),
      config: "0xcfcfcfcf",
      lifecycle: 0x3003,
      lifecycleName: "secured",
      components: [
        { type: "RSE_BL1_2", measurement: bytes("bl1", 32), signer: bytes("signer", 32) },
        { type: "RMM", measurement: bytes("rmm", 32), signer: bytes("signer", 32) },
      ],
    },
    realm: { personalisation: bytes("personalisation", 64), hashAlgorithm: "sha-256", publicKey: "0x04" },
  };
}

export function eventLog(): EventLogClaims {
  const event = (name: string, payload: Hex, bound = true) => ({
    register: 3,
    type: 0x08000001,
    digest: bytes(name, 48),
    name,
    payload,
    bound,
  });
  const names = ["rtmr0", "rtmr1", "rtmr2", "rtmr3"];
  return {
    format: "dstack",
    digest: bytes("log", 32),
    registers: registers(names, 48),
    events: [
      event("compose-hash", bytes("compose", 32)),
      event("app-id", bytes("app", 20)),
      event("ready", "0x"),
      event("forged", "0x01", false),
    ],
    composeHash: bytes("compose", 32),
    appId: bytes("app", 20),
    instanceId: bytes("app instance", 20),
    keyProvider: `{"name":"kms","id":"${bytes("kms", 64).slice(2)}"}`,
    osImageHash: bytes("os", 32),
  };
}

const used = (kind: string, issued: number): Used => ({
  kind,
  digest: bytes(kind, 32),
  issued,
  validFrom: issued,
  validUntil: NOW + 20 * DAY,
});

export const COLLATERAL: Used[] = [
  used("amd.crl", NOW - 40 * DAY),
  used("intel.pck-crl", NOW - 5 * DAY),
  used("intel.qe-identity", NOW - 4 * DAY),
  used("intel.tcb-info", NOW - 3 * DAY),
  used("nvidia.nras-jwks", NOW - DAY),
  used("nvidia.ocsp", NOW - DAY),
];

export function authentic<C extends Claims>(claims: C, changes: Partial<Authentic<C>> = {}): Authentic<C> {
  const collateral = changes.collateral ?? COLLATERAL;
  return {
    ok: true,
    claims,
    validFrom: NOW - 10 * DAY,
    validUntil: NOW + 20 * DAY,
    evidenceDigest: bytes(`evidence of ${claims.family}`, 32),
    collateralDigest: collateralDigest(collateral),
    checks: [{ id: "some.signature", claim: "it is signed", outcome: "pass" }],
    collateral,
    verifiedAt: NOW,
    notes: [],
    ...changes,
  };
}

/** Claims of every family, made anew. */
export const CLAIMS: { readonly [F in Claims["family"]]: () => Claims } = {
  sgx: () => intel("sgx"),
  tdx: () => intel("tdx"),
  snp,
  nitro,
  nvidia: () => nvidia(),
  nras,
  "azure-snp": () => azure("snp"),
  "azure-tdx": () => azure("tdx"),
  cca,
};

/** A state that the family's claims are in. */
export function state(family: keyof typeof CLAIMS): { values: Record<string, Hex> }[] {
  return [{ values: { ...CLAIMS[family]().measurements } }];
}

/** The least that accepts the family's claims with a TEE claim. */
export function rulesFor(family: keyof typeof CLAIMS, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return family === "nvidia" || family === "nras" ? changes : { measurements: state(family), ...changes };
}

export function json(
  families: Record<string, unknown>,
  changes: Record<string, unknown> = {},
): Record<string, unknown> {
  return { format: POLICY_FORMAT, name: "test", binding: "any", families, ...changes };
}

export function policy(families: Record<string, unknown>, changes: Record<string, unknown> = {}): Policy {
  return policyFromJson(json(families, changes));
}

const lists = (allow: unknown, deny: unknown) => ({ allow: [allow], deny: [deny] });

const INTEL = {
  statuses: ["UpToDate", "SWHardeningNeeded"],
  advisories: ["INTEL-SA-00615"],
  denyAdvisories: ["INTEL-SA-00837"],
  minTcbDate: "2024-02-29",
  minTcbEvaluationDataNumber: 17,
  fmspc: lists("B0C06F000000", "00806f050000"),
  ppid: lists(bytes("ppid", 16), bytes("stolen", 16)),
  instanceIds: lists(bytes("instance", 16), bytes("other", 16)),
  platform: { dynamicPlatform: true, cachedKeys: true, smtEnabled: true },
};

const TDX = {
  ...INTEL,
  seamSigners: lists(zeros(48), bytes("nobody", 48)),
  septVeDisable: true,
  requireAttributes: ["SEPT_VE_DISABLE"],
  forbidAttributes: ["PERFMON", "MIGRATABLE"],
  allowUnknownAttributes: true,
  xfam: "e702060000000000",
  serviceTds: [bytes("service", 48)],
};

const LEVEL = { fmc: 0, bootloader: 7, tee: 0, snp: 20, microcode: 70 };
const GENOA = { bootloader: 7, tee: 0, snp: 20, microcode: 70 };

const SNP = {
  products: { allow: ["Genoa", "Turin"], deny: ["Milan"] },
  minReportVersion: 3,
  minTcb: {
    Milan: { reported: LEVEL, committed: LEVEL, launch: LEVEL, current: LEVEL },
    Genoa: { reported: GENOA, committed: GENOA, launch: GENOA, current: GENOA },
    Turin: { reported: LEVEL, committed: LEVEL, launch: LEVEL, current: LEVEL },
  },
  minFirmware: { current: "1.55.21", committed: "1.55" },
  requireCommitted: true,
  mitigations: { launch: "0000000000000003", current: "0000000000000003" },
  vmpl: [0, 1],
  minGuestSvn: 2,
  minAbi: { major: 1, minor: 51 },
  allowSmt: false,
  allowMigrateMa: false,
  allowCxl: false,
  requireSingleSocket: true,
  requirePolicy: ["memAes256Xts"],
  platformInfo: { require: ["aliasCheckComplete"], forbid: ["tsme"] },
  familyIds: [bytes("family", 16)],
  imageIds: [bytes("image", 16)],
  idKeys: lists(bytes("idKeyDigest", 48), bytes("bad key", 48)),
  authorKeys: lists(bytes("authorKeyDigest", 48), bytes("bad key", 48)),
  signingKeys: ["VCEK"],
  cspIds: ["some cloud"],
  chipIds: lists(bytes("chip", 64), bytes("stolen", 64)),
  requireCrl: true,
};

const LOG = {
  eventLog: {
    composeHashes: lists(bytes("compose", 32), bytes("old compose", 32)),
    keyProviders: [{ name: "kms", id: bytes("kms", 64) }],
    osImageHashes: lists(bytes("os", 32), bytes("old os", 32)),
    appIds: lists(bytes("app", 20), bytes("other app", 20)),
    instanceIds: lists(bytes("app instance", 20), bytes("other instance", 20)),
    events: [{ name: "compose-hash", register: 3, payloads: [bytes("compose", 32)] }],
  },
};

const measured = (family: keyof typeof CLAIMS) => {
  const values = CLAIMS[family]().measurements;
  const [first] = Object.keys(values);
  return {
    measurements: [{ name: "release 1", values }, { values: { [first!]: [values[first!], values[first!]] } }],
    denyMeasurements: { [first!]: [zeros((values[first!]!.length - 2) / 2)] },
  };
};

const VERSIONS = { GH100: { driver: "550.90", vbios: "96.00.9f.00.01" } };

/** Every field that a policy can have, with values that accept the claims above. */
export const EVERYTHING = json(
  {
    sgx: {
      ...measured("sgx"),
      ...INTEL,
      signers: lists(bytes("mrSigner", 32), bytes("bad signer", 32)),
      isvProdIds: [7],
      minIsvSvn: 2,
      attributes: { mask: `02${"00".repeat(15)}`, value: zeros(16) },
      miscSelect: { mask: "ffffffff", value: "00000000" },
      configIds: [zeros(64)],
      minConfigSvn: 1,
    },
    tdx: { ...measured("tdx"), ...TDX, ...LOG },
    snp: { ...measured("snp"), ...SNP },
    nitro: {
      ...measured("nitro"),
      maxAgeSeconds: 3600,
      maxAheadSeconds: 30,
      requirePublicKey: true,
      requireUserData: true,
      moduleIds: lists("i-0abc-enc0123", "i-0bad-enc0123"),
    },
    nvidia: {
      rims: "match",
      revocation: ["good", "hold"],
      rimRevocation: ["good"],
      modes: ["spt", "mpt"],
      fwid: ["match", "absent"],
      devices: { min: 1, max: 8 },
      switches: { min: 0, max: 4 },
      chips: lists("GH100", "GA100"),
      serials: lists("1653420", "1"),
      deviceIds: lists(bytes("device 0", 32), bytes("stolen", 32)),
      minVersions: VERSIONS,
    },
    nras: {
      issuers: ["https://nras.attestation.nvidia.com"],
      claims: { measres: "success", secboot: [true], dbgstat: "disabled", hwmodel: ["GH100", "GB100"] },
      devices: { min: 1, max: 8 },
      chips: lists("GH100", "GA100"),
      minVersions: VERSIONS,
      maxAgeSeconds: 3600,
    },
    "azure-snp": { ...measured("azure-snp"), requireSafeClock: true, tee: SNP },
    "azure-tdx": { ...measured("azure-tdx"), requireSafeClock: true, tee: TDX, ...LOG },
    cca: {
      ...measured("cca"),
      lifecycles: ["secured", "non-cca-platform-debug"],
      implementationIds: lists(bytes("implementation", 32), bytes("old", 32)),
      instanceIds: lists(bytes("platform instance", 33), bytes("stolen", 33)),
      componentSigners: lists(bytes("signer", 32), bytes("bad signer", 32)),
      componentMeasurements: { allow: [bytes("bl1", 32), bytes("rmm", 32)], deny: [bytes("old", 32)] },
      personalisations: [bytes("personalisation", 64)],
    },
  },
  {
    description: "every field there is",
    requireNonce: false,
    requireDeviceBinding: "any",
    collateral: {
      minIssued: "2025-12-01T00:00:00Z",
      maxAgeSeconds: 30 * DAY,
      kinds: ["intel.tcb-info", "nvidia.ocsp"],
    },
  },
);
