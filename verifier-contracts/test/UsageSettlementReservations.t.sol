// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Receipt, ReceiptBatch, UsageSettlement} from "../src/settlement/UsageSettlement.sol";
import {Royalty} from "../src/token/IDataAnchoringToken.sol";
import {SettlementCoinsTest} from "./base/SettlementCoinsTest.sol";

contract UsageSettlementReservationsTest is SettlementCoinsTest {
    // Reservations

    /// @dev A user's second account is a node like any other, and an asset of its own gives its deposit back but for the
    ///      pool's share, without any delay. So much for what is only secured; what is reserved stays.
    function test_SelfDealingCannotTouchAReservation() public {
        address[2] memory tokens = [address(0), address(_coin)];
        dat.put(78, user, 0, 0, new Royalty[](0));
        for (uint256 i = 0; i < 2; ++i) {
            address token = tokens[i];
            fund(token, 1000);
            assertEq(settlement.securedDeposit(user, token), 1000, "secured");
            vm.expectEmit(true, true, true, true, address(settlement));
            emit UsageSettlement.Reserved(user, node, token, 600);
            vm.prank(user);
            settlement.reserve(node, token, 600);
            assertEq(settlement.securedDeposit(user, token), 400, "what is reserved for one is not secured for others");
            Receipt memory sham = _receiptFor(OTHER_KEY, token, 401);
            sham.datId = 78;
            _expectRefusedBy(
                OTHER_KEY, sham, abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 400, 401)
            );
            sham.cost = 400;
            _claimBy(OTHER_KEY, sham);
            assertEq(settlement.securedDeposit(user, token), 0, "a secured deposit leaves without any delay");
            vm.startPrank(user);
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 0, 1));
            settlement.requestWithdrawal(token, 1);
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 0, 1));
            settlement.reserve(vm.addr(OTHER_KEY), token, 1);
            vm.stopPrank();
            assertEq(settlement.reservedFor(user, node, token), 600, "the reservation");
            claim(receiptOf(token, 600));
            assertEq(settlement.owed(node, token), 120, "the node's share");
        }
    }

    function testFuzz_AReservationIsThatNodesAloneAndPaysFirst(
        uint64[3] memory amounts,
        uint64 mine,
        uint64 theirs,
        bool native,
        bool theirsFirst
    ) public {
        address token = native ? address(0) : address(_coin);
        fund(token, 1 + uint256(amounts[0]) + amounts[1] + amounts[2]);
        address other = vm.addr(OTHER_KEY);
        vm.startPrank(user);
        if (amounts[1] != 0) settlement.reserve(node, token, amounts[1]);
        if (amounts[2] != 0) settlement.reserve(other, token, amounts[2]);
        vm.stopPrank();
        uint256[3] memory books = [1 + uint256(amounts[0]), amounts[1], amounts[2]];
        for (uint256 i = 0; i < 2; ++i) {
            bool own = theirsFirst != (i == 0);
            uint256 cost = own ? mine : theirs;
            uint256 key = own ? NODE_KEY : OTHER_KEY;
            uint256 place = own ? 1 : 2;
            Receipt memory receipt = _receiptFor(key, token, cost);
            uint256 available = books[0] + books[place];
            if (cost > available) {
                _expectRefusedBy(
                    key, receipt, abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, available, cost)
                );
                continue;
            }
            _claimBy(key, receipt);
            uint256 part = cost < books[place] ? cost : books[place];
            books[place] -= part;
            books[0] -= cost - part;
            assertEq(settlement.deposits(user, token), books[0], "the deposit");
            assertEq(settlement.reservedFor(user, node, token), books[1], "the node's reservation");
            assertEq(settlement.reservedFor(user, other, token), books[2], "the other node's reservation");
        }
        address elsewhere = native ? address(_coin) : address(0);
        assertEq(settlement.reservedFor(user, node, elsewhere), 0, "another currency's reservation");
    }

    /// @dev Asked for before the node agreed to anything, and ripe: it takes only what is a deposit still.
    function test_AWithdrawalInWaitCannotTakeWhatIsReservedSince() public {
        fund(address(_coin), 1000);
        vm.startPrank(user);
        settlement.requestWithdrawal(address(_coin), 1000);
        vm.warp(block.timestamp + DELAY);
        settlement.reserve(node, address(_coin), 600);
        settlement.completeWithdrawal(address(_coin));
        vm.stopPrank();
        assertEq(_coin.balanceOf(user), 400, "what was free");
        claim(receiptOf(address(_coin), 600));
    }

    function test_AReleaseThatWaitsCannotOutrunTheNodesClaims() public {
        address[2] memory tokens = [address(0), address(_coin)];
        for (uint256 i = 0; i < 2; ++i) {
            address token = tokens[i];
            fund(token, 1000);
            vm.startPrank(user);
            settlement.reserve(node, token, 1000);
            uint256 ripe = block.timestamp + DELAY;
            vm.expectEmit(true, true, true, true, address(settlement));
            emit UsageSettlement.ReleaseRequested(user, node, token, 700, ripe);
            settlement.requestRelease(node, token, 700);
            assertEq(settlement.reservedFor(user, node, token), 300, "what no pending release can take");
            vm.warp(ripe - 1);
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ReleaseTooEarly.selector, ripe, ripe - 1));
            settlement.completeRelease(node, token);
            vm.stopPrank();
            // All of it is the node's to claim until then, but nobody else's.
            _expectRefusedBy(
                OTHER_KEY,
                _receiptFor(OTHER_KEY, token, 1),
                abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 0, 1)
            );
            claim(receiptOf(token, 900));
            assertEq(settlement.reservedFor(user, node, token), 0, "what is left is asked for");
            vm.warp(ripe);
            vm.expectEmit(true, true, true, true, address(settlement));
            emit UsageSettlement.Released(user, node, token, 100);
            vm.prank(user);
            assertEq(settlement.completeRelease(node, token), 100, "what claims left of it");
            assertEq(settlement.deposits(user, token), 100, "the deposit");
            expectClaimToRevert(
                receiptOf(token, 101), abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 100, 101)
            );
            // What was asked for once is not asked for of the next reservation.
            vm.startPrank(user);
            settlement.reserve(node, token, 100);
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ReleaseNotRequested.selector, user, node));
            settlement.completeRelease(node, token);
            vm.stopPrank();
            assertEq(settlement.reservedFor(user, node, token), 100, "the next reservation");
        }
    }

    /// @dev A release prepared long before is no way round the delay for what is reserved, and counted on, later.
    function test_ARipeReleaseCannotTakeWhatIsReservedBesideIt() public {
        fund(address(0), 2000);
        vm.startPrank(user);
        settlement.reserve(node, address(0), 1000);
        settlement.requestRelease(node, address(0), 1000);
        vm.warp(block.timestamp + DELAY);
        settlement.reserve(node, address(0), 500);
        assertEq(settlement.reservedFor(user, node, address(0)), 500, "what the node can count on");
        uint256 state = vm.snapshotState();
        settlement.completeRelease(node, address(0));
        assertEq(settlement.reservedFor(user, node, address(0)), 500, "after the release");
        vm.stopPrank();
        vm.revertToState(state);
        claim(receiptOf(address(0), 1500));
        vm.prank(user);
        assertEq(settlement.completeRelease(node, address(0)), 0, "claims left nothing of it");
        assertEq(settlement.deposits(user, address(0)), 500, "the deposit");
    }

    function test_ANewReleaseRestartsTheClockAndACancelledOneIsGone() public {
        fund(address(0), 1000);
        vm.startPrank(user);
        vm.expectRevert(UsageSettlement.AmountZero.selector);
        settlement.reserve(node, address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.UserIsNode.selector, user));
        settlement.reserve(user, address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 1000, 1001));
        settlement.reserve(node, address(0), 1001);
        settlement.reserve(node, address(0), 400);
        settlement.reserve(node, address(0), 100);
        vm.expectRevert(UsageSettlement.AmountZero.selector);
        settlement.requestRelease(node, address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ReservationTooSmall.selector, 500, 501));
        settlement.requestRelease(node, address(0), 501);
        settlement.requestRelease(node, address(0), 100);
        uint256 ripe = block.timestamp + DELAY;
        vm.warp(ripe);
        settlement.requestRelease(node, address(0), 500);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ReleaseTooEarly.selector, ripe + DELAY, ripe));
        settlement.completeRelease(node, address(0));
        vm.expectEmit(true, true, true, true, address(settlement));
        emit UsageSettlement.ReleaseCancelled(user, node, address(0));
        settlement.cancelRelease(node, address(0));
        assertEq(settlement.reservedFor(user, node, address(0)), 500, "the reservation");
        vm.warp(ripe + DELAY);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ReleaseNotRequested.selector, user, node));
        settlement.cancelRelease(node, address(0));
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ReleaseNotRequested.selector, user, node));
        settlement.completeRelease(node, address(0));
        vm.stopPrank();
        // Nobody but the user takes it back.
        address[2] memory others = [node, address(this)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ReservationTooSmall.selector, 0, 500));
            settlement.requestRelease(node, address(0), 500);
        }
    }

    function test_BatchesAndManyDrawOnTheReservationToo() public {
        address[2] memory tokens = [address(0), address(_coin)];
        for (uint256 i = 0; i < 2; ++i) {
            address token = tokens[i];
            fund(token, 1000);
            vm.startPrank(user);
            settlement.reserve(node, token, 250);
            settlement.requestWithdrawal(token, 750);
            vm.warp(block.timestamp + DELAY);
            settlement.completeWithdrawal(token);
            vm.stopPrank();
            uint256 state = vm.snapshotState();
            Receipt[] memory receipts = new Receipt[](4);
            for (uint256 j = 0; j < 4; ++j) {
                receipts[j] = receiptOf(token, 100);
            }
            bytes32[] memory nodes = treeOf(receipts);
            ReceiptBatch memory batch = batchOf(receipts, nodes[0]);
            bytes32 digest = settlement.batchDigest(batch);
            bool[] memory flags = new bool[](3);
            (flags[0], flags[1], flags[2]) = (true, true, true);
            uint256 settled = settlement.claimBatch(
                batch, signed(USER_KEY, digest), signed(NODE_KEY, digest), receipts, new bytes32[](0), flags
            );
            assertEq(settled, 2, "paid out of the reservation by a batch");
            assertEq(settlement.reservedFor(user, node, token), 50, "what the batch left");
            vm.revertToState(state);
            (bytes[] memory users, bytes[] memory nodes_) = _signedAll(receipts);
            assertEq(settlement.claimMany(receipts, users, nodes_), 2, "paid out of the reservation by many");
            assertEq(settlement.reservedFor(user, node, token), 50, "what many left");
        }
    }
}
