/**
 * Every flaw is shown first: a proof that nobody with a witness made, of a statement of the forger's choice, passes the
 * raw pairing check. Then the lint must refuse the key.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nativeCore } from "../../src/field/native.js";
import { R } from "../../src/field/scalar.js";
import {
  affineG1,
  affineG2,
  G1_GENERATOR,
  type G1Affine,
  G2_GENERATOR,
  type G2Affine,
  g1Point,
  g2Point,
  pairingIsOne,
} from "../../src/verifier/curve.js";
import { type Proof, type VerifyingKey, verifyGroth16 } from "../../src/verifier/groth16.js";
import { inspectVerifyingKey, lintVerifyingKey } from "../../src/verifier/lint.js";
import { mod, simulateKey, simulateProof, type Trapdoor, wrongSubgroupG2 } from "../chain/simulated.js";
import { outcomeOf } from "../support/errors.js";

const SIGNALS = [5n, R - 1n];

const neg1 = (p: G1Affine) => affineG1(g1Point(p).negate());
const neg2 = (p: G2Affine) => affineG2(g2Point(p).negate());
const add1 = (p: G1Affine, q: G1Affine) => affineG1(g1Point(p).add(g1Point(q)));
const add2 = (p: G2Affine, q: G2Affine) => affineG2(g2Point(p).add(g2Point(q)));

/** IC₀ + Σ xᵢ ICᵢ, as anyone computes it. */
function input({ ic }: VerifyingKey, signals: readonly bigint[]): G1Affine {
  const sum = signals.reduce((total, x, i) => total.add(g1Point(ic[i + 1]!).multiplyUnsafe(x)), g1Point(ic[0]!));
  return affineG1(sum);
}

const key = (overrides: Partial<Trapdoor> = {}) => simulateKey(2, "lint", overrides);
const base = key();
const [i0, i1, i2] = base.trapdoor.ic as [bigint, bigint, bigint];
const { alpha, gamma, delta } = base.trapdoor;

/** What the lint says, with the check that says it. */
function verdict(vkey: VerifyingKey): string {
  const failed = inspectVerifyingKey(vkey).find(({ outcome }) => outcome !== "ok");
  return failed === undefined ? "ok" : `${failed.outcome} ${failed.id}`;
}

interface Flaw {
  name: string;
  trapdoor: Partial<Trapdoor>;
  check: string;
  /** From public values alone. */
  forge: (vkey: VerifyingKey, signals: readonly bigint[]) => Proof;
  /** Of any statement, unless told. */
  signals?: bigint[];
}

const FLAWS: Flaw[] = [
  {
    name: "gamma = delta (Veil Cash, FoomCash)",
    trapdoor: { gamma: delta },
    check: "gamma-delta",
    forge: (vkey, signals) => ({ a: vkey.alpha, b: vkey.beta, c: neg1(input(vkey, signals)) }),
  },
  {
    name: "gamma = delta = the generator (snarkjs setup without contribute)",
    trapdoor: { gamma: 1n, delta: 1n },
    check: "gamma-delta",
    forge: (vkey, signals) => ({ a: vkey.alpha, b: vkey.beta, c: neg1(input(vkey, signals)) }),
  },
  {
    name: "gamma = -delta",
    trapdoor: { gamma: mod(-delta) },
    check: "gamma-delta",
    forge: (vkey, signals) => ({ a: vkey.alpha, b: vkey.beta, c: input(vkey, signals) }),
  },
  {
    name: "beta = delta",
    trapdoor: { beta: delta },
    check: "beta",
    forge: (vkey, signals) => ({ a: input(vkey, signals), b: vkey.gamma, c: neg1(vkey.alpha) }),
  },
  {
    name: "beta = -delta",
    trapdoor: { beta: mod(-delta) },
    check: "beta",
    forge: (vkey, signals) => ({ a: input(vkey, signals), b: vkey.gamma, c: vkey.alpha }),
  },
  {
    name: "beta = gamma",
    trapdoor: { beta: gamma },
    check: "beta",
    forge: (vkey, signals) => {
      const a = add1(vkey.alpha, input(vkey, signals));
      return { a, b: add2(vkey.beta, vkey.delta), c: a };
    },
  },
  {
    name: "beta = -gamma",
    trapdoor: { beta: mod(-gamma) },
    check: "beta",
    forge: (vkey, signals) => {
      const a = add1(vkey.alpha, neg1(input(vkey, signals)));
      return { a, b: add2(vkey.beta, vkey.delta), c: a };
    },
  },
  {
    name: "IC[0] = alpha",
    trapdoor: { ic: [alpha, i1, i2] },
    check: "inputs",
    forge: (vkey) => ({ a: vkey.alpha, b: add2(add2(vkey.beta, vkey.gamma), vkey.delta), c: vkey.alpha }),
    signals: [0n, 0n],
  },
  {
    name: "IC[0] = -alpha",
    trapdoor: { ic: [mod(-alpha), i1, i2] },
    check: "inputs",
    forge: (vkey) => ({ a: vkey.alpha, b: add2(add2(vkey.beta, neg2(vkey.gamma)), vkey.delta), c: vkey.alpha }),
    signals: [0n, 0n],
  },
  {
    name: "IC[0] = IC[2]",
    trapdoor: { ic: [i2, i1, i2] },
    check: "inputs",
    forge: (vkey) => ({ a: vkey.alpha, b: add2(vkey.beta, vkey.delta), c: vkey.alpha }),
    signals: [0n, R - 1n],
  },
  {
    name: "IC[0] = -IC[1]",
    trapdoor: { ic: [mod(-i1), i1, i2] },
    check: "inputs",
    forge: (vkey) => ({ a: vkey.alpha, b: add2(vkey.beta, vkey.delta), c: vkey.alpha }),
    signals: [1n, 0n],
  },
];

describe("keys that let anyone forge", () => {
  it.each(FLAWS)("$name", ({ trapdoor, check, forge, signals = SIGNALS }) => {
    const { vkey } = key(trapdoor);
    expect(verifyGroth16(vkey, signals, forge(vkey, signals))).toBe(true);
    expect(verifyGroth16(base.vkey, signals, forge(base.vkey, signals))).toBe(false);
    expect(verdict(vkey)).toBe(`forgeable ${check}`);
    const failed = inspectVerifyingKey(vkey).find(({ id }) => id === check)!;
    expect(failed.reason).toContain("a proof made without any secret verifies");
    expect(outcomeOf(() => lintVerifyingKey(vkey))).toBe("KEY_FORGEABLE");
  });

  it.each<[string, Partial<Trapdoor>]>([
    ["delta", { delta: 1n }],
    ["-delta", { delta: R - 1n }],
    ["beta", { beta: 1n }],
    ["-beta", { beta: R - 1n }],
    ["alpha", { alpha: 1n }],
    ["-alpha", { alpha: R - 1n }],
    ["alpha and beta (powers of tau of tau = 1)", { alpha: 1n, beta: 1n }],
  ])("%s at the generator: nobody contributed", (_, trapdoor) => {
    expect(verdict(key(trapdoor).vkey)).toBe("forgeable generators");
    expect(outcomeOf(() => lintVerifyingKey(key(trapdoor).vkey))).toBe("KEY_FORGEABLE");
  });

  it("delta at the generator: the powers of tau are all that it takes", () => {
    // γ·ICᵢ = β·Aᵢ(τ) + α·Bᵢ(τ) + Cᵢ(τ) in G1 follows from the public powers of tau, whoever knows γ or not.
    const { vkey, trapdoor } = key({ delta: 1n });
    const published = simulateKey(2, "", { ic: trapdoor.ic.map((x) => mod(x * trapdoor.gamma)) }).vkey;
    const c = neg1(input(published, SIGNALS));
    expect(verifyGroth16(vkey, SIGNALS, { a: vkey.alpha, b: vkey.beta, c })).toBe(true);
  });

  it("are refused by the forgery itself, without a look at coordinates", () => {
    const forgery = (overrides: Partial<Trapdoor>) =>
      inspectVerifyingKey(key(overrides).vkey).find(({ id }) => id === "forgery")!.outcome;
    expect(forgery({ gamma: delta })).toBe("forgeable");
    expect(forgery({ gamma: mod(-delta) })).toBe("forgeable");
    expect(forgery({})).toBe("ok");
    expect(forgery({ gamma: 1n })).toBe("ok");
  });

  it("of any number of signals", () => {
    for (const n of [0, 1, 8]) {
      expect(verdict(simulateKey(n).vkey)).toBe("ok");
      expect(verdict(simulateKey(n, "bad", { gamma: 5n, delta: 5n }).vkey)).toBe("forgeable gamma-delta");
      expect(verdict(simulateKey(n, "bad", { beta: 5n, delta: mod(-5n) }).vkey)).toBe("forgeable beta");
    }
  });
});

describe("keys that no setup makes", () => {
  it("IC[1] = ±IC[2]: one signal can stand for another", () => {
    const same = key({ ic: [i0, i1, i1] });
    expect(verifyGroth16(same.vkey, [3n, 4n], simulateProof(same, [5n, 2n]))).toBe(true);
    expect(verdict(same.vkey)).toBe("malformed inputs");
    const opposite = key({ ic: [i0, i1, mod(-i1)] });
    expect(verifyGroth16(opposite.vkey, [3n, 4n], simulateProof(opposite, [13n, 14n]))).toBe(true);
    expect(verdict(opposite.vkey)).toBe("malformed inputs");
  });

  it.each<[string, bigint[]]>([
    ["IC[0] at the generator", [1n, i1, i2]],
    ["IC[1] at the negated generator", [i0, R - 1n, i2]],
    ["IC[2] = alpha", [i0, i1, alpha]],
    ["IC[1] = -alpha", [i0, mod(-alpha), i2]],
  ])("%s", (_, ic) => {
    expect(verdict(key({ ic }).vkey)).toBe("malformed inputs");
    expect(outcomeOf(() => lintVerifyingKey(key({ ic }).vkey))).toBe("KEY_MALFORMED");
  });

  const zero1 = [0n, 0n] as const;
  const zero2 = [zero1, zero1] as const;

  it("points at infinity are worth a forgery to a verifier that takes them, as the EVM's precompiles do", () => {
    const raw = (vkey: VerifyingKey, signals: readonly bigint[], { a, b, c }: Proof) => {
      const vkx = signals.reduce(
        (sum, x, i) => sum.add(g1Point(vkey.ic[i + 1]!).multiplyUnsafe(x)),
        g1Point(vkey.ic[0]!),
      );
      return pairingIsOne([
        { g1: g1Point(a), g2: g2Point(b) },
        { g1: g1Point(vkey.alpha).negate(), g2: g2Point(vkey.beta) },
        { g1: vkx.negate(), g2: g2Point(vkey.gamma) },
        { g1: g1Point(c).negate(), g2: g2Point(vkey.delta) },
      ]);
    };
    const { vkey } = base;
    const fromNothing = { a: vkey.alpha, b: add2(vkey.beta, vkey.delta), c: vkey.alpha };
    expect(raw(vkey, SIGNALS, simulateProof(base, SIGNALS))).toBe(true);
    expect(raw(vkey, [0n, 0n], fromNothing)).toBe(false);
    // Signal 1 is not bound.
    const unbound = { ...vkey, ic: [vkey.ic[0]!, zero1, vkey.ic[2]!] };
    const proof = simulateProof(base, [0n, 7n]);
    expect(raw(unbound, [0n, 7n], proof)).toBe(true);
    expect(raw(unbound, [123n, 7n], proof)).toBe(true);
    // Signals of zeros need no witness.
    expect(raw({ ...vkey, ic: [zero1, vkey.ic[1]!, vkey.ic[2]!] }, [0n, 0n], fromNothing)).toBe(true);
    // Any signals at all.
    expect(raw({ ...vkey, gamma: zero2 }, SIGNALS, fromNothing)).toBe(true);
    const noDelta = { ...vkey, delta: zero2, beta: vkey.gamma };
    expect(raw(noDelta, SIGNALS, { a: add1(vkey.alpha, input(vkey, SIGNALS)), b: vkey.gamma, c: vkey.alpha })).toBe(
      true,
    );
    expect(raw({ ...vkey, alpha: zero1 }, SIGNALS, { a: input(vkey, SIGNALS), b: vkey.gamma, c: zero1 })).toBe(true);
  });

  it.each<[string, Partial<VerifyingKey>]>([
    ["an IC point at infinity: its signal would not be bound", { ic: [base.vkey.ic[0]!, zero1, base.vkey.ic[2]!] }],
    ["IC[0] at infinity: zeros would need no proof", { ic: [zero1, base.vkey.ic[1]!, base.vkey.ic[2]!] }],
    ["alpha at infinity", { alpha: zero1 }],
    ["beta at infinity", { beta: zero2 }],
    ["gamma at infinity: no signal would be bound", { gamma: zero2 }],
    ["delta at infinity", { delta: zero2 }],
    ["a point off the curve", { alpha: [1n, 3n] }],
    ["a point outside the group of order r", { delta: wrongSubgroupG2() }],
  ])("%s", (_, change) => {
    expect(verdict({ ...base.vkey, ...change })).toBe("malformed points");
    expect(outcomeOf(() => lintVerifyingKey({ ...base.vkey, ...change }))).toBe("KEY_MALFORMED");
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["no object", 7],
    ["too few IC points", { ...base.vkey, ic: base.vkey.ic.slice(1) }],
    ["too many IC points", { ...base.vkey, ic: [...base.vkey.ic, base.vkey.ic[0]] }],
    ["a missing point", { ...base.vkey, gamma: undefined }],
    ["a coordinate above q", { ...base.vkey, alpha: [base.vkey.alpha[0] + R * 2n, base.vkey.alpha[1]] }],
  ])("%s", (_, value) => {
    expect(outcomeOf(() => lintVerifyingKey(value as VerifyingKey))).toBe("KEY_MALFORMED");
  });
});

describe("sound keys", () => {
  it("pass every check, also with snarkjs' gamma = generator", () => {
    expect(inspectVerifyingKey(base.vkey).map(({ id, outcome }) => `${id} ${outcome}`)).toEqual([
      "points ok",
      "gamma-delta ok",
      "generators ok",
      "beta ok",
      "inputs ok",
      "forgery ok",
    ]);
    const usual = key({ gamma: 1n }).vkey;
    expect(usual.gamma).toEqual(G2_GENERATOR);
    expect(verdict(usual)).toBe("ok");
    expect(outcomeOf(() => lintVerifyingKey(usual))).toBe("accepted");
    expect(G1_GENERATOR).toEqual([1n, 2n]);
  });

  it("pass whatever their trapdoor, and a flaw put into any of them is found", () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...FLAWS), (seed, { trapdoor, check }) => {
        expect(verdict(simulateKey(2, `p${seed}`).vkey)).toBe("ok");
        expect(verdict(key(trapdoor).vkey)).toBe(`forgeable ${check}`);
      }),
      { numRuns: nativeCore() ? 30 : 5 },
    );
  });

  it("are judged by their values: an object that changes after its lint is judged anew, and its verdict is its own", () => {
    const changing = { ...base.vkey };
    expect(outcomeOf(() => lintVerifyingKey(changing))).toBe("accepted");
    changing.delta = changing.gamma;
    expect(outcomeOf(() => lintVerifyingKey(changing))).toBe("KEY_FORGEABLE");
    const checks = inspectVerifyingKey(changing) as unknown as { outcome: string }[];
    for (const check of checks) check.outcome = "ok";
    expect(outcomeOf(() => lintVerifyingKey(changing))).toBe("KEY_FORGEABLE");
  });

  it("are judged once: the next lint costs no pairing", () => {
    const { vkey } = simulateKey(2, "cached");
    const time = () => {
      const start = performance.now();
      lintVerifyingKey(vkey);
      return performance.now() - start;
    };
    const first = time();
    const later = Math.min(...Array.from({ length: 20 }, time));
    expect(later).toBeLessThan(first / 2);
  });
});
