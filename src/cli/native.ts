import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AnchorError, throwIfAborted } from "../errors.js";
import {
  type Card,
  type CudaStatus,
  cudaStatus,
  NATIVE_ADDON,
  NATIVE_PROVER,
  type NativeStatus,
  nativeStatus,
  wantedNative,
} from "../field/native.js";
import { PACKAGE_ROOT } from "../paths.js";
import { formatBytes } from "../text.js";
import { type Command, pretty } from "./command.js";

/** Said once a process, before a command that the core would have made faster; `undefined` when there is no reason. */
export function missingCoreNote(): string | undefined {
  const status = nativeStatus();
  return status.available || status.kind === "off" ? undefined : `note: ${status.reason}; JavaScript serves, slowly`;
}

export const nativeBuildCommand: Command = {
  name: "native build",
  summary: "compile the native core on this machine",
  help: `
  --force            also when it is up to date

Needs a C++ compiler (g++ or clang++), make and Python 3; nothing is downloaded. The result is kept in the package's own
folder, native/build. Without it everything works in JavaScript, with the same answers, but more slowly.
`,
  options: { force: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    wantedNative(); // refuses an unknown name now, not after the build
    terminal.busy("compiling the native core");
    const args = values["force"] ? ["build", "--json", "--force"] : ["build", "--json"];
    const { ok, message, log } = (await buildScript(args, signal)) as { ok: boolean; message: string; log?: string };
    if (!ok) throw new AnchorError("NATIVE_UNAVAILABLE", log ? `${message} (log: ${log})` : message);
    terminal.line(message);
    terminal.line(describe(nativeStatus()));
  },
};

export const nativeStatusCommand: Command = {
  name: "native status",
  summary: "whether the native core is built and which engine serves, and which GPUs",
  help: `
  --json             print everything as JSON

ANCHORPROOF_NATIVE forces one engine (portable, adx, ifma) or JavaScript (off). ANCHORPROOF_CUDA names another GPU library
than the one that \`npm run build:cuda\` makes, or none (off).
`,
  options: { json: { type: "boolean" } },
  positionals: [],
  async run({ values, terminal, signal }) {
    const status = nativeStatus();
    const { current, ...toolchain } = (await buildScript(["check"], signal)) as Check;
    if (values["json"]) {
      const files = { addon: NATIVE_ADDON, prover: proverFile() ?? null };
      return terminal.line(pretty({ ...status, ...files, current, toolchain, cuda: cudaStatus() }).trimEnd());
    }
    terminal.line(describe(status));
    if (status.available) {
      terminal.line(`engines    ${status.engines.join(", ")}`);
      terminal.line(`processor  ${status.cpuFeatures.join(", ") || "no feature that an engine uses"}`);
      terminal.line(`built by   ${status.compiler}`);
      terminal.line(`prover     ${proverFile() ?? "missing (anchorproof native build)"}`);
      if (!current) terminal.line("its sources or settings have changed since (anchorproof native build)");
    }
    for (const line of describeCards(cudaStatus())) terminal.line(line);
    terminal.line(`compiler   ${toolchain.compiler ?? "none"}`);
    if (toolchain.problem !== null) terminal.line(`a build would fail: ${toolchain.problem}`);
  },
};

/** What `build.mjs check` prints. */
interface Check {
  /** The addon is that of the present sources and settings. */
  current: boolean;
  /** Why a build would fail before it starts. */
  problem: string | null;
  compiler: string | null;
  make: string | null;
  python: string | null;
}

/** The program that stands in for rapidsnark's `prover`; `undefined` when it is not built. */
function proverFile(): string | undefined {
  return existsSync(NATIVE_PROVER) ? NATIVE_PROVER : undefined;
}

function describe(status: NativeStatus): string {
  return status.available ? `native core: ${status.engine}` : `JavaScript serves: ${status.reason}`;
}

function describeCards(status: CudaStatus): string[] {
  if (!status.available) return [`GPU        none: ${status.reason}`];
  const { library, emulated, build, cards } = status;
  return [
    ...cards.map((card, i) => `GPU ${`${i}`.padEnd(6)} ${cardTitle(card)}`),
    `GPU by     ${library} (${build})${emulated ? ", which emulates the card on the CPU: for tests" : ""}`,
  ];
}

export function cardTitle({ name, memoryBytes, computeCapability, driver }: Card): string {
  return `${name}, ${formatBytes(memoryBytes)}, compute capability ${computeCapability}, driver for CUDA ${driver}`;
}

/** Runs native/build.mjs and reads its one line of JSON. @throws ABORTED, INTERNAL */
async function buildScript(args: readonly string[], signal: AbortSignal): Promise<unknown> {
  throwIfAborted(signal);
  const script = join(PACKAGE_ROOT, "native", "build.mjs");
  const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  // It stops the compiler and clears up before it ends.
  const stop = () => child.kill("SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  signal.removeEventListener("abort", stop);
  throwIfAborted(signal);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AnchorError("INTERNAL", `${script} gave no answer`, { cause: error });
  }
}
