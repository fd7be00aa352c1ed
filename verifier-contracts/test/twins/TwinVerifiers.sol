// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGroth16Verifier} from "../../src/verifier/IGroth16Verifier.sol";
import {IUniversalVerifier} from "../../src/verifier/IUniversalVerifier.sol";

// A proof of a twin holds when its first word is this.
uint256 constant HOLDS = 7;

/// @notice Stands for a generated verifier: says of itself what it is told to.
abstract contract TwinKey is IGroth16Verifier {
    bytes32 public KEY_DIGEST;
    bytes32 public CIRCUIT_DIGEST;
    uint256 public N_PUBLIC;
    bool public DEVELOPMENT;
    bytes32 public CEREMONY;

    error PointAtInfinity();
    error ProofInvalid();

    constructor(bytes32 keyDigest, bytes32 circuitDigest, uint256 signals, bytes32 ceremony) {
        KEY_DIGEST = keyDigest;
        CIRCUIT_DIGEST = circuitDigest;
        N_PUBLIC = signals;
        DEVELOPMENT = ceremony == 0;
        CEREMONY = ceremony;
    }

    function _check(uint256 first) internal pure {
        if (first == 0) revert PointAtInfinity();
        if (first != HOLDS) revert ProofInvalid();
    }

    function setDevelopment(bool development) external {
        DEVELOPMENT = development;
    }

    function setCircuit(bytes32 circuitDigest) external {
        CIRCUIT_DIGEST = circuitDigest;
    }
}

/// @notice Takes any number of signals, by the length of the call, and holds it against the selector of that number.
contract TwinVerifier is TwinKey {
    error CallWrong();

    /// @dev Hash of the last words behind the proof that are taken; zero takes all.
    bytes32 public signalsHash;

    constructor(bytes32 keyDigest, bytes32 circuitDigest, uint256 signals, bytes32 ceremony)
        TwinKey(keyDigest, circuitDigest, signals, ceremony)
    {}

    function expectSignals(bytes32 hash) external {
        signalsHash = hash;
    }

    fallback() external {
        bytes4 selector = [
            bytes4(0),
            bytes4(0),
            bytes4(0),
            bytes4(keccak256("verifyProof(uint256[8],uint256[3])")),
            bytes4(keccak256("verifyProof(uint256[8],uint256[4])")),
            bytes4(keccak256("verifyProof(uint256[8],uint256[5])"))
        ][N_PUBLIC];
        if (msg.sig != selector || msg.data.length != 4 + 32 * (8 + N_PUBLIC)) revert CallWrong();
        _check(abi.decode(msg.data[4:36], (uint256)));
        if (signalsHash != 0 && keccak256(msg.data[260:]) != signalsHash) revert CallWrong();
    }
}

contract TwinBatchVerifier is TwinKey {
    constructor(bytes32 keyDigest, bytes32 circuitDigest, uint256 signals, bytes32 ceremony)
        TwinKey(keyDigest, circuitDigest, signals, ceremony)
    {}

    function verifyBatch(uint256[8][] calldata proofs, uint256[] calldata) external pure {
        for (uint256 i = 0; i < proofs.length; ++i) {
            _check(proofs[i][0]);
        }
    }
}

/// @notice Takes everything, silently, as a contract with a fallback for deposits does.
contract TwinTakesAll is TwinKey {
    constructor(bytes32 keyDigest, bytes32 circuitDigest, uint256 signals, bytes32 ceremony)
        TwinKey(keyDigest, circuitDigest, signals, ceremony)
    {}

    fallback() external {}
}

/// @notice Says false in place of reverting, for what is not the all-zero proof.
contract TwinSaysFalse is TwinKey {
    constructor(bytes32 keyDigest, bytes32 circuitDigest, uint256 signals, bytes32 ceremony)
        TwinKey(keyDigest, circuitDigest, signals, ceremony)
    {}

    fallback(bytes calldata call) external returns (bytes memory) {
        if (abi.decode(call[4:36], (uint256)) == 0) revert PointAtInfinity();
        return abi.encode(false);
    }
}

/// @notice Takes everything, after burning all gas that a transaction can have.
contract TwinStarving is TwinKey {
    bool private _starving;

    constructor(bytes32 keyDigest, bytes32 circuitDigest, uint256 signals, bytes32 ceremony)
        TwinKey(keyDigest, circuitDigest, signals, ceremony)
    {}

    function starve() external {
        _starving = true;
    }

    fallback() external {
        if (!_starving) revert PointAtInfinity();
        uint256 burnt = 0;
        while (gasleft() > 0 && burnt < type(uint256).max) ++burnt;
    }
}

/// @notice {TwinSaysFalse} of batches.
contract TwinBatchSaysFalse is TwinKey {
    constructor(bytes32 keyDigest, bytes32 circuitDigest, uint256 signals, bytes32 ceremony)
        TwinKey(keyDigest, circuitDigest, signals, ceremony)
    {}

    function verifyBatch(uint256[8][] calldata proofs, uint256[] calldata) external pure returns (bool) {
        if (proofs[0][0] == 0) revert PointAtInfinity();
        return false;
    }
}

/// @notice Holds one key, whatever it is asked for.
contract TwinUniversal is IUniversalVerifier {
    uint256[] private _words;

    error PointAtInfinity();
    error ProofInvalid();
    error CeremonyWrong(bytes32 ceremony);

    function store(uint256[] calldata keyWords, bytes32) external returns (bytes32) {
        _words = keyWords;
        return 0;
    }

    function verify(bytes32, bytes32 ceremony, uint256[8] calldata proof, uint256[] calldata signals) external pure {
        if (proof[0] == 0) revert PointAtInfinity();
        if (ceremony != bytes32(signals[0]) && proof[0] == HOLDS) revert CeremonyWrong(ceremony);
        if (proof[0] != HOLDS) revert ProofInvalid();
    }

    function keyOf(bytes32, bytes32) external view returns (uint256[] memory) {
        return _words;
    }
}

/// @notice {TwinSaysFalse} with a key as data.
contract TwinUniversalSaysFalse {
    uint256[] private _words;

    error PointAtInfinity();

    constructor(uint256[] memory words) {
        _words = words;
    }

    function keyOf(bytes32, bytes32) external view returns (uint256[] memory) {
        return _words;
    }

    function verify(bytes32, bytes32, uint256[8] calldata proof, uint256[] calldata) external pure returns (bool) {
        if (proof[0] == 0) revert PointAtInfinity();
        return false;
    }
}
