pragma circom 2.2.3;

// out is 1 where `in` is 0, and 0 elsewhere. 3 rows; the hint has one value as well.
template IsZero() {
    signal input in;
    signal output out;

    signal inverse <-- in != 0 ? 1 / in : 0;
    out <== 1 - in * inverse;
    in * out === 0;
    inverse * out === 0;
}
