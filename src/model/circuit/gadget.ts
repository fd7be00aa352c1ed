/**
 * What a kind of node needs to be part of a circuit: a Circom template and its twin.
 *
 * @module
 */

import type { Lanes, Synthesis } from "../../circuit/synthesis/synthesis.js";
import type { ValueBounds } from "../bounds.js";
import type { GraphNode } from "../graph.js";

/** What is known of a node when the circuit is made, without any input. */
export interface NodeFacts<N extends GraphNode = GraphNode> {
  readonly node: N;
  /** Of the node's own value. */
  readonly bounds: ValueBounds;
  /** Of the values that it takes, in its order. */
  readonly inputBounds: readonly ValueBounds[];
}

export interface NodeContext<N extends GraphNode = GraphNode> extends NodeFacts<N> {
  readonly s: Synthesis;
  readonly inputs: readonly Lanes[];
  /**
   * The node's own lanes: values are there, the gadget fills in the wires.
   *
   * A lane with equal bounds has its constant as value and no wire, and may stay so: of a fixed value there is nothing
   * to prove. Every other lane must get a wire.
   */
  readonly out: Lanes;
}

/** A parameter of a template: integers, or arrays of arrays of them. */
export type Parameter = number | bigint | { readonly length: number; readonly [index: number]: Parameter };

/** How a node stands in the Circom program: as a component of the template, its lanes in `in` (or `a` and `b`) and `out`. */
export interface Instance {
  /** Path in `circuits/`. */
  readonly file: string;
  readonly template: string;
  /** By name, in the template's order; arrays become functions of that name. */
  readonly parameters: readonly (readonly [name: string, value: Parameter])[];
}

export interface Gadget<N extends GraphNode = GraphNode> {
  /** Signal arrays of the template that take the node's values: all into one, or each into its own. */
  readonly ports: readonly ["in"] | readonly ["a", "b"];
  instance(facts: NodeFacts<N>): Instance;
  synthesise(context: NodeContext<N>): void;
}

/** Whether a lane has one value for all inputs. */
export function isFixed(bounds: ValueBounds, lane: number): boolean {
  return bounds.min[lane] === bounds.max[lane];
}
