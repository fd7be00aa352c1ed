/**
 * Usage receipts and the split of what is paid.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { type Domain, structFromJson, structToJson, type TypeTable, typedDigest } from "./eip712.js";
import { checkSigner } from "./signature.js";

/** One use of a model, agreed by both sides (EIP-712, under the settlement contract's domain). */
export interface Receipt {
  user: Hex;
  node: Hex;
  /** The model's DAT, whose creator earns. */
  datId: bigint;
  nonce: bigint;
  /** In the token's smallest unit. */
  cost: bigint;
  /** The most that the user agreed to pay. */
  costCap: bigint;
  /** The zero address for the chain's own currency. */
  token: Hex;
  /** Version of the split that both sides had in mind. */
  parameterVersion: bigint;
  /** Unix seconds; the last block time at which it can be claimed. */
  deadline: bigint;
  /** Units of work, as the node's price list counts them. */
  usage: bigint;
  /** Commitment to the question: here the inference's input commitment. */
  requestHash: Hex;
  /** Digest of the inference statement. */
  responseHash: Hex;
  /** Names the proof that the user received. */
  evidenceDigest: Hex;
}

export const RECEIPT_TYPES: TypeTable = {
  Receipt: [
    { name: "user", type: "address" },
    { name: "node", type: "address" },
    { name: "datId", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "cost", type: "uint256" },
    { name: "costCap", type: "uint256" },
    { name: "token", type: "address" },
    { name: "parameterVersion", type: "uint256" },
    { name: "deadline", type: "uint256" },
    { name: "usage", type: "uint256" },
    { name: "requestHash", type: "bytes32" },
    { name: "responseHash", type: "bytes32" },
    { name: "evidenceDigest", type: "bytes32" },
  ],
};

/** The chain's own currency, as receipts and settlements name it. */
export const NATIVE_CURRENCY: Hex = `0x${"00".repeat(20)}`;

/** The settlement takes costs and deposits up to this. */
export const MAX_AMOUNT: bigint = (1n << 128n) - 1n;

/** Shares in basis points; they add up to 10,000. */
export interface Shares {
  creator: bigint;
  node: bigint;
  pool: bigint;
}

/** The protocol's split: 70 % to the creator, 20 % to the node, 10 % to the governance pool. */
export const DEFAULT_SHARES: Shares = { creator: 7000n, node: 2000n, pool: 1000n };

export function receiptDigest(domain: Domain, receipt: Receipt): Hex {
  return typedDigest(domain, RECEIPT_TYPES, "Receipt", receipt);
}

/**
 * Exact split of a cost: the creator's and the node's shares are rounded down, the pool takes the remainder, so the
 * three always add up to the cost.
 */
export function splitCost(cost: bigint, shares: Shares = DEFAULT_SHARES): Shares {
  if (
    shares.creator < 0n ||
    shares.node < 0n ||
    shares.pool < 0n ||
    shares.creator + shares.node + shares.pool !== 10_000n
  ) {
    throw new AnchorError("INPUT_INVALID", "shares are basis points that add up to 10,000");
  }
  const creator = (cost * shares.creator) / 10_000n;
  const node = (cost * shares.node) / 10_000n;
  return { creator, node, pool: cost - creator - node };
}

/** One ancestor's part of a derived asset's creator share. */
export interface RoyaltyShare {
  bps: bigint;
  /** Its `verified` was taken back: its part stays the user's. */
  revoked?: boolean;
}

export interface RoyaltySplit {
  /** To each ancestor's creator, in their order; 0 for a revoked one. */
  royalties: bigint[];
  /** What revoked ancestors do not get: it goes back to the user's deposit. */
  refunded: bigint;
  /** What stays with the asset's own creator. */
  rest: bigint;
}

/**
 * Exact split of a creator's share along the lineage: each royalty is rounded down and taken out of what is left, so that
 * royalties, refund and rest always add up to the share. For a revoked asset there is no such split: its whole creator share
 * goes back to the user's deposit.
 *
 * @throws INPUT_INVALID for basis points that add up to more than 10,000
 */
export function splitRoyalties(creatorShare: bigint, lineage: readonly RoyaltyShare[]): RoyaltySplit {
  const sum = lineage.reduce((total, { bps }) => total + bps, 0n);
  if (lineage.some(({ bps }) => bps < 0n) || sum > 10_000n) {
    throw new AnchorError("INPUT_INVALID", "royalties are basis points that add up to at most 10,000");
  }
  const split: RoyaltySplit = { royalties: [], refunded: 0n, rest: creatorShare };
  for (const { bps, revoked = false } of lineage) {
    const amount = (creatorShare * bps) / 10_000n;
    split.rest -= amount;
    if (revoked) split.refunded += amount;
    split.royalties.push(revoked ? 0n : amount);
  }
  return split;
}

/**
 * @param currencies  what may be paid in; the chain's own only, unless told
 * @throws RECEIPT_INVALID, SIGNATURE_INVALID
 */
export function checkReceipt(
  domain: Domain,
  receipt: Receipt,
  signatures: { user: unknown; node: unknown },
  currencies: readonly Hex[] = [NATIVE_CURRENCY],
): { digest: Hex } {
  if (receipt.cost > receipt.costCap) throw new AnchorError("RECEIPT_INVALID", "the cost is above the user's cap");
  if (receipt.cost > MAX_AMOUNT) throw new AnchorError("RECEIPT_INVALID", "no settlement takes a cost of so many bits");
  if (!currencies.includes(receipt.token)) {
    const known = currencies.map((currency) => (currency === NATIVE_CURRENCY ? "the chain's own" : currency));
    throw new AnchorError("RECEIPT_INVALID", `receipts are paid in ${known.join(" or ")}`, {
      details: { token: receipt.token },
    });
  }
  if (receipt.user === receipt.node) throw new AnchorError("RECEIPT_INVALID", "user and node are one account");
  const digest = receiptDigest(domain, receipt);
  checkSigner(digest, signatures.user, receipt.user, "user");
  checkSigner(digest, signatures.node, receipt.node, "node");
  return { digest };
}

export function receiptToJson(receipt: Receipt): Record<string, unknown> {
  return structToJson(RECEIPT_TYPES, "Receipt", receipt);
}

/** @throws RECEIPT_INVALID */
export function receiptFromJson(json: unknown, path: string): Receipt {
  return structFromJson<Receipt>(RECEIPT_TYPES, "Receipt", json, "RECEIPT_INVALID", path);
}
