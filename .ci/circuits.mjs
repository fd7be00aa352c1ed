// Circuit checks: every file compiles on its own template's behalf elsewhere (tests); here circom's own inspector looks
// at the two circuits that ship, and the sources are searched for what must not be in them.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { datasetChunkCircuit } from "../dist/dataset/index.js";

const require = createRequire(import.meta.url);
const problems = [];

/** Hints: each `<--`, with the constraint that binds it. A new one must be added here, with its reason. */
const HINTS = {
  "inference/argmax.circom": 1, // marks: bits, exactly one, and every difference to the chosen score ranged
  "inference/requant_relu_lane.circom": 2, // bits of a decomposition, and the inverse behind the saturation flag
  "lib/nonzero.circom": 1, // in * inverse === 1
  "lib/num2bits.circom": 1, // out[i] is a bit, and the sum is in
  "lib/range_check.circom": 1, // bits, and the top one derived from the rest
  "lib/zero_from.circom": 1, // (i - count) * here[i] === 0, and the sum is 1
};

const files = readdirSync("circuits", { recursive: true }).filter((name) => name.endsWith(".circom"));
for (const name of files) {
  const source = readFileSync(join("circuits", name), "utf8").replace(/\/\/.*$/gm, "");
  const hints = source.split("\n").filter((line) => line.includes("<--")).length;
  if (hints !== (HINTS[name] ?? 0)) problems.push(`${name}: ${hints} hints (<--), ${HINTS[name] ?? 0} are listed`);
  if (/circomlib/.test(source)) problems.push(`${name}: circomlib is not to be used`);
  if (!/pragma circom 2\.2\.3;/.test(source)) problems.push(`${name}: no pragma circom 2.2.3`);
  const templates = [...source.matchAll(/^template /gm)].length;
  if (templates > 1) problems.push(`${name}: one template a file`);
}

const stage = mkdtempSync(join(tmpdir(), "anchorproof-inspect-"));
try {
  cpSync("circuits", stage, { recursive: true });
  writeFileSync(join(stage, "main.circom"), datasetChunkCircuit(2).source);
  const cli = join(dirname(require.resolve("circom2/package.json")), "cli.js");
  const run = spawnSync(process.execPath, [cli, "main.circom", "--inspect", "--r1cs", "--O1"], {
    cwd: stage,
    encoding: "utf8",
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: circom colours its messages
  const output = `${run.stdout}${run.stderr}`.replace(/\u001b\[[0-9;]*m/g, "");
  if (run.status !== 0) problems.push(`circom --inspect failed:\n${output}`);
  for (const warning of output.match(/^warning.*$/gm) ?? []) problems.push(`circom --inspect: ${warning}\n${output}`);
} finally {
  rmSync(stage, { recursive: true });
}

for (const problem of problems) console.error(problem);
console.log(`circuits: ${files.length} files, ${problems.length} problems`);
process.exit(problems.length > 0 ? 1 : 0);
