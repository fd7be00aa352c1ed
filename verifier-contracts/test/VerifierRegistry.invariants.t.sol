// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CircuitTypes} from "../src/verifier/CircuitTypes.sol";
import {Entry} from "../src/verifier/IVerifierRegistry.sol";
import {KeyMetadata, Registration, VerifierRegistry} from "../src/verifier/VerifierRegistry.sol";
import {Test} from "./base/Test.sol";
import {HOLDS, TwinBatchVerifier, TwinVerifier} from "./twins/TwinVerifiers.sol";

/// @notice Everything that anyone does to a registry, in any order, and what must have come of it.
contract RegistryHandler is Test {
    uint256 private constant _DELAY = 1 days;
    uint256 private constant _KEYS = 3;
    address private constant _GUARDIAN = address(0x6A);
    address private constant _STRANGER = address(0x57);

    VerifierRegistry public immutable registry;

    struct Ghost {
        uint256 proposedAt; // of the proposal that stands; zero for none
        uint256 batchProposedAt;
        bytes32 entry; // hash of what must never change, from activation (or the tombstone) on
        bool active; // came in by activation
        bool frozen;
        address batchVerifier;
    }

    mapping(uint256 => Ghost) private _ghosts;
    address[2][_KEYS] private _verifiers; // two for each key: only one can come in
    address[2][_KEYS] private _batchVerifiers;

    /// @notice What ended otherwise than it had to; empty while nothing has.
    string public wrong;

    constructor() {
        registry = new VerifierRegistry(address(this), _GUARDIAN, _DELAY);
        for (uint256 i = 0; i < _KEYS; ++i) {
            for (uint256 j = 0; j < 2; ++j) {
                _verifiers[i][j] = address(new TwinVerifier(key(i), _circuit(i), 3, _circuit(i)));
                _batchVerifiers[i][j] = address(new TwinBatchVerifier(key(i), _circuit(i), 3, _circuit(i)));
            }
        }
    }

    function key(uint256 index) public pure returns (bytes32) {
        return keccak256(abi.encode("key", index));
    }

    function ghost(uint256 index) external view returns (Ghost memory) {
        return _ghosts[index];
    }

    function _circuit(uint256 index) private pure returns (bytes32) {
        return keccak256(abi.encode("circuit", index));
    }

    function _pick(uint256 seed) private pure returns (uint256) {
        return seed % _KEYS;
    }

    /// @dev As {VerifierRegistry}, by its own clock: a proposal that can still be activated.
    function _pending(uint256 proposedAt) private view returns (bool) {
        return proposedAt != 0 && block.timestamp <= proposedAt + _DELAY + registry.ACTIVATION_WINDOW();
    }

    function _ready(uint256 proposedAt) private view returns (bool) {
        return _pending(proposedAt) && block.timestamp >= proposedAt + _DELAY;
    }

    /// @dev Not by a revert, which the runner would take for a call that was not meant.
    function _expect(bool done, bool should, string memory what) private {
        if (done != should) wrong = what;
    }

    function _call(address caller, bytes memory data) private returns (bool done) {
        vm.prank(caller);
        (done,) = address(registry).call(data);
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1 hours, 20 days));
    }

    function propose(uint256 seed, uint256 which) external {
        uint256 i = _pick(seed);
        Ghost storage g = _ghosts[i];
        Registration memory registration = Registration(
            key(i),
            _verifiers[i][which % 2],
            false,
            which % 3 == 0 ? CircuitTypes.INFERENCE_BATCH : CircuitTypes.INFERENCE,
            _circuit(i),
            keccak256("model"),
            _circuit(i)
        );
        KeyMetadata memory metadata = KeyMetadata("", "", "", 0, 0);
        bool done = _call(address(this), abi.encodeCall(VerifierRegistry.propose, (registration, metadata)));
        _expect(done, g.entry == 0 && !_pending(g.proposedAt), "propose");
        if (done) g.proposedAt = block.timestamp;
    }

    function activate(uint256 seed) external {
        uint256 i = _pick(seed);
        Ghost storage g = _ghosts[i];
        (Entry memory proposed,) = registry.proposalOf(key(i));
        bool done = _call(_STRANGER, abi.encodeCall(VerifierRegistry.activate, (key(i))));
        _expect(done, _ready(g.proposedAt), "activate");
        if (!done) return;
        (g.active, g.proposedAt, g.entry) = (true, 0, fixedPart(proposed));
    }

    function cancel(uint256 seed, uint256 who) external {
        uint256 i = _pick(seed);
        Ghost storage g = _ghosts[i];
        address caller = [address(this), _GUARDIAN, _STRANGER][who % 3];
        bool done = _call(caller, abi.encodeCall(VerifierRegistry.cancel, (key(i))));
        _expect(done, caller != _STRANGER && g.proposedAt != 0, "cancel");
        if (!done) return;
        (g.proposedAt, g.batchProposedAt) = (0, 0);
    }

    function proposeBatch(uint256 seed, uint256 which) external {
        uint256 i = _pick(seed);
        Ghost storage g = _ghosts[i];
        bytes memory data =
            abi.encodeCall(VerifierRegistry.proposeBatchVerifier, (key(i), _batchVerifiers[i][which % 2]));
        bool known = g.entry != 0 || g.proposedAt != 0;
        bool free = g.batchVerifier == address(0) && !_pending(g.batchProposedAt);
        bool done = _call(address(this), data);
        _expect(done, known && !g.frozen && free, "proposeBatchVerifier");
        if (done) g.batchProposedAt = block.timestamp;
    }

    function activateBatch(uint256 seed) external {
        uint256 i = _pick(seed);
        Ghost storage g = _ghosts[i];
        (address proposed,) = registry.batchProposalOf(key(i));
        bool done = _call(_STRANGER, abi.encodeCall(VerifierRegistry.activateBatchVerifier, (key(i))));
        _expect(done, _ready(g.batchProposedAt) && g.active && !g.frozen, "activateBatchVerifier");
        if (!done) return;
        (g.batchProposedAt, g.batchVerifier) = (0, proposed);
    }

    function freeze(uint256 seed, uint256 who) external {
        if (seed % 5 != 0) return; // rarely: what is frozen is over
        uint256 i = _pick(seed / 5);
        address caller = [address(this), _GUARDIAN, _STRANGER][who % 3];
        (Entry memory proposed,) = registry.proposalOf(key(i));
        bool done = _call(caller, abi.encodeCall(VerifierRegistry.freeze, (key(i))));
        _expect(done, caller != _STRANGER && _stoppable(i), "freeze");
        if (!done) return;
        _stopped(i, proposed);
    }

    function expose(uint256 seed, bool valid, bool contradiction) external {
        if (seed % 5 != 0) return;
        uint256 i = _pick(seed / 5);
        uint256[8] memory proof;
        proof[0] = valid ? HOLDS : HOLDS + 1;
        uint256[] memory signals = new uint256[](3);
        uint256[] memory other = new uint256[](3);
        other[0] = 1;
        (Entry memory proposed,) = registry.proposalOf(key(i));
        bytes memory data = contradiction
            ? abi.encodeCall(VerifierRegistry.exposeContradiction, (key(i), proof, signals, proof, other))
            : abi.encodeCall(VerifierRegistry.exposeZeroContext, (key(i), proof, signals));
        bool done = _call(_STRANGER, data);
        _expect(done, valid && _stoppable(i), "expose");
        if (!done) return;
        _stopped(i, proposed);
    }

    function exposeBatch(uint256 seed, bool valid) external {
        if (seed % 5 != 0) return;
        uint256 i = _pick(seed / 5);
        Ghost storage g = _ghosts[i];
        uint256[8][] memory proofs = new uint256[8][](1);
        proofs[0][0] = valid ? HOLDS : HOLDS + 1;
        (Entry memory proposed,) = registry.proposalOf(key(i));
        bytes memory data =
            abi.encodeCall(VerifierRegistry.exposeZeroContextInBatch, (key(i), proofs, new uint256[](3), 0));
        bool active = g.batchVerifier != address(0);
        bool done = _call(_STRANGER, data);
        _expect(done, valid && _stoppable(i) && (active || g.batchProposedAt != 0), "exposeBatch");
        if (!done) return;
        if (active) _stopped(i, proposed);
        else g.batchProposedAt = 0;
    }

    function _stoppable(uint256 i) private view returns (bool) {
        return !_ghosts[i].frozen && (_ghosts[i].active || _ghosts[i].proposedAt != 0);
    }

    function _stopped(uint256 i, Entry memory proposed) private {
        Ghost storage g = _ghosts[i];
        if (!g.active) g.entry = fixedPart(proposed);
        (g.frozen, g.proposedAt, g.batchProposedAt) = (true, 0, 0);
    }

    /// @dev All of an entry but what may be set once later.
    function fixedPart(Entry memory entry) public pure returns (bytes32) {
        return keccak256(
            abi.encode(
                entry.verifier,
                entry.universal,
                entry.development,
                entry.signals,
                entry.statementType,
                entry.circuitDigest,
                entry.modelDigest,
                entry.ceremony
            )
        );
    }
}

contract VerifierRegistryInvariants is Test {
    RegistryHandler private _handler;
    VerifierRegistry private _registry;

    function setUp() public {
        vm.chainId(1);
        vm.warp(1_800_000_000);
        _handler = new RegistryHandler();
        _registry = _handler.registry();
        targetContract(address(_handler));
    }

    function invariant_EveryCallEndsAsItMust() public view {
        assertEq(bytes(_handler.wrong()).length, 0, _handler.wrong());
    }

    function invariant_AnEntryNeverChangesAndFrozenStaysFrozen() public view {
        for (uint256 i = 0; i < 3; ++i) {
            RegistryHandler.Ghost memory ghost = _handler.ghost(i);
            Entry memory entry = _registry.entryOf(_handler.key(i));
            if (ghost.entry == 0) {
                assertEq(entry.verifier, address(0), "no entry before activation");
                continue;
            }
            assertEq(_handler.fixedPart(entry), ghost.entry, "entry");
            assertTrue(entry.frozen == ghost.frozen, "frozen");
            assertEq(entry.batchVerifier, ghost.batchVerifier, "batch verifier");
        }
    }

    function invariant_OnlyActiveKeysThatAreNotFrozenVerify() public view {
        uint256[8] memory proof;
        proof[0] = HOLDS;
        for (uint256 i = 0; i < 3; ++i) {
            RegistryHandler.Ghost memory ghost = _handler.ghost(i);
            bytes memory call = abi.encodeCall(VerifierRegistry.verify, (_handler.key(i), proof, new uint256[](3)));
            (bool taken,) = address(_registry).staticcall(call);
            assertTrue(taken == (ghost.active && !ghost.frozen), "verify");
            uint256[8][] memory proofs = new uint256[8][](1);
            proofs[0] = proof;
            call = abi.encodeCall(VerifierRegistry.verifyBatch, (_handler.key(i), proofs, new uint256[](3)));
            (taken,) = address(_registry).staticcall(call);
            assertTrue(taken == (ghost.active && !ghost.frozen && ghost.batchVerifier != address(0)), "verifyBatch");
        }
    }
}
