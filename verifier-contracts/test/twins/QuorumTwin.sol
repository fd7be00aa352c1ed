// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Certificate, IQuorum} from "../../src/quorum/IQuorum.sol";

/// @notice A quorum that says yes to exactly the votes that it was told of, whatever the certificate.
contract QuorumTwin is IQuorum {
    mapping(bytes32 ballot => bool) private _voted;

    error NotVoted(bytes32 statementDigest);

    function accept(bytes32 taskId, bytes32 statementDigest, bytes32 evidenceDigest) external {
        _voted[keccak256(abi.encode(taskId, statementDigest, evidenceDigest, uint8(1)))] = true;
    }

    function reject(bytes32 taskId, bytes32 statementDigest, bytes32 evidenceDigest) external {
        _voted[keccak256(abi.encode(taskId, statementDigest, evidenceDigest, uint8(2)))] = true;
    }

    function check(bytes32 taskId, bytes32 statementDigest, bytes32 evidenceDigest, uint8 verdict, Certificate calldata)
        external
        view
    {
        if (!_voted[keccak256(abi.encode(taskId, statementDigest, evidenceDigest, verdict))]) {
            revert NotVoted(statementDigest);
        }
    }
}
