// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IUniversalVerifier
/// @notice One verifier for all keys, which are data. A key is named by its digest and its ceremony's id; zero stands
///         for a development key, which is answered for on chain 31337 only.
interface IUniversalVerifier {
    /// @notice Stores a key, once and for good. Anyone may: what is stored is what the digest names.
    /// @param keyWords nPublic, alpha, beta, gamma, delta, IC…; a G2 coordinate's imaginary part first
    function store(uint256[] calldata keyWords, bytes32 ceremony) external returns (bytes32 keyDigest);

    /// @notice Returns when the proof holds and reverts when it does not, with the errors of generated verifiers.
    /// @param proof A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y
    /// @param signals in the circuit's order, each below r
    function verify(bytes32 keyDigest, bytes32 ceremony, uint256[8] calldata proof, uint256[] calldata signals)
        external
        view;

    /// @notice The stored key's words, as they were given to {store}; keccak256(tag ‖ words) is its digest again.
    function keyOf(bytes32 keyDigest, bytes32 ceremony) external view returns (uint256[] memory keyWords);
}
