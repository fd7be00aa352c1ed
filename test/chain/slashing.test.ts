/** Bonds and evidence through the clients, against real verifiers: generated and universal. */
import { Contract, Wallet } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { encodeSeat } from "../../src/chain/client/certificate.js";
import { AnchorClient } from "../../src/chain/client/index.js";
import { artefact, type ContractArtefacts, compileProtocolContracts } from "../../src/chain/compile.js";
import { encodeUniversalKey } from "../../src/chain/universal.js";
import type { Hex } from "../../src/field/bytes.js";
import { R } from "../../src/field/scalar.js";
import { equivocation, type SignedVote, signVote, VERDICTS, type Vote } from "../../src/protocol/quorum.js";
import { compactSignature } from "../../src/protocol/signature.js";
import { evidenceDigest, keyDigest, type Proof, proofWords } from "../../src/verifier/groth16.js";
import { advance, CIRCUIT_DIGEST, digestOf, expectRevert, outcome, undone, useChain } from "./fixture.js";
import { type SimulatedKey, simulateKey, simulateProof, wrongSubgroupG2 } from "./simulated.js";
import { createWorld, INFERENCE_KEY, type World } from "./world.js";

const ETHER = 10n ** 18n;
const Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
const UNIVERSAL_KEY = simulateKey(3, "universal inference");

const chain = useChain();
let world: World;
let artefacts: ContractArtefacts;
/** A client of each validator. */
let validators: AnchorClient[];
/** The key of the universal verifier. */
let universalKey: Hex;

beforeAll(async () => {
  world = await createWorld(chain);
  artefacts = await compileProtocolContracts();
  validators = await Promise.all(
    world.secrets.map(async (secret, i) => {
      await chain.provider.send("anvil_setBalance", [
        world.epoch.members[i]!.account,
        `0x${(100n * ETHER).toString(16)}`,
      ]);
      return AnchorClient.connect(world.deployment, new Wallet(secret, chain.provider));
    }),
  );
  for (const validator of validators) await validator.quorum.bond(10n * ETHER);
  universalKey = keyDigest(UNIVERSAL_KEY.vkey);
  const key = encodeUniversalKey({ vkey: UNIVERSAL_KEY.vkey, circuitDigest: CIRCUIT_DIGEST, development: true });
  await world.client.universal.store(key);
  await world.client.registry.add({
    keyDigest: universalKey,
    verifier: world.deployment.universal,
    universal: true,
    circuitType: "inference",
    circuitDigest: CIRCUIT_DIGEST,
    modelDigest: digestOf("another model"),
    development: true,
  });
});

function vote(by: number, changes: Partial<Vote> = {}): SignedVote {
  const ballot: Vote = {
    epoch: 1n,
    taskId: digestOf("task"),
    round: 0n,
    statementDigest: digestOf("statement"),
    evidenceDigest: digestOf("evidence"),
    verdict: VERDICTS.accept,
    ...changes,
  };
  return { ...ballot, signature: signVote(world.quorum, ballot, world.secrets[by]!) };
}

interface Evidence {
  keyDigest: Hex;
  publicSignals: bigint[];
  proof: Proof;
}

function evidence(key: SimulatedKey, change: (evidence: Evidence) => void = () => {}): Evidence {
  const publicSignals = [7n, 11n, 13n];
  const made = { keyDigest: keyDigest(key.vkey), publicSignals, proof: simulateProof(key, publicSignals) };
  change(made);
  return made;
}

/** An acceptance of exactly this evidence. */
function acceptance(by: number, made: Evidence): SignedVote {
  return vote(by, { evidenceDigest: evidenceDigest(made.keyDigest, made.publicSignals, made.proof) });
}

describe("bonds", () => {
  it("are paid in, asked for, asked for no more, and taken out after epoch, window and delay", async () => {
    await undone(chain.provider, async () => {
      const [, own] = validators;
      const { account } = world.epoch.members[1]!;
      const { unbondingDelay, disputeWindow } = await own!.quorum.terms();
      expect(unbondingDelay).toBeGreaterThan(disputeWindow);
      await own!.quorum.requestUnbond(4n * ETHER);
      expect(await own!.quorum.bondOf(account)).toMatchObject({
        bonded: 6n * ETHER,
        unbonding: 4n * ETHER,
        lastEpoch: 1n,
      });
      await expectRevert(own!.quorum.completeUnbond(), "UnbondingNotOver");
      await own!.quorum.cancelUnbond();
      expect(await own!.quorum.bondOf(account)).toMatchObject({ bonded: 10n * ETHER, unbonding: 0n, releaseAt: 0n });
      await own!.quorum.requestUnbond(10n * ETHER);
      await advance(chain.provider, unbondingDelay);
      await world.client.quorum.setEpoch({ epoch: 2n, members: world.epoch.members.slice(2) });
      await expectRevert(own!.quorum.completeUnbond(), "DisputeWindowOpen");
      await advance(chain.provider, disputeWindow);
      const before = await chain.provider.getBalance(account);
      await own!.quorum.completeUnbond();
      const gained = (await chain.provider.getBalance(account)) - before;
      expect(gained).toBeGreaterThan(9n * ETHER);
      expect(await own!.quorum.bondOf(account)).toMatchObject({ bonded: 0n, unbonding: 0n });
    });
  });
});

describe("evidence of an equivocation", () => {
  it("costs the member its share, pays reporter and treasury, and is good once", async () => {
    await undone(chain.provider, async () => {
      const found = equivocation(world.quorum, vote(2), vote(2, { verdict: VERDICTS.reject }))!;
      const reporter = await world.as(5);
      const { member, amount, reward } = await reporter.quorum.slashEquivocation(found, world.epoch);
      expect({ member, amount, reward }).toEqual({
        member: world.epoch.members[2]!.account,
        amount: 5n * ETHER,
        reward: ETHER / 2n,
      });
      expect(await reporter.quorum.owed(chain.addresses[5]!)).toBe(ETHER / 2n);
      await reporter.quorum.withdraw(chain.addresses[6]!);
      expect(await reporter.quorum.owed(chain.addresses[5]!)).toBe(0n);
      const treasury = await world.as(9);
      await treasury.quorum.withdraw(chain.addresses[9]!);
      expect(await chain.provider.getBalance(world.deployment.quorum)).toBe(35n * ETHER);
      await expectRevert(reporter.quorum.slashEquivocation(found, world.epoch), "AlreadySlashed");
    });
  });

  it("is not encoded for another epoch, or somebody who is in none", async () => {
    const found = equivocation(world.quorum, vote(2), vote(2, { verdict: VERDICTS.reject }))!;
    const { quorum } = world.client;
    await expect(quorum.slashEquivocation(found, { ...world.epoch, epoch: 2n })).rejects.toMatchObject({
      code: "EPOCH_UNKNOWN",
    });
    const without = { ...world.epoch, members: world.epoch.members.slice(0, 2) };
    await expect(quorum.slashEquivocation(found, without)).rejects.toMatchObject({ code: "CERTIFICATE_INVALID" });
  });
});

describe.each([
  ["a generated verifier", INFERENCE_KEY],
  ["the universal verifier", UNIVERSAL_KEY],
])("evidence of an invalid acceptance, by %s", (_, key) => {
  const slash = (made: Evidence, by = 3) =>
    world.client.quorum.slashInvalidAcceptance(world.quorum, acceptance(by, made), made, world.epoch);

  // Sent as a client sends everything, with the gas that the node estimates.
  it.each<[string, (made: Evidence) => void]>([
    ["does not hold", (made) => (made.publicSignals[0]! += 1n)],
    ["has a signal out of the field", (made) => (made.publicSignals[0]! += R)],
    ["has a point at infinity", (made) => (made.proof = { ...made.proof, c: [0n, 0n] })],
    [
      "has a point off its curve",
      (made) => (made.proof = { ...made.proof, a: [made.proof.a[0], made.proof.a[1] + 1n] }),
    ],
    [
      "has another spelling of a coordinate",
      (made) => (made.proof = { ...made.proof, c: [made.proof.c[0] + Q, made.proof.c[1]] }),
    ],
    ["has a point outside the subgroup", (made) => (made.proof = { ...made.proof, b: wrongSubgroupG2() })],
  ])("is a proof that %s", async (_, change) => {
    await undone(chain.provider, async () => {
      const { member, amount } = await slash(evidence(key, change));
      expect([member, amount]).toEqual([world.epoch.members[3]!.account, 5n * ETHER]);
    });
  });

  it("is not a good proof, at any amount of gas", async () => {
    await expectRevert(slash(evidence(key)), "ProofHolds");
    const quorum = new Contract(world.deployment.quorum, artefact(artefacts, "Quorum").abi);
    const made = evidence(key);
    const signed = acceptance(3, made);
    const data = quorum.interface.encodeFunctionData("slashInvalidAcceptance", [
      encodeSeat(world.epoch, signed, world.epoch.members[3]!.account),
      signed.taskId,
      signed.round,
      signed.statementDigest,
      compactSignature(signed.signature),
      { keyDigest: made.keyDigest, signals: made.publicSignals, proof: proofWords(made.proof) },
    ]);
    const seen = new Set<string>();
    const at = (gas: number) =>
      outcome(chain.provider, world.deployment.quorum, data, artefact(artefacts, "Quorum").abi, { gas });
    for (let gas = 40_000; gas < 900_000; gas += 9_973) seen.add(await at(gas));
    // Around the amount from which the verifier has enough, by single steps of the search.
    let [low, high] = [40_000, 900_000];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      const answer = await at(middle);
      seen.add(answer);
      if (answer === "ProofHolds") high = middle;
      else low = middle;
    }
    for (let gas = high - 40; gas < high + 40; gas++) seen.add(await at(gas));
    expect(seen).toContain("ProofHolds");
    expect(seen.size).toBeGreaterThan(2);
    expect(seen).not.toContain("ok");
  });

  it("is nothing under a frozen key", async () => {
    await undone(chain.provider, async () => {
      const made = evidence(key, ({ publicSignals }) => (publicSignals[0]! += 1n));
      await (await world.as(8)).registry.freeze(made.keyDigest);
      await expectRevert(slash(made), "KeyFrozen");
    });
  });

  it("is nothing under an unknown key, or with another number of signals", async () => {
    await expectRevert(slash(evidence(key, (made) => (made.keyDigest = digestOf("unknown")))), "KeyUnknown");
    await expectRevert(slash(evidence(key, ({ publicSignals }) => publicSignals.push(1n))), "EvidenceSignalsWrong");
  });

  it("is named as TypeScript names it", async () => {
    const made = evidence(key);
    const quorum = new Contract(world.deployment.quorum, artefact(artefacts, "Quorum").abi, chain.provider);
    const given = { keyDigest: made.keyDigest, signals: made.publicSignals, proof: proofWords(made.proof) };
    expect(await quorum.getFunction("evidenceDigestOf")(given)).toBe(acceptance(0, made).evidenceDigest);
  });

  it("is no rejection", async () => {
    const made = evidence(key, ({ publicSignals }) => (publicSignals[0]! += 1n));
    const { evidenceDigest } = acceptance(3, made);
    const rejection = vote(3, { evidenceDigest, verdict: VERDICTS.reject });
    await expect(
      world.client.quorum.slashInvalidAcceptance(world.quorum, rejection, made, world.epoch),
    ).rejects.toMatchObject({ code: "INPUT_INVALID" });
  });
});
