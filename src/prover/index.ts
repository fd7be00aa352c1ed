export { type ProverBackend, snarkjsBackend } from "./backend.js";
export { type PoolOptions, type ProveOptions, type ProveResult, ProverPool } from "./pool.js";
