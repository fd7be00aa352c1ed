pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "record_chunk.circom";

// "I know the descriptions of the `count` records of the chunk at `index` under the dataset root `root`."
//
// Public, in this order: root, index, count, context. R is 128 in all that ships.
//
// Not enforced: that the prover knows the data whose digests the descriptions hold (content.circom shows that), that chunks
// other than this one exist, and that the totals in the root are true. Statements about whole datasets need a proof for every
// chunk.
template DatasetChunk(R, DEPTH) {
    signal input root;
    signal input index;
    signal input count;
    signal input context;

    signal input description[R][14];
    signal input blind[R];
    signal input group[DEPTH][16];
    signal input opening[4];

    component bound = NonZero();
    bound.in <== context;

    component chunk = RecordChunk(R, DEPTH);
    chunk.root <== root;
    chunk.index <== index;
    chunk.description <== description;
    chunk.blind <== blind;
    chunk.group <== group;
    chunk.opening <== opening;
    chunk.count === count;
}
