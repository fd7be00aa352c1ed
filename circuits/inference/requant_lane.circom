pragma circom 2.2.3;

// floor(x / 2^shift), for a signed integer x.
function shiftDown(x, shift) {
    if (x >= 0) return x >> shift;
    return -((-x + (1 << shift) - 1) >> shift);
}

// Bits of an integer that is not negative; 0 has none.
function bitLength(x) {
    var bits = 0;
    while (1 << bits <= x) bits++;
    return bits;
}

// One lane's rounding, shift and saturation (ReLU with LO = 0) at once:
//
//     out = clamp((in + half) >> SHIFT, LO, HI),   HI = LO + 2^BITS - 1,   half = 2^(SHIFT-1), or 0 when SHIFT = 0
//
// where the shift rounds towards minus infinity and MIN <= in <= MAX are proven. With B bits (two's complement) for `in` this
// takes B + 4 rows. Where the proven range leaves out saturation below, above or both, it takes fewer, down to none for a
// copy (SHIFT = 0) and for a lane with one possible value.
//
// How: v = in + half - LO * 2^SHIFT is how far `in` is above the low end. Its bits from SHIFT on, BITS of them, are the
// result unless it saturates; with 2^WIDTH added where v may be negative, the highest bit says that it is not. That bit is
// not a signal but what the others leave of v, which saves the linear row that would tie them together. The result is within
// the range when the bits above those of the result are those of 2^WIDTH, by an inverse.
//
// Enforced: v < 2^(WIDTH + 1) after the addition, and v >= 0. An `in` outside has no witness.
//
// Requires, and does not enforce: MIN <= in <= MAX, which the writer of the circuit proves by interval analysis
// (src/model/bounds.ts), where it leaves something out: a copy, a constant, and saturation above where MAX excludes it.
template RequantLane(MIN, MAX, SHIFT, LO, BITS) {
    assert(SHIFT >= 0 && SHIFT <= 40 && BITS >= 1 && BITS <= 16); // on parameters, when the circuit is compiled
    assert(MIN <= MAX && MIN >= -(1 << 31) && MAX < 1 << 31); // on parameters as well
    signal input in;
    signal output out;

    var STEP = 1 << SHIFT;
    var HALF = STEP \ 2;
    var HI = LO + (1 << BITS) - 1;
    var LEAST = shiftDown(MIN + HALF, SHIFT);
    var MOST = shiftDown(MAX + HALF, SHIFT);
    var BELOW = LEAST < LO;
    var ABOVE = MOST > HI;

    if (MOST <= LO) out <== LO;
    else if (LEAST >= HI) out <== HI;
    else if (LEAST == MOST) out <== LEAST;
    else if (SHIFT == 0 && !BELOW && !ABOVE) out <== in;
    else {
        var BASE = BELOW || ABOVE ? LO : LEAST;
        var v = in + HALF - BASE * STEP;
        var LARGEST = MAX + HALF - BASE * STEP;
        var WIDTH = bitLength(LARGEST) - 1; // bits below the highest one
        if (BELOW) {
            var SMALLEST = MIN + HALF - BASE * STEP; // negative
            WIDTH = bitLength(-SMALLEST - 1);
            if (bitLength(LARGEST) > WIDTH) WIDTH = bitLength(LARGEST);
            v += 1 << WIDTH;
        }

        signal bits[WIDTH];
        var rest = v;
        for (var i = 0; i < WIDTH; i++) {
            bits[i] <-- (v >> i) & 1;
            bits[i] * (bits[i] - 1) === 0;
            rest -= bits[i] * (1 << i);
        }
        rest * (rest - (1 << WIDTH)) === 0;
        var highest = rest / (1 << WIDTH);

        var dropped = 0;
        var low = 0;
        var high = 0; // less what it is without saturation
        for (var i = 0; i < WIDTH; i++) {
            if (i < SHIFT) dropped += bits[i] * (1 << i);
            else if (i < SHIFT + BITS) low += bits[i] * (1 << (i - SHIFT));
            else high += bits[i] * (1 << (i - SHIFT - BITS));
        }

        if (!BELOW && !ABOVE) out <== BASE + (v - dropped) / STEP;
        else if (!ABOVE) out <== LO + highest * low;
        else if (!BELOW && WIDTH == SHIFT + BITS) out <== LO + (1 - highest) * low + (HI - LO) * highest;
        else {
            signal within;
            if (BELOW && WIDTH == SHIFT + BITS + 1) within <== highest * (1 - bits[WIDTH - 1]);
            else {
                // The third row fixes the inverse where high = 0: without it nothing would be provable that is not true,
                // but the witness would no longer be unique.
                high += (BELOW ? highest - 1 : highest) * (1 << (WIDTH - SHIFT - BITS));
                signal inverse <-- high != 0 ? 1 / high : 0;
                within <== 1 - high * inverse;
                high * within === 0;
                inverse * within === 0;
            }
            out <== LO + within * low + (HI - LO) * ((BELOW ? highest : 1) - within);
        }
    }
}
