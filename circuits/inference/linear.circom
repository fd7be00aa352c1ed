pragma circom 2.2.3;

// Everything linear with constant weights: for each of G groups, P positions and O outputs,
//
//     out[(g*O + o)*P + p] = BIAS[g*O + o] + sum over k < K of WEIGHTS[(g*O + o)*K + k] * in[(g*P + p)*K + k].
//
// One linear row an output, in C alone; none where it is a copy of an input or a constant. Multiplying by constants costs
// nothing.
//
// Requires, and does not enforce: that no sum leaves the field's signed integers, which the writer of the circuit proves by
// interval analysis (src/model/bounds.ts) for inputs that are range-checked before.
template Linear(G, P, K, O, WEIGHTS, BIAS) {
    signal input in[G * P * K];
    signal output out[G * O * P];

    for (var channel = 0; channel < G * O; channel++) {
        for (var p = 0; p < P; p++) {
            var sum = BIAS[channel];
            for (var k = 0; k < K; k++) sum += WEIGHTS[channel * K + k] * in[((channel \ O) * P + p) * K + k];
            out[channel * P + p] <== sum;
        }
    }
}
