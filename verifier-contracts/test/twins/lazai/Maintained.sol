// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";

/// @notice What LazAI's contracts share: roles and a pause.
abstract contract Maintained is AccessControl, Pausable, ReentrancyGuard {
    bytes32 public constant MAINTAINER_ROLE = keccak256("MAINTAINER_ROLE");

    constructor(address owner) {
        _grantRole(DEFAULT_ADMIN_ROLE, owner);
        _grantRole(MAINTAINER_ROLE, owner);
    }

    function version() external pure returns (uint256) {
        return 1;
    }

    function pause() external onlyRole(MAINTAINER_ROLE) {
        _pause();
    }

    function unpause() external onlyRole(MAINTAINER_ROLE) {
        _unpause();
    }
}

/// @notice Of those, the ones whose role admins can be changed.
abstract contract RoleKeeper is Maintained {
    function setRoleAdmin(bytes32 role, bytes32 adminRole) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setRoleAdmin(role, adminRole);
    }
}

enum NodeStatus {
    None,
    Active,
    Removed
}

struct NodeInfo {
    address nodeAddress;
    string url;
    NodeStatus status;
    uint256 amount;
    uint256 jobsCount;
    string publicKey;
}

/// @notice The list of nodes, which VerifiedComputing and AIProcess both keep.
/// @dev As deployed: a node is what a maintainer says it is. No stake, no quote, no measurement.
abstract contract NodeList is Maintained {
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.UintSet;

    struct Node {
        NodeStatus status;
        string url;
        uint256 amount;
        uint256 withdrawnAmount;
        EnumerableSet.UintSet jobIds;
        string publicKey;
    }

    EnumerableSet.AddressSet internal _all;
    EnumerableSet.AddressSet internal _active;
    mapping(address node => Node) internal _nodes;

    event NodeAdded(address indexed nodeAddress);
    event NodeRemoved(address indexed nodeAddress);

    error NodeAlreadyAdded();
    error NodeNotActive();
    error NoActiveNode();

    modifier onlyActiveNode() {
        if (_nodes[msg.sender].status != NodeStatus.Active) revert NodeNotActive();
        _;
    }

    function addNode(address nodeAddress, string calldata url, string calldata publicKey)
        external
        onlyRole(MAINTAINER_ROLE)
    {
        if (!_active.add(nodeAddress)) revert NodeAlreadyAdded();
        _all.add(nodeAddress);
        Node storage node = _nodes[nodeAddress];
        node.status = NodeStatus.Active;
        node.url = url;
        node.publicKey = publicKey;
        emit NodeAdded(nodeAddress);
    }

    function removeNode(address nodeAddress) external onlyRole(MAINTAINER_ROLE) {
        if (!_active.remove(nodeAddress)) revert NodeNotActive();
        _nodes[nodeAddress].status = NodeStatus.Removed;
        emit NodeRemoved(nodeAddress);
    }

    function isNode(address nodeAddress) external view returns (bool) {
        return _nodes[nodeAddress].status == NodeStatus.Active;
    }

    function getNode(address nodeAddress) public view returns (NodeInfo memory) {
        Node storage node = _nodes[nodeAddress];
        return NodeInfo({
            nodeAddress: nodeAddress,
            url: node.url,
            status: node.status,
            amount: node.amount,
            jobsCount: node.jobIds.length(),
            publicKey: node.publicKey
        });
    }

    function nodeList() external view returns (address[] memory) {
        return _all.values();
    }

    function nodeListAt(uint256 index) external view returns (NodeInfo memory) {
        return getNode(_all.at(index));
    }

    function nodesCount() external view returns (uint256) {
        return _all.length();
    }

    function activeNodesCount() external view returns (uint256) {
        return _active.length();
    }

    function activeNodeList() external view returns (address[] memory) {
        return _active.values();
    }

    function activeNodeListAt(uint256 index) external view returns (NodeInfo memory) {
        return getNode(_active.at(index));
    }
}
