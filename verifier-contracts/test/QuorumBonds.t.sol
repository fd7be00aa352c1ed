// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Bonds} from "../src/quorum/Bonds.sol";
import {Quorum, QuorumParameters} from "../src/quorum/Quorum.sol";
import {IVerifierRegistry} from "../src/verifier/IVerifierRegistry.sol";
import {QuorumTest} from "./base/QuorumTest.sol";

/// @notice Calls the quorum back from every payment, in every way that pays.
contract Reenterer {
    Quorum private immutable _quorum;
    uint256 public calls;
    bool public anyWorked;

    constructor(Quorum quorum) {
        _quorum = quorum;
    }

    function bond() external payable {
        _quorum.bond{value: msg.value}();
    }

    function act(bytes calldata data) external {
        (bool ok, bytes memory reason) = address(_quorum).call(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(reason, 0x20), mload(reason))
            }
        }
    }

    receive() external payable {
        ++calls;
        (bool a,) = address(_quorum).call(abi.encodeCall(Bonds.completeUnbond, ()));
        (bool b,) = address(_quorum).call(abi.encodeCall(Bonds.withdraw, (address(this))));
        anyWorked = anyWorked || a || b;
    }
}

/// @notice Bonds: what can leave, and when. That they add up is the business of Quorum.invariants.t.sol.
contract QuorumBondsTest is QuorumTest {
    address private constant _OUTSIDER = address(0x0075);

    function _bond(address account, uint256 amount) private {
        vm.deal(account, amount);
        vm.prank(account);
        _quorum.bond{value: amount}();
    }

    function _request(address account, uint256 amount) private {
        vm.prank(account);
        _quorum.requestUnbond(amount);
    }

    /// @dev An epoch of member 0 alone.
    function _dismiss(uint64 epoch) private {
        _quorum.setEpoch(epoch, abi.encodePacked(_member(0), uint96(1)));
    }

    function _complete(address account) private returns (uint256) {
        vm.prank(account);
        return _quorum.completeUnbond();
    }

    function test_AnOutsiderGetsItsBondAfterTheDelayAndNotBefore() public {
        _bond(_OUTSIDER, 3 ether);
        _request(_OUTSIDER, 3 ether);
        uint256 releaseAt = block.timestamp + DELAY;
        vm.warp(releaseAt - 1);
        vm.expectRevert(abi.encodeWithSelector(Bonds.UnbondingNotOver.selector, releaseAt, block.timestamp));
        _complete(_OUTSIDER);
        vm.warp(releaseAt);
        assertEq(_complete(_OUTSIDER), 3 ether, "paid");
        assertEq(_OUTSIDER.balance, 3 ether, "received");
        vm.expectRevert(abi.encodeWithSelector(Bonds.NothingUnbonding.selector, _OUTSIDER));
        _complete(_OUTSIDER);
    }

    function test_AFurtherRequestStartsTheDelayAgainForAll() public {
        _bond(_OUTSIDER, 3 ether);
        _request(_OUTSIDER, 1 ether);
        vm.warp(block.timestamp + DELAY - 1);
        _request(_OUTSIDER, 1 ether);
        uint256 releaseAt = block.timestamp + DELAY;
        vm.warp(releaseAt - 1);
        vm.expectRevert(abi.encodeWithSelector(Bonds.UnbondingNotOver.selector, releaseAt, block.timestamp));
        _complete(_OUTSIDER);
        vm.warp(releaseAt);
        assertEq(_complete(_OUTSIDER), 2 ether, "both");
    }

    function test_WhatIsCancelledIsBondedAgain() public {
        _request(_member(1), 4 ether);
        vm.prank(_member(1));
        _quorum.cancelUnbond();
        (uint96 bonded, uint96 unbonding,, uint64 releaseAt) = _quorum.bonds(_member(1));
        assertEq(bonded, BOND, "bonded");
        assertEq(unbonding, 0, "unbonding");
        assertEq(releaseAt, 0, "release");
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(Bonds.NothingUnbonding.selector, _member(1)));
        _complete(_member(1));
        vm.expectRevert(abi.encodeWithSelector(Bonds.NothingUnbonding.selector, _member(1)));
        vm.prank(_member(1));
        _quorum.cancelUnbond();
    }

    function test_NobodyAsksForMoreThanTheyHaveOrForNothing() public {
        vm.expectRevert(abi.encodeWithSelector(Bonds.BondTooSmall.selector, BOND, BOND + 1));
        _request(_member(1), BOND + 1);
        vm.expectRevert(abi.encodeWithSelector(Bonds.BondTooSmall.selector, BOND, type(uint256).max));
        _request(_member(1), type(uint256).max);
        vm.expectRevert(Bonds.AmountZero.selector);
        _request(_member(1), 0);
        vm.expectRevert(Bonds.AmountZero.selector);
        _quorum.bond();
    }

    function test_AMembersExcessLeavesAndItsMinimumStays() public {
        _request(_member(1), BOND - MINIMUM);
        vm.warp(block.timestamp + DELAY);
        assertEq(_complete(_member(1)), BOND - MINIMUM, "excess");
        _request(_member(1), 1);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(Bonds.BondTooSmall.selector, MINIMUM - 1, MINIMUM));
        _complete(_member(1));
    }

    function test_AMemberLeavesWithEverythingAfterItsEpochAndTheWindow() public {
        _request(_member(1), BOND);
        vm.warp(block.timestamp + DELAY);
        // Still a member, however long ago it asked.
        vm.expectRevert(abi.encodeWithSelector(Bonds.BondTooSmall.selector, 0, MINIMUM));
        _complete(_member(1));
        // Nor can it be made one again against its will.
        bytes memory set = _set();
        vm.expectRevert(abi.encodeWithSelector(Bonds.MemberBondTooSmall.selector, _member(1), 0, MINIMUM));
        _quorum.setEpoch(2, set);
        _dismiss(2);
        uint256 until = block.timestamp + WINDOW;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(Bonds.DisputeWindowOpen.selector, until, block.timestamp));
        _complete(_member(1));
        vm.warp(until);
        assertEq(_complete(_member(1)), BOND, "everything");
    }

    /// @dev Also of the excess, which could have left an instant before.
    function test_NothingLeavesWithinTheWindowAfterTheLastEpoch() public {
        _request(_member(1), 1 ether);
        vm.warp(block.timestamp + DELAY);
        _dismiss(2);
        uint256 until = block.timestamp + WINDOW;
        vm.expectRevert(abi.encodeWithSelector(Bonds.DisputeWindowOpen.selector, until, block.timestamp));
        _complete(_member(1));
        // Epochs that it is not in do not make it wait longer.
        vm.warp(until - 1);
        _dismiss(3);
        vm.warp(until);
        assertEq(_complete(_member(1)), 1 ether, "after the window");
    }

    /// @dev An owner that is gone, or keeps a member in the set for ever, holds its bond for so long and no longer.
    function test_AnOwnerWhoIsGoneDoesNotHoldBondsForEver() public {
        _request(_member(1), BOND);
        uint256 until = block.timestamp + _quorum.MAX_EPOCH_DURATION() + WINDOW;
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(Bonds.DisputeWindowOpen.selector, until, block.timestamp));
        _complete(_member(1));
        vm.warp(until);
        assertEq(_complete(_member(1)), BOND, "everything");
    }

    function test_AMemberBelowTheMinimumBySlashingTakesNothingOut() public {
        _request(_member(1), BOND - MINIMUM);
        _slash(1, 0);
        (uint96 bonded, uint96 unbonding,,) = _quorum.bonds(_member(1));
        assertEq(bonded, 0, "the bonded part goes first");
        assertEq(unbonding, BOND / 2, "unbonding");
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(Bonds.BondTooSmall.selector, 0, MINIMUM));
        _complete(_member(1));
        // With the minimum bonded again it is like any other member.
        _bond(_member(1), MINIMUM);
        assertEq(_complete(_member(1)), BOND / 2, "the rest");
    }

    function test_BondsFitTheirSlot() public {
        uint256 most = type(uint96).max;
        _bond(_OUTSIDER, most);
        _request(_OUTSIDER, most);
        vm.deal(_OUTSIDER, 1);
        vm.prank(_OUTSIDER);
        vm.expectRevert(abi.encodeWithSelector(Bonds.BondTooLarge.selector, most + 1));
        _quorum.bond{value: 1}();
        vm.prank(_OUTSIDER);
        _quorum.cancelUnbond();
        vm.warp(block.timestamp + DELAY);
        _request(_OUTSIDER, most);
        vm.warp(block.timestamp + DELAY);
        assertEq(_complete(_OUTSIDER), most, "all of it");
    }

    function test_PlainTransfersAreRefused() public {
        (bool ok,) = address(_quorum).call{value: 1}("");
        assertFalse(ok, "money without a bond's owner");
    }

    function test_Attack_ReentrancyFromAPayment() public {
        Reenterer thief = new Reenterer(_quorum);
        vm.deal(address(this), 5 ether);
        thief.bond{value: 5 ether}();
        thief.act(abi.encodeCall(Bonds.requestUnbond, (2 ether)));
        vm.warp(block.timestamp + DELAY);
        // With a reward of its own to take, too: the call from within must not work although there is something to get.
        _slashAs(address(thief), 1, 0);
        uint256 before = address(_quorum).balance;
        thief.act(abi.encodeCall(Bonds.completeUnbond, ()));
        assertEq(thief.calls(), 1, "called back once");
        assertFalse(thief.anyWorked(), "a call from within");
        assertEq(before - address(_quorum).balance, 2 ether, "paid once");

        thief.act(abi.encodeCall(Bonds.requestUnbond, (1 ether)));
        vm.warp(block.timestamp + DELAY);
        uint256 reward = _quorum.owed(address(thief));
        before = address(_quorum).balance;
        thief.act(abi.encodeCall(Bonds.withdraw, (address(thief))));
        assertFalse(thief.anyWorked(), "a call from within a withdrawal");
        assertEq(before - address(_quorum).balance, reward, "paid once");
    }

    function test_ARefusedPaymentLeavesEverythingAsItWas() public {
        // This contract cannot be paid.
        vm.deal(address(this), 1 ether);
        _quorum.bond{value: 1 ether}();
        _quorum.requestUnbond(1 ether);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(Bonds.TransferFailed.selector, address(this), 1 ether));
        _quorum.completeUnbond();
        assertEq(_stake(address(this)), 1 ether, "still there");

        _slash(1, 0);
        uint256 reward = _quorum.owed(address(this));
        vm.expectRevert(abi.encodeWithSelector(Bonds.TransferFailed.selector, address(this), reward));
        _quorum.withdraw(address(this));
        vm.expectRevert(Bonds.RecipientZero.selector);
        _quorum.withdraw(address(0));
        _quorum.withdraw(_OUTSIDER);
        assertEq(_OUTSIDER.balance, reward, "to another account");
        vm.expectRevert(abi.encodeWithSelector(Bonds.NothingOwed.selector, address(this)));
        _quorum.withdraw(_OUTSIDER);
    }

    // ---- terms

    function _refuses(QuorumParameters memory parameters, bytes memory reason) private {
        vm.expectRevert(reason);
        new Quorum(parameters);
    }

    function test_TermsOutOfBoundsAreRefused() public {
        QuorumParameters memory given = _parameters();
        given.treasury = address(0);
        _refuses(given, abi.encodeWithSelector(Bonds.TreasuryInvalid.selector, address(0)));

        given = _parameters();
        given.registry = IVerifierRegistry(address(0xdead));
        _refuses(given, abi.encodeWithSelector(Quorum.RegistryWithoutCode.selector, address(0xdead)));

        given = _parameters();
        given.minimumBond = 2 ** 96;
        _refuses(given, abi.encodeWithSelector(Bonds.MinimumBondInvalid.selector, 2 ** 96));

        given = _parameters();
        given.disputeWindow = 1 hours - 1;
        _refuses(given, abi.encodeWithSelector(Bonds.DisputeWindowInvalid.selector, 1 hours - 1));

        // Not longer than the window, though equal.
        given = _parameters();
        given.unbondingDelay = WINDOW;
        _refuses(given, abi.encodeWithSelector(Bonds.UnbondingDelayInvalid.selector, WINDOW, WINDOW));
        given.unbondingDelay = 365 days + 1;
        _refuses(given, abi.encodeWithSelector(Bonds.UnbondingDelayInvalid.selector, 365 days + 1, WINDOW));
        given.disputeWindow = type(uint256).max;
        given.unbondingDelay = 0;
        _refuses(given, abi.encodeWithSelector(Bonds.UnbondingDelayInvalid.selector, 0, type(uint256).max));

        given = _parameters();
        given.slashBps = 0;
        _refuses(given, abi.encodeWithSelector(Bonds.SlashBpsInvalid.selector, 0));
        given.slashBps = 10_001;
        _refuses(given, abi.encodeWithSelector(Bonds.SlashBpsInvalid.selector, 10_001));

        given = _parameters();
        given.reporterBps = 5_001;
        _refuses(given, abi.encodeWithSelector(Bonds.ReporterBpsInvalid.selector, 5_001));
    }

    /// @dev Votes without a stake are for the chain of development keys.
    function test_NoMinimumIsForTheDevelopmentChainOnly() public {
        QuorumParameters memory given = _parameters();
        given.minimumBond = 0;
        new Quorum(given);
        vm.chainId(1);
        _refuses(given, abi.encodeWithSelector(Bonds.MinimumBondInvalid.selector, 0));
        given.minimumBond = 1;
        new Quorum(given);
    }
}
