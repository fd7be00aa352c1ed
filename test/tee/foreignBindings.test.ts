/**
 * Layouts of report data, against what real services answered (recorded by 13rac1/teep in April and June 2026) and against what
 * their producers' own tests expect.
 */
import { createHash } from "node:crypto";
import { concat as concatHex, keccak256, solidityPackedKeccak256 } from "ethers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat, type Hex, toHex, utf8 } from "../../src/field/bytes.js";
import type { Claims, NitroClaims } from "../../src/tee/claims.js";
import {
  type Binding,
  checkBinding,
  checkNitroBinding,
  dip1PublicKey,
  flashtestationsWorkloadId,
  type KnownInputs,
  marlinContractImageId,
  marlinImageId,
  recogniseBinding,
} from "../../src/tee/foreignBindings.js";
import { parseQuote } from "../../src/tee/intel/quote.js";
import { filled } from "../../src/tee/lab/bytes.js";
import { parseNitroDocument } from "../../src/tee/nitro/document.js";
import { code, outcomeOf } from "../support/errors.js";
import { VECTORS, vector, vectorText } from "./vectors.js";

const word = (byte: number): Hex => toHex(filled(byte, 32));

/** What the services answered, with the nonces that they were sent. */
const RECORDED: [string, Hex, Binding][] = [
  [
    "NEAR AI",
    "0x2c8d8f9fddcf2b5c8a2261d32ba65d3d14a2804f58d3de9df95a8e56d0f39c93e74ad18b4223d48246f177649c815af8dcbb44ed4ffe1c98b8c7daaf6b5f775c",
    {
      kind: "near",
      signingAddress: "0xd0aa20bcf567cc0c7c914608967dbd4c7a17e10b600802d45923434ce323f823",
      tlsFingerprint: "0x3f6e62f57d60aabf17c82847bdebb2813a800f9d1eb671c1127c1e926e6a0014",
      nonce: "0xe74ad18b4223d48246f177649c815af8dcbb44ed4ffe1c98b8c7daaf6b5f775c",
    },
  ],
  [
    "Venice",
    "0x6525e128afcffebf7eed05d485d7be983cdae934000000000000000000000000ac82eb750ec4cfbb273f90d33567776bfae8657e2a43f6dff2f3adad9b86095a",
    {
      kind: "venice",
      signingAddress: "0x6525e128afcffebf7eed05d485d7be983cdae934",
      nonce: "0xac82eb750ec4cfbb273f90d33567776bfae8657e2a43f6dff2f3adad9b86095a",
    },
  ],
  [
    "Tinfoil with GPUs",
    "0xb90f44cac33d13e2356be6fedb25326c9b039cff66f7d2afc5c7218566dd82ff0000000000000000000000000000000000000000000000000000000000000000",
    {
      kind: "tinfoil-v3",
      tlsFingerprint: "0xdd34cd14f50bc0e410886c75bb387a6a4afa3704a03ad22386ec8fb8fe5cef9a",
      hpkeKey: "0x0394825e3555b92558d6130d1193bf3049e06a67633ed2a735bb3203cdf6ff1f",
      nonce: "0x080c405ce6789e1761445180029523df3ae49576043f7f0868413a38e5e9a84e",
      gpuEvidenceHash: "0x580ca6c7d7510dccc05551ed04ea1ce621d3c89d1ac02455871b38140c967fba",
    },
  ],
  [
    "Tinfoil without",
    "0xa267023b9f51afb58896094e578ba9452a1c5fc78b78788d2d7d19502d97eaee0000000000000000000000000000000000000000000000000000000000000000",
    {
      kind: "tinfoil-v3",
      tlsFingerprint: "0x0b49e7c770bbecedf9b65da503c7781d7c7637ee5f19d7f9d1ecc4067449021a",
      hpkeKey: "0xdc8e340f8246aa66d21a1a08538945b94f6adbd62bcad22d598b86ffbe96d450",
      nonce: "0x535641d4647956bb9a1e2fa364a5da7c6499458b6f7b6cb65c6dbd1e377a8756",
    },
  ],
];

describe("recorded report data", () => {
  it.each(RECORDED)("of %s", (_, reportData, binding) => {
    const found = checkBinding(reportData, binding);
    expect(found.kind).toBe(binding.kind);
    expect(found.bound.length).toBeGreaterThan(1);
    expect(found.unbound.length).toBeGreaterThan(0);
  });

  it.each(RECORDED)("of %s is bound to each of its inputs", (_, reportData, binding) => {
    for (const [name, value] of Object.entries(binding)) {
      if (name === "kind") continue;
      const flipped = (value as Hex).replace(/.$/, (digit) => (Number.parseInt(digit, 16) ^ 1).toString(16));
      expect(() => checkBinding(reportData, { ...binding, [name]: flipped } as Binding)).toThrow(
        code("BINDING_MISMATCH"),
      );
    }
  });

  it.each(RECORDED)("of %s is recognised by what a caller knows, and by nothing less", (_, reportData, binding) => {
    const { kind, ...inputs } = binding;
    const known = inputs as KnownInputs;
    expect(recogniseBinding(reportData, known)?.kind).toBe(kind);
    expect(recogniseBinding(reportData, { ...known, nonce: word(9) })).toBeUndefined();
    expect(recogniseBinding(reportData)).toBeUndefined();
  });

  it("is told apart by the evidence of devices that it names", () => {
    const [, reportData, binding] = RECORDED[2]!;
    const { kind: _, ...inputs } = binding;
    const known = inputs as KnownInputs;
    expect(recogniseBinding(reportData, known)?.bound).toContain("the evidence of the GPUs");
    const { gpuEvidenceHash: __, ...without } = known as Record<string, Hex>;
    expect(recogniseBinding(reportData, without)).toBeUndefined();
    expect(recogniseBinding(reportData, { ...known, nvswitchEvidenceHash: word(1) })?.bound).not.toContain(
      "the evidence of the switches",
    );
  });
});

describe("dstack's report data", () => {
  const content = toHex(utf8("hello"));
  const padded = (hex: string): Hex => `0x${hex.padEnd(128, "0")}`;

  // printf 'app-data:hello' | openssl dgst -…; keccak256 by ethers.
  it.each([
    ["sha256", "57d90585d4b2cce9b2818a7b2a01398d5d2d6a8cb7ca8b735acb8d3203cf8a77"],
    ["sha384", "1a316c913dd051238ab7414cd2fbbf48e4f16c8c6c00adb2a2f975d6ce01b43f844c6dc053262f3283ba928c7b883f60"],
    [
      "sha512",
      "e39fd3dbee991d65e65cc38c6e9d664324929816279a19b495bcd3f77a62d81949ba61282d8a732916d39bb9f6a6a16d11211c0d800b6ffc56ecf74419a7c835",
    ],
    ["sha3-256", "393205b584269b6c90c9c2ebea4f782ca50b4d13771568f83c868788dfadb821"],
    ["sha3-384", "74ae0b2a56d9367f1678987363eb63649d4d26a00a3adf440f6aac6fd15d95808aeb015c138fc8e842dcbd81aaa3fe5b"],
    [
      "sha3-512",
      "b0c3ee1f3a00e4d97dc29a8f69da29d724494ba2f3f46d8c987bccd96bd1af9e64c73bf81c0048fd51ae8d71391b6da0c9e2c62c748fda447e996f4c45c4516c",
    ],
    ["keccak256", "8ed51239a438104e85ca8d86fa87fbc67c21d00b124c0ff7eceee34309f5f362"],
  ] as const)("is a hash of tag and content: %s", (hash, digest) => {
    const reportData = padded(digest);
    const binding: Binding = { kind: "dstack", tag: "app-data", content, hash };
    expect(checkBinding(reportData, binding).bound).toEqual(["the content", 'the tag "app-data"']);
    expect(recogniseBinding(reportData, { content })).toMatchObject({ kind: "dstack" });
    expect(recogniseBinding(reportData, { content: toHex(utf8("hallo")) })).toBeUndefined();
    for (const wrong of [
      { tag: "kms-root-ca" },
      { content: "0x" },
      { hash: hash === "sha512" ? "sha256" : "sha512" },
    ] as const) {
      expect(() => checkBinding(reportData, { ...binding, ...wrong })).toThrow(code("BINDING_MISMATCH"));
    }
    expect(() => checkBinding(flip(reportData, 63), binding)).toThrow(code("BINDING_MISMATCH"));
  });

  it("has sha512 unless an app asks for another", () => {
    const [reportData, binding] = [
      dstackData("sha512", "app-data"),
      { kind: "dstack", tag: "app-data", content } as const,
    ];
    expect(checkBinding(reportData, binding).kind).toBe("dstack");
  });

  it("may have a tag of the app's own, but for one that could be split", () => {
    const reportData = dstackData("sha512", "acme-account");
    expect(recogniseBinding(reportData, { content })).toBeUndefined();
    expect(recogniseBinding(reportData, { content, tags: ["acme-account"] })?.bound).toContain(
      'the tag "acme-account"',
    );
    for (const tag of ["a:b", "", 5 as unknown as string]) {
      expect(() => checkBinding(reportData, { kind: "dstack", tag, content })).toThrow(code("INPUT_INVALID"));
    }
    const hash = "md5" as "sha512";
    expect(() => checkBinding(reportData, { kind: "dstack", tag: "x", content, hash })).toThrow(code("INPUT_INVALID"));
  });

  it("is the TLS key's for RA-TLS", () => {
    const spki = word(7);
    const reportData = toHex(new Uint8Array(createHash("sha512").update("ratls-cert:").update(filled(7, 32)).digest()));
    expect(recogniseBinding(reportData, { spki })).toMatchObject({
      kind: "ra-tls",
      bound: ["the TLS key", 'the tag "ratls-cert"'],
    });
    expect(() => checkBinding(reportData, { kind: "ra-tls", spki: word(8) })).toThrow(code("BINDING_MISMATCH"));
  });

  it("may be the content itself, of which trailing zeros are anybody's", () => {
    const binding: Binding = { kind: "dstack-raw", content: "0x1234" };
    expect(checkBinding(padded("1234"), binding).unbound[0]).toContain("zeros");
    expect(() => checkBinding(padded("123400000001"), binding)).toThrow(code("BINDING_MISMATCH"));
    expect(recogniseBinding(padded("1234"), { content: "0x1234" })?.kind).toBe("dstack-raw");
    expect(() => checkBinding(padded(""), { kind: "dstack-raw", content: toHex(filled(1, 65)) })).toThrow(
      code("INPUT_INVALID"),
    );
    expect(recogniseBinding(padded(""), { content: toHex(filled(1, 65)) })).toBeUndefined();
  });

  it("names a key in dip1's form, read strictly", () => {
    // From dstack's own tests of its agent.
    const secp256k1 = utf8("dip1::secp256k1c-pk:A6t_JdVkVdMAocH3f1f20WGT6JzdntxcXimUtEax8zc9");
    const ed25519 = concat(utf8("dip1::ed25519-pk:5Pbre1Amf1hrp2V2bbfKlIfxpQb2pJAmrgmhxgVoG9s"), new Uint8Array(4));
    for (const [data, length, start] of [
      [secp256k1, 33, "0x03ab7f25"],
      [ed25519, 32, "0xe4f6eb7b"],
    ] as const) {
      const key = dip1PublicKey(toHex(data))!;
      expect(key).toHaveLength(2 + 2 * length);
      expect(key.startsWith(start)).toBe(true);
      expect(checkBinding(toHex(data), { kind: "dip1", publicKey: key }).bound).toEqual(["the public key"]);
      expect(recogniseBinding(toHex(data))?.kind).toBe("dip1");
      for (let i = 0; i < 64; i++) expect(dip1PublicKey(flip(toHex(data), i))).not.toBe(key);
    }
    const wrong = [
      "dip1::ed25519-pk:AAAA",
      "dip1::secp256k1c-pk:",
      "dip1::rsa-pk:AAAA",
      "dip1::ed25519-pk:+Pbre1Amf1hrp2V2bbfKlIfxpQb2pJAmrgmhxgVoG9s",
      "",
    ];
    for (const text of wrong)
      expect(dip1PublicKey(toHex(concat(utf8(text), new Uint8Array(64 - text.length))))).toBeUndefined();
    for (const publicKey of ["0x", toHex(filled(4, 33)), toHex(filled(2, 65))] as Hex[]) {
      expect(() => checkBinding(toHex(secp256k1), { kind: "dip1", publicKey })).toThrow(code("INPUT_INVALID"));
    }
  });

  function dstackData(hash: string, tag: string): Hex {
    return padded(createHash(hash).update(`${tag}:hello`).digest("hex"));
  }
});

describe("others' report data", () => {
  it("of Chutes hashes nonce and key as they are written", () => {
    const nonce = word(0xab);
    const publicKey = "uZiJNGyxxPfKeem06JNZFWq1toGUxNON5LIhATF7tobG0OQiYesTgCOUohunT8XL";
    const hash = new Uint8Array(createHash("sha256").update("ab".repeat(32)).update(publicKey).digest());
    const reportData = toHex(concat(hash, filled(0x5a, 32)));
    expect(checkBinding(reportData, { kind: "chutes", publicKey, nonce }).unbound).toContain("the last 32 bytes");
    expect(recogniseBinding(reportData, { e2ePublicKey: publicKey, nonce })?.kind).toBe("chutes");
    expect(() => checkBinding(reportData, { kind: "chutes", publicKey, nonce: word(1) })).toThrow(
      code("BINDING_MISMATCH"),
    );
    expect(() => checkBinding(reportData, { kind: "chutes", publicKey: "uZ", nonce })).toThrow(
      code("BINDING_MISMATCH"),
    );
    for (const wrong of ["", "a-b", 5 as unknown as string]) {
      expect(() => checkBinding(reportData, { kind: "chutes", publicKey: wrong, nonce })).toThrow(
        code("INPUT_INVALID"),
      );
    }
  });

  it("of Venice has zeros behind the address, and of NEAR addresses of both lengths", () => {
    const [, reportData, binding] = RECORDED[1]!;
    for (let i = 0; i < 64; i++)
      expect(() => checkBinding(flip(reportData, i), binding)).toThrow(code("BINDING_MISMATCH"));
    const near = { kind: "near", tlsFingerprint: word(1), nonce: word(2) } as const;
    for (const length of [20, 32]) {
      const address = filled(3, length);
      const hash = new Uint8Array(createHash("sha256").update(address).update(filled(1, 32)).digest());
      const data = toHex(concat(hash, filled(2, 32)));
      expect(checkBinding(data, { ...near, signingAddress: toHex(address) }).bound).toHaveLength(3);
    }
    expect(() => checkBinding(reportData, { ...near, signingAddress: "0x00" })).toThrow(code("INPUT_INVALID"));
  });

  it("of Tinfoil names switches only beside GPUs: a hash alone would pass for the other's", () => {
    const binding: Binding = { kind: "tinfoil-v3", tlsFingerprint: word(1), hpkeKey: word(2), nonce: word(3) };
    expect(() =>
      checkBinding((word(0) + "00".repeat(32)) as Hex, { ...binding, nvswitchEvidenceHash: word(4) }),
    ).toThrow(code("INPUT_INVALID"));
    const all = { ...binding, gpuEvidenceHash: word(4), nvswitchEvidenceHash: word(5) };
    const hash = createHash("sha256");
    for (const byte of [1, 2, 3, 4, 5]) hash.update(filled(byte, 32));
    const reportData: Hex = `0x${hash.digest("hex")}${"00".repeat(32)}`;
    expect(checkBinding(reportData, all).bound).toContain("the evidence of the switches");
    const { kind: _, ...known } = all;
    expect(recogniseBinding(reportData, known)?.bound).toContain("the evidence of the switches");
    expect(() => checkBinding(flip(reportData, 63), all)).toThrow(code("BINDING_MISMATCH"));
  });

  it("of Flashtestations is as its registry reads it", () => {
    // script/raw_tdx_quotes/0x12c1… of flashbots/flashtestations; its extended data are empty.
    const teeAddress = "0x12c14e56d585dcf3b36f37476c00e78ba9363742";
    const reportData: Hex = `${teeAddress}c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470${"00".repeat(12)}`;
    const binding: Binding = { kind: "flashtestations", teeAddress, extendedData: "0x" };
    expect(checkBinding(reportData, binding).bound).toContain("the TEE's address");
    expect(recogniseBinding(reportData, { teeAddress, extendedData: "0x" })?.kind).toBe("flashtestations");
    for (let i = 0; i < 52; i++)
      expect(() => checkBinding(flip(reportData, i), binding)).toThrow(code("BINDING_MISMATCH"));
    // The registry does not look at the last 12, and the answer says so.
    expect(checkBinding(flip(reportData, 60), binding).unbound[0]).toContain("last 12 bytes");
    expect(() => checkBinding(reportData, { ...binding, extendedData: "0x00" })).toThrow(code("BINDING_MISMATCH"));
  });

  it("a workload of Flashtestations has the name that its contract computes", () => {
    const measurements: Record<string, Hex> = {
      mrTd: "0x47a1cc074b914df8596bad0ed13d50d561ad1effc7f7cc530ab86da7ea49ffc03e57e7da829f8cba9c629c3970505323",
      mrConfigId: toHex(new Uint8Array(48)),
      rtmr0: "0x00e1dad5455e5fa87974edb69e13296dd1ba9fa86356d70b68be15dd5d36767643904de1893c1b4d47fc8d3a90675391",
      rtmr1: "0xa7157e7c5f932e9babac9209d4527ec9ed837b8e335a931517677fa746db51ee56062e3324e266e3f39ec26a516f4f71",
      rtmr2: "0xe63560e50830e22fbc9b06cdce8afe784bf111e4251256cf104050f1347cd4ad9f30da408475066575145da0b098a124",
      rtmr3: toHex(new Uint8Array(48)),
    };
    const tdx = { xfam: "0xe702060000000000", tdAttributes: "0x0000001000000000" };
    const claims = { family: "tdx", measurements, tdx } as unknown as Claims;
    const { mrTd, rtmr0, rtmr1, rtmr2, rtmr3, mrConfigId } = measurements;
    const fields = [mrTd!, rtmr0!, rtmr1!, rtmr2!, rtmr3!, mrConfigId!, tdx.xfam, tdx.tdAttributes];
    const types = [...Array<string>(6).fill("bytes"), "bytes8", "bytes8"];
    expect(flashtestationsWorkloadId(claims)).toBe(solidityPackedKeccak256(types, fields));
    expect(() => flashtestationsWorkloadId({ family: "snp", measurements: {} } as unknown as Claims)).toThrow(
      code("INPUT_INVALID"),
    );
  });
});

describe("no input", () => {
  it("is taken that a layout cannot hold", () => {
    for (const [, reportData, binding] of RECORDED) {
      for (const [name, value] of Object.entries(binding)) {
        if (name === "kind") continue;
        for (const wrong of ["0x", (value as string).toUpperCase(), `${value}00`, 5, null, undefined]) {
          const result = outcomeOf(() => checkBinding(reportData, { ...binding, [name]: wrong } as Binding));
          // Evidence of devices can be left out, which is another layout.
          const expected = wrong === undefined && name === "gpuEvidenceHash" ? "BINDING_MISMATCH" : "INPUT_INVALID";
          expect([name, wrong, result]).toEqual([name, wrong, expected]);
        }
      }
      for (const data of ["0x", word(1), `${reportData}00`, 5, null]) {
        expect(outcomeOf(() => checkBinding(data as Hex, binding))).toBe("INPUT_INVALID");
        expect(outcomeOf(() => recogniseBinding(data as Hex))).toBe("INPUT_INVALID");
      }
    }
    expect(outcomeOf(() => checkBinding(RECORDED[0]![1], { kind: "other" } as unknown as Binding))).toBe(
      "INPUT_INVALID",
    );
  });

  it("of any kind passes for another's report data", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (data) => {
        for (const [, , binding] of RECORDED) {
          expect(outcomeOf(() => checkBinding(toHex(data), binding))).toBe("BINDING_MISMATCH");
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe.skipIf(VECTORS === undefined)("recorded elsewhere", () => {
  it("a lite TD of dstack's names its key", () => {
    const { quote } = JSON.parse(vectorText("event-log", "verifier_fixtures_tdx-lite-getquote.json")) as {
      quote: string;
    };
    const { body } = parseQuote(new Uint8Array(Buffer.from(quote, "hex")));
    const key = dip1PublicKey(toHex(body.report.reportData))!;
    expect(key.slice(0, 4)).toBe("0x03");
    expect(recogniseBinding(toHex(body.report.reportData))?.kind).toBe("dip1");
  });

  const nitro = (id: string): NitroClaims => {
    const { pcrs, publicKey, userData, nonce } = parseNitroDocument(vector("nitro", id, "doc.cose"));
    const measurements = Object.fromEntries([...pcrs].map(([index, pcr]) => [`pcr${index}`, toHex(pcr)]));
    const fields = { publicKey, userData, nonce };
    const given = Object.entries(fields).flatMap(([name, value]) => (value ? [[name, toHex(value)]] : []));
    return { family: "nitro", measurements, ...Object.fromEntries(given) } as unknown as NitroClaims;
  };

  // sdks/rs/src/attestation.rs of marlinprotocol/oyster-monorepo has the same documents and their images' names.
  it("Marlin's images have the names that Marlin gives them", () => {
    const old = nitro("prod-2024-marlin-oyster");
    const custom = nitro("prod-2025-marlin-pcr16");
    expect(marlinImageId(old)).toBe("0xa6b0824d3c47f51542b3a18e6245c408490bef88ddc8d5e1bf8b95ec7eba1602");
    expect(marlinImageId(custom)).toBe("0xc28909dc8803cf0edf6113f3fb81d0494f4c92b63087242200e18a5be347aacd");
    const { pcr0, pcr1, pcr2 } = old.measurements;
    expect(marlinContractImageId(old)).toBe(keccak256(concatHex([pcr0!, pcr1!, pcr2!])));
  });

  it("a document of Marlin's is bound to the enclave's key and image", () => {
    const claims = nitro("prod-2024-marlin-oyster");
    const publicKey =
      "0xe646f8b0071d5ba75931402522cc6a5c42a84a6fea238864e5ac9a0e12d83bd36d0c8109d3ca2b699fce8d082bf313f5d2ae249bb275b6b6e91e0fcd9262f4bb";
    const binding = { publicKey, marlinImageId: marlinImageId(claims) } as const;
    expect(checkNitroBinding(claims, binding)).toEqual({
      bound: ["the public key", "the image"],
      unbound: ["the user data", "the nonce"],
    });
    for (const wrong of [
      { publicKey: flip(publicKey, 0) },
      { marlinImageId: word(1) },
      { nonce: word(1) },
      { userData: "0x01" as Hex },
    ]) {
      expect(() => checkNitroBinding(claims, { ...binding, ...wrong })).toThrow(code("BINDING_MISMATCH"));
    }
    expect(() => checkNitroBinding(claims, { publicKey: "0xAB" as Hex })).toThrow(code("INPUT_INVALID"));
  });
});

function flip(hex: Hex, byte: number): Hex {
  const bytes = new Uint8Array(Buffer.from(hex.slice(2), "hex"));
  bytes[byte]! ^= 1;
  return toHex(bytes);
}

it("zeros bind nothing, whatever the layout", () => {
  const unbound = toHex(filled(0, 64));
  expect(() => checkBinding(unbound, { kind: "dstack-raw", content: "0x" })).toThrow(code("INPUT_INVALID"));
  expect(() => checkBinding(unbound, { kind: "dstack-raw", content: "0x0000" })).toThrow(code("INPUT_INVALID"));
  expect(() => checkBinding(unbound, { kind: "dstack-raw", content: "0x01" })).toThrow(code("BINDING_MISMATCH"));
});
