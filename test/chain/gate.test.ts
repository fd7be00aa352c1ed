import { Interface, Wallet } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { encodeCertificate } from "../../src/chain/client/certificate.js";
import { AnchorClient } from "../../src/chain/client/index.js";
import { artefact, compileContracts, compileProtocolContracts } from "../../src/chain/compile.js";
import { deployProtocol } from "../../src/chain/deploy.js";
import type { Hex } from "../../src/field/bytes.js";
import { R } from "../../src/field/scalar.js";
import { accountOf } from "../../src/protocol/signature.js";
import { type DatasetStatement, publicSignals, statementDigest } from "../../src/protocol/statements.js";
import { evidenceDigest, proofWords } from "../../src/verifier/groth16.js";
import { advance, deploy, digestOf, errorData, expectRevert, now, secretOf, undone, useChain } from "./fixture.js";
import { rerandomise, simulateProof } from "./simulated.js";
import {
  certify,
  createWorld,
  DATASET_KEY,
  type Evidence,
  INFERENCE_KEY,
  makeDataset,
  makeInference,
  makeModel,
  type Prepared,
  prepareDataset,
  prepareModel,
  proveDataset,
  proveInference,
  type World,
} from "./world.js";

const chain = useChain();
let world: World;
let client: AnchorClient;

beforeAll(async () => {
  world = await createWorld(chain);
  client = world.client;
});

describe("minting a dataset", () => {
  it("mints the supply to the requester, whoever sends the transaction", async () => {
    const statement = await makeDataset(chain, world);
    const { proof, certificate } = prepareDataset(world, statement);
    const digest = statementDigest(world.gate, "DatasetStatement", statement);
    expect(await client.gate.isUsed(digest)).toBe(false);
    const stranger = await world.as(7);
    const minted = await stranger.gate.mintDataset(statement, proof, certificate, world.epoch);
    expect(minted.statementDigest).toBe(digest);
    expect(minted.datId).toBe(await client.token.idOf(1n, statement.asset.commitment));
    expect(await client.gate.isUsed(digest)).toBe(true);
    expect(await client.token.balanceOf(statement.task.requester, minted.datId)).toBe(100n);
    const { token: _, ...asset } = statement.asset;
    expect(await client.token.recordOf(minted.datId)).toEqual({
      ...asset,
      revoked: false,
      creator: statement.task.requester,
      mintedAt: await now(chain.provider),
    });
  });

  it("says what the call minted, though the requester had another minted when it was called back", async () => {
    const source = `pragma solidity 0.8.37;
      contract Requester {
        bytes private _next;
        function arm(bytes calldata next) external { _next = next; }
        function onERC1155Received(address, address, uint256, uint256, bytes calldata) external returns (bytes4) {
          bytes memory next = _next;
          delete _next;
          if (next.length != 0) {
            (bool ok,) = GATE.call(next);
            require(ok);
          }
          return this.onERC1155Received.selector;
        }
      }`.replace("GATE", `address(uint160(${BigInt(world.gate.verifyingContract)}))`);
    const requester = await deploy(
      chain.accounts[0]!,
      (await compileContracts({ "Requester.sol": source }))["Requester"]!,
    );
    const address = (await requester.getAddress()).toLowerCase() as Hex;
    const [outer, inner] = [
      await makeDataset(chain, world, { task: { requester: address } }),
      await makeDataset(chain, world, { task: { requester: address } }),
    ];
    const [a, b] = [prepareDataset(world, outer), prepareDataset(world, inner)];
    const abi = new Interface(artefact(await compileProtocolContracts(), "MintGate").abi);
    const call = [inner, proofWords(b.proof), encodeCertificate(world.epoch, b.certificate)];
    await (await requester.getFunction("arm")(abi.encodeFunctionData("mintDataset", call))).wait();
    const minted = await client.gate.mintDataset(outer, a.proof, a.certificate, world.epoch);
    expect(await client.token.isVerified(await client.token.idOf(1n, inner.asset.commitment))).toBe(true);
    expect(minted.statementDigest).toBe(a.subject.statementDigest);
    expect(minted.datId).toBe(await client.token.idOf(1n, outer.asset.commitment));
  });

  it("refuses a replay, and a replay with a re-randomised proof and fresh votes", async () => {
    const statement = await makeDataset(chain, world);
    const { proof, certificate, subject } = prepareDataset(world, statement);
    await client.gate.mintDataset(statement, proof, certificate, world.epoch);
    await expectRevert(client.gate.mintDataset(statement, proof, certificate, world.epoch), "StatementUsed");
    await expectRevert(
      client.gate.mintDataset(statement, rerandomise(proof), certify(world, subject), world.epoch),
      "StatementUsed",
    );
  });

  it("refuses a re-randomised proof under votes for the original: votes are over the evidence", async () => {
    const statement = await makeDataset(chain, world);
    const { proof, certificate } = prepareDataset(world, statement);
    await expectRevert(client.gate.mintDataset(statement, rerandomise(proof), certificate, world.epoch), "SignerWrong");
  });

  it("refuses the same commitment under another task", async () => {
    const first = await makeDataset(chain, world);
    const a = prepareDataset(world, first);
    await client.gate.mintDataset(first, a.proof, a.certificate, world.epoch);
    const second = await makeDataset(chain, world, { asset: { commitment: first.asset.commitment } });
    const b = prepareDataset(world, second);
    await expectRevert(client.gate.mintDataset(second, b.proof, b.certificate, world.epoch), "AlreadyAnchored");
    expect(await client.gate.isUsed(statementDigest(world.gate, "DatasetStatement", second))).toBe(false);
  });

  it("accepts at the deadline's second and refuses after it", async () => {
    await undone(chain.provider, async () => {
      const deadline = (await now(chain.provider)) + 1000n;
      const statement = await makeDataset(chain, world, { task: { deadline } });
      const { proof, certificate } = prepareDataset(world, statement);
      await undone(chain.provider, async () => {
        await chain.provider.send("evm_setNextBlockTimestamp", [Number(deadline)]);
        await client.gate.mintDataset(statement, proof, certificate, world.epoch);
        expect(await now(chain.provider)).toBe(deadline);
      });
      await advance(chain.provider, 1001n);
      await expectRevert(client.gate.mintDataset(statement, proof, certificate, world.epoch), "DeadlinePassed");
    });
  });

  it("refuses every bound field when it is changed after proving", async () => {
    const statement = await makeDataset(chain, world);
    const { proof } = prepareDataset(world, statement);
    const { task, asset } = statement;
    const other = chain.addresses[5]!;
    const changed = [
      { ...statement, task: { ...task, requester: other } },
      { ...statement, task: { ...task, payee: other } },
      { ...statement, task: { ...task, nonce: task.nonce + 1n } },
      { ...statement, task: { ...task, deadline: task.deadline + 1n } },
      { ...statement, task: { ...task, taskId: digestOf("other") } },
      { ...statement, chunkIndex: 4n },
      { ...statement, chunkRecords: 127n },
      {
        ...statement,
        asset: { ...asset, commitment: digestOf("low").replace("0x", "0x00").slice(0, 66) as `0x${string}` },
      },
    ];
    for (const forged of changed) {
      // Votes are given for the forgery, so that nothing but the proof stands in its way.
      const { certificate } = prepareDataset(world, forged);
      await expectRevert(client.gate.mintDataset(forged, proof, certificate, world.epoch), "ProofInvalid");
    }
  });

  it("refuses every unproven field when it is changed after voting", async () => {
    const statement = await makeDataset(chain, world);
    const { proof, certificate } = prepareDataset(world, statement);
    for (const asset of [{ supply: 101n }, { metadataDigest: digestOf("other") }, { parents: [1n] }]) {
      const forged = { ...statement, asset: { ...statement.asset, ...asset } };
      await expectRevert(client.gate.mintDataset(forged, proof, certificate, world.epoch), "SignerWrong");
    }
  });

  it("refuses an alias of the commitment", async () => {
    const statement = await makeDataset(chain, world);
    const { proof } = prepareDataset(world, statement);
    const commitment = `0x${(BigInt(statement.asset.commitment) + R).toString(16).padStart(64, "0")}` as const;
    const forged = { ...statement, asset: { ...statement.asset, commitment } };
    const { certificate } = prepareDataset(world, forged);
    await expectRevert(client.gate.mintDataset(forged, proof, certificate, world.epoch), "PublicSignalNotInField");
  });

  it("refuses unknown and frozen keys, and keys for other statements", async () => {
    const unknown = await makeDataset(chain, world, { task: { keyDigest: digestOf("no key") } });
    const prepared = prepareDataset(world, unknown);
    await expectRevert(
      client.gate.mintDataset(unknown, prepared.proof, prepared.certificate, world.epoch),
      "KeyUnknown",
    );

    const wrong = await makeDataset(chain, world, { task: { keyDigest: world.inferenceKey } });
    const other = prepareDataset(world, wrong);
    await expectRevert(
      client.gate.mintDataset(wrong, other.proof, other.certificate, world.epoch),
      "StatementTypeMismatch",
    );

    await undone(chain.provider, async () => {
      const statement = await makeDataset(chain, world);
      const { proof, certificate } = prepareDataset(world, statement);
      await client.registry.freeze(world.datasetKey);
      await expectRevert(client.gate.mintDataset(statement, proof, certificate, world.epoch), "KeyFrozen");
    });
  });

  it("refuses classes other than dataset", async () => {
    for (const assetClass of [0n, 2n, 3n, 4n, 255n]) {
      const statement = await makeDataset(chain, world, { asset: { class: assetClass } });
      const { proof, certificate } = prepareDataset(world, statement);
      await expectRevert(client.gate.mintDataset(statement, proof, certificate, world.epoch), "AssetClassWrong");
    }
  });

  it("refuses unknown and repeated parents, too many parents, and no supply; accepts known parents", async () => {
    const first = await makeDataset(chain, world);
    const base = prepareDataset(world, first);
    const { datId } = await client.gate.mintDataset(first, base.proof, base.certificate, world.epoch);
    const attempt = async (asset: object) => {
      const statement = await makeDataset(chain, world, { asset });
      const { proof, certificate } = prepareDataset(world, statement);
      return client.gate.mintDataset(statement, proof, certificate, world.epoch);
    };
    await expectRevert(attempt({ parents: [datId, 1n] }), "ParentUnknown");
    await expectRevert(attempt({ parents: [datId, datId] }), "ParentRepeated");
    await expectRevert(attempt({ parents: Array.from({ length: 17 }, () => datId) }), "ParentsTooMany");
    await expectRevert(attempt({ supply: 0n }), "SupplyZero");
    const child = await attempt({ parents: [datId] });
    expect((await client.token.recordOf(child.datId))?.parents).toEqual([datId]);
  });

  it("refuses a rejecting quorum and votes for another task, statement or evidence", async () => {
    const statement = await makeDataset(chain, world);
    const { proof, subject } = prepareDataset(world, statement);
    const votes = [
      certify(world, subject, { verdict: 2n }),
      certify(world, { ...subject, taskId: digestOf("x") }),
      certify(world, { ...subject, statementDigest: digestOf("x") }),
      certify(world, { ...subject, evidenceDigest: digestOf("x") }),
    ];
    for (const certificate of votes)
      await expectRevert(client.gate.mintDataset(statement, proof, await certificate, world.epoch), "SignerWrong");
    await expectRevert(
      client.gate.mintDataset(statement, proof, certify(world, subject, { voters: [1, 2] }), world.epoch),
      "QuorumNotReached",
    );
  });

  it("refuses proofs made for another deployment or another chain", async () => {
    const second = await createWorld(chain);
    const statement = await makeDataset(chain, world);
    const here = prepareDataset(world, statement);
    const there = prepareDataset(second, statement);
    expect(statementDigest(second.gate, "DatasetStatement", statement)).not.toBe(here.subject.statementDigest);
    // Same key, same statement, but the other gate's proof under this gate's votes, and the reverse.
    await expectRevert(client.gate.mintDataset(statement, there.proof, here.certificate, world.epoch), "ProofInvalid");
    await expectRevert(
      second.client.gate.mintDataset(statement, here.proof, there.certificate, world.epoch),
      "AssetTokenWrong",
    );
    const { token } = second.deployment;
    const renamed = { ...statement, asset: { ...statement.asset, token } };
    await expectRevert(
      second.client.gate.mintDataset(renamed, here.proof, prepareDataset(second, renamed).certificate, world.epoch),
      "ProofInvalid",
    );
    // This gate's proof under the other quorum's votes.
    const foreign = certify(world, here.subject, { domain: second.quorum });
    await expectRevert(client.gate.mintDataset(statement, here.proof, foreign, world.epoch), "SignerWrong");
    const otherChain = certify(world, here.subject, { domain: { ...world.quorum, chainId: 1n } });
    await expectRevert(client.gate.mintDataset(statement, here.proof, otherChain, world.epoch), "SignerWrong");
  });

  it("on a chain that forked away, neither proofs nor votes carry over", async () => {
    // Verifiers without the development lock, which would refuse everything there before a proof is looked at.
    const origin = await createWorld(chain, false);
    const statement = await makeDataset(chain, origin);
    const before = prepareDataset(origin, statement);
    const fork: World = {
      ...origin,
      gate: { ...origin.gate, chainId: 31338n },
      quorum: { ...origin.quorum, chainId: 31338n },
    };
    const after = prepareDataset(fork, statement);
    const mint = ({ proof }: Prepared, { certificate }: Prepared) =>
      origin.client.gate.mintDataset(statement, proof, certificate, origin.epoch);
    await chain.provider.send("anvil_setChainId", [31338]);
    try {
      expect(await origin.client.gate.statementDigest("DatasetStatement", statement)).toBe(
        after.subject.statementDigest,
      );
      await expectRevert(mint(before, before), "ProofInvalid");
      await expectRevert(mint(before, after), "ProofInvalid");
      await expectRevert(mint(after, before), "SignerWrong");
      // Not even votes over the fork's own statement and evidence, if they were signed under the old chain's domain.
      const votes = certify(origin, after.subject);
      await expectRevert(mint(after, { ...after, certificate: votes }), "SignerWrong");
      // Nothing else is in the way. Only called: anvil's accounts sign for the chain id that they started with alone.
      const gate = new Interface((await compileProtocolContracts())["MintGate"]!.abi);
      const { proof, certificate } = after;
      const args = [statement, proofWords(proof), encodeCertificate(origin.epoch, certificate)];
      const data = gate.encodeFunctionData("mintDataset", args);
      const minted = await chain.provider.call({ to: origin.deployment.gate, data });
      expect(BigInt(minted)).toBe(await origin.client.token.idOf(1n, statement.asset.commitment));
    } finally {
      await chain.provider.send("anvil_setChainId", [31337]);
    }
  });

  it("a receiver that calls back in the mint finds the statement used and the asset minted", async () => {
    const source = `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
contract Reenterer {
    bytes public again;
    address public gate;
    bytes4 public seen;
    function arm(address gate_, bytes calldata again_) external { gate = gate_; again = again_; }
    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external returns (bytes4) {
        (bool ok, bytes memory result) = gate.call(again);
        require(!ok);
        seen = bytes4(result);
        return this.onERC1155Received.selector;
    }
}`;
    const artefact = (await compileContracts({ "Reenterer.sol": source }))["Reenterer"]!;
    const receiver = await deploy(chain.accounts[0]!, artefact);
    const requester = (await receiver.getAddress()).toLowerCase() as `0x${string}`;
    const statement = await makeDataset(chain, world, { task: { requester } });
    const { proof, certificate } = prepareDataset(world, statement);
    const gate = new Interface((await compileProtocolContracts())["MintGate"]!.abi);
    const again = gate.encodeFunctionData("mintDataset", [
      statement,
      proofWords(proof),
      encodeCertificate(world.epoch, certificate),
    ]);
    await (await receiver.getFunction("arm").send(world.deployment.gate, again)).wait();
    const { datId } = await client.gate.mintDataset(statement, proof, certificate, world.epoch);
    expect(await receiver.getFunction("seen")()).toBe(gate.getError("StatementUsed")!.selector);
    expect(await client.token.balanceOf(requester, datId)).toBe(100n);
  });
});

describe("models and inferences", () => {
  it("refuses an inference of a model that has not been minted", async () => {
    const statement = await makeInference(chain, world);
    const { proof } = proveInference(world, statement);
    await expectRevert(client.gate.verifyInference(statement, proof), "ModelNotAnchored");
  });

  it("refuses a model whose digests differ from the asset or the registry", async () => {
    const good = await makeModel(chain, world);
    const attempt = async (statement: typeof good) => {
      const { proof, certificate } = prepareModel(world, statement);
      return client.gate.mintModel(statement, proof, certificate, world.epoch);
    };
    const other = digestOf("another model");
    await expectRevert(attempt({ ...good, asset: { ...good.asset, commitment: other } }), "ModelDigestMismatch");
    await expectRevert(
      attempt({ ...good, asset: { ...good.asset, commitment: other }, sample: { ...good.sample, modelDigest: other } }),
      "ModelDigestMismatch",
    );
    await expectRevert(attempt({ ...good, circuitDigest: other }), "CircuitDigestMismatch");
    await expectRevert(attempt({ ...good, asset: { ...good.asset, class: 1n } }), "AssetClassWrong");
    await expectRevert(attempt({ ...good, asset: { ...good.asset, class: 3n } }), "AssetClassWrong");
    const datasetKeyed = await makeModel(chain, world, { task: { keyDigest: world.datasetKey } });
    await expectRevert(attempt(datasetKeyed), "StatementTypeMismatch");
    const late = await makeModel(chain, world, { task: { deadline: 1n } });
    await expectRevert(attempt(late), "DeadlinePassed");
  });

  it("mints a model, whose sample then cannot be counted as an inference", async () => {
    await undone(chain.provider, async () => {
      const statement = await makeModel(chain, world);
      const { proof, certificate } = prepareModel(world, statement);
      const minted = await client.gate.mintModel(statement, proof, certificate, world.epoch);
      expect(minted.statementDigest).toBe(statementDigest(world.gate, "ModelStatement", statement));
      expect((await client.token.recordOf(minted.datId))?.commitment).toBe(statement.asset.commitment);
      await expectRevert(client.gate.verifyInference(statement.sample, proof), "StatementUsed");
      await expectRevert(client.gate.mintModel(statement, proof, certificate, world.epoch), "StatementUsed");
    });
  });

  it("records inferences of a minted model once each, with every field bound", async () => {
    await undone(chain.provider, async () => {
      const model = await makeModel(chain, world);
      const prepared = prepareModel(world, model);
      const { datId } = await client.gate.mintModel(model, prepared.proof, prepared.certificate, world.epoch);

      const statement = await makeInference(chain, world);
      const { proof } = proveInference(world, statement);
      const { task } = statement;
      for (const forged of [
        { ...statement, output: 8n },
        { ...statement, inputCommitment: statement.inputCommitment + 1n },
        { ...statement, task: { ...task, payee: chain.addresses[5]! } },
        { ...statement, task: { ...task, requester: chain.addresses[5]! } },
        { ...statement, task: { ...task, nonce: task.nonce + 1n } },
      ]) {
        await expectRevert(client.gate.verifyInference(forged, proof), "ProofInvalid");
      }
      const verified = await client.gate.verifyInference(statement, proof);
      expect(verified.datId).toBe(datId);
      expect(verified.statementDigest).toBe(statementDigest(world.gate, "InferenceStatement", statement));
      await expectRevert(client.gate.verifyInference(statement, rerandomise(proof)), "StatementUsed");

      const late = await makeInference(chain, world, { deadline: 1n });
      await expectRevert(client.gate.verifyInference(late, proveInference(world, late).proof), "DeadlinePassed");
      const other = { ...(await makeInference(chain, world)), modelDigest: digestOf("other") };
      await expectRevert(client.gate.verifyInference(other, proof), "ModelNotAnchored");
      await undone(chain.provider, async () => {
        await (await world.as(8)).registry.freeze(world.inferenceKey);
        const next = await makeInference(chain, world);
        await expectRevert(client.gate.verifyInference(next, proveInference(world, next).proof), "KeyFrozen");
      });
    });
  });

  it("a dataset proof is no inference proof and the reverse, by key and by context", async () => {
    await undone(chain.provider, async () => {
      const model = await makeModel(chain, world);
      const prepared = prepareModel(world, model);
      await client.gate.mintModel(model, prepared.proof, prepared.certificate, world.epoch);
      const dataset = await makeDataset(chain, world);
      const inference = await makeInference(chain, world);
      const mint = (statement: DatasetStatement, { proof, evidenceDigest }: Evidence) => {
        const digest = statementDigest(world.gate, "DatasetStatement", statement);
        const votes = certify(world, { taskId: statement.task.taskId, statementDigest: digest, evidenceDigest });
        return client.gate.mintDataset(statement, proof, votes, world.epoch);
      };

      // Each under the other's statement.
      await expectRevert(mint(dataset, proveInference(world, inference)), "ProofInvalid");
      await expectRevert(client.gate.verifyInference(inference, proveDataset(world, dataset).proof), "ProofInvalid");

      // Each under its own key, which the other's statement names.
      const keyed = { ...inference, task: { ...inference.task, keyDigest: world.datasetKey } };
      const asDataset = { ...dataset, task: keyed.task };
      await expectRevert(
        client.gate.verifyInference(keyed, proveDataset(world, asDataset).proof),
        "StatementTypeMismatch",
      );
      const foreign = { ...dataset, task: { ...dataset.task, keyDigest: world.inferenceKey } };
      const asInference = { ...inference, task: foreign.task };
      await expectRevert(mint(foreign, proveInference(world, asInference)), "StatementTypeMismatch");

      // Under the right key with the right values, but with the context that the other kind has for the same task: only
      // the statement type inside the context tells them apart.
      const datasetContext = await client.gate.contextOf("datasetChunk", inference.task);
      const inferenceSignals = publicSignals(world.gate, "InferenceStatement", inference);
      const wrongInference = simulateProof(INFERENCE_KEY, [...inferenceSignals.slice(0, -1), datasetContext]);
      await expectRevert(client.gate.verifyInference(inference, wrongInference), "ProofInvalid");
      const inferenceContext = await client.gate.contextOf("inference", dataset.task);
      const datasetSignals = publicSignals(world.gate, "DatasetStatement", dataset);
      const wrongDataset = simulateProof(DATASET_KEY, [...datasetSignals.slice(0, -1), inferenceContext]);
      const evidence = evidenceDigest(
        world.datasetKey,
        [...datasetSignals.slice(0, -1), inferenceContext],
        wrongDataset,
      );
      await expectRevert(mint(dataset, { proof: wrongDataset, evidenceDigest: evidence }), "ProofInvalid");

      await client.gate.verifyInference(inference, simulateProof(INFERENCE_KEY, inferenceSignals));
      await mint(dataset, proveDataset(world, dataset));
    });
  });
});

describe("the gate's deployment", () => {
  it("fails with a token of another gate", async () => {
    const gate = artefact(await compileProtocolContracts(), "MintGate");
    const { token, registry, quorum } = world.deployment;
    await expect(deploy(chain.accounts[0]!, gate, token, registry, quorum)).rejects.toMatchObject(
      errorData(gate, "TokenForeign", token),
    );
  });

  it("reports progress and can be stopped", async () => {
    const seen: string[] = [];
    await deployProtocol(chain.accounts[0]!, { onProgress: ({ contract }) => seen.push(contract) });
    expect(seen).toEqual([
      "VerifierRegistry",
      "UniversalVerifier",
      "Quorum",
      "DataAnchoringToken",
      "MintGate",
      "UsageSettlement",
      "ZkmlVerifier",
      "LazaiVerifier",
    ]);
    const stop = new AbortController();
    const stopped = deployProtocol(chain.accounts[0]!, { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("calls that cannot be made", () => {
  it("for want of a value, a list, a struct or an address are the caller's mistake, not the node's", async () => {
    const statement = await makeDataset(chain, world);
    const { asset, task } = statement;
    const { proof, certificate } = prepareDataset(world, statement);
    for (const [wrong, reason] of [
      [undefined, "invalid tuple value"],
      [7, "invalid tuple value"],
      [{ ...statement, asset: undefined }, "invalid tuple value"],
      [{ ...statement, asset: { ...asset, parents: undefined } }, "invalid array value"],
      [{ ...statement, asset: { ...asset, parents: 5 } }, "invalid array value"],
      [{ ...statement, task: { ...task, nonce: undefined } }, "is missing"],
      [{ ...statement, task: { ...task, nonce: "five" } }, "five"],
      [{ ...statement, asset: { ...asset, token: "0x12" } }, "an address among the arguments"],
      [{ ...statement, asset: { ...asset, token: "somebody" } }, "an address among the arguments"],
    ] as const) {
      await expect(client.gate.mintDataset(wrong as never, proof, certificate, world.epoch)).rejects.toMatchObject({
        code: "INPUT_INVALID",
        message: expect.stringMatching(new RegExp(`^mintDataset: .*cannot be encoded: .*${reason}`)),
      });
    }
  });

  it("for want of money are not sent, and say what there is", async () => {
    const poor = new Wallet(secretOf("poor"), chain.provider);
    const { settlement } = await AnchorClient.connect(world.deployment, poor);
    const failure = await expectRevert(settlement.deposit(10n ** 18n), "INSUFFICIENT_FUNDS");
    const address = accountOf(secretOf("poor"));
    expect(failure.message).toBe(
      `deposit: nothing was sent: ${address} has 0.0 coins, and 1.0 and those for the gas are needed`,
    );
    // Enough for the gas, and for the value, but not for both: the same, with what there is.
    await chain.provider.send("anvil_setBalance", [address, `0x${(10n ** 18n).toString(16)}`]);
    const short = await expectRevert(settlement.deposit(10n ** 18n), "INSUFFICIENT_FUNDS");
    expect(short.message).toMatch(
      /nothing was sent: 0x[0-9a-fA-F]{40} has 1\.0 coins, and up to 1\.000\d+ are needed$/,
    );
    expect(await chain.provider.getTransactionCount(address)).toBe(0);
  });
});
