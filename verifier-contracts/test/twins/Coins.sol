// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice An ERC-20 that behaves, but for what its switches say: every way in which tokens are known to misbehave.
contract Coin {
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    uint256 public feeBps; // kept out of what the recipient gets
    uint256 public surcharge; // taken from the sender on top
    bool public silent; // returns no data, as USDT
    bool public refuses; // returns false without moving anything
    address public target; // called in the middle of each transfer
    bytes public again;
    bool public reentered;
    bytes4 public refusal;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    /// @notice A rebase.
    function burn(address account, uint256 amount) external {
        balanceOf[account] -= amount;
    }

    function misbehave(uint256 feeBps_, uint256 surcharge_, bool silent_, bool refuses_) external {
        feeBps = feeBps_;
        surcharge = surcharge_;
        silent = silent_;
        refuses = refuses_;
    }

    function arm(address target_, bytes calldata again_) external {
        target = target_;
        again = again_;
        reentered = false;
        refusal = 0;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    /// @notice Anything, as this contract: it can be a user of what it attacks.
    function call(address to, bytes calldata data) external {
        (bool ok, bytes memory result) = to.call(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        if (!refuses) allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        if (refuses) return false;
        balanceOf[from] -= amount + surcharge;
        if (target != address(0)) {
            (bool ok, bytes memory result) = target.call(again);
            reentered = ok;
            refusal = bytes4(result);
        }
        balanceOf[to] += amount - amount * feeBps / 10_000;
        if (silent) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return true;
    }
}
