/**
 * Worker thread of the pool: one whole job at a time, from inputs to a verified proof. The witness exists in this thread's
 * memory only. The generator's memory, the bytes for the prover and those of the inputs are overwritten when they have
 * served. What a killed thread leaves, what snarkjs copies for itself, and the inputs as JavaScript values are freed as
 * they are.
 *
 * A proof of a card that does not verify is made again on the CPU, from the same witness. Only if that one does not verify
 * either is it the key's or the witness's fault, and the job's end. A card that finds fault with the witness, or says that it
 * was stopped when it was not, is believed no more than that.
 *
 * The thread blocks while it waits for cores and while the native core proves: what it is told then, it is told
 * through the job's {@link Control} words.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { deserialize } from "node:v8";
import { parentPort, workerData } from "node:worker_threads";
import { type CircuitInputs, calculateWtns } from "../circuit/witness.js";
import type { DatasetProgramSpec } from "../dataset/circuit/index.js";
import { AnchorError, type ErrorCode, isAnchorError, toAnchorError } from "../errors.js";
import { type Proof, type VerifyingKey, verifyGroth16 } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { type BackendProof, openBackend, type ProverBackend, type Refusal } from "./backend.js";
import {
  type Again,
  Control,
  type JobPayload,
  type ReleaseKeys,
  type WitnessSource,
  type WorkerJob,
  type WorkerMessage,
  type WorkerResult,
  type WorkerSettings,
} from "./messages.js";

const port = parentPort!;
const { backend: name, ...settings } = workerData as WorkerSettings;
let backend: ProverBackend | undefined;
/** Gives the bytes of a `.wtns`. */
type OwnProgram = (request: never) => Uint8Array;

/** Programs of models and datasets, the one used last at the end. */
const programs = new Map<string, OwnProgram>();
const MAX_PROGRAMS = 4;

/** What a card says of the witness, or of its own answer. The CPU finds out whether it is so. */
const DISBELIEVED: readonly ErrorCode[] = ["PROVE_FAILED", "WITNESS_INVALID", "INPUT_INVALID", "ABORTED"];

// A job, keys to give back, or null to end the thread.
port.on("message", async (order: WorkerJob | ReleaseKeys | null) => {
  if (!order) {
    backend?.close();
    process.exit();
  }
  if ("release" in order) {
    port.postMessage({ type: "released", keys: backend?.release(order.release) ?? 0 } satisfies WorkerMessage);
    return;
  }
  const job = order;
  let reply: WorkerMessage;
  try {
    reply = { type: "done", result: await prove(job) };
  } catch (error) {
    // Classes do not survive the thread boundary; codes do.
    reply = { type: "failed", error: toAnchorError(error, "PROVE_FAILED", "the proof could not be made").toJSON() };
  } finally {
    job.payload.fill(0); // now: typed arrays among the inputs are views of it
  }
  port.postMessage(reply);
});

async function prove({ source, key, payload, control }: WorkerJob): Promise<WorkerResult> {
  const send = (message: WorkerMessage) => port.postMessage(message);
  const onPhase = (phase: string) => send({ type: "phase", phase });
  const throwIfStopped = () => {
    if (Atomics.load(control, Control.Stop) !== 0) throw new AnchorError("ABORTED", "the job was stopped");
  };
  const prover = (backend ??= openBackend(name, settings));
  throwIfStopped();
  const { inputs, model, verifyingKey } = unpack(payload);
  lintVerifyingKey(verifyingKey); // now, and not after the proof
  const begun = performance.now();
  const program = source.type === "generator" ? undefined : await openProgram(source, model, onPhase);
  onPhase("witness");
  const started = performance.now();
  const wtns =
    source.type === "generator"
      ? await calculateWtns(source.module, inputs as CircuitInputs)
      : program!(inputs as never);
  try {
    const timings = {
      programMs: started - begun,
      witnessMs: performance.now() - started,
      coresMs: 0,
      keyMs: 0,
      proveMs: 0,
      verifyMs: 0,
    };
    /** One proof that verifies, or what to ask the pool for next. */
    const attempt = async (threads: number, device: number | undefined): Promise<BackendProof | Again> => {
      let made: BackendProof | Refusal;
      try {
        made = await prover.prove(key, wtns, { threads, control, onPhase, device });
      } catch (error) {
        throwIfStopped();
        // What a card sends may be no proof at all.
        const disbelieved = isAnchorError(error) && DISBELIEVED.includes(error.code);
        if (device !== undefined && disbelieved) return { type: "unverified", device };
        throw error;
      }
      timings.keyMs += made.keyMs;
      throwIfStopped();
      if ("refused" in made) return { type: "refused", device: device!, error: made.refused.toJSON() };
      timings.proveMs += made.proveMs;
      onPhase("verify");
      const proven = performance.now();
      // A wrong key file, a fault of the prover or of the machine: nothing unverified leaves.
      const valid = verifies(verifyingKey, made.publicSignals, made.proof);
      timings.verifyMs += performance.now() - proven;
      // The pool counts it also where the job has been stopped.
      if (!valid && device !== undefined) return { type: "unverified", device };
      throwIfStopped();
      if (valid) return made;
      throw new AnchorError(
        "PROVE_FAILED",
        "the new proof does not verify: the proving key is not this verifying key's",
      );
    };
    let redone = false;
    send({ type: "witnessed" });
    for (;;) {
      const asked = performance.now();
      Atomics.wait(control, Control.Cores, 0);
      throwIfStopped();
      timings.coresMs += performance.now() - asked;
      const threads = Atomics.load(control, Control.Cores);
      const card = Atomics.load(control, Control.Card);
      const made = await attempt(threads, card === 0 ? undefined : card - 1);
      if ("proof" in made) {
        const { backend: by, proof, publicSignals, phases } = made;
        return { backend: by, redone, proof, publicSignals, threads, timings: { ...timings, phases } };
      }
      redone ||= made.type === "unverified";
      // Before it asks: what is granted must not be overwritten.
      Atomics.store(control, Control.Cores, 0);
      send(made);
    }
  } finally {
    wtns.fill(0);
  }
}

/** The program of a model's or a dataset's circuit, made when it is not there. */
async function openProgram(
  source: Exclude<WitnessSource, { type: "generator" }>,
  bytes: Uint8Array | undefined,
  onPhase: (phase: string) => void,
): Promise<OwnProgram> {
  const name = source.type === "model" ? `${source.batch}:${source.id}` : source.spec;
  let program = programs.get(name);
  if (!program) {
    onPhase("program");
    for (const oldest of programs.keys()) {
      if (programs.size < MAX_PROGRAMS) break;
      programs.delete(oldest);
    }
    program = source.type === "model" ? await modelProgram(source, bytes) : await datasetWitness(source.spec);
  }
  programs.delete(name);
  programs.set(name, program);
  return program;
}

// Threads that prove circom's circuits alone never load what the two of them import.

async function modelProgram(
  { path, batch }: Extract<WitnessSource, { type: "model" }>,
  bytes: Uint8Array | undefined,
): Promise<OwnProgram> {
  const [{ createWitnessProgram }, { parseGraph }] = await Promise.all([
    import("../model/circuit/witness.js"),
    import("../model/graph.js"),
  ]);
  return createWitnessProgram(parseGraph(bytes ?? new Uint8Array(await readModel(path!))), { batch });
}

async function datasetWitness(spec: string): Promise<OwnProgram> {
  const [{ datasetProgram }, { measureProgram, programWitness }] = await Promise.all([
    import("../dataset/circuit/index.js"),
    import("../circuit/synthesis/program.js"),
  ]);
  const program = datasetProgram(JSON.parse(spec) as DatasetProgramSpec);
  const { wires } = measureProgram(program);
  return (request) => programWitness(program, wires, request);
}

async function readModel(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
}

/** @throws INPUT_INVALID for a compiled module, say, which only the other thread can read */
function unpack(payload: Uint8Array): JobPayload {
  try {
    return deserialize(payload) as JobPayload;
  } catch (cause) {
    throw new AnchorError("INPUT_INVALID", "the inputs or the verifying key cannot be copied to a thread", { cause });
  }
}

/** False also for what verification refuses to look at: too few public signals, points off the curve. */
function verifies(key: VerifyingKey, publicSignals: readonly bigint[], proof: Proof): boolean {
  try {
    return verifyGroth16(key, publicSignals, proof);
  } catch (error) {
    if (error instanceof AnchorError) return false;
    throw error;
  }
}
