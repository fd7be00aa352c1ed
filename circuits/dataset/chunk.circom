pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "../lib/poseidon16.circom";
include "../lib/zero_from.circom";
include "merkle_path16.circom";

// "I know a chunk of `count` field elements that stands at `index` under the dataset root `root`."
//
// A chunk is 16 leaves of 15 elements and one blinding value each. Layout and tags are those of
// src/dataset/commitment.ts, which computes the same root; DEPTH is the height of the tree over the chunk roots.
// Nearly all rows are hashing: 21 permutations at DEPTH 3 (16 leaves, the chunk, three levels, the root).
//
// Public, in this order: root, index, count, context. The elements, blinds, siblings and the dataset's totals are not.
//
// Not enforced: that an element is below 2^248 (a packing of 31 bytes), that the totals in the header are true, and
// that chunks other than this one exist. Statements about whole datasets need a proof for every chunk.
template DatasetChunk(DEPTH) {
    signal input root;
    signal input index;
    signal input count;
    signal input context;

    signal input element[240];
    signal input blind[16];
    signal input group[DEPTH][16];
    signal input header[4];

    var LEAF_TAG = 0x61705f6c656166;    // "ap_leaf"
    var CHUNK_TAG = 0x61705f6368756e6b; // "ap_chunk"
    var NODE_TAG = 0x61705f6e6f6465;    // "ap_node"
    var ROOT_TAG = 0x61705f726f6f74;    // "ap_root"

    NonZero()(context);
    NonZero()(count); // a proof about nothing would still carry the root's name
    ZeroFrom(240)(count, element);

    signal leaf[16];
    for (var i = 0; i < 16; i++) {
        var input16[16];
        for (var j = 0; j < 15; j++) input16[j] = element[15 * i + j];
        input16[15] = blind[i];
        leaf[i] <== Poseidon16()(LEAF_TAG, input16);
    }
    signal chunk <== Poseidon16()(CHUNK_TAG + (1 << 64) * count, leaf);
    signal top <== MerklePath16(DEPTH, NODE_TAG)(chunk, index, group);

    var last[16];
    last[0] = top;
    for (var i = 0; i < 4; i++) last[i + 1] = header[i];
    for (var i = 5; i < 16; i++) last[i] = 0;
    signal computed <== Poseidon16()(ROOT_TAG + (1 << 64) * DEPTH, last);
    computed === root;
}
