/**
 * Keys that OpenSSL takes and we do not. Some of them end the whole process when Node 20 is asked for their details, which fuzzing of
 * certificates found: an assertion in its C++ (`ec != nullptr`).
 */
import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readPublicKey } from "../../src/tee/keys.js";
import { filled } from "../../src/tee/lab/bytes.js";
import { makeCertificate, makeKey } from "../../src/tee/lab/certificates.js";
import * as der from "../../src/tee/lab/der.js";
import { describe as named, parseCertificate, requireKey } from "../../src/tee/x509.js";
import { code } from "../support/errors.js";

const EC = "1.2.840.10045.2.1";
const RSA = "1.2.840.113549.1.1.1";
const spki = (kind: string, parameters: Uint8Array, bits: Uint8Array) =>
  der.sequence(der.sequence(der.oid(kind), parameters), der.bitString(bits));
const read = (bytes: Uint8Array) => readPublicKey(bytes, "CERT_MALFORMED");
const exported = (key: { export(options: { type: "spki"; format: "der" }): Buffer }) =>
  new Uint8Array(key.export({ type: "spki", format: "der" }));
const rsa = (n: Uint8Array, e: number) => spki(RSA, der.nothing(), der.sequence(der.integer(n), der.integer(e)));
const odd = (bytes: number) => filled(0x7f, bytes);

describe("public keys", () => {
  it.each(["prime256v1", "secp384r1", "secp521r1"])("on %s are read", (namedCurve) => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve });
    const { kind, bits, key } = read(exported(publicKey));
    expect(key.asymmetricKeyType).toBe("ec");
    expect(kind).toBe(`P-${bits}`);
    expect(exported(key)).toEqual(exported(publicKey));
  });

  it("of RSA are read with their size", () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    expect(read(exported(publicKey))).toMatchObject({ kind: "RSA", bits: 2048 });
  });

  const point = exported(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey).slice(-65);
  it.each<[string, Uint8Array]>([
    ["a point called one of SM2", spki(EC, der.oid("1.2.156.10197.1.301"), point)],
    ["another curve", exported(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey)],
    [
      "a curve by its parameters",
      exported(generateKeyPairSync("ec", { namedCurve: "prime256v1", paramEncoding: "explicit" }).publicKey),
    ],
    ["a curve that follows from the issuer", spki(EC, der.nothing(), point)],
    ["Ed25519", exported(generateKeyPairSync("ed25519").publicKey)],
    ["X25519", exported(generateKeyPairSync("x25519").publicKey)],
    ["RSASSA-PSS", exported(generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).publicKey)],
    [
      "a point that is not on the curve",
      spki(EC, der.oid("1.2.840.10045.3.1.7"), Uint8Array.from([4, ...filled(1, 64)])),
    ],
    ["a compressed point", spki(EC, der.oid("1.2.840.10045.3.1.7"), Uint8Array.from([2, ...point.slice(1, 33)]))],
    ["a point of another curve's length", spki(EC, der.oid("1.3.132.0.34"), point)],
    ["the point at infinity", spki(EC, der.oid("1.2.840.10045.3.1.7"), Uint8Array.from([0]))],
    ["RSA of 1024 bits", rsa(odd(128), 65537)],
    ["RSA of 16384 bits", rsa(odd(2048), 65537)],
    ["an even modulus", rsa(filled(0x7e, 256), 65537)],
    ["exponent 1", rsa(odd(256), 1)],
    ["exponent 2", rsa(odd(256), 2)],
    ["nothing", new Uint8Array()],
    [
      "something behind it",
      Uint8Array.from([...exported(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey), 0]),
    ],
  ])("of no other kind: %s", (_, bytes) => {
    expect(() => read(bytes)).toThrow(code("CERT_MALFORMED"));
  });

  it("of certificates are of the kind that is asked for", () => {
    const key = makeKey("P-384");
    const made = makeCertificate({ subject: { CN: "leaf" }, issuer: { CN: "CA" }, key, issuerKey: key });
    const certificate = parseCertificate(made);
    expect(named(certificate)).toContain("leaf");
    requireKey(certificate, "P-384", "CHAIN_CONSTRAINTS");
    expect(() => requireKey(certificate, "P-256", "CHAIN_CONSTRAINTS")).toThrow(code("CHAIN_CONSTRAINTS"));
  });
});
