pragma circom 2.2.3;

include "poseidon16.circom";

// The capacity under which COUNT integers of LO..LO+2^BITS-1 are hashed for one purpose, which is an eight-byte TAG. Without
// a range, LO is -2^15 and BITS is 0. src/field/chain.ts is the twin.
function chainCapacity(TAG, COUNT, LO, BITS) {
    return TAG + COUNT * (1 << 64) + (LO + (1 << 15)) * (1 << 96) + BITS * (1 << 112);
}

// A digest of COUNT field elements: from `start`, every Poseidon call absorbs what came out of the one before and the next
// fifteen elements (zeros after the last), all under one capacity.
//
// Not enforced: what the capacity means. The caller puts a tag and every length into it, so that zeros after the last element
// are safe. With a random start it hides what it digests, with 0 it does not.
template HashChain(CAPACITY, COUNT) {
    signal input start;
    signal input in[COUNT];
    signal output out;

    var calls = (COUNT + 14) \ 15;
    component hash[calls];
    for (var call = 0; call < calls; call++) {
        hash[call] = Poseidon16();
        hash[call].capacity <== CAPACITY;
        if (call == 0) hash[call].in[0] <== start;
        else hash[call].in[0] <== hash[call - 1].out;
        for (var j = 0; j < 15; j++) {
            if (15 * call + j < COUNT) hash[call].in[j + 1] <== in[15 * call + j];
            else hash[call].in[j + 1] <== 0;
        }
    }
    out <== hash[calls - 1].out;
}
