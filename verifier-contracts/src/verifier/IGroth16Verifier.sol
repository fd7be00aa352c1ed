// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What every generated verifier, of single proofs or of batches, says about itself.
interface IGroth16Verifier {
    function KEY_DIGEST() external view returns (bytes32);

    function CIRCUIT_DIGEST() external view returns (bytes32);

    function N_PUBLIC() external view returns (uint256);

    function DEVELOPMENT() external view returns (bool);

    /// @notice Id of the ceremony behind the key; zero for a development key.
    function CEREMONY() external view returns (bytes32);
}

/// @notice A generated verifier of several proofs under one key. Returns nothing: one that does not verify reverts all.
interface IBatchVerifier is IGroth16Verifier {
    /// @param publicSignals of all proofs, one proof's after the other's
    function verifyBatch(uint256[8][] calldata proofs, uint256[] calldata publicSignals) external view;
}
