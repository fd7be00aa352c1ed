pragma circom 2.2.3;

include "../lib/poseidon16.circom";
include "../lib/range_check.circom";
include "dataset_root.circom";

// The records of one chunk, tied to the root of their dataset: what every circuit about records begins with.
//
// description[i] and blind[i] are a step of the chunk's chain, as src/dataset/layout.ts has it, for the first `count` of R
// records; real[i] is 1 for those. A chunk ends where it is full, or where the dataset does, whose number of records is in the
// root's opening: `count` has one value for given `index` and opening, whatever the root was made of.
//
// Rows: 616 a record, 32 besides, and the path.
//
// Not enforced: anything about the descriptions, beyond that they are what the root commits to; and what stands in the slots
// that are not real, which have no influence on anything.
template RecordChunk(R, DEPTH) {
    signal input root;
    signal input index;
    signal input description[R][14];
    signal input blind[R];
    signal input group[DEPTH][16];
    signal input opening[4];
    signal output real[R];
    signal output count;

    real[0] <== 1; // a chunk without records would still carry the root's name
    var total = 1;
    for (var i = 1; i < R; i++) {
        real[i] <-- R * index + i < opening[0] ? 1 : 0;
        real[i] * (real[i] - 1) === 0;
        if (i > 1) real[i] * (1 - real[i - 1]) === 0;
        total += real[i];
    }
    count <== total;

    // Slots of the chunk, and records of the dataset, beyond those: neither is negative, and one is 0. A dataset has at most
    // 2^31 records.
    component others = RangeCheck(0, 31);
    others.in <== opening[0] - R * index - count;
    (R - count) * others.in === 0;

    component step[R];
    signal at[R + 1];
    at[0] <== chunkStart();
    for (var i = 0; i < R; i++) {
        step[i] = Poseidon16();
        step[i].capacity <== chainTag();
        step[i].in[0] <== at[i];
        for (var j = 0; j < 14; j++) step[i].in[j + 1] <== description[i][j];
        step[i].in[15] <== blind[i];
        if (i == 0) at[1] <== step[0].out;
        else at[i + 1] <== at[i] + real[i] * (step[i].out - at[i]);
    }

    component top = DatasetRoot(DEPTH);
    top.chunk <== at[R];
    top.index <== index;
    top.group <== group;
    top.opening <== opening;
    top.root === root;
}
