// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {DataAnchoringToken} from "../token/DataAnchoringToken.sol";
import {IDatasetVerifier, IInferenceVerifier} from "../verifier/IGroth16Verifier.sol";
import {Certificate, Quorum} from "../quorum/Quorum.sol";
import {Asset, DatasetStatement, InferenceStatement, ModelStatement, Statements, Task} from "./Statements.sol";
import {VerifierRegistry} from "../verifier/VerifierRegistry.sol";

/// @title MintGate
/// @notice The only way to a data anchoring token: a statement, its proof and, for a mint, a quorum's certificate.
/// @dev Anyone may relay a call. Nothing depends on msg.sender: requester and payee are inside `context`, which is a
///      public signal of the proof, so whoever sends the transaction can only pay for it.
///
///      Public signals are never taken from the caller. They are rebuilt here from the statement, and the verifier is
///      the registry's for the statement's key.
///
///      The nullifier is the statement's EIP-712 digest, never the proof: a Groth16 proof can be re-randomised by
///      anyone, a digest cannot.
///
///      What the proof does not bind (metadata digest, supply, parents, circuit digest) is bound by the votes, which
///      are over the digest of the whole statement. {verifyInference} needs no votes: its proof binds every field but
///      the model digest, and the registry binds that to the key.
contract MintGate is EIP712 {
    DataAnchoringToken public immutable token;
    VerifierRegistry public immutable registry;
    Quorum public immutable quorum;

    /// @notice Statement digests that have been accepted.
    mapping(bytes32 statementDigest => bool) public used;

    event DatasetMinted(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        address indexed requester,
        address payee,
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
    event InferenceVerified(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        uint256 output,
        uint256 inputCommitment,
        address indexed requester,
        address payee
    );

    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error StatementUsed(bytes32 statementDigest);
    error AssetClassWrong(uint8 expected, uint8 given);
    error ModelDigestMismatch(bytes32 expected, bytes32 given);
    error CircuitDigestMismatch(bytes32 registered, bytes32 given);
    error ModelNotAnchored(uint256 datId);
    error TokenForeign(address token);
    error AssetTokenWrong(address expected, address given);

    /// @dev The token names its gate at construction, so one of the two addresses is computed before it exists. Checking
    ///      it here turns a wrong computation into a failed deployment.
    constructor(DataAnchoringToken token_, VerifierRegistry registry_, Quorum quorum_) EIP712("anchorproof", "1") {
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
        Asset calldata asset = statement.asset;
        if (asset.class != Statements.CLASS_DATASET) revert AssetClassWrong(Statements.CLASS_DATASET, asset.class);
        bytes32 digest = datasetStatementDigest(statement);
        _use(statement.task, digest);

        bytes32 evidence = _verifyDataset(statement, proof);
        quorum.check(statement.task.taskId, digest, evidence, quorum.VERDICT_ACCEPT(), certificate);
        datId = _mint(statement.task.requester, asset);
        emit DatasetMinted(digest, datId, statement.task.requester, statement.task.payee, evidence);
    }

    /// @notice Mints a model's token to the requester. The proof is of one sample inference, and so shows that the key
    ///         registered for the model can be proven with.
    /// @dev The sample's own digest is used up too: one proven inference is counted once.
    function mintModel(ModelStatement calldata statement, uint256[8] calldata proof, Certificate calldata certificate)
        external
        returns (uint256 datId)
    {
        Asset calldata asset = statement.asset;
        if (asset.class != Statements.CLASS_MODEL) revert AssetClassWrong(Statements.CLASS_MODEL, asset.class);
        if (statement.sample.modelDigest != asset.commitment) {
            revert ModelDigestMismatch(asset.commitment, statement.sample.modelDigest);
        }
        bytes32 digest = modelStatementDigest(statement);
        _use(statement.sample.task, digest);
        _use(statement.sample.task, inferenceStatementDigest(statement.sample));

        (bytes32 circuitDigest, bytes32 evidence) = _verifyInference(statement.sample, proof);
        if (circuitDigest != statement.circuitDigest) {
            revert CircuitDigestMismatch(circuitDigest, statement.circuitDigest);
        }
        quorum.check(statement.sample.task.taskId, digest, evidence, quorum.VERDICT_ACCEPT(), certificate);
        datId = _mint(statement.sample.task.requester, asset);
        emit ModelMinted(
            digest,
            datId,
            statement.sample.task.requester,
            statement.sample.task.payee,
            statement.sample.task.keyDigest,
            evidence
        );
    }

    /// @notice Records that an inference of an anchored model was proven.
    /// @return datId the model's token
    function verifyInference(InferenceStatement calldata statement, uint256[8] calldata proof)
        external
        returns (uint256 datId)
    {
        bytes32 digest = inferenceStatementDigest(statement);
        _use(statement.task, digest);
        datId = token.idOf(Statements.CLASS_MODEL, statement.modelDigest);
        if (!token.exists(datId)) revert ModelNotAnchored(datId);
        _verifyInference(statement, proof);
        emit InferenceVerified(
            digest, datId, statement.output, statement.inputCommitment, statement.task.requester, statement.task.payee
        );
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

    function inferenceStatementDigest(InferenceStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashInference(statement));
    }

    /// @dev Marks before anything external is called; a revert later on unmarks.
    function _use(Task calldata task, bytes32 digest) private {
        if (block.timestamp > task.deadline) revert DeadlinePassed(task.deadline, block.timestamp);
        if (used[digest]) revert StatementUsed(digest);
        used[digest] = true;
    }

    function _verifyDataset(DatasetStatement calldata statement, uint256[8] calldata proof)
        private
        view
        returns (bytes32 evidence)
    {
        bytes32 keyDigest = statement.task.keyDigest;
        VerifierRegistry.Entry memory entry = registry.resolve(keyDigest, Statements.TYPE_DATASET_CHUNK);
        uint256[] memory signals = new uint256[](4);
        signals[0] = uint256(statement.asset.commitment);
        signals[1] = statement.chunkIndex;
        signals[2] = statement.chunkRecords;
        signals[3] = contextOf(Statements.TYPE_DATASET_CHUNK, statement.task);
        IDatasetVerifier(entry.verifier).verifyProof(proof, [signals[0], signals[1], signals[2], signals[3]]);
        evidence = Statements.evidence(keyDigest, signals, proof);
    }

    function _verifyInference(InferenceStatement calldata statement, uint256[8] calldata proof)
        private
        view
        returns (bytes32 circuitDigest, bytes32 evidence)
    {
        bytes32 keyDigest = statement.task.keyDigest;
        VerifierRegistry.Entry memory entry = registry.resolve(keyDigest, Statements.TYPE_INFERENCE);
        if (entry.modelDigest != statement.modelDigest) {
            revert ModelDigestMismatch(entry.modelDigest, statement.modelDigest);
        }
        uint256[] memory signals = new uint256[](3);
        signals[0] = statement.output;
        signals[1] = statement.inputCommitment;
        signals[2] = contextOf(Statements.TYPE_INFERENCE, statement.task);
        IInferenceVerifier(entry.verifier).verifyProof(proof, [signals[0], signals[1], signals[2]]);
        circuitDigest = entry.circuitDigest;
        evidence = Statements.evidence(keyDigest, signals, proof);
    }

    function _mint(address to, Asset calldata asset) private returns (uint256) {
        if (asset.token != address(token)) revert AssetTokenWrong(address(token), asset.token);
        return token.mint(to, asset.class, asset.commitment, asset.metadataDigest, asset.supply, asset.parents);
    }
}
