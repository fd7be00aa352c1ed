// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IVerifier
/// @notice The verifier as LazAI's documentation has it (docs.lazai.network, "contract and execution flow").
interface IVerifier {
    function submitTEEProof(
        bytes calldata taskId,
        bytes calldata resultHash,
        bytes calldata teeSignature,
        bytes calldata attestationReport
    ) external;

    function submitZKProof(bytes calldata taskId, bytes calldata zkProof, bytes calldata publicSignals) external;

    function submitFraudProof(bytes calldata taskId, bytes calldata evidence, address challenger) external;

    function verifyResult(bytes calldata taskId) external view returns (bool valid);
}
