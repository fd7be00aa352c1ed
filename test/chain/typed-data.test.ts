/** The contracts, src/protocol and ethers compute the same digests, each by its own code. */
import { AbiCoder, Contract, keccak256, TypedDataEncoder, toUtf8Bytes } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { artefact, compileProtocolContracts } from "../../src/chain/compile.js";
import { BATCH_TYPES, batchDigest } from "../../src/protocol/batch.js";
import { type Domain, encodeType, type TypeTable } from "../../src/protocol/eip712.js";
import { VOTE_TYPES, voteDigest } from "../../src/protocol/quorum.js";
import { RECEIPT_TYPES, receiptDigest } from "../../src/protocol/settlement.js";
import {
  CIRCUIT_TYPES,
  contextSignal,
  datId,
  type InferenceStatement,
  REVOCATION_TYPES,
  revocationDigest,
  STATEMENT_TYPES,
  statementDigest,
} from "../../src/protocol/statements.js";
import { asset, bytes, task, uint } from "./arbitraries.js";
import { useChain } from "./fixture.js";
import { createWorld, type World } from "./world.js";

const chain = useChain();
let world: World;

beforeAll(async () => {
  world = await createWorld(chain);
});

const inference: fc.Arbitrary<InferenceStatement> = fc.record({
  task,
  modelDigest: bytes(32),
  output: uint(256),
  inputCommitment: uint(256),
});

/** By ethers, which wants a table with exactly the types that the primary one reaches. */
function byEthers({ chainId, verifyingContract }: Domain, table: TypeTable, primary: string, value: object): string {
  const reached = [...encodeType(table, primary).matchAll(/([A-Z]\w*)\(/g)].map(([, name]) => name!);
  const types = Object.fromEntries(reached.map((name) => [name, table[name]!.map((field) => ({ ...field }))]));
  return TypedDataEncoder.hash({ name: "anchorproof", version: "1", chainId, verifyingContract }, types, value);
}

describe("digests", () => {
  it("of dataset statements", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({ task, asset, chunkIndex: uint(256), chunkRecords: uint(256) }),
        async (statement) => {
          const digest = statementDigest(world.gate, "DatasetStatement", statement);
          expect(await world.client.gate.statementDigest("DatasetStatement", statement)).toBe(digest);
          expect(byEthers(world.gate, STATEMENT_TYPES, "DatasetStatement", statement)).toBe(digest);
        },
      ),
      { numRuns: 15 },
    ));

  it("of inference statements", () =>
    fc.assert(
      fc.asyncProperty(inference, async (statement) => {
        const digest = statementDigest(world.gate, "InferenceStatement", statement);
        expect(await world.client.gate.statementDigest("InferenceStatement", statement)).toBe(digest);
        expect(byEthers(world.gate, STATEMENT_TYPES, "InferenceStatement", statement)).toBe(digest);
      }),
      { numRuns: 15 },
    ));

  it("of model statements", () =>
    fc.assert(
      fc.asyncProperty(fc.record({ asset, circuitDigest: bytes(32), sample: inference }), async (statement) => {
        const digest = statementDigest(world.gate, "ModelStatement", statement);
        expect(await world.client.gate.statementDigest("ModelStatement", statement)).toBe(digest);
        expect(byEthers(world.gate, STATEMENT_TYPES, "ModelStatement", statement)).toBe(digest);
      }),
      { numRuns: 15 },
    ));

  it("of adapted inferences, and of the adapters that they show", () =>
    fc.assert(
      fc.asyncProperty(asset, inference, uint(256), async (token, plain, adapterCommitment) => {
        const sample = { ...plain, adapterCommitment };
        const inferenceDigest = statementDigest(world.gate, "AdaptedInferenceStatement", sample);
        expect(await world.client.gate.statementDigest("AdaptedInferenceStatement", sample)).toBe(inferenceDigest);
        expect(byEthers(world.gate, STATEMENT_TYPES, "AdaptedInferenceStatement", sample)).toBe(inferenceDigest);
        const statement = { asset: token, sample };
        const digest = statementDigest(world.gate, "AdapterStatement", statement);
        expect(await world.client.gate.statementDigest("AdapterStatement", statement)).toBe(digest);
        expect(byEthers(world.gate, STATEMENT_TYPES, "AdapterStatement", statement)).toBe(digest);
      }),
      { numRuns: 15 },
    ));

  it("of inferences as assets", () =>
    fc.assert(
      fc.asyncProperty(fc.record({ asset, inference }), async (statement) => {
        const digest = statementDigest(world.gate, "InferenceAssetStatement", statement);
        expect(await world.client.gate.statementDigest("InferenceAssetStatement", statement)).toBe(digest);
        expect(byEthers(world.gate, STATEMENT_TYPES, "InferenceAssetStatement", statement)).toBe(digest);
      }),
      { numRuns: 15 },
    ));

  it("of revocations, whatever the reason's letters", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          taskId: bytes(32),
          token: bytes(20),
          datId: uint(256),
          reason: fc.string({ unit: "grapheme" }),
          evidenceDigest: bytes(32),
          nonce: uint(256),
          deadline: uint(256),
        }),
        async (revocation) => {
          const digest = revocationDigest(world.gate, revocation);
          expect(await world.client.gate.revocationDigest(revocation)).toBe(digest);
          expect(byEthers(world.gate, REVOCATION_TYPES, "Revocation", revocation)).toBe(digest);
        },
      ),
      { numRuns: 15 },
    ));

  it("of votes", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          epoch: uint(64),
          taskId: bytes(32),
          round: uint(32),
          statementDigest: bytes(32),
          evidenceDigest: bytes(32),
          verdict: uint(8),
        }),
        async (vote) => {
          const digest = voteDigest(world.quorum, vote);
          expect(await world.client.quorum.voteDigest(vote)).toBe(digest);
          expect(byEthers(world.quorum, VOTE_TYPES, "Vote", vote)).toBe(digest);
        },
      ),
      { numRuns: 15 },
    ));

  it("of receipts", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          user: bytes(20),
          node: bytes(20),
          datId: uint(256),
          nonce: uint(256),
          cost: uint(256),
          costCap: uint(256),
          token: bytes(20),
          parameterVersion: uint(256),
          deadline: uint(256),
          usage: uint(256),
          requestHash: bytes(32),
          responseHash: bytes(32),
          evidenceDigest: bytes(32),
        }),
        async (receipt) => {
          const digest = receiptDigest(world.settlement, receipt);
          expect(await world.client.settlement.receiptDigest(receipt)).toBe(digest);
          expect(byEthers(world.settlement, RECEIPT_TYPES, "Receipt", receipt)).toBe(digest);
        },
      ),
      { numRuns: 15 },
    ));

  it("of batches of receipts", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          user: bytes(20),
          node: bytes(20),
          token: bytes(20),
          root: bytes(32),
          count: uint(256),
          costCap: uint(256),
          nonce: uint(256),
          deadline: uint(256),
        }),
        async (batch) => {
          const digest = batchDigest(world.settlement, batch);
          expect(await world.client.settlement.batchDigest(batch)).toBe(digest);
          expect(byEthers(world.settlement, BATCH_TYPES, "ReceiptBatch", batch)).toBe(digest);
        },
      ),
      { numRuns: 15 },
    ));
});

it("the context signal is 253 bits of keccak256 over abi.encode, per circuit type", () =>
  fc.assert(
    fc.asyncProperty(task, async (value) => {
      for (const circuitType of ["datasetChunk", "inference", "adaptedInference"] as const) {
        const words = AbiCoder.defaultAbiCoder().encode(
          [
            "bytes32",
            "bytes32",
            "uint256",
            "address",
            "bytes32",
            "bytes32",
            "address",
            "address",
            "uint256",
            "uint256",
          ],
          [
            keccak256(toUtf8Bytes("anchorproof/context/1")),
            CIRCUIT_TYPES[circuitType],
            world.gate.chainId,
            world.gate.verifyingContract,
            value.keyDigest,
            value.taskId,
            value.requester,
            value.payee,
            value.nonce,
            value.deadline,
          ],
        );
        const context = BigInt(keccak256(words)) >> 3n;
        expect(await world.client.gate.contextOf(circuitType, value)).toBe(context);
        expect(contextSignal(world.gate, CIRCUIT_TYPES[circuitType], value)).toBe(context);
      }
    }),
    { numRuns: 15 },
  ));

it("a token's id is the same in both, and differs by class and commitment", () =>
  fc.assert(
    fc.asyncProperty(uint(8), bytes(32), async (assetClass, commitment) => {
      const id = datId(assetClass, commitment);
      expect(await world.client.token.idOf(assetClass, commitment)).toBe(id);
      expect(datId(assetClass ^ 1n, commitment)).not.toBe(id);
    }),
    { numRuns: 15 },
  ));

it("each contract announces its own EIP-712 domain", async () => {
  const artefacts = await compileProtocolContracts();
  for (const [name, address] of [
    ["MintGate", world.deployment.gate],
    ["Quorum", world.deployment.quorum],
    ["UsageSettlement", world.deployment.settlement],
  ] as const) {
    const contract = new Contract(address, artefact(artefacts, name).abi, chain.provider);
    const [, domainName, version, chainId, verifyingContract] = await contract.getFunction("eip712Domain")();
    expect([domainName, version, chainId, verifyingContract.toLowerCase()]).toEqual([
      "anchorproof",
      "1",
      31337n,
      address,
    ]);
  }
});
