/** Simulated keys and proofs: where the gas benchmark needs them as well. */
export * from "../../src/bench/simulated.js";
