// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IDataAnchoringToken, Royalty} from "../token/IDataAnchoringToken.sol";
import {Split} from "./Split.sol";

/// @notice What a user owes for one use of an asset, signed by the user and by the node that served it: each receipt by
///         itself, or many at once through the root of a {ReceiptBatch}.
struct Receipt {
    address user;
    address node;
    uint256 datId;
    uint256 nonce;
    uint256 cost; // in the currency's smallest unit
    uint256 costCap; // the most the user agreed to before the work
    address token; // the currency: an ERC-20, or address(0) for the chain's own
    uint256 parameterVersion;
    uint256 deadline; // unix seconds; the last block timestamp at which the receipt can be claimed
    uint256 usage; // units consumed; recorded, not priced here
    bytes32 requestHash;
    bytes32 responseHash;
    bytes32 evidenceDigest; // the proof or attestation behind the response; zero when there is none
}

/// @notice Receipts between one user and one node in one currency, signed together.
struct ReceiptBatch {
    address user;
    address node;
    address token;
    bytes32 root; // of the Merkle tree over {UsageSettlement.leafOf} each receipt's digest
    uint256 count; // the most receipts that can be claimed through this batch
    uint256 costCap; // the most that can be claimed through this batch in all
    uint256 nonce;
    uint256 deadline; // unix seconds; beside each receipt's own
}

/// @notice How costs are split. One version's never change.
struct Parameters {
    address pool; // gets poolBps, and the remainder of every division
    uint16 creatorBps;
    uint16 nodeBps;
    uint16 poolBps;
}

/// @notice Where a receipt's cost went. The five amounts add up to it.
struct Payout {
    uint256 creatorShare; // what the lineage left of it
    uint256 royalties; // to creators of ancestors
    uint256 nodeShare;
    uint256 poolShare;
    uint256 refunded; // to the user's deposit: what revoked creators did not get
}

/// @notice What a new settlement is made of.
struct SettlementParameters {
    address owner;
    IDataAnchoringToken dat;
    Parameters shares; // of version 1
    uint256 withdrawalDelay; // seconds
    uint256 parameterDelay; // seconds
}

/// @title UsageSettlement
/// @notice Users deposit, nodes claim receipts that both have signed, and each claim is split between the asset's creator,
///         the creators of what it derives from, the node and the governance pool. Everyone pulls what is theirs.
/// @dev Value is conserved in every currency by itself: Σ deposits + Σ reserved + Σ owed is what this contract holds of it.
///      (It may hold more, if somebody sends it tokens or forces coins in with selfdestruct; those are nobody's.) Money
///      leaves in {_send} only, after the books are changed and behind a re-entrancy guard.
///
///      There is no list of currencies: any ERC-20 can be deposited, and a bad one harms only those who chose it. A deposit
///      counts only if this contract's balance grows by exactly the amount, so a token that takes a fee is refused, and a
///      withdrawal only if it shrinks by no more. A token that changes balances later (a rebase) breaks its own books: what
///      it adds is nobody's, and after a cut the last to withdraw find nothing. A token's owner who can freeze or mint is the
///      affair of those who deposit it. Where the chain's own coin also has an ERC-20 face, the two are two currencies here;
///      each is backed by what came in through it.
///
///      What the owner can do: propose how later receipts are split, within {MIN_CREATOR_BPS}, {MIN_NODE_BPS} and
///      {MAX_POOL_BPS}, wait {parameterDelay}, and take a proposal back. Nothing else: no pause, no upgrade, no call that
///      moves a deposit or what is owed, and no receipt is paid other than by the version that it names.
///
///      NOT enforced here:
///      - that the work was done, or with this asset. Both signatures say so, and `evidenceDigest` names what backs it.
///      - that a nonce is signed once. It tells receipts apart that are else the same: two that differ in anything are two
///        receipts, and one that was signed is not taken back by signing another.
///      - that a deposit which is not reserved is there for one node. Nodes share it, and whoever claims first is paid first.
///        A user can also sign receipts with a second account of its own for an asset of its own, and so take out a deposit
///        without waiting, for the price of the pool's share. A node that gives credit counts on {reservedFor}.
///      - that the node is one that the creator wants, or the cost what the creator asks, but for assets with a limit of
///        uses ({setFloor}).
///      - that a limit of uses leaves one for a receipt that is signed but not claimed, or that it holds together with
///        what other settlements of the same token have counted.
///      - that nobody gains from a revocation. No party of the protocol is paid by one: what a revoked creator does not get
///        stays the user's. But a user who can have assets revoked saves that part of what it has signed for and nodes have
///        not claimed yet.
///      Users and nodes sign with plain keys; contract wallets (ERC-1271) are not taken.
contract UsageSettlement is Ownable2Step, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    struct Withdrawal {
        uint256 amount;
        uint256 availableAt; // unix seconds
    }

    struct Reservation {
        uint256 amount;
        Withdrawal release; // back into the deposit
    }

    /// @notice What has been claimed through a batch.
    struct Drawn {
        uint128 cost;
        uint128 count;
    }

    /// @dev What {IDataAnchoringToken.settlementOf} says.
    struct Asset {
        address creator;
        bool revoked;
        uint64 expiresAt;
        uint64 maxUses;
        bool derived;
    }

    /// @notice Governance cannot leave creators less than half, nodes less than a tenth, or take more than a fifth.
    uint256 public constant MIN_CREATOR_BPS = 5000;
    uint256 public constant MIN_NODE_BPS = 1000;
    uint256 public constant MAX_POOL_BPS = 2000;

    uint256 public constant MIN_WITHDRAWAL_DELAY = 1 minutes;
    uint256 public constant MAX_WITHDRAWAL_DELAY = 30 days;

    /// @notice Except on chain 31337, where any delay up to the highest will do.
    uint256 public constant MIN_PARAMETER_DELAY = 1 days;
    uint256 public constant MAX_PARAMETER_DELAY = 30 days;

    uint256 private constant _DEVELOPMENT_CHAIN = 31337;

    bytes32 private constant _RECEIPT_TYPEHASH = keccak256(
        "Receipt(address user,address node,uint256 datId,uint256 nonce,uint256 cost,uint256 costCap,address token,uint256 parameterVersion,uint256 deadline,uint256 usage,bytes32 requestHash,bytes32 responseHash,bytes32 evidenceDigest)"
    );
    bytes32 private constant _BATCH_TYPEHASH = keccak256(
        "ReceiptBatch(address user,address node,address token,bytes32 root,uint256 count,uint256 costCap,uint256 nonce,uint256 deadline)"
    );

    /// @dev Preimage: "anchorproof/receipt-leaf/1".
    bytes32 private constant _LEAF_TAG = keccak256("anchorproof/receipt-leaf/1");

    IDataAnchoringToken public immutable dat;

    /// @notice Seconds between asking for a deposit back and getting it: the time nodes have to claim against it.
    uint256 public immutable withdrawalDelay;

    /// @notice Seconds between proposing parameters and the first block that can make them count.
    uint256 public immutable parameterDelay;

    /// @notice The parameters' version that new receipts name. Versions count up from 1.
    uint256 public parameterVersion;

    /// @notice The last block timestamp at which receipts of the version before {parameterVersion} can be claimed, in unix
    ///         seconds; 0 while there was no change. Receipts of older versions are refused.
    uint256 public previousVersionUntil;

    /// @notice Parameters of each version; all zero for a version that never was.
    mapping(uint256 version => Parameters) public parametersOf;

    /// @notice What has been proposed, and the first block timestamp at which it can be activated, in unix seconds; 0 when
    ///         nothing is proposed.
    Parameters public proposedParameters;
    uint256 public activatableAt;

    /// @notice What users have put in, and nodes have not claimed, and is not in {reservations}.
    mapping(address user => mapping(address token => uint256)) public deposits;

    /// @notice What users have put aside for one node each, and what they are taking back of it.
    mapping(address user => mapping(address node => mapping(address token => Reservation))) public reservations;

    /// @notice What an account can {withdraw}.
    mapping(address account => mapping(address token => uint256)) public owed;

    mapping(address user => mapping(address token => Withdrawal)) public withdrawals;

    /// @notice Receipt digests that have been claimed, by themselves or through a batch.
    mapping(bytes32 receiptDigest => bool) public claimed;

    /// @notice What has been claimed through each batch.
    mapping(bytes32 batchDigest => Drawn) public drawn;

    /// @notice Settled uses of assets that have a limit; others are not counted.
    mapping(uint256 datId => uint256) public uses;

    /// @notice The least that a use of an asset with a limit of uses costs, as its creator set it; 0 where it is not sold.
    mapping(uint256 datId => mapping(address token => uint256)) public floorOf;

    event Deposited(address indexed user, address indexed token, address indexed from, uint256 amount);
    event WithdrawalRequested(address indexed user, address indexed token, uint256 amount, uint256 availableAt);
    event WithdrawalCancelled(address indexed user, address indexed token);
    event DepositWithdrawn(address indexed user, address indexed token, address indexed to, uint256 amount);
    event Reserved(address indexed user, address indexed node, address indexed token, uint256 amount);
    event ReleaseRequested(
        address indexed user, address indexed node, address indexed token, uint256 amount, uint256 availableAt
    );
    event ReleaseCancelled(address indexed user, address indexed node, address indexed token);
    event Released(address indexed user, address indexed node, address indexed token, uint256 amount);
    event Claimed(
        bytes32 indexed receiptDigest,
        uint256 indexed datId,
        address indexed user,
        address node,
        address creator,
        address token,
        uint256 usage,
        Payout payout
    );
    event RoyaltyPaid(bytes32 indexed receiptDigest, uint256 indexed datId, address indexed creator, uint256 amount);
    /// @notice A receipt among others that were settled was passed over.
    /// @param refusal  the custom error with which {claim} would have reverted
    event ReceiptRefused(bytes32 indexed receiptDigest, address indexed user, address indexed node, bytes refusal);
    /// @notice Receipts were settled through a batch.
    /// @param settled  how many in this call
    /// @param all  what has been claimed through it in all
    event BatchClaimed(
        bytes32 indexed batchDigest, address indexed user, address indexed node, uint256 settled, Drawn all
    );
    event Withdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);
    event FloorSet(uint256 indexed datId, address indexed token, uint256 floor);
    event ParametersProposed(Parameters parameters, uint256 activatableAt);
    event ParametersCancelled();
    event ParametersChanged(uint256 indexed version, Parameters parameters, uint256 previousVersionUntil);

    error AmountZero();
    error AmountTooLarge(uint256 amount, uint256 limit);
    error ValueWrong(uint256 expected, uint256 given);
    error UserZero();
    error CurrencyWithoutCode(address token);
    error AmountReceivedWrong(address token, uint256 expected, uint256 received);
    error AmountSentWrong(address token, uint256 expected, uint256 sent);
    error DepositTooSmall(uint256 deposit, uint256 needed);
    error WithdrawalNotRequested(address user);
    error WithdrawalTooEarly(uint256 availableAt, uint256 timestamp);
    error WithdrawalDelayInvalid(uint256 delay);
    error ReservationTooSmall(uint256 reservation, uint256 needed);
    error ReleaseNotRequested(address user, address node);
    error ReleaseTooEarly(uint256 availableAt, uint256 timestamp);
    error ParameterDelayInvalid(uint256 delay);
    error GovernancePoolZero();
    error SharesInvalid(uint256 creatorBps, uint256 nodeBps, uint256 poolBps);
    error ParametersUnchanged();
    error ParametersPending(uint256 activatableAt);
    error ParametersNotProposed();
    error ParametersTooEarly(uint256 activatableAt, uint256 timestamp);
    error GracePeriodRunning(uint256 until, uint256 timestamp);
    error RecipientZero();
    error RecipientSelf();
    error NothingOwed(address account);
    error TransferFailed(address to, uint256 amount);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error CostAboveCap(uint256 cost, uint256 costCap);
    error ParameterVersionWrong(uint256 given, uint256 current);
    error ReceiptClaimed(bytes32 receiptDigest);
    error DatUnknown(uint256 datId);
    error AssetExpired(uint256 datId, uint256 expiresAt);
    error UsesExhausted(uint256 datId, uint256 maxUses);
    error CostBelowFloor(uint256 datId, uint256 cost, uint256 floor);
    error FloorInvalid(uint256 datId, uint256 floor, uint256 current);
    error NotCreator(address caller, address creator);
    error UserIsNode(address account);
    error UserSignatureInvalid(address user);
    error NodeSignatureInvalid(address node);
    error ReceiptsNone();
    error LengthsDiffer(uint256 expected, uint256 given);
    error BatchProofInvalid(bytes32 root);
    error BatchReceiptForeign(bytes32 receiptDigest);
    error BatchDrawn(uint256 countLeft, uint256 costLeft);

    constructor(SettlementParameters memory parameters) Ownable(parameters.owner) EIP712("anchorproof", "1") {
        if (parameters.withdrawalDelay < MIN_WITHDRAWAL_DELAY || parameters.withdrawalDelay > MAX_WITHDRAWAL_DELAY) {
            revert WithdrawalDelayInvalid(parameters.withdrawalDelay);
        }
        if (
            parameters.parameterDelay > MAX_PARAMETER_DELAY
                || (parameters.parameterDelay < MIN_PARAMETER_DELAY && block.chainid != _DEVELOPMENT_CHAIN)
        ) revert ParameterDelayInvalid(parameters.parameterDelay);
        dat = parameters.dat;
        withdrawalDelay = parameters.withdrawalDelay;
        parameterDelay = parameters.parameterDelay;
        _checkParameters(parameters.shares);
        // previousVersionUntil stays zero: version 0 has no pool, and must never be claimable.
        _addVersion(parameters.shares);
    }

    // Parameters

    /// @notice Announces another split. It counts when somebody activates it, {parameterDelay} from now at the earliest.
    /// @dev One at a time, so that what people have seen announced is what gets activated.
    function proposeParameters(Parameters calldata parameters) external onlyOwner {
        if (activatableAt != 0) revert ParametersPending(activatableAt);
        _checkParameters(parameters);
        // It would change nothing but the version, and so only start to void receipts.
        Parameters memory current = parametersOf[parameterVersion];
        if (
            parameters.pool == current.pool && parameters.creatorBps == current.creatorBps
                && parameters.nodeBps == current.nodeBps
        ) revert ParametersUnchanged();
        proposedParameters = parameters;
        activatableAt = block.timestamp + parameterDelay;
        emit ParametersProposed(parameters, activatableAt);
    }

    function cancelParameters() external onlyOwner {
        if (activatableAt == 0) revert ParametersNotProposed();
        delete proposedParameters;
        delete activatableAt;
        emit ParametersCancelled();
    }

    /// @notice Makes the proposed parameters a new version. Anyone may. Receipts of the version so far can be claimed for
    ///         another {withdrawalDelay} and are split as they were signed.
    /// @dev So a change, however it is ordered against claims, takes nothing from anyone: a node has as long to claim as it
    ///      has against a user who leaves. There is no second change in that time, or two in a row would cut it short.
    ///      What the old pool is owed stays the old pool's.
    function activateParameters() external {
        if (activatableAt == 0) revert ParametersNotProposed();
        if (block.timestamp < activatableAt) revert ParametersTooEarly(activatableAt, block.timestamp);
        if (block.timestamp <= previousVersionUntil) revert GracePeriodRunning(previousVersionUntil, block.timestamp);
        previousVersionUntil = block.timestamp + withdrawalDelay;
        Parameters memory parameters = proposedParameters;
        delete proposedParameters;
        delete activatableAt;
        _addVersion(parameters);
    }

    /// @notice Where the governance share of a version's receipts goes; zero for a version that never was.
    function poolOf(uint256 version) external view returns (address) {
        return parametersOf[version].pool;
    }

    // Deposits

    /// @notice Adds to the caller's deposit. Coins of the chain itself (`token` zero) are sent along; ERC-20s are taken from
    ///         the caller, who has approved them. A plain transfer is not a deposit: it names no one.
    function deposit(address token, uint256 amount) external payable {
        _deposit(msg.sender, token, amount);
    }

    /// @notice As {deposit}, for another user. Only that user can take it out.
    function depositFor(address user, address token, uint256 amount) external payable {
        if (user == address(0)) revert UserZero();
        _deposit(user, token, amount);
    }

    /// @notice Starts taking `amount` out of the caller's deposit. A second request replaces the first and its clock.
    /// @dev The amount stays claimable until it is taken out.
    function requestWithdrawal(address token, uint256 amount) external {
        _covering(token, amount);
        uint256 availableAt = _request(withdrawals[msg.sender][token], amount);
        emit WithdrawalRequested(msg.sender, token, amount, availableAt);
    }

    function cancelWithdrawal(address token) external {
        Withdrawal storage withdrawal = withdrawals[msg.sender][token];
        if (withdrawal.amount == 0) revert WithdrawalNotRequested(msg.sender);
        _clear(withdrawal);
        emit WithdrawalCancelled(msg.sender, token);
    }

    /// @notice Pays out a withdrawal that has waited long enough: what was asked for, or what claims have left of it.
    function completeWithdrawal(address token) external returns (uint256 amount) {
        amount = _completeWithdrawal(token, msg.sender);
    }

    /// @notice As {completeWithdrawal}, to another address: for users that a token does not pay any more, and contracts that
    ///         cannot receive coins, which somebody made a deposit for.
    function completeWithdrawalTo(address token, address to) external returns (uint256 amount) {
        _checkRecipient(to);
        amount = _completeWithdrawal(token, to);
    }

    /// @notice What of a user's deposit no pending withdrawal can take.
    /// @dev Not safe from the user's receipts with other nodes, of which one may be a second account of its own: these, and
    ///      {reserve}, take it without any delay. Only what is {reservedFor} a node waits for that node.
    function securedDeposit(address user, address token) external view returns (uint256) {
        return _secured(deposits[user][token], withdrawals[user][token]);
    }

    // Reservations

    /// @notice Puts `amount` of the caller's deposit aside for one node. Its receipts are paid out of it first and out of the
    ///         deposit then, and nobody else's ever are.
    function reserve(address node, address token, uint256 amount) external {
        if (amount == 0) revert AmountZero();
        // No receipt could ever be paid out of it.
        if (node == msg.sender) revert UserIsNode(node);
        deposits[msg.sender][token] = _covering(token, amount) - amount;
        _reservation(msg.sender, node, token).amount += amount;
        emit Reserved(msg.sender, node, token, amount);
    }

    /// @notice Starts taking `amount` of what is reserved for a node back into the caller's deposit. A second request
    ///         replaces the first and its clock.
    /// @dev The amount stays claimable, by that node, until it is taken back. A node that takes on new work should count only
    ///      {reservedFor}: for that much it has at least {withdrawalDelay} to claim.
    function requestRelease(address node, address token, uint256 amount) external {
        Reservation storage reservation = _reservation(msg.sender, node, token);
        if (amount > reservation.amount) revert ReservationTooSmall(reservation.amount, amount);
        uint256 availableAt = _request(reservation.release, amount);
        emit ReleaseRequested(msg.sender, node, token, amount, availableAt);
    }

    function cancelRelease(address node, address token) external {
        Withdrawal storage release = _reservation(msg.sender, node, token).release;
        if (release.amount == 0) revert ReleaseNotRequested(msg.sender, node);
        _clear(release);
        emit ReleaseCancelled(msg.sender, node, token);
    }

    /// @notice Takes back into the deposit a release that has waited long enough: what was asked for, or what claims have
    ///         left of it. To leave this contract it waits again, as other nodes may count on what is a deposit.
    function completeRelease(address node, address token) external returns (uint256 amount) {
        Reservation storage reservation = _reservation(msg.sender, node, token);
        Withdrawal storage release = reservation.release;
        uint256 available = reservation.amount;
        amount = release.amount;
        if (amount == 0) revert ReleaseNotRequested(msg.sender, node);
        if (block.timestamp < release.availableAt) revert ReleaseTooEarly(release.availableAt, block.timestamp);
        if (amount > available) amount = available;
        _clear(release);
        reservation.amount = available - amount;
        deposits[msg.sender][token] += amount;
        emit Released(msg.sender, node, token, amount);
    }

    /// @notice What a user has put aside for a node and no pending release can take: what the node can count on, for
    ///         receipts of no more than that in all and for at least {withdrawalDelay}.
    function reservedFor(address user, address node, address token) external view returns (uint256) {
        Reservation storage reservation = _reservation(user, node, token);
        return _secured(reservation.amount, reservation.release);
    }

    // Claims

    /// @notice Settles a receipt. Anyone may send it: who gets what is in the receipt and in the asset's record.
    function claim(Receipt calldata receipt, bytes calldata userSignature, bytes calldata nodeSignature)
        external
        nonReentrant
    {
        bytes32 digest = receiptDigest(receipt);
        _checkAgreed(digest, receipt.user, receipt.node, userSignature, nodeSignature);
        bytes memory refusal = _settle(receipt, digest);
        if (refusal.length != 0) _revertWith(refusal);
    }

    /// @notice Settles receipts of any users and nodes, each with its two signatures.
    /// @dev A receipt that cannot be paid (claimed already, its user overdrawn, its asset used up, its time over) is
    ///      passed over with an event, so that nobody can void a node's other receipts by what happens to one. If none can be
    ///      paid, the call reverts with the first one's reason. A wrong signature reverts at once: that is the sender's own
    ///      mistake, and nobody should be able to leave an event about a receipt that was never agreed.
    /// @return settled  how many were paid
    function claimMany(Receipt[] calldata receipts, bytes[] calldata userSignatures, bytes[] calldata nodeSignatures)
        external
        nonReentrant
        returns (uint256 settled)
    {
        uint256 count = receipts.length;
        if (count == 0) revert ReceiptsNone();
        if (userSignatures.length != count) revert LengthsDiffer(count, userSignatures.length);
        if (nodeSignatures.length != count) revert LengthsDiffer(count, nodeSignatures.length);
        bytes memory first;
        for (uint256 i = 0; i < count; ++i) {
            Receipt calldata receipt = receipts[i];
            bytes32 digest = receiptDigest(receipt);
            _checkAgreed(digest, receipt.user, receipt.node, userSignatures[i], nodeSignatures[i]);
            bytes memory refusal = _settle(receipt, digest);
            if (refusal.length == 0) {
                ++settled;
            } else {
                if (first.length == 0) first = refusal;
                emit ReceiptRefused(digest, receipt.user, receipt.node, refusal);
            }
        }
        if (settled == 0) _revertWith(first);
    }

    /// @notice Settles one or more receipts of a batch that user and node signed once for all of them.
    /// @dev Each is nullified by its own digest, so it is paid once whatever batches it is in and whether or not it was
    ///      signed by itself too. Receipts that cannot be paid are passed over as in {claimMany}. The batch's cap and count
    ///      hold over all calls.
    /// @param receipts  in the order of the multiproof's leaves
    /// @param proof  siblings, and `flags` where the next one comes from, as OpenZeppelin's MerkleProof takes them; for one
    ///        receipt its path, with as many flags that are false
    /// @return settled  how many were paid
    function claimBatch(
        ReceiptBatch calldata batch,
        bytes calldata userSignature,
        bytes calldata nodeSignature,
        Receipt[] calldata receipts,
        bytes32[] calldata proof,
        bool[] calldata flags
    ) external nonReentrant returns (uint256 settled) {
        if (block.timestamp > batch.deadline) {
            revert DeadlinePassed(batch.deadline, block.timestamp);
        }
        if (receipts.length == 0) revert ReceiptsNone();
        bytes32 digest = batchDigest(batch);
        _checkAgreed(digest, batch.user, batch.node, userSignature, nodeSignature);
        bytes32[] memory digests = _checkMembers(batch, receipts, proof, flags);
        settled = _settleBatch(batch, digest, receipts, digests);
    }

    /// @notice The EIP-712 digest that user and node both sign, and what nullifies a receipt.
    function receiptDigest(Receipt calldata receipt) public view returns (bytes32) {
        // Every member is a static word, so the ABI encoding of the struct is its EIP-712 encodeData.
        return _hashTypedDataV4(keccak256(abi.encode(_RECEIPT_TYPEHASH, receipt)));
    }

    /// @notice The EIP-712 digest that user and node both sign for a batch.
    function batchDigest(ReceiptBatch calldata batch) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(_BATCH_TYPEHASH, batch)));
    }

    /// @notice A receipt's leaf in the tree of a batch.
    /// @dev Hashed twice: what is hashed last has 32 bytes and an inner node's children 64, so no inner node is a leaf.
    function leafOf(bytes32 digest) public pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode(_LEAF_TAG, digest))));
    }

    // Limits of use

    /// @notice Lets the creator of an asset with a limit of uses say what one costs at least in a currency.
    /// @dev Without it strangers could use the limit up: anybody with two accounts can sign receipts, of no cost, or in a
    ///      currency of no worth. So such an asset is sold only where its creator has set a floor. It may be lowered and
    ///      never raised, nor taken away: receipts that are signed stay claimable.
    function setFloor(uint256 datId, address token, uint256 floor) external {
        Asset memory asset;
        _readAsset(datId, asset);
        if (msg.sender != asset.creator) revert NotCreator(msg.sender, asset.creator);
        uint256 current = floorOf[datId][token];
        if (floor == 0 || (current != 0 && floor >= current)) revert FloorInvalid(datId, floor, current);
        floorOf[datId][token] = floor;
        emit FloorSet(datId, token, floor);
    }

    // Payments

    /// @notice Pays the caller everything it is owed in a currency.
    function withdraw(address token) external returns (uint256 amount) {
        amount = _withdraw(token, msg.sender);
    }

    /// @notice Pays everything that the caller is owed in a currency to `to`: for creators and pools that are contracts and
    ///         cannot receive coins themselves, and for whoever a token does not pay any more.
    function withdrawTo(address token, address to) external returns (uint256 amount) {
        _checkRecipient(to);
        amount = _withdraw(token, to);
    }

    /// @dev What this contract would be paid or owed itself, nobody could ever take out.
    function _checkRecipient(address to) private view {
        if (to == address(0)) revert RecipientZero();
        if (to == address(this)) revert RecipientSelf();
    }

    function _checkParameters(Parameters memory parameters) private view {
        if (parameters.pool == address(0)) revert GovernancePoolZero();
        if (parameters.pool == address(this)) revert RecipientSelf();
        (uint256 creator, uint256 node, uint256 pool) = (parameters.creatorBps, parameters.nodeBps, parameters.poolBps);
        if (
            creator + node + pool != Split.BPS || creator < MIN_CREATOR_BPS || node < MIN_NODE_BPS
                || pool > MAX_POOL_BPS
        ) revert SharesInvalid(creator, node, pool);
    }

    function _addVersion(Parameters memory parameters) private {
        uint256 version = ++parameterVersion;
        parametersOf[version] = parameters;
        emit ParametersChanged(version, parameters, previousVersionUntil);
    }

    /// @dev The current version is at least 1, so that taking one off cannot underflow; adding one to what a receipt names
    ///      could overflow.
    function _versionLive(uint256 version) private view returns (bool) {
        uint256 current = parameterVersion;
        return version == current || (version == current - 1 && block.timestamp <= previousVersionUntil);
    }

    /// @dev The caller's deposit, which covers `amount`.
    function _covering(address token, uint256 amount) private view returns (uint256 available) {
        available = deposits[msg.sender][token];
        if (amount > available) revert DepositTooSmall(available, amount);
    }

    function _request(Withdrawal storage pending, uint256 amount) private returns (uint256 availableAt) {
        if (amount == 0) revert AmountZero();
        availableAt = block.timestamp + withdrawalDelay;
        pending.amount = amount;
        pending.availableAt = availableAt;
    }

    function _reservation(address user, address node, address token) private view returns (Reservation storage) {
        return reservations[user][node][token];
    }

    function _clear(Withdrawal storage pending) private {
        delete pending.amount;
        delete pending.availableAt;
    }

    function _secured(uint256 available, Withdrawal storage pending) private view returns (uint256) {
        uint256 amount = pending.amount;
        return available > amount ? available - amount : 0;
    }

    function _deposit(address user, address token, uint256 amount) private nonReentrant {
        if (amount == 0) revert AmountZero();
        if (amount > Split.MAX_AMOUNT) revert AmountTooLarge(amount, Split.MAX_AMOUNT);
        uint256 value = token == address(0) ? amount : 0;
        if (msg.value != value) revert ValueWrong(value, msg.value);
        if (token != address(0)) _pull(token, amount);
        deposits[user][token] += amount;
        emit Deposited(user, token, msg.sender, amount);
    }

    /// @dev The books follow what arrived, never what was asked for; and what arrived must be what was asked for.
    function _pull(address token, uint256 amount) private {
        if (token.code.length == 0) revert CurrencyWithoutCode(token);
        uint256 before = _held(token);
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = _held(token) - before;
        if (received != amount) revert AmountReceivedWrong(token, amount, received);
    }

    function _held(address token) private view returns (uint256) {
        return IERC20(token).balanceOf(address(this));
    }

    /// @dev Two signatures by one account show no agreement.
    function _checkAgreed(
        bytes32 digest,
        address user,
        address node,
        bytes calldata userSignature,
        bytes calldata nodeSignature
    ) private pure {
        if (user == node) revert UserIsNode(user);
        if (!_signed(user, digest, userSignature)) revert UserSignatureInvalid(user);
        if (!_signed(node, digest, nodeSignature)) revert NodeSignatureInvalid(node);
    }

    function _signed(address signer, bytes32 digest, bytes calldata signature) private pure returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }

    /// @dev Digests of receipts that are in the batch's tree and between its parties. A receipt of others in a tree that
    ///      these two signed is agreed by nobody who would pay for it.
    function _checkMembers(
        ReceiptBatch calldata batch,
        Receipt[] calldata receipts,
        bytes32[] calldata proof,
        bool[] calldata flags
    ) private view returns (bytes32[] memory digests) {
        uint256 count = receipts.length;
        digests = new bytes32[](count);
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            Receipt calldata receipt = receipts[i];
            bytes32 digest = receiptDigest(receipt);
            if (receipt.user != batch.user || receipt.node != batch.node || receipt.token != batch.token) {
                revert BatchReceiptForeign(digest);
            }
            digests[i] = digest;
            leaves[i] = leafOf(digest);
        }
        // One that does not fit its flags reverts inside with MerkleProofInvalidMultiproof, or runs past an array.
        if (!MerkleProof.multiProofVerifyCalldata(proof, flags, batch.root, leaves)) {
            revert BatchProofInvalid(batch.root);
        }
    }

    function _settleBatch(
        ReceiptBatch calldata batch,
        bytes32 digest,
        Receipt[] calldata receipts,
        bytes32[] memory digests
    ) private returns (uint256 settled) {
        Drawn memory state = drawn[digest];
        bytes memory first;
        uint256 count = receipts.length;
        for (uint256 i = 0; i < count; ++i) {
            Receipt calldata receipt = receipts[i];
            bytes memory refusal = _batchRefusal(batch, state, receipt.cost);
            if (refusal.length == 0) refusal = _settle(receipt, digests[i]);
            if (refusal.length == 0) {
                ++settled;
                // Not cut: the cost was at most what was left of 128 bits.
                // forge-lint: disable-next-line(unsafe-typecast)
                state.cost += uint128(receipt.cost);
                ++state.count;
            } else {
                if (first.length == 0) first = refusal;
                emit ReceiptRefused(digests[i], receipt.user, receipt.node, refusal);
            }
        }
        if (settled == 0) _revertWith(first);
        drawn[digest] = state;
        emit BatchClaimed(digest, batch.user, batch.node, settled, state);
    }

    function _batchRefusal(ReceiptBatch calldata batch, Drawn memory state, uint256 cost)
        private
        pure
        returns (bytes memory refusal)
    {
        uint256 cap = batch.costCap < Split.MAX_AMOUNT ? batch.costCap : Split.MAX_AMOUNT;
        uint256 costLeft = cap - state.cost;
        uint256 countLeft = batch.count - state.count;
        if (cost > costLeft || countLeft == 0) refusal = _refusal(BatchDrawn.selector, countLeft, costLeft);
    }

    /// @dev Pays a receipt that both have agreed to, or says why not, as the data of a custom error.
    function _settle(Receipt calldata receipt, bytes32 digest) private returns (bytes memory refusal) {
        refusal = _receiptRefusal(receipt, digest);
        if (refusal.length != 0) return refusal;
        Asset memory asset;
        refusal = _assetRefusal(receipt, asset);
        if (refusal.length != 0) return refusal;
        refusal = _debit(receipt);
        if (refusal.length != 0) return refusal;

        claimed[digest] = true;
        if (asset.maxUses != 0) ++uses[receipt.datId];
        _pay(receipt, digest, asset);
    }

    /// @dev Takes the cost out of what is reserved for the node first, and the rest out of the deposit; or nothing, and says
    ///      why not.
    function _debit(Receipt calldata receipt) private returns (bytes memory refusal) {
        uint256 cost = receipt.cost;
        Reservation storage reservation = _reservation(receipt.user, receipt.node, receipt.token);
        uint256 part = reservation.amount;
        if (part > cost) part = cost;
        uint256 rest = cost - part;
        mapping(address token => uint256) storage own = deposits[receipt.user];
        uint256 free = rest == 0 ? 0 : own[receipt.token];
        if (rest > free) return _refusal(DepositTooSmall.selector, part + free, cost);
        // Reached only with a token that pretends: a deposit is made of amounts that were each at most this.
        if (cost > Split.MAX_AMOUNT) return _refusal(AmountTooLarge.selector, cost, Split.MAX_AMOUNT);
        if (part != 0) reservation.amount -= part;
        if (rest != 0) own[receipt.token] = free - rest;
    }

    function _receiptRefusal(Receipt calldata receipt, bytes32 digest) private view returns (bytes memory refusal) {
        if (claimed[digest]) return abi.encodeWithSelector(ReceiptClaimed.selector, digest);
        if (block.timestamp > receipt.deadline) {
            return _refusal(DeadlinePassed.selector, receipt.deadline, block.timestamp);
        }
        uint256 cost = receipt.cost;
        if (cost > receipt.costCap) return _refusal(CostAboveCap.selector, cost, receipt.costCap);
        if (!_versionLive(receipt.parameterVersion)) {
            return _refusal(ParameterVersionWrong.selector, receipt.parameterVersion, parameterVersion);
        }
    }

    /// @dev The data of a custom error of two words; built in one place, as there is not room for it in many.
    function _refusal(bytes4 selector, uint256 first, uint256 second) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, first, second);
    }

    function _readAsset(uint256 datId, Asset memory asset) private view {
        (asset.creator, asset.revoked, asset.expiresAt, asset.maxUses, asset.derived) = dat.settlementOf(datId);
    }

    /// @dev Fills in what is known of the asset.
    function _assetRefusal(Receipt calldata receipt, Asset memory asset) private view returns (bytes memory refusal) {
        uint256 datId = receipt.datId;
        if (!dat.exists(datId)) return abi.encodeWithSelector(DatUnknown.selector, datId);
        _readAsset(datId, asset);
        if (asset.expiresAt != 0 && block.timestamp > asset.expiresAt + withdrawalDelay) {
            return _refusal(AssetExpired.selector, datId, asset.expiresAt);
        }
        if (asset.maxUses != 0) {
            if (uses[datId] >= asset.maxUses) return _refusal(UsesExhausted.selector, datId, asset.maxUses);
            uint256 floor = floorOf[datId][receipt.token];
            if (floor == 0 || receipt.cost < floor) {
                return abi.encodeWithSelector(CostBelowFloor.selector, datId, receipt.cost, floor);
            }
        }
    }

    /// @dev A revoked asset's creator share goes back to the user's deposit whole: nobody who can bring a revocation about,
    ///      as governance might, is paid by it. Its lineage gets nothing of it either: what it derives from was part of the
    ///      statement that is no longer believed, and would otherwise be a way to be paid for fraud through an
    ///      honest-looking ancestor of one's own. The node has done its work and is paid.
    function _pay(Receipt calldata receipt, bytes32 digest, Asset memory asset) private {
        Parameters memory parameters = parametersOf[receipt.parameterVersion];
        Payout memory payout;
        (payout.creatorShare, payout.nodeShare, payout.poolShare) =
            Split.ofCost(receipt.cost, parameters.creatorBps, parameters.nodeBps);
        if (asset.revoked) {
            payout.refunded = payout.creatorShare;
            payout.creatorShare = 0;
        } else if (asset.derived) {
            _payLineage(receipt, digest, payout);
        }
        if (payout.refunded != 0) deposits[receipt.user][receipt.token] += payout.refunded;
        _credit(asset.creator, receipt.token, payout.creatorShare);
        _credit(receipt.node, receipt.token, payout.nodeShare);
        _credit(parameters.pool, receipt.token, payout.poolShare);
        _emitClaimed(receipt, digest, asset.creator, payout);
    }

    /// @dev Moves royalties out of `payout.creatorShare`. The token bounds the list; it was fixed at the mint. A revoked
    ///      ancestor's part goes back to the user.
    function _payLineage(Receipt calldata receipt, bytes32 digest, Payout memory payout) private {
        Royalty[] memory lineage = dat.royaltiesOf(receipt.datId);
        uint256 whole = payout.creatorShare;
        uint256 count = lineage.length;
        for (uint256 i = 0; i < count; ++i) {
            Royalty memory royalty = lineage[i];
            uint256 amount;
            (amount, payout.creatorShare) = Split.part(whole, payout.creatorShare, royalty.bps);
            if (amount == 0) continue;
            if (dat.verified(royalty.datId)) {
                payout.royalties += amount;
                _credit(royalty.creator, receipt.token, amount);
                emit RoyaltyPaid(digest, royalty.datId, royalty.creator, amount);
            } else {
                payout.refunded += amount;
            }
        }
    }

    function _credit(address account, address token, uint256 amount) private {
        if (amount != 0) owed[account][token] += amount;
    }

    function _emitClaimed(Receipt calldata receipt, bytes32 digest, address creator, Payout memory payout) private {
        emit Claimed(digest, receipt.datId, receipt.user, receipt.node, creator, receipt.token, receipt.usage, payout);
    }

    function _completeWithdrawal(address token, address to) private nonReentrant returns (uint256 amount) {
        Withdrawal storage withdrawal = withdrawals[msg.sender][token];
        amount = withdrawal.amount;
        if (amount == 0) revert WithdrawalNotRequested(msg.sender);
        if (block.timestamp < withdrawal.availableAt) {
            revert WithdrawalTooEarly(withdrawal.availableAt, block.timestamp);
        }
        uint256 available = deposits[msg.sender][token];
        if (amount > available) amount = available;
        _clear(withdrawal);
        deposits[msg.sender][token] = available - amount;
        emit DepositWithdrawn(msg.sender, token, to, amount);
        // Some tokens refuse to move nothing.
        if (amount != 0) _send(token, to, amount);
    }

    function _withdraw(address token, address to) private nonReentrant returns (uint256 amount) {
        amount = owed[msg.sender][token];
        if (amount == 0) revert NothingOwed(msg.sender);
        owed[msg.sender][token] = 0;
        emit Withdrawn(msg.sender, token, to, amount);
        _send(token, to, amount);
    }

    /// @dev All gas is passed on with coins, so that contract accounts can receive; the books were changed before. Of a token
    ///      no more may leave than the books say, whatever fee it takes, or others' deposits would pay it.
    function _send(address token, address to, uint256 amount) private {
        if (token == address(0)) {
            (bool ok,) = to.call{value: amount}("");
            if (!ok) revert TransferFailed(to, amount);
            return;
        }
        uint256 before = _held(token);
        IERC20(token).safeTransfer(to, amount);
        uint256 left = _held(token);
        if (left + amount < before) revert AmountSentWrong(token, amount, before - left);
    }

    /// @dev Reverts with data that is a custom error's already.
    function _revertWith(bytes memory refusal) private pure {
        assembly ("memory-safe") {
            revert(add(refusal, 0x20), mload(refusal))
        }
    }
}
