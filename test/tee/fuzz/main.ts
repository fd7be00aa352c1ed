/**
 * npm run fuzz:tee -- [--family NAME,…] [--runs N] [--stride N] [--phases NAME,…] [--shard I/N] [--state FILE] [--seed TEXT]
 *
 * Every truncation and every bit of each family's evidence, a sample of those of its collateral, the changes that
 * `mutations.json` names, and N random ones (1000 unless told otherwise) that know what DER, CBOR, JSON and XML are made of.
 * With a state file, a run that was stopped goes on where it was, and one that is told a higher number does the rest.
 * What failed is written to `out/fuzz-tee`. Exits with 1 if anything did.
 *
 * @module
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { PACKAGE_ROOT } from "../../../src/paths.js";
import { formatCount } from "../../../src/text.js";
import { VECTORS } from "../vectors.js";
import { ALARM_MS, emptyTally, type Failure, PHASES, type Phase, type Plan, type Tally } from "./engine.js";
import { FAMILIES } from "./families/index.js";
import type { Job, Message } from "./worker.js";

/** A case that has not returned by then never will. */
const HANG_MS = 15 * ALARM_MS;

/** Ends a family that does nothing but fail. */
const MAX_FAILURES = 50;

/** Node 20 does not hand its loaders to threads, which therefore register tsx for themselves. */
const BOOT = `import(${JSON.stringify(import.meta.resolve("tsx/esm/api"))})
  .then(({ register }) => register())
  .then(() => import(${JSON.stringify(import.meta.resolve("./worker.ts"))}));`;

const OUT = join(PACKAGE_ROOT, "out", "fuzz-tee");

interface FamilyState {
  next: Record<Phase, number>;
  tally: Tally;
}

interface State {
  /** A state is of one run: what makes its numbers mean something. */
  run: { seed: string; shard: string; stride: number };
  families: Record<string, FamilyState>;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      family: { type: "string" },
      runs: { type: "string", default: "1000" },
      stride: { type: "string", default: "1" },
      phases: { type: "string", default: PHASES.join(",") },
      shard: { type: "string", default: "0/1" },
      state: { type: "string" },
      seed: { type: "string", default: "1" },
    },
  });
  const names = values.family?.split(",") ?? FAMILIES.map(({ name }) => name);
  const unknown = names.find((name) => !FAMILIES.some((family) => family.name === name));
  if (unknown !== undefined) return usage(`no family ${unknown}: ${FAMILIES.map(({ name }) => name).join(", ")}`);
  const phases = values.phases.split(",") as Phase[];
  const strange = phases.find((phase) => !PHASES.includes(phase));
  if (strange !== undefined) return usage(`no phase ${strange}: ${PHASES.join(", ")}`);
  const [index, of] = values.shard.split("/").map(Number) as [number, number];
  if (!(Number.isInteger(index) && Number.isInteger(of) && index >= 0 && index < of))
    return usage("--shard is I/N, I from 0");
  const [runs, stride] = [Number(values.runs), Number(values.stride)];
  if (!(Number.isInteger(runs) && runs >= 0 && Number.isInteger(stride) && stride > 0))
    return usage("not a number of runs");
  if (VECTORS === undefined) console.warn("without real evidence, only what the laboratory makes is tried");

  const plan: Plan = { seed: values.seed, shard: { index, of }, runs, stride };
  const state = readState(values.state, { seed: values.seed, shard: values.shard, stride });
  for (const name of names) {
    const start = Date.now();
    const before = total(state.families[name]?.tally);
    await runFamily(name, plan, phases, state, () => writeState(values.state, state));
    const did = total(state.families[name]!.tally) - before;
    console.error(`${name}: ${formatCount(did)} cases in ${Math.round((Date.now() - start) / 1000)} s`);
  }
  report(names, state);
  return names.some((name) => state.families[name]!.tally.failures.length > 0) ? 1 : 0;
}

function usage(text: string): number {
  console.error(`fuzz:tee: ${text}`);
  return 2;
}

function total(tally: Tally | undefined): number {
  return tally ? PHASES.reduce((sum, phase) => sum + tally.cases[phase], 0) : 0;
}

function readState(path: string | undefined, run: State["run"]): State {
  if (path === undefined || !existsSync(path)) return { run, families: {} };
  const state = JSON.parse(readFileSync(path, "utf8")) as State;
  if (JSON.stringify(state.run) !== JSON.stringify(run)) {
    throw new Error(`${path} is of another run: ${JSON.stringify(state.run)}`);
  }
  return state;
}

function writeState(path: string | undefined, state: State): void {
  if (path === undefined) return;
  writeFileSync(`${path}.part`, JSON.stringify(state, null, 1));
  renameSync(`${path}.part`, path);
}

/** Starts a thread for what is left of a family, and another one after a case that hangs. */
async function runFamily(
  name: string,
  plan: Plan,
  phases: readonly Phase[],
  state: State,
  save: () => void,
): Promise<void> {
  state.families[name] ??= { next: { truncations: 0, flips: 0, named: 0, random: 0 }, tally: emptyTally() };
  const own = state.families[name];
  for (let hung = true; hung; ) {
    hung = await runThread({ family: name, plan, phases, ...structuredClone(own), clock: clock() }, (message) => {
      if (message.type === "sizes") return;
      own.next = message.next;
      own.tally = message.tally;
      save();
      progress(name, message);
    });
    const { failures } = own.tally;
    writeFailures(name, failures);
    if (hung) {
      const { phase, index } = failures.at(-1)!;
      own.next[phase] = index + 1;
      save();
    }
    if (failures.length >= MAX_FAILURES) return;
  }
}

function clock(): BigInt64Array<SharedArrayBuffer> {
  return new BigInt64Array(new SharedArrayBuffer(24));
}

/** Resolves to whether a case hung, which is then the last failure of the tally last given. */
function runThread(job: Job, tell: (message: Message) => void): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let tally = job.tally;
    let next = job.next;
    const worker = new Worker(BOOT, { eval: true, workerData: job });
    const watch = setInterval(() => {
      const since = Number(Atomics.load(job.clock, 0));
      if (since === 0 || Date.now() - since < HANG_MS) return;
      clearInterval(watch);
      const phase = PHASES[Number(Atomics.load(job.clock, 1))]!;
      const index = Number(Atomics.load(job.clock, 2));
      tally.failures.push({ phase, index, base: "", what: "", reason: `did not return in ${HANG_MS} ms`, parts: {} });
      tell({ type: "checkpoint", next, tally });
      void worker.terminate().then(() => resolve(true));
    }, 500);
    worker.on("message", (message: Message) => {
      tell(message);
      if (message.type === "sizes") return;
      ({ tally, next } = message);
      const enough = tally.failures.length >= MAX_FAILURES;
      if (message.type === "checkpoint" && !enough) return;
      clearInterval(watch);
      void worker.terminate().then(() => resolve(false));
    });
    worker.on("error", (error) => {
      clearInterval(watch);
      reject(error);
    });
  });
}

function progress(name: string, { next }: Extract<Message, { next: unknown }>): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\x1b[K${name}: ${PHASES.map((phase) => `${phase} ${formatCount(next[phase])}`).join(", ")}`);
}

/** Each by itself, so that it can be looked at and sent on. */
function writeFailures(name: string, failures: readonly Failure[]): void {
  if (failures.length === 0) return;
  mkdirSync(OUT, { recursive: true });
  for (const failure of failures) {
    writeFileSync(join(OUT, `${name}-${failure.phase}-${failure.index}.json`), JSON.stringify(failure, null, 1));
  }
}

function report(names: readonly string[], state: State): void {
  const rows = names.map((name) => {
    const { cases, excused, failures, slowest } = state.families[name]!.tally;
    const accepted = Object.values(excused).reduce((sum, each) => sum + each, 0);
    return [
      name,
      ...PHASES.map((phase) => formatCount(cases[phase])),
      formatCount(accepted),
      `${slowest.ms.toFixed(0)} ms (${slowest.phase} ${slowest.index})`,
      formatCount(failures.length),
    ];
  });
  const head = ["family", ...PHASES, "accepted with reason", "slowest", "failures"];
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  for (const row of [head, ...rows]) {
    console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "));
  }
  for (const name of names) {
    const { excused, failures } = state.families[name]!.tally;
    for (const [reason, count] of Object.entries(excused)) console.log(`${name}: ${formatCount(count)} × ${reason}`);
    for (const { phase, index, base, what, reason } of failures) {
      console.log(`${name}: FAILED ${phase} ${index} (${base}: ${what}): ${reason}`);
    }
  }
}

process.exitCode = await main();
