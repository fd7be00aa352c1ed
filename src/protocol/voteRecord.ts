/**
 * What a validator has signed, so that it never signs against it.
 *
 * Two different votes of one member for one (epoch, task, round) are evidence that costs it part of its bond, whoever asked for
 * them: task ids are the requesters' choice, and several statements, gates and facades may come under one. So a validator keeps
 * this record as Ethereum's keep theirs (EIP-3076): asked before each signature, and on disk before the signature leaves.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { type Domain, readInteger, readObject } from "./eip712.js";
import { type Vote, voteDigest } from "./quorum.js";

const FORMAT = "anchorproof/vote-record@1";

/** Entries of one record, read from JSON. A quorum of one vote a second fills it in eleven days. */
const MAX_VOTES = 1_000_000;

interface Slot {
  chainId: bigint;
  contract: Hex;
  epoch: bigint;
  taskId: Hex;
  round: bigint;
}

export class VoteRecord {
  readonly #digests = new Map<string, { slot: Slot; digest: Hex }>();

  get size(): number {
    return this.#digests.size;
  }

  /**
   * Takes a vote in, or finds it there. Call it before `signVote`, and write {@link toJson} to disk, durably, before the
   * signature is shown to anybody.
   *
   * @returns whether it is new
   * @throws VOTE_CONFLICT when another vote was given for the same quorum, epoch, task and round
   */
  add(domain: Domain, vote: Vote): boolean {
    const { epoch, taskId, round } = vote;
    const slot = { chainId: domain.chainId, contract: domain.verifyingContract, epoch, taskId, round };
    return this.#put(slot, voteDigest(domain, vote));
  }

  /** Forgets the votes of a quorum's epochs before this one, when nobody can be slashed for them any more. */
  prune({ chainId, verifyingContract }: Domain, epoch: bigint): void {
    for (const [key, { slot }] of this.#digests) {
      if (slot.chainId === chainId && slot.contract === verifyingContract && slot.epoch < epoch)
        this.#digests.delete(key);
    }
  }

  toJson(): Record<string, unknown> {
    const votes = [...this.#digests.values()].map(({ slot, digest }) => ({
      chainId: slot.chainId.toString(),
      contract: slot.contract,
      epoch: slot.epoch.toString(),
      taskId: slot.taskId,
      round: slot.round.toString(),
      digest,
    }));
    return { format: FORMAT, votes };
  }

  /**
   * A record that does not read is no record: do not sign without one.
   *
   * @throws FORMAT_UNSUPPORTED, JSON_MALFORMED, VOTE_CONFLICT
   */
  static fromJson(json: unknown): VoteRecord {
    const code = "JSON_MALFORMED";
    const { format, votes } = readObject(json, ["format", "votes"], code, "record");
    if (format !== FORMAT) throw new AnchorError("FORMAT_UNSUPPORTED", `the record is not of format ${FORMAT}`);
    if (!Array.isArray(votes) || votes.length > MAX_VOTES) {
      throw new AnchorError(code, `record.votes must be an array of at most ${MAX_VOTES} votes`);
    }
    const record = new VoteRecord();
    votes.forEach((entry, i) => {
      const path = `record.votes[${i}]`;
      const fields = ["chainId", "contract", "epoch", "taskId", "round", "digest"];
      const { chainId, contract, epoch, taskId, round, digest } = readObject(entry, fields, code, path);
      try {
        assertHex(contract, "contract", 20);
        assertHex(taskId, "task id", 32);
        assertHex(digest, "digest", 32);
      } catch (cause) {
        throw new AnchorError(code, `${path} must have contract, task id and digest in lower-case 0x-hex`, { cause });
      }
      const slot = {
        chainId: readInteger(chainId, 256, code, `${path}.chainId`),
        contract,
        epoch: readInteger(epoch, 64, code, `${path}.epoch`),
        taskId,
        round: readInteger(round, 32, code, `${path}.round`),
      };
      if (!record.#put(slot, digest)) throw new AnchorError(code, `${path} stands there twice`);
    });
    return record;
  }

  #put(slot: Slot, digest: Hex): boolean {
    const key = `${slot.chainId}/${slot.contract}/${slot.epoch}/${slot.taskId}/${slot.round}`;
    const before = this.#digests.get(key);
    if (before === undefined) {
      this.#digests.set(key, { slot, digest });
      return true;
    }
    if (before.digest !== digest) {
      throw new AnchorError(
        "VOTE_CONFLICT",
        "another vote was signed for this task and round: a second one costs the bond; vote in another round",
        { details: { epoch: slot.epoch.toString(), taskId: slot.taskId, round: slot.round.toString() } },
      );
    }
    return false;
  }
}
