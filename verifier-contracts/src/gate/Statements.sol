// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Terms} from "../token/IDataAnchoringToken.sol";

/// @notice What a task is for and who it concerns. It is bound into every proof through the circuit's `context` signal.
struct Task {
    bytes32 keyDigest; // names the verifying key, and so the verifier in the registry
    bytes32 taskId;
    address requester; // receives what is minted
    address payee; // the party that did the work
    uint256 nonce; // chosen by the requester; distinct nonces make distinct statements
    uint256 deadline; // unix seconds; the last block timestamp at which the statement is accepted
}

/// @notice A data anchoring token to be.
struct Asset {
    address token; // the contract that is to hold it
    uint256 fileId; // in LazAI's DataRegistry; 0 for none
    uint8 class; // 1 dataset, 2 model, 3 adapter, 4 inference
    bytes32 commitment; // dataset root, model digest, adapter commitment, or an inference's statement digest
    bytes32 metadataDigest;
    uint256 supply;
    uint256[] parents; // ids of the tokens this asset was made from
    Terms terms;
}

struct DatasetStatement {
    Task task;
    Asset asset;
    uint256 chunkIndex;
    uint256 chunkRecords;
}

struct InferenceStatement {
    Task task;
    bytes32 modelDigest;
    uint256 output;
    uint256 inputCommitment;
}

struct AdaptedInferenceStatement {
    Task task;
    bytes32 modelDigest;
    uint256 output;
    uint256 inputCommitment;
    uint256 adapterCommitment;
}

struct ModelStatement {
    Asset asset;
    bytes32 circuitDigest;
    InferenceStatement sample; // one inference, proven with the key that is being registered for the model
}

struct AdapterStatement {
    Asset asset;
    AdaptedInferenceStatement sample; // one inference with the adapter
}

struct InferenceAssetStatement {
    Asset asset; // its commitment is the digest of `inference` as a statement
    InferenceStatement inference;
}

/// @notice Takes back a token's `verified`. Voted on like a statement; there is no proof of it.
struct Revocation {
    bytes32 taskId;
    address token;
    uint256 datId;
    string reason;
    bytes32 evidenceDigest; // names what the voters saw
    uint256 nonce;
    uint256 deadline; // unix seconds; the last block timestamp at which it is accepted
}

/// @title Statements
/// @notice EIP-712 struct hashes of the statements, and the two digests that tie a statement to its proof.
/// @dev Pure functions over calldata. The domain separator is the caller's business: statements live under the gate's.
///      src/protocol holds the same definitions in TypeScript; test/chain recomputes every type hash with ethers.
///
///      Batched inferences (`InferenceBatchStatement` and its adapted kind in src/protocol) have no twin here. Their public
///      signals hold Poseidon digests of the lists of outputs and of commitments, and a gate rebuilds every signal: a
///      Poseidon hash of two costs about 18,000 gas on chain, so the two lists cost some 36,000 an inference, where
///      a proof of its own in a batch of proofs costs about as much and needs no hash. Their proofs are verified off chain.
library Statements {
    uint8 internal constant CLASS_DATASET = 1;
    uint8 internal constant CLASS_MODEL = 2;
    uint8 internal constant CLASS_ADAPTER = 3;
    uint8 internal constant CLASS_INFERENCE = 4;

    bytes32 internal constant TYPE_DATASET_CHUNK = keccak256("anchorproof/dataset-chunk/2");
    bytes32 internal constant TYPE_INFERENCE = keccak256("anchorproof/inference/1");
    bytes32 internal constant TYPE_ADAPTED_INFERENCE = keccak256("anchorproof/adapted-inference/1");

    /// @dev Public signals of each circuit, context included.
    uint256 internal constant DATASET_SIGNALS = 4;
    uint256 internal constant INFERENCE_SIGNALS = 3;
    uint256 internal constant ADAPTED_INFERENCE_SIGNALS = 4;

    bytes32 internal constant CONTEXT_TAG = keccak256("anchorproof/context/1");
    bytes32 internal constant EVIDENCE_TAG = keccak256("anchorproof/groth16-evidence/1");

    // EIP-712: a type's own encoding, then the types it refers to in alphabetical order.
    bytes32 internal constant TERMS_TYPEHASH =
        keccak256("Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)");
    bytes32 internal constant TASK_TYPEHASH = keccak256(
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant ASSET_TYPEHASH = keccak256(
        "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,"
        "uint256 supply,uint256[] parents,Terms terms)"
        "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)"
    );
    bytes32 internal constant DATASET_TYPEHASH = keccak256(
        "DatasetStatement(Task task,Asset asset,uint256 chunkIndex,uint256 chunkRecords)"
        "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,"
        "uint256 supply,uint256[] parents,Terms terms)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
        "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)"
    );
    bytes32 internal constant INFERENCE_TYPEHASH = keccak256(
        "InferenceStatement(Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant ADAPTED_INFERENCE_TYPEHASH = keccak256(
        "AdaptedInferenceStatement("
        "Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment,uint256 adapterCommitment)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant MODEL_TYPEHASH = keccak256(
        "ModelStatement(Asset asset,bytes32 circuitDigest,InferenceStatement sample)"
        "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,"
        "uint256 supply,uint256[] parents,Terms terms)"
        "InferenceStatement(Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
        "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)"
    );
    bytes32 internal constant ADAPTER_TYPEHASH = keccak256(
        "AdapterStatement(Asset asset,AdaptedInferenceStatement sample)" "AdaptedInferenceStatement("
        "Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment,uint256 adapterCommitment)"
        "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,"
        "uint256 supply,uint256[] parents,Terms terms)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
        "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)"
    );
    bytes32 internal constant INFERENCE_ASSET_TYPEHASH = keccak256(
        "InferenceAssetStatement(Asset asset,InferenceStatement inference)"
        "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,"
        "uint256 supply,uint256[] parents,Terms terms)"
        "InferenceStatement(Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
        "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)"
    );
    bytes32 internal constant REVOCATION_TYPEHASH = keccak256(
        "Revocation(bytes32 taskId,address token,uint256 datId,string reason,"
        "bytes32 evidenceDigest,uint256 nonce,uint256 deadline)"
    );

    // Every member of a task and of terms is a static word, so the ABI encoding of the struct is its EIP-712 encodeData.

    function hashTask(Task calldata task) internal pure returns (bytes32) {
        return keccak256(abi.encode(TASK_TYPEHASH, task));
    }

    function hashTerms(Terms calldata terms) internal pure returns (bytes32) {
        return keccak256(abi.encode(TERMS_TYPEHASH, terms));
    }

    function hashAsset(Asset calldata asset) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ASSET_TYPEHASH,
                asset.token,
                asset.fileId,
                asset.class,
                asset.commitment,
                asset.metadataDigest,
                asset.supply,
                keccak256(abi.encodePacked(asset.parents)),
                hashTerms(asset.terms)
            )
        );
    }

    function hashDataset(DatasetStatement calldata statement) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                DATASET_TYPEHASH,
                hashTask(statement.task),
                hashAsset(statement.asset),
                statement.chunkIndex,
                statement.chunkRecords
            )
        );
    }

    function hashInference(InferenceStatement calldata statement) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                INFERENCE_TYPEHASH,
                hashTask(statement.task),
                statement.modelDigest,
                statement.output,
                statement.inputCommitment
            )
        );
    }

    function hashAdaptedInference(AdaptedInferenceStatement calldata statement) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ADAPTED_INFERENCE_TYPEHASH,
                hashTask(statement.task),
                statement.modelDigest,
                statement.output,
                statement.inputCommitment,
                statement.adapterCommitment
            )
        );
    }

    function hashModel(ModelStatement calldata statement) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                MODEL_TYPEHASH, hashAsset(statement.asset), statement.circuitDigest, hashInference(statement.sample)
            )
        );
    }

    function hashAdapter(AdapterStatement calldata statement) internal pure returns (bytes32) {
        return
            keccak256(abi.encode(ADAPTER_TYPEHASH, hashAsset(statement.asset), hashAdaptedInference(statement.sample)));
    }

    function hashInferenceAsset(InferenceAssetStatement calldata statement) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encode(INFERENCE_ASSET_TYPEHASH, hashAsset(statement.asset), hashInference(statement.inference))
            );
    }

    function hashRevocation(Revocation calldata revocation) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                REVOCATION_TYPEHASH,
                revocation.taskId,
                revocation.token,
                revocation.datId,
                keccak256(bytes(revocation.reason)),
                revocation.evidenceDigest,
                revocation.nonce,
                revocation.deadline
            )
        );
    }

    /// @notice The circuit's `context` signal: 253 bits, so that it is always below the scalar field's order.
    /// @dev Zero is refused by every circuit, so a statement that hashed to it could not be proven.
    function context(bytes32 statementType, address gate, Task memory task) internal view returns (uint256) {
        // The task's members stand in the context in the struct's own order.
        return uint256(keccak256(abi.encode(CONTEXT_TAG, statementType, block.chainid, gate, task))) >> 3;
    }

    /// @notice Names one proof of one statement. It is what validators vote on; it is NOT a nullifier, because anyone
    ///         can re-randomise a Groth16 proof into another valid one.
    function evidence(bytes32 keyDigest, uint256[] memory signals, uint256[8] calldata proof)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(EVIDENCE_TAG, keyDigest, signals.length, signals, proof));
    }
}
