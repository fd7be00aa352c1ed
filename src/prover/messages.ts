/**
 * What crosses between the pool and its workers.
 *
 * @module
 */
import type { CircuitInputs } from "../circuit/witness.js";
import type { AnchorError } from "../errors.js";
import type { Proof, VerifyingKey } from "../verifier/groth16.js";
import type { BackendName, BackendSettings, KeyFile } from "./backend.js";

/** Words shared between the pool and the worker of a job. */
export const Control = {
  /** Non-zero stops the job. */
  Stop: 0,
  /** The cores that the pool grants for the proof; 0 until it does. */
  Cores: 1,
  Length: 2,
} as const;

export interface WorkerSettings extends BackendSettings {
  backend: BackendName;
}

export interface WorkerJob {
  module: WebAssembly.Module;
  key: KeyFile;
  /** A {@link JobPayload}, serialized by `node:v8`. */
  payload: Uint8Array;
  control: Int32Array;
}

export interface JobPayload {
  inputs: CircuitInputs;
  verifyingKey: VerifyingKey;
}

export interface WorkerResult {
  proof: Proof;
  publicSignals: bigint[];
  threads: number;
  timings: {
    witnessMs: number;
    coresMs: number;
    keyMs: number;
    proveMs: number;
    verifyMs: number;
    phases: { name: string; ms: number }[];
  };
}

export type WorkerMessage =
  | { type: "phase"; phase: string }
  /** The witness is there: the job wants cores. */
  | { type: "witnessed" }
  | { type: "done"; result: WorkerResult }
  | { type: "failed"; error: ReturnType<AnchorError["toJSON"]> };
