// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LazaiMintGate} from "../src/gate/LazaiMintGate.sol";
import {LazaiMintStatement} from "../src/gate/LazaiStatements.sol";
import {Revocation} from "../src/gate/Statements.sol";
import {
    IDataAnchoringToken,
    Parameters,
    Receipt,
    SettlementParameters,
    UsageSettlement
} from "../src/settlement/UsageSettlement.sol";
import {LazaiWorld} from "./base/LazaiWorld.sol";
import {QuorumTwin} from "./twins/QuorumTwin.sol";
import {RegistryTwin} from "./twins/RegistryTwin.sol";
import {AIProcess, ISettlement} from "./twins/lazai/AIProcess.sol";
import {DataAnchoringToken} from "./twins/lazai/DataAnchoringToken.sol";
import {DataRegistry} from "./twins/lazai/DataRegistry.sol";
import {NodeStatus} from "./twins/lazai/Maintained.sol";
import {Settlement} from "./twins/lazai/Settlement.sol";
import {VerifiedComputing} from "./twins/lazai/VerifiedComputing.sol";

/// @notice The nine defects of LazAI's deployed contracts and SDKs: what each allows, on contracts that behave as theirs,
///         and that the same attempt fails at this project's contracts, or that it is out of their reach.
contract LazaiDefectsTest is LazaiWorld {
    uint256 private constant USER_SECRET = uint256(keccak256("user"));
    address private immutable USER = vm.addr(USER_SECRET);
    address private constant POOL = address(0x9001);

    Settlement private _lazaiSettlement;
    AIProcess private _inference;
    UsageSettlement private _settlement;

    function test_Defect1_ProofOfAnotherFile_MintsOnLazaisPath_NotAtTheGate() public {
        soften();
        uint256 alices = addFile(ALICE, "ipfs://alice");
        uint256 mallorys = addFile(MALLORY, "ipfs://mallory");
        DataRegistry.Proof memory proof =
            signProof(DataRegistry.ProofData({id: alices, score: 5000, fileUrl: "ipfs://alice", proofUrl: "ipfs://p"}));
        vm.startPrank(MALLORY);
        files.addProof(mallorys, proof);
        files.requestReward(mallorys, 1);
        vm.stopPrank();
        assertEq(dat.balanceOf(MALLORY, 1), 5000, "the other file's score is Mallory's");
        assertTrue(dat.verified(1), "and counts as verified");

        harden();
        LazaiMintStatement memory statement = makeMint(alices, ALICE);
        uint256[8] memory own = approve(statement);
        uint256 another = addFile(MALLORY, "ipfs://mallory2");
        statement.file = makeFile(another);
        statement.dataset.asset.fileId = another;
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.mintDataset(statement, own, none());
        statement.dataset.task.requester = MALLORY;
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        gate.mintDataset(statement, own, none());
        // Voted for, the owner's tokens are still nobody else's.
        statement = makeMint(alices, MALLORY);
        own = approve(statement);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.FileOwnerMismatch.selector, ALICE, MALLORY));
        gate.mintDataset(statement, own, none());
    }

    function test_Defect1_LazaisOwnGoldenProof_OfAnEmptyUrl_MintsAnyFile() public {
        soften();
        // Workflow.t.sol of lazbubu-contracts: a proof whose url is empty, for a file whose url is "file1".
        address node = 0x34d9E02F9bB4E4C8836e38DF4320D4a79106F194;
        bytes memory signature =
            hex"fd10d06dda9347726b73eabfa7565524090f1d259a799a580a61fc0f54a52b347f958e9efe2ea35193f6924acd796eb0cdd2eda415f18fe438cdb8a88b541d4e1b";
        vm.prank(ADMIN);
        computing.addNode(node, "http://node", "key");
        DataRegistry.ProofData memory data = DataRegistry.ProofData({id: 1, score: 1, fileUrl: "", proofUrl: ""});
        for (uint256 i = 0; i < 3; ++i) {
            uint256 fileId = addFile(MALLORY, vm.toString(i));
            files.addProof(fileId, DataRegistry.Proof({signature: signature, data: data}));
            files.requestReward(fileId, 1);
            assertTrue(dat.verified(fileId), "one signature, one token for each file");
        }
    }

    function test_Defect2_ProofOfAnotherDeploymentOrChain_MintsOnLazaisPath_NotAtTheGate() public {
        soften();
        (DataAnchoringToken otherDat,, DataRegistry otherFiles) = deployLazai();
        addFile(ALICE, "ipfs://alice");
        DataRegistry.Proof memory proof =
            signProof(DataRegistry.ProofData({id: 1, score: 7, fileUrl: "ipfs://alice", proofUrl: ""}));
        files.addProof(1, proof);
        files.requestReward(1, 1);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        vm.prank(MALLORY);
        otherFiles.addFile("ipfs://alice", SHA256);
        otherFiles.addProof(1, proof);
        otherFiles.requestReward(1, 1);
        assertTrue(otherDat.verified(1), "the same signature, on another chain and registry");
        vm.chainId(here);

        harden();
        LazaiMintStatement memory statement = makeMint(addFile(ALICE, "ipfs://second"), ALICE);
        uint256[8] memory own = approve(statement);
        LazaiMintGate otherGate = deployGate(dat, files);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        otherGate.mintDataset(statement, own, none());
        own = prove(DATASET_KEY, signalsAt(otherGate, statement));
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        otherGate.mintDataset(statement, own, none());
        own = approve(statement);
        vm.chainId(here + 1);
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        gate.mintDataset(statement, own, none());
    }

    function test_Defect2_ProofThatIsYearsOld_MintsOnLazaisPath_NotAtTheGate() public {
        soften();
        uint256 fileId = addFile(ALICE, "ipfs://alice");
        files.addProof(
            fileId, signProof(DataRegistry.ProofData({id: 1, score: 7, fileUrl: "ipfs://alice", proofUrl: ""}))
        );
        LazaiMintStatement memory statement = makeMint(addFile(ALICE, "ipfs://second"), ALICE);
        uint256[8] memory own = approve(statement);
        vm.warp(block.timestamp + 3650 days);
        files.requestReward(fileId, 1);
        assertTrue(dat.verified(1), "no deadline");
        harden();
        vm.expectPartialRevert(LazaiMintGate.DeadlinePassed.selector);
        gate.mintDataset(statement, own, none());
    }

    function test_Defect3_ScoreZeroAgainAndAgain_AndAnyScore_OnLazaisPath_NotAtTheGate() public {
        soften();
        uint256 fileId = addFile(MALLORY, "ipfs://mallory");
        files.addProof(
            fileId, signProof(DataRegistry.ProofData({id: fileId, score: 0, fileUrl: "ipfs://mallory", proofUrl: ""}))
        );
        for (uint256 i = 1; i <= 3; ++i) {
            files.requestReward(fileId, 1);
            assertTrue(dat.currentTokenId() == i && dat.verified(i), "another verified token of the same file");
        }
        uint256 other = addFile(MALLORY, "ipfs://whale");
        files.addProof(
            other,
            signProof(
                DataRegistry.ProofData({id: other, score: type(uint256).max, fileUrl: "ipfs://whale", proofUrl: ""})
            )
        );
        files.requestReward(other, 1);
        assertEq(dat.balanceOf(MALLORY, 4), type(uint256).max, "no score is too high");

        harden();
        // A file that was redeemed with score 0 has no reward, and is still known as redeemed.
        assertEq(files.getFile(fileId).rewardAmount, 0, "no reward");
        LazaiMintStatement memory statement = makeMint(fileId, MALLORY);
        uint256[8] memory own = approve(statement);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.FileRedeemed.selector, fileId, 1, 0));
        gate.mintDataset(statement, own, none());
        statement = makeMint(other, MALLORY);
        own = approve(statement);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.FileRedeemed.selector, other, 1, type(uint256).max));
        gate.mintDataset(statement, own, none());

        statement = makeMint(addFile(MALLORY, "ipfs://third"), MALLORY);
        uint256 limit = gate.MAX_SUPPLY();
        statement.dataset.asset.supply = 0;
        own = approve(statement);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.SupplyOutOfRange.selector, 0, limit));
        gate.mintDataset(statement, own, none());
        statement.dataset.asset.supply = type(uint256).max;
        own = approve(statement);
        vm.expectRevert(abi.encodeWithSelector(LazaiMintGate.SupplyOutOfRange.selector, type(uint256).max, limit));
        gate.mintDataset(statement, own, none());
        statement.dataset.asset.supply = 1;
        mint(statement);
        own = approve(statement);
        vm.expectPartialRevert(LazaiMintGate.StatementUsed.selector);
        gate.mintDataset(statement, own, none());
    }

    /// @dev The job's fee is out of the gate's reach. What the gate gives, it gives for a proof.
    function test_Defect4_AJobIsPaidWithoutAProof_TheGateGivesNothingWithoutOne() public {
        uint256 fileId = addFile(ALICE, "ipfs://alice");
        vm.deal(ALICE, 100);
        vm.prank(ALICE);
        computing.requestProof{value: 100}(fileId);
        vm.startPrank(NODE);
        computing.completeJob(1);
        computing.claim();
        vm.stopPrank();
        assertEq(NODE.balance, 100, "paid");
        assertEq(files.getFileProof(fileId, 1).signature.length, 0, "for nothing");

        LazaiMintStatement memory statement = makeMint(fileId, ALICE);
        approve(statement);
        uint256[8] memory nothing;
        vm.expectRevert(RegistryTwin.ProofInvalid.selector);
        gate.mintDataset(statement, nothing, none());
    }

    function test_Defect5_NothingCommitsToTheEvidence_OnLazaisPath_AtTheGateTheVotesDo() public {
        soften();
        uint256 fileId = addFile(ALICE, "ipfs://alice");
        // No evidence at all will do.
        files.addProof(
            fileId, signProof(DataRegistry.ProofData({id: fileId, score: 9, fileUrl: "ipfs://alice", proofUrl: ""}))
        );
        files.requestReward(fileId, 1);
        assertTrue(dat.verified(1), "verified");

        harden();
        LazaiMintStatement memory statement = makeMint(addFile(ALICE, "ipfs://second"), ALICE);
        uint256[8] memory voted = approve(statement);
        uint256[8] memory other = prove(DATASET_KEY, signalsOf(statement));
        other[7] = 1; // holds as well, and is not the proof that was voted on
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.mintDataset(statement, other, none());
        statement.dataset.asset.metadataDigest = keccak256("another description");
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.mintDataset(statement, voted, none());
    }

    function test_Defect6_ANodeDrawsWhatItLikes_OnLazaisSettlement_NotOnOurs() public {
        _deploySettlements();
        vm.deal(USER, 10_000);
        vm.startPrank(USER);
        _lazaiSettlement.addUser{value: 5000}();
        _lazaiSettlement.depositInference(NODE, 5000);
        vm.stopPrank();
        bytes memory check = signPersonal(USER_SECRET, keccak256(abi.encode(uint256(1), USER, NODE)));
        // One check, the same nonce, whatever costs, and no signature of the node's.
        vm.startPrank(NODE);
        _inference.settlementFees(_fees(3000, 1, check));
        _inference.settlementFees(_fees(1500, 1, check));
        _inference.settlementFees(_fees(500, 1, check));
        vm.stopPrank();
        assertEq(NODE.balance, 5000, "all of it is the node's");
        assertEq(_inference.getAccount(USER, NODE).balance, 0, "the account is empty");

        uint256 datId = mint(makeMint(addFile(ALICE, "ipfs://alice"), ALICE));
        vm.prank(USER);
        _settlement.deposit{value: 5000}(address(0), 5000);
        Receipt memory receipt = _receipt(datId, 1000);
        bytes memory user = _sign(USER_SECRET, receipt);
        bytes memory node = _sign(NODE_SECRET, receipt);
        Receipt memory dearer = _receipt(datId, 3000);
        bytes memory nodes = _sign(NODE_SECRET, dearer);
        vm.expectPartialRevert(UsageSettlement.UserSignatureInvalid.selector);
        _settlement.claim(dearer, user, nodes);
        vm.expectPartialRevert(UsageSettlement.NodeSignatureInvalid.selector);
        _settlement.claim(receipt, user, "");
        _settlement.claim(receipt, user, node);
        vm.expectPartialRevert(UsageSettlement.ReceiptClaimed.selector);
        _settlement.claim(receipt, user, node);
        // 70/20/10, of a token of LazAI's own, through the gate that minted it.
        assertEq(_settlement.owed(ALICE, address(0)), 700, "the creator's");
        assertEq(_settlement.owed(NODE, address(0)), 200, "the node's");
        assertEq(_settlement.owed(POOL, address(0)), 100, "the pool's");
        assertEq(_settlement.deposits(USER, address(0)), 4000, "what is left");
    }

    function test_Defect6_ARevokedTokensCreatorEarnsNothingOnOurs() public {
        _deploySettlements();
        uint256 datId = mint(makeMint(addFile(ALICE, "ipfs://alice"), ALICE));
        Revocation memory revocation = makeRevocation(datId);
        approve(revocation);
        gate.revoke(revocation, none());
        vm.deal(USER, 1000);
        vm.prank(USER);
        _settlement.deposit{value: 1000}(address(0), 1000);
        Receipt memory receipt = _receipt(datId, 1000);
        _settlement.claim(receipt, _sign(USER_SECRET, receipt), _sign(NODE_SECRET, receipt));
        assertEq(_settlement.owed(ALICE, address(0)), 0, "the creator's");
        assertEq(_settlement.owed(POOL, address(0)), 100, "the pool's");
        assertEq(_settlement.deposits(USER, address(0)), 700, "what stays the user's");

        // A token that somebody else minted on LazAI's contract is unknown here.
        vm.prank(ADMIN);
        dat.mint(MALLORY, 1, "ipfs://mallory", true);
        receipt = _receipt(datId + 1, 0);
        bytes memory user = _sign(USER_SECRET, receipt);
        bytes memory node = _sign(NODE_SECRET, receipt);
        vm.expectPartialRevert(UsageSettlement.DatUnknown.selector);
        _settlement.claim(receipt, user, node);
    }

    /// @dev LazAI's settlement is out of the gate's reach: nothing here touches it.
    function test_Defect7_DepositsAndWithdrawalsAreNotBooked_OnLazaisSettlement_OnOursTheyAre() public {
        _deploySettlements();
        vm.deal(USER, 10_000);
        vm.deal(MALLORY, 1000);
        vm.startPrank(USER);
        _lazaiSettlement.addUser{value: 0}();
        _lazaiSettlement.deposit{value: 5000}();
        vm.stopPrank();
        assertEq(_lazaiSettlement.getUser(USER).availableBalance, 0, "a deposit is not credited");
        vm.startPrank(MALLORY);
        _lazaiSettlement.addUser{value: 1000}();
        for (uint256 i = 0; i < 6; ++i) {
            _lazaiSettlement.withdraw(1000);
        }
        vm.stopPrank();
        assertEq(MALLORY.balance, 6000, "a withdrawal is not debited: the others' money is gone");

        vm.prank(USER);
        _settlement.deposit{value: 5000}(address(0), 5000);
        assertEq(_settlement.deposits(USER, address(0)), 5000, "credited");
        vm.startPrank(MALLORY);
        _settlement.deposit{value: 1000}(address(0), 1000);
        _settlement.requestWithdrawal(address(0), 1000);
        vm.warp(block.timestamp + _settlement.withdrawalDelay());
        _settlement.completeWithdrawal(address(0));
        assertEq(_settlement.deposits(MALLORY, address(0)), 0, "debited");
        vm.expectPartialRevert(UsageSettlement.WithdrawalNotRequested.selector);
        _settlement.completeWithdrawal(address(0));
        vm.expectPartialRevert(UsageSettlement.DepositTooSmall.selector);
        _settlement.requestWithdrawal(address(0), 1000);
        vm.stopPrank();
        assertEq(address(_settlement).balance, 5000, "the others' money is there");
    }

    function test_Defect8_ANodeIsWhomAMaintainerNames_AndItsFraudStands_UntilAQuorumRevokes() public {
        soften();
        // Nothing but an address is asked of a node, and removing it takes nothing back.
        uint256 fileId = addFile(MALLORY, "ipfs://mallory");
        files.addProof(
            fileId, signProof(DataRegistry.ProofData({id: fileId, score: 1, fileUrl: "ipfs://mallory", proofUrl: ""}))
        );
        files.requestReward(fileId, 1);
        vm.prank(ADMIN);
        computing.removeNode(NODE);
        assertTrue(computing.getNode(NODE).status == NodeStatus.Removed, "removed");
        assertTrue(dat.verified(1), "its token is verified as before");

        harden();
        Revocation memory revocation = makeRevocation(1);
        vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
        gate.revoke(revocation, none());
        approve(revocation);
        gate.revoke(revocation, none());
        assertFalse(dat.verified(1), "taken back on a certificate");

        // At the gate no single party's word mints: without votes, not with a node's or the administrator's call either.
        LazaiMintStatement memory statement = makeMint(addFile(MALLORY, "ipfs://second"), MALLORY);
        uint256[8] memory proof = prove(DATASET_KEY, signalsOf(statement));
        address[3] memory callers = [NODE, ADMIN, MALLORY];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectPartialRevert(QuorumTwin.NotVoted.selector);
            gate.mintDataset(statement, proof, none());
        }
    }

    /// @dev The SDKs are out of the gate's reach. This package's encodings are held by test/chain/lazai-codec.test.ts.
    function test_Defect9_TheSdksCallWithoutTheHash_IsNoCallOfTheRegistry() public {
        DataRegistry.Permission[] memory permissions = new DataRegistry.Permission[](0);
        bytes memory three = abi.encode("ipfs://alice", ALICE, permissions);
        (bool asItsOwn,) = address(files)
            .call(
                abi.encodePacked(bytes4(keccak256("addFileWithPermissions(string,address,(address,string)[])")), three)
            );
        (bool asTheirs,) = address(files).call(abi.encodePacked(DataRegistry.addFileWithPermissions.selector, three));
        assertFalse(asItsOwn || asTheirs, "taken");
        // SettlementData with an address for the cost has another selector, too.
        assertTrue(
            AIProcess.settlementFees.selector
                != bytes4(keccak256("settlementFees((bytes,(string,address,address,uint256,bytes)))")),
            "one selector"
        );
    }

    function _deploySettlements() private {
        AIProcess nobody = new AIProcess(ADMIN, ISettlement(address(0)), 1 hours);
        _inference = new AIProcess(ADMIN, ISettlement(address(0)), 1 hours);
        _lazaiSettlement = new Settlement(ADMIN, nobody, _inference, nobody);
        vm.startPrank(ADMIN);
        _inference.updateSettlement(address(_lazaiSettlement));
        _inference.addNode(NODE, "http://node", "key");
        vm.stopPrank();
        _settlement = new UsageSettlement(
            SettlementParameters({
                owner: ADMIN,
                dat: IDataAnchoringToken(address(gate)),
                shares: Parameters({pool: POOL, creatorBps: 7000, nodeBps: 2000, poolBps: 1000}),
                withdrawalDelay: 1 days,
                parameterDelay: 1 days
            })
        );
    }

    function _fees(uint256 cost, uint256 nonce, bytes memory check) private view returns (AIProcess.Settlement memory) {
        return AIProcess.Settlement({
            signature: "",
            data: AIProcess.SettlementData({id: "chat", user: USER, cost: cost, nonce: nonce, userSignature: check})
        });
    }

    function _receipt(uint256 datId, uint256 cost) private view returns (Receipt memory receipt) {
        receipt.user = USER;
        receipt.node = NODE;
        receipt.datId = datId;
        receipt.cost = cost;
        receipt.costCap = cost;
        receipt.parameterVersion = _settlement.parameterVersion();
        receipt.deadline = block.timestamp + 1 hours;
    }

    function _sign(uint256 secret, Receipt memory receipt) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, _settlement.receiptDigest(receipt));
        return abi.encodePacked(r, s, v);
    }
}
