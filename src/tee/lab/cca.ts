/**
 * Arm CCA platforms that never were: a platform token and a realm token, bound to each other by the realm's key.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat } from "../../field/bytes.js";
import type { CcaEvidence } from "../evidence.js";
import { type Bytes, filled, fixed, type Lab, toBytes } from "./bytes.js";
import { type CborMembers, type CborValue, encode, map, Tagged } from "./cbor.js";
import { LAB_NOW, type LabKey, makeKey, rawPoint } from "./certificates.js";
import { type Sign1Options, sign1 } from "./cose.js";

export interface CcaOptions {
  now?: number;
  /** 64 bytes. */
  challenge?: Bytes;
  measurements?: Partial<Record<"rim" | "rem0" | "rem1" | "rem2" | "rem3", Bytes>>;
  personalisation?: Bytes;
  /** Of the key, which the platform token is bound to. */
  publicKeyHash?: "sha-256" | "sha-384" | "sha-512";
  hashAlgorithm?: string;
  /** In the debugged state, secured otherwise. */
  debug?: boolean;
  /** Instead of that. */
  lifecycle?: number;
  implementationId?: Bytes;
  instanceId?: Bytes;
  config?: Bytes;
  /** One unless given. */
  components?: readonly { type?: string; measurement?: Bytes; version?: string; signer?: Bytes; hash?: string }[];
  /**
   * `old`: tag 399, the key a bare point, no profile of the realm; `new`: tag 907, each token beside its content format, the key
   * a COSE_Key.
   */
  form?: "old" | "new";
  /** Claims by label, to change, to add, or with `undefined` to take out. */
  platformClaims?: Record<number, CborValue | undefined>;
  realmClaims?: Record<number, CborValue | undefined>;
  platformCose?: Sign1Options;
  realmCose?: Sign1Options;
  /** What the platform token is bound to, where it is not the realm's key. */
  platformChallenge?: Bytes;
  keys?: Partial<CcaKeys>;
  signers?: { platform?: LabKey; realm?: LabKey };
  /** Parts beside the two tokens. */
  parts?: readonly (readonly [CborValue, CborValue])[];
  padding?: Uint8Array;
  /** Roots name the key by its digest, and the key itself is collateral. */
  apart?: boolean;
}

export interface CcaKeys {
  platform: LabKey;
  realm: LabKey;
}

export interface CcaLab extends Lab<CcaEvidence> {
  token: Uint8Array;
  keys: CcaKeys;
}

const PLATFORM = 44234;
const REALM = 44241;
const CONTENT_FORMAT = 263;
const SECURED = 0x3000;
const DEBUGGED = 0x4000;

/** A realm and the platform beneath it. */
export function ccaRealm(options: CcaOptions = {}): CcaLab {
  const { now = LAB_NOW, form = "new", publicKeyHash = "sha-256", parts = [], signers = {} } = options;
  const keys: CcaKeys = {
    platform: options.keys?.platform ?? makeKey("P-384"),
    realm: options.keys?.realm ?? makeKey("P-384"),
  };
  const publicKey = form === "old" ? concat(Uint8Array.of(4), rawPoint(keys.realm)) : coseKey(keys.realm);
  const bound = createHash(publicKeyHash.replace("-", "")).update(publicKey).digest();
  const { debug = false, lifecycle = debug ? DEBUGGED : SECURED, components = [{}] } = options;
  const platform = claims(
    {
      265: form === "old" ? "http://arm.com/CCA-SSD/1.0.0" : "tag:arm.com,2023:cca_platform#1.0.0",
      10: toBytes(options.platformChallenge ?? new Uint8Array(bound)),
      2396: fixed(options.implementationId ?? filled(0x1a, 32), 32),
      256: toBytes(options.instanceId ?? concat(Uint8Array.of(1), filled(0x1b, 32))),
      2401: toBytes(options.config ?? [0xcf, 0xcf]),
      2395: lifecycle,
      2402: "sha-256",
      2399: components.map(component),
      2400: "https://verifier.lab.example",
    },
    options.platformClaims,
  );
  const { measurements = {}, hashAlgorithm = "sha-256" } = options;
  const size = { "sha-256": 32, "sha-384": 48, "sha-512": 64 }[hashAlgorithm] ?? 32;
  const extensible = ["rem0", "rem1", "rem2", "rem3"] as const;
  const realm = claims(
    {
      ...(form === "old" ? {} : { 265: "tag:arm.com,2023:realm#1.0.0" }),
      10: fixed(options.challenge, 64),
      44235: fixed(options.personalisation, 64),
      44238: toBytes(measurements.rim ?? filled(0x71, size)),
      44239: extensible.map((name) => toBytes(measurements[name] ?? new Uint8Array(size))),
      44236: hashAlgorithm,
      44237: publicKey,
      44240: publicKeyHash,
    },
    options.realmClaims,
  );
  const tokens = [
    [PLATFORM, sign1(encode(platform), signers.platform ?? keys.platform, { tagged: true, ...options.platformCose })],
    [REALM, sign1(encode(realm), signers.realm ?? keys.realm, { tagged: true, ...options.realmCose })],
  ] as const;
  const held = tokens.map(([label, message]): readonly [CborValue, CborValue] => {
    const bytes = encode(message);
    return [label, form === "old" ? bytes : [CONTENT_FORMAT, bytes]];
  });
  const whole = encode(new Tagged(form === "old" ? 399 : 907, map(...held, ...parts)));
  const token = concat(whole, options.padding ?? new Uint8Array());
  const { spki, publicKey: key } = keys.platform;
  const digest = new Uint8Array(createHash("sha256").update(spki).digest());
  const { apart = false } = options;
  return {
    now,
    roots: { ccaPlatform: [apart ? digest : spki] },
    evidence: { kind: "cca", token },
    collateral: apart ? { cca: { keys: [JSON.stringify(key.export({ format: "jwk" }))] } } : {},
    token,
    keys,
  };
}

function claims(usual: Record<number, CborValue>, changes: Record<number, CborValue | undefined> = {}): CborMembers {
  const all = { ...usual, ...changes };
  const entries = Object.entries(all).filter((entry): entry is [string, CborValue] => entry[1] !== undefined);
  return map(...entries.map(([label, value]) => [Number(label), value] as const));
}

function component(given: NonNullable<CcaOptions["components"]>[number]): CborValue {
  return map(
    [1, given.type ?? "RMM"],
    [2, toBytes(given.measurement ?? filled(0x2a, 32))],
    [4, given.version ?? "1.0.0"],
    [5, toBytes(given.signer ?? filled(0x2b, 32))],
    [6, given.hash ?? "sha-256"],
  );
}

/** EC2 on P-384. */
function coseKey(key: LabKey): Uint8Array {
  const point = rawPoint(key);
  return encode(map([1, 2], [-1, 2], [-2, point.slice(0, 48)], [-3, point.slice(48)]));
}
