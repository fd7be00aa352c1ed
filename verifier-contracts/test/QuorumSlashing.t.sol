// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Golden2} from "../generated/Golden2.sol";
import {BadProof, ProofEvidence} from "../src/quorum/BadProof.sol";
import {Bonds} from "../src/quorum/Bonds.sol";
import {Certificates} from "../src/quorum/Certificates.sol";
import {Epochs} from "../src/quorum/Epochs.sol";
import {Ballot, Quorum, Seat} from "../src/quorum/Quorum.sol";
import {Entry} from "../src/verifier/IVerifierRegistry.sol";
import {QuorumTest} from "./base/QuorumTest.sol";
import {SimulatedProof} from "./base/SimulatedProof.sol";

/// @notice A verifier that answers with what it was told to.
contract AnsweringVerifier {
    bytes private _answer;
    bool private _holds;

    constructor(bytes memory answer, bool holds) {
        _answer = answer;
        _holds = holds;
    }

    fallback() external {
        bytes memory answer = _answer;
        if (_holds) return;
        assembly ("memory-safe") {
            revert(add(answer, 0x20), mload(answer))
        }
    }
}

/// @notice A verifier that needs much more gas than a pairing before it asks the real one, as those with many signals do. So
///         there are amounts of gas at which it is starved, and looking into the points is not.
contract SlowVerifier {
    Golden2 private immutable _inner = new Golden2();

    function verifyProof(uint256[8] calldata proof, uint256[2] calldata signals) external view {
        bytes32 hash;
        for (uint256 i = 0; i < 2_000; ++i) {
            hash = keccak256(abi.encode(hash, i));
        }
        if (hash == 0) return;
        _inner.verifyProof(proof, signals);
    }
}

/// @notice Evidence against members: what is, and above all what is not.
contract QuorumSlashingTest is QuorumTest {
    address private constant _REPORTER = address(0x4e9);

    /// @dev A precompile burns all it is given for a malformed point, so what is given is little.
    uint256 private constant _AMPLE = 2_000_000;

    Golden2 private _verifier;
    bytes32 private _key;

    function setUp() public override {
        super.setUp();
        _verifier = new Golden2();
        _key = _verifier.KEY_DIGEST();
        _register(address(_verifier));
    }

    // ---- equivocation

    function test_TwoVotesInOneRoundCostTheBondsShare() public {
        _slashAs(_REPORTER, 3, 0);
        assertEq(_stake(_member(3)), BOND / 2, "half of it");
        // A tenth of what was slashed would be 0.5: the cap is below.
        assertEq(_quorum.owed(_REPORTER), 0.3 ether, "the reporter's share");
        assertEq(_quorum.owed(TREASURY), 4.7 ether, "the treasury's");
        assertTrue(_quorum.slashed(_quorum.offenceOf(1, _member(3), EPOCH, _task, 0)), "on record");
    }

    function test_VotesDifferInStatementEvidenceOrVerdict() public {
        Ballot memory first = Ballot(_statement, _evidence, 1, "");
        Ballot[3] memory others = [
            Ballot(keccak256("other"), _evidence, 1, ""),
            Ballot(_statement, keccak256("other"), 1, ""),
            Ballot(_statement, _evidence, 2, "")
        ];
        for (uint32 i = 0; i < 3; ++i) {
            Ballot memory one = _signed(2, i, first);
            Ballot memory other = _signed(2, i, others[i]);
            uint256 before = _stake(_member(2));
            _quorum.slashEquivocation(_seat(2), _task, i, one, other);
            assertEq(_stake(_member(2)), before / 2, "slashed");
        }
    }

    function test_Attack_EvidenceWithEqualVotes() public {
        (Ballot memory one,) = _conflict(3, 0);
        Seat memory seat = _seat(3);
        vm.expectRevert(Quorum.VotesEqual.selector);
        _quorum.slashEquivocation(seat, _task, 0, one, one);
        // Two spellings of one signature do not make two votes of it either.
        Ballot memory again = _signed(3, 0, Ballot(_statement, _evidence, 1, ""));
        again.signature[63] ^= 0x01;
        vm.expectRevert(Quorum.VotesEqual.selector);
        _quorum.slashEquivocation(seat, _task, 0, one, again);
    }

    function test_Attack_ReplayedEvidence() public {
        (Ballot memory one, Ballot memory other) = _conflict(3, 0);
        Ballot memory third = _signed(3, 0, Ballot(keccak256("third"), _evidence, 1, ""));
        Seat memory seat = _seat(3);
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        bytes memory refusal =
            abi.encodeWithSelector(Bonds.AlreadySlashed.selector, _quorum.offenceOf(1, _member(3), EPOCH, _task, 0));
        vm.expectRevert(refusal);
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        vm.expectRevert(refusal);
        _quorum.slashEquivocation(seat, _task, 0, other, one);
        // Other pairs of the same round.
        vm.expectRevert(refusal);
        _quorum.slashEquivocation(seat, _task, 0, one, third);
        vm.expectRevert(refusal);
        _quorum.slashEquivocation(seat, _task, 0, third, other);
        // Under the set of another epoch the same votes are nobody's.
        _quorum.setEpoch(2, _set());
        seat = Seat({epoch: 2, index: 3, members: _set()});
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashEquivocation(seat, _task, 0, one, other);
    }

    function test_APastEpochsVotesAreEvidenceToo() public {
        Seat memory seat = _seat(3);
        (Ballot memory one, Ballot memory other) = _conflict(3, 0);
        _quorum.setEpoch(2, abi.encodePacked(_member(0), uint96(1)));
        _quorum.setEpoch(9, abi.encodePacked(_member(1), uint96(1)));
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        assertEq(_stake(_member(3)), BOND / 2, "slashed");
    }

    /// @dev What was asked back, and even waited for, is slashed as long as it is here.
    function test_WhatIsUnbondingIsSlashedUntilItIsOut() public {
        vm.prank(_member(3));
        _quorum.requestUnbond(BOND - MINIMUM);
        vm.warp(block.timestamp + DELAY);
        _slash(3, 0);
        (uint96 bonded, uint96 unbonding,,) = _quorum.bonds(_member(3));
        assertEq(bonded, 0, "bonded");
        assertEq(unbonding, BOND / 2, "unbonding");
    }

    function test_SlashingStopsAtWhatThereIs() public {
        uint256 taken = 0;
        uint32 round = 0;
        for (; _stake(_member(3)) > 0; ++round) {
            uint256 before = _stake(_member(3));
            _slash(3, round);
            assertTrue(_stake(_member(3)) < before, "never nothing");
            taken += before - _stake(_member(3));
        }
        assertEq(taken, BOND, "all of it, and no more");
        assertEq(_quorum.owed(address(this)) + _quorum.owed(TREASURY), BOND, "owed");
        // Without money there is nothing to slash, and the offence is not used up.
        (Ballot memory one, Ballot memory other) = _conflict(3, round);
        Seat memory seat = _seat(3);
        vm.expectRevert(abi.encodeWithSelector(Bonds.NothingBonded.selector, _member(3)));
        _quorum.slashEquivocation(seat, _task, round, one, other);
        vm.deal(_member(3), 1 ether);
        vm.prank(_member(3));
        _quorum.bond{value: 1 ether}();
        _quorum.slashEquivocation(seat, _task, round, one, other);
        assertEq(_stake(_member(3)), 0.5 ether, "slashed later");
    }

    /// @dev Whatever the bond: the reporter's share is less than what the report costs, so a member gains nothing by it.
    function testFuzz_Attack_ReporterIsTheMember(uint256 excess) public {
        excess = bound(excess, 0, 1_000_000 ether);
        address member = _member(3);
        if (excess > 0) {
            vm.deal(member, excess);
            vm.prank(member);
            _quorum.bond{value: excess}();
        }
        uint256 before = _stake(member);
        _slashAs(member, 3, 0);
        uint256 lost = before - _stake(member);
        uint256 reward = _quorum.owed(member);
        assertTrue(reward <= lost / 2, "at least half is lost");
        assertEq(reward + _quorum.owed(TREASURY), lost, "and goes to the treasury");
    }

    function test_Attack_VotesOfAnotherMemberEpochTaskOrRound() public {
        (Ballot memory one, Ballot memory other) = _conflict(3, 0);
        Seat memory seat = _seat(4);
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignerWrong.selector, _member(4), _member(3)));
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        // One vote each of two members.
        (, Ballot memory foreign) = _conflict(4, 0);
        seat = _seat(3);
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignerWrong.selector, _member(3), _member(4)));
        _quorum.slashEquivocation(seat, _task, 0, one, foreign);
        // One vote each of two rounds, or tasks: that is what rounds are for.
        (, Ballot memory later) = _conflict(3, 1);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashEquivocation(seat, _task, 0, one, later);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashEquivocation(seat, keccak256("another task"), 0, one, other);
    }

    function test_Attack_VotesOfAnotherChainOrQuorum() public {
        (Ballot memory one, Ballot memory other) = _conflict(3, 0);
        Seat memory seat = _seat(3);
        vm.chainId(1);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        vm.chainId(31337);
        Quorum second = new Quorum(_parameters());
        for (uint256 i = 0; i < MEMBERS; ++i) {
            vm.deal(_member(i), MINIMUM);
            vm.prank(_member(i));
            second.bond{value: MINIMUM}();
        }
        second.setEpoch(EPOCH, _set());
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        second.slashEquivocation(seat, _task, 0, one, other);
    }

    function test_Attack_FalseSets() public {
        (Ballot memory one, Ballot memory other) = _conflict(3, 0);
        // A set that never was, with the signer in it.
        Seat memory seat = Seat({epoch: EPOCH, index: 0, members: abi.encodePacked(_member(3), uint96(1))});
        vm.expectPartialRevert(Epochs.SetUnknown.selector);
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        // An epoch that never was, with the hash of nothing.
        seat = Seat({epoch: 5, index: 3, members: _set()});
        vm.expectRevert(abi.encodeWithSelector(Epochs.EpochUnknown.selector, 5));
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        // Places behind the set's end are no members.
        for (uint256 i = MEMBERS; i < MEMBERS + 3; ++i) {
            seat = _seat(i);
            vm.expectRevert(abi.encodeWithSelector(Quorum.SeatInvalid.selector, i, MEMBERS));
            _quorum.slashEquivocation(seat, _task, 0, one, other);
        }
        seat = _seat(type(uint256).max / 32 + 4); // would wrap around to place 3
        vm.expectPartialRevert(Quorum.SeatInvalid.selector);
        _quorum.slashEquivocation(seat, _task, 0, one, other);
    }

    function test_Attack_WhatIsNoVote() public {
        (Ballot memory one, Ballot memory other) = _conflict(3, 0);
        Seat memory seat = _seat(3);
        // A member may sign anything that is no verdict; no certificate can be made of it.
        Ballot memory none = _signed(3, 0, Ballot(_statement, _evidence, 3, ""));
        vm.expectRevert(abi.encodeWithSelector(Certificates.VerdictInvalid.selector, 3));
        _quorum.slashEquivocation(seat, _task, 0, one, none);
        bytes memory good = other.signature;
        other.signature = new bytes(64);
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignatureMalformed.selector, _member(3)));
        _quorum.slashEquivocation(seat, _task, 0, one, other);
        other.signature = bytes.concat(good, hex"00");
        vm.expectRevert(abi.encodeWithSelector(Certificates.SignaturesLengthWrong.selector, 64, 65));
        _quorum.slashEquivocation(seat, _task, 0, one, other);
    }

    // ---- invalid acceptances

    function test_AnAcceptedFalseProofIsSlashed() public {
        ProofEvidence memory evidence = _good();
        evidence.signals[0] ^= 1;
        _expectSlashed(evidence);
    }

    function test_AnAcceptedSignalOutOfTheFieldIsSlashed() public {
        ProofEvidence memory evidence = _good();
        evidence.signals[0] += SimulatedProof.R;
        _expectSlashed(evidence);
    }

    function test_AnAcceptedPointAtInfinityIsSlashed() public {
        ProofEvidence memory evidence = _good();
        (evidence.proof[0], evidence.proof[1]) = (0, 0);
        _expectSlashed(evidence);
    }

    /// @dev The precompile's own refusals, each told from a lack of gas by the control.
    function test_AcceptedMalformedPointsAreSlashed() public {
        for (uint256 i = 0; i < 8; ++i) {
            ProofEvidence memory evidence = _good();
            evidence.proof[i] += SimulatedProof.Q; // the same point to careless software
            _expectSlashed(evidence);
            evidence = _good();
            evidence.proof[i] ^= 1; // off its curve
            _expectSlashed(evidence);
        }
        // On the twist's curve and outside the subgroup (test/chain/simulated.ts finds it: x = 2 + u).
        ProofEvidence memory outside = _good();
        (outside.proof[2], outside.proof[3], outside.proof[4], outside.proof[5]) = _wrongSubgroup();
        _expectSlashed(outside);
    }

    /// forge-config: default.fuzz.runs = 48
    function testFuzz_AnAcceptedGoodProofIsNotSlashed(uint256 a, uint256 x, uint256 y) public {
        uint256[] memory signals = new uint256[](2);
        (signals[0], signals[1]) = (x % SimulatedProof.R, y % SimulatedProof.R);
        uint256[8] memory proof = SimulatedProof.prove(signals, bound(a, 1, SimulatedProof.R - 1));
        _expectRefused(ProofEvidence(_key, signals, proof), abi.encodeWithSelector(BadProof.ProofHolds.selector));
    }

    /// @dev The heart of it: at no amount of gas does a good proof look bad. Every answer must be one that says so, and the
    ///      scan must have met those that a lack of gas gives.
    function test_Attack_GasGriefingOfAGoodProof() public {
        (bool holds, bool starved, uint256 slashes) = _scan(_good(), 20_000, 1_000_000, 7_001);
        assertEq(slashes, 0, "a good proof was slashed");
        assertTrue(holds, "no amount was enough");
        assertTrue(starved, "no amount was too little");
    }

    /// @dev With a verifier that is starved while the points can be looked at: they are well formed.
    function test_Attack_GasGriefingOfASlowVerifier() public {
        _register(address(new SlowVerifier()));
        ProofEvidence memory evidence = _good();
        (bool holds, bool starved, uint256 slashes) = _scan(evidence, 20_000, 2_400_000, 25_013);
        assertEq(slashes, 0, "a good proof was slashed");
        assertTrue(holds, "no amount was enough");
        assertTrue(starved, "no amount was too little");
        assertTrue(_sawWellFormed, "no amount starved the verifier alone");
    }

    /// forge-config: default.fuzz.runs = 100
    function testFuzz_Attack_GasGriefing(uint256 gasLimit, bool slow) public {
        if (slow) _register(address(new SlowVerifier()));
        ProofEvidence memory evidence = _good();
        (bool ok,) = address(_quorum).call{gas: bound(gasLimit, 0, 3_000_000)}(_report(evidence));
        assertFalse(ok, "a good proof was slashed");
    }

    /// @dev The other way round: with enough gas a malformed proof is always slashed, with less never half.
    function test_MalformedPointsAreSlashedFromSomeAmountOfGasOn() public {
        ProofEvidence memory evidence = _good();
        evidence.proof[0] ^= 1;
        bytes memory data = _report(evidence);
        bool before = false;
        uint256 least = 0;
        for (uint256 amount = 100_000; amount < 1_200_000; amount += 20_011) {
            uint256 state = vm.snapshotState();
            (bool ok,) = address(_quorum).call{gas: amount}(data);
            assertTrue(ok || !before, "refused with more gas");
            if (ok && !before) least = amount;
            before = ok;
            vm.revertToState(state);
        }
        assertTrue(before && least > 300_000, "from some amount on");
    }

    /// @dev A chain on which pairings fail, or are not there: nothing about anybody's proof.
    function test_Attack_NoPairings() public {
        ProofEvidence memory evidence = _good();
        vm.mockCallRevert(address(8), "", "");
        _expectRefused(evidence, abi.encodeWithSelector(BadProof.ControlFailed.selector));
        vm.mockCall(address(8), "", "");
        _expectRefused(evidence, abi.encodeWithSelector(BadProof.ControlFailed.selector));
    }

    function test_Attack_FrozenVerifier() public {
        // Neither a bad proof nor a good one says anything once the key is frozen.
        Entry memory entry = _entry(address(_verifier));
        entry.frozen = true;
        _registry.set(_key, entry);
        ProofEvidence memory evidence = _good();
        _expectRefused(evidence, abi.encodeWithSelector(Quorum.KeyFrozen.selector, _key));
        evidence.signals[0] ^= 1;
        _expectRefused(evidence, abi.encodeWithSelector(Quorum.KeyFrozen.selector, _key));
    }

    function test_Attack_UnknownKey() public {
        ProofEvidence memory evidence = _good();
        evidence.keyDigest = keyDigestOf("nobody's");
        _expectRefused(evidence, abi.encodeWithSelector(Quorum.KeyUnknown.selector, evidence.keyDigest));
    }

    function test_Attack_AbsentVerifier() public {
        _register(address(0xdead));
        _expectRefused(_good(), abi.encodeWithSelector(BadProof.VerifierWithoutCode.selector, address(0xdead)));
    }

    function test_Attack_RevertingVerifier() public {
        bytes[9] memory answers = [
            bytes(""),
            hex"00",
            abi.encodePacked(bytes4(keccak256("DevelopmentKeyLocked(uint256)")), uint256(1)),
            abi.encodePacked(bytes4(keccak256("CalldataSizeWrong(uint256,uint256)")), uint256(1), uint256(2)),
            abi.encodePacked(bytes4(keccak256("Panic(uint256)")), uint256(1)),
            abi.encodePacked(bytes3(bytes4(keccak256("ProofInvalid()")))), // cut short
            abi.encodePacked(bytes4(keccak256("ProofInvalid()")), hex"00"),
            abi.encodePacked(bytes4(keccak256("PublicSignalNotInField(uint256)"))),
            abi.encodePacked(bytes4(keccak256("KeyFrozen(bytes32)")), bytes32(0))
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            _register(address(new AnsweringVerifier(answers[i], false)));
            _expectRefused(_good(), abi.encodeWithSelector(BadProof.AnswerInconclusive.selector, answers[i]));
        }
        _register(address(new AnsweringVerifier("", true)));
        _expectRefused(_good(), abi.encodeWithSelector(BadProof.ProofHolds.selector));
    }

    /// @dev A verifier whose precompiles are said to fail does not get anybody slashed whose points are well formed.
    function test_Attack_VerifierThatAlwaysSaysPrecompileFailed() public {
        _register(address(new AnsweringVerifier(abi.encodePacked(bytes4(keccak256("PrecompileFailed()"))), false)));
        _expectRefused(_good(), abi.encodeWithSelector(BadProof.PointsWellFormed.selector));
        ProofEvidence memory evidence = _good();
        evidence.signals[0] ^= 1;
        _expectRefused(evidence, abi.encodeWithSelector(BadProof.PointsWellFormed.selector));
    }

    /// @dev A development key's verifier is locked elsewhere: that says nothing about the proof.
    function test_Attack_DevelopmentKeyOnAnotherChain() public {
        vm.chainId(1);
        bytes memory answer = abi.encodePacked(bytes4(keccak256("DevelopmentKeyLocked(uint256)")), uint256(1));
        ProofEvidence memory evidence = _good();
        _expectRefused(evidence, abi.encodeWithSelector(BadProof.AnswerInconclusive.selector, answer));
        evidence.signals[0] ^= 1;
        _expectRefused(evidence, abi.encodeWithSelector(BadProof.AnswerInconclusive.selector, answer));
    }

    function test_Attack_EvidenceThatIsNotTheVotes() public {
        ProofEvidence memory bad = _good();
        bad.signals[0] ^= 1;
        // The member accepted the good proof; somebody shows a bad one.
        bytes memory signature = _acceptance(_good());
        Seat memory seat = _seat(5);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashInvalidAcceptance(seat, _task, 0, _statement, signature, bad);
        // Another statement, round, task or member.
        signature = _acceptance(bad);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashInvalidAcceptance(seat, _task, 0, keccak256("other"), signature, bad);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashInvalidAcceptance(seat, _task, 1, _statement, signature, bad);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashInvalidAcceptance(seat, keccak256("other"), 0, _statement, signature, bad);
        seat = _seat(4);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashInvalidAcceptance(seat, _task, 0, _statement, signature, bad);
    }

    function test_Attack_ARejectionIsNoAcceptance() public {
        ProofEvidence memory bad = _good();
        bad.signals[0] ^= 1;
        bytes memory signature = _sign(_secrets[5], _digest(0, _statement, _quorum.evidenceDigestOf(bad), 2));
        Seat memory seat = _seat(5);
        vm.expectPartialRevert(Certificates.SignerWrong.selector);
        _quorum.slashInvalidAcceptance(seat, _task, 0, _statement, signature, bad);
    }

    /// @dev Digests of two lists of signals are not one: the number of them is hashed too.
    function test_Attack_SignalsMovedIntoTheProof() public {
        ProofEvidence memory evidence = _good();
        evidence.signals = new uint256[](3);
        _expectRefused(evidence, abi.encodeWithSelector(BadProof.EvidenceSignalsWrong.selector, 2, 3));
        evidence.signals = new uint256[](0);
        _expectRefused(evidence, abi.encodeWithSelector(BadProof.EvidenceSignalsWrong.selector, 2, 0));
    }

    function test_Attack_ReplayedInvalidAcceptance() public {
        ProofEvidence memory bad = _good();
        bad.signals[0] ^= 1;
        _expectSlashed(bad);
        bytes memory refusal =
            abi.encodeWithSelector(Bonds.AlreadySlashed.selector, _quorum.offenceOf(2, _member(5), EPOCH, _task, 0));
        _expectRefusedInRound(bad, 0, refusal);
        // Another bad proof in the same round is an equivocation, and not this again.
        bad.signals[0] ^= 2;
        _expectRefusedInRound(bad, 0, refusal);
    }

    // ---- helpers

    bool private _sawWellFormed;
    uint32 private _round;

    function keyDigestOf(string memory label) private pure returns (bytes32) {
        return keccak256(bytes(label));
    }

    function _entry(address verifier) private view returns (Entry memory entry) {
        entry.verifier = verifier;
        entry.development = true;
        entry.signals = 2;
        entry.statementType = keccak256("type");
        entry.circuitDigest = _verifier.CIRCUIT_DIGEST();
    }

    function _register(address verifier) private {
        _registry.set(_key, _entry(verifier));
    }

    function _good() private view returns (ProofEvidence memory) {
        uint256[] memory signals = new uint256[](2);
        (signals[0], signals[1]) = (7, 11);
        return ProofEvidence(_key, signals, SimulatedProof.prove(signals, 5));
    }

    /// @dev Member 5's acceptance of this proof in round 0.
    function _acceptance(ProofEvidence memory evidence) private view returns (bytes memory) {
        return _sign(_secrets[5], _digest(0, _statement, _quorum.evidenceDigestOf(evidence), 1));
    }

    function _reportInRound(ProofEvidence memory evidence, uint32 round) private view returns (bytes memory) {
        bytes memory signature = _sign(_secrets[5], _digest(round, _statement, _quorum.evidenceDigestOf(evidence), 1));
        return abi.encodeCall(Quorum.slashInvalidAcceptance, (_seat(5), _task, round, _statement, signature, evidence));
    }

    function _report(ProofEvidence memory evidence) private view returns (bytes memory) {
        return _reportInRound(evidence, 0);
    }

    /// @dev In a round of its own.
    function _expectSlashed(ProofEvidence memory evidence) private {
        uint256 before = _stake(_member(5));
        bytes memory data = _reportInRound(evidence, _round++);
        vm.prank(_REPORTER);
        (bool ok,) = address(_quorum).call{gas: _AMPLE}(data);
        assertTrue(ok, "not slashed");
        assertEq(_stake(_member(5)), before / 2, "half of it");
    }

    function _expectRefused(ProofEvidence memory evidence, bytes memory reason) private {
        _expectRefusedInRound(evidence, _round++, reason);
    }

    function _expectRefusedInRound(ProofEvidence memory evidence, uint32 round, bytes memory reason) private {
        uint256 before = _stake(_member(5));
        (bool ok, bytes memory answer) = address(_quorum).call{gas: _AMPLE}(_reportInRound(evidence, round));
        assertFalse(ok, "slashed");
        assertEq(keccak256(answer), keccak256(reason), "reason");
        assertEq(_stake(_member(5)), before, "stake");
    }

    /// @dev Reports a good proof with every amount of gas in the range.
    function _scan(ProofEvidence memory evidence, uint256 from, uint256 to, uint256 step)
        private
        returns (bool holds, bool starved, uint256 slashes)
    {
        bytes memory data = _report(evidence);
        for (uint256 amount = from; amount < to; amount += step) {
            (bool ok, bytes memory answer) = address(_quorum).call{gas: amount}(data);
            if (ok) ++slashes;
            // forge-lint: disable-next-line(unsafe-typecast) -- the selector is what is wanted
            bytes4 reason = bytes4(answer);
            if (reason == BadProof.ProofHolds.selector) holds = true;
            if (reason == BadProof.PointsWellFormed.selector) _sawWellFormed = true;
            if (
                reason == BadProof.ControlFailed.selector || reason == BadProof.PointsWellFormed.selector
                    || reason == BadProof.AnswerInconclusive.selector
            ) starved = true;
        }
    }

    function _wrongSubgroup() private pure returns (uint256 xc1, uint256 xc0, uint256 yc1, uint256 yc0) {
        return (
            1,
            2,
            19659275751359636165940301690575149581329631496732780143538578556285923319774,
            7292567877523311580221095596750716176434782432868683424513645834767876293070
        );
    }
}
