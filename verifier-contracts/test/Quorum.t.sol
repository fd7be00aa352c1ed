// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Certificate} from "../src/quorum/IQuorum.sol";
import {Quorum} from "../src/quorum/Quorum.sol";
import {Certificates} from "../src/quorum/Certificates.sol";
import {Epochs} from "../src/quorum/Epochs.sol";
import {Bonds} from "../src/quorum/Bonds.sol";
import {Wallet} from "./base/Vm.sol";
import {QuorumTest} from "./base/QuorumTest.sol";

/// @notice Epochs and certificates. test/chain/quorum.test.ts holds them against src/protocol.
contract QuorumCertificatesTest is QuorumTest {
    uint256 private constant _N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    // ---- certificates

    /// @dev Against arithmetic as plain as can be: every subset, whatever the weights.
    function testFuzz_CountsAsThePlainSumDoes(uint256 bitmap, uint256 seed) public {
        bitmap = bound(bitmap, 0, 2 ** MEMBERS - 1);
        uint256 weight = 0;
        uint256 total = 0;
        for (uint256 i = 0; i < MEMBERS; ++i) {
            // From single units to the largest weight, so that one can outweigh all others.
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            _weights[i] = uint96(bound(random, 1, 2 ** bound(random >> 128, 1, 96) - 1));
            total += _weights[i];
            if ((bitmap >> i) & 1 == 1) weight += _weights[i];
        }
        _quorum.setEpoch(2, _set());
        Certificate memory certificate = _second(bitmap);
        if (3 * weight <= 2 * total) {
            vm.expectRevert(abi.encodeWithSelector(Certificates.QuorumNotReached.selector, weight, total));
        }
        _check(certificate);
    }

    /// @dev In epoch 2.
    function _second(uint256 bitmap) private view returns (Certificate memory) {
        bytes32 digest = _quorum.voteDigest(2, _task, 0, _statement, _evidence, 1);
        return Certificate(2, 0, bitmap, _set(), _signatures(digest, bitmap));
    }

    function test_ExactlyTwoThirdsAreNotEnough() public {
        _weights = [uint96(10), 10, 10, 10, 10, 10, 30];
        _quorum.setEpoch(2, _set());
        Certificate memory certificate = _second(0x3f);
        vm.expectRevert(abi.encodeWithSelector(Certificates.QuorumNotReached.selector, 60, 90));
        _check(certificate);
        _check(_second(0x7f));
    }

    /// @dev Whatever byte of whatever part is changed, the certificate no longer passes.
    function testFuzz_NoByteCanBeChanged(uint256 part, uint256 place, uint8 by) public {
        by = uint8(bound(by, 1, 255));
        Certificate memory certificate = _certificate(0x7f);
        _check(certificate);
        part = bound(part, 0, 4);
        if (part == 0) _change(certificate.signatures, place, by);
        if (part == 1) _change(certificate.members, place, by);
        if (part == 2) certificate.bitmap ^= uint256(by) << (8 * bound(place, 0, 31));
        if (part == 3) certificate.epoch ^= by;
        if (part == 4) certificate.round ^= by;
        vm.expectRevert();
        _check(certificate);
    }

    function testFuzz_NoDigestCanBeChanged(uint256 part, uint256 by) public {
        by = bound(by, 1, type(uint256).max);
        Certificate memory certificate = _certificate(0x7f);
        part = bound(part, 0, 2);
        if (part == 0) _task ^= bytes32(by);
        if (part == 1) _statement ^= bytes32(by);
        if (part == 2) _evidence ^= bytes32(by);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _check(certificate);
    }

    /// @dev The other s of the same signature does not fit the compact form's 255 bits; cut to them it is another signature.
    ///      The few values between half the order and 2^255 are refused by comparison.
    function test_Attack_SignatureMalleability() public {
        bytes32 digest = _quorum.voteDigest(EPOCH, _task, 0, _statement, _evidence, 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_secrets[0], digest);
        uint256 twin = _N - uint256(s);
        uint256 flipped = uint256(28 - v) << 255;
        bytes memory others = _signatures(digest, 0x7e);
        Certificate memory certificate = _certificate(0x7f);
        uint256[5] memory spellings =
            [twin, flipped | (twin & (2 ** 255 - 1)), flipped | uint256(s), flipped | (_N / 2 + 1), flipped];
        for (uint256 i = 0; i < spellings.length; ++i) {
            certificate.signatures = bytes.concat(r, bytes32(spellings[i]), others);
            vm.expectRevert();
            _check(certificate);
        }
        certificate.signatures = bytes.concat(r, bytes32(_N / 2 + 1), others);
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignatureMalformed.selector, _member(0)));
        _check(certificate);
    }

    /// @dev A vote's digest does not depend on the key, so a key can be made for which s just above half the order is right.
    function test_Attack_HighSThatFitsTheCompactForm() public {
        bytes32 digest = _quorum.voteDigest(2, _task, 0, _statement, _evidence, 1);
        Wallet memory nonce = vm.createWallet(12345);
        (uint256 r, uint256 s) = (nonce.publicKeyX, _N / 2 + 1);
        uint256 secret = mulmod(addmod(mulmod(s, nonce.privateKey, _N), _N - uint256(digest) % _N, _N), _inverse(r), _N);
        address member = vm.addr(secret);
        assertEq(ecrecover(digest, 27 + uint8(nonce.publicKeyY & 1), bytes32(r), bytes32(s)), member, "a signature");
        vm.deal(member, MINIMUM);
        vm.prank(member);
        _quorum.bond{value: MINIMUM}();
        bytes memory set = abi.encodePacked(member, uint96(1));
        _quorum.setEpoch(2, set);
        bytes memory high = abi.encode(r, s | ((nonce.publicKeyY & 1) << 255));
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignatureMalformed.selector, member));
        _check(Certificate(2, 0, 1, set, high));
        _check(Certificate(2, 0, 1, set, _sign(secret, digest)));
    }

    /// @dev Modulo the order of secp256k1.
    function _inverse(uint256 value) private view returns (uint256) {
        (bool ok, bytes memory inverse) =
            address(5).staticcall(abi.encode(uint256(32), uint256(32), uint256(32), value, _N - 2, _N));
        assertTrue(ok, "modexp");
        return abi.decode(inverse, (uint256));
    }

    function test_Attack_DuplicateSigner() public {
        bytes32 digest = _quorum.voteDigest(EPOCH, _task, 0, _statement, _evidence, 1);
        bytes memory own = _sign(_secrets[6], digest);
        Certificate memory certificate = _certificate(0x7f);
        certificate.signatures = bytes.concat(own, own, own, bytes.concat(own, own, own, own));
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignerWrong.selector, _member(0), _member(6)));
        _check(certificate);
    }

    /// @dev ecrecover answers nothing to what is no signature; the answer before it must not be taken for one.
    function test_Attack_NoSignatureAfterAGoodOne() public {
        bytes32 digest = _quorum.voteDigest(EPOCH, _task, 0, _statement, _evidence, 1);
        for (uint256 i = 1; i < MEMBERS; ++i) {
            Certificate memory certificate = _certificate(0x7f);
            certificate.signatures = bytes.concat(
                _signatures(digest, 2 ** i - 1), new bytes(64), _signatures(digest, 0x7f & ~(2 ** (i + 1) - 1))
            );
            vm.expectRevert(abi.encodeWithSelector(Certificates.SignatureMalformed.selector, _member(i)));
            _check(certificate);
        }
    }

    function test_Attack_BitmapBeyondTheMembers() public {
        Certificate memory certificate = _certificate(0x7f);
        for (uint256 i = MEMBERS; i < 256; ++i) {
            certificate.bitmap = 0x7f | 2 ** i;
            vm.expectRevert(abi.encodeWithSelector(Certificates.BitmapOutOfRange.selector, certificate.bitmap, MEMBERS));
            _check(certificate);
        }
    }

    function test_Attack_SignaturesMissingOrLeftOver() public {
        Certificate memory certificate = _certificate(0x7f);
        for (uint256 i = 0; i < MEMBERS; ++i) {
            certificate.bitmap = 0x7f ^ 2 ** i;
            vm.expectRevert(abi.encodeWithSelector(Certificates.SignaturesLengthWrong.selector, 384, 448));
            _check(certificate);
        }
        certificate = _certificate(0x3f);
        certificate.bitmap = 0x7f;
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignaturesLengthWrong.selector, 448, 384));
        _check(certificate);
    }

    function test_Attack_OtherEpochsSet() public {
        bytes memory before = _set();
        _weights[0] = 1_000_000;
        _quorum.setEpoch(2, _set());
        // Yesterday's certificate, with all there was.
        Certificate memory certificate = _certificate(0x7f);
        certificate.members = before;
        vm.expectRevert(abi.encodeWithSelector(Certificates.EpochNotCurrent.selector, 1, 2));
        _check(certificate);
        // Today's votes under yesterday's weights.
        bytes32 digest = _quorum.voteDigest(2, _task, 0, _statement, _evidence, 1);
        bytes32 given = keccak256(abi.encodePacked(uint64(2), before));
        bytes32 stored = _quorum.setHashOf(2);
        vm.expectRevert(abi.encodeWithSelector(Epochs.SetUnknown.selector, given, stored));
        _check(Certificate(2, 0, 0x7e, before, _signatures(digest, 0x7e)));
    }

    function test_Attack_ReorderedSet() public {
        Certificate memory certificate = _certificate(0x7f);
        bytes memory members = certificate.members;
        assembly ("memory-safe") {
            let first := mload(add(members, 0x20))
            mstore(add(members, 0x20), mload(add(members, 0x40)))
            mstore(add(members, 0x40), first)
        }
        vm.expectPartialRevert(Epochs.SetUnknown.selector);
        _check(certificate);
    }

    function test_Attack_VotesOfAnotherChain() public {
        Certificate memory certificate = _certificate(0x7f);
        vm.chainId(1);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _check(certificate);
        _check(_certificate(0x7f)); // signed for this one
    }

    function test_Attack_VotesForAnotherQuorum() public {
        Certificate memory certificate = _certificate(0x7f);
        Quorum second = new Quorum(_parameters());
        for (uint256 i = 0; i < MEMBERS; ++i) {
            vm.deal(_member(i), MINIMUM);
            vm.prank(_member(i));
            second.bond{value: MINIMUM}();
        }
        second.setEpoch(EPOCH, _set());
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        second.check(_task, _statement, _evidence, 1, certificate);
    }

    function test_Attack_VotesOfAnotherRound() public {
        Certificate memory certificate = _certificate(0x7f);
        certificate.round = 1;
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _check(certificate);
    }

    function test_RejectionsAreCertifiedTooButAreNoAcceptances() public {
        bytes32 digest = _quorum.voteDigest(EPOCH, _task, 0, _statement, _evidence, 2);
        Certificate memory certificate = Certificate(EPOCH, 0, 0x7f, _set(), _signatures(digest, 0x7f));
        _quorum.check(_task, _statement, _evidence, 2, certificate);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _check(certificate);
        for (uint8 verdict = 0; verdict < 255; ++verdict) {
            if (verdict == 1 || verdict == 2) continue;
            vm.expectRevert(abi.encodeWithSelector(Certificates.VerdictInvalid.selector, verdict));
            _quorum.check(_task, _statement, _evidence, verdict, certificate);
        }
    }

    // ---- epochs

    function test_NothingPassesBeforeTheFirstEpoch() public {
        Quorum fresh = new Quorum(_parameters());
        vm.expectRevert(abi.encodeWithSelector(Certificates.EpochNotCurrent.selector, 0, 0));
        fresh.check(_task, _statement, _evidence, 1, Certificate(0, 0, 0, "", ""));
    }

    function testFuzz_AnEpochsNumberGoesUp(uint64 number, uint64 next) public {
        number = uint64(bound(number, EPOCH + 1, type(uint64).max));
        next = uint64(bound(next, 0, number));
        bytes memory set = _set();
        _quorum.setEpoch(number, set);
        vm.expectRevert(abi.encodeWithSelector(Epochs.EpochNotAscending.selector, next, number));
        _quorum.setEpoch(next, set);
    }

    function test_EveryEpochsHashIsKept() public {
        bytes memory first = _set();
        bytes32 hash = keccak256(abi.encodePacked(EPOCH, first));
        assertEq(_quorum.setHashOf(EPOCH), hash, "first");
        _weights[3] = 99;
        _quorum.setEpoch(7, _set());
        assertEq(_quorum.setHashOf(EPOCH), hash, "first, replaced");
        assertEq(_quorum.setHashOf(7), keccak256(abi.encodePacked(uint64(7), _set())), "second");
        assertEq(_quorum.setHashOf(2), bytes32(0), "never set");
    }

    function testFuzz_OnlyTheOwnerSetsEpochs(address caller) public {
        vm.assume(caller != address(this));
        bytes memory set = _set();
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        _quorum.setEpoch(2, set);
    }

    function test_MalformedSetsAreRefused() public {
        bytes memory set = _set();
        uint256[5] memory lengths = [uint256(0), 1, 31, 33, 257 * 32];
        for (uint256 i = 0; i < lengths.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Epochs.MembersInvalid.selector, lengths[i]));
            _quorum.setEpoch(2, new bytes(lengths[i]));
        }
        vm.expectRevert(abi.encodeWithSelector(Epochs.MembersNotAscending.selector, 0));
        _quorum.setEpoch(2, abi.encodePacked(address(0), uint96(1)));
        vm.expectRevert(abi.encodeWithSelector(Epochs.MembersNotAscending.selector, 7));
        _quorum.setEpoch(2, bytes.concat(set, abi.encodePacked(_member(6), uint96(1))));
        vm.expectRevert(abi.encodeWithSelector(Epochs.MembersNotAscending.selector, 1));
        _quorum.setEpoch(2, abi.encodePacked(_member(1), uint96(1), _member(0), uint96(1)));
        vm.expectRevert(abi.encodeWithSelector(Epochs.WeightZero.selector, 0));
        _quorum.setEpoch(2, abi.encodePacked(_member(0), uint96(0)));
    }

    function test_MembersNeedTheMinimumBond() public {
        vm.prank(_member(2));
        _quorum.requestUnbond(BOND - MINIMUM);
        _quorum.setEpoch(2, _set());
        vm.prank(_member(2));
        _quorum.requestUnbond(1);
        bytes memory set = _set();
        vm.expectRevert(abi.encodeWithSelector(Bonds.MemberBondTooSmall.selector, _member(2), MINIMUM - 1, MINIMUM));
        _quorum.setEpoch(3, set);
    }

    function test_AnEpochEndsByItself() public {
        Certificate memory certificate = _certificate(0x7f);
        uint256 end = block.timestamp + _quorum.MAX_EPOCH_DURATION();
        assertEq(_quorum.endOf(EPOCH), end, "end");
        vm.warp(end - 1);
        _check(certificate);
        vm.warp(end);
        vm.expectRevert(abi.encodeWithSelector(Certificates.EpochOver.selector, EPOCH, end));
        _check(certificate);
        // Replaced later, it still ended then.
        vm.warp(end + 5 days);
        _quorum.setEpoch(2, _set());
        assertEq(_quorum.endOf(EPOCH), end, "end of the first");
        vm.warp(end + 6 days);
        _quorum.setEpoch(3, _set());
        assertEq(_quorum.endOf(2), end + 6 days, "end of the second");
        assertEq(_quorum.endOf(EPOCH), end, "end of the first, later");
    }

    function test_TheOwnersOfficeIsHandedOnInTwoStepsAndNotGivenUp() public {
        vm.expectRevert(Epochs.OwnershipNotRenounceable.selector);
        _quorum.renounceOwnership();
        _quorum.transferOwnership(_member(0));
        assertEq(_quorum.owner(), address(this), "not before it is accepted");
        vm.prank(_member(0));
        _quorum.acceptOwnership();
        assertEq(_quorum.owner(), _member(0), "accepted");
    }

    function _change(bytes memory data, uint256 place, uint8 by) private pure {
        place = bound(place, 0, data.length - 1);
        data[place] = bytes1(uint8(data[place]) ^ by);
    }
}
