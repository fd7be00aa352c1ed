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
/** Of the idle thread, should it end. */
const forget = () => {
  idle = undefined;
};

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
  const worker = take();
  // Whether it can have another task. An answer may have been on its way when the thread was ended.
  let answered = false;
  let ended = false;
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
    killer ??= setTimeout(() => {
      ended = true;
      void worker.terminate();
    }, GRACE_MS);
  };
  const listeners: (readonly [event: string, listener: (value: unknown) => void])[] = [];
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const reply = await new Promise<NativeReply>((resolve, reject) => {
      listeners.push(
        ["message", resolve as (value: unknown) => void],
        ["error", (error) => reject(toAnchorError(error, "WORKER_CRASHED", "the setup's thread died"))],
        ["exit", () => reject(new AnchorError("WORKER_CRASHED", "the setup's thread ended without an answer"))],
      );
      for (const [event, listener] of listeners) worker.on(event, listener);
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
    if (!answered || ended || idle !== undefined) await worker.terminate();
    else keep(worker);
    for (const [event, listener] of listeners) worker.off(event, listener);
  }
}

function take(): Worker {
  const worker = idle ?? startWorker("circuit/nativeWorker", {});
  worker.off("error", forget).off("exit", forget).ref();
  idle = undefined;
  return worker;
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
  worker.on("error", forget).on("exit", forget).unref();
  idle = worker;
}
