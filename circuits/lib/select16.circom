pragma circom 2.2.3;

// Picks one of sixteen values by a hexadecimal digit given as four bits, lowest first: out = in[digit].
// 18 rows for the one-hot digit, 16 for the products, 1 that sums them.
//
// Not enforced: that the bits are bits. The caller decomposes the index with constraints.
template Select16() {
    signal input bit[4];
    signal input in[16];
    signal output out;

    // is[d] = 1 exactly where d is the digit: products of two 2-bit one-hots.
    signal low3 <== bit[0] * bit[1];
    signal high3 <== bit[2] * bit[3];
    var low[4] = [1 - bit[0] - bit[1] + low3, bit[0] - low3, bit[1] - low3, low3];
    var high[4] = [1 - bit[2] - bit[3] + high3, bit[2] - high3, bit[3] - high3, high3];

    signal is[16];
    signal picked[16];
    var sum = 0;
    for (var d = 0; d < 16; d++) {
        is[d] <== low[d % 4] * high[d \ 4];
        picked[d] <== is[d] * in[d];
        sum += picked[d];
    }
    out <== sum;
}
