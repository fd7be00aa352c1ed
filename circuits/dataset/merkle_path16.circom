pragma circom 2.2.3;

include "../lib/num2bits.circom";
include "../lib/poseidon16.circom";
include "../lib/select16.circom";

// The top of a 16-ary Poseidon tree from one of its nodes: `node` stands at position `index` of the lowest level.
//
// group[k] holds all sixteen children at level k of the path, the node on the path among them: the one at the index's
// k-th digit is constrained to equal it. Inner nodes are hashed under NODE_TAG + 2^64 * (level + 1).
//
// The decomposition of `index` is its range check: index < 16^DEPTH.
//
// Not enforced: that positions beyond the real nodes are empty.
template MerklePath16(DEPTH, NODE_TAG) {
    signal input node;
    signal input index;
    signal input group[DEPTH][16];
    signal output top;

    signal bits[4 * DEPTH] <== Num2Bits(4 * DEPTH)(index);
    signal chosen[DEPTH];
    signal at[DEPTH + 1];
    at[0] <== node;
    for (var k = 0; k < DEPTH; k++) {
        var digit[4];
        for (var i = 0; i < 4; i++) digit[i] = bits[4 * k + i];
        chosen[k] <== Select16()(digit, group[k]);
        chosen[k] === at[k];
        at[k + 1] <== Poseidon16()(NODE_TAG + (1 << 64) * (k + 1), group[k]);
    }
    top <== at[DEPTH];
}
