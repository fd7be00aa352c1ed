/** Values of permutations as the core gives them, in bulk, and as JavaScript computes them, wire by wire. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { constant } from "../../src/circuit/synthesis/elements.js";
import { hashChain, poseidon } from "../../src/circuit/synthesis/poseidon.js";
import type { Synthesis } from "../../src/circuit/synthesis/synthesis.js";
import { Counter } from "../../src/circuit/synthesis/synthesis.js";
import { Inverses, ValueWriter } from "../../src/circuit/synthesis/values.js";
import { chain } from "../../src/field/chain.js";
import { nativeCore } from "../../src/field/native.js";
import { encodeScalars, poseidon16 } from "../../src/field/poseidon.js";
import { R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";

const NONE = { alias: undefined, output: 0 };
const scalar = fc.oneof(fc.bigInt({ min: 0n, max: R - 1n }), fc.constantFrom(0n, 1n, R - 1n));

function counted(run: (s: Synthesis) => void): number {
  const counter = new Counter();
  run(counter);
  return counter.wires;
}

/** The bytes of a witness: in bulk where the core is there, and without. */
function written(run: (s: Synthesis) => void, map = NONE as { alias: number | undefined; output: number }) {
  return [false, true].map((wireByWire) => {
    const wires = counted(run) - (map.alias === undefined ? 0 : 1);
    const writer = new ValueWriter(wires, map, new Inverses());
    if (wireByWire) Object.defineProperty(writer, "bulk", { value: undefined });
    run(writer);
    return writer.file;
  }) as [Uint8Array, Uint8Array];
}

describe.skipIf(!nativeCore())("a permutation's wires", () => {
  it("are the same in bulk and one by one", () => {
    const row = fc.array(scalar, { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(scalar, row, fc.boolean(), (capacity, values, given) => {
        let hash = 0n;
        const [bulk, single] = written((s) => {
          const out = given ? s.wire(0n, "out") : undefined;
          const inputs = values.map((value, i) =>
            i % 3 === 2 ? constant(value) : { wire: s.wire(value, "in", i), value },
          );
          const result = poseidon(s, capacity, inputs, out);
          if (out !== undefined) expect(result.wire).toBe(out);
          s.wire(5, "last");
          if (s.valued) hash = result.value;
        });
        expect(hash).toBe(poseidon16(capacity, values));
        expect(bulk).toEqual(single);
      }),
      { numRuns: 6 },
    );
  });

  it("of a chain are too, and its value is the chain's", () => {
    const elements = Array.from({ length: 31 }, (_, i) => (BigInt(i) << 240n) % R);
    const [bulk, single] = written((s) => {
      const wires = elements.map((value, i) => ({ wire: s.wire(value, "in", i), value }));
      const { value } = hashChain(s, 77n, constant(3n), wires);
      if (s.valued) expect(value).toBe(chain(77n, 3n, elements));
    });
    expect(bulk).toEqual(single);
  });

  // Before, at the first wire, within, at the hash, and behind.
  it.each([3, 17, 400, 17 + 612, 17 + 613])("go around an output that is wire %i", (alias) => {
    const run = (s: Synthesis) => {
      s.assign(s.wire(0n, "output"), 0n);
      const inputs = Array.from({ length: 16 }, (_, i) => ({ wire: s.wire(i, "in", i), value: BigInt(i) }));
      poseidon(s, 1n, inputs);
      s.wire(7n, "last");
    };
    const [bulk, single] = written(run, { alias, output: 1 });
    expect(bulk).toEqual(single);
  });

  it("are not made from values outside the field", () => {
    const values = new Array<bigint>(16).fill(R);
    expect(() => written((s) => poseidon(s, 1n, values.map(constant)))).toThrowError(code("INPUT_INVALID"));
    expect(() => encodeScalars(values)).toThrowError(code("INPUT_INVALID"));
  });
});
