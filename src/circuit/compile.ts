/**
 * Compiles Circom through `circom2` (circom 2.2.3 as WebAssembly) in a child process, with a content-addressed cache.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, posix } from "node:path";
import { AnchorError, toAnchorError } from "../errors.js";
import { PACKAGE_ROOT } from "../paths.js";
import { type CircuitRows, openRows, summariseRows } from "./r1cs.js";
import { type ArtefactStore, defaultStore } from "./store.js";

const require = createRequire(import.meta.url);
const CIRCUITS = join(PACKAGE_ROOT, "circuits");

export interface CircuitSource {
  /** For messages only. */
  name: string;
  /** A whole Circom program with a main component; includes are relative to the package's `circuits` folder. */
  source: string;
  /** circom's `--O` level; 1 unless told. At 1, rows of linear layers stay out of the A and B matrices. */
  optimisation?: 0 | 1 | 2;
}

export interface CompileOptions {
  store?: ArtefactStore | undefined;
  signal?: AbortSignal | undefined;
}

export interface CompiledCircuit extends CircuitRows {
  directory: string;
  /** Witness generator. */
  wasmPath: string;
  /** Names of the wires, for messages and tests. */
  symPath: string;
}

/**
 * Compiles a circuit, or takes it from the store.
 *
 * @throws CIRCUIT_COMPILE with circom's message, FILE_NOT_FOUND for an unknown include, FILE_UNREADABLE, ABORTED
 */
export async function compileCircuit(circuit: CircuitSource, options: CompileOptions = {}): Promise<CompiledCircuit> {
  const store = options.store ?? defaultStore();
  const optimisation = circuit.optimisation ?? 1;
  const includes = await collectIncludes(circuit.source);
  const key = createHash("sha256").update(`circom2 ${circom2Version()} --O${optimisation}\n${circuit.source}`);
  for (const [path, text] of [...includes].sort(([a], [b]) => (a < b ? -1 : 1))) key.update(`\n//// ${path}\n${text}`);

  const directory = await store.build(
    "circuit",
    key.digest("hex"),
    async (workshop) => {
      const stage = join(workshop, "stage");
      await mkdir(stage);
      for (const [path, text] of includes) {
        await mkdir(join(stage, dirname(path)), { recursive: true });
        await writeFile(join(stage, path), text);
      }
      await writeFile(join(stage, "main.circom"), circuit.source);
      await runCircom(stage, circuit.name, optimisation, options.signal);
      await rename(join(stage, "main.r1cs"), join(workshop, "main.r1cs"));
      await rename(join(stage, "main.sym"), join(workshop, "main.sym"));
      await rename(join(stage, "main_js", "main.wasm"), join(workshop, "main.wasm"));
      await rm(stage, { recursive: true });
      await summariseRows(workshop, options.signal);
    },
    { signal: options.signal, label: circuit.name },
  );
  return {
    ...(await openRows(directory, circuit.name)),
    directory,
    wasmPath: join(directory, "main.wasm"),
    symPath: join(directory, "main.sym"),
  };
}

function circom2Version(): string {
  return (require("circom2/package.json") as { version: string }).version;
}

/** Files reached from a program by `include`, by their path in the circuits folder. */
async function collectIncludes(source: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const visit = async (text: string, folder: string): Promise<void> => {
    for (const match of text.matchAll(/^\s*include\s+"([^"]+)"\s*;/gm)) {
      const path = posix.normalize(posix.join(folder, match[1]!));
      if (found.has(path)) continue;
      if (path.startsWith(".."))
        throw new AnchorError("CIRCUIT_COMPILE", `include "${match[1]}" leaves the circuits folder`);
      let included: string;
      try {
        included = await readFile(join(CIRCUITS, path), "utf8");
      } catch (error) {
        throw toAnchorError(error, "FILE_NOT_FOUND", `include "${match[1]}" is not in ${CIRCUITS}`);
      }
      found.set(path, included);
      await visit(included, posix.dirname(path));
    }
  };
  await visit(source, ".");
  return found;
}

/**
 * Node's arguments to run a command line that is WebAssembly, such as circom's. Most runs are short: V8 would spend more
 * time on optimising it than it saves, unless it optimises only what runs a hundred times as long as it usually asks for.
 */
export function wasmProgram(cli: string, args: readonly string[]): string[] {
  const flag = 'require("node:v8").setFlagsFromString("--wasm-tiering-budget=180000000")';
  // Said, for NODE_OPTIONS may say otherwise.
  return ["--input-type=commonjs", "-e", `${flag}; require(${JSON.stringify(cli)})`, cli, ...args];
}

/** circom2 opens no include above its working directory: everything it needs has been copied into `stage`. */
function runCircom(stage: string, name: string, optimisation: number, signal: AbortSignal | undefined): Promise<void> {
  const cli = join(dirname(require.resolve("circom2/package.json")), "cli.js");
  const args = ["main.circom", "--r1cs", "--wasm", "--sym", `--O${optimisation}`, "-o", "."];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, wasmProgram(cli, args), { cwd: stage, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const stop = () => child.kill("SIGKILL");
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop(); // it fired while the stage was written
    child.on("error", (error) => reject(toAnchorError(error, "CIRCUIT_COMPILE", `cannot start circom for ${name}`)));
    child.on("close", (status) => {
      signal?.removeEventListener("abort", stop);
      if (signal?.aborted) reject(new AnchorError("ABORTED", `compilation of ${name} was stopped`));
      else if (status === 0) resolve();
      else {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: circom colours its messages
        const plain = output.replace(/\u001b\[[0-9;]*m/g, "").trim();
        const line = plain.split("\n").find((text) => /^error/i.test(text)) ?? plain.split("\n")[0] ?? "no message";
        const place = /┌─ "(.+?)":(\d+):/.exec(plain);
        const at = place ? ` (${place[1]}, line ${place[2]})` : "";
        reject(
          new AnchorError("CIRCUIT_COMPILE", `circom refused ${name}: ${line}${at}`, { details: { output: plain } }),
        );
      }
    });
  });
}
