/**
 * What no source of a contract may contain, whatever a linter thinks of it.
 *
 * @module
 */
import { lineAt, type SoliditySource } from "./source.js";

export interface Problem {
  code: string;
  message: string;
}

/** Which sources a gate is for: tests may do what contracts that are deployed may not. */
export type Kind = "contract" | "test";

interface Gate {
  code: string;
  why: string;
  /** Where in the code; of assembly, only what stands in its blocks. */
  pattern: RegExp;
  within?: "assembly";
}

const GATES: readonly Gate[] = [
  {
    code: "GAS_FIXED",
    why: "gas prices of precompiles change (EIP-7904): a call in assembly passes on gas()",
    pattern: /\b(?:staticcall|call|delegatecall|callcode)\s*\((?!\s*gas\s*\(\s*\)\s*,)/g,
    within: "assembly",
  },
  {
    code: "GAS_FIXED",
    why: "gas prices change: no amount of gas is written into a call",
    pattern: /\bgas\s*:\s*\d/g,
  },
  { code: "TX_ORIGIN", why: "tx.origin authenticates nobody", pattern: /\btx\s*\.\s*origin\b|\borigin\s*\(\s*\)/g },
  { code: "SELFDESTRUCT", why: "no contract of the project ends", pattern: /\b(?:selfdestruct|suicide)\b/g },
  {
    code: "DELEGATECALL",
    why: "no contract runs another one's code on its own storage",
    pattern: /\b(?:delegatecall|callcode)\b/g,
  },
  {
    code: "ASSEMBLY_RETURN",
    why: "it ends the caller's call when the contract is inherited (snarkjs #392)",
    pattern: /\b(?:return|stop)\s*\(/g,
    within: "assembly",
  },
  {
    code: "REQUIRE",
    why: "refusals are custom errors with arguments",
    pattern: /\brequire\s*\(|\brevert\s*\(\s*(?:"|\))/g,
  },
];

/** Places that a gate refuses and that have been looked at. One that is no longer there is a problem as well. */
export interface Reviewed {
  path: string;
  code: string;
  /** The line, without the blanks around it. */
  line: string;
  reason: string;
}

export const REVIEWED: readonly Reviewed[] = [
  {
    path: "src/quorum/BadProof.sol",
    code: "GAS_FIXED",
    line: "malformed := iszero(staticcall(share, 0x08, input, 0x180, 0x00, 0x20))",
    reason: "a share of the gas that there is, so that a control of the same price can follow",
  },
  {
    path: "src/quorum/BadProof.sol",
    code: "GAS_FIXED",
    line: "control := staticcall(share, 0x08, input, 0x180, 0x00, 0x20)",
    reason: "the same share, measured against this chain's own price",
  },
  {
    path: "src/verifier/UniversalVerifier.sol",
    code: "ASSEMBLY_RETURN",
    line: "return(add(blob, 0x20), mload(blob))",
    reason: "of a constructor: what it returns is the code that is deployed, and nobody inherits it",
  },
];

const SPDX = "// SPDX-License-Identifier: Apache-2.0\n";

/** A licence that other people's code came with, or the marks of snarkjs' templates. */
const FOREIGN = /\bA?L?GPL\b|General Public License|0KIMS|iden3|SPDX-License-Identifier:(?! Apache-2\.0\n)/i;

export function checkSource(source: SoliditySource, kind: Kind, compiler: string): Problem[] {
  const { path, text, code, assembly } = source;
  const problems: Problem[] = [];
  const found = (problem: string, offset: number, why: string) =>
    problems.push({ code: problem, message: `${path}:${lineAt(text, offset)}: ${why}` });

  if (!text.startsWith(SPDX)) found("LICENCE", 0, "the first line is not the Apache-2.0 licence");
  const foreign = FOREIGN.exec(text);
  if (foreign) found("LICENCE", foreign.index, `"${foreign[0]}" does not belong into our sources`);

  const pragmas = [...code.matchAll(/\bpragma\b([^;]*);/g)];
  if (pragmas.length !== 1 || pragmas[0]![1]!.trim() !== `solidity ${compiler}`) {
    found("PRAGMA", pragmas[0]?.index ?? 0, `the only pragma must be "solidity ${compiler}"`);
  }
  if (kind === "test") return problems;
  for (const { code: problem, why, pattern, within } of GATES) {
    for (const match of code.matchAll(pattern)) {
      const inside = assembly.some(({ start, end }) => start <= match.index && match.index < end);
      if (within === undefined || inside) found(problem, match.index, why);
    }
  }
  return problems;
}

/** What of the problems has not been reviewed, and reviews of what is no longer there. */
export function applyReviews(
  problems: readonly Problem[],
  sources: readonly SoliditySource[],
  reviewed: readonly Reviewed[],
): Problem[] {
  const texts = new Map(sources.map(({ path, text }) => [path, text]));
  const used = new Set<Reviewed>();
  const left = problems.filter(({ code, message }) => {
    const [, path, line] = /^(.*?):(\d+): /.exec(message)!;
    const text = texts.get(path!)?.split("\n")[Number(line) - 1]?.trim();
    const review = reviewed.find((each) => each.path === path && each.code === code && each.line === text);
    if (review) used.add(review);
    return review === undefined;
  });
  const stale = reviewed
    .filter((review) => !used.has(review))
    .map(({ path, code, line }) => ({ code: "REVIEW_STALE", message: `${path}: no ${code} at "${line}" any more` }));
  return [...left, ...stale];
}

/** Names of what a source defines that has an artefact. */
export function definitions({ code }: SoliditySource): string[] {
  return [...code.matchAll(/^[ \t]*(?:abstract\s+)?(?:contract|interface|library)\s+([A-Za-z_$][\w$]*)/gm)].map(
    ([, name]) => name!,
  );
}

/** foundry's settings, where they differ from those that the package compiles with. */
export function checkSettings(
  toml: string,
  settings: {
    evmVersion: string;
    optimizer: { enabled: boolean; runs: number };
    viaIR: boolean;
    metadata: { bytecodeHash: string; appendCBOR: boolean };
  },
): Problem[] {
  const [profile = ""] = /^\[profile\.default\]\n([\s\S]*?)(?=^\[|(?![\s\S]))/m.exec(toml)?.slice(1) ?? [];
  const values = new Map(
    [...profile.matchAll(/^(\w+)\s*=\s*(.*?)\s*$/gm)].map(([, name, value]) => [name!, value!.replaceAll("_", "")]),
  );
  const expected: Record<string, string> = {
    evm_version: JSON.stringify(settings.evmVersion),
    optimizer: String(settings.optimizer.enabled),
    optimizer_runs: String(settings.optimizer.runs),
    via_ir: String(settings.viaIR),
    bytecode_hash: JSON.stringify(settings.metadata.bytecodeHash),
    cbor_metadata: String(settings.metadata.appendCBOR),
    solc: '"./solc-shim.mjs"',
    offline: "true",
  };
  return Object.entries(expected)
    .filter(([name, value]) => values.get(name) !== value)
    .map(([name, value]) => ({
      code: "SETTINGS",
      message: `foundry.toml: ${name} is ${values.get(name) ?? "not set"}, and src/chain/compile.ts has ${value}`,
    }));
}
