// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Statements} from "../gate/Statements.sol";
import {Entry, IVerifierRegistry} from "../verifier/IVerifierRegistry.sol";
import {BadProof, ProofEvidence} from "./BadProof.sol";
import {Bonds, QuorumParameters} from "./Bonds.sol";
import {Certificates} from "./Certificates.sol";
import {Epochs} from "./Epochs.sol";

/// @notice Which member of which epoch, shown by the whole set.
struct Seat {
    uint64 epoch;
    uint256 index; // of the member
    bytes members; // the epoch's set, as in a certificate
}

/// @notice What a member said of a task in a round, signed.
struct Ballot {
    bytes32 statementDigest;
    bytes32 evidenceDigest;
    uint8 verdict;
    bytes signature; // 64 bytes (r, vs: ERC-2098)
}

/// @title Quorum
/// @notice Epochs of weighted members, their certificates, their bonds, and what costs them: {Epochs}, {Certificates},
///         {Bonds}, and here the evidence. Anyone may show it; each offence is slashed once, however often it is shown.
/// @dev Evidence is what a member signed under this contract's domain, so votes on another chain or for another quorum are
///      none, and of any epoch that was ever set here, since a member can leave faster than evidence turns up.
///
///      What a member must do to be safe: sign one vote a task and round and keep record of it (another proof of the same
///      statement is another vote: it needs another round), and accept only after checking the very proof that the evidence
///      digest names, under a key that is in the registry, with a verifier that is the key's (`anchorproof contract
///      verify-source`; the universal verifier checks keys by itself). The last is needed because the registry's
///      owner vouches for generated verifiers: one that lied would get those slashed who accept under its key. Entries are
///      announced before they count and never change, so one look is enough.
///
///      NOT slashable here: an acceptance of a statement that its proof does not match (a contract that takes certificates
///      rebuilds every public signal from the statement itself; members who sign such a thing achieve nothing), evidence
///      other than one Groth16 proof, rejections of what is good, and silence.
contract Quorum is Bonds, Certificates {
    /// @notice Kinds of offences, see {offenceOf}.
    uint8 public constant EQUIVOCATION = 1;
    uint8 public constant INVALID_ACCEPTANCE = 2;

    /// @notice Whose verifiers say that a proof is bad.
    IVerifierRegistry public immutable registry;

    error RegistryWithoutCode(address registry);
    error SeatInvalid(uint256 index, uint256 members);
    error VotesEqual();
    error KeyUnknown(bytes32 keyDigest);
    error KeyFrozen(bytes32 keyDigest);

    constructor(QuorumParameters memory parameters)
        Epochs(parameters.owner)
        Bonds(parameters)
        EIP712("anchorproof", "1")
    {
        if (address(parameters.registry).code.length == 0) {
            revert RegistryWithoutCode(address(parameters.registry));
        }
        registry = parameters.registry;
    }

    /// @notice Slashes a member for two different votes on one task in one round of one epoch.
    /// @dev Both must be votes that could stand in a certificate but for the other: of one member, with a valid verdict. Which
    ///      of them is right does not matter. More than two, or two pairs, are one offence.
    function slashEquivocation(
        Seat calldata seat,
        bytes32 taskId,
        uint32 round,
        Ballot calldata one,
        Ballot calldata other
    ) external {
        if (
            one.statementDigest == other.statementDigest && one.evidenceDigest == other.evidenceDigest
                && one.verdict == other.verdict
        ) revert VotesEqual();
        address member = _sitting(seat);
        _requireBallot(member, seat.epoch, taskId, round, one);
        _requireBallot(member, seat.epoch, taskId, round, other);
        _slash(member, offenceOf(EQUIVOCATION, member, seat.epoch, taskId, round));
    }

    /// @notice Slashes a member for accepting, by signature, a proof that its verifier refuses.
    /// @dev The verifier is called directly, see {BadProof}. Under a frozen key there is no evidence: a key is frozen when
    ///      something about it, or its verifier, turned out to be wrong, and then its word should cost nobody anything.
    ///      (Whoever can freeze can so spare a member, at the price of the key, and not from an equivocation.) The other way
    ///      round freezing makes nothing slashable: a proof that held when it was accepted holds in the verifier for ever.
    /// @param statementDigest the rest of the vote: its verdict is to accept, and its evidence digest is that of `evidence`
    function slashInvalidAcceptance(
        Seat calldata seat,
        bytes32 taskId,
        uint32 round,
        bytes32 statementDigest,
        bytes calldata signature,
        ProofEvidence calldata evidence
    ) external {
        address member = _sitting(seat);
        bytes32 digest =
            voteDigest(seat.epoch, taskId, round, statementDigest, evidenceDigestOf(evidence), VERDICT_ACCEPT);
        _requireSigner(digest, signature, member);
        Entry memory entry = registry.entryOf(evidence.keyDigest);
        if (entry.verifier == address(0)) revert KeyUnknown(evidence.keyDigest);
        if (entry.frozen) revert KeyFrozen(evidence.keyDigest);
        BadProof.requireBad(entry, evidence);
        _slash(member, offenceOf(INVALID_ACCEPTANCE, member, seat.epoch, taskId, round));
    }

    /// @notice Names an offence: what {slashed} is about.
    function offenceOf(uint8 kind, address member, uint64 epoch_, bytes32 taskId, uint32 round)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(kind, member, epoch_, taskId, round));
    }

    /// @notice The evidence digest of a proof, as votes have it.
    function evidenceDigestOf(ProofEvidence calldata evidence) public pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                Statements.EVIDENCE_TAG, evidence.keyDigest, evidence.signals.length, evidence.signals, evidence.proof
            )
        );
    }

    function _sitting(Seat calldata seat) private view returns (address member) {
        _requireSet(seat.epoch, seat.members);
        uint256 count = seat.members.length / _MEMBER_SIZE;
        if (seat.index >= count) revert SeatInvalid(seat.index, count);
        (member,) = _memberAt(seat.members, seat.index);
    }

    function _requireBallot(address member, uint64 epoch_, bytes32 taskId, uint32 round, Ballot calldata ballot)
        private
        view
    {
        _requireVerdict(ballot.verdict);
        bytes32 digest =
            voteDigest(epoch_, taskId, round, ballot.statementDigest, ballot.evidenceDigest, ballot.verdict);
        _requireSigner(digest, ballot.signature, member);
    }
}
