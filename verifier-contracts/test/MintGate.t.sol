// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {MintGate} from "../src/gate/MintGate.sol";
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
} from "../src/gate/Statements.sol";
import {Certificate} from "../src/quorum/IQuorum.sol";
import {DataAnchoringToken} from "../src/token/DataAnchoringToken.sol";
import {Terms} from "../src/token/IDataAnchoringToken.sol";
import {Test} from "./base/Test.sol";
import {QuorumTwin} from "./twins/QuorumTwin.sol";
import {RegistryTwin} from "./twins/RegistryTwin.sol";

contract MintGateTest is Test, IERC1155Receiver {
    bytes32 private constant _DATASET_KEY = keccak256("dataset key");
    bytes32 private constant _MODEL_KEY = keccak256("model key");
    bytes32 private constant _ADAPTED_KEY = keccak256("adapted key");
    bytes32 private constant _OTHER_KEY = keccak256("other model's key");
    bytes32 private constant _MODEL = keccak256("model");
    bytes32 private constant _OTHER_MODEL = keccak256("other model");
    bytes32 private constant _CIRCUIT = keccak256("circuit");
    address private constant _REQUESTER = address(0xa11ce);
    address private constant _PAYEE = address(0xb0b);
    address private constant _OTHER = address(0xdead);

    DataAnchoringToken private _token;
    RegistryTwin private _registry;
    QuorumTwin private _quorum;
    MintGate private _gate;

    /// @dev What {onERC1155Received} calls, and what came of it.
    bytes private _reentry;
    bytes private _answer;

    function setUp() public {
        vm.warp(1_800_000_000);
        _registry = new RegistryTwin();
        _quorum = new QuorumTwin();
        (_token, _gate) = _deploy();
        _registry.put(_DATASET_KEY, Statements.TYPE_DATASET_CHUNK, _CIRCUIT, 0);
        _registry.put(_MODEL_KEY, Statements.TYPE_INFERENCE, _CIRCUIT, _MODEL);
        _registry.put(_ADAPTED_KEY, Statements.TYPE_ADAPTED_INFERENCE, _CIRCUIT, _MODEL);
        _registry.put(_OTHER_KEY, Statements.TYPE_INFERENCE, _CIRCUIT, _OTHER_MODEL);
    }

    // ---------------------------------------------------------------------------------------------------------- datasets

    function test_MintsADatasetToTheRequesterWhoeverSends(address sender, uint256 nonce) public {
        vm.assume(sender != address(vm));
        DatasetStatement memory statement = _dataset();
        statement.task.nonce = nonce;
        (uint256[8] memory proof, bytes32 evidence) = _acceptDataset(statement);
        bytes32 digest = _gate.datasetStatementDigest(statement);
        uint256 id = _token.idOf(1, statement.asset.commitment);
        vm.expectEmit(true, true, true, true, address(_gate));
        emit MintGate.DatasetMinted(digest, id, _REQUESTER, _PAYEE, _DATASET_KEY, evidence);
        vm.prank(sender);
        assertEq(_gate.mintDataset(statement, proof, _certificate()), id, "id");
        assertTrue(_gate.used(digest), "used");
        assertEq(_token.balanceOf(_REQUESTER, id), 100, "balance");
    }

    /// @dev Each field, changed after proof and votes, is refused. What proof, registry and gate bind is refused with votes for
    ///      the changed statement too; of the rest, the votes are all that binds it.
    function test_EveryFieldOfADatasetStatementIsBound() public {
        for (uint256 field = 0; field < _DATASET_FIELDS; ++field) {
            DatasetStatement memory statement = _dataset();
            (uint256[8] memory proof,) = _acceptDataset(statement);
            _flip(statement, field);
            bytes memory refusal = _refusalOf(statement, field);
            vm.expectRevert(refusal);
            _gate.mintDataset(statement, proof, _certificate());
            if (field < _UNPROVEN) {
                bytes32 evidence = _evidenceOf(statement, proof);
                _quorum.accept(statement.task.taskId, _gate.datasetStatementDigest(statement), evidence);
                vm.expectRevert(refusal);
                _gate.mintDataset(statement, proof, _certificate());
            }
        }
        DatasetStatement memory honest = _dataset();
        (uint256[8] memory good,) = _acceptDataset(honest);
        _gate.mintDataset(honest, good, _certificate());
    }

    function test_EveryFieldOfADatasetStatementIsInItsDigest() public view {
        bytes32[] memory seen = new bytes32[](_DATASET_FIELDS + 1);
        seen[_DATASET_FIELDS] = _gate.datasetStatementDigest(_dataset());
        for (uint256 field = 0; field < _DATASET_FIELDS; ++field) {
            DatasetStatement memory statement = _dataset();
            _flip(statement, field);
            seen[field] = _gate.datasetStatementDigest(statement);
            assertTrue(seen[field] != seen[_DATASET_FIELDS], "a field that the digest is not over");
            for (uint256 i = 0; i < field; ++i) {
                assertTrue(seen[i] != seen[field], "two fields in one place");
            }
        }
    }

    function test_ChainAndGateAreInDigestAndContext() public {
        DatasetStatement memory statement = _dataset();
        (uint256[8] memory proof,) = _acceptDataset(statement);
        bytes32 digest = _gate.datasetStatementDigest(statement);
        uint256 context = _gate.contextOf(Statements.TYPE_DATASET_CHUNK, statement.task);

        (DataAnchoringToken otherToken, MintGate other) = _deploy();
        assertTrue(other.datasetStatementDigest(statement) != digest, "digest of another gate");
        assertTrue(other.contextOf(Statements.TYPE_DATASET_CHUNK, statement.task) != context, "context of another gate");
        // A second deployment with the same registry and quorum; the asset names its token, and even votes are given.
        vm.expectRevert(abi.encodeWithSelector(MintGate.AssetTokenWrong.selector, address(otherToken), address(_token)));
        other.mintDataset(statement, proof, _certificate());
        statement.asset.token = address(otherToken);
        _quorum.accept(statement.task.taskId, other.datasetStatementDigest(statement), _evidenceOf(statement, proof));
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        other.mintDataset(statement, proof, _certificate());
        statement.asset.token = address(_token);

        // The same contract on a chain that forked away.
        vm.chainId(1);
        assertTrue(_gate.datasetStatementDigest(statement) != digest, "digest on another chain");
        assertTrue(_gate.contextOf(Statements.TYPE_DATASET_CHUNK, statement.task) != context, "context there");
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _gate.mintDataset(statement, proof, _certificate());
        vm.chainId(31337);
        _gate.mintDataset(statement, proof, _certificate());
    }

    function test_AReplayIsRefusedInAnyDress() public {
        DatasetStatement memory statement = _dataset();
        (uint256[8] memory proof,) = _acceptDataset(statement);
        bytes memory used =
            abi.encodeWithSelector(MintGate.StatementUsed.selector, _gate.datasetStatementDigest(statement));
        // In the same transaction, by another caller, with another proof of the same and votes for it, much later.
        _gate.mintDataset(statement, proof, _certificate());
        vm.expectRevert(used);
        _gate.mintDataset(statement, proof, _certificate());
        vm.prank(_OTHER);
        vm.expectRevert(used);
        _gate.mintDataset(statement, proof, _certificate());
        proof[7] = 1;
        _quorum.accept(statement.task.taskId, _gate.datasetStatementDigest(statement), _evidenceOf(statement, proof));
        vm.expectRevert(used);
        _gate.mintDataset(statement, proof, _certificate());
        vm.warp(statement.task.deadline);
        vm.expectRevert(used);
        _gate.mintDataset(statement, proof, _certificate());
    }

    function test_VotesAreForOneProof() public {
        DatasetStatement memory statement = _dataset();
        (uint256[8] memory proof,) = _acceptDataset(statement);
        proof[7] = 1; // holds as well, and is another one
        vm.expectRevert(abi.encodeWithSelector(QuorumTwin.NotVoted.selector, _gate.datasetStatementDigest(statement)));
        _gate.mintDataset(statement, proof, _certificate());
    }

    function test_ACommitmentIsMintedOnceUnderAnyTask() public {
        DatasetStatement memory statement = _dataset();
        (uint256[8] memory proof,) = _acceptDataset(statement);
        uint256 id = _gate.mintDataset(statement, proof, _certificate());
        statement.task.nonce++;
        (proof,) = _acceptDataset(statement);
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.AlreadyAnchored.selector, id));
        _gate.mintDataset(statement, proof, _certificate());
        assertFalse(_gate.used(_gate.datasetStatementDigest(statement)), "a refused statement is not used up");
    }

    function test_TheDeadlinesOwnSecondIsTheLast() public {
        DatasetStatement memory statement = _dataset();
        (uint256[8] memory proof,) = _acceptDataset(statement);
        vm.warp(statement.task.deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                MintGate.DeadlinePassed.selector, statement.task.deadline, statement.task.deadline + 1
            )
        );
        _gate.mintDataset(statement, proof, _certificate());
        vm.warp(statement.task.deadline);
        _gate.mintDataset(statement, proof, _certificate());
    }

    function test_KeysAreTheRegistrysForTheirKindOfStatement() public {
        DatasetStatement memory statement = _dataset();
        (uint256[8] memory proof,) = _acceptDataset(statement);
        statement.task.keyDigest = keccak256("nobody's");
        vm.expectRevert(abi.encodeWithSelector(RegistryTwin.KeyUnknown.selector, statement.task.keyDigest));
        _gate.mintDataset(statement, proof, _certificate());
        // A key of another family proves nothing here, with as many signals and votes for it.
        statement.task.keyDigest = _ADAPTED_KEY;
        (proof,) = _acceptDataset(statement);
        vm.expectRevert(
            abi.encodeWithSelector(
                RegistryTwin.StatementTypeMismatch.selector,
                Statements.TYPE_DATASET_CHUNK,
                Statements.TYPE_ADAPTED_INFERENCE
            )
        );
        _gate.mintDataset(statement, proof, _certificate());
        statement.task.keyDigest = _DATASET_KEY;
        (proof,) = _acceptDataset(statement);
        _registry.freeze(_DATASET_KEY);
        vm.expectRevert(abi.encodeWithSelector(RegistryTwin.KeyFrozen.selector, _DATASET_KEY));
        _gate.mintDataset(statement, proof, _certificate());
    }

    // ------------------------------------------------------------------------------------------------------------ models

    function test_MintsAModelAndCountsItsSample() public {
        ModelStatement memory statement = _modelStatement();
        (uint256[8] memory proof,) = _acceptModel(statement);
        uint256 id = _gate.mintModel(statement, proof, _certificate());
        assertEq(id, _token.idOf(2, _MODEL), "id");
        bytes32 sample = _gate.inferenceStatementDigest(statement.sample);
        assertTrue(_gate.used(sample) && _gate.used(_gate.modelStatementDigest(statement)), "both are used");
        vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, sample));
        _gate.verifyInference(statement.sample, proof);
    }

    function test_AModelIsItsKeysAndItsCircuitTheRegistrys() public {
        ModelStatement memory statement = _modelStatement();
        statement.circuitDigest = keccak256("other circuit");
        (uint256[8] memory proof,) = _acceptModel(statement);
        vm.expectRevert(
            abi.encodeWithSelector(MintGate.CircuitDigestMismatch.selector, _CIRCUIT, statement.circuitDigest)
        );
        _gate.mintModel(statement, proof, _certificate());
        statement = _modelStatement();
        statement.asset.commitment = _OTHER_MODEL;
        (proof,) = _acceptModel(statement);
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelDigestMismatch.selector, _OTHER_MODEL, _MODEL));
        _gate.mintModel(statement, proof, _certificate());
        // Both say another model than the key's.
        statement.sample.modelDigest = _OTHER_MODEL;
        (proof,) = _acceptModel(statement);
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelDigestMismatch.selector, _MODEL, _OTHER_MODEL));
        _gate.mintModel(statement, proof, _certificate());
    }

    // ---------------------------------------------------------------------------------------------- adapters, inferences

    function test_MintsAnAdapter() public {
        uint256 model = _mintModel();
        AdapterStatement memory statement = _adapter(model);
        (uint256[8] memory proof, bytes32 evidence) = _acceptAdapter(statement);
        bytes32 digest = _gate.adapterStatementDigest(statement);
        uint256 id = _token.idOf(3, statement.asset.commitment);
        vm.expectEmit(true, true, true, true, address(_gate));
        emit MintGate.AdapterMinted(digest, id, _REQUESTER, _PAYEE, _ADAPTED_KEY, evidence);
        _gate.mintAdapter(statement, proof, _certificate());
        assertEq(_token.balanceOf(_REQUESTER, id), 100, "balance");
        bytes32 sample = _gate.adaptedInferenceStatementDigest(statement.sample);
        vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, sample));
        _gate.verifyAdaptedInference(statement.sample, proof);
        vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, digest));
        _gate.mintAdapter(statement, proof, _certificate());
    }

    function test_AnAdapterIsTheProvenOneOfTheParentModel() public {
        uint256 model = _mintModel();
        AdapterStatement memory statement = _adapter(model);
        bytes32 proven = statement.asset.commitment;
        statement.asset.commitment = bytes32(uint256(8));
        (uint256[8] memory proof,) = _acceptAdapter(statement);
        vm.expectRevert(abi.encodeWithSelector(MintGate.CommitmentMismatch.selector, proven, bytes32(uint256(8))));
        _gate.mintAdapter(statement, proof, _certificate());
        // The commitment's alias is another number, and proven by nobody.
        statement = _adapter(model);
        statement.sample.adapterCommitment++;
        statement.asset.commitment = bytes32(statement.sample.adapterCommitment);
        bytes32 evidence = _evidenceOf(statement, proof);
        _quorum.accept(statement.sample.task.taskId, _gate.adapterStatementDigest(statement), evidence);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _gate.mintAdapter(statement, proof, _certificate());

        statement = _adapter(model);
        statement.asset.parents = new uint256[](0);
        (proof,) = _acceptAdapter(statement);
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelNotAmongParents.selector, model));
        _gate.mintAdapter(statement, proof, _certificate());
        // Another model's token is a parent, the adapter's own is not.
        statement.asset.parents = _list(_mintOtherModel());
        (proof,) = _acceptAdapter(statement);
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelNotAmongParents.selector, model));
        _gate.mintAdapter(statement, proof, _certificate());
        // Named as another model's, the key is not that model's.
        statement.sample.modelDigest = _OTHER_MODEL;
        (proof,) = _acceptAdapter(statement);
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelDigestMismatch.selector, _MODEL, _OTHER_MODEL));
        _gate.mintAdapter(statement, proof, _certificate());
        // Without the adapter's signal the same key would be an inference's.
        statement = _adapter(model);
        statement.sample.task.keyDigest = _MODEL_KEY;
        (proof,) = _acceptAdapter(statement);
        vm.expectRevert(
            abi.encodeWithSelector(
                RegistryTwin.StatementTypeMismatch.selector,
                Statements.TYPE_ADAPTED_INFERENCE,
                Statements.TYPE_INFERENCE
            )
        );
        _gate.mintAdapter(statement, proof, _certificate());
    }

    function test_AnAdapterNeedsItsModelMinted() public {
        uint256 model = _token.idOf(2, _MODEL);
        AdapterStatement memory statement = _adapter(model);
        (uint256[8] memory proof,) = _acceptAdapter(statement);
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.ParentUnknown.selector, model));
        _gate.mintAdapter(statement, proof, _certificate());
    }

    function test_MintsAnInference() public {
        InferenceAssetStatement memory statement = _inferenceAsset(_mintModel());
        (uint256[8] memory proof, bytes32 evidence) = _acceptInferenceAsset(statement);
        bytes32 digest = _gate.inferenceAssetStatementDigest(statement);
        uint256 id = _token.idOf(4, statement.asset.commitment);
        vm.expectEmit(true, true, true, true, address(_gate));
        emit MintGate.InferenceMinted(digest, id, _REQUESTER, _PAYEE, _MODEL_KEY, evidence);
        _gate.mintInference(statement, proof, _certificate());
        vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, statement.asset.commitment));
        _gate.verifyInference(statement.inference, proof);
        vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, digest));
        _gate.mintInference(statement, proof, _certificate());
        // The same inference with other terms, voted for again.
        statement.asset.supply = 7;
        (proof,) = _acceptInferenceAsset(statement);
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.AlreadyAnchored.selector, id));
        _gate.mintInference(statement, proof, _certificate());
    }

    function test_AnInferencesTokenIsOfThatInference() public {
        uint256 model = _mintModel();
        InferenceAssetStatement memory statement = _inferenceAsset(model);
        statement.inference.output++;
        (uint256[8] memory proof,) = _acceptInferenceAsset(statement);
        bytes32 digest = _gate.inferenceStatementDigest(statement.inference);
        vm.expectRevert(
            abi.encodeWithSelector(MintGate.CommitmentMismatch.selector, digest, statement.asset.commitment)
        );
        _gate.mintInference(statement, proof, _certificate());
        statement = _inferenceAsset(model);
        statement.asset.parents = new uint256[](0);
        (proof,) = _acceptInferenceAsset(statement);
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelNotAmongParents.selector, model));
        _gate.mintInference(statement, proof, _certificate());
    }

    /// @dev Whoever sees a mint waiting has its proof, and may record the inference first. The mint goes through.
    function test_RecordingAnInferenceFirstStopsNoMint() public {
        uint256 model = _mintModel();
        InferenceAssetStatement memory inference = _inferenceAsset(model);
        (uint256[8] memory proof,) = _acceptInferenceAsset(inference);
        vm.prank(_OTHER);
        _gate.verifyInference(inference.inference, proof);
        _gate.mintInference(inference, proof, _certificate());

        AdapterStatement memory adapter = _adapter(model);
        (proof,) = _acceptAdapter(adapter);
        vm.prank(_OTHER);
        _gate.verifyAdaptedInference(adapter.sample, proof);
        _gate.mintAdapter(adapter, proof, _certificate());
        // A model's sample cannot be recorded before the model is minted.
        ModelStatement memory other = _otherModelStatement();
        (proof,) = _acceptModel(other);
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelNotAnchored.selector, _token.idOf(2, _OTHER_MODEL)));
        _gate.verifyInference(other.sample, proof);
        _gate.mintModel(other, proof, _certificate());
    }

    function test_EachMintTakesItsOwnClassAndToken() public {
        uint256 model = _mintModel();
        uint256[8] memory proof;
        for (uint8 class = 0; class < 6; ++class) {
            DatasetStatement memory dataset = _dataset();
            dataset.asset.class = class;
            ModelStatement memory other = _otherModelStatement();
            other.asset.class = class;
            AdapterStatement memory adapter = _adapter(model);
            adapter.asset.class = class;
            InferenceAssetStatement memory inference = _inferenceAsset(model);
            inference.asset.class = class;
            if (class != 1) {
                (proof,) = _acceptDataset(dataset);
                vm.expectRevert(abi.encodeWithSelector(MintGate.AssetClassWrong.selector, 1, class));
                _gate.mintDataset(dataset, proof, _certificate());
            }
            if (class != 2) {
                (proof,) = _acceptModel(other);
                vm.expectRevert(abi.encodeWithSelector(MintGate.AssetClassWrong.selector, 2, class));
                _gate.mintModel(other, proof, _certificate());
            }
            if (class != 3) {
                (proof,) = _acceptAdapter(adapter);
                vm.expectRevert(abi.encodeWithSelector(MintGate.AssetClassWrong.selector, 3, class));
                _gate.mintAdapter(adapter, proof, _certificate());
            }
            if (class != 4) {
                (proof,) = _acceptInferenceAsset(inference);
                vm.expectRevert(abi.encodeWithSelector(MintGate.AssetClassWrong.selector, 4, class));
                _gate.mintInference(inference, proof, _certificate());
            }
        }
        bytes memory foreign = abi.encodeWithSelector(MintGate.AssetTokenWrong.selector, address(_token), _OTHER);
        DatasetStatement memory a = _dataset();
        a.asset.token = _OTHER;
        (proof,) = _acceptDataset(a);
        vm.expectRevert(foreign);
        _gate.mintDataset(a, proof, _certificate());
        ModelStatement memory b = _otherModelStatement();
        b.asset.token = _OTHER;
        (proof,) = _acceptModel(b);
        vm.expectRevert(foreign);
        _gate.mintModel(b, proof, _certificate());
        AdapterStatement memory c = _adapter(model);
        c.asset.token = _OTHER;
        (proof,) = _acceptAdapter(c);
        vm.expectRevert(foreign);
        _gate.mintAdapter(c, proof, _certificate());
        InferenceAssetStatement memory d = _inferenceAsset(model);
        d.asset.token = _OTHER;
        (proof,) = _acceptInferenceAsset(d);
        vm.expectRevert(foreign);
        _gate.mintInference(d, proof, _certificate());
    }

    // ---------------------------------------------------------------------------------------------------------- inferences

    function test_EveryFieldOfAnInferenceIsBoundByProofAndRegistry() public {
        _mintModel();
        _mintOtherModel();
        AdaptedInferenceStatement memory adapted;
        for (uint256 field = 0; field < 9; ++field) {
            InferenceStatement memory statement = _inference();
            uint256[8] memory proof = _proveInference(statement);
            if (field < 6) _flipTask(statement.task, field);
            if (field == 6) statement.modelDigest = _OTHER_MODEL;
            if (field == 7) statement.output++;
            if (field == 8) statement.inputCommitment++;
            bytes memory refusal = abi.encodeWithSelector(RegistryTwin.ProofInvalid.selector);
            if (field == 0) {
                refusal = abi.encodeWithSelector(MintGate.ModelDigestMismatch.selector, _OTHER_MODEL, _MODEL);
            }
            if (field == 6) {
                refusal = abi.encodeWithSelector(MintGate.ModelDigestMismatch.selector, _MODEL, _OTHER_MODEL);
            }
            vm.expectRevert(refusal);
            _gate.verifyInference(statement, proof);
        }
        for (uint256 field = 0; field < 10; ++field) {
            adapted = _adaptedInference();
            uint256[8] memory proof = _proveAdapted(adapted);
            if (field < 6) _flipTask(adapted.task, field);
            if (field == 6) adapted.modelDigest = _OTHER_MODEL;
            if (field == 7) adapted.output++;
            if (field == 8) adapted.inputCommitment++;
            if (field == 9) adapted.adapterCommitment++;
            bytes memory refusal = abi.encodeWithSelector(RegistryTwin.ProofInvalid.selector);
            if (field == 0) {
                refusal = abi.encodeWithSelector(
                    RegistryTwin.StatementTypeMismatch.selector,
                    Statements.TYPE_ADAPTED_INFERENCE,
                    Statements.TYPE_INFERENCE
                );
            }
            if (field == 6) {
                refusal = abi.encodeWithSelector(MintGate.ModelDigestMismatch.selector, _MODEL, _OTHER_MODEL);
            }
            vm.expectRevert(refusal);
            _gate.verifyAdaptedInference(adapted, proof);
        }
        InferenceStatement memory honest = _inference();
        _gate.verifyInference(honest, _proveInference(honest));
        adapted = _adaptedInference();
        _gate.verifyAdaptedInference(adapted, _proveAdapted(adapted));
    }

    function test_ARevokedModelAnswersNoMore() public {
        uint256 model = _mintModel();
        _revoke(model);
        bytes memory revoked = abi.encodeWithSelector(MintGate.ModelRevoked.selector, model);
        InferenceStatement memory statement = _inference();
        uint256[8] memory proof = _proveInference(statement);
        vm.expectRevert(revoked);
        _gate.verifyInference(statement, proof);
        AdaptedInferenceStatement memory adapted = _adaptedInference();
        uint256[8] memory adaptedProof = _proveAdapted(adapted);
        vm.expectRevert(revoked);
        _gate.verifyAdaptedInference(adapted, adaptedProof);
        (InferenceStatement[] memory batch, uint256[8][] memory proofs) = _batch(2);
        vm.expectRevert(revoked);
        _gate.verifyInferences(batch, proofs);
        InferenceAssetStatement memory asset = _inferenceAsset(model);
        (proof,) = _acceptInferenceAsset(asset);
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.ParentRevoked.selector, model));
        _gate.mintInference(asset, proof, _certificate());
    }

    function test_ABatchIsAllOrNothingAndUsesEachUp(uint256 size, uint256 broken) public {
        uint256 model = _mintModel();
        size = bound(size, 1, 8);
        broken = bound(broken, 0, size - 1);
        (InferenceStatement[] memory statements, uint256[8][] memory proofs) = _batch(size);
        proofs[broken][0]++;
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _gate.verifyInferences(statements, proofs);
        for (uint256 i = 0; i < size; ++i) {
            assertFalse(_gate.used(_gate.inferenceStatementDigest(statements[i])), "nothing is used by a refusal");
        }
        proofs[broken][0]--;
        assertEq(_gate.verifyInferences(statements, proofs), model, "model");
        for (uint256 i = 0; i < size; ++i) {
            bytes32 digest = _gate.inferenceStatementDigest(statements[i]);
            assertTrue(_gate.used(digest), "each is used");
            vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, digest));
            _gate.verifyInference(statements[i], proofs[i]);
        }
    }

    function test_ABatchIsOfOneKeyAndOfDistinctStatements() public {
        _mintModel();
        _mintOtherModel();
        (InferenceStatement[] memory statements, uint256[8][] memory proofs) = _batch(3);
        vm.expectRevert(MintGate.BatchEmpty.selector);
        _gate.verifyInferences(new InferenceStatement[](0), new uint256[8][](0));
        vm.expectRevert(abi.encodeWithSelector(MintGate.BatchLengthsDiffer.selector, 3, 2));
        _gate.verifyInferences(statements, new uint256[8][](2));

        // Twice the same statement: one inference is not two.
        InferenceStatement memory third = statements[2];
        uint256[8] memory thirdProof = proofs[2];
        (statements[2], proofs[2]) = (statements[0], proofs[0]);
        bytes32 digest = _gate.inferenceStatementDigest(statements[0]);
        vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, digest));
        _gate.verifyInferences(statements, proofs);
        // Proofs exchanged.
        (statements[2], proofs[2]) = (third, proofs[1]);
        proofs[1] = thirdProof;
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        _gate.verifyInferences(statements, proofs);

        (statements, proofs) = _batch(3);
        statements[1].modelDigest = _OTHER_MODEL;
        vm.expectRevert(abi.encodeWithSelector(MintGate.ModelDigestMismatch.selector, _MODEL, _OTHER_MODEL));
        _gate.verifyInferences(statements, proofs);
        statements[1].task.keyDigest = _OTHER_KEY;
        vm.expectRevert(abi.encodeWithSelector(MintGate.BatchKeyMixed.selector, 1, _MODEL_KEY, _OTHER_KEY));
        _gate.verifyInferences(statements, proofs);

        (statements, proofs) = _batch(3);
        statements[2].task.deadline = block.timestamp - 1;
        vm.expectRevert(abi.encodeWithSelector(MintGate.DeadlinePassed.selector, block.timestamp - 1, block.timestamp));
        _gate.verifyInferences(statements, proofs);
    }

    // -------------------------------------------------------------------------------------------------------- revocations

    function test_RevokesOnVotes() public {
        uint256 model = _mintModel();
        Revocation memory revocation = _revocation(model);
        bytes32 digest = _gate.revocationDigest(revocation);
        vm.expectRevert(abi.encodeWithSelector(QuorumTwin.NotVoted.selector, digest));
        _gate.revoke(revocation, _certificate());
        _quorum.accept(revocation.taskId, digest, revocation.evidenceDigest);
        // Every field, changed after the votes.
        for (uint256 field = 0; field < 7; ++field) {
            Revocation memory changed = _revocation(model);
            if (field == 0) changed.taskId = keccak256("other");
            if (field == 1) changed.token = _OTHER;
            if (field == 2) changed.datId = _token.idOf(1, _dataset().asset.commitment);
            if (field == 3) changed.reason = "another";
            if (field == 4) changed.evidenceDigest = keccak256("other");
            if (field == 5) changed.nonce++;
            if (field == 6) changed.deadline++;
            bytes memory refusal = abi.encodeWithSelector(QuorumTwin.NotVoted.selector, _gate.revocationDigest(changed));
            if (field == 1) {
                refusal = abi.encodeWithSelector(MintGate.AssetTokenWrong.selector, address(_token), _OTHER);
            }
            vm.expectRevert(refusal);
            _gate.revoke(changed, _certificate());
        }
        vm.expectEmit(true, true, true, true, address(_gate));
        emit MintGate.AssetRevoked(digest, model, revocation.taskId, revocation.evidenceDigest);
        vm.prank(_OTHER);
        _gate.revoke(revocation, _certificate());
        assertFalse(_token.verified(model), "revoked");
        vm.expectRevert(abi.encodeWithSelector(MintGate.StatementUsed.selector, digest));
        _gate.revoke(revocation, _certificate());
        // It does not come back: the commitment's id is taken.
        ModelStatement memory again = _modelStatement();
        again.sample.task.nonce = 77;
        (uint256[8] memory proof,) = _acceptModel(again);
        vm.expectRevert(abi.encodeWithSelector(DataAnchoringToken.AlreadyAnchored.selector, model));
        _gate.mintModel(again, proof, _certificate());
    }

    function test_ARevocationHasADeadline() public {
        uint256 model = _mintModel();
        Revocation memory revocation = _revocation(model);
        _quorum.accept(revocation.taskId, _gate.revocationDigest(revocation), revocation.evidenceDigest);
        vm.warp(revocation.deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(MintGate.DeadlinePassed.selector, revocation.deadline, revocation.deadline + 1)
        );
        _gate.revoke(revocation, _certificate());
    }

    // ----------------------------------------------------------------------------------------------------------- callback

    /// @dev The requester is a contract that calls the gate again in its token's callback.
    function test_ACallbackFindsEverythingDone() public {
        DatasetStatement memory statement = _dataset();
        statement.task.requester = address(this);
        (uint256[8] memory proof,) = _acceptDataset(statement);
        _reentry = abi.encodeCall(MintGate.mintDataset, (statement, proof, _certificate()));
        uint256 id = _gate.mintDataset(statement, proof, _certificate());
        assertEq(
            keccak256(_answer),
            keccak256(abi.encodeWithSelector(MintGate.StatementUsed.selector, _gate.datasetStatementDigest(statement))),
            "the same statement"
        );
        assertEq(_token.balanceOf(address(this), id), 100, "once");

        // Another task for the same commitment, whose votes are there as well.
        statement = _dataset();
        statement.asset.commitment = bytes32(uint256(50));
        statement.task.requester = address(this);
        (proof,) = _acceptDataset(statement);
        DatasetStatement memory second = _dataset();
        second.asset.commitment = bytes32(uint256(50));
        second.task.nonce = 51;
        (uint256[8] memory secondProof,) = _acceptDataset(second);
        _reentry = abi.encodeCall(MintGate.mintDataset, (second, secondProof, _certificate()));
        id = _gate.mintDataset(statement, proof, _certificate());
        assertEq(
            keccak256(_answer),
            keccak256(abi.encodeWithSelector(DataAnchoringToken.AlreadyAnchored.selector, id)),
            "the same commitment"
        );
        assertEq(_token.totalSupply(id), 100, "supply");
    }

    function onERC1155Received(address, address, uint256 id, uint256 value, bytes calldata) external returns (bytes4) {
        assertTrue(_token.verified(id), "minted before the callback");
        assertEq(_token.balanceOf(address(this), id), value, "balance before the callback");
        if (_reentry.length != 0) (, _answer) = address(_gate).call(_reentry);
        _reentry = "";
        return IERC1155Receiver.onERC1155Received.selector;
    }

    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        pure
        returns (bytes4)
    {
        return IERC1155Receiver.onERC1155BatchReceived.selector;
    }

    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC1155Receiver).interfaceId || interfaceId == type(IERC165).interfaceId;
    }

    // --------------------------------------------------------------------------------------------------------- deployment

    function test_AForeignTokenFailsTheDeployment() public {
        vm.expectRevert(abi.encodeWithSelector(MintGate.TokenForeign.selector, address(_token)));
        new MintGate(_token, _registry, _quorum);
    }

    // ------------------------------------------------------------------------------------------------------------ helpers

    function _deploy() private returns (DataAnchoringToken token, MintGate gate) {
        token = new DataAnchoringToken(vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1), "");
        gate = new MintGate(token, _registry, _quorum);
    }

    function _task(bytes32 keyDigest) private view returns (Task memory) {
        return Task({
            keyDigest: keyDigest,
            taskId: keccak256("task"),
            requester: _REQUESTER,
            payee: _PAYEE,
            nonce: 1,
            deadline: block.timestamp + 1 hours
        });
    }

    function _asset(uint8 class, bytes32 commitment, uint256[] memory parents) private view returns (Asset memory) {
        return Asset({
            token: address(_token),
            fileId: 3,
            class: class,
            commitment: commitment,
            metadataDigest: keccak256("metadata"),
            supply: 100,
            parents: parents,
            terms: Terms({expiresAt: 0, maxUses: 0, shareBps: 250, transferable: true})
        });
    }

    function _dataset() private view returns (DatasetStatement memory) {
        return DatasetStatement({
            task: _task(_DATASET_KEY),
            asset: _asset(1, bytes32(uint256(42)), new uint256[](0)),
            chunkIndex: 3,
            chunkRecords: 128
        });
    }

    function _inference() private view returns (InferenceStatement memory) {
        return InferenceStatement({task: _task(_MODEL_KEY), modelDigest: _MODEL, output: 1, inputCommitment: 2});
    }

    function _adaptedInference() private view returns (AdaptedInferenceStatement memory) {
        return AdaptedInferenceStatement({
            task: _task(_ADAPTED_KEY), modelDigest: _MODEL, output: 1, inputCommitment: 2, adapterCommitment: 7
        });
    }

    function _modelStatement() private view returns (ModelStatement memory) {
        InferenceStatement memory sample = _inference();
        sample.task.taskId = keccak256("sample");
        return ModelStatement(_asset(2, _MODEL, new uint256[](0)), _CIRCUIT, sample);
    }

    function _otherModelStatement() private view returns (ModelStatement memory statement) {
        statement = _modelStatement();
        statement.asset.commitment = _OTHER_MODEL;
        statement.sample.modelDigest = _OTHER_MODEL;
        statement.sample.task.keyDigest = _OTHER_KEY;
    }

    function _adapter(uint256 model) private view returns (AdapterStatement memory) {
        AdaptedInferenceStatement memory sample = _adaptedInference();
        return AdapterStatement(_asset(3, bytes32(sample.adapterCommitment), _list(model)), sample);
    }

    function _inferenceAsset(uint256 model) private view returns (InferenceAssetStatement memory) {
        InferenceStatement memory inference = _inference();
        return InferenceAssetStatement(_asset(4, _gate.inferenceStatementDigest(inference), _list(model)), inference);
    }

    function _revocation(uint256 datId) private view returns (Revocation memory) {
        return Revocation({
            taskId: keccak256("revocation"),
            token: address(_token),
            datId: datId,
            reason: "the data was made up",
            evidenceDigest: keccak256("a report"),
            nonce: 1,
            deadline: block.timestamp + 1 hours
        });
    }

    function _batch(uint256 size)
        private
        view
        returns (InferenceStatement[] memory statements, uint256[8][] memory proofs)
    {
        statements = new InferenceStatement[](size);
        proofs = new uint256[8][](size);
        for (uint256 i = 0; i < size; ++i) {
            statements[i] = _inference();
            statements[i].task.nonce = 100 + i;
            proofs[i] = _proveInference(statements[i]);
        }
    }

    function _datasetSignals(DatasetStatement memory statement) private view returns (uint256[] memory signals) {
        signals = new uint256[](4);
        signals[0] = uint256(statement.asset.commitment);
        signals[1] = statement.chunkIndex;
        signals[2] = statement.chunkRecords;
        signals[3] = _gate.contextOf(Statements.TYPE_DATASET_CHUNK, statement.task);
    }

    function _inferenceSignals(InferenceStatement memory statement) private view returns (uint256[] memory signals) {
        signals = new uint256[](3);
        signals[0] = statement.output;
        signals[1] = statement.inputCommitment;
        signals[2] = _gate.contextOf(Statements.TYPE_INFERENCE, statement.task);
    }

    function _adaptedSignals(AdaptedInferenceStatement memory statement)
        private
        view
        returns (uint256[] memory signals)
    {
        signals = new uint256[](4);
        signals[0] = statement.output;
        signals[1] = statement.inputCommitment;
        signals[2] = statement.adapterCommitment;
        signals[3] = _gate.contextOf(Statements.TYPE_ADAPTED_INFERENCE, statement.task);
    }

    function _proveInference(InferenceStatement memory statement) private view returns (uint256[8] memory) {
        return _registry.prove(statement.task.keyDigest, _inferenceSignals(statement));
    }

    function _proveAdapted(AdaptedInferenceStatement memory statement) private view returns (uint256[8] memory) {
        return _registry.prove(statement.task.keyDigest, _adaptedSignals(statement));
    }

    /// @dev By its definition, not by the library that the gate uses.
    function _evidence(bytes32 keyDigest, uint256[] memory signals, uint256[8] memory proof)
        private
        pure
        returns (bytes32)
    {
        return keccak256(
            bytes.concat(
                keccak256("anchorproof/groth16-evidence/1"),
                keyDigest,
                abi.encodePacked(signals.length, signals),
                abi.encode(proof)
            )
        );
    }

    function _evidenceOf(DatasetStatement memory statement, uint256[8] memory proof) private view returns (bytes32) {
        return _evidence(statement.task.keyDigest, _datasetSignals(statement), proof);
    }

    function _evidenceOf(AdapterStatement memory statement, uint256[8] memory proof) private view returns (bytes32) {
        return _evidence(statement.sample.task.keyDigest, _adaptedSignals(statement.sample), proof);
    }

    function _acceptDataset(DatasetStatement memory statement)
        private
        returns (uint256[8] memory proof, bytes32 evidence)
    {
        proof = _registry.prove(statement.task.keyDigest, _datasetSignals(statement));
        evidence = _evidenceOf(statement, proof);
        _quorum.accept(statement.task.taskId, _gate.datasetStatementDigest(statement), evidence);
    }

    function _acceptModel(ModelStatement memory statement) private returns (uint256[8] memory proof, bytes32 evidence) {
        proof = _proveInference(statement.sample);
        evidence = _evidence(statement.sample.task.keyDigest, _inferenceSignals(statement.sample), proof);
        _quorum.accept(statement.sample.task.taskId, _gate.modelStatementDigest(statement), evidence);
    }

    function _acceptAdapter(AdapterStatement memory statement)
        private
        returns (uint256[8] memory proof, bytes32 evidence)
    {
        proof = _proveAdapted(statement.sample);
        evidence = _evidenceOf(statement, proof);
        _quorum.accept(statement.sample.task.taskId, _gate.adapterStatementDigest(statement), evidence);
    }

    function _acceptInferenceAsset(InferenceAssetStatement memory statement)
        private
        returns (uint256[8] memory proof, bytes32 evidence)
    {
        proof = _proveInference(statement.inference);
        evidence = _evidence(statement.inference.task.keyDigest, _inferenceSignals(statement.inference), proof);
        _quorum.accept(statement.inference.task.taskId, _gate.inferenceAssetStatementDigest(statement), evidence);
    }

    function _mintModel() private returns (uint256) {
        ModelStatement memory statement = _modelStatement();
        (uint256[8] memory proof,) = _acceptModel(statement);
        return _gate.mintModel(statement, proof, _certificate());
    }

    function _mintOtherModel() private returns (uint256) {
        ModelStatement memory statement = _otherModelStatement();
        (uint256[8] memory proof,) = _acceptModel(statement);
        return _gate.mintModel(statement, proof, _certificate());
    }

    function _revoke(uint256 datId) private {
        Revocation memory revocation = _revocation(datId);
        _quorum.accept(revocation.taskId, _gate.revocationDigest(revocation), revocation.evidenceDigest);
        _gate.revoke(revocation, _certificate());
    }

    function _flipTask(Task memory task, uint256 field) private pure {
        if (field == 0) task.keyDigest = _OTHER_KEY;
        if (field == 1) task.taskId = keccak256("other");
        if (field == 2) task.requester = _OTHER;
        if (field == 3) task.payee = _OTHER;
        if (field == 4) task.nonce++;
        if (field == 5) task.deadline++;
    }

    uint256 private constant _DATASET_FIELDS = 19;

    /// @dev From this field on there are only the votes.
    uint256 private constant _UNPROVEN = 11;

    function _flip(DatasetStatement memory statement, uint256 field) private pure {
        Asset memory asset = statement.asset;
        if (field < 6) _flipTask(statement.task, field);
        if (field == 6) statement.chunkIndex++;
        if (field == 7) statement.chunkRecords--;
        if (field == 8) asset.commitment = bytes32(uint256(43));
        if (field == 9) asset.token = _OTHER;
        if (field == 10) asset.class = 2;
        if (field == 11) asset.fileId++;
        if (field == 12) asset.metadataDigest = keccak256("other");
        if (field == 13) asset.supply++;
        if (field == 14) asset.parents = _list(9);
        if (field == 15) asset.terms.expiresAt = type(uint64).max;
        if (field == 16) asset.terms.maxUses++;
        if (field == 17) asset.terms.shareBps++;
        if (field == 18) asset.terms.transferable = !asset.terms.transferable;
    }

    function _refusalOf(DatasetStatement memory statement, uint256 field) private view returns (bytes memory) {
        if (field == 0) {
            return abi.encodeWithSelector(
                RegistryTwin.StatementTypeMismatch.selector, Statements.TYPE_DATASET_CHUNK, Statements.TYPE_INFERENCE
            );
        }
        if (field == 9) {
            return abi.encodeWithSelector(MintGate.AssetTokenWrong.selector, address(_token), _OTHER);
        }
        if (field == 10) return abi.encodeWithSelector(MintGate.AssetClassWrong.selector, 1, 2);
        if (field < _UNPROVEN) return abi.encodeWithSelector(RegistryTwin.ProofInvalid.selector);
        return abi.encodeWithSelector(QuorumTwin.NotVoted.selector, _gate.datasetStatementDigest(statement));
    }

    function _list(uint256 only) private pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = only;
    }

    /// @dev The twin looks at none.
    function _certificate() private pure returns (Certificate memory certificate) {}
}
