import { Contract, parseEther } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { AnchorClient } from "../../src/chain/client.js";
import {
  artefact,
  type ContractArtefacts,
  compileContracts,
  compileProtocolContracts,
} from "../../src/chain/compile.js";
import type { Hex } from "../../src/field/bytes.js";
import type { Domain } from "../../src/protocol/eip712.js";
import { type Receipt, receiptDigest, splitCost } from "../../src/protocol/settlement.js";
import { accountOf, signDigest } from "../../src/protocol/signature.js";
import { advance, deploy, digestOf, expectRevert, now, secretOf, undone, useChain } from "./fixture.js";
import { createWorld, makeDataset, prepareDataset, type World } from "./world.js";

const ZERO_ADDRESS: Hex = `0x${"00".repeat(20)}`;
const DELAY = 3600n;

const chain = useChain();
let world: World;
let artefacts: ContractArtefacts;
let datId: bigint;
let creator: Hex;
let pool: Hex;
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
  artefacts = await compileProtocolContracts();
  const statement = await makeDataset(chain, world);
  const { proof, certificate } = prepareDataset(world, statement);
  ({ datId } = await world.client.mintDataset(statement, proof, certificate, world.epoch));
  creator = statement.task.requester;
  pool = chain.addresses[9]!;
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

async function claim(client: AnchorClient, receipt: Receipt, user: number) {
  const signatures = sign(receipt, user);
  return client.claim(receipt, signatures.user, signatures.node);
}

/** Σ deposits + Σ owed over everybody who took part, and the contract's balance. */
async function books(accounts: readonly Hex[]): Promise<{ owing: bigint; balance: bigint }> {
  let owing = 0n;
  for (const account of new Set(accounts)) {
    const { deposit, owed } = await world.client.balancesOf(account);
    owing += deposit + owed;
  }
  return { owing, balance: await chain.provider.getBalance(world.deployment.settlement) };
}

/** Each test on a chain of its own, with user 3 having deposited. */
function withDeposit(amount: bigint, test: (user: AnchorClient) => Promise<void>): () => Promise<void> {
  return () =>
    undone(chain.provider, async () => {
      const user = await world.as(3);
      await user.deposit(amount);
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
      expect(await world.client.isClaimed(claimed.receiptDigest)).toBe(true);
      expect((await world.client.balancesOf(creator)).owed).toBe(699n);
      expect((await world.client.balancesOf(node)).owed).toBe(199n);
      expect((await world.client.balancesOf(pool)).owed).toBe(101n);
      const before = await chain.provider.getBalance(pool);
      const sent = await (await world.as(9)).withdraw();
      const { gasPrice } = (await chain.provider.getTransactionReceipt(sent.hash))!;
      expect(await chain.provider.getBalance(pool)).toBe(before + 101n - sent.gasUsed * gasPrice);
      await expectRevert((await world.as(9)).withdraw(), "NothingOwed");
    }),
  );

  it(
    "are refused a second time, and with any signature of the two missing, swapped or by another",
    withDeposit(1000n, async () => {
      const receipt = await makeReceipt(3, 10n);
      const { user, node: byNode } = sign(receipt, 3);
      const { client } = world;
      await expectRevert(client.claim(receipt, "0x", byNode), "UserSignatureInvalid");
      await expectRevert(client.claim(receipt, byNode, user), "UserSignatureInvalid");
      await expectRevert(client.claim(receipt, user, user), "NodeSignatureInvalid");
      await expectRevert(client.claim(receipt, user, "0x"), "NodeSignatureInvalid");
      const stranger = signDigest(secretOf("stranger"), receiptDigest(world.settlement, receipt));
      await expectRevert(client.claim(receipt, stranger, byNode), "UserSignatureInvalid");
      await client.claim(receipt, user, byNode);
      await expectRevert(client.claim(receipt, user, byNode), "ReceiptClaimed");
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
        const outcomes = Promise.allSettled([first.claim(receipt, user, byNode), second.claim(receipt, user, byNode)]);
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
        await expectRevert(world.client.claim({ ...receipt, ...change }, user, byNode), "UserSignatureInvalid");
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
        await expectRevert(world.client.claim(receipt, signatures.user, signatures.node), "UserSignatureInvalid");
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
      await expectRevert(attempt(10n, { parameterVersion: 2n }), "ParameterVersionWrong");
      await expectRevert(attempt(10n, { datId: 12345n }), "DatUnknown");
      await expectRevert(attempt(1001n), "DepositTooSmall");
      await expectRevert(attempt(2n ** 255n), "DepositTooSmall");
      await expectRevert(attempt(10n, { node: accountOf(USER_KEYS[3]!) }), "UserIsNode");
    }),
  );

  it(
    "follow the terms: a new pool is a new version, and what the old pool is owed stays",
    withDeposit(1000n, async () => {
      await claim(world.client, await makeReceipt(3, 100n), 3);
      const old = await makeReceipt(3, 100n);
      await expectRevert((await world.as(5)).setGovernancePool(chain.addresses[6]!), "OwnableUnauthorizedAccount");
      await expectRevert(world.client.setGovernancePool(ZERO_ADDRESS), "GovernancePoolZero");
      await world.client.setGovernancePool(chain.addresses[6]!);
      expect(await world.client.parameterVersion()).toBe(2n);
      await expectRevert(claim(world.client, old, 3), "ParameterVersionWrong");
      await claim(world.client, await makeReceipt(3, 100n, { parameterVersion: 2n }), 3);
      expect((await world.client.balancesOf(pool)).owed).toBe(10n);
      expect((await world.client.balancesOf(chain.addresses[6]!)).owed).toBe(10n);
    }),
  );

  it("conserve value and match TypeScript for any cost", async () => {
    await undone(chain.provider, async () => {
      const user = await world.as(3);
      await user.deposit(parseEther("1000"));
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

describe("deposits", () => {
  it(
    "leave only after the delay, and stay claimable until then",
    withDeposit(1000n, async (user) => {
      const account = accountOf(USER_KEYS[3]!);
      await expectRevert(user.completeWithdrawal(), "WithdrawalNotRequested");
      await expectRevert(user.cancelWithdrawal(), "WithdrawalNotRequested");
      await expectRevert(user.requestWithdrawal(0n), "AmountZero");
      await expectRevert(user.requestWithdrawal(1001n), "DepositTooSmall");
      await expectRevert(user.deposit(0n), "AmountZero");
      await user.requestWithdrawal(800n);
      expect(await user.balancesOf(account)).toMatchObject({ deposit: 1000n, secured: 200n, pendingWithdrawal: 800n });
      await expectRevert(user.completeWithdrawal(), "WithdrawalTooEarly");
      await claim(world.client, await makeReceipt(3, 500n), 3);
      expect(await user.balancesOf(account)).toMatchObject({ deposit: 500n, secured: 0n });
      await advance(chain.provider, DELAY);
      await user.completeWithdrawal();
      expect(await user.balancesOf(account)).toEqual({
        deposit: 0n,
        secured: 0n,
        pendingWithdrawal: 0n,
        withdrawableAt: 0n,
        owed: 0n,
      });
      await expectRevert(user.completeWithdrawal(), "WithdrawalNotRequested");
    }),
  );

  it(
    "a new request restarts the clock, and a cancelled one is gone",
    withDeposit(1000n, async (user) => {
      await user.requestWithdrawal(100n);
      await advance(chain.provider, DELAY);
      await user.requestWithdrawal(1000n);
      await expectRevert(user.completeWithdrawal(), "WithdrawalTooEarly");
      await user.cancelWithdrawal();
      await advance(chain.provider, DELAY);
      await expectRevert(user.completeWithdrawal(), "WithdrawalNotRequested");
    }),
  );

  it("a plain transfer is refused", async () => {
    await expect(chain.accounts[3]!.sendTransaction({ to: world.deployment.settlement, value: 1n })).rejects.toThrow();
  });

  it("the delay is between a minute and 30 days", async () => {
    const settlement = artefact(artefacts, "UsageSettlement");
    const [owner] = chain.addresses;
    for (const delay of [0n, 59n, 30n * 86_400n + 1n]) {
      await expect(
        deploy(chain.accounts[0]!, settlement, owner, world.deployment.token, owner, delay),
      ).rejects.toThrow();
    }
  });
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
    constructor(address target_) { target = target_; }
    function run(bytes calldata call_, bytes calldata again_) external payable {
        again = again_;
        (bool ok, bytes memory result) = target.call{value: msg.value}(call_);
        if (!ok) assembly { revert(add(result, 0x20), mload(result)) }
    }
    function refuse() external { refuses = true; }
    receive() external payable {
        require(!refuses);
        if (again.length == 0) return;
        ++attempts;
        (bool ok,) = target.call(again);
        if (ok) ++successes;
    }
}`;

  it("takes out a deposit once, and nothing of others", async () => {
    await undone(chain.provider, async () => {
      const { abi } = artefact(artefacts, "UsageSettlement");
      const settlement = new Contract(world.deployment.settlement, abi).interface;
      const thief = await deploy(
        chain.accounts[6]!,
        (await compileContracts({ "Thief.sol": source }))["Thief"]!,
        world.deployment.settlement,
      );
      const run = async (method: string, args: unknown[], again: string, value = 0n) =>
        (
          await thief
            .getFunction("run")
            .send(settlement.encodeFunctionData(method, args), again, { value, gasLimit: GAS })
        ).wait();
      await (await world.as(3)).deposit(5000n);
      await run("deposit", [], "0x", 1000n);
      await run("requestWithdrawal", [1000n], "0x");
      await advance(chain.provider, DELAY);
      await run("completeWithdrawal", [], settlement.encodeFunctionData("completeWithdrawal"));
      expect([await thief.getFunction("attempts")(), await thief.getFunction("successes")()]).toEqual([1n, 0n]);
      expect(await chain.provider.getBalance(await thief.getAddress())).toBe(1000n);
      expect(await chain.provider.getBalance(world.deployment.settlement)).toBe(5000n);
    });
  });

  it("withdraws what is owed once; a recipient that refuses keeps its claim", async () => {
    await undone(chain.provider, async () => {
      const { abi } = artefact(artefacts, "UsageSettlement");
      const settlement = new Contract(world.deployment.settlement, abi).interface;
      const thief = await deploy(
        chain.accounts[6]!,
        (await compileContracts({ "Thief.sol": source }))["Thief"]!,
        world.deployment.settlement,
      );
      const address = (await thief.getAddress()).toLowerCase() as Hex;
      await world.client.setGovernancePool(address);
      await (await world.as(3)).deposit(5000n);
      await claim(world.client, await makeReceipt(3, 1000n, { parameterVersion: 2n }), 3);
      const withdraw = settlement.encodeFunctionData("withdraw");
      await undone(chain.provider, async () => {
        await (await thief.getFunction("refuse").send()).wait();
        await expect(thief.getFunction("run").send(withdraw, "0x")).rejects.toMatchObject({
          data: settlement.encodeErrorResult("TransferFailed", [await thief.getAddress(), 100n]),
        });
        expect((await world.client.balancesOf(address)).owed).toBe(100n);
      });
      await (await thief.getFunction("run").send(withdraw, withdraw, { gasLimit: GAS })).wait();
      expect([await thief.getFunction("attempts")(), await thief.getFunction("successes")()]).toEqual([1n, 0n]);
      expect(await chain.provider.getBalance(address)).toBe(100n);
      expect((await world.client.balancesOf(address)).owed).toBe(0n);
    });
  });
});

describe("the books", () => {
  type Action = {
    kind: "deposit" | "request" | "cancel" | "complete" | "claim" | "withdraw" | "wait";
    who: 3 | 4 | 5;
    amount: bigint;
  };
  const actions = fc.array(
    fc.record<Action>({
      kind: fc.constantFrom(
        "deposit",
        "deposit",
        "request",
        "cancel",
        "complete",
        "claim",
        "claim",
        "withdraw",
        "wait",
      ),
      who: fc.constantFrom(3, 4, 5),
      amount: fc.bigInt({ min: 0n, max: 5000n }),
    }),
    { minLength: 5, maxLength: 15 },
  );

  it("balance after any sequence of actions: Σ deposits + Σ owed = the contract's coins", async () => {
    const clients = { 3: await world.as(3), 4: await world.as(4), 5: await world.as(5) };
    const accounts = [...Object.values(USER_KEYS).map(accountOf), creator, node, pool];
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(actions, (sequence) =>
        undone(chain.provider, async () => {
          for (const { kind, who, amount } of sequence) {
            const client = clients[who];
            const act = async () => {
              if (kind === "deposit") return client.deposit(amount);
              if (kind === "request") return client.requestWithdrawal(amount);
              if (kind === "cancel") return client.cancelWithdrawal();
              if (kind === "complete") return client.completeWithdrawal();
              if (kind === "claim") return claim(client, await makeReceipt(who, amount / 3n), who);
              if (kind === "withdraw") return (await world.as(amount % 2n === 0n ? 1 : 9)).withdraw();
              return advance(chain.provider, amount);
            };
            // A refused action must leave the books as they were, an accepted one must keep them balanced.
            await act().then(
              () => accepted++,
              () => undefined,
            );
            const { owing, balance } = await books(accounts);
            expect(owing).toBe(balance);
          }
        }),
      ),
      { numRuns: 12 },
    );
    expect(accepted).toBeGreaterThan(20);
  });
});
