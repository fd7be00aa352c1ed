import { readFileSync } from "node:fs";
import fc from "fast-check";
import { AttributeProto_AttributeType, TensorProto_DataType } from "onnx-buf";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { isAnchorError } from "../../src/errors.js";
import { type FloatDense, INPUT_SCALE_KEY, readOnnx, runFloat } from "../../src/model/onnx.js";
import { float, int, node, type OnnxParts, onnx, SPAM_ONNX, shapeTensor, TINY, tensor } from "./fixtures.js";

const W = tensor("w", [2, 2], [1, 2, 3, 4]);
const B = tensor("b", [2], [10, 20]);
const first = (parts: OnnxParts) => readOnnx(onnx(parts)).layers[0] as FloatDense;

describe("readOnnx accepts", () => {
  it("Gemm with all its attributes", () => {
    const plain = first({ nodes: [node("Gemm", ["x", "w", "b"], "y")], tensors: [W, B] });
    expect([...plain.weights]).toEqual([1, 3, 2, 4]);
    expect([...plain.bias]).toEqual([10, 20]);
    const attributes = [float("alpha", 0.5), float("beta", 2), int("transB", 1)];
    const scaled = first({ nodes: [node("Gemm", ["x", "w", "b"], "y", attributes)], tensors: [W, B] });
    expect([...scaled.weights]).toEqual([0.5, 1, 1.5, 2]);
    expect([...scaled.bias]).toEqual([20, 40]);
    const column = { nodes: [node("Gemm", ["x", "w"], "y", [int("transA", 1)])], tensors: [W], shape: [2, 1] };
    expect([...first(column).weights]).toEqual([1, 3, 2, 4]);
    expect([...first(column).bias]).toEqual([0, 0]);
  });

  it("MatMul with Add in either order, and scalar bias", () => {
    const nodes = [node("MatMul", ["x", "w"], "h"), node("Add", ["b", "h"], "y")];
    expect([...first({ nodes, tensors: [W, B] }).bias]).toEqual([10, 20]);
    expect([...first({ nodes, tensors: [W, tensor("b", [1, 1], [7])] }).bias]).toEqual([7, 7]);
  });

  it("operators that change nothing, constants in nodes, and ArgMax at the end", () => {
    const value = { name: "value", type: AttributeProto_AttributeType.TENSOR, t: { ...W, name: "" } };
    const constant = node("Constant", [], "w", [value]);
    const model = readOnnx(
      onnx({
        shape: [1, 2, 1],
        nodes: [
          constant,
          node("Identity", ["w"], "w2"),
          node("Flatten", ["x"], "f"),
          node("Reshape", ["f", "s"], "r"),
          node("Identity", ["r"], "i"),
          node("MatMul", ["i", "w2"], "h"),
          node("ArgMax", ["h"], "y", [int("axis", -1), int("keepdims", 0)]),
        ],
        tensors: [shapeTensor("s", [0, -1])],
        metadata: { [INPUT_SCALE_KEY]: "7" },
      }),
    );
    expect(model.input.size).toBe(2);
    expect(model.layers).toHaveLength(1);
    expect(model.metadata.get(INPUT_SCALE_KEY)).toBe("7");
  });

  it("float_data, and doubles", () => {
    const dims = [2n, 2n];
    const asFloats = { name: "w", dims, dataType: TensorProto_DataType.FLOAT, floatData: [1, 2, 3, 4] };
    const asDoubles = { name: "w", dims, dataType: TensorProto_DataType.DOUBLE, doubleData: [1, 2, 3, 4] };
    for (const w of [asFloats, asDoubles]) {
      expect([...first({ nodes: [node("MatMul", ["x", "w"], "y")], tensors: [w] }).weights]).toEqual([1, 3, 2, 4]);
    }
  });

  it("a model that it then evaluates as written", () => {
    const model = readOnnx(onnx(TINY));
    expect([...runFloat(model, [1, 0])]).toEqual([1 * 1 + 0.5 * 0.625 + 0.0625, -1 + 0.25 * 0.625 - 0.0625]);
    expect(() => runFloat(model, [1])).toThrowError(expect.objectContaining({ code: "INPUT_INVALID" }));
  });
});

describe("readOnnx agrees with onnxruntime", () => {
  const big = tensor(
    "w",
    [3, 5],
    Array.from({ length: 15 }, (_, i) => Math.sin(i + 1)),
  );
  const turned = tensor(
    "wt",
    [5, 3],
    Array.from({ length: 15 }, (_, i) => Math.cos(3 * i)),
  );
  const bias = tensor("c", [5], [0.1, -0.2, 0.3, -0.4, 0.5]);
  const scalar = tensor("s", [1], [0.75]);
  const shape = shapeTensor("to", [0, -1]);
  const gemm = (inputs: string[], ...attributes: Parameters<typeof node>[3] & object) =>
    node("Gemm", inputs, "y", attributes);
  const models: [string, OnnxParts][] = [
    ["Gemm", { nodes: [gemm(["x", "w", "c"])], tensors: [big, bias], shape: [1, 3] }],
    ["Gemm, transB", { nodes: [gemm(["x", "wt", "c"], int("transB", 1))], tensors: [turned, bias], shape: [1, 3] }],
    ["Gemm, transA", { nodes: [gemm(["x", "w"], int("transA", 1))], tensors: [big], shape: [3, 1] }],
    [
      "Gemm, alpha and beta",
      {
        nodes: [gemm(["x", "w", "c"], float("alpha", -1.5), float("beta", 0.25))],
        tensors: [big, bias],
        shape: [1, 3],
      },
    ],
    ["Gemm, scalar bias", { nodes: [gemm(["x", "w", "s"])], tensors: [big, scalar], shape: [1, 3] }],
    [
      "MatMul and Add",
      { nodes: [node("MatMul", ["x", "w"], "h"), node("Add", ["h", "c"], "y")], tensors: [big, bias], shape: [1, 3] },
    ],
    [
      "Flatten of axis -2",
      {
        nodes: [node("Flatten", ["x"], "f", [int("axis", -2)]), node("MatMul", ["f", "w"], "y")],
        tensors: [big],
        shape: [1, 1, 3],
      },
    ],
    [
      "Reshape",
      {
        nodes: [node("Reshape", ["x", "to"], "f"), node("MatMul", ["f", "w"], "y")],
        tensors: [big, shape],
        shape: [1, 3, 1],
      },
    ],
    ["the tiny model", { ...TINY }],
  ];
  it.each(models)("%s", async (_, parts) => {
    const file = onnx(parts);
    const model = readOnnx(file);
    const session = await InferenceSession.create(file);
    for (const scale of [0, 1, -2.5]) {
      const input = Float32Array.from({ length: model.input.size }, (_, i) => scale * (i + 0.5));
      const { y } = await session.run({
        x: new Tensor("float32", input, (parts.shape as number[] | undefined) ?? [1, 2]),
      });
      const ours = runFloat(model, input);
      expect(ours).toHaveLength(y!.size);
      (y!.data as Float32Array).forEach((value, i) => {
        expect(Math.abs(value - ours[i]!)).toBeLessThan(1e-5);
      });
    }
  });
});

describe("readOnnx refuses with MODEL_OP_UNSUPPORTED", () => {
  const mm = node("MatMul", ["x", "w"], "y");
  const cases: [string, OnnxParts, RegExp][] = [
    ["an operator", { nodes: [node("Conv", ["x", "w"], "c1")], tensors: [W] }, /node "c1" \(Conv\).*"Conv" is not/],
    ["Softmax", { nodes: [mm, node("Softmax", ["y"], "p")], tensors: [W] }, /logits/],
    ["a foreign domain", { nodes: [{ ...mm, domain: "com.microsoft" }], tensors: [W] }, /com.microsoft/],
    ["a dynamic batch", { nodes: [mm], tensors: [W], shape: ["batch", 2] }, /dynamic dimension.*\[1, n\]/],
    ["a batch", { nodes: [mm], tensors: [W], shape: [4, 2] }, /\[4,2\]/],
    ["another input type", { nodes: [mm], tensors: [W], elemType: TensorProto_DataType.INT8 }, /not INT8/],
    ["two linear layers", { nodes: [mm, node("MatMul", ["y", "w"], "z")], tensors: [W] }, /"z".*two linear/],
    ["Relu at the end", { nodes: [mm, node("Relu", ["y"], "z")], tensors: [W] }, /logits/],
    ["Relu first", { nodes: [node("Relu", ["x"], "z")], tensors: [] }, /must follow/],
    ["Add of nothing constant", { nodes: [mm, node("Add", ["y", "x"], "z")], tensors: [W] }, /constant bias/],
    [
      "Add after Relu",
      { nodes: [mm, node("Relu", ["y"], "r"), node("Add", ["r", "b"], "z")], tensors: [W, B] },
      /directly/,
    ],
    ["weights on the left", { nodes: [node("MatMul", ["w", "x"], "y")], tensors: [W] }, /chains/],
    ["computed weights", { nodes: [node("MatMul", ["x", "x"], "y")], tensors: [] }, /constant of the file/],
    ["a branch", { nodes: [mm, node("Relu", ["x"], "z")], tensors: [W] }, /without branches/],
    [
      "last index",
      { nodes: [mm, node("ArgMax", ["y"], "z", [int("axis", 1), int("select_last_index", 1)])], tensors: [W] },
      /lowest/,
    ],
    ["ArgMax over the batch", { nodes: [mm, node("ArgMax", ["y"], "z")], tensors: [W] }, /last axis/],
    [
      "more after ArgMax",
      { nodes: [mm, node("ArgMax", ["y"], "z", [int("axis", 1)]), node("Identity", ["z"], "q")], tensors: [W] },
      /ArgMax/,
    ],
    [
      "an unknown attribute",
      { nodes: [node("Gemm", ["x", "w"], "y", [int("broadcast", 1)])], tensors: [W] },
      /broadcast/,
    ],
    [
      "half precision",
      { nodes: [mm], tensors: [{ ...W, dataType: TensorProto_DataType.FLOAT16 }] },
      /FLOAT16.*float32/,
    ],
    ["external data", { nodes: [mm], tensors: [{ ...W, dataLocation: 1 }] }, /another file/],
    [
      "a wrong bias",
      { nodes: [node("Gemm", ["x", "w", "b"], "y")], tensors: [W, tensor("b", [2, 2], [1, 2, 3, 4])] },
      /broadcast/,
    ],
    ["an old operator set", { nodes: [mm], tensors: [W], opset: 6 }, /operator set 6/],
    ["a future operator set", { nodes: [mm], tensors: [W], opset: 99 }, /operator set 99/],
  ];
  it.each(cases)("%s", (_, parts, message) => {
    expect(() => readOnnx(onnx(parts))).toThrowError(
      expect.objectContaining({ code: "MODEL_OP_UNSUPPORTED", message: expect.stringMatching(message) }),
    );
  });
});

describe("readOnnx refuses with MODEL_MALFORMED", () => {
  const mm = node("MatMul", ["x", "w"], "y");
  const cases: [string, Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["text", new TextEncoder().encode("not a model")],
    ["missing weight bytes", onnx({ nodes: [mm], tensors: [{ ...W, rawData: new Uint8Array(15) }] })],
    ["weights that do not fit", onnx({ nodes: [mm], tensors: [W], shape: [1, 3] })],
    ["NaN", onnx({ nodes: [mm], tensors: [tensor("w", [2, 2], [1, 2, Number.NaN, 4])] })],
    [
      "an overflow by alpha",
      onnx({ nodes: [node("Gemm", ["x", "w"], "y", [float("alpha", Number.POSITIVE_INFINITY)])], tensors: [W] }),
    ],
    ["a negative dimension", onnx({ nodes: [mm], tensors: [{ ...W, dims: [-2n, -2n] }] })],
    ["a huge dimension", onnx({ nodes: [mm], tensors: [{ ...W, dims: [2n ** 62n, 2n] }] })],
    ["a name twice", onnx({ nodes: [mm], tensors: [W, W] })],
    [
      "an attribute of another type",
      onnx({ nodes: [node("Gemm", ["x", "w"], "y", [float("transB", 1)])], tensors: [W] }),
    ],
    ["an output of nowhere", onnx({ nodes: [mm], tensors: [W], output: "elsewhere" })],
    [
      "a reshape that loses values",
      onnx({ nodes: [node("Reshape", ["x", "s"], "r"), mm], tensors: [W, shapeTensor("s", [1, 3])] }),
    ],
  ];
  it.each(cases)("%s", (_, bytes) => {
    expect(() => readOnnx(bytes)).toThrowError(expect.objectContaining({ code: "MODEL_MALFORMED" }));
  });

  it("without printing control characters of a name", () => {
    const evil = onnx({ nodes: [node("Gelu\u001b[2J", ["x"], "y\n\u202e")], tensors: [] });
    expect(() => readOnnx(evil)).toThrowError(
      expect.objectContaining({ message: expect.not.stringMatching(/[\p{Cc}\p{Cf}]/u) }),
    );
  });
});

describe("readOnnx on damaged files", () => {
  const files = [new Uint8Array(readFileSync(SPAM_ONNX)), onnx(TINY)];

  /** Reads a file; any failure must be typed. */
  function survives(bytes: Uint8Array): boolean {
    try {
      readOnnx(bytes);
      return true;
    } catch (error) {
      if (!isAnchorError(error)) throw error;
      expect(["MODEL_MALFORMED", "MODEL_OP_UNSUPPORTED", "INPUT_TOO_LARGE"]).toContain(error.code);
      return false;
    }
  }

  it("truncated anywhere: never a crash, never accepted short of weights", () => {
    const tiny = files[1]!;
    for (let length = 0; length < tiny.length; length++) survives(tiny.slice(0, length));
    const spam = files[0]!;
    for (let length = 0; length < spam.length; length += 997) expect(survives(spam.slice(0, length))).toBe(false);
  });

  it("with bytes changed, inserted and repeated", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom("set", "insert", "delete", "repeat")), {
          minLength: 1,
          maxLength: 6,
        }),
        (file, edits) => {
          let bytes = [...file.subarray(0, 2000), ...file.subarray(-600)];
          for (const [where, value, kind] of edits) {
            const at = where % bytes.length;
            if (kind === "set") bytes[at] = value;
            else if (kind === "insert") bytes.splice(at, 0, value);
            else if (kind === "delete") bytes.splice(at, 1 + (value % 8));
            else bytes = [...bytes.slice(0, at), ...bytes.slice(Math.max(0, at - value))];
          }
          survives(Uint8Array.from(bytes));
        },
      ),
      { numRuns: 1500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void survives(bytes)),
      { numRuns: 1000 },
    );
  });

  it("with one byte of a whole small model changed to every value", () => {
    const tiny = files[1]!;
    for (let at = 0; at < tiny.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff, tiny[at]! ^ 1, tiny[at]! ^ 0x08]) {
        const copy = tiny.slice();
        copy[at] = value;
        survives(copy);
      }
    }
  });
});
