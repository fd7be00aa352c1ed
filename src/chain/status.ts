/**
 * What has become of a deployment: its code, compared with its record, and what its contracts say of themselves.
 *
 * @module
 */
import { Contract, Interface, type Provider } from "ethers";
import { AnchorError } from "../errors.js";
import type { Hex } from "../field/bytes.js";
import { codeHash, isCodeOf } from "./code.js";
import { type CompileContractsOptions, type ContractArtefact, compileProtocolContracts } from "./compile.js";
import type { DeploymentRecord } from "./deployment.js";
import { errorInterface, explainFailure } from "./reverts.js";

export interface ContractStatus {
  name: string;
  contract: string;
  address: Hex;
  code: "same" | "changed" | "missing" | "unfinished";
  /** Whether the code is also what this release compiles; unknown of generated verifiers, whose source is elsewhere. */
  thisRelease: boolean | undefined;
  /** What its functions without arguments answer, by their names. */
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
  { chainId, contracts }: DeploymentRecord,
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
    for (const [name, { contract, address, deployed }] of Object.entries(contracts)) {
      const artefact = Object.hasOwn(artefacts, contract) ? artefacts[contract] : undefined;
      const code = (await provider.getCode(address, block)) as Hex;
      const same = deployed !== undefined && codeHash(code) === deployed.codeHash;
      all.push({
        name,
        contract,
        address,
        code: !deployed ? "unfinished" : same ? "same" : code === "0x" ? "missing" : "changed",
        thisRelease: artefact && code !== "0x" && isCodeOf(code, artefact),
        values: same && artefact ? await valuesOf(address, artefact, provider, block) : {},
      });
    }
    return { chainId, block, contracts: all };
  } catch (error) {
    throw await explainFailure(error, "asking about the deployment", errorInterface(artefacts), provider);
  }
}

/** All of one block, so that they belong together. */
async function valuesOf(
  address: Hex,
  { abi }: ContractArtefact,
  provider: Provider,
  blockTag: number,
): Promise<Record<string, string>> {
  const contract = new Contract(address, abi, provider);
  const names: string[] = [];
  new Interface(abi).forEachFunction(({ name, inputs, stateMutability, outputs }) => {
    const reads = stateMutability === "view" || stateMutability === "pure";
    // eip712Domain answers with what stands above already.
    if (reads && inputs.length === 0 && outputs.length === 1) names.push(name);
  });
  const values: Record<string, string> = {};
  for (const name of names) {
    const value: unknown = await contract.getFunction(name).staticCall({ blockTag });
    values[name] = typeof value === "string" ? value.toLowerCase() : String(value);
  }
  return values;
}
