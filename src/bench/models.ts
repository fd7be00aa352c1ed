/**
 * The models that `bench inference` runs, and inputs for them: real ones where the data are installed, else noise.
 *
 * Where the numbers come from changes no time and hardly a row: how wide accumulators are follows from the weights. It
 * does change what calibration chooses, and so the report says which they were.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { AnchorError, isAnchorError, toAnchorError } from "../errors.js";
import { loadCorpus, type Mail, mailBody, split } from "../model/corpus.js";
import { readSamples } from "../model/data.js";
import { extractFeatures, featuresToFloat } from "../model/features.js";
import { PACKAGE_ROOT } from "../paths.js";

export interface Samples {
  readonly inputs: readonly (Float32Array | Float64Array | readonly number[])[];
  /** For the report. */
  readonly origin: string;
}

export interface BenchModel {
  readonly name: string;
  /** What it is, for people. */
  readonly title: string;
  /** Its LoRA matrices are private weights. */
  readonly adapter?: true;
  /** @throws FILE_NOT_FOUND where it is not installed */
  onnx(): Promise<Uint8Array>;
  samples(count: number, signal: AbortSignal): Promise<Samples>;
}

/** Debian's dataset-fashion-mnist. */
const FASHION = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";
const PIXELS = 28 * 28;
/** Tokens of the text model: characters from space to underscore. */
const TOKENS = { count: 16, vocabulary: 64 };
/** Numbers of the wake word's input, as large as speech embeddings are. */
const SPEECH = { size: 25 * 96, mean: 1.7, deviation: 14 };

const committed = (file: string) => () => open(join(PACKAGE_ROOT, "bench", "models", file));

export const BENCH_MODELS: readonly BenchModel[] = [
  {
    name: "spam",
    title: "spam classifier",
    onnx: committed("spam-classifier.onnx"),
    samples: (count, signal) =>
      orNoise("mails of the SpamAssassin corpus", count, mails(count, signal), (below) =>
        featuresToFloat(Uint8Array.from({ length: 256 }, () => (below(4) === 0 ? below(128) : 0))),
      ),
  },
  { name: "mlp", title: "784-128-10", onnx: committed("fashion-mlp.onnx"), samples: images },
  { name: "lenet5", title: "LeNet-5", onnx: committed("fashion-lenet5.onnx"), samples: images },
  { name: "grouped", title: "grouped convolutions", onnx: committed("fashion-grouped.onnx"), samples: images },
  {
    name: "transformer",
    title: "transformer block with an adapter",
    adapter: true,
    onnx: committed("fashion-transformer.onnx"),
    samples: async (count, signal) => {
      // Upside down: what its adapter was trained for.
      const { inputs, origin } = await images(count, signal);
      return { inputs: inputs.map((image) => Float32Array.from(image).reverse()), origin: `${origin}, upside down` };
    },
  },
  {
    name: "text",
    title: "text embedding",
    onnx: committed("text-embedding.onnx"),
    samples: (count, signal) =>
      orNoise("text of the SpamAssassin corpus", count, texts(count, signal), (below) =>
        Float32Array.from({ length: TOKENS.count }, () => below(TOKENS.vocabulary)),
      ),
  },
  {
    name: "deepa",
    title: "hello_deepa (openwakeword-js)",
    onnx: async () => open(packageFile("openwakeword-js", "models/hello_deepa.onnx")),
    samples: async (count) => noise(count, (below) => Float32Array.from({ length: SPEECH.size }, () => speech(below))),
  },
];

type Below = (below: number) => number;

function images(count: number, signal: AbortSignal): Promise<Samples> {
  const real = async () => (existsSync(FASHION) ? (await readSamples(FASHION, { limit: count, signal })).inputs : []);
  return orNoise("Fashion-MNIST", count, real(), (below) => Float32Array.from({ length: PIXELS }, () => below(256)));
}

/** The first ones of the training split. */
async function mails(count: number, signal: AbortSignal): Promise<Float32Array[]> {
  const corpus = await corpusOr([], signal);
  return split(corpus)
    .train.slice(0, count)
    .map(({ body }) => featuresToFloat(extractFeatures(body)));
}

/** Windows of mails: letters in upper case, and white space for what the model has no token for. */
async function texts(count: number, signal: AbortSignal): Promise<Float32Array[]> {
  const windows: Float32Array[] = [];
  for (const { bytes } of await corpusOr([], signal)) {
    const text = Buffer.from(mailBody(bytes)).toString("latin1").toUpperCase();
    const line = text.replace(/[^ -_]+/g, " ").replace(/ +/g, " ");
    for (let from = 0; from + TOKENS.count <= line.length; from += TOKENS.count) {
      if (windows.length === count) return windows;
      windows.push(Float32Array.from({ length: TOKENS.count }, (_, i) => line.charCodeAt(from + i) - 32));
    }
  }
  return windows;
}

async function corpusOr(fallback: Mail[], signal: AbortSignal): Promise<Mail[]> {
  try {
    return await loadCorpus({ signal });
  } catch (error) {
    if (isAnchorError(error, "FILE_NOT_FOUND")) return fallback; // a development dependency
    throw error;
  }
}

async function orNoise(
  origin: string,
  count: number,
  real: Promise<Samples["inputs"]>,
  draw: (below: Below) => Float32Array,
): Promise<Samples> {
  const inputs = await real;
  return inputs.length > 0 ? { inputs, origin: `${origin}, ${inputs.length}` } : noise(count, draw);
}

function noise(count: number, draw: (below: Below) => Float32Array): Samples {
  let state = 1;
  const below = (limit: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  return { inputs: Array.from({ length: count }, () => draw(below)), origin: `noise, ${count}` };
}

/** Nearly normal: twelve uniform numbers. */
function speech(below: Below): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += below(65_536) / 65_536;
  return SPEECH.mean + SPEECH.deviation * sum;
}

/** A file of a package that exports none. @throws FILE_NOT_FOUND */
function packageFile(name: string, file: string): string {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const path = folders.map((folder) => join(folder, name, file)).find(existsSync);
  if (path === undefined) throw new AnchorError("FILE_NOT_FOUND", `${name} is not installed`);
  return path;
}

async function open(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (missing) throw new AnchorError("FILE_NOT_FOUND", `${path} is not there: it is no part of the package`);
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
}
