/** The laboratory's GPUs and switches, their manifests and the answers about their certificates: laid out as specified. */
import { createHash, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../../src/field/bytes.js";
import { cachedKey, LAB_NOW, makeCertificate, makeKey } from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { nrasAnswer } from "../../../src/tee/lab/nras.js";
import { GOLDEN, type NvidiaOptions, nvidiaDevice, nvidiaDevices } from "../../../src/tee/lab/nvidia.js";
import { makeOcsp, OCSP_RESPONDER } from "../../../src/tee/lab/ocsp.js";
import { makeRim } from "../../../src/tee/lab/rim.js";
import { readDice } from "../../../src/tee/nvidia/device.js";
import { isAbout, parseOcspResponse } from "../../../src/tee/nvidia/ocsp.js";
import { outlineRim } from "../../../src/tee/nvidia/rim.js";
import { parseSpdmReport } from "../../../src/tee/nvidia/spdm.js";
import { isSigned, parseCertificate, verifySignature } from "../../../src/tee/x509.js";

const ES384 = { kind: "ecdsa", hash: "sha384" } as const;
/** Without collateral, which takes time to sign. */
const bare = (options: NvidiaOptions = {}) => nvidiaDevice({ rims: false, ocsp: false, ...options });
const report = (options: NvidiaOptions) => parseSpdmReport(bare(options).report);
const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("latin1").replace(/\0+$/, "");

describe("devices", () => {
  it("sign their reports, all the way up to the root", () => {
    const { report: bytes, certificates, roots } = bare();
    const { signed, signature } = parseSpdmReport(bytes);
    const chain = certificates.map((each) => parseCertificate(each));
    expect(chain).toHaveLength(5);
    expect(verifySignature(ES384, chain[0]!.key, signed, signature, "ieee-p1363")).toBe(true);
    chain.slice(1).forEach((issuer, i) => {
      expect(isSigned(chain[i]!, issuer)).toBe(true);
      expect(chain[i]!.issuer.der).toEqual(issuer.subject.der);
    });
    expect(roots.nvidiaDevice).toEqual([certificates[4]]);
  });

  it("say what they were told to say", () => {
    const { nonce, blocks, responseNonce, opaque } = report({
      nonce: [1],
      responseNonce: [2],
      blocks: { 3: [9, 9], 64: undefined, 65: [7] },
      driver: "1.2.3",
      vbios: "96.00.A5.00.01",
      opaque: { 11: undefined, 99: [5] },
    });
    expect([nonce[0], responseNonce[0]]).toEqual([1, 2]);
    expect(blocks.get(3)).toEqual(Uint8Array.of(9, 9));
    expect([...blocks.keys()]).toEqual([...Array.from({ length: 63 }, (_, i) => i + 1), 65]);
    expect(text(opaque.get(3))).toBe("1.2.3");
    expect(toHex(opaque.get(6)!)).toBe("0x00a5009601000000");
    expect(opaque.has(11)).toBe(false);
    expect(opaque.get(99)).toEqual(Uint8Array.of(5));
    expect(opaque.get(20)).toHaveLength(48);
  });

  it("have their firmware's digest in the certificate, in either form, or another, or none", () => {
    const dice = (options: NvidiaOptions) => readDice(parseCertificate(bare(options).certificates[0]!));
    const own = new Uint8Array(48).fill(3);
    const other = new Uint8Array(48).fill(4);
    expect(dice({ fwid: own })).toEqual({ fwid: own, flags: [] });
    expect(dice({ fwid: own, certificateFwid: other })?.fwid).toEqual(other);
    expect(dice({ fwid: own, dice: { form: "tcb-info", flags: [3] } })).toEqual({ fwid: own, flags: ["debug"] });
    expect(dice({ certificateFwid: null })).toBeUndefined();
    expect(report({ fwid: null, certificateFwid: own }).opaque.has(20)).toBe(false);
    expect(dice({ fwid: null, certificateFwid: own })?.fwid).toEqual(own);
  });

  it("can be spoilt", () => {
    const spoilt = bare({ signer: makeKey("P-384") });
    const { signed, signature } = parseSpdmReport(spoilt.report);
    const { key } = parseCertificate(spoilt.certificates[0]!);
    expect(verifySignature(ES384, key, signed, signature, "ieee-p1363")).toBe(false);
    expect(() => report({ edit: (bytes) => bytes.with(0, 0x12) })).toThrow("version 0x12");
    expect(() => report({ padding: Uint8Array.of(0) })).toThrow("followed by 1 bytes");
    const [leaf] = bare({ chain: { 0: { ca: true }, 2: { subject: { CN: "Other" } } } }).certificates;
    expect(parseCertificate(leaf!).basicConstraints?.ca).toBe(true);
  });

  it("are several of one vendor, each with a key and serial numbers of its own", () => {
    const devices = nvidiaDevices([{}, {}, {}].map((each) => ({ ...each, rims: false, ocsp: false })));
    const leaves = devices.map(({ certificates }) => parseCertificate(certificates[0]!));
    expect(new Set(leaves.map(({ serial }) => serial)).size).toBe(3);
    expect(new Set(leaves.map(({ spki }) => toHex(spki))).size).toBe(3);
    const cas = devices.map(({ certificates }) => toHex(parseCertificate(certificates[4]!).spki));
    expect(new Set(cas).size).toBe(1);
  });
});

describe("manifests", () => {
  const device = nvidiaDevice();

  it("are of the report's versions, and have its measurements at the index below", () => {
    const outline = outlineRim(device.rims.driver!);
    expect(outline).toMatchObject({ device: "GPU", product: "GH100", part: "driver", version: "580.95.05" });
    expect(outlineRim(device.rims.vbios!)).toMatchObject({ part: "vbios", version: "96.00.74.00.20" });
    expect(outline.certificates.map(({ der: bytes }) => bytes)).toEqual(device.rimCertificates);
    for (const index of GOLDEN.driver) {
      const value = Buffer.from(device.blocks.get(index + 1)!).toString("hex");
      expect(device.rims.driver).toContain(`index="${index}" active="True" alternatives="1" ns2:Hash0="${value}"`);
    }
    expect(device.rims.driver).toContain('index="62" active="False"');
    expect(nvidiaDevice({ device: "NVSwitch" }).rims.driver).toBeUndefined();
  });

  it("say what they were told to say", () => {
    const changes = {
      version: "9.9",
      golden: { 7: [new Uint8Array(48), new Uint8Array(48).fill(1)], 40: undefined, 5: [new Uint8Array(48).fill(5)] },
      meta: { edition: "OTHER", revision: undefined },
      delivered: (xml: string) => xml.replace("GH100", "GH200"),
    };
    const { rims } = nvidiaDevice({ rims: { driver: changes, vbios: false } });
    expect(rims.vbios).toBeUndefined();
    expect(rims.driver).toContain('colloquialVersion="9.9" edition="OTHER" product="GH100"');
    expect(rims.driver).toContain('name="GH200"');
    expect(rims.driver).not.toContain("revision");
    expect(rims.driver).toContain('index="7" active="True" alternatives="2"');
    expect(rims.driver).toContain('index="5" active="True"');
    expect(rims.driver).not.toContain('index="40"');
    expect(nvidiaDevice({ rims: false }).collateral.nvidia!.rims).toEqual([]);
  });

  it("are signed over the canonical document, which this one is already", () => {
    const key = makeKey("P-384");
    const xml = makeRim({ product: "P", edition: "GPU", version: "1", golden: {}, key, chain: [] });
    const [before, after] = xml.split("<ds:Signature ");
    const digest = /<ds:DigestValue>(.*?)</.exec(after!)![1];
    // Canonical: no element in one tag, and attributes of the root in the order of their names.
    const canonical = `${before}</SoftwareIdentity>`.replace(/<([\w:]+)( [^<>]*)?\/>/g, "<$1$2></$1>");
    const sorted = canonical.replace(/<ns0:Meta ([^>]*)>/, (_, attributes: string) => {
      const each = attributes.match(/[\w:]+="[^"]*"/g)!;
      const rank = (name: string) => (name.startsWith("xmlns") ? 0 : name.startsWith("ns1:") ? 2 : 1);
      each.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
      return `<ns0:Meta ${each.join(" ")}>`;
    });
    expect(createHash("sha384").update(sorted).digest("base64")).toBe(digest);
  });
});

describe("answers about certificates", () => {
  const issuerKey = makeKey("P-384");
  const issuer = { CN: "Lab CA" };
  const subject = { CN: "Responder" };
  const key = makeKey("P-384");
  const responder = { subject, key };
  const ca = parseCertificate(makeCertificate({ subject: issuer, key: issuerKey, ca: true }));
  const leaf = parseCertificate(
    makeCertificate({ subject: { CN: "leaf" }, issuer, key: makeKey("P-384"), issuerKey, serial: 77 }),
  );
  const another = parseCertificate(
    makeCertificate({ subject: { CN: "leaf" }, issuer, key: makeKey("P-384"), issuerKey, serial: 78 }),
  );

  it("say what they were told to say", () => {
    const certificate = makeCertificate({ ...responder, issuer, issuerKey, ...OCSP_RESPONDER });
    for (const status of ["good", "hold", "revoked", "unknown"] as const) {
      for (const hash of ["sha1", "sha256", "sha384"] as const) {
        const entry = { issuer, issuerKey, serial: 77, status, hash };
        const read = parseOcspResponse(makeOcsp({ entries: [entry], responder, certificates: [certificate] }));
        expect(read.singles[0]).toMatchObject({
          status,
          thisUpdate: LAB_NOW - 86400,
          nextUpdate: LAB_NOW + 29 * 86400,
        });
        expect(isAbout(read.singles[0]!, leaf, ca)).toBe(true);
        expect(isAbout(read.singles[0]!, another, ca)).toBe(false);
        expect(read.certificates[0]!.der).toEqual(certificate);
        expect(verifySignature(read.algorithm, key.publicKey, read.tbs, read.signature)).toBe(true);
      }
    }
  });

  it("name the responder by its key, are about several, know no next time, or are errors", () => {
    const entries = [
      { issuer, issuerKey, serial: 1, nextUpdate: null },
      { issuer, issuerKey, serial: 2, status: "revoked" },
    ] as const;
    const read = parseOcspResponse(makeOcsp({ entries, responder, byKey: true, producedAt: LAB_NOW }));
    expect(read.singles.map(({ serial, status }) => [serial, status])).toEqual([
      ["01", "good"],
      ["02", "revoked"],
    ]);
    expect(read.producedAt).toBe(LAB_NOW);
    const keyHash = createHash("sha1").update(ca.spki.subarray(-97)).digest();
    const byIssuer = makeOcsp({ entries, responder: { subject: issuer, key: issuerKey }, byKey: true });
    expect(Buffer.from((parseOcspResponse(byIssuer).responder as { keyHash: Uint8Array }).keyHash)).toEqual(keyHash);
    expect(() => parseOcspResponse(makeOcsp({ entries, responder, responseStatus: 3 }))).toThrow("try later");
  });

  it("hash RSA keys of both lengths without their algorithm", () => {
    const rsa = cachedKey("RSA-2048", "test");
    const issued = { issuer, issuerKey: rsa, serial: 77 };
    const self = parseCertificate(makeCertificate({ subject: issuer, key: rsa, ca: true }));
    const read = parseOcspResponse(makeOcsp({ entries: [issued], responder }));
    expect(isAbout(read.singles[0]!, leaf, self)).toBe(true);
    expect(isAbout(read.singles[0]!, leaf, ca)).toBe(false);
  });
});

describe("answers of an attestation service", () => {
  const decode = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
  const read = (token: string) => {
    const [header, claims, signature] = token.split(".") as [string, string, string];
    const content = utf8(`${header}.${claims}`);
    return { header: decode(header), claims: decode(claims), content, signature: Buffer.from(signature, "base64url") };
  };

  it("are signed by the key of the set, whose certificate chains", () => {
    const { evidence, jwks, certificates, roots } = nrasAnswer();
    const { keys } = JSON.parse(jwks) as { keys: { kid: string; x5c: string[] }[] };
    const [leaf, intermediate] = keys[0]!.x5c.map((each) => parseCertificate(Buffer.from(each, "base64")));
    expect(isSigned(leaf!, intermediate!)).toBe(true);
    expect(isSigned(intermediate!, parseCertificate(certificates.root))).toBe(true);
    expect(roots.nvidiaNras).toEqual([certificates.root]);
    const { header, content, signature } = read(evidence.overall);
    expect(header).toEqual({ kid: keys[0]!.kid, alg: "ES384" });
    expect(verify("sha384", content, { key: leaf!.key, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
  });

  it("say what they were told to say", () => {
    const { evidence } = nrasAnswer({
      devices: { "GPU-0": { measres: "fail", secboot: undefined }, "GPU-1": {} },
      overallResult: false,
      nonce: "0x0102030405060708",
      issuedAt: 5,
      expiresAt: 6,
      issuer: "https://other",
      claims: { sub: undefined, extra: 1 },
      digests: { "GPU-1": "ab" },
      header: { typ: "JWT" },
      headers: { "GPU-0": { alg: "none" } },
      delivered: (token, name) => (name === "GPU-1" ? `${token}x` : token),
    });
    const overall = read(evidence.overall);
    expect(overall.claims).toMatchObject({
      "x-nvidia-overall-att-result": false,
      eat_nonce: "0102030405060708",
      iat: 5,
      exp: 6,
      iss: "https://other",
      extra: 1,
    });
    expect(overall.claims).not.toHaveProperty("sub");
    expect(overall.header).toMatchObject({ alg: "ES384", typ: "JWT" });
    const digest = createHash("sha256").update(evidence.devices["GPU-0"]!).digest("hex");
    expect(overall.claims["submods"]).toEqual({
      "GPU-0": ["DIGEST", ["SHA-256", digest]],
      "GPU-1": ["DIGEST", ["SHA-256", "ab"]],
    });
    const device = read(evidence.devices["GPU-0"]!);
    expect(device.header["alg"]).toBe("none");
    expect(device.claims["measres"]).toBe("fail");
    expect(device.claims).not.toHaveProperty("secboot");
    expect(evidence.devices["GPU-1"]!.endsWith("x")).toBe(true);
  });

  it("have key sets that can be changed", () => {
    const { jwks } = nrasAnswer({ jwk: { kid: "other", x5c: undefined } });
    expect(JSON.parse(jwks).keys[0]).toMatchObject({ kid: "other", kty: "EC" });
    expect(JSON.parse(jwks).keys[0]).not.toHaveProperty("x5c");
  });
});

it("PEM of what was made is PEM", () => {
  expect(der.pem(bare().certificates[0]!)).toMatch(/^-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END/);
});
