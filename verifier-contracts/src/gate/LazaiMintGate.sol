// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Certificate, IQuorum} from "../quorum/IQuorum.sol";
import {Royalty} from "../token/IDataAnchoringToken.sol";
import {Entry, IVerifierRegistry} from "../verifier/IVerifierRegistry.sol";
import {ILazaiDataRegistry, ILazaiToken} from "./ILazai.sol";
import {LazaiFile, LazaiMintStatement, LazaiModelStatement, LazaiStatements} from "./LazaiStatements.sol";
import {Asset, DatasetStatement, InferenceStatement, Revocation, Statements, Task} from "./Statements.sol";

/// @notice What is known here of a token of LazAI's that this gate minted.
struct LazaiRecord {
    address creator;
    uint64 mintedAt; // unix seconds of the mint's block
    uint8 class;
    bool revoked;
    uint64 expiresAt; // unix seconds; 0 for never
    uint64 maxUses; // 0 for no limit
    bytes32 statementDigest;
    uint256 fileId;
}

/// @title LazaiMintGate
/// @notice {MintGate}'s rules in front of LazAI's deployed, unmodified contracts. It holds MINTER_ROLE on their
///         DataAnchoringToken, and mints there for a statement with its proof and a quorum's certificate.
/// @dev Set up by whoever administers LazAI's token: grant MINTER_ROLE to this gate, and revoke it from the DataRegistry.
///      As long as the registry has the role, one signature of one node mints any file's token, whatever is refused here;
///      so nothing is minted here until it is revoked.
///
///      A statement binds the file as the registry has it: its id, owner, url and SHA-256. What the votes are about is
///      that this file is the dataset behind the commitment: the contract cannot see that.
///
///      LazAI's token has no place for terms or lineage. Terms that it would break (a token that may not be passed on, a
///      royalty) and parents are refused; expiry and a limit of uses are kept here, for a settlement that asks. Towards
///      such a settlement the gate answers as IDataAnchoringToken does: {settlementOf}, {royaltiesOf}, {exists}, {verified}.
///
///      NOT enforced: that no other account holds MINTER_ROLE. Such an account can mint, set `verified` again after it was
///      revoked here, and mint under an id with an empty url that this gate comes to later. The role's holders cannot be
///      listed on chain; they are in the token's RoleGranted and RoleRevoked events. Nor that LazAI's contracts stay as
///      they are: they are upgradeable. Nor anything about LazAI's AIProcess and Settlement, which never ask this gate.
contract LazaiMintGate is EIP712, ReentrancyGuardTransient {
    /// @dev LazAI's name for it: keccak256("MINTER_ROLE").
    bytes32 private constant _MINTER_ROLE = keccak256("MINTER_ROLE");

    /// @dev {IQuorum}'s code for acceptance.
    uint8 private constant _ACCEPT = 1;

    /// @notice Most units of one token. LazAI's scores, which are its amounts, end here too.
    uint256 public constant MAX_SUPPLY = 10_000;

    IVerifierRegistry public immutable registry;
    IQuorum public immutable quorum;
    ILazaiToken public immutable token;
    ILazaiDataRegistry public immutable dataRegistry;

    /// @notice Digests of statements and revocations that have been accepted.
    mapping(bytes32 statementDigest => bool) public used;

    /// @notice The token that was minted here for a file; 0 for none.
    mapping(uint256 fileId => uint256 datId) public datOfFile;

    mapping(bytes32 assetKey => uint256 datId) private _datOfAsset;
    mapping(uint256 datId => LazaiRecord) private _records;

    event LazaiDatasetMinted(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        address indexed requester,
        address payee,
        uint256 fileId,
        bytes32 commitment,
        bytes32 metadataDigest,
        bytes32 evidenceDigest
    );
    event LazaiModelMinted(
        bytes32 indexed statementDigest,
        uint256 indexed datId,
        address indexed requester,
        address payee,
        uint256 fileId,
        bytes32 modelDigest,
        bytes32 metadataDigest,
        bytes32 evidenceDigest
    );
    event LazaiRevoked(bytes32 indexed revocationDigest, uint256 indexed datId, bytes32 evidenceDigest, string reason);

    error AddressWithoutCode(address account);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error StatementUsed(bytes32 statementDigest);
    error AssetClassWrong(uint8 expected, uint8 given);
    error AssetTokenWrong(address expected, address given);
    error CommitmentZero();
    error SupplyOutOfRange(uint256 supply, uint256 limit);
    error ParentsUnsupported(uint256 count);
    error TermsUnsupported();
    error TermsExpired(uint64 expiresAt, uint256 timestamp);
    error ModelDigestMismatch(bytes32 expected, bytes32 given);
    error CircuitDigestMismatch(bytes32 registered, bytes32 given);
    error LegacyPathOpen(address dataRegistry);
    error FileIdMismatch(uint256 expected, uint256 given);
    error FileUnknown(uint256 fileId);
    error FileOwnerMismatch(address owner, address requester);
    error FileUrlMismatch(uint256 fileId);
    error FileHashMismatch(uint256 fileId);
    error FileHashMalformed(uint256 fileId);
    error FileRedeemed(uint256 fileId, uint256 proofIndex, uint256 rewardAmount);
    error FileMinted(uint256 fileId, uint256 datId);
    error AlreadyAnchored(uint256 id);
    error TokenIdTaken(uint256 datId);
    error MintNotSeen(uint256 datId);
    error NotVerified(uint256 datId);
    error IdUnknown(uint256 id);

    /// @dev An address without code would answer nothing, and a call that is not looked at would seem to succeed.
    constructor(IVerifierRegistry registry_, IQuorum quorum_, ILazaiToken token_, ILazaiDataRegistry dataRegistry_)
        EIP712("anchorproof", "1")
    {
        if (address(registry_).code.length == 0) revert AddressWithoutCode(address(registry_));
        if (address(quorum_).code.length == 0) revert AddressWithoutCode(address(quorum_));
        if (address(token_).code.length == 0) revert AddressWithoutCode(address(token_));
        if (address(dataRegistry_).code.length == 0) revert AddressWithoutCode(address(dataRegistry_));
        registry = registry_;
        quorum = quorum_;
        token = token_;
        dataRegistry = dataRegistry_;
    }

    /// @notice Mints LazAI's token of a dataset to the file's owner, who is the statement's requester.
    /// @dev What {MintGate.mintDataset} does not enforce is not enforced here either.
    function mintDataset(
        LazaiMintStatement calldata statement,
        uint256[8] calldata proof,
        Certificate calldata certificate
    ) external nonReentrant returns (uint256 datId) {
        DatasetStatement calldata dataset = statement.dataset;
        Task calldata task = dataset.task;
        Asset calldata asset = dataset.asset;
        if (asset.class != Statements.CLASS_DATASET) revert AssetClassWrong(Statements.CLASS_DATASET, asset.class);
        bytes32 digest = mintStatementDigest(statement);
        _use(task.deadline, digest);

        bytes32 evidence = _verifyDataset(dataset, proof);
        quorum.check(task.taskId, digest, evidence, _ACCEPT, certificate);
        datId = _mint(task.requester, asset, statement.file, digest);
        emit LazaiDatasetMinted(
            digest, datId, task.requester, task.payee, asset.fileId, asset.commitment, asset.metadataDigest, evidence
        );
    }

    /// @notice Mints LazAI's token of a model to the file's owner, who is the requester of the statement's sample.
    /// @dev The sample's own digest, under this gate's domain, is used up too.
    function mintModel(
        LazaiModelStatement calldata statement,
        uint256[8] calldata proof,
        Certificate calldata certificate
    ) external nonReentrant returns (uint256 datId) {
        InferenceStatement calldata sample = statement.model.sample;
        Task calldata task = sample.task;
        Asset calldata asset = statement.model.asset;
        if (asset.class != Statements.CLASS_MODEL) revert AssetClassWrong(Statements.CLASS_MODEL, asset.class);
        if (sample.modelDigest != asset.commitment) revert ModelDigestMismatch(asset.commitment, sample.modelDigest);
        bytes32 digest = modelStatementDigest(statement);
        _use(task.deadline, digest);
        _use(task.deadline, _hashTypedDataV4(Statements.hashInference(sample)));

        bytes32 evidence = _verifyModel(sample, statement.model.circuitDigest, proof);
        quorum.check(task.taskId, digest, evidence, _ACCEPT, certificate);
        datId = _mint(task.requester, asset, statement.file, digest);
        emit LazaiModelMinted(
            digest, datId, task.requester, task.payee, asset.fileId, asset.commitment, asset.metadataDigest, evidence
        );
    }

    /// @notice Takes back `verified` of a token of LazAI's, on a certificate over the revocation. Of any of their tokens:
    ///         what was minted on the word of one node can be taken back by a quorum.
    /// @dev Of what was minted here, also when another minter has taken `verified` back already: it could otherwise stop a
    ///      revocation that it sees coming, and set `verified` again afterwards.
    function revoke(Revocation calldata revocation, Certificate calldata certificate) external nonReentrant {
        if (revocation.token != address(token)) revert AssetTokenWrong(address(token), revocation.token);
        bytes32 digest = revocationDigest(revocation);
        _use(revocation.deadline, digest);
        quorum.check(revocation.taskId, digest, revocation.evidenceDigest, _ACCEPT, certificate);

        uint256 datId = revocation.datId;
        LazaiRecord storage record = _records[datId];
        bool standing = record.mintedAt != 0 && !record.revoked;
        if (!standing && !token.verified(datId)) revert NotVerified(datId);
        if (standing) record.revoked = true;
        token.setTokenVerified(datId, false);
        emit LazaiRevoked(digest, datId, revocation.evidenceDigest, revocation.reason);
    }

    /// @notice The `context` signal of a task for one statement type, on this chain and at this gate.
    function contextOf(bytes32 statementType, Task calldata task) public view returns (uint256) {
        return Statements.context(statementType, address(this), task);
    }

    function mintStatementDigest(LazaiMintStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(LazaiStatements.hashMint(statement));
    }

    function modelStatementDigest(LazaiModelStatement calldata statement) public view returns (bytes32) {
        return _hashTypedDataV4(LazaiStatements.hashModelMint(statement));
    }

    function revocationDigest(Revocation calldata revocation) public view returns (bytes32) {
        return _hashTypedDataV4(Statements.hashRevocation(revocation));
    }

    /// @notice The token that was minted here for an asset; 0 for none.
    function datOf(uint8 class, bytes32 commitment) external view returns (uint256) {
        return _datOfAsset[_assetKey(class, commitment)];
    }

    /// @notice Reverts for a token that was not minted here.
    function recordOf(uint256 datId) public view returns (LazaiRecord memory record) {
        record = _records[datId];
        if (record.mintedAt == 0) revert IdUnknown(datId);
    }

    /// @notice Whether a token was minted here.
    function exists(uint256 datId) external view returns (bool) {
        return _records[datId].mintedAt != 0;
    }

    /// @notice Whether a token was minted here and counts as verified, here and in LazAI's token.
    function verified(uint256 datId) external view returns (bool) {
        LazaiRecord storage record = _records[datId];
        return record.mintedAt != 0 && !record.revoked && token.verified(datId);
    }

    /// @notice What a settlement asks; as IDataAnchoringToken has it. Whatever took `verified` from the token, it counts as
    ///         revoked; a minter who sets it again does not undo what was revoked here.
    function settlementOf(uint256 datId)
        external
        view
        returns (address creator, bool revoked, uint64 expiresAt, uint64 maxUses, bool derived)
    {
        LazaiRecord memory record = recordOf(datId);
        return (record.creator, record.revoked || !token.verified(datId), record.expiresAt, record.maxUses, false);
    }

    /// @notice None: an asset with parents is not minted here. Reverts for a token that was not.
    function royaltiesOf(uint256 datId) external view returns (Royalty[] memory royalties) {
        recordOf(datId);
        return royalties;
    }

    /// @dev Marks before anything external is called; a revert later on unmarks.
    function _use(uint256 deadline, bytes32 digest) private {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline, block.timestamp);
        if (used[digest]) revert StatementUsed(digest);
        used[digest] = true;
    }

    function _verifyDataset(DatasetStatement calldata statement, uint256[8] calldata proof)
        private
        view
        returns (bytes32)
    {
        bytes32 keyDigest = statement.task.keyDigest;
        registry.resolve(keyDigest, Statements.TYPE_DATASET_CHUNK);
        uint256[] memory signals = new uint256[](Statements.DATASET_SIGNALS);
        signals[0] = uint256(statement.asset.commitment);
        signals[1] = statement.chunkIndex;
        signals[2] = statement.chunkRecords;
        signals[3] = contextOf(Statements.TYPE_DATASET_CHUNK, statement.task);
        registry.verify(keyDigest, proof, signals);
        return Statements.evidence(keyDigest, signals, proof);
    }

    function _verifyModel(InferenceStatement calldata sample, bytes32 circuitDigest, uint256[8] calldata proof)
        private
        view
        returns (bytes32)
    {
        bytes32 keyDigest = sample.task.keyDigest;
        Entry memory entry = registry.resolve(keyDigest, Statements.TYPE_INFERENCE);
        if (entry.modelDigest != sample.modelDigest) revert ModelDigestMismatch(entry.modelDigest, sample.modelDigest);
        if (entry.circuitDigest != circuitDigest) revert CircuitDigestMismatch(entry.circuitDigest, circuitDigest);
        uint256[] memory signals = new uint256[](Statements.INFERENCE_SIGNALS);
        signals[0] = sample.output;
        signals[1] = sample.inputCommitment;
        signals[2] = contextOf(Statements.TYPE_INFERENCE, sample.task);
        registry.verify(keyDigest, proof, signals);
        return Statements.evidence(keyDigest, signals, proof);
    }

    /// @dev Between reading the counter and LazAI's raising it nothing else runs, so that the id is known beforehand; what
    ///      the receiver's callback does comes later. All state here is written before it.
    function _mint(address requester, Asset calldata asset, LazaiFile calldata file, bytes32 digest)
        private
        returns (uint256 datId)
    {
        _checkAsset(asset);
        _checkFile(requester, asset.fileId, file);
        bytes32 key = _assetKey(asset.class, asset.commitment);
        if (_datOfAsset[key] != 0) revert AlreadyAnchored(_datOfAsset[key]);
        if (datOfFile[asset.fileId] != 0) revert FileMinted(asset.fileId, datOfFile[asset.fileId]);

        datId = token.currentTokenId() + 1;
        _checkFree(datId);
        _datOfAsset[key] = datId;
        datOfFile[asset.fileId] = datId;
        _records[datId] = LazaiRecord({
            creator: requester,
            mintedAt: uint64(block.timestamp),
            class: asset.class,
            revoked: false,
            expiresAt: asset.terms.expiresAt,
            maxUses: asset.terms.maxUses,
            statementDigest: digest,
            fileId: asset.fileId
        });
        token.mint(requester, asset.supply, file.url, true);
        // LazAI's contracts are upgradeable: what they did is looked at, not believed.
        if (!_same(token.fileUrl(datId), file.url) || !token.verified(datId)) revert MintNotSeen(datId);
    }

    function _checkAsset(Asset calldata asset) private view {
        if (asset.token != address(token)) revert AssetTokenWrong(address(token), asset.token);
        if (asset.commitment == 0) revert CommitmentZero();
        if (asset.supply == 0 || asset.supply > MAX_SUPPLY) revert SupplyOutOfRange(asset.supply, MAX_SUPPLY);
        if (asset.parents.length != 0) revert ParentsUnsupported(asset.parents.length);
        if (!asset.terms.transferable || asset.terms.shareBps != 0) revert TermsUnsupported();
        uint64 expiresAt = asset.terms.expiresAt;
        if (expiresAt != 0 && expiresAt <= block.timestamp) revert TermsExpired(expiresAt, block.timestamp);
        if (token.hasRole(_MINTER_ROLE, address(dataRegistry))) revert LegacyPathOpen(address(dataRegistry));
    }

    /// @dev A file whose redeemed proof scored 0 has no reward, but it has the proof's index: both say that LazAI's own path
    ///      has minted already.
    function _checkFile(address requester, uint256 fileId, LazaiFile calldata file) private view {
        if (file.fileId != fileId) revert FileIdMismatch(fileId, file.fileId);
        ILazaiDataRegistry.FileResponse memory registered = dataRegistry.getFile(fileId);
        if (registered.ownerAddress == address(0)) revert FileUnknown(fileId);
        if (registered.ownerAddress != requester) revert FileOwnerMismatch(registered.ownerAddress, requester);
        if (!_same(registered.url, file.url)) revert FileUrlMismatch(fileId);
        if (!_same(registered.hash, file.sha256)) revert FileHashMismatch(fileId);
        if (!_isSha256(bytes(file.sha256))) revert FileHashMalformed(fileId);
        if (registered.proofIndex != 0 || registered.rewardAmount != 0) {
            revert FileRedeemed(fileId, registered.proofIndex, registered.rewardAmount);
        }
    }

    /// @dev LazAI's batchMint lets a minter take ids that the counter has not reached.
    function _checkFree(uint256 datId) private view {
        try token.fileUrl(datId) returns (string memory) {
            revert TokenIdTaken(datId);
        } catch {} // solhint-disable-line no-empty-blocks
    }

    function _assetKey(uint8 class, bytes32 commitment) private pure returns (bytes32) {
        return keccak256(abi.encode(class, commitment));
    }

    function _same(string memory left, string calldata right) private pure returns (bool) {
        return keccak256(bytes(left)) == keccak256(bytes(right));
    }

    /// @dev One spelling of each digest: 64 of the digits 0 to 9 and a to f.
    function _isSha256(bytes calldata digits) private pure returns (bool) {
        if (digits.length != 64) return false;
        for (uint256 i = 0; i < 64; ++i) {
            bytes1 digit = digits[i];
            if (!(digit >= "0" && digit <= "9") && !(digit >= "a" && digit <= "f")) return false;
        }
        return true;
    }
}
