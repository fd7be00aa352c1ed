pragma circom 2.2.3;

// Products of matrices of which both sides are private, for GROUPS pairs of them:
//
//     out[(g * ROWS + m) * COLS + n] = sum over k of a[(g * ROWS + m) * INNER + k] * b[(g * COLS + n) * INNER + k]
//
// One row a product: the last one's row is that of the sum. (Folding the products at a point would take fewer rows, but
// a point that is fixed before the witness is proves nothing.)
//
// Not enforced: any range. The sums are those of the integers as long as none leaves the field, which the writer of the
// circuit proves by interval analysis (src/model/bounds.ts).
template MatMul(GROUPS, ROWS, INNER, COLS) {
    assert(INNER >= 1); // on the parameter, when the circuit is compiled
    signal input a[GROUPS * ROWS * INNER];
    signal input b[GROUPS * COLS * INNER];
    signal output out[GROUPS * ROWS * COLS];

    signal product[GROUPS * ROWS * COLS * (INNER - 1)];
    for (var g = 0; g < GROUPS; g++) {
        for (var m = 0; m < ROWS; m++) {
            for (var n = 0; n < COLS; n++) {
                var o = (g * ROWS + m) * COLS + n;
                var left = (g * ROWS + m) * INNER;
                var right = (g * COLS + n) * INNER;
                var sum = 0;
                for (var k = 0; k < INNER - 1; k++) {
                    var at = o * (INNER - 1) + k;
                    product[at] <== a[left + k] * b[right + k];
                    sum += product[at];
                }
                out[o] <== sum + a[left + INNER - 1] * b[right + INNER - 1];
            }
        }
    }
}
