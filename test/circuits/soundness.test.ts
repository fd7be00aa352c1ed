/**
 * Every template of the library on its own: its inputs determine all of its wires, and no attack finds another witness;
 * without any one of its rows, that is no longer so.
 */
import { describe, expect, it } from "vitest";
import { checkDeterminism } from "../../src/circuit/determinism.js";
import { expectSound, withoutEachRow } from "../support/soundness.js";
import { Gadget } from "./inference/support.js";

type Inputs = Parameters<Gadget["honest"]>[0];

interface Sample {
  file: string;
  instance: string;
  inputs: readonly Inputs[];
  /** What the template requires of its inputs and does not enforce, by name; every signal of an array has it. */
  requires?: Record<string, readonly [lo: bigint, hi: bigint]>;
  /** Rows that say what others say too. */
  redundant?: number;
}

const SAMPLES: readonly Sample[] = [
  { file: "lib/nonzero.circom", instance: "NonZero()", inputs: [{ in: 5n }] },
  { file: "lib/num2bits.circom", instance: "Num2Bits(6)", inputs: [{ in: 0n }, { in: 37n }] },
  { file: "lib/range_check.circom", instance: "RangeCheck(-8, 4)", inputs: [{ in: -8n }, { in: 3n }] },
  { file: "lib/select16.circom", instance: "Select16()", inputs: [{ bit: [1n, 0n, 1n, 1n], in: counted(16, 7n) }] },
  { file: "lib/is_zero.circom", instance: "IsZero()", inputs: [{ in: 0n }, { in: 3n }] },
  { file: "lib/sha256_sigma.circom", instance: "Sha256Sigma(7, 18, 3, 1)", inputs: [{ in: bitsOf(0x6a09e667n) }] },
  { file: "lib/sha256_sigma.circom", instance: "Sha256Sigma(6, 11, 25, 0)", inputs: [{ in: bitsOf(0xbb67ae85n) }] },
  {
    file: "lib/sha256_choose.circom",
    instance: "Sha256Choose()",
    inputs: [{ e: bitsOf(0x6a09e667n), f: bitsOf(0xbb67ae85n), g: bitsOf(0x3c6ef372n) }],
  },
  {
    file: "lib/sha256_majority.circom",
    instance: "Sha256Majority()",
    inputs: [{ a: bitsOf(0x6a09e667n), b: bitsOf(0xbb67ae85n), c: bitsOf(0x3c6ef372n) }],
  },
  { file: "lib/sha256_sum.circom", instance: "Sha256Sum(1)", inputs: [{ in: 0x1a54ff53an }, { in: 0n }] },
  {
    file: "dataset/fingerprint.circom",
    instance: "Fingerprint()",
    inputs: [{ description: counted(14, 3n), rho: 5n }],
  },
  {
    file: "dataset/prefix_children.circom",
    instance: "PrefixChildren()",
    inputs: [
      { bit: [1n, 0n, 1n, 0n], in: counted(16, 7n), own: 99n },
      { bit: [0n, 0n, 0n, 0n], in: counted(16, 7n), own: 99n },
      { bit: [1n, 1n, 1n, 1n], in: counted(16, 7n), own: 99n },
    ],
  },
  {
    file: "inference/linear.circom",
    instance: "Linear(1, 1, 2, 2, [1, -2, 3, 4], [7, -8])",
    inputs: [{ in: [3n, -5n] }],
  },
  { file: "inference/mul.circom", instance: "Mul(2)", inputs: [{ a: [3n, -5n], b: [0n, 9n] }] },
  { file: "inference/mat_mul.circom", instance: "MatMul(1, 2, 2, 1)", inputs: [{ a: [3n, -5n, 1n, 0n], b: [0n, 9n] }] },
  {
    file: "inference/requant_lane.circom",
    instance: "RequantLane(-300, 300, 3, -16, 5)",
    inputs: [{ in: 5n }, { in: -300n }, { in: 299n }],
  },
  {
    file: "inference/requant_lane.circom",
    instance: "RequantLane(-900, 700, 2, 0, 4)",
    inputs: [{ in: 5n }, { in: -900n }, { in: 699n }, { in: 63n }],
  },
  {
    file: "inference/requant_lane.circom",
    instance: "RequantLane(0, 700, 2, 0, 4)",
    inputs: [{ in: 5n }, { in: 699n }],
  },
  {
    file: "inference/table_lane.circom",
    instance: "TableLane(16, -8, [9, 3, 7, 1, 4, 4, 2, 8, 0, 5, 6, 1, 1, 3, 2, 9])",
    inputs: [{ in: -8n }, { in: 7n }, { in: 1n }],
  },
  {
    file: "inference/max_pair.circom",
    instance: "MaxPair(5)",
    inputs: [
      { a: 5n, b: -3n },
      { a: -9n, b: 7n },
    ],
  },
  {
    file: "inference/argmax_run.circom",
    instance: "ArgMaxRun(3, 4)",
    inputs: [{ in: [3n, -4n, 5n] }, { in: [2n, 2n, 2n] }, { in: [7n, 1n, 0n] }],
  },
  {
    file: "inference/lookup_row.circom",
    instance: "LookupRow(4, 2, [1, 2, 3, 4, 5, 6, 7, 8], 0, 3)",
    inputs: [{ index: 0n }, { index: 1n }, { index: 2n }, { index: 3n }],
  },
  {
    file: "inference/share_lane.circom",
    instance: "ShareLane(15, 6)",
    inputs: [
      { in: 7n, sum: 20n, odd: 0n },
      { in: 0n, sum: 63n, odd: 1n },
      { in: 40n, sum: 41n, odd: 1n },
    ],
  },
  {
    file: "inference/share.circom",
    instance: "Share(1, 2, 15, 6)",
    inputs: [{ in: [7n, 20n] }, { in: [0n, 63n] }],
  },
  {
    file: "inference/normalise_run.circom",
    instance: "NormaliseRun(2, 5, 6, 6, 14, 14)",
    inputs: [{ in: [3n, -4n] }, { in: [0n, 0n] }],
    requires: { in: [-16n, 15n] },
  },
];

function counted(length: number, from: bigint): bigint[] {
  return Array.from({ length }, (_, i) => from + BigInt(i));
}

/** A word's bits, lowest first. */
function bitsOf(word: bigint): bigint[] {
  return Array.from({ length: 32 }, (_, i) => (word >> BigInt(i)) & 1n);
}

async function prepare({ file, instance, inputs, requires = {} }: Sample) {
  const gadget = await Gadget.template(file, instance);
  const given = new Map(
    Object.entries(requires).flatMap(([name, [lo, hi]]) =>
      gadget.wiresLike(new RegExp(`^${name}(\\[|$)`)).map((wire) => [wire, { lo, hi }] as const),
    ),
  );
  const witnesses = await Promise.all(inputs.map((each) => gadget.honest(each)));
  return { r1cs: gadget.r1cs, witnesses, given };
}

describe("templates", () => {
  it.each(SAMPLES.map((sample) => [sample.instance.slice(0, 40), sample] as const))("%s", async (_, sample) => {
    const { r1cs, witnesses, given } = await prepare(sample);
    await expectSound(r1cs, witnesses, { given });
    const { redundant, unfound } = await withoutEachRow(r1cs, witnesses, { given });
    expect(redundant).toHaveLength(sample.redundant ?? 0);
    expect(unfound).toEqual([]);
  });

  it("need what they say that they require", async () => {
    for (const sample of SAMPLES.filter(({ requires }) => requires)) {
      const { r1cs } = await prepare(sample);
      expect((await checkDeterminism(r1cs)).deterministic).toBe(false);
    }
  });
});

describe("what is made of them", () => {
  it("a permutation", async () => {
    const { r1cs } = await Gadget.template("lib/poseidon16.circom", "Poseidon16()");
    expect((await checkDeterminism(r1cs)).left).toEqual([]);
  });
});
