import { keccak256 } from "ethers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkGraph, type ModelGraph, modelDigest, parseGraph, serialiseGraph } from "../../src/model/graph.js";
import { code } from "../support/errors.js";
import { chain, dense, graphAndFeatures } from "./fixtures.js";

const SMALL: ModelGraph = chain(
  2,
  dense(
    [
      [1, -2],
      [3, 4],
      [0, 127],
    ],
    [5, -6, 7],
  ),
  { kind: "requantRelu", shifts: [0, 3, 30] },
  dense(
    [
      [1, 0, -1],
      [-127, 2, 3],
    ],
    [0, 2147483647],
  ),
);
const CANONICAL =
  '{"format":"anchorproof/zq8","version":1,"input":{"size":2,"scaleLog2":7},"layers":[' +
  '{"kind":"dense","inputs":2,"outputs":3,"weights":[[1,-2],[3,4],[0,127]],"bias":[5,-6,7]},' +
  '{"kind":"requantRelu","shifts":[0,3,30]},' +
  '{"kind":"dense","inputs":3,"outputs":2,"weights":[[1,0,-1],[-127,2,3]],"bias":[0,2147483647]},' +
  '{"kind":"argMax"}]}';

const bytes = (text: string) => new TextEncoder().encode(text);

describe("canonical form", () => {
  it("is this text, and its digest is this number", () => {
    expect(new TextDecoder().decode(serialiseGraph(SMALL))).toBe(CANONICAL);
    const preimage = bytes(`anchorproof/model/1\0${CANONICAL}`);
    expect(modelDigest(SMALL)).toBe(keccak256(preimage)); // by another implementation
    expect(modelDigest(SMALL)).toMatchInlineSnapshot(
      `"0x118f5947df19711bfb571d3bf90497ac33681245bb15a75a44205a325b609963"`,
    );
  });

  it("does not depend on the order of an object's keys", () => {
    const { input, layers } = SMALL;
    const shuffled = { layers: [{ bias: [5, -6, 7], ...(layers[0] as object) }, ...layers.slice(1)], input };
    expect(modelDigest(shuffled as ModelGraph)).toBe(modelDigest(SMALL));
  });

  it("round-trips any graph", () => {
    fc.assert(
      fc.property(graphAndFeatures, ({ graph }) => {
        expect(parseGraph(serialiseGraph(graph))).toEqual(graph);
      }),
    );
  });

  it.each([
    ["white space", CANONICAL.replace(",", ", ")],
    ["a trailing line feed", `${CANONICAL}\n`],
    ["another key order", CANONICAL.replace('"size":2,"scaleLog2":7', '"scaleLog2":7,"size":2')],
    ["a repeated key", CANONICAL.replace('"size":2', '"size":2,"size":2')],
    ["1.0", CANONICAL.replace("[5,-6,7]", "[5.0,-6,7]")],
    ["1e0", CANONICAL.replace("[5,-6,7]", "[5e0,-6,7]")],
    ["-0", CANONICAL.replace("[0,127]", "[-0,127]")],
    ["an escaped letter", CANONICAL.replace('"dense"', '"d\\u0065nse"')],
    ["a byte order mark", `\ufeff${CANONICAL}`],
    ["an unknown field", CANONICAL.replace('"size":2', '"size":2,"note":1')],
    ["__proto__", CANONICAL.replace('"size":2', '"size":2,"__proto__":{}')],
    ["a fraction", CANONICAL.replace("[5,-6,7]", "[5.5,-6,7]")],
    ["a string for a number", CANONICAL.replace("[5,-6,7]", '["5",-6,7]')],
    ["a weight out of int8", CANONICAL.replace("-127", "-128")],
    ["a bias out of int32", CANONICAL.replace("2147483647", "2147483648")],
    ["a shift too large", CANONICAL.replace("30", "31")],
    ["a negative shift", CANONICAL.replace("[0,3,30]", "[0,-3,30]")],
    ["a missing shift", CANONICAL.replace("[0,3,30]", "[0,3]")],
    ["a row too short", CANONICAL.replace("[1,-2]", "[1]")],
    ["a width that does not fit", CANONICAL.replace('"inputs":3', '"inputs":2')],
    ["no argMax", CANONICAL.replace(',{"kind":"argMax"}', "")],
    ["two argMax", CANONICAL.replace('{"kind":"argMax"}', '{"kind":"argMax"},{"kind":"argMax"}')],
    ["a layer out of place", CANONICAL.replace('{"kind":"requantRelu","shifts":[0,3,30]},', "")],
    ["an unknown layer", CANONICAL.replace("argMax", "softMax")],
    ["a null layer", CANONICAL.replace('{"kind":"argMax"}', "null")],
    ["no JSON", "{"],
    ["invalid UTF-8", "\u0000"],
  ])("refuses %s", (_, text) => {
    expect(text).not.toBe(CANONICAL);
    expect(() => parseGraph(bytes(text))).toThrowError(code("MODEL_MALFORMED"));
  });

  it("refuses other formats and versions, and what is not bytes", () => {
    expect(() => parseGraph(bytes(CANONICAL.replace('"version":1', '"version":2')))).toThrowError(
      code("FORMAT_UNSUPPORTED"),
    );
    expect(() => parseGraph(bytes(CANONICAL.replace("zq8", "zq9")))).toThrowError(code("FORMAT_UNSUPPORTED"));
    expect(() => parseGraph(CANONICAL as never)).toThrowError(code("INPUT_INVALID"));
    expect(() => parseGraph(Uint8Array.of(0xff, 0xfe))).toThrowError(code("MODEL_MALFORMED"));
  });

  it("gives every different graph another digest", () => {
    const variants = [
      chain(
        2,
        dense(
          [
            [1, 0],
            [0, 1],
          ],
          [0, 0],
        ),
      ),
      chain(
        2,
        dense(
          [
            [1, 0],
            [0, 1],
          ],
          [0, 1],
        ),
      ),
      chain(
        2,
        dense(
          [
            [0, 1],
            [1, 0],
          ],
          [0, 0],
        ),
      ),
      {
        ...chain(
          2,
          dense(
            [
              [1, 0],
              [0, 1],
            ],
            [0, 0],
          ),
        ),
        input: { size: 2, scaleLog2: 6 },
      },
    ];
    expect(new Set(variants.map(modelDigest)).size).toBe(variants.length);
  });
});

describe("checkGraph", () => {
  it("copies: changing the argument later changes nothing", () => {
    const source = JSON.parse(JSON.stringify(SMALL));
    const graph = checkGraph(source);
    source.layers[0].weights[0][0] = 99;
    expect(graph).toEqual(SMALL);
  });

  it.each([
    ["undefined", undefined],
    ["a list", []],
    [
      "a hole",
      chain(
        2,
        dense(
          [
            [1, 0],
            [0, 1],
          ],
          new Array(2),
        ),
      ),
    ],
    [
      "NaN",
      chain(
        2,
        dense(
          [
            [Number.NaN, 0],
            [0, 1],
          ],
          [0, 0],
        ),
      ),
    ],
    ["one class", chain(2, dense([[1, 0]], [0]))],
  ])("refuses %s", (_, value) => {
    expect(() => checkGraph(value)).toThrowError(code("MODEL_MALFORMED"));
  });

  it("refuses models above the limits without allocating them", () => {
    const huge = { kind: "dense", inputs: 65_536, outputs: 65_536, weights: [], bias: [] };
    expect(() =>
      checkGraph({ input: { size: 65_536, scaleLog2: 0 }, layers: [huge, { kind: "argMax" }] }),
    ).toThrowError(code("INPUT_TOO_LARGE"));
  });
});
