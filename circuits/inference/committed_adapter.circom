pragma circom 2.2.3;

include "../lib/hash_chain.circom";
include "packed_integers.circom";

// A model's private weights (LoRA): forces each of SIZE integers to LO <= in < LO + 2^BITS and commits, under a salt, to the
// two halves of the graph's digest and all of them: the chain from the salt, tag "ap_adapt". SIZE and range are in the
// capacity; the digest covers the base model, the shapes of the matrices and alpha. src/model/commitment.ts is the twin.
//
// Not enforced: that the salt is random, and that it is the same in every proof of one adapter, which the commitment's
// readers see for themselves.
template CommittedAdapter(SIZE, LO, BITS, UPPER, LOWER) {
    signal input in[SIZE];
    signal input salt;
    signal output commitment;

    var PER = integersPerElement(BITS);
    var elements = (SIZE + PER - 1) \ PER;
    component packed = PackedIntegers(SIZE, LO, BITS);
    packed.in <== in;
    component chain = HashChain(chainCapacity(0x61705f6164617074, SIZE, LO, BITS), 2 + elements);
    chain.start <== salt;
    chain.in[0] <== UPPER;
    chain.in[1] <== LOWER;
    for (var e = 0; e < elements; e++) chain.in[2 + e] <== packed.element[e];
    commitment <== chain.out;
}
