export type { BackendName } from "./backend.js";
export { type FactPlan, growthFact, type ProveFactOptions, proveFact, recordFact } from "./facts.js";
export {
  type DatasetCircuit,
  type PoolOptions,
  type ProgressEvent,
  type ProveOptions,
  type ProveResult,
  ProverPool,
} from "./pool.js";
export { journalTask, type ProveClaimOptions, type ProvenClaim, proveClaim, type SetProgress } from "./proofSets.js";
