/** The thread of long native calls, played: when it has another task, and when it has had its last. */
import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { runNative } from "../../src/circuit/nativeTask.js";
import type { NativeRequest } from "../../src/circuit/nativeWorker.js";

class Thread extends EventEmitter {
  static all: Thread[] = [];
  posted: NativeRequest[] = [];
  ended = false;
  keepsAlive = true;
  constructor() {
    super();
    Thread.all.push(this);
  }
  ref() {
    this.keepsAlive = true;
    return this;
  }
  unref() {
    this.keepsAlive = false;
    return this;
  }
  postMessage(request: NativeRequest) {
    this.posted.push(request);
  }
  /** Its `exit` comes later, as a thread's does. */
  terminate() {
    this.ended = true;
    return Promise.resolve(1);
  }
  answer(value: unknown = undefined) {
    this.emit("message", { value });
  }
}

vi.mock("../../src/workers.js", () => ({ startWorker: () => new Thread() }));
vi.mock("../../src/field/native.js", () => ({ nativeCore: () => ({}) }));

const ask = (signal?: AbortSignal) => runNative("checkPtau", { path: "ptau", points: false }, { signal });
const outcome = (promise: Promise<unknown>) => promise.then(JSON.stringify, (error) => error.code);
/** Ends the thread that waits, so that the next test begins with none. */
const end = () => {
  for (const thread of Thread.all) thread.emit("exit", 0);
};

beforeEach(() => {
  Thread.all = [];
});
afterEach(() => {
  vi.useRealTimers();
  end();
});

it("has task after task, and keeps no process alive between them", async () => {
  for (const value of [1, 2, 3]) {
    const asked = ask();
    expect(Thread.all[0]!.keepsAlive).toBe(true);
    Thread.all[0]!.answer(value);
    expect(await asked).toBe(value);
    expect([Thread.all.length, Thread.all[0]!.keepsAlive]).toEqual([1, false]);
  }
  expect(Thread.all[0]!.posted).toHaveLength(3);
});

it("is joined by a second one for a task beside, of which one stays", async () => {
  const both = [ask(), ask()];
  expect(Thread.all).toHaveLength(2);
  for (const thread of Thread.all) thread.answer();
  await Promise.all(both);
  expect(Thread.all.map(({ ended }) => ended)).toEqual([false, true]);
});

it("leaves the listeners of others, and none of its own", async () => {
  const first = ask();
  const [thread] = Thread.all;
  const exits: unknown[] = [];
  thread!.on("exit", () => exits.push("seen"));
  thread!.answer();
  await first;
  const second = ask();
  thread!.answer();
  await second;
  expect(["message", "error", "exit"].map((event) => thread!.listenerCount(event))).toEqual([0, 1, 2]);
  end();
  expect(exits).toEqual(["seen"]);
});

it("is forgotten when it dies idle, by an error or an exit", async () => {
  for (const [event, value] of [
    ["error", new Error("out of memory")],
    ["exit", 1],
  ] as const) {
    const before = ask();
    Thread.all.at(-1)!.answer();
    await before;
    Thread.all.at(-1)!.emit(event, value);
    const count = Thread.all.length;
    const after = ask();
    expect(Thread.all).toHaveLength(count + 1);
    Thread.all.at(-1)!.answer();
    await after;
    end();
  }
});

it.each([
  ["error", new Error("out of memory")],
  ["exit", 1],
])("that ends by an %s amid a task fails that one, and has no other", async (event, value) => {
  const asked = outcome(ask());
  Thread.all[0]!.emit(event, value);
  expect(await asked).toBe("WORKER_CRASHED");
  const next = ask();
  expect(Thread.all).toHaveLength(2);
  Thread.all[1]!.answer();
  await next;
});

it("that was ended while its answer was on the way has no other task", async () => {
  vi.useFakeTimers();
  const stop = new AbortController();
  const stopped = outcome(ask(stop.signal));
  stop.abort();
  expect(Atomics.load(Thread.all[0]!.posted[0]!.control, 0)).toBe(1);
  // This process stood still for long: timers come before messages.
  await vi.advanceTimersByTimeAsync(10_000);
  expect(Thread.all[0]!.ended).toBe(true);
  Thread.all[0]!.answer();
  await stopped;
  const next = ask();
  expect(Thread.all).toHaveLength(2);
  Thread.all[1]!.answer("made");
  expect(await next).toBe("made");
});

it("that stops when asked has the next task, with a flag of its own", async () => {
  const stop = new AbortController();
  const stopped = outcome(ask(stop.signal));
  stop.abort();
  const error = { name: "AnchorError", code: "ABORTED", message: "stopped", details: {} };
  Thread.all[0]!.emit("message", { error });
  expect(await stopped).toBe("ABORTED");
  const next = ask();
  expect(Thread.all).toHaveLength(1);
  expect(Atomics.load(Thread.all[0]!.posted[1]!.control, 0)).toBe(0);
  Thread.all[0]!.answer();
  await next;
});
