// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Certificate, IQuorum} from "../../src/quorum/IQuorum.sol";

/// @notice A quorum whose votes are agreed on beforehand: for tests of what is built on one.
contract AgreedQuorum is IQuorum {
    mapping(bytes32 vote => bool) private _agreed;

    error QuorumNotReached(uint256 weight, uint256 total);

    function agree(bytes32 taskId, bytes32 statementDigest, bytes32 evidenceDigest, uint8 verdict) external {
        _agreed[keccak256(abi.encode(taskId, statementDigest, evidenceDigest, verdict))] = true;
    }

    function check(bytes32 taskId, bytes32 statementDigest, bytes32 evidenceDigest, uint8 verdict, Certificate calldata)
        external
        view
    {
        if (!_agreed[keccak256(abi.encode(taskId, statementDigest, evidenceDigest, verdict))]) {
            revert QuorumNotReached(0, 1);
        }
    }
}
