// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @notice Votes of an epoch's members. The set itself travels in calldata and is checked against its stored hash.
struct Certificate {
    uint64 epoch;
    uint32 round;
    address[] members; // the whole set, strictly ascending
    uint256[] weights; // one a member, above zero
    uint256 bitmap; // bit i: members[i] signed
    bytes[] signatures; // one a set bit, in member order; 65 bytes r, s, v with low s
}

/// @title Quorum
/// @notice Checks that members with more than two thirds of the current epoch's weight voted the same way.
/// @dev ECDSA only: a contract signer (ERC-1271) could change its mind between blocks, and its votes could then not be
///      shown to anyone as evidence. Only the current epoch counts, so a member that left cannot vote any more.
///      NOT enforced here: that weights follow from stake, and that no member votes both ways (two signed votes over one
///      task and round are the evidence of that).
contract Quorum is Ownable2Step, EIP712 {
    uint8 public constant VERDICT_ACCEPT = 1;
    uint8 public constant VERDICT_REJECT = 2;

    /// @notice Most members a set can have: one bit each in the certificate's bitmap.
    uint256 public constant MAX_MEMBERS = 256;

    bytes32 private constant _VOTE_TYPEHASH = keccak256(
        "Vote(uint64 epoch,bytes32 taskId,uint32 round,bytes32 statementDigest,bytes32 evidenceDigest,uint8 verdict)"
    );

    /// @notice The current epoch; 0 until the first is set.
    uint64 public epoch;

    /// @notice keccak256(abi.encode(epoch, members, weights)) of the current epoch.
    bytes32 public setHash;

    event EpochSet(uint64 indexed epoch, bytes32 indexed setHash, address[] members, uint256[] weights);

    error EpochNotAscending(uint64 given, uint64 current);
    error EpochNotCurrent(uint64 given, uint64 current);
    error MembersInvalid(uint256 count);
    error MembersNotAscending(uint256 index);
    error WeightZero(uint256 index);
    error WeightsTooLarge();
    error LengthsDiffer(uint256 members, uint256 weights);
    error SetUnknown(bytes32 given, bytes32 current);
    error BitmapOutOfRange(uint256 bitmap, uint256 members);
    error SignatureCountWrong(uint256 expected, uint256 given);
    error SignatureMalformed(address member);
    error SignerWrong(address expected, address recovered);
    error VerdictInvalid(uint8 verdict);
    error QuorumNotReached(uint256 weight, uint256 total);

    constructor(address owner_) Ownable(owner_) EIP712("anchorproof", "1") {}

    /// @notice Replaces the member set. Epoch numbers only go up, so an old set cannot come back under its old number.
    function setEpoch(uint64 epoch_, address[] calldata members, uint256[] calldata weights) external onlyOwner {
        if (epoch_ <= epoch) revert EpochNotAscending(epoch_, epoch);
        uint256 count = members.length;
        if (count == 0 || count > MAX_MEMBERS) revert MembersInvalid(count);
        if (weights.length != count) revert LengthsDiffer(count, weights.length);
        address previous = address(0); // also refuses the zero address, which ecrecover gives for a bad signature
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            if (members[i] <= previous) revert MembersNotAscending(i);
            previous = members[i];
            if (weights[i] == 0) revert WeightZero(i);
            // Three times the total must fit a word, for the two-thirds test.
            if (weights[i] > type(uint256).max / 3 - total) revert WeightsTooLarge();
            total += weights[i];
        }
        epoch = epoch_;
        bytes32 hash = keccak256(abi.encode(epoch_, members, weights));
        setHash = hash;
        emit EpochSet(epoch_, hash, members, weights);
    }

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

    /// @notice Returns when `certificate` carries more than two thirds of the current weight for exactly this vote, and
    ///         reverts with the reason otherwise. Every signature given must be good; a bad one is never skipped.
    function check(
        bytes32 taskId,
        bytes32 statementDigest,
        bytes32 evidenceDigest,
        uint8 verdict,
        Certificate calldata certificate
    ) external view {
        if (verdict != VERDICT_ACCEPT && verdict != VERDICT_REJECT) revert VerdictInvalid(verdict);
        if (certificate.epoch != epoch || epoch == 0) revert EpochNotCurrent(certificate.epoch, epoch);
        bytes32 given = keccak256(abi.encode(certificate.epoch, certificate.members, certificate.weights));
        // Equal hashes mean the very arrays that setEpoch checked: ascending, no zero weight, equal lengths.
        if (given != setHash) revert SetUnknown(given, setHash);

        uint256 count = certificate.members.length;
        uint256 bitmap = certificate.bitmap;
        if (bitmap >> count != 0) revert BitmapOutOfRange(bitmap, count);

        bytes32 digest =
            voteDigest(certificate.epoch, taskId, certificate.round, statementDigest, evidenceDigest, verdict);
        uint256 used = 0;
        uint256 weight = 0;
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            total += certificate.weights[i];
            if ((bitmap >> i) & 1 == 0) continue;
            if (used == certificate.signatures.length) revert SignatureCountWrong(used + 1, used);
            _checkSignature(certificate.members[i], digest, certificate.signatures[used]);
            ++used;
            weight += certificate.weights[i];
        }
        if (used != certificate.signatures.length) revert SignatureCountWrong(used, certificate.signatures.length);
        if (3 * weight <= 2 * total) revert QuorumNotReached(weight, total);
    }

    /// @dev OpenZeppelin's ECDSA refuses lengths other than 65, v other than 27 and 28, high s and the zero address.
    function _checkSignature(address member, bytes32 digest, bytes calldata signature) private pure {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure != ECDSA.RecoverError.NoError) revert SignatureMalformed(member);
        if (recovered != member) revert SignerWrong(member, recovered);
    }
}
