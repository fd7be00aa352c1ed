// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Maintained, NodeList} from "./Maintained.sol";

/// @notice Test twin of LazAI's VerifiedComputing: same interface and behaviour, defects included, without the proxy.
contract VerifiedComputing is NodeList {
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.UintSet;

    enum JobStatus {
        None,
        Submitted,
        Completed,
        Canceled
    }

    struct Job {
        uint256 fileId;
        uint256 bidAmount;
        JobStatus status;
        uint256 addedTimestamp;
        address ownerAddress;
        address nodeAddress;
    }

    uint256 public jobsCount;
    uint256 public nodeFee;
    mapping(uint256 jobId => Job) private _jobs;
    mapping(uint256 fileId => EnumerableSet.UintSet) private _fileJobs;

    event JobSubmitted(uint256 indexed jobId, uint256 indexed fileId, address nodeAddress, uint256 bidAmount);
    event JobCanceled(uint256 indexed jobId);
    event JobComplete(address indexed attestator, uint256 indexed jobId, uint256 indexed fileId);
    event Claimed(address indexed nodeAddress, uint256 amount);

    error InvalidJobStatus();
    error InvalidJobNode();
    error NothingToClaim();
    error InsufficientFee();
    error NotJobOwner();
    error TransferFailed();

    constructor(address owner) Maintained(owner) {}

    /// @dev As deployed: who gets the job can be foretold from its number.
    function requestProof(uint256 fileId) public payable whenNotPaused {
        if (msg.value < nodeFee) revert InsufficientFee();
        if (_active.length() == 0) revert NoActiveNode();
        uint256 jobId = ++jobsCount;
        address node = _active.at(jobId % _active.length());
        _jobs[jobId] = Job({
            fileId: fileId,
            bidAmount: msg.value,
            status: JobStatus.Submitted,
            addedTimestamp: block.timestamp,
            ownerAddress: msg.sender,
            nodeAddress: node
        });
        _fileJobs[fileId].add(jobId);
        _nodes[node].jobIds.add(jobId);
        emit JobSubmitted(jobId, fileId, node, msg.value);
    }

    function submitJob(uint256 fileId) external payable whenNotPaused {
        requestProof(fileId);
    }

    /// @dev As deployed: paid for without a proof.
    function completeJob(uint256 jobId) external onlyActiveNode whenNotPaused {
        Job storage job = _jobs[jobId];
        if (job.status != JobStatus.Submitted) revert InvalidJobStatus();
        if (job.nodeAddress != msg.sender) revert InvalidJobNode();
        job.status = JobStatus.Completed;
        _nodes[msg.sender].amount += job.bidAmount;
        _nodes[msg.sender].jobIds.remove(jobId);
        emit JobComplete(msg.sender, jobId, job.fileId);
    }

    function claim() external nonReentrant whenNotPaused {
        Node storage node = _nodes[msg.sender];
        uint256 amount = node.amount - node.withdrawnAmount;
        if (amount == 0) revert NothingToClaim();
        node.withdrawnAmount = node.amount;
        (bool success,) = msg.sender.call{value: amount}("");
        if (!success) revert TransferFailed();
        emit Claimed(msg.sender, amount);
    }

    function fileJobIds(uint256 fileId) external view returns (uint256[] memory) {
        return _fileJobs[fileId].values();
    }

    function getJob(uint256 jobId) external view returns (Job memory) {
        return _jobs[jobId];
    }

    function updateNodeFee(uint256 newNodeFee) external onlyRole(MAINTAINER_ROLE) {
        nodeFee = newNodeFee;
    }
}
