/**
 * Deploys the protocol's contracts, and verifiers for keys.
 *
 * @module
 */
import { ContractFactory, getCreateAddress, type Signer } from "ethers";
import { AnchorError, throwIfAborted } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { DEFAULT_SHARES, type Shares } from "../protocol/settlement.js";
import {
  artefact,
  type CompileContractsOptions,
  type ContractArtefact,
  compileContracts,
  compileProtocolContracts,
} from "./compile.js";
import { type GenerateVerifierOptions, generateVerifier } from "./generate.js";
import { untilMined } from "./provider.js";
import { errorInterface, explainFailure } from "./reverts.js";

/** Where one deployment's contracts are. Addresses are lower-case 0x-hex. */
export interface Deployment {
  chainId: bigint;
  registry: Hex;
  quorum: Hex;
  token: Hex;
  gate: Hex;
  settlement: Hex;
}

export interface DeployOptions extends CompileContractsOptions {
  /** Owner of registry, quorum and settlement; the deploying account unless told. */
  owner?: Hex | undefined;
  /** May freeze keys; the owner unless told. */
  guardian?: Hex | undefined;
  /** Receives the governance share; the owner unless told. */
  governancePool?: Hex | undefined;
  /** Seconds between asking for a deposit back and getting it; a day unless told. */
  withdrawalDelay?: bigint | undefined;
  /** Seconds between proposing a split and its counting; two days unless told, and on chain 31337 none. */
  parameterDelay?: bigint | undefined;
  /** The split of the settlement's first version; 70/20/10 unless told. */
  shares?: Shares | undefined;
  /** Called before each contract, with its name and how many are done. */
  onProgress?: ((event: { contract: string; done: number; total: number }) => void) | undefined;
}

/**
 * Deploys registry, quorum, token, gate and settlement with an account that sends nothing else meanwhile: token and gate
 * name each other, so the gate's address is computed from the account's nonce. If that goes wrong the gate's own
 * check fails its deployment.
 *
 * @throws CHAIN_REVERTED, CHAIN_UNAVAILABLE, CONTRACT_COMPILE, ABORTED (contracts already deployed then stay, unused)
 */
export async function deployProtocol(signer: Signer, options: DeployOptions = {}): Promise<Deployment> {
  const { signal } = options;
  const provider = signer.provider;
  if (!provider) throw new AnchorError("INPUT_INVALID", "the signer must be connected to a provider");
  const artefacts = await compileProtocolContracts(options);
  const errors = errorInterface(artefacts);
  let done = 0;
  const deploy = async (name: string, args: unknown[]): Promise<Hex> => {
    throwIfAborted(signal);
    options.onProgress?.({ contract: name, done, total: 5 });
    try {
      const address = await deployContract(signer, artefact(artefacts, name), args);
      done++;
      return address;
    } catch (error) {
      throw await explainFailure(error, `deploying ${name}`, errors, provider);
    }
  };
  let from: Hex;
  let chainId: bigint;
  try {
    from = lower(await signer.getAddress());
    chainId = (await provider.getNetwork()).chainId;
  } catch (error) {
    throw await explainFailure(error, "reading the account", errors, provider);
  }
  const owner = options.owner ?? from;
  const registry = await deploy("VerifierRegistry", [owner, options.guardian ?? owner]);
  const quorum = await deploy("Quorum", [owner]);
  const nonce = await signer.getNonce("pending");
  const token = await deploy("DataAnchoringToken", [getCreateAddress({ from, nonce: nonce + 1 })]);
  const gate = await deploy("MintGate", [token, registry, quorum]);
  const { creator, node, pool } = options.shares ?? DEFAULT_SHARES;
  const settlement = await deploy("UsageSettlement", [
    {
      owner,
      dat: token,
      shares: { pool: options.governancePool ?? owner, creatorBps: creator, nodeBps: node, poolBps: pool },
      withdrawalDelay: options.withdrawalDelay ?? 86_400n,
      parameterDelay: options.parameterDelay ?? (chainId === 31337n ? 0n : 172_800n),
    },
  ]);
  return { chainId, registry, quorum, token, gate, settlement };
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
  const name = verifier.contractName ?? "Groth16Verifier";
  const artefacts = await compileContracts({ [`${name}.sol`]: generateVerifier(verifier) }, options);
  throwIfAborted(options.signal);
  try {
    return await deployContract(signer, artefact(artefacts, name), []);
  } catch (error) {
    throw await explainFailure(error, `deploying ${name}`, errorInterface(artefacts), signer.provider);
  }
}

async function deployContract(signer: Signer, { abi, bytecode }: ContractArtefact, args: unknown[]): Promise<Hex> {
  const contract = await new ContractFactory(abi, bytecode, signer).deploy(...args);
  const sent = contract.deploymentTransaction();
  if (sent && signer.provider) await untilMined(signer.provider, sent.hash);
  await contract.waitForDeployment();
  return lower(await contract.getAddress());
}

function lower(address: string): Hex {
  return address.toLowerCase() as Hex;
}
