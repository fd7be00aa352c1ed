// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AssetRecord, IDataAnchoringToken, Royalty} from "../../src/token/IDataAnchoringToken.sol";

/// @notice The token as a settlement sees it, with assets put in by hand.
contract AssetTwin is IDataAnchoringToken {
    mapping(uint256 id => AssetRecord) private _records;
    mapping(uint256 id => Royalty[]) private _royalties;

    error IdUnknown(uint256 id);

    function put(uint256 id, address creator, uint64 expiresAt, uint64 maxUses, Royalty[] calldata royalties) external {
        AssetRecord storage record = _records[id];
        record.creator = creator;
        record.mintedAt = uint64(block.timestamp);
        record.class = 2;
        record.terms.expiresAt = expiresAt;
        record.terms.maxUses = maxUses;
        delete _royalties[id];
        for (uint256 i = 0; i < royalties.length; ++i) {
            _royalties[id].push(royalties[i]);
        }
    }

    function revoke(uint256 id) external {
        _records[id].revoked = true;
    }

    function gate() external view returns (address) {
        return address(this);
    }

    function idOf(uint8 class, bytes32 commitment) external pure returns (uint256) {
        return uint256(keccak256(abi.encode(class, commitment)));
    }

    function exists(uint256 id) public view returns (bool) {
        return _records[id].mintedAt != 0;
    }

    function verified(uint256 id) external view returns (bool) {
        return exists(id) && !_records[id].revoked;
    }

    function recordOf(uint256 id) external view returns (AssetRecord memory) {
        if (!exists(id)) revert IdUnknown(id);
        return _records[id];
    }

    function royaltiesOf(uint256 id) external view returns (Royalty[] memory) {
        if (!exists(id)) revert IdUnknown(id);
        return _royalties[id];
    }

    function settlementOf(uint256 id)
        external
        view
        returns (address creator, bool revoked, uint64 expiresAt, uint64 maxUses, bool derived)
    {
        if (!exists(id)) revert IdUnknown(id);
        AssetRecord storage record = _records[id];
        creator = record.creator;
        revoked = record.revoked;
        expiresAt = record.terms.expiresAt;
        maxUses = record.terms.maxUses;
        derived = _royalties[id].length != 0;
    }
}
