// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../src/quorum/Quorum.sol";
import {Test} from "./base/Test.sol";

contract QuorumTest is Test {
    Quorum private _quorum;

    function setUp() public {
        _quorum = new Quorum(address(this));
    }

    function test_AnEpochsNumberGoesUp(uint64 number) public {
        number = uint64(bound(number, 1, type(uint64).max));
        address[] memory members = new address[](1);
        members[0] = address(1);
        uint256[] memory weights = new uint256[](1);
        weights[0] = 1;
        _quorum.setEpoch(number, members, weights);
        vm.expectRevert(abi.encodeWithSelector(Quorum.EpochNotAscending.selector, number, number));
        _quorum.setEpoch(number, members, weights);
    }
}
