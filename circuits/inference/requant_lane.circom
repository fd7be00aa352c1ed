pragma circom 2.2.3;

// floor(x / 2^shift), for a signed integer x.
function shiftDown(x, shift) {
    if (x >= 0) return x >> shift;
    return -((-x + (1 << shift) - 1) >> shift);
}

// The least w with -2^w <= least and most < 2^w, for least < 0 <= most.
function widthOf(least, most) {
    var width = 0;
    while (1 << width <= most || 1 << width < -least) width++;
    return width;
}

// One lane's rounding, shift and saturation (ReLU with LO = 0) at once:
//
//     out = clamp((in + half) >> SHIFT, LO, HI),   HI = LO + 2^BITS - 1,   half = 2^(SHIFT-1), or 0 when SHIFT = 0
//
// where the shift rounds towards minus infinity and MIN <= in <= MAX are proven. WIDTH + 5 rows, which is B + 4 for an `in` of
// B bits (two's complement), or one more where rounding takes it out of B bits; WIDTH + 2 where the proven range leaves out
// saturation below or above, WIDTH + 3 where it exceeds the result's by one bit, fewer where it leaves out both, down to
// none for a copy (SHIFT = 0) and for a lane with one possible value.
//
// How: v = in + half - ANCHOR * 2^SHIFT + 2^WIDTH is split into bits. The highest one is not a signal but what the others
// leave of v, which saves the linear row that would tie them together; it says that the quotient is at least ANCHOR, which is
// LO, the middle of the result's range, or HI + 1, whichever makes v narrowest. Since 2^WIDTH is a multiple of what the
// result spans, the bits from SHIFT on are the result's, unless it saturates. Whether it does is seen from the bits above,
// which have one value that leaves the result within its range (from the middle: one for each value of the highest bit).
//
// Enforced: 0 <= v < 2^(WIDTH + 1). An `in` outside has no witness.
//
// Requires, and does not enforce: MIN <= in <= MAX, which the writer of the circuit proves by interval analysis
// (src/model/bounds.ts), wherever that leaves something out: a copy, a constant, and saturation on one side.
template RequantLane(MIN, MAX, SHIFT, LO, BITS) {
    assert(SHIFT >= 0 && SHIFT <= 40 && BITS >= 1 && BITS <= 16); // on parameters, when the circuit is compiled
    assert(MIN <= MAX && MIN >= -(1 << 31) && MAX < 1 << 31 && LO >= -(1 << 15) && LO < 1 << 15); // on parameters as well
    signal input in;
    signal output out;

    var STEP = 1 << SHIFT;
    var HALF = STEP \ 2;
    var SPAN = 1 << BITS;
    var HI = LO + SPAN - 1;
    var LEAST = shiftDown(MIN + HALF, SHIFT);
    var MOST = shiftDown(MAX + HALF, SHIFT);
    var BELOW = LEAST < LO;
    var ABOVE = MOST > HI;

    if (MOST <= LO) out <== LO;
    else if (LEAST >= HI) out <== HI;
    else if (LEAST == MOST) out <== LEAST;
    else if (SHIFT == 0 && !BELOW && !ABOVE) out <== in;
    else {
        // Without saturation, the lowest quotient, and v's highest bit may be any.
        var ANCHOR = BELOW ? LO : (ABOVE ? HI + 1 : LEAST);
        var WIDTH = widthOf(BELOW || ABOVE ? MIN + HALF - ANCHOR * STEP : -1, MAX + HALF - ANCHOR * STEP);
        if (BELOW && ABOVE) {
            for (var part = 1; part <= 2; part++) {
                var OTHER = part == 1 ? LO + SPAN \ 2 : HI + 1;
                var NARROWER = widthOf(MIN + HALF - OTHER * STEP, MAX + HALF - OTHER * STEP);
                if (NARROWER < WIDTH && BITS > 1) {
                    ANCHOR = OTHER;
                    WIDTH = NARROWER;
                }
            }
        }
        var v = in + HALF - ANCHOR * STEP;
        if (BELOW || ABOVE) v += 1 << WIDTH;
        else WIDTH -= 1;

        signal bits[WIDTH];
        var rest = v;
        for (var i = 0; i < WIDTH; i++) {
            bits[i] <-- (v >> i) & 1;
            bits[i] * (bits[i] - 1) === 0;
            rest -= bits[i] * (1 << i);
        }
        rest * (rest - (1 << WIDTH)) === 0;
        var highest = rest / (1 << WIDTH);

        var BLOCK = ANCHOR == LO + SPAN \ 2 && BELOW && ABOVE ? SHIFT + BITS - 1 : SHIFT + BITS;
        var dropped = 0;
        var low = 0;
        var high = 0;
        for (var i = 0; i < WIDTH; i++) {
            if (i < SHIFT) dropped += bits[i] * (1 << i);
            else if (i < BLOCK) low += bits[i] * (1 << (i - SHIFT));
            else high += bits[i] * (1 << (i - BLOCK));
        }

        if (!BELOW && !ABOVE) out <== ANCHOR + (v - dropped) / STEP;
        else if (!ABOVE) out <== LO + highest * low;
        else if (!BELOW) {
            var short = WIDTH < BLOCK ? SPAN - (1 << (WIDTH - SHIFT)) : 0;
            out <== LO + (1 - highest) * (low + short) + (HI - LO) * highest;
        } else {
            signal within;
            if (WIDTH == BLOCK + 1) {
                var next = bits[WIDTH - 1];
                if (ANCHOR == LO) within <== highest * (1 - next);
                else if (ANCHOR == HI + 1) within <== (1 - highest) * next;
                else within <== highest + next - 2 * highest * next;
            } else {
                // 0 within the range. The third row fixes the inverse there: without it nothing would be provable that
                // is not true, but the witness would no longer be unique.
                high += (highest - 1) * (1 << (WIDTH - BLOCK));
                if (ANCHOR == HI + 1) high += 1;
                else if (ANCHOR != LO) high += 1 - highest;
                signal inverse <-- high != 0 ? 1 / high : 0;
                within <== 1 - high * inverse;
                high * within === 0;
                inverse * within === 0;
            }
            if (ANCHOR == LO) out <== LO + within * low + (HI - LO) * (highest - within);
            else if (ANCHOR == HI + 1) out <== LO + within * low + (HI - LO) * highest;
            else out <== LO + within * (low - (SPAN \ 2 - 1) * highest) + (HI - LO) * highest;
        }
    }
}
