// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IValidationRegistry} from "../../src/facades/ValidationResponder.sol";

/// @notice What ERC-8004 (draft) says of its validation registry, as far as a validator meets it.
contract ValidationRegistry is IValidationRegistry {
    struct Status {
        address validator;
        uint256 agentId;
        uint8 response;
        bytes32 responseHash;
        string tag;
        uint256 lastUpdate;
    }

    mapping(bytes32 requestHash => Status) private _requests;

    event ValidationRequest(
        address indexed validatorAddress, uint256 indexed agentId, string requestURI, bytes32 indexed requestHash
    );
    event ValidationResponse(
        address indexed validatorAddress,
        uint256 indexed agentId,
        bytes32 indexed requestHash,
        uint8 response,
        string responseURI,
        bytes32 responseHash,
        string tag
    );

    function validationRequest(
        address validatorAddress,
        uint256 agentId,
        string calldata requestURI,
        bytes32 requestHash
    ) external {
        require(_requests[requestHash].validator == address(0), "exists");
        _requests[requestHash].validator = validatorAddress;
        _requests[requestHash].agentId = agentId;
        emit ValidationRequest(validatorAddress, agentId, requestURI, requestHash);
    }

    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external {
        Status storage status = _requests[requestHash];
        require(status.validator != address(0), "unknown");
        require(msg.sender == status.validator, "not authorized");
        require(response <= 100, "response");
        status.response = response;
        status.responseHash = responseHash;
        status.tag = tag;
        status.lastUpdate = block.timestamp;
        emit ValidationResponse(status.validator, status.agentId, requestHash, response, responseURI, responseHash, tag);
    }

    function getValidationStatus(bytes32 requestHash)
        external
        view
        returns (
            address validatorAddress,
            uint256 agentId,
            uint8 response,
            bytes32 responseHash,
            string memory tag,
            uint256 lastUpdate
        )
    {
        Status storage status = _requests[requestHash];
        return (status.validator, status.agentId, status.response, status.responseHash, status.tag, status.lastUpdate);
    }
}
