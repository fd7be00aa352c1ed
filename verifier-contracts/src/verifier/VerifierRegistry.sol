// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {CircuitTypes} from "./CircuitTypes.sol";
import {IBatchVerifier, IGroth16Verifier} from "./IGroth16Verifier.sol";
import {IERC7992Models, IERC8084, ModelCommitment} from "./IStandards.sol";
import {IUniversalVerifier} from "./IUniversalVerifier.sol";
import {Entry, IVerifierRegistry} from "./IVerifierRegistry.sol";

/// @notice What the owner says about a key.
struct Registration {
    bytes32 keyDigest;
    address verifier;
    bool universal; // verifier is a universal one, which holds the key as data
    bytes32 statementType;
    bytes32 circuitDigest;
    bytes32 modelDigest; // zero for circuits of datasets
    bytes32 ceremony; // zero for a development key
}

/// @notice Where to read about a key. Nothing here is checked, and nothing on chain depends on it.
struct KeyMetadata {
    string uri; // of the model, or of what the circuit is for
    string verificationKeyUri;
    string schemaUri; // of the document that describes the public signals
    bytes32 schemaHash;
    uint64 circuitVersion; // major in the high 32 bits, minor in the low ones
}

/// @notice What was said of a key, from its proposal on. The first slot is all that the router reads.
struct Record {
    address verifier;
    bytes4 selector; // of a generated verifier's verifyProof: its argument types have the number of signals in them
    uint8 signals;
    bool universal;
    bool development;
    bool frozen;
    bytes32 statementType;
    bytes32 circuitDigest;
    bytes32 modelDigest;
    bytes32 ceremony;
    address batchVerifier;
}

/// @notice A key on its way in.
struct Proposal {
    uint256 readyAt; // unix seconds; zero where there is no proposal
    bytes32 codeHash; // of the verifier when it was proposed
    Record record;
}

struct BatchProposal {
    address verifier;
    uint256 readyAt;
    bytes32 codeHash;
}

/// @title VerifierRegistry
/// @notice Which verifying keys this deployment believes, what each one proves, and the way from a key to its verifier.
/// @dev Append-only. A key is proposed by the owner, and after `addDelay` anyone may activate it; until then guardian or
///      owner may cancel it. An activated key never points anywhere else. Frozen, by the owner, the guardian or anyone who
///      shows that it proves what cannot be, it is so for good, and its digest never comes back.
///
///      NOT enforced here: that a key comes from a sound setup, which no contract can see in it (the owner checks the
///      ceremony's manifest, whose id stands here, and the delay is everybody's time to check it again); that a verifier's
///      code is a generated one's; that a key that is held by a universal verifier is of the circuit that the owner names;
///      and that metadata says the truth. The guardian can stop every key, and start none.
contract VerifierRegistry is IVerifierRegistry, IERC7992Models, Ownable2Step, ERC165 {
    /// @dev The only chain on which development keys are taken, and on which keys need not wait: a local test chain.
    uint256 private constant _DEVELOPMENT_CHAIN = 31337;

    /// @notice Bounds of `addDelay`, but for the lower one on chain 31337.
    uint256 public constant MIN_ADD_DELAY = 1 days;
    uint256 public constant MAX_ADD_DELAY = 30 days;

    /// @notice How long a proposal can be activated. One that everybody forgot is not to come in years later.
    uint256 public constant ACTIVATION_WINDOW = 30 days;

    /// @notice Most bytes of each string of a key's metadata.
    uint256 public constant MAX_TEXT = 256;

    /// @notice bytes4(keccak256("groth16-bn254-v1")), as ERC-7992 names proof systems.
    bytes4 public constant PROOF_SYSTEM_ID = 0x0550d137;

    /// @notice Groth16, as ERC-8084 numbers proof systems.
    bytes4 public constant PROOF_SYSTEM = 0x00000001;

    /// @dev keccak256 of the name; with a key's words behind it, the preimage of the key's digest.
    bytes32 private constant _KEY_TAG = keccak256("anchorproof/groth16-bn254-key/1");

    bytes32 private constant _POINT_AT_INFINITY = keccak256(abi.encodePacked(bytes4(keccak256("PointAtInfinity()"))));

    /// @dev Of a route, see {_routeOf}.
    uint256 private constant _UNIVERSAL = 0xff << 200;
    uint256 private constant _DEVELOPMENT = 0xff << 208;
    uint256 private constant _FROZEN = 0xff << 216;

    /// @notice What showed that a key is broken.
    enum Exposure {
        ZeroContext,
        Contradiction,
        ZeroContextInBatch
    }

    /// @notice Seconds between a proposal and its activation.
    uint256 public immutable addDelay;

    /// @notice May freeze and cancel, and nothing else. Zero when there is none.
    address public guardian;

    mapping(bytes32 keyDigest => Record) private _records;
    mapping(bytes32 keyDigest => Proposal) private _proposals;
    mapping(bytes32 keyDigest => BatchProposal) private _batchProposals;
    mapping(bytes32 keyDigest => KeyMetadata) private _metadata;

    event GuardianChanged(address indexed previous, address indexed current);
    event VerifierProposed(
        bytes32 indexed keyDigest, address indexed verifier, bytes32 indexed statementType, uint256 readyAt
    );
    event ProposalCancelled(bytes32 indexed keyDigest, address indexed by);
    event VerifierAdded(
        bytes32 indexed keyDigest,
        address indexed verifier,
        bytes32 indexed statementType,
        bytes32 circuitDigest,
        bytes32 modelDigest,
        bytes32 ceremony,
        bool universal
    );
    event BatchVerifierProposed(bytes32 indexed keyDigest, address indexed verifier, uint256 readyAt);
    event BatchProposalCancelled(bytes32 indexed keyDigest, address indexed by);
    event BatchVerifierAdded(bytes32 indexed keyDigest, address indexed verifier);
    event VerifierFrozen(bytes32 indexed keyDigest, address indexed by);
    event KeyExposed(bytes32 indexed keyDigest, address indexed by, Exposure how);

    error AddDelayInvalid(uint256 minimum, uint256 maximum, uint256 given);
    error NotGuardian(address caller);
    error KeyUnknown(bytes32 keyDigest);
    error KeyFrozen(bytes32 keyDigest);
    error KeyAlreadyAdded(bytes32 keyDigest);
    error KeyAlreadyProposed(bytes32 keyDigest);
    error ProposalUnknown(bytes32 keyDigest);
    error ProposalNotReady(uint256 readyAt, uint256 time);
    error ProposalExpired(uint256 expiredAt, uint256 time);
    error StatementTypeMismatch(bytes32 expected, bytes32 registered);
    error StatementTypeUnknown(bytes32 statementType);
    error ModelDigestInvalid(bytes32 modelDigest);
    error CircuitDigestZero();
    error DevelopmentKeyRefused(uint256 chainId);
    error TextTooLong(uint256 limit, uint256 given);
    error VerifierWithoutCode(address verifier);
    error VerifierDelegated(address verifier);
    error VerifierCodeChanged(address verifier);
    error VerifierKeyMismatch(bytes32 expected, bytes32 reported);
    error VerifierCircuitMismatch(bytes32 expected, bytes32 reported);
    error VerifierSignalsMismatch(uint256 expected, uint256 reported);
    error VerifierDevelopmentMismatch(bool expected, bool reported);
    error VerifierCeremonyMismatch(bytes32 expected, bytes32 reported);
    error VerifierRefusesNothing(address verifier);
    error VerifierUnlike(address verifier, bytes answer);
    error VerifierAnswered(address verifier);
    error SignalCountWrong(uint256 expected, uint256 given);
    error BatchEmpty();
    error BatchIndexInvalid(uint256 index, uint256 count);
    error BatchVerifierUnknown(bytes32 keyDigest);
    error BatchVerifierAlreadyAdded(bytes32 keyDigest);
    error ContextNotZero(uint256 context);
    error NoContradiction();
    error ContradictionUndefined(bytes32 statementType);

    /// @param guardian_ may be zero: the owner and everybody with a proof of a flaw can then freeze
    /// @param addDelay_ zero only on chain 31337
    constructor(address owner_, address guardian_, uint256 addDelay_) Ownable(owner_) {
        uint256 minimum = block.chainid == _DEVELOPMENT_CHAIN ? 0 : MIN_ADD_DELAY;
        if (addDelay_ < minimum || addDelay_ > MAX_ADD_DELAY) {
            revert AddDelayInvalid(minimum, MAX_ADD_DELAY, addDelay_);
        }
        addDelay = addDelay_;
        guardian = guardian_;
        emit GuardianChanged(address(0), guardian_);
    }

    /// @notice Guardian or owner.
    modifier onlyGuardian() {
        if (msg.sender != guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
        _;
    }

    function setGuardian(address guardian_) external onlyOwner {
        emit GuardianChanged(guardian, guardian_);
        guardian = guardian_;
    }

    // ---------------------------------------------------------------------------------------------- keys on their way in

    /// @notice Says what a key is to be, and starts its delay. A cancelled or lapsed proposal can be made anew.
    /// @dev Everything the verifier says about itself must agree with what the owner says about it, so that a mix-up of
    ///      addresses cannot bind a key to another circuit. It is compared again at activation.
    function propose(Registration calldata registration, KeyMetadata calldata metadata) external onlyOwner {
        bytes32 keyDigest = registration.keyDigest;
        _requireNew(keyDigest);
        bool development = registration.ceremony == 0;
        if (development && block.chainid != _DEVELOPMENT_CHAIN) revert DevelopmentKeyRefused(block.chainid);
        (uint8 signals, bool ofModel) = CircuitTypes.shapeOf(registration.statementType);
        if (signals == 0) revert StatementTypeUnknown(registration.statementType);
        if (ofModel == (registration.modelDigest == 0)) revert ModelDigestInvalid(registration.modelDigest);
        if (registration.circuitDigest == 0) revert CircuitDigestZero();
        _requireShort(metadata.uri);
        _requireShort(metadata.verificationKeyUri);
        _requireShort(metadata.schemaUri);

        Record memory record = Record({
            verifier: registration.verifier,
            selector: _selectorFor(signals),
            signals: signals,
            universal: registration.universal,
            development: development,
            frozen: false,
            statementType: registration.statementType,
            circuitDigest: registration.circuitDigest,
            modelDigest: registration.modelDigest,
            ceremony: registration.ceremony,
            batchVerifier: address(0)
        });
        _check(keyDigest, record);
        uint256 readyAt = block.timestamp + addDelay;
        _proposals[keyDigest] = Proposal(readyAt, record.verifier.codehash, record);
        _metadata[keyDigest] = metadata;
        emit VerifierProposed(keyDigest, record.verifier, record.statementType, readyAt);
    }

    /// @notice Takes a proposed key in, once its delay is over. Anyone may.
    function activate(bytes32 keyDigest) external {
        Proposal memory proposal = _proposals[keyDigest];
        _requireReady(keyDigest, proposal.readyAt);
        Record memory record = proposal.record;
        if (record.verifier.codehash != proposal.codeHash) revert VerifierCodeChanged(record.verifier);
        _check(keyDigest, record);
        delete _proposals[keyDigest];
        _records[keyDigest] = record;
        emit VerifierAdded(
            keyDigest,
            record.verifier,
            record.statementType,
            record.circuitDigest,
            record.modelDigest,
            record.ceremony,
            record.universal
        );
        emit IERC8084.CircuitMetadataUpdated(record.circuitDigest, _metadata[keyDigest].circuitVersion, PROOF_SYSTEM);
        if (record.modelDigest != 0) {
            emit ModelRegistered(uint256(keyDigest), owner(), _commitmentOf(keyDigest, record));
        }
    }

    /// @notice Takes a proposal back, before it was activated, with the proposal of a batch verifier if there is one.
    function cancel(bytes32 keyDigest) external onlyGuardian {
        if (_proposals[keyDigest].readyAt == 0) revert ProposalUnknown(keyDigest);
        delete _proposals[keyDigest];
        delete _batchProposals[keyDigest];
        delete _metadata[keyDigest];
        emit ProposalCancelled(keyDigest, msg.sender);
    }

    /// @notice Proposes the batch verifier of a key that is proposed or active, and has none. It waits like a key.
    function proposeBatchVerifier(bytes32 keyDigest, address verifier) external onlyOwner {
        Record memory record = _knownRecord(keyDigest);
        if (record.batchVerifier != address(0)) revert BatchVerifierAlreadyAdded(keyDigest);
        if (_pending(_batchProposals[keyDigest].readyAt)) revert KeyAlreadyProposed(keyDigest);
        _checkBatch(keyDigest, verifier, record);
        uint256 readyAt = block.timestamp + addDelay;
        _batchProposals[keyDigest] = BatchProposal(verifier, readyAt, verifier.codehash);
        emit BatchVerifierProposed(keyDigest, verifier, readyAt);
    }

    /// @notice Gives an active key its batch verifier, for good, once the delay is over. Anyone may.
    function activateBatchVerifier(bytes32 keyDigest) external {
        BatchProposal memory proposal = _batchProposals[keyDigest];
        _requireReady(keyDigest, proposal.readyAt);
        Record memory record = _records[keyDigest];
        _requireUsable(keyDigest, record.verifier, record.frozen);
        if (proposal.verifier.codehash != proposal.codeHash) revert VerifierCodeChanged(proposal.verifier);
        _checkBatch(keyDigest, proposal.verifier, record);
        delete _batchProposals[keyDigest];
        _records[keyDigest].batchVerifier = proposal.verifier;
        emit BatchVerifierAdded(keyDigest, proposal.verifier);
    }

    function cancelBatchVerifier(bytes32 keyDigest) external onlyGuardian {
        if (_batchProposals[keyDigest].readyAt == 0) revert ProposalUnknown(keyDigest);
        delete _batchProposals[keyDigest];
        emit BatchProposalCancelled(keyDigest, msg.sender);
    }

    // ------------------------------------------------------------------------------------------------------ keys stopped

    /// @notice Stops a key for good, at once, active or proposed. There is no way back: a repaired circuit has another key.
    function freeze(bytes32 keyDigest) external onlyGuardian {
        _knownRecord(keyDigest);
        _freeze(keyDigest);
    }

    /// @notice Stops a key for good, by a valid proof whose context is zero. Every circuit forbids that, so the key's setup,
    ///         its circuit or its verifier is broken. Anyone may, also while the key is only proposed.
    function exposeZeroContext(bytes32 keyDigest, uint256[8] calldata proof, uint256[] calldata signals) external {
        Record memory record = _knownRecord(keyDigest);
        _requireCount(record.signals, signals.length);
        uint256 context = signals[signals.length - 1];
        if (context != 0) revert ContextNotZero(context);
        _verify(keyDigest, record, proof, signals);
        emit KeyExposed(keyDigest, msg.sender, Exposure.ZeroContext);
        _freeze(keyDigest);
    }

    /// @notice {exposeZeroContext} for a batch verifier, by a batch that it takes with a context of zero in it. It is code
    ///         of its own, and can be broken where the key, its circuit and the verifier of one proof are not.
    /// @dev An active one stops the key, since it cannot be replaced. One that is only proposed loses its proposal.
    /// @param index of a proof in the batch whose context is zero
    function exposeZeroContextInBatch(
        bytes32 keyDigest,
        uint256[8][] calldata proofs,
        uint256[] calldata signals,
        uint256 index
    ) external {
        Record memory record = _knownRecord(keyDigest);
        address verifier = record.batchVerifier;
        bool active = verifier != address(0);
        if (!active) verifier = _batchProposals[keyDigest].verifier;
        _requireCount(record.signals * proofs.length, signals.length);
        if (index >= proofs.length) revert BatchIndexInvalid(index, proofs.length);
        uint256 context = signals[(index + 1) * record.signals - 1];
        if (context != 0) revert ContextNotZero(context);
        _askBatch(keyDigest, verifier, proofs, signals);
        emit KeyExposed(keyDigest, msg.sender, Exposure.ZeroContextInBatch);
        if (active) {
            _freeze(keyDigest);
        } else {
            delete _batchProposals[keyDigest];
            emit BatchProposalCancelled(keyDigest, msg.sender);
        }
    }

    /// @notice Stops a key for good, by two valid proofs that cannot both be true: two outputs of one model on one input
    ///         (and with one adapter), or two numbers of records of one chunk. Anyone may, also while the key is only proposed.
    /// @dev Contexts do not matter: they say whom a proof is for, not what it shows.
    function exposeContradiction(
        bytes32 keyDigest,
        uint256[8] calldata proofA,
        uint256[] calldata signalsA,
        uint256[8] calldata proofB,
        uint256[] calldata signalsB
    ) external {
        Record memory record = _knownRecord(keyDigest);
        (bool known, uint256 determined) = CircuitTypes.determinedSignal(record.statementType);
        if (!known) revert ContradictionUndefined(record.statementType);
        _requireCount(record.signals, signalsA.length);
        _requireCount(record.signals, signalsB.length);
        // The verifiers refuse signals outside the field, so equal values are equal words.
        uint256 context = signalsA.length - 1;
        for (uint256 i = 0; i < context; ++i) {
            if ((signalsA[i] != signalsB[i]) != (i == determined)) revert NoContradiction();
        }
        _verify(keyDigest, record, proofA, signalsA);
        _verify(keyDigest, record, proofB, signalsB);
        emit KeyExposed(keyDigest, msg.sender, Exposure.Contradiction);
        _freeze(keyDigest);
    }

    // ------------------------------------------------------------------------------------------------------------ router

    // One storage slot says where to, and the proof goes on as it came. NOT enforced by either: anything about what the
    // signals mean. Callers that act on a statement ask {resolve} whether the key is of the statement's type.

    /// @inheritdoc IVerifierRegistry
    function verify(bytes32 keyDigest, uint256[8] calldata proof, uint256[] calldata signals) external view {
        uint256 route = _routeOf(keyDigest);
        address verifier = _verifierIn(route);
        // A call to an address without code would succeed.
        if (route & _FROZEN != 0 || (route >> 192 & 0xff) != signals.length || verifier.code.length == 0) {
            _refuse(keyDigest, route, signals.length);
        }
        if (route & _UNIVERSAL == 0) {
            bool taken;
            assembly ("memory-safe") {
                let free := mload(0x40)
                let size := shl(5, signals.length)
                mstore(free, shl(64, route)) // the selector comes to the front; what is behind it is written over
                calldatacopy(add(free, 0x04), proof, 0x100)
                calldatacopy(add(free, 0x104), signals.offset, size)
                taken := staticcall(gas(), verifier, free, add(size, 0x104), 0x00, 0x00)
            }
            _requireTaken(verifier, taken);
        } else {
            bytes32 ceremony = route & _DEVELOPMENT == 0 ? _records[keyDigest].ceremony : bytes32(0);
            _askUniversal(keyDigest, verifier, ceremony, proof, signals);
        }
    }

    /// @inheritdoc IVerifierRegistry
    function verifyBatch(bytes32 keyDigest, uint256[8][] calldata proofs, uint256[] calldata signals) external view {
        Record storage record = _records[keyDigest];
        _requireUsable(keyDigest, record.verifier, record.frozen);
        if (proofs.length == 0) revert BatchEmpty();
        _requireCount(record.signals * proofs.length, signals.length);
        _askBatch(keyDigest, record.batchVerifier, proofs, signals);
    }

    // ------------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IVerifierRegistry
    function entryOf(bytes32 keyDigest) external view returns (Entry memory) {
        return _entry(_records[keyDigest]);
    }

    /// @inheritdoc IVerifierRegistry
    function resolve(bytes32 keyDigest, bytes32 statementType) external view returns (Entry memory entry) {
        Record storage record = _records[keyDigest];
        _requireUsable(keyDigest, record.verifier, record.frozen);
        bytes32 registered = record.statementType;
        if (registered != statementType) revert StatementTypeMismatch(statementType, registered);
        return _entry(record);
    }

    /// @notice A proposed key, and when it can be activated; all zero where there is no proposal.
    function proposalOf(bytes32 keyDigest) external view returns (Entry memory entry, uint256 readyAt) {
        Proposal storage proposal = _proposals[keyDigest];
        return (_entry(proposal.record), proposal.readyAt);
    }

    function batchProposalOf(bytes32 keyDigest) external view returns (address verifier, uint256 readyAt) {
        BatchProposal storage proposal = _batchProposals[keyDigest];
        return (proposal.verifier, proposal.readyAt);
    }

    /// @notice What was said of a key when it was proposed, for people and their tools.
    function metadataOf(bytes32 keyDigest) external view returns (KeyMetadata memory) {
        return _metadata[keyDigest];
    }

    /// @notice Public signals of a circuit family, `context` included, and whether its keys are one model's each; zero
    ///         signals for a family that is not known here.
    function shapeOf(bytes32 statementType) external pure returns (uint8 signals, bool ofModel) {
        return CircuitTypes.shapeOf(statementType);
    }

    /// @inheritdoc IERC7992Models
    /// @dev A model's id is its key's digest. Keys of datasets, and keys that are only proposed, are no models; one that was
    ///      frozen while it was proposed is a deprecated one.
    function getModel(uint256 modelId)
        external
        view
        returns (ModelCommitment memory commitment, bool deprecated, address owner_)
    {
        Record memory record = _records[bytes32(modelId)];
        if (record.modelDigest == 0) revert ModelNotFound(modelId);
        return (_commitmentOf(bytes32(modelId), record), record.frozen, owner());
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IVerifierRegistry).interfaceId || interfaceId == type(IERC7992Models).interfaceId
            || super.supportsInterface(interfaceId);
    }

    // ----------------------------------------------------------------------------------------------------------- private

    function _requireNew(bytes32 keyDigest) private view {
        if (_records[keyDigest].frozen) revert KeyFrozen(keyDigest);
        if (_records[keyDigest].verifier != address(0)) revert KeyAlreadyAdded(keyDigest);
        if (_pending(_proposals[keyDigest].readyAt)) revert KeyAlreadyProposed(keyDigest);
    }

    /// @dev A proposal that can still be activated, now or later.
    function _pending(uint256 readyAt) private view returns (bool) {
        return readyAt != 0 && block.timestamp <= readyAt + ACTIVATION_WINDOW;
    }

    function _requireReady(bytes32 keyDigest, uint256 readyAt) private view {
        if (readyAt == 0) revert ProposalUnknown(keyDigest);
        if (block.timestamp < readyAt) revert ProposalNotReady(readyAt, block.timestamp);
        if (!_pending(readyAt)) revert ProposalExpired(readyAt + ACTIVATION_WINDOW, block.timestamp);
    }

    function _requireUsable(bytes32 keyDigest, address verifier, bool frozen) private pure {
        if (verifier == address(0)) revert KeyUnknown(keyDigest);
        if (frozen) revert KeyFrozen(keyDigest);
    }

    function _requireCount(uint256 expected, uint256 given) private pure {
        if (expected != given) revert SignalCountWrong(expected, given);
    }

    function _requireShort(string calldata text) private pure {
        if (bytes(text).length > MAX_TEXT) revert TextTooLong(MAX_TEXT, bytes(text).length);
    }

    /// @dev Of an active key, or else of a proposed one; reverts for others.
    function _knownRecord(bytes32 keyDigest) private view returns (Record memory record) {
        record = _records[keyDigest];
        if (record.verifier == address(0)) record = _proposals[keyDigest].record;
        _requireUsable(keyDigest, record.verifier, record.frozen);
    }

    /// @dev A key that was only proposed gets its entry too: the tombstone that keeps it from being proposed again.
    function _freeze(bytes32 keyDigest) private {
        Record storage record = _records[keyDigest];
        if (record.verifier == address(0)) {
            _records[keyDigest] = _proposals[keyDigest].record;
            delete _proposals[keyDigest];
        } else if (record.modelDigest != 0) {
            emit ModelDeprecated(uint256(keyDigest));
        }
        record.frozen = true;
        delete _batchProposals[keyDigest];
        emit VerifierFrozen(keyDigest, msg.sender);
    }

    /// @dev Compares what was said of a verifier with what it says itself.
    function _check(bytes32 keyDigest, Record memory record) private view {
        bytes memory zeroProof;
        if (record.universal) {
            _requireCode(record.verifier);
            uint256[] memory words = IUniversalVerifier(record.verifier).keyOf(keyDigest, record.ceremony);
            bytes32 reported = keccak256(abi.encodePacked(_KEY_TAG, words));
            if (reported != keyDigest) revert VerifierKeyMismatch(keyDigest, reported);
            if (words[0] != record.signals) revert VerifierSignalsMismatch(record.signals, words[0]);
            uint256[8] memory proof;
            zeroProof = abi.encodeCall(
                IUniversalVerifier.verify, (keyDigest, record.ceremony, proof, new uint256[](record.signals))
            );
        } else {
            _checkGenerated(keyDigest, record.verifier, record);
            zeroProof = abi.encodePacked(record.selector, new uint256[](8 + uint256(record.signals)));
        }
        _requireRefusal(record.verifier, zeroProof);
    }

    function _checkBatch(bytes32 keyDigest, address verifier, Record memory record) private view {
        _checkGenerated(keyDigest, verifier, record);
        _requireRefusal(
            verifier, abi.encodeCall(IBatchVerifier.verifyBatch, (new uint256[8][](1), new uint256[](record.signals)))
        );
    }

    function _checkGenerated(bytes32 keyDigest, address verifier, Record memory record) private view {
        _requireCode(verifier);
        IGroth16Verifier target = IGroth16Verifier(verifier);
        bytes32 reportedKey = target.KEY_DIGEST();
        if (reportedKey != keyDigest) revert VerifierKeyMismatch(keyDigest, reportedKey);
        bytes32 reportedCircuit = target.CIRCUIT_DIGEST();
        if (reportedCircuit != record.circuitDigest) {
            revert VerifierCircuitMismatch(record.circuitDigest, reportedCircuit);
        }
        uint256 reportedSignals = target.N_PUBLIC();
        if (reportedSignals != record.signals) revert VerifierSignalsMismatch(record.signals, reportedSignals);
        bool reportedDevelopment = target.DEVELOPMENT();
        if (reportedDevelopment != record.development) {
            revert VerifierDevelopmentMismatch(record.development, reportedDevelopment);
        }
        bytes32 reportedCeremony = target.CEREMONY();
        if (reportedCeremony != record.ceremony) revert VerifierCeremonyMismatch(record.ceremony, reportedCeremony);
    }

    /// @dev An account that delegates (EIP-7702) has code that its holder can change.
    function _requireCode(address verifier) private view {
        bytes memory code = verifier.code;
        if (code.length == 0) revert VerifierWithoutCode(verifier);
        // The first three bytes of EIP-7702's 23 are what tells them from others.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (code.length == 23 && bytes3(code) == 0xef0100) revert VerifierDelegated(verifier);
    }

    /// @dev Points of zeros are infinity, and every verifier of ours says so, in one word. What takes them takes anything: a
    ///      contract with a silent fallback, say. What says something else is another contract, as that of batches is where one
    ///      proof's was meant; once in, it could not be replaced. Nothing at all is said where gas ran out.
    function _requireRefusal(address verifier, bytes memory zeroProof) private view {
        (bool taken, bytes memory answer) = verifier.staticcall(zeroProof);
        if (taken) revert VerifierRefusesNothing(verifier);
        if (keccak256(answer) != _POINT_AT_INFINITY) revert VerifierUnlike(verifier, answer);
    }

    function _verify(bytes32 keyDigest, Record memory record, uint256[8] calldata proof, uint256[] calldata signals)
        private
        view
    {
        if (record.universal) {
            _askUniversal(keyDigest, record.verifier, record.ceremony, proof, signals);
        } else {
            _forward(record.verifier, record.selector, proof, signals);
        }
    }

    function _askUniversal(
        bytes32 keyDigest,
        address verifier,
        bytes32 ceremony,
        uint256[8] calldata proof,
        uint256[] calldata signals
    ) private view {
        IUniversalVerifier(verifier).verify(keyDigest, ceremony, proof, signals);
        _requireSilence(verifier);
    }

    function _askBatch(bytes32 keyDigest, address verifier, uint256[8][] calldata proofs, uint256[] calldata signals)
        private
        view
    {
        if (verifier == address(0)) revert BatchVerifierUnknown(keyDigest);
        IBatchVerifier(verifier).verifyBatch(proofs, signals);
        _requireSilence(verifier);
    }

    /// @dev Calls a generated verifier, of which no interface can be written down: its argument types say how many signals
    ///      it takes. Returns when it does, and reverts as it does.
    function _forward(address verifier, bytes4 selector, uint256[8] calldata proof, uint256[] calldata signals)
        private
        view
    {
        // A call to an address without code would succeed.
        if (verifier.code.length == 0) revert VerifierWithoutCode(verifier);
        bool taken;
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(5, signals.length)
            mstore(free, selector)
            calldatacopy(add(free, 0x04), proof, 0x100)
            calldatacopy(add(free, 0x104), signals.offset, size)
            taken := staticcall(gas(), verifier, free, add(size, 0x104), 0x00, 0x00)
        }
        _requireTaken(verifier, taken);
    }

    /// @dev The first slot of a key's record, as struct Record is packed from the low end: verifier 160 bits, selector 32,
    ///      signals, universal, development and frozen 8 each. Tests compare this with what solc makes of the struct.
    function _routeOf(bytes32 keyDigest) private view returns (uint256 route) {
        Record storage record = _records[keyDigest];
        assembly ("memory-safe") {
            route := sload(record.slot)
        }
    }

    function _verifierIn(uint256 route) private pure returns (address) {
        // The rest of the route is cut off on purpose.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(route));
    }

    /// @dev Says why a key does not lead to a verifier that could be asked.
    function _refuse(bytes32 keyDigest, uint256 route, uint256 signals) private pure {
        address verifier = _verifierIn(route);
        _requireUsable(keyDigest, verifier, route & _FROZEN != 0);
        _requireCount(route >> 192 & 0xff, signals);
        revert VerifierWithoutCode(verifier);
    }

    function _requireTaken(address verifier, bool taken) private pure {
        if (!taken) LowLevelCall.bubbleRevert();
        _requireSilence(verifier);
    }

    /// @dev After a call. Verifiers return nothing: one that does may mean to say false.
    function _requireSilence(address verifier) private pure {
        if (LowLevelCall.returnDataSize() != 0) revert VerifierAnswered(verifier);
    }

    function _selectorFor(uint8 signals) private pure returns (bytes4) {
        return
            bytes4(keccak256(bytes.concat("verifyProof(uint256[8],uint256[", bytes(Strings.toString(signals)), "])")));
    }

    function _commitmentOf(bytes32 keyDigest, Record memory record) private view returns (ModelCommitment memory) {
        return ModelCommitment({
            modelHash: record.modelDigest,
            circuitHash: record.circuitDigest,
            vkHash: keyDigest,
            proofSystemId: PROOF_SYSTEM_ID,
            uri: _metadata[keyDigest].uri
        });
    }

    function _entry(Record storage record) private view returns (Entry memory) {
        return Entry({
            verifier: record.verifier,
            universal: record.universal,
            development: record.development,
            frozen: record.frozen,
            signals: record.signals,
            statementType: record.statementType,
            circuitDigest: record.circuitDigest,
            modelDigest: record.modelDigest,
            ceremony: record.ceremony,
            batchVerifier: record.batchVerifier
        });
    }
}
