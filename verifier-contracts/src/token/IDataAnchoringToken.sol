// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What holders of an asset may do with it, and what whoever builds on it owes.
struct Terms {
    uint64 expiresAt; // unix seconds; 0 for never
    uint64 maxUses; // settled receipts in all; 0 for no limit
    uint16 shareBps; // of a derived asset's creator share; also the ERC-2981 royalty
    bool transferable;
}

/// @notice An asset as minted.
struct AssetRecord {
    address creator;
    uint64 mintedAt; // unix seconds of the mint's block
    uint8 class; // 1 dataset, 2 model, 3 adapter, 4 inference
    bool revoked; // its `verified` was taken back
    Terms terms;
    bytes32 commitment;
    bytes32 metadataDigest;
    uint256 supply;
    uint256 fileId; // in LazAI's DataRegistry; 0 for none
    uint256[] parents;
}

/// @notice What of an asset's creator share goes to one ancestor's creator. Fixed when the asset is minted.
struct Royalty {
    uint256 datId; // the ancestor
    address creator; // of the ancestor
    uint16 bps; // of the derived asset's creator share
}

/// @title IDataAnchoringToken
/// @notice What gates and settlements need of the token.
interface IDataAnchoringToken {
    function gate() external view returns (address);

    function idOf(uint8 class, bytes32 commitment) external pure returns (uint256);

    function exists(uint256 id) external view returns (bool);

    /// @notice True from the mint on, until it is revoked. LazAI's name for it.
    function verified(uint256 id) external view returns (bool);

    /// @notice Reverts for an id that was never minted.
    function recordOf(uint256 id) external view returns (AssetRecord memory);

    /// @notice Reverts for an id that was never minted. At most MAX_ROYALTIES entries, whose bps add up to at most
    ///         MAX_ROYALTY_BPS.
    function royaltiesOf(uint256 id) external view returns (Royalty[] memory);

    /// @notice What a settlement needs, in as few storage reads as it takes. Reverts for an id that was never minted.
    function settlementOf(uint256 id)
        external
        view
        returns (address creator, bool revoked, uint64 expiresAt, uint64 maxUses, bool derived);
}
