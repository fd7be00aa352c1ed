// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Entry, IVerifierRegistry} from "../../src/verifier/IVerifierRegistry.sol";

/// @notice A registry whose proofs are agreed on beforehand: for tests of what is built on one.
contract AgreedRegistry is IVerifierRegistry {
    mapping(bytes32 keyDigest => Entry) private _entries;
    mapping(bytes32 call => bool) private _holds;

    error KeyUnknown(bytes32 keyDigest);
    error KeyFrozen(bytes32 keyDigest);
    error StatementTypeMismatch(bytes32 expected, bytes32 registered);
    error ProofInvalid();

    function add(bytes32 keyDigest, bytes32 statementType, bytes32 modelDigest) external {
        Entry storage entry = _entries[keyDigest];
        entry.verifier = address(this);
        entry.statementType = statementType;
        entry.modelDigest = modelDigest;
    }

    function freeze(bytes32 keyDigest) external {
        _entries[keyDigest].frozen = true;
    }

    /// @notice From now on this proof holds for these signals, and for no others.
    function agree(bytes32 keyDigest, uint256[8] calldata proof, uint256[] calldata signals) external {
        _holds[keccak256(abi.encode(keyDigest, proof, signals))] = true;
    }

    function entryOf(bytes32 keyDigest) external view returns (Entry memory) {
        return _entries[keyDigest];
    }

    function resolve(bytes32 keyDigest, bytes32 statementType) external view returns (Entry memory entry) {
        entry = _entries[keyDigest];
        if (entry.verifier == address(0)) revert KeyUnknown(keyDigest);
        if (entry.frozen) revert KeyFrozen(keyDigest);
        if (entry.statementType != statementType) revert StatementTypeMismatch(statementType, entry.statementType);
    }

    function verify(bytes32 keyDigest, uint256[8] calldata proof, uint256[] calldata signals) public view {
        Entry storage entry = _entries[keyDigest];
        if (entry.verifier == address(0)) revert KeyUnknown(keyDigest);
        if (entry.frozen) revert KeyFrozen(keyDigest);
        if (!_holds[keccak256(abi.encode(keyDigest, proof, signals))]) revert ProofInvalid();
    }

    function verifyBatch(bytes32 keyDigest, uint256[8][] calldata proofs, uint256[] calldata signals) external view {
        uint256 each = signals.length / proofs.length;
        for (uint256 i = 0; i < proofs.length; ++i) {
            this.verify(keyDigest, proofs[i], signals[i * each:(i + 1) * each]);
        }
    }
}
