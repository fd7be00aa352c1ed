import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, toHex } from "../../../src/field/bytes.js";
import type { NitroClaims } from "../../../src/tee/claims.js";
import { type Authentic, type Verification, type VerifyOptions, verifyWith } from "../../../src/tee/context.js";
import { cachedKey, makeCertificate, makeCrl } from "../../../src/tee/lab/certificates.js";
import * as der from "../../../src/tee/lab/der.js";
import { parseNitroDocument } from "../../../src/tee/nitro/document.js";
import { verifyNitro } from "../../../src/tee/nitro/verify.js";
import { PINNED_ROOTS } from "../../../src/tee/roots.js";
import { parseCertificate } from "../../../src/tee/x509.js";
import { outcomeOf } from "../../support/errors.js";
import { cbor, head, type Item, pairs, raw, sign1, tagged } from "../cbor.js";
import { cases, VECTORS, vector, vectorText } from "../vectors.js";
import { CHAIN, fieldsOf, makeChain, makeDocument, NOW, nitroKey, nitroName, PCRS, ROOTS } from "./maker.js";

function verify(
  document: Uint8Array,
  options: Partial<VerifyOptions> = {},
  crls: readonly Uint8Array[] = [],
): Verification<NitroClaims> {
  return verifyWith(
    () => document,
    { now: NOW, roots: ROOTS, ...options },
    (context) => verifyNitro(context, { kind: "nitro", document }, { nitro: { crls } }),
  );
}

const codeOf = (verification: Verification) => (verification.ok ? "accepted" : verification.failure.code);
const outcome = (...args: Parameters<typeof verify>) => codeOf(verify(...args));
const failed = (verification: Verification) =>
  verification.checks.filter(({ outcome }) => outcome === "fail").map(({ id }) => id);
const accepted = (verification: Verification<NitroClaims>): Authentic<NitroClaims> => {
  if (!verification.ok) throw new Error(verification.failure.message);
  return verification;
};

describe.skipIf(VECTORS === undefined)("real documents", () => {
  const all = cases("nitro").filter(({ files }) => files.includes("doc.cose"));
  const real = ({ id }: { id: string }) => vector("nitro", id, "doc.cose");
  const at = ({ at }: { at?: number | string }) => Date.parse(String(at)) / 1000;
  const now = (now: number, more: Partial<VerifyOptions> = {}) => ({ now, roots: {}, ...more });
  const good = all.filter(({ expect }) => String(expect).startsWith("accept"));
  const EXPECTED: Record<string, string> = {
    "neg-debug-2025-dstack": "DEBUG_ENABLED",
    "neg-debug-2022-evervault": "DEBUG_ENABLED",
    "neg-tampered-signature": "COSE_SIGNATURE",
    "neg-custom-mock-root": "CHAIN_UNTRUSTED",
  };

  it("has an expectation for every case", () => {
    expect(good.length).toBeGreaterThanOrEqual(4);
    const rejected = all.filter((each) => !good.includes(each)).map(({ id }) => id);
    expect(rejected.sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  it.each(all.map((each) => [each.id, each] as const))("%s", (id, each) => {
    expect(outcome(real(each), now(at(each)))).toBe(EXPECTED[id] ?? "accepted");
  });

  it.each(good.map((each) => [each.id, each] as const))(
    "%s holds for its leaf's three hours, both ends included",
    (_, each) => {
      const document = real(each);
      const { validFrom, validUntil } = accepted(verify(document, now(at(each))));
      const leaf = parseCertificate(parseNitroDocument(document).certificate);
      expect([validFrom, validUntil]).toEqual([leaf.notBefore, leaf.notAfter]);
      expect(validUntil - validFrom).toBeLessThan(4 * 3600);
      expect(outcome(document, now(validFrom))).toBe("accepted");
      expect(outcome(document, now(validUntil))).toBe("accepted");
      expect(outcome(document, now(validFrom - 1))).toBe("NOT_YET_VALID");
      expect(outcome(document, now(validUntil + 1))).toBe("EXPIRED");
      expect(outcome(document, now(at(each) + 4 * 3600))).toBe("EXPIRED");
    },
  );

  it("reads what the documents hold, in plain data", () => {
    const signer = accepted(verify(vector("nitro", "prod-2022-evervault-pcr8", "doc.cose"), now(1665651600))).claims;
    expect(signer.measurements["pcr8"]).toMatch(/^0x(?!0{96})[0-9a-f]{96}$/);
    const extended = accepted(
      verify(vector("nitro", "prod-2025-marlin-pcr16", "doc.cose"), now(Date.parse("2025-04-29T10:40:00Z") / 1000)),
    ).claims;
    expect(Object.keys(extended.measurements)).toEqual(Array.from({ length: 17 }, (_, i) => `pcr${i}`));
    expect(extended.publicKey).toMatch(/^0x[0-9a-f]{64}$/);
    for (const claims of [signer, extended]) {
      expect(JSON.parse(JSON.stringify(claims))).toEqual(claims);
      expect(claims.unknownFields).toEqual([]);
      expect(claims.debug).toBe(false);
    }
  });

  it("reads the indefinite map that AWS writes since 2025 (dstack's verifier did not)", () => {
    const document = vector("nitro", "prod-2025-dstack", "doc.cose");
    expect(parseNitroDocument(document).message.payload[0]).toBe(0xbf);
  });

  it("shows debug documents only to who asks for them, and marks them", () => {
    for (const id of ["neg-debug-2025-dstack", "neg-debug-2022-evervault"]) {
      const each = all.find((each) => each.id === id)!;
      expect(accepted(verify(real(each), now(at(each), { allowDebug: true }))).claims.debug).toBe(true);
    }
  });

  it("trusts the mock server's root only where it is given, and then no document of AWS's", () => {
    const mock = all.find(({ id }) => id === "neg-custom-mock-root")!;
    const root = parseNitroDocument(real(mock)).cabundle[0]!;
    // The mock server's PCRs are zeros, as in debug mode.
    expect(outcome(real(mock), now(at(mock), { roots: { nitro: [root] } }))).toBe("DEBUG_ENABLED");
    expect(outcome(real(mock), now(at(mock), { roots: { nitro: [root] }, allowDebug: true }))).toBe("accepted");
    expect(outcome(real(good[0]!), now(at(good[0]!), { roots: { nitro: [root] } }))).toBe("CHAIN_UNTRUSTED");
  });

  it("has the root pinned that the documents come with", () => {
    const pem = Buffer.from(
      vectorText("nitro", "prod-2025-dstack", "aws_root.pem").replace(/-----[^-]+-----|\s/g, ""),
      "base64",
    );
    expect(PINNED_ROOTS.nitro.map(toHex)).toEqual([toHex(pem)]);
    expect(createHash("sha256").update(pem).digest("hex")).toBe(
      "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    );
  });

  it("refuses a document in base64 with its own error: unwrapping is not for the parser", () => {
    const text = new Uint8Array(Buffer.from(vectorText("nitro", "neg-base64-text", "doc.b64")));
    expect(outcome(text, now(1665583000))).toBe("EVIDENCE_MALFORMED");
    const inside = new Uint8Array(Buffer.from(Buffer.from(text).toString(), "base64"));
    expect(outcomeOf(() => parseNitroDocument(inside))).toBe("accepted");
  });

  it("refuses every truncation, and any one flipped bit", () => {
    const document = vector("nitro", "prod-2025-dstack", "doc.cose");
    const time = now(Date.parse("2025-12-25T16:10:00Z") / 1000);
    for (let length = 0; length < document.length; length += length < 200 ? 1 : 97) {
      expect(outcome(document.subarray(0, length), time)).toBe("EVIDENCE_MALFORMED");
    }
    for (let bit = 0; bit < 8 * document.length; bit += bit < 160 ? 1 : 131) {
      const flipped = Uint8Array.from(document);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const verification = verify(flipped, time);
      expect(verification.ok).toBe(false);
      expect(codeOf(verification)).not.toBe("INTERNAL");
    }
  });
});

describe("a document of our own", () => {
  it("verifies, and says what it holds", () => {
    const verification = accepted(verify(makeDocument()));
    expect(verification.claims).toEqual({
      family: "nitro",
      debug: false,
      measurements: Object.fromEntries([...PCRS].map(([i, pcr]) => [`pcr${i}`, toHex(pcr as Uint8Array)])),
      reportData: `0x${"aa".repeat(32)}`,
      userData: `0x${"aa".repeat(32)}`,
      nonce: `0x${"bb".repeat(16)}`,
      publicKey: `0x${"04".repeat(65)}`,
      moduleId: "i-0123456789abcdef0-enc0123456789abcdef",
      timestamp: NOW * 1000,
      unknownFields: [],
    });
    expect(verification.checks.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual([
      "nitro.document pass",
      "nitro.root pass",
      "nitro.certificates pass",
      "nitro.chain pass",
      "nitro.usage pass",
      "nitro.crls pass",
      "nitro.leaf.revocation unchecked",
      "nitro.ca-3.revocation unchecked",
      "nitro.ca-2.revocation unchecked",
      "nitro.ca-1.revocation unchecked",
      "nitro.signature pass",
    ]);
  });

  it("may go without what is optional, or have null for it, and may name fields that nobody knows", () => {
    const none = { public_key: undefined, user_data: undefined, nonce: undefined };
    const nothing = { public_key: null, user_data: null, nonce: null };
    for (const changes of [none, nothing]) {
      const { claims } = accepted(verify(makeDocument(changes)));
      for (const key of ["reportData", "userData", "nonce", "publicKey"]) expect(claims).not.toHaveProperty(key);
    }
    const { claims } = accepted(verify(makeDocument({ later: [1, "x"], "": null, nitrotpm_pcrs: new Map() })));
    expect(claims.unknownFields).toEqual(["later", "", "nitrotpm_pcrs"]);
    expect(accepted(verify(makeDocument({ user_data: new Uint8Array(0) }))).claims.userData).toBe("0x");
  });

  it("may carry COSE's tag, and may have a map and arrays without lengths inside", () => {
    expect(outcome(makeDocument({}, { tag: 18 }))).toBe("accepted");
    const payload = cbor(pairs(Object.entries(fieldsOf()), true));
    expect(outcome(sign1({ payload, key: nitroKey("leaf").privateKey }))).toBe("accepted");
    const bundle = raw(
      concat(Uint8Array.of(0x9f), ...(fieldsOf()["cabundle"] as Uint8Array[]).map(cbor), Uint8Array.of(0xff)),
    );
    expect(outcome(makeDocument({ cabundle: bundle }))).toBe("accepted");
  });

  it("has a time of its own that is no clock (Marlin's age check took a future one)", () => {
    for (const timestamp of [1, (NOW - 10 ** 6) * 1000, (NOW + 10 ** 6) * 1000]) {
      const { claims, verifiedAt } = accepted(verify(makeDocument({ timestamp })));
      expect([claims.timestamp, verifiedAt]).toEqual([timestamp, NOW]);
      expect(outcome(makeDocument({ timestamp }), { now: NOW + 4 * 3600 })).toBe("EXPIRED");
    }
  });
});

describe("layout", () => {
  const bytes = (length: number) => new Uint8Array(length).fill(1);
  const pcrs = (...changes: [Item, Item][]) => new Map<Item, Item>([...PCRS, ...changes]);
  const without = (...indices: number[]) => new Map([...PCRS].filter(([index]) => !indices.includes(index as number)));

  it.each<[string, Record<string, Item | undefined>]>([
    ...Object.entries(fieldsOf())
      .filter(([name]) => !["public_key", "user_data", "nonce"].includes(name))
      .flatMap(([name]): [string, Record<string, Item | undefined>][] => [
        [`${name} left out`, { [name]: undefined }],
        [`${name} null`, { [name]: null }],
        [`${name} of another type`, { [name]: true }],
      ]),
    ["an empty module id", { module_id: "" }],
    ["an overlong module id", { module_id: "i".repeat(1025) }],
    ["SHA256", { digest: "SHA256" }],
    ["sha384 in small letters", { digest: "sha384" }],
    ["a time of zero", { timestamp: 0 }],
    ["a negative time", { timestamp: -1 }],
    ["a time beyond the year 9999", { timestamp: 253402300799001 }],
    ["a time beyond what is exact", { timestamp: 2n ** 60n }],
    ["no PCRs", { pcrs: new Map() }],
    ["no PCR 0", { pcrs: without(0) }],
    ["no PCR 1", { pcrs: without(1) }],
    ["no PCR 2", { pcrs: without(2) }],
    ["a PCR of 32 bytes", { pcrs: pcrs([3, bytes(32)]) }],
    ["a PCR of 64 bytes", { pcrs: pcrs([3, bytes(64)]) }],
    ["a PCR of 47 bytes", { pcrs: pcrs([3, bytes(47)]) }],
    ["PCR 32", { pcrs: pcrs([32, bytes(48)]) }],
    ["PCR -1", { pcrs: pcrs([-1, bytes(48)]) }],
    ["a PCR with a text for an index", { pcrs: pcrs(["3", bytes(48)]) }],
    ["a PCR with a huge index", { pcrs: pcrs([2n ** 63n, bytes(48)]) }],
    ["a PCR that is no bytes", { pcrs: pcrs([3, "x"]) }],
    ["PCRs in an array", { pcrs: [bytes(48), bytes(48), bytes(48)] }],
    ["a PCR twice", { pcrs: pairs([...PCRS, [3, bytes(48)]]) }],
    ["an empty certificate", { certificate: bytes(0) }],
    ["a certificate of 1025 bytes", { certificate: bytes(1025) }],
    ["a bundle's certificate of 1025 bytes", { cabundle: [CHAIN.root, bytes(1025)] }],
    ["an empty certificate in the bundle", { cabundle: [CHAIN.root, bytes(0)] }],
    ["a text in the bundle", { cabundle: [CHAIN.root, "x"] }],
    ["an empty public key", { public_key: bytes(0) }],
    ["a public key of 1025 bytes", { public_key: bytes(1025) }],
    ["a public key that is a text", { public_key: "x" }],
    ["user data of 513 bytes", { user_data: bytes(513) }],
    ["user data that is a number", { user_data: 1 }],
    ["a nonce of 513 bytes", { nonce: bytes(513) }],
    ["a nonce that is a map", { nonce: new Map() }],
    ["a text in pieces", { module_id: raw("7f617861ff") }],
    ["bytes in pieces", { user_data: raw("5f420102420304ff") }],
    ["a float", { later: raw("f93c00") }],
    ["a tag", { later: tagged(0, "x") }],
    ["undefined", { later: raw("f7") }],
  ])("refuses %s, though it is signed", (_, changes) => {
    const verification = verify(makeDocument(changes));
    expect(codeOf(verification)).toBe("EVIDENCE_MALFORMED");
    expect(failed(verification)).toEqual(["nitro.document"]);
  });

  it("accepts the largest of each field", () => {
    const largest = {
      public_key: bytes(1024),
      user_data: bytes(512),
      nonce: bytes(512),
      module_id: "i".repeat(1024),
      pcrs: pcrs(...Array.from({ length: 16 }, (_, i): [Item, Item] => [31 - i, bytes(48)])),
    };
    expect(outcome(makeDocument(largest))).toBe("accepted");
  });

  /** A good document with some of its four elements replaced. */
  const rebuilt = (elements: Record<number, Item>) => {
    const { message } = parseNitroDocument(makeDocument());
    return cbor(
      Object.values({ 0: message.protected, 1: new Map(), 2: message.payload, 3: message.signature, ...elements }),
    );
  };
  const signed = (payload: Uint8Array) => sign1({ payload, key: nitroKey("leaf").privateKey });
  const all = Object.entries(fieldsOf()) as [Item, Item][];

  it.each<[string, () => Uint8Array]>([
    ["a field twice", () => signed(cbor(pairs([...all, ["nonce", bytes(1)]])))],
    ["a field twice, in a map without a length", () => signed(cbor(pairs([...all, ["pcrs", PCRS]], true)))],
    ["a field with a number for its name", () => signed(cbor(pairs([...all, [1, bytes(1)]])))],
    ["a byte behind the payload's map", () => signed(concat(cbor(pairs(all)), bytes(1)))],
    ["a payload that is an array", () => signed(cbor([fieldsOf()["module_id"]!]))],
    ["a payload that is a text", () => signed(cbor("x"))],
    ["a payload that is null", () => signed(cbor(null))],
    ["an empty payload", () => signed(bytes(0))],
    ["a payload of more than 16 KiB", () => makeDocument({ later: bytes(16384) })],
    ["a bomb of arrays", () => makeDocument({ later: raw(new Uint8Array(10000).fill(0x81)) })],
    ["a bomb of endless arrays", () => makeDocument({ later: raw(new Uint8Array(10000).fill(0x9f)) })],
    ["bytes of 4 GiB", () => makeDocument({ later: raw("5affffffff") })],
    ["an array of 2^64 − 1", () => makeDocument({ later: raw("9bffffffffffffffff") })],
    ["a byte behind the document", () => concat(makeDocument(), bytes(1))],
    ["the document twice", () => concat(makeDocument(), makeDocument())],
    ["nothing", () => bytes(0)],
    ["tag 98, of many signers", () => makeDocument({}, { tag: 98 })],
    ["tag 16, of an encrypted message", () => makeDocument({}, { tag: 16 })],
    ["tag 17, of a MAC", () => makeDocument({}, { tag: 17 })],
    ["the tag twice", () => cbor(tagged(18, raw(makeDocument({}, { tag: 18 }))))],
    ["a document in bytes", () => cbor(makeDocument())],
    ["three elements", () => cbor([cbor(new Map([[1, -35]])), new Map(), bytes(10)])],
    ["five elements", () => cbor([cbor(new Map([[1, -35]])), new Map(), bytes(10), bytes(96), null])],
    ["a map", () => cbor(new Map([[1, -35]]))],
    ["no payload inside", () => cbor([cbor(new Map([[1, -35]])), new Map(), null, bytes(96)])],
    ["a protected header outside its bytes", () => cbor([new Map([[1, -35]]), new Map(), bytes(10), bytes(96)])],
    ["no bytes for a signature", () => rebuilt({ 3: null })],
    ["a text for a signature", () => rebuilt({ 3: "x" })],
    ["null for an unprotected header", () => rebuilt({ 1: null })],
    ["an array for an unprotected header", () => rebuilt({ 1: [] })],
    ["bytes for an unprotected header", () => rebuilt({ 1: bytes(0) })],
    [
      "an array without a length around it",
      () => concat(Uint8Array.of(0x9f), makeDocument().subarray(1), Uint8Array.of(0xff)),
    ],
    ["a length in two bytes where one would do", () => concat(Uint8Array.of(0x98, 4), makeDocument().subarray(1))],
    ["the text of its own hex", () => cbor(Buffer.from(makeDocument()).toString("hex"))],
  ])("refuses %s", (_, make) => {
    expect(outcome(make())).toBe("EVIDENCE_MALFORMED");
  });
});

describe("size", () => {
  it("is looked at before anything is read", () => {
    for (const length of [16384 + 513, 1 << 20]) {
      expect(verify(new Uint8Array(length).fill(0x81))).toMatchObject({
        failure: {
          code: "EVIDENCE_MALFORMED",
          message: `the document has ${length} bytes, more than the 16896 that it may have`,
        },
      });
    }
  });
});

describe("headers", () => {
  const ES384 = new Map<Item, Item>([[1, -35]]);
  it.each<[string, Item, Item]>([
    ["ES256", new Map([[1, -7]]), new Map()],
    ["ES512", new Map([[1, -36]]), new Map()],
    ["EdDSA", new Map([[1, -8]]), new Map()],
    ["the algorithm as a text", new Map([[1, "ES384"]]), new Map()],
    ["no algorithm", new Map(), new Map()],
    ["no header", raw(""), new Map()],
    ["the algorithm unprotected", new Map(), ES384],
    ["the algorithm in both headers", ES384, ES384],
    ["another algorithm unprotected", ES384, new Map([[1, -7]])],
    ["a key id unprotected", ES384, new Map([[4, new Uint8Array(1)]])],
    [
      "a critical header",
      new Map<Item, Item>([
        [1, -35],
        [2, [1]],
      ]),
      new Map(),
    ],
    [
      "a content type",
      new Map<Item, Item>([
        [1, -35],
        [3, 0],
      ]),
      new Map(),
    ],
    [
      "a text label",
      new Map<Item, Item>([
        [1, -35],
        ["alg", -35],
      ]),
      new Map(),
    ],
    ["the text label alone", new Map([["1", -35]]), new Map()],
    ["an array for a header", [1, -35], new Map()],
    ["a number for a header", -35, new Map()],
    ["null for a header", null, new Map()],
  ])("refuses %s, though the signature is over it", (name, protectedHeader, unprotected) => {
    const verification = verify(makeDocument({}, { protectedHeader, unprotected }));
    // RFC 9052 has an empty header as no bytes at all, which is no item of CBOR.
    expect(codeOf(verification)).toBe(name === "no header" ? "EVIDENCE_MALFORMED" : "COSE_HEADER");
    expect(failed(verification)).toEqual(["nitro.document"]);
  });

  it("refuses a header that is no strict CBOR", () => {
    for (const hex of ["a201382201382200", "a2013822013822", "bf013822ff", "a101390022", "a101382200"]) {
      expect(outcome(makeDocument({}, { protectedHeader: raw(hex) }))).toBe("EVIDENCE_MALFORMED");
    }
  });
});

describe("signature", () => {
  const changed = (change: (signature: Uint8Array) => Uint8Array) => {
    const document = makeDocument();
    const signature = change(document.slice(-96));
    return concat(document.subarray(0, -98), head(2, signature.length), signature);
  };
  const ORDER = BigInt(
    "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  );

  it.each<[string, () => Uint8Array]>([
    ["one bit", () => changed((signature) => signature.map((byte, i) => (i === 50 ? byte ^ 1 : byte)))],
    ["all zeros", () => changed(() => new Uint8Array(96))],
    ["halves exchanged", () => changed((signature) => concat(signature.subarray(48), signature.subarray(0, 48)))],
    ["95 bytes", () => changed((signature) => signature.subarray(1))],
    ["97 bytes", () => changed((signature) => concat(new Uint8Array(1), signature))],
    ["no bytes", () => changed(() => new Uint8Array(0))],
    ["SHA-256 under it", () => makeDocument({}, { hash: "sha256" })],
    ["another key's", () => makeDocument({}, { key: nitroKey("instance").privateKey })],
  ])("fails for %s, and nothing else does", (_, make) => {
    const verification = verify(make());
    expect(codeOf(verification)).toBe("COSE_SIGNATURE");
    expect(failed(verification)).toEqual(["nitro.signature"]);
  });

  it("has 96 bytes, and says so where it has not", () => {
    for (const length of [0, 95, 97, 132]) {
      const verification = verify(changed(() => new Uint8Array(length)));
      expect(verification).toMatchObject({
        failure: { message: `the signature of the document has ${length} bytes instead of 96` },
      });
    }
  });

  it("covers every field", () => {
    const document = makeDocument();
    const at = Buffer.from(document).indexOf(Buffer.from("aa".repeat(32), "hex"));
    document[at]! ^= 1;
    expect(outcome(document)).toBe("COSE_SIGNATURE");
  });

  it("has a second form that is as good: a document's bytes are no identity", () => {
    const other = changed((signature) => {
      const s = BigInt(toHex(signature.subarray(48)));
      return concat(
        signature.subarray(0, 48),
        new Uint8Array(Buffer.from((ORDER - s).toString(16).padStart(96, "0"), "hex")),
      );
    });
    expect(outcome(other)).toBe("accepted");
  });
});

describe("debug mode", () => {
  const zeros = (...indices: number[]) =>
    new Map<Item, Item>([...PCRS, ...indices.map((index): [Item, Item] => [index, new Uint8Array(48)])]);

  it("is seen in PCRs of zeros (fastcrypto and base's validator take them, #4042)", () => {
    const document = makeDocument({ pcrs: zeros(0, 1, 2) });
    expect(outcome(document)).toBe("DEBUG_ENABLED");
    expect(accepted(verify(document, { allowDebug: true })).claims.debug).toBe(true);
  });

  it("is seen in any one of the three that measure what was started, and in no other", () => {
    for (const index of [0, 1, 2]) expect(outcome(makeDocument({ pcrs: zeros(index) }))).toBe("DEBUG_ENABLED");
    expect(outcome(makeDocument({ pcrs: zeros(3, 4) }))).toBe("accepted");
  });
});

describe("chain", () => {
  const bundle = (...certificates: Uint8Array[]) => makeDocument({ cabundle: certificates });
  const { root, regional, zonal, instance } = CHAIN;
  const otherRoot = makeCertificate({
    subject: nitroName("root"),
    key: cachedKey("P-384", "nitro other root"),
    ca: true,
    keyUsage: ["keyCertSign"],
  });

  it.each<[string, string, () => Uint8Array]>([
    ["an empty bundle", "CHAIN_INCOMPLETE", () => bundle()],
    ["no root", "CHAIN_UNTRUSTED", () => bundle(regional, zonal, instance)],
    ["another root of the same name", "CHAIN_UNTRUSTED", () => bundle(otherRoot, regional, zonal, instance)],
    ["the root alone", "CHAIN_ISSUER", () => bundle(root)],
    ["the order of a TLS chain", "CHAIN_UNTRUSTED", () => bundle(instance, zonal, regional, root)],
    ["two certificates exchanged", "CHAIN_ISSUER", () => bundle(root, zonal, regional, instance)],
    ["a certificate left out", "CHAIN_ISSUER", () => bundle(root, zonal, instance)],
    ["a certificate twice", "CHAIN_INCOMPLETE", () => bundle(root, regional, regional, zonal, instance)],
    ["the root twice", "CHAIN_INCOMPLETE", () => bundle(root, root, regional, zonal, instance)],
    [
      "33 certificates",
      "CHAIN_INCOMPLETE",
      () => bundle(root, ...Array.from({ length: 32 }, () => regional.slice(0, 400))),
    ],
    ["bytes that are no certificate", "CERT_MALFORMED", () => bundle(root, regional, zonal, new Uint8Array(100))],
    [
      "a byte behind a certificate",
      "CERT_MALFORMED",
      () => bundle(root, regional, zonal, concat(instance, new Uint8Array(1))),
    ],
  ])("with %s is %s", (_, code, make) => {
    expect(outcome(make())).toBe(code);
  });

  const stranger = cachedKey("P-384", "nitro stranger");
  const p256 = cachedKey("P-256", "nitro p-256");

  it.each<[string, string, Parameters<typeof makeChain>[0]]>([
    ["an intermediate that is no CA", "CHAIN_CONSTRAINTS", { zonal: { ca: false, pathLength: undefined as never } }],
    [
      "an intermediate without constraints",
      "CHAIN_CONSTRAINTS",
      { zonal: { ca: undefined as never, pathLength: undefined as never } },
    ],
    ["a path length that is too short", "CHAIN_CONSTRAINTS", { regional: { pathLength: 1 } }],
    ["a path length of zero above two CAs", "CHAIN_CONSTRAINTS", { zonal: { pathLength: 0 } }],
    [
      "an intermediate that may not sign certificates",
      "CHAIN_CONSTRAINTS",
      { instance: { keyUsage: ["digitalSignature"] } },
    ],
    ["an intermediate without key usage", "CHAIN_CONSTRAINTS", { instance: { keyUsage: undefined as never } }],
    ["a leaf that is a CA", "CHAIN_CONSTRAINTS", { leaf: { ca: true } }],
    ["a leaf that may not sign", "CHAIN_CONSTRAINTS", { leaf: { keyUsage: ["keyCertSign"] } }],
    ["a leaf without key usage", "CHAIN_CONSTRAINTS", { leaf: { keyUsage: undefined as never } }],
    ["a leaf on P-256", "CHAIN_CONSTRAINTS", { leaf: { key: p256 } }],
    ["an intermediate on P-256", "CHAIN_CONSTRAINTS", { instance: { key: p256 }, leaf: { issuerKey: p256 } }],
    [
      "a critical extension that nobody knows",
      "CHAIN_CONSTRAINTS",
      { zonal: { extensions: [{ oid: "1.2.3.4", critical: true, value: der.nothing() }] } },
    ],
    ["a leaf signed by a stranger", "CHAIN_SIGNATURE", { leaf: { issuerKey: stranger } }],
    ["an intermediate signed by a stranger", "CHAIN_SIGNATURE", { regional: { issuerKey: stranger } }],
    ["a leaf that names another issuer", "CHAIN_ISSUER", { leaf: { issuer: nitroName("zonal") } }],
    ["a leaf of version 1", "CERT_MALFORMED", { leaf: { version: 1 } }],
    ["an expired intermediate", "EXPIRED", { zonal: { notAfter: NOW - 1 } }],
    ["an intermediate of tomorrow", "NOT_YET_VALID", { zonal: { notBefore: NOW + 1 } }],
    ["an expired leaf", "EXPIRED", { leaf: { notAfter: NOW - 1 } }],
    ["a leaf of tomorrow", "NOT_YET_VALID", { leaf: { notBefore: NOW + 1 } }],
  ])("with %s is %s", (_, code, options) => {
    const chain = makeChain(options);
    expect(outcome(makeDocument({}, {}, chain), { roots: { nitro: [chain.root] } })).toBe(code);
  });

  it("holds for as long as all of its certificates do", () => {
    const chain = makeChain({ zonal: { notAfter: NOW + 60 }, regional: { notBefore: NOW - 60 } });
    const { validFrom, validUntil } = accepted(verify(makeDocument({}, {}, chain), { roots: { nitro: [chain.root] } }));
    expect([validFrom, validUntil]).toEqual([NOW - 60, NOW + 60]);
  });

  it("is not the pinned root's unless the caller gives another one", () => {
    expect(outcome(makeDocument(), { roots: {} })).toBe("CHAIN_UNTRUSTED");
    expect(outcome(makeDocument(), { roots: { nitro: [] } })).toBe("CHAIN_UNTRUSTED");
    expect(outcome(makeDocument(), { roots: { nitro: [...PINNED_ROOTS.nitro, CHAIN.root] } })).toBe("accepted");
  });
});

describe("revocation lists", () => {
  const list = (
    tier: "root" | "regional" | "zonal" | "instance",
    options: Partial<Parameters<typeof makeCrl>[0]> = {},
  ) => makeCrl({ issuer: nitroName(tier), issuerKey: nitroKey(tier), ...options });
  const document = makeDocument();

  it("are checked where they are given: each certificate against its issuer's", () => {
    const verification = accepted(verify(document, {}, [list("root"), list("regional"), list("zonal")]));
    const of = (id: string) => verification.checks.find((each) => each.id === id)?.outcome;
    expect(["ca-1", "ca-2", "ca-3", "leaf"].map((id) => of(`nitro.${id}.revocation`))).toEqual([
      "pass",
      "pass",
      "pass",
      "unchecked",
    ]);
    expect(verification.collateral.map(({ kind }) => kind)).toEqual(["nitro.crl", "nitro.crl", "nitro.crl"]);
  });

  it("revoke a certificate of each tier (serials are 2, 3 and 4), and a serial of another issuer's does not", () => {
    expect(outcome(document, {}, [list("root", { revoked: [2] })])).toBe("CERT_REVOKED");
    expect(outcome(document, {}, [list("regional", { revoked: [3] })])).toBe("CERT_REVOKED");
    expect(outcome(document, {}, [list("zonal", { revoked: [4] })])).toBe("CERT_REVOKED");
    expect(outcome(document, {}, [list("root", { revoked: [1, 3, 4, 5] })])).toBe("accepted");
    expect(outcome(document, {}, [list("root"), list("root", { revoked: [2] })])).toBe("CERT_REVOKED");
  });

  it("must be signed by their issuer, in force, and by a CA that may sign lists", () => {
    expect(outcome(document, {}, [list("root", { issuerKey: nitroKey("zonal") })])).toBe("CRL_SIGNATURE");
    expect(outcome(document, {}, [list("root", { nextUpdate: NOW - 1 })])).toBe("EXPIRED");
    expect(outcome(document, {}, [list("root", { thisUpdate: NOW + 1 })])).toBe("NOT_YET_VALID");
    expect(outcome(document, {}, [new Uint8Array(1)])).toBe("CRL_MALFORMED");
    // AWS's instance CAs may sign certificates only: nobody can revoke a leaf, which lives for three hours.
    expect(outcome(document, {}, [list("instance")])).toBe("CHAIN_CONSTRAINTS");
  });

  it("narrow how long the answer holds", () => {
    const { validUntil } = accepted(verify(document, {}, [list("root", { nextUpdate: NOW + 60 })]));
    expect(validUntil).toBe(NOW + 60);
  });

  it("of other issuers say nothing", () => {
    const foreign = makeCrl({ issuer: { CN: "somebody" }, issuerKey: nitroKey("root"), revoked: [1, 2, 3, 4, 5] });
    const verification = accepted(verify(document, {}, [foreign]));
    expect(verification.checks.filter(({ outcome }) => outcome === "unchecked")).toHaveLength(4);
  });

  describe("of a place (as AWS's private CAs split them)", () => {
    const uri = (text: string) => der.implicit(6, new Uint8Array(Buffer.from(text)));
    const place = (...fields: Uint8Array[]) => ({ oid: "2.5.29.28", critical: true, value: der.sequence(...fields) });
    const names = (...texts: string[]) => der.explicit(0, der.explicit(0, ...texts.map(uri)));
    const points = (...fields: Uint8Array[]) => ({ oid: "2.5.29.31", value: der.sequence(der.sequence(...fields)) });
    const HERE = "http://lists.example/here.crl";
    const chain = makeChain({ regional: { extensions: [points(names(HERE))] } });
    const placed = makeDocument({}, {}, chain);
    const roots = { nitro: [chain.root] };
    const revoking = (...fields: Uint8Array[]) => list("root", { revoked: [2], extensions: [place(...fields)] });

    it("count for certificates that name the place, and for no others", () => {
      expect(outcome(placed, { roots }, [revoking(names(HERE))])).toBe("CERT_REVOKED");
      expect(outcome(placed, { roots }, [revoking(names("http://lists.example/there.crl", HERE))])).toBe(
        "CERT_REVOKED",
      );
      expect(outcome(placed, { roots }, [revoking(names("http://lists.example/there.crl"))])).toBe("accepted");
      // A certificate that names no place has no such list.
      expect(outcome(document, {}, [revoking(names(HERE))])).toBe("accepted");
      expect(outcome(placed, { roots }, [list("root", { revoked: [2] })])).toBe("CERT_REVOKED");
    });

    it("are refused where they are about some certificates or reasons only, or indirect", () => {
      for (const field of [1, 2, 4, 5].map((number) => der.implicit(number, Uint8Array.of(0xff)))) {
        expect(outcome(placed, { roots }, [revoking(names(HERE), field)])).toBe("CRL_MALFORMED");
      }
      expect(outcome(placed, { roots }, [revoking(names(HERE), der.implicit(3, Uint8Array.of(6, 0x40)))])).toBe(
        "CRL_MALFORMED",
      );
    });

    it("do not count for a place of another issuer's, or for some reasons", () => {
      for (const extra of [der.implicit(1, Uint8Array.of(6, 0x40)), der.explicit(2, uri("x"))]) {
        const other = makeChain({ regional: { extensions: [points(names(HERE), extra)] } });
        const verification = verify(makeDocument({}, {}, other), { roots: { nitro: [other.root] } }, [
          revoking(names(HERE)),
        ]);
        expect(codeOf(verification)).toBe("accepted");
      }
    });
  });
});
