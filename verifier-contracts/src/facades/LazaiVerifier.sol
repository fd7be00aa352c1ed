// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Statements, Task} from "../gate/Statements.sol";
import {Certificate, IQuorum} from "../quorum/IQuorum.sol";
import {IVerifierRegistry} from "../verifier/IVerifierRegistry.sol";
import {IVerifier} from "./IVerifier.sol";

/// @notice What is to be computed. A task's id is the hash of this, so an id means one question, asked by one account.
struct TaskRequest {
    address requester;
    address payee; // who does the work
    bytes32 keyDigest; // of the model's circuit; zero where no proof is wanted, which also rules out contradiction by one
    bytes32 modelDigest;
    uint256 inputCommitment;
    uint8 mode; // 1 TEE, 2 TEE+ZK, 3 OP, 4 ZK
    uint256 nonce;
    uint256 deadline; // unix seconds; the last block timestamp at which a result is taken
}

/// @notice A key that validators have seen attested: held by an enclave that runs this model under this policy.
struct AttestedKey {
    address key;
    bytes32 modelDigest;
    bytes32 policyDigest; // of the TEE policy by which the evidence was appraised
    uint64 validUntil; // unix seconds; not beyond the appraisal's own
}

/// @title LazaiVerifier
/// @notice LazAI's IVerifier over the registry and the quorum.
/// @dev LazAI's interface asks about a task by its id alone, so the id has to say what was asked: it is the hash of a
///      {TaskRequest}, which travels with each submission. Nobody can answer another question under it, and nobody gains by
///      being first. All ids are 32 bytes; a result's hash is the circuit's output signal as 32 bytes.
///
///      What each part must be:
///        submitZKProof     zkProof = abi.encode(TaskRequest, uint256 output, uint256[8] proof)
///                          publicSignals = abi.encode(uint256[3]); rebuilt here, and only compared with what is given
///        submitTEEProof    teeSignature = 65 bytes over TeeResult(taskId, resultHash), by an attested key or, in mode OP, by
///                          the payee; attestationReport = abi.encode(TaskRequest, AttestedKey, bytes32 evidenceDigest,
///                          Certificate), in mode OP = abi.encode(TaskRequest)
///        submitFraudProof  evidence = abi.encode(uint8 kind, bytes data), see {FraudKind}
///
///      Quotes are not parsed on chain: validators check them completely off chain (anchorproof/tee) and certify the key. So
///      a TEE result rests on a quorum, a ZK result on nobody.
///
///      The proof's context names this contract, so proofs made for the gate do not count here, nor the reverse.
///
///      NOT enforced: payment (UsageSettlement), and that the model is anchored as a token (MintGate).
contract LazaiVerifier is IVerifier, EIP712 {
    enum FraudKind {
        None,
        Contradiction, // data as submitZKProof's zkProof: a proof that the output is another one
        Quorum // data = abi.encode(bytes32 evidenceDigest, Certificate) over Dispute(taskId, resultHash)
    }

    struct Result {
        uint8 mode;
        bool claimed; // an enclave or, in mode OP, the payee has signed `output`
        bool proven; // a proof has shown `output`, under a key that may have been frozen since
        bool disputed; // for good: there are two answers, or the quorum refuses the one there is
        uint64 claimedAt; // unix seconds
        uint64 provenAt; // unix seconds
        bytes32 keyId; // digest of the attested key; zero in mode OP
        bytes32 keyDigest; // of the key that `output` was proven under
        uint256 output;
    }

    uint8 public constant MODE_TEE = 1;
    uint8 public constant MODE_TEE_ZK = 2;
    uint8 public constant MODE_OP = 3;
    uint8 public constant MODE_ZK = 4;

    uint8 private constant _ACCEPT = 1;
    uint8 private constant _REJECT = 2;

    bytes32 private constant _TASK_TAG = keccak256("anchorproof/lazai-task/1");
    bytes32 private constant _ATTESTED_KEY_TYPEHASH =
        keccak256("AttestedKey(address key,bytes32 modelDigest,bytes32 policyDigest,uint64 validUntil)");
    bytes32 private constant _TEE_RESULT_TYPEHASH = keccak256("TeeResult(bytes32 taskId,bytes32 resultHash)");
    bytes32 private constant _DISPUTE_TYPEHASH = keccak256("Dispute(bytes32 taskId,bytes32 resultHash)");

    IVerifierRegistry public immutable registry;
    IQuorum public immutable quorum;

    /// @notice Seconds in which the quorum can refuse a claimed result, and after which one of mode OP counts.
    uint256 public immutable disputeWindow;

    /// @notice Digests of attested keys that the quorum has certified.
    mapping(bytes32 keyId => bool) public certified;

    /// @notice Digests of attested keys that the quorum has taken back, for good.
    mapping(bytes32 keyId => bool) public revoked;

    mapping(bytes32 taskId => Result) private _results;

    event ResultProven(bytes32 indexed taskId, uint256 output);
    event ResultClaimed(bytes32 indexed taskId, uint256 output, address indexed signer, uint8 mode);
    event ResultDisputed(bytes32 indexed taskId, FraudKind kind, address indexed challenger);
    event KeyCertified(
        bytes32 indexed keyId, address indexed key, bytes32 indexed modelDigest, bytes32 policyDigest, uint64 validUntil
    );
    event KeyRevoked(bytes32 indexed keyId, bytes32 evidenceDigest);

    error TaskIdInvalid(bytes32 expected, bytes given);
    error ModeInvalid(uint8 mode);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error ModelDigestMismatch(bytes32 expected, bytes32 given);
    error SignalsMismatch();
    error WordExpected(bytes given);
    error ResultSignerWrong(address expected, address recovered);
    error ResultSignatureMalformed();
    error AttestedKeyExpired(uint64 validUntil, uint256 timestamp);
    error AttestedKeyRevoked(bytes32 keyId);
    error NothingToDispute(bytes32 taskId);
    error DisputeWindowPassed(uint256 until, uint256 timestamp);
    error DisputeWindowInvalid(uint256 window);
    error FraudKindInvalid(uint8 kind);
    error ResultConfirmed(uint256 output);
    error ResultKnown(bytes32 taskId);
    error ResultProvenOtherwise(uint256 proven, uint256 given);
    error TaskDisputed(bytes32 taskId);

    constructor(IVerifierRegistry registry_, IQuorum quorum_, uint256 disputeWindow_) EIP712("anchorproof", "1") {
        if (disputeWindow_ < 1 minutes || disputeWindow_ > 365 days) revert DisputeWindowInvalid(disputeWindow_);
        registry = registry_;
        quorum = quorum_;
        disputeWindow = disputeWindow_;
    }

    /// @inheritdoc IVerifier
    /// @dev Where the proof contradicts a claim the task is disputed from then on, and the proof is not recorded.
    function submitZKProof(bytes calldata taskId, bytes calldata zkProof, bytes calldata publicSignals) external {
        (TaskRequest memory request, uint256 output, uint256[8] memory proof) =
            abi.decode(zkProof, (TaskRequest, uint256, uint256[8]));
        bytes32 id = _taskId(taskId, request);
        if (block.timestamp > request.deadline) revert DeadlinePassed(request.deadline, block.timestamp);
        uint256[] memory signals = _verify(id, request, output, proof);
        // LazAI's interface carries them. They decide nothing: what was proven is what was rebuilt.
        if (keccak256(publicSignals) != keccak256(abi.encodePacked(signals))) revert SignalsMismatch();

        Result storage result = _open(id, request.mode);
        if (result.claimed && result.output != output) {
            _dispute(id, result, FraudKind.Contradiction, msg.sender);
            return;
        }
        // Two proven outputs of one question show a broken circuit: the registry's exposeContradiction is for that.
        if (result.proven) revert ResultKnown(id);
        result.proven = true;
        result.provenAt = uint64(block.timestamp);
        result.keyDigest = request.keyDigest;
        result.output = output;
        emit ResultProven(id, output);
    }

    /// @inheritdoc IVerifier
    /// @dev A second, different claim for one task disputes it: the computation has one answer.
    function submitTEEProof(
        bytes calldata taskId,
        bytes calldata resultHash,
        bytes calldata teeSignature,
        bytes calldata attestationReport
    ) external {
        // A static struct stands in place, so every report starts with the request.
        TaskRequest memory request = abi.decode(attestationReport, (TaskRequest));
        bytes32 id = _taskId(taskId, request);
        if (block.timestamp > request.deadline) revert DeadlinePassed(request.deadline, block.timestamp);
        (address signer, bytes32 keyId) = _signerOf(request, attestationReport);
        bytes32 hash = _word(resultHash);
        _checkSignature(signer, teeResultDigest(id, hash), teeSignature);

        uint256 output = uint256(hash);
        Result storage result = _open(id, request.mode);
        if (result.proven && result.output != output) revert ResultProvenOtherwise(result.output, output);
        if (result.claimed) {
            if (result.output == output) revert ResultKnown(id);
            _dispute(id, result, FraudKind.Contradiction, msg.sender);
            return;
        }
        result.claimed = true;
        result.claimedAt = uint64(block.timestamp);
        result.keyId = keyId;
        result.output = output;
        emit ResultClaimed(id, output, signer, request.mode);
    }

    /// @inheritdoc IVerifier
    /// @dev A contradiction has no deadline: that a proof shows another output is true for ever. The quorum's word has the
    ///      window, and neither has a say against what is proven.
    ///      NOT enforced: that the challenger is who found out. Evidence can be copied from a waiting call; nothing is paid.
    function submitFraudProof(bytes calldata taskId, bytes calldata evidence, address challenger) external {
        bytes32 id = _word(taskId);
        (uint8 kind, bytes memory data) = abi.decode(evidence, (uint8, bytes));
        Result storage result = _results[id];
        if (!result.claimed || _provenNow(result)) revert NothingToDispute(id);
        if (result.disputed) revert TaskDisputed(id);
        if (kind == uint8(FraudKind.Contradiction)) {
            (TaskRequest memory request, uint256 output, uint256[8] memory proof) =
                abi.decode(data, (TaskRequest, uint256, uint256[8]));
            _taskId(taskId, request);
            if (output == result.output) revert ResultConfirmed(output);
            _verify(id, request, output, proof);
        } else if (kind == uint8(FraudKind.Quorum)) {
            uint256 until = result.claimedAt + disputeWindow;
            if (block.timestamp > until) revert DisputeWindowPassed(until, block.timestamp);
            (bytes32 evidenceDigest, Certificate memory certificate) = abi.decode(data, (bytes32, Certificate));
            quorum.check(id, disputeDigest(id, bytes32(result.output)), evidenceDigest, _ACCEPT, certificate);
        } else {
            revert FraudKindInvalid(kind);
        }
        _dispute(id, result, FraudKind(kind), challenger);
    }

    /// @notice Takes an attested key back, for good, by votes that reject it. What it has signed does not count any more.
    /// @dev Of this model, under this policy, until this time. One that was certified again, with a later end say, has another
    ///      digest, and is taken back by itself: those of one account are in the KeyCertified events.
    function revokeKey(AttestedKey calldata key, bytes32 evidenceDigest, Certificate calldata certificate) external {
        bytes32 keyId = attestedKeyDigest(key);
        if (revoked[keyId]) revert AttestedKeyRevoked(keyId);
        revoked[keyId] = true;
        quorum.check(keyId, keyId, evidenceDigest, _REJECT, certificate);
        emit KeyRevoked(keyId, evidenceDigest);
    }

    /// @inheritdoc IVerifier
    /// @dev False for what is unknown, disputed, incomplete for its mode, signed by a key since taken back, or proven under
    ///      one since frozen: a key is frozen when somebody could prove with it what is not so. So an answer can turn to
    ///      false later, and those who act on it do so once.
    function verifyResult(bytes calldata taskId) external view returns (bool valid) {
        if (taskId.length != 32) return false;
        Result storage result = _results[_word(taskId)];
        if (result.disputed) return false;
        uint8 mode = result.mode; // 0 for an unknown task
        if (mode == MODE_ZK) return _provenNow(result);
        if (mode == MODE_OP) {
            if (_provenNow(result)) return true;
            // While a proof stood the quorum had no say, so a window that one fell into says nothing without it.
            uint256 until = result.claimedAt + disputeWindow;
            return result.claimed && block.timestamp > until && (!result.proven || result.provenAt > until);
        }
        bool attested = result.claimed && !revoked[result.keyId];
        return mode == MODE_TEE_ZK ? attested && _provenNow(result) : attested;
    }

    function resultOf(bytes32 taskId) external view returns (Result memory) {
        return _results[taskId];
    }

    /// @notice The id that a task has at this contract on this chain.
    function taskIdOf(TaskRequest memory request) public view returns (bytes32) {
        return keccak256(abi.encode(_TASK_TAG, block.chainid, address(this), request));
    }

    /// @notice What validators vote on to certify a key, and to reject it; it is the vote's task id too.
    function attestedKeyDigest(AttestedKey memory key) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(_ATTESTED_KEY_TYPEHASH, key)));
    }

    /// @notice What validators vote on to dispute a result.
    function disputeDigest(bytes32 taskId, bytes32 resultHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(_DISPUTE_TYPEHASH, taskId, resultHash)));
    }

    /// @notice What an attested key or, in mode OP, the payee signs.
    function teeResultDigest(bytes32 taskId, bytes32 resultHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(_TEE_RESULT_TYPEHASH, taskId, resultHash)));
    }

    function _open(bytes32 id, uint8 mode) private returns (Result storage result) {
        result = _results[id];
        if (result.disputed) revert TaskDisputed(id);
        result.mode = mode;
        // What only a frozen key has shown stands in nobody's way.
        if (result.proven && !_provenNow(result)) result.proven = false;
    }

    /// @dev Whether a proof has shown the output, under a key that is still believed.
    function _provenNow(Result storage result) private view returns (bool) {
        return result.proven && !registry.entryOf(result.keyDigest).frozen;
    }

    function _dispute(bytes32 id, Result storage result, FraudKind kind, address challenger) private {
        result.disputed = true;
        emit ResultDisputed(id, kind, challenger);
    }

    /// @dev Whose signature makes a claim: the payee's own word in mode OP, else an attested key's, certified now or before.
    function _signerOf(TaskRequest memory request, bytes calldata report)
        private
        returns (address signer, bytes32 keyId)
    {
        if (request.mode == MODE_OP) return (request.payee, 0);
        if (request.mode == MODE_ZK) revert ModeInvalid(request.mode);
        (, AttestedKey memory key, bytes32 evidenceDigest, Certificate memory certificate) =
            abi.decode(report, (TaskRequest, AttestedKey, bytes32, Certificate));
        if (key.modelDigest != request.modelDigest) revert ModelDigestMismatch(request.modelDigest, key.modelDigest);
        if (block.timestamp > key.validUntil) revert AttestedKeyExpired(key.validUntil, block.timestamp);
        keyId = attestedKeyDigest(key);
        if (revoked[keyId]) revert AttestedKeyRevoked(keyId);
        if (!certified[keyId]) {
            certified[keyId] = true;
            quorum.check(keyId, keyId, evidenceDigest, _ACCEPT, certificate);
            emit KeyCertified(keyId, key.key, key.modelDigest, key.policyDigest, key.validUntil);
        }
        signer = key.key;
    }

    function _taskId(bytes calldata given, TaskRequest memory request) private view returns (bytes32 id) {
        id = taskIdOf(request);
        if (_word(given) != id) revert TaskIdInvalid(id, given);
        if (request.mode < MODE_TEE || request.mode > MODE_ZK) revert ModeInvalid(request.mode);
    }

    /// @dev The signals of an inference, rebuilt, and proven under the registry's verifier for the key.
    function _verify(bytes32 id, TaskRequest memory request, uint256 output, uint256[8] memory proof)
        private
        view
        returns (uint256[] memory signals)
    {
        bytes32 modelDigest = registry.resolve(request.keyDigest, Statements.TYPE_INFERENCE).modelDigest;
        if (modelDigest != request.modelDigest) revert ModelDigestMismatch(modelDigest, request.modelDigest);
        Task memory task = Task({
            keyDigest: request.keyDigest,
            taskId: id,
            requester: request.requester,
            payee: request.payee,
            nonce: request.nonce,
            deadline: request.deadline
        });
        signals = new uint256[](3);
        signals[0] = output;
        signals[1] = request.inputCommitment;
        signals[2] = Statements.context(Statements.TYPE_INFERENCE, address(this), task);
        registry.verify(request.keyDigest, proof, signals);
    }

    function _word(bytes calldata value) private pure returns (bytes32) {
        if (value.length != 32) revert WordExpected(value);
        // forge-lint: disable-next-line(unsafe-typecast) of exactly 32 bytes
        return bytes32(value);
    }

    function _checkSignature(address signer, bytes32 digest, bytes calldata signature) private pure {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure != ECDSA.RecoverError.NoError) revert ResultSignatureMalformed();
        if (recovered != signer) revert ResultSignerWrong(signer, recovered);
    }
}
