/**
 * Piscina worker: one whole job, from named inputs to a verified proof. Witnesses exist here only, in memory.
 *
 * @module
 */
import { type CircuitInputs, calculateWtns, readWitnessGenerator } from "../circuit/witness.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { type Proof, type VerifyingKey, verifyGroth16 } from "../verifier/groth16.js";
import { snarkjsBackend } from "./backend.js";

export interface WorkerJob {
  wasmPath: string;
  zkeyPath: string;
  verifyingKey: VerifyingKey;
  inputs: CircuitInputs;
}

export interface WorkerResult {
  proof: Proof;
  publicSignals: bigint[];
  witnessMs: number;
  proveMs: number;
  verifyMs: number;
}

export type WorkerReply = { ok: WorkerResult } | { error: ReturnType<AnchorError["toJSON"]> };

const wasmFiles = new Map<string, Uint8Array>();

export default async function run(job: WorkerJob): Promise<WorkerReply> {
  try {
    return { ok: await prove(job) };
  } catch (error) {
    // Classes do not survive the thread boundary; codes do.
    return { error: toAnchorError(error, "PROVE_FAILED", "the proof could not be made").toJSON() };
  }
}

async function prove({ wasmPath, zkeyPath, verifyingKey, inputs }: WorkerJob): Promise<WorkerResult> {
  const started = performance.now();
  let wasm = wasmFiles.get(wasmPath);
  if (!wasm) wasmFiles.set(wasmPath, (wasm = await readWitnessGenerator(wasmPath)));
  const wtns = await calculateWtns(wasm, inputs);
  const witnessed = performance.now();
  const { proof, publicSignals } = await snarkjsBackend.prove(zkeyPath, wtns);
  wtns.fill(0);
  const proven = performance.now();
  // A wrong key file, a fault of the prover or of the machine: nothing unverified leaves.
  if (!verifyGroth16(verifyingKey, publicSignals, proof)) {
    throw new AnchorError("PROVE_FAILED", "the new proof does not verify: the proving key is not this verifying key's");
  }
  return {
    proof,
    publicSignals,
    witnessMs: witnessed - started,
    proveMs: proven - witnessed,
    verifyMs: performance.now() - proven,
  };
}
