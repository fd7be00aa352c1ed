/** A validator never signs two different votes for one place. */
import { describe, expect, it } from "vitest";
import { type Hex, keccak, toHex, utf8 } from "../../src/field/bytes.js";
import { VERDICTS, type Vote } from "../../src/protocol/quorum.js";
import { VoteRecord } from "../../src/protocol/voteRecord.js";

const digestOf = (label: string): Hex => toHex(keccak(utf8(label)));
const domain = { chainId: 31337n, verifyingContract: `0x${"11".repeat(20)}` as Hex };
const vote: Vote = {
  epoch: 3n,
  taskId: digestOf("task"),
  round: 0n,
  statementDigest: digestOf("statement"),
  evidenceDigest: digestOf("evidence"),
  verdict: VERDICTS.accept,
};

function recorded(...votes: Vote[]): VoteRecord {
  const record = new VoteRecord();
  for (const each of votes) record.add(domain, each);
  return record;
}

describe("a record of votes", () => {
  it("takes the same vote again, and says that it is there", () => {
    const record = new VoteRecord();
    expect(record.add(domain, vote)).toBe(true);
    expect(record.add(domain, { ...vote })).toBe(false);
    expect(record.size).toBe(1);
  });

  it.each<[string, Partial<Vote>]>([
    ["statement", { statementDigest: digestOf("another") }],
    ["evidence", { evidenceDigest: digestOf("another") }],
    ["verdict", { verdict: VERDICTS.reject }],
  ])("refuses another %s for the same place", (_, change) => {
    const record = recorded(vote);
    expect(() => record.add(domain, { ...vote, ...change })).toThrow(
      expect.objectContaining({ code: "VOTE_CONFLICT" }),
    );
    // The first vote still stands.
    expect(record.add(domain, vote)).toBe(false);
  });

  it.each<[string, Partial<Vote>]>([
    ["epoch", { epoch: 4n }],
    ["task", { taskId: digestOf("another") }],
    ["round", { round: 1n }],
  ])("takes another vote of another %s", (_, change) => {
    expect(recorded(vote).add(domain, { ...vote, ...change, verdict: VERDICTS.reject })).toBe(true);
  });

  it("keeps chains and quorums apart, as their signatures are", () => {
    const record = recorded(vote);
    const rejection = { ...vote, verdict: VERDICTS.reject };
    expect(record.add({ ...domain, chainId: 1n }, rejection)).toBe(true);
    expect(record.add({ ...domain, verifyingContract: `0x${"22".repeat(20)}` }, rejection)).toBe(true);
  });

  it("survives being written and read", () => {
    const read = VoteRecord.fromJson(JSON.parse(JSON.stringify(recorded(vote, { ...vote, round: 1n }).toJson())));
    expect(read.size).toBe(2);
    expect(read.add(domain, vote)).toBe(false);
    expect(() => read.add(domain, { ...vote, verdict: VERDICTS.reject })).toThrow(
      expect.objectContaining({ code: "VOTE_CONFLICT" }),
    );
  });

  it("forgets past epochs of one quorum when told", () => {
    const record = recorded(vote, { ...vote, epoch: 4n });
    record.add({ ...domain, chainId: 1n }, vote);
    record.prune(domain, 4n);
    expect(record.size).toBe(2);
    expect(record.add(domain, { ...vote, epoch: 4n })).toBe(false);
  });

  it("is not read from anything else", () => {
    const [entry] = recorded(vote).toJson()["votes"] as Record<string, unknown>[];
    const read = (json: unknown) => () => VoteRecord.fromJson(json);
    const format = "anchorproof/vote-record@1";
    const malformed = expect.objectContaining({ code: "JSON_MALFORMED" });
    expect(read({ format: "anchorproof/vote-record@2", votes: [] })).toThrow(
      expect.objectContaining({ code: "FORMAT_UNSUPPORTED" }),
    );
    for (const json of [
      null,
      [],
      { format },
      { format, votes: {} },
      { format, votes: [null] },
      { format, votes: [{ ...entry, extra: "1" }] },
      { format, votes: [{ ...entry, digest: "0x00" }] },
      { format, votes: [{ ...entry, epoch: 3 }] },
      { format, votes: [{ ...entry, round: "4294967296" }] },
      { format, votes: [entry, entry] },
    ]) {
      expect(read(json)).toThrow(malformed);
    }
    expect(read({ format, votes: [entry, { ...entry, digest: digestOf("another") }] })).toThrow(
      expect.objectContaining({ code: "VOTE_CONFLICT" }),
    );
  });
});
