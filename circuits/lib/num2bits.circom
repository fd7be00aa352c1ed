pragma circom 2.2.3;

// out[i] is bit i of `in`, lowest first; with it, `in` is constrained to [0, 2^N). N + 1 rows.
//
// N is at most 253: 2^253 < r, so every value has one decomposition. With 254 bits, x and x + r would both have one.
template Num2Bits(N) {
    signal input in;
    signal output out[N];

    assert(N >= 1 && N <= 253); // of the parameter, at compile time; not a constraint
    var sum = 0;
    for (var i = 0; i < N; i++) {
        out[i] <-- (in >> i) & 1;
        out[i] * (out[i] - 1) === 0;
        sum += out[i] * (1 << i);
    }
    sum === in;
}
