// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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
import {AssetRecord, Royalty, Terms} from "../src/token/IDataAnchoringToken.sol";
import {Test} from "./base/Test.sol";
import {QuorumTwin} from "./twins/QuorumTwin.sol";
import {RegistryTwin} from "./twins/RegistryTwin.sol";

/// @notice Does with gate and token what people might, some of it dishonest, and notes what went through.
contract Market {
    DataAnchoringToken public immutable token;
    MintGate public immutable gate;
    RegistryTwin private immutable _registry;
    QuorumTwin private immutable _quorum;

    bytes32 private constant _DATASET_KEY = keccak256("dataset key");

    /// @dev In the order of their mints.
    uint256[] public minted;
    mapping(uint256 id => uint256) public orderOf; // from 1 on
    mapping(uint256 id => bytes32) public digestOf;
    mapping(uint256 id => bool) public gone; // revoked

    uint256[] private _models;
    mapping(uint256 id => bytes32) private _modelDigests;
    bytes[] private _honest; // mints that went through, as calls
    uint256 private _counter;

    /// @notice What must not happen, and did.
    string public failure;

    constructor(DataAnchoringToken token_, MintGate gate_, RegistryTwin registry, QuorumTwin quorum) {
        token = token_;
        gate = gate_;
        _registry = registry;
        _quorum = quorum;
        registry.put(_DATASET_KEY, Statements.TYPE_DATASET_CHUNK, keccak256("circuit"), 0);
    }

    function count() external view returns (uint256) {
        return minted.length;
    }

    function holders() public pure returns (address[3] memory) {
        return [address(0xa1), address(0xa2), address(0xa3)];
    }

    // ------------------------------------------------------------------------------------------------------- what people do

    function mintDataset(uint256 seed) external {
        DatasetStatement memory statement =
            DatasetStatement(_task(_DATASET_KEY, seed), _asset(1, seed), seed % 5, 1 + seed % 128);
        statement.asset.commitment = bytes32(1 + seed % 16);
        uint256[] memory signals = new uint256[](4);
        signals[0] = uint256(statement.asset.commitment);
        signals[1] = statement.chunkIndex;
        signals[2] = statement.chunkRecords;
        signals[3] = gate.contextOf(Statements.TYPE_DATASET_CHUNK, statement.task);
        bytes32 digest = gate.datasetStatementDigest(statement);
        uint256[8] memory proof = _vote(statement.task, signals, digest, seed);
        _try(abi.encodeCall(MintGate.mintDataset, (statement, proof, _certificate())), digest, statement.asset, seed);
    }

    function mintModel(uint256 seed) external {
        bytes32 modelDigest = keccak256(abi.encode("model", seed % 8));
        InferenceStatement memory sample = _inference(modelDigest, seed);
        ModelStatement memory statement = ModelStatement(_asset(2, seed), keccak256("circuit"), sample);
        statement.asset.commitment = modelDigest;
        bytes32 digest = gate.modelStatementDigest(statement);
        uint256[8] memory proof = _vote(sample.task, _inferenceSignals(sample), digest, seed);
        if (_try(abi.encodeCall(MintGate.mintModel, (statement, proof, _certificate())), digest, statement.asset, seed))
        {
            uint256 id = minted[minted.length - 1];
            _models.push(id);
            _modelDigests[id] = modelDigest;
        }
    }

    function mintAdapter(uint256 seed) external {
        if (_models.length == 0) return;
        uint256 model = _models[seed % _models.length];
        bytes32 key = keccak256(abi.encode("adapted", model));
        _registry.put(key, Statements.TYPE_ADAPTED_INFERENCE, keccak256("circuit"), _modelDigests[model]);
        AdaptedInferenceStatement memory sample =
            AdaptedInferenceStatement(_task(key, seed), _modelDigests[model], seed % 3, seed % 7, 1 + seed % 8);
        AdapterStatement memory statement = AdapterStatement(_asset(3, seed), sample);
        statement.asset.commitment = bytes32(sample.adapterCommitment);
        statement.asset.parents = _with(statement.asset.parents, model);
        uint256[] memory signals = new uint256[](4);
        signals[0] = sample.output;
        signals[1] = sample.inputCommitment;
        signals[2] = sample.adapterCommitment;
        signals[3] = gate.contextOf(Statements.TYPE_ADAPTED_INFERENCE, sample.task);
        bytes32 digest = gate.adapterStatementDigest(statement);
        uint256[8] memory proof = _vote(sample.task, signals, digest, seed);
        _try(abi.encodeCall(MintGate.mintAdapter, (statement, proof, _certificate())), digest, statement.asset, seed);
    }

    function mintInference(uint256 seed) external {
        if (_models.length == 0) return;
        uint256 model = _models[seed % _models.length];
        InferenceStatement memory inference = _inference(_modelDigests[model], seed);
        InferenceAssetStatement memory statement = InferenceAssetStatement(_asset(4, seed), inference);
        statement.asset.commitment = gate.inferenceStatementDigest(inference);
        statement.asset.parents = _with(statement.asset.parents, model);
        bytes32 digest = gate.inferenceAssetStatementDigest(statement);
        uint256[8] memory proof = _vote(inference.task, _inferenceSignals(inference), digest, seed);
        _try(abi.encodeCall(MintGate.mintInference, (statement, proof, _certificate())), digest, statement.asset, seed);
    }

    function replay(uint256 seed) external {
        if (_honest.length == 0) return;
        (bool done,) = address(gate).call(_honest[seed % _honest.length]);
        if (done) failure = "a used statement minted again";
    }

    function revoke(uint256 seed) external {
        // Seldom, or there would be few parents left.
        if (minted.length == 0 || seed % 4 != 0) return;
        uint256 id = minted[(seed >> 8) % minted.length];
        Revocation memory revocation = Revocation(
            keccak256("task"), address(token), id, "found out", keccak256("report"), ++_counter, type(uint64).max
        );
        bool voted = seed % 16 != 0;
        bytes32 digest = gate.revocationDigest(revocation);
        if (voted) _quorum.accept(revocation.taskId, digest, revocation.evidenceDigest);
        try gate.revoke(revocation, _certificate()) {
            if (!voted) failure = "a revocation without votes";
            if (gone[id]) failure = "a second revocation";
            gone[id] = true;
        } catch {}
    }

    function transfer(uint256 seed) external {
        if (minted.length == 0) return;
        uint256 id = minted[seed % minted.length];
        // The holders have approved the market.
        address from = holders()[(seed >> 16) % 3];
        address to = holders()[(seed >> 24) % 3];
        uint256 value = (seed >> 32) % (token.balanceOf(from, id) + 2);
        try token.safeTransferFrom(from, to, id, value, "") {
            if (!token.recordOf(id).terms.transferable) failure = "a transfer of what is not transferable";
        } catch {}
    }

    // -------------------------------------------------------------------------------------------------------------- helpers

    /// @dev Proof and votes are there unless the seed says otherwise.
    function _vote(Task memory task, uint256[] memory signals, bytes32 digest, uint256 seed)
        private
        returns (uint256[8] memory proof)
    {
        proof = _registry.prove(task.keyDigest, signals);
        if (_isForged(seed)) proof[0] ^= 1;
        if (_isUnvoted(seed)) return proof;
        bytes32 evidence = keccak256(
            abi.encodePacked(Statements.EVIDENCE_TAG, task.keyDigest, signals.length, signals, abi.encode(proof))
        );
        _quorum.accept(task.taskId, digest, evidence);
    }

    function _try(bytes memory call, bytes32 digest, Asset memory asset, uint256 seed) private returns (bool done) {
        uint256 id = token.idOf(asset.class, asset.commitment);
        bool before = token.exists(id);
        bool usedBefore = gate.used(digest);
        bytes memory answer;
        (done, answer) = address(gate).call(call);
        if (!done) {
            if (token.exists(id) != before || gate.used(digest) != usedBefore) {
                failure = "a refused mint left something";
            }
            return false;
        }
        if (_isForged(seed)) failure = "a mint without a proof";
        if (_isUnvoted(seed)) failure = "a mint without votes";
        if (before) failure = "an asset minted twice";
        if (usedBefore) failure = "a used statement minted";
        if (abi.decode(answer, (uint256)) != id) failure = "another id than the asset's";
        minted.push(id);
        orderOf[id] = minted.length;
        digestOf[id] = digest;
        _honest.push(call);
        for (uint256 i = 0; i < asset.parents.length; ++i) {
            if (gone[asset.parents[i]]) failure = "a child of a revoked parent";
        }
    }

    function _isForged(uint256 seed) private pure returns (bool) {
        return (seed >> 240) % 8 == 0;
    }

    function _isUnvoted(uint256 seed) private pure returns (bool) {
        return (seed >> 244) % 8 == 0;
    }

    function _task(bytes32 keyDigest, uint256 seed) private returns (Task memory) {
        return Task(keyDigest, keccak256("task"), holders()[seed % 3], address(0xb0b), ++_counter, type(uint64).max);
    }

    function _asset(uint8 class, uint256 seed) private view returns (Asset memory asset) {
        asset.token = address(token);
        asset.class = class;
        asset.supply = 1 + seed % 1000;
        asset.terms = Terms(0, 0, uint16((seed >> 16) % 2000), (seed >> 32) % 2 == 0);
        uint256 parents = minted.length == 0 ? 0 : (seed >> 40) % 4;
        asset.parents = new uint256[](parents);
        for (uint256 i = 0; i < parents; ++i) {
            asset.parents[i] = minted[(seed >> (48 + 8 * i)) % minted.length];
        }
        // Now and then a parent that nobody minted: the asset itself, perhaps.
        if (parents != 0 && (seed >> 80) % 16 == 0) asset.parents[0] = token.idOf(class, bytes32(1 + seed % 16));
    }

    function _inference(bytes32 modelDigest, uint256 seed) private returns (InferenceStatement memory) {
        bytes32 key = keccak256(abi.encode("plain", modelDigest));
        _registry.put(key, Statements.TYPE_INFERENCE, keccak256("circuit"), modelDigest);
        return InferenceStatement(_task(key, seed), modelDigest, seed % 3, seed % 7);
    }

    function _inferenceSignals(InferenceStatement memory statement) private view returns (uint256[] memory signals) {
        signals = new uint256[](3);
        signals[0] = statement.output;
        signals[1] = statement.inputCommitment;
        signals[2] = gate.contextOf(Statements.TYPE_INFERENCE, statement.task);
    }

    function _with(uint256[] memory list, uint256 last) private pure returns (uint256[] memory longer) {
        longer = new uint256[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == last) return list;
            longer[i] = list[i];
        }
        longer[list.length] = last;
    }

    function _certificate() private pure returns (Certificate memory certificate) {}
}

contract MintGateInvariants is Test {
    DataAnchoringToken private _token;
    MintGate private _gate;
    Market private _market;

    function setUp() public {
        RegistryTwin registry = new RegistryTwin();
        QuorumTwin quorum = new QuorumTwin();
        _token = new DataAnchoringToken(vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1), "");
        _gate = new MintGate(_token, registry, quorum);
        _market = new Market(_token, _gate, registry, quorum);
        address[3] memory holders = _market.holders();
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(holders[i]);
            _token.setApprovalForAll(address(_market), true);
        }
        targetContract(address(_market));
    }

    /// @dev Without this the invariants could hold of nothing.
    function test_TheMarketDoesEverything() public {
        uint256[5] memory classes;
        uint256 derived = 0;
        uint256 revoked = 0;
        for (uint256 i = 0; i < 100; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            _market.mintDataset(seed);
            _market.mintModel(seed);
            _market.mintAdapter(seed);
            _market.mintInference(seed);
            _market.transfer(seed);
            _market.revoke(seed);
        }
        for (uint256 i = 0; i < _market.count(); ++i) {
            uint256 id = _market.minted(i);
            ++classes[_token.recordOf(id).class];
            if (_token.royaltiesOf(id).length > 2) ++derived;
            if (_market.gone(id)) ++revoked;
        }
        for (uint256 class = 1; class < 5; ++class) {
            assertTrue(classes[class] > 3, "each class was minted");
        }
        assertTrue(derived > 3 && revoked > 3, "lineages and revocations");
        invariant_NothingWentThroughThatMustNot();
        invariant_RoyaltiesAddUpToTheParentsShares();
        invariant_SupplyIsWhatTheHoldersHave();
    }

    function invariant_NothingWentThroughThatMustNot() public view {
        assertTrue(bytes(_market.failure()).length == 0, _market.failure());
    }

    function invariant_SupplyIsWhatTheHoldersHave() public view {
        address[3] memory holders = _market.holders();
        for (uint256 i = 0; i < _market.count(); ++i) {
            uint256 id = _market.minted(i);
            uint256 sum = 0;
            for (uint256 j = 0; j < 3; ++j) {
                sum += _token.balanceOf(holders[j], id);
            }
            assertEq(sum, _token.totalSupply(id), "supply");
        }
    }

    function invariant_NoMintWithoutAConsumedStatement() public view {
        for (uint256 i = 0; i < _market.count(); ++i) {
            uint256 id = _market.minted(i);
            assertTrue(_gate.used(_market.digestOf(id)), "consumed");
            assertTrue(_token.exists(id), "there");
            assertTrue(_token.verified(id) != _market.gone(id), "verified until revoked");
        }
    }

    /// @dev Every parent was minted before its child, so no walk up a lineage comes back.
    function invariant_LineageHasNoCycles() public view {
        for (uint256 i = 0; i < _market.count(); ++i) {
            uint256[] memory parents = _token.recordOf(_market.minted(i)).parents;
            for (uint256 j = 0; j < parents.length; ++j) {
                uint256 order = _market.orderOf(parents[j]);
                assertTrue(order != 0 && order <= i, "older");
            }
        }
    }

    function invariant_RoyaltiesAddUpToTheParentsShares() public view {
        for (uint256 i = 0; i < _market.count(); ++i) {
            uint256 id = _market.minted(i);
            AssetRecord memory record = _token.recordOf(id);
            uint256 asked = 0;
            for (uint256 j = 0; j < record.parents.length; ++j) {
                asked += _token.recordOf(record.parents[j]).terms.shareBps;
            }
            Royalty[] memory table = _token.royaltiesOf(id);
            uint256 sum = 0;
            for (uint256 j = 0; j < table.length; ++j) {
                sum += table[j].bps;
                assertTrue(table[j].bps != 0, "no empty entries");
                assertTrue(_market.orderOf(table[j].datId) <= i, "to ancestors");
                assertEq(table[j].creator, _token.recordOf(table[j].datId).creator, "to their creators");
            }
            assertEq(sum, asked, "the parents' shares");
            assertTrue(sum <= 5000 && table.length <= 16, "limits");
            (,,,, bool derived) = _token.settlementOf(id);
            assertTrue(derived == (sum != 0), "derived");
        }
    }
}
