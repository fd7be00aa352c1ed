import { createHash, createPublicKey, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, toHex } from "../../../src/field/bytes.js";
import { parseCcaToken } from "../../../src/tee/cca/token.js";
import { verifyCca } from "../../../src/tee/cca/verify.js";
import type { CcaClaims } from "../../../src/tee/claims.js";
import {
  type Authentic,
  END_OF_TIME,
  type Verification,
  type VerifyOptions,
  verifyWith,
} from "../../../src/tee/context.js";
import { cachedKey, LAB_NOW } from "../../../src/tee/lab/certificates.js";
import { readEvidence } from "../../../src/tee/recognise.js";
import { cbor, type Item, pairs, raw, sign1, tagged } from "../cbor.js";
import { VECTORS, vector, vectorText } from "../vectors.js";
import {
  CPAK,
  collect,
  coseKey,
  makeToken,
  platformToken,
  point,
  RAK,
  realmToken,
  type TokenOptions,
} from "./maker.js";

const ROOTS = { ccaPlatform: [CPAK.spki] };

function verify(
  token: Uint8Array,
  options: Partial<VerifyOptions> = {},
  keys: readonly string[] = [],
): Verification<CcaClaims> {
  return verifyWith(
    () => token,
    { now: LAB_NOW, roots: ROOTS, ...options },
    (context) => verifyCca(context, { kind: "cca", token }, { cca: { keys } }),
  );
}

const codeOf = (verification: Verification) => (verification.ok ? "accepted" : verification.failure.code);
const outcome = (...args: Parameters<typeof verify>) => codeOf(verify(...args));
const failed = (verification: Verification) =>
  verification.checks.filter(({ outcome }) => outcome === "fail").map(({ id }) => id);
const accepted = (verification: Verification<CcaClaims>): Authentic<CcaClaims> => {
  if (!verification.ok) throw new Error(verification.failure.message);
  return verification;
};
const bytes = (length: number, value = 1) => new Uint8Array(length).fill(value);

describe.skipIf(VECTORS === undefined)("the token of Arm's monitor (tf-rmm)", () => {
  const token = VECTORS === undefined ? bytes(0) : vector("arm-cca", "realm_testvectors_tf-rmm_cca_token.cbor");
  const pem = VECTORS === undefined ? "" : vectorText("arm-cca", "realm_testvectors_tf-rmm_cca_platform.pub");
  const spki = () => new Uint8Array(createPublicKey(pem).export({ type: "spki", format: "der" }));
  const roots = () => ({ ccaPlatform: [spki()] });

  it("verifies under its platform's key, both of its parts and the binding", () => {
    const verification = accepted(verify(token, { roots: roots() }));
    expect(verification.checks.filter(({ outcome }) => outcome === "pass").map(({ id }) => id)).toEqual([
      "cca.token",
      "cca.platform.key",
      "cca.platform.signature",
      "cca.realm.signature",
      "cca.binding",
      "cca.lifecycle",
    ]);
    const { claims } = verification;
    expect(claims.reportData).toBe(`0x${"ab".repeat(64)}`);
    expect(claims.platform).toMatchObject({
      lifecycle: 12291,
      lifecycleName: "secured",
      profile: "http://arm.com/CCA-SSD/1.0.0",
    });
    expect(claims.platform.components.map(({ type }) => type)).toEqual(["BL", "M1", "M2", "M3"]);
    expect(claims.realm).not.toHaveProperty("profile");
    expect(JSON.parse(JSON.stringify(claims))).toEqual(claims);
  });

  it("has a bare point for its realm's key, which a lenient reader takes for the integer 4 with bytes behind it", () => {
    const { realm } = parseCcaToken(token);
    expect([realm.publicKey.length, realm.publicKey[0]]).toEqual([97, 4]);
    expect(toHex(createHash("sha256").update(realm.publicKey).digest())).toBe(
      toHex(parseCcaToken(token).platform.challenge),
    );
  });

  it("is trusted for its key alone: not without, not for another", () => {
    expect(outcome(token, { roots: {} })).toBe("CHAIN_UNTRUSTED");
    expect(outcome(token)).toBe("COSE_SIGNATURE");
    expect(outcome(token, { roots: {} }, [pem])).toBe("CHAIN_UNTRUSTED");
    expect(outcome(token, { roots: { ccaPlatform: [createHash("sha256").update(spki()).digest()] } }, [pem])).toBe(
      "accepted",
    );
  });

  it("is refused in every truncation, and with any one flipped bit", () => {
    const options = { roots: roots() };
    for (let length = 0; length < token.length; length += 7) {
      expect(outcome(token.subarray(0, length), options)).toBe("EVIDENCE_MALFORMED");
    }
    for (let bit = 0; bit < 8 * token.length; bit += bit < 200 ? 1 : 29) {
      const flipped = Uint8Array.from(token);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const verification = verify(flipped, options);
      expect(verification.ok).toBe(false);
      expect(codeOf(verification)).not.toBe("INTERNAL");
    }
  });

  it("does not take another realm's token for its own", () => {
    const ours = parseCcaToken(makeToken());
    const theirs = (index: number) => cborParts(token)[index] as Uint8Array;
    expect(ours.realm.profile).toBeUndefined();
    expect(outcome(collect(theirs(0), realmToken({})), { roots: roots() })).toBe("BINDING_MISMATCH");
    expect(outcome(collect(platformToken({}, bytes(32)), theirs(1)))).toBe("BINDING_MISMATCH");
  });

  /** The two tokens, as bytes: tag (3), map (1), key (3), head (3). */
  function cborParts(whole: Uint8Array): Uint8Array[] {
    const platform = whole.subarray(3 + 1 + 3 + 3, 3 + 1 + 3 + 3 + 659);
    const realm = whole.subarray(3 + 1 + 3 + 3 + 659 + 3 + 3);
    return [platform, realm];
  }
});

describe.skipIf(VECTORS === undefined)("Arm's example claims", () => {
  it("are read, the platform's and the realm's with its key in COSE", () => {
    const platform = fromDiagnostic(vectorText("arm-cca", "platform_testvectors_cbor_CcaPlatformExample.diag"));
    const realm = fromDiagnostic(vectorText("arm-cca", "realm_testvectors_cbor_CcaRealmExample.diag"));
    const wrap = (payload: Uint8Array) => sign1({ payload, key: CPAK.privateKey, tag: 18, signature: bytes(96) });
    for (const form of [399, 907] as const) {
      const token = collect(wrap(platform), wrap(realm), form);
      const parsed = parseCcaToken(token);
      expect(parsed.platform.profile).toBe("tag:arm.com,2023:cca_platform#1.0.0");
      expect(parsed.platform.components[0]).toMatchObject({ type: "RSE_BL1_2", hash: "sha-256" });
      expect(parsed.platform.components.length).toBeGreaterThan(5);
      expect(parsed.realm.profile).toBe("tag:arm.com,2023:realm#1.0.0");
      expect(parsed.realm.key.asymmetricKeyDetails?.namedCurve).toBe("secp384r1");
      // The two are of one set: the platform's challenge is the hash of the realm's key as encoded.
      const digest = createHash("sha256").update(parsed.realm.publicKey).digest();
      expect(toHex(digest)).toBe(toHex(parsed.platform.challenge));
      // Nobody signed them.
      expect(outcome(token)).toBe("COSE_SIGNATURE");
    }
  });
});

describe.each([399, 907] as const)("a token of our own, of tag %i", (form) => {
  const make = (options: TokenOptions = {}) => makeToken({ form, ...options });

  it("verifies, and says what it holds", () => {
    const verification = accepted(verify(make()));
    expect(verification.claims).toEqual({
      family: "cca",
      debug: false,
      measurements: Object.fromEntries(
        ["rim", "rem0", "rem1", "rem2", "rem3"].map((name, i) => [name, `0x${(0xa0 + i).toString(16).repeat(32)}`]),
      ),
      reportData: `0x${"ab".repeat(64)}`,
      platform: {
        profile: form === 399 ? "http://arm.com/CCA-SSD/1.0.0" : "tag:arm.com,2023:cca_platform#1.0.0",
        implementationId: `0x${"11".repeat(32)}`,
        instanceId: `0x01${"22".repeat(32)}`,
        config: "0xcfcfcfcf",
        lifecycle: 0x3003,
        lifecycleName: "secured",
        components: [
          {
            type: "RMM",
            measurement: `0x${"33".repeat(32)}`,
            version: "1.0",
            signer: `0x${"44".repeat(32)}`,
            hash: "sha-256",
          },
          { measurement: `0x${"55".repeat(48)}`, signer: `0x${"66".repeat(64)}` },
        ],
      },
      realm: {
        personalisation: `0x${"77".repeat(64)}`,
        hashAlgorithm: "sha-256",
        publicKey: toHex(form === 399 ? point(RAK) : coseKey(RAK)),
        ...(form === 399 ? {} : { profile: "tag:arm.com,2023:realm#1.0.0" }),
      },
    });
    expect([verification.validFrom, verification.validUntil]).toEqual([0, END_OF_TIME]);
    expect(verification.checks.filter(({ outcome }) => outcome === "unchecked").map(({ id }) => id)).toEqual([
      "cca.expiry",
      "cca.revocation",
    ]);
    expect(verification.notes).toEqual([]);
  });

  it("is bound by a hash of the realm's key, with the algorithm that the realm token names", () => {
    for (const hash of ["sha-256", "sha-384", "sha-512"]) {
      expect(outcome(make({ realm: { 44240: hash } }))).toBe("accepted");
    }
    for (const challenge of [bytes(32), bytes(48), bytes(64)]) {
      const verification = verify(make({ platform: { 10: challenge } }));
      expect(codeOf(verification)).toBe("BINDING_MISMATCH");
      expect(failed(verification)).toEqual(["cca.binding"]);
    }
    // A hash of the bare coordinates is none of the key as encoded.
    const bare = new Uint8Array(createHash("sha256").update(point(RAK).subarray(1)).digest());
    expect(outcome(make({ platform: { 10: bare } }))).toBe("BINDING_MISMATCH");
  });

  it("does not take the realm token of another monitor, and does take another realm's of the same one", () => {
    const challenge = parseCcaToken(make()).platform.challenge;
    const other = realmToken({ form, rak: cachedKey("P-384", "cca other realm") });
    expect(outcome(collect(platformToken({ form }, challenge), other, form))).toBe("BINDING_MISMATCH");
    const neighbour = realmToken({ form, realm: { 10: bytes(64) } });
    expect(outcome(collect(platformToken({ form }, challenge), neighbour, form))).toBe("accepted");
  });

  it("needs both signatures, each by its own key", () => {
    const wrong: [string, string, TokenOptions][] = [
      ["cca.platform.signature", "COSE_SIGNATURE", { platformMessage: { key: RAK.privateKey } }],
      ["cca.platform.signature", "COSE_SIGNATURE", { platformMessage: { signature: bytes(96) } }],
      ["cca.platform.signature", "COSE_SIGNATURE", { platformMessage: { signature: bytes(95) } }],
      ["cca.platform.signature", "COSE_SIGNATURE", { platformMessage: { hash: "sha256" } }],
      ["cca.realm.signature", "COSE_SIGNATURE", { realmMessage: { key: CPAK.privateKey } }],
      ["cca.realm.signature", "COSE_SIGNATURE", { realmMessage: { signature: bytes(96) } }],
      // The header names another curve than the key's.
      [
        "cca.platform.signature",
        "COSE_SIGNATURE",
        { platformMessage: { protectedHeader: new Map([[1, -7]]), hash: "sha256" } },
      ],
      [
        "cca.realm.signature",
        "COSE_SIGNATURE",
        { realmMessage: { protectedHeader: new Map([[1, -36]]), hash: "sha512" } },
      ],
    ];
    for (const [id, code, options] of wrong) {
      const verification = verify(make(options));
      expect(codeOf(verification)).toBe(code);
      expect(failed(verification)).toEqual([id]);
    }
  });

  it.each<[string, string, TokenOptions]>([
    ["no tag on the platform token", "EVIDENCE_MALFORMED", { platformMessage: { tag: undefined } }],
    ["tag 98 on the realm token", "EVIDENCE_MALFORMED", { realmMessage: { tag: 98 } }],
    ["another algorithm's header", "COSE_HEADER", { platformMessage: { protectedHeader: new Map([[1, -8]]) } }],
    ["an unprotected header", "COSE_HEADER", { realmMessage: { unprotected: new Map([[4, bytes(1)]]) } }],
    [
      "a second protected header",
      "COSE_HEADER",
      {
        realmMessage: {
          protectedHeader: new Map([
            [1, -35],
            [3, 1],
          ]),
        },
      },
    ],
    [
      "a platform's profile of another version",
      "UNSUPPORTED_REPORT_VERSION",
      { platform: { 265: "tag:arm.com,2024:cca_platform#2.0.0" } },
    ],
    [
      "a realm's profile of another version",
      "UNSUPPORTED_REPORT_VERSION",
      { realm: { 265: "tag:arm.com,2024:realm#2.0.0" } },
    ],
    [
      "SHA-224 over the realm's key",
      "UNSUPPORTED_REPORT_VERSION",
      { realm: { 44240: "sha-224" }, platform: { 10: bytes(32) } },
    ],
    ["no platform profile", "EVIDENCE_MALFORMED", { platform: { 265: undefined } }],
    ["no platform challenge", "EVIDENCE_MALFORMED", { platform: { 10: undefined } }],
    ["a platform challenge of 31 bytes", "EVIDENCE_MALFORMED", { platform: { 10: bytes(31) } }],
    ["platform challenges in an array", "EVIDENCE_MALFORMED", { platform: { 10: [bytes(32), bytes(32)] } }],
    ["no implementation id", "EVIDENCE_MALFORMED", { platform: { 2396: undefined } }],
    ["an implementation id of 33 bytes", "EVIDENCE_MALFORMED", { platform: { 2396: bytes(33) } }],
    ["no instance id", "EVIDENCE_MALFORMED", { platform: { 256: undefined } }],
    ["an instance id of 32 bytes", "EVIDENCE_MALFORMED", { platform: { 256: bytes(32) } }],
    ["an instance id of another type", "EVIDENCE_MALFORMED", { platform: { 256: bytes(33, 2) } }],
    ["no config", "EVIDENCE_MALFORMED", { platform: { 2401: undefined } }],
    ["a config that is a text", "EVIDENCE_MALFORMED", { platform: { 2401: "x" } }],
    ["no lifecycle", "EVIDENCE_MALFORMED", { platform: { 2395: undefined } }],
    ["a lifecycle that is a text", "EVIDENCE_MALFORMED", { platform: { 2395: "secured" } }],
    ["a lifecycle between states", "EVIDENCE_MALFORMED", { platform: { 2395: 0x3100 } }],
    ["a lifecycle of more than 16 bits", "EVIDENCE_MALFORMED", { platform: { 2395: 0x13003 } }],
    ["a lifecycle of 64 bits", "EVIDENCE_MALFORMED", { platform: { 2395: 2n ** 40n + 0x3003n } }],
    ["a lifecycle beyond what is exact", "EVIDENCE_MALFORMED", { platform: { 2395: 2n ** 60n } }],
    ["null for a lifecycle", "EVIDENCE_MALFORMED", { platform: { 2395: null } }],
    ["a negative lifecycle", "EVIDENCE_MALFORMED", { platform: { 2395: -1 } }],
    ["no software components", "EVIDENCE_MALFORMED", { platform: { 2399: undefined } }],
    ["an empty list of software components", "EVIDENCE_MALFORMED", { platform: { 2399: [] } }],
    ["a component that is no map", "EVIDENCE_MALFORMED", { platform: { 2399: [1] } }],
    ["a component without a measurement", "EVIDENCE_MALFORMED", { platform: { 2399: [new Map([[5, bytes(32)]])] } }],
    ["a component without a signer", "EVIDENCE_MALFORMED", { platform: { 2399: [new Map([[2, bytes(32)]])] } }],
    [
      "a measurement of 20 bytes",
      "EVIDENCE_MALFORMED",
      {
        platform: {
          2399: [
            new Map([
              [2, bytes(20)],
              [5, bytes(32)],
            ]),
          ],
        },
      },
    ],
    ["no platform hash", "EVIDENCE_MALFORMED", { platform: { 2402: undefined } }],
    ["bytes for a verification service", "EVIDENCE_MALFORMED", { platform: { 2400: bytes(5) } }],
    ["an empty verification service", "EVIDENCE_MALFORMED", { platform: { 2400: "" } }],
    ["no realm challenge", "EVIDENCE_MALFORMED", { realm: { 10: undefined } }],
    ["a realm challenge of 32 bytes", "EVIDENCE_MALFORMED", { realm: { 10: bytes(32) } }],
    ["no personalization value", "EVIDENCE_MALFORMED", { realm: { 44235: undefined } }],
    ["a personalization value of 63 bytes", "EVIDENCE_MALFORMED", { realm: { 44235: bytes(63) } }],
    ["no realm hash", "EVIDENCE_MALFORMED", { realm: { 44236: undefined } }],
    ["no realm key", "EVIDENCE_MALFORMED", { realm: { 44237: undefined } }],
    ["no hash of the realm key", "EVIDENCE_MALFORMED", { realm: { 44240: undefined } }],
    ["no initial measurement", "EVIDENCE_MALFORMED", { realm: { 44238: undefined } }],
    ["an initial measurement of 20 bytes", "EVIDENCE_MALFORMED", { realm: { 44238: bytes(20) } }],
    ["no extensible measurements", "EVIDENCE_MALFORMED", { realm: { 44239: undefined } }],
    ["three extensible measurements", "EVIDENCE_MALFORMED", { realm: { 44239: [1, 2, 3].map(() => bytes(32)) } }],
    ["five extensible measurements", "EVIDENCE_MALFORMED", { realm: { 44239: [1, 2, 3, 4, 5].map(() => bytes(32)) } }],
    [
      "an extensible measurement of one byte",
      "EVIDENCE_MALFORMED",
      { realm: { 44239: [32, 32, 32, 1].map((n) => bytes(n)) } },
    ],
    ["a bomb of arrays", "EVIDENCE_MALFORMED", { realm: { 99: raw(bytes(5000, 0x81)) } }],
    ["an array without a length", "EVIDENCE_MALFORMED", { realm: { 99: raw("9fff") } }],
    ["a payload of more than 16 KiB", "EVIDENCE_MALFORMED", { platform: { 99: bytes(16384) } }],
  ])("with %s is %s", (_, code, options) => {
    const verification = verify(make(options));
    expect(codeOf(verification)).toBe(code);
    expect(failed(verification)).toEqual(["cca.token"]);
  });

  it("tells about claims that nobody knows, and is no worse for them", () => {
    const { notes } = accepted(verify(make({ platform: { 2404: [1], 2403: bytes(1) }, realm: { [-75000]: 1 } })));
    expect(notes).toEqual([
      "the platform token has claims that this release does not know: 2403, 2404",
      "the realm token has claims that this release does not know: -75000",
    ]);
  });

  it("has both tokens beside their content format or neither, by its tag", () => {
    const platform = parseCcaToken(make()).platform.challenge;
    const tokens = [platformToken({ form }, platform), realmToken({ form })] as const;
    const wrapped = (wrap: (token: Uint8Array) => Item) =>
      cbor(
        tagged(
          form,
          new Map([
            [44234, wrap(tokens[0])],
            [44241, wrap(tokens[1])],
          ]),
        ),
      );
    const bare = (token: Uint8Array): Item => token;
    const typed = (token: Uint8Array): Item => [263, token];
    expect(outcome(wrapped(form === 399 ? bare : typed))).toBe("accepted");
    const wrong = [
      form === 399 ? typed : bare,
      (token: Uint8Array): Item => [264, token],
      (token: Uint8Array): Item => ["application/eat+cwt", token],
      (token: Uint8Array): Item => [263, token, 4],
      (token: Uint8Array): Item => [token],
      (token: Uint8Array): Item => [263, [token]],
    ];
    for (const wrap of wrong) expect(outcome(wrapped(wrap))).toBe("EVIDENCE_MALFORMED");
    expect(verify(cbor(tagged(form, new Map())))).toMatchObject({
      failure: { message: "the platform token is missing" },
    });
  });

  it("is recognised for what it is", () => {
    const token = make();
    expect(readEvidence(token)).toMatchObject({ evidence: { kind: "cca", token } });
  });

  it("lacks a claim in so many words", () => {
    expect(verify(make({ realm: { 44238: undefined } }))).toMatchObject({
      failure: { message: "the realm token lacks its initial measurement (claim 44238)" },
    });
  });

  it("passes on where a verifier is said to be", () => {
    const { claims } = accepted(verify(make({ platform: { 2400: "https://verifier.example" } })));
    expect(claims.platform.verificationService).toBe("https://verifier.example");
  });

  it("holds a claim twice, bytes behind its end, or parts beside the two for malformed", () => {
    const token = make();
    const twice = sign1({
      payload: cbor(
        pairs([
          [10, bytes(64)],
          [10, bytes(64)],
        ]),
      ),
      key: RAK.privateKey,
      tag: 18,
    });
    const platform = platformToken({ form }, bytes(32));
    const part = (bytes: Uint8Array): Item => (form === 399 ? bytes : [263, bytes]);
    const wrong = [
      collect(platform, twice, form),
      concat(token, bytes(1)),
      bytes(0),
      token.subarray(3),
      cbor(tagged(form, tagged(form, new Map()))),
      cbor(tagged(form, [part(platform), part(platform)])),
      cbor(
        tagged(
          form,
          pairs([
            [44234, part(platform)],
            [44234, part(platform)],
          ]),
        ),
      ),
      cbor(tagged(form, new Map([[44234, part(platform)]]))),
      cbor(tagged(form, new Map([[44241, part(realmToken({ form }))]]))),
      cbor(
        tagged(
          form,
          new Map<Item, Item>([
            [44234, part(platform)],
            [44241, part(realmToken({ form }))],
            [44242, 1],
          ]),
        ),
      ),
      cbor(
        tagged(
          form,
          new Map<Item, Item>([
            ["44234", part(platform)],
            [44241, part(realmToken({ form }))],
          ]),
        ),
      ),
      cbor(
        tagged(
          form,
          new Map<Item, Item>([
            [44234, "x"],
            [44241, part(realmToken({ form }))],
          ]),
        ),
      ),
      // The other form's parts under this form's tag.
      collect(platform, realmToken({ form }), form === 399 ? 907 : 399).map(
        (byte, i) => token.subarray(0, 3)[i] ?? byte,
      ),
      cbor(tagged(18, new Map())),
      cbor(null),
      cbor("token"),
      ...["claims", null, [bytes(64)]].map((claims) =>
        collect(platform, sign1({ payload: cbor(claims), key: RAK.privateKey, tag: 18 }), form),
      ),
      cbor(
        new Map<Item, Item>([
          [44234, part(platform)],
          [44241, part(realmToken({ form }))],
        ]),
      ),
    ];
    for (const each of wrong) expect(outcome(each)).toBe("EVIDENCE_MALFORMED");
    expect(verify(bytes(49153))).toMatchObject({ failure: { message: "a CCA token of 49153 bytes, more than 49152" } });
  });
});

describe("lifecycle", () => {
  const state = (lifecycle: number, allowDebug = false) =>
    verify(makeToken({ platform: { 2395: lifecycle } }), { allowDebug });

  it("is secured from 0x3000 to 0x30ff", () => {
    for (const lifecycle of [0x3000, 0x3003, 0x30ff]) expect(codeOf(state(lifecycle))).toBe("accepted");
  });

  it("of debugging is refused unless asked for, and marked then", () => {
    for (const lifecycle of [0x4000, 0x40ff, 0x5000, 0x50ff]) {
      expect(codeOf(state(lifecycle))).toBe("DEBUG_ENABLED");
      expect(accepted(state(lifecycle, true)).claims.debug).toBe(true);
    }
    expect(accepted(state(0x4000, true)).claims.platform.lifecycleName).toBe("non-cca-platform-rot-debug");
  });

  it("of any other state is refused, asked for or not", () => {
    for (const lifecycle of [0, 0xff, 0x1000, 0x2000, 0x6000, 0x60ff]) {
      const verification = state(lifecycle, true);
      expect(codeOf(verification)).toBe("DEBUG_ENABLED");
      expect(failed(verification)).toEqual(["cca.lifecycle"]);
    }
    for (const lifecycle of [0x0100, 0x2fff, 0x3100, 0x7000, 0xffff]) {
      expect(codeOf(state(lifecycle, true))).toBe("EVIDENCE_MALFORMED");
    }
  });
});

describe("the realm's key", () => {
  it("may be on P-256 and P-521 as a COSE_Key, with the algorithm that goes with it", () => {
    expect(outcome(makeToken({ form: 907, rak: cachedKey("P-256", "cca realm p-256") }))).toBe("accepted");
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "secp521r1" });
    const { x, y } = publicKey.export({ format: "jwk" });
    const key = cbor(
      new Map<Item, Item>(
        [
          [1, 2],
          [-1, 3],
          [-2, Buffer.from(x!, "base64url")],
          [-3, Buffer.from(y!, "base64url")],
        ].map(([label, value]) => [label as Item, typeof value === "number" ? value : new Uint8Array(value as Buffer)]),
      ),
    );
    const realmMessage = { key: privateKey, protectedHeader: new Map([[1, -36]]), hash: "sha512" };
    expect(outcome(makeToken({ form: 907, publicKey: key, realmMessage }))).toBe("accepted");
  });

  const offCurve = point(RAK).map((byte, i) => (i === 96 ? byte ^ 1 : byte));
  it.each<[string, 399 | 907, Uint8Array]>([
    ["a point that is not on the curve", 399, offCurve],
    ["a compressed point", 399, concat(Uint8Array.of(2), point(RAK).subarray(1, 49))],
    ["a hybrid point", 399, concat(Uint8Array.of(6), point(RAK).subarray(1))],
    ["a point of P-256", 399, point(cachedKey("P-256", "cca realm p-256"))],
    ["coordinates alone", 399, point(RAK).subarray(1)],
    ["a byte behind a point", 399, concat(point(RAK), bytes(1))],
    ["the point at infinity", 399, bytes(1, 0)],
    ["nothing", 399, bytes(0)],
    ["a COSE_Key where the profile is absent", 399, coseKey(RAK)],
    ["a bare point where the profile names a COSE_Key", 907, point(RAK)],
    ["a key of type OKP", 907, coseKey(RAK, { 1: 1 })],
    ["a curve that is not supported", 907, coseKey(RAK, { [-1]: 8 })],
    ["coordinates of another curve", 907, coseKey(RAK, { [-1]: 1 })],
    ["no x", 907, coseKey(RAK, { [-2]: undefined })],
    ["no y", 907, coseKey(RAK, { [-3]: undefined })],
    ["y as a sign", 907, coseKey(RAK, { [-3]: true })],
    ["x without its leading byte", 907, coseKey(RAK, { [-2]: bytes(47) })],
    ["coordinates off the curve", 907, coseKey(RAK, { [-2]: bytes(48) })],
    ["a private part", 907, coseKey(RAK, { [-4]: bytes(48) })],
    ["a byte behind the key", 907, concat(coseKey(RAK), bytes(1))],
    ["an array", 907, cbor([1, 2])],
  ])("is refused as %s", (_, form, publicKey) => {
    expect(outcome(makeToken({ form, publicKey }))).toBe("EVIDENCE_MALFORMED");
  });
});

describe("trusted platform keys", () => {
  const stranger = cachedKey("P-384", "cca stranger");
  const jwk = (key: typeof CPAK) => JSON.stringify(key.publicKey.export({ format: "jwk" }));
  const pem = (key: typeof CPAK) => String(key.publicKey.export({ format: "pem", type: "spki" }));
  const digest = (key: typeof CPAK) => new Uint8Array(createHash("sha256").update(key.spki).digest());
  const token = makeToken();

  it("are those of the roots, several of them as well", () => {
    expect(outcome(token, { roots: { ccaPlatform: [stranger.spki, CPAK.spki] } })).toBe("accepted");
    expect(outcome(token, { roots: { ccaPlatform: [stranger.spki] } })).toBe("COSE_SIGNATURE");
    expect(outcome(token, { roots: { ccaPlatform: [stranger.spki, RAK.spki] } })).toBe("COSE_SIGNATURE");
    expect(outcome(token, { roots: { ccaPlatform: [] } })).toBe("CHAIN_UNTRUSTED");
    expect(outcome(token, { roots: { ccaPlatform: [bytes(100)] } })).toBe("CHAIN_UNTRUSTED");
  });

  it("may be named by their digest, and then the collateral brings them, as JWK or PEM", () => {
    const roots = { ccaPlatform: [digest(CPAK)] };
    expect(outcome(token, { roots })).toBe("CHAIN_UNTRUSTED");
    expect(outcome(token, { roots }, [jwk(CPAK)])).toBe("accepted");
    expect(outcome(token, { roots }, [pem(stranger), pem(CPAK)])).toBe("accepted");
    expect(outcome(token, { roots }, [pem(stranger)])).toBe("CHAIN_UNTRUSTED");
    expect(accepted(verify(token, {}, [jwk(stranger)])).notes).toEqual([
      `a platform key of the collateral is not trusted (SHA-256 ${toHex(digest(stranger))})`,
    ]);
  });

  it("of the collateral never count for being there", () => {
    const forged = makeToken({ platformMessage: { key: stranger.privateKey } });
    expect(outcome(forged, {}, [jwk(stranger)])).toBe("COSE_SIGNATURE");
    expect(outcome(forged, { roots: {} }, [jwk(stranger)])).toBe("CHAIN_UNTRUSTED");
  });

  it("of the collateral are refused where they are no keys", () => {
    for (const text of [
      "",
      "{",
      "{}",
      "x",
      '{"kty":"EC"}',
      "[".repeat(4000),
      "{".repeat(5000),
      '{"kty":"oct","k":"AA"}',
    ]) {
      expect(outcome(token, {}, [text])).toBe("COLLATERAL_MALFORMED");
    }
    expect(outcome(token, {}, [1 as never])).toBe("COLLATERAL_MALFORMED");
    expect(outcome(token, {}, [pem(CPAK)])).toBe("accepted");
    expect(outcome(token, {}, [pem(CPAK) + "\n".repeat(4096)])).toBe("COLLATERAL_MALFORMED");
  });

  it("may be on other curves, with the algorithm that goes with them", () => {
    const key = cachedKey("P-256", "cca platform p-256");
    const platformMessage = { key: key.privateKey, protectedHeader: new Map([[1, -7]]), hash: "sha256" };
    expect(outcome(makeToken({ platformMessage }), { roots: { ccaPlatform: [key.spki] } })).toBe("accepted");
    expect(
      outcome(makeToken({ platformMessage: { ...platformMessage, hash: "sha384" } }), {
        roots: { ccaPlatform: [key.spki] },
      }),
    ).toBe("COSE_SIGNATURE");
    // A curve whose signatures are as long as P-256's, and which ES256 is not on.
    const bitcoin = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
    const spki = new Uint8Array(bitcoin.publicKey.export({ type: "spki", format: "der" }));
    const foreign = makeToken({ platformMessage: { ...platformMessage, key: bitcoin.privateKey } });
    expect(outcome(foreign, { roots: { ccaPlatform: [spki] } })).toBe("CHAIN_UNTRUSTED");
    // A root that is no key of a curve fits no algorithm.
    const rsa = cachedKey("RSA-2048", "cca rsa");
    expect(outcome(token, { roots: { ccaPlatform: [rsa.spki] } })).toBe("COSE_SIGNATURE");
  });
});

/** CBOR of the diagnostic notation that Arm's examples are written in: maps, arrays, integers, texts, h'', << >>, comments. */
function fromDiagnostic(text: string): Uint8Array {
  const tokens = text
    .replace(/\/[^/"']*\/(?=\s|$)/g, " ")
    .match(/<<|>>|h'[0-9A-Fa-f\s]*'|"[^"]*"|-?\d+|[[\]{}:,]/g) as string[];
  let next = 0;
  const value = (): Item => {
    const token = tokens[next++]!;
    if (token === "<<") {
      const inside = cbor(value());
      next++;
      return inside;
    }
    if (token.startsWith("h'")) return new Uint8Array(Buffer.from(token.slice(2, -1).replace(/\s/g, ""), "hex"));
    if (token.startsWith('"')) return token.slice(1, -1);
    if (token !== "{" && token !== "[") return Number(token);
    const items: Item[] = [];
    while (tokens[next] !== "}" && tokens[next] !== "]") {
      items.push(value());
      if (tokens[next] === ":" || tokens[next] === ",") next++;
    }
    next++;
    if (token === "[") return items;
    return pairs(Array.from({ length: items.length / 2 }, (_, i) => [items[2 * i]!, items[2 * i + 1]!]));
  };
  return cbor(value());
}
