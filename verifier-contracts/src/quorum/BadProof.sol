// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IUniversalVerifier} from "../verifier/IUniversalVerifier.sol";
import {Entry} from "../verifier/IVerifierRegistry.sol";

/// @notice A Groth16 proof with what it is a proof of, as evidence digests name it.
struct ProofEvidence {
    bytes32 keyDigest;
    uint256[] signals;
    uint256[8] proof; // A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y
}

/// @title BadProof
/// @notice Shows that a proof is bad, to those who take somebody's money for it: whatever else may have made a verifier fail
///         must not look the same, at no amount of gas.
/// @dev The verifier is immutable, so what it refuses now it has always refused, and what it accepts was never an offence.
///      Of its answers
///       - {ProofInvalid}, {PublicSignalNotInField} and {PointAtInfinity} say that the proof is bad. They are reverted
///         with after every precompile has answered, or without asking any, so no lack of gas gives them.
///       - {PrecompileFailed} says that a precompile gave no answer. A malformed point does that, and so does a lack of gas:
///         the caller of a transaction chooses its gas, and the 64th part that EIP-150 leaves to the verifier is enough
///         for it to revert in good order. So this answer is only taken as a reason to look at the points here, see
///         {_malformed}.
///       - Everything else (no error, none of a verifier's, DevelopmentKeyLocked, CalldataSizeWrong, …) says nothing.
///      NOT enforced: that a registered verifier is what its key digest says. The registry's owner vouches for that; see
///      {Quorum}.
library BadProof {
    error ProofHolds();
    error VerifierWithoutCode(address verifier);
    error EvidenceSignalsWrong(uint256 expected, uint256 given);
    error AnswerInconclusive(bytes answer);
    error PointsWellFormed();
    error ControlFailed();

    // Of generated verifiers and of the universal one.
    bytes32 private constant _PROOF_INVALID = keccak256(abi.encodePacked(bytes4(keccak256("ProofInvalid()"))));
    bytes32 private constant _POINT_AT_INFINITY = keccak256(abi.encodePacked(bytes4(keccak256("PointAtInfinity()"))));
    bytes32 private constant _PRECOMPILE_FAILED = keccak256(abi.encodePacked(bytes4(keccak256("PrecompileFailed()"))));
    bytes4 private constant _SIGNAL_NOT_IN_FIELD = bytes4(keccak256("PublicSignalNotInField(uint256)"));

    // EIP-197: the generator of G2, of each coordinate the imaginary part first. The generator of G1 is (1, 2).
    uint256 private constant _G2_X_C1 = 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 private constant _G2_X_C0 = 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 private constant _G2_Y_C1 = 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b;
    uint256 private constant _G2_Y_C0 = 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa;
    uint256 private constant _Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    /// @notice Returns when the proof is bad under the entry's key, and reverts when it is good or that cannot be told.
    /// @param entry of the evidence's key, with a verifier
    function requireBad(Entry memory entry, ProofEvidence calldata evidence) internal view {
        address verifier = entry.verifier;
        // A call to an address without code succeeds, which would say that the proof holds; only the error is better.
        if (verifier.code.length == 0) revert VerifierWithoutCode(verifier);
        uint256 count = evidence.signals.length;
        if (count != entry.signals) revert EvidenceSignalsWrong(entry.signals, count);

        // A malformed point burns all that is given, so half is kept to look into it.
        (bool holds, bytes memory answer) = verifier.staticcall{gas: gasleft() / 2}(
            entry.universal
                ? abi.encodeCall(
                    IUniversalVerifier.verify, (evidence.keyDigest, entry.ceremony, evidence.proof, evidence.signals)
                )
                : abi.encodePacked(_generatedSelector(count), evidence.proof, evidence.signals)
        );
        if (holds) revert ProofHolds();
        bytes32 hash = keccak256(answer);
        if (hash == _PROOF_INVALID || hash == _POINT_AT_INFINITY) return;
        // forge-lint: disable-next-line(unsafe-typecast) -- the selector is what is wanted
        if (answer.length == 36 && bytes4(answer) == _SIGNAL_NOT_IN_FIELD) return;
        if (hash != _PRECOMPILE_FAILED) revert AnswerInconclusive(answer);
        _requireMalformed(evidence.proof);
    }

    /// @dev verifyProof(uint256[8],uint256[n]) of generated verifiers.
    function _generatedSelector(uint256 signals) private pure returns (bytes4) {
        return bytes4(keccak256(abi.encodePacked("verifyProof(uint256[8],uint256[", Strings.toString(signals), "])")));
    }

    /// @dev Asks the pairing precompile about the proof's points alone, as e(A, B) · e(C, G2), and then, as a positive
    ///      control, about generators, as many of them, with no more gas. What a pairing costs depends on the number of
    ///      points only (EIP-197, EIP-1108, and every repricing proposed), so
    ///       - no answer about the proof's points, and one about the generators: the former had enough gas, and are
    ///         no points. Malformed under every key: not canonical, not on their curve or not in the subgroup.
    ///       - no answer to either: too little gas, no precompile, or a call too deep. No evidence.
    ///      That is the gas floor: measured against this chain's own price at this moment, with none written down.
    ///
    ///      The control never has more gas: both name the same amount, and of that EIP-150 gives as much as there is, which
    ///      after the first call is less.
    function _requireMalformed(uint256[8] calldata proof) private view {
        bool malformed;
        bool control;
        assembly ("memory-safe") {
            let input := mload(0x40) // free memory, not kept
            let share := div(gas(), 2)
            // A, B, C as they stand
            calldatacopy(input, proof, 0x100)
            mstore(add(input, 0x100), _G2_X_C1)
            mstore(add(input, 0x120), _G2_X_C0)
            mstore(add(input, 0x140), _G2_Y_C1)
            mstore(add(input, 0x160), _G2_Y_C0)
            malformed := iszero(staticcall(share, 0x08, input, 0x180, 0x00, 0x20))

            // e(G1, G2) · e(-G1, G2) = 1; the second G2 stands already.
            mstore(input, 1)
            mstore(add(input, 0x20), 2)
            mcopy(add(input, 0x40), add(input, 0x100), 0x80)
            mstore(add(input, 0xc0), 1)
            mstore(add(input, 0xe0), sub(_Q, 2))
            mstore(0x00, 0)
            control := staticcall(share, 0x08, input, 0x180, 0x00, 0x20)
            // An absent precompile "succeeds" with nothing.
            control := and(control, and(eq(returndatasize(), 0x20), eq(mload(0x00), 1)))
        }
        if (!control) revert ControlFailed();
        if (!malformed) revert PointsWellFormed();
    }
}
