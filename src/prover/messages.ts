/**
 * What crosses between the pool and its workers.
 *
 * @module
 */
import type { CircuitInputs } from "../circuit/witness.js";
import type { DatasetRequest } from "../dataset/circuit/index.js";
import type { AnchorError } from "../errors.js";
import type { InferenceRequest } from "../model/circuit/statement.js";
import type { Proof, VerifyingKey } from "../verifier/groth16.js";
import type { BackendName, BackendSettings, KeyFile } from "./backend.js";

/** Words shared between the pool and the worker of a job. */
export const Control = {
  /** Non-zero stops the job. */
  Stop: 0,
  /** The cores that the pool grants for the proof; 0 until it does, and again when the worker asks once more. */
  Cores: 1,
  /** Set before the cores are: one more than the card's index, 0 for the CPU. */
  Card: 2,
  Length: 3,
} as const;

export interface WorkerSettings extends BackendSettings {
  backend: BackendName;
}

/** What computes the witness. */
export type WitnessSource =
  /** circom's generator, compiled. */
  | { type: "generator"; module: WebAssembly.Module }
  /** The program of a model's circuit. */
  | {
      type: "model";
      /** Changes when the model's file does. */
      id: string;
      /** The file; without it, the job's payload has the bytes. */
      path: string | undefined;
      batch: number;
    }
  /** A circuit of datasets. @param spec a DatasetProgramSpec as JSON */
  | { type: "dataset"; spec: string };

export interface WorkerJob {
  source: WitnessSource;
  key: KeyFile;
  /** A {@link JobPayload}, serialized by `node:v8`. */
  payload: Uint8Array;
  control: Int32Array;
}

/** Has a thread give back the keys that it keeps on a card, between two jobs. */
export interface ReleaseKeys {
  release: number;
}

export interface JobPayload {
  /** For circom's generator, or for a program. */
  inputs: CircuitInputs | InferenceRequest | DatasetRequest;
  /** A model's file, where it has no path. */
  model?: Uint8Array | undefined;
  verifyingKey: VerifyingKey;
}

export interface WorkerResult {
  backend: BackendName;
  /** Whether a card's answer was no proof that verifies, and this one was made in its place. */
  redone: boolean;
  proof: Proof;
  publicSignals: bigint[];
  threads: number;
  timings: {
    programMs: number;
    witnessMs: number;
    coresMs: number;
    keyMs: number;
    proveMs: number;
    verifyMs: number;
    phases: { name: string; ms: number }[];
  };
}

/** A card did not prove: the job wants cores once more. */
export type Again =
  /** It cannot be used (CUDA_UNAVAILABLE), has no room for the key or finds fault with it: another one may serve. */
  | { type: "refused"; device: number; error: ReturnType<AnchorError["toJSON"]> }
  /** Its proof does not verify, or it says that there is none: no card makes the next one. */
  | { type: "unverified"; device: number };

export type WorkerMessage =
  | { type: "phase"; phase: string }
  /** The witness is there: the job wants cores, and a card if there is one. */
  | { type: "witnessed" }
  | Again
  /** The answer to {@link ReleaseKeys}. @param keys how many it had */
  | { type: "released"; keys: number }
  | { type: "done"; result: WorkerResult }
  | { type: "failed"; error: ReturnType<AnchorError["toJSON"]> };
