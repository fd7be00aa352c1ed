pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "claim_digest.circom";
include "commit_state.circom";
include "record_chunk.circom";

// What all segments of claims about records have in common: one chunk under the dataset's root, the family and parameters
// that `claim` stands for, and the state of N fields that `before` commits to.
//
// The first two fields of a state are the number of chunks done, which is this chunk's index, and the number of records in
// them. So a run from the first state over segments whose states fit together takes every chunk once, in order.
//
// real[i] is 1 for the `count` slots that hold a record.
//
// Not enforced: the state afterwards, which the caller commits to: one chunk more, and `count` records more.
template RecordSegment(CODE, P, N, R, DEPTH) {
    signal input root;
    signal input claim;
    signal input before;
    signal input context;

    signal input param[P];
    signal input state[N];
    signal input beforeSalt;
    signal input description[R][14];
    signal input blind[R];
    signal input group[DEPTH][16];
    signal input opening[4];
    signal output real[R];
    signal output count;

    component bound = NonZero();
    bound.in <== context;

    component digest = ClaimDigest(CODE, P);
    digest.param <== param;
    digest.out === claim;

    component from = CommitState(N);
    from.field <== state;
    from.salt <== beforeSalt;
    from.out === before;

    component chunk = RecordChunk(R, DEPTH);
    chunk.root <== root;
    chunk.index <== state[0];
    chunk.description <== description;
    chunk.blind <== blind;
    chunk.group <== group;
    chunk.opening <== opening;
    real <== chunk.real;
    count <== chunk.count;
}
