/**
 * Step 9 of the story: for each step, changed inputs are tried and must be refused, each for the right reason.
 *
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Contract } from "ethers";
import {
  type Attestation,
  type Bundle,
  bundleToJson,
  type DatasetEvidence,
  domains,
  type ModelEvidence,
  reviewDataset,
  reviewModel,
  type TeeTrust,
  trustFromJson,
  trustToJson,
  verifyBundle,
} from "../../bundle/index.js";
import {
  artefact,
  compileContracts,
  connectProvider,
  deployVerifier,
  generateVerifier,
  startAnvil,
} from "../../chain/index.js";
import { type CircuitKey, setupDevelopment } from "../../circuit/setup.js";
import {
  AT,
  CHUNK_RECORDS,
  type ChunkValues,
  chunkRequest,
  commitDataset,
  contentElements,
  datasetPov,
  digestContent,
  digestName,
} from "../../dataset/index.js";
import { AnchorError, type ErrorCode } from "../../errors.js";
import { toHex } from "../../field/bytes.js";
import { Q, R, randomScalar } from "../../field/scalar.js";
import { MAIL_CLASSES, type Mail } from "../../model/corpus.js";
import type { ModelDirectory } from "../../model/directory.js";
import { extractFeatures } from "../../model/features.js";
import { type PointOfView, povDigest } from "../../protocol/pov.js";
import { assembleCertificate, type Certificate, checkCertificate, signVote, VERDICTS } from "../../protocol/quorum.js";
import { checkReceipt, receiptDigest } from "../../protocol/settlement.js";
import { signDigest } from "../../protocol/signature.js";
import { CIRCUIT_TYPES, contextSignal, publicSignals, statementDigest } from "../../protocol/statements.js";
import { keyDigest, type Proof, proofWords, type VerifyingKey, verifyGroth16 } from "../../verifier/groth16.js";
import { lintVerifyingKey } from "../../verifier/lint.js";
import { verifyStatement } from "../../verifier/statement.js";
import { type ChunkProver, type DatasetSubmission, type ModelProver, proveChunk, proveInference } from "./anchoring.js";
import type { AttestedAnswer } from "./attestation.js";
import { blockTime, type World } from "./world.js";

export interface Attempt {
  step: string;
  what: string;
  /** Code that must come; for reverts with the contract's error, for claims with the first one that fails. */
  expect: ErrorCode | `${"CHAIN_REVERTED" | "VERDICT_REJECTED" | "CLAIM_FAILED"} ${string}`;
  run(): Promise<unknown> | unknown;
}

export interface Refusal {
  attempt: Attempt;
  refused: boolean;
  /** The reason, or what happened instead. */
  reason: string;
}

/** Runs one attempt. It is refused only if it fails with the code that it must fail with. */
export async function tryToCheat(attempt: Attempt): Promise<Refusal> {
  try {
    await attempt.run();
    return { attempt, refused: false, reason: "it was accepted" };
  } catch (error) {
    if (!(error instanceof AnchorError)) throw error;
    const { error: reverted, claims } = error.details as { error?: string; claims?: { id: string }[] };
    const where = reverted ?? claims?.[0]?.id;
    const got = where === undefined ? error.code : `${error.code} ${where}`;
    if (got !== attempt.expect) {
      return { attempt, refused: false, reason: `it failed with ${got} (${error.message}), not ${attempt.expect}` };
    }
    return { attempt, refused: true, reason: `${got}: ${error.message}` };
  }
}

export interface Evidence {
  bundle: Bundle;
  submission: DatasetSubmission;
  datasetProver: ChunkProver;
  model: ModelDirectory;
  modelProver: ModelProver;
  question: Mail;
  attested: AttestedAnswer;
}

export function attempts(world: World, evidence: Evidence): Attempt[] {
  return [
    ...datasetAttempts(world, evidence),
    ...quorumAttempts(world, evidence),
    ...chainAttempts(world, evidence),
    ...modelAttempts(world, evidence),
    ...inferenceAttempts(world, evidence),
    ...settlementAttempts(world, evidence),
    ...keyAttempts(world, evidence),
    ...attestationAttempts(world, evidence),
    ...bundleAttempts(world, evidence),
  ];
}

/** Changes of a chunk before it is proven. */
type Change = (chunk: ChunkValues) => Partial<ChunkValues>;

const withField =
  (field: keyof typeof AT, value: bigint): Change =>
  ({ descriptions: [first, ...others] }) => ({ descriptions: [first!.with(AT[field], value), ...others] });

function datasetAttempts(world: World, { bundle, submission, datasetProver }: Evidence): Attempt[] {
  const { dataset } = submission;
  const { key, program } = datasetProver;
  const first = dataset.record(Number(bundle.dataset.statement.chunkIndex) * CHUNK_RECORDS);
  const otherLabel = MAIL_CLASSES.find((label) => label !== first.label)!;
  const flipped = first.data.map((byte, i) => (i === 100 ? byte ^ 1 : byte));
  const changedByte = withField("content", digestContent(contentElements({ ...first, data: flipped })));
  const relabelled = withField("label", digestName(otherLabel));
  const without = (chunk: ChunkValues, at: number): Partial<ChunkValues> => ({
    descriptions: chunk.descriptions.filter((_, i) => i !== at),
    blinds: chunk.blinds.filter((_, i) => i !== at),
  });
  const dropped: Change = (chunk) => without(chunk, 3);
  const cut: Change = (chunk) => without(chunk, chunk.descriptions.length - 1);
  const repeated: Change = ({ descriptions }) => ({ descriptions: descriptions.with(4, descriptions[3]!) });
  const exchanged: Change = ({ descriptions }) => ({
    descriptions: descriptions.with(3, descriptions[4]!).with(4, descriptions[3]!),
  });
  const { statement, proof, verifyingKey } = bundle.dataset;
  const domain = domains(world.trust).gate;
  const verify = (
    changed: Partial<typeof statement>,
    other: { proof?: Proof; chainId?: bigint; gate?: `0x${string}` } = {},
  ) =>
    verifyStatement(
      { chainId: other.chainId ?? domain.chainId, verifyingContract: other.gate ?? domain.verifyingContract },
      "DatasetStatement",
      { ...statement, ...changed },
      verifyingKey,
      other.proof ?? proof,
    );
  return [
    ...[
      { what: "a changed byte of a mail", change: changedByte },
      { what: "a mail relabelled as the other class", change: relabelled },
      { what: "a mail dropped", change: dropped },
      { what: "the last mail dropped, and a smaller count claimed", change: cut },
      { what: "a mail twice", change: repeated },
      { what: "two mails exchanged", change: exchanged },
    ].map(({ what, change }): Attempt => {
      return {
        step: "dataset",
        what: `${what}, proven under the old root`,
        expect: "WITNESS_INVALID",
        run: () => {
          const request = chunkRequest(dataset, Number(statement.chunkIndex));
          const context = contextSignal(domain, CIRCUIT_TYPES.datasetChunk, statement.task);
          return world.pool.prove({ dataset: program }, key, { ...request, ...change(request), context });
        },
      };
    }),
    {
      step: "dataset",
      what: "a mail moved to another chunk, proven under the old root",
      expect: "WITNESS_INVALID",
      run: () => {
        const [from, to] = [0, 1].map((index) => chunkRequest(dataset, index)) as [ChunkValues, ChunkValues];
        const [moved, blind] = [from.descriptions[0]!, from.blinds[0]!];
        const request = {
          ...to,
          descriptions: [moved, ...to.descriptions.slice(1)],
          blinds: [blind, ...to.blinds.slice(1)],
          context: contextSignal(domain, CIRCUIT_TYPES.datasetChunk, statement.task),
        };
        return world.pool.prove({ dataset: program }, key, request);
      },
    },
    {
      step: "dataset proof",
      what: "a forged proof (A and C exchanged)",
      expect: "PROOF_INVALID",
      run: () => verify({}, { proof: { ...proof, a: proof.c, c: proof.a } }),
    },
    {
      step: "dataset proof",
      what: "the proof of another chunk",
      expect: "PROOF_INVALID",
      run: () => verify({ chunkIndex: statement.chunkIndex + 1n }),
    },
    {
      step: "dataset proof",
      what: "the proof of another number of mails",
      expect: "PROOF_INVALID",
      run: () => verify({ chunkRecords: statement.chunkRecords - 1n }),
    },
    {
      step: "dataset proof",
      what: "an index plus the field's order (the same number to a careless verifier)",
      expect: "STATEMENT_INVALID",
      run: () => verify({ chunkIndex: statement.chunkIndex + R }),
    },
    {
      step: "dataset proof",
      what: "the same proof for another chain",
      expect: "PROOF_INVALID",
      run: () => verify({}, { chainId: 1n }),
    },
    {
      step: "dataset proof",
      what: "the same proof for another requester",
      expect: "PROOF_INVALID",
      run: () => verify({ task: { ...statement.task, requester: world.node.account } }),
    },
  ];
}

/** The creator signs another submission, and the statement about it. */
function resubmit(world: World, evidence: DatasetEvidence, pov: PointOfView): DatasetEvidence {
  const domain = domains(world.trust).gate;
  const { statement } = evidence;
  const digest = povDigest(domain, pov);
  const changed = { ...statement, asset: { ...statement.asset, metadataDigest: digest } };
  return {
    ...evidence,
    pov,
    povSignature: signDigest(world.creator.secretKey, digest),
    statement: changed,
    statementSignature: signDigest(world.creator.secretKey, statementDigest(domain, "DatasetStatement", changed)),
  };
}

function quorumAttempts(world: World, { bundle, submission }: Evidence): Attempt[] {
  const { certificate, ...evidence } = bundle.dataset;
  const { statement } = evidence;
  const domain = domains(world.trust);
  const subject = () => ({
    taskId: statement.task.taskId,
    statementDigest: statementDigest(domain.gate, "DatasetStatement", statement),
    evidenceDigest: verifyStatement(domain.gate, "DatasetStatement", statement, evidence.verifyingKey, evidence.proof)
      .evidenceDigest,
  });
  const review = async (changed: DatasetEvidence) => reviewDataset(world.trust, changed, await blockTime(world));
  return [
    {
      step: "quorum",
      what: "a submission whose size was changed after signing",
      expect: "VERDICT_REJECTED dataset.submission",
      run: () => review({ ...evidence, pov: { ...evidence.pov, records: evidence.pov.records + 1n } }),
    },
    {
      step: "quorum",
      what: "a number of records that the root was not made from, signed by the creator",
      expect: "VERDICT_REJECTED dataset.root",
      run: () => review(resubmit(world, evidence, { ...evidence.pov, records: evidence.pov.records + 1n })),
    },
    {
      step: "quorum",
      what: "a submission of another dataset, signed by the creator, with this one's proof",
      expect: "VERDICT_REJECTED dataset.submission",
      run: async () => {
        const mails = [submission.dataset.record(1), submission.dataset.record(0)];
        const other = await datasetPov(await commitDataset(mails), {
          creator: world.creator.account,
          dataTag: evidence.pov.dataTag,
          timestamp: evidence.pov.timestamp,
        });
        return review(resubmit(world, evidence, other));
      },
    },
    {
      step: "quorum",
      what: "a submission signed by someone else than its creator",
      expect: "VERDICT_REJECTED dataset.submission",
      run: () =>
        review({ ...evidence, povSignature: signDigest(world.node.secretKey, statement.asset.metadataDigest) }),
    },
    {
      step: "quorum",
      what: "a supply raised by whoever carries the submission to the validators",
      expect: "VERDICT_REJECTED dataset.request",
      run: () =>
        review({ ...evidence, statement: { ...statement, asset: { ...statement.asset, supply: 10n ** 30n } } }),
    },
    {
      step: "quorum",
      what: "two votes of four",
      expect: "QUORUM_NOT_REACHED",
      run: () =>
        checkCertificate(
          domain.quorum,
          [world.epoch],
          { ...certificate, votes: certificate.votes.slice(0, 2) },
          subject(),
        ),
    },
    {
      step: "quorum",
      what: "one validator's vote twice, and an outsider's",
      expect: "QUORUM_NOT_REACHED",
      run: () => {
        const ballot = { epoch: 1n, round: 0n, verdict: VERDICTS.accept, ...subject() };
        const [first] = world.validators;
        const signers = [first!, first!, world.node, world.creator];
        const signatures = signers.map(({ secretKey }) => signVote(domain.quorum, ballot, secretKey));
        return assembleCertificate(domain.quorum, world.epoch, { round: 0n, ...subject() }, signatures);
      },
    },
    {
      step: "quorum",
      what: "a certificate moved to another statement",
      expect: "CERTIFICATE_INVALID",
      run: () =>
        checkCertificate(domain.quorum, [world.epoch], certificate, {
          ...subject(),
          statementDigest: toHex(new Uint8Array(32).fill(1)),
        }),
    },
  ];
}

function chainAttempts(world: World, { bundle, submission, datasetProver }: Evidence): Attempt[] {
  const { statement, proof, certificate, verifyingKey } = bundle.dataset;
  const client = world.operator;
  const fresh = { ...statement, task: { ...statement.task, nonce: statement.task.nonce + 1n } };
  return [
    {
      step: "chain",
      what: "the same statement, proof and certificate again",
      expect: "CHAIN_REVERTED StatementUsed",
      run: () => client.gate.mintDataset(statement, proof, certificate, world.epoch),
    },
    {
      step: "chain",
      what: "the old proof with a fresh statement",
      expect: "CHAIN_REVERTED ProofInvalid",
      run: () => client.gate.mintDataset(fresh, proof, certificate, world.epoch),
    },
    {
      step: "chain",
      what: "the replayed certificate with a fresh statement and a valid proof of it",
      expect: "CHAIN_REVERTED SignerWrong",
      run: async () => {
        const { evidence } = await proveChunk(world, submission, datasetProver, Number(statement.chunkIndex));
        return client.gate.mintDataset(evidence.statement, evidence.proof, certificate, world.epoch);
      },
    },
    {
      step: "chain",
      what: "a statement whose deadline has passed",
      expect: "CHAIN_REVERTED DeadlinePassed",
      run: () =>
        client.gate.mintDataset(
          { ...statement, task: { ...statement.task, deadline: 1n } },
          proof,
          certificate,
          world.epoch,
        ),
    },
    {
      step: "chain",
      what: "the development verifier on another chain (id 1)",
      expect: "CHAIN_REVERTED DevelopmentKeyLocked",
      run: () => callOnOtherChain(world, verifyingKey, bundle),
    },
  ];
}

/** Starts a second chain with id 1, puts the dataset's verifier there and shows it a proof that is valid for it. */
async function callOnOtherChain(world: World, vkey: VerifyingKey, { dataset }: Bundle): Promise<void> {
  const other = await startAnvil({ signal: world.signal, chainId: 1 });
  try {
    const provider = await connectProvider(other.url);
    const trusted = world.trust.keys.find((key) => key.keyDigest === keyDigest(vkey))!;
    const options = {
      vkey,
      contractName: "DatasetChunkVerifier",
      circuitDigest: trusted.circuitDigest,
      development: true,
    };
    const address = await deployVerifier(await provider.getSigner(0), options, { signal: world.signal });
    const artefacts = await compileContracts({ "DatasetChunkVerifier.sol": generateVerifier(options) });
    const { abi } = artefact(artefacts, "DatasetChunkVerifier");
    const signals = publicSignals(domains(world.trust).gate, "DatasetStatement", dataset.statement);
    try {
      await new Contract(address, abi as never, provider)
        .getFunction("verifyProof")
        .staticCall(proofWords(dataset.proof), signals);
    } catch (error) {
      const { revert } = error as { revert?: { name: string } };
      throw new AnchorError("CHAIN_REVERTED", "the key is locked to chain 31337", { details: { error: revert?.name } });
    }
    provider.destroy();
  } finally {
    await other.stop();
  }
}

/** What only works, if at all, before the model is minted. */
export function modelAttemptsBeforeMint(world: World, evidence: ModelEvidence, certificate: Certificate): Attempt[] {
  const { statement, proof } = evidence;
  const mint = (changed: ModelEvidence["statement"], votes: Certificate) =>
    world.operator.gate.mintModel(changed, proof, votes, world.epoch);
  return [
    {
      step: "model",
      what: "minted without the parent that the quorum voted for",
      expect: "CHAIN_REVERTED SignerWrong",
      run: () => mint({ ...statement, asset: { ...statement.asset, parents: [] } }, certificate),
    },
    {
      step: "model",
      what: "minted with two votes of four",
      expect: "CHAIN_REVERTED QuorumNotReached",
      run: () => mint(statement, { ...certificate, votes: certificate.votes.slice(0, 2) }),
    },
    {
      step: "model",
      what: "minted with the votes under each other's names",
      expect: "CHAIN_REVERTED SignerWrong",
      run: () => {
        const votes = certificate.votes.map(({ validator }, i) => ({
          validator,
          signature: certificate.votes[(i + 1) % certificate.votes.length]!.signature,
        }));
        return mint(statement, { ...certificate, votes });
      },
    },
  ];
}

function modelAttempts(world: World, { bundle }: Evidence): Attempt[] {
  const { certificate, ...evidence } = bundle.model;
  const { statement } = evidence;
  const otherDigest = toHex(new Uint8Array(32).fill(7));
  const review = async (changed: ModelEvidence) => reviewModel(world.trust, changed, await blockTime(world));
  return [
    {
      step: "model",
      what: "the proof under another model's name",
      expect: "VERDICT_REJECTED model.identity",
      run: () =>
        review({
          ...evidence,
          statement: {
            ...statement,
            asset: { ...statement.asset, commitment: otherDigest },
            sample: { ...statement.sample, modelDigest: otherDigest },
          },
        }),
    },
    {
      step: "model",
      what: "the dataset's proof in place of the model's",
      expect: "VERDICT_REJECTED model.sample",
      run: () => review({ ...evidence, proof: bundle.dataset.proof }),
    },
  ];
}

function inferenceAttempts(world: World, { bundle }: Evidence): Attempt[] {
  const { statement, proof } = bundle.inference;
  const { verifyingKey } = bundle.model;
  const domain = domains(world.trust).gate;
  const wrong = { ...statement, output: 1n - statement.output };
  return [
    {
      step: "inference",
      what: "the wrong class, off chain",
      expect: "PROOF_INVALID",
      run: () => verifyStatement(domain, "InferenceStatement", wrong, verifyingKey, proof),
    },
    {
      step: "inference",
      what: "the wrong class, on chain",
      expect: "CHAIN_REVERTED ProofInvalid",
      run: () => world.operator.gate.verifyInference(wrong, proof),
    },
    {
      step: "inference",
      what: "an old answer for a new request",
      expect: "PROOF_INVALID",
      run: () => {
        const task = { ...statement.task, nonce: statement.task.nonce + 1n };
        return verifyStatement(domain, "InferenceStatement", { ...statement, task }, verifyingKey, proof);
      },
    },
    {
      step: "inference",
      what: "the same answer on chain again",
      expect: "CHAIN_REVERTED StatementUsed",
      run: () => world.operator.gate.verifyInference(statement, proof),
    },
    {
      step: "inference",
      what: "an answer about another question",
      expect: "PROOF_INVALID",
      run: () =>
        verifyStatement(
          domain,
          "InferenceStatement",
          { ...statement, inputCommitment: randomScalar() },
          verifyingKey,
          proof,
        ),
    },
  ];
}

function settlementAttempts(world: World, { bundle }: Evidence): Attempt[] {
  const { receipt, signatures } = bundle.inference;
  const domain = domains(world.trust).settlement;
  const signBoth = (changed: typeof receipt) => {
    const digest = receiptDigest(domain, changed);
    return [signDigest(world.user.secretKey, digest), signDigest(world.node.secretKey, digest)] as const;
  };
  return [
    {
      step: "settlement",
      what: "a receipt claimed twice",
      expect: "CHAIN_REVERTED ReceiptClaimed",
      run: () => world.node.client.settlement.claim(receipt, signatures.user, signatures.node),
    },
    {
      step: "settlement",
      what: "a cost raised by the node after the user signed",
      expect: "SIGNATURE_INVALID",
      run: () => checkReceipt(domain, { ...receipt, cost: receipt.costCap }, signatures),
    },
    {
      step: "settlement",
      what: "a cost above the user's cap, signed by both",
      expect: "CHAIN_REVERTED CostAboveCap",
      run: () => {
        const changed = { ...receipt, nonce: receipt.nonce + 1n, cost: receipt.costCap + 1n };
        return world.node.client.settlement.claim(changed, ...signBoth(changed));
      },
    },
    {
      step: "settlement",
      what: "a receipt signed by the node alone",
      expect: "CHAIN_REVERTED UserSignatureInvalid",
      run: () => {
        const changed = { ...receipt, nonce: receipt.nonce + 1n };
        const [, node] = signBoth(changed);
        return world.node.client.settlement.claim(changed, node, node);
      },
    },
  ];
}

function keyAttempts(world: World, evidence: Evidence): Attempt[] {
  const { bundle, model, modelProver, question } = evidence;
  let own: { prover: ModelProver; directory: string } | undefined;
  const selfMade = async (): Promise<ModelProver> => {
    own ??= await makeOwnKey(modelProver);
    return own.prover;
  };
  const answerUnderOwnKey = async () => {
    const prover = await selfMade();
    const { statement, proof } = await proveInference(world, model, prover, {
      features: extractFeatures(question.body),
      salt: randomScalar(),
      requester: world.user,
      payee: world.node,
    });
    return { statement, proof, prover };
  };
  return [
    {
      step: "keys",
      what: "a valid proof under a self-made key, on chain",
      expect: "CHAIN_REVERTED KeyUnknown",
      run: async () => {
        const { statement, proof } = await answerUnderOwnKey();
        return world.operator.gate.verifyInference(statement, proof);
      },
    },
    {
      step: "keys",
      what: "a model that brings its self-made key along",
      expect: "VERDICT_REJECTED model.key",
      run: async () => {
        try {
          const { statement: sample, proof, prover } = await answerUnderOwnKey();
          const changed = { ...bundle.model.statement, sample };
          const digest = statementDigest(domains(world.trust).gate, "ModelStatement", changed);
          const statementSignature = signDigest(world.user.secretKey, digest);
          const submitted = { statement: changed, statementSignature, proof, verifyingKey: prover.key.verifyingKey };
          return reviewModel(world.trust, submitted, await blockTime(world));
        } finally {
          if (own) await rm(own.directory, { recursive: true, force: true });
        }
      },
    },
    {
      step: "keys",
      what: "a key whose setup was never finished (gamma = delta), with the forgery that it allows",
      expect: "KEY_FORGEABLE",
      run: () => {
        const key = { ...bundle.model.verifyingKey, delta: bundle.model.verifyingKey.gamma };
        const negated = ([x, y]: readonly [bigint, bigint]) => [x, Q - y] as const;
        // With no public input but zeros, A = alpha, B = beta, C = -IC[0] satisfies the equation.
        const forged: Proof = { a: key.alpha, b: key.beta, c: negated(key.ic[0]!) };
        const zeros = new Array<bigint>(key.nPublic).fill(0n);
        if (!verifyGroth16(key, zeros, forged)) throw new AnchorError("INTERNAL", "the forgery should have worked");
        lintVerifyingKey(key);
      },
    },
  ];
}

/** The same circuit under a trapdoor of one's own. */
async function makeOwnKey({ circuit }: ModelProver): Promise<{ prover: ModelProver; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "anchorproof-"));
  const zkeyPath = join(directory, "own.zkey");
  const { verifyingKey } = await setupDevelopment(circuit.r1csPath, zkeyPath);
  const key = { zkeyPath, verifyingKey, keyDigest: keyDigest(verifyingKey), circuitDigest: circuit.circuitDigest };
  return { prover: { circuit, key: { ...key, development: true } as CircuitKey }, directory };
}

/** Checks a changed bundle as of the chain's time; the first claim that fails is the reason. */
async function checkBundle(world: World, changed: Bundle, trust = world.trust): Promise<void> {
  const document = JSON.parse(JSON.stringify(bundleToJson(changed)));
  const verdict = verifyBundle(document, trustFromJson(trustToJson(trust)), { now: Number(await blockTime(world)) });
  const failed = verdict.claims.find(({ ok }) => !ok);
  if (failed) {
    const { code, message } = failed.failure!;
    if (failed.id === "inference.attestation") throw new AnchorError(code as ErrorCode, message);
    throw new AnchorError("CLAIM_FAILED", message, { details: { claims: [failed] } });
  }
}

/** All of it in the formats of real hardware, signed by the laboratory that the trust file believes in. */
function attestationAttempts(world: World, { bundle, attested }: Evidence): Attempt[] {
  const { statement } = bundle.inference;
  const attempt = (
    what: string,
    expect: ErrorCode,
    make: () => { attestation: Attestation; tee?: TeeTrust },
  ): Attempt => ({
    step: "attestation",
    what,
    expect,
    run: () => {
      const { attestation, tee = world.trust.tee! } = make();
      return checkBundle(
        world,
        { ...bundle, inference: { ...bundle.inference, attestation } },
        { ...world.trust, tee },
      );
    },
  });
  const { remake, attestation } = attested;
  const { machine } = attestation;
  const other = { ...statement, output: 1n - statement.output };
  const fill = (byte: string, length: number) => `0x${byte.repeat(length)}` as const;
  return [
    attempt("evidence for another answer", "NONCE_MISMATCH", () => remake({ statement: other })),
    attempt("a report for another answer, with a GPU's for this one", "BINDING_MISMATCH", () =>
      remake({ cpu: { reportData: fill("11", 64) } }),
    ),
    attempt("a TD in debug mode", "DEBUG_ENABLED", () => remake({ cpu: { debug: true } })),
    attempt("a program that is not on the list", "MEASUREMENT_MISMATCH", () =>
      remake({ cpu: { measurements: { mrTd: fill("a2", 48) } } }),
    ),
    attempt("a platform whose key is revoked", "CERT_REVOKED", () => remake({ cpu: { revoked: ["pck"] } })),
    attempt("a platform that is out of date", "APPRAISAL_FAILED", () => remake({ cpu: { pceSvn: 11 } })),
    attempt("a GPU with other firmware than its certificate's", "FWID_MISMATCH", () =>
      remake({ gpu: { certificateFwid: fill("ee", 48) } }),
    ),
    attempt("a GPU asked with a nonce of somebody else's", "NONCE_MISMATCH", () =>
      remake({ gpu: { nonce: fill("ee", 32) } }),
    ),
    attempt("the same GPU twice", "DUPLICATE_DEVICE", () => {
      const [device] = machine.devices;
      return { attestation: { ...attestation, machine: { ...machine, devices: [device!, device!] } } };
    }),
    attempt("without the GPU that the report names", "BINDING_MISMATCH", () => ({
      attestation: { ...attestation, machine: { ...machine, devices: [] } },
    })),
    attempt("under the vendors' own roots", "CHAIN_UNTRUSTED", () => ({
      attestation,
      tee: { policy: world.trust.tee!.policy },
    })),
  ];
}

function bundleAttempts(world: World, { bundle }: Evidence): Attempt[] {
  const check = (changed: Bundle, trust = world.trust) => checkBundle(world, changed, trust);
  const { inference } = bundle;
  return [
    {
      step: "bundle",
      what: "without a trust file",
      expect: "UNANCHORED",
      run: () => verifyBundle(bundleToJson(bundle), undefined),
    },
    {
      step: "bundle",
      what: "the answer changed",
      expect: "CLAIM_FAILED inference.proof",
      run: () =>
        check({
          ...bundle,
          inference: { ...inference, statement: { ...inference.statement, output: 1n - inference.statement.output } },
        }),
    },
    {
      step: "bundle",
      what: "under a trust file with another quorum",
      expect: "CLAIM_FAILED dataset.certificate",
      run: () => {
        const members = world.epoch.members.slice(1).concat({ account: world.epoch.members[0]!.account, weight: 25n });
        members[3] = { account: `0x${"ff".repeat(20)}`, weight: 25n };
        return check(bundle, { ...world.trust, epochs: [{ epoch: 1n, members }] });
      },
    },
  ];
}
