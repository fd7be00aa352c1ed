/**
 * Arm CCA: a platform token by a key of the platform's maker, a realm token by a key of the monitor, and a hash of that key in the
 * platform token.
 *
 * - There is no one vendor whose root could be pinned: `roots.ccaPlatform` says which platform keys (CPAK) are trusted. None is
 *   by default.
 * - Tokens and keys have no validity of their own, and nobody publishes revocation lists for them: what is left unchecked says
 *   so. Freshness lies in the realm's challenge.
 * - The platform must be in the lifecycle state "secured" (0x3000 to 0x30ff). The two states of debugging (0x4000 to 0x40ff: the
 *   monitor and what is above it; 0x5000 to 0x50ff: the root of trust) set `debug`. Before provisioning, after
 *   decommissioning and where the state is unknown nothing keeps a realm from being read either, and no option lets that pass.
 *
 * @module
 */
import { createHash, type KeyObject } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { type Hex, toHex } from "../../field/bytes.js";
import type { CcaClaims } from "../claims.js";
import type { Collateral } from "../collateral.js";
import { type Context, demand } from "../context.js";
import { type Sign1, verifySign1 } from "../cose.js";
import type { CcaEvidence } from "../evidence.js";
import { readPublicKey } from "../keys.js";
import { equalBytes } from "../read/bytes.js";
import { readJsonObject } from "../read/json.js";
import { parsePem, rawEcKey } from "../x509.js";
import { type LifecycleName, type PlatformToken, parseCcaToken, type RealmToken } from "./token.js";

const ID = "cca";

/** States in which somebody debugs the platform. */
const DEBUG: readonly LifecycleName[] = ["non-cca-platform-rot-debug", "recoverable-cca-platform-rot-debug"];

/** Longer than the PEM or JWK of any key on a curve. */
const MAX_KEY_TEXT = 4096;

/**
 * @throws EVIDENCE_MALFORMED, UNSUPPORTED_REPORT_VERSION, COSE_HEADER, COLLATERAL_MALFORMED, CHAIN_UNTRUSTED, COSE_SIGNATURE,
 *   BINDING_MISMATCH, DEBUG_ENABLED
 */
export function verifyCca(context: Context, evidence: CcaEvidence, collateral: Collateral): CcaClaims {
  const { platform, realm } = context.check(`${ID}.token`, "the token is laid out as Arm's specification says", () =>
    parseCcaToken(evidence.token),
  );
  const keys = trustedKeys(context, collateral.cca?.keys ?? []);
  context.check(`${ID}.platform.signature`, "the platform token is signed by a trusted platform key", () =>
    verifyPlatform(platform.message, keys),
  );
  context.check(`${ID}.realm.signature`, "the realm token is signed by the realm's attestation key", () =>
    verifySign1(realm.message, realm.key, "the realm token"),
  );
  context.check(`${ID}.binding`, "the platform token vouches for the realm's attestation key", () => {
    const digest = createHash(realm.publicKeyHash.replace("-", "")).update(realm.publicKey).digest();
    demand(
      equalBytes(digest, platform.challenge),
      "BINDING_MISMATCH",
      `the platform token is bound to ${toHex(platform.challenge)}, and the realm's key hashes to ${toHex(digest)}`,
    );
  });
  context.check(`${ID}.lifecycle`, "the platform is secured, or says that it is debugged", () => {
    const { lifecycle, lifecycleName } = platform;
    demand(
      lifecycleName === "secured" || DEBUG.includes(lifecycleName),
      "DEBUG_ENABLED",
      `the platform's lifecycle is 0x${lifecycle.toString(16).padStart(4, "0")}, "${lifecycleName}", instead of "secured"`,
    );
  });
  context.unchecked(
    `${ID}.expiry`,
    "the token is current",
    "CCA tokens name no time: how fresh one is follows from the realm's challenge alone",
  );
  context.unchecked(
    `${ID}.revocation`,
    "the platform's key is not revoked",
    "no revocation lists are published for platform keys: those that are trusted are named by the caller",
  );
  for (const [what, { unknownClaims }] of [
    ["platform", platform],
    ["realm", realm],
  ] as const) {
    if (unknownClaims.length > 0) {
      context.note(`the ${what} token has claims that this release does not know: ${unknownClaims.join(", ")}`);
    }
  }
  return claims(platform, realm);
}

/** Roots that are keys, and keys of the collateral that a root names by its digest. */
function trustedKeys(context: Context, texts: readonly string[]): KeyObject[] {
  const roots = context.roots.ccaPlatform;
  return context.check(`${ID}.platform.key`, "a platform key is trusted", () => {
    const keys = new Map<Hex, KeyObject>();
    for (const root of roots) if (root.length !== 32) add(keys, readRoot(root));
    for (const text of texts) {
      const key = readKey(text);
      const spki = spkiOf(key);
      const digest = createHash("sha256").update(spki).digest();
      if (roots.some((root) => equalBytes(root, spki) || equalBytes(root, digest))) add(keys, key);
      else context.note(`a platform key of the collateral is not trusted (SHA-256 ${toHex(digest)})`);
    }
    demand(keys.size > 0, "CHAIN_UNTRUSTED", "no platform key is trusted: name some in roots.ccaPlatform");
    return [...keys.values()];
  });
}

function add(keys: Map<Hex, KeyObject>, key: KeyObject): void {
  keys.set(toHex(spkiOf(key)), key);
}

function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: "spki", format: "der" }));
}

function readRoot(der: Uint8Array): KeyObject {
  return readPublicKey(der, "CHAIN_UNTRUSTED").key;
}

/** JWK or PEM. */
function readKey(text: string): KeyObject {
  const code = "COLLATERAL_MALFORMED";
  demand(typeof text === "string" && text.length <= MAX_KEY_TEXT, code, "a platform key of the collateral is no key");
  if (!text.trimStart().startsWith("{")) {
    const [der] = pemKeys(text);
    demand(der !== undefined, code, "a platform key of the collateral is neither a JWK nor PEM");
    return readPublicKey(der, code).key;
  }
  const { kty, crv, x, y } = readJsonObject(text, { code, what: "a platform key" });
  const curve = CURVES.find((each) => each === crv);
  demand(
    kty === "EC" && curve !== undefined && typeof x === "string" && typeof y === "string",
    code,
    `a platform key is a JWK on one of ${CURVES.join(", ")}`,
  );
  const coordinate = (value: string) => new Uint8Array(Buffer.from(value, "base64url"));
  return rawEcKey(curve, coordinate(x), coordinate(y), code);
}

const CURVES = ["P-256", "P-384", "P-521"] as const;

function pemKeys(text: string): Uint8Array[] {
  try {
    return parsePem(text, "PUBLIC KEY");
  } catch {
    return [];
  }
}

/** The token does not say which key it is of; there are as many as the caller trusts. */
function verifyPlatform(message: Sign1, keys: readonly KeyObject[]): void {
  let failure: unknown;
  for (const key of keys) {
    try {
      verifySign1(message, key, "the platform token");
      return;
    } catch (error) {
      failure = error;
    }
  }
  if (keys.length === 1) throw failure;
  throw new AnchorError("COSE_SIGNATURE", `the platform token is signed by none of ${keys.length} trusted keys`);
}

function claims(platform: PlatformToken, realm: RealmToken): CcaClaims {
  const { verificationService } = platform;
  return {
    family: "cca",
    debug: platform.lifecycleName !== "secured",
    measurements: {
      rim: toHex(realm.initialMeasurement),
      ...Object.fromEntries(realm.extensibleMeasurements.map((value, i) => [`rem${i}`, toHex(value)])),
    },
    reportData: toHex(realm.challenge),
    platform: {
      profile: platform.profile,
      implementationId: toHex(platform.implementationId),
      instanceId: toHex(platform.instanceId),
      config: toHex(platform.config),
      lifecycle: platform.lifecycle,
      lifecycleName: platform.lifecycleName,
      ...(verificationService === undefined ? {} : { verificationService }),
      components: platform.components.map((component) => ({
        ...component,
        measurement: toHex(component.measurement),
        signer: toHex(component.signer),
      })),
    },
    realm: {
      personalisation: toHex(realm.personalisation),
      hashAlgorithm: realm.hashAlgorithm,
      publicKey: toHex(realm.publicKey),
      ...(realm.profile === undefined ? {} : { profile: realm.profile }),
    },
  };
}
