pragma circom 2.2.3;

include "poseidon16_constants.circom";

// One Poseidon permutation of width 17 over BN254: sixteen inputs under a capacity, first lane out.
// Equal to circomlib's Poseidon(16) when the capacity is 0, and to poseidon16() of src/field/poseidon.ts always.
//
// Rows: 3 for each of the 8 * 17 + 68 S-boxes, and one that names the output: 613 at -O1. The linear layers between
// the S-boxes stay in `var`, as linear forms over the S-box outputs, so they cost no row; an S-box as a template of
// its own would cost one for its input.
//
// The partial rounds use the paper's equivalent sparse matrices (appendix B). What goes into the S-boxes, and with it
// every row, is that of the plain form: the same linear forms over the same wires, in a third of circom's time.
//
// Not enforced: what the capacity means. The caller passes a constant tag, with lengths that it has constrained.
template Poseidon16() {
    signal input capacity;
    signal input in[16];
    signal output out;

    var C[9][17] = poseidon16Constants();
    var M[17][17] = poseidon16Mds();
    var dense[17][17] = poseidon16Dense();
    var sparse[68][34] = poseidon16Sparse();

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
        if (round <= 4 || round >= 72) {
            for (var i = 0; i < 17; i++) state[i] = state[i] + C[round <= 4 ? round : round - 67][i];
        }
        for (var i = 0; i < boxes; i++) {
            square[n] <== state[i] * state[i];
            fourth[n] <== square[n] * square[n];
            fifth[n] <== fourth[n] * state[i];
            state[i] = fifth[n];
            n++;
        }
        if (boxes == 17) {
            var mixed[17];
            for (var i = 0; i < 17; i++) {
                mixed[i] = 0;
                for (var j = 0; j < 17; j++) mixed[i] += (round == 3 ? dense[i][j] : M[i][j]) * state[j];
            }
            state = mixed;
        } else {
            // A constant, the first row of the sparse matrix, and its first column below that.
            state[0] = state[0] + sparse[round - 4][0];
            var first = sparse[round - 4][1] * state[0];
            for (var i = 1; i < 17; i++) {
                first += sparse[round - 4][i + 1] * state[i];
                state[i] += sparse[round - 4][i + 17] * state[0];
            }
            state[0] = first;
        }
    }
    out <== state[0];
}
