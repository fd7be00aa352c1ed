/**
 * The ladder of commitments to datasets: a file of text as one record, its lines, and the rows of a table, beside SHA-256
 * and what JavaScript does. Each timed run is a process of its own, whose clock runs from opening the file until the
 * directory is in its place.
 *
 * All who commit must come to the same root, and their SHA-256 must be that of the file.
 *
 * @module
 */
import { open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { AnchorError } from "../errors.js";
import { workerFile } from "../workers.js";
import { type Contestant, contest, type Results, type Settings } from "./contest.js";
import type { CommitterName, DatasetRun, DatasetShape } from "./datasetOnce.js";
import { onCores, runCommand } from "./processes.js";
import { row, withRatios } from "./report.js";

/** Powers of two of bytes. */
const SIZES = [18, 26];
/** JavaScript takes some seconds there. */
const JAVASCRIPT_SIZE = 18;
const PIECE = 2 ** 20;
const SHAPES: readonly DatasetShape[] = ["text", "lines", "csv"];

export async function datasetLadder(settings: Settings, results: Results): Promise<void> {
  const sizes = settings.sizes ?? SIZES;
  if (Math.max(...sizes) > JAVASCRIPT_SIZE) {
    results.note(`dataset above 2^${JAVASCRIPT_SIZE} bytes: not in JavaScript, which takes minutes`);
  }
  for (const size of sizes) {
    for (const shape of SHAPES) await commitments(size, shape, settings, results);
  }
}

async function commitments(size: number, shape: DatasetShape, settings: Settings, results: Results): Promise<void> {
  const { folder, signal, threads, native, onStep } = settings;
  const file = join(folder, `dataset-${size}.${shape === "csv" ? "csv" : "txt"}`);
  onStep(`writing 2^${size} bytes of ${shape}`);
  await writeSample(file, 2 ** size, shape);
  const small = size <= JAVASCRIPT_SIZE;
  const names: CommitterName[] = [
    ...(native ? (["native"] as const) : []),
    ...(small || !native ? (["javascript"] as const) : []),
    // It has the hashes of a content only, and would be ahead where records are short.
    ...(small && shape === "text" && (await hasPoseidonLite()) ? (["poseidon-lite"] as const) : []),
    "sha256",
  ];
  const out = join(folder, "committed");
  const peaks = new Map<CommitterName, number>();
  let [root, sha256]: (string | undefined)[] = [];
  const contestants = names.map((name): Contestant => {
    return {
      name,
      run: async () => {
        const command = onCores(threads, [process.execPath, workerFile("bench/datasetOnce"), name, file, shape, out]);
        const { peakBytes } = await runCommand(command, signal);
        const made = JSON.parse(await readFile(`${out}.json`, "utf8")) as DatasetRun;
        await rm(out, { recursive: true, force: true });
        peaks.set(name, Math.max(peakBytes ?? 0, peaks.get(name) ?? 0));
        if (name === "poseidon-lite") return made.ms;
        const hash = name === "sha256" ? made.result : made.sha256;
        sha256 ??= hash;
        if (name !== "sha256") root ??= made.result;
        if (hash !== sha256 || (name !== "sha256" && made.result !== root)) {
          throw new AnchorError("INTERNAL", `dataset ${shape} 2^${size}: ${name} has another result`);
        }
        return made.ms;
      },
    };
  });
  const samples = await contest(`dataset ${shape} 2^${size}`, contestants, settings);
  const rows = names.map((name, i) => {
    const own = { bench: "dataset", implementation: name, circuit: shape, size, threads };
    const peakBytes = peaks.get(name);
    const made = row({ ...own, ...(peakBytes && { peakBytes }) }, samples[i]!);
    return { ...made, extra: { MBps: 2 ** size / 1e6 / (made.medianMs / 1e3) } };
  });
  results.rows(withRatios(rows));
  await rm(file);
}

/** A development dependency: packages that are installed from the registry have none. */
async function hasPoseidonLite(): Promise<boolean> {
  return import("poseidon-lite").then(
    () => true,
    () => false,
  );
}

const WORDS =
  "the of model data proof for with chain record sum node value spam anchor root tensor voice text label rest".split(
    " ",
  );

/** Lines of about eighty bytes, or rows of numbers and a word; the same each time. */
async function writeSample(path: string, bytes: number, shape: DatasetShape): Promise<void> {
  let state = 1;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const word = () => WORDS[next(WORDS.length)]!;
  let line = 0;
  const write =
    shape === "csv"
      ? () => `${line++},${next(1_000_000)}.${10 + next(90)},${next(1000) / 8},${word()},${word()} ${word()}\n`
      : () => `${Array.from({ length: 14 }, word).join(" ")} ${line++}\n`;
  const file = await open(path, "w");
  try {
    let waiting = shape === "csv" ? "id,amount,score,kind,note\n" : "";
    for (let left = bytes; left > 0; ) {
      while (waiting.length < Math.min(PIECE, left)) waiting += write();
      // The last line is cut where the file ends; a row is left out, so that none is short.
      const cut = Math.min(PIECE, left);
      const whole = shape === "csv" && cut === left ? waiting.lastIndexOf("\n", cut - 1) + 1 : cut;
      await file.write(waiting.slice(0, whole));
      waiting = waiting.slice(cut);
      left -= cut;
    }
  } finally {
    await file.close();
  }
}
