/**
 * Decompositions into bits whose highest is no wire.
 *
 * @module
 */

import type { Combination, Synthesis } from "../../../circuit/synthesis/synthesis.js";

/** `2^exponent` as a coefficient. */
export function power(exponent: number): number | bigint {
  return exponent < 53 ? 2 ** exponent : 1n << BigInt(exponent);
}

/**
 * Forces `0 ≤ rest < 2^count`: wires for all bits but the highest, which is what they leave of `rest`.
 *
 * @param value of `rest`
 * @param rest  the bits are subtracted from it: what is left afterwards is `2^(count - 1)` times the highest
 * @returns the first wire
 */
export function splitRest(
  s: Synthesis,
  value: number | bigint,
  rest: Combination,
  count: number,
  name: string,
): number {
  const first = s.bits(value, count - 1, name);
  const top = power(count - 1);
  if (s.writing) for (let i = 0; i < count - 1; i++) rest.add(negative(power(i)), first + i);
  s.row(rest, s.combination(negative(top)).plus(rest), s.combination());
  return first;
}

/** Adds `factor` times the number that `count` wires are the bits of. */
export function addBits(s: Synthesis, to: Combination, first: number, count: number, factor: 1 | -1 | -2): Combination {
  if (s.writing) {
    for (let i = 0; i < count; i++) {
      const place = power(factor === -2 ? i + 1 : i);
      to.add(factor === 1 ? place : negative(place), first + i);
    }
  }
  return to;
}

function negative(coefficient: number | bigint): number | bigint {
  return -coefficient;
}
