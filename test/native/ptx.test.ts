import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bn254 } from "@noble/curves/bn254.js";
import { describe, expect, it } from "vitest";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { PtxProgram } from "./ptx.js";
import { integers, little, numbers } from "./support.js";

const NVCC = ["/usr/local/cuda/bin/nvcc", process.env["NVCC"] ?? ""].find((file) => file !== "" && existsSync(file));
const P = bn254.fields.Fp.ORDER;
const R = bn254.fields.Fr.ORDER;
const MONTGOMERY = 1n << 256n;

/** One thread, one operation. */
const SOURCE = `
#include "curve.h"
using namespace anchorproof::cuda;
#define OP(name, F, expression) extern "C" __global__ void name(const F* a, const F* b, F* out) { const F x = *a, y = *b; *out = expression; }
OP(fq_mul, Fq, x * y)
OP(fq_sqr, Fq, (void(y), x.sqr()))
OP(fq_add, Fq, x + y)
OP(fq_sub, Fq, x - y)
OP(fq_neg, Fq, (void(y), -x))
OP(fq_to, Fq, (void(y), x.toMontgomery()))
OP(fq_from, Fq, (void(y), x.fromMontgomery()))
OP(fq_inv, Fq, (void(y), x.inverse()))
OP(fq_twice, Fq, Fq::differenceOfProducts(x, y, y, x + y))
OP(fr_inv, Fr, (void(y), x.inverse()))
OP(fr_twice, Fr, Fr::differenceOfProducts(x, y, y, x + y))
OP(fr_mul, Fr, x * y)
OP(fr_sqr, Fr, (void(y), x.sqr()))
OP(fr_add, Fr, x + y)
OP(fr_sub, Fr, x - y)
OP(fr_neg, Fr, (void(y), -x))
OP(fr_to, Fr, (void(y), x.toMontgomery()))
OP(fr_from, Fr, (void(y), x.fromMontgomery()))
OP(fq2_mul, Fq2, x * y)
OP(fq2_sqr, Fq2, (void(y), x.sqr()))
OP(fq2_twice, Fq2, Fq2::differenceOfProducts(x, y, y, x))
OP(fq2_add, Fq2, x + y)
OP(fq2_sub, Fq2, x - y)
OP(g1_add, Point<Fq>, x + y)
OP(g1_double, Point<Fq>, (void(y), x.dbl()))
OP(g2_add, Point<Fq2>, x + y)
OP(g2_double, Point<Fq2>, (void(y), x.dbl()))
extern "C" __global__ void g1_plus(const Point<Fq>* a, const Affine<Fq>* b, Point<Fq>* out) { *out = a->plus(*b); }
extern "C" __global__ void g1_minus(const Point<Fq>* a, const Affine<Fq>* b, Point<Fq>* out) { *out = a->plus(*b, true); }
extern "C" __global__ void g2_plus(const Point<Fq2>* a, const Affine<Fq2>* b, Point<Fq2>* out) { *out = a->plus(*b); }
`;

function compile(): PtxProgram {
  const folder = mkdtempSync(join(tmpdir(), "anchorproof-ptx-"));
  try {
    const [source, out] = [join(folder, "field.cu"), join(folder, "field.ptx")];
    writeFileSync(source, SOURCE);
    const include = join(PACKAGE_ROOT, "native", "cuda");
    execFileSync(
      NVCC!,
      ["-std=c++17", "-O3", "--expt-relaxed-constexpr", "-I", include, "-arch=sm_80", "-ptx", source, "-o", out],
      {
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    return new PtxProgram(readFileSync(out, "utf8"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Values at which carries, borrows and final subtractions begin and end. */
function edges(p: bigint): bigint[] {
  const values = new Set([0n, 1n, 2n, p - 1n, p - 2n, p / 2n, p / 2n + 1n, MONTGOMERY % p, (MONTGOMERY - 1n) % p]);
  for (let word = 0; word < 8; word++) {
    const shift = BigInt(32 * word);
    for (const pattern of [1n, 0x7fffffffn, 0x80000000n, 0xffffffffn]) values.add((pattern << shift) % p);
    values.add(((1n << shift) - 1n) % p);
    // All ones but for one word, and p with a word less.
    values.add(((1n << 253n) - 1n) ^ (word < 7 ? 0xffffffffn << shift : 0n));
    values.add((((p >> shift) << shift) - 1n + p) % p);
  }
  return [...values].filter((value) => value < p);
}

describe.skipIf(NVCC === undefined)("PTX that nvcc makes of the card's arithmetic", () => {
  const program = NVCC === undefined ? (undefined as never) : compile();

  describe.each([
    ["fq", P],
    ["fr", R],
  ])("%s", (field, p) => {
    const inverse = bn254.fields[field === "fq" ? "Fp" : "Fr"].inv(MONTGOMERY % p);
    const mod = (value: bigint) => ((value % p) + p) % p;
    const random = numbers(field.length + Number(p % 97n), p);
    const values = [...edges(p), ...Array.from({ length: 20 }, random)];
    const run = (name: string, a: bigint, b = 0n) =>
      integers(program.run(`${field}_${name}`, [little(a), little(b)], 32))[0];

    it("multiplies, adds and subtracts", () => {
      for (const [i, a] of values.entries()) {
        // Every value meets the largest, the smallest, itself and some others.
        for (const b of [p - 1n, 0n, 1n, a, ...values.filter((_, j) => (i * 7 + j) % 11 === 0)]) {
          expect(run("mul", a, b)).toBe(mod(a * b * inverse));
          expect(run("add", a, b)).toBe(mod(a + b));
          expect(run("sub", a, b)).toBe(mod(a - b));
        }
      }
    });

    it("inverts, 0 to 0", () => {
      const field = bn254.fields[p === P ? "Fp" : "Fr"];
      for (const a of values) {
        const value = run("inv", a);
        expect(value).toBe(a === 0n ? 0n : mod(field.inv(a) * MONTGOMERY * MONTGOMERY));
      }
    });

    it("reduces two products together", () => {
      for (const a of values) {
        for (const b of [p - 1n, 0n, 1n, a]) expect(run("twice", a, b)).toBe(mod((a * b - b * (a + b)) * inverse));
      }
    });

    it("squares, negates, and changes form", () => {
      for (const a of values) {
        expect(run("sqr", a)).toBe(mod(a * a * inverse));
        expect(run("neg", a)).toBe(mod(-a));
        expect(run("to", a)).toBe(mod(a * MONTGOMERY));
        expect(run("from", a)).toBe(mod(a * inverse));
      }
    });
  });

  const toForm = (value: bigint) => (value * MONTGOMERY) % P;
  const fromForm = (value: bigint) => (value * bn254.fields.Fp.inv(MONTGOMERY % P)) % P;

  it("computes in Fq2", () => {
    const { Fp2 } = bn254.fields;
    const random = numbers(7, P);
    const coordinates = [0n, 1n, P - 1n, P - 2n, (1n << 253n) - 1n, random(), random()];
    const values = coordinates.flatMap((c0) => coordinates.map((c1) => ({ c0, c1 })));
    const encode = ({ c0, c1 }: { c0: bigint; c1: bigint }) => little(toForm(c0), toForm(c1));
    const run = (name: string, a: Uint8Array, b: Uint8Array) => {
      const [c0, c1] = integers(program.run(`fq2_${name}`, [a, b], 64)).map(fromForm);
      return { c0, c1 };
    };
    for (const [i, a] of values.entries()) {
      const [x, own] = [encode(a), Fp2.create(a)];
      expect(run("sqr", x, x)).toMatchObject(Fp2.sqr(own));
      for (const b of [{ c0: P - 1n, c1: P - 1n }, a, ...values.filter((_, j) => (i + j) % 7 === 0)]) {
        const y = encode(b);
        expect(run("mul", x, y)).toMatchObject(Fp2.mul(own, Fp2.create(b)));
        expect(run("twice", x, y)).toMatchObject(Fp2.ZERO);
        expect(run("add", x, y)).toMatchObject(Fp2.add(own, Fp2.create(b)));
        expect(run("sub", x, y)).toMatchObject(Fp2.sub(own, Fp2.create(b)));
      }
    }
  });

  describe.each(["g1", "g2"] as const)("%s", (group) => {
    const { Point } = bn254[group === "g1" ? "G1" : "G2"];
    type P1 = InstanceType<typeof bn254.G1.Point>;
    const flat = (value: unknown): bigint[] =>
      typeof value === "bigint" ? [value] : [(value as { c0: bigint }).c0, (value as { c1: bigint }).c1];
    const { Fp, Fp2 } = bn254.fields;
    const field = (group === "g1" ? Fp : Fp2) as unknown as typeof Fp;
    const size = group === "g1" ? 32 : 64;
    const scale = field.create((group === "g1" ? 12345n : { c0: 5n, c1: P - 7n }) as bigint);

    /** In extended coordinates with a denominator other than one, so that no factor may be left out. */
    const extended = (point: P1) => {
      if (point.equals(Point.ZERO as never)) return new Uint8Array(4 * size);
      const { x, y } = point.toAffine();
      const zz = field.sqr(scale);
      const zzz = field.mul(zz, scale);
      return little(...[field.mul(x, zz), field.mul(y, zzz), zz, zzz].flatMap(flat).map(toForm));
    };
    const affine = (point: P1) => {
      const out = new Uint8Array(2 * size);
      if (point.equals(Point.ZERO as never)) return out.fill(0xff, 0, 32);
      const { x, y } = point.toAffine();
      return little(...[x, y].flatMap(flat).map(toForm));
    };
    const decode = (bytes: Uint8Array): P1 => {
      const parts = integers(bytes).map(fromForm);
      const element = (i: number) => (group === "g1" ? parts[i] : { c0: parts[2 * i], c1: parts[2 * i + 1] }) as bigint;
      const [x, y, zz, zzz] = [element(0), element(1), element(2), element(3)];
      if (field.is0(zz)) return Point.ZERO as never;
      expect(field.eql(field.mul(field.sqr(zz), zz), field.sqr(zzz))).toBe(true);
      return Point.fromAffine({ x: field.div(x, zz), y: field.div(y, zzz) } as never) as never;
    };

    it("adds and doubles in every case", () => {
      const base = Point.BASE as unknown as P1;
      const points = [
        Point.ZERO as never as P1,
        base,
        base.negate(),
        base.multiply(2n),
        base.multiply(R - 5n),
        base.multiply(1n << 250n),
      ];
      const run = (name: string, a: Uint8Array, b: Uint8Array) =>
        decode(program.run(`${group}_${name}`, [a, b], 4 * size));
      for (const a of points) {
        expect(run("double", extended(a), extended(a)).equals(a.double())).toBe(true);
        for (const b of points) {
          expect(run("add", extended(a), extended(b)).equals(a.add(b))).toBe(true);
          expect(run("plus", extended(a), affine(b)).equals(a.add(b))).toBe(true);
          if (group === "g1") expect(run("minus", extended(a), affine(b)).equals(a.subtract(b))).toBe(true);
        }
      }
    });
  });
});
