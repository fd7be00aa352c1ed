/**
 * Questions to a model in files: what `prove inference` reads, and what it writes as openings of its commitments.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { wordHex } from "../field/bytes.js";
import { MAX_BATCH } from "../field/chain.js";
import { isScalar, randomScalar } from "../field/scalar.js";
import { checkInput } from "../model/execute.js";
import { inputOf, inputSize, type ModelGraph } from "../model/graph.js";
import type { Question } from "../model/inference.js";
import { quantiseInput } from "../model/quantise/index.js";

/** Input tensors have no more dimensions. */
const MAX_RANK = 8;

export interface ReadQuestions {
  readonly questions: readonly (Question & { readonly input: Int32Array })[];
  /** Numbers outside of what the model's integers can stand for; they became the nearest ones. */
  readonly saturated: number;
}

/**
 * Reads `{"input": [0.5, …]}` or `{"integers": [64, …]}`, with `"salt": "0x…"` to use a given one, or a list of such.
 *
 * @param options `path`: the file, for messages; `salts`: every entry must have its own, and none is drawn
 * @throws INPUT_INVALID
 */
export function readQuestions(
  graph: ModelGraph,
  json: unknown,
  { path, salts = false }: { path: string; salts?: boolean },
): ReadQuestions {
  const list = Array.isArray(json) ? (json as unknown[]) : [json];
  if (list.length < 1 || list.length > MAX_BATCH) {
    throw new AnchorError("INPUT_INVALID", `a list of inputs has 1 to ${MAX_BATCH} entries`);
  }
  let saturated = 0;
  const questions = list.map((each, i) => {
    const where = Array.isArray(json) ? `${path}, input ${i}: ` : `${path}: `;
    const { numbers, exact, salt } = readQuestion(each, where, salts);
    const size = inputSize(graph);
    if (numbers.length !== size) {
      throw new AnchorError("INPUT_INVALID", `${where}the model takes ${size} numbers, not ${numbers.length}`);
    }
    if (exact) return { input: checkInput(graph, numbers), salt };
    saturated += numbers.filter((value) => isOutside(graph, value)).length;
    return { input: Int32Array.from(quantiseInput(graph, numbers)), salt };
  });
  return { questions, saturated };
}

/** The numbers that the model's integers can stand for. */
export function inputRange(graph: ModelGraph): { lo: number; hi: number } {
  const { lo, bits, scaleLog2 } = inputOf(graph);
  return { lo: lo / 2 ** scaleLog2, hi: (lo + 2 ** bits - 1) / 2 ** scaleLog2 };
}

function isOutside(graph: ModelGraph, value: number): boolean {
  const { lo, bits, scaleLog2 } = inputOf(graph);
  const scaled = value * 2 ** scaleLog2;
  return scaled < lo - 0.5 || scaled > lo + 2 ** bits - 0.5;
}

/** What {@link readQuestions} reads back: the integers behind a commitment, and its salt. */
export function openingToJson(questions: readonly Question[]): unknown {
  const list = questions.map(({ input, salt }) => ({
    integers: Array.from(input),
    salt: wordHex(salt),
  }));
  return list.length === 1 ? list[0] : list;
}

function readQuestion(
  json: unknown,
  where: string,
  needsSalt: boolean,
): { numbers: number[]; exact: boolean; salt: bigint } {
  const invalid = (problem: string) => new AnchorError("INPUT_INVALID", `${where}${problem}`);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalid('must be {"input": [numbers]} or {"integers": [integers]}');
  }
  const unknown = Object.keys(json).find((key) => !["input", "integers", "salt"].includes(key));
  if (unknown !== undefined) throw invalid(`has an unknown field ${JSON.stringify(unknown.slice(0, 40))}`);
  const { input, integers, salt } = json as { input?: unknown; integers?: unknown; salt?: unknown };
  if ((input === undefined) === (integers === undefined)) throw invalid('has either "input" or "integers"');
  if (needsSalt && salt === undefined) throw invalid('needs its "salt"');
  const given = input ?? integers;
  // Tensors may be written with their dimensions.
  const numbers = Array.isArray(given) ? (given.flat(MAX_RANK - 1) as unknown[]) : [];
  const exact = integers !== undefined;
  const right = exact ? Number.isSafeInteger : Number.isFinite;
  if (numbers.length === 0 || !numbers.every((value) => right(value))) {
    throw invalid(exact ? '"integers" must be a list of integers' : '"input" must be a list of finite numbers');
  }
  return { numbers: numbers as number[], exact, salt: salt === undefined ? randomScalar() : readSalt(salt, where) };
}

/** @throws INPUT_INVALID */
export function readSalt(value: unknown, where: string): bigint {
  const salt = typeof value === "string" && /^0x[0-9a-f]{1,64}$/.test(value) ? BigInt(value) : undefined;
  if (!isScalar(salt)) throw new AnchorError("INPUT_INVALID", `${where}the salt must be a scalar in lower-case 0x-hex`);
  return salt;
}

/** An output for people: the class, or the list, cut short where it is long. */
export function outputText(values: ArrayLike<number>): string {
  const list = Array.from(values);
  if (list.length === 1) return String(list[0]);
  return list.length <= 32 ? `[${list.join(", ")}]` : `[${list.slice(0, 32).join(", ")}, … ${list.length} in all]`;
}
