/**
 * Deploys the protocol's contracts, and verifiers for keys.
 *
 * A deployment is planned first: contracts in their order, each with its constructor's arguments and the address that it is
 * going to have. Addresses follow from the account and its nonce, so contracts can name each other, and nothing else may
 * be sent from the account meanwhile. What has been done is recorded after every step, and a plan can be made from such a
 * record.
 *
 * @module
 */
import { getCreateAddress, Interface, isError, type Provider, type Signer } from "ethers";
import { AnchorError, throwIfAborted } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { packageVersion } from "../files.js";
import { DEFAULT_SHARES } from "../protocol/settlement.js";
import type { VerifyingKey } from "../verifier/groth16.js";
import { codeHash, isCodeOf } from "./code.js";
import {
  artefact,
  type CompileContractsOptions,
  type ContractArtefact,
  type ContractArtefacts,
  compileContracts,
  compileProtocolContracts,
  solcVersion,
} from "./compile.js";
import type { ContractRecord, DeploymentRecord } from "./deployment.js";
import { type GenerateVerifierOptions, generateVerifier, verifierName } from "./generate.js";
import { untilMined } from "./provider.js";
import { errorInterface, explainFailure } from "./reverts.js";
import { verifySource } from "./verifySource.js";

/** Where one deployment's contracts are. Addresses are lower-case 0x-hex. */
export interface Deployment {
  chainId: bigint;
  registry: Hex;
  universal: Hex;
  quorum: Hex;
  token: Hex;
  gate: Hex;
  settlement: Hex;
  /** ERC-7992's verifier. */
  zkmlVerifier: Hex;
  /** LazAI's IVerifier. */
  lazaiVerifier: Hex;
}

export type ContractName = Exclude<keyof Deployment, "chainId">;
type Addresses = Omit<Deployment, "chainId">;

/** What a deployment is made with. */
export interface DeployParameters {
  /** Owner of registry, quorum and settlement. */
  owner: Hex;
  /** May freeze keys. */
  guardian: Hex;
  /** Seconds between proposing a key and activating it. */
  addDelay: bigint;
  /** Receives the governance share. */
  governancePool: Hex;
  /** What stands before a metadata digest in a token's URI. */
  baseUri: string;
  /** Of what a use costs, for the asset's creator and for the node; the governance pool has the rest. */
  creatorBps: bigint;
  nodeBps: bigint;
  /** Seconds between proposing another split and its counting. */
  parameterDelay: bigint;
  /** Seconds between asking for a deposit back and getting it. */
  withdrawalDelay: bigint;
  /** Receives what of slashed bonds reporters do not. */
  treasury: Hex;
  /** Wei that every validator must have bonded when its epoch is set. */
  minimumBond: bigint;
  /** Seconds during which a validator's bond stays after its last epoch. */
  disputeWindow: bigint;
  /** Seconds between asking for a bond and getting it; more than the dispute window. */
  unbondingDelay: bigint;
  /** Basis points of a validator's bond that an offence costs. */
  slashBps: bigint;
  /** Basis points of it for whoever reports the offence. */
  reporterBps: bigint;
  /** The most that one report pays, in wei. */
  reporterCap: bigint;
}

interface Parameter<T> {
  /** The command's option. */
  option: string;
  /** In the command's help. */
  about: string;
  /** For people, in the command's help. */
  unlessTold: string;
  fallback: (others: DeployParameters, place: { deployer: Hex; chainId: bigint }) => T;
  /** Of an integer; an address without, unless it is text. */
  bits?: number;
  text?: true;
}

/** Keys without a ceremony work on it, and validators need no bond. */
const DEVELOPMENT_CHAIN = 31337n;

/** Defaults are made in this order, from those before. They are good for a chain of one's own. */
export const PARAMETERS: { readonly [Name in keyof DeployParameters]: Parameter<DeployParameters[Name]> } = {
  owner: {
    option: "owner",
    about: "owns registry, quorum and settlement",
    unlessTold: "the account",
    fallback: (_, { deployer }) => deployer,
  },
  guardian: {
    option: "guardian",
    about: "may freeze keys, and nothing else",
    unlessTold: "the owner",
    fallback: ({ owner }) => owner,
  },
  addDelay: {
    option: "add-delay",
    about: "seconds between proposing a key and activating it",
    unlessTold: "a day, the least, and none on chain 31337",
    fallback: (_, { chainId }) => (chainId === DEVELOPMENT_CHAIN ? 0n : 86_400n),
    bits: 64,
  },
  governancePool: {
    option: "pool",
    about: "receives the governance share",
    unlessTold: "the owner",
    fallback: ({ owner }) => owner,
  },
  baseUri: {
    option: "base-uri",
    about: "what stands before a metadata digest in a token's URI",
    unlessTold: "nothing",
    fallback: () => "",
    text: true,
  },
  creatorBps: {
    option: "creator-bps",
    about: "basis points of a use's cost for the asset's creator",
    unlessTold: "7000",
    fallback: () => DEFAULT_SHARES.creator,
    bits: 16,
  },
  nodeBps: {
    option: "node-bps",
    about: "the same for the node; the pool has the rest",
    unlessTold: "2000",
    fallback: () => DEFAULT_SHARES.node,
    bits: 16,
  },
  parameterDelay: {
    option: "parameter-delay",
    about: "seconds between proposing another split and its counting",
    unlessTold: "two days; none on chain 31337",
    fallback: (_, { chainId }) => (chainId === DEVELOPMENT_CHAIN ? 0n : 172_800n),
    bits: 64,
  },
  withdrawalDelay: {
    option: "withdrawal-delay",
    about: "seconds between asking for a deposit back and getting it",
    unlessTold: "a day",
    fallback: () => 86_400n,
    bits: 64,
  },
  treasury: {
    option: "treasury",
    about: "receives what of slashed bonds reporters do not",
    unlessTold: "the pool",
    fallback: ({ governancePool }) => governancePool,
  },
  minimumBond: {
    option: "minimum-bond",
    about: "wei that every validator must have bonded when its epoch is set",
    unlessTold: "10^18, and none on chain 31337",
    fallback: (_, { chainId }) => (chainId === DEVELOPMENT_CHAIN ? 0n : 10n ** 18n),
    bits: 96,
  },
  disputeWindow: {
    option: "dispute-window",
    about: "seconds during which a validator's bond stays after its last epoch",
    unlessTold: "a week",
    fallback: () => 7n * 86_400n,
    bits: 64,
  },
  unbondingDelay: {
    option: "unbonding-delay",
    about: "seconds between asking for a bond and getting it, more than the dispute window",
    unlessTold: "twice the dispute window",
    fallback: ({ disputeWindow }) => 2n * disputeWindow,
    bits: 64,
  },
  slashBps: {
    option: "slash-bps",
    about: "basis points of a validator's bond that an offence costs",
    unlessTold: "5000, half of it",
    fallback: () => 5_000n,
    bits: 16,
  },
  reporterBps: {
    option: "reporter-bps",
    about: "basis points of what is slashed for whoever reports it, at most 5000",
    unlessTold: "1000",
    fallback: () => 1_000n,
    bits: 16,
  },
  reporterCap: {
    option: "reporter-cap",
    about: "the most that one report pays, in wei",
    unlessTold: "10^18",
    fallback: () => 10n ** 18n,
    bits: 256,
  },
};

interface Step {
  name: ContractName;
  contract: string;
  /** What the constructor takes. `at` has the addresses of all contracts, of those that come later as well. */
  args: (at: Addresses, parameters: DeployParameters) => unknown[];
}

/** In this order. */
const STEPS: readonly Step[] = [
  {
    name: "registry",
    contract: "VerifierRegistry",
    args: (_, { owner, guardian, addDelay }) => [owner, guardian, addDelay],
  },
  { name: "universal", contract: "UniversalVerifier", args: () => [] },
  {
    name: "quorum",
    contract: "Quorum",
    args: ({ registry }, { owner, treasury, minimumBond, unbondingDelay, disputeWindow, ...shares }) => {
      const { slashBps, reporterBps, reporterCap } = shares;
      const terms = { minimumBond, unbondingDelay, disputeWindow, slashBps, reporterBps, reporterCap };
      return [{ owner, registry, treasury, ...terms }];
    },
  },
  { name: "token", contract: "DataAnchoringToken", args: ({ gate }, { baseUri }) => [gate, baseUri] },
  { name: "gate", contract: "MintGate", args: ({ token, registry, quorum }) => [token, registry, quorum] },
  {
    name: "settlement",
    contract: "UsageSettlement",
    args: ({ token }, { owner, governancePool, creatorBps, nodeBps, withdrawalDelay, parameterDelay }) => [
      {
        owner,
        dat: token,
        shares: { pool: governancePool, creatorBps, nodeBps, poolBps: 10_000n - creatorBps - nodeBps },
        withdrawalDelay,
        parameterDelay,
      },
    ],
  },
  { name: "zkmlVerifier", contract: "ZkmlVerifier", args: ({ registry }) => [registry] },
  {
    name: "lazaiVerifier",
    contract: "LazaiVerifier",
    args: ({ registry, quorum }, { disputeWindow }) => [registry, quorum, disputeWindow],
  },
];

/** Between two looks at what an account has sent and is not mined. */
const PENDING_MS = 500;

export const CONTRACT_NAMES: readonly ContractName[] = STEPS.map(({ name }) => name);

/** What the contract is called in Solidity; `undefined` for what is none of the protocol's, such as a key's verifier. */
export function contractOf(name: string): string | undefined {
  return STEPS.find((step) => step.name === name)?.contract;
}

/** The settlement's, in basis points; its constructor holds to them. */
export const SHARE_BOUNDS = { minCreator: 5_000n, minNode: 1_000n, maxPool: 2_000n } as const;

/** What `contract generate` wrote, and the key that it must be for. */
export interface VerifierFile {
  source: Uint8Array;
  vkey: VerifyingKey;
}

export interface PlanOptions
  extends CompileContractsOptions,
    Partial<{ [Name in keyof DeployParameters]: DeployParameters[Name] | undefined }> {
  /** Generated verifiers that are deployed as well. They are not registered: that is the owner's word. */
  verifiers?: readonly VerifierFile[] | undefined;
  /** What an earlier run has done; its parameters hold, and those given must be the same. */
  record?: DeploymentRecord | undefined;
}

export interface RunOptions {
  signal?: AbortSignal | undefined;
  /** Called before each contract, with its name and how many are done. */
  onProgress?: ((event: { contract: string; done: number; total: number }) => void) | undefined;
  /** Called before and after each transaction is sent, and when it was mined and its code was checked. */
  save?: ((record: DeploymentRecord) => Promise<void>) | undefined;
}

export type DeployOptions = PlanOptions & RunOptions;

/** A contract of a plan: to be deployed, or `deployed` already. */
export interface PlannedContract extends ContractRecord {
  /** Of {@link Deployment}; for verifiers `verifier` or `batchVerifier`, and the digest of the key. */
  name: string;
  artefact: ContractArtefact;
}

export interface DeploymentPlan {
  chainId: bigint;
  deployer: Hex;
  parameters: DeployParameters;
  contracts: readonly PlannedContract[];
  /** Deployed by the run before, and of no use: they name an address that has come to be something else. */
  abandoned: readonly Hex[];
  errors: Interface;
}

/**
 * What there is to deploy, and where it will be. Sends nothing.
 *
 * @throws INPUT_INVALID when the record is of another chain, account or other parameters, and for shares out of bounds;
 *         CONTRACT_MISMATCH when what is
 *         there is not what was recorded or not this release's; KEY_DEVELOPMENT for a development verifier on another chain
 *         than 31337; CHAIN_UNAVAILABLE, CONTRACT_COMPILE, ABORTED, and what {@link verifySource} throws
 */
export async function planDeployment(signer: Signer, options: PlanOptions = {}): Promise<DeploymentPlan> {
  const provider = providerOf(signer);
  const { record, signal } = options;
  const artefacts = await compileProtocolContracts(options);
  const verifiers = await readVerifiers(options);
  const errors = errorInterface({ ...artefacts, ...Object.fromEntries(verifiers) });
  return asking("planning the deployment", errors, provider, async () => {
    const deployer = lower(await signer.getAddress());
    const { chainId } = await provider.getNetwork();
    const locked = [...verifiers.values()].find(({ development }) => development);
    if (locked && chainId !== DEVELOPMENT_CHAIN) {
      throw new AnchorError(
        "KEY_DEVELOPMENT",
        `${locked.contract} answers on chain 31337 only; show the key's ceremony`,
      );
    }
    if (record) checkRecord(record, { chainId, deployer });
    const parameters = parametersOf(options, { deployer, chainId });

    const done = new Map<string, ContractRecord>();
    for (const [name, entry] of Object.entries(record?.contracts ?? {})) {
      const step = STEPS.find((each) => each.name === name);
      const compiled = step ? artefact(artefacts, step.contract) : verifiers.get(name);
      // A verifier of a key that is not asked for this time stays as it is recorded.
      if (!compiled) continue;
      const found = await whatBecameOf(entry, deployer, compiled, provider, signal);
      if (found) done.set(name, found);
    }
    const nonce = await provider.getTransactionCount(deployer, "pending");

    // A contract that names another one by an address which that can no longer get is deployed again.
    const abandoned: Hex[] = [];
    for (;;) {
      const plan = layOut(done, { nonce, deployer, parameters, artefacts, verifiers });
      const stale = plan.filter(({ name, encodedArguments }) => {
        const before = done.get(name);
        return before !== undefined && before.encodedArguments !== encodedArguments;
      });
      if (stale.length === 0) return { chainId, deployer, parameters, contracts: plan, abandoned, errors };
      for (const { name } of stale) {
        abandoned.push(done.get(name)!.address);
        done.delete(name);
      }
    }
  });
}

/** The plan as it is when `done` stays and all else follows from `nonce` on. */
function layOut(
  done: ReadonlyMap<string, ContractRecord>,
  {
    nonce: first,
    deployer,
    parameters,
    artefacts,
    verifiers,
  }: {
    nonce: number;
    deployer: Hex;
    parameters: DeployParameters;
    artefacts: ContractArtefacts;
    verifiers: ReadonlyMap<string, VerifierArtefact>;
  },
): PlannedContract[] {
  let nonce = first;
  const place = (name: string) => {
    const before = done.get(name);
    const own = before?.nonce ?? nonce++;
    return { nonce: own, address: lower(getCreateAddress({ from: deployer, nonce: own })), deployed: before };
  };
  const places = new Map([...CONTRACT_NAMES, ...verifiers.keys()].map((name) => [name, place(name)]));
  const at = Object.fromEntries(
    CONTRACT_NAMES.map((name) => [name, places.get(name)!.address]),
  ) as unknown as Addresses;
  const planned = (name: string, contract: string, compiled: ContractArtefact, args: unknown[]): PlannedContract => {
    const { nonce, address, deployed } = places.get(name)!;
    const encodedArguments = new Interface(compiled.abi).encodeDeploy(args) as Hex;
    return { ...deployed, name, contract, artefact: compiled, address, nonce, encodedArguments, arguments: args };
  };
  return [
    ...STEPS.map(({ name, contract, args }) =>
      planned(name, contract, artefact(artefacts, contract), args(at, parameters)),
    ),
    ...[...verifiers].map(([digest, compiled]) => planned(digest, compiled.contract, compiled, [])),
  ];
}

/** @throws INPUT_INVALID for parameters that differ from the record's, and for shares out of bounds */
function parametersOf(options: PlanOptions, place: { deployer: Hex; chainId: bigint }): DeployParameters {
  const made = {} as Record<string, unknown>;
  for (const [name, { option, fallback }] of Object.entries(PARAMETERS)) {
    const given = options[name as keyof DeployParameters];
    const recorded = options.record?.parameters[name as keyof DeployParameters];
    if (given !== undefined && recorded !== undefined && given !== recorded) {
      throw new AnchorError("INPUT_INVALID", `the deployment was begun with --${option} ${recorded}, not ${given}`, {
        details: { parameter: name, recorded: String(recorded), given: String(given) },
      });
    }
    made[name] = recorded ?? given ?? fallback(made as unknown as DeployParameters, place);
  }
  const parameters = made as unknown as DeployParameters;
  checkShares(parameters);
  return parameters;
}

/** What the constructor would say, in words and before a negative share fails to be encoded. @throws INPUT_INVALID */
function checkShares({ creatorBps, nodeBps }: DeployParameters): void {
  const { minCreator, minNode, maxPool } = SHARE_BOUNDS;
  const poolBps = 10_000n - creatorBps - nodeBps;
  if (creatorBps >= minCreator && nodeBps >= minNode && poolBps >= 0n && poolBps <= maxPool) return;
  const given = `--${PARAMETERS.creatorBps.option} ${creatorBps} and --${PARAMETERS.nodeBps.option} ${nodeBps}`;
  const bounds = `the creator gets at least ${minCreator}, the node at least ${minNode}, and the pool from 0 to ${maxPool}`;
  throw new AnchorError("INPUT_INVALID", `${given} leave ${poolBps} of 10000 basis points for the pool: ${bounds}`, {
    details: { creatorBps: `${creatorBps}`, nodeBps: `${nodeBps}`, poolBps: `${poolBps}` },
  });
}

/** @throws INPUT_INVALID */
function checkRecord(record: DeploymentRecord, { chainId, deployer }: { chainId: bigint; deployer: Hex }): void {
  const refuse = (reason: string): never => {
    throw new AnchorError("INPUT_INVALID", `the deployment was begun ${reason}`, {
      details: { chainId: record.chainId.toString(), deployer: record.deployer },
    });
  };
  if (record.chainId !== chainId) refuse(`on chain ${record.chainId}, and the node is on ${chainId}`);
  if (record.deployer !== deployer) refuse(`by ${record.deployer}, and this account is ${deployer}`);
}

/**
 * A recorded contract as the chain has it by now; undefined when it never came to be there, so that it must be sent again.
 *
 * @throws CONTRACT_MISMATCH when something else is at its address
 */
async function whatBecameOf(
  entry: ContractRecord,
  deployer: Hex,
  compiled: ContractArtefact,
  provider: Provider,
  signal: AbortSignal | undefined,
): Promise<ContractRecord | undefined> {
  const { address, nonce, transaction, contract } = entry;
  // Still on its way: to send it again now could deploy it twice.
  while (
    !entry.deployed &&
    (await provider.getTransactionCount(deployer, "pending")) > (await usedNonces(provider, deployer))
  ) {
    throwIfAborted(signal);
    await new Promise((resolve) => setTimeout(resolve, PENDING_MS));
  }
  if ((await usedNonces(provider, deployer)) <= nonce) {
    if (entry.deployed) throw otherChain(contract, address);
    return undefined;
  }
  const code = (await provider.getCode(address)) as Hex;
  if (code === "0x" && !entry.deployed) return undefined; // something else was sent with this nonce, or it failed
  if (!isCodeOf(code, compiled) || (entry.deployed && entry.deployed.codeHash !== codeHash(code))) {
    throw code === "0x"
      ? otherChain(contract, address)
      : new AnchorError(
          "CONTRACT_MISMATCH",
          `what is at ${address} is not this release's ${contract}: go on with the release that began, or start anew`,
          { details: { address, contract } },
        );
  }
  if (entry.deployed) return entry;
  const receipt = transaction === undefined ? null : await provider.getTransactionReceipt(transaction);
  const block = receipt?.blockNumber ?? (await provider.getBlockNumber());
  return { ...entry, deployed: { block, gasUsed: receipt?.gasUsed, codeHash: codeHash(code) } };
}

function otherChain(contract: string, address: Hex): AnchorError {
  return new AnchorError(
    "CONTRACT_MISMATCH",
    `there is no ${contract} at ${address}: this is another chain of the same id`,
    {
      details: { address, contract },
    },
  );
}

function usedNonces(provider: Provider, account: Hex): Promise<number> {
  return provider.getTransactionCount(account, "latest");
}

/** What a deployment would cost, in units of gas. */
export interface GasEstimate {
  name: string;
  gas: bigint;
  /** True where the node could not run the constructor against contracts that are not there yet. */
  rough: boolean;
}

/**
 * Runs the constructors of what is not deployed yet, each against a state in which those before it are, and sends nothing.
 *
 * @throws CHAIN_REVERTED when one of them refuses its arguments; CHAIN_UNAVAILABLE
 */
export async function estimateDeployment(
  plan: DeploymentPlan,
  provider: Provider & { send(method: string, params: unknown[]): Promise<unknown> },
): Promise<GasEstimate[]> {
  const { deployer, errors } = plan;
  const code: Record<string, { code: string }> = {};
  const estimates: GasEstimate[] = [];
  for (const planned of plan.contracts.filter(({ deployed }) => !deployed)) {
    const call = { from: deployer, data: initCode(planned) };
    // With the money to run, whether or not the account has it: what it needs is what is asked.
    const state = { ...code, [deployer]: { nonce: hexNumber(planned.nonce), balance: hexNumber(10n ** 30n) } };
    try {
      const gas = BigInt((await provider.send("eth_estimateGas", [call, "latest", state])) as string);
      const runtime = (await provider.send("eth_call", [call, "latest", state])) as string;
      code[planned.address] = { code: runtime };
      estimates.push({ name: planned.name, gas, rough: false });
    } catch (error) {
      // A node that takes no overrides says so with another error than a revert.
      if (isError(error, "CALL_EXCEPTION") && Object.keys(code).length === estimates.length) {
        throw await explainFailure(error, `deploying ${planned.contract}`, errors, provider);
      }
      estimates.push({ name: planned.name, gas: roughGas(planned), rough: true });
    }
  }
  return estimates;
}

/** An upper bound: what creating a contract of this size costs, and a generous constructor. */
function roughGas(planned: PlannedContract): bigint {
  const init = BigInt(initCode(planned).length / 2 - 1);
  return 53_000n + 16n * init + 2n * ((init + 31n) / 32n) + 200n * BigInt(planned.artefact.deployedSize) + 400_000n;
}

/**
 * Deploys what a plan has left to deploy, from an account that sends nothing else meanwhile.
 *
 * @returns the whole record
 * @throws CHAIN_REVERTED, CHAIN_UNAVAILABLE, CONTRACT_MISMATCH when the node has other code than was sent, INPUT_INVALID when the
 *         account was used meanwhile, ABORTED. What was deployed
 *         until then is in the record that `save` was given last.
 */
export async function runDeployment(
  signer: Signer,
  plan: DeploymentPlan,
  { signal, onProgress, save, record }: RunOptions & { record?: DeploymentRecord | undefined } = {},
): Promise<DeploymentRecord> {
  const provider = providerOf(signer);
  const { chainId, deployer, parameters, errors } = plan;
  const contracts: Record<string, ContractRecord> = { ...record?.contracts };
  const state = { version: packageVersion(), compiler: solcVersion(), chainId, deployer, parameters, contracts };
  const note = async ({ artefact: _, name, ...entry }: PlannedContract) => {
    contracts[name] = entry;
    await save?.({ ...state, contracts: { ...contracts } });
  };
  // What became of transactions that an earlier run had sent was found out while planning.
  for (const planned of plan.contracts) if (planned.deployed) contracts[planned.name] = omitPlan(planned);
  const total = plan.contracts.length;
  for (const [done, planned] of plan.contracts.entries()) {
    if (planned.deployed) continue;
    throwIfAborted(signal);
    const { contract, nonce, address } = planned;
    onProgress?.({ contract, done, total });
    await note(planned);
    await asking(`deploying ${contract}`, errors, provider, async () => {
      if ((await signer.getNonce("pending")) !== nonce) {
        throw new AnchorError("INPUT_INVALID", `something else was sent from ${deployer} meanwhile: resume, and wait`, {
          details: { deployer, nonce },
        });
      }
      const { hash } = await signer.sendTransaction({ data: initCode(planned), nonce });
      await note({ ...planned, transaction: hash as Hex });
      await untilMined(provider, hash, signal);
      const receipt = await (await provider.getTransaction(hash))?.wait();
      const code = (await provider.getCode(address)) as Hex;
      if (!receipt || !isCodeOf(code, planned.artefact)) {
        throw new AnchorError("CONTRACT_MISMATCH", `the node has other code at ${address} than ${contract}'s`, {
          details: { address, contract, transaction: hash },
        });
      }
      const deployed = { block: receipt.blockNumber, gasUsed: receipt.gasUsed, codeHash: codeHash(code) };
      await note({ ...planned, transaction: hash as Hex, deployed });
    });
  }
  return state;
}

function omitPlan({ artefact: _, name: __, ...entry }: PlannedContract): ContractRecord {
  return entry;
}

/**
 * Plans a deployment and runs the plan.
 *
 * @throws as {@link planDeployment} and {@link runDeployment}
 */
export async function deployProtocol(signer: Signer, options: DeployOptions = {}): Promise<Deployment> {
  const plan = await planDeployment(signer, options);
  await runDeployment(signer, plan, options);
  const addresses = plan.contracts.map(({ name, address }) => [name, address]);
  const all = Object.fromEntries(addresses) as Record<string, Hex>;
  const own = CONTRACT_NAMES.map((name) => [name, all[name]!]);
  return { chainId: plan.chainId, ...(Object.fromEntries(own) as unknown as Addresses) };
}

/**
 * Generates, compiles and deploys the verifier of one key.
 *
 * @returns the contract's address
 * @throws what {@link generateVerifier} and {@link compileContracts} throw; CHAIN_REVERTED, CHAIN_UNAVAILABLE
 */
export async function deployVerifier(
  signer: Signer,
  verifier: GenerateVerifierOptions,
  options: CompileContractsOptions = {},
): Promise<Hex> {
  const { name, compiled } = await compileVerifier(verifier, options);
  return deployAlone(signer, { name, compiled, args: [], errors: errorInterface({ [name]: compiled }) }, options);
}

/** What a gate in front of LazAI's deployed contracts is made of. */
export interface LazaiGateParameters {
  registry: Hex;
  quorum: Hex;
  /** LazAI's DataAnchoringToken. Its administrator grants the gate MINTER_ROLE, and revokes it from the DataRegistry. */
  dat: Hex;
  /** LazAI's DataRegistry. */
  dataRegistry: Hex;
}

/**
 * Deploys a gate in front of LazAI's deployed contracts.
 *
 * @returns the contract's address
 * @throws CHAIN_REVERTED, also where one of the addresses has no contract; CHAIN_UNAVAILABLE, CONTRACT_COMPILE, ABORTED
 */
export async function deployLazaiGate(
  signer: Signer,
  { registry, quorum, dat, dataRegistry }: LazaiGateParameters,
  options: CompileContractsOptions = {},
): Promise<Hex> {
  const artefacts = await compileProtocolContracts(options);
  const name = "LazaiMintGate";
  const args = [registry, quorum, dat, dataRegistry];
  const compiled = artefact(artefacts, name);
  return deployAlone(signer, { name, compiled, args, errors: errorInterface(artefacts) }, options);
}

/**
 * Deploys the quorum's answering side of an ERC-8004 validation registry.
 *
 * @returns the contract's address: what agents name as their validator
 * @throws as {@link deployLazaiGate}
 */
export async function deployValidationResponder(
  signer: Signer,
  { validationRegistry, quorum }: { validationRegistry: Hex; quorum: Hex },
  options: CompileContractsOptions = {},
): Promise<Hex> {
  const artefacts = await compileProtocolContracts(options);
  const name = "ValidationResponder";
  const args = [validationRegistry, quorum];
  const compiled = artefact(artefacts, name);
  return deployAlone(signer, { name, compiled, args, errors: errorInterface(artefacts) }, options);
}

/** A contract outside of any plan. */
async function deployAlone(
  signer: Signer,
  { name, compiled, args, errors }: { name: string; compiled: ContractArtefact; args: unknown[]; errors: Interface },
  { signal }: { signal?: AbortSignal | undefined },
): Promise<Hex> {
  throwIfAborted(signal);
  const provider = providerOf(signer);
  return asking(`deploying ${name}`, errors, provider, async () => {
    const encoded = new Interface(compiled.abi).encodeDeploy(args);
    const { hash } = await signer.sendTransaction({ data: `${compiled.bytecode}${encoded.slice(2)}` });
    await untilMined(provider, hash, signal);
    const receipt = await (await provider.getTransaction(hash))?.wait();
    const address = lower(receipt?.contractAddress ?? "");
    if (!isCodeOf((await provider.getCode(address)) as Hex, compiled)) {
      throw new AnchorError("CONTRACT_MISMATCH", `the node has other code at ${address} than ${name}'s`);
    }
    return address;
  });
}

async function compileVerifier(
  verifier: GenerateVerifierOptions,
  options: CompileContractsOptions,
): Promise<{ name: string; compiled: ContractArtefact }> {
  const name = verifierName(verifier);
  const artefacts = await compileContracts({ [`${name}.sol`]: generateVerifier(verifier) }, options);
  return { name, compiled: artefact(artefacts, name) };
}

interface VerifierArtefact extends ContractArtefact {
  contract: string;
  development: boolean;
}

/** Artefacts by what they are called in a plan. */
async function readVerifiers(options: PlanOptions): Promise<ReadonlyMap<string, VerifierArtefact>> {
  const all = new Map<string, VerifierArtefact>();
  for (const { source, vkey } of options.verifiers ?? []) {
    const { kind, contractName, keyDigest, development } = verifySource(source, vkey);
    const artefacts = await compileContracts({ [`${contractName}.sol`]: new TextDecoder().decode(source) }, options);
    const name = `${kind === "batch" ? "batchVerifier" : "verifier"} ${keyDigest}`;
    all.set(name, { ...artefact(artefacts, contractName), contract: contractName, development });
  }
  return all;
}

function initCode({ artefact: { bytecode }, encodedArguments }: PlannedContract): Hex {
  return `${bytecode}${encodedArguments.slice(2)}`;
}

function providerOf(signer: Signer): Provider {
  if (!signer.provider) throw new AnchorError("INPUT_INVALID", "the signer must be connected to a provider");
  return signer.provider;
}

/** Runs something that asks a node, and puts into words what the node or a contract answers instead. */
async function asking<T>(what: string, errors: Interface, provider: Provider, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw await explainFailure(error, what, errors, provider);
  }
}

function hexNumber(value: number | bigint): Hex {
  return `0x${value.toString(16)}`;
}

function lower(address: string): Hex {
  return address.toLowerCase() as Hex;
}
