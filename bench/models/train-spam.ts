/**
 * Trains the demonstration model, a spam filter 256 → 32 ReLU → 2, and writes it as ONNX.
 *
 *     npx tsx bench/models/train-spam.ts [--out FILE]
 *
 * The training set is the corpus's train split (`split` of src/model/corpus.ts); hyper-parameters were chosen by
 * cross-validation inside it, and the held-out split is used for the printed numbers only. The seed is fixed, so a
 * machine gives the same file again; another engine's `Math.exp` may differ in the last bit, so the committed file,
 * not this script, is the model.
 *
 * @module
 */

import { renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, type ModelProto, ModelProtoSchema, TensorProto_DataType } from "onnx-buf";
import { loadCorpus, MAIL_CLASSES, type Mail, split } from "../../src/model/corpus.js";
import { createExecutor } from "../../src/model/execute.js";
import { extractFeatures, FEATURE_COUNT, FEATURE_SCALE_LOG2, featuresToFloat } from "../../src/model/features.js";
import { INPUT_SCALE_KEY } from "../../src/model/float.js";
import { modelDigest, serialiseGraph } from "../../src/model/graph.js";
import { readOnnx } from "../../src/model/onnx/index.js";
import { quantise } from "../../src/model/quantise/index.js";
import { createFloatExecutor } from "../../src/model/run.js";

const HIDDEN = 32;
const CLASSES = MAIL_CLASSES.length;
const TRAINING = { epochs: 25, batch: 32, rate: 3e-3, decay: 0.1, dropout: 0.1, smoothing: 0.01, seed: 20_030_228 };

interface Weights {
  readonly w1: Float64Array;
  readonly b1: Float64Array;
  readonly w2: Float64Array;
  readonly b2: Float64Array;
}

interface Sample {
  readonly features: Uint8Array;
  readonly label: number;
}

async function main(): Promise<void> {
  const flag = process.argv.indexOf("--out");
  const out =
    flag === -1 ? fileURLToPath(new URL("./spam-classifier.onnx", import.meta.url)) : (process.argv[flag + 1] ?? "");
  if (out === "") throw new Error("--out needs a file name");

  const { train, test } = split(await loadCorpus());
  const trainSet = train.map(toSample);
  const testSet = test.map(toSample);
  console.log(`corpus          ${train.length} mails to train on, ${test.length} held out (duplicates on one side)`);

  const weights = trainNetwork(trainSet);
  const file = toBinary(ModelProtoSchema, toOnnx(weights));
  writeFileSync(`${out}.partial`, file);
  renameSync(`${out}.partial`, out);

  // Everything below reads the file back: the numbers are those of what was written, in float32.
  const model = readOnnx(file);
  const { graph, report } = await quantise(model, {
    calibration: trainSet.map(({ features }) => featuresToFloat(features)),
    output: "class",
    inputBits: 7,
  });
  const run = createExecutor(graph);
  const runFloat = createFloatExecutor(model);
  const float = testSet.map(({ features }) => argMax(runFloat(featuresToFloat(features)).at(-1)!));
  const integer = testSet.map(({ features }) => run(features).output[0]!);
  const same = float.filter((predicted, i) => predicted === integer[i]).length;
  console.log(`float accuracy  ${percent(accuracy(float, testSet))}`);
  console.log(`int8 accuracy   ${percent(accuracy(integer, testSet))}`);
  console.log(
    `agreement       ${percent(same / testSet.length)} (${testSet.length - same} of ${testSet.length} differ)`,
  );
  console.log("int8 confusion  (rows: truth, columns: prediction)");
  console.log(`                ${["", ...MAIL_CLASSES].map((name) => name.padStart(6)).join("")}`);
  MAIL_CLASSES.forEach((name, truth) => {
    const row = MAIL_CLASSES.map((_, p) => integer.filter((c, i) => c === p && testSet[i]!.label === truth).length);
    console.log(`                ${[name, ...row].map((cell) => String(cell).padStart(6)).join("")}`);
  });
  for (const { node, elements, silent, saturated } of report.points) {
    console.log(`rounding        ${node}: ${silent} of ${elements} silent, ${percent(saturated)} of values saturated`);
  }
  console.log(`sizes           ONNX ${file.length} bytes, integer graph ${serialiseGraph(graph).length} bytes`);
  console.log(`model digest    ${modelDigest(graph)}`);
}

function toSample(mail: Mail): Sample {
  return { features: extractFeatures(mail.body), label: MAIL_CLASSES.indexOf(mail.label) };
}

/** Adam with decoupled weight decay on softmax cross-entropy, cosine schedule, input dropout, label smoothing. */
function trainNetwork(samples: readonly Sample[]): Weights {
  const random = mulberry32(TRAINING.seed);
  const inputs = samples.map(({ features }) => featuresToFloat(features));
  const [N, H] = [FEATURE_COUNT, HIDDEN];
  const [B1, W2] = [H * N, H * N + H];
  const B2 = W2 + CLASSES * H;
  const parameters = new Float64Array(B2 + CLASSES);
  for (let i = 0; i < B1; i++) parameters[i] = gaussian(random) * Math.sqrt(2 / N);
  for (let i = W2; i < B2; i++) parameters[i] = gaussian(random) * Math.sqrt(1 / H);

  const gradient = new Float64Array(parameters.length);
  const mean = new Float64Array(parameters.length);
  const variance = new Float64Array(parameters.length);
  const hidden = new Float64Array(H);
  const logits = new Float64Array(CLASSES);
  const order = samples.map((_, index) => index);
  const keep = 1 / (1 - TRAINING.dropout);
  const steps = TRAINING.epochs * Math.ceil(samples.length / TRAINING.batch);
  let step = 0;

  for (let epoch = 0; epoch < TRAINING.epochs; epoch++) {
    shuffle(order, random);
    for (let from = 0; from < order.length; from += TRAINING.batch) {
      const batch = order.slice(from, from + TRAINING.batch);
      gradient.fill(0);
      for (const index of batch) {
        const x = inputs[index]!;
        const active: number[] = [];
        for (let i = 0; i < N; i++) if (x[i] !== 0 && random() >= TRAINING.dropout) active.push(i);
        for (let h = 0; h < H; h++) {
          let sum = parameters[B1 + h]!;
          for (const i of active) sum += parameters[h * N + i]! * x[i]! * keep;
          hidden[h] = Math.max(0, sum);
        }
        for (let c = 0; c < CLASSES; c++) {
          let sum = parameters[B2 + c]!;
          for (let h = 0; h < H; h++) sum += parameters[W2 + c * H + h]! * hidden[h]!;
          logits[c] = sum;
        }
        const errors = softmax(logits).map((probability, c) => {
          const target = c === samples[index]!.label ? 1 - TRAINING.smoothing : TRAINING.smoothing / (CLASSES - 1);
          return probability - target;
        });
        for (let h = 0; h < H; h++) {
          let back = 0;
          for (let c = 0; c < CLASSES; c++) {
            gradient[W2 + c * H + h]! += errors[c]! * hidden[h]!;
            back += errors[c]! * parameters[W2 + c * H + h]!;
          }
          if (hidden[h] === 0) continue;
          gradient[B1 + h]! += back;
          for (const i of active) gradient[h * N + i]! += back * x[i]! * keep;
        }
        for (let c = 0; c < CLASSES; c++) gradient[B2 + c]! += errors[c]!;
      }
      step++;
      const rate = TRAINING.rate * 0.5 * (1 + Math.cos((Math.PI * step) / steps));
      for (let i = 0; i < parameters.length; i++) {
        const g = gradient[i]! / batch.length;
        mean[i] = 0.9 * mean[i]! + 0.1 * g;
        variance[i] = 0.999 * variance[i]! + 0.001 * g * g;
        const direction = mean[i]! / (1 - 0.9 ** step) / (Math.sqrt(variance[i]! / (1 - 0.999 ** step)) + 1e-8);
        parameters[i]! -= rate * (direction + TRAINING.decay * parameters[i]!);
      }
    }
  }
  return {
    w1: parameters.slice(0, B1),
    b1: parameters.slice(B1, W2),
    w2: parameters.slice(W2, B2),
    b2: parameters.slice(B2),
  };
}

function toOnnx({ w1, b1, w2, b2 }: Weights): ModelProto {
  const tensor = (name: string, dims: number[], values: Float64Array) => {
    const raw = new Uint8Array(4 * values.length);
    const view = new DataView(raw.buffer);
    for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
    return { name, dims: dims.map(BigInt), dataType: TensorProto_DataType.FLOAT, rawData: raw };
  };
  const value = (name: string, dims: number[]) => ({
    name,
    type: {
      value: {
        case: "tensorType" as const,
        value: {
          elemType: TensorProto_DataType.FLOAT,
          shape: { dim: dims.map((dim) => ({ value: { case: "dimValue" as const, value: BigInt(dim) } })) },
        },
      },
    },
  });
  const transB = { name: "transB", type: AttributeProto_AttributeType.INT, i: 1n };
  return create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    producerName: "anchorproof/bench/models/train-spam.ts",
    metadataProps: [
      { key: INPUT_SCALE_KEY, value: String(FEATURE_SCALE_LOG2) },
      {
        key: "anchorproof.input",
        value: `features: extractFeatures(body) / ${2 ** FEATURE_SCALE_LOG2}, see src/model/features.ts`,
      },
      { key: "anchorproof.classes", value: MAIL_CLASSES.join(",") },
    ],
    graph: {
      name: "spam-classifier",
      input: [value("features", [1, FEATURE_COUNT])],
      output: [value("logits", [1, CLASSES])],
      initializer: [
        tensor("hidden.weight", [HIDDEN, FEATURE_COUNT], w1),
        tensor("hidden.bias", [HIDDEN], b1),
        tensor("logits.weight", [CLASSES, HIDDEN], w2),
        tensor("logits.bias", [CLASSES], b2),
      ],
      node: [
        {
          name: "hidden",
          opType: "Gemm",
          input: ["features", "hidden.weight", "hidden.bias"],
          output: ["h"],
          attribute: [transB],
        },
        { name: "relu", opType: "Relu", input: ["h"], output: ["a"] },
        {
          name: "logits",
          opType: "Gemm",
          input: ["a", "logits.weight", "logits.bias"],
          output: ["logits"],
          attribute: [transB],
        },
      ],
    },
  });
}

function accuracy(predicted: readonly number[], samples: readonly Sample[]): number {
  return predicted.filter((c, i) => c === samples[i]!.label).length / samples.length;
}

function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function softmax(logits: Float64Array): number[] {
  const top = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function shuffle(list: number[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** A small deterministic generator (Tommy Ettinger's Mulberry32); not for secrets. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(2)} %`;
}

await main();
