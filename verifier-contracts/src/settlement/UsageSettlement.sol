// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {DataAnchoringToken} from "../token/DataAnchoringToken.sol";

/// @notice What a user owes for one use of an asset, signed by the user and by the node that served it.
struct Receipt {
    address user;
    address node;
    uint256 datId;
    uint256 nonce;
    uint256 cost; // wei
    uint256 costCap; // wei; the most the user agreed to before the work
    address token; // the currency; address(0) is the chain's own, the only one taken
    uint256 parameterVersion;
    uint256 deadline; // unix seconds; the last block timestamp at which the receipt can be claimed
    uint256 usage; // units consumed; recorded, not priced here
    bytes32 requestHash;
    bytes32 responseHash;
    bytes32 evidenceDigest; // the proof or attestation behind the response; zero when there is none
}

/// @title UsageSettlement
/// @notice Users deposit, nodes claim signed receipts, and each claim is split between the asset's creator, the node and
///         the governance pool. Everyone pulls what is theirs.
/// @dev Value is conserved: Σ deposits + Σ owed equals the contract's balance (or is below it, if somebody forces coins
///      in with selfdestruct; those are nobody's). Coins leave in {_send} only, always after the books are changed, so a
///      recipient that calls back finds nothing left to take.
///
///      NOT enforced here: that the work was done. Both signatures say so, and `evidenceDigest` names what backs it.
///      Users and nodes sign with plain keys; contract wallets (ERC-1271) are not taken.
contract UsageSettlement is Ownable2Step, EIP712 {
    struct Withdrawal {
        uint256 amount;
        uint256 availableAt; // unix seconds
    }

    uint256 public constant CREATOR_BPS = 7000;
    uint256 public constant NODE_BPS = 2000;
    /// @dev What is left of 10,000 after the other two. The pool's share is computed as the remainder, so it also gets
    ///      what rounding down leaves: at most one wei from each of the other two shares.
    uint256 public constant GOVERNANCE_BPS = 1000;
    uint256 private constant _BPS = 10_000;

    uint256 public constant MIN_WITHDRAWAL_DELAY = 1 minutes;
    uint256 public constant MAX_WITHDRAWAL_DELAY = 30 days;

    bytes32 private constant _RECEIPT_TYPEHASH = keccak256(
        "Receipt(address user,address node,uint256 datId,uint256 nonce,uint256 cost,uint256 costCap,address token,uint256 parameterVersion,uint256 deadline,uint256 usage,bytes32 requestHash,bytes32 responseHash,bytes32 evidenceDigest)"
    );

    DataAnchoringToken public immutable dat;

    /// @notice Seconds between asking for a deposit back and getting it: the time nodes have to claim against it.
    uint256 public immutable withdrawalDelay;

    /// @notice The terms' version that new receipts name. Versions count up from 1.
    uint256 public parameterVersion;

    /// @notice The last block timestamp at which receipts of the version before {parameterVersion} can be claimed, in unix
    ///         seconds; 0 while there was no change. Receipts of older versions are refused.
    uint256 public previousVersionUntil;

    /// @notice Where the governance share of a version's receipts goes; zero for a version that never was.
    mapping(uint256 version => address) public poolOf;

    /// @notice What users have put in and nodes have not claimed, in wei.
    mapping(address user => uint256) public deposits;

    /// @notice What an account can {withdraw}, in wei.
    mapping(address account => uint256) public owed;

    mapping(address user => Withdrawal) public withdrawals;

    /// @notice Receipt digests that have been claimed.
    mapping(bytes32 receiptDigest => bool) public claimed;

    event Deposited(address indexed user, uint256 amount);
    event WithdrawalRequested(address indexed user, uint256 amount, uint256 availableAt);
    event WithdrawalCancelled(address indexed user);
    event DepositWithdrawn(address indexed user, uint256 amount);
    event Claimed(
        bytes32 indexed receiptDigest,
        uint256 indexed datId,
        address indexed user,
        address node,
        address creator,
        uint256 usage,
        uint256 creatorShare,
        uint256 nodeShare,
        uint256 poolShare
    );
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    event ParametersChanged(uint256 indexed version, address governancePool, uint256 previousVersionUntil);

    error AmountZero();
    error DepositTooSmall(uint256 deposit, uint256 needed);
    error WithdrawalNotRequested(address user);
    error WithdrawalTooEarly(uint256 availableAt, uint256 timestamp);
    error WithdrawalDelayInvalid(uint256 delay);
    error GovernancePoolZero();
    error GovernancePoolUnchanged(address governancePool);
    error GracePeriodRunning(uint256 until, uint256 timestamp);
    error RecipientZero();
    error NothingOwed(address account);
    error TransferFailed(address to, uint256 amount);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error CurrencyUnsupported(address token);
    error CostAboveCap(uint256 cost, uint256 costCap);
    error ParameterVersionWrong(uint256 given, uint256 current);
    error ReceiptClaimed(bytes32 receiptDigest);
    error DatUnknown(uint256 datId);
    error UserIsNode(address account);
    error UserSignatureInvalid(address user);
    error NodeSignatureInvalid(address node);

    constructor(address owner_, DataAnchoringToken dat_, address governancePool_, uint256 withdrawalDelay_)
        Ownable(owner_)
        EIP712("anchorproof", "1")
    {
        assert(CREATOR_BPS + NODE_BPS + GOVERNANCE_BPS == _BPS);
        if (withdrawalDelay_ < MIN_WITHDRAWAL_DELAY || withdrawalDelay_ > MAX_WITHDRAWAL_DELAY) {
            revert WithdrawalDelayInvalid(withdrawalDelay_);
        }
        dat = dat_;
        withdrawalDelay = withdrawalDelay_;
        // previousVersionUntil stays zero: version 0 has no pool, and must never be claimable.
        _addVersion(governancePool_);
    }

    /// @notice Changes where the governance share goes, and with it the terms' version. Receipts of the version so far can
    ///         be claimed for another {withdrawalDelay} and pay the pool that they were signed under.
    /// @dev So a change, however it is ordered against claims, takes nothing from anyone: a node has as long to claim as it
    ///      has against a user who leaves. There is no second change in that time, or two in a row would cut it short.
    ///      What the old pool is owed stays the old pool's.
    function setGovernancePool(address governancePool_) external onlyOwner {
        if (block.timestamp <= previousVersionUntil) revert GracePeriodRunning(previousVersionUntil, block.timestamp);
        // It would change nothing but the version, and so only start to void receipts.
        if (governancePool_ == poolOf[parameterVersion]) revert GovernancePoolUnchanged(governancePool_);
        previousVersionUntil = block.timestamp + withdrawalDelay;
        _addVersion(governancePool_);
    }

    /// @notice Adds to the caller's deposit. A plain transfer is refused, as it would name no one.
    function deposit() external payable {
        if (msg.value == 0) revert AmountZero();
        deposits[msg.sender] += msg.value;
        emit Deposited(msg.sender, msg.value);
    }

    /// @notice Starts taking `amount` out of the caller's deposit. A second request replaces the first and its clock.
    /// @dev The amount stays claimable until it is taken out. A node that takes on new work should count only
    ///      {securedDeposit}: for that much it has at least {withdrawalDelay} to claim.
    function requestWithdrawal(uint256 amount) external {
        if (amount == 0) revert AmountZero();
        if (amount > deposits[msg.sender]) revert DepositTooSmall(deposits[msg.sender], amount);
        uint256 availableAt = block.timestamp + withdrawalDelay;
        withdrawals[msg.sender] = Withdrawal({amount: amount, availableAt: availableAt});
        emit WithdrawalRequested(msg.sender, amount, availableAt);
    }

    function cancelWithdrawal() external {
        if (withdrawals[msg.sender].amount == 0) revert WithdrawalNotRequested(msg.sender);
        delete withdrawals[msg.sender];
        emit WithdrawalCancelled(msg.sender);
    }

    /// @notice Pays out a withdrawal that has waited long enough: what was asked for, or what claims have left of it.
    function completeWithdrawal() external {
        Withdrawal memory withdrawal = withdrawals[msg.sender];
        if (withdrawal.amount == 0) revert WithdrawalNotRequested(msg.sender);
        if (block.timestamp < withdrawal.availableAt) {
            revert WithdrawalTooEarly(withdrawal.availableAt, block.timestamp);
        }
        uint256 available = deposits[msg.sender];
        uint256 amount = withdrawal.amount < available ? withdrawal.amount : available;
        delete withdrawals[msg.sender];
        deposits[msg.sender] = available - amount;
        emit DepositWithdrawn(msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @notice What of a user's deposit no pending withdrawal can take, in wei.
    function securedDeposit(address user) external view returns (uint256) {
        uint256 pending = withdrawals[user].amount;
        uint256 available = deposits[user];
        return available > pending ? available - pending : 0;
    }

    /// @notice Settles a receipt. Anyone may send it: who gets what is in the receipt and in the asset's record.
    function claim(Receipt calldata receipt, bytes calldata userSignature, bytes calldata nodeSignature) external {
        if (block.timestamp > receipt.deadline) revert DeadlinePassed(receipt.deadline, block.timestamp);
        if (receipt.token != address(0)) revert CurrencyUnsupported(receipt.token);
        if (receipt.cost > receipt.costCap) revert CostAboveCap(receipt.cost, receipt.costCap);
        // Two signatures by one account show no agreement.
        if (receipt.user == receipt.node) revert UserIsNode(receipt.user);
        if (!_versionLive(receipt.parameterVersion)) {
            revert ParameterVersionWrong(receipt.parameterVersion, parameterVersion);
        }
        bytes32 digest = receiptDigest(receipt);
        if (claimed[digest]) revert ReceiptClaimed(digest);
        if (!_signed(receipt.user, digest, userSignature)) revert UserSignatureInvalid(receipt.user);
        if (!_signed(receipt.node, digest, nodeSignature)) revert NodeSignatureInvalid(receipt.node);
        if (!dat.exists(receipt.datId)) revert DatUnknown(receipt.datId);
        uint256 available = deposits[receipt.user];
        if (receipt.cost > available) revert DepositTooSmall(available, receipt.cost);

        claimed[digest] = true;
        deposits[receipt.user] = available - receipt.cost;
        _split(receipt, digest, dat.creatorOf(receipt.datId));
    }

    /// @notice Pays the caller everything it is owed.
    function withdraw() external returns (uint256 amount) {
        amount = _withdraw(msg.sender);
    }

    /// @notice Pays everything that the caller is owed to `to`: for creators and pools that are contracts and cannot
    ///         receive coins themselves.
    function withdrawTo(address to) external returns (uint256 amount) {
        if (to == address(0)) revert RecipientZero();
        amount = _withdraw(to);
    }

    /// @notice The EIP-712 digest that user and node both sign.
    function receiptDigest(Receipt calldata receipt) public view returns (bytes32) {
        // Every member is a static word, so the ABI encoding of the struct is its EIP-712 encodeData.
        return _hashTypedDataV4(keccak256(abi.encode(_RECEIPT_TYPEHASH, receipt)));
    }

    function _addVersion(address governancePool_) private {
        if (governancePool_ == address(0)) revert GovernancePoolZero();
        uint256 version = ++parameterVersion;
        poolOf[version] = governancePool_;
        emit ParametersChanged(version, governancePool_, previousVersionUntil);
    }

    /// @dev The current version is at least 1, so that taking one off cannot underflow; adding one to what a receipt names
    ///      could overflow.
    function _versionLive(uint256 version) private view returns (bool) {
        uint256 current = parameterVersion;
        return version == current || (version == current - 1 && block.timestamp <= previousVersionUntil);
    }

    function _withdraw(address to) private returns (uint256 amount) {
        amount = owed[msg.sender];
        if (amount == 0) revert NothingOwed(msg.sender);
        owed[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        _send(to, amount);
    }

    function _split(Receipt calldata receipt, bytes32 digest, address creator) private {
        // No overflow: the cost is at most a deposit, and so at most the chain's supply of coins.
        uint256 creatorShare = receipt.cost * CREATOR_BPS / _BPS;
        uint256 nodeShare = receipt.cost * NODE_BPS / _BPS;
        uint256 poolShare = receipt.cost - creatorShare - nodeShare;
        owed[creator] += creatorShare;
        owed[receipt.node] += nodeShare;
        owed[poolOf[receipt.parameterVersion]] += poolShare;
        emit Claimed(
            digest,
            receipt.datId,
            receipt.user,
            receipt.node,
            creator,
            receipt.usage,
            creatorShare,
            nodeShare,
            poolShare
        );
    }

    function _signed(address signer, bytes32 digest, bytes calldata signature) private pure returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }

    /// @dev All gas is passed on, so that contract accounts can receive; the books were changed before.
    function _send(address to, uint256 amount) private {
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert TransferFailed(to, amount);
    }
}
