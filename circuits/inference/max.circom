pragma circom 2.2.3;

include "max_pair.circom";

// The largest value of each of COUNT windows of WINDOW values, with their own bit widths. Values are taken in one at a
// time: (WINDOW - 1) * (BITS + 1) rows a window, 27 for 2x2 values of 8 bits.
//
// Requires, and does not enforce: that the values of window m lie in an interval [a, a + 2^BITS[m]) of signed integers;
// then so do the largest so far, as they are among them.
template Max(COUNT, WINDOW, BITS) {
    assert(WINDOW >= 2); // on the parameter, when the circuit is compiled
    signal input in[COUNT * WINDOW];
    signal output out[COUNT];

    component pair[COUNT * (WINDOW - 1)];
    for (var m = 0; m < COUNT; m++) {
        for (var i = 1; i < WINDOW; i++) {
            var at = m * (WINDOW - 1) + i - 1;
            pair[at] = MaxPair(BITS[m]);
            if (i == 1) pair[at].a <== in[m * WINDOW];
            else pair[at].a <== pair[at - 1].out;
            pair[at].b <== in[m * WINDOW + i];
        }
        out[m] <== pair[(m + 1) * (WINDOW - 1) - 1].out;
    }
}
