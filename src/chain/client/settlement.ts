/**
 * Deposits, receipts and what each party is owed.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import type { Receipt } from "../../protocol/settlement.js";
import { type Connection, ContractClient, lower, type Sent, summary } from "./caller.js";

export interface Claimed extends Sent {
  receiptDigest: Hex;
  /** Wei, each; their sum is the receipt's cost. */
  creatorShare: bigint;
  nodeShare: bigint;
  poolShare: bigint;
}

/** Wei, but for `withdrawableAt`. */
export interface Balances {
  deposit: bigint;
  /** The part of the deposit that no pending withdrawal can take: what a node may count on. */
  secured: bigint;
  pendingWithdrawal: bigint;
  /** Unix seconds; 0 when nothing is pending. */
  withdrawableAt: bigint;
  owed: bigint;
}

export class SettlementClient extends ContractClient {
  constructor(connection: Connection) {
    super("UsageSettlement", connection);
  }

  /**
   * Starts a new version of the terms. Receipts of the one before stay claimable until {@link previousVersionUntil}, and
   * there is no other change until then.
   */
  async setGovernancePool(pool: Hex): Promise<Sent> {
    return this.send("setGovernancePool", pool);
  }

  /** @param amount wei */
  async deposit(amount: bigint): Promise<Sent> {
    return this.send("deposit", { value: amount });
  }

  /** @param amount wei */
  async requestWithdrawal(amount: bigint): Promise<Sent> {
    return this.send("requestWithdrawal", amount);
  }

  async cancelWithdrawal(): Promise<Sent> {
    return this.send("cancelWithdrawal");
  }

  /** Takes out what was requested, or what claims have left of it. */
  async completeWithdrawal(): Promise<Sent> {
    return this.send("completeWithdrawal");
  }

  /** Settles a receipt. Anyone may send it. Signatures are EIP-712 under the settlement's domain. */
  async claim(receipt: Receipt, userSignature: Hex, nodeSignature: Hex): Promise<Claimed> {
    const mined = await this.transact("claim", [receipt, userSignature, nodeSignature]);
    const args = this.event(mined, "Claimed");
    return {
      ...summary(mined),
      receiptDigest: args["receiptDigest"] as Hex,
      creatorShare: args["creatorShare"] as bigint,
      nodeShare: args["nodeShare"] as bigint,
      poolShare: args["poolShare"] as bigint,
    };
  }

  /** Takes out everything the account is owed. */
  async withdraw(): Promise<Sent> {
    return this.send("withdraw");
  }

  /** Pays everything the account is owed to another address. */
  async withdrawTo(to: Hex): Promise<Sent> {
    return this.send("withdrawTo", to);
  }

  async balancesOf(account: Hex): Promise<Balances> {
    const [deposit, secured, [pendingWithdrawal, withdrawableAt], owed] = await Promise.all([
      this.read<bigint>("deposits", account),
      this.read<bigint>("securedDeposit", account),
      this.read<[bigint, bigint]>("withdrawals", account),
      this.read<bigint>("owed", account),
    ]);
    return { deposit, secured, pendingWithdrawal, withdrawableAt, owed };
  }

  async receiptDigest(receipt: Receipt): Promise<Hex> {
    return this.read<Hex>("receiptDigest", receipt);
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

  /** The governance pool that receipts of a version pay, or `undefined` for a version that never was. */
  async poolOf(version: bigint): Promise<Hex | undefined> {
    const pool = await this.read<Hex>("poolOf", version);
    return BigInt(pool) === 0n ? undefined : lower(pool);
  }
}
