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

    component digits = Num2Bits(4 * DEPTH);
    digits.in <== index;

    component select[DEPTH];
    component hash[DEPTH];
    signal at[DEPTH + 1];
    at[0] <== node;
    for (var k = 0; k < DEPTH; k++) {
        select[k] = Select16();
        for (var i = 0; i < 4; i++) select[k].bit[i] <== digits.out[4 * k + i];
        select[k].in <== group[k];
        select[k].out === at[k];
        hash[k] = Poseidon16();
        hash[k].capacity <== NODE_TAG + (1 << 64) * (k + 1);
        hash[k].in <== group[k];
        at[k + 1] <== hash[k].out;
    }
    top <== at[DEPTH];
}
