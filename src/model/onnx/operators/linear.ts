/** Products of matrices. @module */

import { dims, quote } from "../errors.js";
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
  Einsum: einsum,
};

/** `alpha · A' · B' + beta · C` */
export function gemm(site: Site, t: Lowering, a: Operand, b: Operand, c: Operand | undefined): Operand {
  if (site.version < 7) site.ignore("broadcast");
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

/**
 * Of one or two operands: axes that neither the other operand nor the result names are summed, the rest is one product
 * of matrices with a batch before it.
 */
function einsum(site: Site, t: Lowering): Operand {
  const equation = site.string("equation", "").replace(/\s/g, "");
  const [left = "", right] = equation.split("->");
  const terms = left.split(",");
  const plain = /^[A-Za-z]*$/;
  if (!terms.every((term) => plain.test(term)) || (right !== undefined && !plain.test(right)) || terms.length > 2) {
    throw site.unsupported(`the equation ${quote(equation)} is not of one or two terms of letters`);
  }
  if (terms.length !== site.count) throw site.malformed("its equation and inputs differ in number");
  const all = [...terms.join("")];
  const result =
    right ??
    [...new Set(all)]
      .filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter))
      .sort()
      .join("");
  const sizes = new Map<string, number>();
  const operands = terms.map((term, i) => {
    const { shape } = site.input(i);
    if (shape.length !== term.length) throw site.malformed(`${quote(term)} does not fit ${dims(shape)}`);
    if (new Set(term).size !== term.length) throw site.unsupported("takes a diagonal");
    [...term].forEach((letter, axis) => {
      if ((sizes.get(letter) ?? shape[axis]) !== shape[axis]) throw site.malformed(`${letter} has two sizes`);
      sizes.set(letter, shape[axis]!);
    });
    // Sum what nothing else names.
    const rest = (terms[1 - i] ?? "") + result;
    const lone = range(term.length).filter((axis) => !rest.includes(term[axis]!));
    const value = lone.length === 0 ? site.input(i) : t.reduceSum(site.input(i), lone, false);
    return { value, letters: [...term].filter((letter) => rest.includes(letter)) };
  });
  if (new Set(result).size !== result.length || [...result].some((letter) => !sizes.has(letter))) {
    throw site.malformed(`the equation ${quote(equation)} gives what it does not take`);
  }
  const turn = (value: Operand, letters: readonly string[], order: readonly string[]) =>
    t.transpose(
      value,
      order.map((letter) => letters.indexOf(letter)),
    );
  const [a, b] = operands;
  if (b === undefined) return turn(a!.value, a!.letters, [...result]);
  const both = a!.letters.filter((letter) => b.letters.includes(letter));
  const batch = both.filter((letter) => result.includes(letter));
  const inner = both.filter((letter) => !result.includes(letter));
  const rows = a!.letters.filter((letter) => !both.includes(letter));
  const cols = b.letters.filter((letter) => !both.includes(letter));
  const size = (letters: readonly string[]) => letters.reduce((n, letter) => n * sizes.get(letter)!, 1);
  const x = t.reshape(turn(a!.value, a!.letters, [...batch, ...rows, ...inner]), [
    size(batch),
    size(rows),
    size(inner),
  ]);
  const y = t.reshape(turn(b.value, b.letters, [...batch, ...inner, ...cols]), [size(batch), size(inner), size(cols)]);
  const made = [...batch, ...rows, ...cols];
  const product = t.reshape(
    t.matMul(x, y),
    made.map((letter) => sizes.get(letter)!),
  );
  return turn(product, made, [...result]);
}
