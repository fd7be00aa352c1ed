/** Field, multi-scalar multiplication and transform of every engine, against plain big integers and noble. */
import { bn254 } from "@noble/curves/bn254.js";
import { expect, it } from "vitest";
import { invert, pow, Q, R } from "../../src/field/scalar.js";
import { code } from "../support/errors.js";
import { describeEngines, integers, little, numbers } from "./support.js";

const modulo = (value: bigint, p: bigint) => ((value % p) + p) % p;

describeEngines("field", (core, engine) => {
  it.each([
    ["fq", Q],
    ["fr", R],
  ] as const)("%s agrees with big integers, also at the edges", (field, p) => {
    const next = numbers(1, p);
    // Around zero, p, limb borders (64, 52 and 26 bits) and the Montgomery radices.
    const edges = [0n, 1n, 2n, p - 1n, p - 2n, (p - 1n) / 2n, (p + 1n) / 2n];
    for (const bit of [26n, 52n, 64n, 104n, 128n, 156n, 192n, 208n, 253n]) edges.push(1n << bit, (1n << bit) - 1n);
    for (const radix of [256n, 260n, 512n]) edges.push((1n << radix) % p, p - ((1n << radix) % p));
    const pairs = edges.flatMap((x) => edges.map((y) => [x, y] as const));
    for (let i = 0; i < 300; i++) pairs.push([next(), next()]);
    const a = little(...pairs.map(([x]) => x));
    const b = little(...pairs.map(([, y]) => y));
    const check = (op: "mul" | "add" | "sub", expected: (x: bigint, y: bigint) => bigint) =>
      expect(integers(core.fieldOp(engine, field, op, a, b))).toEqual(pairs.map(([x, y]) => modulo(expected(x, y), p)));
    check("mul", (x, y) => x * y);
    check("add", (x, y) => x + y);
    check("sub", (x, y) => x - y);
    const values = [...edges, ...Array.from({ length: 300 }, next)];
    const bytes = little(...values);
    const unary = (op: "square" | "neg" | "inverse") => integers(core.fieldOp(engine, field, op, bytes));
    expect(unary("square")).toEqual(values.map((x) => (x * x) % p));
    expect(unary("neg")).toEqual(values.map((x) => modulo(-x, p)));
    const inverses = unary("inverse");
    expect(values.map((x, i) => modulo(inverses[i]! * x, p))).toEqual(values.map((x) => (x === 0n ? 0n : 1n)));
    for (const alias of [p, p + 1n, (1n << 256n) - 1n]) {
      expect(() => core.fieldOp(engine, field, "square", little(alias))).toThrow(code("INPUT_INVALID"));
    }
  });
});

/** Scalars that take the special paths: zero, ±1, small, half of r, one window's border, dense. */
function scalars(n: number, kind: string): bigint[] {
  const next = numbers(n + 7, R);
  const pick = [
    () => 0n,
    () => 1n,
    () => R - 1n,
    () => next() % 20n,
    () => R - 1n - (next() % 20n),
    () => (R - 1n) / 2n,
    () => (R + 1n) / 2n,
    () => 1n << (next() % 253n),
    () => (1n << (next() % 253n)) - 1n,
    next,
  ];
  return Array.from({ length: n }, (_, i) => {
    if (kind === "dense") return next();
    if (kind === "bits") return next() & 1n;
    if (kind === "equal") return 5n;
    return pick[i % pick.length]!() % R;
  });
}

/** Distinct points, runs of equal ones, opposite neighbours and infinities, as multiples of the generator. */
function multiples(n: number, kind: string): bigint[] {
  const next = numbers(n + 3, 1n << 40n);
  const out: bigint[] = [];
  for (let i = 0; i < n; i++) {
    if (kind === "mixed" && i % 3 === 1) out.push(out[i - 1]!);
    else if (kind === "mixed" && i % 7 === 2) out.push(R - out[i - 1]!);
    else if (kind === "mixed" && i % 11 === 5) out.push(0n);
    else if (kind === "same") out.push(3n);
    else out.push(next() + 1n);
  }
  return out;
}

describeEngines("multi-scalar multiplication", (core, engine) => {
  const g1 = bn254.G1.Point;
  const g2 = bn254.G2.Point;
  const g1Bytes = (k: bigint): Uint8Array => {
    if (k % R === 0n) return new Uint8Array(64);
    const { x, y } = g1.BASE.multiply(k % R).toAffine();
    return little(x, y);
  };
  const g2Bytes = (k: bigint): Uint8Array => {
    if (k % R === 0n) return new Uint8Array(128);
    const { x, y } = g2.BASE.multiply(k % R).toAffine();
    return little(x.c0, x.c1, y.c0, y.c1);
  };

  // Every point is a known multiple of the generator, so the sum is one multiplication.
  it.each([
    [1, 0, "mixed", "mixed"],
    [1, 1, "distinct", "dense"],
    [1, 2, "mixed", "dense"],
    [1, 9, "mixed", "mixed"],
    [1, 100, "distinct", "dense"],
    [1, 333, "mixed", "mixed"],
    [1, 333, "same", "equal"],
    [1, 500, "mixed", "bits"],
    [2, 0, "mixed", "mixed"],
    [2, 1, "distinct", "dense"],
    [2, 17, "mixed", "mixed"],
    [2, 150, "same", "equal"],
    [2, 150, "mixed", "mixed"],
  ] as const)("G%i, %i points (%s), scalars %s", (group, n, pointKind, scalarKind) => {
    const ks = multiples(n, pointKind);
    const ss = scalars(n, scalarKind);
    const points = new Uint8Array(Buffer.concat(ks.map(group === 1 ? g1Bytes : g2Bytes)));
    const sum = ks.reduce((total, k, i) => (total + k * ss[i]!) % R, 0n);
    const expected = group === 1 ? g1Bytes(sum) : g2Bytes(sum);
    for (const threads of [1, 3]) {
      expect(core.msm(engine, group, points, little(...ss), { threads })).toEqual(expected);
    }
  });

  it("is linear at sizes that fill several blocks and windows", () => {
    // 20,000 points out of 50 distinct ones: the expected sum needs 50 multiplications' worth of integers only.
    const n = 20_000;
    const distinct = Array.from({ length: 50 }, (_, i) => BigInt(i * i + 1));
    const bytes = distinct.map(g1Bytes);
    const points = new Uint8Array(64 * n);
    for (let i = 0; i < n; i++) points.set(bytes[i % 50]!, 64 * i);
    const next = numbers(99, R);
    const ss = Array.from({ length: n }, (_, i) => (i % 5 === 0 ? next() : i % 5 === 1 ? R - 1n : next() % 300n));
    const sum = ss.reduce((total, s, i) => (total + s * distinct[i % 50]!) % R, 0n);
    for (const threads of [1, 2]) {
      expect(core.msm(engine, 1, points, little(...ss), { threads })).toEqual(g1Bytes(sum));
    }
  });

  it("refuses points off the curve, coordinates and scalars outside their fields", () => {
    const point = g1Bytes(5n);
    const [x, y] = integers(point) as [bigint, bigint];
    for (const bad of [little(x, y + 1n), little(x + Q, y), little(x, Q), little(0n, 1n)]) {
      expect(() => core.msm(engine, 1, bad, little(1n))).toThrow(code("INPUT_INVALID"));
    }
    expect(() => core.msm(engine, 1, point, little(R))).toThrow(code("INPUT_INVALID"));
    expect(() => core.msm(engine, 1, point, little(1n, 1n))).toThrow(code("INPUT_INVALID"));
  });
});

describeEngines("transform", (core, engine) => {
  // snarkjs' roots: 5 generates the 2-adic part.
  const root = (log: bigint) => pow(5n, (R - 1n) >> log);
  const evaluate = (coefficients: bigint[], x: bigint) =>
    coefficients.reduceRight((value, coefficient) => (value * x + coefficient) % R, 0n);

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])("2^%i: evaluations of the polynomial, plain and on the coset", (log) => {
    const n = 1 << log;
    const next = numbers(log, R);
    const values = Array.from({ length: n }, (_, i) => (i % 5 === 3 ? R - 1n : next()));
    const omega = root(BigInt(log));
    const shift = root(BigInt(log) + 1n);
    const data = little(...values);
    const points = Array.from({ length: n }, (_, i) => pow(omega, BigInt(i)));
    const plain = core.ntt(engine, data);
    expect(integers(plain)).toEqual(points.map((x) => evaluate(values, x)));
    const coset = core.ntt(engine, data, { coset: true });
    expect(integers(coset)).toEqual(points.map((x) => evaluate(values, (x * shift) % R)));
    expect(core.ntt(engine, plain, { inverse: true })).toEqual(data);
    expect(core.ntt(engine, coset, { inverse: true, coset: true })).toEqual(data);
  });

  it.each([9, 11, 14, 15])("2^%i: inverts itself, and a few values are the polynomial's", (log) => {
    const n = 1 << log;
    const next = numbers(log, R);
    const values = Array.from({ length: n }, next);
    const data = little(...values);
    const coset = core.ntt(engine, data, { coset: true, threads: 2 });
    const omega = root(BigInt(log));
    const shift = root(BigInt(log) + 1n);
    for (const i of [0, 1, n / 2, n - 1]) {
      const x = (pow(omega, BigInt(i)) * shift) % R;
      expect(integers(coset.subarray(32 * i, 32 * i + 32))).toEqual([evaluate(values, x)]);
    }
    expect(core.ntt(engine, coset, { coset: true, inverse: true, threads: 3 })).toEqual(data);
  });

  it("refuses other sizes and values outside the field", () => {
    for (const n of [0, 3, 12]) {
      expect(() => core.ntt(engine, new Uint8Array(32 * n))).toThrow(code("INPUT_INVALID"));
    }
    expect(() => core.ntt(engine, little(1n, R))).toThrow(code("INPUT_INVALID"));
  });

  it("the root that it uses is a root of the right order", () => {
    expect(pow(root(4n), 16n)).toBe(1n);
    expect(pow(root(4n), 8n)).toBe(R - 1n);
    expect((root(1n) * invert(root(1n))) % R).toBe(1n);
  });
});
