// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Split
/// @notice The arithmetic of every payment: a cost among creator, node and pool, and a creator's share along its lineage.
/// @dev Each part is rounded down and taken out of what is left, so that the parts and the rest always add up to the whole,
///      whatever the basis points are. test/smt/SplitHarness.sol states that as assertions, and `.ci/smt.mjs` proves them
///      with the SMTChecker.
///
///      NOT enforced here: that the basis points add up to at most {BPS}. If they did not, whoever comes last would get
///      less than its basis points; nobody could get more than is there. The contract holds the sum.
library Split {
    uint256 internal constant BPS = 10_000;

    /// @notice The highest cost of a receipt, and the highest deposit at a time. A product with 16-bit basis points is then
    ///         far from 2^256, and no sum of amounts in the books can come near it.
    uint256 internal constant MAX_AMOUNT = type(uint128).max;

    /// @notice `bps` of `whole`, rounded down, but no more than what is left of it.
    function part(uint256 whole, uint256 rest, uint16 bps) internal pure returns (uint256 amount, uint256 left) {
        amount = whole * bps / BPS;
        if (amount > rest) amount = rest;
        left = rest - amount;
    }

    /// @notice Creator and node get their basis points rounded down, and the pool gets the remainder: its own basis points,
    ///         and less than two units that rounding leaves.
    function ofCost(uint256 cost, uint16 creatorBps, uint16 nodeBps)
        internal
        pure
        returns (uint256 creatorShare, uint256 nodeShare, uint256 poolShare)
    {
        (creatorShare, poolShare) = part(cost, cost, creatorBps);
        (nodeShare, poolShare) = part(cost, poolShare, nodeBps);
    }
}
