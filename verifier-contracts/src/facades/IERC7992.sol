// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IERC7992Verifier
/// @notice The verifier's side of ERC-7992 (draft), "Verifiable ML Model Inference", with its views.
interface IERC7992Verifier {
    event InferenceVerified(
        uint256 indexed modelId, bytes32 indexed inputCommitment, bytes output, address indexed caller
    );

    function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        external;

    function proofSystemOf(uint256 modelId) external view returns (bytes4);

    function registry() external view returns (address registryAddress);
}

/// @title IERC7992Storage
/// @notice ERC-7992's optional storage extension.
interface IERC7992Storage {
    event InferenceStored(bytes32 indexed inferenceId);

    function verifyAndStoreInference(
        uint256 modelId,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external returns (bytes32 inferenceId);

    function getInference(bytes32 inferenceId)
        external
        view
        returns (uint256 modelId, bytes32 inputCommitment, bytes memory output);
}
