/**
 * The record of a deployment: a file that says what was deployed where, with what, and by which transaction. It is written
 * after every step, so that an interrupted deployment can be gone on with, and it is what clients read addresses from.
 *
 * The file is no evidence: whoever relies on a deployment checks the chain against it (`contract status` does).
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { AnchorError, toAnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { writeWhole } from "../files.js";
import { parseDocument } from "../protocol/document.js";
import { readInteger, readObject } from "../protocol/eip712.js";
import { CONTRACT_NAMES, type Deployment, type DeployParameters, PARAMETERS } from "./deploy.js";

const FORMAT = "anchorproof/deployment@1";

/** A contract that was deployed, or is about to be. */
export interface ContractRecord {
  /** The Solidity contract's name. */
  contract: string;
  address: Hex;
  /** The deploying account's, which gives the address. */
  nonce: number;
  /** Constructor arguments as the ABI encodes them. */
  encodedArguments: Hex;
  /** The same, to read. */
  arguments: unknown;
  /** Absent until it was sent, and where it was sent by a run that ended before it could note this. */
  transaction?: Hex | undefined;
  /** Set when it was mined and its code was checked. */
  deployed?: { block: number; gasUsed: bigint | undefined; codeHash: Hex } | undefined;
}

export interface DeploymentRecord {
  /** Of anchorproof. */
  version: string;
  compiler: string;
  chainId: bigint;
  deployer: Hex;
  parameters: DeployParameters;
  /** By what {@link Deployment} calls them; verifiers by the digests of their keys. */
  contracts: Record<string, ContractRecord>;
}

/**
 * Addresses of a finished deployment, from its file.
 *
 * @throws FILE_NOT_FOUND, FILE_UNREADABLE, JSON_MALFORMED, FORMAT_UNSUPPORTED; INPUT_INVALID also for a deployment that was
 *         not finished
 */
export async function readDeployment(path: string): Promise<Deployment> {
  return deploymentOf(await readDeploymentRecord(path), path);
}

/** @throws INPUT_INVALID when it was not finished */
export function deploymentOf({ chainId, contracts }: DeploymentRecord, path = "the deployment"): Deployment {
  const addresses = CONTRACT_NAMES.map((name): [string, Hex] => {
    const found = Object.hasOwn(contracts, name) ? contracts[name]! : undefined;
    if (!found?.deployed) {
      throw new AnchorError(
        "INPUT_INVALID",
        `${path} is of a deployment that was not finished: its ${name} is missing`,
        {
          details: { missing: name },
        },
      );
    }
    return [name, found.address];
  });
  return { chainId, ...Object.fromEntries(addresses) } as unknown as Deployment;
}

/** @throws as {@link readDeployment}, but takes one that was not finished */
export async function readDeploymentRecord(path: string): Promise<DeploymentRecord> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (missing) throw new AnchorError("FILE_NOT_FOUND", `cannot read ${path}: no such file`, { cause: error });
    throw toAnchorError(error, "FILE_UNREADABLE", `cannot read ${path}`);
  }
  try {
    return recordFromJson(parseDocument(text), path);
  } catch (error) {
    if (error instanceof AnchorError && error.code === "JSON_MALFORMED") {
      throw new AnchorError("JSON_MALFORMED", `${path}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

export async function writeDeploymentRecord(path: string, record: DeploymentRecord): Promise<void> {
  await writeWhole(path, `${JSON.stringify(recordToJson(record), null, 2)}\n`);
}

export function recordToJson({
  version,
  compiler,
  chainId,
  deployer,
  parameters,
  contracts,
}: DeploymentRecord): Record<string, unknown> {
  return {
    format: FORMAT,
    version,
    compiler,
    chainId: chainId.toString(),
    deployer,
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)])),
    contracts: Object.fromEntries(
      Object.entries(contracts).map(([name, { nonce, transaction, deployed, ...rest }]) => [
        name,
        {
          contract: rest.contract,
          address: rest.address,
          nonce: nonce.toString(),
          encodedArguments: rest.encodedArguments,
          arguments: plain(rest.arguments),
          ...(transaction === undefined ? {} : { transaction }),
          ...(deployed === undefined
            ? {}
            : {
                block: deployed.block.toString(),
                codeHash: deployed.codeHash,
                ...(deployed.gasUsed === undefined ? {} : { gasUsed: deployed.gasUsed.toString() }),
              }),
        },
      ]),
    ),
  };
}

/** @throws FORMAT_UNSUPPORTED, INPUT_INVALID */
export function recordFromJson(json: unknown, path: string): DeploymentRecord {
  const code = "INPUT_INVALID";
  const format = (json as { format?: unknown } | null)?.format;
  if (format !== FORMAT) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `${path} is no deployment that this release reads (${FORMAT})`, {
      details: { format: typeof format === "string" ? format.slice(0, 64) : null },
    });
  }
  const fields = ["format", "version", "compiler", "chainId", "deployer", "parameters", "contracts"];
  const record = readObject(json, fields, code, path);
  const parameterNames = Object.keys(PARAMETERS);
  const given = readObject(record["parameters"], parameterNames, code, `${path}: parameters`);
  const parameters = parameterNames.map((name) => {
    const where = `${path}: parameters.${name}`;
    const { bits, text: isText } = PARAMETERS[name as keyof DeployParameters];
    if (isText) return [name, text(given[name], where)];
    return [name, bits === undefined ? hex(given[name], 20, where) : readInteger(given[name], bits, code, where)];
  });
  const contracts = record["contracts"];
  if (typeof contracts !== "object" || contracts === null || Array.isArray(contracts)) {
    throw new AnchorError(code, `${path}: contracts must be an object`);
  }
  return {
    version: text(record["version"], `${path}: version`),
    compiler: text(record["compiler"], `${path}: compiler`),
    chainId: readInteger(record["chainId"], 64, code, `${path}: chainId`),
    deployer: hex(record["deployer"], 20, `${path}: deployer`),
    parameters: Object.fromEntries(parameters) as unknown as DeployParameters,
    contracts: Object.fromEntries(
      Object.entries(contracts).map(([name, entry]) => [name, contractFromJson(entry, `${path}: contracts.${name}`)]),
    ),
  };
}

const OPTIONAL = ["transaction", "block", "codeHash", "gasUsed"];

function contractFromJson(json: unknown, path: string): ContractRecord {
  const code = "INPUT_INVALID";
  const present = typeof json === "object" && json !== null ? OPTIONAL.filter((name) => Object.hasOwn(json, name)) : [];
  const fields = ["contract", "address", "nonce", "encodedArguments", "arguments", ...present];
  const entry = readObject(json, fields, code, path);
  const deployed = entry["block"] !== undefined || entry["codeHash"] !== undefined || entry["gasUsed"] !== undefined;
  const { transaction, gasUsed } = entry;
  return {
    contract: text(entry["contract"], `${path}.contract`),
    address: hex(entry["address"], 20, `${path}.address`),
    nonce: Number(readInteger(entry["nonce"], 53, code, `${path}.nonce`)),
    encodedArguments: hex(entry["encodedArguments"], undefined, `${path}.encodedArguments`),
    arguments: entry["arguments"],
    ...(transaction === undefined ? {} : { transaction: hex(transaction, 32, `${path}.transaction`) }),
    ...(deployed && {
      deployed: {
        block: Number(readInteger(entry["block"], 53, code, `${path}.block`)),
        gasUsed: gasUsed === undefined ? undefined : readInteger(gasUsed, 64, code, `${path}.gasUsed`),
        codeHash: hex(entry["codeHash"], 32, `${path}.codeHash`),
      },
    }),
  };
}

function hex(value: unknown, length: number | undefined, path: string): Hex {
  assertHex(value, path, length);
  return value;
}

function text(value: unknown, path: string): string {
  if (typeof value !== "string" || value.length > 200) throw new AnchorError("INPUT_INVALID", `${path} must be a text`);
  return value;
}

/** JSON has no bigint. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
  }
  return value;
}
