/**
 * A pool of prover threads with a bounded queue.
 *
 * Each job is one proof, made and verified in one worker on one core. A worker that dies fails its job with a code and
 * is replaced; the pool lives on.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { Piscina } from "piscina";
import type { CompiledCircuit } from "../circuit/compile.js";
import type { CircuitKey } from "../circuit/setup.js";
import type { CircuitInputs } from "../circuit/witness.js";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import type { Proof } from "../verifier/groth16.js";
import { workerFile } from "../workers.js";
import type { WorkerJob, WorkerReply } from "./worker.js";

/** Node's timers take no more, and fire at once for anything longer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export interface PoolOptions {
  /** Proofs made at the same time; one a core unless told. */
  concurrency?: number;
  /** Jobs that may wait; one more is refused with POOL_FULL. 256 unless told. */
  maxQueue?: number;
}

export interface ProveOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds since 1970; a job that is not done by then is dropped with DEADLINE_PASSED. */
  deadline?: number | undefined;
}

export interface ProveResult {
  proof: Proof;
  /** As the circuit computed them. A verifier rebuilds its own from the statement. */
  publicSignals: bigint[];
  timings: { queueMs: number; witnessMs: number; proveMs: number; verifyMs: number };
}

export class ProverPool {
  readonly concurrency: number;
  readonly #piscina: Piscina;
  readonly #capacity: number;
  #inside = 0;
  #closed = false;

  constructor({ concurrency = availableParallelism(), maxQueue = 256 }: PoolOptions = {}) {
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
      throw new AnchorError("INPUT_INVALID", "concurrency must be an integer from 1 to 256");
    }
    if (!Number.isInteger(maxQueue) || maxQueue < 0) {
      throw new AnchorError("INPUT_INVALID", "maxQueue must be a non-negative integer");
    }
    this.concurrency = concurrency;
    this.#capacity = concurrency + maxQueue;
    this.#piscina = new Piscina({
      filename: workerFile("prover/worker"),
      minThreads: 0,
      maxThreads: concurrency,
      idleTimeout: 30_000,
      // snarkjs loads `web-worker`, which takes every thread for one that it started and reads this; an empty module
      // keeps it quiet. snarkjs runs single-threaded here and never needs it.
      workerData: { mod: "data:,", type: "classic" },
    });
  }

  /** Jobs that wait for a thread. */
  get queued(): number {
    return Math.max(0, this.#inside - this.concurrency);
  }

  /**
   * Makes one proof.
   *
   * @throws WITNESS_INVALID, PROVE_FAILED, POOL_FULL, POOL_CLOSED, DEADLINE_PASSED, ABORTED, WORKER_CRASHED
   */
  async prove(
    circuit: Pick<CompiledCircuit, "wasmPath">,
    key: Pick<CircuitKey, "zkeyPath" | "verifyingKey">,
    inputs: CircuitInputs,
    { signal, deadline }: ProveOptions = {},
  ): Promise<ProveResult> {
    if (this.#closed) throw new AnchorError("POOL_CLOSED", "the pool is closed");
    throwIfAborted(signal);
    if (deadline !== undefined && !Number.isFinite(deadline)) {
      throw new AnchorError("INPUT_INVALID", "a deadline is a time in milliseconds since 1970");
    }
    if (this.#inside >= this.#capacity) throw new AnchorError("POOL_FULL", "the queue is full: wait for a job to end");
    const job: WorkerJob = {
      wasmPath: circuit.wasmPath,
      zkeyPath: key.zkeyPath,
      verifyingKey: key.verifyingKey,
      inputs,
    };
    const started = performance.now();
    const stop = new AbortController();
    const onAbort = () => stop.abort();
    signal?.addEventListener("abort", onAbort, { once: true });
    let late = false;
    let timer: NodeJS.Timeout | undefined;
    const watch = () => {
      const left = deadline! - Date.now();
      if (left > 0) {
        timer = setTimeout(watch, Math.min(left, MAX_TIMEOUT_MS));
        return;
      }
      late = true;
      stop.abort();
    };
    if (deadline !== undefined) watch();
    this.#inside++;
    try {
      const reply = (await this.#piscina.run(job, { signal: stop.signal })) as WorkerReply;
      if ("error" in reply) throw AnchorError.fromJSON(reply.error);
      const { proof, publicSignals, ...timings } = reply.ok;
      const busy = timings.witnessMs + timings.proveMs + timings.verifyMs;
      return { proof, publicSignals, timings: { queueMs: performance.now() - started - busy, ...timings } };
    } catch (error) {
      throw this.#explain(error, signal, late);
    } finally {
      this.#inside--;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** Takes no more jobs and stops the threads; jobs that still run or wait fail with POOL_CLOSED. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#piscina.destroy();
  }

  #explain(error: unknown, signal: AbortSignal | undefined, late: boolean): AnchorError {
    if (error instanceof AnchorError) return error;
    if (signal?.aborted) return new AnchorError("ABORTED", "the proof was stopped", { cause: error });
    if (late) return new AnchorError("DEADLINE_PASSED", "the job's deadline passed before its proof was made");
    if (this.#closed) return new AnchorError("POOL_CLOSED", "the pool was closed while the job was in it");
    return toAnchorError(error, "WORKER_CRASHED", "the worker died");
  }
}
