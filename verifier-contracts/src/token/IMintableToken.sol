// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Asset} from "../gate/Statements.sol";
import {IDataAnchoringToken} from "./IDataAnchoringToken.sol";

/// @title IMintableToken
/// @notice What the gate alone may do with the token.
interface IMintableToken is IDataAnchoringToken {
    /// @notice Mints the whole supply of a new asset to its creator.
    function mint(address creator, Asset calldata asset) external returns (uint256 id);

    /// @notice Takes back an asset's `verified`, for good.
    function revoke(uint256 id, string calldata reason) external;
}
