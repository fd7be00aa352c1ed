pragma circom 2.2.3;

include "../lib/poseidon16.circom";
include "../lib/range_check.circom";

// Private features: forces each to 7 bits and commits to all of them under a salt.
//
// Features are packed a byte each, 31 to a field element, the first in the lowest byte. Starting from the salt, every
// Poseidon call absorbs the value so far and the next fifteen elements, under a capacity that holds the tag "ap_input"
// and, 64 bits up, the number of features: inputs of different sizes never collide, so padding with zeros is safe.
// src/model/commitment.ts is the twin.
//
// Not enforced: that the salt is random. The commitment hides the features only if whoever proves drew it uniformly.
template CommittedInput(SIZE) {
    signal input features[SIZE];
    signal input salt;
    signal output commitment;

    for (var i = 0; i < SIZE; i++) RangeCheck(7)(features[i]);

    var elements = (SIZE + 30) \ 31;
    var calls = (elements + 14) \ 15;
    signal chain[calls + 1];
    chain[0] <== salt;
    component hash[calls];
    for (var call = 0; call < calls; call++) {
        hash[call] = Poseidon16();
        hash[call].capacity <== 0x61705f696e707574 + SIZE * (1 << 64);
        hash[call].in[0] <== chain[call];
        for (var j = 0; j < 15; j++) {
            var packed = 0;
            for (var k = 0; k < 31; k++) {
                var i = 31 * (15 * call + j) + k;
                if (i < SIZE) packed += features[i] * (1 << (8 * k));
            }
            hash[call].in[j + 1] <== packed;
        }
        chain[call + 1] <== hash[call].out;
    }
    commitment <== chain[calls];
}
