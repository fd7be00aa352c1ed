pragma circom 2.2.3;

include "../lib/nonzero.circom";
include "../lib/poseidon16.circom";
include "chunk_tail.circom";
include "dataset_root.circom";
include "prefix_children.circom";

// "The first `oldRecords` records under the dataset root `newRoot` are the records under `oldRoot`, and the columns are the
// same."
//
// Public, in this order: oldRoot, newRoot, oldRecords, newRecords, context. A chunk has 2^BITS records, 128 in all that ships;
// at most K of the new ones stand in the old dataset's last chunk.
//
// Let k be the number of the old dataset's last chunk. `last` is its root: the chain over its records, which the new
// dataset's chunk k goes on from, to the end that chunk_tail.circom says it has. The path of chunk k in the new tree holds at
// each level everything left of it, and that is the same in both trees: the old one is hashed again from those children, its
// own node on the path, and zeros to the right. A higher tree has the lower one as its leftmost part.
//
// Record i < oldRecords of either root is the one that opening.circom opens: it stands in chunk i / 2^BITS, a number of steps
// before the chunk's end that follows from i and from the records in the root. For chunks before k, which are full in both,
// the roots are equal and the distances as well; chunk k's new end is as many steps behind its old one as it has
// new records, and the distances grow by that many.
//
// Rows: 613 for each of the K records; both paths.
//
// Not enforced: that the new tree is empty right of its last chunk, and that the totals in both roots are true. Neither has a
// part in which record has which number: nothing behind the last chunk ever has one.
template DatasetGrowth(BITS, K, DEPTH_OLD, DEPTH_NEW) {
    assert(DEPTH_OLD <= DEPTH_NEW); // of the parameters, at compile time; not a constraint
    signal input oldRoot;
    signal input newRoot;
    signal input oldRecords;
    signal input newRecords;
    signal input context;

    signal input last;
    signal input real[K];
    signal input following[K][14];
    signal input followingBlind[K];
    signal input group[DEPTH_NEW][16];
    signal input oldTotals[2]; // blocks, values
    signal input newTotals[2];
    signal input schema;

    component bound = NonZero();
    bound.in <== context;

    component tail = ChunkTail(BITS, K, DEPTH_OLD);
    tail.after <== last;
    tail.index <== oldRecords - 1;
    tail.records <== newRecords;
    tail.real <== real;
    tail.description <== following;
    tail.blind <== followingBlind;

    component top = DatasetRoot(DEPTH_NEW);
    top.chunk <== tail.root;
    top.index <== tail.chunk;
    top.group <== group;
    top.opening[0] <== newRecords;
    for (var i = 0; i < 2; i++) top.opening[i + 1] <== newTotals[i];
    top.opening[3] <== schema;
    top.root === newRoot;

    component prefix[DEPTH_OLD];
    component hash[DEPTH_OLD];
    for (var k = 0; k < DEPTH_OLD; k++) {
        prefix[k] = PrefixChildren();
        for (var i = 0; i < 4; i++) prefix[k].bit[i] <== tail.digit[4 * k + i];
        prefix[k].in <== group[k];
        if (k == 0) prefix[k].own <== last;
        else prefix[k].own <== hash[k - 1].out;
        hash[k] = Poseidon16();
        hash[k].capacity <== nodeTag() + (1 << 64) * (k + 1);
        hash[k].in <== prefix[k].out;
    }

    component old = Poseidon16();
    old.capacity <== rootTag() + (1 << 64) * DEPTH_OLD;
    old.in[0] <== hash[DEPTH_OLD - 1].out;
    old.in[1] <== oldRecords;
    for (var i = 0; i < 2; i++) old.in[i + 2] <== oldTotals[i];
    old.in[4] <== schema;
    for (var i = 5; i < 16; i++) old.in[i] <== 0;
    old.out === oldRoot;
}
