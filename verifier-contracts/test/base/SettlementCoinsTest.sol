// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Receipt, ReceiptBatch} from "../../src/settlement/UsageSettlement.sol";
import {SettlementTest} from "./SettlementTest.sol";
import {Coin} from "../twins/Coins.sol";

/// @notice A settlement with two ERC-20 coins at hand, one of them to be made nasty, and steps that tests of it share.
abstract contract SettlementCoinsTest is SettlementTest {
    uint256 internal constant OTHER_KEY = 0x07e2; // of another node, or of the user's second account

    Coin internal _coin;
    Coin internal _nasty;

    function setUp() public virtual {
        createSettlement();
        _coin = new Coin();
        _nasty = new Coin();
        for (uint256 i = 0; i < 2; ++i) {
            Coin coin = i == 0 ? _coin : _nasty;
            coin.mint(address(this), type(uint128).max);
            coin.approve(address(settlement), type(uint256).max);
        }
    }

    function _batch(address token)
        internal
        returns (Receipt[] memory receipts, bytes32[] memory nodes, ReceiptBatch memory batch)
    {
        receipts = new Receipt[](4);
        for (uint256 i = 0; i < 4; ++i) {
            receipts[i] = receiptOf(token, 10 * (i + 1));
        }
        nodes = treeOf(receipts);
        batch = batchOf(receipts, nodes[0]);
    }

    function _claimFrom(ReceiptBatch memory batch, Receipt memory receipt, bytes32[] memory nodes, uint256 index)
        internal
    {
        bytes32[] memory path = pathOf(nodes, (nodes.length - 1) / 2 + index);
        bytes32 digest = settlement.batchDigest(batch);
        uint256 settled = settlement.claimBatch(
            batch, signed(USER_KEY, digest), signed(NODE_KEY, digest), one(receipt), path, new bool[](path.length)
        );
        assertEq(settled, 1, "settled");
    }

    function _expectBatchRefused(
        ReceiptBatch memory batch,
        Receipt memory receipt,
        bytes32[] memory path,
        bytes memory data
    ) internal {
        bytes32 digest = settlement.batchDigest(batch);
        (bytes memory byUser, bytes memory byNode) = (signed(USER_KEY, digest), signed(NODE_KEY, digest));
        vm.expectRevert(data);
        settlement.claimBatch(batch, byUser, byNode, one(receipt), path, new bool[](path.length));
    }

    function _receiptFor(uint256 nodeKey, address token, uint256 cost) internal returns (Receipt memory receipt) {
        receipt = receiptOf(token, cost);
        receipt.node = vm.addr(nodeKey);
    }

    function _claimBy(uint256 nodeKey, Receipt memory receipt) internal {
        bytes32 digest = settlement.receiptDigest(receipt);
        settlement.claim(receipt, signed(USER_KEY, digest), signed(nodeKey, digest));
    }

    function _expectRefusedBy(uint256 nodeKey, Receipt memory receipt, bytes memory data) internal {
        bytes32 digest = settlement.receiptDigest(receipt);
        _expectRefused(receipt, signed(USER_KEY, digest), signed(nodeKey, digest), data);
    }

    function _expectRefused(Receipt memory receipt, bytes memory byUser, bytes memory byNode, bytes memory data)
        internal
    {
        vm.expectRevert(data);
        settlement.claim(receipt, byUser, byNode);
    }

    function _signedAll(Receipt[] memory receipts) internal view returns (bytes[] memory users, bytes[] memory nodes) {
        users = new bytes[](receipts.length);
        nodes = new bytes[](receipts.length);
        for (uint256 i = 0; i < receipts.length; ++i) {
            bytes32 digest = settlement.receiptDigest(receipts[i]);
            users[i] = signed(USER_KEY, digest);
            nodes[i] = signed(NODE_KEY, digest);
        }
    }
}
