/**
 * Twins of `circuits/dataset/prefix_children.circom` and `growth.circom`: one dataset that another one goes on from.
 *
 * @module
 */
import { constant, type Element, poseidon } from "../../circuit/synthesis/poseidon.js";
import type { Program } from "../../circuit/synthesis/program.js";
import type { Synthesis } from "../../circuit/synthesis/synthesis.js";
import { AnchorError } from "../../errors.js";
import { assertScalar } from "../../field/scalar.js";
import { TAGS } from "../layout.js";
import {
  checkTail,
  chunkTail,
  placeBits,
  type TailShape,
  type TailValues,
  tailInputCount,
  tailInputs,
} from "./opening.js";
import { checkContext } from "./records.js";
import { datasetRoot, element, elements, must, nonZero, only, product } from "./shared.js";

export interface GrowthShape extends TailShape {
  readonly oldDepth: number;
  /** At least the old one. */
  readonly newDepth: number;
}

/** The following records are those that the new dataset has in the old one's last chunk. */
export interface GrowthRequest extends TailValues {
  readonly oldRoot: bigint;
  readonly newRoot: bigint;
  readonly oldRecords: bigint;
  readonly newRecords: bigint;
  readonly context: bigint;
  /** Root of the old dataset's last chunk. */
  readonly last: bigint;
  /** Children at each level of that chunk's path in the new tree. */
  readonly group: readonly (readonly bigint[])[];
  /** Blocks and values. */
  readonly oldTotals: readonly bigint[];
  readonly newTotals: readonly bigint[];
  readonly schema: bigint;
}

/** "The new dataset's first records are the old one's." */
export function growthProgram(shape: GrowthShape): Program<GrowthRequest> {
  const { following, oldDepth, newDepth } = shape;
  const bits = placeBits(shape);
  const name = `dataset-growth-${bits}-${following}-${oldDepth}-${newDepth}`;
  return {
    name,
    circom: {
      name,
      source: [
        "pragma circom 2.2.3;",
        'include "dataset/growth.circom";',
        "component main {public [oldRoot, newRoot, oldRecords, newRecords, context]} =",
        `  DatasetGrowth(${bits}, ${following}, ${oldDepth}, ${newDepth});`,
        "",
      ].join("\n"),
    },
    publicSignals: ["oldRoot", "newRoot", "oldRecords", "newRecords", "context"],
    privateInputs: 1 + tailInputCount(shape) + 16 * newDepth + 5,
    synthesise(s, request) {
      if (request) checkGrowth(shape, request);
      const none = new Array<bigint>(16).fill(0n);
      const oldRoot = element(s, request?.oldRoot ?? 0n, "oldRoot");
      const newRoot = element(s, request?.newRoot ?? 0n, "newRoot");
      const oldRecords = element(s, request?.oldRecords ?? 0n, "oldRecords");
      const newRecords = element(s, request?.newRecords ?? 0n, "newRecords");
      const context = element(s, request?.context ?? 0n, "context");
      const last = element(s, request?.last ?? 0n, "last");
      const following = tailInputs(s, shape, request);
      const group = Array.from({ length: newDepth }, (_, level) =>
        elements(s, request?.group[level] ?? none, `group[${level}]`),
      );
      const oldTotals = elements(s, request?.oldTotals ?? none.slice(0, 2), "oldTotals");
      const newTotals = elements(s, request?.newTotals ?? none.slice(0, 2), "newTotals");
      const schema = element(s, request?.schema ?? 0n, "schema");

      nonZero(s, "bound", context);
      const index = { value: oldRecords.value - 1n, form: s.combination(-1).add(1, oldRecords.wire) };
      const tail = chunkTail(s, bits, oldDepth, { after: last, index, records: newRecords, ...following });
      const opening = [newRecords, ...newTotals, schema];
      datasetRoot(s, "top", { chunk: tail.root, index: tail.chunk, group, opening }, newRoot);

      let node = last;
      for (let level = 0; level < oldDepth; level++) {
        const digit = tail.digit.slice(4 * level, 4 * level + 4);
        const children = prefixChildren(s, level, digit, group[level]!, node);
        s.enter("hash", level);
        for (const [i, { wire }] of children.entries()) s.alias(wire, "in", i);
        node = poseidon(s, TAGS.node + (BigInt(level + 1) << 64n), children);
        s.leave();
      }
      s.enter("old");
      const inputs = [node, oldRecords, ...oldTotals, schema];
      for (const [i, { wire }] of inputs.entries()) s.alias(wire, "in", i);
      const zeros = new Array<Element>(11).fill(constant(0n));
      const hash = poseidon(s, TAGS.root + (BigInt(oldDepth) << 64n), [...inputs, ...zeros], oldRoot.wire);
      must(s, hash, oldRoot, "old root");
      s.alias(oldRoot.wire, "out");
      s.leave();
    },
  };
}

/** `PrefixChildren`, as a component of `prefix`. */
function prefixChildren(
  s: Synthesis,
  level: number,
  bits: readonly Element[],
  children: readonly Element[],
  own: Element,
): Element[] {
  s.enter("prefix", level);
  for (const [i, { wire }] of bits.entries()) s.alias(wire, "bit", i);
  for (const [i, { wire }] of children.entries()) s.alias(wire, "in", i);
  s.alias(own.wire, "own");
  const is = oneHot16(s, bits);
  const digit = is.findIndex(({ value }) => value === 1n);
  const out: Element[] = [];
  for (let d = 15; d >= 0; d--) {
    if (d === 15) {
      out[d] = product(s, is[d]!, own, "out", d);
      continue;
    }
    const before = s.combination();
    for (const { wire } of is.slice(d + 1)) before.add(1, wire);
    const kept = element(s, d < digit ? children[d]!.value : 0n, "kept", d);
    s.row(before, only(s, children[d]!), only(s, kept));
    out[d] = element(s, d === digit ? own.value : kept.value, "out", d);
    s.row(only(s, is[d]!), only(s, own), s.combination().add(1, out[d]!.wire).add(-1, kept.wire));
  }
  s.leave();
  return out;
}

/** Products of two 2-bit one-hots. */
function oneHot16(s: Synthesis, [b0, b1, b2, b3]: readonly Element[]): Element[] {
  const low3 = product(s, b0!, b1!, "low3");
  const high3 = product(s, b2!, b3!, "high3");
  const quarter = (place: number, a: Element, b: Element, both: Element) => {
    if (place === 0) return s.combination(1).add(-1, a.wire).add(-1, b.wire).add(1, both.wire);
    if (place === 3) return s.combination().add(1, both.wire);
    return s
      .combination()
      .add(1, (place === 1 ? a : b).wire)
      .add(-1, both.wire);
  };
  const digit = Number(b0!.value + 2n * b1!.value + 4n * b2!.value + 8n * b3!.value);
  return Array.from({ length: 16 }, (_, d) => {
    const is = element(s, d === digit ? 1n : 0n, "is", d);
    s.row(quarter(d % 4, b0!, b1!, low3), quarter(Math.floor(d / 4), b2!, b3!, high3), only(s, is));
    return is;
  });
}

function checkGrowth(shape: GrowthShape, request: GrowthRequest): void {
  const { oldRoot, newRoot, oldRecords, newRecords, context, last, group, oldTotals, newTotals, schema } = request;
  const fits =
    group.length === shape.newDepth &&
    group.every((children) => children.length === 16) &&
    oldTotals.length === 2 &&
    newTotals.length === 2;
  if (!fits) throw new AnchorError("INPUT_INVALID", "the growth is not of the circuit's size");
  const { following, followingBlinds } = request;
  const scalars = [oldRoot, newRoot, oldRecords, newRecords, last, schema, ...oldTotals, ...newTotals];
  for (const value of [...scalars, ...following.flat(), ...followingBlinds, ...group.flat()]) {
    assertScalar(value, "an input of the growth");
  }
  checkTail(shape, shape.oldDepth, request, oldRecords - 1n, newRecords);
  checkContext(context);
}
