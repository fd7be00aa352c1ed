// npm run fuzz [-- SECONDS [SEED]]: builds the core with AddressSanitizer and UndefinedBehaviorSanitizer, makes a small
// key, witness and proof, and feeds the core damaged copies of them.
import { spawn } from "node:child_process";
import * as snarkjs from "snarkjs";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const native = join(dirname(fileURLToPath(import.meta.url)), "..");
const root = join(native, "..");
const out = join(root, "out", "fuzz");
const [seconds = "60", seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);

const { calculateWtns, compileCircuit, developmentKey, newDevelopmentPtau } = await import(
  join(root, "dist/circuit/index.js")
);

mkdirSync(out, { recursive: true });
const circuit = await compileCircuit({
  name: "fuzz",
  source: `pragma circom 2.2.3;
template Fuzz() {
    signal input a;
    signal input context;
    signal output c;
    signal steps[101];
    steps[0] <== a + context;
    for (var i = 0; i < 100; i++) steps[i + 1] <== steps[i] * (steps[i] - 1) + i;
    c <== steps[100];
}
component main {public [context]} = Fuzz();
`,
});
const key = await developmentKey(circuit);
const wtns = await calculateWtns(circuit.wasmPath, { a: 5n, context: 7n });
const { proof, publicSignals } = await snarkjs.groth16.prove(key.zkeyPath, wtns, undefined, { singleThread: true });

/** The core's encoding: 32 bytes little-endian an integer (native/src/api.h). */
const encode = (values) =>
  Buffer.concat(values.map((value) => Buffer.from(BigInt(value).toString(16).padStart(64, "0"), "hex").reverse()));
const g2 = ([x, y]) => [...x, ...y];
const { alpha, beta, gamma, delta, ic } = key.verifyingKey;
copyFileSync(key.zkeyPath, join(out, "key.zkey"));
writeFileSync(join(out, "witness.wtns"), wtns);
writeFileSync(join(out, "key.bin"), encode([...alpha, ...g2(beta), ...g2(gamma), ...g2(delta), ...ic.flat()]));
writeFileSync(join(out, "publics.bin"), encode(publicSignals));
writeFileSync(join(out, "proof.bin"), encode([...proof.pi_a.slice(0, 2), ...g2(proof.pi_b), ...proof.pi_c.slice(0, 2)]));

// For the setup a circuit whose domain is eight rows, so that calls take milliseconds, and powers for twice as many.
const small = await compileCircuit({
  name: "fuzz-setup",
  source: `pragma circom 2.2.3;
template Small() {
    signal input a;
    signal input b;
    signal input context;
    signal output c;
    signal square <== (a + 12345678901234567890 * b) * (a - b);
    signal mixed <== square * context + 7;
    c <== mixed * (square - 3 * b);
}
component main {public [context]} = Small();
`,
});
if (small.rows !== 3) throw new Error(`the setup's circuit has ${small.rows} rows`);
copyFileSync(small.r1csPath, join(out, "setup.r1cs"));
rmSync(join(out, "setup.ptau"), { force: true });
await newDevelopmentPtau(4, join(out, "setup.ptau"), { prepared: true });
writeFileSync(join(out, "raw.ptau"), withoutLagrange(readFileSync(join(out, "setup.ptau"))));

/** The same powers, not prepared: sections 12 to 15 left out. */
function withoutLagrange(file) {
  const sections = [];
  for (let at = 12; at < file.length; ) {
    const end = at + 12 + Number(file.readBigUInt64LE(at + 4));
    if (![12, 13, 14, 15].includes(file.readUInt32LE(at))) sections.push(file.subarray(at, end));
    at = end;
  }
  const head = Buffer.from(file.subarray(0, 12));
  head.writeUInt32LE(sections.length, 8);
  return Buffer.concat([head, ...sections]);
}

const flags = ["-std=c++17", "-O1", "-g1", "-w", "-fno-strict-aliasing", "-pthread"];
flags.push("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DAP_CALLED");
const compiler = process.env.CXX ?? "g++";
const engines = ["src/engine_portable.cpp", "src/engine_adx.cpp", "src/engine_ifma.cpp", "src/engine.cpp"];
const sources = [...engines, "src/cards.cpp", "fuzz/fuzz.cpp"];
const objects = sources.map((_, i) => join(out, `${i}.o`));
// Two at a time: each takes up to a gigabyte. The longest first, which is not the order to link in: of equal inline
// functions the linker keeps the first, which every processor must run.
const longest = "src/engine_ifma.cpp";
const next = [...sources.keys()].sort((a, b) => (sources[b] === longest) - (sources[a] === longest)).values();
const compileAll = async () => {
  for (const i of next) await run(compiler, [...flags, "-c", join(native, sources[i]), "-o", objects[i]]);
};
await Promise.all([compileAll(), compileAll()]);
await run(compiler, [...flags, ...objects, "-ldl", "-o", join(out, "fuzz")]);
await run(join(out, "fuzz"), [out, seconds, seed]);

/** Ends this process when the command fails. */
async function run(command, args) {
  const child = spawn(command, args, { stdio: "inherit" });
  const status = await new Promise((resolve) => {
    child.on("error", (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.on("exit", (code) => resolve(code ?? 1));
  });
  if (status !== 0) process.exit(status);
}
