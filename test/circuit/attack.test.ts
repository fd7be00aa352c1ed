/** Attacks: what they find is a second witness, and on what is known to be broken they find one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findSecondWitness, singleMutations } from "../../src/circuit/attack.js";
import { checkDeterminism } from "../../src/circuit/determinism.js";
import { checkWitness, inputWires } from "../../src/circuit/r1cs.js";
import { R } from "../../src/field/scalar.js";
import { code } from "./support.js";
import { form, type Linear, ONE, Rows, sum } from "./systems.js";

describe("singleMutations", () => {
  it("finds a wire that nothing binds, one that is bound where a factor is not 0, and the other root", async () => {
    const rows = new Rows([0n, 5n]);
    const free = rows.wire(7n);
    const inverse = rows.wire(9n);
    rows.product(form(1), form(inverse));
    const root = rows.wire(5n);
    rows.product(form(root), form(root), form([2, 5]));
    const loose = await singleMutations(rows.r1cs(), rows.witness);
    expect(new Set(loose.map(({ wire }) => wire))).toEqual(new Set([free, inverse, root]));
    expect(loose.filter(({ wire }) => wire === root)).toEqual([{ wire: root, value: R - 5n }]);
  });

  it("finds nothing where two wires would have to change, and does not change inputs", async () => {
    const rows = new Rows([3n, 4n]);
    const [a, b] = [rows.wire(1n), rows.wire(2n)];
    rows.zero(form(a, b, [1, -1]));
    expect(await singleMutations(rows.r1cs(), rows.witness)).toEqual([]);
    expect((await singleMutations(rows.r1cs(), rows.witness, { wires: [2] })).length).toBeGreaterThan(0);
  });

  it("is about the wires that were asked for, with the values that were given", async () => {
    const rows = new Rows([3n]);
    const [a, b] = [rows.wire(1n), rows.wire(2n)];
    const random = () => 77n;
    const loose = await singleMutations(rows.r1cs(), rows.witness, { wires: [b], random });
    expect(loose.every(({ wire }) => wire === b)).toBe(true);
    expect(loose.map(({ value }) => value).sort((v, w) => Number(v - w))).toEqual([0n, 1n, 3n, 77n, R - 2n]);
    expect(a).not.toBe(b);
  });
});

describe("findSecondWitness", () => {
  it("solves again all that depends on a hint, to the end", async () => {
    // A quotient with a free remainder, and a long computation after it.
    const rows = new Rows([123n]);
    const [q, rest] = [rows.wire(12n), rows.wire(3n)];
    rows.zero(form([q, 10], rest, [1, -1]));
    let last = rows.times(form(q), form(q, { plus: 3 }));
    for (let i = 0; i < 300; i++) last = rows.times(form(last, rest), form(last, { plus: i }));
    const r1cs = rows.r1cs();
    expect(checkWitness(r1cs, rows.witness)).toBe(-1);
    const second = await findSecondWitness(r1cs, rows.witness);
    expect(checkWitness(r1cs, second!.witness)).toBe(-1);
    expect(second!.witness.slice(0, 2)).toEqual(rows.witness.slice(0, 2));
    expect(second!.changed).toContain(last);
    expect(second!.changed.every((wire) => second!.witness[wire] !== rows.witness[wire])).toBe(true);
    // With too little to spend it does not get there.
    expect(await findSecondWitness(r1cs, rows.witness, { steps: 100 })).toBeUndefined();
  });

  it("takes one less of a quotient, with the divisor more as a remainder in new bits", async () => {
    const rows = new Rows([50n, 6n]);
    const q = rows.wire(8n);
    rows.range(form(q), 6);
    const rest = form(1, [rows.times(form(q), form(2)), -1]);
    rows.range(rest, 4); // up to 15 instead of up to 5
    const second = await findSecondWitness(rows.r1cs(), rows.witness);
    expect([7n, 6n]).toContain(second!.witness[q]);
  });

  it("adds the field's order to a decomposition of 254 bits, as wires or with the highest as what is left", async () => {
    for (const highestIsWire of [true, false]) {
      const rows = new Rows([5n]);
      const count = highestIsWire ? 254 : 253;
      const wires = Array.from({ length: count }, (_, i) => rows.bit((5n >> BigInt(i)) & 1n));
      const rest = sum(
        form(1),
        wires.map((wire, i) => [wire, -(2n ** BigInt(i))] as const),
      );
      if (highestIsWire) rows.zero(rest);
      else rows.either(rest, 2n ** 253n);
      const second = await findSecondWitness(rows.r1cs(), rows.witness);
      const whole = wires.reduce((value, wire, i) => value + (second!.witness[wire]! << BigInt(i)), 0n);
      expect((whole - (5n + R)) % 2n ** 253n).toBe(0n);
    }
  });

  it("moves marks that are not bound to a place", async () => {
    const rows = new Rows([2n]);
    const marks = [0, 1, 2, 3, 4].map((i) => rows.bit(i === 2 ? 1n : 0n));
    rows.zero(form(...marks, { plus: -1 }));
    // Places 2 and 3 count the same.
    rows.zero([...marks.map((mark, i) => [mark, i === 3 ? 2 : i] as const), [1, -1]]);
    const second = await findSecondWitness(rows.r1cs(), rows.witness);
    expect(second!.changed).toEqual([marks[2], marks[3]]);
  });

  it("finds nothing in what its inputs determine, and nothing that is none", async () => {
    const any = fc.array(fc.tuple(fc.integer({ min: -4, max: 4 }), fc.nat(5)), { minLength: 1, maxLength: 3 });
    const linear = (terms: [number, number][], wires: number): Linear =>
      terms.map(([k, wire]) => [wire % wires, k] as const);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(any, any, fc.boolean(), fc.nat(3)), { maxLength: 8 }), async (steps) => {
        const rows = new Rows([3n, -7n]);
        for (const [a, b, hint, slack] of steps) {
          const [fa, fb] = [linear(a, rows.wires), linear(b, rows.wires)];
          if (hint) rows.wire(BigInt(slack));
          else rows.times(fa, fb);
        }
        // Ties some of the hints to what there is.
        for (let wire = 3; wire < rows.wires; wire += 2) {
          const other = 1 + (wire % (rows.wires - 1));
          rows.zero(sum(form(wire, other), ONE, -rows.value(form(wire, other))));
        }
        const r1cs = rows.r1cs();
        const second = await findSecondWitness(r1cs, rows.witness);
        const { left, deterministic } = await checkDeterminism(r1cs);
        if (deterministic) expect(second).toBeUndefined();
        if (!second) return;
        expect(checkWitness(r1cs, second.witness)).toBe(-1);
        for (const wire of inputWires(r1cs)) expect(second.witness[wire]).toBe(rows.witness[wire]);
        const undetermined = new Set(left.flatMap(({ wires }) => wires));
        expect(second.changed.length).toBeGreaterThan(0);
        for (const wire of second.changed) expect(undetermined.has(wire)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it("begins with an honest witness, and is stopped", async () => {
    const rows = new Rows([3n]);
    const hints = Array.from({ length: 400 }, (_, i) => rows.bit(BigInt(i & 1)));
    rows.zero(sum(form(...hints), ONE, -rows.value(form(...hints))));
    const r1cs = rows.r1cs();
    const dishonest = rows.witness.map((value, wire) => (wire === 2 ? 2n : value));
    for (const attack of [singleMutations, findSecondWitness]) {
      await expect(attack(r1cs, dishonest)).rejects.toThrow(code("WITNESS_INVALID"));
      await expect(attack(r1cs, [1n])).rejects.toThrow(code("WITNESS_INVALID"));
      await expect(attack(r1cs, rows.witness, { signal: AbortSignal.abort() })).rejects.toThrow(code("ABORTED"));
    }
  });
});
