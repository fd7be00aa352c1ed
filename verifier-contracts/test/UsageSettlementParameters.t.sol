// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Parameters, Receipt, SettlementParameters, UsageSettlement} from "../src/settlement/UsageSettlement.sol";
import {SettlementCoinsTest} from "./base/SettlementCoinsTest.sol";

contract UsageSettlementParametersTest is SettlementCoinsTest {
    // Parameters

    function test_GovernanceCannotTakeMoreThanItsBounds() public {
        Parameters[7] memory wrong = [
            Parameters(POOL, 4999, 4000, 1001),
            Parameters(POOL, 8000, 999, 1001),
            Parameters(POOL, 5000, 2999, 2001),
            Parameters(POOL, 7000, 2000, 1001),
            Parameters(POOL, 7000, 2000, 999),
            Parameters(POOL, 0, 0, 10_000),
            Parameters(POOL, 65_535, 2000, 1000)
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            bytes memory refusal = abi.encodeWithSelector(
                UsageSettlement.SharesInvalid.selector, wrong[i].creatorBps, wrong[i].nodeBps, wrong[i].poolBps
            );
            vm.expectRevert(refusal);
            settlement.proposeParameters(wrong[i]);
            vm.expectRevert(refusal);
            new UsageSettlement(terms(wrong[i]));
        }
        vm.expectRevert(UsageSettlement.GovernancePoolZero.selector);
        settlement.proposeParameters(Parameters(address(0), 7000, 2000, 1000));
        settlement.proposeParameters(Parameters(POOL, 5000, 3000, 2000));
        settlement.cancelParameters();
        settlement.proposeParameters(Parameters(POOL, 9000, 1000, 0));
    }

    function test_DelaysHaveBounds() public {
        SettlementParameters memory parameters = terms(Parameters(POOL, 7000, 2000, 1000));
        uint256[4] memory delays = [uint256(0), 59, 30 days + 1, type(uint256).max];
        for (uint256 i = 0; i < 4; ++i) {
            parameters.withdrawalDelay = delays[i];
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalDelayInvalid.selector, delays[i]));
            new UsageSettlement(parameters);
        }
        parameters.withdrawalDelay = 60;
        parameters.parameterDelay = 0;
        new UsageSettlement(parameters);
        vm.chainId(1);
        delays = [uint256(0), 1 days - 1, 30 days + 1, type(uint256).max];
        for (uint256 i = 0; i < 4; ++i) {
            parameters.parameterDelay = delays[i];
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ParameterDelayInvalid.selector, delays[i]));
            new UsageSettlement(parameters);
        }
        parameters.parameterDelay = 1 days;
        new UsageSettlement(parameters);
    }

    function test_ParametersAreTheOwnersToProposeAndAnyonesToActivateInTime() public {
        Parameters memory next = Parameters(address(0x901), 6000, 3000, 1000);
        address stranger = address(0x5);
        vm.startPrank(stranger);
        vm.expectRevert();
        settlement.proposeParameters(next);
        vm.expectRevert();
        settlement.cancelParameters();
        vm.expectRevert(UsageSettlement.ParametersNotProposed.selector);
        settlement.activateParameters();
        vm.stopPrank();
        vm.expectRevert(UsageSettlement.ParametersNotProposed.selector);
        settlement.cancelParameters();
        vm.expectRevert(UsageSettlement.ParametersUnchanged.selector);
        settlement.proposeParameters(Parameters(POOL, 7000, 2000, 1000));

        settlement.proposeParameters(next);
        uint256 ripe = block.timestamp + PARAMETER_DELAY;
        assertEq(settlement.activatableAt(), ripe, "activatable at");
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ParametersPending.selector, ripe));
        settlement.proposeParameters(Parameters(POOL, 8000, 1000, 1000));
        vm.warp(ripe - 1);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ParametersTooEarly.selector, ripe, ripe - 1));
        settlement.activateParameters();
        settlement.cancelParameters();
        vm.warp(ripe);
        vm.expectRevert(UsageSettlement.ParametersNotProposed.selector);
        settlement.activateParameters();

        settlement.proposeParameters(next);
        vm.warp(ripe + PARAMETER_DELAY);
        vm.prank(stranger);
        settlement.activateParameters();
        assertEq(settlement.parameterVersion(), 2, "version");
        assertEq(settlement.poolOf(2), address(0x901), "pool");
        assertEq(settlement.poolOf(1), POOL, "the old pool");
        assertEq(settlement.poolOf(0), address(0), "no pool");
        vm.expectRevert(UsageSettlement.ParametersNotProposed.selector);
        settlement.activateParameters();
    }

    function test_GovernanceCannotFrontRunAClaim() public {
        fund(address(0), 10_000);
        Receipt memory before = receiptOf(address(0), 1000);
        Receipt memory late = receiptOf(address(0), 1000);
        settlement.proposeParameters(Parameters(address(0x901), 5000, 3000, 2000));
        vm.warp(block.timestamp + PARAMETER_DELAY);
        settlement.activateParameters();
        claim(before);
        assertEq(settlement.owed(CREATOR, address(0)), 700, "the creator's, as it was signed");
        assertEq(settlement.owed(node, address(0)), 200, "the node's, as it was signed");
        assertEq(settlement.owed(POOL, address(0)), 100, "the pool's, as it was signed");
        claim(receiptOf(address(0), 1000));
        assertEq(settlement.owed(CREATOR, address(0)), 1200, "the creator's, under the new version");
        assertEq(settlement.owed(node, address(0)), 500, "the node's, under the new version");
        assertEq(settlement.owed(address(0x901), address(0)), 200, "the new pool's");

        // No second change cuts the time of the first short.
        uint256 until = settlement.previousVersionUntil();
        assertEq(until, block.timestamp + DELAY, "previous version until");
        vm.warp(until);
        uint256 state = vm.snapshotState();
        claim(late);
        vm.revertToState(state);
        vm.warp(until + 1);
        expectClaimToRevert(late, abi.encodeWithSelector(UsageSettlement.ParameterVersionWrong.selector, 1, 2));
    }

    /// @dev Against a model: the current version counts, the one before until its time is over, and no other.
    function testFuzz_AtMostTwoVersionsAreLiveEachPayingItsOwnPool(uint256 seed) public {
        SettlementParameters memory parameters = terms(Parameters(address(0x901), 7000, 2000, 1000));
        parameters.parameterDelay = 0;
        settlement = new UsageSettlement(parameters);
        fund(address(0), 1e18);
        uint256 version = 1;
        uint256 until = 0;
        uint256[2] memory paid; // pools 0x901 and 0x902 take turns
        for (uint256 i = 0; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(block.timestamp + [uint256(0), 1, DELAY / 2, DELAY - 1, DELAY, DELAY + 1][seed % 6]);
            if (seed >> 8 & 1 == 0) {
                if (settlement.activatableAt() == 0) {
                    settlement.proposeParameters(Parameters(address(uint160(0x901 + version % 2)), 7000, 2000, 1000));
                }
                if (block.timestamp <= until) {
                    vm.expectRevert(
                        abi.encodeWithSelector(UsageSettlement.GracePeriodRunning.selector, until, block.timestamp)
                    );
                }
                settlement.activateParameters();
                if (block.timestamp > until) (version, until) = (version + 1, block.timestamp + DELAY);
            } else {
                Receipt memory receipt = receiptOf(address(0), 1000);
                receipt.parameterVersion = version + 1 - bound(seed >> 16, 0, version < 4 ? version : 4);
                uint256 named = receipt.parameterVersion;
                if (named == version || (named + 1 == version && block.timestamp <= until)) {
                    if (named == 0) revert NotTrue("version 0 is live in the model");
                    claim(receipt);
                    paid[(named - 1) % 2] += 100;
                } else {
                    expectClaimToRevert(
                        receipt, abi.encodeWithSelector(UsageSettlement.ParameterVersionWrong.selector, named, version)
                    );
                }
            }
            assertEq(settlement.parameterVersion(), version, "version");
            assertEq(settlement.previousVersionUntil(), until, "until");
            assertEq(settlement.owed(address(0x901), address(0)), paid[0], "the one pool");
            assertEq(settlement.owed(address(0x902), address(0)), paid[1], "the other pool");
        }
    }

    function test_AChangeWaitsForTheOneBeforeIt() public {
        SettlementParameters memory parameters = terms(Parameters(POOL, 7000, 2000, 1000));
        parameters.parameterDelay = 0;
        settlement = new UsageSettlement(parameters);
        settlement.proposeParameters(Parameters(POOL, 6000, 3000, 1000));
        settlement.activateParameters();
        settlement.proposeParameters(Parameters(POOL, 5000, 4000, 1000));
        uint256 until = block.timestamp + DELAY;
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.GracePeriodRunning.selector, until, until));
        settlement.activateParameters();
        vm.warp(until + 1);
        settlement.activateParameters();
        assertEq(settlement.parameterVersion(), 3, "version");
    }
}
