/**
 * Deposits, receipts and what each party is owed.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import type { MultiProof, ReceiptBatch } from "../../protocol/batch.js";
import { NATIVE_CURRENCY, type Receipt, type Shares } from "../../protocol/settlement.js";
import { type Connection, ContractClient, lower, type Sent, summary } from "./caller.js";

/** Where a receipt's cost went: the five amounts add up to it. */
export interface Payout {
  receiptDigest: Hex;
  creatorShare: bigint;
  /** To creators of what the asset derives from. */
  royalties: bigint;
  nodeShare: bigint;
  poolShare: bigint;
  /** Back to the user's deposit: what revoked creators do not get. */
  refunded: bigint;
}

export interface Claimed extends Sent, Payout {}

export interface ManyClaimed extends Sent {
  /** In the order of the receipts that were paid. */
  paid: Payout[];
  /** Receipts that were passed over, and the custom error that says why. */
  refused: { receiptDigest: Hex; error: string }[];
}

/** In the currency's smallest unit, but for `withdrawableAt`. */
export interface Balances {
  deposit: bigint;
  /**
   * The part of the deposit that no pending withdrawal can take. The user's receipts with any node can, at once: a node
   * counts on its {@link Reservation}.
   */
  secured: bigint;
  pendingWithdrawal: bigint;
  /** Unix seconds; 0 when nothing is pending. */
  withdrawableAt: bigint;
  owed: bigint;
}

/** What a user has put aside for one node; in the currency's smallest unit, but for `releasableAt`. */
export interface Reservation {
  amount: bigint;
  /** The part that no pending release can take: what the node may count on. */
  secured: bigint;
  pendingRelease: bigint;
  /** Unix seconds; 0 when nothing is pending. */
  releasableAt: bigint;
}

/** How a version's receipts are split. */
export interface Parameters {
  pool: Hex;
  shares: Shares;
}

/**
 * Currencies are ERC-20 addresses, or the zero address for the chain's own, which is meant where none is given. Before a
 * token is deposited the settlement must be approved for it, at the token.
 */
export class SettlementClient extends ContractClient {
  constructor(connection: Connection) {
    super("UsageSettlement", connection);
  }

  /** Announces another split; it counts once somebody activates it, after the parameter delay. */
  async proposeParameters({ pool, shares }: Parameters): Promise<Sent> {
    const { creator, node } = shares;
    return this.send("proposeParameters", { pool, creatorBps: creator, nodeBps: node, poolBps: shares.pool });
  }

  /**
   * Starts a new version of the parameters with what was proposed. Receipts of the one before stay claimable until
   * {@link previousVersionUntil}, and there is no other change until then.
   */
  async activateParameters(): Promise<Sent> {
    return this.send("activateParameters");
  }

  async cancelParameters(): Promise<Sent> {
    return this.send("cancelParameters");
  }

  async deposit(amount: bigint, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("deposit", token, amount, { value: token === NATIVE_CURRENCY ? amount : 0n });
  }

  /** A deposit for another user, who alone can take it out. */
  async depositFor(user: Hex, amount: bigint, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("depositFor", user, token, amount, { value: token === NATIVE_CURRENCY ? amount : 0n });
  }

  async requestWithdrawal(amount: bigint, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("requestWithdrawal", token, amount);
  }

  async cancelWithdrawal(token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("cancelWithdrawal", token);
  }

  /** Takes out what was requested, or what claims have left of it. */
  async completeWithdrawal(token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("completeWithdrawal", token);
  }

  /** {@link completeWithdrawal}, to another address. */
  async completeWithdrawalTo(to: Hex, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("completeWithdrawalTo", token, to);
  }

  /** Puts part of the deposit aside for one node: its receipts are paid out of it first, and no other's ever are. */
  async reserve(node: Hex, amount: bigint, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("reserve", node, token, amount);
  }

  /** Asks for part of a reservation back. Until the delay is over the node can still claim it. */
  async requestRelease(node: Hex, amount: bigint, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("requestRelease", node, token, amount);
  }

  async cancelRelease(node: Hex, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("cancelRelease", node, token);
  }

  /** Takes what was asked for, or what claims have left of it, back into the deposit. */
  async completeRelease(node: Hex, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("completeRelease", node, token);
  }

  /** Settles a receipt. Anyone may send it. Signatures are EIP-712 under the settlement's domain. */
  async claim(receipt: Receipt, userSignature: Hex, nodeSignature: Hex): Promise<Claimed> {
    const mined = await this.transact("claim", [receipt, userSignature, nodeSignature]);
    return { ...summary(mined), ...payout(this.event(mined, "Claimed")) };
  }

  /** Settles receipts that were each signed. Those that cannot be paid are passed over, unless none can. */
  async claimMany(receipts: readonly { receipt: Receipt; user: Hex; node: Hex }[]): Promise<ManyClaimed> {
    return this.#claimMany("claimMany", [
      receipts.map(({ receipt }) => receipt),
      receipts.map(({ user }) => user),
      receipts.map(({ node }) => node),
    ]);
  }

  /**
   * Settles receipts of a batch that was signed as a whole. Those that cannot be paid are passed over, unless none can.
   *
   * @param receipts all of the tree's, in the order in which it was built
   * @param proof of those to settle, by the tree
   */
  async claimBatch(
    batch: ReceiptBatch,
    signatures: { user: Hex; node: Hex },
    receipts: readonly Receipt[],
    { order, proof, flags }: MultiProof,
  ): Promise<ManyClaimed> {
    const chosen = order.map((position) => receipts[position]);
    return this.#claimMany("claimBatch", [batch, signatures.user, signatures.node, chosen, proof, flags]);
  }

  async #claimMany(method: string, args: unknown[]): Promise<ManyClaimed> {
    const mined = await this.transact(method, args);
    return {
      ...summary(mined),
      paid: this.events(mined, "Claimed").map(payout),
      refused: this.events(mined, "ReceiptRefused").map(({ receiptDigest, refusal }) => ({
        receiptDigest: receiptDigest as Hex,
        error: this.errorName(refusal as Hex),
      })),
    };
  }

  /** Takes out everything the account is owed in a currency. */
  async withdraw(token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("withdraw", token);
  }

  /** Pays everything the account is owed in a currency to another address. */
  async withdrawTo(to: Hex, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("withdrawTo", token, to);
  }

  /** For the creator of an asset with a limit of uses: what one costs at least. It can be lowered, and not raised. */
  async setFloor(datId: bigint, floor: bigint, token: Hex = NATIVE_CURRENCY): Promise<Sent> {
    return this.send("setFloor", datId, token, floor);
  }

  /** What a use of an asset with a limit of uses costs at least; 0 where its creator does not sell it in the currency. */
  async floorOf(datId: bigint, token: Hex = NATIVE_CURRENCY): Promise<bigint> {
    return this.read<bigint>("floorOf", datId, token);
  }

  /** Settled uses of an asset with a limit of uses; 0 for others, which are not counted. */
  async usesOf(datId: bigint): Promise<bigint> {
    return this.read<bigint>("uses", datId);
  }

  async balancesOf(account: Hex, token: Hex = NATIVE_CURRENCY): Promise<Balances> {
    const [deposit, secured, [pendingWithdrawal, withdrawableAt], owed] = await Promise.all([
      this.read<bigint>("deposits", account, token),
      this.read<bigint>("securedDeposit", account, token),
      this.read<[bigint, bigint]>("withdrawals", account, token),
      this.read<bigint>("owed", account, token),
    ]);
    return { deposit, secured, pendingWithdrawal, withdrawableAt, owed };
  }

  async reservationOf(user: Hex, node: Hex, token: Hex = NATIVE_CURRENCY): Promise<Reservation> {
    const [[amount, [pendingRelease, releasableAt]], secured] = await Promise.all([
      this.read<[bigint, [bigint, bigint]]>("reservations", user, node, token),
      this.read<bigint>("reservedFor", user, node, token),
    ]);
    return { amount, secured, pendingRelease, releasableAt };
  }

  async receiptDigest(receipt: Receipt): Promise<Hex> {
    return this.read<Hex>("receiptDigest", receipt);
  }

  async batchDigest(batch: ReceiptBatch): Promise<Hex> {
    return this.read<Hex>("batchDigest", batch);
  }

  /** What has been claimed through a batch so far. */
  async drawnOf(batchDigest: Hex): Promise<{ cost: bigint; count: bigint }> {
    const [cost, count] = await this.read<[bigint, bigint]>("drawn", batchDigest);
    return { cost, count };
  }

  async isClaimed(receiptDigest: Hex): Promise<boolean> {
    return this.read<boolean>("claimed", receiptDigest);
  }

  /** The version that new receipts name. */
  async parameterVersion(): Promise<bigint> {
    return this.read<bigint>("parameterVersion");
  }

  /**
   * Unix seconds: the last block timestamp at which receipts of the version before the current one can be claimed; 0 while
   * there was no change.
   */
  async previousVersionUntil(): Promise<bigint> {
    return this.read<bigint>("previousVersionUntil");
  }

  /** How receipts of a version are split, or `undefined` for a version that never was. */
  async parametersOf(version: bigint): Promise<Parameters | undefined> {
    return parameters(await this.read<RawParameters>("parametersOf", version));
  }

  /** What has been proposed, and from which second on it can be activated. */
  async proposedParameters(): Promise<(Parameters & { activatableAt: bigint }) | undefined> {
    const [proposed, activatableAt] = await Promise.all([
      this.read<RawParameters>("proposedParameters"),
      this.read<bigint>("activatableAt"),
    ]);
    const known = parameters(proposed);
    return known && { ...known, activatableAt };
  }
}

type RawParameters = [pool: Hex, creatorBps: bigint, nodeBps: bigint, poolBps: bigint];

function parameters([pool, creatorBps, nodeBps, poolBps]: RawParameters): Parameters | undefined {
  if (BigInt(pool) === 0n) return undefined;
  return { pool: lower(pool), shares: { creator: creatorBps, node: nodeBps, pool: poolBps } };
}

/** From the arguments of a `Claimed` event. */
function payout({ receiptDigest, payout }: Record<string, unknown>): Payout {
  const [creatorShare, royalties, nodeShare, poolShare, refunded] = payout as [bigint, bigint, bigint, bigint, bigint];
  return { receiptDigest: receiptDigest as Hex, creatorShare, royalties, nodeShare, poolShare, refunded };
}
