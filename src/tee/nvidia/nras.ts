/**
 * Answers of NVIDIA's Remote Attestation Service: a token over all devices, which names the digest of one token for each.
 *
 * The service's keys live for two days, so the key sets of the time belong into the collateral. A key is believed because its
 * certificate chains to the pinned one, never because a set holds it.
 *
 * A token can be authentic and say that attestation failed: that is refused, with the reasons that it gives.
 *
 * @module
 */
import { createHash, type KeyObject } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { type Hex, utf8 } from "../../field/bytes.js";
import type { NrasClaims } from "../claims.js";
import type { Collateral } from "../collateral.js";
import { type Context, demand } from "../context.js";
import type { NrasEvidence } from "../evidence.js";
import { equalBytes } from "../read/bytes.js";
import { isJsonObject, type Json, type JsonObject, readJsonObject } from "../read/json.js";
import { parseCertificate, rawEcKey, requireKey, verifyChain } from "../x509.js";
import { type Jws, parseJws, verifyJws } from "./jws.js";

const ISSUER = "https://nras.attestation.nvidia.com";
const SUBJECT = "NVIDIA-PLATFORM-ATTESTATION";
const RESULT = "x-nvidia-overall-att-result";
/** What a device's token has instead of claims where the service could not make any. */
const ERROR = "x-nvidia-error-details";

/** Eight GPUs and four switches are the largest machine there is today. */
const MAX_DEVICES = 64;
const MAX_SETS = 64;
const MAX_KEYS = 4096;
/** Real ones: a certificate and its issuer. */
const MAX_X5C = 8;

interface Key {
  set: string;
  jwk: JsonObject;
}

/** @throws AnchorError with any code of the groups certificates, collateral, tokens and NVIDIA */
export function verifyNras(context: Context, evidence: NrasEvidence, collateral: Collateral): NrasClaims {
  const keys = context.check("nvidia.nras.keys", "the key sets of the service can be read", () =>
    readKeySets(collateral.nras?.jwks ?? []),
  );
  const proven = new Map<string, KeyObject>();
  const read = (token: string, id: string, what: string): JsonObject => {
    const jws = context.check(`${id}.form`, `${what} is a JWS with ES384`, () => parseJws(token, what));
    let key = proven.get(jws.kid);
    if (!key) proven.set(jws.kid, (key = proveKey(context, jws, keys, what)));
    const proof = key;
    context.check(`${id}.signature`, `${what} is signed by a key of the service`, () => verifyJws(jws, proof, what));
    context.check(`${id}.validity`, `${what} is by the service, and in force`, () => checkClaims(context, jws, what));
    return jws.payload;
  };

  const overall = read(evidence.overall, "nvidia.nras.overall", "the overall token");
  const result = overall[RESULT];
  const nonce = readNonce(overall["eat_nonce"], "the overall token");
  const digests = context.check(
    "nvidia.nras.overall.claims",
    "the overall token names a result and its devices",
    () => {
      demand(
        overall["sub"] === SUBJECT,
        "TOKEN_CLAIMS",
        `the overall token is about ${JSON.stringify(overall["sub"] ?? null)} instead of "${SUBJECT}"`,
      );
      demand(typeof result === "boolean", "TOKEN_CLAIMS", "the overall token has no result");
      demand(nonce !== undefined, "TOKEN_CLAIMS", "the overall token has no nonce");
      return readDigests(overall["submods"]);
    },
  );
  const devices = context.check("nvidia.nras.devices", "there is one token for each device, with its digest", () =>
    matchDevices(digests, evidence.devices),
  );
  const claims = devices.map(([name, token]) => {
    const what = `the token of ${name}`;
    const payload = read(token, `nvidia.nras.${name}`, what);
    context.check(`nvidia.nras.${name}.nonce`, `${what} has the nonce of the overall token`, () => {
      const own = readNonce(payload["eat_nonce"], what);
      const failed = result === false && own === undefined && payload[ERROR] !== undefined;
      demand(
        failed || own === nonce,
        "NONCE_MISMATCH",
        `${what} has ${own === undefined ? "no nonce" : `the nonce ${own}`}; the overall token has ${nonce}`,
      );
    });
    requirePlain(payload, what);
    return { name, claims: sorted(payload) };
  });
  context.check("nvidia.nras.result", "NVIDIA's service found the devices to be in order", () => {
    demand(
      result === true,
      "ATTESTATION_REFUSED",
      `NVIDIA's service says that attestation failed${reasons(claims)} (tee inspect shows the tokens)`,
    );
  });
  return {
    family: "nras",
    debug: false,
    measurements: {},
    nonce: nonce!,
    issuer: ISSUER,
    overallResult: result === true,
    issuedAt: overall["iat"] as number,
    expiresAt: overall["exp"] as number,
    devices: claims,
  };
}

/** What the devices' tokens say went wrong, each reason once. */
function reasons(devices: NrasClaims["devices"]): string {
  const found = devices.flatMap(({ claims }) => {
    const details = claims[ERROR] as { message?: unknown } | undefined;
    return typeof details?.message === "string" ? [details.message] : [];
  });
  return found.length === 0 ? "" : `: ${[...new Set(found)].join(", ")}`;
}

/** The keys of all sets by name, which may be the same in several. */
function readKeySets(sets: readonly string[]): ReadonlyMap<string, readonly Key[]> {
  demand(
    sets.length > 0,
    "COLLATERAL_MISSING",
    "there is no key set of NVIDIA's attestation service in the collateral",
  );
  demand(sets.length <= MAX_SETS, "COLLATERAL_MALFORMED", `there are ${sets.length} key sets; the most is ${MAX_SETS}`);
  const keys = new Map<string, Key[]>();
  let total = 0;
  for (const set of sets) {
    const what = "a key set of NVIDIA's attestation service";
    const { keys: list } = readJsonObject(set, { code: "COLLATERAL_MALFORMED", what });
    demand(Array.isArray(list), "COLLATERAL_MALFORMED", `${what} has no keys`);
    total += list.length;
    demand(total <= MAX_KEYS, "COLLATERAL_MALFORMED", `the key sets have more than ${MAX_KEYS} keys`);
    const inSet = new Set<string>();
    for (const jwk of list) {
      demand(
        isJsonObject(jwk) && typeof jwk["kid"] === "string",
        "COLLATERAL_MALFORMED",
        `${what} has a key without a name`,
      );
      const kid = jwk["kid"];
      demand(!inSet.has(kid), "COLLATERAL_MALFORMED", `${what} has the key ${kid} twice`);
      inSet.add(kid);
      const known = keys.get(kid);
      if (known) known.push({ set, jwk });
      else keys.set(kid, [{ set, jwk }]);
    }
  }
  return keys;
}

/** The key that a token names, once its certificate is found to be the service's. */
function proveKey(context: Context, jws: Jws, keys: ReadonlyMap<string, readonly Key[]>, what: string): KeyObject {
  const { kid } = jws;
  const { set, jwk, certificates } = context.check("nvidia.nras.key", `the key of ${what} is in a key set`, () => {
    const found = choose(context, jws, keys.get(kid) ?? []);
    demand(found !== undefined, "COLLATERAL_MISSING", `no key set in the collateral has the key ${kid} of ${what}`);
    return { ...found, certificates: readX5c(found.jwk, kid) };
  });
  // Whatever a set puts above the pinned certificate proves nothing more.
  const pinned = certificates.findIndex(({ der }) => context.roots.nvidiaNras.some((root) => equalBytes(root, der)));
  const [leaf, ...issuers] = verifyChain(context, pinned < 0 ? certificates : certificates.slice(0, pinned + 1), {
    id: "nvidia.nras.key",
    what: "signer of a token",
    roots: context.roots.nvidiaNras,
  });
  return context.check("nvidia.nras.key.certificate", "the key is that of its certificate", () => {
    demand(issuers.length > 0, "CHAIN_INCOMPLETE", `the certificate of the key ${kid} is the pinned one itself`);
    requireKey(leaf!, "P-384", "CHAIN_CONSTRAINTS");
    const { kty, crv, x, y, use, alg } = jwk;
    demand(
      kty === "EC" && crv === "P-384" && (use ?? "sig") === "sig" && (alg ?? "ES384") === "ES384",
      "COLLATERAL_MALFORMED",
      `the key ${kid} is not for ES384`,
    );
    const key = pointOf(x, y, kid);
    demand(key.equals(leaf!.key), "COLLATERAL_MALFORMED", `the key ${kid} is another one than its certificate's`);
    const from = leaf!.notBefore;
    context.use("nvidia.nras-jwks", `the key ${kid}`, utf8(set), { from, until: leaf!.notAfter, issued: from });
    return key;
  });
}

/**
 * Of several keys of one name the one that signed, with a certificate in force if there is one: a set that somebody added must
 * not stand in the way of the right one. Whichever it is, it has to be proven.
 */
function choose({ now }: Context, jws: Jws, found: readonly Key[]): Key | undefined {
  if (found.length < 2) return found[0];
  const fits = ({ jwk: { x, y } }: Key) => verifyJws(jws, pointOf(x, y, jws.kid), "it");
  const isInForce = ({ jwk }: Key) => {
    const [leaf] = readX5c(jwk, jws.kid);
    demand(leaf !== undefined && leaf.notBefore <= now && now <= leaf.notAfter, "EXPIRED", "it is not in force");
  };
  const signers = found.filter((key) => passes(() => fits(key)));
  return signers.find((key) => passes(() => isInForce(key))) ?? signers[0] ?? found[0];
}

/** Whether nothing is wrong; what is, is told of the one that is chosen. */
function passes(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    return false;
  }
}

function pointOf(x: Json | undefined, y: Json | undefined, kid: string): KeyObject {
  return rawEcKey("P-384", coordinate(x, kid), coordinate(y, kid), "COLLATERAL_MALFORMED");
}

function readX5c({ x5c }: JsonObject, kid: string) {
  demand(
    Array.isArray(x5c) && x5c.length > 0 && x5c.length <= MAX_X5C,
    "COLLATERAL_MALFORMED",
    `the key ${kid} has no certificates, or too many`,
  );
  return x5c.map((each) => {
    const bytes = Buffer.from(typeof each === "string" ? each : "", "base64");
    demand(
      bytes.toString("base64") === each && bytes.length > 0,
      "COLLATERAL_MALFORMED",
      `the key ${kid} has a certificate that is not base64`,
    );
    return parseCertificate(new Uint8Array(bytes));
  });
}

function coordinate(value: Json | undefined, kid: string): Uint8Array {
  const bytes = Buffer.from(typeof value === "string" ? value : "", "base64url");
  demand(
    bytes.length === 48 && bytes.toString("base64url") === value,
    "COLLATERAL_MALFORMED",
    `the key ${kid} has a coordinate that is not 48 bytes of base64url`,
  );
  return new Uint8Array(bytes);
}

/** RFC 7519: `exp` is the first second at which a token no longer counts. */
function checkClaims(context: Context, { payload }: Jws, what: string): void {
  const { iss } = payload;
  demand(iss === ISSUER, "TOKEN_CLAIMS", `${what} is issued by ${JSON.stringify(iss ?? null)} instead of "${ISSUER}"`);
  const exp = numericDate(payload, "exp", what);
  const nbf = numericDate(payload, "nbf", what);
  const iat = numericDate(payload, "iat", what);
  demand(nbf < exp && iat < exp, "TOKEN_CLAIMS", `${what} expires before it begins`);
  context.valid(what, Math.max(nbf, iat), exp - 1);
}

function numericDate(payload: JsonObject, name: string, what: string): number {
  const value = payload[name];
  demand(
    typeof value === "number" && Number.isSafeInteger(value) && value > 0,
    "TOKEN_CLAIMS",
    `${what} has no ${name} in whole seconds`,
  );
  return value;
}

function readNonce(value: Json | undefined, what: string): Hex | undefined {
  if (value === undefined) return undefined;
  demand(
    typeof value === "string" && /^(?:[0-9a-fA-F]{2}){8,64}$/.test(value),
    "TOKEN_CLAIMS",
    `${what} has a nonce that is not 8 to 64 bytes of hex`,
  );
  return `0x${value.toLowerCase()}`;
}

/** `"GPU-0": ["DIGEST", ["SHA-256", "87d5…"]]` */
function readDigests(submods: Json | undefined): Map<string, string> {
  demand(isJsonObject(submods), "TOKEN_CLAIMS", "the overall token names no devices");
  const entries = Object.entries(submods);
  demand(
    entries.length > 0 && entries.length <= MAX_DEVICES,
    "TOKEN_CLAIMS",
    `the overall token names ${entries.length} devices; 1 to ${MAX_DEVICES} are possible`,
  );
  return new Map(
    entries.map(([name, value]) => {
      const [kind, digest, ...more] = Array.isArray(value) ? value : [];
      const [algorithm, hex, ...rest] = Array.isArray(digest) ? digest : [];
      demand(/^[A-Za-z0-9_-]{1,64}$/.test(name), "TOKEN_CLAIMS", "the overall token names a device in an unknown way");
      const fits = kind === "DIGEST" && algorithm === "SHA-256" && more.length === 0 && rest.length === 0;
      demand(
        fits && typeof hex === "string" && /^[0-9a-f]{64}$/.test(hex),
        "TOKEN_CLAIMS",
        `the overall token has no SHA-256 digest of ${name}`,
      );
      return [name, hex];
    }),
  );
}

/** Each device's token, sorted by name. */
function matchDevices(digests: ReadonlyMap<string, string>, devices: NrasEvidence["devices"]): [string, string][] {
  const given = Object.entries(devices ?? {});
  const surplus = given.find(([name]) => !digests.has(name))?.[0];
  demand(
    surplus === undefined,
    "DEVICE_COUNT",
    `the overall token names no device ${surplus}, for which there is a token`,
  );
  const tokens = new Map(given);
  return [...digests].sort(byName).map(([name, digest]) => {
    const token = tokens.get(name);
    demand(typeof token === "string", "DEVICE_COUNT", `there is no token of ${name}, which the overall token names`);
    demand(
      createHash("sha256").update(token).digest("hex") === digest,
      "TOKEN_CLAIMS",
      `the token of ${name} is another one than the overall token names`,
    );
    return [name, token];
  });
}

/** Claims go into verdicts, whose numbers are whole. */
function requirePlain(value: Json, what: string): void {
  if (typeof value === "number") {
    demand(Number.isSafeInteger(value), "TOKEN_CLAIMS", `${what} has the number ${value}, which is not whole`);
  }
  if (typeof value !== "object" || value === null) return;
  for (const item of Object.values(value)) requirePlain(item, what);
}

function sorted(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).sort(byName));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
