import { join } from "node:path";
import { trustFromJson } from "../bundle/index.js";
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { commitInput, outputLayout, packOutput, unpackOutput } from "../model/commitment.js";
import { readModelGraph } from "../model/directory.js";
import { createExecutor } from "../model/execute.js";
import { adapterOf, inputOf, type ModelGraph, modelDigest } from "../model/graph.js";
import type { Domain } from "../protocol/eip712.js";
import { inferenceFromJson, type NamedInference, type Task } from "../protocol/statements.js";
import { keyDigest, parseProof, parseVerifyingKey } from "../verifier/groth16.js";
import { verifyStatement } from "../verifier/statement.js";
import { type Command, type Context, optional, readDocument, readJson, type Values } from "./command.js";
import { outputText, readQuestions } from "./questions.js";
import { hexOption, TASK_OPTIONS, ZERO_ADDRESS } from "./task.js";

/** What the verifier believes of a key. */
interface Belief {
  domain: Domain;
  keyDigest: Hex;
  modelDigest: Hex;
  development: boolean | undefined;
}

export const verifyInferenceCommand: Command = {
  name: "verify inference",
  summary: "check what `prove inference` wrote against the key and model that you trust; offline",
  help: `
  DIR                  the folder with proof.json, statement.json and verification_key.json

What you hold to be true, from elsewhere than DIR:
  --trust FILE         keys with their models, chain and contracts, or:
  --key 0x…            the digest of the verifying key, with
  --model-digest 0x…   the digest of the model that the key is for, or --model
  --model DIR          the model itself (model.json), which also shows what the output means
  --chain-id N         [31337; from --trust]
  --contract 0x…       the gate that the proof must be for [the zero address; from --trust]

What you asked for; each one that is given must be the statement's:
  --task-id 0x…   --requester 0x…   --payee 0x…   --nonce N   --deadline N

  --opening FILE       what is said to be behind the input commitments, as in opening.json or a question with its salt: it must
                       be (needs --model). The model is run on it as well, where it has no adapter

The public signals are rebuilt from the statement; public.json is not read. Exits with 0 only if everything holds.
`,
  options: {
    trust: { type: "string" },
    key: { type: "string" },
    "model-digest": { type: "string" },
    model: { type: "string" },
    opening: { type: "string" },
    ...TASK_OPTIONS,
  },
  positionals: ["DIR"],
  async run({ values, positionals, terminal }: Context) {
    const [directory] = positionals;
    if (directory === undefined) throw new AnchorError("USAGE", "name the folder of the proof");
    const modelPath = optional(values, "model");
    const graph = modelPath === undefined ? undefined : await readModelGraph(modelPath);
    if (graph === undefined && values["opening"] !== undefined) {
      throw new AnchorError("USAGE", "--opening needs --model, which says how an input is committed to");
    }
    const named = inferenceFromJson(await readDocument(join(directory, "statement.json")), "statement");
    const key = parseVerifyingKey(await readJson(join(directory, "verification_key.json")));
    const proof = parseProof(await readJson(join(directory, "proof.json")));
    const { statement } = named;

    const belief = await readBelief(values, graph, keyDigest(key));
    if (statement.modelDigest !== belief.modelDigest) {
      throw new AnchorError("CLAIM_FAILED", `the statement is about another model: ${statement.modelDigest}`);
    }
    checkTask(values, statement.task);
    verifyStatement(belief.domain, named.name, statement, key, proof);

    const { outputs, inputCommitments } = listsOf(named);
    terminal.line(`ok     the proof is of this statement, under key ${belief.keyDigest}`);
    if (belief.development !== false) {
      terminal.line("note   no ceremony is known for this key: whoever made it could forge");
    }
    terminal.line(`model  ${belief.modelDigest}`);
    const meanings = graph === undefined ? undefined : decode(graph, outputs);
    for (const [i, output] of outputs.entries()) {
      const which = outputs.length > 1 ? ` ${i}` : "";
      const values = meanings?.[i];
      terminal.line(`output${which} ${values === undefined ? `${output} (packed)` : outputText(values)}`);
      terminal.line(`input${which}  behind commitment ${inputCommitments[i]}`);
    }
    if ("adapterCommitment" in statement) terminal.line(`adapter behind commitment ${statement.adapterCommitment}`);
    const { task } = statement;
    terminal.line(`task   ${task.taskId}, nonce ${task.nonce}, until ${timeText(task.deadline)}`);
    terminal.line(`       asked by ${task.requester}, done by ${task.payee}`);
    if (task.deadline < BigInt(Math.floor(Date.now() / 1000))) {
      terminal.line("note   the deadline has passed, by this machine's clock: a contract takes the proof no more");
    }

    const opening = optional(values, "opening");
    if (opening !== undefined) {
      checkOpening(graph!, outputs, inputCommitments, opening, await readJson(opening));
      terminal.line("ok     the inputs behind the commitments are the ones given");
      terminal.line(
        adapterOf(graph!) === undefined
          ? "ok     the model gives these outputs for them"
          : "note   the model was not run on them: its adapter is private",
      );
    }
  },
};

/** Unix seconds for people. A deadline is any uint256, and a date ends after some 275,000 years. */
function timeText(seconds: bigint): string {
  return seconds <= 8_640_000_000_000n ? new Date(Number(seconds) * 1000).toISOString() : `second ${seconds}`;
}

/** @throws UNANCHORED, KEY_UNKNOWN, USAGE, and what reading a trust file throws */
async function readBelief(values: Values, graph: ModelGraph | undefined, digest: Hex): Promise<Belief> {
  const ownModel = graph === undefined ? undefined : modelDigest(graph);
  const trustPath = optional(values, "trust");
  const unknown = () => new AnchorError("KEY_UNKNOWN", `the proof is by another key than you trust: ${digest}`);
  const chain = (fallback: bigint) => {
    const value = optional(values, "chain-id");
    if (value !== undefined && !/^\d{1,77}$/.test(value)) throw new AnchorError("USAGE", "--chain-id takes a number");
    return value === undefined ? fallback : BigInt(value);
  };
  const digestOption = (name: string) =>
    optional(values, name) === undefined ? undefined : hexOption(values, name, 32, "0x");
  const [key, model] = [digestOption("key"), digestOption("model-digest")];
  if (model !== undefined && ownModel !== undefined && model !== ownModel) {
    throw new AnchorError("CLAIM_FAILED", `--model is another model than --model-digest: ${ownModel}`);
  }
  if (trustPath !== undefined) {
    if (key !== undefined) throw new AnchorError("USAGE", "--key goes without --trust, which has the keys");
    const trust = trustFromJson(await readDocument(trustPath));
    const known = trust.keys.find(({ circuit, keyDigest }) => circuit === "inference" && keyDigest === digest);
    if (!known) throw unknown();
    const wanted = model ?? ownModel;
    if (wanted !== undefined && wanted !== known.modelDigest) {
      throw new AnchorError("CLAIM_FAILED", `the trust file has this key for another model: ${known.modelDigest}`);
    }
    return {
      domain: {
        chainId: chain(trust.chainId),
        verifyingContract: hexOption(values, "contract", 20, trust.contracts.gate),
      },
      keyDigest: digest,
      modelDigest: known.modelDigest!,
      development: known.development,
    };
  }
  const believed = model ?? ownModel;
  if (key === undefined || believed === undefined) {
    throw new AnchorError(
      "UNANCHORED",
      "a proof shows nothing by itself: name the key and the model that you trust, by --trust, or by --key with --model-digest or --model",
    );
  }
  if (key !== digest) throw unknown();
  return {
    domain: { chainId: chain(31337n), verifyingContract: hexOption(values, "contract", 20, ZERO_ADDRESS) },
    keyDigest: digest,
    modelDigest: believed,
    development: undefined,
  };
}

/** @throws CLAIM_FAILED, USAGE */
function checkTask(values: Values, task: Task): void {
  const expect = (name: string, is: string, wanted: string) => {
    if (is !== wanted) throw new AnchorError("CLAIM_FAILED", `the statement has another --${name}: ${is}`);
  };
  for (const [name, field, bytes] of [
    ["task-id", "taskId", 32],
    ["requester", "requester", 20],
    ["payee", "payee", 20],
  ] as const) {
    if (values[name] !== undefined) expect(name, task[field], hexOption(values, name, bytes, "0x"));
  }
  for (const name of ["nonce", "deadline"] as const) {
    const value = optional(values, name);
    if (value === undefined) continue;
    if (!/^\d{1,77}$/.test(value)) throw new AnchorError("USAGE", `--${name} takes a decimal number`);
    expect(name, task[name].toString(), BigInt(value).toString());
  }
}

function listsOf({ statement }: NamedInference): { outputs: bigint[]; inputCommitments: bigint[] } {
  if ("outputs" in statement) return statement;
  return { outputs: [statement.output], inputCommitments: [statement.inputCommitment] };
}

/** @throws CLAIM_FAILED for outputs that the model cannot give, which no proof of it has */
function decode(graph: ModelGraph, outputs: readonly bigint[]): (number[] | undefined)[] {
  const layout = outputLayout(graph);
  try {
    return outputs.map((output) => unpackOutput(layout, output));
  } catch (cause) {
    throw new AnchorError("CLAIM_FAILED", "the output is none of this model: the key is of another one", { cause });
  }
}

/** @throws CLAIM_FAILED, INPUT_INVALID */
function checkOpening(
  graph: ModelGraph,
  outputs: readonly bigint[],
  inputCommitments: readonly bigint[],
  path: string,
  json: unknown,
): void {
  const { questions } = readQuestions(graph, json, { path, salts: true });
  if (questions.length !== inputCommitments.length) {
    throw new AnchorError(
      "CLAIM_FAILED",
      `the statement has ${inputCommitments.length} inputs, not ${questions.length}`,
    );
  }
  const run = adapterOf(graph) === undefined ? createExecutor(graph) : undefined;
  const layout = outputLayout(graph);
  for (const [i, { input, salt }] of questions.entries()) {
    if (commitInput(inputOf(graph), input, salt) !== inputCommitments[i]) {
      throw new AnchorError("CLAIM_FAILED", `input ${i} is not the one behind its commitment, or its salt is another`);
    }
    if (run && packOutput(layout, run(input).output) !== outputs[i]) {
      throw new AnchorError(
        "CLAIM_FAILED",
        `the model gives another output for input ${i}: the key is of another model`,
      );
    }
  }
}
