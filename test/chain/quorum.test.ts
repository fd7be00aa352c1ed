import { secp256k1 } from "@noble/curves/secp256k1.js";
import { Contract } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { type EncodedCertificate, encodeCertificate } from "../../src/chain/client/certificate.js";
import {
  artefact,
  type ContractArtefacts,
  compileContracts,
  compileProtocolContracts,
} from "../../src/chain/compile.js";
import { type Hex, toHex, word } from "../../src/field/bytes.js";
import { checkCertificate, type Epoch, epochHash } from "../../src/protocol/quorum.js";
import { accountOf } from "../../src/protocol/signature.js";
import { deploy, digestOf, expectRevert, outcome, secretOf, undone, useChain } from "./fixture.js";
import { certify, createWorld, type Subject, type World } from "./world.js";

const chain = useChain();
let world: World;
let quorum: Contract;
let artefacts: ContractArtefacts;

const subject: Subject = {
  taskId: digestOf("task"),
  statementDigest: digestOf("statement"),
  evidenceDigest: digestOf("evidence"),
};

beforeAll(async () => {
  world = await createWorld(chain);
  artefacts = await compileProtocolContracts();
  quorum = new Contract(world.deployment.quorum, artefact(artefacts, "Quorum").abi, chain.provider);
});

/** What the contract says to a certificate that no honest client would encode. */
function check(certificate: EncodedCertificate, verdict = 1n): Promise<string> {
  const { taskId, statementDigest, evidenceDigest } = subject;
  const data = quorum.interface.encodeFunctionData("check", [
    taskId,
    statementDigest,
    evidenceDigest,
    verdict,
    certificate,
  ]);
  return outcome(chain.provider, world.deployment.quorum, data, artefact(artefacts, "Quorum").abi);
}

const encoded = (voters?: number[]) =>
  encodeCertificate(world.epoch, certify(world, subject, voters ? { voters } : {}));

describe("certificates", () => {
  it("are accepted above two thirds of the weight and refused at or below, as in TypeScript", async () => {
    // Weights 40, 30, 20, 10: every subset of the members.
    for (let bits = 0; bits < 16; bits++) {
      const voters = [0, 1, 2, 3].filter((i) => (bits >> i) & 1);
      const weight = voters.reduce((sum, i) => sum + world.epoch.members[i]!.weight, 0n);
      const enough = 3n * weight > 200n;
      expect(await check(encoded(voters)), `weight ${weight}`).toBe(enough ? "ok" : "QuorumNotReached");
      const offChain = () =>
        checkCertificate(world.quorum, [world.epoch], certify(world, subject, { voters }), subject);
      if (enough) expect(offChain().weight).toBe(weight);
      else expect(offChain).toThrow(expect.objectContaining({ code: "QUORUM_NOT_REACHED" }));
    }
  });

  it("are refused at exactly two thirds", async () => {
    await undone(chain.provider, async () => {
      const members = world.epoch.members.slice(0, 3).map(({ account }) => ({ account, weight: 1n }));
      const epoch: Epoch = { epoch: 2n, members };
      await world.client.quorum.setEpoch(epoch);
      const at = { ...world, epoch };
      const two = certify(at, subject, { voters: [0, 1] });
      await expectRevert(world.client.quorum.checkCertificate(subject, two, epoch), "QuorumNotReached");
      await world.client.quorum.checkCertificate(subject, certify(at, subject, { voters: [0, 1, 2] }), epoch);
    });
  });

  it("with a repeated signature do not count it twice", async () => {
    const good = encoded([0, 1]);
    expect(await check({ ...good, signatures: [good.signatures[0]!, good.signatures[0]!] })).toBe("SignerWrong");
    expect(await check({ ...good, signatures: [...good.signatures, good.signatures[0]!] })).toBe("SignatureCountWrong");
    expect(await check({ ...good, members: [good.members[0]!, good.members[0]!, ...good.members.slice(2)] })).toBe(
      "SetUnknown",
    );
  });

  it("with signatures or members out of order are refused", async () => {
    const good = encoded();
    expect(await check({ ...good, signatures: [...good.signatures].reverse() })).toBe("SignerWrong");
    expect(await check({ ...good, members: [...good.members].reverse() })).toBe("SetUnknown");
    expect(await check({ ...good, weights: [...good.weights].reverse() })).toBe("SetUnknown");
  });

  it("with a foreign signature, member or weight are refused", async () => {
    const good = encoded();
    const stranger = { ...world, secrets: [secretOf("stranger"), ...world.secrets.slice(1)] };
    const [foreign] = certify(stranger, subject).votes;
    expect(await check({ ...good, signatures: [foreign!.signature, ...good.signatures.slice(1)] })).toBe("SignerWrong");
    expect(await check({ ...good, members: [accountOf(secretOf("stranger")), ...good.members.slice(1)] })).toBe(
      "SetUnknown",
    );
    expect(await check({ ...good, weights: [1000n, ...good.weights.slice(1)] })).toBe("SetUnknown");
    expect(await check({ ...good, members: [], weights: [], bitmap: 0n, signatures: [] })).toBe("SetUnknown");
  });

  it("with a malleated (high-s), short, long or empty signature are refused", async () => {
    const good = encoded([0, 1]);
    const [first, second] = good.signatures;
    const r = first!.slice(2, 66);
    const s = BigInt(`0x${first!.slice(66, 130)}`);
    const v = Number.parseInt(first!.slice(130), 16);
    const high: Hex = `0x${r}${(secp256k1.Point.Fn.ORDER - s).toString(16).padStart(64, "0")}${(v ^ 7).toString(16)}`;
    expect([27, 28]).toContain(v ^ 7);
    const wrongV: Hex = `0x${first!.slice(2, 130)}${(v - 27).toString(16).padStart(2, "0")}`;
    const bad: Hex[] = [high, wrongV, "0x", first!.slice(0, -2) as Hex, `${first!}00`, `0x${"00".repeat(65)}`];
    for (const signature of bad) {
      expect(await check({ ...good, signatures: [signature, second!] })).toBe("SignatureMalformed");
    }
  });

  it("with a bitmap that does not fit are refused", async () => {
    const good = encoded();
    expect(await check({ ...good, bitmap: good.bitmap | (1n << 4n) })).toBe("BitmapOutOfRange");
    expect(await check({ ...good, bitmap: 1n << 255n })).toBe("BitmapOutOfRange");
    expect(await check({ ...good, bitmap: 0b111n })).toBe("SignatureCountWrong");
    expect(await check({ ...encoded([0, 1, 2]), bitmap: 0b1111n })).toBe("SignatureCountWrong");
  });

  it("of another epoch, round, verdict or subject are refused", async () => {
    const good = encoded();
    expect(await check({ ...good, epoch: 0n })).toBe("EpochNotCurrent");
    expect(await check({ ...good, epoch: 2n })).toBe("EpochNotCurrent");
    expect(await check({ ...good, round: 1n })).toBe("SignerWrong");
    expect(await check(good, 2n)).toBe("SignerWrong");
    for (const verdict of [0n, 3n, 255n]) expect(await check(good, verdict)).toBe("VerdictInvalid");
    await undone(chain.provider, async () => {
      await world.client.quorum.setEpoch({ ...world.epoch, epoch: 2n });
      expect(await check(good)).toBe("EpochNotCurrent");
      // Nor does the old epoch's set pass under the new number.
      expect(await check({ ...good, epoch: 2n })).toBe("SignerWrong");
    });
  });

  it("of a member that is a contract are refused: signatures are by keys only", async () => {
    const source = `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
contract Yes { function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) { return 0x1626ba7e; } }`;
    const yes = await deploy(chain.accounts[0]!, (await compileContracts({ "Yes.sol": source }))["Yes"]!);
    const account = (await yes.getAddress()).toLowerCase() as Hex;
    await undone(chain.provider, async () => {
      await world.client.quorum.setEpoch({ epoch: 2n, members: [{ account, weight: 1n }] });
      const certificate = { epoch: 2n, round: 0n, members: [account], weights: [1n], bitmap: 1n };
      const [signature] = encoded().signatures;
      expect(await check({ ...certificate, signatures: [signature!] })).toBe("SignerWrong");
      expect(await check({ ...certificate, signatures: ["0x"] })).toBe("SignatureMalformed");
    });
  });

  it("cannot be encoded with foreign or repeated votes, or for another epoch", () => {
    const good = certify(world, subject);
    const stranger = { ...good.votes[0]!, validator: accountOf(secretOf("stranger")) };
    const code = (code: string) => expect.objectContaining({ code });
    expect(() => encodeCertificate(world.epoch, { ...good, votes: [stranger] })).toThrow(code("CERTIFICATE_INVALID"));
    const twice = { ...good, votes: [good.votes[0]!, good.votes[0]!] };
    expect(() => encodeCertificate(world.epoch, twice)).toThrow(code("CERTIFICATE_INVALID"));
    expect(() => encodeCertificate({ ...world.epoch, epoch: 9n }, good)).toThrow(code("EPOCH_UNKNOWN"));
  });
});

describe("epochs", () => {
  it("are stored by the hash that TypeScript computes", async () => {
    expect(await world.client.quorum.epoch()).toEqual({ epoch: 1n, setHash: epochHash(world.epoch) });
  });

  it("are set by the owner alone, with ascending numbers and members and positive weights", async () => {
    const [a, b] = world.epoch.members;
    const set = (epoch: bigint, members: Epoch["members"]) => world.client.quorum.setEpoch({ epoch, members });
    await expectRevert(
      (await world.as(1)).quorum.setEpoch({ ...world.epoch, epoch: 2n }),
      "OwnableUnauthorizedAccount",
    );
    await expectRevert(set(1n, world.epoch.members), "EpochNotAscending");
    await expectRevert(set(0n, world.epoch.members), "EpochNotAscending");
    await expectRevert(set(2n, []), "MembersInvalid");
    await expectRevert(set(2n, [b!, a!]), "MembersNotAscending");
    await expectRevert(set(2n, [a!, a!]), "MembersNotAscending");
    await expectRevert(set(2n, [{ account: `0x${"00".repeat(20)}`, weight: 1n }, a!]), "MembersNotAscending");
    await expectRevert(set(2n, [{ ...a!, weight: 0n }, b!]), "WeightZero");
    const third = 2n ** 256n / 3n;
    await expectRevert(set(2n, [{ ...a!, weight: third }, b!]), "WeightsTooLarge");
    const many = Array.from({ length: 257 }, (_, i) => ({
      account: toHex(word(BigInt(i + 1)).subarray(12)),
      weight: 1n,
    }));
    await expectRevert(set(2n, many), "MembersInvalid");
    const data = quorum.interface.encodeFunctionData("setEpoch", [2n, [a!.account], []]);
    const failed = chain.accounts[0]!.call({ to: world.deployment.quorum, data });
    await expect(failed).rejects.toMatchObject({ data: quorum.interface.encodeErrorResult("LengthsDiffer", [1n, 0n]) });
  });

  it("hold up to 256 members, with the largest weights that fit", async () => {
    await undone(chain.provider, async () => {
      const weight = (2n ** 256n - 1n) / 3n / 256n;
      const secrets = Array.from({ length: 256 }, (_, i) => secretOf(`member/${i}`)).sort((x, y) =>
        accountOf(x) < accountOf(y) ? -1 : 1,
      );
      const epoch: Epoch = { epoch: 2n, members: secrets.map((secret) => ({ account: accountOf(secret), weight })) };
      await world.client.quorum.setEpoch(epoch);
      const voters = Array.from({ length: 171 }, (_, i) => 255 - i).reverse();
      const certificate = certify({ ...world, epoch, secrets }, subject, { voters });
      await world.client.quorum.checkCertificate(subject, certificate, epoch);
      const fewer = certify({ ...world, epoch, secrets }, subject, { voters: voters.slice(1) });
      await expectRevert(world.client.quorum.checkCertificate(subject, fewer, epoch), "QuorumNotReached");
    });
  });

  it("no certificate passes before the first epoch is set", async () => {
    const fresh = await deploy(chain.accounts[0]!, artefact(artefacts, "Quorum"), chain.addresses[0]!);
    const { taskId, statementDigest, evidenceDigest } = subject;
    const empty = { epoch: 0n, round: 0n, members: [], weights: [], bitmap: 0n, signatures: [] };
    const data = fresh.interface.encodeFunctionData("check", [taskId, statementDigest, evidenceDigest, 1n, empty]);
    expect(await outcome(chain.provider, await fresh.getAddress(), data, artefact(artefacts, "Quorum").abi)).toBe(
      "EpochNotCurrent",
    );
  });
});
