/**
 * Field elements of a circuit: wires together with their values, and what gadgets do with them all the time.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import { mod } from "../../field/scalar.js";
import { type Combination, ONE, type Synthesis } from "./synthesis.js";

/** A field element of the circuit: a wire and its value, or with {@link ONE} a constant. */
export interface Element {
  readonly wire: number;
  /** Of a wire, anything where no values are wanted. */
  readonly value: bigint;
}

export function constant(value: bigint): Element {
  return { wire: ONE, value };
}

/** A new wire for a value. */
export function element(s: Synthesis, value: bigint, name: string, index?: number): Element {
  return { wire: s.wire(value, name, index), value };
}

/** New wires for values: an array of inputs. */
export function elements(s: Synthesis, values: readonly bigint[], name: string): Element[] {
  return values.map((value, i) => element(s, value, name, i));
}

/** A new wire that is 0 or 1, and the row that makes it so. */
export function bit(s: Synthesis, value: number, name: string, index?: number): Element {
  return { wire: s.bit(value, name, index), value: BigInt(value) };
}

/** Names elements that are there already as an array of signals. */
export function aliasAll(s: Synthesis, items: readonly Element[], name: string): void {
  for (const [i, { wire }] of items.entries()) s.alias(wire, name, i);
}

/** Adds `factor` times an element, which may be a constant. */
export function addElement(to: Combination, factor: number | bigint, { wire, value }: Element): Combination {
  return wire === ONE ? to.add(BigInt(factor) * value, ONE) : to.add(factor, wire);
}

/** The element as a combination of its own. */
export function only(s: Synthesis, element: Element): Combination {
  return addElement(s.combination(), 1, element);
}

/** `left === right` for two linear forms: one row outside A and B. */
export function equate(s: Synthesis, difference: Combination): void {
  s.row(undefined, undefined, difference);
}

/** A new wire for what a linear form is, and the row that says so. The form is used up. */
export function linear(s: Synthesis, form: Combination, value: bigint, name: string, index?: number): Element {
  const out = element(s, mod(value), name, index);
  equate(s, form.add(-1, out.wire));
  return out;
}

/** A new wire that is the product of two elements. */
export function product(s: Synthesis, a: Element, b: Element, name: string, index?: number): Element {
  const out = element(s, mod(a.value * b.value), name, index);
  s.row(only(s, a), only(s, b), s.combination().add(1, out.wire));
  return out;
}

/**
 * Where a value must be a signal that is there already: the witness of another one would prove something else than was
 * asked for.
 *
 * @throws WITNESS_INVALID
 */
export function must(s: Synthesis, computed: Element, wanted: Element | undefined, what: string): Element {
  if (wanted && s.valued && mod(computed.value) !== mod(wanted.value)) {
    throw new AnchorError("WITNESS_INVALID", `the inputs do not give the ${what} that they are to be proven for`);
  }
  return computed;
}
