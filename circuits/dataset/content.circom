pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "commit_state.circom";
include "content_run.circom";

// "I know every element of every record of the dataset with this root": one segment of it, N steps from the state in
// `before` to the one in `after`. DIGEST is the claim's signal, a constant: the claim has no parameters.
//
// Public, in this order: root, claim, before, after, context. CHUNK_BITS is 7 in all that ships.
//
// Not enforced: what content_run.circom says. One segment alone shows nothing of the whole dataset.
template DatasetContent(N, DEPTH, CHUNK_BITS, DIGEST) {
    signal input root;
    signal input claim;
    signal input before;
    signal input after;
    signal input context;

    signal input state[8];
    signal input salt[2];
    signal input absorb[N];
    signal input record[N];
    signal input close[N];
    signal input in[N][15];
    signal input chunkRoot;
    signal input group[DEPTH][16];
    signal input opening[4];

    component bound = NonZero();
    bound.in <== context;
    claim === DIGEST;

    component run = ContentRun(N, DEPTH, CHUNK_BITS);
    run.root <== root;
    run.state <== state;
    run.absorb <== absorb;
    run.record <== record;
    run.close <== close;
    run.in <== in;
    run.chunkRoot <== chunkRoot;
    run.group <== group;
    run.opening <== opening;

    component from = CommitState(8);
    from.field <== state;
    from.salt <== salt[0];
    from.out === before;
    component to = CommitState(8);
    to.field <== run.next;
    to.salt <== salt[1];
    to.out === after;
}
