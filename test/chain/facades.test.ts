/** Other people's interfaces over the real registry and quorum: proofs, votes and signatures as a user makes them. */

import { readFile } from "node:fs/promises";
import { TypedDataEncoder } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { ValidationResponderClient } from "../../src/chain/client/index.js";
import { artefact, compileContracts, compileProtocolContracts, protocolSources } from "../../src/chain/compile.js";
import { deployValidationResponder } from "../../src/chain/deploy.js";
import type { Hex } from "../../src/field/bytes.js";
import type { Domain, TypeTable } from "../../src/protocol/eip712.js";
import {
  type AttestedKey,
  attestedKeyDigest,
  disputeDigest,
  FACADE_TYPES,
  type TaskRequest,
  taskRequestId,
  taskRequestStatement,
  teeResultDigest,
  type ValidationResponse,
  VERIFY_MODES,
  validationResponseDigest,
} from "../../src/protocol/facades.js";
import { VERDICTS } from "../../src/protocol/quorum.js";
import { accountOf, signDigest } from "../../src/protocol/signature.js";
import { publicSignals } from "../../src/protocol/statements.js";
import type { Proof } from "../../src/verifier/groth16.js";
import { bytes, uint } from "./arbitraries.js";
import { deploy, digestOf, expectRevert, now, secretOf, useChain } from "./fixture.js";
import { rerandomise, simulateProof } from "./simulated.js";
import { certify, createWorld, INFERENCE_KEY, MODEL_DIGEST, makeInference, type World } from "./world.js";

const ENCLAVE = secretOf("enclave");
const EVIDENCE = digestOf("evidence");

const chain = useChain();
let world: World;
let lazai: Domain;
let nonce = 0n;

beforeAll(async () => {
  world = await createWorld(chain);
  lazai = { chainId: world.deployment.chainId, verifyingContract: world.deployment.lazaiVerifier };
});

async function makeRequest(mode: bigint, payee = chain.addresses[2]!): Promise<TaskRequest> {
  return {
    requester: chain.addresses[1]!,
    payee,
    keyDigest: world.inferenceKey,
    modelDigest: MODEL_DIGEST,
    inputCommitment: 12345n,
    mode,
    nonce: nonce++,
    deadline: (await now(chain.provider)) + 3600n,
  };
}

function prove(domain: Domain, request: TaskRequest, output: bigint): Proof {
  const signals = publicSignals(domain, "InferenceStatement", taskRequestStatement(lazai, request, output));
  return simulateProof(INFERENCE_KEY, signals);
}

async function attestedKey(): Promise<AttestedKey> {
  return {
    key: accountOf(ENCLAVE),
    modelDigest: MODEL_DIGEST,
    policyDigest: digestOf("policy"),
    validUntil: (await now(chain.provider)) + 3600n,
  };
}

describe("typed data", () => {
  const byEthers = ({ chainId, verifyingContract }: Domain, types: TypeTable, primary: string, value: object) =>
    TypedDataEncoder.hash(
      { name: "anchorproof", version: "1", chainId, verifyingContract },
      { [primary]: types[primary]!.map((field) => ({ ...field })) },
      value,
    );

  it("is the same here, on chain and by ethers", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({ key: bytes(20), modelDigest: bytes(32), policyDigest: bytes(32), validUntil: uint(64) }),
        bytes(32),
        uint(256),
        async (key, taskId, output) => {
          const { lazaiVerifier: client } = world.client;
          expect(await client.attestedKeyDigest(key)).toBe(attestedKeyDigest(lazai, key));
          expect(byEthers(lazai, FACADE_TYPES, "AttestedKey", key)).toBe(attestedKeyDigest(lazai, key));
          expect(await client.teeResultDigest(taskId, output)).toBe(teeResultDigest(lazai, taskId, output));
          expect(await client.disputeDigest(taskId, output)).toBe(disputeDigest(lazai, taskId, output));
        },
      ),
      { numRuns: 5 },
    ));

  it("names a task by everything that is asked", () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          requester: bytes(20),
          payee: bytes(20),
          keyDigest: bytes(32),
          modelDigest: bytes(32),
          inputCommitment: uint(256),
          mode: uint(8),
          nonce: uint(256),
          deadline: uint(256),
        }),
        async (request) => {
          expect(await world.client.lazaiVerifier.taskIdOf(request)).toBe(taskRequestId(lazai, request));
        },
      ),
      { numRuns: 5 },
    ));
});

describe("LazAI's IVerifier", () => {
  it("takes a proof, by anyone", async () => {
    const { lazaiVerifier: client } = world.client;
    const request = await makeRequest(VERIFY_MODES.zk);
    const id = taskRequestId(lazai, request);
    expect(await client.verifyResult(id)).toBe(false);
    await client.submitZkProof(lazai.chainId, request, 7n, prove(lazai, request, 7n));
    expect(await client.verifyResult(id)).toBe(true);
    expect(await client.resultOf(id)).toMatchObject({ proven: true, claimed: false, disputed: false, output: 7n });
  });

  it("refuses the proof again, re-randomised too", async () => {
    const { lazaiVerifier: client } = world.client;
    const request = await makeRequest(VERIFY_MODES.zk);
    const proof = prove(lazai, request, 7n);
    await client.submitZkProof(lazai.chainId, request, 7n, proof);
    await expectRevert(client.submitZkProof(lazai.chainId, request, 7n, rerandomise(proof)), "ResultKnown");
  });

  it("refuses proofs made for the gate, for another chain, and of another output", async () => {
    const { lazaiVerifier: client } = world.client;
    const request = await makeRequest(VERIFY_MODES.zk);
    const submit = (proof: Proof) => client.submitZkProof(lazai.chainId, request, 7n, proof);
    await expectRevert(submit(prove(world.gate, request, 7n)), "ProofInvalid");
    await expectRevert(submit(prove({ ...lazai, chainId: 1n }, request, 7n)), "ProofInvalid");
    await expectRevert(submit(prove(lazai, request, 8n)), "ProofInvalid");
    await expectRevert(client.submitZkProof(1n, request, 7n, prove(lazai, request, 7n)), "TaskIdInvalid");
  });

  it("takes what an attested key has signed, and forgets it when the quorum takes the key back", async () => {
    const { lazaiVerifier: client } = world.client;
    const request = await makeRequest(VERIFY_MODES.tee);
    const id = taskRequestId(lazai, request);
    const key = await attestedKey();
    const keyId = attestedKeyDigest(lazai, key);
    const subject = { taskId: keyId, statementDigest: keyId, evidenceDigest: EVIDENCE };
    const signature = signDigest(ENCLAVE, teeResultDigest(lazai, id, 7n));
    const weak = {
      key,
      evidenceDigest: EVIDENCE,
      votes: { certificate: certify(world, subject, { voters: [0, 3] }), epoch: world.epoch },
    };
    await expectRevert(client.submitTeeProof(lazai.chainId, request, 7n, signature, weak), "QuorumNotReached");
    const votes = { certificate: certify(world, subject), epoch: world.epoch };
    await client.submitTeeProof(lazai.chainId, request, 7n, signature, { key, evidenceDigest: EVIDENCE, votes });
    expect(await client.verifyResult(id)).toBe(true);

    // Certified once, the key needs no votes again.
    const second = await makeRequest(VERIFY_MODES.tee);
    const secondId = taskRequestId(lazai, second);
    const again = signDigest(ENCLAVE, teeResultDigest(lazai, secondId, 9n));
    await client.submitTeeProof(lazai.chainId, second, 9n, again, { key, evidenceDigest: EVIDENCE });
    expect(await client.verifyResult(secondId)).toBe(true);

    const accepting = certify(world, subject);
    await expectRevert(client.revokeKey(key, EVIDENCE, accepting, world.epoch), "SignerWrong");
    await client.revokeKey(key, EVIDENCE, certify(world, subject, { verdict: VERDICTS.reject }), world.epoch);
    expect(await client.verifyResult(id)).toBe(false);
    expect(await client.verifyResult(secondId)).toBe(false);
  });

  it("lets a proof contradict a payee's word, and votes dispute it", async () => {
    const { lazaiVerifier: client } = world.client;
    const payee = secretOf("payee");
    const request = await makeRequest(VERIFY_MODES.op, accountOf(payee));
    const id = taskRequestId(lazai, request);
    await client.submitTeeProof(lazai.chainId, request, 7n, signDigest(payee, teeResultDigest(lazai, id, 7n)));
    const challenge = (output: bigint) =>
      client.submitContradiction(lazai.chainId, request, output, prove(lazai, request, output), chain.addresses[5]!);
    await expectRevert(challenge(7n), "ResultConfirmed");
    await challenge(8n);
    expect(await client.resultOf(id)).toMatchObject({ disputed: true });

    const second = await makeRequest(VERIFY_MODES.op, accountOf(payee));
    const secondId = taskRequestId(lazai, second);
    await client.submitTeeProof(lazai.chainId, second, 7n, signDigest(payee, teeResultDigest(lazai, secondId, 7n)));
    const subject = {
      taskId: secondId,
      statementDigest: disputeDigest(lazai, secondId, 7n),
      evidenceDigest: EVIDENCE,
    };
    await client.submitDispute(secondId, EVIDENCE, certify(world, subject), world.epoch, chain.addresses[5]!);
    expect(await client.resultOf(secondId)).toMatchObject({ disputed: true });
  });
});

describe("ERC-7992", () => {
  it("verifies for the requester, and stores once", async () => {
    const { zkmlVerifier: client } = await world.as(1);
    const domain = { chainId: world.deployment.chainId, verifyingContract: world.deployment.zkmlVerifier };
    const statement = await makeInference(chain, world);
    const proof = simulateProof(INFERENCE_KEY, publicSignals(domain, "InferenceStatement", statement));
    await client.verifyInference(statement, proof);
    const { inferenceId } = await client.verifyAndStoreInference(statement, proof);
    expect(await client.getInference(inferenceId)).toEqual({
      keyDigest: statement.task.keyDigest,
      inputCommitment: statement.inputCommitment,
      output: statement.output,
    });
    await expectRevert(client.verifyAndStoreInference(statement, rerandomise(proof)), "InferenceKnown");
    await expectRevert(world.client.zkmlVerifier.verifyInference(statement, proof), "RequesterWrong");
    const forGate = simulateProof(INFERENCE_KEY, publicSignals(world.gate, "InferenceStatement", statement));
    await expectRevert(client.verifyInference(statement, forGate), "ProofInvalid");
  });
});

describe("ERC-8004", () => {
  it("gets an answer by certificate, once", async () => {
    const source = await readFile(
      new URL("../../verifier-contracts/test/twins/ValidationRegistry.sol", import.meta.url),
      "utf8",
    );
    const sources = await protocolSources();
    const responder = "facades/ValidationResponder.sol";
    const compiled = await compileContracts({
      "ValidationRegistry.sol": source.replace("../../src/", "./"),
      [responder]: sources[responder]!,
      "quorum/IQuorum.sol": sources["quorum/IQuorum.sol"]!,
    });
    const registry = await deploy(chain.accounts[0]!, artefact(compiled, "ValidationRegistry"));
    const address = await deployValidationResponder(chain.accounts[0]!, {
      validationRegistry: (await registry.getAddress()).toLowerCase() as Hex,
      quorum: world.deployment.quorum,
    });
    const client = new ValidationResponderClient({
      address,
      runner: chain.accounts[0]!,
      artefacts: await compileProtocolContracts(),
    });
    const answer: ValidationResponse = {
      requestHash: digestOf("request"),
      response: 100n,
      responseURI: "ipfs://bundle",
      responseHash: EVIDENCE,
      tag: "zk",
    };
    await (await registry.getFunction("validationRequest")(address, 7n, "ipfs://request", answer.requestHash)).wait();
    const domain = { chainId: world.deployment.chainId, verifyingContract: address };
    const statementDigest = validationResponseDigest(domain, answer);
    expect(await client.responseDigest(answer)).toBe(statementDigest);
    const certificate = certify(world, { taskId: answer.requestHash, statementDigest, evidenceDigest: EVIDENCE });
    await expectRevert(client.respond({ ...answer, response: 0n }, certificate, world.epoch), "SignerWrong");
    await client.respond(answer, certificate, world.epoch);
    const status = await registry.getFunction("getValidationStatus")(answer.requestHash);
    expect([status[0].toLowerCase(), status[1], status[2], status[3], status[4]]).toEqual([
      address,
      7n,
      100n,
      EVIDENCE,
      "zk",
    ]);
    await expectRevert(client.respond(answer, certificate, world.epoch), "AnsweredBefore");
  });
});
