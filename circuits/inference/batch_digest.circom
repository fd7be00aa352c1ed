pragma circom 2.2.3;

include "../lib/hash_chain.circom";

// One public signal for the K of a batch (input commitments, or packed outputs): their chain from 0 under the tag "ap_batch"
// and K. src/model/commitment.ts is the twin.
//
// Not enforced: anything about the signals. Whoever knows them can compute the digest; it hides nothing by itself.
template BatchDigest(K) {
    signal input in[K];
    signal output out;

    component chain = HashChain(chainCapacity(0x61705f6261746368, K, -(1 << 15), 0), K);
    chain.start <== 0;
    chain.in <== in;
    out <== chain.out;
}
