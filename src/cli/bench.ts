import { spawnSync } from "node:child_process";
import { access, mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { basename, join } from "node:path";
import { KINDS, type Kind, MAX_SIZE, MIN_SIZE } from "../bench/circuits.js";
import type { ExternalProver, Results, Settings } from "../bench/contest.js";
import { datasetLadder } from "../bench/dataset.js";
import { datasetProofLadder } from "../bench/datasetProofs.js";
import type { GasSnapshot } from "../bench/gas.js";
import { inferenceLadder } from "../bench/inference.js";
import { fieldLadder, msmLadder, nttLadder, poseidonLadder } from "../bench/kernels.js";
import { BENCH_MODELS } from "../bench/models.js";
import { onCores } from "../bench/processes.js";
import { batchLadder, proveLadder, verifyLadder } from "../bench/proving.js";
import { gasTable, html, inferenceTable, preparationLine, type Report, table } from "../bench/report.js";
import { setupLadder } from "../bench/setup.js";
import { teeLadder } from "../bench/tee.js";
import { poolLadder } from "../bench/throughput.js";
import { AnchorError } from "../errors.js";
import { cudaStatus, nativeStatus } from "../field/native.js";
import { PACKAGE_ROOT } from "../paths.js";
import { type Command, integer, optional, pretty, readJson, type Values, writeWhole } from "./command.js";
import { cardTitle } from "./native.js";
import { Terminal } from "./terminal.js";

type Ladder = (settings: Settings, results: Results) => Promise<void>;

const LADDERS: Record<string, Ladder> = {
  field: fieldLadder,
  msm: msmLadder,
  ntt: nttLadder,
  poseidon: poseidonLadder,
  dataset: datasetLadder,
  "dataset-proofs": datasetProofLadder,
  prove: proveLadder,
  verify: verifyLadder,
  batch: batchLadder,
  pool: poolLadder,
  setup: setupLadder,
  inference: inferenceLadder,
  tee: teeLadder,
  // With a compiler and a chain's library, which take longer to load than all others.
  gas: async (settings, results) => (await import("../bench/gas.js")).gasLadder(settings, results),
};

/** The ladders whose sizes are those of circuits. */
const OF_CIRCUITS = ["prove", "pool", "setup", "all"];
/** snarkjs takes half a minute a step there. */
const SNARKJS_SIZE = 14;
/** Gas of the last release, exactly. */
const GAS_SNAPSHOT = join(PACKAGE_ROOT, "verifier-contracts", "snapshots", "gas.json");
const EXTERNAL = "ANCHORPROOF_BENCH_PROVER";

export const benchCommand: Command = {
  name: "bench",
  summary:
    "measure this machine: arithmetic, proving, verifying, the pool and setups, beside snarkjs and other provers",
  help: `
  LADDER             ${Object.keys(LADDERS).join(", ")} or all [all; pool with --proofs]
  --sizes LIST       powers of two for prove, pool, setup (rows), msm, ntt (elements), poseidon,
                     dataset, dataset-proofs (bytes): 14,17
  --kinds LIST       circuits: poseidon (dense witness), sha256 (witness of bits), inference (a model of int8 weights)
                     [the first two; all in setup]
  --threads N        cores for every implementation [all]
  --runs N           rounds; their order rotates [5]
  --proofs N         proofs through the pool, for each circuit [32]
  --concurrency N    proofs at a time in the pool [one a thread]
  --models LIST      models for inference: ${BENCH_MODELS.map(({ name }) => name).join(", ")} [all]
  --backend NAME     cuda: a GPU takes part in prove, msm, ntt and pool, beside the others [native]
  --device N         the GPU, as \`anchorproof native status\` counts them [0]
  --phases           with cuda: also what it does when, by its own clock, with the bytes that move through its memory and the
                     multiplications
  --snarkjs N        largest size, as a power of two, that snarkjs makes keys at in setup, and proves at in inference; 0 for
                     none [14]
  --check            in gas: fail if a number is not that of verifier-contracts/snapshots/gas.json, or above its bar
  --update           in gas: write that file, and show what changed
  --json             print the report with all samples as JSON, and nothing else
  --out FILE         write that JSON
  --html FILE        write it as a page with plots

Other provers take part in prove by ${EXTERNAL}="NAME=COMMAND", several separated by ";". COMMAND is split at
blanks and called with ZKEY WTNS PROOF.json PUBLIC.json. Cold means a new process that reads the key from disk, warm one
that has it loaded. Every timed proof is verified, outside the timed part; one that fails ends the run.
dataset commits to generated files: a text as one record, its lines, the rows of a table; in a new process each, to disk.
dataset-proofs proves claims about records of a kilobyte, from the committed dataset to the verified set.
setup times, each in a new process: importing powers of tau, what keys are made from (basis), development keys, initial
keys, contributions and verification; "prepared" is from powers with Lagrange forms. Keys must be the same bytes, or be
verified by the other side.
inference takes each model from its ONNX file to a verified proof: import with the data at hand (Fashion-MNIST and mails where
they are installed, else noise), rows, key, witness, proof; beside what circomlib-ml's circuits would take, which have all
weights as signals (formulas in src/bench/peers.ts).
tee verifies attestation evidence, recorded where $ANCHORPROOF_TEE_VECTORS has it, beside dcap-qvl where that is installed.
gas sends transactions to a chain of its own (anvil, Osaka's rules), with simulated proofs; the same numbers every time. Beside
it snarkjs' own verifier contract, where snarkjs is installed.
Keys are development keys; they and the circuits are kept, and the first run makes them (2^17: a minute, 2^20: many).
`,
  options: {
    sizes: { type: "string" },
    kinds: { type: "string" },
    threads: { type: "string" },
    runs: { type: "string" },
    proofs: { type: "string" },
    concurrency: { type: "string" },
    models: { type: "string" },
    backend: { type: "string" },
    device: { type: "string" },
    phases: { type: "boolean" },
    snarkjs: { type: "string" },
    check: { type: "boolean" },
    update: { type: "boolean" },
    json: { type: "boolean" },
    out: { type: "string" },
    html: { type: "string" },
  },
  positionals: ["LADDER"],
  async run({ values, positionals, terminal, signal }) {
    const ladder = positionals[0] ?? (values["proofs"] === undefined ? "all" : "pool");
    const names = ladder === "all" ? Object.keys(LADDERS) : [ladder];
    if (!Object.hasOwn(LADDERS, names[0]!)) {
      throw new AnchorError("USAGE", `unknown ladder "${ladder}"; there are: ${Object.keys(LADDERS).join(", ")}, all`);
    }
    const [check, update] = [values["check"] === true, values["update"] === true];
    if ((check || update) && ladder !== "gas") throw new AnchorError("USAGE", "--check and --update go with gas");
    if (check && update) throw new AnchorError("USAGE", "name one: --check or --update");
    const threads = integer(values, "threads", 1, availableParallelism(), availableParallelism());
    onCores(threads, []); // whether that can be had is known now, not after an hour
    const onCuda = backendOf(values) === "cuda";
    if (!onCuda && (values["device"] !== undefined || values["phases"] === true)) {
      throw new AnchorError("USAGE", "--device and --phases go with --backend cuda");
    }
    const device = integer(values, "device", 0, 255, 0);
    const screen = values["json"] ? new Terminal(process.stderr) : terminal;
    const status = nativeStatus();
    const cuda = onCuda ? cudaStatus() : undefined;
    const card = cuda?.available ? cuda.cards[device] : undefined;
    if (cuda?.available && !card) {
      throw new AnchorError("USAGE", `--device takes a number below ${cuda.cards.length} (anchorproof native status)`);
    }
    const report: Report = {
      format: "anchorproof/bench@1",
      date: new Date().toISOString(),
      commit: commit(),
      version: (JSON.parse(await readFile(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }).version,
      cpu: cpus()[0]?.model ?? "unknown",
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      node: process.version,
      native: status.available ? `${status.engine} (${status.compiler})` : status.reason,
      ...(cuda && { cuda: card ? cardTitle(card) : cuda.available ? "" : cuda.reason }),
      threads,
      runs: integer(values, "runs", 1, 1000, 5),
      notes: [],
      preparations: [],
      rows: [],
    };
    const settings: Settings = {
      sizes: sizesOf(values, ladder),
      kinds: kindsOf(values),
      threads,
      runs: report.runs,
      proofs: integer(values, "proofs", 1, 1_000_000, 32),
      concurrency: values["concurrency"] === undefined ? undefined : integer(values, "concurrency", 1, 256, 1),
      models: modelsOf(values),
      externals: externals(process.env[EXTERNAL]),
      snarkjsSize: integer(values, "snarkjs", 0, MAX_SIZE, SNARKJS_SIZE),
      native: status.available,
      ...(cuda?.available && card && { cuda: { library: cuda.library, device, name: card.name } }),
      phases: values["phases"] === true,
      // A snapshot is of what is ours.
      peers: !check && !update,
      folder: await mkdtemp(join(tmpdir(), "anchorproof-bench-")),
      signal,
      onStep: (step, done) => (done === undefined ? screen.busy(step) : screen.progress(step, done)),
    };
    const results: Results = {
      rows: (rows) => {
        report.rows.push(...rows);
        for (const line of table(rows)) screen.line(line);
      },
      preparation: (preparation) => {
        report.preparations.push(preparation);
        screen.line(preparationLine(preparation));
      },
      inference: (summaries) => {
        report.inference = summaries;
        for (const line of inferenceTable(summaries)) screen.line(line);
      },
      gas: (rows) => {
        report.gas = rows;
        for (const line of gasTable(rows)) screen.line(line);
      },
      note: (note) => {
        report.notes.push(note);
        screen.line(note);
      },
    };
    try {
      screen.line(
        `${report.cpu}, ${threads} of ${report.cores} cores, node ${report.node}, native core: ${report.native}`,
      );
      if (card) screen.line(`GPU: ${report.cuda}`);
      if (cuda?.available && cuda.emulated) results.note("the host emulates the GPU: its times say nothing about any");
      else if (cuda && !card) results.note(`${report.cuda}; the CPU is measured alone`);
      for (const name of names) await LADDERS[name]!(settings, results);
    } finally {
      await rm(settings.folder, { recursive: true, force: true });
    }
    if (check || update) await holdGas(report, update, screen);
    if (values["json"]) terminal.line(pretty(report).trimEnd());
    const [out, page] = [optional(values, "out"), optional(values, "html")];
    if (out !== undefined) await writeWhole(out, pretty(report));
    if (page !== undefined) await writeWhole(page, html(report));
  },
};

/** Compares with the snapshot, or replaces it; the status is 1 where something is not as it must be. */
async function holdGas(report: Report, update: boolean, screen: Terminal): Promise<void> {
  const rows = report.gas ?? [];
  const missing = await access(GAS_SNAPSHOT).then(
    () => false,
    () => true,
  );
  const before = update && missing ? {} : ((await readJson(GAS_SNAPSHOT)) as GasSnapshot);
  const { aboveBars, compareGas, snapshotOf } = await import("../bench/gas.js");
  const changes = compareGas(before, snapshotOf(rows));
  const problems = [...(update ? [] : changes), ...aboveBars(rows)];
  if (update) {
    await writeWhole(GAS_SNAPSHOT, pretty(snapshotOf(rows)));
    for (const line of changes) screen.line(`updated ${line}`);
  }
  for (const line of problems) screen.line(`FAIL ${line}`);
  screen.line(
    problems.length === 0 ? `gas: ${rows.length} numbers, all as they must be` : `gas: ${problems.length} problems`,
  );
  if (problems.length > 0) process.exitCode = 1;
}

/** @throws USAGE */
function backendOf(values: Values): "cuda" | "native" {
  const name = optional(values, "backend") ?? "native";
  if (name !== "cuda" && name !== "native") throw new AnchorError("USAGE", "--backend takes cuda or native");
  return name;
}

/** @throws USAGE */
function sizesOf(values: Values, ladder: string): number[] | undefined {
  const text = optional(values, "sizes");
  if (text === undefined) return undefined;
  const [min, max] = OF_CIRCUITS.includes(ladder)
    ? [MIN_SIZE, MAX_SIZE]
    : ladder.startsWith("dataset")
      ? [10, 32]
      : [1, 24];
  const sizes = text.split(",").map((item) => (/^\d{1,2}$/.test(item) ? Number(item) : Number.NaN));
  if (!sizes.every((size) => size >= min && size <= max)) {
    throw new AnchorError("USAGE", `--sizes takes powers of two from ${min} to ${max}, such as 14,17`);
  }
  return [...new Set(sizes)].sort((a, b) => a - b);
}

/** @throws USAGE */
function kindsOf(values: Values): Kind[] | undefined {
  return someOf(values, "kinds", KINDS);
}

/** @throws USAGE */
function modelsOf(values: Values): string[] | undefined {
  return someOf(
    values,
    "models",
    BENCH_MODELS.map(({ name }) => name),
  );
}

/** @throws USAGE */
function someOf<T extends string>(values: Values, option: string, all: readonly T[]): T[] | undefined {
  const text = optional(values, option);
  if (text === undefined) return undefined;
  const asked = text.split(",");
  const known = all.filter((each) => asked.includes(each));
  if (known.length !== asked.length)
    throw new AnchorError("USAGE", `--${option} takes some of ${all.join(", ")}, separated by commas`);
  return known;
}

/** @throws USAGE */
function externals(text: string | undefined): ExternalProver[] {
  const provers = (text ?? "")
    .split(";")
    .map((item) => item.trim())
    .filter((item) => item !== "")
    .map((item): ExternalProver => {
      const [, name, line] = /^(?:([\w.-]+)=)?(.*)$/s.exec(item)!;
      const command = line!.trim().split(/\s+/);
      if (command[0] === "") throw new AnchorError("USAGE", `${EXTERNAL}: "${item}" names no command`);
      return { name: name ?? basename(command[0]!), command };
    });
  const names = ["native", "native unprepared", "native-node", "cuda", "snarkjs", ...provers.map(({ name }) => name)];
  if (new Set(names).size < names.length) {
    throw new AnchorError("USAGE", `${EXTERNAL}: two provers have one name; write NAME=COMMAND`);
  }
  return provers;
}

/** The commit of a checkout, marked when files differ from it; "unknown" for an installed package. */
function commit(): string {
  const git = (...args: string[]) => spawnSync("git", args, { cwd: PACKAGE_ROOT, encoding: "utf8" });
  // Asked for by its folder: a package in somebody's node_modules would be given their commit.
  const top = git("rev-parse", "--show-toplevel", "HEAD");
  const [folder, head] = (top.stdout ?? "").trim().split("\n");
  if (top.status !== 0 || folder !== PACKAGE_ROOT.replace(/\/$/, "") || !head) return "unknown";
  return git("status", "--porcelain").stdout ? `${head} with changes` : head;
}
