/** What the laboratory's writer and CA make: read back by the strict reader, and by node:crypto. */
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifyWith } from "../../../src/tee/context.js";
import {
  type CertificateOptions,
  cachedKey,
  DAY,
  LAB_NOW,
  type LabKey,
  makeCertificate,
  makeCrl,
  makeKey,
  rawPoint,
  signBytes,
  YEAR,
} from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { Der } from "../../../src/tee/read/der.js";
import {
  parseCertificate,
  parseCrl,
  parsePem,
  rawEcKey,
  requireUnrevoked,
  verifyChain,
  verifyCrl,
  verifySignature,
} from "../../../src/tee/x509.js";

const parse = (bytes: Uint8Array) => Der.parse(bytes, "CERT_MALFORMED");

describe("the writer of DER", () => {
  it("writes integers that the strict reader reads back", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), (value) => {
        expect(parse(der.integer(value)).integer("it")).toBe(value);
      }),
    );
  });

  it("writes identifiers, lengths and strings that the strict reader reads back", () => {
    for (const oid of [
      "1.2.840.113741.1.13.1.2.18",
      "2.23.133.5.4.1",
      "2.5.29.19",
      "1.3.6.1.4.1.3704.1.3.1",
      "0.9.2342",
    ]) {
      expect(parse(der.oid(oid)).oid("it")).toBe(oid);
    }
    for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536]) {
      expect(parse(der.octetString(new Uint8Array(length))).octets("it")).toHaveLength(length);
    }
    expect(parse(der.utf8String("Zürich")).text("it")).toBe("Zürich");
    expect(parse(der.namedBits([0, 5, 6])).bits("it")).toEqual([true, false, false, false, false, true, true]);
    expect(parse(der.namedBits([])).bits("it")).toEqual([]);
    expect(parse(der.boolean(true)).boolean("it")).toBe(true);
    expect(
      parse(der.explicit(3, der.integer(7)))
        .inside()
        .small("it"),
    ).toBe(7);
  });

  it("writes times as RFC 5280 wants them, on both sides of 2050", () => {
    for (const seconds of [0, LAB_NOW, 2524607999, 2524608000, 253402300799]) {
      expect(parse(der.time(seconds)).time("it")).toBe(seconds);
    }
    expect(parse(der.time(2524607999)).tag).toBe(0x17);
    expect(parse(der.time(2524608000)).tag).toBe(0x18);
  });

  it("sorts what a SET OF holds", () => {
    expect(der.set(der.integer(2), der.integer(1))).toEqual(der.set(der.integer(1), der.integer(2)));
  });
});

const rootKey = makeKey("P-256");
const middleKey = makeKey("P-256");
const leafKey = makeKey("P-256");

/** A chain of three, each of whose certificates can be told to be otherwise. */
function chain(changes: { root?: object; middle?: object; leaf?: object } = {}) {
  const root: CertificateOptions = {
    subject: { CN: "Lab Root", C: "US" },
    key: rootKey,
    ca: true,
    keyUsage: ["keyCertSign", "cRLSign"],
    ...changes.root,
  };
  const middle: CertificateOptions = {
    subject: { CN: "Lab CA" },
    issuer: root.subject,
    key: middleKey,
    issuerKey: rootKey,
    serial: 2,
    ca: true,
    pathLength: 0,
    keyUsage: ["keyCertSign", "cRLSign"],
    ...changes.middle,
  };
  const leaf: CertificateOptions = {
    subject: { CN: "Lab Leaf" },
    issuer: middle.subject,
    key: leafKey,
    issuerKey: middleKey,
    serial: 3,
    ca: false,
    keyUsage: ["digitalSignature"],
    ...changes.leaf,
  };
  return { root: makeCertificate(root), certificates: [leaf, middle].map((each) => makeCertificate(each)) };
}

function failure(changes: Parameters<typeof chain>[0], now = LAB_NOW): string {
  const { root, certificates } = chain(changes);
  const result = verifyWith(
    () => root,
    { now },
    (context) => {
      const given = certificates.map((each) => parseCertificate(each));
      verifyChain(context, given, { id: "lab", what: "leaf", roots: [root] });
      return { debug: false } as never;
    },
  );
  return result.ok ? "ok" : result.failure.code;
}

describe("certificates", () => {
  it("say what they were told to say", () => {
    const extension = { oid: "1.2.3.4", critical: true, value: der.integer(5) };
    const made = makeCertificate({
      subject: { CN: "Leaf", O: "Lab", C: "US" },
      issuer: { CN: "CA" },
      key: leafKey,
      issuerKey: middleKey,
      serial: 0xff00n,
      notBefore: 1_000_000_000,
      notAfter: 4_000_000_000,
      ca: true,
      pathLength: 3,
      keyUsage: ["keyCertSign"],
      extensions: [extension],
      algorithm: "ecdsa-sha384",
    });
    const read = parseCertificate(made);
    expect(read.subject.text).toBe("CN=Leaf, O=Lab, C=US");
    expect(read.issuer.commonName).toBe("CA");
    expect(read.serial).toBe("00ff00");
    expect([read.notBefore, read.notAfter]).toEqual([1_000_000_000, 4_000_000_000]);
    expect(read.basicConstraints).toEqual({ ca: true, pathLength: 3 });
    expect(read.keyUsage).toEqual([false, false, false, false, false, true]);
    expect(read.extensions.get("1.2.3.4")).toEqual({ critical: true, value: extension.value });
    expect(read.signature.algorithm).toEqual({ kind: "ecdsa", hash: "sha384" });
    expect(read.spki).toEqual(leafKey.spki);
    expect(new X509Certificate(made).verify(middleKey.publicKey)).toBe(true);
    expect(new X509Certificate(made).verify(leafKey.publicKey)).toBe(false);
  });

  it("leave out what they were not told to say", () => {
    const read = parseCertificate(makeCertificate({ subject: { CN: "Bare" }, key: leafKey }));
    expect(read.basicConstraints).toBeUndefined();
    expect(read.keyUsage).toBeUndefined();
    expect(read.extensions.size).toBe(0);
    expect(() => parseCertificate(makeCertificate({ subject: { CN: "Old" }, key: leafKey, version: 1 }))).toThrow(
      "not of version 3",
    );
  });

  it("are signed with every algorithm, by every kind of key", () => {
    const keys: [LabKey, CertificateOptions["algorithm"]][] = [
      [makeKey("P-256"), undefined],
      [makeKey("P-384"), undefined],
      [makeKey("P-256"), "ecdsa-sha512"],
      [cachedKey("RSA-2048", "test"), undefined],
      [cachedKey("RSA-2048", "test"), "rsa-sha256"],
      [cachedKey("RSA-2048", "test"), "rsa-sha384"],
      [cachedKey("RSA-2048", "test"), "rsa-pss-sha256"],
    ];
    for (const [key, algorithm] of keys) {
      const made = makeCertificate({ subject: { CN: "Self" }, key, ...(algorithm ? { algorithm } : {}) });
      const { signature, tbs } = parseCertificate(made);
      expect(verifySignature(signature.algorithm, key.publicKey, tbs, signature.value)).toBe(true);
      expect(verifySignature(signature.algorithm, key.publicKey, tbs.slice(1), signature.value)).toBe(false);
      expect(new X509Certificate(made).verify(key.publicKey)).toBe(true);
    }
    expect(cachedKey("RSA-2048", "test")).toBe(cachedKey("RSA-2048", "test"));
  });

  it("come back from PEM", () => {
    const made = makeCertificate({ subject: { CN: "PEM" }, key: leafKey });
    expect(parsePem(der.pem(made) + der.pem(made))).toEqual([made, made]);
  });

  it("chain, and each way not to chain is its own", () => {
    const unknown = [{ oid: "1.2.3.4", critical: true, value: der.integer(5) }];
    const nobody = makeKey("P-256");
    expect(failure({})).toBe("ok");
    expect(failure({ middle: { ca: undefined, pathLength: undefined } })).toBe("CHAIN_CONSTRAINTS");
    expect(failure({ middle: { ca: false, pathLength: undefined } })).toBe("CHAIN_CONSTRAINTS");
    expect(failure({ root: { pathLength: 0 } })).toBe("CHAIN_CONSTRAINTS");
    expect(failure({ middle: { keyUsage: ["digitalSignature"] } })).toBe("CHAIN_CONSTRAINTS");
    expect(failure({ leaf: { keyUsage: ["keyCertSign"] } })).toBe("CHAIN_CONSTRAINTS");
    expect(failure({ leaf: { ca: true } })).toBe("CHAIN_CONSTRAINTS");
    expect(failure({ leaf: { extensions: unknown } })).toBe("CHAIN_CONSTRAINTS");
    expect(failure({ leaf: { issuer: { CN: "Lab CA " } } })).toBe("CHAIN_ISSUER");
    expect(failure({ leaf: { issuerKey: nobody } })).toBe("CHAIN_SIGNATURE");
    expect(failure({ middle: { issuerKey: nobody } })).toBe("CHAIN_SIGNATURE");
    expect(failure({ leaf: { notAfter: LAB_NOW - 1 } })).toBe("EXPIRED");
    expect(failure({ leaf: { notBefore: LAB_NOW + 1 } })).toBe("NOT_YET_VALID");
    expect(failure({}, LAB_NOW + 8 * YEAR)).toBe("EXPIRED");
  });
});

describe("revocation lists", () => {
  it("say what they were told to say, and are signed", () => {
    const made = makeCrl({
      issuer: { CN: "Lab CA" },
      issuerKey: middleKey,
      revoked: [3, { serial: 0x80n, at: LAB_NOW - YEAR }],
      number: 42,
      nextUpdate: LAB_NOW + DAY,
    });
    const read = parseCrl(made);
    expect(read.issuer.commonName).toBe("Lab CA");
    expect([read.thisUpdate, read.nextUpdate, read.number]).toEqual([LAB_NOW - DAY, LAB_NOW + DAY, 42n]);
    expect([...read.revoked]).toEqual([
      ["03", LAB_NOW - DAY],
      ["0080", LAB_NOW - YEAR],
    ]);
    const { certificates } = chain();
    const [leaf, middle] = certificates.map((each) => parseCertificate(each));
    const result = verifyWith(
      () => made,
      { now: LAB_NOW },
      (context) => {
        verifyCrl(context, read, middle!, { id: "lab", kind: "lab.crl", what: "list" });
        requireUnrevoked(context, read, leaf!, "lab");
        return { debug: false } as never;
      },
    );
    expect(result).toMatchObject({ ok: false, failure: { code: "CERT_REVOKED" } });
    expect(result.checks.map(({ outcome }) => outcome)).toEqual(["pass", "fail"]);
  });

  it("can be empty, and can be unreadable on purpose", () => {
    expect(parseCrl(makeCrl({ issuer: { CN: "CA" }, issuerKey: middleKey })).revoked.size).toBe(0);
    const delta = { oid: "2.5.29.27", critical: true, value: der.integer(1) };
    const made = makeCrl({ issuer: { CN: "CA" }, issuerKey: middleKey, extensions: [delta] });
    expect(() => parseCrl(made)).toThrow("critical extension 2.5.29.27");
  });
});

describe("keys", () => {
  it("are the points that they are written as", () => {
    for (const kind of ["P-256", "P-384"] as const) {
      const key = makeKey(kind);
      const point = rawPoint(key);
      const half = point.length / 2;
      const read = rawEcKey(kind, point.subarray(0, half), point.subarray(half), "QUOTE_SIGNATURE");
      const message = new Uint8Array([1, 2, 3]);
      const signature = signBytes(key, message, "ieee-p1363");
      const algorithm = { kind: "ecdsa", hash: kind === "P-256" ? "sha256" : "sha384" } as const;
      expect(signature).toHaveLength(2 * half);
      expect(verifySignature(algorithm, read, message, signature, "ieee-p1363")).toBe(true);
    }
  });
});
