// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Votes of an epoch's members. The set itself travels in calldata and is checked against its stored hash.
struct Certificate {
    uint64 epoch;
    uint32 round;
    uint256 bitmap; // bit i: the i-th member signed
    bytes members; // the whole set: 32 bytes a member, address ‖ uint96 weight, strictly ascending by address
    bytes signatures; // 64 bytes (r, vs: ERC-2098) a set bit, in member order
}

/// @title IQuorum
/// @notice Says whether members with more than two thirds of the current epoch's weight voted for exactly this.
interface IQuorum {
    /// @notice Returns when they did, and reverts with the reason when not.
    /// @param verdict 1 accept, 2 reject
    function check(
        bytes32 taskId,
        bytes32 statementDigest,
        bytes32 evidenceDigest,
        uint8 verdict,
        Certificate calldata certificate
    ) external view;
}
