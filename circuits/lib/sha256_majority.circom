pragma circom 2.2.3;

// What two of the three are: 2 rows a bit.
template Sha256Majority() {
    signal input a[32];
    signal input b[32];
    signal input c[32];
    signal output out[32];

    signal product[32];
    for (var i = 0; i < 32; i++) {
        product[i] <== b[i] * c[i];
        out[i] <== a[i] * (b[i] + c[i] - 2 * product[i]) + product[i];
    }
}
