/**
 * The benchmark's circuits, sized by a power of two, with their keys and witnesses.
 *
 * Sources are in `bench/circuits`; those of `inference` are written by the model compiler, as for any model. Keys are
 * development keys, kept in the artefact store; witnesses are written to a folder of the run, because provers in other
 * processes read them from there. All inputs are public knowledge.
 *
 * @module
 */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CircuitSource, type CompiledCircuit, compileCircuit } from "../circuit/compile.js";
import { developmentKey } from "../circuit/setup.js";
import { type CircuitInputs, calculateWtns } from "../circuit/witness.js";
import { AnchorError } from "../errors.js";
import { poseidonParameters } from "../field/poseidon.js";
import { emitInferenceCircuit, inferenceDescriptor, inferenceWitnessInput } from "../model/circuit.js";
import type { Layer, ModelGraph } from "../model/graph.js";
import { PACKAGE_ROOT } from "../paths.js";
import type { SnarkjsVerifyingKey, VerifyingKey } from "../verifier/groth16.js";

export const KINDS = ["poseidon", "sha256", "inference"] as const;
export type Kind = (typeof KINDS)[number];

/** What provers run on unless told: a dense witness and one of bits, between which those of models lie. */
export const PROVER_KINDS: readonly Kind[] = ["poseidon", "sha256"];

/** Powers of two that circuits are made for; development keys end at 20. */
export const MIN_SIZE = 10;
export const MAX_SIZE = 20;

/** A circuit with its witness, and no key yet. */
export interface BenchCircuit {
  kind: Kind;
  /** The evaluation domain has 2^size rows. */
  size: number;
  rows: number;
  wires: number;
  compiled: CompiledCircuit;
  wasmPath: string;
  wtnsPath: string;
  inputs: CircuitInputs;
  /** What every proof must show. */
  publicSignals: bigint[];
  /** Near nothing when the store has it. */
  compileMs: number;
  witnessMs: number;
}

export interface BenchCase extends BenchCircuit {
  zkeyPath: string;
  verifyingKey: VerifyingKey;
  verifyingKeyJson: SnarkjsVerifyingKey;
  /** Near nothing when the store has it. */
  keyMs: number;
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
  switch (kind) {
    case "poseidon":
      return poseidonChain(2 ** size - 2);
    case "sha256":
      return sha256Steps(2 ** size - 3);
    case "inference":
      return inference(benchModel(size));
  }
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

function inference(graph: ModelGraph): { circuit: CircuitSource; inputs: CircuitInputs } {
  const { weight } = generator();
  const features = Array.from({ length: graph.input.size }, () => Math.abs(weight()));
  return {
    circuit: { name: `inference-${inferenceDescriptor(graph).totalRows}`, source: emitInferenceCircuit(graph).source },
    inputs: { ...inferenceWitnessInput(graph, features, 1n, 2n) },
  };
}

/**
 * A model of int8 weights whose circuit fills 2^size rows.
 *
 * Its layers are wide and narrow in turn: circom takes time quadratic in the length of a sum, so that one wide layer
 * after another would compile for hours.
 */
export function benchModel(size: number): ModelGraph {
  const room = 2 ** size - 4;
  // Above, the weights would be more than a circuit may have.
  const narrow = size < 20 ? 16 : 8;
  // As many layers as keep the wide ones below some hundred values, and at most what a graph may have.
  const wideLayers = Math.min(16, Math.max(1, 2 ** (size - 12)));
  let [fits, tooWide] = [1, Math.ceil(room / wideLayers / 20)];
  while (tooWide - fits > 1) {
    const width = (fits + tooWide) >> 1;
    if (inferenceDescriptor(modelOf(narrow, width, wideLayers)).totalRows <= room) fits = width;
    else tooWide = width;
  }
  return modelOf(narrow, fits, wideLayers);
}

function modelOf(narrow: number, wide: number, wideLayers: number): ModelGraph {
  const { weight } = generator();
  const classes = 4;
  const widths = Array.from({ length: 2 * wideLayers - 1 }, (_, i) => (i % 2 === 0 ? wide : narrow));
  const layers: Layer[] = [];
  let inputs = narrow;
  const dense = (outputs: number) => {
    const row = () => Array.from({ length: inputs }, weight);
    const weights = Array.from({ length: outputs }, row);
    layers.push({ kind: "dense", inputs, outputs, weights, bias: Array.from({ length: outputs }, weight) });
  };
  for (const outputs of widths) {
    dense(outputs);
    // What random weights make larger is divided away again, so that values neither die nor all saturate.
    const shift = Math.round(Math.log2(inputs) / 2 + 5.4);
    layers.push({ kind: "requantRelu", shifts: Array.from({ length: outputs }, () => shift) });
    inputs = outputs;
  }
  dense(classes);
  layers.push({ kind: "argMax" });
  return { input: { size: narrow, scaleLog2: 0 }, layers };
}

/** Weights from -127 to 127 without a pattern, always the same: Knuth's linear congruential generator. */
function generator(): { weight: () => number } {
  let state = 1n;
  return {
    weight: () => {
      state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
      return Number((state >> 33n) % 255n) - 127;
    },
  };
}

async function readTemplate(name: string): Promise<string> {
  return readFile(join(PACKAGE_ROOT, "bench", "circuits", `${name}.circom`), "utf8");
}

export interface CaseOptions {
  signal?: AbortSignal | undefined;
  onStep?: (step: string, done?: number) => void;
}

/**
 * Compiles and computes the witness.
 *
 * @param folder where the witness goes
 * @throws what these steps throw
 */
export async function prepareCircuit(
  kind: Kind,
  size: number,
  folder: string,
  { signal, onStep }: CaseOptions = {},
): Promise<BenchCircuit> {
  const { circuit, inputs } = await benchCircuit(kind, size);
  onStep?.(`compiling ${kind} 2^${size}`);
  const started = performance.now();
  const compiled = await compileCircuit(circuit, { signal });
  const compileMs = performance.now() - started;
  onStep?.(`witness of ${kind} 2^${size}`);
  const begun = performance.now();
  const wtns = await calculateWtns(compiled.wasmPath, inputs);
  const witnessMs = performance.now() - begun;
  const wtnsPath = join(folder, `${kind}-${size}.wtns`);
  await writeFile(wtnsPath, wtns);
  const { rows, wires, wasmPath } = compiled;
  const publicSignals = readPublics(wtns, compiled.publicSignals, wires);
  return { kind, size, rows, wires, compiled, wasmPath, wtnsPath, inputs, publicSignals, compileMs, witnessMs };
}

/** {@link prepareCircuit}, and the key. */
export async function prepareCase(
  kind: Kind,
  size: number,
  folder: string,
  options: CaseOptions = {},
): Promise<BenchCase> {
  const circuit = await prepareCircuit(kind, size, folder, options);
  const { signal, onStep } = options;
  const started = performance.now();
  const key = await developmentKey(circuit.compiled, {
    signal,
    onProgress: (done) => onStep?.(`key of ${kind} 2^${size}`, done),
  });
  return {
    ...circuit,
    zkeyPath: key.zkeyPath,
    verifyingKey: key.verifyingKey,
    verifyingKeyJson: key.verifyingKeyJson,
    keyMs: performance.now() - started,
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
