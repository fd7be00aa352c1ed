/** The laboratory's enclaves and its CBOR writer, read back by the strict readers. */
import { describe, expect, it } from "vitest";
import { concat, toHex } from "../../../src/field/bytes.js";
import { parseSign1 } from "../../../src/tee/cose.js";
import { encode, Indefinite, map, Raw, Tagged } from "../../../src/tee/lab/cbor.js";
import { makeKey } from "../../../src/tee/lab/certificates.js";
import { type NitroOptions, nitroEnclave } from "../../../src/tee/lab/nitro.js";
import { type CborMap, readCbor } from "../../../src/tee/read/cbor.js";
import { parseCertificate, parseCrl, verifySignature } from "../../../src/tee/x509.js";

const hex = (value: Parameters<typeof encode>[0]) => toHex(encode(value)).slice(2);
const read = (bytes: Uint8Array) => readCbor(bytes, { code: "EVIDENCE_MALFORMED", indefinite: true });

describe("the writer of CBOR", () => {
  // RFC 8949, appendix A.
  const examples = [
    [0, "00"],
    [23, "17"],
    [24, "1818"],
    [1000, "1903e8"],
    [1000000, "1a000f4240"],
    [1000000000000n, "1b000000e8d4a51000"],
    [-1, "20"],
    [-1000, "3903e7"],
    [-18446744073709551616n, "3bffffffffffffffff"],
    [false, "f4"],
    [true, "f5"],
    [null, "f6"],
    ["ü", "62c3bc"],
    [Uint8Array.of(1, 2, 3, 4), "4401020304"],
    [[1, [2, 3]], "8201820203"],
    [map(["a", 1], ["b", [2, 3]]), "a26161016162820203"],
    [new Tagged(1, 1363896240), "c11a514b67b0"],
    [new Indefinite([1, [2, 3]]), "9f01820203ff"],
    [new Indefinite(map(["Fun", true])), "bf6346756ef5ff"],
    [[new Raw(Uint8Array.of(0x18, 0x01))], "811801"],
  ] as const;

  it("writes the examples of the standard", () => {
    expect(examples.map(([value]) => hex(value))).toEqual(examples.map(([, wanted]) => wanted));
  });

  it("writes lengths that the strict reader reads back", () => {
    for (const length of [0, 23, 24, 255, 256, 65535, 65536]) {
      expect(read(encode(new Uint8Array(length)))).toHaveLength(length);
    }
  });
});

/** The document's parts, its signature checked or not. */
function parts(options: NitroOptions) {
  const lab = nitroEnclave(options);
  const cose = parseSign1(lab.document, { what: "it", algorithms: ["ES384"], maxPayload: 16384 });
  return { lab, cose, content: read(cose.payload) as CborMap };
}

describe("enclaves", () => {
  it("say what they were told to say, signed by their leaf", () => {
    const pcrs = { 0: `0x${"11".repeat(48)}`, 20: [1] } as const;
    const { lab, cose, content } = parts({ userData: [1, 2], nonce: "0x03", publicKey: [4], pcrs, timestamp: 5 });
    expect(content.get("user_data")).toEqual(Uint8Array.of(1, 2));
    expect(content.get("nonce")).toEqual(Uint8Array.of(3));
    expect(content.get("public_key")).toEqual(Uint8Array.of(4));
    expect(content.get("timestamp")).toBe(5);
    const found = content.get("pcrs") as CborMap;
    expect([...found.keys()]).toEqual([...Array.from({ length: 16 }, (_, i) => i), 20]);
    expect(toHex(found.get(0) as Uint8Array)).toBe(pcrs[0]);
    expect(content.get("cabundle")).toEqual(lab.certificates.slice(0, -1));
    const leaf = parseCertificate(content.get("certificate") as Uint8Array);
    const message = encode(["Signature1", cose.protected, new Uint8Array(), cose.payload]);
    const es384 = { kind: "ecdsa", hash: "sha384" } as const;
    expect(verifySignature(es384, leaf.key, message, cose.signature, "ieee-p1363")).toBe(true);
  });

  it("have the debug mode's registers when told so", () => {
    const zero = (options: NitroOptions) =>
      [0, 1, 2, 3].map((i) => ((parts(options).content.get("pcrs") as CborMap).get(i) as Uint8Array)[0] === 0);
    expect(zero({})).toEqual([false, false, false, false]);
    expect(zero({ debug: true })).toEqual([true, true, true, false]);
  });

  it("are written in either form, and members come and go", () => {
    const payload = (options: NitroOptions) => parts(options).cose.payload[0];
    expect(payload({})).toBe(0xa9);
    expect(payload({ indefinite: true })).toBe(0xbf);
    const { content } = parts({ members: { digest: "SHA256", nonce: undefined, extra: 1 } });
    expect(content.get("digest")).toBe("SHA256");
    expect(content.has("nonce")).toBe(false);
    expect(content.get("extra")).toBe(1);
    const spoilt = nitroEnclave({ payload: (bytes) => concat(bytes, Uint8Array.of(0)) });
    const { payload: signed } = parseSign1(spoilt.document, { what: "it", algorithms: ["ES384"], maxPayload: 16384 });
    expect(() => read(signed)).toThrow("CBOR");
  });

  it("have the COSE headers that they were told to have", () => {
    const first = (options: NitroOptions) => nitroEnclave(options).document;
    expect(first({ cose: { tagged: true } })[0]).toBe(0xd2);
    expect(toHex(first({ cose: { algorithm: -7 } }).subarray(0, 5))).toBe("0x8443a10126");
    expect(toHex(first({ cose: { protectedHeader: encode(map([1, -35], [4, 1])) } }).subarray(0, 9))).toBe(
      "0x8446a20138220401a0",
    );
    expect(first({ padding: Uint8Array.of(9) }).at(-1)).toBe(9);
  });

  it("chain as they were told to, and are revoked by the issuer's list", () => {
    const { lab } = parts({
      intermediates: [{ pathLength: 0 }, {}],
      leaf: { ca: true },
      revoked: [1],
      signer: makeKey("P-384"),
    });
    const [root, one, two, leaf] = lab.certificates.map((each) => parseCertificate(each));
    expect(lab.certificates).toHaveLength(4);
    expect([root, one, two, leaf].map((each) => each!.basicConstraints)).toEqual([
      { ca: true },
      { ca: true, pathLength: 0 },
      { ca: true, pathLength: 0 },
      { ca: true },
    ]);
    expect(two!.issuer.der).toEqual(one!.subject.der);
    const lists = lab.collateral.nitro!.crls.map((each) => parseCrl(each));
    expect(lists.map(({ revoked }) => [...revoked.keys()])).toEqual([[], [two!.serial], []]);
    expect(nitroEnclave().collateral).toEqual({});
    expect(nitroEnclave({ crls: true }).collateral.nitro!.crls).toHaveLength(4);
  });
});
