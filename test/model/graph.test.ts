import { keccak256 } from "ethers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkGraph,
  countMultiplications,
  GRAPH_LIMITS,
  type ModelGraph,
  modelDigest,
  parseGraph,
  serialiseGraph,
  valueLengths,
} from "../../src/model/graph.js";
import { code } from "../support/errors.js";
import { graphCase } from "./graphs.js";

const SMALL: ModelGraph = {
  nodes: [
    { op: "input", shape: [1, 2], lo: 0, bits: 7, scaleLog2: 7 },
    {
      op: "linear",
      inputs: [0],
      groups: 1,
      positions: 1,
      inner: 2,
      outputs: 3,
      weights: Int16Array.of(1, -2, 3, 4, 0, 255),
      bias: Int32Array.of(5, -6, 2147483647),
    },
    { op: "requant", inputs: [1], shifts: Uint8Array.of(0, 3, 30), lo: -128, bits: 8 },
    { op: "arrange", inputs: [2, 0], index: Int32Array.of(4, -1, 0, 2), constants: [-7] },
    { op: "argMax", inputs: [3], width: 4 },
  ],
};
const CANONICAL =
  '{"format":"anchorproof/zq8","version":2,"nodes":[' +
  '{"op":"input","shape":[1,2],"lo":0,"bits":7,"scaleLog2":7},' +
  '{"op":"linear","inputs":[0],"groups":1,"positions":1,"inner":2,"outputs":3,"weights":"AQD+/wMABAAAAP8A","bias":"BQAAAPr///////9/"},' +
  '{"op":"requant","inputs":[1],"shifts":"AAMe","lo":-128,"bits":8},' +
  '{"op":"arrange","inputs":[2,0],"index":"BAAAAP////8AAAAAAgAAAA==","constants":[-7]},' +
  '{"op":"argMax","inputs":[3],"width":4}]}';

const bytes = (text: string) => new TextEncoder().encode(text);
/** {@link SMALL} with one field of one node changed. */
const changed = (id: number, field: string, value: unknown) => ({
  nodes: SMALL.nodes.map((node, index) => (index === id ? { ...node, [field]: value } : node)),
});

describe("canonical form", () => {
  it("is this text, and its digest is this number", () => {
    expect(new TextDecoder().decode(serialiseGraph(SMALL))).toBe(CANONICAL);
    const preimage = new Uint8Array([...bytes("anchorproof/model/2\0"), ...serialiseGraph(SMALL)]);
    expect(modelDigest(SMALL)).toBe(keccak256(preimage)); // by another implementation
    expect(modelDigest(SMALL)).toMatchInlineSnapshot(
      `"0x1f713d16f270affdc7401279cb8cf1d53efa630ada55aae28f1042e1f369383d"`,
    );
  });

  it("does not depend on the order of an object's keys, nor on the kind of array", () => {
    const nodes = SMALL.nodes.map((node) =>
      Object.fromEntries(
        Object.entries(node)
          .reverse()
          .map(([key, value]) => [key, ArrayBuffer.isView(value) ? Array.from(value as Int32Array) : value]),
      ),
    );
    expect(modelDigest(checkGraph({ nodes }))).toBe(modelDigest(SMALL));
  });

  it("round-trips any graph", () => {
    fc.assert(
      fc.property(graphCase(), ({ graph }) => {
        expect(parseGraph(serialiseGraph(graph))).toEqual(graph);
      }),
    );
  });

  const text = new TextDecoder().decode(serialiseGraph(SMALL));
  it.each([
    ["white space", text.replace(",", ", ")],
    ["a trailing line feed", `${text}\n`],
    ["another key order", text.replace('"lo":0,"bits":7', '"bits":7,"lo":0')],
    ["a repeated key", text.replace('"bits":7', '"bits":7,"bits":7')],
    ["1.0", text.replace("[-7]", "[-7.0]")],
    ["1e0", text.replace("[-7]", "[-7e0]")],
    ["-0", text.replace("[-7]", "[-0]")],
    ["an escaped letter", text.replace('"linear"', '"l\\u0069near"')],
    ["a byte order mark", `\ufeff${text}`],
    ["an unknown field", text.replace('"bits":7', '"bits":7,"note":1')],
    ["__proto__", text.replace('"bits":7', '"bits":7,"__proto__":{}')],
    ["a fraction", text.replace("[-7]", "[-7.5]")],
    ["a string for a number", text.replace("[-7]", '["-7"]')],
    ["weights as numbers", text.replace('"AQD+/wMABAAAAP8A"', "[1,-2,3,4,0,255]")],
    ["unpadded base64", text.replace("AAAAAgAAAA==", "AAAAAgAAAA")],
    ["base64 with stray bits", text.replace("AAAAAgAAAA==", "AAAAAgAAAB==")],
    ["base64 with white space", text.replace("AQD+/wMA", "AQD+/wMA ")],
    ["base64 of the web", text.replace("AQD+/wMA", "AQD-_wMA")],
    ["half a weight", text.replace("AQD+/wMABAAAAP8A", "AQD+/wMABAAAAP8=")],
    ["a truncated file", text.slice(0, -1)],
    ["no file", ""],
  ])("refuses %s", (_, wrong) => {
    expect(wrong).not.toBe(text);
    expect(() => parseGraph(bytes(wrong))).toThrow(code("MODEL_MALFORMED"));
  });

  it("says that a file of another version must be imported again", () => {
    for (const wrong of [text.replace('"version":2', '"version":1'), text.replace("zq8", "zq9"), "{}", "null", "[]"]) {
      expect(() => parseGraph(bytes(wrong))).toThrow(code("FORMAT_UNSUPPORTED"));
    }
  });
});

describe("checkGraph", () => {
  it.each([
    ["no nodes", { nodes: [] }],
    ["an input alone", { nodes: SMALL.nodes.slice(0, 1) }],
    ["no input", { nodes: SMALL.nodes.slice(1) }],
    ["two inputs", { nodes: [SMALL.nodes[0], ...SMALL.nodes] }],
    ["an unknown kind", changed(4, "op", "softmax")],
    ["a kind from the prototype", changed(4, "op", "constructor")],
    ["a value of a later node", changed(3, "inputs", [4])],
    ["its own value", changed(3, "inputs", [3])],
    ["no value", changed(3, "inputs", [])],
    ["a negative id", changed(3, "inputs", [-1])],
    ["a hole", changed(3, "inputs", new Array(1))],
    ["an index past the values", changed(3, "index", [5])],
    ["an index past the constants", changed(3, "index", [-2])],
    ["an empty map", changed(3, "index", [])],
    ["a weight too many", changed(1, "weights", [1, 2, 3, 4, 5, 6, 7])],
    ["a weight out of int16", changed(1, "weights", [1, 2, 3, 4, 5, 32768])],
    ["a bias out of int32", changed(1, "bias", [0, 0, 2147483648])],
    ["a bias too few", changed(1, "bias", [0, 0])],
    ["an inner size that does not fit", changed(1, "inner", 3)],
    ["no outputs", changed(1, "outputs", 0)],
    ["a shift too large", changed(2, "shifts", [0, 3, 41])],
    ["a negative shift", changed(2, "shifts", [0, 3, -1])],
    ["two shifts for three lanes", changed(2, "shifts", [0, 3])],
    ["no shift", changed(2, "shifts", [])],
    ["no bits", changed(2, "bits", 0)],
    ["too many bits", changed(2, "bits", 17)],
    ["a width that does not divide", changed(4, "width", 3)],
    ["a run of one", changed(4, "width", 1)],
    ["an adapter that is not node 1", changed(4, "op", "adapter")],
    ["an input of no size", changed(0, "shape", [0])],
    ["a shape of fractions", changed(0, "shape", [1.5])],
    ["text for an array", changed(3, "index", "0123")],
    ["a big integer", changed(4, "width", 4n)],
    ["null for a node", { nodes: [SMALL.nodes[0], null] }],
    ["an array for a node", { nodes: [SMALL.nodes[0], []] }],
    ["nothing", undefined],
  ])("refuses %s", (_, graph) => {
    expect(() => checkGraph(graph)).toThrow(code("MODEL_MALFORMED"));
  });

  it("names the entry that is wrong", () => {
    expect(() => checkGraph(changed(1, "weights", [1, 2, 3, 4, 5, 0.5]))).toThrow("nodes[1].weights[5]: must be");
    expect(() => checkGraph(changed(3, "index", [0, 5]))).toThrow("nodes[3].index[1]: points outside the 5 values");
  });

  it("refuses what is too large before it allocates", () => {
    const wide = GRAPH_LIMITS.width;
    expect(() => checkGraph(changed(0, "shape", [wide, 2]))).toThrow(code("INPUT_TOO_LARGE"));
    expect(() => checkGraph(changed(0, "shape", Array(8).fill(wide)))).toThrow(code("INPUT_TOO_LARGE"));
    // Few bytes, but a product for each index, row and column.
    const lookup = { op: "lookup", inputs: [0], rows: 65_536, width: 1, entries: new Int16Array(65_536) };
    const indices = { op: "input", shape: [8192], lo: 0, bits: 16, scaleLog2: 0 };
    expect(() => checkGraph({ nodes: [indices, lookup] })).toThrow(code("INPUT_TOO_LARGE"));
    expect(() => checkGraph(changed(3, "index", { length: 2 ** 40, BYTES_PER_ELEMENT: 4 }))).toThrow(
      code("MODEL_MALFORMED"),
    );
  });

  it("shares nothing with what it was given", () => {
    const own = checkGraph(SMALL);
    const linear = own.nodes[1] as Extract<ModelGraph["nodes"][number], { op: "linear" }>;
    linear.weights[0] = 99;
    expect((SMALL.nodes[1] as typeof linear).weights[0]).toBe(1);
    expect(own.nodes[0]).not.toBe(SMALL.nodes[0]);
  });
});

describe("sizes", () => {
  it("are counted", () => {
    expect(valueLengths(SMALL)).toEqual([2, 3, 3, 4, 1]);
    expect(countMultiplications(SMALL)).toEqual({ constant: 5, private: 0 });
  });
});
