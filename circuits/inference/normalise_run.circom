pragma circom 2.2.3;

// WIDTH values over the root of their sum of squares, in units of 2^-PRECISION:
//
//     v = EPSILON + sum of in[i]^2,   r = the largest integer with r^2 * v <= 4^PRECISION,   out[i] = in[i] * r
//
// Rows: 2 * WIDTH + ROOT_BITS + BELOW_BITS + ABOVE_BITS + 2.
//
// How: r is a hint of ROOT_BITS bits, and both
//
//     below = 4^PRECISION - r^2 * v   and   above = (r + 1)^2 * v - 4^PRECISION - 1 = 2 * r * v + v - 1 - below
//
// are split into bits, so that neither is negative.
//
// Why r is unique: r < 2^31 by its bits and v < 2^79, so r^2 * v < 2^141 and nothing leaves the field: the equations are
// those of integers. For integers r^2 * v <= 4^PRECISION < (r + 1)^2 * v says which r it is, as r^2 * v grows with r.
// The other root, -r, has no ROOT_BITS bits, nor have fractions.
//
// Why |out[i]| <= 2^PRECISION: in[i]^2 <= v, because EPSILON and the other squares are not negative, so
// out[i]^2 = in[i]^2 * r^2 <= v * r^2 <= 4^PRECISION.
//
// Requires, and does not enforce: that every value is an integer in [-2^31, 2^31). The bit widths cost completeness
// where they are too small, never soundness; the writer of the circuit takes them from interval analysis
// (src/model/bounds.ts), over v: below <= 4^PRECISION, and below + above = (2 * r + 1) * v - 1.
template NormaliseRun(WIDTH, EPSILON, PRECISION, ROOT_BITS, BELOW_BITS, ABOVE_BITS) {
    // On parameters, when the circuit is compiled.
    assert(WIDTH >= 1 && WIDTH <= 1 << 16 && EPSILON >= 1 && EPSILON <= 1 << 40 && PRECISION >= 1 && PRECISION <= 30);
    assert(ROOT_BITS >= 1 && ROOT_BITS <= 31);
    assert(BELOW_BITS >= 1 && BELOW_BITS <= 160);
    assert(ABOVE_BITS >= 1 && ABOVE_BITS <= 160);
    signal input in[WIDTH];
    signal output out[WIDTH];

    var ONE = 1 << (2 * PRECISION); // 4^PRECISION

    signal square[WIDTH - 1];
    var squares = EPSILON;
    for (var i = 0; i < WIDTH - 1; i++) {
        square[i] <== in[i] * in[i];
        squares += square[i];
    }
    signal v <== squares + in[WIDTH - 1] * in[WIDTH - 1];

    var largest = 0; // bit by bit, in a hint
    for (var k = ROOT_BITS - 1; k >= 0; k--) {
        var next = largest + (1 << k);
        if (next * next * v <= ONE) largest = next;
    }
    signal root <-- largest;
    signal rootBits[ROOT_BITS - 1];
    var rest = root;
    for (var k = 0; k < ROOT_BITS - 1; k++) {
        rootBits[k] <-- (root >> k) & 1;
        rootBits[k] * (rootBits[k] - 1) === 0;
        rest -= rootBits[k] * (1 << k);
    }
    rest * (rest - (1 << (ROOT_BITS - 1))) === 0;

    // All bits of `below` are signals, so that it needs none of its own: root^2 * v is what they leave.
    signal scaled <== root * v;
    signal belowBits[BELOW_BITS];
    var below = 0;
    for (var k = 0; k < BELOW_BITS; k++) {
        belowBits[k] <-- ((ONE - root * scaled) >> k) & 1;
        belowBits[k] * (belowBits[k] - 1) === 0;
        below += belowBits[k] * (1 << k);
    }
    root * scaled === ONE - below;

    signal aboveBits[ABOVE_BITS - 1];
    var above = 2 * scaled + v - 1 - below;
    rest = above;
    for (var k = 0; k < ABOVE_BITS - 1; k++) {
        aboveBits[k] <-- (above >> k) & 1;
        aboveBits[k] * (aboveBits[k] - 1) === 0;
        rest -= aboveBits[k] * (1 << k);
    }
    rest * (rest - (1 << (ABOVE_BITS - 1))) === 0;

    for (var i = 0; i < WIDTH; i++) out[i] <== in[i] * root;
}
