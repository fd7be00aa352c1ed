/**
 * Child processes of the benchmark: provers that run once and servers that stay warm. Both can be held to some cores,
 * and both report the most memory they had.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { AnchorError, type ErrorCode, toAnchorError } from "../errors.js";
import { NATIVE_PROVER } from "../field/native.js";
import { workerFile } from "../workers.js";
import type { CardOf, Implementation, Operations, ServerReply } from "./server.js";

/** How often a child's memory is looked at. The kernel keeps the peak, so only growth in the last moment is missed. */
const MEMORY_INTERVAL_MS = 10;

/**
 * A command line that holds the command to this many cores. Provers that take all cores they see have no other switch.
 *
 * @throws USAGE when fewer than all cores are asked for and `taskset` is not there
 */
export function onCores(threads: number, command: readonly string[]): string[] {
  if (threads >= availableParallelism()) return [...command];
  const taskset = findProgram("taskset");
  const allowed = allowedCores();
  if (!taskset || allowed.length < threads) {
    throw new AnchorError("USAGE", `--threads below ${availableParallelism()} needs taskset (util-linux)`);
  }
  return [taskset, "-c", allowed.slice(0, threads).join(","), ...command];
}

function findProgram(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The native core as programs that prove once, the one that counts first. Without the executable that is Node.
 *
 * @param files    key, witness, and where the proof and its public signals go
 * @param prepared a folder with a prepared key, for one more program
 * @param card     a GPU, for one more, which is the executable alone
 */
export function nativeProvers(
  files: readonly string[],
  threads: number,
  prepared: string | undefined,
  card: CardOf | undefined = undefined,
): { name: string; command: string[] }[] {
  const own = [NATIVE_PROVER, ...files, "--threads", String(threads)];
  const node = [process.execPath, workerFile("bench/proveOnce"), ...files, String(threads)];
  const first = hasNativeProver() ? own : node;
  const folder = hasNativeProver() ? ["--prepared"] : [];
  const onCard = card && [...own, `--cuda=${card.library}`, "--device", String(card.device)];
  return [
    { name: "native", command: first },
    ...(hasNativeProver() ? [{ name: "native-node", command: node }] : []),
    ...(prepared === undefined ? [] : [{ name: "native prepared", command: [...first, ...folder, prepared] }]),
    ...(onCard && hasNativeProver() ? [{ name: "cuda", command: onCard }] : []),
  ];
}

/** Whether the executable is there. */
export function hasNativeProver(): boolean {
  return isProgram(NATIVE_PROVER);
}

/** snarkjs' command line, a file for Node. */
export function snarkjsCli(): string {
  return join(createRequire(import.meta.url).resolve("snarkjs"), "..", "cli.cjs");
}

/** Numbers of the cores that this process may use. */
function allowedCores(): number[] {
  const list = readStatus("self", "Cpus_allowed_list") ?? "";
  return list.split(",").flatMap((range) => {
    const [first, last] = range.split("-").map(Number);
    return first === undefined || Number.isNaN(first)
      ? []
      : Array.from({ length: (last ?? first) - first + 1 }, (_, i) => first + i);
  });
}

function readStatus(pid: number | "self", field: string): string | undefined {
  try {
    return new RegExp(`^${field}:\\s*(.+)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  } catch {
    return undefined; // not Linux, or the process has ended
  }
}

/** Bytes; `undefined` where there is no /proc. */
function peakMemory(pid: number): number | undefined {
  const kilobytes = Number.parseInt(readStatus(pid, "VmHWM") ?? "", 10);
  return Number.isNaN(kilobytes) ? undefined : kilobytes * 1024;
}

export interface Run {
  /** From before the process is started until it has ended. */
  ms: number;
  peakBytes: number | undefined;
  /** The last that it said. */
  output: string;
}

/** Runs a command to its end. @throws PROVE_FAILED with what it said, ABORTED */
export async function runCommand(command: readonly string[], signal: AbortSignal): Promise<Run> {
  const [program, ...args] = command as [string, ...string[]];
  let peakBytes: number | undefined;
  let output = "";
  const started = performance.now();
  // A group of its own, so that what a wrapper script started is stopped with it.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const stop = stopWith(child, signal, -1);
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-2000);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  const poll = setInterval(() => {
    peakBytes = peakMemory(child.pid ?? 0) ?? peakBytes;
  }, MEMORY_INTERVAL_MS);
  try {
    const [status, ms] = await new Promise<[number | string, number]>((resolve, reject) => {
      child.on("error", (error) => reject(toAnchorError(error, "PROVE_FAILED", `cannot start ${program}`)));
      child.on("exit", (code, killer) => {
        const ended = performance.now() - started;
        // Its last words may still be in the pipe.
        child.on("close", () => resolve([code ?? killer ?? "", ended]));
      });
    });
    if (signal.aborted) throw new AnchorError("ABORTED", "the benchmark was stopped");
    if (status !== 0) {
      const reason = output.trim().split("\n").at(-1) || "no message";
      throw new AnchorError("PROVE_FAILED", `${program} ended with ${status}: ${reason}`, { details: { output } });
    }
    return { ms, peakBytes, output };
  } finally {
    clearInterval(poll);
    stop();
  }
}

/** @param sign -1 when the child leads a group of processes. @returns undoes it */
function stopWith(child: ChildProcess, signal: AbortSignal, sign: 1 | -1): () => void {
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(sign * child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  return () => signal.removeEventListener("abort", kill);
}

/** A process that keeps one implementation warm and times what it is asked to do. */
export class BenchServer {
  readonly #child: ChildProcess;
  readonly #unhook: () => void;
  readonly #signal: AbortSignal;
  #peakBytes: number | undefined;
  #pending: { resolve: (reply: ServerReply) => void; reject: (error: AnchorError) => void } | undefined;

  /** @param card for `cuda` */
  constructor(implementation: Implementation, threads: number, signal: AbortSignal, card?: CardOf) {
    const own = card === undefined ? [] : [card.library, String(card.device)];
    const server = [process.execPath, workerFile("bench/server"), implementation, ...own];
    const [program, ...args] = onCores(threads, server);
    this.#signal = signal;
    this.#child = spawn(program!, args, {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      serialization: "advanced",
      // The JavaScript path must not find the core.
      env: implementation === "javascript" ? { ...process.env, ANCHORPROOF_NATIVE: "off" } : process.env,
    });
    this.#unhook = stopWith(this.#child, signal, 1);
    this.#child.on("message", (reply: ServerReply) => {
      this.#pending?.resolve(reply);
      this.#pending = undefined;
    });
    const lost = (reason: string) => {
      this.#pending?.reject(
        signal.aborted
          ? new AnchorError("ABORTED", "the benchmark was stopped")
          : new AnchorError("WORKER_CRASHED", `the ${implementation} server ended: ${reason}`),
      );
      this.#pending = undefined;
    };
    this.#child.on("error", (error) => lost(error.message));
    this.#child.on("exit", (code, killer) => lost(String(code ?? killer)));
  }

  /**
   * Does one thing. `ms` is taken in the server, around that thing alone.
   *
   * @throws the operation's errors, WORKER_CRASHED, ABORTED
   */
  async ask<K extends keyof Operations>(
    operation: K,
    request: Operations[K]["request"],
  ): Promise<{ ms: number; value: Operations[K]["value"] }> {
    if (this.#signal.aborted) throw new AnchorError("ABORTED", "the benchmark was stopped");
    const reply = await new Promise<ServerReply>((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#child.send({ operation, request }, (error) => {
        if (error) reject(toAnchorError(error, "WORKER_CRASHED", "the benchmark's server is gone"));
      });
    });
    if ("error" in reply) throw new AnchorError(reply.error.code as ErrorCode, reply.error.message);
    this.#peakBytes = peakMemory(this.#child.pid ?? 0);
    return { ms: reply.ms, value: reply.value as Operations[K]["value"] };
  }

  /** The most memory that it had by its last answer. */
  get peakBytes(): number | undefined {
    return this.#peakBytes;
  }

  close(): void {
    this.#unhook();
    this.#child.kill("SIGKILL");
  }
}
