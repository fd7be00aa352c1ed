/** The token's royalties and their twin in src/protocol, over lineages made at random; the client; what a mint costs. */
import type { Contract } from "ethers";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { TokenClient } from "../../src/chain/client/token.js";
import { artefact, type ContractArtefact, compileProtocolContracts } from "../../src/chain/compile.js";
import { untilMined } from "../../src/chain/provider.js";
import { errorInterface } from "../../src/chain/reverts.js";
import { AnchorError } from "../../src/errors.js";
import { type Hex, toHex, word } from "../../src/field/bytes.js";
import { type Ancestor, MAX_ROYALTIES, MAX_ROYALTY_DEPTH, royaltiesOf } from "../../src/protocol/royalties.js";
import { type Asset, datId, MAX_PARENTS, MAX_ROYALTY_BPS, OPEN_TERMS } from "../../src/protocol/statements.js";
import { deploy, digestOf, expectRevert, useChain } from "./fixture.js";

const chain = useChain();
let compiled: ContractArtefact;
let token: Contract;
let client: TokenClient;
let address: Hex;

/** The first account is the gate. */
beforeAll(async () => {
  const artefacts = await compileProtocolContracts();
  compiled = artefact(artefacts, "DataAnchoringToken");
  token = await deploy(chain.accounts[0]!, compiled, chain.addresses[0], "https://dat.example/");
  address = (await token.getAddress()).toLowerCase() as Hex;
  client = new TokenClient({ address, runner: chain.accounts[1]!, artefacts });
});

let counter = 0n;

function asset(changes: Partial<Asset> = {}): Asset {
  counter++;
  return {
    token: address,
    fileId: 0n,
    class: 1n,
    commitment: toHex(word(counter)),
    metadataDigest: digestOf("metadata"),
    supply: 100n,
    parents: [],
    terms: OPEN_TERMS,
    ...changes,
  };
}

async function mint(creator: Hex, value: Asset): Promise<bigint> {
  const { hash } = await token.getFunction("mint").send(creator, value);
  await untilMined(chain.provider, hash);
  return datId(value.class, value.commitment);
}

/** Name of the error that a mint would end in. */
async function refusal(creator: Hex, value: Asset): Promise<string | undefined> {
  try {
    await token.getFunction("mint").staticCall(creator, value);
    return undefined;
  } catch (error) {
    return errorInterface({ compiled }).parseError((error as { data: string }).data)?.name;
  }
}

const REFUSALS: Record<string, RegExp> = {
  RoyaltiesTooHigh: /basis points together/,
  RoyaltiesTooMany: /ancestors would be owed/,
  RoyaltiesTooDeep: /steps up/,
};

describe("royalties", () => {
  it("are in the contract what they are in TypeScript, entry by entry, and refused for the same reason", async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            shareBps: fc.oneof(
              { weight: 3, arbitrary: fc.integer({ min: 0, max: 2500 }) },
              { weight: 1, arbitrary: fc.constantFrom(0, 1, 300, 4999, 5000) },
            ),
            links: fc.array(fc.nat(), { maxLength: 4 }),
          }),
          { minLength: 12, maxLength: 12 },
        ),
        async (plan) => {
          const lineage = new Map<bigint, Ancestor>();
          for (const [i, { shareBps, links }] of plan.entries()) {
            const ids = [...lineage.keys()];
            const parents = ids.length === 0 ? [] : [...new Set(links.map((link) => ids[link % ids.length]!))];
            const creator = chain.addresses[1 + (i % 5)]!;
            const value = asset({ parents, terms: { ...OPEN_TERMS, shareBps: BigInt(shareBps) } });
            let foretold: unknown;
            try {
              foretold = royaltiesOf(parents, lineage);
            } catch (error) {
              foretold = error;
            }
            const refused = await refusal(creator, value);
            if (foretold instanceof AnchorError) {
              seen.add(refused!);
              expect(foretold.code).toBe("STATEMENT_INVALID");
              expect(foretold.message).toMatch(REFUSALS[refused!]!);
              continue;
            }
            expect(refused).toBeUndefined();
            const id = await mint(creator, value);
            const table = await client.royaltiesOf(id);
            expect(table).toEqual(foretold);
            expect((await client.settlementOf(id)).derived).toBe(table.length > 0);
            if (table.length > 3) seen.add("a long table");
            lineage.set(id, { creator, shareBps: BigInt(shareBps), parents });
          }
        },
      ),
      { numRuns: 10, seed: 8 },
    );
    expect([...seen].sort()).toEqual(["RoyaltiesTooDeep", "RoyaltiesTooHigh", "a long table"]);
  });

  it("have at most 16 entries, in both", async () => {
    const creator = chain.addresses[1]!;
    const lineage = new Map<bigint, Ancestor>();
    const add = async (parents: bigint[], shareBps: bigint) => {
      const id = await mint(creator, asset({ parents, terms: { ...OPEN_TERMS, shareBps } }));
      lineage.set(id, { creator, shareBps, parents });
      return id;
    };
    const parents: bigint[] = [];
    for (let i = 0; i < MAX_PARENTS; i++) parents.push(await add([], 300n));
    const full = await add(parents, 5000n);
    expect(await client.royaltiesOf(full)).toEqual(royaltiesOf(parents, lineage));
    expect(await client.royaltiesOf(full)).toHaveLength(MAX_ROYALTIES);
    expect(() => royaltiesOf([full], lineage)).toThrow(/more than 16 ancestors/);
    expect(await refusal(creator, asset({ parents: [full] }))).toBe("RoyaltiesTooMany");
  });

  it("are foretold only from a whole lineage without circles", () => {
    const creator = chain.addresses[1]!;
    expect(() => royaltiesOf([1n], new Map())).toThrow(expect.objectContaining({ code: "INPUT_INVALID" }));
    const circle = new Map<bigint, Ancestor>([
      [1n, { creator, shareBps: 100n, parents: [2n] }],
      [2n, { creator, shareBps: 100n, parents: [1n] }],
    ]);
    expect(() => royaltiesOf([1n], circle)).toThrow(/its own ancestor/);
  });

  it("have the contract's limits", async () => {
    for (const [name, limit] of [
      ["MAX_PARENTS", MAX_PARENTS],
      ["MAX_ROYALTIES", MAX_ROYALTIES],
      ["MAX_ROYALTY_DEPTH", MAX_ROYALTY_DEPTH],
      ["MAX_ROYALTY_BPS", MAX_ROYALTY_BPS],
    ] as const) {
      expect(await token.getFunction(name)()).toBe(BigInt(limit));
    }
  });
});

it("the client says what was minted, and that what was not is nothing", async () => {
  const value = asset({ fileId: 7n, terms: { expiresAt: 1n << 60n, maxUses: 9n, shareBps: 250n, transferable: true } });
  const creator = chain.addresses[1]!;
  const id = await mint(creator, value);
  const { token: _, ...kept } = value;
  expect(await client.recordOf(id)).toMatchObject({ ...kept, creator, revoked: false });
  expect(await client.settlementOf(id)).toEqual({
    creator,
    revoked: false,
    expiresAt: 1n << 60n,
    maxUses: 9n,
    derived: false,
  });
  expect(await client.isVerified(id)).toBe(true);
  expect(await client.royaltyInfo(id, 10_000n)).toEqual({ receiver: creator, amount: 250n });
  expect(await client.uri(id)).toBe(`https://dat.example/${value.metadataDigest}.json`);
  expect(await client.totalSupply(id)).toBe(100n);
  await client.transfer(creator, chain.addresses[2]!, id, 40n);
  expect(await client.balanceOf(chain.addresses[2]!, id)).toBe(40n);

  const kept2 = await mint(creator, asset({ terms: { ...OPEN_TERMS, transferable: false } }));
  await expectRevert(client.transfer(creator, chain.addresses[2]!, kept2, 1n), "NotTransferable");
  expect(await client.recordOf(1n)).toBeUndefined();
  expect(await client.isVerified(1n)).toBe(false);
  await expectRevert(client.settlementOf(1n), "IdUnknown");
  await expectRevert(client.royaltiesOf(1n), "IdUnknown");
});
