// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1155Holder} from "@openzeppelin/contracts/token/ERC1155/utils/ERC1155Holder.sol";
import {IERC1155Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ILazaiDataRegistry, ILazaiToken} from "../src/gate/ILazai.sol";
import {LazaiMintGate, LazaiRecord} from "../src/gate/LazaiMintGate.sol";
import {LazaiFile, LazaiMintStatement, LazaiModelStatement, LazaiStatements} from "../src/gate/LazaiStatements.sol";
import {Revocation, Statements} from "../src/gate/Statements.sol";
import {Certificate, IQuorum} from "../src/quorum/IQuorum.sol";
import {IVerifierRegistry} from "../src/verifier/IVerifierRegistry.sol";
import {LazaiWorld} from "./base/LazaiWorld.sol";
import {QuorumTwin} from "./twins/QuorumTwin.sol";
import {RegistryTwin} from "./twins/RegistryTwin.sol";
import {DataAnchoringToken} from "./twins/lazai/DataAnchoringToken.sol";
import {DataRegistry} from "./twins/lazai/DataRegistry.sol";

/// @notice A file's owner that calls somebody back while it receives its tokens.
contract Caller is ERC1155Holder {
    address private _target;
    bytes private _call;
    bool public succeeded;
    bytes public answer;

    function arm(address target, bytes calldata call) external {
        _target = target;
        _call = call;
    }

    function onERC1155Received(address operator, address from, uint256 id, uint256 value, bytes memory data)
        public
        override
        returns (bytes4)
    {
        if (_target != address(0)) (succeeded, answer) = _target.call(_call);
        return super.onERC1155Received(operator, from, id, value, data);
    }
}

/// @notice LazAI's token after an upgrade that mints nothing, or something else.
contract LyingToken {
    uint256 public currentTokenId;
    string private _url;

    error NoToken();

    constructor(string memory url) {
        _url = url;
    }

    function mint(address, uint256, string calldata, bool) external {
        if (bytes(_url).length != 0) ++currentTokenId;
    }

    function fileUrl(uint256 id) external view returns (string memory) {
        if (id > currentTokenId) revert NoToken();
        return _url;
    }

    function verified(uint256) external pure returns (bool) {
        return true;
    }

    function hasRole(bytes32, address) external pure returns (bool) {
        return false;
    }
}

contract LazaiMintGateTest is LazaiWorld {
    uint256 private _fileId;

    function setUp() public override {
        super.setUp();
        _fileId = addFile(ALICE, "ipfs://alice");
    }

    // What it does

    function test_MintsTheFilesTokenToItsOwner_WhoeverSendsIt() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        statement.dataset.asset.terms.expiresAt = uint64(block.timestamp + 1 days);
        statement.dataset.asset.terms.maxUses = 9;
        uint256[8] memory proof = approve(statement);
        bytes32 digest = gate.mintStatementDigest(statement);
        bytes32 evidence = evidenceOf(DATASET_KEY, signalsOf(statement), proof);
        vm.expectEmit(true, true, true, true, address(gate));
        emit LazaiMintGate.LazaiDatasetMinted(
            digest,
            1,
            ALICE,
            NODE,
            _fileId,
            statement.dataset.asset.commitment,
            statement.dataset.asset.metadataDigest,
            evidence
        );
        vm.prank(MALLORY);
        uint256 datId = gate.mintDataset(statement, proof, none());

        assertEq(datId, dat.currentTokenId(), "the id is the counter");
        assertEq(dat.balanceOf(ALICE, datId), 100, "the supply is the owner's");
        assertTrue(dat.verified(datId) && gate.verified(datId) && gate.exists(datId), "verified");
        assertTrue(keccak256(bytes(dat.fileUrl(datId))) == keccak256("ipfs://alice"), "the url");
        assertEq(gate.datOfFile(_fileId), datId, "by file");
        assertEq(gate.datOf(1, statement.dataset.asset.commitment), datId, "by commitment");
        assertTrue(gate.used(digest), "used");
        LazaiRecord memory record = gate.recordOf(datId);
        assertEq(record.creator, ALICE, "creator");
        assertEq(record.mintedAt, block.timestamp, "mintedAt");
        assertEq(record.class, 1, "class");
        assertEq(record.statementDigest, digest, "statement");
        assertEq(record.fileId, _fileId, "file");
        (address creator, bool revoked, uint64 expiresAt, uint64 maxUses, bool derived) = gate.settlementOf(datId);
        assertEq(creator, ALICE, "creator for a settlement");
        assertFalse(revoked || derived, "neither revoked nor derived");
        assertEq(expiresAt, block.timestamp + 1 days, "expiry");
        assertEq(maxUses, 9, "uses");
        assertEq(gate.royaltiesOf(datId).length, 0, "no royalties");
    }

    function test_MintsAModelsToken_AndUsesItsSampleUp() public {
        LazaiModelStatement memory statement = makeModel(_fileId, ALICE);
        uint256 datId = gate.mintModel(statement, approve(statement), none());
        assertEq(dat.balanceOf(ALICE, datId), 100, "the supply is the owner's");
        assertEq(gate.recordOf(datId).class, 2, "class");
        assertEq(gate.datOf(2, MODEL), datId, "by digest");

        // Another statement about the same sample, for another file.
        LazaiModelStatement memory again = makeModel(addFile(ALICE, "ipfs://copy"), ALICE);
        again.model.sample = statement.model.sample;
        uint256[8] memory proof = approve(again);
        vm.expectPartialRevert(LazaiMintGate.StatementUsed.selector);
        gate.mintModel(again, proof, none());
    }

    function testFuzz_MintsExactlyWhatTheStatementAsks(uint256 supply, uint64 expiresAt, uint64 maxUses, address owner)
        public
    {
        supply = bound(supply, 1, gate.MAX_SUPPLY());
        vm.assume(owner != address(0) && owner.code.length == 0);
        if (expiresAt != 0) expiresAt = uint64(bound(expiresAt, block.timestamp + 1, type(uint64).max));
        LazaiMintStatement memory statement = makeMint(addFile(owner, "ipfs://fuzz"), owner);
        statement.dataset.asset.supply = supply;
        statement.dataset.asset.terms.expiresAt = expiresAt;
        statement.dataset.asset.terms.maxUses = maxUses;
        uint256 datId = mint(statement);
        assertEq(dat.balanceOf(owner, datId), supply, "supply");
        assertEq(gate.recordOf(datId).expiresAt, expiresAt, "expiry");
        assertEq(gate.recordOf(datId).maxUses, maxUses, "uses");
    }

    // What it refuses in a statement

    function test_RefusesEveryFieldThatTheVotesAreNotFor(uint256 which) public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        uint256[8] memory proof = approve(statement);
        which = bound(which, 0, 10);
        if (which == 0) ++statement.dataset.asset.supply;
        if (which == 1) statement.dataset.asset.metadataDigest = keccak256("other");
        if (which == 2) statement.dataset.task.taskId = keccak256("other");
        if (which == 3) statement.dataset.task.payee = MALLORY;
        if (which == 4) ++statement.dataset.task.nonce;
        if (which == 5) ++statement.dataset.task.deadline;
        if (which == 6) ++statement.dataset.chunkIndex;
        if (which == 7) ++statement.dataset.chunkRecords;
        if (which == 8) statement.dataset.asset.terms.maxUses = 1;
        if (which == 9) statement.dataset.asset.commitment = keccak256("other");
        if (which == 10) statement.dataset.task.requester = MALLORY;
        // The proof binds some, the votes bind all.
        vm.expectRevert();
        gate.mintDataset(statement, proof, none());
        // A proof of what is now said, with the votes for what was said before.
        proof = prove(DATASET_KEY, signalsOf(statement));
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.mintDataset(statement, proof, none());
    }

    /// @dev Acceptance of another task, statement or proof is none; that a rejection is none either is the quorum's rule,
    ///      which is asked for verdict 1.
    function test_RefusesVotesForAnotherTaskStatementOrProof() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        uint256[] memory signals = signalsOf(statement);
        uint256[8] memory proof = prove(DATASET_KEY, signals);
        bytes32 evidence = evidenceOf(DATASET_KEY, signals, proof);
        bytes32 digest = gate.mintStatementDigest(statement);
        bytes32 taskId = statement.dataset.task.taskId;
        quorum.accept(keccak256("other"), digest, evidence);
        quorum.accept(taskId, keccak256("other"), evidence);
        quorum.accept(taskId, digest, keccak256("other"));
        vm.expectRevert(abi.encodeWithSelector(QuorumTwin.NotVoted.selector, digest));
        gate.mintDataset(statement, proof, none());
        quorum.accept(taskId, digest, evidence);
        gate.mintDataset(statement, proof, none());
    }

    function test_RefusesAReplay() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        mint(statement);
        uint256[8] memory proof = approve(statement);
        vm.expectRevert(
            abi.encodeWithSelector(LazaiMintGate.StatementUsed.selector, gate.mintStatementDigest(statement))
        );
        gate.mintDataset(statement, proof, none());
    }

    function test_RefusesAFileTwice_AndACommitmentTwice() public {
        LazaiMintStatement memory first = makeMint(_fileId, ALICE);
        uint256 datId = mint(first);

        LazaiMintStatement memory sameFile = makeMint(_fileId, ALICE);
        sameFile.dataset.asset.commitment = keccak256("another root") >> 4;
        uint256[8] memory proof = approve(sameFile);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.FileMinted.selector, _fileId, datId));
        gate.mintDataset(sameFile, proof, none());

        LazaiMintStatement memory sameRoot = makeMint(addFile(ALICE, "ipfs://copy"), ALICE);
        sameRoot.dataset.asset.commitment = first.dataset.asset.commitment;
        proof = approve(sameRoot);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.AlreadyAnchored.selector, datId));
        gate.mintDataset(sameRoot, proof, none());
    }

    function test_RefusesAPassedDeadline_AndTakesItsLastSecond() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        uint256[8] memory proof = approve(statement);
        uint256 deadline = statement.dataset.task.deadline;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.DeadlinePassed.selector, deadline, deadline + 1));
        gate.mintDataset(statement, proof, none());
        vm.warp(deadline);
        gate.mintDataset(statement, proof, none());
    }

    function test_RefusesAssetsThatLazaisTokenCannotHold() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        uint256 limit = gate.MAX_SUPPLY();

        statement.dataset.asset.class = 2;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.AssetClassWrong.selector, 1, 2));
        statement.dataset.asset.class = 1;
        statement.dataset.asset.token = MALLORY;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.AssetTokenWrong.selector, address(dat), MALLORY));
        statement.dataset.asset.token = address(dat);
        statement.dataset.asset.supply = 0;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.SupplyOutOfRange.selector, 0, limit));
        statement.dataset.asset.supply = limit + 1;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.SupplyOutOfRange.selector, limit + 1, limit));
        statement.dataset.asset.supply = type(uint256).max;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.SupplyOutOfRange.selector, type(uint256).max, limit));
        statement.dataset.asset.supply = limit;
        statement.dataset.asset.parents = new uint256[](1);
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.ParentsUnsupported.selector, 1));
        statement.dataset.asset.parents = new uint256[](0);
        statement.dataset.asset.terms.transferable = false;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.TermsUnsupported.selector));
        statement.dataset.asset.terms.transferable = true;
        statement.dataset.asset.terms.shareBps = 1;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.TermsUnsupported.selector));
        statement.dataset.asset.terms.shareBps = 0;
        statement.dataset.asset.terms.expiresAt = uint64(block.timestamp);
        _refused(
            statement, abi.encodeWithSelector(LazaiMintGate.TermsExpired.selector, block.timestamp, block.timestamp)
        );
        statement.dataset.asset.terms.expiresAt = 0;
        bytes32 commitment = statement.dataset.asset.commitment;
        statement.dataset.asset.commitment = 0;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.CommitmentZero.selector));
        statement.dataset.asset.commitment = commitment;
        mint(statement);
    }

    function test_RefusesAFileThatIsNotTheRegistrys() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        uint256 bobs = addFile(MALLORY, "ipfs://mallory");

        statement.file.fileId = bobs;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileIdMismatch.selector, _fileId, bobs));
        statement.dataset.asset.fileId = bobs;
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileOwnerMismatch.selector, MALLORY, ALICE));
        (statement.file.fileId, statement.dataset.asset.fileId) = (0, 0);
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileUnknown.selector, 0));
        (statement.file.fileId, statement.dataset.asset.fileId) = (99, 99);
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileUnknown.selector, 99));
        (statement.file.fileId, statement.dataset.asset.fileId) = (_fileId, _fileId);
        statement.file.url = "ipfs://mallory";
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileUrlMismatch.selector, _fileId));
        statement.file.url = "ipfs://alice";
        statement.file.sha256 = "46af43ea5090cb4b13142010065bc0bcc1c88eaf9c64cf5ce9739d934d145a36";
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileHashMismatch.selector, _fileId));
        statement.file.sha256 = SHA256;
        mint(statement);
    }

    function test_RefusesAFileOfNobody() public {
        // A requester of zero cannot stand in for the owner that an unknown file has.
        LazaiMintStatement memory statement = makeMint(_fileId, address(0));
        (statement.file.fileId, statement.dataset.asset.fileId) = (99, 99);
        (statement.file.url, statement.file.sha256) = ("", "");
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileUnknown.selector, 99));
    }

    function test_RefusesAHashThatIsNone() public {
        string[5] memory hashes = [
            "",
            "0x46af43ea5090cb4b13142010065bc0bcc1c88eaf9c64cf5ce9739d934d145a35",
            "46AF43EA5090CB4B13142010065BC0BCC1C88EAF9C64CF5CE9739D934D145A35",
            "46af43ea5090cb4b13142010065bc0bcc1c88eaf9c64cf5ce9739d934d145a3",
            "46af43ea5090cb4b13142010065bc0bcc1c88eaf9c64cf5ce9739d934d145a3g"
        ];
        for (uint256 i = 0; i < hashes.length; ++i) {
            vm.prank(ALICE);
            uint256 fileId = files.addFile(vm.toString(i), hashes[i]);
            LazaiMintStatement memory statement = makeMint(fileId, ALICE);
            _refused(statement, abi.encodeWithSelector(LazaiMintGate.FileHashMalformed.selector, fileId));
        }
    }

    function test_RefusesAFileWithoutUrl() public {
        LazaiMintStatement memory statement = makeMint(addFile(ALICE, ""), ALICE);
        uint256[8] memory proof = approve(statement);
        // LazAI's own token does: without a url it does not count as a token.
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "DataAnchoringToken: non-existent token"));
        gate.mintDataset(statement, proof, none());
    }

    function test_RefusesKeysOfAnotherKind_AndModelsOfAnotherDigest() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        statement.dataset.task.keyDigest = MODEL_KEY;
        _refused(
            statement,
            abi.encodeWithSelector(
                RegistryTwin.StatementTypeMismatch.selector, Statements.TYPE_DATASET_CHUNK, Statements.TYPE_INFERENCE
            )
        );
        statement.dataset.task.keyDigest = keccak256("unknown");
        _refused(statement, abi.encodeWithSelector(RegistryTwin.KeyUnknown.selector, keccak256("unknown")));

        bytes32 other = keccak256("other model");
        LazaiModelStatement memory model = makeModel(_fileId, ALICE);
        model.model.asset.class = 1;
        _refusedModel(model, abi.encodeWithSelector(LazaiMintGate.AssetClassWrong.selector, 2, 1));
        model.model.asset.class = 2;
        model.model.asset.commitment = other;
        _refusedModel(model, abi.encodeWithSelector(LazaiMintGate.ModelDigestMismatch.selector, other, MODEL));
        model.model.sample.modelDigest = other;
        _refusedModel(model, abi.encodeWithSelector(LazaiMintGate.ModelDigestMismatch.selector, MODEL, other));
        (model.model.sample.modelDigest, model.model.asset.commitment) = (MODEL, MODEL);
        model.model.circuitDigest = other;
        _refusedModel(model, abi.encodeWithSelector(LazaiMintGate.CircuitDigestMismatch.selector, CIRCUIT, other));
        model.model.circuitDigest = CIRCUIT;
        gate.mintModel(model, approve(model), none());
    }

    function test_RefusesAProofForAnotherGateOrChain() public {
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        LazaiMintGate other = deployGate(dat, files);
        uint256[8] memory proof = approve(statement);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        other.mintDataset(statement, proof, none());
        // With a proof made for the other gate, the votes are still for this one.
        proof = prove(DATASET_KEY, signalsAt(other, statement));
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        other.mintDataset(statement, proof, none());

        proof = approve(statement);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        gate.mintDataset(statement, proof, none());
        proof = prove(DATASET_KEY, signalsOf(statement));
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.mintDataset(statement, proof, none());
    }

    // Roles and ids of LazAI's token

    function test_RefusesToMintWhileLazaisOwnPathIsOpen() public {
        soften();
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.LegacyPathOpen.selector, address(files)));
        harden();
        mint(statement);
    }

    function test_CannotMintWithoutTheRole() public {
        bytes32 role = dat.MINTER_ROLE();
        vm.prank(ADMIN);
        dat.revokeRole(role, address(gate));
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        _refused(
            statement,
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, address(gate), role)
        );
        // The revert took the marks back with it.
        vm.prank(ADMIN);
        dat.grantRole(role, address(gate));
        mint(statement);
    }

    function test_RefusesAnIdThatABatchMintTook() public {
        (uint256[] memory ids, uint256[] memory amounts, string[] memory urls) =
            (new uint256[](1), new uint256[](1), new string[](1));
        (ids[0], amounts[0], urls[0]) = (1, 5, "ipfs://admin");
        vm.prank(ADMIN);
        dat.batchMint(MALLORY, ids, amounts, urls);
        LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
        _refused(statement, abi.encodeWithSelector(LazaiMintGate.TokenIdTaken.selector, 1));
        // Somebody who may mint moves the counter on.
        vm.prank(ADMIN);
        dat.mint(ADMIN, 1, "ipfs://skip", false);
        assertEq(mint(statement), 2, "the next id");
    }

    function test_SeesATokenThatDoesNotMint() public {
        string[2] memory urls = ["", "ipfs://other"];
        for (uint256 i = 0; i < urls.length; ++i) {
            LyingToken liar = new LyingToken(urls[i]);
            gate = new LazaiMintGate(keys, quorum, ILazaiToken(address(liar)), ILazaiDataRegistry(address(files)));
            LazaiMintStatement memory statement = makeMint(_fileId, ALICE);
            statement.dataset.asset.token = address(liar);
            uint256[8] memory proof = approve(statement);
            if (i == 0) vm.expectRevert(LyingToken.NoToken.selector);
            else vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.MintNotSeen.selector, 1));
            gate.mintDataset(statement, proof, none());
        }
    }

    function test_NeedsContractsAtItsAddresses() public {
        IVerifierRegistry registry = keys;
        IQuorum votes = quorum;
        (ILazaiToken token, ILazaiDataRegistry lazai) = (ILazaiToken(address(dat)), ILazaiDataRegistry(address(files)));
        bytes memory refusal = abi.encodeWithSelector(LazaiMintGate.AddressWithoutCode.selector, MALLORY);
        vm.expectRevert(refusal);
        new LazaiMintGate(IVerifierRegistry(MALLORY), votes, token, lazai);
        vm.expectRevert(refusal);
        new LazaiMintGate(registry, IQuorum(MALLORY), token, lazai);
        vm.expectRevert(refusal);
        new LazaiMintGate(registry, votes, ILazaiToken(MALLORY), lazai);
        vm.expectRevert(refusal);
        new LazaiMintGate(registry, votes, token, ILazaiDataRegistry(MALLORY));
    }

    // Callbacks

    function test_ACallbackCannotMintAgainOrRevoke() public {
        Caller owner = new Caller();
        uint256 first = addFile(address(owner), "ipfs://first");
        LazaiMintStatement memory inner = makeMint(addFile(address(owner), "ipfs://second"), address(owner));
        uint256[8] memory innerProof = approve(inner);
        owner.arm(address(gate), abi.encodeCall(LazaiMintGate.mintDataset, (inner, innerProof, none())));
        uint256 datId = mint(makeMint(first, address(owner)));
        _reentered(owner);
        assertEq(dat.currentTokenId(), datId, "one token");
        assertFalse(gate.used(gate.mintStatementDigest(inner)), "the inner statement is not used up");

        Revocation memory revocation = makeRevocation(datId + 1);
        approve(revocation);
        owner.arm(address(gate), abi.encodeCall(LazaiMintGate.revoke, (revocation, none())));
        mint(makeMint(addFile(address(owner), "ipfs://third"), address(owner)));
        _reentered(owner);
    }

    /// @dev The one who may mint beside the gate, called back within its mint, does not change what the gate's id is.
    function test_ACallbackThatMintsElsewhereDoesNotMoveTheId() public {
        Caller owner = new Caller();
        bytes32 role = dat.MINTER_ROLE();
        vm.prank(ADMIN);
        dat.grantRole(role, address(owner));
        owner.arm(address(dat), abi.encodeCall(DataAnchoringToken.mint, (ALICE, 1, "ipfs://inner", false)));
        uint256 fileId = addFile(address(owner), "ipfs://outer");
        uint256 datId = mint(makeMint(fileId, address(owner)));
        assertTrue(owner.succeeded(), "the inner mint went through");
        assertEq(dat.currentTokenId(), datId + 1, "and took the id after");
        assertEq(dat.balanceOf(address(owner), datId), 100, "the outer one is the owner's");
        assertTrue(keccak256(bytes(dat.fileUrl(datId))) == keccak256("ipfs://outer"), "under its own url");
        assertEq(gate.datOfFile(fileId), datId, "and known by it");
    }

    function test_AReceiverThatRefusesLeavesNothingUsed() public {
        // A contract that knows nothing of ERC-1155.
        address owner = address(quorum);
        LazaiMintStatement memory statement = makeMint(addFile(owner, "ipfs://owner"), owner);
        _refused(statement, abi.encodeWithSelector(IERC1155Errors.ERC1155InvalidReceiver.selector, owner));
        assertFalse(gate.used(gate.mintStatementDigest(statement)), "used");
        assertEq(gate.datOfFile(statement.file.fileId), 0, "no token");
    }

    // Revocation

    function test_RevokesOnACertificate() public {
        uint256 datId = mint(makeMint(_fileId, ALICE));
        Revocation memory revocation = makeRevocation(datId);
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.revoke(revocation, none());
        approve(revocation);
        vm.expectEmit(true, true, true, true, address(gate));
        emit LazaiMintGate.LazaiRevoked(
            gate.revocationDigest(revocation), datId, revocation.evidenceDigest, revocation.reason
        );
        vm.prank(MALLORY);
        gate.revoke(revocation, none());
        assertFalse(dat.verified(datId) || gate.verified(datId), "verified");
        (, bool revoked,,,) = gate.settlementOf(datId);
        assertTrue(revoked, "revoked for a settlement");
        assertEq(dat.balanceOf(ALICE, datId), 100, "the units stay");

        vm.expectPartialRevert(LazaiMintGate.StatementUsed.selector);
        gate.revoke(revocation, none());
        Revocation memory again = makeRevocation(datId);
        approve(again);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.NotVerified.selector, datId));
        gate.revoke(again, none());

        // Another minter that sets it again does not undo what the quorum said.
        vm.prank(ADMIN);
        dat.setTokenVerified(datId, true);
        (, revoked,,,) = gate.settlementOf(datId);
        assertTrue(revoked && !gate.verified(datId), "still revoked");
    }

    function test_RevocationIsForItsTokenItsIdAndItsTime() public {
        uint256 datId = mint(makeMint(_fileId, ALICE));
        Revocation memory revocation = makeRevocation(datId);
        revocation.token = MALLORY;
        approve(revocation);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.AssetTokenWrong.selector, address(dat), MALLORY));
        gate.revoke(revocation, none());

        revocation = makeRevocation(datId);
        approve(revocation);
        vm.warp(revocation.deadline + 1);
        vm.expectPartialRevert(LazaiMintGate.DeadlinePassed.selector);
        gate.revoke(revocation, none());
        vm.warp(revocation.deadline);
        revocation.datId = datId + 1;
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.revoke(revocation, none());
        approve(revocation);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "DataAnchoringToken: non-existent token"));
        gate.revoke(revocation, none());
    }

    function test_WhatAnotherMinterTookBackIsNotVerifiedHereEither() public {
        uint256 datId = mint(makeMint(_fileId, ALICE));
        vm.prank(ADMIN);
        dat.setTokenVerified(datId, false);
        assertFalse(gate.verified(datId), "verified");
        (, bool revoked,,,) = gate.settlementOf(datId);
        assertTrue(revoked, "revoked");
    }

    /// @dev A minter that sees a revocation coming takes `verified` back itself, and gives it again when that has failed.
    function test_AnotherMinterCannotStopARevocation() public {
        uint256 datId = mint(makeMint(_fileId, ALICE));
        Revocation memory revocation = makeRevocation(datId);
        approve(revocation);
        vm.prank(ADMIN);
        dat.setTokenVerified(datId, false);
        gate.revoke(revocation, none());
        vm.prank(ADMIN);
        dat.setTokenVerified(datId, true);
        assertTrue(gate.recordOf(datId).revoked, "recorded");
        (, bool revoked,,,) = gate.settlementOf(datId);
        assertTrue(revoked && !gate.verified(datId), "revoked for a settlement");

        // What was not minted here has no record that could be set beside LazAI's own flag.
        vm.prank(ADMIN);
        dat.mint(ALICE, 1, "ipfs://admin", false);
        revocation = makeRevocation(datId + 1);
        approve(revocation);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.NotVerified.selector, datId + 1));
        gate.revoke(revocation, none());
    }

    function test_KnowsOnlyItsOwnTokens() public {
        vm.prank(ADMIN);
        dat.mint(ALICE, 1, "ipfs://admin", true);
        assertTrue(dat.verified(1), "LazAI's token says so");
        assertFalse(gate.exists(1) || gate.verified(1), "the gate does not");
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.IdUnknown.selector, 1));
        gate.recordOf(1);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.IdUnknown.selector, 1));
        gate.settlementOf(1);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.IdUnknown.selector, 1));
        gate.royaltiesOf(1);
    }

    // Typed data

    function test_TypeHashesAreThoseOfTheirText() public pure {
        string memory terms = "Terms(uint64 expiresAt,uint64 maxUses,uint16 shareBps,bool transferable)";
        string memory task =
            "Task(bytes32 keyDigest,bytes32 taskId,address requester,address payee,uint256 nonce,uint256 deadline)";
        string memory asset =
            "Asset(address token,uint256 fileId,uint8 class,bytes32 commitment,bytes32 metadataDigest,uint256 supply,uint256[] parents,Terms terms)";
        string memory file = "LazaiFile(uint256 fileId,string url,string sha256)";
        assertEq(keccak256(bytes(file)), LazaiStatements.FILE_TYPEHASH, "LazaiFile");
        assertEq(
            keccak256(
                abi.encodePacked(
                    "LazaiMintStatement(DatasetStatement dataset,LazaiFile file)",
                    asset,
                    "DatasetStatement(Task task,Asset asset,uint256 chunkIndex,uint256 chunkRecords)",
                    file,
                    task,
                    terms
                )
            ),
            LazaiStatements.MINT_TYPEHASH,
            "LazaiMintStatement"
        );
        assertEq(
            keccak256(
                abi.encodePacked(
                    "LazaiModelStatement(ModelStatement model,LazaiFile file)",
                    asset,
                    "InferenceStatement(Task task,bytes32 modelDigest,uint256 output,uint256 inputCommitment)",
                    file,
                    "ModelStatement(Asset asset,bytes32 circuitDigest,InferenceStatement sample)",
                    task,
                    terms
                )
            ),
            LazaiStatements.MODEL_TYPEHASH,
            "LazaiModelStatement"
        );
    }

    /// @dev Where one text ends and the next begins is part of what is signed.
    function testFuzz_UrlAndHashDoNotRunIntoEachOther(string calldata url, string calldata hash, bytes1 moved) public {
        LazaiMintStatement memory left = makeMint(_fileId, ALICE);
        left.file = LazaiFile({fileId: _fileId, url: string.concat(url, string(abi.encodePacked(moved))), sha256: hash});
        bytes32 digest = gate.mintStatementDigest(left);
        left.file = LazaiFile({fileId: _fileId, url: url, sha256: string(abi.encodePacked(moved, hash))});
        assertTrue(gate.mintStatementDigest(left) != digest, "another digest");
    }

    function _refused(LazaiMintStatement memory statement, bytes memory refusal) private {
        uint256[8] memory proof = approve(statement);
        vm.expectRevert(refusal);
        gate.mintDataset(statement, proof, none());
    }

    function _refusedModel(LazaiModelStatement memory statement, bytes memory refusal) private {
        uint256[8] memory proof = approve(statement);
        vm.expectRevert(refusal);
        gate.mintModel(statement, proof, none());
    }

    function _reentered(Caller owner) private view {
        assertFalse(owner.succeeded(), "the call back succeeded");
        assertTrue(
            bytes4(owner.answer()) == ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector,
            "for another reason than the guard"
        );
    }
}
