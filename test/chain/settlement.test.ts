import { type Contract, Interface, parseEther } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { AnchorClient } from "../../src/chain/client/index.js";
import {
  artefact,
  type ContractArtefact,
  compileContracts,
  compileProtocolContracts,
} from "../../src/chain/compile.js";
import { untilMined } from "../../src/chain/provider.js";
import type { AnchorError } from "../../src/errors.js";
import type { Hex } from "../../src/field/bytes.js";
import type { Domain } from "../../src/protocol/eip712.js";
import { type Receipt, receiptDigest, splitCost } from "../../src/protocol/settlement.js";
import { accountOf, signDigest } from "../../src/protocol/signature.js";
import {
  advance,
  deploy,
  digestOf,
  errorData,
  expectRevert,
  mineAt,
  now,
  outcome,
  secretOf,
  undone,
  useChain,
} from "./fixture.js";
import { createWorld, makeDataset, prepareDataset, type World } from "./world.js";

const ZERO_ADDRESS: Hex = `0x${"00".repeat(20)}`;
const DELAY = 3600n;

const chain = useChain();
let world: World;
let settlement: ContractArtefact;
let abi: Interface;
let datId: bigint;
let creator: Hex;
let pool: Hex;
let secondPool: Hex;
/** Accounts 3 to 5 of anvil as users; their keys are the well-known ones of its mnemonic. */
const USER_KEYS: Record<number, Hex> = {
  3: "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
  4: "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
  5: "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
};
const NODE_KEY = secretOf("node");
const node = accountOf(NODE_KEY);

beforeAll(async () => {
  world = await createWorld(chain);
  settlement = artefact(await compileProtocolContracts(), "UsageSettlement");
  abi = new Interface(settlement.abi);
  const statement = await makeDataset(chain, world);
  const { proof, certificate } = prepareDataset(world, statement);
  ({ datId } = await world.client.gate.mintDataset(statement, proof, certificate, world.epoch));
  creator = statement.task.requester;
  pool = chain.addresses[9]!;
  secondPool = chain.addresses[8]!;
});

let nonce = 0n;

async function makeReceipt(user: number, cost: bigint, changes: Partial<Receipt> = {}): Promise<Receipt> {
  return {
    user: accountOf(USER_KEYS[user]!),
    node,
    datId,
    nonce: nonce++,
    cost,
    costCap: cost,
    token: ZERO_ADDRESS,
    parameterVersion: 1n,
    deadline: (await now(chain.provider)) + 100_000n,
    usage: 5n,
    requestHash: digestOf("request"),
    responseHash: digestOf("response"),
    evidenceDigest: digestOf("evidence"),
    ...changes,
  };
}

function sign(receipt: Receipt, user: number, domain: Domain = world.settlement): { user: Hex; node: Hex } {
  const digest = receiptDigest(domain, receipt);
  return { user: signDigest(USER_KEYS[user]!, digest), node: signDigest(NODE_KEY, digest) };
}

function claimData(receipt: Receipt, user: number): string {
  const signatures = sign(receipt, user);
  return abi.encodeFunctionData("claim", [receipt, signatures.user, signatures.node]);
}

async function owedTo(account: Hex): Promise<bigint> {
  return (await world.client.settlement.balancesOf(account)).owed;
}

async function claim(client: AnchorClient, receipt: Receipt, user: number) {
  const signatures = sign(receipt, user);
  return client.settlement.claim(receipt, signatures.user, signatures.node);
}

/** Σ deposits + Σ owed over everybody who took part, and the contract's balance. */
async function books(accounts: readonly Hex[]): Promise<{ owing: bigint; balance: bigint }> {
  let owing = 0n;
  for (const account of new Set(accounts)) {
    const { deposit, owed } = await world.client.settlement.balancesOf(account);
    owing += deposit + owed;
  }
  return { owing, balance: await chain.provider.getBalance(world.deployment.settlement) };
}

/** Each test on a chain of its own, with user 3 having deposited. */
function withDeposit(amount: bigint, test: (user: AnchorClient) => Promise<void>): () => Promise<void> {
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
      expect(claimed.receiptDigest).toBe(receiptDigest(world.settlement, receipt));
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
      const stranger = signDigest(secretOf("stranger"), receiptDigest(world.settlement, receipt));
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
        while (BigInt(await provider.send("eth_getBlockTransactionCountByNumber", ["pending"])) < 2n) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
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
        { ...world.settlement, chainId: 1n },
        { ...world.settlement, verifyingContract: world.deployment.gate },
        { ...world.settlement, verifyingContract: chain.addresses[6]! },
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
    "are refused when late, above the cap, in another currency, under other terms, for no asset or beyond the deposit",
    withDeposit(1000n, async () => {
      const attempt = async (cost: bigint, changes: Partial<Receipt> = {}) =>
        claim(world.client, await makeReceipt(3, cost, changes), 3);
      await expectRevert(attempt(10n, { deadline: (await now(chain.provider)) - 1n }), "DeadlinePassed");
      await expectRevert(attempt(10n, { costCap: 9n }), "CostAboveCap");
      await expectRevert(attempt(10n, { token: chain.addresses[6]! }), "CurrencyUnsupported");
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
  it("is the owner's, and needs another pool than the present one", async () => {
    const { client } = world;
    await expectRevert((await world.as(5)).settlement.setGovernancePool(secondPool), "OwnableUnauthorizedAccount");
    await expectRevert(client.settlement.setGovernancePool(ZERO_ADDRESS), "GovernancePoolZero");
    await expectRevert(client.settlement.setGovernancePool(pool), "GovernancePoolUnchanged");
    expect(await client.settlement.parameterVersion()).toBe(1n);
    expect(await client.settlement.previousVersionUntil()).toBe(0n);
    expect([
      await client.settlement.poolOf(0n),
      await client.settlement.poolOf(1n),
      await client.settlement.poolOf(2n),
    ]).toEqual([undefined, pool, undefined]);
  });

  it(
    "leaves what was signed before claimable, for the pool that it was signed under",
    withDeposit(1000n, async () => {
      const { client } = world;
      await claim(client, await makeReceipt(3, 100n), 3);
      const signedBefore = await makeReceipt(3, 200n);
      await client.settlement.setGovernancePool(secondPool);
      const changed = await now(chain.provider);
      expect(await client.settlement.parameterVersion()).toBe(2n);
      expect(await client.settlement.previousVersionUntil()).toBe(changed + DELAY);
      expect([await client.settlement.poolOf(1n), await client.settlement.poolOf(2n)]).toEqual([pool, secondPool]);
      await claim(client, signedBefore, 3);
      await claim(client, await makeReceipt(3, 300n, { parameterVersion: 2n }), 3);
      expect([await owedTo(pool), await owedTo(secondPool)]).toEqual([30n, 30n]);
    }),
  );

  it(
    "that overtakes a claim in its own block takes nothing from it",
    withDeposit(1000n, async () => {
      const { provider } = chain;
      await provider.send("evm_setAutomine", [false]);
      try {
        const claiming = claim(await world.as(7), await makeReceipt(3, 100n), 3);
        const change = await chain.accounts[0]!.sendTransaction({
          to: world.deployment.settlement,
          data: abi.encodeFunctionData("setGovernancePool", [secondPool]),
          gasLimit: 200_000n,
          maxPriorityFeePerGas: 50_000_000_000n,
          maxFeePerGas: 100_000_000_000n,
        });
        while (BigInt(await provider.send("eth_getBlockTransactionCountByNumber", ["pending"])) < 2n) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        await provider.send("evm_mine", []);
        const claimed = await claiming;
        const [first, second] = (await provider.getBlock("latest"))!.transactions;
        expect([first, second]).toEqual([change.hash, claimed.hash]);
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
      const { client, deployment } = world;
      const { provider } = chain;
      await client.settlement.setGovernancePool(secondPool);
      const until = await client.settlement.previousVersionUntil();
      const old = await makeReceipt(3, 10n);
      const fresh = await makeReceipt(3, 10n, { parameterVersion: 2n });
      const attempts = async () => {
        const change = abi.encodeFunctionData("setGovernancePool", [pool]);
        const from = chain.addresses[0]!;
        return Promise.all([
          outcome(provider, deployment.settlement, claimData(old, 3), settlement.abi),
          outcome(provider, deployment.settlement, claimData(fresh, 3), settlement.abi),
          outcome(provider, deployment.settlement, change, settlement.abi, { from }),
        ]);
      };
      await mineAt(provider, until);
      expect(await attempts()).toEqual(["ok", "ok", "GracePeriodRunning"]);
      await mineAt(provider, until + 1n);
      expect(await attempts()).toEqual(["ParameterVersionWrong", "ok", "ok"]);
      await expectRevert(claim(client, old, 3), "ParameterVersionWrong");
    }),
  );

  it(
    "waits for the one before it, in the same block too, and then ends its version's time",
    withDeposit(1000n, async () => {
      const { client } = world;
      const attempt = async (parameterVersion: bigint) =>
        claim(client, await makeReceipt(3, 10n, { parameterVersion }), 3);
      await client.settlement.setGovernancePool(secondPool);
      await expectRevert(client.settlement.setGovernancePool(pool), "GracePeriodRunning");
      await advance(chain.provider, DELAY + 1n);
      await client.settlement.setGovernancePool(pool);
      expect(await client.settlement.parameterVersion()).toBe(3n);
      await attempt(2n);
      await attempt(3n);
      for (const version of [0n, 1n, 4n, 2n ** 256n - 1n])
        await expectRevert(attempt(version), "ParameterVersionWrong");
      expect([await owedTo(pool), await owedTo(secondPool)]).toEqual([1n, 1n]);
    }),
  );

  /** Sent without an estimate, so that the block's own time decides. */
  async function sentAt(second: bigint, data: string): Promise<boolean> {
    await chain.provider.send("evm_setNextBlockTimestamp", [Number(second)]);
    const { hash } = await chain.accounts[0]!.sendTransaction({
      to: world.deployment.settlement,
      data,
      gasLimit: 500_000n,
    });
    await untilMined(chain.provider, hash);
    const mined = await chain.provider.getTransactionReceipt(hash);
    expect(await now(chain.provider)).toBe(second);
    return mined!.status === 1;
  }

  it("leaves at most two versions live, each paying its own pool, after any sequence of changes and claims", async () => {
    type Step = { kind: "change" | "claim"; back: number; pause: bigint };
    const steps = fc.array(
      fc.record<Step>({
        kind: fc.constantFrom("change", "claim", "claim"),
        back: fc.constantFrom(-1, 0, 1, 1, 1, 2, 3), // how many versions before the current one a receipt names
        pause: fc.constantFrom(1n, 1n, DELAY / 2n, DELAY - 1n, DELAY, DELAY + 1n),
      }),
      { minLength: 4, maxLength: 12 },
    );
    const pools = [pool, secondPool];
    const seen = { change: 0, refused: 0, previous: 0, old: 0 };
    await fc.assert(
      fc.asyncProperty(steps, (sequence) =>
        undone(chain.provider, async () => {
          await (await world.as(3)).settlement.deposit(100_000n);
          // What the contract should hold: versions alternate between the two pools, so version v pays pools[(v - 1) % 2].
          let version = 1n;
          let until = 0n;
          for (const { kind, back, pause } of sequence) {
            const second = (await now(chain.provider)) + pause;
            const named = version - BigInt(back);
            const live = named === version || (named === version - 1n && second <= until);
            const before = await Promise.all(pools.map(owedTo));
            if (kind === "change") {
              const accepted = second > until;
              const next = pools[Number(version % 2n)];
              expect(await sentAt(second, abi.encodeFunctionData("setGovernancePool", [next]))).toBe(accepted);
              if (accepted) [version, until] = [version + 1n, second + DELAY];
              seen[accepted ? "change" : "refused"]++;
            } else if (named >= 0n) {
              const receipt = await makeReceipt(3, 1000n, { parameterVersion: named, deadline: 2n ** 64n });
              expect(await sentAt(second, claimData(receipt, 3))).toBe(live);
              if (live) before[Number((named - 1n) % 2n)]! += 100n;
              if (named < version) seen[live ? "previous" : "old"]++;
            }
            expect(await Promise.all(pools.map(owedTo))).toEqual(before);
            expect(await world.client.settlement.parameterVersion()).toBe(version);
            expect(await world.client.settlement.previousVersionUntil()).toBe(until);
          }
        }),
      ),
      { numRuns: 20 },
    );
    for (const [kind, times] of Object.entries(seen)) expect(times, kind).toBeGreaterThan(0);
  });
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

  it(
    "a new request restarts the clock, and a cancelled one is gone",
    withDeposit(1000n, async (user) => {
      await user.settlement.requestWithdrawal(100n);
      await advance(chain.provider, DELAY);
      await user.settlement.requestWithdrawal(1000n);
      await expectRevert(user.settlement.completeWithdrawal(), "WithdrawalTooEarly");
      await user.settlement.cancelWithdrawal();
      await advance(chain.provider, DELAY);
      await expectRevert(user.settlement.completeWithdrawal(), "WithdrawalNotRequested");
    }),
  );

  it("a plain transfer is refused", async () => {
    await expect(
      chain.accounts[3]!.sendTransaction({ to: world.deployment.settlement, value: 1n }),
    ).rejects.toMatchObject({ code: "CALL_EXCEPTION", data: "0x" });
  });

  it("the delay is between a minute and 30 days", async () => {
    const [owner] = chain.addresses;
    const withDelay = (delay: bigint) =>
      deploy(chain.accounts[0]!, settlement, owner, world.deployment.token, owner, delay);
    for (const delay of [0n, 59n, 30n * 86_400n + 1n]) {
      await expect(withDelay(delay)).rejects.toMatchObject(errorData(settlement, "WithdrawalDelayInvalid", delay));
    }
    for (const delay of [60n, 30n * 86_400n]) {
      expect(await (await withDelay(delay)).getFunction("withdrawalDelay")()).toBe(delay);
    }
  });
});

describe("withdrawing to another address", () => {
  it(
    "pays the caller's own balance there, once",
    withDeposit(1000n, async () => {
      await claim(world.client, await makeReceipt(3, 1000n), 3);
      const byPool = await world.as(9);
      const recipient = accountOf(secretOf("recipient"));
      await expectRevert(byPool.settlement.withdrawTo(ZERO_ADDRESS), "RecipientZero");
      // The settlement takes no plain transfers, not even its own.
      await expectRevert(byPool.settlement.withdrawTo(world.deployment.settlement), "TransferFailed");
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

describe("re-entrancy", () => {
  // Given outright: an estimate would settle on the least gas with which the outer call succeeds and the attack starves.
  const GAS = 10_000_000n;
  const source = `// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
contract Thief {
    address public immutable target;
    bytes public again;
    bool public refuses;
    uint256 public attempts;
    uint256 public successes;
    bytes4 public refusal;
    constructor(address target_) { target = target_; }
    function arm(bytes calldata again_) external { again = again_; }
    function run(bytes calldata call_, bytes calldata again_) external payable {
        again = again_;
        (bool ok, bytes memory result) = target.call{value: msg.value}(call_);
        if (!ok) assembly { revert(add(result, 0x20), mload(result)) }
    }
    function refuse() external { refuses = true; }
    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external pure returns (bytes4) {
        return this.onERC1155Received.selector;
    }
    receive() external payable {
        require(!refuses);
        if (again.length == 0) return;
        ++attempts;
        (bool ok, bytes memory result) = target.call(again);
        if (ok) ++successes;
        else refusal = bytes4(result);
    }
}`;
  let thief: Contract;
  let address: Hex;

  /** On a chain of its own, with the thief's deposits and claims behind it and 5000 wei of others in the contract. */
  const withThief = (test: () => Promise<void>) => () =>
    undone(chain.provider, async () => {
      const compiled = (await compileContracts({ "Thief.sol": source }))["Thief"]!;
      thief = await deploy(chain.accounts[6]!, compiled, world.deployment.settlement);
      address = (await thief.getAddress()).toLowerCase() as Hex;
      await (await world.as(3)).settlement.deposit(5000n);
      await test();
    });

  /** An asset that the thief created, sold for 1000: it is owed 700, the node 200, the pool 100. */
  async function earn(): Promise<void> {
    const statement = await makeDataset(chain, world, { task: { requester: address } });
    const { proof, certificate } = prepareDataset(world, statement);
    const own = await world.client.gate.mintDataset(statement, proof, certificate, world.epoch);
    await claim(world.client, await makeReceipt(3, 1000n, { datId: own.datId }), 3);
    expect(await owedTo(address)).toBe(700n);
  }

  async function run(call: string, again: string, value = 0n): Promise<void> {
    await (await thief.getFunction("run").send(call, again, { value, gasLimit: GAS })).wait();
  }

  /** The thief called back once, and was refused with this error. */
  async function expectRefused(error: string): Promise<void> {
    const [attempts, successes, refusal] = await Promise.all(
      ["attempts", "successes", "refusal"].map((name) => thief.getFunction(name)()),
    );
    expect([attempts, successes, refusal]).toEqual([1n, 0n, abi.getError(error)!.selector]);
  }

  const encode = (method: string, ...args: unknown[]) => abi.encodeFunctionData(method, args);
  const coinsOf = (account: Hex) => chain.provider.getBalance(account);

  it(
    "takes out a deposit once, and nothing of others",
    withThief(async () => {
      await run(encode("deposit"), "0x", 1000n);
      await run(encode("requestWithdrawal", 1000n), "0x");
      await advance(chain.provider, DELAY);
      await run(encode("completeWithdrawal"), encode("completeWithdrawal"));
      await expectRefused("WithdrawalNotRequested");
      expect(await coinsOf(address)).toBe(1000n);
      expect(await coinsOf(world.deployment.settlement)).toBe(5000n);
    }),
  );

  it.each([
    ["withdraw", "withdraw"],
    ["withdraw", "withdrawTo"],
    ["withdrawTo", "withdraw"],
    ["withdrawTo", "withdrawTo"],
  ])("takes out what is owed once, by %s and %s in its callback", (outer, inner) =>
    withThief(async () => {
      await earn();
      const call = (method: string) => (method === "withdraw" ? encode(method) : encode(method, address));
      await run(call(outer), call(inner));
      await expectRefused("NothingOwed");
      expect(await coinsOf(address)).toBe(700n);
      expect(await coinsOf(world.deployment.settlement)).toBe(4300n);
      expect([await owedTo(address), await owedTo(node), await owedTo(pool)]).toEqual([0n, 200n, 100n]);
    })(),
  );

  it(
    "as the recipient of another's withdrawal takes out its own, and nothing of others",
    withThief(async () => {
      await earn();
      // Its own withdrawal calls back once more, and finds nothing left.
      await (await thief.getFunction("arm").send(encode("withdraw"))).wait();
      const data = encode("withdrawTo", address);
      const sent = await chain.accounts[9]!.sendTransaction({ to: world.deployment.settlement, data, gasLimit: GAS });
      expect((await sent.wait())!.status).toBe(1);
      expect([await thief.getFunction("attempts")(), await thief.getFunction("successes")()]).toEqual([2n, 1n]);
      expect(await thief.getFunction("refusal")()).toBe(abi.getError("NothingOwed")!.selector);
      expect(await coinsOf(address)).toBe(800n);
      expect(await coinsOf(world.deployment.settlement)).toBe(4200n);
      expect([await owedTo(address), await owedTo(node), await owedTo(pool)]).toEqual([0n, 200n, 0n]);
    }),
  );

  it(
    "a creator that cannot receive coins keeps its claim, and has it paid elsewhere",
    withThief(async () => {
      await earn();
      await (await thief.getFunction("refuse").send()).wait();
      await expect(thief.getFunction("run").send(encode("withdraw"), "0x")).rejects.toMatchObject(
        errorData(settlement, "TransferFailed", address, 700n),
      );
      expect(await owedTo(address)).toBe(700n);
      const recipient = accountOf(secretOf("recipient"));
      await run(encode("withdrawTo", recipient), "0x");
      expect([await coinsOf(recipient), await coinsOf(address), await owedTo(address)]).toEqual([700n, 0n, 0n]);
    }),
  );
});

describe("the books", () => {
  /** What can be done, and the errors with which it may be refused. */
  const REFUSALS = {
    deposit: ["AmountZero"],
    request: ["AmountZero", "DepositTooSmall"],
    cancel: ["WithdrawalNotRequested"],
    complete: ["WithdrawalNotRequested", "WithdrawalTooEarly"],
    claim: ["DepositTooSmall", "ParameterVersionWrong"],
    withdraw: ["NothingOwed"],
    withdrawTo: ["NothingOwed"],
    change: ["GracePeriodRunning", "GovernancePoolUnchanged"],
    wait: [],
  } as const;
  type Kind = keyof typeof REFUSALS;
  const action = fc.record({
    kind: fc.constantFrom<Kind>("deposit", "claim", "claim", ...(Object.keys(REFUSALS) as Kind[])),
    who: fc.constantFrom(3 as const, 4 as const, 5 as const),
    amount: fc.bigInt({ min: 0n, max: 5000n }),
    version: fc.constantFrom(1n, 1n, 2n),
  });
  const actions = fc.array(action, { minLength: 5, maxLength: 15 });

  it("balance after any sequence of actions: Σ deposits + Σ owed = the contract's coins", async () => {
    const clients = { 3: await world.as(3), 4: await world.as(4), 5: await world.as(5) };
    const earners = [await world.as(1), await world.as(9), await world.as(8)];
    const accounts = [...Object.values(USER_KEYS).map(accountOf), creator, node, pool, secondPool];
    const accepted = new Map<Kind, number>();
    await fc.assert(
      fc.asyncProperty(actions, (sequence) =>
        undone(chain.provider, async () => {
          // Something to take out, or most sequences would be refusals.
          await clients[3].settlement.deposit(5000n);
          await claim(clients[3], await makeReceipt(3, 1000n), 3);
          for (const { kind, who, amount, version } of sequence) {
            const client = clients[who];
            const earner = earners[Number(amount % 3n)]!;
            const act: Record<Kind, () => Promise<unknown>> = {
              deposit: () => client.settlement.deposit(amount),
              request: () => client.settlement.requestWithdrawal(amount),
              cancel: () => client.settlement.cancelWithdrawal(),
              complete: () => client.settlement.completeWithdrawal(),
              claim: async () => claim(client, await makeReceipt(who, amount / 3n, { parameterVersion: version }), who),
              withdraw: () => earner.settlement.withdraw(),
              withdrawTo: () => earner.settlement.withdrawTo(accountOf(USER_KEYS[who]!)),
              change: () => world.client.settlement.setGovernancePool(amount % 2n === 0n ? pool : secondPool),
              wait: () => advance(chain.provider, amount),
            };
            // A refused action must leave the books as they were, an accepted one must keep them balanced.
            await act[kind]().then(
              () => accepted.set(kind, (accepted.get(kind) ?? 0) + 1),
              (error: unknown) => {
                expect(error).toMatchObject({ code: "CHAIN_REVERTED" });
                expect(REFUSALS[kind]).toContain((error as AnchorError).details["error"]);
              },
            );
            const { owing, balance } = await books(accounts);
            expect(owing).toBe(balance);
          }
        }),
      ),
      { numRuns: 20 },
    );
    for (const kind of ["deposit", "claim", "withdraw", "change"] as const) {
      expect(accepted.get(kind) ?? 0, kind).toBeGreaterThan(0);
    }
  });
});
