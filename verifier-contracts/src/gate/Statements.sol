// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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
    uint8 class; // 1 dataset, 2 model, 3 adapter, 4 inference
    bytes32 commitment;
    bytes32 metadataDigest;
    uint256 supply;
    uint256[] parents; // ids of the tokens this asset was made from
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

struct ModelStatement {
    Asset asset;
    bytes32 circuitDigest;
    InferenceStatement sample; // one inference, proven with the key that is being registered for the model
}

/// @title Statements
/// @notice EIP-712 struct hashes of the statements, and the two digests that tie a statement to its proof.
/// @dev Pure functions over calldata. The domain separator is the caller's business: statements live under the gate's.
///      src/protocol holds the same definitions in TypeScript; test/chain recomputes every type hash with ethers.
library Statements {
    uint8 internal constant CLASS_DATASET = 1;
    uint8 internal constant CLASS_MODEL = 2;
    uint8 internal constant CLASS_ADAPTER = 3;
    uint8 internal constant CLASS_INFERENCE = 4;

    bytes32 internal constant TYPE_DATASET_CHUNK = keccak256("anchorproof/dataset-chunk/2");
    bytes32 internal constant TYPE_INFERENCE = keccak256("anchorproof/inference/1");

    /// @dev Public signals of each circuit, context included.
    uint256 internal constant DATASET_SIGNALS = 4;
    uint256 internal constant INFERENCE_SIGNALS = 3;

    bytes32 internal constant CONTEXT_TAG = keccak256("anchorproof/context/1");
    bytes32 internal constant EVIDENCE_TAG = keccak256("anchorproof/groth16-evidence/1");

    // EIP-712: a type's own encoding, then the types it refers to in alphabetical order.
    bytes32 internal constant TASK_TYPEHASH = keccak256(
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant ASSET_TYPEHASH =
        keccak256("Asset(uint8 class,bytes32 commitment,bytes32 metadataDigest,uint256 supply,uint256[] parents)");
    bytes32 internal constant DATASET_TYPEHASH = keccak256(
        "DatasetStatement(Task task,Asset asset,uint256 chunkIndex,uint256 chunkRecords)"
        "Asset(uint8 class,bytes32 commitment,bytes32 metadataDigest,uint256 supply,uint256[] parents)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant INFERENCE_TYPEHASH = keccak256(
        "InferenceStatement(Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
    );
    bytes32 internal constant MODEL_TYPEHASH = keccak256(
        "ModelStatement(Asset asset,bytes32 circuitDigest,InferenceStatement sample)"
        "Asset(uint8 class,bytes32 commitment,bytes32 metadataDigest,uint256 supply,uint256[] parents)"
        "InferenceStatement(Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
    );

    function hashTask(Task calldata task) internal pure returns (bytes32) {
        // Every member is a static word, so the ABI encoding of the struct is its EIP-712 encodeData.
        return keccak256(abi.encode(TASK_TYPEHASH, task));
    }

    function hashAsset(Asset calldata asset) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ASSET_TYPEHASH,
                asset.class,
                asset.commitment,
                asset.metadataDigest,
                asset.supply,
                keccak256(abi.encodePacked(asset.parents))
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

    function hashModel(ModelStatement calldata statement) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                MODEL_TYPEHASH, hashAsset(statement.asset), statement.circuitDigest, hashInference(statement.sample)
            )
        );
    }

    /// @notice The circuit's `context` signal: 253 bits, so that it is always below the scalar field's order.
    /// @dev Zero is refused by every circuit, so a statement that hashed to it could not be proven.
    function context(bytes32 statementType, address gate, Task memory task) internal view returns (uint256) {
        return uint256(
            keccak256(
            abi.encode(
            CONTEXT_TAG,
            statementType,
            block.chainid,
            gate,
            task.keyDigest,
            task.taskId,
            task.requester,
            task.payee,
            task.nonce,
            task.deadline
        )
        )
        ) >> 3;
    }

    /// @notice Names one proof of one statement. It is what validators vote on; it is NOT a nullifier, because anyone
    ///         can re-randomise a Groth16 proof into another valid one.
    function datasetEvidence(bytes32 keyDigest, uint256[4] memory signals, uint256[8] calldata proof)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(EVIDENCE_TAG, keyDigest, DATASET_SIGNALS, signals, proof));
    }

    /// @notice As {datasetEvidence}, for a proof of an inference.
    function inferenceEvidence(bytes32 keyDigest, uint256[3] memory signals, uint256[8] calldata proof)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(EVIDENCE_TAG, keyDigest, INFERENCE_SIGNALS, signals, proof));
    }
}
