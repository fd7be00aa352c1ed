// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";
import {Statements, Task} from "../gate/Statements.sol";
import {IVerifierRegistry} from "../verifier/IVerifierRegistry.sol";
import {IERC7992Storage, IERC7992Verifier} from "./IERC7992.sol";

/// @title ZkmlVerifier
/// @notice ERC-7992's verifier over the registry: a model's id is its key digest, as in the registry's `getModel`.
/// @dev    output = abi.encode(uint256), the circuit's output signal
///         proof  = abi.encode(Task, uint256[8]); its context names this contract, so it counts nowhere else
///
///      As the draft wants it, verifying uses nothing up: the same proof verifies again until its task's deadline, for its
///      requester only. Who must count an inference once uses {verifyAndStoreInference}, MintGate or a receipt.
///      NOT enforced: that a stored inference's key is still believed. The record stays when the key is frozen later, which
///      is what `deprecated` in the registry's `getModel` says.
contract ZkmlVerifier is IERC7992Verifier, IERC7992Storage, ERC165 {
    struct Inference {
        uint256 modelId;
        bytes32 inputCommitment;
        uint256 output;
    }

    /// @dev bytes4(keccak256("groth16-bn254-v1")).
    bytes4 private constant _PROOF_SYSTEM = 0x0550d137;

    IVerifierRegistry private immutable _registry;

    mapping(bytes32 inferenceId => Inference) private _inferences;

    error OutputMismatch();
    error ModelMismatch();
    error RequesterWrong(address requester, address caller);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error InferenceKnown(bytes32 inferenceId);
    error InferenceUnknown(bytes32 inferenceId);

    constructor(IVerifierRegistry registry_) {
        _registry = registry_;
    }

    /// @inheritdoc IERC7992Verifier
    /// @dev The errors of registry and verifier come through as they are: KeyUnknown, KeyFrozen, ProofInvalid …
    function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        external
    {
        _verify(modelId, inputCommitment, output, proof);
    }

    /// @inheritdoc IERC7992Storage
    /// @dev The input commitment is salted by whoever made it, so two runs on one input have two ids.
    function verifyAndStoreInference(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external returns (bytes32 inferenceId) {
        uint256 value = _verify(modelId, inputCommitment, output, proof);
        inferenceId = keccak256(abi.encodePacked(modelId, inputCommitment, output));
        if (_inferences[inferenceId].modelId != 0) revert InferenceKnown(inferenceId);
        _inferences[inferenceId] = Inference({modelId: modelId, inputCommitment: inputCommitment, output: value});
        emit InferenceStored(inferenceId);
    }

    /// @inheritdoc IERC7992Storage
    function getInference(bytes32 inferenceId)
        external
        view
        returns (uint256 modelId, bytes32 inputCommitment, bytes memory output)
    {
        Inference storage inference = _inferences[inferenceId];
        modelId = inference.modelId;
        if (modelId == 0) revert InferenceUnknown(inferenceId);
        inputCommitment = inference.inputCommitment;
        output = abi.encode(inference.output);
    }

    /// @inheritdoc IERC7992Verifier
    /// @dev Of the keys that {verifyInference} takes, frozen or not: a dataset's is no model.
    function proofSystemOf(uint256 modelId) external view returns (bytes4) {
        if (_registry.entryOf(bytes32(modelId)).statementType != Statements.TYPE_INFERENCE) revert ModelMismatch();
        return _PROOF_SYSTEM;
    }

    /// @inheritdoc IERC7992Verifier
    function registry() external view returns (address) {
        return address(_registry);
    }

    /// @inheritdoc ERC165
    function supportsInterface(bytes4 id) public view override returns (bool) {
        return id == type(IERC7992Verifier).interfaceId || id == type(IERC7992Storage).interfaceId
            || super.supportsInterface(id);
    }

    function _verify(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        private
        returns (uint256 value)
    {
        if (output.length != 32) revert OutputMismatch();
        value = abi.decode(output, (uint256));
        (Task memory task, uint256[8] memory words) = abi.decode(proof, (Task, uint256[8]));
        if (bytes32(modelId) != task.keyDigest) revert ModelMismatch();
        if (task.requester != msg.sender) revert RequesterWrong(task.requester, msg.sender);
        if (block.timestamp > task.deadline) revert DeadlinePassed(task.deadline, block.timestamp);
        _registry.resolve(task.keyDigest, Statements.TYPE_INFERENCE);
        uint256[] memory signals = new uint256[](3);
        signals[0] = value;
        signals[1] = uint256(inputCommitment);
        signals[2] = Statements.context(Statements.TYPE_INFERENCE, address(this), task);
        _registry.verify(task.keyDigest, words, signals);
        emit InferenceVerified(modelId, inputCommitment, output, msg.sender);
    }
}
