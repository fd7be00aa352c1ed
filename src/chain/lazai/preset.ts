/**
 * Where LazAI's contracts are.
 *
 * @module
 */
import type { Hex } from "../../field/bytes.js";

/** Addresses of one deployment, lower-case 0x-hex. AIProcess is deployed three times: query, inference and training. */
export interface LazaiDeployment {
  chainId: bigint;
  dataRegistry: Hex;
  verifiedComputing: Hex;
  token: Hex;
  query: Hex;
  inference: Hex;
  training: Hex;
  settlement: Hex;
  /** Only where there is one. */
  idao?: Hex | undefined;
}

export const LAZAI_TESTNET_RPC = "https://testnet.lazai.network";

/** The public test network. LazAI's SDKs name no other. */
export const LAZAI_TESTNET: LazaiDeployment = {
  chainId: 133718n,
  dataRegistry: "0xe7753eebca82849d6b19e6689b350f87318a8998",
  verifiedComputing: "0x87e43f24efc2284fd2bbf11cc80d6fcf3e0ad474",
  token: "0xd59cdffeb65acc539994e41d0b40eff61be37118",
  query: "0x5d7fc5a04328b95cae017b664a8e95fa25ca3e98",
  inference: "0x69bd47252510573995b22ae227560e879b193738",
  training: "0x7e6646feec69df501d942e16cbe2d14b7bbec853",
  settlement: "0xf1398c4bb36245750393a2511da8bf1f7828f979",
};

/** What LazAI's deploy script gives on a fresh development chain, whose id is the node's own: anvil's unless told. */
export function lazaiLocal(chainId = 31337n): LazaiDeployment {
  return {
    chainId,
    dataRegistry: "0xead077726dc83ecf385e3763ed4a0a50e8ac5aa0",
    verifiedComputing: "0x815da22d880e3560bcecc85b6e4938b30c8202c4",
    token: "0x2ed344c586303c98fc3c6d5b42c5616ed42f9d9d",
    query: "0xe747fd70269a8a540403dde802d6906cb18c9f50",
    inference: "0xbb969eaafb3a7124b8dcdf9a6d5cd5baa0381361",
    training: "0xb578ab78bb4780d9007cc836b358468467814b3e",
    settlement: "0xbe94646a0c6c1032c289eea47169798e09db5299",
    idao: "0xea30ba91f4db33ef0360fc04d8e201954474dbd1",
  };
}
