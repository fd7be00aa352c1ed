/**
 * Ladders of whole proofs: proving cold and warm, verifying, verifying in batches.
 *
 * No timed proof counts unseen: each is verified outside the timed part by the JavaScript verifier in a process
 * without the native core, each implementation's first one by snarkjs too, and its public signals must be those of
 * the witness. One that fails ends the benchmark.
 *
 * @module
 */
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { AnchorError, isAnchorError, toAnchorError } from "../errors.js";
import type { CardTime } from "../field/native.js";
import { type BenchCase, PROVER_KINDS, prepareCase } from "./circuits.js";
import { type Contestant, contest, type Results, type Settings } from "./contest.js";
import { BenchServer, hasNativeProver, nativeProvers, onCores, runCommand, snarkjsCli } from "./processes.js";
import { type Preparation, type Row, row, title, withRatios } from "./report.js";
import type { Proven } from "./server.js";

const SIZES = [10, 14, 17];
const BATCHES = [10, 100];

/** What a proof is checked against. */
interface Case extends Pick<BenchCase, "size" | "publicSignals" | "verifyingKeyJson"> {
  kind: string;
}

/** What a proof is made from, too. */
export interface ProvingCase extends Case, Pick<BenchCase, "rows" | "zkeyPath" | "wtnsPath"> {}

/** Verifies what others made. */
export class Referee {
  readonly #settings: Pick<Settings, "threads" | "signal">;
  /** Started for the first proof: not every ladder that has a referee comes to one. */
  readonly #servers = new Map<"javascript" | "snarkjs", BenchServer>();
  readonly #seen = new Set<string>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** @throws PROOF_INVALID */
  async check(name: string, of: Case, proven: Proven): Promise<void> {
    const refuse = (why: string): never => {
      throw new AnchorError("PROOF_INVALID", `${name} on ${of.kind} 2^${of.size}: ${why}`);
    };
    if (String(proven.publicSignals) !== String(of.publicSignals)) refuse("the public signals are not the witness's");
    const request = { key: of.verifyingKeyJson, proven: [proven], batch: false, threads: 1 };
    const isValid = async (by: "javascript" | "snarkjs") => {
      const answer = await this.#server(by).ask("verify", request).catch((error: AnchorError) => {
        return isAnchorError(error, "PROOF_MALFORMED") ? refuse(error.message) : Promise.reject(error);
      });
      return answer.value === 1;
    };
    if (!(await isValid("javascript"))) refuse("the proof does not verify");
    const first = `${name} ${of.kind} ${of.size}`;
    if (this.#seen.has(first)) return;
    this.#seen.add(first);
    if (!(await isValid("snarkjs"))) refuse("snarkjs does not accept the proof");
  }

  #server(of: "javascript" | "snarkjs"): BenchServer {
    const { threads, signal } = this.#settings;
    const server = this.#servers.get(of) ?? new BenchServer(of, threads, signal);
    this.#servers.set(of, server);
    return server;
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
  }
}

function prepare(kind: BenchCase["kind"], size: number, { folder, signal, onStep }: Settings): Promise<BenchCase> {
  return prepareCase(kind, size, folder, { signal, onStep });
}

function preparationOf(of: BenchCase): Preparation {
  const { kind, size, rows, wires, zkeyBytes, compileMs, keyMs, witnessMs } = of;
  return { circuit: kind, size, rows, wires, zkeyBytes, compileMs, developmentKeyMs: keyMs, witnessMs };
}

export async function proveLadder(settings: Settings, results: Results): Promise<void> {
  if (settings.native && !hasNativeProver()) {
    results.note("prove: the executable anchorproof-prover is missing; the cold native rows start Node");
  }
  const referee = new Referee(settings);
  try {
    for (const size of settings.sizes ?? SIZES) {
      for (const kind of settings.kinds ?? PROVER_KINDS) {
        const of = await prepare(kind, size, settings);
        const prepared = join(settings.folder, `prepared-${kind}-${size}`);
        const preparation = preparationOf(of);
        const hasPrepared = settings.native && (await measureLoads(of, prepared, preparation, settings));
        results.preparation(preparation);
        const fitting = (await hasRoom(of, settings, results)) ? settings : { ...settings, cuda: undefined };
        results.rows(await proveCold(of, hasPrepared ? prepared : undefined, referee, fitting));
        const warm = await proveWarm(of, warmProvers(fitting, hasPrepared), prepared, referee, fitting);
        results.rows(warm.rows);
        await rm(of.wtnsPath);
        await rm(prepared, { recursive: true, force: true });
      }
    }
  } finally {
    referee.close();
  }
}

/** Whether the card takes the key; a note says why not. Without a card there is nothing to say. */
async function hasRoom(of: BenchCase, { threads, signal, cuda }: Settings, results: Results): Promise<boolean> {
  if (!cuda) return false;
  const server = new BenchServer("cuda", threads, signal, cuda);
  try {
    await server.ask("open", { zkey: of.zkeyPath, threads });
    return true;
  } catch (error) {
    if (!isAnchorError(error, "OUT_OF_MEMORY")) throw error;
    results.note(`prove ${of.kind} 2^${of.size}: the card takes no part: ${error.message}`);
    return false;
  } finally {
    server.close();
  }
}

/** Loads the key with and without a prepared key. @returns whether the core left a prepared key in the folder */
async function measureLoads(
  of: BenchCase,
  prepared: string,
  preparation: Preparation,
  { threads, signal }: Settings,
): Promise<boolean> {
  const server = new BenchServer("native", threads, signal);
  try {
    const request = { zkey: of.zkeyPath, threads };
    const plain = await server.ask("open", request);
    preparation.nativeLoadMs = plain.ms;
    preparation.nativeKeyBytes = plain.value.memoryBytes;
    await mkdir(prepared);
    const { ms } = await server.ask("open", { ...request, prepared });
    const files = await readdir(prepared);
    if (files.length === 0) return false;
    preparation.preparedMs = ms;
    const sizes = await Promise.all(files.map(async (name) => (await stat(join(prepared, name))).size));
    preparation.preparedBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
    return true;
  } finally {
    server.close();
  }
}

/** A new process for each proof. */
async function proveCold(
  of: BenchCase,
  prepared: string | undefined,
  referee: Referee,
  settings: Settings,
): Promise<Row[]> {
  const { threads, folder, signal, cuda } = settings;
  const proofFile = join(folder, "proof.json");
  const publicFile = join(folder, "public.json");
  const files = [of.zkeyPath, of.wtnsPath, proofFile, publicFile];
  const commands = [
    ...(settings.native ? nativeProvers(files, threads, prepared, cuda) : []),
    { name: "snarkjs", command: [process.execPath, snarkjsCli(), "groth16", "prove", ...files] },
    ...settings.externals.map(({ name, command }) => ({ name, command: [...command, ...files] })),
  ];
  const peaks = commands.map((): number | undefined => undefined);
  const contestants = commands.map(({ name, command }, index): Contestant => {
    const line = onCores(threads, command);
    return {
      name,
      run: async () => {
        // A prover that writes nothing must not live on the proof of the one before.
        await Promise.all([proofFile, publicFile].map((file) => rm(file, { force: true })));
        const { ms, peakBytes, output } = await runCommand(line, signal);
        // It would have proved all the same, and its time would be another's.
        if (name === "cuda" && output !== "") throw new AnchorError("CUDA_UNAVAILABLE", output.trim());
        const proof = (await readJsonOf(name, proofFile)) as Proven["proof"];
        await referee.check(name, of, {
          // rapidsnark leaves the curve out.
          proof: { ...proof, curve: proof.curve ?? "bn128" },
          publicSignals: (await readJsonOf(name, publicFile)) as string[],
        });
        if (peakBytes !== undefined) peaks[index] = Math.max(peaks[index] ?? 0, peakBytes);
        return ms;
      },
    };
  });
  const samples = await contest(`prove ${of.kind} 2^${of.size} cold`, contestants, settings);
  return withRatios(
    commands.map(({ name }, i) =>
      row(
        { ...headOf(of, "cold", name, threads), ...onCard(name, undefined, settings), ...peak(peaks[i]) },
        samples[i]!,
      ),
    ),
  );
}

type WarmProver = "native" | "native prepared" | "cuda" | "snarkjs";

function warmProvers({ native, cuda }: Settings, hasPrepared: boolean): WarmProver[] {
  return [
    ...(native ? (["native"] as const) : []),
    ...(native && hasPrepared ? (["native prepared"] as const) : []),
    ...(cuda ? (["cuda"] as const) : []),
    "snarkjs",
  ];
}

/**
 * One process for each implementation, which has proved once before the clock starts.
 *
 * @param prepared the folder of a prepared key, for the implementation that takes it
 * @returns with one of the proofs
 */
export async function proveWarm(
  of: ProvingCase,
  names: readonly WarmProver[],
  prepared: string | undefined,
  referee: Referee,
  settings: Settings,
): Promise<{ rows: Row[]; proven: Proven }> {
  const { threads, signal, cuda } = settings;
  const servers = names.map((name) =>
    name === "cuda"
      ? new BenchServer("cuda", threads, signal, cuda)
      : new BenchServer(name === "snarkjs" ? "snarkjs" : "native", threads, signal),
  );
  try {
    const request = { zkey: of.zkeyPath, wtns: of.wtnsPath, threads };
    for (const [i, name] of names.entries()) {
      if (name === "snarkjs") continue;
      const folder = name === "native prepared" && prepared !== undefined ? { prepared } : {};
      await servers[i]!.ask("open", { zkey: of.zkeyPath, threads, ...folder });
    }
    let proven!: Proven;
    const contestants = names.map((name, i): Contestant => {
      return {
        name,
        run: async () => {
          const { ms, value } = await servers[i]!.ask("prove", request);
          await referee.check(name, of, value);
          proven = value;
          return ms;
        },
      };
    });
    const samples = await contest(`prove ${of.kind} 2^${of.size} warm`, contestants, settings, 1);
    const times = names.map((): CardTime[] | undefined => undefined);
    const card = names.indexOf("cuda");
    if (card >= 0 && settings.phases) {
      const { value } = await servers[card]!.ask("prove", { ...request, timed: true });
      await referee.check("cuda", of, value);
      times[card] = value.times;
    }
    const rows = names.map((name, i) => {
      const head = { ...headOf(of, "warm", name, threads), ...onCard(name, times[i], settings) };
      return row({ ...head, ...peak(servers[i]!.peakBytes) }, samples[i]!);
    });
    return { rows: withRatios(rows), proven };
  } finally {
    for (const server of servers) server.close();
  }
}

function headOf(of: ProvingCase, mode: "cold" | "warm", implementation: string, threads: number) {
  const extra = { rows: of.rows };
  return { bench: "prove", mode, implementation, circuit: of.kind, size: of.size, threads, extra };
}

/** What a card's row has beside others. */
export function onCard(
  implementation: string,
  phases: CardTime[] | undefined,
  { cuda, phases: wanted }: Settings,
): Pick<Row, "card" | "phases"> {
  if (implementation !== "cuda" || !cuda) return {};
  return { card: cuda.name, ...(wanted && phases && { phases }) };
}

function peak(bytes: number | undefined): { peakBytes?: number } {
  return bytes === undefined ? {} : { peakBytes: bytes };
}

async function readJsonOf(name: string, file: string): Promise<unknown> {
  try {
    // Some provers pad with zero bytes.
    return JSON.parse((await readFile(file, "utf8")).replace(/\0+$/, ""));
  } catch (error) {
    throw toAnchorError(error, "PROVE_FAILED", `${name} wrote no valid ${file}`);
  }
}

/** Proofs of the smallest circuit to verify: their size does not matter. */
async function proofsToVerify(count: number, settings: Settings): Promise<{ of: BenchCase; proven: Proven[] }> {
  const of = await prepare("poseidon", 10, settings);
  const server = new BenchServer(settings.native ? "native" : "snarkjs", settings.threads, settings.signal);
  try {
    const request = { zkey: of.zkeyPath, wtns: of.wtnsPath, threads: settings.threads };
    if (settings.native) await server.ask("open", request);
    const proven: Proven[] = [];
    for (let i = 0; i < count; i++) {
      settings.onStep("making proofs to verify", i / count);
      proven.push((await server.ask("prove", request)).value);
    }
    return { of, proven };
  } finally {
    server.close();
  }
}

export async function verifyLadder(settings: Settings, results: Results): Promise<void> {
  const { of, proven } = await proofsToVerify(1, settings);
  const names = settings.native ? (["native", "javascript", "snarkjs"] as const) : (["javascript", "snarkjs"] as const);
  const entrants = names.map((name) => ({ name, server: name, batch: false }));
  results.rows(await verifyContest(entrants, of, proven, { bench: "verify", circuit: "groth16", size: 0 }, settings));
}

export async function batchLadder(settings: Settings, results: Results): Promise<void> {
  if (!settings.native) return results.note("batch: the native core is missing, and nothing else verifies in batches");
  const { of, proven } = await proofsToVerify(Math.max(...BATCHES), settings);
  for (const count of BATCHES) {
    const entrants: Entrant[] = [
      { name: "native", server: "native", batch: true },
      { name: "native one by one", server: "native", batch: false },
      { name: "snarkjs one by one", server: "snarkjs", batch: false },
    ];
    const head = { bench: "batch", circuit: "groth16", size: count };
    const rows = await verifyContest(entrants, of, proven.slice(0, count), head, settings);
    results.rows(rows.map((each) => ({ ...each, extra: { perProofMs: each.medianMs / count } })));
  }
}

interface Entrant {
  name: string;
  server: "native" | "javascript" | "snarkjs";
  batch: boolean;
}

/** Every implementation verifies all the proofs. @throws PROOF_INVALID */
export async function verifyContest(
  entrants: readonly Entrant[],
  { verifyingKeyJson: key }: Pick<Case, "verifyingKeyJson">,
  proven: Proven[],
  head: Pick<Row, "bench" | "circuit" | "size">,
  settings: Settings,
): Promise<Row[]> {
  const { threads, signal } = settings;
  const servers = entrants.map(({ server }) => new BenchServer(server, threads, signal));
  try {
    const contestants = entrants.map(({ name, batch }, i): Contestant => {
      return {
        name,
        run: async () => {
          const { ms, value } = await servers[i]!.ask("verify", { key, proven, batch, threads });
          if (value !== proven.length) {
            throw new AnchorError("PROOF_INVALID", `${name} accepts ${value} of ${proven.length} valid proofs`);
          }
          return ms;
        },
      };
    });
    const samples = await contest(title(head), contestants, settings, 2);
    return withRatios(
      entrants.map(({ name }, i) =>
        row({ ...head, implementation: name, threads, ...peak(servers[i]!.peakBytes) }, samples[i]!),
      ),
    );
  } finally {
    for (const server of servers) server.close();
  }
}
