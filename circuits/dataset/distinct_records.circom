pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "claim_digest.circom";
include "commit_state.circom";
include "fingerprint.circom";
include "record_chunk.circom";

// One segment of the second half of "no two records are the same": the records of the next chunk, taken off the sum that
// distinct_list.circom has made of their fingerprints in order.
//
// Public, in this order: root, claim, before, after, context. The state is chunks, records, listed, list, last, sum, as there.
// `last`, which would tell something about the data in the state that is opened, becomes 0.
//
// Where the sum is 0 after the last chunk, both sides are the same fractions 1 / (gamma - x), as gamma was drawn when both
// were fixed: each record's fingerprint is in the list, as often as there are such records, and nothing is in the list twice.
//
// Rows: 630 a record, two states, the claim, and the path.
//
// Not enforced: that records with different fingerprints are what differs; see fingerprint.circom for when they do not.
template DatasetDistinctRecords(R, DEPTH) {
    signal input root;
    signal input claim;
    signal input before;
    signal input after;
    signal input context;

    signal input description[R][14];
    signal input blind[R];
    signal input group[DEPTH][16];
    signal input opening[4];
    signal input count;
    signal input challenge[2]; // rho, gamma
    signal input field[6];
    signal input beforeSalt;
    signal input afterSalt;

    component bound = NonZero();
    bound.in <== context;

    component digest = ClaimDigest(6, 2);
    digest.param <== challenge;
    digest.out === claim;

    component first = CommitState(6);
    first.field <== field;
    first.salt <== beforeSalt;
    first.out === before;

    component chunk = RecordChunk(R, DEPTH);
    chunk.root <== root;
    chunk.index <== field[0];
    chunk.description <== description;
    chunk.blind <== blind;
    chunk.group <== group;
    chunk.opening <== opening;
    chunk.count === count;

    component fingerprint[R];
    signal inverse[R];
    signal term[R];
    var total = 0;
    for (var i = 0; i < R; i++) {
        fingerprint[i] = Fingerprint();
        fingerprint[i].description <== description[i];
        fingerprint[i].rho <== challenge[0];
        // Also of slots without a record, so that the inverse has one value there.
        inverse[i] <-- 1 / (challenge[1] - fingerprint[i].out);
        (challenge[1] - fingerprint[i].out) * inverse[i] === 1;
        term[i] <== chunk.real[i] * inverse[i];
        total += term[i];
    }

    component next = CommitState(6);
    next.field[0] <== field[0] + 1;
    next.field[1] <== field[1] + count;
    next.field[2] <== field[2];
    next.field[3] <== field[3];
    next.field[4] <== 0;
    next.field[5] <== field[5] - total;
    next.salt <== afterSalt;
    next.out === after;
}
