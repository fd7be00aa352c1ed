pragma circom 2.2.3;

// One field element for what makes two records the same: the fields kind, length, blocks, shape, content, rest and the five
// cells of a description, as coefficients of a polynomial at `rho`, the first one that of rho itself. 11 rows.
//
// Equal records have equal fingerprints. Different ones have different ones, but for at most 11 of all values of rho. None of
// the fields stands there without a factor: however little two records differ, their fingerprints are far apart.
//
// Not enforced: that rho is any good. A bad one gives different records the same fingerprint, never the reverse.
template Fingerprint() {
    signal input description[14];
    signal input rho;
    signal output out;

    var at[11] = [0, 1, 2, 3, 6, 7, 9, 10, 11, 12, 13];
    signal value[11];
    for (var j = 10; j >= 0; j--) {
        if (j == 10) value[j] <== rho * description[at[j]];
        else value[j] <== rho * (description[at[j]] + value[j + 1]);
    }
    out <== value[0];
}
