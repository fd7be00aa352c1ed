/** What a small file may ask for, and does not get. */
import { describe, expect, it } from "vitest";
import { describeCircuit } from "../../../src/model/circuit/index.js";
import { MAX_ROWS } from "../../../src/model/circuit/statement.js";
import type { ModelGraph } from "../../../src/model/graph.js";
import { code } from "../../support/errors.js";

describe("a circuit larger than any key", () => {
  it("is refused while it is counted", () => {
    // One line of JSON: a row a bit of the input, and of each value's comparison.
    const graph: ModelGraph = {
      nodes: [
        { op: "input", shape: [2 ** 13], lo: 0, bits: 16, scaleLog2: 0 },
        { op: "max", inputs: [0], window: 2 ** 6 },
      ],
    };
    const { rows } = describeCircuit(graph);
    expect(rows).toBeLessThan(MAX_ROWS / 512);
    expect(describeCircuit(graph, { batch: 2 }).rows).toBeGreaterThan(2 * rows - 1);
    expect(() => describeCircuit(graph, { batch: 1024 })).toThrow(code("INPUT_TOO_LARGE"));
  });
});
