/** Sets of proofs as they are made: in parallel, through a journal, with small circuits. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CircuitKey, developmentKey } from "../../src/circuit/setup.js";
import { ArtefactStore } from "../../src/circuit/store.js";
import { buildProgram } from "../../src/circuit/synthesis/program.js";
import { datasetProgram } from "../../src/dataset/circuit/index.js";
import type { Claim } from "../../src/dataset/claims.js";
import { AT, CHUNK_RECORDS } from "../../src/dataset/layout.js";
import { proofSetFromJson, verifyProofSet } from "../../src/dataset/proofSet.js";
import { nativeCore } from "../../src/field/native.js";
import { ProverPool } from "../../src/prover/pool.js";
import { journalTask, type ProveClaimOptions, proveClaim, type SetProgress } from "../../src/prover/proofSets.js";
import { DOMAIN, TASK } from "../dataset/proofSetFixture.js";
import { smallDataset } from "../dataset/smallDataset.js";
import { code } from "../support/errors.js";
import { CHUNK, CLAIM, dataset, keyOf, LABELS, SPEC } from "./proveSet.js";

/** The kind of the dataset's records. */
const TEXT = dataset.descriptions(0, 1)[0]![AT.kind]!;

let directory: string;
let pool: ProverPool;
let count = 0;
/** Options for a run of its own. */
function run(of: Partial<ProveClaimOptions> = {}): ProveClaimOptions {
  const name = `run-${++count}`;
  return {
    dataset,
    claim: CLAIM,
    pool,
    keyOf,
    domain: DOMAIN,
    task: TASK,
    out: join(directory, `${name}.json`),
    journal: join(directory, `${name}.journal`),
    sizes: { records: CHUNK },
    ...of,
  };
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
const read = async (path: string) => proofSetFromJson(JSON.parse(await readFile(path, "utf8")));

/** Runs until so many proofs are made, then stops. */
async function stopAfter(proofs: number, options: ProveClaimOptions): Promise<void> {
  const stop = new AbortController();
  const onProgress = ({ phase, done }: SetProgress) => {
    if (phase === "proving" && done >= proofs) stop.abort();
  };
  await expect(proveClaim({ ...options, signal: stop.signal, onProgress })).rejects.toThrow(code("ABORTED"));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-sets-"));
  pool = new ProverPool({ concurrency: 1, threads: 1 });
});

afterAll(async () => {
  await pool.close();
  await rm(directory, { recursive: true, force: true });
});

describe("proving a claim about a whole dataset", () => {
  it("makes one verified file, and leaves no journal", async () => {
    const progress: SetProgress[] = [];
    const options = run({ onProgress: (event) => void progress.push({ ...event }) });
    const { verified, rows, resumed } = await proveClaim(options);
    expect(verified).toMatchObject({ root: dataset.commitment.root, segments: 3, result: { counts: [3, 2] } });
    expect(resumed).toBe(0);
    expect(rows).toBeGreaterThan(3000);
    const set = await read(options.out);
    const trust = [{ type: "datasetLabels" as const, keyDigest: verified.keys[0]!.keyDigest }];
    expect(verifyProofSet(set, { trust, root: dataset.commitment.root, claim: CLAIM, task: TASK }).segments).toBe(3);
    expect(await exists(options.journal!)).toBe(false);

    expect([...new Set(progress.map(({ phase }) => phase))]).toEqual(["planning", "keys", "proving", "verifying"]);
    const proving = progress.filter(({ phase }) => phase === "proving");
    expect(proving.map(({ done }) => done)).toEqual([0, 1, 2, 3]);
    expect(proving.map(({ rows: done }) => done)).toEqual([0, 1, 2, 3].map((n) => (n * rows) / 3));
    expect(proving[0]!.etaMs).toBeUndefined();
    expect(proving[1]!.etaMs).toBeGreaterThan(0);
    expect(proving[3]!.etaMs).toBe(0);
  });

  // Circuits for contents take chunks of any size, but the verifier counts those of the size that ships.
  const whole = smallDataset(
    LABELS.map((label, i) => ({ data: `record ${i}`, label })),
    CHUNK_RECORDS,
  );
  it.each<[Claim, Partial<ProveClaimOptions>, number]>([
    [{ type: "integrity" }, { dataset: whole, sizes: { steps: [4] } }, 3],
    [{ type: "bytes", kind: TEXT, min: 32, max: 127 }, { dataset: whole, sizes: { steps: [4] } }, 3],
    [{ type: "distinct" }, { sizes: { records: CHUNK, steps: [1] } }, 4],
  ])("shows the claim %#, over all segments", async (claim, of, segments) => {
    const options = run({ claim, ...of });
    const { verified } = await proveClaim(options);
    expect(verified).toMatchObject({ claim, segments, result: { records: 5 } });
    const set = await read(options.out);
    const trust = verified.keys.map(({ type, keyDigest }) => ({ type, keyDigest }));
    expect(verifyProofSet(set, { trust }).proven).toEqual(verified.proven);
    // Challenges are bound to the task as contexts are.
    const elsewhere = { ...set, task: { ...TASK, nonce: 8n } };
    expect(() => verifyProofSet(elsewhere, { trust })).toThrow(code("PROOF_INVALID"));
  });

  it("draws other salts each time", async () => {
    const [one, two] = [run(), run()];
    await proveClaim(one);
    await proveClaim(two);
    const [first, second] = [await read(one.out), await read(two.out)];
    expect(first.segments[0]!.before).toBe(second.segments[0]!.before);
    for (const i of [0, 1, 2]) expect(first.segments[i]!.after).not.toBe(second.segments[i]!.after);
    // So no proof of one stands in the other.
    const mixed = { ...first, segments: [first.segments[0]!, second.segments[1]!, first.segments[2]!] };
    const { keyDigest } = await keyOf(SPEC);
    expect(() => verifyProofSet(mixed, { trust: [{ type: "datasetLabels", keyDigest }] })).toThrow(
      /segment 2 of 3 does not start/,
    );
  });

  it.runIf(nativeCore())("works without the native core", async () => {
    const slow = new ProverPool({ backend: "snarkjs", concurrency: 1 });
    try {
      const { verified } = await proveClaim(run({ pool: slow, dataset: smallDataset([{ label: "spam" }], CHUNK) }));
      expect(verified).toMatchObject({ segments: 1, result: { counts: [0, 1] } });
    } finally {
      await slow.close();
    }
  });

  it("refuses a claim that does not hold, or makes no sense, before anything is proven", async () => {
    const options = run({ claim: { ...CLAIM, labels: ["ham"] } });
    await expect(proveClaim(options)).rejects.toThrow(code("CLAIM_FALSE"));
    await expect(proveClaim(run({ claim: { ...CLAIM, labels: [] } }))).rejects.toThrow(code("CLAIM_INVALID"));
    expect(await exists(options.out)).toBe(false);
  });

  it("fails as the pool and the keys do, and keeps what it has", async () => {
    const closed = new ProverPool({ concurrency: 1 });
    await closed.close();
    await expect(proveClaim(run({ pool: closed }))).rejects.toThrow(code("POOL_CLOSED"));
    const other = await keyOf({ kind: "chunk", records: CHUNK, depth: 2 });
    const wrongKey = run({ keyOf: async () => other });
    await expect(proveClaim(wrongKey)).rejects.toThrow();
    expect(await exists(wrongKey.journal!)).toBe(true);
    expect(await exists(wrongKey.out)).toBe(false);
  });
});

describe("a run that was stopped", () => {
  it("goes on with the proofs that it had, and with its salts", async () => {
    const options = run();
    await stopAfter(1, options);
    expect(await exists(options.out)).toBe(false);
    expect(await journalTask(options.journal!)).toMatchObject({ domain: DOMAIN, task: TASK });
    const kept = (await readdir(options.journal!)).filter((name) => name.startsWith("segment-"));
    expect(kept.length).toBeGreaterThan(0);
    const { resumed, verified } = await proveClaim(options);
    expect(resumed).toBe(kept.length);
    expect(verified.segments).toBe(3);
    expect(await exists(options.journal!)).toBe(false);
  });

  it("by kill -9 goes on as well", async () => {
    const options = run();
    const script = fileURLToPath(new URL("./proveSet.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", script, options.out, options.journal!], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "close");
    // It says when a proof is done, and goes no further.
    child.stdout.once("data", () => child.kill("SIGKILL"));
    expect((await ended)[1]).toBe("SIGKILL");
    expect(await exists(options.out)).toBe(false);
    const { resumed, verified } = await proveClaim(options);
    expect(resumed).toBeGreaterThan(0);
    expect(verified).toMatchObject({ segments: 3, result: { counts: [3, 2] } });
    expect(await exists(options.journal!)).toBe(false);
  });

  it("keeps its secret from others", async () => {
    const options = run();
    await stopAfter(1, options);
    expect((await stat(options.journal!)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(options.journal!)) {
      expect((await stat(join(options.journal!, name))).mode & 0o777).toBe(0o600);
    }
  });

  it("makes proofs again that are damaged or of another place", async () => {
    const options = run();
    await stopAfter(2, options);
    const [one, two] = (await readdir(options.journal!)).filter((name) => name.startsWith("segment-")).sort();
    const path = (name: string) => join(options.journal!, name);
    await writeFile(path(one!), await readFile(path(two!)));
    await writeFile(path(two!), "{");
    const { resumed, verified } = await proveClaim(options);
    expect(resumed).toBeLessThanOrEqual(1);
    expect(verified.segments).toBe(3);
  });

  it("goes on for nothing else, but starts anew when told to", async () => {
    const options = run();
    await stopAfter(1, options);
    const others: Partial<ProveClaimOptions>[] = [
      { task: { ...TASK, nonce: 8n } },
      { domain: { ...DOMAIN, chainId: 1n } },
      { claim: { ...CLAIM, counts: false } },
      {
        dataset: smallDataset(
          LABELS.map((label) => ({ label })),
          CHUNK,
        ),
      },
      { keyOf: () => developmentKeyAgain() },
    ];
    for (const other of others) {
      await expect(proveClaim({ ...options, ...other })).rejects.toThrow(code("INPUT_INVALID"));
    }
    const { resumed, set } = await proveClaim({ ...options, ...others[0], restart: true });
    expect(resumed).toBe(0);
    expect(set.task.nonce).toBe(8n);
  });

  it("never deletes what is no journal", async () => {
    const options = run();
    await mkdir(options.journal!);
    await writeFile(join(options.journal!, "thesis.txt"), "all of it");
    for (const restart of [false, true]) {
      await expect(proveClaim({ ...options, restart })).rejects.toThrow(code("INPUT_INVALID"));
    }
    await writeFile(join(options.journal!, "journal.json"), "{}");
    await expect(proveClaim({ ...options, restart: true })).rejects.toThrow(code("INPUT_INVALID"));
    expect(await readFile(join(options.journal!, "thesis.txt"), "utf8")).toBe("all of it");
  });

  it.skipIf(process.getuid?.() !== 0)("takes no secret that another user has left there", async () => {
    const options = run();
    await stopAfter(1, options);
    await chown(options.journal!, 65_534, 65_534);
    await expect(proveClaim(options)).rejects.toThrow(/is another user's/);
    await expect(journalTask(options.journal!)).rejects.toThrow(code("INPUT_INVALID"));
    expect((await proveClaim({ ...options, restart: true })).resumed).toBe(0);
  });

  it("whose journal is damaged says so", async () => {
    const options = run();
    await stopAfter(1, options);
    for (const content of ["", "{", "{}", "[]"]) {
      await writeFile(join(options.journal!, "journal.json"), content);
      await expect(proveClaim(options)).rejects.toThrow(/journal\.json/);
      await expect(journalTask(options.journal!)).rejects.toThrow(/journal\.json/);
    }
    expect((await proveClaim({ ...options, restart: true })).resumed).toBe(0);
  });
});

/** Another key of the same circuit. */
async function developmentKeyAgain(): Promise<CircuitKey> {
  const circuit = await buildProgram(datasetProgram(SPEC));
  return developmentKey(circuit, { store: new ArtefactStore(join(directory, "store")) });
}
