import { join } from "node:path";
import { compileCircuit } from "../circuit/compile.js";
import { exportVerifyingKey } from "../circuit/keylint.js";
import { AnchorError } from "../errors.js";
import { toHex } from "../field/bytes.js";
import { bigIntToBytes, randomScalar } from "../field/scalar.js";
import { inferenceWitnessInput } from "../model/circuit.js";
import { commitInput } from "../model/commitment.js";
import { readModelDirectory } from "../model/directory.js";
import { execute } from "../model/execute.js";
import { CIRCUIT_TYPES, contextSignal, type InferenceStatement, statementToJson } from "../protocol/statements.js";
import { type ProveResult, ProverPool } from "../prover/pool.js";
import { keyDigest, parseVerifyingKey, proofToJson } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { verifyStatement } from "../verifier/statement.js";
import { type Command, optional, pretty, readBytes, readJson, required, writeWhole } from "./command.js";
import { KEY_HELP, KEY_OPTIONS, keyOf, readTask, TASK_HELP, TASK_OPTIONS } from "./task.js";
import { seconds } from "./terminal.js";

export const proveInferenceCommand: Command = {
  name: "prove inference",
  summary: "prove that a model gives this output on a private input",
  help: `
  --model DIR    what \`model import\` wrote
  --input FILE   JSON {"features": [0, …]}: integers from 0 to 127, and "salt": "0x…" to use a given one
  --out DIR      where to write [out/inference]
${KEY_HELP}
${TASK_HELP}
Writes proof.json, public.json and verification_key.json (snarkjs' formats), statement.json, and opening.json (features
and salt: private).
`,
  options: {
    model: { type: "string" },
    input: { type: "string" },
    out: { type: "string" },
    ...KEY_OPTIONS,
    ...TASK_OPTIONS,
  },
  positionals: [],
  async run(context) {
    const { values, terminal, signal } = context;
    const { graph, circuit: emitted, descriptor } = await readModelDirectory(required(values, "model"));
    const { features, salt } = readInput(await readJson(required(values, "input")));
    const out = optional(values, "out") ?? join("out", "inference");
    const { classIndex } = execute(graph, features);

    terminal.busy("compiling the circuit");
    const circuit = await compileCircuit({ name: "inference", source: emitted.source }, { signal });
    const { key, label } = await keyOf(circuit, context);
    const { domain, task } = readTask(values, key.keyDigest);
    const statement: InferenceStatement = {
      task,
      modelDigest: descriptor.modelDigest,
      output: BigInt(classIndex),
      inputCommitment: commitInput(features, salt),
    };
    const pool = new ProverPool({ concurrency: 1 });
    try {
      terminal.busy("proving");
      const bound = contextSignal(domain, CIRCUIT_TYPES.inference, task);
      const result = await pool.prove(circuit, key, inferenceWitnessInput(graph, features, salt, bound), { signal });
      const { publicSignals } = verifyStatement(
        domain,
        "InferenceStatement",
        statement,
        key.verifyingKey,
        result.proof,
      );
      await writeProof(out, { ...result, publicSignals }, key.verifyingKeyJson);
      await writeWhole(join(out, "statement.json"), pretty(statementToJson("InferenceStatement", statement)));
      const opening = { features, salt: toHex(bigIntToBytes(salt, 32)) };
      await writeWhole(join(out, "opening.json"), pretty(opening), 0o600);
      terminal.line(`output ${classIndex} by model ${descriptor.modelDigest}`);
      terminal.line(`proof in ${proofTime(result)} (${circuit.rows} rows), key ${label}`);
      terminal.line(`written to ${out}`);
    } finally {
      await pool.close();
    }
  },
};

export const proveCircuitCommand: Command = {
  name: "prove circuit",
  summary: "prove with any Groth16 key and circom witness generator",
  help: `
  --wasm FILE    circom's witness generator
  --zkey FILE    snarkjs' proving key
  --vkey FILE    its verifying key (snarkjs' verification_key.json): every proof is verified before it is written
  --input FILE   JSON with the circuit's inputs: decimal strings, numbers, or arrays of them
  --out DIR      where to write [out/proof]

Writes proof.json and public.json in snarkjs' formats. Binds nothing by itself: what the public signals mean is up to
the circuit.
`,
  options: {
    wasm: { type: "string" },
    zkey: { type: "string" },
    vkey: { type: "string" },
    input: { type: "string" },
    out: { type: "string" },
  },
  positionals: [],
  async run({ values, terminal, signal }) {
    const [wasmPath, zkeyPath] = [required(values, "wasm"), required(values, "zkey")];
    const verifyingKeyJson = await readJson(required(values, "vkey"));
    const verifyingKey = parseVerifyingKey(verifyingKeyJson);
    lintVerifyingKey(verifyingKey);
    const inputs = readCircuitInputs(await readJson(required(values, "input")));
    await readBytes(wasmPath); // a missing file gets its own message
    terminal.busy("checking the key");
    const provingKey = await exportVerifyingKey(zkeyPath, { signal });
    if (keyDigest(provingKey) !== keyDigest(verifyingKey)) {
      throw new AnchorError("INPUT_INVALID", "--vkey is not the verifying key of --zkey (anchorproof key export)");
    }
    const out = optional(values, "out") ?? join("out", "proof");
    const pool = new ProverPool({ concurrency: 1 });
    try {
      terminal.busy("proving");
      const result = await pool.prove({ wasmPath }, { zkeyPath, verifyingKey }, inputs, { signal });
      await writeProof(out, result);
      terminal.line(`proof in ${proofTime(result)}, verified under key ${keyDigest(verifyingKey)}`);
      terminal.line(`written to ${out}`);
    } finally {
      await pool.close();
    }
  },
};

async function writeProof(
  out: string,
  { proof, publicSignals }: Pick<ProveResult, "proof" | "publicSignals">,
  verifyingKey?: unknown,
): Promise<void> {
  await writeWhole(join(out, "proof.json"), pretty(proofToJson(proof)));
  await writeWhole(join(out, "public.json"), pretty(publicSignals));
  if (verifyingKey !== undefined) await writeWhole(join(out, "verification_key.json"), pretty(verifyingKey));
}

function proofTime({ timings }: ProveResult): string {
  return `${seconds(timings.witnessMs + timings.proveMs)} (witness ${seconds(timings.witnessMs)})`;
}

/** @throws INPUT_INVALID */
export function readInput(json: unknown): { features: number[]; salt: bigint } {
  const { features, salt } = (json ?? {}) as { features?: unknown; salt?: unknown };
  if (!Array.isArray(features) || !features.every((value) => Number.isInteger(value))) {
    throw new AnchorError("INPUT_INVALID", 'the input must be {"features": [integers]}');
  }
  if (salt !== undefined && (typeof salt !== "string" || !/^0x[0-9a-f]{1,64}$/.test(salt))) {
    throw new AnchorError("INPUT_INVALID", "the salt must be lower-case 0x-hex");
  }
  return { features: features as number[], salt: salt === undefined ? randomScalar() : BigInt(salt as string) };
}

function readCircuitInputs(json: unknown): Record<string, bigint | bigint[]> {
  const scalar = (value: unknown, name: string): bigint => {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
    if (typeof value === "string" && /^(?:\d{1,77}|0x[0-9a-fA-F]{1,64})$/.test(value)) return BigInt(value);
    throw new AnchorError("INPUT_INVALID", `input "${name}" must be made of non-negative integers`);
  };
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new AnchorError("INPUT_INVALID", "the inputs must be a JSON object");
  }
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [
      name,
      Array.isArray(value) ? (value.flat(3) as unknown[]).map((item) => scalar(item, name)) : scalar(value, name),
    ]),
  );
}
