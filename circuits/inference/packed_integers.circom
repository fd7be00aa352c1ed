pragma circom 2.2.3;

include "../lib/range_check.circom";

// Bits of one packed integer: a byte, or two.
function laneBits(BITS) {
    return BITS <= 8 ? 8 : 16;
}

// Integers in one field element.
function integersPerElement(BITS) {
    return BITS <= 8 ? 31 : 15;
}

// Private integers as few field elements: forces each of SIZE to LO <= in < LO + 2^BITS, and packs them less LO, a byte each
// and 31 to an element up to 8 bits, two bytes each and 15 to an element above, the first in the lowest place. BITS rows an
// integer and a linear one an element, but for an element of a single integer with LO = 0.
//
// The elements determine the integers: each is below 256, or 65536, and 31 bytes stay below the field's order.
template PackedIntegers(SIZE, LO, BITS) {
    assert(BITS >= 1 && BITS <= 16); // on the parameter, when the circuit is compiled
    var PER = integersPerElement(BITS);
    signal input in[SIZE];
    signal output element[(SIZE + PER - 1) \ PER];

    component range[SIZE];
    for (var i = 0; i < SIZE; i++) {
        range[i] = RangeCheck(LO, BITS);
        range[i].in <== in[i];
    }
    for (var e = 0; e < (SIZE + PER - 1) \ PER; e++) {
        var sum = 0;
        for (var i = PER * e; i < SIZE && i < PER * (e + 1); i++) {
            sum += (in[i] - LO) * (1 << (laneBits(BITS) * (i - PER * e)));
        }
        element[e] <== sum;
    }
}
