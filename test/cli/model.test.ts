/** From an ONNX file to a proof, and what a verifier of it does, as users meet it. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { parseArgs } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustToJson } from "../../src/bundle/index.js";
import type { Values } from "../../src/cli/command.js";
import { modelEvaluateCommand, modelImportCommand, modelInfoCommand } from "../../src/cli/model.js";
import { proveInferenceCommand } from "../../src/cli/prove.js";
import { Terminal } from "../../src/cli/terminal.js";
import { verifyInferenceCommand } from "../../src/cli/verifyInference.js";
import { toAnchorError } from "../../src/errors.js";
import { TRUST } from "../bundle/fixture.js";
import { snarkjs, stopSnarkjs } from "../circuit/vendor.js";
import { int, node, onnx, tensor } from "../model/fixtures.js";

const home = process.cwd();
let directory: string;

const COMMANDS = [
  modelImportCommand,
  modelEvaluateCommand,
  modelInfoCommand,
  proveInferenceCommand,
  verifyInferenceCommand,
];

/** As `main` runs a command, without a process for each. */
async function anchorproof(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const command = COMMANDS.find(({ name }) => name === args.slice(0, 2).join(" "))!;
  const shown = new PassThrough();
  const result = { status: 0, err: "" };
  try {
    const { values, positionals } = parseArgs({
      args: args.slice(2),
      options: command.options,
      allowPositionals: true,
      strict: true,
    });
    const { signal } = new AbortController();
    await command.run({ values: values as Values, positionals, terminal: new Terminal(shown), signal });
  } catch (error) {
    const { code, message } = toAnchorError(error, "INTERNAL", "failed");
    Object.assign(result, { status: 1, err: `error ${code}: ${message.replaceAll("\n", " ")}\n` });
  }
  return { ...result, out: String(shown.read() ?? "") };
}

async function file(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content instanceof Uint8Array ? content : JSON.stringify(content));
  return path;
}

const json = async (path: string) => JSON.parse(await readFile(join(directory, path), "utf8"));

/** Numbers that look random, from -1 to 1. */
const numbers = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => Math.round(1000 * Math.sin(1 + seed + 12.9898 * i)) / 1000);

/** 4 → 5 ReLU → 3. */
const MLP = onnx({
  shape: [1, 4],
  nodes: [
    node("Gemm", ["x", "w1", "b1"], "h", [int("transB", 1)]),
    node("Relu", ["h"], "a"),
    node("Gemm", ["a", "w2", "b2"], "y", [int("transB", 1)]),
  ],
  tensors: [
    tensor("w1", [5, 4], numbers(20, 1)),
    tensor("b1", [5], numbers(5, 2)),
    tensor("w2", [3, 5], numbers(15, 3)),
    tensor("b2", [3], numbers(3, 4)),
  ],
});

const inputs = Array.from({ length: 40 }, (_, i) => numbers(4, 100 + i));
const labels = inputs.map((_, i) => i % 3);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "anchorproof-cli-model-"));
  process.chdir(directory);
  await file("mlp.onnx", MLP);
  await file("set.json", { inputs, labels });
  const imported = await anchorproof(
    ...["model", "import", "mlp.onnx", "--calibration", "set.json", "--output", "class", "--out", "mlp"],
  );
  expect(imported.err).toBe("");
});

afterAll(async () => {
  process.chdir(home);
  await rm(directory, { recursive: true, force: true });
  await stopSnarkjs();
});

describe("model import", () => {
  it("says what it made, the same every time, and of another output another model", async () => {
    const args = ["model", "import", "mlp.onnx", "--calibration", "set.json", "--limit", "20"];
    const first = await anchorproof(...args, "--out", "a");
    const second = await anchorproof(...args, "--out", "b", "--evaluation", "set.json", "--evaluation-limit", "5");
    const classes = await anchorproof(...args, "--out", "c", "--output", "class", "--input-bits", "6");
    const digest = (run: { out: string }) => /^model {4}(0x[0-9a-f]{64})$/m.exec(run.out)?.[1];
    expect(digest(first)).toBeDefined();
    expect(digest(second)).toBe(digest(first));
    expect(digest(classes)).not.toBe(digest(first));
    expect(first.out).toMatch(/^circuit {2}0x[0-9a-f]{64}$/m);
    expect(first.out).toMatch(/^samples {2}20; /m);
    expect(second.out).toMatch(/^samples {2}5; /m);
    expect(first.out).toMatch(/^note {5}these samples also chose/m);
    expect(second.out).not.toMatch(/^note/m);
    expect(first.out).toMatch(/^ {9}on each of 60 numbers: .*to 8 bits$/m);
    expect(first.out).toMatch(/^took {5}read .*MB.*, quantise .*, evaluate .*, circuit .*MB\)$/m);
    expect(classes.out).toMatch(/argMax +1 values in \[0, 2\]/);
    const report = await json("b/report.json");
    expect(report.evaluation).toMatchObject({ samples: 5, set: "evaluation" });
    expect(
      report.stages.every(({ peakBytes, ms }: { peakBytes: number; ms: number }) => peakBytes > 1e7 && ms >= 0),
    ).toBe(true);
    expect(await readFile(join(directory, "b", "report.html"), "utf8")).toMatch(/^<!doctype html>/i);
  });

  it("replaces a model only when asked", async () => {
    const args = ["model", "import", "mlp.onnx", "--calibration", "set.json", "--out", "replaced"];
    expect((await anchorproof(...args)).status).toBe(0);
    expect((await anchorproof(...args)).err).toMatch(/^error INPUT_INVALID: .*replaced exists/);
    expect((await anchorproof(...args, "--force")).status).toBe(0);
    await mkdir(join(directory, "photos"));
    const foreign = await anchorproof(...args.slice(0, -1), "photos", "--force");
    expect(foreign.err).toMatch(/^error INPUT_INVALID: .*not a model directory/);
  });

  it.each([
    ["a set of another size", { inputs: [[1, 2]] }, "INPUT_INVALID"],
    ["a set that is none", { input: [[1, 2, 3, 4]] }, "INPUT_INVALID"],
  ])("refuses %s", async (_, set, wanted) => {
    const path = await file("wrong.json", set);
    const { err, status } = await anchorproof("model", "import", "mlp.onnx", "--calibration", path, "--out", "wrong");
    expect(err).toMatch(new RegExp(`^error ${wanted}: .+\n$`));
    expect(status).toBe(1);
    expect(await readdir(directory)).not.toContain("wrong");
  });
});

describe("model evaluate and model info", () => {
  it("compare with the float model, by onnxruntime or by ourselves", async () => {
    const args = ["model", "evaluate", "mlp", "--onnx", "mlp.onnx", "--data", "set.json"];
    const run = await anchorproof(...args);
    expect(run.out).toMatch(/^samples {2}40; the float model ran on onnxruntime-node \d/m);
    expect(run.out).toMatch(/^right {4}float \d+\.\d\d %, integer \d+\.\d\d % \([+-]\d/m);
    expect(run.out).toMatch(/^agrees {3}on the class: \d+\.\d\d %$/m);
    const own = await anchorproof(...args, "--own", "--limit", "10", "--json");
    const evaluation = JSON.parse(own.out);
    expect(evaluation).toMatchObject({ samples: 10, runtime: "anchorproof's float executor" });
    expect(evaluation.classAgreement).toBeGreaterThan(0.8);
    expect(evaluation.modelDigest).toBe((await json("mlp/circuit.json")).modelDigest);
  });

  it("note another ONNX file than the model's", async () => {
    const evaluate = (file: string) => anchorproof("model", "evaluate", "mlp", "--onnx", file, "--data", "set.json");
    expect((await evaluate("mlp.onnx")).out).not.toMatch(/^note/m);
    await file("other.onnx", Buffer.concat([MLP, Buffer.from([0x1a, 0x00])])); // an empty domain after all else
    expect((await evaluate("other.onnx")).out).toMatch(/^note {5}other\.onnx is another file than/m);
  });

  it("take nothing from a report that is none", async () => {
    const args = ["model", "evaluate", "mlp", "--onnx", "mlp.onnx", "--data", "set.json", "--limit", "1"];
    const before = await json("mlp/report.json");
    const { format, version } = before;
    try {
      await file("mlp/report.json", { format, version });
      expect((await anchorproof(...args)).err).toBe("");
      await file("mlp/report.json", { format, version, quantisation: { outputUnit: "1" } });
      expect((await anchorproof(...args)).err).toMatch(/^error JSON_MALFORMED/);
      await file("mlp/report.json", null);
      expect((await anchorproof(...args)).err).toMatch(/^error FORMAT_UNSUPPORTED/);
    } finally {
      await file("mlp/report.json", before);
    }
  });

  it("say what a model is, and that a circuit is not its own", async () => {
    const info = await anchorproof("model", "info", "mlp");
    const { circuitDigest, rows } = await json("mlp/circuit.json");
    expect(info.out).toContain(`circuit  ${circuitDigest}`);
    expect(info.out).toContain(`${rows} rows, `);
    const asJson = JSON.parse((await anchorproof("model", "info", "mlp", "--json")).out);
    expect(asJson).toMatchObject({ circuitDigest, rows, batch: 1 });
    const changed = await readFile(join(directory, "replaced", "circuit.r1cs"));
    changed[changed.length - 1]! ^= 1;
    await file("replaced/circuit.r1cs", changed);
    expect((await anchorproof("model", "info", "replaced")).err).toMatch(/^error MODEL_MALFORMED/);
  });
});

describe("prove inference", () => {
  it("writes a proof that snarkjs verifies, and its opening for the prover alone", async () => {
    await file("question.json", { input: inputs[3] });
    const run = await anchorproof("prove", "inference", "--model", "mlp", "--input", "question.json", "--out", "p");
    expect(run.err).toBe("");
    const [proof, publics, vkey, statement] = await Promise.all(
      ["proof", "public", "verification_key", "statement"].map((name) => json(`p/${name}.json`)),
    );
    expect(publics.slice(0, 2)).toEqual([statement.output, statement.inputCommitment]);
    expect(await snarkjs.groth16.verify(vkey, publics, proof)).toBe(true);
    expect((await stat(join(directory, "p", "opening.json"))).mode & 0o777).toBe(0o600);
    expect(run.out).toContain(`output ${statement.output}`);
  });

  it("never writes over an old one unasked", async () => {
    const before = await json("p/opening.json");
    const args = ["prove", "inference", "--model", "mlp", "--input", "question.json", "--out", "p"];
    const refused = await anchorproof(...args);
    expect(refused.err).toMatch(/^error INPUT_INVALID: p is not empty/);
    expect(await json("p/opening.json")).toEqual(before);
    expect((await anchorproof(...args, "--force")).status).toBe(0);
    expect((await json("p/opening.json")).salt).not.toBe(before.salt);
    expect((await anchorproof(...args.slice(0, -1), "question.json")).err).toMatch(/^error FILE_UNREADABLE/);
  });

  it("takes integers with a given salt, publishes them where told, and notes what saturates", async () => {
    const salt = `0x${"12".repeat(31)}`;
    const { integers } = await json("p/opening.json");
    await file("exact.json", { integers, salt });
    const run = await anchorproof(
      ...["prove", "inference", "--model", "mlp", "--input", "exact.json", "--public-input", "--out", "exact"],
    );
    expect(run.err).toBe("");
    expect(BigInt((await json("exact/opening.json")).salt)).toBe(BigInt(salt));
    expect((await stat(join(directory, "exact", "opening.json"))).mode & 0o044).toBe(0o044);
    await file("far.json", { input: [[1000], [-1000], [0], [0]] });
    const far = await anchorproof("prove", "inference", "--model", "mlp", "--input", "far.json", "--out", "far");
    expect(far.out).toMatch(/^note {3}of the input's numbers, 2 outside of \[-1, 0\.9921875\] became the nearest/m);
  });

  it.each<[string, unknown]>([
    ["numbers of another size", { input: [1, 2, 3] }],
    ["integers out of range", { integers: [100_000, 0, 0, 0] }],
    ["integers that are none", { integers: [0.5, 0, 0, 0] }],
    ["both", { input: [0, 0, 0, 0], integers: [0, 0, 0, 0] }],
    ["neither", { salt: "0x1" }],
    ["what was called features", { features: [0, 0, 0, 0] }],
    ["null", { input: [null, 0, 0, 0] }],
    ["text", { input: "0000" }],
    ["a list of two", [{ input: [0, 0, 0, 0] }, { input: [0, 0, 0, 0] }]],
    ["an empty list", []],
    ["a salt above r", { input: [0, 0, 0, 0], salt: `0x${"ff".repeat(32)}` }],
    ["a salt in decimal", { input: [0, 0, 0, 0], salt: "12" }],
  ])("refuses %s", async (_, question) => {
    await file("refused.json", question);
    const run = await anchorproof(
      "prove",
      "inference",
      "--model",
      "mlp",
      "--input",
      "refused.json",
      "--out",
      "refused",
    );
    expect(run.err).toMatch(/^error INPUT_INVALID: .+\n$/);
    expect(await readdir(directory)).not.toContain("refused");
  });
});

describe("verify inference", () => {
  let key: string;
  let modelDigest: string;
  let requester: string;
  const verify = (...args: string[]) => anchorproof("verify", "inference", "asked", ...args);

  beforeAll(async () => {
    requester = `0x${"ab".repeat(20)}`;
    const run = await anchorproof(
      ...["prove", "inference", "--model", "mlp", "--input", "question.json", "--out", "asked"],
      ...["--requester", requester, "--nonce", "7", "--contract", TRUST.contracts.gate],
      // Later than any calendar.
      ...["--deadline", String(2n ** 200n)],
    );
    expect(run.err).toBe("");
    const statement = await json("asked/statement.json");
    ({ keyDigest: key } = statement.task);
    ({ modelDigest } = statement);
  });

  const anchored = () => ["--key", key, "--model", "mlp", "--contract", TRUST.contracts.gate];

  it("accepts the honest one, and shows what it says", async () => {
    const run = await verify(
      ...anchored(),
      "--opening",
      "asked/opening.json",
      "--requester",
      requester,
      "--nonce",
      "7",
    );
    expect(run.err).toBe("");
    const { output } = await json("asked/statement.json");
    expect(run.out).toMatch(/^ok {5}the proof is of this statement/m);
    expect(run.out).toMatch(/^note {3}no ceremony/m);
    expect(run.out).toContain(`output ${output}\n`);
    expect(run.out).toMatch(/^ok {5}the inputs behind the commitments/m);
    expect(run.out).toMatch(/^ok {5}the model gives these outputs/m);
    const bare = await verify("--key", key, "--model-digest", modelDigest, "--contract", TRUST.contracts.gate);
    expect(bare.status).toBe(0);
    expect(bare.out).toContain("(packed)");
  });

  it("takes keys from a trust file", async () => {
    const known = TRUST.keys.find(({ circuit }) => circuit === "inference")!;
    const trust = (change: object) => ({
      ...trustToJson({ ...TRUST, keys: [{ ...known, keyDigest: key as `0x${string}`, ...change }] }),
    });
    await file("trust.json", trust({ modelDigest, development: false }));
    const run = await verify("--trust", "trust.json");
    expect(run.err).toBe("");
    expect(run.out).not.toMatch(/ceremony/);
    await file("other.json", trust({}));
    expect((await verify("--trust", "other.json")).err).toMatch(/^error CLAIM_FAILED/);
    await file("foreign.json", trustToJson(TRUST));
    expect((await verify("--trust", "foreign.json")).err).toMatch(/^error KEY_UNKNOWN/);
    expect((await verify("--trust", "trust.json", "--key", key)).err).toMatch(/^error USAGE/);
  });

  it("says nothing without trust", async () => {
    for (const args of [[], ["--key", key], ["--model", "mlp"], ["--model-digest", modelDigest]]) {
      expect((await verify(...args)).err).toMatch(/^error UNANCHORED/);
    }
  });

  it.each<[string, (args: string[]) => string[], string]>([
    ["another key", (args) => [...args, "--key", `0x${"00".repeat(32)}`], "KEY_UNKNOWN"],
    [
      "another model",
      (args) => [...args.slice(0, 2), ...args.slice(4), "--model-digest", `0x${"00".repeat(32)}`],
      "CLAIM_FAILED",
    ],
    ["two models", (args) => [...args, "--model-digest", `0x${"00".repeat(32)}`], "CLAIM_FAILED"],
    ["another chain", (args) => [...args, "--chain-id", "1"], "PROOF_INVALID"],
    ["another gate", (args) => [...args, "--contract", `0x${"01".repeat(20)}`], "PROOF_INVALID"],
    ["another requester", (args) => [...args, "--requester", `0x${"01".repeat(20)}`], "CLAIM_FAILED"],
    ["another task", (args) => [...args, "--task-id", `0x${"01".repeat(32)}`], "CLAIM_FAILED"],
    ["another nonce", (args) => [...args, "--nonce", "8"], "CLAIM_FAILED"],
    ["another deadline", (args) => [...args, "--deadline", "8"], "CLAIM_FAILED"],
    ["another input", (args) => [...args, "--opening", "exact/opening.json"], "CLAIM_FAILED"],
    ["an opening without its salt", (args) => [...args, "--opening", "question.json"], "INPUT_INVALID"],
  ])("refuses %s", async (_, change, wanted) => {
    const run = await verify(...change(anchored()));
    expect(run.err).toMatch(new RegExp(`^error ${wanted}: .+\n$`));
    expect(run.status).toBe(1);
  });

  it.each<[string, string, (value: Record<string, unknown>) => unknown, string]>([
    ["another output", "statement", (s) => ({ ...s, output: s["output"] === "0" ? "1" : "0" }), "PROOF_INVALID"],
    ["another commitment", "statement", (s) => ({ ...s, inputCommitment: "5" }), "PROOF_INVALID"],
    ["another model", "statement", (s) => ({ ...s, modelDigest: `0x${"00".repeat(32)}` }), "CLAIM_FAILED"],
    [
      "another payee",
      "statement",
      (s) => ({ ...s, task: { ...(s["task"] as object), payee: `0x${"01".repeat(20)}` } }),
      "PROOF_INVALID",
    ],
    ["a field more", "statement", (s) => ({ ...s, note: "1" }), "STATEMENT_INVALID"],
    [
      "a batch of one",
      "statement",
      (s) => ({ task: s["task"], modelDigest: s["modelDigest"], outputs: ["1"], inputCommitments: ["1"] }),
      "STATEMENT_INVALID",
    ],
    ["a forged proof", "proof", (p) => ({ ...p, pi_c: p["pi_a"] }), "PROOF_INVALID"],
    ["another key", "verification_key", (v) => ({ ...v, vk_delta_2: v["vk_gamma_2"] }), "KEY_UNKNOWN"],
  ])("refuses %s in the folder", async (_, name, change, wanted) => {
    const path = `asked/${name}.json`;
    const before = await json(path);
    await file(path, change(before));
    try {
      expect((await verify(...anchored())).err).toMatch(new RegExp(`^error ${wanted}`));
    } finally {
      await file(path, before);
    }
  });

  it("shows a deadline that no date holds", async () => {
    const deadline = String(2n ** 255n);
    const run = await anchorproof(
      ...["prove", "inference", "--model", "mlp", "--input", "question.json", "--out", "late", "--deadline", deadline],
    );
    expect(run.err).toBe("");
    const checked = await anchorproof("verify", "inference", "late", "--key", key, "--model", "mlp");
    expect(checked.err).toBe("");
    expect(checked.out).toContain(`until second ${deadline}`);
    expect(checked.out).not.toContain("the deadline has passed");
  });

  it("notes a deadline that has passed", async () => {
    const run = await anchorproof(
      ...["prove", "inference", "--model", "mlp", "--input", "question.json", "--out", "past", "--deadline", "1"],
    );
    expect(run.err).toBe("");
    const checked = await anchorproof("verify", "inference", "past", "--key", key, "--model", "mlp");
    expect(checked.status).toBe(0);
    expect(checked.out).toMatch(/^note {3}the deadline has passed/m);
  });

  it("does not read the prover's own signals", async () => {
    await file("asked/public.json", ["1", "2", "3"]);
    expect((await verify(...anchored())).status).toBe(0);
  });
});

describe("a batch", () => {
  it("is imported, proven and verified as one", async () => {
    const imported = await anchorproof(
      ...[
        "model",
        "import",
        "mlp.onnx",
        "--calibration",
        "set.json",
        "--output",
        "logits",
        "--batch",
        "2",
        "--out",
        "two",
      ],
    );
    expect(imported.out).toMatch(/rows for 2 inferences/);
    await file("pair.json", [{ input: inputs[0] }, { input: inputs[1] }]);
    const run = await anchorproof("prove", "inference", "--model", "two", "--input", "pair.json", "--out", "pair");
    expect(run.err).toBe("");
    expect(run.out).toMatch(/^output \[.*\] for input 1$/m);
    const statement = await json("pair/statement.json");
    expect(statement.outputs).toHaveLength(2);
    const key = statement.task.keyDigest;
    const checked = await anchorproof(
      ...["verify", "inference", "pair", "--key", key, "--model", "two", "--opening", "pair/opening.json"],
    );
    expect(checked.err).toBe("");
    expect(checked.out).toMatch(/^output 1 \[/m);
    await file("swapped.json", (await json("pair/opening.json")).reverse());
    const swapped = await anchorproof(
      ...["verify", "inference", "pair", "--key", key, "--model", "two", "--opening", "swapped.json"],
    );
    expect(swapped.err).toMatch(/^error CLAIM_FAILED/);
    const one = await anchorproof("prove", "inference", "--model", "two", "--input", "question.json", "--out", "one");
    expect(one.err).toMatch(/^error INPUT_INVALID/);
  });
});

describe("a private adapter", () => {
  it("stays private: its commitment is public, and the same in every proof", async () => {
    const lora = onnx({
      shape: [1, 4],
      nodes: [
        node("MatMul", ["x", "w"], "base"),
        node("MatMul", ["x", "lora_A"], "low"),
        node("MatMul", ["low", "lora_B"], "update"),
        node("Add", ["base", "update"], "y"),
      ],
      tensors: [
        tensor("w", [4, 3], numbers(12, 5)),
        tensor("lora_A", [4, 1], numbers(4, 6)),
        tensor("lora_B", [1, 3], numbers(3, 7)),
      ],
    });
    await file("lora.onnx", lora);
    const args = ["model", "import", "lora.onnx", "--calibration", "set.json", "--output", "logits"];
    const imported = await anchorproof(...args, "--adapter", "--out", "lora");
    expect(imported.err).toBe("");
    expect(imported.out).toMatch(/^adapter {2}7 private weights/m);
    expect((await stat(join(directory, "lora", "adapter.json"))).mode & 0o777).toBe(0o600);
    // Nothing that is published has them.
    const { weights } = await json("lora/adapter.json");
    for (const name of ["model.json", "report.json", "circuit.json"]) {
      expect(await readFile(join(directory, "lora", name), "utf8")).not.toContain(weights.join(","));
    }

    const commitments: string[] = [];
    for (const out of ["l1", "l2"]) {
      const run = await anchorproof("prove", "inference", "--model", "lora", "--input", "question.json", "--out", out);
      expect(run.err).toBe("");
      commitments.push((await json(`${out}/statement.json`)).adapterCommitment);
    }
    expect(commitments[1]).toBe(commitments[0]);
    const { keyDigest } = (await json("l1/statement.json")).task;
    const verify = () =>
      anchorproof(
        ...["verify", "inference", "l1", "--key", keyDigest, "--model", "lora", "--opening", "l1/opening.json"],
      );
    const checked = await verify();
    expect(checked.err).toBe("");
    expect(checked.out).toContain(`adapter behind commitment ${commitments[0]}`);
    expect(checked.out).toMatch(/^note {3}the model was not run/m);

    const adapter = await json("lora/adapter.json");
    await file("other-adapter.json", { ...adapter, weights: adapter.weights.map((weight: number) => -weight) });
    const other = await anchorproof(
      ...["prove", "inference", "--model", "lora", "--input", "question.json", "--out", "l3"],
      ...["--adapter", "other-adapter.json"],
    );
    expect(other.err).toBe("");
    const statement = await json("l3/statement.json");
    expect(statement.adapterCommitment).not.toBe(commitments[0]);
    await file("l1/statement.json", {
      ...(await json("l1/statement.json")),
      adapterCommitment: statement.adapterCommitment,
    });
    expect((await verify()).err).toMatch(/^error PROOF_INVALID/);

    const evaluated = await anchorproof("model", "evaluate", "lora", "--onnx", "lora.onnx", "--data", "set.json");
    expect(evaluated.out).toMatch(/^agrees {3}on the class/m);
    await rm(join(directory, "lora", "adapter.json"));
    const without = await anchorproof(
      "prove",
      "inference",
      "--model",
      "lora",
      "--input",
      "question.json",
      "--out",
      "l4",
    );
    expect(without.err).toMatch(/^error FILE_NOT_FOUND/);
    const plain = await anchorproof(...args, "--out", "merged");
    expect(plain.out).not.toMatch(/adapter/);
    const surplus = await anchorproof(
      ...["prove", "inference", "--model", "mlp", "--input", "question.json", "--out", "l5"],
      ...["--adapter", "other-adapter.json"],
    );
    expect(surplus.err).toMatch(/^error INPUT_INVALID: the model has no adapter/);
  });
});
