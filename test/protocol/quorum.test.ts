import { Signature, solidityPacked, solidityPackedKeccak256, verifyTypedData } from "ethers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Hex, toHex } from "../../src/field/bytes.js";
import { bigIntToBytes } from "../../src/field/scalar.js";
import {
  assembleCertificate,
  type Certificate,
  certificateFromJson,
  certificateToJson,
  checkCertificate,
  type Epoch,
  epochHash,
  equivocation,
  findEquivocations,
  packMembers,
  type SignedVote,
  signVote,
  VERDICTS,
  VOTE_TYPES,
  type Vote,
} from "../../src/protocol/quorum.js";
import {
  accountOf,
  compactSignature,
  expandSignature,
  recoverSigner,
  signDigest,
} from "../../src/protocol/signature.js";
import { outcomeOf } from "../support/errors.js";
import { DOMAINS, digestOf, EPOCH, party, VALIDATORS } from "../support/parties.js";

const SECP256K1_N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const subject = { taskId: digestOf("task"), statementDigest: digestOf("statement"), evidenceDigest: digestOf("proof") };
const ballot: Vote = { epoch: 1n, round: 0n, verdict: VERDICTS.accept, ...subject };

function votes(voters: readonly { secretKey: Hex }[], over = ballot): Hex[] {
  return voters.map(({ secretKey }) => signVote(DOMAINS.quorum, over, secretKey));
}

function certificate(voters = VALIDATORS): Certificate {
  return assembleCertificate(DOMAINS.quorum, EPOCH, { round: 0n, ...subject }, votes(voters));
}

const check = (made: Certificate, epochs: readonly Epoch[] = [EPOCH], about = subject) =>
  outcomeOf(() => checkCertificate(DOMAINS.quorum, epochs, made, about));

describe("signatures", () => {
  const signer = party("signer");
  const digest = digestOf("message");
  const signature = signDigest(signer.secretKey, digest);

  it("recover to the signer, and ethers agrees on typed data", () => {
    expect(recoverSigner(digest, signature)).toBe(signer.account);
    const domain = { name: "anchorproof", version: "1", ...DOMAINS.quorum };
    const [vote] = votes([signer]);
    expect(verifyTypedData(domain, { Vote: [...VOTE_TYPES["Vote"]!] }, ballot, vote!).toLowerCase()).toBe(
      signer.account,
    );
  });

  it("have one spelling: no high s, no v of 0 or 1, no other length or case", () => {
    const r = signature.slice(2, 66);
    const s = BigInt(`0x${signature.slice(66, 130)}`);
    const v = Number.parseInt(signature.slice(130), 16);
    const twin = `0x${r}${toHex(bigIntToBytes(SECP256K1_N - s, 32)).slice(2)}${(55 - v).toString(16)}`;
    for (const other of [
      twin,
      `${signature.slice(0, 130)}${(v - 27).toString(16).padStart(2, "0")}`,
      signature.slice(0, -2),
      `${signature}00`,
      signature.toUpperCase().replace("0X", "0x"),
      `0x${"00".repeat(65)}`,
      `0x${"ff".repeat(64)}1b`,
      undefined,
      7,
    ]) {
      expect(outcomeOf(() => recoverSigner(digest, other))).toBe("SIGNATURE_INVALID");
      expect(outcomeOf(() => compactSignature(other))).toBe("SIGNATURE_INVALID");
    }
  });

  it("have a compact form, ethers' own, and only good ones have it", () => {
    fc.assert(
      fc.property(fc.string(), (label) => {
        const full = signDigest(signer.secretKey, digestOf(label));
        expect(compactSignature(full)).toBe(Signature.from(full).compactSerialized);
        expect(expandSignature(compactSignature(full))).toBe(full);
      }),
      { numRuns: 30 },
    );
    const compact = compactSignature(signature);
    const tooHigh = `0x${"11".repeat(32)}7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1`;
    for (const other of [signature, compact.slice(0, -2), compact.toUpperCase(), tooHigh, undefined]) {
      expect(outcomeOf(() => expandSignature(other))).toBe("SIGNATURE_INVALID");
    }
  });

  it("refuse keys that are none", () => {
    expect(outcomeOf(() => accountOf(`0x${"00".repeat(32)}`))).toBe("INPUT_INVALID");
    expect(outcomeOf(() => accountOf("0x01"))).toBe("INPUT_INVALID");
  });
});

describe("certificates", () => {
  it("of four and of three votes of four hold", () => {
    expect(check(certificate())).toBe("accepted");
    expect(check(certificate(VALIDATORS.slice(1)))).toBe("accepted");
  });

  it("need more than two thirds: exactly two thirds is not enough", () => {
    const members = VALIDATORS.slice(0, 3).map(({ account }) => ({ account, weight: 1n }));
    const epoch: Epoch = { epoch: 1n, members };
    expect(
      outcomeOf(() =>
        assembleCertificate(DOMAINS.quorum, epoch, { round: 0n, ...subject }, votes(VALIDATORS.slice(0, 2))),
      ),
    ).toBe("QUORUM_NOT_REACHED");
    const heavier = { epoch: 1n, members: members.map((member, i) => ({ ...member, weight: i < 2 ? 3n : 2n })) };
    expect(check({ ...certificate(), votes: certificate(VALIDATORS).votes.slice(0, 2) }, [heavier])).toBe("accepted");
  });

  it("count a member once, and outsiders not at all", () => {
    const [first] = VALIDATORS;
    const signatures = votes([first!, first!, first!, party("outsider"), party("another")]);
    expect(outcomeOf(() => assembleCertificate(DOMAINS.quorum, EPOCH, { round: 0n, ...subject }, signatures))).toBe(
      "QUORUM_NOT_REACHED",
    );
    const vote = certificate().votes[0]!;
    expect(check({ ...certificate(), votes: [vote, vote, ...certificate().votes.slice(1)] })).toBe(
      "CERTIFICATE_INVALID",
    );
  });

  it("are spoiled by a foreign, moved or unordered vote", () => {
    const made = certificate();
    const outsider = party("outsider");
    const foreign = { validator: outsider.account, signature: votes([outsider])[0]! };
    const sorted = [...made.votes, foreign].sort((a, b) => (a.validator < b.validator ? -1 : 1));
    expect(check({ ...made, votes: sorted })).toBe("CERTIFICATE_INVALID");
    expect(check({ ...made, votes: [...made.votes].reverse() })).toBe("CERTIFICATE_INVALID");
    const moved = made.votes.map((vote, i) => ({ ...vote, signature: made.votes[(i + 1) % 4]!.signature }));
    expect(check({ ...made, votes: moved })).toBe("CERTIFICATE_INVALID");
  });

  it("are for one statement, one proof, one task, one round, one epoch and one contract", () => {
    for (const key of ["taskId", "statementDigest", "evidenceDigest"] as const) {
      expect(check(certificate(), [EPOCH], { ...subject, [key]: digestOf("other") })).toBe("CERTIFICATE_INVALID");
    }
    expect(check({ ...certificate(), round: 1n })).toBe("CERTIFICATE_INVALID");
    expect(check({ ...certificate(), epoch: 2n })).toBe("EPOCH_UNKNOWN");
    expect(check({ ...certificate(), epoch: 2n }, [{ ...EPOCH, epoch: 2n }])).toBe("CERTIFICATE_INVALID");
    expect(outcomeOf(() => checkCertificate(DOMAINS.gate, [EPOCH], certificate(), subject))).toBe(
      "CERTIFICATE_INVALID",
    );
  });

  it("do not count rejecting votes", () => {
    const against = votes(VALIDATORS, { ...ballot, verdict: VERDICTS.reject });
    expect(outcomeOf(() => assembleCertificate(DOMAINS.quorum, EPOCH, { round: 0n, ...subject }, against))).toBe(
      "QUORUM_NOT_REACHED",
    );
  });

  it("survive JSON, and only JSON of their own shape", () => {
    expect(certificateFromJson(certificateToJson(certificate()), "c")).toEqual(certificate());
    for (const wrong of [
      null,
      {},
      { ...certificateToJson(certificate()), votes: [{}] },
      { ...certificateToJson(certificate()), votes: 1 },
    ]) {
      expect(outcomeOf(() => certificateFromJson(wrong, "c"))).toBe("CERTIFICATE_INVALID");
    }
  });
});

describe("equivocation", () => {
  const [a, b] = VALIDATORS as [(typeof VALIDATORS)[0], (typeof VALIDATORS)[0]];
  const signed = (changes: Partial<Vote> = {}, by = a): SignedVote => {
    const vote = { ...ballot, ...changes };
    return { ...vote, signature: signVote(DOMAINS.quorum, vote, by.secretKey) };
  };
  const find = (one: SignedVote, other: SignedVote) => equivocation(DOMAINS.quorum, one, other);

  it("is two votes of one member on one task in one round that differ in what they say", () => {
    const changes = [
      { statementDigest: digestOf("other") },
      { evidenceDigest: digestOf("other") },
      { verdict: VERDICTS.reject },
    ];
    for (const change of changes) {
      expect(find(signed(), signed(change))).toEqual({ validator: a.account, one: signed(), other: signed(change) });
    }
  });

  it("is not the same vote twice, nor votes of two members, epochs, tasks or rounds", () => {
    const other = { statementDigest: digestOf("other") };
    expect(find(signed(), signed())).toBeUndefined();
    expect(find(signed(), signed(other, b))).toBeUndefined();
    for (const change of [{ epoch: 2n }, { round: 1n }, { taskId: digestOf("another") }]) {
      expect(find(signed(), signed({ ...other, ...change }))).toBeUndefined();
    }
    // A signature for another vote is some stranger's for this one.
    expect(find(signed(), { ...signed(), ...other })).toBeUndefined();
    expect(outcomeOf(() => find(signed(), signed({ verdict: 3n })))).toBe("INPUT_INVALID");
    expect(outcomeOf(() => find(signed(), { ...signed(other), signature: "0x00" }))).toBe("SIGNATURE_INVALID");
  });

  it("is found among votes, once for each offence, whatever else is among them", () => {
    const other = { evidenceDigest: digestOf("other") };
    const third = { evidenceDigest: digestOf("third") };
    const later = signed({ round: 1n, ...other });
    const garbage = { ...signed(other), signature: "0x" as Hex };
    const votes = [
      signed(),
      garbage,
      signed({}, b),
      signed(),
      later,
      signed(other),
      signed({ round: 1n }),
      signed(third),
    ];
    expect(findEquivocations(DOMAINS.quorum, votes)).toEqual([
      { validator: a.account, one: signed(), other: signed(other) },
      { validator: a.account, one: later, other: signed({ round: 1n }) },
    ]);
    expect(findEquivocations(DOMAINS.quorum, [signed(), signed({}, b), signed()])).toEqual([]);
  });
});

describe("epochs", () => {
  it("hash as the contract does: number and members packed", () => {
    const types = ["uint64", ...EPOCH.members.flatMap(() => ["address", "uint96"])];
    const values = [EPOCH.epoch, ...EPOCH.members.flatMap(({ account, weight }) => [account, weight])];
    expect(epochHash(EPOCH)).toBe(solidityPackedKeccak256(types, values));
    expect(packMembers(EPOCH)).toBe(solidityPacked(types.slice(1), values.slice(1)));
    const most = { epoch: (1n << 64n) - 1n, members: [{ ...EPOCH.members[0]!, weight: (1n << 96n) - 1n }] };
    const { account, weight } = most.members[0]!;
    expect(epochHash(most)).toBe(
      solidityPackedKeccak256(["uint64", "address", "uint96"], [most.epoch, account, weight]),
    );
  });

  it("have members in order, once, with weight", () => {
    const [a, b] = EPOCH.members as [Epoch["members"][0], Epoch["members"][0]];
    const zero = { ...a, account: `0x${"00".repeat(20)}` as Hex };
    const heavy = { ...a, weight: 1n << 96n };
    for (const members of [[], [b, a], [a, a], [{ ...a, weight: 0n }, b], [zero, a], [heavy, b]]) {
      expect(outcomeOf(() => epochHash({ epoch: 1n, members }))).toBe("TRUST_INVALID");
    }
    for (const epoch of [-1n, 1n << 64n]) {
      expect(outcomeOf(() => epochHash({ epoch, members: [a] }))).toBe("TRUST_INVALID");
    }
  });
});
