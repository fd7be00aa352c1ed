pragma circom 2.2.3;

include "../lib/is_zero.circom";
include "commit_state.circom";
include "record_segment.circom";

// "Every record of this chunk has one of these labels, and each of them this often."
//
// Public, in this order: root, claim, before, after, context. R is 128 in all that ships.
//
// param: the number of labels n, 1 where they are counted, and 16 digests, of which the first n are the labels'.
// state: chunks, records, and how many of those have each label; zeros where they are not counted.
//
// A record has exactly one of the first n digests as its label, so that equal digests among them make the claim false
// rather than a count ambiguous. What stands in the other places of `param` matches nothing.
//
// A state's numbers are far from the field's order: they start at 0, and a segment adds at most R.
//
// Not enforced: that digests are those of texts. A verifier computes `claim` from texts.
template DatasetLabels(R, DEPTH) {
    signal input root;
    signal input claim;
    signal input before;
    signal input after;
    signal input context;

    signal input param[18];
    signal input state[18];
    signal input beforeSalt;
    signal input afterSalt;
    signal input description[R][14];
    signal input blind[R];
    signal input group[DEPTH][16];
    signal input opening[4];

    component segment = RecordSegment(4, 18, 18, R, DEPTH);
    segment.root <== root;
    segment.claim <== claim;
    segment.before <== before;
    segment.context <== context;
    segment.param <== param;
    segment.state <== state;
    segment.beforeSalt <== beforeSalt;
    segment.description <== description;
    segment.blind <== blind;
    segment.group <== group;
    segment.opening <== opening;

    // last[j] is 1 where there are j + 1 labels; meant[j] is the sum from j on, 1 for the first n of 16.
    signal last[16];
    var meant[16];
    var lasts = 0;
    var labels = 0;
    for (var j = 0; j < 16; j++) {
        last[j] <-- param[0] == j + 1 ? 1 : 0;
        last[j] * (last[j] - 1) === 0;
        lasts += last[j];
        labels += (j + 1) * last[j];
        for (var k = 0; k <= j; k++) meant[k] += last[j];
    }
    lasts === 1;
    labels === param[0];
    param[1] * (param[1] - 1) === 0;

    component same[R][16];
    signal match[R][16];
    signal hit[R][16];
    var hits[16];
    for (var i = 0; i < R; i++) {
        var matches = 0;
        for (var j = 0; j < 16; j++) {
            same[i][j] = IsZero();
            same[i][j].in <== description[i][5] - param[2 + j];
            match[i][j] <== same[i][j].out * meant[j];
            hit[i][j] <== match[i][j] * segment.real[i];
            matches += match[i][j];
            hits[j] += hit[i][j];
        }
        segment.real[i] * (1 - matches) === 0;
    }

    component to = CommitState(18);
    to.field[0] <== state[0] + 1;
    to.field[1] <== state[1] + segment.count;
    for (var j = 0; j < 16; j++) to.field[2 + j] <== state[2 + j] + param[1] * hits[j];
    to.salt <== afterSalt;
    to.out === after;
}
