// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a deployment believes of one verifying key. Never changes after it was activated, but for `frozen` and
///         `batchVerifier`, each of which is set once.
struct Entry {
    address verifier; // a generated verifier, or the universal one
    bool universal; // verifier is the universal one: it takes the key's digest, and the key is data
    bool development; // no ceremony behind the key; only on chain 31337
    bool frozen; // for good
    uint8 signals; // public signals, context included
    bytes32 statementType; // family of circuits, see Statements
    bytes32 circuitDigest;
    bytes32 modelDigest; // zero for circuits of datasets, which serve every dataset
    bytes32 ceremony; // id of the ceremony's manifest; zero for a development key
    address batchVerifier; // generated for the same key; zero where there is none
}

/// @title IVerifierRegistry
/// @notice Key digest → verifier: append-only, and the one place where the other contracts ask what to believe.
interface IVerifierRegistry {
    /// @notice The entry as stored; all zero when the key is unknown. For display: {resolve} is what decides.
    function entryOf(bytes32 keyDigest) external view returns (Entry memory);

    /// @notice The entry of a key that may be used for `statementType` now; reverts KeyUnknown, KeyFrozen or
    ///         StatementTypeMismatch.
    function resolve(bytes32 keyDigest, bytes32 statementType) external view returns (Entry memory);

    /// @notice The router: returns when the proof holds under the key, and reverts when it does not, or the key is unknown
    ///         or frozen. The errors of the verifier come through unchanged.
    function verify(bytes32 keyDigest, uint256[8] calldata proof, uint256[] calldata signals) external view;

    /// @notice {verify} for several proofs under one key, at about a third of the price. All of them, or none.
    /// @param signals the public signals of all proofs, one proof's after the other's
    function verifyBatch(bytes32 keyDigest, uint256[8][] calldata proofs, uint256[] calldata signals) external view;
}
