// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {CircuitMetadata} from "../src/verifier/CircuitMetadata.sol";
import {CircuitTypes} from "../src/verifier/CircuitTypes.sol";
import {IERC7992Models, IERC8084, ModelCommitment} from "../src/verifier/IStandards.sol";
import {Entry, IVerifierRegistry} from "../src/verifier/IVerifierRegistry.sol";
import {KeyMetadata, Registration, VerifierRegistry} from "../src/verifier/VerifierRegistry.sol";
import {Test} from "./base/Test.sol";
import {
    HOLDS,
    TwinBatchSaysFalse,
    TwinBatchVerifier,
    TwinKey,
    TwinSaysFalse,
    TwinStarving,
    TwinTakesAll,
    TwinUniversal,
    TwinUniversalSaysFalse,
    TwinVerifier
} from "./twins/TwinVerifiers.sol";

contract VerifierRegistryTest is Test {
    uint256 private constant _DELAY = 2 days;
    address private constant _GUARDIAN = address(0x6A);
    address private constant _STRANGER = address(0x57);
    bytes32 private constant _KEY = keccak256("key");
    bytes32 private constant _CIRCUIT = keccak256("circuit");
    bytes32 private constant _MODEL = keccak256("model");
    bytes32 private constant _CEREMONY = keccak256("ceremony");

    VerifierRegistry private _registry;
    TwinVerifier private _verifier;

    function setUp() public {
        vm.chainId(1);
        vm.warp(1_800_000_000);
        _registry = new VerifierRegistry(address(this), _GUARDIAN, _DELAY);
        _verifier = new TwinVerifier(_KEY, _CIRCUIT, 3, _CEREMONY);
    }

    function _registration() private view returns (Registration memory) {
        return Registration(_KEY, address(_verifier), false, CircuitTypes.INFERENCE, _CIRCUIT, _MODEL, _CEREMONY);
    }

    function _metadata() private pure returns (KeyMetadata memory) {
        return KeyMetadata("ipfs://model", "ipfs://key", "ipfs://schema", keccak256("schema"), (2 << 32) | 1);
    }

    function _propose(Registration memory registration) private {
        _registry.propose(registration, _metadata());
    }

    function _activate(Registration memory registration) private {
        _propose(registration);
        vm.warp(block.timestamp + _DELAY);
        _registry.activate(registration.keyDigest);
    }

    /// @dev An active key of this family, with a verifier of its own.
    function _activeKey(bytes32 statementType) private returns (bytes32 keyDigest, uint256 signals) {
        keyDigest = keccak256(abi.encode("key of", statementType));
        bool ofModel;
        (signals, ofModel) = _registry.shapeOf(statementType);
        Registration memory registration = _registration();
        registration.keyDigest = keyDigest;
        registration.statementType = statementType;
        registration.modelDigest = ofModel ? _MODEL : bytes32(0);
        registration.verifier = address(new TwinVerifier(keyDigest, _CIRCUIT, signals, _CEREMONY));
        _activate(registration);
    }

    function _proof(uint256 first) private pure returns (uint256[8] memory proof) {
        proof[0] = first;
    }

    function _signals(uint256 count) private pure returns (uint256[] memory signals) {
        signals = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            signals[i] = 100 + i;
        }
    }

    // ---------------------------------------------------------------------------------------------------------- the way in

    function test_TheDelayIsAtLeastADayButOnTheTestChain() public {
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.AddDelayInvalid.selector, 1 days, 30 days, 1 days - 1));
        new VerifierRegistry(address(this), _GUARDIAN, 1 days - 1);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.AddDelayInvalid.selector, 1 days, 30 days, 30 days + 1));
        new VerifierRegistry(address(this), _GUARDIAN, 30 days + 1);
        assertEq(new VerifierRegistry(address(this), _GUARDIAN, 1 days).addDelay(), 1 days, "delay");
        vm.chainId(31337);
        assertEq(new VerifierRegistry(address(this), address(0), 0).addDelay(), 0, "no delay");
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.AddDelayInvalid.selector, 0, 30 days, 30 days + 1));
        new VerifierRegistry(address(this), _GUARDIAN, 30 days + 1);
    }

    function test_AKeyWaitsAndThenAnyoneActivatesIt(uint256 early) public {
        _propose(_registration());
        uint256 readyAt = block.timestamp + _DELAY;
        (Entry memory proposed, uint256 stated) = _registry.proposalOf(_KEY);
        assertEq(stated, readyAt, "ready at");
        assertEq(proposed.verifier, address(_verifier), "proposed verifier");
        assertEq(_registry.entryOf(_KEY).verifier, address(0), "no entry yet");
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, _KEY));
        _registry.verify(_KEY, _proof(HOLDS), _signals(3));

        early = bound(early, block.timestamp, readyAt - 1);
        vm.warp(early);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalNotReady.selector, readyAt, early));
        _registry.activate(_KEY);

        vm.warp(readyAt);
        vm.prank(_STRANGER);
        _registry.activate(_KEY);
        Entry memory entry = _registry.entryOf(_KEY);
        assertEq(entry.verifier, address(_verifier), "verifier");
        assertFalse(entry.universal || entry.development || entry.frozen, "flags");
        assertEq(entry.signals, 3, "signals");
        assertEq(entry.statementType, CircuitTypes.INFERENCE, "type");
        assertEq(entry.circuitDigest, _CIRCUIT, "circuit");
        assertEq(entry.modelDigest, _MODEL, "model");
        assertEq(entry.ceremony, _CEREMONY, "ceremony");
        assertEq(entry.batchVerifier, address(0), "batch");
        _registry.verify(_KEY, _proof(HOLDS), _signals(3));

        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
        _registry.activate(_KEY);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyAlreadyAdded.selector, _KEY));
        _propose(_registration());
    }

    function test_AForgottenProposalLapsesAndCanBeMadeAnew() public {
        _propose(_registration());
        uint256 lapse = block.timestamp + _DELAY + _registry.ACTIVATION_WINDOW();
        vm.warp(lapse);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyAlreadyProposed.selector, _KEY));
        _propose(_registration());
        vm.warp(lapse + 1);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalExpired.selector, lapse, lapse + 1));
        _registry.activate(_KEY);
        _activate(_registration());
        assertEq(_registry.entryOf(_KEY).verifier, address(_verifier), "active");
    }

    function test_GuardianAndOwnerCancelAndItCanBeProposedAnew() public {
        for (uint256 i = 0; i < 2; ++i) {
            _propose(_registration());
            vm.prank(i == 0 ? _GUARDIAN : address(this));
            _registry.cancel(_KEY);
            assertEq(bytes(_registry.metadataOf(_KEY).uri).length, 0, "metadata went too");
            vm.warp(block.timestamp + _DELAY);
            vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
            _registry.activate(_KEY);
            vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
            _registry.cancel(_KEY);
        }
        _activate(_registration());
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
        _registry.cancel(_KEY);
    }

    function test_WhatTheVerifierSaysOfItselfMustAgree() public {
        Registration memory registration = _registration();
        registration.keyDigest = keccak256("other");
        vm.expectRevert(
            abi.encodeWithSelector(VerifierRegistry.VerifierKeyMismatch.selector, registration.keyDigest, _KEY)
        );
        _propose(registration);

        registration = _registration();
        registration.circuitDigest = keccak256("other");
        vm.expectRevert(
            abi.encodeWithSelector(
                VerifierRegistry.VerifierCircuitMismatch.selector, registration.circuitDigest, _CIRCUIT
            )
        );
        _propose(registration);

        registration = _registration();
        registration.ceremony = keccak256("other");
        vm.expectRevert(
            abi.encodeWithSelector(VerifierRegistry.VerifierCeremonyMismatch.selector, registration.ceremony, _CEREMONY)
        );
        _propose(registration);

        registration = _registration();
        registration.statementType = CircuitTypes.ADAPTED_INFERENCE;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierSignalsMismatch.selector, 4, 3));
        _propose(registration);

        _verifier.setDevelopment(true);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierDevelopmentMismatch.selector, false, true));
        _propose(_registration());
    }

    function test_WhatIsComparedIsComparedAgainAtActivation() public {
        _propose(_registration());
        vm.warp(block.timestamp + _DELAY);
        _verifier.setCircuit(keccak256("other"));
        vm.expectRevert(
            abi.encodeWithSelector(VerifierRegistry.VerifierCircuitMismatch.selector, _CIRCUIT, keccak256("other"))
        );
        _registry.activate(_KEY);
    }

    function test_CodeThatChangedSinceTheProposalIsRefused() public {
        _propose(_registration());
        vm.warp(block.timestamp + _DELAY);
        vm.etch(address(_verifier), type(TwinTakesAll).runtimeCode);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierCodeChanged.selector, address(_verifier)));
        _registry.activate(_KEY);
    }

    function test_AccountsAndDelegatingAccountsAreNoVerifiers() public {
        Registration memory registration = _registration();
        registration.verifier = _STRANGER;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierWithoutCode.selector, _STRANGER));
        _propose(registration);
        // EIP-7702: the account's holder can point it elsewhere tomorrow.
        vm.etch(_STRANGER, abi.encodePacked(hex"ef0100", address(_verifier)));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierDelegated.selector, _STRANGER));
        _propose(registration);
    }

    function test_AContractThatTakesEverythingIsNoVerifier() public {
        Registration memory registration = _registration();
        registration.verifier = address(new TwinTakesAll(_KEY, _CIRCUIT, 3, _CEREMONY));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierRefusesNothing.selector, registration.verifier));
        _propose(registration);
    }

    /// @dev Once in it would have stayed, and the key with it: nothing verifies, and the digest never comes back.
    function test_Attack_VerifiersMixedUp() public {
        address batch = address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, _CEREMONY));
        Registration memory registration = _registration();
        registration.verifier = batch;
        _expectUnlike(batch, "");
        _propose(registration);
        _propose(_registration());
        _expectUnlike(address(_verifier), abi.encodeWithSelector(TwinVerifier.CallWrong.selector));
        _registry.proposeBatchVerifier(_KEY, address(_verifier));
    }

    /// @dev Whoever activates chooses the gas: too little for the verifier to say anything is too little.
    function test_Attack_AVerifierThatIsStarvedAtActivation() public {
        Registration memory registration = _registration();
        registration.verifier = address(new TwinStarving(_KEY, _CIRCUIT, 3, _CEREMONY));
        _propose(registration);
        TwinStarving(registration.verifier).starve();
        vm.warp(block.timestamp + _DELAY);
        _expectUnlike(registration.verifier, "");
        _registry.activate{gas: 30_000_000}(_KEY);
    }

    function _expectUnlike(address verifier, bytes memory answer) private {
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierUnlike.selector, verifier, answer));
    }

    function test_DevelopmentKeysAreTakenOnTheTestChainAlone() public {
        Registration memory registration = _registration();
        registration.ceremony = 0;
        registration.verifier = address(new TwinVerifier(_KEY, _CIRCUIT, 3, 0));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.DevelopmentKeyRefused.selector, 1));
        _propose(registration);
        vm.chainId(31337);
        _activate(registration);
        assertTrue(_registry.entryOf(_KEY).development, "development");
        // A key that claims to be for production needs a ceremony there too.
        registration.keyDigest = keccak256("other");
        TwinVerifier unshown = new TwinVerifier(registration.keyDigest, _CIRCUIT, 3, 0);
        unshown.setDevelopment(false);
        registration.verifier = address(unshown);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierDevelopmentMismatch.selector, true, false));
        _propose(registration);
    }

    function test_ModelsAndTypesAndDigestsAndTexts() public {
        Registration memory registration = _registration();
        registration.modelDigest = 0;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ModelDigestInvalid.selector, bytes32(0)));
        _propose(registration);

        registration = _registration();
        registration.statementType = CircuitTypes.DATASET_CHUNK;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ModelDigestInvalid.selector, _MODEL));
        _propose(registration);

        registration.statementType = keccak256("unknown");
        vm.expectRevert(
            abi.encodeWithSelector(VerifierRegistry.StatementTypeUnknown.selector, registration.statementType)
        );
        _propose(registration);

        registration = _registration();
        registration.circuitDigest = 0;
        vm.expectRevert(VerifierRegistry.CircuitDigestZero.selector);
        _propose(registration);

        for (uint256 i = 0; i < 3; ++i) {
            KeyMetadata memory metadata = _metadata();
            string memory long = string(new bytes(257));
            if (i == 0) metadata.uri = long;
            if (i == 1) metadata.verificationKeyUri = long;
            if (i == 2) metadata.schemaUri = long;
            vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.TextTooLong.selector, 256, 257));
            _registry.propose(_registration(), metadata);
        }
    }

    // ------------------------------------------------------------------------------------------------------------- freezing

    function test_AFrozenKeyIsSoForGood() public {
        _activate(_registration());
        vm.prank(_GUARDIAN);
        _registry.freeze(_KEY);
        assertTrue(_registry.entryOf(_KEY).frozen, "frozen");
        bytes memory frozen = abi.encodeWithSelector(VerifierRegistry.KeyFrozen.selector, _KEY);
        vm.expectRevert(frozen);
        _registry.freeze(_KEY);
        vm.expectRevert(frozen);
        _propose(_registration());
        vm.expectRevert(frozen);
        _registry.verify(_KEY, _proof(HOLDS), _signals(3));
        vm.expectRevert(frozen);
        _registry.verifyBatch(_KEY, new uint256[8][](1), _signals(3));
        vm.expectRevert(frozen);
        _registry.resolve(_KEY, CircuitTypes.INFERENCE);
        vm.expectRevert(frozen);
        _registry.proposeBatchVerifier(_KEY, address(_verifier));
        vm.expectRevert(frozen);
        _registry.exposeZeroContext(_KEY, _proof(HOLDS), new uint256[](3));
        vm.expectRevert(frozen);
        _registry.exposeContradiction(_KEY, _proof(HOLDS), _signals(3), _proof(HOLDS), _signals(3));
    }

    function test_AProposedKeyThatIsFrozenNeverComesIn() public {
        _propose(_registration());
        _registry.freeze(_KEY);
        vm.warp(block.timestamp + _DELAY);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
        _registry.activate(_KEY);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyFrozen.selector, _KEY));
        _propose(_registration());
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, keccak256("unknown")));
        _registry.freeze(keccak256("unknown"));
    }

    function test_RoleMatrix() public {
        // Who may what: owner, guardian, stranger.
        Registration memory registration = _registration();
        address batch = address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, _CEREMONY));
        bytes[] memory calls = new bytes[](7);
        calls[0] = abi.encodeCall(VerifierRegistry.propose, (registration, _metadata()));
        calls[1] = abi.encodeCall(VerifierRegistry.proposeBatchVerifier, (_KEY, batch));
        calls[2] = abi.encodeCall(VerifierRegistry.setGuardian, (_STRANGER));
        calls[3] = abi.encodeCall(Ownable.transferOwnership, (_STRANGER));
        calls[4] = abi.encodeCall(VerifierRegistry.cancelBatchVerifier, (_KEY));
        calls[5] = abi.encodeCall(VerifierRegistry.cancel, (_KEY));
        calls[6] = abi.encodeCall(VerifierRegistry.freeze, (_KEY));
        for (uint256 i = 0; i < calls.length; ++i) {
            for (uint256 who = 0; who < 3; ++who) {
                uint256 state = vm.snapshotState();
                if (i != 0) _propose(registration);
                if (i == 4) _registry.proposeBatchVerifier(_KEY, batch);
                address caller = [address(this), _GUARDIAN, _STRANGER][who];
                vm.prank(caller);
                (bool done, bytes memory answer) = address(_registry).call(calls[i]);
                bool may = who == 0 || (who == 1 && i >= 4);
                assertTrue(done == may, "the role matrix");
                if (!may) {
                    bytes4 expected =
                        i < 4 ? Ownable.OwnableUnauthorizedAccount.selector : VerifierRegistry.NotGuardian.selector;
                    assertEq(keccak256(answer), keccak256(abi.encodeWithSelector(expected, caller)), "the error");
                }
                vm.revertToState(state);
            }
        }
    }

    function test_TheOwnerChangesTheGuardianAndAZeroGuardianIsNobody() public {
        _activate(_registration());
        _registry.setGuardian(address(0));
        vm.prank(_GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.NotGuardian.selector, _GUARDIAN));
        _registry.freeze(_KEY);
        _registry.transferOwnership(_STRANGER);
        assertEq(_registry.owner(), address(this), "two steps");
        vm.prank(_STRANGER);
        _registry.acceptOwnership();
        vm.prank(_STRANGER);
        _registry.freeze(_KEY);
    }

    // ------------------------------------------------------------------------------------------------------ circuit breaker

    function test_AnyoneStopsAKeyThatProvesAZeroContext(bool active) public {
        _propose(_registration());
        if (active) {
            vm.warp(block.timestamp + _DELAY);
            _registry.activate(_KEY);
        }
        uint256[] memory signals = _signals(3);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ContextNotZero.selector, signals[2]));
        _registry.exposeZeroContext(_KEY, _proof(HOLDS), signals);
        signals[2] = 0;
        vm.expectRevert(TwinKey.ProofInvalid.selector);
        _registry.exposeZeroContext(_KEY, _proof(HOLDS + 1), signals);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, 3, 4));
        _registry.exposeZeroContext(_KEY, _proof(HOLDS), new uint256[](4));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, 3, 0));
        _registry.exposeZeroContext(_KEY, _proof(HOLDS), new uint256[](0));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, bytes32(0)));
        _registry.exposeZeroContext(0, _proof(HOLDS), signals);

        vm.prank(_STRANGER);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit VerifierRegistry.KeyExposed(_KEY, _STRANGER, VerifierRegistry.Exposure.ZeroContext);
        _registry.exposeZeroContext(_KEY, _proof(HOLDS), signals);
        assertTrue(_registry.entryOf(_KEY).frozen, "frozen");
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyFrozen.selector, _KEY));
        _propose(_registration());
    }

    function test_AVerifierThatSaysFalseExposesNothing() public {
        Registration memory registration = _registration();
        registration.verifier = address(new TwinSaysFalse(_KEY, _CIRCUIT, 3, _CEREMONY));
        _activate(registration);
        bytes memory answered =
            abi.encodeWithSelector(VerifierRegistry.VerifierAnswered.selector, registration.verifier);
        vm.expectRevert(answered);
        _registry.exposeZeroContext(_KEY, _proof(1), new uint256[](3));
        vm.expectRevert(answered);
        _registry.verify(_KEY, _proof(1), _signals(3));
    }

    /// @dev The other two ways to a verifier are no softer than the first.
    function test_Attack_AFalseOfABatchOrUniversalVerifierIsNoYes() public {
        _activate(_registration());
        address batch = address(new TwinBatchSaysFalse(_KEY, _CIRCUIT, 3, _CEREMONY));
        _registry.proposeBatchVerifier(_KEY, batch);
        vm.warp(block.timestamp + _DELAY);
        _registry.activateBatchVerifier(_KEY);
        uint256[8][] memory proofs = new uint256[8][](1);
        proofs[0] = _proof(1);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierAnswered.selector, batch));
        _registry.verifyBatch(_KEY, proofs, _signals(3));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierAnswered.selector, batch));
        _registry.exposeZeroContextInBatch(_KEY, proofs, new uint256[](3), 0);

        uint256[] memory words = new uint256[](17 + 6);
        words[0] = 3;
        Registration memory registration = _registration();
        registration.keyDigest = keccak256(abi.encodePacked(keccak256("anchorproof/groth16-bn254-key/1"), words));
        registration.verifier = address(new TwinUniversalSaysFalse(words));
        registration.universal = true;
        _activate(registration);
        bytes memory answered =
            abi.encodeWithSelector(VerifierRegistry.VerifierAnswered.selector, registration.verifier);
        vm.expectRevert(answered);
        _registry.verify(registration.keyDigest, _proof(1), _signals(3));
        vm.expectRevert(answered);
        _registry.exposeZeroContext(registration.keyDigest, _proof(1), new uint256[](3));
    }

    /// @dev Gates mint and record by batches too, and the verifier of those is another contract.
    function test_AnyoneStopsAKeyWhoseBatchVerifierTakesAZeroContext() public {
        address batch = address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, _CEREMONY));
        uint256[8][] memory proofs = new uint256[8][](2);
        proofs[0][0] = proofs[1][0] = HOLDS;
        uint256[] memory signals = _signals(6);
        signals[2] = 0;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, _KEY));
        _registry.exposeZeroContextInBatch(_KEY, proofs, signals, 0);
        _activate(_registration());
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.BatchVerifierUnknown.selector, _KEY));
        _registry.exposeZeroContextInBatch(_KEY, proofs, signals, 0);
        _registry.proposeBatchVerifier(_KEY, batch);
        vm.warp(block.timestamp + _DELAY);
        _registry.activateBatchVerifier(_KEY);

        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ContextNotZero.selector, signals[5]));
        _registry.exposeZeroContextInBatch(_KEY, proofs, signals, 1);
        uint256[2] memory outside = [2, type(uint256).max];
        for (uint256 i = 0; i < outside.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.BatchIndexInvalid.selector, outside[i], 2));
            _registry.exposeZeroContextInBatch(_KEY, proofs, signals, outside[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.BatchIndexInvalid.selector, 0, 0));
        _registry.exposeZeroContextInBatch(_KEY, new uint256[8][](0), _signals(0), 0);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, 6, 5));
        _registry.exposeZeroContextInBatch(_KEY, proofs, new uint256[](5), 0);
        proofs[1][0] = HOLDS + 1;
        vm.expectRevert(TwinKey.ProofInvalid.selector);
        _registry.exposeZeroContextInBatch(_KEY, proofs, signals, 0);
        // A zero that is another signal of the proof is none.
        (signals[2], signals[3], proofs[1][0]) = (102, 0, HOLDS);
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectPartialRevert(VerifierRegistry.ContextNotZero.selector);
            _registry.exposeZeroContextInBatch(_KEY, proofs, signals, i);
        }
        assertFalse(_registry.entryOf(_KEY).frozen, "not yet");

        signals[5] = 0;
        vm.prank(_STRANGER);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit VerifierRegistry.KeyExposed(_KEY, _STRANGER, VerifierRegistry.Exposure.ZeroContextInBatch);
        _registry.exposeZeroContextInBatch(_KEY, proofs, signals, 1);
        assertTrue(_registry.entryOf(_KEY).frozen, "frozen");
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyFrozen.selector, _KEY));
        _registry.verify(_KEY, _proof(HOLDS), _signals(3));
    }

    /// @dev The key itself has done nothing: it goes on, without that batch verifier.
    function test_AProposedBatchVerifierThatTakesAZeroContextLosesItsProposal() public {
        _activate(_registration());
        _registry.proposeBatchVerifier(_KEY, address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, _CEREMONY)));
        uint256[8][] memory proofs = new uint256[8][](1);
        proofs[0][0] = HOLDS;
        vm.prank(_STRANGER);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit VerifierRegistry.BatchProposalCancelled(_KEY, _STRANGER);
        _registry.exposeZeroContextInBatch(_KEY, proofs, new uint256[](3), 0);
        vm.warp(block.timestamp + _DELAY);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
        _registry.activateBatchVerifier(_KEY);
        _registry.verify(_KEY, _proof(HOLDS), _signals(3));
    }

    function test_TwoOutputsForOneInputStopAModelsKey() public {
        bytes32[4] memory types = [
            CircuitTypes.INFERENCE,
            CircuitTypes.ADAPTED_INFERENCE,
            CircuitTypes.INFERENCE_BATCH,
            CircuitTypes.ADAPTED_INFERENCE_BATCH
        ];
        for (uint256 i = 0; i < types.length; ++i) {
            (bytes32 keyDigest, uint256 count) = _activeKey(types[i]);
            _contradict(keyDigest, count, 0);
        }
    }

    function test_TwoCountsOfOneChunkStopADatasetsKey() public {
        (bytes32 keyDigest, uint256 count) = _activeKey(CircuitTypes.DATASET_CHUNK);
        _contradict(keyDigest, count, 2);
    }

    function _contradict(bytes32 keyDigest, uint256 count, uint256 determined) private {
        uint256[] memory a = _signals(count);
        // One statement twice, for whomever, contradicts nothing; nor does another input, adapter, root or index.
        for (uint256 i = 0; i < count; ++i) {
            uint256[] memory b = _signals(count);
            b[i] = 999;
            if (i == determined) continue;
            vm.expectRevert(VerifierRegistry.NoContradiction.selector);
            _registry.exposeContradiction(keyDigest, _proof(HOLDS), a, _proof(HOLDS), b);
            if (i == count - 1) continue;
            b[determined] = 999;
            vm.expectRevert(VerifierRegistry.NoContradiction.selector);
            _registry.exposeContradiction(keyDigest, _proof(HOLDS), a, _proof(HOLDS), b);
        }
        vm.expectRevert(VerifierRegistry.NoContradiction.selector);
        _registry.exposeContradiction(keyDigest, _proof(HOLDS), a, _proof(HOLDS), a);

        uint256[] memory other = _signals(count);
        other[determined] = 999;
        other[count - 1] = 888; // contexts may differ
        vm.expectRevert(TwinKey.ProofInvalid.selector);
        _registry.exposeContradiction(keyDigest, _proof(HOLDS), a, _proof(1), other);
        vm.expectRevert(TwinKey.ProofInvalid.selector);
        _registry.exposeContradiction(keyDigest, _proof(1), a, _proof(HOLDS), other);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, count, count + 1));
        _registry.exposeContradiction(keyDigest, _proof(HOLDS), _signals(count + 1), _proof(HOLDS), other);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, count, count - 1));
        _registry.exposeContradiction(keyDigest, _proof(HOLDS), a, _proof(HOLDS), _signals(count - 1));

        vm.prank(_STRANGER);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit VerifierRegistry.KeyExposed(keyDigest, _STRANGER, VerifierRegistry.Exposure.Contradiction);
        _registry.exposeContradiction(keyDigest, _proof(HOLDS), a, _proof(HOLDS), other);
        assertTrue(_registry.entryOf(keyDigest).frozen, "frozen");
    }

    function test_FamiliesWithoutAKnownContradictionCannotBeStoppedByOne() public {
        (bytes32 keyDigest, uint256 count) = _activeKey(CircuitTypes.DATASET_OPENING);
        uint256[] memory other = _signals(count);
        other[2] = 999;
        vm.expectRevert(
            abi.encodeWithSelector(VerifierRegistry.ContradictionUndefined.selector, CircuitTypes.DATASET_OPENING)
        );
        _registry.exposeContradiction(keyDigest, _proof(HOLDS), _signals(count), _proof(HOLDS), other);
    }

    // --------------------------------------------------------------------------------------------------------------- router

    /// @dev The router reads the slot that solc packs: every number of signals, and each flag.
    function test_EveryFamilyIsRoutedWithItsSignalsAsTheyCame(uint256 a, uint256 b) public {
        bytes32[3] memory types = [CircuitTypes.INFERENCE, CircuitTypes.DATASET_CHUNK, CircuitTypes.DATASET_GROWTH];
        for (uint256 i = 0; i < types.length; ++i) {
            (bytes32 keyDigest, uint256 count) = _activeKey(types[i]);
            assertEq(count, i + 3, "signals");
            uint256[] memory signals = _signals(count);
            (signals[0], signals[count - 1]) = (a, b);
            TwinVerifier(_registry.entryOf(keyDigest).verifier).expectSignals(keccak256(abi.encodePacked(signals)));
            _registry.verify(keyDigest, _proof(HOLDS), signals);
            vm.expectRevert(TwinKey.ProofInvalid.selector);
            _registry.verify(keyDigest, _proof(HOLDS + 1), signals);
            unchecked {
                ++signals[0];
            }
            vm.expectRevert(TwinVerifier.CallWrong.selector);
            _registry.verify(keyDigest, _proof(HOLDS), signals);
            vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, count, count + 1));
            _registry.verify(keyDigest, _proof(HOLDS), _signals(count + 1));
            vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, count, count + 256));
            _registry.verify(keyDigest, _proof(HOLDS), _signals(count + 256));
            vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, count, 0));
            _registry.verify(keyDigest, _proof(HOLDS), _signals(0));
        }
    }

    function test_AVerifierThatIsGoneVerifiesNothing() public {
        _activate(_registration());
        vm.etch(address(_verifier), "");
        bytes memory gone = abi.encodeWithSelector(VerifierRegistry.VerifierWithoutCode.selector, address(_verifier));
        vm.expectRevert(gone);
        _registry.verify(_KEY, _proof(HOLDS), _signals(3));
        vm.expectRevert(gone);
        _registry.exposeZeroContext(_KEY, _proof(HOLDS), new uint256[](3));
    }

    function test_AnUnknownKeyIsUnknownWhateverTheNumberOfSignals(bytes32 keyDigest, uint8 count) public {
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, keyDigest));
        _registry.verify(keyDigest, _proof(HOLDS), _signals(count));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, keyDigest));
        _registry.resolve(keyDigest, CircuitTypes.INFERENCE);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, keyDigest));
        _registry.verifyBatch(keyDigest, new uint256[8][](1), _signals(count));
    }

    function test_ResolvingAsksForTheType() public {
        _activate(_registration());
        assertEq(_registry.resolve(_KEY, CircuitTypes.INFERENCE).verifier, address(_verifier), "resolved");
        vm.expectRevert(
            abi.encodeWithSelector(
                VerifierRegistry.StatementTypeMismatch.selector, CircuitTypes.INFERENCE_BATCH, CircuitTypes.INFERENCE
            )
        );
        _registry.resolve(_KEY, CircuitTypes.INFERENCE_BATCH);
    }

    function test_AUniversalVerifierIsAskedWithKeyAndCeremony() public {
        uint256[] memory words = new uint256[](17 + 6);
        words[0] = 3;
        bytes32 keyDigest = keccak256(abi.encodePacked(keccak256("anchorproof/groth16-bn254-key/1"), words));
        TwinUniversal universal = new TwinUniversal();
        universal.store(words, 0);
        Registration memory registration = _registration();
        registration.verifier = address(universal);
        registration.universal = true;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierKeyMismatch.selector, _KEY, keyDigest));
        _propose(registration);
        registration.keyDigest = keyDigest;
        registration.statementType = CircuitTypes.ADAPTED_INFERENCE;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierSignalsMismatch.selector, 4, 3));
        _propose(registration);
        registration.statementType = CircuitTypes.INFERENCE;
        _activate(registration);
        assertTrue(_registry.entryOf(keyDigest).universal, "universal");

        uint256[] memory signals = new uint256[](3);
        signals[0] = uint256(_CEREMONY); // the twin asks for the ceremony there
        _registry.verify(keyDigest, _proof(HOLDS), signals);
        vm.expectRevert(TwinUniversal.ProofInvalid.selector);
        _registry.verify(keyDigest, _proof(1), signals);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, 3, 2));
        _registry.verify(keyDigest, _proof(HOLDS), new uint256[](2));
        _registry.exposeZeroContext(keyDigest, _proof(HOLDS), signals);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyFrozen.selector, keyDigest));
        _registry.verify(keyDigest, _proof(HOLDS), signals);
    }

    // --------------------------------------------------------------------------------------------------------------- batches

    function test_ABatchVerifierWaitsAndIsSetOnce() public {
        address batch = address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, _CEREMONY));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, _KEY));
        _registry.proposeBatchVerifier(_KEY, batch);
        _propose(_registration());
        _registry.proposeBatchVerifier(_KEY, batch); // both can wait at once
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyAlreadyProposed.selector, _KEY));
        _registry.proposeBatchVerifier(_KEY, batch);
        uint256 readyAt = block.timestamp + _DELAY;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalNotReady.selector, readyAt, block.timestamp));
        _registry.activateBatchVerifier(_KEY);
        vm.warp(readyAt);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, _KEY));
        _registry.activateBatchVerifier(_KEY);
        _registry.activate(_KEY);

        uint256[8][] memory proofs = new uint256[8][](2);
        proofs[0][0] = proofs[1][0] = HOLDS;
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.BatchVerifierUnknown.selector, _KEY));
        _registry.verifyBatch(_KEY, proofs, _signals(6));
        vm.prank(_STRANGER);
        _registry.activateBatchVerifier(_KEY);
        assertEq(_registry.entryOf(_KEY).batchVerifier, batch, "batch verifier");
        _registry.verifyBatch(_KEY, proofs, _signals(6));

        proofs[1][0] = 1;
        vm.expectRevert(TwinKey.ProofInvalid.selector);
        _registry.verifyBatch(_KEY, proofs, _signals(6));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.SignalCountWrong.selector, 6, 5));
        _registry.verifyBatch(_KEY, proofs, _signals(5));
        vm.expectRevert(VerifierRegistry.BatchEmpty.selector);
        _registry.verifyBatch(_KEY, new uint256[8][](0), _signals(0));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.BatchVerifierAlreadyAdded.selector, _KEY));
        _registry.proposeBatchVerifier(_KEY, batch);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
        _registry.activateBatchVerifier(_KEY);
    }

    function test_ABatchVerifierIsOfTheSameKeyCircuitAndCeremony() public {
        _activate(_registration());
        address[4] memory wrong = [
            address(new TwinBatchVerifier(keccak256("other"), _CIRCUIT, 3, _CEREMONY)),
            address(new TwinBatchVerifier(_KEY, keccak256("other"), 3, _CEREMONY)),
            address(new TwinBatchVerifier(_KEY, _CIRCUIT, 4, _CEREMONY)),
            address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, keccak256("other")))
        ];
        bytes4[4] memory errors = [
            VerifierRegistry.VerifierKeyMismatch.selector,
            VerifierRegistry.VerifierCircuitMismatch.selector,
            VerifierRegistry.VerifierSignalsMismatch.selector,
            VerifierRegistry.VerifierCeremonyMismatch.selector
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectPartialRevert(errors[i]);
            _registry.proposeBatchVerifier(_KEY, wrong[i]);
        }
        address takesAll = address(new TwinTakesAll(_KEY, _CIRCUIT, 3, _CEREMONY));
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.VerifierRefusesNothing.selector, takesAll));
        _registry.proposeBatchVerifier(_KEY, takesAll);
    }

    function test_CancellingAKeyTakesItsBatchVerifiersProposalToo() public {
        address batch = address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, _CEREMONY));
        _propose(_registration());
        _registry.proposeBatchVerifier(_KEY, batch);
        _registry.cancel(_KEY);
        (address left,) = _registry.batchProposalOf(_KEY);
        assertEq(left, address(0), "gone");
        _activate(_registration());
        _registry.proposeBatchVerifier(_KEY, batch);
        vm.prank(_GUARDIAN);
        _registry.cancelBatchVerifier(_KEY);
        vm.warp(block.timestamp + _DELAY);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
        _registry.activateBatchVerifier(_KEY);
    }

    function test_AFrozenKeyGetsNoBatchVerifier() public {
        address batch = address(new TwinBatchVerifier(_KEY, _CIRCUIT, 3, _CEREMONY));
        _activate(_registration());
        _registry.proposeBatchVerifier(_KEY, batch);
        _registry.freeze(_KEY);
        vm.warp(block.timestamp + _DELAY);
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.ProposalUnknown.selector, _KEY));
        _registry.activateBatchVerifier(_KEY);
    }

    // ----------------------------------------------------------------------------------------------------------- standards

    function test_ERC7992_AModelIsItsKey() public {
        vm.expectRevert(abi.encodeWithSelector(IERC7992Models.ModelNotFound.selector, uint256(_KEY)));
        _registry.getModel(uint256(_KEY));
        _propose(_registration());
        vm.expectRevert(abi.encodeWithSelector(IERC7992Models.ModelNotFound.selector, uint256(_KEY)));
        _registry.getModel(uint256(_KEY));
        vm.warp(block.timestamp + _DELAY);
        ModelCommitment memory expected = ModelCommitment(_MODEL, _CIRCUIT, _KEY, 0x0550d137, "ipfs://model");
        vm.expectEmit(true, true, true, true, address(_registry));
        emit IERC7992Models.ModelRegistered(uint256(_KEY), address(this), expected);
        _registry.activate(_KEY);
        (ModelCommitment memory commitment, bool deprecated, address owner) = _registry.getModel(uint256(_KEY));
        assertEq(keccak256(abi.encode(commitment)), keccak256(abi.encode(expected)), "commitment");
        assertFalse(deprecated, "deprecated");
        assertEq(owner, address(this), "owner");
        assertEq(bytes32(_registry.PROOF_SYSTEM_ID()), bytes32(bytes4(keccak256("groth16-bn254-v1"))), "proof system");
        vm.expectEmit(true, true, true, true, address(_registry));
        emit IERC7992Models.ModelDeprecated(uint256(_KEY));
        _registry.freeze(_KEY);
        (, deprecated,) = _registry.getModel(uint256(_KEY));
        assertTrue(deprecated, "deprecated now");

        (bytes32 chunk,) = _activeKey(CircuitTypes.DATASET_CHUNK);
        vm.expectRevert(abi.encodeWithSelector(IERC7992Models.ModelNotFound.selector, uint256(chunk)));
        _registry.getModel(uint256(chunk));
    }

    function test_ERC8084_AnAdapterForEachKey() public {
        vm.expectRevert(abi.encodeWithSelector(VerifierRegistry.KeyUnknown.selector, _KEY));
        new CircuitMetadata(_registry, _KEY);
        _propose(_registration());
        vm.warp(block.timestamp + _DELAY);
        vm.expectEmit(true, true, true, true, address(_registry));
        emit IERC8084.CircuitMetadataUpdated(_CIRCUIT, (2 << 32) | 1, 0x00000001);
        _registry.activate(_KEY);
        IERC8084 metadata = new CircuitMetadata(_registry, _KEY);
        assertEq(metadata.circuitId(), _CIRCUIT, "circuit");
        assertEq(metadata.circuitVersion(), (2 << 32) | 1, "version");
        assertEq(metadata.publicInputsSchemaHash(), keccak256("schema"), "schema hash");
        assertEq(keccak256(bytes(metadata.publicInputsSchemaURI())), keccak256("ipfs://schema"), "schema");
        assertEq(keccak256(bytes(metadata.verificationKeyURI())), keccak256("ipfs://key"), "key");
        assertEq(bytes32(metadata.proofSystem()), bytes32(bytes4(0x00000001)), "proof system");
        assertTrue(CircuitMetadata(address(metadata)).supportsInterface(type(IERC8084).interfaceId), "ERC-165");
    }

    function test_ERC165() public view {
        assertTrue(_registry.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        assertTrue(_registry.supportsInterface(type(IVerifierRegistry).interfaceId), "registry");
        assertTrue(_registry.supportsInterface(type(IERC7992Models).interfaceId), "models");
        assertFalse(_registry.supportsInterface(0xffffffff), "0xffffffff");
        // The whole of ERC-7992's registry, whose writing half is not here.
        bytes4 whole = IERC7992Models.getModel.selector
            ^ bytes4(keccak256("registerModel((bytes32,bytes32,bytes32,bytes4,string))"))
            ^ bytes4(keccak256("updateModel(uint256,(bytes32,bytes32,bytes32,bytes4,string))"))
            ^ bytes4(keccak256("deprecateModel(uint256)"));
        assertFalse(_registry.supportsInterface(whole), "not claimed");
    }
}
