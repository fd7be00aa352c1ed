/**
 * Contract checks: forge's formatter and linter, solhint, what no source may contain, sizes under the EVM's limits,
 * foundry's settings against the package's, and where state lies against the last time
 * (`verifier-contracts/snapshots/storage.json`).
 *
 *     npx tsx .ci/contracts.ts             exits 1 if anything is found
 *     npx tsx .ci/contracts.ts --update    writes the layouts, and shows what changed
 *
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMPILER_SETTINGS, compileContracts, compileProtocolContracts, solcVersion } from "../src/chain/compile.js";
import { checkSizes, compareLayouts, type Layouts, layoutsOf } from "./contracts/artefacts.js";
import { applyReviews, checkSettings, checkSource, definitions, type Problem, REVIEWED } from "./contracts/gates.js";
import { readSolidity, type SoliditySource } from "./contracts/source.js";
import { CONTRACTS, forgeProblems, solhintProblems } from "./contracts/tools.js";

const LAYOUTS = join(CONTRACTS, "snapshots", "storage.json");

async function main(update: boolean): Promise<number> {
  const started = performance.now();
  const found: Problem[] = [];
  const compiler = solcVersion();
  const read = (folder: string, suffix: string) =>
    readdirSync(join(CONTRACTS, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(suffix))
      .sort()
      .map((path) => readSolidity(join(folder, path), readFileSync(join(CONTRACTS, folder, path), "utf8")));
  const [own, templates, generated, tests] = [
    read("src", ".sol"),
    read("templates", ".sol.tmpl"),
    read("generated", ".sol"),
    read("test", ".sol"),
  ];
  const contracts = [...own, ...templates, ...generated];
  for (const source of contracts) found.push(...checkSource(source, "contract", compiler));
  for (const source of tests) found.push(...checkSource(source, "test", compiler));
  const problems = applyReviews(found, [...contracts, ...tests], REVIEWED);
  problems.push(...checkSettings(readFileSync(join(CONTRACTS, "foundry.toml"), "utf8"), COMPILER_SETTINGS));

  const artefacts = await compileProtocolContracts();
  const golden = await compileContracts(Object.fromEntries(generated.map(({ path, text }) => [path, text])));
  problems.push(...checkCompiled(own, Object.keys(artefacts)), ...checkCompiled(generated, Object.keys(golden)));
  problems.push(...checkSizes({ ...artefacts, ...golden }));

  const layouts = layoutsOf(artefacts);
  const changes = compareLayouts(readLayouts(), layouts);
  if (update) {
    writeFileSync(LAYOUTS, `${JSON.stringify(layouts, null, 2)}\n`);
    for (const { message } of changes) console.log(`updated ${message}`);
  } else {
    problems.push(...changes);
  }

  problems.push(...solhintProblems([...own, ...generated].map(({ path }) => path)), ...forgeProblems());
  for (const { code, message } of problems) console.error(`${code} ${message}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const count = own.length + templates.length + generated.length + tests.length;
  console.log(
    `contracts: ${count} sources, ${Object.keys(layouts).length} layouts, ${problems.length} problems, ${seconds} s`,
  );
  return problems.length > 0 ? 1 : 0;
}

/** A source that the package forgets to compile would be checked by nobody. */
function checkCompiled(sources: readonly SoliditySource[], compiled: readonly string[]): Problem[] {
  return sources.flatMap((source) =>
    definitions(source)
      .filter((name) => !compiled.includes(name))
      .map((name) => ({ code: "NOT_COMPILED", message: `${source.path}: ${name} is not among what is compiled` })),
  );
}

/** Nothing where there is no snapshot yet: then everything is a difference. */
function readLayouts(): Layouts {
  try {
    return JSON.parse(readFileSync(LAYOUTS, "utf8")) as Layouts;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}

main(process.argv.includes("--update")).then(
  (status) => process.exit(status),
  (error: unknown) => {
    console.error(error);
    process.exit(2);
  },
);
