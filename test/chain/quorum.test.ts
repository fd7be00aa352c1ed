import { secp256k1 } from "@noble/curves/secp256k1.js";
import { Contract, isCallException } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { type EncodedCertificate, encodeCertificate } from "../../src/chain/client/certificate.js";
import {
  artefact,
  type ContractArtefacts,
  compileContracts,
  compileProtocolContracts,
} from "../../src/chain/compile.js";
import { deployProtocol } from "../../src/chain/deploy.js";
import { concat, fromHex, type Hex, toHex, word } from "../../src/field/bytes.js";
import { checkCertificate, type Epoch, epochHash, packMembers } from "../../src/protocol/quorum.js";
import { accountOf, compactSignature, expandSignature } from "../../src/protocol/signature.js";
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

/** Bytes in pieces of `size`, and back. */
const split = (bytes: Hex, size: number): Hex[] =>
  Array.from<unknown, Hex>(
    { length: (bytes.length - 2) / 2 / size },
    (_, i) => `0x${bytes.slice(2 + 2 * size * i, 2 + 2 * size * (i + 1))}`,
  );
const join = (...pieces: Hex[]): Hex => `0x${pieces.map((piece) => piece.slice(2)).join("")}`;

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
    const [first] = split(good.signatures, 64);
    expect(await check({ ...good, signatures: join(first!, first!) })).toBe("SignerWrong");
    expect(await check({ ...good, signatures: join(good.signatures, first!) })).toBe("SignaturesLengthWrong");
    const [member, , ...rest] = split(good.members, 32);
    expect(await check({ ...good, members: join(member!, member!, ...rest) })).toBe("SetUnknown");
  });

  it("with signatures or members out of order are refused", async () => {
    const good = encoded();
    expect(await check({ ...good, signatures: join(...split(good.signatures, 64).reverse()) })).toBe("SignerWrong");
    expect(await check({ ...good, members: join(...split(good.members, 32).reverse()) })).toBe("SetUnknown");
  });

  it("with a foreign signature, member or weight are refused", async () => {
    const good = encoded();
    const stranger = { ...world, secrets: [secretOf("stranger"), ...world.secrets.slice(1)] };
    const [foreign] = certify(stranger, subject).votes;
    const others = split(good.signatures, 64).slice(1);
    expect(await check({ ...good, signatures: join(compactSignature(foreign!.signature), ...others) })).toBe(
      "SignerWrong",
    );
    const [first, ...members] = split(good.members, 32);
    const strange = join(accountOf(secretOf("stranger")), `0x${first!.slice(42)}`);
    expect(await check({ ...good, members: join(strange, ...members) })).toBe("SetUnknown");
    const heavier = join(`0x${first!.slice(2, 42)}`, toHex(word(1000n).subarray(20)));
    expect(await check({ ...good, members: join(heavier, ...members) })).toBe("SetUnknown");
    expect(await check({ ...good, members: "0x", bitmap: 0n, signatures: "0x" })).toBe("SetUnknown");
    expect(await check({ ...good, members: join(good.members, "0x00") })).toBe("SetUnknown");
  });

  it("with a malleated (high-s), short, long or empty signature are refused", async () => {
    const good = encoded([0, 1]);
    const [first, second] = split(good.signatures, 64);
    const r = first!.slice(2, 66);
    const vs = BigInt(`0x${first!.slice(66)}`);
    const parity = vs >> 255n;
    const s = vs & ((1n << 255n) - 1n);
    // The other spelling does not fit 255 bits: its top bit would be read as the parity of y.
    const twin = secp256k1.Point.Fn.ORDER - s;
    const put = (value: bigint): Hex => `0x${r}${toHex(word(value & ((1n << 256n) - 1n))).slice(2)}`;
    const flipped = put(vs ^ (1n << 255n));
    const wrongSigner = [put(twin), put((twin & ((1n << 255n) - 1n)) | ((1n - parity) << 255n)), flipped];
    for (const signature of wrongSigner) {
      expect(["SignerWrong", "SignatureMalformed"]).toContain(
        await check({ ...good, signatures: join(signature, second!) }),
      );
    }
    const half = secp256k1.Point.Fn.ORDER >> 1n;
    for (const signature of [put(half + 1n), put(0n), `0x${"00".repeat(64)}`, `0x${"ff".repeat(64)}`] as Hex[]) {
      expect(await check({ ...good, signatures: join(signature, second!) })).toBe("SignatureMalformed");
    }
    const bad: Hex[] = ["0x", first!.slice(0, -2) as Hex, `${first!}00`, expandSignature(first!)];
    for (const signature of bad) {
      expect(await check({ ...good, signatures: join(signature, second!) })).toBe("SignaturesLengthWrong");
    }
  });

  it("with a bitmap that does not fit are refused", async () => {
    const good = encoded();
    expect(await check({ ...good, bitmap: good.bitmap | (1n << 4n) })).toBe("BitmapOutOfRange");
    expect(await check({ ...good, bitmap: 1n << 255n })).toBe("BitmapOutOfRange");
    expect(await check({ ...good, bitmap: 0b111n })).toBe("SignaturesLengthWrong");
    expect(await check({ ...encoded([0, 1, 2]), bitmap: 0b1111n })).toBe("SignaturesLengthWrong");
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
      // Nor do votes under the new number that are shown with the old set.
      await world.client.quorum.setEpoch({ epoch: 3n, members: world.epoch.members.slice(1) });
      expect(await check({ ...good, epoch: 3n })).toBe("SetUnknown");
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
      const members = packMembers({ epoch: 2n, members: [{ account, weight: 1n }] });
      const certificate = { epoch: 2n, round: 0n, members, bitmap: 1n };
      const [signature] = split(encoded().signatures, 64);
      expect(await check({ ...certificate, signatures: signature! })).toBe("SignerWrong");
      expect(await check({ ...certificate, signatures: "0x" })).toBe("SignaturesLengthWrong");
    });
  });

  it("of five members of seven cost at most 65,000 gas, transaction and call data included", async () => {
    await undone(chain.provider, async () => {
      const secrets = Array.from({ length: 7 }, (_, i) => secretOf(`seat/${i}`)).sort((x, y) =>
        accountOf(x) < accountOf(y) ? -1 : 1,
      );
      // Weights without zero bytes, and digests of three hashes: nothing about it is cheap.
      const weight = BigInt(`0x${"a5".repeat(12)}`);
      const epoch: Epoch = { epoch: 2n, members: secrets.map((secret) => ({ account: accountOf(secret), weight })) };
      await world.client.quorum.setEpoch(epoch);
      const certificate = certify({ ...world, epoch, secrets }, subject, { voters: [0, 2, 3, 5, 6] });
      const { taskId, statementDigest, evidenceDigest } = subject;
      const data = quorum.interface.encodeFunctionData("check", [
        taskId,
        statementDigest,
        evidenceDigest,
        1n,
        encodeCertificate(epoch, certificate),
      ]);
      const sent = await chain.accounts[0]!.sendTransaction({ to: world.deployment.quorum, data });
      const receipt = await sent.wait();
      expect(receipt!.status).toBe(1);
      expect(receipt!.gasUsed).toBeLessThanOrEqual(65_000n);
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
    const { epoch, setHash } = await world.client.quorum.epoch();
    expect({ epoch, setHash }).toEqual({ epoch: 1n, setHash: epochHash(world.epoch) });
  });

  it("are refused by client and contract alike when a set is malformed", async () => {
    const [a, b] = world.epoch.members;
    const sets: [Epoch["members"], string][] = [
      [[], "MembersInvalid"],
      [[b!, a!], "MembersNotAscending"],
      [[a!, a!], "MembersNotAscending"],
      [[{ account: `0x${"00".repeat(20)}`, weight: 1n }, a!], "MembersNotAscending"],
      [[{ ...a!, weight: 0n }, b!], "WeightZero"],
      [
        Array.from({ length: 257 }, (_, i) => ({ account: toHex(word(BigInt(i + 1)).subarray(12)), weight: 1n })),
        "MembersInvalid",
      ],
    ];
    for (const [members, error] of sets) {
      const refused = world.client.quorum.setEpoch({ epoch: 2n, members });
      await expect(refused).rejects.toMatchObject({ code: "TRUST_INVALID" });
      const packed = concat(
        ...members.map(({ account, weight }) => concat(fromHex(account, "account", 20), word(weight).subarray(20))),
      );
      const data = quorum.interface.encodeFunctionData("setEpoch", [2n, packed]);
      const call = { from: chain.addresses[0]!, to: world.deployment.quorum, data };
      const failure = await chain.provider.call(call).catch((reason: unknown) => reason);
      expect(isCallException(failure) && quorum.interface.parseError(failure.data!)?.name).toBe(error);
    }
  });

  it("hold up to 256 members, with the largest weights that fit", async () => {
    await undone(chain.provider, async () => {
      const weight = 2n ** 96n - 1n;
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
    const { quorum: at } = await deployProtocol(chain.accounts[0]!);
    const fresh = quorum.attach(at) as Contract;
    const { taskId, statementDigest, evidenceDigest } = subject;
    const empty = { epoch: 0n, round: 0n, members: "0x", bitmap: 0n, signatures: "0x" };
    const data = fresh.interface.encodeFunctionData("check", [taskId, statementDigest, evidenceDigest, 1n, empty]);
    expect(await outcome(chain.provider, await fresh.getAddress(), data, artefact(artefacts, "Quorum").abi)).toBe(
      "EpochNotCurrent",
    );
  });
});
