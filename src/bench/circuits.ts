/**
 * The benchmark's circuits, sized by a power of two, with their keys and witnesses.
 *
 * Sources are in `bench/circuits`. Keys are development keys, kept in the artefact store; witnesses are written to a
 * folder of the run, because provers in other processes read them from there. Both inputs are public knowledge.
 *
 * @module
 */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CircuitSource, compileCircuit } from "../circuit/compile.js";
import { developmentKey } from "../circuit/setup.js";
import { type CircuitInputs, calculateWtns } from "../circuit/witness.js";
import { AnchorError } from "../errors.js";
import { poseidonParameters } from "../field/poseidon.js";
import { PACKAGE_ROOT } from "../paths.js";
import type { SnarkjsVerifyingKey, VerifyingKey } from "../verifier/groth16.js";

export const KINDS = ["poseidon", "sha256"] as const;
export type Kind = (typeof KINDS)[number];

/** Powers of two that circuits are made for; development keys end at 20. */
export const MIN_SIZE = 10;
export const MAX_SIZE = 20;

export interface BenchCase {
  kind: Kind;
  /** The evaluation domain has 2^size rows. */
  size: number;
  rows: number;
  wires: number;
  wasmPath: string;
  zkeyPath: string;
  wtnsPath: string;
  inputs: CircuitInputs;
  verifyingKey: VerifyingKey;
  verifyingKeyJson: SnarkjsVerifyingKey;
  /** What every proof must show. */
  publicSignals: bigint[];
  /** Compiling and making the key; near nothing when the store has them. */
  compileMs: number;
  keyMs: number;
  witnessMs: number;
  zkeyBytes: number;
}

/** The circuit of a kind that fills 2^size rows as far as whole links or steps do. @throws INPUT_INVALID */
export async function benchCircuit(
  kind: Kind,
  size: number,
): Promise<{ circuit: CircuitSource; inputs: CircuitInputs }> {
  if (!Number.isInteger(size) || size < MIN_SIZE || size > MAX_SIZE) {
    throw new AnchorError("INPUT_INVALID", `benchmark circuits have 2^${MIN_SIZE} to 2^${MAX_SIZE} rows`);
  }
  // snarkjs' key has a row more for the constant wire and each public signal.
  return kind === "poseidon" ? poseidonChain(2 ** size - 2) : sha256Steps(2 ** size - 3);
}

async function poseidonChain(room: number): Promise<{ circuit: CircuitSource; inputs: CircuitInputs }> {
  const { constants, mds } = poseidonParameters(2);
  const full = 8;
  const rounds = constants.length;
  // 3 rows for each S-box, 3 for the layers between rounds, 1 for the output.
  const linkRows = 3 * (3 * full + rounds - full) + 3 * (rounds - 1) + 1;
  const links = Math.floor(room / linkRows);
  const template = await readTemplate("poseidon_chain");
  const matrix = (values: bigint[][]) => `[${values.map((row) => `[${row.join(", ")}]`).join(",\n")}]`;
  return {
    circuit: {
      name: `poseidon-chain-${links}`,
      source: `${template}\ncomponent main = PoseidonChain(${links}, ${full}, ${rounds},\n${matrix(constants)},\n${matrix(mds)});\n`,
    },
    inputs: { seed: [1n, 2n] },
  };
}

async function sha256Steps(room: number): Promise<{ circuit: CircuitSource; inputs: CircuitInputs }> {
  let steps = 0;
  while (sha256Rows(steps + 1) <= room) steps++;
  const blocks = Math.ceil(steps / 64);
  const words = 16 * (blocks - 1) + Math.min(16, steps - 64 * (blocks - 1));
  return {
    circuit: {
      name: `sha256-steps-${steps}`,
      source: `${await readTemplate("sha256_steps")}\ncomponent main = Sha256Steps(${steps});\n`,
    },
    // Words of a multiplicative generator: bits without a pattern.
    inputs: {
      word: Array.from({ length: words }, (_, i) => ((BigInt(i + 1) * 0x9e3779b97f4a7c15n) >> 16n) & 0xffffffffn),
    },
  };
}

/** Rows of `Sha256Steps(steps)` at -O1. */
function sha256Rows(steps: number): number {
  let rows = 2;
  for (let left = steps; left > 0; left -= 64) {
    const inBlock = Math.min(64, left);
    const loaded = Math.min(16, inBlock);
    // Two sigmas 4 * 32, choice and majority 3 * 32, new a and e 2 * 37; a loaded word 33, a scheduled one 4 * 32 + 36;
    // the sums at the end 8 * 35.
    rows += 298 * inBlock + 33 * loaded + 164 * (inBlock - loaded) + 280;
  }
  return rows;
}

async function readTemplate(name: string): Promise<string> {
  return readFile(join(PACKAGE_ROOT, "bench", "circuits", `${name}.circom`), "utf8");
}

/**
 * Compiles, makes the key and computes the witness.
 *
 * @param folder where the witness goes
 * @throws what these steps throw
 */
export async function prepareCase(
  kind: Kind,
  size: number,
  folder: string,
  { signal, onStep }: { signal?: AbortSignal | undefined; onStep?: (step: string, done?: number) => void } = {},
): Promise<BenchCase> {
  const { circuit, inputs } = await benchCircuit(kind, size);
  const name = `${kind} 2^${size}`;
  onStep?.(`compiling ${name}`);
  let started = performance.now();
  const lap = () => {
    const ms = performance.now() - started;
    started = performance.now();
    return ms;
  };
  const compiled = await compileCircuit(circuit, { signal });
  const compileMs = lap();
  const key = await developmentKey(compiled, { signal, onProgress: (done) => onStep?.(`key of ${name}`, done) });
  const keyMs = lap();
  onStep?.(`witness of ${name}`);
  const wtns = await calculateWtns(compiled.wasmPath, inputs);
  const witnessMs = lap();
  const wtnsPath = join(folder, `${kind}-${size}.wtns`);
  await writeFile(wtnsPath, wtns);
  return {
    kind,
    size,
    rows: compiled.rows,
    wires: compiled.wires,
    wasmPath: compiled.wasmPath,
    zkeyPath: key.zkeyPath,
    wtnsPath,
    inputs,
    verifyingKey: key.verifyingKey,
    verifyingKeyJson: key.verifyingKeyJson,
    publicSignals: readPublics(wtns, compiled.publicSignals, compiled.wires),
    compileMs,
    keyMs,
    witnessMs,
    zkeyBytes: (await stat(key.zkeyPath)).size,
  };
}

/** The values come last in the file, and the public ones right after the constant. */
function readPublics(wtns: Uint8Array, count: number, wires: number): bigint[] {
  const first = wtns.length - 32 * wires;
  return Array.from({ length: count }, (_, i) => {
    const start = first + 32 * (i + 1);
    return BigInt(
      `0x${Buffer.from(wtns.subarray(start, start + 32))
        .reverse()
        .toString("hex")}`,
    );
  });
}
