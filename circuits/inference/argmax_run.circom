pragma circom 2.2.3;

// Index of the largest of WIDTH values, the lowest index of equals. WIDTH * (BITS + 2) rows.
//
// How: `upTo[i]` says that the index is at most i; of the last position that is certain. The largest value is a hint that
// must equal the value where upTo changes, and it must be at least every value, and more than those that upTo leaves out.
// So where upTo[i] = 0 the value differs from the largest, hence upTo did not change there and is 0 before as well: it
// changes once, at the first of the largest values.
//
// Requires, and does not enforce: that every value lies in an interval [a, a + 2^BITS) of signed integers, with BITS <= 64.
// Then all differences lie in (-2^BITS - 1, 2^BITS), and a negative one, which in the field is close to its order, cannot
// pass for a number of BITS bits. The writer of the circuit takes BITS from interval analysis (src/model/bounds.ts).
template ArgMaxRun(WIDTH, BITS) {
    assert(WIDTH >= 2 && BITS >= 2 && BITS <= 64); // on parameters, when the circuit is compiled
    signal input in[WIDTH];
    signal output out;

    var best = 0;
    var bestValue = in[0];
    for (var i = 1; i < WIDTH; i++) {
        if (in[i] > bestValue) { // signed comparison of a hint
            best = i;
            bestValue = in[i];
        }
    }

    signal max <-- bestValue;
    signal upTo[WIDTH - 1];
    signal bits[WIDTH * (BITS - 1)]; // BITS - 1 for each, one after the other
    var index = 0;
    var before = 0;
    for (var i = 0; i < WIDTH; i++) {
        var now = 1;
        if (i < WIDTH - 1) {
            upTo[i] <-- best <= i;
            upTo[i] * (upTo[i] - 1) === 0;
            now = upTo[i];
        }
        (max - in[i]) * (now - before) === 0;

        var rest = max - in[i] - (1 - now);
        var value = rest;
        for (var j = 0; j < BITS - 1; j++) {
            var at = i * (BITS - 1) + j;
            bits[at] <-- (value >> j) & 1;
            bits[at] * (bits[at] - 1) === 0;
            rest -= bits[at] * (1 << j);
        }
        rest * (rest - (1 << (BITS - 1))) === 0;
        index += 1 - now;
        before = now;
    }
    out <== index;
}
