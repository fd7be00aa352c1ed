// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Certificate, IQuorum} from "../quorum/IQuorum.sol";

/// @notice The part of ERC-8004's validation registry that a validator calls.
interface IValidationRegistry {
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external;
}

/// @notice A validation's outcome, as the quorum votes on it.
struct ValidationResponse {
    bytes32 requestHash;
    uint8 response; // 0 to 100
    string responseURI;
    bytes32 responseHash; // digest of the evidence: a bundle's or a proof's
    string tag;
}

/// @title ValidationResponder
/// @notice A quorum as one validator of ERC-8004: agents name this contract in validationRequest, and what answers is a
///         certificate.
/// @dev ERC-8004 lets a validator overwrite its answer at will. This one answers a request once a tag, whoever asks. Its
///      registry keeps one answer a request, the latest: an answer under another tag, voted for by itself, takes the place of
///      the one before there. Both stay in the events.
///      NOT enforced here: that the request's validator is this contract. The validation registry refuses it if not.
contract ValidationResponder is EIP712 {
    bytes32 private constant _RESPONSE_TYPEHASH = keccak256(
        "ValidationResponse(bytes32 requestHash,uint8 response,string responseURI,bytes32 responseHash,string tag)"
    );
    uint8 private constant _ACCEPT = 1;

    IValidationRegistry public immutable validationRegistry;
    IQuorum public immutable quorum;

    /// @notice keccak256(abi.encode(requestHash, tag)) of what was answered.
    mapping(bytes32 slot => bool) public answered;

    event Responded(bytes32 indexed requestHash, uint8 response, bytes32 responseHash, string tag, uint64 epoch);

    error ResponseInvalid(uint8 response);
    error AnsweredBefore(bytes32 requestHash, string tag);

    constructor(IValidationRegistry validationRegistry_, IQuorum quorum_) EIP712("anchorproof", "1") {
        validationRegistry = validationRegistry_;
        quorum = quorum_;
    }

    /// @notice Passes an answer on that the quorum has voted for. Anyone may bring it.
    function respond(ValidationResponse calldata answer, Certificate calldata certificate) external {
        if (answer.response > 100) revert ResponseInvalid(answer.response);
        bytes32 slot = keccak256(abi.encode(answer.requestHash, answer.tag));
        if (answered[slot]) revert AnsweredBefore(answer.requestHash, answer.tag);
        answered[slot] = true;
        quorum.check(answer.requestHash, responseDigest(answer), answer.responseHash, _ACCEPT, certificate);
        emit Responded(answer.requestHash, answer.response, answer.responseHash, answer.tag, certificate.epoch);
        validationRegistry.validationResponse(
            answer.requestHash, answer.response, answer.responseURI, answer.responseHash, answer.tag
        );
    }

    /// @notice The statement digest of the votes; their task id is the request's hash, their evidence the response's.
    function responseDigest(ValidationResponse calldata answer) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    _RESPONSE_TYPEHASH,
                    answer.requestHash,
                    answer.response,
                    keccak256(bytes(answer.responseURI)),
                    answer.responseHash,
                    keccak256(bytes(answer.tag))
                )
            )
        );
    }
}
