/**
 * Votes as the quorum contract takes them: with the epoch's whole set beside them, since the contract stores only the set's
 * hash, and with signatures in 64 bytes each.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { Hex } from "../../field/bytes.js";
import { type Certificate, type Epoch, packMembers, type SignedVote } from "../../protocol/quorum.js";
import { compactSignature } from "../../protocol/signature.js";

/** The Solidity struct `Certificate`. */
export interface EncodedCertificate {
  epoch: bigint;
  round: bigint;
  /** Bit i: the i-th member signed. */
  bitmap: bigint;
  /** 32 bytes a member: address ‖ uint96 weight. */
  members: Hex;
  /** 64 bytes (ERC-2098) a set bit, in member order. */
  signatures: Hex;
}

/** The Solidity struct `Seat`: one member of an epoch. */
export interface EncodedSeat {
  epoch: bigint;
  index: bigint;
  members: Hex;
}

/** The Solidity struct `Ballot`: one signed vote, but for what it has in common with the one it is compared to. */
export interface EncodedBallot {
  statementDigest: Hex;
  evidenceDigest: Hex;
  verdict: bigint;
  signature: Hex;
}

/**
 * That signatures are the validators' is not checked here: the contract does, and names the one that is wrong.
 *
 * @param epoch  the set that the certificate names, as it was given to the contract
 * @throws TRUST_INVALID for a malformed epoch; EPOCH_UNKNOWN when it is not the certificate's; CERTIFICATE_INVALID for a
 *         vote of somebody who is not in it, or a second vote of a member; SIGNATURE_INVALID for a malformed signature
 */
export function encodeCertificate(epoch: Epoch, certificate: Certificate): EncodedCertificate {
  const members = packMembers(epoch);
  requireEpoch(epoch, certificate.epoch, "certificate");
  const votes = new Map(certificate.votes.map(({ validator, signature }) => [validator, signature]));
  if (votes.size !== certificate.votes.length) {
    throw new AnchorError("CERTIFICATE_INVALID", "the certificate has two votes of one validator");
  }
  let bitmap = 0n;
  let signatures: Hex = "0x";
  for (const [i, { account }] of epoch.members.entries()) {
    const signature = votes.get(account);
    if (signature === undefined) continue;
    bitmap |= 1n << BigInt(i);
    signatures += compactSignature(signature).slice(2);
    votes.delete(account);
  }
  const [foreign] = votes.keys();
  if (foreign !== undefined) {
    throw new AnchorError("CERTIFICATE_INVALID", `${foreign} is not a member of epoch ${epoch.epoch}`);
  }
  return { epoch: epoch.epoch, round: certificate.round, bitmap, members, signatures: signatures as Hex };
}

/** @throws TRUST_INVALID, EPOCH_UNKNOWN; CERTIFICATE_INVALID when the account is not in the epoch */
export function encodeSeat(epoch: Epoch, vote: { epoch: bigint }, account: Hex): EncodedSeat {
  const members = packMembers(epoch);
  requireEpoch(epoch, vote.epoch, "vote");
  const index = epoch.members.findIndex((member) => member.account === account);
  if (index < 0) throw new AnchorError("CERTIFICATE_INVALID", `${account} is not a member of epoch ${epoch.epoch}`);
  return { epoch: epoch.epoch, index: BigInt(index), members };
}

/** @throws SIGNATURE_INVALID */
export function encodeBallot({ statementDigest, evidenceDigest, verdict, signature }: SignedVote): EncodedBallot {
  return { statementDigest, evidenceDigest, verdict, signature: compactSignature(signature) };
}

function requireEpoch({ epoch }: Epoch, number: bigint, what: string): void {
  if (epoch !== number) throw new AnchorError("EPOCH_UNKNOWN", `the ${what} is of epoch ${number}, not of ${epoch}`);
}
