pragma circom 2.2.3;

// Forces LO <= in < LO + 2^BITS, integers of either sign. BITS rows: the highest bit is not a signal but what the others
// leave of `in - LO`, which saves the linear row that would tie them together.
//
// With BITS <= 253 every sum of the bits is below the field's order, so `in - LO` has one decomposition, and the bits are
// unique.
//
// Not enforced: anything beyond the range. The bits are not given out.
template RangeCheck(LO, BITS) {
    assert(BITS >= 1 && BITS <= 253); // on the parameter, when the circuit is compiled
    signal input in;

    var value = in - LO;
    signal bits[BITS - 1];
    var rest = value;
    for (var i = 0; i < BITS - 1; i++) {
        bits[i] <-- (value >> i) & 1;
        bits[i] * (bits[i] - 1) === 0;
        rest -= bits[i] * (1 << i);
    }
    rest * (rest - (1 << (BITS - 1))) === 0;
}
