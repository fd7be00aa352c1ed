/**
 * Twins of small templates of `circuits/lib/`.
 *
 * @module
 */
import { mod } from "../../field/scalar.js";
import { addElement, aliasAll, bit, type Element, element, equate, must, only, product } from "./elements.js";
import type { Synthesis } from "./synthesis.js";

/** `circuits/lib/nonzero.circom` */
export function nonZero(s: Synthesis, name: string, input: Element): void {
  s.enter(name);
  s.alias(input.wire, "in");
  const inverse = s.inverse(input.value, "inverse");
  s.row(only(s, input), s.combination().add(1, inverse), s.combination(1));
  s.leave();
}

/** `circuits/lib/is_zero.circom` of a wire. */
export function isZero(s: Synthesis, name: string, index: number | undefined, input: Element): Element {
  s.enter(name, index);
  s.alias(input.wire, "in");
  const inverse = s.inverse(input.value, "inverse");
  const out = element(s, mod(input.value) === 0n ? 1n : 0n, "out");
  s.row(only(s, input), s.combination().add(1, inverse), s.combination(1).add(-1, out.wire));
  s.row(only(s, input), s.combination().add(1, out.wire), s.combination());
  s.row(s.combination().add(1, inverse), s.combination().add(1, out.wire), s.combination());
  s.leave();
  return out;
}

/** `circuits/lib/num2bits.circom`: the bits of a wire below `2^count`, lowest first, `count` at most 64. */
export function num2Bits(
  s: Synthesis,
  name: string,
  index: number | undefined,
  input: Element,
  count: number,
): Element[] {
  s.enter(name, index);
  s.alias(input.wire, "in");
  const first = s.bits(s.valued ? BigInt.asUintN(64, input.value) : 0n, count, "out");
  const sum = s.combination();
  const bits = Array.from({ length: count }, (_, i) => {
    sum.add(1n << BigInt(i), first + i);
    return { wire: first + i, value: (input.value >> BigInt(i)) & 1n };
  });
  equate(s, addElement(sum, -1, input));
  s.leave();
  return bits;
}

/** `RangeCheck(0, bits)` of `circuits/lib/range_check.circom`, `bits` at most 253. */
export function rangeCheck(s: Synthesis, name: string, index: number | undefined, input: Element, bits: number): void {
  s.enter(name, index);
  s.alias(input.wire, "in");
  const rest = only(s, input);
  for (let i = 0; i < bits - 1; i++) {
    const { wire } = bit(s, Number((input.value >> BigInt(i)) & 1n), "bits", i);
    rest.add(-(1n << BigInt(i)), wire);
  }
  s.row(rest, s.combination(-(1n << BigInt(bits - 1))).plus(rest), s.combination());
  s.leave();
}

/**
 * `circuits/lib/select16.circom`, as a component of `select`.
 *
 * @param out  must be the value that is picked
 * @param what names it in the error
 * @throws WITNESS_INVALID
 */
export function select16(
  s: Synthesis,
  index: number,
  bits: readonly Element[],
  inputs: readonly Element[],
  out: Element,
  what: string,
): void {
  s.enter("select", index);
  aliasAll(s, bits, "bit");
  aliasAll(s, inputs, "in");
  const { digit, mark } = marks16(s, bits);
  const sum = s.combination();
  for (let d = 0; d < 16; d++) {
    const picked = product(s, mark(d), inputs[d]!, "picked", d);
    sum.add(1, picked.wire);
  }
  s.alias(out.wire, "out");
  must(s, inputs[digit] ?? out, out, what);
  equate(s, addElement(sum, -1, out));
  s.leave();
}

/** The digit that four bits are, lowest first, and a function that makes a wire `is[d]`: 1 for that digit, 0 for others. */
export function marks16(s: Synthesis, bits: readonly Element[]): { readonly digit: number; mark(d: number): Element } {
  const [b0, b1, b2, b3] = bits as [Element, Element, Element, Element];
  const low3 = product(s, b0, b1, "low3");
  const high3 = product(s, b2, b3, "high3");
  // One of the products 1 - a - b + ab, a - ab, b - ab, ab of two bits.
  const quarter = (place: number, a: Element, b: Element, both: Element) => {
    if (place === 0) return s.combination(1).add(-1, a.wire).add(-1, b.wire).add(1, both.wire);
    if (place === 3) return s.combination().add(1, both.wire);
    return s
      .combination()
      .add(1, (place === 1 ? a : b).wire)
      .add(-1, both.wire);
  };
  const digit = Number(b0.value + 2n * b1.value + 4n * b2.value + 8n * b3.value);
  return {
    digit,
    mark(d) {
      const is = element(s, d === digit ? 1n : 0n, "is", d);
      s.row(quarter(d % 4, b0, b1, low3), quarter(Math.floor(d / 4), b2, b3, high3), only(s, is));
      return is;
    },
  };
}
