// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IUniversalVerifier} from "./IUniversalVerifier.sol";

/// @notice The code of such a contract is a key's data. Its first byte is STOP: called, it does nothing.
/// @dev The data is asked back from the creator and not given to the constructor, so that the creation code is the same for
///      all keys and the address follows from creator and salt alone.
contract KeyBlob {
    constructor() {
        bytes memory blob = UniversalVerifier(msg.sender).pendingBlob();
        assembly ("memory-safe") {
            return(add(blob, 0x20), mload(blob))
        }
    }
}

/// @title UniversalVerifier
/// @notice Groth16 over BN254 for all models: one contract, with keys as data that are named by their digest.
/// @dev The equation is e(A, B) · e(-alpha, beta) · e(vk_x, -gamma) · e(C, -delta) = 1, and proofs are treated as
///      generated verifiers treat them: points go to the precompiles as they came, which refuse coordinates that are not
///      below q, points off their curve and a B outside the subgroup of order r.
///
///      Keys are checked once, when they are stored: all that src/verifier/lint.ts compares is compared here. Its runs of a
///      forgery are not repeated: points are equal up to sign exactly when their x are, so comparing misses nothing.
///
///      NOT enforced here: replay protection (key it on the statement, never on the proof: anyone can re-randomise a
///      Groth16 proof), the meaning of the public signals, which circuit a key is for, and the soundness of a key's setup.
///      Anyone can store any key beside any ceremony id. Whoever calls {verify} vouches for both: {VerifierRegistry} does.
///
///      A malformed point makes a precompile fail, and a failing precompile burns the gas it was given. Callers that
///      must survive that should bound the gas of the call. No gas figure is written down here: prices change.
contract UniversalVerifier is IUniversalVerifier {
    /// @notice Most public signals of a key.
    uint256 public constant MAX_SIGNALS = 128;

    uint256 private constant _DEVELOPMENT_CHAIN = 31337;

    /// @dev keccak256 of the name; with a key's words behind it, the preimage of the key's digest.
    bytes32 private constant _KEY_TAG = keccak256("anchorproof/groth16-bn254-key/1");

    /// @dev BN254 (EIP-196): the field of coordinates, and the order of the groups. Public signals are below the latter, or
    ///      two of them would mean the same.
    uint256 private constant _Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;
    uint256 private constant _R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// @dev x of the generators: G1's, and G2's, the imaginary part first.
    uint256 private constant _G1_X = 1;
    uint256 private constant _G2_X_C1 = 11559732032986387107991004021392285783925812861821192530917403151452391805634;
    uint256 private constant _G2_X_C0 = 10857046999023057135944570762232829481370756359578518086990519993285655852781;

    // Where a key's points stand among its words.
    uint256 private constant _ALPHA = 1;
    uint256 private constant _BETA = 3;
    uint256 private constant _GAMMA = 7;
    uint256 private constant _DELTA = 11;
    uint256 private constant _IC = 15;

    // A key's data, in words after the first byte: what {verify} gives to the pairing, as it lies there. Where C will stand
    // are ceremony and number of signals; behind it the points of IC but the first.
    //   0 -alpha   2 beta   6 IC[0]   8 -gamma   12 ceremony, signals   14 -delta   18 IC[1]…
    uint256 private constant _BLOB_BETA = 2;
    uint256 private constant _BLOB_IC0 = 6;
    uint256 private constant _BLOB_GAMMA = 8;
    uint256 private constant _BLOB_CEREMONY = 12;
    uint256 private constant _BLOB_SIGNALS = 13;
    uint256 private constant _BLOB_DELTA = 14;
    uint256 private constant _BLOB_IC1 = 18;

    bytes32 private immutable _blobCodeHash = keccak256(type(KeyBlob).creationCode);

    event KeyStored(
        bytes32 indexed keyDigest, bytes32 indexed ceremony, address indexed by, address blob, uint256 signals
    );

    // Of keys.
    error KeyWordsWrong(uint256 expected, uint256 given);
    error KeySignalsTooMany(uint256 limit, uint256 given);
    error KeyCoordinateNotCanonical(uint256 word);
    error KeyPointAtInfinity(uint256 word);
    error KeyPointNotOnCurve(uint256 word);
    error KeyPointNotInSubgroup();
    error KeyPointIsGenerator(uint256 word);
    error KeyPointsAlike(uint256 word, uint256 other);
    error KeyNotStored(bytes32 keyDigest, bytes32 ceremony);

    // Of proofs, as generated verifiers have them.
    error SignalCountWrong(uint256 expected, uint256 given);
    error CalldataSizeWrong(uint256 expected, uint256 given);
    error CalldataLayoutWrong();
    error DevelopmentKeyLocked(uint256 chainId);
    error PublicSignalNotInField(uint256 index);
    error PointAtInfinity();
    error PrecompileFailed();
    error ProofInvalid();

    /// @inheritdoc IUniversalVerifier
    /// @dev A key that is there already is left alone, and its digest returned all the same. Word numbers in errors count
    ///      from nPublic, which is word 0.
    function store(uint256[] calldata keyWords, bytes32 ceremony) external returns (bytes32 keyDigest) {
        uint256 signals = _countSignals(keyWords);
        keyDigest = keccak256(abi.encodePacked(_KEY_TAG, keyWords));
        if (blobOf(keyDigest, ceremony) != address(0)) return keyDigest;
        _checkPoints(keyWords);
        _checkUnlike(keyWords);

        _setPending(keyWords, signals, ceremony);
        address blob = address(new KeyBlob{salt: Hashes.efficientKeccak256(keyDigest, ceremony)}());
        _clearPending();
        if (blob.code.length != _blobSize(signals)) revert KeyNotStored(keyDigest, ceremony);
        emit KeyStored(keyDigest, ceremony, msg.sender, blob, signals);
    }

    /// @inheritdoc IUniversalVerifier
    function verify(bytes32 keyDigest, bytes32 ceremony, uint256[8] calldata proof, uint256[] calldata signals)
        external
        view
    {
        uint256 count; // of the key's signals
        {
            address blob = _blobAddress(keyDigest, ceremony);
            uint256 size = blob.code.length;
            if (size == 0) revert KeyNotStored(keyDigest, ceremony);
            // Memory is used at fixed addresses from 0x80 on: nothing has been allocated, and only reverts follow, which may
            // write over it.
            bytes32 stored;
            assembly {
                extcodecopy(blob, 0x140, 0x01, sub(size, 0x01))
                stored := mload(0x2c0)
                count := mload(0x2e0)
            }
            if (stored == 0 && block.chainid != _DEVELOPMENT_CHAIN) revert DevelopmentKeyLocked(block.chainid);
        }
        if (signals.length != count) revert SignalCountWrong(count, signals.length);
        // Selector, digest, ceremony, eight words of proof, the place and the number of signals.
        uint256 calldataSize = 4 + 32 * (12 + count);
        if (msg.data.length != calldataSize) revert CalldataSizeWrong(calldataSize, msg.data.length);
        bool inOrder; // or the number of signals could stand in the proof, say, and words behind it would mean nothing
        assembly ("memory-safe") {
            inOrder := eq(signals.offset, 0x184)
        }
        if (!inOrder) revert CalldataLayoutWrong();

        bool sound = true; // no signal out of the field, no precompile failed
        bool holds;
        bool finite;
        assembly {
            // Yul evaluates arguments from right to left: in and(eq(returndatasize(), n), staticcall(…)) the call comes
            // first. A call to an address without code succeeds and returns nothing, so the size of what came back is what
            // tells a precompile's answer from its absence.

            // 0x080 A          0x0c0 B        the pairing's input: four pairs of 0xc0 bytes
            // 0x140 -alpha     0x180 beta     from here on the blob, as it was copied
            // 0x200 IC[0]      0x240 -gamma   vk_x in the end
            // 0x2c0 ceremony   0x300 -delta   C in the end
            // 0x380 IC[1]…

            // vk_x = IC[0] + Σ signal[i] · IC[i + 1], summed up where A will be. At 0xc0 stand a point and a scalar, then
            // their product, which is so the second summand of the addition.
            mcopy(0x80, 0x200, 0x40)
            let point := 0x380
            let end := add(signals.offset, shl(5, count))
            for { let source := signals.offset } lt(source, end) { source := add(source, 0x20) } {
                let signal := calldataload(source)
                mcopy(0xc0, point, 0x40)
                mstore(0x100, signal)
                sound := and(
                    and(eq(returndatasize(), 0x40), staticcall(gas(), 0x06, 0x80, 0x80, 0x80, 0x40)),
                    and(
                        and(eq(returndatasize(), 0x40), staticcall(gas(), 0x07, 0xc0, 0x60, 0xc0, 0x40)),
                        and(sound, lt(signal, _R))
                    )
                )
                point := add(point, 0x40)
            }
            mcopy(0x200, 0x80, 0x40)
            calldatacopy(0x80, proof, 0xc0) // A, B
            calldatacopy(0x2c0, add(proof, 0xc0), 0x40) // C

            // Infinity is (0, 0) to the precompiles, and in these groups of odd order nothing else has y = 0. No honest
            // proof has such a point; off chain one is refused as malformed, and so it is here.
            finite := iszero(or(or(iszero(mload(0xa0)), iszero(mload(0x2e0))), iszero(or(mload(0x100), mload(0x120)))))

            mstore(0x00, 0) // the result's place: what is read from it was written by the precompile, or is zero
            sound := and(sound, and(eq(returndatasize(), 0x20), staticcall(gas(), 0x08, 0x80, 0x300, 0x00, 0x20)))
            holds := and(and(sound, finite), eq(mload(0x00), 1))
        }
        if (!holds) {
            for (uint256 i = 0; i < count; ++i) {
                if (signals[i] >= _R) revert PublicSignalNotInField(i);
            }
            if (!finite) revert PointAtInfinity();
            if (!sound) revert PrecompileFailed();
            revert ProofInvalid();
        }
    }

    /// @inheritdoc IUniversalVerifier
    function keyOf(bytes32 keyDigest, bytes32 ceremony) external view returns (uint256[] memory keyWords) {
        address blob = blobOf(keyDigest, ceremony);
        if (blob == address(0)) revert KeyNotStored(keyDigest, ceremony);
        uint256[] memory data = new uint256[](blob.code.length / 32);
        assembly ("memory-safe") {
            extcodecopy(blob, add(data, 0x20), 0x01, mul(mload(data), 0x20))
        }
        uint256 signals = data[_BLOB_SIGNALS];
        keyWords = new uint256[](_IC + 2 * (signals + 1));
        keyWords[0] = signals;
        (keyWords[_ALPHA], keyWords[_ALPHA + 1]) = (data[0], _negate(data[1]));
        for (uint256 i = 0; i < 4; ++i) {
            keyWords[_BETA + i] = data[_BLOB_BETA + i];
            // The y of gamma and delta are stored negated, and have two coordinates each.
            keyWords[_GAMMA + i] = i < 2 ? data[_BLOB_GAMMA + i] : _negate(data[_BLOB_GAMMA + i]);
            keyWords[_DELTA + i] = i < 2 ? data[_BLOB_DELTA + i] : _negate(data[_BLOB_DELTA + i]);
        }
        (keyWords[_IC], keyWords[_IC + 1]) = (data[_BLOB_IC0], data[_BLOB_IC0 + 1]);
        for (uint256 i = 0; i < 2 * signals; ++i) {
            keyWords[_IC + 2 + i] = data[_BLOB_IC1 + i];
        }
    }

    /// @notice The contract whose code is the key's data; zero where the key is not stored.
    function blobOf(bytes32 keyDigest, bytes32 ceremony) public view returns (address blob) {
        blob = _blobAddress(keyDigest, ceremony);
        if (blob.code.length == 0) return address(0);
    }

    /// @notice What is being stored, while it is; nothing at any other time. For {KeyBlob}.
    function pendingBlob() external view returns (bytes memory blob) {
        uint256 words;
        assembly ("memory-safe") {
            words := tload(0)
        }
        if (words == 0) return blob;
        blob = new bytes(1 + 32 * words);
        assembly ("memory-safe") {
            let target := add(blob, 0x21) // behind the length and the first byte, which stays zero: STOP
            for { let i := 1 } iszero(gt(i, words)) { i := add(i, 1) } {
                mstore(target, tload(i))
                target := add(target, 0x20)
            }
        }
    }

    function _countSignals(uint256[] calldata keyWords) private pure returns (uint256 signals) {
        if (keyWords.length == 0) revert KeyWordsWrong(_IC + 2, 0);
        signals = keyWords[0];
        if (signals > MAX_SIGNALS) revert KeySignalsTooMany(MAX_SIGNALS, signals);
        uint256 expected = _IC + 2 * (signals + 1);
        if (keyWords.length != expected) revert KeyWordsWrong(expected, keyWords.length);
    }

    /// @dev Coordinates below q, no point at infinity, and every point in its group by the precompiles' word.
    function _checkPoints(uint256[] calldata keyWords) private view {
        uint256 end = keyWords.length;
        for (uint256 i = 1; i < end; ++i) {
            if (keyWords[i] >= _Q) revert KeyCoordinateNotCanonical(i);
        }
        _checkG1(keyWords, _ALPHA);
        for (uint256 i = _IC; i < end; i += 2) {
            _checkG1(keyWords, i);
        }
        uint256[18] memory pairs; // of the generator with beta, gamma and delta each
        for (uint256 i = 0; i < 3; ++i) {
            (pairs[6 * i], pairs[6 * i + 1]) = (_G1_X, 2);
            uint256 word = _BETA + 4 * i;
            uint256 any;
            for (uint256 j = 0; j < 4; ++j) {
                any |= pairs[6 * i + 2 + j] = keyWords[word + j];
            }
            if (any == 0) revert KeyPointAtInfinity(word);
        }
        bool sound;
        assembly ("memory-safe") {
            // Whether the product is one says nothing; that there is an answer says that the points are what they must be.
            sound := and(eq(returndatasize(), 0x20), staticcall(gas(), 0x08, pairs, 0x240, 0x00, 0x20))
        }
        if (!sound) revert KeyPointNotInSubgroup();
    }

    /// @dev G1 is all of its curve.
    function _checkG1(uint256[] calldata keyWords, uint256 word) private view {
        uint256[4] memory sum = [keyWords[word], keyWords[word + 1], 0, 0]; // the point and infinity
        if (sum[0] | sum[1] == 0) revert KeyPointAtInfinity(word);
        bool sound;
        assembly ("memory-safe") {
            sound := and(eq(returndatasize(), 0x40), staticcall(gas(), 0x06, sum, 0x80, 0x00, 0x40))
        }
        if (!sound) revert KeyPointNotOnCurve(word);
    }

    /// @dev What src/verifier/lint.ts refuses: points that are equal, or a generator, up to sign. Each makes a key forgeable,
    ///      or is what no finished setup gives. gamma may be the generator: setups leave it there.
    function _checkUnlike(uint256[] calldata keyWords) private pure {
        _requireUnlikeG2(keyWords, _GAMMA, _DELTA);
        _requireUnlikeG2(keyWords, _BETA, _DELTA);
        _requireUnlikeG2(keyWords, _BETA, _GAMMA);
        for (uint256 word = _BETA; word <= _DELTA; word += _DELTA - _BETA) {
            if (keyWords[word] == _G2_X_C1 && keyWords[word + 1] == _G2_X_C0) revert KeyPointIsGenerator(word);
        }
        if (keyWords[_ALPHA] == _G1_X) revert KeyPointIsGenerator(_ALPHA);
        uint256 end = keyWords.length;
        for (uint256 i = _IC; i < end; i += 2) {
            uint256 x = keyWords[i];
            if (x == _G1_X) revert KeyPointIsGenerator(i);
            if (x == keyWords[_ALPHA]) revert KeyPointsAlike(_ALPHA, i);
            for (uint256 j = _IC; j < i; j += 2) {
                if (x == keyWords[j]) revert KeyPointsAlike(j, i);
            }
        }
    }

    function _requireUnlikeG2(uint256[] calldata keyWords, uint256 one, uint256 other) private pure {
        if (keyWords[one] == keyWords[other] && keyWords[one + 1] == keyWords[other + 1]) {
            revert KeyPointsAlike(one, other);
        }
    }

    /// @dev Word i of the data at transient slot i + 1, and their number at slot 0.
    function _setPending(uint256[] calldata keyWords, uint256 signals, bytes32 ceremony) private {
        _pend(0, keyWords[_ALPHA]);
        _pend(1, _negate(keyWords[_ALPHA + 1]));
        for (uint256 i = 0; i < 4; ++i) {
            _pend(_BLOB_BETA + i, keyWords[_BETA + i]);
            uint256 gamma = keyWords[_GAMMA + i];
            uint256 delta = keyWords[_DELTA + i];
            _pend(_BLOB_GAMMA + i, i < 2 ? gamma : _negate(gamma));
            _pend(_BLOB_DELTA + i, i < 2 ? delta : _negate(delta));
        }
        _pend(_BLOB_IC0, keyWords[_IC]);
        _pend(_BLOB_IC0 + 1, keyWords[_IC + 1]);
        _pend(_BLOB_CEREMONY, uint256(ceremony));
        _pend(_BLOB_SIGNALS, signals);
        for (uint256 i = 0; i < 2 * signals; ++i) {
            _pend(_BLOB_IC1 + i, keyWords[_IC + 2 + i]);
        }
        uint256 words = _BLOB_IC1 + 2 * signals;
        assembly ("memory-safe") {
            tstore(0, words)
        }
    }

    function _pend(uint256 index, uint256 value) private {
        assembly ("memory-safe") {
            tstore(add(index, 1), value)
        }
    }

    function _clearPending() private {
        assembly ("memory-safe") {
            tstore(0, 0)
        }
    }

    function _blobSize(uint256 signals) private pure returns (uint256) {
        return 1 + 32 * (_BLOB_IC1 + 2 * signals);
    }

    /// @dev Where the data lie or would lie (EIP-1014). Nothing but {store} can create a contract there.
    function _blobAddress(bytes32 keyDigest, bytes32 ceremony) private view returns (address) {
        return Create2.computeAddress(Hashes.efficientKeccak256(keyDigest, ceremony), _blobCodeHash, address(this));
    }

    function _negate(uint256 coordinate) private pure returns (uint256) {
        return coordinate == 0 ? 0 : _Q - coordinate;
    }
}
