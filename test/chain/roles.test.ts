/**
 * Who may call what: every function that changes state, of every contract in `src`, is in this table, and a stranger is
 * refused where it says so, for being a stranger. A function that is added and not entered fails here, as does one that is
 * entered for somebody whom the contract refuses.
 */
import { type Fragment, type FunctionFragment, Interface, isCallException, type ParamType } from "ethers";
import { beforeAll, describe, expect, it } from "vitest";
import { type ContractArtefacts, compileProtocolContracts } from "../../src/chain/compile.js";
import { errorInterface } from "../../src/chain/reverts.js";
import type { Hex } from "../../src/field/bytes.js";
import { digestOf, useChain } from "./fixture.js";
import { createWorld, makeDataset, prepareDataset, type World } from "./world.js";

/** For whom a function is, and with which error others are refused. */
const ROLES = {
  /** Checked by nothing but what it is called with: proofs, certificates, signatures, delays, and the caller's own money. */
  anyone: undefined,
  owner: "OwnableUnauthorizedAccount",
  /** Whoever the owner has named to follow. */
  pendingOwner: "OwnableUnauthorizedAccount",
  ownerOrGuardian: "NotGuardian",
  gate: "NotGate",
  creator: "NotCreator",
  holderOrApproved: "ERC1155MissingApprovalForAll",
} as const;

type Role = keyof typeof ROLES;

const OWNABLE = { transferOwnership: "owner", acceptOwnership: "pendingOwner", renounceOwnership: "owner" } as const;

/** Functions by their names, which none of the contracts has twice. */
const TABLE: Record<string, Record<string, Role>> = {
  VerifierRegistry: {
    ...OWNABLE,
    setGuardian: "owner",
    propose: "owner",
    proposeBatchVerifier: "owner",
    activate: "anyone",
    activateBatchVerifier: "anyone",
    cancel: "ownerOrGuardian",
    cancelBatchVerifier: "ownerOrGuardian",
    freeze: "ownerOrGuardian",
    exposeZeroContext: "anyone",
    exposeZeroContextInBatch: "anyone",
    exposeContradiction: "anyone",
  },
  UniversalVerifier: { store: "anyone" },
  KeyBlob: {},
  Quorum: {
    transferOwnership: "owner",
    acceptOwnership: "pendingOwner",
    setEpoch: "owner",
    bond: "anyone",
    requestUnbond: "anyone",
    cancelUnbond: "anyone",
    completeUnbond: "anyone",
    slashEquivocation: "anyone",
    slashInvalidAcceptance: "anyone",
    withdraw: "anyone",
  },
  DataAnchoringToken: {
    mint: "gate",
    revoke: "gate",
    safeTransferFrom: "holderOrApproved",
    safeBatchTransferFrom: "holderOrApproved",
    setApprovalForAll: "anyone",
  },
  MintGate: {
    mintDataset: "anyone",
    mintModel: "anyone",
    mintAdapter: "anyone",
    mintInference: "anyone",
    verifyInference: "anyone",
    verifyAdaptedInference: "anyone",
    verifyInferences: "anyone",
    revoke: "anyone",
  },
  LazaiMintGate: { mintDataset: "anyone", mintModel: "anyone", revoke: "anyone" },
  UsageSettlement: {
    ...OWNABLE,
    proposeParameters: "owner",
    cancelParameters: "owner",
    activateParameters: "anyone",
    deposit: "anyone",
    depositFor: "anyone",
    requestWithdrawal: "anyone",
    cancelWithdrawal: "anyone",
    completeWithdrawal: "anyone",
    completeWithdrawalTo: "anyone",
    reserve: "anyone",
    requestRelease: "anyone",
    cancelRelease: "anyone",
    completeRelease: "anyone",
    claim: "anyone",
    claimMany: "anyone",
    claimBatch: "anyone",
    setFloor: "creator",
    withdraw: "anyone",
    withdrawTo: "anyone",
  },
  LazaiVerifier: {
    submitTEEProof: "anyone",
    submitZKProof: "anyone",
    submitFraudProof: "anyone",
    revokeKey: "anyone",
  },
  ValidationResponder: { respond: "anyone" },
  ZkmlVerifier: { verifyInference: "anyone", verifyAndStoreInference: "anyone" },
};

/** `renounceOwnership` of the quorum is a view that always reverts, and so changes nothing. */
function changesState(fragment: Fragment): fragment is FunctionFragment {
  return fragment.type === "function" && !(fragment as FunctionFragment).constant;
}

function functionsOf(abi: ContractArtefacts[string]["abi"]): FunctionFragment[] {
  return new Interface(abi).fragments.filter(changesState);
}

/** What is in the table and not in the contracts, or the other way round. */
function differences(artefacts: ContractArtefacts, table: Record<string, Record<string, Role>>): string[] {
  const lines: string[] = [];
  for (const [contract, { abi, bytecode }] of Object.entries(artefacts)) {
    if (bytecode === "0x") continue;
    const names = functionsOf(abi).map(({ name }) => name);
    // Libraries change nothing of their own.
    if (names.length === 0 && !Object.hasOwn(table, contract)) continue;
    const entered = Object.keys(table[contract] ?? {});
    for (const name of names) if (!entered.includes(name)) lines.push(`${contract}.${name} is not in the table`);
    for (const name of entered) if (!names.includes(name)) lines.push(`${contract} has no ${name}`);
    if (new Set(names).size !== names.length) lines.push(`${contract} has two functions of one name`);
  }
  for (const contract of Object.keys(table)) if (!artefacts[contract]) lines.push(`there is no ${contract}`);
  return lines;
}

const artefacts = await compileProtocolContracts();

describe("the table", () => {
  it("has every function that changes state, and no other", () => expect(differences(artefacts, TABLE)).toEqual([]));

  it("misses one that is added, and knows one that is gone", () => {
    const { MintGate } = artefacts;
    const added = [...(MintGate!.abi as object[]), { type: "function", name: "sweep", inputs: [], outputs: [] }];
    const more = { ...artefacts, MintGate: { ...MintGate!, abi: added as ContractArtefacts[string]["abi"] } };
    expect(differences(more, TABLE)).toEqual(["MintGate.sweep is not in the table"]);
    const { mint: _, ...rest } = TABLE["DataAnchoringToken"]!;
    expect(differences(artefacts, { ...TABLE, DataAnchoringToken: rest })).toEqual([
      "DataAnchoringToken.mint is not in the table",
    ]);
    const { Quorum: __, ...fewer } = artefacts;
    expect(differences(fewer, TABLE)).toEqual(["there is no Quorum"]);
    const gone = { ...TABLE, ZkmlVerifier: { ...TABLE["ZkmlVerifier"]!, sweep: "owner" as const } };
    expect(differences(artefacts, gone)).toEqual(["ZkmlVerifier has no sweep"]);
  });
});

const chain = useChain();
const STRANGER: Hex = "0x00000000000000000000000000000000005742a6";
const errors = errorInterface(artefacts);

let world: World;
let datId: bigint;
let creator: Hex;
/** Where each contract is. */
const addresses = new Map<string, Hex>();

beforeAll(async () => {
  world = await createWorld(chain);
  const { registry, quorum, token, gate, settlement } = world.deployment;
  const own = { VerifierRegistry: registry, Quorum: quorum, DataAnchoringToken: token, MintGate: gate };
  for (const [name, address] of Object.entries({ ...own, UsageSettlement: settlement })) addresses.set(name, address);
  for (const [i, name] of Object.keys(TABLE).entries()) {
    if (addresses.has(name)) continue;
    // Nobody has a role in these; what they would say with immutables does not matter.
    expect([...new Set(Object.values(TABLE[name]!))].filter((role) => role !== "anyone")).toEqual([]);
    const address: Hex = `0x${(0xc0de00 + i).toString(16).padStart(40, "0")}`;
    await chain.provider.send("anvil_setCode", [address, artefacts[name]!.runtime]);
    addresses.set(name, address);
  }
  const statement = await makeDataset(chain, world);
  const { proof, certificate } = prepareDataset(world, statement);
  ({ datId } = await world.client.gate.mintDataset(statement, proof, certificate, world.epoch));
  creator = statement.task.requester;
});

/** A value that decodes, and is not zero. */
function plausible(type: ParamType): unknown {
  if (type.baseType === "array") {
    const length = type.arrayLength === -1 || type.arrayLength === null ? 1 : type.arrayLength;
    return Array.from({ length }, () => plausible(type.arrayChildren!));
  }
  if (type.baseType === "tuple") return type.components!.map(plausible);
  if (type.type === "address") return STRANGER;
  if (type.type === "bool") return true;
  if (type.type === "string") return "text";
  if (type.type === "bytes") return "0x01";
  if (type.type === "bytes32") return digestOf("value");
  if (/^u?int/.test(type.type)) return 1n;
  throw new Error(`no value for ${type.type}`);
}

/** Where it takes more than a value of the type to get as far as the question who is calling. */
function argumentsOf(contract: string, fragment: FunctionFragment): unknown[] {
  const values = fragment.inputs.map(plausible);
  if (contract === "UsageSettlement" && fragment.name === "setFloor") return [datId, STRANGER, 1n];
  if (contract === "DataAnchoringToken" && /^safe/.test(fragment.name)) values[0] = creator;
  return values;
}

/** "ok", or the name of the error that a call ends in. */
async function call(contract: string, fragment: FunctionFragment, from: Hex): Promise<string> {
  const data = new Interface([fragment]).encodeFunctionData(fragment, argumentsOf(contract, fragment));
  try {
    await chain.provider.send("eth_call", [{ from, to: addresses.get(contract), data }, "latest"]);
    return "ok";
  } catch (error) {
    if (!isCallException(error)) throw error;
    return (error.data && error.data !== "0x" && errors.parseError(error.data)?.name) || "without a reason";
  }
}

/** Everybody whom the role is. The pending owner is none yet: the owner is not it either. */
function holders(role: Role): Hex[] {
  const [owner, guardian] = [chain.addresses[0]!, chain.addresses[8]!];
  return {
    anyone: [],
    owner: [owner],
    pendingOwner: [],
    ownerOrGuardian: [owner, guardian],
    gate: [world.deployment.gate],
    creator: [creator],
    holderOrApproved: [creator],
  }[role];
}

const REFUSALS: readonly string[] = Object.values(ROLES).filter((error) => error !== undefined);

describe.each(Object.keys(TABLE).filter((name) => Object.keys(TABLE[name]!).length > 0))("%s", (contract) => {
  const functions = functionsOf(artefacts[contract]!.abi);

  it.each(functions.map((fragment) => [fragment.name, TABLE[contract]?.[fragment.name], fragment] as const))(
    "%s: %s",
    async (_, role, fragment) => {
      const refusal = ROLES[role!];
      const stranger = await call(contract, fragment, STRANGER);
      if (refusal === undefined) expect(REFUSALS).not.toContain(stranger);
      else expect(stranger).toBe(refusal);
      // Of the others too, each role is what it says: the owner is no gate, and the guardian no owner.
      const roles = [chain.addresses[0]!, chain.addresses[8]!, world.deployment.gate, creator];
      for (const account of roles) {
        const answer = await call(contract, fragment, account);
        const mine = refusal === undefined || holders(role!).includes(account);
        if (mine) expect(REFUSALS, `${account} holds the role`).not.toContain(answer);
        else expect(answer, `${account} does not hold the role`).toBe(refusal);
      }
    },
  );
});

it("ownership passes in two steps, and only to whom it was offered", async () => {
  for (const contract of ["VerifierRegistry", "Quorum", "UsageSettlement"]) {
    const accept = functionsOf(artefacts[contract]!.abi).find(({ name }) => name === "acceptOwnership")!;
    const data = new Interface(artefacts[contract]!.abi).encodeFunctionData("transferOwnership", [chain.addresses[5]]);
    await (await chain.accounts[0]!.sendTransaction({ to: addresses.get(contract)!, data })).wait();
    expect(await call(contract, accept, chain.addresses[5]!)).toBe("ok");
    expect(await call(contract, accept, chain.addresses[0]!)).toBe("OwnableUnauthorizedAccount");
    expect(await call(contract, accept, STRANGER)).toBe("OwnableUnauthorizedAccount");
  }
});
