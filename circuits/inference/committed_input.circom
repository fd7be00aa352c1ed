pragma circom 2.2.3;

include "packed_integers.circom";
include "hash_chain.circom";

// A model's private input: forces each of SIZE integers to its range and commits to all of them under a salt. CAPACITY
// holds the tag "ap_input", SIZE, LO and BITS: inputs of different sizes or ranges never collide. src/model/commitment.ts
// is the twin.
//
// Not enforced: that the salt is random. The commitment hides the input only if whoever proves drew it uniformly.
template CommittedInput(SIZE, LO, BITS, LANE, PER, CAPACITY) {
    signal input in[SIZE];
    signal input salt;
    signal output commitment;

    component packed = PackedIntegers(SIZE, LO, BITS, LANE, PER);
    packed.in <== in;
    component chain = HashChain(CAPACITY, (SIZE + PER - 1) \ PER);
    chain.start <== salt;
    chain.in <== packed.element;
    commitment <== chain.out;
}
