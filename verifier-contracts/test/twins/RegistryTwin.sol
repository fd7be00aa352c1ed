// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Entry, IVerifierRegistry} from "../../src/verifier/IVerifierRegistry.sol";

/// @notice A registry whose proofs are hashes: the first word is that of key and signals, the others are free. So a proof holds
///         for exactly its signals, and anyone can make another one of the same, as with Groth16.
contract RegistryTwin is IVerifierRegistry {
    mapping(bytes32 keyDigest => Entry) private _entries;

    error KeyUnknown(bytes32 keyDigest);
    error KeyFrozen(bytes32 keyDigest);
    error StatementTypeMismatch(bytes32 expected, bytes32 registered);
    error ProofInvalid();

    function put(bytes32 keyDigest, bytes32 statementType, bytes32 circuitDigest, bytes32 modelDigest) external {
        Entry storage entry = _entries[keyDigest];
        entry.verifier = address(this);
        entry.statementType = statementType;
        entry.circuitDigest = circuitDigest;
        entry.modelDigest = modelDigest;
    }

    function freeze(bytes32 keyDigest) external {
        _entries[keyDigest].frozen = true;
    }

    function prove(bytes32 keyDigest, uint256[] memory signals) public pure returns (uint256[8] memory proof) {
        proof[0] = uint256(keccak256(abi.encode(keyDigest, signals)));
    }

    function entryOf(bytes32 keyDigest) external view returns (Entry memory) {
        return _entries[keyDigest];
    }

    function resolve(bytes32 keyDigest, bytes32 statementType) external view returns (Entry memory entry) {
        _usable(keyDigest);
        entry = _entries[keyDigest];
        if (entry.statementType != statementType) revert StatementTypeMismatch(statementType, entry.statementType);
    }

    function verify(bytes32 keyDigest, uint256[8] calldata proof, uint256[] calldata signals) external view {
        _usable(keyDigest);
        _check(keyDigest, proof, signals);
    }

    function verifyBatch(bytes32 keyDigest, uint256[8][] calldata proofs, uint256[] calldata signals) external view {
        _usable(keyDigest);
        uint256 each = signals.length / proofs.length;
        for (uint256 i = 0; i < proofs.length; ++i) {
            _check(keyDigest, proofs[i], signals[i * each:(i + 1) * each]);
        }
    }

    function _usable(bytes32 keyDigest) private view {
        if (_entries[keyDigest].verifier == address(0)) revert KeyUnknown(keyDigest);
        if (_entries[keyDigest].frozen) revert KeyFrozen(keyDigest);
    }

    function _check(bytes32 keyDigest, uint256[8] calldata proof, uint256[] calldata signals) private pure {
        if (proof[0] != prove(keyDigest, signals)[0]) revert ProofInvalid();
    }
}
