// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @title Epochs
/// @notice Who votes when: numbered sets of weighted members, one of them current. Of each only a hash is stored, for good,
///         since evidence may be about a past one.
/// @dev A set is 32 bytes a member, address ‖ uint96 weight, strictly ascending by address. It travels in calldata.
///
///      The owner is governance. What a malicious one can do: name members of its own, who then certify what they like;
///      leave members out; end the quorum for good by the highest number, after which there is no higher one; and hold a
///      member's bond until {MAX_EPOCH_DURATION} and the dispute window are over, by keeping it in the set (a member that
///      asks for its bond back cannot be put into another one). What it cannot do: take or slash a bond, vote for a member,
///      bring back a past set's votes, or change the bonds' terms.
///      NOT enforced: that weights follow from bonds.
abstract contract Epochs is Ownable2Step {
    /// @notice Most members that a set can have: one bit each in a certificate's bitmap.
    uint256 public constant MAX_MEMBERS = 256;

    /// @notice An epoch that nobody replaces ends by itself, so that old keys do not keep their power and no bond stays
    ///         locked behind an owner who is gone.
    uint256 public constant MAX_EPOCH_DURATION = 365 days;

    uint256 internal constant _MEMBER_SIZE = 32;

    /// @dev The newest epoch. A struct, so that both are in one slot, which certificates read.
    struct Newest {
        uint64 number;
        uint64 endsAt;
    }

    Newest private _newest;

    /// @notice keccak256(abi.encodePacked(uint64 epoch, members)) of every epoch that was ever set.
    mapping(uint64 epoch => bytes32) public setHashOf;

    /// @dev When a past epoch ended.
    mapping(uint64 epoch => uint256) private _endedAt;

    event EpochSet(uint64 indexed epoch, bytes32 indexed setHash, uint256 endsAt, bytes members);

    error EpochNotAscending(uint64 given, uint64 current);
    error EpochUnknown(uint64 epoch);
    error MembersInvalid(uint256 length);
    error MembersNotAscending(uint256 index);
    error WeightZero(uint256 index);
    error SetUnknown(bytes32 given, bytes32 stored);
    error OwnershipNotRenounceable();

    constructor(address owner_) Ownable(owner_) {}

    /// @notice Replaces the set at once. Epoch numbers only go up, so an old set cannot come back under its old number.
    /// @param members 1 to 256 members; each must hold its minimum bond now. One that asks for its bond in the block before
    ///        makes this revert, once: it is left out the next time
    function setEpoch(uint64 epoch_, bytes calldata members) external onlyOwner {
        Newest memory replaced = _newest;
        uint64 previous = replaced.number;
        if (epoch_ <= previous) revert EpochNotAscending(epoch_, previous);
        uint256 length = members.length;
        if (length == 0 || length % _MEMBER_SIZE != 0 || length > MAX_MEMBERS * _MEMBER_SIZE) {
            revert MembersInvalid(length);
        }
        address last = address(0); // also refuses the zero address, which some take a failed recovery for
        for (uint256 i = 0; i < length / _MEMBER_SIZE; ++i) {
            (address member, uint256 weight) = _memberAt(members, i);
            if (member <= last) revert MembersNotAscending(i);
            if (weight == 0) revert WeightZero(i);
            last = member;
            _enter(member, epoch_);
        }
        if (previous != 0) {
            _endedAt[previous] = block.timestamp < replaced.endsAt ? block.timestamp : replaced.endsAt;
        }
        uint256 end = block.timestamp + MAX_EPOCH_DURATION;
        bytes32 setHash = _hashSet(epoch_, members);
        // forge-lint: disable-next-line(unsafe-typecast) -- seconds
        _newest = Newest({number: epoch_, endsAt: uint64(end)});
        setHashOf[epoch_] = setHash;
        emit EpochSet(epoch_, setHash, end, members);
    }

    /// @notice Not possible: without an owner there would be no next epoch, and no quorum after this one.
    function renounceOwnership() public view override onlyOwner {
        revert OwnershipNotRenounceable();
    }

    /// @notice The newest epoch's number; 0 until the first is set.
    function epoch() public view returns (uint64) {
        return _newest.number;
    }

    /// @notice When the newest epoch ends if nobody replaces it before, in unix seconds.
    function endsAt() public view returns (uint64) {
        return _newest.endsAt;
    }

    /// @notice When an epoch ended, or will end at the latest; 0 for one that was never set.
    function endOf(uint64 epoch_) public view returns (uint256) {
        Newest memory newest = _newest;
        return epoch_ == newest.number ? newest.endsAt : _endedAt[epoch_];
    }

    /// @dev Called for every member of a new set.
    function _enter(address member, uint64 epoch_) internal virtual;

    function _hashSet(uint64 epoch_, bytes calldata members) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(epoch_, members));
    }

    /// @dev Both of what {epoch} and {endsAt} say.
    function _newestEpoch() internal view returns (uint64 number, uint64 end) {
        Newest memory newest = _newest;
        return (newest.number, newest.endsAt);
    }

    /// @dev Equal hashes mean the very bytes that {setEpoch} checked: whole members, ascending, none without weight.
    function _requireSet(uint64 epoch_, bytes calldata members) internal view {
        bytes32 stored = setHashOf[epoch_];
        if (stored == 0) revert EpochUnknown(epoch_);
        bytes32 given = _hashSet(epoch_, members);
        if (given != stored) revert SetUnknown(given, stored);
    }

    /// @dev `index` must be below the number of members.
    function _memberAt(bytes calldata members, uint256 index) internal pure returns (address member, uint256 weight) {
        assembly ("memory-safe") {
            let packed := calldataload(add(members.offset, shl(5, index)))
            member := shr(96, packed)
            weight := and(packed, 0xffffffffffffffffffffffff) // uint96
        }
    }
}
