/** LazAI's EIP-191 signatures, against their own golden vector and against ethers. */
import { AbiCoder, getAddress, hashMessage, keccak256, Wallet } from "ethers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, type Hex, keccak, toHex, utf8 } from "../../src/field/bytes.js";
import {
  checkDigitalCheck,
  checkProofData,
  type DigitalCheck,
  digitalCheckHash,
  encodeProofData,
  LAZAI_HEADERS,
  type ProofData,
  personalDigest,
  proofDataHash,
  recoverDigitalCheckSigner,
  recoverProofSigner,
  requestFromHeaders,
  requestToHeaders,
  signDigitalCheck,
  signProofData,
} from "../../src/protocol/lazai.js";
import { accountOf } from "../../src/protocol/signature.js";

const secret = toHex(keccak(utf8("secret/lazai node")));
const node = accountOf(secret);

const uint = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });
const address = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((value): Hex => toHex(value));
const text = fc.string({ unit: "grapheme", maxLength: 80 });
const proofData: fc.Arbitrary<ProofData> = fc.record({ id: uint, score: uint, fileUrl: text, proofUrl: text });

/** LazAI's own test (Workflow.t.sol of lazbubu-contracts), whose signer is the test network's node. */
const GOLDEN = {
  data: { id: 1n, score: 1n, fileUrl: "", proofUrl: "" },
  hash: "0x80c0362916c5c4aebedc89e723e574efcf3b4b7c9b06e43d5e8e04f0bb08158e",
  digest: "0x2bfdc8492458a6c27e7963584e58e2790e32b12f5b77c144ade0c91c9783b6dc",
  signature:
    "0xfd10d06dda9347726b73eabfa7565524090f1d259a799a580a61fc0f54a52b347f958e9efe2ea35193f6924acd796eb0cdd2eda415f18fe438cdb8a88b541d4e1b",
  signer: "0x34d9e02f9bb4e4c8836e38df4320d4a79106f194",
} as const;

describe("ProofData", () => {
  it("reproduces the golden vector", () => {
    expect(proofDataHash(GOLDEN.data)).toBe(GOLDEN.hash);
    expect(personalDigest(GOLDEN.hash)).toBe(GOLDEN.digest);
    expect(recoverProofSigner(GOLDEN.data, GOLDEN.signature)).toBe(GOLDEN.signer);
    expect(recoverProofSigner({ ...GOLDEN.data, score: 2n }, GOLDEN.signature)).not.toBe(GOLDEN.signer);
  });

  it("is encoded and signed as ethers does it", async () => {
    const wallet = new Wallet(secret);
    await fc.assert(
      fc.asyncProperty(proofData, async (data) => {
        const type = "tuple(uint256 id, uint256 score, string fileUrl, string proofUrl)";
        const encoded = AbiCoder.defaultAbiCoder().encode([type], [data]);
        expect(toHex(encodeProofData(data))).toBe(encoded);
        const hash = keccak256(encoded) as Hex;
        expect(personalDigest(hash)).toBe(hashMessage(fromHex(hash, "hash")));
        const signature = signProofData(secret, data);
        expect(signature).toBe(await wallet.signMessage(fromHex(hash, "hash")));
        expect(recoverProofSigner(data, signature)).toBe(node);
      }),
      { numRuns: 40 },
    );
  });

  it("is refused for another file than the one that it is attached to, though the registry takes it", () => {
    const data = { id: 7n, score: 5000n, fileUrl: "ipfs://file", proofUrl: "ipfs://proof" };
    const file = { id: 7n, url: "ipfs://file" };
    const signature = signProofData(secret, data);
    checkProofData(data, signature, node, file);
    const cheats: [ProofData, typeof file, string][] = [
      [data, { ...file, id: 8n }, "STATEMENT_INVALID"],
      [data, { ...file, url: "ipfs://other" }, "STATEMENT_INVALID"],
      [{ ...data, id: 8n }, { ...file, id: 8n }, "SIGNATURE_INVALID"],
      [{ ...data, score: 5001n }, file, "SIGNATURE_INVALID"],
      [{ ...data, proofUrl: "ipfs://proof2" }, file, "SIGNATURE_INVALID"],
    ];
    for (const [shown, of, code] of cheats) {
      expect(() => checkProofData(shown, signature, node, of)).toThrowError(expect.objectContaining({ code }));
    }
    const nothing = { ...data, score: 0n };
    expect(() => checkProofData(nothing, signProofData(secret, nothing), node, file)).toThrowError(
      expect.objectContaining({ code: "STATEMENT_INVALID" }),
    );
    expect(() => checkProofData(data, signature, GOLDEN.signer, file)).toThrowError(
      expect.objectContaining({ code: "SIGNATURE_INVALID" }),
    );
  });

  it("takes integers of 256 bits and well-formed text only", () => {
    const data = { id: 1n, score: 1n, fileUrl: "", proofUrl: "" };
    for (const bad of [
      { ...data, id: -1n },
      { ...data, score: 2n ** 256n },
      { ...data, score: 1 as unknown as bigint },
      { ...data, fileUrl: "\ud800" },
      { ...data, proofUrl: undefined as unknown as string },
    ]) {
      expect(() => encodeProofData(bad)).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
    }
  });
});

describe("a digital check", () => {
  const check: fc.Arbitrary<DigitalCheck> = fc.record({ nonce: uint, user: address, node: address });

  it("is hashed and signed as ethers does it", async () => {
    const wallet = new Wallet(secret);
    await fc.assert(
      fc.asyncProperty(check, async (value) => {
        const encoded = AbiCoder.defaultAbiCoder().encode(
          ["uint256", "address", "address"],
          [value.nonce, value.user, value.node],
        );
        const hash = keccak256(encoded) as Hex;
        expect(digitalCheckHash(value)).toBe(hash);
        const signature = signDigitalCheck(secret, value);
        expect(signature).toBe(await wallet.signMessage(fromHex(hash, "hash")));
        expect(recoverDigitalCheckSigner(value, signature)).toBe(node);
      }),
      { numRuns: 40 },
    );
  });

  it("holds for its user, node and nonce, and for any cost: none is in it", () => {
    const value = { nonce: 5n, user: node, node: GOLDEN.signer };
    const signature = signDigitalCheck(secret, value);
    checkDigitalCheck(value, signature);
    for (const other of [
      { ...value, nonce: 6n },
      { ...value, user: GOLDEN.signer },
      { ...value, node },
    ]) {
      expect(() => checkDigitalCheck(other, signature)).toThrowError(
        expect.objectContaining({ code: "SIGNATURE_INVALID" }),
      );
    }
  });
});

describe("request headers", () => {
  const signature = signDigitalCheck(secret, { nonce: 5n, user: node, node: GOLDEN.signer });
  const request = { user: node, nonce: 5n, signature, tokenId: 3n, fileId: 0n };
  const headers = requestToHeaders(request);

  it("round trip, and have the SDKs' names", () => {
    expect(headers).toEqual({
      "X-LazAI-User": node,
      "X-LazAI-Nonce": "5",
      "X-LazAI-Signature": signature,
      "X-LazAI-Token-ID": "3",
      "X-LazAI-File-ID": "0",
    });
    expect(requestFromHeaders(headers)).toEqual(request);
    const { tokenId: _, fileId: __, ...bare } = request;
    expect(requestFromHeaders(requestToHeaders(bare))).toEqual(bare);
  });

  it("are read as the SDKs write them: any case of names, a checksummed address, no 0x, an empty id", () => {
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    expect(requestFromHeaders({ ...lower, host: "localhost", accept: ["a", "b"] })).toEqual(request);
    const python = {
      ...headers,
      [LAZAI_HEADERS.user]: getAddress(node),
      [LAZAI_HEADERS.signature]: signature.slice(2),
      [LAZAI_HEADERS.fileId]: "",
    };
    const { fileId: _, ...rest } = request;
    expect(requestFromHeaders(python)).toEqual(rest);
  });

  it.each<[string, Record<string, unknown>]>([
    ["no user", { ...headers, [LAZAI_HEADERS.user]: undefined }],
    ["a user that is no address", { ...headers, [LAZAI_HEADERS.user]: node.slice(0, -2) }],
    ["a wrong checksum", { ...headers, [LAZAI_HEADERS.user]: swapCase(getAddress(node)) }],
    ["an empty nonce", { ...headers, [LAZAI_HEADERS.nonce]: "" }],
    ["a nonce in hex", { ...headers, [LAZAI_HEADERS.nonce]: "0x5" }],
    ["a nonce with a zero in front", { ...headers, [LAZAI_HEADERS.nonce]: "05" }],
    ["a nonce with space", { ...headers, [LAZAI_HEADERS.nonce]: " 5" }],
    ["a nonce of 257 bits", { ...headers, [LAZAI_HEADERS.nonce]: (2n ** 256n).toString() }],
    ["a short signature", { ...headers, [LAZAI_HEADERS.signature]: signature.slice(0, -2) }],
    ["a signature in upper case", { ...headers, [LAZAI_HEADERS.signature]: signature.toUpperCase() }],
    ["a header as a list", { ...headers, [LAZAI_HEADERS.nonce]: ["5"] }],
    ["a header twice", { ...headers, "x-lazai-nonce": "5" }],
    ["a file id that is none", { ...headers, [LAZAI_HEADERS.fileId]: "one" }],
  ])("refuse %s", (_, bad) => {
    expect(() => requestFromHeaders(bad)).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
  });
});

/** An address of which two letters have the wrong case. */
function swapCase(checksummed: string): string {
  let left = 1;
  return checksummed.replace(/[a-fA-F]/g, (letter) =>
    left-- > 0 ? (letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase()) : letter,
  );
}
