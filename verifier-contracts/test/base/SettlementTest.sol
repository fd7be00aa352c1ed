// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    Parameters,
    Receipt,
    ReceiptBatch,
    SettlementParameters,
    UsageSettlement
} from "../../src/settlement/UsageSettlement.sol";
import {IDataAnchoringToken, Royalty} from "../../src/token/IDataAnchoringToken.sol";
import {AssetTwin} from "../twins/AssetTwin.sol";
import {Test} from "./Test.sol";

/// @notice A settlement over a twin of the token, receipts, signatures and trees for its tests.
abstract contract SettlementTest is Test {
    uint256 internal constant USER_KEY = 0xa11ce;
    uint256 internal constant NODE_KEY = 0x0de;
    uint256 internal constant DAT = 77;
    uint256 internal constant DELAY = 1 hours;
    uint256 internal constant PARAMETER_DELAY = 2 days;
    address internal constant POOL = address(0x900);
    address internal constant CREATOR = address(0xc0);

    AssetTwin internal dat;
    UsageSettlement internal settlement;
    address internal user;
    address internal node;
    uint256 private _nonce;

    function createSettlement() internal {
        vm.warp(1_700_000_000);
        dat = new AssetTwin();
        settlement = new UsageSettlement(terms(Parameters(POOL, 7000, 2000, 1000)));
        user = vm.addr(USER_KEY);
        node = vm.addr(NODE_KEY);
        dat.put(DAT, CREATOR, 0, 0, new Royalty[](0));
    }

    function terms(Parameters memory shares) internal view returns (SettlementParameters memory) {
        return SettlementParameters({
            owner: address(this),
            dat: IDataAnchoringToken(address(dat)),
            shares: shares,
            withdrawalDelay: DELAY,
            parameterDelay: PARAMETER_DELAY
        });
    }

    function fund(address token, uint256 amount) internal {
        vm.deal(address(this), amount);
        settlement.depositFor{value: token == address(0) ? amount : 0}(user, token, amount);
    }

    function receiptOf(address token, uint256 cost) internal returns (Receipt memory receipt) {
        receipt.user = user;
        receipt.node = node;
        receipt.datId = DAT;
        receipt.nonce = ++_nonce;
        receipt.cost = cost;
        receipt.costCap = cost;
        receipt.token = token;
        receipt.parameterVersion = settlement.parameterVersion();
        receipt.deadline = block.timestamp + 365 days;
        receipt.usage = 3;
    }

    function signed(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    function claim(Receipt memory receipt) internal {
        bytes32 digest = settlement.receiptDigest(receipt);
        settlement.claim(receipt, signed(USER_KEY, digest), signed(NODE_KEY, digest));
    }

    function expectClaimToRevert(Receipt memory receipt, bytes memory data) internal {
        bytes32 digest = settlement.receiptDigest(receipt);
        (bytes memory byUser, bytes memory byNode) = (signed(USER_KEY, digest), signed(NODE_KEY, digest));
        vm.expectRevert(data);
        settlement.claim(receipt, byUser, byNode);
    }

    function batchOf(Receipt[] memory receipts, bytes32 root) internal returns (ReceiptBatch memory batch) {
        batch.user = user;
        batch.node = node;
        batch.token = receipts[0].token;
        batch.root = root;
        batch.count = receipts.length;
        for (uint256 i = 0; i < receipts.length; ++i) {
            batch.costCap += receipts[i].cost;
        }
        batch.nonce = ++_nonce;
        batch.deadline = block.timestamp + 30 days;
    }

    /// @dev The tree over receipts in the order given: 2^n of them. Node i has the children 2i + 1 and 2i + 2.
    function treeOf(Receipt[] memory receipts) internal view returns (bytes32[] memory nodes) {
        uint256 count = receipts.length;
        nodes = new bytes32[](2 * count - 1);
        for (uint256 i = 0; i < count; ++i) {
            nodes[count - 1 + i] = settlement.leafOf(settlement.receiptDigest(receipts[i]));
        }
        for (uint256 i = count - 1; i > 0; --i) {
            nodes[i - 1] = pair(nodes[2 * i - 1], nodes[2 * i]);
        }
    }

    function pathOf(bytes32[] memory nodes, uint256 place) internal pure returns (bytes32[] memory path) {
        uint256 depth = 0;
        for (uint256 i = place; i > 0; i = (i - 1) / 2) {
            ++depth;
        }
        path = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            path[i] = nodes[place % 2 == 0 ? place - 1 : place + 1];
            place = (place - 1) / 2;
        }
    }

    function pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function one(Receipt memory receipt) internal pure returns (Receipt[] memory receipts) {
        receipts = new Receipt[](1);
        receipts[0] = receipt;
    }
}
