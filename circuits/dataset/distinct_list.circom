pragma circom 2.2.3;

include "../lib/hash_chain.circom";
include "../lib/nonzero.circom";
include "../lib/range_check.circom";
include "claim_digest.circom";
include "commit_state.circom";
include "layout.circom";

// One segment of the first half of "no two records are the same": fingerprints in strictly increasing order. The second half,
// distinct_records.circom, shows that they are those of the dataset's records.
//
// Public, in this order: root, claim, before, after, context. The state is chunks, records, listed, list, last, sum:
//
// - `chunks` and `records`, those that have been gone through, are 0 here: no entry follows a record
// - `listed` entries, each more than the one before, of which `last` is the last one's high part
// - `list` is the chain over them, 14 and a blinding value a step; a slot without an entry is 0
// - `sum` is the sum over all entries s of 1 / (gamma - s), less that over the records so far
//
// An entry is high * 2^128 + low; what is private is low, and the gap between its high part and the one before. High parts
// grow by at least 1 each; low parts have 128 bits; and the last high part is below r >> 128, so that each entry is the
// only spelling of an integer below r, and entries differ as field elements. It starts at 0, so that no entry is 0: the chain
// alone tells which slots are entries.
//
// gamma and rho are public parameters in `claim`, which verifiers derive from the root, the final `list` and more (see
// distinctChallenges() in src/dataset/distinct.ts). Where an entry equals gamma, its row has no solution: there is no fraction
// without a value.
//
// Rows: 261 an entry, 613 a step, 1,970 besides.
//
// Not enforced: anything about records; that is what the sum is for. `root` has no meaning here beyond what gamma has from it.
template DatasetDistinctList(STEPS) {
    var entries = 14 * STEPS;
    signal input root;
    signal input claim;
    signal input before;
    signal input after;
    signal input context;

    signal input challenge[2]; // rho, gamma
    signal input listed;
    signal input list;
    signal input last;
    signal input sum;
    signal input beforeSalt;
    signal input afterSalt;
    signal input real[entries]; // 1 for entries, and then 0
    signal input gap[entries];
    signal input low[entries];
    signal input blind[STEPS];

    component bound = NonZero();
    bound.in <== context;
    component named = NonZero(); // a row for the public signal
    named.in <== root;

    component digest = ClaimDigest(7, 2);
    digest.param <== challenge;
    digest.out === claim;

    component first = CommitState(6);
    first.field[0] <== 0;
    first.field[1] <== 0;
    first.field[2] <== listed;
    first.field[3] <== list;
    first.field[4] <== last;
    first.field[5] <== sum;
    first.salt <== beforeSalt;
    first.out === before;

    signal high[entries + 1];
    signal value[entries];
    signal inverse[entries];
    signal term[entries];
    component gaps[entries];
    component lows[entries];
    var present = 0;
    var total = 0;
    high[0] <== last;
    for (var i = 0; i < entries; i++) {
        real[i] * (real[i] - 1) === 0;
        if (i > 0) real[i] * (1 - real[i - 1]) === 0;
        present += real[i];

        gaps[i] = RangeCheck(0, 126);
        gaps[i].in <== gap[i];
        lows[i] = RangeCheck(0, 128);
        lows[i].in <== low[i];
        // Neither is negative, so both are 0.
        (1 - real[i]) * (gap[i] + low[i]) === 0;

        high[i + 1] <== high[i] + gap[i] + real[i];
        value[i] <== real[i] * (high[i + 1] * (1 << 128) + low[i]);
        // Also of slots without an entry, so that the inverse has one value there.
        inverse[i] <-- 1 / (challenge[1] - value[i]);
        (challenge[1] - value[i]) * inverse[i] === 1;
        term[i] <== real[i] * inverse[i];
        total += term[i];
    }

    // r >> 128, less 1 and less the last high part. None of the sums above reaches r.
    component room = RangeCheck(0, 126);
    room.in <== (-1 >> 128) - 1 - high[entries];

    component chain = HashChain(chainTag(), 15 * STEPS);
    chain.start <== list;
    for (var i = 0; i < STEPS; i++) {
        for (var j = 0; j < 14; j++) chain.in[15 * i + j] <== value[14 * i + j];
        chain.in[15 * i + 14] <== blind[i];
    }

    component next = CommitState(6);
    next.field[0] <== 0;
    next.field[1] <== 0;
    next.field[2] <== listed + present;
    next.field[3] <== chain.out;
    next.field[4] <== high[entries];
    next.field[5] <== sum + total;
    next.salt <== afterSalt;
    next.out === after;
}
