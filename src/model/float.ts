/**
 * The float graph: what an ONNX file means, in the few primitives that the quantiser knows.
 *
 * Values are flat vectors, nodes refer to nodes before them, and movement of values is explicit, just as in the integer
 * graph (`graph.ts`), whose layouts of `arrange`, `linear`, `max`, `matMul`, `lookup` and `argMax` are those here. The
 * reader of ONNX files (`onnx/`) lowers to this form; shapes, axes, broadcasting and padding end there.
 *
 * @module
 */

interface From {
  /** The ONNX nodes it stands for, as `"name" (Op)`, joined by ` + ` where several were fused; for messages, reports. */
  readonly node: string;
}

/** Node 0, and only there. */
export interface FloatInput extends From {
  readonly op: "input";
  readonly name: string;
  /** Without the batch. */
  readonly shape: readonly number[];
  /** Number of tokens where the input is of indices (integers from 0) and not of floats. */
  readonly tokens?: number;
}

/** Private weights of a LoRA adapter: node 1 or absent. */
export interface FloatAdapter extends From {
  readonly op: "adapter";
  readonly parts: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly values: Float64Array;
  /** A plain decimal. */
  readonly alpha: string;
}

export interface FloatArrange extends From {
  readonly op: "arrange";
  readonly inputs: readonly number[];
  /**
   * Negative entries `-1 - j` stand for `constants[j]`. These are finite, but for -Infinity where only softmax takes
   * the value: a lane that a mask hides.
   */
  readonly index: Int32Array;
  readonly constants: readonly number[];
}

/** Constant weights, the layout of `LinearNode`. */
export interface FloatLinear extends From {
  readonly op: "linear";
  readonly inputs: readonly [number];
  readonly groups: number;
  readonly positions: number;
  readonly inner: number;
  readonly outputs: number;
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

/** `min(max(x, min), max)`, either of which may be infinite; ReLU is `min: 0, max: Infinity`. */
export interface FloatClip extends From {
  readonly op: "clip";
  readonly inputs: readonly [number];
  readonly min: number;
  readonly max: number;
}

/** Any other function of one number (LeakyReLU, sigmoid, tanh, GELU, HardSwish, chains of such): becomes a table. */
export interface FloatMap extends From {
  readonly op: "map";
  readonly inputs: readonly [number];
  /** Of `+ - * /`, `Math.sqrt`, comparisons and `mathematics.ts` only: the same bits on every machine. */
  readonly apply: (x: number) => number;
}

export interface FloatMax extends From {
  readonly op: "max";
  readonly inputs: readonly [number];
  readonly window: number;
}

/** Elementwise, of two values of equal length. */
export interface FloatAdd extends From {
  readonly op: "add";
  readonly inputs: readonly [number, number];
}

/** Elementwise, of two values of equal length. */
export interface FloatMul extends From {
  readonly op: "mul";
  readonly inputs: readonly [number, number];
}

/** Both sides computed; the layout of `MatMulNode` (the second by rows of columns). */
export interface FloatMatMul extends From {
  readonly op: "matMul";
  readonly inputs: readonly [number, number];
  readonly groups: number;
  readonly rows: number;
  readonly inner: number;
  readonly cols: number;
}

/** Over each run of `width` values. */
export interface FloatSoftmax extends From {
  readonly op: "softmax";
  readonly inputs: readonly [number];
  readonly width: number;
}

/** `(x - mean) / √(variance + epsilon)` over each run of `width` values; gain and bias are a `linear` after it. */
export interface FloatNormalise extends From {
  readonly op: "normalise";
  readonly inputs: readonly [number];
  readonly width: number;
  readonly epsilon: number;
  /** False: no mean is subtracted, and the variance is the mean square (RMSNorm). */
  readonly centred: boolean;
}

/** `out[i·width + j] = entries[in[i]·width + j]`. */
export interface FloatLookup extends From {
  readonly op: "lookup";
  readonly inputs: readonly [number];
  readonly rows: number;
  readonly width: number;
  readonly entries: Float64Array;
}

/**
 * The file says that this value is on a grid (QuantizeLinear and DequantizeLinear, QLinear operators): it becomes
 * `scale[c] · (clamp(roundHalfEven(x / scale[c]) + zeroPoint[c], lo, hi) - zeroPoint[c])`, channels as for `requant`.
 */
export interface FloatGrid extends From {
  readonly op: "grid";
  readonly inputs: readonly [number];
  readonly scale: Float64Array;
  readonly zeroPoint: Int32Array;
  readonly lo: number;
  readonly hi: number;
}

export interface FloatArgMax extends From {
  readonly op: "argMax";
  readonly inputs: readonly [number];
  readonly width: number;
}

export type FloatNode =
  | FloatInput
  | FloatAdapter
  | FloatArrange
  | FloatLinear
  | FloatClip
  | FloatMap
  | FloatMax
  | FloatAdd
  | FloatMul
  | FloatMatMul
  | FloatSoftmax
  | FloatNormalise
  | FloatLookup
  | FloatGrid
  | FloatArgMax;

export interface FloatGraph {
  /** In order of evaluation; the last one's value is the model's output. */
  readonly nodes: readonly FloatNode[];
  /** Shape of the model's output, for people. */
  readonly outputShape: readonly number[];
  /** Every node of the file in order, with its operator. */
  readonly source: readonly { readonly name: string; readonly op: string }[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Metadata key of an ONNX file for `log2` of the integer steps in one unit of its input. */
export const INPUT_SCALE_KEY = "anchorproof.input_scale_log2";
