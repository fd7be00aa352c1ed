/**
 * The validators: epochs and certificates.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";
import { type Certificate, type Epoch, VERDICTS, type Vote } from "../../protocol/quorum.js";
import { type Connection, ContractClient, type Sent } from "./caller.js";
import { encodeCertificate } from "./certificate.js";

export class QuorumClient extends ContractClient {
  constructor(connection: Connection) {
    super("Quorum", connection);
  }

  /** Replaces the validator set. Epoch numbers only go up. */
  async setEpoch({ epoch, members }: Epoch): Promise<Sent> {
    return this.send(
      "setEpoch",
      epoch,
      members.map(({ account }) => account),
      members.map(({ weight }) => weight),
    );
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

  /** The current epoch's number and set hash; epoch 0 when none was set. */
  async epoch(): Promise<{ epoch: bigint; setHash: Hex }> {
    const [epoch, setHash] = await Promise.all([this.read<bigint>("epoch"), this.read<Hex>("setHash")]);
    return { epoch, setHash };
  }
}
