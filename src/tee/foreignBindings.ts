/**
 * How others bind what a guest says to its report: the layouts that report data has in the field, each as its producer writes it.
 *
 *     dstack            H(tag ‖ ":" ‖ content), zeros; or the content itself, zeros
 *     RA-TLS of dstack  SHA-512("ratls-cert:" ‖ SubjectPublicKeyInfo)
 *     dip1 of dstack    "dip1::secp256k1c-pk:" or "dip1::ed25519-pk:" ‖ base64url of the key, zeros
 *     NEAR AI           SHA-256(signing address ‖ SHA-256 of the TLS key) ‖ nonce
 *     Venice, Phala     signing address (20) ‖ zeros (12) ‖ nonce
 *     Chutes            SHA-256(nonce in hex ‖ public key in base64) ‖ 32 bytes of its own
 *     Tinfoil, v3       SHA-256(SHA-256 of the TLS key ‖ HPKE key ‖ nonce [‖ GPU evidence [‖ switch evidence]]) ‖ zeros
 *     Flashtestations   address (20) ‖ keccak256(extended data) ‖ 12 bytes that its registry does not look at
 *
 * Sources: Dstack-TEE/dstack (dstack-attest, guest-agent), 13rac1/teep (internal/provider; its recordings agree with each),
 * flashbots/flashtestations (QuoteParser.sol, BlockBuilderPolicy.sol), marlinprotocol/oyster-monorepo (verifier-risczero,
 * AttestationVerifier.sol). anchorproof's own layout is in `binding.ts`.
 *
 * A binding says whose key or request it is, never that the guest is a good one: that is for measurements and policy.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { keccak_256, keccak_384, keccak_512, sha3_256, sha3_384, sha3_512 } from "@noble/hashes/sha3.js";
import { AnchorError } from "../errors.js";
import { concat, fromHex, type Hex, keccak, toHex, utf8 } from "../field/bytes.js";
import type { Claims, NitroClaims } from "./claims.js";
import { demand } from "./context.js";
import { equalBytes, isZero } from "./read/bytes.js";

const DSTACK_HASHES = {
  sha256: (data: Uint8Array) => digest("sha256", data),
  sha384: (data: Uint8Array) => digest("sha384", data),
  sha512: (data: Uint8Array) => digest("sha512", data),
  "sha3-256": sha3_256,
  "sha3-384": sha3_384,
  "sha3-512": sha3_512,
  keccak256: keccak_256,
  keccak384: keccak_384,
  keccak512: keccak_512,
} as const;

export type DstackHash = keyof typeof DSTACK_HASHES;

/** A layout with what has to be in it. */
export type Binding =
  /** `tag`: `app-data`, `kms-root-ca`, `ratls-cert`, or the app's own. `hash` is sha512 unless given. */
  | { kind: "dstack"; tag: string; content: Hex; hash?: DstackHash }
  | { kind: "dstack-raw"; content: Hex }
  /** `publicKey`: 33 bytes, compressed, on secp256k1; 32 bytes of Ed25519. */
  | { kind: "dip1"; publicKey: Hex }
  /** `spki`: SubjectPublicKeyInfo of the TLS certificate, DER. */
  | { kind: "ra-tls"; spki: Hex }
  /** `signingAddress`: 20 bytes, or 32 of an Ed25519 key. */
  | { kind: "near"; signingAddress: Hex; tlsFingerprint: Hex; nonce: Hex }
  | { kind: "venice"; signingAddress: Hex; nonce: Hex }
  /** `publicKey`: in base64, as the service gives it. */
  | { kind: "chutes"; publicKey: string; nonce: Hex }
  | {
      kind: "tinfoil-v3";
      tlsFingerprint: Hex;
      hpkeKey: Hex;
      nonce: Hex;
      gpuEvidenceHash?: Hex;
      nvswitchEvidenceHash?: Hex;
    }
  | { kind: "flashtestations"; teeAddress: Hex; extendedData: Hex };

export type BindingKind = Binding["kind"];

/** What report data says, in words. */
export interface BindingFound {
  kind: BindingKind;
  /** Which inputs cannot be others than those given. */
  bound: string[];
  /** What the layout leaves open. */
  unbound: string[];
}

/** Part of a report's data: bytes from an offset on, or `undefined` for bytes that are anybody's. */
interface Layout {
  parts: readonly { from: number; bytes: Uint8Array; what: string }[];
  bound: string[];
  unbound: string[];
}

const LENGTH = 64;

/**
 * Holds the 64 bytes of report data against a layout and its inputs.
 *
 * @throws BINDING_MISMATCH, naming the part that differs; INPUT_INVALID for inputs that the layout cannot hold
 */
export function checkBinding(reportData: Hex, binding: Binding): BindingFound {
  const data = fromHex(reportData, "report data", LENGTH);
  const { parts, bound, unbound } = layout(binding);
  for (const { from, bytes, what } of parts) {
    const has = data.subarray(from, from + bytes.length);
    demand(
      equalBytes(has, bytes),
      "BINDING_MISMATCH",
      `bytes ${from} to ${from + bytes.length} of the report data are ${toHex(has)}, and ${what} is ${toHex(bytes)}`,
    );
  }
  return { kind: binding.kind, bound, unbound };
}

/** What a caller may know about an endpoint, by which its report data can be recognised. Nonces are those that were sent. */
export interface KnownInputs {
  nonce?: Hex;
  /** What an app passed to dstack as report data. */
  content?: Hex;
  /** Tags of its own that an app uses with dstack. */
  tags?: readonly string[];
  spki?: Hex;
  tlsFingerprint?: Hex;
  signingAddress?: Hex;
  /** In base64. */
  e2ePublicKey?: string;
  hpkeKey?: Hex;
  gpuEvidenceHash?: Hex;
  nvswitchEvidenceHash?: Hex;
  teeAddress?: Hex;
  extendedData?: Hex;
}

/**
 * The layout that report data is in, if what is known fits one of them; of dip1, whose data says what it is, without any.
 *
 * @throws INPUT_INVALID for malformed report data or inputs
 */
export function recogniseBinding(reportData: Hex, known: KnownInputs = {}): BindingFound | undefined {
  const data = fromHex(reportData, "report data", LENGTH);
  for (const binding of candidates(data, known)) {
    try {
      return checkBinding(reportData, binding);
    } catch (error) {
      if (!(error instanceof AnchorError) || error.code !== "BINDING_MISMATCH") throw error;
    }
  }
  return undefined;
}

/** Layouts whose inputs are all known, the ones that hold most first. */
function candidates(data: Uint8Array, known: KnownInputs): Binding[] {
  const { nonce, content, spki, tlsFingerprint, signingAddress, e2ePublicKey, hpkeKey, teeAddress, extendedData } =
    known;
  const { gpuEvidenceHash, nvswitchEvidenceHash } = known;
  const found: Binding[] = [];
  const publicKey = dip1Key(data);
  if (publicKey) found.push({ kind: "dip1", publicKey });
  if (tlsFingerprint && hpkeKey && nonce) {
    const base = { kind: "tinfoil-v3", tlsFingerprint, hpkeKey, nonce } as const;
    if (gpuEvidenceHash && nvswitchEvidenceHash) found.push({ ...base, gpuEvidenceHash, nvswitchEvidenceHash });
    if (gpuEvidenceHash) found.push({ ...base, gpuEvidenceHash });
    found.push(base);
  }
  if (signingAddress && tlsFingerprint && nonce) found.push({ kind: "near", signingAddress, tlsFingerprint, nonce });
  if (signingAddress?.length === 42 && nonce) found.push({ kind: "venice", signingAddress, nonce });
  if (e2ePublicKey !== undefined && nonce) found.push({ kind: "chutes", publicKey: e2ePublicKey, nonce });
  if (teeAddress && extendedData) found.push({ kind: "flashtestations", teeAddress, extendedData });
  if (spki) found.push({ kind: "ra-tls", spki });
  if (content) {
    for (const tag of ["app-data", "kms-root-ca", ...(known.tags ?? [])]) {
      for (const hash of Object.keys(DSTACK_HASHES) as DstackHash[]) found.push({ kind: "dstack", tag, content, hash });
    }
    const isNothing = /^0x0*$/.test(content);
    if (content.length <= 2 + 2 * LENGTH && !isNothing) found.push({ kind: "dstack-raw", content });
  }
  return found;
}

function layout(binding: Binding): Layout {
  switch (binding.kind) {
    case "dstack":
      return dstack(binding.tag, fromHex(binding.content, "content"), binding.hash ?? "sha512", "the content");
    case "ra-tls":
      return dstack("ratls-cert", fromHex(binding.spki, "SubjectPublicKeyInfo"), "sha512", "the TLS key");
    case "dstack-raw": {
      const content = fromHex(binding.content, "content");
      // Report data of zeros is what evidence that is bound to nothing has.
      demand(!isZero(content), "INPUT_INVALID", "the content must not be empty, nor zeros alone");
      return {
        parts: [{ from: 0, bytes: padded(content), what: "the content" }],
        bound: ["the content"],
        unbound: ["how many zeros the content ends in", "what the content is for: there is no tag"],
      };
    }
    case "dip1":
      return {
        parts: [
          {
            from: 0,
            bytes: padded(dip1(fromHex(binding.publicKey, "public key"))),
            what: "the text that names the key",
          },
        ],
        bound: ["the public key"],
        unbound: ["a request: there is no nonce"],
      };
    case "near":
      return near(binding);
    case "venice":
      return {
        parts: [
          { from: 0, bytes: fromHex(binding.signingAddress, "signing address", 20), what: "the signing address" },
          { from: 20, bytes: new Uint8Array(12), what: "what follows an address" },
          { from: 32, bytes: fromHex(binding.nonce, "nonce", 32), what: "the nonce" },
        ],
        bound: ["the signing address", "the nonce"],
        unbound: ["the TLS key of the connection", "the evidence of devices, but for a nonce that they may share"],
      };
    case "chutes":
      return chutes(binding);
    case "tinfoil-v3":
      return tinfoil(binding);
    case "flashtestations":
      return {
        parts: [
          { from: 0, bytes: fromHex(binding.teeAddress, "TEE address", 20), what: "the TEE's address" },
          {
            from: 20,
            bytes: keccak(fromHex(binding.extendedData, "extended data")),
            what: "keccak256 of the extended data",
          },
        ],
        bound: ["the TEE's address", "the extended registration data"],
        unbound: ["the last 12 bytes, which the registry does not look at", "a request: there is no nonce"],
      };
    default:
      throw new AnchorError(
        "INPUT_INVALID",
        `no binding of this kind is known: ${String((binding as { kind: unknown }).kind)}`,
      );
  }
}

function dstack(tag: string, content: Uint8Array, hash: DstackHash, what: string): Layout {
  // "a:b" with "c" and "a" with "b:c" are the same bytes: a tag that could be split says nothing.
  if (typeof tag !== "string" || tag === "" || tag.includes(":")) {
    throw new AnchorError("INPUT_INVALID", "a tag of dstack's must be text without a colon");
  }
  if (!Object.hasOwn(DSTACK_HASHES, hash)) {
    throw new AnchorError(
      "INPUT_INVALID",
      `dstack has no hash ${String(hash)}; it has ${Object.keys(DSTACK_HASHES).join(", ")}`,
    );
  }
  const bytes = padded(DSTACK_HASHES[hash](concat(utf8(`${tag}:`), content)));
  return {
    parts: [{ from: 0, bytes, what: `${hash} of "${tag}:" and ${what}` }],
    bound: [what, `the tag "${tag}"`],
    unbound: [
      "a request, unless there is a nonce in it",
      "who asked for it: an app may ask the guest's agent for any tag",
    ],
  };
}

function near({ signingAddress, tlsFingerprint, nonce }: Extract<Binding, { kind: "near" }>): Layout {
  const address = fromHex(signingAddress, "signing address");
  demand(address.length === 20 || address.length === 32, "INPUT_INVALID", "signing address must have 20 or 32 bytes");
  const identity = digest("sha256", concat(address, fromHex(tlsFingerprint, "TLS fingerprint", 32)));
  return {
    parts: [
      { from: 0, bytes: identity, what: "sha256 of signing address and TLS fingerprint" },
      { from: 32, bytes: fromHex(nonce, "nonce", 32), what: "the nonce" },
    ],
    bound: ["the signing address", "the TLS key of the connection", "the nonce"],
    unbound: ["the evidence of devices, but for a nonce that they may share"],
  };
}

function chutes({ publicKey, nonce }: Extract<Binding, { kind: "chutes" }>): Layout {
  if (typeof publicKey !== "string" || !/^[A-Za-z0-9+/]+={0,2}$/.test(publicKey)) {
    throw new AnchorError("INPUT_INVALID", "the public key must be base64, as the service gives it");
  }
  const text = toHex(fromHex(nonce, "nonce", 32)).slice(2) + publicKey;
  return {
    parts: [{ from: 0, bytes: digest("sha256", utf8(text)), what: "sha256 of nonce and public key" }],
    bound: ["the public key for end-to-end encryption", "the nonce"],
    unbound: [
      "the TLS key of the connection",
      "the last 32 bytes",
      "the evidence of devices, but for a nonce derived from this one",
    ],
  };
}

function tinfoil(binding: Extract<Binding, { kind: "tinfoil-v3" }>): Layout {
  const { gpuEvidenceHash, nvswitchEvidenceHash } = binding;
  if (nvswitchEvidenceHash !== undefined && gpuEvidenceHash === undefined) {
    throw new AnchorError(
      "INPUT_INVALID",
      "evidence of switches comes with evidence of GPUs: alone its hash would be taken for theirs",
    );
  }
  const inputs = [
    fromHex(binding.tlsFingerprint, "TLS fingerprint", 32),
    fromHex(binding.hpkeKey, "HPKE key", 32),
    fromHex(binding.nonce, "nonce", 32),
    ...(gpuEvidenceHash === undefined ? [] : [fromHex(gpuEvidenceHash, "hash of the GPU evidence", 32)]),
    ...(nvswitchEvidenceHash === undefined ? [] : [fromHex(nvswitchEvidenceHash, "hash of the switch evidence", 32)]),
  ];
  return {
    parts: [
      {
        from: 0,
        bytes: padded(digest("sha256", concat(...inputs))),
        what: "sha256 of keys, nonce and evidence, and zeros",
      },
    ],
    bound: [
      "the TLS key of the connection",
      "the HPKE key",
      "the nonce",
      ...(gpuEvidenceHash === undefined ? [] : ["the evidence of the GPUs"]),
      ...(nvswitchEvidenceHash === undefined ? [] : ["the evidence of the switches"]),
    ],
    unbound: gpuEvidenceHash === undefined ? ["the evidence of devices"] : ["that the devices sit in the same machine"],
  };
}

const DIP1 = { secp256k1: "dip1::secp256k1c-pk:", ed25519: "dip1::ed25519-pk:" } as const;

function dip1(publicKey: Uint8Array): Uint8Array {
  const compressed = publicKey.length === 33 && (publicKey[0] === 2 || publicKey[0] === 3);
  demand(
    compressed || publicKey.length === 32,
    "INPUT_INVALID",
    "a public key of dip1 must be a compressed point of secp256k1 (33 bytes) or a key of Ed25519 (32 bytes)",
  );
  const prefix = compressed ? DIP1.secp256k1 : DIP1.ed25519;
  return utf8(prefix + Buffer.from(publicKey).toString("base64url"));
}

/**
 * The public key that report data in dstack's dip1 form names; undefined for any other.
 *
 * The form is read strictly: the text that {@link checkBinding} would expect for the key, and zeros.
 */
export function dip1PublicKey(reportData: Hex): Hex | undefined {
  return dip1Key(fromHex(reportData, "report data", LENGTH));
}

function dip1Key(data: Uint8Array): Hex | undefined {
  const end = data.findLastIndex((byte) => byte !== 0) + 1;
  const text = Buffer.from(data.subarray(0, end)).toString("latin1");
  const prefix = Object.values(DIP1).find((each) => text.startsWith(each));
  if (prefix === undefined) return undefined;
  const key = new Uint8Array(Buffer.from(text.slice(prefix.length), "base64url"));
  const wellFormed =
    key.length === (prefix === DIP1.ed25519 ? 32 : 33) && (key.length === 32 || key[0] === 2 || key[0] === 3);
  return wellFormed && equalBytes(padded(dip1(key)), data) ? toHex(key) : undefined;
}

/**
 * Flashtestations' name of what a TD runs: keccak256(MRTD ‖ RTMR0…3 ‖ MRCONFIGID ‖ XFAM ‖ TDATTRIBUTES), all as in the quote.
 *
 * @throws INPUT_INVALID for claims that are not a TD's
 */
export function flashtestationsWorkloadId(claims: Claims): Hex {
  if (claims.family !== "tdx" || claims.tdx === undefined) {
    throw new AnchorError("INPUT_INVALID", `a workload id is of a TD, and these are claims of family ${claims.family}`);
  }
  const { measurements, tdx } = claims;
  const names = ["mrTd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrConfigId"];
  return toHex(
    keccak(
      ...names.map((name) => fromHex(measurements[name], name, 48)),
      fromHex(tdx.xfam, "XFAM", 8),
      fromHex(tdx.tdAttributes, "TDATTRIBUTES", 8),
    ),
  );
}

/**
 * Marlin Oyster's name of an enclave's image: SHA-256 of a map of the registers that count (0, 1, 2 and 16, 4 bytes, big-endian)
 * and of these. PCR 16 holds what an image is started with, and is zero where a document has none.
 */
export function marlinImageId({ measurements }: NitroClaims): Hex {
  const pcr = (index: number) => fromHex(measurements[`pcr${index}`], `PCR ${index}`, 48);
  const pcr16 = measurements["pcr16"] === undefined ? new Uint8Array(48) : pcr(16);
  return toHex(digest("sha256", concat(Uint8Array.of(0, 1, 0, 7), pcr(0), pcr(1), pcr(2), pcr16)));
}

/** The name that Marlin's older contracts have for it: keccak256(PCR0 ‖ PCR1 ‖ PCR2). */
export function marlinContractImageId({ measurements }: NitroClaims): Hex {
  return toHex(keccak(...[0, 1, 2].map((index) => fromHex(measurements[`pcr${index}`], `PCR ${index}`, 48))));
}

/** What a Nitro document has to name; what is not given is not looked at. */
export interface NitroBinding {
  /** The enclave's own, in its encoding: Marlin's are the 64 bytes of a point on secp256k1, or 32 of X25519. */
  publicKey?: Hex;
  userData?: Hex;
  nonce?: Hex;
  /** {@link marlinImageId}. */
  marlinImageId?: Hex;
}

/** @throws BINDING_MISMATCH, naming the field */
export function checkNitroBinding(claims: NitroClaims, binding: NitroBinding): Omit<BindingFound, "kind"> {
  const fields = [
    { what: "the public key", has: claims.publicKey, expected: binding.publicKey },
    { what: "the user data", has: claims.userData, expected: binding.userData },
    { what: "the nonce", has: claims.nonce, expected: binding.nonce },
    { what: "the image", has: binding.marlinImageId && marlinImageId(claims), expected: binding.marlinImageId },
  ];
  for (const { what, has, expected } of fields) {
    if (expected === undefined) continue;
    fromHex(expected, what);
    demand(has === expected, "BINDING_MISMATCH", `${what} of the document is ${has ?? "absent"}, not ${expected}`);
  }
  const words = (given: boolean) =>
    fields.filter(({ expected }) => (expected !== undefined) === given).map(({ what }) => what);
  return { bound: words(true), unbound: words(false) };
}

function digest(hash: "sha256" | "sha384" | "sha512", data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(hash).update(data).digest());
}

function padded(bytes: Uint8Array): Uint8Array {
  demand(bytes.length <= LENGTH, "INPUT_INVALID", `report data has ${LENGTH} bytes, and this has ${bytes.length}`);
  const data = new Uint8Array(LENGTH);
  data.set(bytes);
  return data;
}
