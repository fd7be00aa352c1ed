// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Split} from "../src/settlement/Split.sol";
import {Parameters, Payout, Receipt, ReceiptBatch, UsageSettlement} from "../src/settlement/UsageSettlement.sol";
import {Royalty} from "../src/token/IDataAnchoringToken.sol";
import {SettlementCoinsTest} from "./base/SettlementCoinsTest.sol";
import {Coin} from "./twins/Coins.sol";
import {Thief} from "./twins/Thief.sol";

contract UsageSettlementTest is SettlementCoinsTest {
    // The split

    function testFuzz_SplitIsExact(uint128 cost, uint16 creatorBps, uint16 nodeBps) public pure {
        creatorBps = uint16(bound(creatorBps, 0, 10_000));
        nodeBps = uint16(bound(nodeBps, 0, 10_000 - creatorBps));
        (uint256 creator, uint256 node_, uint256 pool) = Split.ofCost(cost, creatorBps, nodeBps);
        assertEq(creator, uint256(cost) * creatorBps / 10_000, "the creator's share is not rounded down");
        assertEq(node_, uint256(cost) * nodeBps / 10_000, "the node's share is not rounded down");
        assertEq(creator + node_ + pool, cost, "value is lost or made");
        uint256 poolBps = 10_000 - creatorBps - nodeBps;
        assertTrue(pool >= uint256(cost) * poolBps / 10_000, "the pool gets less than its share");
        assertTrue(pool < uint256(cost) * poolBps / 10_000 + 3, "the pool gets more than rounding leaves");
    }

    function testFuzz_RoyaltiesAreExact(uint128 share, uint16[16] memory bps, bool within) public pure {
        uint256 rest = share;
        uint256 paid = 0;
        uint256 sum = 0;
        for (uint256 i = 0; i < 16; ++i) {
            if (within) bps[i] = uint16(bound(bps[i], 0, 10_000 - sum));
            sum += bps[i];
            uint256 amount;
            (amount, rest) = Split.part(share, rest, bps[i]);
            if (within) assertEq(amount, uint256(share) * bps[i] / 10_000, "a royalty is not rounded down");
            paid += amount;
        }
        assertEq(paid + rest, share, "value is lost or made");
    }

    // Currencies

    function testFuzz_EachCurrencyHasItsOwnBooks(uint64 native, uint64 tokens, uint64 cost) public {
        native = uint64(bound(native, 1, type(uint64).max));
        tokens = uint64(bound(tokens, 1, type(uint64).max));
        cost = uint64(bound(cost, 0, tokens));
        fund(address(0), native);
        fund(address(_coin), tokens);
        claim(receiptOf(address(_coin), cost));
        assertEq(settlement.deposits(user, address(0)), native, "another currency's deposit was touched");
        assertEq(settlement.deposits(user, address(_coin)), tokens - cost, "the deposit was not debited");
        assertEq(settlement.owed(CREATOR, address(0)), 0, "a claim in tokens pays coins");
        assertEq(settlement.owed(CREATOR, address(_coin)), uint256(cost) * 7 / 10, "the creator's share");
        if (settlement.owed(CREATOR, address(_coin)) == 0) return;
        vm.prank(CREATOR);
        settlement.withdraw(address(_coin));
        assertEq(_coin.balanceOf(CREATOR), uint256(cost) * 7 / 10, "the creator was not paid in tokens");
        assertEq(
            _coin.balanceOf(address(settlement)),
            tokens - uint256(cost) * 7 / 10,
            "the contract holds another amount than it owes"
        );
    }

    function test_ADepositIsOfExactlyWhatWasSent() public {
        vm.deal(address(this), 10);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ValueWrong.selector, 2, 1));
        settlement.deposit{value: 1}(address(0), 2);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.ValueWrong.selector, 0, 1));
        settlement.deposit{value: 1}(address(_coin), 1);
        vm.expectRevert(UsageSettlement.AmountZero.selector);
        settlement.deposit(address(_coin), 0);
        vm.expectRevert(UsageSettlement.UserZero.selector);
        settlement.depositFor(address(0), address(_coin), 1);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.AmountTooLarge.selector, 1 << 128, type(uint128).max));
        settlement.deposit(address(_coin), 1 << 128);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.CurrencyWithoutCode.selector, address(1234)));
        settlement.deposit(address(1234), 1);
        (bool ok,) = address(settlement).call{value: 1}("");
        assertFalse(ok, "a plain transfer was taken");
        settlement.deposit(address(_coin), 5);
        assertEq(settlement.deposits(address(this), address(_coin)), 5, "the deposit");
    }

    function test_AFeeOnTransferTokenIsRefused() public {
        _nasty.misbehave(1, 0, false, false);
        vm.expectRevert(
            abi.encodeWithSelector(UsageSettlement.AmountReceivedWrong.selector, address(_nasty), 1_000_000, 999_900)
        );
        settlement.deposit(address(_nasty), 1_000_000);
        assertEq(settlement.deposits(address(this), address(_nasty)), 0, "a refused deposit counts");
    }

    function test_ATokenThatReturnsFalseIsRefused() public {
        _nasty.misbehave(0, 0, false, true);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(_nasty)));
        settlement.deposit(address(_nasty), 100);
    }

    function test_ATokenThatReturnsNothingIsTaken() public {
        _nasty.misbehave(0, 0, true, false);
        fund(address(_nasty), 100);
        claim(receiptOf(address(_nasty), 100));
        vm.prank(POOL);
        settlement.withdrawTo(address(_nasty), address(5));
        assertEq(_nasty.balanceOf(address(5)), 10, "the pool was not paid");
    }

    function test_ATokenThatStartsTakingASurchargeCannotTakeItFromOthersDeposits() public {
        fund(address(_nasty), 1000);
        claim(receiptOf(address(_nasty), 100));
        _nasty.misbehave(0, 1, false, false);
        vm.prank(CREATOR);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.AmountSentWrong.selector, address(_nasty), 70, 71));
        settlement.withdraw(address(_nasty));
        assertEq(settlement.owed(CREATOR, address(_nasty)), 70, "a refused withdrawal counts");
        assertEq(_nasty.balanceOf(address(settlement)), 1000, "tokens have left");
    }

    function test_ACutOfBalancesHarmsThatCurrencyAlone() public {
        fund(address(0), 1000);
        fund(address(_coin), 1000);
        fund(address(_nasty), 1000);
        address[3] memory tokens = [address(0), address(_coin), address(_nasty)];
        for (uint256 i = 0; i < 3; ++i) {
            claim(receiptOf(tokens[i], 1000));
        }
        _nasty.burn(address(settlement), 800);
        vm.startPrank(CREATOR);
        settlement.withdraw(tokens[0]);
        settlement.withdraw(tokens[1]);
        vm.expectRevert();
        settlement.withdraw(tokens[2]);
        vm.stopPrank();
        vm.prank(node);
        settlement.withdraw(tokens[2]);
        assertEq(_nasty.balanceOf(node), 200, "those who come first are paid");
        assertEq(address(settlement).balance + _coin.balanceOf(address(settlement)), 600, "other currencies");
    }

    function test_ATokenCannotReenter() public {
        fund(address(0), 1000);
        fund(address(_nasty), 1000);
        Receipt memory receipt = receiptOf(address(0), 100);
        receipt.user = user;
        bytes32 digest = settlement.receiptDigest(receipt);
        // The token is a user with something to gain in every call.
        _nasty.mint(address(_nasty), 1000);
        _nasty.call(address(_nasty), abi.encodeCall(Coin.approve, (address(settlement), 1000)));
        _nasty.call(address(settlement), abi.encodeCall(UsageSettlement.deposit, (address(_nasty), 100)));
        _nasty.call(address(settlement), abi.encodeCall(UsageSettlement.requestWithdrawal, (address(_nasty), 100)));
        dat.put(DAT, address(_nasty), 0, 0, new Royalty[](0));
        claim(receiptOf(address(_nasty), 100));
        vm.warp(block.timestamp + DELAY);
        bytes[6] memory calls = [
            abi.encodeCall(UsageSettlement.deposit, (address(_nasty), 10)),
            abi.encodeCall(UsageSettlement.depositFor, (user, address(_nasty), 10)),
            abi.encodeCall(UsageSettlement.completeWithdrawal, (address(_nasty))),
            abi.encodeCall(UsageSettlement.withdraw, (address(_nasty))),
            abi.encodeCall(UsageSettlement.withdrawTo, (address(_nasty), address(5))),
            abi.encodeCall(UsageSettlement.claim, (receipt, signed(USER_KEY, digest), signed(NODE_KEY, digest)))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            // Each would succeed by itself.
            uint256 state = vm.snapshotState();
            _nasty.call(address(settlement), calls[i]);
            vm.revertToState(state);
            _nasty.arm(address(settlement), calls[i]);
            settlement.deposit(address(_nasty), 10);
            assertFalse(_nasty.reentered(), "a token re-entered while a deposit was measured");
            assertTrue(
                _nasty.refusal() == ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector, "the refusal"
            );
            vm.revertToState(state);
        }
    }

    // Recipients

    function test_ARecipientCannotReenter() public {
        Thief thief = new Thief(address(settlement));
        fund(address(0), 5000);
        vm.deal(address(this), 1000);
        thief.run{value: 1000}(abi.encodeCall(UsageSettlement.deposit, (address(0), 1000)));
        thief.run(abi.encodeCall(UsageSettlement.requestWithdrawal, (address(0), 500)));
        dat.put(DAT, address(thief), 0, 0, new Royalty[](0));
        claim(receiptOf(address(0), 1000));
        Receipt memory receipt = receiptOf(address(0), 1000);
        bytes32 digest = settlement.receiptDigest(receipt);
        vm.warp(block.timestamp + DELAY);
        bytes[5] memory calls = [
            abi.encodeCall(UsageSettlement.completeWithdrawal, (address(0))),
            abi.encodeCall(UsageSettlement.withdraw, (address(0))),
            abi.encodeCall(UsageSettlement.withdrawTo, (address(0), address(thief))),
            abi.encodeCall(UsageSettlement.claim, (receipt, signed(USER_KEY, digest), signed(NODE_KEY, digest))),
            abi.encodeCall(UsageSettlement.deposit, (address(0), 0))
        ];
        uint256[3] memory amounts = [uint256(500), 700, 700];
        for (uint256 outer = 0; outer < 4; ++outer) {
            for (uint256 inner = 0; inner < 5; ++inner) {
                uint256 state = vm.snapshotState();
                uint256 held = address(settlement).balance;
                thief.arm(calls[inner], false);
                if (outer < 3) {
                    thief.run(calls[outer]);
                } else {
                    // As the recipient of somebody else's money, with something of its own to take.
                    vm.prank(POOL);
                    settlement.withdrawTo(address(0), address(thief));
                }
                assertEq(thief.attempts(), 1, "the thief was not paid");
                assertFalse(thief.succeeded(), "the thief re-entered");
                assertTrue(
                    thief.refusal() == ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector, "the refusal"
                );
                assertEq(address(thief).balance, outer < 3 ? amounts[outer] : 100, "what the thief has");
                assertEq(address(settlement).balance + address(thief).balance, held, "what is left");
                vm.revertToState(state);
            }
        }
    }

    function test_ACreatorThatCannotReceiveCoinsHasThemPaidElsewhere() public {
        Thief thief = new Thief(address(settlement));
        dat.put(DAT, address(thief), 0, 0, new Royalty[](0));
        fund(address(0), 1000);
        claim(receiptOf(address(0), 1000));
        thief.arm("", true);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.TransferFailed.selector, address(thief), 700));
        thief.run(abi.encodeCall(UsageSettlement.withdraw, (address(0))));
        assertEq(settlement.owed(address(thief), address(0)), 700, "a refused payment is lost");
        vm.expectRevert(UsageSettlement.RecipientZero.selector);
        thief.run(abi.encodeCall(UsageSettlement.withdrawTo, (address(0), address(0))));
        vm.expectRevert(UsageSettlement.RecipientSelf.selector);
        thief.run(abi.encodeCall(UsageSettlement.withdrawTo, (address(0), address(settlement))));
        vm.expectEmit(true, true, true, true, address(settlement));
        emit UsageSettlement.Withdrawn(address(thief), address(0), address(0xe15e), 700);
        thief.run(abi.encodeCall(UsageSettlement.withdrawTo, (address(0), address(0xe15e))));
        assertEq(address(0xe15e).balance, 700, "paid elsewhere");
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.NothingOwed.selector, address(thief)));
        thief.run(abi.encodeCall(UsageSettlement.withdraw, (address(0))));
    }

    /// @dev What the contract sent to itself would be in nobody's books any more, and its balance would not show it.
    function test_NothingIsPaidToTheSettlementItself() public {
        fund(address(_coin), 1000);
        claim(receiptOf(address(_coin), 500));
        vm.prank(CREATOR);
        vm.expectRevert(UsageSettlement.RecipientSelf.selector);
        settlement.withdrawTo(address(_coin), address(settlement));
        vm.prank(user);
        vm.expectRevert(UsageSettlement.RecipientSelf.selector);
        settlement.completeWithdrawalTo(address(_coin), address(settlement));
        vm.expectRevert(UsageSettlement.RecipientSelf.selector);
        settlement.proposeParameters(Parameters(address(settlement), 7000, 2000, 1000));
    }

    /// @dev Locked for ever otherwise: a deposit made for a contract that takes no coins, or by somebody whom the token's
    ///      issuer has put on a list since.
    function test_AUserWhoCannotBePaidHasTheDepositPaidElsewhere() public {
        Thief thief = new Thief(address(settlement));
        vm.deal(address(this), 1000);
        settlement.depositFor{value: 1000}(address(thief), address(0), 1000);
        thief.arm("", true);
        thief.run(abi.encodeCall(UsageSettlement.requestWithdrawal, (address(0), 600)));
        bytes memory elsewhere = abi.encodeCall(UsageSettlement.completeWithdrawalTo, (address(0), address(0xe15e)));
        vm.expectPartialRevert(UsageSettlement.WithdrawalTooEarly.selector);
        thief.run(elsewhere);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.TransferFailed.selector, address(thief), 600));
        thief.run(abi.encodeCall(UsageSettlement.completeWithdrawal, (address(0))));
        vm.expectRevert(UsageSettlement.RecipientZero.selector);
        thief.run(abi.encodeCall(UsageSettlement.completeWithdrawalTo, (address(0), address(0))));
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalNotRequested.selector, address(this)));
        settlement.completeWithdrawalTo(address(0), address(this));
        vm.expectEmit(true, true, true, true, address(settlement));
        emit UsageSettlement.DepositWithdrawn(address(thief), address(0), address(0xe15e), 600);
        thief.run(elsewhere);
        assertEq(address(0xe15e).balance, 600, "paid elsewhere");
        assertEq(settlement.deposits(address(thief), address(0)), 400, "the rest");
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalNotRequested.selector, address(thief)));
        thief.run(elsewhere);
    }

    // Signatures

    function test_BothSignaturesAreNeeded() public {
        fund(address(0), 1000);
        Receipt memory receipt = receiptOf(address(0), 10);
        bytes32 digest = settlement.receiptDigest(receipt);
        bytes memory byUser = signed(USER_KEY, digest);
        bytes memory byNode = signed(NODE_KEY, digest);
        bytes memory forged = signed(0xbad, digest);
        _expectRefused(
            receipt, forged, byNode, abi.encodeWithSelector(UsageSettlement.UserSignatureInvalid.selector, user)
        );
        _expectRefused(
            receipt, byUser, forged, abi.encodeWithSelector(UsageSettlement.NodeSignatureInvalid.selector, node)
        );
        _expectRefused(
            receipt, byNode, byUser, abi.encodeWithSelector(UsageSettlement.UserSignatureInvalid.selector, user)
        );
        _expectRefused(receipt, byUser, "", abi.encodeWithSelector(UsageSettlement.NodeSignatureInvalid.selector, node));
        receipt.node = user;
        _expectRefused(receipt, byUser, byUser, abi.encodeWithSelector(UsageSettlement.UserIsNode.selector, user));
    }

    function test_SignaturesForAnotherChainContractOrCurrencyAreRefused() public {
        fund(address(0), 1000);
        fund(address(_coin), 1000);
        Receipt memory receipt = receiptOf(address(_coin), 10);
        bytes memory refusal = abi.encodeWithSelector(UsageSettlement.UserSignatureInvalid.selector, user);
        bytes32 digest = settlement.receiptDigest(receipt);
        receipt.token = address(0);
        _expectRefused(receipt, signed(USER_KEY, digest), signed(NODE_KEY, digest), refusal);
        receipt.token = address(_coin);
        UsageSettlement other = new UsageSettlement(terms(Parameters(POOL, 7000, 2000, 1000)));
        digest = other.receiptDigest(receipt);
        _expectRefused(receipt, signed(USER_KEY, digest), signed(NODE_KEY, digest), refusal);
        vm.chainId(1);
        digest = settlement.receiptDigest(receipt);
        vm.chainId(31337);
        _expectRefused(receipt, signed(USER_KEY, digest), signed(NODE_KEY, digest), refusal);
        claim(receipt);
    }

    function test_TypehashesAreThoseOfTheTypeStrings() public view {
        Receipt memory receipt;
        ReceiptBatch memory batch;
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("anchorproof"),
                keccak256("1"),
                block.chainid,
                address(settlement)
            )
        );
        bytes32 receiptType = keccak256(
            "Receipt(address user,address node,uint256 datId,uint256 nonce,uint256 cost,uint256 costCap,address token,uint256 parameterVersion,uint256 deadline,uint256 usage,bytes32 requestHash,bytes32 responseHash,bytes32 evidenceDigest)"
        );
        bytes32 batchType = keccak256(
            "ReceiptBatch(address user,address node,address token,bytes32 root,uint256 count,uint256 costCap,uint256 nonce,uint256 deadline)"
        );
        assertEq(
            settlement.receiptDigest(receipt),
            keccak256(abi.encodePacked(hex"1901", separator, keccak256(abi.encode(receiptType, receipt)))),
            "receipt"
        );
        assertEq(
            settlement.batchDigest(batch),
            keccak256(abi.encodePacked(hex"1901", separator, keccak256(abi.encode(batchType, batch)))),
            "batch"
        );
    }

    // What a receipt may ask for

    function test_ReceiptsAreRefusedForWhatTheySay() public {
        fund(address(0), 1000);
        Receipt memory receipt = receiptOf(address(0), 10);
        receipt.costCap = 9;
        expectClaimToRevert(receipt, abi.encodeWithSelector(UsageSettlement.CostAboveCap.selector, 10, 9));
        receipt = receiptOf(address(0), 10);
        receipt.deadline = block.timestamp - 1;
        expectClaimToRevert(
            receipt,
            abi.encodeWithSelector(UsageSettlement.DeadlinePassed.selector, block.timestamp - 1, block.timestamp)
        );
        receipt.deadline = block.timestamp;
        claim(receipt);
        expectClaimToRevert(
            receipt, abi.encodeWithSelector(UsageSettlement.ReceiptClaimed.selector, settlement.receiptDigest(receipt))
        );
        receipt = receiptOf(address(0), 10);
        receipt.datId = 1;
        expectClaimToRevert(receipt, abi.encodeWithSelector(UsageSettlement.DatUnknown.selector, 1));
        receipt = receiptOf(address(0), 991);
        expectClaimToRevert(receipt, abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 990, 991));
        uint256[3] memory versions = [uint256(0), 2, type(uint256).max];
        for (uint256 i = 0; i < 3; ++i) {
            receipt = receiptOf(address(0), 10);
            receipt.parameterVersion = versions[i];
            expectClaimToRevert(
                receipt, abi.encodeWithSelector(UsageSettlement.ParameterVersionWrong.selector, versions[i], 1)
            );
        }
    }

    function test_ACostBeyond128BitsIsRefusedThoughATokenPretendsToCoverIt() public {
        fund(address(_nasty), type(uint128).max);
        _nasty.mint(address(this), type(uint128).max);
        fund(address(_nasty), 1);
        expectClaimToRevert(
            receiptOf(address(_nasty), 1 << 128),
            abi.encodeWithSelector(UsageSettlement.AmountTooLarge.selector, 1 << 128, type(uint128).max)
        );
        claim(receiptOf(address(_nasty), type(uint128).max));
    }

    function test_AnExpiredAssetsReceiptsCanBeClaimedForTheClaimWindow() public {
        fund(address(0), 1000);
        uint64 expiry = uint64(block.timestamp + 10);
        dat.put(DAT, CREATOR, expiry, 0, new Royalty[](0));
        vm.warp(expiry + DELAY);
        claim(receiptOf(address(0), 10));
        vm.warp(expiry + DELAY + 1);
        expectClaimToRevert(
            receiptOf(address(0), 10), abi.encodeWithSelector(UsageSettlement.AssetExpired.selector, DAT, expiry)
        );
    }

    function test_UsesAreCountedAndEndAtTheLimit() public {
        fund(address(0), 1000);
        dat.put(DAT, CREATOR, 0, 2, new Royalty[](0));
        vm.prank(CREATOR);
        settlement.setFloor(DAT, address(0), 10);
        claim(receiptOf(address(0), 10));
        assertEq(settlement.uses(DAT), 1, "a use was not counted");
        expectClaimToRevert(
            receiptOf(address(0), 2000), abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 990, 2000)
        );
        assertEq(settlement.uses(DAT), 1, "a refused receipt counts as a use");
        claim(receiptOf(address(0), 10));
        expectClaimToRevert(
            receiptOf(address(0), 10), abi.encodeWithSelector(UsageSettlement.UsesExhausted.selector, DAT, 2)
        );
    }

    function test_StrangersCannotUseUpALimitedAssetForNothing() public {
        fund(address(0), 1000);
        fund(address(_nasty), 1000);
        dat.put(DAT, CREATOR, 0, 2, new Royalty[](0));
        Receipt memory free = receiptOf(address(0), 0);
        expectClaimToRevert(free, abi.encodeWithSelector(UsageSettlement.CostBelowFloor.selector, DAT, 0, 0));
        vm.prank(CREATOR);
        settlement.setFloor(DAT, address(0), 100);
        expectClaimToRevert(free, abi.encodeWithSelector(UsageSettlement.CostBelowFloor.selector, DAT, 0, 100));
        expectClaimToRevert(
            receiptOf(address(0), 99), abi.encodeWithSelector(UsageSettlement.CostBelowFloor.selector, DAT, 99, 100)
        );
        expectClaimToRevert(
            receiptOf(address(_nasty), 1000),
            abi.encodeWithSelector(UsageSettlement.CostBelowFloor.selector, DAT, 1000, 0)
        );
        claim(receiptOf(address(0), 100));
    }

    function test_AFloorIsTheCreatorsAndOnlyFalls() public {
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.NotCreator.selector, address(this), CREATOR));
        settlement.setFloor(DAT, address(0), 1);
        vm.startPrank(CREATOR);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.FloorInvalid.selector, DAT, 0, 0));
        settlement.setFloor(DAT, address(0), 0);
        settlement.setFloor(DAT, address(0), 100);
        uint256[3] memory floors = [uint256(100), 101, 0];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(UsageSettlement.FloorInvalid.selector, DAT, floors[i], 100));
            settlement.setFloor(DAT, address(0), floors[i]);
        }
        settlement.setFloor(DAT, address(0), 99);
        assertEq(settlement.floorOf(DAT, address(0)), 99, "the floor");
    }

    // Lineage

    function testFuzz_ALineageOfSixteenIsPaidOutOfTheCreatorsShare(uint64 cost, uint16 revoked) public {
        Royalty[] memory lineage = new Royalty[](16);
        for (uint256 i = 0; i < 16; ++i) {
            lineage[i] = Royalty({datId: 1000 + i, creator: address(uint160(0x2000 + i)), bps: uint16(100 + 30 * i)});
            dat.put(1000 + i, lineage[i].creator, 0, 0, new Royalty[](0));
            if (revoked >> i & 1 == 1) dat.revoke(1000 + i);
        }
        dat.put(DAT, CREATOR, 0, 0, lineage);
        fund(address(0), 1 + uint256(cost));
        claim(receiptOf(address(0), cost));
        uint256 share = uint256(cost) * 7 / 10;
        uint256 rest = share;
        uint256 withheld = 0;
        for (uint256 i = 0; i < 16; ++i) {
            uint256 amount = share * lineage[i].bps / 10_000;
            rest -= amount;
            bool out = revoked >> i & 1 == 1;
            if (out) withheld += amount;
            assertEq(settlement.owed(lineage[i].creator, address(0)), out ? 0 : amount, "a royalty");
        }
        uint256 forNode = uint256(cost) / 5;
        assertEq(settlement.owed(CREATOR, address(0)), rest, "the creator's own");
        assertEq(settlement.owed(node, address(0)), forNode, "the node's");
        assertEq(settlement.owed(POOL, address(0)), cost - share - forNode, "the pool's");
        assertEq(settlement.deposits(user, address(0)), 1 + withheld, "the user's");
    }

    function test_ALineageThatSumsToMoreThanAllCannotTakeOthersMoney() public {
        Royalty[] memory lineage = new Royalty[](2);
        lineage[0] = Royalty({datId: DAT, creator: address(0x2001), bps: 8000});
        lineage[1] = Royalty({datId: DAT, creator: address(0x2002), bps: 8000});
        dat.put(78, CREATOR, 0, 0, lineage);
        fund(address(0), 1000);
        Receipt memory receipt = receiptOf(address(0), 1000);
        receipt.datId = 78;
        claim(receipt);
        assertEq(settlement.owed(address(0x2001), address(0)), 560, "the first");
        assertEq(settlement.owed(address(0x2002), address(0)), 140, "the second");
        assertEq(settlement.owed(CREATOR, address(0)), 0, "the creator");
        assertEq(settlement.owed(node, address(0)) + settlement.owed(POOL, address(0)), 300, "node and pool");
    }

    function test_FraudDoesNotPay() public {
        // A revoked asset that derives from an honest-looking one of its creator's own.
        Royalty[] memory lineage = new Royalty[](1);
        lineage[0] = Royalty({datId: DAT, creator: CREATOR, bps: 5000});
        dat.put(78, CREATOR, 0, 0, lineage);
        fund(address(0), 2000);
        Receipt memory receipt = receiptOf(address(0), 1000);
        receipt.datId = 78;
        claim(receipt);
        assertEq(settlement.owed(CREATOR, address(0)), 700, "before it is found out");
        dat.revoke(78);
        receipt = receiptOf(address(0), 1000);
        receipt.datId = 78;
        claim(receipt);
        assertEq(settlement.owed(CREATOR, address(0)), 700, "after it is found out");
        assertEq(settlement.owed(node, address(0)), 400, "the node is paid all the same");
        assertEq(settlement.owed(POOL, address(0)), 200, "the pool gets no more than its share");
        assertEq(settlement.deposits(user, address(0)), 700, "the user keeps the rest");
    }

    /// @dev Whoever has a quorum's votes and the pool would otherwise have a reason to revoke what is honest.
    function testFuzz_ARevocationPaysNobodyWhoCanBringItAbout(uint64 cost, bool ofAncestor, bool fromReservation)
        public
    {
        cost = uint64(bound(cost, 1, type(uint64).max));
        address token = fromReservation ? address(_coin) : address(0);
        Royalty[] memory lineage = new Royalty[](1);
        lineage[0] = Royalty({datId: DAT, creator: address(0xa0), bps: 3000});
        dat.put(78, CREATOR, 0, 0, lineage);
        fund(token, cost);
        if (fromReservation) {
            vm.prank(user);
            settlement.reserve(node, token, cost);
        }
        Receipt memory receipt = receiptOf(token, cost);
        receipt.datId = 78;
        uint256 state = vm.snapshotState();
        claim(receipt);
        address[4] memory parties = [POOL, node, CREATOR, address(0xa0)];
        uint256[4] memory before;
        for (uint256 i = 0; i < 4; ++i) {
            before[i] = settlement.owed(parties[i], token);
        }
        vm.revertToState(state);
        dat.revoke(ofAncestor ? DAT : 78);
        uint256 refunded = ofAncestor ? before[3] : before[2] + before[3];
        Payout memory payout = Payout({
            creatorShare: ofAncestor ? before[2] : 0,
            royalties: 0,
            nodeShare: before[1],
            poolShare: before[0],
            refunded: refunded
        });
        vm.expectEmit(true, true, true, true, address(settlement));
        emit UsageSettlement.Claimed(settlement.receiptDigest(receipt), 78, user, node, CREATOR, token, 3, payout);
        claim(receipt);
        uint256 all = settlement.deposits(user, token);
        assertEq(all, refunded, "what revoked creators do not get is not the user's deposit");
        for (uint256 i = 0; i < 4; ++i) {
            uint256 owed = settlement.owed(parties[i], token);
            assertTrue(owed <= before[i], "somebody is paid by a revocation");
            all += owed;
        }
        assertEq(settlement.owed(POOL, token), before[0], "the pool's");
        assertEq(settlement.owed(node, token), before[1], "the node's");
        assertEq(all, cost, "value is lost or made");
    }

    // Deposits

    function test_ADepositThatLeftPaysNoClaim() public {
        fund(address(_coin), 1000);
        Receipt memory receipt = receiptOf(address(_coin), 1000);
        vm.prank(user);
        settlement.requestWithdrawal(address(_coin), 1000);
        assertEq(settlement.securedDeposit(user, address(_coin)), 0, "secured");
        // For the whole window the node can claim.
        vm.warp(block.timestamp + DELAY - 1);
        vm.prank(user);
        vm.expectRevert(
            abi.encodeWithSelector(UsageSettlement.WithdrawalTooEarly.selector, block.timestamp + 1, block.timestamp)
        );
        settlement.completeWithdrawal(address(_coin));
        uint256 state = vm.snapshotState();
        claim(receipt);
        vm.warp(block.timestamp + 1);
        vm.prank(user);
        settlement.completeWithdrawal(address(_coin));
        assertEq(_coin.balanceOf(user), 0, "a user took out what was claimed");
        vm.revertToState(state);
        vm.warp(block.timestamp + 1);
        vm.prank(user);
        settlement.completeWithdrawal(address(_coin));
        assertEq(_coin.balanceOf(user), 1000, "the user's own");
        expectClaimToRevert(receipt, abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 0, 1000));
        // What was asked for once is not asked for of the next deposit.
        fund(address(_coin), 1000);
        vm.prank(user);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalNotRequested.selector, user));
        settlement.completeWithdrawal(address(_coin));
        assertEq(settlement.securedDeposit(user, address(_coin)), 1000, "secured");
    }

    function test_ANewRequestRestartsTheClockAndACancelledOneIsGone() public {
        fund(address(0), 1000);
        vm.startPrank(user);
        vm.expectRevert(UsageSettlement.AmountZero.selector);
        settlement.requestWithdrawal(address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 1000, 1001));
        settlement.requestWithdrawal(address(0), 1001);
        settlement.requestWithdrawal(address(0), 100);
        uint256 ripe = block.timestamp + DELAY;
        vm.warp(ripe);
        settlement.requestWithdrawal(address(0), 1000);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalTooEarly.selector, ripe + DELAY, ripe));
        settlement.completeWithdrawal(address(0));
        settlement.cancelWithdrawal(address(0));
        assertEq(settlement.securedDeposit(user, address(0)), 1000, "secured");
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalNotRequested.selector, user));
        settlement.cancelWithdrawal(address(0));
        vm.warp(ripe + DELAY);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalNotRequested.selector, user));
        settlement.completeWithdrawal(address(0));
        vm.stopPrank();
    }

    function test_ADepositForAnotherIsTheirs() public {
        fund(address(_coin), 10);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.DepositTooSmall.selector, 0, 10));
        settlement.requestWithdrawal(address(_coin), 10);
        vm.prank(user);
        settlement.requestWithdrawal(address(_coin), 10);
        vm.expectRevert(abi.encodeWithSelector(UsageSettlement.WithdrawalNotRequested.selector, address(this)));
        settlement.completeWithdrawal(address(_coin));
    }
}
