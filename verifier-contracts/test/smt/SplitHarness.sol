// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Split} from "../../src/settlement/Split.sol";

// What `.ci/smt.mjs` has the SMTChecker prove for every input. Not deployed, and not tests: a test tries some inputs. One
// contract a property, which keeps the questions small.

/// @notice A cost is conserved, whatever the basis points, and so for every version of the parameters.
/// @dev Stated without a sum, which might wrap. That no product overflows is {PartHarness}'s: all are made in `part`.
contract CostHarness {
    function check(uint256 cost, uint16 creatorBps, uint16 nodeBps) external pure {
        require(cost <= Split.MAX_AMOUNT);
        (uint256 creatorShare, uint256 nodeShare, uint256 poolShare) = Split.ofCost(cost, creatorBps, nodeBps);
        assert(poolShare == cost - creatorShare - nodeShare);
    }
}

/// @notice One part takes out of what is left exactly what it pays, and computing it does not overflow.
contract PartHarness {
    function check(uint256 whole, uint256 rest, uint16 bps) external pure {
        require(whole <= Split.MAX_AMOUNT && rest <= whole);
        (uint256 amount, uint256 left) = Split.part(whole, rest, bps);
        assert(amount + left == rest && left <= rest);
    }
}

/// @notice The step of an induction over any number of royalties: what was paid, or went back to
///         the user, is what is no longer in the rest. Before the
///         first, nothing was paid and the rest is the creator's share.
contract LineageHarness {
    function check(uint256 whole, uint256 rest, uint256 paid, uint16 bps) external pure {
        require(whole <= Split.MAX_AMOUNT && rest <= whole && paid == whole - rest);
        (uint256 amount, uint256 left) = Split.part(whole, rest, bps);
        paid += amount;
        assert(left <= whole && paid == whole - left);
    }
}
