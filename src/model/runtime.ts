/**
 * The float model as others run it, to measure the integer model against: onnxruntime where `onnxruntime-node` is
 * installed, else the float executor of this package.
 *
 * @module
 */

import type { InferenceSession, Tensor } from "onnxruntime-node";
import { AnchorError, toAnchorError } from "../errors.js";
import type { FloatGraph } from "./float.js";
import { sizeOf } from "./graph.js";
import { createFloatExecutor } from "./run.js";

export interface FloatRuntime {
  /** What runs, with its version, such as `onnxruntime-node 1.30.0`. */
  readonly name: string;
  /** The model's output for one input, in the file's order. @throws AnchorError `INPUT_INVALID` */
  run(input: ArrayLike<number>): Promise<Float64Array>;
  close(): Promise<void>;
}

export interface RuntimeOptions {
  /** Which output is the model's, where the file has several. */
  readonly output?: string | undefined;
  /** Take this package's executor, although onnxruntime is there. */
  readonly own?: boolean | undefined;
}

/**
 * @param onnx  the file's bytes
 * @param model what they were read as
 */
export async function openFloatRuntime(
  onnx: Uint8Array,
  model: FloatGraph,
  options: RuntimeOptions = {},
): Promise<FloatRuntime> {
  const library = options.own === true ? undefined : await load();
  if (library) {
    const session = await createSession(library, onnx, options.output);
    if (session) return session;
  }
  const run = createFloatExecutor(model);
  return {
    name: "anchorproof's float executor",
    run: async (input) => run(input).at(-1)!,
    close: async () => {},
  };
}

type Library = typeof import("onnxruntime-node");

async function load(): Promise<Library | undefined> {
  try {
    return await import("onnxruntime-node");
  } catch {
    return undefined; // not installed, or not for this machine: it is no dependency of the package
  }
}

/** Undefined for a file that onnxruntime does not run, or whose input is not the one that was read. */
async function createSession(
  library: Library,
  onnx: Uint8Array,
  wanted: string | undefined,
): Promise<FloatRuntime | undefined> {
  let session: InferenceSession;
  try {
    session = await library.InferenceSession.create(onnx, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
    });
  } catch {
    return undefined;
  }
  const [input] = session.inputMetadata;
  const output = wanted ?? session.outputNames[0];
  const make = input?.isTensor ? TENSORS[input.type as keyof typeof TENSORS] : undefined;
  if (session.inputMetadata.length !== 1 || !input?.isTensor || !make || output === undefined) {
    await session.release();
    return undefined;
  }
  // A dimension with a name, such as the batch, is 1.
  const dims = input.shape.map((dimension) => (typeof dimension === "number" && dimension > 0 ? dimension : 1));
  const size = sizeOf(dims);
  return {
    name: `onnxruntime-node ${library.env.versions.node ?? ""}`.trim(),
    async run(values) {
      if (values.length !== size) {
        throw new AnchorError("INPUT_INVALID", `the model takes ${size} values, not ${values.length}`);
      }
      let results: Record<string, Tensor>;
      try {
        const tensor = new library.Tensor(input.type as "float32", make(values) as Float32Array, dims);
        results = (await session.run({ [input.name]: tensor }, [output])) as Record<string, Tensor>;
      } catch (error) {
        throw toAnchorError(error, "INPUT_INVALID", "onnxruntime refuses this input");
      }
      return Float64Array.from(results[output]!.data as ArrayLike<number | bigint>, Number);
    },
    close: () => session.release(),
  };
}

/** Input types that samples can be given as. */
const TENSORS = {
  float32: (values: ArrayLike<number>) => Float32Array.from(values),
  float64: (values: ArrayLike<number>) => Float64Array.from(values),
  int32: (values: ArrayLike<number>) => Int32Array.from(values),
  int64: (values: ArrayLike<number>) => BigInt64Array.from(Array.from(values, BigInt)),
  int8: (values: ArrayLike<number>) => Int8Array.from(values),
  uint8: (values: ArrayLike<number>) => Uint8Array.from(values),
} as const;
