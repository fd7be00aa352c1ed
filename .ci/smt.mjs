/**
 * Proves with solc's SMTChecker (constrained Horn clauses, by z3) that the settlement's arithmetic conserves value: that no
 * assertion of `verifier-contracts/test/smt/SplitHarness.sol` can fail for any input, and nothing overflows, underflows or
 * divides by zero. Then it breaks the arithmetic, and looks that the checker finds a counterexample each time: one that says
 * yes to everything would go unnoticed otherwise.
 *
 *     node .ci/smt.mjs        exits 1 if anything is not proven, or something broken is; skips, saying so, without z3
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import solc from "solc";
import smtchecker from "solc/smtchecker.js";

const HARNESS = "test/smt/SplitHarness.sol";
const SPLIT = "src/settlement/Split.sol";
const PROVEN = /CHC: .* check is safe!/;

/** What is proven of each harness, and the number of assertions in it. */
const HARNESSES = {
  CostHarness: { targets: ["assert", "underflow", "divByZero"], assertions: 1 },
  PartHarness: { targets: ["assert", "overflow", "underflow", "divByZero"], assertions: 1 },
  LineageHarness: { targets: ["assert", "overflow", "underflow", "divByZero"], assertions: 1 },
};

/** Most seconds that z3 may take for one question. On an idle machine the longest takes less than two. */
const TIMEOUT = 60;

/** As solc calls it. */
const OPTIONS = [
  "rewriter.pull_cheap_ite=true",
  "fp.spacer.q3.use_qgen=true",
  "fp.spacer.mbqi=false",
  "fp.spacer.ground_pobs=false",
];

/** Ways to break the split, and the harness whose proof has to turn into a counterexample. */
const MUTATIONS = [
  {
    what: "the node's share is not taken out of the pool's",
    from: "part(cost, poolShare, nodeBps)",
    to: "part(cost, cost, nodeBps)",
    harness: "CostHarness",
  },
  {
    what: "a part is not taken out of the rest",
    from: "left = rest - amount;",
    to: "left = rest;",
    harness: "PartHarness",
  },
  {
    what: "one unit of each part is lost",
    from: "left = rest - amount;",
    to: "left = rest - amount; if (left > 0) --left;",
    harness: "LineageHarness",
  },
  {
    what: "a part may be more than is left",
    from: "if (amount > rest) amount = rest;",
    to: "",
    harness: "PartHarness",
  },
  {
    what: "one unit too much stays",
    from: "left = rest - amount;",
    to: "left = rest - amount + 1;",
    harness: "LineageHarness",
  },
  { what: "costs have no bound", from: "type(uint128).max", to: "type(uint256).max", harness: "PartHarness" },
];

function read(path) {
  return readFileSync(new URL(`../verifier-contracts/${path}`, import.meta.url), "utf8");
}

/** z3's answer; where it has none in time, solc takes the question for open. */
function z3(query) {
  const options = { input: query, encoding: "utf8", maxBuffer: 1 << 28 };
  return spawnSync("z3", ["-smt2", "-in", `-T:${TIMEOUT}`, ...OPTIONS], options).stdout ?? "unknown";
}

/** What the checker says of one harness over this text of the library. */
function check(harness, split) {
  const modelChecker = {
    contracts: { [HARNESS]: [harness] },
    engine: "chc",
    solvers: ["smtlib2"],
    targets: HARNESSES[harness].targets,
    showUnproved: true,
    showProvedSafe: true,
  };
  const sources = { [HARNESS]: { content: read(HARNESS) }, [SPLIT]: { content: split } };
  const input = JSON.stringify({ language: "Solidity", sources, settings: { modelChecker } });
  const { errors = [] } = JSON.parse(solc.compile(input, { smtSolver: (query) => smtchecker.smtCallback(z3)(query) }));
  const messages = errors.map(({ formattedMessage }) => formattedMessage);
  return {
    proven: messages.filter((message) => PROVEN.test(message)),
    others: messages.filter((message) => !PROVEN.test(message)),
  };
}

function main() {
  if (spawnSync("z3", ["--version"]).status !== 0) {
    console.log("smt: skipped: there is no z3 (Debian: apt-get install z3)");
    return 0;
  }
  const started = performance.now();
  const split = read(SPLIT);
  let properties = 0;
  let problems = 0;
  for (const [harness, { assertions }] of Object.entries(HARNESSES)) {
    const { proven, others } = check(harness, split);
    for (const message of others) console.error(message);
    // Fewer than there are, and something was not looked at.
    const found = proven.filter((message) => message.includes("Assertion violation")).length;
    if (found !== assertions) console.error(`smt: ${found} of the ${assertions} assertions of ${harness} are proven`);
    if (found !== assertions || others.length > 0) problems++;
    properties += proven.length;
  }
  for (const { what, from, to, harness } of MUTATIONS) {
    if (split.split(from).length !== 2) throw new Error(`${SPLIT} does not have once: ${from}`);
    const { others } = check(harness, split.replace(from, to));
    if (others.some((message) => /CHC: .* happens here/.test(message))) continue;
    console.error(`smt: no counterexample in ${harness} although ${what}`);
    problems++;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `smt: ${properties} properties proven, ${MUTATIONS.length} mutations tried, ${problems} problems, ${seconds} s`,
  );
  return problems > 0 ? 1 : 0;
}

process.exitCode = main();
