/**
 * The interfaces of LazAI's deployed contracts, and TypeScript's view of them.
 *
 * One table a contract is both: the fragments that ethers encodes with are made from it, and the types of arguments are
 * derived from it, so that the two cannot differ. Names and types are facts of the deployed contracts
 * (0xLazAI/lazbubu-contracts at 9024b69, and the newer DataAnchoringToken, which adds `name` and `symbol`).
 *
 * Left out is what belongs to proxies: initialisers and upgrades.
 *
 * @module
 */
import { type Hex, tag, toHex } from "../../field/bytes.js";

/** Types by name, in the order of their arguments. */
type Fields = Readonly<Record<string, string>>;

interface FunctionEntry {
  readonly inputs: Fields;
  readonly outputs: Fields;
  readonly mutability: "view" | "pure" | "nonpayable" | "payable";
}

export interface ContractTable {
  readonly functions: Readonly<Record<string, FunctionEntry>>;
  /** A type that ends in " indexed" stands among the topics. */
  readonly events: Readonly<Record<string, Fields>>;
  readonly errors: Readonly<Record<string, Fields>>;
}

/** Solidity's structs. Enums are `uint8`. */
export const LAZAI_STRUCTS = {
  ProofData: { id: "uint256", score: "uint256", fileUrl: "string", proofUrl: "string" },
  Proof: { signature: "bytes", data: "ProofData" },
  Permission: { account: "address", key: "string" },
  FileResponse: {
    id: "uint256",
    ownerAddress: "address",
    url: "string",
    hash: "string",
    proofIndex: "uint256",
    rewardAmount: "uint256",
  },
  Job: {
    fileId: "uint256",
    bidAmount: "uint256",
    status: "uint8",
    addedTimestamp: "uint256",
    ownerAddress: "address",
    nodeAddress: "address",
  },
  NodeInfo: {
    nodeAddress: "address",
    url: "string",
    status: "uint8",
    amount: "uint256",
    jobsCount: "uint256",
    publicKey: "string",
  },
  SettlementData: { id: "string", user: "address", cost: "uint256", nonce: "uint256", userSignature: "bytes" },
  SettlementFees: { signature: "bytes", data: "SettlementData" },
  Refund: { index: "uint256", amount: "uint256", createdAt: "uint256", processed: "bool" },
  Account: {
    user: "address",
    node: "address",
    nonce: "uint256",
    balance: "uint256",
    pendingRefund: "uint256",
    refunds: "Refund[]",
  },
  User: {
    addr: "address",
    availableBalance: "uint256",
    totalBalance: "uint256",
    queryNodes: "address[]",
    inferenceNodes: "address[]",
    trainingNodes: "address[]",
  },
} as const;

/** `NodeInfo.status`. */
export const NODE_STATUS = { none: 0n, active: 1n, removed: 2n } as const;

/** `Job.status`. Nothing ever cancels a job: the event and the status exist, the function does not. */
export const JOB_STATUS = { none: 0n, submitted: 1n, completed: 2n, canceled: 3n } as const;

/** Who has it on the DataAnchoringToken mints, and sets and takes back `verified`. */
export const MINTER_ROLE: Hex = toHex(tag("MINTER_ROLE"));

function view<const O extends Fields, const I extends Fields = Record<never, never>>(outputs: O, inputs?: I) {
  return { inputs: (inputs ?? {}) as I, outputs, mutability: "view" as const };
}

function send<const I extends Fields, const O extends Fields = Record<never, never>>(inputs: I, outputs?: O) {
  return { inputs, outputs: (outputs ?? {}) as O, mutability: "nonpayable" as const };
}

function pay<const I extends Fields, const O extends Fields = Record<never, never>>(inputs: I, outputs?: O) {
  return { inputs, outputs: (outputs ?? {}) as O, mutability: "payable" as const };
}

const ACCESS_FUNCTIONS = {
  DEFAULT_ADMIN_ROLE: view({ value: "bytes32" }),
  hasRole: view({ value: "bool" }, { role: "bytes32", account: "address" }),
  getRoleAdmin: view({ value: "bytes32" }, { role: "bytes32" }),
  grantRole: send({ role: "bytes32", account: "address" }),
  revokeRole: send({ role: "bytes32", account: "address" }),
  renounceRole: send({ role: "bytes32", callerConfirmation: "address" }),
  supportsInterface: view({ value: "bool" }, { interfaceId: "bytes4" }),
} as const;

const ACCESS_EVENTS = {
  RoleGranted: { role: "bytes32 indexed", account: "address indexed", sender: "address indexed" },
  RoleRevoked: { role: "bytes32 indexed", account: "address indexed", sender: "address indexed" },
  RoleAdminChanged: {
    role: "bytes32 indexed",
    previousAdminRole: "bytes32 indexed",
    newAdminRole: "bytes32 indexed",
  },
} as const;

const ACCESS_ERRORS = {
  AccessControlUnauthorizedAccount: { account: "address", neededRole: "bytes32" },
  AccessControlBadConfirmation: {},
} as const;

const MAINTAINED_FUNCTIONS = {
  ...ACCESS_FUNCTIONS,
  MAINTAINER_ROLE: view({ value: "bytes32" }),
  version: { ...view({ value: "uint256" }), mutability: "pure" as const },
  paused: view({ value: "bool" }),
  pause: send({}),
  unpause: send({}),
} as const;

const MAINTAINED_EVENTS = {
  ...ACCESS_EVENTS,
  Paused: { account: "address" },
  Unpaused: { account: "address" },
} as const;

const MAINTAINED_ERRORS = {
  ...ACCESS_ERRORS,
  EnforcedPause: {},
  ExpectedPause: {},
  ReentrancyGuardReentrantCall: {},
} as const;

const ECDSA_ERRORS = {
  ECDSAInvalidSignature: {},
  ECDSAInvalidSignatureLength: { length: "uint256" },
  ECDSAInvalidSignatureS: { s: "bytes32" },
} as const;

const NODE_FUNCTIONS = {
  addNode: send({ nodeAddress: "address", url: "string", publicKey: "string" }),
  removeNode: send({ nodeAddress: "address" }),
  isNode: view({ value: "bool" }, { nodeAddress: "address" }),
  getNode: view({ value: "NodeInfo" }, { nodeAddress: "address" }),
  nodeList: view({ value: "address[]" }),
  nodeListAt: view({ value: "NodeInfo" }, { index: "uint256" }),
  nodesCount: view({ value: "uint256" }),
  activeNodesCount: view({ value: "uint256" }),
  activeNodeList: view({ value: "address[]" }),
  activeNodeListAt: view({ value: "NodeInfo" }, { index: "uint256" }),
} as const;

const NODE_EVENTS = {
  NodeAdded: { nodeAddress: "address indexed" },
  NodeRemoved: { nodeAddress: "address indexed" },
} as const;

const NODE_ERRORS = { NodeAlreadyAdded: {}, NodeNotActive: {}, NoActiveNode: {} } as const;

export const LAZAI_TABLES = {
  DataAnchoringToken: {
    functions: {
      ...ACCESS_FUNCTIONS,
      name: view({ value: "string" }),
      symbol: view({ value: "string" }),
      MINTER_ROLE: view({ value: "bytes32" }),
      mint: send({ to: "address", amount: "uint256", fileUrl_: "string", verified_: "bool" }),
      batchMint: send({ to: "address", ids: "uint256[]", amounts: "uint256[]", fileUrls: "string[]" }),
      setTokenVerified: send({ tokenId: "uint256", verified_: "bool" }),
      verified: view({ value: "bool" }, { tokenId: "uint256" }),
      fileUrl: view({ value: "string" }, { tokenId: "uint256" }),
      currentTokenId: view({ value: "uint256" }),
      setURI: send({ uri_: "string" }),
      uri: view({ value: "string" }, { id: "uint256" }),
      balanceOf: view({ value: "uint256" }, { account: "address", id: "uint256" }),
      balanceOfBatch: view({ value: "uint256[]" }, { accounts: "address[]", ids: "uint256[]" }),
      isApprovedForAll: view({ value: "bool" }, { account: "address", operator: "address" }),
      setApprovalForAll: send({ operator: "address", approved: "bool" }),
      safeTransferFrom: send({ from: "address", to: "address", id: "uint256", value: "uint256", data: "bytes" }),
      safeBatchTransferFrom: send({
        from: "address",
        to: "address",
        ids: "uint256[]",
        values: "uint256[]",
        data: "bytes",
      }),
    },
    events: {
      ...ACCESS_EVENTS,
      TokenMinted: { to: "address indexed", tokenId: "uint256 indexed", fileUrl: "string" },
      TransferSingle: {
        operator: "address indexed",
        from: "address indexed",
        to: "address indexed",
        id: "uint256",
        value: "uint256",
      },
      TransferBatch: {
        operator: "address indexed",
        from: "address indexed",
        to: "address indexed",
        ids: "uint256[]",
        values: "uint256[]",
      },
      ApprovalForAll: { account: "address indexed", operator: "address indexed", approved: "bool" },
      URI: { value: "string", id: "uint256 indexed" },
    },
    errors: {
      ...ACCESS_ERRORS,
      ERC1155InsufficientBalance: { sender: "address", balance: "uint256", needed: "uint256", tokenId: "uint256" },
      ERC1155InvalidSender: { sender: "address" },
      ERC1155InvalidReceiver: { receiver: "address" },
      ERC1155MissingApprovalForAll: { operator: "address", owner: "address" },
      ERC1155InvalidApprover: { approver: "address" },
      ERC1155InvalidOperator: { operator: "address" },
      ERC1155InvalidArrayLength: { idsLength: "uint256", valuesLength: "uint256" },
    },
  },
  DataRegistry: {
    functions: {
      ...MAINTAINED_FUNCTIONS,
      setRoleAdmin: send({ role: "bytes32", adminRole: "bytes32" }),
      addFile: send({ url: "string", hash: "string" }, { value: "uint256" }),
      addFileWithPermissions: send(
        { url: "string", hash: "string", ownerAddress: "address", permissions: "Permission[]" },
        { value: "uint256" },
      ),
      addPermissionForFile: send({ fileId: "uint256", account: "address", key: "string" }),
      addFileAndRequestProof: pay(
        { url: "string", hash: "string", ownerAddress: "address", permissions: "Permission[]" },
        { value: "uint256" },
      ),
      addProof: send({ fileId: "uint256", proof: "Proof" }),
      requestReward: send({ fileId: "uint256", proofIndex: "uint256" }),
      getFile: view({ value: "FileResponse" }, { fileId: "uint256" }),
      getFileIdByUrl: view({ value: "uint256" }, { url: "string" }),
      getFileProof: view({ value: "Proof" }, { fileId: "uint256", index: "uint256" }),
      getFilePermission: view({ value: "string" }, { fileId: "uint256", account: "address" }),
      filesCount: view({ value: "uint256" }),
      token: view({ value: "address" }),
      verifiedComputing: view({ value: "address" }),
      publicKey: view({ value: "string" }),
      name: view({ value: "string" }),
      updateToken: send({ newToken: "address" }),
      updateVerifiedComputing: send({ newVerifiedComputing: "address" }),
      updatePublicKey: send({ newPublicKey: "string" }),
    },
    events: {
      ...MAINTAINED_EVENTS,
      FileAdded: { fileId: "uint256 indexed", ownerAddress: "address indexed", url: "string" },
      ProofAdded: {
        fileId: "uint256 indexed",
        ownerAddress: "address indexed",
        proofIndex: "uint256",
        proofUrl: "string",
      },
      PermissionGranted: { fileId: "uint256 indexed", account: "address indexed" },
      RewardRequested: {
        contributorAddress: "address indexed",
        fileId: "uint256 indexed",
        proofIndex: "uint256 indexed",
        rewardAmount: "uint256",
      },
      PublicKeyUpdated: { newPublicKey: "string" },
      TokenUpdated: { newToken: "address" },
      VerifiedComputingUpdated: { newVerifiedComputing: "address" },
    },
    errors: {
      ...MAINTAINED_ERRORS,
      ...ECDSA_ERRORS,
      NotFileOwner: {},
      FileUrlAlreadyUsed: {},
      FileNotFound: {},
      FileAlreadyRewarded: {},
      NoPermission: {},
      InvalidUrl: {},
      InvalidAttestator: { messageHash: "bytes32", signature: "bytes", signer: "address" },
    },
  },
  VerifiedComputing: {
    functions: {
      ...MAINTAINED_FUNCTIONS,
      ...NODE_FUNCTIONS,
      requestProof: pay({ fileId: "uint256" }),
      submitJob: pay({ fileId: "uint256" }),
      completeJob: send({ jobId: "uint256" }),
      claim: send({}),
      fileJobIds: view({ value: "uint256[]" }, { fileId: "uint256" }),
      getJob: view({ value: "Job" }, { jobId: "uint256" }),
      jobsCount: view({ value: "uint256" }),
      nodeFee: view({ value: "uint256" }),
      updateNodeFee: send({ newNodeFee: "uint256" }),
    },
    events: {
      ...MAINTAINED_EVENTS,
      ...NODE_EVENTS,
      JobSubmitted: {
        jobId: "uint256 indexed",
        fileId: "uint256 indexed",
        nodeAddress: "address",
        bidAmount: "uint256",
      },
      JobCanceled: { jobId: "uint256 indexed" },
      JobComplete: { attestator: "address indexed", jobId: "uint256 indexed", fileId: "uint256 indexed" },
      Claimed: { nodeAddress: "address indexed", amount: "uint256" },
    },
    errors: {
      ...MAINTAINED_ERRORS,
      ...NODE_ERRORS,
      InvalidJobStatus: {},
      InvalidJobNode: {},
      NothingToClaim: {},
      InsufficientFee: {},
      NotJobOwner: {},
      TransferFailed: {},
    },
  },
  AIProcess: {
    functions: {
      ...MAINTAINED_FUNCTIONS,
      ...NODE_FUNCTIONS,
      settlement: view({ value: "address" }),
      updateSettlement: send({ newSettlement: "address" }),
      lockTime: view({ value: "uint256" }),
      getAccount: view({ value: "Account" }, { user: "address", node: "address" }),
      getAccountPendingRefund: view({ value: "uint256" }, { user: "address", node: "address" }),
      getAllAccounts: view({ accounts: "Account[]" }),
      accountExists: view({ value: "bool" }, { user: "address", node: "address" }),
      addAccount: pay({ user: "address", node: "address" }),
      deleteAccount: send({ user: "address", node: "address" }),
      deposit: pay({ user: "address", node: "address", cancelRetrievingAmount: "uint256" }),
      request: send({ user: "address", node: "address" }),
      process: send(
        { user: "address", node: "address" },
        { totalAmount: "uint256", balance: "uint256", pendingRefund: "uint256" },
      ),
      settlementFees: send({ settlement: "SettlementFees" }),
    },
    events: {
      ...MAINTAINED_EVENTS,
      ...NODE_EVENTS,
      BalanceUpdated: {
        user: "address indexed",
        node: "address indexed",
        amount: "uint256",
        pendingRefund: "uint256",
      },
      SettlementUpdated: { newSettlement: "address" },
    },
    errors: {
      ...MAINTAINED_ERRORS,
      ...NODE_ERRORS,
      ...ECDSA_ERRORS,
      AccountNotExists: { user: "address", node: "address" },
      AccountAlreadyExists: { user: "address", node: "address" },
      InsufficientBalance: { user: "address", node: "address" },
      InvalidAttestator: { messageHash: "bytes32", signature: "bytes", signer: "address" },
      InvalidUserSignature: { messageHash: "bytes32", nonce: "uint256", user: "address", node: "address" },
      NonceTooLow: {},
    },
  },
  Settlement: {
    functions: {
      ...MAINTAINED_FUNCTIONS,
      setRoleAdmin: send({ role: "bytes32", adminRole: "bytes32" }),
      query: view({ value: "address" }),
      inference: view({ value: "address" }),
      training: view({ value: "address" }),
      queryAddress: view({ value: "address" }),
      inferenceAddress: view({ value: "address" }),
      trainingAddress: view({ value: "address" }),
      updateQuery: send({ newQuery: "address" }),
      updateInference: send({ newInference: "address" }),
      updateTraining: send({ newTraining: "address" }),
      getUser: view({ value: "User" }, { user: "address" }),
      getAllUsers: view({ users: "User[]" }),
      addUser: pay({}),
      deleteUser: send({}),
      deposit: pay({}),
      withdraw: send({ amount: "uint256" }),
      depositQuery: send({ node: "address", amount: "uint256" }),
      depositInference: send({ node: "address", amount: "uint256" }),
      depositTraining: send({ node: "address", amount: "uint256" }),
      retrieveQuery: send({ nodes: "address[]" }),
      retrieveInference: send({ nodes: "address[]" }),
      retrieveTraining: send({ nodes: "address[]" }),
      settlement: send({ addr: "address", cost: "uint256" }),
    },
    events: {
      ...MAINTAINED_EVENTS,
      QueryUpdated: { newQuery: "address" },
      InferenceUpdated: { newInference: "address" },
      TrainingUpdated: { newTraining: "address" },
      UserAdded: { addr: "address indexed" },
      UserDeleted: { addr: "address indexed" },
    },
    errors: {
      ...MAINTAINED_ERRORS,
      UserNotExists: { user: "address" },
      UserAlreadyExists: { user: "address" },
      InsufficientBalance: { user: "address" },
    },
  },
  IDAO: {
    functions: {
      ...MAINTAINED_FUNCTIONS,
      setRoleAdmin: send({ role: "bytes32", adminRole: "bytes32" }),
      name: view({ value: "string" }),
      description: view({ value: "string" }),
      token: view({ value: "address" }),
      verifiedComputing: view({ value: "address" }),
      settlement: view({ value: "address" }),
      updateToken: send({ newToken: "address" }),
      updateVerifiedComputing: send({ newVerifiedComputing: "address" }),
      updateSettlement: send({ newSettlement: "address" }),
    },
    events: {
      ...MAINTAINED_EVENTS,
      TokenUpdated: { newToken: "address" },
      VerifiedComputingUpdated: { newVerifiedComputing: "address" },
      SettlementUpdated: { newSettlement: "address" },
    },
    errors: MAINTAINED_ERRORS,
  },
} as const satisfies Record<string, ContractTable>;

type Structs = typeof LAZAI_STRUCTS;
type Tables = typeof LAZAI_TABLES;

export type LazaiContractName = keyof Tables;
export type LazaiFunctionName<C extends LazaiContractName> = keyof Tables[C]["functions"] & string;
export type LazaiEventName<C extends LazaiContractName> = keyof Tables[C]["events"] & string;
export type LazaiErrorName<C extends LazaiContractName> = keyof Tables[C]["errors"] & string;

/** A value of a Solidity type: integers are bigint, addresses and bytes lower-case 0x-hex. */
export type LazaiValue<T> = T extends `${infer Base} indexed`
  ? LazaiValue<Base>
  : T extends `${infer Item}[]`
    ? LazaiValue<Item>[]
    : T extends `uint${number}`
      ? bigint
      : T extends "address" | "bytes" | `bytes${number}`
        ? Hex
        : T extends "string"
          ? string
          : T extends "bool"
            ? boolean
            : T extends keyof Structs
              ? LazaiValues<Structs[T]>
              : never;

type LazaiValues<F> = { -readonly [K in keyof F]: LazaiValue<F[K]> };

export type LazaiStruct<N extends keyof Structs> = LazaiValues<Structs[N]>;

type Entry<C extends LazaiContractName, N> = N extends keyof Tables[C]["functions"] ? Tables[C]["functions"][N] : never;

export type LazaiInputs<C extends LazaiContractName, N extends LazaiFunctionName<C>> =
  Entry<C, N> extends { inputs: infer I } ? LazaiValues<I> : never;

export type LazaiOutputs<C extends LazaiContractName, N extends LazaiFunctionName<C>> =
  Entry<C, N> extends { outputs: infer O } ? LazaiValues<O> : never;

export type LazaiEventValues<
  C extends LazaiContractName,
  N extends LazaiEventName<C>,
> = N extends keyof Tables[C]["events"] ? LazaiValues<Tables[C]["events"][N]> : never;

export type LazaiErrorValues<
  C extends LazaiContractName,
  N extends LazaiErrorName<C>,
> = N extends keyof Tables[C]["errors"] ? LazaiValues<Tables[C]["errors"][N]> : never;

/** Functions that change state, and those that do not. */
export type LazaiReadName<C extends LazaiContractName> = {
  [N in LazaiFunctionName<C>]: Entry<C, N> extends { mutability: "view" | "pure" } ? N : never;
}[LazaiFunctionName<C>];

export type LazaiWriteName<C extends LazaiContractName> = Exclude<LazaiFunctionName<C>, LazaiReadName<C>>;

/** Human-readable fragments of a contract, as ethers and other tools read them. */
export function lazaiFragments(contract: LazaiContractName): string[] {
  const { functions, events, errors }: ContractTable = LAZAI_TABLES[contract];
  const list = (fields: Fields) =>
    Object.entries(fields)
      .map(([name, type]) => `${spell(type)} ${name}`)
      .join(", ");
  const returns = (fields: Fields) => {
    const entries = Object.entries(fields);
    if (entries.length === 0) return "";
    // A single value has no name in the contracts; several have, and so has a list that they name.
    return ` returns (${entries.map(([name, type]) => (name === "value" ? spell(type) : `${spell(type)} ${name}`)).join(", ")})`;
  };
  return [
    ...Object.entries(functions).map(([name, { inputs, outputs, mutability }]) => {
      // ethers has no word for what Solidity calls nonpayable
      const modifier = mutability === "nonpayable" ? "" : ` ${mutability}`;
      return `function ${name}(${list(inputs)})${modifier}${returns(outputs)}`;
    }),
    ...Object.entries(events).map(([name, fields]) => `event ${name}(${list(fields)})`),
    ...Object.entries(errors).map(([name, fields]) => `error ${name}(${list(fields)})`),
  ];
}

/** Fragments of every error of every one of them: one calls the other. */
export function lazaiErrors(): string[] {
  const fragments = (Object.keys(LAZAI_TABLES) as LazaiContractName[]).flatMap(lazaiFragments);
  return [...new Set(fragments.filter((fragment) => fragment.startsWith("error ")))];
}

/** A type in a fragment's words: structs are tuples, spelled out. */
function spell(type: string): string {
  const [, base, rest] = /^(\w+)(.*)$/.exec(type)!;
  const struct = (LAZAI_STRUCTS as Record<string, Fields>)[base!];
  if (!struct) return type;
  const members = Object.entries(struct).map(([name, member]) => `${spell(member)} ${name}`);
  return `tuple(${members.join(", ")})${rest}`;
}
