/**
 * Batches of receipts: one signature of the user and one of the node over the root of a Merkle tree.
 *
 * The tree is a complete binary tree in an array, as OpenZeppelin's libraries have it: node i has the children 2i + 1 and
 * 2i + 2, the leaves stand last, and a node is the hash of its children in ascending order, so that a proof needs no sides.
 * A leaf is hashed twice over a tag and the receipt's digest. Its last preimage has 32 bytes and an inner node's 64: no
 * inner node can be passed off as a leaf. The digest holds chain and contract, so a leaf is of one settlement only.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { fromHex, type Hex, keccak, tag, toHex } from "../field/bytes.js";
import { type Domain, structFromJson, structToJson, type TypeTable, typedDigest } from "./eip712.js";
import { type Receipt, receiptDigest } from "./settlement.js";
import { checkSigner } from "./signature.js";

/** Receipts between one user and one node in one currency, agreed together (EIP-712, under the settlement's domain). */
export interface ReceiptBatch {
  user: Hex;
  node: Hex;
  /** The currency of all receipts; the zero address for the chain's own. */
  token: Hex;
  root: Hex;
  /** The most receipts that can be claimed through the batch. */
  count: bigint;
  /** The most that can be claimed through the batch in all: what a user who signs it may have to pay. */
  costCap: bigint;
  nonce: bigint;
  /** Unix seconds; receipts' own deadlines count beside it. */
  deadline: bigint;
}

export const BATCH_TYPES: TypeTable = {
  ReceiptBatch: [
    { name: "user", type: "address" },
    { name: "node", type: "address" },
    { name: "token", type: "address" },
    { name: "root", type: "bytes32" },
    { name: "count", type: "uint256" },
    { name: "costCap", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
};

/** What shows that some leaves are in a tree, as OpenZeppelin's `MerkleProof` takes it. */
export interface MultiProof {
  /** Positions of the leaves among those the tree was built from, in the order in which the proof wants them. */
  order: number[];
  proof: Hex[];
  /** For each step, whether the second operand is a node that is known already (else the next of `proof`). */
  flags: boolean[];
}

const LEAF_TAG = tag("anchorproof/receipt-leaf/1");

/** A receipt's leaf, from its digest. */
export function receiptLeaf(digest: Hex): Hex {
  return toHex(keccak(keccak(LEAF_TAG, fromHex(digest, "receipt digest", 32))));
}

export function batchDigest(domain: Domain, batch: ReceiptBatch): Hex {
  return typedDigest(domain, BATCH_TYPES, "ReceiptBatch", batch);
}

/** The Merkle tree over receipts, from their digests. */
export class ReceiptTree {
  readonly #nodes: Hex[];
  /** Place of each receipt's leaf in the array of nodes. */
  readonly #places: number[];

  /** @throws INPUT_INVALID for no receipt, or one that stands there twice */
  constructor(digests: readonly Hex[]) {
    const count = digests.length;
    if (count === 0) throw new AnchorError("INPUT_INVALID", "a batch needs a receipt");
    if (new Set(digests).size !== count) throw new AnchorError("INPUT_INVALID", "a receipt is in the batch twice");
    const sorted = digests.map((digest, i) => ({ i, leaf: receiptLeaf(digest) }));
    sorted.sort((a, b) => (a.leaf < b.leaf ? -1 : 1));
    const nodes = new Array<Hex>(2 * count - 1);
    this.#places = new Array<number>(count);
    for (const [rank, { i, leaf }] of sorted.entries()) {
      const place = nodes.length - 1 - rank;
      nodes[place] = leaf;
      this.#places[i] = place;
    }
    for (let i = count - 2; i >= 0; i--) nodes[i] = hashPair(nodes[2 * i + 1]!, nodes[2 * i + 2]!);
    this.#nodes = nodes;
  }

  get root(): Hex {
    return this.#nodes[0]!;
  }

  /** Proof that receipts are in the tree, by their positions among the digests it was built from. @throws INPUT_INVALID */
  prove(positions: readonly number[]): MultiProof {
    if (positions.length === 0 || new Set(positions).size !== positions.length) {
      throw new AnchorError("INPUT_INVALID", "a proof is of one or more receipts, each once");
    }
    const chosen = positions.map((position) => {
      const place = this.#places[position];
      if (place === undefined) throw new AnchorError("INPUT_INVALID", `the batch has no receipt ${position}`);
      return { position, place };
    });
    chosen.sort((a, b) => b.place - a.place);
    const queue = chosen.map(({ place }) => place);
    const proof: Hex[] = [];
    const flags: boolean[] = [];
    // Deepest first: a node's sibling is either the next in the queue, or has to be given.
    while (queue[0]! > 0) {
      const place = queue.shift()!;
      const sibling = place % 2 === 0 ? place - 1 : place + 1;
      const known = queue[0] === sibling;
      flags.push(known);
      if (known) queue.shift();
      else proof.push(this.#nodes[sibling]!);
      queue.push((place - 1) >> 1);
    }
    return { order: chosen.map(({ position }) => position), proof, flags };
  }
}

/** Whether leaves, in the proof's own order, are in the tree with this root. Ill-formed proofs are not. */
export function verifyMultiProof(
  root: Hex,
  leaves: readonly Hex[],
  { proof, flags }: Pick<MultiProof, "proof" | "flags">,
): boolean {
  // Without a leaf, any root would prove itself.
  if (leaves.length === 0 || leaves.length + proof.length !== flags.length + 1) return false;
  const queue = [...leaves];
  const rest = [...proof];
  for (const known of flags) {
    const first = queue.shift();
    const second = known ? queue.shift() : rest.shift();
    if (first === undefined || second === undefined) return false;
    queue.push(hashPair(first, second));
  }
  return rest.length === 0 && queue.length === 1 && queue[0] === root;
}

/**
 * A batch of receipts that its user and node can sign: with their tree's root, and their costs' sum as its cap.
 *
 * @throws RECEIPT_INVALID for receipts between others, in several currencies, or of no agreement at all
 */
export function makeBatch(
  domain: Domain,
  receipts: readonly Receipt[],
  { nonce, deadline }: Pick<ReceiptBatch, "nonce" | "deadline">,
): { batch: ReceiptBatch; tree: ReceiptTree } {
  const [first] = receipts;
  if (!first) throw new AnchorError("INPUT_INVALID", "a batch needs a receipt");
  const tree = new ReceiptTree(receipts.map((receipt) => receiptDigest(domain, receipt)));
  const costCap = receipts.reduce((sum, { cost }) => sum + cost, 0n);
  const { user, node, token } = first;
  const batch = { user, node, token, root: tree.root, count: BigInt(receipts.length), costCap, nonce, deadline };
  checkContents(batch, receipts);
  return { batch, tree };
}

/**
 * What a party checks before it signs a batch that another has made, and anybody before a claim.
 *
 * @param receipts all of them, in any order
 * @throws RECEIPT_INVALID; SIGNATURE_INVALID, where signatures are given
 */
export function checkBatch(
  domain: Domain,
  batch: ReceiptBatch,
  receipts: readonly Receipt[],
  signatures?: { user: unknown; node: unknown },
): { digest: Hex; tree: ReceiptTree } {
  checkContents(batch, receipts);
  const tree = new ReceiptTree(receipts.map((receipt) => receiptDigest(domain, receipt)));
  if (tree.root !== batch.root) throw new AnchorError("RECEIPT_INVALID", "the batch's root is of other receipts");
  const digest = batchDigest(domain, batch);
  if (signatures) {
    checkSigner(digest, signatures.user, batch.user, "user");
    checkSigner(digest, signatures.node, batch.node, "node");
  }
  return { digest, tree };
}

function checkContents(batch: ReceiptBatch, receipts: readonly Receipt[]): void {
  const fail = (reason: string): never => {
    throw new AnchorError("RECEIPT_INVALID", reason);
  };
  if (batch.user === batch.node) fail("user and node are one account");
  let cost = 0n;
  for (const receipt of receipts) {
    if (receipt.user !== batch.user || receipt.node !== batch.node || receipt.token !== batch.token) {
      fail("a receipt of the batch has another user, node or currency");
    }
    if (receipt.cost > receipt.costCap) fail("a receipt's cost is above the user's cap");
    cost += receipt.cost;
  }
  if (BigInt(receipts.length) !== batch.count) fail("the batch states another number of receipts");
  if (cost !== batch.costCap) fail("the batch's cap is not the sum of its receipts' costs");
}

export function batchToJson(batch: ReceiptBatch): Record<string, unknown> {
  return structToJson(BATCH_TYPES, "ReceiptBatch", batch);
}

/** @throws RECEIPT_INVALID */
export function batchFromJson(json: unknown, path: string): ReceiptBatch {
  return structFromJson<ReceiptBatch>(BATCH_TYPES, "ReceiptBatch", json, "RECEIPT_INVALID", path);
}

/** Lower-case hex of one length sorts as its bytes do. */
function hashPair(a: Hex, b: Hex): Hex {
  const [low, high] = a < b ? [a, b] : [b, a];
  return toHex(keccak(fromHex(low, "node", 32), fromHex(high, "node", 32)));
}
