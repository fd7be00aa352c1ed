// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {IERC1155MetadataURI} from "@openzeppelin/contracts/token/ERC1155/extensions/IERC1155MetadataURI.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC1155Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Asset} from "../src/gate/Statements.sol";
import {DataAnchoringToken} from "../src/token/DataAnchoringToken.sol";
import {AssetRecord, Royalty, Terms} from "../src/token/IDataAnchoringToken.sol";
import {Test} from "./base/Test.sol";

/// @dev The test is the gate.
contract DataAnchoringTokenTest is Test {
    DataAnchoringToken private _token;
    address private constant _ALICE = address(0xa11ce);
    address private constant _BOB = address(0xb0b);

    uint8 private constant _DATASET = 1;
    uint8 private constant _MODEL = 2;
    uint8 private constant _ADAPTER = 3;
    uint8 private constant _INFERENCE = 4;

    function setUp() public {
        _token = new DataAnchoringToken(address(this), "ipfs://dat/");
        vm.warp(1_800_000_000);
    }

    // -------------------------------------------------------------------------------------------------------------- mint

    function test_KeepsWhatWasMinted(uint256 seed, uint256 supply) public {
        uint256 parent = _mint(_DATASET, 0, new uint256[](0));
        Asset memory asset = _asset(_MODEL, seed, _list(parent));
        asset.supply = bound(supply, 1, type(uint256).max);
        asset.fileId = seed;
        asset.metadataDigest = keccak256(abi.encode(seed, "metadata"));
        asset.terms = Terms({
            expiresAt: uint64(bound(seed >> 8, block.timestamp + 1, type(uint64).max)),
            maxUses: uint64(seed >> 64),
            shareBps: uint16(seed % 5001),
            transferable: seed % 2 == 0
        });
        uint256 id = _token.mint(_ALICE, asset);

        assertEq(id, _token.idOf(_MODEL, asset.commitment), "id");
        AssetRecord memory record = _token.recordOf(id);
        assertEq(record.creator, _ALICE, "creator");
        assertEq(record.mintedAt, block.timestamp, "mintedAt");
        assertEq(record.class, _MODEL, "class");
        assertFalse(record.revoked, "revoked");
        assertEq(keccak256(abi.encode(record.terms)), keccak256(abi.encode(asset.terms)), "terms");
        assertEq(record.commitment, asset.commitment, "commitment");
        assertEq(record.metadataDigest, asset.metadataDigest, "metadataDigest");
        assertEq(record.supply, asset.supply, "supply");
        assertEq(record.fileId, asset.fileId, "fileId");
        assertEq(keccak256(abi.encode(record.parents)), keccak256(abi.encode(asset.parents)), "parents");
        assertEq(_token.totalSupply(id), asset.supply, "totalSupply");
        assertEq(_token.balanceOf(_ALICE, id), asset.supply, "balance");
        assertTrue(_token.verified(id), "verified");
    }

    function test_OnlyTheGateMintsAndRevokes() public {
        uint256 id = _mint(_DATASET, 0, new uint256[](0));
        Asset memory asset = _asset(_DATASET, 1, new uint256[](0));
        vm.startPrank(_ALICE);
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.NotGate.selector, _ALICE));
        _token.mint(_ALICE, asset);
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.NotGate.selector, _ALICE));
        _token.revoke(id, "mine");
    }

    function test_OneCommitmentOfOneClassIsMintedOnce() public {
        uint256 id = _mint(_DATASET, 0, new uint256[](0));
        Asset memory asset = _asset(_DATASET, 0, new uint256[](0));
        asset.supply = 7;
        asset.metadataDigest = 0;
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.AlreadyAnchored.selector, id));
        _token.mint(_BOB, asset);
        // Not even after it was revoked.
        _token.revoke(id, "made up");
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.AlreadyAnchored.selector, id));
        _token.mint(_BOB, asset);
        asset.class = _MODEL;
        assertTrue(_token.mint(_BOB, asset) != id, "another class is another asset");
    }

    function test_RefusesWhatIsNoAsset() public {
        Asset memory asset = _asset(0, 0, new uint256[](0));
        _refused(asset, abi.encodeWithSelector(DataAnchoringToken.ClassInvalid.selector, 0));
        asset.class = 5;
        _refused(asset, abi.encodeWithSelector(DataAnchoringToken.ClassInvalid.selector, 5));
        asset.class = _DATASET;
        asset.supply = 0;
        _refused(asset, abi.encodeWithSelector(DataAnchoringToken.SupplyZero.selector));
        asset.supply = 1;
        asset.commitment = 0;
        _refused(asset, abi.encodeWithSelector(DataAnchoringToken.CommitmentZero.selector));
        asset.commitment = bytes32(uint256(1));
        asset.terms.shareBps = 5001;
        _refused(asset, abi.encodeWithSelector(DataAnchoringToken.ShareTooHigh.selector, 5001, 5000));
        asset.terms.shareBps = 5000;
        asset.terms.expiresAt = uint64(block.timestamp);
        _refused(
            asset, abi.encodeWithSelector(DataAnchoringToken.TermsExpired.selector, block.timestamp, block.timestamp)
        );
        asset.terms.expiresAt = uint64(block.timestamp + 1);
        _token.mint(_ALICE, asset);
    }

    function test_ZeroAddressAndContractsThatTakeNoTokens() public {
        Asset memory asset = _asset(_DATASET, 1, new uint256[](0));
        vm.expectRevert(abi.encodeWithSelector(IERC1155Errors.ERC1155InvalidReceiver.selector, address(0)));
        _token.mint(address(0), asset);
        vm.expectRevert(abi.encodeWithSelector(IERC1155Errors.ERC1155InvalidReceiver.selector, address(_token)));
        _token.mint(address(_token), asset);
        assertFalse(_token.exists(_token.idOf(_DATASET, asset.commitment)), "nothing stays of a refused mint");
    }

    // ----------------------------------------------------------------------------------------------------------- lineage

    function test_ParentsExistOnceAndAreNotRevoked() public {
        uint256 parent = _mint(_DATASET, 0, new uint256[](0));
        uint256[] memory two = new uint256[](2);
        (two[0], two[1]) = (parent, 99);
        _refused(_asset(_MODEL, 1, two), abi.encodeWithSelector(DataAnchoringToken.ParentUnknown.selector, 99));
        two[1] = parent;
        _refused(_asset(_MODEL, 1, two), abi.encodeWithSelector(DataAnchoringToken.ParentRepeated.selector, parent));
        uint256[] memory many = new uint256[](17);
        _refused(_asset(_MODEL, 1, many), abi.encodeWithSelector(DataAnchoringToken.ParentsTooMany.selector, 17, 16));
        _token.revoke(parent, "made up");
        _refused(
            _asset(_MODEL, 1, _list(parent)), abi.encodeWithSelector(DataAnchoringToken.ParentRevoked.selector, parent)
        );
    }

    function test_NoAssetIsItsOwnParent() public {
        Asset memory asset = _asset(_MODEL, 1, new uint256[](0));
        uint256 own = _token.idOf(_MODEL, asset.commitment);
        asset.parents = _list(own);
        _refused(asset, abi.encodeWithSelector(DataAnchoringToken.ParentUnknown.selector, own));
    }

    function test_ClassesThatDescendFromEachOther() public {
        uint256[5] memory ids;
        ids[_DATASET] = _mint(_DATASET, 0, new uint256[](0));
        ids[_MODEL] = _mint(_MODEL, 0, _list(ids[_DATASET]));
        ids[_ADAPTER] = _mint(_ADAPTER, 0, _list(ids[_MODEL]));
        ids[_INFERENCE] = _mint(_INFERENCE, 0, _list(ids[_MODEL]));
        for (uint8 class = _DATASET; class <= _INFERENCE; ++class) {
            for (uint8 parent = _DATASET; parent <= _INFERENCE; ++parent) {
                uint256[] memory parents = new uint256[](2);
                (parents[0], parents[1]) = (ids[parent], ids[parent == _MODEL ? _DATASET : _MODEL]);
                Asset memory asset = _asset(class, 1000 + 10 * class + parent, parents);
                if ((class == _MODEL || class == _ADAPTER) && parent == _INFERENCE) {
                    _refused(
                        asset,
                        abi.encodeWithSelector(
                            DataAnchoringToken.ParentClassWrong.selector, class, ids[_INFERENCE], _INFERENCE
                        )
                    );
                } else {
                    _token.mint(_ALICE, asset);
                }
            }
        }
    }

    function test_AdaptersAndInferencesHaveAModel() public {
        uint256 dataset = _mint(_DATASET, 0, new uint256[](0));
        for (uint8 class = _ADAPTER; class <= _INFERENCE; ++class) {
            bytes memory missing = abi.encodeWithSelector(DataAnchoringToken.ModelParentMissing.selector, class);
            _refused(_asset(class, 1, new uint256[](0)), missing);
            _refused(_asset(class, 1, _list(dataset)), missing);
        }
    }

    // ------------------------------------------------------------------------------------------------- terms, revocation

    function test_NobodyMovesWhatIsNotTransferable() public {
        Asset memory asset = _asset(_DATASET, 1, new uint256[](0));
        asset.terms.transferable = false;
        uint256 id = _token.mint(_ALICE, asset);
        uint256 free = _mint(_DATASET, 2, new uint256[](0), 0, _ALICE);
        bytes memory refusal = abi.encodeWithSelector(DataAnchoringToken.NotTransferable.selector, id);

        vm.startPrank(_ALICE);
        _token.setApprovalForAll(_BOB, true);
        vm.expectRevert(refusal);
        _token.safeTransferFrom(_ALICE, _BOB, id, 1, "");
        vm.expectRevert(refusal);
        _token.safeTransferFrom(_ALICE, _ALICE, id, 0, "");
        uint256[] memory ids = new uint256[](2);
        (ids[0], ids[1]) = (free, id);
        uint256[] memory values = new uint256[](2);
        (values[0], values[1]) = (1, 1);
        vm.expectRevert(refusal);
        _token.safeBatchTransferFrom(_ALICE, _BOB, ids, values, "");
        vm.stopPrank();
        vm.prank(_BOB);
        vm.expectRevert(refusal);
        _token.safeTransferFrom(_ALICE, _BOB, id, 1, "");

        vm.prank(_ALICE);
        _token.safeTransferFrom(_ALICE, _BOB, free, 1, "");
        assertEq(_token.balanceOf(_BOB, free), 1, "what is transferable moves");
        assertEq(_token.balanceOf(_ALICE, id), 100, "what is not stays");
    }

    function test_ARevocationIsForGood() public {
        uint256 id = _mint(_DATASET, 1, new uint256[](0));
        vm.expectEmit(true, true, true, true, address(_token));
        emit DataAnchoringToken.Revoked(id, "the data was made up");
        _token.revoke(id, "the data was made up");
        assertFalse(_token.verified(id), "verified");
        assertTrue(_token.exists(id), "exists");
        assertTrue(_token.recordOf(id).revoked, "record");
        (, bool revoked,,,) = _token.settlementOf(id);
        assertTrue(revoked, "settlement");
        assertEq(_token.balanceOf(_ALICE, id), 100, "holders keep theirs");
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.AlreadyRevoked.selector, id));
        _token.revoke(id, "again");
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.IdUnknown.selector, 5));
        _token.revoke(5, "nothing");
    }

    function test_SettlementsReadOneSlotOfAnAssetWithoutLimits() public {
        uint256 id = _mint(_DATASET, 1, new uint256[](0));
        Asset memory asset = _asset(_DATASET, 2, new uint256[](0));
        asset.terms.maxUses = 5;
        asset.terms.expiresAt = uint64(block.timestamp + 9);
        uint256 limited = _token.mint(_BOB, asset);

        vm.record();
        _token.settlementOf(id);
        (bytes32[] memory reads,) = vm.accesses(address(_token));
        assertEq(_distinct(reads), 1, "slots of an asset without limits");
        vm.record();
        (address creator, bool revoked, uint64 expiresAt, uint64 maxUses, bool derived) = _token.settlementOf(limited);
        (reads,) = vm.accesses(address(_token));
        assertEq(_distinct(reads), 2, "slots of an asset with limits");
        assertEq(creator, _BOB, "creator");
        assertFalse(revoked || derived, "flags");
        assertEq(expiresAt, block.timestamp + 9, "expiresAt");
        assertEq(maxUses, 5, "maxUses");
    }

    // --------------------------------------------------------------------------------------------------------- royalties

    function test_AParentsTableDividesItsPart() public {
        uint256 a = _mint(_DATASET, 0, new uint256[](0), 1000, _ALICE);
        uint256 b = _mint(_MODEL, 0, _list(a), 3001, _BOB);
        uint256 c = _mint(_ADAPTER, 0, _list(b), 0, _ALICE);
        _royalties(b, _entry(a, _ALICE, 1000));
        // Of 3001, a tenth (rounded down) goes on to a, and the rest stays with b.
        _royalties(c, _entry(b, _BOB, 2701), _entry(a, _ALICE, 300));
        (,,,, bool derived) = _token.settlementOf(c);
        assertTrue(derived, "derived");
        // c asks nothing, and so passes nothing on.
        uint256[] memory parents = new uint256[](2);
        (parents[0], parents[1]) = (c, _mint(_MODEL, 9, new uint256[](0)));
        uint256 d = _mint(_INFERENCE, 0, parents, 0, _BOB);
        assertEq(_token.royaltiesOf(d).length, 0, "no royalties");
        (,,,, derived) = _token.settlementOf(d);
        assertFalse(derived, "not derived");
    }

    function test_AnAncestorReachedSeveralWaysHasOneEntry() public {
        uint256 a = _mint(_DATASET, 0, new uint256[](0), 1000, _ALICE);
        uint256 b = _mint(_DATASET, 1, _list(a), 2000, _BOB);
        uint256[] memory parents = new uint256[](2);
        (parents[0], parents[1]) = (a, b);
        _royalties(_mint(_DATASET, 2, parents, 0, _BOB), _entry(a, _ALICE, 1200), _entry(b, _BOB, 1800));
        (parents[0], parents[1]) = (b, a);
        _royalties(_mint(_DATASET, 3, parents, 0, _BOB), _entry(b, _BOB, 1800), _entry(a, _ALICE, 1200));
    }

    function test_APartThatRoundsToZeroStaysWithTheNearerOne() public {
        uint256 a = _mint(_DATASET, 0, new uint256[](0), 999, _ALICE);
        uint256 b = _mint(_DATASET, 1, _list(a), 10, _BOB);
        _royalties(_mint(_DATASET, 2, _list(b)), _entry(b, _BOB, 10));
    }

    /// @dev What the token does not hold and validators have to: an asset put between, which asks for nothing, keeps what
    ///      is owed above it from what is made through it. Named as a parent itself, the ancestor has its share.
    function test_AnAssetThatAsksNothingPassesNothingOn() public {
        uint256 dataset = _mint(_DATASET, 0, new uint256[](0), 3000, _ALICE);
        uint256 between = _mint(_DATASET, 1, _list(dataset), 0, _BOB);
        uint256 sold = _mint(_DATASET, 2, _list(between), 0, _BOB);
        assertEq(_token.royaltiesOf(between).length, 1, "the one between owes it");
        assertEq(_token.royaltiesOf(sold).length, 0, "what is sold does not");
        uint256[] memory parents = new uint256[](2);
        (parents[0], parents[1]) = (between, dataset);
        _royalties(_mint(_DATASET, 3, parents), _entry(dataset, _ALICE, 3000));
    }

    function test_ParentsAskHalfAtMostTogether() public {
        uint256[] memory parents = new uint256[](2);
        parents[0] = _mint(_DATASET, 0, new uint256[](0), 2500, _ALICE);
        parents[1] = _mint(_DATASET, 1, new uint256[](0), 2500, _ALICE);
        _mint(_DATASET, 2, parents);
        parents[1] = _mint(_DATASET, 3, new uint256[](0), 2501, _ALICE);
        _refused(
            _asset(_DATASET, 4, parents),
            abi.encodeWithSelector(DataAnchoringToken.RoyaltiesTooHigh.selector, 5001, 5000)
        );
    }

    /// @dev 16 shares of 5,000 add up to more than 16 bits hold.
    function test_SixteenLargeSharesDoNotWrap() public {
        uint256[] memory parents = new uint256[](16);
        for (uint256 i = 0; i < 16; ++i) {
            parents[i] = _mint(_DATASET, i, new uint256[](0), 5000, _ALICE);
        }
        _refused(
            _asset(_DATASET, 99, parents),
            abi.encodeWithSelector(DataAnchoringToken.RoyaltiesTooHigh.selector, 10_000, 5000)
        );
    }

    function test_ATableHasSixteenEntriesAtMost() public {
        uint256[] memory parents = new uint256[](16);
        for (uint256 i = 0; i < 16; ++i) {
            parents[i] = _mint(_DATASET, i, new uint256[](0), 300, _ALICE);
        }
        uint256 whole = _mint(_DATASET, 100, parents, 5000, _BOB);
        assertEq(_token.royaltiesOf(whole).length, 16, "sixteen");
        _refused(
            _asset(_DATASET, 101, _list(whole)),
            abi.encodeWithSelector(DataAnchoringToken.RoyaltiesTooMany.selector, 16)
        );
        // All the same ones again are no more entries.
        assertEq(_token.royaltiesOf(_mint(_DATASET, 102, parents)).length, 16, "sixteen again");
    }

    function test_ATableReachesThreeStepsUp() public {
        uint256 id = _mint(_DATASET, 0, new uint256[](0), 5000, _ALICE);
        for (uint256 i = 1; i < 4; ++i) {
            id = _mint(_DATASET, i, _list(id), 5000, _ALICE);
        }
        assertEq(_token.royaltiesOf(id).length, 3, "three ancestors");
        _refused(
            _asset(_DATASET, 9, _list(id)),
            abi.encodeWithSelector(
                DataAnchoringToken.RoyaltiesTooDeep.selector, _token.idOf(_DATASET, _commitment(0)), 3
            )
        );
        // A lineage in which nobody that far up is owed anything goes on.
        uint256 plain = _mint(_DATASET, 20, new uint256[](0));
        for (uint256 i = 21; i < 30; ++i) {
            plain = _mint(_DATASET, i, _list(plain));
        }
    }

    /// @dev By the longest way: the short one does not hide the long one.
    function test_TheLongestWayCounts() public {
        uint256 a = _mint(_DATASET, 0, new uint256[](0), 1000, _ALICE);
        uint256 b = _mint(_DATASET, 1, _list(a), 1000, _ALICE);
        uint256 c = _mint(_DATASET, 2, _list(b), 1000, _ALICE);
        uint256[] memory parents = new uint256[](2);
        (parents[0], parents[1]) = (a, c);
        uint256 d = _mint(_DATASET, 3, parents, 1000, _ALICE);
        _refused(
            _asset(_DATASET, 4, _list(d)), abi.encodeWithSelector(DataAnchoringToken.RoyaltiesTooDeep.selector, a, 3)
        );
    }

    function test_ATableIsOfTheMint() public {
        uint256 a = _mint(_DATASET, 0, new uint256[](0), 1000, _ALICE);
        uint256 b = _mint(_DATASET, 1, _list(a), 0, _BOB);
        vm.prank(_ALICE);
        _token.safeTransferFrom(_ALICE, _BOB, a, 100, "");
        _token.revoke(a, "made up");
        _royalties(b, _entry(a, _ALICE, 1000));
    }

    /// @dev Two layers of any shares: the table adds up to the parents' shares, and no grandparent has more than its parent's.
    function test_RoyaltiesAddUp(uint16[4] memory shares, uint16[4] memory above, uint256 links) public {
        uint256[] memory grandparents = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            grandparents[i] = _mint(_DATASET, i, new uint256[](0), uint16(above[i] % 1251), _ALICE);
        }
        uint256[] memory parents = new uint256[](4);
        uint256 asked = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256[] memory own = new uint256[](4);
            uint256 count = 0;
            for (uint256 j = 0; j < 4; ++j) {
                if (links >> (4 * i + j) & 1 == 1) own[count++] = grandparents[j];
            }
            assembly ("memory-safe") {
                mstore(own, count)
            }
            uint16 share = uint16(shares[i] % 1251);
            asked += share;
            parents[i] = _mint(_DATASET, 10 + i, own, share, _BOB);
        }
        uint256 id = _mint(_DATASET, 20, parents, 0, _BOB);
        Royalty[] memory table = _token.royaltiesOf(id);
        uint256 sum = 0;
        for (uint256 i = 0; i < table.length; ++i) {
            assertTrue(table[i].bps != 0, "no empty entries");
            sum += table[i].bps;
            for (uint256 j = 0; j < i; ++j) {
                assertTrue(table[i].datId != table[j].datId, "one entry each");
            }
        }
        assertEq(sum, asked, "the parents' shares, exactly");
    }

    // ------------------------------------------------------------------------------------------------------------- views

    function test_UnknownIdsAreUnknown() public {
        bytes memory unknown = abi.encodeWithSelector(DataAnchoringToken.IdUnknown.selector, 5);
        assertFalse(_token.exists(5) || _token.verified(5), "nothing there");
        vm.expectRevert(unknown);
        _token.recordOf(5);
        vm.expectRevert(unknown);
        _token.royaltiesOf(5);
        vm.expectRevert(unknown);
        _token.settlementOf(5);
        vm.expectRevert(unknown);
        _token.totalSupply(5);
        vm.expectRevert(unknown);
        _token.uri(5);
        vm.expectRevert(unknown);
        _token.royaltyInfo(5, 1);
    }

    function test_UriNamesTheMetadataByItsDigest() public {
        Asset memory asset = _asset(_DATASET, 1, new uint256[](0));
        asset.metadataDigest = bytes32(uint256(0xab));
        uint256 id = _token.mint(_ALICE, asset);
        assertEq(
            keccak256(bytes(_token.uri(id))),
            keccak256("ipfs://dat/0x00000000000000000000000000000000000000000000000000000000000000ab.json"),
            "uri"
        );
    }

    function test_SaysItsRoyaltyByErc2981(uint256 price) public {
        uint256 id = _mint(_DATASET, 1, new uint256[](0), 777, _ALICE);
        (address to, uint256 amount) = _token.royaltyInfo(id, 10_000);
        assertEq(to, _ALICE, "creator");
        assertEq(amount, 777, "amount");
        (, amount) = _token.royaltyInfo(id, 12);
        assertEq(amount, 0, "rounded down");
        // Any price: nothing overflows.
        (, amount) = _token.royaltyInfo(id, price);
        assertEq(amount, price / 10_000 * 777 + price % 10_000 * 777 / 10_000, "of any price");
    }

    function test_SaysWhatItIs() public view {
        assertTrue(_token.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(_token.supportsInterface(type(IERC1155).interfaceId), "ERC-1155");
        assertTrue(_token.supportsInterface(type(IERC1155MetadataURI).interfaceId), "its metadata");
        assertTrue(_token.supportsInterface(type(IERC2981).interfaceId), "ERC-2981");
        assertFalse(_token.supportsInterface(0xffffffff), "ERC-165's never");
        assertFalse(_token.supportsInterface(type(IERC1155Receiver).interfaceId), "no receiver");
    }

    // ----------------------------------------------------------------------------------------------------------- helpers

    function _commitment(uint256 seed) private pure returns (bytes32) {
        return keccak256(abi.encode(seed));
    }

    function _asset(uint8 class, uint256 seed, uint256[] memory parents) private view returns (Asset memory) {
        return Asset({
            token: address(_token),
            fileId: 0,
            class: class,
            commitment: _commitment(seed),
            metadataDigest: keccak256("metadata"),
            supply: 100,
            parents: parents,
            terms: Terms({expiresAt: 0, maxUses: 0, shareBps: 0, transferable: true})
        });
    }

    function _mint(uint8 class, uint256 seed, uint256[] memory parents) private returns (uint256) {
        return _mint(class, seed, parents, 0, _ALICE);
    }

    function _mint(uint8 class, uint256 seed, uint256[] memory parents, uint16 shareBps, address creator)
        private
        returns (uint256)
    {
        Asset memory asset = _asset(class, seed, parents);
        asset.terms.shareBps = shareBps;
        return _token.mint(creator, asset);
    }

    function _refused(Asset memory asset, bytes memory reason) private {
        vm.expectRevert(reason);
        _token.mint(_ALICE, asset);
    }

    function _list(uint256 only) private pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = only;
    }

    function _entry(uint256 datId, address creator, uint16 bps) private pure returns (Royalty memory) {
        return Royalty({datId: datId, creator: creator, bps: bps});
    }

    function _royalties(uint256 id, Royalty memory only) private view {
        Royalty[] memory expected = new Royalty[](1);
        expected[0] = only;
        assertEq(keccak256(abi.encode(_token.royaltiesOf(id))), keccak256(abi.encode(expected)), "royalties");
    }

    function _royalties(uint256 id, Royalty memory first, Royalty memory second) private view {
        Royalty[] memory expected = new Royalty[](2);
        (expected[0], expected[1]) = (first, second);
        assertEq(keccak256(abi.encode(_token.royaltiesOf(id))), keccak256(abi.encode(expected)), "royalties");
    }

    function _distinct(bytes32[] memory slots) private pure returns (uint256 count) {
        for (uint256 i = 0; i < slots.length; ++i) {
            bool again = false;
            for (uint256 j = 0; j < i; ++j) {
                if (slots[i] == slots[j]) again = true;
            }
            if (!again) ++count;
        }
    }
}
