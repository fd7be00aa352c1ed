/**
 * Points of BN254 as this project holds them: affine, `bigint` coordinates, checked before use.
 *
 * The arithmetic is noble's; infinity has no affine form here, so that a checked point is never the point at infinity.
 *
 * @module
 */
import { bn254 } from "@noble/curves/bn254.js";
import { Q } from "../field/scalar.js";

export type G1Affine = readonly [x: bigint, y: bigint];
/** Coordinates in Fq², constant part first, as in snarkjs' JSON. The EVM wants them the other way round. */
export type G2Affine = readonly [x: readonly [c0: bigint, c1: bigint], y: readonly [c0: bigint, c1: bigint]];

const { G1, G2, fields, pairingBatch } = bn254;

export type G1Point = InstanceType<typeof G1.Point>;
export type G2Point = InstanceType<typeof G2.Point>;

export const G1_GENERATOR: G1Affine = affineG1(G1.Point.BASE);
export const G2_GENERATOR: G2Affine = affineG2(G2.Point.BASE);

/** Throws an error that says which point is wrong, and how. */
export type Fail = (reason: string) => never;

function isCoordinate(value: unknown): value is bigint {
  return typeof value === "bigint" && value >= 0n && value < Q;
}

/** The point in an array of our own, each coordinate read once; `undefined` for what is no pair of numbers below q. */
export function readG1(point: unknown): G1Affine | undefined {
  return readPair(point, (value) => (isCoordinate(value) ? value : undefined));
}

export function readG2(point: unknown): G2Affine | undefined {
  return readPair(point, readG1);
}

function readPair<T>(pair: unknown, read: (value: unknown) => T | undefined): readonly [T, T] | undefined {
  if (!Array.isArray(pair) || pair.length !== 2) return undefined;
  const [first, second] = [read(pair[0]), read(pair[1])];
  return first === undefined || second === undefined ? undefined : [first, second];
}

/** A point of the curve with coordinates below q. */
export function checkedG1(point: G1Affine, name: string, fail: Fail): G1Point {
  const [x, y] = point;
  // y² = x³ + 3; G1 has prime order, so a point of the curve is in the group. (0, 0) is off the curve.
  if ((y * y - x * x * x - 3n) % Q !== 0n) fail(`${name} is not on the curve`);
  return g1Point(point);
}

/** A point of the twist's subgroup of order r, with coordinates below q; not infinity. */
export function checkedG2(point: G2Affine, name: string, fail: Fail): G2Point {
  try {
    // On the curve, and in the subgroup of order r: the twist has a large cofactor.
    const p = g2Point(point);
    p.assertValidity();
    // noble takes (0, 0) for the point at infinity and calls it valid
    if (p.is0()) throw new Error("infinity");
    return p;
  } catch {
    return fail(`${name} is not a point of G2 other than infinity`);
  }
}

/** Unchecked. */
export function g1Point([x, y]: G1Affine): G1Point {
  return G1.Point.fromAffine({ x, y });
}

/** Unchecked. */
export function g2Point([x, y]: G2Affine): G2Point {
  const { Fp2 } = fields;
  return G2.Point.fromAffine({ x: Fp2.fromBigTuple([x[0], x[1]]), y: Fp2.fromBigTuple([y[0], y[1]]) });
}

export function affineG1(point: G1Point): G1Affine {
  const { x, y } = point.toAffine();
  return [x, y];
}

export function affineG2(point: G2Point): G2Affine {
  const { x, y } = point.toAffine();
  return [
    [x.c0, x.c1],
    [y.c0, y.c1],
  ];
}

/** P = ±Q exactly when the x coordinates agree. */
export function sameUpToSign(a: G2Affine, b: G2Affine): boolean {
  return a[0][0] === b[0][0] && a[0][1] === b[0][1];
}

/** Whether Π e(g1, g2) = 1, for points that were checked. */
export function pairingIsOne(pairs: readonly { g1: G1Point; g2: G2Point }[]): boolean {
  const others = pairs.filter(({ g1, g2 }) => !g1.is0() && !g2.is0()); // e(0, ·) = e(·, 0) = 1
  return fields.Fp12.eql(pairingBatch(others), fields.Fp12.ONE);
}
