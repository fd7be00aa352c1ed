// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @notice Valid Groth16 proofs of nothing, by a key's known trapdoor: test/chain/simulated.ts in Solidity, for the key of
///         generated/Golden2.sol.
library SimulatedProof {
    Vm private constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    uint256 internal constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;
    uint256 internal constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// @dev B is the generator of G2, A = a · G1, and C = (a - alpha · beta - vk_x · gamma) / delta · G1.
    function prove(uint256[] memory signals, uint256 a) internal view returns (uint256[8] memory proof) {
        uint256 vkx = _scalar("ic/0");
        for (uint256 i = 0; i < signals.length; ++i) {
            vkx = addmod(vkx, mulmod(signals[i], _scalar(string.concat("ic/", vm.toString(i + 1))), R), R);
        }
        uint256 known = addmod(mulmod(_scalar("alpha"), _scalar("beta"), R), mulmod(vkx, _scalar("gamma"), R), R);
        uint256 c = mulmod(addmod(a, R - known, R), _invert(_scalar("delta")), R);
        (proof[0], proof[1]) = times(a);
        proof[2] = 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
        proof[3] = 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
        proof[4] = 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b;
        proof[5] = 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa;
        (proof[6], proof[7]) = times(c);
    }

    /// @notice scalar · G1
    function times(uint256 scalar) internal view returns (uint256 x, uint256 y) {
        (bool ok, bytes memory point) = address(7).staticcall(abi.encode(1, 2, scalar));
        require(ok, "ecMul");
        (x, y) = abi.decode(point, (uint256, uint256));
    }

    function _scalar(string memory label) private pure returns (uint256) {
        return uint256(keccak256(bytes(string.concat("key/2/", label)))) % (R - 1) + 1;
    }

    function _invert(uint256 value) private view returns (uint256) {
        (bool ok, bytes memory inverse) =
            address(5).staticcall(abi.encode(uint256(32), uint256(32), uint256(32), value, R - 2, R));
        require(ok, "modexp");
        return abi.decode(inverse, (uint256));
    }
}
