/**
 * Twins of `circuits/dataset/prefix_children.circom` and `growth.circom`: one dataset that another one goes on from.
 *
 * @module
 */

import {
  aliasAll,
  constant,
  type Element,
  element,
  elements,
  must,
  only,
  product,
} from "../../circuit/synthesis/elements.js";
import { marks16, nonZero } from "../../circuit/synthesis/gadgets.js";
import { poseidon } from "../../circuit/synthesis/poseidon.js";
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
import { datasetRoot, groupInputs, mainComponent } from "./shared.js";

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

const SIGNALS = ["oldRoot", "newRoot", "oldRecords", "newRecords", "context"] as const;

/** "The new dataset's first records are the old one's." */
export function growthProgram(shape: GrowthShape): Program<GrowthRequest> {
  const { following, oldDepth, newDepth } = shape;
  const bits = placeBits(shape);
  const name = `dataset-growth-${bits}-${following}-${oldDepth}-${newDepth}`;
  return {
    name,
    circom: mainComponent(name, "growth", SIGNALS, `DatasetGrowth(${bits}, ${following}, ${oldDepth}, ${newDepth})`),
    publicSignals: SIGNALS,
    privateInputs: 1 + tailInputCount(shape) + 16 * newDepth + 5,
    synthesise(s, request) {
      if (request) checkGrowth(shape, request);
      const oldRoot = element(s, request?.oldRoot ?? 0n, "oldRoot");
      const newRoot = element(s, request?.newRoot ?? 0n, "newRoot");
      const oldRecords = element(s, request?.oldRecords ?? 0n, "oldRecords");
      const newRecords = element(s, request?.newRecords ?? 0n, "newRecords");
      const context = element(s, request?.context ?? 0n, "context");
      const last = element(s, request?.last ?? 0n, "last");
      const following = tailInputs(s, shape, request);
      const group = groupInputs(s, newDepth, request?.group);
      const oldTotals = elements(s, request?.oldTotals ?? [0n, 0n], "oldTotals");
      const newTotals = elements(s, request?.newTotals ?? [0n, 0n], "newTotals");
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
        aliasAll(s, children, "in");
        node = poseidon(s, TAGS.node + (BigInt(level + 1) << 64n), children);
        s.leave();
      }
      s.enter("old");
      const inputs = [node, oldRecords, ...oldTotals, schema];
      aliasAll(s, inputs, "in");
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
  aliasAll(s, bits, "bit");
  aliasAll(s, children, "in");
  s.alias(own.wire, "own");
  const { digit, mark } = marks16(s, bits);
  const is = Array.from({ length: 16 }, (_, d) => mark(d));
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
