// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetStatement, ModelStatement, Statements} from "./Statements.sol";

/// @notice A file as LazAI's DataRegistry has it.
struct LazaiFile {
    uint256 fileId;
    string url;
    string sha256; // 64 digits of lower-case hex: the plaintext's, which the registry calls `hash`
}

/// @notice "This dataset is the one in this file, and is to be a token of LazAI's."
struct LazaiMintStatement {
    DatasetStatement dataset;
    LazaiFile file;
}

/// @notice "This model is the one in this file, and is to be a token of LazAI's."
struct LazaiModelStatement {
    ModelStatement model;
    LazaiFile file;
}

/// @title LazaiStatements
/// @notice EIP-712 struct hashes of what {LazaiMintGate} takes.
/// @dev src/protocol/lazaiStatements.ts holds the same definitions; test/chain compares them, and ethers'.
library LazaiStatements {
    bytes32 internal constant FILE_TYPEHASH = keccak256("LazaiFile(uint256 fileId,string url,string sha256)");
    bytes32 internal constant MINT_TYPEHASH = keccak256(
        "LazaiMintStatement(DatasetStatement dataset,LazaiFile file)"
        "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,"
        "uint256 supply,uint256[] parents,Terms terms)"
        "DatasetStatement(Task task,Asset asset,uint256 chunkIndex,uint256 chunkRecords)"
        "LazaiFile(uint256 fileId,string url,string sha256)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
        "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)"
    );
    bytes32 internal constant MODEL_TYPEHASH = keccak256(
        "LazaiModelStatement(ModelStatement model,LazaiFile file)"
        "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,"
        "uint256 supply,uint256[] parents,Terms terms)"
        "InferenceStatement(Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment)"
        "LazaiFile(uint256 fileId,string url,string sha256)"
        "ModelStatement(Asset asset,bytes32 circuitDigest,InferenceStatement sample)"
        "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)"
        "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)"
    );

    function hashFile(LazaiFile calldata file) internal pure returns (bytes32) {
        return
            keccak256(abi.encode(FILE_TYPEHASH, file.fileId, keccak256(bytes(file.url)), keccak256(bytes(file.sha256))));
    }

    function hashMint(LazaiMintStatement calldata statement) internal pure returns (bytes32) {
        return keccak256(abi.encode(MINT_TYPEHASH, Statements.hashDataset(statement.dataset), hashFile(statement.file)));
    }

    function hashModelMint(LazaiModelStatement calldata statement) internal pure returns (bytes32) {
        return keccak256(abi.encode(MODEL_TYPEHASH, Statements.hashModel(statement.model), hashFile(statement.file)));
    }
}
