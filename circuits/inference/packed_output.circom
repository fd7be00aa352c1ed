pragma circom 2.2.3;

include "../lib/hash_chain.circom";

// A model's output as one field element: COUNT integers less MIN in lanes of LANE bits, as many to an element as 253 bits
// hold, the first in the lowest place. One element is the output itself, a linear row, and no row for a single integer with
// MIN = 0; more go through a chain from 0, tag "ap_outpt". src/model/commitment.ts is the twin.
//
// Requires, and does not enforce: MIN <= in < MIN + 2^LANE, which the writer of the circuit proves by interval analysis
// (src/model/bounds.ts). Then the elements determine the integers.
template PackedOutput(COUNT, MIN, LANE) {
    assert(LANE >= 1 && LANE <= 253); // on the parameter, when the circuit is compiled
    signal input in[COUNT];
    signal output out;

    var PER = 253 \ LANE;
    var elements = (COUNT + PER - 1) \ PER;
    signal element[elements];
    for (var e = 0; e < elements; e++) {
        var sum = 0;
        for (var i = PER * e; i < COUNT && i < PER * (e + 1); i++) sum += (in[i] - MIN) * (1 << (LANE * (i - PER * e)));
        element[e] <== sum;
    }
    if (elements == 1) out <== element[0];
    else {
        component chain = HashChain(chainCapacity(0x61705f6f75747074, COUNT, -(1 << 15), 0), elements);
        chain.start <== 0;
        chain.in <== element;
        out <== chain.out;
    }
}
