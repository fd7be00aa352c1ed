import { execFileSync } from "node:child_process";
import { getEventListeners, getMaxListeners } from "node:events";
import { mkdtemp, open, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type CompiledCircuit, compileCircuit } from "../../src/circuit/compile.js";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { nativeCore } from "../../src/field/native.js";
import { type PoolOptions, type ProveOptions, ProverPool } from "../../src/prover/pool.js";
import { SMALL_KEY_BYTES } from "../../src/prover/schedule.js";
import { verifyGroth16 } from "../../src/verifier/groth16.js";
import { simulateKey } from "../chain/simulated.js";
import { LOOPING_GENERATOR, outcome, parseMetrics } from "./support.js";

/** out = a · b + c, with c public; small enough for proofs in a fraction of a second. */
const SOURCE = `pragma circom 2.2.3;
template Product() {
    signal input a;
    signal input b;
    signal input c;
    signal output out;
    signal ab <== a * b;
    out <== ab + c;
}
component main {public [c]} = Product();
`;

let circuit: CompiledCircuit;
let key: CircuitKey;
let directory: string;
let looping: { wasmPath: string };

beforeAll(async () => {
  circuit = await compileCircuit({ name: "product", source: SOURCE });
  key = await developmentKey(circuit);
  directory = await mkdtemp(join(tmpdir(), "anchorproof-pool-"));
  looping = { wasmPath: join(directory, "looping.wasm") };
  await writeFile(looping.wasmPath, LOOPING_GENERATOR);
});

afterAll(async () => {
  if (directory) await rm(directory, { recursive: true, force: true });
});

const inputs = { a: 3n, b: 4n, c: 5n };

/** Stopped jobs are told at once; their workers follow. */
async function quiet(pool: ProverPool): Promise<void> {
  while (pool.running > 0) await new Promise((resolve) => setTimeout(resolve, 10));
}

const backends = (["native", "snarkjs"] as const).filter((name) => name === "snarkjs" || nativeCore() !== undefined);

describe.each(backends)("the prover pool with %s", (backend) => {
  let pool: ProverPool;
  const prove = (options?: ProveOptions, values = inputs) => pool.prove(circuit, key, values, options);
  const withPool = async <T>(options: PoolOptions, use: (pool: ProverPool) => Promise<T>): Promise<T> => {
    const other = new ProverPool({ backend, ...options });
    try {
      return await use(other);
    } finally {
      await other.close();
    }
  };
  /** Jobs by outcome, and that nothing is held by anybody. */
  const idleMetrics = (of: ProverPool) => {
    const families = parseMetrics(of.metrics());
    const value = (name: string, labels = "") => families.get(name)?.samples.get(labels);
    for (const name of ["queue_length", "running", "cores_busy"]) expect(value(`anchorproof_pool_${name}`)).toBe(0);
    return { families, value };
  };

  beforeAll(() => {
    pool = new ProverPool({ backend, concurrency: 2, threads: 2 });
    expect(pool.backend).toBe(backend);
  });

  afterAll(async () => {
    await quiet(pool);
    idleMetrics(pool);
    await pool.close();
  });

  it("makes proofs side by side, each verified and with its timings", async () => {
    const results = await Promise.all([1n, 2n, 3n, 4n, 5n].map((c) => prove({}, { ...inputs, c })));
    for (const [i, { proof, publicSignals, timings, memory, threads, ...result }] of results.entries()) {
      expect(publicSignals).toEqual([13n + BigInt(i), 1n + BigInt(i)]);
      expect(verifyGroth16(key.verifyingKey, publicSignals, proof)).toBe(true);
      expect(Math.min(timings.witnessMs, timings.proveMs, timings.verifyMs)).toBeGreaterThan(0);
      expect(Math.min(timings.queueMs, timings.coresMs, timings.keyMs)).toBeGreaterThanOrEqual(0);
      if (backend === "native") expect(timings.phases.length).toBeGreaterThan(1);
      expect([threads, result.backend]).toEqual([1, backend]);
      expect(memory.peakRssBytes).toBeGreaterThanOrEqual(memory.rssBytes);
    }
  });

  it("makes another proof each time: proofs are randomised", async () => {
    const [one, two] = await Promise.all([prove(), prove()]);
    expect(one.proof).not.toEqual(two.proof);
    expect(one.publicSignals).toEqual(two.publicSignals);
  });

  it.each([
    ["a missing input", { a: 1n, b: 2n }],
    ["an unknown input", { ...inputs, d: 1n }],
    ["too many values", { ...inputs, a: [1n, 2n] }],
    ["a value outside the field", { ...inputs, a: -1n }],
    ["a number", { ...inputs, a: 1 }],
  ])("refuses %s with WITNESS_INVALID, and lives on", async (_, wrong) => {
    expect(await outcome(prove({}, wrong as never))).toBe("WITNESS_INVALID");
    expect(await outcome(prove())).toBe("made");
  });

  it("refuses what cannot be sent to a thread", async () => {
    const module = await WebAssembly.compile(Buffer.from("0061736d01000000", "hex"));
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    const wrong: [unknown, string][] = [
      [() => 1n, "INPUT_INVALID"],
      [new Proxy([1n], {}), "INPUT_INVALID"],
      [new Blob(["x"]), "INPUT_INVALID"],
      [module, "INPUT_INVALID"],
      [cyclic, "WITNESS_INVALID"],
    ];
    for (const [a, code] of wrong) {
      expect(await outcome(prove({}, { ...inputs, a } as never))).toBe(code);
    }
    expect(await outcome(prove())).toBe("made");
  });

  it("refuses wrong arguments at once, counts them, and lives on", async () => {
    await withPool({ concurrency: 1, maxQueue: 0 }, async (other) => {
      const throwing = {
        get wasmPath(): string {
          throw new Error("no");
        },
      };
      const wrong: unknown[][] = [
        [],
        [circuit, undefined, inputs],
        [undefined, key, inputs],
        [throwing, key, inputs],
        [{}, key, inputs],
        [{ wasmPath: new URL("file:///x.wasm") }, key, inputs],
        [circuit, { ...key, zkeyPath: Buffer.from(key.zkeyPath) }, inputs],
        [circuit, { zkeyPath: key.zkeyPath }, inputs],
        [circuit, { ...key, verifyingKey: null }, inputs],
        [circuit, { ...key, verifyingKey: new Proxy(key.verifyingKey, {}) }, inputs],
        [circuit, key, undefined],
        [circuit, key, null],
        [circuit, key, "inputs"],
        [circuit, key, inputs, null],
        [circuit, key, inputs, { signal: {} }],
        [circuit, key, inputs, { signal: 5 }],
        [circuit, key, inputs, { deadline: 5n }],
        [circuit, key, inputs, { onProgress: 5 }],
      ];
      for (const [i, args] of wrong.entries()) {
        const made = other.prove(...(args as Parameters<ProverPool["prove"]>));
        expect([other.queued, other.running]).toEqual([0, 0]);
        expect(await outcome(made), String(i)).toBe("INPUT_INVALID");
      }
      for (const wrongSignal of [{}, 5, null]) {
        const options = { signal: wrongSignal as never };
        expect(await outcome(other.ready(options))).toBe("INPUT_INVALID");
        expect(await outcome(other.drain(options))).toBe("INPUT_INVALID"); // and does not close
      }
      const [first, second] = [other.prove(circuit, key, inputs), other.prove(circuit, key, inputs)].map(outcome);
      expect([await second, await first]).toEqual(["POOL_FULL", "made"]);
      expect(await outcome(other.prove(circuit, key, inputs, { signal: AbortSignal.abort() }))).toBe("ABORTED");
      await other.close();
      expect(await outcome(other.prove(circuit, key, inputs))).toBe("POOL_CLOSED");
      const { value } = idleMetrics(other);
      for (const [code, count] of Object.entries({
        INPUT_INVALID: wrong.length,
        POOL_FULL: 1,
        proved: 1,
        ABORTED: 1,
        POOL_CLOSED: 1,
      })) {
        expect(value("anchorproof_pool_jobs_total", `{outcome="${code}"}`), code).toBe(count);
      }
    });
  });

  it("proves what it was given, whatever the caller does to it then", async () => {
    await withPool({ concurrency: 1, threads: 1 }, async (other) => {
      const results = Array.from({ length: 3 }, () => {
        const values = { a: [3n], b: 4n, c: 5n };
        const ownKey = { ...key, verifyingKey: { ...key.verifyingKey } };
        const result = other.prove(circuit, ownKey, values);
        values.a[0] = 7n;
        values.c = 100n;
        ownKey.verifyingKey.alpha = [1n, 1n];
        return result;
      });
      for (const { publicSignals } of await Promise.all(results)) expect(publicSignals).toEqual([17n, 5n]);
    });
  });

  it("lets nothing out that does not verify", async () => {
    for (const signals of [1, 2, 3]) {
      const verifyingKey = simulateKey(signals).vkey;
      expect(await outcome(pool.prove(circuit, { ...key, verifyingKey }, inputs))).toBe("PROVE_FAILED");
    }
  });

  it("says that a verifying key is malformed before it proves", async () => {
    const { verifyingKey } = key;
    for (const change of [
      { alpha: [1n, 1n] },
      { nPublic: "2" },
      { ic: verifyingKey.ic.slice(1) },
      { beta: undefined },
    ]) {
      const phases: string[] = [];
      const bad = { ...key, verifyingKey: { ...verifyingKey, ...change } as never };
      const onProgress = ({ phase }: { phase: string }) => phases.push(phase);
      expect(await outcome(pool.prove(circuit, bad, inputs, { onProgress }))).toBe("KEY_MALFORMED");
      expect(phases).toEqual(["queued"]);
    }
  });

  it("blames the key, not a proof, when bits of the key are flipped", async () => {
    const bytes = await readFile(key.zkeyPath);
    const zkeyPath = join(directory, "flipped.zkey");
    // Among the points. In other places a bit makes snarkjs compute for ever; a deadline stops that.
    for (const at of [1 / 2, 5 / 8]) {
      const flipped = Buffer.from(bytes);
      flipped[Math.floor(bytes.length * at)]! ^= 1;
      await writeFile(zkeyPath, flipped);
      expect(await outcome(pool.prove(circuit, { ...key, zkeyPath }, inputs)), String(at)).toBe("PROVE_FAILED");
    }
    expect(await outcome(prove())).toBe("made");
  });

  it("reads files only, and no endless ones", async () => {
    const [fifo, large] = [join(directory, "fifo"), join(directory, "large")];
    execFileSync("mkfifo", [fifo]);
    const file = await open(large, "w");
    await file.truncate(2 ** 30 + 1);
    await file.close();
    for (const path of [fifo, directory, "/dev/zero"]) {
      expect(await outcome(pool.prove({ wasmPath: path }, key, inputs)), path).toBe("FILE_UNREADABLE");
      expect(await outcome(pool.prove(circuit, { ...key, zkeyPath: path }, inputs)), path).toBe("FILE_UNREADABLE");
    }
    expect(await outcome(pool.prove({ wasmPath: large }, key, inputs))).toBe("INPUT_TOO_LARGE");
    await Promise.all([fifo, large].map((path) => rm(path)));
  });

  it("fails with a code for a missing, truncated or foreign key file", async () => {
    expect(await outcome(pool.prove(circuit, { ...key, zkeyPath: "/nowhere.zkey" }, inputs))).toBe("FILE_NOT_FOUND");
    const bytes = await readFile(key.zkeyPath);
    for (const [name, content] of [
      ["truncated", bytes.subarray(0, bytes.length / 2)],
      ["foreign", Buffer.from("not a key at all")],
      ["empty", Buffer.alloc(0)],
    ] as const) {
      const zkeyPath = join(directory, name);
      await writeFile(zkeyPath, content);
      const expected = backend === "native" ? "KEY_MALFORMED" : "PROVE_FAILED";
      expect(await outcome(pool.prove(circuit, { ...key, zkeyPath }, inputs)), name).toBe(expected);
    }
  });

  it("fails with a code for a missing or foreign witness generator", async () => {
    expect(await outcome(pool.prove({ wasmPath: "/nowhere.wasm" }, key, inputs))).toBe("FILE_NOT_FOUND");
    for (const content of ["", "\0asm", "\0asm\x01\0\0\0", "not a module"]) {
      const wasmPath = join(directory, "foreign.wasm");
      await writeFile(wasmPath, content);
      expect(await outcome(pool.prove({ wasmPath }, key, inputs))).toBe("CIRCUIT_MALFORMED");
    }
  });

  it("reads files again when they change", async () => {
    const [wasmPath, zkeyPath] = [join(directory, "changing.wasm"), join(directory, "changing.zkey")];
    const files = { wasm: await readFile(circuit.wasmPath), zkey: await readFile(key.zkeyPath) };
    const attempt = () => outcome(pool.prove({ wasmPath }, { ...key, zkeyPath }, inputs));
    const write = async (path: string, content: Uint8Array, time: number) => {
      await writeFile(path, content);
      await utimes(path, time, time); // writes may fall into one tick of the file system's clock
    };
    await write(wasmPath, LOOPING_GENERATOR.fill(0, 8, 9), 1);
    await write(zkeyPath, files.zkey, 1);
    expect(await attempt()).toBe("CIRCUIT_MALFORMED");
    await write(wasmPath, files.wasm, 2);
    expect(await attempt()).toBe("made");
    await write(zkeyPath, files.zkey.subarray(0, 1000), 3);
    expect(await attempt()).not.toBe("made");
    await write(zkeyPath, files.zkey, 4);
    expect(await attempt()).toBe("made");
    // in place, of the same size, with the old time put back
    const damage = (bytes: Uint8Array) => Buffer.from(bytes).fill(1, bytes.length / 2, bytes.length / 2 + 100);
    await write(zkeyPath, damage(files.zkey), 4);
    expect(["KEY_MALFORMED", "PROVE_FAILED"]).toContain(await attempt()); // the core says more, of most sections
    await write(zkeyPath, files.zkey, 4);
    expect(await attempt()).toBe("made");
    await write(wasmPath, Buffer.from(files.wasm).fill(0, 8), 2);
    expect(await attempt()).toBe("CIRCUIT_MALFORMED");
  });

  it("tells each phase in order, to the job and to the pool", async () => {
    const all: string[] = [];
    await withPool({ concurrency: 1, onProgress: ({ job, phase }) => all.push(`${job} ${phase}`) }, async (other) => {
      const own: string[] = [];
      await other.prove(circuit, key, inputs, { onProgress: ({ phase }) => own.push(phase) });
      await other.prove(circuit, key, inputs);
      expect(own.filter((phase) => !phase.startsWith("prove:"))).toEqual(
        ["queued", "witness", "key", "verify", "done"].filter((phase) => phase !== "key" || backend === "native"),
      );
      expect(own.findIndex((phase) => phase.startsWith("prove:"))).toBe(backend === "native" ? 3 : 2);
      expect(all.filter((line) => line.startsWith("1 "))).toEqual(own.map((phase) => `1 ${phase}`));
      // the second job finds the key there
      expect(all.filter((line) => line.startsWith("2 "))).toEqual(
        own.filter((phase) => phase !== "key").map((phase) => `2 ${phase}`),
      );
    });
  });

  it("stops on request, before the work", async () => {
    expect(await outcome(prove({ signal: AbortSignal.abort() }))).toBe("ABORTED");
    const stop = new AbortController();
    const running = outcome(prove({ signal: stop.signal }));
    setImmediate(() => stop.abort());
    expect(await running).toBe("ABORTED");
    expect(await outcome(prove())).toBe("made");
  });

  it("has the thread back at once when a job stops that its thread knows nothing of", async () => {
    await withPool({ concurrency: 1, threads: 1 }, async (other) => {
      expect(await outcome(other.prove(circuit, key, inputs))).toBe("made");
      const stop = new AbortController();
      const stopped = outcome(other.prove(circuit, key, inputs, { signal: stop.signal }));
      expect(other.running).toBe(1); // its files are looked up
      stop.abort();
      expect(other.running).toBe(0);
      const next = outcome(other.prove(circuit, key, inputs));
      expect(await Promise.all([stopped, next])).toEqual(["ABORTED", "made"]);
      const { value } = idleMetrics(other);
      expect(value("anchorproof_pool_workers")).toBe(1);
    });
  });

  it("listens once to a signal, leaves it as it is, and forgets it", async () => {
    await withPool({ concurrency: 1, maxQueue: 5 }, async (other) => {
      const stop = new AbortController();
      const { signal } = stop;
      const most = getMaxListeners(signal);
      const listeners = () => getEventListeners(signal, "abort").length;
      const kept = outcome(other.prove(looping, key, inputs));
      const jobs = Array.from({ length: 5 }, () => outcome(other.prove(circuit, key, inputs, { signal })));
      const callers = Array.from({ length: 20 }, () => outcome(other.ready({ signal })));
      const untold = outcome(other.ready());
      expect([listeners(), getMaxListeners(signal)]).toEqual([1, most]);
      stop.abort();
      expect(new Set(await Promise.all([...jobs, ...callers.slice(1)]))).toEqual(new Set(["ABORTED"]));
      // the first had its turn when the first job left its place
      expect(["made", "ABORTED"]).toContain(await callers[0]);
      expect(await untold).toBe("made");
      expect(listeners()).toBe(0);
      await other.close();
      expect(await kept).toBe("POOL_CLOSED");
    });
  });

  it.each(["queued", "witness", "prove:", "verify"])(
    "stops on request at %s, and gives back what it held",
    async (at) => {
      await withPool({ concurrency: 1, threads: 1 }, async (other) => {
        const stop = new AbortController();
        const onProgress = ({ phase }: { phase: string }) => phase.startsWith(at) && stop.abort();
        expect(await outcome(other.prove(circuit, key, inputs, { signal: stop.signal, onProgress }))).toBe("ABORTED");
        const others = [1n, 2n, 3n].map((c) => outcome(other.prove(circuit, key, { ...inputs, c })));
        expect(await Promise.all(others)).toEqual(["made", "made", "made"]);
        await quiet(other);
        const { value } = idleMetrics(other);
        expect(value("anchorproof_pool_jobs_total", '{outcome="ABORTED"}')).toBe(1);
        expect(value("anchorproof_pool_jobs_total", '{outcome="proved"}')).toBe(3);
        expect(value("anchorproof_pool_worker_deaths_total")).toBe(0);
      });
    },
  );

  it("is left with nothing by jobs that stop whenever they like", async () => {
    await withPool({ concurrency: 2, threads: 2, maxQueue: 5 }, async (other) => {
      const codes = new Map<string, number>();
      const jobs = Array.from({ length: backend === "native" ? 150 : 30 }, async (_, i) => {
        await other.ready();
        const stop = new AbortController();
        // every third at random times in and after the work, some of them at once with a deadline
        if (i % 3 === 0) setTimeout(() => stop.abort(), Math.random() * 50);
        const deadline = i % 9 === 0 ? Date.now() + Math.random() * 50 : undefined;
        const options = { signal: stop.signal, deadline, priority: i % 4 };
        const code = await outcome(other.prove(circuit, key, { ...inputs, c: BigInt(i) }, options));
        if (i % 3 !== 0) expect(code).toBe("made");
        codes.set(code, (codes.get(code) ?? 0) + 1);
      });
      await Promise.all(jobs);
      await quiet(other);
      const { value } = idleMetrics(other);
      for (const [code, count] of codes) {
        const label = code === "made" ? "proved" : code;
        expect(value("anchorproof_pool_jobs_total", `{outcome="${label}"}`), code).toBe(count);
      }
      expect(await outcome(other.prove(circuit, key, inputs))).toBe("made");
    });
  });

  it("stops a job whose progress callback throws", async () => {
    for (const at of ["queued", "witness", "verify", "done"]) {
      const onProgress = ({ phase }: { phase: string }) => {
        if (phase === at) throw new Error("no more");
      };
      await expect(prove({ onProgress }), at).rejects.toThrow(expect.objectContaining({ code: "ABORTED" }));
    }
    expect(await outcome(prove())).toBe("made");
  });

  it("stops a witness generator that never ends", async () => {
    await withPool({ concurrency: 1, threads: 1 }, async (other) => {
      const endless = (options: ProveOptions) => outcome(other.prove(looping, key, inputs, options));
      const stop = new AbortController();
      const onProgress = ({ phase }: { phase: string }) => phase === "witness" && stop.abort();
      expect(await endless({ signal: stop.signal, onProgress })).toBe("ABORTED");
      expect(await endless({ deadline: Date.now() + 300 })).toBe("DEADLINE_PASSED");
      expect(await outcome(other.prove(circuit, key, inputs))).toBe("made");
      idleMetrics(other);
      // closing does, too
      const last = endless({});
      await other.close();
      expect(await last).toBe("POOL_CLOSED");
    });
  });

  it("drops jobs past their deadline", async () => {
    expect(await outcome(prove({ deadline: Date.now() - 1 }))).toBe("DEADLINE_PASSED");
    expect(await outcome(prove({ deadline: Date.now() + 600_000 }))).toBe("made");
    // further away than a timer reaches
    expect(await outcome(prove({ deadline: Date.now() + 2 ** 31 + 10_000 }))).toBe("made");
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await outcome(prove({ deadline: value }))).toBe("INPUT_INVALID");
      expect(await outcome(prove({ priority: value }))).toBe("INPUT_INVALID");
    }
  });

  it("keeps a proof that comes after its deadline, also when no timer has fired: the clock was set", async () => {
    const deadline = Date.now() + 600_000;
    const phases: string[] = [];
    const onProgress = ({ phase }: { phase: string }) => {
      phases.push(phase);
      if (phase === "verify") vi.spyOn(Date, "now").mockReturnValue(deadline);
    };
    try {
      expect(await outcome(prove({ deadline, onProgress }))).toBe("DEADLINE_PASSED");
    } finally {
      vi.restoreAllMocks();
    }
    expect(phases).toContain("verify");
    expect(phases).not.toContain("done");
    expect(await outcome(prove())).toBe("made");
  });

  it("takes the higher priority first, and the older within one", async () => {
    const begun: number[] = [];
    const onProgress = ({ job, phase }: { job: number; phase: string }) => phase === "witness" && begun.push(job);
    await withPool({ concurrency: 1, threads: 1, onProgress }, async (other) => {
      // the first finds an idle pool
      const priorities = [0, 0, -1, 5, 0, 5, undefined];
      await Promise.all(priorities.map((priority) => other.prove(circuit, key, inputs, { priority })));
      expect(begun).toEqual([1, 4, 6, 2, 5, 7, 3]);
    });
  });

  it("makes one witness ahead while the cores are taken, and no more", async () => {
    /** Six proofs on one core. @returns how many witnesses were begun before the proof before them was made */
    const round = async (other: ProverPool): Promise<number> => {
      const events: string[] = [];
      let prepared = 0;
      let most = 0;
      const jobs = [1, 2, 3, 4, 5, 6].map((job) => {
        const onProgress = ({ phase }: { phase: string }) => {
          if (phase === "witness") prepared++;
          if (phase.startsWith("prove:") && !events.includes(`${job} prove`)) prepared--;
          most = Math.max(most, prepared);
          events.push(`${job} ${phase.split(":")[0]}`);
        };
        return other.prove(circuit, key, inputs, { onProgress });
      });
      await Promise.all(jobs);
      const at = (event: string) => {
        expect(events).toContain(event);
        return events.indexOf(event);
      };
      // never two proofs at once
      for (let job = 1; job < 6; job++) expect(at(`${job} verify`)).toBeLessThan(at(`${job + 1} prove`));
      expect(most).toBeLessThanOrEqual(2);
      return [2, 3, 4, 5, 6].filter((job) => at(`${job} witness`) < at(`${job - 1} verify`)).length;
    };
    await withPool({ concurrency: 1, threads: 1 }, async (other) => {
      // Each by itself may be late, and on a busy machine all of a round: its thread competes for the cores with the proof
      // that it should not wait for. That it is asked for in time shows in grants.test.ts.
      let ahead = 0;
      for (let i = 0; i < 100 && ahead === 0; i++) ahead = await round(other);
      expect(ahead).toBeGreaterThan(0);
    });
  });

  it("has a bounded queue", async () => {
    await withPool({ concurrency: 1, maxQueue: 1 }, async (small) => {
      const codes = await Promise.all(Array.from({ length: 4 }, () => outcome(small.prove(circuit, key, inputs))));
      expect(codes).toEqual(["made", "made", "POOL_FULL", "POOL_FULL"]);
      const { value } = idleMetrics(small);
      expect(value("anchorproof_pool_jobs_total", '{outcome="POOL_FULL"}')).toBe(2);
    });
  });

  it("lets no more jobs wait than it was told, with more proofs allowed than there are cores", async () => {
    await withPool({ concurrency: 64, threads: 2, maxQueue: 1 }, async (small) => {
      const codes = await Promise.all(Array.from({ length: 6 }, () => outcome(small.prove(circuit, key, inputs))));
      expect(codes).toEqual(["made", "made", "made", "POOL_FULL", "POOL_FULL", "POOL_FULL"]);
    });
  });

  it("keeps producers at its pace", async () => {
    await withPool({ concurrency: 1, maxQueue: 1 }, async (small) => {
      let most = 0;
      const codes: Promise<string>[] = [];
      const producer = async () => {
        for (let i = 0; i < 3; i++) {
          await small.ready();
          codes.push(outcome(small.prove(circuit, key, inputs)));
          most = Math.max(most, small.queued + small.running);
        }
      };
      await Promise.all([producer(), producer(), producer()]);
      expect(await Promise.all(codes)).toEqual(Array.from({ length: 9 }, () => "made"));
      expect(most).toBe(2);
    });
  });

  it("wakes the next producer when one takes no place, and all when it closes", async () => {
    await withPool({ concurrency: 1, maxQueue: 0 }, async (small) => {
      const job = outcome(small.prove(circuit, key, inputs));
      const stop = new AbortController();
      const [gone, idler, next] = [small.ready({ signal: stop.signal }), small.ready(), small.ready()].map(outcome);
      stop.abort();
      expect(await gone).toBe("ABORTED");
      expect(await Promise.all([job, idler, next])).toEqual(["made", "made", "made"]);
      expect(await outcome(small.ready({ signal: AbortSignal.abort() }))).toBe("ABORTED");
      const last = outcome(small.prove(looping, key, inputs));
      const waiting = outcome(small.ready());
      await small.close();
      expect(await Promise.all([last, waiting, outcome(small.ready())])).toEqual([
        "POOL_CLOSED",
        "POOL_CLOSED",
        "POOL_CLOSED",
      ]);
    });
  });

  it("drains: takes nothing more, and ends what is inside", async () => {
    await withPool({ concurrency: 1 }, async (other) => {
      const inside = [1n, 2n, 3n].map((c) => outcome(other.prove(circuit, key, { ...inputs, c })));
      const drained = other.drain();
      expect(await outcome(other.prove(circuit, key, inputs))).toBe("POOL_CLOSED");
      expect(await drained).toBe(0);
      expect(await Promise.all(inside)).toEqual(["made", "made", "made"]);
      expect(await other.drain()).toBe(0);
    });
  });

  it.each([["timeoutMs"], ["signal"]])("cuts off what outlasts the drain's %s", async (limit) => {
    await withPool({ concurrency: 1 }, async (other) => {
      const inside = [looping, circuit].map((which) => outcome(other.prove(which, key, inputs)));
      const options = limit === "timeoutMs" ? { timeoutMs: 100 } : { signal: AbortSignal.abort() };
      expect(await other.drain(options)).toBe(2);
      expect(await Promise.all(inside)).toEqual(["POOL_CLOSED", "POOL_CLOSED"]);
    });
  });

  it("does not count as cut off by the drain what was stopped before", async () => {
    await withPool({ concurrency: 1 }, async (other) => {
      const stop = new AbortController();
      const onProgress = ({ phase }: { phase: string }) => phase === "witness" && stop.abort();
      const job = other.prove(looping, key, inputs, { signal: stop.signal, onProgress });
      expect(await outcome(job)).toBe("ABORTED");
      expect(other.running).toBe(1);
      expect(await other.drain({ timeoutMs: 0 })).toBe(0);
    });
  });

  it("takes nothing once closed, and says so to jobs inside", async () => {
    const closing = new ProverPool({ backend, concurrency: 1 });
    const inside = [1, 2, 3].map(() => outcome(closing.prove(circuit, key, inputs)));
    await closing.close();
    expect(await Promise.all(inside)).toEqual(["POOL_CLOSED", "POOL_CLOSED", "POOL_CLOSED"]);
    expect(await outcome(closing.prove(circuit, key, inputs))).toBe("POOL_CLOSED");
    await closing.close();
  });

  it("lives on when a worker's heap is exhausted", async () => {
    await withPool({ concurrency: 1, workerHeapMb: 64 }, async (other) => {
      const many = { ...inputs, a: Array.from({ length: 3_000_000 }, (_, i) => BigInt(i)) };
      const jobs = [other.prove(circuit, key, many), other.prove(circuit, key, inputs)].map(outcome);
      expect(await Promise.all(jobs)).toEqual(["WORKER_CRASHED", "made"]);
      expect(idleMetrics(other).value("anchorproof_pool_worker_deaths_total")).toBe(1);
    });
  });

  it("ends idle threads, and starts them again", async () => {
    await withPool({ concurrency: 1, idleMs: 0 }, async (other) => {
      expect(await outcome(other.prove(circuit, key, inputs))).toBe("made");
      while (idleMetrics(other).value("anchorproof_pool_workers") !== 0) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(await outcome(other.prove(circuit, key, inputs))).toBe("made");
    });
  });

  it("counts in metrics that only grow", async () => {
    await withPool({ concurrency: 2 }, async (other) => {
      let before = new Map<string, number>();
      for (let round = 0; round < 3; round++) {
        await Promise.all([
          other.prove(circuit, key, inputs),
          outcome(other.prove(circuit, key, { ...inputs, d: 1n })),
          other.prove(circuit, key, inputs),
        ]);
        const { families, value } = idleMetrics(other);
        expect(value("anchorproof_pool_proofs_total", `{backend="${backend}"}`)).toBe(2 * (round + 1));
        expect(value("anchorproof_pool_jobs_total", '{outcome="WITNESS_INVALID"}')).toBe(round + 1);
        for (const phase of ["queue", "witness", "cores", "key", "prove", "verify"]) {
          expect(value("anchorproof_pool_phase_seconds", `_count{phase="${phase}"}`), phase).toBe(2 * (round + 1));
        }
        // one family a level: its parts are not counted beside the phase
        for (const label of families.get("anchorproof_pool_phase_seconds")!.samples.keys()) {
          expect(label).not.toContain("prove:");
        }
        if (backend === "native") {
          const parts = [...families.get("anchorproof_pool_prove_phase_seconds")!.samples];
          const counts = parts.filter(([label]) => label.startsWith("_count"));
          expect(counts.length).toBeGreaterThan(1);
          for (const [label, count] of counts) expect(count, label).toBe(2 * (round + 1));
        }
        const after = new Map<string, number>();
        for (const [name, { type, samples }] of families) {
          if (type !== "gauge") for (const [labels, count] of samples) after.set(name + labels, count);
        }
        for (const [name, count] of before) expect(after.get(name), name).toBeGreaterThanOrEqual(count);
        before = after;
      }
    });
  });
});

describe.runIf(nativeCore())("the native pool with a large key", () => {
  const pool = new ProverPool({ threads: 2, concurrency: 2 });
  let prove: (options?: ProveOptions) => ReturnType<ProverPool["prove"]>;

  beforeAll(async () => {
    const source = `pragma circom 2.2.3;
template Squares(n) {
    signal input x;
    signal output out;
    signal s[n + 1];
    s[0] <== x;
    for (var i = 0; i < n; i++) { s[i + 1] <== s[i] * s[i] + i; }
    out <== s[n];
}
component main = Squares(8000);
`;
    const squares = await compileCircuit({ name: "squares", source });
    const squaresKey = await developmentKey(squares);
    expect((await stat(squaresKey.zkeyPath)).size).toBeGreaterThan(SMALL_KEY_BYTES);
    prove = (options) => pool.prove(squares, squaresKey, { x: 3n }, options);
  });

  afterAll(() => pool.close());

  it("proves one on all cores, and several on one each", async () => {
    expect((await prove()).threads).toBe(2);
    const several = await Promise.all([prove(), prove(), prove(), prove()]);
    // The last one may find all others done.
    const cores = several.map(({ threads }) => threads).sort();
    expect(cores.slice(0, 3)).toEqual([1, 1, 1]);
    for (const { timings } of several) {
      const parts = timings.phases.reduce((sum, { ms }) => sum + ms, 0);
      expect(parts).toBeGreaterThan(0);
      expect(parts).toBeLessThanOrEqual(timings.proveMs);
    }
  });

  it("stops amid any phase of the proof, and keeps the worker", async ({ signal: late }) => {
    const { timings } = await prove();
    const workers = () => /^anchorproof_pool_workers (\d+)$/m.exec(pool.metrics())![1];
    const before = workers();
    // Nobody kills a worker that is only slow to stop, as it is where cores are few.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      for (const { name } of timings.phases) {
        const stop = new AbortController();
        const onProgress = ({ phase }: { phase: string }) => phase === `prove:${name}` && stop.abort();
        expect(await outcome(prove({ signal: stop.signal, onProgress })), name).toBe("ABORTED");
        while (pool.running > 0 && !late.aborted) await new Promise(setImmediate);
        expect(workers()).toBe(before);
      }
    } finally {
      vi.useRealTimers();
    }
    expect((await prove()).threads).toBe(2);
  });
});

it.runIf(nativeCore())("workers find what the pool has found, whatever the environment says later", async () => {
  const pool = new ProverPool({ concurrency: 1 });
  expect(pool.backend).toBe("native");
  vi.stubEnv("ANCHORPROOF_NATIVE", "off");
  try {
    expect(await outcome(pool.prove(circuit, key, inputs))).toBe("made");
  } finally {
    vi.unstubAllEnvs();
    await pool.close();
  }
});

describe("the pool's options", () => {
  it.each([
    [{ concurrency: 0 }],
    [{ concurrency: 1.5 }],
    [{ concurrency: 257 }],
    [{ threads: 0 }],
    [{ maxQueue: -1 }],
    [{ maxKeys: 0 }],
    [{ idleMs: -1 }],
    [{ workerHeapMb: 0 }],
    [{ backend: "metal" as never }],
    [{ devices: [] }],
    [{ devices: [0, 0] }],
    [{ devices: [-1] }],
    [{ devices: "0" as never }],
    [{ proofsPerDevice: 0 }],
    [{ onNotice: "print" as never }],
    [{ preparedKeys: 5 as never }],
    [{ preparedKeys: "" }],
    [{ onProgress: "print" as never }],
    [null as never],
  ])("refuses %j", (options) => {
    expect(() => new ProverPool(options)).toThrow(expect.objectContaining({ code: "INPUT_INVALID" }));
  });

  it("refuses a drain that is not a number of milliseconds", async () => {
    const pool = new ProverPool();
    expect(await outcome(pool.drain({ timeoutMs: Number.NaN }))).toBe("INPUT_INVALID");
    await pool.close();
  });
});
