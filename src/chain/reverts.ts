/**
 * Turns what ethers throws into an {@link AnchorError} that says in words what the contract refused.
 *
 * @module
 */
import {
  type ErrorDescription,
  formatEther,
  Interface,
  isCallException,
  isError,
  type Provider,
  Transaction,
  type TransactionRequest,
} from "ethers";
import { AnchorError } from "../errors.js";
import type { ContractArtefacts } from "./compile.js";
import { lazaiErrors } from "./lazai/abi.js";

/** Errors of generated verifiers, of OpenZeppelin's parts, and of Solidity itself. */
const FOREIGN_ERRORS = [
  "error BatchEmpty()",
  "error CalldataLayoutWrong()",
  "error SignalCountWrong(uint256 expected, uint256 given)",
  "error PublicSignalNotInField(uint256 index)",
  "error CalldataSizeWrong(uint256 expected, uint256 given)",
  "error DevelopmentKeyLocked(uint256 chainId)",
  "error PointAtInfinity()",
  "error PrecompileFailed()",
  "error ProofInvalid()",
];

/** One line for each custom error, in words of what the caller can do about it. */
const EXPLANATIONS: Record<string, string> = {
  // generated verifiers, and the universal one
  BatchEmpty: "a batch has at least one proof",
  BatchIndexInvalid: "the batch has no proof at this place",
  CalldataLayoutWrong: "the call's arrays are not laid out as every encoder does it",
  SignalCountWrong: "the number of public signals is not that of this key, for each of the proofs",
  PublicSignalNotInField: "a public signal is not below the field's order",
  CalldataSizeWrong: "the call has the wrong length for this verifier",
  DevelopmentKeyLocked: "the key is a development key, which only works on chain 31337",
  PointAtInfinity: "the proof has a point at infinity",
  PrecompileFailed: "the proof is not three canonical BN254 points, or the call ran out of gas",
  ProofInvalid: "the proof does not hold for this statement, gate and chain",
  // registry
  KeyUnknown: "no verifier is registered for this key",
  KeyFrozen: "this key has been frozen for good",
  KeyAlreadyAdded: "this key is registered already; an entry is never replaced",
  KeyAlreadyProposed: "this has been proposed already; cancel that first",
  ProposalUnknown: "nothing has been proposed for this key",
  ProposalNotReady: "the delay after the proposal is not over",
  ProposalExpired: "the proposal was not activated in time; propose it anew",
  AddDelayInvalid: "the delay before a key counts is between a day and 30 days; it may be none on chain 31337 only",
  StatementTypeMismatch: "this key is registered for another kind of statement",
  StatementTypeUnknown: "the registry knows no such kind of statement",
  VerifierWithoutCode: "there is no contract at the verifier's address",
  VerifierKeyMismatch: "the verifier at this address was generated for another key",
  VerifierCircuitMismatch: "the verifier at this address was generated for another circuit",
  VerifierSignalsMismatch: "the verifier takes a different number of public signals than this kind of statement has",
  VerifierDevelopmentMismatch: "the verifier's development flag is not the one given",
  VerifierCeremonyMismatch: "the verifier names another ceremony than the one given",
  VerifierDelegated: "the verifier's address is an account that delegates, whose code can change",
  VerifierCodeChanged: "the verifier's code is not what it was when it was proposed",
  VerifierUnlike: "the contract at this address is no verifier of this kind: it does not say of zeros what those say",
  VerifierRefusesNothing: "the contract at this address takes a proof of zeros, so it is no verifier",
  VerifierAnswered: "the verifier returned something, which none of ours does",
  DevelopmentKeyRefused: "development keys can be registered on chain 31337 only; show a ceremony for this one",
  ModelDigestInvalid: "inference keys need a model digest, and dataset keys have none",
  CircuitDigestZero: "a key needs the digest of its circuit",
  NotGuardian: "only the guardian or the owner may freeze or cancel",
  TextTooLong: "a text about the key is too long",
  BatchVerifierUnknown: "this key has no verifier of batches: verify its proofs one by one",
  BatchVerifierAlreadyAdded: "this key has a verifier of batches already; it is never replaced",
  ContextNotZero: "the proof's context is not zero, so it shows no flaw",
  NoContradiction:
    "the two proofs do not contradict each other: what they share must be equal, and their results differ",
  ContradictionUndefined: "of this kind of statement no two proofs are known to contradict each other",
  ModelNotFound: "no active key of a model has this id",
  // keys in the universal verifier
  KeyWordsWrong: "the key has another number of words than its number of signals needs",
  KeySignalsTooMany: "the key has more public signals than the universal verifier takes",
  KeyCoordinateNotCanonical: "a coordinate of the key is not below q",
  KeyPointAtInfinity: "a point of the key is at infinity",
  KeyPointNotOnCurve: "a point of the key is not on the curve",
  KeyPointNotInSubgroup: "beta, gamma or delta of the key is not in the group of order r",
  KeyPointIsGenerator: "a point of the key is a generator: its setup was not finished, and anyone can forge proofs",
  KeyPointsAlike: "two points of the key are equal up to sign, which no sound setup gives: proofs can be forged",
  KeyNotStored: "the universal verifier does not hold this key with this ceremony",
  // token
  NotGate: "only the gate may mint and revoke",
  ClassInvalid: "the asset's class is not one of 1 to 4",
  CommitmentZero: "the asset's commitment is zero",
  SupplyZero: "the asset's supply is zero",
  TermsExpired: "the asset's terms have expired already",
  ShareTooHigh: "the asset's terms ask for too large a share of what is derived from it",
  AlreadyAnchored: "this asset has been minted already",
  AlreadyRevoked: "this asset has been revoked already",
  ParentUnknown: "a parent has not been minted",
  ParentRevoked: "a parent has been revoked",
  ParentRepeated: "a parent is listed twice",
  ParentClassWrong: "an asset of this class is not made from one of the parent's class",
  ModelParentMissing: "adapters and inferences have a model among their parents",
  RoyaltiesTooHigh: "the parents ask for too much of the creator's share together",
  RoyaltiesTooMany: "too many ancestors would be owed of the creator's share",
  RoyaltiesTooDeep: "an ancestor too far up the lineage would be owed of the creator's share",
  NotTransferable: "this asset's terms do not let it be transferred",
  ParentsTooMany: "the asset lists too many parents",
  IdUnknown: "no asset has this id",
  // quorum
  EpochNotAscending: "an epoch's number must be above the current one",
  EpochNotCurrent: "the certificate is of another epoch than the current one",
  EpochOver: "the epoch has ended, and its owner has set no other",
  EpochUnknown: "there was never an epoch of this number",
  MembersInvalid: "a set has 1 to 256 members of 32 bytes each",
  MembersNotAscending: "members must be in ascending order, without repetition and without the zero address",
  WeightZero: "every member needs a weight above zero",
  LengthsDiffer: "lists that belong together have different lengths",
  SetUnknown: "the members and weights given are not the epoch's",
  OwnershipNotRenounceable: "a quorum needs an owner, who sets its epochs; transfer the ownership instead",
  BitmapOutOfRange: "the certificate's bitmap names a member that does not exist",
  SignaturesLengthWrong: "there must be 64 bytes of signature for each vote",
  SignatureMalformed: "a signature is not a canonical one of 64 bytes",
  SignerWrong: "a signature is not its member's over this vote",
  VerdictInvalid: "a verdict is 1 (accept) or 2 (reject)",
  QuorumNotReached: "the votes do not carry more than two thirds of the weight",
  RegistryWithoutCode: "there is no contract at the registry's address",
  // bonds
  TreasuryInvalid: "the treasury must be an account other than the quorum",
  MinimumBondInvalid: "the minimum bond must be below 2^96 wei, and above zero on every chain but 31337",
  DisputeWindowInvalid: "the dispute window is too short, or too long",
  UnbondingDelayInvalid: "the unbonding delay must be longer than the dispute window, and at most 365 days",
  SlashBpsInvalid: "1 to 10000 basis points of a bond can be slashed",
  ReporterBpsInvalid: "a reporter gets at most 5000 basis points, so that reporting oneself never pays",
  BondTooLarge: "a bond is below 2^96 wei",
  BondTooSmall: "the account has not that much bonded",
  MemberBondTooSmall: "a member of the set has less than the minimum bonded",
  NothingUnbonding: "the account has asked for nothing back",
  UnbondingNotOver: "the unbonding delay is not over",
  DisputeWindowOpen: "the dispute window after the account's last epoch is not over",
  // evidence against members
  NothingBonded: "the member has nothing here that could be slashed",
  AlreadySlashed: "this offence has been slashed already",
  SeatInvalid: "the set has fewer members than that",
  VotesEqual: "the two votes say the same",
  ProofHolds: "the proof holds, so accepting it was right",
  EvidenceSignalsWrong: "the evidence has another number of public signals than the key",
  AnswerInconclusive: "what the verifier answered says nothing about the proof",
  PointsWellFormed: "a precompile failed, but the proof's points are not why: send more gas",
  ControlFailed: "the pairing precompile did not answer to what is known to be good: send more gas",
  // gate
  StatementUsed: "this statement has been accepted already",
  AssetClassWrong: "the asset's class does not belong to this kind of statement",
  ModelDigestMismatch: "the model digests of statement, asset and key differ",
  CircuitDigestMismatch: "the statement's circuit digest is not the registered one",
  CommitmentMismatch: "the asset's commitment is not what was proven",
  ModelNotAnchored: "the model has not been minted yet",
  ModelRevoked: "the model's token has been revoked",
  ModelNotAmongParents: "the model's token is not among the asset's parents",
  BatchLengthsDiffer: "there must be one proof for every statement",
  BatchKeyMixed: "the statements of a batch are all under one key",
  AssetTokenWrong: "the statement asks for a token of another contract",
  TokenForeign: "the token was deployed for another gate",
  // gate in front of LazAI's contracts
  AddressWithoutCode: "there is no contract at an address that the constructor was given",
  SupplyOutOfRange: "LazAI's tokens have 1 to 10,000 units",
  ParentsUnsupported: "LazAI's token keeps no parents",
  TermsUnsupported: "LazAI's token passes on freely and keeps no royalty: terms that ask for more are refused",
  LegacyPathOpen: "LazAI's registry can still mint on one node's word; revoke its MINTER_ROLE first",
  FileIdMismatch: "asset and file have different numbers",
  FileUnknown: "LazAI's registry has no such file",
  FileOwnerMismatch: "the file is not the requester's",
  FileUrlMismatch: "the file's url is not the statement's",
  FileHashMismatch: "the file's SHA-256 is not the statement's",
  FileHashMalformed: "the file's hash is not 64 digits of lower-case hex",
  FileRedeemed: "the file has been redeemed by LazAI's own path already",
  FileMinted: "a token was minted for this file already",
  TokenIdTaken: "the token's next id was taken by a batch mint",
  MintNotSeen: "LazAI's token did not mint what it was told to",
  NotVerified: "the token does not count as verified",
  // settlement
  DeadlinePassed: "the deadline has passed",
  AmountZero: "the amount is zero",
  AmountTooLarge: "the amount does not fit 128 bits",
  ValueWrong: "the coins sent along are not the amount of a native deposit, or were sent along with a token",
  UserZero: "the user's address is zero",
  CurrencyWithoutCode: "there is no contract at the currency's address",
  AmountReceivedWrong: "the token did not deliver the exact amount; tokens that take a fee are not accepted",
  AmountSentWrong: "the token took more than the amount it was told to send",
  DepositTooSmall: "the deposit, with what is reserved for the node, does not cover this",
  WithdrawalNotRequested: "no withdrawal has been requested",
  WithdrawalTooEarly: "the withdrawal's delay is not over",
  WithdrawalDelayInvalid: "the withdrawal delay must be between a minute and 30 days",
  ReservationTooSmall: "no more is reserved for this node",
  ReleaseNotRequested: "no release of what is reserved for this node has been requested",
  ReleaseTooEarly: "the release's delay is not over",
  ParameterDelayInvalid: "the parameter delay must be between a day and 30 days",
  GovernancePoolZero: "the governance pool's address is zero",
  SharesInvalid:
    "shares add up to 10,000, with at least 5,000 for the creator, 1,000 for the node and at most 2,000 for the pool",
  ParametersUnchanged: "these are the parameters already",
  ParametersPending: "other parameters have been proposed; cancel them first",
  ParametersNotProposed: "no parameters have been proposed",
  ParametersTooEarly: "the proposed parameters' delay is not over",
  GracePeriodRunning: "receipts of the version before can still be claimed; activate the parameters after that",
  RecipientZero: "the recipient's address is zero",
  RecipientSelf: "the settlement cannot be paid itself: nobody could take it out",
  NothingOwed: "nothing is owed to this account",
  TransferFailed: "the recipient refused the payment",
  CostAboveCap: "the receipt's cost is above the cap that the user agreed to",
  ParameterVersionWrong: "the receipt was signed under terms that no longer count, or do not count yet",
  ReceiptClaimed: "this receipt has been claimed already",
  DatUnknown: "the receipt names an asset that does not exist",
  AssetExpired: "the asset expired too long ago",
  UsesExhausted: "the asset has been used as often as its terms allow",
  CostBelowFloor: "the asset's uses are limited, and its creator does not sell one in this currency at this cost",
  FloorInvalid: "a floor is above zero, and can be lowered but not raised",
  NotCreator: "only the asset's creator may do this",
  UserIsNode: "user and node are one account",
  UserSignatureInvalid: "the user did not sign this",
  NodeSignatureInvalid: "the node did not sign this",
  ReceiptsNone: "there is no receipt to claim",
  BatchProofInvalid: "the receipts are not in the batch that was signed",
  BatchReceiptForeign: "a receipt of the batch has another user, node or currency than the batch",
  BatchDrawn: "the batch does not cover this receipt any more",
  // facades
  TaskIdInvalid: "the id is not the hash of this request, at this contract on this chain",
  WordExpected: "32 bytes are expected here",
  ModeInvalid: "the request's mode does not allow this",
  SignalsMismatch: "the public signals given are not those of the request",
  ResultSignerWrong: "the result is not signed by the attested key, or in mode OP by the payee",
  ResultSignatureMalformed: "the result's signature is not a canonical one of 65 bytes",
  ResultKnown: "this task has this result already",
  ResultProvenOtherwise: "a proof has shown another result of this task",
  AttestedKeyExpired: "the key's attestation has ended",
  AttestedKeyRevoked: "the quorum has taken this key back",
  NothingToDispute: "there is no claim to dispute, or a proof has settled it",
  DisputeWindowPassed: "the time for disputes by votes is over; a contradicting proof still counts",
  FraudKindInvalid: "fraud proofs are of kind 1 (contradiction) or 2 (votes)",
  ResultConfirmed: "the proof shows the very result that was claimed",
  TaskDisputed: "this task is disputed for good",
  OutputMismatch: "the output must be one encoded uint256",
  ModelMismatch: "the proof's task names another key, or the registry knows no such model",
  RequesterWrong: "only the account that the proof was made for may use it here",
  InferenceKnown: "this inference is stored already",
  InferenceUnknown: "no inference is stored under this id",
  ResponseInvalid: "a response is a score from 0 to 100",
  AnsweredBefore: "this request has been answered under this tag; answers are not overwritten",
  // LazAI's deployed contracts
  NotFileOwner: "only the file's owner may do this",
  FileUrlAlreadyUsed: "a file with this url is registered already",
  FileNotFound: "there is no such file",
  FileAlreadyRewarded: "the file has been redeemed already",
  NoPermission: "the account has no permission for this file",
  InvalidUrl: "the url is not valid",
  InvalidAttestator: "the proof is not signed by an active node",
  NodeAlreadyAdded: "the account is an active node already",
  NodeNotActive: "the account is not an active node",
  NoActiveNode: "there is no active node",
  InvalidJobStatus: "the job is not waiting to be completed",
  InvalidJobNode: "the job is another node's",
  NothingToClaim: "the node has nothing to claim",
  InsufficientFee: "the payment is below the nodes' fee",
  NotJobOwner: "only the job's owner may do this",
  AccountNotExists: "the user has no account with this node",
  AccountAlreadyExists: "the user has an account with this node already",
  InsufficientBalance: "the account does not cover this",
  InvalidUserSignature: "the user did not sign this check",
  NonceTooLow: "the check's nonce is below the last one",
  UserNotExists: "the settlement does not know this user",
  UserAlreadyExists: "the settlement knows this user already",
  // OpenZeppelin and Solidity
  AccessControlUnauthorizedAccount: "the account does not have the role that this needs",
  AccessControlBadConfirmation: "a role is renounced by the account itself",
  EnforcedPause: "the contract is paused",
  ExpectedPause: "the contract is not paused",
  ECDSAInvalidSignature: "the signature is nobody's",
  ECDSAInvalidSignatureLength: "a signature has 65 bytes",
  ECDSAInvalidSignatureS: "the signature's s is in the upper half",
  ERC1155InsufficientBalance: "the account has fewer units of this token",
  ERC1155InvalidSender: "the sender's address is zero",
  ERC1155MissingApprovalForAll: "the owner has not approved this account",
  ERC1155InvalidApprover: "the approver's address is zero",
  ERC1155InvalidOperator: "the operator's address is zero",
  ERC1155InvalidArrayLength: "lists that belong together have different lengths",
  OwnableUnauthorizedAccount: "only the owner may do this",
  ReentrancyGuardReentrantCall: "the contract was called from within a payment of its own",
  SafeERC20FailedOperation: "the token refused the transfer; is the amount approved?",
  MerkleProofInvalidMultiproof: "the proof does not fit its receipts",
  ERC1155InvalidReceiver: "the requester cannot receive ERC-1155 tokens",
  Panic: "the contract hit an internal check",
  Error: "the contract refused the call",
};

/** An interface with every error that a call to the protocol's contracts can end in. */
export function errorInterface(artefacts: ContractArtefacts): Interface {
  const errors = new Map<string, string>();
  for (const text of [...FOREIGN_ERRORS, ...lazaiErrors()]) errors.set(text, text);
  for (const { abi } of Object.values(artefacts)) {
    new Interface(abi).forEachError((fragment) => {
      errors.set(fragment.format("sighash"), fragment.format("full"));
    });
  }
  return new Interface([...errors.values()]);
}

/** The names that have an explanation; a test compares them with the contracts' own. */
export function explainedErrors(): string[] {
  return Object.keys(EXPLANATIONS);
}

/**
 * CHAIN_REVERTED with `details.error` (name) and `details.args` for a refused call; CHAIN_UNAVAILABLE when the node does
 * not answer; INPUT_INVALID for arguments that cannot be encoded. An AnchorError passes through.
 *
 * @param what  the call, for messages
 */
export async function explainFailure(
  error: unknown,
  what: string,
  errors: Interface,
  provider: Provider | null,
): Promise<AnchorError> {
  if (error instanceof AnchorError) return error;
  if (isCallException(error)) {
    const data = error.data ?? (await replay(error, provider));
    return explainRevert(data, what, errors, error);
  }
  const reason = error instanceof Error ? error.message.split("\n", 1)[0]!.slice(0, 200) : String(error);
  if (isError(error, "INSUFFICIENT_FUNDS")) {
    return new AnchorError(
      "CHAIN_REVERTED",
      `${what}: nothing was sent: ${await shortage(error.transaction, provider)}`,
      {
        details: { call: what, error: "INSUFFICIENT_FUNDS", args: [] },
        cause: error,
      },
    );
  }
  // Asked for a name's address, since the text is none itself.
  if (isError(error, "UNSUPPORTED_OPERATION") && error.operation === "getEnsAddress") {
    const words = "an address among the arguments is not 20 bytes of 0x-hex";
    return new AnchorError("INPUT_INVALID", `${what}: an argument cannot be encoded: ${words}`, { cause: error });
  }
  if (
    isError(error, "INVALID_ARGUMENT") ||
    isError(error, "NUMERIC_FAULT") ||
    isError(error, "MISSING_ARGUMENT") ||
    isError(error, "UNEXPECTED_ARGUMENT")
  ) {
    return new AnchorError("INPUT_INVALID", `${what}: an argument cannot be encoded: ${reason}`, { cause: error });
  }
  if (isUnencodable(error)) {
    const words = "a value, list or struct among them is missing or has another shape";
    return new AnchorError("INPUT_INVALID", `${what}: the arguments cannot be encoded: ${words} (${reason})`, {
      cause: error,
    });
  }
  if (isError(error, "UNSUPPORTED_OPERATION")) {
    return new AnchorError("INPUT_INVALID", `${what} sends a transaction: connect the client with a signer`, {
      cause: error,
    });
  }
  return new AnchorError("CHAIN_UNAVAILABLE", `${what}: the node did not carry out the call: ${reason}`, {
    cause: error,
  });
}

/** ethers meets missing fields with plain TypeErrors, and lists and structs that are none with plain Errors. */
function isUnencodable(error: unknown): boolean {
  if (error instanceof TypeError) return true;
  if (!(error instanceof Error) || "code" in error) return false;
  return /^(invalid (array|tuple) value|array is wrong length|cannot use object value|missing value for component)/.test(
    error.message,
  );
}

/** What there is for a transaction, and what it would have needed. ethers gives a signed one as its bytes. */
async function shortage(given: TransactionRequest | string | undefined, provider: Provider | null): Promise<string> {
  const { from, value, gasLimit, gasPrice, maxFeePerGas } =
    typeof given === "string" ? Transaction.from(given) : (given ?? {});
  const price = maxFeePerGas ?? gasPrice;
  const coins = BigInt(value ?? 0);
  const balance = typeof from === "string" ? await provider?.getBalance(from).catch(() => undefined) : undefined;
  const has = balance === undefined ? "the account has not enough" : `${from} has ${formatEther(balance)}`;
  if (gasLimit && price)
    return `${has} coins, and up to ${formatEther(coins + BigInt(gasLimit) * BigInt(price))} are needed`;
  return `${has} coins, and ${coins > 0n ? `${formatEther(coins)} and ` : ""}those for the gas are needed`;
}

/** As {@link explainFailure}, from revert data alone. */
function explainRevert(data: string | null, what: string, errors: Interface, cause?: unknown): AnchorError {
  const found = parse(data, errors);
  const name = found?.name ?? (data && data !== "0x" ? "unknown" : "none");
  const reason = found
    ? (EXPLANATIONS[found.name] ?? `the contract refused with ${found.name}`)
    : "the contract refused without a reason (malformed call data, or out of gas)";
  const named = found?.fragment.inputs.map((input, i) => `${input.name || i} ${plain(found.args[i])}`).join(", ");
  return new AnchorError("CHAIN_REVERTED", `${what}: ${reason}${named ? ` (${named})` : ""}`, {
    details: { call: what, error: name, args: found ? [...found.args].map(plain) : [], data: data ?? "0x" },
    ...(cause === undefined ? {} : { cause }),
  });
}

function parse(data: string | null, errors: Interface): ErrorDescription | null {
  if (!data || data === "0x") return null;
  try {
    return errors.parseError(data);
  } catch {
    return null; // a known selector with arguments that do not decode
  }
}

/**
 * A transaction that failed in its block carries no data. The same call after that block gives it: what made it fail, such
 * as another transaction in the same block that was first, is still so.
 */
async function replay(error: unknown, provider: Provider | null): Promise<string | null> {
  const { receipt } = error as { receipt?: { hash: string; blockNumber: number } | null };
  if (!receipt || !provider) return null;
  try {
    const mined = await provider.getTransaction(receipt.hash);
    if (!mined) return null;
    const { from, to, data, value } = mined;
    await provider.call({ from, to, data, value, blockTag: receipt.blockNumber });
  } catch (again) {
    if (isCallException(again)) return again.data;
  }
  return null;
}

/** JSON has no bigint, and details cross process boundaries as JSON. */
function plain(value: unknown): string {
  return typeof value === "string" ? value : String(value);
}
