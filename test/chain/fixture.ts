/** What every chain test needs: one anvil a file, accounts, verifiers for simulated keys, expectations on reverts. */
import {
  type Contract,
  ContractFactory,
  Interface,
  isCallException,
  type JsonRpcProvider,
  type JsonRpcSigner,
} from "ethers";
import { afterAll, beforeAll, expect } from "vitest";
import { type Anvil, startAnvil } from "../../src/chain/anvil.js";
import { type ContractArtefact, compileContracts } from "../../src/chain/compile.js";
import { renderVerifier } from "../../src/chain/generate.js";
import { connectProvider } from "../../src/chain/provider.js";
import { AnchorError } from "../../src/errors.js";
import { type Hex, keccak, toHex, utf8 } from "../../src/field/bytes.js";
import { simulateKey } from "./simulated.js";

export const CIRCUIT_DIGEST = digestOf("circuit");

export interface Chain {
  anvil: Anvil;
  provider: JsonRpcProvider;
  accounts: JsonRpcSigner[];
  addresses: Hex[];
}

/** Starts a chain for the tests of a file and stops it after them. The object is filled in `beforeAll`. */
export function useChain(options: { chainId?: number; hardfork?: string } = {}): Chain {
  const chain = {} as Chain;
  beforeAll(async () => {
    chain.anvil = await startAnvil({ hardfork: "osaka", ...options });
    chain.provider = await connectProvider(chain.anvil.url, { pollingInterval: 10 });
    chain.accounts = await Promise.all(Array.from({ length: 10 }, (_, i) => chain.provider.getSigner(i)));
    chain.addresses = chain.accounts.map((account) => account.address.toLowerCase() as Hex);
  });
  afterAll(async () => {
    chain.provider?.destroy();
    await chain.anvil?.stop();
  });
  return chain;
}

export function digestOf(label: string): Hex {
  return toHex(keccak(utf8(label)));
}

/** A secret key of the tests' own. */
export function secretOf(label: string): Hex {
  return digestOf(`secret/${label}`);
}

/** Artefacts of simulated keys' verifiers, `V<n>` of one proof and `B<n>` of batches, compiled together. */
export async function compileVerifiers(
  sizes: readonly number[],
  development = true,
): Promise<Record<string, ContractArtefact>> {
  return compileContracts(verifierSources(sizes, development));
}

/** Sources of {@link compileVerifiers}, by file. */
export function verifierSources(sizes: readonly number[], development = true): Record<string, string> {
  const sources: Record<string, string> = {};
  for (const n of sizes) {
    const key = { vkey: simulateKey(n).vkey, circuitDigest: CIRCUIT_DIGEST, development };
    sources[`V${n}.sol`] = renderVerifier({ ...key, contractName: `V${n}` });
    sources[`B${n}.sol`] = renderVerifier({ ...key, contractName: `B${n}`, batch: true });
  }
  return sources;
}

export async function deploy(signer: JsonRpcSigner, artefact: ContractArtefact, ...args: unknown[]): Promise<Contract> {
  const contract = await new ContractFactory(artefact.abi, artefact.bytecode, signer).deploy(...args);
  await contract.waitForDeployment();
  return contract as Contract;
}

/**
 * What an `eth_call` on the latest block, at that block's time, gives: "ok"; the name of the custom error; "revert" for one
 * without data; or the node's own words, for a call that did not get as far as reverting.
 */
export async function outcome(
  provider: JsonRpcProvider,
  to: string,
  data: string,
  abi: ContractArtefact["abi"],
  options: { gas?: number; from?: Hex } = {},
): Promise<string> {
  const { gas, from } = options;
  const call = { to, data, ...(from ? { from } : {}), ...(gas === undefined ? {} : { gas: `0x${gas.toString(16)}` }) };
  let result: string;
  try {
    result = await provider.send("eth_call", [call, "latest"]);
  } catch (error) {
    if (!isCallException(error)) throw error;
    if (error.data === "0x") return "revert";
    const named = error.data && new Interface(abi).parseError(error.data)?.name;
    return named || (error.info as unknown as { error: { message: string } }).error.message;
  }
  expect(result).toBe("0x");
  return "ok";
}

/** Revert data of a custom error, as ethers' exceptions carry it. */
export function errorData({ abi }: ContractArtefact, name: string, ...args: unknown[]): { data: string } {
  return { data: new Interface(abi).encodeErrorResult(name, args) };
}

/** Expects a client's call to end in CHAIN_REVERTED with this custom error. */
export async function expectRevert(call: Promise<unknown>, error: string): Promise<AnchorError> {
  const failure = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(failure, `the call succeeded, ${error} was expected`).toBeInstanceOf(AnchorError);
  const anchorError = failure as AnchorError;
  expect([anchorError.code, anchorError.details["error"]], anchorError.message).toEqual(["CHAIN_REVERTED", error]);
  return anchorError;
}

/** Runs an action and undoes what it did to the chain. */
export async function undone<T>(provider: JsonRpcProvider, action: () => Promise<T>): Promise<T> {
  const snapshot = (await provider.send("evm_snapshot", [])) as string;
  try {
    return await action();
  } finally {
    await provider.send("evm_revert", [snapshot]);
  }
}

export async function now(provider: JsonRpcProvider): Promise<bigint> {
  return BigInt((await provider.getBlock("latest"))!.timestamp);
}

/** Mines an empty block at exactly this second. */
export async function mineAt(provider: JsonRpcProvider, second: bigint): Promise<void> {
  await provider.send("evm_setNextBlockTimestamp", [Number(second)]);
  await provider.send("evm_mine", []);
}

/** Mines one block `seconds` later. */
export async function advance(provider: JsonRpcProvider, seconds: bigint): Promise<void> {
  await provider.send("evm_increaseTime", [Number(seconds)]);
  await provider.send("evm_mine", []);
}
