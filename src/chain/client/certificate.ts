/**
 * A certificate as the quorum contract takes it: with the epoch's whole set beside it, since the contract stores only
 * the set's hash.
 *
 * @module
 */
import { AnchorError } from "../../errors.js";
import type { Hex } from "../../field/bytes.js";
import { type Certificate, checkEpoch, type Epoch } from "../../protocol/quorum.js";

/** The Solidity struct `Certificate`. */
export interface EncodedCertificate {
  epoch: bigint;
  round: bigint;
  members: Hex[];
  weights: bigint[];
  /** Bit i: members[i] signed. */
  bitmap: bigint;
  /** One a set bit, in member order. */
  signatures: Hex[];
}

/**
 * Signatures are not checked here: the contract does, and names the one that is wrong.
 *
 * @param epoch  the set that the certificate names, as it was given to the contract
 * @throws TRUST_INVALID for a malformed epoch; EPOCH_UNKNOWN when it is not the certificate's; CERTIFICATE_INVALID for a
 *         vote of somebody who is not in it, or a second vote of a member
 */
export function encodeCertificate(epoch: Epoch, certificate: Certificate): EncodedCertificate {
  checkEpoch(epoch);
  if (epoch.epoch !== certificate.epoch) {
    throw new AnchorError("EPOCH_UNKNOWN", `the certificate is of epoch ${certificate.epoch}, not of ${epoch.epoch}`);
  }
  const votes = new Map(certificate.votes.map(({ validator, signature }) => [validator, signature]));
  if (votes.size !== certificate.votes.length) {
    throw new AnchorError("CERTIFICATE_INVALID", "the certificate has two votes of one validator");
  }
  let bitmap = 0n;
  const signatures: Hex[] = [];
  for (const [i, { account }] of epoch.members.entries()) {
    const signature = votes.get(account);
    if (signature === undefined) continue;
    bitmap |= 1n << BigInt(i);
    signatures.push(signature);
    votes.delete(account);
  }
  const [foreign] = votes.keys();
  if (foreign !== undefined) {
    throw new AnchorError("CERTIFICATE_INVALID", `${foreign} is not a member of epoch ${epoch.epoch}`);
  }
  return {
    epoch: epoch.epoch,
    round: certificate.round,
    members: epoch.members.map(({ account }) => account),
    weights: epoch.members.map(({ weight }) => weight),
    bitmap,
    signatures,
  };
}
