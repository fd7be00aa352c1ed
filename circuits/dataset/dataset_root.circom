pragma circom 2.2.3;

include "../lib/poseidon16.circom";
include "layout.circom";
include "merkle_path16.circom";

// The root of a dataset from the root of its chunk at `index`. DEPTH is the height of the tree over the chunk roots;
// opening is records, blocks, values and schema, as src/dataset/layout.ts hashes them.
//
// Not enforced: that positions beyond the real chunks are empty, and that the totals are true.
template DatasetRoot(DEPTH) {
    signal input chunk;
    signal input index;
    signal input group[DEPTH][16];
    signal input opening[4];
    signal output root;

    component path = MerklePath16(DEPTH, nodeTag());
    path.node <== chunk;
    path.index <== index;
    path.group <== group;

    component hash = Poseidon16();
    hash.capacity <== rootTag() + (1 << 64) * DEPTH;
    hash.in[0] <== path.top;
    for (var i = 0; i < 4; i++) hash.in[i + 1] <== opening[i];
    for (var i = 5; i < 16; i++) hash.in[i] <== 0;
    root <== hash.out;
}
