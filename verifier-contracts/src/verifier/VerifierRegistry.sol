// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IGroth16Verifier} from "./IGroth16Verifier.sol";
import {Statements} from "../gate/Statements.sol";

/// @title VerifierRegistry
/// @notice Which verifying keys this deployment believes, and what each one proves.
/// @dev Append-only: a digest is added once and never points anywhere else, and a frozen one stays frozen for good.
///      NOT enforced here: that the key comes from a sound setup. No contract can see that in a verifying key; the
///      owner checks the ceremony manifest before adding. Verifiers must not be upgradeable proxies for the same
///      reason: the registry pins an address, the owner vouches for its code.
contract VerifierRegistry is Ownable2Step {
    struct Entry {
        address verifier;
        bool development; // true: the key has no verified ceremony; the verifier itself only answers on chain 31337
        bool frozen;
        bytes32 statementType;
        bytes32 circuitDigest;
        bytes32 modelDigest; // zero for dataset circuits, which serve every dataset
    }

    /// @dev The only chain on which a development key may be registered: a local test chain.
    uint256 private constant _DEVELOPMENT_CHAIN = 31337;

    /// @notice May freeze, and nothing else. Zero when there is none.
    address public guardian;

    mapping(bytes32 keyDigest => Entry) private _entries;

    event VerifierAdded(
        bytes32 indexed keyDigest,
        address indexed verifier,
        bytes32 indexed statementType,
        bytes32 circuitDigest,
        bytes32 modelDigest,
        bool development
    );
    event VerifierFrozen(bytes32 indexed keyDigest, address indexed by);
    event GuardianChanged(address indexed previous, address indexed current);

    error KeyUnknown(bytes32 keyDigest);
    error KeyFrozen(bytes32 keyDigest);
    error KeyAlreadyAdded(bytes32 keyDigest);
    error StatementTypeMismatch(bytes32 expected, bytes32 registered);
    error StatementTypeUnknown(bytes32 statementType);
    error VerifierWithoutCode(address verifier);
    error VerifierKeyMismatch(bytes32 expected, bytes32 reported);
    error VerifierCircuitMismatch(bytes32 expected, bytes32 reported);
    error VerifierSignalsMismatch(uint256 expected, uint256 reported);
    error VerifierDevelopmentMismatch(bool expected, bool reported);
    error DevelopmentKeyRefused(uint256 chainId);
    error ModelDigestInvalid(bytes32 modelDigest);
    error NotGuardian(address caller);

    constructor(address owner_, address guardian_) Ownable(owner_) {
        guardian = guardian_;
        emit GuardianChanged(address(0), guardian_);
    }

    function setGuardian(address guardian_) external onlyOwner {
        emit GuardianChanged(guardian, guardian_);
        guardian = guardian_;
    }

    /// @notice Registers a verifier under the digest of its key.
    /// @dev Everything the verifier says about itself must agree with what the owner says about it, so that a mix-up
    ///      of addresses cannot bind a key to another circuit.
    function add(
        bytes32 keyDigest,
        address verifier,
        bytes32 statementType,
        bytes32 circuitDigest,
        bytes32 modelDigest,
        bool development
    ) external onlyOwner {
        if (_entries[keyDigest].verifier != address(0)) revert KeyAlreadyAdded(keyDigest);
        if (verifier.code.length == 0) revert VerifierWithoutCode(verifier);
        if (development && block.chainid != _DEVELOPMENT_CHAIN) revert DevelopmentKeyRefused(block.chainid);

        uint256 signals;
        if (statementType == Statements.TYPE_DATASET_CHUNK) {
            signals = Statements.DATASET_SIGNALS;
            if (modelDigest != 0) revert ModelDigestInvalid(modelDigest);
        } else if (statementType == Statements.TYPE_INFERENCE) {
            signals = Statements.INFERENCE_SIGNALS;
            if (modelDigest == 0) revert ModelDigestInvalid(modelDigest);
        } else {
            revert StatementTypeUnknown(statementType);
        }

        IGroth16Verifier target = IGroth16Verifier(verifier);
        bytes32 reportedKey = target.KEY_DIGEST();
        if (reportedKey != keyDigest) revert VerifierKeyMismatch(keyDigest, reportedKey);
        bytes32 reportedCircuit = target.CIRCUIT_DIGEST();
        if (reportedCircuit != circuitDigest) revert VerifierCircuitMismatch(circuitDigest, reportedCircuit);
        uint256 reportedSignals = target.N_PUBLIC();
        if (reportedSignals != signals) revert VerifierSignalsMismatch(signals, reportedSignals);
        bool reportedDevelopment = target.DEVELOPMENT();
        if (reportedDevelopment != development) revert VerifierDevelopmentMismatch(development, reportedDevelopment);

        _entries[keyDigest] = Entry({
            verifier: verifier,
            development: development,
            frozen: false,
            statementType: statementType,
            circuitDigest: circuitDigest,
            modelDigest: modelDigest
        });
        emit VerifierAdded(keyDigest, verifier, statementType, circuitDigest, modelDigest, development);
    }

    /// @notice Stops a key for good, at once. There is no way back: a repaired circuit has another key.
    function freeze(bytes32 keyDigest) external {
        if (msg.sender != guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
        Entry storage entry = _entries[keyDigest];
        if (entry.verifier == address(0)) revert KeyUnknown(keyDigest);
        if (entry.frozen) revert KeyFrozen(keyDigest);
        entry.frozen = true;
        emit VerifierFrozen(keyDigest, msg.sender);
    }

    /// @notice The entry as stored; all zero when the key is unknown. For display: {resolve} is what decides.
    function entryOf(bytes32 keyDigest) external view returns (Entry memory) {
        return _entries[keyDigest];
    }

    /// @notice The entry of a key that may be used for `statementType` now, or a typed revert.
    function resolve(bytes32 keyDigest, bytes32 statementType) external view returns (Entry memory entry) {
        entry = _entries[keyDigest];
        if (entry.verifier == address(0)) revert KeyUnknown(keyDigest);
        if (entry.frozen) revert KeyFrozen(keyDigest);
        if (entry.statementType != statementType) revert StatementTypeMismatch(statementType, entry.statementType);
    }
}
