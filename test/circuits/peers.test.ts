/**
 * Holes of other zkML systems, each in a minimal reconstruction of ours, and beside it what this project does instead.
 *
 * For each hole the determinism pass has to list it, and the search for a second witness has to forge: an output that
 * nobody meant, for the same inputs, accepted by every row. For our template the pass has to leave nothing, and the search
 * has to come back without anything.
 */
import { describe, expect, it } from "vitest";
import { findSecondWitness, singleMutations } from "../../src/circuit/attack.js";
import { checkDeterminism } from "../../src/circuit/determinism.js";
import { inputWires } from "../../src/circuit/r1cs.js";
import { fieldElements, Gadget } from "./inference/support.js";

type Given = Record<string, [lo: bigint, hi: bigint]>;

const program = (body: string, instance: string) => `pragma circom 2.2.3;\n${body}\ncomponent main = ${instance};\n`;

async function report(gadget: Gadget, given: Given = {}) {
  const ranges = Object.entries(given).map(([name, [lo, hi]]) => [gadget.wire(name), { lo, hi }] as const);
  return checkDeterminism(gadget.r1cs, { given: new Map(ranges) });
}

/** What the hole lets a prover say: the wires that it can change, by name. */
async function forged(gadget: Gadget, inputs: Parameters<Gadget["honest"]>[0], given: Given = {}) {
  const found = await report(gadget, given);
  expect(found.deterministic).toBe(false);
  const honest = await gadget.honest(inputs);
  const second = await findSecondWitness(gadget.r1cs, honest, { random: fieldElements(1n) });
  if (!second) throw new Error("no second witness was found");
  expect(gadget.violation(second.witness)).toBe(-1);
  for (const wire of inputWires(gadget.r1cs)) expect(second.witness[wire]).toBe(honest[wire]);
  const left = new Set(found.left.flatMap(({ wires }) => wires));
  for (const wire of second.changed) expect(left.has(wire)).toBe(true);
  return { honest, second, found };
}

async function holds(gadget: Gadget, inputs: Parameters<Gadget["honest"]>[0][], given: Given = {}) {
  const { left } = await report(gadget, given);
  expect(left).toEqual([]);
  for (const each of inputs) {
    const honest = await gadget.honest(each);
    const random = fieldElements(2n);
    expect(await singleMutations(gadget.r1cs, honest, { random })).toEqual([]);
    expect(await findSecondWitness(gadget.r1cs, honest, { random })).toBeUndefined();
  }
}

describe("a remainder that is checked by an assertion only (dense and pooling layers of circomlib-ml)", () => {
  // `assert` runs where the witness is made, and leaves no row.
  const source = program(
    `template Scaled(N) {
    signal input in;
    signal output out;
    signal rest;
    out <-- in \\ N;
    rest <-- in % N;
    assert(rest < N);
    out * N + rest === in;
}`,
    "Scaled(10)",
  );

  it("is none: any output has a remainder to it", async () => {
    const gadget = await Gadget.compile("assert-only", source);
    const { honest, second, found } = await forged(gadget, { in: 123n });
    expect(honest[gadget.wire("out")]).toBe(12n);
    expect(second.witness[gadget.wire("out")]).not.toBe(12n);
    expect(found.left).toHaveLength(1);
    expect(found.left[0]).toMatchObject({ outputs: [gadget.wire("out")], rows: [0] });
    // One less, with the divisor more as the remainder; or anything at all.
    for (const out of [11n, 0n, 10n ** 70n]) {
      const witness = gadget.with(honest, [
        [gadget.wire("out"), out],
        [gadget.wire("rest"), 123n - 10n * out],
      ]);
      expect(gadget.violation(witness)).toBe(-1);
    }
  });

  it("is a range of both ends in ours: division by a constant, and by a signal", async () => {
    const requant = await Gadget.template("inference/requant_lane.circom", "RequantLane(-3000, 3000, 4, -128, 8)");
    await holds(requant, [{ in: 123n }, { in: -3000n }, { in: 2999n }]);
    const share = await Gadget.template("inference/share_lane.circom", "ShareLane(15, 6)");
    await holds(
      share,
      [
        { in: 7n, sum: 20n, odd: 0n },
        { in: 0n, sum: 63n, odd: 1n },
      ],
      { in: [0n, 63n], sum: [1n, 63n], odd: [0n, 1n] },
    );
  });

  it("is no range in ours with one of its ends left out", async () => {
    // ShareLane without the upper end, and without the lower one.
    const division = (lower: string, upper: string) =>
      program(
        `include "lib/range_check.circom";
template Division() {
    signal input in;
    signal input by;
    signal output out <-- in \\ by;
    signal rest <-- in % by;
    RangeCheck(0, 6)(in);
    RangeCheck(0, 4)(by);
    RangeCheck(0, 6)(out);
    out * by === in - rest;
    ${lower}
    ${upper}
}`,
        "Division()",
      );
    const [lower, upper] = ["RangeCheck(0, 4)(rest);", "RangeCheck(0, 4)(by - 1 - rest);"];
    await forged(await Gadget.compile("no-upper-end", division(lower, "")), { in: 50n, by: 6n });
    await forged(await Gadget.compile("no-lower-end", division("", upper)), { in: 50n, by: 6n });
    // Nor without a range of the quotient: fractions are field elements too.
    const free = division(lower, upper).replace("RangeCheck(0, 6)(out);", "");
    await forged(await Gadget.compile("no-range-of-quotient", free), { in: 50n, by: 6n });
    await holds(await Gadget.compile("both-ends", division(lower, upper)), [{ in: 50n, by: 6n }]);
  });
});

describe("a sign from a decomposition into 254 bits (ReLU of circomlib-ml)", () => {
  const relu = (bits: number) =>
    program(
      `template Relu(N) {
    signal input in;
    signal output out;
    signal bits[N];
    var sum = 0;
    for (var i = 0; i < N; i++) {
        bits[i] <-- (in >> i) & 1;
        bits[i] * (bits[i] - 1) === 0;
        sum += bits[i] * (1 << i);
    }
    sum === in;
    out <== in * (1 - bits[N - 1]);
}`,
      `Relu(${bits})`,
    );

  it("is either: the value plus the field's order has 254 bits as well", async () => {
    const gadget = await Gadget.compile("relu-254", relu(254));
    const { honest, second, found } = await forged(gadget, { in: 5n });
    expect(honest[gadget.wire("out")]).toBe(5n);
    expect(second.witness[gadget.wire("out")]).toBe(0n);
    expect(second.from.length).toBeGreaterThan(1); // all bits at once: no wire can change alone
    expect(await singleMutations(gadget.r1cs, honest, { random: fieldElements(3n) })).toEqual([]);
    expect(found.left).toHaveLength(1);
    expect(found.left[0]!.outputs).toEqual([gadget.wire("out")]);
    expect(found.left[0]!.reason).toMatch(/reach the field's order/);
  });

  it("is one sign with 253, and with as many bits as the accumulator has in ours", async () => {
    await holds(await Gadget.compile("relu-253", relu(253)), [{ in: 5n }]);
    const requant = await Gadget.template("inference/requant_lane.circom", "RequantLane(-3000, 3000, 4, 0, 7)");
    await holds(requant, [{ in: 5n }, { in: -5n }, { in: 2047n }]);
  });
});

describe("a matrix product that is folded at a constant point (zkVC)", () => {
  // Both sides as polynomials, compared at one point that everybody knows before the witness is made.
  const folded = (point: number, extra = "") =>
    program(
      `include "lib/range_check.circom";
template Folded(ROWS, INNER, POINT) {
    signal input a[ROWS * INNER];
    signal input b[INNER];
    signal output out[ROWS];
    signal product[INNER];
    var left = 0;
    var right = 0;
    for (var i = 0; i < ROWS; i++) {
        var sum = 0;
        for (var k = 0; k < INNER; k++) sum += a[i * INNER + k] * b[k];
        out[i] <-- sum;
        right += out[i] * POINT ** i;
    }
    for (var k = 0; k < INNER; k++) {
        var column = 0;
        for (var i = 0; i < ROWS; i++) column += a[i * INNER + k] * POINT ** i;
        product[k] <== column * b[k];
        left += product[k];
    }
    left === right;
    ${extra}
}`,
      `Folded(3, 2, ${point})`,
    );
  const inputs = { a: [3n, 1n, 4n, 1n, 5n, 9n], b: [7n, 2n] };
  const lanes = (bits: number) => `for (var i = 0; i < ROWS; i++) RangeCheck(0, ${bits})(out[i]);`;

  it("proves one number of several: what one lane loses, another one makes up for", async () => {
    const gadget = await Gadget.compile("folded", folded(2));
    const { honest, second } = await forged(gadget, inputs);
    const wires = gadget.wiresLike(/^out\[/);
    expect(wires.map((wire) => honest[wire])).toEqual([23n, 30n, 53n]);
    expect(second.changed.every((wire) => wires.includes(wire))).toBe(true);
    // Lanes that are small integers, where the point is 2: one more here is half of one there.
    const [first, next] = wires as [number, number];
    const small = gadget.with(honest, [
      [first, honest[first]! + 2n],
      [next, honest[next]! - 1n],
    ]);
    expect(gadget.violation(small)).toBe(-1);
  });

  it("is sound with lanes ranged below the point, and in ours a row a product", async () => {
    await holds(await Gadget.compile("ranged-lanes", folded(256, lanes(8))), [inputs]);
    await forged(await Gadget.compile("overlapping-lanes", folded(256, lanes(9))), {
      a: [30n, 4n, 5n, 9n, 2n, 7n],
      b: [9n, 2n],
    });
    const matMul = await Gadget.template("inference/mat_mul.circom", "MatMul(1, 2, 3, 1)");
    await holds(matMul, [{ a: [3n, 4n, 5n, -6n, 7n, 8n], b: [7n, 0n, -1n] }]);
  });
});

describe("a comparator whose input has no range", () => {
  // The usual comparator: a − b + 2^N in N + 1 bits, which is right for a and b of N bits.
  const comparator = `template Less(N) {
    signal input a;
    signal input b;
    signal output out;
    signal bits[N + 1];
    var difference = a - b + (1 << N);
    var sum = 0;
    for (var i = 0; i <= N; i++) {
        bits[i] <-- (difference >> i) & 1;
        bits[i] * (bits[i] - 1) === 0;
        sum += bits[i] * (1 << i);
    }
    sum === difference;
    out <== 1 - bits[N];
}`;
  const division = (range: string) =>
    program(
      `include "lib/num2bits.circom";
include "lib/range_check.circom";
${comparator}
template Division(BY) {
    signal input in;
    signal output out <-- in \\ BY;
    signal rest <-- in % BY;
    RangeCheck(0, 16)(out);
    out * BY + rest === in;
    ${range}
    signal less <== Less(8)(rest, BY);
    less === 1;
}`,
      "Division(10)",
    );

  it("compares what is below zero: a remainder of −5 is less than 10", async () => {
    const gadget = await Gadget.compile("unranged", division(""));
    const { honest, second } = await forged(gadget, { in: 123n });
    expect(honest[gadget.wire("out")]).toBe(12n);
    expect(second.witness[gadget.wire("out")]).not.toBe(12n);
    const rest = second.witness[gadget.wire("rest")]!;
    expect(rest > 10n).toBe(true); // a negative one, as field elements are
  });

  it("compares well with a range, and ours takes differences within proven bounds", async () => {
    await holds(await Gadget.compile("ranged", division("signal bits[8] <== Num2Bits(8)(rest);")), [{ in: 123n }]);
    const max = await Gadget.template("inference/max_pair.circom", "MaxPair(8)");
    await holds(max, [
      { a: 3n, b: -7n },
      { a: -100n, b: 27n },
      { a: 5n, b: 5n },
    ]);
    const argMax = await Gadget.template("inference/argmax_run.circom", "ArgMaxRun(3, 8)");
    await holds(argMax, [{ in: [3n, -7n, 100n] }, { in: [5n, 5n, 5n] }]);
  });
});
