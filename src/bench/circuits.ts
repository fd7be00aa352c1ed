/**
 * The benchmark's circuits, sized by a power of two, with their keys and witnesses.
 *
 * Sources are in `bench/circuits`; that of `inference` is written by the model compiler, as for any model. Keys are
 * development keys, kept in the artefact store; witnesses are written to a folder of the run, because provers in other
 * processes read them from there. All inputs are public knowledge.
 *
 * @module
 */
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CircuitSource, compileCircuit } from "../circuit/compile.js";
import type { CircuitRows } from "../circuit/r1cs.js";
import { developmentKey } from "../circuit/setup.js";
import { type CircuitInputs, calculateWtns } from "../circuit/witness.js";
import { AnchorError } from "../errors.js";
import { poseidonParameters } from "../field/poseidon.js";
import { createWitnessProgram, describeCircuit, type InferenceRequest, writeR1cs } from "../model/circuit/index.js";
import { checkGraph, inputSize, type ModelGraph, serialiseGraph } from "../model/graph.js";
import { PACKAGE_ROOT } from "../paths.js";
import type { ProveResult, ProverPool } from "../prover/pool.js";
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
  compiled: CircuitRows;
  wtnsPath: string;
  /** What a pool makes the same witness from. */
  prove: (pool: ProverPool, key: BenchCase, options: { signal?: AbortSignal | undefined }) => Promise<ProveResult>;
  /** What every proof must show. */
  publicSignals: bigint[];
  /** Of circom near nothing when the store has it. */
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

/** Where a circuit and its witness come from: circom, or the model compiler. */
export type BenchSource =
  | { type: "circom"; circuit: CircuitSource; inputs: CircuitInputs }
  | { type: "model"; name: string; graph: ModelGraph; request: InferenceRequest };

/** The circuit of a kind that fills 2^size rows as far as whole links or steps do. @throws INPUT_INVALID */
export async function benchCircuit(kind: Kind, size: number): Promise<BenchSource> {
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

async function poseidonChain(room: number): Promise<BenchSource> {
  const { constants, mds } = poseidonParameters(2);
  const full = 8;
  const rounds = constants.length;
  // 3 rows for each S-box, 3 for the layers between rounds, 1 for the output.
  const linkRows = 3 * (3 * full + rounds - full) + 3 * (rounds - 1) + 1;
  const links = Math.floor(room / linkRows);
  const template = await readTemplate("poseidon_chain");
  const matrix = (values: bigint[][]) => `[${values.map((row) => `[${row.join(", ")}]`).join(",\n")}]`;
  return {
    type: "circom",
    circuit: {
      name: `poseidon-chain-${links}`,
      source: `${template}\ncomponent main = PoseidonChain(${links}, ${full}, ${rounds},\n${matrix(constants)},\n${matrix(mds)});\n`,
    },
    inputs: { seed: [1n, 2n] },
  };
}

async function sha256Steps(room: number): Promise<BenchSource> {
  let steps = 0;
  while (sha256Rows(steps + 1) <= room) steps++;
  const blocks = Math.ceil(steps / 64);
  const words = 16 * (blocks - 1) + Math.min(16, steps - 64 * (blocks - 1));
  return {
    type: "circom",
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

function inference(graph: ModelGraph): BenchSource {
  const { weight } = generator();
  const input = Array.from({ length: inputSize(graph) }, () => Math.abs(weight()));
  const { rows } = describeCircuit(graph);
  return {
    type: "model",
    name: `inference-${rows}`,
    graph,
    request: { inferences: [{ input, salt: 1n }], context: 2n },
  };
}

/**
 * A model of int8 weights whose circuit fills 2^size rows.
 *
 * Its layers are wide and narrow in turn, so that its file stays small: every other one would have a million weights.
 */
export function benchModel(size: number): ModelGraph {
  const room = 2 ** size - 4;
  // As many layers as keep the wide ones below some hundred values.
  const wideLayers = Math.min(16, Math.max(1, 2 ** (size - 12)));
  const rowsOf = (width: number) => describeCircuit(modelOf(width, wideLayers)).rows;
  // Rows grow nearly in proportion to the width: few models need to be looked at, of which the large ones take seconds.
  let [width, slope, rows] = [1, rowsOf(2) - rowsOf(1), rowsOf(1)];
  for (let step = 0; step < 4; step++) {
    const next = Math.max(1, width + Math.floor((room - rows) / slope));
    if (next === width) break;
    const there = rowsOf(next);
    [width, slope, rows] = [next, Math.max(1, (there - rows) / (next - width)), there];
  }
  while (width > 1 && rows > room) rows = rowsOf(--width);
  return modelOf(width, wideLayers);
}

const NARROW = 16;

function modelOf(wide: number, wideLayers: number): ModelGraph {
  const { weight } = generator();
  const classes = 4;
  const widths = Array.from({ length: 2 * wideLayers - 1 }, (_, i) => (i % 2 === 0 ? wide : NARROW));
  const nodes: unknown[] = [{ op: "input", shape: [NARROW], lo: 0, bits: 7, scaleLog2: 0 }];
  let inner = NARROW;
  const dense = (outputs: number) => {
    const weights = Array.from({ length: outputs * inner }, weight);
    const bias = Array.from({ length: outputs }, weight);
    nodes.push({ op: "linear", inputs: [nodes.length - 1], groups: 1, positions: 1, inner, outputs, weights, bias });
  };
  for (const outputs of widths) {
    dense(outputs);
    // What random weights make larger is divided away again, so that values neither die nor all saturate.
    const shift = Math.round(Math.log2(inner) / 2 + 5.4);
    nodes.push({ op: "requant", inputs: [nodes.length - 1], shifts: [shift], lo: 0, bits: 7 });
    inner = outputs;
  }
  dense(classes);
  nodes.push({ op: "argMax", inputs: [nodes.length - 1], width: classes });
  return checkGraph({ nodes });
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
  const source = await benchCircuit(kind, size);
  onStep?.(`compiling ${kind} 2^${size}`);
  const started = performance.now();
  const { compiled, witness, prove } = await compile(source, join(folder, `${kind}-${size}`), signal);
  const compileMs = performance.now() - started;
  onStep?.(`witness of ${kind} 2^${size}`);
  const begun = performance.now();
  const wtns = await witness();
  const witnessMs = performance.now() - begun;
  const wtnsPath = join(folder, `${kind}-${size}.wtns`);
  await writeFile(wtnsPath, wtns);
  const { rows, wires } = compiled;
  const publicSignals = readPublics(wtns, compiled.publicSignals, wires);
  return { kind, size, rows, wires, compiled, wtnsPath, prove, publicSignals, compileMs, witnessMs };
}

/** @param path of what the model compiler writes, without a suffix */
async function compile(
  source: BenchSource,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Pick<BenchCircuit, "compiled" | "prove"> & { witness: () => Promise<Uint8Array> }> {
  if (source.type === "circom") {
    const { circuit, inputs } = source;
    const compiled = await compileCircuit(circuit, { signal });
    return {
      compiled,
      witness: () => calculateWtns(compiled.wasmPath, inputs),
      prove: (pool, key, options) => pool.prove(compiled, key, inputs, options),
    };
  }
  const { name, graph, request } = source;
  const r1csPath = `${path}.r1cs`;
  const {
    circuitDigest,
    constraints: rows,
    wires,
    publicOutputs,
    publicInputs,
  } = await writeR1cs(r1csPath, graph, { signal });
  const program = createWitnessProgram(graph);
  const model = `${path}.json`;
  await writeFile(model, serialiseGraph(graph));
  return {
    compiled: { name, r1csPath, circuitDigest, rows, wires, publicSignals: publicOutputs + publicInputs },
    witness: async () => program(request),
    prove: (pool, key, options) => pool.prove({ model }, key, request, options),
  };
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
export function readPublics(wtns: Uint8Array, count: number, wires: number): bigint[] {
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
