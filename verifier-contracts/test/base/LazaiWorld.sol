// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILazaiDataRegistry, ILazaiToken} from "../../src/gate/ILazai.sol";
import {LazaiMintGate} from "../../src/gate/LazaiMintGate.sol";
import {LazaiFile, LazaiMintStatement, LazaiModelStatement} from "../../src/gate/LazaiStatements.sol";
import {
    Asset,
    DatasetStatement,
    InferenceStatement,
    ModelStatement,
    Revocation,
    Statements,
    Task
} from "../../src/gate/Statements.sol";
import {Certificate} from "../../src/quorum/IQuorum.sol";
import {Terms} from "../../src/token/IDataAnchoringToken.sol";
import {QuorumTwin} from "../twins/QuorumTwin.sol";
import {RegistryTwin} from "../twins/RegistryTwin.sol";
import {DataAnchoringToken} from "../twins/lazai/DataAnchoringToken.sol";
import {DataRegistry} from "../twins/lazai/DataRegistry.sol";
import {VerifiedComputing} from "../twins/lazai/VerifiedComputing.sol";
import {Test} from "./Test.sol";

/// @notice LazAI's contracts, a gate in front of them that has the role, and makers of statements, proofs and votes.
abstract contract LazaiWorld is Test {
    bytes32 internal constant DATASET_KEY = keccak256("dataset key");
    bytes32 internal constant MODEL_KEY = keccak256("model key");
    bytes32 internal constant MODEL = keccak256("model");
    bytes32 internal constant CIRCUIT = keccak256("circuit");

    string internal constant SHA256 = "46af43ea5090cb4b13142010065bc0bcc1c88eaf9c64cf5ce9739d934d145a35";
    uint256 internal constant NODE_SECRET = uint256(keccak256("node"));

    address internal constant ADMIN = address(0xad1);
    address internal constant ALICE = address(0xa11ce);
    address internal constant MALLORY = address(0x3a11);
    address internal immutable NODE = vm.addr(NODE_SECRET);

    DataAnchoringToken internal dat;
    VerifiedComputing internal computing;
    DataRegistry internal files;
    RegistryTwin internal keys;
    QuorumTwin internal quorum;
    LazaiMintGate internal gate;

    uint256 private _counter;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        keys = new RegistryTwin();
        keys.put(DATASET_KEY, Statements.TYPE_DATASET_CHUNK, CIRCUIT, 0);
        keys.put(MODEL_KEY, Statements.TYPE_INFERENCE, CIRCUIT, MODEL);
        quorum = new QuorumTwin();
        (dat, computing, files) = deployLazai();
        gate = deployGate(dat, files);
        harden();
    }

    /// @dev As LazAI's deploy script leaves it: registry and administrator can mint, and there is one node.
    function deployLazai() internal returns (DataAnchoringToken token, VerifiedComputing nodes, DataRegistry registry) {
        token = new DataAnchoringToken(ADMIN, "");
        nodes = new VerifiedComputing(ADMIN);
        registry = new DataRegistry(ADMIN, token, nodes, "files", "key");
        bytes32 role = token.MINTER_ROLE();
        vm.startPrank(ADMIN);
        token.grantRole(role, address(registry));
        nodes.addNode(NODE, "http://node", "key");
        vm.stopPrank();
    }

    function deployGate(DataAnchoringToken token, DataRegistry registry) internal returns (LazaiMintGate made) {
        made = new LazaiMintGate(keys, quorum, ILazaiToken(address(token)), ILazaiDataRegistry(address(registry)));
        bytes32 role = token.MINTER_ROLE();
        vm.prank(ADMIN);
        token.grantRole(role, address(made));
    }

    /// @dev Closes LazAI's own path.
    function harden() internal {
        bytes32 role = dat.MINTER_ROLE();
        vm.prank(ADMIN);
        dat.revokeRole(role, address(files));
    }

    /// @dev Opens it again, to show what it allows.
    function soften() internal {
        bytes32 role = dat.MINTER_ROLE();
        vm.prank(ADMIN);
        dat.grantRole(role, address(files));
    }

    function addFile(address owner, string memory url) internal returns (uint256 fileId) {
        vm.prank(owner);
        return files.addFile(url, SHA256);
    }

    function signProof(DataRegistry.ProofData memory data) internal pure returns (DataRegistry.Proof memory) {
        bytes32 hash = keccak256(abi.encode(data));
        return DataRegistry.Proof({signature: signPersonal(NODE_SECRET, hash), data: data});
    }

    /// @dev EIP-191.
    function signPersonal(uint256 secret, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(secret, keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hash)));
        return abi.encodePacked(r, s, v);
    }

    function makeTask(bytes32 keyDigest, address requester) internal returns (Task memory) {
        ++_counter;
        return Task({
            keyDigest: keyDigest,
            taskId: keccak256(abi.encode("task", _counter)),
            requester: requester,
            payee: NODE,
            nonce: _counter,
            deadline: block.timestamp + 1 hours
        });
    }

    function makeAsset(uint256 fileId, uint8 class, bytes32 commitment) internal view returns (Asset memory) {
        return Asset({
            token: address(dat),
            fileId: fileId,
            class: class,
            commitment: commitment,
            metadataDigest: keccak256("metadata"),
            supply: 100,
            parents: new uint256[](0),
            terms: Terms({expiresAt: 0, maxUses: 0, shareBps: 0, transferable: true})
        });
    }

    function makeFile(uint256 fileId) internal view returns (LazaiFile memory) {
        DataRegistry.FileResponse memory file = files.getFile(fileId);
        return LazaiFile({fileId: fileId, url: file.url, sha256: file.hash});
    }

    /// @dev Of a dataset of its own for each file.
    function makeMint(uint256 fileId, address requester) internal returns (LazaiMintStatement memory) {
        bytes32 root = keccak256(abi.encode("root", fileId)) >> 4;
        return LazaiMintStatement({
            dataset: DatasetStatement({
                task: makeTask(DATASET_KEY, requester),
                asset: makeAsset(fileId, Statements.CLASS_DATASET, root),
                chunkIndex: 0,
                chunkRecords: 128
            }),
            file: makeFile(fileId)
        });
    }

    function makeModel(uint256 fileId, address requester) internal returns (LazaiModelStatement memory) {
        return LazaiModelStatement({
            model: ModelStatement({
                asset: makeAsset(fileId, Statements.CLASS_MODEL, MODEL),
                circuitDigest: CIRCUIT,
                sample: InferenceStatement({
                    task: makeTask(MODEL_KEY, requester), modelDigest: MODEL, output: 7, inputCommitment: 8
                })
            }),
            file: makeFile(fileId)
        });
    }

    function makeRevocation(uint256 datId) internal returns (Revocation memory) {
        ++_counter;
        return Revocation({
            taskId: keccak256(abi.encode("task", _counter)),
            token: address(dat),
            datId: datId,
            reason: "the data was not the owner's",
            evidenceDigest: keccak256("evidence"),
            nonce: _counter,
            deadline: block.timestamp + 1 hours
        });
    }

    function signalsOf(LazaiMintStatement memory statement) internal view returns (uint256[] memory signals) {
        return signalsAt(gate, statement);
    }

    function signalsAt(LazaiMintGate at_, LazaiMintStatement memory statement)
        internal
        view
        returns (uint256[] memory signals)
    {
        signals = new uint256[](4);
        signals[0] = uint256(statement.dataset.asset.commitment);
        signals[1] = statement.dataset.chunkIndex;
        signals[2] = statement.dataset.chunkRecords;
        signals[3] = at_.contextOf(Statements.TYPE_DATASET_CHUNK, statement.dataset.task);
    }

    function signalsOf(LazaiModelStatement memory statement) internal view returns (uint256[] memory signals) {
        InferenceStatement memory sample = statement.model.sample;
        signals = new uint256[](3);
        signals[0] = sample.output;
        signals[1] = sample.inputCommitment;
        signals[2] = gate.contextOf(Statements.TYPE_INFERENCE, sample.task);
    }

    function prove(bytes32 keyDigest, uint256[] memory signals) internal view returns (uint256[8] memory) {
        return keys.prove(keyDigest, signals);
    }

    function evidenceOf(bytes32 keyDigest, uint256[] memory signals, uint256[8] memory proof)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encodePacked(Statements.EVIDENCE_TAG, keyDigest, signals.length, signals, proof));
    }

    /// @dev The quorum votes for it, and the proof is handed back.
    function approve(LazaiMintStatement memory statement) internal returns (uint256[8] memory proof) {
        Task memory task = statement.dataset.task;
        uint256[] memory signals = signalsOf(statement);
        proof = prove(task.keyDigest, signals);
        bytes32 evidence = evidenceOf(task.keyDigest, signals, proof);
        quorum.accept(task.taskId, gate.mintStatementDigest(statement), evidence);
    }

    function approve(LazaiModelStatement memory statement) internal returns (uint256[8] memory proof) {
        Task memory task = statement.model.sample.task;
        uint256[] memory signals = signalsOf(statement);
        proof = prove(task.keyDigest, signals);
        bytes32 evidence = evidenceOf(task.keyDigest, signals, proof);
        quorum.accept(task.taskId, gate.modelStatementDigest(statement), evidence);
    }

    function approve(Revocation memory revocation) internal {
        quorum.accept(revocation.taskId, gate.revocationDigest(revocation), revocation.evidenceDigest);
    }

    function mint(LazaiMintStatement memory statement) internal returns (uint256 datId) {
        return gate.mintDataset(statement, approve(statement), none());
    }

    /// @dev The twin of the quorum does not look at certificates.
    function none() internal pure returns (Certificate memory certificate) {}
}
