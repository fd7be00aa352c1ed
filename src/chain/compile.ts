/**
 * Compiles Solidity with the pinned `solc` package, in a worker thread, with a content-addressed cache.
 *
 * Imports are gathered before the compiler starts, so that the cache's key covers every line that goes into the
 * bytecode: own sources, imported packages, settings and the compiler's version.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, posix, sep } from "node:path";
import { Worker } from "node:worker_threads";
import type { InterfaceAbi } from "ethers";
import { readArtefact } from "../circuit/entry.js";
import { type ArtefactStore, defaultStore } from "../circuit/store.js";
import { AnchorError, throwIfAborted, toAnchorError } from "../errors.js";
import { PACKAGE_ROOT } from "../paths.js";

const require = createRequire(import.meta.url);

/** Folder of the package's own contracts. */
const CONTRACTS_ROOT = join(PACKAGE_ROOT, "verifier-contracts", "src");

const ARTEFACTS = "contracts.json";

/** What the build leaves of the package's own contracts. */
const BUILT = join(PACKAGE_ROOT, "dist", "contracts.json");

/**
 * Settings of every contract of the project. `bytecodeHash: "none"` and no CBOR trailer make the bytecode a function of
 * the code alone, so that two builds of one source compare byte by byte.
 */
export const COMPILER_SETTINGS = {
  evmVersion: "cancun",
  optimizer: { enabled: true, runs: 1_000_000 },
  viaIR: false,
  metadata: { bytecodeHash: "none", appendCBOR: false },
} as const;

export interface ContractArtefact {
  abi: InterfaceAbi;
  /** Creation code, 0x-hex; `0x` for interfaces and libraries without code. */
  bytecode: `0x${string}`;
  /** Code as it is deployed, but for its immutables, in whose places are zeros. */
  runtime: `0x${string}`;
  /** Where in `runtime` the constructor puts values, in bytes. */
  immutables: { start: number; length: number }[];
  /** Bytes of the deployed code. EIP-170 allows 24,576. */
  deployedSize: number;
  /** As the compiler describes it. */
  storageLayout: StorageLayout;
}

/** Where state variables lie. `types` describes those that `storage` and other types name. */
export interface StorageLayout {
  storage: { label: string; offset: number; slot: string; type: string }[];
  types: Record<
    string,
    {
      label: string;
      encoding: string;
      numberOfBytes: string;
      key?: string;
      value?: string;
      base?: string;
      members?: StorageLayout["storage"];
    }
  > | null;
}

export type ContractArtefacts = Record<string, ContractArtefact>;

export interface CompileContractsOptions {
  signal?: AbortSignal | undefined;
  store?: ArtefactStore | undefined;
}

/** Version of the installed compiler, such as `0.8.37`; read without loading its 9 MB of WebAssembly. */
export function solcVersion(): string {
  return (require("solc/package.json") as { version: string }).version;
}

/**
 * Compiles sources, or takes the result from the store.
 *
 * @param sources  text by path. Paths are only names; relative imports between them are resolved by path, anything
 *                 else (`@openzeppelin/contracts/…`) is looked for in the installed packages
 * @returns an artefact for every contract that `sources` themselves define, by name; imported packages are left out
 * @throws CONTRACT_COMPILE with the compiler's first error, or when two sources define one name; ABORTED
 */
export async function compileContracts(
  sources: Record<string, string>,
  options: CompileContractsOptions = {},
): Promise<ContractArtefacts> {
  throwIfAborted(options.signal);
  return compileInput(await compilerInput(sources), options);
}

interface CompilerInput {
  /** The compiler's standard JSON. */
  json: string;
  /** Paths of the sources whose contracts are wanted. */
  own: string[];
  /** SHA-256 over all that the result depends on. */
  key: string;
}

async function compilerInput(sources: Record<string, string>): Promise<CompilerInput> {
  const all = await gatherImports(sources);
  const own = Object.keys(sources).sort();
  const json = JSON.stringify({
    language: "Solidity",
    sources: Object.fromEntries(
      [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, content]) => [path, { content }]),
    ),
    settings: {
      ...COMPILER_SETTINGS,
      outputSelection: {
        "*": {
          "*": [
            "abi",
            "storageLayout",
            "evm.bytecode.object",
            "evm.deployedBytecode.object",
            "evm.deployedBytecode.immutableReferences",
          ],
        },
      },
    },
  });
  const key = createHash("sha256")
    .update(`solc ${solcVersion()}\n${own.join("\n")}\n\n${json}`)
    .digest("hex");
  return { json, own, key };
}

async function compileInput(
  { json, own, key }: CompilerInput,
  { signal, store }: CompileContractsOptions,
): Promise<ContractArtefacts> {
  const directory = await (store ?? defaultStore()).build(
    "contracts",
    key,
    async (workshop) => {
      const output = await runSolc(json, signal);
      await writeFile(join(workshop, ARTEFACTS), JSON.stringify(collect(output, own)));
    },
    { signal, label: own.join(", ") },
  );
  return JSON.parse((await readArtefact(directory, ARTEFACTS)).toString()) as ContractArtefacts;
}

/**
 * The package's own contracts: registry, token, quorum, gate, settlement and facades. As compiled when the package was built, if
 * sources and compiler are still those.
 */
export async function compileProtocolContracts(options: CompileContractsOptions = {}): Promise<ContractArtefacts> {
  throwIfAborted(options.signal);
  const input = await compilerInput(await protocolSources());
  return (await readBuilt(input.key)) ?? (await compileInput(input, options));
}

/** Part of the package's build: the compiler takes longer than anything else when a contract is first used. */
export async function buildProtocolContracts(): Promise<void> {
  const input = await compilerInput(await protocolSources());
  if (await readBuilt(input.key)) return;
  const artefacts = await compileInput(input, {});
  await writeFile(`${BUILT}.new`, JSON.stringify({ key: input.key, artefacts }));
  await rename(`${BUILT}.new`, BUILT);
}

async function readBuilt(key: string): Promise<ContractArtefacts | undefined> {
  try {
    const built = JSON.parse(await readFile(BUILT, "utf8")) as { key: string; artefacts: ContractArtefacts };
    return built.key === key ? built.artefacts : undefined;
  } catch {
    return undefined; // not built, or of a build that was interrupted
  }
}

/** Sources of the package's own contracts, by path. @throws FILE_NOT_FOUND when the package is incomplete */
export async function protocolSources(): Promise<Record<string, string>> {
  try {
    const sources: Record<string, string> = {};
    const paths = await readdir(CONTRACTS_ROOT, { recursive: true });
    for (const path of paths.map((each) => each.split(sep).join("/")).sort()) {
      if (path.endsWith(".sol")) sources[path] = await readFile(join(CONTRACTS_ROOT, path), "utf8");
    }
    return sources;
  } catch (error) {
    throw toAnchorError(
      error,
      "FILE_NOT_FOUND",
      `the package's contracts are missing from ${CONTRACTS_ROOT}; reinstall it`,
    );
  }
}

const IMPORT = /^[ \t]*import\s+(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']\s*;/gm;

/** Follows imports. One that is nowhere to be found is left to the compiler, whose message names the importing line. */
async function gatherImports(sources: Record<string, string>): Promise<Map<string, string>> {
  const all = new Map(Object.entries(sources));
  const queue = [...all.keys()];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    for (const [, target] of all.get(path)!.matchAll(IMPORT)) {
      const resolved = target!.startsWith(".") ? posix.join(posix.dirname(path), target!) : target!;
      if (all.has(resolved)) continue;
      const text = await readPackageFile(resolved);
      if (text === undefined) continue;
      all.set(resolved, text);
      queue.push(resolved);
    }
  }
  return all;
}

async function readPackageFile(path: string): Promise<string | undefined> {
  if (path.startsWith(".") || path.startsWith("/")) return undefined;
  let file: string;
  try {
    file = require.resolve(path);
  } catch {
    return undefined; // not a package, or a package without this file: the compiler says so
  }
  return readFile(file, "utf8");
}

/**
 * The worker's whole program. It is plain JavaScript text, so that it runs the same from TypeScript sources and from the
 * built package; soljson's process-wide exception handlers stay inside the thread.
 */
const WORKER = `
const { parentPort, workerData } = require("node:worker_threads");
const solc = require(workerData.solc);
parentPort.postMessage(solc.compile(workerData.input));
`;

/** Terminating the thread is the only way to stop a WebAssembly call that is under way. */
function runSolc(input: string, signal: AbortSignal | undefined): Promise<SolcOutput> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, {
      eval: true,
      workerData: { solc: require.resolve("solc"), input },
      execArgv: [],
    });
    let settled = false;
    const settle = (act: () => void) => {
      if (settled) return;
      settled = true;
      signal?.removeEventListener("abort", onAbort);
      void worker.terminate().then(act, act);
    };
    const onAbort = () =>
      settle(() => reject(new AnchorError("ABORTED", "compilation stopped on request", { cause: signal?.reason })));
    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    worker.once("message", (text: string) =>
      settle(() => {
        try {
          resolve(JSON.parse(text) as SolcOutput);
        } catch (error) {
          reject(toAnchorError(error, "CONTRACT_COMPILE", "the compiler's answer is not JSON"));
        }
      }),
    );
    worker.once("error", (error) =>
      settle(() => reject(toAnchorError(error, "CONTRACT_COMPILE", "the Solidity compiler crashed"))),
    );
    worker.once("exit", (code) =>
      settle(() => reject(new AnchorError("CONTRACT_COMPILE", `the Solidity compiler stopped early (exit ${code})`))),
    );
  });
}

interface SolcOutput {
  errors?: { severity: string; message: string; formattedMessage?: string }[];
  contracts?: Record<
    string,
    Record<
      string,
      {
        abi: InterfaceAbi;
        storageLayout: StorageLayout;
        evm: {
          bytecode: { object: string };
          deployedBytecode: {
            object: string;
            immutableReferences?: Record<string, { start: number; length: number }[]>;
          };
        };
      }
    >
  >;
}

function collect(output: SolcOutput, own: string[]): ContractArtefacts {
  const fatal = output.errors?.filter((entry) => entry.severity === "error") ?? [];
  if (fatal.length > 0) {
    throw new AnchorError("CONTRACT_COMPILE", `solc: ${fatal[0]!.message.split("\n", 1)[0]}`, {
      details: { errors: fatal.map((entry) => entry.formattedMessage ?? entry.message) },
    });
  }
  const artefacts: ContractArtefacts = {};
  for (const path of own) {
    for (const [name, contract] of Object.entries(output.contracts?.[path] ?? {})) {
      if (Object.hasOwn(artefacts, name)) {
        throw new AnchorError("CONTRACT_COMPILE", `two sources define a contract named ${name}; rename one`, {
          details: { name, path },
        });
      }
      artefacts[name] = {
        abi: contract.abi,
        bytecode: `0x${contract.evm.bytecode.object}`,
        runtime: `0x${contract.evm.deployedBytecode.object}`,
        immutables: Object.values(contract.evm.deployedBytecode.immutableReferences ?? {}).flat(),
        deployedSize: contract.evm.deployedBytecode.object.length / 2,
        storageLayout: contract.storageLayout,
      };
    }
  }
  return artefacts;
}

/** An artefact by name. @throws CONTRACT_COMPILE when the sources define no such contract */
export function artefact(artefacts: ContractArtefacts, name: string): ContractArtefact {
  const found = Object.hasOwn(artefacts, name) ? artefacts[name] : undefined;
  if (!found) throw new AnchorError("CONTRACT_COMPILE", `no contract named ${name} among the compiled ones`);
  return found;
}
