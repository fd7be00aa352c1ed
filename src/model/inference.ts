/**
 * One request to a model, from its inputs to what the public signals will say of it.
 *
 * @module
 */

import { AnchorError } from "../errors.js";
import { commitBatch, MAX_BATCH } from "../field/chain.js";
import type { InferenceRequest } from "./circuit/statement.js";
import { commitAdapter, commitInput, type OutputLayout, outputLayout, packOutput } from "./commitment.js";
import { createExecutor } from "./execute.js";
import { inputOf, type ModelGraph } from "./graph.js";

/** One of a request's inferences: the model's input, and the salt of its commitment. */
export type Question = InferenceRequest["inferences"][number];

/** The private weights of an adapter, and the salt of their commitment: the same for all who are to see that it is one adapter. */
export type AdapterWeights = NonNullable<InferenceRequest["adapter"]>;

/** What a proof says of a request, beside the context. */
export interface Answer {
  /** The model's output for each of them. */
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
  /** @throws AnchorError `INPUT_INVALID` for inputs or weights that do not fit the model */
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
    answer({ inferences, adapter }) {
      checkInferences(inferences);
      const values = inferences.map(({ input }) => run(input, adapter?.weights).output);
      const outputs = values.map((value) => packOutput(layout, value));
      const inputCommitments = inferences.map(({ input, salt }) => commitInput(inputOf(graph), input, salt));
      return {
        values,
        outputs,
        inputCommitments,
        ...(adapter === undefined ? {} : { adapterCommitment: commitAdapter(graph, adapter.weights, adapter.salt) }),
        output: commitBatch(outputs),
        inputCommitment: commitBatch(inputCommitments),
      };
    },
  };
}

function checkInferences(inferences: unknown): void {
  if (!Array.isArray(inferences) || inferences.length < 1 || inferences.length > MAX_BATCH) {
    throw new AnchorError("INPUT_INVALID", `a request has 1 to ${MAX_BATCH} inferences`);
  }
  for (const each of inferences as unknown[]) {
    if (typeof each !== "object" || each === null) {
      throw new AnchorError("INPUT_INVALID", "an inference has an input and a salt");
    }
  }
}
