/**
 * One request to a model, from its inputs to what the public signals will say of it.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import { commitBatch, MAX_BATCH } from "../field/chain.js";
import { assertScalar } from "../field/scalar.js";
import { commitAdapter, commitInput, type OutputLayout, outputLayout, packOutput } from "./commitment.js";
import { createExecutor } from "./execute.js";
import { adapterOf, inputOf, type ModelGraph } from "./graph.js";

/** What a model is asked: integers of its input's range. */
export interface Question {
  readonly integers: ArrayLike<number>;
  /** Uniform, drawn anew for each question (`randomScalar`): who knows it can test guesses of the input. */
  readonly salt: bigint;
}

/** The private weights of an adapter. */
export interface AdapterWeights {
  readonly weights: ArrayLike<number>;
  /** Uniform, and the same for all requests, so that their users see that they get the same adapter. */
  readonly salt: bigint;
}

/** Everything that a witness is made from. */
export interface InferenceRequest {
  /** As many as the circuit takes at once: one, unless it was made for a batch. */
  readonly questions: readonly Question[];
  /** Where the model has an adapter, and only there. */
  readonly adapter?: AdapterWeights | undefined;
  readonly context: bigint;
}

/** What a proof says of a request, beside the context. */
export interface Answer {
  /** The model's output for each question. */
  readonly values: readonly Int32Array[];
  /** The same, packed as the circuit has it. */
  readonly outputs: readonly bigint[];
  readonly inputCommitments: readonly bigint[];
  readonly adapterCommitment?: bigint;
  /** The circuit's signals `output` and `inputCommitment`. */
  readonly output: bigint;
  readonly inputCommitment: bigint;
}

export interface Inference {
  readonly layout: OutputLayout;
  /** @throws AnchorError `INPUT_INVALID` for questions or weights that do not fit the model */
  answer(request: Omit<InferenceRequest, "context">): Answer;
}

/**
 * Prepares a model for many requests: its bounds are proven once.
 *
 * @throws AnchorError `MODEL_MALFORMED`, `MODEL_UNBOUNDED`
 */
export function createInference(graph: ModelGraph): Inference {
  const run = createExecutor(graph);
  const layout = outputLayout(graph);
  return {
    layout,
    answer({ questions, adapter }) {
      checkQuestions(questions);
      const values = questions.map(({ integers }) => run(integers, adapter?.weights).output);
      const outputs = values.map((value) => packOutput(layout, value));
      const inputCommitments = questions.map(({ integers, salt }) => commitInput(inputOf(graph), integers, salt));
      return {
        values,
        outputs,
        inputCommitments,
        ...(adapter === undefined || adapterOf(graph) === undefined
          ? {}
          : { adapterCommitment: commitAdapter(graph, adapter.weights, adapter.salt) }),
        output: commitBatch(outputs),
        inputCommitment: commitBatch(inputCommitments),
      };
    },
  };
}

function checkQuestions(questions: unknown): asserts questions is readonly Question[] {
  if (!Array.isArray(questions) || questions.length < 1 || questions.length > MAX_BATCH) {
    throw new AnchorError("INPUT_INVALID", `a request has 1 to ${MAX_BATCH} questions`);
  }
  for (const question of questions as unknown[]) {
    if (typeof question !== "object" || question === null) {
      throw new AnchorError("INPUT_INVALID", "a question has integers and a salt");
    }
    assertScalar((question as Question).salt, "salt");
  }
}
