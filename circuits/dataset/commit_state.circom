pragma circom 2.2.3;

include "../lib/hash_chain.circom";
include "layout.circom";

// A commitment to the N fields of an automaton's state between two segments of a proof: a chain from a random salt, which
// hides them. The first state of all has salt 0, and the last one is opened.
template CommitState(N) {
    signal input field[N];
    signal input salt;
    signal output out;

    component chain = HashChain(stateTag(), N);
    chain.start <== salt;
    chain.in <== field;
    out <== chain.out;
}
