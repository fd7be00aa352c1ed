export { type ProverBackend, snarkjsBackend } from "./backend.js";
export { type PoolOptions, type ProveOptions, ProverPool, type ProveResult } from "./pool.js";
