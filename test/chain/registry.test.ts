import { Contract, type InterfaceAbi } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { type AddVerifierParameters, AnchorClient } from "../../src/chain/client/index.js";
import { artefact, compileContracts, compileProtocolContracts } from "../../src/chain/compile.js";
import { deployProtocol, deployVerifier } from "../../src/chain/deploy.js";
import { renderVerifier } from "../../src/chain/generate.js";
import type { Hex } from "../../src/field/bytes.js";
import { R } from "../../src/field/scalar.js";
import { CIRCUIT_TYPES, type CircuitType } from "../../src/protocol/statements.js";
import { type Groth16Item, keyDigest, proofWords } from "../../src/verifier/groth16.js";
import { advance, type Chain, CIRCUIT_DIGEST, deploy, digestOf, expectRevert, undone, useChain } from "./fixture.js";
import { rerandomise, scalar, simulateKey, simulateProof } from "./simulated.js";
import { CEREMONY, createWorld, DATASET_KEY, deployKey, INFERENCE_KEY, MODEL_DIGEST, type World } from "./world.js";

const chain = useChain();
const elsewhere = useChain({ chainId: 1 });
let world: World;

const ZERO = `0x${"00".repeat(32)}`;

beforeAll(async () => {
  world = await createWorld(chain);
});

/** A deployed verifier that is not registered yet, and a correct entry for it. */
async function fresh(
  n: number,
  development = true,
  on: Chain = chain,
  seed = "registry",
): Promise<AddVerifierParameters> {
  const key = simulateKey(n, seed);
  return {
    keyDigest: keyDigest(key.vkey),
    verifier: await deployKey(on, key, `Fresh${n}`, development),
    circuitType: n === 4 ? "datasetChunk" : "inference",
    circuitDigest: CIRCUIT_DIGEST,
    ...(n === 4 ? {} : { modelDigest: MODEL_DIGEST }),
    development,
    ...(development ? {} : { ceremony: CEREMONY }),
  };
}

describe("deploying a verifier", () => {
  it("gives one that can be registered, and none that claims a ceremony", async () => {
    const { vkey } = simulateKey(4, "deployed");
    const options = { vkey, contractName: "Deployed", circuitDigest: CIRCUIT_DIGEST, development: true };
    const [signer] = chain.accounts;
    await undone(chain.provider, async () => {
      const verifier = await deployVerifier(signer!, options);
      const { circuitDigest, development } = options;
      const entry = {
        keyDigest: keyDigest(vkey),
        verifier,
        circuitType: "datasetChunk",
        circuitDigest,
        development,
      } as const;
      await world.client.registry.add(entry);
      expect((await world.client.registry.entryOf(entry.keyDigest))?.verifier).toBe(verifier);
    });
    await expect(deployVerifier(signer!, { ...options, development: false })).rejects.toMatchObject({
      code: "KEY_DEVELOPMENT",
    });
  });
});

describe("adding a verifier", () => {
  it("stores what was given, and never replaces it", async () => {
    const entry = await fresh(3);
    expect(await world.client.registry.entryOf(entry.keyDigest)).toBeUndefined();
    await world.client.registry.add(entry);
    expect(await world.client.registry.entryOf(entry.keyDigest)).toEqual({
      verifier: entry.verifier,
      universal: false,
      development: true,
      frozen: false,
      signals: 3,
      statementType: CIRCUIT_TYPES.inference,
      circuitDigest: CIRCUIT_DIGEST,
      modelDigest: MODEL_DIGEST,
      ceremony: ZERO,
      batchVerifier: undefined,
    });
    await expectRevert(world.client.registry.add(entry), "KeyAlreadyAdded");
  });

  it("refuses whatever the verifier does not say about itself", async () => {
    const { client } = world;
    const entry = await fresh(4);
    await expectRevert(client.registry.add({ ...entry, keyDigest: digestOf("other") }), "VerifierKeyMismatch");
    await expectRevert(client.registry.add({ ...entry, circuitDigest: digestOf("other") }), "VerifierCircuitMismatch");
    const production = { ...entry, development: false, ceremony: CEREMONY };
    await expectRevert(client.registry.add(production), "VerifierDevelopmentMismatch");
    for (const wrong of [
      { ...entry, development: false },
      { ...entry, ceremony: CEREMONY },
    ]) {
      await expect(client.registry.add(wrong)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    }
    const inference = { ...entry, circuitType: "inference", modelDigest: MODEL_DIGEST } as const;
    await expectRevert(client.registry.add(inference), "VerifierSignalsMismatch");
    await expectRevert(client.registry.add({ ...entry, verifier: chain.addresses[5]! }), "VerifierWithoutCode");
    // A contract that is no verifier does not answer KEY_DIGEST.
    await expectRevert(client.registry.add({ ...entry, verifier: world.deployment.token }), "none");
    const { universal } = world.deployment;
    const confused = await expectRevert(client.registry.propose({ ...entry, verifier: universal }), "none");
    expect(confused.message).toMatch(new RegExp(`propose: the contract at ${universal} .* with universal: true`));
    const reversed = await expectRevert(client.registry.propose({ ...entry, universal: true }), "none");
    expect(reversed.message).toContain("without universal: true");
    const batch = await expectRevert(
      client.registry.proposeBatchVerifier(world.datasetKey, world.deployment.token),
      "none",
    );
    expect(batch.message).toContain("does not answer like a batch verifier");
    for (const circuitType of ["nonsense", "toString", undefined]) {
      await expect(client.registry.propose({ ...entry, circuitType: circuitType as never })).rejects.toMatchObject({
        code: "INPUT_INVALID",
        message: expect.stringMatching(/is no circuitType: it is one of datasetChunk, .*, adaptedInferenceBatch$/),
      });
    }
    await expectRevert(client.registry.add({ ...entry, modelDigest: MODEL_DIGEST }), "ModelDigestInvalid");
    const { modelDigest: _, ...bare } = await fresh(3);
    await expectRevert(client.registry.add({ ...bare, keyDigest: digestOf("bare") }), "ModelDigestInvalid");
  });

  it("on other chains takes keys with a ceremony, after a day in which they can be cancelled", async () => {
    const deployment = await deployProtocol(elsewhere.accounts[0]!);
    const { registry } = await AnchorClient.connect(deployment, elsewhere.accounts[0]!);
    await expectRevert(registry.propose(await fresh(4, true, elsewhere)), "DevelopmentKeyRefused");
    const production = await fresh(4, false, elsewhere);
    const { keyDigest: digest } = production;
    await registry.propose(production);
    expect(await registry.entryOf(digest)).toBeUndefined();
    expect((await registry.proposalOf(digest))?.entry.ceremony).toBe(CEREMONY);
    await expectRevert(registry.activate(digest), "ProposalNotReady");
    await registry.cancel(digest);
    expect(await registry.proposalOf(digest)).toBeUndefined();
    await registry.propose(production);
    await advance(elsewhere.provider, 86_400n);
    const anyone = await AnchorClient.connect(deployment, elsewhere.accounts[5]!);
    await anyone.registry.activate(digest);
    expect(await registry.entryOf(digest)).toMatchObject({ development: false, ceremony: CEREMONY });
    await expect(deployProtocol(elsewhere.accounts[0]!, { addDelay: 0n })).rejects.toMatchObject({
      details: { error: "AddDelayInvalid" },
    });
  });

  it("knows every circuit family, and what its keys have", async () => {
    const signals: Record<CircuitType, bigint> = {
      datasetChunk: 4n,
      datasetContent: 5n,
      datasetBytes: 5n,
      datasetNumbers: 5n,
      datasetLabels: 5n,
      datasetColumn: 5n,
      datasetDistinct: 5n,
      datasetSorted: 5n,
      datasetOpening: 4n,
      datasetGrowth: 5n,
      datasetSha256: 5n,
      inference: 3n,
      adaptedInference: 4n,
      inferenceBatch: 3n,
      adaptedInferenceBatch: 4n,
    };
    const { abi } = artefact(await compileProtocolContracts(), "VerifierRegistry");
    const contract = new Contract(world.deployment.registry, abi as InterfaceAbi, chain.provider);
    for (const type of Object.keys(CIRCUIT_TYPES) as CircuitType[]) {
      const shape = await contract.getFunction("shapeOf")(CIRCUIT_TYPES[type]);
      expect([...shape], type).toEqual([signals[type], type.toLowerCase().includes("inference")]);
    }
    expect([...(await contract.getFunction("shapeOf")(digestOf("unknown")))]).toEqual([0n, false]);
  });

  it("is the owner's alone; freezing is the guardian's and the owner's", async () => {
    await undone(chain.provider, async () => {
      const entry = await fresh(4);
      const stranger = await world.as(5);
      const guardian = await world.as(8);
      await expectRevert(stranger.registry.add(entry), "OwnableUnauthorizedAccount");
      await expectRevert(guardian.registry.add(entry), "OwnableUnauthorizedAccount");
      await world.client.registry.add(entry);
      await expectRevert(stranger.registry.freeze(entry.keyDigest), "NotGuardian");
      await expectRevert(guardian.registry.freeze(digestOf("unknown")), "KeyUnknown");
      await guardian.registry.freeze(entry.keyDigest);
      expect((await world.client.registry.entryOf(entry.keyDigest))?.frozen).toBe(true);
      // A tombstone: neither thawed, nor added again.
      await expectRevert(world.client.registry.freeze(entry.keyDigest), "KeyFrozen");
      await expectRevert(world.client.registry.add(entry), "KeyFrozen");
      await world.client.registry.freeze(world.inferenceKey);
      expect((await world.client.registry.entryOf(world.inferenceKey))?.frozen).toBe(true);
    });
  });
});

const DATASET = [scalar("root"), 3n, 128n, scalar("context")];
const INFERENCE = [7n, scalar("input"), scalar("context")];

function item(key: typeof DATASET_KEY, publicSignals: readonly bigint[], seed?: string): Groth16Item {
  return { publicSignals, proof: simulateProof(key, publicSignals, seed) };
}

describe("the router", () => {
  it("takes what the key's verifier takes, and says why it refuses as that does", async () => {
    const { registry } = world.client;
    await registry.verify(world.datasetKey, item(DATASET_KEY, DATASET));
    await registry.verify(world.inferenceKey, item(INFERENCE_KEY, INFERENCE));
    const { proof } = item(INFERENCE_KEY, INFERENCE);
    const other = { proof, publicSignals: [8n, ...INFERENCE.slice(1)] };
    await expectRevert(registry.verify(world.inferenceKey, other), "ProofInvalid");
    const alias = { proof, publicSignals: [2n ** 256n - 1n, ...INFERENCE.slice(1)] };
    const failure = await expectRevert(registry.verify(world.inferenceKey, alias), "PublicSignalNotInField");
    expect(failure.details["args"]).toEqual(["0"]);
    await expectRevert(registry.verify(world.datasetKey, item(INFERENCE_KEY, INFERENCE)), "SignalCountWrong");
    await expectRevert(registry.verify(digestOf("unknown"), item(INFERENCE_KEY, INFERENCE)), "KeyUnknown");
    const bad = { ...proof, a: [1n, 1n] as const };
    await expectRevert(
      registry.verify(world.inferenceKey, { publicSignals: INFERENCE, proof: bad }),
      "PrecompileFailed",
    );
  });

  it("takes batches where the key has a verifier of them", async () => {
    await undone(chain.provider, async () => {
      const { registry } = world.client;
      const items = [1n, 2n, 3n].map((output) => item(INFERENCE_KEY, [output, ...INFERENCE.slice(1)], `${output}`));
      await expectRevert(registry.verifyBatch(world.inferenceKey, items), "BatchVerifierUnknown");
      const options = { vkey: INFERENCE_KEY.vkey, circuitDigest: CIRCUIT_DIGEST, development: true, batch: true };
      const batch = await deployVerifier(chain.accounts[0]!, options);
      await registry.addBatchVerifier(world.inferenceKey, batch);
      expect((await registry.entryOf(world.inferenceKey))?.batchVerifier).toBe(batch);
      await registry.verifyBatch(world.inferenceKey, items);
      await registry.verifyBatch(world.inferenceKey, items.slice(0, 1));
      const spoiled = [...items.slice(1), { ...items[0]!, publicSignals: INFERENCE }];
      await expectRevert(registry.verifyBatch(world.inferenceKey, spoiled), "ProofInvalid");
      await expectRevert(registry.verifyBatch(world.inferenceKey, []), "BatchEmpty");
      await expectRevert(registry.proposeBatchVerifier(world.inferenceKey, batch), "BatchVerifierAlreadyAdded");
      const dataset = registry.proposeBatchVerifier(world.datasetKey, batch);
      await expectRevert(dataset, "VerifierKeyMismatch");
    });
  });

  it("takes neither a verifier of one proof for one of batches nor the other way round", async () => {
    await undone(chain.provider, async () => {
      const { registry } = world.client;
      // Everything that each says of itself agrees.
      const { verifier } = (await registry.entryOf(world.inferenceKey))!;
      await expectRevert(registry.proposeBatchVerifier(world.inferenceKey, verifier), "VerifierUnlike");
      const { vkey } = simulateKey(3, "mixed up");
      const options = { vkey, circuitDigest: CIRCUIT_DIGEST, development: true, batch: true };
      const entry = {
        keyDigest: keyDigest(vkey),
        verifier: await deployVerifier(chain.accounts[0]!, options),
        circuitType: "inference",
        circuitDigest: CIRCUIT_DIGEST,
        modelDigest: MODEL_DIGEST,
        development: true,
      } as const;
      await expectRevert(registry.propose(entry), "VerifierUnlike");
    });
  });

  it("costs a calling contract at most 6,000 gas, whatever the number of signals", async () => {
    const types = { 3: "inference", 4: "datasetChunk" } as const;
    const sizes = [3, 4] as const;
    const keys = { 3: simulateKey(3, "router"), 4: simulateKey(4, "router") };
    const sources: Record<string, string> = {};
    for (const n of sizes) {
      const contractName = `Router${n}`;
      const options = { vkey: keys[n].vkey, contractName, circuitDigest: CIRCUIT_DIGEST, development: true };
      sources[`${contractName}.sol`] = renderVerifier(options);
      sources[`Caller${n}.sol`] = `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
interface IVerifier${n} { function verifyProof(uint256[8] calldata, uint256[${n}] calldata) external view; }
interface IRouter${n} { function verify(bytes32, uint256[8] calldata, uint256[] calldata) external view; }
contract Caller${n} {
    function direct(address to, bytes32, uint256[8] calldata proof, uint256[] calldata signals) external {
        uint256[${n}] memory fixedSignals;
        for (uint256 i = 0; i < ${n}; ++i) fixedSignals[i] = signals[i];
        IVerifier${n}(to).verifyProof(proof, fixedSignals);
    }
    function routed(address to, bytes32 key, uint256[8] calldata proof, uint256[] calldata signals) external {
        IRouter${n}(to).verify(key, proof, signals);
    }
}`;
    }
    const artefacts = await compileContracts(sources);
    for (const n of sizes) {
      const digest = keyDigest(keys[n].vkey);
      const deployed = await deploy(chain.accounts[0]!, artefact(artefacts, `Router${n}`));
      const verifier = (await deployed.getAddress()).toLowerCase() as Hex;
      const model = n === 3 ? { modelDigest: MODEL_DIGEST } : {};
      const entry = { keyDigest: digest, verifier, circuitType: types[n], circuitDigest: CIRCUIT_DIGEST, ...model };
      await world.client.registry.add({ ...entry, development: true });
      const caller = await deploy(chain.accounts[0]!, artefact(artefacts, `Caller${n}`));
      const signals = Array.from({ length: n }, (_, i) => scalar(`signal/${i}`));
      const words = proofWords(simulateProof(keys[n], signals));
      const gas = async (method: string, to: string) =>
        Number((await (await caller.getFunction(method).send(to, digest, words, signals)).wait())!.gasUsed);
      const overhead = (await gas("routed", world.deployment.registry)) - (await gas("direct", verifier));
      expect(overhead).toBeLessThanOrEqual(6000);
      expect(overhead).toBeGreaterThan(4700); // a cold slot and a cold account, or nothing was routed
    }
  });
});

describe("anyone stops a key", () => {
  it("with a proof whose context is zero", async () => {
    await undone(chain.provider, async () => {
      const { registry } = await world.as(5);
      const zero = item(DATASET_KEY, [...DATASET.slice(0, 3), 0n]);
      await expectRevert(registry.exposeZeroContext(world.datasetKey, item(DATASET_KEY, DATASET)), "ContextNotZero");
      const forged = { ...zero, proof: simulateProof(DATASET_KEY, DATASET) };
      await expectRevert(registry.exposeZeroContext(world.datasetKey, forged), "ProofInvalid");
      await registry.exposeZeroContext(world.datasetKey, zero);
      expect((await registry.entryOf(world.datasetKey))?.frozen).toBe(true);
      await expectRevert(registry.verify(world.datasetKey, item(DATASET_KEY, DATASET)), "KeyFrozen");
      await expectRevert(registry.exposeZeroContext(world.datasetKey, zero), "KeyFrozen");
    });
  });

  it("with a batch in which a context is zero", async () => {
    await undone(chain.provider, async () => {
      const options = { vkey: INFERENCE_KEY.vkey, circuitDigest: CIRCUIT_DIGEST, development: true, batch: true };
      const batch = await deployVerifier(chain.accounts[0]!, options);
      await world.client.registry.addBatchVerifier(world.inferenceKey, batch);
      const { registry } = await world.as(5);
      const [good, zero] = [item(INFERENCE_KEY, INFERENCE), item(INFERENCE_KEY, [...INFERENCE.slice(0, 2), 0n])];
      const key = world.inferenceKey;
      await expectRevert(registry.exposeZeroContextInBatch(key, [good, zero], 0), "ContextNotZero");
      await expectRevert(registry.exposeZeroContextInBatch(key, [good, zero], 2), "BatchIndexInvalid");
      const forged = { ...zero, proof: good.proof };
      await expectRevert(registry.exposeZeroContextInBatch(key, [good, forged], 1), "ProofInvalid");
      await registry.exposeZeroContextInBatch(key, [good, zero], 1);
      expect((await registry.entryOf(key))?.frozen).toBe(true);
    });
  });

  it("with two outputs for one input, and with nothing less", async () => {
    await undone(chain.provider, async () => {
      const { registry } = await world.as(5);
      const one = item(INFERENCE_KEY, INFERENCE);
      const key = world.inferenceKey;
      const again = { ...one, proof: rerandomise(one.proof) };
      await expectRevert(registry.exposeContradiction(key, one, again), "NoContradiction");
      const elsewhere = item(INFERENCE_KEY, [...INFERENCE.slice(0, 2), scalar("other context")]);
      await expectRevert(registry.exposeContradiction(key, one, elsewhere), "NoContradiction");
      const input = item(INFERENCE_KEY, [8n, scalar("other input"), INFERENCE[2]!]);
      await expectRevert(registry.exposeContradiction(key, one, input), "NoContradiction");
      const output = item(INFERENCE_KEY, [8n, INFERENCE[1]!, scalar("other context")]);
      const forged = { ...output, proof: one.proof };
      await expectRevert(registry.exposeContradiction(key, one, forged), "ProofInvalid");
      // The other spelling of an output is no other output.
      const alias = { ...one, publicSignals: [INFERENCE[0]! + R, ...INFERENCE.slice(1)] };
      await expectRevert(registry.exposeContradiction(key, one, alias), "PublicSignalNotInField");
      await registry.exposeContradiction(key, one, output);
      expect((await registry.modelOf(key)).deprecated).toBe(true);
    });
  });

  it("with two numbers of records of one chunk", async () => {
    await undone(chain.provider, async () => {
      const { registry } = await world.as(5);
      const [one, other] = [item(DATASET_KEY, DATASET), item(DATASET_KEY, [...DATASET.slice(0, 2), 127n, DATASET[3]!])];
      await registry.exposeContradiction(world.datasetKey, one, other);
      expect((await registry.entryOf(world.datasetKey))?.frozen).toBe(true);
    });
  });
});

describe("what is to be read of a key", () => {
  it("is what was said when it was proposed, and its name as ERC-7992 has it", async () => {
    await undone(chain.provider, async () => {
      const { registry } = world.client;
      const entry = await fresh(3, true, chain, "metadata");
      const metadata = {
        uri: "ipfs://model",
        verificationKeyUri: "ipfs://key",
        schemaUri: "ipfs://schema",
        schemaHash: digestOf("schema"),
        circuitVersion: (1n << 32n) | 2n,
      };
      await registry.add({ ...entry, metadata });
      expect(await registry.metadataOf(entry.keyDigest)).toEqual(metadata);
      expect(await registry.modelOf(entry.keyDigest)).toEqual({
        modelHash: MODEL_DIGEST,
        circuitHash: CIRCUIT_DIGEST,
        vkHash: entry.keyDigest,
        proofSystemId: "0x0550d137",
        uri: "ipfs://model",
        deprecated: false,
      });
      await expectRevert(registry.modelOf(world.datasetKey), "ModelNotFound");
    });
  });
});
