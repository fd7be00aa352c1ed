import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { exportVerifyingKey } from "../circuit/keylint.js";
import { AnchorError, toAnchorError } from "../errors.js";
import { readAdapter, readModelDirectory } from "../model/directory.js";
import { createInference } from "../model/inference.js";
import { contextSignal, INFERENCE_STATEMENTS, inferenceStatement, statementToJson } from "../protocol/statements.js";
import type { ProveResult } from "../prover/pool.js";
import { keyDigest, parseVerifyingKey, proofToJson } from "../verifier/groth16.js";
import { lintVerifyingKey } from "../verifier/lint.js";
import { verifyStatement } from "../verifier/statement.js";
import { type Command, optional, pretty, readBytes, readJson, required, writeWhole } from "./command.js";
import { backendOf, openPool, POOL_OPTIONS, poolHelp } from "./pool.js";
import { inputRange, openingToJson, outputText, readQuestions } from "./questions.js";
import { KEY_HELP, KEY_OPTIONS, keyOf, readTask, TASK_HELP, TASK_OPTIONS } from "./task.js";
import { seconds } from "./terminal.js";

export const proveInferenceCommand: Command = {
  name: "prove inference",
  summary: "prove that a model gives this output on a private input",
  help: `
  --model DIR      what \`model import\` wrote
  --input FILE     JSON {"input": [0.5, …]}, numbers as the ONNX model takes them, or {"integers": [64, …]} as the circuit
                   does; "salt": "0x…" to use a given one. A model of a batch of K takes a list of K such
  --adapter FILE   the private weights of a model with an adapter [adapter.json of the model]
  --public-input   write the opening of the input's commitment for everybody to read, to be published with the proof
  --out DIR        where to write [out/inference]; must be empty
  --force          write into DIR although it is not, over what is there
${KEY_HELP}
${poolHelp(14)}
${TASK_HELP}
Writes proof.json, public.json and verification_key.json (snarkjs' formats), statement.json, and opening.json (input and
salt: private unless told). \`verify inference\` checks them.
`,
  options: {
    model: { type: "string" },
    input: { type: "string" },
    adapter: { type: "string" },
    "public-input": { type: "boolean" },
    out: { type: "string" },
    force: { type: "boolean" },
    ...KEY_OPTIONS,
    ...POOL_OPTIONS,
    ...TASK_OPTIONS,
  },
  positionals: [],
  async run(context) {
    const { values, terminal, signal } = context;
    const [modelPath, inputPath] = [required(values, "model"), required(values, "input")];
    const out = optional(values, "out") ?? join("out", "inference");
    backendOf(values);
    if (values["force"] !== true) await requireFree(out);
    terminal.busy("reading the model");
    const model = await readModelDirectory(modelPath, { signal });
    const { graph, circuit, descriptor } = model;
    const { questions, saturated } = readQuestions(graph, await readJson(inputPath), { path: inputPath });
    if (questions.length !== circuit.batch) {
      throw new AnchorError(
        "INPUT_INVALID",
        `${inputPath}: the model takes ${circuit.batch} inputs at once, not ${questions.length}`,
      );
    }
    const adapter = await readAdapter(model, optional(values, "adapter"));
    const inference = createInference(graph);
    const answer = inference.answer({ inferences: questions, adapter });

    const { key, label } = await keyOf(circuit, context);
    const { domain, task } = readTask(values, key.keyDigest);
    const named = inferenceStatement(task, descriptor.modelDigest, answer);
    const pool = openPool(context, { concurrency: 1 });
    try {
      terminal.busy("proving");
      const bound = contextSignal(domain, INFERENCE_STATEMENTS[named.name], task);
      const result = await pool.prove(circuit, key, { inferences: questions, adapter, context: bound }, { signal });
      const { publicSignals } = verifyStatement(domain, named.name, named.statement, key.verifyingKey, result.proof);
      // First: a proof whose opening is lost shows nothing to anybody.
      const mode = values["public-input"] === true ? 0o644 : 0o600;
      await writeWhole(join(out, "opening.json"), `${JSON.stringify(openingToJson(questions))}\n`, mode);
      await writeProof(out, { ...result, publicSignals }, key.verifyingKeyJson);
      await writeWhole(join(out, "statement.json"), pretty(statementToJson(named.name, named.statement)));
      if (saturated > 0) {
        const { lo, hi } = inputRange(graph);
        terminal.line(`note   of the input's numbers, ${saturated} outside of [${lo}, ${hi}] became the nearest in it`);
      }
      for (const [i, value] of answer.values.entries()) {
        terminal.line(`output ${outputText(value)}${circuit.batch > 1 ? ` for input ${i}` : ""}`);
      }
      terminal.line(`model  ${descriptor.modelDigest}`);
      terminal.line(`proof  in ${proofTime(result)} (${circuit.rows} rows), key ${label}`);
      terminal.line(`written to ${out}`);
    } finally {
      await pool.close();
    }
  },
};

/** A proof there is evidence that somebody may need, and its opening exists nowhere else. @throws INPUT_INVALID */
async function requireFree(out: string): Promise<void> {
  const there = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot write ${out}`);
  });
  if (there.length > 0) throw new AnchorError("INPUT_INVALID", `${out} is not empty: choose another --out, or --force`);
}

export const proveCircuitCommand: Command = {
  name: "prove circuit",
  summary: "prove with any Groth16 key and circom witness generator",
  help: `
  --wasm FILE    circom's witness generator
  --zkey FILE    snarkjs' proving key
  --vkey FILE    its verifying key (snarkjs' verification_key.json): every proof is verified before it is written
  --input FILE   JSON with the circuit's inputs: decimal strings, numbers, or arrays of them
  --out DIR      where to write [out/proof]
${poolHelp(13)}

Writes proof.json and public.json in snarkjs' formats. Binds nothing by itself: what the public signals mean is up to
the circuit.
`,
  options: {
    wasm: { type: "string" },
    zkey: { type: "string" },
    vkey: { type: "string" },
    input: { type: "string" },
    out: { type: "string" },
    ...POOL_OPTIONS,
  },
  positionals: [],
  async run(context) {
    const { values, terminal, signal } = context;
    backendOf(values);
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
    const pool = openPool(context, { concurrency: 1 });
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

function proofTime({ timings, backend }: ProveResult): string {
  const by = backend === "cuda" ? ", by the GPU" : "";
  return `${seconds(timings.witnessMs + timings.proveMs)} (witness ${seconds(timings.witnessMs)}${by})`;
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
