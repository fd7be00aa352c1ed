/**
 * One worker thread of the pool, and the job that it holds.
 *
 * @module
 */
import type { Worker } from "node:worker_threads";
import { startWorker } from "../workers.js";
import type { ReleaseKeys, WorkerJob, WorkerMessage, WorkerSettings } from "./messages.js";

export interface ThreadOptions {
  settings: WorkerSettings;
  /** The thread's `ANCHORPROOF_NATIVE`. */
  engine: string;
  /** Limit of the JavaScript heap; the thread dies above it. Node's own unless told. */
  heapMb?: number | undefined;
}

export interface ThreadEvents<J> {
  onMessage(thread: ProverThread<J>, message: WorkerMessage): void;
  /** The thread is gone, whatever the reason. */
  onExit(thread: ProverThread<J>, reason: string): void;
}

/** How long a stopped job or an ended thread has before the thread is killed. The native core stops sooner. */
const GRACE_MS = 200;
/** How long a thread has to give its keys back. */
const RELEASE_MS = 10_000;

export class ProverThread<J> {
  /** The key used last: a backend may still have it. */
  keyPath: string | undefined;
  readonly exited: Promise<void>;
  readonly #worker: Worker;
  #job: J | undefined;
  #ending = false;
  #killer: NodeJS.Timeout | undefined;
  #retirement: NodeJS.Timeout | undefined;
  /** Who waits for keys to be given back, in the order in which they asked. */
  readonly #releases: ((given: boolean) => void)[] = [];

  constructor({ settings, engine, heapMb }: ThreadOptions, { onMessage, onExit }: ThreadEvents<J>) {
    this.#worker = startWorker("prover/worker", {
      // snarkjs loads `web-worker`, which takes every thread for one that it started and reads mod and type; an empty
      // module keeps it quiet. snarkjs runs single-threaded here and never needs it.
      workerData: { ...settings, mod: "data:,", type: "classic" },
      env: { ...process.env, ANCHORPROOF_NATIVE: engine },
      ...(heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
    });
    // An idle thread does not keep the process alive.
    this.#worker.unref();
    let reason: string | undefined;
    this.#worker.on("message", (message: WorkerMessage) => {
      if (message.type === "released") this.#releases.shift()?.(message.keys > 0);
      else onMessage(this, message);
    });
    this.#worker.on("error", (error: unknown) => {
      this.#ending = true;
      reason = error instanceof Error ? error.message : String(error);
    });
    this.exited = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        clearTimeout(this.#killer);
        clearTimeout(this.#retirement);
        onExit(this, reason ?? `exit code ${code}`);
        for (const answer of this.#releases.splice(0)) answer(true);
        resolve();
      });
    });
  }

  get job(): J | undefined {
    return this.#job;
  }

  /** Whether it can take a job. */
  get idle(): boolean {
    return this.#job === undefined && !this.#ending;
  }

  /** Reserves the thread for a job. */
  take(job: J, keyPath: string): void {
    clearTimeout(this.#retirement);
    this.#worker.ref();
    this.#job = job;
    this.keyPath = keyPath;
  }

  post(job: WorkerJob): void {
    this.#worker.postMessage(job);
  }

  /**
   * Has the thread give back the keys that it keeps on a card, once it has no job.
   *
   * @returns whether there were any, as far as is known in time; true when it ends
   */
  releaseKeys(device: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RELEASE_MS, false).unref();
      // It stays in its place when the time has passed: the answers come in order.
      this.#releases.push((given) => {
        clearTimeout(timer);
        resolve(given);
      });
      this.#worker.postMessage({ release: device } satisfies ReleaseKeys);
    });
  }

  /** Gives the job back. With nothing else to do for `idleMs` the thread ends. */
  release(idleMs: number): void {
    this.#job = undefined;
    if (this.#ending) return;
    clearTimeout(this.#killer);
    this.#worker.unref();
    this.#retirement = setTimeout(() => this.end(), idleMs).unref();
  }

  /** Kills the thread unless it gives its job back soon. */
  killSoon(): void {
    clearTimeout(this.#killer);
    this.#killer = setTimeout(() => {
      this.#ending = true;
      void this.#worker.terminate();
    }, GRACE_MS);
  }

  /** Ends the thread once it is through with its job, and kills it if that takes long. */
  end(): void {
    this.#ending = true;
    this.#worker.ref(); // somebody may wait for `exited`
    this.#worker.postMessage(null);
    this.killSoon();
  }
}
