/**
 * Who gets which place, decided on the main thread: a pool whose threads are played, so that every message comes when the
 * test says.
 */
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { Control, type WorkerJob, type WorkerMessage } from "../../src/prover/messages.js";
import { type PoolOptions, type ProveOptions, ProverPool } from "../../src/prover/pool.js";

const played = vi.hoisted(() => {
  interface Events {
    onMessage(thread: Thread, message: WorkerMessage): void;
  }
  class Thread {
    static all: Thread[] = [];
    /** Who waits for the next job to be posted. */
    static waiting: (() => void)[] = [];
    /** Whether it never ends. */
    static stuck = false;
    job: unknown;
    keyPath: string | undefined;
    posted: WorkerJob | undefined;
    /** Whether it has keys to give back. */
    keys = false;
    exited: Promise<void>;
    #exit!: () => void;
    readonly #events: Events;

    constructor(_: unknown, events: Events) {
      this.#events = events;
      this.exited = new Promise((resolve) => (this.#exit = resolve));
      Thread.all.push(this);
    }
    get idle() {
      return this.job === undefined;
    }
    take(job: unknown, keyPath: string) {
      this.job = job;
      this.keyPath = keyPath;
    }
    post(job: WorkerJob) {
      this.posted = job;
      for (const tell of Thread.waiting.splice(0)) tell();
    }
    release() {
      this.job = this.posted = undefined;
    }
    async releaseKeys() {
      const { keys } = this;
      this.keys = false;
      return keys;
    }
    killSoon() {}
    end() {
      if (!Thread.stuck) this.#exit();
    }
    say(message: WorkerMessage) {
      this.#events.onMessage(this, message);
    }
  }
  return { Thread };
});

vi.mock("../../src/prover/thread.js", () => ({ ProverThread: played.Thread }));
vi.mock("../../src/field/native.js", async (original) => ({
  ...(await original<object>()),
  nativeStatus: () => ({ available: true, engine: "portable" }),
  cudaStatus: () => ({
    available: true,
    library: "/nowhere/cards.so",
    emulated: false,
    cards: [{ name: "a card", memoryBytes: 2 ** 30 }],
  }),
}));

type Thread = InstanceType<typeof played.Thread>;

let folder: string;
let pool: ProverPool;
const open = (options: PoolOptions) => (pool = new ProverPool({ backend: "cuda", ...options }));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "anchorproof-grants-"));
  for (const name of ["small", "large", "huge"]) {
    await writeFile(join(folder, name), "");
    if (name !== "small") await truncate(join(folder, name), 2 ** 24); // enough for several cores
  }
});
afterEach(async () => {
  played.Thread.stuck = false;
  await pool.close();
  played.Thread.all = [];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function ask(key = "small", options: ProveOptions = {}): void {
  const spec = { kind: "opening" } as never;
  pool
    .prove({ dataset: spec }, { zkeyPath: join(folder, key), verifyingKey: {} as never }, {} as never, options)
    .catch(() => {});
}

/** A thread with a job that is none of those known, as soon as there is one. */
async function posted(known: readonly Thread[]): Promise<Thread> {
  for (;;) {
    const found = played.Thread.all.find((thread) => thread.posted && !known.includes(thread));
    if (found) return found;
    await new Promise<void>((resolve) => played.Thread.waiting.push(resolve));
  }
}

/** A job whose witness is there. */
async function witnessed(key = "small", options: ProveOptions = {}): Promise<Thread> {
  const known = played.Thread.all.filter((thread) => thread.posted);
  ask(key, options);
  const thread = await posted(known);
  thread.say({ type: "witnessed" });
  return thread;
}

/** "waits", or the cores and the place that it got. */
function place({ posted }: Thread): string {
  const { control } = posted!;
  const cores = control[Control.Cores]!;
  return cores === 0 ? "waits" : `${cores} ${control[Control.Card] === 0 ? "CPU" : "card"}`;
}

/** The card refuses a key for room. */
async function refuse(thread: Thread): Promise<void> {
  thread.posted!.control[Control.Cores] = 0;
  const error = { code: "OUT_OF_MEMORY", message: "no room", details: {} } as const;
  thread.say({ type: "refused", device: 0, error });
  await new Promise(setImmediate);
}

it("has one proof a core at a time unless told, and two a card whatever is told", async () => {
  for (const options of [{}, { concurrency: 4 }]) {
    open({ threads: 4, ...options });
    expect(pool.concurrency).toBe(4);
    const jobs = [await witnessed(), await witnessed(), await witnessed(), await witnessed()];
    expect(jobs.map(place)).toEqual(["1 card", "1 card", "waits", "waits"]);
    jobs[1]!.say({ type: "phase", phase: "verify" });
    expect(jobs.map(place)).toEqual(["1 card", "1 card", "1 card", "waits"]);
    await pool.close();
    played.Thread.all = [];
  }
});

it("has one witness made ahead while the cores are taken, and no more", async () => {
  open({ backend: "native", threads: 1 });
  for (let i = 0; i < 4; i++) ask();
  expect([pool.running, pool.queued]).toEqual([1, 3]);
  const first = await posted([]);
  expect([pool.running, pool.queued]).toEqual([1, 3]); // one witness at a time
  first.say({ type: "witnessed" });
  expect([pool.running, pool.queued]).toEqual([2, 2]);
  const second = await posted([first]);
  second.say({ type: "witnessed" });
  expect([first, second].map(place)).toEqual(["1 CPU", "waits"]);
  expect([pool.running, pool.queued]).toEqual([2, 2]);
  first.say({ type: "phase", phase: "verify" });
  expect(place(second)).toBe("1 CPU");
  expect([pool.running, pool.queued]).toEqual([2, 2]); // the first one's thread is not free yet
  first.say({ type: "failed", error: { code: "PROVE_FAILED", message: "", details: {} } });
  expect([pool.running, pool.queued]).toEqual([2, 1]);
});

it("is bounded by a concurrency that is told, on the CPU and on cards together", async () => {
  open({ threads: 4, concurrency: 1 });
  const first = await witnessed("large");
  await refuse(first);
  const second = await witnessed();
  expect([first, second].map(place)).toEqual(["3 CPU", "waits"]);
});

it("leaves a core for each card beside a proof of the CPU's, as far as there are two", async () => {
  for (const [threads, expected] of [
    [4, ["3 CPU", "1 card", "waits"]],
    [2, ["1 CPU", "1 card", "waits"]],
    [1, ["1 CPU", "waits"]],
  ] as const) {
    open({ threads });
    const jobs = [await witnessed("large")];
    await refuse(jobs[0]!);
    for (let i = 1; i < expected.length; i++) jobs.push(await witnessed());
    expect(jobs.map(place)).toEqual(expected);
    await pool.close();
    played.Thread.all = [];
  }
});

it("lets those pass that are for another place, and nobody else", async () => {
  open({ threads: 4 });
  const cpu = await witnessed("large");
  await refuse(cpu);
  const second = await witnessed("large", { priority: 1 }); // the refusal is remembered
  const card = await witnessed();
  // One that comes later, too: who waits for the CPU does not keep cards without witnesses.
  expect([cpu, second, card].map(place)).toEqual(["3 CPU", "waits", "1 card"]);
  const third = await witnessed("large", { priority: 2 });
  expect(place(third)).toBe("waits");
  cpu.say({ type: "phase", phase: "verify" });
  // By priority.
  expect(place(third)).toBe("1 CPU");

  await pool.close();
  played.Thread.all = [];
  open({ threads: 4, proofsPerDevice: 1 });
  const refused = await witnessed("large");
  await refuse(refused);
  refused.say({ type: "phase", phase: "verify" });
  const [proving, waiting, passing] = [await witnessed(), await witnessed(), await witnessed("large")];
  expect([proving, waiting].map(place)).toEqual(["1 card", "waits"]);
  expect(place(passing)).toMatch(/CPU$/);
});

it("asks a card once more when idle threads had keys there, and once only", async () => {
  open({ threads: 2 });
  const [one, two] = [await witnessed(), await witnessed("large")];
  one.keys = true;
  one.say({ type: "failed", error: { code: "PROVE_FAILED", message: "", details: {} } });
  await refuse(two);
  expect(place(two)).toBe("1 card");
  one.keys = true;
  await refuse(two);
  expect(place(two)).toMatch(/CPU$/);
});

it("closes and drains within bounds where a thread never ends", async () => {
  for (const how of ["close", "drain"] as const) {
    open({ threads: 2 });
    const stop = new AbortController();
    expect(place(await witnessed("small", { signal: stop.signal }))).toBe("1 card");
    played.Thread.stuck = true;
    stop.abort();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      let ended = false;
      const ending = pool[how]().then(() => (ended = true));
      await vi.advanceTimersByTimeAsync(9_900);
      expect(ended).toBe(false);
      await vi.advanceTimersByTimeAsync(200);
      expect(ended).toBe(true);
      await ending;
    } finally {
      vi.useRealTimers();
      played.Thread.stuck = false;
    }
    played.Thread.all = [];
  }
  open({});
});
