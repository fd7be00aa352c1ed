// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ballot, Quorum, Seat} from "../src/quorum/Quorum.sol";
import {EntriesTwin} from "./twins/EntriesTwin.sol";
import {QuorumTest} from "./base/QuorumTest.sol";
import {Test} from "./base/Test.sol";

/// @notice Does at random what members, outsiders, reporters, the treasury and the owner can do, and keeps its own books.
contract QuorumHandler is Test {
    bytes32 private constant _TASK = keccak256("task");
    bytes32 private constant _STATEMENT = keccak256("statement");
    bytes32 private constant _EVIDENCE = keccak256("evidence");

    Quorum private immutable _quorum;
    address private immutable _treasury;
    uint256 private immutable _window;

    /// @notice Members to be, in ascending order of account, and their secrets.
    address[] public actors;
    uint256[] private _secrets;

    uint256 public bonded; // ever, by all
    uint256 public unbonded; // ever, to all
    uint256 public slashed; // ever, of all
    uint256 public withdrawn; // ever, by all
    mapping(address => uint256) public bondedBy;
    mapping(address => uint256) public slashedOf;

    /// @notice Whether an account was slashed since it was last put into a set.
    mapping(address => bool) public slashedSince;

    /// @notice What must never have happened, in words; empty while it has not.
    string public fault;

    /// @notice How often each kind of action went through: an invariant over nothing holds too.
    mapping(string kind => uint256) public done;

    uint64 private _epoch;
    mapping(uint64 => bytes) private _sets;
    mapping(address => uint64) private _lastEpoch;
    mapping(uint64 => uint256) private _ended;
    uint32 private _round;

    constructor(Quorum quorum, address treasury, uint256 window, uint256[] memory secrets) {
        _quorum = quorum;
        _treasury = treasury;
        _window = window;
        _secrets = secrets;
        for (uint256 i = 0; i < secrets.length; ++i) {
            actors.push(vm.addr(secrets[i]));
        }
    }

    function count() external view returns (uint256) {
        return actors.length;
    }

    function bond(uint256 who, uint256 amount) external {
        address actor = _actor(who);
        amount = bound(amount, 1, 20 ether);
        vm.deal(actor, amount);
        vm.prank(actor);
        _quorum.bond{value: amount}();
        bonded += amount;
        bondedBy[actor] += amount;
        ++done["bond"];
    }

    function requestUnbond(uint256 who, uint256 amount) external {
        address actor = _actor(who);
        (uint96 own,,,) = _quorum.bonds(actor);
        if (own == 0) return;
        vm.prank(actor);
        _quorum.requestUnbond(bound(amount, 1, own));
        ++done["request"];
    }

    function cancelUnbond(uint256 who) external {
        address actor = _actor(who);
        (, uint96 unbonding,,) = _quorum.bonds(actor);
        if (unbonding == 0) return;
        vm.prank(actor);
        _quorum.cancelUnbond();
        ++done["cancel"];
    }

    function completeUnbond(uint256 who) external {
        address actor = _actor(who);
        uint256 before = actor.balance;
        vm.prank(actor);
        try _quorum.completeUnbond() returns (uint256 amount) {
            unbonded += amount;
            ++done["complete"];
            if (actor.balance - before != amount) fault = "paid another amount than it said";
            uint64 last = _lastEpoch[actor];
            if (last != 0 && last != _epoch && block.timestamp < _ended[last] + _window) {
                fault = "left within the window after the last epoch";
            }
            (uint96 rest,,,) = _quorum.bonds(actor);
            if (_quorum.isMember(actor) && rest < _quorum.minimumBond()) fault = "a member left the minimum";
        } catch {}
    }

    /// @dev Of a random past epoch, by a random reporter, who may be the member.
    function slash(uint256 who, uint256 when, uint256 by) external {
        if (_epoch == 0) return;
        uint64 epoch = uint64(bound(when, 1, _epoch));
        Seat memory seat = Seat({epoch: epoch, index: 0, members: _sets[epoch]});
        seat.index = bound(who, 0, seat.members.length / 32 - 1);
        uint256 place = 0;
        while (bytes20(_slice(seat.members, seat.index)) != bytes20(actors[place])) ++place;
        address reporter = _actor(by);
        _slash(seat, place, reporter);
    }

    function withdraw(uint256 who, bool treasury) external {
        address account = treasury ? _treasury : _actor(who);
        if (_quorum.owed(account) == 0) return;
        vm.prank(account);
        withdrawn += _quorum.withdraw(account);
        ++done["withdraw"];
    }

    function setEpoch(uint256 seed) external {
        bytes memory set = "";
        uint96 weight = 0;
        for (uint256 i = 0; i < actors.length; ++i) {
            ++weight;
            (uint96 own,,,) = _quorum.bonds(actors[i]);
            if (own < _quorum.minimumBond() || (seed >> i) & 1 == 0) continue;
            set = bytes.concat(set, bytes20(actors[i]), bytes12(weight));
        }
        if (set.length == 0) return;
        uint256 end = _quorum.endOf(_epoch);
        _ended[_epoch] = block.timestamp < end ? block.timestamp : end;
        ++_epoch;
        _quorum.setEpoch(_epoch, set);
        _sets[_epoch] = set;
        for (uint256 i = 0; i < set.length / 32; ++i) {
            address member = address(bytes20(_slice(set, i)));
            _lastEpoch[member] = _epoch;
            slashedSince[member] = false;
        }
        ++done["epoch"];
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1 hours, 10 days));
        ++done["wait"];
    }

    function _slash(Seat memory seat, uint256 place, address reporter) private {
        address member = actors[place];
        (uint96 own, uint96 unbonding,,) = _quorum.bonds(member);
        uint256 stake = uint256(own) + unbonding;
        uint32 round = _round++;
        Ballot memory one = _vote(seat.epoch, round, 1, _secrets[place]);
        Ballot memory other = _vote(seat.epoch, round, 2, _secrets[place]);
        vm.prank(reporter);
        try _quorum.slashEquivocation(seat, _TASK, round, one, other) {
            (own, unbonding,,) = _quorum.bonds(member);
            uint256 amount = stake - (uint256(own) + unbonding);
            if (amount == 0) fault = "slashed nothing";
            slashed += amount;
            slashedOf[member] += amount;
            slashedSince[member] = true;
            ++done["slash"];
        } catch {
            if (stake != 0) fault = "an offence with a stake was not slashed";
        }
    }

    function _vote(uint64 epoch, uint32 round, uint8 verdict, uint256 secret) private view returns (Ballot memory) {
        bytes32 digest = _quorum.voteDigest(epoch, _TASK, round, _STATEMENT, _EVIDENCE, verdict);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        bytes memory signature = bytes.concat(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
        return Ballot(_STATEMENT, _EVIDENCE, verdict, signature);
    }

    function _actor(uint256 who) private view returns (address) {
        return actors[who % actors.length];
    }

    function _slice(bytes memory set, uint256 index) private pure returns (bytes32 member) {
        assembly ("memory-safe") {
            member := mload(add(add(set, 0x20), shl(5, index)))
        }
    }
}

/// @notice What holds of the bonds whatever anybody does.
contract QuorumInvariants is QuorumTest {
    QuorumHandler private _handler;

    function setUp() public override {
        vm.warp(1_800_000_000);
        _registry = new EntriesTwin();
        _quorum = new Quorum(_parameters());
        _handler = new QuorumHandler(_quorum, TREASURY, WINDOW, _sorted(6, "actor"));
        _quorum.transferOwnership(address(_handler));
        vm.prank(address(_handler));
        _quorum.acceptOwnership();
        targetContract(address(_handler));
    }

    /// @dev One invariant, so that one run of the handler serves all of them.
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_Bonds() public view {
        _everyWeiIsSomebodys();
        _slashedIsAtMostBonded();
        _membersHoldTheMinimumButForSlashing();
        assertEq(keccak256(bytes(_handler.fault())), keccak256(""), _handler.fault());
    }

    /// @dev An invariant over nothing holds too: in some hundred random actions each kind goes through.
    function test_TheHandlerDoesEverything() public {
        for (uint256 i = 0; i < 600; ++i) {
            uint256 random = uint256(keccak256(abi.encode(i)));
            (uint256 who, uint256 amount, uint256 what) = (random >> 8, random >> 64, random % 9);
            if (what == 0) _handler.bond(who, amount);
            else if (what == 1) _handler.requestUnbond(who, amount);
            else if (what == 2) _handler.cancelUnbond(who);
            else if (what == 3) _handler.completeUnbond(who);
            else if (what == 4) _handler.slash(who, amount, random >> 128);
            else if (what == 5) _handler.withdraw(who, amount % 2 == 0);
            else if (what == 6) _handler.setEpoch(amount);
            else _handler.wait(amount);
            invariant_Bonds();
        }
        string[8] memory kinds = ["bond", "request", "cancel", "complete", "slash", "withdraw", "epoch", "wait"];
        for (uint256 i = 0; i < kinds.length; ++i) {
            assertTrue(_handler.done(kinds[i]) > 4, kinds[i]);
        }
    }

    function _everyWeiIsSomebodys() private view {
        uint256 recorded = _quorum.owed(TREASURY);
        for (uint256 i = 0; i < _handler.count(); ++i) {
            recorded += _stake(_handler.actors(i)) + _quorum.owed(_handler.actors(i));
        }
        assertEq(recorded, address(_quorum).balance, "bonds, unbonding and owed");
        assertEq(address(_quorum).balance, _handler.bonded() - _handler.unbonded() - _handler.withdrawn(), "in and out");
    }

    function _slashedIsAtMostBonded() private view {
        assertTrue(_handler.slashed() <= _handler.bonded(), "of all");
        for (uint256 i = 0; i < _handler.count(); ++i) {
            address actor = _handler.actors(i);
            assertTrue(_handler.slashedOf(actor) <= _handler.bondedBy(actor), "of each");
        }
    }

    function _membersHoldTheMinimumButForSlashing() private view {
        for (uint256 i = 0; i < _handler.count(); ++i) {
            address actor = _handler.actors(i);
            if (!_quorum.isMember(actor) || _handler.slashedSince(actor)) continue;
            assertTrue(_stake(actor) >= MINIMUM, "below the minimum");
        }
    }
}
