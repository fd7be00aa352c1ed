// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {AIProcess} from "./AIProcess.sol";
import {Maintained, RoleKeeper} from "./Maintained.sol";

/// @notice Test twin of LazAI's Settlement: same interface and behaviour, defects included, without the proxy.
contract Settlement is RoleKeeper {
    using EnumerableSet for EnumerableSet.AddressSet;

    struct User {
        address addr;
        uint256 availableBalance;
        uint256 totalBalance;
        address[] queryNodes;
        address[] inferenceNodes;
        address[] trainingNodes;
    }

    AIProcess public query;
    AIProcess public inference;
    AIProcess public training;
    EnumerableSet.AddressSet private _all;
    mapping(address user => User) private _users;

    event QueryUpdated(address newQuery);
    event InferenceUpdated(address newInference);
    event TrainingUpdated(address newTraining);
    event UserAdded(address indexed addr);
    event UserDeleted(address indexed addr);

    error UserNotExists(address user);
    error UserAlreadyExists(address user);
    error InsufficientBalance(address user);

    modifier onlyAIProcess() {
        require(
            msg.sender == address(query) || msg.sender == address(training) || msg.sender == address(inference),
            "Caller is not the query, inference or training contract"
        );
        _;
    }

    constructor(address owner, AIProcess query_, AIProcess inference_, AIProcess training_) Maintained(owner) {
        query = query_;
        inference = inference_;
        training = training_;
    }

    function queryAddress() external view returns (address) {
        return address(query);
    }

    function inferenceAddress() external view returns (address) {
        return address(inference);
    }

    function trainingAddress() external view returns (address) {
        return address(training);
    }

    function updateQuery(address newQuery) external onlyRole(DEFAULT_ADMIN_ROLE) {
        query = AIProcess(newQuery);
        emit QueryUpdated(newQuery);
    }

    function updateInference(address newInference) external onlyRole(DEFAULT_ADMIN_ROLE) {
        inference = AIProcess(newInference);
        emit InferenceUpdated(newInference);
    }

    function updateTraining(address newTraining) external onlyRole(DEFAULT_ADMIN_ROLE) {
        training = AIProcess(newTraining);
        emit TrainingUpdated(newTraining);
    }

    function getUser(address user) external view returns (User memory) {
        return _user(user);
    }

    function getAllUsers() external view returns (User[] memory users) {
        users = new User[](_all.length());
        for (uint256 i = 0; i < users.length; ++i) {
            users[i] = _users[_all.at(i)];
        }
    }

    function addUser() external payable {
        if (!_all.add(msg.sender)) revert UserAlreadyExists(msg.sender);
        User storage user = _users[msg.sender];
        user.addr = msg.sender;
        user.availableBalance = msg.value;
        user.totalBalance = msg.value;
        emit UserAdded(msg.sender);
    }

    /// @dev As deployed: what the user had stays in the contracts, and no event says that the user is gone.
    function deleteUser() external {
        User storage user = _user(msg.sender);
        _forget(query, user.queryNodes);
        _forget(inference, user.inferenceNodes);
        _forget(training, user.trainingNodes);
        _all.remove(msg.sender);
        delete _users[msg.sender];
    }

    /// @dev As deployed: the balance of a copy in memory goes up, and the copy is thrown away.
    function deposit() external payable {
        User memory user = _user(msg.sender);
        user.availableBalance += msg.value;
        user.totalBalance += msg.value;
    }

    /// @dev As deployed: the balance of a copy in memory goes down, the payment is real.
    function withdraw(uint256 amount) external {
        User memory user = _user(msg.sender);
        if (user.availableBalance < amount) revert InsufficientBalance(msg.sender);
        user.availableBalance -= amount;
        user.totalBalance -= amount;
        (bool success,) = msg.sender.call{value: amount, gas: 2300}("");
        require(success);
    }

    function depositQuery(address node, uint256 amount) external {
        _deposit(query, _user(msg.sender).queryNodes, node, amount);
    }

    function depositInference(address node, uint256 amount) external {
        _deposit(inference, _user(msg.sender).inferenceNodes, node, amount);
    }

    function depositTraining(address node, uint256 amount) external {
        _deposit(training, _user(msg.sender).trainingNodes, node, amount);
    }

    function retrieveQuery(address[] memory nodes) external {
        _retrieve(query, nodes);
    }

    function retrieveInference(address[] memory nodes) external {
        _retrieve(inference, nodes);
    }

    function retrieveTraining(address[] memory nodes) external {
        _retrieve(training, nodes);
    }

    function settlement(address addr, uint256 cost) external onlyAIProcess {
        User storage user = _user(addr);
        require(user.totalBalance - user.availableBalance >= cost, "Insufficient balance");
        user.totalBalance -= cost;
    }

    function _deposit(AIProcess to, address[] storage nodes, address node, uint256 amount) private {
        if (to.accountExists(msg.sender, node)) {
            uint256 pending = to.getAccountPendingRefund(msg.sender, node);
            uint256 canceled = amount < pending ? amount : pending;
            amount -= canceled;
            to.deposit{value: amount}(msg.sender, node, canceled);
        } else {
            to.addAccount{value: amount}(msg.sender, node);
            nodes.push(node);
        }
        _user(msg.sender).availableBalance -= amount;
    }

    function _retrieve(AIProcess from, address[] memory nodes) private {
        uint256 total;
        for (uint256 i = 0; i < nodes.length; ++i) {
            (uint256 amount,,) = from.process(msg.sender, nodes[i]);
            total += amount;
            from.request(msg.sender, nodes[i]);
        }
        _user(msg.sender).availableBalance += total;
    }

    function _forget(AIProcess from, address[] storage nodes) private {
        for (uint256 i = 0; i < nodes.length; ++i) {
            from.deleteAccount(msg.sender, nodes[i]);
        }
    }

    function _user(address addr) private view returns (User storage) {
        if (!_all.contains(addr)) revert UserNotExists(addr);
        return _users[addr];
    }
}
