// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Certificate, IQuorum} from "../quorum/IQuorum.sol";
import {IMintableToken} from "../token/IMintableToken.sol";
import {Entry, IVerifierRegistry} from "../verifier/IVerifierRegistry.sol";
import {
    AdaptedInferenceStatement,
    AdapterStatement,
    Asset,
    DatasetStatement,
    InferenceAssetStatement,
    InferenceStatement,
    ModelStatement,
    Revocation,
    Statements,
    Task
} from "./Statements.sol";

/// @title MintGate
/// @notice The only way to a data anchoring token: a statement, its proof and, for a mint, a quorum's certificate.
/// @dev Anyone may relay a call. Nothing depends on msg.sender: requester and payee are inside `context`, which is a
///      public signal of the proof, so whoever sends the transaction can only pay for it.
///
///      Public signals are never taken from the caller. They are rebuilt here from the statement, and the verifier is
///      the registry's for the statement's key. So the statement's digest stands for the signals too: it is over every
///      value that they are built from, the chain and this gate.
///
///      The nullifier is the statement's EIP-712 digest, never the proof: a Groth16 proof can be re-randomised by
///      anyone, a digest cannot. It is marked before anything else is called; a revert unmarks it.
///
///      What the proof binds: the task, and the statement's own values (a dataset's root, chunk index and count; an
///      inference's output, input and adapter commitments). The model digest is bound to the key by the registry.
///      What the proof does not bind is bound by the votes, which are over the digest of the whole statement: of the asset,
///      token, file id, metadata digest, supply, parents and terms; of a model, its circuit digest, which the registry
///      binds to the key besides. An asset's class is what the called function says, and its commitment is the
///      proven root, the key's model, the proven adapter commitment, or the digest of the proven statement.
///      {verifyInference} and its like need no votes: their proofs and the registry bind every field.
///
///      Batched inferences (one proof of many) have no place here, see {Statements}; {verifyInferences} takes many proofs.
contract MintGate is EIP712 {
    uint8 private constant _ACCEPT = 1;

    IMintableToken public immutable token;
    IVerifierRegistry public immutable registry;
    IQuorum public immutable quorum;

    /// @notice Digests of statements and revocations that have been accepted.
    mapping(bytes32 statementDigest => bool) public used;

    event DatasetMinted(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        address indexed requester,
        address payee,
        bytes32 keyDigest,
        bytes32 evidenceDigest
    );
    event ModelMinted(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        address indexed requester,
        address payee,
        bytes32 keyDigest,
        bytes32 evidenceDigest
    );
    event AdapterMinted(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        address indexed requester,
        address payee,
        bytes32 keyDigest,
        bytes32 evidenceDigest
    );
    event InferenceMinted(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        address indexed requester,
        address payee,
        bytes32 keyDigest,
        bytes32 evidenceDigest
    );
    event InferenceVerified(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        uint256 output,
        uint256 inputCommitment,
        address indexed requester,
        address payee
    );
    event AdaptedInferenceVerified(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        uint256 output,
        uint256 inputCommitment,
        uint256 adapterCommitment,
        address indexed requester,
        address payee
    );
    event AssetRevoked(
        bytes32 indexed revocationDigest, uint256 indexed datId, bytes32 indexed taskId, bytes32 evidenceDigest
    );

    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error StatementUsed(bytes32 statementDigest);
    error AssetClassWrong(uint8 expected, uint8 given);
    error AssetTokenWrong(address expected, address given);
    error CommitmentMismatch(bytes32 expected, bytes32 given);
    error ModelDigestMismatch(bytes32 expected, bytes32 given);
    error CircuitDigestMismatch(bytes32 registered, bytes32 given);
    error ModelNotAnchored(uint256 datId);
    error ModelRevoked(uint256 datId);
    error ModelNotAmongParents(uint256 datId);
    error BatchEmpty();
    error BatchLengthsDiffer(uint256 statements, uint256 proofs);
    error BatchKeyMixed(uint256 index, bytes32 expected, bytes32 given);
    error TokenForeign(address token);

    /// @dev The token names its gate at construction, so one of the two addresses is computed before it exists. Checking
    ///      it here turns a wrong computation into a failed deployment.
    constructor(IMintableToken token_, IVerifierRegistry registry_, IQuorum quorum_) EIP712("anchorproof", "1") {
        if (token_.gate() != address(this)) revert TokenForeign(address(token_));
        token = token_;
        registry = registry_;
        quorum = quorum_;
    }

    /// @notice Mints a dataset's token to the requester. The proof shows that the requester's prover knows what describes
    ///         the `chunkRecords` records of chunk `chunkIndex` under the root `asset.commitment`.
    /// @dev NOT enforced: knowledge of the records' contents, or availability and quality of the rest of the dataset. That
    ///      is what the votes, and proofs over the whole dataset, are about.
    function mintDataset(
        DatasetStatement calldata statement,
        uint256[8] calldata proof,
        Certificate calldata certificate
    ) external returns (uint256 datId) {
        Task calldata task = statement.task;
        _checkAsset(statement.asset, Statements.CLASS_DATASET);
        bytes32 digest = datasetStatementDigest(statement);
        _use(task, digest);

        registry.resolve(task.keyDigest, Statements.TYPE_DATASET_CHUNK);
        uint256[] memory signals = new uint256[](Statements.DATASET_SIGNALS);
        signals[0] = uint256(statement.asset.commitment);
        signals[1] = statement.chunkIndex;
        signals[2] = statement.chunkRecords;
        signals[3] = contextOf(Statements.TYPE_DATASET_CHUNK, task);
        bytes32 evidence = _verify(task.keyDigest, proof, signals);
        datId = _mint(task, statement.asset, digest, evidence, certificate);
        emit DatasetMinted(digest, datId, task.requester, task.payee, task.keyDigest, evidence);
    }

    /// @notice Mints a model's token to the requester. The proof is of one sample inference, and so shows that the key
    ///         registered for the model can be proven with.
    /// @dev NOT enforced: that the requester has a right to the model. Whoever has the key's proving half can prove a sample,
    ///      so whose the model is, and what it was made from, is for the votes.
    ///      The sample's own digest is used up too: one proven inference is counted once. It cannot have been recorded before,
    ///      because {verifyInference} knows no model that is not minted.
    function mintModel(ModelStatement calldata statement, uint256[8] calldata proof, Certificate calldata certificate)
        external
        returns (uint256 datId)
    {
        Task calldata task = statement.sample.task;
        _checkAsset(statement.asset, Statements.CLASS_MODEL);
        if (statement.sample.modelDigest != statement.asset.commitment) {
            revert ModelDigestMismatch(statement.asset.commitment, statement.sample.modelDigest);
        }
        bytes32 digest = modelStatementDigest(statement);
        _use(task, digest);
        _use(task, inferenceStatementDigest(statement.sample));

        (bytes32 circuitDigest, bytes32 evidence) = _verifyInference(statement.sample, proof);
        if (circuitDigest != statement.circuitDigest) {
            revert CircuitDigestMismatch(circuitDigest, statement.circuitDigest);
        }
        datId = _mint(task, statement.asset, digest, evidence, certificate);
        emit ModelMinted(digest, datId, task.requester, task.payee, task.keyDigest, evidence);
    }

    /// @notice Mints the token of a model's private adapter to the requester. The proof is of one inference with it, and so
    ///         shows that the requester's prover knows the adapter behind the commitment.
    /// @dev The model's token must be among the parents. The sample's own digest is used up too, but may be used already: its
    ///      proof alone lets anyone record it by {verifyAdaptedInference}, so who sees this call waiting must not be able
    ///      to stop it that way. Nothing is minted twice: an adapter has one id.
    function mintAdapter(
        AdapterStatement calldata statement,
        uint256[8] calldata proof,
        Certificate calldata certificate
    ) external returns (uint256 datId) {
        Task calldata task = statement.sample.task;
        _checkAsset(statement.asset, Statements.CLASS_ADAPTER);
        _checkCommitment(statement.asset, bytes32(statement.sample.adapterCommitment));
        _checkModelParent(statement.asset, statement.sample.modelDigest);
        bytes32 digest = adapterStatementDigest(statement);
        _use(task, digest);
        used[adaptedInferenceStatementDigest(statement.sample)] = true;

        bytes32 evidence = _verifyAdaptedInference(statement.sample, proof);
        datId = _mint(task, statement.asset, digest, evidence, certificate);
        emit AdapterMinted(digest, datId, task.requester, task.payee, task.keyDigest, evidence);
    }

    /// @notice Mints the token of a proven inference to the requester.
    /// @dev The model's token must be among the parents. The inference's own digest, which is the asset's commitment, is used
    ///      up too, but may be used already, as for {mintAdapter}. Nothing is minted twice: the digest gives the id.
    function mintInference(
        InferenceAssetStatement calldata statement,
        uint256[8] calldata proof,
        Certificate calldata certificate
    ) external returns (uint256 datId) {
        Task calldata task = statement.inference.task;
        bytes32 inferenceDigest = inferenceStatementDigest(statement.inference);
        _checkAsset(statement.asset, Statements.CLASS_INFERENCE);
        _checkCommitment(statement.asset, inferenceDigest);
        _checkModelParent(statement.asset, statement.inference.modelDigest);
        bytes32 digest = inferenceAssetStatementDigest(statement);
        _use(task, digest);
        used[inferenceDigest] = true;

        (, bytes32 evidence) = _verifyInference(statement.inference, proof);
        datId = _mint(task, statement.asset, digest, evidence, certificate);
        emit InferenceMinted(digest, datId, task.requester, task.payee, task.keyDigest, evidence);
    }

    /// @notice Records that an inference of an anchored model was proven.
    /// @return datId the model's token
    function verifyInference(InferenceStatement calldata statement, uint256[8] calldata proof)
        external
        returns (uint256 datId)
    {
        bytes32 digest = inferenceStatementDigest(statement);
        _use(statement.task, digest);
        datId = _anchoredModel(statement.modelDigest);
        _verifyInference(statement, proof);
        _emitVerified(digest, datId, statement);
    }

    /// @notice {verifyInference}, of an inference with a private adapter.
    /// @dev NOT enforced: that the adapter has a token of its own.
    /// @return datId the model's token
    function verifyAdaptedInference(AdaptedInferenceStatement calldata statement, uint256[8] calldata proof)
        external
        returns (uint256 datId)
    {
        bytes32 digest = adaptedInferenceStatementDigest(statement);
        _use(statement.task, digest);
        datId = _anchoredModel(statement.modelDigest);
        _verifyAdaptedInference(statement, proof);
        emit AdaptedInferenceVerified(
            digest,
            datId,
            statement.output,
            statement.inputCommitment,
            statement.adapterCommitment,
            statement.task.requester,
            statement.task.payee
        );
    }

    /// @notice {verifyInference} for several inferences of one key, at about a third of the price: each statement with a proof
    ///         of its own, verified together. All of them, or none.
    /// @dev So a single one that somebody else has recorded meanwhile fails the call; leave it out then.
    /// @return datId the model's token
    function verifyInferences(InferenceStatement[] calldata statements, uint256[8][] calldata proofs)
        external
        returns (uint256 datId)
    {
        uint256 count = statements.length;
        if (count == 0) revert BatchEmpty();
        if (proofs.length != count) revert BatchLengthsDiffer(count, proofs.length);
        bytes32 keyDigest = statements[0].task.keyDigest;
        bytes32[] memory digests = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            Task calldata task = statements[i].task;
            if (task.keyDigest != keyDigest) revert BatchKeyMixed(i, keyDigest, task.keyDigest);
            digests[i] = inferenceStatementDigest(statements[i]);
            _use(task, digests[i]);
        }
        bytes32 modelDigest = registry.resolve(keyDigest, Statements.TYPE_INFERENCE).modelDigest;
        datId = _anchoredModel(modelDigest);

        uint256[] memory signals = new uint256[](count * Statements.INFERENCE_SIGNALS);
        for (uint256 i = 0; i < count; ++i) {
            InferenceStatement calldata statement = statements[i];
            if (statement.modelDigest != modelDigest) revert ModelDigestMismatch(modelDigest, statement.modelDigest);
            uint256 offset = i * Statements.INFERENCE_SIGNALS;
            signals[offset] = statement.output;
            signals[offset + 1] = statement.inputCommitment;
            signals[offset + 2] = contextOf(Statements.TYPE_INFERENCE, statement.task);
        }
        registry.verifyBatch(keyDigest, proofs, signals);
        for (uint256 i = 0; i < count; ++i) {
            _emitVerified(digests[i], datId, statements[i]);
        }
    }

    /// @notice Takes back a token's `verified`, with a reason, on a quorum's votes.
    /// @dev The votes are over the revocation and its evidence digest. NOT enforced: what that digest is of.
    function revoke(Revocation calldata revocation, Certificate calldata certificate) external {
        if (revocation.token != address(token)) revert AssetTokenWrong(address(token), revocation.token);
        bytes32 digest = revocationDigest(revocation);
        _useUntil(revocation.deadline, digest);
        quorum.check(revocation.taskId, digest, revocation.evidenceDigest, _ACCEPT, certificate);
        token.revoke(revocation.datId, revocation.reason);
        emit AssetRevoked(digest, revocation.datId, revocation.taskId, revocation.evidenceDigest);
    }

    /// @notice The `context` signal of a task for one statement type, on this chain and at this gate.
    function contextOf(bytes32 statementType, Task calldata task) public view returns (uint256) {
        return Statements.context(statementType, address(this), task);
    }

    function datasetStatementDigest(DatasetStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashDataset(statement));
    }

    function modelStatementDigest(ModelStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashModel(statement));
    }

    function adapterStatementDigest(AdapterStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashAdapter(statement));
    }

    function inferenceAssetStatementDigest(InferenceAssetStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashInferenceAsset(statement));
    }

    function inferenceStatementDigest(InferenceStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashInference(statement));
    }

    function adaptedInferenceStatementDigest(AdaptedInferenceStatement calldata statement)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Statements.hashAdaptedInference(statement));
    }

    function revocationDigest(Revocation calldata revocation) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashRevocation(revocation));
    }

    function _use(Task calldata task, bytes32 digest) private {
        _useUntil(task.deadline, digest);
    }

    /// @dev Marks before anything external is called; a revert later on unmarks.
    function _useUntil(uint256 deadline, bytes32 digest) private {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline, block.timestamp);
        if (used[digest]) revert StatementUsed(digest);
        used[digest] = true;
    }

    function _checkAsset(Asset calldata asset, uint8 class) private view {
        if (asset.class != class) revert AssetClassWrong(class, asset.class);
        if (asset.token != address(token)) revert AssetTokenWrong(address(token), asset.token);
    }

    function _checkCommitment(Asset calldata asset, bytes32 expected) private pure {
        if (asset.commitment != expected) revert CommitmentMismatch(expected, asset.commitment);
    }

    /// @dev That the parent exists, and is not revoked, is the token's to check.
    function _checkModelParent(Asset calldata asset, bytes32 modelDigest) private view {
        uint256 model = token.idOf(Statements.CLASS_MODEL, modelDigest);
        uint256 count = asset.parents.length;
        for (uint256 i = 0; i < count; ++i) {
            if (asset.parents[i] == model) return;
        }
        revert ModelNotAmongParents(model);
    }

    function _anchoredModel(bytes32 modelDigest) private view returns (uint256 datId) {
        datId = token.idOf(Statements.CLASS_MODEL, modelDigest);
        if (token.verified(datId)) return datId;
        if (token.exists(datId)) revert ModelRevoked(datId);
        revert ModelNotAnchored(datId);
    }

    function _verifyInference(InferenceStatement calldata statement, uint256[8] calldata proof)
        private
        view
        returns (bytes32 circuitDigest, bytes32 evidence)
    {
        bytes32 keyDigest = statement.task.keyDigest;
        circuitDigest = _resolveModel(keyDigest, Statements.TYPE_INFERENCE, statement.modelDigest);
        uint256[] memory signals = new uint256[](Statements.INFERENCE_SIGNALS);
        signals[0] = statement.output;
        signals[1] = statement.inputCommitment;
        signals[2] = contextOf(Statements.TYPE_INFERENCE, statement.task);
        evidence = _verify(keyDigest, proof, signals);
    }

    function _verifyAdaptedInference(AdaptedInferenceStatement calldata statement, uint256[8] calldata proof)
        private
        view
        returns (bytes32 evidence)
    {
        bytes32 keyDigest = statement.task.keyDigest;
        _resolveModel(keyDigest, Statements.TYPE_ADAPTED_INFERENCE, statement.modelDigest);
        uint256[] memory signals = new uint256[](Statements.ADAPTED_INFERENCE_SIGNALS);
        signals[0] = statement.output;
        signals[1] = statement.inputCommitment;
        signals[2] = statement.adapterCommitment;
        signals[3] = contextOf(Statements.TYPE_ADAPTED_INFERENCE, statement.task);
        evidence = _verify(keyDigest, proof, signals);
    }

    /// @dev The key is of this kind of statement, and its circuit has this model's weights.
    function _resolveModel(bytes32 keyDigest, bytes32 statementType, bytes32 modelDigest)
        private
        view
        returns (bytes32 circuitDigest)
    {
        Entry memory entry = registry.resolve(keyDigest, statementType);
        if (entry.modelDigest != modelDigest) revert ModelDigestMismatch(entry.modelDigest, modelDigest);
        return entry.circuitDigest;
    }

    /// @dev Reverts, with the verifier's reason, for a proof that does not hold.
    function _verify(bytes32 keyDigest, uint256[8] calldata proof, uint256[] memory signals)
        private
        view
        returns (bytes32 evidence)
    {
        registry.verify(keyDigest, proof, signals);
        return Statements.evidence(keyDigest, signals, proof);
    }

    function _mint(
        Task calldata task,
        Asset calldata asset,
        bytes32 digest,
        bytes32 evidence,
        Certificate calldata certificate
    ) private returns (uint256) {
        quorum.check(task.taskId, digest, evidence, _ACCEPT, certificate);
        return token.mint(task.requester, asset);
    }

    function _emitVerified(bytes32 digest, uint256 datId, InferenceStatement calldata statement) private {
        emit InferenceVerified(
            digest, datId, statement.output, statement.inputCommitment, statement.task.requester, statement.task.payee
        );
    }
}
