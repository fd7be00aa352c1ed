// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title CircuitTypes
/// @notice The circuit families that a key can be of: how many public signals each has, and what two proofs of one would
///         contradict each other in.
/// @dev src/protocol/statements.ts (CIRCUIT_TYPES) has the same names; test/chain compares both.
library CircuitTypes {
    // keccak256 of the family's name.
    bytes32 internal constant DATASET_CHUNK = keccak256("anchorproof/dataset-chunk/2");
    bytes32 internal constant DATASET_CONTENT = keccak256("anchorproof/dataset-content/1");
    bytes32 internal constant DATASET_BYTES = keccak256("anchorproof/dataset-bytes/1");
    bytes32 internal constant DATASET_NUMBERS = keccak256("anchorproof/dataset-numbers/1");
    bytes32 internal constant DATASET_LABELS = keccak256("anchorproof/dataset-labels/1");
    bytes32 internal constant DATASET_COLUMN = keccak256("anchorproof/dataset-column/1");
    bytes32 internal constant DATASET_DISTINCT = keccak256("anchorproof/dataset-distinct/1");
    bytes32 internal constant DATASET_SORTED = keccak256("anchorproof/dataset-sorted/1");
    bytes32 internal constant DATASET_OPENING = keccak256("anchorproof/dataset-opening/1");
    bytes32 internal constant DATASET_GROWTH = keccak256("anchorproof/dataset-growth/1");
    bytes32 internal constant DATASET_SHA256 = keccak256("anchorproof/dataset-sha256/1");
    bytes32 internal constant INFERENCE = keccak256("anchorproof/inference/1");
    bytes32 internal constant ADAPTED_INFERENCE = keccak256("anchorproof/adapted-inference/1");
    bytes32 internal constant INFERENCE_BATCH = keccak256("anchorproof/inference-batch/1");
    bytes32 internal constant ADAPTED_INFERENCE_BATCH = keccak256("anchorproof/adapted-inference-batch/1");

    /// @return signals public signals, `context` as the last; zero for a family that is not known
    /// @return ofModel whether a key is one model's
    function shapeOf(bytes32 statementType) internal pure returns (uint8 signals, bool ofModel) {
        // output, input commitment, context
        if (statementType == INFERENCE || statementType == INFERENCE_BATCH) return (3, true);
        // output, input commitment, adapter commitment, context
        if (statementType == ADAPTED_INFERENCE || statementType == ADAPTED_INFERENCE_BATCH) return (4, true);
        // root, index, count (of an opening: the record), context
        if (statementType == DATASET_CHUNK || statementType == DATASET_OPENING) return (4, false);
        // of segments: root, claim, state before, state after, context
        if (
            statementType == DATASET_CONTENT || statementType == DATASET_BYTES || statementType == DATASET_NUMBERS
                || statementType == DATASET_LABELS || statementType == DATASET_COLUMN
                || statementType == DATASET_DISTINCT || statementType == DATASET_SORTED
        ) return (5, false);
        // old and new root and number of records; a record and its SHA-256 in two halves, and its length; context
        if (statementType == DATASET_GROWTH || statementType == DATASET_SHA256) return (5, false);
        return (0, false);
    }

    /// @notice The one signal that the others but `context` determine, in a sound circuit of this family.
    /// @dev What computes an output is a function of input, model and adapter, and each of these has a binding commitment.
    ///      A chunk's records are counted under the root. Families of which nothing of the kind is said here may have such
    ///      a signal all the same.
    /// @return known false where none is named
    function determinedSignal(bytes32 statementType) internal pure returns (bool known, uint256 index) {
        (, bool ofModel) = shapeOf(statementType);
        if (ofModel) return (true, 0);
        if (statementType == DATASET_CHUNK) return (true, 2);
        return (false, 0);
    }
}
