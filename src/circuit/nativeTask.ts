/**
 * Long calls of the native core, off the main thread: abortable, with progress.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { nativeCore, nativeStatus } from "../field/native.js";
import { startWorker } from "../workers.js";
import type { NativeReply, NativeRequest, NativeTasks } from "./nativeWorker.js";

export interface LongWork {
  signal?: AbortSignal | undefined;
  /** Called with the share of the work that is done, from 0 to 1. */
  onProgress?: ((done: number) => void) | undefined;
  /** From 1 to 256; all cores unless told. */
  threads?: number | undefined;
}

const POLL_MS = 50;
/** Between two looks of the core at its abort flag lie milliseconds. */
const GRACE_MS = 10_000;

/** A thread that has answered and waits for the next task: starting one takes longer than small tasks do. */
let idle: Worker | undefined;

/** @throws NATIVE_UNAVAILABLE, ABORTED, and what the task throws */
export async function runNative<T extends keyof NativeTasks>(
  task: T,
  request: Parameters<NativeTasks[T]>[0],
  { signal, onProgress, threads = Math.min(availableParallelism(), 256) }: LongWork = {},
): Promise<ReturnType<NativeTasks[T]>> {
  throwIfAborted(signal);
  if (nativeCore() === undefined) {
    const status = nativeStatus();
    const reason = status.available ? "" : status.reason;
    throw new AnchorError("NATIVE_UNAVAILABLE", `this needs the native core: ${reason}`);
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new AnchorError("INPUT_INVALID", "threads must be an integer from 1 to 256");
  }
  const control = new Int32Array(new SharedArrayBuffer(8));
  const worker = idle ?? start();
  idle = undefined;
  worker.ref();
  let answered = false;
  let last = -1;
  const report = (thousandths: number) => {
    if (thousandths > last) onProgress?.((last = thousandths) / 1000);
  };
  // What a caller's function throws ends the work, as it would without a timer between.
  const thrown: unknown[] = [];
  const poll = setInterval(() => {
    try {
      report(Atomics.load(control, 1));
    } catch (error) {
      thrown.push(error);
      stop();
    }
  }, POLL_MS);
  let killer: NodeJS.Timeout | undefined;
  const stop = () => {
    Atomics.store(control, 0, 1);
    killer ??= setTimeout(() => void worker.terminate(), GRACE_MS);
  };
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const reply = await new Promise<NativeReply>((resolve, reject) => {
      worker.on("message", resolve);
      worker.on("error", (error) => reject(toAnchorError(error, "WORKER_CRASHED", "the setup's thread died")));
      worker.on("exit", () => reject(new AnchorError("WORKER_CRASHED", "the setup's thread ended without an answer")));
      send(worker, { task, request, threads, control });
    });
    answered = true;
    if ("error" in reply) throw AnchorError.fromJSON(reply.error);
    if (thrown.length > 0) throw thrown[0];
    report(1000);
    return reply.value as ReturnType<NativeTasks[T]>;
  } catch (error) {
    if (thrown.length > 0) throw thrown[0];
    throwIfAborted(signal);
    throw error;
  } finally {
    clearInterval(poll);
    clearTimeout(killer);
    signal?.removeEventListener("abort", stop);
    // By name: Node listens to it as well.
    for (const event of ["message", "error", "exit"]) worker.removeAllListeners(event);
    if (answered && idle === undefined) keep(worker);
    else await worker.terminate();
  }
}

function start(): Worker {
  return startWorker("circuit/nativeWorker", {});
}

/** @throws INPUT_INVALID for a request that cannot cross to a thread: a path that is a function, say */
function send(worker: Worker, request: NativeRequest): void {
  try {
    worker.postMessage(request);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new AnchorError("INPUT_INVALID", "a value has the wrong type", { cause: error });
  }
}

/** It keeps no process alive. */
function keep(worker: Worker): void {
  const lost = () => {
    if (idle === worker) idle = undefined;
  };
  worker.on("error", lost).on("exit", lost);
  worker.unref();
  idle = worker;
}
