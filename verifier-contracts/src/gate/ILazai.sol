// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What {LazaiMintGate} calls of LazAI's deployed DataAnchoringToken, as it is deployed.
interface ILazaiToken {
    /// @dev Returns nothing: the id is one above {currentTokenId} before the call. The receiver is called back before the
    ///      token has its url.
    function mint(address to, uint256 amount, string calldata fileUrl, bool isVerified) external;

    function setTokenVerified(uint256 tokenId, bool isVerified) external;

    /// @dev Reverts for a token without a url.
    function verified(uint256 tokenId) external view returns (bool);

    /// @dev Reverts for a token without a url.
    function fileUrl(uint256 tokenId) external view returns (string memory);

    function currentTokenId() external view returns (uint256);

    function hasRole(bytes32 role, address account) external view returns (bool);
}

/// @notice What {LazaiMintGate} calls of LazAI's deployed DataRegistry.
interface ILazaiDataRegistry {
    struct FileResponse {
        uint256 id;
        address ownerAddress;
        string url;
        string hash; // lower-case hex of the plaintext's SHA-256, as LazAI's SDKs write it
        uint256 proofIndex; // of the proof that was redeemed; 0 for none
        uint256 rewardAmount; // its score
    }

    /// @dev All empty but for the id, for a file that does not exist.
    function getFile(uint256 fileId) external view returns (FileResponse memory);
}
