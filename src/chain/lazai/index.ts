/**
 * LazAI's deployed contracts: their calls and events, typed and strict, and a client.
 *
 * UNSAFE: what they call verified was verified by nobody. As deployed (each is shown in a test, on contracts that behave as
 * theirs):
 *
 *  1. A proof is not bound to its file: one node's signature, attached to any file by anybody, mints that file's token.
 *  2. A signature names no chain, no contract, no nonce and no deadline: it is good on every deployment, for ever.
 *  3. A proof of score 0 can be redeemed again and again, and no score is too high.
 *  4. A job is paid for without a proof.
 *  5. Nothing commits to the evidence: `proofUrl` leads wherever its host likes.
 *  6. A node draws any cost from a user's account on a check that names none, with the same nonce as often as it likes, and
 *     all of it is the node's.
 *  7. The settlement does not book deposits, nor withdrawals.
 *  8. A node is whom a maintainer names: no attestation, no stake; and no way back for a token that was minted by fraud.
 *  9. The SDKs' encodings do not fit the contracts.
 *
 * `LazaiMintGate` stands in front of the same token and mints there for what this package verifies: a statement bound to
 * chain, gate, file and owner, with its proof and a quorum's certificate. To go over to it, as the administrator of LazAI's
 * token:
 *
 *  1. deploy the gate: `deployLazaiGate(signer, { registry, quorum, dat, dataRegistry })`;
 *  2. grant it the role that mints: `token.send("grantRole", { role: MINTER_ROLE, account: gate })`;
 *  3. take the role from the registry, which closes the path of points 1 to 5: `token.send("revokeRole", { role: MINTER_ROLE,
 *     account: dataRegistry })`. Until then the gate refuses to mint, with LegacyPathOpen;
 *  4. take it from every other account that the token's RoleGranted events name: each could mint past the gate.
 *
 * Contributors go on with `addFile`, and ask the gate instead of `requestReward`. Files that were redeemed before stay as
 * they are; tokens minted by fraud lose `verified` by the gate's `revoke`, on a quorum's certificate. Points 6 and 7 are out
 * of the gate's reach: usage is settled by `UsageSettlement`, to which the gate can be named as the token contract, and which
 * shares nothing with LazAI's.
 *
 * @module
 */
export {
  JOB_STATUS,
  type LazaiContractName,
  type LazaiErrorName,
  type LazaiErrorValues,
  type LazaiEventName,
  type LazaiEventValues,
  type LazaiFunctionName,
  type LazaiInputs,
  type LazaiOutputs,
  type LazaiReadName,
  type LazaiStruct,
  type LazaiValue,
  type LazaiWriteName,
  lazaiFragments,
  MINTER_ROLE,
  NODE_STATUS,
} from "./abi.js";
export {
  type AttachedProof,
  LazaiClient,
  LazaiContract,
  type LazaiProcess,
  LazaiReceipt,
  type SettlementFees,
} from "./client.js";
export {
  decodeLazaiCall,
  decodeLazaiError,
  decodeLazaiEvent,
  decodeLazaiResult,
  encodeLazaiCall,
  encodeLazaiEvent,
  encodeLazaiResult,
  type LazaiCall,
  type LazaiError,
  type LazaiEvent,
  type LazaiLog,
  lazaiInterface,
  lazaiSelector,
  lazaiTopic,
} from "./codec.js";
export { LAZAI_TESTNET, LAZAI_TESTNET_RPC, type LazaiDeployment, lazaiLocal } from "./preset.js";
