// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IVerifierRegistry} from "../verifier/IVerifierRegistry.sol";
import {Epochs} from "./Epochs.sol";

/// @notice What a quorum is deployed with, for good; only the owner can hand its office on.
struct QuorumParameters {
    address owner; // sets epochs
    IVerifierRegistry registry; // whose verifiers say that a proof is bad
    address treasury; // receives of slashed bonds what reporters do not
    uint256 minimumBond; // in wei, of every member when its epoch is set; 0 on chain 31337 only
    uint256 unbondingDelay; // seconds between asking for a bond and getting it; longer than the dispute window
    uint256 disputeWindow; // seconds after an account's last epoch during which its bond stays where it is
    uint16 slashBps; // of all that an account has here, for each offence
    uint16 reporterBps; // of what is slashed, for whoever shows it; at most half
    uint256 reporterCap; // the most that one report pays, in wei
}

/// @notice One account's money here.
struct Bond {
    uint96 bonded; // what counts for {Bonds.minimumBond}
    uint96 unbonding; // asked back; still slashable
    uint64 lastEpoch; // the newest epoch that the account was a member of; 0 for none
    uint64 releaseAt; // when what is unbonding can be taken out at the earliest
}

/// @title Bonds
/// @notice The members' bonds in the chain's own currency, and what becomes of them.
/// @dev Money leaves only when its owner fetches it. For every wei here somebody is on record: the bonds, what is
///      unbonding and what is owed add up to the balance (a balance forced upon the contract by other means is
///      nobody's, and stays).
///
///      What is unbonding can be slashed until it is out. As the delay is longer than the dispute window, evidence of a
///      vote that was cast before the request is in time as long as it comes within the window. A member of the current
///      epoch keeps at least the minimum here, whatever it asks for; of one that left, nothing leaves before the
///      dispute window after its last epoch is over. Slashing may take a member below the minimum: its votes
///      count until the owner sets an epoch without it, and meanwhile nothing of it leaves.
abstract contract Bonds is Epochs, ReentrancyGuardTransient {
    uint256 private constant _DEVELOPMENT_CHAIN = 31337;
    uint256 private constant _BPS = 10_000;

    /// @notice Bounds of the dispute window and the delay: not so short that nobody can answer, nor so long that a bond is
    ///         as good as gone.
    uint256 public constant MIN_DISPUTE_WINDOW = 1 hours;
    uint256 public constant MAX_UNBONDING_DELAY = 365 days;

    /// @notice Most of what is slashed that can go to the reporter. A member that reports itself, which nothing can
    ///         prevent, loses the rest all the same: at least half.
    uint256 public constant MAX_REPORTER_BPS = 5_000;

    address public immutable treasury;
    uint256 public immutable minimumBond;
    uint256 public immutable unbondingDelay;
    uint256 public immutable disputeWindow;
    uint256 public immutable slashBps;
    uint256 public immutable reporterBps;
    uint256 public immutable reporterCap;

    mapping(address account => Bond) public bonds;

    /// @notice What an account can {withdraw}, in wei: rewards of reporters, and the treasury's share.
    mapping(address account => uint256) public owed;

    /// @notice Offences that were slashed; each is once.
    mapping(bytes32 offence => bool) public slashed;

    event Bonded(address indexed account, uint256 amount);
    event UnbondRequested(address indexed account, uint256 amount, uint256 releaseAt);
    event UnbondCancelled(address indexed account, uint256 amount);
    event Unbonded(address indexed account, uint256 amount);
    event Slashed(
        address indexed member, address indexed reporter, bytes32 indexed offence, uint256 amount, uint256 reward
    );
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    error TreasuryInvalid(address treasury);
    error MinimumBondInvalid(uint256 minimumBond);
    error DisputeWindowInvalid(uint256 disputeWindow);
    error UnbondingDelayInvalid(uint256 unbondingDelay, uint256 disputeWindow);
    error SlashBpsInvalid(uint256 slashBps);
    error ReporterBpsInvalid(uint256 reporterBps);
    error AmountZero();
    error BondTooLarge(uint256 bond);
    error BondTooSmall(uint256 bonded, uint256 needed);
    error MemberBondTooSmall(address member, uint256 bonded, uint256 needed);
    error NothingUnbonding(address account);
    error UnbondingNotOver(uint256 releaseAt, uint256 timestamp);
    error DisputeWindowOpen(uint256 until, uint256 timestamp);
    error NothingBonded(address account);
    error AlreadySlashed(bytes32 offence);
    error NothingOwed(address account);
    error RecipientZero();
    error TransferFailed(address to, uint256 amount);

    constructor(QuorumParameters memory parameters) {
        if (parameters.treasury == address(0) || parameters.treasury == address(this)) {
            revert TreasuryInvalid(parameters.treasury);
        }
        // Votes without a stake behind them are for development, like keys without a ceremony.
        if (
            parameters.minimumBond > type(uint96).max
                || (parameters.minimumBond == 0 && block.chainid != _DEVELOPMENT_CHAIN)
        ) {
            revert MinimumBondInvalid(parameters.minimumBond);
        }
        if (parameters.disputeWindow < MIN_DISPUTE_WINDOW) revert DisputeWindowInvalid(parameters.disputeWindow);
        if (parameters.unbondingDelay <= parameters.disputeWindow || parameters.unbondingDelay > MAX_UNBONDING_DELAY) {
            revert UnbondingDelayInvalid(parameters.unbondingDelay, parameters.disputeWindow);
        }
        if (parameters.slashBps == 0 || parameters.slashBps > _BPS) revert SlashBpsInvalid(parameters.slashBps);
        if (parameters.reporterBps > MAX_REPORTER_BPS) revert ReporterBpsInvalid(parameters.reporterBps);
        treasury = parameters.treasury;
        minimumBond = parameters.minimumBond;
        unbondingDelay = parameters.unbondingDelay;
        disputeWindow = parameters.disputeWindow;
        slashBps = parameters.slashBps;
        reporterBps = parameters.reporterBps;
        reporterCap = parameters.reporterCap;
    }

    /// @notice Adds what is sent along to the caller's bond.
    function bond() external payable {
        if (msg.value == 0) revert AmountZero();
        Bond storage own = bonds[msg.sender];
        uint256 bonded = own.bonded + msg.value;
        // With what is unbonding, so that cancelling fits too.
        if (bonded + own.unbonding > type(uint96).max) revert BondTooLarge(bonded + own.unbonding);
        own.bonded = uint96(bonded); // forge-lint: disable-line(unsafe-typecast) -- checked above
        emit Bonded(msg.sender, msg.value);
    }

    /// @notice Asks for some of the caller's bond. It stays slashable until it is taken out, and it no longer counts for the
    ///         next epoch's minimum, so this is how a member leaves: whoever does not hold the minimum cannot be put into
    ///         a set. A further request adds to the one before, and the delay starts again for both.
    function requestUnbond(uint256 amount) external {
        if (amount == 0) revert AmountZero();
        Bond storage own = bonds[msg.sender];
        if (amount > own.bonded) revert BondTooSmall(own.bonded, amount);
        uint256 releaseAt = block.timestamp + unbondingDelay;
        // forge-lint: disable-start(unsafe-typecast) -- not above what is bonded; seconds
        own.bonded -= uint96(amount);
        own.unbonding += uint96(amount);
        own.releaseAt = uint64(releaseAt);
        // forge-lint: disable-end(unsafe-typecast)
        emit UnbondRequested(msg.sender, amount, releaseAt);
    }

    /// @notice Bonds again all that the caller has asked for.
    function cancelUnbond() external {
        Bond storage own = bonds[msg.sender];
        uint96 amount = own.unbonding;
        if (amount == 0) revert NothingUnbonding(msg.sender);
        own.bonded += amount;
        own.unbonding = 0;
        own.releaseAt = 0;
        emit UnbondCancelled(msg.sender, amount);
    }

    /// @notice Pays out what the caller asked for, or what slashing left of it: after the delay, and
    ///         - while it is a member: when the rest is still the minimum;
    ///         - after that: when the dispute window after its last epoch is over.
    function completeUnbond() external nonReentrant returns (uint256 amount) {
        Bond storage own = bonds[msg.sender];
        amount = own.unbonding;
        if (amount == 0) revert NothingUnbonding(msg.sender);
        if (block.timestamp < own.releaseAt) revert UnbondingNotOver(own.releaseAt, block.timestamp);
        if (isMember(msg.sender)) {
            if (own.bonded < minimumBond) revert BondTooSmall(own.bonded, minimumBond);
        } else if (own.lastEpoch != 0) {
            uint256 until = endOf(own.lastEpoch) + disputeWindow;
            if (block.timestamp < until) revert DisputeWindowOpen(until, block.timestamp);
        }
        own.unbonding = 0;
        own.releaseAt = 0;
        emit Unbonded(msg.sender, amount);
        _pay(msg.sender, amount);
    }

    /// @notice Pays out all that the caller is owed.
    /// @param to for callers that cannot be paid themselves
    function withdraw(address to) external nonReentrant returns (uint256 amount) {
        if (to == address(0)) revert RecipientZero();
        amount = owed[msg.sender];
        if (amount == 0) revert NothingOwed(msg.sender);
        owed[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        _pay(to, amount);
    }

    /// @notice Whether an account is a member of the current epoch, and that epoch has not ended.
    function isMember(address account) public view returns (bool) {
        uint64 last = bonds[account].lastEpoch;
        (uint64 current, uint64 end) = _newestEpoch();
        return last != 0 && last == current && block.timestamp < end;
    }

    function _enter(address member, uint64 epoch_) internal override {
        Bond storage own = bonds[member];
        if (own.bonded < minimumBond) revert MemberBondTooSmall(member, own.bonded, minimumBond);
        own.lastEpoch = epoch_;
    }

    /// @dev Takes {slashBps} of all that a member has here, the bonded part first, so that what remains of a member stays
    ///      while it is one. The caller of the transaction is the reporter: whoever copies a report from the mempool and is
    ///      included first gets the reward, which costs the first reporter that and the quorum nothing.
    ///      An account without money cannot be slashed, and its offence is not used up.
    function _slash(address member, bytes32 offence) internal {
        if (slashed[offence]) revert AlreadySlashed(offence);
        slashed[offence] = true;
        Bond storage own = bonds[member];
        uint256 stake = uint256(own.bonded) + own.unbonding;
        if (stake == 0) revert NothingBonded(member);
        // Rounded up: never zero, and never more than there is.
        uint256 amount = Math.ceilDiv(stake * slashBps, _BPS);
        uint256 first = Math.min(amount, own.bonded);
        // forge-lint: disable-start(unsafe-typecast) -- at most what is taken from
        own.bonded -= uint96(first);
        own.unbonding -= uint96(amount - first);
        // forge-lint: disable-end(unsafe-typecast)
        uint256 reward = Math.min(amount * reporterBps / _BPS, reporterCap);
        owed[msg.sender] += reward;
        owed[treasury] += amount - reward;
        emit Slashed(member, msg.sender, offence, amount, reward);
    }

    function _pay(address to, uint256 amount) private {
        (bool paid,) = to.call{value: amount}("");
        if (!paid) revert TransferFailed(to, amount);
    }
}
