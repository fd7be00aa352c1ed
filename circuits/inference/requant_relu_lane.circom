pragma circom 2.2.3;

// One channel's rounding, shift, ReLU and saturation at once:
//
//     out = clamp((in + half) >> SHIFT, 0, 127),   half = 2^(SHIFT-1), or 0 when SHIFT = 0
//
// where the shift rounds towards minus infinity. With B = MAGNITUDE + 1 bits this takes B + 5 rows, or B + 1 when the
// quotient is too narrow to saturate.
//
// How: v = in + half + 2^MAGNITUDE is split into B bits. Since SHIFT < MAGNITUDE the offset is a multiple of 2^SHIFT,
// so that bits SHIFT and up are those of the quotient, and the top bit says that it is not negative. That bit is not
// a signal but what the others leave of v, which saves the linear row that would tie them together.
//
// Enforced: -2^MAGNITUDE <= in + half < 2^MAGNITUDE. An `in` outside has no witness at all, so a wrong MAGNITUDE costs
// completeness and never soundness; the writer of the circuit takes it from interval analysis (src/model/bounds.ts).
// B <= 253 keeps the bits unique: two decompositions would have to differ by the field's order, which is larger.
//
// Not enforced: that `in` is what a layer computed.
template RequantReluLane(MAGNITUDE, SHIFT) {
    assert(SHIFT >= 0 && SHIFT < MAGNITUDE && MAGNITUDE + 1 <= 253); // on parameters, when the circuit is compiled
    signal input in;
    signal output out;

    var half = SHIFT == 0 ? 0 : 1 << (SHIFT - 1);
    var v = in + half + (1 << MAGNITUDE);

    signal bits[MAGNITUDE];
    var rest = v;
    for (var i = 0; i < MAGNITUDE; i++) {
        bits[i] <-- (v >> i) & 1;
        bits[i] * (bits[i] - 1) === 0;
        rest -= bits[i] * (1 << i);
    }
    var positive = rest / (1 << MAGNITUDE);
    positive * (positive - 1) === 0;

    // The quotient's magnitude: seven bits that are kept, and those above, any of which saturates.
    var low = 0;
    var high = 0;
    for (var i = SHIFT; i < MAGNITUDE; i++) {
        if (i < SHIFT + 7) low += bits[i] * (1 << (i - SHIFT));
        else high += bits[i] * (1 << (i - SHIFT - 7));
    }

    if (MAGNITUDE > SHIFT + 7) {
        // saturated = (high != 0). The third row fixes the inverse where high = 0: without it nothing would be
        // provable that is not true, but the witness would no longer be unique.
        signal inverse <-- high != 0 ? 1 / high : 0;
        signal saturated <== high * inverse;
        (1 - saturated) * high === 0;
        (1 - saturated) * inverse === 0;
        signal magnitude <== low + saturated * (127 - low);
        out <== positive * magnitude;
    } else {
        out <== positive * low;
    }
}
