import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isAnchorError } from "../../../src/errors.js";
import { type ReadOnnxOptions, readOnnx } from "../../../src/model/onnx/index.js";
import {
  type AttributeInit,
  attributes,
  type FileParts,
  file,
  floats,
  type GraphInit,
  ints,
  noise,
  op,
  small,
  type TensorInit,
  Type,
} from "./files.js";

const W = floats("w", [2, 2], [1, 2, 3, 4]);
const mm = op("MatMul", ["x", "w"], "y");
const identity = op("Identity", ["x"], "y");
const scalar = (name: string, value: number) => floats(name, [], [value]);
const raw = (list: AttributeInit[]) => ({ ...op("Gemm", ["x", "w"], "y"), attribute: list });

interface Bad extends FileParts {
  options?: ReadOnnxOptions;
}

describe("readOnnx refuses with MODEL_OP_UNSUPPORTED", () => {
  const cases: [string, Bad, RegExp][] = [
    ["an operator", { nodes: [op("LSTM", ["x"], "h")] }, /node "h" \(LSTM\).*recurrent.*convolutions/],
    ["an operator of another domain", { nodes: [{ ...mm, domain: "ai.acme" }], tensors: [W] }, /domain "ai.acme"/],
    [
      "a standard operator under Microsoft's name",
      { nodes: [{ ...mm, domain: "com.microsoft" }], tensors: [W] },
      /MatMul of com/,
    ],
    [
      "Microsoft's operator under the standard's name",
      { nodes: [op("FusedMatMul", ["x", "w"], "y")], tensors: [W] },
      /FusedMatMul/,
    ],
    [
      "a dynamic dimension",
      { nodes: [mm], tensors: [W], shape: [1, "length"] },
      /dimension 1 "length" is dynamic.*fixed/,
    ],
    ["a dynamic vector", { nodes: [identity], shape: ["n"] }, /dynamic/],
    ["a batch", { nodes: [mm], tensors: [W], shape: [4, 2] }, /\[4,2\].*batch of 1/],
    ["an input of text", { nodes: [identity], type: Type.STRING }, /not STRING/],
    ["two outputs", { nodes: [mm], tensors: [W], outputs: ["y", "x"] }, /2 outputs \("y", "x"\)/],
    ["an output of constants", { nodes: [op("Identity", ["w"], "y")], tensors: [W] }, /does not depend/],
    [
      "division of two values",
      { nodes: [op("Split", ["x"], ["a", "b"], { axis: 1n }), op("Div", ["a", "b"], "y")] },
      /"y" \(Div\).*divides/,
    ],
    ["scales from the input", { nodes: [op("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])] }, /statically/],
    ["computed weights of Conv", { nodes: [op("Conv", ["x", "x"], "y")], shape: [1, 1, 3] }, /weights are computed/],
    [
      "a computed shape",
      { nodes: [op("Cast", ["x"], "s", { to: 7n }), op("Reshape", ["x", "s"], "y")] },
      /constant, known/,
    ],
    ["the last index", { nodes: [op("ArgMax", ["x"], "y", { select_last_index: 1n })] }, /lowest/],
    ["an unknown attribute", { nodes: [op("Gemm", ["x", "w"], "y", { broadcast: 1n })], tensors: [W] }, /broadcast/],
    [
      "training",
      {
        nodes: [op("BatchNormalization", ["x", "b", "b", "b", "b"], "y", { training_mode: 1n })],
        tensors: [scalar("b", 1)],
      },
      /inference/,
    ],
    [
      "a taken mask",
      {
        nodes: [op("MaxPool", ["x"], ["y", "i"], { kernel_shape: [1n] }), op("Cast", ["i"], "z", { to: 1n })],
        shape: [1, 1, 3],
      },
      /"i" is not supported/,
    ],
    [
      "a computed condition",
      {
        nodes: [
          op("ReduceMax", ["x"], "m", { keepdims: 0n }),
          op("Cast", ["m"], "c", { to: 9n }),
          op("If", ["c"], "y"),
        ],
      },
      /condition depends/,
    ],
    ["a loop", { nodes: [op("Loop", ["x"], "y")] }, /unroll/],
    ["external data", { nodes: [mm], tensors: [{ ...W, dataLocation: 1 }] }, /another file/],
    ["weights of text", { nodes: [mm], tensors: [{ ...W, dataType: Type.STRING }] }, /STRING/],
    ["bytes that would wrap around", { nodes: [op("Add", ["x", "x"], "y")], type: Type.UINT8 }, /UINT8.*wraps/],
    ["a future operator set", { nodes: [mm], tensors: [W], opset: 99 }, /operator set 99/],
    ["an adapter that is not there", { nodes: [mm], tensors: [W], options: { adapter: true } }, /no LoRA pair/],
  ];
  it.each(cases)("%s", (_, { options, ...parts }, message) => {
    expect(() => readOnnx(file(parts), options)).toThrowError(
      expect.objectContaining({ code: "MODEL_OP_UNSUPPORTED", message: expect.stringMatching(message) }),
    );
  });

  it("but not where the output is named, or the batch is kept", () => {
    expect(readOnnx(file({ nodes: [mm], tensors: [W], outputs: ["y", "x"] }), { output: "y" }).nodes).toHaveLength(2);
    expect(readOnnx(file({ nodes: [mm], tensors: [W], shape: [4, 2] }), { keepBatch: true }).outputShape).toEqual([
      4, 2,
    ]);
    expect(() => readOnnx(file({ nodes: [mm], tensors: [W] }), { output: "z" })).toThrowError(
      expect.objectContaining({ code: "INPUT_INVALID" }),
    );
  });

  it("but not for what nothing uses", () => {
    const unused = op("Div", ["x", "y"], "z");
    expect(readOnnx(file({ nodes: [mm, unused], tensors: [W], outputs: ["y"] })).nodes).toHaveLength(2);
  });
});

describe("readOnnx refuses with MODEL_MALFORMED", () => {
  const cases: [string, Uint8Array | FileParts][] = [
    ["nothing", new Uint8Array()],
    ["text", new TextEncoder().encode("not a model")],
    ["missing weight bytes", { nodes: [mm], tensors: [{ ...W, rawData: new Uint8Array(15) }] }],
    ["weights that do not fit", { nodes: [mm], tensors: [W], shape: [1, 3] }],
    ["NaN", { nodes: [mm], tensors: [floats("w", [2, 2], [1, 2, Number.NaN, 4])] }],
    ["infinite weights", { nodes: [mm], tensors: [floats("w", [2, 2], [1, 2, Infinity, 4])] }],
    ["division by zero", { nodes: [op("Div", ["x", "s"], "y")], tensors: [scalar("s", 0)] }],
    [
      "an infinity among values",
      { nodes: [op("Concat", ["x", "w"], "y", { axis: 0n })], tensors: [floats("w", [1, 2], [0, -Infinity])] },
    ],
    [
      "a mask that does not reach a softmax",
      { nodes: [op("Add", ["x", "w"], "a"), op("Relu", ["a"], "y")], tensors: [floats("w", [1, 2], [0, -Infinity])] },
    ],
    [
      "a mask that hides all",
      {
        nodes: [op("Where", ["m", "x", "w"], "a"), op("Softmax", ["a"], "s"), op("Mul", ["s", "x"], "y")],
        tensors: [small("m", [2, 2], Type.BOOL, [1, 0, 0, 0]), floats("w", [1], [-Infinity])],
      },
    ],
    ["a negative dimension", { nodes: [mm], tensors: [{ ...W, dims: [-2n, -2n] }] }],
    ["a huge dimension", { nodes: [mm], tensors: [{ ...W, dims: [2n ** 62n, 2n] }] }],
    ["a name twice", { nodes: [mm], tensors: [W, W] }],
    ["a result twice", { nodes: [mm, mm], tensors: [W] }],
    ["the input given by a node", { nodes: [op("Identity", ["w"], "x")], tensors: [W], outputs: ["x"] }],
    ["a cycle", { nodes: [op("Add", ["x", "b"], "a"), op("Relu", ["a"], "b")] }],
    ["a node of itself", { nodes: [op("Add", ["x", "y"], "y")] }],
    ["an output of nowhere", { nodes: [mm], tensors: [W], outputs: ["elsewhere"] }],
    ["a missing input", { nodes: [op("MatMul", ["x"], "y")], tensors: [W] }],
    ["an input left out", { nodes: [op("MatMul", ["x", ""], "y")], tensors: [W] }],
    ["an attribute of another type", { nodes: [raw(attributes({ transB: 1 }))], tensors: [W] }],
    [
      "an attribute twice",
      { nodes: [raw([...attributes({ transB: 1n }), ...attributes({ transB: 1n })])], tensors: [W] },
    ],
    ["a reshape that loses values", { nodes: [op("Reshape", ["x", "s"], "y")], tensors: [ints("s", [1, 3])] }],
    ["two open dimensions", { nodes: [op("Reshape", ["x", "s"], "y")], tensors: [ints("s", [-1, -1])] }],
    ["a fractional shape", { nodes: [op("Reshape", ["x", "s"], "y")], tensors: [floats("s", [2], [0.5, 4])] }],
    ["an axis out of range", { nodes: [op("Softmax", ["x"], "y", { axis: 2n })] }],
    ["axes twice", { nodes: [op("ReduceMean", ["x"], "y", { axes: [1n, -1n] })] }],
    ["a permutation that is none", { nodes: [op("Transpose", ["x"], "y", { perm: [1n, 1n] })] }],
    [
      "a split of another size",
      { nodes: [op("Split", ["x", "s"], ["y", "z"], { axis: 1n })], tensors: [ints("s", [2, 3])], outputs: ["y"] },
    ],
    ["an index out of range", { nodes: [op("Gather", ["x", "i"], "y", { axis: 1n })], tensors: [ints("i", [2])] }],
    [
      "a window larger than the image",
      { nodes: [op("MaxPool", ["x"], "y", { kernel_shape: [9n] })], shape: [1, 1, 3] },
    ],
    [
      "a window of padding",
      { nodes: [op("MaxPool", ["x"], "y", { kernel_shape: [2n], pads: [2n, 0n] })], shape: [1, 1, 3] },
    ],
    [
      "pads of another number",
      { nodes: [op("MaxPool", ["x"], "y", { kernel_shape: [2n], pads: [1n] })], shape: [1, 1, 3] },
    ],
    ["a stride of 0", { nodes: [op("MaxPool", ["x"], "y", { kernel_shape: [2n], strides: [0n] })], shape: [1, 1, 3] }],
    [
      "groups that do not divide",
      { nodes: [op("Conv", ["x", "k"], "y", { group: 2n })], tensors: [noise("k", [2, 1, 1])], shape: [1, 3, 3] },
    ],
    [
      "a step of 0",
      { nodes: [op("Slice", ["x", "a", "b", "a", "a"], "y")], tensors: [ints("a", [0]), ints("b", [1])] },
    ],
    [
      "a scale of 0",
      {
        nodes: [op("QuantizeLinear", ["x", "s"], "q"), op("DequantizeLinear", ["q", "s"], "y")],
        tensors: [scalar("s", 0)],
      },
    ],
    [
      "a zero point that is no byte",
      { nodes: [op("Identity", ["z"], "y")], tensors: [small("z", [1], Type.UINT8, [300])] },
    ],
    ["shapes that do not broadcast", { nodes: [op("Add", ["x", "w"], "y")], tensors: [noise("w", [3])] }],
    ["no operator set", { nodes: [mm], tensors: [W], opset: -1 }],
  ];
  it.each(cases)("%s", (_, what) => {
    const bytes = what instanceof Uint8Array ? what : file(what);
    expect(() => readOnnx(bytes)).toThrowError(
      expect.objectContaining({ code: expect.stringMatching(/^MODEL_MALFORMED$|^MODEL_OP_UNSUPPORTED$/) }),
    );
    if ((what as FileParts).opset === undefined) {
      expect(() => readOnnx(bytes)).toThrowError(expect.objectContaining({ code: "MODEL_MALFORMED" }));
    }
  });

  it("without printing control characters of a name", () => {
    const evil = file({ nodes: [op("Evil\u001b[2J", ["x"], "y\n\u202e")] });
    expect(() => readOnnx(evil)).toThrowError(
      expect.objectContaining({ message: expect.not.stringMatching(/[\p{Cc}\p{Cf}]/u) }),
    );
    const named = readOnnx(file({ nodes: [{ ...op("Relu", ["x"], "y"), name: "a\u001b[2Jb" }] }));
    expect(named.nodes[1]!.node).toBe('"a?[2Jb" (Relu)');
  });
});

describe("readOnnx refuses work without end", () => {
  const cases: [string, FileParts][] = [
    ["a huge input", { nodes: [identity], shape: [1, 2 ** 31 - 1] }],
    ["a huge input of many dimensions", { nodes: [identity], shape: [1, 65_535, 65_535, 65_535] }],
    [
      "a constant of a huge shape",
      {
        nodes: [op("ConstantOfShape", ["s"], "c"), op("Add", ["x", "c"], "y")],
        tensors: [ints("s", [2 ** 20, 2 ** 20])],
      },
    ],
    ["an expansion", { nodes: [op("Expand", ["x", "s"], "y")], tensors: [ints("s", [2 ** 24, 2])] }],
    ["a tiling", { nodes: [op("Tile", ["x", "s"], "y")], tensors: [ints("s", [2 ** 30, 2 ** 30])] }],
    ["padding", { nodes: [op("Pad", ["x", "s"], "y")], tensors: [ints("s", [0, 2 ** 30, 0, 0])] }],
    [
      "a range",
      {
        nodes: [op("Range", ["a", "b", "d"], "r"), op("Add", ["x", "r"], "y")],
        tensors: [ints("a", [0], []), ints("b", [2 ** 40], []), ints("d", [1], [])],
      },
    ],
    ["a resize", { nodes: [op("Resize", ["x", "", "s"], "y")], tensors: [floats("s", [2], [1, 1e9])] }],
    [
      "padded windows",
      {
        nodes: [op("AveragePool", ["x"], "y", { kernel_shape: [1n, 1n], pads: [65_535n, 65_535n, 65_535n, 65_535n] })],
        shape: [1, 1, 2, 2],
      },
    ],
    [
      "a kernel",
      {
        nodes: [
          op("AveragePool", ["x"], "y", {
            kernel_shape: [65_536n, 65_536n],
            pads: [65_535n, 65_535n, 65_535n, 65_535n],
          }),
        ],
        shape: [1, 1, 2, 2],
      },
    ],
    [
      "one-hot rows",
      {
        nodes: [op("Cast", ["x"], "i", { to: 7n }), op("OneHot", ["i", "d", "v"], "y")],
        tensors: [ints("d", [65_536], []), floats("v", [2], [0, 1])],
      },
    ],
    ["a running sum", { nodes: [op("CumSum", ["x", "a"], "y")], tensors: [ints("a", [1], [])], shape: [1, 100_000] }],
    [
      "a product with itself",
      { nodes: [op("Transpose", ["x"], "t"), op("MatMul", ["t", "x"], "y")], shape: [1, 4_000_000] },
    ],
    [
      "doubling",
      {
        nodes: Array.from({ length: 64 }, (_, i) =>
          op("Concat", [`${i || "x"}`, `${i || "x"}`], `${i + 1}`, { axis: 0n }),
        ),
      },
    ],
    [
      "doubled constants",
      {
        nodes: Array.from({ length: 64 }, (_, i) =>
          op("Concat", [`${i || "w"}`, `${i || "w"}`], `${i + 1}`, { axis: 0n }),
        ).concat(op("Add", ["x", "64"], "y")),
        tensors: [W],
      },
    ],
    [
      "movement without end",
      {
        nodes: Array.from({ length: 100 }, (_, i) => op("Transpose", [`${i || "x"}`], `${i + 1}`)),
        shape: [1, 2_000_000],
      },
    ],
  ];
  it.each(cases)("%s", (_, parts) => {
    const before = process.cpuUsage();
    expect(() => readOnnx(file(parts))).toThrowError(expect.objectContaining({ code: "INPUT_TOO_LARGE" }));
    // Of work, that is: what others take of the cores does not count.
    expect(process.cpuUsage(before).user).toBeLessThan(10_000_000);
  });

  it.each([
    [20, "INPUT_TOO_LARGE"],
    [40, "MODEL_MALFORMED"], // of the decoder, which has a limit of its own
  ])("%i branches within branches", (depth, code) => {
    let graph: GraphInit = { name: "leaf", node: [op("Relu", ["x"], "y0")], output: [{ name: "y0" }] };
    for (let i = 1; i < depth; i++) {
      const values: Record<string, GraphInit> = { then_branch: graph, else_branch: { name: "none" } };
      graph = { name: `${i}`, node: [op("If", ["c"], `y${i}`, values)], output: [{ name: `y${i}` }] };
    }
    const parts = { nodes: graph.node as FileParts["nodes"], tensors: [small("c", [], Type.BOOL, [1])] };
    expect(() => readOnnx(file(parts))).toThrowError(expect.objectContaining({ code }));
  });

  it("a chain as long as the nodes allow, without running out of stack", () => {
    const chain = (length: number) => ({
      nodes: Array.from({ length }, (_, i) => op("Tanh", [`${i || "x"}`], `${i + 1}`)),
    });
    const graph = readOnnx(file(chain(10_000)));
    expect(graph.nodes.map((node) => node.op)).toEqual(["input", "map"]);
    expect(graph.source).toHaveLength(10_000);
    expect(() => readOnnx(file(chain(70_000)))).toThrowError(expect.objectContaining({ code: "INPUT_TOO_LARGE" }));
  });
});

describe("readOnnx on damaged files", () => {
  const bench = (name: string) =>
    new Uint8Array(readFileSync(new URL(`../../../bench/models/${name}`, import.meta.url)));
  const tiny = file({
    nodes: [
      op("Conv", ["x", "w"], "c", { pads: [1n, 1n] }),
      op("MaxPool", ["c"], "p", { kernel_shape: [2n], ceil_mode: 1n }),
      op("Softmax", ["p"], "s"),
      op("Reshape", ["s", "r"], "v"),
      op("QuantizeLinear", ["v", "q", "z"], "i"),
      op("DequantizeLinear", ["i", "q", "z"], "d"),
      op("Gemm", ["d", "g"], "y", { alpha: 0.5 }),
    ],
    tensors: [
      noise("w", [2, 1, 3]),
      ints("r", [1, -1]),
      scalar("q", 0.1),
      small("z", [], Type.INT8, [3]),
      noise("g", [8, 2]),
    ],
    shape: [1, 1, 5],
  });
  const files = [bench("spam-classifier.onnx"), tiny, bench("fashion-transformer.onnx")];

  /** Reads a file; any failure must be typed. */
  function survives(bytes: Uint8Array, options?: ReadOnnxOptions): boolean {
    try {
      readOnnx(bytes, options);
      return true;
    } catch (error) {
      if (!isAnchorError(error)) throw error;
      expect(["MODEL_MALFORMED", "MODEL_OP_UNSUPPORTED", "INPUT_TOO_LARGE"]).toContain(error.code);
      return false;
    }
  }

  it("truncated anywhere: never a crash, never accepted short of weights", () => {
    expect(survives(tiny)).toBe(true);
    for (let length = 0; length < tiny.length; length++) survives(tiny.slice(0, length));
    const spam = files[0]!;
    for (let length = 0; length < spam.length; length += 997) expect(survives(spam.slice(0, length))).toBe(false);
  });

  it("with bytes changed, inserted and repeated", () => {
    const edit = fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom("set", "insert", "delete", "repeat"));
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(edit, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        (whole, edits, adapter) => {
          let bytes = [...whole.subarray(0, 4000), ...whole.subarray(-1000)];
          for (const [where, value, kind] of edits) {
            const at = where % bytes.length;
            if (kind === "set") bytes[at] = value;
            else if (kind === "insert") bytes.splice(at, 0, value);
            else if (kind === "delete") bytes.splice(at, 1 + (value % 8));
            else bytes = [...bytes.slice(0, at), ...bytes.slice(Math.max(0, at - value))];
          }
          survives(Uint8Array.from(bytes), { adapter });
        },
      ),
      { numRuns: 600 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void survives(bytes)),
      { numRuns: 500 },
    );
  });

  it("with one byte of a whole small model changed", () => {
    for (let at = 0; at < tiny.length; at++) {
      for (const value of [0, 0xff, tiny[at]! ^ 1, tiny[at]! ^ 0x08]) {
        const copy = tiny.slice();
        copy[at] = value;
        survives(copy);
      }
    }
  });

  it("with shapes and indices from anywhere", () => {
    const number = fc.oneof(
      fc.integer({ min: -5, max: 12 }),
      fc.constantFrom(2 ** 31, -(2 ** 31), 2 ** 53, -(2 ** 63), 2 ** 62),
    );
    const list = fc.array(number, { maxLength: 5 });
    const kinds: [string, string[]][] = [
      ["Reshape", ["x", "a"]],
      ["Expand", ["x", "a"]],
      ["Tile", ["x", "a"]],
      ["Pad", ["x", "a"]],
      ["Slice", ["x", "a", "b"]],
      ["Slice", ["x", "a", "b", "c", "d"]],
      ["Gather", ["x", "a"]],
      ["Split", ["x", "a"]],
      ["Squeeze", ["x", "a"]],
      ["Unsqueeze", ["x", "a"]],
      ["ReduceSum", ["x", "a"]],
      ["CumSum", ["x", "a"]],
      ["GatherND", ["x", "a"]],
      ["ScatterND", ["x", "a", "x"]],
      ["GatherElements", ["x", "a"]],
      ["Resize", ["x", "", "", "a"]],
      ["Range", ["a", "b", "c"]],
      ["OneHot", ["a", "b", "c"]],
      ["ConstantOfShape", ["a"]],
      ["Trilu", ["x", "a"]],
      ["DequantizeLinear", ["x", "a", "b"]],
    ];
    const pads: Record<string, bigint[]> = { kernel_shape: [2n, 2n] };
    fc.assert(
      fc.property(fc.constantFrom(...kinds), list, list, list, list, (kind, a, b, c, d) => {
        const tensors: TensorInit[] = [ints("a", a), ints("b", b), ints("c", c), ints("d", d)];
        const nodes = [op(kind[0], kind[1], "y"), op("Cast", ["y"], "f", { to: 1n }), op("Add", ["f", "x"], "z")];
        survives(file({ nodes, tensors, shape: [1, 3, 4] }));
        const lists = [a, b, c].map((values) => values.map((value) => BigInt(value)));
        const [strides, dilations, padding] = lists;
        for (const opType of ["MaxPool", "AveragePool", "Conv", "ConvTranspose"]) {
          const values = {
            ...(opType.endsWith("Pool") ? pads : {}),
            strides: strides!,
            dilations: dilations!,
            pads: padding!,
          };
          const filled = Object.fromEntries(Object.entries(values).filter(([, each]) => each.length > 0));
          const windows = op(opType, opType.endsWith("Pool") ? ["x"] : ["x", "k"], "y", filled);
          survives(file({ nodes: [windows], tensors: [noise("k", [2, 2, 2, 2])], shape: [1, 2, 4, 5], opset: 19 }));
        }
      }),
      { numRuns: 400 },
    );
  });
});
