/**
 * The validators: epochs and certificates, bonds, and what costs them.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { Hex } from "../../field/bytes.js";
import type { Domain } from "../../protocol/eip712.js";
import {
  type Certificate,
  type Epoch,
  type Equivocation,
  packMembers,
  type SignedVote,
  VERDICTS,
  type Vote,
  voteDigest,
} from "../../protocol/quorum.js";
import { recoverSigner } from "../../protocol/signature.js";
import { type Proof, proofWords } from "../../verifier/groth16.js";
import { type Connection, ContractClient, lower, type Sent, summary } from "./caller.js";
import { encodeBallot, encodeCertificate, encodeSeat } from "./certificate.js";

/** An account's bond, in wei. */
export interface BondState {
  bonded: bigint;
  /** Asked back, and still slashable. */
  unbonding: bigint;
  /** The newest epoch that the account was a member of; 0 for none. */
  lastEpoch: bigint;
  /** When what is unbonding can be taken out at the earliest, in unix seconds; 0 when nothing is. */
  releaseAt: bigint;
}

/** What a report took from a member, in wei. */
export interface Slashing extends Sent {
  member: Hex;
  amount: bigint;
  /** The reporter's share, to be fetched by `withdraw`. */
  reward: bigint;
}

/** The terms of a quorum's bonds, which never change. */
export interface BondTerms {
  treasury: Hex;
  minimumBond: bigint;
  unbondingDelay: bigint;
  disputeWindow: bigint;
  slashBps: bigint;
  reporterBps: bigint;
  reporterCap: bigint;
}

export class QuorumClient extends ContractClient {
  constructor(connection: Connection) {
    super("Quorum", connection);
  }

  /** Replaces the validator set. Epoch numbers only go up, and every member must hold the minimum bond. */
  async setEpoch(epoch: Epoch): Promise<Sent> {
    return this.send("setEpoch", epoch.epoch, packMembers(epoch));
  }

  async voteDigest(vote: Vote): Promise<Hex> {
    const { epoch, taskId, round, statementDigest, evidenceDigest, verdict } = vote;
    return this.read<Hex>("voteDigest", epoch, taskId, round, statementDigest, evidenceDigest, verdict);
  }

  /** Returns when the certificate carries accepting votes for this; throws CHAIN_REVERTED with the reason if not. */
  async checkCertificate(
    subject: Pick<Vote, "taskId" | "statementDigest" | "evidenceDigest">,
    certificate: Certificate,
    epoch: Epoch,
  ): Promise<void> {
    const { taskId, statementDigest, evidenceDigest } = subject;
    const encoded = encodeCertificate(epoch, certificate);
    await this.read("check", taskId, statementDigest, evidenceDigest, VERDICTS.accept, encoded);
  }

  /** The current epoch's number, set hash and last second; epoch 0 when none was set. */
  async epoch(): Promise<{ epoch: bigint; setHash: Hex; endsAt: bigint }> {
    const [epoch, endsAt] = await Promise.all([this.read<bigint>("epoch"), this.read<bigint>("endsAt")]);
    return { epoch, setHash: await this.read<Hex>("setHashOf", epoch), endsAt };
  }

  /** Adds to the caller's bond, in wei. */
  async bond(amount: bigint): Promise<Sent> {
    return this.send("bond", { value: amount });
  }

  /** Asks for some of the caller's bond; the delay starts again for what was asked before. */
  async requestUnbond(amount: bigint): Promise<Sent> {
    return this.send("requestUnbond", amount);
  }

  /** Bonds again all that was asked for. */
  async cancelUnbond(): Promise<Sent> {
    return this.send("cancelUnbond");
  }

  /** Takes out what was asked for, once the contract lets it go. */
  async completeUnbond(): Promise<Sent> {
    return this.send("completeUnbond");
  }

  /** Takes out what the caller is owed as a reporter, or as the treasury. */
  async withdraw(to: Hex): Promise<Sent> {
    return this.send("withdraw", to);
  }

  /** What an account can withdraw, in wei. */
  async owed(account: Hex): Promise<bigint> {
    return this.read<bigint>("owed", account);
  }

  async bondOf(account: Hex): Promise<BondState> {
    const { bonded, unbonding, lastEpoch, releaseAt } = await this.read<BondState>("bonds", account);
    return { bonded, unbonding, lastEpoch, releaseAt };
  }

  async terms(): Promise<BondTerms> {
    const [treasury, minimumBond, unbondingDelay, disputeWindow, slashBps, reporterBps, reporterCap] =
      await Promise.all([
        this.read<string>("treasury"),
        this.read<bigint>("minimumBond"),
        this.read<bigint>("unbondingDelay"),
        this.read<bigint>("disputeWindow"),
        this.read<bigint>("slashBps"),
        this.read<bigint>("reporterBps"),
        this.read<bigint>("reporterCap"),
      ]);
    return {
      treasury: lower(treasury),
      minimumBond,
      unbondingDelay,
      disputeWindow,
      slashBps,
      reporterBps,
      reporterCap,
    };
  }

  /**
   * Reports a validator that voted twice.
   *
   * @param evidence  of `equivocation`
   * @param epoch  the set that the votes name
   */
  async slashEquivocation({ validator, one, other }: Equivocation, epoch: Epoch): Promise<Slashing> {
    const seat = encodeSeat(epoch, one, validator);
    return this.#slash("slashEquivocation", [seat, one.taskId, one.round, encodeBallot(one), encodeBallot(other)]);
  }

  /**
   * Reports a validator that accepted a proof which its verifier refuses. A proof with malformed points burns half of the
   * gas that is sent along, and the contract wants to see that it was enough.
   *
   * @param domain  the quorum's
   * @param vote  accepting, with the evidence digest of exactly this key, signals and proof
   */
  async slashInvalidAcceptance(
    domain: Domain,
    vote: SignedVote,
    evidence: { keyDigest: Hex; publicSignals: readonly bigint[]; proof: Proof },
    epoch: Epoch,
  ): Promise<Slashing> {
    if (vote.verdict !== VERDICTS.accept) throw new AnchorError("INPUT_INVALID", "the vote does not accept anything");
    const { statementDigest, signature } = encodeBallot(vote);
    return this.#slash("slashInvalidAcceptance", [
      encodeSeat(epoch, vote, recoverSigner(voteDigest(domain, vote), vote.signature)),
      vote.taskId,
      vote.round,
      statementDigest,
      signature,
      { keyDigest: evidence.keyDigest, signals: [...evidence.publicSignals], proof: proofWords(evidence.proof) },
    ]);
  }

  async #slash(method: string, args: unknown[]): Promise<Slashing> {
    const receipt = await this.transact(method, args);
    const { member, amount, reward } = this.event(receipt, "Slashed");
    return {
      ...summary(receipt),
      member: lower(member as string),
      amount: amount as bigint,
      reward: reward as bigint,
    };
  }
}
