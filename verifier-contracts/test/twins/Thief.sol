// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Calls back whoever pays it coins, with whatever it was told, once.
contract Thief {
    address private immutable _target;
    bytes private _again;
    bool public refuses;
    uint256 public attempts;
    bool public succeeded;
    bytes4 public refusal;

    error Refused();

    constructor(address target) {
        _target = target;
    }

    receive() external payable {
        if (refuses) revert Refused();
        if (_again.length == 0 || attempts != 0) return;
        ++attempts;
        (bool ok, bytes memory result) = _target.call(_again);
        succeeded = ok;
        refusal = bytes4(result);
    }

    function arm(bytes calldata again, bool refuses_) external {
        _again = again;
        refuses = refuses_;
        attempts = 0;
    }

    function run(bytes calldata call) external payable {
        (bool ok, bytes memory result) = _target.call{value: msg.value}(call);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }
}
