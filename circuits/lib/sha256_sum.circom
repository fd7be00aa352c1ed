pragma circom 2.2.3;

// The low 32 bits of a sum below 2^(32 + OVER): one linear row, and one a bit.
//
// Requires, and does not enforce: that the sum is below 2^(32 + OVER), which is what its terms are.
template Sha256Sum(OVER) {
    assert(OVER >= 1 && OVER <= 221); // of the parameter, at compile time; not a constraint
    signal input in;
    signal output out[32];

    signal over[OVER];
    var sum = 0;
    for (var i = 0; i < 32; i++) {
        out[i] <-- (in >> i) & 1;
        out[i] * (out[i] - 1) === 0;
        sum += out[i] * (1 << i);
    }
    for (var i = 0; i < OVER; i++) {
        over[i] <-- (in >> (32 + i)) & 1;
        over[i] * (over[i] - 1) === 0;
        sum += over[i] * (1 << (32 + i));
    }
    sum === in;
}
