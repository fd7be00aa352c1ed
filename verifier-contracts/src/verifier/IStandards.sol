// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IERC8084
/// @notice ERC-8084 (draft), ZKMeta: what is to be known of one circuit. The interface names no key, so a registry of many
///         cannot have it; {CircuitMetadata} is its adapter for one key.
interface IERC8084 {
    event CircuitMetadataUpdated(bytes32 indexed circuitId, uint64 circuitVersion, bytes4 proofSystem);

    function circuitId() external view returns (bytes32);

    function circuitVersion() external view returns (uint64);

    function publicInputsSchemaHash() external view returns (bytes32);

    function publicInputsSchemaURI() external view returns (string memory);

    function verificationKeyURI() external view returns (string memory);

    function proofSystem() external view returns (bytes4);
}

/// @notice ERC-7992's (draft) name of a model: what its proofs are checked against.
struct ModelCommitment {
    bytes32 modelHash;
    bytes32 circuitHash;
    bytes32 vkHash;
    bytes4 proofSystemId;
    string uri;
}

/// @title IERC7992Models
/// @notice The reading half of ERC-7992's (draft) registry. Its writing half does not fit an append-only one: nobody
///         registers or updates a model here but by a key's way through {VerifierRegistry}.
interface IERC7992Models {
    event ModelRegistered(uint256 indexed modelId, address indexed owner, ModelCommitment commitment);
    event ModelDeprecated(uint256 indexed modelId);

    error ModelNotFound(uint256 modelId);

    function getModel(uint256 modelId)
        external
        view
        returns (ModelCommitment memory commitment, bool deprecated, address owner);
}
