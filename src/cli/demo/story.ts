/**
 * The whole protocol once, on real data: what `anchorproof demo` runs.
 *
 * @module
 */
import { join } from "node:path";
import {
  type Bundle,
  bundleToJson,
  domains,
  trustFromJson,
  trustToJson,
  verdictToJson,
  verifyBundle,
} from "../../bundle/index.js";
import { chunkCount } from "../../dataset/index.js";
import { AnchorError, throwIfAborted } from "../../errors.js";
import { wordHex } from "../../field/bytes.js";
import { randomScalar } from "../../field/scalar.js";
import { commitInput } from "../../model/commitment.js";
import { loadCorpus, MAIL_CLASSES, type Mail, split } from "../../model/corpus.js";
import { extractFeatures, FEATURE_RANGE } from "../../model/features.js";
import { type Receipt, receiptDigest } from "../../protocol/settlement.js";
import { signDigest } from "../../protocol/signature.js";
import { statementDigest } from "../../protocol/statements.js";
import { verifyStatement } from "../../verifier/statement.js";
import { pretty, writeWhole } from "../command.js";
import { seconds, type Terminal } from "../terminal.js";
import {
  certifyDataset,
  certifyModel,
  prepareDatasetProver,
  prepareModelProver,
  proveChunk,
  proveInference,
  quantiseModel,
  submitDataset,
  submitModel,
} from "./anchoring.js";
import { appraiseRecorded, attestAnswer } from "./attestation.js";
import {
  type Attempt,
  attempts,
  type Evidence,
  modelAttemptsBeforeMint,
  type Refusal,
  tryToCheat,
} from "./tampering.js";
import { blockTime, createWorld, type World } from "./world.js";

export interface DemoOptions {
  out: string;
  /** Which held-out mail to ask about. */
  mail: number;
  terminal: Terminal;
  signal: AbortSignal;
}

/** What the node charges for an answer, and the most that the user agreed to, in wei. */
const COST = 1_000_003n;
const COST_CAP = 2_000_000n;

/** @throws CLAIM_FAILED when a step or a rejection did not go as it should; ABORTED */
export async function runDemo(options: DemoOptions): Promise<void> {
  const { terminal, signal } = options;
  const started = performance.now();
  terminal.busy("starting the chain");
  const world = await createWorld(terminal, signal);
  try {
    await tell(world, options, started);
  } catch (error) {
    throwIfAborted(signal); // what an abort breaks on its way out is not the reason
    throw error;
  } finally {
    await world.close();
  }
}

async function tell(world: World, { out, mail, terminal, signal }: DemoOptions, started: number): Promise<void> {
  const step = steps(terminal);
  step.begin(started);
  step.end("stage", [
    `a local chain (anvil, id ${world.deployment.chainId}), registry, quorum, token, gate and settlement deployed`,
    `creator, node, user, governance pool, and 4 bonded validators of weight 25 as epoch 1`,
  ]);

  step.begin();
  terminal.busy("reading the corpus");
  const mails = split(await loadCorpus({ signal }));
  const submission = await submitDataset(world, mails.train);
  const { commitment } = submission.dataset;
  const { records } = commitment.opening.totals;
  step.end("1 dataset", [
    `${records} mails, ${commitment.bytes} bytes, ${chunkCount(records)} blinded chunks`,
    `root     ${submission.pov.dataRoot}`,
    `sha-256  ${submission.pov.dataHash}`,
    `POV submission signed by the creator ${world.creator.account}`,
  ]);

  step.begin();
  const datasetProver = await prepareDatasetProver(world, submission);
  const { evidence: datasetEvidence, result: chunkProof } = await proveChunk(world, submission, datasetProver, 1);
  step.end("2 dataset proof", [
    `circuit  ${datasetProver.circuit.rows} rows, ${datasetProver.circuit.circuitDigest}`,
    `key      ${datasetProver.key.keyDigest} (development, locked to chain 31337)`,
    `proof    private chunk 1, ${datasetEvidence.statement.chunkRecords} mails, lies under the root; ` +
      `witness ${seconds(chunkProof.timings.witnessMs)}, proof ${seconds(chunkProof.timings.proveMs)}`,
  ]);

  step.begin();
  const datasetCertificate = await certifyDataset(world, datasetEvidence);
  step.end("3 quorum", [
    `${datasetCertificate.votes.length} validators checked submission and proof and signed; more than two thirds make a certificate`,
  ]);

  step.begin();
  const datasetAsset = datasetEvidence.statement.asset;
  const datasetMint = await world.operator.gate.mintDataset(
    datasetEvidence.statement,
    datasetEvidence.proof,
    datasetCertificate,
    world.epoch,
  );
  step.end("4 chain", [
    `the gate rebuilt context and signals, checked proof and certificate, and minted (${datasetMint.gasUsed} gas)`,
    `DAT      ${wordHex(datasetMint.datId)}`,
  ]);

  step.begin();
  const model = await quantiseModel(world, join(out, "model"), mails);
  const modelProver = await prepareModelProver(world, model);
  const modelEvidence = await submitModel(world, model, modelProver, mails.train[0]!, datasetAsset);
  const modelCertificate = await certifyModel(world, modelEvidence);
  const early = await cheat(world, modelAttemptsBeforeMint(world, modelEvidence, modelCertificate));
  const modelMint = await world.operator.gate.mintModel(
    modelEvidence.statement,
    modelEvidence.proof,
    modelCertificate,
    world.epoch,
  );
  const { evaluation } = model.report;
  step.end("5 model", [
    `spam classifier from ONNX, ${model.descriptor.multiplications.constant} weights, as integers: right on ` +
      `${percent(evaluation.integerAccuracy!)} of ${evaluation.samples} held-out mails (float ${percent(evaluation.floatAccuracy!)})`,
    `model    ${model.descriptor.modelDigest}`,
    `circuit  ${modelProver.circuit.rows} rows, ${modelProver.circuit.circuitDigest}`,
    `DAT      ${wordHex(modelMint.datId)}, child of the dataset's (${modelMint.gasUsed} gas)`,
  ]);

  step.begin();
  const question = held(mails.test, mail);
  const [features, salt] = [extractFeatures(question.body), randomScalar()];
  const asked = { features, salt, requester: world.user, payee: world.node };
  const answer = await proveInference(world, model, modelProver, asked);
  const inferred = verifyAsClient(world, answer, modelProver, features, salt);
  const onChain = await world.operator.gate.verifyInference(answer.statement, answer.proof);
  const label = MAIL_CLASSES[Number(answer.statement.output)]!;
  step.end("6 inference", [
    `held-out mail ${question.id}: the node answers "${label}" (labelled ${question.label})`,
    `proof    witness ${seconds(answer.result.timings.witnessMs)}, proof ${seconds(answer.result.timings.proveMs)}; ` +
      `checked by the client, and by the gate (${onChain.gasUsed} gas)`,
  ]);

  step.begin();
  const recorded = appraiseRecorded();
  const attested = await attestAnswer(world, answer.statement);
  step.end("7 attestation", [
    `${recorded.source}: ${recorded.verdict.summary}`,
    `a TDX guest and its GPU, of a laboratory's PKI since this machine has no TEE: both bound to this very answer`,
  ]);

  step.begin();
  const settled = await settle(world, modelMint.datId, answer.statement, inferred);
  step.end("8 settlement", settled.lines);

  const bundle: Bundle = {
    dataset: { ...datasetEvidence, certificate: datasetCertificate },
    model: { ...modelEvidence, certificate: modelCertificate },
    inference: {
      statement: answer.statement,
      proof: answer.proof,
      receipt: settled.receipt,
      signatures: settled.signatures,
      attestation: attested.attestation,
    },
  };
  step.begin();
  const story: Evidence = { bundle, submission, datasetProver, model, modelProver, question, attested };
  const refusals = [...early, ...(await cheat(world, attempts(world, story)))];
  step.end("9 tampering", report(refusals));
  const accepted = refusals.filter(({ refused }) => !refused).length;
  if (accepted > 0)
    throw new AnchorError("CLAIM_FAILED", `${accepted} attempts to cheat were not rejected as they should be`);

  step.begin();
  const written = { bundle: pretty(bundleToJson(bundle)), trust: pretty(trustToJson(world.trust)) };
  const now = Number(await blockTime(world));
  const verdict = verifyBundle(JSON.parse(written.bundle), trustFromJson(JSON.parse(written.trust)), { now });
  if (!verdict.ok) throw new AnchorError("CLAIM_FAILED", "the finished bundle does not verify");
  await writeWhole(join(out, "bundle.json"), written.bundle);
  await writeWhole(join(out, "trust.json"), written.trust);
  await writeWhole(join(out, "verdict.json"), `${verdictToJson(verdict)}\n`);
  const query = { mail: Buffer.from(question.bytes).toString("base64"), salt: wordHex(salt) };
  await writeWhole(join(out, "query.json"), pretty(query), 0o600);
  step.end("10 evidence", [
    ...verdict.assurance.map(({ mode, holds, shows }) => `${mode.padEnd(8)} ${holds ? "holds: " : ""}${shows}`),
    "         (the hardware is the laboratory's, which this trust file believes in, and no other does)",
    `all ${verdict.claims.length} claims hold, as the trust file asks by ${verdict.required}; written to ${out}`,
    `check it yourself: npx anchorproof verify ${join(out, "bundle.json")} --trust ${join(out, "trust.json")}`,
  ]);
  terminal.line(`every step and every rejection went as it should, in ${seconds(performance.now() - started)}`);
}

/** What the user does with an answer: rebuild the statement's signals, and the commitment from the own question. */
function verifyAsClient(
  world: World,
  { statement, proof }: Awaited<ReturnType<typeof proveInference>>,
  { key }: { key: { verifyingKey: Parameters<typeof verifyStatement>[3] } },
  features: Uint8Array,
  salt: bigint,
): `0x${string}` {
  if (statement.inputCommitment !== commitInput(FEATURE_RANGE, features, salt)) {
    throw new AnchorError("CLAIM_FAILED", "the answer is about another question");
  }
  return verifyStatement(domains(world.trust).gate, "InferenceStatement", statement, key.verifyingKey, proof)
    .evidenceDigest;
}

async function settle(
  world: World,
  id: bigint,
  statement: Awaited<ReturnType<typeof proveInference>>["statement"],
  evidenceDigest: `0x${string}`,
): Promise<{ receipt: Receipt; signatures: { user: `0x${string}`; node: `0x${string}` }; lines: string[] }> {
  const { user, node, creator, governance } = world;
  const domain = domains(world.trust);
  await user.client.settlement.deposit(10n * COST);
  const receipt: Receipt = {
    user: user.account,
    node: node.account,
    datId: id,
    nonce: statement.task.nonce,
    cost: COST,
    costCap: COST_CAP,
    token: `0x${"00".repeat(20)}`,
    parameterVersion: world.trust.settlement.parameterVersion,
    deadline: (await blockTime(world)) + 3600n,
    usage: 1n,
    requestHash: wordHex(statement.inputCommitment),
    responseHash: statementDigest(domain.gate, "InferenceStatement", statement),
    evidenceDigest,
  };
  const digest = receiptDigest(domain.settlement, receipt);
  const signatures = { user: signDigest(user.secretKey, digest), node: signDigest(node.secretKey, digest) };
  const claimed = await node.client.settlement.claim(receipt, signatures.user, signatures.node);
  const paid = [claimed.creatorShare, claimed.nodeShare, claimed.poolShare];
  const owed = await Promise.all(
    [creator, node, governance].map(({ account }) => world.operator.settlement.balancesOf(account)),
  );
  if (owed.some((balance, i) => balance.owed !== paid[i]) || paid.reduce((sum, x) => sum + x, 0n) !== COST) {
    throw new AnchorError("CLAIM_FAILED", "the balances are not the split of the cost");
  }
  const left = (await world.operator.settlement.balancesOf(user.account)).deposit;
  if (left !== 9n * COST) throw new AnchorError("CLAIM_FAILED", "the user's deposit was not debited by the cost");
  for (const actor of [creator, node, governance]) await actor.client.settlement.withdraw();
  return {
    receipt,
    signatures,
    lines: [
      `receipt over ${COST} wei signed by user and node, claimed once (${claimed.gasUsed} gas)`,
      `creator  ${paid[0]} (70 %, rounded down)`,
      `node     ${paid[1]} (20 %, rounded down)`,
      `pool     ${paid[2]} (the rest); all three withdrawn, ${left} left of the user's deposit`,
    ],
  };
}

async function cheat(world: World, list: readonly Attempt[]): Promise<Refusal[]> {
  const refusals: Refusal[] = [];
  for (const [i, attempt] of list.entries()) {
    throwIfAborted(world.signal);
    world.terminal.progress("cheating", i / list.length);
    refusals.push(await tryToCheat(attempt));
  }
  return refusals;
}

function report(refusals: readonly Refusal[]): string[] {
  const lines = refusals.map(
    ({ attempt, refused, reason }) =>
      `${refused ? "rejected" : "ACCEPTED"} ${attempt.step}: ${attempt.what}\n             ${reason}`,
  );
  const accepted = refusals.filter(({ refused }) => !refused);
  return [...lines, `${refusals.length - accepted.length} of ${refusals.length} attempts rejected`];
}

function held(mails: readonly Mail[], index: number): Mail {
  const mail = mails[index];
  if (!mail) throw new AnchorError("USAGE", `--mail takes a number from 0 to ${mails.length - 1}`);
  return mail;
}

/** Prints a block a step, with its time. */
function steps(terminal: Terminal) {
  let from = 0;
  return {
    begin(at = performance.now()) {
      from = at;
    },
    end(title: string, lines: readonly string[]) {
      terminal.line(`[${title}]  ${seconds(performance.now() - from)}`);
      for (const line of lines) terminal.line(`    ${line}`);
    },
  };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
