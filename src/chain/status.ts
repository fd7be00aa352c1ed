/**
 * What has become of a deployment: its code, compared with its record, and what its contracts say of themselves.
 *
 * @module
 */
import { AbiCoder, Contract, getCreateAddress, Interface, type Provider, Result } from "ethers";
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { codeHash, isCodeOf } from "./code.js";
import { type CompileContractsOptions, type ContractArtefact, compileProtocolContracts } from "./compile.js";
import { CONTRACT_NAMES, contractOf } from "./deploy.js";
import type { ContractRecord, DeploymentRecord } from "./deployment.js";
import { errorInterface, explainFailure } from "./reverts.js";

export interface ContractStatus {
  name: string;
  contract: string;
  /** Absent where the deployment ended before it came to this one. */
  address?: Hex | undefined;
  code: "same" | "changed" | "missing" | "unfinished";
  /** Whether the code is also what this release compiles; unknown of generated verifiers, whose source is elsewhere. */
  thisRelease: boolean | undefined;
  /**
   * What its functions without arguments answer, by their names, constants left out; a settlement's current split as
   * `parameters`, and a token's `baseUri` as the transaction that created it says, where the node still has that.
   */
  values: Record<string, string>;
}

export interface DeploymentStatus {
  chainId: bigint;
  block: number;
  contracts: ContractStatus[];
}

/**
 * @throws CHAIN_UNAVAILABLE when the node does not answer, or is on another chain
 */
export async function inspectDeployment(
  provider: Provider,
  { chainId, deployer, contracts }: DeploymentRecord,
  options: CompileContractsOptions = {},
): Promise<DeploymentStatus> {
  const artefacts = await compileProtocolContracts(options);
  try {
    const found = (await provider.getNetwork()).chainId;
    if (found !== chainId) {
      throw new AnchorError("CHAIN_UNAVAILABLE", `the node is on chain ${found}, and the deployment on ${chainId}`, {
        details: { expected: chainId.toString(), chainId: found.toString() },
      });
    }
    const block = await provider.getBlockNumber();
    const all: ContractStatus[] = [];
    for (const [name, entry] of Object.entries(contracts)) {
      const { address, deployed } = entry;
      const contract = contractOf(name) ?? entry.contract;
      const artefact = Object.hasOwn(artefacts, contract) ? artefacts[contract] : undefined;
      const code = (await provider.getCode(address, block)) as Hex;
      const same = deployed !== undefined && codeHash(code) === deployed.codeHash;
      all.push({
        name,
        contract,
        address,
        code: !deployed ? "unfinished" : same ? "same" : code === "0x" ? "missing" : "changed",
        thisRelease: artefact && code !== "0x" && isCodeOf(code, artefact),
        values: same && artefact ? await valuesOf({ ...entry, contract }, deployer, artefact, provider, block) : {},
      });
    }
    for (const name of CONTRACT_NAMES.filter((each) => !Object.hasOwn(contracts, each))) {
      all.push({ name, contract: contractOf(name)!, code: "unfinished", thisRelease: undefined, values: {} });
    }
    return { chainId, block, contracts: all };
  } catch (error) {
    throw await explainFailure(error, "asking about the deployment", errorInterface(artefacts), provider);
  }
}

/** All of one block, so that they belong together. */
async function valuesOf(
  entry: ContractRecord,
  deployer: Hex,
  artefact: ContractArtefact,
  provider: Provider,
  blockTag: number,
): Promise<Record<string, string>> {
  const contract = new Contract(entry.address, artefact.abi, provider);
  const names: string[] = [];
  new Interface(artefact.abi).forEachFunction(({ name, inputs, stateMutability, outputs }) => {
    const reads = stateMutability === "view" || stateMutability === "pure";
    // eip712Domain answers with what stands above already. A constant is the code's, and written in capitals.
    if (reads && inputs.length === 0 && outputs.length === 1 && !/^[A-Z][A-Z0-9_]*$/.test(name)) names.push(name);
  });
  const ask = async (name: string, ...args: unknown[]): Promise<unknown> =>
    contract.getFunction(name).staticCall(...args, { blockTag });
  const values: Record<string, string> = {};
  for (const name of names) values[name] = show(await ask(name));
  if (entry.contract === "UsageSettlement") {
    values["parameters"] = show(await ask("parametersOf", await ask("parameterVersion")));
  }
  if (entry.contract === "DataAnchoringToken") {
    const baseUri = (await constructorArguments(entry, deployer, artefact, provider))?.["baseUri_"];
    if (baseUri !== undefined) values["baseUri"] = JSON.stringify(baseUri);
  }
  return values;
}

/** As the chain has them: of the transaction that created the contract, if the node knows it and it is this code's. */
async function constructorArguments(
  { address, nonce, transaction }: ContractRecord,
  deployer: Hex,
  { abi, bytecode }: ContractArtefact,
  provider: Provider,
): Promise<Record<string, unknown> | undefined> {
  if (transaction === undefined) return undefined;
  const sent = await provider.getTransaction(transaction);
  if (!sent || sent.to !== null || sent.nonce !== nonce || sent.from.toLowerCase() !== deployer) return undefined;
  if (getCreateAddress(sent).toLowerCase() !== address || !sent.data.startsWith(bytecode)) return undefined;
  const { inputs } = new Interface(abi).deploy;
  return AbiCoder.defaultAbiCoder()
    .decode(inputs, `0x${sent.data.slice(bytecode.length)}`)
    .toObject();
}

/** Hex in lower case, and a struct with its fields' names; "none" for one that is empty. */
function show(value: unknown): string {
  if (value instanceof Result) {
    const fields = Object.entries(value.toObject());
    if (fields.every(([, field]) => /^(0|0x0*|false|)$/.test(show(field)))) return "none";
    return fields.map(([name, field]) => `${name} ${show(field)}`).join(", ");
  }
  return typeof value === "string" && value.startsWith("0x") ? value.toLowerCase() : String(value);
}
