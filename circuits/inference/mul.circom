pragma circom 2.2.3;

// out[i] = a[i] * b[i], a row each.
//
// Not enforced: any range. The products are those of the integers as long as none leaves the field, which the writer of
// the circuit proves by interval analysis (src/model/bounds.ts).
template Mul(WIDTH) {
    signal input a[WIDTH];
    signal input b[WIDTH];
    signal output out[WIDTH];

    for (var i = 0; i < WIDTH; i++) out[i] <== a[i] * b[i];
}
