import { describe, expect, it } from "vitest";
import { readOnnx } from "../../../src/model/onnx/index.js";
import { createFloatExecutor } from "../../../src/model/run.js";
import { difference, type FileParts, file, floats, ints, noise, op, runtime, small, Type } from "./files.js";

interface Case extends FileParts {
  shape: number[];
  /** Kinds of the nodes after the input. */
  ops?: string;
  /** Greatest difference; 1e-5 otherwise. */
  within?: number;
  /** Multiplies the noise that is put in. */
  scale?: number;
}

const image = [1, 4, 7, 6];
const row = [1, 5];
const unary = (opType: string, values: Parameters<typeof op>[3] = {}, opset = 20): Case => ({
  nodes: [op(opType, ["x"], "y", values)],
  shape: [3, 4],
  opset,
  scale: 4,
});

const scalar = (name: string, value: number) => floats(name, [], [value]);
const moments = [scalar("two", 2), scalar("eps", 1e-3)];
const attention = (mask: number): Case => ({
  nodes: [
    op("MatMul", ["x", "wq"], "q"),
    op("MatMul", ["x", "wk"], "k"),
    op("Reshape", ["q", "heads"], "q4"),
    op("Transpose", ["q4"], "qt", { perm: [0n, 2n, 1n, 3n] }),
    op("Reshape", ["k", "heads"], "k4"),
    op("Transpose", ["k4"], "kt", { perm: [0n, 2n, 3n, 1n] }),
    op("MatMul", ["qt", "kt"], "s"),
    op("Div", ["s", "root"], "scaled"),
    op("Add", ["scaled", "mask"], "masked"),
    op("Softmax", ["masked"], "p", { axis: -1n }),
    op("MatMul", ["p", "qt"], "o"),
    op("Transpose", ["o"], "ot", { perm: [0n, 2n, 1n, 3n] }),
    op("Reshape", ["ot", "flat"], "y"),
  ],
  tensors: [
    noise("wq", [6, 6], 2),
    noise("wk", [6, 6], 3),
    ints("heads", [1, 4, 2, 3]),
    ints("flat", [1, 4, 6]),
    scalar("root", Math.sqrt(3)),
    floats(
      "mask",
      [1, 1, 4, 4],
      Array.from({ length: 16 }, (_, i) => (i % 4 > Math.floor(i / 4) ? mask : 0)),
    ),
  ],
  shape: [1, 4, 6],
});

const conv = (weights: number[], values: Parameters<typeof op>[3], shape = image): Case => ({
  nodes: [op("Conv", ["x", "w", "b"], "y", values)],
  tensors: [noise("w", weights, 2), noise("b", [weights[0]!], 3)],
  shape,
});

const cases: Record<string, Case> = {
  // Functions of one number
  ...Object.fromEntries(
    [
      "Relu",
      "Sigmoid",
      "Tanh",
      "Erf",
      "Softplus",
      "Softsign",
      "Elu",
      "Selu",
      "Celu",
      "HardSwish",
      "HardSigmoid",
      "Mish",
    ]
      .concat(["LeakyRelu", "ThresholdedRelu", "Gelu", "Exp", "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Sin"])
      .concat(["Cos", "Atan", "Sinh", "Cosh", "Asinh"])
      .map((name) => [name, unary(name, {}, name === "HardSwish" ? 17 : 20)]),
  ),
  "Gelu by tanh": unary("Gelu", { approximate: "tanh" }),
  "LeakyRelu with alpha": { ...unary("LeakyRelu", { alpha: 0.3 }), ops: "map" },
  "Clip of inputs": {
    nodes: [op("Clip", ["x", "lo", "hi"], "y")],
    tensors: [scalar("lo", -0.25), scalar("hi", 0.5)],
    shape: row,
    ops: "clip",
  },
  "Clip of one side": {
    nodes: [op("Clip", ["x", "", "hi"], "y")],
    tensors: [scalar("hi", 0.5)],
    shape: row,
    ops: "clip",
  },
  "Pow of three": { nodes: [op("Pow", ["x", "c"], "y")], tensors: [scalar("c", 3)], shape: row, ops: "map" },
  "PRelu of channels": {
    nodes: [op("PRelu", ["x", "s"], "y")],
    tensors: [floats("s", [4, 1, 1], [0.1, -0.5, 2, 0])],
    shape: image,
  },
  "Max, Min, Sum and Mean of several": {
    nodes: [
      op("Max", ["x", "a"], "p"),
      op("Min", ["x", "b", "p"], "q"),
      op("Sum", ["p", "q", "x"], "r"),
      op("Mean", ["r", "x", "a"], "y"),
    ],
    tensors: [noise("a", [5], 4), scalar("b", 0.1)],
    shape: row,
  },
  "a constant less x, divided by x": {
    nodes: [
      op("Sub", ["one", "x"], "a"),
      op("Exp", ["x"], "e"),
      op("Div", ["one", "e"], "b"),
      op("Add", ["a", "b"], "y"),
    ],
    tensors: [scalar("one", 1)],
    shape: row,
    ops: "map",
  },
  "Where by a comparison": {
    nodes: [op("Greater", ["x", "zero"], "c"), op("Mul", ["x", "slope"], "n"), op("Where", ["c", "x", "n"], "y")],
    tensors: [scalar("zero", 0), scalar("slope", 0.01)],
    shape: row,
    ops: "map",
  },
  "two Wheres, added": {
    nodes: [
      op("Greater", ["x", "high"], "c"),
      op("Sub", ["x", "high"], "p"),
      op("Where", ["c", "p", "zero"], "a"),
      op("Less", ["x", "low"], "d"),
      op("Sub", ["x", "low"], "q"),
      op("Where", ["d", "q", "zero"], "b"),
      op("Add", ["a", "b"], "y"),
    ],
    tensors: [scalar("zero", 0), scalar("high", 0.25), scalar("low", -0.25)],
    shape: row,
    ops: "map",
  },

  // Linear
  "Gemm of all attributes": {
    nodes: [op("Gemm", ["x", "w", "c"], "y", { alpha: -1.5, beta: 0.25, transB: 1n })],
    tensors: [noise("w", [3, 5]), noise("c", [3])],
    shape: row,
    ops: "linear",
  },
  "Gemm, transA": {
    nodes: [op("Gemm", ["x", "w"], "y", { transA: 1n })],
    tensors: [noise("w", [1, 4])],
    shape: [1, 3],
  },
  "MatMul of tokens and bias": {
    nodes: [op("MatMul", ["x", "w"], "h"), op("Add", ["b", "h"], "y")],
    tensors: [noise("w", [5, 3]), noise("b", [3])],
    shape: [1, 4, 5],
    ops: "linear arrange",
  },
  "MatMul with the constant on the left": {
    nodes: [op("MatMul", ["w", "x"], "y")],
    tensors: [noise("w", [2, 4])],
    shape: [1, 4, 3],
  },
  "MatMul by a batch of constants": {
    nodes: [op("MatMul", ["x", "w"], "y")],
    tensors: [noise("w", [3, 4, 2])],
    shape: [1, 3, 2, 4],
  },
  "MatMul of a batch of constants with x": {
    nodes: [op("MatMul", ["w", "x"], "y")],
    tensors: [noise("w", [3, 2, 4])],
    shape: [1, 4, 2],
  },
  "MatMul of computed values": {
    nodes: [op("Transpose", ["x"], "t", { perm: [0n, 2n, 1n] }), op("MatMul", ["x", "t"], "y")],
    shape: [1, 4, 3],
  },
  "MatMul of vectors": {
    nodes: [op("Reshape", ["x", "v"], "r"), op("MatMul", ["r", "w"], "y")],
    tensors: [ints("v", [5]), noise("w", [5])],
    shape: row,
  },
  Einsum: {
    nodes: [op("Einsum", ["x", "w"], "y", { equation: "bhid, dhe -> bieh" })],
    tensors: [noise("w", [3, 2, 4])],
    shape: [1, 2, 5, 3],
  },
  "FusedMatMul of com.microsoft": {
    nodes: [op("FusedMatMul", ["x", "w"], "y", { alpha: 0.5, transB: 1n }, "com.microsoft")],
    tensors: [noise("w", [3, 5])],
    shape: row,
  },

  // Windows
  Conv: { ...conv([6, 4, 3, 2], {}), ops: "arrange linear" },
  "Conv with groups, strides, pads and dilations": conv([6, 2, 3, 2], {
    group: 2n,
    strides: [2n, 1n],
    pads: [1n, 0n, 2n, 1n],
    dilations: [1n, 2n],
  }),
  "Conv, depthwise, SAME_UPPER": conv([8, 1, 3, 3], { group: 4n, auto_pad: "SAME_UPPER", strides: [2n, 2n] }),
  "Conv, SAME_LOWER": conv([2, 4, 2, 2], { auto_pad: "SAME_LOWER" }),
  "Conv, VALID": conv([2, 4, 2, 2], { auto_pad: "VALID", strides: [2n, 3n] }),
  "Conv of 1 × 1": { ...conv([5, 4, 1, 1], {}), ops: "arrange linear" },
  "Conv of one dimension": conv([3, 4, 3], { pads: [1n, 1n] }, [1, 4, 9]),
  "Conv of three dimensions": conv([3, 2, 2, 2, 2], { pads: [1n, 0n, 0n, 0n, 1n, 0n] }, [1, 2, 3, 4, 3]),
  ConvTranspose: {
    nodes: [
      op("ConvTranspose", ["x", "w", "b"], "y", {
        strides: [2n, 3n],
        pads: [1n, 0n, 0n, 1n],
        output_padding: [1n, 0n],
        dilations: [1n, 2n],
        group: 2n,
      }),
    ],
    tensors: [noise("w", [4, 3, 3, 2]), noise("b", [6])],
    shape: [1, 4, 3, 4],
  },
  "BatchNormalization after Conv": {
    nodes: [
      op("Conv", ["x", "w"], "c"),
      op("BatchNormalization", ["c", "g", "b", "m", "v"], "n"),
      op("Relu", ["n"], "y"),
    ],
    tensors: [
      noise("w", [3, 4, 3, 3]),
      noise("g", [3], 2),
      noise("b", [3], 3),
      noise("m", [3], 4),
      floats("v", [3], [0.5, 1.5, 0.25]),
    ],
    shape: image,
    ops: "arrange linear clip",
  },
  "input normalisation before a padded Conv": {
    nodes: [
      op("Div", ["x", "s"], "d"),
      op("Sub", ["d", "m"], "c"),
      op("Div", ["c", "v"], "n"),
      op("Conv", ["n", "w"], "y", { pads: [1n, 1n, 1n, 1n] }),
    ],
    tensors: [
      scalar("s", 255),
      floats("m", [1, 4, 1, 1], [0.5, 0.25, 0.125, 0.75]),
      floats("v", [1, 4, 1, 1], [0.5, 2, 0.25, 1]),
      noise("w", [3, 4, 3, 3]),
    ],
    shape: image,
    scale: 255,
    ops: "linear arrange linear",
  },
  MaxPool: {
    nodes: [op("MaxPool", ["x"], "y", { kernel_shape: [2n, 2n], strides: [2n, 2n] })],
    shape: image,
    ops: "arrange max",
  },
  "MaxPool, padded, rounded up": {
    nodes: [
      op("MaxPool", ["x"], "y", { kernel_shape: [3n, 3n], strides: [2n, 2n], pads: [1n, 1n, 1n, 1n], ceil_mode: 1n }),
    ],
    shape: image,
  },
  "MaxPool, dilated": {
    nodes: [op("MaxPool", ["x"], "y", { kernel_shape: [2n, 3n], dilations: [2n, 1n], auto_pad: "VALID" })],
    shape: image,
  },
  AveragePool: {
    nodes: [op("AveragePool", ["x"], "y", { kernel_shape: [2n, 2n], strides: [2n, 2n] })],
    shape: image,
    ops: "arrange linear",
  },
  "AveragePool, padded": {
    nodes: [op("AveragePool", ["x"], "y", { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] })],
    shape: image,
  },
  "AveragePool, padding counted, rounded up": {
    nodes: [
      op("AveragePool", ["x"], "y", {
        kernel_shape: [3n, 3n],
        strides: [2n, 2n],
        pads: [1n, 0n, 0n, 1n],
        count_include_pad: 1n,
        ceil_mode: 1n,
      }),
    ],
    opset: 19,
    shape: image,
  },
  "global pools": {
    nodes: [op("GlobalAveragePool", ["x"], "a"), op("GlobalMaxPool", ["x"], "b"), op("Add", ["a", "b"], "y")],
    shape: image,
  },

  // Movement
  "Concat, Split, Slice backwards": {
    nodes: [
      op("Split", ["x", "parts"], ["a", "b"], { axis: 1n }),
      op("Concat", ["b", "a", "c"], "j", { axis: 1n }),
      op("Slice", ["j", "starts", "ends", "axes", "steps"], "y"),
    ],
    tensors: [
      ints("parts", [1, 3]),
      noise("c", [1, 2, 7, 6]),
      ints("starts", [-1, 1]),
      ints("ends", [-1000, 1000]),
      ints("axes", [-1, 2]),
      ints("steps", [-2, 3]),
    ],
    shape: image,
    ops: "arrange",
  },
  "Pad by reflection and edges": {
    nodes: [
      op("Pad", ["x", "p"], "a", { mode: "reflect" }),
      op("Pad", ["a", "q"], "b", { mode: "edge" }),
      op("Pad", ["b", "r", "v"], "y"),
    ],
    tensors: [
      ints("p", [0, 0, 2, 1, 0, 0, 3, 0]),
      ints("q", [0, 1, 0, 1, 0, 0, 2, 0]),
      ints("r", [0, 0, 1, -1, 0, 0, 0, 1]),
      scalar("v", 0.5),
    ],
    shape: image,
    ops: "arrange",
  },
  "shapes computed from shapes": {
    nodes: [
      op("Shape", ["x"], "s"),
      op("Gather", ["s", "zero"], "n"),
      op("Unsqueeze", ["n", "axis"], "u"),
      op("Concat", ["u", "rest"], "t", { axis: 0n }),
      op("Reshape", ["x", "t"], "y"),
    ],
    tensors: [ints("zero", [0], []), ints("axis", [0]), ints("rest", [-1])],
    shape: image,
    ops: "arrange",
  },
  "DepthToSpace and back": {
    nodes: [
      op("DepthToSpace", ["x"], "d", { blocksize: 2n, mode: "CRD" }),
      op("SpaceToDepth", ["d"], "s", { blocksize: 2n }),
      op("Gather", ["s", "i"], "y", { axis: 1n }),
    ],
    tensors: [ints("i", [3, 0, -1])],
    shape: image,
  },
  "Tile, Expand and Squeeze": {
    nodes: [op("Expand", ["x", "e"], "a"), op("Tile", ["a", "r"], "b"), op("Squeeze", ["b", "axes"], "y")],
    tensors: [ints("e", [2, 1, 5]), ints("r", [1, 1, 2]), ints("axes", [1])],
    shape: row,
  },
  "Resize to nearest": {
    nodes: [
      op("Resize", ["x", "", "s"], "y", {
        mode: "nearest",
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
      }),
    ],
    tensors: [floats("s", [4], [1, 1, 2, 3])],
    shape: image,
    ops: "arrange",
  },
  "Resize, linear": {
    nodes: [
      op("Resize", ["x", "", "s"], "y", { mode: "linear", coordinate_transformation_mode: "pytorch_half_pixel" }),
    ],
    tensors: [floats("s", [4], [1, 1, 2, 1.5])],
    shape: image,
  },
  "Resize of an odd size, aligned at the corners": {
    nodes: [op("Resize", ["x", "", "s"], "y", { mode: "linear", coordinate_transformation_mode: "align_corners" })],
    tensors: [floats("s", [4], [1, 1, 0.6, 0.6])],
    shape: image,
  },
  Upsample: {
    nodes: [op("Upsample", ["x", "s"], "y")],
    tensors: [floats("s", [4], [1, 1, 2, 2])],
    shape: image,
    opset: 9,
  },

  // Reductions
  "ReduceMean of inner axes": {
    nodes: [op("ReduceMean", ["x"], "y", { axes: [1n, -1n], keepdims: 0n })],
    shape: image,
  },
  "ReduceMax and ReduceMin": {
    nodes: [
      op("ReduceMax", ["x"], "a", { axes: [2n] }),
      op("ReduceMin", ["x"], "b", { axes: [2n] }),
      op("Sub", ["a", "b"], "y"),
    ],
    shape: image,
  },
  "ReduceL2 and ReduceLogSumExp": {
    nodes: [
      op("ReduceL2", ["x"], "a", { axes: [3n] }),
      op("ReduceLogSumExp", ["x"], "b", { axes: [3n] }),
      op("Mul", ["a", "b"], "y"),
    ],
    shape: image,
  },
  "ArgMax of channels": {
    nodes: [op("ArgMax", ["x"], "a", { axis: 1n, keepdims: 0n }), op("Cast", ["a"], "y", { to: 1n })],
    shape: image,
    ops: "arrange argMax",
  },
  "ArgMax after LogSoftmax": {
    nodes: [
      op("LogSoftmax", ["x"], "l", { axis: -1n }),
      op("ArgMax", ["l"], "a", { axis: 1n }),
      op("Cast", ["a"], "y", { to: 1n }),
    ],
    shape: row,
    ops: "argMax",
  },
  LogSoftmax: { nodes: [op("LogSoftmax", ["x"], "y", { axis: 1n })], shape: image, scale: 5 },
  "Softmax along the channels": { nodes: [op("Softmax", ["x"], "y", { axis: 1n })], shape: image, scale: 5 },
  "Softmax before operator set 13": { nodes: [op("Softmax", ["x"], "y", { axis: 2n })], shape: image, opset: 11 },
  CumSum: { nodes: [op("CumSum", ["x", "a"], "y")], tensors: [ints("a", [1], [])], shape: row },

  // Normalisations, as operators and spelled out
  LayerNormalization: {
    nodes: [op("LayerNormalization", ["x", "g", "b"], "y", { axis: -2n, epsilon: 1e-3 })],
    tensors: [noise("g", [7, 6], 2), noise("b", [7, 6], 3)],
    shape: image,
    ops: "normalise linear",
  },
  "LayerNorm as PyTorch spells it": {
    nodes: [
      op("ReduceMean", ["x"], "m", { axes: [-1n] }),
      op("Sub", ["x", "m"], "c"),
      op("Pow", ["c", "two"], "q"),
      op("ReduceMean", ["q"], "v", { axes: [-1n] }),
      op("Add", ["v", "eps"], "e"),
      op("Sqrt", ["e"], "d"),
      op("Div", ["c", "d"], "n"),
      op("Mul", ["n", "g"], "s"),
      op("Add", ["s", "b"], "y"),
    ],
    tensors: [...moments, noise("g", [6], 2), noise("b", [6], 3)],
    shape: [1, 4, 6],
    ops: "normalise linear",
  },
  "LayerNorm with the mean twice, a product and a reciprocal": {
    nodes: [
      op("ReduceMean", ["x"], "m", { axes: [-1n] }),
      op("Sub", ["x", "m"], "c"),
      op("Mul", ["c", "c"], "q"),
      op("ReduceMean", ["q"], "v", { axes: [-1n] }),
      op("Add", ["eps", "v"], "e"),
      op("Sqrt", ["e"], "d"),
      op("Reciprocal", ["d"], "r"),
      op("Sub", ["x", "m"], "c2"),
      op("Mul", ["r", "c2"], "y"),
    ],
    tensors: moments,
    shape: [1, 4, 6],
    ops: "normalise",
  },
  "LayerNorm of channels": {
    nodes: [
      op("ReduceMean", ["x"], "m", { axes: [1n] }),
      op("Sub", ["x", "m"], "c"),
      op("Pow", ["c", "two"], "q"),
      op("ReduceMean", ["q"], "v", { axes: [1n] }),
      op("Add", ["v", "eps"], "e"),
      op("Sqrt", ["e"], "d"),
      op("Div", ["c", "d"], "y"),
    ],
    tensors: moments,
    shape: image,
    ops: "arrange normalise arrange",
  },
  "LayerNorm by E[x²] - E[x]²": {
    nodes: [
      op("ReduceMean", ["x"], "m", { axes: [-1n] }),
      op("Mul", ["x", "x"], "xx"),
      op("ReduceMean", ["xx"], "mm", { axes: [-1n] }),
      op("Mul", ["m", "m"], "sm"),
      op("Sub", ["mm", "sm"], "v"),
      op("Add", ["v", "eps"], "e"),
      op("Sqrt", ["e"], "d"),
      op("Sub", ["x", "m"], "c"),
      op("Div", ["c", "d"], "y"),
    ],
    tensors: moments,
    shape: [1, 4, 6],
    ops: "normalise",
    within: 1e-4,
  },
  "RMSNorm with its gain before the root": {
    nodes: [
      op("Mul", ["x", "g"], "gx"),
      op("Pow", ["x", "two"], "sq"),
      op("ReduceMean", ["sq"], "ms", { axes: [-1n] }),
      op("Add", ["ms", "eps"], "me"),
      op("Sqrt", ["me"], "r"),
      op("Div", ["gx", "r"], "y"),
    ],
    tensors: [...moments, noise("g", [6], 2)],
    shape: [1, 4, 6],
    ops: "normalise linear",
  },
  "the length of 1 as PyTorch's normalize spells it": {
    nodes: [
      op("ReduceL2", ["x"], "n", { axes: [-1n] }),
      op("Clip", ["n", "least", ""], "c"),
      op("Shape", ["x"], "s"),
      op("Expand", ["c", "s"], "e"),
      op("Div", ["x", "e"], "y"),
    ],
    tensors: [scalar("least", 1e-12)],
    shape: [1, 4, 6],
    ops: "normalise linear",
  },
  "the length of 1 by a sum of squares": {
    nodes: [
      op("Mul", ["x", "x"], "sq"),
      op("ReduceSum", ["sq", "axes"], "ss", {}),
      op("Sqrt", ["ss"], "n"),
      op("Add", ["n", "eps"], "ne"),
      op("Div", ["x", "ne"], "y"),
    ],
    tensors: [scalar("eps", 1e-8), ints("axes", [2])],
    shape: [1, 4, 6],
    ops: "normalise linear",
  },
  "RMSNorm as Llama spells it": {
    nodes: [
      op("Pow", ["x", "two"], "q"),
      op("ReduceMean", ["q"], "v", { axes: [-1n] }),
      op("Add", ["v", "eps"], "e"),
      op("Sqrt", ["e"], "d"),
      op("Div", ["one", "d"], "r"),
      op("Mul", ["x", "r"], "n"),
      op("Mul", ["g", "n"], "y"),
    ],
    tensors: [...moments, scalar("one", 1), noise("g", [6], 2)],
    shape: [1, 4, 6],
    ops: "normalise linear",
  },
  InstanceNormalization: {
    nodes: [op("InstanceNormalization", ["x", "g", "b"], "y")],
    tensors: [noise("g", [4], 2), noise("b", [4], 3)],
    shape: image,
    ops: "normalise linear",
  },
  "softmax spelled out": {
    nodes: [
      op("ReduceMax", ["x"], "m", { axes: [-1n] }),
      op("Sub", ["x", "m"], "d"),
      op("Exp", ["d"], "e"),
      op("ReduceSum", ["e", "axis"], "s"),
      op("Div", ["e", "s"], "y"),
    ],
    tensors: [ints("axis", [-1])],
    shape: [1, 4, 6],
    ops: "softmax",
  },

  // Chains that become one table
  "GELU spelled out": {
    nodes: [
      op("Div", ["x", "root"], "a"),
      op("Erf", ["a"], "b"),
      op("Add", ["b", "one"], "c"),
      op("Mul", ["x", "c"], "d"),
      op("Mul", ["d", "half"], "y"),
    ],
    tensors: [scalar("root", Math.SQRT2), scalar("one", 1), scalar("half", 0.5)],
    shape: row,
    ops: "map",
  },
  "SiLU, HardSwish and Mish spelled out": {
    nodes: [
      op("Sigmoid", ["x"], "a"),
      op("Mul", ["x", "a"], "silu"),
      op("Add", ["x", "three"], "b"),
      op("Clip", ["b", "zero", "six"], "c"),
      op("Div", ["c", "six"], "d"),
      op("Mul", ["x", "d"], "hard"),
      op("Softplus", ["x"], "e"),
      op("Tanh", ["e"], "f"),
      op("Mul", ["x", "f"], "mish"),
      op("Concat", ["silu", "hard", "mish"], "y", { axis: 1n }),
    ],
    tensors: [scalar("three", 3), scalar("zero", 0), scalar("six", 6)],
    shape: row,
    scale: 4,
    ops: "map map map arrange",
  },
  "scalings and clips, which stay": {
    nodes: [
      op("Mul", ["x", "two"], "a"),
      op("Add", ["a", "eps"], "b"),
      op("Relu", ["b"], "c"),
      op("Mul", ["c", "two"], "y"),
    ],
    tensors: moments,
    shape: row,
    ops: "linear clip linear",
  },
  "a bias before GELU, part of the linear node": {
    nodes: [
      op("MatMul", ["x", "w"], "h"),
      op("Add", ["h", "b"], "a"),
      op("Gelu", ["a"], "g"),
      op("MatMul", ["g", "v"], "y"),
    ],
    tensors: [noise("w", [5, 3]), noise("b", [3]), noise("v", [3, 2])],
    shape: row,
    opset: 20,
    ops: "linear map linear",
  },
  "gates, of two values": {
    nodes: [op("Split", ["x"], ["a", "b"], { axis: 1n }), op("Sigmoid", ["b"], "s"), op("Mul", ["a", "s"], "y")],
    shape: [1, 6],
    ops: "arrange arrange map mul",
  },
  attention: attention(0),
  "attention with a mask of -∞": attention(-Infinity),
  "attention with a mask of -10⁹": attention(-1e9),

  // Blocks of networks
  "a residual block": {
    nodes: [
      op("Conv", ["x", "w"], "a", { pads: [1n, 1n, 1n, 1n] }),
      op("BatchNormalization", ["a", "g", "b", "m", "v"], "n"),
      op("Relu", ["n"], "r"),
      op("Conv", ["r", "w"], "c", { pads: [1n, 1n, 1n, 1n] }),
      op("BatchNormalization", ["c", "g", "b", "m", "v"], "d"),
      op("Add", ["d", "x"], "s"),
      op("Relu", ["s"], "y"),
    ],
    tensors: [
      noise("w", [4, 4, 3, 3]),
      noise("g", [4], 2),
      noise("b", [4], 3),
      noise("m", [4], 4),
      floats("v", [4], [0.5, 1.5, 0.25, 1]),
    ],
    shape: image,
    ops: "arrange linear clip arrange linear add clip",
  },
  "squeeze and excitation": {
    nodes: [
      op("GlobalAveragePool", ["x"], "p"),
      op("Conv", ["p", "w1", "b1"], "h"),
      op("Relu", ["h"], "r"),
      op("Conv", ["r", "w2"], "e"),
      op("HardSigmoid", ["e"], "g"),
      op("Mul", ["g", "x"], "y"),
    ],
    tensors: [noise("w1", [2, 4, 1, 1]), noise("b1", [2], 2), noise("w2", [4, 2, 1, 1], 3)],
    shape: image,
    ops: "linear linear clip linear clip arrange mul",
  },
  "channels last, as TensorFlow has them": {
    nodes: [
      op("Transpose", ["x"], "t", { perm: [0n, 3n, 1n, 2n] }),
      op("Conv", ["t", "w"], "c", { auto_pad: "SAME_UPPER", strides: [2n, 2n] }),
      op("Transpose", ["c"], "u", { perm: [0n, 2n, 3n, 1n] }),
      op("Add", ["u", "b"], "s"),
      op("Clip", ["s", "zero", "six"], "r"),
      op("Transpose", ["r"], "v", { perm: [0n, 3n, 1n, 2n] }),
      op("MaxPool", ["v"], "p", { kernel_shape: [2n, 2n] }),
      op("Transpose", ["p"], "o", { perm: [0n, 2n, 3n, 1n] }),
      op("Reshape", ["o", "flat"], "f"),
      op("MatMul", ["f", "d"], "y"),
    ],
    tensors: [
      noise("w", [5, 3, 3, 3]),
      noise("b", [5], 2),
      scalar("zero", 0),
      scalar("six", 0.6),
      ints("flat", [1, -1]),
      noise("d", [30, 2], 3),
    ],
    shape: [1, 7, 6, 3],
    ops: "arrange linear arrange clip arrange max arrange linear",
  },
  "rotary positions": {
    nodes: [
      op("Range", ["zero", "four", "one"], "r"),
      op("Cast", ["r"], "i", { to: 1n }),
      op("Unsqueeze", ["i", "last"], "col"),
      op("Mul", ["col", "freq"], "angle"),
      op("Cos", ["angle"], "cos"),
      op("Sin", ["angle"], "sin"),
      op("Split", ["x"], ["a", "b"], { axis: -1n }),
      op("Neg", ["b"], "nb"),
      op("Concat", ["nb", "a"], "turned", { axis: -1n }),
      op("Mul", ["x", "cos"], "p"),
      op("Mul", ["turned", "sin"], "q"),
      op("Add", ["p", "q"], "y"),
    ],
    tensors: [
      ints("zero", [0], []),
      ints("four", [4], []),
      ints("one", [1], []),
      ints("last", [1]),
      floats("freq", [6], [1, 0.5, 0.1, 1, 0.5, 0.1]),
    ],
    shape: [1, 4, 6],
  },

  // Control flow and no-ops
  "If with a known condition": {
    nodes: [
      op("Shape", ["x"], "s"),
      op("Size", ["s"], "r"),
      op("Equal", ["r", "rank"], "c"),
      op("If", ["c"], "y", {
        then_branch: {
          name: "then",
          node: [op("Add", ["x", "own"], "then_y")],
          initializer: [scalar("own", 1)],
          output: [{ name: "then_y" }],
        },
        else_branch: { name: "else", node: [op("LRN", ["x"], "else_y", { size: 3n })], output: [{ name: "else_y" }] },
      }),
    ],
    tensors: [ints("rank", [2], [])],
    shape: row,
  },
  "Identity, Dropout and Cast": {
    nodes: [
      op("Identity", ["x"], "i"),
      op("Dropout", ["i"], "d"),
      op("Cast", ["d"], "c", { to: 11n }),
      op("Cast", ["c"], "y", { to: 1n }),
    ],
    shape: row,
    ops: "arrange",
  },
};

function inputs(size: number, scale: number): Float32Array[] {
  return [0, 1, 2, 3].map((k) =>
    Float32Array.from({ length: size }, (_, i) => (k === 0 ? 0 : scale * Math.sin((78.233 * (i + 1) * k) % 6.28))),
  );
}

describe("operators agree with onnxruntime", () => {
  it.each(Object.entries(cases))("%s", async (_, parts) => {
    const bytes = file(parts);
    const graph = readOnnx(bytes, { keepBatch: true });
    if (parts.ops !== undefined) {
      expect(
        graph.nodes
          .slice(1)
          .map((node) => node.op)
          .join(" "),
      ).toBe(parts.ops);
    }
    const run = createFloatExecutor(graph);
    const size = parts.shape.reduce((a, b) => a * b, 1);
    const tried = inputs(size, parts.scale ?? 1);
    const expected = await runtime(bytes, tried, parts.shape);
    tried.forEach((input, k) => {
      const ours = run(input).at(-1)!;
      expect(difference(ours, expected[k]!), `input ${k}`).toBeLessThan(parts.within ?? 1e-5);
    });
  });
});

describe("quantised files agree with onnxruntime within a step", () => {
  const u8 = (name: string, value: number) => small(name, [], Type.UINT8, [value]);
  const i8 = (name: string, value: number) => small(name, [], Type.INT8, [value]);
  const step = 0.05;
  const scales = [scalar("s", step), u8("z", 120), scalar("s2", 0.1), i8("z2", -3)];
  const bytes = (size: number) => Array.from({ length: size }, (_, i) => ((i * 89) % 255) - 127);
  const weights = [
    small("w", [3, 5], Type.INT8, bytes(15)),
    floats("ws", [3], [0.01, 0.02, 0.005]),
    small("wz", [3], Type.INT8, [0, 0, 0]),
  ];
  const quantise = op("QuantizeLinear", ["x", "s", "z"], "q");
  const quantised: Record<string, Case & { steps: number }> = {
    "a pair": {
      nodes: [quantise, op("DequantizeLinear", ["q", "s", "z"], "y")],
      tensors: scales,
      shape: row,
      ops: "grid",
      steps: step,
    },
    "a pair of other scales": {
      nodes: [quantise, op("DequantizeLinear", ["q", "s2", "z"], "y")],
      tensors: scales,
      shape: row,
      steps: 0.1,
    },
    "channels with scales of their own": {
      nodes: [
        op("QuantizeLinear", ["x", "cs", "cz"], "q", { axis: 1n }),
        op("DequantizeLinear", ["q", "cs", "cz"], "y", { axis: 1n }),
      ],
      tensors: [floats("cs", [4], [0.01, 0.02, 0.04, 0.03]), small("cz", [4], Type.INT8, [1, -2, 3, 0])],
      shape: image,
      ops: "grid",
      steps: 0.04,
    },
    "channels with scales of their own and one zero point": {
      nodes: [
        op("QuantizeLinear", ["x", "cs", "cz"], "q", { axis: 1n }),
        op("DequantizeLinear", ["q", "cs", "cz"], "y", { axis: 1n }),
      ],
      tensors: [floats("cs", [4], [0.01, 0.02, 0.04, 0.03]), small("cz", [4], Type.INT8, [0, 0, 0, 0])],
      shape: image,
      ops: "grid",
      steps: 0.04,
    },
    "channels on the last axis": {
      nodes: [
        op("QuantizeLinear", ["x", "cs", "cz"], "q", { axis: -1n }),
        op("DequantizeLinear", ["q", "cs", "cz"], "y", { axis: -1n }),
      ],
      tensors: [floats("cs", [2], [0.01, 0.05]), small("cz", [2], Type.UINT8, [128, 128])],
      shape: [1, 3, 2],
      ops: "grid",
      steps: 0.05,
    },
    "movement and MaxPool on the grid": {
      nodes: [
        quantise,
        op("Transpose", ["q"], "t", { perm: [0n, 1n, 3n, 2n] }),
        op("MaxPool", ["t"], "m", { kernel_shape: [2n, 2n] }),
        op("Concat", ["m", "m"], "c", { axis: 1n }),
        op("DequantizeLinear", ["c", "s", "z"], "y"),
      ],
      tensors: scales,
      shape: image,
      ops: "grid arrange max arrange",
      steps: step,
    },
    "Gemm between pairs, its weights dequantised": {
      nodes: [
        quantise,
        op("DequantizeLinear", ["q", "s", "z"], "xr"),
        op("DequantizeLinear", ["w", "ws", "wz"], "wr", { axis: 0n }),
        op("Gemm", ["xr", "wr"], "h", { transB: 1n }),
        op("QuantizeLinear", ["h", "s2", "z2"], "hq"),
        op("DequantizeLinear", ["hq", "s2", "z2"], "y"),
      ],
      tensors: [...scales, ...weights],
      shape: row,
      ops: "grid linear grid",
      steps: 0.1,
    },
    QLinearConv: {
      nodes: [
        quantise,
        op("QLinearConv", ["q", "s", "z", "w", "ws", "wz", "s2", "z", "b"], "c", { pads: [1n, 1n, 1n, 1n] }),
        op("DequantizeLinear", ["c", "s2", "z"], "y"),
      ],
      tensors: [
        ...scales,
        small("w", [3, 4, 3, 3], Type.INT8, bytes(108)),
        floats("ws", [3], [0.01, 0.02, 0.005]),
        small("wz", [3], Type.INT8, [0, 0, 0]),
        small("b", [3], Type.INT32, [110, -230, 310]),
      ],
      shape: image,
      ops: "grid arrange linear grid",
      steps: 0.1,
    },
    QLinearMatMul: {
      nodes: [
        quantise,
        op("QLinearMatMul", ["q", "s", "z", "m", "ms", "mz", "s2", "z"], "c"),
        op("DequantizeLinear", ["c", "s2", "z"], "y"),
      ],
      tensors: [
        ...scales,
        small(
          "m",
          [5, 3],
          Type.UINT8,
          bytes(15).map((b) => b + 127),
        ),
        scalar("ms", 0.01),
        u8("mz", 128),
      ],
      shape: row,
      ops: "grid linear grid",
      steps: 0.1,
    },
    "MatMulInteger with its scale behind": {
      nodes: [
        quantise,
        op("MatMulInteger", ["q", "m", "z", "mz"], "i"),
        op("Cast", ["i"], "f", { to: 1n }),
        op("Mul", ["f", "scale"], "y"),
      ],
      tensors: [...scales, small("m", [5, 3], Type.INT8, bytes(15)), i8("mz", 2), scalar("scale", 0.001)],
      shape: row,
      steps: 0.001,
    },
    ConvInteger: {
      nodes: [
        quantise,
        op("ConvInteger", ["q", "w", "z", "wz"], "i"),
        op("Cast", ["i"], "f", { to: 1n }),
        op("Mul", ["f", "scale"], "y"),
      ],
      tensors: [
        ...scales,
        small(
          "w",
          [2, 4, 2, 2],
          Type.UINT8,
          bytes(32).map((b) => b + 127),
        ),
        u8("wz", 100),
        scalar("scale", 0.001),
      ],
      shape: image,
      steps: 0.001,
    },
    "operators of com.microsoft": {
      nodes: [
        quantise,
        op("QLinearSigmoid", ["q", "s", "z", "ss", "sz"], "g", {}, "com.microsoft"),
        op("QLinearMul", ["q", "s", "z", "g", "ss", "sz", "s2", "z"], "m", {}, "com.microsoft"),
        op("QLinearAdd", ["m", "s2", "z", "q", "s", "z", "s2", "z"], "a", {}, "com.microsoft"),
        op("QLinearLeakyRelu", ["a", "s2", "z", "s2", "z"], "l", { alpha: 0.5 }, "com.microsoft"),
        op("QLinearGlobalAveragePool", ["l", "s2", "z", "s2", "z"], "p", {}, "com.microsoft"),
        op("DequantizeLinear", ["p", "s2", "z"], "y"),
      ],
      tensors: [...scales, scalar("ss", 1 / 255), u8("sz", 0)],
      shape: image,
      steps: 0.1,
    },
    "QGemm of com.microsoft": {
      nodes: [
        quantise,
        op("QGemm", ["q", "s", "z", "w", "ws", "wz", "b", "s2", "z"], "c", { transB: 1n, alpha: 1 }, "com.microsoft"),
        op("DequantizeLinear", ["c", "s2", "z"], "y"),
      ],
      tensors: [...scales, ...weights, small("b", [3], Type.INT32, [10, -20, 30])],
      shape: row,
      ops: "grid linear grid",
      steps: 0.1,
    },
  };
  it.each(Object.entries(quantised))("%s", async (_, parts) => {
    const bytes = file(parts);
    const graph = readOnnx(bytes, { keepBatch: true });
    if (parts.ops !== undefined) {
      expect(
        graph.nodes
          .slice(1)
          .map((node) => node.op)
          .join(" "),
      ).toBe(parts.ops);
    }
    const run = createFloatExecutor(graph);
    const tried = inputs(
      parts.shape.reduce((a, b) => a * b, 1),
      4,
    );
    const expected = await runtime(bytes, tried, parts.shape);
    tried.forEach((input, k) => {
      const ours = run(input).at(-1)!;
      expect(ours).toHaveLength(expected[k]!.length);
      let equal = 0;
      ours.forEach((value, i) => {
        const gap = Math.abs(value - expected[k]![i]!);
        expect(gap, `input ${k}, value ${i}`).toBeLessThan(1.01 * parts.steps);
        if (gap < 1e-4) equal++;
      });
      // Single precision rounds a few values to the other side.
      expect(equal).toBeGreaterThanOrEqual(0.9 * ours.length);
    });
  });
});

describe("inputs of integers", () => {
  it("are tokens where they only choose rows", async () => {
    const bytes = file({
      nodes: [
        op("Gather", ["table", "x"], "e"),
        op("Transpose", ["e"], "t", { perm: [0n, 2n, 1n] }),
        op("ReduceMean", ["t"], "y", { axes: [2n] }),
      ],
      tensors: [noise("table", [7, 3])],
      shape: ["batch", 4],
      type: Type.INT64,
    });
    const graph = readOnnx(bytes);
    expect(graph.nodes[0]).toMatchObject({ op: "input", shape: [4], tokens: 7 });
    expect(graph.outputShape).toEqual([3, 1]);
    const run = createFloatExecutor(graph);
    const [expected] = await runtime(bytes, [[6, 0, 3, 3]], [1, 4], Type.INT64);
    expect(difference(run([6, 0, 3, 3]).at(-1)!, expected!)).toBeLessThan(1e-6);
    for (const wrong of [7, -1, 0.5]) {
      expect(() => run([0, 0, 0, wrong])).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
    }
  });

  it("are numbers after a cast", async () => {
    const bytes = file({
      nodes: [op("Cast", ["x"], "f", { to: 1n }), op("Div", ["f", "s"], "d"), op("Gemm", ["d", "w"], "y")],
      tensors: [scalar("s", 255), noise("w", [5, 2])],
      shape: row,
      type: Type.UINT8,
    });
    const graph = readOnnx(bytes);
    expect(graph.nodes[0]).not.toHaveProperty("tokens");
    const [expected] = await runtime(bytes, [[0, 255, 7, 128, 1]], row, Type.UINT8);
    expect(difference(createFloatExecutor(graph)([0, 255, 7, 128, 1]).at(-1)!, expected!)).toBeLessThan(1e-5);
  });

  it("are not both", () => {
    const bytes = file({
      nodes: [
        op("Gather", ["table", "x"], "e"),
        op("Cast", ["x"], "f", { to: 1n }),
        op("Concat", ["e", "f"], "y", { axis: 1n }),
      ],
      tensors: [floats("table", [7], [0, 1, 2, 3, 4, 5, 6])],
      shape: [1, 4],
      type: Type.INT64,
    });
    expect(() => readOnnx(bytes)).toThrowError(expect.objectContaining({ code: "MODEL_OP_UNSUPPORTED" }));
  });
});
