/**
 * Runs forge's formatter and linter, and solhint, over the contracts.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { findFoundry } from "../../src/chain/foundry.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import type { Problem } from "./gates.js";

export const CONTRACTS = join(PACKAGE_ROOT, "verifier-contracts");

const require = createRequire(import.meta.url);

/** Any difference from how forge writes it, and any message of its linter. */
export function forgeProblems(root = CONTRACTS): Problem[] {
  const forge = findFoundry("forge");
  const formatted = run(forge, ["fmt", "--check", "--root", root], root);
  const linted = run(forge, ["lint", "--deny", "notes", "--root", root], root);
  const problems: Problem[] = [];
  if (formatted.status !== 0) problems.push({ code: "FORMAT", message: `forge fmt --check:\n${formatted.output}` });
  // The linter's exit status does not tell notes; what it prints does.
  if (linted.status !== 0 || /^(?:warning|note|error)\b/m.test(linted.output)) {
    problems.push({ code: "FORGE_LINT", message: linted.output });
  }
  return problems;
}

interface Report {
  filePath: string;
  line: number;
  severity: string;
  ruleId: string;
  message: string;
}

/** @param files relative to the root, and more than none: solhint says nothing when it finds no file */
export function solhintProblems(files: readonly string[], root = CONTRACTS): Problem[] {
  const folder = dirname(require.resolve("solhint/package.json"));
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { bin: { solhint: string } };
  const config = join(CONTRACTS, ".solhintrc.yaml");
  const args = [join(folder, bin.solhint), "--disc", "--noPoster", "--noPrompt", "-c", config, "-f", "json", ...files];
  const { status, output } = run(process.execPath, args, root);
  const line = output.split("\n").find((each) => each.startsWith("["));
  let reports: Report[];
  try {
    // A clean run prints an empty list, and its conclusion after the list otherwise.
    reports = (JSON.parse(line!) as Partial<Report>[]).filter((each): each is Report => each.ruleId !== undefined);
  } catch {
    return [{ code: "TOOL_FAILED", message: `solhint ended with ${status}:\n${output}` }];
  }
  return reports.map(({ filePath, line: at, ruleId, message }) => ({
    code: "SOLHINT",
    message: `${filePath}:${at}: ${message} (${ruleId})`,
  }));
}

function run(file: string, args: readonly string[], cwd: string): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(file, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: forge colours its messages
  return { status, output: `${stdout}${stderr}`.replace(/\u001b\[[0-9;]*m/g, "") };
}
