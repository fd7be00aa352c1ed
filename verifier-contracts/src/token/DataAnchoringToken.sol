// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {Statements} from "../gate/Statements.sol";

/// @title DataAnchoringToken
/// @notice One ERC-1155 id an anchored asset. The id is derived from the asset's class and commitment, so the same
///         asset cannot be minted twice, and everything but the balances is fixed at the mint.
/// @dev No owner, no pause, no upgrade: the only privileged party is the gate, named at construction.
///      NOT enforced here: that the commitment is to anything real. The gate holds that.
contract DataAnchoringToken is ERC1155 {
    struct Record {
        address creator;
        uint64 mintedAt; // unix seconds of the mint's block
        uint8 class;
        bytes32 commitment;
        bytes32 metadataDigest;
        uint256 supply;
        uint256[] parents;
    }

    /// @dev Preimage: "anchorproof/dat/1".
    bytes32 private constant _DAT_TAG = keccak256("anchorproof/dat/1");

    /// @notice Longest parents list. It keeps the quadratic duplicate check, and any walk over a lineage, affordable.
    uint256 public constant MAX_PARENTS = 16;

    /// @notice The only contract that may mint.
    address public immutable gate;

    mapping(uint256 id => Record) private _records;

    event Anchored(
        uint256 indexed id,
        uint8 indexed class,
        address indexed creator,
        bytes32 commitment,
        bytes32 metadataDigest,
        uint256 supply,
        uint256[] parents
    );

    error NotGate(address caller);
    error ClassInvalid(uint8 class);
    error CommitmentZero();
    error SupplyZero();
    error AlreadyAnchored(uint256 id);
    error ParentUnknown(uint256 parent);
    error ParentRepeated(uint256 parent);
    error ParentsTooMany(uint256 count, uint256 limit);
    error IdUnknown(uint256 id);

    /// @dev The URI is empty: metadata is named by digest, and where it is stored is not this contract's business.
    constructor(address gate_) ERC1155("") {
        gate = gate_;
    }

    /// @notice The id that an asset has, minted or not.
    function idOf(uint8 class, bytes32 commitment) public pure returns (uint256) {
        return uint256(keccak256(abi.encode(_DAT_TAG, class, commitment)));
    }

    /// @notice Mints the whole supply of a new asset to its creator.
    /// @dev All state is written before `_mint`, whose last act is the receiver's ERC-1155 callback: whatever that
    ///      callback calls already sees the asset as minted.
    function mint(
        address creator,
        uint8 class,
        bytes32 commitment,
        bytes32 metadataDigest,
        uint256 supply,
        uint256[] calldata parents
    ) external returns (uint256 id) {
        if (msg.sender != gate) revert NotGate(msg.sender);
        if (class < Statements.CLASS_DATASET || class > Statements.CLASS_INFERENCE) revert ClassInvalid(class);
        if (commitment == 0) revert CommitmentZero();
        if (supply == 0) revert SupplyZero();
        id = idOf(class, commitment);
        if (exists(id)) revert AlreadyAnchored(id);
        _checkParents(parents);

        _records[id] = Record({
            creator: creator,
            mintedAt: uint64(block.timestamp),
            class: class,
            commitment: commitment,
            metadataDigest: metadataDigest,
            supply: supply,
            parents: parents
        });
        emit Anchored(id, class, creator, commitment, metadataDigest, supply, parents);
        _mint(creator, id, supply, "");
    }

    function exists(uint256 id) public view returns (bool) {
        return _records[id].mintedAt != 0;
    }

    /// @notice The whole record, or a revert for an id that was never minted.
    function recordOf(uint256 id) external view returns (Record memory) {
        return _record(id);
    }

    /// @notice Who first received the asset. Royalties follow the creator, not the present holders.
    function creatorOf(uint256 id) external view returns (address) {
        return _record(id).creator;
    }

    function classOf(uint256 id) external view returns (uint8) {
        return _record(id).class;
    }

    function commitmentOf(uint256 id) external view returns (bytes32) {
        return _record(id).commitment;
    }

    function metadataDigestOf(uint256 id) external view returns (bytes32) {
        return _record(id).metadataDigest;
    }

    function parentsOf(uint256 id) external view returns (uint256[] memory) {
        return _record(id).parents;
    }

    function mintedAt(uint256 id) external view returns (uint256) {
        return _record(id).mintedAt;
    }

    /// @notice The supply minted. There is no burn, so it is also the supply in existence.
    function totalSupply(uint256 id) external view returns (uint256) {
        return _record(id).supply;
    }

    function _record(uint256 id) private view returns (Record storage record) {
        record = _records[id];
        if (record.mintedAt == 0) revert IdUnknown(id);
    }

    /// @dev An asset cannot be its own parent: it does not exist yet when its parents are checked. Hence no cycles.
    function _checkParents(uint256[] calldata parents) private view {
        uint256 count = parents.length;
        if (count > MAX_PARENTS) revert ParentsTooMany(count, MAX_PARENTS);
        for (uint256 i = 0; i < count; ++i) {
            uint256 parent = parents[i];
            if (!exists(parent)) revert ParentUnknown(parent);
            for (uint256 j = 0; j < i; ++j) {
                if (parents[j] == parent) revert ParentRepeated(parent);
            }
        }
    }
}
