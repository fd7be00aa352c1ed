pragma circom 2.2.3;

include "../lib/range_check.circom";

// Index of the largest of WIDTH values, the lowest index of equals.
//
// A hint marks one position; the marked value minus every other one must be not negative, and positive for the
// positions before the mark. Exactly one index can satisfy that.
//
// Requires, and does not enforce: that every value v lies in an interval [a, a + 2^BITS) of signed integers, with
// BITS <= 64. Then all differences lie in (-2^BITS - 1, 2^BITS), and a negative one, which in the field is close
// to its order, cannot pass for a number of BITS bits. The writer of the circuit takes BITS from interval analysis
// (src/model/bounds.ts).
template ArgMax(WIDTH, BITS) {
    assert(WIDTH >= 2 && BITS >= 1 && BITS <= 64); // on parameters, when the circuit is compiled
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

    signal mark[WIDTH];
    signal picked[WIDTH];
    var marks = 0;
    var index = 0;
    var max = 0;
    for (var i = 0; i < WIDTH; i++) {
        mark[i] <-- best == i;
        mark[i] * (mark[i] - 1) === 0;
        picked[i] <== mark[i] * in[i];
        marks += mark[i];
        index += mark[i] * i;
        max += picked[i];
    }
    marks === 1;

    var after = 1; // becomes 1 for positions before the mark, 0 from the mark on
    for (var i = 0; i < WIDTH; i++) {
        after -= mark[i];
        RangeCheck(BITS)(max - in[i] - after);
    }
    out <== index;
}
