/** Products of matrices. @module */

import { dims } from "../errors.js";
import { range } from "../layout.js";
import type { Lowering } from "../lowering.js";
import type { Operator, Site } from "../site.js";
import type { Operand } from "../tensor.js";

export const linear: Record<string, Operator> = {
  MatMul: (site, t) => t.matMul(site.input(0), site.input(1)),
  Gemm: (site, t) => gemm(site, t, site.input(0), site.input(1), site.optional(2)),
  FusedMatMul: (site, t) => {
    const alpha = site.float("alpha", 1);
    if (site.flag("transBatchA", false) || site.flag("transBatchB", false)) {
      throw site.unsupported("transBatchA and transBatchB are not supported");
    }
    const a = site.flag("transA", false) ? turned(t, site.input(0)) : site.input(0);
    const b = site.flag("transB", false) ? turned(t, site.input(1)) : site.input(1);
    return t.scaled(t.matMul(a, b), alpha);
  },
};

/** `alpha · A' · B' + beta · C` */
export function gemm(site: Site, t: Lowering, a: Operand, b: Operand, c: Operand | undefined): Operand {
  const alpha = site.float("alpha", 1);
  const beta = site.defined("beta") ? site.float("beta", 1) : 1;
  if (a.shape.length !== 2 || b.shape.length !== 2) {
    throw site.malformed(`takes matrices, not ${dims(a.shape)} and ${dims(b.shape)}; flatten them first`);
  }
  const left = site.flag("transA", false) ? turned(t, a) : a;
  const right = site.flag("transB", false) ? turned(t, b) : b;
  const product = t.scaled(t.matMul(left, right), alpha);
  if (c === undefined) return product;
  const sum = t.add(product, t.scaled(c, beta));
  if (sum.shape.some((dim, i) => dim !== product.shape[i])) {
    throw site.malformed(`a bias of shape ${dims(c.shape)} does not broadcast to ${dims(product.shape)}`);
  }
  return sum;
}

function turned(t: Lowering, operand: Operand): Operand {
  const rank = operand.shape.length;
  return t.transpose(operand, [...range(rank - 2), rank - 1, rank - 2]);
}
