/**
 * Quorums: weighted validators who vote on statements, and the certificate that their votes make.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { assertHex, concat, fromHex, type Hex, keccak, toHex, word } from "../field/bytes.js";
import { type Domain, readInteger, readObject, type TypeTable, typedDigest } from "./eip712.js";
import { checkSigner, recoverSigner, signDigest } from "./signature.js";

export interface Member {
  account: Hex;
  weight: bigint;
}

/** A set of validators for a while. Members in strictly ascending order of account, weights positive. */
export interface Epoch {
  epoch: bigint;
  members: readonly Member[];
}

export const VERDICTS = { accept: 1n, reject: 2n } as const;

/** What a validator signs (EIP-712, under the quorum contract's domain). */
export interface Vote {
  epoch: bigint;
  taskId: Hex;
  round: bigint;
  statementDigest: Hex;
  /** Names the very proof that was checked, see `evidenceDigest` of the verifier. */
  evidenceDigest: Hex;
  verdict: bigint;
}

/** Accepting votes of one epoch and round over one statement. */
export interface Certificate {
  epoch: bigint;
  round: bigint;
  /** In ascending order of account. */
  votes: readonly { validator: Hex; signature: Hex }[];
}

export const VOTE_TYPES: TypeTable = {
  Vote: [
    { name: "epoch", type: "uint64" },
    { name: "taskId", type: "bytes32" },
    { name: "round", type: "uint32" },
    { name: "statementDigest", type: "bytes32" },
    { name: "evidenceDigest", type: "bytes32" },
    { name: "verdict", type: "uint8" },
  ],
};

export function voteDigest(domain: Domain, vote: Vote): Hex {
  return typedDigest(domain, VOTE_TYPES, "Vote", vote);
}

export function signVote(domain: Domain, vote: Vote, secretKey: Hex): Hex {
  return signDigest(secretKey, voteDigest(domain, vote));
}

/** keccak256 over epoch, members and weights: what the quorum contract stores. @throws TRUST_INVALID */
export function epochHash(epoch: Epoch): Hex {
  checkEpoch(epoch);
  const { members } = epoch;
  const accounts = members.map(({ account }) => concat(new Uint8Array(12), fromHex(account, "member", 20)));
  const count = word(BigInt(members.length));
  // abi.encode(uint64, address[], uint256[])
  const offset = word(BigInt(96 + 32 + 32 * members.length));
  return toHex(
    keccak(word(epoch.epoch), word(96n), offset, count, ...accounts, count, ...members.map((m) => word(m.weight))),
  );
}

/** @throws TRUST_INVALID */
export function checkEpoch({ members }: Epoch): void {
  if (members.length === 0 || members.length > 256)
    throw new AnchorError("TRUST_INVALID", "an epoch has 1 to 256 members");
  members.forEach((member, i) => {
    if (member.weight <= 0n) throw new AnchorError("TRUST_INVALID", "a member's weight is positive");
    if (i > 0 && members[i - 1]!.account >= member.account) {
      throw new AnchorError("TRUST_INVALID", "an epoch's members stand in ascending order, each once");
    }
  });
}

/**
 * Checks a certificate against the epochs that a verifier trusts.
 *
 * @returns the accepting weight and the epoch's total
 * @throws EPOCH_UNKNOWN, CERTIFICATE_INVALID (a foreign, repeated or wrong vote spoils the whole), QUORUM_NOT_REACHED
 */
export function checkCertificate(
  domain: Domain,
  epochs: readonly Epoch[],
  certificate: Certificate,
  subject: Pick<Vote, "taskId" | "statementDigest" | "evidenceDigest">,
): { weight: bigint; total: bigint } {
  const epoch = epochs.find((candidate) => candidate.epoch === certificate.epoch);
  if (!epoch) throw new AnchorError("EPOCH_UNKNOWN", `epoch ${certificate.epoch} is not a trusted one`);
  checkEpoch(epoch);
  const digest = voteDigest(domain, {
    epoch: certificate.epoch,
    round: certificate.round,
    verdict: VERDICTS.accept,
    ...subject,
  });
  let weight = 0n;
  let last: Hex | undefined;
  for (const { validator, signature } of certificate.votes) {
    if (last !== undefined && validator <= last) {
      throw new AnchorError("CERTIFICATE_INVALID", "votes stand in ascending order of validator, each once");
    }
    last = validator;
    const member = epoch.members.find(({ account }) => account === validator);
    if (!member) {
      throw new AnchorError("CERTIFICATE_INVALID", `${validator} is not a member of epoch ${epoch.epoch}`);
    }
    try {
      checkSigner(digest, signature, validator, "validator");
    } catch (cause) {
      throw new AnchorError("CERTIFICATE_INVALID", `the vote of ${validator} is not over this statement and evidence`, {
        cause,
      });
    }
    weight += member.weight;
  }
  const total = epoch.members.reduce((sum, member) => sum + member.weight, 0n);
  if (3n * weight <= 2n * total) {
    throw new AnchorError("QUORUM_NOT_REACHED", `weight ${weight} of ${total} is not more than two thirds`);
  }
  return { weight, total };
}

/**
 * Puts signed votes together, leaving out foreign and wrong ones rather than letting one validator spoil the rest.
 *
 * @throws QUORUM_NOT_REACHED
 */
export function assembleCertificate(
  domain: Domain,
  epoch: Epoch,
  vote: Omit<Vote, "epoch" | "verdict">,
  signatures: readonly Hex[],
): Certificate {
  const { round, ...subject } = vote;
  const digest = voteDigest(domain, { ...vote, epoch: epoch.epoch, verdict: VERDICTS.accept });
  const votes = new Map<Hex, Hex>();
  for (const signature of signatures) {
    let signer: Hex;
    try {
      signer = recoverSigner(digest, signature);
    } catch {
      continue;
    }
    if (epoch.members.some(({ account }) => account === signer)) votes.set(signer, signature);
  }
  const certificate: Certificate = {
    epoch: epoch.epoch,
    round,
    votes: [...votes]
      .map(([validator, signature]) => ({ validator, signature }))
      .sort((a, b) => (a.validator < b.validator ? -1 : 1)),
  };
  checkCertificate(domain, [epoch], certificate, subject);
  return certificate;
}

export function certificateToJson({ epoch, round, votes }: Certificate): Record<string, unknown> {
  return { epoch: epoch.toString(), round: round.toString(), votes: votes.map((vote) => ({ ...vote })) };
}

/** @throws CERTIFICATE_INVALID */
export function certificateFromJson(json: unknown, path: string): Certificate {
  const code = "CERTIFICATE_INVALID";
  const record = readObject(json, ["epoch", "round", "votes"], code, path);
  if (!Array.isArray(record["votes"]) || record["votes"].length > 256) {
    throw new AnchorError(code, `${path}.votes must be an array of at most 256 votes`);
  }
  return {
    epoch: readInteger(record["epoch"], 64, code, `${path}.epoch`),
    round: readInteger(record["round"], 32, code, `${path}.round`),
    votes: record["votes"].map((vote, i) => {
      const { validator, signature } = readObject(vote, ["validator", "signature"], code, `${path}.votes[${i}]`);
      try {
        assertHex(validator, "validator", 20);
        assertHex(signature, "signature", 65);
      } catch (cause) {
        throw new AnchorError(code, `${path}.votes[${i}] must be an account and a signature in 0x-hex`, { cause });
      }
      return { validator, signature };
    }),
  };
}
