// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Epochs} from "./Epochs.sol";
import {Certificate, IQuorum} from "./IQuorum.sol";

/// @title Certificates
/// @notice Checks that members with more than two thirds of the current epoch's weight voted the same way.
/// @dev ECDSA only: a contract signer (ERC-1271) could change its mind between blocks, and its votes could then not be
///      shown to anyone as evidence. Only the current epoch counts, so a member that left cannot vote any more. Votes are
///      typed data under this contract's domain, so none of another chain or another quorum counts here.
///      NOT enforced here: that a certificate is used once (that is the business of whoever asks: mark the statement), and
///      that a member who was slashed stops voting (the owner sets an epoch without it).
abstract contract Certificates is Epochs, EIP712, IQuorum {
    uint8 public constant VERDICT_ACCEPT = 1;
    uint8 public constant VERDICT_REJECT = 2;

    bytes32 internal constant _VOTE_TYPEHASH = keccak256(
        "Vote(uint64 epoch,bytes32 taskId,uint32 round,bytes32 statementDigest,bytes32 evidenceDigest,uint8 verdict)"
    );

    uint256 private constant _SIGNATURE_SIZE = 64;

    error EpochNotCurrent(uint64 given, uint64 current);
    error EpochOver(uint64 epoch, uint256 endedAt);
    error BitmapOutOfRange(uint256 bitmap, uint256 members);
    error SignaturesLengthWrong(uint256 expected, uint256 given);
    error SignatureMalformed(address member);
    error SignerWrong(address expected, address recovered);
    error VerdictInvalid(uint8 verdict);
    error QuorumNotReached(uint256 weight, uint256 total);

    /// @notice The EIP-712 digest that a member signs.
    function voteDigest(
        uint64 epoch_,
        bytes32 taskId,
        uint32 round,
        bytes32 statementDigest,
        bytes32 evidenceDigest,
        uint8 verdict
    ) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(abi.encode(_VOTE_TYPEHASH, epoch_, taskId, round, statementDigest, evidenceDigest, verdict))
        );
    }

    /// @inheritdoc IQuorum
    /// @dev Every signature given must be good; a bad one is never skipped.
    function check(
        bytes32 taskId,
        bytes32 statementDigest,
        bytes32 evidenceDigest,
        uint8 verdict,
        Certificate calldata certificate
    ) external view {
        _requireVerdict(verdict);
        uint64 number = certificate.epoch;
        {
            (uint64 current, uint64 end) = _newestEpoch();
            if (number != current || number == 0) revert EpochNotCurrent(number, current);
            if (block.timestamp >= end) revert EpochOver(number, end);
        }
        bytes calldata members = certificate.members;
        _requireSet(number, members);
        bytes32 digest = voteDigest(number, taskId, certificate.round, statementDigest, evidenceDigest, verdict);
        (uint256 weight, uint256 total) = _count(digest, members, certificate.bitmap, certificate.signatures);
        // Sums of at most 256 weights below 2^96: nothing overflows.
        if (3 * weight <= 2 * total) revert QuorumNotReached(weight, total);
    }

    /// @dev The weight that signed `digest`, and that of all. `members` must be a set that {setEpoch} checked.
    function _count(bytes32 digest, bytes calldata members, uint256 bitmap, bytes calldata signatures)
        private
        view
        returns (uint256 weight, uint256 total)
    {
        uint256 count = members.length / _MEMBER_SIZE;
        // Of 256 members every bit is one: a shift by 256 is zero.
        if (bitmap >> count != 0) revert BitmapOutOfRange(bitmap, count);
        uint256 expected = _bits(bitmap) * _SIGNATURE_SIZE;
        if (signatures.length != expected) revert SignaturesLengthWrong(expected, signatures.length);

        uint256 offset = 0; // of the signature under way
        uint256 wrong = 0; // 1 + index of the first member whose signature is not good
        assembly ("memory-safe") {
            // ecrecover's input, digest ‖ v ‖ r ‖ s, stands in free memory, and its answer in scratch space.
            let input := mload(0x40)
            mstore(input, digest)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let member := calldataload(add(members.offset, shl(5, i)))
                let own := and(member, 0xffffffffffffffffffffffff) // uint96
                total := add(total, own)
                if iszero(and(shr(i, bitmap), 1)) { continue }

                // ERC-2098: the highest bit of the second word is the parity of y, the rest is s.
                let vs := calldataload(add(add(signatures.offset, offset), 0x20))
                let s := shr(1, shl(1, vs))
                mstore(add(input, 0x20), add(27, shr(255, vs)))
                calldatacopy(add(input, 0x40), add(signatures.offset, offset), 0x20)
                mstore(add(input, 0x60), s)
                let done := staticcall(gas(), 1, input, 0x80, 0x00, 0x20)
                // For what is no signature ecrecover succeeds and returns nothing, as it does where it is absent, and then
                // the scratch space still holds the member before. So the size decides whether there is an answer.
                // s above half the group's order fits its 255 bits only just; it is refused all the same (EIP-2), so that
                // each vote has one spelling.
                let good := and(done, eq(returndatasize(), 0x20))
                good := and(good, iszero(gt(s, 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0)))
                good := and(good, eq(mload(0x00), shr(96, member)))
                if iszero(good) {
                    wrong := add(i, 1)
                    break
                }
                weight := add(weight, own)
                offset := add(offset, 0x40)
            }
        }
        if (wrong != 0) {
            (address member,) = _memberAt(members, wrong - 1);
            _requireSigner(digest, signatures[offset:offset + _SIGNATURE_SIZE], member);
            // Unreachable while both ways agree, and no way to pass if they do not.
            revert SignatureMalformed(member);
        }
    }

    /// @dev One signature, by OpenZeppelin: refuses high s and whatever recovers to no address. {_count} does the same
    ///      without copying anything, and leaves it to this to say what was wrong.
    function _requireSigner(bytes32 digest, bytes calldata signature, address member) internal pure {
        if (signature.length != _SIGNATURE_SIZE) revert SignaturesLengthWrong(_SIGNATURE_SIZE, signature.length);
        (address recovered, ECDSA.RecoverError failure,) =
            ECDSA.tryRecover(digest, bytes32(signature[:32]), bytes32(signature[32:]));
        if (failure != ECDSA.RecoverError.NoError) revert SignatureMalformed(member);
        if (recovered != member) revert SignerWrong(member, recovered);
    }

    function _requireVerdict(uint8 verdict) internal pure {
        if (verdict != VERDICT_ACCEPT && verdict != VERDICT_REJECT) revert VerdictInvalid(verdict);
    }

    /// @dev Number of set bits; one round for each (Kernighan).
    function _bits(uint256 bitmap) private pure returns (uint256 count) {
        unchecked {
            // No overflow: bitmap is not zero where 1 is taken from it.
            for (; bitmap != 0; bitmap &= bitmap - 1) {
                ++count;
            }
        }
    }
}
