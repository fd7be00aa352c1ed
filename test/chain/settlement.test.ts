import { readFile } from "node:fs/promises";
import { type Contract, Interface, parseEther } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { SettlementClient } from "../../src/chain/client/settlement.js";
import {
  artefact,
  type ContractArtefact,
  compileContracts,
  compileProtocolContracts,
} from "../../src/chain/compile.js";
import { untilMined } from "../../src/chain/provider.js";
import type { Hex } from "../../src/field/bytes.js";
import { PACKAGE_ROOT } from "../../src/paths.js";
import { batchDigest, checkBatch, makeBatch, type ReceiptBatch } from "../../src/protocol/batch.js";
import type { Domain } from "../../src/protocol/eip712.js";
import {
  DEFAULT_SHARES,
  NATIVE_CURRENCY,
  type Receipt,
  receiptDigest,
  splitCost,
  splitRoyalties,
} from "../../src/protocol/settlement.js";
import { accountOf, signDigest } from "../../src/protocol/signature.js";
import {
  advance,
  deploy,
  digestOf,
  expectRevert,
  mineAt,
  now,
  outcome,
  secretOf,
  undone,
  useChain,
} from "./fixture.js";

const DELAY = 3600n;

const chain = useChain();
interface Party {
  settlement: SettlementClient;
}

let world: { address: Hex; domain: Domain; client: Party; as(account: number): Promise<Party> };
let assets: Contract;
let settlement: ContractArtefact;
let abi: Interface;
const datId = 77n;
let creator: Hex;
let pool: Hex;
let secondPool: Hex;
let coin: Contract;
let currency: Hex;
/** Accounts 3 to 5 of anvil as users; their keys are the well-known ones of its mnemonic. */
const USER_KEYS: Record<number, Hex> = {
  3: "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
  4: "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
  5: "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
};
const NODE_KEY = secretOf("node");
const node = accountOf(NODE_KEY);

/** The settlement over a twin of the token: what gate and quorum do is not asked here. */
beforeAll(async () => {
  const twins = "verifier-contracts/test/twins";
  const [coins, assetTwin, own] = await Promise.all(
    [`${twins}/Coins.sol`, `${twins}/AssetTwin.sol`, "verifier-contracts/src/token/IDataAnchoringToken.sol"].map(
      (path) => readFile(`${PACKAGE_ROOT}/${path}`, "utf8"),
    ),
  );
  const compiled = await compileContracts({
    [`${twins}/Coins.sol`]: coins!,
    [`${twins}/AssetTwin.sol`]: assetTwin!,
    "verifier-contracts/src/token/IDataAnchoringToken.sol": own!,
  });
  const artefacts = await compileProtocolContracts();
  settlement = artefact(artefacts, "UsageSettlement");
  abi = new Interface(settlement.abi);
  const [owner] = chain.accounts;
  pool = chain.addresses[9]!;
  secondPool = chain.addresses[8]!;
  creator = chain.addresses[1]!;
  coin = await deploy(owner!, artefact(compiled, "Coin"));
  currency = (await coin.getAddress()).toLowerCase() as Hex;
  assets = await deploy(owner!, artefact(compiled, "AssetTwin"));
  await put(datId, creator);
  const contract = await deploy(owner!, settlement, {
    owner: owner!.address,
    dat: await assets.getAddress(),
    shares: { pool, creatorBps: 7000n, nodeBps: 2000n, poolBps: 1000n },
    withdrawalDelay: DELAY,
    parameterDelay: 0n,
  });
  const address = (await contract.getAddress()).toLowerCase() as Hex;
  const as = async (account: number) => ({
    settlement: new SettlementClient({ address, runner: chain.accounts[account]!, artefacts }),
  });
  world = { address, domain: { chainId: 31337n, verifyingContract: address }, client: await as(0), as };
});

async function put(id: bigint, owner: Hex, maxUses = 0n, royalties: object[] = []): Promise<void> {
  await (await assets.getFunction("put")(id, owner, 0, maxUses, royalties)).wait();
}

let nonce = 0n;

async function makeReceipt(user: number, cost: bigint, changes: Partial<Receipt> = {}): Promise<Receipt> {
  return {
    user: accountOf(USER_KEYS[user]!),
    node,
    datId,
    nonce: nonce++,
    cost,
    costCap: cost,
    token: NATIVE_CURRENCY,
    parameterVersion: 1n,
    deadline: (await now(chain.provider)) + 100_000n,
    usage: 5n,
    requestHash: digestOf("request"),
    responseHash: digestOf("response"),
    evidenceDigest: digestOf("evidence"),
    ...changes,
  };
}

function sign(receipt: Receipt, user: number, domain: Domain = world.domain): { user: Hex; node: Hex } {
  const digest = receiptDigest(domain, receipt);
  return { user: signDigest(USER_KEYS[user]!, digest), node: signDigest(NODE_KEY, digest) };
}

function claimData(receipt: Receipt, user: number): string {
  const signatures = sign(receipt, user);
  return abi.encodeFunctionData("claim", [receipt, signatures.user, signatures.node]);
}

async function owedTo(account: Hex, token?: Hex): Promise<bigint> {
  return (await world.client.settlement.balancesOf(account, token)).owed;
}

/** A new version whose pool is this one. The deployment's parameter delay is zero. */
async function changePool(next: Hex): Promise<void> {
  const { settlement } = world.client;
  await settlement.proposeParameters({ pool: next, shares: DEFAULT_SHARES });
  await settlement.activateParameters();
}

/** Waits until the next block would have this many transactions; the chain mines only when told. */
async function pooled(count: number): Promise<void> {
  for (;;) {
    const { pending } = (await chain.provider.send("txpool_status", [])) as { pending: string };
    if (Number(pending) >= count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function claim(client: Party, receipt: Receipt, user: number) {
  const signatures = sign(receipt, user);
  return client.settlement.claim(receipt, signatures.user, signatures.node);
}

/** Each test on a chain of its own, with user 3 having deposited. */
function withDeposit(amount: bigint, test: (user: Party) => Promise<void>): () => Promise<void> {
  return () =>
    undone(chain.provider, async () => {
      const user = await world.as(3);
      await user.settlement.deposit(amount);
      await test(user);
    });
}

describe("claims", () => {
  it(
    "split the cost between creator, node and pool, who pull it",
    withDeposit(1000n, async () => {
      const receipt = await makeReceipt(3, 999n);
      const relayer = await world.as(7);
      const claimed = await claim(relayer, receipt, 3);
      const split = splitCost(999n);
      expect([claimed.creatorShare, claimed.nodeShare, claimed.poolShare]).toEqual([
        split.creator,
        split.node,
        split.pool,
      ]);
      expect(claimed.receiptDigest).toBe(receiptDigest(world.domain, receipt));
      expect(await world.client.settlement.isClaimed(claimed.receiptDigest)).toBe(true);
      expect((await world.client.settlement.balancesOf(creator)).owed).toBe(699n);
      expect((await world.client.settlement.balancesOf(node)).owed).toBe(199n);
      expect((await world.client.settlement.balancesOf(pool)).owed).toBe(101n);
      const before = await chain.provider.getBalance(pool);
      const sent = await (await world.as(9)).settlement.withdraw();
      const { gasPrice } = (await chain.provider.getTransactionReceipt(sent.hash))!;
      expect(await chain.provider.getBalance(pool)).toBe(before + 101n - sent.gasUsed * gasPrice);
      await expectRevert((await world.as(9)).settlement.withdraw(), "NothingOwed");
    }),
  );

  it(
    "are refused a second time, and with any signature of the two missing, swapped or by another",
    withDeposit(1000n, async () => {
      const receipt = await makeReceipt(3, 10n);
      const { user, node: byNode } = sign(receipt, 3);
      const { client } = world;
      await expectRevert(client.settlement.claim(receipt, "0x", byNode), "UserSignatureInvalid");
      await expectRevert(client.settlement.claim(receipt, byNode, user), "UserSignatureInvalid");
      await expectRevert(client.settlement.claim(receipt, user, user), "NodeSignatureInvalid");
      await expectRevert(client.settlement.claim(receipt, user, "0x"), "NodeSignatureInvalid");
      const stranger = signDigest(secretOf("stranger"), receiptDigest(world.domain, receipt));
      await expectRevert(client.settlement.claim(receipt, stranger, byNode), "UserSignatureInvalid");
      await client.settlement.claim(receipt, user, byNode);
      await expectRevert(client.settlement.claim(receipt, user, byNode), "ReceiptClaimed");
    }),
  );

  it(
    "that lose a race inside one block say why, though the chain gives no reason",
    withDeposit(1000n, async () => {
      const receipt = await makeReceipt(3, 10n);
      const { provider } = chain;
      const { user, node: byNode } = sign(receipt, 3);
      const [first, second] = [await world.as(6), await world.as(7)];
      await provider.send("evm_setAutomine", [false]);
      try {
        const outcomes = Promise.allSettled([
          first.settlement.claim(receipt, user, byNode),
          second.settlement.claim(receipt, user, byNode),
        ]);
        await pooled(2);
        await provider.send("evm_mine", []);
        const lost = (await outcomes).filter((outcome) => outcome.status === "rejected");
        expect(lost).toHaveLength(1);
        await expectRevert(Promise.reject(lost[0]!.reason), "ReceiptClaimed");
      } finally {
        await provider.send("evm_setAutomine", [true]);
      }
    }),
  );

  it(
    "are refused when any field changes after signing",
    withDeposit(1000n, async () => {
      const receipt = await makeReceipt(3, 10n, { costCap: 100n });
      const { user, node: byNode } = sign(receipt, 3);
      const changes: Partial<Receipt>[] = [
        { cost: 11n },
        { costCap: 99n },
        { nonce: receipt.nonce + 1000n },
        { usage: 6n },
        { deadline: receipt.deadline + 1n },
        { datId: datId + 1n },
        { requestHash: digestOf("x") },
        { responseHash: digestOf("x") },
        { evidenceDigest: digestOf("x") },
        { user: accountOf(USER_KEYS[4]!) },
      ];
      for (const change of changes) {
        await expectRevert(
          world.client.settlement.claim({ ...receipt, ...change }, user, byNode),
          "UserSignatureInvalid",
        );
      }
    }),
  );

  it(
    "are refused under other chains' and contracts' domains",
    withDeposit(1000n, async () => {
      const receipt = await makeReceipt(3, 10n);
      for (const domain of [
        { ...world.domain, chainId: 1n },
        { ...world.domain, verifyingContract: chain.addresses[7]! },
        { ...world.domain, verifyingContract: chain.addresses[6]! },
      ]) {
        const signatures = sign(receipt, 3, domain);
        await expectRevert(
          world.client.settlement.claim(receipt, signatures.user, signatures.node),
          "UserSignatureInvalid",
        );
      }
    }),
  );

  it(
    "are refused when late, above the cap, under other terms, for no asset or beyond the deposit",
    withDeposit(1000n, async () => {
      const attempt = async (cost: bigint, changes: Partial<Receipt> = {}) =>
        claim(world.client, await makeReceipt(3, cost, changes), 3);
      await expectRevert(attempt(10n, { deadline: (await now(chain.provider)) - 1n }), "DeadlinePassed");
      await expectRevert(attempt(10n, { costCap: 9n }), "CostAboveCap");
      await expectRevert(attempt(10n, { token: currency }), "DepositTooSmall");
      for (const parameterVersion of [0n, 2n, 2n ** 256n - 1n]) {
        await expectRevert(attempt(10n, { parameterVersion }), "ParameterVersionWrong");
      }
      await expectRevert(attempt(10n, { datId: 12345n }), "DatUnknown");
      await expectRevert(attempt(1001n), "DepositTooSmall");
      await expectRevert(attempt(2n ** 255n), "DepositTooSmall");
      await expectRevert(attempt(10n, { node: accountOf(USER_KEYS[3]!) }), "UserIsNode");
    }),
  );

  it("conserve value and match TypeScript for any cost", async () => {
    await undone(chain.provider, async () => {
      const user = await world.as(3);
      await user.settlement.deposit(parseEther("1000"));
      const costs = fc.oneof(fc.bigInt({ min: 0n, max: 100n }), fc.bigInt({ min: 0n, max: parseEther("30") }));
      await fc.assert(
        fc.asyncProperty(costs, async (cost) => {
          const { creatorShare, nodeShare, poolShare } = await claim(world.client, await makeReceipt(3, cost), 3);
          expect(creatorShare + nodeShare + poolShare).toBe(cost);
          const split = splitCost(cost);
          expect({ creatorShare, nodeShare, poolShare }).toEqual({
            creatorShare: split.creator,
            nodeShare: split.node,
            poolShare: split.pool,
          });
        }),
        { numRuns: 25 },
      );
    });
  });
});

describe("a change of the terms", () => {
  it(
    "is proposed by the owner, activated by anyone, and can be taken back",
    withDeposit(1000n, async (user) => {
      const { settlement } = world.client;
      const next = { pool: secondPool, shares: { creator: 6000n, node: 3000n, pool: 1000n } };
      await expectRevert(user.settlement.proposeParameters(next), "OwnableUnauthorizedAccount");
      await expectRevert(settlement.proposeParameters({ ...next, pool: NATIVE_CURRENCY }), "GovernancePoolZero");
      await expectRevert(settlement.proposeParameters({ pool, shares: DEFAULT_SHARES }), "ParametersUnchanged");
      await expectRevert(
        settlement.proposeParameters({ pool, shares: { creator: 0n, node: 0n, pool: 10_000n } }),
        "SharesInvalid",
      );
      await settlement.proposeParameters(next);
      expect(await settlement.proposedParameters()).toEqual({ ...next, activatableAt: await now(chain.provider) });
      await expectRevert(settlement.proposeParameters(next), "ParametersPending");
      await settlement.cancelParameters();
      await expectRevert(user.settlement.activateParameters(), "ParametersNotProposed");
      expect(await settlement.proposedParameters()).toBeUndefined();
      expect(await settlement.parameterVersion()).toBe(1n);
      expect(await settlement.previousVersionUntil()).toBe(0n);
      await settlement.proposeParameters(next);
      await user.settlement.activateParameters();
      expect(await settlement.parametersOf(0n)).toBeUndefined();
      expect(await settlement.parametersOf(1n)).toEqual({ pool, shares: DEFAULT_SHARES });
      expect(await settlement.parametersOf(2n)).toEqual(next);
      const { creatorShare, nodeShare, poolShare } = await claim(
        world.client,
        await makeReceipt(3, 999n, { parameterVersion: 2n }),
        3,
      );
      const split = splitCost(999n, next.shares);
      expect([creatorShare, nodeShare, poolShare]).toEqual([split.creator, split.node, split.pool]);
    }),
  );

  it(
    "leaves what was signed before claimable, for the pool that it was signed under",
    withDeposit(1000n, async () => {
      const { client } = world;
      await claim(client, await makeReceipt(3, 100n), 3);
      const signedBefore = await makeReceipt(3, 200n);
      await changePool(secondPool);
      const changed = await now(chain.provider);
      expect(await client.settlement.parameterVersion()).toBe(2n);
      expect(await client.settlement.previousVersionUntil()).toBe(changed + DELAY);
      await claim(client, signedBefore, 3);
      await claim(client, await makeReceipt(3, 300n, { parameterVersion: 2n }), 3);
      expect([await owedTo(pool), await owedTo(secondPool)]).toEqual([30n, 30n]);
    }),
  );

  it(
    "that overtakes a claim in its own block (governance front-running) takes nothing from it",
    withDeposit(1000n, async () => {
      const { provider } = chain;
      await world.client.settlement.proposeParameters({ pool: secondPool, shares: DEFAULT_SHARES });
      await provider.send("evm_setAutomine", [false]);
      try {
        // With gas given outright: an estimate made before the change does not count what the change makes it read.
        const claiming = await chain.accounts[7]!.sendTransaction({
          to: world.address,
          data: claimData(await makeReceipt(3, 100n), 3),
          gasLimit: 500_000n,
        });
        const change = await chain.accounts[0]!.sendTransaction({
          to: world.address,
          data: abi.encodeFunctionData("activateParameters"),
          gasLimit: 200_000n,
          maxPriorityFeePerGas: 50_000_000_000n,
          maxFeePerGas: 100_000_000_000n,
        });
        await pooled(2);
        await provider.send("evm_mine", []);
        await untilMined(provider, claiming.hash);
        const [first, second] = (await provider.getBlock("latest"))!.transactions;
        expect([first, second]).toEqual([change.hash, claiming.hash]);
        expect(await world.client.settlement.parameterVersion()).toBe(2n);
        expect([await owedTo(pool), await owedTo(secondPool)]).toEqual([10n, 0n]);
      } finally {
        await provider.send("evm_setAutomine", [true]);
      }
    }),
  );

  it(
    "counts from the second after the previous version's last one",
    withDeposit(1000n, async () => {
      const { client } = world;
      const { provider } = chain;
      await changePool(secondPool);
      await client.settlement.proposeParameters({ pool, shares: DEFAULT_SHARES });
      const until = await client.settlement.previousVersionUntil();
      const old = await makeReceipt(3, 10n);
      const fresh = await makeReceipt(3, 10n, { parameterVersion: 2n });
      const change = abi.encodeFunctionData("activateParameters");
      const attempts = async () =>
        Promise.all(
          [claimData(old, 3), claimData(fresh, 3), change].map((data) =>
            outcome(provider, world.address, data, settlement.abi),
          ),
        );
      await mineAt(provider, until);
      expect(await attempts()).toEqual(["ok", "ok", "GracePeriodRunning"]);
      await mineAt(provider, until + 1n);
      expect(await attempts()).toEqual(["ParameterVersionWrong", "ok", "ok"]);
      await expectRevert(claim(client, old, 3), "ParameterVersionWrong");
    }),
  );
});

describe("deposits", () => {
  it(
    "leave only after the delay, and stay claimable until then",
    withDeposit(1000n, async (user) => {
      const account = accountOf(USER_KEYS[3]!);
      await expectRevert(user.settlement.completeWithdrawal(), "WithdrawalNotRequested");
      await expectRevert(user.settlement.cancelWithdrawal(), "WithdrawalNotRequested");
      await expectRevert(user.settlement.requestWithdrawal(0n), "AmountZero");
      await expectRevert(user.settlement.requestWithdrawal(1001n), "DepositTooSmall");
      await expectRevert(user.settlement.deposit(0n), "AmountZero");
      await user.settlement.requestWithdrawal(800n);
      expect(await user.settlement.balancesOf(account)).toMatchObject({
        deposit: 1000n,
        secured: 200n,
        pendingWithdrawal: 800n,
      });
      await expectRevert(user.settlement.completeWithdrawal(), "WithdrawalTooEarly");
      await claim(world.client, await makeReceipt(3, 500n), 3);
      expect(await user.settlement.balancesOf(account)).toMatchObject({ deposit: 500n, secured: 0n });
      await advance(chain.provider, DELAY);
      await user.settlement.completeWithdrawal();
      expect(await user.settlement.balancesOf(account)).toEqual({
        deposit: 0n,
        secured: 0n,
        pendingWithdrawal: 0n,
        withdrawableAt: 0n,
        owed: 0n,
      });
      await expectRevert(user.settlement.completeWithdrawal(), "WithdrawalNotRequested");
    }),
  );
});

describe("reservations", () => {
  it(
    "are one node's alone, and come back only after the delay",
    withDeposit(1000n, async (user) => {
      const account = accountOf(USER_KEYS[3]!);
      await expectRevert(user.settlement.reserve(account, 1n), "UserIsNode");
      await expectRevert(user.settlement.reserve(node, 1001n), "DepositTooSmall");
      await expectRevert(user.settlement.requestRelease(node, 1n), "ReservationTooSmall");
      await expectRevert(user.settlement.completeRelease(node), "ReleaseNotRequested");
      await user.settlement.reserve(node, 700n);
      await user.settlement.requestRelease(node, 600n);
      expect(await user.settlement.reservationOf(account, node)).toMatchObject({
        amount: 700n,
        secured: 100n,
        pendingRelease: 600n,
      });
      await expectRevert(user.settlement.completeRelease(node), "ReleaseTooEarly");
      // Beyond the reservation the deposit pays.
      await claim(world.client, await makeReceipt(3, 800n), 3);
      expect(await user.settlement.balancesOf(account)).toMatchObject({ deposit: 200n });
      expect(await user.settlement.reservationOf(account, node)).toMatchObject({ amount: 0n, secured: 0n });
      await user.settlement.reserve(node, 150n);
      await advance(chain.provider, DELAY);
      await user.settlement.completeRelease(node);
      expect(await user.settlement.balancesOf(account)).toMatchObject({ deposit: 200n, secured: 200n });
      expect(await user.settlement.reservationOf(account, node)).toEqual({
        amount: 0n,
        secured: 0n,
        pendingRelease: 0n,
        releasableAt: 0n,
      });
      await user.settlement.reserve(node, 150n);
      await user.settlement.requestRelease(node, 150n);
      await user.settlement.cancelRelease(node);
      expect(await user.settlement.reservationOf(account, node)).toMatchObject({ amount: 150n, secured: 150n });
      expect((await user.settlement.reservationOf(account, node, currency)).amount).toBe(0n);
    }),
  );
});

describe("withdrawing to another address", () => {
  it(
    "pays the caller's own balance there, once",
    withDeposit(1000n, async () => {
      await claim(world.client, await makeReceipt(3, 1000n), 3);
      const byPool = await world.as(9);
      const recipient = accountOf(secretOf("recipient"));
      await expectRevert(byPool.settlement.withdrawTo(NATIVE_CURRENCY), "RecipientZero");
      await expectRevert(byPool.settlement.withdrawTo(world.address), "RecipientSelf");
      expect(await owedTo(pool)).toBe(100n);
      await expectRevert((await world.as(7)).settlement.withdrawTo(pool), "NothingOwed");
      const sent = await byPool.settlement.withdrawTo(recipient);
      expect(await chain.provider.getBalance(recipient)).toBe(100n);
      const [log] = (await chain.provider.getTransactionReceipt(sent.hash))!.logs;
      const { account, to, amount } = abi.parseLog(log!)!.args;
      expect([account.toLowerCase(), to.toLowerCase(), amount]).toEqual([pool, recipient, 100n]);
      expect([await owedTo(pool), await owedTo(creator), await owedTo(node)]).toEqual([0n, 700n, 200n]);
      await expectRevert(byPool.settlement.withdrawTo(recipient), "NothingOwed");
      await expectRevert(byPool.settlement.withdraw(), "NothingOwed");
    }),
  );
});

describe("tokens", () => {
  /** As {@link withDeposit}, in tokens. */
  const withCoins = (amount: bigint, test: (user: Party) => Promise<void>) => () =>
    undone(chain.provider, async () => {
      const user = await world.as(3);
      await (await coin.getFunction("mint")(chain.addresses[3]!, amount)).wait();
      const approved = coin.connect(chain.accounts[3]!) as Contract;
      await (await approved.getFunction("approve")(world.address, amount)).wait();
      await user.settlement.deposit(amount, currency);
      await test(user);
    });
  const held = (account: Hex): Promise<bigint> => coin.getFunction("balanceOf")(account);

  it(
    "are deposited, claimed and withdrawn like coins, in books of their own",
    withCoins(1000n, async (user) => {
      await user.settlement.depositFor(chain.addresses[4]!, 77n);
      await claim(world.client, await makeReceipt(3, 500n, { token: currency }), 3);
      const account = chain.addresses[3]!;
      expect((await user.settlement.balancesOf(account, currency)).deposit).toBe(500n);
      expect((await user.settlement.balancesOf(account)).deposit).toBe(0n);
      expect((await user.settlement.balancesOf(chain.addresses[4]!)).deposit).toBe(77n);
      expect([await owedTo(creator), await owedTo(creator, currency)]).toEqual([0n, 350n]);
      await (await world.as(1)).settlement.withdraw(currency);
      await (await world.as(9)).settlement.withdrawTo(secondPool, currency);
      expect([await held(creator), await held(secondPool)]).toEqual([350n, 50n]);
      await user.settlement.requestWithdrawal(500n, currency);
      await expectRevert(user.settlement.completeWithdrawal(), "WithdrawalNotRequested");
      await advance(chain.provider, DELAY);
      await user.settlement.completeWithdrawal(currency);
      expect([await held(account), await held(world.address)]).toEqual([500n, 100n]);
    }),
  );

  it(
    "that take a fee, are not approved or not there are refused in words",
    withCoins(1000n, async (user) => {
      await expectRevert(user.settlement.deposit(1n, chain.addresses[6]!), "CurrencyWithoutCode");
      await (await coin.getFunction("mint")(chain.addresses[3]!, 1000n)).wait();
      const approved = coin.connect(chain.accounts[3]!) as Contract;
      await (await approved.getFunction("approve")(world.address, 1000n)).wait();
      await (await coin.getFunction("misbehave")(100n, 0n, false, false)).wait();
      const { details } = await expectRevert(user.settlement.deposit(1000n, currency), "AmountReceivedWrong");
      expect(details["args"]).toEqual([expect.stringMatching(/^0x/), "1000", "990"]);
      await (await coin.getFunction("misbehave")(0n, 0n, false, true)).wait();
      await expectRevert(user.settlement.deposit(1000n, currency), "SafeERC20FailedOperation");
    }),
  );
});

describe("lineage", () => {
  it(
    "is paid out of the creator's share as in TypeScript, and of a revoked asset not at all",
    withDeposit(100_000n, async () => {
      const client = (await world.as(1)).settlement;
      const ancestors = [1n, 2n, 3n].map((id) => ({
        datId: id,
        creator: accountOf(secretOf(`creator ${id}`)),
        bps: 1234n * id,
      }));
      for (const { datId, creator } of ancestors) await put(datId, creator);
      await put(4n, creator, 0n, ancestors);
      await (await assets.getFunction("revoke")(2n)).wait();
      const pay = async (cost: bigint) => {
        const receipt = await makeReceipt(3, cost, { datId: 4n });
        const signatures = sign(receipt, 3);
        return client.claim(receipt, signatures.user, signatures.node);
      };
      const paid = await pay(9999n);
      const split = splitCost(9999n);
      const lineage = splitRoyalties(
        split.creator,
        ancestors.map(({ bps, datId }) => ({ bps, revoked: datId === 2n })),
      );
      expect(paid).toMatchObject({
        creatorShare: lineage.rest,
        royalties: lineage.royalties.reduce((sum, each) => sum + each, 0n),
        nodeShare: split.node,
        poolShare: split.pool,
        refunded: lineage.refunded,
      });
      for (const [i, { creator }] of ancestors.entries()) {
        expect((await client.balancesOf(creator)).owed).toBe(lineage.royalties[i]);
      }
      await (await assets.getFunction("revoke")(4n)).wait();
      expect(await pay(9999n)).toMatchObject({
        creatorShare: 0n,
        royalties: 0n,
        nodeShare: split.node,
        poolShare: split.pool,
        refunded: split.creator,
      });

      // A limit of uses is sold by its creator only, and ends.
      const limited = { ...(await makeReceipt(3, 10n)), datId: 5n };
      await put(5n, creator, 1n);
      const signatures = sign(limited, 3);
      await expectRevert(client.claim(limited, signatures.user, signatures.node), "CostBelowFloor");
      await client.setFloor(5n, 10n);
      await expectRevert(client.setFloor(5n, 11n), "FloorInvalid");
      await client.claim(limited, signatures.user, signatures.node);
      expect([await client.usesOf(5n), await client.floorOf(5n), await client.floorOf(5n, currency)]).toEqual([
        1n,
        10n,
        0n,
      ]);
      const next = { ...limited, nonce: 999n };
      const again = sign(next, 3);
      await expectRevert(client.claim(next, again.user, again.node), "UsesExhausted");
    }),
  );
});

describe("many receipts", () => {
  const signBatch = (batch: ReceiptBatch, user: number, domain: Domain = world.domain) => {
    const digest = batchDigest(domain, batch);
    return { user: signDigest(USER_KEYS[user]!, digest), node: signDigest(NODE_KEY, digest) };
  };
  const makeReceipts = async (count: number, cost: bigint) => {
    const first = await makeReceipt(3, cost);
    return Array.from({ length: count }, () => ({ ...first, nonce: nonce++ }));
  };
  const batchOf = async (receipts: Receipt[]) =>
    makeBatch(world.domain, receipts, { nonce: nonce++, deadline: receipts[0]!.deadline });

  it(
    "signed singly: those that cannot be paid are passed over with their reason",
    withDeposit(100n, async () => {
      const receipts = [await makeReceipt(3, 60n), await makeReceipt(4, 60n), await makeReceipt(3, 30n)];
      const many = receipts.map((receipt, i) => ({ receipt, ...sign(receipt, i === 1 ? 4 : 3) }));
      const { paid, refused } = await world.client.settlement.claimMany(many);
      expect(paid.map(({ receiptDigest }) => receiptDigest)).toEqual(
        [receipts[0]!, receipts[2]!].map((receipt) => receiptDigest(world.domain, receipt)),
      );
      expect(paid.map((each) => each.creatorShare)).toEqual([42n, 21n]);
      expect(refused).toEqual([{ receiptDigest: receiptDigest(world.domain, receipts[1]!), error: "DepositTooSmall" }]);
      await expectRevert(world.client.settlement.claimMany(many), "ReceiptClaimed");
      await expectRevert(world.client.settlement.claimMany([]), "ReceiptsNone");
    }),
  );

  it(
    "in a batch: any of them by the tree's proof, each once",
    withDeposit(10_000n, async () => {
      const receipts = await makeReceipts(7, 10n);
      const { batch, tree } = await batchOf(receipts);
      const signatures = signBatch(batch, 3);
      expect(checkBatch(world.domain, batch, receipts, signatures).digest).toBe(
        await world.client.settlement.batchDigest(batch),
      );
      const { settlement } = world.client;
      await settlement.claimBatch(batch, signatures, receipts, tree.prove([4]));
      const some = await settlement.claimBatch(batch, signatures, receipts, tree.prove([0, 4, 6]));
      expect(some.paid).toHaveLength(2);
      expect(some.refused).toEqual([
        { receiptDigest: receiptDigest(world.domain, receipts[4]!), error: "ReceiptClaimed" },
      ]);
      const all = await settlement.claimBatch(batch, signatures, receipts, tree.prove([0, 1, 2, 3, 4, 5, 6]));
      expect(all.paid).toHaveLength(4);
      expect(await settlement.drawnOf(batchDigest(world.domain, batch))).toEqual({ cost: 70n, count: 7n });
    }),
  );

  it(
    "in a batch: refused under another domain, and outside the tree",
    withDeposit(10_000n, async () => {
      const { settlement } = world.client;
      const receipts = await makeReceipts(4, 10n);
      const { batch, tree } = await batchOf(receipts);
      for (const domain of [
        { ...world.domain, chainId: 1n },
        { ...world.domain, verifyingContract: chain.addresses[7]! },
      ]) {
        const attempt = settlement.claimBatch(batch, signBatch(batch, 3, domain), receipts, tree.prove([0]));
        await expectRevert(attempt, "UserSignatureInvalid");
      }
      const signatures = signBatch(batch, 3);
      const changed = receipts.map((receipt) => ({ ...receipt, usage: receipt.usage + 1n }));
      await expectRevert(settlement.claimBatch(batch, signatures, changed, tree.prove([0])), "BatchProofInvalid");
      const proof = tree.prove([0, 1]);
      await expectRevert(
        settlement.claimBatch(batch, signatures, receipts, { ...proof, flags: proof.flags.slice(1) }),
        "MerkleProofInvalidMultiproof",
      );
    }),
  );

  /** Gas a receipt, between parties who have been paid before. */
  it(
    "cost less gas each",
    withDeposit(1_000_000n, async () => {
      const { settlement } = world.client;
      await claim(world.client, await makeReceipt(3, 10n), 3);
      const gas: Record<string, bigint[]> = { claimMany: [], claimBatch: [] };
      for (const count of [1, 10, 100]) {
        const receipts = await makeReceipts(count, 10n);
        const many = await settlement.claimMany(receipts.map((receipt) => ({ receipt, ...sign(receipt, 3) })));
        expect(many.paid).toHaveLength(count);
        gas["claimMany"]!.push(many.gasUsed / BigInt(count));
        const batched = await makeReceipts(count, 10n);
        const { batch, tree } = await batchOf(batched);
        const proof = tree.prove(batched.map((_, i) => i));
        const { paid, gasUsed } = await settlement.claimBatch(batch, signBatch(batch, 3), batched, proof);
        expect(paid).toHaveLength(count);
        gas["claimBatch"]!.push(gasUsed / BigInt(count));
      }
      const [, manyTen, manyHundred] = gas["claimMany"]!;
      const [, batchTen, batchHundred] = gas["claimBatch"]!;
      expect(manyHundred!).toBeLessThan(manyTen!);
      expect(batchHundred!).toBeLessThan(batchTen!);
      expect(batchHundred!).toBeLessThan(manyHundred!);
    }),
  );
});
