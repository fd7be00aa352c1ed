pragma circom 2.2.3;

include "../lib/num2bits.circom";
include "../lib/poseidon16.circom";
include "../lib/range_check.circom";
include "layout.circom";

// From the chain of a chunk as it stands after the record numbered `index`, over the records that follow it there, to the
// chunk's root: as many as there are ones in `real`, before its zeros. A chunk has 2^BITS records (BITS is 7 in all that ships), of which at most K may follow; the tree over
// the chunks has the height DEPTH.
//
// A chunk ends where it is full, or where the dataset of `records` records does, whichever comes first: so their number has one
// value for given `index` and `records`, and one record of the chain stands that far from its end. That holds of any root at
// all, however its chunks were made.
//
// `chunk` is the chunk's number and `digit` its bits. Their range is checked: index < 2^BITS * 16^DEPTH.
//
// Not enforced: that `after` is the value of a chain that started where chains of chunks do, and had as many steps before as
// the record's number says. Whoever made the root decides how it begins.
template ChunkTail(BITS, K, DEPTH) {
    assert(BITS >= 2 && K >= 2); // of the parameters, at compile time; with fewer, circom sees copies where there are rows
    signal input after;
    signal input index;
    signal input records;
    signal input real[K];
    signal input description[K][14];
    signal input blind[K];
    signal output chunk;
    signal output digit[4 * DEPTH];
    signal output root;

    component bits = Num2Bits(BITS + 4 * DEPTH);
    bits.in <== index;
    var place = 0;
    var number = 0;
    for (var i = 0; i < BITS; i++) place += bits.out[i] * (1 << i);
    for (var i = 0; i < 4 * DEPTH; i++) {
        digit[i] <== bits.out[BITS + i];
        number += digit[i] * (1 << i);
    }
    chunk <== number;

    var count = 0;
    for (var i = 0; i < K; i++) {
        real[i] * (real[i] - 1) === 0;
        if (i > 0) real[i] * (1 - real[i - 1]) === 0;
        count += real[i];
    }

    // Slots of the chunk, and records of the dataset, beyond those that follow: neither is negative, and one is 0. A dataset
    // has at most 2^31 records.
    component slots = RangeCheck(0, BITS);
    slots.in <== (1 << BITS) - 1 - place - count;
    component others = RangeCheck(0, 31);
    others.in <== records - 1 - index - count;
    slots.in * others.in === 0;

    component step[K];
    signal at[K + 1];
    at[0] <== after;
    for (var i = 0; i < K; i++) {
        step[i] = Poseidon16();
        step[i].capacity <== chainTag();
        step[i].in[0] <== at[i];
        for (var j = 0; j < 14; j++) step[i].in[j + 1] <== description[i][j];
        step[i].in[15] <== blind[i];
        at[i + 1] <== at[i] + real[i] * (step[i].out - at[i]);
    }
    root <== at[K];
}
