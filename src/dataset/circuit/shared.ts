/**
 * Twins of what the circuits of `circuits/dataset/` have in common.
 *
 * A gadget gets elements (wires with their values) and gives elements back; where its result is a wire that is there
 * already, as a public signal, it is handed in as `out`.
 *
 * @module
 */

import type { CircuitSource } from "../../circuit/compile.js";
import { aliasAll, constant, type Element, elements, must } from "../../circuit/synthesis/elements.js";
import { num2Bits, select16 } from "../../circuit/synthesis/gadgets.js";
import { hashChain, poseidon } from "../../circuit/synthesis/poseidon.js";
import type { Synthesis } from "../../circuit/synthesis/synthesis.js";
import { STARTS, TAGS } from "../layout.js";

/** A main component of `circuits/dataset/`, all of whose public signals are inputs. */
export function mainComponent(
  name: string,
  file: string,
  publicSignals: readonly string[],
  instance: string,
): CircuitSource {
  const source = [
    "pragma circom 2.2.3;",
    `include "dataset/${file}.circom";`,
    `component main {public [${publicSignals.join(", ")}]} = ${instance};`,
    "",
  ].join("\n");
  return { name, source };
}

/** Bits of the number of a dataset's records, less 1. */
export const RECORD_BITS = 31;

/** Allocates the children at each level of a path, sixteen each; zeros without values. */
export function groupInputs(
  s: Synthesis,
  depth: number,
  group: readonly (readonly bigint[])[] | undefined,
): Element[][] {
  const none = new Array<bigint>(16).fill(0n);
  return Array.from({ length: depth }, (_, level) => elements(s, group?.[level] ?? none, `group[${level}]`));
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
  aliasAll(s, opening, "opening");
  aliasGroup(s, group);
  const top = merklePath(s, chunk, index, group);
  s.enter("hash");
  const inputs = [top, ...opening, ...new Array<Element>(11).fill(constant(0n))];
  aliasAll(s, inputs, "in");
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
    select16(s, level, bits.slice(4 * level, 4 * level + 4), children, at, "chunk");
    s.enter("hash", level);
    aliasAll(s, children, "in");
    at = poseidon(s, TAGS.node + (BigInt(level + 1) << 64n), children);
    s.leave();
    s.alias(at.wire, "at", level + 1);
  }
  s.alias(at.wire, "top");
  s.leave();
  return at;
}

/** Names the children at each level of a path. */
export function aliasGroup(s: Synthesis, group: readonly (readonly Element[])[]): void {
  for (const [level, children] of group.entries()) aliasAll(s, children, `group[${level}]`);
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
  aliasAll(s, params, "param");
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
  aliasAll(s, fields, "field");
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
