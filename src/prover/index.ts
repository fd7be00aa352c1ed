export type { BackendName } from "./backend.js";
export {
  type DatasetCircuit,
  type PoolOptions,
  type ProgressEvent,
  type ProveOptions,
  type ProveResult,
  ProverPool,
} from "./pool.js";
