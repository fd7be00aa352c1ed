// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Certificate} from "../../src/quorum/IQuorum.sol";
import {Ballot, Quorum, QuorumParameters, Seat} from "../../src/quorum/Quorum.sol";
import {IVerifierRegistry} from "../../src/verifier/IVerifierRegistry.sol";
import {EntriesTwin} from "../twins/EntriesTwin.sol";
import {Test} from "./Test.sol";

/// @notice A quorum with seven bonded members in its first epoch, and their votes.
abstract contract QuorumTest is Test {
    uint256 internal constant MINIMUM = 1 ether;
    uint256 internal constant BOND = 10 ether;
    uint256 internal constant DELAY = 14 days;
    uint256 internal constant WINDOW = 7 days;
    address internal constant TREASURY = address(0x7ea5);
    uint64 internal constant EPOCH = 1;
    uint256 internal constant MEMBERS = 7;

    EntriesTwin internal _registry;
    Quorum internal _quorum;

    /// @dev Secrets of the members, in ascending order of account.
    uint256[] internal _secrets;
    uint96[] internal _weights;

    bytes32 internal _task = keccak256("task");
    bytes32 internal _statement = keccak256("statement");
    bytes32 internal _evidence = keccak256("evidence");

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        _registry = new EntriesTwin();
        _quorum = new Quorum(_parameters());
        _secrets = _sorted(MEMBERS, "member");
        _weights = [uint96(10), 11, 12, 13, 14, 15, 16];
        for (uint256 i = 0; i < MEMBERS; ++i) {
            vm.deal(_member(i), BOND);
            vm.prank(_member(i));
            _quorum.bond{value: BOND}();
        }
        _quorum.setEpoch(EPOCH, _set());
    }

    function _parameters() internal view returns (QuorumParameters memory) {
        return QuorumParameters({
            owner: address(this),
            registry: IVerifierRegistry(address(_registry)),
            treasury: TREASURY,
            minimumBond: MINIMUM,
            unbondingDelay: DELAY,
            disputeWindow: WINDOW,
            slashBps: 5_000,
            reporterBps: 1_000,
            reporterCap: 0.3 ether
        });
    }

    function _member(uint256 index) internal view returns (address) {
        return vm.addr(_secrets[index]);
    }

    /// @dev The set of all members.
    function _set() internal view returns (bytes memory) {
        return _pack(_secrets, _weights);
    }

    function _pack(uint256[] memory secrets, uint96[] memory weights) internal pure returns (bytes memory packed) {
        for (uint256 i = 0; i < secrets.length; ++i) {
            packed = bytes.concat(packed, bytes20(vm.addr(secrets[i])), bytes12(weights[i]));
        }
    }

    /// @dev Secrets from a label, sorted by account.
    function _sorted(uint256 count, string memory label) internal pure returns (uint256[] memory secrets) {
        secrets = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 secret = uint256(keccak256(abi.encode(label, i)));
            uint256 j = i;
            for (; j > 0 && vm.addr(secrets[j - 1]) > vm.addr(secret); --j) {
                secrets[j] = secrets[j - 1];
            }
            secrets[j] = secret;
        }
    }

    /// @dev A signature of 64 bytes (ERC-2098).
    function _sign(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return bytes.concat(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /// @dev The certificate of all members in `bitmap` for the tests' own subject.
    function _certificate(uint256 bitmap) internal view returns (Certificate memory) {
        bytes32 digest = _quorum.voteDigest(EPOCH, _task, 0, _statement, _evidence, 1);
        return
            Certificate({
                epoch: EPOCH, round: 0, bitmap: bitmap, members: _set(), signatures: _signatures(digest, bitmap)
            });
    }

    function _signatures(bytes32 digest, uint256 bitmap) internal view returns (bytes memory signatures) {
        for (uint256 i = 0; i < _secrets.length; ++i) {
            if ((bitmap >> i) & 1 == 1) signatures = bytes.concat(signatures, _sign(_secrets[i], digest));
        }
    }

    function _check(Certificate memory certificate) internal view {
        _quorum.check(_task, _statement, _evidence, 1, certificate);
    }

    function _seat(uint256 index) internal view returns (Seat memory) {
        return Seat({epoch: EPOCH, index: index, members: _set()});
    }

    /// @dev An unsigned vote, signed by a member in this round of the tests' task.
    function _signed(uint256 index, uint32 round, Ballot memory ballot) internal view returns (Ballot memory) {
        bytes32 digest = _digest(round, ballot.statementDigest, ballot.evidenceDigest, ballot.verdict);
        ballot.signature = _sign(_secrets[index], digest);
        return ballot;
    }

    function _digest(uint32 round, bytes32 statement, bytes32 evidence, uint8 verdict) internal view returns (bytes32) {
        return _quorum.voteDigest(EPOCH, _task, round, statement, evidence, verdict);
    }

    /// @dev Two votes of a member in this round, for and against the same.
    function _conflict(uint256 index, uint32 round) internal view returns (Ballot memory one, Ballot memory other) {
        one = _signed(index, round, Ballot(_statement, _evidence, 1, ""));
        other = _signed(index, round, Ballot(_statement, _evidence, 2, ""));
    }

    function _slash(uint256 index, uint32 round) internal {
        _slashAs(address(this), index, round);
    }

    function _slashAs(address reporter, uint256 index, uint32 round) internal {
        (Ballot memory one, Ballot memory other) = _conflict(index, round);
        Seat memory seat = _seat(index);
        vm.prank(reporter);
        _quorum.slashEquivocation(seat, _task, round, one, other);
    }

    /// @dev All that an account has in the quorum's bonds.
    function _stake(address account) internal view returns (uint256) {
        (uint96 bonded, uint96 unbonding,,) = _quorum.bonds(account);
        return uint256(bonded) + unbonding;
    }
}
