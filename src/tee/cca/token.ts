/**
 * The attestation token of an Arm CCA realm: two COSE_Sign1, one of the platform and one of the realm, side by side.
 *
 * The format is that of the Realm Management Monitor specification (DEN0137, A7.2) and draft-ffm-rats-cca-token. Two forms are
 * about: an older one (tag 399, the tokens as they are; the realm's key a bare point, `04‖x‖y`, which a lenient reader of CBOR
 * takes for the integer 4 with bytes behind it) and a newer one (tag 907, each token beside its content format; the key a
 * COSE_Key). Firmware mixes them, so each part is read by what it says of itself.
 *
 * @module
 */
import type { KeyObject } from "node:crypto";
import { AnchorError } from "../../errors.js";
import { demand } from "../context.js";
import { parseSign1, type Sign1 } from "../cose.js";
import { type Cbor, type CborMap, CborTag, quoted, readCbor } from "../read/cbor.js";
import { rawEcKey } from "../x509.js";

export interface CcaToken {
  platform: PlatformToken;
  realm: RealmToken;
}

export interface PlatformToken {
  message: Sign1;
  profile: string;
  /** A hash of the realm token's key: what binds the two. */
  challenge: Uint8Array;
  implementationId: Uint8Array;
  instanceId: Uint8Array;
  config: Uint8Array;
  lifecycle: number;
  lifecycleName: LifecycleName;
  components: SoftwareComponent[];
  hashAlgorithm: string;
  verificationService?: string;
  /** Labels that this release does not know. They are signed, and mean nothing here. */
  unknownClaims: string[];
}

export interface SoftwareComponent {
  type?: string;
  measurement: Uint8Array;
  version?: string;
  signer: Uint8Array;
  hash?: string;
}

export interface RealmToken {
  message: Sign1;
  /** Absent in tokens before the profile had a name. */
  profile?: string;
  challenge: Uint8Array;
  personalisation: Uint8Array;
  /** Of the measurements. */
  hashAlgorithm: string;
  /** As encoded, which is what the platform's challenge is a hash of. */
  publicKey: Uint8Array;
  key: KeyObject;
  publicKeyHash: RakHash;
  initialMeasurement: Uint8Array;
  /** Four. */
  extensibleMeasurements: readonly Uint8Array[];
  unknownClaims: string[];
}

export type RakHash = "sha-256" | "sha-384" | "sha-512";

/** High byte of the lifecycle → its state; the low byte is the implementation's own. */
const LIFECYCLES = {
  0: "unknown",
  16: "assembly-and-test",
  32: "cca-platform-rot-provisioning",
  48: "secured",
  64: "non-cca-platform-rot-debug",
  80: "recoverable-cca-platform-rot-debug",
  96: "decommissioned",
} as const;

export type LifecycleName = (typeof LIFECYCLES)[keyof typeof LIFECYCLES];

const CODE = "EVIDENCE_MALFORMED";

const TAG_COLLECTION = 399;
const TAG_CMW = 907;
/** CoAP content format of application/eat+cwt. */
const CONTENT_FORMAT = 263;
const PLATFORM = 44234;
const REALM = 44241;

const MAX_PAYLOAD = 16384;
const MAX_TOKEN = 3 * MAX_PAYLOAD;
const MAX_TEXT = 1024;
const ALGORITHMS = ["ES256", "ES384", "ES512"] as const;

const PLATFORM_PROFILES = ["http://arm.com/CCA-SSD/1.0.0", "tag:arm.com,2023:cca_platform#1.0.0"];
const REALM_PROFILE = "tag:arm.com,2023:realm#1.0.0";
const HASH_SIZES = [32, 48, 64];

/** Lays a token out; nothing in it is authentic yet. @throws EVIDENCE_MALFORMED, COSE_HEADER, UNSUPPORTED_REPORT_VERSION */
export function parseCcaToken(bytes: Uint8Array): CcaToken {
  demand(bytes.length <= MAX_TOKEN, CODE, `a CCA token of ${bytes.length} bytes, more than ${MAX_TOKEN}`);
  const item = readCbor(bytes, { code: CODE, tags: [TAG_COLLECTION, TAG_CMW], maxDepth: 4 });
  demand(item instanceof CborTag, CODE, `a CCA token does not begin with tag ${TAG_COLLECTION} or ${TAG_CMW}`);
  const parts = item.value;
  demand(parts instanceof Map, CODE, "a CCA token is no map");
  const map: CborMap = parts;
  // Nothing signs what stands beside the two tokens.
  const other = [...map.keys()].find((label) => label !== PLATFORM && label !== REALM);
  demand(other === undefined, CODE, `a CCA token has a part ${quoted(other)} beside its two tokens`);
  const part = (label: number, what: string) => unwrap(map.get(label), item.tag === TAG_CMW, what);
  return {
    platform: readPlatform(part(PLATFORM, "the platform token")),
    realm: readRealm(part(REALM, "the realm token")),
  };
}

function unwrap(value: Cbor | undefined, typed: boolean, what: string): Uint8Array {
  demand(value !== undefined, CODE, `${what} is missing`);
  let token = value;
  if (typed) {
    demand(
      Array.isArray(value) && value.length === 2 && value[0] === CONTENT_FORMAT,
      CODE,
      `${what} does not stand beside the content format ${CONTENT_FORMAT}`,
    );
    token = value[1];
  }
  demand(token instanceof Uint8Array, CODE, `${what} is no byte string`);
  return token;
}

function readPlatform(bytes: Uint8Array): PlatformToken {
  const claims = new ClaimSet(bytes, "the platform token");
  const profile = claims.text(265, "profile");
  demand(
    PLATFORM_PROFILES.includes(profile),
    "UNSUPPORTED_REPORT_VERSION",
    `the platform token has the profile ${quoted(profile)} instead of ${PLATFORM_PROFILES.join(" or ")}`,
  );
  const instanceId = claims.bytes(256, "instance id", [33]);
  demand(instanceId[0] === 1, CODE, "the instance id of the platform token does not begin with 01");
  const lifecycle = claims.number(2395, "lifecycle");
  const lifecycleName = LIFECYCLES[(lifecycle >>> 8) as keyof typeof LIFECYCLES];
  demand(
    lifecycle <= 0xffff && lifecycleName !== undefined,
    CODE,
    `the lifecycle of the platform token is 0x${lifecycle.toString(16)}, which is no state`,
  );
  const verificationService = claims.optionalText(2400, "verification service");
  return {
    message: claims.message,
    profile,
    challenge: claims.bytes(10, "challenge", HASH_SIZES),
    implementationId: claims.bytes(2396, "implementation id", [32]),
    instanceId,
    config: claims.bytes(2401, "config"),
    lifecycle,
    lifecycleName,
    components: claims.array(2399, "software components").map(readComponent),
    hashAlgorithm: claims.text(2402, "hash algorithm"),
    ...(verificationService === undefined ? {} : { verificationService }),
    unknownClaims: claims.unread(),
  };
}

function readComponent(value: Cbor, index: number): SoftwareComponent {
  const what = `software component ${index} of the platform token`;
  demand(value instanceof Map, CODE, `${what} is no map`);
  const claims = new ClaimSet(value as CborMap, what);
  const type = claims.optionalText(1, "type");
  const version = claims.optionalText(4, "version");
  const hash = claims.optionalText(6, "hash algorithm");
  return {
    ...(type === undefined ? {} : { type }),
    measurement: claims.bytes(2, "measurement", HASH_SIZES),
    ...(version === undefined ? {} : { version }),
    signer: claims.bytes(5, "signer", HASH_SIZES),
    ...(hash === undefined ? {} : { hash }),
  };
}

function readRealm(bytes: Uint8Array): RealmToken {
  const claims = new ClaimSet(bytes, "the realm token");
  const profile = claims.optionalText(265, "profile");
  demand(
    profile === undefined || profile === REALM_PROFILE,
    "UNSUPPORTED_REPORT_VERSION",
    `the realm token has the profile ${quoted(profile)} instead of ${REALM_PROFILE} or none`,
  );
  const publicKey = claims.bytes(44237, "public key");
  const publicKeyHash = claims.text(44240, "hash algorithm of the public key");
  demand(
    publicKeyHash === "sha-256" || publicKeyHash === "sha-384" || publicKeyHash === "sha-512",
    "UNSUPPORTED_REPORT_VERSION",
    `the realm token's key is hashed with ${quoted(publicKeyHash)}, which is not supported`,
  );
  const extensible = claims.array(44239, "extensible measurements");
  demand(
    extensible.length === 4,
    CODE,
    `the realm token has ${extensible.length} extensible measurements instead of 4`,
  );
  return {
    message: claims.message,
    ...(profile === undefined ? {} : { profile }),
    challenge: claims.bytes(10, "challenge", [64]),
    personalisation: claims.bytes(44235, "personalization value", [64]),
    hashAlgorithm: claims.text(44236, "hash algorithm"),
    publicKey,
    key: profile === undefined ? readPoint(publicKey) : readCoseKey(publicKey),
    publicKeyHash,
    initialMeasurement: claims.bytes(44238, "initial measurement", HASH_SIZES),
    extensibleMeasurements: extensible.map((value, i) =>
      sized(value, `extensible measurement ${i} of the realm token`, HASH_SIZES),
    ),
    unknownClaims: claims.unread(),
  };
}

/** An uncompressed point of P-384. */
function readPoint(bytes: Uint8Array): KeyObject {
  demand(
    bytes.length === 97 && bytes[0] === 4,
    CODE,
    `the public key of the realm token is no uncompressed point of P-384, in ${bytes.length} bytes`,
  );
  return rawEcKey("P-384", bytes.subarray(1, 49), bytes.subarray(49), CODE);
}

/** RFC 9053, 7.1: curve → its name and the bytes of a coordinate. */
const CURVES = new Map<Cbor | undefined, ["P-256" | "P-384" | "P-521", number]>([
  [1, ["P-256", 32]],
  [2, ["P-384", 48]],
  [3, ["P-521", 66]],
]);

function readCoseKey(bytes: Uint8Array): KeyObject {
  const what = "the public key of the realm token";
  const map = readCbor(bytes, { code: CODE, maxDepth: 2 });
  demand(map instanceof Map, CODE, `${what} is no COSE_Key`);
  const key: CborMap = map;
  demand(key.get(1) === 2, CODE, `${what} is of another type than EC2`);
  demand(!key.has(-4), CODE, `${what} has a private part`);
  const curve = CURVES.get(key.get(-1));
  demand(curve !== undefined, CODE, `${what} is on no curve that is supported`);
  const [name, length] = curve;
  const x = sized(key.get(-2), `x of ${what}`, [length]);
  const y = sized(key.get(-3), `y of ${what}`, [length]);
  return rawEcKey(name, x, y, CODE);
}

/** Claims of a token by their label, and which of them were looked at. */
class ClaimSet {
  readonly #claims: CborMap;
  readonly #message: Sign1 | undefined;
  readonly #what: string;
  readonly #read = new Set<Cbor>();

  constructor(token: Uint8Array | CborMap, what: string) {
    this.#what = what;
    if (!(token instanceof Uint8Array)) {
      this.#claims = token;
      return;
    }
    this.#message = parseSign1(token, { what, algorithms: ALGORITHMS, maxPayload: MAX_PAYLOAD, tagged: true });
    const claims = readCbor(this.#message.payload, { code: CODE });
    demand(claims instanceof Map, CODE, `the payload of ${what} is no map`);
    this.#claims = claims;
  }

  get message(): Sign1 {
    if (!this.#message) throw new AnchorError("INTERNAL", `${this.#what} is no message`);
    return this.#message;
  }

  optionalText(label: number, name: string): string | undefined {
    return this.#claims.has(label) ? this.text(label, name) : undefined;
  }

  text(label: number, name: string): string {
    const value = this.#get(label, name);
    demand(typeof value === "string", CODE, `the ${name} of ${this.#what} is no text`);
    demand(
      value.length > 0 && value.length <= MAX_TEXT,
      CODE,
      `the ${name} of ${this.#what} has ${value.length} characters instead of 1 to ${MAX_TEXT}`,
    );
    return value;
  }

  number(label: number, name: string): number {
    const value = this.#get(label, name);
    demand(typeof value === "number" && value >= 0, CODE, `the ${name} of ${this.#what} is no unsigned integer`);
    return value;
  }

  bytes(label: number, name: string, sizes?: readonly number[]): Uint8Array {
    return sized(this.#get(label, name), `the ${name} of ${this.#what}`, sizes);
  }

  array(label: number, name: string): readonly Cbor[] {
    const value = this.#get(label, name);
    demand(
      Array.isArray(value) && value.length > 0,
      CODE,
      `the ${name} of ${this.#what} are no array, or an empty one`,
    );
    return value;
  }

  unread(): string[] {
    return [...this.#claims.keys()].filter((label) => !this.#read.has(label)).map(String);
  }

  #get(label: number, name: string): Cbor {
    const value = this.#claims.get(label);
    demand(value !== undefined, CODE, `${this.#what} lacks its ${name} (claim ${label})`);
    this.#read.add(label);
    return value;
  }
}

function sized(value: Cbor | undefined, what: string, sizes?: readonly number[]): Uint8Array {
  demand(value instanceof Uint8Array, CODE, `${what} is no byte string`);
  demand(
    sizes === undefined || sizes.includes(value.length),
    CODE,
    `${what} has ${value.length} bytes instead of ${sizes?.join(" or ")}`,
  );
  return value;
}
