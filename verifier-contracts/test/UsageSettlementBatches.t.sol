// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Receipt, ReceiptBatch, UsageSettlement} from "../src/settlement/UsageSettlement.sol";
import {SettlementCoinsTest} from "./base/SettlementCoinsTest.sol";

contract UsageSettlementBatchesTest is SettlementCoinsTest {
    // Many at once

    function test_OneOverdrawnUserDoesNotCostANodeItsOthers() public {
        fund(address(0), 100);
        Receipt[] memory receipts = new Receipt[](4);
        uint256[4] memory costs = [uint256(60), 60, 30, 10];
        for (uint256 i = 0; i < 4; ++i) {
            receipts[i] = receiptOf(address(0), costs[i]);
        }
        bytes32 refused = settlement.receiptDigest(receipts[1]);
        (bytes[] memory users, bytes[] memory nodes) = _signedAll(receipts);
        vm.expectEmit(true, true, true, true, address(settlement));
        emit UsageSettlement.ReceiptRefused(
            refused, user, node, abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 40, 60)
        );
        assertEq(settlement.claimMany(receipts, users, nodes), 3, "settled");
        assertFalse(settlement.claimed(refused), "a receipt that was passed over is used up");
        assertEq(settlement.deposits(user, address(0)), 0, "the deposit");
        fund(address(0), 60);
        vm.expectRevert(
            abi.encodeWithSelector(UsageSettlement.ReceiptClaimed.selector, settlement.receiptDigest(receipts[0]))
        );
        this.claimFirst(receipts, users, nodes);
        assertEq(settlement.claimMany(receipts, users, nodes), 1, "the one that is left");
        vm.expectRevert(
            abi.encodeWithSelector(UsageSettlement.ReceiptClaimed.selector, settlement.receiptDigest(receipts[0]))
        );
        settlement.claimMany(receipts, users, nodes);
    }

    function claimFirst(Receipt[] calldata receipts, bytes[] calldata users, bytes[] calldata nodes) external {
        settlement.claim(receipts[0], users[0], nodes[0]);
    }

    function test_ManyWithOneForgedSignatureRevert() public {
        fund(address(0), 100);
        Receipt[] memory receipts = new Receipt[](2);
        receipts[0] = receiptOf(address(0), 1);
        receipts[1] = receiptOf(address(0), 1);
        (bytes[] memory users, bytes[] memory nodes) = _signedAll(receipts);
        bytes memory genuine = nodes[1];
        nodes[1] = nodes[0];
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.NodeSignatureInvalid.selector, node));
        settlement.claimMany(receipts, users, nodes);
        nodes[1] = genuine;
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.LengthsDiffer.selector, 2, 1));
        settlement.claimMany(receipts, users, new bytes[](1));
        vm.expectRevert(UsageSettlement.ReceiptsNone.selector);
        settlement.claimMany(new Receipt[](0), users, nodes);
        // The same receipt twice in one call is paid once.
        receipts[1] = receipts[0];
        users[1] = users[0];
        nodes[1] = nodes[0];
        assertEq(settlement.claimMany(receipts, users, nodes), 1, "settled");
        assertEq(settlement.deposits(user, address(0)), 99, "the deposit");
    }

    // Batches

    function test_ABatchIsClaimedOneByOneAndAtOnce() public {
        fund(address(_coin), 1000);
        (Receipt[] memory receipts, bytes32[] memory nodes, ReceiptBatch memory batch) = _batch(address(_coin));
        _claimFrom(batch, receipts[1], nodes, 1);
        _claimFrom(batch, receipts[3], nodes, 3);
        bool[] memory flags = new bool[](3);
        (flags[0], flags[1], flags[2]) = (true, true, true);
        // Leaves stand from the last to the first for a proof of all of them.
        (receipts[0], receipts[3]) = (receipts[3], receipts[0]);
        (receipts[1], receipts[2]) = (receipts[2], receipts[1]);
        bytes32 digest = settlement.batchDigest(batch);
        vm.expectEmit(true, true, true, true, address(settlement));
        emit UsageSettlement.BatchClaimed(digest, user, node, 2, UsageSettlement.Drawn({cost: 100, count: 4}));
        uint256 settled = settlement.claimBatch(
            batch, signed(USER_KEY, digest), signed(NODE_KEY, digest), receipts, new bytes32[](0), flags
        );
        assertEq(settled, 2, "those that were left");
        (uint128 cost, uint128 count) = settlement.drawn(digest);
        assertEq(cost, 100, "drawn");
        assertEq(count, 4, "drawn");
        assertEq(settlement.deposits(user, address(_coin)), 900, "the deposit");
    }

    function test_AReceiptIsPaidOnceHoweverItIsSigned() public {
        fund(address(0), 1000);
        (Receipt[] memory receipts, bytes32[] memory nodes, ReceiptBatch memory batch) = _batch(address(0));
        claim(receipts[0]);
        _expectBatchRefused(
            batch,
            receipts[0],
            pathOf(nodes, 3),
            abi.encodeWithSelector(UsageSettlement.ReceiptClaimed.selector, settlement.receiptDigest(receipts[0]))
        );
        _claimFrom(batch, receipts[1], nodes, 1);
        expectClaimToRevert(
            receipts[1],
            abi.encodeWithSelector(UsageSettlement.ReceiptClaimed.selector, settlement.receiptDigest(receipts[1]))
        );
        // Nor through another batch over the same receipts.
        ReceiptBatch memory again = batchOf(receipts, nodes[0]);
        _expectBatchRefused(
            again,
            receipts[1],
            pathOf(nodes, 4),
            abi.encodeWithSelector(UsageSettlement.ReceiptClaimed.selector, settlement.receiptDigest(receipts[1]))
        );
        assertEq(settlement.deposits(user, address(0)), 970, "the deposit");
    }

    function test_ABatchNeedsBothSignaturesAndItsTime() public {
        fund(address(0), 1000);
        (Receipt[] memory receipts, bytes32[] memory nodes, ReceiptBatch memory batch) = _batch(address(0));
        bytes32 digest = settlement.batchDigest(batch);
        bytes32[] memory path = pathOf(nodes, 3);
        bool[] memory flags = new bool[](path.length);
        (bytes memory byUser, bytes memory byNode) = (signed(USER_KEY, digest), signed(NODE_KEY, digest));
        Receipt[] memory first = one(receipts[0]);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.UserSignatureInvalid.selector, user));
        settlement.claimBatch(batch, byNode, byUser, first, path, flags);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.NodeSignatureInvalid.selector, node));
        settlement.claimBatch(batch, byUser, signed(3, digest), first, path, flags);
        // Any other field than was signed.
        batch.costCap += 1;
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.UserSignatureInvalid.selector, user));
        settlement.claimBatch(batch, byUser, byNode, first, path, flags);
        batch.costCap -= 1;
        vm.warp(batch.deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(UsageSettlement.DeadlinePassed.selector, batch.deadline, batch.deadline + 1)
        );
        settlement.claimBatch(batch, byUser, byNode, first, path, flags);
        vm.warp(batch.deadline);
        settlement.claimBatch(batch, byUser, byNode, first, path, flags);
    }

    function test_ABatchPaysNoMoreThanItsUserAgreedTo() public {
        fund(address(0), 1000);
        (Receipt[] memory receipts, bytes32[] memory nodes, ReceiptBatch memory batch) = _batch(address(0));
        batch.costCap = 49; // of 10 + 20 + 30 + 40
        batch.count = 2;
        _claimFrom(batch, receipts[0], nodes, 0);
        _expectBatchRefused(
            batch, receipts[3], pathOf(nodes, 6), abi.encodeWithSelector(UsageSettlement.BatchDrawn.selector, 1, 39)
        );
        _claimFrom(batch, receipts[2], nodes, 2);
        _expectBatchRefused(
            batch, receipts[1], pathOf(nodes, 4), abi.encodeWithSelector(UsageSettlement.BatchDrawn.selector, 0, 9)
        );
        assertEq(settlement.deposits(user, address(0)), 960, "the deposit");
    }

    function test_OthersReceiptsInATreeAreNotAgreed() public {
        fund(address(0), 1000);
        fund(address(_coin), 1000);
        // User and node of the batch put receipts of a stranger, and of another currency, into their tree.
        for (uint256 i = 0; i < 3; ++i) {
            Receipt[] memory receipts = new Receipt[](2);
            receipts[0] = receiptOf(address(0), 10);
            receipts[1] = receiptOf(address(0), 10);
            if (i == 0) receipts[0].user = address(0xdead);
            if (i == 1) receipts[0].node = address(0xdead);
            if (i == 2) receipts[0].token = address(_coin);
            bytes32[] memory nodes = treeOf(receipts);
            ReceiptBatch memory batch = batchOf(receipts, nodes[0]);
            batch.token = address(0);
            _expectBatchRefused(
                batch,
                receipts[0],
                pathOf(nodes, 1),
                abi.encodeWithSelector(
                    UsageSettlement.BatchReceiptForeign.selector, settlement.receiptDigest(receipts[0])
                )
            );
        }
    }

    function test_ReceiptsOutsideTheTreeAreRefused() public {
        fund(address(0), 1000);
        (Receipt[] memory receipts, bytes32[] memory nodes, ReceiptBatch memory batch) = _batch(address(0));
        Receipt memory outside = receiptOf(address(0), 10);
        bytes memory refusal = abi.encodeWithSelector(UsageSettlement.BatchProofInvalid.selector, batch.root);
        _expectBatchRefused(batch, outside, pathOf(nodes, 3), refusal);
        _expectBatchRefused(batch, receipts[0], pathOf(nodes, 4), refusal);
        // A tree's inner node, or its root, is no leaf: a path that starts one level up proves nothing.
        bytes32[] memory short = new bytes32[](1);
        short[0] = nodes[2];
        _expectBatchRefused(batch, receipts[0], short, refusal);
        _expectBatchRefused(batch, receipts[0], new bytes32[](0), refusal);
        // Without receipts the root would prove itself.
        bytes32 digest = settlement.batchDigest(batch);
        (bytes memory byUser, bytes memory byNode) = (signed(USER_KEY, digest), signed(NODE_KEY, digest));
        bytes32[] memory root = new bytes32[](1);
        root[0] = nodes[0];
        vm.expectRevert(UsageSettlement.ReceiptsNone.selector);
        settlement.claimBatch(batch, byUser, byNode, new Receipt[](0), root, new bool[](0));
    }

    /// @dev Were a leaf hashed once over 64 bytes, an inner node would be the leaf of (left, right).
    function testFuzz_NoLeafIsAnInnerNode(bytes32 left, bytes32 right) public view {
        bytes32 tag = keccak256("anchorproof/receipt-leaf/1");
        bytes32 inner = keccak256(abi.encode(tag, right));
        assertTrue(settlement.leafOf(right) == keccak256(abi.encode(inner)), "the leaf");
        assertTrue(settlement.leafOf(right) != pair(tag, right), "a leaf has an inner node's preimage");
        assertTrue(settlement.leafOf(pair(left, right)) != pair(left, right), "a leaf is the node itself");
    }
}
