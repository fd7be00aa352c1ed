/**
 * The gadget of each kind of node.
 *
 * @module
 */

import type { GraphNode } from "../graph.js";
import type { Gadget } from "./gadget.js";
import { arrange } from "./gadgets/arrange.js";
import { linear } from "./gadgets/linear.js";

/** Input and adapter are the statement's (statement.ts). */
export type InnerNode = Exclude<GraphNode, { op: "input" | "adapter" }>;

export const GADGETS: { readonly [Op in InnerNode["op"]]?: Gadget<Extract<InnerNode, { op: Op }>> } = {
  arrange,
  linear,
};
