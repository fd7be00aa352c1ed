/**
 * Twins of what the circuits of `circuits/dataset/` have in common.
 *
 * A gadget gets elements (wires with their values) and gives elements back; where its result is a wire that is there
 * already, as a public signal, it is handed in as `out`.
 *
 * @module
 */
import { constant, type Element, hashChain, poseidon } from "../../circuit/synthesis/poseidon.js";
import { type Combination, ONE, type Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { mod } from "../../field/scalar.js";
import { STARTS, TAGS } from "../layout.js";

/** Adds `factor` times an element, which may be a constant. */
export function addElement(to: Combination, factor: number | bigint, { wire, value }: Element): Combination {
  return wire === ONE ? to.add(BigInt(factor) * value, ONE) : to.add(factor, wire);
}

/** The element as a combination of its own. */
export function only(s: Synthesis, element: Element): Combination {
  return addElement(s.combination(), 1, element);
}

/** A new wire for a value. */
export function element(s: Synthesis, value: bigint, name: string, index?: number): Element {
  return { wire: s.wire(value, name, index), value };
}

/** New wires for values: an array of inputs. */
export function elements(s: Synthesis, values: readonly bigint[], name: string): Element[] {
  return values.map((value, i) => element(s, value, name, i));
}

/** `left === right` for two linear forms: one row outside A and B. */
export function equate(s: Synthesis, difference: Combination): void {
  s.row(undefined, undefined, difference);
}

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

/** Bits of the number of a dataset's records, less 1. */
export const RECORD_BITS = 31;

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
    const bit = s.bit(Number((input.value >> BigInt(i)) & 1n), "bits", i);
    rest.add(-(1n << BigInt(i)), bit);
  }
  s.row(rest, s.combination(-(1n << BigInt(bits - 1))).plus(rest), s.combination());
  s.leave();
}

/** `circuits/lib/select16.circom`; `out` must be the value that is picked. @throws WITNESS_INVALID */
function select16(
  s: Synthesis,
  index: number,
  bits: readonly Element[],
  inputs: readonly Element[],
  out: Element,
): void {
  s.enter("select", index);
  for (const [i, { wire }] of bits.entries()) s.alias(wire, "bit", i);
  for (const [i, { wire }] of inputs.entries()) s.alias(wire, "in", i);
  const [b0, b1, b2, b3] = bits as [Element, Element, Element, Element];
  const low3 = product(s, b0, b1, "low3");
  const high3 = product(s, b2, b3, "high3");
  // Products of two bits as combinations: 1 - a - b + ab, a - ab, b - ab, ab.
  const quarters = (a: Element, b: Element, both: Element) => [
    () => s.combination(1).add(-1, a.wire).add(-1, b.wire).add(1, both.wire),
    () => s.combination().add(1, a.wire).add(-1, both.wire),
    () => s.combination().add(1, b.wire).add(-1, both.wire),
    () => s.combination().add(1, both.wire),
  ];
  const low = quarters(b0, b1, low3);
  const high = quarters(b2, b3, high3);
  const digit = Number(b0.value + 2n * b1.value + 4n * b2.value + 8n * b3.value);
  const sum = s.combination();
  for (let d = 0; d < 16; d++) {
    const is = element(s, d === digit ? 1n : 0n, "is", d);
    s.row(low[d % 4]!(), high[Math.floor(d / 4)]!(), s.combination().add(1, is.wire));
    const picked = element(s, is.value * inputs[d]!.value, "picked", d);
    s.row(s.combination().add(1, is.wire), only(s, inputs[d]!), s.combination().add(1, picked.wire));
    sum.add(1, picked.wire);
  }
  s.alias(out.wire, "out");
  must(s, inputs[digit] ?? out, out, "chunk");
  equate(s, addElement(sum, -1, out));
  s.leave();
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

/** A node's way to the root of its dataset. */
export interface RootPath {
  readonly chunk: Element;
  readonly index: Element;
  /** Children at each level of the path. */
  readonly group: readonly (readonly Element[])[];
  /** Records, blocks, values, schema. */
  readonly opening: readonly Element[];
}

/** `circuits/dataset/dataset_root.circom`, as a component `name`; the tree's height is that of the path. */
export function datasetRoot(
  s: Synthesis,
  name: string,
  { chunk, index, group, opening }: RootPath,
  out?: Element,
): Element {
  s.enter(name);
  s.alias(chunk.wire, "chunk");
  s.alias(index.wire, "index");
  for (const [i, { wire }] of opening.entries()) s.alias(wire, "opening", i);
  aliasGroup(s, group);
  const top = merklePath(s, chunk, index, group);
  s.enter("hash");
  const inputs = [top, ...opening, ...new Array<Element>(11).fill(constant(0n))];
  for (const [i, { wire }] of inputs.entries()) s.alias(wire, "in", i);
  const root = must(s, poseidon(s, TAGS.root + (BigInt(group.length) << 64n), inputs, out?.wire), out, "root");
  s.leave();
  s.alias(root.wire, "root");
  s.leave();
  return root;
}

/** `circuits/dataset/merkle_path16.circom` */
function merklePath(s: Synthesis, node: Element, index: Element, group: readonly (readonly Element[])[]): Element {
  s.enter("path");
  s.alias(node.wire, "node");
  s.alias(index.wire, "index");
  aliasGroup(s, group);
  const bits = num2Bits(s, "digits", undefined, index, 4 * group.length);
  let at = node;
  s.alias(at.wire, "at", 0);
  for (const [level, children] of group.entries()) {
    select16(s, level, bits.slice(4 * level, 4 * level + 4), children, at);
    s.enter("hash", level);
    for (const [i, { wire }] of children.entries()) s.alias(wire, "in", i);
    at = poseidon(s, TAGS.node + (BigInt(level + 1) << 64n), children);
    s.leave();
    s.alias(at.wire, "at", level + 1);
  }
  s.alias(at.wire, "top");
  s.leave();
  return at;
}

function aliasGroup(s: Synthesis, group: readonly (readonly Element[])[]): void {
  for (const [level, children] of group.entries()) {
    for (const [i, { wire }] of children.entries()) s.alias(wire, `group[${level}]`, i);
  }
}

/** `circuits/dataset/claim_digest.circom`, as a component `name`. */
export function claimDigest(
  s: Synthesis,
  name: string,
  code: number,
  params: readonly Element[],
  out?: Element,
): Element {
  s.enter(name);
  for (const [i, { wire }] of params.entries()) s.alias(wire, "param", i);
  const digest = chained(s, TAGS.chain, constant(STARTS.claim + (BigInt(code) << 64n)), params, out);
  s.leave();
  return digest;
}

/** `circuits/dataset/commit_state.circom`, as a component `name`. */
export function commitState(
  s: Synthesis,
  name: string,
  fields: readonly Element[],
  salt: Element,
  out?: Element,
): Element {
  s.enter(name);
  for (const [i, { wire }] of fields.entries()) s.alias(wire, "field", i);
  s.alias(salt.wire, "salt");
  const commitment = chained(s, TAGS.state, salt, fields, out);
  s.leave();
  return commitment;
}

function chained(s: Synthesis, capacity: bigint, start: Element, inputs: readonly Element[], out?: Element): Element {
  s.enter("chain");
  const result = must(s, hashChain(s, capacity, start, inputs, out?.wire), out, "commitment");
  s.leave();
  s.alias(result.wire, "out");
  return result;
}
