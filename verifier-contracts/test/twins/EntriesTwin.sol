// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Entry} from "../../src/verifier/IVerifierRegistry.sol";

/// @notice A registry that has the entries that it was told, and can do nothing else.
contract EntriesTwin {
    mapping(bytes32 keyDigest => Entry) private _entries;

    function set(bytes32 keyDigest, Entry calldata entry) external {
        _entries[keyDigest] = entry;
    }

    function entryOf(bytes32 keyDigest) external view returns (Entry memory) {
        return _entries[keyDigest];
    }
}
