import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, type Hex, keccak, toHex } from "../../src/field/bytes.js";
import {
  batchDigest,
  batchFromJson,
  batchToJson,
  checkBatch,
  makeBatch,
  type ReceiptBatch,
  ReceiptTree,
  receiptLeaf,
  verifyMultiProof,
} from "../../src/protocol/batch.js";
import {
  checkReceipt,
  DEFAULT_SHARES,
  MAX_AMOUNT,
  NATIVE_CURRENCY,
  type Receipt,
  receiptDigest,
  splitCost,
  splitRoyalties,
} from "../../src/protocol/settlement.js";
import { signDigest } from "../../src/protocol/signature.js";
import { outcomeOf } from "../support/errors.js";
import { addressOf, DOMAINS, digestOf, party } from "../support/parties.js";

const [user, node] = [party("user"), party("node")];

const RECEIPT: Receipt = {
  user: user.account,
  node: node.account,
  datId: 1n,
  nonce: 1n,
  cost: 10n,
  costCap: 10n,
  token: NATIVE_CURRENCY,
  parameterVersion: 1n,
  deadline: 1n,
  usage: 1n,
  requestHash: digestOf("q"),
  responseHash: digestOf("a"),
  evidenceDigest: digestOf("e"),
};

describe("settlement", () => {
  it("splits exactly: nothing is lost or made, the remainder is the pool's", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 1n << 200n }), (cost) => {
        const { creator, node, pool } = splitCost(cost);
        expect(creator + node + pool).toBe(cost);
        expect(creator).toBe((cost * 7n) / 10n);
        expect(node).toBe(cost / 5n);
        expect(pool * 10n >= cost && pool * 10n < cost + 20n).toBe(true);
      }),
    );
    expect(splitCost(1n)).toEqual({ creator: 0n, node: 0n, pool: 1n });
    expect(outcomeOf(() => splitCost(1n, { ...DEFAULT_SHARES, pool: 999n }))).toBe("INPUT_INVALID");
  });

  const receipt = RECEIPT;
  const sign = (of: Receipt, domain = DOMAINS.settlement) => ({
    user: signDigest(user.secretKey, receiptDigest(domain, of)),
    node: signDigest(node.secretKey, receiptDigest(domain, of)),
  });
  const outcome = (of: Receipt, signatures = sign(of), currencies?: Hex[]) =>
    outcomeOf(() => checkReceipt(DOMAINS.settlement, of, signatures, currencies));

  it("accepts a receipt signed by both, and no other", () => {
    expect(outcome(receipt)).toBe("accepted");
    expect(outcome({ ...receipt, cost: 11n })).toBe("RECEIPT_INVALID");
    expect(outcome({ ...receipt, node: user.account })).toBe("RECEIPT_INVALID");
    expect(outcome({ ...receipt, cost: 9n }, sign(receipt))).toBe("SIGNATURE_INVALID");
    const { user: byUser, node: byNode } = sign(receipt);
    expect(outcome(receipt, { user: byNode, node: byUser })).toBe("SIGNATURE_INVALID");
    expect(outcome(receipt, { user: byNode, node: byNode })).toBe("SIGNATURE_INVALID");
    expect(outcome(receipt, sign(receipt, DOMAINS.gate))).toBe("SIGNATURE_INVALID");
    expect(outcome(receipt, sign(receipt, { ...DOMAINS.settlement, chainId: 1n }))).toBe("SIGNATURE_INVALID");
  });

  it("is paid in a trusted currency, the chain's own unless told", () => {
    const inTokens = { ...receipt, token: addressOf("token") };
    expect(outcome(inTokens)).toBe("RECEIPT_INVALID");
    expect(outcome(inTokens, sign(receipt), [inTokens.token])).toBe("SIGNATURE_INVALID");
    expect(outcome(inTokens, sign(inTokens), [inTokens.token])).toBe("accepted");
    expect(outcome(inTokens, sign(inTokens), [NATIVE_CURRENCY, inTokens.token])).toBe("accepted");
    expect(outcome(receipt, sign(receipt), [inTokens.token])).toBe("RECEIPT_INVALID");
    expect(outcome(receipt, sign(receipt), [])).toBe("RECEIPT_INVALID");
  });

  it("has a cost that a settlement takes", () => {
    const dear = { ...receipt, cost: MAX_AMOUNT, costCap: MAX_AMOUNT + 1n };
    expect(outcome(dear)).toBe("accepted");
    expect(outcome({ ...dear, cost: MAX_AMOUNT + 1n })).toBe("RECEIPT_INVALID");
  });

  it("splits a creator's share along a lineage exactly, and withholds from the revoked", () => {
    const ancestor = fc.record({ bps: fc.bigInt({ min: 0n, max: 625n }), revoked: fc.boolean() });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX_AMOUNT }), fc.array(ancestor, { maxLength: 16 }), (share, lineage) => {
        const { royalties, refunded, rest } = splitRoyalties(share, lineage);
        expect(royalties.reduce((sum, each) => sum + each, refunded + rest)).toBe(share);
        for (const [i, { bps, revoked }] of lineage.entries()) {
          expect(royalties[i]).toBe(revoked ? 0n : (share * bps) / 10_000n);
        }
        expect(refunded === 0n || lineage.some(({ revoked }) => revoked)).toBe(true);
      }),
    );
    expect(splitRoyalties(99n, [{ bps: 10_000n }])).toEqual({ royalties: [99n], refunded: 0n, rest: 0n });
    expect(outcomeOf(() => splitRoyalties(1n, [{ bps: 5000n }, { bps: 5001n }]))).toBe("INPUT_INVALID");
    expect(outcomeOf(() => splitRoyalties(1n, [{ bps: -1n }]))).toBe("INPUT_INVALID");
  });
});

describe("batches of receipts", () => {
  const digests = (count: number) => Array.from({ length: count }, (_, i) => digestOf(`receipt ${i}`));

  it("prove every subset of every small tree, in any order, and nothing else", () => {
    for (let count = 1; count <= 7; count++) {
      const all = digests(count);
      const tree = new ReceiptTree(all);
      for (let mask = 1; mask < 1 << count; mask++) {
        const positions = all.map((_, i) => i).filter((i) => mask & (1 << i));
        const { order, proof, flags } = tree.prove(positions.reverse());
        expect([...order].sort()).toEqual([...positions].sort());
        const leaves = order.map((i) => receiptLeaf(all[i]!));
        expect(verifyMultiProof(tree.root, leaves, { proof, flags })).toBe(true);
        const foreign = [receiptLeaf(digestOf("foreign")), ...leaves.slice(1)];
        expect(verifyMultiProof(tree.root, foreign, { proof, flags })).toBe(false);
        expect(verifyMultiProof(tree.root, leaves, { proof: [...proof, tree.root], flags })).toBe(false);
        expect(verifyMultiProof(tree.root, leaves, { proof, flags: [...flags, false] })).toBe(false);
      }
    }
  });

  it("have no leaf that is an inner node, and no root that proves itself", () => {
    const [a, b] = digests(2).map(receiptLeaf) as [Hex, Hex];
    const tree = new ReceiptTree(digests(2));
    const [low, high] = a < b ? [a, b] : [b, a];
    expect(tree.root).toBe(toHex(keccak(fromHex(low, "leaf"), fromHex(high, "leaf"))));
    expect(receiptLeaf(tree.root)).not.toBe(tree.root);
    expect(verifyMultiProof(tree.root, [], { proof: [tree.root], flags: [] })).toBe(false);
    expect(new ReceiptTree(digests(1)).root).toBe(receiptLeaf(digests(1)[0]!));
  });

  it("need a receipt, each once", () => {
    const tree = new ReceiptTree(digests(3));
    expect(outcomeOf(() => new ReceiptTree([]))).toBe("INPUT_INVALID");
    expect(outcomeOf(() => new ReceiptTree([...digests(2), ...digests(1)]))).toBe("INPUT_INVALID");
    for (const positions of [[], [0, 0], [3], [-1], [0.5]]) {
      expect(outcomeOf(() => tree.prove(positions))).toBe("INPUT_INVALID");
    }
  });

  const receipts = [10n, 20n, 30n].map((cost, i) => ({
    ...RECEIPT,
    nonce: BigInt(i),
    cost,
    costCap: cost,
  }));

  it("are signed for what they hold, and for no more", () => {
    const { batch } = makeBatch(DOMAINS.settlement, receipts, { nonce: 1n, deadline: 2n });
    expect(batch).toMatchObject({ count: 3n, costCap: 60n, token: NATIVE_CURRENCY });
    const digest = batchDigest(DOMAINS.settlement, batch);
    const signatures = { user: signDigest(user.secretKey, digest), node: signDigest(node.secretKey, digest) };
    const outcome = (of: ReceiptBatch, over: Receipt[] = receipts, by: typeof signatures | undefined = signatures) =>
      outcomeOf(() => checkBatch(DOMAINS.settlement, of, over, by));
    expect(outcome(batch)).toBe("accepted");
    expect(outcome(batch, [...receipts].reverse())).toBe("accepted");
    expect(outcomeOf(() => checkBatch(DOMAINS.settlement, batch, receipts))).toBe("accepted");
    expect(outcome(batch, receipts, { user: signatures.node, node: signatures.user })).toBe("SIGNATURE_INVALID");
    expect(outcome({ ...batch, nonce: 2n })).toBe("SIGNATURE_INVALID");
    for (const changed of [
      { ...batch, costCap: 61n },
      { ...batch, count: 4n },
      { ...batch, root: digestOf("root") },
      { ...batch, node: batch.user },
      { ...batch, token: addressOf("token") },
    ]) {
      expect(outcome(changed)).toBe("RECEIPT_INVALID");
    }
    expect(outcome(batch, receipts.slice(1))).toBe("RECEIPT_INVALID");
    expect(
      outcome(
        batch,
        receipts.map((each) => ({ ...each, usage: 9n })),
      ),
    ).toBe("RECEIPT_INVALID");
    const [first, ...rest] = receipts as [Receipt, ...Receipt[]];
    for (const change of [
      { user: addressOf("x") },
      { node: addressOf("x") },
      { token: addressOf("x") },
      { costCap: 9n },
    ]) {
      const mixed = [{ ...first, ...change }, ...rest];
      expect(outcome(batch, mixed)).toBe("RECEIPT_INVALID");
      expect(outcomeOf(() => makeBatch(DOMAINS.settlement, mixed, { nonce: 1n, deadline: 2n }))).toBe(
        "RECEIPT_INVALID",
      );
    }
    expect(batchFromJson(JSON.parse(JSON.stringify(batchToJson(batch))), "batch")).toEqual(batch);
  });
});
