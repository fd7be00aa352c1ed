pragma circom 2.2.3;

include "../lib/hash_chain.circom";
include "layout.circom";

// The public signal that stands for a claim's family and its N parameters: a chain from "claim" + 2^64 * CODE.
//
// Not enforced: what the parameters mean. It hides nothing: whoever guesses them can compute it.
template ClaimDigest(CODE, N) {
    signal input param[N];
    signal output out;

    component chain = HashChain(chainTag(), N);
    chain.start <== claimStart() + CODE * (1 << 64);
    chain.in <== param;
    out <== chain.out;
}
