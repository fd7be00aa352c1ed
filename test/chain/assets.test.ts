/** Adapters, inferences as tokens, batches and revocations, through the registry's own router and real votes. */
import { beforeAll, describe, expect, it } from "vitest";
import { compileContracts } from "../../src/chain/compile.js";
import { renderVerifier } from "../../src/chain/generate.js";
import { encodeUniversalKey } from "../../src/chain/universal.js";
import { type Hex, wordHex } from "../../src/field/bytes.js";
import {
  type AdapterStatement,
  type Asset,
  datId,
  type InferenceAssetStatement,
  publicSignals,
  type Revocation,
  revocationDigest,
  type StatementName,
  type Statements,
  statementDigest,
  taskOf,
} from "../../src/protocol/statements.js";
import { evidenceDigest, keyDigest, type Proof } from "../../src/verifier/groth16.js";
import { CIRCUIT_DIGEST, deploy, digestOf, expectRevert, now, useChain } from "./fixture.js";
import { rerandomise, type SimulatedKey, simulateKey, simulateProof } from "./simulated.js";
import {
  certify,
  createWorld,
  INFERENCE_KEY,
  MODEL_DIGEST,
  makeDataset,
  makeInference,
  makeModel,
  prepareDataset,
  prepareModel,
  proveInference,
  type World,
} from "./world.js";

const chain = useChain();
const ADAPTED_KEY = simulateKey(4, "adapted");
const ADAPTED = keyDigest(ADAPTED_KEY.vkey);
const MODEL = datId(2n, MODEL_DIGEST);
const ADAPTER = 77n;

let world: World;

/** The model is minted; adapted inferences are under a key that is data of the universal verifier. */
beforeAll(async () => {
  world = await createWorld(chain);
  const key = { vkey: ADAPTED_KEY.vkey, circuitDigest: CIRCUIT_DIGEST, development: true };
  await world.client.universal.store(encodeUniversalKey(key));
  await world.client.registry.add({
    ...key,
    keyDigest: ADAPTED,
    verifier: world.deployment.universal,
    universal: true,
    circuitType: "adaptedInference",
    modelDigest: MODEL_DIGEST,
  });
  const vkey = INFERENCE_KEY.vkey;
  const options = { vkey, contractName: "Batch", circuitDigest: CIRCUIT_DIGEST, development: true, batch: true };
  const batch = (await compileContracts({ "Batch.sol": renderVerifier(options) }))["Batch"]!;
  const verifier = (await (await deploy(chain.accounts[0]!, batch)).getAddress()).toLowerCase() as Hex;
  await world.client.registry.addBatchVerifier(world.inferenceKey, verifier);
  const model = await makeModel(chain, world);
  const { proof, certificate } = prepareModel(world, model);
  await world.client.gate.mintModel(model, proof, certificate, world.epoch);
});

/** A valid proof of a statement, and the votes for it. */
function prepare<N extends StatementName>(name: N, statement: Statements[N], key: SimulatedKey, by?: Proof) {
  const signals = publicSignals(world.gate, name, statement);
  const proof = by ?? simulateProof(key, signals);
  const { taskId } = taskOf(name, statement);
  const digest = statementDigest(world.gate, name, statement);
  const evidence = evidenceDigest(keyDigest(key.vkey), signals, proof);
  const certificate = certify(world, { taskId, statementDigest: digest, evidenceDigest: evidence });
  return { proof, certificate, digest };
}

async function asset(changes: Partial<Asset>): Promise<Asset> {
  const { asset: plain } = await makeDataset(chain, world);
  return { ...plain, parents: [MODEL], ...changes };
}

async function makeAdapter(adapterCommitment = ADAPTER): Promise<AdapterStatement> {
  const sample = { ...(await makeInference(chain, world, { keyDigest: ADAPTED })), adapterCommitment };
  return { asset: await asset({ class: 3n, commitment: wordHex(adapterCommitment) }), sample };
}

async function makeInferenceAsset(): Promise<InferenceAssetStatement> {
  const inference = await makeInference(chain, world);
  const commitment = statementDigest(world.gate, "InferenceStatement", inference);
  return { asset: await asset({ class: 4n, commitment }), inference };
}

describe("an adapter", () => {
  it("is minted by a proof under a key that is data, once", async () => {
    const { gate, token } = world.client;
    const statement = await makeAdapter();
    const { proof, certificate, digest } = prepare("AdapterStatement", statement, ADAPTED_KEY);
    const minted = await gate.mintAdapter(statement, proof, certificate, world.epoch);
    expect(minted).toMatchObject({ statementDigest: digest, datId: datId(3n, wordHex(ADAPTER)) });
    expect(await token.recordOf(minted.datId)).toMatchObject({ class: 3n, parents: [MODEL] });
    expect(await gate.isUsed(statementDigest(world.gate, "AdaptedInferenceStatement", statement.sample))).toBe(true);
    const again = prepare("AdapterStatement", statement, ADAPTED_KEY, rerandomise(proof));
    await expectRevert(gate.mintAdapter(statement, again.proof, again.certificate, world.epoch), "StatementUsed");
    const other = await makeAdapter();
    const second = prepare("AdapterStatement", other, ADAPTED_KEY);
    await expectRevert(gate.mintAdapter(other, second.proof, second.certificate, world.epoch), "AlreadyAnchored");
  });

  it("answers as its model, each inference once, with every field bound", async () => {
    const { gate } = world.client;
    const { sample } = await makeAdapter(78n);
    const { proof, digest } = prepare("AdaptedInferenceStatement", sample, ADAPTED_KEY);
    for (const forged of [
      { ...sample, output: sample.output + 1n },
      { ...sample, inputCommitment: sample.inputCommitment + 1n },
      { ...sample, adapterCommitment: 79n },
      { ...sample, task: { ...sample.task, payee: chain.addresses[5]! } },
    ]) {
      await expectRevert(gate.verifyAdaptedInference(forged, proof), "ProofInvalid");
    }
    expect(await gate.verifyAdaptedInference(sample, proof)).toMatchObject({ statementDigest: digest, datId: MODEL });
    await expectRevert(gate.verifyAdaptedInference(sample, rerandomise(proof)), "StatementUsed");
  });
});

describe("an inference", () => {
  it("becomes a token, though somebody saw its proof and recorded it first", async () => {
    const { gate, token } = world.client;
    const statement = await makeInferenceAsset();
    const { proof, certificate, digest } = prepare("InferenceAssetStatement", statement, INFERENCE_KEY);
    await (await world.as(7)).gate.verifyInference(statement.inference, proof);
    const minted = await gate.mintInference(statement, proof, certificate, world.epoch);
    expect(minted).toMatchObject({ statementDigest: digest, datId: datId(4n, statement.asset.commitment) });
    expect(await token.balanceOf(statement.inference.task.requester, minted.datId)).toBe(100n);
  });
});

describe("a batch", () => {
  it("records each inference once, all or none, for less than one by one", async () => {
    const { gate } = world.client;
    const batch = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const statement = await makeInference(chain, world);
        return { statement, proof: proveInference(world, statement).proof };
      }),
    );
    const digests = batch.map(({ statement }) => statementDigest(world.gate, "InferenceStatement", statement));
    const broken = batch.with(9, { ...batch[9]!, proof: batch[8]!.proof });
    await expectRevert(gate.verifyInferences(broken), "ProofInvalid");
    expect(await gate.isUsed(digests[0]!)).toBe(false);
    const recorded = await gate.verifyInferences(batch);
    expect(recorded.statementDigests).toEqual(digests);
    await expectRevert(gate.verifyInference(batch[3]!.statement, rerandomise(batch[3]!.proof)), "StatementUsed");
    await expectRevert(gate.verifyInferences(batch.slice(15)), "StatementUsed");

    const single = await makeInference(chain, world);
    const { gasUsed } = await gate.verifyInference(single, proveInference(world, single).proof);
    expect(recorded.gasUsed / 16n).toBeLessThan(gasUsed / 2n);
  });
});

describe("a revocation", () => {
  it("takes a token's word back on votes for exactly that, once", async () => {
    const { gate, token } = world.client;
    const statement = await makeDataset(chain, world);
    const prepared = prepareDataset(world, statement);
    const { datId: id } = await gate.mintDataset(statement, prepared.proof, prepared.certificate, world.epoch);
    const revocation: Revocation = {
      taskId: digestOf("revocation"),
      token: world.deployment.token,
      datId: id,
      reason: "die Daten sind erfunden, 数据是编造的",
      evidenceDigest: digestOf("report"),
      nonce: 1n,
      deadline: (await now(chain.provider)) + 3600n,
    };
    const digest = revocationDigest(world.gate, revocation);
    const subject = { taskId: revocation.taskId, statementDigest: digest, evidenceDigest: revocation.evidenceDigest };
    const votes = certify(world, subject);
    await expectRevert(gate.revoke({ ...revocation, reason: "" }, votes, world.epoch), "SignerWrong");
    await expectRevert(gate.revoke({ ...revocation, datId: MODEL }, votes, world.epoch), "SignerWrong");
    await expectRevert(gate.revoke(revocation, certify(world, subject, { verdict: 2n }), world.epoch), "SignerWrong");
    // The votes that the token was minted with are for its statement.
    await expectRevert(gate.revoke(revocation, prepared.certificate, world.epoch), "SignerWrong");
    await (await world.as(6)).gate.revoke(revocation, votes, world.epoch);
    expect(await token.isVerified(id)).toBe(false);
    expect(await token.settlementOf(id)).toMatchObject({ revoked: true });
    expect(await gate.isUsed(digest)).toBe(true);
    await expectRevert(gate.revoke(revocation, votes, world.epoch), "StatementUsed");
    const child = await makeDataset(chain, world, { asset: { parents: [id] } });
    const late = prepareDataset(world, child);
    await expectRevert(gate.mintDataset(child, late.proof, late.certificate, world.epoch), "ParentRevoked");
  });
});
