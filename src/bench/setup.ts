/**
 * The ladder of setups: development keys, and every step from powers of tau to a key that has been verified. Each timed
 * run is a process of its own.
 *
 * No timed step counts unseen. A development key must prove its circuit's witness. Initial keys, and what powers become
 * for them, must be the same bytes whoever made them and whenever. Every contribution is checked by the native core,
 * also snarkjs', and snarkjs verifies a key that the core contributed to. What fails ends the benchmark.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { verifyContribution, verifyPhase2 } from "../circuit/phase2.js";
import { describePtau, importPtau, newDevelopmentPtau, ptauBasis, ptauDigest } from "../circuit/ptau.js";
import { ArtefactStore } from "../circuit/store.js";
import { readZkeyHeader } from "../circuit/zkey.js";
import { AnchorError, type ErrorCode, isAnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { verifyingKeyToJson } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { workerFile } from "../workers.js";
import { type BenchCircuit, KINDS, MIN_SIZE, prepareCircuit } from "./circuits.js";
import { type Contestant, contest, type Results, type Settings } from "./contest.js";
import { BenchServer, onCores, runCommand, snarkjsCli } from "./processes.js";
import { Referee } from "./proving.js";
import { type Row, row, withRatios } from "./report.js";
import type { SetupRequest, SetupSteps } from "./setupOnce.js";

const SIZES = [10, 14, 17];
/** JavaScript takes a minute there. */
const JAVASCRIPT_SIZE = 14;
/** Preparing powers takes snarkjs as long as a key of this many times the rows. */
const PREPARATION_LOG2 = 4;
/** Section of a `.zkey`. */
const POINTS_OF_H = 9;
const MB = 1024 * 1024;

/** Command lines of the contestants; tests have others, which cheat. */
export interface SetupPrograms {
  own<S extends keyof SetupSteps>(step: S, request: SetupRequest<S>): string[];
  /** Called with the arguments of snarkjs' command line. */
  snarkjs(...args: string[]): string[];
}

export const SETUP_PROGRAMS: SetupPrograms = {
  own: (step, request) => [process.execPath, workerFile("bench/setupOnce"), step, JSON.stringify(request)],
  snarkjs: (...args) => [process.execPath, snarkjsCli(), ...args],
};

export async function setupLadder(
  settings: Settings,
  results: Results,
  programs: SetupPrograms = SETUP_PROGRAMS,
): Promise<void> {
  const sizes = settings.sizes ?? SIZES;
  for (const note of leftOut(Math.max(...sizes), settings)) results.note(note);
  const referee = new Referee(settings);
  try {
    for (const size of sizes) {
      const run = new SizedSetup(size, settings, results, programs, referee);
      const powers = settings.native ? await run.powers() : undefined;
      for (const kind of settings.kinds ?? KINDS) {
        const { folder, signal, onStep } = settings;
        const of = await prepareCircuit(kind, size, folder, { signal, onStep });
        const { rows, wires, compileMs, witnessMs } = of;
        results.preparation({ circuit: kind, size, rows, wires, compileMs, witnessMs });
        await run.development(of);
        if (powers) await run.phase2(of, powers);
        await rm(of.wtnsPath);
      }
      await run.clean();
    }
  } finally {
    referee.close();
  }
}

/** What the rows do not show, and why. */
function leftOut(largest: number, { native, snarkjsSize }: Settings): string[] {
  if (!native)
    return [
      `setup: the native core is missing; development keys up to 2^${JAVASCRIPT_SIZE} in JavaScript, and no more`,
    ];
  const limits: [string, number][] = [
    ["development keys in JavaScript", JAVASCRIPT_SIZE],
    ["keys by snarkjs (--snarkjs)", snarkjsSize],
    ["powers prepared by snarkjs, which takes it far longer than a key,", snarkjsSize - PREPARATION_LOG2],
  ];
  return limits
    .filter(([, limit]) => limit < largest)
    .map(([what, limit]) => `setup: ${what} ${limit < MIN_SIZE ? "are left out" : `up to 2^${limit} only`}`);
}

export interface Powers {
  /** As an import keeps them, without Lagrange forms. */
  imported: string;
  /** The same with Lagrange forms, which snarkjs wants. */
  prepared: string;
  /** Folder of a store that has what keys are made from, or gets it. */
  kept: string;
}

interface Entrant {
  name: string;
  command: string[];
  /** What it writes; removed before it starts, so that it cannot live on the work of the one before. */
  output?: string;
  /** Looks at what it wrote, outside the timed part. */
  check?: () => Promise<void>;
}

/** The ladder at one size. */
export class SizedSetup {
  readonly #size: number;
  readonly #settings: Settings;
  readonly #results: Results;
  readonly #programs: SetupPrograms;
  readonly #referee: Referee;
  /** Files of this size, for {@link clean}. */
  readonly #files = new Set<string>();

  constructor(size: number, settings: Settings, results: Results, programs: SetupPrograms, referee: Referee) {
    this.#size = size;
    this.#settings = settings;
    this.#results = results;
    this.#programs = programs;
    this.#referee = referee;
  }

  /** Makes powers for this size; their import, and what keys are made from. */
  async powers(): Promise<Powers> {
    const { signal, threads, onStep, snarkjsSize } = this.#settings;
    const size = this.#size;
    const prepared = this.#file("prepared.ptau");
    await newDevelopmentPtau(size, prepared, {
      prepared: true,
      signal,
      threads,
      onProgress: (done) => onStep(`making powers for 2^${size}`, done),
    });

    const kept = this.#file("kept");
    const { path: imported, digest } = await importPtau(prepared, {
      store: new ArtefactStore(kept),
      signal,
      threads,
      onProgress: (done) => onStep(`importing powers for 2^${size}`, done),
    });

    const imports = (name: string, ptauPath: string): Entrant => {
      const store = this.#file("imports");
      return {
        name,
        command: this.#own("import", { ptauPath, store }),
        output: store,
        check: async () => {
          const made = join(await onlyEntry(store, "ptau"), "powers.ptau");
          if ((await ptauDigest(made, size, { signal })) !== digest) differs("PTAU_INVALID", `the import of ${name}`);
          // It holds the basis of a prepared file too, which takes the disk of another one.
          await rm(store, { recursive: true });
        },
      };
    };
    await this.#race("import", "powers", [imports("native", imported), imports("native prepared", prepared)]);

    const same = new Agreement("PTAU_INVALID");
    const basis = (name: string, ptauPath: string): Entrant => {
      const store = this.#file(`basis of ${name}`);
      return {
        name,
        command: this.#own("basis", { ptauPath, power: size, store }),
        output: store,
        check: async () => {
          const made = join(await onlyEntry(store, "ptau-basis"), "basis.bin");
          // Under the name that a setup looks for; it would be made again otherwise.
          const found = await ptauBasis(ptauPath, size, { store: new ArtefactStore(store), signal, threads });
          if (found !== made) throw new AnchorError("PTAU_INVALID", "the basis is of other powers");
          await same.check(`the basis of ${name}`, made);
        },
      };
    };
    const entrants = [basis("native", imported), basis("native prepared", prepared)];
    if (size <= snarkjsSize - PREPARATION_LOG2) {
      const output = this.#file("snarkjs.ptau");
      entrants.push({
        name: "snarkjs",
        command: this.#programs.snarkjs("powersoftau", "prepare", "phase2", imported, output),
        output,
        check: async () => {
          const store = new ArtefactStore(this.#file("basis of snarkjs"));
          // A basis can be had without Lagrange forms too: that they are there is what was asked for.
          if (!(await describePtau(output, { signal })).prepared) {
            throw new AnchorError("PTAU_INVALID", "the powers are not prepared");
          }
          const path = await ptauBasis(output, size, { store, signal, threads });
          await same.check("the basis of snarkjs", path);
          await rm(store.root, { recursive: true });
        },
      });
    }
    await this.#race("basis", "powers", entrants);
    return { imported, prepared, kept };
  }

  async development(of: BenchCircuit): Promise<void> {
    const { native, threads, signal } = this.#settings;
    const { r1csPath } = of.compiled;
    const server = new BenchServer(native ? "native" : "snarkjs", threads, signal);
    const make = (name: string, withCore: boolean): Entrant => {
      const output = this.#file("development.zkey");
      return {
        name,
        command: this.#own("development", { r1csPath, zkeyPath: output }, withCore),
        output,
        check: async () => {
          const { verifyingKey } = await readZkeyHeader(output);
          lintVerifyingKey(verifyingKey);
          const request = { zkey: output, wtns: of.wtnsPath, threads };
          if (native) await server.ask("open", request);
          const { value } = await server.ask("prove", request);
          const verifyingKeyJson = verifyingKeyToJson(verifyingKey);
          await this.#referee.check(`the development key of ${name}`, { ...of, verifyingKeyJson }, value);
        },
      };
    };
    const entrants = [
      ...(native ? [make("native", true)] : []),
      ...(this.#size <= JAVASCRIPT_SIZE ? [make("javascript", false)] : []),
    ];
    try {
      if (entrants.length > 0) await this.#race("development", of.kind, entrants, of);
    } finally {
      server.close();
    }
  }

  /** The initial key, a contribution to it, and the verification of what that makes. */
  async phase2(of: BenchCircuit, { imported, prepared, kept }: Powers): Promise<void> {
    const { threads, signal, snarkjsSize } = this.#settings;
    const withSnarkjs = this.#size <= snarkjsSize;
    const { r1csPath } = of.compiled;
    const name = `${of.kind} 2^${this.#size}`;

    const initial = this.#file("initial.zkey");
    const same = new Agreement("KEY_MALFORMED");
    await ptauBasis(imported, this.#size, { store: new ArtefactStore(kept), signal, threads });
    const fresh = this.#file("fresh");
    const key = (who: string, command: string[]): Entrant => ({
      name: who,
      command,
      output: initial,
      check: async () => {
        await same.check(`${who} on ${name}: the initial key`, initial);
        await rm(fresh, { recursive: true, force: true });
      },
    });
    const own = (ptauPath: string, store: string) => this.#own("key", { r1csPath, ptauPath, zkeyPath: initial, store });
    await this.#race(
      "key",
      of.kind,
      [
        key("native", own(imported, fresh)),
        key("native prepared", own(prepared, fresh)),
        key("native basis kept", own(imported, kept)),
        ...(withSnarkjs ? [key("snarkjs", this.#programs.snarkjs("zkey", "new", r1csPath, prepared, initial))] : []),
      ],
      of,
    );

    const contributed = (who: string, to: string, command: string[]): Entrant => ({
      name: who,
      command,
      output: to,
      check: async () => {
        await verifyContribution({ previous: initial, next: to, signal, threads });
      },
    });
    const [ours, theirs] = [this.#file("native.zkey"), this.#file("snarkjs.zkey")];
    const entropy = ["--name=bench", "--entropy=bench"];
    await this.#race(
      "contribute",
      of.kind,
      [
        contributed("native", ours, this.#own("contribute", { from: initial, to: ours })),
        ...(withSnarkjs
          ? [contributed("snarkjs", theirs, this.#programs.snarkjs("zkey", "contribute", initial, theirs, ...entropy))]
          : []),
      ],
      of,
    );

    const verifiers = (zkeyPath: string): Entrant[] => [
      { name: "native", command: this.#own("verify", { r1csPath, ptauPath: imported, zkeyPath }) },
      ...(withSnarkjs
        ? [{ name: "snarkjs", command: this.#programs.snarkjs("zkey", "verify", r1csPath, prepared, zkeyPath) }]
        : []),
    ];
    await this.#race("verify", of.kind, verifiers(ours), of);
    await this.#damaged(ours, verifiers);
    if (withSnarkjs) await verifyPhase2({ r1csPath, ptauPath: imported, zkeyPath: theirs, signal, threads });
    await Promise.all([initial, ours, theirs].map((file) => rm(file, { force: true })));
  }

  /** A verifier that looks at nothing is fast: each must refuse a key with two points in each other's place. */
  async #damaged(zkeyPath: string, verifiers: (zkeyPath: string) => Entrant[]): Promise<void> {
    const { threads, signal, onStep } = this.#settings;
    const damaged = this.#file("damaged.zkey");
    await copyFile(zkeyPath, damaged);
    const { offset } = (await readZkeyHeader(damaged)).sections.get(POINTS_OF_H)!;
    const file = await open(damaged, "r+");
    try {
      const { buffer } = await file.read(Buffer.alloc(128), 0, 128, offset);
      await file.write(Buffer.concat([buffer.subarray(64), buffer.subarray(0, 64)]), 0, 128, offset);
    } finally {
      await file.close();
    }
    for (const { name, command } of verifiers(damaged)) {
      onStep(`${name} on a damaged key of 2^${this.#size}`);
      const accepts = await runCommand(onCores(threads, command), signal).then(
        () => true,
        (error: unknown) => (isAnchorError(error, "PROVE_FAILED") ? false : Promise.reject(error)),
      );
      if (accepts) throw new AnchorError("KEY_MALFORMED", `${name} accepts a damaged key`);
    }
    await rm(damaged);
  }

  async clean(): Promise<void> {
    for (const file of this.#files) await rm(file, { recursive: true, force: true });
  }

  #file(name: string): string {
    const file = join(this.#settings.folder, `${this.#size} ${name}`);
    this.#files.add(file);
    return file;
  }

  #own<S extends keyof SetupSteps>(step: S, request: SetupSteps[S], native = true): string[] {
    return this.#programs.own(step, { ...request, threads: this.#settings.threads, native });
  }

  async #race(step: keyof SetupSteps, circuit: string, entrants: readonly Entrant[], of?: BenchCircuit): Promise<void> {
    const { threads, signal } = this.#settings;
    const size = this.#size;
    const label = `setup ${step} ${circuit} 2^${size}`;
    const peaks = entrants.map((): number | undefined => undefined);
    const bytes = entrants.map((): number | undefined => undefined);
    const contestants = entrants.map(({ name, command, output, check }, i): Contestant => {
      const line = onCores(threads, command);
      return {
        name,
        run: async () => {
          if (output !== undefined) await rm(output, { recursive: true, force: true });
          try {
            const { ms, peakBytes } = await runCommand(line, signal);
            if (peakBytes !== undefined) peaks[i] = Math.max(peaks[i] ?? 0, peakBytes);
            if (output?.endsWith(".zkey")) bytes[i] = (await stat(output)).size;
            await check?.();
            return ms;
          } catch (error) {
            throwIfAborted(signal);
            throw named(error, step, `${label}: ${name}`);
          }
        },
      };
    });
    const samples = await contest(label, contestants, this.#settings);
    const rows = entrants.map(({ name }, i): Row => {
      const [peakBytes, keyBytes] = [peaks[i], bytes[i]];
      return row(
        {
          bench: `setup ${step}`,
          mode: "cold",
          implementation: name,
          circuit,
          size,
          threads,
          ...(peakBytes === undefined ? {} : { peakBytes }),
          ...(of && { extra: { rows: of.rows, ...(keyBytes === undefined ? {} : { keyMB: keyBytes / MB }) } }),
        },
        samples[i]!,
      );
    });
    this.#results.rows(withRatios(rows));
  }
}

/** Says whose it was. */
function named(error: unknown, step: keyof SetupSteps, who: string): AnchorError {
  const { code, message, details } = isAnchorError(error)
    ? error
    : toAnchorError(error, "KEY_MALFORMED", "wrote nothing that can be read");
  // Of a verifier that is its answer.
  const own = step === "verify" && code === "PROVE_FAILED" ? "KEY_MALFORMED" : code;
  return new AnchorError(own, `${who}: ${message}`, { cause: error, details });
}

/** Files that must all be the same. */
class Agreement {
  readonly #code: ErrorCode;
  #digest: string | undefined;

  constructor(code: ErrorCode) {
    this.#code = code;
  }

  /** @param what for the message */
  async check(what: string, file: string): Promise<void> {
    const hash = createHash("sha256");
    for await (const piece of createReadStream(file)) hash.update(piece);
    const digest = hash.digest("hex");
    this.#digest ??= digest;
    if (digest !== this.#digest) differs(this.#code, what);
  }
}

function differs(code: ErrorCode, what: string): never {
  throw new AnchorError(code, `${what} has other bytes than the one before`);
}

/** The directory of what a step has put into a store that was empty. */
async function onlyEntry(root: string, kind: string): Promise<string> {
  const found = (await new ArtefactStore(root).list()).filter((item) => item.kind === kind && item.state === "intact");
  if (found.length !== 1) throw new AnchorError("PTAU_INVALID", `${found.length} entries of ${kind} instead of one`);
  return found[0]!.path;
}
