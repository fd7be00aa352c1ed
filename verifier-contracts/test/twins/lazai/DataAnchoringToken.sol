// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";

/// @notice Test twin of LazAI's DataAnchoringToken: same interface and behaviour, defects included, without the proxy.
contract DataAnchoringToken is ERC1155, AccessControl {
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    string public constant name = "LazAI";
    string public constant symbol = "LAZAI";

    uint256 public currentTokenId;
    mapping(uint256 tokenId => string) private _urls;
    mapping(uint256 tokenId => bool) private _verified;

    event TokenMinted(address indexed to, uint256 indexed tokenId, string fileUrl);

    constructor(address admin, string memory uri_) ERC1155(uri_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(MINTER_ROLE, admin);
    }

    modifier existing(uint256 tokenId) {
        require(bytes(_urls[tokenId]).length != 0, "DataAnchoringToken: non-existent token");
        _;
    }

    /// @dev As deployed: no id is returned, and the receiver is called before the token has its url.
    function mint(address to, uint256 amount, string memory fileUrl_, bool verified_) public onlyRole(MINTER_ROLE) {
        uint256 tokenId = ++currentTokenId;
        _mint(to, tokenId, amount, "");
        _urls[tokenId] = fileUrl_;
        setTokenVerified(tokenId, verified_);
        emit TokenMinted(to, tokenId, fileUrl_);
    }

    /// @dev As deployed: the caller picks the ids, whether they exist or not, and the counter does not know of it.
    function batchMint(address to, uint256[] memory ids, uint256[] memory amounts, string[] memory fileUrls)
        public
        onlyRole(MINTER_ROLE)
    {
        require(
            ids.length == amounts.length && ids.length == fileUrls.length, "DataAnchoringToken: arrays length mismatch"
        );
        for (uint256 i = 0; i < ids.length; ++i) {
            _mint(to, ids[i], amounts[i], "");
            _urls[ids[i]] = fileUrls[i];
        }
    }

    function setTokenVerified(uint256 tokenId, bool verified_) public onlyRole(MINTER_ROLE) existing(tokenId) {
        _verified[tokenId] = verified_;
    }

    function verified(uint256 tokenId) public view existing(tokenId) returns (bool) {
        return _verified[tokenId];
    }

    function fileUrl(uint256 tokenId) public view existing(tokenId) returns (string memory) {
        return _urls[tokenId];
    }

    function setURI(string memory uri_) public {
        require(
            hasRole(MINTER_ROLE, msg.sender) || hasRole(DEFAULT_ADMIN_ROLE, msg.sender),
            "Must have one of the specified roles"
        );
        _setURI(uri_);
    }

    function supportsInterface(bytes4 interfaceId) public view override(ERC1155, AccessControl) returns (bool) {
        return ERC1155.supportsInterface(interfaceId) || AccessControl.supportsInterface(interfaceId);
    }
}
