pragma circom 2.2.3;

// Moves values about: out[i] = in[INDEX[i]], or CONSTANTS[-1 - INDEX[i]] where INDEX[i] is negative. TAKEN values in, COUNT
// out. No row: every output is a copy or a constant, and circom's -O1 keeps neither.
template Arrange(TAKEN, COUNT, INDEX, CONSTANTS) {
    signal input in[TAKEN];
    signal output out[COUNT];

    for (var i = 0; i < COUNT; i++) {
        if (INDEX[i] >= 0) out[i] <== in[INDEX[i]];
        else out[i] <== CONSTANTS[-1 - INDEX[i]];
    }
}
