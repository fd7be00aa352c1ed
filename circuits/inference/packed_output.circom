pragma circom 2.2.3;

include "hash_chain.circom";

// A model's output as one field element: COUNT integers less MIN in lanes of LANE bits, PER of them to an element, the
// first in the lowest place. One element is the output itself, a linear row, and no row for a single integer with MIN = 0;
// more go through a chain from 0 under CAPACITY, which holds the tag "ap_outpt" and COUNT. src/model/commitment.ts is the
// twin.
//
// Requires, and does not enforce: MIN <= in < MIN + 2^LANE, which the writer of the circuit proves by interval analysis
// (src/model/bounds.ts). Then elements determine the integers.
template PackedOutput(COUNT, MIN, LANE, PER, CAPACITY) {
    assert(LANE * PER <= 253); // on the parameters, when the circuit is compiled
    signal input in[COUNT];
    signal output out;

    var elements = (COUNT + PER - 1) \ PER;
    signal element[elements];
    for (var e = 0; e < elements; e++) {
        var sum = 0;
        for (var i = PER * e; i < COUNT && i < PER * (e + 1); i++) sum += (in[i] - MIN) * (1 << (LANE * (i - PER * e)));
        element[e] <== sum;
    }
    if (elements == 1) out <== element[0];
    else {
        component chain = HashChain(CAPACITY, elements);
        chain.start <== 0;
        chain.in <== element;
        out <== chain.out;
    }
}
