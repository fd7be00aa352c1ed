#!/usr/bin/env node
/**
 * `anchorproof`: finds the command, reads its options, prints its failure in one line.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AnchorError, toAnchorError } from "../errors.js";
import { PACKAGE_ROOT } from "../paths.js";
import { printable } from "../text.js";
import { benchCommand } from "./bench.js";
import { cacheListCommand, cachePruneCommand, cacheVerifyCommand } from "./cache.js";
import {
  ceremonyAcceptCommand,
  ceremonyContributeCommand,
  ceremonyFinalizeCommand,
  ceremonyInitCommand,
  ceremonyReportCommand,
  ceremonyServeCommand,
  ceremonySkipCommand,
  ceremonyStatusCommand,
  ceremonyVerifyCommand,
} from "./ceremony.js";
import { circuitCheckCommand } from "./circuit.js";
import type { Command } from "./command.js";
import { contractGenerateCommand, contractVerifySourceCommand } from "./contract.js";
import {
  datasetCommitCommand,
  datasetExtendCommand,
  datasetInfoCommand,
  datasetSeedBackupCommand,
  datasetSeedRestoreCommand,
} from "./dataset.js";
import { datasetClaimCommand, datasetOpenCommand, datasetProveCommand, datasetVerifyCommand } from "./datasetProof.js";
import { demoCommand } from "./demo.js";
import { contractDeployCommand, contractStatusCommand } from "./deploy.js";
import { keyExportCommand, keyLintCommand } from "./key.js";
import { modelEvaluateCommand, modelImportCommand, modelInfoCommand } from "./model.js";
import { missingCoreNote, nativeBuildCommand, nativeStatusCommand } from "./native.js";
import { datasetPovCommand } from "./pov.js";
import { proveCircuitCommand, proveInferenceCommand } from "./prove.js";
import {
  circuitExportCommand,
  keyBeaconCommand,
  keyContributeCommand,
  keyNewCommand,
  keyVerifyCommand,
  ptauImportCommand,
  ptauListCommand,
  ptauNewCommand,
} from "./setup.js";
import { teeBundleCommand, teeInspectCommand, teePolicyCommand, teeVerifyCommand } from "./tee.js";
import { Terminal } from "./terminal.js";
import { verifyCommand } from "./verify.js";
import { verifyInferenceCommand } from "./verifyInference.js";

const COMMANDS: readonly Command[] = [
  demoCommand,
  datasetCommitCommand,
  datasetInfoCommand,
  datasetExtendCommand,
  datasetSeedBackupCommand,
  datasetSeedRestoreCommand,
  datasetProveCommand,
  datasetClaimCommand,
  datasetOpenCommand,
  datasetVerifyCommand,
  datasetPovCommand,
  modelImportCommand,
  modelEvaluateCommand,
  modelInfoCommand,
  proveInferenceCommand,
  proveCircuitCommand,
  // Before the shorter name that it begins with.
  verifyInferenceCommand,
  verifyCommand,
  teeVerifyCommand,
  teeInspectCommand,
  teeBundleCommand,
  teePolicyCommand,
  circuitCheckCommand,
  circuitExportCommand,
  ptauImportCommand,
  ptauListCommand,
  ptauNewCommand,
  keyNewCommand,
  keyContributeCommand,
  keyBeaconCommand,
  keyVerifyCommand,
  ceremonyInitCommand,
  ceremonyServeCommand,
  ceremonyStatusCommand,
  ceremonyContributeCommand,
  ceremonyAcceptCommand,
  ceremonySkipCommand,
  ceremonyFinalizeCommand,
  ceremonyVerifyCommand,
  ceremonyReportCommand,
  keyLintCommand,
  keyExportCommand,
  contractGenerateCommand,
  contractVerifySourceCommand,
  contractDeployCommand,
  contractStatusCommand,
  benchCommand,
  cacheListCommand,
  cacheVerifyCommand,
  cachePruneCommand,
  nativeBuildCommand,
  nativeStatusCommand,
];

/** Options that every command takes. */
const COMMON = { help: { type: "boolean", short: "h" } } as const;

async function main(args: readonly string[]): Promise<void> {
  const terminal = new Terminal();
  if (args[0] === "--version" || args[0] === "-v") {
    const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string };
    return terminal.line(version);
  }
  const command = COMMANDS.find(({ name }) => name.split(" ").every((word, i) => args[i] === word));
  if (!command) return overview(terminal, args);
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
  const stop = new AbortController();
  const onSignal = () => {
    // The first one asks everything to end; the second one does not ask.
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  if (!/^(native|cache|setup ptau|setup ceremony|setup key (contribute|beacon|verify)|contract) ?/.test(command.name)) {
    const note = missingCoreNote();
    if (note !== undefined) process.stderr.write(`${printable(note)}\n`);
  }
  await command.run({ values: parsed.values as never, positionals, terminal, signal: stop.signal });
}

function overview(terminal: Terminal, args: readonly string[]): void {
  const words = args.filter((word) => !word.startsWith("-"));
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${words[0]} `));
  const wantsHelp = args.length === 0 || args.includes("--help") || args.includes("-h") || words[0] === "help";
  if (!wantsHelp || (words.length > 0 && words[0] !== "help" && group.length === 0)) {
    const known = group.length > 0 ? group : COMMANDS;
    throw new AnchorError(
      "USAGE",
      `unknown command "${words.join(" ") || args.join(" ")}"; there are: ${known.map(({ name }) => name).join(", ")}`,
    );
  }
  const shown = group.length > 0 ? group : COMMANDS;
  const width = Math.max(...shown.map(({ name }) => name.length));
  terminal.line("anchorproof: verified computing for the LazAI protocol");
  terminal.line();
  terminal.line("usage: anchorproof COMMAND [options]      (anchorproof COMMAND --help for each)");
  terminal.line();
  for (const { name, summary } of shown) terminal.line(`  ${name.padEnd(width)}  ${summary}`);
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

// Who reads our lines may have had enough of them (`| head`): the work goes on, and its files get written.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  await main(process.argv.slice(2));
  process.exit(process.exitCode ?? 0);
} catch (error) {
  const { code, message } = toAnchorError(error, "INTERNAL", "anchorproof failed");
  if (process.stdout.isTTY) process.stdout.write("\r\u001b[K");
  process.stderr.write(`error ${code}: ${printable(message.replaceAll("\n", " "))}\n`);
  if (process.env["ANCHORPROOF_DEBUG"]) console.error(error);
  process.exit(code === "ABORTED" ? 130 : 1);
}
