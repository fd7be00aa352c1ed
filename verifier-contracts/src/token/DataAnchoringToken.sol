// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Asset, Statements} from "../gate/Statements.sol";
import {AssetRecord, Royalty, Terms} from "./IDataAnchoringToken.sol";
import {IMintableToken} from "./IMintableToken.sol";

/// @title DataAnchoringToken
/// @notice One ERC-1155 id an anchored asset. The id is derived from the asset's class and commitment, so the same
///         commitment cannot be minted twice, and everything but the balances and `verified` is fixed at the mint.
/// @dev No owner, no pause, no burn, no upgrade: the only privileged party is the gate, named at construction.
///
///      Of an asset's terms, only `transferable` is enforced here, and so is that they have not expired at the mint:
///      a token cannot see its asset being used. Expiry and the number of uses bind settlements, which read them by
///      {settlementOf}. ERC-2981 tells marketplaces of a royalty and makes nobody pay it.
///
///      NOT enforced here: that the commitment is to anything real (the gate holds that), or that nobody mints the same
///      content again. A commitment hides its data under a salt, and the same records under another salt have another
///      commitment, and so another id: only validators, who see the data, can refuse a duplicate.
///      NOT enforced here either: that an asset names everything that it was made from. The votes are over its parents.
///      Nor that an ancestor earns through others' terms: what lies between two assets and asks for nothing, or little, passes
///      nothing, or little, on. An ancestor that is to earn all the same is named as a parent itself, and validators who see
///      a parent that was put between for that reason refuse the asset.
contract DataAnchoringToken is ERC1155, IERC2981, IMintableToken {
    /// @dev The first slot is all that a settlement reads of an asset without expiry and limit of uses.
    struct Stored {
        address creator;
        uint48 mintedAt; // unix seconds of the mint's block; nonzero: the asset exists
        uint8 class;
        bool revoked;
        bool transferable;
        bool limited; // the next slot holds an expiry or a limit of uses
        bool derived; // its royalty table is not empty
        // second slot
        uint64 expiresAt;
        uint64 maxUses;
        uint16 shareBps;
        // a slot each
        bytes32 commitment;
        bytes32 metadataDigest;
        uint256 supply;
        uint256 fileId;
        uint256[] parents;
    }

    /// @dev As {Royalty}, with how many steps up the lineage the ancestor is; by the longest way, if there are several.
    struct Owed {
        uint256 datId;
        address creator;
        uint16 bps;
        uint8 depth;
    }

    /// @dev Preimage: "anchorproof/dat/1".
    bytes32 private constant _DAT_TAG = keccak256("anchorproof/dat/1");

    /// @notice Longest parents list. It keeps the quadratic duplicate check, and any walk over a lineage, affordable.
    uint256 public constant MAX_PARENTS = 16;

    /// @notice Most entries of a royalty table.
    uint256 public constant MAX_ROYALTIES = 16;

    /// @notice Most steps up the lineage that a royalty table reaches.
    uint256 public constant MAX_ROYALTY_DEPTH = 3;

    /// @notice Most that an asset may ask of what is derived from it, and most that it may owe in all.
    uint256 public constant MAX_ROYALTY_BPS = 5000;

    uint256 private constant _BASIS_POINTS = 10_000;

    /// @notice The only contract that may mint and revoke.
    address public immutable override gate;

    string private _baseUri;

    mapping(uint256 id => Stored) private _records;
    mapping(uint256 id => Owed[]) private _royalties;

    event Anchored(
        uint256 indexed id,
        uint8 indexed class,
        address indexed creator,
        bytes32 commitment,
        bytes32 metadataDigest,
        uint256 supply,
        uint256 fileId,
        uint256[] parents,
        Terms terms
    );
    event Revoked(uint256 indexed id, string reason);

    error NotGate(address caller);
    error ClassInvalid(uint8 class);
    error CommitmentZero();
    error SupplyZero();
    error TermsExpired(uint64 expiresAt, uint256 timestamp);
    error ShareTooHigh(uint256 bps, uint256 limit);
    error AlreadyAnchored(uint256 id);
    error AlreadyRevoked(uint256 id);
    error ParentUnknown(uint256 parent);
    error ParentRevoked(uint256 parent);
    error ParentRepeated(uint256 parent);
    error ParentClassWrong(uint8 class, uint256 parent, uint8 parentClass);
    error ParentsTooMany(uint256 count, uint256 limit);
    error ModelParentMissing(uint8 class);
    error RoyaltiesTooHigh(uint256 bps, uint256 limit);
    error RoyaltiesTooMany(uint256 limit);
    error RoyaltiesTooDeep(uint256 ancestor, uint256 limit);
    error NotTransferable(uint256 id);
    error IdUnknown(uint256 id);

    modifier onlyGate() {
        if (msg.sender != gate) revert NotGate(msg.sender);
        _;
    }

    /// @param baseUri_ what stands before an asset's metadata digest in its {uri}; may be empty
    constructor(address gate_, string memory baseUri_) ERC1155("") {
        gate = gate_;
        _baseUri = baseUri_;
    }

    /// @notice Mints the whole supply of a new asset to its creator.
    /// @dev All state is written before `_mint`, whose last act is the receiver's ERC-1155 callback: whatever that
    ///      callback calls already sees the asset as minted.
    ///      `asset.token` is the gate's to check: the statement that was voted on names it.
    function mint(address creator, Asset calldata asset) external override onlyGate returns (uint256 id) {
        uint8 class = asset.class;
        if (class < Statements.CLASS_DATASET || class > Statements.CLASS_INFERENCE) revert ClassInvalid(class);
        if (asset.commitment == 0) revert CommitmentZero();
        if (asset.supply == 0) revert SupplyZero();
        _checkTerms(asset.terms);
        id = idOf(class, asset.commitment);
        if (exists(id)) revert AlreadyAnchored(id);
        _checkParents(class, asset.parents);

        _store(id, creator, asset);
        _records[id].derived = _storeRoyalties(id, asset.parents);
        emit Anchored(
            id,
            class,
            creator,
            asset.commitment,
            asset.metadataDigest,
            asset.supply,
            asset.fileId,
            asset.parents,
            asset.terms
        );
        _mint(creator, id, asset.supply, "");
    }

    /// @notice Takes back an asset's `verified`, for good: it is no parent of new assets any more, and settlements can
    ///         see it. Balances, and what its descendants owe, stay as they are.
    function revoke(uint256 id, string calldata reason) external override onlyGate {
        Stored storage record = _record(id);
        if (record.revoked) revert AlreadyRevoked(id);
        record.revoked = true;
        emit Revoked(id, reason);
    }

    /// @notice The id that an asset has, minted or not.
    function idOf(uint8 class, bytes32 commitment) public pure override returns (uint256) {
        return uint256(keccak256(abi.encode(_DAT_TAG, class, commitment)));
    }

    function exists(uint256 id) public view override returns (bool) {
        return _records[id].mintedAt != 0;
    }

    /// @notice True from the mint on, until it is revoked.
    function verified(uint256 id) external view override returns (bool) {
        Stored storage record = _records[id];
        return record.mintedAt != 0 && !record.revoked;
    }

    /// @notice The whole record, or a revert for an id that was never minted. `creator` is who first received the asset:
    ///         royalties follow the creator, not the present holders.
    function recordOf(uint256 id) external view override returns (AssetRecord memory) {
        Stored storage record = _record(id);
        return AssetRecord({
            creator: record.creator,
            mintedAt: record.mintedAt,
            class: record.class,
            revoked: record.revoked,
            terms: Terms({
                expiresAt: record.expiresAt,
                maxUses: record.maxUses,
                shareBps: record.shareBps,
                transferable: record.transferable
            }),
            commitment: record.commitment,
            metadataDigest: record.metadataDigest,
            supply: record.supply,
            fileId: record.fileId,
            parents: record.parents
        });
    }

    /// @notice What of the asset's creator share goes to which ancestors, as it was at the mint.
    function royaltiesOf(uint256 id) external view override returns (Royalty[] memory royalties) {
        _record(id);
        Owed[] storage table = _royalties[id];
        uint256 count = table.length;
        royalties = new Royalty[](count);
        for (uint256 i = 0; i < count; ++i) {
            Owed storage owed = table[i];
            royalties[i] = Royalty({datId: owed.datId, creator: owed.creator, bps: owed.bps});
        }
    }

    /// @notice What a settlement needs: one storage read, and a second for an asset with expiry or a limit of uses.
    function settlementOf(uint256 id)
        external
        view
        override
        returns (address creator, bool revoked, uint64 expiresAt, uint64 maxUses, bool derived)
    {
        Stored storage record = _record(id);
        creator = record.creator;
        revoked = record.revoked;
        derived = record.derived;
        if (record.limited) {
            expiresAt = record.expiresAt;
            maxUses = record.maxUses;
        }
    }

    /// @notice The supply minted. There is no burn, so it is also the supply in existence.
    function totalSupply(uint256 id) external view returns (uint256) {
        return _record(id).supply;
    }

    /// @notice The base URI, the metadata digest (0x and 64 lower-case digits), ".json". The document there is the asset's
    ///         metadata only if it has this digest.
    function uri(uint256 id) public view override returns (string memory) {
        return string.concat(_baseUri, Strings.toHexString(uint256(_record(id).metadataDigest), 32), ".json");
    }

    /// @notice ERC-2981: the creator, and the terms' share of a sale's price, rounded down.
    function royaltyInfo(uint256 id, uint256 salePrice) external view override returns (address, uint256) {
        Stored storage record = _record(id);
        return (record.creator, Math.mulDiv(salePrice, record.shareBps, _BASIS_POINTS));
    }

    function supportsInterface(bytes4 interfaceId) public view override(ERC1155, IERC165) returns (bool) {
        return interfaceId == type(IERC2981).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev Every change of balances comes through here. Only a mint has no sender.
    function _update(address from, address to, uint256[] memory ids, uint256[] memory values) internal override {
        if (from != address(0)) {
            uint256 count = ids.length;
            for (uint256 i = 0; i < count; ++i) {
                if (!_records[ids[i]].transferable) revert NotTransferable(ids[i]);
            }
        }
        super._update(from, to, ids, values);
    }

    function _record(uint256 id) private view returns (Stored storage record) {
        record = _records[id];
        if (record.mintedAt == 0) revert IdUnknown(id);
    }

    function _checkTerms(Terms calldata terms) private view {
        if (terms.expiresAt != 0 && terms.expiresAt <= block.timestamp) {
            revert TermsExpired(terms.expiresAt, block.timestamp);
        }
        if (terms.shareBps > MAX_ROYALTY_BPS) revert ShareTooHigh(terms.shareBps, MAX_ROYALTY_BPS);
    }

    /// @dev An asset cannot be its own parent: it does not exist yet when its parents are checked. Hence no cycles.
    ///      Adapters and inferences have a model among their parents. What was trained (a model, an adapter) does not
    ///      descend from single inferences: a dataset of them stands between.
    function _checkParents(uint8 class, uint256[] calldata parents) private view {
        uint256 count = parents.length;
        if (count > MAX_PARENTS) revert ParentsTooMany(count, MAX_PARENTS);
        bool trained = class == Statements.CLASS_MODEL || class == Statements.CLASS_ADAPTER;
        bool needsModel = class == Statements.CLASS_ADAPTER || class == Statements.CLASS_INFERENCE;
        for (uint256 i = 0; i < count; ++i) {
            uint256 parent = parents[i];
            Stored storage record = _records[parent];
            if (record.mintedAt == 0) revert ParentUnknown(parent);
            if (record.revoked) revert ParentRevoked(parent);
            uint8 parentClass = record.class;
            if (trained && parentClass == Statements.CLASS_INFERENCE) {
                revert ParentClassWrong(class, parent, parentClass);
            }
            if (parentClass == Statements.CLASS_MODEL) needsModel = false;
            for (uint256 j = 0; j < i; ++j) {
                if (parents[j] == parent) revert ParentRepeated(parent);
            }
        }
        if (needsModel) revert ModelParentMissing(class);
    }

    function _store(uint256 id, address creator, Asset calldata asset) private {
        Terms calldata terms = asset.terms;
        Stored storage record = _records[id];
        record.creator = creator;
        // forge-lint: disable-next-line(unsafe-typecast) 48 bits of seconds last for nine million years.
        record.mintedAt = uint48(block.timestamp);
        record.class = asset.class;
        record.transferable = terms.transferable;
        if (terms.expiresAt != 0 || terms.maxUses != 0) {
            record.limited = true;
            record.expiresAt = terms.expiresAt;
            record.maxUses = terms.maxUses;
        }
        if (terms.shareBps != 0) record.shareBps = terms.shareBps;
        record.commitment = asset.commitment;
        record.metadataDigest = asset.metadataDigest;
        record.supply = asset.supply;
        if (asset.fileId != 0) record.fileId = asset.fileId;
        record.parents = asset.parents;
    }

    /// @dev Each parent is owed its terms' share of the creator share, and of what it is owed, its own table says what is owed
    ///      further up, rounded down; the rest stays with the parent. So the table adds up to the parents' shares, exactly,
    ///      and nobody gets more than the share of the parent through which it comes. An ancestor reached several ways
    ///      has one entry. A parent that asks nothing passes nothing on, nor does a part that rounds to zero.
    ///      src/protocol/royalties.ts is the twin.
    function _storeRoyalties(uint256 id, uint256[] calldata parents) private returns (bool derived) {
        Owed[] memory table = new Owed[](MAX_ROYALTIES);
        uint256 count = 0;
        uint256 total = 0;
        uint256 parentCount = parents.length;
        for (uint256 i = 0; i < parentCount; ++i) {
            uint256 share = _records[parents[i]].shareBps;
            if (share == 0) continue;
            total += share;
            if (total > MAX_ROYALTY_BPS) revert RoyaltiesTooHigh(total, MAX_ROYALTY_BPS);
            count = _storeParent(table, count, parents[i], share);
        }
        Owed[] storage stored = _royalties[id];
        for (uint256 i = 0; i < count; ++i) {
            stored.push(table[i]);
        }
        return count != 0;
    }

    /// @dev The parent's entry first, then those of its table in their order.
    function _storeParent(Owed[] memory table, uint256 count, uint256 parent, uint256 share)
        private
        view
        returns (uint256)
    {
        uint256 own;
        (count, own) = _owe(table, count, Owed(parent, _records[parent].creator, 0, 1), share);
        Owed[] storage upper = _royalties[parent];
        uint256 length = upper.length;
        uint256 kept = share;
        for (uint256 j = 0; j < length; ++j) {
            Owed memory entry = upper[j];
            uint256 part = share * entry.bps / _BASIS_POINTS;
            if (part == 0) continue;
            if (entry.depth >= MAX_ROYALTY_DEPTH) revert RoyaltiesTooDeep(entry.datId, MAX_ROYALTY_DEPTH);
            entry.bps = 0;
            ++entry.depth;
            kept -= part;
            (count,) = _owe(table, count, entry, part);
        }
        // forge-lint: disable-next-line(unsafe-typecast) At most the share was added, and it is taken from the same entry.
        table[own].bps -= uint16(share - kept);
        return count;
    }

    /// @dev Adds to the ancestor's entry, or makes it. `bps` fits: the sum over the table is at most MAX_ROYALTY_BPS.
    function _owe(Owed[] memory table, uint256 count, Owed memory entry, uint256 bps)
        private
        pure
        returns (uint256, uint256 index)
    {
        while (index < count && table[index].datId != entry.datId) ++index;
        if (index == count) {
            if (count == MAX_ROYALTIES) revert RoyaltiesTooMany(MAX_ROYALTIES);
            table[count] = entry;
            ++count;
        } else if (table[index].depth < entry.depth) {
            table[index].depth = entry.depth;
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        table[index].bps += uint16(bps);
        return (count, index);
    }
}
