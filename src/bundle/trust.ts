/**
 * The trust file: what a verifier holds to be true before it looks at any evidence.
 *
 * @module
 */
import { AnchorError } from "../errors.js";
import { assertHex, type Hex } from "../field/bytes.js";
import { type Domain, readInteger, readObject } from "../protocol/eip712.js";
import { checkEpoch, type Epoch } from "../protocol/quorum.js";
import { type Shares, splitCost } from "../protocol/settlement.js";
import { circuitTypeOf } from "../protocol/statements.js";
import { ASSURANCE_MODES, type AssuranceMode } from "./assurance.js";
import { type TeeTrust, teeTrustFromJson, teeTrustToJson } from "./attestation.js";

const FORMAT = "anchorproof/trust@1";
const CODE = "TRUST_INVALID";

export interface TrustedKey {
  /** `inference`, or the type of a dataset's circuit, such as `dataset-chunk`. */
  circuit: "inference" | `dataset-${string}`;
  keyDigest: Hex;
  circuitDigest: Hex;
  /** For inference keys: the model whose weights are the circuit's constants. */
  modelDigest?: Hex;
  /** A key without a verified ceremony: whoever made it can forge proofs. */
  development: boolean;
}

export interface Trust {
  chainId: bigint;
  contracts: { gate: Hex; quorum: Hex; settlement: Hex; token: Hex; registry: Hex };
  epochs: Epoch[];
  keys: TrustedKey[];
  /** `currencies` are what receipts may be paid in; the chain's own only, unless given. */
  settlement: { parameterVersion: bigint; shares: Shares; currencies?: Hex[] };
  /** What is believed of TEEs; without it, attestation in a bundle is refused. */
  tee?: TeeTrust;
  /** What an answer has to show; `ZK` unless given. */
  assurance?: AssuranceMode;
}

const CONTRACTS = ["gate", "quorum", "settlement", "token", "registry"] as const;

export function trustToJson(trust: Trust): Record<string, unknown> {
  const { creator, node, pool } = trust.settlement.shares;
  return {
    format: FORMAT,
    chainId: trust.chainId.toString(),
    contracts: trust.contracts,
    epochs: trust.epochs.map(({ epoch, members }) => ({
      epoch: epoch.toString(),
      members: members.map(({ account, weight }) => ({ account, weight: weight.toString() })),
    })),
    keys: trust.keys,
    settlement: {
      parameterVersion: trust.settlement.parameterVersion.toString(),
      shares: { creator: creator.toString(), node: node.toString(), pool: pool.toString() },
      ...(trust.settlement.currencies ? { currencies: trust.settlement.currencies } : {}),
    },
    ...(trust.tee ? { tee: teeTrustToJson(trust.tee) } : {}),
    ...(trust.assurance ? { assurance: trust.assurance } : {}),
  };
}

/** @throws TRUST_INVALID, FORMAT_UNSUPPORTED */
export function trustFromJson(json: unknown): Trust {
  const fields = ["format", "chainId", "contracts", "epochs", "keys", "settlement"];
  const record = readObject(json, fields, CODE, "trust", ["tee", "assurance"]);
  if (record["format"] !== FORMAT) {
    throw new AnchorError("FORMAT_UNSUPPORTED", `this is not a trust file of format ${FORMAT}`);
  }
  const contracts = readObject(record["contracts"], CONTRACTS, CODE, "trust.contracts");
  for (const name of CONTRACTS) hex(contracts[name], `trust.contracts.${name}`, 20);
  const required = ["parameterVersion", "shares"];
  const settlement = readObject(record["settlement"], required, CODE, "trust.settlement", ["currencies"]);
  const shares = readObject(settlement["shares"], ["creator", "node", "pool"], CODE, "trust.settlement.shares");
  const share = (name: string) => readInteger(shares[name], 16, CODE, `trust.settlement.shares.${name}`);
  const trust: Trust = {
    chainId: readInteger(record["chainId"], 256, CODE, "trust.chainId"),
    contracts: contracts as Trust["contracts"],
    epochs: array(record["epochs"], "trust.epochs").map(readEpoch),
    keys: array(record["keys"], "trust.keys").map(readKey),
    settlement: {
      parameterVersion: readInteger(settlement["parameterVersion"], 256, CODE, "trust.settlement.parameterVersion"),
      shares: { creator: share("creator"), node: share("node"), pool: share("pool") },
    },
  };
  if (settlement["currencies"] !== undefined) {
    trust.settlement.currencies = array(settlement["currencies"], "trust.settlement.currencies").map((each, i) =>
      hex(each, `trust.settlement.currencies[${i}]`, 20),
    );
    if (new Set(trust.settlement.currencies).size !== trust.settlement.currencies.length) {
      throw new AnchorError(CODE, "trust.settlement.currencies names each currency once");
    }
  }
  if (record["tee"] !== undefined) trust.tee = teeTrustFromJson(record["tee"], "trust.tee");
  if (record["assurance"] !== undefined) {
    const mode = ASSURANCE_MODES.find((each) => each === record["assurance"]);
    if (!mode) throw new AnchorError(CODE, `trust.assurance must be one of ${ASSURANCE_MODES.join(", ")}`);
    trust.assurance = mode;
  }
  trust.epochs.forEach(({ epoch }, i) => {
    if (i > 0 && trust.epochs[i - 1]!.epoch >= epoch) {
      throw new AnchorError(CODE, "trust.epochs stand in ascending order of their number, each once");
    }
  });
  if (new Set(trust.keys.map(({ keyDigest }) => keyDigest)).size !== trust.keys.length) {
    throw new AnchorError(CODE, "trust.keys names each key once");
  }
  try {
    splitCost(0n, trust.settlement.shares);
  } catch (cause) {
    throw new AnchorError(CODE, "trust.settlement.shares must add up to 10,000 basis points", { cause });
  }
  return trust;
}

/** EIP-712 domains of the three contracts that things are signed for. */
export function domains(trust: Pick<Trust, "chainId" | "contracts">): Record<"gate" | "quorum" | "settlement", Domain> {
  const { chainId, contracts } = trust;
  return {
    gate: { chainId, verifyingContract: contracts.gate },
    quorum: { chainId, verifyingContract: contracts.quorum },
    settlement: { chainId, verifyingContract: contracts.settlement },
  };
}

function readEpoch(json: unknown, index: number): Epoch {
  const at = `trust.epochs[${index}]`;
  const record = readObject(json, ["epoch", "members"], CODE, at);
  const epoch: Epoch = {
    epoch: readInteger(record["epoch"], 64, CODE, `${at}.epoch`),
    members: array(record["members"], `${at}.members`).map((member, i) => {
      const { account, weight } = readObject(member, ["account", "weight"], CODE, `${at}.members[${i}]`);
      return {
        account: hex(account, `${at}.members[${i}].account`, 20),
        weight: readInteger(weight, 96, CODE, `${at}.members[${i}].weight`),
      };
    }),
  };
  checkEpoch(epoch);
  return epoch;
}

function readKey(json: unknown, index: number): TrustedKey {
  const at = `trust.keys[${index}]`;
  const required = ["circuit", "keyDigest", "circuitDigest", "development"];
  const record = readObject(json, required, CODE, at, ["modelDigest"]);
  const { circuit, development } = record;
  if (!isTrustable(circuit)) {
    throw new AnchorError(CODE, `${at}.circuit must be inference, or the type of a dataset's circuit`);
  }
  if (typeof development !== "boolean") throw new AnchorError(CODE, `${at}.development must be true or false`);
  if ((circuit === "inference") !== Object.hasOwn(record, "modelDigest")) {
    throw new AnchorError(CODE, `${at}.modelDigest belongs to inference keys, and only to them`);
  }
  const key: TrustedKey = {
    circuit,
    keyDigest: hex(record["keyDigest"], `${at}.keyDigest`, 32),
    circuitDigest: hex(record["circuitDigest"], `${at}.circuitDigest`, 32),
    development,
  };
  if (circuit === "inference") key.modelDigest = hex(record["modelDigest"], `${at}.modelDigest`, 32);
  return key;
}

/** Adapted and batched inferences are by the same keys' holders, and named by `inference`. */
function isTrustable(circuit: unknown): circuit is TrustedKey["circuit"] {
  if (circuit === "inference") return true;
  return typeof circuit === "string" && circuit.startsWith("dataset-") && circuitTypeOf(circuit) !== undefined;
}

function array(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > 1024) {
    throw new AnchorError(CODE, `${at} must be an array of 1 to 1,024 entries`);
  }
  return value;
}

function hex(value: unknown, at: string, bytes: number): Hex {
  try {
    assertHex(value, at, bytes);
    return value;
  } catch {
    throw new AnchorError(CODE, `${at} must be ${bytes} bytes of lower-case 0x-hex`);
  }
}
