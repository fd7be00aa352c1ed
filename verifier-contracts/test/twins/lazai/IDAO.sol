// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Maintained, RoleKeeper} from "./Maintained.sol";

/// @notice Test twin of LazAI's IDAO: a record of addresses, and nothing else.
contract IDAO is RoleKeeper {
    string public name;
    string public description;
    address public token;
    address public verifiedComputing;
    address public settlement;

    event TokenUpdated(address newToken);
    event VerifiedComputingUpdated(address newVerifiedComputing);
    event SettlementUpdated(address newSettlement);

    constructor(
        address owner,
        address token_,
        address verifiedComputing_,
        address settlement_,
        string memory name_,
        string memory description_
    ) Maintained(owner) {
        token = token_;
        verifiedComputing = verifiedComputing_;
        settlement = settlement_;
        name = name_;
        description = description_;
    }

    function updateToken(address newToken) external onlyRole(DEFAULT_ADMIN_ROLE) {
        token = newToken;
        emit TokenUpdated(newToken);
    }

    function updateVerifiedComputing(address newVerifiedComputing) external onlyRole(DEFAULT_ADMIN_ROLE) {
        verifiedComputing = newVerifiedComputing;
        emit VerifiedComputingUpdated(newVerifiedComputing);
    }

    function updateSettlement(address newSettlement) external onlyRole(DEFAULT_ADMIN_ROLE) {
        settlement = newSettlement;
        emit SettlementUpdated(newSettlement);
    }
}
