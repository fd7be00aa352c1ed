pragma circom 2.2.3;

// The larger of two values, in BITS + 1 rows.
//
// It is a hint that is one of the two and for which 2 * out - a - b is not negative: that difference is out - b or
// out - a, so `out` is not below the other, and where a = b there is one value anyway. The difference is split into
// BITS bits, the highest one being what the others leave.
//
// Requires, and does not enforce: that both are integers in (-2^250, 2^250). Then a negative difference, which in the
// field is close to its order, has no BITS bits. Values that are 2^BITS or more apart have no witness, so a wrong BITS
// costs completeness and never soundness; the writer of the circuit takes it from interval analysis
// (src/model/bounds.ts).
template MaxPair(BITS) {
    assert(BITS >= 1 && BITS <= 64); // on the parameter, when the circuit is compiled
    signal input a;
    signal input b;
    signal output out;

    out <-- a > b ? a : b; // signed comparison of a hint
    (out - a) * (out - b) === 0;

    // Not of length 0 for one bit: circom 2.2.3 crashes on that where an array holds instances with different BITS.
    signal bits[BITS > 1 ? BITS - 1 : 1];
    var lead = 2 * out - a - b;
    var rest = lead;
    for (var i = 0; i < BITS - 1; i++) {
        bits[i] <-- (lead >> i) & 1;
        bits[i] * (bits[i] - 1) === 0;
        rest -= bits[i] * (1 << i);
    }
    rest * (rest - (1 << (BITS - 1))) === 0;
}
