pragma circom 2.2.3;

include "poseidon16_constants.circom";

// One Poseidon permutation of width 17 over BN254: sixteen inputs under a capacity, first lane out.
// Equal to circomlib's Poseidon(16) when the capacity is 0, and to poseidon16() of src/field/poseidon.ts always.
//
// Rows: 3 for each of the 8 * 17 + 68 S-boxes, and one that names the output: 613 at -O1. The linear layers between
// the S-boxes stay in `var`, as linear forms over the S-box outputs, so they cost no row; an S-box as a template of
// its own would cost one for its input.
//
// Not enforced: what the capacity means. The caller passes a constant tag, with lengths that it has constrained.
template Poseidon16() {
    signal input capacity;
    signal input in[16];
    signal output out;

    var C[76][17] = poseidon16Constants();
    var M[17][17] = poseidon16Mds();

    // x^2, x^4 and x^5 of every S-box, in order of evaluation.
    signal square[204];
    signal fourth[204];
    signal fifth[204];

    var state[17];
    state[0] = capacity;
    for (var i = 0; i < 16; i++) state[i + 1] = in[i];

    var n = 0;
    for (var round = 0; round < 76; round++) {
        var boxes = round < 4 || round >= 72 ? 17 : 1;
        for (var i = 0; i < 17; i++) state[i] = state[i] + C[round][i];
        for (var i = 0; i < boxes; i++) {
            square[n] <== state[i] * state[i];
            fourth[n] <== square[n] * square[n];
            fifth[n] <== fourth[n] * state[i];
            state[i] = fifth[n];
            n++;
        }
        var mixed[17];
        for (var i = 0; i < 17; i++) {
            mixed[i] = 0;
            for (var j = 0; j < 17; j++) mixed[i] += M[i][j] * state[j];
        }
        state = mixed;
    }
    out <== state[0];
}
