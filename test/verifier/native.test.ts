/**
 * Verification by the native core's engines and by noble: the same answers and the same errors, whoever serves.
 * With `ANCHORPROOF_NATIVE=off` only noble is tested; a core that is merely missing fails here.
 */
import { bn254 } from "@noble/curves/bn254.js";
import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type * as native from "../../src/field/native.js";
import { type NativeEngine, nativeStatus } from "../../src/field/native.js";
import { Q, R } from "../../src/field/scalar.js";
import {
  type G1Affine,
  type G2Affine,
  type Groth16Item,
  type Proof,
  type VerifyingKey,
  verifyGroth16,
  verifyGroth16Batch,
} from "../../src/verifier/groth16.js";
import { g1, mod, rerandomise, scalar, simulateKey, simulateProof, wrongSubgroupG2 } from "../chain/simulated.js";
import { outcomeOf } from "../support/errors.js";

const { G1, G2, fields } = bn254;
const CURVE_X = 4965661367192848881n;

/** Who serves. A verifier stays with its key once opened, so that each engine gets keys of its own. */
const serving = vi.hoisted(() => ({ engine: undefined as NativeEngine | undefined }));
vi.mock("../../src/field/native.js", async (original) => {
  const actual = await original<typeof native>();
  const nativeCore = () => {
    const core = actual.nativeCore();
    const { engine } = serving;
    if (engine === undefined || core === undefined) return undefined;
    return { ...core, openVerifyingKey: (key: Uint8Array) => core.openVerifyingKey(key, { engine }) };
  };
  return { ...actual, nativeCore };
});

const status = nativeStatus();
const engines = status.available ? status.engines : [];

it("the core is built, unless it is switched off", () => {
  expect(status.available || status.kind).toSatisfy((state) => state === true || state === "off");
});

const negate = ([x, y]: G1Affine): G1Affine => [x, Q - y];
const addG1 = (a: G1Affine, b: G1Affine): G1Affine => {
  const { x, y } = G1.Point.fromAffine({ x: a[0], y: a[1] })
    .add(G1.Point.fromAffine({ x: b[0], y: b[1] }))
    .toAffine();
  return [x, y];
};

type Twist = InstanceType<typeof G2.Point>;
const toTwist = ([x, y]: G2Affine): Twist =>
  G2.Point.fromAffine({ x: fields.Fp2.fromBigTuple([x[0], x[1]]), y: fields.Fp2.fromBigTuple([y[0], y[1]]) });
const fromTwist = (point: Twist): G2Affine => {
  const { x, y } = point.toAffine();
  return [
    [x.c0, x.c1],
    [y.c0, y.c1],
  ];
};
/** Also for scalars above r, which noble's own multiplication refuses. */
const times = (point: Twist, k: bigint): Twist => {
  let sum = G2.Point.ZERO;
  for (const bit of k.toString(2)) sum = bit === "1" ? sum.double().add(point) : sum.double();
  return sum;
};
/** The twist has r·h points. */
const COFACTOR = 2n * Q - R;
const SMALL_ORDER = 10069n;
const foreign = toTwist(wrongSubgroupG2());
const smallOrder = times(foreign, (R * COFACTOR) / SMALL_ORDER);

it("the resultant: the test of G2 that comes with the Miller loop refuses every other point of the twist", () => {
  const t = 6n * CURVE_X ** 2n + 1n;
  // 6x + 2 + X − X² + X³ modulo X² − tX + q is a + bX; its resultant with X² − tX + q is a² + abt + b²q.
  const a = 6n * CURVE_X + 2n + Q - t * Q;
  const b = 1n - t + t * t - Q;
  const resultant = a * a + a * b * t + b * b * Q;
  const gcd = (u: bigint, v: bigint): bigint => (v === 0n ? u : gcd(v, u % v));
  expect(times(foreign, R * COFACTOR).is0()).toBe(true);
  expect(gcd(resultant, R * COFACTOR)).toBe(R);
  // and it accepts all of G2
  expect((6n * CURVE_X + 2n + Q - Q ** 2n + Q ** 3n) % R).toBe(0n);
  expect(smallOrder.is0()).toBe(false);
  expect(times(smallOrder, SMALL_ORDER).is0()).toBe(true);
});

describe.each(["noble", ...engines] as const)("%s", (name) => {
  beforeEach(() => {
    serving.engine = name === "noble" ? undefined : name;
  });
  /** Noble takes some hundred times longer. */
  const runs = (many: number, few: number) => (name === "noble" ? few : many);

  const key = simulateKey(2, `native/${name}`);
  const signals = [5n, R - 1n];
  const proof = simulateProof(key, signals);
  const verify = (made: Proof, shown: readonly bigint[] = signals, vkey = key.vkey) => verifyGroth16(vkey, shown, made);
  const item = (i: number): Groth16Item => {
    const publicSignals = [BigInt(i), scalar(`signal ${i}`)];
    return { publicSignals, proof: simulateProof(key, publicSignals, `item ${i}`) };
  };
  const batch = (items: readonly Groth16Item[], threads = 1) => verifyGroth16Batch(key.vkey, items, { threads });

  describe("one proof", () => {
    it("verifies with edge values for signals, and re-randomised", () => {
      for (const edge of [
        [0n, 0n],
        [R - 1n, R - 1n],
        [2n ** 64n - 1n, 2n ** 192n],
        [(R - 1n) / 2n, 8n],
      ]) {
        expect(verify(simulateProof(key, edge), edge)).toBe(true);
      }
      expect(verify(rerandomise(proof))).toBe(true);
    });

    it("verifies under keys with no signals and with many", () => {
      for (const n of [0, runs(130, 9)]) {
        const wide = simulateKey(n, `native/${name}`);
        const all = Array.from({ length: n }, (_, i) => scalar(`wide ${i}`));
        const made = simulateProof(wide, all);
        expect(verify(made, all, wide.vkey)).toBe(true);
        if (n === 0) continue;
        all[n - 1] = mod(all[n - 1]! + 1n);
        expect(verify(made, all, wide.vkey)).toBe(false);
      }
    });

    it("verifies where Σ xᵢ ICᵢ is the point at infinity, and where IC points are equal or opposite", () => {
      const ic = [7n, R - 7n, 7n];
      const odd = simulateKey(2, `native/${name}/infinity`, { ic });
      for (const shown of [
        [1n, 0n],
        [1n, 1n],
        [0n, R - 1n],
        [3n, 3n],
      ]) {
        const made = simulateProof(odd, shown);
        expect(verify(made, shown, odd.vkey)).toBe(true);
        expect(verify({ ...made, c: negate(made.c) }, shown, odd.vkey)).toBe(false);
      }
    });

    it("agrees with the trapdoor on random statements and mutations", () => {
      const scalars = fc.bigInt({ min: 0n, max: R - 1n });
      fc.assert(
        fc.property(scalars, scalars, fc.constantFrom("none", "a", "b", "c", "sign", "signal"), (x, y, mutation) => {
          const shown = mutation === "signal" ? [x, mod(y + 1n)] : [x, y];
          const other = simulateProof(key, [x, y], "other");
          const made = simulateProof(key, [x, y], `p${x}`);
          if (mutation === "sign") made.a = negate(made.a);
          else if (mutation === "a" || mutation === "c") made[mutation] = other[mutation];
          else if (mutation === "b") made.b = other.b;
          expect(verify(made, shown)).toBe(mutation === "none");
        }),
        { numRuns: runs(60, 6) },
      );
    });

    it("refuses signals outside the field or of another number, before anything else", () => {
      const bad = { ...proof, a: [1n, 1n] as const };
      const wrong: unknown[] = [
        [5n],
        [5n, R - 1n, 0n],
        [5n + R, R - 1n],
        [-1n, 0n],
        [5n, R],
        [5n, 2n ** 256n],
        [5, 0n],
      ];
      wrong.push(null, "56", new Array(2));
      for (const shown of wrong as bigint[][]) {
        expect(outcomeOf(() => verify(proof, shown))).toBe("INPUT_INVALID");
        expect(outcomeOf(() => verify(bad, shown))).toBe("INPUT_INVALID");
        expect(outcomeOf(() => batch([item(0), { publicSignals: shown, proof }]))).toBe("INPUT_INVALID");
      }
    });
  });

  const badG1: [string, unknown][] = [
    ["infinity", [0n, 0n]],
    ["off the curve", [proof.a[0], proof.a[1] + 1n]],
    ["x + q", [1n + Q, 2n]],
    ["y + q", [1n, 2n + Q]],
    ["negative", [1n, -2n]],
    ["2^256 + x", [1n + 2n ** 256n, 2n]],
    ["numbers", [1, 2]],
    ["three coordinates", [1n, 2n, 1n]],
    ["holes", new Array(2)],
    ["missing", undefined],
  ];
  const g2 = (point: Twist) => fromTwist(point) as unknown;
  const [bx, by] = proof.b;
  const badG2: [string, unknown][] = [
    [
      "infinity",
      [
        [0n, 0n],
        [0n, 0n],
      ],
    ],
    ["off the curve", [bx, [by[0], by[1] + 1n]]],
    [
      "parts exchanged",
      [
        [bx[1], bx[0]],
        [by[1], by[0]],
      ],
    ],
    ["x + q", [[bx[0] + Q, bx[1]], by]],
    ["on the twist, outside G2", g2(foreign)],
    ["of the cofactor's order", g2(times(foreign, R))],
    ["of small order", g2(smallOrder)],
    ["of small order, doubled", g2(smallOrder.double())],
    ["in G2 but for a point of small order", g2(toTwist(proof.b).add(smallOrder))],
    ["flat", [bx[0], bx[1], by[0], by[1]]],
    ["missing", undefined],
  ];

  it.each([
    ...badG1.flatMap(
      ([what, point]) =>
        [
          ["a", what, point],
          ["c", what, point],
        ] as const,
    ),
    ...badG2.map(([what, point]) => ["b", what, point] as const),
  ])("a proof whose %s is %s is malformed, alone and in a batch, where it spoils no other", (part, _, point) => {
    const bad = { ...proof, [part]: point } as Proof;
    expect(outcomeOf(() => verify(bad))).toBe("PROOF_MALFORMED");
    const items = [item(0), { publicSignals: signals, proof: bad }, item(1)];
    expect(batch(items)).toEqual([true, false, true]);
  });

  it("a key with a bad point is malformed", () => {
    for (const [, point] of badG1) {
      const bad = [
        { ...key.vkey, alpha: point },
        { ...key.vkey, ic: [key.vkey.ic[0], point, key.vkey.ic[2]] },
      ];
      for (const vkey of bad as VerifyingKey[]) {
        expect(outcomeOf(() => verify(proof, signals, vkey))).toBe("KEY_MALFORMED");
        expect(outcomeOf(() => verifyGroth16Batch(vkey, []))).toBe("KEY_MALFORMED");
      }
    }
    for (const [, point] of badG2) {
      for (const part of ["beta", "gamma", "delta"]) {
        const vkey = { ...key.vkey, [part]: point } as VerifyingKey;
        expect(outcomeOf(() => verify(proof, signals, vkey))).toBe("KEY_MALFORMED");
      }
    }
    expect(outcomeOf(() => verify(proof, signals, { ...key.vkey, ic: key.vkey.ic.slice(1) }))).toBe("KEY_MALFORMED");
  });

  it("a key object that changes is another key", () => {
    const changing = { ...key.vkey };
    expect(verify(proof, signals, changing)).toBe(true);
    changing.delta = changing.gamma;
    expect(verify(proof, signals, changing)).toBe(false);
    changing.delta = key.vkey.delta;
    expect(verify(proof, signals, changing)).toBe(true);
  });

  describe("values that change between two readings", () => {
    /** An array that gives one value at `at` for the first reading, and another from then on. */
    const turning = <T>(values: readonly T[], at: number, then: unknown): readonly T[] => {
      let reads = 0;
      return new Proxy(values, {
        get: (target, name) => (name === String(at) && reads++ > 0 ? then : Reflect.get(target, name)),
      });
    };
    class Lying extends Array<bigint> {
      override *entries(): ArrayIterator<[number, bigint]> {
        yield* [0n, 0n].entries();
      }
      override forEach() {}
      override map(): never[] {
        return [];
      }
      override *[Symbol.iterator](): ArrayIterator<bigint> {
        yield* [0n, 0n];
      }
    }

    it("are read once: no alias of a signal, and nothing else, comes after the check", () => {
      for (const then of [signals[0]! + R, signals[0]! + 2n ** 256n, -1n, 6n, "5", undefined]) {
        expect(verify(proof, turning(signals, 0, then))).toBe(true);
        expect(verify(proof, turning([6n, R - 1n], 0, 5n))).toBe(false);
        expect(batch([{ publicSignals: turning(signals, 0, then), proof }])).toEqual([true]);
      }
      for (const alias of [signals[0]! + R, signals[0]! + 2n ** 256n]) {
        const shown = Lying.from([alias, signals[1]!]);
        expect(outcomeOf(() => verify(proof, shown))).toBe("INPUT_INVALID");
        expect(outcomeOf(() => batch([{ publicSignals: shown, proof }]))).toBe("INPUT_INVALID");
      }
      expect(verify(proof, Lying.from(signals))).toBe(true);
    });

    it("do not move signals from one item of a batch to the next", () => {
      const [first, second] = [item(0), item(1)];
      /** Shows two signals to the check, and then another number of them. */
      const shifting = (made: Proof, shown: readonly bigint[], later: readonly bigint[]): Groth16Item => {
        let reads = 0;
        return {
          proof: made,
          get publicSignals() {
            return reads++ === 0 ? shown : later;
          },
        };
      };
      const [x, y] = first.publicSignals as [bigint, bigint];
      const later = [y, ...second.publicSignals];
      expect(batch([shifting(first.proof, [1n, 1n], [x]), shifting(second.proof, [1n, 1n], later)])).toEqual([
        false,
        false,
      ]);
      expect(batch([shifting(first.proof, [x, y], []), second])).toEqual([true, true]);
    });

    it("in a proof or a key change no answer either", () => {
      const changing = { ...proof, a: turning(proof.a, 0, 1n) as never };
      expect(verify(changing)).toBe(true);
      expect(verify({ ...proof, b: turning(proof.b, 1, proof.b[0]) as never })).toBe(true);
      const vkey = { ...key.vkey, ic: turning(key.vkey.ic, 1, key.vkey.ic[0]) };
      expect(verify(proof, signals, vkey)).toBe(true);
    });

    it("that throw are malformed, and spoil no other item", () => {
      const thrower = (name: string) => Object.defineProperty({}, name, { get: () => raise() }) as never;
      const raise = () => {
        throw new Error("no");
      };
      expect(outcomeOf(() => verify(thrower("a")))).toBe("PROOF_MALFORMED");
      expect(outcomeOf(() => verify(proof, signals, thrower("ic")))).toBe("KEY_MALFORMED");
      const bad = Object.defineProperty({ publicSignals: signals }, "proof", { get: raise }) as never;
      expect(batch([item(0), bad, { publicSignals: signals, proof: thrower("b") }, item(1)])).toEqual([
        true,
        false,
        false,
        true,
      ]);
      expect(outcomeOf(() => batch([item(0), thrower("publicSignals")]))).toBe("INPUT_INVALID");
    });
  });

  it("what is no key, or no options, is refused with a code", () => {
    const wrong: unknown[] = [undefined, null, "key", {}, { nPublic: 2 }];
    for (const nPublic of [-1, Number.NaN, "2", 2.5, 1e9, undefined]) wrong.push({ ...key.vkey, nPublic });
    for (const vkey of wrong as VerifyingKey[]) {
      expect(outcomeOf(() => verifyGroth16(vkey, signals, proof))).toBe("KEY_MALFORMED");
      expect(outcomeOf(() => verifyGroth16Batch(vkey, []))).toBe("KEY_MALFORMED");
    }
    for (const options of [null, 5, "2"]) {
      expect(outcomeOf(() => verifyGroth16Batch(key.vkey, [], options as never))).toBe("INPUT_INVALID");
    }
  });

  describe("a batch", () => {
    const items = Array.from({ length: runs(40, 4) }, (_, i) => item(i));
    const other = items[1]!.proof;

    it("of any size accepts what is valid", () => {
      for (const n of [0, 1, 2, 3, runs(7, 4), runs(8, 4), runs(9, 4), items.length]) {
        expect(batch(items.slice(0, n), 1 + (n % 3))).toEqual(new Array(n).fill(true));
      }
      const same = new Array(runs(20, 2)).fill(items[0]!);
      expect(batch(same)).toEqual(same.map(() => true));
    });

    it("names the one bad proof at every position", () => {
      const some = items.slice(0, runs(19, 3));
      for (let bad = 0; bad < some.length; bad++) {
        const mixed = some.map((good, i) => (i === bad ? { ...good, proof: { ...good.proof, c: g1(99n) } } : good));
        expect(batch(mixed, 2)).toEqual(some.map((_, i) => i !== bad));
      }
    });

    it("names any set of bad proofs", () => {
      fc.assert(
        fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: runs(30, 3) }), (valid) => {
          const mixed = valid.map((good, i) => (good ? item(i) : { ...item(i), publicSignals: [BigInt(i), 1n] }));
          expect(batch(mixed)).toEqual(valid);
        }),
        { numRuns: runs(15, 2) },
      );
    });

    it("refuses errors that cancel: C + D and C − D", () => {
      const d = g1(scalar("error"));
      const mixed = items.slice(0, 3).map((good) => ({ ...good, proof: { ...good.proof } }));
      mixed[0]!.proof.c = addG1(mixed[0]!.proof.c, d);
      mixed[2]!.proof.c = addG1(mixed[2]!.proof.c, negate(d));
      expect(batch(mixed)).toEqual([false, true, false]);
    });

    it("refuses errors that cancel in A and in B", () => {
      const mixed = items.slice(0, 2).map((good) => ({ ...good, proof: { ...good.proof } }));
      // With one B in common, A + D and A − D.
      const d = g1(scalar("error"));
      const twin = { ...items[0]!, proof: rerandomise(items[0]!.proof, 1n) };
      mixed[0] = { ...twin, proof: { ...twin.proof, a: addG1(twin.proof.a, d) } };
      mixed[1] = { ...twin, proof: { ...twin.proof, a: addG1(twin.proof.a, negate(d)) } };
      expect(batch(mixed)).toEqual([false, false]);
      // With one A in common, B + D and B − D.
      const e = G2.Point.BASE.multiply(scalar("error"));
      const b = toTwist(twin.proof.b);
      mixed[0] = { ...twin, proof: { ...twin.proof, b: fromTwist(b.add(e)) } };
      mixed[1] = { ...twin, proof: { ...twin.proof, b: fromTwist(b.subtract(e)) } };
      expect(batch(mixed)).toEqual([false, false]);
    });

    it("refuses proofs that were exchanged, and signals that were", () => {
      const [first, second] = items as [Groth16Item, Groth16Item];
      const crossed = [
        { ...first, proof: second.proof },
        { ...second, proof: first.proof },
      ];
      expect(batch(crossed)).toEqual([false, false]);
    });

    it("refuses wrong proofs whose pairings cancel: (A, B, C) and (−A, B, −C)", () => {
      const wrong = { publicSignals: items[0]!.publicSignals, proof: other };
      const mixed = [wrong, { ...wrong, proof: { ...other, a: negate(other.a), c: negate(other.c) } }];
      expect(batch(mixed)).toEqual([false, false]);
    });

    it("takes whole numbers of threads, and arrays", () => {
      for (const threads of [0, -1, 1.5, 257, Number.NaN, "2" as unknown as number]) {
        expect(outcomeOf(() => batch(items.slice(0, 2), threads))).toBe("INPUT_INVALID");
      }
      for (const wrong of [undefined, "", {}, [undefined], [{}]]) {
        expect(outcomeOf(() => batch(wrong as unknown as Groth16Item[]))).toBe("INPUT_INVALID");
      }
    });
  });

  it("opens more keys than it keeps", () => {
    if (name === "noble") return;
    const keys = Array.from({ length: 40 }, (_, i) => simulateKey(1, `native/${name}/${i}`));
    for (const each of [...keys, ...keys]) expect(verify(simulateProof(each, [3n]), [3n], each.vkey)).toBe(true);
  });
});
