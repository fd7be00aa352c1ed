/**
 * A pool of prover threads with a bounded queue.
 *
 * A job is one proof: a worker thread computes the witness, waits for cores, proves and verifies. All decisions are
 * made here, on the main thread: who goes next and with how many cores ({@link coresFor}), so a worker that dies or is
 * killed leaves nothing locked. (A fault in native code would end the process: threads share it.) While the cores are
 * taken, one worker more than there are proofs prepares the next witness.
 *
 * With GPUs ("cards") a job gets one with its core: the one that makes the fewest proofs. What a card cannot prove, the CPU
 * does, on all cores but one for each card; {@link PoolOptions.onNotice} tells why. A card that has no room
 * for a key is asked once more when idle threads have given back their keys there, and then after a minute. An error of a
 * card during a proof fails that job alone; a card that is lost, or fails three times in a row, gets no more jobs. No proof
 * leaves unverified; a card's that does not verify is made again by the CPU ({@link ProveResult.redone}).
 *
 * Idle threads keep neither the process nor, after a while, memory; {@link ProverPool.close} ends them at once. Files
 * of keys and circuits are read once and again when they change.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { isUint8Array } from "node:util/types";
import { serialize } from "node:v8";
import type { CompiledCircuit } from "../circuit/compile.js";
import type { CircuitKey } from "../circuit/setup.js";
import { type CircuitInputs, readWitnessGenerator } from "../circuit/witness.js";
import type { DatasetProgramSpec, DatasetRequest, DatasetRequests } from "../dataset/circuit/index.js";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { MAX_BATCH } from "../field/chain.js";
import { cudaStatus, nativeStatus } from "../field/native.js";
import { identityOf } from "../files.js";
import type { InferenceRequest } from "../model/circuit/statement.js";
import { GRAPH_LIMITS } from "../model/graph.js";
import type { Proof } from "../verifier/groth16.js";
import type { BackendName, BackendSettings } from "./backend.js";
import { Cards, FALLBACK_REASONS, MAX_FAILURES, type Refused } from "./cards.js";
import { Control, type JobPayload, type WitnessSource, type WorkerMessage, type WorkerResult } from "./messages.js";
import { Metrics } from "./metrics.js";
import { coresFor, RankedQueue } from "./schedule.js";
import { ProverThread, type ThreadOptions } from "./thread.js";

/** Node's timers take no more, and fire at once for anything longer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
/** How long `close` waits for threads to end. */
const CLOSE_MS = 10_000;
/** Compiled witness generators that the pool keeps. */
const MAX_MODULES = 16;
/** Reasons that are told, and remembered; a pool with as many has other troubles. */
const MAX_NOTICES = 1000;
/** V8 compiles no larger module. */
const MAX_SPEC = 1024;
const MAX_GENERATOR_BYTES = 2 ** 30;
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

export interface PoolOptions {
  /**
   * "auto" is "cuda" where the GPU library is built and finds a card, else "native" where the core is built, else "snarkjs".
   * Where "cuda" is asked for by name and there is no card, the CPU serves, and a notice says why; with "auto" where the
   * library is there and does not serve.
   */
  backend?: "auto" | BackendName;
  /**
   * Cores for proofs; all unless told. snarkjs and a card use one a proof. Of those of a pool with cards the CPU's own proofs
   * leave one for each card, as long as one is left for them.
   */
  threads?: number;
  /** Proofs made at the same time, on cards or not, each on one core at least; unless told one a core. */
  concurrency?: number;
  /** Indices of the cards that prove, as CUDA counts them; all unless told. */
  devices?: readonly number[];
  /** Proofs that a card makes at the same time; with 2, as unless told, one's end overlaps the other's start. */
  proofsPerDevice?: number;
  /** Jobs that may wait beyond those that can prove at once; one more is refused with POOL_FULL. 256 unless told. */
  maxQueue?: number;
  /**
   * Keys that a native worker keeps loaded, and that have room on a card side by side; workers share what they load. Where
   * workers keep so many different ones that another has no room, those that are idle give theirs back. 4 unless told.
   */
  maxKeys?: number;
  /**
   * Bytes of each card's memory for keys, of which each of `maxKeys` has the same share: it takes that with multiples of its
   * points, as far as they serve it. A key that needs more than its share may take all of them. Unless told 80 % of the
   * memory, and what is free for such a key; the rest is for proofs. Workers that keep different keys may together hold more than `maxKeys`.
   */
  deviceMemory?: number;
  /** A folder where the native core keeps prepared keys. */
  preparedKeys?: string;
  /** A thread without a job for so long ends and gives its memory back. 5 minutes unless told. */
  idleMs?: number;
  /** Limit of a worker's JavaScript heap; Node's own unless told. */
  workerHeapMb?: number;
  /** Every job's progress. What it throws stops the job. */
  onProgress?: (event: ProgressEvent) => void;
  /**
   * Called with one line when the CPU has to prove in a card's place, or a card's proof did not verify; once for each
   * reason, never before the constructor has returned. What it throws is ignored.
   */
  onNotice?: (notice: string) => void;
}

export interface ProgressEvent {
  /** Counts the pool's jobs from 1. */
  job: number;
  /**
   * "queued", "program" (only when a model's is made), "witness", "key" (only when one is loaded), "prove:" and the
   * backend's phase, "verify", "done". From "key" on once more when a card has no room for the key, or its proof does not
   * verify.
   */
  phase: string;
}

/** A circuit whose witness circom's generator computes. */
export type GeneratedCircuit = Pick<CompiledCircuit, "wasmPath">;

/** The circuit of a model, whose witness comes from the model itself. */
export interface ModelProgram {
  /** Path of a `model.json`, or its bytes. */
  readonly model: string | Uint8Array;
  /** Inferences of one proof; 1 unless told. */
  readonly batch?: number | undefined;
}

/** A circuit of datasets, by the parameters of its program. */
export interface DatasetCircuit<Spec extends DatasetProgramSpec = DatasetProgramSpec> {
  readonly dataset: Spec;
}

export interface ProveOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds since 1970; a job that is not done by then is dropped with DEADLINE_PASSED. */
  deadline?: number | undefined;
  /** Higher goes first; first in, first out within one priority. 0 unless told. */
  priority?: number | undefined;
  /** What it throws stops the job. */
  onProgress?: ((event: ProgressEvent) => void) | undefined;
}

export interface ProveResult {
  proof: Proof;
  /** As the circuit computed them. A verifier rebuilds its own from the statement. */
  publicSignals: bigint[];
  /** What made this proof; "native" also in a pool with cards, where none of them could. */
  backend: BackendName;
  /** Whether a card's proof did not verify, or it said that there is none, and the CPU made this one in its place. */
  redone: boolean;
  /** Cores that the proof was made with. */
  threads: number;
  timings: {
    /** Before the work began, a new thread's start included. */
    queueMs: number;
    /** Making a model's program; 0 when it was there, and for circom's generators. */
    programMs: number;
    witnessMs: number;
    /** With the witness ready, waiting for other proofs' cores or a card. */
    coresMs: number;
    /** Loading the key; 0 when it was there, and with snarkjs, which reads it as it proves. */
    keyMs: number;
    /** This and `verifyMs` with those of a proof that did not verify. */
    proveMs: number;
    verifyMs: number;
    /** Parts of `proveMs`, from the native core. */
    phases: { name: string; ms: number }[];
  };
  /** Resident memory of the whole process, all workers and other jobs included, when the job was done. */
  memory: {
    rssBytes: number;
    /** Against the job's start; may be negative. */
    rssDeltaBytes: number;
    /** The most that the process ever had. */
    peakRssBytes: number;
  };
}

interface Job {
  order: number;
  priority: number;
  circuit: Circuit;
  zkeyPath: string;
  /** The inputs and the verifying key as they were when the job came. */
  payload: Uint8Array;
  deadline: number | undefined;
  onProgress: ((event: ProgressEvent) => void) | undefined;
  queuedAt: number;
  startRss: number;
  control: Int32Array;
  keyId: string;
  keyBytes: number;
  /** Held from the grant to the end of the proof. */
  cores: number;
  /** The card that proves, held as the cores are. */
  device: number | undefined;
  /** The card whose proof did not verify: none makes the next one. */
  mistrusted: number | undefined;
  /** Why no card proves. */
  refused: Refused | undefined;
  /** The card that was asked last. */
  asked: number | undefined;
  /** Cards where others have made room for its key. */
  readonly room: Set<number>;
  /** Before its cores are granted. */
  preparing: boolean;
  /** Whether its thread was told of it. */
  posted: boolean;
  settled: boolean;
  resolve: (result: ProveResult) => void;
  reject: (error: AnchorError) => void;
}

/** What a job's witness comes from; a model by its file, or by the digest of its bytes, which are in the payload. */
type Circuit =
  | { wasmPath: string }
  | { modelPath: string; batch: number }
  | { modelDigest: string; batch: number }
  | { dataset: string };

export class ProverPool {
  /** What proves without cards. */
  readonly #cpu: BackendName;
  /** Where cards were asked for, or found. */
  readonly #cards: Cards | undefined;
  readonly threads: number;
  readonly concurrency: number;
  readonly #capacity: number;
  readonly #idleMs: number;
  readonly #threadOptions: ThreadOptions;
  readonly #onProgress: ((event: ProgressEvent) => void) | undefined;
  readonly #onNotice: ((notice: string) => void) | undefined;
  /** Reasons that were told. */
  readonly #told = new Set<string>();
  readonly #modules = new Map<string, Promise<WebAssembly.Module>>();
  readonly #queue = new RankedQueue<Job>();
  /** Jobs with their witness, waiting for cores. */
  readonly #witnessed = new RankedQueue<Job>();
  readonly #threads = new Set<ProverThread<Job>>();
  /** Cards where idle threads are giving keys back. */
  readonly #makingRoom = new Map<number, Promise<boolean>>();
  /** Callers of {@link ready}. */
  readonly #waiting: (() => void)[] = [];
  readonly #empty: (() => void)[] = [];
  readonly #metrics = new Metrics();
  readonly #jobsTotal;
  readonly #proofsTotal;
  readonly #redoneTotal;
  readonly #fallbacksTotal;
  readonly #deathsTotal;
  readonly #phaseSeconds;
  readonly #proveSeconds;
  #order = 0;
  #waking = false;
  #closed = false;

  /** @throws INPUT_INVALID; NATIVE_UNAVAILABLE when the native core is asked for by name and not there */
  constructor(options: PoolOptions = {}) {
    if (typeof options !== "object" || options === null) {
      throw new AnchorError("INPUT_INVALID", "options must be an object");
    }
    const { backend = "auto", preparedKeys, onProgress, onNotice } = options;
    if (!["auto", "cuda", "native", "snarkjs"].includes(backend)) {
      throw new AnchorError("INPUT_INVALID", 'backend must be "auto", "cuda", "native" or "snarkjs"');
    }
    checkCallback("onProgress", onProgress);
    checkCallback("onNotice", onNotice);
    const core = nativeStatus();
    if (backend === "native" && !core.available) {
      throw new AnchorError("NATIVE_UNAVAILABLE", "the native core is not built: run `anchorproof native build`");
    }
    this.#cpu = backend !== "snarkjs" && core.available ? "native" : "snarkjs";
    this.threads = integerOption("threads", options.threads ?? Math.min(availableParallelism(), 256), 1, 256);
    if (options.concurrency !== undefined) integerOption("concurrency", options.concurrency, 1, 256);
    const maxQueue = integerOption("maxQueue", options.maxQueue ?? 256, 0);
    this.#idleMs = integerOption("idleMs", options.idleMs ?? 300_000, 0, MAX_TIMEOUT_MS);
    const maxKeys = integerOption("maxKeys", options.maxKeys ?? 4, 1);
    const heapMb = options.workerHeapMb;
    if (heapMb !== undefined) integerOption("workerHeapMb", heapMb, 1);
    if (preparedKeys !== undefined && (typeof preparedKeys !== "string" || preparedKeys === "")) {
      throw new AnchorError("INPUT_INVALID", "preparedKeys must be a folder's path");
    }
    const { cards, cuda, missed } = findCards(backend, options);
    this.#cards = cards;
    this.concurrency = options.concurrency ?? this.threads;
    // With more proofs allowed than there are cores, the cores decide how many are made at once.
    this.#capacity = Math.min(this.concurrency, this.threads) + maxQueue;
    // The workers must find what this thread has found, also when the environment has changed since.
    const engine = core.available ? core.engine : core.kind === "off" ? "off" : "";
    this.#threadOptions = { settings: { backend: this.backend, maxKeys, preparedKeys, cuda }, engine, heapMb };
    this.#onProgress = onProgress;
    this.#onNotice = onNotice;

    const metrics = this.#metrics;
    this.#jobsTotal = metrics.counter("anchorproof_pool_jobs_total", "Jobs that ended, by outcome: proved or a code.");
    this.#proofsTotal = metrics.counter("anchorproof_pool_proofs_total", "Proofs made and verified, by backend.");
    this.#redoneTotal = metrics.counter(
      "anchorproof_pool_proofs_redone_total",
      "Proofs of a card that did not verify, for the CPU to make again.",
    );
    this.#fallbacksTotal = metrics.counter(
      "anchorproof_pool_fallbacks_total",
      "Proofs that the CPU made because no card could, by reason.",
    );
    this.#deathsTotal = metrics.counter("anchorproof_pool_worker_deaths_total", "Workers that died holding a job.");
    this.#phaseSeconds = metrics.histogram(
      "anchorproof_pool_phase_seconds",
      "Duration of the phases of jobs that were proved.",
      SECONDS,
    );
    this.#proveSeconds = metrics.histogram(
      "anchorproof_pool_prove_phase_seconds",
      "Duration of the parts of the phase prove, from the native core.",
      SECONDS,
    );
    // A counter without samples is missing, not zero: alerts on rates need the zero.
    this.#jobsTotal.add({ outcome: "proved" }, 0);
    this.#proofsTotal.add({ backend: this.backend }, 0);
    this.#proofsTotal.add({ backend: this.#cpu }, 0);
    this.#redoneTotal.add({}, 0);
    for (const reason of FALLBACK_REASONS) this.#fallbacksTotal.add({ reason }, 0);
    this.#deathsTotal.add({}, 0);
    metrics.gauge("anchorproof_pool_queue_length", "Jobs that no worker has taken yet.", () => this.queued);
    metrics.gauge("anchorproof_pool_running", "Jobs that a worker holds.", () => this.running);
    metrics.gauge("anchorproof_pool_cores", "Cores that the pool owns.", () => this.threads);
    metrics.gauge("anchorproof_pool_cores_busy", "Cores that proofs hold.", () => this.#load().busy);
    metrics.gauge("anchorproof_pool_workers", "Worker threads.", () => this.#threads.size);
    metrics.gauge("anchorproof_process_resident_memory_bytes", "Resident memory, workers included.", () =>
      process.memoryUsage.rss(),
    );
    if (missed !== undefined) this.#notice("none", `${missed}; the CPU proves`);
  }

  /** What serves: "cuda" as long as there is a card; {@link ProveResult.backend} tells what made a proof. */
  get backend(): BackendName {
    return this.#cards && this.#cards.count > 0 ? "cuda" : this.#cpu;
  }

  /** Jobs that no worker has taken yet. */
  get queued(): number {
    return this.#queue.size;
  }

  /** Jobs that a worker holds. */
  get running(): number {
    let count = 0;
    for (const { job } of this.#threads) if (job) count++;
    return count;
  }

  /**
   * Makes one proof. A stopped job's promise is rejected at once; its worker follows within a fraction of a second.
   *
   * The arguments are read and copied before this returns: what the caller changes later changes no proof.
   *
   * @param circuit by circom, that of a model, or one of datasets; each worker that proves for a model makes its program once
   * @throws WITNESS_INVALID, PROVE_FAILED, POOL_FULL, POOL_CLOSED, DEADLINE_PASSED, ABORTED, WORKER_CRASHED;
   *   INPUT_INVALID for arguments of a wrong type, and for inputs that cannot be copied to another thread;
   *   FILE_NOT_FOUND, FILE_UNREADABLE, INPUT_TOO_LARGE and CIRCUIT_MALFORMED for the circuit's and key's files;
   *   MODEL_MALFORMED, MODEL_UNBOUNDED and FORMAT_UNSUPPORTED for a model, CONTEXT_ZERO for its request;
   *   KEY_MALFORMED and KEY_FORGEABLE for the verifying key; KEY_MALFORMED for the proving key and OUT_OF_MEMORY from the native core
   *   (snarkjs calls them PROVE_FAILED); CUDA_FAILED and OUT_OF_MEMORY of a card during the proof
   */
  async prove(
    circuit: GeneratedCircuit,
    key: Pick<CircuitKey, "zkeyPath" | "verifyingKey">,
    inputs: CircuitInputs,
    options?: ProveOptions,
  ): Promise<ProveResult>;
  async prove(
    circuit: ModelProgram,
    key: Pick<CircuitKey, "zkeyPath" | "verifyingKey">,
    request: InferenceRequest,
    options?: ProveOptions,
  ): Promise<ProveResult>;
  async prove<Spec extends DatasetProgramSpec>(
    circuit: DatasetCircuit<Spec>,
    key: Pick<CircuitKey, "zkeyPath" | "verifyingKey">,
    request: DatasetRequests[Spec["kind"]],
    options?: ProveOptions,
  ): Promise<ProveResult>;
  async prove(
    circuit: GeneratedCircuit | ModelProgram | DatasetCircuit,
    key: Pick<CircuitKey, "zkeyPath" | "verifyingKey">,
    inputs: CircuitInputs | InferenceRequest | DatasetRequest,
    options: ProveOptions = {},
  ): Promise<ProveResult> {
    let task: Task;
    try {
      if (this.#closed) throw new AnchorError("POOL_CLOSED", "the pool is closed");
      task = readTask(circuit, key, inputs, options);
      throwIfAborted(task.signal);
      // Once more: getters may have closed it.
      if (this.#closed) throw new AnchorError("POOL_CLOSED", "the pool is closed");
      if (!this.#hasRoom()) throw new AnchorError("POOL_FULL", "the queue is full: wait for ready()");
    } catch (error) {
      const refusal = toAnchorError(error, "INPUT_INVALID", "the job cannot be read");
      this.#jobsTotal.add({ outcome: refusal.code });
      throw refusal;
    }
    const { signal, ...own } = task;
    const { deadline } = own;
    let job!: Job;
    const result = new Promise<ProveResult>((resolve, reject) => {
      job = {
        ...own,
        order: ++this.#order,
        queuedAt: performance.now(),
        startRss: process.memoryUsage.rss(),
        control: new Int32Array(new SharedArrayBuffer(4 * Control.Length)),
        keyId: "",
        keyBytes: 0,
        cores: 0,
        device: undefined,
        mistrusted: undefined,
        refused: undefined,
        asked: undefined,
        room: new Set(),
        preparing: true,
        posted: false,
        settled: false,
        resolve,
        reject,
      };
    });
    const forget = onAbort(signal, () =>
      this.#stop(job, new AnchorError("ABORTED", "the proof was stopped", { cause: signal?.reason })),
    );
    let timer: NodeJS.Timeout | undefined;
    const watch = () => {
      const left = deadline! - Date.now();
      if (left > 0) timer = setTimeout(watch, Math.min(left, MAX_TIMEOUT_MS));
      else this.#stop(job, deadlinePassed());
    };
    this.#queue.push(job);
    this.#progress(job, "queued");
    if (deadline !== undefined) watch();
    this.#pump();
    try {
      return await result;
    } finally {
      clearTimeout(timer);
      forget();
    }
  }

  /**
   * Waits until the queue has room: `await pool.ready()` before each `prove` keeps a producer at the pool's pace.
   * Callers go on one by one, so that several producers do not crowd each other out.
   *
   * @throws POOL_CLOSED, ABORTED, INPUT_INVALID
   */
  async ready({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkSignal(signal);
    throwIfAborted(signal);
    if (!this.#closed) {
      const turn = waitIn(this.#waiting, signal);
      this.#pump();
      await turn;
    }
    if (this.#closed) throw new AnchorError("POOL_CLOSED", "the pool is closed");
  }

  /** All metrics in Prometheus' text format (`text/plain; version=0.0.4`). Durations are in seconds. */
  metrics(): string {
    return this.#metrics.render();
  }

  /**
   * Takes no more jobs, lets those inside end, and closes. When `timeoutMs` passes or `signal` fires first, what is
   * left fails with POOL_CLOSED. Stopped jobs are not waited for but as {@link close} does.
   *
   * @returns how many jobs were cut off
   * @throws INPUT_INVALID
   */
  async drain({ signal, timeoutMs }: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<number> {
    if (timeoutMs !== undefined) integerOption("timeoutMs", timeoutMs, 0, MAX_TIMEOUT_MS);
    checkSignal(signal);
    this.#refuse();
    if (this.#unsettled() > 0) {
      const limits = signal ? [signal] : [];
      if (timeoutMs !== undefined) limits.push(AbortSignal.timeout(timeoutMs));
      await waitIn(this.#empty, AbortSignal.any(limits)).catch(() => {});
    }
    const left = this.#unsettled();
    await this.close();
    return left;
  }

  /**
   * Takes no more jobs and ends the threads; jobs that still run or wait fail with POOL_CLOSED. A thread that a driver's call
   * does not let go of is waited for no longer than 10 seconds; the process cannot end before that call does.
   */
  async close(): Promise<void> {
    this.#refuse();
    const threads = [...this.#threads];
    const jobs = [...this.#queue, ...threads.flatMap(({ job }) => job ?? [])];
    for (const job of jobs) {
      this.#stop(job, new AnchorError("POOL_CLOSED", "the pool was closed while the job was in it"));
    }
    for (const thread of threads) thread.end();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)));
    await Promise.race([Promise.all(threads.map(({ exited }) => exited)), late]);
    clearTimeout(timer);
  }

  #refuse(): void {
    this.#closed = true;
    for (const go of this.#waiting.splice(0)) go();
  }

  #inside(): number {
    return this.#queue.size + this.running;
  }

  /** Jobs without an outcome. A stopped one may still have its thread; its promise was rejected then. */
  #unsettled(): number {
    return this.#queue.size + [...this.#threads].filter(({ job }) => job && !job.settled).length;
  }

  #hasRoom(): boolean {
    return this.#inside() < this.#capacity;
  }

  /** What the workers do at this moment. */
  #load(): { running: number; preparing: number; proving: number; busy: number; byCpu: number } {
    const load = { running: 0, preparing: 0, proving: 0, busy: 0, byCpu: 0 };
    for (const { job } of this.#threads) {
      if (!job) continue;
      load.running++;
      load.busy += job.cores;
      if (job.device === undefined) load.byCpu += job.cores;
      if (job.preparing) load.preparing++;
      else if (job.cores > 0) load.proving++;
    }
    return load;
  }

  /** Grants cores and starts jobs as far as there is room for them. To be called after every change. */
  #pump(): void {
    const blocked = this.#grant();
    while (this.#queue.size > 0) {
      const { running, preparing, proving, busy } = this.#load();
      // One witness ahead also when all cores prove: they go from proof to proof.
      const ahead = Math.max(1, Math.min(this.concurrency - proving, this.threads - busy));
      if (running > this.concurrency || preparing - blocked >= ahead) break;
      void this.#start(this.#queue.shift()!);
    }
    if (this.#hasRoom() && this.#waiting.length > 0 && !this.#waking) {
      this.#waking = true;
      this.#waiting.shift()!();
      // The next one when this one has taken its place, or has left it.
      setImmediate(() => {
        this.#waking = false;
        this.#pump();
      });
    }
    if (this.#unsettled() === 0) for (const go of this.#empty.splice(0)) go();
  }

  /**
   * Grants cores, and cards, to jobs with their witness, by rank. Who waits for a card, or for the CPU, lets those behind it
   * pass that are for another place; who waits for a core lets nobody pass.
   *
   * @returns how many wait for one place while another may have room
   */
  #grant(): number {
    let cpuIsFull = false;
    let blocked = 0;
    for (const job of [...this.#witnessed]) {
      const { preparing, proving, busy, byCpu } = this.#load();
      const free = this.threads - busy;
      if (proving >= this.concurrency) break;
      const device = this.#choose(job);
      cpuIsFull ||= free < 1;
      if (device === "busy" || (device === undefined ? cpuIsFull : free < 1)) {
        // Also where no core is free: the next one may be a card's.
        if (device === undefined || free > 0) blocked++;
        continue;
      }
      let cores = 1;
      if (device === undefined) {
        // Cards go on beside a long proof.
        const own = this.threads - Math.min(this.#cards?.usable ?? 0, this.threads - 1);
        const load = {
          cores: own,
          free: Math.min(free, own - byCpu),
          concurrency: this.concurrency,
          jobs: this.#queue.size + preparing + proving,
        };
        cores = coresFor(load, this.#cpu === "native" ? job.keyBytes : 0);
        cpuIsFull = cores === 0;
        if (cpuIsFull) {
          blocked++;
          continue;
        }
      } else {
        job.asked = device;
        job.refused = undefined;
      }
      this.#witnessed.delete(job);
      job.cores = cores;
      job.device = device;
      job.preparing = false;
      grant(job, cores, device);
    }
    return this.#cards && this.#cards.usable > 0 ? blocked : 0;
  }

  /** The card that makes a job's proof; `undefined` for the CPU, and the job knows why. */
  #choose(job: Job): number | "busy" | undefined {
    if (!this.#cards || job.mistrusted !== undefined) return undefined;
    const proofs = new Map<number, number>();
    for (const { job: other } of this.#threads) {
      if (other?.device !== undefined) proofs.set(other.device, (proofs.get(other.device) ?? 0) + 1);
    }
    const choice = this.#cards.choose(job.keyId, proofs);
    if (typeof choice !== "object") return choice;
    if (choice.ofKey) {
      this.#notice(`key ${job.keyId}`, `${choice.message}; the CPU proves with ${job.zkeyPath}`);
    }
    job.refused = choice;
    return undefined;
  }

  /** The card gets no more jobs. */
  #lose(device: number, refused: Refused): void {
    const cards = this.#cards!;
    if (!cards.lose(device, refused)) return;
    this.#notice(`card ${device}`, `${cards.loss.message}; ${this.#next()}`);
    for (const thread of this.#threads) void thread.releaseKeys(device);
  }

  /** A proof came to nothing, by the card's fault. */
  #blame(device: number, why: string): void {
    if (!this.#cards!.failed(device)) return;
    const message = `${MAX_FAILURES} proofs in a row failed, the last one: ${why}`;
    this.#lose(device, { reason: "CUDA_FAILED", message });
  }

  /** Who proves where a card does not. */
  #next(): string {
    return ["the CPU proves", "the other card goes on"][this.#cards!.usable] ?? "the other cards go on";
  }

  /** A card does not take the job. */
  async #refused(job: Job, device: number, { code, message, details }: AnchorError): Promise<void> {
    const cards = this.#cards!;
    job.cores = 0;
    job.device = undefined;
    job.preparing = true;
    if (code === "CUDA_UNAVAILABLE") {
      const refused = { reason: code, message } as const;
      if (details["kind"] === "missing") this.#lose(device, refused);
      else {
        const { message: pause } = cards.pause(device, refused);
        this.#notice(`pause ${device}`, `${pause}; ${this.#next()} for now`);
      }
    } else {
      // Only once: room that others take at once is none.
      const first = code === "OUT_OF_MEMORY" && !job.settled && !job.room.has(device);
      if (first) {
        job.room.add(device);
        this.#pump();
      }
      if (!(first && (await this.#makeRoom(device)))) {
        cards.refuse(device, job.keyId, { reason: code === "OUT_OF_MEMORY" ? code : "CUDA_FAILED", message });
      }
    }
    this.#again(job);
  }

  /** Idle threads give back their keys on a card. @returns whether there were any */
  #makeRoom(device: number): Promise<boolean> {
    let making = this.#makingRoom.get(device);
    if (!making) {
      const idle = [...this.#threads].filter((thread) => thread.idle);
      making = Promise.all(idle.map((thread) => thread.releaseKeys(device))).then((given) => {
        this.#makingRoom.delete(device);
        if (!given.includes(true)) return false;
        this.#cards!.freed(device);
        return true;
      });
      this.#makingRoom.set(device, making);
    }
    return making;
  }

  /** The job's worker asks for cores once more. */
  #again(job: Job): void {
    job.cores = 0;
    job.device = undefined;
    if (job.settled) {
      grant(job, 1); // it was stopped before it asked, and is woken up to see that
    } else {
      job.preparing = true;
      this.#witnessed.push(job);
    }
    this.#pump();
  }

  async #start(job: Job): Promise<void> {
    let thread: ProverThread<Job> | undefined;
    try {
      thread = this.#idleThread(job.zkeyPath);
      thread.take(job, job.zkeyPath);
      const [source, zkey] = await Promise.all([this.#source(job.circuit), identify(job.zkeyPath)]);
      job.keyId = zkey.id;
      job.keyBytes = zkey.bytes;
      if (job.settled) this.#finish(thread, job);
      // The thread may have died by now.
      else if (thread.job === job) {
        thread.post({ source, key: zkey, payload: job.payload, control: job.control });
        job.payload.fill(0); // copied when posted, and never posted twice
        job.posted = true;
      }
    } catch (error) {
      this.#settle(job, toAnchorError(error, "INPUT_INVALID", "the job cannot be sent to a worker"));
      if (thread) this.#finish(thread, job);
    }
  }

  /** One that may have the key, any other, or a new one. */
  #idleThread(keyPath: string): ProverThread<Job> {
    const idle = [...this.#threads].filter((thread) => thread.idle);
    const known = idle.find((thread) => thread.keyPath === keyPath) ?? idle[0];
    if (known) return known;
    const thread = new ProverThread<Job>(this.#threadOptions, {
      onMessage: (from, message) => this.#onMessage(from, message),
      onExit: (from, reason) => this.#onExit(from, reason),
    });
    this.#threads.add(thread);
    return thread;
  }

  async #source(circuit: Circuit): Promise<WitnessSource> {
    if ("dataset" in circuit) return { type: "dataset", spec: circuit.dataset };
    if ("modelDigest" in circuit) {
      return { type: "model", id: circuit.modelDigest, path: undefined, batch: circuit.batch };
    }
    if ("modelPath" in circuit) {
      const { id, path, bytes } = await identify(circuit.modelPath);
      if (bytes > GRAPH_LIMITS.bytes) throw new AnchorError("INPUT_TOO_LARGE", `${path} is larger than any model`);
      return { type: "model", id, path, batch: circuit.batch };
    }
    const wasm = await identify(circuit.wasmPath);
    if (wasm.bytes > MAX_GENERATOR_BYTES) {
      throw new AnchorError("INPUT_TOO_LARGE", `${wasm.path} is larger than any witness generator`);
    }
    return { type: "generator", module: await this.#module(wasm) };
  }

  /** Compiled once for all workers. */
  #module(file: FileIdentity): Promise<WebAssembly.Module> {
    let module = this.#modules.get(file.id);
    if (!module) {
      module = compileGenerator(file.path);
      module.catch(() => this.#modules.delete(file.id));
      for (const id of this.#modules.keys()) {
        if (this.#modules.size < MAX_MODULES) break;
        this.#modules.delete(id);
      }
      this.#modules.set(file.id, module);
    }
    return module;
  }

  #onMessage(thread: ProverThread<Job>, message: WorkerMessage): void {
    const { job } = thread;
    if (!job) return;
    switch (message.type) {
      case "phase":
        if (message.phase === "verify") {
          job.cores = 0;
          job.device = undefined;
        }
        this.#progress(job, message.phase);
        if (message.phase === "verify") this.#pump();
        break;
      case "witnessed":
        if (job.settled) break; // its control words say so
        this.#witnessed.push(job);
        this.#pump();
        break;
      case "refused":
        void this.#refused(job, message.device, AnchorError.fromJSON(message.error));
        break;
      case "unverified":
        this.#redoneTotal.add();
        job.mistrusted = message.device;
        this.#again(job);
        break;
      case "done":
        if (message.result.backend === "cuda") this.#cards!.proved(job.asked!, job.keyId);
        // Of a proof that does not verify by the CPU either, the card is not to blame.
        else if (job.mistrusted !== undefined) this.#blame(job.mistrusted, "it did not verify");
        this.#settle(job, message.result);
        this.#finish(thread, job);
        break;
      case "failed": {
        const error = AnchorError.fromJSON(message.error);
        const { device, lost } = error.details;
        if (lost === true) this.#lose(device as number, { reason: "CUDA_FAILED", message: error.message });
        else if (device !== undefined && lost === false) this.#blame(device as number, error.message);
        this.#settle(job, error);
        this.#finish(thread, job);
      }
    }
  }

  #onExit(thread: ProverThread<Job>, reason: string): void {
    const { job } = thread;
    this.#threads.delete(thread);
    this.#cards?.freed();
    if (job) {
      if (!job.settled) this.#deathsTotal.add();
      this.#settle(job, new AnchorError("WORKER_CRASHED", `the worker died: ${reason}`, { details: { reason } }));
      this.#witnessed.delete(job);
    }
    this.#pump();
  }

  /** The thread is done with the job. */
  #finish(thread: ProverThread<Job>, job: Job): void {
    if (thread.job !== job) return;
    this.#witnessed.delete(job);
    thread.release(this.#idleMs);
    this.#pump();
  }

  /** Fails a job now, wherever it is, and has its worker let go of it. */
  #stop(job: Job, error: AnchorError): void {
    if (job.settled) return;
    this.#settle(job, error);
    if (!this.#queue.delete(job)) {
      this.#witnessed.delete(job);
      Atomics.store(job.control, Control.Stop, 1);
      if (job.preparing) grant(job, 1); // wakes it up to see that
      for (const thread of this.#threads) {
        if (thread.job !== job) continue;
        // A thread that knows nothing of the job yet has nothing to be killed for.
        if (job.posted) thread.killSoon();
        else this.#finish(thread, job);
      }
    }
    this.#pump();
  }

  #settle(job: Job, outcome: WorkerResult | AnchorError): void {
    if (job.settled) return;
    // The timer is late when the main thread was busy or the clock was set.
    const late = job.deadline !== undefined && Date.now() >= job.deadline;
    if (late && !(outcome instanceof AnchorError)) outcome = deadlinePassed();
    if (outcome instanceof AnchorError) {
      job.settled = true;
      this.#jobsTotal.add({ outcome: outcome.code });
      job.reject(outcome);
      return;
    }
    this.#progress(job, "done");
    if (job.settled) return; // the callback threw
    job.settled = true;
    const { phases, ...durations } = outcome.timings;
    const busy = Object.values(durations).reduce((sum, ms) => sum + ms, 0);
    const queueMs = Math.max(0, performance.now() - job.queuedAt - busy);
    this.#jobsTotal.add({ outcome: "proved" });
    this.#proofsTotal.add({ backend: outcome.backend });
    if (job.mistrusted !== undefined) {
      const title = this.#cards!.title(job.mistrusted);
      this.#notice(`proof ${job.mistrusted}`, `a proof by ${title} did not verify, and the CPU made it again`);
    } else if (job.refused) this.#fallbacksTotal.add({ reason: job.refused.reason });
    for (const [name, ms] of Object.entries({ queueMs, ...durations })) {
      this.#phaseSeconds.observe(ms / 1000, { phase: name.replace(/Ms$/, "") });
    }
    for (const { name, ms } of phases) this.#proveSeconds.observe(ms / 1000, { phase: name });
    const rssBytes = process.memoryUsage.rss();
    job.resolve({
      ...outcome,
      timings: { queueMs, ...outcome.timings },
      memory: {
        rssBytes,
        rssDeltaBytes: rssBytes - job.startRss,
        // The two counters are not updated together.
        peakRssBytes: Math.max(rssBytes, 1024 * process.resourceUsage().maxRSS),
      },
    });
  }

  /** Tells something once. The callback is not called amid the pool's work. */
  #notice(reason: string, text: string): void {
    const tell = this.#onNotice;
    if (!tell || this.#told.has(reason) || this.#told.size >= MAX_NOTICES) return;
    this.#told.add(reason);
    // A promise that it gives may fail as well.
    Promise.resolve(text)
      .then(tell)
      .catch(() => {});
  }

  #progress(job: Job, phase: string): void {
    if (job.settled) return;
    try {
      const event = { job: job.order, phase };
      job.onProgress?.(event);
      this.#onProgress?.(event);
    } catch (error) {
      this.#stop(job, toAnchorError(error, "ABORTED", "the progress callback threw"));
    }
  }
}

/** What a job takes from {@link ProverPool.prove}'s arguments. */
type Task = Pick<Job, "priority" | "circuit" | "zkeyPath" | "payload" | "deadline" | "onProgress"> & {
  signal: AbortSignal | undefined;
};

/** @throws INPUT_INVALID, or what a getter throws */
function readTask(
  given: GeneratedCircuit | ModelProgram | DatasetCircuit,
  { zkeyPath, verifyingKey }: Pick<CircuitKey, "zkeyPath" | "verifyingKey">,
  inputs: CircuitInputs | InferenceRequest | DatasetRequest,
  { signal, deadline, priority = 0, onProgress }: ProveOptions,
): Task {
  const { circuit, model } = readCircuit(given);
  if (typeof zkeyPath !== "string") throw new AnchorError("INPUT_INVALID", "zkeyPath must be a string");
  for (const [name, value] of Object.entries({ verifyingKey, inputs })) {
    if (typeof value !== "object" || value === null)
      throw new AnchorError("INPUT_INVALID", `${name} must be an object`);
  }
  if (deadline !== undefined && !Number.isFinite(deadline)) {
    throw new AnchorError("INPUT_INVALID", "a deadline is a time in milliseconds since 1970");
  }
  if (!Number.isFinite(priority)) throw new AnchorError("INPUT_INVALID", "a priority is a finite number");
  checkSignal(signal);
  checkCallback("onProgress", onProgress);
  let payload: Uint8Array;
  try {
    payload = serialize({ inputs, model, verifyingKey } satisfies JobPayload);
  } catch (cause) {
    // Without the reason in the message: Node prints the value there.
    throw new AnchorError("INPUT_INVALID", "the inputs or the verifying key cannot be copied to a thread", { cause });
  }
  return { circuit, zkeyPath, payload, signal, deadline, priority, onProgress };
}

/** @returns with the model where it comes as bytes: copied, as they are hashed, before the caller can change them */
function readCircuit(given: GeneratedCircuit | ModelProgram | DatasetCircuit): {
  circuit: Circuit;
  model: Uint8Array | undefined;
} {
  if ("dataset" in given) return { circuit: { dataset: readSpec(given.dataset) }, model: undefined };
  if (!("model" in given)) {
    const { wasmPath } = given;
    if (typeof wasmPath !== "string") throw new AnchorError("INPUT_INVALID", "wasmPath must be a string");
    return { circuit: { wasmPath }, model: undefined };
  }
  const { model, batch = 1 } = given;
  integerOption("batch", batch, 1, MAX_BATCH);
  if (typeof model === "string") return { circuit: { modelPath: model, batch }, model: undefined };
  if (!isUint8Array(model)) throw new AnchorError("INPUT_INVALID", "model must be a path, or bytes");
  const own = Uint8Array.from(model);
  return { circuit: { modelDigest: createHash("sha256").update(own).digest("hex"), batch }, model: own };
}

/** The worker finds out what the parameters are worth. */
function readSpec(spec: DatasetProgramSpec): string {
  if (typeof spec !== "object" || spec === null) throw new AnchorError("INPUT_INVALID", "dataset must be an object");
  const text = JSON.stringify(spec);
  if (text.length > MAX_SPEC) throw new AnchorError("INPUT_TOO_LARGE", "no circuit has that many parameters");
  return text;
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new AnchorError("INPUT_INVALID", "signal must be an AbortSignal");
  }
}

function checkCallback(name: string, callback: unknown): void {
  if (callback !== undefined && typeof callback !== "function") {
    throw new AnchorError("INPUT_INVALID", `${name} must be a function`);
  }
}

/**
 * The cards that a pool has to itself, with what its workers are told of them; nothing where none are asked for. `missed`
 * says why there are none where that is to be told.
 *
 * @throws INPUT_INVALID
 */
function findCards(
  backend: "auto" | BackendName,
  { devices, proofsPerDevice = 2, deviceMemory }: PoolOptions,
): { cards?: Cards; cuda?: BackendSettings["cuda"]; missed?: string } {
  if (devices !== undefined && !isListOfIndices(devices)) {
    throw new AnchorError("INPUT_INVALID", "devices must be a list of cards' indices, each once");
  }
  integerOption("proofsPerDevice", proofsPerDevice, 1, 256);
  if (deviceMemory !== undefined) integerOption("deviceMemory", deviceMemory, 1, 2 ** 50);
  if (backend === "native" || backend === "snarkjs") return {};
  const status = cudaStatus();
  if (!status.available) {
    const { kind, reason: missed } = status;
    // Nobody who built the library means to do without it. Without the core there is none.
    if (backend === "auto") return nativeStatus().available && (kind === "broken" || kind === "none") ? { missed } : {};
    return { cards: new Cards([], 1, { reason: "CUDA_UNAVAILABLE", message: missed }), missed };
  }
  // The emulated card is for tests: it is there for those who name it.
  if (backend === "auto" && status.emulated && !process.env["ANCHORPROOF_CUDA"]) return {};
  const unknown = devices?.find((index) => index >= status.cards.length);
  if (unknown !== undefined) {
    throw new AnchorError(
      "INPUT_INVALID",
      `there is no card ${unknown}: there are ${status.cards.length} (native status)`,
    );
  }
  const own = status.cards
    .map(({ name, memoryBytes }, index) => ({ index, name, memoryBytes }))
    .filter(({ index }) => devices?.includes(index) ?? true);
  const cards = new Cards(own, proofsPerDevice, { reason: "CUDA_UNAVAILABLE", message: "no card" });
  return { cards, cuda: { library: status.library, cards: own, deviceMemory } };
}

function isListOfIndices(devices: unknown): boolean {
  return (
    Array.isArray(devices) &&
    devices.length > 0 &&
    devices.every((index) => Number.isSafeInteger(index) && index >= 0) &&
    new Set(devices).size === devices.length
  );
}

function deadlinePassed(): AnchorError {
  return new AnchorError("DEADLINE_PASSED", "the job's deadline passed before its proof was made");
}

interface FileIdentity {
  path: string;
  /** Changes when the file does. */
  id: string;
  bytes: number;
}

/** @throws FILE_NOT_FOUND, FILE_UNREADABLE */
async function identify(path: string): Promise<FileIdentity> {
  try {
    const file = await stat(path, { bigint: true });
    // A pipe, for one, would be read for ever.
    if (!file.isFile()) throw new Error("not a file");
    return { path, id: `${path}:${identityOf(file)}`, bytes: Number(file.size) };
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw toAnchorError(error, missing ? "FILE_NOT_FOUND" : "FILE_UNREADABLE", `cannot read ${path}`);
  }
}

/** @throws FILE_NOT_FOUND, CIRCUIT_MALFORMED */
async function compileGenerator(path: string): Promise<WebAssembly.Module> {
  const code = await readWitnessGenerator(path);
  try {
    return await WebAssembly.compile(code);
  } catch (error) {
    throw toAnchorError(error, "CIRCUIT_MALFORMED", "not a circom 2 witness generator");
  }
}

/** Lets a worker that waits for cores go on. */
function grant(job: Job, cores: number, device?: number): void {
  Atomics.store(job.control, Control.Card, device === undefined ? 0 : device + 1);
  Atomics.store(job.control, Control.Cores, cores);
  Atomics.notify(job.control, Control.Cores);
}

/** Who is to be told when a signal fires. */
const watched = new Map<AbortSignal, Set<() => void>>();

/**
 * Calls back when the signal fires. A signal has one listener of ours, however many jobs and callers it stops: Node
 * takes more than ten for a leak.
 *
 * @returns ends that; to be called in any case
 */
function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (!signal) return () => {};
  let callbacks = watched.get(signal);
  if (!callbacks) {
    callbacks = new Set();
    watched.set(signal, callbacks);
    signal.addEventListener("abort", tellWatchers);
  }
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    if (callbacks.size > 0 || watched.get(signal) !== callbacks) return;
    watched.delete(signal);
    signal.removeEventListener("abort", tellWatchers);
  };
}

function tellWatchers(this: AbortSignal): void {
  // Those that are deleted on the way are not told.
  for (const callback of watched.get(this)!) callback();
}

/** Waits for one's turn in a list of waiters. @throws ABORTED */
function waitIn(list: (() => void)[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal);
    const go = () => {
      forget();
      resolve();
    };
    const forget = onAbort(signal, () => {
      forget();
      list.splice(list.indexOf(go), 1);
      reject(new AnchorError("ABORTED", "stopped on request", { cause: signal?.reason }));
    });
    list.push(go);
  });
}

function integerOption(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new AnchorError("INPUT_INVALID", `${name} must be an integer ${range}`);
  }
  return value;
}
