/** LazAI's contracts on a chain (twins that behave as theirs), by our client; and the gate in front of them. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorFragment, TypedDataEncoder } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { LazaiGateClient } from "../../src/chain/client/lazaiGate.js";
import { compileContracts, compileProtocolContracts } from "../../src/chain/compile.js";
import { deployLazaiGate } from "../../src/chain/deploy.js";
import { lazaiErrors } from "../../src/chain/lazai/abi.js";
import {
  LAZAI_TESTNET,
  LazaiClient,
  type LazaiDeployment,
  lazaiLocal,
  MINTER_ROLE,
} from "../../src/chain/lazai/index.js";
import { errorInterface, explainFailure } from "../../src/chain/reverts.js";
import type { Hex } from "../../src/field/bytes.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { type Domain, encodeType } from "../../src/protocol/eip712.js";
import { signDigitalCheck, signProofData } from "../../src/protocol/lazai.js";
import {
  checkLazaiStatement,
  LAZAI_STATEMENT_TYPES,
  type LazaiMintStatement,
  type LazaiModelStatement,
  type LazaiStatementName,
  type LazaiStatements,
  lazaiStatementDigest,
  lazaiStatementFromJson,
  lazaiStatementToJson,
} from "../../src/protocol/lazaiStatements.js";
import { VERDICTS } from "../../src/protocol/quorum.js";
import { accountOf } from "../../src/protocol/signature.js";
import { publicSignals, type Revocation, revocationDigest } from "../../src/protocol/statements.js";
import { evidenceDigest, type Proof } from "../../src/verifier/groth16.js";
import { asset, bytes, task, uint } from "./arbitraries.js";
import { deploy, digestOf, expectRevert, now, secretOf, undone, useChain } from "./fixture.js";
import { rerandomise, simulateProof } from "./simulated.js";
import {
  certify,
  createWorld,
  DATASET_KEY,
  INFERENCE_KEY,
  makeDataset,
  makeModel,
  type Subject,
  type World,
} from "./world.js";

const SHA256 = "46af43ea5090cb4b13142010065bc0bcc1c88eaf9c64cf5ce9739d934d145a35";
const NODE = secretOf("lazai node");

const chain = useChain();
let world: World;
let lazai: LazaiDeployment;
let admin: LazaiClient;
let owner: LazaiClient;
let address: Hex;
let gate: LazaiGateClient;
let domain: Domain;

/** Account 1 owns files, and 2 is a node that signs with its own key. */
beforeAll(async () => {
  world = await createWorld(chain);
  lazai = await deployTwins();
  admin = await LazaiClient.connect(lazai, chain.accounts[0]!);
  owner = await LazaiClient.connect(lazai, chain.accounts[1]!);
  await admin.token.send("grantRole", { role: MINTER_ROLE, account: lazai.dataRegistry });
  await admin.verifiedComputing.send("addNode", {
    nodeAddress: chain.addresses[2]!,
    url: "http://node",
    publicKey: "key",
  });
  const signer = { nodeAddress: accountOf(NODE), url: "http://signer", publicKey: "key" };
  await admin.verifiedComputing.send("addNode", signer);
  const { registry, quorum } = world.deployment;
  address = await deployLazaiGate(chain.accounts[0]!, {
    registry,
    quorum,
    dat: lazai.token,
    dataRegistry: lazai.dataRegistry,
  });
  domain = { chainId: 31337n, verifyingContract: address };
  const artefacts = await compileProtocolContracts();
  gate = new LazaiGateClient({ address, runner: chain.accounts[7]!, artefacts });
});

async function deployTwins(): Promise<LazaiDeployment> {
  const folder = join(PACKAGE_ROOT, "verifier-contracts", "test", "twins", "lazai");
  const sources: Record<string, string> = {};
  for (const file of await readdir(folder)) sources[file] = await readFile(join(folder, file), "utf8");
  const artefacts = await compileContracts(sources);
  const [account] = chain.accounts;
  const [by] = chain.addresses;
  const put = async (name: string, ...args: unknown[]): Promise<Hex> =>
    (await (await deploy(account!, artefacts[name]!, ...args)).getAddress()).toLowerCase() as Hex;
  const token = await put("DataAnchoringToken", by, "");
  const verifiedComputing = await put("VerifiedComputing", by);
  const dataRegistry = await put("DataRegistry", by, token, verifiedComputing, "files", "key");
  const zero = `0x${"00".repeat(20)}`;
  const [query, inference, training] = [
    await put("AIProcess", by, zero, 3600),
    await put("AIProcess", by, zero, 3600),
    await put("AIProcess", by, zero, 3600),
  ];
  const settlement = await put("Settlement", by, query, inference, training);
  const idao = await put("IDAO", by, token, verifiedComputing, settlement, "idao", "a record");
  return { chainId: 31337n, token, verifiedComputing, dataRegistry, query, inference, training, settlement, idao };
}

describe("LazAI's contracts", () => {
  it("are at known places, of which a client says when they are not there", async () => {
    expect(LAZAI_TESTNET.chainId).toBe(133718n);
    for (const deployment of [LAZAI_TESTNET, lazaiLocal()]) {
      await expect(LazaiClient.connect(deployment, chain.provider)).rejects.toMatchObject({
        code: "CHAIN_UNAVAILABLE",
      });
    }
    const wrong = { ...lazai, token: "0x12" as Hex };
    await expect(LazaiClient.connect(wrong, chain.provider)).rejects.toMatchObject({ code: "INPUT_INVALID" });
  });

  it("take a file from its registration to its token, as LazAI's SDKs do it", async () => {
    await undone(chain.provider, async () => {
      const { fileId } = await owner.addFile("ipfs://workflow", SHA256);
      expect(await owner.file(fileId)).toEqual({
        id: fileId,
        ownerAddress: chain.addresses[1],
        url: "ipfs://workflow",
        hash: SHA256,
        proofIndex: 0n,
        rewardAmount: 0n,
      });
      expect((await owner.dataRegistry.read("getFileIdByUrl", { url: "ipfs://workflow" })).value).toBe(fileId);
      await owner.addPermission(fileId, chain.addresses[2]!, "encrypted");
      const asked = { fileId, account: chain.addresses[2]! };
      expect((await owner.dataRegistry.read("getFilePermission", asked)).value).toBe("encrypted");

      // Jobs go to the node at number modulo count: the second one to the first node.
      await owner.requestProof(fileId, 100n);
      const { jobId, node } = await owner.requestProof(fileId, 100n);
      expect(node).toBe(chain.addresses[2]);
      expect(await owner.job(jobId)).toMatchObject({ fileId, bidAmount: 100n, status: 1n, nodeAddress: node });
      const nodes = await LazaiClient.connect(lazai, chain.accounts[2]!);
      await nodes.completeJob(jobId);
      expect((await nodes.claim()).amount).toBe(100n);
      expect(await nodes.node(node)).toMatchObject({ nodeAddress: node, url: "http://node", status: 1n, amount: 100n });

      const data = { id: fileId, score: 5000n, fileUrl: "ipfs://workflow", proofUrl: "ipfs://proof" };
      const { index } = await nodes.addProof(fileId, data, signProofData(NODE, data));
      expect((await owner.requestReward(fileId, index)).amount).toBe(5000n);
      const tokenId = (await owner.token.read("currentTokenId", {})).value;
      expect(await owner.dat(tokenId)).toEqual({ fileUrl: "ipfs://workflow", verified: true });
      const held = { account: chain.addresses[1]!, id: tokenId };
      expect((await owner.token.read("balanceOf", held)).value).toBe(5000n);
      expect((await owner.token.logs("TokenMinted")).at(-1)).toEqual({
        to: chain.addresses[1],
        tokenId,
        fileUrl: "ipfs://workflow",
      });
    });
  });

  it("say what of their proofs holds: who signed, whether a node, and whether of this file (defects 1 and 3)", async () => {
    await undone(chain.provider, async () => {
      const { fileId } = await owner.addFile("ipfs://a", SHA256);
      const other = await owner.addFile("ipfs://b", SHA256);
      const data = { id: fileId, score: 7n, fileUrl: "ipfs://a", proofUrl: "" };
      const signature = signProofData(NODE, data);
      const stranger = signProofData(secretOf("stranger"), data);
      const attach = (fileId: bigint, proof: { data: typeof data; signature: Hex }) =>
        owner.dataRegistry.send("addProof", { fileId, proof });
      await attach(fileId, { data, signature });
      await attach(fileId, { data, signature: stranger });
      await attach(fileId, { data, signature: "0x" });
      await attach(other.fileId, { data, signature });
      const nothing = { ...data, score: 0n };
      await attach(fileId, { data: nothing, signature: signProofData(NODE, nothing) });
      const signer = accountOf(NODE);
      const said = (proofs: Awaited<ReturnType<typeof owner.proofs>>) =>
        proofs.map(({ index, signer, node, bound }) => [index, signer, node, bound]);
      expect(said(await owner.proofs(fileId))).toEqual([
        [1n, signer, true, true],
        [2n, accountOf(secretOf("stranger")), false, true],
        [3n, undefined, false, false],
        [4n, signer, true, false],
      ]);
      expect(said(await owner.proofs(other.fileId))).toEqual([[1n, signer, true, false]]);
      expect(await owner.proofs(99n)).toEqual([]);

      // The registry mints on the one that is of another file; this client does not attach such a one.
      const refusal = { code: "STATEMENT_INVALID" };
      await expect(owner.addProof(other.fileId, data, signature)).rejects.toMatchObject(refusal);
      await expect(owner.addProof(99n, data, signature)).rejects.toMatchObject(refusal);
      expect((await owner.requestReward(other.fileId, 1n)).amount).toBe(7n);
    });
  });

  it("let a node draw the same check twice, at any cost (defect 6)", async () => {
    await undone(chain.provider, async () => {
      for (const process of Object.values(admin.processes)) {
        await process.send("updateSettlement", { newSettlement: lazai.settlement });
        await process.send("addNode", { nodeAddress: chain.addresses[2]!, url: "", publicKey: "" });
      }
      const user = secretOf("lazai user");
      // The user is account 1: only the contracts' own books are looked at, so that its check is made with another key.
      await owner.settlement.send("addUser", {}, 1000n);
      await owner.settlement.send("depositInference", { node: chain.addresses[2]!, amount: 1000n });
      const nodes = await LazaiClient.connect(lazai, chain.accounts[2]!);
      const check = { nonce: 1n, user: chain.addresses[1]!, node: chain.addresses[2]! };
      const fees = { ...check, id: "chat", cost: 400n, userSignature: signDigitalCheck(user, check) };
      await expectRevert(nodes.settleFees("inference", fees), "InvalidUserSignature");
      // anvil's own account 1
      const known: Hex = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
      const drawn = { ...fees, userSignature: signDigitalCheck(known, check) };
      await nodes.settleFees("inference", drawn);
      await nodes.settleFees("inference", { ...drawn, cost: 600n });
      const { value } = await owner.processes.inference.read("getAccount", { user: check.user, node: check.node });
      expect(value.balance).toBe(0n);
      await expectRevert(nodes.settleFees("inference", { ...drawn, cost: 1n }), "InsufficientBalance");
    });
  });

  it("revert with errors that are put into words", async () => {
    await owner.addFile("ipfs://once", SHA256);
    const again = await expectRevert(owner.addFile("ipfs://once", SHA256), "FileUrlAlreadyUsed");
    expect(again.message).toContain("a file with this url is registered already");
    await expectRevert(owner.completeJob(1n), "NodeNotActive");
    await expectRevert(owner.dat(99n), "Error");
    await expectRevert(
      owner.token.send("mint", { to: chain.addresses[1]!, amount: 1n, fileUrl_: "u", verified_: true }),
      "AccessControlUnauthorizedAccount",
    );
    // Every error of the interfaces has its words.
    const known = errorInterface({});
    for (const text of lazaiErrors()) {
      const fragment = ErrorFragment.from(text);
      const data = `${fragment.selector}${"00".repeat(320)}`;
      const failure = Object.assign(new Error(text), { code: "CALL_EXCEPTION", data });
      const error = await explainFailure(failure, "call", known, null);
      expect(error.details["error"]).toBe(fragment.name);
      expect(error.message, text).not.toContain("refused with");
    }
  });

  it("refuse to be called with what would mint no token, and to send without a signer", async () => {
    await expect(owner.addFile("", SHA256)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    await expect(owner.addFile("ipfs://x", `0x${SHA256}`)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    const reader = await LazaiClient.connect(lazai, chain.provider);
    await expect(reader.addFile("ipfs://x", SHA256)).rejects.toMatchObject({ code: "INPUT_INVALID" });
    expect((await reader.idao!.read("description", {})).value).toBe("a record");
  });
});

let files = 0;

async function makeMint(account = 1): Promise<LazaiMintStatement> {
  const url = `ipfs://${++files}`;
  const client = await LazaiClient.connect(lazai, chain.accounts[account]!);
  const { fileId } = await client.addFile(url, SHA256);
  const asset = { token: lazai.token, fileId };
  const dataset = await makeDataset(chain, world, { asset, task: { requester: chain.addresses[account]! } });
  return { dataset, file: { fileId, url, sha256: SHA256 } };
}

/** Proof and votes, for the gate in front of LazAI's contracts. */
function prepare(statement: LazaiMintStatement) {
  const { dataset } = statement;
  const signals = publicSignals(domain, "DatasetStatement", dataset);
  return votedOn(statement, simulateProof(DATASET_KEY, signals));
}

function votedOn(statement: LazaiMintStatement, proof: Proof) {
  const { dataset } = statement;
  const signals = publicSignals(domain, "DatasetStatement", dataset);
  const subject: Subject = {
    taskId: dataset.task.taskId,
    statementDigest: lazaiStatementDigest(domain, "LazaiMintStatement", statement),
    evidenceDigest: evidenceDigest(world.datasetKey, signals, proof),
  };
  return { proof, subject, certificate: certify(world, subject) };
}

describe("the gate in front of them", () => {
  const mint = (statement: LazaiMintStatement, { proof, certificate }: ReturnType<typeof prepare>) =>
    gate.mintDataset(statement, proof, certificate, world.epoch);

  beforeAll(async () => {
    const statement = await makeMint();
    await expectRevert(mint(statement, prepare(statement)), "LegacyPathOpen");
    await admin.token.send("revokeRole", { role: MINTER_ROLE, account: lazai.dataRegistry });
    await expectRevert(mint(statement, prepare(statement)), "AccessControlUnauthorizedAccount");
    await admin.token.send("grantRole", { role: MINTER_ROLE, account: address });
  });

  it("mints a dataset's token to the file's owner, on a proof and a certificate; and a quorum revokes it", async () => {
    const statement = await makeMint();
    const { asset, task } = statement.dataset;
    checkLazaiStatement("LazaiMintStatement", statement, await now(chain.provider));
    const prepared = prepare(statement);
    const { subject } = prepared;
    expect(await gate.isUsed(subject.statementDigest)).toBe(false);
    const { datId, statementDigest } = await mint(statement, prepared);
    expect(statementDigest).toBe(subject.statementDigest);
    expect(await gate.isUsed(statementDigest)).toBe(true);
    expect(await owner.dat(datId)).toEqual({ fileUrl: statement.file.url, verified: true });
    expect((await owner.token.read("balanceOf", { account: task.requester, id: datId })).value).toBe(asset.supply);
    expect(await gate.datOfFile(asset.fileId)).toBe(datId);
    expect(await gate.datOfFile(99n)).toBeUndefined();
    expect(await gate.datOfAsset(asset.class, asset.commitment)).toBe(datId);
    expect(await gate.datOfAsset(2n, asset.commitment)).toBeUndefined();
    expect(await gate.recordOf(datId)).toEqual({
      creator: task.requester,
      mintedAt: await now(chain.provider),
      class: 1n,
      revoked: false,
      expiresAt: 0n,
      maxUses: 0n,
      statementDigest,
      fileId: asset.fileId,
    });
    expect(await gate.recordOf(99n)).toBeUndefined();

    const revocation: Revocation = {
      taskId: digestOf("revocation"),
      token: lazai.token,
      datId,
      reason: "the data was not the owner's",
      evidenceDigest: digestOf("what was seen"),
      nonce: 1n,
      deadline: (await now(chain.provider)) + 3600n,
    };
    const { taskId, evidenceDigest } = revocation;
    const votes = { taskId, statementDigest: revocationDigest(domain, revocation), evidenceDigest };
    const rejected = certify(world, votes, { verdict: VERDICTS.reject });
    await expectRevert(gate.revoke(revocation, rejected, world.epoch), "SignerWrong");
    expect(await gate.isVerified(datId)).toBe(true);
    await gate.revoke(revocation, certify(world, votes), world.epoch);
    expect(await gate.isVerified(datId)).toBe(false);
    expect((await owner.dat(datId)).verified).toBe(false);
    expect((await gate.recordOf(datId))?.revoked).toBe(true);
  });

  it("mints a model's token", async () => {
    const url = "ipfs://model";
    const { fileId } = await owner.addFile(url, SHA256);
    const statement: LazaiModelStatement = {
      model: await makeModel(chain, world, { asset: { token: lazai.token, fileId } }),
      file: { fileId, url, sha256: SHA256 },
    };
    checkLazaiStatement("LazaiModelStatement", statement);
    const { sample } = statement.model;
    const signals = publicSignals(domain, "ModelStatement", statement.model);
    const proof = simulateProof(INFERENCE_KEY, signals);
    const certificate = certify(world, {
      taskId: sample.task.taskId,
      statementDigest: lazaiStatementDigest(domain, "LazaiModelStatement", statement),
      evidenceDigest: evidenceDigest(world.inferenceKey, signals, proof),
    });
    const { datId } = await gate.mintModel(statement, proof, certificate, world.epoch);
    expect((await gate.recordOf(datId))?.class).toBe(2n);
  });

  it("refuses replays, re-randomised proofs, votes to reject, and votes of too few (defects 2, 3 and 5)", async () => {
    const statement = await makeMint();
    const prepared = prepare(statement);
    const { proof, subject, certificate } = prepared;
    const other = rerandomise(proof);
    await expectRevert(mint(statement, { ...prepared, proof: other }), "SignerWrong");
    const rejected = certify(world, subject, { verdict: VERDICTS.reject });
    await expectRevert(mint(statement, { ...prepared, certificate: rejected }), "SignerWrong");
    const few = certify(world, subject, { voters: [0, 2] });
    await expectRevert(mint(statement, { ...prepared, certificate: few }), "QuorumNotReached");
    const forMintGate = {
      ...subject,
      statementDigest: lazaiStatementDigest(world.gate, "LazaiMintStatement", statement),
    };
    await expectRevert(mint(statement, { ...prepared, certificate: certify(world, forMintGate) }), "SignerWrong");

    await gate.mintDataset(statement, proof, certificate, world.epoch);
    await expectRevert(mint(statement, prepared), "StatementUsed");
    await expectRevert(mint(statement, votedOn(statement, other)), "StatementUsed");
  });

  it("refuses another file than the one that was voted on, and a file of somebody else (defect 1)", async () => {
    const statement = await makeMint();
    const prepared = prepare(statement);
    const { file } = await makeMint(3);
    const moved: LazaiMintStatement = {
      dataset: { ...statement.dataset, asset: { ...statement.dataset.asset, fileId: file.fileId } },
      file,
    };
    await expectRevert(mint(moved, prepared), "SignerWrong");
    await expectRevert(mint(moved, prepare(moved)), "FileOwnerMismatch");
    const renamed = { ...statement, file: { ...statement.file, url: file.url } };
    await expectRevert(mint(renamed, prepare(renamed)), "FileUrlMismatch");
    const rehashed = { ...statement, file: { ...statement.file, sha256: "0".repeat(64) } };
    await expectRevert(mint(rehashed, prepare(rehashed)), "FileHashMismatch");
    await mint(statement, prepared);
  });

  it("is deployed where the contracts that it names are", async () => {
    const { registry, quorum } = world.deployment;
    const dat = `0x${"12".repeat(20)}` as Hex;
    const deployed = deployLazaiGate(chain.accounts[0]!, { registry, quorum, dat, dataRegistry: lazai.dataRegistry });
    await expectRevert(deployed, "AddressWithoutCode");
  });
});

describe("typed data of the gate", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 40 });
  const file = fc.record({ fileId: uint(256), url: text, sha256: text });
  const mints = fc.record({
    dataset: fc.record({ task, asset, chunkIndex: uint(256), chunkRecords: uint(256) }),
    file,
  });
  const sample = fc.record({ task, modelDigest: bytes(32), output: uint(256), inputCommitment: uint(256) });
  const models = fc.record({ model: fc.record({ asset, circuitDigest: bytes(32), sample }), file });

  function byEthers(primary: LazaiStatementName, value: object): string {
    const reached = [...encodeType(LAZAI_STATEMENT_TYPES, primary).matchAll(/([A-Z]\w*)\(/g)].map(([, name]) => name!);
    const types = Object.fromEntries(
      reached.map((name) => [name, LAZAI_STATEMENT_TYPES[name]!.map((field) => ({ ...field }))]),
    );
    return TypedDataEncoder.hash({ name: "anchorproof", version: "1", ...domain }, types, value);
  }

  async function agree<N extends LazaiStatementName>(name: N, statement: LazaiStatements[N], onChain: Hex) {
    const digest = lazaiStatementDigest(domain, name, statement);
    expect(onChain).toBe(digest);
    expect(byEthers(name, statement)).toBe(digest);
    const json = JSON.parse(JSON.stringify(lazaiStatementToJson(name, statement)));
    expect(lazaiStatementFromJson(name, json, "statement")).toEqual(statement);
    const invalid = expect.objectContaining({ code: "STATEMENT_INVALID" });
    expect(() => lazaiStatementFromJson(name, { ...json, more: "1" }, "statement")).toThrowError(invalid);
    expect(() => lazaiStatementFromJson(name, { ...json, file: undefined }, "statement")).toThrowError(invalid);
  }

  it("has one digest in the contract, here and in ethers", async () => {
    await fc.assert(
      fc.asyncProperty(mints, async (statement) => {
        await agree("LazaiMintStatement", statement, await gate.mintStatementDigest(statement));
      }),
      { numRuns: 12 },
    );
    await fc.assert(
      fc.asyncProperty(models, async (statement) => {
        await agree("LazaiModelStatement", statement, await gate.modelStatementDigest(statement));
      }),
      { numRuns: 12 },
    );
  });

  it("is refused before anybody votes where the gate would refuse it", async () => {
    const good = await makeMint();
    const time = await now(chain.provider);
    checkLazaiStatement("LazaiMintStatement", good, time);
    const { dataset } = good;
    const withAsset = (changes: object) => ({
      ...good,
      dataset: { ...dataset, asset: { ...dataset.asset, ...changes } },
    });
    const withTerms = (changes: object) => withAsset({ terms: { ...dataset.asset.terms, ...changes } });
    const withFile = (changes: object) => ({ ...good, file: { ...good.file, ...changes } });
    const bad = [
      withAsset({ class: 2n }),
      withAsset({ supply: 0n }),
      withAsset({ supply: 10_001n }),
      withAsset({ parents: [1n] }),
      withAsset({ commitment: `0x${"00".repeat(32)}` }),
      withAsset({ fileId: good.file.fileId + 1n }),
      { ...withAsset({ fileId: 0n }), file: { ...good.file, fileId: 0n } },
      withTerms({ transferable: false }),
      withTerms({ shareBps: 1n }),
      withTerms({ expiresAt: time }),
      withFile({ url: "" }),
      withFile({ sha256: SHA256.toUpperCase() }),
      withFile({ sha256: `0x${SHA256}` }),
    ];
    for (const statement of bad) {
      expect(() => checkLazaiStatement("LazaiMintStatement", statement, time)).toThrowError(
        expect.objectContaining({ code: "STATEMENT_INVALID" }),
      );
    }
  });
});
