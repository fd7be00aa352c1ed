pragma circom 2.2.3;

include "../lib/hash_chain.circom";
include "packed_integers.circom";

// A model's private input: forces each of SIZE integers to LO <= in < LO + 2^BITS and commits to all of them under a salt: the
// chain from the salt over the packed integers, tag "ap_input". SIZE and range are in the capacity, so that inputs of
// different sizes or ranges never collide. src/model/commitment.ts is the twin.
//
// Not enforced: that the salt is random. The commitment hides the input only if whoever proves drew it uniformly.
template CommittedInput(SIZE, LO, BITS) {
    signal input in[SIZE];
    signal input salt;
    signal output commitment;

    var PER = integersPerElement(BITS);
    component packed = PackedIntegers(SIZE, LO, BITS);
    packed.in <== in;
    component chain = HashChain(chainCapacity(0x61705f696e707574, SIZE, LO, BITS), (SIZE + PER - 1) \ PER);
    chain.start <== salt;
    chain.in <== packed.element;
    commitment <== chain.out;
}
