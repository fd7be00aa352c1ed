/**
 * Proves facts about a dataset that take one proof, or two.
 *
 * @module
 */
import type { CircuitKey } from "../circuit/setup.js";
import { type DatasetProgramSpec, type DatasetRequest, datasetProgram } from "../dataset/circuit/index.js";
import type { OpenDataset } from "../dataset/dataset.js";
import { type Fact, type FactProof, type ProvenFact, type VerifiedFact, verifyFact } from "../dataset/fact.js";
import { type OldDataset, planGrowth } from "../dataset/growth.js";
import { planOpening } from "../dataset/opening.js";
import { type SetTask, segmentContext } from "../dataset/proofSet.js";
import { planSha256 } from "../dataset/sha256.js";
import { toHex } from "../field/bytes.js";
import { randomScalar } from "../field/scalar.js";
import type { Domain } from "../protocol/eip712.js";
import type { CircuitType } from "../protocol/statements.js";
import type { ProverPool } from "./pool.js";

/** A fact with what its proofs are made from. */
export interface FactPlan {
  readonly fact: Fact;
  readonly steps: readonly { type: CircuitType; spec: DatasetProgramSpec; request: Omit<DatasetRequest, "context"> }[];
}

/**
 * The fact that a record stands under the root.
 *
 * @param options.shown  whether the record is to be checked by its bytes; else the digest is salted and hides it
 * @param options.sha256 also that its data has this SHA-256
 * @throws DATASET_RECORD_UNKNOWN; with `sha256` CLAIM_INVALID for a record that is no whole object of bytes, INPUT_TOO_LARGE
 */
export function recordFact(
  dataset: OpenDataset,
  index: number,
  { shown = false, sha256 = false }: { shown?: boolean; sha256?: boolean } = {},
): FactPlan {
  const salt = shown ? 0n : randomScalar();
  const opening = planOpening(dataset, index, { salt });
  const steps: FactPlan["steps"][number][] = [{ type: "datasetOpening", spec: opening.spec, request: opening.request }];
  if (!sha256) return { fact: { type: "opening", ...opening.claim }, steps };
  const link = planSha256(dataset, index, salt);
  steps.push({ type: "datasetSha256", spec: link.spec, request: link.request });
  const { sha256: digest, length } = link.claim;
  return { fact: { type: "opening", ...opening.claim, link: { sha256: toHex(digest), bytes: length } }, steps };
}

/** The fact that a dataset has grown out of another one. Errors as for {@link planGrowth}. */
export function growthFact(old: OldDataset, dataset: OpenDataset): FactPlan {
  const { spec, claim, request } = planGrowth(old, dataset);
  return { fact: { type: "growth", ...claim }, steps: [{ type: "datasetGrowth", spec, request }] };
}

export interface ProveFactOptions {
  plan: FactPlan;
  pool: ProverPool;
  keyOf(spec: DatasetProgramSpec): Promise<CircuitKey>;
  domain: Domain;
  task: SetTask;
  signal?: AbortSignal | undefined;
}

/** Proves a fact, and verifies what came out. Errors are those of the pool and the keys. */
export async function proveFact({
  plan,
  pool,
  keyOf,
  domain,
  task,
  signal,
}: ProveFactOptions): Promise<{ proven: ProvenFact; verified: VerifiedFact }> {
  const made: { circuit: FactProof["circuit"]; proof: FactProof["proof"]; key: CircuitKey }[] = [];
  for (const { type, spec, request } of plan.steps) {
    const key = await keyOf(spec);
    const context = segmentContext({ domain, task }, type, key.keyDigest);
    await pool.ready({ signal });
    const { proof } = await pool.prove({ dataset: spec }, key, { ...request, context } as DatasetRequest, { signal });
    const circuit = { type, name: datasetProgram(spec).name, verifyingKey: key.verifyingKey };
    made.push({ circuit, proof, key });
  }
  const proofs = made.map(({ circuit, proof }) => ({ circuit, proof }));
  const proven: ProvenFact = { fact: plan.fact, domain, task, proofs };
  const trust = made.map(({ circuit, key }) => ({
    type: circuit.type,
    keyDigest: key.keyDigest,
    development: key.development,
  }));
  return { proven, verified: verifyFact(proven, { trust }) };
}
