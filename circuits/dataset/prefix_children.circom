pragma circom 2.2.3;

// The sixteen children of a node of a tree that was cut off behind one of its leaves: those before the digit stay, the one at
// the digit is `own`, and those behind it are 0. The digit is given as four bits, lowest first.
//
// 18 rows for the one-hot digit, 31 for the products.
//
// Not enforced: that the bits are bits. The caller decomposes the index with constraints.
template PrefixChildren() {
    signal input bit[4];
    signal input in[16];
    signal input own;
    signal output out[16];

    // is[d] = 1 exactly where d is the digit: products of two 2-bit one-hots.
    signal low3 <== bit[0] * bit[1];
    signal high3 <== bit[2] * bit[3];
    var low[4] = [1 - bit[0] - bit[1] + low3, bit[0] - low3, bit[1] - low3, low3];
    var high[4] = [1 - bit[2] - bit[3] + high3, bit[2] - high3, bit[3] - high3, high3];

    signal is[16];
    for (var d = 0; d < 16; d++) is[d] <== low[d % 4] * high[d \ 4];

    signal kept[15];
    var before = 0;
    for (var d = 15; d >= 0; d--) {
        // Here `before` is 1 where d is before the digit.
        if (d < 15) {
            kept[d] <== before * in[d];
            out[d] <== kept[d] + is[d] * own;
        } else {
            out[d] <== is[d] * own;
        }
        before += is[d];
    }
}
