pragma circom 2.2.3;

// The rounded share of one value in a sum of such values, in units of 1/SCALE:
//
//     out = floor((2 * in * SCALE + sum) / (2 * sum)) = floor((in * SCALE + floor(sum / 2)) / sum)
//
// (They are equal because 2 * sum divides 2 * in * SCALE + sum only where sum is even: an odd one may lose its last bit
// before the division.) The second form has a remainder half as large. Takes the bits of SCALE, twice SUM_BITS, and one
// more row.
//
// How: floor(sum / 2) is (sum - odd) / 2. The quotient `out` is split into the bits of SCALE, the remainder
// u = in * SCALE + (sum - odd) / 2 - out * sum into SUM_BITS bits, and so is sum - 1 - u.
//
// Why there is one solution: with `out` in its bits, each number is an integer of less than 100 bits or half of one, so
// 2 * out * sum + 2 * u + odd = 2 * in * SCALE + sum holds for integers, not only in the field. Modulo 2 it says that
// `odd` is the parity of `sum`, a half having no SUM_BITS bits. What is left is the division with remainder, which
// fixes `out` and u because 0 <= u < sum. (Without the bits of `out`, a fraction would be the quotient for any
// remainder; with an assertion in place of the last range, `out` would be anything.)
//
// Enforced: sum > 0, and an `out` that fits the bits of SCALE. Inputs that break it have no witness.
//
// Requires, and does not enforce: that `in` and `sum` are integers in (-2^50, 2^50) and `odd` is a bit. SUM_BITS too
// small costs completeness, never soundness; the writer of the circuit takes it from interval analysis
// (src/model/bounds.ts): sum <= 2^SUM_BITS.
template ShareLane(SCALE, SUM_BITS) {
    assert(SCALE >= 1 && SCALE < 1 << 15); // on parameters, when the circuit is compiled
    assert(SUM_BITS >= 1 && SUM_BITS <= 64);
    signal input in;
    signal input sum;
    signal input odd;
    signal output out;

    var SHARE_BITS = 1;
    while (SCALE >> SHARE_BITS > 0) SHARE_BITS++;

    var dividend = in * SCALE + (sum - odd) / 2;
    out <-- dividend \ sum;
    signal shareBits[SHARE_BITS - 1];
    var rest = out;
    for (var i = 0; i < SHARE_BITS - 1; i++) {
        shareBits[i] <-- (out >> i) & 1;
        shareBits[i] * (shareBits[i] - 1) === 0;
        rest -= shareBits[i] * (1 << i);
    }
    rest * (rest - (1 << (SHARE_BITS - 1))) === 0;

    // All bits of the remainder are signals, so that the product needs none: it is what they leave of the dividend.
    signal bits[SUM_BITS];
    var remainder = 0;
    for (var i = 0; i < SUM_BITS; i++) {
        bits[i] <-- ((dividend - out * sum) >> i) & 1;
        bits[i] * (bits[i] - 1) === 0;
        remainder += bits[i] * (1 << i);
    }
    out * sum === dividend - remainder;

    signal aboveBits[SUM_BITS - 1];
    var above = sum - 1 - remainder;
    rest = above;
    for (var i = 0; i < SUM_BITS - 1; i++) {
        aboveBits[i] <-- (above >> i) & 1;
        aboveBits[i] * (aboveBits[i] - 1) === 0;
        rest -= aboveBits[i] * (1 << i);
    }
    rest * (rest - (1 << (SUM_BITS - 1))) === 0;
}
