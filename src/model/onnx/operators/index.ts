/** Which operators there are, and what to do without the others. @module */

import { clip, unsupported } from "../errors.js";
import type { Operator } from "../site.js";
import { constants } from "./constants.js";
import { elementwise } from "./elementwise.js";
import { linear } from "./linear.js";
import { movement } from "./movement.js";
import { quantised } from "./quantised.js";
import { reductions } from "./reduce.js";
import { spatial } from "./spatial.js";

const operators = new Map<string, Operator>(
  [constants, elementwise, linear, movement, quantised, reductions, spatial].flatMap((family) =>
    Object.entries(family),
  ),
);

/** Names that the domain com.microsoft shares with the standard, or has for itself. */
const MICROSOFT = new Set([
  "BiasGelu",
  "DequantizeLinear",
  "FastGelu",
  "FusedMatMul",
  "Gelu",
  "QGemm",
  "QLinearAdd",
  "QLinearAveragePool",
  "QLinearConcat",
  "QLinearGlobalAveragePool",
  "QLinearLeakyRelu",
  "QLinearMul",
  "QLinearSigmoid",
  "QLinearSoftmax",
  "QuantizeLinear",
  "QuickGelu",
]);
/** Those that the standard does not have. */
const FOREIGN = new Set(
  [...MICROSOFT].filter((op) => op !== "DequantizeLinear" && op !== "QuantizeLinear" && op !== "Gelu"),
);

const ADVICE: Readonly<Record<string, string>> = {
  LSTM: "recurrent layers keep a state; use convolutions or attention, or unroll it",
  GRU: "recurrent layers keep a state; use convolutions or attention, or unroll it",
  RNN: "recurrent layers keep a state; use convolutions or attention, or unroll it",
  Loop: "unroll it before exporting",
  Scan: "unroll it before exporting",
  TopK: "end the model at the scores, or in ArgMax",
  NonMaxSuppression: "end the model at the scores",
  LpPool: "use MaxPool or AveragePool",
  ZipMap: "export the scores as a tensor (skl2onnx: zipmap=False)",
};

export function operatorOf(op: string, domain: string, where: string): Operator {
  const known = domain === "" ? !FOREIGN.has(op) : MICROSOFT.has(op);
  const operator = known ? operators.get(op) : undefined;
  if (operator !== undefined) return operator;
  const advice = Object.hasOwn(ADVICE, op) ? ADVICE[op]! : "rewrite it in other operators, or end the model before it";
  throw unsupported(
    `${where}: the operator ${clip(op)}${domain === "" ? "" : ` of ${domain}`} is not supported; ${advice}`,
  );
}
