pragma circom 2.2.3;

// One field element for what makes two records the same: the fields kind, length, blocks, shape, content, rest and the five
// cells of a description, as coefficients of a polynomial at `rho`, the first one constant. 10 rows.
//
// Equal records have equal fingerprints. Different ones have different ones, but for at most 10 of all values of rho.
//
// Not enforced: that rho is any good. A bad one gives different records the same fingerprint, never the reverse.
template Fingerprint() {
    signal input description[14];
    signal input rho;
    signal output out;

    var at[11] = [0, 1, 2, 3, 6, 7, 9, 10, 11, 12, 13];
    signal value[10];
    for (var j = 9; j >= 0; j--) {
        if (j == 9) value[j] <== description[at[j]] + rho * description[at[j + 1]];
        else value[j] <== description[at[j]] + rho * value[j + 1];
    }
    out <== value[0];
}
