pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "claim_digest.circom";
include "commit_state.circom";
include "content_range.circom";
include "content_run.circom";

// "I know every element of every record of the dataset with this root; all are of this kind, and all numbers in them, W bytes
// each, lie in [min, max]": one segment of it, N steps from the state in `before` to the one in `after`.
//
// Public, in this order: root, claim, before, after, context. The claim's parameters are kind, min, max and W, under CODE.
// CHUNK_BITS is 7 in all that ships. A state is that of content_run.circom, and then that of content_range.circom.
//
// Not enforced: what those two say. One segment alone shows nothing of the whole dataset.
template DatasetRangedContent(N, DEPTH, CHUNK_BITS, CODE, W, K, EXACT) {
    signal input root;
    signal input claim;
    signal input before;
    signal input after;
    signal input context;

    signal input state[11];
    signal input salt[2];
    signal input kind;
    signal input min;
    signal input max;
    signal input absorb[N];
    signal input record[N];
    signal input close[N];
    signal input in[N][15];
    signal input full[N][15];
    signal input some[N][31 \ W - 1];
    signal input chunkRoot;
    signal input group[DEPTH][16];
    signal input opening[4];

    component bound = NonZero();
    bound.in <== context;
    component digest = ClaimDigest(CODE, 4);
    digest.param <== [kind, min, max, W];
    digest.out === claim;

    component run = ContentRun(N, DEPTH, CHUNK_BITS);
    run.root <== root;
    for (var i = 0; i < 8; i++) run.state[i] <== state[i];
    run.absorb <== absorb;
    run.record <== record;
    run.close <== close;
    run.in <== in;
    run.chunkRoot <== chunkRoot;
    run.group <== group;
    run.opening <== opening;

    component range = ContentRange(N, W, K, EXACT);
    range.absorb <== absorb;
    range.record <== record;
    range.in <== in;
    range.full <== full;
    range.some <== some;
    range.kind <== kind;
    range.min <== min;
    range.max <== max;
    for (var i = 0; i < 3; i++) range.state[i] <== state[8 + i];

    component from = CommitState(11);
    from.field <== state;
    from.salt <== salt[0];
    from.out === before;
    component to = CommitState(11);
    for (var i = 0; i < 8; i++) to.field[i] <== run.next[i];
    for (var i = 0; i < 3; i++) to.field[8 + i] <== range.next[i];
    to.salt <== salt[1];
    to.out === after;
}
