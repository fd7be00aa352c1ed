pragma circom 2.2.3;

include "../lib/hash_chain.circom";
include "../lib/is_zero.circom";
include "../lib/range_check.circom";
include "commit_state.circom";
include "record_segment.circom";

// "Every cell of this column in this chunk lies in one of these bins", and what the flags add to it.
//
// Public, in this order: root, claim, before, after, context. R is 128 in all that ships. REST is 0 for the first five
// columns, whose cells stand in the descriptions; for the others it is the number of steps in the chain of the cells from
// the sixth on, of which `cell` are the elements.
//
// param: the column's number; 1 where only records with a label count, and that label's digest; flags: histogram, sum,
//   attained, order, strict; 17 edges, of which the last one is repeated where there are fewer.
// state: chunks, records, those of them that have the label, those of these with a cell, the sum of these cells, whether one
//   is the first edge, whether one is the last edge - 1, the last cell, and how many lie in each of the 16 bins.
//
// A cell is 0 where there is none. It counts where it is not 0, the slot is real and the label is right; what does not
// count has value 0, lies in no bin, and passes every check.
//
// - Bins: value - lower and upper - 1 - value fit 64 bits, where the bin's edges are at least 1 and at most 2^64 + 1. So
//   the value is an integer of 1..2^64, below any sum of which 2^31 never comes near the field's order, and it lies in the
//   bin. A bin without width holds nothing: the two add up to -1.
// - Attained: a product is 0 where a factor is. What does not count makes no such factor, as both ends are at least 1.
// - Order: every record counts, and value - previous, less 1 if strict, fits 64 bits. The last cell goes on to the next
//   segment, but not into the state that the dataset's last segment ends with, which is opened.
// - Fields that belong to flags that are not set keep their first values, so that the last state says no more than is claimed.
//
// Not enforced: that edges are ascending and within 1..2^64 + 1, that the last one is repeated, and that order goes without a
// label; a verifier computes `claim` from parameters that it has checked. Nor that cells are what the schema says.
template DatasetColumn(R, DEPTH, REST) {
    signal input root;
    signal input claim;
    signal input before;
    signal input after;
    signal input context;

    signal input param[25];
    signal input state[24];
    signal input beforeSalt;
    signal input afterSalt;
    signal input description[R][14];
    signal input blind[R];
    signal input group[DEPTH][16];
    signal input opening[4];
    signal input cell[R][15 * REST];

    component segment = RecordSegment(5, 25, 24, R, DEPTH);
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

    for (var k = 3; k < 8; k++) param[k] * (param[k] - 1) === 0;
    param[1] * (param[1] - 1) === 0;

    var FIRST = REST == 0 ? 0 : 5;
    var CELLS = REST == 0 ? 5 : 15 * REST;
    signal pick[CELLS];
    var picks = 0;
    var column = 0;
    for (var k = 0; k < CELLS; k++) {
        pick[k] <-- param[0] == FIRST + k ? 1 : 0;
        pick[k] * (pick[k] - 1) === 0;
        picks += pick[k];
        column += (FIRST + k) * pick[k];
    }
    picks === 1;
    column === param[0];

    component rest[R];
    signal picked[R][CELLS];
    component absent[R];
    component labelled[R];
    signal ignored[R];
    signal eligible[R];
    signal counted[R];
    signal value[R];
    signal bin[R][16];
    signal lower[R][16];
    signal upper[R][16];
    component above[R];
    component below[R];
    signal fromFirst[R];
    signal fromLast[R];
    signal ordered[R];
    component rise[R];
    var eligibles = 0;
    var counts = 0;
    var sum = 0;
    var inBin[16];
    var previous = state[7];
    for (var i = 0; i < R; i++) {
        if (REST > 0) {
            rest[i] = HashChain(chainTag(), 15 * REST);
            rest[i].start <== cellsStart();
            rest[i].in <== cell[i];
            segment.real[i] * (rest[i].out - description[i][7]) === 0;
        }
        var own = 0;
        for (var k = 0; k < CELLS; k++) {
            if (REST == 0) picked[i][k] <== pick[k] * description[i][9 + k];
            else picked[i][k] <== pick[k] * cell[i][k];
            own += picked[i][k];
        }
        absent[i] = IsZero();
        absent[i].in <== own;
        labelled[i] = IsZero();
        labelled[i].in <== description[i][5] - param[2];
        ignored[i] <== param[1] * (1 - labelled[i].out);
        eligible[i] <== segment.real[i] * (1 - ignored[i]);
        counted[i] <== eligible[i] * (1 - absent[i].out);
        value[i] <== counted[i] * absent[i].in;
        eligibles += eligible[i];
        counts += counted[i];
        sum += value[i];

        var bins = 0;
        var lowerEdge = 0;
        var upperEdge = 0;
        for (var j = 0; j < 16; j++) {
            bin[i][j] <-- counted[i] == 1 && value[i] >= param[8 + j] && value[i] < param[9 + j] ? 1 : 0;
            bin[i][j] * (bin[i][j] - 1) === 0;
            lower[i][j] <== bin[i][j] * param[8 + j];
            upper[i][j] <== bin[i][j] * param[9 + j];
            bins += bin[i][j];
            lowerEdge += lower[i][j];
            upperEdge += upper[i][j];
            inBin[j] += bin[i][j];
        }
        bins === counted[i];
        above[i] = RangeCheck(0, 64);
        above[i].in <== value[i] - lowerEdge;
        below[i] = RangeCheck(0, 64);
        below[i].in <== upperEdge - counted[i] - value[i];

        if (i == 0) {
            fromFirst[0] <== value[0] - param[8];
            fromLast[0] <== value[0] - param[24] + 1;
        } else {
            fromFirst[i] <== fromFirst[i - 1] * (value[i] - param[8]);
            fromLast[i] <== fromLast[i - 1] * (value[i] - param[24] + 1);
        }

        ordered[i] <== param[6] * segment.real[i];
        rise[i] = RangeCheck(0, 64);
        rise[i].in <== ordered[i] * (value[i] - previous - param[7]);
        previous = value[i];
    }
    // Each record counts at most once, so no sum of differences hides one.
    param[6] * (segment.count - counts) === 0;

    component firstHit = IsZero();
    firstHit.in <== fromFirst[R - 1];
    component lastHit = IsZero();
    lastHit.in <== fromLast[R - 1];
    signal newFirst <== (1 - state[5]) * firstHit.out;
    signal newLast <== (1 - state[6]) * lastHit.out;

    // Slot R - 1 is real in all chunks but the last.
    component done = IsZero();
    done.in <== R * state[0] + segment.count - opening[0];
    signal kept <== (1 - done.out) * value[R - 1];

    component to = CommitState(24);
    to.field[0] <== state[0] + 1;
    to.field[1] <== state[1] + segment.count;
    to.field[2] <== state[2] + eligibles;
    to.field[3] <== state[3] + counts;
    to.field[4] <== state[4] + param[4] * sum;
    to.field[5] <== state[5] + param[5] * newFirst;
    to.field[6] <== state[6] + param[5] * newLast;
    to.field[7] <== param[6] * kept;
    for (var j = 0; j < 16; j++) to.field[8 + j] <== state[8 + j] + param[3] * inBin[j];
    to.salt <== afterSalt;
    to.out === after;
}
