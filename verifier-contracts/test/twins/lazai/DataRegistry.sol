// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {DataAnchoringToken} from "./DataAnchoringToken.sol";
import {Maintained, RoleKeeper} from "./Maintained.sol";
import {VerifiedComputing} from "./VerifiedComputing.sol";

/// @notice Test twin of LazAI's DataRegistry: same interface and behaviour, defects included, without the proxy.
contract DataRegistry is RoleKeeper {
    struct ProofData {
        uint256 id;
        uint256 score;
        string fileUrl;
        string proofUrl;
    }

    struct Proof {
        bytes signature;
        ProofData data;
    }

    struct Permission {
        address account;
        string key;
    }

    struct FileResponse {
        uint256 id;
        address ownerAddress;
        string url;
        string hash;
        uint256 proofIndex;
        uint256 rewardAmount;
    }

    struct File {
        address ownerAddress;
        string url;
        string hash;
        uint256 proofIndex;
        uint256 proofsCount;
        uint256 rewardAmount;
        mapping(uint256 index => Proof) proofs;
        mapping(address account => string) permissions;
    }

    string public name;
    string public publicKey;
    uint256 public filesCount;
    DataAnchoringToken public token;
    VerifiedComputing public verifiedComputing;
    mapping(uint256 fileId => File) private _files;
    mapping(bytes32 urlHash => uint256) private _byUrl;

    event FileAdded(uint256 indexed fileId, address indexed ownerAddress, string url);
    event ProofAdded(uint256 indexed fileId, address indexed ownerAddress, uint256 proofIndex, string proofUrl);
    event PermissionGranted(uint256 indexed fileId, address indexed account);
    event RewardRequested(
        address indexed contributorAddress, uint256 indexed fileId, uint256 indexed proofIndex, uint256 rewardAmount
    );
    event PublicKeyUpdated(string newPublicKey);
    event TokenUpdated(address newToken);
    event VerifiedComputingUpdated(address newVerifiedComputing);

    error NotFileOwner();
    error FileUrlAlreadyUsed();
    error FileNotFound();
    error FileAlreadyRewarded();
    error NoPermission();
    error InvalidUrl();
    error InvalidAttestator(bytes32 messageHash, bytes signature, address signer);

    constructor(
        address owner,
        DataAnchoringToken token_,
        VerifiedComputing verifiedComputing_,
        string memory name_,
        string memory publicKey_
    ) Maintained(owner) {
        token = token_;
        verifiedComputing = verifiedComputing_;
        name = name_;
        publicKey = publicKey_;
    }

    function addFile(string memory url, string memory hash) external whenNotPaused returns (uint256) {
        return _addFile(url, hash, msg.sender);
    }

    /// @dev As deployed: the owner is whom the caller names.
    function addFileWithPermissions(
        string memory url,
        string memory hash,
        address ownerAddress,
        Permission[] memory permissions
    ) external whenNotPaused returns (uint256) {
        return _addFileWithPermissions(url, hash, ownerAddress, permissions);
    }

    function addPermissionForFile(uint256 fileId, address account, string memory key) external whenNotPaused {
        if (msg.sender != _files[fileId].ownerAddress) revert NotFileOwner();
        _grant(fileId, account, key);
    }

    function addFileAndRequestProof(
        string memory url,
        string memory hash,
        address ownerAddress,
        Permission[] memory permissions
    ) external payable whenNotPaused returns (uint256 fileId) {
        fileId = _addFileWithPermissions(url, hash, ownerAddress, permissions);
        verifiedComputing.requestProof{value: msg.value}(fileId);
    }

    /// @dev As deployed: anybody may add any proof to any file.
    function addProof(uint256 fileId, Proof memory proof) external whenNotPaused {
        File storage file = _files[fileId];
        uint256 index = ++file.proofsCount;
        file.proofs[index] = proof;
        emit ProofAdded(fileId, file.ownerAddress, index, proof.data.proofUrl);
    }

    /// @dev As deployed: neither `proof.data.id` nor `proof.data.fileUrl` is compared with the file, nothing binds the
    ///      signature to this contract or chain, and a file whose reward was 0 counts as not rewarded.
    function requestReward(uint256 fileId, uint256 proofIndex) external whenNotPaused nonReentrant {
        File storage file = _files[fileId];
        Proof memory proof = file.proofs[proofIndex];
        if (file.rewardAmount != 0) revert FileAlreadyRewarded();
        bytes32 messageHash = keccak256(abi.encode(proof.data));
        address signer = ECDSA.recover(MessageHashUtils.toEthSignedMessageHash(messageHash), proof.signature);
        if (!verifiedComputing.isNode(signer)) revert InvalidAttestator(messageHash, proof.signature, signer);
        file.proofIndex = proofIndex;
        file.rewardAmount = proof.data.score;
        token.mint(file.ownerAddress, file.rewardAmount, file.url, true);
        emit RewardRequested(file.ownerAddress, fileId, proofIndex, file.rewardAmount);
    }

    function getFile(uint256 fileId) external view returns (FileResponse memory) {
        File storage file = _files[fileId];
        return FileResponse({
            id: fileId,
            ownerAddress: file.ownerAddress,
            url: file.url,
            hash: file.hash,
            proofIndex: file.proofIndex,
            rewardAmount: file.rewardAmount
        });
    }

    function getFileIdByUrl(string memory url) external view returns (uint256) {
        return _byUrl[keccak256(bytes(url))];
    }

    function getFileProof(uint256 fileId, uint256 index) external view returns (Proof memory) {
        return _files[fileId].proofs[index];
    }

    function getFilePermission(uint256 fileId, address account) external view returns (string memory) {
        return _files[fileId].permissions[account];
    }

    function updatePublicKey(string calldata newPublicKey) external onlyRole(DEFAULT_ADMIN_ROLE) {
        publicKey = newPublicKey;
        emit PublicKeyUpdated(newPublicKey);
    }

    function updateToken(address newToken) external onlyRole(DEFAULT_ADMIN_ROLE) {
        token = DataAnchoringToken(newToken);
        emit TokenUpdated(newToken);
    }

    function updateVerifiedComputing(address newVerifiedComputing) external onlyRole(DEFAULT_ADMIN_ROLE) {
        verifiedComputing = VerifiedComputing(newVerifiedComputing);
        emit VerifiedComputingUpdated(newVerifiedComputing);
    }

    function _addFile(string memory url, string memory hash, address ownerAddress) private returns (uint256 fileId) {
        bytes32 urlHash = keccak256(bytes(url));
        if (_byUrl[urlHash] != 0) revert FileUrlAlreadyUsed();
        fileId = ++filesCount;
        _byUrl[urlHash] = fileId;
        File storage file = _files[fileId];
        file.ownerAddress = ownerAddress;
        file.url = url;
        file.hash = hash;
        emit FileAdded(fileId, ownerAddress, url);
    }

    function _addFileWithPermissions(
        string memory url,
        string memory hash,
        address ownerAddress,
        Permission[] memory permissions
    ) private returns (uint256 fileId) {
        fileId = _addFile(url, hash, ownerAddress);
        for (uint256 i = 0; i < permissions.length; ++i) {
            _grant(fileId, permissions[i].account, permissions[i].key);
        }
    }

    function _grant(uint256 fileId, address account, string memory key) private {
        _files[fileId].permissions[account] = key;
        emit PermissionGranted(fileId, account);
    }
}
