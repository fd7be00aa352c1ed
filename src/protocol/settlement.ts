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

/** @throws RECEIPT_INVALID, SIGNATURE_INVALID */
export function checkReceipt(
  domain: Domain,
  receipt: Receipt,
  signatures: { user: unknown; node: unknown },
): { digest: Hex } {
  if (receipt.cost > receipt.costCap) throw new AnchorError("RECEIPT_INVALID", "the cost is above the user's cap");
  if (BigInt(receipt.token) !== 0n) {
    throw new AnchorError(
      "RECEIPT_INVALID",
      "receipts are paid in the chain's own currency: token is the zero address",
    );
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
