pragma circom 2.2.3;

include "packed_integers.circom";
include "hash_chain.circom";

// A model's private weights (LoRA): forces each of SIZE integers to its range and commits, under a salt, to the two halves
// of the graph's digest and all of them. CAPACITY holds the tag "ap_adapt", SIZE, LO and BITS; the digest covers the base
// model, the shapes of the matrices and alpha. src/model/commitment.ts is the twin.
//
// Not enforced: that the salt is random, and that it is the same in every proof of one adapter, which the commitment's
// readers see for themselves.
template CommittedAdapter(SIZE, LO, BITS, LANE, PER, UPPER, LOWER, CAPACITY) {
    signal input in[SIZE];
    signal input salt;
    signal output commitment;

    var elements = (SIZE + PER - 1) \ PER;
    component packed = PackedIntegers(SIZE, LO, BITS, LANE, PER);
    packed.in <== in;
    component chain = HashChain(CAPACITY, 2 + elements);
    chain.start <== salt;
    chain.in[0] <== UPPER;
    chain.in[1] <== LOWER;
    for (var e = 0; e < elements; e++) chain.in[2 + e] <== packed.element[e];
    commitment <== chain.out;
}
