// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Parameters, Receipt, ReceiptBatch, UsageSettlement} from "../src/settlement/UsageSettlement.sol";
import {Royalty} from "../src/token/IDataAnchoringToken.sol";
import {SettlementTest} from "./base/SettlementTest.sol";
import {Test} from "./base/Test.sol";
import {Coin} from "./twins/Coins.sol";

/// @notice Does at random what users, nodes, creators, governance, bad tokens and time can do, and keeps books of its own.
contract SettlementHandler is SettlementTest {
    uint256 private constant _USERS = 3;
    uint256 private constant _NODES = 2;

    address[3] public currencies;
    Coin private _nasty;
    address[] public accounts; // everybody who can have a deposit or be owed anything

    Receipt[] private _receipts; // all that were ever signed
    mapping(bytes32 digest => uint256) public times; // each was paid

    // Per currency
    mapping(address token => uint256) public deposited;
    mapping(address token => uint256) public takenOut;
    mapping(address token => uint256) public cost;
    mapping(address token => uint256) public paid;
    mapping(address token => uint256) public refunded;

    mapping(address user => mapping(address node => mapping(address token => uint256))) public reserved;

    uint256 public settled;
    uint256 public refused;
    uint256 public drawn; // out of reservations
    uint256 public released;
    uint256 public changes;
    bool public reentered;
    bool public paidTwice;

    constructor() {
        createSettlement();
        _nasty = new Coin();
        currencies = [address(0), address(new Coin()), address(_nasty)];
        for (uint256 i = 0; i < _USERS; ++i) {
            accounts.push(vm.addr(_userKey(i)));
        }
        for (uint256 i = 0; i < _NODES; ++i) {
            accounts.push(vm.addr(_nodeKey(i)));
        }
        accounts.push(POOL);
        accounts.push(address(0x901));
        _nasty.mint(address(_nasty), 1e30);
        _nasty.call(address(_nasty), abi.encodeCall(Coin.approve, (address(settlement), 1e30)));
        // Assets 1 to 3 stand alone, 4 derives from two of them and 5 from all, 4 included. 3 has a limit of uses.
        for (uint256 i = 1; i <= 5; ++i) {
            Royalty[] memory lineage = new Royalty[](i == 4 ? 2 : i == 5 ? 4 : 0);
            for (uint256 j = 0; j < lineage.length; ++j) {
                lineage[j] = Royalty({datId: j + 1, creator: _creator(j + 1), bps: uint16(777 * (j + 1))});
            }
            dat.put(i, _creator(i), 0, i == 3 ? 5 : 0, lineage);
            accounts.push(_creator(i));
        }
        vm.startPrank(_creator(3));
        for (uint256 i = 0; i < 3; ++i) {
            settlement.setFloor(3, currencies[i], 5);
        }
        vm.stopPrank();
    }

    function theSettlement() external view returns (UsageSettlement) {
        return settlement;
    }

    function accountsCount() external view returns (uint256) {
        return accounts.length;
    }

    function deposit(uint256 who, uint256 currency, uint256 amount) external {
        amount = bound(amount, 1, 1e24);
        address account = accounts[who % _USERS];
        address token = currencies[currency % 3];
        if (token == address(0)) {
            vm.deal(account, amount);
        } else {
            Coin(token).mint(account, 2 * amount);
            vm.prank(account);
            Coin(token).approve(address(settlement), 2 * amount);
        }
        vm.prank(account);
        settlement.deposit{value: token == address(0) ? amount : 0}(token, amount);
        deposited[token] += amount;
        _watch();
    }

    function request(uint256 who, uint256 currency, uint256 amount) external {
        (address account, address token) = _userWith(who, currency, false);
        uint256 available = settlement.deposits(account, token);
        vm.prank(account);
        settlement.requestWithdrawal(token, bound(amount, 1, available));
    }

    function cancel(uint256 who, uint256 currency) external {
        (address account, address token) = _userWith(who, currency, true);
        vm.prank(account);
        settlement.cancelWithdrawal(token);
    }

    function complete(uint256 who, uint256 currency) external {
        (address account, address token) = _userWith(who, currency, true);
        uint256 before = settlement.deposits(account, token);
        (, uint256 availableAt) = settlement.withdrawals(account, token);
        if (block.timestamp < availableAt) vm.warp(availableAt);
        vm.prank(account);
        settlement.completeWithdrawal(token);
        takenOut[token] += before - settlement.deposits(account, token);
        _watch();
    }

    function reserve(uint256 who, uint256 currency, uint256 amount) external {
        (address account, address token) = _userWith(who, currency, false);
        address node_ = accounts[_USERS + who % _NODES];
        amount = bound(amount, 1, settlement.deposits(account, token));
        vm.prank(account);
        settlement.reserve(node_, token, amount);
        reserved[account][node_][token] += amount;
    }

    function requestRelease(uint256 who, uint256 currency, uint256 amount) external {
        (address account, address node_, address token) = _pairWith(who, currency, false);
        amount = bound(amount, 1, reserved[account][node_][token]);
        vm.prank(account);
        settlement.requestRelease(node_, token, amount);
    }

    function cancelRelease(uint256 who, uint256 currency) external {
        (address account, address node_, address token) = _pairWith(who, currency, true);
        vm.prank(account);
        settlement.cancelRelease(node_, token);
    }

    function completeRelease(uint256 who, uint256 currency) external {
        (address account, address node_, address token) = _pairWith(who, currency, true);
        (, UsageSettlement.Withdrawal memory release) = settlement.reservations(account, node_, token);
        if (block.timestamp < release.availableAt) vm.warp(release.availableAt);
        vm.prank(account);
        uint256 amount = settlement.completeRelease(node_, token);
        reserved[account][node_][token] -= amount;
        released += amount;
    }

    /// @dev Costs around what is there, so that some receipts are overdrawn.
    function claimOne(uint256 who, uint256 currency, uint256 asset, uint256 amount) external {
        Receipt memory receipt = _receipt(who, currency, asset, amount);
        bytes32 digest = settlement.receiptDigest(receipt);
        settlement.claim(receipt, signed(_userKey(who % _USERS), digest), signed(_nodeKey(who % _NODES), digest));
        _note(receipt);
    }

    function claimSeveral(uint256[3] calldata who, uint256 currency, uint256 asset, uint256 amount) external {
        Receipt[] memory receipts = new Receipt[](3);
        bytes[] memory users = new bytes[](3);
        bytes[] memory nodes = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            receipts[i] = _receipt(who[i], currency, asset, amount);
            bytes32 digest = settlement.receiptDigest(receipts[i]);
            users[i] = signed(_userKey(who[i] % _USERS), digest);
            nodes[i] = signed(_nodeKey(who[i] % _NODES), digest);
        }
        bool[] memory before = _claimed(receipts);
        settlement.claimMany(receipts, users, nodes);
        _noteAll(receipts, before);
    }

    function claimBatch(uint256 who, uint256 currency, uint256 asset, uint256 amount, uint256 cap) external {
        Receipt[] memory receipts = new Receipt[](2);
        receipts[0] = _receipt(who, currency, asset, amount);
        receipts[1] = _receipt(who, currency, asset + 1, amount / 2);
        bytes32[] memory nodes = treeOf(receipts);
        ReceiptBatch memory batch = batchOf(receipts, nodes[0]);
        batch.user = receipts[0].user;
        batch.node = receipts[0].node;
        batch.costCap = bound(cap, batch.costCap / 2, batch.costCap);
        bool[] memory before = _claimed(receipts);
        _send(batch, who, receipts);
        _noteAll(receipts, before);
    }

    /// @dev Receipts that were signed before, paid or passed over, again.
    function claimAgain(uint256 which) external {
        Receipt memory receipt = _receipts[which % _receipts.length];
        bytes32 digest = settlement.receiptDigest(receipt);
        bool before = settlement.claimed(digest);
        settlement.claim(receipt, signed(_keyOf(receipt.user), digest), signed(_keyOf(receipt.node), digest));
        if (before) paidTwice = true;
        _note(receipt);
    }

    function withdraw(uint256 who, uint256 currency, bool elsewhere) external {
        address token = currencies[currency % 3];
        address account = accounts[who % accounts.length];
        // The next who is owed anything.
        for (uint256 i = 0; i < accounts.length && settlement.owed(account, token) == 0; ++i) {
            account = accounts[(who % accounts.length + i) % accounts.length];
        }
        vm.prank(account);
        paid[token] += elsewhere ? settlement.withdrawTo(token, address(0xe15e)) : settlement.withdraw(token);
        _watch();
    }

    function misbehave(uint256 how) external {
        how %= 8;
        _nasty.misbehave(how == 1 ? 10 : 0, how == 2 ? 1 : 0, how == 3, how == 4);
        _nasty.arm(address(0), "");
        bytes memory again = abi.encodeCall(UsageSettlement.withdraw, (address(_nasty)));
        if (how == 6) again = abi.encodeCall(UsageSettlement.deposit, (address(_nasty), 1));
        if (how > 4) _nasty.arm(address(settlement), again);
    }

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + bound(seconds_, 1, 3 days));
    }

    function revoke(uint256 asset) external {
        if (asset % 8 == 0) dat.revoke(1 + asset / 8 % 5);
    }

    function change(uint256 creatorBps, uint256 poolBps) external {
        if (settlement.activatableAt() == 0) {
            creatorBps = bound(creatorBps, 5000, 7000);
            poolBps = bound(poolBps, 0, 2000);
            address pool = accounts[_USERS + _NODES + creatorBps % 2];
            settlement.proposeParameters(
                Parameters(pool, uint16(creatorBps), uint16(10_000 - creatorBps - poolBps), uint16(poolBps))
            );
        } else {
            settlement.activateParameters();
            ++changes;
        }
    }

    function _receipt(uint256 who, uint256 currency, uint256 asset, uint256 amount)
        private
        returns (Receipt memory receipt)
    {
        address payer = accounts[who % _USERS];
        address token = currencies[currency % 3];
        address payee = accounts[_USERS + who % _NODES];
        // The next that the user has, if any.
        for (uint256 i = 1; i < 3 && settlement.deposits(payer, token) + reserved[payer][payee][token] == 0; ++i) {
            token = currencies[(currency % 3 + i) % 3];
        }
        uint256 available = settlement.deposits(payer, token) + reserved[payer][payee][token];
        receipt = receiptOf(token, bound(amount, 0, available * 2 / 3 + 10));
        receipt.user = payer;
        receipt.node = payee;
        receipt.datId = 1 + asset % 5;
        // Some name the version before.
        if (amount % 3 == 0 && receipt.parameterVersion > 1) --receipt.parameterVersion;
        _receipts.push(receipt);
    }

    function _send(ReceiptBatch memory batch, uint256 who, Receipt[] memory receipts) private {
        bytes32 digest = settlement.batchDigest(batch);
        bytes memory byUser = signed(_userKey(who % _USERS), digest);
        bytes memory byNode = signed(_nodeKey(who % _NODES), digest);
        bool[] memory flags = new bool[](1);
        flags[0] = true;
        settlement.claimBatch(batch, byUser, byNode, receipts, new bytes32[](0), flags);
    }

    function _claimed(Receipt[] memory receipts) private view returns (bool[] memory before) {
        before = new bool[](receipts.length);
        for (uint256 i = 0; i < receipts.length; ++i) {
            before[i] = settlement.claimed(settlement.receiptDigest(receipts[i]));
        }
    }

    function _noteAll(Receipt[] memory receipts, bool[] memory before) private {
        for (uint256 i = 0; i < receipts.length; ++i) {
            if (before[i]) continue;
            if (settlement.claimed(settlement.receiptDigest(receipts[i]))) _note(receipts[i]);
            else ++refused;
        }
    }

    function _note(Receipt memory receipt) private {
        ++settled;
        cost[receipt.token] += receipt.cost;
        refunded[receipt.token] += _refundOf(receipt);
        uint256 part = reserved[receipt.user][receipt.node][receipt.token];
        if (part > receipt.cost) part = receipt.cost;
        reserved[receipt.user][receipt.node][receipt.token] -= part;
        drawn += part;
        if (++times[settlement.receiptDigest(receipt)] > 1) paidTwice = true;
    }

    /// @dev What revoked creators do not get: all of the creator's share, or ancestors' parts of it.
    function _refundOf(Receipt memory receipt) private view returns (uint256 refund) {
        (, uint16 creatorBps,,) = settlement.parametersOf(receipt.parameterVersion);
        uint256 share = receipt.cost * creatorBps / 10_000;
        if (!dat.verified(receipt.datId)) return share;
        Royalty[] memory lineage = dat.royaltiesOf(receipt.datId);
        for (uint256 i = 0; i < lineage.length; ++i) {
            if (!dat.verified(lineage[i].datId)) refund += share * lineage[i].bps / 10_000;
        }
    }

    /// @dev From these on the first user and currency with a deposit, or a withdrawal that is pending; or the last tried.
    function _userWith(uint256 who, uint256 currency, bool pending)
        private
        view
        returns (address account, address token)
    {
        for (uint256 i = who % 9; i < who % 9 + 9; ++i) {
            (account, token) = (accounts[i % _USERS], currencies[(currency % 3 + i / _USERS) % 3]);
            (uint256 amount,) = settlement.withdrawals(account, token);
            if ((pending ? amount : settlement.deposits(account, token)) != 0) return (account, token);
        }
    }

    /// @dev The same of users and nodes with a reservation, or a release that is pending.
    function _pairWith(uint256 who, uint256 currency, bool pending)
        private
        view
        returns (address account, address node_, address token)
    {
        for (uint256 i = who % 18; i < who % 18 + 18; ++i) {
            (account, node_) = (accounts[i % _USERS], accounts[_USERS + i / _USERS % _NODES]);
            token = currencies[(currency % 3 + i / (_USERS * _NODES)) % 3];
            (uint256 amount, UsageSettlement.Withdrawal memory release) = settlement.reservations(account, node_, token);
            if ((pending ? release.amount : amount) != 0) return (account, node_, token);
        }
    }

    function _watch() private {
        if (_nasty.reentered()) reentered = true;
    }

    /// @dev The bad token is one, so that it is owed something to re-enter for.
    function _creator(uint256 asset) private view returns (address) {
        return asset == 2 ? address(_nasty) : address(uint160(0xc000 + asset));
    }

    function _userKey(uint256 i) private pure returns (uint256) {
        return 0x1000 + i;
    }

    function _nodeKey(uint256 i) private pure returns (uint256) {
        return 0x2000 + i;
    }

    function _keyOf(address account) private view returns (uint256) {
        for (uint256 i = 0; i < _USERS; ++i) {
            if (accounts[i] == account) return _userKey(i);
        }
        for (uint256 i = 0; i < _NODES; ++i) {
            if (accounts[_USERS + i] == account) return _nodeKey(i);
        }
        revert NotTrue("an account of the handler");
    }
}

contract UsageSettlementInvariants is Test {
    SettlementHandler private _handler;
    UsageSettlement private _settlement;

    function setUp() public {
        _handler = new SettlementHandler();
        _settlement = _handler.theSettlement();
        targetContract(address(_handler));
    }

    /// @dev One function, as forge plays its sequences anew for each.
    function invariant_TheBooksBalanceAndNothingIsPaidTwice() public view {
        for (uint256 i = 0; i < 3; ++i) {
            address token = _handler.currencies(i);
            (uint256 deposits, uint256 owed) = _books(token);
            uint256 reserved = _reservations(token);
            uint256 held =
                token == address(0) ? address(_settlement).balance : Coin(token).balanceOf(address(_settlement));
            assertEq(
                deposits + reserved + owed, held, "deposits, what is reserved and what is owed are not what is there"
            );
            uint256 cost = _handler.cost(token) - _handler.refunded(token);
            assertEq(owed + _handler.paid(token), cost, "owed and paid are not what was claimed and kept");
            assertEq(
                deposits + reserved + cost + _handler.takenOut(token),
                _handler.deposited(token),
                "deposits are not what came in and did not go out"
            );
        }
        assertFalse(_handler.paidTwice(), "a receipt was paid twice");
        assertFalse(_handler.reentered(), "a token re-entered");
        assertTrue(_settlement.uses(3) <= 5, "an asset was used beyond its limit");
    }

    /// @dev The invariants say little if the handler does little.
    function test_TheHandlerDoesWhatItIsFor() public {
        for (uint256 i = 0; i < 9; ++i) {
            _handler.deposit(i, i / 3, 1e18);
        }
        for (uint256 i = 0; i < 15; ++i) {
            _handler.claimOne(i, i % 3, i % 5, 1000 + i);
        }
        assertEq(_handler.settled(), 15, "claims");
        _handler.claimBatch(1, 1, 0, 600, 0); // its cap is below its cost
        assertEq(_handler.settled(), 16, "claims of a batch");
        assertEq(_handler.refused(), 1, "passed over in a batch");
        _handler.claimSeveral([uint256(0), 0, 0], 0, 3, 6e17);
        assertEq(_handler.settled(), 17, "claims of many");
        assertEq(_handler.refused(), 3, "passed over in many");
        vm.expectRevert();
        _handler.claimAgain(0);
        _handler.request(0, 2, 100);
        _handler.wait(2 hours);
        _handler.complete(0, 2);
        assertEq(_handler.takenOut(_handler.currencies(2)), 101, "taken out");
        _handler.reserve(1, 0, 5000);
        _handler.requestRelease(1, 0, 5000);
        _handler.claimOne(1, 0, 0, 1200);
        _handler.revoke(24); // the fourth
        _handler.claimOne(1, 0, 3, 1300);
        assertEq(_handler.refunded(address(0)), 910, "refunded");
        assertEq(_handler.drawn(), 2500, "drawn on reservations");
        _handler.completeRelease(1, 0);
        assertEq(_handler.released(), 2501, "released");
        for (uint256 i = 0; i < 2; ++i) {
            _handler.change(6000, 1000);
            _handler.wait(3 days - 1);
        }
        assertEq(_handler.changes(), 1, "changes");
        _handler.misbehave(1);
        vm.expectRevert();
        _handler.deposit(0, 2, 10_000);
        _handler.misbehave(2);
        vm.expectRevert();
        _handler.withdraw(3, 2, false);
        _handler.misbehave(7);
        _handler.withdraw(3, 2, false);
        _handler.withdraw(5, 0, true);
        assertTrue(_handler.paid(_handler.currencies(2)) > 0, "paid");
        assertTrue(_handler.paid(_handler.currencies(0)) > 0, "paid");
        invariant_TheBooksBalanceAndNothingIsPaidTwice();
    }

    function _books(address token) private view returns (uint256 deposits, uint256 owed) {
        uint256 count = _handler.accountsCount();
        for (uint256 i = 0; i < count; ++i) {
            address account = _handler.accounts(i);
            deposits += _settlement.deposits(account, token);
            owed += _settlement.owed(account, token);
        }
    }

    /// @dev That they are the handler's own books of them says that only their nodes' claims and their users' releases have
    ///      touched them. The accounts are three users, then two nodes.
    function _reservations(address token) private view returns (uint256 sum) {
        for (uint256 i = 0; i < 6; ++i) {
            (address user, address node) = (_handler.accounts(i % 3), _handler.accounts(3 + i / 3));
            (uint256 amount, UsageSettlement.Withdrawal memory release) = _settlement.reservations(user, node, token);
            assertEq(amount, _handler.reserved(user, node, token), "somebody else touched a reservation");
            uint256 secured = amount > release.amount ? amount - release.amount : 0;
            assertEq(_settlement.reservedFor(user, node, token), secured, "what a node can count on");
            sum += amount;
        }
    }
}
