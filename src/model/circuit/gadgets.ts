/**
 * The gadget of each kind of node.
 *
 * @module
 */

import type { GraphNode } from "../graph.js";
import type { Gadget } from "./gadget.js";
import { argMax } from "./gadgets/argmax.js";
import { arrange } from "./gadgets/arrange.js";
import { linear } from "./gadgets/linear.js";
import { lookup } from "./gadgets/lookup.js";
import { max } from "./gadgets/max.js";
import { normalise } from "./gadgets/normalise.js";
import { matMul, mul } from "./gadgets/products.js";
import { requant } from "./gadgets/requant.js";
import { share } from "./gadgets/share.js";
import { table } from "./gadgets/table.js";

/** Input and adapter are the statement's (statement.ts). */
type InnerNode = Exclude<GraphNode, { op: "input" | "adapter" }>;

const GADGETS: { readonly [Op in InnerNode["op"]]: Gadget<Extract<InnerNode, { op: Op }>> } = {
  arrange,
  linear,
  requant,
  table,
  max,
  mul,
  matMul,
  share,
  normalise,
  lookup,
  argMax,
};

export function gadgetOf(node: InnerNode): Gadget {
  return GADGETS[node.op] as unknown as Gadget;
}
