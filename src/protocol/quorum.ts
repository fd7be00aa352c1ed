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

const ZERO_ACCOUNT: Hex = `0x${"00".repeat(20)}`;

/** Bits of a weight, which shares a word with its member's address. */
const WEIGHT_BITS = 96n;

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

/** The set as the quorum contract takes it: 32 bytes a member, address ‖ uint96 weight. @throws TRUST_INVALID */
export function packMembers(epoch: Epoch): Hex {
  checkEpoch(epoch);
  const packed = epoch.members.map(({ account, weight }) => {
    const bytes = word(weight);
    bytes.set(fromHex(account, "member", 20));
    return bytes;
  });
  return toHex(concat(...packed));
}

/** `keccak256(uint64 epoch ‖ packed members)`: what the quorum contract stores. @throws TRUST_INVALID */
export function epochHash(epoch: Epoch): Hex {
  const members = fromHex(packMembers(epoch), "members");
  return toHex(keccak(word(epoch.epoch).subarray(24), members));
}

/** @throws TRUST_INVALID */
export function checkEpoch({ epoch, members }: Epoch): void {
  if (epoch >> 64n !== 0n) throw new AnchorError("TRUST_INVALID", "an epoch's number is below 2^64");
  if (members.length === 0 || members.length > 256)
    throw new AnchorError("TRUST_INVALID", "an epoch has 1 to 256 members");
  members.forEach((member, i) => {
    if (member.weight <= 0n || member.weight >> WEIGHT_BITS !== 0n) {
      throw new AnchorError("TRUST_INVALID", "a member's weight is positive and below 2^96");
    }
    if (member.account <= (i > 0 ? members[i - 1]!.account : ZERO_ACCOUNT)) {
      throw new AnchorError(
        "TRUST_INVALID",
        "an epoch's members stand in ascending order, each once, without the zero account",
      );
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

/** A vote with its signature, as validators pass it on. */
export interface SignedVote extends Vote {
  signature: Hex;
}

/** Two different votes of one member on one task in one round of one epoch: what costs the member its bond. */
export interface Equivocation {
  validator: Hex;
  one: SignedVote;
  other: SignedVote;
}

/**
 * Whether two votes show that their signer voted twice.
 *
 * @returns the evidence, or `undefined` when they are of two signers, about different things, or the same
 * @throws SIGNATURE_INVALID, INPUT_INVALID for what is no vote
 */
export function equivocation(domain: Domain, one: SignedVote, other: SignedVote): Equivocation | undefined {
  const [validator, second] = [one, other].map((vote) => {
    if (!Object.values<bigint>(VERDICTS).includes(vote.verdict)) {
      throw new AnchorError("INPUT_INVALID", "a verdict is 1 (accept) or 2 (reject)");
    }
    return recoverSigner(voteDigest(domain, vote), vote.signature);
  });
  const same = (...fields: (keyof Vote)[]) => fields.every((field) => one[field] === other[field]);
  if (validator !== second || !same("epoch", "taskId", "round")) return undefined;
  if (same("statementDigest", "evidenceDigest", "verdict")) return undefined;
  return { validator: validator!, one, other };
}

/**
 * The validators among `votes` who voted twice: one {@link equivocation} for each, and each epoch, task and round. What is
 * no vote is left out rather than letting it hide the rest.
 */
export function findEquivocations(domain: Domain, votes: readonly SignedVote[]): Equivocation[] {
  const first = new Map<string, SignedVote>();
  const found = new Map<string, Equivocation>();
  for (const vote of votes) {
    try {
      const signer = recoverSigner(voteDigest(domain, vote), vote.signature);
      const slot = [signer, vote.epoch, vote.taskId, vote.round].join("/");
      const before = first.get(slot);
      // Of votes that are not all equal one differs from the first.
      const evidence = before && !found.has(slot) ? equivocation(domain, before, vote) : undefined;
      if (evidence) found.set(slot, evidence);
      if (!before) first.set(slot, vote);
    } catch {
      // not a vote
    }
  }
  return [...found.values()];
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
