/**
 * The commands of `anchorproof`: finds the one that is called, and reads its options.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AnchorError } from "../errors.js";
import { PACKAGE_ROOT } from "../paths.js";
import { printable } from "../text.js";
import type { Command } from "./command.js";
import { missingCoreNote } from "./native.js";
import type { Terminal } from "./terminal.js";

/** By name. Its module is loaded when it is called: together they take several times as long as most of them run. */
const COMMANDS: readonly (readonly [name: string, load: () => Promise<Command>])[] = [
  ["demo", async () => (await import("./demo.js")).demoCommand],
  ["dataset commit", async () => (await import("./dataset.js")).datasetCommitCommand],
  ["dataset info", async () => (await import("./dataset.js")).datasetInfoCommand],
  ["dataset extend", async () => (await import("./dataset.js")).datasetExtendCommand],
  ["dataset seed backup", async () => (await import("./dataset.js")).datasetSeedBackupCommand],
  ["dataset seed restore", async () => (await import("./dataset.js")).datasetSeedRestoreCommand],
  ["dataset prove", async () => (await import("./datasetProof.js")).datasetProveCommand],
  ["dataset claim", async () => (await import("./datasetProof.js")).datasetClaimCommand],
  ["dataset open", async () => (await import("./datasetProof.js")).datasetOpenCommand],
  ["dataset verify", async () => (await import("./datasetProof.js")).datasetVerifyCommand],
  ["dataset pov", async () => (await import("./pov.js")).datasetPovCommand],
  ["model import", async () => (await import("./model.js")).modelImportCommand],
  ["model evaluate", async () => (await import("./model.js")).modelEvaluateCommand],
  ["model info", async () => (await import("./model.js")).modelInfoCommand],
  ["prove inference", async () => (await import("./prove.js")).proveInferenceCommand],
  ["prove circuit", async () => (await import("./prove.js")).proveCircuitCommand],
  // Before the shorter name that it begins with.
  ["verify inference", async () => (await import("./verifyInference.js")).verifyInferenceCommand],
  ["verify", async () => (await import("./verify.js")).verifyCommand],
  ["tee verify", async () => (await import("./tee.js")).teeVerifyCommand],
  ["tee inspect", async () => (await import("./tee.js")).teeInspectCommand],
  ["tee bundle", async () => (await import("./tee.js")).teeBundleCommand],
  ["tee policy", async () => (await import("./tee.js")).teePolicyCommand],
  ["circuit check", async () => (await import("./circuit.js")).circuitCheckCommand],
  ["setup circuit", async () => (await import("./setup.js")).circuitExportCommand],
  ["setup ptau import", async () => (await import("./setup.js")).ptauImportCommand],
  ["setup ptau list", async () => (await import("./setup.js")).ptauListCommand],
  ["setup ptau new", async () => (await import("./setup.js")).ptauNewCommand],
  ["setup key new", async () => (await import("./setup.js")).keyNewCommand],
  ["setup key contribute", async () => (await import("./setup.js")).keyContributeCommand],
  ["setup key beacon", async () => (await import("./setup.js")).keyBeaconCommand],
  ["setup key verify", async () => (await import("./setup.js")).keyVerifyCommand],
  ["setup ceremony init", async () => (await import("./ceremony.js")).ceremonyInitCommand],
  ["setup ceremony serve", async () => (await import("./ceremony.js")).ceremonyServeCommand],
  ["setup ceremony status", async () => (await import("./ceremony.js")).ceremonyStatusCommand],
  ["setup ceremony contribute", async () => (await import("./ceremony.js")).ceremonyContributeCommand],
  ["setup ceremony accept", async () => (await import("./ceremony.js")).ceremonyAcceptCommand],
  ["setup ceremony skip", async () => (await import("./ceremony.js")).ceremonySkipCommand],
  ["setup ceremony finalize", async () => (await import("./ceremony.js")).ceremonyFinalizeCommand],
  ["setup ceremony verify", async () => (await import("./ceremony.js")).ceremonyVerifyCommand],
  ["setup ceremony report", async () => (await import("./ceremony.js")).ceremonyReportCommand],
  ["key lint", async () => (await import("./key.js")).keyLintCommand],
  ["key export", async () => (await import("./key.js")).keyExportCommand],
  ["contract generate", async () => (await import("./contract.js")).contractGenerateCommand],
  ["contract verify-source", async () => (await import("./contract.js")).contractVerifySourceCommand],
  ["contract deploy", async () => (await import("./deploy.js")).contractDeployCommand],
  ["contract status", async () => (await import("./deploy.js")).contractStatusCommand],
  ["bench", async () => (await import("./bench.js")).benchCommand],
  ["cache list", async () => (await import("./cache.js")).cacheListCommand],
  ["cache verify", async () => (await import("./cache.js")).cacheVerifyCommand],
  ["cache prune", async () => (await import("./cache.js")).cachePruneCommand],
  ["native build", async () => (await import("./native.js")).nativeBuildCommand],
  ["native status", async () => (await import("./native.js")).nativeStatusCommand],
];

/** Options that every command takes. */
const COMMON = { help: { type: "boolean", short: "h" } } as const;

/** Runs what a command line says. @throws what the command throws, USAGE */
export async function runProgram(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<void> {
  if (args[0] === "--version" || args[0] === "-v") {
    const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string };
    return terminal.line(version);
  }
  const load = COMMANDS.find(([name]) => name.split(" ").every((word, i) => args[i] === word))?.[1];
  if (!load) return overview(terminal, args);
  const command = await load();
  const rest = args.slice(command.name.split(" ").length);
  if (rest.includes("--help") || rest.includes("-h")) return describe(terminal, command);

  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: rest,
      options: { ...command.options, ...COMMON },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    throw new AnchorError(
      "USAGE",
      `${(error as Error).message.split(". ")[0]} (see anchorproof ${command.name} --help)`,
    );
  }
  const { positionals } = parsed;
  const many = command.positionals.at(-1)?.endsWith("…") === true;
  if (!many && positionals.length > command.positionals.length) {
    throw new AnchorError(
      "USAGE",
      `unexpected "${positionals[command.positionals.length]}" (see anchorproof ${command.name} --help)`,
    );
  }
  if (!/^(native|cache|setup ptau|setup ceremony|setup key (contribute|beacon|verify)|contract) ?/.test(command.name)) {
    const note = missingCoreNote();
    if (note !== undefined) process.stderr.write(`${printable(note)}\n`);
  }
  await command.run({ values: parsed.values as never, positionals, terminal, signal });
}

async function overview(terminal: Terminal, args: readonly string[]): Promise<void> {
  const words = args.filter((word) => !word.startsWith("-"));
  const group = COMMANDS.filter(([name]) => name.startsWith(`${words[0]} `));
  const wantsHelp = args.length === 0 || args.includes("--help") || args.includes("-h") || words[0] === "help";
  if (!wantsHelp || (words.length > 0 && words[0] !== "help" && group.length === 0)) {
    const known = group.length > 0 ? group : COMMANDS;
    throw new AnchorError(
      "USAGE",
      `unknown command "${words.join(" ") || args.join(" ")}"; there are: ${known.map(([name]) => name).join(", ")}`,
    );
  }
  const shown = group.length > 0 ? group : COMMANDS;
  const width = Math.max(...shown.map(([name]) => name.length));
  terminal.line("anchorproof: verified computing for the LazAI protocol");
  terminal.line();
  terminal.line("usage: anchorproof COMMAND [options]      (anchorproof COMMAND --help for each)");
  terminal.line();
  for (const [name, load] of shown) terminal.line(`  ${name.padEnd(width)}  ${(await load()).summary}`);
  terminal.line();
  terminal.line("Failures print one line with a stable code and exit with status 1.");
  terminal.line("Artefacts are kept in $ANCHORPROOF_CACHE, else in ~/.cache/anchorproof.");
}

function describe(terminal: Terminal, { name, summary, help, positionals }: Command): void {
  terminal.line(`usage: anchorproof ${[name, ...positionals].join(" ")} [options]`);
  terminal.line();
  terminal.line(summary);
  terminal.line();
  terminal.line(help.replace(/^\n|\n$/g, ""));
}
