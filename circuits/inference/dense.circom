pragma circom 2.2.3;

// A fully connected layer with constant weights: out[o] = BIAS[o] + sum of WEIGHTS[o][i] * in[i].
// One linear row an output; multiplying by constants costs nothing.
//
// Not enforced: any range. The values are those of the integers as long as no sum leaves the field, which the writer
// of the circuit proves by interval analysis (src/model/bounds.ts) for inputs that are range-checked before.
template Dense(INPUTS, OUTPUTS, WEIGHTS, BIAS) {
    signal input in[INPUTS];
    signal output out[OUTPUTS];

    for (var o = 0; o < OUTPUTS; o++) {
        var sum = BIAS[o];
        for (var i = 0; i < INPUTS; i++) sum += WEIGHTS[o][i] * in[i];
        out[o] <== sum;
    }
}
