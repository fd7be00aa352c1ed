pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "../lib/poseidon16.circom";
include "chunk_tail.circom";
include "dataset_root.circom";

// "The record numbered `index` under the dataset root `root` has the description behind `record`."
//
// Public, in this order: root, index, record, context. A chunk has 2^BITS records, 128 in all that ships; at most K of them
// follow the record.
//
// `record` is the description's digest as digestDescription() of src/dataset/layout.ts has it, under a capacity of its own:
// with a random salt it hides the record, with salt 0 whoever is shown the record can check it.
//
// Rows: 613 for each of the K records, and two more; and the path.
//
// Not enforced: that the prover knows the data whose digests the description holds, and that the totals in the root are true.
// The record is the one that stands where chunk_tail.circom says; so no root has two records of one number.
template DatasetOpening(BITS, K, DEPTH) {
    signal input root;
    signal input index;
    signal input record;
    signal input context;

    signal input previous;
    signal input description[14];
    signal input blind;
    signal input salt;
    signal input real[K];
    signal input following[K][14];
    signal input followingBlind[K];
    signal input group[DEPTH][16];
    signal input opening[4];

    component bound = NonZero();
    bound.in <== context;

    component digest = Poseidon16();
    digest.capacity <== recordTag();
    digest.in[0] <== salt;
    for (var j = 0; j < 14; j++) digest.in[j + 1] <== description[j];
    digest.in[15] <== 0;
    digest.out === record;

    component step = Poseidon16();
    step.capacity <== chainTag();
    step.in[0] <== previous;
    for (var j = 0; j < 14; j++) step.in[j + 1] <== description[j];
    step.in[15] <== blind;

    component tail = ChunkTail(BITS, K, DEPTH);
    tail.after <== step.out;
    tail.index <== index;
    tail.records <== opening[0];
    tail.real <== real;
    tail.description <== following;
    tail.blind <== followingBlind;

    component top = DatasetRoot(DEPTH);
    top.chunk <== tail.root;
    top.index <== tail.chunk;
    top.group <== group;
    top.opening <== opening;
    top.root === root;
}
