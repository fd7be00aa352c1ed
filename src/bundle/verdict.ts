/**
 * Checks evidence against trust, claim by claim, and says what holds, by what, and what nobody has shown.
 *
 * A validator calls {@link reviewDataset} or {@link reviewModel} before it votes; anyone calls {@link verifyBundle} on
 * the finished bundle. Both run the same checks. Pure, synchronous, offline.
 *
 * @module
 */
import { chunkCount, hashRoot, treeDepth } from "../dataset/layout.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { type Hex, wordHex } from "../field/bytes.js";
import { canonicalJson, documentDigest } from "../protocol/document.js";
import { checkPov, type PointOfView } from "../protocol/pov.js";
import { type Certificate, checkCertificate } from "../protocol/quorum.js";
import { checkReceipt, type Shares, splitCost } from "../protocol/settlement.js";
import { checkSigner } from "../protocol/signature.js";
import {
  ASSET_CLASSES,
  CHUNK_RECORDS,
  checkAsset,
  datId,
  type Statements,
  statementDigest,
  type Terms,
  taskOf,
} from "../protocol/statements.js";
import type { TeeVerdict } from "../tee/verdict.js";
import { keyDigest, type VerifyingKey } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { verifyStatement } from "../verifier/statement.js";
import { type Assurance, type AssuranceMode, assuranceTable } from "./assurance.js";
import { appraiseAnswer } from "./attestation.js";
import { type Bundle, bundleFromJson, bundleToJson, type DatasetEvidence, type ModelEvidence } from "./bundle.js";
import { domains, type Trust, type TrustedKey, trustToJson } from "./trust.js";

export interface Claim {
  /** Stable name, such as `dataset.proof`. */
  id: string;
  /** What is claimed, in plain words. */
  claim: string;
  /** What shows it: a proof, votes, signatures. */
  by: string;
  ok: boolean;
  /** Code and message of the check that failed. */
  failure?: { code: string; message: string };
}

export interface Verdict {
  format: "anchorproof/verdict@2";
  /** Every claim holds, and with them what the trust file asks of an answer. */
  ok: boolean;
  bundleDigest: Hex;
  trustDigest: Hex;
  claims: Claim[];
  /** What the answer can be relied on for, in every way that there is. */
  assurance: Assurance[];
  /** Which of them the trust file asks for. */
  required: AssuranceMode;
  /** Of the attestation, where there is one. */
  tee?: TeeVerdict;
  /** What a reader might take for granted and what none of the evidence shows. */
  notProven: string[];
}

/** The only chain on which development keys count, off chain as in the generated contracts. */
const DEVELOPMENT_CHAIN = 31337n;

const UNTRUSTED = "the trust file does not hold its key for this purpose";

/** Runs checks one by one; a failed one is recorded under its name and the others go on. */
class Claims {
  readonly list: Claim[] = [];

  check<T>(id: string, claim: string, by: string, run: () => T): T | undefined {
    try {
      const result = run();
      this.list.push({ id, claim, by, ok: true });
      return result;
    } catch (error) {
      const { code, message } = toAnchorError(error, "INTERNAL", "the check failed unexpectedly");
      this.list.push({ id, claim, by, ok: false, failure: { code, message } });
      return undefined;
    }
  }
}

/**
 * A validator's review of a dataset submission, before voting.
 *
 * @param now Unix seconds of a recent block that the validator trusts
 * @returns the digests to vote on
 * @throws VERDICT_REJECTED with the claims in its details, DEADLINE_PASSED, INPUT_INVALID for a time that is none
 */
export function reviewDataset(
  trust: Trust,
  evidence: DatasetEvidence,
  now: bigint,
): { statementDigest: Hex; evidenceDigest: Hex } {
  checkClock(now);
  const claims = new Claims();
  const evidenceDigest = checkDataset(claims, trust, evidence, now);
  concludeReview(claims, evidence.statement.task.deadline, now);
  const digest = statementDigest(domains(trust).gate, "DatasetStatement", evidence.statement);
  return { statementDigest: digest, evidenceDigest: evidenceDigest! };
}

/** A validator's review of a model submission, before voting. Errors as for {@link reviewDataset}. */
export function reviewModel(
  trust: Trust,
  evidence: ModelEvidence,
  now: bigint,
): { statementDigest: Hex; evidenceDigest: Hex } {
  checkClock(now);
  const claims = new Claims();
  const { evidenceDigest } = checkModel(claims, trust, evidence, now);
  concludeReview(claims, evidence.statement.sample.task.deadline, now);
  const digest = statementDigest(domains(trust).gate, "ModelStatement", evidence.statement);
  return { statementDigest: digest, evidenceDigest: evidenceDigest! };
}

/**
 * Checks a whole bundle.
 *
 * @param json  the parsed file; nothing in it is believed
 * @param trust what the verifier believes; without it there is nothing to anchor any claim to
 * @param now   Unix seconds of a block that the verifier trusts: attestation in a bundle is checked as of then
 * @throws UNANCHORED without trust; any input code for a malformed bundle. A claim that fails does not throw: see `ok`.
 */
export function verifyBundle(json: unknown, trust: Trust | undefined, { now }: { now?: number } = {}): Verdict {
  if (!trust) {
    throw new AnchorError(
      "UNANCHORED",
      "a bundle shows nothing by itself: name the trust file that holds the keys, quorum and contracts you believe in",
    );
  }
  const bundle = bundleFromJson(json);
  const claims = new Claims();
  const { dataset, model } = bundle;
  const datasetEvidence = checkDataset(claims, trust, dataset);
  checkVotes(claims, trust, "dataset", dataset.statement.task.taskId, dataset.certificate, {
    statementDigest: statementDigest(domains(trust).gate, "DatasetStatement", dataset.statement),
    evidenceDigest: datasetEvidence,
  });
  const { key, evidenceDigest: modelEvidence } = checkModel(claims, trust, model);
  const modelVoted = checkVotes(claims, trust, "model", model.statement.sample.task.taskId, model.certificate, {
    statementDigest: statementDigest(domains(trust).gate, "ModelStatement", model.statement),
    evidenceDigest: modelEvidence,
  });
  checkLineage(claims, bundle, modelVoted);
  const evidence = checkInference(claims, trust, bundle, key);
  const tee = checkAttestation(claims, trust, bundle, now);
  const { required, assurance } = checkAssurance(claims, trust, bundle, { proven: evidence !== undefined, tee });

  const used = trust.keys.filter(({ keyDigest: digest }) => usedKeys(bundle).includes(digest));
  return {
    format: "anchorproof/verdict@2",
    ok: claims.list.every(({ ok }) => ok),
    bundleDigest: documentDigest(bundleToJson(bundle)),
    trustDigest: documentDigest(trustToJson(trust)),
    claims: claims.list,
    assurance,
    required,
    ...(tee ? { tee } : {}),
    notProven: notProven(used, tee),
  };
}

/** Two verifiers with the same bundle and trust file get the same bytes. */
export function verdictToJson(verdict: Verdict): string {
  return canonicalJson(verdict);
}

/** The exact amounts that a bundle's receipt pays, in the token's smallest unit. */
export function receiptSplit(trust: Trust, bundle: Bundle): Shares {
  return splitCost(bundle.inference.receipt.cost, trust.settlement.shares);
}

function checkDataset(claims: Claims, trust: Trust, evidence: DatasetEvidence, now?: bigint): Hex | undefined {
  const { pov, povSignature, statement, statementSignature, proof, verifyingKey } = evidence;
  const { task, asset, chunkIndex, chunkRecords } = statement;
  const key = checkKey(claims, trust, "dataset", "dataset-chunk", verifyingKey);
  claims.check(
    "dataset.submission",
    `the creator ${pov.creator} submits ${pov.records} records, ${pov.dataSize} bytes, under the root ${pov.dataRoot}`,
    "the creator's signature over the POV submission",
    () => {
      const { digest } = checkPov(domains(trust).gate, pov, povSignature, now);
      require(asset.class === ASSET_CLASSES.dataset, "the asset is not a dataset");
      require(asset.commitment === pov.dataRoot, "the statement is about another root than the submission");
      require(asset.metadataDigest === digest, "the statement names another submission");
      require(task.requester === pov.creator, "the token would go to someone else than the creator");
      const rest = pov.records - chunkIndex * CHUNK_RECORDS;
      const isLast = rest < CHUNK_RECORDS;
      require(rest > 0n &&
        chunkRecords === (isLast ? rest : CHUNK_RECORDS), "the submission has no such chunk, or one of another length");
    },
  );
  claims.check(
    "dataset.root",
    `the root ${pov.dataRoot} commits to ${pov.records} records, ${pov.blocks} blocks and ${pov.values} values as its totals`,
    "the root itself: it is the hash of them",
    () => checkRoot(pov),
  );
  checkRequest(claims, trust, "dataset", "DatasetStatement", statement, statementSignature, now);
  return claims.check(
    "dataset.proof",
    `the creator's side knew what describes the ${chunkRecords} records of chunk ${chunkIndex} under the root`,
    `a Groth16 proof under key ${task.keyDigest}`,
    () => {
      require(key !== undefined, UNTRUSTED);
      return verifyStatement(domains(trust).gate, "DatasetStatement", statement, verifyingKey, proof).evidenceDigest;
    },
  );
}

/** The submission's numbers are those that the root was made from. That they are true of the records, proofs have to show. */
function checkRoot(pov: PointOfView): void {
  const totals = { records: Number(pov.records), blocks: Number(pov.blocks), values: Number(pov.values) };
  const depth = treeDepth(chunkCount(totals.records));
  require(pov.depth === BigInt(depth), `a tree over ${pov.records} records has height ${depth}`);
  const root = hashRoot({ depth, top: BigInt(pov.top), totals, schema: BigInt(pov.schema) });
  require(root === BigInt(pov.dataRoot), "the root is not the hash of what the submission says of it");
}

/** Binds what the proof does not: who asks for which token, with which supply, parents, terms and metadata. */
function checkRequest<N extends "DatasetStatement" | "ModelStatement">(
  claims: Claims,
  trust: Trust,
  part: "dataset" | "model",
  name: N,
  statement: Statements[N],
  signature: Hex,
  now: bigint | undefined,
): void {
  const { asset } = statement;
  const { requester } = taskOf(name, statement);
  claims.check(
    `${part}.request`,
    `${requester} asks for ${asset.supply} of the token of ${asset.commitment}, child of ${asset.parents.length} others, ${termsInWords(asset.terms)}`,
    "the requester's signature over the statement",
    () => {
      require(asset.token === trust.contracts.token, "the statement asks for a token of another contract");
      checkAsset(asset, now);
      checkSigner(statementDigest(domains(trust).gate, name, statement), signature, requester, "requester");
    },
  );
}

function termsInWords({ expiresAt, maxUses, shareBps, transferable }: Terms): string {
  return [
    expiresAt === 0n ? "without expiry" : `until ${expiresAt}`,
    maxUses === 0n ? "without a limit of uses" : `for ${maxUses} uses`,
    `asking ${shareBps} basis points of what is derived from it`,
    transferable ? "transferable" : "not transferable",
  ].join(", ");
}

/** The key comes back only if the trust file says that it is this model's. */
function checkModel(
  claims: Claims,
  trust: Trust,
  evidence: ModelEvidence,
  now?: bigint,
): { key: TrustedKey | undefined; evidenceDigest: Hex | undefined } {
  const { statement, statementSignature, proof, verifyingKey } = evidence;
  const { asset, circuitDigest, sample } = statement;
  const trusted = checkKey(claims, trust, "model", "inference", verifyingKey);
  const key = claims.check(
    "model.identity",
    `the key belongs to the circuit ${circuitDigest} of the model ${asset.commitment}`,
    "the verifier's trust file",
    () => {
      require(trusted !== undefined, UNTRUSTED);
      require(trusted?.modelDigest === asset.commitment, "the trusted key is of another model");
      require(trusted?.circuitDigest === circuitDigest, "the trusted key is of another circuit");
      return trusted;
    },
  );
  checkRequest(claims, trust, "model", "ModelStatement", statement, statementSignature, now);
  const evidenceDigest = claims.check(
    "model.sample",
    `the model gave output ${sample.output} on the sample input behind commitment ${sample.inputCommitment}`,
    `a Groth16 proof under key ${sample.task.keyDigest}`,
    () => {
      require(key !== undefined, UNTRUSTED);
      return verifyStatement(domains(trust).gate, "ModelStatement", statement, verifyingKey, proof).evidenceDigest;
    },
  );
  return { key, evidenceDigest };
}

function checkInference(
  claims: Claims,
  trust: Trust,
  { model, inference }: Bundle,
  key: TrustedKey | undefined,
): Hex | undefined {
  const { statement, proof, receipt, signatures } = inference;
  const domain = domains(trust);
  const evidence = claims.check(
    "inference.proof",
    `the model ${statement.modelDigest} gave output ${statement.output} on the input behind commitment ${statement.inputCommitment}`,
    `a Groth16 proof under key ${statement.task.keyDigest}`,
    () => {
      require(key !== undefined, UNTRUSTED);
      require(statement.modelDigest === key?.modelDigest, "the answer is by another model");
      return verifyStatement(domain.gate, "InferenceStatement", statement, model.verifyingKey, proof).evidenceDigest;
    },
  );
  const { creator, node, pool } = splitCost(receipt.cost, trust.settlement.shares);
  claims.check(
    "inference.receipt",
    `user ${receipt.user} and node ${receipt.node} agreed on ${receipt.cost} units for this answer, which split into ` +
      `${creator} for the creator, ${node} for the node and ${pool} for the governance pool`,
    "both parties' signatures over the receipt",
    () => {
      checkReceipt(domain.settlement, receipt, signatures, trust.settlement.currencies);
      const { asset, sample } = model.statement;
      const paidFor = statementDigest(domain.gate, "InferenceStatement", statement);
      const shown = statementDigest(domain.gate, "InferenceStatement", sample);
      require(paidFor !== shown, "the answer is the sample that the model was minted with");
      require(receipt.user === statement.task.requester, "the receipt is by another user");
      require(receipt.node === statement.task.payee, "the receipt pays another node");
      require(receipt.datId === datId(asset.class, asset.commitment), "the receipt is for another token");
      require(receipt.requestHash === wordHex(statement.inputCommitment), "the receipt is for another question");
      require(receipt.responseHash === paidFor, "the receipt is for another answer");
      require(evidence !== undefined, "there is no valid proof that it could be for");
      require(receipt.evidenceDigest === evidence, "the receipt is for another proof");
      require(receipt.parameterVersion === trust.settlement.parameterVersion, "the split has another version");
    },
  );
  return evidence;
}

/** Attestation that nobody here can judge is refused: a bundle holds nothing that is bound to nothing. */
function checkAttestation(
  claims: Claims,
  trust: Trust,
  { inference }: Bundle,
  now: number | undefined,
): TeeVerdict | undefined {
  const { statement, attestation } = inference;
  if (!attestation) return undefined;
  let verdict: TeeVerdict | undefined;
  claims.check(
    "inference.attestation",
    "a known program in a genuine TEE gave out this answer",
    "the vendor's attestation of the machine, bound to this task, under the verifier's policy",
    () => {
      const { tee } = trust;
      if (!tee) throw new AnchorError("UNANCHORED", "the trust file says nothing about TEEs");
      if (now === undefined)
        throw new AnchorError("BAD_TIME", "attestation is checked as of a time, and none is given");
      verdict = appraiseAnswer(domains(trust).gate, statement, attestation, tee, now);
      const failed = verdict.checks.find(({ outcome }) => outcome === "fail");
      if (!verdict.accepted) {
        throw new AnchorError(failed?.code ?? "APPRAISAL_FAILED", failed?.reason ?? verdict.summary);
      }
      if (!verdict.tee)
        throw new AnchorError("APPRAISAL_FAILED", "the policy allows any program: nothing is shown of it");
    },
  );
  return verdict;
}

/** The table of all modes, and whether the one that the verifier asks for holds. */
function checkAssurance(
  claims: Claims,
  trust: Trust,
  { inference }: Bundle,
  { proven, tee }: { proven: boolean; tee: TeeVerdict | undefined },
): { required: AssuranceMode; assurance: Assurance[] } {
  const failureOf = (id: string) => claims.list.find((claim) => claim.id === id)?.failure?.message;
  const attested = failureOf("inference.attestation");
  const measured = tee?.checks.find(({ id, outcome }) => id === "policy.measurements" && outcome === "pass")?.reason;
  const broken = tee?.assurance.tier === "broken" ? tee.assurance.notes[0] : undefined;
  const agreed = failureOf("inference.receipt");
  const proof = failureOf("inference.proof");
  const assurance = assuranceTable({
    zk: { holds: proven, ...(proof === undefined ? {} : { reason: proof }) },
    tee: {
      holds: tee?.tee === true,
      reason: inference.attestation ? (attested ?? tee?.summary ?? "") : "there is no attestation in this bundle",
      ...(measured === undefined ? {} : { workload: measured }),
      ...(broken === undefined ? {} : { broken }),
    },
    agreed: { holds: agreed === undefined, ...(agreed === undefined ? {} : { reason: agreed }) },
  });
  const required = trust.assurance ?? "ZK";
  claims.check(
    "inference.assurance",
    `the answer is relied on by ${required}, as the trust file asks`,
    "the evidence that this takes",
    () => {
      const row = assurance.find(({ mode }) => mode === required)!;
      require(row.holds, row.shows);
    },
  );
  return { required, assurance };
}

function checkLineage(claims: Claims, { dataset, model }: Bundle, voted: boolean): void {
  claims.check(
    "model.lineage",
    "the model's token names the dataset's token as its parent",
    "the quorum's votes over the model's statement",
    () => {
      require(voted, "the quorum's votes do not hold");
      const { asset } = dataset.statement;
      const parent = datId(asset.class, asset.commitment);
      require(model.statement.asset.parents.includes(parent), "the dataset is not among the model's parents");
    },
  );
}

function checkKey(
  claims: Claims,
  trust: Trust,
  part: "dataset" | "model",
  circuit: TrustedKey["circuit"],
  verifyingKey: VerifyingKey,
): TrustedKey | undefined {
  const digest = keyDigest(verifyingKey);
  return claims.check(`${part}.key`, `the ${part}'s verifying key is ${digest}`, "the verifier's trust file", () => {
    const trusted = trust.keys.find((key) => key.keyDigest === digest && key.circuit === circuit);
    if (!trusted) {
      throw new AnchorError("KEY_UNKNOWN", `key ${digest} is not a trusted key for ${circuit} circuits`);
    }
    if (trusted.development && trust.chainId !== DEVELOPMENT_CHAIN) {
      throw new AnchorError("KEY_DEVELOPMENT", `key ${digest} is a development key: it counts on chain 31337 only`);
    }
    lintVerifyingKey(verifyingKey);
    return trusted;
  });
}

function checkVotes(
  claims: Claims,
  trust: Trust,
  part: "dataset" | "model",
  taskId: Hex,
  certificate: Certificate,
  digests: { statementDigest: Hex; evidenceDigest: Hex | undefined },
): boolean {
  const result = claims.check(
    `${part}.certificate`,
    `more than two thirds of the quorum of epoch ${certificate.epoch} accepted the ${part} on this very evidence`,
    `${certificate.votes.length} validators' signatures`,
    () => {
      const { evidenceDigest } = digests;
      if (evidenceDigest === undefined) {
        throw new AnchorError("CERTIFICATE_INVALID", "there is no valid proof that the votes could be for");
      }
      return checkCertificate(domains(trust).quorum, trust.epochs, certificate, { ...digests, evidenceDigest, taskId });
    },
  );
  return result !== undefined;
}

/** The validator's own mistake must not become a vote against an honest submission. */
function checkClock(now: unknown): void {
  if (typeof now !== "bigint" || now < 0n) {
    throw new AnchorError("INPUT_INVALID", "the time of review is a bigint of Unix seconds");
  }
}

function concludeReview({ list }: Claims, deadline: bigint, now: bigint): void {
  const failed = list.filter(({ ok }) => !ok);
  if (failed.length > 0) {
    const { id, failure } = failed[0]!;
    throw new AnchorError("VERDICT_REJECTED", `${id}: ${failure!.message}`, { details: { claims: failed } });
  }
  if (deadline < now) throw new AnchorError("DEADLINE_PASSED", `the statement's deadline was ${now - deadline} s ago`);
}

function usedKeys({ dataset, model }: Bundle): Hex[] {
  return [keyDigest(dataset.verifyingKey), keyDigest(model.verifyingKey)];
}

function notProven(keys: readonly TrustedKey[], tee: TeeVerdict | undefined): string[] {
  const gaps = [
    ...(tee
      ? tee.assurance.notes.map((note) => `TEE: ${note}`)
      : ["TEE: no hardware attestation is part of this bundle"]),
    "dataset: chunks other than the one proven, which its creator chose, and the contents of its records: the proof is " +
      "about their descriptions, which hold the contents' digests; sets of proofs show both (`dataset prove`)",
    "dataset: that the totals under its root are those of the records; sets of proofs show that as well",
    "dataset: its size in bytes, and that the parts which the submission names are records under the root; openings show " +
      "the latter",
    "authorship: that whoever asked for a token made the data or the model",
    "dataset: that the SHA-256 in the submission names the same bytes as the root",
    "model: that it was trained on the dataset that it names as its parent",
    "inference: that the features behind the input commitment are those of a given mail; tokenising and hashing happen " +
      "outside the circuit, and a verifier who has the mail and its salt can recompute them",
    "chain: that the tokens were minted and the receipt was paid; ask a node of the chain",
    "time: that deadlines had not passed when the contracts were called; the contracts check that",
  ];
  if (keys.some(({ development }) => development)) {
    gaps.unshift(
      "keys: at least one trusted key is a development key; whoever made it can forge proofs, so this bundle shows " +
        "nothing to anyone else",
    );
  }
  return gaps;
}

function require(condition: boolean, reason: string): void {
  if (!condition) throw new AnchorError("CLAIM_FAILED", reason);
}
