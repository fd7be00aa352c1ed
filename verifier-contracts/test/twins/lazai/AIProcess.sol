// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Maintained, NodeList} from "./Maintained.sol";

interface ISettlement {
    function settlement(address addr, uint256 cost) external;
}

/// @notice Test twin of LazAI's AIProcess: same interface and behaviour, defects included, without the proxy.
contract AIProcess is NodeList {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    struct SettlementData {
        string id;
        address user;
        uint256 cost;
        uint256 nonce;
        bytes userSignature;
    }

    struct Settlement {
        bytes signature;
        SettlementData data;
    }

    struct Refund {
        uint256 index;
        uint256 amount;
        uint256 createdAt;
        bool processed;
    }

    struct Account {
        address user;
        address node;
        uint256 nonce;
        uint256 balance;
        uint256 pendingRefund;
        Refund[] refunds;
    }

    ISettlement public settlement;
    uint256 public lockTime;
    EnumerableSet.Bytes32Set private _keys;
    mapping(bytes32 key => Account) private _accounts;

    event SettlementUpdated(address newSettlement);
    event BalanceUpdated(address indexed user, address indexed node, uint256 amount, uint256 pendingRefund);

    error AccountNotExists(address user, address node);
    error AccountAlreadyExists(address user, address node);
    error InsufficientBalance(address user, address node);
    error InvalidAttestator(bytes32 messageHash, bytes signature, address signer);
    error InvalidUserSignature(bytes32 messageHash, uint256 nonce, address user, address node);
    error NonceTooLow();

    modifier onlySettlement() {
        require(msg.sender == address(settlement), "Caller is not the settelemt contract");
        _;
    }

    constructor(address owner, ISettlement settlement_, uint256 lockTime_) Maintained(owner) {
        settlement = settlement_;
        lockTime = lockTime_;
    }

    function updateSettlement(address newSettlement) external onlyRole(DEFAULT_ADMIN_ROLE) {
        settlement = ISettlement(newSettlement);
        emit SettlementUpdated(newSettlement);
    }

    /// @dev As deployed: the node's `signature` is not looked at, the user signed neither cost nor contract nor chain, and
    ///      a nonce is refused only when it is below the last one. All of the cost goes to the caller.
    function settlementFees(Settlement memory settlement_) external onlyActiveNode {
        SettlementData memory data = settlement_.data;
        bytes32 messageHash = keccak256(abi.encode(data.nonce, data.user, msg.sender));
        address signer = ECDSA.recover(MessageHashUtils.toEthSignedMessageHash(messageHash), data.userSignature);
        if (signer != data.user) revert InvalidUserSignature(messageHash, data.nonce, data.user, msg.sender);
        Account storage account = _account(data.user, msg.sender);
        if (account.balance < data.cost) revert InsufficientBalance(data.user, msg.sender);
        if (data.nonce < account.nonce) revert NonceTooLow();
        _takeFromRefunds(account, data.cost);
        account.balance -= data.cost;
        settlement.settlement(data.user, data.cost);
        emit BalanceUpdated(data.user, msg.sender, account.balance, account.pendingRefund);
        account.nonce = data.nonce;
        (bool success,) = msg.sender.call{value: data.cost, gas: 2300}("");
        require(success);
    }

    function getAccount(address user, address node) external view returns (Account memory) {
        return _account(user, node);
    }

    function getAccountPendingRefund(address user, address node) external view returns (uint256) {
        return _account(user, node).pendingRefund;
    }

    function getAllAccounts() external view returns (Account[] memory accounts) {
        accounts = new Account[](_keys.length());
        for (uint256 i = 0; i < accounts.length; ++i) {
            accounts[i] = _accounts[_keys.at(i)];
        }
    }

    function accountExists(address user, address node) external view returns (bool) {
        return _keys.contains(_key(user, node));
    }

    function addAccount(address user, address node) external payable onlySettlement {
        bytes32 key = _key(user, node);
        if (!_keys.add(key)) revert AccountAlreadyExists(user, node);
        Account storage account = _accounts[key];
        account.user = user;
        account.node = node;
        account.balance = msg.value;
        emit BalanceUpdated(user, node, msg.value, 0);
    }

    function deleteAccount(address user, address node) external onlySettlement {
        bytes32 key = _key(user, node);
        if (_keys.remove(key)) delete _accounts[key];
    }

    function deposit(address user, address node, uint256 cancelRetrievingAmount) external payable onlySettlement {
        Account storage account = _account(user, node);
        for (uint256 i = 0; i < account.refunds.length; ++i) {
            Refund storage refund = account.refunds[i];
            if (refund.processed) continue;
            uint256 amount = refund.amount;
            account.pendingRefund -= amount;
            delete account.refunds[i];
            if (cancelRetrievingAmount <= amount) break;
            cancelRetrievingAmount -= amount;
        }
        account.balance += msg.value;
        emit BalanceUpdated(user, node, account.balance, account.pendingRefund);
    }

    function request(address user, address node) external onlySettlement {
        Account storage account = _account(user, node);
        uint256 amount = account.balance - account.pendingRefund;
        if (amount == 0) return;
        account.refunds
            .push(Refund({index: account.refunds.length, amount: amount, createdAt: block.timestamp, processed: false}));
        account.pendingRefund += amount;
    }

    /// @dev As deployed: what is refunded is counted, and stays here: no coin moves to the settlement.
    function process(address user, address node)
        external
        onlySettlement
        returns (uint256 totalAmount, uint256 balance, uint256 pendingRefund)
    {
        Account storage account = _account(user, node);
        for (uint256 i = 0; i < account.refunds.length; ++i) {
            Refund storage refund = account.refunds[i];
            if (refund.processed || block.timestamp < refund.createdAt + lockTime) continue;
            refund.processed = true;
            account.balance -= refund.amount;
            account.pendingRefund -= refund.amount;
            totalAmount += refund.amount;
        }
        return (totalAmount, account.balance, account.pendingRefund);
    }

    function _takeFromRefunds(Account storage account, uint256 cost) private {
        uint256 free = account.balance - account.pendingRefund;
        if (cost <= free) return;
        uint256 missing = cost - free;
        if (account.pendingRefund < missing) revert InsufficientBalance(account.user, account.node);
        account.pendingRefund -= missing;
        for (uint256 i = account.refunds.length; i > 0 && missing > 0; --i) {
            Refund storage refund = account.refunds[i - 1];
            if (refund.processed) continue;
            if (refund.amount <= missing) {
                missing -= refund.amount;
            } else {
                refund.amount -= missing;
                missing = 0;
            }
        }
    }

    function _account(address user, address node) private view returns (Account storage) {
        bytes32 key = _key(user, node);
        if (!_keys.contains(key)) revert AccountNotExists(user, node);
        return _accounts[key];
    }

    function _key(address user, address node) private pure returns (bytes32) {
        return keccak256(abi.encode(user, node));
    }
}
