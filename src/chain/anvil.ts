/**
 * Starts a local chain: anvil, from the platform package or from PATH.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { findFoundry } from "./foundry.js";
import { readChainId } from "./provider.js";

const START_TIMEOUT_MS = 20_000;

export interface AnvilOptions {
  signal?: AbortSignal | undefined;
  /** EVM rules, such as `cancun`, `prague` or `osaka`; anvil's newest unless told. */
  hardfork?: string | undefined;
  /** 31337 unless told: the chain on which development keys work. */
  chainId?: number | undefined;
}

export interface Anvil {
  url: string;
  port: number;
  chainId: number;
  /** Ends the chain; safe to call again. Resolves when the process is gone. */
  stop(): Promise<void>;
}

/**
 * Starts anvil on a free port of 127.0.0.1, with its ten well-known accounts. It ends on `stop()`, on abort, and with this
 * process, however that ends.
 *
 * @throws CHAIN_UNAVAILABLE when anvil is not installed or does not come up; ABORTED
 */
export async function startAnvil(options: AnvilOptions = {}): Promise<Anvil> {
  const { signal, hardfork, chainId = 31337 } = options;
  throwIfAborted(signal);
  // Port 0: anvil binds a free port itself and prints it, so no other process can take it in between.
  const args = ["--host", "127.0.0.1", "--port", "0", "--chain-id", String(chainId)];
  if (hardfork !== undefined) args.push("--hardfork", hardfork);
  const child = spawnTethered(findAnvil(), args);
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    signal?.removeEventListener("abort", onAbort);
    process.removeListener("exit", onExit);
    // Unreferenced while it runs, but its end is awaited here: without this the event loop could run dry before it comes.
    child.ref();
    child.kill("SIGKILL");
    await gone;
  };
  const onAbort = () => void stop();
  const onExit = () => child.kill("SIGKILL");
  process.once("exit", onExit);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const port = await listening(child);
    throwIfAborted(signal);
    const url = `http://127.0.0.1:${port}`;
    await readChainId(url, signal);
    return { url, port, chainId, stop };
  } catch (error) {
    await stop();
    throwIfAborted(signal);
    throw toAnchorError(error, "CHAIN_UNAVAILABLE", "anvil did not start");
  }
}

/** The platform package's binary, else `anvil` on PATH. @throws CHAIN_UNAVAILABLE */
export function findAnvil(): string {
  return findFoundry("anvil");
}

/**
 * Spawns a process that cannot outlive this one, not even when this one is killed with SIGKILL: a watchdog beside it
 * reads a pipe that only we hold, and kills it when the pipe closes. `exec` keeps the process id, so signals and the
 * exit status are the program's own. It leads a process group of its own, so Ctrl-C reaches us first and the chain
 * does not vanish under a transaction that we are waiting for.
 */
function spawnTethered(file: string, args: string[]): ChildProcess {
  if (process.platform === "win32") return spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  const script = 'exec 3<&0; (cat <&3; kill -9 $$) >/dev/null 2>&1 & exec "$0" "$@" </dev/null 3<&-';
  const child = spawn("/bin/sh", ["-c", script, file, ...args], { stdio: ["pipe", "pipe", "pipe"], detached: true });
  // Without these the handles alone would keep this process alive after its work is done.
  for (const handle of [child, child.stdin, child.stdout, child.stderr])
    (handle as unknown as { unref(): void }).unref();
  child.stdin.on("error", () => {}); // EPIPE when the watchdog is gone already
  child.once("exit", () => child.stdin.destroy());
  return child;
}

/** Waits for anvil's "Listening on 127.0.0.1:port", then keeps the pipe drained: a full one would block anvil. */
function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = "";
    let started = false;
    const fail = (reason: string) => {
      clearTimeout(timer);
      const last = output.trim().split("\n").at(-1) ?? "";
      reject(new AnchorError("CHAIN_UNAVAILABLE", `anvil did not start: ${last.slice(0, 200) || reason}`));
    };
    const timer = setTimeout(() => fail(`no answer in ${START_TIMEOUT_MS / 1000} s`), START_TIMEOUT_MS);
    const read = (chunk: Buffer) => {
      if (started) return;
      output += chunk.toString();
      const match = /Listening on 127\.0\.0\.1:(\d+)/.exec(output);
      if (!match) return;
      started = true;
      clearTimeout(timer);
      resolve(Number(match[1]));
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("error", (error) => fail(error.message));
    child.once("close", (code, signal) => fail(`exit ${code ?? signal}`));
  });
}
