/**
 * CCA tokens of a laboratory's own, in both forms. Every part can be replaced.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat } from "../../../src/field/bytes.js";
import { cachedKey, type LabKey, rawPoint } from "../../../src/tee/lab/certificates.js";
import { cbor, type Item, pairs, type Sign1Parts, sign1, tagged } from "../cbor.js";

export const CPAK = cachedKey("P-384", "cca platform");
export const RAK = cachedKey("P-384", "cca realm");

const bytes = (value: number, length: number) => new Uint8Array(length).fill(value);

/** Labels → values; `undefined` leaves one out. */
export type ClaimChanges = Record<number, Item | undefined>;

export interface TokenOptions {
  platform?: ClaimChanges;
  realm?: ClaimChanges;
  platformMessage?: Partial<Sign1Parts>;
  realmMessage?: Partial<Sign1Parts>;
  rak?: LabKey;
  /** As it stands in the realm token. */
  publicKey?: Uint8Array;
  /** 399 unless given. */
  form?: 399 | 907;
}

/** 04‖x‖y. */
export function point(key: LabKey): Uint8Array {
  return concat(Uint8Array.of(4), rawPoint(key));
}

export function coseKey(key: LabKey, changes: ClaimChanges = {}): Uint8Array {
  const raw = rawPoint(key);
  const half = raw.length / 2;
  const curve = key.kind === "P-256" ? 1 : 2;
  return claimMap({ 1: 2, [-1]: curve, [-2]: raw.subarray(0, half), [-3]: raw.subarray(half), ...changes });
}

export function claimMap(claims: ClaimChanges): Uint8Array {
  const entries = Object.entries(claims).filter(([, value]) => value !== undefined);
  return cbor(pairs(entries.map(([label, value]) => [Number(label), value!])));
}

export function platformToken(options: TokenOptions, challenge: Uint8Array): Uint8Array {
  const legacy = (options.form ?? 399) === 399;
  const payload = claimMap({
    265: legacy ? "http://arm.com/CCA-SSD/1.0.0" : "tag:arm.com,2023:cca_platform#1.0.0",
    10: challenge,
    2396: bytes(0x11, 32),
    256: concat(Uint8Array.of(1), bytes(0x22, 32)),
    2401: bytes(0xcf, 4),
    2395: 0x3003,
    2402: "sha-256",
    2399: [
      new Map<Item, Item>([
        [1, "RMM"],
        [2, bytes(0x33, 32)],
        [4, "1.0"],
        [5, bytes(0x44, 32)],
        [6, "sha-256"],
      ]),
      new Map<Item, Item>([
        [2, bytes(0x55, 48)],
        [5, bytes(0x66, 64)],
      ]),
    ],
    ...options.platform,
  });
  return sign1({ payload, key: CPAK.privateKey, tag: 18, ...options.platformMessage });
}

export function realmToken(options: TokenOptions): Uint8Array {
  const { rak = RAK, publicKey = publicKeyOf(options) } = options;
  const payload = claimMap({
    ...((options.form ?? 399) === 399 ? {} : { 265: "tag:arm.com,2023:realm#1.0.0" }),
    10: bytes(0xab, 64),
    44235: bytes(0x77, 64),
    44236: "sha-256",
    44237: publicKey,
    44238: bytes(0xa0, 32),
    44239: [1, 2, 3, 4].map((i) => bytes(0xa0 + i, 32)),
    44240: "sha-256",
    ...options.realm,
  });
  const p256 = rak.kind === "P-256";
  const algorithm = p256 ? { protectedHeader: new Map([[1, -7]]), hash: "sha256" } : {};
  return sign1({ payload, key: rak.privateKey, tag: 18, ...algorithm, ...options.realmMessage });
}

function publicKeyOf({ rak = RAK, publicKey, form = 399 }: TokenOptions): Uint8Array {
  return publicKey ?? (form === 399 ? point(rak) : coseKey(rak));
}

export function makeToken(options: TokenOptions = {}): Uint8Array {
  const hash = String(options.realm?.[44240] ?? "sha-256").replace("-", "");
  const challenge = new Uint8Array(createHash(hash).update(publicKeyOf(options)).digest());
  return collect(platformToken(options, challenge), realmToken(options), options.form);
}

export function collect(platform: Uint8Array, realm: Uint8Array, form: 399 | 907 = 399): Uint8Array {
  const part = (token: Uint8Array): Item => (form === 399 ? token : [263, token]);
  return cbor(
    tagged(
      form,
      new Map<Item, Item>([
        [44234, part(platform)],
        [44241, part(realm)],
      ]),
    ),
  );
}
