// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";
import {IERC8084} from "./IStandards.sol";
import {KeyMetadata, VerifierRegistry} from "./VerifierRegistry.sol";

/// @title CircuitMetadata
/// @notice ERC-8084 (draft) for one active key of a registry. Anyone may deploy one; it holds nothing of its own.
/// @dev What it says never changes, so neither does the version: a changed circuit has another key. NOT enforced here: that
///      the owner of the registry told the truth; and whether the key is frozen by now is for the registry to say.
contract CircuitMetadata is IERC8084, ERC165 {
    VerifierRegistry public immutable registry;
    bytes32 public immutable keyDigest;

    constructor(VerifierRegistry registry_, bytes32 keyDigest_) {
        registry = registry_;
        keyDigest = keyDigest_;
        bytes32 circuit = registry_.entryOf(keyDigest_).circuitDigest;
        // An entry's circuit is never zero.
        if (circuit == 0) revert VerifierRegistry.KeyUnknown(keyDigest_);
        uint64 version = registry_.metadataOf(keyDigest_).circuitVersion;
        emit CircuitMetadataUpdated(circuit, version, registry_.PROOF_SYSTEM());
    }

    function circuitId() external view returns (bytes32) {
        return registry.entryOf(keyDigest).circuitDigest;
    }

    function circuitVersion() external view returns (uint64) {
        return _metadata().circuitVersion;
    }

    function publicInputsSchemaHash() external view returns (bytes32) {
        return _metadata().schemaHash;
    }

    function publicInputsSchemaURI() external view returns (string memory) {
        return _metadata().schemaUri;
    }

    function verificationKeyURI() external view returns (string memory) {
        return _metadata().verificationKeyUri;
    }

    function proofSystem() external view returns (bytes4) {
        return registry.PROOF_SYSTEM();
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC8084).interfaceId || super.supportsInterface(interfaceId);
    }

    function _metadata() private view returns (KeyMetadata memory) {
        return registry.metadataOf(keyDigest);
    }
}
