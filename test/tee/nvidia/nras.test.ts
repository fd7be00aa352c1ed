/** Tokens of NVIDIA's attestation service: recorded ones, forged ones, and what `jose` says of both. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { createLocalJWKSet, jwtVerify } from "jose";
import { describe, expect, it } from "vitest";
import { DAY, makeKey } from "../../../src/tee/lab/certificates.js";
import { type NrasOptions, nrasAnswer } from "../../../src/tee/lab/nras.js";
import { parseJws } from "../../../src/tee/nvidia/jws.js";
import { PINNED_ROOTS } from "../../../src/tee/roots.js";
import { parseCertificate } from "../../../src/tee/x509.js";
import { outcomeOf } from "../../support/errors.js";
import { type Case, cases, VECTORS } from "../vectors.js";
import { answer, message, outcome, verifyTokens } from "./fixture.js";

const ISSUER = "https://nras.attestation.nvidia.com";
const recorded = cases("nras-jwt");
const timeOf = ({ at }: Case) => Math.floor(Date.parse(String(at)) / 1000);
const [good, failed] = recorded as [Case, Case];

describe.skipIf(VECTORS === undefined)("recorded answers", () => {
  it("of a GPU that passed", () => {
    const { evidence, collateral } = answer(good.id);
    const verification = verifyTokens(evidence, { now: timeOf(good) }, collateral);
    expect(message(verification)).toBe("");
    expect(verification).toMatchObject({
      claims: {
        family: "nras",
        debug: false,
        measurements: {},
        issuer: ISSUER,
        overallResult: true,
        nonce: `0x${good["clientNonce"]}`,
        issuedAt: 1781056142,
        expiresAt: 1781059742,
        devices: [
          { name: "GPU-0", claims: { measres: "success", hwmodel: "GH100", secboot: true, dbgstat: "disabled" } },
        ],
      },
      // The first second at which it has expired is the one that it names.
      validUntil: 1781059741,
    });
    expect(verification.collateral).toMatchObject([{ kind: "nvidia.nras-jwks" }]);
  });

  it("of eight GPUs that did not pass is authentic, and refused for what it says", () => {
    const { evidence, collateral } = answer(failed.id);
    const verification = verifyTokens(evidence, { now: timeOf(failed) }, collateral);
    expect(outcome(verification)).toBe("ATTESTATION_REFUSED");
    expect(message(verification)).toContain("NONCE_NOT_MATCHING");
    // Everything else about it is in order: it is the last check that fails.
    expect(verification.checks.filter((each) => each.outcome === "fail").map(({ id }) => id)).toEqual([
      "nvidia.nras.result",
    ]);
  });

  it.each(recorded)("$id is in force from its issue to its expiry", (each: Case) => {
    const { evidence, collateral } = answer(each.id);
    const { iat, exp } = parseJws(evidence.overall, "a token").payload as { iat: number; exp: number };
    const at = (now: number) => outcome(verifyTokens(evidence, { now }, collateral));
    const inForce = each.id === failed.id ? "ATTESTATION_REFUSED" : "ok";
    expect([iat - 1, iat, exp - 1, exp, exp + 1].map(at)).toEqual([
      "NOT_YET_VALID",
      inForce,
      inForce,
      "EXPIRED",
      "EXPIRED",
    ]);
  });

  it("need the key set of their day", () => {
    const { evidence, jwks } = answer(good.id);
    const at = { now: timeOf(good) };
    const others = JSON.stringify({ keys: JSON.parse(jwks).keys.slice(0, 2) });
    const run = (...sets: string[]) => outcome(verifyTokens(evidence, at, { nras: { jwks: sets } }));
    expect(run()).toBe("COLLATERAL_MISSING");
    expect(outcome(verifyTokens(evidence, at, {}))).toBe("COLLATERAL_MISSING");
    expect(run(others)).toBe("COLLATERAL_MISSING");
    expect(run(others, jwks)).toBe("ok");
    expect(run("[]")).toBe("COLLATERAL_MALFORMED");
    expect(run("{}")).toBe("COLLATERAL_MALFORMED");
    expect(run(`${jwks}x`)).toBe("COLLATERAL_MALFORMED");
    expect(run("[".repeat(100_000))).toBe("COLLATERAL_MALFORMED");
  });

  it("end in the pinned certificate, which every key of the sets is issued by", () => {
    const [pinned] = PINNED_ROOTS.nvidiaNras;
    // Pinned by other verifiers too, found independently: SHA-256 of the public key.
    const spki = createHash("sha256").update(parseCertificate(pinned!).spki).digest("hex");
    expect(spki).toBe("fd32837f954e2c45db073105166dfe6985ae0480bb113fba63b091a75affe896");
    for (const { id } of recorded) {
      const { evidence, collateral, jwks } = answer(id);
      for (const { x5c } of JSON.parse(jwks).keys) expect(x5c[1]).toBe(Buffer.from(pinned!).toString("base64"));
      const untrusted = verifyTokens(evidence, { now: 1781056200, roots: { nvidiaNras: [] } }, collateral);
      expect(outcome(untrusted)).toBe("CHAIN_UNTRUSTED");
    }
  });

  it("are of the devices that they name: none missing, none too many, none exchanged", () => {
    const { evidence, collateral } = answer(failed.id);
    const run = (devices: Record<string, string>) =>
      outcome(verifyTokens({ ...evidence, devices }, { now: timeOf(failed) }, collateral));
    const { "GPU-3": third, "GPU-4": fourth, ...rest } = evidence.devices as Record<string, string>;
    expect(run({ ...rest, "GPU-4": fourth! })).toBe("DEVICE_COUNT");
    expect(run({})).toBe("DEVICE_COUNT");
    expect(run({ ...evidence.devices, "GPU-8": third! })).toBe("DEVICE_COUNT");
    expect(run({ ...rest, "GPU-3": fourth!, "GPU-4": third! })).toBe("TOKEN_CLAIMS");
    const [other] = Object.values(answer(good.id).evidence.devices);
    expect(run({ ...evidence.devices, "GPU-3": other! })).toBe("TOKEN_CLAIMS");
    const entries = Object.entries(evidence.devices).reverse();
    expect(run(Object.fromEntries(entries))).toBe("ATTESTATION_REFUSED"); // as in their own order
  });
});

const base = nrasAnswer();
const run = (options: NrasOptions = {}, now = base.now) => {
  const lab = nrasAnswer(options);
  return verifyTokens(lab.evidence, { now, roots: lab.roots }, lab.collateral);
};
const code = (options: NrasOptions, now?: number) => outcome(run(options, now));

describe("a token's form", () => {
  const both = (edit: (token: string) => string) =>
    code({ delivered: (token, name) => (name === "overall" ? edit(token) : token) });
  const parts = (edit: (head: string, body: string, signature: string) => string) =>
    both((token) => edit(...(token.split(".") as [string, string, string])));
  const encode = (value: string) => Buffer.from(value).toString("base64url");

  it("is that of a JWS with ES384", () => {
    expect(message(run())).toBe("");
    expect(code({ header: { typ: "JWT" } })).toBe("ok");
  });

  // dstack's fixtures hold a token with "alg": "none", which its verifier of the day took for one of NVIDIA's.
  it("is never one without a signature (dstack: alg none)", () => {
    for (const alg of ["none", "None", "NONE", "", null, undefined]) {
      const header = { header: { alg } };
      expect(code({ ...header, delivered: (token) => token.replace(/[^.]*$/, "") })).toBe("TOKEN_MALFORMED");
      expect(code(header)).toBe("TOKEN_MALFORMED");
    }
    expect(parts((head, body) => `${head}.${body}.`)).toBe("TOKEN_MALFORMED");
    expect(parts((_, body) => `${encode('{"alg":"none"}')}.${body}.`)).toBe("TOKEN_MALFORMED");
  });

  it.each([
    ["another algorithm", { alg: "ES256" }],
    ["one that is no signature", { alg: "HS384" }],
    ["critical parameters", { crit: ["b64"] }],
    ["an unencoded payload", { b64: false }],
    ["keys at an address", { jku: "https://example.com/jwks.json" }],
    ["a key of its own", { jwk: { kty: "EC" } }],
    ["certificates of its own", { x5c: [] }],
    ["an address of certificates", { x5u: "https://example.com" }],
    ["compression", { zip: "DEF" }],
    ["another type", { typ: "JOSE" }],
    ["no key", { kid: undefined }],
    ["a key without a name", { kid: "" }],
    ["a key with a number for a name", { kid: 1 }],
  ])("has a header without %s", (_, header) => {
    expect(code({ header })).toBe("TOKEN_MALFORMED");
    // Of a device's token alone it counts as much.
    expect(code({ headers: { "GPU-0": header } })).toBe("TOKEN_MALFORMED");
  });

  it("is three parts in canonical base64url", () => {
    const refused = [
      (head: string, body: string) => `${head}.${body}`,
      (head: string, body: string, signature: string) => `${head}.${body}.${signature}.`,
      (head: string, body: string, signature: string) => `${head}.${body}.${signature}.${signature}.x`,
      (head: string, body: string, signature: string) => `${head}=.${body}.${signature}`,
      (head: string, body: string, signature: string) => `${head}.${body} .${signature}`,
      (head: string, body: string, signature: string) => `${head}.${body}.${signature}\n`,
      (head: string, body: string, signature: string) => `.${body}.${signature}${head}`,
      (head: string, body: string, signature: string) => `${head}.${body}.${signature}AAAA`,
      (_: string, body: string, signature: string) => `${encode("[]")}.${body}.${signature}`,
      (_: string, body: string, signature: string) =>
        `${encode('{"alg":"ES256","alg":"ES384","kid":"k"}')}.${body}.${signature}`,
      (head: string, _: string, signature: string) => `${head}.${encode("1")}.${signature}`,
      () => "",
      () => "a.b.c",
      () => ".".repeat(100_000),
      () => "A".repeat(300_000),
    ];
    for (const edit of refused) expect(parts(edit), String(edit)).toBe("TOKEN_MALFORMED");
    const standard = both((token) => {
      const changed = token.replaceAll("_", "/").replaceAll("-", "+");
      return changed === token ? `${token}+/+/` : changed; // one in many has none of these letters
    });
    expect(standard).toBe("TOKEN_MALFORMED");
  });

  it("has the signature of the key that it names", () => {
    expect(code({ signer: makeKey("P-384") })).toBe("TOKEN_SIGNATURE");
    expect(parts((head, body) => `${head}.${body}.${Buffer.alloc(96).toString("base64url")}`)).toBe("TOKEN_SIGNATURE");
    // With n − s for s it is another signature over the same: nothing rests on the bytes of one.
    const n = 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n;
    const other = (signature: string) => {
      const hex = Buffer.from(signature, "base64url").toString("hex");
      const s = (n - BigInt(`0x${hex.slice(96)}`)).toString(16).padStart(96, "0");
      return Buffer.from(hex.slice(0, 96) + s, "hex").toString("base64url");
    };
    expect(parts((head, body, signature) => `${head}.${body}.${other(signature)}`)).toBe("ok");
    expect(parts((head, body, signature) => `${head}.${body}.${other(signature).replace(/^..../, "AAAA")}`)).toBe(
      "TOKEN_SIGNATURE",
    );
  });
});

describe("a token's key", () => {
  it("is that of a certificate under the pinned one", () => {
    expect(code({ jwk: { x5c: undefined } })).toBe("COLLATERAL_MALFORMED");
    expect(code({ jwk: { x5c: [] } })).toBe("COLLATERAL_MALFORMED");
    expect(code({ jwk: { x5c: ["AAAA"] } })).toBe("CERT_MALFORMED");
    expect(code({ jwk: { x5c: ["?"] } })).toBe("COLLATERAL_MALFORMED");
    expect(code({ jwk: { x5c: Array.from({ length: 9 }, () => "AAAA") } })).toBe("COLLATERAL_MALFORMED");
    const other = nrasAnswer();
    const x5c = [other.certificates.leaf, other.certificates.intermediate].map((each) =>
      Buffer.from(each).toString("base64"),
    );
    // Another service's certificates around this key, and this service's around another key.
    expect(code({ jwk: { x5c } })).toBe("CHAIN_SIGNATURE");
    const { x, y } = other.key.publicKey.export({ format: "jwk" });
    expect(code({ jwk: { x, y }, signer: other.key })).toBe("COLLATERAL_MALFORMED");
    expect(outcome(verifyTokens(base.evidence, { now: base.now }, base.collateral))).toBe("CHAIN_UNTRUSTED");
  });

  it("may come with certificates above the pinned one, which prove nothing more", () => {
    const { leaf, intermediate, root } = base.certificates;
    const [key] = JSON.parse(base.jwks).keys;
    const pinned = (...chain: Uint8Array[]) => {
      const x5c = chain.map((each) => Buffer.from(each).toString("base64"));
      const jwks = [JSON.stringify({ keys: [{ ...key, x5c }] })];
      const options = { now: base.now, roots: { nvidiaNras: [intermediate] } };
      return outcome(verifyTokens(base.evidence, options, { nras: { jwks } }));
    };
    expect(pinned(leaf)).toBe("ok");
    expect(pinned(leaf, intermediate)).toBe("ok");
    expect(pinned(leaf, intermediate, root)).toBe("ok");
    expect(pinned(leaf, root)).toBe("CHAIN_UNTRUSTED");
    expect(pinned(intermediate)).toBe("CHAIN_INCOMPLETE");
  });

  it("has a certificate that may sign, in force, from a CA in force", () => {
    expect(code({ leaf: { keyUsage: ["keyAgreement"] } })).toBe("CHAIN_CONSTRAINTS");
    expect(code({ leaf: { ca: true, keyUsage: ["keyCertSign", "digitalSignature"] } })).toBe("CHAIN_CONSTRAINTS");
    expect(code({ intermediate: { ca: false } })).toBe("CHAIN_CONSTRAINTS");
    expect(code({ intermediate: { keyUsage: ["digitalSignature"] } })).toBe("CHAIN_CONSTRAINTS");
    const { now } = base;
    const [notBefore, notAfter] = [now - 30, now + 30];
    for (const who of ["leaf", "intermediate"] as const) {
      const at = (time: number) => code({ [who]: { notBefore, notAfter } }, time);
      expect([notBefore - 1, notBefore, notAfter, notAfter + 1].map(at)).toEqual([
        "NOT_YET_VALID",
        "ok",
        "ok",
        "EXPIRED",
      ]);
    }
    expect(run({ leaf: { notAfter } })).toMatchObject({ validUntil: notAfter });
  });

  it("is a key of P-384 for ES384, once in its set", () => {
    for (const jwk of [
      { kty: "RSA" },
      { crv: "P-256" },
      { use: "enc" },
      { alg: "ES256" },
      { x: "AA" },
      { y: 1 },
      { x: base.key.publicKey.export({ format: "jwk" }).y },
    ]) {
      expect(code({ jwk }), JSON.stringify(jwk)).toBe("COLLATERAL_MALFORMED");
    }
    expect(code({ jwk: { use: undefined, alg: undefined } })).toBe("ok");
    expect(code({ jwk: { kid: "another" } })).toBe("COLLATERAL_MISSING");
    expect(code({ jwk: { kid: undefined } })).toBe("COLLATERAL_MALFORMED");
    const [key] = JSON.parse(base.jwks).keys;
    const twice = JSON.stringify({ keys: [key, key] });
    const sets = (...jwks: string[]) =>
      outcome(verifyTokens(base.evidence, { now: base.now, roots: base.roots }, { nras: { jwks } }));
    expect(sets(twice)).toBe("COLLATERAL_MALFORMED");
    expect(sets(base.jwks, base.jwks)).toBe("ok");
    expect(sets(...Array.from({ length: 65 }, () => base.jwks))).toBe("COLLATERAL_MALFORMED");
  });
});

describe("a token's claims", () => {
  const { now } = base;

  it("name the service", () => {
    expect(code({ issuer: "https://nras.attestation.nvidia.com.example.com" })).toBe("TOKEN_CLAIMS");
    expect(code({ claims: { iss: undefined } })).toBe("TOKEN_CLAIMS");
    expect(code({ claims: { iss: [ISSUER] } })).toBe("TOKEN_CLAIMS");
    expect(code({ devices: { "GPU-0": { iss: "https://example.com" } } })).toBe("TOKEN_CLAIMS");
    expect(code({ claims: { sub: "SOMETHING-ELSE" } })).toBe("TOKEN_CLAIMS");
  });

  it("name times as whole seconds, and hold within them", () => {
    for (const name of ["exp", "nbf", "iat"]) {
      for (const value of [undefined, null, "1780000000", 1.5, -1, 0, 1e300, true, [now]]) {
        expect(code({ claims: { [name]: value } }), `${name} ${value}`).toBe("TOKEN_CLAIMS");
      }
    }
    expect(code({ claims: { exp: now } })).toBe("EXPIRED");
    expect(code({ claims: { exp: now + 1 } })).toBe("ok");
    expect(code({ claims: { nbf: now + 1 } })).toBe("NOT_YET_VALID");
    expect(code({ claims: { iat: now + 1 } })).toBe("NOT_YET_VALID");
    expect(code({ claims: { nbf: now, iat: now } })).toBe("ok");
    expect(code({ claims: { exp: now - 60 } })).toBe("TOKEN_CLAIMS");
    expect(code({ devices: { "GPU-0": { exp: now } } })).toBe("EXPIRED");
    expect(run({ devices: { "GPU-0": { exp: now + 5 } } })).toMatchObject({ validUntil: now + 4 });
  });

  it("have one nonce for all devices", () => {
    const nonce = new Uint8Array(32).fill(9);
    expect(run({ nonce })).toMatchObject({ claims: { nonce: `0x${"09".repeat(32)}` } });
    expect(code({ devices: { "GPU-0": { eat_nonce: "aa".repeat(32) } } })).toBe("NONCE_MISMATCH");
    expect(code({ devices: { "GPU-0": { eat_nonce: undefined } } })).toBe("NONCE_MISMATCH");
    // Only a token that says why it has none may lack one, and only where the result is false.
    const error = { eat_nonce: undefined, "x-nvidia-error-details": { code: 4010 } };
    expect(code({ devices: { "GPU-0": error } })).toBe("NONCE_MISMATCH");
    expect(code({ devices: { "GPU-0": error }, overallResult: false })).toBe("ATTESTATION_REFUSED");
    expect(code({ devices: { "GPU-0": { eat_nonce: undefined } }, overallResult: false })).toBe("NONCE_MISMATCH");
    for (const eat_nonce of [undefined, null, "", "xx", "a".repeat(63), 5, ["aa".repeat(32)], "aa".repeat(65)]) {
      expect(code({ claims: { eat_nonce } }), String(eat_nonce)).toBe("TOKEN_CLAIMS");
    }
  });

  it("have a result, which is true or false", () => {
    expect(code({ overallResult: false })).toBe("ATTESTATION_REFUSED");
    for (const value of [undefined, null, "true", 1]) {
      expect(code({ claims: { "x-nvidia-overall-att-result": value } })).toBe("TOKEN_CLAIMS");
    }
  });

  it("name each device by the digest of its token", () => {
    const submods = (value: unknown) => code({ claims: { submods: value } });
    const digest = createHash("sha256").update(base.evidence.devices["GPU-0"]!).digest("hex");
    for (const value of [
      undefined,
      [],
      {},
      { "GPU-0": digest },
      { "GPU-0": ["DIGEST", ["SHA-1", digest.slice(24)]] },
      { "GPU-0": ["DIGEST", ["SHA-256", digest, "more"]] },
      { "GPU-0": ["DIGEST", ["SHA-256", digest], 1] },
      { "GPU-0": ["TOKEN", ["SHA-256", digest]] },
      { "GPU-0": ["DIGEST", ["SHA-256", digest.toUpperCase()]] },
      { "GPU-0": ["DIGEST", ["SHA-256", 5]] },
      { "GPU 0": ["DIGEST", ["SHA-256", digest]] },
      { "__proto__ ": ["DIGEST", ["SHA-256", digest]] },
      Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`GPU-${i}`, ["DIGEST", ["SHA-256", digest]]])),
    ]) {
      expect(submods(value), JSON.stringify(value)).toBe("TOKEN_CLAIMS");
    }
    expect(code({ digests: { "GPU-0": digest } })).toBe("TOKEN_CLAIMS");
    expect(run({ devices: { "GPU-1": {}, "GPU-0": {}, "SWITCH-0": {} } })).toMatchObject({
      claims: { devices: [{ name: "GPU-0" }, { name: "GPU-1" }, { name: "SWITCH-0" }] },
    });
  });

  it("are plain data that a verdict can hold", () => {
    expect(code({ devices: { "GPU-0": { temperature: 36.6 } } })).toBe("TOKEN_CLAIMS");
    expect(code({ devices: { "GPU-0": { nested: { list: [1, 2 ** 60] } } } })).toBe("TOKEN_CLAIMS");
    expect(run({ devices: { "GPU-0": { nested: { list: [1, null, true] } } } })).toMatchObject({
      claims: { devices: [{ claims: { nested: { list: [1, null, true] } } }] },
    });
    const verification = run({ devices: { "GPU-0": { zz: 1, aa: 2 } } });
    const names = verification.ok ? Object.keys(verification.claims.devices[0]!.claims) : [];
    expect(names).toEqual(names.toSorted());
  });

  it("last as long as the shortest of what they stand on", () => {
    expect(run()).toMatchObject({ validFrom: now - 60, validUntil: now + 3539 });
    expect(run({ expiresAt: now + 10 * DAY })).toMatchObject({ validUntil: now + DAY });
  });
});

/**
 * `jose` is not used for verification because it is asynchronous. It reads tokens as we do, but for what it lets pass and
 * we do not: base64url whose last character has bits that nobody needs, and header parameters that are not critical.
 */
describe("beside jose", () => {
  const joseSays = async (token: string, jwks: string, now: number) => {
    try {
      const keys = createLocalJWKSet(JSON.parse(jwks));
      await jwtVerify(token, keys, { algorithms: ["ES384"], issuer: ISSUER, currentDate: new Date(now * 1000) });
      return true;
    } catch {
      return false;
    }
  };
  const lab = (options: NrasOptions) => {
    const { evidence, jwks, roots } = nrasAnswer(options);
    return {
      token: evidence.overall,
      jwks,
      ours: (at: number) => outcome(verifyTokens(evidence, { now: at, roots }, { nras: { jwks: [jwks] } })),
    };
  };

  it.skipIf(VECTORS === undefined)("recorded tokens are valid to both, and at the same times", async () => {
    for (const each of recorded) {
      const { evidence, collateral, jwks } = answer(each.id);
      const { iat, exp } = parseJws(evidence.overall, "a token").payload as { iat: number; exp: number };
      for (const now of [iat - 1, iat, timeOf(each), exp - 1, exp, exp + 1]) {
        // jose looks at no claims of NVIDIA's: what they say is refused after all that it looks at.
        const ours = ["ok", "ATTESTATION_REFUSED"].includes(outcome(verifyTokens(evidence, { now }, collateral)));
        const theirs = await Promise.all(
          [evidence.overall, ...Object.values(evidence.devices)].map((token) => joseSays(token, jwks, now)),
        );
        expect(theirs.every(Boolean), `${each.id} at ${now}`).toBe(ours);
      }
    }
  });

  it.skipIf(VECTORS === undefined)("changed tokens are refused by both", async () => {
    const { evidence, collateral, jwks } = answer(good.id);
    const now = timeOf(good);
    const { overall } = evidence;
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    await fc.assert(
      fc.asyncProperty(
        fc.nat(overall.length - 1),
        fc.constantFrom(...alphabet, ".", "=", ""),
        async (at, character) => {
          const token = overall.slice(0, at) + character + overall.slice(at + 1);
          fc.pre(token !== overall);
          const ours = outcome(verifyTokens({ ...evidence, overall: token }, { now }, collateral));
          expect(ours).not.toBe("ok");
          const lastOfPart = overall[at + 1] === "." || at + 1 === overall.length;
          if (await joseSays(token, jwks, now)) expect(lastOfPart).toBe(true);
        },
      ),
      { numRuns: 150, seed: 7 },
    );
  });

  it("forged tokens are judged alike", async () => {
    const { now } = base;
    for (const options of [
      {},
      { header: { alg: "none" } },
      { header: { alg: "ES256" } },
      { header: { alg: "HS384" } },
      { header: { crit: ["b64"], b64: false } },
      { header: { kid: "unknown" } },
      { signer: makeKey("P-384") },
      { issuer: "https://example.com" },
      { claims: { exp: now } },
      { claims: { exp: now + 1 } },
      { claims: { nbf: now + 1 } },
      { claims: { nbf: "1" } },
      { claims: { exp: "4000000000" } },
    ] satisfies NrasOptions[]) {
      const { token, jwks, ours } = lab(options);
      expect(await joseSays(token, jwks, now), JSON.stringify(options)).toBe(ours(now) === "ok");
    }
  });

  it("we refuse more", async () => {
    const { now } = base;
    for (const options of [
      // A key beside the token, ignored by jose where it is not critical.
      { header: { jku: "https://example.com/jwks.json" } },
      { header: { unknown: 1 } },
      // No time at all is no limit to jose.
      { claims: { exp: undefined } },
      { claims: { iat: now + 1000 } },
      // A certificate that is not the key's, or has expired.
      { jwk: { x5c: [] } },
      { leaf: { notAfter: now - 1 } },
      { claims: { submods: {} } },
    ] satisfies NrasOptions[]) {
      const { token, jwks, ours } = lab(options);
      expect(await joseSays(token, jwks, now), JSON.stringify(options)).toBe(true);
      expect(ours(now), JSON.stringify(options)).not.toBe("ok");
    }
  });
});

it("evidence without tokens is refused, not tripped over", () => {
  const { collateral, roots, now } = base;
  for (const overall of ["", ".", "..", "...", "a", "\ud800"]) {
    const verification = verifyTokens({ kind: "nras", overall, devices: {} }, { now, roots }, collateral);
    expect(outcome(verification)).toBe("TOKEN_MALFORMED");
  }
  expect(outcomeOf(() => parseJws("é.é.é", "a token"))).toBe("TOKEN_MALFORMED");
});
