pragma circom 2.2.3;

include "../lib/range_check.circom";

// Private integers as few field elements: forces each of SIZE to LO <= in < LO + 2^BITS, and packs them less LO into lanes
// of LANE bits, PER of them to an element, the first in the lowest place. BITS rows an integer and a linear one an element.
//
// Elements determine the integers: LANE >= BITS, and PER lanes stay below the field's order.
template PackedIntegers(SIZE, LO, BITS, LANE, PER) {
    assert(LANE >= BITS && LANE * PER <= 253); // on the parameters, when the circuit is compiled
    signal input in[SIZE];
    signal output element[(SIZE + PER - 1) \ PER];

    component range[SIZE];
    for (var i = 0; i < SIZE; i++) {
        range[i] = RangeCheck(LO, BITS);
        range[i].in <== in[i];
    }
    for (var e = 0; e < (SIZE + PER - 1) \ PER; e++) {
        var sum = 0;
        for (var i = PER * e; i < SIZE && i < PER * (e + 1); i++) sum += (in[i] - LO) * (1 << (LANE * (i - PER * e)));
        element[e] <== sum;
    }
}
