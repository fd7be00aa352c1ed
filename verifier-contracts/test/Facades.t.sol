// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7992Storage, IERC7992Verifier} from "../src/facades/IERC7992.sol";
import {AttestedKey, LazaiVerifier, TaskRequest} from "../src/facades/LazaiVerifier.sol";
import {IValidationRegistry, ValidationResponder, ValidationResponse} from "../src/facades/ValidationResponder.sol";
import {ZkmlVerifier} from "../src/facades/ZkmlVerifier.sol";
import {Statements, Task} from "../src/gate/Statements.sol";
import {Certificate} from "../src/quorum/IQuorum.sol";
import {Test} from "./base/Test.sol";
import {QuorumTwin} from "./twins/QuorumTwin.sol";
import {RegistryTwin} from "./twins/RegistryTwin.sol";
import {ValidationRegistry} from "./twins/ValidationRegistry.sol";

bytes32 constant KEY = keccak256("key");
bytes32 constant MODEL = keccak256("model");
bytes32 constant EVIDENCE = keccak256("evidence");

function someProof(uint256 seed) pure returns (uint256[8] memory proof) {
    for (uint256 i = 0; i < 8; ++i) {
        proof[i] = uint256(keccak256(abi.encode(seed, i)));
    }
}

contract LazaiVerifierTest is Test {
    uint256 private constant _PAYEE = 0xa11ce;
    uint256 private constant _ENCLAVE = 0xe9c1;
    uint256 private constant _WINDOW = 1 hours;

    RegistryTwin private _registry;
    QuorumTwin private _quorum;
    LazaiVerifier private _verifier;

    function setUp() public {
        vm.warp(1_700_000_000);
        _registry = new RegistryTwin();
        _quorum = new QuorumTwin();
        _registry.put(KEY, Statements.TYPE_INFERENCE, 0, MODEL);
        _verifier = new LazaiVerifier(_registry, _quorum, _WINDOW);
    }

    // ------------------------------------------------------------------ ZK

    function test_AProofMakesAResult(uint256 output) public {
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        assertFalse(_valid(request), "valid before");
        _prove(request, output);
        assertTrue(_valid(request), "not valid after");
        assertEq(_verifier.resultOf(_verifier.taskIdOf(request)).output, output, "output");
    }

    function test_AProofOfAnotherOutputIsRefused(uint256 output, uint256 claimed) public {
        vm.assume(output != claimed);
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        uint256[] memory signals = _signals(request, output);
        uint256[8] memory proof = _registry.prove(KEY, signals);
        bytes memory id = _id(request);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _verifier.submitZKProof(id, abi.encode(request, claimed, proof), abi.encodePacked(signals));
    }

    /// @dev LazAI's interface takes the prover's public signals; what counts is rebuilt.
    function test_TheProversSignalsDecideNothing(uint256 output, uint8 which, uint256 change) public {
        vm.assume(change != 0);
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        uint256[] memory signals = _signals(request, output);
        uint256[8] memory proof = _registry.prove(KEY, signals);
        unchecked {
            signals[which % 3] += change;
        }
        bytes memory id = _id(request);
        vm.expectRevert(LazaiVerifier.SignalsMismatch.selector);
        _verifier.submitZKProof(id, abi.encode(request, output, proof), abi.encodePacked(signals));
    }

    function test_NobodyAnswersAnotherQuestionUnderAnId(uint8 field) public {
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        bytes memory id = _id(request);
        field = field % 8;
        if (field == 0) request.requester = address(0xbad);
        if (field == 1) request.payee = address(0xbad);
        if (field == 2) request.keyDigest = keccak256("other");
        if (field == 3) request.modelDigest = keccak256("other");
        if (field == 4) request.inputCommitment++;
        if (field == 5) request.mode = 3;
        if (field == 6) request.nonce++;
        if (field == 7) request.deadline++;
        uint256[] memory signals = _signals(request, 7);
        uint256[8] memory proof = _registry.prove(KEY, signals);
        bytes32 expected = _verifier.taskIdOf(request);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.TaskIdInvalid.selector, expected, id));
        _verifier.submitZKProof(id, abi.encode(request, 7, proof), abi.encodePacked(signals));
    }

    function test_AnIdIsOfOneContractAndOneChain() public {
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        bytes32 id = _verifier.taskIdOf(request);
        LazaiVerifier second = new LazaiVerifier(_registry, _quorum, _WINDOW);
        assertTrue(second.taskIdOf(request) != id, "another contract");
        vm.chainId(block.chainid + 1);
        assertTrue(_verifier.taskIdOf(request) != id, "another chain");
    }

    function test_AProofIsTakenUntilTheDeadline() public {
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        vm.warp(request.deadline);
        _prove(request, 1);
        request.nonce++;
        uint256[] memory signals = _signals(request, 1);
        uint256[8] memory proof = _registry.prove(KEY, signals);
        bytes memory id = _id(request);
        vm.warp(request.deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(LazaiVerifier.DeadlinePassed.selector, request.deadline, request.deadline + 1)
        );
        _verifier.submitZKProof(id, abi.encode(request, 1, proof), abi.encodePacked(signals));
    }

    function test_AKeyOfAnotherModelIsRefused() public {
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        request.modelDigest = keccak256("other");
        uint256[] memory signals = _signals(request, 1);
        uint256[8] memory proof = _registry.prove(KEY, signals);
        bytes memory id = _id(request);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.ModelDigestMismatch.selector, MODEL, request.modelDigest));
        _verifier.submitZKProof(id, abi.encode(request, 1, proof), abi.encodePacked(signals));
    }

    function test_AnIdOfAnotherLengthIsRefused() public {
        TaskRequest memory request = _request(_verifier.MODE_ZK());
        bytes memory id = bytes.concat(_id(request), hex"00");
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.WordExpected.selector, id));
        _verifier.submitZKProof(id, abi.encode(request, 1, someProof(1)), "");
        assertFalse(_verifier.verifyResult(id), "an id of 33 bytes");
        assertFalse(_verifier.verifyResult(""), "an empty id");
    }

    function test_AModeThatIsNoneIsRefused(uint8 mode) public {
        vm.assume(mode == 0 || mode > 4);
        TaskRequest memory request = _request(mode);
        bytes memory id = _id(request);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.ModeInvalid.selector, mode));
        _verifier.submitZKProof(id, abi.encode(request, 1, someProof(1)), "");
    }

    // ------------------------------------------------------------------ TEE

    function test_AnAttestedKeyMakesAResult() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        _claim(request, 5, _ENCLAVE);
        assertTrue(_valid(request), "not valid");
    }

    function test_AKeyThatNobodyCertifiedIsRefused() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 5, _ENCLAVE);
        bytes memory report = _report(request, _key(_ENCLAVE));
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
    }

    /// @dev The peer's hole: a signature over the text alone, by whichever key the answer names.
    function test_AnotherKeysSignatureIsRefused() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        AttestedKey memory key = _certify(_ENCLAVE);
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 5, 0xbad);
        bytes memory report = _report(request, key);
        vm.expectRevert(
            abi.encodeWithSelector(LazaiVerifier.ResultSignerWrong.selector, vm.addr(_ENCLAVE), vm.addr(0xbad))
        );
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
        signature = _sign(request, 6, _ENCLAVE);
        vm.expectPartialRevert(LazaiVerifier.ResultSignerWrong.selector);
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
        vm.expectRevert(LazaiVerifier.ResultSignatureMalformed.selector);
        _verifier.submitTEEProof(id, abi.encode(5), hex"00", report);
    }

    function test_AKeyServesItsOwnModelOnly() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        AttestedKey memory key = _key(_ENCLAVE);
        key.modelDigest = keccak256("other");
        bytes32 keyId = _verifier.attestedKeyDigest(key);
        _quorum.accept(keyId, keyId, EVIDENCE);
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 5, _ENCLAVE);
        bytes memory report = _report(request, key);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.ModelDigestMismatch.selector, MODEL, key.modelDigest));
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
    }

    function test_AnAttestationEnds() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        AttestedKey memory key = _certify(_ENCLAVE);
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 5, _ENCLAVE);
        bytes memory report = _report(request, key);
        vm.warp(key.validUntil + 1);
        vm.expectRevert(
            abi.encodeWithSelector(LazaiVerifier.AttestedKeyExpired.selector, key.validUntil, key.validUntil + 1)
        );
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
        vm.warp(key.validUntil);
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
    }

    function test_AKeyTakenBackTakesItsResultsWithIt() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        _claim(request, 5, _ENCLAVE);
        AttestedKey memory key = _key(_ENCLAVE);
        bytes32 keyId = _verifier.attestedKeyDigest(key);
        Certificate memory none;
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        _verifier.revokeKey(key, EVIDENCE, none); // the votes that certified it do not reject it
        _quorum.reject(keyId, keyId, EVIDENCE);
        _verifier.revokeKey(key, EVIDENCE, none);
        assertFalse(_valid(request), "still valid");

        request.nonce++;
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 5, _ENCLAVE);
        bytes memory report = _report(request, key);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.AttestedKeyRevoked.selector, keyId));
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
    }

    function test_TwoClaimsThatDifferDisputeTheTask() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        _claim(request, 5, _ENCLAVE);
        _claim(request, 6, _ENCLAVE + 1);
        assertFalse(_valid(request), "valid though there are two answers");
        bytes32 id = _verifier.taskIdOf(request);
        bytes memory given = _id(request);
        bytes memory signature = _sign(request, 5, _ENCLAVE);
        bytes memory report = _report(request, _key(_ENCLAVE));
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.TaskDisputed.selector, id));
        _verifier.submitTEEProof(given, abi.encode(5), signature, report);
    }

    function test_TheSameClaimTwiceIsRefused() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        _claim(request, 5, _ENCLAVE);
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 5, _ENCLAVE);
        bytes memory report = _report(request, _key(_ENCLAVE));
        bytes32 expected = _verifier.taskIdOf(request);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.ResultKnown.selector, expected));
        _verifier.submitTEEProof(id, abi.encode(5), signature, report);
    }

    // ------------------------------------------------------------------ TEE+ZK

    function test_BothAreNeededAndMustAgree(bool proofFirst) public {
        TaskRequest memory request = _request(_verifier.MODE_TEE_ZK());
        if (proofFirst) _prove(request, 5);
        else _claim(request, 5, _ENCLAVE);
        assertFalse(_valid(request), "valid with one of two");
        if (proofFirst) _claim(request, 5, _ENCLAVE);
        else _prove(request, 5);
        assertTrue(_valid(request), "not valid with both");
    }

    function test_AClaimAgainstAProofIsRefused() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE_ZK());
        _prove(request, 5);
        _certify(_ENCLAVE);
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 6, _ENCLAVE);
        bytes memory report = _report(request, _key(_ENCLAVE));
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.ResultProvenOtherwise.selector, 5, 6));
        _verifier.submitTEEProof(id, abi.encode(6), signature, report);
    }

    function test_AProofAgainstAClaimDisputesTheTask() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE_ZK());
        _claim(request, 5, _ENCLAVE);
        _prove(request, 6);
        assertFalse(_valid(request), "valid");
        assertTrue(_verifier.resultOf(_verifier.taskIdOf(request)).disputed, "not disputed");
    }

    // ------------------------------------------------------------------ OP

    function test_AWordOfThePayeeCountsAfterTheWindow() public {
        TaskRequest memory request = _request(_verifier.MODE_OP());
        _claim(request, 5, _PAYEE);
        vm.warp(block.timestamp + _WINDOW);
        assertFalse(_valid(request), "valid within the window");
        vm.warp(block.timestamp + 1);
        assertTrue(_valid(request), "not valid after it");
    }

    function test_NobodySpeaksForThePayee() public {
        TaskRequest memory request = _request(_verifier.MODE_OP());
        bytes memory id = _id(request);
        bytes memory signature = _sign(request, 5, _ENCLAVE);
        vm.expectRevert(
            abi.encodeWithSelector(LazaiVerifier.ResultSignerWrong.selector, vm.addr(_PAYEE), vm.addr(_ENCLAVE))
        );
        _verifier.submitTEEProof(id, abi.encode(5), signature, abi.encode(request));
    }

    function test_AProofSettlesAtOnce() public {
        TaskRequest memory request = _request(_verifier.MODE_OP());
        _claim(request, 5, _PAYEE);
        _prove(request, 5);
        assertTrue(_valid(request), "not valid");
    }

    // ------------------------------------------------------------------ fraud

    function test_AProofOfAnotherOutputIsFraudForEver() public {
        TaskRequest memory request = _request(_verifier.MODE_OP());
        _claim(request, 5, _PAYEE);
        vm.warp(request.deadline + 365 days);
        assertTrue(_valid(request), "not valid before");
        uint256[8] memory proof = _registry.prove(KEY, _signals(request, 6));
        _verifier.submitFraudProof(_id(request), abi.encode(uint8(1), abi.encode(request, 6, proof)), address(0xc4a11));
        assertFalse(_valid(request), "valid after");
    }

    function test_TheSameOutputIsNoFraud() public {
        TaskRequest memory request = _request(_verifier.MODE_OP());
        _claim(request, 5, _PAYEE);
        uint256[8] memory proof = _registry.prove(KEY, _signals(request, 5));
        bytes memory id = _id(request);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.ResultConfirmed.selector, 5));
        _verifier.submitFraudProof(id, abi.encode(uint8(1), abi.encode(request, 5, proof)), address(1));
    }

    function test_AFalseProofIsNoFraud() public {
        TaskRequest memory request = _request(_verifier.MODE_OP());
        _claim(request, 5, _PAYEE);
        bytes memory id = _id(request);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _verifier.submitFraudProof(id, abi.encode(uint8(1), abi.encode(request, 6, someProof(6))), address(1));
        _registry.freeze(KEY);
        vm.expectRevert(abi.encodeWithSelector(RegistryTwin.KeyFrozen.selector, KEY));
        _verifier.submitFraudProof(id, abi.encode(uint8(1), abi.encode(request, 6, someProof(6))), address(1));
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.FraudKindInvalid.selector, 0));
        _verifier.submitFraudProof(id, abi.encode(uint8(0), abi.encode(request, 6, someProof(6))), address(1));
    }

    function test_TheQuorumDisputesWithinTheWindow() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        _claim(request, 5, _ENCLAVE);
        bytes32 id = _verifier.taskIdOf(request);
        Certificate memory none;
        bytes memory evidence = abi.encode(uint8(2), abi.encode(EVIDENCE, none));
        bytes memory given = _id(request);
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        _verifier.submitFraudProof(given, evidence, address(1));
        _quorum.accept(id, _verifier.disputeDigest(id, bytes32(uint256(5))), EVIDENCE);
        uint256 until = block.timestamp + _WINDOW;
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.DisputeWindowPassed.selector, until, until + 1));
        _verifier.submitFraudProof(given, evidence, address(1));
        vm.warp(until);
        _verifier.submitFraudProof(given, evidence, address(1));
        assertFalse(_valid(request), "valid");
    }

    function test_WhatIsProvenCannotBeDisputed() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE_ZK());
        _claim(request, 5, _ENCLAVE);
        _prove(request, 5);
        bytes32 id = _verifier.taskIdOf(request);
        _quorum.accept(id, _verifier.disputeDigest(id, bytes32(uint256(5))), EVIDENCE);
        Certificate memory none;
        bytes memory given = _id(request);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.NothingToDispute.selector, id));
        _verifier.submitFraudProof(given, abi.encode(uint8(2), abi.encode(EVIDENCE, none)), address(1));
    }

    // ------------------------------------------------------------------ frozen keys

    /// @dev Who could forge proofs under a key has proven what it liked; it must not count once that is known.
    function test_AFrozenKeyTakesItsResultsWithIt(uint8 mode) public {
        mode = 2 + mode % 3;
        TaskRequest memory request = _request(mode);
        if (mode == _verifier.MODE_TEE_ZK()) _claim(request, 5, _ENCLAVE);
        if (mode == _verifier.MODE_OP()) _claim(request, 5, _PAYEE);
        _prove(request, 5);
        vm.warp(block.timestamp + _WINDOW + 1);
        assertTrue(_valid(request), "not valid before");
        _registry.freeze(KEY);
        assertFalse(_valid(request), "valid after");
    }

    /// @dev Nor can a forger spoil what has stood its window, by a proof of the same.
    function test_AFrozenKeyTakesNothingThatHasStoodItsWindow() public {
        TaskRequest memory request = _request(_verifier.MODE_OP());
        _claim(request, 5, _PAYEE);
        vm.warp(block.timestamp + _WINDOW + 1);
        _prove(request, 5);
        _registry.freeze(KEY);
        assertTrue(_valid(request), "not valid");
    }

    function test_AFrozenKeyTakesNothingFromAnEnclave() public {
        TaskRequest memory request = _request(_verifier.MODE_TEE());
        _claim(request, 5, _ENCLAVE);
        _prove(request, 5);
        _registry.freeze(KEY);
        assertTrue(_valid(request), "an enclave's word needs no proof");
        // But neither does the proof shield it from the quorum any more.
        bytes32 id = _verifier.taskIdOf(request);
        _quorum.accept(id, _verifier.disputeDigest(id, bytes32(uint256(5))), EVIDENCE);
        Certificate memory none;
        _verifier.submitFraudProof(_id(request), abi.encode(uint8(2), abi.encode(EVIDENCE, none)), address(1));
        assertFalse(_valid(request), "valid though the quorum refuses it");
    }

    function test_WhatAFrozenKeyHasShownStandsInNobodysWay(uint8 mode) public {
        mode = mode % 2 == 0 ? _verifier.MODE_TEE() : _verifier.MODE_OP();
        uint256 secret = mode == _verifier.MODE_OP() ? _PAYEE : _ENCLAVE;
        TaskRequest memory request = _request(mode);
        _prove(request, 6);
        _registry.freeze(KEY);
        _claim(request, 5, secret);
        vm.warp(block.timestamp + _WINDOW + 1);
        assertTrue(_valid(request), "not valid");
        assertEq(_verifier.resultOf(_verifier.taskIdOf(request)).output, 5, "output");
    }

    function test_AWindowHasBounds() public {
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.DisputeWindowInvalid.selector, 59));
        new LazaiVerifier(_registry, _quorum, 59);
        vm.expectRevert(abi.encodeWithSelector(LazaiVerifier.DisputeWindowInvalid.selector, 365 days + 1));
        new LazaiVerifier(_registry, _quorum, 365 days + 1);
    }

    function _request(uint8 mode) private view returns (TaskRequest memory) {
        return TaskRequest({
            requester: address(0x1234),
            payee: vm.addr(_PAYEE),
            keyDigest: KEY,
            modelDigest: MODEL,
            inputCommitment: 99,
            mode: mode,
            nonce: 1,
            deadline: block.timestamp + 1 days
        });
    }

    function _id(TaskRequest memory request) private view returns (bytes memory) {
        return abi.encode(_verifier.taskIdOf(request));
    }

    function _valid(TaskRequest memory request) private view returns (bool) {
        return _verifier.verifyResult(_id(request));
    }

    function _signals(TaskRequest memory request, uint256 output) private view returns (uint256[] memory signals) {
        Task memory task = Task({
            keyDigest: request.keyDigest,
            taskId: _verifier.taskIdOf(request),
            requester: request.requester,
            payee: request.payee,
            nonce: request.nonce,
            deadline: request.deadline
        });
        signals = new uint256[](3);
        signals[0] = output;
        signals[1] = request.inputCommitment;
        signals[2] = Statements.context(Statements.TYPE_INFERENCE, address(_verifier), task);
    }

    function _prove(TaskRequest memory request, uint256 output) private {
        uint256[] memory signals = _signals(request, output);
        uint256[8] memory proof = _registry.prove(KEY, signals);
        _verifier.submitZKProof(_id(request), abi.encode(request, output, proof), abi.encodePacked(signals));
    }

    function _key(uint256 secret) private pure returns (AttestedKey memory) {
        return AttestedKey({
            key: vm.addr(secret),
            modelDigest: MODEL,
            policyDigest: keccak256("policy"),
            validUntil: 1_700_000_000 + 2 hours
        });
    }

    function _certify(uint256 secret) private returns (AttestedKey memory key) {
        key = _key(secret);
        bytes32 keyId = _verifier.attestedKeyDigest(key);
        _quorum.accept(keyId, keyId, EVIDENCE);
    }

    function _report(TaskRequest memory request, AttestedKey memory key) private pure returns (bytes memory) {
        Certificate memory certificate;
        return abi.encode(request, key, EVIDENCE, certificate);
    }

    function _sign(TaskRequest memory request, uint256 output, uint256 secret) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(secret, _verifier.teeResultDigest(_verifier.taskIdOf(request), bytes32(output)));
        return abi.encodePacked(r, s, v);
    }

    function _claim(TaskRequest memory request, uint256 output, uint256 secret) private {
        bytes memory report = request.mode == 3 ? abi.encode(request) : _report(request, _certify(secret));
        _verifier.submitTEEProof(_id(request), abi.encode(output), _sign(request, output, secret), report);
    }
}

contract ZkmlVerifierTest is Test {
    RegistryTwin private _registry;
    ZkmlVerifier private _verifier;

    function setUp() public {
        vm.warp(1_700_000_000);
        _registry = new RegistryTwin();
        _registry.put(KEY, Statements.TYPE_INFERENCE, 0, MODEL);
        _verifier = new ZkmlVerifier(_registry);
    }

    function test_AProofVerifiesForItsRequester(uint256 output, bytes32 commitment) public {
        bytes memory proof = _proofOf(output, commitment, address(this));
        vm.expectEmit(true, true, true, true, address(_verifier));
        emit IERC7992Verifier.InferenceVerified(uint256(KEY), commitment, abi.encode(output), address(this));
        _verifier.verifyInference(uint256(KEY), commitment, abi.encode(output), proof);
        vm.prank(address(0xbad));
        vm.expectRevert(abi.encodeWithSelector(ZkmlVerifier.RequesterWrong.selector, address(this), address(0xbad)));
        _verifier.verifyInference(uint256(KEY), commitment, abi.encode(output), proof);
    }

    function test_AnythingElseIsRefused() public {
        bytes memory proof = _proofOf(5, bytes32(uint256(9)), address(this));
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _verifier.verifyInference(uint256(KEY), bytes32(uint256(9)), abi.encode(6), proof);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _verifier.verifyInference(uint256(KEY), bytes32(uint256(8)), abi.encode(5), proof);
        vm.expectRevert(ZkmlVerifier.ModelMismatch.selector);
        _verifier.verifyInference(uint256(KEY) + 1, bytes32(uint256(9)), abi.encode(5), proof);
        vm.expectRevert(ZkmlVerifier.OutputMismatch.selector);
        _verifier.verifyInference(uint256(KEY), bytes32(uint256(9)), abi.encodePacked(uint256(5), uint8(0)), proof);
        vm.warp(block.timestamp + 1 days + 1);
        vm.expectPartialRevert(ZkmlVerifier.DeadlinePassed.selector);
        _verifier.verifyInference(uint256(KEY), bytes32(uint256(9)), abi.encode(5), proof);
        vm.warp(block.timestamp - 1);
        _registry.freeze(KEY);
        vm.expectRevert(abi.encodeWithSelector(RegistryTwin.KeyFrozen.selector, KEY));
        _verifier.verifyInference(uint256(KEY), bytes32(uint256(9)), abi.encode(5), proof);
    }

    function test_AnInferenceIsStoredOnce() public {
        bytes32 commitment = bytes32(uint256(9));
        bytes memory proof = _proofOf(5, commitment, address(this));
        bytes32 id = _verifier.verifyAndStoreInference(uint256(KEY), commitment, abi.encode(5), proof);
        assertEq(id, keccak256(abi.encodePacked(uint256(KEY), commitment, abi.encode(5))), "id");
        (uint256 model, bytes32 input, bytes memory output) = _verifier.getInference(id);
        assertEq(model, uint256(KEY), "model");
        assertEq(input, commitment, "commitment");
        assertEq(keccak256(output), keccak256(abi.encode(5)), "output");
        vm.expectRevert(abi.encodeWithSelector(ZkmlVerifier.InferenceKnown.selector, id));
        _verifier.verifyAndStoreInference(uint256(KEY), commitment, abi.encode(5), proof);
        vm.expectRevert(abi.encodeWithSelector(ZkmlVerifier.InferenceUnknown.selector, commitment));
        _verifier.getInference(commitment);
    }

    function test_ItSaysWhatItIs() public {
        assertTrue(_verifier.proofSystemOf(uint256(KEY)) == bytes4(keccak256("groth16-bn254-v1")), "proof system");
        assertEq(_verifier.registry(), address(_registry), "registry");
        assertTrue(_verifier.supportsInterface(type(IERC7992Verifier).interfaceId), "verifier");
        assertTrue(_verifier.supportsInterface(type(IERC7992Storage).interfaceId), "storage");
        assertTrue(_verifier.supportsInterface(0x01ffc9a7), "ERC-165");
        vm.expectRevert(ZkmlVerifier.ModelMismatch.selector);
        _verifier.proofSystemOf(1);
        bytes32 dataset = keccak256("a dataset's key");
        _registry.put(dataset, Statements.TYPE_DATASET_CHUNK, 0, 0);
        vm.expectRevert(ZkmlVerifier.ModelMismatch.selector);
        _verifier.proofSystemOf(uint256(dataset));
    }

    function _proofOf(uint256 output, bytes32 commitment, address requester) private view returns (bytes memory) {
        Task memory task = Task({
            keyDigest: KEY,
            taskId: keccak256("task"),
            requester: requester,
            payee: address(2),
            nonce: 1,
            deadline: block.timestamp + 1 days
        });
        uint256[] memory signals = new uint256[](3);
        signals[0] = output;
        signals[1] = uint256(commitment);
        signals[2] = Statements.context(Statements.TYPE_INFERENCE, address(_verifier), task);
        uint256[8] memory proof = _registry.prove(KEY, signals);
        return abi.encode(task, proof);
    }
}

contract ValidationResponderTest is Test {
    QuorumTwin private _quorum;
    ValidationRegistry private _validations;
    ValidationResponder private _responder;
    Certificate private _certificate;

    function setUp() public {
        _quorum = new QuorumTwin();
        _validations = new ValidationRegistry();
        _responder = new ValidationResponder(_validations, _quorum);
        _validations.validationRequest(address(_responder), 7, "ipfs://request", keccak256("request"));
    }

    function test_ACertificateAnswers() public {
        ValidationResponse memory answer = _answer();
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        _responder.respond(answer, _certificate);
        _vote(answer);
        _responder.respond(answer, _certificate);
        (address validator, uint256 agent, uint8 response, bytes32 hash, string memory tag,) =
            _validations.getValidationStatus(answer.requestHash);
        assertEq(validator, address(_responder), "validator");
        assertEq(agent, 7, "agent");
        assertEq(response, 100, "response");
        assertEq(hash, EVIDENCE, "hash");
        assertEq(keccak256(bytes(tag)), keccak256("zk+tee"), "tag");
    }

    function test_EveryFieldIsVotedOn(uint8 field) public {
        ValidationResponse memory answer = _answer();
        _vote(answer);
        field = field % 5;
        if (field == 0) answer.requestHash = keccak256("other");
        if (field == 1) answer.response = 99;
        if (field == 2) answer.responseURI = "ipfs://other";
        if (field == 3) answer.responseHash = keccak256("other");
        if (field == 4) answer.tag = "other";
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        _responder.respond(answer, _certificate);
    }

    /// @dev ERC-8004's weakness: a validator may overwrite its answer.
    function test_AnAnswerIsNotOverwritten() public {
        ValidationResponse memory answer = _answer();
        _vote(answer);
        _responder.respond(answer, _certificate);
        answer.response = 0;
        _vote(answer);
        vm.expectRevert(
            abi.encodeWithSelector(ValidationResponder.AnsweredBefore.selector, answer.requestHash, answer.tag)
        );
        _responder.respond(answer, _certificate);
        answer.tag = "hard";
        _vote(answer);
        _responder.respond(answer, _certificate);
    }

    function test_AScoreIsAtMostAHundred(uint8 score) public {
        ValidationResponse memory answer = _answer();
        answer.response = score;
        _vote(answer);
        if (score > 100) vm.expectRevert(abi.encodeWithSelector(ValidationResponder.ResponseInvalid.selector, score));
        _responder.respond(answer, _certificate);
    }

    function test_ARequestToAnotherValidatorIsRefused() public {
        _validations.validationRequest(address(this), 7, "", keccak256("theirs"));
        ValidationResponse memory answer = _answer();
        answer.requestHash = keccak256("theirs");
        _vote(answer);
        vm.expectRevert(bytes("not authorized"));
        _responder.respond(answer, _certificate);
    }

    function _answer() private pure returns (ValidationResponse memory) {
        return ValidationResponse({
            requestHash: keccak256("request"),
            response: 100,
            responseURI: "ipfs://bundle",
            responseHash: EVIDENCE,
            tag: "zk+tee"
        });
    }

    function _vote(ValidationResponse memory answer) private {
        _quorum.accept(answer.requestHash, _responder.responseDigest(answer), answer.responseHash);
    }
}
