/**
 * Nitro documents of a laboratory's own: a chain like AWS's, and a document that its leaf signs. Every part can be replaced.
 *
 * @module
 */
import {
  type CertificateOptions,
  cachedKey,
  LAB_NOW,
  type LabKey,
  makeCertificate,
} from "../../../src/tee/lab/certificates.js";
import type { NameParts } from "../../../src/tee/lab/der.js";
import type { Roots } from "../../../src/tee/roots.js";
import { cbor, type Item, type Sign1Parts, sign1 } from "../cbor.js";

/** From the root down to the leaf. */
export const TIERS = ["root", "regional", "zonal", "instance", "leaf"] as const;
export type Tier = (typeof TIERS)[number];

/** Its own hour is the present; its leaf lives for three. */
export const NOW = LAB_NOW;

export function nitroKey(tier: Tier): LabKey {
  return cachedKey("P-384", `nitro ${tier}`);
}

export function nitroName(tier: Tier): NameParts {
  return { C: "US", O: "Laboratory", CN: `${tier}.nitro-enclaves` };
}

export type Certificates = Record<Tier, Uint8Array>;

/** A chain of five; options replace those of a tier. */
export function makeChain(options: Partial<Record<Tier, Partial<CertificateOptions>>> = {}): Certificates {
  const made = TIERS.map((tier, i) => {
    const above = TIERS[Math.max(0, i - 1)]!;
    const leaf = tier === "leaf";
    const certificate = makeCertificate({
      subject: nitroName(tier),
      issuer: nitroName(above),
      key: nitroKey(tier),
      issuerKey: nitroKey(above),
      serial: i + 1,
      ca: !leaf,
      ...(leaf || i === 0 ? {} : { pathLength: 3 - i }),
      keyUsage: leaf
        ? ["digitalSignature"]
        : i === 3
          ? ["keyCertSign"]
          : ["digitalSignature", "keyCertSign", "cRLSign"],
      ...(leaf ? { notBefore: NOW - 3600, notAfter: NOW + 7200 } : {}),
      ...options[tier],
    });
    return [tier, certificate] as const;
  });
  return Object.fromEntries(made) as Certificates;
}

export const CHAIN = makeChain();
export const ROOTS: Partial<Roots> = { nitro: [CHAIN.root] };

export type Fields = Record<string, Item>;

export const PCRS = new Map<Item, Item>(
  Array.from({ length: 16 }, (_, i) => [i, new Uint8Array(48).fill(i < 5 ? i + 1 : 0)] as const),
);

export function fieldsOf(chain: Certificates = CHAIN): Fields {
  return {
    module_id: "i-0123456789abcdef0-enc0123456789abcdef",
    digest: "SHA384",
    timestamp: NOW * 1000,
    pcrs: PCRS,
    certificate: chain.leaf,
    cabundle: [chain.root, chain.regional, chain.zonal, chain.instance],
    public_key: new Uint8Array(65).fill(4),
    user_data: new Uint8Array(32).fill(0xaa),
    nonce: new Uint8Array(16).fill(0xbb),
  };
}

/** A document with some fields replaced, and those that are undefined left out. */
export function makeDocument(
  changes: Record<string, Item | undefined> = {},
  message: Partial<Sign1Parts> = {},
  chain: Certificates = CHAIN,
): Uint8Array {
  const fields = Object.entries({ ...fieldsOf(chain), ...changes }).filter(([, value]) => value !== undefined);
  const payload = cbor(new Map(fields as [Item, Item][]));
  return sign1({ payload, key: nitroKey("leaf").privateKey, ...message });
}
