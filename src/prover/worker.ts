/**
 * Worker thread of the pool: one whole job at a time, from named inputs to a verified proof. The witness exists in this
 * thread's memory only. The generator's memory and the bytes for the prover are overwritten when they have served.
 * What a killed thread leaves, what snarkjs copies for itself, and the inputs as JavaScript values are freed as they are.
 *
 * The thread blocks while it waits for cores and while the native core proves: what it is told then, it is told
 * through the job's {@link Control} words.
 *
 * @module
 */
import { deserialize } from "node:v8";
import { parentPort, workerData } from "node:worker_threads";
import { calculateWtns } from "../circuit/witness.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { type Proof, type VerifyingKey, verifyGroth16 } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { openBackend, type ProverBackend } from "./backend.js";
import {
  Control,
  type JobPayload,
  type WorkerJob,
  type WorkerMessage,
  type WorkerResult,
  type WorkerSettings,
} from "./messages.js";

const port = parentPort!;
const { backend: name, ...settings } = workerData as WorkerSettings;
let backend: ProverBackend | undefined;

// A job, or null to end the thread.
port.on("message", async (job: WorkerJob | null) => {
  if (!job) {
    backend?.close();
    process.exit();
  }
  let reply: WorkerMessage;
  try {
    reply = { type: "done", result: await prove(job) };
  } catch (error) {
    // Classes do not survive the thread boundary; codes do.
    reply = { type: "failed", error: toAnchorError(error, "PROVE_FAILED", "the proof could not be made").toJSON() };
  }
  port.postMessage(reply);
});

async function prove({ module, key, payload, control }: WorkerJob): Promise<WorkerResult> {
  const send = (message: WorkerMessage) => port.postMessage(message);
  const onPhase = (phase: string) => send({ type: "phase", phase });
  const throwIfStopped = () => {
    if (Atomics.load(control, Control.Stop) !== 0) throw new AnchorError("ABORTED", "the job was stopped");
  };
  backend ??= openBackend(name, settings);
  throwIfStopped();
  const { inputs, verifyingKey } = unpack(payload);
  lintVerifyingKey(verifyingKey); // now, and not after the proof
  onPhase("witness");
  const started = performance.now();
  const wtns = await calculateWtns(module, inputs);
  try {
    const witnessed = performance.now();
    send({ type: "witnessed" });
    Atomics.wait(control, Control.Cores, 0);
    throwIfStopped();
    const granted = performance.now();
    const threads = Atomics.load(control, Control.Cores);
    const made = await backend.prove(key, wtns, { threads, control, onPhase });
    throwIfStopped();
    onPhase("verify");
    const proven = performance.now();
    // A wrong key file, a fault of the prover or of the machine: nothing unverified leaves.
    if (!verifies(verifyingKey, made.publicSignals, made.proof)) {
      throw new AnchorError(
        "PROVE_FAILED",
        "the new proof does not verify: the proving key is not this verifying key's",
      );
    }
    throwIfStopped();
    return {
      proof: made.proof,
      publicSignals: made.publicSignals,
      threads,
      timings: {
        witnessMs: witnessed - started,
        coresMs: granted - witnessed,
        keyMs: made.keyMs,
        proveMs: made.proveMs,
        verifyMs: performance.now() - proven,
        phases: made.phases,
      },
    };
  } finally {
    wtns.fill(0);
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
