import { beforeAll, describe, expect, it } from "vitest";
import { TAGS } from "../../../src/dataset/layout.js";
import { poseidon16 } from "../../../src/field/poseidon.js";
import { bit, fieldElements, Gadget, R } from "../inference/support.js";
import { forge, violatesNear } from "../lib/forge.js";

const compile = (depth: number) =>
  Gadget.template("dataset/merkle_path16.circom", `MerklePath16(${depth}, ${TAGS.node})`);

/** A path to `node` with random siblings, and the top of its tree by the reference hash. */
function path(node: bigint, index: bigint, depth: number, random: () => bigint) {
  const group: bigint[][] = [];
  let top = node;
  for (let level = 0; level < depth; level++) {
    const children = Array.from({ length: 16 }, random);
    children[Number((index >> BigInt(4 * level)) & 15n)] = top;
    group.push(children);
    top = poseidon16(TAGS.node + (BigInt(level + 1) << 64n), children);
  }
  return { node, index, group: group.flat(), top };
}

/** Wires of inputs and of the bits of the index: with these, the rows determine the rest. */
function seeds(gadget: Gadget, depth: number) {
  const wires = {
    node: gadget.wire("node"),
    index: gadget.wire("index"),
    group: gadget.wiresLike(/^group\[/),
    bits: gadget.wiresLike(/^digits\.out\[/),
  };
  expect(wires.group).toHaveLength(16 * depth);
  expect(wires.bits).toHaveLength(4 * depth);
  return wires;
}

describe.each([1, 2])("MerklePath16(%i)", (depth) => {
  let gadget: Gadget;
  let wires: ReturnType<typeof seeds>;
  const random = fieldElements(BigInt(20 + depth));
  const limit = 16n ** BigInt(depth);

  beforeAll(async () => {
    gadget = await compile(depth);
    wires = seeds(gadget, depth);
  });

  /** What a prover would fill in who follows every row that it can. */
  const forged = (claim: { node: bigint; index: bigint; group: readonly bigint[] }, bits: bigint, top?: bigint) =>
    forge(
      gadget.r1cs,
      new Map([
        [wires.node, claim.node],
        [wires.index, claim.index],
        ...claim.group.map((value, i) => [wires.group[i]!, value] as const),
        ...wires.bits.map((wire, i) => [wire, bit(bits, i)] as const),
        ...(top === undefined ? [] : [[gadget.wire("top"), top] as const]),
      ]),
    );

  it("gives the top that the reference hash gives, at every corner of the tree", async () => {
    for (const index of [0n, 5n, 15n, limit - 1n, limit / 2n]) {
      const { top, ...claim } = path(random(), index, depth, random);
      const witness = await gadget.honest(claim);
      expect(gadget.violation(witness)).toBe(-1);
      expect(witness[gadget.wire("top")]).toBe(top);
      expect(forged(claim, index)).toEqual({ witness, violated: [] });
    }
  });

  it("determines every wire", async () => {
    const { top: _, ...claim } = path(random(), limit - 2n, depth, random);
    expect(gadget.looseWires(await gadget.honest(claim), random)).toEqual([]);
  });

  it("has no witness for an index outside the tree, whatever the bits", async () => {
    const claim = path(random(), 0n, depth, random);
    const honest = await gadget.honest({ node: claim.node, index: 0n, group: claim.group });
    for (const index of [limit, limit + 1n, 2n * limit - 1n, R - 1n, R - limit, (R + 1n) / 2n]) {
      for (let bits = 0n; bits < limit; bits++) {
        const witness = gadget.with(honest, [
          [wires.index, index],
          ...wires.bits.map((wire, i) => [wire, bit(bits, i)] as const),
        ]);
        expect(violatesNear(gadget.r1cs, witness, [wires.index, ...wires.bits])).toBe(true);
      }
      // Also with all else solved for these bits, and a node that stands there.
      const tree = path(random(), index % limit, depth, random);
      expect(forged({ ...tree, index }, index % limit).violated).toHaveLength(1);
    }
  });

  it("has no witness for another position of the node", () => {
    const index = limit - 3n;
    const claim = path(random(), index, depth, random);
    for (const other of [0n, index - 1n, index ^ (limit >> 1n)]) {
      expect(forged({ ...claim, index: other }, other).violated).not.toEqual([]);
      // Claimed at one place, with the bits of another.
      expect(forged({ ...claim, index: other }, index).violated).not.toEqual([]);
    }
  });

  it("has no witness for another node, sibling or order of siblings under the same top", () => {
    const index = limit - 3n;
    const claim = path(random(), index, depth, random);
    expect(forged(claim, index, claim.top).violated).toEqual([]);
    expect(forged({ ...claim, node: claim.node + 1n }, index).violated).not.toEqual([]);
    for (let level = 0; level < depth; level++) {
      const sibling = claim.group.map((value, i) => (i === 16 * level ? value + 1n : value));
      expect(forged({ ...claim, group: sibling }, index, claim.top).violated).not.toEqual([]);
      const swapped = [...claim.group];
      [swapped[16 * level], swapped[16 * level + 1]] = [swapped[16 * level + 1]!, swapped[16 * level]!];
      expect(forged({ ...claim, group: swapped }, index, claim.top).violated).not.toEqual([]);
    }
    // The node put at its place in the group as well: another tree, and so another top.
    const group = claim.group.map((value, i) => (i === Number(index % 16n) ? claim.node + 1n : value));
    expect(forged({ ...claim, node: claim.node + 1n, group }, index, claim.top).violated).not.toEqual([]);
  });

  it("keeps levels apart by their tag: a path is no path one level up", () => {
    const children = Array.from({ length: 16 }, random);
    const tops = [1n, 2n].map((level) => poseidon16(TAGS.node + (level << 64n), children));
    expect(tops[0]).not.toBe(tops[1]);
    if (depth === 1) {
      const claim = { node: children[2]!, index: 2n, group: children };
      expect(forged(claim, 2n, tops[0]).violated).toEqual([]);
      expect(forged(claim, 2n, tops[1]).violated).not.toEqual([]);
    }
  });
});
